//! The venue's clock ("Check server time", "Timing security"): signed calls whose time is off are refused with -1021.

use serde::Deserialize;

use crate::venue::server_time::{ServerTime, beside, code};

pub(super) const SERVER_TIME: ServerTime = ServerTime { path, read, refuses };

/// By the API that the signed path is of. `/sapi` lies beside `/api`.
fn path(signed: &str) -> Option<String> {
    let apis = [
        ("/fapi/", "/fapi/v1/time"),
        ("/dapi/", "/dapi/v1/time"),
        ("/eapi/", "/eapi/v1/time"),
        ("/sapi/", "/api/v3/time"),
        ("/api/", "/api/v3/time"),
    ];
    apis.into_iter().find_map(|(api, time)| beside(signed, api, time))
}

#[derive(Deserialize)]
struct Time {
    #[serde(rename = "serverTime")]
    server_time: u64,
}

fn read(body: &[u8]) -> Option<u64> {
    serde_json::from_slice::<Time>(body).ok().map(|time| time.server_time)
}

fn refuses(body: &[u8]) -> bool {
    code(body, |codes| codes.code) == Some("-1021")
}
