//! What others may ask of a running feed, and how it reports on itself.

use tokio::sync::{mpsc, oneshot};

use super::Steps;
use super::budget::AccountReport;
use super::questions::refusal;
use super::terminal::TerminalReport;
use crate::bus::Frame;
use crate::model::{Stamp, Stream, UnixNanos};
use crate::pipeline::{FeedReport, Settled};

/// A request to the task that owns a feed. A dropped reply means that the feed has ended.
#[derive(Debug)]
pub enum Command {
    /// The current `book.` frame at full depth, if that book is live.
    Snapshot {
        /// The frame's topic, ending with a dot.
        topic: String,
        /// Where the frame goes.
        reply: oneshot::Sender<Option<Frame>>,
    },
    /// Subscribe to one symbol's book anew.
    Resync {
        /// The venue's own spelling.
        symbol: String,
        /// False if there is no such book.
        reply: oneshot::Sender<bool>,
    },
    /// Read the account's state again by REST: orders, positions and balances. What has changed is published as it comes.
    Initialize {
        /// Whether it has begun, or why not.
        reply: oneshot::Sender<Result<(), String>>,
    },
    /// Put a question to the venue's session.
    Ask {
        /// JSON text: the request as it was asked.
        question: String,
        /// Where the answer goes: JSON text with `ok`, like every answer of the control socket.
        reply: oneshot::Sender<String>,
    },
    /// Subscribe to streams. Each is answered when the venue has answered: at once for those it has.
    Subscribe {
        /// Which; each once.
        streams: Vec<Stream>,
        /// Where the answers go; it must have room for one a stream.
        reply: mpsc::Sender<Answered>,
    },
    /// Leave streams. Each is answered when the venue has answered: at once for those that were not wished.
    Unsubscribe {
        /// Which; each once.
        streams: Vec<Stream>,
        /// As in [`Self::Subscribe`].
        reply: mpsc::Sender<Answered>,
    },
    /// State and counters.
    Report {
        /// Where they go.
        reply: oneshot::Sender<DriverReport>,
    },
    /// Publish `down` for every symbol, close the connection and end, all within a second.
    Shutdown,
}

/// What became of one stream of a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answered {
    /// Its place in the command.
    pub at: usize,
    /// What the venue said.
    pub settled: Settled,
}

/// The state of a feed and of its connections.
#[derive(Clone, Debug, Default)]
pub struct DriverReport {
    /// Symbols and counters.
    pub feed: FeedReport,
    /// The connection.
    pub link: LinkReport,
}

/// The state of a feed's connections.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LinkReport {
    /// Whether all of them are open.
    pub connected: bool,
    /// Since when they are, or are not.
    pub since: UnixNanos,
    /// Connections opened since the start.
    pub connects: u64,
    /// Connections lost, and attempts that failed, since the start.
    pub failures: u64,
    /// How the last of them ended.
    pub last_failure: Option<String>,
    /// Recorder lines dropped since the start, by all feeds that share the tap.
    pub tap_dropped: u64,
    /// The budget of its REST calls, shared with other feeds, where it makes such calls.
    pub rest: Option<AccountReport>,
    /// The terminal behind it, for feeds from one.
    pub terminal: Option<TerminalReport>,
}

/// Carries a command out; false if it was to shut down. An asker who is gone is not an error. Questions are not for
/// here: only a driver keeps their askers.
pub(crate) fn carry_out(command: Command, steps: &mut impl Steps, link: &LinkReport, now: Stamp) -> bool {
    match command {
        Command::Snapshot { topic, reply } => drop(reply.send(steps.snapshot(&topic))),
        Command::Resync { symbol, reply } => drop(reply.send(steps.resync(&symbol, now))),
        Command::Initialize { reply } => drop(reply.send(steps.initialize(now))),
        Command::Report { reply } => {
            drop(reply.send(DriverReport { feed: steps.report(), link: link.clone() }));
        }
        // A dropped reply says that nobody takes subscriptions here.
        Command::Subscribe { .. } | Command::Unsubscribe { .. } => {}
        Command::Ask { reply, .. } => drop(reply.send(refusal("nobody is here to answer questions"))),
        Command::Shutdown => return false,
    }
    true
}
