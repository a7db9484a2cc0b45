//! How long candles of an interval last.

use std::time::Duration;

use crate::model::{Interval, UnixNanos};

const MS: u64 = 1_000_000;

/// The last millisecond of a candle. Months differ in length, and begin with the day that is so many hours ahead of UTC.
pub fn last_moment(open: UnixNanos, interval: Interval, hours_ahead: i8) -> UnixNanos {
    let next = match interval.unit {
        'M' => next_month(open, interval.count, hours_ahead).unwrap_or(open).0,
        _ => open.0.saturating_add(u64::try_from(shortest(interval).as_nanos()).unwrap_or(u64::MAX)),
    };
    UnixNanos(next.saturating_sub(MS).max(open.0))
}

fn next_month(open: UnixNanos, months: u16, hours_ahead: i8) -> Option<UnixNanos> {
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(hours_ahead));
    let open = jiff::Timestamp::from_nanosecond(i128::from(open.0)).ok()?.to_zoned(zone);
    let next = open.checked_add(jiff::Span::new().months(i64::from(months))).ok()?;
    u64::try_from(next.timestamp().as_nanosecond()).ok().map(UnixNanos)
}

/// The least time from one candle to the next: that of the shortest month, where it is months.
pub fn shortest(interval: Interval) -> Duration {
    let seconds = match interval.unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => 28 * 86_400,
    };
    Duration::from_secs(u64::from(interval.count) * seconds)
}

/// The most time from one candle to the next.
pub fn longest(interval: Interval) -> Duration {
    let days = if interval.unit == 'M' { 31 } else { return shortest(interval) };
    Duration::from_secs(u64::from(interval.count) * days * 86_400)
}

/// The mean time from one candle to the next: of months, that of the calendar's 400 years.
pub fn usual(interval: Interval) -> Duration {
    let seconds = if interval.unit == 'M' { 2_629_746 } else { return shortest(interval) };
    Duration::from_secs(u64::from(interval.count) * seconds)
}

/// Why a candle channel is refused, with the intervals that there are.
pub fn none_such<'a>(intervals: impl Iterator<Item = &'a str>) -> String {
    format!("no such interval; allowed: {}", intervals.collect::<Vec<_>>().join(" "))
}

/// The moment so many candles before one that begins at `open`: of months, by the calendar of the day that it begins.
pub fn earlier(open: UnixNanos, interval: Interval, candles: u32) -> UnixNanos {
    let length = u64::try_from(longest(interval).as_nanos()).unwrap_or(u64::MAX);
    let plain = UnixNanos(open.0.saturating_sub(length.saturating_mul(u64::from(candles))));
    if interval.unit == 'M' { earlier_month(open, interval.count, candles).unwrap_or(plain) } else { plain }
}

fn earlier_month(open: UnixNanos, months: u16, candles: u32) -> Option<UnixNanos> {
    // Where the day begins that many hours ahead of UTC.
    let hour = i8::try_from(open.0 / 3_600_000_000_000 % 24).ok()?;
    let zone = jiff::tz::TimeZone::fixed(jiff::tz::offset(if hour > 12 { 24 - hour } else { -hour }));
    let open = jiff::Timestamp::from_nanosecond(i128::from(open.0)).ok()?.to_zoned(zone);
    let span = jiff::Span::new().try_months(i64::from(months) * i64::from(candles)).ok()?;
    u64::try_from(open.checked_sub(span).ok()?.timestamp().as_nanosecond()).ok().map(UnixNanos)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn months_have_their_own_lengths_and_zones() {
        let month = Interval::parse("1M").expect("an interval");
        // February 2027 by UTC, and by the clock of UTC+8.
        let (february, march) = (1_801_440_000_000_u64, 1_803_859_200_000);
        assert_eq!(last_moment(UnixNanos::from_ms(february), month, 0), UnixNanos::from_ms(march - 1));
        let eight = 8 * 3_600_000;
        let open = UnixNanos::from_ms(february - eight);
        assert_eq!(last_moment(open, month, 8), UnixNanos::from_ms(march - eight - 1));
        assert_eq!((shortest(month).as_secs(), longest(month).as_secs()), (28 * 86_400, 31 * 86_400));
        let hours = Interval::parse("4h").expect("an interval");
        assert_eq!(last_moment(UnixNanos::from_ms(0), hours, 0), UnixNanos::from_ms(4 * 3_600_000 - 1));
        let november = UnixNanos::from_ms(1_793_491_200_000);
        let ahead = |at: UnixNanos| UnixNanos(at.0 - eight * 1_000_000);
        let august = UnixNanos::from_ms(1_785_542_400_000);
        assert_eq!(earlier(november, month, 3), august, "from the first of August");
        assert_eq!(earlier(ahead(november), month, 3), ahead(august));
        assert_eq!(earlier(november, month, u32::MAX), UnixNanos(0), "the begin of time");
        assert_eq!(last_moment(UnixNanos(u64::MAX), month, 0), UnixNanos(u64::MAX), "the end of time");
        assert_eq!((shortest(hours), usual(hours)), (longest(hours), longest(hours)));
        assert_eq!(usual(month).as_secs() * 12 * 400, 146_097 * 86_400);
    }
}
