//! What the whole process may ask of venues: a bucket of tokens, and the budget of new connections. REST calls have
//! accounts of their own, in [`super::budget`].

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tracing::info;

use crate::clock;
use crate::model::Mono;

/// Hosts whose last connection is remembered; beyond it, those whose pause is over are forgotten.
const MAX_HOSTS: usize = 256;

/// A token bucket: so many at once, so many a second in the long run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Tokens that come back each second.
    pub per_second: f64,
    /// Tokens there at the start, and at most.
    pub burst: f64,
}

impl Rate {
    /// So many in five minutes, a fifth of them at once.
    pub const fn per_five_minutes(count: u32) -> Self {
        let count = count as f64;
        Self { per_second: count / 300.0, burst: (count / 5.0).max(1.0) }
    }
}

/// A bucket that lends: a token taken ahead of time makes its taker, and those after it, wait their turn.
#[derive(Clone, Debug)]
pub struct Bucket {
    rate: Rate,
    tokens: f64,
    refilled_at: Mono,
    held_until: Mono,
}

impl Bucket {
    /// Starts full.
    pub const fn new(rate: Rate, now: Mono) -> Self {
        Self { rate, tokens: rate.burst, refilled_at: now, held_until: Mono(0) }
    }

    /// Takes a token and says how long to wait before using it; `None`, and nothing taken, if that is longer than
    /// `patience`.
    pub fn take(&mut self, now: Mono, patience: Duration) -> Option<Duration> {
        self.refill(now);
        let lent = (1.0 - self.tokens).max(0.0);
        let wait = self.turn(lent).max(self.held_until.since(now));
        if wait > patience {
            return None;
        }
        self.tokens -= 1.0;
        Some(wait)
    }

    /// How long until a token is there.
    pub fn wait(&mut self, now: Mono) -> Duration {
        self.refill(now);
        let lent = (1.0 - self.tokens).max(0.0);
        // A nanosecond more, so that rounding never makes the moment come before the token.
        let rounding = Duration::from_nanos(u64::from(lent > 0.0));
        self.turn(lent).saturating_add(rounding).max(self.held_until.since(now))
    }

    fn refill(&mut self, now: Mono) {
        let passed = now.since(self.refilled_at).as_secs_f64();
        self.refilled_at = self.refilled_at.max(now);
        self.tokens = (self.tokens + passed * self.rate.per_second).min(self.rate.burst);
    }

    /// How long it takes until so many tokens have come back.
    fn turn(&self, tokens: f64) -> Duration {
        Duration::try_from_secs_f64(tokens / self.rate.per_second).unwrap_or(Duration::MAX)
    }

    /// Gives nothing out before `until`: the host said so.
    pub fn hold(&mut self, until: Mono) {
        self.held_until = self.held_until.max(until);
    }
}

/// The process's budget of new connections, shared by all feeds.
#[derive(Debug)]
pub struct ConnectBudget {
    bucket: Mutex<Bucket>,
    /// When the next connection to a host may be made, for hosts that want a pause between two.
    hosts: Mutex<HashMap<String, Mono>>,
}

impl ConnectBudget {
    /// Starts full.
    pub fn new(rate: Rate) -> Self {
        Self { bucket: Mutex::new(Bucket::new(rate, clock::now().mono)), hosts: Mutex::default() }
    }

    /// Waits until `feed` may open one connection to `host`, which wants such a pause between two. Those who ask first go
    /// first.
    pub async fn acquire(&self, feed: &str, host: &str, pause: Duration) {
        let now = clock::now().mono;
        let wait = lock(&self.bucket).take(now, Duration::MAX).unwrap_or_default();
        let wait = wait.max(self.pause(host, pause, now.after(wait)).since(now));
        if !wait.is_zero() {
            info!(feed, wait_ms = millis(wait), "waiting for the connect budget");
            tokio::time::sleep_until(clock::instant_of(now.after(wait))).await;
        }
    }
}

impl ConnectBudget {
    /// The first moment from `from` on that keeps the host's pause, which is taken.
    fn pause(&self, host: &str, pause: Duration, from: Mono) -> Mono {
        if pause.is_zero() {
            return from;
        }
        let mut hosts = lock(&self.hosts);
        if hosts.len() >= MAX_HOSTS {
            hosts.retain(|_, next| *next > from);
        }
        let at = hosts.get(host).map_or(from, |next| from.max(*next));
        hosts.insert(host.to_owned(), at.after(pause));
        at
    }
}

/// A bucket is whole after every statement, so a panic elsewhere while it was locked does not spoil it.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whole milliseconds, for log fields.
pub(crate) fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Mono = Mono(5_000_000_000);
    const PATIENT: Duration = Duration::MAX;

    fn after(ms: u64) -> Mono {
        START.after(Duration::from_millis(ms))
    }

    #[test]
    fn gives_the_burst_at_once_and_then_in_turn() {
        let mut bucket = Bucket::new(Rate::per_five_minutes(100), START);
        for _ in 0..20 {
            assert_eq!(bucket.take(START, PATIENT), Some(Duration::ZERO));
        }
        for turn in 1..=5 {
            let wait = bucket.take(START, PATIENT).unwrap().as_secs_f64();
            assert!((wait - 3.0 * f64::from(turn)).abs() < 1e-6, "turn {turn}: {wait}");
        }
    }

    #[test]
    fn no_five_minutes_see_more_than_the_burst_and_the_rate() {
        let mut bucket = Bucket::new(Rate::per_five_minutes(100), START);
        let mut used: Vec<u64> = Vec::new();
        for ms in (0..900_000).step_by(100) {
            if bucket.take(after(ms), Duration::ZERO).is_some() {
                used.push(ms);
            }
        }
        for (first, &from) in used.iter().enumerate() {
            let within = used[first..].iter().take_while(|&&at| at < from + 300_000).count();
            assert!(within <= 121, "{within} from {from}");
        }
    }

    #[test]
    fn a_host_has_its_pause_between_two_connections() {
        let budget = ConnectBudget::new(Rate::per_five_minutes(100));
        let pause = Duration::from_millis(350);
        let at = |host, ms| budget.pause(host, pause, after(ms)).since(START).as_millis();
        assert_eq!([at("a", 0), at("a", 0), at("a", 10)], [0, 350, 700]);
        assert_eq!([at("b", 10), at("a", 5000), at("a", 5100)], [10, 5000, 5350]);
        assert_eq!(budget.pause("a", Duration::ZERO, START), START, "who wants none has none");
    }

    #[test]
    fn the_impatient_take_nothing() {
        let mut bucket = Bucket::new(Rate { per_second: 1.0, burst: 1.0 }, START);
        assert!(bucket.take(START, PATIENT).is_some());
        for _ in 0..10 {
            assert_eq!(bucket.take(START, Duration::from_millis(500)), None);
        }
        assert_eq!(bucket.take(after(1000), Duration::ZERO), Some(Duration::ZERO));
    }

    #[test]
    fn a_hold_outlasts_full_buckets_and_earlier_holds() {
        let mut bucket = Bucket::new(Rate { per_second: 20.0, burst: 40.0 }, START);
        bucket.hold(after(5000));
        bucket.hold(after(2000));
        assert_eq!(bucket.take(START, PATIENT), Some(Duration::from_secs(5)));
        assert_eq!(bucket.take(after(5000), PATIENT), Some(Duration::ZERO));
    }

    #[test]
    fn a_clock_that_stands_still_or_steps_back_gives_no_tokens() {
        let mut bucket = Bucket::new(Rate { per_second: 1.0, burst: 2.0 }, after(10_000));
        assert!(bucket.take(after(0), Duration::ZERO).is_some());
        assert!(bucket.take(after(0), Duration::ZERO).is_some());
        assert!(bucket.take(after(9_999), Duration::ZERO).is_none());
    }
}
