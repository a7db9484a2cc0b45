//! Frames: every kind in both encodings against committed golden frames, sequences, conflation, what joiners get.
//!
//! `UPDATE_GOLDEN=1 cargo test --lib frame::` rewrites `tests/golden/v1`.

mod golden;
mod messagepack;
mod order;

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use super::*;
use crate::book::Book;
use crate::feed::{BookView, Event, Levels, Reason, State, Status, Symbol};
use crate::model::{Clocks, Decimal, Level, Mono, Stamp, UnixNanos};

const CLOCKS: Clocks = Clocks {
    event: Some(UnixNanos(1_672_304_484_976_000_000)),
    venue: Some(UnixNanos(1_672_304_484_978_000_000)),
    recv: Some(UnixNanos(1_672_304_484_979_123_456)),
};

fn spec(encoding: Encoding, interval_ms: u64) -> EncoderSpec {
    EncoderSpec {
        feed: "bybit_linear".to_owned(),
        venue: "bybit".to_owned(),
        market: "linear".to_owned(),
        account: None,
        epoch: 1_672_304_000_000,
        encoding,
        book_depth: 2,
        depth_of: HashMap::from([("DEEP".to_owned(), 3)]),
        book_interval: Duration::from_millis(interval_ms),
        last_seq: Default::default(),
        feed_seq: Arc::new(AtomicU64::new(0)),
        clock: || UnixNanos(1_672_304_484_979_200_000),
    }
}

fn symbol(id: u32, name: &str) -> Symbol {
    Symbol { id, name: name.to_owned(), instrument: (id == 1).then(|| "BTC-USDT-PERP".to_owned()) }
}

fn now(ms: u64) -> Stamp {
    Stamp { mono: Mono(ms * 1_000_000), wall: UnixNanos::from_ms(ms) }
}

fn number(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).expect("a number")
}

fn level(price: &str, size: &str) -> Level {
    Level { price: number(price), size: number(size) }
}

fn book() -> Book {
    let mut book = Book::new(10);
    let bids = [level("16493.50", "0.006"), level("16493.00", "0.100"), level("16492", "3")];
    book.apply(&bids, &[level("16611.00", "0.029"), level("16611.5", "1")]).expect("fits");
    book
}

fn view(book: &Book) -> Event<'_> {
    Event::Book(BookView { book, venue_seq: 18_521_288, clocks: CLOCKS })
}

const fn changes(bids: &[Level]) -> Event<'_> {
    Event::Delta { levels: Levels::Changes(bids, &[]), venue_seq: 7, clocks: CLOCKS }
}

fn status(state: State, reason: Option<Reason>) -> Status {
    Status { state, reason, since: UnixNanos::from_ms(5), detail: None }
}

/// The frames an event leads to.
fn frames(encoder: &mut Encoder, symbol: &Symbol, event: Event<'_>, at_ms: u64) -> Vec<Frame> {
    let mut out = Vec::new();
    encoder.event(symbol, event, now(at_ms), &mut out);
    out.into_iter().filter_map(|item| if let Outgoing::Frame(frame) = item { Some(frame) } else { None }).collect()
}

fn json(frame: &Frame) -> serde_json::Value {
    serde_json::from_slice(&frame.payload).expect("JSON")
}

fn topic_of(frame: &Frame) -> &str {
    std::str::from_utf8(&frame.topic).expect("a text")
}
