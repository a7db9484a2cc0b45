//! OKX and OKJ: base64 of HMAC-SHA256 (OKX API v5, "REST authentication" and "WebSocket login").

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use crate::secret::Secret;

/// The path that a socket's login signs.
const LOGIN_PATH: &str = "/users/self/verify";

/// The signature of a socket's login; `seconds` since 1970 is also sent with it, and holds for 30 s.
pub fn login(secret: &Secret, seconds: u64) -> String {
    request(secret, &seconds.to_string(), "GET", LOGIN_PATH, "")
}

/// The signature of a REST request. `timestamp` is what the header `OK-ACCESS-TIMESTAMP` says (`2023-11-14T22:13:20.000Z`),
/// `path` has its query, `body` is empty where there is none.
pub fn request(secret: &Secret, timestamp: &str, method: &str, path: &str, body: &str) -> String {
    sign(secret, &[timestamp, method, path, body])
}

fn sign(secret: &Secret, parts: &[&str]) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
        // HMAC takes keys of any length.
        return String::new();
    };
    parts.iter().for_each(|part| mac.update(part.as_bytes()));
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret() -> Secret {
        Secret::new("testsecret".to_owned())
    }

    #[test]
    fn worked_examples() {
        assert_eq!(login(&secret(), 1_700_000_000), "nbqmCslY7ltfyiVOn8iY7qsU13F+ycpPNKvAVTNSMVc=");
        let path = "/api/v5/account/balance?ccy=BTC";
        let signed = request(&secret(), "2023-11-14T22:13:20.000Z", "GET", path, "");
        assert_eq!(signed, "r08bS9X5FPzXyC41sXd/6luwKLvhbqC8Xxp2xjtbENw=");
    }

    #[test]
    fn every_part_counts() {
        let signed = |timestamp, method, path, body| request(&secret(), timestamp, method, path, body);
        let base = signed("1", "GET", "/a", "");
        for other in [signed("2", "GET", "/a", ""), signed("1", "POST", "/a", ""), signed("1", "GET", "/b", "")] {
            assert_ne!(base, other);
        }
        assert_ne!(base, signed("1", "GET", "/a", "{}"));
        assert_ne!(base, request(&Secret::new("other".to_owned()), "1", "GET", "/a", ""));
    }
}
