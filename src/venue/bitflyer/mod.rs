//! bitFlyer Lightning: spot, the crypto CFD, and the account ("Realtime API", "HTTP API" at
//! `https://lightning.bitflyer.com/docs`). Recordings may have futures, which ended.

mod account;
mod channels;
mod data;
mod hosts;
mod listing;
mod login;
mod session;
#[cfg(test)]
mod tests;
mod wire;

use std::time::Duration;

use crate::model::{Channel, Stream};
use crate::venue::{AccountKind, Market, RestLimit, Route, Transport, VenueDef, usual_row_keys};

/// bitFlyer.
pub const VENUE: VenueDef = VenueDef {
    id: "bitflyer",
    markets: MARKETS,
    other_markets: None,
    transport: Transport::WebSocket,
    channels: channels::list,
    parse_channel: channels::parse,
    route_of,
    check_symbol,
    endpoints: |_, url, rest_url| hosts::endpoints(url, rest_url),
    connect_pause: CONNECT_PAUSE,
    rest: |_| &[],
    open: |spec| Box::new(session::FlyerSession::new(spec)),
    market_of,
    is_mixed: true,
    silence: Some(SILENCE),
    rest_limit: |_| REST_LIMIT,
    server_time: None,
    row_keys: |kind| match kind {
        AccountKind::Position => &["side"],
        _ => usual_row_keys(kind),
    },
};

const MARKETS: &[Market] = &[
    Market { id: "spot", url: hosts::URL, rest_url: hosts::REST_URL, example: "BTC_JPY" },
    Market { id: "fx", url: hosts::URL, rest_url: hosts::REST_URL, example: "FX_BTC_JPY" },
    Market { id: "futures", url: hosts::URL, rest_url: hosts::REST_URL, example: "BTCJPY25JUN2021" },
];

/// How many new connections are taken is not said; that quick ones in a row may be refused is ("Realtime API").
const CONNECT_PAUSE: Duration = Duration::from_secs(1);
/// The whole book comes every five seconds, whether anything changed or not.
const SILENCE: Duration = Duration::from_secs(15);
/// 500 calls in five minutes from one address, and as many of one account ("API limits").
const REST_LIMIT: RestLimit = RestLimit { per_minute: 90, burst: 20, ..RestLimit::calls("bitflyer", 1) };

/// Public channels.
const PUBLIC: Route = Route(0);

/// The account, after signing in: a connection of its own, so that a refused key leaves the public data alone.
const PRIVATE: Route = Route(1);

const fn route_of(_market: &str, stream: &Stream) -> Route {
    match stream.channel {
        Channel::Account(_) => PRIVATE,
        _ => PUBLIC,
    }
}

/// The market of a product, which its code tells: `BTC_JPY`, `FX_BTC_JPY`, `BTCJPY25JUN2021`.
fn market_of_product(product: &str) -> Option<&'static str> {
    let is_code =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
    let is_pair = |text: &str| text.split_once('_').is_some_and(|(base, quote)| is_code(base) && is_code(quote));
    let is_dated = |text: &str| {
        let date = text.len().checked_sub(9).and_then(|at| text.get(at..)).unwrap_or_default();
        let digits = |text: Option<&str>| text.is_some_and(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        let month = date.get(2..5).is_some_and(|month| month.bytes().all(|byte| byte.is_ascii_uppercase()));
        text.len() > 9 && is_code(text) && digits(date.get(..2)) && month && digits(date.get(5..))
    };
    match product.strip_prefix("FX_") {
        Some(rest) if is_pair(rest) => Some("fx"),
        None if is_pair(product) => Some("spot"),
        None if is_dated(product) => Some("futures"),
        _ => None,
    }
}

fn check_symbol(market: &str, symbol: &str) -> Result<(), String> {
    let found = market_of_product(symbol).filter(|_| symbol.len() <= 32);
    if found == Some(market) {
        return Ok(());
    }
    let upper = symbol.to_ascii_uppercase();
    let example = MARKETS.iter().find(|known| known.id == market).map_or("BTC_JPY", |known| known.example);
    Err(match found {
        Some(other) => format!("{symbol:?} is of market {other}, not {market}; here symbols are such as {example:?}"),
        None if upper != symbol && market_of_product(&upper) == Some(market) => {
            format!("{symbol:?} is no symbol of {market}: did you mean {upper:?}?")
        }
        None => format!("{symbol:?} is no symbol of {market}: product codes are such as {example:?}"),
    })
}

/// Tells a message's market from the product in its channel's name, which may be of any market of the connection.
fn market_of(url: Option<&str>, message: &[u8]) -> Option<&'static str> {
    if let Some((_, rest)) = url.and_then(|url| url.split_once("product_code=")) {
        return market_of_product(rest.split('&').next()?);
    }
    let (_, product) = channels::read(wire::channel_of(message)?)?;
    market_of_product(product)
}
