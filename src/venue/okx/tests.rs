//! The OKX session driven without a socket: what it sends, and what it makes of what the venue says.

mod account;
mod config;
mod data;
mod differential;
mod protocol;

use super::{VENUE, route_of};
use crate::model::{Stream, StreamId};
use crate::secret::Secret;
use crate::sign;
use crate::venue::bybit::tests::{Recorder, at};
use crate::venue::{Credentials, Input, Session, SessionSpec, Signer};

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

    /// The same with a key to sign in with.
    fn signed(market: &str, streams: &[&str]) -> Self {
        let secret = |text: &str| Secret::new(text.to_owned());
        let credentials = Credentials { key: secret("k"), secret: secret("testsecret"), passphrase: Some(secret("p")) };
        let api = sign::find("okx").expect("known");
        let signer = Signer::new("main", api, credentials, "https://www.okx.com").expect("usable");
        Self::of(SessionSpec { signer: Some(signer), ..spec(market, streams) })
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

    /// Hands in messages at second 1 and returns all updates.
    fn texts(&mut self, messages: &[&str]) -> Vec<String> {
        messages.iter().flat_map(|message| self.text(message, 1.0)).collect()
    }

    /// Connects at second 0; what was sent.
    fn connect(&mut self) -> Vec<String> {
        self.take(Input::Connected, 0.0).sent.clone()
    }

    /// When it wants to be woken, in seconds.
    fn wakes_at(&self) -> Option<f64> {
        self.session.next_timeout().map(|timer| timer.at.0 as f64 / 1e9)
    }
}

fn spec(market: &str, streams: &[&str]) -> SessionSpec {
    let streams: Vec<_> = streams.iter().map(|text| stream(market, text)).collect();
    let route = streams.first().map_or(super::PUBLIC, |stream| route_of(market, stream));
    let streams = (0..).map(StreamId).zip(streams).collect();
    SessionSpec { market: market.to_owned(), route, streams, ..SessionSpec::default() }
}

fn stream(market: &str, text: &str) -> Stream {
    let (channel, symbol) = text.split_once(' ').unwrap_or((text, ""));
    let spec = (VENUE.parse_channel)(market, channel).expect("a channel");
    Stream { variant: spec.variant, ..Stream::new(symbol, spec.channel) }
}
