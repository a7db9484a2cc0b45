//! One listed symbol: its true market, and everything published about it.

use std::collections::BTreeMap;

use fastrand::Rng;

use crate::model::Stamp;
use crate::sim::candles::{Candle, Candles};
use crate::sim::market::{Fill, Level, Market as Ladder, Side};
use crate::sim::venue::{Kind, Published};

use super::catalog::{Market, Spec, coins};
use super::depth::{Depths, Image};
use super::figures;
use super::interval::Interval;
use super::message::{self, Object};
use super::stream::Stream;
use super::trades::{Aggregate, Tape};

/// Candles closed at once at most: what a very late call missed beyond that is never told.
const MOST_CLOSED: usize = 60;

/// One symbol of the simulated venue.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) spec: Spec,
    pub(super) market: Ladder,
    pub(super) tape: Tape,
    /// Price history by the minute and by the second, each once somebody asked for it.
    minutes: Option<Candles>,
    seconds: Option<Candles>,
    depths: Depths,
    watched: BTreeMap<Stream, usize>,
    /// The best levels last told.
    best: Option<[Level; 2]>,
    /// The candles that are open, by their first ms.
    candles: BTreeMap<Interval, u64>,
    /// The last liquidation and the sequence behind it, and up to which sequence they were told.
    liquidation: Option<(u64, Fill)>,
    told_liquidation: u64,
    /// The book before the first subscription to its changes, if such images are asked for.
    stale: Option<Image>,
}

impl Listed {
    /// A symbol on its first day.
    pub(super) fn new(seed: u64, spec: Spec, now: Stamp) -> Self {
        let market = Ladder::new(seed, spec.shape);
        Self {
            tape: Tape::new(seed, &market, now.wall.as_ms()),
            spec,
            market,
            minutes: None,
            seconds: None,
            depths: Depths::default(),
            watched: BTreeMap::new(),
            best: None,
            candles: BTreeMap::new(),
            liquidation: None,
            told_liquidation: 0,
            stale: None,
        }
    }

    /// Counts a subscriber in. `outdate`: images from before the first one are to be had.
    pub(super) fn watch(&mut self, stream: Stream, outdate: bool, now: Stamp) {
        let first = !self.watches(stream);
        match stream {
            Stream::Diff(speed) => {
                if outdate && !self.depths.is_told() {
                    self.outdate();
                }
                self.depths.watch_diff(speed, &self.market);
            }
            Stream::Partial(levels, speed) => self.depths.watch_partial(levels, speed, &self.market),
            Stream::ForceOrder if first => self.told_liquidation = self.market.seq(),
            Stream::Kline(interval) if first => {
                let now_ms = now.wall.as_ms();
                self.history(interval, now_ms);
                self.candles.insert(interval, interval.start(now_ms));
            }
            _ => {}
        }
        *self.watched.entry(stream).or_insert(0) += 1;
    }

    /// Counts a subscriber out.
    pub(super) fn unwatch(&mut self, stream: Stream) {
        let Some(count) = self.watched.get_mut(&stream) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.watched.remove(&stream);
        match stream {
            Stream::Diff(speed) => self.depths.unwatch_diff(speed),
            Stream::Partial(levels, speed) => self.depths.unwatch_partial(levels, speed),
            Stream::Kline(interval) => _ = self.candles.remove(&interval),
            _ => {}
        }
    }

    /// Whether this stream has a subscriber.
    fn watches(&self, stream: Stream) -> bool {
        self.watched.contains_key(&stream)
    }

    /// Whether anything here has a subscriber.
    pub(super) fn any_watched(&self) -> bool {
        !self.watched.is_empty()
    }

    /// Keeps an image and moves the book on, so that the image is too old for whoever subscribes now.
    fn outdate(&mut self) {
        self.depths.remember(&self.spec, &self.market);
        self.stale = Some(Image::of(&self.market, usize::MAX));
        let before = self.market.seq();
        while self.market.seq() < before + 10 {
            self.market.change(4);
        }
    }

    /// The book down to `limit` levels, for REST; an old one if there is one and it is wanted.
    pub(super) fn image(&mut self, limit: usize, stale: bool) -> Image {
        if let Some(image) = self.stale.as_ref().filter(|_| stale) {
            let mut image = image.clone();
            image.bids.truncate(limit);
            image.asks.truncate(limit);
            return image;
        }
        self.depths.remember(&self.spec, &self.market);
        Image::of(&self.market, limit)
    }

    /// The digest of a past book.
    pub(super) fn digest(&self, id: u64) -> Option<u32> {
        self.depths.digest(id)
    }

    /// When the last trade was, ms.
    pub(super) fn last_trade_ms(&self) -> u64 {
        self.tape.trades().back().map_or(0, |trade| trade.time_ms)
    }

    /// Its price history by the minute.
    pub(super) fn minutes(&mut self, now_ms: u64) -> &Candles {
        history(&mut self.minutes, 60_000, &self.spec, &self.market, now_ms)
    }

    /// The history an interval is made of.
    pub(super) fn history(&mut self, interval: Interval, now_ms: u64) -> &Candles {
        match interval.is_second() {
            true => history(&mut self.seconds, 1_000, &self.spec, &self.market, now_ms),
            false => self.minutes(now_ms),
        }
    }

    /// One move of the market: trades, or changes of the book; publishes what goes out at once. `every_move`: depth does.
    pub(super) fn step(&mut self, rng: &mut Rng, every_move: bool, now: Stamp, out: &mut Vec<Published>) {
        if rng.u8(0..5) == 0 {
            self.trade(rng, now, out);
        } else {
            self.market.change(rng.usize(2..=16));
        }
        self.depths.moved(&self.market);
        self.publish_best(now, out);
        let at_once = |stream: &Stream| match stream {
            Stream::Diff(0) => true,
            Stream::Diff(_) | Stream::Partial(..) => every_move,
            _ => false,
        };
        for stream in self.watched.keys().copied().filter(at_once).collect::<Vec<_>>() {
            self.publish(stream, now, out);
        }
    }

    fn push(&self, stream: Stream, kind: Kind, text: String, out: &mut Vec<Published>) {
        let topic = stream.name(&self.spec.lower, self.spec.market);
        out.push(Published::new(self.spec.market.as_str(), &topic, kind, text.into_bytes()));
    }

    fn publish_best(&mut self, now: Stamp, out: &mut Vec<Published>) {
        if !self.watches(Stream::BookTicker) {
            return;
        }
        let best = self.best();
        if self.best.replace(best) != Some(best) {
            let text = self.best_text(now);
            self.push(Stream::BookTicker, Kind::Book { snapshot: true }, text, out);
        }
    }

    /// The best bid and the best ask.
    pub(super) fn best(&self) -> [Level; 2] {
        [Side::Bid, Side::Ask].map(|side| self.market.best(side))
    }

    /// A message of its book ticker.
    pub(super) fn best_text(&self, now: Stamp) -> String {
        message::book_ticker(&self.spec, self.market.seq(), self.best(), now.wall.as_ms())
    }

    fn trade(&mut self, rng: &mut Rng, now: Stamp, out: &mut Vec<Published>) {
        let now_ms = now.wall.as_ms();
        let last = self.market.last().ticks;
        let fills: Vec<Fill> = (0..rng.usize(1..=3)).map(|_| self.market.trade()).collect();
        for history in [&mut self.minutes, &mut self.seconds].into_iter().flatten() {
            history.roll(last, now_ms);
            fills.iter().for_each(|fill| history.add(*fill, self.spec.turnover(fill.ticks, fill.lots), now_ms));
        }
        let (trades, aggregates) = self.tape.add(&fills, now_ms.saturating_sub(1));
        if self.watches(Stream::Trade) {
            for trade in &trades {
                self.push(Stream::Trade, Kind::Trades, message::trade(&self.spec, trade, now_ms), out);
            }
        }
        self.publish_aggregates(&aggregates, now_ms, out);
        // About every twentieth is a liquidation; only the last of a second is told.
        if self.spec.market.is_futures() && rng.u8(0..20) == 0 {
            self.liquidation = fills.last().map(|fill| (self.market.seq(), *fill));
        }
    }

    fn publish_aggregates(&self, aggregates: &[Aggregate], now_ms: u64, out: &mut Vec<Published>) {
        if self.watches(Stream::AggTrade) {
            for trade in aggregates {
                self.push(Stream::AggTrade, Kind::Trades, message::aggregate(&self.spec, trade, now_ms), out);
            }
        }
    }

    /// What goes out by the clock. `due` says of a pace in ms whether it is its turn.
    pub(super) fn housekeep(&mut self, due: impl Fn(u64) -> bool, now: Stamp, out: &mut Vec<Published>) {
        let now_ms = now.wall.as_ms();
        for stream in self.watched.keys().copied().collect::<Vec<_>>() {
            let Some(pace) = stream.pace(self.spec.market) else { continue };
            let over = matches!(stream, Stream::Kline(interval) if self.candles.get(&interval) != Some(&interval.start(now_ms)));
            if pace > 0 && (due(pace) || over) {
                self.publish(stream, now, out);
            }
        }
    }

    /// Sends what a stream has to tell now.
    fn publish(&mut self, stream: Stream, now: Stamp, out: &mut Vec<Published>) {
        let now_ms = now.wall.as_ms();
        let text = match stream {
            Stream::Diff(speed) => return self.publish_diff(speed, now_ms, out),
            Stream::Partial(levels, speed) => return self.publish_partial(levels, speed, now_ms, out),
            Stream::Kline(interval) => return self.publish_candle(interval, now_ms, out),
            Stream::Ticker => figures::ticker(self, now_ms),
            Stream::MiniTicker => figures::mini_ticker(self, now_ms),
            Stream::AvgPrice => figures::average(self, now_ms),
            Stream::MarkPrice(_) => figures::mark_price(self, now_ms),
            Stream::ForceOrder => {
                let Some((seq, text)) = self.liquidation(self.told_liquidation, now_ms) else { return };
                self.told_liquidation = seq;
                text
            }
            Stream::BookTicker | Stream::Trade | Stream::AggTrade => return,
        };
        self.push(stream, Kind::Other, text, out);
    }

    fn publish_diff(&mut self, speed: u64, now_ms: u64, out: &mut Vec<Published>) {
        let contiguous = self.spec.market == Market::Spot;
        let Some(update) = self.depths.take_diff(speed, &self.market, contiguous) else { return };
        self.depths.remember(&self.spec, &self.market);
        let text = message::depth(&self.spec, &update, now_ms);
        self.push(Stream::Diff(speed), Kind::FullDelta, text, out);
    }

    fn publish_partial(&mut self, levels: u16, speed: u64, now_ms: u64, out: &mut Vec<Published>) {
        let Some(update) = self.depths.take_partial(levels, speed, &self.market) else { return };
        self.depths.remember(&self.spec, &self.market);
        let text = match self.spec.market {
            Market::Spot => message::top(&self.spec, &update),
            _ => message::depth(&self.spec, &update, now_ms),
        };
        self.push(Stream::Partial(levels, speed), Kind::Book { snapshot: true }, text, out);
    }

    /// The candle that is open; before it those that have ended since the last call, each once as closed.
    fn publish_candle(&mut self, interval: Interval, now_ms: u64, out: &mut Vec<Published>) {
        let current = interval.start(now_ms);
        let mut start = self.candles.insert(interval, current).unwrap_or(current);
        for _ in 0..MOST_CLOSED {
            if start >= current {
                break;
            }
            self.push_candle(interval, start, true, now_ms, out);
            start = interval.end(start);
        }
        self.push_candle(interval, current, false, now_ms, out);
    }

    fn push_candle(&mut self, interval: Interval, start: u64, closed: bool, now_ms: u64, out: &mut Vec<Published>) {
        let end = interval.end(start);
        let candles = self.history(interval, now_ms);
        let Some(candle) = candles.candle(start, end) else { return };
        let since = candles.candle(end, u64::MAX).map_or(0, |later| later.fills);
        let text = candle_text(&self.spec, interval, &candle, self.tape.last_id() - since, closed, now_ms);
        self.push(Stream::Kline(interval), Kind::Other, text, out);
    }

    /// The last liquidation, if it is later than that sequence: its sequence, and a message of `@forceOrder`.
    pub(super) fn liquidation(&self, after: u64, now_ms: u64) -> Option<(u64, String)> {
        let (seq, fill) = self.liquidation.filter(|(seq, _)| *seq > after)?;
        let (spec, price, size) = (&self.spec, self.spec.price(fill.ticks), self.spec.size(fill.lots));
        let order = Object::new().text("s", &spec.symbol);
        let order = if spec.market == Market::Coinm { order.text("ps", spec.pair()) } else { order };
        // A liquidated long sells.
        let order = order.text("S", if fill.buy { "BUY" } else { "SELL" }).text("o", "LIMIT").text("f", "IOC");
        let order = order.text("q", size).text("p", price).text("ap", price).text("X", "FILLED");
        let order = order.text("l", size).text("z", size).raw("T", now_ms.saturating_sub(1)).done();
        let event = Object::event("forceOrder", now_ms).raw("o", order).raw("st", spec.market.number());
        Some((seq, event.done()))
    }

    /// A level that crosses the book: a bid well above the best ask.
    pub(super) fn crossing_bid(&self) -> String {
        let ticks = self.market.best(Side::Ask).ticks + 50;
        let list = message::levels(&self.spec, &[Level { ticks, lots: self.spec.shape.max_lots }]);
        list.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or_default().to_owned()
    }
}

/// The history in bars of `length_ms`, made up to the present price when it is first asked for.
fn history<'a>(
    kept: &'a mut Option<Candles>,
    length_ms: u64,
    spec: &Spec,
    market: &Ladder,
    now_ms: u64,
) -> &'a Candles {
    let last = market.last().ticks;
    let shape = crate::sim::market::Shape { start_ticks: last, ..spec.shape };
    let turnover = |ticks, lots| spec.turnover(ticks, lots);
    let history = kept.get_or_insert_with(|| Candles::new(market.seq(), length_ms, &shape, turnover, now_ms));
    history.roll(last, now_ms);
    history
}

/// A message of `@kline_…`; `last_id` is the last trade's.
fn candle_text(spec: &Spec, interval: Interval, candle: &Candle, last_id: u64, closed: bool, now_ms: u64) -> String {
    let price = |ticks: i64| spec.price(ticks).to_string();
    let first_id = (last_id + 1).saturating_sub(candle.fills);
    let [first, last] = if candle.fills == 0 {
        ["-1".to_owned(), "-1".to_owned()]
    } else {
        [first_id, last_id].map(|id| id.to_string())
    };
    let of = Object::new().raw("t", candle.start_ms).raw("T", interval.end(candle.start_ms) - 1);
    let of = of.text("s", &spec.symbol).text("i", interval.name()).raw("f", first).raw("L", last);
    let of = of.text("o", price(candle.open)).text("c", price(candle.close));
    let of = of.text("h", price(candle.high)).text("l", price(candle.low)).text("v", spec.size(candle.lots));
    let of = of.raw("n", candle.fills).raw("x", closed).text("q", coins(candle.turnover));
    let of = of.text("V", spec.size(candle.bought_lots)).text("Q", coins(candle.bought_turnover)).text("B", "0");
    Object::event("kline", now_ms).text("s", &spec.symbol).raw("k", of.done()).tail(spec).done()
}

/// A row of `GET …/klines`.
pub(super) fn candle_row(spec: &Spec, interval: Interval, candle: &Candle) -> String {
    let [open, high, low, close] = [candle.open, candle.high, candle.low, candle.close].map(|ticks| spec.price(ticks));
    let (start, end) = (candle.start_ms, interval.end(candle.start_ms) - 1);
    let (volume, turnover, fills) = (spec.size(candle.lots), coins(candle.turnover), candle.fills);
    let (bought, bought_turnover) = (spec.size(candle.bought_lots), coins(candle.bought_turnover));
    format!(
        r#"[{start},"{open}","{high}","{low}","{close}","{volume}",{end},"{turnover}",{fills},"{bought}","{bought_turnover}","0"]"#
    )
}
