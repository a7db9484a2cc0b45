//! What only the account's owner is answered: balances, and keys to listen with.

use crate::sim::binance::catalog::Market;
use crate::sim::binance::message::Object;
use crate::sim::binance::venue::Venue;
use crate::sim::fills::Fill;

use super::{Call, Outcome, combination, no_symbol};

pub(super) fn account(venue: &mut Venue, call: &Call) -> Outcome {
    Ok(venue.account.row(call.market, &venue.listed))
}

pub(super) fn open_orders(venue: &mut Venue, call: &Call) -> Outcome {
    Ok(venue.account.open_orders(call.market, call.params.get("symbol"), &venue.listed))
}

pub(super) fn positions(venue: &mut Venue, call: &Call) -> Outcome {
    Ok(venue.account.positions(call.market, call.params.get("symbol"), &venue.listed))
}

/// Of one symbol, oldest first: from an id on, from a time on, or the last ones.
pub(super) fn trades(venue: &mut Venue, call: &Call) -> Outcome {
    let symbol = call.params.need("symbol")?;
    let (limit, from_id) = (call.params.limit(500, 1_000)?, call.params.number("fromId")?);
    let (start, end) = (call.params.number("startTime")?, call.params.number("endTime")?);
    if from_id.is_some() && (start.is_some() || end.is_some()) && call.market != Market::Spot {
        return Err(combination());
    }
    let hours = if call.market == Market::Usdm { 7 * 24 } else { 24 };
    let to = end.or(start.map(|start| start + hours * 3_600_000)).unwrap_or(u64::MAX);
    let from = start.or(end.map(|end| end.saturating_sub(hours * 3_600_000))).unwrap_or(0);
    if to < u64::MAX && to.saturating_sub(from) > hours * 3_600_000 {
        return Err((400, -1_127, format!("More than {hours} hours between startTime and endTime.")));
    }
    let known = venue.place(call.market, symbol).is_some();
    let of = |fill: &&Fill| fill.market == call.market.as_str() && fill.symbol == symbol;
    let mut found: Vec<&Fill> = venue.account.fills.within(from, to).filter(of).collect();
    match from_id {
        Some(id) => found.retain(|fill| fill.number >= id),
        None if start.is_none() => drop(found.drain(..found.len().saturating_sub(limit))),
        None => {}
    }
    let rows: Vec<&str> = found.into_iter().take(limit).map(|fill| &*fill.row).collect();
    if known { Ok(format!("[{}]", rows.join(","))) } else { Err(no_symbol()) }
}

pub(super) fn balances(venue: &mut Venue, call: &Call) -> Outcome {
    Ok(venue.account.balances(call.market))
}

fn shown(key: &str) -> String {
    Object::new().text("listenKey", key).done()
}

pub(super) fn open(venue: &mut Venue, call: &Call) -> Outcome {
    Ok(shown(&venue.account.open_key(call.market, &mut venue.rng, call.now.mono)))
}

pub(super) fn renew(venue: &mut Venue, call: &Call) -> Outcome {
    let renewed = venue.account.renew_key(call.market, call.now.mono);
    renewed.map(|key| shown(&key)).ok_or_else(|| (400, -1_125, "This listenKey does not exist.".to_owned()))
}

pub(super) fn close(venue: &mut Venue, call: &Call) -> Outcome {
    venue.account.close_key(call.market);
    Ok("{}".to_owned())
}

/// Spot has its account's events on the websocket API only.
pub(super) fn gone(_: &mut Venue, _: &Call) -> Outcome {
    let words = "Listen keys are retired; use userDataStream.subscribe.signature on the websocket API.";
    Err((410, -1_000, words.to_owned()))
}
