//! How far something is, on stderr: as a bar on a terminal, elsewhere as a line every few seconds.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use crate::model::Mono;

/// Characters of the bar.
const WIDTH: u64 = 30;
/// How often a line is written where stderr is no terminal.
const LINES: Duration = Duration::from_secs(10);
/// How long it takes until its pace says something.
const PACE: Duration = Duration::from_secs(1);

/// How far something is.
#[derive(Debug)]
pub(super) struct Progress {
    /// What is counted.
    unit: &'static str,
    drawn: bool,
    is_terminal: bool,
    began: Mono,
    /// How far it was at first.
    first: Option<u64>,
    /// When the last line was written.
    told: Mono,
    /// The most seen, and when it was first seen.
    best: (u64, Mono),
}

impl Progress {
    /// Begins now; draws nothing yet.
    pub(super) fn new(unit: &'static str, now: Mono) -> Self {
        let is_terminal = std::io::stderr().is_terminal();
        Self { unit, drawn: false, is_terminal, began: now, first: None, told: now, best: (0, now) }
    }

    /// Draws how far it is, and returns for how long it has not got on.
    pub(super) fn advance(&mut self, done: u64, of: u64, now: Mono) -> Duration {
        if done > self.best.0 {
            self.best = (done, now);
        }
        let first = *self.first.get_or_insert(done);
        let line = || line((first, done, of), self.unit, now.since(self.began));
        // Nothing depends on the drawing.
        if self.is_terminal {
            self.drawn = true;
            let _ = write!(std::io::stderr().lock(), "\r{}\x1b[K", line());
        } else if now.since(self.told) >= LINES {
            self.told = now;
            let _ = writeln!(std::io::stderr().lock(), "{}", line());
        }
        now.since(self.best.1)
    }

    /// Takes the bar away.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(std::io::stderr().lock(), "\r\x1b[K");
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.clear();
    }
}

/// The bar as text, with the time that is left at the pace since the first of it.
fn line((first, done, of): (u64, u64, u64), unit: &str, passed: Duration) -> String {
    if of == 0 {
        return format!("waiting for the first bar, {} s", passed.as_secs());
    }
    let done = done.min(of);
    let share = |whole: u64| u128::from(whole) * u128::from(done) / u128::from(of);
    let filled = share(WIDTH);
    let bar: String = (0..WIDTH).map(|at| if u128::from(at) < filled { '#' } else { '.' }).collect();
    let got_on = u128::from(done.saturating_sub(first));
    let left = (passed.as_millis() * u128::from(of - done)).checked_div(got_on).map(|ms| ms.div_ceil(1_000));
    let left = match left.filter(|_| passed >= PACE) {
        Some(left) => format!(", {left} s left"),
        None => String::new(),
    };
    format!("[{bar}] {done} of {of} {unit}, {} %{left}", share(100))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_tells_how_far_and_how_long() {
        let seconds = Duration::from_secs;
        assert_eq!(line((0, 0, 0), "bars", seconds(3)), "waiting for the first bar, 3 s");
        assert_eq!(line((0, 0, 30), "bars", seconds(3)), "[..............................] 0 of 30 bars, 0 %");
        assert_eq!(
            line((0, 1200, 3000), "bars", seconds(6)),
            "[############..................] 1200 of 3000 bars, 40 %, 9 s left"
        );
        assert_eq!(
            line((0, 31, 30), "bars", seconds(3)),
            "[##############################] 30 of 30 bars, 100 %, 0 s left"
        );
        assert!(line((0, 30, 1000), "bars", seconds(1)).ends_with(", 33 s left"), "30 a second");
        assert!(line((0, 30, 1000), "bars", Duration::from_millis(900)).ends_with("3 %"), "too early to tell");
        assert!(line((500, 750, 1000), "bars", seconds(9)).ends_with("75 %, 9 s left"), "it went on from half");
        assert!(line((500, 500, 1000), "bars", seconds(9)).ends_with("50 %"));
        assert!(line((0, 999, 1000), "bars", seconds(2)).ends_with(", 1 s left"));
        assert!(line((0, u64::MAX / 31, u64::MAX / 31), "bars", Duration::MAX).contains("100 %"));
    }

    #[test]
    fn what_stands_still_is_noticed() {
        let at = |seconds: u64| Mono(seconds * 1_000_000_000);
        let mut progress = Progress { is_terminal: false, ..Progress::new("bars", at(0)) };
        assert_eq!(progress.advance(0, 100, at(5)), Duration::from_secs(5));
        assert_eq!(progress.advance(10, 100, at(6)), Duration::ZERO);
        assert_eq!(progress.advance(10, 100, at(9)), Duration::from_secs(3));
    }
}
