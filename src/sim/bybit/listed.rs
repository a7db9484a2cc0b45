//! One listed symbol: its true market, and everything published about it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fastrand::Rng;

use crate::model::{Mono, Stamp};
use crate::sim::candles::Candles;
use crate::sim::market::{Fill, Market, Side};
use crate::sim::venue::{Depth, Kind, Published};

use super::book::BookStream;
use super::catalog::{Category, Spec};
use super::message::{self, Trade};
use super::ticker::{self, Fields};
use super::topic::{INTERVALS, Stream, interval_start};

/// Trades remembered for REST.
const RECENT: usize = 1_000;
/// A level-1 book that does not change is sent again after this long.
const LEVEL_1_REPEAT: Duration = Duration::from_secs(3);
/// Candles are made of minutes.
const MINUTE_MS: u64 = 60_000;
/// A candle is sent at most this often.
const KLINE_PACE: Duration = Duration::from_secs(1);

/// One symbol of the simulated venue.
#[derive(Clone, Debug)]
pub struct Listed {
    /// What it is.
    pub spec: Spec,
    /// Its true market.
    pub market: Market,
    /// Its price history.
    pub candles: Candles,
    /// The venue's word for the last trade's direction.
    pub direction: &'static str,
    books: BTreeMap<Depth, BookStream>,
    watched: BTreeMap<Stream, usize>,
    recent: VecDeque<Trade>,
    ticker: Fields,
    klines: BTreeMap<u8, (u64, Mono)>,
}

impl Listed {
    /// A symbol on its first day.
    pub fn new(seed: u64, spec: Spec, now: Stamp) -> Self {
        let market = Market::new(seed, spec.shape);
        let turnover = |ticks, lots| spec.turnover(ticks, lots);
        let candles = Candles::new(seed, MINUTE_MS, &spec.shape, turnover, now.wall.as_ms());
        Self {
            spec,
            market,
            candles,
            direction: "ZeroPlusTick",
            books: BTreeMap::new(),
            watched: BTreeMap::new(),
            recent: VecDeque::new(),
            ticker: Vec::new(),
            klines: BTreeMap::new(),
        }
    }

    /// The topic this stream goes out under.
    pub fn topic(&self, stream: Stream) -> String {
        let symbol = &self.spec.symbol;
        match stream {
            Stream::Book(Depth::Levels(n)) => format!("orderbook.{n}.{symbol}"),
            Stream::Book(Depth::Full) => format!("orderbook.full.{symbol}"),
            Stream::Trades if self.spec.category == Category::Option => format!("publicTrade.{}", self.spec.base),
            Stream::Trades => format!("publicTrade.{symbol}"),
            Stream::Ticker => format!("tickers.{symbol}"),
            Stream::Kline(at) => format!("kline.{}.{symbol}", INTERVALS[usize::from(at)].0),
            Stream::Liquidation => format!("allLiquidation.{symbol}"),
        }
    }

    /// Counts a subscriber in. The first one finds the present state.
    pub fn watch(&mut self, stream: Stream, now: Stamp) {
        let first = !self.is_watched(stream);
        match stream {
            Stream::Book(depth) => _ = self.book(depth, now),
            Stream::Ticker if first => self.ticker = ticker::fields(self, now.wall.as_ms()),
            Stream::Kline(at) if first => {
                self.candles.roll(self.market.last().ticks, now.wall.as_ms());
                let start = interval_start(INTERVALS[usize::from(at)], now.wall.as_ms());
                self.klines.insert(at, (start, now.mono));
            }
            _ => {}
        }
        *self.watched.entry(stream).or_insert(0) += 1;
    }

    /// Counts a subscriber out.
    pub fn unwatch(&mut self, stream: Stream) {
        if let Some(count) = self.watched.get_mut(&stream) {
            *count -= 1;
            if *count == 0 {
                self.watched.remove(&stream);
            }
        }
    }

    /// Whether anything here has a subscriber.
    pub fn any_watched(&self) -> bool {
        !self.watched.is_empty()
    }

    fn is_watched(&self, stream: Stream) -> bool {
        self.watched.contains_key(&stream)
    }

    /// The published book at this depth; brought up to date first when nobody listens to its changes.
    pub fn book(&mut self, depth: Depth, now: Stamp) -> &BookStream {
        let watched = self.is_watched(Stream::Book(depth));
        let (spec, market) = (&self.spec, &self.market);
        let stream = self.books.entry(depth).or_insert_with(|| BookStream::new(depth, spec, market, now));
        if !watched {
            stream.refresh(spec, market, now);
        }
        stream
    }

    /// The digest of a past published book.
    pub fn digest(&self, depth: Depth, u: u64) -> Option<u32> {
        self.books.get(&depth)?.digest(u)
    }

    /// The last trades, newest first.
    pub fn recent(&self, limit: usize) -> impl Iterator<Item = &Trade> {
        self.recent.iter().rev().take(limit)
    }

    /// An index price: close to the last price, without its noise.
    pub fn index_ticks(&self) -> i64 {
        self.candles.recent(5).map_or(self.market.last().ticks, |candle| (candle.high + candle.low) / 2)
    }

    /// One move of the market: trades, or changes of the book; publishes what subscribers get of it.
    pub fn step(&mut self, rng: &mut Rng, now: Stamp, out: &mut Vec<Published>) {
        if rng.u8(0..5) == 0 {
            self.trade(rng, now, out);
        } else {
            self.market.change(rng.usize(2..=16));
        }
        let shuffle = rng.u8(0..8) == 0;
        let depths: Vec<Depth> = self.books.keys().copied().collect();
        for depth in depths {
            if self.is_watched(Stream::Book(depth)) {
                self.publish_book(depth, shuffle, now, out);
            }
        }
    }

    fn publish_book(&mut self, depth: Depth, shuffle: bool, now: Stamp, out: &mut Vec<Published>) {
        let topic = self.topic(Stream::Book(depth));
        let Some(stream) = self.books.get_mut(&depth) else { return };
        if stream.refresh(&self.spec, &self.market, now) {
            stream.sent = now.mono;
            let kind = match depth {
                Depth::Full => Kind::FullDelta,
                Depth::Levels(n) => Kind::Book { snapshot: n == 1 },
            };
            let text = stream.change_text(&self.spec, &topic, shuffle, now);
            out.push(Published::new(self.spec.category.as_str(), &topic, kind, text));
        }
    }

    /// The order book service restarts: ids begin at 1, and every subscriber gets a snapshot unasked.
    pub fn restart(&mut self, depth: Depth, now: Stamp, out: &mut Vec<Published>) {
        let topic = self.topic(Stream::Book(depth));
        let Some(stream) = self.books.get_mut(&depth) else { return };
        stream.refresh(&self.spec, &self.market, now);
        stream.restart(&self.spec);
        let text = stream.snapshot_text(&self.spec, &topic, now);
        out.push(Published::new(self.spec.category.as_str(), &topic, Kind::Book { snapshot: true }, text));
    }

    fn trade(&mut self, rng: &mut Rng, now: Stamp, out: &mut Vec<Published>) {
        let now_ms = now.wall.as_ms();
        self.candles.roll(self.market.last().ticks, now_ms);
        let mut trades = Vec::new();
        for _ in 0..rng.usize(1..=3) {
            let before = self.market.last();
            let fill = self.market.trade();
            self.direction = direction(before, fill, self.direction);
            self.candles.add(fill, self.spec.turnover(fill.ticks, fill.lots), now_ms);
            trades.push(Trade {
                id: trade_id(self.spec.category, rng, self.market.seq()),
                time_ms: now_ms.saturating_sub(1),
                fill,
                seq: self.market.seq(),
                direction: self.direction,
            });
        }
        if self.is_watched(Stream::Trades) {
            let topic = self.topic(Stream::Trades);
            let mut text = Vec::new();
            message::write_trades(&mut text, &self.spec, &topic, &trades, now_ms);
            out.push(Published::new(self.spec.category.as_str(), &topic, Kind::Trades, text));
        }
        if self.is_watched(Stream::Liquidation) && rng.u8(0..20) == 0 {
            let topic = self.topic(Stream::Liquidation);
            let fill = self.market.last();
            // A liquidated long sells: its position side is Buy.
            let text = message::liquidation(&self.spec, &topic, !fill.buy, fill, now_ms);
            out.push(Published::new(self.spec.category.as_str(), &topic, Kind::Other, text.into_bytes()));
        }
        self.recent.extend(trades);
        self.recent.drain(..self.recent.len().saturating_sub(RECENT));
    }

    /// What goes out by the clock: ticker changes, candles, repeats of quiet level-1 books.
    pub fn housekeep(&mut self, now: Stamp, out: &mut Vec<Published>) {
        self.candles.roll(self.market.last().ticks, now.wall.as_ms());
        let streams: Vec<Stream> = self.watched.keys().copied().collect();
        for stream in streams {
            match stream {
                Stream::Ticker => self.publish_ticker(now, out),
                Stream::Kline(at) => self.publish_kline(at, now, out),
                Stream::Book(Depth::Levels(1)) => self.repeat_level_1(now, out),
                _ => {}
            }
        }
    }

    fn publish_ticker(&mut self, now: Stamp, out: &mut Vec<Published>) {
        let fields = ticker::fields(self, now.wall.as_ms());
        if fields == self.ticker {
            return;
        }
        let whole = !self.spec.category.is_contract();
        let changed: Fields = fields.iter().filter(|field| whole || !self.ticker.contains(field)).cloned().collect();
        self.ticker = fields;
        let topic = self.topic(Stream::Ticker);
        let text = message::ticker(&self.spec, &topic, whole, &changed, self.market.seq(), now.wall.as_ms());
        out.push(Published::new(self.spec.category.as_str(), &topic, Kind::Other, text.into_bytes()));
    }

    fn publish_kline(&mut self, at: u8, now: Stamp, out: &mut Vec<Published>) {
        let interval = INTERVALS[usize::from(at)];
        let current = interval_start(interval, now.wall.as_ms());
        let (start, sent) = self.klines.get(&at).copied().unwrap_or((current, Mono(0)));
        if start == current && now.mono.since(sent) < KLINE_PACE {
            return;
        }
        self.klines.insert(at, (current, now.mono));
        if start != current {
            self.push_candle(at, start, true, now, out);
        }
        self.push_candle(at, current, false, now, out);
    }

    fn push_candle(&self, at: u8, start: u64, confirm: bool, now: Stamp, out: &mut Vec<Published>) {
        let topic = self.topic(Stream::Kline(at));
        if let Some(text) = self.candle_text(at, &topic, start, confirm, now) {
            out.push(Published::new(self.spec.category.as_str(), &topic, Kind::Other, text.into_bytes()));
        }
    }

    fn candle_text(&self, at: u8, topic: &str, start: u64, confirm: bool, now: Stamp) -> Option<String> {
        let (name, length_ms) = INTERVALS[usize::from(at)];
        let candle = self.candles.candle(start, start + length_ms)?;
        Some(message::kline(&self.spec, topic, name, length_ms, &candle, confirm, now.wall.as_ms()))
    }

    fn repeat_level_1(&mut self, now: Stamp, out: &mut Vec<Published>) {
        let depth = Depth::Levels(1);
        let topic = self.topic(Stream::Book(depth));
        let Some(stream) = self.books.get_mut(&depth) else { return };
        if now.mono.since(stream.sent) >= LEVEL_1_REPEAT {
            stream.sent = now.mono;
            let text = stream.snapshot_text(&self.spec, &topic, now);
            out.push(Published::new(self.spec.category.as_str(), &topic, Kind::Book { snapshot: true }, text));
        }
    }

    /// What a new subscriber gets first, if this stream begins with something.
    pub fn snapshot(&mut self, stream: Stream, now: Stamp) -> Option<Published> {
        let topic = self.topic(stream);
        let (kind, text) = match stream {
            Stream::Book(Depth::Full) | Stream::Trades | Stream::Liquidation => return None,
            Stream::Book(depth) => {
                (Kind::Book { snapshot: true }, self.books.get(&depth)?.snapshot_text(&self.spec, &topic, now))
            }
            Stream::Ticker => {
                let (seq, ts) = (self.market.seq(), now.wall.as_ms());
                (Kind::Other, message::ticker(&self.spec, &topic, true, &self.ticker, seq, ts).into_bytes())
            }
            Stream::Kline(at) => {
                let start = interval_start(INTERVALS[usize::from(at)], now.wall.as_ms());
                (Kind::Other, self.candle_text(at, &topic, start, false, now)?.into_bytes())
            }
        };
        Some(Published::new(self.spec.category.as_str(), &topic, kind, text))
    }

    /// A level that crosses the book: a bid well above the best ask, as the venue spells it.
    pub fn crossing_bid(&self) -> String {
        let price = self.spec.price(self.market.best(Side::Ask).ticks + 50);
        format!("[\"{price}\",\"{}\"]", self.spec.size(self.spec.shape.max_lots))
    }
}

fn direction(before: Fill, now: Fill, last: &'static str) -> &'static str {
    match now.ticks.cmp(&before.ticks) {
        std::cmp::Ordering::Greater => "PlusTick",
        std::cmp::Ordering::Less => "MinusTick",
        std::cmp::Ordering::Equal if last.ends_with("PlusTick") => "ZeroPlusTick",
        std::cmp::Ordering::Equal => "ZeroMinusTick",
    }
}

fn trade_id(category: Category, rng: &mut Rng, seq: u64) -> String {
    if category == Category::Spot {
        return format!("2290000{seq:012}");
    }
    let (high, low) = (rng.u64(..), rng.u64(..));
    let node = low & 0xffff_ffff_ffff;
    format!("{:08x}-{:04x}-5{:03x}-a{:03x}-{node:012x}", high >> 32, high & 0xffff, (high >> 16) & 0xfff, low >> 52)
}
