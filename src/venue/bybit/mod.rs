//! Bybit v5 public streams: spot, linear, inverse, option
//! (`https://bybit-exchange.github.io/docs/v5/ws/connect`, as of 2026-07).

mod channels;
mod data;
mod fast;
mod instruments;
mod rest;
mod session;
#[cfg(test)]
pub(crate) mod tests;
pub(super) mod wire;

use std::time::Duration;

use crate::venue::{
    AccountKind, Endpoints, Market, RestLimit, Transport, VenueDef, bybit_v2, one_route, usual_row_keys,
};

/// Bybit.
pub const VENUE: VenueDef = VenueDef {
    id: "bybit",
    markets: MARKETS,
    other_markets: None,
    transport: Transport::WebSocket,
    channels: channels::list,
    parse_channel: channels::parse,
    route_of: one_route,
    check_symbol,
    endpoints,
    connect_pause: Duration::ZERO,
    rest: |_| &[],
    open: |spec| Box::new(session::BybitSession::new(spec)),
    market_of,
    // The documentation allows more and names no header: an address is cut off beyond 600 in 5 seconds.
    rest_limit: |_| RestLimit::calls("bybit", 20),
    row_keys: |kind| match kind {
        AccountKind::Position => &["position_idx"],
        _ => usual_row_keys(kind),
    },
    is_mixed: false,
    silence: None,
};

const REST: &str = "https://api.bybit.com";

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

/// Completes an address without a path, translates the retired API's addresses, and derives the REST host from
/// the stream's (`stream…` ↔ `api…`; any other host, such as a simulator's, serves both).
fn endpoints(market: &str, url: Option<&str>, rest_url: Option<&str>) -> Endpoints {
    let default = MARKETS.iter().find(|known| known.id == market).unwrap_or(&MARKETS[1]);
    let trimmed = |text: &str| text.trim_end_matches('/').to_owned();
    let Some(given) = url.map(trimmed) else {
        let rest_url = rest_url.map_or_else(|| REST.to_owned(), trimmed);
        return Endpoints { urls: vec![default.url.to_owned()], rest_url, note: None };
    };
    let (scheme, rest) = given.split_once("://").unwrap_or(("wss", &given));
    let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
    let retired = matches!(path, "realtime" | "realtime_public");
    let url = if path.is_empty() || retired {
        format!("{scheme}://{host}/v5/public/{market}")
    } else {
        format!("{scheme}://{rest}")
    };
    let note = retired.then(|| format!("retired address {given} no longer serves data: using {url}"));
    let rest_url = rest_url.map(trimmed).unwrap_or_else(|| {
        let scheme = if scheme == "ws" { "http" } else { "https" };
        let host = host.strip_prefix("stream").map_or_else(|| host.to_owned(), |rest| format!("api{rest}"));
        format!("{scheme}://{host}")
    });
    Endpoints { urls: vec![url], rest_url, note }
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
