//! From events to frames: each is encoded once, with its topic's own sequence.

use std::collections::HashMap;
use std::sync::atomic::Ordering;

use bytes::Bytes;

use super::map::{Map, Stamps, Topic};
use super::names::channel_name;
use super::payload::{Encoding, Json, MessagePack, Payload};
use super::rows::put_status;
use super::spec::EncoderSpec;
use super::{Frame, Outgoing, Retain, topic};
use crate::feed::{BookView, Event, Levels, Reason, State, Status, Symbol};
use crate::model::{Channel, Clocks, Instrument, Interval, Level, Mono, Stamp};
use crate::venue::{CandleUpdate, LiquidationUpdate, TickerField, TickerUpdate, TradeUpdate};

/// Kinds of topics a symbol has one of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Book,
    Delta,
    Bbo,
    Trade,
    Ticker,
    Liquidation,
    Status,
    Instrument,
}

const KINDS: usize = 8;

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Book => "book",
            Self::Delta => "delta",
            Self::Bbo => "bbo",
            Self::Trade => "trade",
            Self::Ticker => "ticker",
            Self::Liquidation => "liquidation",
            Self::Status => "status",
            Self::Instrument => "instrument",
        }
    }
}

#[derive(Debug, Default)]
struct SymbolTopics {
    topics: [Option<Topic>; KINDS],
    candles: Vec<(Interval, Topic)>,
    instrument: Option<String>,
    book_sent: Option<Mono>,
    book_due: bool,
    /// What the symbol's main stream last said.
    main_status: Option<(Option<Channel>, Status)>,
}

/// Encodes the events of one feed.
#[derive(Debug)]
pub struct Encoder {
    pub(super) spec: EncoderSpec,
    symbols: Vec<SymbolTopics>,
    /// Topics of rows and raw events, by name.
    pub(super) rows: HashMap<Bytes, Topic>,
    /// Rows and events that were beyond the limit of such topics.
    pub(super) unencoded: u64,
    pub(super) scratch: Vec<u8>,
    pub(super) stamps: Stamps,
    due: Vec<u32>,
    next_due: Option<Mono>,
    /// Whether all connections of the feed are open, once that was said.
    link: Option<bool>,
}

impl Encoder {
    /// An encoder without topics yet; every sequence starts at 1.
    pub fn new(spec: EncoderSpec) -> Self {
        Self {
            spec,
            symbols: Vec::new(),
            rows: HashMap::new(),
            unencoded: 0,
            scratch: Vec::with_capacity(4096),
            stamps: Stamps::default(),
            due: Vec::new(),
            next_due: None,
            link: None,
        }
    }

    /// A new input comes: its frames get a `ts_pub` of their own, which those of one update share.
    #[inline]
    pub const fn new_input(&mut self) {
        self.stamps.forget();
    }

    /// Encodes one event. Book frames that come too soon after the last one are due later.
    pub fn event(&mut self, symbol: &Symbol, event: Event<'_>, now: Stamp, out: &mut Vec<Outgoing>) {
        match self.spec.encoding {
            Encoding::Json => self.encode::<Json>(symbol, event, now, out),
            Encoding::MessagePack => self.encode::<MessagePack>(symbol, event, now, out),
        }
    }

    /// Rows and events that could not be published, as they would have made too many topics.
    pub const fn unencoded(&self) -> u64 {
        self.unencoded
    }

    /// When the next conflated book is due.
    pub const fn next_due(&self) -> Option<Mono> {
        self.next_due
    }

    /// A symbol whose conflated book frame is due, to be handed to [`Self::due_book`]. Call again until there is none.
    pub fn take_due(&mut self, now: Mono) -> Option<u32> {
        if self.next_due.is_none_or(|at| at > now) {
            return None;
        }
        let (interval, symbols) = (self.spec.book_interval, &self.symbols);
        let due_at = |id: &u32| symbols.get(*id as usize).and_then(|s| s.book_sent).map(|sent| sent.after(interval));
        let Some(ready) = self.due.iter().position(|id| due_at(id).is_none_or(|at| at <= now)) else {
            self.next_due = self.due.iter().filter_map(due_at).min();
            return None;
        };
        let id = self.due.remove(ready);
        if let Some(state) = self.symbols.get_mut(id as usize) {
            state.book_due = false;
        }
        Some(id)
    }

    /// Encodes a conflated book frame that was due.
    pub fn due_book(&mut self, symbol: &Symbol, view: BookView<'_>, now: Stamp, out: &mut Vec<Outgoing>) {
        match self.spec.encoding {
            Encoding::Json => self.send_book::<Json>(symbol, view, now, out),
            Encoding::MessagePack => self.send_book::<MessagePack>(symbol, view, now, out),
        }
    }

    /// The current book at full depth, outside the topic's sequence: what the snapshot socket answers.
    pub fn snapshot(&mut self, symbol: &Symbol, view: BookView<'_>) -> Frame {
        self.new_input();
        match self.spec.encoding {
            Encoding::Json => self.book_frame::<Json>(symbol, view, None),
            Encoding::MessagePack => self.book_frame::<MessagePack>(symbol, view, None),
        }
    }

    fn encode<P: Payload>(&mut self, symbol: &Symbol, event: Event<'_>, now: Stamp, out: &mut Vec<Outgoing>) {
        match event {
            Event::Delta { levels, venue_seq, clocks } => {
                let frame = self.delta::<P>(symbol, levels, venue_seq, clocks);
                out.push(Outgoing::Frame(frame));
            }
            Event::Book(view) => self.book::<P>(symbol, view, now, out),
            Event::Bbo { bid, ask, venue_seq, clocks } => {
                out.push(Outgoing::Frame(self.bbo::<P>(symbol, (bid, ask), venue_seq, clocks)));
            }
            Event::Trade(trade) => out.push(Outgoing::Frame(self.trade::<P>(symbol, trade))),
            Event::Ticker(ticker) => out.push(Outgoing::Frame(self.ticker::<P>(symbol, ticker))),
            Event::Candle(candle) => out.push(Outgoing::Frame(self.candle::<P>(symbol, candle))),
            Event::Liquidation(item) => out.push(Outgoing::Frame(self.liquidation::<P>(symbol, item))),
            Event::Instrument(item) => out.push(Outgoing::Frame(self.instrument::<P>(symbol, item))),
            Event::Untouched(message) => out.push(Outgoing::Frame(self.untouched(message))),
            Event::Raw(event) => out.extend(self.raw::<P>(event, now).map(Outgoing::Frame)),
            Event::Account(row) => out.extend(self.account::<P>(row).map(Outgoing::Frame)),
            Event::Link { connected } => self.link = Some(connected),
            Event::Status { main, channel, status } | Event::Notice { main, channel, status } => {
                self.status::<P>(symbol, main, channel, status, out);
            }
        }
    }

    // The frames.

    fn delta<P: Payload>(&mut self, symbol: &Symbol, levels: Levels<'_>, venue_seq: u64, clocks: Clocks) -> Frame {
        let mut map = self.begin::<P>(symbol, Kind::Delta, known(venue_seq), clocks);
        match levels {
            Levels::Changes(bids, asks) => {
                map.levels("bids", bids.iter().copied());
                map.levels("asks", asks.iter().copied());
            }
            Levels::Whole(book) => {
                map.boolean("snapshot", true);
                map.levels("bids", book.bids());
                map.levels("asks", book.asks());
            }
        }
        map.finish(Retain::Stream)
    }

    fn book<P: Payload>(&mut self, symbol: &Symbol, view: BookView<'_>, now: Stamp, out: &mut Vec<Outgoing>) {
        let interval = self.spec.book_interval;
        let state = self.state(symbol);
        let due_at = state.book_sent.map(|sent| sent.after(interval)).filter(|at| *at > now.mono);
        match due_at {
            None => {
                self.not_due(symbol);
                self.send_book::<P>(symbol, view, now, out);
            }
            Some(at) if !state.book_due => {
                state.book_due = true;
                self.due.push(symbol.id);
                self.next_due = Some(self.next_due.map_or(at, |next| next.min(at)));
            }
            Some(_) => {}
        }
    }

    fn send_book<P: Payload>(&mut self, symbol: &Symbol, view: BookView<'_>, now: Stamp, out: &mut Vec<Outgoing>) {
        if !self.spec.book_interval.is_zero() {
            self.state(symbol).book_sent = Some(now.mono);
        }
        let depth = self.spec.depth_of.get(&symbol.name).copied().unwrap_or(self.spec.book_depth);
        out.push(Outgoing::Frame(self.book_frame::<P>(symbol, view, Some(depth))));
    }

    /// A book frame of `depth` levels a side; without a depth, all of them and outside the sequence.
    fn book_frame<P: Payload>(&mut self, symbol: &Symbol, view: BookView<'_>, depth: Option<u16>) -> Frame {
        let delta_seq = self.topic::<P>(symbol, Kind::Delta).seq;
        if depth.is_none() {
            let topic = self.topic::<P>(symbol, Kind::Book);
            topic.seq = topic.seq.wrapping_sub(1);
        }
        let (bids, asks) = (view.book.bids(), view.book.asks());
        let most = depth.map_or(bids.len().max(asks.len()), usize::from);
        let mut map = self.begin::<P>(symbol, Kind::Book, known(view.venue_seq), view.clocks);
        map.text("state", "live");
        map.integer("depth", most as u64);
        map.levels("bids", bids.take(most));
        map.levels("asks", asks.take(most));
        map.integer("delta_seq", delta_seq);
        map.finish(Retain::Conflate)
    }

    fn bbo<P: Payload>(
        &mut self,
        symbol: &Symbol,
        (bid, ask): (Option<Level>, Option<Level>),
        venue_seq: u64,
        clocks: Clocks,
    ) -> Frame {
        let mut map = self.begin::<P>(symbol, Kind::Bbo, known(venue_seq), clocks);
        if let Some(bid) = bid {
            map.decimal("bid_price", bid.price);
            map.decimal("bid_size", bid.size);
        }
        if let Some(ask) = ask {
            map.decimal("ask_price", ask.price);
            map.decimal("ask_size", ask.size);
        }
        map.finish(Retain::Conflate)
    }

    fn trade<P: Payload>(&mut self, symbol: &Symbol, trade: &TradeUpdate<'_>) -> Frame {
        let mut map = self.begin::<P>(symbol, Kind::Trade, trade.venue_seq, trade.clocks);
        map.text("id", trade.id);
        map.decimal("price", trade.price);
        map.decimal("size", trade.size);
        map.text("side", trade.side.as_str());
        if let Some(block) = trade.block {
            map.boolean("block", block);
        }
        if trade.backfill {
            map.boolean("backfill", true);
        }
        map.finish(Retain::Stream)
    }

    fn ticker<P: Payload>(&mut self, symbol: &Symbol, ticker: &TickerUpdate<'_>) -> Frame {
        let mut map = self.begin::<P>(symbol, Kind::Ticker, ticker.venue_seq, ticker.clocks);
        for (field, text) in ticker.fields {
            match (field, text.parse()) {
                (TickerField::NextFundingTime, Ok(at)) => map.integer(field.as_str(), at),
                _ => map.text(field.as_str(), text),
            }
        }
        if !ticker.params.is_empty() {
            map.texts("params", ticker.params);
        }
        map.finish(Retain::Latest)
    }

    fn candle<P: Payload>(&mut self, symbol: &Symbol, candle: &CandleUpdate<'_>) -> Frame {
        let mut map = self.begin_candle::<P>(symbol, candle.interval, candle.clocks);
        map.text("interval", &candle.interval.to_string());
        map.integer("open_time", candle.open_time);
        map.integer("close_time", candle.close_time);
        map.text("open", candle.open);
        map.text("high", candle.high);
        map.text("low", candle.low);
        map.text("close", candle.close);
        map.text("volume", candle.volume);
        if let Some(turnover) = candle.turnover {
            map.text("turnover", turnover);
        }
        map.boolean("closed", candle.closed);
        if candle.backfill {
            map.boolean("backfill", true);
        }
        map.finish(Retain::Stream)
    }

    fn liquidation<P: Payload>(&mut self, symbol: &Symbol, item: &LiquidationUpdate) -> Frame {
        let mut map = self.begin::<P>(symbol, Kind::Liquidation, None, item.clocks);
        map.decimal("price", item.price);
        map.decimal("size", item.size);
        map.text("side", item.side.as_str());
        map.finish(Retain::Stream)
    }

    fn instrument<P: Payload>(&mut self, symbol: &Symbol, item: &Instrument) -> Frame {
        let mut map = self.begin::<P>(symbol, Kind::Instrument, None, Clocks::default());
        map.text("base", &item.base);
        map.text("quote", &item.quote);
        map.text("kind", item.kind.as_str());
        let texts = [
            ("settle", &item.settle),
            ("tick_size", &item.tick_size),
            ("lot_size", &item.lot_size),
            ("min_size", &item.min_size),
            ("strike", &item.strike),
            ("status", &item.status),
        ];
        for (key, text) in texts {
            if let Some(text) = text {
                map.text(key, text);
            }
        }
        if let Some(expiry) = item.expiry {
            map.integer("expiry", expiry.0);
        }
        if let Some(option_type) = item.option_type {
            map.text("option_type", option_type.encode_utf8(&mut [0; 4]));
        }
        map.finish(Retain::Latest)
    }

    fn status<P: Payload>(
        &mut self,
        symbol: &Symbol,
        main: bool,
        channel: Option<Channel>,
        status: &Status,
        out: &mut Vec<Outgoing>,
    ) {
        if let Some(Channel::Account(kind)) = channel {
            out.extend(self.account_status::<P>(kind, status).map(Outgoing::Frame));
            return;
        }
        if status.reason == Some(Reason::Starting) {
            self.go_on(symbol);
        }
        let retain = if main { Retain::Latest } else { Retain::Stream };
        out.push(Outgoing::Frame(self.status_frame::<P>(symbol, channel, status, retain)));
        if status.state != State::Live && symbol.id != 0 {
            self.forget(symbol, main, channel, status, out);
        }
        if main {
            self.state(symbol).main_status = Some((channel, status.clone()));
        } else if let Some((channel, status)) = self.state(symbol).main_status.clone() {
            // The topic's kept frame must be its last: a joiner learns the symbol's state and misses no `seq`.
            out.push(Outgoing::Frame(self.status_frame::<P>(symbol, channel, &status, Retain::Latest)));
        }
    }

    fn status_frame<P: Payload>(
        &mut self,
        symbol: &Symbol,
        channel: Option<Channel>,
        status: &Status,
        retain: Retain,
    ) -> Frame {
        if symbol.id == 0 {
            let seq = self.spec.feed_seq.fetch_add(1, Ordering::Relaxed);
            self.topic::<P>(symbol, Kind::Status).seq = seq;
        }
        let feed = self.spec.feed.clone();
        let link = self.link.filter(|_| symbol.id == 0);
        let mut map = self.begin::<P>(symbol, Kind::Status, None, Clocks::default());
        map.text("feed", &feed);
        if let Some(connected) = link {
            map.text("link", if connected { "connected" } else { "disconnected" });
        }
        if let Some(channel) = channel {
            map.text("channel", &channel_name(channel));
        }
        put_status(&mut map, status);
        map.finish(retain)
    }

    /// What the symbol no longer vouches for is not given to joiners any more.
    fn forget(
        &mut self,
        symbol: &Symbol,
        main: bool,
        channel: Option<Channel>,
        status: &Status,
        out: &mut Vec<Outgoing>,
    ) {
        // Starting too: a feed that failed inside begins anew among what it left behind.
        let whole_connection = status.reason.is_some_and(Reason::is_of_connection);
        let kinds: &[Kind] = match channel {
            _ if main && whole_connection => &[Kind::Book, Kind::Bbo, Kind::Ticker],
            Some(Channel::Book(_)) if main => &[Kind::Book, Kind::Bbo],
            Some(Channel::Bbo) => &[Kind::Bbo],
            Some(Channel::Ticker) => &[Kind::Ticker],
            _ => &[],
        };
        for kind in kinds {
            let name = topic(kind.as_str(), &self.spec.venue, &self.spec.market, &symbol.name);
            out.push(Outgoing::Forget(name));
        }
        if kinds.contains(&Kind::Book) {
            self.not_due(symbol);
        }
    }

    fn not_due(&mut self, symbol: &Symbol) {
        if std::mem::take(&mut self.state(symbol).book_due) {
            self.due.retain(|id| *id != symbol.id);
        }
    }

    // Topics.

    /// The symbol's topics. Heads are made anew when the instrument becomes known; sequences go on.
    fn state(&mut self, symbol: &Symbol) -> &mut SymbolTopics {
        let at = symbol.id as usize;
        if at >= self.symbols.len() {
            self.symbols.resize_with(at + 1, SymbolTopics::default);
        }
        let state = &mut self.symbols[at];
        if state.instrument != symbol.instrument {
            state.instrument.clone_from(&symbol.instrument);
            for topic in state.topics.iter_mut().flatten().chain(state.candles.iter_mut().map(|(_, topic)| topic)) {
                topic.head.clear();
            }
        }
        state
    }

    /// Another feed may have published the symbol's topics since: then they go on after its numbers.
    pub(crate) fn go_on(&mut self, symbol: &Symbol) {
        self.state(symbol);
        let (known, state) = (&self.spec.last_seq, &mut self.symbols[symbol.id as usize]);
        for topic in state.topics.iter_mut().flatten().chain(state.candles.iter_mut().map(|(_, topic)| topic)) {
            topic.seq = topic.seq.max(known.of(&topic.name));
        }
    }

    fn topic<P: Payload>(&mut self, symbol: &Symbol, kind: Kind) -> &mut Topic {
        self.state(symbol);
        let (spec, state) = (&self.spec, &mut self.symbols[symbol.id as usize]);
        let place = &mut state.topics[kind as usize];
        let topic = place.get_or_insert_with(|| Topic::new(spec, kind.as_str(), symbol));
        if topic.head.is_empty() {
            topic.write_head::<P>(spec, kind.as_str(), symbol);
        }
        topic
    }

    fn begin<P: Payload>(&mut self, symbol: &Symbol, kind: Kind, venue_seq: Option<u64>, clocks: Clocks) -> Map<'_, P> {
        self.topic::<P>(symbol, kind);
        let Self { spec, symbols, scratch, stamps, .. } = self;
        stamps.update::<P>(venue_seq, clocks, spec.clock);
        let topic = symbols[symbol.id as usize].topics[kind as usize]
            .get_or_insert_with(|| Topic::new(spec, kind.as_str(), symbol));
        Map::begin(scratch, topic, stamps)
    }

    fn begin_candle<P: Payload>(&mut self, symbol: &Symbol, interval: Interval, clocks: Clocks) -> Map<'_, P> {
        self.state(symbol);
        let Self { spec, symbols, scratch, stamps, .. } = self;
        stamps.update::<P>(None, clocks, spec.clock);
        let candles = &mut symbols[symbol.id as usize].candles;
        let at = candles.iter().position(|(known, _)| *known == interval).unwrap_or_else(|| {
            candles.push((interval, Topic::new(spec, &format!("candle_{interval}"), symbol)));
            candles.len() - 1
        });
        let topic = &mut candles[at].1;
        if topic.head.is_empty() {
            topic.write_head::<P>(spec, "candle", symbol);
        }
        Map::begin(scratch, topic, stamps)
    }
}

/// A book's id, unless its venue has none.
const fn known(venue_seq: u64) -> Option<u64> {
    if venue_seq == 0 { None } else { Some(venue_seq) }
}
