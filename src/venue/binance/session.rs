//! The session of one Binance connection: subscriptions and their answers, signs of life, REST calls, and its end.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use serde_json::json;

use super::channels::{self, Kind};
use super::listing::Listing;
use super::market::Segment;
use super::pulse::Pulse;
use super::rest::Rest;
use super::wire::Envelope;
use crate::model::{Level, Mono, Stamp, Stream, StreamId, UnixNanos};
use crate::venue::kit::heartbeat::{Beat, Heartbeat};
use crate::venue::kit::streams::Streams;
use crate::venue::kit::subscriptions::{Answer, Change, Limits, Op, Subscriptions, Wish};
use crate::venue::kit::ticker::MergedTicker;
use crate::venue::kit::unreadable::quoted_after;
use crate::venue::{Ignored, Input, Output, Session, SessionSpec, Timer, Update};

/// Streams a connection may have.
const STREAMS_MAX: usize = 1_024;
const BEYOND: &str = "beyond the 1,024 streams one connection may have: split the feed";
/// How often the venue is asked what it sends us, and how long it may take.
const ASK_EVERY: Duration = Duration::from_secs(5);
const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The request with which it is asked; those of subscriptions count from 1.
const ASK_ID: u64 = 0;
/// The venue closes a connection after 24 hours; a little before, another one is opened beside it. Not all at the same
/// moment: up to five minutes earlier.
const REPLACE_AFTER: Duration = Duration::from_secs(23 * 3600 + 50 * 60);
const REPLACE_JITTER_MS: u64 = 300_000;
/// A replacement that did not come about is asked for again.
const REPLACE_AGAIN: Duration = Duration::from_secs(60);

/// An address may send 5 messages a second on spot and 10 on futures, pongs and the question what is sent included.
fn limits(segment: Segment) -> Limits {
    Limits {
        topics_per_request: 200,
        characters: usize::MAX,
        pace: Duration::from_millis(if segment.is_spot() { 350 } else { 150 }),
        per_hour: usize::MAX,
        in_flight: 4,
        patience: Duration::from_secs(5),
        retry_refused: Duration::from_secs(600),
    }
}

/// What a topic carries.
#[derive(Clone, Debug)]
pub(super) struct Topic {
    pub(super) kind: Kind,
    pub(super) pulse: Pulse,
    /// Of the last trade.
    pub(super) last_id: Option<u64>,
}

/// Protocol state of one connection.
pub(super) struct BinanceSession {
    pub(super) segment: Segment,
    pub(super) discover: bool,
    pub(super) leads: bool,
    pub(super) streams: Streams,
    pub(super) subscriptions: Subscriptions,
    /// By their places in the subscriptions.
    pub(super) topics: Vec<Topic>,
    /// Where messages that name no stream belong.
    pub(super) by_event: HashMap<(Kind, String), usize>,
    pub(super) rest: Rest,
    pub(super) listing: Listing,
    /// Topics of a stream that are still to be left before it is.
    leaving: HashMap<StreamId, usize>,
    heartbeat: Heartbeat,
    replace_at: Option<Mono>,
    pub(super) tickers: HashMap<StreamId, MergedTicker>,
    pub(super) bids: Vec<Level>,
    pub(super) asks: Vec<Level>,
}

impl BinanceSession {
    pub(super) fn new(spec: SessionSpec) -> Self {
        let segment = Segment::of(&spec.market);
        let mut session = Self {
            segment,
            discover: spec.discover,
            leads: spec.leads,
            streams: Streams::default(),
            subscriptions: Subscriptions::new(limits(segment)).with_topics_max(STREAMS_MAX),
            topics: Vec::new(),
            by_event: HashMap::new(),
            rest: Rest::new(segment),
            listing: Listing::default(),
            leaving: HashMap::new(),
            heartbeat: Heartbeat::new(ASK_EVERY, ANSWER_WITHIN),
            replace_at: None,
            tickers: HashMap::new(),
            bids: Vec::new(),
            asks: Vec::new(),
        };
        for (id, stream) in spec.streams {
            for (name, kind) in channels::topics(segment, &stream) {
                let place = session.subscriptions.add(&name, id);
                session.know(place, kind, &stream);
            }
            session.streams.insert(id, stream);
        }
        session
    }

    /// Notes what the topic at this place carries.
    pub(super) fn know(&mut self, place: usize, kind: Kind, stream: &Stream) {
        if place == self.topics.len() {
            self.topics.push(Topic { kind, pulse: Pulse::default(), last_id: None });
            self.by_event.entry((kind, stream.symbol.clone())).or_insert(place);
        }
    }

    /// The places of a stream's topics.
    fn places(&self, stream: &Stream) -> Vec<usize> {
        let topics = channels::topics(self.segment, stream);
        topics.iter().filter_map(|(name, _)| self.subscriptions.place(name)).collect()
    }

    fn subscribe(&mut self, id: StreamId, stream: &Stream, now: Stamp, out: &mut dyn Output) {
        self.leaving.remove(&id);
        self.streams.insert(id, stream.clone());
        let mut wishes = Vec::new();
        for (name, kind) in channels::topics(self.segment, stream) {
            let (place, wish) = self.subscriptions.wish(&name, id);
            self.know(place, kind, stream);
            wishes.push(wish);
        }
        self.publish_instrument(&stream.symbol, out);
        if wishes.contains(&Wish::Beyond) {
            out.update(Update::Rejected { stream: id, detail: BEYOND });
        } else if wishes.iter().all(|wish| *wish == Wish::Confirmed) {
            self.confirm(id, now, out);
        }
        self.send_requests(now, out);
    }

    fn unsubscribe(&mut self, id: StreamId, now: Stamp, out: &mut dyn Output) {
        let Some(stream) = self.streams.remove(id) else { return };
        self.tickers.remove(&id);
        self.listing.forget(id);
        let places = self.places(&stream);
        self.leaving.insert(id, places.len());
        let changes = places.into_iter().filter_map(|place| self.subscriptions.unwish(place, id)).collect();
        self.changed(changes, now, out);
        self.send_requests(now, out);
    }

    fn connected(&mut self, now: Stamp, out: &mut dyn Output) {
        self.tickers.clear();
        for topic in &mut self.topics {
            (topic.pulse, topic.last_id) = (Pulse::begin(now.mono), None);
        }
        if self.discover {
            return;
        }
        self.heartbeat.connected(now.mono);
        // Those who connected together need not be replaced together.
        let jitter = (now.mono.0.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32) % REPLACE_JITTER_MS;
        self.replace_at = Some(now.mono.after(REPLACE_AFTER - Duration::from_millis(jitter)));
        for place in self.subscriptions.connected(now.mono) {
            self.refused(place, BEYOND, out);
        }
        if !self.rest.has_list() {
            self.ask_for_list(out);
        }
        self.send_requests(now, out);
    }

    pub(super) fn ask_for_list(&mut self, out: &mut dyn Output) {
        if let Some(request) = self.rest.list() {
            out.http(request);
        }
    }

    fn disconnected(&mut self, now: Stamp, out: &mut dyn Output) {
        self.heartbeat.disconnected();
        self.replace_at = None;
        self.rest.disconnected();
        self.listing.disconnected();
        let changes = self.subscriptions.disconnected();
        self.changed(changes, now, out);
    }

    fn timeout(&mut self, now: Stamp, out: &mut dyn Output) {
        match self.heartbeat.beat(now.mono) {
            Beat::Rest => {}
            Beat::Ping => out.send(json!({"method": "LIST_SUBSCRIPTIONS", "id": ASK_ID}).to_string()),
            Beat::Dead => {
                return out.reconnect(format!("no answer and no data in {} s", ANSWER_WITHIN.as_secs()));
            }
        }
        if let Err(reason) = self.subscriptions.timeout(now.mono) {
            return out.reconnect(reason);
        }
        if self.replace_at.is_some_and(|at| at <= now.mono) {
            self.replace(now, "the venue closes a connection after 24 hours", out);
        }
        if self.rest.is_list_due(now.mono) {
            self.ask_for_list(out);
        }
        self.send_requests(now, out);
    }

    /// Has another connection opened beside this one.
    pub(super) fn replace(&mut self, now: Stamp, reason: &str, out: &mut dyn Output) {
        if !self.discover {
            self.replace_at = Some(now.mono.after(REPLACE_AGAIN));
            out.replace(reason);
        }
    }

    fn send_requests(&mut self, now: Stamp, out: &mut dyn Output) {
        while let Some(request) = self.subscriptions.next_request(now.mono) {
            let method = match request.op {
                Op::Subscribe => "SUBSCRIBE",
                Op::Unsubscribe => "UNSUBSCRIBE",
            };
            let params: Vec<_> = request.topics.iter().map(|place| self.subscriptions.name(*place)).collect();
            out.send(json!({"method": method, "params": params, "id": request.id}).to_string());
        }
    }

    fn refused(&self, place: usize, detail: &str, out: &mut dyn Output) {
        for stream in self.subscriptions.streams(place) {
            out.update(Update::Rejected { stream: *stream, detail });
        }
    }

    fn changed(&mut self, changes: Vec<Change>, now: Stamp, out: &mut dyn Output) {
        let mut confirmed = HashSet::new();
        for change in changes {
            match change {
                Change::Subscribed(place) => {
                    if let Some(topic) = self.topics.get_mut(place) {
                        topic.pulse = Pulse::begin(now.mono);
                    }
                    for stream in self.subscriptions.streams(place).to_vec() {
                        if confirmed.insert(stream) {
                            self.confirm(stream, now, out);
                        }
                    }
                }
                Change::Refused(place, detail) => self.refused(place, &detail, out),
                Change::Left(stream) => self.left(stream, out),
            }
        }
    }

    /// One of a stream's topics was left; the stream is when all are.
    fn left(&mut self, stream: StreamId, out: &mut dyn Output) {
        let Some(topics) = self.leaving.get_mut(&stream) else { return };
        *topics = topics.saturating_sub(1);
        if *topics == 0 {
            self.leaving.remove(&stream);
            out.update(Update::Unsubscribed(stream));
        }
    }

    fn text(&mut self, message: &[u8], now: Stamp, out: &mut dyn Output) {
        self.heartbeat.heard();
        let recv = (now.wall != UnixNanos::default()).then_some(now.wall);
        if self.read_fast(message, recv, now, out) {
            return;
        }
        if let Err(unreadable) = self.read(message, recv, now, out) {
            unreadable.tell(quoted_after(message, br#""stream":""#), &self.subscriptions, out);
        }
        self.send_requests(now, out);
    }

    /// An answer to a request.
    pub(super) fn answered(&mut self, envelope: &Envelope<'_>, now: Stamp, out: &mut dyn Output) {
        out.update(Update::Ignored(Ignored::Control));
        let id = envelope.id.and_then(|id| id.integer());
        if id == Some(ASK_ID) {
            return self.listed(envelope, now, out);
        }
        let refusal = envelope.refusal();
        let answer = match &refusal {
            None => Answer::Done,
            Some(detail) => Answer::Failed { topic: None, detail },
        };
        let changes = self.subscriptions.answered(id, None, answer, now.mono);
        self.changed(changes, now, out);
    }

    /// The venue named what it sends us: streams that are usually quiet and are so now are well.
    fn listed(&self, envelope: &Envelope<'_>, now: Stamp, out: &mut dyn Output) {
        for name in envelope.listed().unwrap_or_default() {
            let Some(place) = self.subscriptions.place(&name.0) else { continue };
            if self.topics.get(place).is_some_and(|topic| topic.pulse.is_usual(now.mono)) {
                for stream in self.subscriptions.streams(place) {
                    out.update(Update::Unchanged(*stream));
                }
            }
        }
    }

    fn resync(&mut self, id: StreamId, now: Stamp, out: &mut dyn Output) {
        self.tickers.remove(&id);
        let Some(stream) = self.streams.get(id) else { return };
        for place in self.places(stream) {
            if !self.subscriptions.resync(place) {
                self.refused(place, BEYOND, out);
            }
        }
        self.send_requests(now, out);
    }
}

impl Session for BinanceSession {
    fn handle(&mut self, input: Input<'_>, now: Stamp, out: &mut dyn Output) {
        match input {
            Input::Connected => self.connected(now, out),
            Input::Text(message) => self.text(message, now, out),
            Input::Binary(_) => out.update(Update::Ignored(Ignored::UnknownKind)),
            Input::Http { id, status, body, url } => self.http(id, status, body, url, now, out),
            Input::Subscribe { id, stream } => self.subscribe(id, stream, now, out),
            Input::Unsubscribe(id) => self.unsubscribe(id, now, out),
            Input::Resync(stream) => self.resync(stream, now, out),
            Input::Image(id) => {
                let stream = self.streams.get(id).filter(|_| !self.discover);
                if let Some(request) = stream.and_then(|stream| self.rest.image(id, stream)) {
                    out.http(request);
                }
            }
            // No terminal: nothing was called, no question is its own, and what was subscribed to ends by itself.
            Input::Rpc { .. } | Input::Initialize | Input::Shutdown => {}
            Input::Ask { id, .. } => {
                out.answer(id, r#"{"ok":false,"error":"this venue has no such command"}"#.to_owned())
            }
            Input::Timeout => self.timeout(now, out),
            Input::Disconnected => self.disconnected(now, out),
        }
    }

    fn next_timeout(&self) -> Option<Timer> {
        let timer = |why| move |at| Timer { at, why };
        let heartbeat = self.heartbeat.next_timeout().map(timer("heartbeat"));
        let subscriptions = self.subscriptions.next_timeout().map(timer("subscriptions"));
        let list = self.rest.next_timeout().map(timer("instruments"));
        let replace = self.replace_at.map(timer("24 hours"));
        heartbeat.into_iter().chain(subscriptions).chain(list).chain(replace).min()
    }
}
