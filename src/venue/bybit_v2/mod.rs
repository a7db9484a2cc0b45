//! Messages of Bybit's retired realtime API (inverse, and linear with its numbers in strings), as recordings of
//! 2019–2023 have them. The API no longer serves data; its channel names in a config are translated to v5.
//! Source: the exchange's legacy API text of 2020 (`bybit-exchange/bybit-official-api-docs`).

#[cfg(test)]
mod tests;

use serde::Deserialize;

use crate::book::SyncRule;
use crate::model::{BookDepth, Channel, Clocks, Decimal, Interval, Level, StreamId, UnixNanos, decimal_text};
use crate::venue::bybit::wire::{Envelope, side};
use crate::venue::kit::fields::{Members, Number, Object, Text, bare, number};
use crate::venue::kit::ticker::MergedTicker;
use crate::venue::{BookUpdate, CandleUpdate, Output, TickerField, TickerUpdate, TradeUpdate, Update};

/// A retired channel name, understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct RetiredTopic<'a> {
    pub(super) channel: Channel,
    /// One symbol, several with `|`, or `*`.
    pub(super) symbols: &'a str,
}

/// Reads a retired topic: `orderBookL2_25.S`, `orderBook_200.100ms.S`, `trade.S`, `instrument_info.100ms.S`,
/// `klineV2.I.S` and the linear `candle.I.S`.
pub(super) fn parse_topic(topic: &str) -> Option<RetiredTopic<'_>> {
    let (kind, rest) = topic.split_once('.')?;
    let (channel, symbols) = match kind {
        "orderBookL2_25" => (Channel::Book(BookDepth::Levels(25)), rest),
        "orderBook_200" => (Channel::Book(BookDepth::Levels(200)), rest.strip_prefix("100ms.")?),
        "trade" => (Channel::Trade, rest),
        "instrument_info" => (Channel::Ticker, rest.strip_prefix("100ms.")?),
        "klineV2" | "candle" => {
            let (minutes, symbols) = rest.split_once('.')?;
            (Channel::Candle(interval(minutes)?), symbols)
        }
        "liquidation" => (Channel::Liquidation, rest),
        _ => return None,
    };
    (!symbols.is_empty() && !symbols.contains('.')).then_some(RetiredTopic { channel, symbols })
}

fn interval(name: &str) -> Option<Interval> {
    let (count, unit) = match name {
        "1" | "3" | "5" | "15" | "30" => (name.parse().ok()?, 'm'),
        "60" | "120" | "240" | "360" => (name.parse::<u16>().ok()? / 60, 'h'),
        "D" => (1, 'd'),
        "W" => (1, 'w'),
        "M" => (1, 'M'),
        _ => return None,
    };
    Some(Interval { count, unit })
}

#[derive(Debug, Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    price: Number<'a>,
    #[serde(borrow)]
    side: Text<'a>,
    #[serde(borrow, default)]
    size: Option<Number<'a>>,
}

#[derive(Debug, Deserialize)]
struct Wrapped<'a> {
    #[serde(borrow)]
    order_book: Vec<Object<Row<'a>>>,
}

#[derive(Debug, Deserialize)]
struct Changes<T> {
    #[serde(default = "Vec::new")]
    delete: Vec<T>,
    #[serde(default = "Vec::new")]
    update: Vec<T>,
    #[serde(default = "Vec::new")]
    insert: Vec<T>,
}

#[derive(Debug, Deserialize)]
struct Trade<'a> {
    #[serde(borrow)]
    trade_time_ms: Number<'a>,
    #[serde(borrow)]
    side: Text<'a>,
    #[serde(borrow)]
    size: Number<'a>,
    #[serde(borrow)]
    price: Number<'a>,
    #[serde(borrow)]
    trade_id: Text<'a>,
    #[serde(borrow, default)]
    cross_seq: Option<Number<'a>>,
}

/// Times `start` and `end` are seconds, `timestamp` microseconds.
#[derive(Debug, Deserialize)]
struct Candle<'a> {
    #[serde(borrow)]
    start: Number<'a>,
    #[serde(borrow)]
    end: Number<'a>,
    #[serde(borrow)]
    open: Number<'a>,
    #[serde(borrow)]
    high: Number<'a>,
    #[serde(borrow)]
    low: Number<'a>,
    #[serde(borrow)]
    close: Number<'a>,
    #[serde(borrow)]
    volume: Number<'a>,
    #[serde(borrow)]
    turnover: Number<'a>,
    confirm: bool,
    #[serde(borrow, default)]
    timestamp: Option<Number<'a>>,
}

/// Ticker members: name, field, and how many decimal places a scaled integer has (0: as written).
const TICKER_FIELDS: &[(&str, TickerField, u8)] = &[
    ("last_price_e4", TickerField::Last, 4),
    ("mark_price_e4", TickerField::Mark, 4),
    ("index_price_e4", TickerField::Index, 4),
    ("bid1_price_e4", TickerField::BidPrice, 4),
    ("ask1_price_e4", TickerField::AskPrice, 4),
    ("funding_rate_e6", TickerField::FundingRate, 6),
    ("open_value_e8", TickerField::OpenInterestValue, 8),
    ("turnover_24h_e8", TickerField::Turnover24h, 8),
    ("high_price_24h_e4", TickerField::High24h, 4),
    ("low_price_24h_e4", TickerField::Low24h, 4),
    ("prev_price_24h_e4", TickerField::Open24h, 4),
    ("last_price", TickerField::Last, 0),
    ("mark_price", TickerField::Mark, 0),
    ("index_price", TickerField::Index, 0),
    ("bid1_price", TickerField::BidPrice, 0),
    ("ask1_price", TickerField::AskPrice, 0),
    ("open_interest", TickerField::OpenInterest, 0),
    ("volume_24h", TickerField::Volume24h, 0),
    ("high_price_24h", TickerField::High24h, 0),
    ("low_price_24h", TickerField::Low24h, 0),
    ("prev_price_24h", TickerField::Open24h, 0),
];

/// Decodes the data messages of one stream into the session's scratch.
pub(super) struct Decoder<'s> {
    pub(super) stream: StreamId,
    pub(super) recv: Option<UnixNanos>,
    pub(super) bids: &'s mut Vec<Level>,
    pub(super) asks: &'s mut Vec<Level>,
    pub(super) ticker: &'s mut MergedTicker,
}

impl Decoder<'_> {
    /// Reads one message and hands on what it says.
    pub(super) fn decode(
        &mut self,
        channel: Channel,
        envelope: &Envelope<'_>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        match channel {
            Channel::Book(_) | Channel::Bbo => self.book(envelope, out),
            Channel::Trade => self.trades(envelope, out),
            Channel::Ticker => self.ticker(envelope, out),
            Channel::Candle(interval) => self.candles(interval, envelope, out),
            Channel::Liquidation | Channel::Account(_) | Channel::Raw => Ok(()),
        }
    }

    fn clocks(&self, envelope: &Envelope<'_>, event: Option<UnixNanos>) -> Clocks {
        let venue = envelope.timestamp_e6.and_then(|us| us.integer()).map(UnixNanos::from_us);
        Clocks { event, venue, recv: self.recv }
    }

    fn book(&mut self, envelope: &Envelope<'_>, out: &mut dyn Output) -> Result<(), String> {
        self.bids.clear();
        self.asks.clear();
        let snapshot = envelope.is_snapshot()?;
        if snapshot {
            self.push(&read_snapshot(envelope)?, false)?;
        } else {
            let Object(changes) = envelope.data::<Object<Changes<Object<Row<'_>>>>>()?;
            self.push(&changes.delete, true)?;
            self.push(&changes.update, false)?;
            self.push(&changes.insert, false)?;
        }
        let seq = envelope.cross_seq.and_then(|seq| seq.integer()).ok_or("cross_seq is no integer")?;
        out.update(Update::Book(BookUpdate {
            stream: self.stream,
            rule: SyncRule::Monotonic,
            snapshot,
            seq,
            first: 0,
            previous: 0,
            checksum: None,
            middle: None,
            cross_seq: seq,
            bids: self.bids,
            asks: self.asks,
            clocks: self.clocks(envelope, None),
        }));
        Ok(())
    }

    fn push(&mut self, rows: &[Object<Row<'_>>], remove: bool) -> Result<(), String> {
        for Object(row) in rows {
            let size = match &row.size {
                _ if remove => Decimal::ZERO,
                Some(size) => number(size.0)?,
                None => return Err("a level without a size".to_owned()),
            };
            let level = Level { price: number(row.price.0)?, size };
            match row.side.0.as_ref() {
                "Buy" => self.bids.push(level),
                "Sell" => self.asks.push(level),
                _ => return Err("a level that is neither Buy nor Sell".to_owned()),
            }
        }
        Ok(())
    }

    fn trades(&mut self, envelope: &Envelope<'_>, out: &mut dyn Output) -> Result<(), String> {
        let list: Vec<Object<Trade<'_>>> = envelope.data()?;
        for Object(trade) in &list {
            let event = trade.trade_time_ms.integer().map(UnixNanos::from_ms);
            out.update(Update::Trade(TradeUpdate {
                stream: self.stream,
                id: &trade.trade_id.0,
                price: number(trade.price.0)?,
                size: number(trade.size.0)?,
                side: side(&trade.side.0),
                block: None,
                venue_seq: trade.cross_seq.and_then(|seq| seq.integer()),
                backfill: false,
                clocks: self.clocks(envelope, event),
            }));
        }
        Ok(())
    }

    fn ticker(&mut self, envelope: &Envelope<'_>, out: &mut dyn Output) -> Result<(), String> {
        let snapshot = envelope.is_snapshot()?;
        let rows: Vec<Members<'_>> = if snapshot {
            self.ticker.clear();
            vec![envelope.data()?]
        } else if self.ticker.fields().is_empty() {
            return Ok(());
        } else {
            let Object(changes) = envelope.data::<Object<Changes<Members<'_>>>>()?;
            changes.update
        };
        for row in &rows {
            self.merge(row);
        }
        out.update(Update::Ticker(TickerUpdate {
            stream: self.stream,
            venue_seq: envelope.cross_seq.and_then(|seq| seq.integer()),
            fields: self.ticker.fields(),
            params: &[],
            clocks: self.clocks(envelope, None),
        }));
        Ok(())
    }

    /// Scaled integers first, so that the plain twins later versions carry win over them.
    fn merge(&mut self, row: &Members<'_>) {
        for (name, field, scale) in TICKER_FIELDS {
            let Some((_, value)) = row.0.iter().find(|(key, _)| key == name) else { continue };
            let Some(value) = number(bare(value)).ok().and_then(|read| read.shifted(*scale)) else { continue };
            self.ticker.set(*field, &value.to_string());
        }
        let next_funding = row.0.iter().find(|(key, _)| key == "next_funding_time");
        if let Some(at) = next_funding.and_then(|(_, value)| bare(value).parse::<jiff::Timestamp>().ok()) {
            self.ticker.set(TickerField::NextFundingTime, &at.as_nanosecond().to_string());
        }
    }

    fn candles(&mut self, interval: Interval, envelope: &Envelope<'_>, out: &mut dyn Output) -> Result<(), String> {
        let list: Vec<Object<Candle<'_>>> = envelope.data()?;
        for Object(candle) in &list {
            let seconds = |number: Number<'_>| {
                number.integer().and_then(|s| s.checked_mul(1_000_000_000)).ok_or("a candle without its time")
            };
            let texts = [candle.open, candle.high, candle.low, candle.close, candle.volume].map(|n| plain(n.0));
            let [Some(open), Some(high), Some(low), Some(close), Some(volume)] = texts else {
                return Err("a candle's number is no decimal".to_owned());
            };
            let turnover = plain(candle.turnover.0);
            out.update(Update::Candle(CandleUpdate {
                stream: self.stream,
                interval,
                open_time: seconds(candle.start)?,
                close_time: seconds(candle.end)?,
                open: &open,
                high: &high,
                low: &low,
                close: &close,
                volume: &volume,
                turnover: turnover.as_deref(),
                closed: candle.confirm,
                backfill: false,
                clocks: self.clocks(envelope, candle.timestamp.and_then(|us| us.integer()).map(UnixNanos::from_us)),
            }));
        }
        Ok(())
    }
}

/// Inverse snapshots are a list, linear ones wrap it.
fn read_snapshot<'a>(envelope: &Envelope<'a>) -> Result<Vec<Object<Row<'a>>>, String> {
    if envelope.data.is_some_and(|data| data.get().starts_with('[')) {
        return envelope.data();
    }
    envelope.data::<Object<Wrapped<'a>>>().map(|Object(wrapped)| wrapped.order_book)
}

/// A number's text without an exponent, which bare JSON numbers may have.
fn plain(text: &str) -> Option<String> {
    decimal_text(text).map(str::to_owned).or_else(|| number(text).ok().map(|value| value.to_string()))
}
