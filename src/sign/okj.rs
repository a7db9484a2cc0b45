//! OKJ (API v5; v3 on the hosts of its time as OKCoin Japan): OKX's scheme, with logins of its own.

use super::call::Call;
use super::json::Json;
use super::{Scheme, SignError, no_message, okx, python};

pub(super) const SCHEME: Scheme = Scheme { rest, login, message: no_message };

fn is_v5(host: &str) -> bool {
    host.ends_with("okj.com")
}

fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    okx::rest(call)?;
    if is_v5(&call.host) {
        call.set("X-BrokerID", "0");
    }
    Ok(())
}

fn login(call: &mut Call<'_>, _nonce: &str) -> Result<Option<Json>, SignError> {
    if is_v5(&call.host) {
        if call.url.has_segment("public") {
            return Ok(None);
        }
        let seconds = call.seconds();
        return Ok(Some(okx::login_frame(call, seconds, Json::number(seconds))));
    }
    // v3 takes a list; the reference client writes the time as a float.
    let time = if call.is_reference() { python::time_text(call.now_ms) } else { call.seconds().to_string() };
    let sign = call.base64(&[&time, "GET/users/self/verify"]);
    let args = [call.credentials.key.reveal(), call.passphrase(), &time, &sign].map(Json::text);
    Ok(Some(Json::map([("op", Json::text("login")), ("args", Json::List(args.into()))])))
}
