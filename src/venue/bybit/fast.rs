//! The hot path: order book and trade messages in the compact spelling Bybit sends. Whatever looks different
//! is left to `wire`, which reads the same messages slowly and with every freedom JSON has.

use std::ops::Range;

use crate::model::{Decimal, Level, Side};
use crate::venue::kit::scan::Scan;

/// An order book message, its levels in the caller's scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Book<'a> {
    pub(super) topic: &'a str,
    pub(super) snapshot: bool,
    pub(super) ts: u64,
    pub(super) cts: Option<u64>,
    pub(super) u: u64,
    pub(super) seq: u64,
}

/// One trade of a trade message; the id is a range of the message's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trade {
    pub(super) id: Range<usize>,
    pub(super) price: Decimal,
    pub(super) size: Decimal,
    pub(super) side: Side,
    pub(super) block: Option<bool>,
    pub(super) time: u64,
    pub(super) seq: Option<u64>,
}

/// Puts a value into its place; giving up if the key came twice.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// Reads `"snapshot"` or `"delta"`.
fn is_snapshot(scan: &mut Scan<'_>) -> Option<bool> {
    match scan.bytes()? {
        b"snapshot" => Some(true),
        b"delta" => Some(false),
        _ => None,
    }
}

/// Reads an `orderbook` message.
pub(super) fn book<'a>(message: &'a [u8], bids: &mut Vec<Level>, asks: &mut Vec<Level>) -> Option<Book<'a>> {
    let mut scan = Scan::new(message);
    scan.byte(b'{')?;
    let (mut topic, mut snapshot, mut ts, mut cts, mut data) = (None, None, None, None, None);
    loop {
        match scan.key()? {
            b"topic" => once(&mut topic, scan.string()?)?,
            b"type" => once(&mut snapshot, is_snapshot(&mut scan)?)?,
            b"ts" => once(&mut ts, scan.integer()?)?,
            b"cts" => once(&mut cts, scan.integer()?)?,
            b"data" => once(&mut data, book_data(&mut scan, bids, asks)?)?,
            _ => return None,
        }
        if !scan.either(b',', b'}')? {
            break;
        }
    }
    let (u, seq) = data?;
    scan.is_done().then_some(Book { topic: topic?, snapshot: snapshot?, ts: ts?, cts, u, seq })
}

fn book_data(scan: &mut Scan<'_>, bids: &mut Vec<Level>, asks: &mut Vec<Level>) -> Option<(u64, u64)> {
    bids.clear();
    asks.clear();
    scan.byte(b'{')?;
    let (mut symbol, mut b, mut a, mut u, mut seq) = (None, None, None, None, None);
    loop {
        match scan.key()? {
            b"s" => once(&mut symbol, scan.bytes()?)?,
            b"b" => once(&mut b, scan.levels(bids)?)?,
            b"a" => once(&mut a, scan.levels(asks)?)?,
            b"u" => once(&mut u, scan.integer()?)?,
            b"seq" => once(&mut seq, scan.integer()?)?,
            _ => return None,
        }
        if !scan.either(b',', b'}')? {
            break;
        }
    }
    symbol?;
    b?;
    a?;
    Some((u?, seq?))
}

/// Reads a `publicTrade` message of one symbol: its topic, `ts` and, in `trades`, its trades.
pub(super) fn trades<'a>(message: &'a [u8], trades: &mut Vec<Trade>) -> Option<(&'a str, u64)> {
    trades.clear();
    let mut scan = Scan::new(message);
    scan.byte(b'{')?;
    let (mut topic, mut snapshot, mut ts, mut data) = (None, None, None, None);
    loop {
        match scan.key()? {
            b"topic" => once(&mut topic, scan.string()?)?,
            b"type" => once(&mut snapshot, is_snapshot(&mut scan)?)?,
            b"ts" => once(&mut ts, scan.integer()?)?,
            b"data" => once(&mut data, trade_list(&mut scan, message, trades)?)?,
            _ => return None,
        }
        if !scan.either(b',', b'}')? {
            break;
        }
    }
    data?;
    snapshot?;
    scan.is_done().then_some((topic?, ts?))
}

fn trade_list(scan: &mut Scan<'_>, message: &[u8], trades: &mut Vec<Trade>) -> Option<()> {
    scan.byte(b'[')?;
    if scan.peek()? == b']' {
        return scan.byte(b']');
    }
    loop {
        trades.push(trade(scan, message)?);
        if !scan.either(b',', b']')? {
            return Some(());
        }
    }
}

fn trade(scan: &mut Scan<'_>, message: &[u8]) -> Option<Trade> {
    scan.byte(b'{')?;
    let (mut id, mut price, mut size, mut side, mut time) = (None, None, None, None, None);
    let (mut block, mut rpi, mut tick, mut symbol, mut seq) = (None, None, None, None, None);
    loop {
        match scan.key()? {
            b"i" => once(&mut id, scan.string()?)?,
            b"p" => once(&mut price, scan.decimal()?)?,
            b"v" => once(&mut size, scan.decimal()?)?,
            b"S" => once(&mut side, scan.string()?)?,
            b"T" => once(&mut time, scan.integer()?)?,
            b"BT" => once(&mut block, scan.boolean()?)?,
            b"RPI" => once(&mut rpi, scan.boolean()?)?,
            b"L" => once(&mut tick, scan.bytes()?)?,
            b"s" => once(&mut symbol, scan.bytes()?)?,
            b"seq" => once(&mut seq, scan.integer()?)?,
            _ => return None,
        }
        if !scan.either(b',', b'}')? {
            break;
        }
    }
    symbol?;
    let id = id?;
    let start = (id.as_ptr() as usize).checked_sub(message.as_ptr() as usize)?;
    let side = super::wire::side(side?);
    Some(Trade { id: start..start + id.len(), price: price?, size: size?, side, block, time: time?, seq })
}
