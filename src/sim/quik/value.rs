//! What the terminal's Lua hands out, and the text that the Lua server makes of it, with each of its habits: absent
//! fields vanish, empty tables are `[]`, integers have 14 digits, and the order of members is another in each run.

use std::fmt::Write as _;

use encoding_rs::WINDOWS_1251;

use crate::model::Decimal;

/// Significant digits that Lua's `%.14g` keeps.
const DIGITS: usize = 14;
/// Integers beyond this are printed in full.
const FULL_INTEGERS_FROM: u64 = 2_000_000_000_000_000;

/// A Lua value on its way into an answer or an event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Value {
    /// Absent: a field with it vanishes.
    Nil,
    /// A truth value.
    Bool(bool),
    /// A number without a fraction.
    Int(i64),
    /// Text.
    Text(String),
    /// Text in windows-1251 that nobody converted.
    Cp1251(String),
    /// A table that counts from 1.
    List(Vec<Self>),
    /// A table with names.
    Table(Vec<(&'static str, Self)>),
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Bool(value)
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl Value {
    /// The value, or nothing where Lua's `if value then` says no: `false` does not survive it.
    pub(super) fn truthy(value: bool) -> Self {
        if value { Self::Bool(true) } else { Self::Nil }
    }

    /// Adds a field to a table.
    #[must_use]
    pub(super) fn with(mut self, name: &'static str, value: impl Into<Self>) -> Self {
        if let Self::Table(fields) = &mut self {
            fields.push((name, value.into()));
        }
        self
    }

    /// What `tostring` makes of every field that is no table.
    #[must_use]
    pub(super) fn texts(self) -> Self {
        match self {
            Self::Bool(value) => Self::Text(value.to_string()),
            Self::Int(value) => Self::Text(value.to_string()),
            Self::Table(fields) => {
                let text = |(name, value): (&'static str, Self)| {
                    (name, if matches!(value, Self::Table(_) | Self::List(_)) { value } else { value.texts() })
                };
                Self::Table(fields.into_iter().map(text).collect())
            }
            other => other,
        }
    }
}

/// Writes values as the server's JSON library does.
#[derive(Clone, Copy, Debug)]
pub(super) struct Encoder {
    /// Decides the order of members: another number is another run of Lua.
    pub(super) run: u64,
    /// Whether all texts that are not ASCII stay in windows-1251, as in installations before the conversion was added.
    pub cp1251: bool,
}

impl Encoder {
    /// The JSON text of a value. (The real one dies of numbers that JSON cannot say; see [`FaultKind::EncodeCrash`].)
    ///
    /// [`FaultKind::EncodeCrash`]: super::FaultKind::EncodeCrash
    pub(super) fn encode(self, value: &Value) -> Vec<u8> {
        let mut out = Vec::with_capacity(256);
        self.put(value, &mut out);
        out
    }

    fn put(self, value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Nil => out.extend_from_slice(b"null"),
            Value::Bool(value) => out.extend_from_slice(if *value { b"true" } else { b"false" }),
            Value::Int(value) => put_integer(*value, out),
            Value::Text(text) => put_text(text, self.cp1251, out),
            Value::Cp1251(text) => put_text(text, true, out),
            Value::List(items) => {
                out.push(b'[');
                for (at, item) in items.iter().enumerate() {
                    put_comma(at, out);
                    self.put(item, out);
                }
                out.push(b']');
            }
            Value::Table(fields) => self.put_table(fields, out),
        }
    }

    fn put_table(self, fields: &[(&'static str, Value)], out: &mut Vec<u8>) {
        let mut present: Vec<(u64, &(&str, Value))> = fields
            .iter()
            .filter(|(_, value)| *value != Value::Nil)
            .map(|field| (hash(self.run, field.0), field))
            .collect();
        if present.is_empty() {
            // A table without entries could be a list as well, and this library thinks it is one.
            out.extend_from_slice(b"[]");
            return;
        }
        present.sort_unstable_by_key(|(order, _)| *order);
        out.push(b'{');
        for (at, (_, (name, value))) in present.into_iter().enumerate() {
            put_comma(at, out);
            put_text(name, false, out);
            out.push(b':');
            self.put(value, out);
        }
        out.push(b'}');
    }
}

fn put_comma(at: usize, out: &mut Vec<u8>) {
    if at > 0 {
        out.push(b',');
    }
}

/// FNV-1a of a name, begun with the run's number.
fn hash(run: u64, name: &str) -> u64 {
    let begun = 0xcbf2_9ce4_8422_2325 ^ run.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let mixed = name.bytes().fold(begun, |sum, byte| (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3));
    // The low bits of FNV follow the last letters; names that end alike would keep their order.
    mixed ^ (mixed >> 29)
}

fn put_integer(value: i64, out: &mut Vec<u8>) {
    let short = value.unsigned_abs() <= FULL_INTEGERS_FROM;
    let text = if short { general(Decimal::new(value, 0)) } else { value.to_string() };
    out.extend_from_slice(text.as_bytes());
}

fn put_text(text: &str, cp1251: bool, out: &mut Vec<u8>) {
    out.push(b'"');
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend_from_slice(&[b'\\', c as u8]),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            c if c < ' ' => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
            c if cp1251 => out.extend_from_slice(&WINDOWS_1251.encode(c.encode_utf8(&mut [0; 4])).0),
            c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Lua 5.3's `tostring` of a float: `112480.0`, `1e-07`.
pub(super) fn number_text(value: Decimal) -> String {
    let text = general(value);
    if text.bytes().any(|byte| matches!(byte, b'.' | b'e')) { text } else { text + ".0" }
}

/// C's `%.14g`.
fn general(value: Decimal) -> String {
    let mut digits = value.mantissa.unsigned_abs().to_string();
    // The value is 0.digits × 10^point.
    let mut point = digits.len() as i32 - i32::from(value.scale);
    if digits.len() > DIGITS {
        let up = rounds_up(digits.as_bytes());
        digits.truncate(DIGITS);
        if up {
            let next = digits.parse::<u64>().unwrap_or(0) + 1;
            point += i32::from(next.to_string().len() > DIGITS);
            digits = next.to_string();
        }
    }
    let digits = digits.trim_end_matches('0');
    if digits.is_empty() {
        return "0".to_owned();
    }
    let exponent = point - 1;
    let mut out = if value.mantissa < 0 { "-".to_owned() } else { String::new() };
    if exponent < -4 || exponent >= DIGITS as i32 {
        let (first, rest) = digits.split_at(1);
        let dot = if rest.is_empty() { "" } else { "." };
        let sign = if exponent < 0 { '-' } else { '+' };
        // Writing to a String cannot fail.
        let _ = write!(out, "{first}{dot}{rest}e{sign}{:02}", exponent.unsigned_abs());
    } else if point <= 0 {
        let _ = write!(out, "0.{}{digits}", "0".repeat(point.unsigned_abs() as usize));
    } else {
        let whole = point as usize;
        let padded = format!("{digits:0<whole$}");
        let (whole, fraction) = padded.split_at(whole);
        out.push_str(whole);
        if !fraction.is_empty() {
            let _ = write!(out, ".{fraction}");
        }
    }
    out
}

/// Whether cutting the digits to what fits rounds up: half goes to the even neighbour.
fn rounds_up(digits: &[u8]) -> bool {
    let (kept, cut) = digits.split_at(DIGITS);
    let odd = kept.last().is_some_and(|digit| digit % 2 == 1);
    match (cut.first().copied().unwrap_or(b'0'), cut.iter().skip(1).any(|digit| *digit != b'0')) {
        (b'5', false) => odd,
        (first, _) => first >= b'5',
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENCODER: Encoder = Encoder { run: 1, cp1251: false };

    fn json(value: &Value) -> String {
        String::from_utf8(ENCODER.encode(value)).unwrap()
    }

    fn table() -> Value {
        Value::Table(Vec::new())
    }

    fn decimal(text: &str) -> Decimal {
        Decimal::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn nil_vanishes_and_an_empty_table_is_a_list() {
        assert_eq!(json(&table().with("a", Value::Nil).with("b", 1)), r#"{"b":1}"#);
        assert_eq!(json(&table().with("a", Value::truthy(false))), "[]");
        assert_eq!(json(&table().with("bids", Value::List(vec![]))), r#"{"bids":[]}"#);
        assert_eq!(json(&table().with("rows", table())), r#"{"rows":[]}"#);
        assert_eq!(json(&table().with("ok", Value::truthy(true))), r#"{"ok":true}"#);
    }

    #[test]
    fn integers_keep_fourteen_digits_up_to_two_quadrillion() {
        let cases = [
            (0, "0"),
            (-42, "-42"),
            (99_999_999_999_999, "99999999999999"),
            (100_000_000_000_000, "1e+14"),
            (123_456_789_012_345, "1.2345678901234e+14"),
            (123_456_789_012_355, "1.2345678901236e+14"),
            (1_999_999_999_999_999, "2e+15"),
            (-123_456_789_012_345, "-1.2345678901234e+14"),
            (2_000_000_000_000_001, "2000000000000001"),
            (1_925_043_082_672_401_077, "1925043082672401077"),
        ];
        for (value, text) in cases {
            assert_eq!(json(&Value::Int(value)), text);
        }
    }

    #[test]
    fn number_texts_are_luas() {
        let cases = [
            ("112480", "112480.0"),
            ("112480.00", "112480.0"),
            ("0", "0.0"),
            ("0.000", "0.0"),
            ("305.70", "305.7"),
            ("0.0001", "0.0001"),
            ("0.00001", "1e-05"),
            ("0.0000001", "1e-07"),
            ("0.000012", "1.2e-05"),
            ("-0.5", "-0.5"),
            ("3.14159265358979", "3.1415926535898"),
            ("99999999999999.9", "1e+14"),
        ];
        for (number, text) in cases {
            assert_eq!(number_text(decimal(number)), text);
        }
    }

    #[test]
    fn member_order_is_of_the_run() {
        let fields = ["param_type", "param_value", "param_image", "result", "code", "message"];
        let value = fields.into_iter().fold(table(), |table, name| table.with(name, 1));
        let runs: std::collections::BTreeSet<Vec<u8>> =
            (0..20).map(|run| Encoder { run, cp1251: false }.encode(&value)).collect();
        assert!(runs.len() > 15, "{} orders in 20 runs", runs.len());
        let first = ENCODER.encode(&value);
        assert!((0..5).all(|_| ENCODER.encode(&value) == first), "a run has one order");
    }

    #[test]
    fn texts_are_utf8_unless_nobody_converted_them() {
        assert_eq!(json(&Value::from("Лот\u{a0}\"5\"\n\u{1}")), "\"Лот\u{a0}\\\"5\\\"\\n\\u0001\"");
        let raw = ENCODER.encode(&Value::Cp1251("Ёлка №1\u{a0}яЯ".into()));
        assert_eq!(raw, b"\"\xa8\xeb\xea\xe0 \xb91\xa0\xff\xdf\"");
        let old = Encoder { run: 1, cp1251: true };
        assert_eq!(old.encode(&Value::from("5\u{a0}480,5")), b"\"5\xa0480,5\"");
    }

    #[test]
    fn rows_become_texts_and_nested_tables_stay() {
        let row = table().with("num", 7).with("when", table().with("hour", 3)).with("gone", Value::Nil);
        let texts = table().with("num", "7").with("when", table().with("hour", 3));
        assert_eq!(row.texts(), texts.with("gone", Value::Nil));
    }
}
