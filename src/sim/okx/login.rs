//! Logging in over a websocket and signing REST requests: the signature and what is wrong with a bad one.

use serde::Deserialize;

use super::Settings;
use crate::sim::signature;
use crate::sim::venue::Asked;

/// How old a timestamp may be, s.
const VALID: u64 = 30;
/// What is signed behind the timestamp.
const VERIFY: &str = "GET/users/self/verify";

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
    if !signature::is_base64(settings.secret.reveal(), &[&shown.timestamp, VERIFY], &shown.sign) {
        return Err((60_007, "Invalid sign".to_owned()));
    }
    if shown.passphrase != settings.passphrase.reveal() {
        return Err((60_024, "Wrong passphrase".to_owned()));
    }
    Ok(())
}

/// Checks the headers of a REST request at `now_ms`: the signature is over time, method, path with query, and body.
pub(super) fn check_request(settings: &Settings, asked: &Asked<'_>, now_ms: u64) -> Result<(), Refusal> {
    let need = |name: &str, code| {
        asked.header(name).ok_or_else(|| (code, format!("Request header \"{name}\" can not be empty.")))
    };
    let key = need("OK-ACCESS-KEY", 50_103)?;
    let passphrase = need("OK-ACCESS-PASSPHRASE", 50_104)?;
    let sign = need("OK-ACCESS-SIGN", 50_106)?;
    let timestamp = need("OK-ACCESS-TIMESTAMP", 50_107)?;
    let time: jiff::Timestamp = timestamp.parse().map_err(|_| (50_112, "Invalid OK-ACCESS-TIMESTAMP".to_owned()))?;
    if u64::try_from(time.as_millisecond()).map_or(u64::MAX, |ms| ms.abs_diff(now_ms)) > VALID * 1_000 {
        return Err((50_102, "Timestamp request expired".to_owned()));
    }
    if key != settings.key {
        return Err((50_111, "Invalid OK-ACCESS-KEY".to_owned()));
    }
    let parts = [timestamp, asked.method, &asked.target(), asked.body];
    if !signature::is_base64(settings.secret.reveal(), &parts, sign) {
        return Err((50_113, "Invalid Sign".to_owned()));
    }
    if passphrase != settings.passphrase.reveal() {
        return Err((50_105, "Request header \"OK-ACCESS-PASSPHRASE\" incorrect.".to_owned()));
    }
    Ok(())
}

/// The `sign` of a login: base64 of HMAC-SHA256 over the timestamp (whole seconds since 1970), `GET` and
/// `/users/self/verify`.
pub fn sign(secret: &str, timestamp: &str) -> String {
    signature::base64(secret, &[timestamp, VERIFY])
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
