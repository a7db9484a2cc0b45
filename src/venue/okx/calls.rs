//! The named REST endpoints of OKX, called as their paths end, and readers of their answers. The market is the `instType`.

use serde::Deserialize;

use super::channels::{self, ALL};
use super::data::last_moment;
use super::instruments::Reply;
use super::wire::{self, BookRow, TradeRow};
use crate::book::SyncRule;
use crate::model::{BookDepth, Channel, Clocks, Stream, decimal_text};
use crate::venue::kit::answers::{CandleRow, candles};
use crate::venue::kit::fields::{Members, Number, Object, number};
use crate::venue::kit::fields::{read_levels, time_of_ms};
use crate::venue::kit::rows::member;
use crate::venue::kit::ticker::MergedTicker;
use crate::venue::{BookUpdate, Endpoint, Output, Page, Params, Past, TickerUpdate, Told, TradeUpdate, Update};

/// The endpoints of a market.
pub(super) fn of(market: &str) -> &'static [Endpoint] {
    match market {
        "swap" => &SWAP,
        "futures" => &FUTURES,
        "option" => &OPTION,
        _ => &SPOT,
    }
}

type Fixed = &'static [(&'static str, &'static str)];

static SPOT: [Endpoint; 8] = table(&[("instType", "SPOT")]);
static SWAP: [Endpoint; 8] = table(&[("instType", "SWAP")]);
static FUTURES: [Endpoint; 8] = table(&[("instType", "FUTURES")]);
static OPTION: [Endpoint; 8] = table(&[("instType", "OPTION")]);

const ONE: &[&str] = &["instId"];
const NONE: &[&str] = &[];
const BARS: &[&str] = &["bar", "after", "before", "limit"];
/// `market/candles` gives so many of the newest ones.
const RECENT_BARS: u32 = 1_440;

const fn table(of_type: Fixed) -> [Endpoint; 8] {
    let instruments = Endpoint::open("instruments", "/api/v5/public/instruments", "symbols and their rules")
        .takes(NONE, &["instFamily", "instId"]);
    let tickers = Endpoint::open("tickers", "/api/v5/market/tickers", "tickers of all")
        .takes(NONE, &["instFamily"])
        .says(read_tickers);
    let bars = Endpoint::open("candles", "/api/v5/market/candles", "the newest 1,440 candles").takes(ONE, BARS);
    let older =
        Endpoint::open("history-candles", "/api/v5/market/history-candles", "candles of years").takes(ONE, BARS);
    let past = Past { rows: 300, reach: Some(RECENT_BARS), params: past_of_candles };
    let bars = Endpoint { past: Some(past), ..bars.says(read_candles) };
    let older = Endpoint { past: Some(Past { reach: None, ..past }), ..older.says(read_candles) };
    let trades = Endpoint::open("trades", "/api/v5/market/trades", "the last trades").takes(ONE, &["limit"]);
    let past = Past { rows: 500, reach: None, params: past_of_trades };
    [
        Endpoint::open("time", "/api/v5/public/time", "the venue's clock"),
        Endpoint { fixed: of_type, ..instruments },
        Endpoint { fixed: of_type, ..tickers },
        Endpoint::open("ticker", "/api/v5/market/ticker", "the ticker of a symbol").takes(ONE, NONE).says(read_tickers),
        Endpoint::open("books", "/api/v5/market/books", "a book").takes(ONE, &["sz"]).says(read_book),
        Endpoint { past: Some(past), ..trades.says(read_trades) },
        bars,
        older,
    ]
}

fn call<const N: usize>(symbol: &str, more: [(&str, String); N], rows: u32) -> Params {
    let all = [("instId", symbol.to_owned())].into_iter().chain(more).chain([("limit", rows.to_string())]);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

/// `before` and `after` name times that are not included: newer than, older than.
fn past_of_candles(stream: &Stream, page: Page, rows: u32) -> Option<Params> {
    let (Channel::Candle(interval), Page::Span { from, to }) = (stream.channel, page) else { return None };
    let bar = channels::candle(interval, stream.variant)?;
    let (before, after) = (from.saturating_sub(1), to.saturating_add(1));
    Some(call(&stream.symbol, [("bar", bar), ("before", before.to_string()), ("after", after.to_string())], rows))
}

/// Single trades. What the channel `trades` merges has ids that REST does not tell apart.
fn past_of_trades(stream: &Stream, page: Page, rows: u32) -> Option<Params> {
    let is_single = stream.channel == Channel::Trade && stream.variant == ALL;
    (is_single && page == Page::Last).then(|| call(&stream.symbol, [], rows))
}

fn rows<'a, T: Deserialize<'a>>(told: &Told<'a>) -> Result<Vec<T>, String> {
    let Object(reply) = serde_json::from_slice::<Object<Reply<'a>>>(told.body).map_err(|error| error.to_string())?;
    let rows = reply.into_rows()?;
    rows.into_iter().map(|row| serde_json::from_str(row.get()).map_err(|error| error.to_string())).collect()
}

fn symbol<'a>(told: &Told<'a>) -> Result<&'a str, String> {
    told.param("instId").ok_or_else(|| "the call names no instrument".to_owned())
}

/// Rows of time, open, high, low, close, volume, and more of it, and at the end whether it is over; the newest first.
fn read_candles(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    let bar = format!("candle{}", told.param("bar").unwrap_or("1m"));
    let Some((Channel::Candle(interval), variant)) = channels::of_symbol(&bar) else {
        return Err(format!("unknown interval {bar}"));
    };
    let mut found = Vec::new();
    for row in rows::<Vec<Number<'_>>>(told)?.iter().rev() {
        let [start, open, high, low, close, volume, rest @ ..] = row.as_slice() else {
            return Err("a candle has fewer than six members".to_owned());
        };
        let open_time = time_of_ms(Some(*start)).ok_or("a candle without its time")?;
        found.push(CandleRow {
            open_time: open_time.0,
            close_time: last_moment(open_time, interval, variant).0,
            numbers: [open.0, high.0, low.0, close.0, volume.0],
            turnover: rest.get(1).and_then(|turnover| decimal_text(turnover.0)),
            closed: rest.get(2).map(|confirm| confirm.0 == "1"),
        });
    }
    candles(&Stream { variant, ..Stream::new(symbol(told)?, Channel::Candle(interval)) }, interval, &found, told, out)
}

/// The newest is first.
fn read_trades(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    let stream = Stream { variant: ALL, ..Stream::new(symbol(told)?, Channel::Trade) };
    let Some(stream) = out.discovered(stream) else { return Ok(()) };
    for Object(trade) in rows::<Object<TradeRow<'_>>>(told)?.iter().rev() {
        out.update(Update::Trade(TradeUpdate {
            stream,
            id: trade.trade_id.0,
            price: number(trade.px.0)?,
            size: number(trade.sz.0)?,
            side: wire::side(&trade.side.0),
            block: None,
            venue_seq: trade.seq_id.and_then(|seq| seq.integer()),
            backfill: told.backfill,
            clocks: Clocks { event: time_of_ms(trade.ts), venue: None, recv: Some(told.at) },
        }));
    }
    Ok(())
}

fn read_tickers(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    for row in rows::<Members<'_>>(told)? {
        let symbol = member(&row, "instId").ok_or("a ticker without its instrument")?;
        let mut ticker = MergedTicker::default();
        super::ticker::set(&mut ticker, "tickers", told.market == "spot", &row);
        let Some(stream) = out.discovered(Stream::new(symbol, Channel::Ticker)) else { continue };
        let clocks = Clocks { venue: time_of_ms(member(&row, "ts").map(Number)), recv: Some(told.at), event: None };
        let (fields, params) = (ticker.fields(), ticker.params());
        out.update(Update::Ticker(TickerUpdate { stream, venue_seq: None, fields, params, clocks }));
    }
    Ok(())
}

/// A book as it was for a moment: nothing keeps it up.
fn read_book(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    let Some(Object(row)) = rows::<Object<BookRow<'_>>>(told)?.into_iter().next() else { return Ok(()) };
    let (mut bids, mut asks) = (Vec::new(), Vec::new());
    read_levels(&row.bids, &mut bids)?;
    read_levels(&row.asks, &mut asks)?;
    let time = time_of_ms(row.ts).ok_or("a book without its time")?;
    let seq = row.seq_id.and_then(|seq| seq.integer()).unwrap_or(time.as_ms());
    let Some(stream) = out.discovered(Stream::new(symbol(told)?, Channel::Book(BookDepth::Full))) else {
        return Ok(());
    };
    out.update(Update::Book(BookUpdate {
        stream,
        rule: SyncRule::SnapshotOnly,
        snapshot: true,
        seq,
        first: 0,
        previous: 0,
        cross_seq: seq,
        checksum: None,
        middle: None,
        bids: &bids,
        asks: &asks,
        clocks: Clocks { event: Some(time), venue: None, recv: Some(told.at) },
    }));
    Ok(())
}
