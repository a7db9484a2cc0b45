//! Images of books, trades and candles.

use std::collections::VecDeque;

use crate::sim::binance::catalog::{Market, Spec, coins};
use crate::sim::binance::interval::{DAY, Interval};
use crate::sim::binance::listed::candle_row;
use crate::sim::binance::message::{self, Object, array};
use crate::sim::binance::trades::{Aggregate, Trade};
use crate::sim::binance::venue::Venue;

use super::{Call, Outcome, Refusal, bad, combination};

/// Longest time between the first and the last candle of COIN-M, ms.
const COINM_REACH: u64 = 200 * DAY;
/// Levels that futures may be asked for.
const FUTURES_LIMITS: [usize; 7] = [5, 10, 20, 50, 100, 500, 1_000];

fn depth_limit(call: &Call) -> Result<usize, Refusal> {
    if call.market == Market::Spot {
        return call.params.limit(100, 5_000);
    }
    let limit = call.params.limit(500, usize::MAX)?;
    let refusal = || (400, -4_021, format!("'{limit}' is not valid depth limit."));
    FUTURES_LIMITS.contains(&limit).then_some(limit).ok_or_else(refusal)
}

pub(super) fn depth_weight(call: &Call) -> u32 {
    let limit = depth_limit(call).unwrap_or(1);
    match (call.market, limit) {
        (Market::Spot, ..=100) => 5,
        (Market::Spot, ..=500) => 25,
        (Market::Spot, ..=1_000) => 50,
        (Market::Spot, _) => 250,
        (_, ..=50) => 2,
        (_, ..=100) => 5,
        (_, ..=500) => 10,
        _ => 20,
    }
}

pub(super) fn depth(venue: &mut Venue, call: &Call) -> Outcome {
    let limit = depth_limit(call)?;
    let listed = call.listed(venue)?;
    let image = listed.image(limit, call.stale);
    let spec = &listed.spec;
    let mut out = Object::new().raw("lastUpdateId", image.id);
    if call.market == Market::Coinm {
        out = out.text("symbol", &spec.symbol).text("pair", spec.pair());
    }
    if call.market.is_futures() {
        out = out.raw("E", call.now_ms()).raw("T", call.now_ms().saturating_sub(1));
    }
    Ok(out.raw("bids", message::levels(spec, &image.bids)).raw("asks", message::levels(spec, &image.asks)).done())
}

fn trade_row(spec: &Spec, trade: &Trade) -> String {
    let amount = if spec.market == Market::Coinm { "baseQty" } else { "quoteQty" };
    let row = Object::new().raw("id", trade.id).text("price", spec.price(trade.fill.ticks));
    let row = row.text("qty", spec.size(trade.fill.lots));
    let row = row.text(amount, coins(spec.turnover(trade.fill.ticks, trade.fill.lots)));
    let row = row.raw("time", trade.time_ms).raw("isBuyerMaker", !trade.fill.buy);
    if spec.market == Market::Spot { row.raw("isBestMatch", true).done() } else { row.done() }
}

/// The last ones, oldest first.
pub(super) fn trades(venue: &mut Venue, call: &Call) -> Outcome {
    let limit = call.params.limit(500, 1_000)?;
    let listed = call.listed(venue)?;
    let trades = listed.tape.trades();
    let rows: Vec<String> = last(trades, limit).map(|trade| trade_row(&listed.spec, trade)).collect();
    Ok(array(&rows))
}

pub(super) fn old_trades(venue: &mut Venue, call: &Call) -> Outcome {
    let Some(from) = call.params.number("fromId")? else { return trades(venue, call) };
    let limit = call.params.limit(500, 1_000)?;
    let listed = call.listed(venue)?;
    let trades = listed.tape.trades().iter().filter(|trade| trade.id >= from).take(limit);
    Ok(array(&trades.map(|trade| trade_row(&listed.spec, trade)).collect::<Vec<_>>()))
}

fn last<T>(all: &VecDeque<T>, limit: usize) -> impl Iterator<Item = &T> {
    all.iter().skip(all.len().saturating_sub(limit))
}

pub(super) fn aggregates(venue: &mut Venue, call: &Call) -> Outcome {
    let limit = call.params.limit(500, 1_000)?;
    let from = call.params.number("fromId")?;
    let (start, end) = (call.params.number("startTime")?, call.params.number("endTime")?);
    if from.is_some() && (start.is_some() || end.is_some()) {
        return Err(combination());
    }
    let listed = call.listed(venue)?;
    let spec = &listed.spec;
    let row = |trade: &Aggregate| {
        let row = Object::new().raw("a", trade.id).text("p", spec.price(trade.fill.ticks));
        let row = row.text("q", spec.size(trade.fill.lots)).raw("f", trade.first).raw("l", trade.last);
        let row = row.raw("T", trade.time_ms).raw("m", !trade.fill.buy);
        if spec.market == Market::Spot { row.raw("M", true).done() } else { row.done() }
    };
    let all = listed.tape.aggregates();
    let within = |trade: &&Aggregate| {
        start.is_none_or(|start| trade.time_ms >= start) && end.is_none_or(|end| trade.time_ms <= end)
    };
    // Oldest first from where it begins; the last ones when only the end is said, or nothing.
    let rows: Vec<String> = match (from, start) {
        (Some(from), _) => all.iter().filter(|trade| trade.id >= from).take(limit).map(row).collect(),
        (None, Some(_)) => all.iter().filter(within).take(limit).map(row).collect(),
        (None, None) => {
            let all: VecDeque<&Aggregate> = all.iter().filter(within).collect();
            last(&all, limit).map(|trade| row(trade)).collect()
        }
    };
    Ok(array(&rows))
}

fn klines_limit(call: &Call) -> Result<usize, Refusal> {
    call.params.limit(500, if call.market == Market::Spot { 1_000 } else { 1_500 })
}

pub(super) fn klines_weight(call: &Call) -> u32 {
    match (call.market, klines_limit(call).unwrap_or(1)) {
        (Market::Spot, _) => 2,
        (_, ..100) => 1,
        (_, ..500) => 2,
        (_, ..=1_000) => 5,
        _ => 10,
    }
}

pub(super) fn klines(venue: &mut Venue, call: &Call) -> Outcome {
    let now_ms = call.now_ms();
    let interval = interval(call)?;
    let limit = klines_limit(call)?;
    let (start, end) = (call.params.number("startTime")?, call.params.number("endTime")?);
    let (from, to) = (start.unwrap_or(0), end.unwrap_or(u64::MAX));
    if from > to {
        return Err((400, -1_023, "Start time is greater than end time.".to_owned()));
    }
    let newest_first = call.market == Market::Coinm;
    let (from, to) = match (newest_first, start, end) {
        (true, Some(start), Some(end)) if end - start > COINM_REACH => return Err(combination()),
        (true, Some(start), None) => (start, start.saturating_add(COINM_REACH)),
        (true, None, Some(end)) => (end.saturating_sub(COINM_REACH), end),
        _ => (from, to),
    };
    let listed = call.listed(venue)?;
    let candles = listed.history(interval, now_ms);
    // COIN-M gives the most recent ones of the time that was said; the others begin where it begins.
    let oldest = start.is_some() && !newest_first;
    let most = if oldest { usize::MAX } else { limit };
    let mut candles = candles.list(|ms| interval.start(ms), from, to, most);
    candles.reverse();
    candles.truncate(limit);
    let rows: Vec<String> = candles.iter().map(|candle| candle_row(&listed.spec, interval, candle)).collect();
    Ok(array(&rows))
}

fn interval(call: &Call) -> Result<Interval, Refusal> {
    let futures = call.market.is_futures();
    let interval = Interval::parse(call.params.need("interval")?).filter(|interval| !(futures && interval.is_second()));
    let interval = interval.ok_or_else(|| (400, -1_120, "Invalid interval.".to_owned()))?;
    match call.params.get("timeZone") {
        None | Some("0" | "00:00") => Ok(interval),
        Some("8" | "08:00" | "+08:00") if !futures => Ok(interval.ahead()),
        // Only those two clocks are simulated.
        Some(_) => Err(bad("timeZone")),
    }
}
