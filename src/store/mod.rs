//! The latest values of one feed: the last book, ticker and so on of each symbol, and the last few trades and candles.
//!
//! It is kept by the feed's own task, on the way of its frames to the bus, behind a lock of its own; the frames are those
//! that subscribers get. Whoever asks holds the lock for as long as it takes to copy some references.
//! [`tables`] makes rows of them, while somebody asks for rows.

mod kept;
pub mod tables;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;

use self::kept::{Kept, TableSet};
use self::tables::VenueTables;
use crate::bus::{Frame, Outgoing};
use crate::io::FrameSink;
use crate::table::{FeedId, TableKind};

/// How much is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoreLimits {
    /// Trades of a symbol; as many liquidations, orders and fills.
    pub trades: usize,
    /// Candles of a symbol and interval.
    pub candles: usize,
    /// Bytes of all together.
    pub bytes: usize,
}

impl Default for StoreLimits {
    fn default() -> Self {
        Self { trades: 1_000, candles: 1_000, bytes: 256 << 20 }
    }
}

/// What is kept now, and was taken away since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Topics that something is kept of.
    pub topics: usize,
    /// Frames kept.
    pub frames: usize,
    /// Bytes they take.
    pub bytes: usize,
    /// Frames that went, or were not taken, because of the limit of bytes or of topics.
    pub evicted: u64,
}

/// The store of one feed.
#[derive(Debug)]
pub struct Store {
    kept: Mutex<Kept>,
    evicted: AtomicU64,
    /// The tables of its venue, and what it is called there.
    tables: Option<(FeedId, Arc<VenueTables>)>,
}

impl Store {
    /// An empty store.
    pub fn new(limits: StoreLimits) -> Self {
        Self { kept: Mutex::new(Kept::new(limits, TableSet::default())), evicted: AtomicU64::new(0), tables: None }
    }

    /// An empty store that tells these tables of its venue of what comes.
    fn of_venue(limits: StoreLimits, feed: FeedId, tables: Arc<VenueTables>, in_use: TableSet) -> Self {
        let kept = Mutex::new(Kept::new(limits, in_use));
        Self { kept, evicted: AtomicU64::new(0), tables: Some((feed, tables)) }
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Changes what is kept, and tells the tables while the lock is held: they hear of everything once and in order.
    fn change<T>(&self, change: impl FnOnce(&mut Kept) -> T) -> T {
        let mut kept = self.kept();
        let out = change(&mut kept);
        if let Some((feed, tables)) = self.tables.as_ref().filter(|_| !kept.fed.is_empty()) {
            tables.feed(*feed, &mut kept.fed);
        }
        out
    }

    fn begin_table(&self, table: TableKind) {
        self.change(|kept| kept.begin_table(table));
    }

    fn end_table(&self, table: TableKind) {
        self.kept().end_table(table);
    }

    /// Takes note of what is published. Frames that are kept are shared from then on.
    pub fn record(&self, batch: &mut [Outgoing]) {
        let evicted = self.change(|kept| kept.record(batch));
        if evicted > 0 {
            self.evicted.fetch_add(evicted, Ordering::Relaxed);
        }
    }

    /// The newest frame of a topic; of a book, `bbo` or ticker only while it holds.
    pub fn latest(&self, topic: &[u8]) -> Option<Frame> {
        self.kept().latest(topic).map(|frame| Frame::clone(&frame))
    }

    /// Up to `n` frames of a topic, the newest last.
    pub fn recent(&self, topic: &[u8], n: usize) -> Vec<Frame> {
        let frames = self.kept().recent(topic, n);
        frames.iter().map(|frame| Frame::clone(frame)).collect()
    }

    /// All candles kept of a topic, by their times, the newest last.
    pub fn candles(&self, topic: &[u8]) -> Vec<Frame> {
        self.recent(topic, usize::MAX)
    }

    /// The topics that something is kept of.
    pub fn topics(&self) -> Vec<Bytes> {
        self.kept().topics()
    }

    /// Forgets the topics that `which` says, and returns them.
    pub fn forget(&self, which: impl Fn(&str) -> bool) -> Vec<Bytes> {
        self.change(|kept| kept.forget(which))
    }

    /// Counters and gauges.
    pub fn stats(&self) -> StoreStats {
        StoreStats { evicted: self.evicted.load(Ordering::Relaxed), ..self.kept().stats() }
    }
}

impl Drop for Store {
    fn drop(&mut self) {
        if let Some((feed, tables)) = &self.tables {
            tables.left(*feed);
        }
    }
}

/// Keeps what goes through it to a sink.
pub struct Keeping<S> {
    /// Where it is kept.
    pub store: Arc<Store>,
    /// Where it goes.
    pub sink: S,
}

impl<S: FrameSink> FrameSink for Keeping<S> {
    fn publish(&self, batch: &mut Vec<Outgoing>) {
        // First, so that whoever has seen a frame does not find an older one here.
        self.store.record(batch);
        self.sink.publish(batch);
    }

    fn is_congested(&self) -> bool {
        self.sink.is_congested()
    }
}

#[cfg(test)]
mod tests;
