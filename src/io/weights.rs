//! What may be asked of a venue's REST hosts and when, in weights. Pure: time is an argument.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::Mono;

/// What a venue's limits are counted over.
const WINDOW: Duration = Duration::from_secs(60);
/// How long nothing is asked after a refusal, at least; twice as long after each further one, up to `2^DOUBLINGS` as long.
const FLOOR: Duration = Duration::from_secs(1);
const DOUBLINGS: u32 = 6;

/// A budget of weight: never more than so much in any minute, so much of it at once, and nothing while it is held.
#[derive(Clone, Debug)]
pub struct Weights {
    per_minute: u64,
    burst: u64,
    /// What left in the last minute, and what others are known to have used then.
    spent: VecDeque<(Mono, u64)>,
    sum: u64,
    /// What may leave at once; what comes back in a minute is the whole budget.
    tokens: f64,
    refilled_at: Mono,
    held_until: Mono,
    /// The same, where the venue did not say for how long.
    guessed_until: Mono,
    /// Refusals without a call between them that was served, and when the last came.
    refusals: u32,
    refused_at: Mono,
}

impl Weights {
    /// Unspent.
    pub fn new(per_minute: u32, burst: u32, now: Mono) -> Self {
        let (per_minute, burst) = (u64::from(per_minute.max(1)), u64::from(burst.clamp(1, per_minute.max(1))));
        Self {
            per_minute,
            burst,
            spent: VecDeque::new(),
            sum: 0,
            tokens: burst as f64,
            refilled_at: now,
            held_until: Mono(0),
            guessed_until: Mono(0),
            refusals: 0,
            refused_at: Mono(0),
        }
    }

    /// From now on never more than so much in any minute, so much of it at once.
    pub fn limit_to(&mut self, per_minute: u32, burst: u32) {
        self.per_minute = u64::from(per_minute.max(1));
        self.burst = u64::from(burst.max(1)).min(self.per_minute);
        self.tokens = self.tokens.min(self.burst as f64);
    }

    /// What may leave in any minute.
    pub const fn per_minute(&self) -> u64 {
        self.per_minute
    }

    /// Spends so much, or says when it can be tried again. What is heavier than the whole budget has a minute of its own.
    ///
    /// # Errors
    /// The earliest time at which it might be there.
    pub fn take(&mut self, weight: u32, now: Mono) -> Result<(), Mono> {
        let wait = self.wait(weight, now);
        if !wait.is_zero() {
            return Err(now.after(wait));
        }
        self.tokens -= f64::from(weight);
        self.spend(u64::from(weight), now);
        Ok(())
    }

    /// How long until so much can be spent, if nothing else is.
    pub fn wait(&mut self, weight: u32, now: Mono) -> Duration {
        self.pass(now);
        let weight = u64::from(weight);
        let needed = weight.min(self.burst) as f64 - self.tokens;
        let tokens = if needed > 0.0 { self.time_of(needed) } else { Duration::ZERO };
        tokens.max(self.room_for(weight, now)).max(self.held_until().since(now))
    }

    /// How long until the last minute has room for so much.
    fn room_for(&self, weight: u64, now: Mono) -> Duration {
        let mut over = (self.sum + weight).saturating_sub(self.per_minute);
        for (at, spent) in &self.spent {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(*spent);
            if over == 0 {
                return at.after(WINDOW).since(now).max(Duration::from_nanos(1));
            }
        }
        // Heavier than the whole budget: when nothing else is spent.
        self.spent.back().filter(|_| over > 0).map_or(Duration::ZERO, |(at, _)| at.after(WINDOW).since(now))
    }

    /// How long it takes until so much has come back, and a nanosecond, so that rounding never makes it too early.
    fn time_of(&self, weight: f64) -> Duration {
        let seconds = weight * 60.0 / self.per_minute as f64;
        Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX).saturating_add(Duration::from_nanos(1))
    }

    /// How long so much takes in the long run.
    pub fn time_for(&self, weight: u64) -> Duration {
        self.time_of(weight as f64)
    }

    fn pass(&mut self, now: Mono) {
        let passed = now.since(self.refilled_at).as_secs_f64();
        self.refilled_at = self.refilled_at.max(now);
        let back = passed * self.per_minute as f64 / 60.0;
        self.tokens = (self.tokens + back).min(self.burst as f64);
        while let Some((at, weight)) = self.spent.front().copied().filter(|(at, _)| at.after(WINDOW) <= now) {
            debug_assert!(at <= now);
            self.sum -= weight;
            self.spent.pop_front();
        }
    }

    fn spend(&mut self, weight: u64, now: Mono) {
        self.sum += weight;
        let now = self.spent.back().map_or(now, |(at, _)| now.max(*at));
        self.spent.push_back((now, weight));
    }

    /// The venue says that so much is used in this minute: if that is more than is known of, others share the address.
    /// Returns how much more.
    pub fn used(&mut self, weight: u64, now: Mono) -> u64 {
        self.pass(now);
        let others = weight.saturating_sub(self.sum);
        if others > 0 {
            self.spend(others, now);
        }
        others
    }

    /// Gives nothing out before `until`: the venue said so.
    pub fn hold(&mut self, until: Mono) {
        self.held_until = self.held_until.max(until);
    }

    /// Until when nothing is given out.
    pub fn held_until(&self) -> Mono {
        self.held_until.max(self.guessed_until)
    }

    /// The venue refused a call that left at `left`, and wants such a pause: nothing is given out for so long, nor for less
    /// than the floor, which grows with each refusal in a row. Returns the pause.
    pub fn refused(&mut self, left: Mono, pause: Duration, now: Mono) -> Duration {
        let pause = pause.max(self.floor(left, now));
        self.hold(now.after(pause));
        pause
    }

    /// The same where the venue does not say for how long: returns until when, for [`Self::forget_guess`].
    pub fn guess(&mut self, left: Mono, pause: Duration, now: Mono) -> Mono {
        let until = now.after(pause.max(self.floor(left, now)));
        self.guessed_until = self.guessed_until.max(until);
        until
    }

    /// The venue has said for how long after all.
    pub fn forget_guess(&mut self, guess: Mono) {
        // Unless another call's is later.
        if self.guessed_until == guess {
            self.guessed_until = Mono(0);
        }
    }

    /// The venue served a call that left at `left`.
    pub fn served(&mut self, left: Mono) {
        if left > self.refused_at {
            self.refusals = 0;
        }
    }

    fn floor(&mut self, left: Mono, now: Mono) -> Duration {
        // Those that were on their way when one was refused are one refusal.
        if self.refusals == 0 || left > self.refused_at {
            self.refusals = self.refusals.saturating_add(1);
            self.refused_at = now;
        }
        FLOOR.saturating_mul(1 << self.refusals.saturating_sub(1).min(DOUBLINGS))
    }

    /// What was spent in the last minute, others' share included.
    pub fn spent(&mut self, now: Mono) -> u64 {
        self.pass(now);
        self.sum
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const START: Mono = Mono(5_000_000_000);

    fn at(ms: u64) -> Mono {
        START.after(Duration::from_millis(ms))
    }

    #[test]
    fn the_burst_leaves_at_once_and_the_rest_in_turn() {
        let mut weights = Weights::new(600, 60, START);
        for _ in 0..6 {
            assert_eq!(weights.take(10, START), Ok(()));
        }
        let again = weights.take(10, START).expect_err("the burst is spent");
        assert!((999..1001).contains(&(again.since(START).as_millis() as u64)), "{again:?}");
        assert_eq!(weights.take(10, again), Ok(()));
        assert_eq!(weights.spent(again), 70);
        assert_eq!(weights.spent(at(60_000)), 10);
    }

    #[test]
    fn what_others_use_is_left_to_them() {
        let mut weights = Weights::new(600, 600, START);
        weights.take(100, START).expect("there is room");
        assert_eq!(weights.used(100, START), 0, "ours");
        assert_eq!(weights.used(550, at(10)), 450);
        assert_eq!(weights.take(50, at(20)), Ok(()));
        let again = weights.take(51, at(20)).expect_err("others have used it");
        assert_eq!(again, at(60_000), "when what we used ourselves is forgotten");
    }

    #[test]
    fn nothing_leaves_while_it_is_held() {
        let mut weights = Weights::new(600, 600, START);
        weights.hold(at(90_000));
        weights.hold(at(1_000));
        assert_eq!(weights.take(1, at(5)), Err(at(90_000)));
        assert_eq!(weights.take(1, at(90_000)), Ok(()));
    }

    #[test]
    fn what_is_heavier_than_the_budget_has_a_minute_of_its_own() {
        let mut weights = Weights::new(100, 10, START);
        assert_eq!(weights.take(250, START), Ok(()));
        let again = weights.take(1, START).expect_err("all is spent");
        assert!(again >= at(60_000));
        assert_eq!(weights.take(250, at(600_000)), Ok(()));
    }

    #[test]
    fn a_refused_call_is_not_made_again_at_once() {
        let mut weights = Weights::new(600, 600, START);
        let mut now = at(10);
        let mut pauses = Vec::new();
        for _ in 0..9 {
            pauses.push(weights.refused(now, Duration::ZERO, now.after(Duration::from_millis(1))).as_secs());
            // Others that were on their way then.
            weights.refused(now, Duration::ZERO, now.after(Duration::from_millis(2)));
            now = weights.take(1, now).expect_err("held");
        }
        assert_eq!(pauses, [1, 2, 4, 8, 16, 32, 64, 64, 64]);
        weights.served(START);
        assert_eq!(weights.refused(now, Duration::ZERO, now).as_secs(), 64, "a call of before says nothing");
        now = weights.held_until();
        weights.served(now);
        assert_eq!(weights.refused(now, Duration::ZERO, now).as_secs(), 1);
        assert_eq!(weights.refused(now, Duration::from_secs(90), now).as_secs(), 90, "what the venue says, if longer");
    }

    #[test]
    fn a_limit_that_is_told_holds_for_what_was_spent_too() {
        let mut weights = Weights::new(4_800, 480, START);
        weights.take(400, START).expect("there is room");
        weights.limit_to(480, 48);
        assert_eq!(weights.take(40, at(10)), Ok(()));
        let again = weights.take(48, at(20)).expect_err("440 are spent");
        assert_eq!(again, at(60_000));
        assert_eq!((weights.take(48, again), weights.per_minute()), (Ok(()), 480));
    }

    #[test]
    fn what_the_venue_names_replaces_a_guess() {
        let mut weights = Weights::new(600, 600, START);
        let guess = weights.guess(START, Duration::from_secs(120), at(10));
        assert_eq!(weights.take(1, at(20)), Err(at(120_010)));
        weights.refused(START, Duration::from_secs(4), at(20));
        weights.forget_guess(guess);
        assert_eq!(weights.take(1, at(20)), Err(at(4_020)));
        let (first, later) = (
            weights.guess(START, Duration::from_secs(10), at(30)),
            weights.guess(START, Duration::from_secs(10), at(40)),
        );
        weights.forget_guess(first);
        assert_eq!(weights.held_until(), later, "another call's stays");
    }

    proptest! {
        /// Whatever a venue asks for, it gets no two calls of ours within the floor while it refuses each: their number grows
        /// with the logarithm of the time, until there is one a minute.
        #[test]
        fn whoever_refuses_all_is_left_alone_more_and_more(
            asks in prop::collection::vec((0_u64..3_000, 1_u64..50), 1..60),
        ) {
            let mut weights = Weights::new(6_000, 6_000, START);
            let (mut now, mut last) = (START, None::<(Mono, Duration)>);
            for (turn, (asked, way)) in asks.into_iter().enumerate() {
                while let Err(again) = weights.take(1, now) {
                    prop_assert!(again > now);
                    now = again;
                }
                if let Some((refused, pause)) = last {
                    prop_assert!(now.since(refused) >= pause, "{:?} after {pause:?}", now.since(refused));
                }
                let back = now.after(Duration::from_millis(way));
                let asked = Duration::from_millis(asked);
                let pause = weights.refused(now, asked, back);
                let floor = Duration::from_secs(1 << turn.min(6));
                prop_assert_eq!(pause, asked.max(floor), "the {}th", turn + 1);
                last = Some((back, pause));
            }
        }

        /// Whatever is asked and whenever: no minute sees more than the budget, a hold is kept, and whoever waits as
        /// told gets on.
        #[test]
        fn no_minute_sees_more_than_the_budget(
            per_minute in 10_u32..5_000,
            share in 1_u32..20,
            acts in prop::collection::vec((0_u64..4_000, 1_u32..300, 0_u8..40), 1..400),
        ) {
            let mut weights = Weights::new(per_minute, per_minute / share, START);
            let (mut now, mut held) = (START, START);
            let mut left: Vec<(Mono, u64)> = Vec::new();
            for (pause, weight, what) in acts {
                now = now.after(Duration::from_millis(pause));
                let weight = weight.min(per_minute);
                match what {
                    0 => {
                        held = held.max(now.after(Duration::from_secs(u64::from(weight))));
                        weights.hold(held);
                    }
                    1 => drop(weights.used(u64::from(weight) * 3, now)),
                    _ => {
                        let mut tries = 0;
                        while let Err(again) = weights.take(weight, now) {
                            prop_assert!(again > now, "time goes on");
                            now = again;
                            tries += 1;
                            prop_assert!(tries < 1_000);
                        }
                        prop_assert!(now >= held, "while held");
                        left.push((now, u64::from(weight)));
                    }
                }
            }
            for (first, (from, _)) in left.iter().enumerate() {
                let minute = left[first..].iter().take_while(|(at, _)| at.since(*from) < WINDOW);
                let sum: u64 = minute.map(|(_, weight)| weight).sum();
                prop_assert!(sum <= u64::from(per_minute), "{sum} of {per_minute} in a minute");
            }
        }

        /// In the long run the whole budget can be used.
        #[test]
        fn the_budget_is_not_wasted(per_minute in 100_u32..5_000, weight in 1_u32..50) {
            let mut weights = Weights::new(per_minute, (per_minute / 10).max(weight), START);
            let (mut now, mut sum) = (START, 0_u64);
            while now < at(600_000) {
                match weights.take(weight, now) {
                    Ok(()) => sum += u64::from(weight),
                    Err(again) => now = again,
                }
            }
            let whole = u64::from(per_minute / weight * weight);
            prop_assert!(sum * 100 >= whole * 10 * 95, "{sum} in ten minutes of {per_minute}");
        }
    }
}
