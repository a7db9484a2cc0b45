//! When to ask a quiet peer whether it is still there, and when to give it up. Pure.

use std::time::Duration;

/// How often a connection should look at its heartbeat, as a part of the shorter interval.
const CHECKS: u32 = 4;

/// Heartbeat intervals.
#[derive(Clone, Copy, Debug)]
pub struct HeartbeatOptions {
    /// A connection on which nothing was read or written for this long is sent a PING (10 s).
    pub ping_after: Duration,
    /// A peer that sends nothing for this long after a PING is disconnected (30 s).
    pub drop_after: Duration,
}

impl Default for HeartbeatOptions {
    fn default() -> Self {
        Self { ping_after: Duration::from_secs(10), drop_after: Duration::from_secs(30) }
    }
}

impl HeartbeatOptions {
    /// The time between looks at the heartbeat.
    pub(super) fn check_every(&self) -> Duration {
        (self.ping_after.min(self.drop_after) / CHECKS).max(Duration::from_millis(1))
    }
}

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Wait,
    Ping,
    Dead,
}

/// One connection's heartbeat, told of each look at it. Time is counted in looks, so it needs no clock.
#[derive(Debug)]
pub(super) struct Heartbeat {
    enabled: bool,
    ping_after: u32,
    drop_after: u32,
    quiet: u32,
    asked: bool,
}

impl Heartbeat {
    /// A peer of ZMTP 3.0 may not know PING, so it is never sent one.
    pub(super) fn new(options: HeartbeatOptions, minor: u8) -> Self {
        let looks = |time: Duration| {
            u32::try_from(time.as_nanos().div_ceil(options.check_every().as_nanos())).unwrap_or(u32::MAX).max(1)
        };
        Self {
            enabled: minor >= 1,
            ping_after: looks(options.ping_after),
            drop_after: looks(options.drop_after),
            quiet: 0,
            asked: false,
        }
    }

    /// The peer sent something.
    pub(super) fn heard(&mut self) {
        self.quiet = 0;
        self.asked = false;
    }

    /// Something was written, or is still waiting to be: the connection is not idle.
    pub(super) fn busy(&mut self) {
        if !self.asked {
            self.quiet = 0;
        }
    }

    /// To be called every [`HeartbeatOptions::check_every`].
    pub(super) fn look(&mut self) -> Beat {
        if !self.enabled {
            return Beat::Wait;
        }
        self.quiet = self.quiet.saturating_add(1);
        if self.asked {
            return if self.quiet >= self.drop_after { Beat::Dead } else { Beat::Wait };
        }
        if self.quiet < self.ping_after {
            return Beat::Wait;
        }
        self.quiet = 0;
        self.asked = true;
        Beat::Ping
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks_until(beat: &mut Heartbeat, wanted: Beat) -> u32 {
        (1..1000).find(|_| beat.look() == wanted).unwrap_or_default()
    }

    #[test]
    fn a_quiet_peer_is_asked_and_then_given_up() {
        let options = HeartbeatOptions::default();
        let mut beat = Heartbeat::new(options, 1);
        assert_eq!(options.check_every(), Duration::from_millis(2500));
        assert_eq!(looks_until(&mut beat, Beat::Ping), 4);
        assert_eq!(looks_until(&mut beat, Beat::Dead), 12);
    }

    #[test]
    fn an_answer_or_traffic_starts_anew() {
        let mut beat = Heartbeat::new(HeartbeatOptions::default(), 1);
        beat.look();
        beat.busy();
        assert_eq!(looks_until(&mut beat, Beat::Ping), 4);
        beat.busy();
        beat.heard();
        assert_eq!(looks_until(&mut beat, Beat::Ping), 4);
        // Writing is no sign of life from the peer.
        beat.busy();
        assert_eq!(looks_until(&mut beat, Beat::Dead), 12);
    }

    #[test]
    fn a_peer_of_3_0_is_left_alone() {
        let mut beat = Heartbeat::new(HeartbeatOptions::default(), 0);
        assert_eq!(looks_until(&mut beat, Beat::Ping), 0);
    }
}
