//! Signing in: what is sent, and what refuses it (OKX API v5, "WebSocket", "Login").

use serde_json::json;

use super::server_time::SERVER_TIME;
use crate::model::UnixNanos;
use crate::secret::Secret;
use crate::sign;
use crate::venue::Credentials;
use crate::venue::kit::login::Login;

/// Codes that refuse a login: time stamp, key, signature, passphrase, rate.
const REFUSALS: [&str; 11] =
    ["60001", "60002", "60003", "60004", "60005", "60006", "60007", "60009", "60023", "60024", "60032"];

/// Whether an error refuses a login.
pub(super) fn is_refusal(code: &str) -> bool {
    REFUSALS.contains(&code)
}

/// A login whose clock can be told beside any call.
pub(super) fn by_clock() -> Login {
    Login::by_clock(SERVER_TIME, "/api/v5/")
}

/// The message that signs in.
pub(super) fn message(credentials: &Credentials, now: UnixNanos) -> Secret {
    let Credentials { key, secret, passphrase } = credentials;
    let seconds = now.0 / 1_000_000_000;
    let passphrase = passphrase.as_ref().map_or("", |passphrase| passphrase.reveal());
    let sign = sign::okx::login(secret, seconds);
    let args = json!([{
        "apiKey": key.reveal(), "passphrase": passphrase, "timestamp": seconds.to_string(), "sign": sign
    }]);
    Secret::new(json!({"op": "login", "args": args}).to_string())
}
