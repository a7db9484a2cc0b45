//! KuCoin ("Authentication, Signing a Message", "WebSocket, Apply for connect token"): a socket is opened with a token in
//! its query.

use super::call::Call;
use super::json::Json;
use super::{Scheme, SignError, heartbeat, no_login, no_message};

pub(super) const SCHEME: Scheme = Scheme { rest, login: no_login, message: no_message };

/// Path and query are signed decoded, but for `+`, `=`, `&` and `;` in the query, without which it could not be told what a
/// parameter is; the passphrase is sent signed too.
fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    call.json_body()?;
    call.leave_empty_body()?;
    let (time, target, body) = (call.ms(), call.url.decoded_target(), call.body().to_owned());
    let sign = call.base64(&[&time, call.method.as_str(), &target, &body]);
    let passphrase = call.base64(&[call.passphrase()]);
    call.set("KC-API-SIGN", sign);
    call.set("KC-API-TIMESTAMP", time);
    call.set_key("KC-API-KEY");
    call.set("KC-API-PASSPHRASE", passphrase);
    call.set("KC-API-KEY-VERSION", "2");
    Ok(())
}

/// The address of a socket, from the answer to `POST /api/v1/bullet-private` (or `-public`) and an id of the caller's
/// making. Of its servers, the first one that is known to want heartbeats, else the first.
///
/// # Errors
/// The answer names no token or no server.
pub fn socket_url(answer: &Json, connect_id: &str) -> Result<String, SignError> {
    let missing = SignError::Answer("needs data.token and data.instanceServers[].endpoint");
    let data = answer.get("data").ok_or(missing.clone())?;
    let token = data.get("token").and_then(Json::as_text).ok_or(missing.clone())?;
    let servers = data.get("instanceServers").map(Json::items).unwrap_or_default();
    let endpoints = || servers.iter().filter_map(|server| server.get("endpoint").and_then(Json::as_text));
    let host = |endpoint: &str| endpoint.split("://").nth(1)?.split(['/', ':', '?']).next().map(str::to_owned);
    let known = endpoints().find(|endpoint| host(endpoint).is_some_and(|host| heartbeat::is_kucoin(&host)));
    let endpoint = known.or_else(|| endpoints().next()).ok_or(missing)?;
    Ok(format!("{endpoint}?token={token}&acceptUserMessage=true&connectId={connect_id}"))
}
