//! The candle intervals of OKX: plain days begin at midnight in Hong Kong (UTC+8), those named `utc` at midnight UTC.

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::Offset;

const MINUTE: u64 = 60_000;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;
/// How far Hong Kong is ahead of UTC.
const HONG_KONG: u64 = 8 * HOUR;
/// 1970-01-01 was a Thursday: weeks are counted from the Monday after it.
const FIRST_MONDAY: u64 = 4 * DAY;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Length {
    Ms(u64),
    Months(i32),
}

/// One interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Interval {
    /// As in `bar=` and behind `candle`.
    pub(super) name: &'static str,
    length: Length,
    utc: bool,
}

const fn ms(name: &'static str, length: u64, utc: bool) -> Interval {
    Interval { name, length: Length::Ms(length), utc }
}

const fn months(name: &'static str, count: i32, utc: bool) -> Interval {
    Interval { name, length: Length::Months(count), utc }
}

/// Every interval.
pub(super) const INTERVALS: [Interval; 27] = [
    ms("1s", 1_000, true),
    ms("1m", MINUTE, true),
    ms("3m", 3 * MINUTE, true),
    ms("5m", 5 * MINUTE, true),
    ms("15m", 15 * MINUTE, true),
    ms("30m", 30 * MINUTE, true),
    ms("1H", HOUR, true),
    ms("2H", 2 * HOUR, true),
    ms("4H", 4 * HOUR, true),
    ms("6H", 6 * HOUR, false),
    ms("12H", 12 * HOUR, false),
    ms("1D", DAY, false),
    ms("2D", 2 * DAY, false),
    ms("3D", 3 * DAY, false),
    ms("5D", 5 * DAY, false),
    ms("1W", 7 * DAY, false),
    months("1M", 1, false),
    months("3M", 3, false),
    ms("6Hutc", 6 * HOUR, true),
    ms("12Hutc", 12 * HOUR, true),
    ms("1Dutc", DAY, true),
    ms("2Dutc", 2 * DAY, true),
    ms("3Dutc", 3 * DAY, true),
    ms("5Dutc", 5 * DAY, true),
    ms("1Wutc", 7 * DAY, true),
    months("1Mutc", 1, true),
    months("3Mutc", 3, true),
];

/// The interval with this name, as a place in [`INTERVALS`].
pub(super) fn find(name: &str) -> Option<u8> {
    INTERVALS.iter().position(|interval| interval.name == name).and_then(|at| u8::try_from(at).ok())
}

impl Interval {
    /// Whether it is shorter than a minute.
    pub(super) fn is_seconds(self) -> bool {
        self.length == Length::Ms(1_000)
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
        let shift = if self.utc { 0 } else { HONG_KONG };
        let local = at_ms.saturating_add(shift);
        let (start, end) = match self.length {
            Length::Ms(length) => {
                let offset = if length == 7 * DAY { FIRST_MONDAY } else { 0 };
                let start = local - local.saturating_sub(offset) % length;
                (start, start.saturating_add(length))
            }
            Length::Months(count) => {
                let at = i64::try_from(local).ok().and_then(|ms| Timestamp::from_millisecond(ms).ok());
                let date = Offset::UTC.to_datetime(at.unwrap_or_default()).date();
                let month = i32::from(date.year()) * 12 + i32::from(date.month()) - 1;
                let first = month - month.rem_euclid(count);
                (month_start(first), month_start(first + count))
            }
        };
        (start.saturating_sub(shift), end.saturating_sub(shift))
    }
}

/// Midnight UTC of the first day of a month, counted from year 0, in ms since 1970.
fn month_start(month: i32) -> u64 {
    let year = i16::try_from(month.div_euclid(12)).unwrap_or(i16::MAX);
    let of_year = i8::try_from(month.rem_euclid(12) + 1).unwrap_or(1);
    let midnight = Date::new(year, of_year, 1).map(|date| date.at(0, 0, 0, 0));
    let at = midnight.and_then(|midnight| Offset::UTC.to_timestamp(midnight)).unwrap_or_default();
    u64::try_from(at.as_millisecond()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The candle that holds 2026-11-21T22:10:05Z, in ISO.
    fn around(name: &str) -> (String, String) {
        let at = "2026-11-21T22:10:05Z".parse::<Timestamp>().unwrap().as_millisecond() as u64;
        let interval = INTERVALS[usize::from(find(name).unwrap())];
        let iso = |ms: u64| Timestamp::from_millisecond(ms as i64).unwrap().to_string();
        (iso(interval.start(at)), iso(interval.end(at)))
    }

    #[test]
    fn days_begin_in_hong_kong_unless_they_are_utc() {
        let expected = |start: &str, end: &str| (format!("2026-{start}Z"), format!("2026-{end}Z"));
        assert_eq!(around("1s"), expected("11-21T22:10:05", "11-21T22:10:06"));
        assert_eq!(around("4H"), expected("11-21T20:00:00", "11-22T00:00:00"));
        assert_eq!(around("1D"), expected("11-21T16:00:00", "11-22T16:00:00"));
        assert_eq!(around("1Dutc"), expected("11-21T00:00:00", "11-22T00:00:00"));
        assert_eq!(around("1W"), expected("11-15T16:00:00", "11-22T16:00:00"));
        assert_eq!(around("1Wutc"), expected("11-16T00:00:00", "11-23T00:00:00"));
        assert_eq!(around("1M"), expected("10-31T16:00:00", "11-30T16:00:00"));
        assert_eq!(around("1Mutc"), expected("11-01T00:00:00", "12-01T00:00:00"));
        assert_eq!(around("3Mutc").0, "2026-10-01T00:00:00Z");
        assert_eq!(around("3M").1, "2026-12-31T16:00:00Z");
    }
}
