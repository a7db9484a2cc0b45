//! The QUIK terminal of Russian brokers, reached through the Lua service quik-lua-rpc: calls on one ZeroMQ socket,
//! events on another (`https://github.com/Enfernuz/quik-lua-rpc`; functions and fields as in ARQA's QLua manual).
//!
//! A market is a class code of the terminal (`SPBFUT`, `TQBR`), a symbol the security's code in that class.

mod account;
mod allow;
mod ask;
mod books;
mod channels;
mod events;
mod history;
mod image;
mod instruments;
mod params;
mod pulse;
mod reply;
mod rpc;
#[cfg(test)]
mod said;
mod schedule;
mod seen;
mod session;
mod subscriptions;
mod table;
#[cfg(test)]
mod tests;
mod time;
mod trades;

use std::time::Duration;

use crate::venue::{AccountKind, Endpoints, Market, RestLimit, Transport, VenueDef, one_route};

/// QUIK.
pub const VENUE: VenueDef = VenueDef {
    id: "quik",
    markets: MARKETS,
    other_markets: Some(check_class),
    transport: Transport::Terminal,
    channels: channels::list,
    parse_channel: channels::parse,
    route_of: one_route,
    check_symbol,
    endpoints,
    connect_pause: Duration::ZERO,
    rest: |_| &[],
    open: |spec| Box::new(session::QuikSession::new(spec)),
    market_of,
    rest_limit: |_| RestLimit::calls("quik", 1),
    server_time: None,
    row_keys: |kind| match kind {
        AccountKind::Position => &["limit_kind", "firm"],
        AccountKind::Balance => &["limit_kind", "tag", "firm"],
        AccountKind::Order | AccountKind::Fill => &[],
    },
    is_mixed: false,
    silence: None,
};

/// Where quik-lua-rpc listens by convention; the terminal and tickbus are on one machine.
const RPC: &str = "tcp://127.0.0.1:5560";

/// Classes of the Moscow Exchange that every broker's terminal has. There are hundreds of others.
const MARKETS: &[Market] = &[
    Market { id: "SPBFUT", url: RPC, rest_url: RPC, example: "RIZ6" },
    Market { id: "SPBOPT", url: RPC, rest_url: RPC, example: "RI110000BL6" },
    Market { id: "TQBR", url: RPC, rest_url: RPC, example: "SBER" },
    Market { id: "TQTF", url: RPC, rest_url: RPC, example: "TMOS" },
    Market { id: "TQOB", url: RPC, rest_url: RPC, example: "SU26238RMFS4" },
    Market { id: "TQCB", url: RPC, rest_url: RPC, example: "RU000A105SG2" },
    Market { id: "CETS", url: RPC, rest_url: RPC, example: "CNYRUB_TOM" },
    Market { id: "INDX", url: RPC, rest_url: RPC, example: "IMOEX" },
];

/// A terminal has hundreds of classes, which differ from broker to broker.
fn check_class(class: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'"' | b'\\');
    if (1..=32).contains(&class.len()) && class.bytes().all(allowed) {
        return Ok(());
    }
    let shown: String = class.chars().take(32).collect();
    Err(format!(
        "{shown:?} is no QUIK class code: up to 32 ASCII characters without spaces, commas, quotes and backslashes, \
         spelled as in the terminal; for example \"SPBFUT\""
    ))
}

/// Codes are case-sensitive (`SiZ6`). The terminal's lists separate them by commas, so that no code has one.
fn check_symbol(market: &str, symbol: &str) -> Result<(), String> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b',' | b'"' | b'\\');
    if (1..=64).contains(&symbol.len()) && symbol.bytes().all(allowed) {
        return Ok(());
    }
    let example = MARKETS.iter().find(|known| known.id == market).map_or("RIZ6", |known| known.example);
    let shown: String = symbol.chars().take(64).collect();
    Err(format!(
        "{shown:?} is no QUIK security code: up to 64 ASCII characters without spaces, commas, quotes and \
         backslashes, spelled as in the terminal; for example {example:?}"
    ))
}

/// The RPC address as it is given; a terminal has no REST.
fn endpoints(_market: &str, url: Option<&str>, rest_url: Option<&str>) -> Endpoints {
    let url = url.unwrap_or(RPC).to_owned();
    Endpoints { rest_url: rest_url.map_or_else(|| url.clone(), str::to_owned), urls: vec![url], raw: None, note: None }
}

/// A recording's market is the class that its first event of a known one names.
fn market_of(_url: Option<&str>, message: &[u8]) -> Option<&'static str> {
    let text = reply::text(message);
    let (class, _) = events::Event::read(&text).ok()?.security()?;
    MARKETS.iter().map(|market| market.id).find(|known| *known == class)
}
