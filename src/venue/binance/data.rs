//! Data messages: from a stream's name and text to updates, the hot path first.

use std::borrow::Cow;

use super::channels::{self, Kind};
use super::fast;
use super::session::BinanceSession;
use super::user_stream;
use super::wire::{self, DepthData, Envelope, Event};
use crate::book::SyncRule;
use crate::model::{Clocks, Level, Mono, Stamp, UnixNanos};
use crate::venue::kit::fields::{Object, read_levels};
use crate::venue::kit::unreadable::Unreadable;
use crate::venue::{BookUpdate, Ignored, Output, TradeUpdate, Update};

/// The ids of a depth update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    pub(super) first: u64,
    pub(super) last: u64,
    pub(super) previous: u64,
}

/// A best bid or offer; a side that is empty has a price of zero.
pub(super) fn offer(level: &Level) -> &[Level] {
    if level.price.mantissa == 0 { &[] } else { std::slice::from_ref(level) }
}

/// Reads the levels of a depth update or an image, and its ids: 0 where there are none.
pub(super) fn depth_update(data: &DepthData<'_>, bids: &mut Vec<Level>, asks: &mut Vec<Level>) -> Result<Ids, String> {
    read_levels(&data.bids, bids)?;
    read_levels(&data.asks, asks)?;
    let given = |number, name| match number {
        Some(_) => wire::integer(number, name),
        None => Ok(0),
    };
    Ok(Ids {
        first: given(data.first, "U")?,
        last: wire::integer(data.last, "the update id")?,
        previous: given(data.previous, "pu")?,
    })
}

impl BinanceSession {
    /// A topic's place; in a recording, topics are added as they appear.
    fn place(&mut self, topic: &str, out: &mut dyn Output) -> Option<usize> {
        if let Some(place) = self.subscriptions.place(topic) {
            return Some(place);
        }
        if !self.discover {
            return None;
        }
        let (stream, kind) = channels::recorded(self.segment, topic)?;
        let id = out.discovered(stream.clone())?;
        let place = self.subscriptions.add(topic, id);
        self.know(place, kind, &stream);
        self.streams.insert(id, stream);
        Some(place)
    }

    /// Something of a topic came.
    #[inline]
    fn note(&mut self, place: usize, now: Mono) {
        self.subscriptions.data(place);
        if let Some(topic) = self.topics.get_mut(place) {
            topic.pulse.beat(now);
        }
    }

    /// The hot path; false leaves the message to [`Self::read`].
    #[inline]
    pub(super) fn read_fast(
        &mut self,
        message: &[u8],
        recv: Option<UnixNanos>,
        now: Stamp,
        out: &mut dyn Output,
    ) -> bool {
        let Some((name, mut scan)) = fast::stream(message) else { return false };
        let Some(place) = self.place(name, out) else { return false };
        let Some(kind) = self.topics.get(place).map(|topic| topic.kind) else { return false };
        let ms = UnixNanos::from_ms;
        match kind {
            Kind::Diff => {
                let (mut bids, mut asks) = (std::mem::take(&mut self.bids), std::mem::take(&mut self.asks));
                let depth = fast::depth(&mut scan, &mut bids, &mut asks);
                (self.bids, self.asks) = (bids, asks);
                let Some(depth) = depth.filter(|depth| depth.previous.is_some() != self.segment.is_spot()) else {
                    return false;
                };
                let clocks = Clocks { event: depth.happened.map(ms), venue: Some(ms(depth.made)), recv };
                let ids = Ids { first: depth.first, last: depth.last, previous: depth.previous.unwrap_or(0) };
                self.note(place, now.mono);
                self.emit_diff(place, ids, clocks, out);
            }
            Kind::BookTicker => {
                let Some(best) = fast::book_ticker(&mut scan) else { return false };
                let clocks = Clocks { event: best.happened.map(ms), venue: best.made.map(ms), recv };
                self.note(place, now.mono);
                self.emit_whole(place, best.u, offer(&best.bid), offer(&best.ask), clocks, out);
            }
            Kind::Trade | Kind::AggTrade => {
                let key = if kind == Kind::Trade { b't' } else { b'a' };
                let Some(trade) = fast::trade(&mut scan, key) else { return false };
                let id = message.get(trade.id_text.clone()).and_then(|id| std::str::from_utf8(id).ok());
                let Some(id) = id else { return false };
                let clocks = Clocks { event: Some(ms(trade.happened)), venue: Some(ms(trade.made)), recv };
                let (price, size, side) = (trade.price, trade.size, trade.side);
                let update = |stream| TradeUpdate {
                    stream,
                    id,
                    price,
                    size,
                    side,
                    block: None,
                    venue_seq: Some(trade.id),
                    backfill: false,
                    clocks,
                };
                self.note(place, now.mono);
                self.emit_trade(place, trade.id, update, out);
            }
            _ => return false,
        }
        true
    }

    pub(super) fn emit_diff(&self, place: usize, ids: Ids, clocks: Clocks, out: &mut dyn Output) {
        for stream in self.subscriptions.streams(place) {
            out.update(Update::Book(BookUpdate {
                stream: *stream,
                rule: self.segment.rule(),
                snapshot: false,
                seq: ids.last,
                first: ids.first,
                previous: ids.previous,
                cross_seq: 0,
                checksum: None,
                middle: None,
                bids: &self.bids,
                asks: &self.asks,
                clocks,
            }));
        }
    }

    /// A book that is whole in each message: its id tells which of two is the newer one.
    pub(super) fn emit_whole(
        &self,
        place: usize,
        id: u64,
        bids: &[Level],
        asks: &[Level],
        clocks: Clocks,
        out: &mut dyn Output,
    ) {
        for stream in self.subscriptions.streams(place) {
            out.update(Update::Book(BookUpdate {
                stream: *stream,
                rule: SyncRule::SnapshotOnly,
                snapshot: true,
                seq: id,
                first: 0,
                previous: 0,
                cross_seq: id,
                checksum: None,
                middle: None,
                bids,
                asks,
                clocks,
            }));
        }
    }

    /// A trade; ids of a stream count by one, so that a hole is seen.
    pub(super) fn emit_trade<'t>(
        &mut self,
        place: usize,
        id: u64,
        update: impl Fn(crate::model::StreamId) -> TradeUpdate<'t>,
        out: &mut dyn Output,
    ) {
        let Some(topic) = self.topics.get_mut(place) else { return };
        let last = topic.last_id.replace(id);
        let missing = last.filter(|last| id > last.saturating_add(1));
        for stream in self.subscriptions.streams(place) {
            if let Some(last) = missing {
                let detail = format!("trades {} to {} are missing", last.saturating_add(1), id.saturating_sub(1));
                out.update(Update::Broken { stream: Some(*stream), detail: &detail });
            }
            out.update(Update::Trade(update(*stream)));
        }
    }

    /// Any message, read with every freedom JSON has.
    pub(super) fn read(
        &mut self,
        message: &[u8],
        recv: Option<UnixNanos>,
        now: Stamp,
        out: &mut dyn Output,
    ) -> Result<(), Unreadable> {
        let envelope = Envelope::parse(message).map_err(|detail| Unreadable { topic: None, detail })?;
        if self.discover && user_stream::recorded(message, Clocks { recv, ..Clocks::default() }, out) {
            return Ok(());
        }
        let Some(payload) = envelope.payload(message) else {
            self.answered(&envelope, now, out);
            return Ok(());
        };
        let topic = envelope.stream.map(|text| text.0);
        let place = topic.as_deref().filter(|topic| !topic.starts_with('!')).map(|topic| self.place(topic, out));
        let done = match place {
            Some(Some(place)) => self.event_of(place, payload, recv, now, out),
            Some(None) => {
                out.update(Update::Ignored(Ignored::UnknownTopic));
                Ok(())
            }
            None if payload.trim_start().starts_with('[') => self.many(payload, recv, now, out),
            None => self.unnamed(payload, recv, now, out),
        };
        done.map_err(|detail| Unreadable { topic: topic.map(Cow::into_owned), detail })
    }

    /// A list of events of all symbols.
    fn many(&mut self, list: &str, recv: Option<UnixNanos>, now: Stamp, out: &mut dyn Output) -> Result<(), String> {
        let events: Vec<&serde_json::value::RawValue> =
            serde_json::from_str(list).map_err(|error| error.to_string())?;
        events.into_iter().try_for_each(|event| self.unnamed(event.get(), recv, now, out))
    }

    /// An event that names no stream of one symbol: its own words tell whose it is. Lists for all symbols have those of
    /// both futures markets.
    fn unnamed(&mut self, data: &str, recv: Option<UnixNanos>, now: Stamp, out: &mut dyn Output) -> Result<(), String> {
        let event = Event::parse(data)?;
        if event.kind() == Some("serverShutdown") {
            out.update(Update::Ignored(Ignored::Control));
            self.replace(now, "the venue said that it shuts this server down", out);
            return Ok(());
        }
        let of_another = event.st.and_then(|st| st.integer()).is_some_and(|st| self.segment.st() != Some(st));
        let place = if of_another { None } else { self.place_of(&event, out) };
        match place {
            Some(place) => self.event_of(place, data, recv, now, out),
            None => {
                out.update(Update::Ignored(Ignored::UnknownTopic));
                Ok(())
            }
        }
    }

    fn place_of(&mut self, event: &Event<'_>, out: &mut dyn Output) -> Option<usize> {
        let interval = event.interval().and_then(crate::model::Interval::parse);
        let (kind, end) = match event.kind() {
            Some("depthUpdate") => (Kind::Diff, "depth@100ms".to_owned()),
            Some("bookTicker") => (Kind::BookTicker, "bookTicker".to_owned()),
            None if event.is_book_ticker() => (Kind::BookTicker, "bookTicker".to_owned()),
            None if event.last_update_id.is_some() => return self.only_partial(),
            Some("trade") => (Kind::Trade, "trade".to_owned()),
            Some("aggTrade") => (Kind::AggTrade, "aggTrade".to_owned()),
            Some("24hrTicker") => (Kind::Ticker, "ticker".to_owned()),
            Some("24hrMiniTicker") => (Kind::MiniTicker, "miniTicker".to_owned()),
            Some("markPriceUpdate") => (Kind::Mark, "markPrice@1s".to_owned()),
            Some("forceOrder") => (Kind::Liquidation, "forceOrder".to_owned()),
            Some("kline") => (Kind::Candle(interval?), format!("kline_{}", interval?)),
            _ => return None,
        };
        let symbol = event.symbol()?;
        let known = self.by_event.get(&(kind, symbol.to_owned())).copied();
        // Partial depth of futures looks like a depth update.
        let partial = || (kind == Kind::Diff).then(|| self.by_event.get(&(Kind::Partial, symbol.to_owned())).copied());
        let known = known.or_else(|| partial().flatten());
        known.or_else(|| self.place(&format!("{}@{end}", symbol.to_ascii_lowercase()), out))
    }

    /// Partial depth of spot does not say whose it is: it is clear only when there is one.
    fn only_partial(&self) -> Option<usize> {
        let mut partial = (0..).zip(&self.topics).filter(|(_, topic)| topic.kind == Kind::Partial);
        let first = partial.next()?.0;
        partial.next().is_none().then_some(first)
    }

    fn event_of(
        &mut self,
        place: usize,
        data: &str,
        recv: Option<UnixNanos>,
        now: Stamp,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let Some(kind) = self.topics.get(place).map(|topic| topic.kind) else { return Ok(()) };
        self.event(place, kind, data, recv, out)?;
        self.note(place, now.mono);
        Ok(())
    }

    pub(super) fn parsed<'a, T: serde::Deserialize<'a>>(data: &'a str) -> Result<T, String> {
        serde_json::from_str(data).map(|Object(found)| found).map_err(|error| error.to_string())
    }
}
