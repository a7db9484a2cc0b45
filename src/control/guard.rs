//! Who may command, and how often: the token of the control socket and the rates of its connections.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use subtle::ConstantTimeEq as _;

use crate::io::limits::{Bucket, Rate};
use crate::model::Mono;
use crate::secret::Secret;

/// How long whoever has no good token waits for the refusal.
pub(super) const DENIAL_DELAY: Duration = Duration::from_millis(500);
/// All connections together may make so many times as many requests as one.
const ALL: f64 = 100.0;

/// The guard of a control socket.
pub struct Guard {
    token: Option<Secret>,
    rate: Rate,
    buckets: Mutex<(Bucket, HashMap<u64, Bucket>)>,
    denied: AtomicU64,
    limited: AtomicU64,
}

impl Guard {
    /// Demands this token, if there is one, and lets so many requests a second of each connection pass.
    pub fn new(token: Option<Secret>, per_second: u32, now: Mono) -> Self {
        let per_second = f64::from(per_second);
        let rate = Rate { per_second, burst: 2.0 * per_second };
        let all = Rate { per_second: ALL * rate.per_second, burst: ALL * rate.burst };
        Self {
            token,
            rate,
            buckets: Mutex::new((Bucket::new(all, now), HashMap::new())),
            denied: AtomicU64::new(0),
            limited: AtomicU64::new(0),
        }
    }

    /// How long a request of this connection has to wait for its turn; `None` if that is longer than `patience`.
    pub(super) fn admits_within(&self, connection: u64, patience: Duration, now: Mono) -> Option<Duration> {
        let mut buckets = self.buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let (all, each) = &mut *buckets;
        let own = each.entry(connection).or_insert_with(|| Bucket::new(self.rate, now)).take(now, patience)?;
        Some(own.max(all.take(now, patience)?))
    }

    /// Counts a request that was refused because there were too many.
    pub(super) fn refuse(&self) {
        self.limited.fetch_add(1, Ordering::Relaxed);
    }

    /// A connection is gone.
    pub(super) fn left(&self, connection: u64) {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner).1.remove(&connection);
    }

    /// Whether this token is good. How long it takes tells at most the length of the right one.
    pub(super) fn accepts(&self, given: Option<&str>) -> bool {
        let Some(token) = &self.token else { return true };
        let good: bool = token.reveal().as_bytes().ct_eq(given.unwrap_or_default().as_bytes()).into();
        if !good {
            self.denied.fetch_add(1, Ordering::Relaxed);
        }
        good
    }

    /// Requests refused since the start: for want of a good token, and because there were too many.
    pub fn refused(&self) -> (u64, u64) {
        (self.denied.load(Ordering::Relaxed), self.limited.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_connection_has_its_rate_and_all_together_have_theirs() {
        let guard = Guard::new(None, 2, Mono(0));
        let admitted = |connection, now| {
            (0..1_000).filter(|_| guard.admits_within(connection, Duration::ZERO, Mono(now)).is_some()).count()
        };
        assert_eq!(admitted(1, 0), 4, "twice the rate at once");
        assert_eq!(admitted(1, 1_000_000_000), 2);
        assert_eq!(admitted(2, 1_000_000_000), 4, "another's rate is its own");
        let rest: usize = (3..1_000).map(|connection| admitted(connection, 1_000_000_000)).sum();
        assert!(rest <= 400, "{rest} beyond what all may ask");
        let before = guard.buckets.lock().unwrap().1.len();
        guard.left(7);
        assert_eq!(guard.buckets.lock().unwrap().1.len(), before - 1);
        guard.refuse();
        assert_eq!(guard.refused().1, 1);
        let guard = Guard::new(None, 2, Mono(0));
        let turns: Vec<_> = (0..8).map(|_| guard.admits_within(1, Duration::from_secs(1), Mono(0))).collect();
        let waits = [0, 0, 0, 0, 500, 1_000].map(|ms| Some(Duration::from_millis(ms)));
        assert_eq!(turns, [&waits[..], &[None, None]].concat(), "whoever waits is let in at the rate");
    }

    #[test]
    fn only_the_right_token_is_accepted() {
        let guard = Guard::new(Some(Secret::new("open sesame".to_owned())), 200, Mono(0));
        assert!(guard.accepts(Some("open sesame")));
        for wrong in [None, Some(""), Some("open"), Some("open sesamE"), Some("open sesame ")] {
            assert!(!guard.accepts(wrong), "{wrong:?}");
        }
        assert_eq!(guard.refused(), (5, 0));
        assert!(Guard::new(None, 200, Mono(0)).accepts(None));
    }
}
