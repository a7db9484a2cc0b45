//! One symbol's price history by the minute, bounded, and the longer candles made of it.

use std::collections::VecDeque;

use fastrand::Rng;

use crate::sim::market::Fill;

use super::catalog::Spec;
use super::message::Candle;
use super::topic::{Interval, interval_start};

/// Minutes kept: a little over two days, enough for every 24-hour figure.
const MINUTES: usize = 3_000;
const MINUTE_MS: u64 = 60_000;

/// Minute candles, oldest first, without holes.
#[derive(Clone, Debug)]
pub struct Candles {
    minutes: VecDeque<Candle>,
}

impl Candles {
    /// An invented past that ends at the symbol's first price.
    pub fn new(seed: u64, spec: &Spec, now_ms: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut minutes = VecDeque::with_capacity(MINUTES);
        let mut close = spec.shape.start_ticks;
        let mut start_ms = now_ms - now_ms % MINUTE_MS;
        let reach = (spec.shape.start_ticks / 2_000).max(1);
        while minutes.len() < MINUTES - 1 && start_ms >= MINUTE_MS {
            start_ms -= MINUTE_MS;
            let open = (close + rng.i64(-reach..=reach)).max(spec.shape.start_ticks / 2);
            let lots = rng.i64(0..=spec.shape.max_lots);
            minutes.push_front(Candle {
                start_ms,
                open,
                high: open.max(close) + rng.i64(0..=reach),
                low: open.min(close) - rng.i64(0..=reach).min(open.min(close) - 1),
                close,
                lots,
                turnover: spec.turnover(close, lots),
                last_ms: start_ms + MINUTE_MS - 1,
            });
            close = open;
        }
        let mut out = Self { minutes };
        out.roll(spec.shape.start_ticks, now_ms);
        out
    }

    /// Opens the minute that holds `now_ms`, and flat ones for minutes without trades before it.
    pub fn roll(&mut self, price: i64, now_ms: u64) {
        let current = now_ms - now_ms % MINUTE_MS;
        let oldest = current.saturating_sub(MINUTE_MS * (MINUTES as u64 - 1));
        let next = self.minutes.back().map_or(current, |last| last.start_ms + MINUTE_MS);
        let mut start_ms = next.max(oldest);
        while start_ms <= current {
            if self.minutes.len() == MINUTES {
                self.minutes.pop_front();
            }
            self.minutes.push_back(flat(price, start_ms));
            start_ms += MINUTE_MS;
        }
    }

    /// Counts a fill.
    pub fn add(&mut self, spec: &Spec, fill: Fill, now_ms: u64) {
        let Some(candle) = self.minutes.back_mut() else { return };
        candle.high = candle.high.max(fill.ticks);
        candle.low = candle.low.min(fill.ticks);
        candle.close = fill.ticks;
        candle.lots += fill.lots;
        candle.turnover += spec.turnover(fill.ticks, fill.lots);
        candle.last_ms = now_ms;
    }

    /// The candle of `interval` that starts at `start_ms`, as far as the minutes kept reach.
    pub fn candle(&self, (_, length_ms): Interval, start_ms: u64) -> Option<Candle> {
        let first = self.minutes.partition_point(|m| m.start_ms < start_ms);
        let end = self.minutes.partition_point(|m| m.start_ms < start_ms.saturating_add(length_ms));
        let mut minutes = self.minutes.range(first..end.max(first));
        let mut out = *minutes.next()?;
        out.start_ms = start_ms;
        for minute in minutes {
            out.high = out.high.max(minute.high);
            out.low = out.low.min(minute.low);
            out.close = minute.close;
            out.lots += minute.lots;
            out.turnover += minute.turnover;
            out.last_ms = minute.last_ms;
        }
        Some(out)
    }

    /// Candles that start in `from_ms..=to_ms`, newest first, at most `limit`.
    pub fn list(&self, interval: Interval, from_ms: u64, to_ms: u64, limit: usize) -> Vec<Candle> {
        let (Some(oldest), Some(newest)) = (self.minutes.front(), self.minutes.back()) else { return Vec::new() };
        let first = interval_start(interval, oldest.start_ms).max(from_ms);
        let mut out = Vec::new();
        let mut start = interval_start(interval, to_ms.min(newest.start_ms));
        while start >= first && out.len() < limit {
            out.extend(self.candle(interval, start));
            let Some(earlier) = start.checked_sub(interval.1) else { break };
            start = earlier;
        }
        out
    }

    /// The last `minutes` minutes as one candle.
    pub fn recent(&self, minutes: usize) -> Option<Candle> {
        let at = self.minutes.len().saturating_sub(minutes);
        let start_ms = self.minutes.get(at)?.start_ms;
        self.candle(("", u64::MAX), start_ms)
    }
}

const fn flat(price: i64, start_ms: u64) -> Candle {
    Candle { start_ms, open: price, high: price, low: price, close: price, lots: 0, turnover: 0, last_ms: start_ms }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::bybit::catalog::instruments;
    use crate::sim::bybit::topic::INTERVALS;

    const NOW: u64 = 1_795_262_437_123;

    #[test]
    fn longer_candles_are_made_of_the_minutes() {
        let spec = instruments(&[]).remove(0);
        let mut candles = Candles::new(5, &spec, NOW);
        candles.add(&spec, Fill { buy: true, ticks: spec.shape.start_ticks + 7, lots: 3 }, NOW);
        let five = candles.list(INTERVALS[2], 0, NOW, 2);
        let ones = candles.list(INTERVALS[0], five[1].start_ms, five[0].start_ms - 1, 1_000);
        assert_eq!(ones.len(), 5);
        assert_eq!(five[1].open, ones[4].open);
        assert_eq!(five[1].close, ones[0].close);
        assert_eq!(five[1].high, ones.iter().map(|c| c.high).max().unwrap());
        assert_eq!(five[1].lots, ones.iter().map(|c| c.lots).sum::<i64>());
        assert!(ones.windows(2).all(|w| w[0].open == w[1].close), "the past has no jumps");
    }

    #[test]
    fn quiet_minutes_are_flat_and_memory_is_bounded() {
        let spec = instruments(&[]).remove(0);
        let mut candles = Candles::new(5, &spec, NOW);
        candles.roll(999, NOW + 5 * MINUTE_MS);
        assert_eq!(candles.candle(INTERVALS[0], NOW - NOW % MINUTE_MS + 4 * MINUTE_MS).map(|c| c.high), Some(999));
        candles.roll(999, NOW + 400 * 86_400_000);
        assert_eq!(candles.minutes.len(), MINUTES);
    }
}
