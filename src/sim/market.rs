//! The true market of one simulated symbol, in whole ticks and lots: a ladder of levels that is never crossed,
//! trades that take what stands at the touch, and exact differences between two windows of the ladder. Pure.

use std::cmp::Ordering;

use fastrand::Rng;

/// Widest spread in ticks before somebody quotes inside it.
const MAX_SPREAD: i64 = 8;

/// A price level in ticks and lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Level {
    /// Price in ticks, at least 1.
    pub ticks: i64,
    /// Size in lots; zero in a difference means the level is gone.
    pub lots: i64,
}

/// How a market starts and how large it is.
#[derive(Clone, Copy, Debug)]
pub struct Shape {
    /// First price in ticks. It must leave room below for the bids: at least `4 × levels`.
    pub start_ticks: i64,
    /// Levels a side that are kept at all times.
    pub levels: usize,
    /// Largest ordinary size of a level in lots, at least 2.
    pub max_lots: i64,
}

/// One side of a book.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// Buyers.
    Bid,
    /// Sellers.
    Ask,
}

impl Side {
    /// What one tick towards a better price is on this side.
    const fn better(self) -> i64 {
        match self {
            Self::Bid => 1,
            Self::Ask => -1,
        }
    }
}

/// A taker order's execution at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fill {
    /// Whether the taker bought.
    pub buy: bool,
    /// Price in ticks.
    pub ticks: i64,
    /// Size in lots.
    pub lots: i64,
}

/// A market in motion.
#[derive(Clone, Debug)]
pub struct Market {
    rng: Rng,
    shape: Shape,
    /// Worst first, best last: changes near the touch move little memory.
    bids: Vec<Level>,
    asks: Vec<Level>,
    last: Fill,
    seq: u64,
}

impl Market {
    /// A fresh market; the same seed and shape always live through the same history.
    pub fn new(seed: u64, shape: Shape) -> Self {
        let mut rng = Rng::with_seed(seed);
        let bids = ladder(&mut rng, &shape, Side::Bid);
        let asks = ladder(&mut rng, &shape, Side::Ask);
        let seq = rng.u64(1_000_000_000..9_000_000_000);
        let last = Fill { buy: true, ticks: shape.start_ticks, lots: 1 };
        Self { rng, shape, bids, asks, last, seq }
    }

    /// The cross sequence: rises with every change, by jumps.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// The last execution.
    pub const fn last(&self) -> Fill {
        self.last
    }

    /// The best level of a side.
    pub fn best(&self, side: Side) -> Level {
        let empty = Level { ticks: self.shape.start_ticks, lots: 0 };
        self.side(side).last().copied().unwrap_or(empty)
    }

    /// The best `n` levels of a side, worst first.
    pub fn top(&self, side: Side, n: usize) -> &[Level] {
        let levels = self.side(side);
        &levels[levels.len().saturating_sub(n)..]
    }

    /// Makes `count` changes, most of them near the touch.
    pub fn change(&mut self, count: usize) {
        for _ in 0..count {
            let side = if self.rng.bool() { Side::Bid } else { Side::Ask };
            let at = self.near_touch();
            match self.rng.u8(0..10) {
                0..=5 => self.resize(side, at),
                6 | 7 => self.remove(side, at),
                _ => self.insert(side, at),
            }
        }
        self.settle();
    }

    /// Lets one taker order execute at the touch.
    pub fn trade(&mut self) -> Fill {
        let buy = self.rng.i64(0..100) < self.buy_percent();
        let side = if buy { Side::Ask } else { Side::Bid };
        let best = self.best(side);
        let lots = if self.rng.u8(0..3) == 0 { best.lots } else { self.rng.i64(1..=best.lots.max(1)) };
        if lots >= best.lots {
            self.side_mut(side).pop();
            self.deepen(side);
        } else if let Some(level) = self.side_mut(side).last_mut() {
            level.lots -= lots;
        }
        self.last = Fill { buy, ticks: best.ticks, lots };
        self.settle();
        self.last
    }

    fn side(&self, side: Side) -> &Vec<Level> {
        match side {
            Side::Bid => &self.bids,
            Side::Ask => &self.asks,
        }
    }

    fn side_mut(&mut self, side: Side) -> &mut Vec<Level> {
        match side {
            Side::Bid => &mut self.bids,
            Side::Ask => &mut self.asks,
        }
    }

    /// How likely the next taker buys: less when the price is above its start, so that it stays in bounds.
    fn buy_percent(&self) -> i64 {
        let away = self.best(Side::Bid).ticks - self.shape.start_ticks;
        let unit = (self.shape.start_ticks / 100).max(1);
        (50 - 10 * away / unit).clamp(10, 90)
    }

    /// A distance from the best level: geometric, about eleven levels on average.
    fn near_touch(&mut self) -> usize {
        let mut at = 0;
        while at + 1 < self.shape.levels && self.rng.u8(..) < 235 {
            at += 1;
        }
        at
    }

    fn place(&self, side: Side, at: usize) -> Option<usize> {
        self.side(side).len().checked_sub(at + 1)
    }

    fn resize(&mut self, side: Side, at: usize) {
        let lots = size(&mut self.rng, &self.shape);
        if let Some(place) = self.place(side, at) {
            self.side_mut(side)[place].lots = lots;
        }
    }

    fn remove(&mut self, side: Side, at: usize) {
        if let Some(place) = self.place(side, at) {
            self.side_mut(side).remove(place);
            self.deepen(side);
        }
    }

    /// Adds a level one tick better than the one at `at`, unless that price is taken or would cross.
    fn insert(&mut self, side: Side, at: usize) {
        let Some(place) = self.place(side, at) else { return };
        let ticks = self.side(side)[place].ticks + side.better();
        let taken = self.side(side).get(place + 1).is_some_and(|level| level.ticks == ticks);
        if taken || (at == 0 && self.spread() <= 1) {
            return self.resize(side, at);
        }
        let lots = size(&mut self.rng, &self.shape);
        let most = self.shape.levels;
        let levels = self.side_mut(side);
        levels.insert(place + 1, Level { ticks, lots });
        if levels.len() > most {
            levels.remove(0);
        }
    }

    /// Adds one level at the far end, so that the ladder keeps its length.
    fn deepen(&mut self, side: Side) {
        let Some(worst) = self.side(side).first().copied() else { return };
        let ticks = worst.ticks - side.better() * self.rng.i64(1..=3);
        let lots = size(&mut self.rng, &self.shape);
        if ticks >= 1 {
            self.side_mut(side).insert(0, Level { ticks, lots });
        }
    }

    fn spread(&self) -> i64 {
        self.best(Side::Ask).ticks - self.best(Side::Bid).ticks
    }

    /// Narrows a spread that grew too wide, and moves the cross sequence on.
    fn settle(&mut self) {
        while self.spread() > MAX_SPREAD {
            let side = if self.rng.i64(0..100) < self.buy_percent() { Side::Bid } else { Side::Ask };
            self.insert(side, 0);
        }
        self.seq += self.rng.u64(1..=9);
    }
}

fn size(rng: &mut Rng, shape: &Shape) -> i64 {
    // The smaller of two draws: small orders are more common than large ones.
    rng.i64(1..=shape.max_lots).min(rng.i64(1..=shape.max_lots))
}

fn ladder(rng: &mut Rng, shape: &Shape, side: Side) -> Vec<Level> {
    let mut ticks = shape.start_ticks + i64::from(side == Side::Ask);
    let mut levels = Vec::with_capacity(shape.levels + 1);
    while levels.len() < shape.levels && ticks >= 1 {
        levels.push(Level { ticks, lots: size(rng, shape) });
        ticks -= side.better() * rng.i64(1..=3);
    }
    levels.reverse();
    levels
}

/// What changed between two windows of the same side (worst first, as [`Market::top`] gives them), best first.
/// Applying it to `old` gives exactly `new`.
pub fn difference(side: Side, old: &[Level], new: &[Level], out: &mut Vec<Level>) {
    let (mut i, mut j) = (old.len(), new.len());
    while i > 0 || j > 0 {
        let order = match (i.checked_sub(1).map(|i| old[i]), j.checked_sub(1).map(|j| new[j])) {
            (Some(was), Some(is)) => (was.ticks * side.better()).cmp(&(is.ticks * side.better())),
            (Some(_), None) => Ordering::Greater,
            _ => Ordering::Less,
        };
        match order {
            Ordering::Greater => {
                i -= 1;
                out.push(Level { ticks: old[i].ticks, lots: 0 });
            }
            Ordering::Less => {
                j -= 1;
                out.push(new[j]);
            }
            Ordering::Equal => {
                (i, j) = (i - 1, j - 1);
                if old[i].lots != new[j].lots {
                    out.push(new[j]);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    const SHAPE: Shape = Shape { start_ticks: 10_000, levels: 300, max_lots: 5_000 };

    fn check_side(market: &Market, side: Side) {
        let levels = market.top(side, usize::MAX);
        assert_eq!(levels.len(), SHAPE.levels);
        assert!(levels.iter().all(|l| l.lots > 0 && l.ticks > 0));
        assert!(levels.windows(2).all(|w| (w[1].ticks - w[0].ticks) * side.better() > 0));
    }

    fn apply(book: &mut BTreeMap<i64, i64>, changes: &[Level]) {
        for change in changes {
            if change.lots == 0 {
                assert!(book.remove(&change.ticks).is_some(), "removes a level that is not there");
            } else {
                assert_ne!(book.insert(change.ticks, change.lots), Some(change.lots), "says nothing new");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

        #[test]
        fn never_crossed_and_differences_rebuild_the_window(seed in any::<u64>(), depth in 1_usize..320) {
            let mut market = Market::new(seed, SHAPE);
            for side in [Side::Bid, Side::Ask] {
                let mut book: BTreeMap<i64, i64> = market.top(side, depth).iter().map(|l| (l.ticks, l.lots)).collect();
                for step in 0..300 {
                    let before = market.top(side, depth).to_vec();
                    if step % 5 == 0 { market.trade(); } else { market.change(9); }
                    prop_assert!(market.spread() >= 1 && market.spread() <= MAX_SPREAD);
                    let mut changes = Vec::new();
                    difference(side, &before, market.top(side, depth), &mut changes);
                    apply(&mut book, &changes);
                    let truth: BTreeMap<i64, i64> =
                        market.top(side, depth).iter().map(|l| (l.ticks, l.lots)).collect();
                    prop_assert_eq!(&book, &truth);
                }
                check_side(&market, side);
            }
        }
    }

    #[test]
    fn the_same_seed_lives_the_same_life() {
        let run = |seed| {
            let mut market = Market::new(seed, SHAPE);
            (0..500).map(|_| (market.trade(), market.change(3), market.seq())).collect::<Vec<_>>()
        };
        assert_eq!(run(7), run(7));
        assert_ne!(run(7), run(8));
    }

    #[test]
    fn trades_take_the_touch_and_the_price_walks_within_bounds() {
        let mut market = Market::new(3, SHAPE);
        let mut seen = BTreeMap::new();
        for _ in 0..50_000 {
            let (bid, ask) = (market.best(Side::Bid), market.best(Side::Ask));
            let fill = market.trade();
            let touched = if fill.buy { ask } else { bid };
            assert_eq!(fill.ticks, touched.ticks);
            assert!(fill.lots >= 1 && fill.lots <= touched.lots);
            market.change(4);
            *seen.entry(fill.ticks).or_insert(0) += 1;
        }
        assert!(seen.len() > 20, "the price stands still");
        assert!(seen.keys().all(|ticks| (5_000..20_000).contains(ticks)), "the price ran away");
    }
}
