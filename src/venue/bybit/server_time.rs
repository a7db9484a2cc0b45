//! The venue's clock (V5 API, "Get Bybit Server Time"): signed calls whose time is off are refused with 10002.

use serde::Deserialize;

use crate::venue::server_time::{ServerTime, beside, code};

pub(super) const SERVER_TIME: ServerTime =
    ServerTime { path: |signed| beside(signed, "/v5/", "/v5/market/time"), read, refuses };

#[derive(Deserialize)]
struct Reply {
    result: Time,
}

#[derive(Deserialize)]
struct Time {
    #[serde(rename = "timeNano")]
    nanos: String,
}

fn read(body: &[u8]) -> Option<u64> {
    let reply: Reply = serde_json::from_slice(body).ok()?;
    reply.result.nanos.parse::<u64>().ok().map(|nanos| nanos / 1_000_000)
}

fn refuses(body: &[u8]) -> bool {
    code(body, |codes| codes.ret_code) == Some("10002")
}
