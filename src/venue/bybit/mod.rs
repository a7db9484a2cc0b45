//! Bybit v5: public streams of spot, linear, inverse and option, and the account
//! (`https://bybit-exchange.github.io/docs/v5/ws/connect`, as of 2026-07).

mod account;
mod calls;
mod channels;
mod data;
mod fast;
mod instruments;
mod private;
mod rest;
mod server_time;
mod session;
#[cfg(test)]
pub(crate) mod tests;
pub(super) mod wire;

use std::time::Duration;

use crate::venue::{
    AccountKind, Endpoints, Market, RestLimit, Route, Session, SessionSpec, Transport, VenueDef, bybit_v2,
    usual_row_keys,
};

/// Bybit.
pub const VENUE: VenueDef = VenueDef {
    id: "bybit",
    markets: MARKETS,
    other_markets: None,
    transport: Transport::WebSocket,
    channels: channels::list,
    parse_channel: channels::parse,
    route_of: |_, stream| if stream.channel.is_of_account() { PRIVATE } else { PUBLIC },
    check_symbol,
    endpoints,
    connect_pause: Duration::ZERO,
    rest: calls::of,
    open,
    market_of,
    // The documentation allows more and names no header: an address is cut off beyond 600 in 5 seconds.
    rest_limit: |_| RestLimit::calls("bybit", 20),
    server_time: Some(server_time::SERVER_TIME),
    row_keys: |kind| match kind {
        AccountKind::Position => &["position_idx"],
        _ => usual_row_keys(kind),
    },
    is_mixed: false,
    silence: None,
};

const REST: &str = "https://api.bybit.com";

/// Public streams of one market.
const PUBLIC: Route = Route(0);
/// The account, after signing in.
const PRIVATE: Route = Route(1);

/// The account has a connection and a session of its own; a recording has everything in one place.
fn open(spec: SessionSpec) -> Box<dyn Session> {
    match spec.route == PRIVATE && !spec.discover {
        true => Box::new(private::PrivateSession::new(spec)),
        false => Box::new(session::BybitSession::new(spec)),
    }
}

const MARKETS: &[Market] = &[
    Market { id: "spot", url: "wss://stream.bybit.com/v5/public/spot", rest_url: REST, example: "BTCUSDT" },
    Market { id: "linear", url: "wss://stream.bybit.com/v5/public/linear", rest_url: REST, example: "BTCUSDT" },
    Market { id: "inverse", url: "wss://stream.bybit.com/v5/public/inverse", rest_url: REST, example: "BTCUSD" },
    Market {
        id: "option",
        url: "wss://stream.bybit.com/v5/public/option",
        rest_url: REST,
        example: "BTC-26MAR27-60000-C-USDT",
    },
];

/// Symbols are upper case on every market.
fn check_symbol(market: &str, symbol: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-';
    if !symbol.is_empty() && symbol.len() <= 64 && symbol.bytes().all(allowed) {
        return Ok(());
    }
    let example = MARKETS.iter().find(|known| known.id == market).map_or("BTCUSDT", |known| known.example);
    let upper = symbol.to_ascii_uppercase();
    let hint = if upper != symbol && upper.bytes().all(allowed) {
        format!("did you mean {upper:?}?")
    } else {
        format!("for example {example:?}")
    };
    Err(format!("{symbol:?} is no Bybit symbol: upper-case letters, digits and hyphens; {hint}"))
}

/// The host of demo accounts, which has private streams only, and the one with the public streams beside it.
const DEMO: (&str, &str) = ("stream-demo.bybit.com", "stream.bybit.com");

/// Completes an address without a path, translates the retired API's addresses, and derives the account's address and the
/// REST host from the stream's (`stream…` ↔ `api…`; any other host, such as a simulator's, serves both).
fn endpoints(market: &str, url: Option<&str>, rest_url: Option<&str>) -> Endpoints {
    let default = MARKETS.iter().find(|known| known.id == market).unwrap_or(&MARKETS[1]);
    let trimmed = |text: &str| text.trim_end_matches('/').to_owned();
    let given = url.map_or_else(|| default.url.to_owned(), trimmed);
    let (scheme, rest) = given.split_once("://").unwrap_or(("wss", &given));
    let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
    let retired = matches!(path, "realtime" | "realtime_public");
    let is_demo = host == DEMO.0;
    let public = if path.is_empty() || retired || is_demo {
        let host = if is_demo { DEMO.1 } else { host };
        format!("{scheme}://{host}/v5/public/{market}")
    } else {
        format!("{scheme}://{rest}")
    };
    // Whatever stands before the venue's own path is kept.
    let before = path.split_once("v5/").map_or("", |(before, _)| before);
    let private = format!("{scheme}://{host}/{before}v5/private");
    let note = match (retired, is_demo) {
        (true, _) => Some(format!("retired address {given} no longer serves data: using {public}")),
        (_, true) => Some(format!("{host} has private streams only: public ones are taken from {public}")),
        _ => None,
    };
    let rest_url = rest_url.map(trimmed).unwrap_or_else(|| {
        let scheme = if scheme == "ws" { "http" } else { "https" };
        let host = host.strip_prefix("stream").map_or_else(|| host.to_owned(), |rest| format!("api{rest}"));
        format!("{scheme}://{host}")
    });
    Endpoints { urls: vec![public, private], raw: None, rest_url, note }
}

/// Tells a recording's market from a connect address, else from what only one market's messages have.
fn market_of(url: Option<&str>, message: &[u8]) -> Option<&'static str> {
    if let Some(url) = url {
        let path = url.split_once("://").map_or(url, |(_, rest)| rest);
        if let Some(market) = MARKETS.iter().find(|market| path.ends_with(&format!("/v5/public/{}", market.id))) {
            return Some(market.id);
        }
        return match path.rsplit('/').next()? {
            "realtime" => Some("inverse"),
            "realtime_public" => Some("linear"),
            _ => None,
        };
    }
    let envelope = wire::Envelope::parse(message).ok()?;
    let topic = envelope.topic.as_ref()?.0.as_ref();
    if let Some(retired) = bybit_v2::parse_topic(topic) {
        return Some(if retired.symbols.contains("USDT") { "linear" } else { "inverse" });
    }
    let (_, symbol) = channels::parse_topic(topic)?;
    let data = envelope.data.map_or("", |data| data.get());
    if symbol.split('-').count() >= 4 || data.contains("\"bidIv\"") || data.contains("\"mIv\"") {
        return Some("option");
    }
    if data.contains("\"usdIndexPrice\"") {
        return Some("spot");
    }
    if symbol.ends_with("USD") || is_inverse_future(symbol) {
        return Some("inverse");
    }
    let contract = ["\"L\":\"", "\"openInterest\"", "\"fundingRate\"", "\"markPrice\""];
    let linear = symbol.ends_with("PERP") || symbol.contains('-') || contract.iter().any(|key| data.contains(key));
    linear.then_some("linear")
}

/// `BTCUSDZ26`: a base, `USD`, a month letter and a year.
fn is_inverse_future(symbol: &str) -> bool {
    let Some(stem) = symbol.len().checked_sub(3).and_then(|at| symbol.get(..at)) else { return false };
    let code = symbol.get(stem.len()..).unwrap_or("");
    let month = code.chars().next().is_some_and(|c| "FGHJKMNQUVXZ".contains(c));
    stem.ends_with("USD") && month && code.get(1..).is_some_and(|year| year.bytes().all(|b| b.is_ascii_digit()))
}
