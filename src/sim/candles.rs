//! One symbol's price history in bars of a minute or a second, bounded, and the longer candles made of them.

use std::collections::VecDeque;

use fastrand::Rng;

use crate::sim::market::{Fill, Shape};

/// Bars kept: of minutes, a little over two days, enough for every 24-hour figure.
const KEPT: usize = 3_000;

/// One candle.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Candle {
    /// Its first ms.
    pub start_ms: u64,
    /// First price in ticks.
    pub open: i64,
    /// Highest price in ticks.
    pub high: i64,
    /// Lowest price in ticks.
    pub low: i64,
    /// Last price in ticks.
    pub close: i64,
    /// Volume in lots.
    pub lots: i64,
    /// Volume times price, in the units the venue's catalogue counts it in.
    pub turnover: i128,
    /// How many fills.
    pub fills: u64,
    /// What of the volume takers bought, in lots.
    pub bought_lots: i64,
    /// What of the turnover takers bought.
    pub bought_turnover: i128,
    /// When the last fill was.
    pub last_ms: u64,
}

/// Bars of one length, oldest first, without holes.
#[derive(Clone, Debug)]
pub struct Candles {
    length_ms: u64,
    bars: VecDeque<Candle>,
}

impl Candles {
    /// An invented past in bars of `length_ms` that ends at the symbol's first price. `turnover` is what so many ticks
    /// and lots amount to.
    pub fn new(seed: u64, length_ms: u64, shape: &Shape, turnover: impl Fn(i64, i64) -> i128, now_ms: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut bars = VecDeque::with_capacity(KEPT);
        let mut close = shape.start_ticks;
        let mut start_ms = now_ms - now_ms % length_ms;
        let reach = (shape.start_ticks / 2_000).max(1);
        while bars.len() < KEPT - 1 && start_ms >= length_ms {
            start_ms -= length_ms;
            let open = (close + rng.i64(-reach..=reach)).max(shape.start_ticks / 2);
            let lots = rng.i64(0..=shape.max_lots);
            bars.push_front(Candle {
                start_ms,
                open,
                high: open.max(close) + rng.i64(0..=reach),
                low: open.min(close) - rng.i64(0..=reach).min(open.min(close) - 1),
                close,
                lots,
                turnover: turnover(close, lots),
                fills: if lots == 0 { 0 } else { 1 + lots.unsigned_abs() % 97 },
                bought_lots: lots / 2,
                bought_turnover: turnover(close, lots / 2),
                last_ms: start_ms + length_ms - 1,
            });
            close = open;
        }
        let mut out = Self { length_ms, bars };
        out.roll(shape.start_ticks, now_ms);
        out
    }

    /// Opens the bar that holds `now_ms`, and flat ones for bars without trades before it.
    pub fn roll(&mut self, price: i64, now_ms: u64) {
        let current = now_ms - now_ms % self.length_ms;
        let oldest = current.saturating_sub(self.length_ms * (KEPT as u64 - 1));
        let next = self.bars.back().map_or(current, |last| last.start_ms + self.length_ms);
        let mut start_ms = next.max(oldest);
        while start_ms <= current {
            if self.bars.len() == KEPT {
                self.bars.pop_front();
            }
            self.bars.push_back(flat(price, start_ms));
            start_ms += self.length_ms;
        }
    }

    /// Counts a fill of this turnover.
    pub fn add(&mut self, fill: Fill, turnover: i128, now_ms: u64) {
        let Some(candle) = self.bars.back_mut() else { return };
        candle.high = candle.high.max(fill.ticks);
        candle.low = candle.low.min(fill.ticks);
        candle.close = fill.ticks;
        candle.lots += fill.lots;
        candle.turnover += turnover;
        candle.fills += 1;
        if fill.buy {
            candle.bought_lots += fill.lots;
            candle.bought_turnover += turnover;
        }
        candle.last_ms = now_ms;
    }

    /// The candle that starts at `start_ms` and ends before `end_ms`, as far as the bars kept reach.
    pub fn candle(&self, start_ms: u64, end_ms: u64) -> Option<Candle> {
        let first = self.bars.partition_point(|bar| bar.start_ms < start_ms);
        let end = self.bars.partition_point(|bar| bar.start_ms < end_ms);
        let mut bars = self.bars.range(first..end.max(first));
        let mut out = *bars.next()?;
        out.start_ms = start_ms;
        for bar in bars {
            out.high = out.high.max(bar.high);
            out.low = out.low.min(bar.low);
            out.close = bar.close;
            out.lots += bar.lots;
            out.turnover += bar.turnover;
            out.fills += bar.fills;
            out.bought_lots += bar.bought_lots;
            out.bought_turnover += bar.bought_turnover;
            out.last_ms = bar.last_ms;
        }
        Some(out)
    }

    /// Candles that start in `from_ms..=to_ms`, newest first, at most `limit`. `start_of` gives the first ms of the
    /// candle that holds a moment.
    pub fn list(&self, start_of: impl Fn(u64) -> u64, from_ms: u64, to_ms: u64, limit: usize) -> Vec<Candle> {
        let (Some(oldest), Some(newest)) = (self.bars.front(), self.bars.back()) else { return Vec::new() };
        let first = start_of(oldest.start_ms).max(from_ms);
        let mut out = Vec::new();
        let mut end = u64::MAX;
        let mut start = start_of(newest.start_ms);
        while start >= first && out.len() < limit {
            if start <= to_ms {
                out.extend(self.candle(start, end));
            }
            end = start;
            let Some(before) = start.checked_sub(1) else { break };
            start = start_of(before);
        }
        out
    }

    /// The last `count` bars as one candle.
    pub fn recent(&self, count: usize) -> Option<Candle> {
        let at = self.bars.len().saturating_sub(count);
        self.candle(self.bars.get(at)?.start_ms, u64::MAX)
    }
}

const fn flat(price: i64, start_ms: u64) -> Candle {
    Candle {
        start_ms,
        open: price,
        high: price,
        low: price,
        close: price,
        lots: 0,
        turnover: 0,
        fills: 0,
        bought_lots: 0,
        bought_turnover: 0,
        last_ms: start_ms,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_795_262_437_123;
    const MINUTE: u64 = 60_000;
    const SHAPE: Shape = Shape { start_ticks: 10_000, levels: 300, max_lots: 5_000 };

    fn candles() -> Candles {
        Candles::new(5, MINUTE, &SHAPE, |ticks, lots| i128::from(ticks * lots), NOW)
    }

    fn start_of(minutes: u64) -> impl Fn(u64) -> u64 {
        move |at| at - at % (minutes * MINUTE)
    }

    #[test]
    fn longer_candles_are_made_of_the_bars() {
        let mut candles = candles();
        candles.add(Fill { buy: true, ticks: SHAPE.start_ticks + 7, lots: 3 }, 30, NOW);
        let five = candles.list(start_of(5), 0, NOW, 2);
        let ones = candles.list(start_of(1), five[1].start_ms, five[0].start_ms - 1, 1_000);
        assert_eq!(ones.len(), 5);
        assert_eq!(five[1].open, ones[4].open);
        assert_eq!(five[1].close, ones[0].close);
        assert_eq!(five[1].high, ones.iter().map(|c| c.high).max().unwrap());
        assert_eq!(five[1].lots, ones.iter().map(|c| c.lots).sum::<i64>());
        assert_eq!(five[1].turnover, ones.iter().map(|c| c.turnover).sum::<i128>());
        assert!(ones.windows(2).all(|w| w[0].open == w[1].close), "the past has no jumps");
    }

    #[test]
    fn quiet_bars_are_flat_and_memory_is_bounded() {
        let mut candles = candles();
        candles.roll(999, NOW + 5 * MINUTE);
        let start = NOW - NOW % MINUTE + 4 * MINUTE;
        assert_eq!(candles.candle(start, start + MINUTE).map(|c| c.high), Some(999));
        candles.roll(999, NOW + 400 * 86_400_000);
        assert_eq!(candles.bars.len(), KEPT);
    }
}
