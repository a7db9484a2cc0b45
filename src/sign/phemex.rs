//! Phemex ("API User Authentication", "WebSocket, User Authentication").

use super::call::Call;
use super::json::Json;
use super::{Scheme, SignError, encode, no_message};

pub(super) const SCHEME: Scheme = Scheme { rest, login, message: no_message };

/// How long a request holds, in seconds.
const VALID: u64 = 60;
/// The id of a login, unlike that of a heartbeat and of anything a user would choose.
const LOGIN_ID: u32 = 2_000_000_001;

/// The reference client signs the query decoded, which differs where it is not plain ASCII.
fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    call.json_body()?;
    let query = match call.is_reference() {
        true => encode::decoded_query(&call.url.query),
        false => call.url.query.clone(),
    };
    let expiry = (call.seconds() + VALID).to_string();
    let (path, body) = (call.url.path.clone(), call.body().to_owned());
    let sign = call.hex(&[&path, &query, &expiry, &body]);
    call.set_key("x-phemex-access-token");
    call.set("x-phemex-request-expiry", expiry);
    call.set("x-phemex-request-signature", sign);
    Ok(())
}

/// The reference client gives logins and heartbeats the same id.
fn login(call: &mut Call<'_>, _nonce: &str) -> Result<Option<Json>, SignError> {
    let expiry = call.seconds() + VALID;
    let key = call.credentials.key.reveal();
    let sign = call.hex(&[key, &expiry.to_string()]);
    let id = if call.is_reference() { 123 } else { LOGIN_ID };
    let params = vec![Json::text("API"), Json::text(key), Json::Text(sign), Json::number(expiry)];
    Ok(Some(Json::map([("method", Json::text("user.auth")), ("params", Json::List(params)), ("id", Json::number(id))])))
}
