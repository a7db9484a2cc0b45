//! Logging in over a websocket: the signature and what is wrong with a bad one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde::Deserialize;
use sha2::Sha256;

use super::Settings;

/// How old a timestamp may be, s.
const VALID: u64 = 30;

/// What a client shows.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Credentials {
    api_key: String,
    passphrase: String,
    timestamp: String,
    sign: String,
}

/// A refusal: the venue's code and words.
pub(super) type Refusal = (u32, String);

/// Checks what a client shows at `now_s` seconds since 1970.
pub(super) fn check(settings: &Settings, shown: &Credentials, now_s: u64) -> Result<(), Refusal> {
    let given = [
        ("apiKey", &shown.api_key),
        ("passphrase", &shown.passphrase),
        ("timestamp", &shown.timestamp),
        ("sign", &shown.sign),
    ];
    if let Some((name, _)) = given.into_iter().find(|(_, value)| value.is_empty()) {
        return Err((60_027, format!("Parameter {name} can not be empty.")));
    }
    let time: u64 = shown.timestamp.parse().map_err(|_| (60_004, "Invalid timestamp".to_owned()))?;
    if time.abs_diff(now_s) > VALID {
        return Err((60_006, "Timestamp request expired".to_owned()));
    }
    if shown.api_key != settings.key {
        return Err((60_005, "Invalid apiKey".to_owned()));
    }
    let sign = STANDARD.decode(&shown.sign).unwrap_or_default();
    if mac(settings.secret.reveal(), &shown.timestamp).is_none_or(|mac| mac.verify_slice(&sign).is_err()) {
        return Err((60_007, "Invalid sign".to_owned()));
    }
    if shown.passphrase != settings.passphrase.reveal() {
        return Err((60_024, "Wrong passphrase".to_owned()));
    }
    Ok(())
}

/// The `sign` of a login: base64 of HMAC-SHA256 over the timestamp (whole seconds since 1970), `GET` and
/// `/users/self/verify`.
pub fn sign(secret: &str, timestamp: &str) -> String {
    // A MAC takes a key of any length: there always is one.
    mac(secret, timestamp).map_or_else(String::new, |mac| STANDARD.encode(mac.finalize().into_bytes()))
}

fn mac(secret: &str, timestamp: &str) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    mac.update(timestamp.as_bytes());
    mac.update(b"GET/users/self/verify");
    Some(mac)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn shown() -> Credentials {
        let (api_key, passphrase) = ("key".to_owned(), "phrase".to_owned());
        Credentials { api_key, passphrase, timestamp: NOW.to_string(), sign: sign("secret", &NOW.to_string()) }
    }

    fn code(shown: Credentials, now_s: u64) -> Option<u32> {
        check(&Settings::default(), &shown, now_s).err().map(|(code, _)| code)
    }

    #[test]
    fn a_known_signature() {
        assert_eq!(sign("testsecret", "1700000000"), "nbqmCslY7ltfyiVOn8iY7qsU13F+ycpPNKvAVTNSMVc=");
    }

    #[test]
    fn each_mistake_has_its_code() {
        assert_eq!(code(shown(), NOW), None);
        assert_eq!(code(shown(), NOW + 30), None);
        assert_eq!(code(shown(), NOW + 31), Some(60_006));
        assert_eq!(code(shown(), NOW - 31), Some(60_006));
        let wrong = |change: fn(&mut Credentials)| {
            let mut shown = shown();
            change(&mut shown);
            code(shown, NOW)
        };
        assert_eq!(wrong(|shown| shown.timestamp = "2023-11-14T22:13:20Z".to_owned()), Some(60_004));
        assert_eq!(wrong(|shown| shown.api_key = "kex".to_owned()), Some(60_005));
        assert_eq!(wrong(|shown| shown.sign = sign("secrex", "1700000000")), Some(60_007));
        assert_eq!(wrong(|shown| shown.sign = "not base64".to_owned()), Some(60_007));
        assert_eq!(wrong(|shown| shown.passphrase = "phrax".to_owned()), Some(60_024));
        assert_eq!(wrong(|shown| shown.sign.clear()), Some(60_027));
    }
}
