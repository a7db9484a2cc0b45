//! Data messages: from a topic's text to updates, the hot path first.

use super::session::BybitSession;
use super::wire::{self, BookData, CandleData, Envelope, LiquidationData, TradeData};
use super::{account, channels, fast};
use crate::model::{Channel, Clocks, Side, Stamp, Stream, StreamId, UnixNanos, decimal_text};
use crate::venue::bybit_v2;
use crate::venue::kit::account::NAMELESS;
use crate::venue::kit::fields::{Members, Number, Object, number, read_levels, time_of_ms};
use crate::venue::kit::unreadable::Unreadable;
use crate::venue::{BookUpdate, CandleUpdate, Ignored, LiquidationUpdate, Output, TickerUpdate, TradeUpdate, Update};

impl BybitSession {
    /// The hot path; false leaves the message to [`Self::read`].
    #[inline]
    pub(super) fn read_fast(&mut self, message: &[u8], recv: Option<UnixNanos>, out: &mut dyn Output) -> bool {
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
                first: 0,
                previous: 0,
                checksum: None,
                middle: None,
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
                    backfill: false,
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
    pub(super) fn read(
        &mut self,
        message: &[u8],
        recv: Option<UnixNanos>,
        now: Stamp,
        out: &mut dyn Output,
    ) -> Result<(), Unreadable> {
        let envelope =
            Envelope::parse(message).map_err(|error| Unreadable { topic: None, detail: error.to_string() })?;
        let Some(topic) = envelope.topic.clone() else {
            self.control(&envelope, now, out);
            return Ok(());
        };
        let clocks = envelope.clocks(recv);
        if let (Some(kind), Some(data), true) = (account::kind_of(&topic.0), envelope.data, self.discover) {
            // Of a recording, which has the account's messages among the others.
            let clocks = Clocks { venue: time_of_ms(envelope.creation_time), ..clocks };
            return account::rows(&self.market, kind, data, &mut |row| row.tell(NAMELESS, clocks, out))
                .map_err(|detail| Unreadable { topic: None, detail });
        }
        let Some(place) = self.place(&topic.0, out) else {
            out.update(Update::Ignored(Ignored::UnknownTopic));
            return Ok(());
        };
        self.data(place, &topic.0, &envelope, clocks, out)
            .map_err(|detail| Unreadable { topic: Some(topic.0.into_owned()), detail })
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
            Channel::Account(_) | Channel::Raw => Ok(()),
        }
    }

    fn book_data(
        &mut self,
        place: usize,
        envelope: &Envelope<'_>,
        clocks: Clocks,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let Object(data) = envelope.data::<Object<BookData<'_>>>()?;
        let snapshot = envelope.is_snapshot()?;
        let (u, seq) = self.read_book(&data)?;
        self.emit_book(place, snapshot, u, seq, clocks, out);
        Ok(())
    }

    pub(super) fn read_book(&mut self, data: &BookData<'_>) -> Result<(u64, u64), String> {
        read_levels(&data.b, &mut self.bids)?;
        read_levels(&data.a, &mut self.asks)?;
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
        let list: Vec<Object<TradeData<'_>>> = envelope.data()?;
        for Object(trade) in &list {
            let stream = self.trade_stream(place, &trade.s.0, out);
            let update = |stream| -> Result<TradeUpdate<'_>, String> {
                Ok(TradeUpdate {
                    stream,
                    id: &trade.i.0,
                    price: number(trade.p.0)?,
                    size: number(trade.v.0)?,
                    side: wire::side(&trade.side.0),
                    block: trade.block,
                    venue_seq: trade.seq.and_then(|seq| seq.integer()),
                    backfill: false,
                    clocks: Clocks { event: time_of_ms(Some(trade.time)), ..clocks },
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
            let stream = Stream::new(symbol, Channel::Trade);
            let id = out.discovered(stream.clone())?;
            self.streams.insert(id, stream);
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
        let data: Members<'_> = envelope.data()?;
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
            out.update(Update::Ticker(TickerUpdate {
                stream: *stream,
                venue_seq,
                fields: ticker.fields(),
                params: &[],
                clocks,
            }));
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
        let list: Vec<Object<CandleData<'_>>> = envelope.data()?;
        let Some(stream) = self.subscriptions.streams(place).first().copied() else { return Ok(()) };
        let Some(Channel::Candle(interval)) = self.channel(stream) else { return Ok(()) };
        for Object(candle) in &list {
            let ms = |number: Number<'_>| time_of_ms(Some(number)).map(|at| at.0).ok_or("a candle without its time");
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
                backfill: false,
                clocks: Clocks { event: time_of_ms(candle.timestamp), ..clocks },
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
        let list: Vec<Object<LiquidationData<'_>>> = envelope.data()?;
        let Some(stream) = self.subscriptions.streams(place).first().copied() else { return Ok(()) };
        for Object(item) in &list {
            // `S` is the position's side; the closing order's is the other one.
            let side = match wire::side(&item.side.0) {
                Side::Buy => Side::Sell,
                Side::Sell => Side::Buy,
                Side::Unknown => Side::Unknown,
            };
            out.update(Update::Liquidation(LiquidationUpdate {
                stream,
                side,
                price: number(item.p.0)?,
                size: number(item.v.0)?,
                clocks: Clocks { event: time_of_ms(Some(item.time)), ..clocks },
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
}

/// A candle's number as the venue wrote it.
fn plain(number: Number<'_>) -> Result<&str, String> {
    decimal_text(number.0).ok_or_else(|| "a candle's number is no decimal".to_owned())
}
