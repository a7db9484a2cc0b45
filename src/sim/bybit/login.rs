//! Logging in over the private socket and signing REST requests: the signature and what is wrong with a bad one.

use serde_json::Value;

use super::Settings;
use crate::sim::signature;
use crate::sim::venue::Asked;

/// How old a REST request may be unless it says otherwise, and how far ahead, ms.
const USUAL_WINDOW: u64 = 5_000;
const AHEAD: u64 = 1_000;

/// The signature of a login that holds until `expires`, ms since 1970.
pub fn sign(secret: &str, expires: u64) -> String {
    signature::hex(secret, &["GET/realtime", &expires.to_string()])
}

/// Checks the arguments of `auth`: key, expiry and signature.
///
/// # Errors
/// The venue's words.
pub(super) fn check(settings: &Settings, args: &[Value], now_ms: u64) -> Result<(), &'static str> {
    let [key, expires, sign] = args else { return Err("Params Error") };
    let (Some(key), Some(expires), Some(sign)) = (key.as_str(), expires.as_u64(), sign.as_str()) else {
        return Err("Params Error");
    };
    if expires <= now_ms {
        return Err("Params Error: expires time is too old");
    }
    if key != settings.key {
        return Err("API key is invalid.");
    }
    let parts = ["GET/realtime", &expires.to_string()];
    if signature::is_hex(settings.secret.reveal(), &parts, sign) { Ok(()) } else { Err("error sign!") }
}

/// Checks the headers of a REST request: the signature is over time, key, window, and query or body.
///
/// # Errors
/// The venue's code and words.
pub(super) fn check_request(settings: &Settings, asked: &Asked<'_>, now_ms: u64) -> Result<(), (u32, String)> {
    let header = |name| asked.header(name).unwrap_or_default();
    let (time, key, sign) = (header("X-BAPI-TIMESTAMP"), header("X-BAPI-API-KEY"), header("X-BAPI-SIGN"));
    if time.is_empty() || key.is_empty() || sign.is_empty() {
        return Err((10_001, "empty value: apiTimestamp[] apiKey[] apiSignature[]".to_owned()));
    }
    let window = header("X-BAPI-RECV-WINDOW");
    let allowed = if window.is_empty() { Some(USUAL_WINDOW) } else { window.parse().ok() };
    let (Some(allowed), Ok(sent)) = (allowed, time.parse::<u64>()) else {
        return Err((10_001, "params error: timestamp or recv_window invalid".to_owned()));
    };
    if sent + allowed < now_ms || sent >= now_ms + AHEAD {
        let words = "invalid request, please check your server timestamp or recv_window param";
        return Err((
            10_002,
            format!("{words}. req_timestamp[{sent}],server_timestamp[{now_ms}],recv_window[{allowed}]"),
        ));
    }
    if key != settings.key {
        return Err((10_003, "API key is invalid.".to_owned()));
    }
    let parts = [time, key, window, asked.query, asked.body];
    if signature::is_hex(settings.secret.reveal(), &parts, sign) {
        return Ok(());
    }
    Err((10_004, "error sign! please check your signature generation algorithm.".to_owned()))
}
