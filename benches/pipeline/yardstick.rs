//! The yardstick: the same work written plainly with serde_json, rust_decimal and BTreeMap. It makes the same frames as
//! the pipeline, byte for byte.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use bytes::Bytes;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize, Serializer};
use tickbus::frame::{Frame, Retain, topic};
use tickbus::model::{Mono, Stamp, UnixNanos};

/// One of the stream's messages, borrowed from its text. Dispatched by its start, which saves serde a second pass.
pub(crate) enum Message<'a> {
    Book(BookMessage<'a>),
    Trades(TradeMessage<'a>),
}

#[derive(Deserialize)]
pub(crate) struct BookMessage<'a> {
    #[serde(rename = "type")]
    kind: &'a str,
    ts: u64,
    cts: u64,
    #[serde(borrow)]
    data: BookData<'a>,
}

#[derive(Deserialize)]
struct BookData<'a> {
    s: &'a str,
    #[serde(borrow)]
    b: Vec<[&'a str; 2]>,
    #[serde(borrow)]
    a: Vec<[&'a str; 2]>,
    u: u64,
}

#[derive(Deserialize)]
pub(crate) struct TradeMessage<'a> {
    ts: u64,
    #[serde(borrow)]
    data: Vec<TradeData<'a>>,
}

#[derive(Deserialize)]
struct TradeData<'a> {
    #[serde(rename = "T")]
    time: u64,
    s: &'a str,
    #[serde(rename = "S")]
    side: &'a str,
    v: &'a str,
    p: &'a str,
    i: &'a str,
    #[serde(rename = "BT")]
    block: bool,
    seq: u64,
}

/// Reads one message.
pub(crate) fn parse(text: &str) -> Message<'_> {
    if text.starts_with(r#"{"topic":"orderbook."#) {
        Message::Book(serde_json::from_str(text).expect("a book message"))
    } else {
        Message::Trades(serde_json::from_str(text).expect("a trade message"))
    }
}

/// A side of a book, by price.
type Side = BTreeMap<Decimal, Decimal>;

/// What frames that come from one message share.
#[derive(Clone, Copy, Default)]
struct Stamps {
    venue_seq: u64,
    event: u64,
    venue: u64,
    recv: u64,
}

/// Declares a frame: the common fields, then its own.
macro_rules! frame {
    ($name:ident $kind:literal { $($field:ident: $type:ty,)* }) => {
        #[derive(Serialize)]
        struct $name<'a> {
            v: u64,
            r#type: &'static str,
            venue: &'static str,
            market: &'static str,
            symbol: &'a str,
            epoch: u64,
            seq: u64,
            venue_seq: u64,
            ts_event: u64,
            ts_venue: u64,
            ts_recv: u64,
            ts_pub: u64,
            $($field: $type,)*
        }

        impl<'a> $name<'a> {
            #[allow(clippy::too_many_arguments)]
            const fn new(symbol: &'a str, seq: u64, at: Stamps, ts_pub: u64, $($field: $type),*) -> Self {
                Self {
                    v: 1,
                    r#type: $kind,
                    venue: "bybit",
                    market: "linear",
                    symbol,
                    epoch: super::EPOCH,
                    seq,
                    venue_seq: at.venue_seq,
                    ts_event: at.event,
                    ts_venue: at.venue,
                    ts_recv: at.recv,
                    ts_pub,
                    $($field,)*
                }
            }
        }
    };
}

frame!(DeltaFrame "delta" { bids: &'a [[&'a str; 2]], asks: &'a [[&'a str; 2]], });
frame!(WholeFrame "delta" { snapshot: bool, bids: Best<'a>, asks: Best<'a>, });
frame!(BookFrame "book" { state: &'static str, depth: u64, bids: Best<'a>, asks: Best<'a>, delta_seq: u64, });
frame!(BboFrame "bbo" { bid_price: Decimal, bid_size: Decimal, ask_price: Decimal, ask_size: Decimal, });
frame!(TradeFrame "trade" { id: &'a str, price: Decimal, size: Decimal, side: &'static str, block: bool, });

/// The best `most` levels of a side, best first.
enum Best<'a> {
    Bids(&'a Side, usize),
    Asks(&'a Side, usize),
}

impl Serialize for Best<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Bids(side, most) => serializer.collect_seq(side.iter().rev().take(*most)),
            Self::Asks(side, most) => serializer.collect_seq(side.iter().take(*most)),
        }
    }
}

/// A topic and its sequence.
struct Topic {
    name: Bytes,
    seq: u64,
}

impl Topic {
    fn new(channel: &str, symbol: &str) -> Self {
        Self { name: topic(channel, "bybit", "linear", symbol), seq: 0 }
    }

    fn next(&mut self) -> u64 {
        self.seq += 1;
        self.seq
    }
}

/// A symbol's book and topics.
pub(crate) struct Book {
    symbol: String,
    pub(crate) bids: Side,
    pub(crate) asks: Side,
    pub(crate) u: u64,
    stamps: Stamps,
    best: Option<[Decimal; 4]>,
    sent: Option<Mono>,
    due: bool,
    delta: Topic,
    book: Topic,
    bbo: Topic,
    trade: Topic,
}

impl Book {
    fn new(symbol: &str) -> Self {
        Self {
            symbol: symbol.to_owned(),
            bids: Side::new(),
            asks: Side::new(),
            u: 0,
            stamps: Stamps::default(),
            best: None,
            sent: None,
            due: false,
            delta: Topic::new("delta", symbol),
            book: Topic::new("book", symbol),
            bbo: Topic::new("bbo", symbol),
            trade: Topic::new("trade", symbol),
        }
    }

    fn apply(&mut self, message: &BookMessage<'_>) {
        let data = &message.data;
        if message.kind == "snapshot" {
            self.bids.clear();
            self.asks.clear();
        } else {
            assert_eq!(data.u, self.u + 1, "a gap");
        }
        self.u = data.u;
        for (side, levels) in [(&mut self.bids, &data.b), (&mut self.asks, &data.a)] {
            for [price, size] in levels {
                let (price, size) = (number(price), number(size));
                if size.is_zero() {
                    side.remove(&price);
                } else {
                    side.insert(price, size);
                }
            }
        }
        let best = (self.bids.last_key_value(), self.asks.first_key_value());
        assert!(best.0.zip(best.1).is_none_or(|(bid, ask)| bid.0 < ask.0), "crossed");
    }

    fn best_now(&self) -> Option<[Decimal; 4]> {
        let (bid, ask) = (self.bids.last_key_value()?, self.asks.first_key_value()?);
        Some([*bid.0, *bid.1, *ask.0, *ask.1])
    }
}

fn number(text: &str) -> Decimal {
    Decimal::from_str_exact(text).expect("a decimal")
}

fn nanos(ms: u64) -> u64 {
    ms * 1_000_000
}

/// Parses, checks, applies and encodes.
pub(crate) struct Yardstick {
    books: HashMap<String, Book>,
    interval: Duration,
    depth: u16,
    clock: fn() -> UnixNanos,
    due: Vec<String>,
}

impl Yardstick {
    pub(crate) fn new(symbols: &[String], interval: Duration, depth: u16, clock: fn() -> UnixNanos) -> Self {
        let books = symbols.iter().map(|symbol| (symbol.clone(), Book::new(symbol))).collect();
        Self { books, interval, depth, clock, due: Vec::new() }
    }

    pub(crate) fn book(&self, symbol: &str) -> &Book {
        &self.books[symbol]
    }

    /// Parse, check, apply; no frames.
    pub(crate) fn apply(&mut self, text: &str) {
        if let Message::Book(message) = parse(text) {
            self.books.get_mut(message.data.s).expect("a known symbol").apply(&message);
        }
    }

    /// The whole pipeline.
    pub(crate) fn step(&mut self, text: &str, now: Stamp, out: &mut Vec<Frame>) {
        match parse(text) {
            Message::Book(message) => self.on_book(&message, now, out),
            Message::Trades(message) => self.on_trades(&message, now, out),
        }
        self.send_due(now, out);
    }

    fn on_book(&mut self, message: &BookMessage<'_>, now: Stamp, out: &mut Vec<Frame>) {
        let ts_pub = || (self.clock)().0;
        let book = self.books.get_mut(message.data.s).expect("a known symbol");
        book.apply(message);
        let data = &message.data;
        let at = Stamps { venue_seq: data.u, event: nanos(message.cts), venue: nanos(message.ts), recv: now.wall.0 };
        book.stamps = at;
        let seq = book.delta.next();
        if message.kind == "snapshot" {
            let (bids, asks) = (Best::Bids(&book.bids, usize::MAX), Best::Asks(&book.asks, usize::MAX));
            let frame = WholeFrame::new(&book.symbol, seq, at, ts_pub(), true, bids, asks);
            out.push(finish(&book.delta, &frame, Retain::Stream));
        } else {
            let frame = DeltaFrame::new(&book.symbol, seq, at, ts_pub(), &data.b, &data.a);
            out.push(finish(&book.delta, &frame, Retain::Stream));
        }
        if book.sent.is_none_or(|sent| sent.after(self.interval) <= now.mono) {
            if std::mem::take(&mut book.due) {
                self.due.retain(|symbol| *symbol != book.symbol);
            }
            send_book(book, self.depth, now, ts_pub(), out);
        } else if !std::mem::replace(&mut book.due, true) {
            self.due.push(book.symbol.clone());
        }
        let best = book.best_now();
        if book.best != best {
            book.best = best;
            let [bid_price, bid_size, ask_price, ask_size] = best.expect("two sides");
            let seq = book.bbo.next();
            let frame = BboFrame::new(&book.symbol, seq, at, ts_pub(), bid_price, bid_size, ask_price, ask_size);
            out.push(finish(&book.bbo, &frame, Retain::Conflate));
        }
    }

    fn on_trades(&mut self, message: &TradeMessage<'_>, now: Stamp, out: &mut Vec<Frame>) {
        for trade in &message.data {
            let book = self.books.get_mut(trade.s).expect("a known symbol");
            let (venue, recv) = (nanos(message.ts), now.wall.0);
            let at = Stamps { venue_seq: trade.seq, event: nanos(trade.time), venue, recv };
            let side = if trade.side == "Buy" { "buy" } else { "sell" };
            let (price, size) = (number(trade.p), number(trade.v));
            let (seq, ts_pub) = (book.trade.next(), (self.clock)().0);
            let frame = TradeFrame::new(&book.symbol, seq, at, ts_pub, trade.i, price, size, side, trade.block);
            out.push(finish(&book.trade, &frame, Retain::Stream));
        }
    }

    /// Sends the books whose interval is over.
    fn send_due(&mut self, now: Stamp, out: &mut Vec<Frame>) {
        let (interval, depth, clock) = (self.interval, self.depth, self.clock);
        let books = &mut self.books;
        self.due.retain(|symbol| {
            let book = books.get_mut(symbol).expect("a known symbol");
            if book.sent.is_some_and(|sent| sent.after(interval) > now.mono) {
                return true;
            }
            book.due = false;
            send_book(book, depth, now, clock().0, out);
            false
        });
    }
}

fn send_book(book: &mut Book, depth: u16, now: Stamp, ts_pub: u64, out: &mut Vec<Frame>) {
    book.sent = Some(now.mono);
    let (seq, most) = (book.book.next(), usize::from(depth));
    let (bids, asks) = (Best::Bids(&book.bids, most), Best::Asks(&book.asks, most));
    let frame =
        BookFrame::new(&book.symbol, seq, book.stamps, ts_pub, "live", depth.into(), bids, asks, book.delta.seq);
    out.push(finish(&book.book, &frame, Retain::Conflate));
}

fn finish(topic: &Topic, payload: &impl Serialize, retain: Retain) -> Frame {
    let payload = serde_json::to_vec(payload).expect("a payload").into();
    Frame { topic: topic.name.clone(), payload, retain, seq: topic.seq }
}
