//! Hyperliquid ("Signing", and the official Python SDK's `signing.py`): actions signed with a wallet's key. Those of the
//! exchange's own chain are hashed from MessagePack, those of the user are typed data (EIP-712).

mod msgpack;
mod typed;
mod user;

use k256::ecdsa::SigningKey;
use sha3::{Digest, Keccak256};
use zeroize::Zeroizing;

use super::call::Call;
use super::json::Json;
use super::{Proof, Scheme, SignError, Typed, no_login};
use crate::secret::Secret;

pub(super) const SCHEME: Scheme = Scheme { rest, login: no_login, message };

fn rest(call: &mut Call<'_>) -> Result<(), SignError> {
    let path = super::encode::decoded_path(&call.url.path);
    if path.starts_with("/ws") || path.starts_with("/info") {
        return unsigned_body(call);
    }
    let mut data = call.data()?;
    sign(call, &mut data)?;
    call.write_json(&data);
    Ok(())
}

/// Questions are asked in JSON, whether there is an account or not; the host of anything else is not ours.
pub(super) fn unsigned_body(call: &mut Call<'_>) -> Result<(), SignError> {
    let is_ours = super::for_messages(&call.host, call.compat).is_some_and(|api| api.venue == "hyperliquid");
    if !is_ours || !super::encode::decoded_path(&call.url.path).starts_with("/info") {
        return call.plain_body();
    }
    call.json_body()?;
    call.leave_empty_body()
}

/// Actions may be posted over a socket too: `{"method": "post", "request": {"type": "action", "payload": …}}`.
fn message(call: &mut Call<'_>, message: &mut Json) -> Result<(), SignError> {
    let is_post = message.get("method").and_then(Json::as_text) == Some("post");
    let request = message.get_mut("request").filter(|_| is_post);
    let is_action = |request: &&mut Json| request.get("type").and_then(Json::as_text) == Some("action");
    match request.filter(is_action).and_then(|request| request.get_mut("payload")) {
        Some(payload @ Json::Map(_)) => sign(call, payload),
        _ => Ok(()),
    }
}

/// Puts nonce and signature into a request, if it has none.
fn sign(call: &mut Call<'_>, data: &mut Json) -> Result<(), SignError> {
    if data.get("nonce").is_none() {
        let now: u64 = call.ms().parse().map_err(|_| SignError::Time)?;
        data.set("nonce", Json::number(now));
    }
    if data.get("signature").is_some() {
        return Ok(());
    }
    let key = private_key(&call.credentials.key)?;
    let mut action = data.get("action").cloned().unwrap_or_else(|| Json::Map(Vec::new()));
    let is_mainnet = !call.host.contains("testnet");
    let mut proof = match user::is_signed_by_user(&action, call.is_reference())? {
        true => {
            let proof = user::typed(&mut action, is_mainnet, call.is_reference())?;
            data.set("action", action);
            proof
        }
        false => exchange_action(&action, data, is_mainnet, call.is_reference())?,
    };
    proof.digest = keccak(&[&[0x19, 0x01], &proof.domain_separator, &proof.struct_hash]);
    let (r, s, v) = signature(&key, &proof.digest)?;
    let texts = [("r", Json::text(&r)), ("s", Json::text(&s)), ("v", Json::number(v))];
    data.set("signature", Json::map(texts));
    proof.signature = (r, s, v);
    call.prove(Proof::Typed(Box::new(proof)));
    Ok(())
}

/// An action of the exchange's own chain: its hash is the value that is signed ("phantom agent").
fn exchange_action(action: &Json, data: &Json, is_mainnet: bool, is_reference: bool) -> Result<Typed, SignError> {
    let present = |key: &str| data.get(key).filter(|value| !matches!(value, Json::Null));
    let whole = |key: &str| {
        present(key)
            .map(|value| value.as_u64().ok_or(SignError::Body("nonce and expiresAfter are whole numbers")))
            .transpose()
    };
    let nonce = whole("nonce")?.ok_or(SignError::Body("nonce and expiresAfter are whole numbers"))?;
    let bytes = msgpack::pack(action)?;
    let mut hashed = bytes.clone();
    hashed.extend(nonce.to_be_bytes());
    match present("vaultAddress") {
        None => hashed.push(0),
        Some(vault) => {
            hashed.push(1);
            hashed.extend(vault_bytes(vault, is_reference)?);
        }
    }
    if let Some(expires) = whole("expiresAfter")? {
        hashed.push(0);
        hashed.extend(expires.to_be_bytes());
    }
    let action_hash = keccak(&[&hashed]);
    let source = if is_mainnet { "a" } else { "b" };
    let fields = vec![("source".to_owned(), "string"), ("connectionId".to_owned(), "bytes32")];
    let encoded = [keccak(&[source.as_bytes()]), action_hash];
    Ok(Typed {
        msgpack: Some(bytes),
        nonce,
        action_hash,
        source,
        domain: "Exchange",
        chain_id: 1337,
        struct_hash: typed::struct_hash("Agent", &fields, &encoded),
        primary_type: "Agent".to_owned(),
        fields,
        domain_separator: typed::domain_separator("Exchange", 1337),
        ..Typed::default()
    })
}

/// The 20 bytes of an address. The reference client takes it for a number, and so loses leading zeros.
fn vault_bytes(vault: &Json, is_reference: bool) -> Result<Vec<u8>, SignError> {
    let address = typed::address(vault)?;
    let zeros = address.iter().take_while(|byte| **byte == 0).count();
    if !is_reference {
        return Ok(address.to_vec());
    }
    match address.get(zeros) {
        Some(first) if *first >= 0x10 => Ok(address[zeros..].to_vec()),
        _ => Err(SignError::Body("vaultAddress begins with a zero, which the reference client cannot sign")),
    }
}

fn keccak(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Keccak256::new();
    parts.iter().for_each(|part| hash.update(part));
    hash.finalize().into()
}

/// The key from up to 64 hexadecimal digits, with or without `0x`.
pub(super) fn private_key(secret: &Secret) -> Result<SigningKey, SignError> {
    let wrong = SignError::Key("must be a wallet's private key: 0x and 64 hexadecimal digits");
    let text = secret.reveal().trim();
    let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
    if digits.is_empty() || digits.len() > 64 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong);
    }
    let padded = Zeroizing::new(format!("{digits:0>64}"));
    let mut bytes = Zeroizing::new([0u8; 32]);
    for (byte, pair) in bytes.iter_mut().zip(padded.as_bytes().chunks_exact(2)) {
        let digit = |at: usize| char::from(pair[at]).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        *byte = digit(0).zip(digit(1)).map_or(0, |(high, low)| high << 4 | low);
    }
    SigningKey::from_slice(bytes.as_slice()).map_err(|_| wrong)
}

/// `r` and `s` as the fewest hexadecimal digits, and `v` as 27 or 28.
fn signature(key: &SigningKey, digest: &[u8; 32]) -> Result<(String, String, u8), SignError> {
    let (signature, recovery) = key.sign_prehash_recoverable(digest).map_err(|_| SignError::Key("cannot sign this"))?;
    let (r, s) = signature.split_bytes();
    Ok((short_hex(&r), short_hex(&s), 27 + recovery.to_byte()))
}

fn short_hex(bytes: &[u8]) -> String {
    let digits = super::call::hex(bytes);
    match digits.trim_start_matches('0') {
        "" => "0x0".to_owned(),
        digits => format!("0x{digits}"),
    }
}
