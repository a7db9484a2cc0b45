//! Which trades were told already: the terminal sends the whole day again when it reconnects.

use std::collections::{HashMap, HashSet, VecDeque};

use crate::model::{StreamId, UnixNanos};

/// Most trades remembered one by one: some ten megabytes.
const TRADES_MAX: usize = 200_000;
/// Nanoseconds of a day.
const DAY: u64 = 86_400_000_000_000;

/// One trade: its stream, its day, its number. Numbers are unique within a class and a day.
type Key = (StreamId, u32, i64);

/// A bounded memory of trades. What falls out of it is remembered as the highest number of its stream and day,
/// because the exchange's numbers rise.
#[derive(Clone, Debug, Default)]
pub(super) struct Seen {
    keys: HashSet<Key>,
    order: VecDeque<Key>,
    forgotten: HashMap<StreamId, (u32, i64)>,
}

impl Seen {
    /// Notes a trade; false if it was told before. `is_old` says that it may be a repetition of one that was forgotten.
    pub(super) fn admit(&mut self, stream: StreamId, at: UnixNanos, number: i64, is_old: bool) -> bool {
        let day = u32::try_from(at.0 / DAY).unwrap_or(u32::MAX);
        if is_old && self.forgotten.get(&stream).is_some_and(|last| (day, number) <= *last) {
            return false;
        }
        if !self.keys.insert((stream, day, number)) {
            return false;
        }
        self.order.push_back((stream, day, number));
        if self.order.len() > TRADES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.keys.remove(&oldest);
            let (stream, day, number) = oldest;
            let last = self.forgotten.entry(stream).or_insert((day, number));
            *last = (*last).max((day, number));
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trade_is_told_once_and_its_number_counts_within_its_stream_and_day() {
        let mut seen = Seen::default();
        let at = UnixNanos(20_000 * DAY + 1);
        assert!(seen.admit(StreamId(0), at, 7, false) && !seen.admit(StreamId(0), at, 7, false));
        assert!(seen.admit(StreamId(1), at, 7, false) && seen.admit(StreamId(0), UnixNanos(at.0 + DAY), 7, false));
        assert!(seen.admit(StreamId(0), at, 6, true), "older than another, but not told yet");
    }

    #[test]
    fn the_memory_is_bounded_and_what_fell_out_of_it_is_not_told_again() {
        let mut seen = Seen::default();
        let at = UnixNanos(20_000 * DAY);
        let numbers = 1..=i64::try_from(TRADES_MAX).expect("a count") + 500;
        assert!(numbers.clone().all(|number| seen.admit(StreamId(0), at, number, false)));
        assert_eq!((seen.keys.len(), seen.order.len()), (TRADES_MAX, TRADES_MAX));
        assert!(!numbers.clone().any(|number| seen.admit(StreamId(0), at, number, true)));
        // A number that comes anew, and not in a replay, is believed.
        assert!(seen.admit(StreamId(0), at, 3, false));
    }
}
