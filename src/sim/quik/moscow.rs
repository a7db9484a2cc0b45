//! The terminal's clock: Moscow time, from the zone database.

use jiff::civil::{DateTime, Weekday};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::value::Value;
use crate::model::UnixNanos;

/// Moscow: UTC+3 without summer time since October 2014, other rules before.
const MOSCOW: TimeZone = jiff::tz::get!("Europe/Moscow");

/// The wall clock in Moscow.
pub(super) fn civil(at: UnixNanos) -> DateTime {
    let nanos = i128::from(at.0);
    MOSCOW.to_datetime(Timestamp::from_nanosecond(nanos).unwrap_or(Timestamp::UNIX_EPOCH))
}

/// The moment at which Moscow's clocks show this.
pub(super) fn unix(at: DateTime) -> UnixNanos {
    let nanos = MOSCOW.to_timestamp(at).map_or(0, Timestamp::as_nanosecond);
    UnixNanos(u64::try_from(nanos).unwrap_or(0))
}

/// `HH:MM:SS`.
pub(super) fn time_text(at: DateTime) -> String {
    format!("{:02}:{:02}:{:02}", at.hour(), at.minute(), at.second())
}

/// `DD.MM.YYYY`.
pub(super) fn date_text(at: DateTime) -> String {
    format!("{:02}.{:02}.{:04}", at.day(), at.month(), at.year())
}

/// The day of the week as QUIK counts it: Monday 1, Sunday 7.
fn week_day(at: DateTime) -> i64 {
    i64::from(at.weekday().to_monday_one_offset())
}

/// Year to second, as in every table with a time.
fn to_second(at: DateTime) -> Value {
    Value::Table(Vec::with_capacity(10))
        .with("year", i64::from(at.year()))
        .with("month", i64::from(at.month()))
        .with("day", i64::from(at.day()))
        .with("week_day", week_day(at))
        .with("hour", i64::from(at.hour()))
        .with("min", i64::from(at.minute()))
        .with("sec", i64::from(at.second()))
        .with("ms", i64::from(at.millisecond()))
}

/// The nine members of an event's `datetime`.
pub(super) fn datetime(at: DateTime) -> Value {
    to_second(at).with("mcs", i64::from(at.subsec_nanosecond() / 1_000))
}

/// The same from a source that leaves the microseconds at 0.
pub(super) fn datetime_to_ms(at: DateTime) -> Value {
    to_second(at).with("mcs", 0)
}

/// The nine members of a bar's time.
pub(super) fn bar_time(at: DateTime) -> Value {
    to_second(at).with("count", 1)
}

/// Length of a bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Interval {
    /// Each trade is a bar.
    Tick,
    /// Minutes, which divide a day.
    Minutes(u16),
    /// A day.
    Day,
    /// A week from Monday on.
    Week,
    /// A calendar month.
    Month,
}

/// Every name of an interval.
pub(super) const INTERVALS: [(&str, Interval); 17] = [
    ("INTERVAL_TICK", Interval::Tick),
    ("INTERVAL_M1", Interval::Minutes(1)),
    ("INTERVAL_M2", Interval::Minutes(2)),
    ("INTERVAL_M3", Interval::Minutes(3)),
    ("INTERVAL_M4", Interval::Minutes(4)),
    ("INTERVAL_M5", Interval::Minutes(5)),
    ("INTERVAL_M6", Interval::Minutes(6)),
    ("INTERVAL_M10", Interval::Minutes(10)),
    ("INTERVAL_M15", Interval::Minutes(15)),
    ("INTERVAL_M20", Interval::Minutes(20)),
    ("INTERVAL_M30", Interval::Minutes(30)),
    ("INTERVAL_H1", Interval::Minutes(60)),
    ("INTERVAL_H2", Interval::Minutes(120)),
    ("INTERVAL_H4", Interval::Minutes(240)),
    ("INTERVAL_D1", Interval::Day),
    ("INTERVAL_W1", Interval::Week),
    ("INTERVAL_MN1", Interval::Month),
];

impl Interval {
    /// The interval with this name.
    pub(super) fn parse(name: &str) -> Option<Self> {
        INTERVALS.iter().find(|(known, _)| *known == name).map(|(_, interval)| *interval)
    }

    /// When the bar that holds this moment begins. A tick's bar is the moment itself.
    pub(super) fn start(self, at: DateTime) -> DateTime {
        let midnight = at.date().to_datetime(jiff::civil::Time::midnight());
        match self {
            Self::Tick => at,
            Self::Minutes(length) => {
                let minutes = i64::from(at.hour()) * 60 + i64::from(at.minute());
                midnight.saturating_add((minutes - minutes % i64::from(length)).minutes())
            }
            Self::Day => midnight,
            Self::Week => midnight.saturating_sub((week_day(at) - 1).days()),
            Self::Month => midnight.first_of_month(),
        }
    }

    /// When the bar before the one that begins here began. Nobody trades at weekends or between 23:50 and 09:00.
    pub(super) fn before(self, start: DateTime) -> DateTime {
        match self {
            Self::Tick => start.saturating_sub(7.seconds()),
            Self::Minutes(length) => last_session_bar(start.saturating_sub(i64::from(length).minutes()), self),
            Self::Day => {
                let mut day = start.saturating_sub(1.day());
                while weekend(day) {
                    day = day.saturating_sub(1.day());
                }
                day
            }
            Self::Week => start.saturating_sub(1.week()),
            Self::Month => start.saturating_sub(1.month()),
        }
    }
}

fn weekend(at: DateTime) -> bool {
    matches!(at.weekday(), Weekday::Saturday | Weekday::Sunday)
}

/// This bar if it holds any trading, else the last one before it that does.
fn last_session_bar(start: DateTime, interval: Interval) -> DateTime {
    let Interval::Minutes(length) = interval else { return start };
    let minute = i64::from(start.hour()) * 60 + i64::from(start.minute());
    let (open, close) = (9 * 60, 23 * 60 + 50);
    let closing = |day: DateTime| {
        let midnight = day.date().to_datetime(jiff::civil::Time::midnight());
        interval.start(midnight.saturating_add((close - 1).minutes()))
    };
    if weekend(start) || minute + i64::from(length) <= open {
        let mut day = start.saturating_sub(1.day());
        while weekend(day) {
            day = day.saturating_sub(1.day());
        }
        return closing(day);
    }
    if minute >= close { closing(start) } else { start }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime {
        text.parse().unwrap()
    }

    #[test]
    fn moscow_has_had_several_offsets() {
        let hours = |text: &str| {
            let moment: Timestamp = text.parse().unwrap();
            civil(UnixNanos(u64::try_from(moment.as_nanosecond()).unwrap())).hour()
        };
        assert_eq!(hours("2026-11-21T08:57:56Z"), 11);
        assert_eq!(hours("2013-01-10T08:00:00Z"), 12);
        assert_eq!(hours("2010-07-10T08:00:00Z"), 12);
        assert_eq!(hours("2010-01-10T08:00:00Z"), 11);
        let now = at("2026-11-21T11:57:56.485686");
        assert_eq!(civil(unix(now)), now);
    }

    #[test]
    fn tables_of_a_time() {
        let now = at("2026-11-22T11:57:56.485686");
        let Value::Table(fields) = datetime(now) else { panic!("no table") };
        let value = |name: &str| fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value.clone());
        assert_eq!((value("week_day"), value("mcs")), (Some(Value::Int(7)), Some(Value::Int(485_686))));
        assert_eq!(fields.len(), 9);
        assert_eq!((time_text(now), date_text(now)), ("11:57:56".into(), "22.11.2026".into()));
    }

    #[test]
    fn bars_begin_where_they_should() {
        let now = at("2026-11-19T11:57:56.485686");
        let cases = [
            (Interval::Minutes(5), "2026-11-19T11:55"),
            (Interval::Minutes(240), "2026-11-19T08:00"),
            (Interval::Day, "2026-11-19T00:00"),
            (Interval::Week, "2026-11-16T00:00"),
            (Interval::Month, "2026-11-01T00:00"),
        ];
        for (interval, start) in cases {
            assert_eq!(interval.start(now), at(start), "{interval:?}");
        }
    }

    #[test]
    fn the_past_has_nights_and_weekends() {
        let before = |interval: Interval, start: &str| interval.before(at(start));
        assert_eq!(before(Interval::Minutes(1), "2026-11-16T09:00"), at("2026-11-13T23:49"));
        assert_eq!(before(Interval::Minutes(60), "2026-11-17T09:00"), at("2026-11-16T23:00"));
        assert_eq!(before(Interval::Minutes(240), "2026-11-17T08:00"), at("2026-11-16T20:00"));
        assert_eq!(before(Interval::Minutes(5), "2026-11-21T12:00"), at("2026-11-20T23:45"));
        assert_eq!(before(Interval::Day, "2026-11-16T00:00"), at("2026-11-13T00:00"));
        assert_eq!(before(Interval::Month, "2026-03-01T00:00"), at("2026-02-01T00:00"));
    }
}
