//! Signing in on a connection: asked for once it is open, with a slow retry after a refusal
//! (OKX API v5, "WebSocket", "Login").

use std::time::Duration;

use serde_json::json;

use crate::model::{Mono, Stamp};
use crate::secret::Secret;
use crate::sign;
use crate::venue::Credentials;

/// How long the answer may take.
const PATIENCE: Duration = Duration::from_secs(10);
/// When to try again after a refusal.
const RETRY: Duration = Duration::from_secs(300);

/// Codes that refuse a login: time stamp, key, signature, passphrase, rate.
const REFUSALS: [&str; 11] =
    ["60001", "60002", "60003", "60004", "60005", "60006", "60007", "60009", "60023", "60024", "60032"];

/// What a connection that needs a login is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not connected.
    Idle,
    /// The answer is to come by then.
    Asked(Mono),
    /// Signed in.
    Done,
    /// Refused; asked for again at this time, over the connection that is open then.
    Refused(Mono),
}

/// The login of one connection.
#[derive(Debug)]
pub(super) struct Login {
    credentials: Credentials,
    state: State,
    /// The venue's words when it refused.
    detail: String,
}

/// What a look at the clock says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Due {
    /// Nothing.
    Nothing,
    /// This is to be sent.
    Send(Secret),
    /// There was no answer.
    NoAnswer,
}

impl Login {
    pub(super) const fn new(credentials: Credentials) -> Self {
        Self { credentials, state: State::Idle, detail: String::new() }
    }

    /// A connection is open. What to send, or the refusal that still holds.
    pub(super) fn connected(&mut self, now: Stamp) -> Result<Secret, &str> {
        match self.state {
            State::Refused(at) if now.mono < at => Err(&self.detail),
            _ => Ok(self.ask(now)),
        }
    }

    fn ask(&mut self, now: Stamp) -> Secret {
        self.state = State::Asked(now.mono.after(PATIENCE));
        let Credentials { key, secret, passphrase } = &self.credentials;
        let seconds = now.wall.0 / 1_000_000_000;
        let passphrase = passphrase.as_ref().map_or("", |passphrase| passphrase.reveal());
        let sign = sign::okx::login(secret, seconds);
        let args = json!([{
            "apiKey": key.reveal(), "passphrase": passphrase, "timestamp": seconds.to_string(), "sign": sign
        }]);
        Secret::new(json!({"op": "login", "args": args}).to_string())
    }

    /// The connection is gone; a refusal holds on.
    pub(super) const fn disconnected(&mut self) {
        if !matches!(self.state, State::Refused(_)) {
            self.state = State::Idle;
        }
    }

    /// The venue accepted; false if that was not waited for.
    pub(super) const fn accepted(&mut self) -> bool {
        let waited = matches!(self.state, State::Asked(_));
        if waited {
            self.state = State::Done;
        }
        waited
    }

    /// An error came: whether it refuses the login.
    pub(super) fn refused(&mut self, code: &str, detail: &str, now: Mono) -> bool {
        let waited = matches!(self.state, State::Asked(_)) && REFUSALS.contains(&code);
        if waited {
            detail.clone_into(&mut self.detail);
            self.state = State::Refused(now.after(RETRY));
        }
        waited
    }

    pub(super) fn due(&mut self, now: Stamp) -> Due {
        match self.state {
            State::Asked(by) if by <= now.mono => Due::NoAnswer,
            State::Refused(at) if at <= now.mono => Due::Send(self.ask(now)),
            _ => Due::Nothing,
        }
    }

    /// The venue's words, while it refuses.
    pub(super) fn refusal(&self) -> Option<&str> {
        matches!(self.state, State::Refused(_)).then_some(&self.detail)
    }

    pub(super) const fn next_timeout(&self) -> Option<Mono> {
        match self.state {
            State::Asked(at) | State::Refused(at) => Some(at),
            State::Idle | State::Done => None,
        }
    }
}
