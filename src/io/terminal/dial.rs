//! Dials a terminal's sockets with our own ZeroMQ client.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::{Dial, Link, LinkError};
use crate::io::zmq::{self, Kind, ZmqConnection, ZmqError, ZmqLimits};
use crate::zmtp::ClientSecurity;

/// A terminal is near, but its one thread also checks our key, and may be busy.
const LIMITS: ZmqLimits = ZmqLimits {
    connect: Duration::from_secs(2),
    handshake: Duration::from_secs(3),
    max_frame: 16 << 20,
    max_frames: 16,
};

/// One socket of a terminal.
#[derive(Clone, Debug)]
pub(crate) struct ZmqDial {
    endpoint: Arc<str>,
    kind: Kind,
    security: ClientSecurity,
}

impl ZmqDial {
    /// A socket that takes calls.
    pub(crate) fn calls(endpoint: &str, security: ClientSecurity) -> Self {
        Self { endpoint: endpoint.into(), kind: Kind::Dealer, security }
    }

    /// A socket that publishes events.
    pub(crate) fn events(endpoint: &str, security: ClientSecurity) -> Self {
        Self { endpoint: endpoint.into(), kind: Kind::Sub, security }
    }
}

impl Dial for ZmqDial {
    type Link = ZmqConnection;

    fn endpoint(&self) -> Arc<str> {
        Arc::clone(&self.endpoint)
    }

    async fn dial(&self) -> Result<ZmqConnection, LinkError> {
        zmq::connect(&self.endpoint, self.kind, &self.security, LIMITS).await.map_err(LinkError::from)
    }
}

impl Link for ZmqConnection {
    async fn subscribe(&mut self, topic: &[u8]) -> Result<(), LinkError> {
        Ok(self.subscribe(topic).await?)
    }

    async fn send(&mut self, frames: &[&[u8]]) -> Result<(), LinkError> {
        Ok(self.send(frames).await?)
    }

    async fn receive(&mut self) -> Result<Vec<Bytes>, LinkError> {
        Ok(self.receive().await?)
    }
}

impl From<ZmqError> for LinkError {
    fn from(error: ZmqError) -> Self {
        let refused = matches!(error, ZmqError::Mechanism { .. } | ZmqError::ServerKey | ZmqError::Refused { .. });
        let reason = match error {
            // Reports name the endpoint beside the reason.
            ZmqError::Unreachable { source, .. } => format!("cannot be reached: {source}"),
            other => other.to_string(),
        };
        Self { refused, reason }
    }
}
