//! How long to wait before dialing again: exponential with jitter, never given up, never hammering. Pure.

use std::time::Duration;

use crate::model::Mono;

/// The longest `Retry-After` obeyed: the longest ban any venue documents.
pub(super) const LONGEST_BAN: Duration = Duration::from_secs(3 * 24 * 3600);

/// How a connection or an attempt at one ended, as far as it matters for the delay.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Anything that may be over in a moment.
    Passing,
    /// The venue closed with code 1008: we broke a rule of its own, so hurrying will not help.
    Policy,
    /// HTTP 403: blocked, often by region or address.
    Refused,
    /// HTTP 418 or 429, or another status with `Retry-After`: told to slow down, perhaps for how long.
    Limited(Option<Duration>),
}

/// The delays of one feed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffLimits {
    /// Longest delay after the first failure; each further one doubles it.
    pub first: Duration,
    /// Longest delay of all, for passing failures.
    pub longest: Duration,
    /// How long a connection must have given good data before its failures are forgotten.
    pub stable_after: Duration,
    /// Shortest delay after [`Failure::Policy`].
    pub policy: Duration,
    /// Shortest delay after [`Failure::Refused`] and after [`Failure::Limited`] without a time.
    pub refused: Duration,
}

impl Default for BackoffLimits {
    fn default() -> Self {
        Self {
            first: Duration::from_millis(250),
            longest: Duration::from_secs(30),
            stable_after: Duration::from_secs(60),
            policy: Duration::from_secs(30),
            refused: Duration::from_secs(60),
        }
    }
}

/// The failures of one feed since its connection was last stable.
#[derive(Clone, Debug)]
pub struct Backoff {
    limits: BackoffLimits,
    failures: u32,
    connected_at: Option<Mono>,
}

impl Backoff {
    /// Starts without a failure.
    pub const fn new(limits: BackoffLimits) -> Self {
        Self { limits, failures: 0, connected_at: None }
    }

    /// A connection was opened. That alone forgets nothing: a server that accepts and closes at once is failing too.
    pub const fn connected(&mut self, now: Mono) {
        self.connected_at = Some(now);
    }

    /// The connection gave something worth publishing.
    pub fn good_data(&mut self, now: Mono) {
        if self.connected_at.is_some_and(|at| now.since(at) >= self.limits.stable_after) {
            self.failures = 0;
        }
    }

    /// The connection, or the attempt, failed: how long to wait. `random` is in 0..1.
    ///
    /// A quarter of the delay is fixed, so that bad luck never makes a burst of connects: from the eighth failure on
    /// they are at least 7.5 s apart.
    pub fn failed(&mut self, failure: Failure, random: f64) -> Duration {
        self.connected_at = None;
        // 2^20 times the first delay is far beyond any `longest`; it keeps the shift in range.
        let ceiling = self.limits.first.saturating_mul(1 << self.failures.min(20)).min(self.limits.longest);
        self.failures = self.failures.saturating_add(1);
        let jitter = 0.25 + 0.75 * random.clamp(0.0, 1.0);
        let passing = ceiling.mul_f64(jitter);
        match failure {
            Failure::Passing => passing,
            Failure::Policy => passing + self.limits.policy,
            Failure::Refused | Failure::Limited(None) => passing + self.limits.refused,
            Failure::Limited(Some(asked)) => passing + asked.min(LONGEST_BAN),
        }
    }

    /// Failures since the connection was last stable.
    pub const fn failures(&self) -> u32 {
        self.failures
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    #[test]
    fn doubles_up_to_the_longest_and_stays_there() {
        let mut backoff = Backoff::new(BackoffLimits::default());
        let delays: Vec<_> = (0..40).map(|_| backoff.failed(Failure::Passing, 1.0).as_millis()).collect();
        assert_eq!(delays[..9], [250, 500, 1000, 2000, 4000, 8000, 16000, 30000, 30000]);
        assert_eq!(delays[39], 30000);
        assert_eq!(backoff.failures(), 40);
    }

    #[test]
    fn worst_luck_still_makes_at_most_ten_connects_in_thirty_seconds() {
        let mut backoff = Backoff::new(BackoffLimits::default());
        let waited: Duration = (0..10).map(|_| backoff.failed(Failure::Passing, 0.0)).sum();
        assert!(waited >= Duration::from_secs(30), "{waited:?}");
    }

    #[test]
    fn jitter_spreads_and_odd_randomness_is_clamped() {
        let limits = BackoffLimits::default();
        let delay = |random| Backoff::new(limits).failed(Failure::Passing, random);
        assert_ne!(delay(0.2), delay(0.8));
        for odd in [-1.0, f64::NEG_INFINITY] {
            assert_eq!(delay(odd), delay(0.0));
        }
        for odd in [7.0, f64::INFINITY] {
            assert_eq!(delay(odd), delay(1.0));
        }
    }

    #[test]
    fn forgets_only_after_a_minute_of_good_data() {
        let mut backoff = Backoff::new(BackoffLimits::default());
        for _ in 0..5 {
            backoff.failed(Failure::Passing, 1.0);
        }
        backoff.connected(at(100));
        backoff.good_data(at(159));
        assert_eq!(backoff.failures(), 5, "59 s is not yet stable");
        assert_eq!(backoff.failed(Failure::Passing, 1.0), Duration::from_secs(8));
        backoff.good_data(at(900));
        assert_eq!(backoff.failures(), 6, "data after the end belongs to no connection");
        backoff.connected(at(1000));
        backoff.good_data(at(1060));
        assert_eq!(backoff.failed(Failure::Passing, 1.0), Duration::from_millis(250));
    }

    #[test]
    fn obeys_the_venue() {
        let limits = BackoffLimits::default();
        let delay = |failure| Backoff::new(limits).failed(failure, 0.0);
        assert!(delay(Failure::Refused) >= Duration::from_secs(60));
        assert!(delay(Failure::Limited(None)) >= Duration::from_secs(60));
        assert!(delay(Failure::Limited(Some(Duration::from_secs(600)))) >= Duration::from_secs(600));
        assert!(delay(Failure::Limited(Some(Duration::MAX))) < LONGEST_BAN + Duration::from_secs(1));
        assert!(delay(Failure::Policy) >= Duration::from_secs(30));
    }
}
