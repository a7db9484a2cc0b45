//! What is written of a page: its records in order, each once, within what was asked for; and what is missing between
//! them. Pure.

use super::Record;
use super::walk::Ask;
use crate::model::{Channel, UnixNanos};
use crate::venue::kit::interval::{longest, usual};

/// How long after its end a candle may come late, in nanoseconds, before it counts as missing.
const LATE: u64 = 60_000_000_000;

/// Something that the venue did not give.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Nanoseconds since 1970, or id, of the first one that is missing.
    pub first: u64,
    /// How many they are; of months, to the nearest.
    pub count: u64,
}

/// Puts the records of an answer in order, and drops what comes twice or was not asked for. Candles that have not ended
/// by `now` go too.
pub(super) fn in_order(records: &mut Vec<(Record, Vec<u8>)>, ask: &Ask, now: UnixNanos) {
    records.retain(|(record, _)| record.number().is_some_and(|number| ask.asked.contains(&number)));
    // Of two that are the same, one that has not ended comes first and stays.
    records.sort_by_key(|(record, _)| (record.number(), record.closed));
    records.dedup_by_key(|(record, _)| record.number());
    let is_over = |record: &Record| record.closed != Some(false) && record.close_time.is_none_or(|end| end < now.0);
    records.retain(|(record, _)| is_over(record));
}

/// Knows which record follows on which.
#[derive(Clone, Copy, Debug)]
pub(super) struct Follow {
    /// From one to the next: the usual, and the most.
    step: (u64, u64),
    last: Option<u64>,
}

impl Follow {
    /// Of a channel; `last` is the number of the last record that is there.
    pub(super) fn new(channel: Channel, last: Option<u64>) -> Self {
        let nanos = |length: std::time::Duration| u64::try_from(length.as_nanos()).unwrap_or(u64::MAX);
        let step = match channel {
            Channel::Candle(interval) => (nanos(usual(interval)), nanos(longest(interval))),
            _ => (1, 1),
        };
        Self { step, last }
    }

    /// The number of the last record that is there.
    pub(super) const fn last(&self) -> Option<u64> {
        self.last
    }

    /// A record is written: what is missing before it.
    pub(super) fn see(&mut self, number: u64) -> Option<Missing> {
        self.last.replace(number).and_then(|last| self.between(last, number))
    }

    /// The candles that are missing at the end: that began before `to`, and ended a while ago.
    pub(super) fn at_the_end(&self, to: UnixNanos, now: UnixNanos) -> Option<Missing> {
        let last = self.last.filter(|_| self.step.1 > 1)?;
        let end = to.0.min(now.0.saturating_sub(self.step.1).saturating_sub(LATE));
        // The first one that need not be there begins at or behind the end.
        let next = last.saturating_add(self.step.1);
        let behind = end.saturating_sub(next).div_ceil(self.step.0).saturating_mul(self.step.0);
        (next < end).then(|| self.between(last, next.saturating_add(behind)))?
    }

    const fn between(&self, last: u64, next: u64) -> Option<Missing> {
        let (usual, most) = self.step;
        let passed = next.saturating_sub(last);
        if passed <= most {
            return None;
        }
        let count = (passed.saturating_add(usual / 2) / usual).saturating_sub(1);
        Some(Missing { first: last.saturating_add(most), count: if count == 0 { 1 } else { count } })
    }
}

#[cfg(test)]
mod tests {
    use super::super::walk::Walk;
    use super::super::walk::tests::{record, wish};
    use super::*;
    use crate::model::Interval;

    const MINUTE: u64 = 60_000;

    fn candle(minute: u64, closed: bool) -> (Record, Vec<u8>) {
        let nanos = 1_000_000 * MINUTE;
        let close_time = Some((minute + 1) * nanos - 1);
        (Record { closed: Some(closed), close_time, ..record(0, minute * MINUTE, Some("1m")) }, Vec::new())
    }

    #[test]
    fn pages_are_put_in_order_within_bounds() {
        let wish = wish("spot", "candle:1m", 10 * MINUTE, 20 * MINUTE);
        let ask = Walk::new(&wish).unwrap().next(&wish).unwrap();
        let order = |minutes: &[(u64, bool)], now: u64| {
            let mut records: Vec<_> = minutes.iter().map(|(minute, closed)| candle(*minute, *closed)).collect();
            in_order(&mut records, &ask, UnixNanos::from_ms(now * MINUTE));
            records.iter().map(|(record, _)| record.at() / MINUTE / 1_000_000).collect::<Vec<_>>()
        };
        assert_eq!(order(&[(12, true), (11, true), (10, true)], 99), [10, 11, 12], "reversed");
        assert_eq!(order(&[(10, true), (11, true), (10, true), (11, true)], 99), [10, 11], "doubled");
        assert_eq!(order(&[(9, true), (10, true), (19, true), (20, true)], 99), [10, 19], "the end is not in it");
        assert_eq!(order(&[(12, true), (11, true), (10, false)], 12), [11], "12 goes on, whatever is said of it");
        assert_eq!(order(&[(10, true), (11, true), (10, true), (11, false)], 99), [10], "it was said to go on");
    }

    #[test]
    fn what_is_missing_is_counted() {
        let follow = |text: &str, numbers: &[u64]| {
            let mut follow = Follow::new(Channel::Candle(Interval::parse(text).unwrap()), None);
            numbers.iter().filter_map(|number| follow.see(*number)).map(|missing| missing.count).collect::<Vec<_>>()
        };
        let minute = MINUTE * 1_000_000;
        assert_eq!(follow("1m", &[5 * minute, 6 * minute, 9 * minute, 10 * minute]), [2]);
        // January, February, March, May, December 2026, December 2027.
        let day = 24 * 60 * minute;
        let months = [20_454, 20_485, 20_513, 20_574, 20_788, 21_153].map(|days| days * day);
        assert_eq!(follow("1M", &months), [1, 6, 11]);
        let mut ids = Follow::new(Channel::Trade, Some(7));
        assert_eq!((ids.see(8), ids.see(11)), (None, Some(Missing { first: 9, count: 2 })));
        assert_eq!(ids.at_the_end(UnixNanos(u64::MAX), UnixNanos(u64::MAX)), None);
    }

    #[test]
    fn what_is_missing_at_the_end_is_counted() {
        let nanos = |minutes: u64| UnixNanos::from_ms(minutes * MINUTE);
        let end = |last: u64, to: u64, now: u64| {
            let follow = Follow::new(Channel::Candle(Interval { count: 1, unit: 'm' }), Some(nanos(last).0));
            follow.at_the_end(nanos(to), nanos(now)).map(|missing| (missing.first / nanos(1).0, missing.count))
        };
        assert_eq!(end(9, 10, 99), None, "9 is the last one");
        assert_eq!(end(8, 10, 99), Some((9, 1)));
        assert_eq!(end(3, 10, 99), Some((4, 6)));
        assert_eq!((end(8, 10, 11), end(8, 99, 11)), (None, None), "it may only be late");
        assert_eq!(end(8, 99, 12), Some((9, 1)));
    }
}
