//! The rim towards trading terminals: a pool of RPC connections with one budget of calls, the events, and the driver
//! that steps a feed with both.

use std::future::Future;
use std::sync::Arc;

use bytes::Bytes;

mod connection;
mod desk;
#[cfg(test)]
mod desk_tests;
mod dial;
mod driver;
#[cfg(test)]
mod driver_tests;
mod events;
#[cfg(test)]
mod fake;
mod host;
mod pool;
#[cfg(test)]
mod pool_tests;
mod report;
mod waiting;

use dial::ZmqDial;
pub use driver::{EventsSocket, LAST_ANSWERS_WITHIN, TerminalDriver, TerminalParts};
pub use pool::{Caller, MOST_OUTSTANDING, Pool};
pub use report::{EventsReport, HostReport, PoolCounters, PoolReport, TerminalReport};

/// How a pool may use its terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// Connections to each host, each with one call at a time; at least 1.
    pub connections: usize,
    /// Requests in a second in the long run, over all connections and hosts, repeated ones included; at least 1.
    pub calls_per_second: u32,
    /// Requests that may leave at once after a pause; at least 1.
    pub burst: u32,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { connections: 5, calls_per_second: 200, burst: 20 }
    }
}

/// What became of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcAnswer {
    /// The request's id.
    pub id: u64,
    /// Where it was sent.
    pub endpoint: Arc<str>,
    /// The request's body.
    pub request: String,
    /// The terminal's answer, or why there is none.
    pub result: Result<Bytes, String>,
}

/// Why a connection ended, or could not be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LinkError {
    /// The other end refused us (key, password, mechanism): trying again soon will not help.
    pub(crate) refused: bool,
    /// What went wrong, without the endpoint.
    pub(crate) reason: String,
}

/// Opens connections to one endpoint.
pub(crate) trait Dial: Send + Sync + 'static {
    /// What it opens.
    type Link: Link;
    /// The endpoint, for reports and logs.
    fn endpoint(&self) -> Arc<str>;
    /// Opens one, handshake and authentication included.
    fn dial(&self) -> impl Future<Output = Result<Self::Link, LinkError>> + Send;
}

/// An open connection.
pub(crate) trait Link: Send + 'static {
    /// Asks for messages that begin with this.
    fn subscribe(&mut self, topic: &[u8]) -> impl Future<Output = Result<(), LinkError>> + Send;
    /// Sends a message.
    fn send(&mut self, frames: &[&[u8]]) -> impl Future<Output = Result<(), LinkError>> + Send;
    /// The next message. May be dropped and called again: nothing is lost.
    fn receive(&mut self) -> impl Future<Output = Result<Vec<Bytes>, LinkError>> + Send;
}
