//! Channels of a terminal's feed, and the intervals of its candles.

use crate::model::{BookDepth, Channel, Interval};
use crate::venue::ChannelSpec;
use crate::venue::kit::interval::none_such;

/// Most levels a side that are asked for. The exchange gives 20 or 50 of them.
const DEPTH_MAX: u16 = 50;

/// Candle intervals: tickbus's name and the one `CreateDataSource` takes.
pub(super) const INTERVALS: [(&str, &str); 16] = [
    ("1m", "INTERVAL_M1"),
    ("2m", "INTERVAL_M2"),
    ("3m", "INTERVAL_M3"),
    ("4m", "INTERVAL_M4"),
    ("5m", "INTERVAL_M5"),
    ("6m", "INTERVAL_M6"),
    ("10m", "INTERVAL_M10"),
    ("15m", "INTERVAL_M15"),
    ("20m", "INTERVAL_M20"),
    ("30m", "INTERVAL_M30"),
    ("1h", "INTERVAL_H1"),
    ("2h", "INTERVAL_H2"),
    ("4h", "INTERVAL_H4"),
    ("1d", "INTERVAL_D1"),
    ("1w", "INTERVAL_W1"),
    ("1M", "INTERVAL_MN1"),
];

/// Every channel, as config spells it.
pub(super) fn list(_market: &str) -> Vec<String> {
    let plain = ["book", "bbo", "trade", "ticker"].map(str::to_owned);
    plain.into_iter().chain(INTERVALS.iter().map(|(ours, _)| format!("candle:{ours}"))).collect()
}

/// Reads one entry of a feed's `channels`. `book:N` is the best N levels of what the terminal gives.
pub(super) fn parse(_market: &str, text: &str) -> Result<ChannelSpec, String> {
    let unknown = || format!("unknown channel {text:?}");
    let channel = match text.split_once(':') {
        None => match text {
            "book" => Channel::Book(BookDepth::Levels(DEPTH_MAX)),
            "bbo" => Channel::Bbo,
            "trade" => Channel::Trade,
            "ticker" => Channel::Ticker,
            _ => return Err(unknown()),
        },
        Some(("book", depth)) => {
            let levels = depth.parse().ok().filter(|levels| (1..=DEPTH_MAX).contains(levels));
            let levels =
                levels.ok_or_else(|| format!("{text} is not available: books have 1 to {DEPTH_MAX} levels"))?;
            Channel::Book(BookDepth::Levels(levels))
        }
        Some(("candle", name)) if INTERVALS.iter().any(|(ours, _)| *ours == name) => {
            Channel::Candle(Interval::parse(name).ok_or_else(unknown)?)
        }
        Some(("candle", _)) => {
            let why = none_such(INTERVALS.iter().map(|(ours, _)| *ours));
            return Err(format!("{text} is not available: {why}"));
        }
        Some(_) => return Err(unknown()),
    };
    Ok(ChannelSpec::of(channel))
}
