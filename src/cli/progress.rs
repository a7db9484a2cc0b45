//! A progress bar on stderr, for a person: nothing is drawn where stderr is no terminal.

use std::io::{IsTerminal as _, Write as _};
use std::time::Duration;

use crate::model::Mono;

/// Characters of the bar.
const WIDTH: u64 = 30;

/// How far something is.
#[derive(Debug)]
pub(super) struct Progress {
    /// What is counted.
    unit: &'static str,
    drawn: bool,
    is_terminal: bool,
    began: Mono,
    /// The most seen, and when it was first seen.
    best: (u64, Mono),
}

impl Progress {
    /// Begins now; draws nothing yet.
    pub(super) fn new(unit: &'static str, now: Mono) -> Self {
        Self { unit, drawn: false, is_terminal: std::io::stderr().is_terminal(), began: now, best: (0, now) }
    }

    /// Draws how far it is, and returns for how long it has not got on.
    pub(super) fn advance(&mut self, done: u64, of: u64, now: Mono) -> Duration {
        if done > self.best.0 {
            self.best = (done, now);
        }
        if self.is_terminal {
            self.drawn = true;
            // Nothing depends on the drawing.
            let _ = write!(std::io::stderr().lock(), "\r{}\x1b[K", line(done, of, self.unit, now.since(self.began)));
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

/// The bar as text, with the time that is left at the pace so far.
fn line(done: u64, of: u64, unit: &str, passed: Duration) -> String {
    if of == 0 {
        return format!("waiting for the first bar, {} s", passed.as_secs());
    }
    let done = done.min(of);
    let share = |whole: u64| u128::from(whole) * u128::from(done) / u128::from(of);
    let filled = share(WIDTH);
    let bar: String = (0..WIDTH).map(|at| if u128::from(at) < filled { '#' } else { '.' }).collect();
    let left = match passed.as_secs().checked_mul(of - done).and_then(|work| work.checked_div(done)) {
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
        assert_eq!(line(0, 0, "bars", seconds(3)), "waiting for the first bar, 3 s");
        assert_eq!(line(0, 30, "bars", seconds(3)), "[..............................] 0 of 30 bars, 0 %");
        assert_eq!(
            line(1200, 3000, "bars", seconds(6)),
            "[############..................] 1200 of 3000 bars, 40 %, 9 s left"
        );
        assert_eq!(line(31, 30, "bars", seconds(3)), "[##############################] 30 of 30 bars, 100 %, 0 s left");
        assert!(line(u64::MAX / 31, u64::MAX / 31, "bars", Duration::MAX).contains("100 %"));
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
