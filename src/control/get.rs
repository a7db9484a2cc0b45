//! The latest values: asked for, and forgotten.

use serde::Deserialize;
use serde_json::{Value, json};

use super::Running;
use super::reply::{Code, Failure};
use crate::bus::{Frame, Outgoing};
use crate::client::as_json;
use crate::frame::{parse_topic, topic};

/// What is kept, for error texts.
const CHANNELS: &str = "book, bbo, ticker, trade, candle:1m (and other intervals), liquidation, status, instrument, order, fill, position, balance";
/// Frames of one answer at most.
const MOST: usize = 100_000;

/// Arguments of `get`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Get {
    topic: Option<String>,
    channel: Option<String>,
    feed: Option<String>,
    venue: Option<String>,
    market: Option<String>,
    account: Option<String>,
    symbol: Option<String>,
    n: Option<u64>,
}

/// The newest value of a topic, or the newest `n`.
pub(super) fn get(running: &Running, asked: &Get) -> Result<Value, Failure> {
    let topic = match &asked.topic {
        Some(topic) => topic.clone(),
        None => topic_of(running, asked)?,
    };
    let nothing = || Failure::new(Code::NotFound, format!("{topic} has no value now; its status topic may say why"));
    if let Some(n) = asked.n {
        let most = usize::try_from(n).ok().filter(|n| (1..=MOST).contains(n));
        let most = most.ok_or_else(|| Failure::bad(format!("n: {n} is out of range; allowed: 1 to {MOST}")))?;
        let frames = running.feeds.recent(&topic, most);
        if frames.is_empty() {
            return Err(nothing());
        }
        let values = frames.iter().map(value).collect::<Result<Vec<_>, _>>()?;
        return Ok(json!({"topic": topic, "values": values}));
    }
    let frame = running.feeds.latest(&topic).ok_or_else(nothing)?;
    Ok(json!({"topic": topic, "value": value(&frame)?}))
}

/// A frame's payload, which may be MessagePack.
pub(super) fn value(frame: &Frame) -> Result<Value, Failure> {
    let unreadable = |error: String| Failure::new(Code::Failed, format!("the kept frame cannot be read: {error}"));
    let text = as_json(&frame.payload).map_err(|error| unreadable(error.to_string()))?;
    serde_json::from_str(&text).map_err(|error| unreadable(error.to_string()))
}

fn topic_of(running: &Running, asked: &Get) -> Result<String, Failure> {
    let missing = |key: &str, why: &str| Failure::bad(format!("{key} is missing; {why}"));
    let channel = asked.channel.as_deref().ok_or_else(|| missing("channel", &format!("allowed: {CHANNELS}")))?;
    let channel = channel_name(channel)
        .ok_or_else(|| Failure::bad(format!("channel: nothing is kept of {channel:?}; allowed: {CHANNELS}")))?;
    let symbol = asked.symbol.as_deref().ok_or_else(|| missing("symbol", "write the venue's own spelling"))?;
    let feed = asked.feed.as_deref().map(|name| super::commands::feed(running, Some(name))).transpose()?;
    let of_feed = |part: fn(&super::FeedHandle) -> String| feed.as_ref().map(|feed| part(&feed.handle));
    let venue = asked.venue.clone().or_else(|| of_feed(|feed| feed.venue.to_owned()));
    let venue = venue.ok_or_else(|| missing("venue", "write venue and market, or feed"))?;
    let is_account = matches!(&*channel, "order" | "fill" | "position" | "balance");
    let place = match is_account {
        true => asked.account.clone().ok_or_else(|| missing("account", "write the account as the venue spells it"))?,
        false => {
            let market = asked.market.clone().or_else(|| of_feed(|feed| feed.market.to_string()));
            market.ok_or_else(|| missing("market", "write venue and market, or feed"))?
        }
    };
    Ok(String::from_utf8_lossy(&topic(&channel, &venue, &place, symbol)).into_owned())
}

/// A channel's name in topics, from how the config spells it or from a topic.
fn channel_name(text: &str) -> Option<String> {
    let (name, rest) = text.split_once(':').unwrap_or((text, ""));
    let known = ["book", "bbo", "ticker", "trade", "liquidation", "status", "instrument"];
    let of_account = ["order", "fill", "position", "balance"];
    match name {
        "candle" => Some(format!("candle_{}", rest.split(':').next().filter(|interval| !interval.is_empty())?)),
        _ if name.starts_with("candle_") || known.contains(&name) || of_account.contains(&name) => {
            Some(name.to_owned())
        }
        _ => None,
    }
}

/// Arguments of `clear`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Clear {
    feed: Option<String>,
    symbol: Option<String>,
}

/// Forgets what is kept of a feed, of a symbol, or of a feed's symbol, here and for joiners. What says how things stand
/// stays: it comes only when that changes.
pub(super) fn clear(running: &Running, asked: &Clear) -> Result<Value, Failure> {
    if asked.feed.is_none() && asked.symbol.is_none() {
        return Err(Failure::bad("clear needs a feed, a symbol, or both"));
    }
    let feeds = match &asked.feed {
        Some(name) => vec![super::commands::feed(running, Some(name))?],
        None => running.feeds.list(),
    };
    let is_meant = |topic: &str| {
        let Some([channel, _, _, symbol]) = parse_topic(topic) else { return false };
        !matches!(&*channel, "status" | "instrument") && asked.symbol.as_ref().is_none_or(|asked| *asked == symbol)
    };
    let gone: Vec<_> = feeds.iter().flat_map(|feed| feed.store.forget(is_meant)).collect();
    let cleared = gone.len();
    running.publisher.publish(&mut gone.into_iter().map(Outgoing::Forget).collect());
    Ok(json!({"topics": cleared}))
}
