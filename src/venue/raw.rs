//! The session of a connection that carries what the user subscribes to in the venue's words: the texts are sent when it
//! opens, after signing in where the venue's host wants that, and every message is handed on untouched.

use std::collections::VecDeque;
use std::time::Duration;

use super::{Input, Output, Session, SessionSpec, Signer, Timer, Update, VenueDef};
use crate::model::{Mono, Stamp, Stream, StreamId};
use crate::sign::{self, Beat};

/// Between two texts: Binance takes five messages a second, which is the least of all venues.
const PACE: Duration = Duration::from_millis(250);
/// How long what answers a login may take. What it says is the venue's affair; it is published like everything else.
const LOGIN_WITHIN: Duration = Duration::from_secs(5);

/// Protocol state of one such connection.
pub struct RawSession {
    url: String,
    /// The venue's host, whose logins and heartbeats hold where the address is nobody's.
    as_host: Option<String>,
    signer: Option<Signer>,
    discover: bool,
    streams: Vec<(StreamId, String)>,
    state: State,
    /// What is to be sent, each when its time has come.
    waiting: VecDeque<StreamId>,
    next_send: Mono,
    heartbeat: Option<(Duration, Mono)>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Closed,
    /// The login was sent; texts follow its answer, or this time.
    SigningIn(Mono),
    Open,
}

impl RawSession {
    /// A session that is not connected.
    pub fn new(venue: &VenueDef, spec: SessionSpec) -> Self {
        let own = venue.markets.iter().find(|market| market.id == spec.market).map(|market| market.url);
        let as_host = own.filter(|_| !sign::knows_socket(&spec.raw_url)).and_then(sign::host_of);
        Self {
            url: spec.raw_url,
            as_host,
            signer: spec.signer,
            discover: spec.discover,
            streams: spec.streams.into_iter().map(|(id, stream)| (id, stream.symbol)).collect(),
            state: State::Closed,
            waiting: VecDeque::new(),
            next_send: Mono(0),
            heartbeat: None,
        }
    }

    fn opening(&self, now: Stamp) -> Result<sign::Opening, sign::SignError> {
        sign::opening(&self.url, self.as_host.as_deref(), self.signer.as_ref(), now.wall.0 / 1_000_000)
    }

    fn connected(&mut self, now: Stamp, out: &mut dyn Output) {
        if self.discover {
            return;
        }
        self.waiting = self.streams.iter().map(|(id, _)| *id).collect();
        self.next_send = now.mono;
        self.heartbeat = None;
        self.state = State::Open;
        match self.opening(now) {
            Ok(opening) => {
                self.heartbeat = opening.heartbeat.map(|heartbeat| (heartbeat.every, now.mono.after(heartbeat.every)));
                if let Some(login) = opening.login {
                    out.sign_in(login);
                    self.state = State::SigningIn(now.mono.after(LOGIN_WITHIN));
                }
            }
            Err(error) => self.refuse(&format!("cannot sign in: {error}"), out),
        }
        self.send(now, out);
    }

    fn refuse(&self, detail: &str, out: &mut dyn Output) {
        self.streams.iter().for_each(|(stream, _)| out.update(Update::Rejected { stream: *stream, detail }));
    }

    fn send(&mut self, now: Stamp, out: &mut dyn Output) {
        while self.state == State::Open
            && self.next_send <= now.mono
            && let Some(id) = self.waiting.pop_front()
        {
            let Some((_, text)) = self.streams.iter().find(|(known, _)| *known == id) else { continue };
            match self
                .signer
                .as_ref()
                .map(|signer| signer.raw_message(&self.url, self.as_host.as_deref(), text, now.wall.0 / 1_000_000))
            {
                None | Some(Ok(None)) => out.send(text.clone()),
                Some(Ok(Some(signed))) => out.sign_in(signed),
                Some(Err(error)) => {
                    out.update(Update::Rejected { stream: id, detail: &format!("cannot be signed: {error}") });
                    continue;
                }
            }
            // What the venue makes of it only the user can tell.
            out.update(Update::Subscribed(id));
            self.next_send = now.mono.after(PACE);
        }
    }

    fn timeout(&mut self, now: Stamp, out: &mut dyn Output) {
        if matches!(self.state, State::SigningIn(until) if until <= now.mono) {
            self.state = State::Open;
        }
        if let Some((every, _)) = self.heartbeat.filter(|(_, at)| self.state != State::Closed && *at <= now.mono) {
            self.heartbeat = Some((every, now.mono.after(every)));
            let beat = self.opening(now).ok().and_then(|opening| opening.heartbeat).map(|heartbeat| heartbeat.beat);
            match beat {
                Some(Beat::Text(text)) => out.send(text),
                // The driver's own PING keeps such connections.
                Some(Beat::Pong) | None => {}
            }
        }
        self.send(now, out);
    }

    fn message(&mut self, message: &[u8], now: Stamp, out: &mut dyn Output) {
        if self.discover && self.streams.is_empty() {
            let stream = Stream::new("", crate::model::Channel::Raw);
            self.streams.extend(out.discovered(stream).map(|id| (id, String::new())));
        }
        out.update(Update::Untouched(message));
        if matches!(self.state, State::SigningIn(_)) {
            self.state = State::Open;
            self.send(now, out);
        }
    }
}

impl Session for RawSession {
    fn handle(&mut self, input: Input<'_>, now: Stamp, out: &mut dyn Output) {
        match input {
            Input::Connected => self.connected(now, out),
            Input::Text(message) | Input::Binary(message) => self.message(message, now, out),
            Input::Timeout => self.timeout(now, out),
            Input::Disconnected => self.state = State::Closed,
            Input::Subscribe { id, stream } => {
                self.streams.retain(|(known, _)| *known != id);
                self.streams.push((id, stream.symbol.clone()));
                self.waiting.push_back(id);
                self.send(now, out);
            }
            // How to leave what it subscribed to, only the user knows: another raw text may do it.
            Input::Unsubscribe(id) => {
                self.streams.retain(|(known, _)| *known != id);
                out.update(Update::Unsubscribed(id));
            }
            Input::Ask { id, .. } => {
                out.answer(id, r#"{"ok":false,"error":"a raw channel has no such command"}"#.to_owned());
            }
            Input::Http { .. }
            | Input::Rpc { .. }
            | Input::Resync(_)
            | Input::Image(_)
            | Input::Initialize
            | Input::Shutdown => {}
        }
    }

    fn next_timeout(&self) -> Option<Timer> {
        let login = match self.state {
            State::Closed => return None,
            State::SigningIn(until) => Some(Timer { at: until, why: "login" }),
            State::Open => None,
        };
        let send = (login.is_none() && !self.waiting.is_empty()).then_some(Timer { at: self.next_send, why: "raw" });
        let beat = self.heartbeat.map(|(_, at)| Timer { at, why: "ping" });
        login.into_iter().chain(send).chain(beat).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Channel;
    use crate::secret::Secret;
    use crate::venue::bybit::tests::{Recorder, at};
    use crate::venue::{Credentials, find};

    const TEXT: &str = r#"{"op":"subscribe","args":["order"]}"#;

    fn session(venue: &str, market: &str, url: &str, signer: Option<Signer>) -> RawSession {
        let streams = vec![Stream::new(TEXT, Channel::Raw), Stream::new("second", Channel::Raw)];
        let spec = SessionSpec { raw_url: url.to_owned(), signer, ..SessionSpec::of(market, streams) };
        RawSession::new(find(venue).expect("known"), spec)
    }

    fn take(session: &mut RawSession, input: Input<'_>, seconds: f64) -> Recorder {
        let mut said = Recorder::default();
        session.handle(input, at(seconds), &mut said);
        said
    }

    #[test]
    fn texts_are_sent_one_after_the_other_at_every_connection() {
        let mut session = session("bybit", "linear", "ws://127.0.0.1:1/x", None);
        for start in [0.0, 100.0] {
            assert_eq!(take(&mut session, Input::Connected, start).sent, [TEXT]);
            assert!(take(&mut session, Input::Timeout, start + 0.2).sent.is_empty());
            assert_eq!(take(&mut session, Input::Timeout, start + 0.25).sent, ["second"]);
            // Bybit's host wants to be asked every 20 s, and a simulator takes its place.
            assert_eq!(take(&mut session, Input::Timeout, start + 20.0).sent, [r#"{"op":"ping"}"#]);
            take(&mut session, Input::Disconnected, start + 30.0);
            assert!(session.next_timeout().is_none());
        }
    }

    #[test]
    fn texts_follow_the_answer_to_a_login_or_its_absence() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let credentials = Credentials { key: secret("k"), secret: secret("s"), passphrase: None };
        let api = sign::find("bybit").expect("known");
        let signer = Signer::new("main", api, credentials, "https://api.bybit.com").expect("usable");
        let mut session = session("bybit", "linear", "wss://stream.bybit.com/v5/private", Some(signer));
        let said = take(&mut session, Input::Connected, 0.0);
        assert!(said.sent.len() == 1 && said.sent[0].contains("auth"), "{:?}", said.sent);
        let said = take(&mut session, Input::Text(b"{\"op\":\"auth\"}"), 1.0);
        assert_eq!(said.sent, [TEXT]);
        take(&mut session, Input::Connected, 10.0);
        assert!(take(&mut session, Input::Timeout, 14.0).sent.is_empty());
        assert_eq!(take(&mut session, Input::Timeout, 15.0).sent, [TEXT]);
    }

    #[test]
    fn what_is_left_is_not_sent_again_and_what_comes_is_sent_at_once() {
        let mut session = session("other", "phemex", "wss://ws.phemex.com", None);
        take(&mut session, Input::Connected, 0.0);
        take(&mut session, Input::Unsubscribe(StreamId(1)), 1.0);
        let third = Stream::new("third", Channel::Raw);
        let said = take(&mut session, Input::Subscribe { id: StreamId(2), stream: &third }, 2.0);
        assert_eq!(said.sent, ["third"]);
        assert_eq!(take(&mut session, Input::Connected, 3.0).sent, [TEXT]);
        assert_eq!(take(&mut session, Input::Timeout, 4.0).sent, ["third"]);
    }
}
