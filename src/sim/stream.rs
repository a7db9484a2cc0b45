//! The generated benchmark stream: raw Bybit v5 linear messages of ten symbols, always the same for a seed. Ten
//! snapshots of 200 levels a side, then deltas (about twelve level changes, exact differences of the best 200 levels,
//! u + 1) with a trade message of about two trades in every fifth place on average.

use fastrand::Rng;

use super::TrueBook;
use super::bybit::{Book, Category, Spec, Trade, instruments, write_book, write_trades};
use super::market::{Level, Market, Side, difference};
use crate::model;

/// Symbols in the stream.
pub const SYMBOLS: usize = 10;
/// Levels a side of its books.
pub const DEPTH: usize = 200;

/// Market changes behind one delta. Half of them move a level at the window's far end too.
const CHANGES: std::ops::RangeInclusive<usize> = 5..=13;
/// The first message's time, ms since 1970.
const FIRST_MS: u64 = 1_795_262_400_000;

struct Line {
    spec: Spec,
    topic: String,
    trade_topic: String,
    market: Market,
    bids: Vec<Level>,
    asks: Vec<Level>,
    u: u64,
    seq: u64,
}

/// Makes the stream, message by message, without end.
pub struct Generator {
    rng: Rng,
    lines: Vec<Line>,
    written: usize,
    now_ms: u64,
    changed_bids: Vec<Level>,
    changed_asks: Vec<Level>,
}

impl Generator {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let perpetual = |spec: &Spec| spec.category == Category::Linear && spec.symbol.ends_with("USDT");
        let specs = instruments(&[]).into_iter().filter(perpetual).take(SYMBOLS);
        let lines = specs.map(|spec| Line::new(spec, &mut rng)).collect();
        Self { rng, lines, written: 0, now_ms: FIRST_MS, changed_bids: Vec::new(), changed_asks: Vec::new() }
    }

    /// Appends the next message to `out`.
    pub fn write_next(&mut self, out: &mut Vec<u8>) {
        self.now_ms += self.rng.u64(0..=2);
        if let Some(line) = self.lines.get_mut(self.written) {
            line.write_snapshot(self.now_ms, out);
        } else {
            let at = self.rng.usize(0..self.lines.len());
            if self.rng.u8(0..5) == 0 { self.write_trades(at, out) } else { self.write_delta(at, out) }
        }
        self.written += 1;
    }

    fn write_delta(&mut self, at: usize, out: &mut Vec<u8>) {
        let line = &mut self.lines[at];
        self.changed_bids.clear();
        self.changed_asks.clear();
        while self.changed_bids.is_empty() && self.changed_asks.is_empty() {
            line.market.change(self.rng.usize(CHANGES));
            difference(Side::Bid, &line.bids, line.market.top(Side::Bid, DEPTH), &mut self.changed_bids);
            difference(Side::Ask, &line.asks, line.market.top(Side::Ask, DEPTH), &mut self.changed_asks);
        }
        line.follow_market();
        let (bids, asks) = (&self.changed_bids, &self.changed_asks);
        write_book(out, &line.spec, &Book { bids, asks, ..line.head(false, self.now_ms) });
    }

    fn write_trades(&mut self, at: usize, out: &mut Vec<u8>) {
        let line = &mut self.lines[at];
        let trades: Vec<Trade> = (0..self.rng.usize(1..=3))
            .map(|_| Trade {
                fill: line.market.trade(),
                id: format!("{:016x}", self.rng.u64(..)),
                time_ms: self.now_ms.saturating_sub(1),
                seq: line.market.seq(),
                direction: "ZeroPlusTick",
            })
            .collect();
        write_trades(out, &line.spec, &line.trade_topic, &trades, self.now_ms);
    }

    /// The books as the stream has told them so far, by symbol.
    pub fn truth(&self) -> Vec<(String, TrueBook)> {
        self.lines.iter().map(|line| (line.spec.symbol.clone(), line.truth())).collect()
    }
}

impl Line {
    fn new(spec: Spec, rng: &mut Rng) -> Self {
        let market = Market::new(rng.u64(..), spec.shape);
        let (topic, trade_topic) =
            (format!("orderbook.{DEPTH}.{}", spec.symbol), format!("publicTrade.{}", spec.symbol));
        let u = rng.u64(1_000_000..90_000_000);
        let mut line = Self { spec, topic, trade_topic, market, bids: Vec::new(), asks: Vec::new(), u, seq: 0 };
        line.follow_market();
        line
    }

    fn follow_market(&mut self) {
        self.market.top(Side::Bid, DEPTH).clone_into(&mut self.bids);
        self.market.top(Side::Ask, DEPTH).clone_into(&mut self.asks);
        self.u += 1;
        self.seq = self.market.seq();
    }

    fn write_snapshot(&self, now_ms: u64, out: &mut Vec<u8>) {
        let best_first = |levels: &[Level]| -> Vec<Level> { levels.iter().rev().copied().collect() };
        let (bids, asks) = (best_first(&self.bids), best_first(&self.asks));
        write_book(out, &self.spec, &Book { bids: &bids, asks: &asks, ..self.head(true, now_ms) });
    }

    fn head(&self, snapshot: bool, now_ms: u64) -> Book<'_> {
        Book {
            topic: &self.topic,
            ts_first: false,
            snapshot,
            bids: &[],
            asks: &[],
            u: self.u,
            seq: self.seq,
            ts: now_ms,
            cts: now_ms.saturating_sub(2),
        }
    }

    fn truth(&self) -> TrueBook {
        let spell = |l: &Level| model::Level { price: self.spec.price(l.ticks), size: self.spec.size(l.lots) };
        TrueBook {
            u: self.u,
            seq: self.seq,
            bids: self.bids.iter().rev().map(spell).collect(),
            asks: self.asks.iter().rev().map(spell).collect(),
        }
    }
}

/// The first `messages` messages of the stream of this seed.
pub fn generate(seed: u64, messages: usize) -> Vec<Vec<u8>> {
    let mut generator = Generator::new(seed);
    let next = |_| {
        let mut message = Vec::with_capacity(512);
        generator.write_next(&mut message);
        message
    };
    (0..messages).map(next).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    type Sides = [BTreeMap<String, String>; 2];

    #[test]
    fn the_stream_rebuilds_its_own_books_and_has_the_promised_shape() {
        const MESSAGES: usize = 5_000;
        let mut generator = Generator::new(11);
        let mut books: BTreeMap<String, (u64, u64, Sides)> = BTreeMap::new();
        let (mut bytes, mut levels, mut deltas, mut trades) = (0, 0, 0, 0);
        for at in 0..MESSAGES {
            let mut message = Vec::new();
            generator.write_next(&mut message);
            let value: serde_json::Value = serde_json::from_slice(&message).unwrap();
            if let Some(list) = value["data"].as_array() {
                assert!(at >= SYMBOLS);
                trades += list.len();
                continue;
            }
            let snapshot = value["type"] == "snapshot";
            assert_eq!(snapshot, at < SYMBOLS);
            let data = &value["data"];
            let (u, seq) = (data["u"].as_u64().unwrap(), data["seq"].as_u64().unwrap());
            let book = books.entry(data["s"].as_str().unwrap().to_owned()).or_default();
            assert!(snapshot || (u == book.0 + 1 && seq > book.1));
            (book.0, book.1) = (u, seq);
            for (side, name) in book.2.iter_mut().zip(["b", "a"]) {
                for level in data[name].as_array().unwrap() {
                    let (price, size) = (level[0].as_str().unwrap(), level[1].as_str().unwrap());
                    let was =
                        if size == "0" { side.remove(price) } else { side.insert(price.to_owned(), size.to_owned()) };
                    assert_ne!(was.as_deref(), if size == "0" { None } else { Some(size) });
                    levels += usize::from(!snapshot);
                }
            }
            deltas += usize::from(!snapshot);
            bytes += message.len();
        }
        for (symbol, truth) in generator.truth() {
            let (u, _, sides) = &books[&symbol];
            assert_eq!(*u, truth.u);
            for (side, levels) in sides.iter().zip([&truth.bids, &truth.asks]) {
                let want: BTreeMap<String, String> =
                    levels.iter().map(|l| (l.price.to_string(), l.size.to_string())).collect();
                assert_eq!(*side, want, "{symbol}");
                assert_eq!(side.len(), DEPTH);
            }
        }
        let per_delta = levels as f64 / deltas as f64;
        assert!((11.0..13.0).contains(&per_delta), "{per_delta} levels a delta");
        let trade_messages = MESSAGES - SYMBOLS - deltas;
        assert!((0.17..0.23).contains(&(trade_messages as f64 / MESSAGES as f64)));
        assert!((1.8..2.2).contains(&(trades as f64 / trade_messages as f64)));
        assert!(bytes > MESSAGES * 200);
    }

    #[test]
    fn a_seed_is_a_stream() {
        assert_eq!(generate(5, 300), generate(5, 300));
        assert_ne!(generate(5, 300), generate(6, 300));
    }
}
