//! Signatures of requests: HMAC-SHA256 in hex, or Ed25519 in base64, over the text before the signature.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, UnparsedPublicKey};
use thiserror::Error;

use super::Settings;
use crate::sim::signature;

/// How far ahead of the venue's clock a timestamp may be, ms.
const AHEAD: u64 = 1_000;
/// How old it may be unless `recvWindow` says otherwise, ms.
const USUAL_WINDOW: u64 = 5_000;
const LONGEST_WINDOW: u64 = 60_000;
/// What stands before the 32 bytes of an Ed25519 key in a `PUBLIC KEY` file.
const HEADER: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// The public half of an Ed25519 key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey([u8; 32]);

/// Why a file holds no [`PublicKey`].
#[derive(Debug, Error)]
pub enum PublicKeyError {
    /// It cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// The system's words.
        source: std::io::Error,
    },
    /// It holds something else.
    #[error("{path} must be an Ed25519 key in PEM: -----BEGIN PUBLIC KEY-----")]
    Form {
        /// The file.
        path: String,
    },
}

impl PublicKey {
    /// Reads a PEM file as `openssl pkey -pubout` writes it.
    ///
    /// # Errors
    /// When it cannot be read or is no such file.
    pub fn read(path: &Path) -> Result<Self, PublicKeyError> {
        let name = || path.display().to_string();
        let text = std::fs::read_to_string(path).map_err(|source| PublicKeyError::Read { path: name(), source })?;
        Self::parse(&text).ok_or_else(|| PublicKeyError::Form { path: name() })
    }

    fn parse(pem: &str) -> Option<Self> {
        let (_, rest) = pem.split_once("-----BEGIN PUBLIC KEY-----")?;
        let (body, _) = rest.split_once("-----END PUBLIC KEY-----")?;
        let body: String = body.split_whitespace().collect();
        let key = STANDARD.decode(body).ok()?;
        key.strip_prefix(&HEADER)?.try_into().ok().map(Self)
    }
}

/// A refusal: HTTP status, the venue's code and words.
pub(super) type Refusal = (u16, i32, String);

/// The `signature` of a text: hex of HMAC-SHA256.
pub fn sign(secret: &str, text: &str) -> String {
    signature::hex(secret, &[text])
}

/// Whether this is the account's key.
pub(super) fn check_key(settings: &Settings, key: Option<&str>) -> Result<(), Refusal> {
    match key {
        None | Some("") => Err((401, -2_014, "API-key format invalid.".to_owned())),
        Some(key) if key == settings.key => Ok(()),
        Some(_) => Err((401, -2_015, "Invalid API-key, IP, or permissions for action.".to_owned())),
    }
}

/// Whether a signature is one of `text`, by either key.
fn fits(settings: &Settings, text: &str, signature: &str) -> bool {
    let by_secret = signature::is_hex(settings.secret.reveal(), &[text], signature);
    by_secret
        || settings.public_key.as_ref().zip(STANDARD.decode(signature).ok()).is_some_and(|(key, signature)| {
            UnparsedPublicKey::new(&ED25519, key.0).verify(text.as_bytes(), &signature).is_ok()
        })
}

/// What a signed request shows.
pub(super) struct Shown<'a> {
    /// What was signed.
    pub(super) text: &'a str,
    pub(super) signature: Option<&'a str>,
    pub(super) timestamp: Option<&'a str>,
    pub(super) recv_window: Option<&'a str>,
}

/// Checks time and signature at `now_ms`.
pub(super) fn check(settings: &Settings, shown: &Shown<'_>, now_ms: u64) -> Result<(), Refusal> {
    let missing =
        |name: &str| (400, -1_102, format!("Mandatory parameter '{name}' was not sent, was empty/null, or malformed."));
    let signature = shown.signature.filter(|text| !text.is_empty()).ok_or_else(|| missing("signature"))?;
    let timestamp: u64 = shown.timestamp.and_then(|text| text.parse().ok()).ok_or_else(|| missing("timestamp"))?;
    let window = match shown.recv_window {
        None => USUAL_WINDOW,
        Some(text) => text.parse().map_err(|_| missing("recvWindow"))?,
    };
    if window > LONGEST_WINDOW {
        return Err((400, -1_131, format!("recvWindow must be less than {LONGEST_WINDOW}.")));
    }
    if timestamp >= now_ms + AHEAD {
        let words = "Timestamp for this request was 1000ms ahead of the server's time.";
        return Err((400, -1_021, words.to_owned()));
    }
    if now_ms.saturating_sub(timestamp) > window {
        return Err((400, -1_021, "Timestamp for this request is outside of the recvWindow.".to_owned()));
    }
    if fits(settings, shown.text, signature) {
        return Ok(());
    }
    Err((400, -1_022, "Signature for this request is not valid.".to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ring::signature::{Ed25519KeyPair, KeyPair as _};

    const NOW: u64 = 1_700_000_000_000;

    #[test]
    fn known_signatures() {
        let signed = sign("testsecret", "symbol=BTCUSDT&timestamp=1700000000000");
        assert_eq!(signed, "602823b4810bbbb87775916a63df6d7817c1473676d92214a0a216109fb1c8ec");
        let text = "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000&\
                    timestamp=1499827319559";
        let secret = "NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
        assert_eq!(sign(secret, text), "c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71");
    }

    fn code(settings: &Settings, timestamp: u64, window: Option<&str>, signature: Option<&str>) -> Option<i32> {
        let text = format!("timestamp={timestamp}");
        let right = sign("secret", &text);
        let shown = Shown {
            text: &text,
            signature: Some(signature.unwrap_or(&right)),
            timestamp: Some(&text[10..]),
            recv_window: window,
        };
        check(settings, &shown, NOW).err().map(|(_, code, _)| code)
    }

    #[test]
    fn each_mistake_has_its_code() {
        let settings = Settings::default();
        assert_eq!(code(&settings, NOW, None, None), None);
        assert_eq!(code(&settings, NOW + 999, None, None), None);
        assert_eq!(code(&settings, NOW + 1_000, None, None), Some(-1_021));
        assert_eq!(code(&settings, NOW - 5_000, None, None), None);
        assert_eq!(code(&settings, NOW - 5_001, None, None), Some(-1_021));
        assert_eq!(code(&settings, NOW - 5_001, Some("6000"), None), None);
        assert_eq!(code(&settings, NOW, Some("60001"), None), Some(-1_131));
        assert_eq!(code(&settings, NOW, None, Some("00ff")), Some(-1_022));
        assert_eq!(code(&settings, NOW, None, Some("no hex ä")), Some(-1_022));
        assert_eq!(code(&settings, NOW, None, Some("")), Some(-1_102));
        assert_eq!(check_key(&settings, None).unwrap_err().1, -2_014);
        assert_eq!(check_key(&settings, Some("other")).unwrap_err().1, -2_015);
    }

    #[test]
    fn an_ed25519_key_signs_too() {
        let pair = Ed25519KeyPair::from_seed_unchecked(&[7; 32]).unwrap();
        let der = [&HEADER, pair.public_key().as_ref()].concat();
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", STANDARD.encode(der));
        let settings = Settings { public_key: PublicKey::parse(&pem), ..Settings::default() };
        assert!(settings.public_key.is_some());
        let signature = STANDARD.encode(pair.sign(format!("timestamp={NOW}").as_bytes()));
        assert_eq!(code(&settings, NOW, None, Some(&signature)), None);
        let other = STANDARD.encode(pair.sign(b"something else"));
        assert_eq!(code(&settings, NOW, None, Some(&other)), Some(-1_022));
        assert_eq!(PublicKey::parse("-----BEGIN PRIVATE KEY-----"), None);
    }
}
