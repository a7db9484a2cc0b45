//! The bitFlyer session driven without a socket: what it sends, and what it makes of what the venue says.

mod account;
mod config;
mod data;
mod protocol;

use super::{VENUE, route_of};
use crate::model::{Stream, StreamId};
use crate::venue::bybit::tests::{Recorder, at};
use crate::venue::{Input, Session, SessionSpec};

/// The list of products, as the venue answers it.
const MARKETS: &[u8] =
    br#"[{"product_code":"BTC_JPY","market_type":"Spot"},{"product_code":"FX_BTC_JPY","market_type":"FX"},{"product_code":"ETH_BTC","market_type":"Spot"}]"#;

/// A session and what it said since the last look.
struct Desk {
    session: Box<dyn Session>,
    said: Recorder,
}

impl Desk {
    /// The session of the route of these streams, written `channel symbol`, the channel as config spells it.
    fn new(market: &str, streams: &[&str]) -> Self {
        Self::of(spec(market, streams))
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
        // Streams that were found keep their ids.
        let discovered = std::mem::take(&mut self.said.discovered);
        self.said = Recorder { discovered, ..Recorder::default() };
        self.session.handle(input, at(seconds), &mut self.said);
        &self.said
    }

    /// Hands in a message and returns the updates it led to.
    fn text(&mut self, message: &str, seconds: f64) -> Vec<String> {
        self.take(Input::Text(message.as_bytes()), seconds).updates.clone()
    }

    /// Hands in a message of a channel at second 1.
    fn data(&mut self, channel: &str, message: &str) -> Vec<String> {
        self.text(&frame(channel, message), 1.0)
    }

    /// Connects at second 0 and takes every request, each answered at once.
    fn connect(&mut self) -> Vec<String> {
        let mut sent = self.take(Input::Connected, 0.0).sent.clone();
        let mut at = 0;
        while let Some(request) = sent.get(at).cloned() {
            at += 1;
            sent.extend(self.take(Input::Text(done(&request).as_bytes()), 0.0).sent.clone());
            sent.extend(self.take(Input::Timeout, at as f64 * 0.02).sent.clone());
        }
        sent
    }

    /// The answer to a REST call.
    fn http(&mut self, id: u64, status: Option<u16>, body: &[u8], seconds: f64) -> &Recorder {
        self.take(Input::Http { id, status, body, url: None }, seconds)
    }

    /// When it wants to be woken, in seconds.
    fn wakes_at(&self) -> Option<f64> {
        self.session.next_timeout().map(|timer| timer.at.0 as f64 / 1e9)
    }
}

/// The acknowledgement of a request.
fn done(request: &str) -> String {
    let request: serde_json::Value = serde_json::from_str(request).expect("JSON");
    format!(r#"{{"jsonrpc":"2.0","id":{},"result":true}}"#, request["id"])
}

fn frame(channel: &str, message: &str) -> String {
    let head = r#"{"jsonrpc":"2.0","method":"channelMessage","params":{"channel":""#;
    format!("{head}{channel}\",\"message\":{message}}}}}")
}

fn spec(market: &str, streams: &[&str]) -> SessionSpec {
    let streams: Vec<_> = streams.iter().map(|text| stream(market, text)).collect();
    let route = streams.first().map_or(super::PUBLIC, |stream| route_of(market, stream));
    let streams = (0..).map(StreamId).zip(streams).collect();
    SessionSpec { market: market.to_owned(), route, leads: true, streams, ..SessionSpec::default() }
}

fn stream(market: &str, text: &str) -> Stream {
    let (channel, symbol) = text.split_once(' ').unwrap_or((text, ""));
    let spec = (VENUE.parse_channel)(market, channel).expect("a channel");
    Stream { variant: spec.variant, ..Stream::new(symbol, spec.channel) }
}
