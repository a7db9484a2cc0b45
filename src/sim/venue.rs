//! What the sockets of a simulated venue need of it: a [`Venue`] with true markets, and a [`Session`] for each
//! connection. Both are pure; time is an argument.

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

use super::fault::FaultKind;
use super::server::Options;
use crate::model::{Decimal, Level, Mono, Stamp};

/// How deep a book is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Depth {
    /// The best levels.
    Levels(u16),
    /// Everything.
    Full,
}

impl Depth {
    /// As a number of levels.
    pub const fn levels(self) -> usize {
        match self {
            Self::Levels(n) => n as usize,
            Self::Full => usize::MAX,
        }
    }
}

/// What a published message carries, as far as faults care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An order book.
    Book {
        /// Whether it replaces the book.
        snapshot: bool,
    },
    /// A change to an order book whose snapshots come by REST only.
    FullDelta,
    /// Trades.
    Trades,
    /// Anything else.
    Other,
}

/// One message of one topic, made once for all its subscribers.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its place among everything the venue published, from 1.
    pub event: u64,
    /// Whose connections it is for, where the same topic means different things on different paths; else empty.
    pub product: &'static str,
    /// Its topic.
    pub topic: Arc<str>,
    /// What it carries.
    pub kind: Kind,
    /// The text.
    pub text: Bytes,
}

impl Published {
    /// A message that has no place yet.
    pub fn new(product: &'static str, topic: &str, kind: Kind, text: Vec<u8>) -> Self {
        Self { event: 0, product, topic: topic.into(), kind, text: text.into() }
    }
}

/// A ping or pong frame of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat<'a> {
    /// A ping. The socket has answered it.
    Ping,
    /// A pong with this payload.
    Pong(&'a [u8]),
}

/// What a request is answered with.
#[derive(Clone, Debug)]
pub enum Reply {
    /// The answer to a subscription, or an error.
    Control(String),
    /// The answer to a ping.
    Pong(String),
    /// A ping frame with this payload.
    Ping(Vec<u8>),
    /// The first state of a topic just subscribed.
    Data(Published),
    /// The connection is closed with this code and reason.
    Close(u16, &'static str),
}

/// A book as the venue has published it: what a client at this depth and id must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueBook {
    /// The id clients see: Bybit's update id, OKX's `seqId`.
    pub u: u64,
    /// The market's own sequence.
    pub seq: u64,
    /// Best first, spelled as on the wire.
    pub bids: Vec<Level>,
    /// Best first, spelled as on the wire.
    pub asks: Vec<Level>,
}

/// CRC32 of `price:size|…#price:size|…`: the best 25 bids, then the best 25 asks, best first, numbers without trailing
/// zeros.
pub fn digest(sides: [&mut dyn Iterator<Item = (Decimal, Decimal)>; 2]) -> u32 {
    let mut text = Vec::with_capacity(1_024);
    for (at, side) in sides.into_iter().enumerate() {
        if at == 1 {
            text.push(b'#');
        }
        for (at, (price, size)) in side.take(25).enumerate() {
            if at > 0 {
                text.push(b'|');
            }
            price.trimmed().write(&mut text);
            text.push(b':');
            size.trimmed().write(&mut text);
        }
    }
    crc32fast::hash(&text)
}

/// Who asks for something over HTTP, a websocket included.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The method: `GET`, `POST` …
    pub method: &'a str,
    /// The path.
    pub path: &'a str,
    /// What follows the question mark.
    pub query: &'a str,
    /// What came as the body; empty for a websocket.
    pub body: &'a str,
    /// Names and values of its headers.
    pub headers: &'a [(&'a str, &'a str)],
    /// The client's address.
    pub peer: IpAddr,
    /// What is to go wrong with the answer.
    pub fault: Option<&'a FaultKind>,
}

impl<'a> Asked<'a> {
    /// A header, however its name is capitalised; `None` if it is missing or empty.
    pub fn header(&self, name: &str) -> Option<&'a str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| *value).filter(|value| !value.is_empty())
    }

    /// Path and query, as they stand on the request line.
    pub fn target(&self) -> String {
        if self.query.is_empty() { self.path.to_owned() } else { format!("{}?{}", self.path, self.query) }
    }

    /// A `GET` without headers.
    pub const fn get(path: &'a str, query: &'a str, peer: IpAddr) -> Self {
        Self { method: "GET", path, query, body: "", headers: &[], peer, fault: None }
    }
}

/// How often clients signed in over a websocket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Logins {
    /// How often they tried.
    pub tried: u64,
    /// How often they were refused.
    pub refused: u64,
}

impl Logins {
    /// Counts one more, which had this result.
    pub fn count<T, E>(&mut self, result: Result<T, E>) -> Result<T, E> {
        self.tried += 1;
        self.refused += u64::from(result.is_err());
        result
    }
}

/// What an HTTP request is answered with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers of the venue's own.
    pub headers: Vec<(&'static str, String)>,
    /// JSON.
    pub body: String,
}

impl From<(u16, String)> for Answer {
    fn from((status, body): (u16, String)) -> Self {
        Self { status, headers: Vec::new(), body }
    }
}

/// All symbols behind one simulated address.
pub trait Venue: Send + Sized + 'static {
    /// The server's side of one connection.
    type Session: Session<Venue = Self>;
    /// A message of a topic that does not exist.
    const STRANGER: &'static str;

    /// Sets the markets up.
    fn open(options: &Options, now: Stamp) -> Self;
    /// The websocket path of a place: a product, or whatever else the venue divides its connections by.
    fn path(place: &str) -> String;
    /// Whether the venue can have this fault.
    fn can(kind: &FaultKind) -> bool;

    /// When to call [`Self::tick`] next.
    fn next_due(&self) -> Mono;
    /// Makes every move that is due and publishes what goes out by the clock.
    fn tick(&mut self, now: Stamp, out: &mut Vec<Published>);
    /// Makes `moves` moves now.
    fn step(&mut self, moves: usize, now: Stamp, out: &mut Vec<Published>);
    /// Accepts a websocket, the `number`th of this server.
    ///
    /// # Errors
    /// The HTTP status that refuses it.
    fn connect(&mut self, asked: &Asked<'_>, number: u64, now: Stamp) -> Result<Self::Session, u16>;
    /// Whether REST requests may have this method.
    fn takes(method: &str) -> bool {
        method == "GET"
    }
    /// Whether a REST request with this path is for the image of a book.
    fn is_image(_path: &str) -> bool {
        false
    }
    /// Answers a REST request.
    fn answer(&mut self, asked: &Asked<'_>, now: Stamp) -> Answer;
    /// What it says with this status when something is wrong with itself.
    fn broken(_status: u16) -> String {
        String::new()
    }
    /// What it counted of its clients, for those who check them.
    fn stats(&self, now: Stamp) -> serde_json::Value;
    /// What the account's stream of a market told, or would have told, of its fills: symbol, id and order of each, oldest
    /// first.
    fn fills(&self, market: &str) -> Vec<String>;
    /// The order book service of a topic starts anew, for all its subscribers.
    fn restart(&mut self, product: &str, topic: &str, now: Stamp, out: &mut Vec<Published>);
    /// A book change with one more bid, above the best ask.
    fn crossed(&self, message: &Published) -> String;

    /// The book published at a depth; `None` for what is not listed.
    fn truth(&mut self, market: &str, symbol: &str, depth: Depth, now: Stamp) -> Option<TrueBook>;
    /// The [`digest`] of the book that had this id; the last 2,000 of each depth are known.
    fn digest(&self, market: &str, symbol: &str, depth: Depth, id: u64) -> Option<u32>;
}

/// The server's side of one connection: requests in, answers and subscribed messages out.
pub trait Session: Send {
    /// The venue it belongs to.
    type Venue: Venue;

    /// Where it is connected to, in the words of [`Venue::path`].
    fn place(&self) -> &'static str;
    /// Answers one text message. `refuses` names topics to be treated as unknown.
    fn on_text(
        &mut self,
        text: &str,
        now: Stamp,
        venue: &mut Self::Venue,
        refuses: &mut dyn FnMut(&str) -> bool,
    ) -> Vec<Reply>;
    /// Answers a ping or pong frame.
    fn on_beat(&mut self, _beat: Beat<'_>, now: Stamp) -> Vec<Reply> {
        self.touch(now.mono);
        Vec::new()
    }
    /// When to call [`Self::on_alarm`] next.
    fn alarm(&self) -> Mono {
        Mono(u64::MAX)
    }
    /// Sends what goes out by the connection's own clock.
    fn on_alarm(&mut self, _now: Stamp) -> Vec<Reply> {
        Vec::new()
    }
    /// A message in the form in which this connection gets it.
    fn framed(&self, message: Published) -> Published {
        message
    }
    /// Whether this connection gets a message, now that the venue published it.
    fn wants(&self, message: &Published) -> bool;
    /// The topic falls silent until it is subscribed to anew.
    fn mute(&mut self, topic: &str);
    /// The present state of a subscribed topic, as a snapshot nobody asked for; older messages no longer count.
    fn snapshot(&mut self, topic: &str, now: Stamp, venue: &mut Self::Venue) -> Vec<Published>;
    /// Says that the connection will be closed soon; `None` where the venue has no words for it.
    fn notice(&self, now: Stamp) -> Option<String>;
    /// Something came in or went out.
    fn touch(&mut self, now: Mono);
    /// When the connection is to be closed unless something happens before, with which code and reason.
    fn idle(&self) -> (Mono, u16, &'static str);
    /// Gives up all subscriptions: the connection is gone.
    fn close(&mut self, venue: &mut Self::Venue);
}
