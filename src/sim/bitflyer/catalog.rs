//! The products the simulated bitFlyer lists: real names and steps, invented prices.

use crate::model::Decimal;
use crate::sim::market::Shape;

/// Levels a side of every market.
const LEVELS: usize = 600;

/// One listed product.
#[derive(Clone, Debug)]
pub(super) struct Spec {
    /// Its code.
    pub(super) code: String,
    /// The CFD; all others are spot pairs.
    pub(super) is_fx: bool,
    pub(super) base: String,
    pub(super) quote: String,
    tick: Decimal,
    lot: Decimal,
    /// How its market starts.
    pub(super) shape: Shape,
}

impl Spec {
    /// A price of so many ticks.
    pub(super) fn price(&self, ticks: i64) -> Decimal {
        Decimal::new(ticks.saturating_mul(self.tick.mantissa), self.tick.scale)
    }

    /// A size of so many lots.
    pub(super) fn size(&self, lots: i64) -> Decimal {
        Decimal::new(lots.saturating_mul(self.lot.mantissa), self.lot.scale)
    }

    /// A size of so many lots in units of 10⁻⁸.
    pub(super) fn amount(&self, lots: i64) -> i128 {
        let size = self.size(lots);
        i128::from(size.mantissa) * 10_i128.pow(u32::from(8_u8.saturating_sub(size.scale)))
    }

    /// What so many lots cost, in units of 10⁻⁸.
    pub(super) fn turnover(&self, ticks: i64, lots: i64) -> i128 {
        let price = self.price(ticks);
        i128::from(price.mantissa) * self.amount(lots) / 10_i128.pow(u32::from(price.scale))
    }

    /// The market as a feed calls it.
    pub(super) const fn market(&self) -> &'static str {
        if self.is_fx { "fx" } else { "spot" }
    }

    /// The market as the venue calls it.
    pub(super) const fn market_type(&self) -> &'static str {
        if self.is_fx { "FX" } else { "Spot" }
    }
}

/// code, price, tick, lot
type Line = (&'static str, &'static str, &'static str, &'static str);

const PRODUCTS: [Line; 9] = [
    ("BTC_JPY", "14250000", "1", "0.00000001"),
    ("FX_BTC_JPY", "14262000", "1", "0.00000001"),
    ("ETH_JPY", "452100", "1", "0.0000001"),
    ("XRP_JPY", "341.55", "0.01", "0.000001"),
    ("XLM_JPY", "38.512", "0.001", "0.0001"),
    ("MONA_JPY", "41.205", "0.001", "0.00001"),
    ("ELF_JPY", "38.77", "0.01", "0.0001"),
    ("ETH_BTC", "0.03172", "0.00001", "0.0000001"),
    ("BCH_BTC", "0.00524", "0.000001", "0.0000001"),
];

/// Every product, in a fixed order; with `only`, those and no others. A name that the list does not know becomes a pair.
pub(super) fn products(only: &[String]) -> Vec<Spec> {
    let all: Vec<Spec> = PRODUCTS.into_iter().map(spec).collect();
    if only.is_empty() {
        return all;
    }
    let known = |code: &String| all.iter().find(|spec| spec.code == *code).cloned();
    only.iter().map(|code| known(code).unwrap_or_else(|| spec((code, "125.5", "0.1", "0.001")))).collect()
}

fn spec((code, price, tick, lot): (&str, &str, &str, &str)) -> Spec {
    let number = |text: &str| Decimal::parse(text.as_bytes()).unwrap_or(Decimal::new(1, 0));
    let (tick, lot, price) = (number(tick), number(lot), number(price));
    let start_ticks = price.rescaled(tick.scale).map_or(10_000, |p| p / tick.mantissa).max(4 * LEVELS as i64);
    let pair = code.strip_prefix("FX_").unwrap_or(code);
    let (base, quote) = pair.split_once('_').unwrap_or((pair, "JPY"));
    // Two coins, or two thousand of the cheap ones.
    let coins = if start_ticks > 100_000 { 2 } else { 2_000 };
    let max_lots = coins * 10_i64.pow(u32::from(lot.scale)) / lot.mantissa;
    Spec {
        code: code.to_owned(),
        is_fx: code.starts_with("FX_"),
        base: base.to_owned(),
        quote: quote.to_owned(),
        tick,
        lot,
        shape: Shape { start_ticks, levels: LEVELS, max_lots },
    }
}
