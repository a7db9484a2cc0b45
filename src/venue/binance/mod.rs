//! Binance: public streams of spot, USD-M and COIN-M futures, and the account
//! (`https://developers.binance.com/docs/binance-spot-api-docs/web-socket-streams` and
//! `https://developers.binance.com/docs/derivatives`, as of 2026-08).

mod account;
mod allowance;
mod answers;
mod calls;
mod channels;
mod data;
mod endpoints;
mod events;
mod fast;
mod instruments;
mod listen_key;
mod listing;
mod market;
mod pulse;
mod rest;
mod server_time;
mod session;
#[cfg(test)]
mod tests;
mod user_stream;
mod wire;

use std::time::Duration;

use self::market::Segment;
use crate::model::{Channel, Stream};
use crate::venue::{Market, RestLimit, Route, Session, SessionSpec, Transport, VenueDef, usual_row_keys};

/// Binance.
pub const VENUE: VenueDef = VenueDef {
    id: "binance",
    markets: MARKETS,
    other_markets: None,
    transport: Transport::WebSocket,
    channels: channels::list,
    parse_channel: channels::parse,
    route_of,
    check_symbol,
    endpoints: endpoints::endpoints,
    rest: calls::of,
    open,
    market_of: market::market_of,
    is_mixed: false,
    connect_pause: Duration::ZERO,
    // Streams that are usually quiet are asked for; see `pulse`.
    silence: None,
    rest_limit,
    server_time: Some(server_time::SERVER_TIME),
    row_keys: usual_row_keys,
};

/// Books of USD-M, and everything of the other markets.
const PUBLIC: Route = Route(0);
/// What else USD-M has.
const MARKET: Route = Route(1);

/// The account's address: behind those of the market.
fn private(market: &str) -> Route {
    if Segment::of(market) == Segment::Usdm { Route(2) } else { Route(1) }
}

fn route_of(market: &str, stream: &Stream) -> Route {
    match stream.channel {
        Channel::Account(_) => private(market),
        _ if channels::is_public(market, stream) => PUBLIC,
        _ => MARKET,
    }
}

/// The account has a connection and a session of its own; a recording has everything in one place.
fn open(spec: SessionSpec) -> Box<dyn Session> {
    match spec.route == private(&spec.market) && !spec.discover {
        true => Box::new(user_stream::UserSession::new(spec)),
        false => Box::new(session::BinanceSession::new(spec)),
    }
}

const MARKETS: &[Market] = &[
    Market {
        id: "spot",
        url: "wss://stream.binance.com:9443/stream",
        rest_url: "https://api.binance.com",
        example: "BTCUSDT",
    },
    Market {
        id: "usdm",
        url: "wss://fstream.binance.com/public/stream",
        rest_url: "https://fapi.binance.com",
        example: "BTCUSDT",
    },
    Market {
        id: "coinm",
        url: "wss://dstream.binance.com/stream",
        rest_url: "https://dapi.binance.com",
        example: "BTCUSD_PERP",
    },
];

/// Of the 6,000 (spot) and 2,400 (futures) that the venue allows an address in a minute, four fifths: what left at the end
/// of one minute may arrive in the next. Both futures hosts count together since they were merged on 2026-06-30.
fn rest_limit(market: &str) -> RestLimit {
    let (name, per_minute) = if market == "spot" { ("binance_spot", 4_800) } else { ("binance_futures", 1_920) };
    let used_header = Some("x-mbx-used-weight-1m");
    RestLimit { name, per_minute, burst: per_minute / 10, used_header, banned_until, told: allowance::told }
}

/// When a ban ends, from the text of a refusal: `… IP(1.2.3.4) banned until 1573770680000. …`.
fn banned_until(body: &[u8]) -> Option<crate::model::UnixNanos> {
    let text = body.get(memchr::memmem::find(body, b"banned until ")? + 13..)?;
    let digits = text.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    std::str::from_utf8(text.get(..digits)?).ok()?.parse().ok().map(crate::model::UnixNanos::from_ms)
}

/// Symbols are upper case; some have letters beyond ASCII.
fn check_symbol(market: &str, symbol: &str) -> Result<(), String> {
    let allowed = |c: char| match c.is_ascii() {
        true => c.is_ascii_uppercase() || c.is_ascii_digit() || "_-.".contains(c),
        false => c.is_alphanumeric(),
    };
    let is_symbol = |text: &str| !text.is_empty() && text.len() <= 64 && text.chars().all(allowed);
    if is_symbol(symbol) {
        return Ok(());
    }
    let upper = symbol.to_ascii_uppercase();
    let hint = if upper != symbol && is_symbol(&upper) {
        format!("did you mean {upper:?}?")
    } else {
        format!("for example {:?}", Segment::of(market).example())
    };
    Err(format!("{symbol:?} is no Binance symbol: upper-case letters, digits and underscores; {hint}"))
}
