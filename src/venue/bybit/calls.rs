//! The named REST endpoints of Bybit, called as their paths end, and readers of their answers. The market is the `category`.

use serde::Deserialize;

use super::channels::{interval_of, kline};
use super::rest;
use super::wire::{self, BookData};
use crate::book::SyncRule;
use crate::model::{BookDepth, Channel, Clocks, Stream};
use crate::venue::kit::answers::{CandleRow, candles};
use crate::venue::kit::fields::{Members, Number, Object, Text, number};
use crate::venue::kit::fields::{read_levels, time_of_ms};
use crate::venue::kit::interval::last_moment;
use crate::venue::kit::rows::member;
use crate::venue::kit::ticker::MergedTicker;
use crate::venue::{BookUpdate, Endpoint, Output, Page, Params, Past, TickerUpdate, Told, TradeUpdate, Update};

/// The endpoints of a market.
pub(super) fn of(market: &str) -> &'static [Endpoint] {
    match market {
        "spot" => &SPOT,
        "inverse" => &INVERSE,
        "option" => &OPTION,
        _ => &LINEAR,
    }
}

type Fixed = &'static [(&'static str, &'static str)];

static SPOT: [Endpoint; 6] = table(&[("category", "spot")], 60);
static LINEAR: [Endpoint; 6] = table(&[("category", "linear")], 1_000);
static INVERSE: [Endpoint; 6] = table(&[("category", "inverse")], 1_000);
static OPTION: [Endpoint; 6] = table(&[("category", "option")], 1_000);

const ONE: &[&str] = &["symbol"];
const NONE: &[&str] = &[];

/// `trades` is the most of the last trades that are given.
const fn table(fixed: Fixed, trades: u32) -> [Endpoint; 6] {
    let bars = Endpoint::open("kline", "/v5/market/kline", "candles")
        .takes(&["symbol", "interval"], &["start", "end", "limit"])
        .says(read_candles);
    let last = Endpoint::open("recent-trade", "/v5/market/recent-trade", "the last trades")
        .takes(ONE, &["limit", "baseCoin", "optionType"])
        .says(read_trades);
    let bars = Endpoint { past: Some(Past { rows: 1_000, reach: None, params: past_of_candles }), ..bars };
    let last = Endpoint { past: Some(Past { rows: trades, reach: None, params: past_of_trades }), ..last };
    let instruments = Endpoint::open("instruments-info", "/v5/market/instruments-info", "symbols and their rules")
        .takes(NONE, &["symbol", "status", "baseCoin", "limit", "cursor"]);
    let tickers = Endpoint::open("tickers", "/v5/market/tickers", "tickers of a symbol, or of all")
        .takes(NONE, &["symbol", "baseCoin"])
        .says(read_tickers);
    let book = Endpoint::open("orderbook", "/v5/market/orderbook", "a book").takes(ONE, &["limit"]).says(read_book);
    [
        Endpoint::open("time", "/v5/market/time", "the venue's clock"),
        Endpoint { fixed, ..instruments },
        Endpoint { fixed, ..tickers },
        Endpoint { fixed, ..book },
        Endpoint { fixed, ..last },
        Endpoint { fixed, ..bars },
    ]
}

fn call<const N: usize>(symbol: &str, more: [(&str, String); N], rows: u32) -> Params {
    let all = [("symbol", symbol.to_owned())].into_iter().chain(more).chain([("limit", rows.to_string())]);
    all.map(|(name, value)| (name.to_owned(), value)).collect()
}

fn past_of_candles(stream: &Stream, page: Page, rows: u32) -> Option<Params> {
    let (Channel::Candle(interval), Page::Span { from, to }) = (stream.channel, page) else { return None };
    let span = [("interval", kline(interval)?.to_owned()), ("start", from.to_string()), ("end", to.to_string())];
    Some(call(&stream.symbol, span, rows))
}

/// There is no way to ask for older ones.
fn past_of_trades(stream: &Stream, page: Page, rows: u32) -> Option<Params> {
    (stream.channel == Channel::Trade && page == Page::Last).then(|| call(&stream.symbol, [], rows))
}

#[derive(Deserialize)]
struct List<T> {
    list: Vec<T>,
}

fn rows<'a, T: Deserialize<'a>>(told: &Told<'a>) -> Result<Vec<T>, String> {
    Ok(rest::read::<Object<List<T>>>(Some(200), told.body)?.0.list)
}

fn symbol<'a>(told: &Told<'a>) -> Result<&'a str, String> {
    told.param("symbol").ok_or_else(|| "the call names no symbol".to_owned())
}

/// Rows of start, open, high, low, close, volume, turnover; the newest first.
fn read_candles(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    let interval = told.param("interval").and_then(interval_of).ok_or("the call names no interval")?;
    let mut found = Vec::new();
    for row in rows::<Vec<Number<'_>>>(told)?.iter().rev() {
        let [start, open, high, low, close, volume, turnover, ..] = row.as_slice() else {
            return Err("a candle has fewer than seven members".to_owned());
        };
        let open_time = time_of_ms(Some(*start)).ok_or("a candle without its time")?;
        found.push(CandleRow {
            open_time: open_time.0,
            close_time: last_moment(open_time, interval, 0).0,
            numbers: [open.0, high.0, low.0, close.0, volume.0],
            turnover: Some(turnover.0),
            closed: None,
        });
    }
    candles(&Stream::new(symbol(told)?, Channel::Candle(interval)), interval, &found, told, out)
}

/// A row of `recent-trade`; the newest is first.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Trade<'a> {
    #[serde(borrow)]
    exec_id: Text<'a>,
    #[serde(borrow)]
    symbol: Text<'a>,
    #[serde(borrow)]
    price: Number<'a>,
    #[serde(borrow)]
    size: Number<'a>,
    #[serde(borrow)]
    side: Text<'a>,
    #[serde(borrow)]
    time: Number<'a>,
    #[serde(default)]
    is_block_trade: Option<bool>,
    #[serde(borrow, default)]
    seq: Option<Number<'a>>,
}

fn read_trades(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    for Object(trade) in rows::<Object<Trade<'_>>>(told)?.iter().rev() {
        let Some(stream) = out.discovered(Stream::new(trade.symbol.0.as_ref(), Channel::Trade)) else { continue };
        out.update(Update::Trade(TradeUpdate {
            stream,
            id: &trade.exec_id.0,
            price: number(trade.price.0)?,
            size: number(trade.size.0)?,
            side: wire::side(&trade.side.0),
            block: trade.is_block_trade,
            venue_seq: trade.seq.and_then(|seq| seq.integer()),
            backfill: told.backfill,
            clocks: Clocks { event: time_of_ms(Some(trade.time)), venue: None, recv: Some(told.at) },
        }));
    }
    Ok(())
}

fn read_tickers(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    for row in rows::<Members<'_>>(told)? {
        let symbol = member(&row, "symbol").ok_or("a ticker without its symbol")?;
        let mut ticker = MergedTicker::default();
        wire::read_ticker(&row, |field, text| ticker.set(field, text));
        let Some(stream) = out.discovered(Stream::new(symbol, Channel::Ticker)) else { continue };
        let clocks = Clocks { recv: Some(told.at), ..Clocks::default() };
        let (fields, params) = (ticker.fields(), &[][..]);
        out.update(Update::Ticker(TickerUpdate { stream, venue_seq: None, fields, params, clocks }));
    }
    Ok(())
}

/// A book as it was for a moment: nothing keeps it up.
fn read_book(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    let data = rest::read::<Object<BookData<'_>>>(Some(200), told.body)?.0;
    let (mut bids, mut asks) = (Vec::new(), Vec::new());
    read_levels(&data.b, &mut bids)?;
    read_levels(&data.a, &mut asks)?;
    let seq = data.u.integer().ok_or("u is no integer")?;
    let Some(stream) = out.discovered(Stream::new(data.s.0.as_ref(), Channel::Book(BookDepth::Full))) else {
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
        clocks: Clocks { event: time_of_ms(data.cts), venue: time_of_ms(data.ts), recv: Some(told.at) },
    }));
    Ok(())
}
