//! The symbols the simulated Binance lists: real names, ticks and lots, invented prices.

use crate::model::Decimal;
use crate::sim::market::Shape;

/// A market, with symbols of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Market {
    /// Spot pairs.
    Spot,
    /// USDT- and USDC-margined futures.
    Usdm,
    /// Coin-margined futures.
    Coinm,
}

impl Market {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Spot, Self::Usdm, Self::Coinm];

    /// Our word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Usdm => "usdm",
            Self::Coinm => "coinm",
        }
    }

    /// The market we call so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|market| market.as_str() == text)
    }

    /// Whether its symbols are futures.
    pub const fn is_futures(self) -> bool {
        !matches!(self, Self::Spot)
    }

    /// The venue's number for it, in `st`.
    pub(super) const fn number(self) -> u8 {
        match self {
            Self::Spot => 0,
            Self::Usdm => 1,
            Self::Coinm => 2,
        }
    }
}

/// One listed symbol.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its market.
    pub market: Market,
    /// The venue's spelling.
    pub symbol: String,
    /// Its spelling in the names of streams.
    pub lower: String,
    /// Base asset.
    pub base: String,
    /// Quote asset.
    pub quote: String,
    /// Price step.
    pub tick: Decimal,
    /// Size step: base asset, on COIN-M contracts.
    pub lot: Decimal,
    /// What a COIN-M contract is worth in USD; elsewhere 0.
    pub contract_size: u32,
    /// Delivery in ms since 1970; 0 for pairs and perpetuals.
    pub delivery_ms: u64,
    /// How its market starts.
    pub shape: Shape,
}

/// Amounts are counted in units of 10⁻⁸.
const UNIT: i128 = 100_000_000;
/// Decimal places of every number on spot.
const SPOT_SCALE: u8 = 8;

impl Spec {
    /// A price as the venue writes it: eight decimal places on spot, those of the tick elsewhere.
    pub fn price(&self, ticks: i64) -> Decimal {
        self.spelled(Decimal::new(ticks.saturating_mul(self.tick.mantissa), self.tick.scale))
    }

    /// A size as the venue writes it.
    pub fn size(&self, lots: i64) -> Decimal {
        self.spelled(Decimal::new(lots.saturating_mul(self.lot.mantissa), self.lot.scale))
    }

    fn spelled(&self, number: Decimal) -> Decimal {
        if self.market.is_futures() {
            return number;
        }
        number.rescaled(SPOT_SCALE).map_or(number, |mantissa| Decimal::new(mantissa, SPOT_SCALE))
    }

    /// What is traded in 10⁻⁸: of quote asset, on COIN-M of base asset.
    pub fn turnover(&self, ticks: i64, lots: i64) -> i128 {
        let unit = |scale: u8| 10_i128.pow(u32::from(scale));
        let price = i128::from(ticks) * i128::from(self.tick.mantissa);
        let size = i128::from(lots) * i128::from(self.lot.mantissa) * UNIT / unit(self.lot.scale);
        if self.market == Market::Coinm {
            return size * i128::from(self.contract_size) * unit(self.tick.scale) / price.max(1);
        }
        size * price / unit(self.tick.scale)
    }

    /// `BTCUSD` for `BTCUSD_PERP`; the symbol itself for everything that has no underscore.
    pub fn pair(&self) -> &str {
        self.symbol.split_once('_').map_or(&self.symbol, |(pair, _)| pair)
    }

    /// Whether it has funding.
    pub const fn is_perpetual(&self) -> bool {
        self.market.is_futures() && self.delivery_ms == 0
    }

    /// The asset profits are paid in.
    pub fn margin(&self) -> &str {
        if self.market == Market::Coinm { &self.base } else { &self.quote }
    }
}

/// An amount in 10⁻⁸ as the venue writes it.
pub(super) fn coins(amount: i128) -> String {
    Decimal::new(i64::try_from(amount).unwrap_or(i64::MAX), SPOT_SCALE).to_string()
}

/// Name, price, and tick and lot on spot and on USD-M, and the tick on COIN-M.
type Coin = (&'static str, &'static str, [&'static str; 5]);

const COINS: [Coin; 12] = [
    ("BTC", "60620", ["0.01", "0.00001", "0.10", "0.001", "0.1"]),
    ("ETH", "1922.5", ["0.01", "0.0001", "0.01", "0.001", "0.01"]),
    ("BNB", "585.1", ["0.01", "0.001", "0.010", "0.01", "0.010"]),
    ("SOL", "77.2", ["0.01", "0.001", "0.0100", "0.01", "0.001"]),
    ("XRP", "0.6121", ["0.0001", "0.1", "0.0001", "0.1", "0.0001"]),
    ("DOGE", "0.14321", ["0.00001", "1", "0.000010", "1", "0.00001"]),
    ("ADA", "0.4417", ["0.0001", "0.1", "0.00010", "1", "0.00010"]),
    ("LINK", "14.215", ["0.01", "0.01", "0.001", "0.01", "0.001"]),
    ("LTC", "81.35", ["0.01", "0.001", "0.01", "0.001", "0.01"]),
    ("AVAX", "26.417", ["0.01", "0.01", "0.0010", "1", "0.001"]),
    ("DOT", "4.1230", ["0.001", "0.01", "0.001", "0.1", "0.001"]),
    ("SUI", "1.8731", ["0.0001", "0.1", "0.000100", "0.1", "0.0001"]),
];

/// A symbol with letters that are no ASCII, as the venue lists some.
const CHINESE: &str = "币安人生";

/// Levels a side of the markets with a name, and of those that are only counted.
const LEVELS: i64 = 600;
const FEW_LEVELS: i64 = 120;

/// When the dated contracts are delivered, ms since 1970: 08:00 UTC of the day in their names.
const DATED: [(&str, u64); 2] = [("270326", 1_806_048_000_000), ("270625", 1_813_910_400_000)];

/// Most symbols a number may ask for.
pub const MOST_SYMBOLS: usize = 5_000;

/// Every symbol, in a fixed order; with `only`, those and no others. A name in `only` that the list does not know becomes
/// what its form says (`…_PERP` and `…USD_270326` COIN-M, `…USDT_270326` USD-M, else a pair on spot and USD-M); a number
/// becomes that many made-up symbols on every market, with shallow books.
pub fn instruments(only: &[String]) -> Vec<Spec> {
    let mut all = everything();
    if only.is_empty() {
        return all;
    }
    all.retain(|spec| only.contains(&spec.symbol));
    for name in only {
        if let Ok(count) = name.parse::<usize>() {
            (1..=count.min(MOST_SYMBOLS)).for_each(|at| all.extend(counted(at)));
        } else if !all.iter().any(|spec| spec.symbol == *name) {
            all.extend(made_up(name));
        }
    }
    all
}

fn everything() -> Vec<Spec> {
    let mut all = Vec::new();
    for (base, price, [spot_tick, spot_lot, tick, lot, inverse_tick]) in COINS {
        let pair = format!("{base}USDT");
        all.push(Spec::new(Market::Spot, &pair, (base, "USDT"), [price, spot_tick, spot_lot], LEVELS));
        all.push(Spec::new(Market::Usdm, &pair, (base, "USDT"), [price, tick, lot], LEVELS));
        let perpetual = format!("{base}USD_PERP");
        all.push(Spec::new(Market::Coinm, &perpetual, (base, "USD"), [price, inverse_tick, "1"], LEVELS));
    }
    for (base, price, [spot_tick, spot_lot, tick, lot, inverse_tick]) in &COINS[..2] {
        let pair = format!("{base}USDC");
        all.push(Spec::new(Market::Spot, &pair, (base, "USDC"), [price, spot_tick, spot_lot], LEVELS));
        all.push(Spec::new(Market::Usdm, &pair, (base, "USDC"), [price, tick, lot], LEVELS));
        for (date, delivery_ms) in DATED {
            let linear =
                Spec::new(Market::Usdm, &format!("{base}USDT_{date}"), (base, "USDT"), [price, tick, lot], LEVELS);
            let name = format!("{base}USD_{date}");
            let inverse = Spec::new(Market::Coinm, &name, (base, "USD"), [price, inverse_tick, "1"], LEVELS);
            all.extend([linear, inverse].map(|spec| Spec { delivery_ms, ..spec }));
        }
    }
    for (market, lot) in [(Market::Spot, "0.1"), (Market::Usdm, "1")] {
        let symbol = format!("{CHINESE}USDT");
        all.push(Spec::new(market, &symbol, (CHINESE, "USDT"), ["0.1452", "0.0001", lot], LEVELS));
    }
    all
}

fn counted(at: usize) -> [Spec; 3] {
    let base = format!("SIM{at:04}");
    let of = |market, symbol: String, quote, lot| {
        Spec::new(market, &symbol, (&base, quote), ["125", "0.01", lot], FEW_LEVELS)
    };
    [
        of(Market::Spot, format!("{base}USDT"), "USDT", "0.01"),
        of(Market::Usdm, format!("{base}USDT"), "USDT", "0.1"),
        of(Market::Coinm, format!("{base}USD_PERP"), "USD", "1"),
    ]
}

fn made_up(symbol: &str) -> Vec<Spec> {
    let Some((pair, kind)) = symbol.split_once('_') else {
        let pair = (symbol.strip_suffix("USDT").unwrap_or(symbol), "USDT");
        let of = |market, lot| Spec::new(market, symbol, pair, ["1.25", "0.0001", lot], LEVELS);
        return vec![of(Market::Spot, "0.01"), of(Market::Usdm, "0.1")];
    };
    let (market, base, quote, lot) = match pair.strip_suffix("USD") {
        Some(base) => (Market::Coinm, base, "USD", "1"),
        None => (Market::Usdm, pair.strip_suffix("USDT").unwrap_or(pair), "USDT", "0.1"),
    };
    let delivery_ms = if kind == "PERP" { 0 } else { DATED[0].1 };
    vec![Spec { delivery_ms, ..Spec::new(market, symbol, (base, quote), ["1.25", "0.0001", lot], LEVELS) }]
}

impl Spec {
    /// `numbers` are price, tick and lot.
    fn new(market: Market, symbol: &str, (base, quote): (&str, &str), numbers: [&str; 3], levels: i64) -> Self {
        let [price, tick, lot] = numbers.map(|text| Decimal::parse(text.as_bytes()).unwrap_or(Decimal::new(1, 0)));
        let scale = tick.scale.max(price.scale);
        let units = |number: Decimal| number.rescaled(scale).unwrap_or(1);
        let start_ticks = (units(price) / units(tick).max(1)).max(4);
        let levels = usize::try_from(levels.min(start_ticks / 4)).unwrap_or(1);
        // About 20,000 in quote asset is the largest ordinary order; COIN-M contracts already are in USD.
        let unit = 10_i128.pow(u32::from(lot.scale)) * 10_i128.pow(u32::from(price.scale));
        let per_lot = i128::from(lot.mantissa) * i128::from(price.mantissa);
        let max_lots = match market {
            Market::Coinm => 2_000,
            _ => i64::try_from(20_000 * unit / per_lot.max(1)).unwrap_or(20_000).max(20),
        };
        let contract_size = match (market, base) {
            (Market::Coinm, "BTC") => 100,
            (Market::Coinm, _) => 10,
            _ => 0,
        };
        Self {
            market,
            symbol: symbol.to_owned(),
            lower: symbol.to_lowercase(),
            base: base.to_owned(),
            quote: quote.to_owned(),
            tick,
            lot,
            contract_size,
            delivery_ms: 0,
            shape: Shape { start_ticks, levels, max_lots },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(market: Market, symbol: &str) -> Spec {
        instruments(&[]).into_iter().find(|s| s.market == market && s.symbol == symbol).unwrap()
    }

    #[test]
    fn numbers_are_spelled_as_on_the_venue() {
        let spot = find(Market::Spot, "BTCUSDT");
        assert_eq!(
            (spot.price(6_062_000).to_string(), spot.size(0).to_string()),
            ("60620.00000000".into(), "0.00000000".into())
        );
        let usdm = find(Market::Usdm, "BTCUSDT");
        assert_eq!((usdm.price(606_200).to_string(), usdm.size(0).to_string()), ("60620.00".into(), "0.000".into()));
        let coinm = find(Market::Coinm, "BTCUSD_PERP");
        assert_eq!((coinm.price(606_201).to_string(), coinm.size(19).to_string()), ("60620.1".into(), "19".into()));
        assert_eq!(coinm.pair(), "BTCUSD");
        assert!(find(Market::Usdm, "BTCUSDT_270326").delivery_ms > 0);
    }

    #[test]
    fn turnover_is_in_the_right_asset() {
        assert_eq!(coins(find(Market::Usdm, "BTCUSDT").turnover(600_000, 500)), "30000.00000000");
        assert_eq!(coins(find(Market::Coinm, "BTCUSD_PERP").turnover(500_000, 1_000)), "2.00000000");
        assert_eq!(coins(find(Market::Coinm, "ETHUSD_PERP").turnover(200_000, 100)), "0.50000000");
    }

    #[test]
    fn names_choose_and_make_up_symbols() {
        let names = |only: &[&str]| {
            let only: Vec<String> = only.iter().map(|&name| name.into()).collect();
            instruments(&only).into_iter().map(|spec| (spec.market, spec.symbol)).collect::<Vec<_>>()
        };
        assert_eq!(names(&["MOONUSD_PERP"]), [(Market::Coinm, "MOONUSD_PERP".to_owned())]);
        assert_eq!(names(&["MOONUSDT_270326"]), [(Market::Usdm, "MOONUSDT_270326".to_owned())]);
        let pair = |market| (market, "MOONUSDT".to_owned());
        assert_eq!(names(&["MOONUSDT"]), [pair(Market::Spot), pair(Market::Usdm)]);
        assert_eq!(names(&["1000"]).len(), 3_000);
        assert_eq!(names(&["1000"])[2_999].1, "SIM1000USD_PERP");
    }
}
