//! Channel names in the config: tickbus's, OKX v5's own, and those of OKEx v3, which are translated.

use super::channels::{self, ALL, BOOKS, BY_DAY, INTERVALS, TBT, UTC8};
use crate::model::{AccountKind, BookDepth, Channel, Interval};
use crate::venue::ChannelSpec;
use crate::venue::kit::interval::none_such;

/// Every channel a market has, as config spells it.
pub(super) fn list(market: &str) -> Vec<String> {
    let mut names: Vec<String> =
        BOOKS.iter().map(|(_, depth, variant)| with(&format!("book:{depth}"), variant)).collect();
    names.extend(["bbo", "trade", "trade:all", "ticker"].map(str::to_owned));
    names.extend(INTERVALS.iter().map(|(ours, _)| format!("candle:{ours}")));
    names.extend(INTERVALS.iter().skip(BY_DAY).map(|(ours, _)| format!("candle:{ours}:{UTC8}")));
    if market != "spot" {
        names.push("liquidation".to_owned());
    }
    names.extend(AccountKind::ALL.iter().map(|kind| kind.as_str().to_owned()));
    names
}

fn with(name: &str, variant: &str) -> String {
    if variant.is_empty() { name.to_owned() } else { format!("{name}:{variant}") }
}

/// Reads one entry of a feed's `channels`.
pub(super) fn parse(market: &str, text: &str) -> Result<ChannelSpec, String> {
    let unknown = || format!("unknown channel {text:?}");
    let spec = match text.split_once('/') {
        Some((prefix, rest)) => v3(market, text, prefix, rest)?,
        None => ours(text).or_else(|| theirs(text)).ok_or_else(unknown)?,
    };
    if matches!(spec.channel, Channel::Candle(interval) if channels::candle(interval, spec.variant).is_none()) {
        let why = none_such(INTERVALS.iter().map(|(ours, _)| *ours));
        return Err(format!("{text} is not available: {why}; with :utc8 from 6h on"));
    }
    let refused = match spec.channel {
        Channel::Book(depth) if channels::book(depth, spec.variant).is_none() => Some("no such book"),
        Channel::Liquidation if market == "spot" => Some("only contracts have liquidations"),
        Channel::Ticker if market == "spot" && spec.note.as_ref().is_some_and(|note| note.contains(MERGED)) => {
            Some("only contracts have it")
        }
        _ => None,
    };
    refused.map_or(Ok(spec), |why| Err(format!("{text} is not available: {why}")))
}

const MERGED: &str = "is part of ticker, which is subscribed to";

/// tickbus's spelling.
fn ours(text: &str) -> Option<ChannelSpec> {
    let mut parts = text.split(':');
    let (kind, detail, variant) = (parts.next()?, parts.next(), parts.next());
    if parts.next().is_some() {
        return None;
    }
    let (channel, variant) = match (kind, detail, variant) {
        ("book", None, None) => (Channel::Book(BookDepth::Levels(400)), ""),
        ("book", Some(depth), None) => (Channel::Book(BookDepth::Levels(depth.parse().ok()?)), ""),
        ("book", Some(depth), Some(TBT)) => (Channel::Book(BookDepth::Levels(depth.parse().ok()?)), TBT),
        ("bbo", None, None) => (Channel::Bbo, ""),
        ("trade", None, None) => (Channel::Trade, ""),
        ("trade", Some(ALL), None) => (Channel::Trade, ALL),
        ("ticker", None, None) => (Channel::Ticker, ""),
        ("candle", Some(interval), None) => (Channel::Candle(Interval::parse(interval)?), ""),
        ("candle", Some(interval), Some(UTC8)) => (Channel::Candle(Interval::parse(interval)?), UTC8),
        ("liquidation", None, None) => (Channel::Liquidation, ""),
        (word, None, None) => (Channel::Account(AccountKind::parse(word)?), ""),
        _ => return None,
    };
    Some(ChannelSpec { variant, ..ChannelSpec::of(channel) })
}

/// OKX v5's own spelling.
fn theirs(text: &str) -> Option<ChannelSpec> {
    let channel = match text {
        "liquidation-orders" => Channel::Liquidation,
        "orders" => Channel::Account(AccountKind::Order),
        "positions" => Channel::Account(AccountKind::Position),
        "account" => Channel::Account(AccountKind::Balance),
        channels::OF_INDEX => Channel::Ticker,
        _ => {
            let (channel, variant) = channels::of_symbol(text)?;
            let spec = ChannelSpec { variant, ..ChannelSpec::of(channel) };
            return Some(if channel == Channel::Ticker && text != "tickers" { merged(spec, text) } else { spec });
        }
    };
    let spec = ChannelSpec::of(channel);
    Some(if channel == Channel::Ticker { merged(spec, text) } else { spec })
}

fn merged(spec: ChannelSpec, text: &str) -> ChannelSpec {
    ChannelSpec { note: Some(format!("{text} {MERGED}")), ..spec }
}

/// OKEx v3: `spot/ticker:ETH-USDT`. The symbol may be left out for all of the feed's.
fn v3(market: &str, text: &str, prefix: &str, rest: &str) -> Result<ChannelSpec, String> {
    let (name, symbol) = rest.split_once(':').map_or((rest, None), |(name, symbol)| (name, Some(symbol)));
    if !["spot", "swap", "futures", "option"].contains(&prefix) {
        return Err(format!("{text} cannot be translated: no channel of v5 gives it by symbol"));
    }
    if prefix != market {
        return Err(format!("{text} is of market {prefix}, and this feed is of {market}: make a feed for {prefix}"));
    }
    let (channel, variant) = v3_channel(name).ok_or_else(|| format!("{text} is no channel of OKEx v3 that v5 has"))?;
    let symbols = match symbol {
        Some(symbol) if channel.has_symbol() => vec![symbol.to_owned()],
        _ => Vec::new(),
    };
    let note = Some(format!("v3 channel {text} read as {}", with(&channel.to_string(), variant)));
    Ok(ChannelSpec { channel, variant, symbols, book_depth: None, note })
}

/// Channel and variant of a v3 channel's name. Its day candles began at midnight in Hong Kong.
pub(super) fn v3_channel(name: &str) -> Option<(Channel, &'static str)> {
    if let Some(seconds) = name.strip_prefix("candle").and_then(|word| word.strip_suffix('s')) {
        let seconds: u32 = seconds.parse().ok()?;
        let (count, unit) = match seconds {
            604_800 => (1, 'w'),
            _ if seconds.is_multiple_of(86_400) => (seconds / 86_400, 'd'),
            _ if seconds.is_multiple_of(3_600) => (seconds / 3_600, 'h'),
            _ if seconds.is_multiple_of(60) => (seconds / 60, 'm'),
            _ => return None,
        };
        let interval = Interval { count: u16::try_from(count).ok().filter(|count| *count > 0)?, unit };
        let variant = if seconds >= 21_600 { UTC8 } else { "" };
        return channels::candle(interval, variant).map(|_| (Channel::Candle(interval), variant));
    }
    let channel = match name {
        "ticker" | "mark_price" | "price_range" | "funding_rate" => Channel::Ticker,
        "trade" => Channel::Trade,
        "depth" => return Some((Channel::Book(BookDepth::Levels(400)), "")),
        "depth5" => return Some((Channel::Book(BookDepth::Levels(5)), "")),
        "depth_l2_tbt" => return Some((Channel::Book(BookDepth::Levels(400)), TBT)),
        "order" => Channel::Account(AccountKind::Order),
        "position" => Channel::Account(AccountKind::Position),
        "account" => Channel::Account(AccountKind::Balance),
        _ => return None,
    };
    Some((channel, ""))
}
