//! The texts bitFlyer sends. Numbers are JSON numbers, whole ones with `.0`, tiny ones with an exponent.

use serde_json::{Value, json};

use crate::model::{Decimal, UnixNanos};
use crate::sim::market::Level;

use super::catalog::Spec;

/// A message of a channel.
pub(super) fn frame(channel: &str, message: &str) -> Vec<u8> {
    let head = r#"{"jsonrpc":"2.0","method":"channelMessage","params":{"channel":""#;
    format!("{head}{channel}\",\"message\":{message}}}}}").into_bytes()
}

/// The answer to a request that was carried out.
pub(super) fn done(id: &Value) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "result": true})
}

/// The answer to a request that was not.
pub(super) fn failed(id: &Value, code: i64, message: &str, data: &str) -> Value {
    json!({"jsonrpc": "2.0", "id": id, "error": {"code": code, "message": message, "data": data}})
}

/// A number as the venue writes it: `12345678.0`, `0.05`, `1e-08`.
pub(super) fn number(value: Decimal) -> String {
    let value = value.trimmed();
    let digits = value.mantissa.to_string();
    let places = usize::from(value.scale);
    if places == 0 {
        return format!("{digits}.0");
    }
    // Below 0.0001.
    if digits.len() + 4 <= places {
        let (first, rest) = digits.split_at(1);
        let point = if rest.is_empty() { "" } else { "." };
        return format!("{first}{point}{rest}e-{:02}", places - (digits.len() - 1));
    }
    value.to_string()
}

fn levels(spec: &Spec, levels: &[Level]) -> String {
    let level = |level: &Level| {
        let (price, size) = (number(spec.price(level.ticks)), number(spec.size(level.lots)));
        format!(r#"{{"price":{price},"size":{size}}}"#)
    };
    levels.iter().map(level).collect::<Vec<_>>().join(",")
}

/// A message of both channels of a book.
pub(super) fn board(spec: &Spec, middle: i64, bids: &[Level], asks: &[Level]) -> String {
    let middle = number(spec.price(middle));
    format!(r#"{{"mid_price":{middle},"bids":[{}],"asks":[{}]}}"#, levels(spec, bids), levels(spec, asks))
}

/// A time in UTC: seven places behind the second, and a `Z` over the websocket.
pub(super) fn time(at: UnixNanos, z: bool) -> String {
    let second = jiff::Timestamp::from_second(i64::try_from(at.0 / 1_000_000_000).unwrap_or(0)).unwrap_or_default();
    let places = at.0 % 1_000_000_000 / 100;
    format!("{}.{places:07}{}", second.strftime("%Y-%m-%dT%H:%M:%S"), if z { "Z" } else { "" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_spelled_as_on_the_venue() {
        let written = |text: &str| number(Decimal::parse(text.as_bytes()).unwrap());
        for (text, expected) in [
            ("12345678", "12345678.0"),
            ("0", "0.0"),
            ("0.050", "0.05"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("0.00000001", "1e-08"),
            ("0.00001234", "1.234e-05"),
            ("285.5", "285.5"),
        ] {
            assert_eq!(written(text), expected, "{text}");
            let read: Decimal = Decimal::parse(expected.as_bytes()).unwrap();
            assert_eq!(read.trimmed(), Decimal::parse(text.as_bytes()).unwrap().trimmed(), "{text}");
        }
    }

    #[test]
    fn times_have_seven_places() {
        let at = UnixNanos(1_554_959_652_373_991_512);
        assert_eq!(time(at, true), "2019-04-11T05:14:12.3739915Z");
        assert_eq!(time(at, false), "2019-04-11T05:14:12.3739915");
    }
}
