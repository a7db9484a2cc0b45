//! Requests that a connection may make in an hour: half of them as quickly as wished, the rest evenly, so that none has to
//! wait for long and the venue's limit is never reached.

use std::collections::VecDeque;
use std::time::Duration;

use crate::model::Mono;

const HOUR: Duration = Duration::from_secs(3600);

/// What was spent of a connection's requests in the last hour.
#[derive(Clone, Debug)]
pub struct Budget {
    per_hour: usize,
    spent: VecDeque<Mono>,
}

impl Budget {
    /// At most so many requests in any hour; at least 2.
    pub const fn new(per_hour: usize) -> Self {
        Self { per_hour: if per_hour < 2 { 2 } else { per_hour }, spent: VecDeque::new() }
    }

    /// A new connection: nothing is spent.
    pub fn clear(&mut self) {
        self.spent.clear();
    }

    /// A request was made. Returns how long the next one has to wait.
    pub fn spend(&mut self, now: Mono) -> Duration {
        self.spent.push_back(now);
        let at_will = self.per_hour / 2;
        // Beyond this many of the last hour, how many more does not matter.
        while self.spent.len() > at_will || self.spent.front().is_some_and(|at| now.since(*at) >= HOUR) {
            self.spent.pop_front();
        }
        let evenly = HOUR / u32::try_from(self.per_hour - at_will).unwrap_or(u32::MAX);
        if self.spent.len() < at_will { Duration::ZERO } else { evenly }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    #[test]
    fn no_hour_has_more_than_its_share() {
        let mut budget = Budget::new(480);
        let (mut now, mut made) = (at(1), Vec::new());
        while now < at(3 * 3600) {
            made.push(now);
            // Bursts and pauses by turns.
            let pause = if made.len() % 300 == 0 { 1000 } else { 0 };
            now = now.after(budget.spend(now).max(Duration::from_millis(50)) + Duration::from_secs(pause));
        }
        assert!(made[200].since(made[0]) < Duration::from_secs(11), "half is quick");
        for (first, from) in made.iter().enumerate() {
            let within = made[first..].iter().take_while(|at| at.since(*from) < HOUR).count();
            assert!(within <= 480, "{within} in an hour");
        }
        budget.clear();
        assert_eq!(budget.spend(now), Duration::ZERO);
    }
}
