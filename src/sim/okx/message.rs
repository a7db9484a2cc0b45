//! The texts OKX v5 sends, with the fields in the order of its documentation.

use std::fmt::Write as _;

use crate::sim::market::{Fill, Level};

use super::catalog::Spec;

/// A JSON object of text fields.
pub(super) fn fields(fields: &[(&str, String)]) -> String {
    let mut out = String::from("{");
    for (at, (name, value)) in fields.iter().enumerate() {
        let comma = if at > 0 { "," } else { "" };
        // Writing to a String cannot fail.
        let _ = write!(out, "{comma}\"{name}\":{}", json_text(value));
    }
    out.push('}');
    out
}

/// A text as a JSON string, quotes included.
pub(super) fn json_text(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// A message with rows under an argument; both are JSON.
pub(super) fn frame(arg: &str, rows: &str) -> Vec<u8> {
    format!("{{\"arg\":{arg},\"data\":[{rows}]}}").into_bytes()
}

/// What a book message says besides levels.
#[derive(Clone, Copy, Debug)]
pub(super) struct BookHead<'a> {
    /// The argument it goes out under, as JSON.
    pub(super) arg: &'a str,
    /// `snapshot` or `update`; books that are always whole have no word for it.
    pub(super) action: Option<&'static str>,
    /// `instId`, where the channel repeats it.
    pub(super) symbol: Option<&'a str>,
    /// Time of the book, ms.
    pub(super) ts_ms: u64,
    /// The checksum, if there is one.
    pub(super) checksum: Option<i32>,
    /// The id of the change before this one, -1 in a snapshot; for chained channels.
    pub(super) previous: Option<i128>,
    /// Its own id.
    pub(super) seq_id: u64,
}

/// A message of an order book channel.
pub(super) fn book(head: &BookHead<'_>, spec: &Spec, bids: &[Level], asks: &[Level]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + 40 * (bids.len() + asks.len()));
    let text = |part: &str, out: &mut Vec<u8>| out.extend_from_slice(part.as_bytes());
    text("{\"arg\":", &mut out);
    text(head.arg, &mut out);
    if let Some(action) = head.action {
        text(&format!(",\"action\":\"{action}\""), &mut out);
    }
    text(",\"data\":[{\"asks\":", &mut out);
    write_levels(&mut out, spec, asks);
    text(",\"bids\":", &mut out);
    write_levels(&mut out, spec, bids);
    if let Some(symbol) = head.symbol {
        text(&format!(",\"instId\":{}", json_text(symbol)), &mut out);
    }
    text(&format!(",\"ts\":\"{}\"", head.ts_ms), &mut out);
    if let Some(checksum) = head.checksum {
        text(&format!(",\"checksum\":{checksum}"), &mut out);
    }
    if let Some(previous) = head.previous {
        text(&format!(",\"prevSeqId\":{previous}"), &mut out);
    }
    text(&format!(",\"seqId\":{}}}]}}", head.seq_id), &mut out);
    out
}

/// Appends levels as `["price","size","0","orders"]` in brackets.
pub(super) fn write_levels(out: &mut Vec<u8>, spec: &Spec, levels: &[Level]) {
    out.push(b'[');
    for (at, level) in levels.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        out.extend_from_slice(level_text(spec, *level).as_bytes());
    }
    out.push(b']');
}

/// One level: price, size, a field that is always "0", number of orders.
pub(super) fn level_text(spec: &Spec, level: Level) -> String {
    let (price, size) = (spec.price(level.ticks), spec.size(level.lots));
    format!("[\"{price}\",\"{size}\",\"0\",\"{}\"]", orders(level))
}

/// How many orders stand at a level: invented, and the same for the same level.
pub(super) const fn orders(level: Level) -> i64 {
    if level.lots == 0 { 0 } else { 1 + level.lots % 7 }
}

/// The checksum of a book: CRC-32 over the best 25 bids and asks in turn, `price:size` each, as a signed number. Levels
/// are best first.
pub(super) fn checksum<'a>(
    spec: &Spec,
    bids: impl Iterator<Item = &'a Level>,
    asks: impl Iterator<Item = &'a Level>,
) -> i32 {
    let (mut bids, mut asks) = (bids.take(25), asks.take(25));
    let mut text = Vec::with_capacity(1_024);
    let mut add = |level: Option<&Level>| {
        let Some(level) = level else { return false };
        if !text.is_empty() {
            text.push(b':');
        }
        spec.price(level.ticks).write(&mut text);
        text.push(b':');
        spec.size(level.lots).write(&mut text);
        true
    };
    while add(bids.next()) | add(asks.next()) {}
    crc32fast::hash(&text).cast_signed()
}

/// One execution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trade {
    /// `tradeId`: rises by one.
    pub(super) id: u64,
    /// ms.
    pub(super) time_ms: u64,
    /// What was filled.
    pub(super) fill: Fill,
    /// The instrument's sequence behind it.
    pub(super) seq_id: u64,
    /// How many executions it stands for; the id is the last one's.
    pub(super) count: u64,
}

impl Trade {
    /// Its row; `merged` ones also say of how many executions they are made.
    pub(super) fn row(&self, spec: &Spec, merged: bool) -> String {
        let (symbol, id, ts) = (json_text(&spec.symbol), self.id, self.time_ms);
        let (price, size, side) = (spec.price(self.fill.ticks), spec.size(self.fill.lots), side(self.fill.buy));
        let count = if merged { format!(",\"count\":\"{}\"", self.count) } else { String::new() };
        let seq = if merged { format!(",\"seqId\":{}", self.seq_id) } else { String::new() };
        format!(
            r#"{{"instId":{symbol},"tradeId":"{id}","px":"{price}","sz":"{size}","side":"{side}","ts":"{ts}"{count},"source":"0"{seq}}}"#
        )
    }
}

/// The venue's word for a side.
pub(super) const fn side(buy: bool) -> &'static str {
    if buy { "buy" } else { "sell" }
}

/// The answer to one argument of a subscribe or unsubscribe request; `arg` is JSON.
pub(super) fn ack(id: Option<&str>, event: &str, arg: &str, conn_id: &str) -> String {
    format!(r#"{{{}"event":"{event}","arg":{arg},"connId":"{conn_id}"}}"#, echo(id))
}

/// An error.
pub(super) fn error(id: Option<&str>, code: u32, text: &str, conn_id: &str) -> String {
    format!(r#"{{{}"event":"error","code":"{code}","msg":{},"connId":"{conn_id}"}}"#, echo(id), json_text(text))
}

fn echo(id: Option<&str>) -> String {
    id.map(|id| format!("\"id\":{},", json_text(id))).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Decimal;
    use crate::sim::okx::catalog::instruments;

    fn checksum_of(bids: &[(i64, i64)], asks: &[(i64, i64)]) -> i32 {
        // A tick of 0.1 and lots of 1: the numbers of the documentation's examples.
        let mut spec = instruments(false, &["BTC-USDT".to_owned()]).remove(0);
        spec.lot = Decimal::new(1, 0);
        let levels = |side: &[(i64, i64)]| -> Vec<Level> {
            side.iter().map(|(ticks, lots)| Level { ticks: *ticks, lots: *lots }).collect()
        };
        let (bids, asks) = (levels(bids), levels(asks));
        checksum(&spec, bids.iter(), asks.iter())
    }

    #[test]
    fn checksums_of_the_documentation() {
        assert_eq!(checksum_of(&[(33_661, 7), (33_660, 6)], &[(33_668, 9), (33_680, 8)]), -1_881_014_294);
        assert_eq!(checksum_of(&[(33_661, 7)], &[(33_668, 9), (33_680, 8), (33_720, 8)]), 831_078_360);
    }
}
