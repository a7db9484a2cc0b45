//! One missing part of a stream's past: what to ask next, and which rows of an answer belong into it.

use std::time::Duration;

use crate::model::{Interval, Mono, Stamp, Stream, StreamId, UnixNanos};
use crate::venue::kit::interval::{longest, shortest};
use crate::venue::{Endpoint, Page, Params, VenueDef};

const MS: u64 = 1_000_000;
/// How long after a call that failed the next one is made: each time three times as long.
const FIRST_RETRY: Duration = Duration::from_secs(5);
/// How long after an answer that did not know the newest rows yet.
const NOT_YET: Duration = Duration::from_secs(2);
/// Calls for the same page, before it is given up.
const TRIES: u32 = 4;

/// What is missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::feed) enum Gap {
    /// Candles that begin from `next` on and before `end`, in nanoseconds.
    Candles {
        /// The first one.
        next: u64,
        /// The first one that is not.
        end: u64,
        /// Their interval.
        interval: Interval,
    },
    /// Trades by number, from `next` on and before `end`.
    Ids {
        /// The first one.
        next: u64,
        /// The first one that is not.
        end: u64,
    },
    /// Trades between these two, whose ids have no order.
    Between {
        /// The last one before.
        last: Box<str>,
        /// The first one after.
        first: Box<str>,
        /// How many of them are wished: the newest.
        most: u32,
    },
}

/// A missing part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::feed) struct Hole {
    pub(super) stream: StreamId,
    pub(in crate::feed) gap: Gap,
    /// Whether nothing is known before it: it is the past that a stream begins with.
    opens: bool,
    /// Whether more is missing than is wished to be fetched.
    pub(super) beyond: bool,
    /// When the next call may be made.
    pub(super) at: Mono,
    tries: u32,
}

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is filled.
    Done,
    /// Ask for more.
    More,
    /// It cannot be filled any further.
    Lost,
}

impl Hole {
    pub(super) const fn new(stream: StreamId, gap: Gap, now: Mono) -> Self {
        Self { stream, gap, opens: false, beyond: false, at: now, tries: 0 }
    }

    /// Nothing is known before it.
    pub(super) fn opens(self, opens: bool) -> Self {
        Self { opens, ..self }
    }

    /// More is missing than is wished to be fetched.
    pub(super) fn beyond(self, beyond: bool) -> Self {
        Self { beyond, ..self }
    }

    /// The first call is made then at the earliest.
    pub(super) fn not_before(self, at: Mono) -> Self {
        Self { at, ..self }
    }

    /// The same by number, where ids count by one; `None` when nothing is missing.
    pub(super) fn by_number(self) -> Option<Self> {
        let Gap::Between { last, first, most } = &self.gap else { return Some(self) };
        let (Ok(last), Ok(end)) = (last.parse::<u64>(), first.parse::<u64>()) else { return Some(self) };
        let (next, oldest) = (last.saturating_add(1), end.saturating_sub(u64::from(*most)));
        let gap = Gap::Ids { next: next.max(oldest), end };
        (next < end).then_some(Self { gap, beyond: oldest > next, ..self })
    }

    /// The next call, and for candles the last millisecond that it asks for; `None` where the venue does not give it.
    pub(super) fn ask(
        &self,
        venue: &VenueDef,
        market: &str,
        stream: &Stream,
        now: Stamp,
    ) -> Option<(&'static Endpoint, Params, u64)> {
        let whole = |(endpoint, params)| (endpoint, params, 0);
        match &self.gap {
            Gap::Candles { next, end, interval } => {
                let length = u64::try_from(shortest(*interval).as_millis()).unwrap_or(u64::MAX).max(1);
                let (from, end) = (next / MS, end / MS);
                let back = now.wall.as_ms().saturating_sub(from) / length;
                let span = |to| Page::Span { from, to };
                let (endpoint, _) = venue.past(market, stream, span(end), u32::MAX, back)?;
                let missing = end.saturating_sub(from).div_ceil(length);
                let rows = missing.min(u64::from(endpoint.past?.rows));
                let to = from.saturating_add(rows.saturating_mul(length)).min(end).saturating_sub(1);
                let rows = u32::try_from(rows).unwrap_or(u32::MAX);
                let (endpoint, params) = venue.past(market, stream, span(to), rows, back)?;
                Some((endpoint, params, to))
            }
            Gap::Ids { next, end } => {
                let rows = u32::try_from(end.saturating_sub(*next)).unwrap_or(u32::MAX);
                let by_id = venue.past(market, stream, Page::From(*next), rows, 0);
                by_id.or_else(|| venue.past(market, stream, Page::Last, u32::MAX, 0)).map(whole)
            }
            Gap::Between { .. } => venue.past(market, stream, Page::Last, u32::MAX, 0).map(whole),
        }
    }

    /// A call failed; false when that was the last try.
    pub(super) fn failed(&mut self, now: Mono) -> bool {
        self.at = now.after(FIRST_RETRY * 3_u32.pow(self.tries.min(TRIES)));
        self.tries += 1;
        self.tries < TRIES
    }

    fn not_yet(&mut self, now: Mono) -> Next {
        self.at = now.after(NOT_YET);
        self.tries += 1;
        if self.tries < TRIES { Next::More } else { Next::Lost }
    }

    /// The rows of an answer up to this time were taken; `newest` is the newest ended candle that is known before the end.
    pub(super) fn candles_taken(&mut self, asked_to: u64, newest: Option<u64>, now: Mono) -> Next {
        let Gap::Candles { next, end, interval } = &mut self.gap else { return Next::Lost };
        let asked_to = asked_to.saturating_add(1).saturating_mul(MS);
        let length = u64::try_from(longest(*interval).as_nanos()).unwrap_or(u64::MAX);
        if asked_to < *end {
            *next = asked_to;
            self.tries = 0;
            return Next::More;
        }
        // The newest one may not be there yet.
        match newest {
            Some(newest) if newest.saturating_add(length) >= *end => Next::Done,
            // Before a symbol's first candle there is none, which is no loss.
            None if self.opens && self.tries + 1 >= TRIES => Next::Done,
            newest => {
                *next = newest.map_or(*next, |newest| newest.saturating_add(1).max(*next));
                self.not_yet(now)
            }
        }
    }

    /// Which rows of an answer belong into it, by their places, and what follows. `ids` are those of all rows.
    pub(super) fn trades_of(&mut self, ids: &[Box<str>], now: Mono) -> (std::ops::Range<usize>, Next) {
        match &mut self.gap {
            Gap::Candles { .. } => (0..0, Next::Lost),
            Gap::Between { last, first, most } => {
                let most = usize::try_from(*most).unwrap_or(usize::MAX);
                let after = ids.iter().rposition(|id| id == last).map(|at| at + 1);
                let before = ids.iter().position(|id| id == first);
                match (after, before) {
                    (Some(after), Some(before)) => {
                        let wished = before.saturating_sub(most);
                        self.beyond |= wished > after;
                        (after.max(wished).min(before)..before, Next::Done)
                    }
                    // All that is known of it.
                    (None, Some(before)) => (before.saturating_sub(most)..before, Next::Lost),
                    // The newest rows are not there yet.
                    (after, None) => match self.not_yet(now) {
                        Next::Lost => (after.unwrap_or(0)..after.map_or(0, |_| ids.len()), Next::Lost),
                        next => (0..0, next),
                    },
                }
            }
            Gap::Ids { next, end } => {
                let number = |id: &str| id.parse::<u64>().unwrap_or(u64::MAX);
                let from = ids.partition_point(|id| number(id) < *next);
                let to = ids.partition_point(|id| number(id) < *end);
                if from == to {
                    return (from..from, self.not_yet(now));
                }
                let (wished, first, last) = (*next, number(&ids[from]), number(&ids[to - 1]));
                *next = last.saturating_add(1);
                let left = *next < *end;
                let next = match (first > wished, left) {
                    // Older ones are not to be had any more.
                    (true, false) => Next::Lost,
                    (false, false) => Next::Done,
                    (_, true) => {
                        self.beyond |= first > wished;
                        self.tries = 0;
                        Next::More
                    }
                };
                (from..to, next)
            }
        }
    }

    /// What is still missing, in words.
    pub(super) fn words(&self) -> String {
        match &self.gap {
            Gap::Candles { next, end, .. } => {
                format!("candles that began from {} until before {}", UnixNanos(*next), UnixNanos(*end))
            }
            Gap::Ids { next, end } => format!("trades {next} to {}", end.saturating_sub(1)),
            Gap::Between { last, first, .. } => format!("trades between {last} and {first}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn between(last: &str, first: &str, most: u32) -> Hole {
        let gap = Gap::Between { last: last.into(), first: first.into(), most };
        Hole::new(StreamId(1), gap, Mono(0))
    }

    fn ids(all: &[&str]) -> Vec<Box<str>> {
        all.iter().map(|id| (*id).into()).collect()
    }

    /// Of the first candles of a stream: where the venue has none before the live one, nothing is lost.
    #[test]
    fn a_young_symbol_has_lost_nothing() {
        let month = Interval { count: 1, unit: 'M' };
        let day = 86_400_000_000_000;
        // From August to October 2026.
        let (august, october, november) = (20_666 * day, 20_727 * day, 20_758 * day);
        let hole = || Hole::new(StreamId(1), Gap::Candles { next: august, end: november, interval: month }, Mono(0));
        let last = november / MS - 1;
        let after = |mut hole: Hole, newest| {
            (0..TRIES).map(|_| hole.candles_taken(last, newest, Mono(0))).find(|next| *next != Next::More)
        };
        assert_eq!(after(hole().opens(true), None), Some(Next::Done));
        assert_eq!(after(hole(), None), Some(Next::Lost));
        assert_eq!(after(hole().opens(true), Some(october)), Some(Next::Done), "October has 31 days");
        assert_eq!(after(hole().opens(true), Some(august)), Some(Next::Lost));
        assert_eq!(hole().words(), "candles that began from 2026-08-01T00:00:00Z until before 2026-11-01T00:00:00Z");
    }

    #[test]
    fn numbers_tell_what_is_missing() {
        let gap = |last, first, most| between(last, first, most).by_number().map(|hole| (hole.gap, hole.beyond));
        assert_eq!(gap("61", "70", 100), Some((Gap::Ids { next: 62, end: 70 }, false)));
        assert_eq!(gap("61", "1000", 100), Some((Gap::Ids { next: 900, end: 1000 }, true)), "the newest hundred");
        assert_eq!((gap("61", "62", 100), gap("70", "61", 100)), (None, None), "nothing");
        assert!(matches!(gap("x", "61", 100), Some((Gap::Between { .. }, false))));
    }

    #[test]
    fn trades_without_an_order_are_found_by_their_places() {
        let all = ids(&["a", "b", "c", "d", "e"]);
        let take = |mut hole: Hole| (hole.trades_of(&all, Mono(0)), hole.beyond);
        assert_eq!(take(between("b", "e", 9)), ((2..4, Next::Done), false));
        assert_eq!(take(between("a", "e", 2)), ((2..4, Next::Done), true), "the newest two");
        assert_eq!(take(between("a", "b", 9)), ((1..1, Next::Done), false));
        assert_eq!(take(between("-", "c", 9)), ((0..2, Next::Lost), false), "older ones are not given");
        let mut late = between("b", "f", 9);
        for _ in 1..TRIES {
            assert_eq!(late.trades_of(&all, Mono(0)), (0..0, Next::More), "not there yet");
        }
        assert_eq!(late.trades_of(&all, Mono(0)), (2..5, Next::Lost), "what there is");
    }
}
