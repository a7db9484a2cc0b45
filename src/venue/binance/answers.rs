//! Readers of REST answers: prices, books, trades and candles as the streams would have said them.

use serde::Deserialize;

use super::channels::UTC8 as OF_HONG_KONG;
use super::data::depth_update;
use super::market::Segment;
use super::wire::{self, DepthData};
use crate::book::SyncRule;
use crate::model::{BookDepth, Channel, Clocks, Interval, Stream, decimal_text};
use crate::venue::kit::answers::{self, CandleRow, rows};
use crate::venue::kit::fields::{Members, Number, Object, number, time_of_ms};
use crate::venue::kit::rows::member;
use crate::venue::{BookUpdate, Output, TickerField, Told, TradeUpdate, Update};

/// `timeZone` of the day of UTC+8.
pub(super) const UTC8: &str = "8";

/// Members of `ticker/price`.
const PRICE: &[(&str, TickerField)] = &[("price", TickerField::Last)];
/// Members of `ticker/24hr`. COIN-M has `baseVolume` where the others have `quoteVolume`.
const DAY: &[(&str, TickerField)] = &[
    ("lastPrice", TickerField::Last),
    ("bidPrice", TickerField::BidPrice),
    ("bidQty", TickerField::BidSize),
    ("askPrice", TickerField::AskPrice),
    ("askQty", TickerField::AskSize),
    ("highPrice", TickerField::High24h),
    ("lowPrice", TickerField::Low24h),
    ("openPrice", TickerField::Open24h),
    ("volume", TickerField::Volume24h),
    ("quoteVolume", TickerField::Turnover24h),
];
/// Members of `ticker/bookTicker`.
const BEST: &[(&str, TickerField)] = &[
    ("bidPrice", TickerField::BidPrice),
    ("bidQty", TickerField::BidSize),
    ("askPrice", TickerField::AskPrice),
    ("askQty", TickerField::AskSize),
];
/// Members of `premiumIndex`.
const PREMIUM: &[(&str, TickerField)] = &[
    ("markPrice", TickerField::Mark),
    ("indexPrice", TickerField::Index),
    ("lastFundingRate", TickerField::FundingRate),
    ("nextFundingTime", TickerField::NextFundingTime),
];
/// Members of `openInterest`.
const INTEREST: &[(&str, TickerField)] = &[("openInterest", TickerField::OpenInterest)];

pub(super) fn prices(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    tickers(told, PRICE, "time", out)
}

pub(super) fn day_tickers(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    tickers(told, DAY, "closeTime", out)
}

pub(super) fn book_tickers(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    tickers(told, BEST, "time", out)
}

pub(super) fn premium(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    tickers(told, PREMIUM, "time", out)
}

pub(super) fn open_interest(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    tickers(told, INTEREST, "time", out)
}

/// One row, or a list of rows, each with its symbol.
fn tickers(told: &Told<'_>, names: &[(&str, TickerField)], time: &str, out: &mut dyn Output) -> Result<(), String> {
    for row in rows::<Members<'_>>(told.body)? {
        let symbol = member(&row, "symbol").ok_or("a ticker without its symbol")?;
        let venue = time_of_ms(member(&row, time).map(Number));
        let clocks = Clocks { venue, recv: Some(told.at), ..Clocks::default() };
        answers::ticker(symbol, &row, names, clocks, out);
    }
    Ok(())
}

fn symbol<'a>(told: &Told<'a>) -> Result<&'a str, String> {
    told.param("symbol").ok_or_else(|| "the call names no symbol".to_owned())
}

/// A book as it was for a moment: nothing keeps it up.
pub(super) fn depth(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    let Object(data) = serde_json::from_slice::<Object<DepthData<'_>>>(told.body).map_err(|error| error.to_string())?;
    let (mut bids, mut asks) = (Vec::new(), Vec::new());
    let ids = depth_update(&data, &mut bids, &mut asks)?;
    let Some(stream) = out.discovered(Stream::new(symbol(told)?, Channel::Book(BookDepth::Full))) else {
        return Ok(());
    };
    out.update(Update::Book(BookUpdate {
        stream,
        rule: SyncRule::SnapshotOnly,
        snapshot: true,
        seq: ids.last,
        first: 0,
        previous: 0,
        cross_seq: ids.last,
        checksum: None,
        middle: None,
        bids: &bids,
        asks: &asks,
        clocks: wire::clocks(data.made, data.happened, Some(told.at)),
    }));
    Ok(())
}

/// A trade of `trades` and `historicalTrades`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Single<'a> {
    #[serde(borrow)]
    id: Number<'a>,
    #[serde(borrow)]
    price: Number<'a>,
    #[serde(borrow)]
    qty: Number<'a>,
    #[serde(borrow)]
    time: Number<'a>,
    is_buyer_maker: bool,
}

/// A trade of `aggTrades`.
#[derive(Deserialize)]
struct Aggregate<'a> {
    #[serde(borrow)]
    a: Number<'a>,
    #[serde(borrow)]
    p: Number<'a>,
    #[serde(borrow)]
    q: Number<'a>,
    #[serde(borrow, rename = "T")]
    time: Number<'a>,
    m: bool,
}

/// Id, price, size, time, and whether the buyer was the maker.
type Trade<'a> = (Number<'a>, Number<'a>, Number<'a>, Number<'a>, bool);

pub(super) fn trades(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    let rows = rows::<Object<Single<'_>>>(told.body)?;
    let rows = rows.into_iter().map(|Object(row)| (row.id, row.price, row.qty, row.time, row.is_buyer_maker));
    emit_trades(told, if is_spot(told) { "" } else { "each" }, rows, out)
}

pub(super) fn aggregates(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    let rows =
        rows::<Object<Aggregate<'_>>>(told.body)?.into_iter().map(|Object(row)| (row.a, row.p, row.q, row.time, row.m));
    emit_trades(told, if is_spot(told) { "agg" } else { "" }, rows, out)
}

fn is_spot(told: &Told<'_>) -> bool {
    Segment::of(told.market).is_spot()
}

fn emit_trades<'a>(
    told: &Told<'_>,
    variant: &'static str,
    rows: impl Iterator<Item = Trade<'a>>,
    out: &mut dyn Output,
) -> Result<(), String> {
    let stream = Stream { variant, ..Stream::new(symbol(told)?, Channel::Trade) };
    let Some(stream) = out.discovered(stream) else { return Ok(()) };
    for (id, price, size, time, by_maker) in rows {
        out.update(Update::Trade(TradeUpdate {
            stream,
            id: id.0,
            price: number(price.0)?,
            size: number(size.0)?,
            side: wire::side(by_maker),
            block: None,
            venue_seq: Some(wire::integer(Some(id), "a trade's id")?),
            backfill: told.backfill,
            clocks: wire::clocks(None, Some(time), Some(told.at)),
        }));
    }
    Ok(())
}

/// `klines`: rows of time, open, high, low, close, volume, end, volume in the other unit, …
pub(super) fn candles(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String> {
    let interval = told.param("interval").and_then(Interval::parse).ok_or("the call names no interval")?;
    let variant = if told.param("timeZone") == Some(UTC8) { OF_HONG_KONG } else { "" };
    let stream = Stream { variant, ..Stream::new(symbol(told)?, Channel::Candle(interval)) };
    let has_turnover = Segment::of(told.market) != Segment::Coinm;
    let mut found = Vec::new();
    for row in rows::<Vec<Number<'_>>>(told.body)? {
        let [start, open, high, low, close, volume, end, other, ..] = row.as_slice() else {
            return Err("a candle has fewer than eight members".to_owned());
        };
        let time = |at: &Number<'_>| time_of_ms(Some(*at)).map(|at| at.0).ok_or("a candle without its time");
        found.push(CandleRow {
            open_time: time(start)?,
            close_time: time(end)?,
            numbers: [open.0, high.0, low.0, close.0, volume.0],
            turnover: decimal_text(other.0).filter(|_| has_turnover),
            closed: None,
        });
    }
    answers::candles(&stream, interval, &found, told, out)
}
