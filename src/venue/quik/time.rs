//! The exchange's time, which is Moscow's, to UTC. Moscow has been at +3 since 2014-10-26 and was elsewhere before, so
//! the zone's history is built in.

use jiff::Span;
use jiff::civil;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::reply::Integer;
use crate::model::UnixNanos;
use crate::venue::kit::fields::{Number, Object};

static MOSCOW: TimeZone = jiff::tz::get!("Europe/Moscow");

/// Seconds of a day.
const DAY: u32 = 86_400;
/// How far the exchange's clock may be ahead of ours before a time without a date is taken for yesterday's.
const AHEAD_MAX: u32 = 300;

/// The terminal's `datetime`, `time` and `order_date_time` members.
#[derive(Clone, Copy, Debug, Deserialize)]
pub(super) struct DateTime<'a> {
    #[serde(borrow)]
    year: Number<'a>,
    #[serde(borrow)]
    month: Number<'a>,
    #[serde(borrow)]
    day: Number<'a>,
    #[serde(borrow)]
    hour: Number<'a>,
    #[serde(borrow)]
    min: Number<'a>,
    #[serde(borrow)]
    sec: Number<'a>,
    #[serde(borrow, default)]
    ms: Option<Number<'a>>,
    #[serde(borrow, default)]
    mcs: Option<Number<'a>>,
}

impl DateTime<'_> {
    /// The moment in UTC; nothing for what is no date. `mcs` is the microsecond of the second, `ms` the same in
    /// milliseconds, for terminals that leave `mcs` at zero.
    pub(super) fn utc(&self) -> Option<UnixNanos> {
        let whole = |number: Number<'_>| Integer::read(number.0)?.exact();
        let short = |number: Number<'_>| i8::try_from(whole(number)?).ok();
        let part = |number: Option<Number<'_>>| number.and_then(whole).unwrap_or(0);
        let (mcs, ms) = (part(self.mcs), part(self.ms));
        let micros = if mcs == 0 { ms.checked_mul(1_000)? } else { mcs };
        let nanos = i32::try_from(micros.checked_mul(1_000)?).ok()?;
        let year = i16::try_from(whole(self.year)?).ok()?;
        let (month, day) = (short(self.month)?, short(self.day)?);
        let (hour, min, sec) = (short(self.hour)?, short(self.min)?, short(self.sec)?);
        to_utc(civil::DateTime::new(year, month, day, hour, min, sec, nanos).ok()?)
    }
}

/// Reads a `datetime` member.
pub(super) fn datetime(raw: &RawValue) -> Option<UnixNanos> {
    serde_json::from_str::<Object<DateTime<'_>>>(raw.get()).ok()?.0.utc()
}

/// The moment Moscow's clocks show this; of an hour they showed twice, the first.
fn to_utc(at: civil::DateTime) -> Option<UnixNanos> {
    let nanos = MOSCOW.to_ambiguous_timestamp(at).compatible().ok()?.as_nanosecond();
    u64::try_from(nanos).ok().map(UnixNanos)
}

/// So many months and days later on Moscow's calendar, at the same time of day.
pub(super) fn later(at: UnixNanos, months: i32, days: i32) -> Option<UnixNanos> {
    to_utc(in_moscow(at).checked_add(Span::new().months(months).days(days)).ok()?)
}

/// What Moscow's clocks show.
fn in_moscow(at: UnixNanos) -> civil::DateTime {
    let stamp = jiff::Timestamp::from_nanosecond(i128::from(at.0)).unwrap_or_default();
    MOSCOW.to_datetime(stamp)
}

/// The second of the day that `HH:MM:SS` is (`9:05:00` too); nothing for anything else.
pub(super) fn clock(text: &str) -> Option<u32> {
    let mut parts = text.trim().split(':').map(|part| {
        let plain = (1..=2).contains(&part.len()) && part.bytes().all(|b| b.is_ascii_digit());
        part.parse::<u32>().ok().filter(|_| plain)
    });
    let (hour, min, sec) = (parts.next()??, parts.next()??, parts.next()??);
    (parts.next().is_none() && hour < 24 && min < 60 && sec < 60).then_some(hour * 3_600 + min * 60 + sec)
}

/// The moment of a time of day that came without a date: Moscow's date of now, or the day before if that were still
/// to come.
pub(super) fn joined(clock: u32, now: UnixNanos) -> Option<UnixNanos> {
    let here = in_moscow(now);
    let is_ahead = clock > second_of_day(here) + AHEAD_MAX;
    // Just before midnight here, a clock that is ahead may show the next day already.
    let is_next_day = second_of_day(here) + AHEAD_MAX >= DAY + clock;
    let date = match (is_ahead, is_next_day) {
        (true, _) => here.date().yesterday().ok()?,
        (_, true) => here.date().tomorrow().ok()?,
        _ => here.date(),
    };
    let [hour, min, sec] = [clock / 3_600, clock / 60 % 60, clock % 60].map(|part| i8::try_from(part).unwrap_or(0));
    to_utc(date.at(hour, min, sec, 0))
}

fn second_of_day(at: civil::DateTime) -> u32 {
    let part = |part: i8| u32::try_from(part).unwrap_or(0);
    part(at.hour()) * 3_600 + part(at.minute()) * 60 + part(at.second())
}

/// A moment in the exchange's calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moscow {
    /// Year, month and day.
    pub(super) date: (i16, i8, i8),
    /// Second of the day.
    pub(super) second: u32,
    /// Monday to Friday.
    pub(super) is_weekday: bool,
}

/// The exchange's date and time of day at this moment.
pub(super) fn moscow(at: UnixNanos) -> Moscow {
    let here = in_moscow(at);
    let is_weekday = !matches!(here.date().weekday(), civil::Weekday::Saturday | civil::Weekday::Sunday);
    Moscow { date: (here.year(), here.month(), here.day()), second: second_of_day(here), is_weekday }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn utc(text: &str) -> UnixNanos {
        let stamp: jiff::Timestamp = text.parse().expect("a stamp");
        UnixNanos(stamp.as_nanosecond().try_into().expect("after 1970"))
    }

    fn read(text: &str) -> Option<UnixNanos> {
        datetime(serde_json::from_str::<&RawValue>(text).expect("JSON"))
    }

    #[test]
    fn microseconds_are_those_of_the_second() {
        let head = r#"{"year":2026,"month":11,"day":21,"week_day":6,"hour":11,"min":57,"sec":56"#;
        let second = "2026-11-21T08:57:56";
        let at = |rest: &str| read(&format!("{head}{rest}}}"));
        assert_eq!(at(r#","ms":485,"mcs":485686"#), Some(utc(&format!("{second}.485686Z"))));
        assert_eq!(at(r#","ms":485,"mcs":0"#), Some(utc(&format!("{second}.485Z"))));
        assert_eq!(at(r#","ms":485"#), Some(utc(&format!("{second}.485Z"))));
        assert_eq!(at(""), Some(utc(&format!("{second}Z"))));
        assert_eq!(at(r#","mcs":1000000"#), None);
        let texts = r#"{"year":"2026","month":"11.0","day":"21","hour":"0","min":"0","sec":"0"}"#;
        assert_eq!(read(texts), Some(utc("2026-11-20T21:00:00Z")));
    }

    #[test]
    fn old_times_had_other_offsets() {
        let day = |year, month| format!(r#"{{"year":{year},"month":{month},"day":15,"hour":12,"min":0,"sec":0}}"#);
        assert_eq!(read(&day(2026, 7)), Some(utc("2026-07-15T09:00:00Z")));
        assert_eq!(read(&day(2012, 1)), Some(utc("2012-01-15T08:00:00Z")));
        assert_eq!(read(&day(2010, 1)), Some(utc("2010-01-15T09:00:00Z")));
        assert_eq!(read(&day(2010, 7)), Some(utc("2010-07-15T08:00:00Z")));
    }

    #[test]
    fn what_is_no_date_is_refused() {
        for bad in [
            "[]",
            "{}",
            "7",
            r#"{"year":2026,"month":13,"day":1,"hour":0,"min":0,"sec":0}"#,
            r#"{"year":2026,"month":2,"day":30,"hour":0,"min":0,"sec":0}"#,
            r#"{"year":1601,"month":1,"day":1,"hour":0,"min":0,"sec":0}"#,
            r#"{"year":2026,"month":2,"day":3,"hour":24,"min":0,"sec":0}"#,
            r#"{"year":2026,"month":2,"day":3,"hour":1,"min":0,"sec":0,"ms":9223372036854775807}"#,
        ] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_time_without_a_date_is_of_the_last_day_it_can_be() {
        let join = |text, now| joined(clock(text).expect("a time"), utc(now)).expect("a moment");
        // 00:00:03 in Moscow, while the date in UTC is still the day before.
        assert_eq!(join("00:00:02", "2026-11-20T21:00:03Z"), utc("2026-11-20T21:00:02Z"));
        assert_eq!(join("23:59:58", "2026-11-20T21:00:03Z"), utc("2026-11-20T20:59:58Z"));
        assert_eq!(join("18:49:59", "2026-11-21T06:00:00Z"), utc("2026-11-20T15:49:59Z"));
        assert_eq!(join("11:57:56", "2026-11-21T08:58:00Z"), utc("2026-11-21T08:57:56Z"));
        // A clock a little ahead of ours is not a day behind it.
        assert_eq!(join("12:00:05", "2026-11-21T09:00:00Z"), utc("2026-11-21T09:00:05Z"));
        assert_eq!(join("00:00:01", "2026-11-21T20:59:59Z"), utc("2026-11-21T21:00:01Z"));
    }

    #[test]
    fn clocks_are_read_strictly() {
        assert_eq!((clock("09:05:01"), clock("9:05:01")), (Some(32_701), Some(32_701)));
        for bad in ["", "24:00:00", "10:60:00", "10:00", "10:00:00:00", "-1:00:00", "+1:00:00", "aa:bb:cc", "100:00:00"]
        {
            assert_eq!(clock(bad), None, "{bad}");
        }
    }

    #[test]
    fn the_exchange_has_a_calendar_of_its_own() {
        let at = moscow(utc("2026-11-20T21:00:03Z"));
        assert_eq!(at, Moscow { date: (2026, 11, 21), second: 3, is_weekday: false });
        assert!(moscow(utc("2026-11-20T20:59:59Z")).is_weekday);
    }

    proptest! {
        #[test]
        fn a_joined_time_is_within_a_day_of_now(clock in 0_u32..DAY, now in 1_400_000_000_u64..2_000_000_000) {
            let now = UnixNanos(now * 1_000_000_000);
            let joined = joined(clock, now).expect("a moment").0 / 1_000_000_000;
            let now = now.0 / 1_000_000_000;
            // One day in 2014 had 25 hours.
            prop_assert!(joined <= now + 300 && joined + 25 * 3_600 > now, "{joined} {now}");
        }
    }
}
