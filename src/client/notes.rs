//! Lines on stderr for a person: limited in rate, and never a reason to fail.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use crate::model::Mono;

/// Lines allowed in each period.
const LINES: u32 = 20;
/// The period of the limit.
const PERIOD: Duration = Duration::from_secs(1);

/// Writes notes to stderr.
#[derive(Debug, Default)]
pub(super) struct Notes {
    quiet: bool,
    limit: Limit,
}

impl Notes {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, limit: Limit::default() }
    }

    /// Writes one line, unless quiet or too many were written just now.
    pub(super) fn say(&mut self, now: Mono, text: fmt::Arguments<'_>) {
        if self.quiet {
            return;
        }
        if let Some(skipped) = self.limit.allow(now) {
            if skipped > 0 {
                print(format_args!("({skipped} lines skipped)"));
            }
            print(text);
        }
    }
}

/// Writes one line whatever the limit: reports that are asked for and come at a fixed rate.
pub(super) fn print(text: fmt::Arguments<'_>) {
    // A closed stderr must not end the program.
    let _ = writeln!(std::io::stderr().lock(), "tickbus-sub: {text}");
}

/// Allows [`LINES`] in each [`PERIOD`] and counts the rest.
#[derive(Debug, Default)]
struct Limit {
    since: Mono,
    used: u32,
    skipped: u64,
}

impl Limit {
    /// Whether a line may be written, and how many were not since the last one.
    fn allow(&mut self, now: Mono) -> Option<u64> {
        if now.since(self.since) >= PERIOD {
            self.since = now;
            self.used = 0;
        }
        if self.used >= LINES {
            self.skipped += 1;
            return None;
        }
        self.used += 1;
        Some(std::mem::take(&mut self.skipped))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_cut_and_the_cut_is_told() {
        let mut limit = Limit::default();
        let start = Mono(5_000_000_000);
        let allowed = (0..100).filter(|_| limit.allow(start).is_some()).count();
        assert_eq!(allowed, LINES as usize);
        assert_eq!(limit.allow(start.after(PERIOD)), Some(80));
        assert_eq!(limit.allow(start.after(PERIOD)), Some(0));
    }
}
