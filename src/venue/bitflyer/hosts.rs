//! Where bitFlyer is reached.

use crate::venue::Endpoints;

pub(super) const URL: &str = "wss://ws.lightstream.bitflyer.com/json-rpc";
pub(super) const REST_URL: &str = "https://api.bitflyer.com";

/// The path of JSON-RPC.
const PATH: &str = "json-rpc";
/// The venue's websocket hosts; the second speaks Socket.IO only.
const HOSTS: [&str; 2] = ["ws.lightstream.bitflyer.com", "io.lightstream.bitflyer.com"];
/// The address of the connection that signs in. What is behind `#` is not sent: it tells the two apart in logs and recordings.
const PRIVATE: &str = "#private";
/// An older name of the REST host.
const OLD_REST: &str = "//api.bitflyer.jp";

/// What an address in the config leads to. A host that is not the venue's, such as a simulator's, serves both.
pub(super) fn endpoints(url: Option<&str>, rest_url: Option<&str>) -> Endpoints {
    let given = url.unwrap_or(URL).split('#').next().unwrap_or_default();
    let (scheme, rest) = given.split_once("://").unwrap_or(("wss", given));
    let (host, path) = rest.split_once('/').map_or((rest, ""), |(host, path)| (host, path.trim_end_matches('/')));
    let is_venues = HOSTS.contains(&host);
    let live = if is_venues { HOSTS[0] } else { host };
    let path = if path.is_empty() || live != host { PATH } else { path };
    let public = format!("{scheme}://{live}/{path}");
    let note = (live != host).then(|| format!("{given} speaks Socket.IO: using {public}"));
    let rest_url = match rest_url {
        Some(rest) => rest.trim_end_matches('/').replacen(OLD_REST, "//api.bitflyer.com", 1),
        None if is_venues => REST_URL.to_owned(),
        None => format!("{}://{host}", if scheme == "ws" { "http" } else { "https" }),
    };
    let private = format!("{public}{PRIVATE}");
    Endpoints { urls: vec![public, private], raw: None, rest_url, note }
}
