//! Finds loss: every topic's `seq` goes up by one, a heartbeat tells the last one of a topic that fell silent, and a new
//! `epoch` is a new run of the gateway. Pure.

use std::cmp::Reverse;
use std::collections::HashMap;

use super::delivery::{Heartbeat, Notice};

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

/// The last frames of a topic are lost, and none came since to show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SilentLoss<'a> {
    /// Which topic.
    pub topic: &'a str,
    /// The last seq that came.
    pub after: u64,
    /// How many are missing since.
    pub missing: u64,
}

/// What a heartbeat told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told<'a> {
    /// The gateway was restarted, and no frame told of it so far: the epoch before.
    pub restarted_from: Option<u64>,
    /// The topics whose last frames are lost.
    pub losses: Vec<SilentLoss<'a>>,
}

/// What was seen so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Gaps, the silent ones among them.
    pub gaps: u64,
    /// Frames missing in them.
    pub missing: u64,
    /// Gaps at a topic's end, which only a heartbeat showed.
    pub silent: u64,
    /// Notices of the gateway.
    pub notices: u64,
    /// Frames that the gateway says it dropped for us.
    pub dropped: u64,
    /// Frames that the gateway says it replaced by newer ones of their topic for us.
    pub conflated: u64,
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
    topics: HashMap<String, Place>,
    /// The latest epoch told as new.
    told: u64,
    /// Epoch of the last heartbeat, 0 before the first.
    beat: u64,
    counts: Counts,
}

/// Where a topic stands, and what it lost.
#[derive(Debug, Default)]
struct Place {
    epoch: u64,
    seq: u64,
    /// Whether a frame came; until then `seq` is only what a heartbeat told.
    came: bool,
    gaps: u64,
    missing: u64,
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
        let Some(place) = self.topics.get_mut(topic) else {
            if self.topics.len() >= MAX_TOPICS {
                return Observation::Unchecked;
            }
            self.topics.insert(topic.to_owned(), Place { epoch, seq, came: true, ..Place::default() });
            return Observation::First;
        };
        let first_frame = !std::mem::replace(&mut place.came, true);
        if epoch != place.epoch {
            let from = std::mem::replace(&mut place.epoch, epoch);
            place.seq = seq;
            let first = epoch > self.told;
            self.told = self.told.max(epoch);
            return Observation::NewEpoch { from, first };
        }
        let after = place.seq;
        place.seq = after.max(seq);
        match seq.checked_sub(after) {
            // A kept frame, sent on subscribing, may come behind the heartbeat that counts it.
            _ if first_frame && seq <= after => Observation::First,
            Some(0) => Observation::Repeated,
            Some(1) => Observation::InOrder,
            Some(step) => {
                place.lost(step - 1);
                Observation::Gap { after, missing: step - 1 }
            }
            None => Observation::Backwards { after },
        }
    }

    /// Takes what a heartbeat says. Of a topic without a frame so far its number is the one before the first frame.
    pub fn heartbeat<'a>(&mut self, beat: &'a Heartbeat<'_>) -> Told<'a> {
        let mut told = Told::default();
        let before = std::mem::replace(&mut self.beat, beat.epoch);
        if before != 0 && beat.epoch > before.max(self.told) {
            self.told = beat.epoch;
            self.counts.restarts += 1;
            told.restarted_from = Some(before);
        }
        for (topic, seq) in &beat.topics.0 {
            if let Some((after, missing)) = self.behind(topic, beat.epoch, *seq) {
                told.losses.push(SilentLoss { topic, after, missing });
            }
        }
        told
    }

    /// The last seq that came and how many are missing since, if any are.
    fn behind(&mut self, topic: &str, epoch: u64, seq: u64) -> Option<(u64, u64)> {
        let Some(place) = self.topics.get_mut(topic) else {
            if self.topics.len() < MAX_TOPICS {
                self.topics.insert(topic.to_owned(), Place { epoch, seq, ..Place::default() });
            }
            return None;
        };
        if epoch > place.epoch {
            (place.epoch, place.seq, place.came) = (epoch, seq, false);
            return None;
        }
        let after = place.seq;
        let missing = seq.checked_sub(after).filter(|missing| epoch == place.epoch && *missing > 0)?;
        place.seq = seq;
        place.lost(missing);
        self.counts.gaps += 1;
        self.counts.silent += 1;
        self.counts.missing = self.counts.missing.saturating_add(missing);
        Some((after, missing))
    }

    /// Takes a notice: what the gateway says it did not send us. The same frames also show as gaps.
    pub fn notice(&mut self, notice: &Notice<'_>) {
        self.counts.notices += 1;
        self.counts.dropped = self.counts.dropped.saturating_add(notice.dropped);
        self.counts.conflated = self.counts.conflated.saturating_add(notice.conflated);
    }

    /// The topics that lost most: name, gaps, and frames missing; the worst first, at most `most`.
    pub fn worst(&self, most: usize) -> Vec<(&str, u64, u64)> {
        let lost = self.topics.iter().filter(|(_, place)| place.gaps > 0);
        let mut worst: Vec<_> = lost.map(|(topic, place)| (&**topic, place.gaps, place.missing)).collect();
        worst.sort_unstable_by_key(|(topic, gaps, missing)| (Reverse(*missing), Reverse(*gaps), *topic));
        worst.truncate(most);
        worst
    }

    /// Counters since the start.
    pub const fn counts(&self) -> Counts {
        self.counts
    }

    /// How many topics had a frame.
    pub fn topics(&self) -> usize {
        self.topics.values().filter(|place| place.came).count()
    }
}

impl Place {
    fn lost(&mut self, missing: u64) {
        self.gaps += 1;
        self.missing = self.missing.saturating_add(missing);
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

    fn heartbeat(tracker: &mut Tracker, epoch: u64, topics: &[(&str, u64)]) -> Vec<(u64, u64)> {
        let topics: Vec<String> = topics.iter().map(|(topic, seq)| format!(r#""{topic}":{seq}"#)).collect();
        let text = format!(r#"{{"epoch":{epoch},"topics":{{{}}}}}"#, topics.join(","));
        let beat = Heartbeat::read(&text).unwrap();
        tracker.heartbeat(&beat).losses.iter().map(|loss| (loss.after, loss.missing)).collect()
    }

    #[test]
    fn the_last_frames_of_a_topic_are_missed_by_the_heartbeat_once() {
        let mut tracker = Tracker::default();
        tracker.observe("a.", Some(1), Some(5));
        tracker.observe("b.", Some(1), Some(9));
        assert_eq!(heartbeat(&mut tracker, 1, &[("a.", 5), ("b.", 8)]), []);
        assert_eq!(heartbeat(&mut tracker, 1, &[("a.", 8), ("b.", 9)]), [(5, 3)]);
        assert_eq!(heartbeat(&mut tracker, 1, &[("a.", 8)]), []);
        assert_eq!(tracker.observe("a.", Some(1), Some(9)), Observation::InOrder);
        let counts = Counts { gaps: 1, missing: 3, silent: 1, ..Counts::default() };
        assert_eq!(tracker.counts(), counts);
        // An older run's heartbeat says nothing.
        assert_eq!(heartbeat(&mut tracker, 0, &[("a.", 80)]), []);
    }

    #[test]
    fn the_first_heartbeat_is_where_an_unseen_topic_begins() {
        let mut tracker = Tracker::default();
        assert_eq!(heartbeat(&mut tracker, 1, &[("a.", 70), ("kept.", 4)]), []);
        assert_eq!(tracker.topics(), 0);
        assert_eq!(tracker.observe("a.", Some(1), Some(73)), Observation::Gap { after: 70, missing: 2 });
        assert_eq!(tracker.observe("kept.", Some(1), Some(4)), Observation::First);
        assert_eq!(tracker.observe("kept.", Some(1), Some(4)), Observation::Repeated);
        // A new run: what was published in it before we were there is not missing.
        assert_eq!(heartbeat(&mut tracker, 2, &[("a.", 30)]), []);
        assert_eq!(tracker.observe("a.", Some(2), Some(31)), Observation::InOrder);
    }

    #[test]
    fn a_restart_that_only_heartbeats_show_is_told_once() {
        let beat = |epoch| Heartbeat { epoch, ..Heartbeat::default() };
        let mut tracker = Tracker::default();
        tracker.observe("a.", Some(100), Some(9));
        let seen = [100, 100, 200, 200].map(|epoch| tracker.heartbeat(&beat(epoch)).restarted_from);
        assert_eq!(seen, [None, None, Some(100), None]);
        assert_eq!(tracker.observe("a.", Some(200), Some(1)), Observation::NewEpoch { from: 100, first: false });
        assert_eq!(tracker.observe("a.", Some(300), Some(1)), Observation::NewEpoch { from: 200, first: true });
        assert_eq!(tracker.heartbeat(&beat(300)).restarted_from, None);
        assert_eq!(tracker.counts().restarts, 2);
    }

    #[test]
    fn the_worst_topics_come_first() {
        let mut tracker = Tracker::default();
        for (topic, seqs) in [("a.", [1, 3]), ("b.", [1, 9]), ("c.", [1, 2])] {
            for seq in seqs {
                tracker.observe(topic, Some(1), Some(seq));
            }
        }
        assert_eq!(tracker.worst(9), [("b.", 1, 7), ("a.", 1, 1)]);
        assert_eq!(tracker.worst(1), [("b.", 1, 7)]);
    }

    #[test]
    fn notices_are_added_up() {
        let mut tracker = Tracker::default();
        let notice = Notice { dropped: 5, conflated: 2, ..Notice::default() };
        tracker.notice(&notice);
        tracker.notice(&notice);
        assert_eq!(tracker.counts(), Counts { notices: 2, dropped: 10, conflated: 4, ..Counts::default() });
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
