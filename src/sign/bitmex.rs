//! BitMEX ("Authenticating with an API Key", "WebSocket API, Authentication"). It has announced its closure for 2026-09.

use super::call::Call;
use super::json::Json;
use super::{Scheme, SignError, no_login, no_message};

pub(super) const SCHEME: Scheme = Scheme { rest, login: no_login, message: no_message };

/// How long a request holds.
const VALID_MS: u32 = 5_000;

/// A socket is logged in by the headers of its upgrade, over a path that is always the same. The reference client
/// sends milliseconds where seconds are documented, and forms instead of JSON.
fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    let expires = match call.is_reference() {
        true => call.ms_after(VALID_MS),
        false => call.seconds() + u64::from(VALID_MS / 1000),
    };
    match call.is_reference() {
        true => call.form_body()?,
        false => call.json_body()?,
    }
    let is_rest = call.url.scheme == "https" || !call.is_reference() && call.url.scheme == "http";
    let target = if is_rest { call.url.target() } else { "/realtime".to_owned() };
    let (expires, body) = (expires.to_string(), call.body().to_owned());
    let sign = call.hex(&[call.method.as_str(), &target, &expires, &body]);
    call.set("api-expires", expires);
    call.set_key("api-key");
    call.set("api-signature", sign);
    Ok(())
}

/// The message that logs in on a socket that is open already; `expires` is in seconds.
pub(super) fn login_frame(call: &mut Call<'_>, expires: u64) -> Json {
    let sign = call.hex(&["GET/realtime", &expires.to_string()]);
    let args = vec![Json::text(call.credentials.key.reveal()), Json::number(expires), Json::Text(sign)];
    Json::map([("op", Json::text("authKeyExpires")), ("args", Json::List(args))])
}
