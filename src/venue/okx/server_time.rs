//! The venue's clock (API v5, "Get system time"): signed calls whose time is off are refused with 50102.

use serde::Deserialize;

use crate::venue::server_time::{ServerTime, beside, code};

pub(super) const SERVER_TIME: ServerTime =
    ServerTime { path: |signed| beside(signed, "/api/v5/", "/api/v5/public/time"), read, refuses };

#[derive(Deserialize)]
struct Reply {
    data: Vec<Time>,
}

#[derive(Deserialize)]
struct Time {
    ts: String,
}

fn read(body: &[u8]) -> Option<u64> {
    let reply: Reply = serde_json::from_slice(body).ok()?;
    reply.data.first()?.ts.parse().ok()
}

fn refuses(body: &[u8]) -> bool {
    code(body, |codes| codes.code) == Some("50102")
}
