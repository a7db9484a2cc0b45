//! The session of one Bybit connection: subscriptions and their answers, heartbeat, REST calls.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;

use super::rest::{Answer as RestAnswer, Rest};
use super::wire::{BookData, CommandData, Envelope};
use super::{channels, fast};
use crate::model::{BookDepth, Channel, Clocks, Instrument, Level, Stamp, Stream, StreamId, UnixNanos};
use crate::venue::bybit_v2;
use crate::venue::kit::fields::{Object, Text, time_of_ms};
use crate::venue::kit::heartbeat::{Beat, Heartbeat};
use crate::venue::kit::streams::Streams;
use crate::venue::kit::subscriptions::{Answer, Change, Limits, Op, Subscriptions, Wish};
use crate::venue::kit::ticker::MergedTicker;
use crate::venue::kit::unreadable::quoted_after;
use crate::venue::{BookUpdate, Ignored, Input, Output, Session, SessionSpec, Timer, Update};

/// Ten topics a request is spot's limit and safe elsewhere; 21,000 characters is the connection's
/// (`https://bybit-exchange.github.io/docs/v5/ws/connect`).
const LIMITS: Limits = Limits {
    topics_per_request: 10,
    characters: 21_000,
    pace: Duration::from_millis(50),
    // No limit is known; one more request costs nothing.
    per_hour: 100_000,
    in_flight: 4,
    patience: Duration::from_secs(5),
    retry_refused: Duration::from_secs(600),
};
const BEYOND: &str = "beyond the 21,000 characters of topics one connection may have: split the feed";
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// Protocol state of one connection.
pub(super) struct BybitSession {
    pub(super) market: String,
    pub(super) discover: bool,
    leads: bool,
    pub(super) streams: Streams,
    pub(super) subscriptions: Subscriptions,
    heartbeat: Heartbeat,
    rest: Rest,
    /// Option trades come by base coin and are told apart by symbol.
    pub(super) option_trades: HashMap<String, StreamId>,
    pub(super) tickers: HashMap<StreamId, MergedTicker>,
    pub(super) bids: Vec<Level>,
    pub(super) asks: Vec<Level>,
    pub(super) trades: Vec<fast::Trade>,
}

impl BybitSession {
    pub(super) fn new(spec: SessionSpec) -> Self {
        let mut bases: Vec<Option<String>> = vec![None];
        if spec.market == "option" {
            bases = spec.streams.iter().map(|(_, s)| Some(channels::base_coin(&s.symbol).to_owned())).collect();
            bases.sort();
            bases.dedup();
        }
        let mut session = Self {
            rest: Rest::new(&spec.market, bases),
            market: spec.market,
            discover: spec.discover,
            leads: spec.leads,
            streams: Streams::default(),
            subscriptions: Subscriptions::new(LIMITS),
            heartbeat: Heartbeat::new(PING_EVERY, PONG_WITHIN),
            option_trades: HashMap::new(),
            tickers: HashMap::new(),
            bids: Vec::new(),
            asks: Vec::new(),
            trades: Vec::new(),
        };
        for (id, stream) in spec.streams {
            let name = channels::name(&session.market, &stream);
            session.subscriptions.add(&name, id);
            session.know(id, stream);
        }
        session
    }

    fn know(&mut self, id: StreamId, stream: Stream) {
        if self.market == "option" && stream.channel == Channel::Trade {
            self.option_trades.insert(stream.symbol.clone(), id);
        }
        self.streams.insert(id, stream);
    }

    fn subscribe(&mut self, id: StreamId, stream: &Stream, now: Stamp, out: &mut dyn Output) {
        if self.streams.iter().all(|(_, known)| known.symbol != stream.symbol) && self.leads {
            out.http(self.rest.instrument(&stream.symbol));
        }
        self.know(id, stream.clone());
        match self.subscriptions.wish(&channels::name(&self.market, stream), id) {
            (_, Wish::Asked) => self.send_requests(now, out),
            (_, Wish::Confirmed) => out.update(Update::Subscribed(id)),
            (_, Wish::Beyond) => out.update(Update::Rejected { stream: id, detail: BEYOND }),
        }
    }

    fn unsubscribe(&mut self, id: StreamId, now: Stamp, out: &mut dyn Output) {
        let Some(stream) = self.streams.remove(id) else { return };
        self.tickers.remove(&id);
        if self.option_trades.get(&stream.symbol) == Some(&id) {
            self.option_trades.remove(&stream.symbol);
        }
        let place = self.subscriptions.place(&channels::name(&self.market, &stream));
        let change = place.and_then(|place| self.subscriptions.unwish(place, id));
        self.changed(change.into_iter().collect(), out);
        self.send_requests(now, out);
    }

    pub(super) fn channel(&self, id: StreamId) -> Option<Channel> {
        self.streams.get(id).map(|stream| stream.channel)
    }

    /// A topic's place; in a recording, topics are added as they appear.
    pub(super) fn place(&mut self, topic: &str, out: &mut dyn Output) -> Option<usize> {
        if let Some(place) = self.subscriptions.place(topic) {
            return Some(place);
        }
        if !self.discover {
            return None;
        }
        let retired = || bybit_v2::parse_topic(topic).map(|topic| (topic.channel, topic.symbols));
        let (channel, symbol) = channels::parse_topic(topic).or_else(retired)?;
        let stream = Stream::new(symbol, channel);
        let id = out.discovered(stream.clone())?;
        self.know(id, stream);
        Some(self.subscriptions.add(topic, id))
    }

    fn connected(&mut self, now: Stamp, out: &mut dyn Output) {
        self.tickers.clear();
        if self.discover {
            return;
        }
        self.heartbeat.connected(now.mono);
        for place in self.subscriptions.connected(now.mono) {
            self.refused(place, BEYOND, out);
        }
        if self.leads {
            for request in self.rest.instruments(now.mono) {
                out.http(request);
            }
        }
        self.send_requests(now, out);
    }

    fn timeout(&mut self, now: Stamp, out: &mut dyn Output) {
        match self.heartbeat.beat(now.mono) {
            Beat::Rest => {}
            Beat::Ping => out.send(json!({"req_id": "ping", "op": "ping"}).to_string()),
            Beat::Dead => return out.reconnect("no pong and no data in 10 s".to_owned()),
        }
        if let Err(reason) = self.subscriptions.timeout(now.mono) {
            return out.reconnect(reason);
        }
        if self.rest.next_timeout().is_some_and(|at| at <= now.mono) {
            for request in self.rest.instruments(now.mono) {
                out.http(request);
            }
        }
        self.send_requests(now, out);
    }

    fn send_requests(&mut self, now: Stamp, out: &mut dyn Output) {
        while let Some(request) = self.subscriptions.next_request(now.mono) {
            let op = match request.op {
                Op::Subscribe => "subscribe",
                Op::Unsubscribe => "unsubscribe",
            };
            let args: Vec<_> = request.topics.iter().map(|place| self.subscriptions.name(*place)).collect();
            out.send(json!({"req_id": request.id.to_string(), "op": op, "args": args}).to_string());
        }
    }

    fn refused(&self, place: usize, detail: &str, out: &mut dyn Output) {
        for stream in self.subscriptions.streams(place) {
            out.update(Update::Rejected { stream: *stream, detail });
        }
    }

    fn changed(&self, changes: Vec<Change>, out: &mut dyn Output) {
        for change in changes {
            match change {
                Change::Subscribed(place) => {
                    for stream in self.subscriptions.streams(place) {
                        out.update(Update::Subscribed(*stream));
                    }
                }
                Change::Refused(place, detail) => self.refused(place, &detail, out),
                Change::Left(stream) => out.update(Update::Unsubscribed(stream)),
            }
        }
    }

    fn text(&mut self, message: &[u8], now: Stamp, out: &mut dyn Output) {
        self.heartbeat.heard();
        let recv = (now.wall != UnixNanos::default()).then_some(now.wall);
        if self.read_fast(message, recv, out) {
            return;
        }
        if let Err(unreadable) = self.read(message, recv, now, out) {
            unreadable.tell(quoted_after(message, br#""topic":""#), &self.subscriptions, out);
        }
        self.send_requests(now, out);
    }

    /// Answers and pongs.
    pub(super) fn control(&mut self, envelope: &Envelope<'_>, now: Stamp, out: &mut dyn Output) {
        let text = |text: &Option<Text<'_>>| text.as_ref().map(|t| t.0.to_string());
        let (kind, op) = (text(&envelope.kind), text(&envelope.op));
        let changes = match (kind.as_deref(), op.as_deref()) {
            (Some("COMMAND_RESP"), _) => self.command_answered(envelope, now),
            (_, Some("ping" | "pong")) => Vec::new(),
            (_, Some("subscribe" | "unsubscribe")) => self.request_answered(envelope, op.as_deref(), now),
            (_, None) if envelope.request.is_some() => Vec::new(),
            _ if envelope.success == Some(false) => self.request_answered(envelope, None, now),
            _ => return out.update(Update::Ignored(Ignored::UnknownKind)),
        };
        out.update(Update::Ignored(Ignored::Control));
        self.changed(changes, out);
        self.send_requests(now, out);
    }

    /// The options' answer lists topics; one that lists none is about the oldest request as a whole.
    fn command_answered(&mut self, envelope: &Envelope<'_>, now: Stamp) -> Vec<Change> {
        match envelope.data::<Object<CommandData<'_>>>() {
            Ok(Object(data)) if !(data.done.is_empty() && data.failed.is_empty()) => {
                let done: Vec<&str> = data.done.iter().map(|name| name.0.as_ref()).collect();
                let failed: Vec<&str> = data.failed.iter().map(|name| name.0.as_ref()).collect();
                self.subscriptions.answered_by_name(&done, &failed, "listed in failTopics", now.mono)
            }
            _ => self.request_answered(envelope, None, now),
        }
    }

    fn request_answered(&mut self, envelope: &Envelope<'_>, op: Option<&str>, now: Stamp) -> Vec<Change> {
        let id = envelope.req_id.as_ref().and_then(|id| id.0.parse().ok());
        let op = op.map(|op| if op == "unsubscribe" { Op::Unsubscribe } else { Op::Subscribe });
        let detail = envelope.ret_msg.as_ref().map_or("", |text| text.0.as_ref());
        let topic = detail.split_once("topic:").map(|(_, topic)| topic.trim());
        let answer = match (envelope.success, topic) {
            (Some(true), _) => Answer::Done,
            (_, Some(topic)) if detail.contains("already subscribed") => Answer::Already(topic),
            _ => Answer::Failed { topic, detail },
        };
        self.subscriptions.answered(id, op, answer, now.mono)
    }

    fn http(&mut self, id: u64, status: Option<u16>, body: &[u8], now: Stamp, out: &mut dyn Output) {
        let mut more = Vec::new();
        match self.rest.answered(id, status, body, now.mono, &mut more) {
            RestAnswer::Instruments(list) => self.instruments(&list, out),
            RestAnswer::Image(stream, data) => self.image(stream, &data, now, out),
            RestAnswer::ImageFailed(stream, detail) => out.update(Update::ImageFailed { stream, detail: &detail }),
            RestAnswer::Nothing => {}
        }
        for request in more {
            out.http(request);
        }
    }

    /// Passes on the instruments that are subscribed to; of a recording, all.
    fn instruments(&self, list: &[Option<Instrument>], out: &mut dyn Output) {
        for instrument in list {
            match instrument {
                None => out.update(Update::Ignored(Ignored::UnknownKind)),
                Some(instrument)
                    if self.discover || self.streams.iter().any(|(_, s)| s.symbol == instrument.symbol) =>
                {
                    out.update(Update::Instrument(instrument));
                }
                Some(_) => {}
            }
        }
    }

    fn image(&mut self, stream: Option<StreamId>, data: &BookData<'_>, now: Stamp, out: &mut dyn Output) {
        let wanted = Channel::Book(BookDepth::Full);
        let of_symbol = || self.streams.iter().find(|(_, s)| s.channel == wanted && s.symbol == data.s.0);
        let Some(stream) = stream.or_else(|| of_symbol().map(|(id, _)| id)) else { return };
        match self.read_book(data) {
            Ok((u, seq)) => out.update(Update::Book(BookUpdate {
                stream,
                rule: channels::rule(wanted),
                snapshot: true,
                seq: u,
                first: 0,
                previous: 0,
                checksum: None,
                middle: None,
                cross_seq: seq,
                bids: &self.bids,
                asks: &self.asks,
                clocks: Clocks {
                    event: time_of_ms(data.cts),
                    venue: time_of_ms(data.ts),
                    recv: (now.wall != UnixNanos::default()).then_some(now.wall),
                },
            })),
            Err(detail) => out.update(Update::ImageFailed { stream, detail: &detail }),
        }
    }

    fn resync(&mut self, stream: StreamId, now: Stamp, out: &mut dyn Output) {
        self.tickers.remove(&stream);
        let topic = self.streams.get(stream).map(|stream| channels::name(&self.market, stream));
        if let Some(place) = topic.and_then(|topic| self.subscriptions.place(&topic)) {
            if !self.subscriptions.resync(place) {
                self.refused(place, BEYOND, out);
            }
            self.send_requests(now, out);
        }
    }
}

impl Session for BybitSession {
    fn handle(&mut self, input: Input<'_>, now: Stamp, out: &mut dyn Output) {
        match input {
            Input::Connected => self.connected(now, out),
            Input::Text(message) => self.text(message, now, out),
            Input::Binary(_) => out.update(Update::Ignored(Ignored::UnknownKind)),
            Input::Http { id, status, body, .. } => self.http(id, status, body, now, out),
            Input::Subscribe { id, stream } => self.subscribe(id, stream, now, out),
            Input::Unsubscribe(id) => self.unsubscribe(id, now, out),
            Input::Resync(stream) => self.resync(stream, now, out),
            Input::Image(stream) => {
                if let Some(wanted) = self.streams.get(stream).filter(|_| !self.discover) {
                    let symbol = wanted.symbol.clone();
                    out.http(self.rest.image(stream, &symbol));
                }
            }
            // No terminal: nothing was called, no question is its own, and what was subscribed to ends by itself.
            Input::Rpc { .. } | Input::Initialize | Input::Shutdown => {}
            Input::Ask { id, .. } => {
                out.answer(id, r#"{"ok":false,"error":"this venue has no such command"}"#.to_owned())
            }
            Input::Timeout => self.timeout(now, out),
            Input::Disconnected => {
                self.heartbeat.disconnected();
                let changes = self.subscriptions.disconnected();
                self.changed(changes, out);
            }
        }
    }

    fn next_timeout(&self) -> Option<Timer> {
        let timer = |why| move |at| Timer { at, why };
        let heartbeat = self.heartbeat.next_timeout().map(timer("heartbeat"));
        let subscriptions = self.subscriptions.next_timeout().map(timer("subscriptions"));
        let instruments = self.rest.next_timeout().map(timer("instruments"));
        heartbeat.into_iter().chain(subscriptions).chain(instruments).min()
    }
}
