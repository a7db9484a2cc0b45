//! How the terminal is: whether it answers, has its broker, and moves with the market.

use std::time::Duration;

use serde_json::{Value, json};

use super::reply::{Integer, Reply};
use super::rpc::{Caller, Part};
use super::time;
use crate::model::{Mono, Stamp, UnixNanos};
use crate::venue::{Host, Output, TerminalSpec, TerminalState, Timer, Urgency};

/// How often a terminal that is not live is asked, at least.
const UNWELL_EVERY: Duration = Duration::from_secs(1);
/// The shortest time between two questions, however many calls fail.
const DOUBTED_EVERY: Duration = Duration::from_millis(250);
/// How long the terminal's clock may stand while the market is open.
const STANDS_MAX: Duration = Duration::from_secs(120);
/// When it is expected to move: the main session of MOEX's markets, without its first and last minutes and the
/// derivatives' clearing at 14:00. Outside of it and on weekends nothing is concluded from a clock that stands.
const TRADING_HOURS: [(u32, u32); 2] = [(36_300, 50_100), (51_000, 66_900)];

const CLOCK: usize = 0;
const LINK: usize = 1;

/// What is known of the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Health {
    /// Nothing yet.
    Unknown,
    /// It does not answer.
    Down(String),
    /// It answers but has no broker, or has just had to start anew.
    Offline(String),
    /// Its clock stands still while the market is open.
    Frozen(String),
    /// All is well.
    Live,
}

impl Health {
    /// The same in the words of every terminal.
    pub(super) fn state(&self) -> Option<TerminalState<'_>> {
        match self {
            Self::Unknown => None,
            Self::Down(why) => Some(TerminalState::Down(why)),
            Self::Offline(why) => Some(TerminalState::Offline(why)),
            Self::Frozen(why) => Some(TerminalState::Frozen(why)),
            Self::Live => Some(TerminalState::Live),
        }
    }
}

/// The two calls of one look at the terminal.
#[derive(Clone, Debug, Default)]
struct Beat {
    clock: Asked,
    link: Asked,
}

#[derive(Clone, Debug, Default)]
struct Asked {
    id: u64,
    answer: Option<Result<Option<String>, String>>,
}

/// The heartbeat.
#[derive(Clone, Debug)]
pub(super) struct Pulse {
    caller: Caller,
    every: Duration,
    hours: Vec<(u32, u32)>,
    health: Health,
    next_beat: Option<Mono>,
    last_beat: Mono,
    beat: Option<Beat>,
    /// The terminal's clock as it last showed, and when it last moved.
    clock: String,
    moved_at: Mono,
}

impl Pulse {
    pub(super) fn new(spec: &TerminalSpec) -> Self {
        let hours = if spec.trading_hours.is_empty() { TRADING_HOURS.to_vec() } else { spec.trading_hours.clone() };
        Self {
            caller: Caller::new(Part::Session, Host::Rpc, Urgency::Control, spec.call_timeout),
            every: spec.heartbeat,
            hours,
            health: Health::Unknown,
            next_beat: None,
            last_beat: Mono(0),
            beat: None,
            clock: String::new(),
            moved_at: Mono(0),
        }
    }

    /// The link is there: the terminal is looked at from now on.
    pub(super) fn connected(&mut self, now: Mono) {
        self.disconnected();
        self.next_beat = Some(now);
    }

    /// The link is gone.
    pub(super) fn disconnected(&mut self) {
        self.health = Health::Unknown;
        self.next_beat = None;
        self.beat = None;
    }

    /// A call got no answer: the terminal is looked at soon.
    pub(super) fn doubt(&mut self, now: Mono) {
        if self.beat.is_none()
            && let Some(next) = self.next_beat
        {
            self.next_beat = Some(next.min(now.max(self.last_beat.after(DOUBTED_EVERY))));
        }
    }

    /// The terminal said itself how it is; what is being asked was asked before that, so it is asked again.
    /// The state, if it changed.
    pub(super) fn told(&mut self, health: Health, now: Mono) -> Option<Health> {
        self.beat = None;
        self.next_beat = self.next_beat.map(|_| now.max(self.last_beat.after(DOUBTED_EVERY)));
        self.set(health)
    }

    /// The state, if it changed. Another reason for the same is no change.
    fn set(&mut self, health: Health) -> Option<Health> {
        let is_same = std::mem::discriminant(&health) == std::mem::discriminant(&self.health);
        self.health = health;
        (!is_same).then(|| self.health.clone())
    }

    /// Looks at the terminal, if it is time to.
    pub(super) fn work(&mut self, now: Mono, out: &mut dyn Output) {
        if self.beat.is_some() || self.next_beat.is_none_or(|at| at > now) {
            return;
        }
        self.last_beat = now;
        let clock = json!({ "param_name": "LASTRECORDTIME" });
        let clock = self.caller.call(CLOCK, "getInfoParam", &clock, out);
        let link = self.caller.call(LINK, "isConnected", &Value::Null, out);
        let asked = |id| Asked { id, answer: None };
        self.beat = Some(Beat { clock: asked(clock), link: asked(link) });
    }

    /// When to look next.
    pub(super) fn next_timeout(&self) -> Option<Timer> {
        self.next_beat.filter(|_| self.beat.is_none()).map(|at| Timer { at, why: "heartbeat" })
    }

    /// Takes the answer of one of its calls. The state, if it changed.
    pub(super) fn answered(&mut self, id: u64, reply: &Reply<'_>, now: Stamp) -> Option<Health> {
        let beat = self.beat.as_mut()?;
        let (asked, name) = match id {
            _ if id == beat.clock.id => (&mut beat.clock, "info_param"),
            _ if id == beat.link.id => (&mut beat.link, "is_connected"),
            _ => return None,
        };
        asked.answer = Some(match reply {
            Reply::Result(fields) => Ok(fields.text(name).map(std::borrow::Cow::into_owned)),
            // A server without the function still answers.
            Reply::Refused(_) => Ok(None),
            Reply::Lost(why) => Err((*why).to_owned()),
            Reply::Unreadable(why) => Err(why.clone()),
        });
        let (Some(clock), Some(link)) = (&beat.clock.answer, &beat.link.answer) else { return None };
        let (clock, link) = (clock.clone(), link.clone());
        self.beat = None;
        let health = self.judge(clock, link, now);
        let every = if health == Health::Live { self.every } else { self.every.min(UNWELL_EVERY) };
        self.next_beat = Some(self.last_beat.after(every).max(now.mono.after(DOUBTED_EVERY)));
        self.set(health)
    }

    fn judge(
        &mut self,
        clock: Result<Option<String>, String>,
        link: Result<Option<String>, String>,
        now: Stamp,
    ) -> Health {
        let (clock, link) = match (clock, link) {
            (Err(why), _) | (_, Err(why)) => return Health::Down(why),
            (Ok(clock), Ok(link)) => (clock.unwrap_or_default(), link),
        };
        if link.is_some_and(|link| Integer::read(&link) == Some(Integer::Exact(0))) {
            return Health::Offline("the terminal is not connected to its broker".to_owned());
        }
        if clock.is_empty() {
            return Health::Offline("the terminal has received nothing from its broker".to_owned());
        }
        let has_moved = clock != self.clock;
        if has_moved {
            self.clock = clock;
            self.moved_at = now.mono;
        }
        let stands = now.mono.since(self.moved_at) >= STANDS_MAX && self.is_trading(now.wall);
        let is_frozen = !has_moved && (stands || matches!(self.health, Health::Frozen(_)));
        if is_frozen { Health::Frozen(self.stands(now.wall)) } else { Health::Live }
    }

    fn is_trading(&self, now: UnixNanos) -> bool {
        let here = time::moscow(now);
        here.is_weekday && self.hours.iter().any(|(first, last)| (*first..=*last).contains(&here.second))
    }

    fn stands(&self, now: UnixNanos) -> String {
        let since = time::clock(&self.clock).and_then(|clock| time::joined(clock, now));
        let behind = since.map_or(0, |since| now.0.saturating_sub(since.0) / 1_000_000_000);
        let shown: String = self.clock.chars().take(20).collect();
        format!("the terminal's last data is of {shown} in Moscow, {behind} s ago")
    }
}
