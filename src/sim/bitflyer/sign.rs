//! Signatures of `auth` and of REST calls: hex of HMAC-SHA256 over a time and what is asked, checked with nothing of the
//! gateway's own. How the venue words a refusal of `auth` is known for no case; REST refusals are as libraries know them.

use serde_json::Value;

use super::Settings;
use crate::sim::signature;
use crate::sim::venue::Asked;

/// The `signature` of a text.
pub fn sign(secret: &str, text: &str) -> String {
    signature::hex(secret, &[text])
}

/// Whether a signature is one of these parts, in lower-case digits.
fn fits(settings: &Settings, parts: &[&str], shown: &str) -> bool {
    let is_lower = !shown.bytes().any(|byte| byte.is_ascii_uppercase());
    is_lower && signature::is_hex(settings.secret.reveal(), parts, shown)
}

/// Checks the headers of a REST call: the signature is over time, method, path with query, and body. Every refusal is
/// answered alike.
pub(super) fn admits(settings: &Settings, asked: &Asked<'_>) -> bool {
    let (Some(key), Some(time), Some(shown)) =
        (asked.header("ACCESS-KEY"), asked.header("ACCESS-TIMESTAMP"), asked.header("ACCESS-SIGN"))
    else {
        return false;
    };
    key == settings.key && fits(settings, &[time, asked.method, &asked.target(), asked.body], shown)
}

/// Why `auth` is refused: code, message and data.
pub(super) type Refusal = (i64, &'static str, &'static str);

/// Checks the parameters of `auth`.
pub(super) fn check(settings: &Settings, params: &Value) -> Result<(), Refusal> {
    let text = |name: &str| params[name].as_str();
    let (Some(key), Some(time), Some(nonce), Some(signature)) =
        (text("api_key"), params["timestamp"].as_u64(), text("nonce"), text("signature"))
    else {
        return Err((-32602, "Invalid params", "api_key, timestamp, nonce and signature are needed"));
    };
    if !(16..=255).contains(&nonce.len()) {
        return Err((-32602, "Invalid params", "nonce must have 16 to 255 characters"));
    }
    let is_ours = key == settings.key && fits(settings, &[&time.to_string(), nonce], signature);
    if is_ours { Ok(()) } else { Err((-32000, "Authentication failed", "invalid api_key or signature")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn known_signatures() {
        let auth = sign("testsecret", "1700000000000abcdef0123456789");
        assert_eq!(auth, "bc8e264e6e7802b7e02541ead584c6431d7d233afa4b16312520fc000976caa2");
        let call = sign("testsecret", "1700000000000GET/v1/me/getbalance");
        assert_eq!(call, "d3b87ccdfe5a8044b67c38e7fa5fabba08a57358b9730bc42b723900344056f2");
    }

    #[test]
    fn each_mistake_is_refused() {
        let good = json!({
            "api_key": "key", "timestamp": 1_700_000_000_000_u64, "nonce": "abcdef0123456789",
            "signature": sign("secret", "1700000000000abcdef0123456789"),
        });
        let code = |params: &Value| check(&Settings::default(), params).err().map(|(code, ..)| code);
        assert_eq!(code(&good), None);
        for (name, value, expected) in [
            ("api_key", json!("kez"), -32000),
            ("api_key", json!(null), -32602),
            ("timestamp", json!("1700000000000"), -32602),
            ("timestamp", json!(1_700_000_000_001_u64), -32000),
            ("nonce", json!("short"), -32602),
            ("nonce", json!("abcdef0123456780"), -32000),
            ("signature", json!(sign("secres", "1700000000000abcdef0123456789")), -32000),
            ("signature", json!(sign("secret", "1700000000000abcdef0123456789").to_uppercase()), -32000),
            ("signature", json!("no hex"), -32000),
        ] {
            let mut bad = good.clone();
            bad[name] = value;
            assert_eq!(code(&bad), Some(expected), "{bad}");
        }
    }
}
