//! When to ping, and when a connection that answers nothing is dead.

use std::time::Duration;

use crate::model::Mono;

/// What a heartbeat asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Nothing.
    Rest,
    /// Send a ping.
    Ping,
    /// Nothing was heard since the last ping: give the connection up.
    Dead,
}

/// A client ping at a fixed interval. Any message, not only the pong, shows that the connection lives.
#[derive(Clone, Debug)]
pub struct Heartbeat {
    interval: Duration,
    patience: Duration,
    next_ping: Option<Mono>,
    dead_at: Option<Mono>,
}

impl Heartbeat {
    /// Pings every `interval` and waits `patience` for any sign of life.
    pub const fn new(interval: Duration, patience: Duration) -> Self {
        Self { interval, patience, next_ping: None, dead_at: None }
    }

    /// A connection is open.
    pub fn connected(&mut self, now: Mono) {
        self.next_ping = Some(now.after(self.interval));
        self.dead_at = None;
    }

    /// The connection is gone.
    pub const fn disconnected(&mut self) {
        self.next_ping = None;
        self.dead_at = None;
    }

    /// Something was read.
    #[inline]
    pub const fn heard(&mut self) {
        self.dead_at = None;
    }

    /// What to do now.
    pub fn beat(&mut self, now: Mono) -> Beat {
        if self.dead_at.is_some_and(|at| at <= now) {
            return Beat::Dead;
        }
        if self.next_ping.is_some_and(|at| at <= now) {
            self.next_ping = Some(now.after(self.interval));
            self.dead_at = self.dead_at.or_else(|| Some(now.after(self.patience)));
            return Beat::Ping;
        }
        Beat::Rest
    }

    /// When to look again.
    pub fn next_timeout(&self) -> Option<Mono> {
        self.dead_at.into_iter().chain(self.next_ping).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    #[test]
    fn pings_and_gives_up_only_in_silence() {
        let mut heartbeat = Heartbeat::new(Duration::from_secs(20), Duration::from_secs(10));
        assert_eq!(heartbeat.next_timeout(), None);
        heartbeat.connected(at(0));
        assert_eq!(heartbeat.beat(at(19)), Beat::Rest);
        assert_eq!(heartbeat.beat(at(20)), Beat::Ping);
        assert_eq!(heartbeat.next_timeout(), Some(at(30)));
        heartbeat.heard();
        assert_eq!(heartbeat.beat(at(30)), Beat::Rest);
        assert_eq!(heartbeat.beat(at(40)), Beat::Ping);
        assert_eq!(heartbeat.beat(at(50)), Beat::Dead);
        heartbeat.connected(at(60));
        assert_eq!(heartbeat.beat(at(61)), Beat::Rest);
    }
}
