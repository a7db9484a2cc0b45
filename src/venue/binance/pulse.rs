//! Whether a stream that is silent may be so: quiet symbols send nothing for minutes, and Binance repeats nothing.
//!
//! Every few seconds the venue is asked what it sends us. A stream that it names, and that has not been silent for much
//! longer than it usually is, is well; one that is, is doubted.

use crate::model::Mono;

/// A silence of so many times the usual one is odd.
const ODD: u64 = 4;
/// A silence that is usual until more is known than the first messages: ten seconds.
const AT_FIRST: u64 = 10_000_000_000;
/// A long silence is forgotten over so many messages, since those of a quiet symbol come in bursts.
const MEMORY: u64 = 128;

/// When a topic's messages came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pulse {
    last: Mono,
    /// The longest silence of late, in nanoseconds; `None` before the first message.
    usual: Option<u64>,
}

impl Pulse {
    /// It is subscribed to from now on, or anew.
    pub(super) const fn begin(now: Mono) -> Self {
        Self { last: now, usual: None }
    }

    /// A message came.
    #[inline]
    pub(super) fn beat(&mut self, now: Mono) {
        let silent = now.0.saturating_sub(self.last.0);
        let usual = self.usual.unwrap_or(AT_FIRST);
        self.usual = Some(silent.max(usual - usual / MEMORY));
        self.last = now;
    }

    /// Whether its silence up to now is nothing special.
    pub(super) fn is_usual(&self, now: Mono) -> bool {
        self.usual.is_none_or(|usual| now.0.saturating_sub(self.last.0) < usual.saturating_mul(ODD))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_silence_is_odd_when_it_is_much_longer_than_usual() {
        let at = |ms: u64| Mono(ms * 1_000_000);
        let mut pulse = Pulse::begin(at(0));
        assert!(pulse.is_usual(at(3_600_000)), "nothing is known of it");
        (1..=1_000).for_each(|n| pulse.beat(at(n * 100)));
        assert!(pulse.is_usual(at(100_300)));
        assert!(!pulse.is_usual(at(100_500)));
        pulse.beat(at(130_000));
        (1..=50).for_each(|n| pulse.beat(at(130_000 + n * 100)));
        assert!(pulse.is_usual(at(200_000)), "after a burst it is the quiet one it was");
        (1..=2_000).for_each(|n| pulse.beat(at(200_000 + n * 100)));
        assert!(!pulse.is_usual(at(401_000)), "it has become a lively one");
    }
}
