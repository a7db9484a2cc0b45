//! Bitget (V2 API, "Signature" and "WebSocket, Login").

use super::call::Call;
use super::json::Json;
use super::{Scheme, SignError, no_message, python};

pub(super) const SCHEME: Scheme = Scheme { rest, login, message: no_message };

fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    call.json_body()?;
    let (time, target, body) = (call.ms(), call.url.target(), call.body().to_owned());
    let sign = call.base64(&[&time, call.method.as_str(), &target, &body]);
    call.set_json_type();
    call.set_key("ACCESS-KEY");
    call.set("ACCESS-SIGN", sign);
    call.set("ACCESS-TIMESTAMP", time);
    call.set("ACCESS-PASSPHRASE", call.passphrase());
    Ok(())
}

/// Public paths need none. The reference client names the key otherwise, and rounds the time.
fn login(call: &mut Call<'_>, _nonce: &str) -> Result<Option<Json>, SignError> {
    if call.url.has_segment("public") {
        return Ok(None);
    }
    let (key, seconds) = match call.is_reference() {
        true => ("api_key", python::time_rounded(call.now_ms)),
        false => ("apiKey", call.seconds()),
    };
    let time = seconds.to_string();
    let sign = call.base64(&[&time, "GET/user/verify"]);
    let args = Json::map([
        (key, Json::text(call.credentials.key.reveal())),
        ("passphrase", Json::text(call.passphrase())),
        ("timestamp", Json::Text(time)),
        ("sign", Json::Text(sign)),
    ]);
    Ok(Some(Json::map([("op", Json::text("login")), ("args", Json::List(vec![args]))])))
}
