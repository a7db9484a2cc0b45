//! Signing in on a connection: asked for once it is open. After a refusal the venue's time is asked for, where it tells it, and if
//! our clock is wrong the login is made once more by the venue's; otherwise it is tried again slowly. What is sent, and how a
//! venue accepts or refuses, is the session's affair.

use std::time::Duration;

use super::streams::Streams;
use crate::model::{Mono, Stamp, UnixNanos};
use crate::venue::{HttpRequest, Output, ServerTime, Update};

/// How long the answer may take; and the venue's time, with what its call has to wait for the budget.
const PATIENCE: Duration = Duration::from_secs(10);
/// When to try again after a refusal.
pub const RETRY: Duration = Duration::from_secs(300);
/// How long the venue may take to tell its time once it is asked.
const TIME_WITHIN: Duration = Duration::from_secs(5);
/// A clock that is off by less is no reason to refuse: Binance takes what is less than a second ahead, and no other venue is as
/// strict.
const OFF_MS: u64 = 1_000;
/// Ids of calls for the time begin here, so that a session's others are told from them.
const FIRST_ID: u64 = 1 << 34;

/// What a connection that needs a login is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Not asked for.
    Idle,
    /// The answer is to come by then.
    Asked(Mono),
    /// Signed in.
    Done,
    /// Refused; the venue's time was asked for and is to come by then, whether or not the connection lasts.
    Measuring(Mono),
    /// Refused; asked for again at this time, over the connection that is open then.
    Refused(Mono),
}

/// The login of one connection.
#[derive(Clone, Debug)]
pub struct Login {
    state: State,
    connected: bool,
    /// The venue's words when it refused.
    detail: String,
    time: Option<Time>,
    /// Milliseconds that the venue's clock is ahead of ours, since a login was refused by which that mattered.
    ahead_ms: Option<i64>,
    /// Whether the time was measured for the login that is under way, or comes next.
    corrected: bool,
}

/// How the venue's time is asked for.
#[derive(Clone, Debug)]
struct Time {
    path: String,
    read: fn(body: &[u8]) -> Option<u64>,
    /// Of the last call.
    id: u64,
}

/// What is to be done about a login.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub enum Next {
    /// Nothing.
    Nothing,
    /// It is to be sent now, signed with [`Login::time`]; its answer is waited for.
    SignIn,
    /// The venue is to be asked for its time; the answer is for [`Login::http`].
    AskTime(HttpRequest),
    /// The refusal stands.
    Refused(String),
    /// There was no answer: the connection is of no use.
    NoAnswer,
}

impl Next {
    /// Does it, but for signing in: true if the session is to do that now. A refusal is told to all these streams.
    #[must_use]
    pub fn follow(self, streams: &Streams, out: &mut dyn Output) -> bool {
        match self {
            Self::Nothing => {}
            Self::SignIn => return true,
            Self::AskTime(request) => out.http(request),
            Self::Refused(detail) => {
                streams.iter().for_each(|(stream, _)| out.update(Update::Rejected { stream, detail: &detail }));
            }
            Self::NoAnswer => {
                out.reconnect(format!("no answer to signing in in {} s", PATIENCE.as_secs()));
            }
        }
        false
    }
}

impl Login {
    /// Not connected yet; signed by our own clock, whatever the venue says.
    pub const fn new() -> Self {
        Self {
            state: State::Idle,
            connected: false,
            detail: String::new(),
            time: None,
            ahead_ms: None,
            corrected: false,
        }
    }

    /// Not connected yet; signed by the venue's clock once that has mattered. The time is asked for beside this signed path.
    pub fn by_clock(server_time: ServerTime, signed: &str) -> Self {
        let time = |path| Time { path, read: server_time.read, id: FIRST_ID };
        Self { time: (server_time.path)(signed).map(time), ..Self::new() }
    }

    /// What a login is signed with: the venue's time, as far as it is known.
    pub fn time(&self, now: Stamp) -> UnixNanos {
        let nanos = self.ahead_ms.unwrap_or_default().saturating_mul(1_000_000);
        UnixNanos(now.wall.0.saturating_add_signed(nanos))
    }

    /// Milliseconds that the venue's clock is ahead of ours, if logins are signed by it.
    pub const fn ahead_ms(&self) -> Option<i64> {
        self.ahead_ms
    }

    /// A connection is open.
    pub fn connected(&mut self, now: Mono) -> Next {
        self.connected = true;
        match self.state {
            State::Refused(at) if now < at => Next::Refused(self.detail.clone()),
            State::Measuring(_) => Next::Nothing,
            _ => self.ask(now),
        }
    }

    /// The connection is gone. A refusal holds on, and the time that is asked for is as good for the next one.
    pub const fn disconnected(&mut self) {
        self.connected = false;
        if !matches!(self.state, State::Refused(_) | State::Measuring(_)) {
            self.state = State::Idle;
        }
    }

    fn ask(&mut self, now: Mono) -> Next {
        self.state = State::Asked(now.after(PATIENCE));
        Next::SignIn
    }

    /// The venue accepted; false if that was not waited for. Tells whose clock made it possible, if it is not ours.
    pub fn accepted(&mut self, out: &mut dyn Output) -> bool {
        let waited = self.is_asked();
        if waited {
            (self.state, self.corrected) = (State::Done, false);
            if let Some(signed) = self.by_clock_of_venue() {
                out.update(Update::Notice { stream: None, detail: &format!("logins are {signed}") });
            }
        }
        waited
    }

    /// The venue refused; nothing is to be done if no answer was waited for.
    pub fn refused(&mut self, detail: &str, now: Mono) -> Next {
        if !self.is_asked() {
            return Next::Nothing;
        }
        let Some(time) = self.time.as_mut().filter(|_| !self.corrected) else { return self.give_up(detail, now) };
        time.id += 1;
        let request = HttpRequest::get(time.id, time.path.clone(), TIME_WITHIN, 1);
        detail.clone_into(&mut self.detail);
        self.state = State::Measuring(now.after(PATIENCE));
        Next::AskTime(request)
    }

    /// There is nothing that could be sent: all these streams are told why.
    pub fn unable(&mut self, detail: &str, now: Mono, streams: &Streams, out: &mut dyn Output) {
        let _sign_in = self.give_up(detail, now).follow(streams, out);
    }

    /// The refusal stands. Without a connection that is told when there is one.
    fn give_up(&mut self, detail: &str, now: Mono) -> Next {
        let signed = self.by_clock_of_venue().map(|signed| format!(" ({signed})")).unwrap_or_default();
        self.detail = format!("{detail}{signed}");
        (self.state, self.corrected) = (State::Refused(now.after(RETRY)), false);
        if self.connected { Next::Refused(self.detail.clone()) } else { Next::Nothing }
    }

    /// An answer of REST; `None` if it was not asked for here.
    pub fn http(&mut self, id: u64, status: Option<u16>, body: &[u8], now: Stamp) -> Option<Next> {
        let time = self.time.as_ref().filter(|time| (FIRST_ID..=time.id).contains(&id))?;
        let State::Measuring(_) = self.state else { return Some(Next::Nothing) };
        if id != time.id {
            return Some(Next::Nothing);
        }
        let told = status.filter(|status| *status == 200).and_then(|_| (time.read)(body));
        Some(match told.and_then(|told| ahead(told, now)) {
            Some(ahead_ms) => self.measured(ahead_ms, now.mono),
            None => self.not_measured(now.mono),
        })
    }

    fn measured(&mut self, ahead_ms: i64, now: Mono) -> Next {
        if ahead_ms.abs_diff(self.ahead_ms.unwrap_or_default()) <= OFF_MS {
            let detail = std::mem::take(&mut self.detail);
            return self.give_up(&detail, now);
        }
        self.ahead_ms = Some(ahead_ms).filter(|ahead_ms| ahead_ms.unsigned_abs() > OFF_MS);
        self.corrected = true;
        if self.connected {
            return self.ask(now);
        }
        self.state = State::Idle;
        Next::Nothing
    }

    fn not_measured(&mut self, now: Mono) -> Next {
        let detail = format!("{}; the venue did not tell its time", self.detail);
        self.give_up(&detail, now)
    }

    /// Whether an answer is waited for.
    pub const fn is_asked(&self) -> bool {
        matches!(self.state, State::Asked(_))
    }

    /// Whether the venue accepted over this connection.
    pub const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// What to do now.
    pub fn due(&mut self, now: Mono) -> Next {
        match self.state {
            State::Asked(by) if by <= now => Next::NoAnswer,
            State::Measuring(by) if by <= now => self.not_measured(now),
            State::Refused(at) if at <= now && self.connected => self.ask(now),
            _ => Next::Nothing,
        }
    }

    /// The venue's words, while it refuses.
    pub fn refusal(&self) -> Option<&str> {
        matches!(self.state, State::Refused(_)).then_some(&self.detail)
    }

    /// When to look again.
    pub const fn next_timeout(&self) -> Option<Mono> {
        match self.state {
            State::Asked(at) | State::Measuring(at) => Some(at),
            State::Refused(at) if self.connected => Some(at),
            State::Idle | State::Done | State::Refused(_) => None,
        }
    }

    /// What there is to tell of the clock that logins are signed by, if it is the venue's.
    fn by_clock_of_venue(&self) -> Option<String> {
        let ahead_ms = self.ahead_ms?;
        let (tenths, word) = ((ahead_ms.unsigned_abs() + 50) / 100, if ahead_ms > 0 { "ahead of" } else { "behind" });
        Some(format!("signed by the venue's clock, {}.{} s {word} ours", tenths / 10, tenths % 10))
    }
}

/// Milliseconds that a clock is ahead of ours that shows this when its answer is here. A slow answer makes that less than it is,
/// never more: venues take a time that is some seconds late, but none that is ahead.
fn ahead(told: u64, now: Stamp) -> Option<i64> {
    i64::try_from(i128::from(told) - i128::from(now.wall.as_ms())).ok()
}

impl Default for Login {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(test)]
#[path = "login_tests.rs"]
mod tests;
