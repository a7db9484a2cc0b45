//! The texts of the simulated Binance: objects with their fields in the documented order, and the messages of streams.

use std::fmt::{Display, Write};

use crate::sim::market::Level;

use super::catalog::{Market, Spec};
use super::depth::Update;
use super::trades::{Aggregate, Trade};

/// A JSON object in the making.
#[derive(Clone, Debug)]
pub(super) struct Object(String);

impl Object {
    pub(super) fn new() -> Self {
        Self("{".to_owned())
    }

    /// The head of an event: its kind and when it is sent.
    pub(super) fn event(kind: &str, now_ms: u64) -> Self {
        Self::new().text("e", kind).raw("E", now_ms)
    }

    /// A field with a text.
    pub(super) fn text(self, name: &str, value: impl Display) -> Self {
        let value = json_text(&value.to_string());
        self.raw(name, value)
    }

    /// A field with a number, a truth value, or JSON.
    pub(super) fn raw(mut self, name: &str, value: impl Display) -> Self {
        let comma = if self.0.len() > 1 { "," } else { "" };
        // Writing to a text does not fail.
        let _ = write!(self.0, "{comma}\"{name}\":{value}");
        self
    }

    /// What futures have at the end: the pair and the market's number.
    pub(super) fn tail(self, spec: &Spec) -> Self {
        match spec.market {
            Market::Spot => self,
            Market::Usdm => self.raw("st", spec.market.number()),
            Market::Coinm => self.text("ps", spec.pair()).raw("st", spec.market.number()),
        }
    }

    pub(super) fn done(mut self) -> String {
        self.0.push('}');
        self.0
    }
}

/// A text as a JSON string, quotes included.
pub(super) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// Objects as a JSON array.
pub(super) fn array(rows: &[String]) -> String {
    format!("[{}]", rows.join(","))
}

/// Levels as `[["price","size"],…]`.
pub(super) fn levels(spec: &Spec, levels: &[Level]) -> String {
    let mut out = Vec::with_capacity(2 + 40 * levels.len());
    out.push(b'[');
    for level in levels {
        out.extend_from_slice(if out.len() > 1 { b",[\"" } else { b"[\"" });
        spec.price(level.ticks).write(&mut out);
        out.extend_from_slice(b"\",\"");
        spec.size(level.lots).write(&mut out);
        out.extend_from_slice(b"\"]");
    }
    out.push(b']');
    String::from_utf8_lossy(&out).into_owned()
}

/// A message of a depth stream; on futures partial ones look the same.
pub(super) fn depth(spec: &Spec, update: &Update, now_ms: u64) -> String {
    let (bids, asks) = (levels(spec, &update.bids), levels(spec, &update.asks));
    let event = Object::event("depthUpdate", now_ms);
    if spec.market == Market::Spot {
        let event = event.text("s", &spec.symbol).raw("U", update.first).raw("u", update.last);
        return event.raw("b", bids).raw("a", asks).done();
    }
    let event = event.raw("T", now_ms.saturating_sub(1)).text("s", &spec.symbol);
    let event = event.raw("U", update.first).raw("u", update.last).raw("pu", update.previous);
    event.raw("b", bids).raw("a", asks).text("ps", spec.pair()).raw("st", spec.market.number()).done()
}

/// A message of a partial depth stream on spot: neither symbol nor time.
pub(super) fn top(spec: &Spec, update: &Update) -> String {
    let (bids, asks) = (levels(spec, &update.bids), levels(spec, &update.asks));
    Object::new().raw("lastUpdateId", update.last).raw("bids", bids).raw("asks", asks).done()
}

/// A message of a book ticker.
pub(super) fn book_ticker(spec: &Spec, id: u64, [bid, ask]: [Level; 2], now_ms: u64) -> String {
    let futures = spec.market.is_futures();
    let mut event = if futures { Object::new().text("e", "bookTicker") } else { Object::new() }.raw("u", id);
    if futures {
        event = event.raw("E", now_ms).raw("T", now_ms.saturating_sub(1));
    }
    let event = event.text("s", &spec.symbol).text("b", spec.price(bid.ticks)).text("B", spec.size(bid.lots));
    event.text("a", spec.price(ask.ticks)).text("A", spec.size(ask.lots)).tail(spec).done()
}

/// A message of `@trade`.
pub(super) fn trade(spec: &Spec, trade: &Trade, now_ms: u64) -> String {
    let event = Object::event("trade", now_ms);
    let (price, size) = (spec.price(trade.fill.ticks), spec.size(trade.fill.lots));
    if spec.market.is_futures() {
        let event = event.raw("T", trade.time_ms).text("s", &spec.symbol).raw("t", trade.id).text("p", price);
        return event.text("q", size).text("X", "MARKET").raw("m", !trade.fill.buy).tail(spec).done();
    }
    let event = event.text("s", &spec.symbol).raw("t", trade.id).text("p", price).text("q", size);
    event.raw("T", trade.time_ms).raw("m", !trade.fill.buy).raw("M", true).done()
}

/// A message of `@aggTrade`.
pub(super) fn aggregate(spec: &Spec, trade: &Aggregate, now_ms: u64) -> String {
    let event = Object::event("aggTrade", now_ms).text("s", &spec.symbol);
    let event = event.raw("a", trade.id).text("p", spec.price(trade.fill.ticks)).text("q", spec.size(trade.fill.lots));
    let event = if spec.market == Market::Usdm { event.text("nq", spec.size(trade.fill.lots)) } else { event };
    let event = event.raw("f", trade.first).raw("l", trade.last).raw("T", trade.time_ms).raw("m", !trade.fill.buy);
    if spec.market.is_futures() { event.tail(spec).done() } else { event.raw("M", true).done() }
}
