//! Keeps a failure that repeats itself from filling the log: the first is written, then one a minute with a count. Pure.

use std::time::Duration;

use crate::model::Mono;

const EVERY: Duration = Duration::from_secs(60);

/// The last failure of one feed.
#[derive(Debug, Default)]
pub(crate) struct Repeats {
    text: String,
    written_at: Mono,
    suppressed: u64,
}

impl Repeats {
    /// Whether to write this failure now, and if so how many like it were left out since the last line.
    pub(crate) fn admit(&mut self, text: &str, now: Mono) -> Option<u64> {
        let same = self.text == text;
        if same && now.since(self.written_at) < EVERY {
            self.suppressed += 1;
            return None;
        }
        if !same {
            self.text = text.to_owned();
        }
        self.written_at = now;
        Some(std::mem::take(&mut self.suppressed))
    }

    /// The trouble is over: the next failure is written whatever it is.
    pub(crate) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_first_then_one_a_minute() {
        let mut repeats = Repeats::default();
        let at = |s: u64| Mono((s + 100) * 1_000_000_000);
        assert_eq!(repeats.admit("dns", at(0)), Some(0));
        assert_eq!(repeats.admit("dns", at(1)), None);
        assert_eq!(repeats.admit("dns", at(59)), None);
        assert_eq!(repeats.admit("dns", at(60)), Some(2));
        assert_eq!(repeats.admit("tcp", at(61)), Some(0), "another failure is news");
        repeats.clear();
        assert_eq!(repeats.admit("tcp", at(62)), Some(0));
    }
}
