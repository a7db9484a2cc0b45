//! Digests of a book's top, for comparing books with one another.

use super::Book;
use crate::model::Level;

/// CRC-32 of `p:q|p:q|…#p:q|…`: the best 25 bids, then asks, numbers without trailing zeros.
/// It is nobody's wire checksum; recordings and reports are compared with it.
pub fn crc25(book: &Book) -> u32 {
    let mut text = Vec::with_capacity(1024);
    write_levels(&mut text, book.bids());
    text.push(b'#');
    write_levels(&mut text, book.asks());
    crc32fast::hash(&text)
}

fn write_levels(text: &mut Vec<u8>, levels: impl Iterator<Item = Level>) {
    for (at, level) in levels.take(25).enumerate() {
        if at > 0 {
            text.push(b'|');
        }
        level.price.trimmed().write(text);
        text.push(b':');
        level.size.trimmed().write(text);
    }
}

/// The checksum of OKX and those who copied it: CRC-32 of the best 25 levels, `bid price:bid size:ask price:ask size:…`
/// in the venue's own spelling, a missing side left out (OKX API v5, order book channel, until 2026-06).
pub fn book_checksum(book: &Book) -> u32 {
    let mut text = Vec::with_capacity(1024);
    let (mut bids, mut asks) = (book.bids(), book.asks());
    for _ in 0..25 {
        for level in [bids.next(), asks.next()].into_iter().flatten() {
            if !text.is_empty() {
                text.push(b':');
            }
            level.price.write(&mut text);
            text.push(b':');
            level.size.write(&mut text);
        }
    }
    crc32fast::hash(&text)
}
