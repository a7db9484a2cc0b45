//! Frames: topics and payloads, encoded once per event. `docs/WIRE.md` is the contract.

mod encode;
mod heartbeat;
mod job;
mod map;
mod names;
mod notice;
mod payload;
mod rows;
mod schema;
mod spec;
#[cfg(test)]
mod tests;
mod topic;

use std::sync::Arc;

use bytes::Bytes;

pub use encode::Encoder;
pub use heartbeat::{Heartbeat, MOST_TOPICS, heartbeat};
pub use job::{JobResult, job};
pub use notice::{Loss, Notice, notice};
pub use payload::Encoding;
pub use schema::{Book as TypedBook, LevelText, Payload as TypedPayload, json_schema};
pub use spec::{EncoderSpec, LastSeq};
pub use topic::{account_status_topic, parse_topic, topic, topic_of};

/// The version of the wire format, in every payload as `v`.
pub const VERSION: u64 = 1;

/// One thing for a sink to do. Order is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outgoing {
    /// Publish a frame.
    Frame(Frame),
    /// Publish a frame that somebody on its way has kept too.
    Shared(Arc<Frame>),
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
    /// What a sink may do with it besides passing it on.
    pub retain: Retain,
    /// Its number within its topic, as in the payload; 0 for what is not counted.
    pub seq: u64,
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
