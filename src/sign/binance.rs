//! Binance ("Request Security", "WebSocket API, Request Security"): parameters signed with an HMAC secret or an Ed25519
//! key, over REST and over the WebSocket API.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ed25519_dalek::{Signer as _, SigningKey};
use zeroize::Zeroizing;

use super::call::Call;
use super::json::Json;
use super::{Scheme, SignError, no_login, python};
use crate::secret::Secret;

pub(super) const SCHEME: Scheme = Scheme { rest, login: no_login, message };

/// What an Ed25519 key in PEM begins with; so does an RSA key.
const PEM: &str = "-----BEGIN PRIVATE KEY-----";
/// The last part of paths that need the key's name and no signature (security type `USER_STREAM`).
const LISTEN_KEYS: [&str; 3] = ["userDataStream", "listen-key", "listenKey"];

fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    if call.url.is_socket() {
        return Ok(());
    }
    call.set_key("X-MBX-APIKEY");
    let is_listen_key = call.url.segments().next_back().is_some_and(|name| LISTEN_KEYS.contains(&name.as_str()));
    if is_listen_key {
        return call.plain_body();
    }
    sign_query(call)
}

/// Time and signature go into the query, wherever the parameters are (MEXC's spot API does the same).
pub(super) fn sign_query(call: &mut Call<'_>) -> Result<(), SignError> {
    call.form_body()?;
    let time = call.ms();
    call.append("timestamp", &time);
    let payload = [call.url.query.as_str(), call.body()].concat();
    let signature = signature(call, &payload)?;
    call.append("signature", &signature);
    Ok(())
}

/// A request over the WebSocket API: its parameters sorted by name, not encoded.
fn message(call: &mut Call<'_>, message: &mut Json) -> Result<(), SignError> {
    let needs = SignError::Body("must be a JSON object, and its params too");
    if message.get("params").is_none() {
        message.set("params", Json::Map(Vec::new()));
    }
    let time = call.ms().parse().map(|ms: u64| Json::number(ms)).map_err(|_| SignError::Time)?;
    let Some(params @ Json::Map(_)) = message.get_mut("params") else { return Err(needs) };
    params.set("apiKey", Json::text(call.credentials.key.reveal()));
    params.set("timestamp", time);
    let counts = |key: &str| call.is_reference() || key != "signature";
    let mut sorted: Vec<_> = params.members().iter().filter(|(key, _)| counts(key)).collect();
    sorted.sort_by(|(one, _), (other, _)| one.cmp(other));
    let text = |value: &Json| match value {
        Json::Bool(_) | Json::Number(_) if !call.is_reference() => value.write(call.style()),
        value => python::str_of(value),
    };
    let payload: Vec<String> = sorted.into_iter().map(|(key, value)| format!("{key}={}", text(value))).collect();
    let signature = signature(call, &payload.join("&"))?;
    params.set("signature", Json::text(signature));
    Ok(())
}

fn signature(call: &mut Call<'_>, payload: &str) -> Result<String, SignError> {
    let secret = &call.credentials.secret;
    if call.is_reference() || !secret.reveal().trim_start().starts_with("-----BEGIN") {
        return Ok(call.hex(&[payload]));
    }
    let key = ed25519(secret)?;
    Ok(STANDARD.encode(key.sign(payload.as_bytes()).to_bytes()))
}

/// The key from its PEM (PKCS #8, RFC 8410).
fn ed25519(secret: &Secret) -> Result<SigningKey, SignError> {
    /// The key's algorithm, and the header of the 32 bytes that follow.
    const ALGORITHM: [u8; 7] = [0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70];
    const SEED: [u8; 4] = [0x04, 0x22, 0x04, 0x20];
    let wrong = SignError::Key("must be an Ed25519 key in PEM (-----BEGIN PRIVATE KEY-----), or an HMAC secret");
    let text = secret.reveal().trim().strip_prefix(PEM).and_then(|text| text.split("-----END").next());
    let base64: Zeroizing<String> = Zeroizing::new(text.unwrap_or_default().split_whitespace().collect());
    let der = STANDARD.decode(base64.as_bytes()).map(Zeroizing::new).map_err(|_| wrong.clone())?;
    let header = [ALGORITHM.as_slice(), &SEED].concat();
    let start = der.windows(header.len()).position(|window| window == header).ok_or_else(|| wrong.clone())?;
    let seed = der.get(start + header.len()..).and_then(|rest| rest.first_chunk()).ok_or(wrong)?;
    Ok(SigningKey::from_bytes(seed))
}

/// Whether a secret that looks like a key can be used as one.
pub(super) fn check(secret: &Secret) -> Result<(), SignError> {
    match secret.reveal().trim_start().starts_with("-----BEGIN") {
        true => ed25519(secret).map(drop),
        false => Ok(()),
    }
}
