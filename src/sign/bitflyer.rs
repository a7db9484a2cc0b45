//! bitFlyer ("HTTP Private API, Authentication", "Realtime API, Authentication").

use super::call::Call;
use super::json::Json;
use super::{Scheme, SignError, no_message};

pub(super) const SCHEME: Scheme = Scheme { rest, login, message: no_message };

fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    call.json_body()?;
    let (time, target, body) = (call.ms(), call.url.target(), call.body().to_owned());
    let sign = call.hex(&[&time, call.method.as_str(), &target, &body]);
    call.set_key("ACCESS-KEY");
    call.set("ACCESS-TIMESTAMP", time);
    call.set("ACCESS-SIGN", sign);
    Ok(())
}

/// `nonce` is 16 to 255 random characters.
fn login(call: &mut Call<'_>, nonce: &str) -> Result<Option<Json>, SignError> {
    if !(16..=255).contains(&nonce.len()) {
        return Err(SignError::Nonce("16 to 255 random characters"));
    }
    let time = call.ms();
    let sign = call.hex(&[&time, nonce]);
    let params = Json::map([
        ("api_key", Json::text(call.credentials.key.reveal())),
        ("timestamp", Json::Number(time)),
        ("nonce", Json::text(nonce)),
        ("signature", Json::text(sign)),
    ]);
    let mut frame = Json::map([("method", Json::text("auth")), ("params", params), ("id", Json::text("auth"))]);
    if !call.is_reference() {
        frame.set("jsonrpc", Json::text("2.0"));
    }
    Ok(Some(frame))
}
