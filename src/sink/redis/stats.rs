//! What the sink counts.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::bus::{Publisher, SubscriberStats};

/// What the bus calls this sink among its subscribers.
pub const NAME: &str = "sink:redis";

/// Counters since the start.
#[derive(Debug, Default)]
pub struct RedisStats {
    pub(super) connected: AtomicBool,
    pub(super) connects: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) frames: AtomicU64,
    pub(super) commands: AtomicU64,
    pub(super) refused: AtomicU64,
    pub(super) lost_frames: AtomicU64,
    pub(super) unreadable_frames: AtomicU64,
    pub(super) requests: AtomicU64,
    pub(super) dropped_requests: AtomicU64,
    last_failure: Mutex<Option<String>>,
}

/// The counters at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkReport {
    /// Whether it is connected to Redis.
    pub connected: bool,
    /// Connections opened.
    pub connects: u64,
    /// Connections lost, and attempts that failed.
    pub failures: u64,
    /// Frames written and confirmed.
    pub frames: u64,
    /// Commands carried out by Redis.
    pub commands: u64,
    /// Commands that Redis refused.
    pub refused: u64,
    /// Frames given up, because writing them failed twice.
    pub lost_frames: u64,
    /// Frames whose payload could not be read.
    pub unreadable_frames: u64,
    /// Commands of okws's clients that were answered.
    pub requests: u64,
    /// Commands of okws's clients that were not, because too many came or they could not be read.
    pub dropped_requests: u64,
    /// Frames that wait for Redis now.
    pub queued_frames: u64,
    /// Frames dropped because too many waited.
    pub dropped_frames: u64,
    /// Frames in whose place a newer one came.
    pub conflated_frames: u64,
    /// Why it is not connected, or was not.
    pub last_failure: Option<String>,
}

impl RedisStats {
    /// The counters now, with those of its queue on the bus.
    pub fn report(&self, publisher: &Publisher) -> SinkReport {
        let queue = publisher.subscriber_named(NAME);
        let of_queue = |read: fn(&SubscriberStats) -> u64| queue.as_ref().map_or(0, read);
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        SinkReport {
            connected: self.connected.load(Ordering::Relaxed),
            connects: read(&self.connects),
            failures: read(&self.failures),
            frames: read(&self.frames),
            commands: read(&self.commands),
            refused: read(&self.refused),
            lost_frames: read(&self.lost_frames),
            unreadable_frames: read(&self.unreadable_frames),
            requests: read(&self.requests),
            dropped_requests: read(&self.dropped_requests),
            queued_frames: of_queue(|queue| queue.queued_frames as u64),
            dropped_frames: of_queue(|queue| queue.dropped),
            conflated_frames: of_queue(|queue| queue.conflated),
            last_failure: self.last_failure.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        }
    }

    pub(super) fn add(counter: &AtomicU64, by: usize) {
        counter.fetch_add(by as u64, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, text: &str) {
        self.connected.store(false, Ordering::Relaxed);
        self.failures.fetch_add(1, Ordering::Relaxed);
        *self.last_failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(text.to_owned());
    }
}
