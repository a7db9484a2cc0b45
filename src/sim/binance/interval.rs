//! The candle intervals of Binance: days begin at midnight UTC, weeks on Monday, months are calendar months; on spot the
//! clock may be eight hours ahead.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

const SECOND: u64 = 1_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;
/// A day in ms.
pub(super) const DAY: u64 = 24 * HOUR;
/// 1970-01-01 was a Thursday: weeks are counted from the Monday after it.
const FIRST_MONDAY: u64 = 4 * DAY;
/// How far ahead the other clock is.
const AHEAD: u64 = 8 * HOUR;

/// Every interval, with its length; that of a month is 0.
const INTERVALS: [(&str, u64); 16] = [
    ("1s", SECOND),
    ("1m", MINUTE),
    ("3m", 3 * MINUTE),
    ("5m", 5 * MINUTE),
    ("15m", 15 * MINUTE),
    ("30m", 30 * MINUTE),
    ("1h", HOUR),
    ("2h", 2 * HOUR),
    ("4h", 4 * HOUR),
    ("6h", 6 * HOUR),
    ("8h", 8 * HOUR),
    ("12h", 12 * HOUR),
    ("1d", DAY),
    ("3d", 3 * DAY),
    ("1w", 7 * DAY),
    ("1M", 0),
];

/// One interval, at one of two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Interval {
    at: usize,
    ahead: bool,
}

impl Interval {
    /// The interval with this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        INTERVALS.iter().position(|(known, _)| *known == name).map(|at| Self { at, ahead: false })
    }

    /// The same by a clock that is eight hours ahead.
    pub(super) const fn ahead(self) -> Self {
        Self { ahead: true, ..self }
    }

    /// Whether its clock is eight hours ahead.
    pub(super) const fn is_ahead(self) -> bool {
        self.ahead
    }

    pub(super) const fn name(self) -> &'static str {
        INTERVALS[self.at].0
    }

    /// Whether it is a second.
    pub(super) const fn is_second(self) -> bool {
        self.at == 0
    }

    /// The first ms of the candle that holds `at_ms`.
    pub(super) fn start(self, at_ms: u64) -> u64 {
        self.around(at_ms).0
    }

    /// The first ms of the candle behind the one that holds `at_ms`.
    pub(super) fn end(self, at_ms: u64) -> u64 {
        self.around(at_ms).1
    }

    fn around(self, at_ms: u64) -> (u64, u64) {
        let shift = if self.ahead { AHEAD } else { 0 };
        let local = at_ms.saturating_add(shift);
        let (start, end) = match INTERVALS[self.at].1 {
            0 => {
                let at = i64::try_from(local).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
                let date = Offset::UTC.to_datetime(at.unwrap_or_default()).date();
                let month = i32::from(date.year()) * 12 + i32::from(date.month()) - 1;
                (month_start(month), month_start(month + 1))
            }
            length => {
                let offset = if length == 7 * DAY { FIRST_MONDAY } else { 0 };
                let start = local - local.saturating_sub(offset) % length;
                (start, start.saturating_add(length))
            }
        };
        (start.saturating_sub(shift), end.saturating_sub(shift))
    }
}

/// Midnight UTC of the first day of a month, counted from the year 0, ms since 1970.
fn month_start(month: i32) -> u64 {
    let (year, month) = (month.div_euclid(12), month.rem_euclid(12) + 1);
    let date = i16::try_from(year).ok().zip(i8::try_from(month).ok()).and_then(|(y, m)| Date::new(y, m, 1).ok());
    let start = date.and_then(|date| Offset::UTC.to_timestamp(date.into()).ok()).unwrap_or_default();
    u64::try_from(start.as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The candle that holds 2026-11-21T22:10:05Z.
    fn around(interval: Interval) -> [String; 2] {
        let at = "2026-11-21T22:10:05Z".parse::<Timestamp>().unwrap().as_millisecond() as u64;
        [interval.start(at), interval.end(at)].map(|ms| Timestamp::from_millisecond(ms as i64).unwrap().to_string())
    }

    #[test]
    fn candles_begin_where_the_venues_do() {
        let named = |name| around(Interval::parse(name).unwrap());
        assert_eq!(named("1s"), ["2026-11-21T22:10:05Z", "2026-11-21T22:10:06Z"]);
        assert_eq!(named("8h"), ["2026-11-21T16:00:00Z", "2026-11-22T00:00:00Z"]);
        assert_eq!(named("1w"), ["2026-11-16T00:00:00Z", "2026-11-23T00:00:00Z"]);
        assert_eq!(named("1M"), ["2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"]);
        let day = Interval::parse("1d").unwrap();
        assert_eq!(around(day.ahead()), ["2026-11-21T16:00:00Z", "2026-11-22T16:00:00Z"]);
        assert_eq!(Interval::parse("7m"), None);
    }
}
