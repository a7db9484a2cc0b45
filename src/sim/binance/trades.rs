//! The trades of one symbol: single ones, those of one taker at one price made one, and the last of both for REST.

use std::collections::VecDeque;

use fastrand::Rng;

use crate::sim::market::{Fill, Market};

/// Trades of each kind that are remembered.
const KEPT: usize = 5_000;
/// Trades that have happened before anybody came.
const PAST: u64 = 40;
/// How far apart they were, ms.
const PAST_PACE: u64 = 500;

/// One trade.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trade {
    pub(super) id: u64,
    pub(super) time_ms: u64,
    pub(super) fill: Fill,
}

/// Trades of one taker at one price.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Aggregate {
    pub(super) id: u64,
    /// The first trade in it.
    pub(super) first: u64,
    /// The last trade in it.
    pub(super) last: u64,
    pub(super) time_ms: u64,
    /// Its size is that of all of them.
    pub(super) fill: Fill,
}

/// The trades of one symbol, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Tape {
    trades: VecDeque<Trade>,
    aggregates: VecDeque<Aggregate>,
    next_trade: u64,
    next_aggregate: u64,
}

impl Tape {
    /// A tape with an invented past around the market's first price.
    pub(super) fn new(seed: u64, market: &Market, now_ms: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let next_trade = 100_000_000 + market.seq() % 900_000_000;
        let (trades, aggregates) = (VecDeque::new(), VecDeque::new());
        let mut tape = Self { trades, aggregates, next_trade, next_aggregate: next_trade / 3 };
        let last = market.last();
        for ago in (1..=PAST).rev() {
            let (buy, ticks) = (rng.bool(), (last.ticks + rng.i64(-3..=3)).max(1));
            tape.add(&[Fill { buy, ticks, lots: rng.i64(1..=20) }], now_ms.saturating_sub(ago * PAST_PACE));
        }
        tape
    }

    /// Adds what one taker did, and gives it as it is told: one by one, and aggregated.
    pub(super) fn add(&mut self, fills: &[Fill], time_ms: u64) -> (Vec<Trade>, Vec<Aggregate>) {
        let (mut trades, mut aggregates) = (Vec::new(), Vec::<Aggregate>::new());
        for &fill in fills {
            let id = self.next_trade;
            self.next_trade += 1;
            trades.push(Trade { id, time_ms, fill });
            match aggregates.last_mut() {
                Some(last) if (last.fill.buy, last.fill.ticks) == (fill.buy, fill.ticks) => {
                    last.last = id;
                    last.fill.lots += fill.lots;
                }
                _ => {
                    aggregates.push(Aggregate { id: self.next_aggregate, first: id, last: id, time_ms, fill });
                    self.next_aggregate += 1;
                }
            }
        }
        self.trades.extend(&trades);
        self.aggregates.extend(&aggregates);
        self.trades.drain(..self.trades.len().saturating_sub(KEPT));
        self.aggregates.drain(..self.aggregates.len().saturating_sub(KEPT));
        (trades, aggregates)
    }

    /// The last trade's id.
    pub(super) const fn last_id(&self) -> u64 {
        self.next_trade - 1
    }

    /// All that are remembered.
    pub(super) const fn trades(&self) -> &VecDeque<Trade> {
        &self.trades
    }

    /// All that are remembered.
    pub(super) const fn aggregates(&self) -> &VecDeque<Aggregate> {
        &self.aggregates
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::market::Shape;

    #[test]
    fn trades_at_one_price_are_aggregated_and_ids_have_no_holes() {
        let market = Market::new(1, Shape { start_ticks: 10_000, levels: 50, max_lots: 100 });
        let mut tape = Tape::new(1, &market, 1_000_000);
        let fill = |ticks, lots| Fill { buy: true, ticks, lots };
        let (trades, aggregates) = tape.add(&[fill(7, 1), fill(7, 2), fill(8, 5)], 1_000_000);
        let told: Vec<_> = aggregates.iter().map(|a| (a.last - a.first, a.fill.lots)).collect();
        assert_eq!((trades.len(), told), (3, vec![(1, 3), (0, 5)]));
        for _ in 0..2 * KEPT {
            tape.add(&[fill(9, 1)], 1_000_001);
        }
        let ids: Vec<u64> = tape.aggregates().iter().map(|a| a.id).collect();
        assert!(ids.windows(2).all(|pair| pair[1] == pair[0] + 1));
        assert_eq!((tape.trades().len(), tape.trades().back().map(|t| t.id)), (KEPT, Some(tape.last_id())));
    }
}
