//! Channel names: tickbus's, Bybit v5's and those of the retired API, which are translated.
//! Depths and intervals are those of the v5 public documentation of 2026-07.

use crate::book::SyncRule;
use crate::model::{AccountKind, BookDepth, Channel, Interval, Stream};
use crate::venue::ChannelSpec;
use crate::venue::bybit_v2;
use crate::venue::kit::interval::none_such;

/// Kline intervals: Bybit's name and ours.
const INTERVALS: &[(&str, &str)] = &[
    ("1", "1m"),
    ("3", "3m"),
    ("5", "5m"),
    ("15", "15m"),
    ("30", "30m"),
    ("60", "1h"),
    ("120", "2h"),
    ("240", "4h"),
    ("360", "6h"),
    ("720", "12h"),
    ("D", "1d"),
    ("W", "1w"),
    ("M", "1M"),
];

/// Book depths of a market. `orderbook.full` exists on spot since 2026-07-16; when it comes to contracts is not
/// known, so it is offered there too and the venue's refusal, if any, is reported.
fn depths(market: &str) -> &'static [u16] {
    if market == "option" { &[25, 100] } else { &[1, 50, 200, 1000] }
}

/// Every channel a market has, as config spells it.
pub(super) fn list(market: &str) -> Vec<String> {
    let option = market == "option";
    let mut names: Vec<String> = depths(market).iter().map(|depth| format!("book:{depth}")).collect();
    if !option {
        names.extend(["book:full".to_owned(), "bbo".to_owned()]);
    }
    names.extend(["trade".to_owned(), "ticker".to_owned()]);
    if !option {
        names.extend(INTERVALS.iter().map(|(_, ours)| format!("candle:{ours}")));
    }
    if matches!(market, "linear" | "inverse") {
        names.push("liquidation".to_owned());
    }
    let of_account = AccountKind::ALL.into_iter().filter(|kind| has_account(market, *kind));
    names.extend(of_account.map(|kind| kind.as_str().to_owned()));
    names
}

/// Whether a market has this channel of an account.
fn has_account(market: &str, kind: AccountKind) -> bool {
    kind != AccountKind::Position || market != "spot"
}

/// Reads one entry of a feed's `channels`.
pub(super) fn parse(market: &str, text: &str) -> Result<ChannelSpec, String> {
    let spec = if let Some(channel) = ours(market, text) {
        ChannelSpec::of(channel)
    } else if let Some((channel, symbol)) = parse_topic(text) {
        ChannelSpec { symbols: vec![symbol.to_owned()], ..ChannelSpec::of(channel) }
    } else if let Some(spec) = retired(market, text) {
        spec
    } else {
        return Err(format!("unknown channel {text:?}"));
    };
    check(market, spec.channel).map(|()| spec)
}

fn ours(market: &str, text: &str) -> Option<Channel> {
    match text.split_once(':') {
        None => match text {
            "book" => Some(Channel::Book(BookDepth::Levels(if market == "option" { 100 } else { 200 }))),
            "bbo" => Some(Channel::Bbo),
            "trade" => Some(Channel::Trade),
            "ticker" => Some(Channel::Ticker),
            "liquidation" => Some(Channel::Liquidation),
            // The venue's own names of topics, too.
            _ => AccountKind::parse(text).or_else(|| super::account::kind_of(text)).map(Channel::Account),
        },
        Some(("book", "full")) => Some(Channel::Book(BookDepth::Full)),
        Some(("book", depth)) => Some(Channel::Book(BookDepth::Levels(depth.parse().ok()?))),
        Some(("candle", interval)) => Some(Channel::Candle(Interval::parse(interval)?)),
        Some(_) => None,
    }
}

fn retired(market: &str, text: &str) -> Option<ChannelSpec> {
    let topic = bybit_v2::parse_topic(text)?;
    let symbols: Vec<String> = match topic.symbols {
        "*" => Vec::new(),
        names => names.split('|').map(str::to_owned).collect(),
    };
    let channel = match topic.channel {
        // v5 has no depth 25 for contracts: the next deeper book is taken and its best 25 are published.
        Channel::Book(BookDepth::Levels(25)) => Channel::Book(BookDepth::Levels(50)),
        other => other,
    };
    let book_depth = match topic.channel {
        Channel::Book(BookDepth::Levels(depth)) => Some(depth),
        _ => None,
    };
    let example = symbols.first().map_or("SYMBOL", String::as_str);
    let v5 = name(market, &Stream::new(example, channel));
    let note = Some(format!("retired channel {text} translated to v5 {v5}"));
    Some(ChannelSpec { channel, variant: "", symbols, book_depth, note })
}

/// Whether the market has the channel.
fn check(market: &str, channel: Channel) -> Result<(), String> {
    if matches!(channel, Channel::Candle(interval) if market != "option" && kline(interval).is_none()) {
        return Err(format!("{channel} is not available: {}", none_such(INTERVALS.iter().map(|(_, ours)| *ours))));
    }
    let refused = match channel {
        Channel::Book(BookDepth::Levels(500)) => Some("depth 500 was withdrawn on 2025-09-11"),
        Channel::Book(BookDepth::Levels(depth)) if !depths(market).contains(&depth) => Some("no such depth here"),
        Channel::Book(BookDepth::Full) | Channel::Bbo if market == "option" => Some("options have no such book"),
        Channel::Candle(_) if market == "option" => Some("options have no candles"),
        Channel::Liquidation if matches!(market, "spot" | "option") => Some("only contracts have liquidations"),
        Channel::Account(kind) if !has_account(market, kind) => Some("spot has no positions"),
        _ => None,
    };
    refused.map_or(Ok(()), |why| Err(format!("{channel} is not available: {why}")))
}

/// Bybit's word for an interval.
pub(super) fn kline(interval: Interval) -> Option<&'static str> {
    let ours = interval.to_string();
    INTERVALS.iter().find(|(_, name)| *name == ours).map(|(theirs, _)| *theirs)
}

/// The interval that Bybit calls so.
pub(super) fn interval_of(theirs: &str) -> Option<Interval> {
    INTERVALS.iter().find(|(known, _)| *known == theirs).and_then(|(_, ours)| Interval::parse(ours))
}

/// The v5 topic of a stream.
pub(super) fn name(market: &str, stream: &Stream) -> String {
    let symbol = &stream.symbol;
    match stream.channel {
        Channel::Book(BookDepth::Levels(depth)) => format!("orderbook.{depth}.{symbol}"),
        Channel::Book(BookDepth::Full) => format!("orderbook.full.{symbol}"),
        Channel::Bbo => format!("orderbook.1.{symbol}"),
        // Options are traded by base coin: one topic carries the trades of all its contracts.
        Channel::Trade if market == "option" => format!("publicTrade.{}", base_coin(symbol)),
        Channel::Trade => format!("publicTrade.{symbol}"),
        Channel::Ticker => format!("tickers.{symbol}"),
        Channel::Candle(interval) => format!("kline.{}.{symbol}", kline(interval).unwrap_or("?")),
        Channel::Liquidation => format!("allLiquidation.{symbol}"),
        Channel::Raw => symbol.clone(),
        Channel::Account(kind) => super::account::topic(kind).to_owned(),
    }
}

/// The base coin of an option: what is before the first hyphen.
pub(super) fn base_coin(symbol: &str) -> &str {
    symbol.split('-').next().unwrap_or(symbol)
}

/// A v5 topic's channel and symbol.
pub(super) fn parse_topic(topic: &str) -> Option<(Channel, &str)> {
    let (kind, rest) = topic.split_once('.')?;
    let (channel, symbol) = match kind {
        "orderbook" => {
            let (depth, symbol) = rest.split_once('.')?;
            let depth = if depth == "full" { BookDepth::Full } else { BookDepth::Levels(depth.parse().ok()?) };
            (Channel::Book(depth), symbol)
        }
        "publicTrade" => (Channel::Trade, rest),
        "tickers" => (Channel::Ticker, rest),
        "kline" => {
            let (interval, symbol) = rest.split_once('.')?;
            (Channel::Candle(interval_of(interval)?), symbol)
        }
        "allLiquidation" => (Channel::Liquidation, rest),
        _ => return None,
    };
    (!symbol.is_empty()).then_some((channel, symbol))
}

/// How the book of a channel is kept.
pub(super) fn rule(channel: Channel) -> SyncRule {
    match channel {
        Channel::Bbo | Channel::Book(BookDepth::Levels(1)) => SyncRule::SnapshotOnly,
        Channel::Book(BookDepth::Full) => SyncRule::IncrementFromImage,
        _ => SyncRule::Increment,
    }
}
