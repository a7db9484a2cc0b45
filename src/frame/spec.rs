//! What an encoder is told about its feed.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::payload::Encoding;
use crate::model::UnixNanos;

/// What an encoder is made of.
#[derive(Clone, Debug)]
pub struct EncoderSpec {
    /// The feed's name in the config.
    pub feed: String,
    /// The venue's id.
    pub venue: String,
    /// The market's id.
    pub market: String,
    /// Milliseconds since 1970 of the run's start.
    pub epoch: u64,
    /// JSON or MessagePack.
    pub encoding: Encoding,
    /// Levels a side in `book` frames.
    pub book_depth: u16,
    /// The same, for symbols that differ.
    pub depth_of: HashMap<String, u16>,
    /// Least time between two `book` frames of a topic; zero publishes every change.
    pub book_interval: Duration,
    /// What every sequence goes on after at least: 0, or more where another feed of the market, or the same one, has
    /// published topics before in this run, so that subscribers see a jump and not numbers they know.
    pub first_seq: Arc<AtomicU64>,
    /// The sequence of the feed-level status topic, which feeds of one market share.
    pub feed_seq: Arc<AtomicU64>,
    /// Reads the wall clock for `ts_pub`, once for the frames of one update.
    pub clock: fn() -> UnixNanos,
}
