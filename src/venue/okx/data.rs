//! Data messages: from an argument's text to updates, the hot path first.

use serde_json::value::RawValue;

use super::session::OkxSession;
use super::wire::{self, Arg, BookRow, Envelope, LiquidationRow, TradeRow};
use super::{channels, fast, instruments};
use crate::book::SyncRule;
use crate::model::{AccountKind, BookDepth, Channel, Clocks, Interval, Stamp, Stream, UnixNanos, decimal_text};
use crate::venue::kit::fields::{Number, Object, number, read_levels, time_of_ms};
use crate::venue::kit::interval;
use crate::venue::kit::unreadable::Unreadable;
use crate::venue::{BookUpdate, CandleUpdate, Ignored, LiquidationUpdate, Output, TradeUpdate, Update};

/// What a book message says beside its levels.
#[derive(Clone, Copy, Debug)]
pub(super) struct BookHead {
    pub(super) snapshot: bool,
    pub(super) at: Option<UnixNanos>,
    pub(super) seq: Option<u64>,
    /// -1 for a snapshot.
    pub(super) previous: Option<i64>,
    pub(super) checksum: Option<u32>,
}

/// What a trade message says, borrowed from wherever it was read.
pub(super) struct TradeHead<'a> {
    pub(super) id: &'a str,
    pub(super) at: Option<UnixNanos>,
    pub(super) seq: Option<u64>,
    pub(super) side: crate::model::Side,
    pub(super) price: crate::model::Decimal,
    pub(super) size: crate::model::Decimal,
}

impl OkxSession {
    /// The hot path; false leaves the message to [`Self::read`].
    #[inline]
    pub(super) fn read_fast(&mut self, message: &[u8], recv: Option<UnixNanos>, out: &mut dyn Output) -> bool {
        let Some((arg, rest)) = fast::split(message) else { return false };
        let Some(place) = self.subscriptions.place(arg) else { return false };
        let channel = self.subscriptions.streams(place).first().and_then(|id| self.channel(*id));
        match channel {
            Some(Channel::Book(_) | Channel::Bbo) => {
                let (mut bids, mut asks) = (std::mem::take(&mut self.bids), std::mem::take(&mut self.asks));
                let book = fast::book(rest, &mut bids, &mut asks);
                (self.bids, self.asks) = (bids, asks);
                let Some(book) = book else { return false };
                let head = BookHead {
                    snapshot: book.snapshot,
                    at: Some(UnixNanos::from_ms(book.ts)),
                    seq: book.seq,
                    previous: book.previous,
                    checksum: book.checksum.and_then(wire::narrow_checksum),
                };
                self.emit_book(place, head, recv, out);
                true
            }
            Some(Channel::Trade) => {
                let mut trades = std::mem::take(&mut self.trades);
                let read = fast::trades(message, rest, &mut trades).is_some();
                if read {
                    self.subscriptions.data(place);
                    for trade in &trades {
                        let id = message.get(trade.id.clone()).and_then(|id| std::str::from_utf8(id).ok());
                        let head = TradeHead {
                            id: id.unwrap_or_default(),
                            at: Some(UnixNanos::from_ms(trade.ts)),
                            seq: trade.seq,
                            side: trade.side,
                            price: trade.price,
                            size: trade.size,
                        };
                        self.emit_trade(place, &head, recv, out);
                    }
                }
                self.trades = trades;
                read
            }
            _ => false,
        }
    }

    /// Hands on the levels in the scratch. Without the venue's ids, its time orders a book's messages.
    pub(super) fn emit_book(&mut self, place: usize, head: BookHead, recv: Option<UnixNanos>, out: &mut dyn Output) {
        self.subscriptions.data(place);
        let time = head.at.map_or(0, UnixNanos::as_ms);
        for stream in self.subscriptions.streams(place) {
            let Some(channel) = self.channel(*stream) else { continue };
            let is_whole = matches!(channel, Channel::Bbo | Channel::Book(BookDepth::Levels(5)));
            let (rule, cross_seq) = match (head.seq, head.previous) {
                (Some(_), _) if is_whole => (SyncRule::SnapshotOnly, 0),
                (Some(_), Some(_)) => (SyncRule::Linked, 0),
                (seq, _) => (SyncRule::Monotonic, seq.unwrap_or(time)),
            };
            // The time of the best bid and ask is when they were sent.
            let is_sent = channel == Channel::Bbo;
            let clocks = Clocks { event: head.at.filter(|_| !is_sent), venue: head.at.filter(|_| is_sent), recv };
            out.update(Update::Book(BookUpdate {
                stream: *stream,
                rule,
                snapshot: head.snapshot,
                seq: head.seq.unwrap_or(time),
                first: 0,
                previous: head.previous.and_then(|id| u64::try_from(id).ok()).unwrap_or(0),
                cross_seq,
                checksum: head.checksum,
                middle: None,
                bids: &self.bids,
                asks: &self.asks,
                clocks,
            }));
        }
    }

    pub(super) fn emit_trade(
        &self,
        place: usize,
        trade: &TradeHead<'_>,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) {
        for stream in self.subscriptions.streams(place) {
            out.update(Update::Trade(TradeUpdate {
                stream: *stream,
                id: trade.id,
                price: trade.price,
                size: trade.size,
                side: trade.side,
                block: None,
                venue_seq: trade.seq,
                backfill: false,
                clocks: Clocks { event: trade.at, venue: None, recv },
            }));
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
        if let Some(event) = &envelope.event {
            self.control(&event.0, &envelope, now, out);
            return Ok(());
        }
        if let Some(table) = &envelope.table {
            return self.v3(&table.0, &envelope, recv, out);
        }
        let Some(Object(arg)) = &envelope.arg else {
            out.update(Update::Ignored(Ignored::UnknownKind));
            return Ok(());
        };
        let topic = arg.topic();
        let streams = streams_of(arg);
        if self.discover && streams.is_empty() && is_of_type(&arg.channel.0) {
            self.subscriptions.add_own(&topic);
        }
        let Some(place) = self.place(&topic, &streams, out) else {
            out.update(Update::Ignored(Ignored::UnknownTopic));
            return Ok(());
        };
        self.subscriptions.data(place);
        let clocks = Clocks { event: None, venue: None, recv };
        self.data(place, &arg.channel.0, &envelope, clocks, out)
            .map_err(|detail| Unreadable { topic: Some(topic), detail })
    }

    fn data(
        &mut self,
        place: usize,
        channel: &str,
        envelope: &Envelope<'_>,
        clocks: Clocks,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        match channel {
            "instruments" => {
                self.instruments(&instruments::read(&envelope.rows::<&RawValue>()?), out);
                Ok(())
            }
            "liquidation-orders" => self.liquidations(envelope, clocks, out),
            "orders" | "positions" | "account" => self.account_data(place, channel, envelope, clocks, out),
            _ => match channels::of_symbol(channel) {
                Some((Channel::Book(_) | Channel::Bbo, _)) => self.books(place, envelope, clocks.recv, out),
                Some((Channel::Trade, _)) => self.trade_rows(place, envelope, clocks.recv, out),
                Some((Channel::Candle(interval), variant)) => {
                    self.candles(place, (interval, variant), envelope, clocks, out)
                }
                _ => self.ticker_data(place, channel, envelope, clocks, out),
            },
        }
    }

    fn books(
        &mut self,
        place: usize,
        envelope: &Envelope<'_>,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let snapshot = envelope.is_snapshot()?;
        for Object(row) in &envelope.rows::<Object<BookRow<'_>>>()? {
            let at = time_of_ms(row.ts);
            self.book_row(place, row, (snapshot, at), recv, out)?;
        }
        Ok(())
    }

    pub(super) fn book_row(
        &mut self,
        place: usize,
        row: &BookRow<'_>,
        (snapshot, at): (bool, Option<UnixNanos>),
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        read_levels(&row.bids, &mut self.bids)?;
        read_levels(&row.asks, &mut self.asks)?;
        let integer = |name: &str, value: Option<Number<'_>>| match value {
            None => Ok(None),
            Some(value) => value.integer().map(Some).ok_or_else(|| format!("{name} is no integer")),
        };
        let previous = match row.prev_seq_id {
            Some(Number("-1")) => Some(-1),
            other => integer("prevSeqId", other)?.and_then(|id| i64::try_from(id).ok()),
        };
        let seq = integer("seqId", row.seq_id)?;
        if seq.is_none() && at.is_none() {
            return Err("neither seqId nor ts".to_owned());
        }
        let head = BookHead { snapshot, at, seq, previous, checksum: wire::checksum(row.checksum) };
        self.emit_book(place, head, recv, out);
        Ok(())
    }

    fn trade_rows(
        &mut self,
        place: usize,
        envelope: &Envelope<'_>,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        for Object(row) in &envelope.rows::<Object<TradeRow<'_>>>()? {
            self.trade_row(place, row, time_of_ms(row.ts), recv, out)?;
        }
        Ok(())
    }

    pub(super) fn trade_row(
        &self,
        place: usize,
        row: &TradeRow<'_>,
        at: Option<UnixNanos>,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let head = TradeHead {
            id: row.trade_id.0,
            at,
            seq: row.seq_id.and_then(|seq| seq.integer()),
            side: wire::side(&row.side.0),
            price: number(row.px.0)?,
            size: number(row.sz.0)?,
        };
        self.emit_trade(place, &head, recv, out);
        Ok(())
    }

    /// A row is `[ts, open, high, low, close, volume, volume in coin, turnover, finished]`; those of before 2022 end with the
    /// sixth or seventh, which on spot is the turnover.
    fn candles(
        &self,
        place: usize,
        (interval, variant): (Interval, &str),
        envelope: &Envelope<'_>,
        clocks: Clocks,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        for row in &envelope.rows::<Vec<Number<'_>>>()? {
            let [open_at, open, high, low, close, volume, rest @ ..] = row.as_slice() else {
                return Err("a candle has fewer than six numbers".to_owned());
            };
            let open_time = time_of_ms(Some(*open_at)).ok_or("a candle without its time")?;
            let turnover = match rest {
                [_, turnover, ..] => Some(turnover),
                [turnover] if self.market == "spot" => Some(turnover),
                _ => None,
            };
            for stream in self.subscriptions.streams(place) {
                out.update(Update::Candle(CandleUpdate {
                    stream: *stream,
                    interval,
                    open_time: open_time.0,
                    close_time: last_moment(open_time, interval, variant).0,
                    open: plain(*open)?,
                    high: plain(*high)?,
                    low: plain(*low)?,
                    close: plain(*close)?,
                    volume: plain(*volume)?,
                    turnover: turnover.and_then(|turnover| decimal_text(turnover.0)),
                    closed: rest.get(2).is_some_and(|confirm| confirm.0 == "1"),
                    backfill: false,
                    clocks,
                }));
            }
        }
        Ok(())
    }

    fn liquidations(&mut self, envelope: &Envelope<'_>, clocks: Clocks, out: &mut dyn Output) -> Result<(), String> {
        for Object(row) in &envelope.rows::<Object<LiquidationRow<'_>>>()? {
            let symbol = row.inst_id.0.as_ref();
            let known = self.liquidations.get(symbol).copied();
            let stream = match known {
                None if self.discover => self.found(Stream::new(symbol, Channel::Liquidation), out),
                known => known,
            };
            // The channel has all contracts of its kind; others than ours are no news.
            let Some(stream) = stream else { continue };
            for Object(detail) in &row.details {
                out.update(Update::Liquidation(LiquidationUpdate {
                    stream,
                    side: wire::side(&detail.side.0),
                    price: number(detail.bk_px.0)?,
                    size: number(detail.sz.0)?,
                    clocks: Clocks { event: time_of_ms(detail.ts), ..clocks },
                }));
            }
        }
        Ok(())
    }
}

/// The streams that an argument found in a recording stands for.
fn streams_of(arg: &Arg<'_>) -> Vec<Stream> {
    let account = |kind| Stream::new("", Channel::Account(kind));
    match (arg.channel.0.as_ref(), &arg.inst_id) {
        ("orders", _) => vec![account(AccountKind::Order), account(AccountKind::Fill)],
        ("positions", _) => vec![account(AccountKind::Position)],
        ("account", _) => vec![account(AccountKind::Balance)],
        (channel, Some(id)) => {
            let found = channels::of_symbol(channel);
            found.map(|(channel, variant)| Stream { variant, ..Stream::new(&*id.0, channel) }).into_iter().collect()
        }
        (_, None) => Vec::new(),
    }
}

/// Whether a channel is had by kind of contract, so that its argument names no symbol.
fn is_of_type(channel: &str) -> bool {
    matches!(channel, "liquidation-orders" | "instruments")
}

/// The last millisecond of a candle.
pub(super) fn last_moment(open: UnixNanos, interval: Interval, variant: &str) -> UnixNanos {
    interval::last_moment(open, interval, if variant == channels::UTC8 { 8 } else { 0 })
}

/// A candle's number as the venue wrote it.
fn plain<'a>(number: Number<'a>) -> Result<&'a str, String> {
    decimal_text(number.0).ok_or_else(|| "a candle's number is no decimal".to_owned())
}
