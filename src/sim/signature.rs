//! Signatures as the simulated venues check them: HMAC-SHA256 in the spellings that venues use, put together from their
//! documentation and not from what signs for us.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use sha2::Sha256;

/// HMAC-SHA256 over the parts one after the other.
fn mac(secret: &str, parts: &[&str]) -> Option<Hmac<Sha256>> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).ok()?;
    parts.iter().for_each(|part| mac.update(part.as_bytes()));
    Some(mac)
}

/// The signature of the parts in lower-case hexadecimal digits.
pub fn hex(secret: &str, parts: &[&str]) -> String {
    // A MAC takes a key of any length: there always is one.
    let bytes = mac(secret, parts).map(|mac| mac.finalize().into_bytes());
    bytes.iter().flatten().map(|byte| format!("{byte:02x}")).collect()
}

/// The signature of the parts in base64.
pub fn base64(secret: &str, parts: &[&str]) -> String {
    mac(secret, parts).map_or_else(String::new, |mac| STANDARD.encode(mac.finalize().into_bytes()))
}

/// Whether hexadecimal digits are the signature of the parts.
pub(super) fn is_hex(secret: &str, parts: &[&str], signature: &str) -> bool {
    let pair = |at| u8::from_str_radix(signature.get(at..at + 2)?, 16).ok();
    let bytes: Option<Vec<u8>> = (0..signature.len()).step_by(2).map(pair).collect();
    bytes.is_some_and(|bytes| is_of(secret, parts, &bytes))
}

/// Whether base64 is the signature of the parts.
pub(super) fn is_base64(secret: &str, parts: &[&str], signature: &str) -> bool {
    STANDARD.decode(signature).is_ok_and(|bytes| is_of(secret, parts, &bytes))
}

fn is_of(secret: &str, parts: &[&str], bytes: &[u8]) -> bool {
    mac(secret, parts).is_some_and(|mac| mac.verify_slice(bytes).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_signatures() {
        let signed = hex("testsecret", &["GET/realtime", "1700000000000"]);
        assert_eq!(signed, "64ea204643e548a1723959592ed1afb01f1043a3b0d36cc6e7bdd8053971fbc3");
        assert!(is_hex("testsecret", &["GET/realtime1700000000000"], &signed));
        let login = "nbqmCslY7ltfyiVOn8iY7qsU13F+ycpPNKvAVTNSMVc=";
        assert_eq!(base64("testsecret", &["1700000000", "GET", "/users/self/verify"]), login);
        assert!(is_base64("testsecret", &["1700000000GET/users/self/verify"], login));
    }

    #[test]
    fn what_is_no_signature_is_refused() {
        for odd in ["", "0", "zz", "ä", "64ea"] {
            assert!(!is_hex("s", &["x"], odd) && !is_base64("s", &["x"], odd), "{odd}");
        }
        assert!(!is_hex("s", &["x"], &hex("t", &["x"])) && !is_hex("s", &["x"], &hex("s", &["y"])));
    }
}
