//! What the listing says an address may ask for in a minute.

use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Info<'a> {
    #[serde(borrow)]
    rate_limits: Vec<Limit<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Limit<'a> {
    rate_limit_type: &'a str,
    interval: &'a str,
    interval_num: u32,
    limit: u32,
}

/// Weight that may leave in a minute, where the answer to `exchangeInfo` says so: four fifths of the venue's.
pub(super) fn told(path: &str, body: &[u8]) -> Option<u32> {
    if !path.ends_with("/exchangeInfo") {
        return None;
    }
    let Info { rate_limits } = serde_json::from_slice(body).ok()?;
    let is_of_minute = |limit: &&Limit<'_>| {
        (limit.rate_limit_type, limit.interval, limit.interval_num) == ("REQUEST_WEIGHT", "MINUTE", 1)
            && limit.limit > 0
    };
    rate_limits.iter().find(is_of_minute).map(|limit| (limit.limit / 5 * 4).max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_weight_of_a_minute_is_read() {
        let said = |limits: &str| {
            told(
                "/api/v3/exchangeInfo",
                format!(r#"{{"timezone":"UTC","rateLimits":[{limits}],"symbols":[{{}}]}}"#).as_bytes(),
            )
        };
        let limit = |kind: &str, num: u32, limit: u32| {
            format!(r#"{{"rateLimitType":"{kind}","interval":"MINUTE","intervalNum":{num},"limit":{limit}}}"#)
        };
        let (weight, orders) = (limit("REQUEST_WEIGHT", 1, 600), limit("ORDERS", 1, 50));
        assert_eq!(said(&format!("{orders},{weight}")), Some(480));
        assert_eq!((said(&orders), said(""), said(&limit("REQUEST_WEIGHT", 5, 600))), (None, None, None));
        assert_eq!((said(&limit("REQUEST_WEIGHT", 1, 0)), said("{}")), (None, None));
        assert_eq!(told("/api/v3/time", format!(r#"{{"rateLimits":[{weight}]}}"#).as_bytes()), None);
        assert_eq!(told("/api/v3/exchangeInfo", b"<html>"), None);
    }
}
