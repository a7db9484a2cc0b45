//! BitTrade ("Authentication", "Private WebSocket, Authentication"): the scheme of Huobi, over method, host, path and
//! sorted query.

use super::call::Call;
use super::json::Json;
use super::{Scheme, SignError, encode, no_message};

pub(super) const SCHEME: Scheme = Scheme { rest, login, message: no_message };

const METHOD: &str = "HmacSHA256";

/// All goes into the query; the body is not signed.
fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    call.json_body()?;
    call.leave_empty_body()?;
    let time = call.iso_seconds()?;
    let key = call.credentials.key.reveal();
    for (name, value) in
        [("AccessKeyId", key), ("SignatureMethod", METHOD), ("SignatureVersion", "2"), ("Timestamp", &time)]
    {
        call.append(name, value);
    }
    let mut pairs = encode::parse_query(&call.url.query);
    pairs.sort();
    let query = encode::pairs(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())), encoding(call));
    let (host, path) = (call.url.host.clone(), call.url.path.clone());
    let signature = call.base64(&[call.method.as_str(), "\n", &host, "\n", &path, "\n", &query]);
    call.append("Signature", &signature);
    Ok(())
}

fn encoding(call: &Call<'_>) -> fn(&mut String, &str) {
    if call.is_reference() { encode::plus } else { encode::strict }
}

/// Only `/ws/v2` knows a login; the reference client sends it everywhere.
fn login(call: &mut Call<'_>, _nonce: &str) -> Result<Option<Json>, SignError> {
    let path = encode::decoded_path(&call.url.path);
    if !call.is_reference() && path != "/ws/v2" {
        return Ok(None);
    }
    let time = call.iso_seconds()?;
    let key = call.credentials.key.reveal();
    let params = [("accessKey", key), ("signatureMethod", METHOD), ("signatureVersion", "2.1"), ("timestamp", &time)];
    let query = encode::pairs(params, encoding(call));
    let host = call.url.host.clone();
    let signature = call.base64(&["GET\n", &host, "\n", &path, "\n", &query]);
    let text = |value: &str| Json::text(value);
    let params = Json::map([
        ("authType", text("api")),
        ("accessKey", text(key)),
        ("signatureMethod", text(METHOD)),
        ("signatureVersion", text("2.1")),
        ("timestamp", text(&time)),
        ("signature", text(&signature)),
    ]);
    Ok(Some(Json::map([("action", text("req")), ("ch", text("auth")), ("params", params)])))
}
