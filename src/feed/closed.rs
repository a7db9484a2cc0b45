//! Which candles of a stream have been finished, so that each is told so once, whatever the venue repeats.

use std::collections::BTreeSet;

/// Finished candles remembered for each stream: more than a venue repeats after a reconnect.
const MOST: usize = 500;

/// The finished candles of one stream, by their first nanosecond.
#[derive(Clone, Debug, Default)]
pub(super) struct Closed(BTreeSet<u64>);

impl Closed {
    /// Whether it is known to be finished.
    pub(super) fn contains(&self, open_time: u64) -> bool {
        self.0.contains(&open_time)
    }

    /// The newest one that began before this time.
    pub(super) fn newest_before(&self, end: u64) -> Option<u64> {
        self.0.range(..end).next_back().copied()
    }

    /// Whether a candle is to be published: not when it is known to be finished.
    pub(super) fn admits(&mut self, open_time: u64, closed: bool) -> bool {
        if self.0.contains(&open_time) {
            return false;
        }
        if closed {
            self.0.insert(open_time);
            if self.0.len() > MOST {
                self.0.pop_first();
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_candle_is_finished_once_and_not_changed_afterwards() {
        let mut closed = Closed::default();
        assert!(closed.admits(60, false) && closed.admits(60, false) && closed.admits(60, true));
        assert!(!closed.admits(60, true) && !closed.admits(60, false));
        assert!(closed.admits(120, false) && closed.admits(0, true), "one that was missing");
        for minute in 2..2_000 {
            assert!(closed.admits(minute * 60, true));
        }
        assert_eq!(closed.0.len(), MOST);
    }
}
