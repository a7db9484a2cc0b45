//! How often one address may do something within a time. Pure.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::time::Duration;

use crate::model::Mono;

/// Things counted at most; those that lie longest back are forgotten when there are more.
const MOST_KEYS: usize = 10_000;

/// So many in any such time.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limit {
    pub(super) count: usize,
    pub(super) within: Duration,
}

impl Limit {
    pub(super) const fn new(count: usize, seconds: u64) -> Self {
        Self { count, within: Duration::from_secs(seconds) }
    }
}

/// What was done lately, by address and what it was.
#[derive(Clone, Debug, Default)]
pub(super) struct Counts(BTreeMap<(IpAddr, String), VecDeque<Mono>>);

impl Counts {
    /// Whether an address may do this once more; if so, it counts.
    pub(super) fn admit(&mut self, peer: IpAddr, what: &str, limit: Limit, now: Mono) -> bool {
        if self.0.len() >= MOST_KEYS {
            self.forget();
        }
        let times = self.0.entry((peer, what.to_owned())).or_default();
        while times.front().is_some_and(|first| now.since(*first) >= limit.within) {
            times.pop_front();
        }
        let admitted = times.len() < limit.count;
        if admitted {
            times.push_back(now);
        }
        admitted
    }

    /// Forgets half of what is counted: what was done longest ago.
    fn forget(&mut self) {
        let mut lasts: Vec<Mono> = self.0.values().filter_map(|times| times.back().copied()).collect();
        lasts.sort_unstable();
        let Some(middle) = lasts.get(lasts.len() / 2).copied() else { return };
        self.0.retain(|_, times| times.back().is_some_and(|last| *last > middle));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn a_window_slides() {
        let mut counts = Counts::default();
        let mut admit = |what, ms: u64| counts.admit(HOME, what, Limit::new(3, 1), Mono(ms * 1_000_000));
        assert_eq!([0, 10, 20, 30, 999].map(|ms| admit("a", ms)), [true, true, true, false, false]);
        assert!(admit("b", 999), "another thing");
        assert_eq!([1_000, 1_001, 1_010, 1_020].map(|ms| admit("a", ms)), [true, false, true, true]);
    }

    #[test]
    fn memory_is_bounded() {
        let mut counts = Counts::default();
        for n in 0..3 * MOST_KEYS as u64 {
            assert!(counts.admit(HOME, &n.to_string(), Limit::new(1, 1), Mono(n)));
            assert!(counts.0.len() <= MOST_KEYS);
        }
    }
}
