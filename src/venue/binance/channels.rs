//! Channel names: tickbus's and Binance's stream names.
//!
//! A book of 5, 10 or 20 levels is partial depth: each message is the whole of it. A deeper one is put together from a
//! REST image of so many levels and diff depth updates; levels beyond the image are known once they change.

use crate::model::{AccountKind, BookDepth, Channel, Interval, Stream};
use crate::venue::ChannelSpec;
use crate::venue::kit::interval::none_such;

use super::market::Segment;

/// Levels of partial depth.
const PARTIAL: [u16; 3] = [5, 10, 20];
/// Candle intervals of all markets; spot has `1s` too.
const INTERVALS: [&str; 15] =
    ["1m", "3m", "5m", "15m", "30m", "1h", "2h", "4h", "6h", "8h", "12h", "1d", "3d", "1w", "1M"];
/// The day of candles that begins at midnight of UTC+8; spot only.
pub(super) const UTC8: &str = "utc8";
const UTC8_THEIRS: &str = "+08:00";

/// What one of the venue's streams carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kind {
    Diff,
    Partial,
    BookTicker,
    Trade,
    AggTrade,
    Ticker,
    MiniTicker,
    Mark,
    Candle(Interval),
    Liquidation,
}

/// Depth update speeds of a market: our variant and the stream name's end. The first is the usual one. `@0ms` of
/// futures is not in the documentation; recordings of 2022 to 2024 have it.
fn speeds(segment: Segment, partial: bool) -> &'static [(&'static str, &'static str)] {
    match (segment, partial) {
        (Segment::Spot, _) => &[("", "@100ms"), ("1000ms", "")],
        (_, true) => &[("", "@100ms"), ("250ms", ""), ("500ms", "@500ms")],
        (_, false) => &[("", "@100ms"), ("fast", "@0ms"), ("250ms", ""), ("500ms", "@500ms")],
    }
}

/// Levels of a REST image.
fn images(segment: Segment) -> &'static [u16] {
    if segment.is_spot() { &[100, 500, 1000, 5000] } else { &[100, 500, 1000] }
}

fn is_partial(depth: u16) -> bool {
    PARTIAL.contains(&depth)
}

/// Whether a channel's book is put together from an image and diff depth updates.
pub(super) fn is_diff(channel: Channel) -> bool {
    matches!(channel, Channel::Book(BookDepth::Levels(depth)) if !is_partial(depth))
}

/// Whether USD-M serves a stream over its `public` route; other markets have only one.
pub(super) fn is_public(market: &str, stream: &Stream) -> bool {
    Segment::of(market) != Segment::Usdm || matches!(stream.channel, Channel::Book(_) | Channel::Bbo)
}

/// Every channel a market has, as config spells it.
pub(super) fn list(market: &str) -> Vec<String> {
    let segment = Segment::of(market);
    let mut names: Vec<String> = PARTIAL.iter().chain(images(segment)).map(|depth| format!("book:{depth}")).collect();
    for (variant, _) in speeds(segment, false).iter().skip(1) {
        names.push(format!("book:1000:{variant}"));
    }
    for (variant, _) in speeds(segment, true).iter().skip(1) {
        names.push(format!("book:20:{variant}"));
    }
    let trades = if segment.is_spot() { "trade:agg" } else { "trade:each" };
    names.extend(["bbo", "trade", trades, "ticker", "ticker:mini"].map(str::to_owned));
    if segment.is_spot() {
        names.extend(["candle:1s".to_owned(), format!("candle:1d:{UTC8}")]);
    } else {
        names.extend(["ticker:mark", "ticker:mark3s", "liquidation"].map(str::to_owned));
    }
    names.extend(INTERVALS.iter().map(|interval| format!("candle:{interval}")));
    let of_account = AccountKind::ALL.into_iter().filter(|kind| has_account(segment, *kind));
    names.extend(of_account.map(|kind| kind.as_str().to_owned()));
    names
}

/// Whether a market has this channel of an account.
fn has_account(segment: Segment, kind: AccountKind) -> bool {
    kind != AccountKind::Position || !segment.is_spot()
}

/// Reads one entry of a feed's `channels`.
pub(super) fn parse(market: &str, text: &str) -> Result<ChannelSpec, String> {
    let segment = Segment::of(market);
    if let Some((channel, variant)) = ours(segment, text) {
        return check(segment, channel, variant).map(|variant| ChannelSpec { variant, ..ChannelSpec::of(channel) });
    }
    let Some((symbol, theirs)) = split(text) else { return Err(format!("unknown channel {text:?}")) };
    let found = theirs_of(segment, theirs).ok_or_else(|| format!("unknown channel {text:?}"))?;
    check(segment, found.channel, found.variant)?;
    let symbols = symbol.map(str::to_ascii_uppercase).into_iter().collect();
    Ok(ChannelSpec { variant: found.variant, symbols, ..ChannelSpec::of(found.channel) })
}

/// A stream name's symbol, if it has one, and the rest.
fn split(text: &str) -> Option<(Option<&str>, &str)> {
    let begins = |part: &str| {
        ["depth", "bookTicker", "trade", "aggTrade", "kline_", "ticker", "miniTicker", "markPrice", "forceOrder"]
            .iter()
            .any(|name| part.starts_with(name))
    };
    match text.split_once('@') {
        Some((symbol, rest)) if begins(rest) && !symbol.is_empty() => Some((Some(symbol), rest)),
        _ if begins(text) => Some((None, text)),
        _ => None,
    }
}

/// tickbus's spelling: the channel and a word that says which way.
fn ours(segment: Segment, text: &str) -> Option<(Channel, &str)> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    match name {
        "book" if rest.is_empty() => Some((Channel::Book(BookDepth::Levels(1000)), "")),
        "book" => {
            let (depth, variant) = rest.split_once(':').unwrap_or((rest, ""));
            let depth = if depth == "full" { BookDepth::Full } else { BookDepth::Levels(depth.parse().ok()?) };
            Some((Channel::Book(depth), variant))
        }
        "bbo" if rest.is_empty() => Some((Channel::Bbo, "")),
        // Each market's usual way has no word of its own.
        "trade" if rest == if segment.is_spot() { "each" } else { "agg" } => Some((Channel::Trade, "")),
        "trade" => Some((Channel::Trade, rest)),
        "ticker" => Some((Channel::Ticker, rest)),
        "candle" => {
            let (interval, zone) = rest.split_once(':').unwrap_or((rest, ""));
            Some((Channel::Candle(Interval::parse(interval)?), zone))
        }
        "liquidation" if rest.is_empty() => Some((Channel::Liquidation, "")),
        word if rest.is_empty() => Some((Channel::Account(AccountKind::parse(word)?), "")),
        _ => None,
    }
}

/// Whether the market has the channel in this way; gives the table's own word for it.
fn check(segment: Segment, channel: Channel, variant: &str) -> Result<&'static str, String> {
    let word = |words: &[&'static str]| words.iter().copied().find(|word| *word == variant);
    let (found, why) = match channel {
        Channel::Book(BookDepth::Levels(depth)) => {
            let partial = is_partial(depth);
            if !partial && !images(segment).contains(&depth) {
                return Err(format!("{channel} is not available: no such depth here"));
            }
            let speed = speeds(segment, partial).iter().map(|(word, _)| *word).find(|word| *word == variant);
            (speed, "no such speed here")
        }
        Channel::Book(BookDepth::Full) => (None, "no image has all levels; book:1000 is the usual depth"),
        Channel::Bbo => (word(&[""]), "it has one way only"),
        Channel::Trade => (word(if segment.is_spot() { &["", "agg"] } else { &["", "each"] }), "no such trades"),
        Channel::Ticker => {
            let words: &[_] = if segment.is_spot() { &["", "mini"] } else { &["", "mini", "mark", "mark3s"] };
            (word(words), "no such ticker")
        }
        Channel::Candle(interval) => {
            let name = interval.to_string();
            let known = INTERVALS.contains(&name.as_str()) || (segment.is_spot() && name == "1s");
            if !known {
                let names = INTERVALS.iter().copied().chain(segment.is_spot().then_some("1s"));
                return Err(format!("{channel} is not available: {}", none_such(names)));
            }
            let words: &[_] = if segment.is_spot() { &["", UTC8] } else { &[""] };
            (word(words), "only spot has other days, of UTC+8: candle:1d:utc8")
        }
        Channel::Raw => (None, "raw channels have no table"),
        Channel::Account(kind) => (word(&[""]).filter(|_| has_account(segment, kind)), "spot has no positions"),
        Channel::Liquidation => (word(&[""]).filter(|_| !segment.is_spot()), "only futures have liquidations"),
    };
    let colon = if variant.is_empty() { "" } else { ":" };
    found.ok_or_else(|| format!("{channel}{colon}{variant} is not available: {why}"))
}

/// What the end of a stream name stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Theirs {
    pub(super) kind: Kind,
    pub(super) channel: Channel,
    pub(super) variant: &'static str,
}

/// Reads the part of a stream name behind the symbol: `depth@100ms`, `kline_1m`.
pub(super) fn theirs_of(segment: Segment, name: &str) -> Option<Theirs> {
    let of = |kind, channel, variant| Some(Theirs { kind, channel, variant });
    if let Some(rest) = name.strip_prefix("depth") {
        let digits = rest.find('@').unwrap_or(rest.len());
        let (depth, speed) = rest.split_at(digits);
        let (kind, depth) = if depth.is_empty() { (Kind::Diff, 1000) } else { (Kind::Partial, depth.parse().ok()?) };
        if kind == Kind::Partial && !is_partial(depth) {
            return None;
        }
        let variant = speeds(segment, kind == Kind::Partial).iter().find(|(_, end)| *end == speed)?.0;
        return of(kind, Channel::Book(BookDepth::Levels(depth)), variant);
    }
    if let Some(rest) = name.strip_prefix("kline_") {
        let (interval, zone) = rest.split_once('@').unwrap_or((rest, ""));
        let interval = Interval::parse(interval)?;
        let variant = [("", ""), (UTC8_THEIRS, UTC8)].into_iter().find(|(theirs, _)| *theirs == zone)?.1;
        return of(Kind::Candle(interval), Channel::Candle(interval), variant);
    }
    match name {
        "bookTicker" => of(Kind::BookTicker, Channel::Bbo, ""),
        "trade" => of(Kind::Trade, Channel::Trade, if segment.is_spot() { "" } else { "each" }),
        "aggTrade" => of(Kind::AggTrade, Channel::Trade, if segment.is_spot() { "agg" } else { "" }),
        "ticker" => of(Kind::Ticker, Channel::Ticker, ""),
        "miniTicker" => of(Kind::MiniTicker, Channel::Ticker, "mini"),
        "markPrice@1s" => of(Kind::Mark, Channel::Ticker, "mark"),
        "markPrice" => of(Kind::Mark, Channel::Ticker, "mark3s"),
        "forceOrder" => of(Kind::Liquidation, Channel::Liquidation, ""),
        _ => None,
    }
}

/// The venue's names of a stream: two for the ticker of futures, which is put together from both.
pub(super) fn topics(segment: Segment, stream: &Stream) -> Vec<(String, Kind)> {
    let symbol = stream.symbol.to_ascii_lowercase();
    let named = |end: &str, kind| vec![(format!("{symbol}@{end}"), kind)];
    let speed = |partial| {
        let speeds = speeds(segment, partial);
        speeds.iter().find(|(word, _)| *word == stream.variant).map_or("", |(_, end)| end)
    };
    match (stream.channel, stream.variant) {
        (Channel::Book(BookDepth::Levels(depth)), _) if is_partial(depth) => {
            named(&format!("depth{depth}{}", speed(true)), Kind::Partial)
        }
        (Channel::Book(_), _) => named(&format!("depth{}", speed(false)), Kind::Diff),
        (Channel::Bbo, _) => named("bookTicker", Kind::BookTicker),
        (Channel::Trade, variant) if segment.is_spot() == variant.is_empty() => named("trade", Kind::Trade),
        (Channel::Trade, _) => named("aggTrade", Kind::AggTrade),
        (Channel::Ticker, "mini") => named("miniTicker", Kind::MiniTicker),
        (Channel::Ticker, "mark") => named("markPrice@1s", Kind::Mark),
        (Channel::Ticker, "mark3s") => named("markPrice", Kind::Mark),
        (Channel::Ticker, _) if segment.is_spot() => named("ticker", Kind::Ticker),
        (Channel::Ticker, _) => [named("ticker", Kind::Ticker), named("markPrice@1s", Kind::Mark)].concat(),
        (Channel::Candle(interval), "") => named(&format!("kline_{interval}"), Kind::Candle(interval)),
        (Channel::Candle(interval), _) => named(&format!("kline_{interval}@{UTC8_THEIRS}"), Kind::Candle(interval)),
        (Channel::Liquidation, _) => named("forceOrder", Kind::Liquidation),
        (Channel::Account(_) | Channel::Raw, _) => Vec::new(),
    }
}

/// The stream that a recorded name belongs to: books of all speeds are one, and so is all that a ticker is made of.
pub(super) fn recorded(segment: Segment, name: &str) -> Option<(Stream, Kind)> {
    let (symbol, end) = name.split_once('@').filter(|(symbol, _)| !symbol.is_empty())?;
    let found = theirs_of(segment, end)?;
    let merged = matches!(found.kind, Kind::Diff | Kind::Partial | Kind::Ticker | Kind::Mark);
    let variant = if merged { "" } else { found.variant };
    Some((Stream { variant, ..Stream::new(symbol.to_ascii_uppercase(), found.channel) }, found.kind))
}
