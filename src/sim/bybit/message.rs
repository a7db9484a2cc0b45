//! The texts Bybit v5 sends, field order included: it differs between products, so that no client may rely on it.

use crate::model::Decimal;
use crate::sim::candles::Candle;
use crate::sim::market::{Fill, Level};

use super::catalog::{Category, Spec};

/// One order book message.
#[derive(Clone, Copy, Debug)]
pub struct Book<'a> {
    /// The topic it goes out under.
    pub topic: &'a str,
    /// Whether `ts` stands before `type`: spot, and level 1 elsewhere.
    pub ts_first: bool,
    /// Whether it replaces the book.
    pub snapshot: bool,
    /// Bids, in the order they are sent.
    pub bids: &'a [Level],
    /// Asks, in the order they are sent.
    pub asks: &'a [Level],
    /// Update id.
    pub u: u64,
    /// Cross sequence.
    pub seq: u64,
    /// When the message is made, ms.
    pub ts: u64,
    /// When the matching engine made the change, ms.
    pub cts: u64,
}

/// One public trade.
#[derive(Clone, Debug)]
pub struct Trade {
    /// The venue's id: a UUID on derivatives, digits on spot.
    pub id: String,
    /// Fill time, ms.
    pub time_ms: u64,
    /// What was filled.
    pub fill: Fill,
    /// Cross sequence.
    pub seq: u64,
    /// The venue's word for the price's direction.
    pub direction: &'static str,
}

fn int(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

fn text(out: &mut Vec<u8>, value: &str) {
    out.extend_from_slice(value.as_bytes());
}

fn quoted(out: &mut Vec<u8>, value: Decimal) {
    out.push(b'"');
    value.write(out);
    out.push(b'"');
}

/// Appends levels as `["price","size"]` pairs in brackets.
pub(super) fn write_levels(out: &mut Vec<u8>, spec: &Spec, levels: impl Iterator<Item = Level>) {
    out.push(b'[');
    for (at, level) in levels.enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.push(b'[');
        quoted(out, spec.price(level.ticks));
        out.push(b',');
        quoted(out, spec.size(level.lots));
        out.push(b']');
    }
    out.push(b']');
}

/// Appends an order book message.
pub fn write_book(out: &mut Vec<u8>, spec: &Spec, book: &Book<'_>) {
    let kind = if book.snapshot { "snapshot" } else { "delta" };
    text(out, "{\"topic\":\"");
    text(out, book.topic);
    if book.ts_first {
        text(out, "\",\"ts\":");
        int(out, book.ts);
        text(out, ",\"type\":\"");
        text(out, kind);
        text(out, "\",\"data\":{\"s\":\"");
    } else {
        text(out, "\",\"type\":\"");
        text(out, kind);
        text(out, "\",\"ts\":");
        int(out, book.ts);
        text(out, ",\"data\":{\"s\":\"");
    }
    text(out, &spec.symbol);
    text(out, "\",\"b\":");
    write_levels(out, spec, book.bids.iter().copied());
    text(out, ",\"a\":");
    write_levels(out, spec, book.asks.iter().copied());
    text(out, ",\"u\":");
    int(out, book.u);
    text(out, ",\"seq\":");
    int(out, book.seq);
    text(out, "},\"cts\":");
    int(out, book.cts);
    out.push(b'}');
}

/// Appends a trade message.
pub fn write_trades(out: &mut Vec<u8>, spec: &Spec, topic: &str, trades: &[Trade], ts: u64) {
    text(out, "{\"topic\":\"");
    text(out, topic);
    match spec.category {
        Category::Spot => {
            text(out, "\",\"ts\":");
            int(out, ts);
            text(out, ",\"type\":\"snapshot\",\"data\":[");
        }
        Category::Linear | Category::Inverse | Category::Option => {
            text(out, "\",\"type\":\"snapshot\",\"ts\":");
            int(out, ts);
            text(out, ",\"data\":[");
        }
    }
    for (at, trade) in trades.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        write_trade(out, spec, trade);
    }
    out.push(b']');
    if spec.category == Category::Option {
        text(out, ",\"id\":\"");
        text(out, topic);
        text(out, "-");
        int(out, ts);
        out.push(b'"');
    }
    out.push(b'}');
}

/// The venue's word for a taker's side.
pub(super) const fn side(fill: Fill) -> &'static str {
    if fill.buy { "Buy" } else { "Sell" }
}

fn write_trade(out: &mut Vec<u8>, spec: &Spec, trade: &Trade) {
    let (price, size) = (spec.price(trade.fill.ticks), spec.size(trade.fill.lots));
    let (symbol, side) = (&spec.symbol, side(trade.fill));
    let Trade { id, time_ms, seq, direction, .. } = trade;
    let rest = "\"BT\":false,\"RPI\":false";
    let line = match spec.category {
        Category::Spot => format!(
            r#"{{"i":"{id}","T":{time_ms},"p":"{price}","v":"{size}","S":"{side}","seq":{seq},"s":"{symbol}",{rest}}}"#
        ),
        Category::Linear | Category::Inverse => format!(
            r#"{{"T":{time_ms},"s":"{symbol}","S":"{side}","v":"{size}","p":"{price}","L":"{direction}","i":"{id}",{rest},"seq":{seq}}}"#
        ),
        Category::Option => format!(
            r#"{{"p":"{price}","v":"{size}","i":"{id}","BT":false,"T":{time_ms},"s":"{symbol}","S":"{side}","mP":"{price}","iP":"60620.5","mIv":"0.4896","iv":"0.4911","seq":{seq}}}"#
        ),
    };
    text(out, &line);
}

/// A ticker message with these fields behind the symbol.
pub(super) fn ticker(spec: &Spec, topic: &str, snapshot: bool, fields: &[(&str, String)], seq: u64, ts: u64) -> String {
    let kind = if snapshot { "snapshot" } else { "delta" };
    let mut data = format!("{{\"symbol\":\"{}\"", spec.symbol);
    for (name, value) in fields {
        data.push_str(&format!(",\"{name}\":\"{value}\""));
    }
    data.push('}');
    match spec.category {
        Category::Spot => format!(r#"{{"topic":"{topic}","ts":{ts},"type":"{kind}","cs":{seq},"data":{data}}}"#),
        Category::Linear | Category::Inverse => {
            format!(r#"{{"topic":"{topic}","type":"{kind}","data":{data},"cs":{seq},"ts":{ts}}}"#)
        }
        Category::Option => {
            format!(r#"{{"id":"{topic}-{seq}-{ts}","topic":"{topic}","ts":{ts},"data":{data},"type":"{kind}"}}"#)
        }
    }
}

/// A candle message; `length_ms` is the interval's, `name` the venue's word for it.
pub(super) fn kline(
    spec: &Spec,
    topic: &str,
    name: &str,
    length_ms: u64,
    candle: &Candle,
    confirm: bool,
    ts: u64,
) -> String {
    let price = |ticks: i64| spec.price(ticks).trimmed();
    let data = format!(
        r#"[{{"start":{},"end":{},"interval":"{name}","open":"{}","close":"{}","high":"{}","low":"{}","volume":"{}","turnover":"{}","confirm":{confirm},"timestamp":{}}}]"#,
        candle.start_ms,
        candle.start_ms + length_ms - 1,
        price(candle.open),
        price(candle.close),
        price(candle.high),
        price(candle.low),
        spec.size(candle.lots).trimmed(),
        super::catalog::turnover_text(candle.turnover),
        candle.last_ms,
    );
    if spec.category == Category::Spot {
        return format!(r#"{{"type":"snapshot","topic":"{topic}","data":{data},"ts":{ts}}}"#);
    }
    format!(r#"{{"topic":"{topic}","data":{data},"ts":{ts},"type":"snapshot"}}"#)
}

/// A liquidation message: `long` tells whether a long position was closed.
pub(super) fn liquidation(spec: &Spec, topic: &str, long: bool, fill: Fill, ts: u64) -> String {
    let position = if long { "Buy" } else { "Sell" };
    let (symbol, size, price) = (&spec.symbol, spec.size(fill.lots), spec.price(fill.ticks));
    format!(
        r#"{{"topic":"{topic}","type":"snapshot","ts":{ts},"data":[{{"T":{ts},"s":"{symbol}","S":"{position}","v":"{size}","p":"{price}"}}]}}"#
    )
}

/// The pong of a product, `req_id` echoed where the venue does.
pub(super) fn pong(category: Category, conn_id: &str, req_id: Option<&str>, now_ms: u64) -> String {
    match category {
        Category::Option => format!(r#"{{"args":["{now_ms}"],"op":"pong"}}"#),
        _ => reply(category, true, "pong", conn_id, req_id, "ping"),
    }
}

/// The answer to one subscribe or unsubscribe request (options have [`command_resp`]).
pub(super) fn reply(
    category: Category,
    success: bool,
    ret_msg: &str,
    conn_id: &str,
    req_id: Option<&str>,
    op: &str,
) -> String {
    let req_id = match (req_id, category) {
        (Some(id), _) => format!(r#""req_id":{},"#, json_text(id)),
        (None, Category::Spot) => String::new(),
        (None, _) => r#""req_id":"","#.to_owned(),
    };
    let (ret_msg, op) = (json_text(ret_msg), json_text(op));
    format!(r#"{{"success":{success},"ret_msg":{ret_msg},"conn_id":"{conn_id}",{req_id}"op":{op}}}"#)
}

/// The answer to an option request, topic by topic.
pub(super) fn command_resp(conn_id: &str, failed: &[&str], accepted: &[&str]) -> String {
    let list = |topics: &[&str]| topics.iter().map(|topic| json_text(topic)).collect::<Vec<_>>().join(",");
    let success = failed.is_empty() || !accepted.is_empty();
    format!(
        r#"{{"success":{success},"conn_id":"{conn_id}","data":{{"failTopics":[{}],"successTopics":[{}]}},"type":"COMMAND_RESP"}}"#,
        list(failed),
        list(accepted)
    )
}

/// A text as a JSON string, quotes included.
pub(super) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
