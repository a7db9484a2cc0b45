//! A subscriber that holds the gateway to its promises, frame by frame.

use std::collections::{BTreeSet, HashMap};

use serde_json::Value;
use tickbus::frame::{Frame, Outgoing, TypedPayload};

use super::venue::{Levels, Side};

/// What is known of one symbol from its frames alone.
#[derive(Debug, Default)]
struct Symbol {
    is_live: bool,
    levels: Levels,
    venue_seq: u64,
    delta_seq: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Subscriber {
    seqs: HashMap<Vec<u8>, u64>,
    symbols: HashMap<String, Symbol>,
    retained: HashMap<Vec<u8>, u64>,
    /// Reasons of all statuses so far.
    pub(crate) reasons: BTreeSet<String>,
}

fn hundredths(price: &str) -> i64 {
    price.replace('.', "").parse().expect("two decimal places")
}

fn side(levels: &[(String, String)]) -> Side {
    levels.iter().map(|(price, size)| (hundredths(price), size.parse().expect("an integer"))).collect()
}

fn apply(side: &mut Side, changes: &[(String, String)]) {
    for (price, size) in changes {
        match size.parse::<i64>().expect("an integer") {
            0 => drop(side.remove(&hundredths(price))),
            size => drop(side.insert(hundredths(price), size)),
        }
    }
}

fn best(side: impl Iterator<Item = (i64, i64)>, most: u64) -> Vec<(i64, i64)> {
    side.take(most as usize).collect()
}

impl Subscriber {
    pub(crate) fn take(&mut self, outgoing: &Outgoing) {
        match outgoing {
            Outgoing::Forget(topic) => drop(self.retained.remove(&topic[..])),
            Outgoing::Frame(frame) => self.frame(frame),
            Outgoing::Shared(frame) => self.frame(frame),
        }
    }

    fn frame(&mut self, frame: &Frame) {
        let payload: TypedPayload = serde_json::from_slice(&frame.payload).expect("a frame fits its type");
        let common: Value = serde_json::from_slice(&frame.payload).expect("JSON");
        let seq = common["seq"].as_u64().expect("seq");
        let before = self.seqs.insert(frame.topic.to_vec(), seq).unwrap_or(0);
        assert_eq!(seq, before + 1, "a hole in {}", String::from_utf8_lossy(&frame.topic));
        let symbol = self.symbols.entry(common["symbol"].as_str().expect("symbol").to_owned()).or_default();
        match payload {
            TypedPayload::Status(status) => {
                self.reasons.extend(status.reason);
                if status.channel.is_some() {
                    symbol.is_live = status.state == "live";
                }
            }
            TypedPayload::Delta(delta) => {
                assert!(symbol.is_live, "a delta of {} while it is not live", delta.symbol);
                if delta.snapshot {
                    symbol.levels = Levels { bids: side(&delta.bids), asks: side(&delta.asks) };
                } else {
                    apply(&mut symbol.levels.bids, &delta.bids);
                    apply(&mut symbol.levels.asks, &delta.asks);
                }
                symbol.venue_seq = delta.venue_seq.expect("venue_seq");
                symbol.delta_seq = delta.seq;
            }
            TypedPayload::Book(book) => {
                assert!(symbol.is_live, "a book of {} while it is not live", book.symbol);
                self.retained.insert(frame.topic.to_vec(), seq);
                check_book(symbol, &book);
            }
            TypedPayload::Bbo(bbo) => assert!(symbol.is_live, "a best of {} while it is not live", bbo.symbol),
            TypedPayload::Instrument(_) => {}
            other => panic!("nobody asked for {other:?}"),
        }
    }

    /// The book of a live symbol and the venue's number of it, as the delta stream gives them.
    pub(crate) fn live(&self, symbol: &str) -> Option<(u64, &Levels)> {
        self.symbols.get(symbol).filter(|symbol| symbol.is_live).map(|symbol| (symbol.venue_seq, &symbol.levels))
    }

    /// What a joiner asks for must be where the delta stream is, and be there only while the symbol is live.
    pub(crate) fn check_snapshot(&self, name: &str, frame: Option<&Frame>) {
        let symbol = self.symbols.get(name).filter(|symbol| symbol.is_live);
        assert_eq!(frame.is_some(), symbol.is_some(), "{name}: a snapshot is there exactly while it is live");
        let (Some(frame), Some(symbol)) = (frame, symbol) else { return };
        let payload: TypedPayload = serde_json::from_slice(&frame.payload).expect("a frame fits its type");
        let TypedPayload::Book(book) = payload else { panic!("a snapshot is a book") };
        assert_eq!(Some(&book.seq), self.seqs.get(&frame.topic[..]), "a snapshot takes no number");
        check_book(symbol, &book);
        assert_eq!(side(&book.bids), symbol.levels.bids, "{name}: full depth");
        assert_eq!(side(&book.asks), symbol.levels.asks, "{name}: full depth");
    }

    /// Whether a joiner would be given this symbol's last book frame.
    pub(crate) fn retains_book(&self, topic: &[u8]) -> bool {
        self.retained.contains_key(topic)
    }
}

fn check_book(symbol: &Symbol, book: &tickbus::frame::TypedBook) {
    assert_eq!(book.delta_seq, symbol.delta_seq, "{}: delta_seq", book.symbol);
    assert_eq!(book.venue_seq, Some(symbol.venue_seq), "{}: venue_seq", book.symbol);
    let bids = best(symbol.levels.bids.iter().rev().map(|(p, s)| (*p, *s)), book.depth);
    let asks = best(symbol.levels.asks.iter().map(|(p, s)| (*p, *s)), book.depth);
    let pairs = |levels: &[(String, String)]| {
        levels.iter().map(|(p, s)| (hundredths(p), s.parse::<i64>().expect("an integer"))).collect::<Vec<_>>()
    };
    assert_eq!(pairs(&book.bids), bids, "{}: best bids", book.symbol);
    assert_eq!(pairs(&book.asks), asks, "{}: best asks", book.symbol);
}
