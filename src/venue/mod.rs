//! Venues: what each one is called, which markets and channels it has, and its sans-IO session.
//!
//! A session turns one connection's bytes into [`Update`]s in tickbus's words and says what to send and when
//! to be woken. It owns no socket, reads no clock and keeps no book: sequencing and books belong to `feed`.

use std::time::Duration;

use crate::model::{Channel, Mono, Stamp, Stream, StreamId, UnixNanos};
use crate::secret::Secret;

mod account;
pub mod binance;
pub mod bitflyer;
pub mod bybit;
mod bybit_v2;
mod endpoint;
pub mod kit;
pub mod okx;
pub mod other;
pub mod quik;
mod raw;
mod server_time;
mod terminal;
mod update;

pub use crate::sign::{Credentials, Method, Signer};
pub use account::{AccountKind, AccountUpdate, FieldValue, is_order_over, usual_row_keys};
pub use endpoint::{Endpoint, Page, Params, Past, Reader, Told};
pub use raw::RawSession;
pub use server_time::ServerTime;
pub use terminal::{Host, RawEvent, RpcRequest, TerminalSpec, TerminalState, Urgency};
pub use update::{
    BookUpdate, CandleUpdate, Ignored, LiquidationUpdate, TickerField, TickerUpdate, TradeUpdate, Update,
};

/// Every venue tickbus knows. A new one is its folder, its `mod` line and its line here.
pub const VENUES: &[&VenueDef] =
    &[&binance::VENUE, &bitflyer::VENUE, &bybit::VENUE, &okx::VENUE, &okx::VENUE_OKJ, &other::VENUE, &quik::VENUE];

/// The venue with this id.
pub fn find(id: &str) -> Option<&'static VenueDef> {
    VENUES.iter().copied().find(|venue| venue.id == id)
}

/// Checks a market's name; the error says what is allowed.
pub type MarketCheck = fn(market: &str) -> Result<(), String>;

/// What is known of a venue before connecting.
pub struct VenueDef {
    /// Its name in config and topics: lower case.
    pub id: &'static str,
    /// Its markets, each with where it is reached.
    pub markets: &'static [Market],
    /// Checks the name of a market that is not listed, where the venue has more than can be listed; `None`: there
    /// are no others.
    pub other_markets: Option<MarketCheck>,
    /// What its feeds are connected through.
    pub transport: Transport,
    /// Channels it supports, as config spells them, for help texts (`book:50`, `candle:1m`).
    pub channels: fn(market: &str) -> Vec<String>,
    /// Reads one entry of a feed's `channels`: tickbus's spelling or the venue's own.
    ///
    /// # Errors
    /// What is wrong and what is allowed, as one sentence without the config path.
    pub parse_channel: fn(market: &str, text: &str) -> Result<ChannelSpec, String>,
    /// Which of the venue's addresses a stream is reached at: a place in [`Endpoints::urls`].
    pub route_of: fn(market: &str, stream: &Stream) -> Route,
    /// Checks the spelling of a symbol; the error says what is allowed.
    pub check_symbol: fn(market: &str, symbol: &str) -> Result<(), String>,
    /// Says what a websocket and REST address in the config really lead to (retired hosts, missing paths).
    pub endpoints: fn(market: &str, url: Option<&str>, rest_url: Option<&str>) -> Endpoints,
    /// Least time between two new connections to a host of it, over all feeds; zero where only the process's budget counts.
    pub connect_pause: Duration,
    /// The REST endpoints of a market that have a name.
    pub rest: fn(market: &str) -> &'static [Endpoint],
    /// Opens a session.
    pub open: fn(spec: SessionSpec) -> Box<dyn Session>,
    /// Tells the market of a recording from a connect address or a message, if it can.
    pub market_of: fn(url: Option<&str>, message: &[u8]) -> Option<&'static str>,
    /// Whether one connection may carry several markets, so that each message of a recording is asked for its own.
    pub is_mixed: bool,
    /// How long a book may be without a message where the config does not say, if not the usual time: for venues that send
    /// nothing while nothing changes.
    pub silence: Option<Duration>,
    /// How much may be asked of its REST hosts.
    pub rest_limit: fn(market: &str) -> RestLimit,
    /// How its clock is read, if it refuses signed calls whose time is not its own.
    pub server_time: Option<ServerTime>,
    /// The fields, or `params`, that tell apart the positions, and the balances, of one account and symbol.
    pub row_keys: fn(kind: AccountKind) -> &'static [&'static str],
}

/// How much may be asked of a venue's REST hosts.
#[derive(Clone, Copy, Debug)]
pub struct RestLimit {
    /// Markets that the venue counts together share a name.
    pub name: &'static str,
    /// Weight that may leave in any minute: some less than the venue allows.
    pub per_minute: u32,
    /// Weight that may leave at once after a pause.
    pub burst: u32,
    /// The header of an answer that tells the weight used in this minute, in lower case.
    pub used_header: Option<&'static str>,
    /// Until when we are banned, from the body of a refusal that says so.
    pub banned_until: fn(body: &[u8]) -> Option<UnixNanos>,
    /// Weight that may leave in any minute, from the body of an answer of this path that says what the venue allows. More than
    /// `per_minute` is not taken.
    pub told: fn(path: &str, body: &[u8]) -> Option<u32>,
}

impl RestLimit {
    /// [`VenueDef::rest_limit`] of venues that count calls and say nothing: so many a second, twice as many at once.
    pub const fn calls(name: &'static str, per_second: u32) -> Self {
        Self {
            name,
            per_minute: per_second * 60,
            burst: per_second * 2,
            used_header: None,
            banned_until: |_| None,
            told: |_, _| None,
        }
    }
}

/// What a feed is connected through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A websocket, with REST beside it.
    WebSocket,
    /// A trading terminal's ZeroMQ sockets: RPC, and events.
    Terminal,
}

/// What stands in an address for a key that only a REST call can tell; see [`Output::address`].
pub const KEY_PLACE: &str = "{key}";

/// One of a venue's addresses, each of which serves some channels: a place in [`Endpoints::urls`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Route(pub u8);

impl Route {
    /// A connection of its own to the first address, for what the user subscribes to in the venue's words.
    pub const RAW: Self = Self(u8::MAX);
}

/// [`VenueDef::route_of`] of venues with one address for everything.
pub const fn one_route(_market: &str, _stream: &Stream) -> Route {
    Route(0)
}

/// One connection of a feed, with a session of its own. A feed has one for each route its streams take; while one is
/// replaced, two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LinkId(pub u32);

/// What an entry of `channels` begins with that is a subscription in the venue's own words.
const RAW_PREFIX: &str = "raw:";
/// The longest such subscription, in bytes: more than any venue takes.
const RAW_MAX: usize = 64 * 1024;

impl VenueDef {
    /// Which connection a stream is reached over.
    pub fn route(&self, market: &str, stream: &Stream) -> Route {
        if stream.channel == Channel::Raw { Route::RAW } else { (self.route_of)(market, stream) }
    }

    /// Reads one entry of a feed's `channels`.
    ///
    /// # Errors
    /// What is wrong and what is allowed, as one sentence without the config path.
    pub fn channel(&self, market: &str, text: &str) -> Result<ChannelSpec, String> {
        match text.strip_prefix(RAW_PREFIX).filter(|_| self.transport == Transport::WebSocket) {
            None => (self.parse_channel)(market, text),
            Some(words) if words.trim().is_empty() => {
                Err("raw: needs the text that is sent to subscribe, such as raw:{\"op\":\"subscribe\",…}".to_owned())
            }
            Some(words) if words.len() > RAW_MAX => Err(format!("a raw subscription has at most {RAW_MAX} bytes")),
            Some(words) => Ok(ChannelSpec { symbols: vec![words.to_owned()], ..ChannelSpec::of(Channel::Raw) }),
        }
    }

    /// Checks the name of a market.
    ///
    /// # Errors
    /// What is allowed, as one sentence.
    pub fn check_market(&self, market: &str) -> Result<(), String> {
        if self.markets.iter().any(|known| known.id == market) {
            return Ok(());
        }
        match self.other_markets {
            Some(check) => check(market),
            None => {
                let known: Vec<&str> = self.markets.iter().map(|market| market.id).collect();
                Err(format!("unknown {} market {market:?}; allowed: {}", self.id, known.join(", ")))
            }
        }
    }

    /// A market's REST endpoint of this name.
    ///
    /// # Errors
    /// Which there are.
    pub fn endpoint(&self, market: &str, name: &str) -> Result<&'static Endpoint, String> {
        let all = (self.rest)(market);
        all.iter().find(|endpoint| endpoint.name == name).ok_or_else(|| {
            let known: Vec<&str> = all.iter().map(|endpoint| endpoint.name).collect();
            match known.is_empty() {
                true => format!("{} has no named endpoints; give a method and a path", self.id),
                false => format!("{} {market} has no endpoint {name:?}; allowed: {}", self.id, known.join(", ")),
            }
        })
    }

    /// An example of a market's symbols, for error texts.
    pub fn example_symbol(&self, market: &str) -> &'static str {
        let of_market = self.markets.iter().find(|known| known.id == market);
        of_market.or(self.markets.first()).map_or("", |market| market.example)
    }
}

impl Endpoints {
    /// The address of a route; the first one where it has none of its own.
    pub fn url(&self, route: Route) -> &str {
        let own = match route {
            Route::RAW => self.raw.as_ref(),
            route => self.urls.get(usize::from(route.0)),
        };
        own.or(self.urls.first()).map_or("", String::as_str)
    }
}

/// A venue's segment with its own symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Market {
    /// Its name in config and topics.
    pub id: &'static str,
    /// Default websocket address.
    pub url: &'static str,
    /// Default REST base address.
    pub rest_url: &'static str,
    /// An example of a symbol, for error texts.
    pub example: &'static str,
}

/// Where a feed connects to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Websocket addresses, path included, by [`Route`]; at least one.
    pub urls: Vec<String>,
    /// Where a [`Route::RAW`] leads, if not to the first of them: the config's own text, when it names one of the venue's
    /// paths.
    pub raw: Option<String>,
    /// REST base address without a trailing slash.
    pub rest_url: String,
    /// What was changed from the config's text and why, for one log line.
    pub note: Option<String>,
}

/// One entry of a feed's `channels`, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelSpec {
    /// What to subscribe to.
    pub channel: Channel,
    /// In which of several ways ([`Stream::variant`]).
    pub variant: &'static str,
    /// The symbols, where the entry itself names them (`orderBookL2_25.BTCUSD`, `trade.BTCUSD|ETHUSD`); it then
    /// applies to these only. Empty: all of the feed's symbols.
    pub symbols: Vec<String>,
    /// Levels to publish, where the entry's name implies fewer than the subscription gives.
    pub book_depth: Option<u16>,
    /// That a retired name was translated, for one log line.
    pub note: Option<String>,
}

impl ChannelSpec {
    /// This channel of all the feed's symbols, in the usual way and with nothing to add.
    pub const fn of(channel: Channel) -> Self {
        Self { channel, variant: "", symbols: Vec::new(), book_depth: None, note: None }
    }
}

/// What a session is opened with.
#[derive(Clone, Debug, Default)]
pub struct SessionSpec {
    /// One of the venue's markets.
    pub market: String,
    /// The address this session's connection leads to.
    pub route: Route,
    /// Whether this session fetches what the feed needs once, such as the list of instruments.
    pub leads: bool,
    /// What to subscribe to over this connection. Ids are the feed's: there may be others in between.
    pub streams: Vec<(StreamId, Stream)>,
    /// Who signs in, where the config says so.
    pub signer: Option<Signer>,
    /// The symbols the feed names for whatever connection: fills of these are read where they are told symbol by symbol.
    pub symbols: Vec<String>,
    /// Until when the connection that this one is to replace told everything.
    pub whole: Option<UnixNanos>,
    /// The address a [`Route::RAW`] leads to.
    pub raw_url: String,
    /// Replay: streams that are not in the table are added as they appear, and nothing is requested.
    pub discover: bool,
    /// Settings of a terminal's feed; the default for all others.
    pub terminal: TerminalSpec,
}

impl SessionSpec {
    /// The only session of a feed with these streams, whose places are their ids.
    pub fn of(market: &str, streams: Vec<Stream>) -> Self {
        let streams = (0..).map(StreamId).zip(streams).collect();
        Self { market: market.to_owned(), leads: true, streams, ..Self::default() }
    }
}

/// What happens to a session.
#[derive(Debug)]
pub enum Input<'a> {
    /// A new connection is open. All that was subscribed before is gone.
    Connected,
    /// A text message.
    Text(&'a [u8]),
    /// A binary message.
    Binary(&'a [u8]),
    /// The answer to [`Output::http`].
    Http {
        /// The request's id.
        id: u64,
        /// HTTP status, or `None` when there was no answer.
        status: Option<u16>,
        /// The body; the error's text when there was no answer.
        body: &'a [u8],
        /// In a recording, the address that was called, where it says so.
        url: Option<&'a str>,
    },
    /// The answer to [`Output::rpc`]: its bytes, or why there is none.
    Rpc {
        /// The request's id.
        id: u64,
        /// The answer.
        answer: Result<&'a [u8], &'a str>,
    },
    /// A question from the control socket that only the session can answer, with [`Output::answer`].
    Ask {
        /// Comes back with the answer.
        id: u64,
        /// JSON text: the request as it was asked, its `op` being one of the venue's own.
        question: &'a str,
    },
    /// Subscribe to one stream more, at run time; the answer is [`Update::Subscribed`] or [`Update::Rejected`].
    Subscribe {
        /// Its id from now on.
        id: StreamId,
        /// What it is.
        stream: &'a Stream,
    },
    /// Leave a stream, at run time; the answer is [`Update::Unsubscribed`]. Its id may be given to the same stream again.
    Unsubscribe(StreamId),
    /// Subscribe to one stream anew, because its book cannot be trusted.
    Resync(StreamId),
    /// Fetch the book's REST image; the answer is a snapshot or [`Update::ImageFailed`].
    Image(StreamId),
    /// Read the account's state again: orders, positions and balances.
    Initialize,
    /// The time [`Session::next_timeout`] asked for has come.
    Timeout,
    /// The connection is gone.
    Disconnected,
    /// The process ends: what was taken at the venue is to be given back now. For a short while the answers to the
    /// calls of this step still come in; then nothing does.
    Shutdown,
}

/// When a session wants to be woken, and why (for logs).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timer {
    /// When.
    pub at: Mono,
    /// What for.
    pub why: &'static str,
}

/// The sans-IO protocol state of one connection.
pub trait Session: Send {
    /// Takes one input and hands everything that follows from it to `out`, in order.
    fn handle(&mut self, input: Input<'_>, now: Stamp, out: &mut dyn Output);

    /// When to call [`Session::handle`] with [`Input::Timeout`], if nothing else happens first.
    fn next_timeout(&self) -> Option<Timer>;

    /// Milliseconds that the venue's clock is ahead of ours, if logins are signed by it.
    fn clock_ahead_ms(&self) -> Option<i64> {
        None
    }
}

/// Where a session's outputs go.
pub trait Output {
    /// Sends a text message to the venue.
    fn send(&mut self, text: String);
    /// Sends a text message that signs in, before all others: it is in no recording.
    fn sign_in(&mut self, text: Secret) {
        self.send(text.reveal().to_owned());
    }
    /// Completes the address of this connection, which has [`KEY_PLACE`] and is not dialled before; after each loss it is to be
    /// completed anew. The key is in no log and no recording.
    fn address(&mut self, _key: Secret) {}
    /// Asks for a REST call; the answer comes back as [`Input::Http`], whatever happens.
    fn http(&mut self, request: HttpRequest);
    /// Asks for an RPC call; the answer comes back as [`Input::Rpc`], whatever happens.
    fn rpc(&mut self, request: RpcRequest);
    /// Answers [`Input::Ask`] with JSON text, within a second of it.
    fn answer(&mut self, id: u64, text: String);
    /// Something the venue said.
    fn update(&mut self, update: Update<'_>);
    /// Registers a stream found in a recording (only when [`SessionSpec::discover`] is set); `None` when there are too
    /// many, and then it is to be ignored as an unknown topic is.
    fn discovered(&mut self, stream: Stream) -> Option<StreamId>;
    /// This connection is of no more use; the driver closes it and dials again with back-off.
    fn reconnect(&mut self, reason: String);
    /// The venue will close this connection soon: another one is opened beside it, and this one goes when that one has
    /// all its streams.
    fn replace(&mut self, reason: &str);
}

/// A REST call a session needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpRequest {
    /// Chosen by the session; comes back with the answer.
    pub id: u64,
    /// Its method.
    pub method: Method,
    /// Path and query, to be put behind the feed's REST address.
    pub path: String,
    /// Whether it is signed when it leaves, by the feed's [`Signer`]; without one it is answered with an error.
    pub signed: bool,
    /// How long the whole call may take once it has left; before, it may have to wait for the venue's budget.
    pub timeout: Duration,
    /// What it costs of the venue's [`RestLimit`]; 1 where calls are counted.
    pub weight: u32,
    /// The stream whose image it is, so that its state can tell that it waits.
    pub stream: Option<StreamId>,
    /// Whether all calls that are not patient go first: those for the past are.
    pub patient: bool,
    /// Whether the answer holds a key, so that it is in no recording.
    pub is_secret: bool,
}

impl HttpRequest {
    /// A call of public data, for no stream's image.
    pub const fn get(id: u64, path: String, timeout: Duration, weight: u32) -> Self {
        Self {
            id,
            method: Method::Get,
            path,
            signed: false,
            timeout,
            weight,
            stream: None,
            patient: false,
            is_secret: false,
        }
    }
}
