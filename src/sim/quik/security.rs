//! One security of the simulated terminal: its true market, its trades of the day, and its bars.

use std::collections::BTreeMap;

use fastrand::Rng;
use jiff::civil::DateTime;

use super::bars::{Bar, Series};
use super::catalog::Spec;
use super::moscow::{self, Interval};
use super::value::{Value, number_text};
use crate::model::Decimal;
use crate::sim::market::{Fill, Level, Market, Side};

/// Levels of a side that the exchange shows.
pub(super) const DEPTH: usize = 20;
/// How often a trade has no side.
const SIDELESS_EVERY: u64 = 40;
/// Set in the flags of every trade besides the side's bits.
const HIGHER_FLAGS: i64 = 0x400;
/// First number whose text loses digits when the server writes it as a number.
const EXPONENT_NUMBERS: i64 = 123_456_789_012_345;

/// A trade of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AllTrade {
    /// Place of its security in the terminal.
    pub(super) security: usize,
    /// Trade number.
    pub(super) num: i64,
    /// Bit 0: the taker sold; bit 1: bought; higher bits mean other things.
    pub(super) flags: i64,
    /// Price.
    pub(super) ticks: i64,
    /// Lots.
    pub(super) lots: i64,
    /// Open positions after it, on derivatives.
    pub(super) open_interest: i64,
    /// When, in Moscow.
    pub(super) at: DateTime,
}

/// What happened today so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Day {
    /// First price.
    pub(super) open: i64,
    /// Highest price.
    pub(super) high: i64,
    /// Lowest price.
    pub(super) low: i64,
    /// Lots traded.
    pub(super) lots: i64,
    /// Sum of ticks × lots.
    pub(super) turnover: i64,
    /// Trades.
    pub(super) trades: i64,
    /// The last trade's lots.
    pub(super) last_lots: i64,
    /// The last trade's time.
    pub(super) last_at: DateTime,
}

/// See the module.
#[derive(Clone, Debug)]
pub(super) struct Security {
    /// What it is.
    pub(super) spec: Spec,
    /// Its market.
    pub(super) market: Market,
    /// Its day.
    pub(super) day: Day,
    /// Open positions, on derivatives.
    pub(super) open_interest: i64,
    seed: u64,
    rng: Rng,
    number: i64,
    series: BTreeMap<Interval, Series>,
}

impl Security {
    /// A fresh one.
    pub(super) fn new(seed: u64, spec: Spec, now: DateTime) -> Self {
        let market = Market::new(seed, spec.shape);
        let first = spec.shape.start_ticks;
        let day =
            Day { open: first, high: first, low: first, lots: 0, turnover: 0, trades: 0, last_lots: 0, last_at: now };
        let mut rng = Rng::with_seed(!seed);
        let number = match spec.class.code {
            "CETS" => 5_000_000_000,
            "TQBR" => 12_800_000_000,
            _ => 1_925_043_082_672_401_077,
        };
        let open_interest = if spec.class.derivatives { 1_200_000 + rng.i64(0..1_000) } else { 0 };
        Self { spec, market, day, open_interest, seed, rng, number, series: BTreeMap::new() }
    }

    /// One trade at the touch.
    pub(super) fn trade(&mut self, place: usize, exponent_ids: bool, now: DateTime) -> AllTrade {
        let fill = self.market.trade();
        self.count(fill, now);
        self.number += self.rng.i64(1..=9);
        let side = if fill.buy { 2 } else { 1 };
        let sideless = self.rng.u64(0..SIDELESS_EVERY) == 0;
        if self.spec.class.derivatives {
            self.open_interest = (self.open_interest + self.rng.i64(-3..=3)).max(0);
        }
        AllTrade {
            security: place,
            num: if exponent_ids { self.number % 1_000_000_000 + EXPONENT_NUMBERS } else { self.number },
            flags: HIGHER_FLAGS | if sideless { 0 } else { side },
            ticks: fill.ticks,
            lots: fill.lots,
            open_interest: self.open_interest,
            at: now,
        }
    }

    fn count(&mut self, fill: Fill, now: DateTime) {
        let day = &mut self.day;
        day.high = day.high.max(fill.ticks);
        day.low = day.low.min(fill.ticks);
        day.lots += fill.lots;
        day.turnover = day.turnover.saturating_add(fill.ticks.saturating_mul(fill.lots));
        day.trades += 1;
        (day.last_lots, day.last_at) = (fill.lots, now);
        for series in self.series.values_mut() {
            series.add(fill.ticks, fill.lots, now);
        }
    }

    /// Begins a new trading day at the last price.
    pub(super) fn new_day(&mut self, now: DateTime) {
        let last = self.market.last().ticks;
        self.day =
            Day { open: last, high: last, low: last, lots: 0, turnover: 0, trades: 0, last_lots: 0, last_at: now };
    }

    /// The bars of an interval, made up when they are first asked for.
    pub(super) fn bars(&mut self, interval: Interval, count: usize, now: DateTime) -> &[Bar] {
        let seed = self.seed ^ hash(interval);
        let price = self.market.last().ticks;
        let made = || Series::new(seed, interval, count, price, now);
        self.series.entry(interval).or_insert_with(made).bars()
    }

    /// The best levels of a side, prices ascending.
    pub(super) fn ascending(&self, side: Side) -> Vec<Level> {
        let mut levels = self.market.top(side, DEPTH).to_vec();
        levels.sort_by_key(|level| level.ticks);
        levels
    }

    /// Ticks times lots in rubles.
    pub(super) fn value(&self, turnover: i64) -> Decimal {
        let step = self.spec.step;
        let per_lot = if self.spec.class.derivatives { 1 } else { self.spec.lot };
        Decimal::new(turnover.saturating_mul(step.mantissa).saturating_mul(per_lot), step.scale)
    }

    /// A trade as QLua describes it.
    pub(super) fn trade_table(&self, trade: &AllTrade) -> Value {
        let derivative = self.spec.class.derivatives;
        let zero = || number_text(Decimal::ZERO);
        // The currency market's gateway knows milliseconds only.
        let currency = self.spec.class.code == "CETS";
        let datetime = if currency { moscow::datetime_to_ms(trade.at) } else { moscow::datetime(trade.at) };
        Value::Table(Vec::with_capacity(20))
            .with("class_code", self.spec.class.code)
            .with("sec_code", self.spec.code.as_str())
            .with("trade_num", trade.num)
            .with("flags", trade.flags)
            .with("price", number_text(self.spec.price(trade.ticks)))
            .with("qty", trade.lots)
            .with("value", number_text(self.value(trade.ticks.saturating_mul(trade.lots))))
            .with("open_interest", if derivative { trade.open_interest.to_string() } else { "0".to_owned() })
            .with("period", 1)
            .with("settlecode", if derivative { "" } else { "Y1" })
            .with("exchange_code", "")
            .with("exec_market", "")
            .with("accruedint", zero())
            .with("yield", zero())
            .with("reporate", zero())
            .with("repovalue", zero())
            .with("repo2value", zero())
            .with("repoterm", "0")
            .with("datetime", datetime)
    }
}

const fn hash(interval: Interval) -> u64 {
    match interval {
        Interval::Tick => 1 << 20,
        Interval::Minutes(length) => (length as u64) << 32,
        Interval::Day => 2 << 20,
        Interval::Week => 3 << 20,
        Interval::Month => 4 << 20,
    }
}
