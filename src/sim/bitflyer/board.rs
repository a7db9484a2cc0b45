//! The published book of one product: what its subscribers have been told, and digests of its past states.

use std::collections::VecDeque;

use fastrand::Rng;

use crate::sim::market::{Level, Market, Side, difference};
use crate::sim::venue;

use super::catalog::Spec;
use super::message;

/// States whose digest is remembered.
const HISTORY: usize = 2_000;
/// Levels a side of the whole book that is sent.
const WHOLE: usize = 300;

/// What was last published of one book.
#[derive(Clone, Debug)]
pub(super) struct Board {
    /// Worst first.
    bids: Vec<Level>,
    /// Worst first.
    asks: Vec<Level>,
    history: VecDeque<u32>,
}

/// The middle of the best prices in ticks, rounded down.
fn middle(market: &Market) -> i64 {
    (market.best(Side::Bid).ticks + market.best(Side::Ask).ticks).div_euclid(2)
}

impl Board {
    /// A book that starts with the market as it is.
    pub(super) fn new(spec: &Spec, market: &Market) -> Self {
        let mut board = Self { bids: Vec::new(), asks: Vec::new(), history: VecDeque::new() };
        board.follow(market);
        board.remember(spec);
        board
    }

    fn follow(&mut self, market: &Market) {
        market.top(Side::Bid, usize::MAX).clone_into(&mut self.bids);
        market.top(Side::Ask, usize::MAX).clone_into(&mut self.asks);
    }

    fn remember(&mut self, spec: &Spec) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        let spell = |level: &Level| (spec.price(level.ticks), spec.size(level.lots));
        let sides = [
            &mut self.bids.iter().rev().map(spell) as &mut dyn Iterator<Item = _>,
            &mut self.asks.iter().rev().map(spell),
        ];
        self.history.push_back(venue::digest(sides));
    }

    /// Moves the published state to the market's present one, and says what changed; `None` when nothing did. Levels come in
    /// no order, and not all of those that the middle price has passed are named.
    pub(super) fn change(&mut self, spec: &Spec, market: &Market, rng: &mut Rng) -> Option<String> {
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        difference(Side::Bid, &self.bids, market.top(Side::Bid, usize::MAX), &mut bids);
        difference(Side::Ask, &self.asks, market.top(Side::Ask, usize::MAX), &mut asks);
        if bids.is_empty() && asks.is_empty() {
            return None;
        }
        self.follow(market);
        self.remember(spec);
        let middle = middle(market);
        bids.retain(|level| level.lots > 0 || level.ticks <= middle || rng.bool());
        asks.retain(|level| level.lots > 0 || level.ticks > middle || rng.bool());
        rng.shuffle(&mut bids);
        rng.shuffle(&mut asks);
        Some(message::board(spec, middle, &bids, &asks))
    }

    /// The whole book as a message, of the market as it is: the change that leads to it may be still to come.
    pub(super) fn whole(&self, spec: &Spec, market: &Market, rng: &mut Rng) -> String {
        let mut sides = [Side::Bid, Side::Ask].map(|side| market.top(side, WHOLE).to_vec());
        sides.iter_mut().for_each(|levels| rng.shuffle(levels));
        let [bids, asks] = sides;
        message::board(spec, middle(market), &bids, &asks)
    }

    /// The message of an auction: market orders wait at the price zero, and nothing else changes.
    pub(super) fn auction(spec: &Spec, market: &Market) -> String {
        let waiting = [Level { ticks: 0, lots: spec.shape.max_lots }];
        message::board(spec, middle(market), &waiting, &waiting)
    }

    /// The best `limit` levels of the published state.
    pub(super) fn best_first(&self, side: Side, limit: usize) -> Vec<Level> {
        let levels = if side == Side::Bid { &self.bids } else { &self.asks };
        levels.iter().rev().take(limit).copied().collect()
    }

    /// Whether there was a state with this digest of late.
    pub(super) fn has_been(&self, digest: u32) -> bool {
        self.history.contains(&digest)
    }
}
