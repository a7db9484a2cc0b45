//! Finds loss: every topic's `seq` goes up by one, and a new `epoch` is a new run of the gateway. Pure.

use std::collections::HashMap;

/// Topics watched at most; frames of further topics are counted and not checked.
const MAX_TOPICS: usize = 100_000;

/// What one frame's place in its topic tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Observation {
    /// The topic's first frame; what came before it is not missing, it was not asked for.
    First,
    /// The next one.
    InOrder,
    /// Frames were lost before this one.
    Gap {
        /// The last seq before the gap.
        after: u64,
        /// How many are missing.
        missing: u64,
    },
    /// The same frame again: a kept frame is sent to joiners, so this happens after a reconnect.
    Repeated,
    /// An older frame than the last.
    Backwards {
        /// The newest seq so far.
        after: u64,
    },
    /// The gateway was restarted (or two gateways publish the same topic).
    NewEpoch {
        /// The topic's epoch so far.
        from: u64,
        /// Whether no topic told of this epoch or a later one before: a restart, told once.
        first: bool,
    },
    /// No `seq` or `epoch` in the frame, or too many topics: not checked.
    Unchecked,
}

/// What was seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Gaps.
    pub gaps: u64,
    /// Frames missing in them.
    pub missing: u64,
    /// Frames that came again.
    pub repeated: u64,
    /// Frames older than the last of their topic.
    pub backwards: u64,
    /// Restarts of the gateway.
    pub restarts: u64,
    /// Frames that could not be checked.
    pub unchecked: u64,
}

/// Watches the sequences of all topics.
#[derive(Debug, Default)]
pub struct Tracker {
    /// Epoch and seq of each topic's last frame.
    last: HashMap<String, (u64, u64)>,
    /// The latest epoch told as new.
    told: u64,
    counts: Counts,
}

impl Tracker {
    /// Takes one frame's topic, epoch and seq.
    pub fn observe(&mut self, topic: &str, epoch: Option<u64>, seq: Option<u64>) -> Observation {
        let seen = self.place(topic, epoch, seq);
        match seen {
            Observation::First | Observation::InOrder => {}
            Observation::Gap { missing, .. } => {
                self.counts.gaps += 1;
                self.counts.missing = self.counts.missing.saturating_add(missing);
            }
            Observation::Repeated => self.counts.repeated += 1,
            Observation::Backwards { .. } => self.counts.backwards += 1,
            Observation::NewEpoch { first, .. } => self.counts.restarts += u64::from(first),
            Observation::Unchecked => self.counts.unchecked += 1,
        }
        seen
    }

    fn place(&mut self, topic: &str, epoch: Option<u64>, seq: Option<u64>) -> Observation {
        let (Some(epoch), Some(seq)) = (epoch, seq) else { return Observation::Unchecked };
        let Some((last_epoch, last)) = self.last.get_mut(topic) else {
            if self.last.len() >= MAX_TOPICS {
                return Observation::Unchecked;
            }
            self.last.insert(topic.to_owned(), (epoch, seq));
            return Observation::First;
        };
        if epoch != *last_epoch {
            let from = std::mem::replace(last_epoch, epoch);
            *last = seq;
            let first = epoch > self.told;
            self.told = self.told.max(epoch);
            return Observation::NewEpoch { from, first };
        }
        let after = *last;
        *last = after.max(seq);
        match seq.checked_sub(after) {
            Some(0) => Observation::Repeated,
            Some(1) => Observation::InOrder,
            Some(step) => Observation::Gap { after, missing: step - 1 },
            None => Observation::Backwards { after },
        }
    }

    /// Counters since the start.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// How many topics were seen.
    pub fn topics(&self) -> usize {
        self.last.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn each_topic_has_its_own_sequence() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.observe("a.", Some(1), Some(40)), Observation::First);
        assert_eq!(tracker.observe("b.", Some(1), Some(1)), Observation::First);
        assert_eq!(tracker.observe("a.", Some(1), Some(41)), Observation::InOrder);
        assert_eq!(tracker.observe("b.", Some(1), Some(5)), Observation::Gap { after: 1, missing: 3 });
        assert_eq!(tracker.observe("b.", Some(1), Some(5)), Observation::Repeated);
        assert_eq!(tracker.observe("b.", Some(1), Some(2)), Observation::Backwards { after: 5 });
        assert_eq!(tracker.observe("b.", Some(1), Some(6)), Observation::InOrder);
        assert_eq!(tracker.topics(), 2);
        let counts = Counts { gaps: 1, missing: 3, repeated: 1, backwards: 1, ..Counts::default() };
        assert_eq!(tracker.counts(), counts);
    }

    #[test]
    fn a_restart_is_no_gap_and_is_told_once() {
        let mut tracker = Tracker::default();
        tracker.observe("a.", Some(100), Some(900));
        tracker.observe("b.", Some(100), Some(900));
        assert_eq!(tracker.observe("new.", Some(200), Some(1)), Observation::First);
        assert_eq!(tracker.observe("a.", Some(200), Some(3)), Observation::NewEpoch { from: 100, first: true });
        assert_eq!(tracker.observe("a.", Some(200), Some(4)), Observation::InOrder);
        assert_eq!(tracker.observe("b.", Some(200), Some(1)), Observation::NewEpoch { from: 100, first: false });
        assert_eq!((tracker.counts().restarts, tracker.counts().gaps), (1, 0));
    }

    #[test]
    fn frames_without_sequence_are_counted() {
        let mut tracker = Tracker::default();
        assert_eq!(tracker.observe("a.", None, Some(1)), Observation::Unchecked);
        assert_eq!(tracker.observe("a.", Some(1), None), Observation::Unchecked);
        assert_eq!(tracker.counts().unchecked, 2);
    }

    proptest! {
        #[test]
        fn exactly_what_was_dropped_is_missing(kept in proptest::collection::vec(any::<bool>(), 1..200)) {
            let mut tracker = Tracker::default();
            let seqs: Vec<u64> = (1..).zip(&kept).filter(|(_, keep)| **keep).map(|(seq, _)| seq).collect();
            for seq in &seqs {
                tracker.observe("a.", Some(1), Some(*seq));
            }
            let span = seqs.last().map_or(0, |last| last - seqs[0] + 1);
            prop_assert_eq!(tracker.counts().missing, span - seqs.len() as u64);
        }

        #[test]
        fn no_sequence_panics(seqs in proptest::collection::vec((any::<u64>(), any::<u64>()), 0..50)) {
            let mut tracker = Tracker::default();
            for (epoch, seq) in seqs {
                tracker.observe("a.", Some(epoch % 2), Some(seq));
            }
        }
    }
}
