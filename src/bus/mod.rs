//! The ZeroMQ bus: our own ZMTP publisher and request server. See `docs/ARCHITECTURE.md` for why it is our own.

mod burst;
mod connection;
mod endpoint;
mod faults;
mod heartbeat;
mod hub;
mod kept;
mod listener;
mod publisher;
pub mod queue;
mod requests;
mod subscriber;
pub mod topics;
pub mod zmtp;

pub use endpoint::BindError;
pub use faults::Refused;
pub use heartbeat::HeartbeatOptions;
pub use publisher::{BusStats, Publisher, PublisherOptions};
pub use requests::{Reply, RequestHandler, RequestOptions, RequestServer, RequestStats};

use bytes::Bytes;

/// One thing for the bus to do. Order is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Publish a frame.
    Frame(Frame),
    /// Stop giving this topic's kept frame to joiners (its book is no longer true).
    Forget(Bytes),
}

/// A topic and its encoded payload. Cloning shares the bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Topic, ending with a dot.
    pub topic: Bytes,
    /// Encoded payload.
    pub payload: Bytes,
    /// What the bus may do with it besides sending it.
    pub retain: Retain,
}

/// How a frame is treated besides being sent to those subscribed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Retain {
    /// Sent and forgotten; every frame counts (`delta`, `trade`).
    Stream,
    /// Kept for joiners; the latest of its topic may replace an older one in a full queue (`book`).
    Conflate,
    /// Kept for joiners (`status`, `ticker`, `instrument`).
    Latest,
}
