//! Finds a connection whose other end is gone although TCP says nothing. Pure.

use std::time::Duration;

use crate::model::Mono;

/// What to do about a silent connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nothing yet.
    Wait,
    /// Send a protocol-level ping.
    Ping,
    /// Nothing came back: abort the socket, without a close handshake that nobody would answer.
    Dead,
}

/// Bytes, not messages, count as life: a huge message on a slow line is not silence.
#[derive(Clone, Debug)]
pub(crate) struct Watchdog {
    ping_after: Duration,
    dead_after: Duration,
    bytes: u64,
    heard_at: Mono,
    pinged_at: Option<Mono>,
}

impl Watchdog {
    /// Pings after `ping_after` without a byte and gives up `dead_after` later.
    pub(crate) const fn new(ping_after: Duration, dead_after: Duration, now: Mono) -> Self {
        Self { ping_after, dead_after, bytes: 0, heard_at: now, pinged_at: None }
    }

    /// When to call [`Self::check`] at the latest.
    pub(crate) fn due(&self) -> Mono {
        match self.pinged_at {
            None => self.heard_at.after(self.ping_after),
            Some(at) => at.after(self.dead_after),
        }
    }

    /// Judges by the number of bytes read so far on this connection.
    pub(crate) fn check(&mut self, bytes: u64, now: Mono) -> Verdict {
        if bytes != self.bytes {
            self.bytes = bytes;
            self.heard_at = now;
            self.pinged_at = None;
            return Verdict::Wait;
        }
        if now < self.due() {
            return Verdict::Wait;
        }
        match self.pinged_at {
            None => {
                self.pinged_at = Some(now);
                Verdict::Ping
            }
            Some(_) => Verdict::Dead,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: u64 = 1_000_000_000;

    fn watchdog() -> Watchdog {
        Watchdog::new(Duration::from_secs(20), Duration::from_secs(30), Mono(0))
    }

    #[test]
    fn pings_once_and_then_gives_up() {
        let mut dog = watchdog();
        assert_eq!(dog.due(), Mono(20 * S));
        assert_eq!(dog.check(0, Mono(20 * S - 1)), Verdict::Wait);
        assert_eq!(dog.check(0, Mono(20 * S)), Verdict::Ping);
        assert_eq!(dog.check(0, Mono(21 * S)), Verdict::Wait);
        assert_eq!(dog.due(), Mono(50 * S));
        assert_eq!(dog.check(0, Mono(50 * S)), Verdict::Dead);
    }

    #[test]
    fn any_byte_is_life() {
        let mut dog = watchdog();
        assert_eq!(dog.check(0, Mono(20 * S)), Verdict::Ping);
        assert_eq!(dog.check(1, Mono(50 * S)), Verdict::Wait, "one byte of a message still under way");
        assert_eq!(dog.due(), Mono(70 * S));
        assert_eq!(dog.check(1, Mono(70 * S)), Verdict::Ping, "silent again: asked again before giving up");
    }
}
