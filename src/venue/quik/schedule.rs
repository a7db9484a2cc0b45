//! When things are due: places with a time each, and a rate that all of them share.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::model::Mono;

/// The next time of each place that has one. The earliest comes first, so a rate is shared fairly.
#[derive(Clone, Debug, Default)]
pub(super) struct Schedule {
    order: BTreeSet<(Mono, usize)>,
    at: Vec<Option<Mono>>,
}

impl Schedule {
    /// Sets a place's time, instead of any it had.
    pub(super) fn set(&mut self, place: usize, at: Mono) {
        if self.at.len() <= place {
            self.at.resize(place + 1, None);
        }
        if let Some(before) = self.at[place].replace(at) {
            self.order.remove(&(before, place));
        }
        self.order.insert((at, place));
    }

    /// Forgets all times.
    pub(super) fn clear(&mut self) {
        self.order.clear();
        self.at.clear();
    }

    /// The first place whose time has come; it has none afterwards.
    pub(super) fn pop(&mut self, now: Mono) -> Option<usize> {
        let (_, place) = self.order.first().copied().filter(|(at, _)| *at <= now)?;
        self.order.pop_first();
        self.at[place] = None;
        Some(place)
    }

    /// The earliest time.
    pub(super) fn next(&self) -> Option<Mono> {
        self.order.first().map(|(at, _)| *at)
    }
}

/// A rate: so many a second, a tenth of them at once.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    each: Duration,
    ahead: Duration,
    free_at: Mono,
}

impl Pace {
    /// At most `per_second`, one at least.
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = per_second.max(1);
        let each = Duration::from_secs(1) / per_second;
        Self { each, ahead: each * (per_second / 10), free_at: Mono(0) }
    }

    /// When the next one may go.
    pub(super) fn next(&self) -> Mono {
        Mono(self.free_at.0.saturating_sub(u64::try_from(self.ahead.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// Takes one, if it may go.
    pub(super) fn take(&mut self, now: Mono) -> bool {
        if self.next() > now {
            return false;
        }
        self.free_at = self.free_at.max(now).after(self.each);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_earliest_comes_first_and_once() {
        let mut schedule = Schedule::default();
        schedule.set(4, Mono(30));
        schedule.set(1, Mono(20));
        schedule.set(4, Mono(10));
        assert_eq!((schedule.next(), schedule.pop(Mono(9))), (Some(Mono(10)), None));
        assert_eq!((schedule.pop(Mono(40)), schedule.pop(Mono(40)), schedule.pop(Mono(40))), (Some(4), Some(1), None));
        schedule.set(0, Mono(1));
        schedule.clear();
        assert_eq!((schedule.next(), schedule.pop(Mono(40))), (None, None));
    }

    #[test]
    fn a_rate_holds_over_any_second() {
        let mut pace = Pace::new(100);
        let mut taken = 0;
        for ms in 0..3_000 {
            taken += u32::from(pace.take(Mono(1_000_000_000 + ms * 1_000_000)));
        }
        assert!((300..=311).contains(&taken), "{taken}");
        let mut slow = Pace::new(0);
        let seconds = |seconds: u64| Mono(seconds * 1_000_000_000);
        assert!(slow.take(seconds(9)) && !slow.take(seconds(9)));
        assert_eq!(slow.next(), seconds(10));
    }
}
