//! OKX v5: spot, swaps, futures, options, and the account (`https://www.okx.com/docs-v5/en/`, as of 2026-07), and OKJ, which
//! speaks the same (`https://dev.okj.com/apidoc/v5/en`). Messages of the retired v3 are read from recordings.

mod account;
mod calls;
mod channels;
mod data;
mod fast;
mod hosts;
mod instruments;
mod login;
mod names;
mod rest;
mod server_time;
mod session;
#[cfg(test)]
mod tests;
mod ticker;
mod v3;
mod wire;

use std::time::Duration;

use crate::model::{Channel, Stream};
use crate::venue::{AccountKind, Market, RestLimit, Route, Transport, VenueDef, usual_row_keys};

/// At most three new connections a second from one address (OKX API v5, "Connection count limit"): a little less.
const CONNECT_PAUSE: Duration = Duration::from_millis(350);

/// OKX.
pub const VENUE: VenueDef = VenueDef {
    id: "okx",
    markets: MARKETS,
    other_markets: None,
    transport: Transport::WebSocket,
    channels: names::list,
    parse_channel: names::parse,
    route_of,
    check_symbol,
    endpoints: |_, url, rest_url| hosts::endpoints(&hosts::OKX, url, rest_url),
    connect_pause: CONNECT_PAUSE,
    rest: calls::of,
    open: |spec| Box::new(session::OkxSession::new(spec)),
    market_of,
    is_mixed: true,
    silence: Some(SILENCE),
    rest_limit: |_| RestLimit::calls("okx", 20),
    row_keys: |kind| match kind {
        AccountKind::Position => &["kind", "position_side"],
        _ => usual_row_keys(kind),
    },
    server_time: Some(server_time::SERVER_TIME),
};

/// OKCoin Japan, now OKJ: spot only, with live checksums.
pub const VENUE_OKJ: VenueDef = VenueDef {
    id: "okj",
    markets: OKJ_MARKETS,
    endpoints: |_, url, rest_url| hosts::endpoints(&hosts::OKJ, url, rest_url),
    is_mixed: false,
    rest_limit: |_| RestLimit::calls("okj", 20),
    ..VENUE
};

/// A quiet book is told each minute that it holds (OKX API v5, "Order book channel"), on OKJ and of whole books never; that the
/// connection lives is known from pongs.
const SILENCE: Duration = Duration::from_secs(150);

const URL: &str = hosts::OKX.url;
const REST: &str = hosts::OKX.rest_url;

const MARKETS: &[Market] = &[
    Market { id: "spot", url: URL, rest_url: REST, example: "BTC-USDT" },
    Market { id: "swap", url: URL, rest_url: REST, example: "BTC-USDT-SWAP" },
    Market { id: "futures", url: URL, rest_url: REST, example: "BTC-USD-270326" },
    Market { id: "option", url: URL, rest_url: REST, example: "BTC-USD-270326-60000-C" },
];

const OKJ_MARKETS: &[Market] =
    &[Market { id: "spot", url: hosts::OKJ.url, rest_url: hosts::OKJ.rest_url, example: "BTC-JPY" }];

/// Public channels.
const PUBLIC: Route = Route(0);
/// Candles and single trades.
const BUSINESS: Route = Route(1);
/// The account, after signing in.
const PRIVATE: Route = Route(2);
/// The public address again, signed in: books of every tick have a connection of their own, so that a refused key, after
/// which OKX closes the connection, leaves the public data alone.
const SIGNED: Route = Route(3);

fn route_of(_market: &str, stream: &Stream) -> Route {
    match (stream.channel, stream.variant) {
        (Channel::Candle(_), _) | (Channel::Trade, channels::ALL) => BUSINESS,
        (Channel::Account(_), _) => PRIVATE,
        (_, channels::TBT) => SIGNED,
        _ => PUBLIC,
    }
}

/// The venue's word for a market (`instType`).
fn inst_type(market: &str) -> &'static str {
    match market {
        "swap" => "SWAP",
        "futures" => "FUTURES",
        "option" => "OPTION",
        _ => "SPOT",
    }
}

/// The market of a symbol, which its shape tells: `BTC-USDT`, `BTC-USDT-SWAP`, `BTC-USD-270326`, `BTC-USD-270326-60000-C`.
fn market_of_symbol(symbol: &str) -> Option<&'static str> {
    let mut parts = symbol.split('-');
    let pair = parts.next().is_some_and(|base| !base.is_empty()) && parts.next().is_some_and(|quote| !quote.is_empty());
    let is_date = |text: &str| text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit());
    match (pair, parts.next(), parts.next(), parts.next(), parts.next()) {
        (true, None, ..) => Some("spot"),
        (true, Some("SWAP"), None, ..) => Some("swap"),
        (true, Some(date), None, ..) if is_date(date) => Some("futures"),
        (true, Some(date), Some(_), Some("C" | "P"), None) if is_date(date) => Some("option"),
        _ => None,
    }
}

fn check_symbol(market: &str, symbol: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'-' || byte == b'_';
    let is_plain = symbol.len() <= 64 && symbol.bytes().all(allowed);
    let found = market_of_symbol(symbol).filter(|_| is_plain);
    if found == Some(market) {
        return Ok(());
    }
    let upper = symbol.to_ascii_uppercase();
    let example = MARKETS.iter().find(|known| known.id == market).map_or("BTC-USDT", |known| known.example);
    Err(match found {
        Some(other) => format!("{symbol:?} is of market {other}, not {market}; here symbols are such as {example:?}"),
        None if upper != symbol && market_of_symbol(&upper) == Some(market) => {
            format!("{symbol:?} is no symbol of {market}: did you mean {upper:?}?")
        }
        None => {
            format!("{symbol:?} is no symbol of {market}: upper-case parts joined by hyphens, for example {example:?}")
        }
    })
}

/// Tells a message's market from the symbol it names, which may be of any market of the connection; a connect address tells
/// none, a REST address does.
fn market_of(url: Option<&str>, message: &[u8]) -> Option<&'static str> {
    if let Some(kind) = url.and_then(|url| url.split_once("instType=")).map(|(_, rest)| rest) {
        return MARKETS.iter().map(|market| market.id).find(|market| kind.starts_with(inst_type(market)));
    }
    if !message.starts_with(b"{") {
        return v3::inflate(message).and_then(|text| market_of_text(&text));
    }
    market_of_text(message)
}

fn market_of_text(message: &[u8]) -> Option<&'static str> {
    let after = |key: &str| {
        let start = memchr::memmem::find(message, key.as_bytes())? + key.len();
        let rest = message.get(start..)?;
        std::str::from_utf8(rest.get(..memchr::memchr(b'"', rest)?)?).ok()
    };
    // An index is spelled as a spot symbol is; orders of all markets come together.
    if after(r#""channel":""#).is_some_and(|channel| matches!(channel, "index-tickers" | "orders" | "positions")) {
        return None;
    }
    if let Some((market, _)) = after(r#""table":""#).and_then(|table| table.split_once('/')) {
        return MARKETS.iter().map(|known| known.id).find(|id| *id == market);
    }
    if let Some(symbol) = after(r#""instId":""#) {
        return market_of_symbol(symbol);
    }
    let kind = after(r#""instType":""#)?;
    MARKETS.iter().map(|known| known.id).find(|market| inst_type(market) == kind)
}
