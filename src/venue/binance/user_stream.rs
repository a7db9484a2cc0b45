//! The session of an account's connection. On futures it has its key in its address, and everything comes by itself; on spot
//! it is the WebSocket API, on which a signed request subscribes
//! (`https://developers.binance.com/docs/binance-spot-api-docs/websocket-api`, "User Data Stream requests").

use serde::Deserialize;
use serde_json::value::RawValue;

use super::account::{self, Event};
use super::listen_key::{Answer, ListenKey};
use super::market::Segment;
use super::server_time::SERVER_TIME;
use super::wire::Envelope;
use crate::model::{AccountKind, Channel, Clocks, Stamp, Stream, StreamId};
use crate::sign::Json;
use crate::venue::kit::account::{Account, NAMELESS, received};
use crate::venue::kit::fields::{Number, Object, time_of_ms};
use crate::venue::kit::login::{Login, Next};
use crate::venue::kit::rows::Row;
use crate::venue::kit::streams::Streams;
use crate::venue::{Ignored, Input, Output, Session, SessionSpec, Signer, Timer, Update};

/// The path of the WebSocket API.
const API: &str = "/ws-api/v3";
/// Calls beside which the venue tells its time.
const REST: &str = "/api/";
const NO_ACCOUNT: &str = "it needs an account: give the feed one (account, or credentials)";

/// What lets the account's events come.
enum Access {
    /// A key in the address.
    Key(ListenKey),
    /// A signed request over the connection.
    Request(Login),
}

/// Protocol state of one connection.
pub(super) struct UserSession {
    signer: Option<Signer>,
    access: Access,
    account: Account,
    streams: Streams,
    connected: bool,
    /// Why there is no key, while there is none.
    refusal: Option<String>,
}

/// An event of the WebSocket API, or of a stream.
#[derive(Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "E")]
    made: Option<Number<'a>>,
}

impl UserSession {
    pub(super) fn new(spec: SessionSpec) -> Self {
        let segment = Segment::of(&spec.market);
        let access = match segment {
            Segment::Spot => Access::Request(Login::by_clock(SERVER_TIME, REST)),
            _ => Access::Key(ListenKey::new(segment)),
        };
        let account = Account::new(&spec, account::READER);
        let mut streams = Streams::default();
        spec.streams.into_iter().for_each(|(id, stream)| streams.insert(id, stream));
        Self { signer: spec.signer, access, account, streams, connected: false, refusal: None }
    }

    fn connected(&mut self, now: Stamp, out: &mut dyn Output) {
        self.connected = true;
        self.account.connected();
        match &mut self.access {
            Access::Key(_) => self.admitted(now, out),
            Access::Request(login) => {
                let next = login.connected(now.mono);
                self.go_on(next, now, out);
            }
        }
    }

    /// What is to be done about the request for the account's events; on spot only.
    fn go_on(&mut self, next: Next, now: Stamp, out: &mut dyn Output) {
        let sign_in = next.follow(&self.streams, out);
        let Access::Request(login) = &mut self.access else { return };
        if !sign_in {
            return;
        }
        let method = "userDataStream.subscribe.signature";
        let request = || Json::map([("id", Json::text("1")), ("method", Json::text(method))]);
        let signed = match &self.signer {
            None => Err(NO_ACCOUNT.to_owned()),
            Some(signer) => signer.message(API, request(), login.time(now).as_ms()).map_err(|error| error.to_string()),
        };
        match signed {
            Ok(request) => out.sign_in(request),
            Err(detail) => login.unable(&detail, now.mono, &self.streams, out),
        }
    }

    fn refuse_all(&self, detail: &str, out: &mut dyn Output) {
        for (stream, _) in self.streams.iter() {
            out.update(Update::Rejected { stream, detail });
        }
    }

    /// The account's events come from now on: all of them, whatever was asked for.
    fn admitted(&mut self, now: Stamp, out: &mut dyn Output) {
        let streams: Vec<(StreamId, Stream)> = self.streams.iter().map(|(id, stream)| (id, stream.clone())).collect();
        for (id, stream) in streams {
            self.account.confirmed(id, &stream, now, out);
        }
    }

    fn is_admitted(&self) -> bool {
        match &self.access {
            Access::Key(_) => self.connected,
            Access::Request(login) => login.is_done(),
        }
    }

    fn refusal(&self) -> Option<&str> {
        match &self.access {
            Access::Key(_) => self.refusal.as_deref(),
            Access::Request(login) => login.refusal(),
        }
    }

    fn subscribe(&mut self, id: StreamId, stream: &Stream, now: Stamp, out: &mut dyn Output) {
        self.streams.insert(id, stream.clone());
        if self.is_admitted() {
            self.account.confirmed(id, stream, now, out);
        } else if let Some(detail) = self.refusal() {
            out.update(Update::Rejected { stream: id, detail });
        }
    }

    fn text(&mut self, message: &[u8], now: Stamp, out: &mut dyn Output) {
        self.account.heard(now);
        let broken = |detail: &str, out: &mut dyn Output| out.update(Update::Broken { stream: None, detail });
        let Ok(text) = std::str::from_utf8(message) else { return broken("no UTF-8", out) };
        let wrapped = match serde_json::from_str::<Object<Wrapped<'_>>>(text) {
            Ok(Object(wrapped)) => wrapped,
            Err(error) => return broken(&error.to_string(), out),
        };
        let answer = Envelope::parse(message).ok().filter(Envelope::is_answer);
        if let (None, Some(answer)) = (wrapped.event, answer) {
            return self.answered(&answer, now, out);
        }
        let event = wrapped.event.map_or(text, RawValue::get);
        let made = match wrapped.event {
            Some(inner) => serde_json::from_str::<Object<Wrapped<'_>>>(inner.get()).ok().and_then(|inner| inner.0.made),
            None => wrapped.made,
        };
        let clocks = Clocks { event: None, venue: time_of_ms(made), recv: received(now) };
        let Self { account, streams, .. } = self;
        let wanted = |kind: AccountKind| streams.iter().any(|(_, stream)| stream.channel == Channel::Account(kind));
        match account::event(event, &wanted, &mut |row| account.streamed(row, clocks, out)) {
            Ok(Event::Rows) => {}
            Ok(Event::Other) => out.update(Update::Ignored(Ignored::Control)),
            Ok(Event::Over) => {
                out.update(Update::Ignored(Ignored::Control));
                out.reconnect("the venue ended the account's stream: its key expired, or was closed".to_owned());
            }
            Err(detail) => broken(&detail, out),
        }
    }

    /// The answer to the only request.
    fn answered(&mut self, answer: &Envelope<'_>, now: Stamp, out: &mut dyn Output) {
        out.update(Update::Ignored(Ignored::Control));
        let Access::Request(login) = &mut self.access else { return };
        match answer.refusal() {
            Some(detail) => {
                let next = login.refused(&detail, now.mono);
                self.go_on(next, now, out);
            }
            None if login.accepted(out) => self.admitted(now, out),
            None => {}
        }
    }

    fn http(&mut self, id: u64, status: Option<u16>, body: &[u8], now: Stamp, out: &mut dyn Output) {
        if self.account.http(id, status, body, now, out) {
            return;
        }
        let key = match &mut self.access {
            Access::Key(key) => key,
            Access::Request(login) => {
                let next = login.http(id, status, body, now).unwrap_or(Next::Nothing);
                return self.go_on(next, now, out);
            }
        };
        match key.answered(id, status, body, now.mono) {
            Answer::NotOurs | Answer::Renewed => {}
            Answer::Key(key) => {
                self.refusal = None;
                out.address(key);
            }
            Answer::Over => out.reconnect("the account's listen key is over".to_owned()),
            Answer::Refused(detail) => {
                self.refuse_all(&detail, out);
                self.refusal = Some(detail);
            }
            Answer::Failed(why, wait) => {
                let detail = format!("no listen key: {why}; asked again in {wait} s");
                for (id, _) in self.streams.iter() {
                    out.update(Update::Notice { stream: Some(id), detail: &detail });
                }
            }
        }
    }

    fn timeout(&mut self, now: Stamp, out: &mut dyn Output) {
        self.account.timeout(now, out);
        match &mut self.access {
            Access::Key(key) => {
                if let Some(request) = key.due(now.mono) {
                    out.http(request);
                }
            }
            Access::Request(login) => {
                let next = login.due(now.mono);
                self.go_on(next, now, out);
            }
        }
    }

    fn disconnected(&mut self, now: Stamp) {
        self.connected = false;
        self.account.disconnected();
        match &mut self.access {
            Access::Key(key) => key.disconnected(now.mono),
            Access::Request(login) => login.disconnected(),
        }
    }
}

/// Reads the account's rows of a message in a recording; false if it is none of the account's.
pub(super) fn recorded(message: &[u8], clocks: Clocks, out: &mut dyn Output) -> bool {
    let Ok(text) = std::str::from_utf8(message) else { return false };
    let wrapped = serde_json::from_str::<Object<Wrapped<'_>>>(text).ok().and_then(|wrapped| wrapped.0.event);
    let event = wrapped.map_or(text, RawValue::get);
    let mut tell = |row: &Row<'_>| row.tell(NAMELESS, clocks, out);
    matches!(account::event(event, &|_| true, &mut tell), Ok(Event::Rows))
}

impl Session for UserSession {
    fn handle(&mut self, input: Input<'_>, now: Stamp, out: &mut dyn Output) {
        match input {
            Input::Connected => self.connected(now, out),
            Input::Text(message) => self.text(message, now, out),
            Input::Binary(_) => out.update(Update::Ignored(Ignored::UnknownKind)),
            Input::Http { id, status, body, .. } => self.http(id, status, body, now, out),
            Input::Subscribe { id, stream } => self.subscribe(id, stream, now, out),
            // All events come in any case: there is nothing to be left at the venue.
            Input::Unsubscribe(id) => {
                self.streams.remove(id);
                self.account.left(id);
                out.update(Update::Unsubscribed(id));
            }
            Input::Initialize => self.account.initialize(now, out),
            Input::Timeout => self.timeout(now, out),
            Input::Disconnected => self.disconnected(now),
            // Nothing here has a book, no terminal was called, and a key is shared by all who listen to the account.
            Input::Resync(_) | Input::Image(_) | Input::Rpc { .. } | Input::Shutdown => {}
            Input::Ask { id, .. } => {
                out.answer(id, r#"{"ok":false,"error":"this venue has no such command"}"#.to_owned());
            }
        }
    }

    fn next_timeout(&self) -> Option<Timer> {
        let timer = |why| move |at| Timer { at, why };
        let access = match &self.access {
            Access::Key(key) => key.next_timeout().map(timer("listen key")),
            Access::Request(login) => login.next_timeout().map(timer("login")),
        };
        access.into_iter().chain(self.account.next_timeout().map(timer("images"))).min()
    }

    fn clock_ahead_ms(&self) -> Option<i64> {
        match &self.access {
            Access::Key(_) => None,
            Access::Request(login) => login.ahead_ms(),
        }
    }
}
