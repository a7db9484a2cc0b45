//! The instruments the simulated OKX lists: real names, ticks, lots and contract sizes, invented prices.

use crate::model::Decimal;
use crate::sim::market::Shape;

use super::message::fields;

/// An instrument type, as OKX calls what tickbus calls a market.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InstType {
    /// Spot pairs.
    Spot,
    /// Perpetual swaps.
    Swap,
    /// Dated futures.
    Futures,
    /// Options.
    Option,
}

impl InstType {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Spot, Self::Swap, Self::Futures, Self::Option];

    /// The venue's word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Spot => "SPOT",
            Self::Swap => "SWAP",
            Self::Futures => "FUTURES",
            Self::Option => "OPTION",
        }
    }

    /// Our word for it.
    pub const fn market(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Swap => "swap",
            Self::Futures => "futures",
            Self::Option => "option",
        }
    }

    /// The type the venue calls so.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == text)
    }

    /// The type of one of our markets.
    pub fn of_market(market: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.market() == market)
    }
}

/// What a contract is worth; spot pairs have none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Contract {
    /// Amount behind one contract: of base currency, or of quote currency if inverse.
    pub value: Decimal,
    /// Settled in base currency.
    pub inverse: bool,
}

/// One listed instrument.
#[derive(Clone, Debug)]
pub struct Spec {
    /// Its type.
    pub kind: InstType,
    /// `instId`.
    pub symbol: String,
    /// Base currency.
    pub base: String,
    /// Quote currency.
    pub quote: String,
    /// `instFamily`; empty for spot.
    pub family: String,
    /// What a contract is worth.
    pub contract: Option<Contract>,
    /// Price step.
    pub tick: Decimal,
    /// Size step.
    pub lot: Decimal,
    /// Delivery in ms since 1970; 0 for spot and swaps.
    pub expiry_ms: u64,
    /// How its market starts.
    pub shape: Shape,
    /// `instIdCode`.
    pub code: u32,
}

/// Turnover is counted in units of 10⁻⁸.
const TURNOVER_SCALE: u8 = 8;
const TURNOVER_UNIT: i128 = 100_000_000;

impl Spec {
    /// A price as the venue writes it.
    pub fn price(&self, ticks: i64) -> Decimal {
        Decimal::new(ticks.saturating_mul(self.tick.mantissa), self.tick.scale).trimmed()
    }

    /// A size as the venue writes it: base currency on spot, contracts elsewhere.
    pub fn size(&self, lots: i64) -> Decimal {
        Decimal::new(lots.saturating_mul(self.lot.mantissa), self.lot.scale).trimmed()
    }

    /// The index it follows.
    pub fn index(&self) -> String {
        format!("{}-{}", self.base, self.quote)
    }

    /// What is traded in 10⁻⁸: of quote currency, of base currency if inverse.
    pub fn turnover(&self, ticks: i64, lots: i64) -> i128 {
        let unit = |scale: u8| 10_i128.pow(u32::from(scale));
        let price = i128::from(ticks) * i128::from(self.tick.mantissa);
        let amount = self.amount(lots);
        if self.inverse() {
            return amount * unit(self.tick.scale) / price.max(1);
        }
        amount * price / unit(self.tick.scale)
    }

    /// What so many lots stand for in 10⁻⁸: of base currency, of quote currency if inverse.
    pub fn amount(&self, lots: i64) -> i128 {
        let unit = |scale: u8| 10_i128.pow(u32::from(scale));
        let value = self.contract.map_or(Decimal::new(1, 0), |contract| contract.value);
        let size = i128::from(lots) * i128::from(self.lot.mantissa) * TURNOVER_UNIT / unit(self.lot.scale);
        size * i128::from(value.mantissa) / unit(value.scale)
    }

    /// Volume in the venue's three units: `vol`, `volCcy`, `volCcyQuote`.
    pub fn volumes(&self, lots: i64, turnover: i128) -> [String; 3] {
        let (amount, turnover) = (coins(self.amount(lots)), coins(turnover));
        let size = self.size(lots).to_string();
        match self.contract {
            None => [size, turnover.clone(), turnover],
            Some(contract) if contract.inverse => [size, turnover, amount],
            Some(_) => [size, amount, turnover],
        }
    }

    /// Whether it is settled in base currency.
    pub fn inverse(&self) -> bool {
        self.contract.is_some_and(|contract| contract.inverse)
    }

    /// The currency profits are paid in; the quote currency for spot.
    pub fn settle(&self) -> &str {
        if self.inverse() || self.kind == InstType::Option { &self.base } else { &self.quote }
    }

    /// The row of `GET /api/v5/public/instruments` and of the channel `instruments`; `announced` is the list of changes
    /// to come, as JSON.
    pub fn row(&self, announced: &str) -> String {
        let spot = self.kind == InstType::Spot;
        let for_contracts = |text: &str| if spot { String::new() } else { text.to_owned() };
        let (strike, right) = self.option_terms();
        let option = self.kind == InstType::Option;
        let value = self.contract.map(|contract| contract.value);
        // Options: 1 BTC times the multiplier.
        let (value, multiplier) =
            if option { (Some(Decimal::new(1, 0)), value) } else { (value, value.map(|_| Decimal::new(1, 0))) };
        let number = |number: Option<Decimal>| number.map_or(String::new(), |number| number.to_string());
        let value_ccy = if self.inverse() { &self.quote } else { &self.base };
        let linear = if self.inverse() || option { "inverse" } else { "linear" };
        let expiry = if self.expiry_ms == 0 { String::new() } else { self.expiry_ms.to_string() };
        let max = self.size(self.shape.max_lots.saturating_mul(100)).to_string();
        let of_pair = |text: &str| if spot { text.to_owned() } else { String::new() };
        let mut row = fields(&[
            ("alias", if self.kind == InstType::Futures { "quarter" } else { "" }.to_owned()),
            ("baseCcy", of_pair(&self.base)),
            ("category", "1".to_owned()),
            ("contTdSwTime", String::new()),
            ("ctMult", number(multiplier)),
            ("ctType", if spot || option { String::new() } else { linear.to_owned() }),
            ("ctVal", number(value)),
            ("ctValCcy", for_contracts(value_ccy)),
            ("expTime", expiry),
            ("instFamily", self.family.clone()),
            ("instId", self.symbol.clone()),
            ("instType", self.kind.as_str().to_owned()),
            ("lever", if option { "" } else { "10" }.to_owned()),
            ("listTime", "1584230400000".to_owned()),
            ("lotSz", self.lot.to_string()),
            ("maxLmtSz", max.clone()),
            ("maxMktSz", max),
            ("minSz", self.lot.to_string()),
            ("optType", right),
            ("quoteCcy", of_pair(&self.quote)),
            ("ruleType", "normal".to_owned()),
            ("settleCcy", for_contracts(self.settle())),
            ("state", "live".to_owned()),
            ("stk", strike),
            ("tickSz", self.tick.to_string()),
            ("uly", for_contracts(&self.index())),
        ]);
        row.pop();
        row.push_str(&format!(",\"instIdCode\":{},\"upcChg\":[{announced}]}}", self.code));
        row
    }

    /// Strike and `C` or `P`; both empty for what is no option.
    fn option_terms(&self) -> (String, String) {
        if self.kind != InstType::Option {
            return (String::new(), String::new());
        }
        let mut parts = self.symbol.rsplit('-').map(str::to_owned);
        let right = parts.next().unwrap_or_default();
        (parts.next().unwrap_or_default(), right)
    }
}

/// An amount in 10⁻⁸ as text.
pub(super) fn coins(amount: i128) -> String {
    Decimal::new(i64::try_from(amount).unwrap_or(i64::MAX), TURNOVER_SCALE).trimmed().to_string()
}

/// What one currency's instruments start with: price, spot tick, spot lot, swap tick, contract value, swap lot.
type Coin = (&'static str, [&'static str; 6]);

const COINS: [Coin; 8] = [
    ("BTC", ["60620.5", "0.1", "0.00000001", "0.1", "0.01", "0.01"]),
    ("ETH", ["1922.51", "0.01", "0.000001", "0.01", "0.1", "0.01"]),
    ("SOL", ["77.21", "0.01", "0.000001", "0.01", "1", "0.01"]),
    ("XRP", ["0.6121", "0.0001", "0.000001", "0.0001", "100", "0.01"]),
    ("DOGE", ["0.14321", "0.00001", "0.000001", "0.00001", "1000", "0.01"]),
    ("ADA", ["0.4417", "0.0001", "0.000001", "0.0001", "100", "0.1"]),
    ("LTC", ["81.35", "0.01", "0.000001", "0.01", "1", "0.1"]),
    ("LINK", ["14.215", "0.001", "0.000001", "0.001", "1", "0.1"]),
];

/// The pairs of OKX Japan: price, tick, lot.
const JAPANESE: [(&str, [&str; 3]); 6] = [
    ("BTC", ["13640001", "1", "0.00000001"]),
    ("ETH", ["431220", "1", "0.000001"]),
    ("XRP", ["252.52", "0.01", "0.001"]),
    ("LTC", ["9994", "1", "0.00000001"]),
    ("SOL", ["17410", "1", "0.000001"]),
    ("DOGE", ["32.145", "0.001", "0.001"]),
];

/// When the dated contracts are delivered, ms since 1970: 08:00 UTC of the day in their names.
const MAR_26_2027: u64 = 1_806_048_000_000;
const JUN_25_2027: u64 = 1_813_910_400_000;

/// Every instrument, in a fixed order; with `only`, those and no others. A name in `only` that the list does not know
/// becomes what its form says: `…-SWAP`, `…-260925`, `…-260925-60000-C`, else a spot pair.
pub fn instruments(japan: bool, only: &[String]) -> Vec<Spec> {
    let mut all = if japan { japanese() } else { everywhere() };
    if !only.is_empty() {
        all.retain(|spec| only.contains(&spec.symbol));
        for symbol in only {
            if !all.iter().any(|spec| spec.symbol == *symbol) {
                all.push(made_up(symbol));
            }
        }
    }
    for (code, spec) in (10_001..).zip(&mut all) {
        spec.code = code;
    }
    all
}

fn japanese() -> Vec<Spec> {
    let pair = |(base, [price, tick, lot]): &(&str, [&str; 3])| {
        Spec::new(InstType::Spot, &format!("{base}-JPY"), (base, "JPY"), None, [price, tick, lot], 0)
    };
    JAPANESE.iter().map(pair).collect()
}

fn everywhere() -> Vec<Spec> {
    let mut all = Vec::new();
    for (base, [price, spot_tick, spot_lot, tick, value, lot]) in COINS {
        let pair = (base, "USDT");
        all.push(Spec::new(InstType::Spot, &format!("{base}-USDT"), pair, None, [price, spot_tick, spot_lot], 0));
        let linear = contract(value, false);
        all.push(Spec::new(InstType::Swap, &format!("{base}-USDT-SWAP"), pair, linear, [price, tick, lot], 0));
    }
    for (base, [price, _, _, tick, value, lot]) in &COINS[..2] {
        let (usdt, usd) = ((*base, "USDT"), (*base, "USD"));
        let (linear, inverse) = (contract(value, false), contract(if *base == "BTC" { "100" } else { "10" }, true));
        let mut add = |kind, symbol: String, pair, contract, lot, expiry| {
            all.push(Spec::new(kind, &symbol, pair, contract, [price, tick, lot], expiry));
        };
        add(InstType::Swap, format!("{base}-USD-SWAP"), usd, inverse, "0.1", 0);
        add(InstType::Swap, format!("{base}-USD_UM-SWAP"), usd, linear, lot, 0);
        for (date, expiry) in [("270326", MAR_26_2027), ("270625", JUN_25_2027)] {
            add(InstType::Futures, format!("{base}-USDT-{date}"), usdt, linear, lot, expiry);
            add(InstType::Futures, format!("{base}-USD-{date}"), usd, inverse, "1", expiry);
        }
    }
    for (strike, call, put) in [(55_000, "0.1425", "0.0355"), (60_000, "0.0955", "0.071"), (65_000, "0.06", "0.119")] {
        for (right, price) in [("C", call), ("P", put)] {
            let symbol = format!("BTC-USD-270326-{strike}-{right}");
            let numbers = [price, "0.0001", "1"];
            all.push(Spec::new(
                InstType::Option,
                &symbol,
                ("BTC", "USD"),
                contract("0.01", false),
                numbers,
                MAR_26_2027,
            ));
        }
    }
    all
}

fn made_up(symbol: &str) -> Spec {
    let parts: Vec<&str> = symbol.split('-').collect();
    let pair = (parts[0], parts.get(1).copied().unwrap_or("USDT"));
    let linear = contract("1", false);
    match parts[..] {
        [.., "SWAP"] => Spec::new(InstType::Swap, symbol, pair, linear, ["1.25", "0.0001", "1"], 0),
        [.., "C" | "P"] => {
            let numbers = ["0.0955", "0.0001", "1"];
            Spec::new(InstType::Option, symbol, pair, contract("0.01", false), numbers, MAR_26_2027)
        }
        [_, _, _] => Spec::new(InstType::Futures, symbol, pair, linear, ["1.25", "0.0001", "1"], MAR_26_2027),
        _ => Spec::new(InstType::Spot, symbol, pair, None, ["1.25", "0.0001", "0.01"], 0),
    }
}

fn contract(value: &str, inverse: bool) -> Option<Contract> {
    Some(Contract { value: number(value), inverse })
}

fn number(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).unwrap_or(Decimal::new(1, 0))
}

impl Spec {
    fn new(
        kind: InstType,
        symbol: &str,
        (base, quote): (&str, &str),
        contract: Option<Contract>,
        [price, tick, lot]: [&str; 3],
        expiry_ms: u64,
    ) -> Self {
        let (price, tick, lot) = (number(price), number(tick), number(lot));
        let levels: usize = if kind == InstType::Option { 120 } else { 600 };
        let start = price.rescaled(tick.scale).map_or(10_000, |price| price / tick.mantissa);
        let shape = Shape { start_ticks: start.max(4 * levels as i64), levels, max_lots: 1_000 };
        let family = match kind {
            InstType::Spot => String::new(),
            _ => symbol.split('-').take(2).collect::<Vec<_>>().join("-"),
        };
        let quote = quote.trim_end_matches("_UM").to_owned();
        let (symbol, base) = (symbol.to_owned(), base.to_owned());
        let mut spec = Self { kind, symbol, base, quote, family, contract, tick, lot, expiry_ms, shape, code: 0 };
        // About 20,000 in quote currency is the largest ordinary order.
        let lot = if spec.inverse() { spec.amount(1) } else { spec.turnover(shape.start_ticks, 1) };
        let most = 20_000 * TURNOVER_UNIT * if spec.quote == "JPY" { 100 } else { 1 } / lot.max(1);
        let most = if kind == InstType::Option { 500 } else { i64::try_from(most).unwrap_or(i64::MAX / 1_000_000) };
        spec.shape.max_lots = most.clamp(20, 1_000_000_000_000);
        spec
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(symbol: &str) -> Spec {
        instruments(false, &[]).into_iter().find(|spec| spec.symbol == symbol).unwrap()
    }

    #[test]
    fn numbers_are_spelled_as_on_the_venue() {
        let spot = find("BTC-USDT");
        assert_eq!(spot.price(606_200).to_string(), "60620");
        assert_eq!(spot.price(606_205).to_string(), "60620.5");
        assert_eq!(spot.size(150_000_000).to_string(), "1.5");
        assert_eq!(spot.size(0).to_string(), "0");
        assert_eq!(find("BTC-USDT-SWAP").size(137).to_string(), "1.37");
    }

    #[test]
    fn volume_has_three_units() {
        let volumes = |symbol: &str, ticks, lots| {
            let spec = find(symbol);
            spec.volumes(lots, spec.turnover(ticks, lots))
        };
        assert_eq!(volumes("BTC-USDT", 600_000, 50_000_000), ["0.5", "30000", "30000"]);
        assert_eq!(volumes("BTC-USDT-SWAP", 600_000, 200), ["2", "0.02", "1200"]);
        assert_eq!(volumes("BTC-USD-SWAP", 500_000, 10_000), ["1000", "2", "100000"]);
    }

    #[test]
    fn every_market_has_room_below_its_price_and_names_are_unique() {
        for japan in [false, true] {
            let all = instruments(japan, &[]);
            let mut names: Vec<_> = all.iter().map(|spec| spec.symbol.clone()).collect();
            names.sort();
            names.dedup();
            assert_eq!(names.len(), all.len());
            for spec in &all {
                assert!(spec.shape.start_ticks >= 4 * spec.shape.levels as i64, "{}", spec.symbol);
                assert!(spec.shape.max_lots >= 20, "{}", spec.symbol);
            }
        }
    }

    #[test]
    fn unknown_names_become_what_their_form_says() {
        let only = ["NEW-USDT", "NEW-USDT-SWAP", "NEW-USD-280331", "NEW-USD-280331-5-P", "BTC-USDT", "X"];
        let kinds: Vec<_> = instruments(false, &only.map(str::to_owned)).into_iter().map(|spec| spec.kind).collect();
        use InstType::{Futures, Option, Spot, Swap};
        assert_eq!(kinds, [Spot, Spot, Swap, Futures, Option, Spot], "the known one first");
    }

    #[test]
    fn rows_tell_contracts_from_pairs() {
        let row = |symbol: &str| serde_json::from_str::<serde_json::Value>(&find(symbol).row("")).unwrap();
        let (spot, swap) = (row("BTC-USDT"), row("BTC-USDT-SWAP"));
        assert_eq!((&spot["baseCcy"], &spot["ctVal"], &spot["instFamily"]), (&"BTC".into(), &"".into(), &"".into()));
        assert_eq!((&swap["baseCcy"], &swap["ctVal"], &swap["ctValCcy"]), (&"".into(), &"0.01".into(), &"BTC".into()));
        assert_eq!((&swap["instFamily"], &swap["settleCcy"]), (&"BTC-USDT".into(), &"USDT".into()));
        let inverse = row("BTC-USD-SWAP");
        assert_eq!((&inverse["ctType"], &inverse["settleCcy"]), (&"inverse".into(), &"BTC".into()));
        let option = row("BTC-USD-270326-60000-C");
        assert_eq!(
            (&option["stk"], &option["optType"], &option["ctMult"]),
            (&"60000".into(), &"C".into(), &"0.01".into())
        );
        assert!(option["instIdCode"].is_u64() && option["upcChg"].as_array().unwrap().is_empty());
        assert_eq!(row("BTC-USD_UM-SWAP")["instFamily"], "BTC-USD_UM");
    }
}
