//! One security's bars of one interval: an invented past, and a present made of its trades.

use fastrand::Rng;
use jiff::civil::DateTime;

use super::moscow::Interval;

/// Bars kept at most, as in a terminal's settings; a quarter of them goes when there are more.
const MOST: usize = 65_536;

/// One bar, in ticks and lots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bar {
    /// When it begins, in Moscow.
    pub start: DateTime,
    /// First price.
    pub open: i64,
    /// Highest price.
    pub high: i64,
    /// Lowest price.
    pub low: i64,
    /// Last price.
    pub close: i64,
    /// Lots traded.
    pub lots: i64,
}

/// Bars of one interval, oldest first.
#[derive(Clone, Debug)]
pub(super) struct Series {
    interval: Interval,
    bars: Vec<Bar>,
}

impl Series {
    /// `count` bars of the past; the last of them holds `now` and ends at `price`.
    pub(super) fn new(seed: u64, interval: Interval, count: usize, price: i64, now: DateTime) -> Self {
        let mut rng = Rng::with_seed(seed);
        let reach = (price / 2_000).max(1);
        let mut bars = Vec::with_capacity(count);
        let (mut start, mut close) = (interval.start(now), price);
        for _ in 0..count.min(MOST) {
            let open = if interval == Interval::Tick { close } else { close + rng.i64(-reach..=reach) };
            let open = open.clamp((price / 2).max(1), price.saturating_mul(2));
            let (mut high, mut low) = (open.max(close), open.min(close));
            if interval != Interval::Tick {
                (high, low) = (high + rng.i64(0..=reach), (low - rng.i64(0..=reach)).max(1));
            }
            bars.push(Bar { start, open, high, low, close, lots: rng.i64(1..=5_000) });
            close = if interval == Interval::Tick { close + rng.i64(-1..=1) } else { open };
            start = interval.before(start);
        }
        bars.reverse();
        Self { interval, bars }
    }

    /// The bars, oldest first.
    pub(super) fn bars(&self) -> &[Bar] {
        &self.bars
    }

    /// Counts a trade.
    pub(super) fn add(&mut self, ticks: i64, lots: i64, at: DateTime) {
        let start = self.interval.start(at);
        if let Some(last) = self.bars.last_mut().filter(|bar| bar.start >= start && self.interval != Interval::Tick) {
            last.high = last.high.max(ticks);
            last.low = last.low.min(ticks);
            last.close = ticks;
            last.lots += lots;
            return;
        }
        if self.bars.len() >= MOST {
            self.bars.drain(..MOST / 4);
        }
        self.bars.push(Bar { start, open: ticks, high: ticks, low: ticks, close: ticks, lots });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> DateTime {
        "2026-11-19T11:57:56.5".parse().unwrap()
    }

    #[test]
    fn the_past_is_of_a_seed_and_leads_to_the_present() {
        for interval in [Interval::Minutes(1), Interval::Day, Interval::Month] {
            let bars = Series::new(5, interval, 300, 10_000, now()).bars().to_vec();
            assert_eq!(bars.len(), 300);
            assert_eq!((bars[299].start, bars[299].close), (interval.start(now()), 10_000));
            assert!(bars.windows(2).all(|w| w[0].start < w[1].start && w[0].close == w[1].open));
            let whole = |b: &Bar| b.low > 0 && b.low <= b.open.min(b.close) && b.high >= b.open.max(b.close);
            assert!(bars.iter().all(whole));
            assert_eq!(bars, Series::new(5, interval, 300, 10_000, now()).bars());
            assert_ne!(bars, Series::new(6, interval, 300, 10_000, now()).bars());
        }
    }

    #[test]
    fn trades_make_the_present() {
        let mut series = Series::new(5, Interval::Minutes(1), 2, 100, now());
        let before = series.bars()[1];
        series.add(90, 3, now());
        assert_eq!(series.bars()[1], Bar { low: before.low.min(90), close: 90, lots: before.lots + 3, ..before });
        let later = "2026-11-19T11:58:00".parse().unwrap();
        series.add(95, 2, later);
        assert_eq!(series.bars()[2], Bar { start: later, open: 95, high: 95, low: 95, close: 95, lots: 2 });
    }

    #[test]
    fn ticks_are_bars_of_their_own_and_bounded() {
        let mut series = Series::new(5, Interval::Tick, MOST, 100, now());
        series.add(90, 3, now());
        assert_eq!(series.bars().len(), MOST - MOST / 4 + 1);
    }
}
