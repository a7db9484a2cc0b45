//! The session of one Bybit connection: subscriptions, heartbeat, REST calls, and every message's way to an update.

use std::borrow::Cow;
use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;

use super::rest::{Answer as RestAnswer, Rest};
use super::wire::{self, BookData, CandleData, CommandData, Envelope, LiquidationData, TradeData};
use super::{channels, fast};
use crate::model::{BookDepth, Channel, Clocks, Level, Side, Stamp, Stream, StreamId, UnixNanos, decimal_text};
use crate::venue::bybit_v2;
use crate::venue::kit::fields::{Members, Number, Text};
use crate::venue::kit::heartbeat::{Beat, Heartbeat};
use crate::venue::kit::subscriptions::{Answer, Change, Limits, Op, Subscriptions};
use crate::venue::kit::ticker::MergedTicker;
use crate::venue::{
    BookUpdate, CandleUpdate, Ignored, Input, LiquidationUpdate, Output, Session, SessionSpec, TickerUpdate, Timer,
    TradeUpdate, Update,
};

/// Ten topics a request is spot's limit and safe elsewhere; 21,000 characters is the connection's
/// (`https://bybit-exchange.github.io/docs/v5/ws/connect`).
const LIMITS: Limits = Limits {
    topics_per_request: 10,
    characters: 21_000,
    pace: Duration::from_millis(50),
    in_flight: 4,
    patience: Duration::from_secs(5),
    retry_refused: Duration::from_secs(600),
};
const PING_EVERY: Duration = Duration::from_secs(20);
const PONG_WITHIN: Duration = Duration::from_secs(10);

/// What went wrong with a message, and whose it was if that could be told.
struct Unreadable<'a> {
    topic: Option<Cow<'a, str>>,
    detail: String,
}

/// Protocol state of one connection.
pub(super) struct BybitSession {
    market: String,
    discover: bool,
    streams: Vec<Stream>,
    subscriptions: Subscriptions,
    heartbeat: Heartbeat,
    rest: Rest,
    /// Option trades come by base coin and are told apart by symbol.
    option_trades: HashMap<String, StreamId>,
    tickers: HashMap<StreamId, MergedTicker>,
    bids: Vec<Level>,
    asks: Vec<Level>,
    trades: Vec<fast::Trade>,
}

impl BybitSession {
    pub(super) fn new(spec: SessionSpec) -> Self {
        let mut bases: Vec<Option<String>> = vec![None];
        if spec.market == "option" {
            bases = spec.streams.iter().map(|s| Some(channels::base_coin(&s.symbol).to_owned())).collect();
            bases.sort();
            bases.dedup();
        }
        let mut session = Self {
            rest: Rest::new(&spec.market, bases),
            market: spec.market,
            discover: spec.discover,
            streams: Vec::new(),
            subscriptions: Subscriptions::new(LIMITS),
            heartbeat: Heartbeat::new(PING_EVERY, PONG_WITHIN),
            option_trades: HashMap::new(),
            tickers: HashMap::new(),
            bids: Vec::new(),
            asks: Vec::new(),
            trades: Vec::new(),
        };
        for (at, stream) in spec.streams.into_iter().enumerate() {
            let name = channels::name(&session.market, &stream);
            session.add(StreamId(u32::try_from(at).unwrap_or(u32::MAX)), stream, &name);
        }
        session
    }

    fn add(&mut self, id: StreamId, stream: Stream, topic: &str) -> usize {
        if self.market == "option" && stream.channel == Channel::Trade {
            self.option_trades.insert(stream.symbol.clone(), id);
        }
        self.streams.push(stream);
        self.subscriptions.add(topic, id)
    }

    fn channel(&self, id: StreamId) -> Option<Channel> {
        self.streams.get(id.0 as usize).map(|stream| stream.channel)
    }

    /// A topic's place; in a recording, topics are added as they appear.
    fn place(&mut self, topic: &str, out: &mut dyn Output) -> Option<usize> {
        if let Some(place) = self.subscriptions.place(topic) {
            return Some(place);
        }
        if !self.discover {
            return None;
        }
        let retired = || bybit_v2::parse_topic(topic).map(|topic| (topic.channel, topic.symbols));
        let (channel, symbol) = channels::parse_topic(topic).or_else(retired)?;
        let stream = Stream { symbol: symbol.to_owned(), channel };
        let id = out.discovered(stream.clone());
        Some(self.add(id, stream, topic))
    }

    fn connected(&mut self, now: Stamp, out: &mut dyn Output) {
        self.tickers.clear();
        if self.discover {
            return;
        }
        self.heartbeat.connected(now.mono);
        for place in self.subscriptions.connected(now.mono) {
            self.refused(place, "beyond the 21,000 characters of topics one connection may have: split the feed", out);
        }
        for request in self.rest.instruments(now.mono) {
            out.http(request);
        }
        self.send_requests(now, out);
    }

    fn timeout(&mut self, now: Stamp, out: &mut dyn Output) {
        match self.heartbeat.beat(now.mono) {
            Beat::Rest => {}
            Beat::Ping => out.send(json!({"req_id": "ping", "op": "ping"}).to_string()),
            Beat::Dead => return out.reconnect("no pong and no data in 10 s".to_owned()),
        }
        if let Err(reason) = self.subscriptions.timeout(now.mono) {
            return out.reconnect(reason);
        }
        if self.rest.next_timeout().is_some_and(|at| at <= now.mono) {
            for request in self.rest.instruments(now.mono) {
                out.http(request);
            }
        }
        self.send_requests(now, out);
    }

    fn send_requests(&mut self, now: Stamp, out: &mut dyn Output) {
        while let Some(request) = self.subscriptions.next_request(now.mono) {
            let op = match request.op {
                Op::Subscribe => "subscribe",
                Op::Unsubscribe => "unsubscribe",
            };
            let args: Vec<_> = request.topics.iter().map(|place| self.subscriptions.name(*place)).collect();
            out.send(json!({"req_id": request.id.to_string(), "op": op, "args": args}).to_string());
        }
    }

    fn refused(&self, place: usize, detail: &str, out: &mut dyn Output) {
        for stream in self.subscriptions.streams(place) {
            out.update(Update::Rejected { stream: *stream, detail });
        }
    }

    fn changed(&self, changes: Vec<Change>, out: &mut dyn Output) {
        for change in changes {
            match change {
                Change::Subscribed(place) => {
                    for stream in self.subscriptions.streams(place) {
                        out.update(Update::Subscribed(*stream));
                    }
                }
                Change::Refused(place, detail) => self.refused(place, &detail, out),
            }
        }
    }

    fn text(&mut self, message: &[u8], now: Stamp, out: &mut dyn Output) {
        self.heartbeat.heard();
        let recv = (now.wall != UnixNanos::default()).then_some(now.wall);
        if self.read_fast(message, recv, out) {
            return;
        }
        if let Err(unreadable) = self.read(message, recv, now, out) {
            let topic = unreadable.topic.or_else(|| topic_of_ruin(message));
            let place = topic.and_then(|topic| self.subscriptions.place(&topic));
            match place {
                Some(place) => {
                    for stream in self.subscriptions.streams(place) {
                        out.update(Update::Broken { stream: Some(*stream), detail: &unreadable.detail });
                    }
                }
                None => out.update(Update::Broken { stream: None, detail: &unreadable.detail }),
            }
        }
        self.send_requests(now, out);
    }

    /// The hot path; false leaves the message to [`Self::read`].
    #[inline]
    fn read_fast(&mut self, message: &[u8], recv: Option<UnixNanos>, out: &mut dyn Output) -> bool {
        let ms = UnixNanos::from_ms;
        if message.starts_with(br#"{"topic":"orderbook."#) {
            let (mut bids, mut asks) = (std::mem::take(&mut self.bids), std::mem::take(&mut self.asks));
            let book = fast::book(message, &mut bids, &mut asks);
            (self.bids, self.asks) = (bids, asks);
            let Some(book) = book else { return false };
            let Some(place) = self.place(book.topic, out) else { return false };
            let clocks = Clocks { event: book.cts.map(ms), venue: Some(ms(book.ts)), recv };
            self.emit_book(place, book.snapshot, book.u, book.seq, clocks, out);
            return true;
        }
        if message.starts_with(br#"{"topic":"publicTrade."#) && self.market != "option" {
            let mut trades = std::mem::take(&mut self.trades);
            let read = fast::trades(message, &mut trades);
            let place = read.and_then(|(topic, _)| self.place(topic, out));
            if let (Some(place), Some((_, ts))) = (place, read) {
                self.emit_trades(place, message, &trades, ts, recv, out);
            }
            self.trades = trades;
            return place.is_some();
        }
        false
    }

    fn emit_book(&mut self, place: usize, snapshot: bool, u: u64, seq: u64, clocks: Clocks, out: &mut dyn Output) {
        self.subscriptions.data(place);
        for stream in self.subscriptions.streams(place) {
            let Some(channel) = self.channel(*stream) else { continue };
            out.update(Update::Book(BookUpdate {
                stream: *stream,
                rule: channels::rule(channel),
                snapshot,
                seq: u,
                cross_seq: seq,
                bids: &self.bids,
                asks: &self.asks,
                clocks,
            }));
        }
    }

    fn emit_trades(
        &mut self,
        place: usize,
        message: &[u8],
        trades: &[fast::Trade],
        ts: u64,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) {
        self.subscriptions.data(place);
        for stream in self.subscriptions.streams(place) {
            for trade in trades {
                let id = message.get(trade.id.clone()).and_then(|id| std::str::from_utf8(id).ok());
                out.update(Update::Trade(TradeUpdate {
                    stream: *stream,
                    id: id.unwrap_or_default(),
                    price: trade.price,
                    size: trade.size,
                    side: trade.side,
                    block: trade.block,
                    venue_seq: trade.seq,
                    clocks: Clocks {
                        event: Some(UnixNanos::from_ms(trade.time)),
                        venue: Some(UnixNanos::from_ms(ts)),
                        recv,
                    },
                }));
            }
        }
    }

    /// Any message, read with every freedom JSON has.
    fn read<'a>(
        &mut self,
        message: &'a [u8],
        recv: Option<UnixNanos>,
        now: Stamp,
        out: &mut dyn Output,
    ) -> Result<(), Unreadable<'a>> {
        let envelope: Envelope<'a> =
            serde_json::from_slice(message).map_err(|error| Unreadable { topic: None, detail: error.to_string() })?;
        let Some(topic) = envelope.topic.clone() else {
            self.control(&envelope, now, out);
            return Ok(());
        };
        let Some(place) = self.place(&topic.0, out) else {
            out.update(Update::Ignored(Ignored::UnknownTopic));
            return Ok(());
        };
        let clocks = envelope.clocks(recv);
        self.data(place, &topic.0, &envelope, clocks, out).map_err(|detail| Unreadable { topic: Some(topic.0), detail })
    }

    fn data(
        &mut self,
        place: usize,
        topic: &str,
        envelope: &Envelope<'_>,
        clocks: Clocks,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let Some(channel) = self.subscriptions.streams(place).first().and_then(|id| self.channel(*id)) else {
            return Ok(());
        };
        self.subscriptions.data(place);
        if channels::parse_topic(topic).is_none() {
            return self.retired_data(place, channel, envelope, clocks, out);
        }
        match channel {
            Channel::Book(_) | Channel::Bbo => self.book_data(place, envelope, clocks, out),
            Channel::Trade => self.trade_data(place, envelope, clocks, out),
            Channel::Ticker => self.ticker_data(place, envelope, clocks, out),
            Channel::Candle(_) => self.candle_data(place, envelope, clocks, out),
            Channel::Liquidation => self.liquidation_data(place, envelope, clocks, out),
        }
    }

    fn book_data(
        &mut self,
        place: usize,
        envelope: &Envelope<'_>,
        clocks: Clocks,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let data: BookData<'_> = parse(envelope)?;
        let snapshot = is_snapshot(envelope)?;
        let (u, seq) = self.read_book(&data)?;
        self.emit_book(place, snapshot, u, seq, clocks, out);
        Ok(())
    }

    fn read_book(&mut self, data: &BookData<'_>) -> Result<(u64, u64), String> {
        wire::read_levels(&data.b, &mut self.bids)?;
        wire::read_levels(&data.a, &mut self.asks)?;
        let u = data.u.integer().ok_or("u is no integer")?;
        let seq = data.seq.integer().ok_or("seq is no integer")?;
        Ok((u, seq))
    }

    fn trade_data(
        &mut self,
        place: usize,
        envelope: &Envelope<'_>,
        clocks: Clocks,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let list: Vec<TradeData<'_>> = parse(envelope)?;
        for trade in &list {
            let stream = self.trade_stream(place, &trade.s.0, out);
            let update = |stream| -> Result<TradeUpdate<'_>, String> {
                Ok(TradeUpdate {
                    stream,
                    id: &trade.i.0,
                    price: wire::number(trade.p.0)?,
                    size: wire::number(trade.v.0)?,
                    side: wire::side(&trade.side.0),
                    block: trade.block,
                    venue_seq: trade.seq.and_then(|seq| seq.integer()),
                    clocks: Clocks { event: wire::stamp(Some(trade.time)), ..clocks },
                })
            };
            match stream {
                Some(stream) => out.update(Update::Trade(update(stream)?)),
                None => out.update(Update::Ignored(Ignored::UnknownTopic)),
            }
        }
        Ok(())
    }

    /// The stream of a trade: the topic's, but for options the symbol's.
    fn trade_stream(&mut self, place: usize, symbol: &str, out: &mut dyn Output) -> Option<StreamId> {
        if self.market != "option" {
            return self.subscriptions.streams(place).first().copied();
        }
        if self.discover && !self.option_trades.contains_key(symbol) {
            let stream = Stream { symbol: symbol.to_owned(), channel: Channel::Trade };
            let id = out.discovered(stream.clone());
            self.streams.push(stream);
            self.option_trades.insert(symbol.to_owned(), id);
        }
        self.option_trades.get(symbol).copied()
    }

    fn ticker_data(
        &mut self,
        place: usize,
        envelope: &Envelope<'_>,
        clocks: Clocks,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let data: Members<'_> = parse(envelope)?;
        let snapshot = envelope.kind.as_ref().is_none_or(|kind| kind.0 == "snapshot");
        for stream in self.subscriptions.streams(place) {
            if !snapshot && !self.tickers.contains_key(stream) {
                out.update(Update::Ignored(Ignored::UnknownKind));
                continue;
            }
            let ticker = self.tickers.entry(*stream).or_default();
            if snapshot {
                ticker.clear();
            }
            wire::read_ticker(&data, |field, text| ticker.set(field, text));
            let venue_seq = envelope.cs.and_then(|cs| cs.integer());
            out.update(Update::Ticker(TickerUpdate { stream: *stream, venue_seq, fields: ticker.fields(), clocks }));
        }
        Ok(())
    }

    fn candle_data(
        &mut self,
        place: usize,
        envelope: &Envelope<'_>,
        clocks: Clocks,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let list: Vec<CandleData<'_>> = parse(envelope)?;
        let Some(stream) = self.subscriptions.streams(place).first().copied() else { return Ok(()) };
        let Some(Channel::Candle(interval)) = self.channel(stream) else { return Ok(()) };
        for candle in &list {
            let ms = |number: Number<'_>| wire::stamp(Some(number)).map(|at| at.0).ok_or("a candle without its time");
            out.update(Update::Candle(CandleUpdate {
                stream,
                interval,
                open_time: ms(candle.start)?,
                close_time: ms(candle.end)?,
                open: plain(candle.open)?,
                high: plain(candle.high)?,
                low: plain(candle.low)?,
                close: plain(candle.close)?,
                volume: plain(candle.volume)?,
                turnover: decimal_text(candle.turnover.0),
                closed: candle.confirm,
                clocks: Clocks { event: wire::stamp(candle.timestamp), ..clocks },
            }));
        }
        Ok(())
    }

    fn liquidation_data(
        &mut self,
        place: usize,
        envelope: &Envelope<'_>,
        clocks: Clocks,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let list: Vec<LiquidationData<'_>> = parse(envelope)?;
        let Some(stream) = self.subscriptions.streams(place).first().copied() else { return Ok(()) };
        for item in &list {
            // `S` is the position's side; the closing order's is the other one.
            let side = match wire::side(&item.side.0) {
                Side::Buy => Side::Sell,
                Side::Sell => Side::Buy,
                Side::Unknown => Side::Unknown,
            };
            out.update(Update::Liquidation(LiquidationUpdate {
                stream,
                side,
                price: wire::number(item.p.0)?,
                size: wire::number(item.v.0)?,
                clocks: Clocks { event: wire::stamp(Some(item.time)), ..clocks },
            }));
        }
        Ok(())
    }

    /// Messages of the retired API, which only recordings still have.
    fn retired_data(
        &mut self,
        place: usize,
        channel: Channel,
        envelope: &Envelope<'_>,
        clocks: Clocks,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let Some(stream) = self.subscriptions.streams(place).first().copied() else { return Ok(()) };
        let mut decoder = bybit_v2::Decoder {
            stream,
            recv: clocks.recv,
            bids: &mut self.bids,
            asks: &mut self.asks,
            ticker: self.tickers.entry(stream).or_default(),
        };
        decoder.decode(channel, envelope, out)
    }

    /// Answers and pongs.
    fn control(&mut self, envelope: &Envelope<'_>, now: Stamp, out: &mut dyn Output) {
        let text = |text: &Option<Text<'_>>| text.as_ref().map(|t| t.0.to_string());
        let (kind, op) = (text(&envelope.kind), text(&envelope.op));
        let changes = match (kind.as_deref(), op.as_deref()) {
            (Some("COMMAND_RESP"), _) => self.command_answered(envelope, now),
            (_, Some("ping" | "pong")) => Vec::new(),
            (_, Some("subscribe" | "unsubscribe")) => self.request_answered(envelope, op.as_deref(), now),
            (_, None) if envelope.request.is_some() => Vec::new(),
            _ if envelope.success == Some(false) => self.request_answered(envelope, None, now),
            _ => return out.update(Update::Ignored(Ignored::UnknownKind)),
        };
        out.update(Update::Ignored(Ignored::Control));
        self.changed(changes, out);
        self.send_requests(now, out);
    }

    /// The options' answer lists topics; one that lists none is about the oldest request as a whole.
    fn command_answered(&mut self, envelope: &Envelope<'_>, now: Stamp) -> Vec<Change> {
        match parse::<CommandData<'_>>(envelope) {
            Ok(data) if !(data.done.is_empty() && data.failed.is_empty()) => {
                let done: Vec<&str> = data.done.iter().map(|name| name.0.as_ref()).collect();
                let failed: Vec<&str> = data.failed.iter().map(|name| name.0.as_ref()).collect();
                self.subscriptions.answered_by_name(&done, &failed, "listed in failTopics", now.mono)
            }
            _ => self.request_answered(envelope, None, now),
        }
    }

    fn request_answered(&mut self, envelope: &Envelope<'_>, op: Option<&str>, now: Stamp) -> Vec<Change> {
        let id = envelope.req_id.as_ref().and_then(|id| id.0.parse().ok());
        let op = op.map(|op| if op == "unsubscribe" { Op::Unsubscribe } else { Op::Subscribe });
        let detail = envelope.ret_msg.as_ref().map_or("", |text| text.0.as_ref());
        let topic = detail.split_once("topic:").map(|(_, topic)| topic.trim());
        let answer = match (envelope.success, topic) {
            (Some(true), _) => Answer::Done,
            (_, Some(topic)) if detail.contains("already subscribed") => Answer::Already(topic),
            _ => Answer::Failed { topic, detail },
        };
        self.subscriptions.answered(id, op, answer, now.mono)
    }

    fn http(&mut self, id: u64, status: Option<u16>, body: &[u8], now: Stamp, out: &mut dyn Output) {
        let mut more = Vec::new();
        match self.rest.answered(id, status, body, now.mono, &mut more) {
            RestAnswer::Instruments(list) => self.instruments(&list, out),
            RestAnswer::Image(stream, data) => self.image(stream, &data, now, out),
            RestAnswer::ImageFailed(stream, detail) => out.update(Update::ImageFailed { stream, detail: &detail }),
            RestAnswer::Nothing => {}
        }
        for request in more {
            out.http(request);
        }
    }

    /// Passes on the instruments that are subscribed to; of a recording, all.
    fn instruments(&self, list: &[crate::model::Instrument], out: &mut dyn Output) {
        for instrument in list {
            if self.discover || self.streams.iter().any(|stream| stream.symbol == instrument.symbol) {
                out.update(Update::Instrument(instrument));
            }
        }
    }

    fn image(&mut self, stream: Option<StreamId>, data: &BookData<'_>, now: Stamp, out: &mut dyn Output) {
        let wanted = Channel::Book(BookDepth::Full);
        let of_symbol = || self.streams.iter().position(|s| s.channel == wanted && s.symbol == data.s.0);
        let found = stream.or_else(|| of_symbol().map(|at| StreamId(u32::try_from(at).unwrap_or(u32::MAX))));
        let Some(stream) = found else { return };
        match self.read_book(data) {
            Ok((u, seq)) => out.update(Update::Book(BookUpdate {
                stream,
                rule: channels::rule(wanted),
                snapshot: true,
                seq: u,
                cross_seq: seq,
                bids: &self.bids,
                asks: &self.asks,
                clocks: Clocks {
                    event: wire::stamp(data.cts),
                    venue: wire::stamp(data.ts),
                    recv: (now.wall != UnixNanos::default()).then_some(now.wall),
                },
            })),
            Err(detail) => out.update(Update::ImageFailed { stream, detail: &detail }),
        }
    }

    fn resync(&mut self, stream: StreamId, now: Stamp, out: &mut dyn Output) {
        self.tickers.remove(&stream);
        let topic = self.streams.get(stream.0 as usize).map(|stream| channels::name(&self.market, stream));
        if let Some(place) = topic.and_then(|topic| self.subscriptions.place(&topic)) {
            self.subscriptions.resync(place);
            self.send_requests(now, out);
        }
    }
}

impl Session for BybitSession {
    fn handle(&mut self, input: Input<'_>, now: Stamp, out: &mut dyn Output) {
        match input {
            Input::Connected => self.connected(now, out),
            Input::Text(message) => self.text(message, now, out),
            Input::Binary(_) => out.update(Update::Ignored(Ignored::UnknownKind)),
            Input::Http { id, status, body } => self.http(id, status, body, now, out),
            Input::Resync(stream) => self.resync(stream, now, out),
            Input::Image(stream) => {
                if let Some(wanted) = self.streams.get(stream.0 as usize).filter(|_| !self.discover) {
                    let symbol = wanted.symbol.clone();
                    out.http(self.rest.image(stream, &symbol));
                }
            }
            Input::Timeout => self.timeout(now, out),
            Input::Disconnected => {
                self.heartbeat.disconnected();
                self.subscriptions.disconnected();
            }
        }
    }

    fn next_timeout(&self) -> Option<Timer> {
        let timer = |why| move |at| Timer { at, why };
        let heartbeat = self.heartbeat.next_timeout().map(timer("heartbeat"));
        let subscriptions = self.subscriptions.next_timeout().map(timer("subscriptions"));
        let instruments = self.rest.next_timeout().map(timer("instruments"));
        heartbeat.into_iter().chain(subscriptions).chain(instruments).min()
    }
}

fn parse<'a, T: serde::Deserialize<'a>>(envelope: &Envelope<'a>) -> Result<T, String> {
    let data = envelope.data.ok_or("no data")?;
    serde_json::from_str(data.get()).map_err(|error| error.to_string())
}

/// A candle's number as the venue wrote it.
fn plain(number: Number<'_>) -> Result<&str, String> {
    decimal_text(number.0).ok_or_else(|| "a candle's number is no decimal".to_owned())
}

fn is_snapshot(envelope: &Envelope<'_>) -> Result<bool, String> {
    match envelope.kind.as_ref().map(|kind| kind.0.as_ref()) {
        Some("snapshot") => Ok(true),
        Some("delta") => Ok(false),
        _ => Err("type is neither snapshot nor delta".to_owned()),
    }
}

/// The topic of a message that cannot be read whole, from its start, so that only its own book is doubted.
fn topic_of_ruin(message: &[u8]) -> Option<Cow<'_, str>> {
    let start = memchr::memmem::find(message, br#""topic":""#)? + 9;
    let rest = message.get(start..)?;
    let topic = rest.get(..memchr::memchr(b'"', rest)?)?;
    std::str::from_utf8(topic).ok().map(Cow::Borrowed)
}
