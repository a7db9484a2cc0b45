//! What an encoder is told about its feed.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use bytes::Bytes;

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
    /// The account that rows are published under; `None` where the venue names accounts by itself, or there is none.
    pub account: Option<String>,
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
    /// What the sequence of a topic goes on after.
    pub last_seq: LastSeq,
    /// The sequence of the feed-level status topic, which feeds of one market share.
    pub feed_seq: Arc<AtomicU64>,
    /// Reads the wall clock for `ts_pub`, once for the frames of one update.
    pub clock: fn() -> UnixNanos,
}

/// Says the number of a topic's last frame.
type Known = Arc<dyn Fn(&Bytes) -> u64 + Send + Sync>;

/// Knows the number of a topic's last frame in this run, which another feed may have published; the default knows of
/// none.
#[derive(Clone, Default)]
pub struct LastSeq {
    known: Option<Known>,
    jump: u64,
}

impl LastSeq {
    /// `known` is asked of each topic when it is published for the first time, and when its symbol begins anew. The
    /// first time the sequence goes on so far behind it: 0, or more where frames may have been lost.
    pub fn new(known: impl Fn(&Bytes) -> u64 + Send + Sync + 'static, jump: u64) -> Self {
        Self { known: Some(Arc::new(known)), jump }
    }

    pub(super) fn of(&self, topic: &Bytes) -> u64 {
        self.known.as_ref().map_or(0, |known| known(topic))
    }

    /// What a topic's sequence begins after.
    pub(super) fn before_first(&self, topic: &Bytes) -> u64 {
        self.of(topic).saturating_add(self.jump)
    }
}

impl fmt::Debug for LastSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("LastSeq(…)")
    }
}
