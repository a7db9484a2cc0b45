//! The Binance session driven without a socket: what it sends, and what it makes of what the venue says.

mod account;
mod config;
mod data;
mod differential;
mod listing;
mod protocol;

use super::VENUE;
use crate::model::{Stream, StreamId};
use crate::venue::bybit::tests::{Recorder, at};
use crate::venue::{Input, Session, SessionSpec};

/// A session and what it said since the last look.
struct Desk {
    session: Box<dyn Session>,
    said: Recorder,
}

impl Desk {
    /// Streams are written `channel symbol`, the channel as config spells it.
    fn new(market: &str, streams: &[&str]) -> Self {
        let streams = streams.iter().map(|text| stream(market, text)).collect();
        Self::of(SessionSpec::of(market, streams))
    }

    /// A session as replay opens it.
    fn replay(market: &str) -> Self {
        Self::of(SessionSpec { discover: true, ..SessionSpec::of(market, Vec::new()) })
    }

    fn of(spec: SessionSpec) -> Self {
        Self { session: (VENUE.open)(spec), said: Recorder::default() }
    }

    /// Hands in one input and forgets what was said before.
    fn take(&mut self, input: Input<'_>, seconds: f64) -> &Recorder {
        let discovered = std::mem::take(&mut self.said.discovered);
        self.said = Recorder { discovered, ..Recorder::default() };
        self.session.handle(input, at(seconds), &mut self.said);
        &self.said
    }

    fn text(&mut self, message: &str, seconds: f64) -> Vec<String> {
        self.take(Input::Text(message.as_bytes()), seconds).updates.clone()
    }

    /// Hands in messages at second 1 and returns all updates.
    fn texts(&mut self, messages: &[&str]) -> Vec<String> {
        messages.iter().flat_map(|message| self.text(message, 1.0)).collect()
    }

    /// Connected at second 0, the list of symbols read and everything acknowledged.
    fn settled(market: &str, streams: &[&str], symbols: &[&str]) -> Self {
        let mut desk = Self::new(market, streams);
        let said = desk.take(Input::Connected, 0.0);
        let (list, sent) = (said.requests[0].id, said.sent.clone());
        desk.list(list, symbols, 0.1);
        for request in sent {
            let request: serde_json::Value = serde_json::from_str(&request).expect("JSON");
            desk.text(&format!(r#"{{"result":null,"id":{}}}"#, request["id"]), 0.2);
        }
        desk
    }

    /// Answers a call for the list of symbols.
    fn list(&mut self, id: u64, symbols: &[&str], seconds: f64) -> Vec<String> {
        let item = |symbol: &&str| format!(r#"{{"symbol":"{symbol}","baseAsset":"B","quoteAsset":"Q","filters":[]}}"#);
        let items: Vec<String> = symbols.iter().map(item).collect();
        let body = format!(r#"{{"symbols":[{}]}}"#, items.join(","));
        self.http(id, Some(200), &body, seconds)
    }

    fn http(&mut self, id: u64, status: Option<u16>, body: &str, seconds: f64) -> Vec<String> {
        self.take(Input::Http { id, status, body: body.as_bytes(), url: None }, seconds).updates.clone()
    }

    /// When it wants to be woken, in seconds.
    fn wakes_at(&self) -> Option<f64> {
        self.session.next_timeout().map(|timer| timer.at.0 as f64 / 1e9)
    }
}

/// `channel symbol`.
fn stream(market: &str, text: &str) -> Stream {
    let (channel, symbol) = text.split_once(' ').expect("channel and symbol");
    let spec = (VENUE.parse_channel)(market, channel).expect("a channel");
    Stream { variant: spec.variant, ..Stream::new(symbol, spec.channel) }
}

const fn id(number: u32) -> StreamId {
    StreamId(number)
}
