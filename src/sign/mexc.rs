//! MEXC: the spot API is signed as Binance's is (Spot V3, "SIGNED"), futures by headers (Futures, "Authentication method").

use super::call::Call;
use super::json::Json;
use super::{Method, Scheme, SignError, binance, encode, no_message};

pub(super) const SCHEME: Scheme = Scheme { rest, login, message: no_message };

fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    if call.host != "api.mexc.com" {
        return futures(call);
    }
    binance::sign_query(call)?;
    call.set_key("X-MEXC-APIKEY");
    // The reference client says JSON of what is a form.
    if call.is_reference() {
        call.set_json_type();
    }
    Ok(())
}

/// The query is sorted for the signature only.
fn futures(call: &mut Call<'_>) -> Result<(), SignError> {
    let by_query = matches!(call.method, Method::Get | Method::Delete);
    let signed = if by_query && matches!(call.url.scheme, "https" | "http") {
        match call.is_reference() {
            true => call.plain_body()?,
            false => call.json_body()?,
        }
        let mut pairs = encode::parse_query(&call.url.query);
        pairs.sort();
        let encode = if call.is_reference() { encode::yarl } else { encode::strict };
        encode::pairs(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())), encode)
    } else {
        call.json_body()?;
        call.body().to_owned()
    };
    let time = call.ms();
    let key = call.credentials.key.reveal();
    let sign = call.hex(&[key, &time, &signed]);
    call.set_key("ApiKey");
    call.set("Request-Time", time);
    call.set("Signature", sign);
    call.set_json_type();
    Ok(())
}

/// Documented in milliseconds; the reference client sends seconds.
fn login(call: &mut Call<'_>, _nonce: &str) -> Result<Option<Json>, SignError> {
    let time = if call.is_reference() { call.seconds().to_string() } else { call.ms() };
    let key = call.credentials.key.reveal();
    let sign = call.hex(&[key, &time]);
    let param =
        Json::map([("apiKey", Json::text(key)), ("reqTime", Json::Text(time)), ("signature", Json::Text(sign))]);
    Ok(Some(Json::map([("method", Json::text("login")), ("param", param)])))
}
