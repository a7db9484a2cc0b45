//! The hot path: depth updates, trades and best offers of combined streams in the compact spelling Binance sends.
//! Whatever looks different is left to `wire`, which reads the same messages slowly and with every freedom JSON has.

use std::ops::Range;

use crate::model::{Decimal, Level, Side};
use crate::venue::kit::scan::Scan;

/// A depth update, its levels in the caller's scratch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Depth {
    pub(super) made: u64,
    pub(super) happened: Option<u64>,
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) previous: Option<u64>,
}

/// A best bid and offer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct BookTicker {
    pub(super) made: Option<u64>,
    pub(super) happened: Option<u64>,
    pub(super) u: u64,
    pub(super) bid: Level,
    pub(super) ask: Level,
}

/// A trade; its id is a range of the message's bytes as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trade {
    pub(super) id: u64,
    pub(super) id_text: Range<usize>,
    pub(super) price: Decimal,
    pub(super) size: Decimal,
    pub(super) side: Side,
    pub(super) made: u64,
    pub(super) happened: u64,
}

/// Puts a value into its place; giving up if the key came twice.
#[inline(always)]
fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

/// Reads the stream's name; what follows is its data.
#[inline]
pub(super) fn stream(message: &[u8]) -> Option<(&str, Scan<'_>)> {
    let mut scan = Scan::new(message);
    scan.text(br#"{"stream":"#)?;
    let name = scan.string()?;
    scan.text(br#","data":{"#)?;
    Some((name, scan))
}

/// Reads the ends of the data and of the message.
fn end(scan: &mut Scan<'_>) -> Option<()> {
    scan.byte(b'}')?;
    scan.is_done().then_some(())
}

/// Skips a value that we do not need.
fn skip(scan: &mut Scan<'_>) -> Option<()> {
    match scan.peek()? {
        b'"' => scan.bytes().map(|_| ()),
        b't' | b'f' => scan.boolean().map(|_| ()),
        b'-' => {
            scan.byte(b'-')?;
            scan.integer().map(|_| ())
        }
        _ => scan.integer().map(|_| ()),
    }
}

/// Reads the data of a depth update.
#[inline]
pub(super) fn depth(scan: &mut Scan<'_>, bids: &mut Vec<Level>, asks: &mut Vec<Level>) -> Option<Depth> {
    bids.clear();
    asks.clear();
    let (mut made, mut happened, mut first, mut last, mut previous) = (None, None, None, None, None);
    let (mut kind, mut b, mut a) = (None, None, None);
    loop {
        match scan.key()? {
            b"e" => once(&mut kind, scan.text(br#""depthUpdate""#)?)?,
            b"E" => once(&mut made, scan.integer()?)?,
            b"T" => once(&mut happened, scan.integer()?)?,
            b"U" => once(&mut first, scan.integer()?)?,
            b"u" => once(&mut last, scan.integer()?)?,
            b"pu" => once(&mut previous, scan.integer()?)?,
            b"b" => once(&mut b, scan.levels(bids)?)?,
            b"a" => once(&mut a, scan.levels(asks)?)?,
            b"s" | b"ps" | b"st" => skip(scan)?,
            _ => return None,
        }
        if !scan.either(b',', b'}')? {
            break;
        }
    }
    end(scan)?;
    kind.and(b).and(a)?;
    Some(Depth { made: made?, happened, first: first?, last: last?, previous })
}

/// Reads the data of a best bid and offer.
pub(super) fn book_ticker(scan: &mut Scan<'_>) -> Option<BookTicker> {
    let (mut made, mut happened, mut u) = (None, None, None);
    let (mut bid, mut bid_size, mut ask, mut ask_size) = (None, None, None, None);
    loop {
        match scan.key()? {
            b"E" => once(&mut made, scan.integer()?)?,
            b"T" => once(&mut happened, scan.integer()?)?,
            b"u" => once(&mut u, scan.integer()?)?,
            b"b" => once(&mut bid, scan.decimal()?)?,
            b"B" => once(&mut bid_size, scan.decimal()?)?,
            b"a" => once(&mut ask, scan.decimal()?)?,
            b"A" => once(&mut ask_size, scan.decimal()?)?,
            b"e" | b"s" | b"ps" | b"st" => skip(scan)?,
            _ => return None,
        }
        if !scan.either(b',', b'}')? {
            break;
        }
    }
    end(scan)?;
    let bid = Level { price: bid?, size: bid_size? };
    let ask = Level { price: ask?, size: ask_size? };
    Some(BookTicker { made, happened, u: u?, bid, ask })
}

/// Reads the data of a trade whose id is under this key.
pub(super) fn trade(scan: &mut Scan<'_>, id_key: u8) -> Option<Trade> {
    let (mut id, mut id_text, mut price, mut size) = (None, 0..0, None, None);
    let (mut maker, mut made, mut happened, mut order) = (None, None, None, None);
    loop {
        match scan.key()? {
            [key] if *key == id_key => {
                let start = scan.position();
                once(&mut id, scan.integer()?)?;
                id_text = start..scan.position();
            }
            b"p" => once(&mut price, scan.decimal()?)?,
            b"q" => once(&mut size, scan.decimal()?)?,
            b"m" => once(&mut maker, scan.boolean()?)?,
            b"E" => once(&mut made, scan.integer()?)?,
            b"T" => once(&mut happened, scan.integer()?)?,
            b"e" | b"s" | b"ps" | b"st" | b"f" | b"l" | b"M" | b"X" | b"nq" | b"b" => skip(scan)?,
            // The seller's order, until 2023.
            b"a" => once(&mut order, skip(scan)?)?,
            _ => return None,
        }
        if !scan.either(b',', b'}')? {
            break;
        }
    }
    end(scan)?;
    let side = super::wire::side(maker?);
    Some(Trade { id: id?, id_text, price: price?, size: size?, side, made: made?, happened: happened? })
}
