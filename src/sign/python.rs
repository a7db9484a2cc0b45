//! What the reference client's language makes of JSON values where they become text: numbers, forms, query parameters.

use super::json::Json;

/// A number as `json.dumps` writes it.
pub(super) fn json_number(number: &str) -> String {
    match float(number) {
        None => whole(number).to_owned(),
        Some(value) if value.is_infinite() => if value > 0.0 { "Infinity" } else { "-Infinity" }.to_owned(),
        Some(value) => repr_float(value),
    }
}

/// What `str()` makes of a value.
pub(super) fn str_of(value: &Json) -> String {
    match value {
        Json::Text(text) => text.clone(),
        other => repr(other),
    }
}

/// What `repr()` makes of a value.
fn repr(value: &Json) -> String {
    let joined = |parts: Vec<String>| parts.join(", ");
    match value {
        Json::Null => "None".to_owned(),
        Json::Bool(true) => "True".to_owned(),
        Json::Bool(false) => "False".to_owned(),
        Json::Number(number) => float(number).map_or_else(|| whole(number).to_owned(), repr_float),
        Json::Text(text) => repr_text(text),
        Json::List(items) => format!("[{}]", joined(items.iter().map(repr).collect())),
        Json::Map(members) => {
            let member = |(key, value): &(String, Json)| format!("{}: {}", repr_text(key), repr(value));
            format!("{{{}}}", joined(members.iter().map(member).collect()))
        }
    }
}

fn repr_text(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut out = String::from(quote);
    for c in text.chars() {
        let code = u32::from(c);
        match c {
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            _ if c == quote => out.extend(['\\', c]),
            ' '..='~' => out.push(c),
            // What Rust does not print as it is, Python does not either.
            _ if c.is_alphanumeric() || c.escape_debug().next() == Some(c) => out.push(c),
            _ if code <= 0xff => out.push_str(&format!("\\x{code:02x}")),
            _ if code <= 0xffff => out.push_str(&format!("\\u{code:04x}")),
            _ => out.push_str(&format!("\\U{code:08x}")),
        }
    }
    out.push(quote);
    out
}

/// The value of a number that Python reads as a float.
fn float(number: &str) -> Option<f64> {
    number.contains(['.', 'e', 'E']).then(|| number.parse().unwrap_or(f64::NAN))
}

/// Python has no minus zero among whole numbers.
fn whole(number: &str) -> &str {
    if number == "-0" { "0" } else { number }
}

/// `repr()` of a float: the fewest digits that mean it, with an exponent below 1e-4 and from 1e16 on.
pub(super) fn repr_float(value: f64) -> String {
    if value.is_infinite() {
        return if value > 0.0 { "inf" } else { "-inf" }.to_owned();
    }
    let shortest = format!("{value:e}");
    // Of two texts as short and as near Python takes the even one. Of what is nearest, one reads as the value too.
    let digits = shortest.bytes().take_while(|byte| *byte != b'e').filter(u8::is_ascii_digit).count();
    let nearest = format!("{value:.*e}", digits.saturating_sub(1));
    let scientific = if nearest.parse() == Ok(value) { nearest } else { shortest };
    let (mantissa, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let (sign, mantissa) = mantissa.strip_prefix('-').map_or(("", mantissa), |rest| ("-", rest));
    let digits: String = mantissa.chars().filter(|c| *c != '.').collect();
    match usize::try_from(exponent) {
        Ok(places) if exponent < 16 => {
            let padded = format!("{digits:0<width$}", width = places + 1);
            let (whole, fraction) = padded.split_at(places + 1);
            format!("{sign}{whole}.{}", if fraction.is_empty() { "0" } else { fraction })
        }
        Err(_) if exponent >= -4 => {
            let zeros = "0".repeat(exponent.unsigned_abs() as usize - 1);
            format!("{sign}0.{zeros}{digits}")
        }
        _ => {
            let point = if digits.len() > 1 { "." } else { "" };
            let mark = if exponent < 0 { '-' } else { '+' };
            format!("{sign}{}{point}{}e{mark}{:02}", &digits[..1], &digits[1..], exponent.unsigned_abs())
        }
    }
}

/// `int(time.time() * 1000)` at this time: a float's rounding makes it a millisecond less now and then.
pub(super) fn time_ms(now_ms: u64) -> u64 {
    ((now_ms as f64 / 1000.0) * 1000.0) as u64
}

/// `int((time.time() + seconds) * 1000)`.
pub(super) fn time_ms_after(now_ms: u64, seconds: f64) -> u64 {
    ((now_ms as f64 / 1000.0 + seconds) * 1000.0) as u64
}

/// `str(time.time())`.
pub(super) fn time_text(now_ms: u64) -> String {
    repr_float(now_ms as f64 / 1000.0)
}

/// `round(time.time())`: half a second goes to the even one.
pub(super) fn time_rounded(now_ms: u64) -> u64 {
    (now_ms as f64 / 1000.0).round_ties_even() as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floats() {
        for (number, wanted) in [
            ("1.5", "1.5"),
            ("219.0", "219.0"),
            ("1e-5", "1e-05"),
            ("0.0001", "0.0001"),
            ("0.00012345", "0.00012345"),
            ("1e16", "1e+16"),
            ("1e15", "1000000000000000.0"),
            ("123456789012345678.0", "1.2345678901234568e+17"),
            ("-0.0", "-0.0"),
            ("0.1e-300", "1e-301"),
            ("5e-324", "5e-324"),
            ("1.7976931348623157e308", "1.7976931348623157e+308"),
            ("100.10", "100.1"),
            ("12", "12"),
            ("-0", "0"),
            ("1e999", "Infinity"),
            ("0.30000000000000004", "0.30000000000000004"),
            ("685644328791886.25", "685644328791886.2"),
            ("685644328791886.75", "685644328791886.8"),
            ("9007199254740993.0", "9007199254740992.0"),
        ] {
            assert_eq!(json_number(number), wanted, "{number}");
        }
    }

    #[test]
    fn values_in_forms() {
        let value = Json::parse(r#"[1, "a", "it's", "\"'", null, true, {"k": 1.0, "日": []}, "a\nb\u00a0"]"#).unwrap();
        let wanted = r#"[1, 'a', "it's", '"\'', None, True, {'k': 1.0, '日': []}, 'a\nb\xa0']"#;
        assert_eq!(str_of(&value), wanted);
        assert_eq!(str_of(&Json::text("a'b")), "a'b");
    }

    #[test]
    fn times() {
        assert_eq!(time_text(1_607_417_804_123), "1607417804.123");
        assert_eq!(time_text(1_607_417_805_000), "1607417805.0");
        assert_eq!(time_text(1_607_417_806_120), "1607417806.12");
        assert_eq!([1_500, 2_500, 2_501].map(time_rounded), [2, 2, 3]);
    }
}
