//! Whether a stream that is silent may be so: quiet symbols send nothing for minutes, and Binance repeats nothing.
//!
//! Every few seconds the venue is asked what it sends us. A stream that it names, and that has not been silent for much
//! longer than it usually is, is well; one that is, is doubted.

use crate::model::Mono;

/// A silence of so many times the usual distance of two messages is odd.
const ODD: u64 = 8;

/// When a topic's messages came.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Pulse {
    last: Mono,
    /// Average distance of two messages in nanoseconds, the recent ones counting more.
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
        let distance = now.0.saturating_sub(self.last.0);
        let usual = self.usual.unwrap_or(distance);
        self.usual = Some(usual - usual / 8 + distance / 8);
        self.last = now;
    }

    /// Whether its silence up to now is nothing special.
    pub(super) fn is_usual(&self, now: Mono) -> bool {
        let silent = now.0.saturating_sub(self.last.0);
        self.usual.is_none_or(|usual| silent < usual.saturating_mul(ODD))
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
        (1..=100).for_each(|n| pulse.beat(at(n * 100)));
        assert!(pulse.is_usual(at(10_700)));
        assert!(!pulse.is_usual(at(10_900)));
        (1..=100).for_each(|n| pulse.beat(at(10_000 + n * 10_000)));
        assert!(pulse.is_usual(at(1_010_000 + 60_000)), "it has become a quiet one");
        assert!(!pulse.is_usual(at(1_010_000 + 90_000)));
    }
}
