//! The life of a websocket as the venue limits it: pings that must be answered, messages a second, and 24 hours at most.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::{Mono, Stamp};

/// How long a connection may last.
const LIFETIME: Duration = Duration::from_secs(86_400);
/// Pings whose payload is remembered: more are never due before an answer is.
const MOST_PINGS: usize = 8;

/// What the venue's markets differ in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    ping_every: Duration,
    pong_within: Duration,
    /// Messages in any second.
    messages: usize,
}

const SPOT: Limits = Limits { ping_every: Duration::from_secs(20), pong_within: Duration::from_secs(60), messages: 5 };
const FUTURES: Limits =
    Limits { ping_every: Duration::from_secs(180), pong_within: Duration::from_secs(600), messages: 10 };

/// Clocks and counts of one connection.
#[derive(Clone, Debug)]
pub(super) struct Life {
    limits: Limits,
    opened: Mono,
    next_ping: Mono,
    /// When the oldest ping without an answer was sent.
    unanswered: Option<Mono>,
    pings: VecDeque<Vec<u8>>,
    messages: VecDeque<Mono>,
}

impl Life {
    pub(super) fn new(futures: bool, now: Mono) -> Self {
        let limits = if futures { FUTURES } else { SPOT };
        let next_ping = now.after(limits.ping_every);
        Self { limits, opened: now, next_ping, unanswered: None, pings: VecDeque::new(), messages: VecDeque::new() }
    }

    /// The connection turned out to be one to futures.
    pub(super) fn become_futures(&mut self) {
        self.limits = FUTURES;
        self.next_ping = self.opened.after(FUTURES.ping_every);
    }

    /// Counts a message that came in: text, ping or pong; false when there were too many within a second.
    pub(super) fn admit(&mut self, now: Mono) -> bool {
        while self.messages.front().is_some_and(|first| now.since(*first) >= Duration::from_secs(1)) {
            self.messages.pop_front();
        }
        self.messages.push_back(now);
        self.messages.len() <= self.limits.messages
    }

    /// When to ping next.
    pub(super) const fn next_ping(&self) -> Mono {
        self.next_ping
    }

    /// The payload of a ping, if one is due: the time.
    pub(super) fn ping(&mut self, now: Stamp) -> Option<Vec<u8>> {
        if now.mono < self.next_ping {
            return None;
        }
        self.next_ping = now.mono.after(self.limits.ping_every);
        self.unanswered.get_or_insert(now.mono);
        let payload = now.wall.as_ms().to_string().into_bytes();
        if self.pings.len() == MOST_PINGS {
            self.pings.pop_front();
        }
        self.pings.push_back(payload.clone());
        Some(payload)
    }

    /// Takes a pong; only one with a ping's payload counts.
    pub(super) fn pong(&mut self, payload: &[u8]) {
        if self.pings.iter().any(|ping| ping == payload) {
            self.pings.clear();
            self.unanswered = None;
        }
    }

    /// When the connection ends if nothing happens, and how.
    pub(super) fn end(&self) -> (Mono, u16, &'static str) {
        let (old, silent) = (self.opened.after(LIFETIME), self.unanswered.map(|at| at.after(self.limits.pong_within)));
        match silent {
            Some(silent) if silent < old => (silent, 1_008, "Pong timeout"),
            _ => (old, 1_001, "24 hours are over"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnixNanos;

    fn at(s: u64) -> Stamp {
        Stamp { mono: Mono(s * 1_000_000_000), wall: UnixNanos::from_ms(s * 1_000) }
    }

    #[test]
    fn a_ping_must_be_answered_with_its_payload() {
        let mut life = Life::new(false, Mono(0));
        assert_eq!(life.ping(at(19)), None);
        assert_eq!(life.ping(at(20)), Some(b"20000".to_vec()));
        assert_eq!(life.ping(at(40)), Some(b"40000".to_vec()));
        life.pong(b"");
        assert_eq!(life.end(), (at(80).mono, 1_008, "Pong timeout"));
        life.pong(b"40000");
        assert_eq!(life.end().0, at(86_400).mono);
        let mut life = Life::new(true, Mono(0));
        assert_eq!((life.ping(at(179)), life.ping(at(180))), (None, Some(b"180000".to_vec())));
        assert_eq!(life.end().0, at(780).mono);
    }

    #[test]
    fn messages_are_counted_over_any_second() {
        let ms = |ms: u64| Mono(ms * 1_000_000);
        let mut life = Life::new(false, Mono(0));
        assert!((0..5).all(|at| life.admit(ms(at * 100))));
        assert!(life.admit(ms(1_000)));
        assert!(!life.admit(ms(1_050)));
        life.become_futures();
        assert!(life.admit(ms(1_060)));
    }
}
