//! What a terminal's connections can tell about themselves.

use std::sync::Arc;

/// A pool's counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PoolCounters {
    /// Calls taken.
    pub calls: u64,
    /// Calls refused because too many waited.
    pub refused: u64,
    /// Requests sent: calls, and calls sent again.
    pub sent: u64,
    /// Calls answered by the terminal.
    pub answered: u64,
    /// Calls that ended without an answer of the terminal.
    pub failed: u64,
    /// Requests the terminal did not answer in time.
    pub timed_out: u64,
    /// Calls to be sent again because no answer came.
    pub retried: u64,
    /// Calls that waited too long for their turn.
    pub expired: u64,
    /// Answers that nobody waits for.
    pub stray: u64,
    /// Times a call had nothing but the budget to wait for.
    pub throttled: u64,
}

/// How one of a terminal's RPC hosts stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostReport {
    /// Its endpoint.
    pub endpoint: Arc<str>,
    /// Connections open now.
    pub open: usize,
    /// Connections opened since the start.
    pub connects: u64,
    /// Connections lost, and attempts that failed, since the start.
    pub failures: u64,
    /// Why there is no connection, while there is none.
    pub trouble: Option<String>,
    /// How the last failure came about.
    pub last_failure: Option<String>,
}

/// How a pool stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PoolReport {
    /// The terminal's name: that of the first feed of it.
    pub terminal: Arc<str>,
    /// Counters since the start.
    pub counters: PoolCounters,
    /// Requests on their way now.
    pub in_flight: usize,
    /// Calls waiting now.
    pub waiting: usize,
    /// The hosts: the main one, then the one for data where it is another.
    pub hosts: Vec<HostReport>,
}

/// How a feed's events stand.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventsReport {
    /// Their endpoint.
    pub endpoint: Arc<str>,
    /// Whether the connection is open.
    pub connected: bool,
    /// Connections opened since the start.
    pub connects: u64,
    /// Connections lost, and attempts that failed, since the start.
    pub failures: u64,
    /// How the last failure came about.
    pub last_failure: Option<String>,
    /// Events handed to the session.
    pub events: u64,
    /// Events dropped because the session was too far behind.
    pub dropped: u64,
    /// Messages skipped: of other topics, or not in the form of an event.
    pub skipped: u64,
}

/// How a feed's terminal stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TerminalReport {
    /// Its pool, shared by all feeds of the terminal.
    pub pool: PoolReport,
    /// Its events, if it has any.
    pub events: Option<EventsReport>,
}
