//! Datasources: what `CreateDataSource` opened in one run of the script. A closed one is not forgotten, as on the
//! real server.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use super::moscow::Interval;
use crate::model::Mono;

/// Datasources of one run at most. The real table has no bound; here the terminal refuses more.
const MOST: usize = 100_000;
/// Steps in which one fills.
const STEPS: std::ops::RangeInclusive<u32> = 3..=6;

/// One datasource.
#[derive(Clone, Copy, Debug)]
pub(super) struct Source {
    /// Place of its security.
    pub(super) security: usize,
    /// Its interval.
    pub(super) interval: Interval,
    /// Whether it is open.
    pub(super) open: bool,
    /// When its bars began to come; before, there are none.
    begun: Mono,
    steps: u32,
    load: Duration,
}

impl Source {
    /// How many of `all` bars are there by now, the oldest first.
    pub(super) fn size(&self, all: usize, now: Mono) -> usize {
        let step = self.load / self.steps;
        let passed = now.since(self.begun).as_nanos().checked_div(step.as_nanos()).unwrap_or(u128::MAX);
        let passed = u32::try_from(passed).unwrap_or(u32::MAX);
        if passed >= self.steps { all } else { all * passed as usize / self.steps as usize }
    }
}

/// All datasources of one run.
#[derive(Clone, Debug, Default)]
pub(super) struct Sources {
    by_uuid: BTreeMap<String, Source>,
}

impl Sources {
    /// Opens one whose bars come from `begun` on within `load`; `None` when there are too many.
    pub(super) fn create(
        &mut self,
        security: usize,
        interval: Interval,
        begun: Mono,
        load: Duration,
        rng: &mut Rng,
    ) -> Option<String> {
        if self.by_uuid.len() >= MOST {
            return None;
        }
        let uuid = uuid(rng);
        let source = Source { security, interval, open: true, begun, steps: rng.u32(STEPS), load };
        self.by_uuid.insert(uuid.clone(), source);
        Some(uuid)
    }

    /// The one with this id.
    pub(super) fn get(&self, uuid: &str) -> Option<&Source> {
        self.by_uuid.get(uuid)
    }

    /// Closes one; `None` if it never was, false if it is closed already.
    pub(super) fn close(&mut self, uuid: &str) -> Option<bool> {
        self.by_uuid.get_mut(uuid).map(|source| std::mem::take(&mut source.open))
    }

    /// Those that are open.
    pub(super) fn open(&self) -> impl Iterator<Item = (&str, &Source)> {
        self.by_uuid.iter().filter(|(_, source)| source.open).map(|(uuid, source)| (uuid.as_str(), source))
    }
}

/// A random id in the usual grouping.
fn uuid(rng: &mut Rng) -> String {
    let (high, low) = (rng.u64(..), rng.u64(..));
    format!(
        "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xfff,
        low >> 50 | 0x8000,
        low & 0xffff_ffff_ffff
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOAD: Duration = Duration::from_millis(600);

    #[test]
    fn the_size_grows_in_steps_and_then_stands() {
        let mut sources = Sources::default();
        let begun = Mono(5_000_000_000);
        let uuid = sources.create(0, Interval::Day, begun, LOAD, &mut Rng::with_seed(3)).unwrap();
        let source = *sources.get(&uuid).unwrap();
        let sizes: Vec<usize> =
            (0..=700).map(|ms| source.size(1_000, begun.after(Duration::from_millis(ms)))).collect();
        assert!(sizes.windows(2).all(|w| w[0] <= w[1]));
        assert_eq!((sizes[0], sizes[600], sizes[700]), (0, 1_000, 1_000));
        let mut steps = sizes.clone();
        steps.dedup();
        assert_eq!(steps.len(), source.steps as usize + 1);
        assert_eq!(source.size(1_000, Mono(0)), 0);
    }

    #[test]
    fn a_closed_one_is_known_but_not_open() {
        let (mut sources, mut rng) = (Sources::default(), Rng::with_seed(3));
        let uuid = sources.create(0, Interval::Day, Mono(0), LOAD, &mut rng).unwrap();
        let other = sources.create(0, Interval::Day, Mono(0), Duration::ZERO, &mut rng).unwrap();
        assert_ne!(uuid, other);
        assert_eq!(uuid.len(), 36);
        assert_eq!((sources.close(&uuid), sources.close(&uuid), sources.close("no")), (Some(true), Some(false), None));
        assert_eq!(sources.open().map(|(uuid, _)| uuid).collect::<Vec<_>>(), [other.as_str()]);
        assert_eq!(sources.get(&other).unwrap().size(7, Mono(0)), 7);
    }
}
