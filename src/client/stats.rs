//! Rates and latencies of what was received, each second and over the whole run. Pure.

use std::fmt::Write as _;

use hdrhistogram::Histogram;

use super::tracker::{Counts, Observation, Tracker};
use super::view::View;
use crate::model::{Mono, Stamp, UnixNanos};

/// Longest latency told apart, one hour in nanoseconds; longer ones count as this.
const LONGEST: u64 = 3_600_000_000_000;

/// Measures frames. Latencies are wall-clock differences in nanoseconds: they are only as good as the two hosts'
/// clocks agree. A negative one counts as 0, and as negative.
#[derive(Debug)]
pub struct Stats {
    /// When the gateway was last reached.
    joined: UnixNanos,
    total: Window,
    recent: Window,
}

#[derive(Debug)]
struct Window {
    since: Mono,
    frames: u64,
    bytes: u64,
    negative: u64,
    from_pub: Histogram<u64>,
    from_recv: Histogram<u64>,
}

impl Stats {
    /// Starts measuring.
    pub fn new(now: Mono) -> Self {
        Self { joined: UnixNanos::default(), total: Window::new(now), recent: Window::new(now) }
    }

    /// Says that the gateway was reached.
    pub const fn connected(&mut self, now: UnixNanos) {
        self.joined = now;
    }

    /// Takes one frame of `bytes` (topic and payload) that was read at `now`. One that does not follow on its topic's
    /// last and was published before the gateway was reached was kept for joiners: its age is no latency.
    pub fn frame(&mut self, view: &View<'_>, seen: Observation, bytes: usize, now: UnixNanos) {
        let kept = seen != Observation::InOrder && view.ts_pub.is_some_and(|published| published < self.joined.0);
        for window in [&mut self.total, &mut self.recent] {
            window.frames += 1;
            window.bytes += bytes as u64;
            if kept {
                continue;
            }
            window.negative += record(&mut window.from_pub, view.ts_pub, now);
            window.negative += record(&mut window.from_recv, view.ts_recv, now);
        }
    }

    /// One line about the time since the last such line, which then begins anew.
    pub fn recent_line(&mut self, tracker: &Tracker, now: Stamp) -> String {
        let line = self.recent.line(tracker, now.mono);
        self.recent.restart(now.mono);
        line
    }

    /// One line about the whole run.
    pub fn total_line(&self, tracker: &Tracker, now: Stamp) -> String {
        format!("total {} frames, {}", self.total.frames, self.total.line(tracker, now.mono))
    }
}

/// Returns 1 if the latency was negative.
fn record(histogram: &mut Histogram<u64>, from: Option<u64>, now: UnixNanos) -> u64 {
    let Some(from) = from else { return 0 };
    histogram.saturating_record(now.0.saturating_sub(from));
    u64::from(from > now.0)
}

impl Window {
    fn new(since: Mono) -> Self {
        Self { since, frames: 0, bytes: 0, negative: 0, from_pub: histogram(), from_recv: histogram() }
    }

    fn restart(&mut self, now: Mono) {
        self.since = now;
        (self.frames, self.bytes, self.negative) = (0, 0, 0);
        self.from_pub.reset();
        self.from_recv.reset();
    }

    #[allow(clippy::cast_precision_loss, reason = "rates for reading, three digits matter")]
    fn line(&self, tracker: &Tracker, now: Mono) -> String {
        let seconds = now.since(self.since).as_secs_f64().max(1e-9);
        let Counts { gaps, missing, silent, repeated, backwards, restarts, .. } = tracker.counts();
        let mut line = format!(
            "{:.0} frames/s, {:.2} MB/s, {} topics, {gaps} gaps ({missing} missing)",
            self.frames as f64 / seconds,
            self.bytes as f64 / seconds / 1e6,
            tracker.topics(),
        );
        let words = ["silent", "repeated", "backwards", "restarts", "negative"];
        for (count, word) in [silent, repeated, backwards, restarts, self.negative].into_iter().zip(words) {
            if count > 0 {
                let _ = write!(line, ", {count} {word}");
            }
        }
        let Counts { notices, dropped, conflated, .. } = tracker.counts();
        if notices > 0 {
            let _ = write!(line, ", {notices} notices ({dropped} dropped, {conflated} conflated)");
        }
        write_percentiles(&mut line, "since ts_pub", &self.from_pub);
        write_percentiles(&mut line, "since ts_recv", &self.from_recv);
        line
    }
}

fn histogram() -> Histogram<u64> {
    // The bounds and three digits are constants that the crate accepts (low >= 1, high >= 2 * low, digits <= 5).
    #[allow(clippy::expect_used)]
    Histogram::new_with_bounds(1, LONGEST, 3).expect("constant bounds are valid")
}

fn write_percentiles(line: &mut String, name: &str, histogram: &Histogram<u64>) {
    if histogram.is_empty() {
        return;
    }
    let at = |quantile| duration(histogram.value_at_quantile(quantile));
    let max = duration(histogram.max());
    let _ = write!(line, "; {name} p50 {} p90 {} p99 {} max {max}", at(0.5), at(0.9), at(0.99));
}

/// Nanoseconds with three digits and a unit.
#[allow(clippy::cast_precision_loss, reason = "three digits are shown")]
fn duration(nanos: u64) -> String {
    let (value, unit) = match nanos {
        0..1_000 => return format!("{nanos} ns"),
        1_000..1_000_000 => (nanos as f64 / 1e3, "us"),
        1_000_000..1_000_000_000 => (nanos as f64 / 1e6, "ms"),
        _ => (nanos as f64 / 1e9, "s"),
    };
    let digits = if value < 10.0 { 2 } else { usize::from(value < 100.0) };
    format!("{value:.digits$} {unit}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Heartbeat, Notice};

    fn at(seconds: u64) -> Stamp {
        Stamp { mono: Mono(seconds * 1_000_000_000), wall: UnixNanos(1_000_000_000) }
    }

    #[test]
    fn a_line_has_rates_and_percentiles() {
        let mut stats = Stats::new(at(10).mono);
        for micros in 1..=100 {
            let view = View { ts_pub: Some(1_000_000_000 - micros * 1_000), ..View::default() };
            stats.frame(&view, Observation::InOrder, 1_000, UnixNanos(1_000_000_000));
        }
        let line = stats.recent_line(&Tracker::default(), at(12));
        let expected = "50 frames/s, 0.05 MB/s, 0 topics, 0 gaps (0 missing); \
            since ts_pub p50 50.0 us p90 90.0 us p99 99.0 us max 100 us";
        assert_eq!(line, expected);
        assert!(stats.recent_line(&Tracker::default(), at(13)).starts_with("0 frames/s"));
        assert!(stats.total_line(&Tracker::default(), at(14)).starts_with("total 100 frames, 25 frames/s"));
    }

    #[test]
    fn a_line_has_silent_losses_and_notices() {
        let mut tracker = Tracker::default();
        tracker.observe("a.", Some(1), Some(1));
        tracker.heartbeat(&Heartbeat::read(r#"{"epoch":1,"topics":{"a.":4}}"#).unwrap());
        tracker.notice(&Notice { dropped: 3, conflated: 1, ..Notice::default() });
        let line = Stats::new(at(0).mono).recent_line(&tracker, at(1));
        assert!(line.ends_with("1 gaps (3 missing), 1 silent, 1 notices (3 dropped, 1 conflated)"), "{line}");
    }

    #[test]
    fn frames_kept_for_joiners_have_no_latency() {
        let mut stats = Stats::new(at(0).mono);
        stats.connected(UnixNanos(1_000_000_000));
        for published in [999_999_999, 1_000_000_000] {
            let view = View { ts_pub: Some(published), ts_recv: Some(published), ..View::default() };
            stats.frame(&view, Observation::First, 1, UnixNanos(1_000_001_000));
        }
        let line = stats.total_line(&Tracker::default(), at(1));
        assert!(line.starts_with("total 2 frames") && line.ends_with("max 1.00 us"), "{line}");
    }

    #[test]
    fn a_clock_ahead_of_ours_counts_as_zero_and_negative() {
        let mut stats = Stats::new(at(0).mono);
        let view = View { ts_recv: Some(2_000_000_000), ..View::default() };
        stats.frame(&view, Observation::InOrder, 1, UnixNanos(1_000_000_000));
        let line = stats.recent_line(&Tracker::default(), at(1));
        assert!(line.contains(", 1 negative; since ts_recv p50 0 ns"), "{line}");
    }

    #[test]
    fn durations_have_a_fitting_unit() {
        let shown = [999, 1_500, 42_000, 999_000, 12_345_678, 3_600_000_000_000].map(duration);
        assert_eq!(shown, ["999 ns", "1.50 us", "42.0 us", "999 us", "12.3 ms", "3600 s"]);
    }
}
