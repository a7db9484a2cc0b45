//! What a running gateway can be asked and told: one command set in JSON, behind its doors.

mod commands;
mod health;
mod http;
mod reply;
mod running;

use std::future::Future;
use std::pin::Pin;

use bytes::Bytes;
use serde_json::Value;

pub use self::http::HttpDoor;
pub use self::running::{FeedHandle, Running};
use crate::bus::{RequestHandler, RequestServer};
use crate::sink::redis::Commands;

/// A bound request socket.
pub struct RequestSocket {
    /// Which: `snapshot` or `control`.
    pub name: &'static str,
    /// The socket.
    pub server: RequestServer,
}

/// The snapshot socket: reads only.
pub struct SnapshotDoor(Running);

/// The control socket: everything.
pub struct ControlDoor(Running);

impl SnapshotDoor {
    /// A door to this gateway.
    pub const fn new(running: Running) -> Self {
        Self(running)
    }
}

impl ControlDoor {
    /// A door to this gateway.
    pub const fn new(running: Running) -> Self {
        Self(running)
    }
}

type Answer<'a> = Pin<Box<dyn Future<Output = Vec<Bytes>> + Send + 'a>>;

impl RequestHandler for SnapshotDoor {
    fn handle(&self, request: Bytes) -> Answer<'_> {
        Box::pin(async move { commands::answer(&self.0, &request, commands::Door::Snapshot).await })
    }
}

impl RequestHandler for ControlDoor {
    fn handle(&self, request: Bytes) -> Answer<'_> {
        Box::pin(async move { commands::answer(&self.0, &request, commands::Door::Control).await })
    }
}

/// The sink's clients are given what the control socket gives.
impl Commands for ControlDoor {
    fn execute(&self, request: Value) -> crate::sink::redis::Answer<'_> {
        Box::pin(async move {
            let answer = self.handle(request.to_string().into()).await;
            let read = answer.first().map(|text| serde_json::from_slice(text));
            read.and_then(Result::ok).unwrap_or_default()
        })
    }
}
