//! The hot path: book and trade messages in the compact spelling OKX sends. Whatever looks different is left to `wire`, which
//! reads the same messages slowly and with every freedom JSON has.

use std::ops::Range;

use crate::model::{Decimal, Level, Side};
use crate::venue::kit::scan::Scan;

/// A book message, its levels in the caller's scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Book {
    pub(super) snapshot: bool,
    /// Milliseconds.
    pub(super) ts: u64,
    pub(super) checksum: Option<i64>,
    pub(super) seq: Option<u64>,
    /// -1 for a snapshot.
    pub(super) previous: Option<i64>,
}

/// One trade of a trade message; the id is a range of the message's bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trade {
    pub(super) id: Range<usize>,
    pub(super) price: Decimal,
    pub(super) size: Decimal,
    pub(super) side: Side,
    /// Milliseconds.
    pub(super) ts: u64,
    pub(super) seq: Option<u64>,
}

/// Puts a value into its place; giving up if the key came twice.
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// The argument that a message begins with, as it is written, and what follows it.
pub(super) fn split(message: &[u8]) -> Option<(&str, &[u8])> {
    let rest = message.strip_prefix(br#"{"arg":"#)?;
    let (arg, rest) = rest.split_at_checked(memchr::memchr(b'}', rest)? + 1)?;
    Some((std::str::from_utf8(arg).ok()?, rest.strip_prefix(b",")?))
}

/// Reads what follows the argument of a book message.
pub(super) fn book(rest: &[u8], bids: &mut Vec<Level>, asks: &mut Vec<Level>) -> Option<Book> {
    let mut scan = Scan::new(rest);
    let (mut action, mut data) = (None, None);
    loop {
        match scan.key()? {
            b"action" => once(&mut action, scan.bytes()?)?,
            b"data" => once(&mut data, book_row(&mut scan, bids, asks)?)?,
            _ => return None,
        }
        if !scan.either(b',', b'}')? {
            break;
        }
    }
    let snapshot = match action {
        None | Some(b"snapshot") => true,
        Some(b"update") => false,
        Some(_) => return None,
    };
    let data: Book = data?;
    scan.is_done().then_some(Book { snapshot, ..data })
}

/// The only row of a book message.
fn book_row(scan: &mut Scan<'_>, bids: &mut Vec<Level>, asks: &mut Vec<Level>) -> Option<Book> {
    bids.clear();
    asks.clear();
    scan.text(b"[{")?;
    let (mut b, mut a, mut ts, mut symbol) = (None, None, None, None);
    let (mut checksum, mut seq, mut previous) = (None, None, None);
    loop {
        match scan.key()? {
            b"asks" => once(&mut a, levels(scan, asks)?)?,
            b"bids" => once(&mut b, levels(scan, bids)?)?,
            b"ts" => once(&mut ts, quoted(scan)?)?,
            b"checksum" => once(&mut checksum, signed(scan)?)?,
            b"seqId" => once(&mut seq, scan.integer()?)?,
            // No id is negative but -1, which says that there is none: anything else is for the slow path to judge.
            b"prevSeqId" => once(&mut previous, signed(scan).filter(|id| *id >= -1)?)?,
            b"instId" => once(&mut symbol, scan.bytes()?)?,
            _ => return None,
        }
        if !scan.either(b',', b'}')? {
            break;
        }
    }
    scan.byte(b']')?;
    a?;
    b?;
    Some(Book { snapshot: false, ts: ts?, checksum, seq, previous })
}

/// Reads `[["price","size","0","orders"],…]` and appends the levels.
#[inline]
fn levels(scan: &mut Scan<'_>, out: &mut Vec<Level>) -> Option<()> {
    scan.byte(b'[')?;
    if scan.peek()? == b']' {
        return scan.byte(b']');
    }
    loop {
        scan.byte(b'[')?;
        let price = scan.decimal()?;
        scan.byte(b',')?;
        let size = scan.decimal()?;
        while scan.either(b',', b']')? {
            scan.bytes()?;
        }
        out.push(Level { price, size });
        if !scan.either(b',', b']')? {
            return Some(());
        }
    }
}

/// An integer in quotes.
fn quoted(scan: &mut Scan<'_>) -> Option<u64> {
    scan.byte(b'"')?;
    let value = scan.integer()?;
    scan.byte(b'"')?;
    Some(value)
}

fn signed(scan: &mut Scan<'_>) -> Option<i64> {
    let negative = scan.peek()? == b'-';
    if negative {
        scan.byte(b'-')?;
    }
    let value = i64::try_from(scan.integer()?).ok()?;
    // JSON has a minus before zero; what it is to mean is for the slow path to say.
    if negative && value == 0 {
        return None;
    }
    Some(if negative { -value } else { value })
}

/// Reads what follows the argument of a trade message into `trades`.
pub(super) fn trades(message: &[u8], rest: &[u8], trades: &mut Vec<Trade>) -> Option<()> {
    trades.clear();
    let mut scan = Scan::new(rest);
    scan.text(br#""data":["#)?;
    loop {
        trades.push(trade(&mut scan, message)?);
        if !scan.either(b',', b']')? {
            break;
        }
    }
    scan.byte(b'}')?;
    scan.is_done().then_some(())
}

fn trade(scan: &mut Scan<'_>, message: &[u8]) -> Option<Trade> {
    scan.byte(b'{')?;
    let (mut id, mut price, mut size, mut side, mut ts) = (None, None, None, None, None);
    let (mut symbol, mut count, mut source, mut seq) = (None, None, None, None);
    loop {
        match scan.key()? {
            b"instId" => once(&mut symbol, scan.bytes()?)?,
            b"tradeId" => once(&mut id, scan.string()?)?,
            b"px" => once(&mut price, scan.decimal()?)?,
            b"sz" => once(&mut size, scan.decimal()?)?,
            b"side" => once(&mut side, scan.string()?)?,
            b"ts" => once(&mut ts, quoted(scan)?)?,
            b"count" => once(&mut count, scan.bytes()?)?,
            b"source" => once(&mut source, scan.bytes()?)?,
            b"seqId" => once(&mut seq, scan.integer()?)?,
            _ => return None,
        }
        if !scan.either(b',', b'}')? {
            break;
        }
    }
    let id = id?;
    let start = (id.as_ptr() as usize).checked_sub(message.as_ptr() as usize)?;
    let side = super::wire::side(side?);
    Some(Trade { id: start..start + id.len(), price: price?, size: size?, side, ts: ts?, seq })
}
