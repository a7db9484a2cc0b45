//! When which parameter is polled: each at its own period, evenly spread, on a clock that stands still while the
//! terminal does not keep up. So all periods stretch by the same factor, and what was lost can be counted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};
use std::time::Duration;

use crate::model::Mono;

/// Shortest period, whatever the config says: more is of no use and would crowd out the rest.
const PERIOD_MIN: Duration = Duration::from_millis(10);
/// Longest step of the clock at one look: what is beyond it (a suspended machine) is not made up for.
const STEP_MAX: Duration = Duration::from_secs(1);
/// Parts of a poll that losses are counted in, so that fractions add up.
const PARTS: u128 = 1_000_000_000_000;

/// The turns of all entries, by their place.
#[derive(Debug, Default)]
pub(super) struct Turns {
    /// On the turns' own clock, in nanoseconds, the earliest first; equal times in the order of places.
    due: BinaryHeap<Reverse<(u64, usize)>>,
    periods: Vec<u64>,
    /// The turns' own clock.
    at: u64,
    /// Real time that has passed and that the own clock has not yet gone through.
    ahead: u64,
    looked: Mono,
    stalled: bool,
    /// Polls wanted in a second, in parts.
    parts_a_second: u128,
    lost_parts: u128,
    window: Window,
}

/// How the own clock went against the real one since the last [`Turns::pace`].
#[derive(Clone, Copy, Debug, Default)]
struct Window {
    real: u64,
    stood_still: u64,
}

impl Turns {
    /// Starts now. Entries of the same period are spread evenly over it, in their order, the last one at its end.
    pub(super) fn new(periods: &[Duration], now: Mono) -> Self {
        let nanos = |period: &Duration| u64::try_from((*period).max(PERIOD_MIN).as_nanos()).unwrap_or(u64::MAX);
        let periods: Vec<u64> = periods.iter().map(nanos).collect();
        let mut sizes: BTreeMap<u64, u64> = BTreeMap::new();
        for period in &periods {
            *sizes.entry(*period).or_default() += 1;
        }
        let mut places: BTreeMap<u64, u64> = BTreeMap::new();
        let mut due = BinaryHeap::with_capacity(periods.len());
        let mut parts_a_second = 0;
        for (entry, period) in periods.iter().enumerate() {
            let place = places.entry(*period).or_default();
            let size = sizes.get(period).copied().unwrap_or(1);
            let offset = u128::from(*period) * u128::from(*place + 1) / u128::from(size);
            due.push(Reverse((u64::try_from(offset).unwrap_or(u64::MAX), entry)));
            *place += 1;
            parts_a_second += PARTS * 1_000_000_000 / u128::from(*period);
        }
        Self { due, periods, looked: now, parts_a_second, ..Self::default() }
    }

    /// Lets time pass without the own clock going on: nothing is due and nothing is lost.
    pub(super) fn hold(&mut self, now: Mono) {
        self.looked = now;
        self.stalled = false;
    }

    /// The next entry whose turn has come, if there is room for its call; call it until there is none. While there is
    /// no room the own clock stands still.
    pub(super) fn take(&mut self, now: Mono, room: bool) -> Option<usize> {
        self.look(now);
        let Some(&Reverse((due, entry))) = self.due.peek() else {
            self.stalled = false;
            self.ahead = 0;
            return None;
        };
        let target = self.at.saturating_add(self.ahead);
        if due > target {
            self.at = target;
            self.ahead = 0;
            self.stalled = false;
            return None;
        }
        self.at = self.at.max(due);
        self.ahead = target - self.at;
        self.stalled = !room;
        if !room {
            let ahead = std::mem::take(&mut self.ahead);
            self.lose(ahead);
            return None;
        }
        self.due.pop();
        self.due.push(Reverse((due.saturating_add(self.periods[entry]), entry)));
        Some(entry)
    }

    fn look(&mut self, now: Mono) {
        let passed = u64::try_from(now.since(self.looked).as_nanos()).unwrap_or(u64::MAX);
        self.looked = now;
        self.window.real = self.window.real.saturating_add(passed);
        if self.stalled {
            self.lose(passed);
        } else {
            let step = passed.min(STEP_MAX.as_nanos() as u64);
            self.ahead = self.ahead.saturating_add(step);
            self.lose(passed - step);
        }
    }

    fn lose(&mut self, nanos: u64) {
        self.window.stood_still = self.window.stood_still.saturating_add(nanos);
        self.lost_parts += u128::from(nanos) * self.parts_a_second / 1_000_000_000;
    }

    /// A turn was left out because the entry's last call is still on its way.
    pub(super) const fn left_out(&mut self) {
        self.lost_parts += PARTS;
    }

    /// Polls lost since the last time this was asked; fractions are kept for the next.
    pub(super) fn take_lost(&mut self) -> u64 {
        let whole = self.lost_parts / PARTS;
        self.lost_parts %= PARTS;
        u64::try_from(whole).unwrap_or(u64::MAX)
    }

    /// By how much the periods were stretched since the last time this was asked, in percent: 100 is as configured.
    pub(super) fn pace(&mut self) -> u64 {
        let Window { real, stood_still } = std::mem::take(&mut self.window);
        let went = real.saturating_sub(stood_still).max(1);
        u64::try_from(u128::from(real.max(1)) * 100 / u128::from(went)).unwrap_or(u64::MAX)
    }

    /// Polls wanted in a second, rounded up.
    pub(super) fn calls_a_second(&self) -> u64 {
        u64::try_from(self.parts_a_second.div_ceil(PARTS)).unwrap_or(u64::MAX)
    }

    /// When the next turn comes; `None` while that depends on an answer and not on time.
    pub(super) fn next(&self) -> Option<Mono> {
        let Reverse((due, _)) = *self.due.peek()?;
        let wait = due.saturating_sub(self.at).saturating_sub(self.ahead);
        (!self.stalled).then(|| self.looked.after(Duration::from_nanos(wait)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn millis(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// Steps through `seconds` in milliseconds with at most `calls` a millisecond; the turns of each entry.
    fn run(plan: &mut Turns, seconds: u64, mut budget: impl FnMut(u64) -> u64) -> Vec<Vec<u64>> {
        let mut turns = vec![Vec::new(); plan.periods.len()];
        for ms in 0..=seconds * 1000 {
            let mut left = budget(ms);
            while let Some(entry) = plan.take(Mono(ms * 1_000_000), left > 0) {
                left -= 1;
                turns[entry].push(ms);
            }
        }
        turns
    }

    #[test]
    fn nine_hundred_entries_make_a_smooth_stream() {
        let mut plan = Turns::new(&[millis(500); 900], Mono(0));
        assert_eq!(plan.calls_a_second(), 1800);
        let turns = run(&mut plan, 2, |_| u64::MAX);
        assert!(turns.iter().all(|turns| turns.len() == 4), "each four times in two seconds");
        let mut by_ms = vec![0; 2001];
        turns.iter().flatten().for_each(|ms| by_ms[*ms as usize] += 1);
        assert!(by_ms[1..].iter().all(|calls| (1..=2).contains(calls)), "1.8 calls a millisecond and never a burst");
        assert_eq!((plan.take_lost(), plan.pace()), (0, 100));
    }

    #[test]
    fn a_short_budget_stretches_all_periods_alike() {
        let mut periods = vec![millis(100); 10];
        periods.extend([millis(1000); 10]);
        let mut plan = Turns::new(&periods, Mono(0));
        assert_eq!(plan.calls_a_second(), 110);
        // One call each 20 ms: 50 a second.
        let turns = run(&mut plan, 60, |ms| u64::from(ms % 20 == 0));
        let all = turns.iter().map(Vec::len).sum::<usize>();
        assert!((2990..=3000).contains(&all), "nothing of the budget is left unused: {all}");
        for (entry, turns) in turns.iter().enumerate() {
            let fair = if entry < 10 { 3000 * 10 / 110 } else { 3000 / 110 };
            assert!(turns.len().abs_diff(fair) <= 2, "entry {entry}: {} turns, fair are {fair}", turns.len());
        }
        let lost = plan.take_lost();
        assert!(lost.abs_diff(110 * 60 - 3000) <= 2, "{lost}");
        assert!(plan.pace().abs_diff(220) <= 1);
    }

    #[test]
    fn the_own_clock_goes_on_when_there_is_room_again() {
        let mut plan = Turns::new(&[millis(100)], Mono(0));
        assert_eq!(plan.take(Mono(0), true), None);
        assert_eq!(plan.next(), Some(Mono(SECOND / 10)));
        assert_eq!(plan.take(Mono(SECOND / 10), false), None);
        assert_eq!(plan.next(), None, "an answer is waited for, not a time");
        assert_eq!(plan.take(Mono(SECOND), true), Some(0));
        assert_eq!(plan.take(Mono(SECOND), true), None);
        assert_eq!(plan.next(), Some(Mono(SECOND * 11 / 10)), "what was lost is not made up for");
        assert_eq!(plan.take_lost(), 9);
        plan.left_out();
        assert_eq!(plan.take_lost(), 1);
    }

    #[test]
    fn a_suspended_machine_is_no_burst() {
        let mut plan = Turns::new(&[millis(100)], Mono(0));
        let mut turns = 0;
        while plan.take(Mono(3600 * SECOND), true).is_some() {
            turns += 1;
        }
        assert_eq!(turns, 10);
        plan.hold(Mono(7200 * SECOND));
        assert_eq!(plan.take(Mono(7200 * SECOND), true), None);
    }

    #[test]
    fn nothing_to_poll_and_absurd_periods() {
        let mut empty = Turns::new(&[], Mono(0));
        assert_eq!((empty.take(Mono(SECOND), true), empty.next(), empty.calls_a_second()), (None, None, 0));
        let mut absurd = Turns::new(&[Duration::ZERO, Duration::MAX], Mono(0));
        for ms in 0..100 {
            while absurd.take(Mono(ms * 1_000_000), true).is_some() {}
        }
        assert_eq!(absurd.calls_a_second(), 101);
    }
}
