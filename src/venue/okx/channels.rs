//! The channels of OKX v5 and the arguments that subscribe to them, by stream and back.

use super::inst_type;
use crate::model::{AccountKind, BookDepth, Channel, Interval, Stream};

/// Books of every tick, which need a key.
pub(super) const TBT: &str = "tbt";
/// Trades one by one.
pub(super) const ALL: &str = "all";
/// Candles whose day begins at midnight in Hong Kong.
pub(super) const UTC8: &str = "utc8";

/// Books: the channel, its levels a side, our variant.
pub(super) const BOOKS: [(&str, u16, &str); 4] =
    [("books", 400, ""), ("books5", 5, ""), ("books-l2-tbt", 400, TBT), ("books50-l2-tbt", 50, TBT)];

/// Candle intervals: ours and OKX's. Those from 6 hours on exist twice, by the day of Hong Kong and with `utc` behind.
pub(super) const INTERVALS: [(&str, &str); 18] = [
    ("1s", "1s"),
    ("1m", "1m"),
    ("3m", "3m"),
    ("5m", "5m"),
    ("15m", "15m"),
    ("30m", "30m"),
    ("1h", "1H"),
    ("2h", "2H"),
    ("4h", "4H"),
    ("6h", "6H"),
    ("12h", "12H"),
    ("1d", "1D"),
    ("2d", "2D"),
    ("3d", "3D"),
    ("5d", "5D"),
    ("1w", "1W"),
    ("1M", "1M"),
    ("3M", "3M"),
];
/// The first of [`INTERVALS`] that exists twice.
pub(super) const BY_DAY: usize = 9;

/// Channels that are merged into the ticker of a contract, besides `tickers`; the last only of swaps.
const OF_CONTRACT: [&str; 4] = ["mark-price", "open-interest", "price-limit", "funding-rate"];
/// The same of the contract's index, whose name is not the symbol's.
pub(super) const OF_INDEX: &str = "index-tickers";

/// An argument as it is sent, which is also the topic's name.
pub(super) fn arg(channel: &str, key: &str, value: &str) -> String {
    format!(r#"{{"channel":"{channel}","{key}":"{value}"}}"#)
}

/// The argument of changes to the market's instruments.
pub(super) fn instruments(market: &str) -> String {
    arg("instruments", "instType", inst_type(market))
}

/// The arguments that a stream takes; the first one speaks for it.
pub(super) fn topics(market: &str, stream: &Stream) -> Vec<String> {
    let of_symbol = |channel: &str| arg(channel, "instId", &stream.symbol);
    match stream.channel {
        Channel::Ticker if market == "spot" => vec![of_symbol("tickers")],
        Channel::Ticker => {
            let besides = if market == "swap" { &OF_CONTRACT[..] } else { &OF_CONTRACT[..3] };
            let mut topics: Vec<_> = ["tickers"].iter().chain(besides).map(|channel| of_symbol(channel)).collect();
            topics.push(arg(OF_INDEX, "instId", &index(&stream.symbol)));
            topics
        }
        Channel::Liquidation => vec![arg("liquidation-orders", "instType", inst_type(market))],
        Channel::Account(AccountKind::Order | AccountKind::Fill) => vec![arg("orders", "instType", "ANY")],
        Channel::Account(AccountKind::Position) => vec![arg("positions", "instType", "ANY")],
        Channel::Account(AccountKind::Balance) => vec![r#"{"channel":"account"}"#.to_owned()],
        Channel::Raw => Vec::new(),
        Channel::Trade if stream.variant == ALL => vec![of_symbol("trades-all")],
        Channel::Trade => vec![of_symbol("trades")],
        Channel::Bbo => vec![of_symbol("bbo-tbt")],
        Channel::Book(depth) => vec![of_symbol(book(depth, stream.variant).unwrap_or("books"))],
        Channel::Candle(interval) => {
            let name = candle(interval, stream.variant).unwrap_or_default();
            vec![of_symbol(&format!("candle{name}"))]
        }
    }
}

/// The index of a contract: `BTC-USDT` for `BTC-USDT-SWAP`, `BTC-USD` for `BTC-USD_UM-SWAP`.
fn index(symbol: &str) -> String {
    let family = family(symbol);
    family.split('_').next().unwrap_or(&family).to_owned()
}

/// The family of a contract (`instFamily`): base and quote of its symbol.
pub(super) fn family(symbol: &str) -> String {
    symbol.split('-').take(2).collect::<Vec<_>>().join("-")
}

/// The channel of a book of this depth.
pub(super) fn book(depth: BookDepth, variant: &str) -> Option<&'static str> {
    let BookDepth::Levels(levels) = depth else { return None };
    BOOKS.iter().find(|(_, depth, of)| *depth == levels && *of == variant).map(|(name, ..)| *name)
}

/// OKX's word for an interval: by UTC, unless the variant says otherwise.
pub(super) fn candle(interval: Interval, variant: &str) -> Option<String> {
    let ours = interval.to_string();
    let at = INTERVALS.iter().position(|(known, _)| *known == ours)?;
    let theirs = INTERVALS.get(at)?.1;
    match (at >= BY_DAY, variant) {
        (true, UTC8) | (false, "") => Some(theirs.to_owned()),
        (true, "") => Some(format!("{theirs}utc")),
        _ => None,
    }
}

/// Channel and variant of a channel with `instId`, by OKX's name.
pub(super) fn of_symbol(channel: &str) -> Option<(Channel, &'static str)> {
    if let Some((_, levels, variant)) = BOOKS.iter().find(|(name, ..)| *name == channel) {
        return Some((Channel::Book(BookDepth::Levels(*levels)), variant));
    }
    if let Some(word) = channel.strip_prefix("candle") {
        let (theirs, is_utc) = word.strip_suffix("utc").map_or((word, false), |theirs| (theirs, true));
        let at = INTERVALS.iter().position(|(_, known)| *known == theirs)?;
        let variant = match (at >= BY_DAY, is_utc) {
            (true, false) => UTC8,
            (false, true) => return None,
            _ => "",
        };
        return Some((Channel::Candle(Interval::parse(INTERVALS.get(at)?.0)?), variant));
    }
    match channel {
        "bbo-tbt" => Some((Channel::Bbo, "")),
        "trades" => Some((Channel::Trade, "")),
        "trades-all" => Some((Channel::Trade, ALL)),
        "tickers" => Some((Channel::Ticker, "")),
        _ if OF_CONTRACT.contains(&channel) => Some((Channel::Ticker, "")),
        _ => None,
    }
}
