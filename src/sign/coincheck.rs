//! Coincheck ("Authentication", "Private WebSocket API, Login").

use super::call::Call;
use super::json::Json;
use super::{Scheme, SignError, no_message};

pub(super) const SCHEME: Scheme = Scheme { rest, login, message: no_message };

/// The nonce is the time; it must rise with each request of a key.
fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    call.form_body()?;
    let (nonce, url, body) = (call.ms(), call.url.text(), call.body().to_owned());
    let sign = call.hex(&[&nonce, &url, &body]);
    call.set_key("ACCESS-KEY");
    call.set("ACCESS-NONCE", nonce);
    call.set("ACCESS-SIGNATURE", sign);
    Ok(())
}

/// The address signed is always the same, whatever the socket's own is.
fn login(call: &mut Call<'_>, _nonce: &str) -> Result<Option<Json>, SignError> {
    let nonce = call.ms();
    let sign = call.hex(&[&nonce, "wss://stream.coincheck.com/private"]);
    Ok(Some(Json::map([
        ("type", Json::text("login")),
        ("access_key", Json::text(call.credentials.key.reveal())),
        ("access_nonce", Json::Text(nonce)),
        ("access_signature", Json::Text(sign)),
    ])))
}
