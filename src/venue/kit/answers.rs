//! What readers of REST answers share: one row or a list of rows, tickers from named members, and whether a candle is over.

use serde::Deserialize;

use super::fields::{Members, bare};
use super::ticker::MergedTicker;
use crate::model::{Channel, Clocks, Interval, Stream, UnixNanos, decimal_text};
use crate::venue::{CandleUpdate, Output, TickerField, TickerUpdate, Told, Update};

/// Nanoseconds after its end from which on the newest candle of an answer counts as over: clocks differ, and the last trades come late.
const GRACE: u64 = 10_000_000_000;

/// The rows of an answer that is a list, or one row alone.
///
/// # Errors
/// It is neither.
pub fn rows<'a, T: Deserialize<'a>>(body: &'a [u8]) -> Result<Vec<T>, String> {
    let is_list = body.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[');
    let read = if is_list { serde_json::from_slice(body) } else { serde_json::from_slice(body).map(|row| vec![row]) };
    read.map_err(|error| error.to_string())
}

/// Hands on a ticker of what a row says, by the venue's names; times are in milliseconds.
pub fn ticker(symbol: &str, row: &Members<'_>, names: &[(&str, TickerField)], clocks: Clocks, out: &mut dyn Output) {
    let mut ticker = MergedTicker::default();
    for (key, value) in &row.0 {
        let Some((_, field)) = names.iter().find(|(name, _)| name == key) else { continue };
        let text = decimal_text(bare(value)).unwrap_or_default();
        match (field, text.parse::<u64>()) {
            // 0 for contracts without funding.
            (TickerField::NextFundingTime, Ok(0) | Err(_)) => {}
            (TickerField::NextFundingTime, Ok(ms)) => ticker.set(*field, &UnixNanos::from_ms(ms).0.to_string()),
            _ => ticker.set(*field, text),
        }
    }
    if ticker.fields().is_empty() {
        return;
    }
    if let Some(stream) = out.discovered(Stream::new(symbol, Channel::Ticker)) {
        let (fields, params) = (ticker.fields(), &[][..]);
        out.update(Update::Ticker(TickerUpdate { stream, venue_seq: None, fields, params, clocks }));
    }
}

/// One row of candles, as texts.
#[derive(Clone, Copy, Debug)]
pub struct CandleRow<'a> {
    /// First nanosecond since 1970.
    pub open_time: u64,
    /// Its end as the venue gives it.
    pub close_time: u64,
    /// Open, high, low, close, volume.
    pub numbers: [&'a str; 5],
    /// Turnover in quote currency, if given.
    pub turnover: Option<&'a str>,
    /// Whether it is finished, where the venue says.
    pub closed: Option<bool>,
}

/// Hands on candles, which come oldest first.
///
/// # Errors
/// One of the numbers is none.
pub fn candles(
    stream: &Stream,
    interval: Interval,
    rows: &[CandleRow<'_>],
    told: &Told<'_>,
    out: &mut dyn Output,
) -> Result<(), String> {
    let Some(id) = out.discovered(stream.clone()) else { return Ok(()) };
    for (at, row) in rows.iter().enumerate() {
        let plain = |text| decimal_text(text).ok_or_else(|| "a candle's number is no decimal".to_owned());
        let [open, high, low, close, volume] = row.numbers;
        // One that another one follows is over.
        let is_over = at + 1 < rows.len() || row.close_time.saturating_add(GRACE) < told.at.0;
        out.update(Update::Candle(CandleUpdate {
            stream: id,
            interval,
            open_time: row.open_time,
            close_time: row.close_time,
            open: plain(open)?,
            high: plain(high)?,
            low: plain(low)?,
            close: plain(close)?,
            volume: plain(volume)?,
            turnover: row.turnover.and_then(decimal_text),
            closed: row.closed.unwrap_or(is_over),
            backfill: told.backfill,
            clocks: Clocks { recv: Some(told.at), ..Clocks::default() },
        }));
    }
    Ok(())
}
