//! What sets the markets apart, and how a recording tells which one it is of.

use super::{MARKETS, wire};
use crate::book::SyncRule;

/// A market.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Segment {
    Spot,
    Usdm,
    Coinm,
}

impl Segment {
    pub(super) fn of(market: &str) -> Self {
        match market {
            "usdm" => Self::Usdm,
            "coinm" => Self::Coinm,
            _ => Self::Spot,
        }
    }

    pub(super) const fn id(self) -> &'static str {
        match self {
            Self::Spot => "spot",
            Self::Usdm => "usdm",
            Self::Coinm => "coinm",
        }
    }

    pub(super) fn is_spot(self) -> bool {
        self == Self::Spot
    }

    pub(super) fn example(self) -> &'static str {
        MARKETS.iter().find(|market| market.id == self.id()).map_or("", |market| market.example)
    }

    /// What REST paths begin with.
    pub(super) const fn api(self) -> &'static str {
        match self {
            Self::Spot => "/api/v3",
            Self::Usdm => "/fapi/v1",
            Self::Coinm => "/dapi/v1",
        }
    }

    /// How a book of diff depth updates is put together.
    pub(super) fn rule(self) -> SyncRule {
        if self.is_spot() { SyncRule::RangeFromImage } else { SyncRule::LinkedRangeFromImage }
    }

    /// `st` of events that come for both futures markets over either host.
    pub(super) const fn st(self) -> Option<u64> {
        match self {
            Self::Spot => None,
            Self::Usdm => Some(1),
            Self::Coinm => Some(2),
        }
    }
}

/// Tells a recording's market from an address, else from a message.
pub(super) fn market_of(url: Option<&str>, message: &[u8]) -> Option<&'static str> {
    let segment = match url {
        Some(url) => of_url(url)?,
        None => of_message(message)?,
    };
    Some(segment.id())
}

fn of_url(url: &str) -> Option<Segment> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let path = path.split('?').next().unwrap_or(path);
    let label = host.split(['.', ':']).next()?;
    let is_binance =
        ["binance.com", "binancefuture.com", "binance.vision", "binance.us"].iter().any(|d| host.contains(d));
    let is_routed = ["public/", "market/", "private/"].iter().any(|route| path.starts_with(route));
    match () {
        () if path.contains("fapi/v") || is_routed => Some(Segment::Usdm),
        () if path.contains("dapi/v") => Some(Segment::Coinm),
        () if path.contains("api/v") => Some(Segment::Spot),
        () if !is_binance => None,
        () if label.ends_with("fstream") => Some(Segment::Usdm),
        () if label.ends_with("dstream") => Some(Segment::Coinm),
        () if label.ends_with("stream") || label.ends_with("ws-api") => Some(Segment::Spot),
        () => None,
    }
}

/// Only what one market's messages have counts.
fn of_message(message: &[u8]) -> Option<Segment> {
    let envelope = wire::Envelope::parse(message).ok()?;
    let data = envelope.payload(message)?;
    let event = wire::Event::parse(data).ok()?;
    let symbol = event.symbol()?;
    if let Some(st) = event.st.and_then(|st| st.integer()) {
        return [Segment::Usdm, Segment::Coinm].into_iter().find(|segment| segment.st() == Some(st));
    }
    let future = if is_coin_margined(symbol) { Segment::Coinm } else { Segment::Usdm };
    match event.kind() {
        // Only spot's has no name of its event, and no times.
        None if event.is_book_ticker() => Some(Segment::Spot),
        Some("bookTicker" | "markPriceUpdate" | "forceOrder") => Some(future),
        Some("depthUpdate") if event.previous.is_some() => Some(future),
        Some("depthUpdate") => Some(Segment::Spot),
        Some("trade" | "aggTrade") if event.best_match.is_some() => Some(Segment::Spot),
        Some("trade" | "aggTrade") => Some(future),
        _ if is_coin_margined(symbol) => Some(Segment::Coinm),
        _ => None,
    }
}

/// `BTCUSD_PERP`, `BTCUSD_260925`; a dated USD-M contract is `BTCUSDT_260925`.
fn is_coin_margined(symbol: &str) -> bool {
    let pair = symbol.split_once('_').map(|(pair, _)| pair);
    pair.is_some_and(|pair| pair.ends_with("USD"))
}
