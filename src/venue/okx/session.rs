//! The session of one OKX connection: signing in, subscriptions and their answers, heartbeat, REST calls.

use std::collections::HashMap;
use std::time::Duration;

use super::rest::Rest;
use super::wire::{self, Envelope};
use super::{PRIVATE, PUBLIC, SIGNED, account, channels, fast, login, v3};
use crate::model::{Channel, Instrument, Level, Stamp, Stream, StreamId, UnixNanos};
use crate::venue::kit::account::Account;
use crate::venue::kit::heartbeat::{Beat, Heartbeat};
use crate::venue::kit::login::{Login, Next};
use crate::venue::kit::streams::Streams;
use crate::venue::kit::subscriptions::{Answer, Change, Limits, Op, Subscriptions, Wish};
use crate::venue::kit::ticker::MergedTicker;
use crate::venue::{Ignored, Input, Output, Route, Session, SessionSpec, Signer, Timer, Update};

/// 480 requests an hour and 64 KB of arguments a request are OKX's limits (API v5, "WebSocket", "Connect"); an argument has at
/// most 130 bytes. How many channels a connection may have is not said.
const LIMITS: Limits = Limits {
    topics_per_request: 200,
    characters: 4_000_000,
    pace: Duration::from_millis(200),
    per_hour: 470,
    in_flight: 2,
    patience: Duration::from_secs(5),
    retry_refused: Duration::from_secs(600),
};
const BEYOND: &str = "beyond what one connection may have: split the feed";
/// A connection on which nothing was said for 30 s is closed.
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// Codes that refuse every topic of a request alike: not signed in, fee tier.
const OF_ALL: [&str; 6] = ["60011", "60029", "60030", "64003", "60008", "60028"];
/// Sent before a service upgrade closes the connection, about a minute ahead.
const UPGRADE: &str = "64008";
/// Too many requests: what was not answered is asked for again later.
const TOO_FREQUENT: &str = "60014";

/// Protocol state of one connection.
pub(super) struct OkxSession {
    pub(super) market: String,
    pub(super) discover: bool,
    leads: bool,
    route: Route,
    pub(super) streams: Streams,
    pub(super) subscriptions: Subscriptions,
    heartbeat: Heartbeat,
    rest: Rest,
    /// Where the connection needs one.
    login: Option<(Login, Signer)>,
    pub(super) account: Account,
    /// Topics that streams are still leaving.
    leaving: HashMap<StreamId, usize>,
    /// Liquidations come by kind of contract and are told apart by symbol.
    pub(super) liquidations: HashMap<String, StreamId>,
    pub(super) tickers: HashMap<StreamId, MergedTicker>,
    pub(super) bids: Vec<Level>,
    pub(super) asks: Vec<Level>,
    pub(super) trades: Vec<fast::Trade>,
}

impl OkxSession {
    pub(super) fn new(spec: SessionSpec) -> Self {
        let is_signed = matches!(spec.route, PRIVATE | SIGNED) && !spec.discover;
        let mut session = Self {
            rest: Rest::new(&spec.market),
            discover: spec.discover,
            leads: spec.leads,
            route: spec.route,
            streams: Streams::default(),
            subscriptions: Subscriptions::new(LIMITS),
            heartbeat: Heartbeat::new(PING_EVERY, PONG_WITHIN),
            account: Account::new(&spec, account::READER),
            login: spec.signer.filter(|_| is_signed).map(|signer| (login::by_clock(), signer)),
            market: spec.market,
            leaving: HashMap::new(),
            liquidations: HashMap::new(),
            tickers: HashMap::new(),
            bids: Vec::new(),
            asks: Vec::new(),
            trades: Vec::new(),
        };
        if session.leads && session.route == PUBLIC && !session.discover {
            session.subscriptions.add_own(&channels::instruments(&session.market));
        }
        for (id, stream) in spec.streams {
            for topic in channels::topics(&session.market, &stream) {
                session.subscriptions.add(&topic, id);
            }
            session.know(id, stream);
        }
        session
    }

    fn know(&mut self, id: StreamId, stream: Stream) {
        if stream.channel == Channel::Liquidation {
            self.liquidations.insert(stream.symbol.clone(), id);
        }
        self.rest.know(&stream.symbol);
        self.streams.insert(id, stream);
    }

    fn subscribe(&mut self, id: StreamId, stream: &Stream, now: Stamp, out: &mut dyn Output) {
        if self.leads && stream.channel.has_symbol() && !self.streams.iter().any(|(_, s)| s.symbol == stream.symbol) {
            out.http(self.rest.instrument(&stream.symbol));
        }
        self.know(id, stream.clone());
        if let Some(detail) = self.login.as_ref().and_then(|(login, _)| login.refusal()) {
            out.update(Update::Rejected { stream: id, detail });
        }
        for (at, topic) in channels::topics(&self.market, stream).iter().enumerate() {
            match self.subscriptions.wish(topic, id).1 {
                Wish::Asked => {}
                Wish::Confirmed if at == 0 => self.confirmed(id, now, out),
                Wish::Confirmed => {}
                Wish::Beyond => out.update(Update::Rejected { stream: id, detail: BEYOND }),
            }
        }
        self.send_requests(now, out);
    }

    fn unsubscribe(&mut self, id: StreamId, now: Stamp, out: &mut dyn Output) {
        let Some(stream) = self.streams.remove(id) else { return };
        self.tickers.remove(&id);
        self.account.left(id);
        if self.liquidations.get(&stream.symbol) == Some(&id) {
            self.liquidations.remove(&stream.symbol);
        }
        let topics = channels::topics(&self.market, &stream);
        *self.leaving.entry(id).or_default() += topics.len();
        for topic in topics {
            let place = self.subscriptions.place(&topic);
            let change = place.and_then(|place| self.subscriptions.unwish(place, id));
            self.changed(change.into_iter().collect(), now, out);
        }
        self.send_requests(now, out);
    }

    pub(super) fn channel(&self, id: StreamId) -> Option<Channel> {
        self.streams.get(id).map(|stream| stream.channel)
    }

    /// A topic's place; in a recording, its streams are added as they appear.
    pub(super) fn place(&mut self, topic: &str, streams: &[Stream], out: &mut dyn Output) -> Option<usize> {
        if let Some(place) = self.subscriptions.place(topic) {
            return Some(place);
        }
        if !self.discover {
            return None;
        }
        for stream in streams {
            self.found(stream.clone(), out)?;
        }
        self.subscriptions.place(topic)
    }

    /// Adds a stream that a recording has.
    pub(super) fn found(&mut self, stream: Stream, out: &mut dyn Output) -> Option<StreamId> {
        let id = out.discovered(stream.clone())?;
        if self.streams.get(id).is_none() {
            for topic in channels::topics(&self.market, &stream) {
                self.subscriptions.add(&topic, id);
            }
            self.know(id, stream);
        }
        Some(id)
    }

    fn connected(&mut self, now: Stamp, out: &mut dyn Output) {
        self.tickers.clear();
        if self.discover {
            return;
        }
        self.heartbeat.connected(now.mono);
        self.account.connected();
        if self.leads {
            for request in self.rest.instruments(now.mono) {
                out.http(request);
            }
        }
        match &mut self.login {
            Some((login, _)) => {
                let next = login.connected(now.mono);
                self.go_on(next, now, out);
            }
            None => self.signed_in(now, out),
        }
    }

    /// What is to be done about the login.
    fn go_on(&self, next: Next, now: Stamp, out: &mut dyn Output) {
        if next.follow(&self.streams, out)
            && let Some((login, signer)) = &self.login
        {
            out.sign_in(login::message(&signer.credentials, login.time(now)));
        }
    }

    /// The venue has confirmed a stream. Those of the account have their image read first.
    fn confirmed(&mut self, id: StreamId, now: Stamp, out: &mut dyn Output) {
        match self.streams.get(id) {
            Some(stream) if !stream.channel.has_symbol() => self.account.confirmed(id, stream, now, out),
            _ => out.update(Update::Subscribed(id)),
        }
    }

    /// All that is wished may be asked for now.
    fn signed_in(&mut self, now: Stamp, out: &mut dyn Output) {
        for place in self.subscriptions.connected(now.mono) {
            self.refused(place, BEYOND, out);
        }
        self.send_requests(now, out);
        if self.login.is_some() {
            self.subscriptions.spend(now.mono);
        }
    }

    fn timeout(&mut self, now: Stamp, out: &mut dyn Output) {
        match self.heartbeat.beat(now.mono) {
            Beat::Rest => {}
            Beat::Ping => out.send("ping".to_owned()),
            Beat::Dead => return out.reconnect("no pong and no data in 10 s".to_owned()),
        }
        if let Some((login, _)) = &mut self.login {
            let next = login.due(now.mono);
            self.go_on(next, now, out);
        }
        self.account.timeout(now, out);
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
            out.send(format!(r#"{{"id":"{}","op":"{op}","args":[{}]}}"#, request.id, args.join(",")));
        }
    }

    /// Whether the topic speaks for the stream, and is not merely merged into it.
    fn is_main(&self, place: usize, stream: StreamId) -> bool {
        let name = self.subscriptions.name(place);
        self.streams
            .get(stream)
            .is_some_and(|stream| channels::topics(&self.market, stream).first().is_some_and(|topic| topic == name))
    }

    fn refused(&self, place: usize, detail: &str, out: &mut dyn Output) {
        for stream in self.subscriptions.streams(place) {
            if self.is_main(place, *stream) {
                out.update(Update::Rejected { stream: *stream, detail });
            } else {
                let detail = format!("without {}: {detail}", self.subscriptions.name(place));
                out.update(Update::Notice { stream: Some(*stream), detail: &detail });
            }
        }
    }

    fn changed(&mut self, changes: Vec<Change>, now: Stamp, out: &mut dyn Output) {
        for change in changes {
            match change {
                Change::Subscribed(place) => {
                    for stream in self.subscriptions.streams(place).to_vec() {
                        if self.is_main(place, stream) {
                            self.confirmed(stream, now, out);
                        }
                    }
                }
                Change::Refused(place, detail) => self.refused(place, &detail, out),
                Change::Left(stream) => {
                    let left = self.leaving.get(&stream).map_or(0, |topics| topics.saturating_sub(1));
                    if left > 0 {
                        self.leaving.insert(stream, left);
                    } else {
                        self.leaving.remove(&stream);
                        out.update(Update::Unsubscribed(stream));
                    }
                }
            }
        }
    }

    fn text(&mut self, message: &[u8], now: Stamp, out: &mut dyn Output) {
        self.heartbeat.heard();
        self.account.heard(now);
        let recv = (now.wall != UnixNanos::default()).then_some(now.wall);
        match message {
            b"pong" => return out.update(Update::Ignored(Ignored::Control)),
            // Old servers are said to have asked themselves.
            b"ping" => return out.send("pong".to_owned()),
            _ => {}
        }
        if self.read_fast(message, recv, out) {
            return;
        }
        if let Err(unreadable) = self.read(message, recv, now, out) {
            unreadable.tell(wire::topic_of_ruin(message), &self.subscriptions, out);
        }
        self.send_requests(now, out);
    }

    /// Messages of v3 came compressed.
    fn binary(&mut self, message: &[u8], now: Stamp, out: &mut dyn Output) {
        match v3::inflate(message) {
            Some(text) => self.text(&text, now, out),
            None => out.update(Update::Ignored(Ignored::UnknownKind)),
        }
    }

    /// Answers, and what the venue has to say.
    pub(super) fn control(&mut self, event: &str, envelope: &Envelope<'_>, now: Stamp, out: &mut dyn Output) {
        let id = envelope.id.as_ref().and_then(|id| id.0.parse().ok());
        let code = envelope.code.map_or("", |code| code.0);
        let words = envelope.msg.as_ref().map_or("", |msg| msg.0.as_ref());
        let detail = format!("{code}: {words}");
        let topic = envelope.arg.as_ref().map(|arg| arg.0.topic());
        let place = topic.and_then(|topic| self.subscriptions.place(&topic));
        let changes = match (event, place) {
            ("subscribe", Some(place)) => self.answered(id, Op::Subscribe, place, now),
            ("unsubscribe", Some(place)) => self.answered(id, Op::Unsubscribe, place, now),
            ("login", _) => {
                out.update(Update::Ignored(Ignored::Control));
                if self.login.as_mut().is_some_and(|(login, _)| login.accepted(out)) {
                    self.signed_in(now, out);
                }
                return;
            }
            ("error", _) => match self.login_refused(code, &detail, now) {
                Next::Nothing => self.failed(id, code, words, &detail, now),
                next => {
                    out.update(Update::Ignored(Ignored::Control));
                    return self.go_on(next, now, out);
                }
            },
            ("notice", _) if code == UPGRADE => {
                out.replace(words);
                Vec::new()
            }
            ("channel-conn-count-error", _) => {
                self.too_many_connections(envelope, out);
                Vec::new()
            }
            ("subscribe" | "unsubscribe" | "notice" | "channel-conn-count", _) => Vec::new(),
            _ => return out.update(Update::Ignored(Ignored::UnknownKind)),
        };
        out.update(Update::Ignored(Ignored::Control));
        self.changed(changes, now, out);
        self.send_requests(now, out);
    }

    fn login_refused(&mut self, code: &str, detail: &str, now: Stamp) -> Next {
        let login = self.login.as_mut().filter(|_| login::is_refusal(code));
        login.map_or(Next::Nothing, |(login, _)| login.refused(detail, now.mono))
    }

    fn answered(&mut self, id: Option<u64>, op: Op, place: usize, now: Stamp) -> Vec<Change> {
        self.subscriptions.answered_one(id, Some(op), place, None, now.mono)
    }

    /// One error comes for each bad argument, which only its text names; the good ones are answered by themselves.
    fn failed(&mut self, id: Option<u64>, code: &str, words: &str, detail: &str, now: Stamp) -> Vec<Change> {
        if code == TOO_FREQUENT {
            return Vec::new();
        }
        let place = named_topic(words).and_then(|topic| self.subscriptions.place(&topic));
        match place {
            Some(place) => self.subscriptions.answered_one(id, None, place, Some(detail), now.mono),
            None if OF_ALL.contains(&code) => self.subscriptions.answered(id, None, Answer::Refused(detail), now.mono),
            None => self.subscriptions.answered(id, None, Answer::Failed { topic: None, detail }, now.mono),
        }
    }

    /// The account has too many connections with this channel; the acknowledgement came before.
    fn too_many_connections(&self, envelope: &Envelope<'_>, out: &mut dyn Output) {
        let Some(channel) = envelope.channel.as_ref() else { return };
        let detail = format!("too many connections of this account have {}", channel.0);
        let prefix = format!(r#"{{"channel":"{}""#, channel.0);
        for (stream, wanted) in self.streams.iter() {
            if channels::topics(&self.market, wanted).iter().any(|topic| topic.starts_with(&prefix)) {
                out.update(Update::Rejected { stream, detail: &detail });
            }
        }
    }

    fn http(&mut self, id: u64, status: Option<u16>, body: &[u8], now: Stamp, out: &mut dyn Output) {
        if let Some(next) = self.login.as_mut().and_then(|(login, _)| login.http(id, status, body, now)) {
            return self.go_on(next, now, out);
        }
        if self.account.http(id, status, body, now, out) {
            return;
        }
        let list = self.rest.answered(id, status, body, now.mono);
        self.instruments(&list, out);
    }

    /// Passes on the instruments that are subscribed to; of a recording, all of this market.
    pub(super) fn instruments(&self, list: &[Option<Instrument>], out: &mut dyn Output) {
        for instrument in list {
            match instrument {
                None => out.update(Update::Ignored(Ignored::UnknownKind)),
                Some(found) => {
                    let is_ours = super::market_of_symbol(&found.symbol) == Some(&*self.market);
                    if (self.discover && is_ours) || self.streams.iter().any(|(_, s)| s.symbol == found.symbol) {
                        out.update(Update::Instrument(found));
                    }
                }
            }
        }
    }

    /// Only a new subscription brings a new snapshot. What is merged into a ticker comes again by itself.
    fn resync(&mut self, stream: StreamId, now: Stamp, out: &mut dyn Output) {
        self.tickers.remove(&stream);
        let topics = self.streams.get(stream).map(|stream| channels::topics(&self.market, stream));
        let topic = topics.and_then(|topics| topics.into_iter().next());
        if let Some(place) = topic.and_then(|topic| self.subscriptions.place(&topic)) {
            if !self.subscriptions.resync(place) {
                self.refused(place, BEYOND, out);
            }
            self.send_requests(now, out);
        }
    }
}

/// The topic that an error's text names: `channel:books,instId:BTC-USDTT doesn't exist`.
fn named_topic(words: &str) -> Option<String> {
    let (_, rest) = words.split_once("channel:")?;
    let (channel, rest) = rest.split_once(',')?;
    let (key, rest) = rest.split_once(':')?;
    let value = rest.split([' ', ',', '.', '"']).next()?;
    Some(channels::arg(channel, key, value))
}

impl Session for OkxSession {
    fn handle(&mut self, input: Input<'_>, now: Stamp, out: &mut dyn Output) {
        match input {
            Input::Connected => self.connected(now, out),
            Input::Text(message) => self.text(message, now, out),
            Input::Binary(message) => self.binary(message, now, out),
            Input::Http { id, status, body, .. } => self.http(id, status, body, now, out),
            Input::Subscribe { id, stream } => self.subscribe(id, stream, now, out),
            Input::Unsubscribe(id) => self.unsubscribe(id, now, out),
            Input::Resync(stream) => self.resync(stream, now, out),
            Input::Initialize => self.account.initialize(now, out),
            // No book needs an image, no terminal was called, and what was subscribed to ends by itself.
            Input::Image(_) | Input::Rpc { .. } | Input::Shutdown => {}
            Input::Ask { id, .. } => {
                out.answer(id, r#"{"ok":false,"error":"this venue has no such command"}"#.to_owned())
            }
            Input::Timeout => self.timeout(now, out),
            Input::Disconnected => {
                self.heartbeat.disconnected();
                if let Some((login, _)) = &mut self.login {
                    login.disconnected();
                }
                self.account.disconnected();
                let changes = self.subscriptions.disconnected();
                self.changed(changes, now, out);
            }
        }
    }

    fn next_timeout(&self) -> Option<Timer> {
        let timer = |why| move |at| Timer { at, why };
        let heartbeat = self.heartbeat.next_timeout().map(timer("heartbeat"));
        let subscriptions = self.subscriptions.next_timeout().map(timer("subscriptions"));
        let login = self.login.as_ref().and_then(|(login, _)| login.next_timeout()).map(timer("login"));
        let images = self.account.next_timeout().map(timer("images"));
        let instruments = self.rest.next_timeout().map(timer("instruments"));
        heartbeat.into_iter().chain(subscriptions).chain(login).chain(images).chain(instruments).min()
    }

    fn clock_ahead_ms(&self) -> Option<i64> {
        self.login.as_ref().and_then(|(login, _)| login.ahead_ms())
    }
}
