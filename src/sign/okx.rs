//! OKX and OKJ: base64 of HMAC-SHA256 (OKX API v5, "REST authentication" and "WebSocket login").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::call::{self, Call};
use super::json::Json;
use super::{Scheme, SignError, no_message};
use crate::secret::Secret;

pub(super) const SCHEME: Scheme = Scheme { rest, login: login_if_private, message: no_message };

/// The path that a socket's login signs.
const LOGIN_PATH: &str = "/users/self/verify";

pub(super) fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    call.json_body()?;
    let (time, target, body) = (call.iso()?, call.url.target(), call.body().to_owned());
    let sign = call.base64(&[&time, call.method.as_str(), &target, &body]);
    call.set_key("OK-ACCESS-KEY");
    call.set("OK-ACCESS-SIGN", sign);
    call.set("OK-ACCESS-TIMESTAMP", time);
    call.set("OK-ACCESS-PASSPHRASE", call.passphrase());
    call.set_json_type();
    Ok(())
}

/// Public paths need none; the reference client logs in there too.
fn login_if_private(call: &mut Call<'_>, _nonce: &str) -> Result<Option<Json>, SignError> {
    if !call.is_reference() && call.url.has_segment("public") {
        return Ok(None);
    }
    let seconds = call.seconds();
    Ok(Some(login_frame(call, seconds, Json::Text(seconds.to_string()))))
}

/// A login's message, which shows the time as `timestamp`.
pub(super) fn login_frame(call: &mut Call<'_>, seconds: u64, timestamp: Json) -> Json {
    let sign = call.base64(&[&seconds.to_string(), "GET", LOGIN_PATH]);
    let args = Json::map([
        ("apiKey", Json::text(call.credentials.key.reveal())),
        ("passphrase", Json::text(call.passphrase())),
        ("timestamp", timestamp),
        ("sign", Json::Text(sign)),
    ]);
    Json::map([("op", Json::text("login")), ("args", Json::List(vec![args]))])
}

/// The signature of a socket's login; `seconds` since 1970 is also sent with it, and holds for 30 s.
pub fn login(secret: &Secret, seconds: u64) -> String {
    request(secret, &seconds.to_string(), "GET", LOGIN_PATH, "")
}

/// The signature of a REST request. `timestamp` is what the header `OK-ACCESS-TIMESTAMP` says (`2023-11-14T22:13:20.000Z`),
/// `path` has its query, `body` is empty where there is none.
pub fn request(secret: &Secret, timestamp: &str, method: &str, path: &str, body: &str) -> String {
    STANDARD.encode(call::hmac(secret, &[timestamp, method, path, body].concat()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::new("testsecret".to_owned())
    }

    #[test]
    fn worked_examples() {
        assert_eq!(login(&secret(), 1_700_000_000), "nbqmCslY7ltfyiVOn8iY7qsU13F+ycpPNKvAVTNSMVc=");
        let path = "/api/v5/account/balance?ccy=BTC";
        let signed = request(&secret(), "2023-11-14T22:13:20.000Z", "GET", path, "");
        assert_eq!(signed, "r08bS9X5FPzXyC41sXd/6luwKLvhbqC8Xxp2xjtbENw=");
    }

    #[test]
    fn every_part_counts() {
        let signed = |timestamp, method, path, body| request(&secret(), timestamp, method, path, body);
        let base = signed("1", "GET", "/a", "");
        for other in [signed("2", "GET", "/a", ""), signed("1", "POST", "/a", ""), signed("1", "GET", "/b", "")] {
            assert_ne!(base, other);
        }
        assert_ne!(base, signed("1", "GET", "/a", "{}"));
        assert_ne!(base, request(&Secret::new("other".to_owned()), "1", "GET", "/a", ""));
    }
}
