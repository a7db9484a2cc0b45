//! What a running gateway can be asked and told: one command set in JSON, behind its doors.

mod account_tables;
mod calls;
mod commands;
mod fetch;
mod get;
mod guard;
mod health;
mod http;
mod initialize;
mod jobs;
mod open;
pub mod registry;
mod reload;
mod reply;
mod running;
mod state_file;
mod subscribe;
mod tables;
pub mod wished;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tokio::time::sleep;

pub use self::calls::Calls;
use self::commands::{Answer, Door, Request};
pub use self::guard::Guard;
pub use self::http::HttpDoor;
pub use self::registry::{Registry, RunningFeed, StartFeed};
pub use self::reload::Applied;
use self::reply::{Code, Failure};
pub use self::running::{FeedHandle, Running};
pub use self::state_file::{StateFile, restore};
use crate::bus::{Asker, Reply, RequestHandler, RequestServer};
use crate::clock;
use crate::sink::redis::Commands;

/// How long a request that may wait for changes waits for its turn, where there are too many.
const TURN_WITHIN: Duration = Duration::from_secs(1);

/// A bound request socket.
pub struct RequestSocket {
    /// Which: `snapshot` or `control`.
    pub name: &'static str,
    /// The socket.
    pub server: RequestServer,
}

/// What the HTTP door counts beside the gateway itself.
pub struct Counted {
    /// The request sockets.
    pub sockets: Arc<[RequestSocket]>,
    /// The guard of the control socket.
    pub guard: Arc<Guard>,
    /// Writes of the state file that failed.
    pub state_failures: Arc<AtomicU64>,
}

/// Who gives a command.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Caller {
    /// The name that its wishes belong to, unless the request gives another one as `client`.
    pub name: Option<String>,
    /// Its connection, if it has one that ends: what it wishes for without a name belongs to that.
    pub connection: Option<u64>,
}

/// The commands of a running gateway, for sinks whose clients give them.
pub struct ControlPlane(Running);

impl ControlPlane {
    /// The commands of this gateway.
    pub const fn new(running: Running) -> Self {
        Self(running)
    }
}

impl Commands for ControlPlane {
    fn execute(&self, request: Value) -> Pin<Box<dyn Future<Output = Value> + Send + '_>> {
        Box::pin(async move {
            let done = async {
                let request = Request::read(request.to_string().as_bytes())?;
                if request.may_wait() {
                    let what = "wait and watch are for the control socket: commands that come through Redis are carried \
                                out one after the other";
                    return Err(Failure::new(Code::Unsupported, what));
                }
                let nobody = Caller::default();
                commands::carry_out(&self.0, &request, &nobody, Door::Control).await.and_then(Answer::into_value)
            };
            done.await.unwrap_or_else(Failure::into_value)
        })
    }
}

/// The snapshot socket: reads only.
pub struct SnapshotDoor {
    running: Running,
    shows_peers: bool,
}

impl SnapshotDoor {
    /// A door to this gateway. It tells who subscribes only if strangers cannot ask.
    pub const fn new(running: Running, shows_peers: bool) -> Self {
        Self { running, shows_peers }
    }
}

impl RequestHandler for SnapshotDoor {
    fn handle<'a>(&'a self, request: Bytes, _: &'a Asker) -> Reply<'a> {
        Box::pin(async move {
            let door = Door::Snapshot { shows_peers: self.shows_peers };
            let done = async {
                let request = Request::read(&request)?;
                commands::carry_out(&self.running, &request, &Caller::default(), door).await
            };
            frames(done.await)
        })
    }
}

/// The control socket: everything.
pub struct ControlDoor {
    running: Running,
    guard: Arc<Guard>,
}

impl ControlDoor {
    /// A door to this gateway.
    pub const fn new(running: Running, guard: Arc<Guard>) -> Self {
        Self { running, guard }
    }

    async fn answer(&self, request: &[u8], asker: &Asker) -> Result<Answer, Failure> {
        let mut turn = self.guard.admits_within(asker.connection, Duration::ZERO, clock::mono());
        let request = Request::read(request);
        if turn.is_none() && request.as_ref().is_ok_and(Request::may_wait) {
            // Whoever follows changes asks again at once: it waits its turn, and then has all that came meanwhile.
            turn = self.guard.admits_within(asker.connection, TURN_WITHIN, clock::mono());
        }
        let Some(turn) = turn else {
            self.guard.refuse();
            return Err(Failure::new(
                Code::Limited,
                "too many requests; try again in a moment, or raise control.max_per_second",
            ));
        };
        if !turn.is_zero() {
            sleep(turn).await;
        }
        let token = request.as_ref().ok().and_then(|request| request.token.as_deref());
        // Whoever has no token learns nothing, not even what is wrong with a request.
        if !self.guard.accepts(token) {
            sleep(guard::DENIAL_DELAY).await;
            return Err(Failure::new(
                Code::Denied,
                "the token is missing or wrong; every request here needs \"token\"",
            ));
        }
        commands::carry_out(&self.running, &request?, &caller(asker), Door::Control).await
    }
}

/// A routing identity that is text names its client; others are chosen by libraries for one connection.
fn caller(asker: &Asker) -> Caller {
    let identity = asker.identity.as_deref().and_then(|bytes| std::str::from_utf8(bytes).ok());
    let name = identity.filter(|text| !text.chars().any(char::is_control)).map(|text| format!("zmq:{text}"));
    Caller { name, connection: Some(asker.connection) }
}

impl RequestHandler for ControlDoor {
    fn handle<'a>(&'a self, request: Bytes, asker: &'a Asker) -> Reply<'a> {
        Box::pin(async move { frames(self.answer(&request, asker).await) })
    }

    fn left(&self, asker: &Asker) {
        self.guard.left(asker.connection);
        self.running.feeds.connection_ended(asker.connection);
    }
}

fn frames(done: Result<Answer, Failure>) -> Vec<Bytes> {
    match done {
        Ok(answer) => answer.into_frames(),
        Err(failure) => vec![failure.into_value().to_string().into()],
    }
}
