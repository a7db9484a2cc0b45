//! The events behind the hot path, and those of it in any other spelling.

use super::channels::Kind;
use super::data::{depth_update, offer};
use super::market::Segment;
use super::session::BinanceSession;
use super::wire::{
    self, BookTickerData, CandleEvent, DepthData, LiquidationEvent, MARK_FIELDS, TICKER_FIELDS, TradeData,
};
use crate::model::{Clocks, Interval, Level, Side, UnixNanos, decimal_text};
use crate::venue::kit::fields::{Members, Number, Object, bare, number, time_of_ms};
use crate::venue::kit::ticker::MergedTicker;
use crate::venue::{CandleUpdate, LiquidationUpdate, Output, TickerField, TickerUpdate, TradeUpdate, Update};

impl BinanceSession {
    pub(super) fn event(
        &mut self,
        place: usize,
        kind: Kind,
        data: &str,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        match kind {
            Kind::Diff | Kind::Partial => self.depth(place, kind, data, recv, out),
            Kind::BookTicker => self.book_ticker(place, data, recv, out),
            Kind::Trade | Kind::AggTrade => self.trade(place, kind, data, recv, out),
            Kind::Ticker | Kind::MiniTicker => self.ticker(place, TICKER_FIELDS, data, recv, out),
            Kind::Mark => self.ticker(place, MARK_FIELDS, data, recv, out),
            Kind::Candle(interval) => self.candle(place, interval, data, recv, out),
            Kind::Liquidation => self.liquidation(place, data, recv, out),
        }
    }

    fn depth(
        &mut self,
        place: usize,
        kind: Kind,
        data: &str,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let data: DepthData<'_> = Self::parsed(data)?;
        let ids = depth_update(&data, &mut self.bids, &mut self.asks)?;
        let clocks = wire::clocks(data.made, data.happened, recv);
        if kind == Kind::Partial {
            self.emit_whole(place, ids.last, &self.bids, &self.asks, clocks, out);
            return Ok(());
        }
        if data.first.is_none() || data.previous.is_some() == self.segment.is_spot() {
            return Err("a depth update without its ids".to_owned());
        }
        self.emit_diff(place, ids, clocks, out);
        Ok(())
    }

    fn book_ticker(
        &mut self,
        place: usize,
        data: &str,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let data: BookTickerData<'_> = Self::parsed(data)?;
        let u = data.u.integer().ok_or("u is no integer")?;
        let bid = Level { price: number(data.bid.0)?, size: number(data.bid_size.0)? };
        let ask = Level { price: number(data.ask.0)?, size: number(data.ask_size.0)? };
        self.emit_whole(place, u, offer(&bid), offer(&ask), wire::clocks(data.made, data.happened, recv), out);
        Ok(())
    }

    fn trade(
        &mut self,
        place: usize,
        kind: Kind,
        data: &str,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let data: TradeData<'_> = Self::parsed(data)?;
        let id_number = if kind == Kind::Trade { data.t } else { data.a };
        let id = wire::integer(id_number, "the trade's id")?;
        let (price, size, side) = (number(data.p.0)?, number(data.q.0)?, wire::side(data.m));
        let clocks = wire::clocks(data.made, data.happened, recv);
        let update = |stream| TradeUpdate {
            stream,
            id: id_number.map_or("", |number| number.0),
            price,
            size,
            side,
            block: None,
            venue_seq: Some(id),
            backfill: false,
            clocks,
        };
        self.emit_trade(place, id, update, out);
        Ok(())
    }

    /// Takes over the members that are known, into the ticker they are a part of.
    fn ticker(
        &mut self,
        place: usize,
        fields: &[(&str, TickerField)],
        data: &str,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let members: Members<'_> = serde_json::from_str(data).map_err(|error| error.to_string())?;
        let made = members.0.iter().find(|(key, _)| key == "E").map(|(_, value)| Number(bare(value)));
        let clocks = wire::clocks(made, None, recv);
        let coin_margined = self.segment == Segment::Coinm;
        for stream in self.subscriptions.streams(place) {
            let ticker = self.tickers.entry(*stream).or_default();
            for (key, value) in &members.0 {
                let Some((_, field)) = fields.iter().find(|(name, _)| name == key) else { continue };
                // What COIN-M calls `q` is in the base currency.
                if !(coin_margined && *field == TickerField::Turnover24h) {
                    set(ticker, *field, bare(value));
                }
            }
            let (fields, params) = (ticker.fields(), &[][..]);
            out.update(Update::Ticker(TickerUpdate { stream: *stream, venue_seq: None, fields, params, clocks }));
        }
        Ok(())
    }

    fn candle(
        &mut self,
        place: usize,
        interval: Interval,
        data: &str,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let CandleEvent { made, k: Object(candle) } = Self::parsed(data)?;
        let time = |number| time_of_ms(Some(number)).map(|at| at.0).ok_or("a candle without its time");
        for stream in self.subscriptions.streams(place) {
            out.update(Update::Candle(CandleUpdate {
                stream: *stream,
                interval,
                open_time: time(candle.start)?,
                close_time: time(candle.end)?,
                open: decimal(candle.o)?,
                high: decimal(candle.h)?,
                low: decimal(candle.l)?,
                close: decimal(candle.c)?,
                volume: decimal(candle.v)?,
                turnover: decimal_text(candle.q.0).filter(|_| self.segment != Segment::Coinm),
                closed: candle.x,
                backfill: false,
                clocks: wire::clocks(made, None, recv),
            }));
        }
        Ok(())
    }

    fn liquidation(
        &mut self,
        place: usize,
        data: &str,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let LiquidationEvent { made, o: Object(order) } = Self::parsed(data)?;
        let side = match order.side.0.as_ref() {
            "BUY" => Side::Buy,
            "SELL" => Side::Sell,
            _ => Side::Unknown,
        };
        let (price, size) = (number(order.p.0)?, number(order.q.0)?);
        let clocks: Clocks = wire::clocks(made, order.happened, recv);
        for stream in self.subscriptions.streams(place) {
            out.update(Update::Liquidation(LiquidationUpdate { stream: *stream, side, price, size, clocks }));
        }
        Ok(())
    }
}

/// Sets a ticker's field; what is no number, and a dated contract's funding time of 0, is unknown.
fn set(ticker: &mut MergedTicker, field: TickerField, text: &str) {
    match field {
        TickerField::NextFundingTime => {
            let at = time_of_ms(Some(Number(text))).filter(|at| at.0 > 0);
            ticker.set(field, &at.map(|at| at.0.to_string()).unwrap_or_default());
        }
        _ => ticker.set(field, decimal_text(text).unwrap_or_default()),
    }
}

/// A candle's number as the venue wrote it.
fn decimal(number: Number<'_>) -> Result<&str, String> {
    decimal_text(number.0).ok_or_else(|| "a candle's number is no decimal".to_owned())
}
