//! What a session needs towards a trading terminal instead of a websocket: RPC calls, the settings of one feed, and
//! what it knows of the terminal behind the connection.

use std::time::Duration;

/// Which of a terminal's RPC hosts takes a call. Terminals with a single host take both.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Host {
    /// The main one.
    Rpc,
    /// The one for history and parameters.
    Data,
}

/// Which calls leave first while the terminal's budget is short.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Urgency {
    /// The terminal's state, subscriptions.
    Control,
    /// Books and trades.
    Data,
    /// Parameters, candles, questions from outside.
    Background,
}

/// A call of one of the terminal's functions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RpcRequest {
    /// Chosen by the session; comes back with [`Input::Rpc`](super::Input::Rpc).
    pub id: u64,
    /// Where to.
    pub host: Host,
    /// When.
    pub urgency: Urgency,
    /// The request as the terminal reads it.
    pub body: String,
    /// How long the whole call may take once it has left, each try.
    pub timeout: Duration,
    /// Whether doing it twice does no harm, so that it may be sent again when no answer came.
    pub idempotent: bool,
}

/// What the config of a terminal's feed says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TerminalSpec {
    /// Whether there is an events socket; without one everything is polled.
    pub events: bool,
    /// Current parameters to poll for every symbol, each with its own period, in the config's order.
    pub params: Vec<(String, Duration)>,
    /// How long one call may take.
    pub call_timeout: Duration,
    /// Most book requests of one instrument in a second.
    pub books_per_second: u32,
    /// Functions the control socket may call beyond the harmless ones.
    pub allow: Vec<String>,
    /// History is answered from memory when it was updated within this time.
    pub history_fresh: Duration,
    /// Datasources (instrument and interval) held open at one time.
    pub history_sources: usize,
    /// How often the terminal's clock is read.
    pub heartbeat: Duration,
    /// Calls a second the whole terminal is given; a session's own polling takes a part of it.
    pub calls_per_second: u32,
    /// When the terminal's clock is expected to move, Monday to Friday: first and last second of the exchange's
    /// day. Empty: the venue's own hours.
    pub trading_hours: Vec<(u32, u32)>,
}

/// What the session knows of the terminal behind the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TerminalState<'a> {
    /// It does not answer.
    Down(&'a str),
    /// It answers, but is itself not connected to its broker.
    Offline(&'a str),
    /// It answers and is connected, but its time stands still while the market is open.
    Frozen(&'a str),
    /// All is well: streams are being subscribed anew.
    Live,
}

/// Something the terminal said that tickbus hands on as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawEvent<'a> {
    /// The event's name, as the terminal spells it.
    pub name: &'a str,
    /// Its payload, JSON text, if it has one.
    pub payload: Option<&'a str>,
}
