//! Prices and other figures of one symbol or of all. COIN-M always answers with a list.

use crate::sim::binance::catalog::Market;
use crate::sim::binance::figures;
use crate::sim::binance::listed::Listed;
use crate::sim::binance::message::{Object, array};
use crate::sim::binance::venue::Venue;

use super::{Call, Outcome, bad, combination, no_symbol};

/// Weight for one symbol and for many: on spot, on futures.
pub(super) fn weight(call: &Call, spot: [u32; 2], futures: [u32; 2]) -> u32 {
    let [one, many] = if call.market == Market::Spot { spot } else { futures };
    if call.params.get("symbol").is_some() { one } else { many }
}

pub(super) fn day_weight(call: &Call) -> u32 {
    let symbols: Option<Vec<String>> = call.params.get("symbols").and_then(|list| serde_json::from_str(list).ok());
    match symbols {
        Some(symbols) if call.market == Market::Spot => match symbols.len() {
            ..=20 => 2,
            21..=100 => 40,
            _ => 80,
        },
        _ => weight(call, [2, 80], [1, 40]),
    }
}

pub(super) fn premium_weight(call: &Call) -> u32 {
    if call.market == Market::Coinm { 10 } else { weight(call, [1, 10], [1, 10]) }
}

/// The rows of what was asked for: an object for one symbol, a list otherwise.
fn rows(venue: &mut Venue, call: &Call, row: impl Fn(&mut Listed) -> String) -> Outcome {
    let (symbol, pair) = (call.params.get("symbol"), call.params.get("pair"));
    if symbol.is_some() && pair.is_some() {
        return Err(combination());
    }
    let list = call.market == Market::Coinm;
    if symbol.is_some() {
        let row = row(call.listed(venue)?);
        return Ok(if list { array(&[row]) } else { row });
    }
    if let (Some(names), Market::Spot) = (call.params.get("symbols"), call.market) {
        return of_names(venue, call.market, names, row);
    }
    let of_pair = |listed: &Listed| pair.filter(|_| list).is_none_or(|pair| listed.spec.pair() == pair);
    let wanted = venue.listed.iter_mut().filter(|listed| listed.spec.market == call.market && of_pair(listed));
    let rows: Vec<String> = wanted.map(row).collect();
    if pair.is_some() && rows.is_empty() { Err(no_symbol()) } else { Ok(array(&rows)) }
}

fn of_names(venue: &mut Venue, market: Market, names: &str, row: impl Fn(&mut Listed) -> String) -> Outcome {
    let names: Vec<String> = serde_json::from_str(names).map_err(|_| bad("symbols"))?;
    let places: Option<Vec<usize>> = names.iter().map(|name| venue.place(market, name)).collect();
    let places = places.ok_or_else(no_symbol)?;
    Ok(array(&places.into_iter().map(|at| row(&mut venue.listed[at])).collect::<Vec<_>>()))
}

pub(super) fn average(venue: &mut Venue, call: &Call) -> Outcome {
    Ok(figures::row_average(call.listed(venue)?, call.now_ms()))
}

pub(super) fn day(venue: &mut Venue, call: &Call) -> Outcome {
    rows(venue, call, |listed| figures::row_24h(listed, call.now_ms()))
}

pub(super) fn price(venue: &mut Venue, call: &Call) -> Outcome {
    rows(venue, call, |listed| {
        let spec = &listed.spec;
        let row = Object::new().text("symbol", &spec.symbol);
        let row = if spec.market == Market::Coinm { row.text("ps", spec.pair()) } else { row };
        let row = row.text("price", spec.price(listed.market.last().ticks));
        if spec.market.is_futures() { row.raw("time", listed.last_trade_ms()).done() } else { row.done() }
    })
}

pub(super) fn book(venue: &mut Venue, call: &Call) -> Outcome {
    rows(venue, call, |listed| {
        let (spec, [bid, ask]) = (&listed.spec, listed.best());
        let row = Object::new();
        let row = if spec.market.is_futures() { row.raw("lastUpdateId", listed.market.seq()) } else { row };
        let row = row.text("symbol", &spec.symbol);
        let row = if spec.market == Market::Coinm { row.text("pair", spec.pair()) } else { row };
        let row = row.text("bidPrice", spec.price(bid.ticks)).text("bidQty", spec.size(bid.lots));
        let row = row.text("askPrice", spec.price(ask.ticks)).text("askQty", spec.size(ask.lots));
        if spec.market.is_futures() { row.raw("time", call.now_ms()).done() } else { row.done() }
    })
}

pub(super) fn premium(venue: &mut Venue, call: &Call) -> Outcome {
    rows(venue, call, |listed| figures::row_premium(listed, call.now_ms()))
}

pub(super) fn open_interest(venue: &mut Venue, call: &Call) -> Outcome {
    Ok(figures::row_open_interest(call.listed(venue)?, call.now_ms()))
}

/// Past fundings, oldest first; invented, and always the same for a time.
pub(super) fn funding(venue: &mut Venue, call: &Call) -> Outcome {
    let limit = call.params.limit(100, 1_000)?;
    let (start, end) = (call.params.number("startTime")?, call.params.number("endTime")?);
    let listed = call.listed(venue)?;
    if !listed.spec.is_perpetual() {
        return Ok(array(&[]));
    }
    let newest = end.unwrap_or(u64::MAX).min(call.now_ms()) / figures::FUNDING_MS;
    let count = u64::try_from(limit).unwrap_or(u64::MAX);
    let last = |from: u64| newest.saturating_add(1).saturating_sub(from).min(count);
    let from = match start {
        Some(start) => start.div_ceil(figures::FUNDING_MS),
        None => newest.saturating_sub(count - 1),
    };
    let row = |at: u64| funding_row(listed, at);
    Ok(array(&(from..from.saturating_add(last(from))).map(row).collect::<Vec<_>>()))
}

/// The `at`th funding since 1970.
fn funding_row(listed: &Listed, at: u64) -> String {
    let (spec, time) = (&listed.spec, at * figures::FUNDING_MS);
    let row = Object::new().text("symbol", &spec.symbol).raw("fundingTime", time);
    let row = row.text("fundingRate", figures::funding_rate(at.wrapping_mul(1_048_583)));
    let row = if spec.market == Market::Usdm { row.text("markPrice", spec.price(spec.shape.start_ticks)) } else { row };
    row.done()
}
