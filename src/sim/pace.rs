//! When a simulated venue's markets move, and when it looks after what goes out by the clock. Pure.

use std::time::Duration;

use crate::model::Mono;

/// How often tickers, candles and repeats are looked after.
const HOUSEKEEPING: Duration = Duration::from_millis(100);
/// Moves made at once at most; what a late call missed beyond that never happens.
const MOST_MOVES: u32 = 10_000;

/// The two rhythms of a venue.
#[derive(Clone, Debug)]
pub(super) struct Pace {
    rate: u32,
    next_move: Mono,
    next_housekeeping: Mono,
}

impl Pace {
    /// `rate` moves a second; 0 for none.
    pub(super) fn new(rate: u32, now: Mono) -> Self {
        Self { rate, next_move: now, next_housekeeping: now.after(HOUSEKEEPING) }
    }

    /// When something is due next.
    pub(super) fn next_due(&self) -> Mono {
        if self.rate == 0 { self.next_housekeeping } else { self.next_move.min(self.next_housekeeping) }
    }

    /// How many moves are due; they count as made.
    pub(super) fn moves(&mut self, now: Mono) -> u32 {
        if self.rate == 0 || self.next_move > now {
            return 0;
        }
        let length = 1_000_000_000 / u64::from(self.rate);
        let due = u32::try_from((now.0 - self.next_move.0) / length + 1).unwrap_or(u32::MAX);
        if due > MOST_MOVES {
            self.next_move = now;
            return MOST_MOVES;
        }
        self.next_move = Mono(self.next_move.0 + u64::from(due) * length);
        due
    }

    /// Whether housekeeping is due; it counts as done.
    pub(super) fn housekeeping(&mut self, now: Mono) -> bool {
        let due = self.next_housekeeping <= now;
        if due {
            self.next_housekeeping = now.after(HOUSEKEEPING);
        }
        due
    }
}

/// Which of `listed` symbols moves: one of those watched, or any while nobody watches; none where there are none.
pub(super) fn mover(watched: &[usize], listed: usize, rng: &mut fastrand::Rng) -> Option<usize> {
    match watched {
        [] if listed == 0 => None,
        [] => Some(rng.usize(0..listed)),
        some => some.get(rng.usize(0..some.len())).copied(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_late_call_catches_up_within_bounds() {
        let mut pace = Pace::new(100, Mono(0));
        assert_eq!(pace.moves(Mono(0)), 1);
        assert_eq!(pace.moves(Mono(9_999_999)), 0);
        assert_eq!(pace.moves(Mono(1_000_000_000)), 100);
        assert_eq!(pace.moves(Mono(3_600_000_000_000)), MOST_MOVES);
        assert_eq!(pace.moves(Mono(3_600_000_000_000)), 1, "what was missed never happens");
        assert_eq!(Pace::new(0, Mono(0)).moves(Mono(1_000_000_000)), 0);
    }

    #[test]
    fn housekeeping_is_due_ten_times_a_second() {
        let mut pace = Pace::new(0, Mono(0));
        assert_eq!(pace.next_due(), Mono(100_000_000));
        let done = (0..=100).filter(|at| pace.housekeeping(Mono(at * 10_000_000))).count();
        assert_eq!(done, 10);
    }
}
