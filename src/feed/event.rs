//! What a feed says, normalized: the input of every encoder and report.

use crate::book::Book;
use crate::model::{Channel, Clocks, Instrument, Level, StreamId, UnixNanos};
use crate::secret::Secret;
use crate::venue::{
    AccountUpdate, CandleUpdate, HttpRequest, LinkId, LiquidationUpdate, RawEvent, RpcRequest, TickerUpdate,
    TradeUpdate,
};

/// A symbol of a feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Symbol {
    /// Its place in the feed's table.
    pub id: u32,
    /// The venue's own spelling; empty for the feed as a whole.
    pub name: String,
    /// The canonical name, once the instrument is known.
    pub instrument: Option<String>,
}

/// How a stream, a symbol or a feed stands. The order is from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// What is published equals the venue's.
    Live,
    /// Waiting for the venue's snapshot.
    Syncing,
    /// Known to be behind or wrong; nothing is published.
    Stale,
    /// The terminal is reached, but is itself not connected.
    Offline,
    /// No connection.
    Down,
    /// The venue refused the subscription.
    Rejected,
}

impl State {
    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Syncing => "syncing",
            Self::Stale => "stale",
            Self::Offline => "offline",
            Self::Down => "down",
            Self::Rejected => "rejected",
        }
    }
}

/// Why a state is not live, or what made it so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The feed has just started.
    Starting,
    /// Updates are missing.
    Gap,
    /// The best bid reached the best ask.
    Crossed,
    /// The venue's checksum is not the book's.
    Checksum,
    /// No data for longer than the limit.
    Silence,
    /// The connection is gone.
    Disconnected,
    /// The venue refused the subscription.
    Rejected,
    /// A message could not be read or applied.
    Invalid,
    /// The venue did not send the snapshot in time.
    NoSnapshot,
    /// Someone asked for it.
    Requested,
    /// The terminal does not answer.
    NoAnswer,
    /// The terminal is not connected to its broker.
    Offline,
    /// The terminal's clock stands still while the market is open.
    ClockStopped,
    /// It was asked for once, by REST, and nothing keeps it up.
    Polled,
    /// Nobody wishes it any more.
    Unsubscribed,
    /// The process ends.
    Shutdown,
}

/// What became of a stream that was asked for, or left, at run time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome<'a> {
    /// The venue confirmed it.
    Subscribed,
    /// The venue refused it, in these words.
    Rejected(&'a str),
    /// The venue confirmed that it was left.
    Unsubscribed,
}

impl Reason {
    /// Whether the whole connection goes through it, and not one stream.
    pub const fn is_of_connection(self) -> bool {
        match self {
            Self::Starting
            | Self::Disconnected
            | Self::NoAnswer
            | Self::Offline
            | Self::ClockStopped
            | Self::Shutdown => true,
            Self::Gap
            | Self::Crossed
            | Self::Checksum
            | Self::Silence
            | Self::Rejected
            | Self::Invalid
            | Self::NoSnapshot
            | Self::Requested
            | Self::Polled
            | Self::Unsubscribed => false,
        }
    }

    /// The word used on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Gap => "gap",
            Self::Crossed => "crossed",
            Self::Checksum => "checksum",
            Self::Silence => "silence",
            Self::Disconnected => "disconnected",
            Self::Rejected => "rejected",
            Self::Invalid => "invalid",
            Self::NoSnapshot => "no_snapshot",
            Self::Requested => "requested",
            Self::Polled => "polled",
            Self::NoAnswer => "no_answer",
            Self::Offline => "offline",
            Self::ClockStopped => "clock_stopped",
            Self::Unsubscribed => "unsubscribed",
            Self::Shutdown => "shutdown",
        }
    }
}

/// A state and what is known about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The state.
    pub state: State,
    /// Why; absent while live.
    pub reason: Option<Reason>,
    /// Since when.
    pub since: UnixNanos,
    /// In words, where there is more to say.
    pub detail: Option<String>,
}

impl Status {
    /// Why there is no connection: the feed has never had one, or lost it.
    pub(super) const fn before_connecting(&self) -> Reason {
        match self.reason {
            None if matches!(self.state, State::Down) => Reason::Starting,
            Some(Reason::Starting) => Reason::Starting,
            _ => Reason::Disconnected,
        }
    }

    /// Whether this is trouble of one stream and not of its whole connection.
    pub const fn is_own_trouble(&self) -> bool {
        match self.state {
            State::Rejected => true,
            State::Stale | State::Syncing => match self.reason {
                Some(reason) => !reason.is_of_connection(),
                None => true,
            },
            State::Down => matches!(self.reason, Some(Reason::Unsubscribed)),
            State::Live | State::Offline => false,
        }
    }
}

/// The levels of a delta.
#[derive(Clone, Copy, Debug)]
pub enum Levels<'a> {
    /// The changes of one update.
    Changes(&'a [Level], &'a [Level]),
    /// The whole book: it replaces everything.
    Whole(&'a Book),
}

/// A book as it stands, for one topic.
#[derive(Clone, Copy, Debug)]
pub struct BookView<'a> {
    /// The book; it is live.
    pub book: &'a Book,
    /// The venue's id of the last update in it; 0 where it has none.
    pub venue_seq: u64,
    /// The clocks of that update.
    pub clocks: Clocks,
}

/// One thing that happened.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// A state changed.
    Status {
        /// Whether this stream speaks for its symbol (its book, if it has one). One of an account speaks for itself.
        main: bool,
        /// The channel, for one of a symbol's streams, or of an account's.
        channel: Option<Channel>,
        /// The new state.
        status: &'a Status,
    },
    /// Whether all connections of the feed are open now: part of every later state of the feed as a whole. One follows.
    Link {
        /// Whether they are.
        connected: bool,
    },
    /// A state is told again as it was, because there is something new to tell beside it.
    Notice {
        /// As in [`Self::Status`].
        main: bool,
        /// As in [`Self::Status`].
        channel: Option<Channel>,
        /// The state; its detail is new.
        status: &'a Status,
    },
    /// Levels changed, full depth.
    Delta {
        /// Which.
        levels: Levels<'a>,
        /// The venue's id of the update; 0 where it has none.
        venue_seq: u64,
        /// Its clocks.
        clocks: Clocks,
    },
    /// A book changed.
    Book(BookView<'a>),
    /// The best bid or offer changed.
    Bbo {
        /// Best bid.
        bid: Option<Level>,
        /// Best ask.
        ask: Option<Level>,
        /// The venue's id of the update; 0 where it has none.
        venue_seq: u64,
        /// Its clocks.
        clocks: Clocks,
    },
    /// A trade.
    Trade(&'a TradeUpdate<'a>),
    /// A ticker.
    Ticker(&'a TickerUpdate<'a>),
    /// A candle.
    Candle(&'a CandleUpdate<'a>),
    /// A liquidation.
    Liquidation(&'a LiquidationUpdate),
    /// An instrument's definition.
    Instrument(&'a Instrument),
    /// Something to be handed on as it is; of the feed as a whole.
    Raw(&'a RawEvent<'a>),
    /// A whole message, to be published without a change.
    Untouched(&'a [u8]),
    /// A row of an account; of the feed as a whole.
    Account(&'a AccountUpdate<'a>),
}

/// Where a feed's outputs go.
pub trait FeedOutput {
    /// Sends a text message to the venue.
    fn send(&mut self, link: LinkId, text: String);
    /// Sends a text message that signs in; see [`Output::sign_in`](crate::venue::Output::sign_in).
    fn sign_in(&mut self, link: LinkId, text: Secret) {
        self.send(link, text.reveal().to_owned());
    }
    /// Completes the address of this connection; see [`Output::address`](crate::venue::Output::address).
    fn address(&mut self, _link: LinkId, _key: Secret) {}
    /// Asks for a REST call, for the session of this connection.
    fn http(&mut self, link: LinkId, request: HttpRequest);
    /// Asks for an RPC call.
    fn rpc(&mut self, request: RpcRequest);
    /// Answers a question from the control socket.
    fn answer(&mut self, id: u64, text: String);
    /// The connection is of no more use.
    fn reconnect(&mut self, link: LinkId, reason: String);
    /// The venue answered to a subscription, or to leaving one.
    fn settled(&mut self, stream: StreamId, outcome: Outcome<'_>);
    /// Something happened to a symbol.
    fn event(&mut self, symbol: &Symbol, event: Event<'_>);
}
