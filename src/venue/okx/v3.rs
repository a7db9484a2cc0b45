//! Messages of OKEx v3 and OKCoin (retired in 2021 and after), which only recordings still have: `table` for a channel, several
//! instruments in one message, ISO times, no sequence, frames of raw DEFLATE.

use std::io::Read;

use flate2::read::DeflateDecoder;

use super::channels;
use super::names;
use super::session::OkxSession;
use super::wire::{BookRow, Envelope, TradeRow};
use crate::model::{Channel, Clocks, Stream, UnixNanos, decimal_text};
use crate::venue::kit::fields::{Members, Object, Text, bare};
use crate::venue::kit::unreadable::Unreadable;
use crate::venue::{CandleUpdate, Ignored, Output, TickerField, TickerUpdate, Update};

/// Most bytes a compressed message may become.
const INFLATED_MAX: u64 = 16 * 1024 * 1024;

/// The text of a raw DEFLATE frame; `None` for anything else, and for what becomes too large.
pub(super) fn inflate(frame: &[u8]) -> Option<Vec<u8>> {
    let mut text = Vec::new();
    DeflateDecoder::new(frame).take(INFLATED_MAX + 1).read_to_end(&mut text).ok()?;
    (!text.is_empty() && text.len() as u64 <= INFLATED_MAX).then_some(text)
}

/// Nanoseconds since 1970 of an ISO time.
fn iso(text: Option<&Text<'_>>) -> Option<UnixNanos> {
    let at: jiff::Timestamp = text?.0.parse().ok()?;
    u64::try_from(at.as_nanosecond()).ok().map(UnixNanos)
}

#[derive(Debug, serde::Deserialize)]
struct CandleRow<'a> {
    #[serde(borrow)]
    candle: Vec<Text<'a>>,
    #[serde(borrow)]
    instrument_id: Text<'a>,
}

/// Ticker members under v3's names.
const TICKER_FIELDS: &[(&str, TickerField)] = &[
    ("last", TickerField::Last),
    ("best_bid", TickerField::BidPrice),
    ("best_bid_size", TickerField::BidSize),
    ("best_ask", TickerField::AskPrice),
    ("best_ask_size", TickerField::AskSize),
    ("high_24h", TickerField::High24h),
    ("low_24h", TickerField::Low24h),
    ("open_24h", TickerField::Open24h),
    ("base_volume_24h", TickerField::Volume24h),
    ("volume_24h", TickerField::Volume24h),
    ("quote_volume_24h", TickerField::Turnover24h),
    ("mark_price", TickerField::Mark),
    ("funding_rate", TickerField::FundingRate),
    ("open_interest", TickerField::OpenInterest),
];

impl OkxSession {
    /// A data message of v3.
    pub(super) fn v3(
        &mut self,
        table: &str,
        envelope: &Envelope<'_>,
        recv: Option<UnixNanos>,
        out: &mut dyn Output,
    ) -> Result<(), Unreadable> {
        let found = table.split_once('/').filter(|(market, _)| *market == self.market);
        let Some((channel, variant)) = found.and_then(|(_, name)| names::v3_channel(name)) else {
            out.update(Update::Ignored(Ignored::UnknownTopic));
            return Ok(());
        };
        let mut whose = None;
        let read = match channel {
            Channel::Book(_) => self.v3_books((channel, variant), envelope, recv, &mut whose, out),
            Channel::Trade => self.v3_trades(envelope, recv, &mut whose, out),
            Channel::Candle(_) => self.v3_candles((channel, variant), envelope, recv, &mut whose, out),
            Channel::Ticker => self.v3_tickers(envelope, recv, &mut whose, out),
            _ => {
                out.update(Update::Ignored(Ignored::UnknownKind));
                Ok(())
            }
        };
        read.map_err(|detail| Unreadable { topic: whose, detail })
    }

    /// The place of a row's stream, and its topic in `whose` for the case that the row cannot be read.
    fn v3_place(
        &mut self,
        instrument: &str,
        (channel, variant): (Channel, &'static str),
        whose: &mut Option<String>,
        out: &mut dyn Output,
    ) -> Option<usize> {
        let stream = Stream { variant, ..Stream::new(instrument, channel) };
        let topic = channels::topics(&self.market, &stream).into_iter().next()?;
        let place = self.place(&topic, &[stream], out);
        match place {
            Some(place) => self.subscriptions.data(place),
            None => out.update(Update::Ignored(Ignored::UnknownTopic)),
        }
        *whose = Some(topic);
        place
    }

    fn v3_books(
        &mut self,
        channel: (Channel, &'static str),
        envelope: &Envelope<'_>,
        recv: Option<UnixNanos>,
        whose: &mut Option<String>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let snapshot = envelope.is_snapshot()?;
        for Object(row) in &envelope.rows::<Object<BookRow<'_>>>()? {
            let instrument = row.instrument.as_ref().ok_or("no instrument_id")?;
            let Some(place) = self.v3_place(&instrument.0, channel, whose, out) else { continue };
            self.book_row(place, row, (snapshot, iso(row.timestamp.as_ref())), recv, out)?;
        }
        Ok(())
    }

    fn v3_trades(
        &mut self,
        envelope: &Envelope<'_>,
        recv: Option<UnixNanos>,
        whose: &mut Option<String>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        for Object(row) in &envelope.rows::<Object<TradeRow<'_>>>()? {
            let instrument = row.instrument.as_ref().ok_or("no instrument_id")?;
            let Some(place) = self.v3_place(&instrument.0, (Channel::Trade, ""), whose, out) else { continue };
            self.trade_row(place, row, iso(row.timestamp.as_ref()), recv, out)?;
        }
        Ok(())
    }

    /// A row is `[time, open, high, low, close, volume]`; whether it is finished was not said.
    fn v3_candles(
        &mut self,
        channel: (Channel, &'static str),
        envelope: &Envelope<'_>,
        recv: Option<UnixNanos>,
        whose: &mut Option<String>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let (Channel::Candle(interval), variant) = channel else { return Ok(()) };
        for Object(row) in &envelope.rows::<Object<CandleRow<'_>>>()? {
            let Some(place) = self.v3_place(&row.instrument_id.0, channel, whose, out) else { continue };
            let [at, open, high, low, close, volume, ..] = row.candle.as_slice() else {
                return Err("a candle has fewer than six members".to_owned());
            };
            let open_time = iso(Some(at)).ok_or("a candle without its time")?;
            let plain =
                |text: &Text<'_>| decimal_text(&text.0).map(str::to_owned).ok_or("a candle's number is no decimal");
            let [open, high, low, close, volume] =
                [plain(open)?, plain(high)?, plain(low)?, plain(close)?, plain(volume)?];
            for stream in self.subscriptions.streams(place) {
                out.update(Update::Candle(CandleUpdate {
                    stream: *stream,
                    interval,
                    open_time: open_time.0,
                    close_time: super::data::last_moment(open_time, interval, variant).0,
                    open: &open,
                    high: &high,
                    low: &low,
                    close: &close,
                    volume: &volume,
                    turnover: None,
                    closed: false,
                    backfill: false,
                    clocks: Clocks { recv, ..Clocks::default() },
                }));
            }
        }
        Ok(())
    }

    fn v3_tickers(
        &mut self,
        envelope: &Envelope<'_>,
        recv: Option<UnixNanos>,
        whose: &mut Option<String>,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        for row in &envelope.rows::<Members<'_>>()? {
            let member = |name: &str| row.0.iter().find(|(key, _)| key == name).map(|(_, value)| bare(value));
            let instrument = member("instrument_id").ok_or("no instrument_id")?;
            let Some(place) = self.v3_place(instrument, (Channel::Ticker, ""), whose, out) else { continue };
            let at: Option<jiff::Timestamp> = member("timestamp").and_then(|text| text.parse().ok());
            let venue = at.and_then(|at| u64::try_from(at.as_nanosecond()).ok()).map(UnixNanos);
            for stream in self.subscriptions.streams(place) {
                let ticker = self.tickers.entry(*stream).or_default();
                for (name, field) in TICKER_FIELDS {
                    if let Some(text) = member(name) {
                        ticker.set(*field, decimal_text(text).unwrap_or(""));
                    }
                }
                out.update(Update::Ticker(TickerUpdate {
                    stream: *stream,
                    venue_seq: None,
                    fields: ticker.fields(),
                    params: ticker.params(),
                    clocks: Clocks { event: None, venue, recv },
                }));
            }
        }
        Ok(())
    }
}
