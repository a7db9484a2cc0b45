//! How far venues' clocks are from ours, host by host. Nothing is asked until a host refuses a signed call for its time;
//! from then on its signatures are made by its own clock.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tracing::{debug, warn};

use crate::model::{Mono, Stamp, UnixNanos};

/// Hosts that are remembered; calls to further ones are signed by our own clock.
const HOSTS_MAX: usize = 256;
/// A measurement older than this is made anew before the next signed call; after one that failed, so much later.
const FRESH: Duration = Duration::from_secs(600);
const AGAIN: Duration = Duration::from_secs(60);
/// A clock that has moved by less is no news.
const WORTH_TELLING_MS: u64 = 500;

/// The clocks of all hosts.
#[derive(Debug, Default)]
pub(super) struct ServerTimes(Mutex<BTreeMap<String, Arc<ServerClock>>>);

/// A host's clock.
#[derive(Debug, Default)]
pub(super) struct ServerClock {
    measured: Mutex<Option<Measured>>,
    /// Held by whoever measures.
    pub(super) measuring: tokio::sync::Mutex<()>,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    /// Milliseconds that the host's clock is ahead of ours.
    offset_ms: i64,
    at: Mono,
    /// When it is measured anew.
    due: Mono,
}

impl ServerTimes {
    /// The clock of this host.
    pub(super) fn of(&self, host: &str) -> Arc<ServerClock> {
        let mut hosts = lock(&self.0);
        if hosts.len() >= HOSTS_MAX && !hosts.contains_key(host) {
            return Arc::default();
        }
        Arc::clone(hosts.entry(host.to_owned()).or_default())
    }

    /// Hosts whose clock was measured, with milliseconds that it is ahead of ours.
    pub(super) fn offsets(&self) -> Vec<(String, i64)> {
        let hosts = lock(&self.0);
        let measured = |(host, clock): (&String, &Arc<ServerClock>)| {
            lock(&clock.measured).map(|measured| (host.clone(), measured.offset_ms))
        };
        hosts.iter().filter_map(measured).collect()
    }
}

impl ServerClock {
    /// The host's time in milliseconds since 1970, as far as it is known.
    pub(super) fn now_ms(&self, now: UnixNanos) -> u64 {
        let offset_ms = lock(&self.measured).map_or(0, |measured| measured.offset_ms);
        now.as_ms().saturating_add_signed(offset_ms)
    }

    /// Whether it was measured, so long ago that it had better be again.
    pub(super) fn is_due(&self, now: Mono) -> bool {
        lock(&self.measured).is_some_and(|measured| measured.due <= now)
    }

    /// Whether it was measured after this moment.
    pub(super) fn is_newer(&self, than: Mono) -> bool {
        lock(&self.measured).is_some_and(|measured| measured.at > than)
    }

    /// The host said that it was `told` milliseconds since 1970 at some moment between these two: most likely half-way.
    pub(super) fn measured(&self, host: &str, told: u64, left: Stamp, back: Stamp) {
        let trip = back.mono.since(left.mono);
        let half_way = left.wall.as_ms().saturating_add(millis(trip) / 2);
        let offset_ms = i64::try_from(i128::from(told) - i128::from(half_way)).unwrap_or(0);
        let (at, due) = (back.mono, back.mono.after(FRESH));
        let before = lock(&self.measured).replace(Measured { offset_ms, at, due });
        let round_trip_ms = millis(trip);
        if before.is_some_and(|before| before.offset_ms.abs_diff(offset_ms) < WORTH_TELLING_MS) {
            debug!(host, offset_ms, round_trip_ms, "The host's clock is where it was");
        } else {
            warn!(host, offset_ms, round_trip_ms, "Signatures are made by the host's clock, not by ours");
        }
    }

    /// The host did not say; what was known of it stays.
    pub(super) fn not_measured(&self, now: Mono) {
        if let Some(measured) = lock(&self.measured).as_mut() {
            measured.due = now.after(AGAIN);
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// What is locked here is whole after every statement.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(ms: u64) -> Stamp {
        Stamp { mono: Mono(ms * 1_000_000), wall: UnixNanos::from_ms(1_000_000 + ms) }
    }

    #[test]
    fn the_round_trip_is_halved_and_the_offset_applied() {
        let clock = ServerClock::default();
        assert_eq!(clock.now_ms(UnixNanos::from_ms(5)), 5, "nothing is known");
        assert!(!clock.is_due(Mono(u64::MAX)), "nobody asks before it matters");
        // Left at 1,000,100, was back at 1,000,140: the host said 995,120 when it was 1,000,120 here.
        clock.measured("host", 995_120, stamp(100), stamp(140));
        assert_eq!(clock.now_ms(UnixNanos::from_ms(2_000_000)), 1_995_000);
        assert!(clock.is_newer(stamp(139).mono) && !clock.is_newer(stamp(140).mono));
        clock.measured("host", 1_003_000, stamp(100), stamp(100));
        assert_eq!(clock.now_ms(UnixNanos::from_ms(2_000_000)), 2_002_900);
        clock.measured("host", u64::MAX, stamp(0), stamp(0));
        assert_eq!(clock.now_ms(UnixNanos(u64::MAX)), u64::MAX / 1_000_000, "what no clock says is not believed");
    }

    #[test]
    fn it_is_measured_anew_by_and_by() {
        let clock = ServerClock::default();
        clock.not_measured(Mono(0));
        clock.measured("host", 5, stamp(0), stamp(0));
        let at = |seconds: u64| stamp(seconds * 1_000).mono;
        assert!(!clock.is_due(at(599)) && clock.is_due(at(600)));
        clock.not_measured(at(600));
        assert!(!clock.is_due(at(659)) && clock.is_due(at(660)));
    }

    #[test]
    fn hosts_have_clocks_of_their_own_and_only_so_many() {
        let times = ServerTimes::default();
        times.of("a").measured("a", 1_000_500, stamp(0), stamp(0));
        times.of("b");
        assert_eq!(times.offsets(), [("a".to_owned(), 500)]);
        (0..1_000).for_each(|n| drop(times.of(&n.to_string())));
        assert_eq!(lock(&times.0).len(), HOSTS_MAX);
        times.of("1000").measured("1000", 5, stamp(0), stamp(0));
        assert_eq!(times.offsets().len(), 1);
    }
}
