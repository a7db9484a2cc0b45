//! Where OKX and OKJ are reached. Hosts and paths are those of the v5 documentation ("Overview", "Connect") of 2026-07;
//! that port 8443 ends in October 2026 is known from third parties.

use crate::venue::Endpoints;

/// A venue's own addresses.
pub(super) struct Hosts {
    /// Of the public websocket.
    pub(super) url: &'static str,
    pub(super) rest_url: &'static str,
}

pub(super) const OKX: Hosts = Hosts { url: "wss://ws.okx.com/ws/v5/public", rest_url: "https://www.okx.com" };
pub(super) const OKJ: Hosts = Hosts { url: "wss://ws.okj.com/ws/v5/public", rest_url: "https://api.okj.com" };

/// The last part of the path, by route.
const PATHS: [&str; 3] = ["public", "business", "private"];
/// The public address for the connection that signs in. What is behind `#` is not sent: it tells the two apart in logs and
/// recordings.
const SIGNED: &str = "public#signed";

/// Websocket hosts and the REST host of the same site; demo sites have the REST host of the real one.
const REST_HOSTS: &[(&str, &str)] = &[
    ("ws.okx.com", "www.okx.com"),
    ("wspap.okx.com", "www.okx.com"),
    ("wsus.okx.com", "us.okx.com"),
    ("wsuspap.okx.com", "us.okx.com"),
    ("wseea.okx.com", "eea.okx.com"),
    ("wseeapap.okx.com", "eea.okx.com"),
    ("ws.okj.com", "api.okj.com"),
];

/// Hosts that answer no more, and the one that does.
const RETIRED: &[(&str, &str)] = &[
    ("ws.okex.com", "ws.okx.com"),
    ("real.okex.com", "ws.okx.com"),
    ("wsaws.okex.com", "ws.okx.com"),
    ("wsaws.okx.com", "ws.okx.com"),
    ("connect.okcoin.jp", "ws.okj.com"),
    ("connect.okj.com", "ws.okj.com"),
];

/// What an address in the config leads to: a path for each route, port 443 for 8443, hosts that still answer, and the REST
/// host of the same site. A host that is not the venue's, such as a simulator's, serves both.
pub(super) fn endpoints(own: &Hosts, url: Option<&str>, rest_url: Option<&str>) -> Endpoints {
    let rest_url = rest_url.map(|text| text.trim_end_matches('/').to_owned());
    let given = url.unwrap_or(own.url).split('#').next().unwrap_or_default();
    let (scheme, rest) = given.split_once("://").unwrap_or(("wss", given));
    let (rest, query) = rest.split_once('?').map_or((rest, None), |(rest, query)| (rest, Some(query)));
    let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path.trim_end_matches('/')));
    let (live_host, known) = live_host(host);
    let base = base_path(path, known);
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    let of_path = |last: &str| match last.split_once('#') {
        Some((last, mark)) => format!("{scheme}://{live_host}{base}/{last}{query}#{mark}"),
        None => format!("{scheme}://{live_host}{base}/{last}{query}"),
    };
    let urls: Vec<_> = PATHS.iter().chain([&SIGNED]).map(|last| of_path(last)).collect();
    let is_v3 = path.ends_with("ws/v3") && known;
    let chosen = path.rsplit('/').next().filter(|last| PATHS.contains(last)).map(of_path);
    let used = chosen.as_ref().unwrap_or(&urls[0]);
    let note = (live_host != host || is_v3).then(|| format!("{given} is retired: using {used}"));
    let rest_url = rest_url.unwrap_or_else(|| match REST_HOSTS.iter().find(|(host, _)| *host == live_host) {
        _ if url.is_none() => own.rest_url.to_owned(),
        Some((_, rest)) => format!("https://{rest}"),
        None => format!("{}://{live_host}", if scheme == "ws" { "http" } else { "https" }),
    });
    Endpoints { urls, raw: chosen, rest_url, note }
}

/// The host to use for this one, port included, and whether it is the venue's.
fn live_host(host: &str) -> (String, bool) {
    let (name, port) = host.split_once(':').map_or((host, None), |(name, port)| (name, Some(port)));
    let retired = RETIRED.iter().find(|(old, _)| *old == name).map(|(_, new)| *new);
    let live = retired.unwrap_or(name);
    let known = REST_HOSTS.iter().any(|(known, _)| *known == live);
    let port = port.filter(|port| !known || !matches!(*port, "8443" | "443"));
    (port.map_or_else(|| live.to_owned(), |port| format!("{live}:{port}")), known)
}

/// The path without its last part, which is the route's, and with a slash before it.
fn base_path(path: &str, known: bool) -> String {
    let base = match path.rsplit_once('/') {
        Some((base, last)) if PATHS.contains(&last) => base,
        None if PATHS.contains(&path) => "",
        _ if path.is_empty() || (known && path == "ws/v3") => "ws/v5",
        _ => path,
    };
    if base.is_empty() { String::new() } else { format!("/{base}") }
}
