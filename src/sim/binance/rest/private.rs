//! What only the account's owner is answered: balances, and keys to listen with.

use crate::sim::binance::message::Object;
use crate::sim::binance::venue::Venue;

use super::{Call, Outcome};

pub(super) fn account(venue: &mut Venue, call: &Call) -> Outcome {
    Ok(venue.account.row(call.market, &venue.listed))
}

pub(super) fn open_orders(venue: &mut Venue, call: &Call) -> Outcome {
    Ok(venue.account.open_orders(call.market, call.params.get("symbol"), &venue.listed))
}

pub(super) fn positions(venue: &mut Venue, call: &Call) -> Outcome {
    Ok(venue.account.positions(call.market, call.params.get("symbol"), &venue.listed))
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
