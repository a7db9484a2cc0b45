//! The order book streams of one symbol: which prices were touched since each of them last sent, and digests of past
//! states. A price that was touched is sent even if its size is again what it was: an image taken in between differs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::sim::market::{Level, Market, Side, difference};
use crate::sim::venue;

use super::catalog::Spec;

/// States whose digest is remembered.
const HISTORY: usize = 2_000;

/// A message of a depth stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Update {
    /// The first id in it.
    pub(super) first: u64,
    /// The id of the state behind it.
    pub(super) last: u64,
    /// The last id of the message before.
    pub(super) previous: u64,
    pub(super) bids: Vec<Level>,
    pub(super) asks: Vec<Level>,
}

/// A whole book, best first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) id: u64,
    pub(super) bids: Vec<Level>,
    pub(super) asks: Vec<Level>,
}

impl Image {
    /// The book as it is, down to `limit` levels.
    pub(super) fn of(market: &Market, limit: usize) -> Self {
        let side = |side| market.top(side, limit).iter().rev().copied().collect();
        Self { id: market.seq(), bids: side(Side::Bid), asks: side(Side::Ask) }
    }
}

/// What one diff stream still has to tell.
#[derive(Clone, Debug)]
struct Pending {
    previous: u64,
    /// The first id since then, if anything happened.
    first: Option<u64>,
    bids: BTreeSet<i64>,
    asks: BTreeSet<i64>,
}

/// What one partial stream told last.
#[derive(Clone, Debug)]
struct Told {
    image: Image,
    due: bool,
}

/// All depth streams of one symbol.
#[derive(Clone, Debug, Default)]
pub(super) struct Depths {
    /// The book behind the last move, worst first; kept while somebody listens to differences.
    mirror: Option<[Vec<Level>; 2]>,
    diffs: BTreeMap<u64, Pending>,
    partials: BTreeMap<(u16, u64), Told>,
    history: VecDeque<(u64, u32)>,
}

impl Depths {
    /// Whether somebody listens to differences.
    pub(super) fn is_told(&self) -> bool {
        !self.diffs.is_empty()
    }

    /// Begins a diff stream with the book as it is.
    pub(super) fn watch_diff(&mut self, speed: u64, market: &Market) {
        self.mirror.get_or_insert_with(|| [Side::Bid, Side::Ask].map(|side| market.top(side, usize::MAX).to_vec()));
        let new = || Pending { previous: market.seq(), first: None, bids: BTreeSet::new(), asks: BTreeSet::new() };
        self.diffs.entry(speed).or_insert_with(new);
    }

    pub(super) fn unwatch_diff(&mut self, speed: u64) {
        self.diffs.remove(&speed);
        if self.diffs.is_empty() {
            self.mirror = None;
        }
    }

    /// Begins a partial stream, or lets it send again for a new listener.
    pub(super) fn watch_partial(&mut self, levels: u16, speed: u64, market: &Market) {
        let new = || Told { image: Image::of(market, levels.into()), due: true };
        self.partials.entry((levels, speed)).or_insert_with(new).due = true;
    }

    pub(super) fn unwatch_partial(&mut self, levels: u16, speed: u64) {
        self.partials.remove(&(levels, speed));
    }

    /// Takes in what the market's last move touched.
    pub(super) fn moved(&mut self, market: &Market) {
        let Some([bids, asks]) = &mut self.mirror else { return };
        for (side, old) in [(Side::Bid, bids), (Side::Ask, asks)] {
            let new = market.top(side, usize::MAX);
            let mut changed = Vec::new();
            difference(side, old, new, &mut changed);
            new.clone_into(old);
            for pending in self.diffs.values_mut() {
                let touched = if side == Side::Bid { &mut pending.bids } else { &mut pending.asks };
                touched.extend(changed.iter().map(|level| level.ticks));
                if !changed.is_empty() {
                    pending.first.get_or_insert(market.seq());
                }
            }
        }
    }

    /// What a diff stream sends now. `contiguous`: its first id follows the message before, as on spot.
    pub(super) fn take_diff(&mut self, speed: u64, market: &Market, contiguous: bool) -> Option<Update> {
        let pending = self.diffs.get_mut(&speed)?;
        let first = pending.first.take()?;
        let (bids, asks) = (std::mem::take(&mut pending.bids), std::mem::take(&mut pending.asks));
        let level = |side, ticks| Level { ticks, lots: lots_at(market.top(side, usize::MAX), side, ticks) };
        let previous = std::mem::replace(&mut pending.previous, market.seq());
        Some(Update {
            first: if contiguous { previous + 1 } else { first },
            last: market.seq(),
            previous,
            bids: bids.into_iter().rev().map(|ticks| level(Side::Bid, ticks)).collect(),
            asks: asks.into_iter().map(|ticks| level(Side::Ask, ticks)).collect(),
        })
    }

    /// What a partial stream sends now: the whole top of the book, if that changed.
    pub(super) fn take_partial(&mut self, levels: u16, speed: u64, market: &Market) -> Option<Update> {
        let told = self.partials.get_mut(&(levels, speed))?;
        let image = Image::of(market, levels.into());
        if !told.due && (&image.bids, &image.asks) == (&told.image.bids, &told.image.asks) {
            return None;
        }
        told.due = false;
        let before = std::mem::replace(&mut told.image, image.clone());
        let first = (before.id + 1).min(image.id);
        Some(Update { first, last: image.id, previous: before.id, bids: image.bids, asks: image.asks })
    }

    /// Remembers the digest of the present state.
    pub(super) fn remember(&mut self, spec: &Spec, market: &Market) {
        let id = market.seq();
        if self.history.back().is_some_and(|(last, _)| *last == id) {
            return;
        }
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        let Image { bids, asks, .. } = Image::of(market, 25);
        let spell = |level: Level| (spec.price(level.ticks), spec.size(level.lots));
        let digest = venue::digest([&mut bids.into_iter().map(spell), &mut asks.into_iter().map(spell)]);
        self.history.push_back((id, digest));
    }

    /// The digest of the state with this id, if it is remembered.
    pub(super) fn digest(&self, id: u64) -> Option<u32> {
        self.history.iter().rev().find(|(known, _)| *known == id).map(|(_, digest)| *digest)
    }
}

/// The size at a price; 0 where nothing stands. `levels` are worst first.
fn lots_at(levels: &[Level], side: Side, ticks: i64) -> i64 {
    let found = match side {
        Side::Bid => levels.binary_search_by_key(&ticks, |level| level.ticks),
        Side::Ask => levels.binary_search_by_key(&-ticks, |level| -level.ticks),
    };
    found.map_or(0, |at| levels[at].lots)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::binance::catalog::instruments;

    type Side2 = BTreeMap<i64, i64>;

    fn apply(sides: &mut [Side2; 2], update: &Update) {
        for (side, levels) in sides.iter_mut().zip([&update.bids, &update.asks]) {
            for level in levels {
                if level.lots == 0 {
                    side.remove(&level.ticks)
                } else {
                    side.insert(level.ticks, level.lots)
                };
            }
        }
    }

    fn sides(image: &Image) -> [Side2; 2] {
        [&image.bids, &image.asks].map(|levels| levels.iter().map(|level| (level.ticks, level.lots)).collect())
    }

    /// An image taken between two messages, then the message that began before it: whatever the rule, it must be right.
    #[test]
    fn an_image_from_the_middle_of_a_message_joins_it() {
        let spec = instruments(&[]).remove(0);
        for contiguous in [true, false] {
            let mut market = Market::new(5, spec.shape);
            let mut depths = Depths::default();
            depths.watch_diff(100, &market);
            let mut last = market.seq();
            for _ in 0..200 {
                let step = |market: &mut Market, depths: &mut Depths| {
                    market.change(3);
                    depths.moved(market);
                };
                step(&mut market, &mut depths);
                let image = Image::of(&market, usize::MAX);
                let mut book = sides(&image);
                step(&mut market, &mut depths);
                let update = depths.take_diff(100, &market, contiguous).unwrap();
                assert_eq!((update.previous, update.last), (last, market.seq()));
                assert!(update.first > update.previous && update.first <= image.id + 1);
                assert!(!contiguous || update.first == update.previous + 1);
                apply(&mut book, &update);
                assert_eq!(book, sides(&Image::of(&market, usize::MAX)));
                last = update.last;
            }
            assert_eq!(depths.take_diff(100, &market, contiguous), None, "nothing happened");
        }
    }

    #[test]
    fn a_partial_stream_tells_what_changed_at_the_top() {
        let spec = instruments(&[]).remove(0);
        let mut market = Market::new(5, spec.shape);
        let mut depths = Depths::default();
        depths.watch_partial(5, 100, &market);
        let first = depths.take_partial(5, 100, &market).unwrap();
        assert_eq!((first.bids.len(), first.asks.len(), first.last), (5, 5, market.seq()));
        assert_eq!(depths.take_partial(5, 100, &market), None);
        market.change(200);
        assert_eq!(depths.take_partial(5, 100, &market).unwrap().previous, first.last);
    }

    #[test]
    fn old_states_are_forgotten() {
        let spec = instruments(&[]).remove(0);
        let mut market = Market::new(5, spec.shape);
        let mut depths = Depths::default();
        let first = market.seq();
        for _ in 0..=HISTORY {
            depths.remember(&spec, &market);
            depths.remember(&spec, &market);
            market.change(1);
        }
        assert_eq!((depths.digest(first), depths.history.len()), (None, HISTORY));
    }
}
