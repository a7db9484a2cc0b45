//! Venues without a protocol here: one subscribes in their own words, and gets their messages untouched. A market is any
//! name; the feed's `url` says where it is.

use std::time::Duration;

use super::raw::RawSession;
use super::{ChannelSpec, Endpoints, RestLimit, Transport, VenueDef, one_route, usual_row_keys};

/// Any venue.
pub const VENUE: VenueDef = VenueDef {
    id: "other",
    markets: &[],
    other_markets: Some(check_market),
    transport: Transport::WebSocket,
    channels: |_| vec!["raw:TEXT".to_owned()],
    parse_channel,
    route_of: one_route,
    row_keys: usual_row_keys,
    check_symbol: |_, _| Err("this venue has no symbols of ours; name them in the text of a raw channel".to_owned()),
    endpoints,
    connect_pause: Duration::ZERO,
    rest: |_| &[],
    open: |spec| Box::new(RawSession::new(&VENUE, spec)),
    market_of: |_, _| None,
    rest_limit: |_| RestLimit::calls("other", 1),
    server_time: None,
    is_mixed: false,
    silence: None,
};

/// The longest name of a market.
const LONGEST: usize = 32;

fn check_market(name: &str) -> Result<(), String> {
    let plain = name.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_');
    if plain && (1..=LONGEST).contains(&name.len()) {
        return Ok(());
    }
    let shown: String = name.chars().take(LONGEST).collect();
    Err(format!(
        "{shown:?} is no name for a market; allowed: up to {LONGEST} lower case letters, digits and underscores, such as \
         \"phemex\""
    ))
}

fn parse_channel(_market: &str, text: &str) -> Result<ChannelSpec, String> {
    let shown: String = text.chars().take(40).collect();
    Err(format!("unknown channel {shown:?}: of this venue everything is raw"))
}

fn endpoints(_market: &str, url: Option<&str>, rest_url: Option<&str>) -> Endpoints {
    Endpoints {
        urls: vec![url.unwrap_or_default().to_owned()],
        raw: None,
        rest_url: rest_url.unwrap_or_default().trim_end_matches('/').to_owned(),
        note: None,
    }
}
