//! Lines on stderr for a person: limited in rate, and never a reason to fail.

use std::fmt;
use std::io::Write as _;
use std::time::Duration;

use crate::log_limit::LogLimit;
use crate::model::Mono;

/// Lines allowed in each period.
const LINES: u32 = 20;
/// The period of the limit.
const PERIOD: Duration = Duration::from_secs(1);

/// Writes notes to stderr.
#[derive(Debug)]
pub(super) struct Notes {
    quiet: bool,
    limit: LogLimit,
}

impl Notes {
    pub(super) fn new(quiet: bool) -> Self {
        Self { quiet, limit: LogLimit::new(LINES, PERIOD) }
    }

    /// Writes one line, unless quiet or too many were written just now.
    pub(super) fn say(&mut self, now: Mono, text: fmt::Arguments<'_>) {
        if self.quiet {
            return;
        }
        if let Some(skipped) = self.limit.pass(now) {
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
