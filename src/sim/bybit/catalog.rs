//! The instruments the simulated Bybit lists: real names, ticks and lots, invented prices.

use std::fmt;

use crate::model::Decimal;
use crate::sim::market::Shape;

/// A product, with a websocket path and a symbol list of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Category {
    /// Spot pairs.
    Spot,
    /// USDT and USDC perpetuals and futures.
    Linear,
    /// Contracts settled in the base coin.
    Inverse,
    /// Options.
    Option,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Spot, Self::Linear, Self::Inverse, Self::Option];

    /// The venue's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Linear => "linear",
            Self::Inverse => "inverse",
            Self::Option => "option",
        }
    }

    /// The category with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|category| category.as_str() == text)
    }

    /// Whether it has perpetuals and futures: the same message shapes.
    pub const fn is_contract(self) -> bool {
        matches!(self, Self::Linear | Self::Inverse)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One listed instrument.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its product.
    pub category: Category,
    /// The venue's spelling.
    pub symbol: String,
    /// Base coin.
    pub base: String,
    /// Quote coin.
    pub quote: String,
    /// Price step as the venue spells it.
    pub tick: Decimal,
    /// Size step as the venue spells it.
    pub lot: Decimal,
    /// Delivery in ms since 1970; 0 for spot and perpetuals.
    pub delivery_ms: u64,
    /// How its market starts.
    pub shape: Shape,
}

impl Spec {
    /// A price as the venue writes it: padded to the tick's decimals, trimmed on spot.
    pub fn price(&self, ticks: i64) -> Decimal {
        self.spelled(Decimal::new(ticks.saturating_mul(self.tick.mantissa), self.tick.scale))
    }

    /// A size as the venue writes it.
    pub fn size(&self, lots: i64) -> Decimal {
        if lots == 0 {
            return Decimal::ZERO;
        }
        self.spelled(Decimal::new(lots.saturating_mul(self.lot.mantissa), self.lot.scale))
    }

    /// Price times size, or their quotient for inverse contracts, in the quote (inverse: base) coin.
    pub fn turnover(&self, ticks: i64, lots: i64) -> i128 {
        let (price, size) = (i128::from(ticks * self.tick.mantissa), i128::from(lots * self.lot.mantissa));
        let unit = |scale: u8| 10_i128.pow(u32::from(scale));
        if self.category == Category::Inverse {
            return size * unit(self.tick.scale) * TURNOVER_UNIT / price.max(1) / unit(self.lot.scale);
        }
        price * size * TURNOVER_UNIT / unit(self.tick.scale) / unit(self.lot.scale)
    }

    fn spelled(&self, number: Decimal) -> Decimal {
        if self.category == Category::Spot { number.trimmed() } else { number }
    }
}

/// Turnover is counted in units of 10⁻⁴ coin.
const TURNOVER_UNIT: i128 = 10_000;

/// Writes a turnover with its four decimal places.
pub(super) fn turnover_text(units: i128) -> String {
    Decimal::new(i64::try_from(units).unwrap_or(i64::MAX), 4).trimmed().to_string()
}

/// base, price in quote, spot tick, spot lot, linear tick, linear lot
type Coin = (&'static str, &'static str, &'static str, &'static str, &'static str, &'static str);

const COINS: [Coin; 12] = [
    ("BTC", "60620", "0.1", "0.000001", "0.10", "0.001"),
    ("ETH", "1922.5", "0.01", "0.00001", "0.01", "0.01"),
    ("SOL", "77.2", "0.01", "0.001", "0.010", "0.1"),
    ("XRP", "0.6121", "0.0001", "0.01", "0.0001", "0.1"),
    ("DOGE", "0.14321", "0.00001", "0.1", "0.00001", "1"),
    ("ADA", "0.4417", "0.0001", "0.01", "0.0001", "1"),
    ("LINK", "14.215", "0.001", "0.001", "0.001", "0.1"),
    ("LTC", "81.35", "0.01", "0.00001", "0.01", "0.1"),
    ("BNB", "585.1", "0.1", "0.0001", "0.10", "0.01"),
    ("AVAX", "26.417", "0.001", "0.001", "0.001", "0.1"),
    ("DOT", "4.1230", "0.001", "0.001", "0.0010", "0.1"),
    ("SUI", "1.8731", "0.0001", "0.01", "0.00010", "10"),
];

/// When the dated contracts are delivered, ms since 1970: 08:00 UTC of the day in their names.
const MAR_26_2027: u64 = 1_806_048_000_000;
const JUN_25_2027: u64 = 1_813_910_400_000;

/// Every instrument, in a fixed order; with `only`, those and no others. A name in `only` that the list does not
/// know becomes a USDT pair on spot and linear.
pub fn instruments(only: &[String]) -> Vec<Spec> {
    let mut all = Vec::new();
    for (base, price, spot_tick, spot_lot, tick, lot) in COINS {
        all.push(spec(Category::Spot, &format!("{base}USDT"), (base, "USDT"), price, (spot_tick, spot_lot), 0));
        all.push(spec(Category::Linear, &format!("{base}USDT"), (base, "USDT"), price, (tick, lot), 0));
    }
    for (base, price, _, _, tick, lot) in &COINS[..2] {
        let (usdt, usdc, usd) = ((*base, "USDT"), (*base, "USDC"), (*base, "USD"));
        all.push(spec(Category::Linear, &format!("{base}PERP"), usdc, price, (tick, lot), 0));
        all.push(spec(Category::Linear, &format!("{base}USDT-26MAR27"), usdt, price, (tick, lot), MAR_26_2027));
        all.push(spec(Category::Linear, &format!("{base}-25JUN27"), usdc, price, (tick, lot), JUN_25_2027));
        let inverse_tick = if *base == "BTC" { "0.10" } else { "0.01" };
        all.push(spec(Category::Inverse, &format!("{base}USD"), usd, price, (inverse_tick, "1"), 0));
        all.push(spec(Category::Inverse, &format!("{base}USDH27"), usd, price, (inverse_tick, "1"), MAR_26_2027));
    }
    for (strike, call, put) in [(55_000, "8650", "2150"), (60_000, "5800", "4300"), (65_000, "3650", "7200")] {
        for (right, price) in [("C", call), ("P", put)] {
            let symbol = format!("BTC-26MAR27-{strike}-{right}-USDT");
            all.push(spec(Category::Option, &symbol, ("BTC", "USDT"), price, ("5", "0.01"), MAR_26_2027));
        }
    }
    if only.is_empty() {
        return all;
    }
    all.retain(|spec| only.contains(&spec.symbol));
    for symbol in only {
        if !all.iter().any(|spec| spec.symbol == *symbol) {
            let base = symbol.strip_suffix("USDT").unwrap_or(symbol);
            all.push(spec(Category::Spot, symbol, (base, "USDT"), "1.25", ("0.0001", "0.01"), 0));
            all.push(spec(Category::Linear, symbol, (base, "USDT"), "1.25", ("0.0001", "0.1"), 0));
        }
    }
    all
}

fn spec(
    category: Category,
    symbol: &str,
    (base, quote): (&str, &str),
    price: &str,
    (tick, lot): (&str, &str),
    delivery_ms: u64,
) -> Spec {
    let number = |text: &str| Decimal::parse(text.as_bytes()).unwrap_or(Decimal::new(1, 0));
    let (tick, lot, price) = (number(tick), number(lot), number(price));
    let start_ticks = price.rescaled(tick.scale).map_or(10_000, |p| p / tick.mantissa);
    let levels = if category == Category::Option { 120 } else { 600 };
    // About 20,000 in quote currency is the largest ordinary order; inverse sizes already are in USD.
    let lots_per_quote = i128::from(lot.mantissa) * i128::from(price.mantissa);
    let unit = 10_i128.pow(u32::from(lot.scale)) * 10_i128.pow(u32::from(price.scale));
    let max_lots = match category {
        Category::Inverse => 20_000,
        _ => i64::try_from(20_000 * unit / lots_per_quote.max(1)).unwrap_or(20_000).max(20),
    };
    let shape = Shape { start_ticks: start_ticks.max(4 * levels), levels: levels as usize, max_lots };
    let (symbol, base, quote) = (symbol.to_owned(), base.to_owned(), quote.to_owned());
    Spec { category, symbol, base, quote, tick, lot, delivery_ms, shape }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(category: Category, symbol: &str) -> Spec {
        instruments(&[]).into_iter().find(|s| s.category == category && s.symbol == symbol).unwrap()
    }

    #[test]
    fn numbers_are_spelled_as_on_the_venue() {
        let linear = find(Category::Linear, "BTCUSDT");
        assert_eq!(linear.price(606_200).to_string(), "60620.00");
        assert_eq!(linear.size(10).to_string(), "0.010");
        assert_eq!(linear.size(0).to_string(), "0");
        let spot = find(Category::Spot, "BTCUSDT");
        assert_eq!(spot.price(437_300).to_string(), "43730");
        assert_eq!(spot.size(1_500_000).to_string(), "1.5");
        assert_eq!(find(Category::Inverse, "BTCUSD").size(1_000).to_string(), "1000");
    }

    #[test]
    fn turnover_is_in_the_right_coin() {
        assert_eq!(turnover_text(find(Category::Linear, "BTCUSDT").turnover(600_000, 500)), "30000");
        assert_eq!(turnover_text(find(Category::Inverse, "BTCUSD").turnover(500_000, 100_000)), "2");
    }

    #[test]
    fn every_market_has_room_below_its_price_and_symbols_are_unique() {
        let all = instruments(&[]);
        let mut names: Vec<_> = all.iter().map(|s| (s.category, s.symbol.clone())).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), all.len());
        for spec in &all {
            assert!(spec.shape.start_ticks >= 4 * spec.shape.levels as i64, "{}", spec.symbol);
            assert!(spec.shape.max_lots >= 20, "{}", spec.symbol);
        }
    }

    #[test]
    fn symbols_can_be_chosen_or_made_up() {
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|s| (*s).to_owned()).collect();
            instruments(&only).into_iter().map(|s| format!("{}.{}", s.category, s.symbol)).collect::<Vec<_>>()
        };
        assert_eq!(names(&["BTCUSD"]), ["inverse.BTCUSD"]);
        assert_eq!(names(&["QQQUSDT"]), ["spot.QQQUSDT", "linear.QQQUSDT"]);
    }
}
