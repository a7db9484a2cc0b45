//! One aligned line per frame, for a reader: time, channel, topic, and what matters of that type.

use std::borrow::Cow;
use std::fmt::Write as _;

use serde_json::value::RawValue;

use crate::client::view::{LevelText, Text, Topic, View};
use crate::model::Decimal;

/// Fields that every frame has, or that the line already shows elsewhere.
const COMMON: [&str; 12] = [
    "v",
    "type",
    "venue",
    "market",
    "symbol",
    "instrument",
    "epoch",
    "seq",
    "ts_event",
    "ts_venue",
    "ts_recv",
    "ts_pub",
];

/// Longest text of one field that a line shows, in characters.
const LONGEST_FIELD: usize = 200;

/// ANSI colours, if on.
#[derive(Clone, Copy)]
pub(super) struct Paint(pub(super) bool);

const GREEN: u8 = 32;
const RED: u8 = 31;
const YELLOW: u8 = 33;
const GREY: u8 = 90;

impl Paint {
    fn text(self, color: u8, text: &str) -> String {
        if self.0 { format!("\u{1b}[{color}m{text}\u{1b}[0m") } else { text.to_owned() }
    }
}

pub(super) fn line(topic: &Topic<'_>, view: &View<'_>, fields: &[(Text<'_>, &RawValue)], paint: Paint) -> String {
    let name = [topic.venue, topic.market, &topic.symbol].map(plain).into_iter().filter(|part| !part.is_empty());
    let name = name.collect::<Vec<_>>().join(".");
    let time = view.ts_pub.or(view.ts_recv).map_or_else(|| "--:--:--.---".to_owned(), clock_time);
    let kind = view.kind.as_deref().unwrap_or(topic.channel);
    let detail = match kind {
        "book" => book(view, paint),
        "bbo" => {
            let bid = view.bid_price.as_ref().zip(view.bid_size.as_ref());
            best(bid, view.ask_price.as_ref().zip(view.ask_size.as_ref()), paint)
        }
        "delta" => delta(view),
        "trade" | "liquidation" => trade(view, paint),
        "status" => status(view, paint),
        _ if kind.starts_with("candle") => candle(view, paint),
        _ => other(fields),
    };
    format!("{} {:<11} {name:<28} {detail}", paint.text(GREY, &time), plain(topic.channel)).trim_end().to_owned()
}

/// Text from outside without characters that would steer the terminal.
pub(in crate::client) fn plain(text: &str) -> Cow<'_, str> {
    if text.contains(char::is_control) { Cow::Owned(text.replace(char::is_control, "?")) } else { Cow::Borrowed(text) }
}

fn shown<'t>(text: &'t Option<Text<'_>>) -> Cow<'t, str> {
    plain(text.as_deref().unwrap_or("-"))
}

/// Time of day in UTC, `HH:MM:SS.mmm`.
pub(in crate::client) fn clock_time(nanos: u64) -> String {
    let ms = nanos / 1_000_000 % 86_400_000;
    let (seconds, ms) = (ms / 1_000, ms % 1_000);
    format!("{:02}:{:02}:{:02}.{ms:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

/// The exact difference `ask - bid`, with the longer one's decimal places.
pub(in crate::client) fn spread(bid: &str, ask: &str) -> Option<Decimal> {
    let (bid, ask) = (Decimal::parse(bid.as_bytes()).ok()?, Decimal::parse(ask.as_bytes()).ok()?);
    let scale = bid.scale.max(ask.scale);
    Some(Decimal::new(ask.rescaled(scale)?.checked_sub(bid.rescaled(scale)?)?, scale))
}

fn book(view: &View<'_>, paint: Paint) -> String {
    let [bid, ask] = [&view.bids, &view.asks].map(|side| side.first().map(|level| (&level.0, &level.1)));
    format!("{}  {}+{} levels", best(bid, ask, paint), view.bids.len(), view.asks.len())
}

/// Price and size of the best bid and ask, and the spread.
fn best(bid: Option<(&Text<'_>, &Text<'_>)>, ask: Option<(&Text<'_>, &Text<'_>)>, paint: Paint) -> String {
    let side = |level: Option<(&Text<'_>, &Text<'_>)>, color| {
        let (price, size) = level.map_or(("-".into(), "-".into()), |(price, size)| (plain(price), plain(size)));
        format!("{} x {size:<12}", paint.text(color, &format!("{price:>14}")))
    };
    let spread = bid.zip(ask).and_then(|(bid, ask)| spread(bid.0, ask.0));
    let spread = spread.map_or_else(|| "-".to_owned(), |spread| spread.to_string());
    format!("{} {} spread {spread}", side(bid, GREEN), side(ask, RED))
}

fn delta(view: &View<'_>) -> String {
    let zero = |level: &&LevelText<'_>| Decimal::parse(level.1.as_bytes()).is_ok_and(Decimal::is_zero);
    let removed = view.bids.iter().chain(&view.asks).filter(zero).count();
    let snapshot = if view.snapshot == Some(true) { "snapshot " } else { "" };
    let mut line = format!("{snapshot}{} bids {} asks", view.bids.len(), view.asks.len());
    if removed > 0 {
        let _ = write!(line, " {removed} removed");
    }
    line
}

fn trade(view: &View<'_>, paint: Paint) -> String {
    let side = shown(&view.side);
    let color = match &*side {
        "buy" => GREEN,
        "sell" => RED,
        _ => GREY,
    };
    let id = view.id.as_deref().map_or(Cow::Borrowed(""), plain);
    let side = paint.text(color, &format!("{side:<7}"));
    format!("{side} {:>10} x {:<12} {id}", shown(&view.price), shown(&view.size))
}

fn candle(view: &View<'_>, paint: Paint) -> String {
    let mut line = String::new();
    for (name, value) in [
        ("open", &view.open),
        ("high", &view.high),
        ("low", &view.low),
        ("close", &view.close),
        ("volume", &view.volume),
    ] {
        let _ = write!(line, "{name} {} ", shown(value));
    }
    line + &if view.closed == Some(true) { "closed".to_owned() } else { paint.text(GREY, "running") }
}

fn status(view: &View<'_>, paint: Paint) -> String {
    let state = shown(&view.state);
    let color = match &*state {
        "live" => GREEN,
        "syncing" => YELLOW,
        _ => RED,
    };
    let mut line = paint.text(color, &state);
    if let Some(reason) = &view.reason {
        let _ = write!(line, " {}", plain(reason));
    }
    if let Some(since) = view.since {
        let _ = write!(line, " since {}", clock_time(since));
    }
    if let Some(detail) = &view.detail {
        let _ = write!(line, ": {}", plain(detail));
    }
    line
}

/// Every other type: all of its own fields as `name=value`.
fn other(fields: &[(Text<'_>, &RawValue)]) -> String {
    let mut words = Vec::new();
    for (name, value) in fields.iter().filter(|(name, _)| !COMMON.contains(&&**name)) {
        let text = serde_json::from_str::<Text<'_>>(value.get());
        let text = text.as_deref().unwrap_or(value.get());
        let cut: String = text.chars().take(LONGEST_FIELD).collect();
        words.push(format!("{}={}", plain(name), plain(&cut)));
    }
    words.join(" ")
}
