//! One listed instrument: its true market, and everything published about it.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use fastrand::Rng;

use crate::model::{Mono, Stamp};
use crate::sim::candles::Candles;
use crate::sim::market::{Fill, Market, Side};
use crate::sim::venue::{Kind, Published};

use super::Checksum;
use super::book::{BookStream, Channel};
use super::catalog::Spec;
use super::channel::{Candle, Stream};
use super::figures::{self, Row};
use super::interval::INTERVALS;
use super::message::{self, Trade, fields, frame};

/// Trades remembered for REST.
const RECENT: usize = 1_000;
/// A book that does not change says so after this long.
const KEEP_ALIVE: Duration = Duration::from_secs(60);
/// A candle is sent at most this often.
const CANDLE_PACE: Duration = Duration::from_secs(1);
/// Candles closed at once at most: what a very late call missed beyond that is never told.
const MOST_CLOSED: usize = 60;

/// What of a paced channel was last sent, and when.
type Sent = (Row, Mono);

/// One instrument of the simulated venue.
#[derive(Clone, Debug)]
pub(super) struct Listed {
    pub(super) spec: Spec,
    pub(super) market: Market,
    /// Its price history by the minute.
    pub(super) minutes: Candles,
    /// Its price history by the second, once somebody asked for it.
    seconds: Option<Candles>,
    checksum: Checksum,
    /// How far ids lie behind the market's sequence: grows with each maintenance.
    behind: u64,
    trade_id: u64,
    books: BTreeMap<Channel, BookStream>,
    watched: BTreeMap<Stream, usize>,
    recent: VecDeque<Trade>,
    paced: BTreeMap<Stream, Sent>,
    candles: BTreeMap<Stream, (u64, Mono)>,
}

impl Listed {
    /// An instrument on its first day.
    pub(super) fn new(seed: u64, spec: Spec, checksum: Checksum, now: Stamp) -> Self {
        let market = Market::new(seed, spec.shape);
        let turnover = |ticks, lots| spec.turnover(ticks, lots);
        let minutes = Candles::new(seed, 60_000, &spec.shape, turnover, now.wall.as_ms());
        Self {
            trade_id: 100_000_000 + market.seq() % 900_000_000,
            spec,
            market,
            minutes,
            seconds: None,
            checksum,
            behind: 0,
            books: BTreeMap::new(),
            watched: BTreeMap::new(),
            recent: VecDeque::new(),
            paced: BTreeMap::new(),
            candles: BTreeMap::new(),
        }
    }

    /// The id of the market's present state.
    fn seq_id(&self) -> u64 {
        self.market.seq() - self.behind
    }

    /// Topic and argument of a stream.
    fn topic(&self, stream: Stream) -> (String, String) {
        let index = stream.is_of_index().then(|| self.spec.index());
        stream.topic(index.as_deref().unwrap_or(&self.spec.symbol), self.spec.kind)
    }

    /// Counts a subscriber in. The first one finds the present state.
    pub(super) fn watch(&mut self, stream: Stream, now: Stamp) {
        let first = !self.watches(stream);
        match stream {
            Stream::Book(channel) => _ = self.book(channel, now),
            Stream::Candle(_, at) if first => {
                let now_ms = now.wall.as_ms();
                self.prepare_seconds(at, now_ms);
                self.roll(now_ms);
                self.candles.insert(stream, (INTERVALS[usize::from(at)].start(now_ms), now.mono));
            }
            _ if first => {
                if let Some(row) = self.row(stream, now) {
                    self.paced.insert(stream, (row, now.mono));
                }
            }
            _ => {}
        }
        *self.watched.entry(stream).or_insert(0) += 1;
    }

    /// Counts a subscriber out.
    pub(super) fn unwatch(&mut self, stream: Stream) {
        if let Some(count) = self.watched.get_mut(&stream) {
            *count -= 1;
            if *count == 0 {
                self.watched.remove(&stream);
            }
        }
    }

    /// Whether this stream has a subscriber.
    pub(super) fn watches(&self, stream: Stream) -> bool {
        self.watched.contains_key(&stream)
    }

    /// Whether anything here has a subscriber.
    pub(super) fn any_watched(&self) -> bool {
        !self.watched.is_empty()
    }

    /// The published book of this channel; brought up to date first when nobody listens to its changes.
    pub(super) fn book(&mut self, channel: Channel, now: Stamp) -> &BookStream {
        let watched = self.watches(Stream::Book(channel));
        let seq_id = self.seq_id();
        let (spec, market) = (&self.spec, &self.market);
        let stream = self.books.entry(channel).or_insert_with(|| BookStream::new(channel, spec, market, seq_id, now));
        if !watched {
            stream.refresh(spec, market, seq_id, now);
            stream.sent = now.mono;
        }
        stream
    }

    /// The digest of a past published book of one of the channels with so many levels.
    pub(super) fn digest(&self, levels: usize, seq_id: u64) -> Option<u32> {
        let of_depth = self.books.iter().filter(|(channel, _)| channel.levels() == levels);
        of_depth.into_iter().find_map(|(_, stream)| stream.digest(seq_id))
    }

    /// The last trades, newest first.
    pub(super) fn recent(&self, limit: usize) -> impl Iterator<Item = &Trade> {
        self.recent.iter().rev().take(limit)
    }

    /// The history an interval is made of.
    pub(super) fn history(&mut self, at: u8, now: Stamp) -> &Candles {
        self.prepare_seconds(at, now.wall.as_ms());
        self.roll(now.wall.as_ms());
        match &self.seconds {
            Some(seconds) if INTERVALS[usize::from(at)].is_seconds() => seconds,
            _ => &self.minutes,
        }
    }

    fn prepare_seconds(&mut self, at: u8, now_ms: u64) {
        if INTERVALS[usize::from(at)].is_seconds() && self.seconds.is_none() {
            let turnover = |ticks, lots| self.spec.turnover(ticks, lots);
            self.seconds = Some(Candles::new(self.market.seq(), 1_000, &self.spec.shape, turnover, now_ms));
        }
    }

    fn roll(&mut self, now_ms: u64) {
        let last = self.market.last().ticks;
        self.minutes.roll(last, now_ms);
        if let Some(seconds) = &mut self.seconds {
            seconds.roll(last, now_ms);
        }
    }

    /// One move of the market: trades, or changes of the book; publishes what subscribers get of it.
    pub(super) fn step(&mut self, rng: &mut Rng, now: Stamp, out: &mut Vec<Published>) {
        if rng.u8(0..5) == 0 {
            self.trade(rng, now, out);
        } else {
            self.market.change(rng.usize(2..=16));
        }
        for channel in Channel::ALL {
            if self.watches(Stream::Book(channel)) {
                self.publish_book(channel, now, out);
            }
        }
    }

    fn push(&self, stream: Stream, kind: Kind, text: Vec<u8>, out: &mut Vec<Published>) {
        out.push(Published::new("", &self.topic(stream).0, kind, text));
    }

    fn publish_book(&mut self, channel: Channel, now: Stamp, out: &mut Vec<Published>) {
        let (seq_id, (topic, arg)) = (self.seq_id(), self.topic(Stream::Book(channel)));
        let Some(stream) = self.books.get_mut(&channel) else { return };
        if stream.refresh(&self.spec, &self.market, seq_id, now) {
            stream.sent = now.mono;
            let kind = Kind::Book { snapshot: !channel.is_chained() };
            out.push(Published::new("", &topic, kind, stream.change(&self.spec, &arg, self.checksum)));
        }
    }

    /// Maintenance: the instrument's ids begin again at a smaller one, and every chained channel says so.
    pub(super) fn restart(&mut self, now: Stamp, out: &mut Vec<Published>) {
        self.behind = self.market.seq() - self.seq_id() / 2;
        let seq_id = self.seq_id();
        for channel in Channel::ALL {
            let (topic, arg) = self.topic(Stream::Book(channel));
            let watched = self.watches(Stream::Book(channel));
            let Some(stream) = self.books.get_mut(&channel) else { continue };
            stream.reset(&self.spec, &self.market, seq_id, now);
            if channel.is_chained() && watched {
                stream.sent = now.mono;
                let kind = Kind::Book { snapshot: false };
                out.push(Published::new("", &topic, kind, stream.change(&self.spec, &arg, self.checksum)));
            }
        }
    }

    fn trade(&mut self, rng: &mut Rng, now: Stamp, out: &mut Vec<Published>) {
        let now_ms = now.wall.as_ms();
        self.roll(now_ms);
        let mut trades = Vec::new();
        for _ in 0..rng.usize(1..=3) {
            let fill = self.market.trade();
            let turnover = self.spec.turnover(fill.ticks, fill.lots);
            self.minutes.add(fill, turnover, now_ms);
            if let Some(seconds) = &mut self.seconds {
                seconds.add(fill, turnover, now_ms);
            }
            self.trade_id += 1;
            trades.push(Trade { id: self.trade_id, time_ms: now_ms, fill, seq_id: self.seq_id(), count: 1 });
        }
        self.publish_trades(&trades, out);
        if self.watches(Stream::Liquidations) && rng.u8(0..20) == 0 {
            let text = self.liquidation(self.market.last(), now_ms);
            self.push(Stream::Liquidations, Kind::Other, text, out);
        }
        self.recent.extend(trades);
        self.recent.drain(..self.recent.len().saturating_sub(RECENT));
    }

    fn publish_trades(&self, trades: &[Trade], out: &mut Vec<Published>) {
        for (stream, merged) in [(Stream::Trades, true), (Stream::TradesAll, false)] {
            if !self.watches(stream) {
                continue;
            }
            let trades = if merged { merge(trades) } else { trades.to_vec() };
            let arg = self.topic(stream).1;
            for trade in trades {
                self.push(stream, Kind::Trades, frame(&arg, &trade.row(&self.spec, merged)), out);
            }
        }
    }

    fn liquidation(&self, fill: Fill, now_ms: u64) -> Vec<u8> {
        let spec = &self.spec;
        let detail = fields(&[
            ("side", message::side(fill.buy).to_owned()),
            // A liquidated short buys.
            ("posSide", if fill.buy { "short" } else { "long" }.to_owned()),
            ("bkPx", spec.price(fill.ticks).to_string()),
            ("sz", spec.size(fill.lots).to_string()),
            ("bkLoss", "0".to_owned()),
            ("ccy", String::new()),
            ("ts", now_ms.to_string()),
        ]);
        let mut row = fields(&[
            ("instFamily", spec.family.clone()),
            ("instId", spec.symbol.clone()),
            ("instType", spec.kind.as_str().to_owned()),
            ("uly", spec.index()),
        ]);
        row.pop();
        row.push_str(&format!(",\"details\":[{detail}]}}"));
        frame(&self.topic(Stream::Liquidations).1, &row)
    }

    /// What goes out by the clock.
    pub(super) fn housekeep(&mut self, now: Stamp, out: &mut Vec<Published>) {
        self.roll(now.wall.as_ms());
        let streams: Vec<Stream> = self.watched.keys().copied().collect();
        for stream in streams {
            match stream {
                Stream::Book(channel) => self.keep_alive(channel, now, out),
                Stream::Candle(_, at) => self.publish_candle(stream, at, now, out),
                _ => self.publish_paced(stream, now, out),
            }
        }
    }

    fn keep_alive(&mut self, channel: Channel, now: Stamp, out: &mut Vec<Published>) {
        let (topic, arg) = self.topic(Stream::Book(channel));
        let Some(stream) = self.books.get_mut(&channel) else { return };
        if channel.is_chained() && now.mono.since(stream.sent) >= KEEP_ALIVE {
            stream.sent = now.mono;
            let text = stream.keep_alive(&self.spec, &arg, self.checksum, now);
            out.push(Published::new("", &topic, Kind::Other, text));
        }
    }

    /// The present row of a channel that is not driven by moves, without its time.
    pub(super) fn row(&self, stream: Stream, now: Stamp) -> Option<Row> {
        Some(match stream {
            Stream::Ticker => figures::ticker(self, now),
            Stream::MarkPrice => figures::mark(self),
            Stream::Index => figures::index(self, now),
            Stream::Funding => figures::funding(self, now),
            Stream::OpenInterest => figures::open_interest(self),
            Stream::PriceLimit => figures::price_limit(self),
            _ => return None,
        })
    }

    fn publish_paced(&mut self, stream: Stream, now: Stamp, out: &mut Vec<Published>) {
        let (Some(row), Some((soonest, latest))) = (self.row(stream, now), pace(stream)) else { return };
        let Some((sent, at)) = self.paced.get(&stream) else { return };
        let since = now.mono.since(*at);
        if (since < soonest || row == *sent) && latest.is_none_or(|latest| since < latest) {
            return;
        }
        let text = frame(&self.topic(stream).1, &timed(row.clone(), now));
        self.push(stream, Kind::Other, text, out);
        self.paced.insert(stream, (row, now.mono));
    }

    fn publish_candle(&mut self, stream: Stream, at: u8, now: Stamp, out: &mut Vec<Published>) {
        let interval = INTERVALS[usize::from(at)];
        let current = interval.start(now.wall.as_ms());
        let (mut start, sent) = self.candles.get(&stream).copied().unwrap_or((current, Mono(0)));
        if start == current && now.mono.since(sent) < CANDLE_PACE {
            return;
        }
        self.candles.insert(stream, (current, now.mono));
        for _ in 0..MOST_CLOSED {
            if start >= current {
                break;
            }
            self.push_candle(stream, start, true, now, out);
            start = interval.end(start);
        }
        self.push_candle(stream, current, false, now, out);
    }

    fn push_candle(&mut self, stream: Stream, start: u64, closed: bool, now: Stamp, out: &mut Vec<Published>) {
        if let Some(text) = self.candle_text(stream, start, closed, now) {
            self.push(stream, Kind::Other, text, out);
        }
    }

    fn candle_text(&mut self, stream: Stream, start: u64, closed: bool, now: Stamp) -> Option<Vec<u8>> {
        let Stream::Candle(whose, at) = stream else { return None };
        let end = INTERVALS[usize::from(at)].end(start);
        let candle = self.history(at, now).candle(start, end)?;
        let row = candle_row(&self.spec, &candle, closed, whose == Candle::Trades);
        Some(frame(&self.topic(stream).1, &row))
    }

    /// What a new subscriber gets first, if this stream begins with something.
    pub(super) fn snapshot(&mut self, stream: Stream, now: Stamp) -> Option<Published> {
        let (topic, arg) = self.topic(stream);
        let (kind, text) = match stream {
            Stream::Book(channel) => {
                (Kind::Book { snapshot: true }, self.books.get(&channel)?.snapshot(&self.spec, &arg, self.checksum))
            }
            Stream::Candle(_, at) => {
                let start = INTERVALS[usize::from(at)].start(now.wall.as_ms());
                (Kind::Other, self.candle_text(stream, start, false, now)?)
            }
            _ => (Kind::Other, frame(&arg, &timed(self.paced.get(&stream)?.0.clone(), now))),
        };
        Some(Published::new("", &topic, kind, text))
    }

    /// A level that crosses the book: a bid well above the best ask.
    pub(super) fn crossing_bid(&self) -> String {
        let ticks = self.market.best(Side::Ask).ticks + 50;
        let lots = self.spec.shape.max_lots;
        message::level_text(&self.spec, crate::sim::market::Level { ticks, lots })
    }
}

/// How soon a changed row is sent again, and how soon one that did not change.
const fn pace(stream: Stream) -> Option<(Duration, Option<Duration>)> {
    let ms = Duration::from_millis;
    match stream {
        Stream::Ticker => Some((ms(100), None)),
        Stream::MarkPrice => Some((ms(200), Some(ms(10_000)))),
        Stream::Index => Some((ms(100), Some(ms(60_000)))),
        Stream::Funding => Some((ms(60_000), Some(ms(60_000)))),
        Stream::OpenInterest => Some((ms(3_000), Some(ms(3_000)))),
        Stream::PriceLimit => Some((ms(200), None)),
        _ => None,
    }
}

/// A row with its time as JSON.
pub(super) fn timed(mut row: Row, now: Stamp) -> String {
    row.push(("ts", now.wall.as_ms().to_string()));
    fields(&row)
}

/// A candle as the venue's list of texts; mark and index candles have no volume.
pub(super) fn candle_row(spec: &Spec, candle: &crate::sim::candles::Candle, closed: bool, volume: bool) -> String {
    let mut row = vec![candle.start_ms.to_string()];
    row.extend([candle.open, candle.high, candle.low, candle.close].map(|ticks| spec.price(ticks).to_string()));
    if volume {
        row.extend(spec.volumes(candle.lots, candle.turnover));
    }
    row.push(if closed { "1" } else { "0" }.to_owned());
    format!("[\"{}\"]", row.join("\",\""))
}

/// Executions of one taker at one price made one; the id is the last one's.
fn merge(trades: &[Trade]) -> Vec<Trade> {
    let mut out: Vec<Trade> = Vec::new();
    for trade in trades {
        match out.last_mut() {
            Some(last) if (last.fill.buy, last.fill.ticks) == (trade.fill.buy, trade.fill.ticks) => {
                let lots = last.fill.lots + trade.fill.lots;
                *last = Trade { count: last.count + 1, fill: Fill { lots, ..trade.fill }, ..*trade };
            }
            _ => out.push(*trade),
        }
    }
    out
}
