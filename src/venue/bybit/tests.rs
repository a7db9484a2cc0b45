//! The Bybit session driven without a socket: what it sends, and what it makes of what the venue says.

mod account;
mod config;
mod data;
pub(crate) mod differential;
mod protocol;
mod rest;

use super::VENUE;
use crate::model::{Channel, Clocks, Level, Mono, Stamp, Stream, StreamId, UnixNanos};
use crate::secret::Secret;
use crate::sign;
use crate::venue::{
    Credentials, Endpoints, HttpRequest, Input, Output, RpcRequest, Session, SessionSpec, Signer, Update,
};

/// Everything a session said, in words that tests compare.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    pub(crate) sent: Vec<String>,
    pub(crate) requests: Vec<HttpRequest>,
    pub(crate) updates: Vec<String>,
    pub(crate) clocks: Vec<Clocks>,
    pub(crate) discovered: Vec<Stream>,
    pub(crate) reconnects: Vec<String>,
}

impl Output for Recorder {
    fn send(&mut self, text: String) {
        self.sent.push(text);
    }

    fn http(&mut self, request: HttpRequest) {
        self.requests.push(request);
    }

    fn rpc(&mut self, _: RpcRequest) {}

    fn answer(&mut self, _: u64, _: String) {}

    fn update(&mut self, update: Update<'_>) {
        let (text, clocks) = words(&update);
        self.updates.push(text);
        self.clocks.extend(clocks);
    }

    fn discovered(&mut self, stream: Stream) -> Option<StreamId> {
        self.discovered.push(stream);
        Some(StreamId(self.discovered.len() as u32 - 1))
    }

    fn reconnect(&mut self, reason: String) {
        self.reconnects.push(reason);
    }

    fn replace(&mut self, reason: &str) {
        self.updates.push(format!("replace: {reason}"));
    }
}

fn levels(levels: &[Level]) -> String {
    levels.iter().map(|level| format!("{}:{}", level.price, level.size)).collect::<Vec<_>>().join(" ")
}

fn words(update: &Update<'_>) -> (String, Option<Clocks>) {
    let text = match update {
        Update::Subscribed(stream) => format!("subscribed {}", stream.0),
        Update::Unsubscribed(stream) => format!("unsubscribed {}", stream.0),
        Update::Rejected { stream, detail } => format!("rejected {}: {detail}", stream.0),
        Update::Broken { stream, .. } => format!("broken {:?}", stream.map(|stream| stream.0)),
        Update::ImageFailed { stream, detail } => format!("image failed {}: {detail}", stream.0),
        Update::WantsImage { stream, rule } => format!("wants image {} by {rule:?}", stream.0),
        Update::Ignored(why) => format!("ignored {why:?}"),
        Update::Terminal(state) => format!("terminal {state:?}"),
        Update::Untouched(message) => format!("untouched {}", String::from_utf8_lossy(message)),
        Update::Raw(event) => format!("raw {}", event.name),
        Update::Unchanged(_) | Update::Notice { .. } | Update::Late { .. } => format!("{update:?}"),
        Update::Account(row) => {
            let fields: Vec<_> = row.fields.iter().map(|(key, value)| format!("{key}={value}")).collect();
            let market = row.market.unwrap_or("-");
            let text = format!("{} {} {market}/{} {}", row.kind.as_str(), row.account, row.symbol, fields.join(" "));
            return (text, Some(row.clocks));
        }
        Update::Book(book) => {
            let kind = if book.snapshot { "snapshot" } else { "delta" };
            let (bids, asks) = (levels(book.bids), levels(book.asks));
            let mut text = format!("{kind} {} {}/{} [{bids}] [{asks}]", book.stream.0, book.seq, book.cross_seq);
            if book.first > 0 {
                text = format!("{text} from {}", book.first);
            }
            if book.previous > 0 {
                text = format!("{text} after {}", book.previous);
            }
            if let Some(checksum) = book.checksum {
                text = format!("{text} sum {}", checksum.cast_signed());
            }
            if let Some(middle) = book.middle {
                text = format!("{text} middle {middle}");
            }
            return (text, Some(book.clocks));
        }
        Update::Trade(t) => {
            let block = t.block.map_or("?", |block| if block { "block" } else { "book" });
            let text = format!("trade {} {} {} {} {} {block}", t.stream.0, t.id, t.price, t.size, t.side.as_str());
            return (format!("{text} {:?}", t.venue_seq), Some(t.clocks));
        }
        Update::Ticker(ticker) => {
            let fields: Vec<_> = ticker.fields.iter().map(|(field, text)| format!("{field:?}={text}")).collect();
            let params: Vec<_> = ticker.params.iter().map(|(key, text)| format!(" {key}:{text}")).collect();
            let text = format!("ticker {} {}{}", ticker.stream.0, fields.join(" "), params.concat());
            return (text, Some(ticker.clocks));
        }
        Update::Candle(c) => {
            let numbers = [c.open, c.high, c.low, c.close, c.volume, c.turnover.unwrap_or("-")].join(" ");
            let text = format!("candle {} {} {}..{} {numbers}", c.stream.0, c.interval, c.open_time, c.close_time);
            return (format!("{text} {}", if c.closed { "closed" } else { "open" }), Some(c.clocks));
        }
        Update::Liquidation(l) => {
            let text = format!("liquidation {} {} {} {}", l.stream.0, l.side.as_str(), l.price, l.size);
            return (text, Some(l.clocks));
        }
        Update::Instrument(instrument) => format!("instrument {} {}", instrument.symbol, instrument.canonical()),
    };
    (text, None)
}

/// A moment, in seconds.
pub(crate) fn at(seconds: f64) -> Stamp {
    let nanos = (seconds * 1e9) as u64;
    Stamp { mono: Mono(nanos), wall: UnixNanos(1_700_000_000_000_000_000 + nanos) }
}

/// A session and what it said since the last look.
pub(crate) struct Desk {
    session: Box<dyn Session>,
    pub(crate) said: Recorder,
}

impl Desk {
    /// Streams are written `channel symbol`, the channel as config spells it.
    pub(crate) fn new(market: &str, streams: &[&str]) -> Self {
        let streams = streams.iter().map(|text| stream(market, text)).collect();
        Self::of(SessionSpec::of(market, streams))
    }

    /// A session as replay opens it.
    pub(crate) fn replay(market: &str) -> Self {
        Self::of(SessionSpec { discover: true, ..SessionSpec::of(market, Vec::new()) })
    }

    /// The session of the account's connection, with a key to sign in with.
    fn signed(market: &str, channels: &[&str]) -> Self {
        let secret = |text: &str| Secret::new(text.to_owned());
        let credentials = Credentials { key: secret("k"), secret: secret("testsecret"), passphrase: None };
        let api = sign::find("bybit").expect("known");
        let signer = Signer::new("main", api, credentials, "https://api.bybit.com").expect("usable");
        Self::of(SessionSpec { signer: Some(signer), ..Self::private(market, channels) })
    }

    fn private(market: &str, channels: &[&str]) -> SessionSpec {
        let channel = |text: &&str| (VENUE.parse_channel)(market, text).expect("a channel").channel;
        let streams: Vec<_> = channels.iter().map(|text| Stream::new("", channel(text))).collect();
        let route = (VENUE.route_of)(market, &streams[0]);
        SessionSpec { route, ..SessionSpec::of(market, streams) }
    }

    fn of(spec: SessionSpec) -> Self {
        Self { session: (VENUE.open)(spec), said: Recorder::default() }
    }

    /// Hands in one input and forgets what was said before.
    pub(crate) fn take(&mut self, input: Input<'_>, seconds: f64) -> &Recorder {
        self.said = Recorder::default();
        self.session.handle(input, at(seconds), &mut self.said);
        &self.said
    }

    /// Hands in a message and returns the updates it led to.
    pub(crate) fn text(&mut self, message: &str, seconds: f64) -> Vec<String> {
        self.take(Input::Text(message.as_bytes()), seconds).updates.clone()
    }

    /// Hands in messages at second 1 and returns all updates.
    pub(crate) fn texts(&mut self, messages: &[&str]) -> Vec<String> {
        messages.iter().flat_map(|message| self.text(message, 1.0)).collect()
    }

    /// When it wants to be woken, in seconds.
    fn wakes_at(&self) -> Option<f64> {
        self.session.next_timeout().map(|timer| timer.at.0 as f64 / 1e9)
    }
}

pub(crate) fn stream(market: &str, text: &str) -> Stream {
    let (channel, symbol) = text.split_once(' ').expect("channel and symbol");
    let channel: Channel = (VENUE.parse_channel)(market, channel).expect("a channel").channel;
    Stream::new(symbol, channel)
}

fn endpoints(market: &str, url: Option<&str>, rest_url: Option<&str>) -> Endpoints {
    (VENUE.endpoints)(market, url, rest_url)
}
