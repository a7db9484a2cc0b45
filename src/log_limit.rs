//! Keeps log lines that may come with every message from flooding the log. Pure.

use std::time::Duration;

use crate::model::Mono;

/// So many lines a period; what is over is counted and told with the next line.
#[derive(Clone, Copy, Debug)]
pub struct LogLimit {
    lines: u32,
    period: Duration,
    /// When the period began, with its first line.
    since: Option<Mono>,
    written: u32,
    suppressed: u64,
}

impl LogLimit {
    /// Lets `lines` lines pass in each `period`.
    pub const fn new(lines: u32, period: Duration) -> Self {
        Self { lines, period, since: None, written: 0, suppressed: 0 }
    }

    /// Whether to write a line now: `Some` with the number of lines left out since the last one written.
    pub fn pass(&mut self, now: Mono) -> Option<u64> {
        if self.since.is_none_or(|since| now.since(since) >= self.period) {
            self.since = Some(now);
            self.written = 0;
        }
        if self.written >= self.lines {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.written += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn second(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    #[test]
    fn one_passes_a_period_with_the_count() {
        let mut limit = LogLimit::new(1, Duration::from_secs(10));
        assert_eq!(limit.pass(second(0)), Some(0), "the first, whatever the time");
        for _ in 0..1_000 {
            assert_eq!(limit.pass(second(9)), None);
        }
        assert_eq!(limit.pass(second(10)), Some(1_000));
        assert_eq!(limit.pass(second(10)), None);
        assert_eq!(limit.pass(second(500)), Some(1));
        assert_eq!(limit.pass(second(510)), Some(0));
    }

    #[test]
    fn a_flood_is_cut_and_the_cut_is_told() {
        let mut limit = LogLimit::new(20, Duration::from_secs(1));
        assert_eq!((0..100).filter(|_| limit.pass(second(5)).is_some()).count(), 20);
        assert_eq!(limit.pass(second(6)), Some(80));
        assert_eq!(limit.pass(second(6)), Some(0));
    }
}
