//! How a venue's clock is read over REST, for venues that refuse signed calls whose time is not theirs.

use serde::Deserialize;
use serde_json::value::RawValue;

/// Refusals are short: of longer answers nothing is read.
const REFUSAL_MAX: usize = 4 * 1024;

/// See the module.
#[derive(Clone, Copy, Debug)]
pub struct ServerTime {
    /// The path that tells the time at the host whose signed path this is; `None` where there is none.
    pub path: fn(signed: &str) -> Option<String>,
    /// Milliseconds since 1970, from its answer.
    pub read: fn(body: &[u8]) -> Option<u64>,
    /// Whether this answer refuses a signed call for its time, and for nothing else.
    pub refuses: fn(body: &[u8]) -> bool,
}

/// What is behind `marker` of a path replaced by this; what is before it (a proxy's own path) stays.
pub(super) fn beside(signed: &str, marker: &str, path: &str) -> Option<String> {
    signed.find(marker).map(|at| format!("{}{path}", &signed[..at]))
}

/// The number or text under this key of a short answer.
pub(super) fn code<'b>(body: &'b [u8], key: fn(&Codes<'b>) -> Option<&'b RawValue>) -> Option<&'b str> {
    if body.len() > REFUSAL_MAX {
        return None;
    }
    let codes: Codes<'_> = serde_json::from_slice(body).ok()?;
    key(&codes).map(|raw| raw.get().trim_matches('"'))
}

/// Under which keys venues say what is wrong.
#[derive(Deserialize)]
pub(super) struct Codes<'b> {
    /// Binance, OKX.
    #[serde(borrow)]
    pub(super) code: Option<&'b RawValue>,
    /// Bybit.
    #[serde(borrow, rename = "retCode")]
    pub(super) ret_code: Option<&'b RawValue>,
}

#[cfg(test)]
mod tests {
    use crate::venue::{ServerTime, VENUES, find};

    fn of(venue: &str) -> ServerTime {
        find(venue).and_then(|venue| venue.server_time).expect("it has one")
    }

    #[test]
    fn each_venue_tells_its_time_beside_what_is_signed() {
        for (venue, signed, path, told) in [
            ("binance", "/api/v3/account", "/api/v3/time", r#"{"serverTime":1499827319559}"#),
            ("binance", "/sapi/v1/capital/config/getall", "/api/v3/time", r#"{"serverTime":1499827319559}"#),
            ("binance", "/proxy/fapi/v3/account", "/proxy/fapi/v1/time", r#"{"serverTime":1499827319559}"#),
            ("binance", "/dapi/v1/account", "/dapi/v1/time", r#"{"serverTime":1499827319559}"#),
            (
                "bybit",
                "/v5/account/info",
                "/v5/market/time",
                r#"{"retCode":0,"result":{"timeSecond":"1499827319","timeNano":"1499827319559123456"},"time":1499827319600}"#,
            ),
            (
                "okx",
                "/api/v5/account/balance",
                "/api/v5/public/time",
                r#"{"code":"0","msg":"","data":[{"ts":"1499827319559"}]}"#,
            ),
            (
                "okj",
                "/api/v5/account/balance",
                "/api/v5/public/time",
                r#"{"code":"0","msg":"","data":[{"ts":"1499827319559"}]}"#,
            ),
        ] {
            let server_time = of(venue);
            assert_eq!((server_time.path)(signed).as_deref(), Some(path), "{venue}");
            assert_eq!((server_time.read)(told.as_bytes()), Some(1_499_827_319_559), "{venue}");
            for other in ["", "{}", "[]", "<p>", r#"{"serverTime":"x","data":[],"result":{}}"#] {
                assert_eq!((server_time.read)(other.as_bytes()), None, "{venue}: {other}");
            }
            assert_eq!((server_time.path)("/"), None, "{venue}");
        }
    }

    #[test]
    fn only_a_refusal_for_the_time_is_one() {
        for (venue, refusal, other) in [
            (
                "binance",
                r#"{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}"#,
                r#"{"code":-1022,"msg":""}"#,
            ),
            (
                "bybit",
                r#"{"retCode":10002,"retMsg":"invalid request, please check your server timestamp"}"#,
                r#"{"retCode":10003}"#,
            ),
            ("okx", r#"{"msg":"Timestamp request expired","code":"50102"}"#, r#"{"msg":"","code":"50113"}"#),
        ] {
            let refuses = of(venue).refuses;
            assert!(refuses(refusal.as_bytes()), "{venue}");
            let long = format!("{}{}", refusal, " ".repeat(5_000));
            for other in [other, "", "[]", "{\"code\":{}}", &long] {
                assert!(!refuses(other.as_bytes()), "{venue}: {other}");
            }
        }
        let without: Vec<_> = VENUES.iter().filter(|venue| venue.server_time.is_none()).map(|venue| venue.id).collect();
        assert_eq!(without, ["bitflyer", "other", "quik"]);
    }
}
