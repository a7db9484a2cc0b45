//! Bars as the terminal has them: exact numbers in little room, the newest ones of a datasource in a row.

use std::collections::VecDeque;

use super::super::channels::INTERVALS;
use super::super::time;
use crate::model::{Decimal, Interval, UnixNanos};

/// Most bars kept of one series. The oldest are dropped beyond it.
pub(super) const BARS_MAX: usize = 100_000;

/// A bar's numbers: open, high, low, close, volume.
pub(super) const NUMBERS: usize = 5;
const VOLUME: usize = 4;

/// One bar, in 56 bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Bar {
    /// First nanosecond since 1970.
    pub(super) open_time: u64,
    mantissas: [i64; NUMBERS],
    scales: [u8; NUMBERS],
}

impl Bar {
    /// A bar of this time that equals none the terminal has.
    pub(super) const fn unlike_any(open_time: u64) -> Self {
        Self { open_time, mantissas: [i64::MIN; NUMBERS], scales: [u8::MAX; NUMBERS] }
    }

    /// From open, high, low, close and volume.
    pub(super) fn new(open_time: u64, numbers: [Decimal; NUMBERS]) -> Self {
        Self { open_time, mantissas: numbers.map(|n| n.mantissa), scales: numbers.map(|n| n.scale) }
    }

    /// Open, high, low, close and volume.
    pub(super) fn texts(&self) -> [String; NUMBERS] {
        std::array::from_fn(|at| Decimal::new(self.mantissas[at], self.scales[at]).to_string())
    }

    pub(super) const fn volume(&self) -> Decimal {
        Decimal::new(self.mantissas[VOLUME], self.scales[VOLUME])
    }
}

/// What a bar spans, in the words of both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Span {
    /// tickbus's name.
    pub(super) name: &'static str,
    /// What `CreateDataSource` takes.
    pub(super) theirs: &'static str,
}

/// A bar a trade; it cannot be subscribed to, as it is no span of time.
const TICK: Span = Span { name: "tick", theirs: "INTERVAL_TICK" };
const MILLISECOND: u64 = 1_000_000;
const MINUTE: u64 = 60_000 * MILLISECOND;

impl Span {
    /// By tickbus's name; the error lists what is allowed.
    pub(super) fn find(name: &str) -> Result<Self, String> {
        let known = INTERVALS.iter().find(|(ours, _)| *ours == name);
        match known {
            Some((name, theirs)) => Ok(Self { name, theirs }),
            None if name == TICK.name => Ok(TICK),
            None => {
                let names: Vec<&str> = INTERVALS.iter().map(|(ours, _)| *ours).chain([TICK.name]).collect();
                let shown: String = name.chars().take(16).collect();
                Err(format!("unknown interval {shown:?}; allowed: {}", names.join(", ")))
            }
        }
    }

    pub(super) fn of(interval: Interval) -> Option<Self> {
        Self::find(&interval.to_string()).ok().filter(|span| *span != TICK)
    }

    /// Whether bars may have the same time.
    pub(super) fn is_tick(self) -> bool {
        self == TICK
    }

    /// Nanoseconds, the shortest they can be: months have 28 days, ticks none.
    pub(super) fn nanos(self) -> u64 {
        let Some(Interval { count, unit }) = Interval::parse(self.name) else { return 0 };
        let minutes = match unit {
            'm' => 1,
            'h' => 60,
            'd' => 24 * 60,
            'w' => 7 * 24 * 60,
            _ => 28 * 24 * 60,
        };
        u64::from(count) * minutes * MINUTE
    }

    /// The last millisecond of the bar that begins then. The terminal does not give it: days, weeks and months end with
    /// a day in Moscow.
    pub(super) fn close_time(self, open_time: u64) -> u64 {
        let days = match self.name {
            "tick" => return open_time,
            "1d" => time::later(UnixNanos(open_time), 0, 1),
            "1w" => time::later(UnixNanos(open_time), 0, 7),
            "1M" => time::later(UnixNanos(open_time), 1, 0),
            _ => None,
        };
        let end = days.map_or_else(|| open_time.saturating_add(self.nanos()), |at| at.0);
        end.saturating_sub(MILLISECOND)
    }
}

/// The newest bars of a datasource without a hole, and where the first of them is: the terminal counts from 1.
#[derive(Clone, Debug, Default)]
pub(super) struct Tail {
    bars: VecDeque<Bar>,
    first: u64,
}

impl Tail {
    pub(super) fn len(&self) -> usize {
        self.bars.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bars.is_empty()
    }

    pub(super) fn bars(&self) -> impl DoubleEndedIterator<Item = &Bar> + ExactSizeIterator {
        self.bars.iter()
    }

    /// How many bars are before this time; all of them without one.
    pub(super) fn before(&self, time: Option<u64>) -> usize {
        time.map_or(self.bars.len(), |time| self.bars.partition_point(|bar| bar.open_time < time))
    }

    pub(super) fn front(&self) -> Option<&Bar> {
        self.bars.front()
    }

    pub(super) fn back(&self) -> Option<&Bar> {
        self.bars.back()
    }

    /// The terminal's index of the first bar; 0 if there is none.
    pub(super) const fn first(&self) -> u64 {
        self.first
    }

    /// The terminal's index of the last bar; 0 if there is none.
    pub(super) fn last(&self) -> u64 {
        (self.first + self.bars.len() as u64).saturating_sub(1)
    }

    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }

    /// Takes the last bar anew and what follows it; or begins with these, of which the first is at `lo`. False if they
    /// do not fit: the terminal's series is another one now.
    pub(super) fn renew(&mut self, lo: u64, bars: &[Bar], span: Span) -> bool {
        if !is_in_order(bars, span) {
            return false;
        }
        match (self.bars.back(), bars.first()) {
            (None, _) => self.first = lo,
            (Some(old), Some(new)) if lo == self.last() && old.open_time == new.open_time => {
                self.bars.pop_back();
            }
            _ => return false,
        }
        self.bars.extend(bars);
        let beyond = self.bars.len().saturating_sub(BARS_MAX);
        self.bars.drain(..beyond);
        self.first += beyond as u64;
        true
    }

    /// Takes older bars, of which the first is at `lo`. False if they do not fit.
    pub(super) fn extend(&mut self, lo: u64, bars: &[Bar], span: Span) -> bool {
        let joins = match (bars.last(), self.bars.front()) {
            (Some(old), Some(new)) => {
                old.open_time < new.open_time || (span.is_tick() && old.open_time == new.open_time)
            }
            _ => false,
        };
        if lo + bars.len() as u64 != self.first || !joins || !is_in_order(bars, span) {
            return false;
        }
        let room = BARS_MAX.saturating_sub(self.bars.len());
        let kept = &bars[bars.len().saturating_sub(room)..];
        kept.iter().rev().for_each(|bar| self.bars.push_front(*bar));
        self.first -= kept.len() as u64;
        true
    }
}

fn is_in_order(bars: &[Bar], span: Span) -> bool {
    bars.is_sorted_by(|a, b| a.open_time < b.open_time || (span.is_tick() && a.open_time == b.open_time))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bar(minute: u64) -> Bar {
        Bar::new(minute * MINUTE, [Decimal::new(1, 0); NUMBERS])
    }

    fn utc(text: &str) -> u64 {
        let stamp: jiff::Timestamp = text.parse().expect("a stamp");
        stamp.as_nanosecond().try_into().expect("after 1970")
    }

    #[test]
    fn a_bar_is_small_and_exact() {
        assert_eq!(size_of::<Bar>(), 56);
        let number = |text: &str| Decimal::parse(text.as_bytes()).expect("a number");
        let bar = Bar::new(1, [number("1.5"), number("112480"), number("-0.25"), number("0"), number("7")]);
        assert_eq!(bar.texts(), ["1.5", "112480", "-0.25", "0", "7"]);
        assert_eq!(bar.volume(), number("7"));
    }

    #[test]
    fn spans_end_with_their_last_millisecond() {
        let close = |name: &str, open: &str| Span::find(name).expect(name).close_time(utc(open));
        assert_eq!(close("1m", "2026-11-21T07:00:00Z"), utc("2026-11-21T07:00:59.999Z"));
        assert_eq!(close("4h", "2026-11-21T07:00:00Z"), utc("2026-11-21T10:59:59.999Z"));
        assert_eq!(close("1d", "2026-11-20T21:00:00Z"), utc("2026-11-21T20:59:59.999Z"));
        assert_eq!(close("1w", "2026-11-15T21:00:00Z"), utc("2026-11-22T20:59:59.999Z"));
        assert_eq!(close("1M", "2026-10-31T21:00:00Z"), utc("2026-11-30T20:59:59.999Z"));
        // Moscow went from +4 to +3 on 2014-10-26: that day had 25 hours.
        assert_eq!(close("1d", "2014-10-25T20:00:00Z"), utc("2014-10-26T20:59:59.999Z"));
        assert_eq!(close("tick", "2026-11-21T07:00:00.5Z"), utc("2026-11-21T07:00:00.5Z"));
        assert_eq!(close("1m", "1970-01-01T00:00:00Z"), 59_999 * MILLISECOND);
        assert!(Span::find("5s").is_err_and(|error| error.contains("1m, 2m") && error.contains("tick")));
        let of = |text: &str| Span::of(Interval::parse(text).expect("an interval"));
        assert_eq!((of("15m").map(|span| span.theirs), of("7m")), (Some("INTERVAL_M15"), None));
    }

    #[test]
    fn a_tail_takes_only_what_fits() {
        let span = Span::find("1m").expect("a span");
        let mut tail = Tail::default();
        assert!(tail.renew(5, &[bar(5), bar(6)], span));
        assert_eq!((tail.first(), tail.last(), tail.len()), (5, 6, 2));
        assert!(!tail.renew(6, &[bar(7), bar(8)], span), "another bar is at the last place");
        assert!(!tail.renew(5, &[bar(6)], span) && !tail.renew(6, &[bar(6), bar(6)], span));
        assert!(tail.renew(6, &[bar(6), bar(7), bar(9)], span));
        assert!(!tail.extend(2, &[bar(2), bar(3)], span), "there would be a hole");
        assert!(!tail.extend(3, &[bar(3), bar(5)], span), "not older");
        assert!(tail.extend(3, &[bar(1), bar(4)], span));
        let minutes: Vec<u64> = tail.bars().map(|bar| bar.open_time / MINUTE).collect();
        assert_eq!((minutes, tail.first(), tail.last()), (vec![1, 4, 5, 6, 7, 9], 3, 8));
        assert_eq!((tail.before(Some(5 * MINUTE)), tail.before(None)), (2, 6));
        tail.clear();
        assert_eq!((tail.first(), tail.last(), tail.is_empty()), (0, 0, true));
    }

    #[test]
    fn a_tail_is_bounded() {
        let span = Span::find("1m").expect("a span");
        let mut tail = Tail::default();
        let bars: Vec<Bar> = (0..BARS_MAX as u64).map(|minute| bar(minute + 10)).collect();
        assert!(tail.renew(11, &bars, span));
        let last = bars[BARS_MAX - 1];
        assert!(tail.renew(tail.last(), &[last, bar(BARS_MAX as u64 + 10)], span));
        assert_eq!((tail.len(), tail.first()), (BARS_MAX, 12));
        assert!(tail.extend(10, &[bar(8), bar(9)], span));
        assert_eq!((tail.len(), tail.first()), (BARS_MAX, 12));
    }
}
