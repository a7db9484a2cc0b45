//! The session of a private connection: signing in, the account's topics, its rows, and their images by REST
//! (`https://bybit-exchange.github.io/docs/v5/ws/connect`, "Authentication").

use std::time::Duration;

use serde_json::json;

use super::account;
use super::server_time::SERVER_TIME;
use super::wire::Envelope;
use crate::model::{Channel, Clocks, Stamp, Stream, StreamId};
use crate::venue::kit::account::{Account, received};
use crate::venue::kit::fields::time_of_ms;
use crate::venue::kit::heartbeat::{Beat, Heartbeat};
use crate::venue::kit::login::{Login, Next};
use crate::venue::kit::streams::Streams;
use crate::venue::kit::subscriptions::{Answer, Change, Limits, Op, Subscriptions, Wish};
use crate::venue::{Ignored, Input, Output, Session, SessionSpec, Signer, Timer, Update};

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
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);
/// The path that the login is for.
const PATH: &str = "/v5/private";
const NO_ACCOUNT: &str = "it needs an account: give the feed one (account, or credentials)";

/// Protocol state of one private connection.
pub(super) struct PrivateSession {
    market: String,
    signer: Option<Signer>,
    login: Login,
    account: Account,
    streams: Streams,
    subscriptions: Subscriptions,
    heartbeat: Heartbeat,
}

impl PrivateSession {
    pub(super) fn new(spec: SessionSpec) -> Self {
        let mut session = Self {
            account: Account::new(&spec, account::READER),
            market: spec.market,
            signer: spec.signer,
            login: Login::by_clock(SERVER_TIME, PATH),
            streams: Streams::default(),
            subscriptions: Subscriptions::new(LIMITS),
            heartbeat: Heartbeat::new(PING_EVERY, PONG_WITHIN),
        };
        for (id, stream) in spec.streams {
            session.subscriptions.add(topic(&stream), id);
            session.streams.insert(id, stream);
        }
        session
    }

    fn connected(&mut self, now: Stamp, out: &mut dyn Output) {
        self.heartbeat.connected(now.mono);
        self.account.connected();
        let next = self.login.connected(now.mono);
        self.go_on(next, now, out);
    }

    /// What is to be done about the login.
    fn go_on(&mut self, next: Next, now: Stamp, out: &mut dyn Output) {
        if !next.follow(&self.streams, out) {
            return;
        }
        let signed = match &self.signer {
            None => Err(NO_ACCOUNT.to_owned()),
            Some(signer) => match signer.login(PATH, "", self.login.time(now).as_ms()) {
                Ok(login) => login.ok_or_else(|| NO_ACCOUNT.to_owned()),
                Err(error) => Err(error.to_string()),
            },
        };
        match signed {
            Ok(login) => out.sign_in(login),
            Err(detail) => self.login.unable(&detail, now.mono, &self.streams, out),
        }
    }

    fn subscribe(&mut self, id: StreamId, stream: &Stream, now: Stamp, out: &mut dyn Output) {
        self.streams.insert(id, stream.clone());
        if let Some(detail) = self.login.refusal() {
            out.update(Update::Rejected { stream: id, detail });
        }
        let (place, wish) = self.subscriptions.wish(topic(stream), id);
        match wish {
            Wish::Asked => self.send_requests(now, out),
            Wish::Confirmed => self.confirmed(id, now, out),
            Wish::Beyond => self.refused(place, "there are too many topics", out),
        }
    }

    fn unsubscribe(&mut self, id: StreamId, now: Stamp, out: &mut dyn Output) {
        let Some(stream) = self.streams.remove(id) else { return };
        self.account.left(id);
        let place = self.subscriptions.place(topic(&stream));
        let change = place.and_then(|place| self.subscriptions.unwish(place, id));
        self.changed(change.into_iter().collect(), now, out);
        self.send_requests(now, out);
    }

    fn confirmed(&mut self, id: StreamId, now: Stamp, out: &mut dyn Output) {
        if let Some(stream) = self.streams.get(id) {
            self.account.confirmed(id, stream, now, out);
        }
    }

    fn refused(&self, place: usize, detail: &str, out: &mut dyn Output) {
        for stream in self.subscriptions.streams(place) {
            out.update(Update::Rejected { stream: *stream, detail });
        }
    }

    fn changed(&mut self, changes: Vec<Change>, now: Stamp, out: &mut dyn Output) {
        for change in changes {
            match change {
                Change::Subscribed(place) => {
                    for id in self.subscriptions.streams(place).to_vec() {
                        self.confirmed(id, now, out);
                    }
                }
                Change::Refused(place, detail) => self.refused(place, &detail, out),
                Change::Left(id) => out.update(Update::Unsubscribed(id)),
            }
        }
    }

    fn send_requests(&mut self, now: Stamp, out: &mut dyn Output) {
        if !self.login.is_done() {
            return;
        }
        while let Some(request) = self.subscriptions.next_request(now.mono) {
            let op = match request.op {
                Op::Subscribe => "subscribe",
                Op::Unsubscribe => "unsubscribe",
            };
            let args: Vec<_> = request.topics.iter().map(|place| self.subscriptions.name(*place)).collect();
            out.send(json!({"req_id": request.id.to_string(), "op": op, "args": args}).to_string());
        }
    }

    fn timeout(&mut self, now: Stamp, out: &mut dyn Output) {
        match self.heartbeat.beat(now.mono) {
            Beat::Rest => {}
            Beat::Ping => out.send(json!({"req_id": "ping", "op": "ping"}).to_string()),
            Beat::Dead => return out.reconnect("no pong and no data in 10 s".to_owned()),
        }
        let next = self.login.due(now.mono);
        self.go_on(next, now, out);
        if let Err(reason) = self.subscriptions.timeout(now.mono) {
            return out.reconnect(reason);
        }
        self.account.timeout(now, out);
        self.send_requests(now, out);
    }

    fn text(&mut self, message: &[u8], now: Stamp, out: &mut dyn Output) {
        self.heartbeat.heard();
        self.account.heard(now);
        match Envelope::parse(message) {
            Ok(envelope) => self.read(&envelope, now, out),
            Err(error) => out.update(Update::Broken { stream: None, detail: &error.to_string() }),
        }
        self.send_requests(now, out);
    }

    fn read(&mut self, envelope: &Envelope<'_>, now: Stamp, out: &mut dyn Output) {
        let Some(topic) = &envelope.topic else { return self.control(envelope, now, out) };
        let place = self.subscriptions.place(&topic.0);
        let Some((place, kind)) = place.zip(account::kind_of(&topic.0)) else {
            return out.update(Update::Ignored(Ignored::UnknownTopic));
        };
        self.subscriptions.data(place);
        let clocks = Clocks { event: None, venue: time_of_ms(envelope.creation_time), recv: received(now) };
        let account = &mut self.account;
        let read = envelope
            .data
            .ok_or_else(|| "no data".to_owned())
            .and_then(|data| account::rows(&self.market, kind, data, &mut |row| account.streamed(row, clocks, out)));
        if let Err(detail) = read {
            for id in self.subscriptions.streams(place) {
                out.update(Update::Broken { stream: Some(*id), detail: &detail });
            }
        }
    }

    /// Answers and pongs.
    fn control(&mut self, envelope: &Envelope<'_>, now: Stamp, out: &mut dyn Output) {
        let op = envelope.op.as_ref().map_or("", |op| op.0.as_ref());
        let words = envelope.ret_msg.as_ref().map_or("", |words| words.0.as_ref());
        out.update(Update::Ignored(match op {
            "auth" | "subscribe" | "unsubscribe" | "ping" | "pong" => Ignored::Control,
            _ => Ignored::UnknownKind,
        }));
        let op = match op {
            "auth" if envelope.success == Some(true) => {
                if self.login.accepted(out) {
                    for place in self.subscriptions.connected(now.mono) {
                        self.refused(place, "there are too many topics", out);
                    }
                }
                return;
            }
            "auth" => {
                let next = self.login.refused(if words.is_empty() { "refused" } else { words }, now.mono);
                return self.go_on(next, now, out);
            }
            "subscribe" => Some(Op::Subscribe),
            "unsubscribe" => Some(Op::Unsubscribe),
            _ if envelope.success == Some(false) => None,
            _ => return,
        };
        let id = envelope.req_id.as_ref().and_then(|id| id.0.parse().ok());
        let topic = words.split_once("topic:").map(|(_, topic)| topic.trim());
        let answer = match (envelope.success, topic) {
            (Some(true), _) => Answer::Done,
            (_, Some(topic)) if words.contains("already subscribed") => Answer::Already(topic),
            _ => Answer::Failed { topic, detail: words },
        };
        let changes = self.subscriptions.answered(id, op, answer, now.mono);
        self.changed(changes, now, out);
    }

    fn disconnected(&mut self, now: Stamp, out: &mut dyn Output) {
        self.heartbeat.disconnected();
        self.login.disconnected();
        self.account.disconnected();
        let changes = self.subscriptions.disconnected();
        self.changed(changes, now, out);
    }
}

fn topic(stream: &Stream) -> &'static str {
    match stream.channel {
        Channel::Account(kind) => account::topic(kind),
        // No other channel is routed here.
        _ => "",
    }
}

impl Session for PrivateSession {
    fn handle(&mut self, input: Input<'_>, now: Stamp, out: &mut dyn Output) {
        match input {
            Input::Connected => self.connected(now, out),
            Input::Text(message) => self.text(message, now, out),
            Input::Binary(_) => out.update(Update::Ignored(Ignored::UnknownKind)),
            Input::Http { id, status, body, .. } => match self.login.http(id, status, body, now) {
                Some(next) => self.go_on(next, now, out),
                None => drop(self.account.http(id, status, body, now, out)),
            },
            Input::Subscribe { id, stream } => self.subscribe(id, stream, now, out),
            Input::Unsubscribe(id) => self.unsubscribe(id, now, out),
            Input::Initialize => self.account.initialize(now, out),
            Input::Timeout => self.timeout(now, out),
            Input::Disconnected => self.disconnected(now, out),
            // Nothing here has a book, no terminal was called, and what was subscribed to ends by itself.
            Input::Resync(_) | Input::Image(_) | Input::Rpc { .. } | Input::Shutdown => {}
            Input::Ask { id, .. } => {
                out.answer(id, r#"{"ok":false,"error":"this venue has no such command"}"#.to_owned());
            }
        }
    }

    fn next_timeout(&self) -> Option<Timer> {
        let timer = |why| move |at| Timer { at, why };
        let heartbeat = self.heartbeat.next_timeout().map(timer("heartbeat"));
        let login = self.login.next_timeout().map(timer("login"));
        let subscriptions = self.subscriptions.next_timeout().map(timer("subscriptions"));
        let images = self.account.next_timeout().map(timer("images"));
        heartbeat.into_iter().chain(login).chain(subscriptions).chain(images).min()
    }

    fn clock_ahead_ms(&self) -> Option<i64> {
        self.login.ahead_ms()
    }
}
