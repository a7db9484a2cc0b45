//! Bybit v5 public topics: which text means which stream of which product.

use crate::sim::venue::Depth;

use super::catalog::Category;

/// What a topic carries about a symbol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stream {
    /// `orderbook.{depth}.{symbol}`
    Book(Depth),
    /// `publicTrade.{symbol}`; for options `publicTrade.{base}`
    Trades,
    /// `tickers.{symbol}`
    Ticker,
    /// `kline.{interval}.{symbol}`; a place in [`INTERVALS`].
    Kline(u8),
    /// `allLiquidation.{symbol}`
    Liquidation,
}

/// A candle interval: the venue's word, its length in ms.
pub(super) type Interval = (&'static str, u64);

const MINUTE: u64 = 60_000;
const DAY: u64 = 1_440 * MINUTE;

/// Every candle interval. Weeks start on Monday; a month is taken as 30 days from 1970, the one shape that is not
/// the venue's.
pub(super) const INTERVALS: [Interval; 13] = [
    ("1", MINUTE),
    ("3", 3 * MINUTE),
    ("5", 5 * MINUTE),
    ("15", 15 * MINUTE),
    ("30", 30 * MINUTE),
    ("60", 60 * MINUTE),
    ("120", 120 * MINUTE),
    ("240", 240 * MINUTE),
    ("360", 360 * MINUTE),
    ("720", 720 * MINUTE),
    ("D", DAY),
    ("W", 7 * DAY),
    ("M", 30 * DAY),
];

/// The first ms of the interval that holds `at_ms`.
pub(super) const fn interval_start((_, length): Interval, at_ms: u64) -> u64 {
    // 1970-01-01 was a Thursday: weeks are counted from the Monday after it.
    let offset = if length == 7 * DAY { 4 * DAY } else { 0 };
    if at_ms < offset { 0 } else { at_ms - (at_ms - offset) % length }
}

/// The interval with this name, as a place in [`INTERVALS`].
pub(super) fn interval(name: &str) -> Option<u8> {
    INTERVALS.iter().position(|(word, _)| *word == name).and_then(|at| u8::try_from(at).ok())
}

/// Reads a topic into the stream and the name behind it (a symbol, or a base coin for option trades); `None` when
/// the product has no such topic.
pub(super) fn parse(category: Category, topic: &str) -> Option<(Stream, &str)> {
    let (kind, rest) = topic.split_once('.')?;
    match kind {
        "orderbook" => {
            let (depth, symbol) = rest.split_once('.')?;
            Some((Stream::Book(parse_depth(category, depth)?), symbol))
        }
        "publicTrade" => Some((Stream::Trades, rest)),
        "tickers" => Some((Stream::Ticker, rest)),
        "kline" if category != Category::Option => {
            let (name, symbol) = rest.split_once('.')?;
            Some((Stream::Kline(interval(name)?), symbol))
        }
        "allLiquidation" if category.is_contract() => Some((Stream::Liquidation, rest)),
        _ => None,
    }
}

fn parse_depth(category: Category, text: &str) -> Option<Depth> {
    let allowed: &[u16] = if category == Category::Option { &[25, 100] } else { &[1, 50, 200, 1000] };
    if text == "full" {
        return (category != Category::Option).then_some(Depth::Full);
    }
    allowed.iter().copied().find(|n| n.to_string() == text).map(Depth::Levels)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn topics_of_each_product() {
        let book = |n| Some((Stream::Book(Depth::Levels(n)), "BTCUSDT"));
        assert_eq!(parse(Category::Linear, "orderbook.50.BTCUSDT"), book(50));
        assert_eq!(parse(Category::Linear, "orderbook.500.BTCUSDT"), None);
        assert_eq!(parse(Category::Linear, "orderbook.050.BTCUSDT"), None);
        assert_eq!(parse(Category::Option, "orderbook.50.BTCUSDT"), None);
        assert_eq!(parse(Category::Option, "orderbook.25.BTCUSDT"), book(25));
        assert_eq!(parse(Category::Option, "publicTrade.BTC"), Some((Stream::Trades, "BTC")));
        assert_eq!(parse(Category::Spot, "allLiquidation.BTCUSDT"), None);
        assert_eq!(parse(Category::Spot, "kline.7.BTCUSDT"), None);
        assert_eq!(parse(Category::Spot, "kline.D.BTCUSDT"), Some((Stream::Kline(10), "BTCUSDT")));
        assert_eq!(parse(Category::Spot, "nonsense"), None);
    }

    #[test]
    fn weeks_start_on_monday() {
        // 2026-11-21 is a Saturday; its week began on 2026-11-16.
        assert_eq!(interval_start(INTERVALS[11], 1_795_262_400_000), 1_794_787_200_000);
        assert_eq!(interval_start(INTERVALS[0], 119_999), 60_000);
    }
}
