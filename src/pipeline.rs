//! One feed from input to frames: session, books, encoder. Pure; live, replay, simulation and fuzzing all step it.

use crate::bus::{Frame, Outgoing};
use crate::model::{Stamp, UnixNanos};
use crate::venue::{HttpRequest, Input, Timer};

/// What a step left to do. The driver empties it after each burst of steps.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Text messages for the venue, in order.
    pub sends: Vec<String>,
    /// REST calls to make; every one must be answered with [`Input::Http`].
    pub requests: Vec<HttpRequest>,
    /// Set when the connection is of no more use: close it and dial again with back-off.
    pub reconnect: Option<String>,
    /// Work for the bus, in order.
    pub frames: Vec<Outgoing>,
}

/// How one symbol's book stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolReport {
    /// The venue's own spelling; empty for the feed as a whole.
    pub symbol: String,
    /// `live`, `syncing`, `stale`, `down` or `rejected`.
    pub state: &'static str,
    /// Why, when it is not live.
    pub reason: Option<&'static str>,
    /// Since when.
    pub since: UnixNanos,
}

/// A feed's counters since the start; the field names are the metric names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages read.
    pub messages: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Messages that could not be understood.
    pub errors: u64,
    /// Messages that carry nothing for us (unknown topics and kinds, not pongs).
    pub ignored: u64,
    /// Gaps found.
    pub gaps: u64,
    /// Crossed books found.
    pub crossed: u64,
    /// Resyncs asked for.
    pub resyncs: u64,
    /// Trades seen.
    pub trades: u64,
    /// Snapshots applied.
    pub snapshots: u64,
    /// Deltas applied.
    pub deltas: u64,
    /// Streams that fell silent.
    pub silences: u64,
}

/// A feed's state for operators.
#[derive(Clone, Debug, Default)]
pub struct FeedReport {
    /// Counters since the start.
    pub counters: Counters,
    /// Every symbol's state.
    pub symbols: Vec<SymbolReport>,
}

/// A feed and its encoder.
pub struct Pipeline {
    outbox: Outbox,
}

impl Pipeline {
    /// Takes one input; what follows from it is in the outbox afterwards.
    pub fn step(&mut self, _input: Input<'_>, _now: Stamp) {}

    /// What is to be done.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// When to step with [`Input::Timeout`], if nothing else happens first.
    pub fn next_timeout(&self) -> Option<Timer> {
        None
    }

    /// The current `book.` frame of this topic at full depth, if its book is live.
    pub fn snapshot(&mut self, _topic: &str, _now: Stamp) -> Option<Frame> {
        None
    }

    /// Subscribes to one symbol's book anew; false if there is no such book.
    pub fn resync(&mut self, _symbol: &str, _now: Stamp) -> bool {
        false
    }

    /// Publishes `down` for every symbol: the last thing before the process ends.
    pub fn shut_down(&mut self, _now: Stamp) {}

    /// State and counters.
    pub fn report(&self) -> FeedReport {
        FeedReport::default()
    }
}
