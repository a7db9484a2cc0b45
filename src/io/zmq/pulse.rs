//! When to ask a quiet server whether it is still there, and when to give it up. Time is counted in looks while
//! someone waits for a message, so a caller that is busy elsewhere takes no server for dead. Pure.

use std::time::Duration;

/// The time between two looks.
pub(super) const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Looks without a byte after which a PING is sent.
const ASK_AFTER: u32 = 10;
/// Looks without a byte, counted from the PING, after which the server is given up.
const GIVE_UP_AFTER: u32 = 20;

/// What to do now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beat {
    Wait,
    Ping,
    /// Nothing came for this long.
    Dead(Duration),
}

/// The pulse of one connection.
#[derive(Debug)]
pub(super) struct Pulse {
    /// A peer of ZMTP 3.0 may not know PING, so it is never sent one.
    knows_ping: bool,
    quiet: u32,
    asked: bool,
    /// Looks within which the peer itself said that something would come.
    announced: Option<u32>,
}

impl Pulse {
    pub(super) const fn new(minor: u8) -> Self {
        Self { knows_ping: minor >= 1, quiet: 0, asked: false, announced: None }
    }

    /// The peer sent something.
    pub(super) const fn heard(&mut self) {
        self.quiet = 0;
        self.asked = false;
    }

    /// The peer sent a PING: its own word is that after so many tenths of a second without a byte it is to be given up.
    pub(super) fn announced(&mut self, ttl_deciseconds: u16) {
        self.announced = (ttl_deciseconds > 0).then(|| u32::from(ttl_deciseconds).div_ceil(10) + 1);
    }

    /// To be called every [`LOOK_EVERY`].
    pub(super) fn look(&mut self) -> Beat {
        self.quiet = self.quiet.saturating_add(1);
        let limit = if self.asked { Some(ASK_AFTER + GIVE_UP_AFTER) } else { None };
        let limit = [limit, self.announced].into_iter().flatten().min();
        if limit.is_some_and(|limit| self.quiet >= limit) {
            return Beat::Dead(LOOK_EVERY * self.quiet);
        }
        if self.knows_ping && !self.asked && self.quiet >= ASK_AFTER {
            self.asked = true;
            return Beat::Ping;
        }
        Beat::Wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looks_until(pulse: &mut Pulse, end: impl Fn(Beat) -> bool) -> Option<u32> {
        (1..1000).find(|_| end(pulse.look()))
    }

    #[test]
    fn a_quiet_server_is_asked_and_then_given_up() {
        let mut pulse = Pulse::new(1);
        assert_eq!(looks_until(&mut pulse, |beat| beat == Beat::Ping), Some(10));
        pulse.heard();
        assert_eq!(looks_until(&mut pulse, |beat| beat == Beat::Ping), Some(10));
        assert_eq!(looks_until(&mut pulse, |beat| beat == Beat::Dead(Duration::from_secs(30))), Some(20));
    }

    #[test]
    fn its_own_word_counts_and_3_0_is_left_alone() {
        let dead = |beat| matches!(beat, Beat::Dead(_));
        let mut pulse = Pulse::new(0);
        assert_eq!(looks_until(&mut pulse, |beat| beat != Beat::Wait), None);
        pulse.heard();
        pulse.announced(25);
        assert_eq!(looks_until(&mut pulse, dead), Some(4));
        pulse.heard();
        pulse.announced(0);
        assert_eq!(looks_until(&mut pulse, dead), None);
    }
}
