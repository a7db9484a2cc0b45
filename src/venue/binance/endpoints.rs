//! Addresses: by route for USD-M, combined streams everywhere, and the REST host that belongs to a stream host.

use super::MARKETS;
use super::market::Segment;
use crate::venue::{Endpoints, KEY_PLACE};

/// The routes of USD-M: books over the first, everything else over the second. What is not routed still takes
/// subscriptions and then sends books only.
const ROUTES: [&str; 2] = ["public", "market"];

/// Stream hosts and the REST hosts beside them.
const REST_HOSTS: &[(&str, &str)] = &[
    ("stream.binance.com", "api.binance.com"),
    ("data-stream.binance.vision", "data-api.binance.vision"),
    ("stream.testnet.binance.vision", "testnet.binance.vision"),
    ("demo-stream.binance.com", "demo-api.binance.com"),
    ("fstream.binance.com", "fapi.binance.com"),
    ("dstream.binance.com", "dapi.binance.com"),
    ("demo-fstream.binance.com", "demo-fapi.binance.com"),
    ("demo-dstream.binance.com", "demo-dapi.binance.com"),
    ("fstream.binancefuture.com", "testnet.binancefuture.com"),
    ("dstream.binancefuture.com", "testnet.binancefuture.com"),
];

/// Spot's stream hosts and the hosts of the WebSocket API, where the account's events come.
const API_HOSTS: &[(&str, &str)] = &[
    ("stream.binance.com", "ws-api.binance.com:443"),
    ("data-stream.binance.vision", "ws-api.binance.com:443"),
    ("stream.testnet.binance.vision", "ws-api.testnet.binance.vision"),
    ("demo-stream.binance.com", "demo-ws-api.binance.com"),
];

/// What a feed's addresses lead to. A path of the venue's own (`/ws`, `/stream`, `/public/ws`…) is replaced by that of
/// combined streams, whose messages name their stream; any other path is kept in front of it. Any host that is not the
/// venue's, such as a simulator's, serves REST too.
pub(super) fn endpoints(market: &str, url: Option<&str>, rest_url: Option<&str>) -> Endpoints {
    let segment = Segment::of(market);
    let default = MARKETS.iter().find(|known| known.id == segment.id()).unwrap_or(&MARKETS[0]);
    let trimmed = |text: &str| text.trim_end_matches('/').to_owned();
    let given = url.map(trimmed).unwrap_or_else(|| default.url.to_owned());
    let (scheme, rest) = given.split_once("://").unwrap_or(("wss", &given));
    let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path));
    let prefix = prefix_of(path);
    let base = format!("{scheme}://{host}{prefix}");
    let name = host.split(':').next().unwrap_or(host);
    let mut urls: Vec<String> = match segment {
        Segment::Usdm => ROUTES.iter().map(|route| format!("{base}/{route}/stream")).collect(),
        _ => vec![format!("{base}/stream")],
    };
    let public = urls.join(" and ");
    urls.push(match segment {
        Segment::Usdm => format!("{base}/private/ws?listenKey={KEY_PLACE}"),
        Segment::Coinm => format!("{base}/ws/{KEY_PLACE}"),
        Segment::Spot => match API_HOSTS.iter().find(|(stream, _)| *stream == name) {
            Some((_, api)) => format!("{scheme}://{api}/ws-api/v3"),
            None => format!("{base}/ws-api/v3"),
        },
    });
    let unrouted = segment == Segment::Usdm && matches!(path.split('?').next(), Some("ws" | "stream"));
    let raw = (!unrouted && path.split(['/', '?']).any(is_own)).then(|| given.clone());
    let note = unrouted.then(|| format!("the unrouted address {given} sends order books only: using {public}"));
    let rest_url = rest_url.map(trimmed).unwrap_or_else(|| {
        let known = REST_HOSTS.iter().find(|(stream, _)| *stream == name).map(|(_, rest)| *rest);
        match (known, scheme) {
            (Some(rest), _) => format!("https://{rest}"),
            (None, "ws") => format!("http://{host}{prefix}"),
            (None, _) => format!("https://{host}{prefix}"),
        }
    });
    Endpoints { urls, raw, rest_url, note }
}

/// What stands before the venue's own part of a path, with a slash in front.
fn prefix_of(path: &str) -> String {
    let plain = path.split('?').next().unwrap_or(path);
    let kept = plain.split('/').take_while(|segment| !is_own(segment)).filter(|segment| !segment.is_empty());
    kept.map(|segment| format!("/{segment}")).collect()
}

/// Whether the venue's own paths have this part.
fn is_own(segment: &str) -> bool {
    matches!(segment, "ws" | "stream" | "public" | "market" | "private")
}
