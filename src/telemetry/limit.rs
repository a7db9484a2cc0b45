//! Keeps a log line that could repeat at every message from flooding the log.

use std::time::Duration;

use crate::model::Mono;

/// How often a repeated line passes, unless told otherwise.
pub const INTERVAL: Duration = Duration::from_secs(10);

/// The state of one line at one place (and one symbol or venue, where the holder keeps one for each).
///
/// The first line passes; after that, at most one an interval, which carries how many were left out before it.
#[derive(Clone, Copy, Debug)]
pub struct Limiter {
    interval: Duration,
    last: Option<Mono>,
    suppressed: u64,
}

impl Limiter {
    /// Lets one line pass every `interval`.
    pub const fn every(interval: Duration) -> Self {
        Self { interval, last: None, suppressed: 0 }
    }

    /// Whether to write the line now: `Some` with the number of lines left out since the last one written.
    pub fn pass(&mut self, now: Mono) -> Option<u64> {
        if self.last.is_some_and(|last| now.since(last) < self.interval) {
            self.suppressed = self.suppressed.saturating_add(1);
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.suppressed))
    }
}

impl Default for Limiter {
    fn default() -> Self {
        Self::every(INTERVAL)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn second(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    #[test]
    fn the_first_passes_and_then_one_an_interval_with_the_count() {
        let mut limiter = Limiter::default();
        assert_eq!(limiter.pass(second(100)), Some(0));
        for _ in 0..1_000 {
            assert_eq!(limiter.pass(second(109)), None);
        }
        assert_eq!(limiter.pass(second(110)), Some(1_000));
        assert_eq!(limiter.pass(second(110)), None);
        assert_eq!(limiter.pass(second(500)), Some(1));
        assert_eq!(limiter.pass(second(510)), Some(0));
    }
}
