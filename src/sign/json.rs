//! JSON values that keep what a signature needs: the order of members and the text of numbers.

use std::collections::HashMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use super::python;

/// How deep lists and objects may lie in one another.
const DEPTH_MAX: usize = 64;

/// A JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Json {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// A string.
    Text(String),
    /// A list.
    List(Vec<Self>),
    /// An object, its members in order and no key twice.
    Map(Vec<(String, Self)>),
}

/// Text that is no JSON, or too deep.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The place where it stops being JSON.
    #[error("no JSON from line {line}, column {column} on")]
    Syntax {
        /// Line, from 1.
        line: usize,
        /// Column in bytes, from 1.
        column: usize,
    },
    /// A string that is no Unicode text: half a surrogate pair.
    #[error("a string is no Unicode text")]
    NoText,
    /// Too many levels.
    #[error("lists and objects lie more than {DEPTH_MAX} deep")]
    Depth,
}

/// How JSON is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Style {
    /// Without spaces, Unicode as it is, numbers as they were written.
    Compact,
    /// As Python's `json.dumps` does: a space after `,` and `:`, ASCII only, its own form of numbers.
    Spaced,
}

impl Json {
    /// Reads a text. Of members with the same key the last one counts, at the place of the first.
    ///
    /// # Errors
    /// What is wrong with it, without any of the text.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let raw: &RawValue = serde_json::from_str(text)
            .map_err(|error| JsonError::Syntax { line: error.line(), column: error.column() })?;
        read(raw.get(), 0)
    }

    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text(text.into())
    }

    /// A whole number.
    pub fn number(number: impl itoa::Integer) -> Self {
        Self::Number(itoa::Buffer::new().format(number).to_owned())
    }

    /// An object.
    pub fn map<const N: usize>(members: [(&str, Self); N]) -> Self {
        Self::Map(members.map(|(key, value)| (key.to_owned(), value)).into())
    }

    /// The member of an object; `None` also where this is none.
    pub fn get(&self, key: &str) -> Option<&Self> {
        self.members().iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// The members of an object; empty where this is none.
    pub fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Map(members) => members,
            _ => &[],
        }
    }

    /// The items of a list; empty where this is none.
    pub fn items(&self) -> &[Self] {
        match self {
            Self::List(items) => items,
            _ => &[],
        }
    }

    /// The text, if it is one.
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is a whole one from 0 to 2^64 - 1.
    pub fn as_u64(&self) -> Option<u64> {
        match self {
            Self::Number(number) => number.parse().ok(),
            _ => None,
        }
    }

    /// Whether it is nothing at all to Python: null, false, zero or empty.
    pub(super) fn is_falsy(&self) -> bool {
        match self {
            Self::Null | Self::Bool(false) => true,
            Self::Bool(true) => false,
            Self::Number(number) => number.parse() == Ok(0.0),
            Self::Text(text) => text.is_empty(),
            Self::List(items) => items.is_empty(),
            Self::Map(members) => members.is_empty(),
        }
    }

    /// Sets a member: in its place where it is, else at the end. Does nothing to what is no object.
    pub(super) fn set(&mut self, key: &str, value: Self) {
        let Self::Map(members) = self else { return };
        match members.iter_mut().find(|(known, _)| known == key) {
            Some((_, place)) => *place = value,
            None => members.push((key.to_owned(), value)),
        }
    }

    /// The member of an object, to be changed.
    pub(super) fn get_mut(&mut self, key: &str) -> Option<&mut Self> {
        match self {
            Self::Map(members) => members.iter_mut().find(|(known, _)| known == key).map(|(_, value)| value),
            _ => None,
        }
    }

    /// The value as text.
    pub fn write(&self, style: Style) -> String {
        let mut out = String::new();
        self.write_to(&mut out, style);
        out
    }

    fn write_to(&self, out: &mut String, style: Style) {
        let comma = if style == Style::Spaced { ", " } else { "," };
        match self {
            Self::Null => out.push_str("null"),
            Self::Bool(true) => out.push_str("true"),
            Self::Bool(false) => out.push_str("false"),
            Self::Number(number) if style == Style::Compact => out.push_str(number),
            Self::Number(number) => out.push_str(&python::json_number(number)),
            Self::Text(text) => write_text(out, text, style),
            Self::List(items) => {
                out.push('[');
                for (at, item) in items.iter().enumerate() {
                    out.push_str(if at > 0 { comma } else { "" });
                    item.write_to(out, style);
                }
                out.push(']');
            }
            Self::Map(members) => {
                out.push('{');
                for (at, (key, value)) in members.iter().enumerate() {
                    out.push_str(if at > 0 { comma } else { "" });
                    write_text(out, key, style);
                    out.push_str(if style == Style::Spaced { ": " } else { ":" });
                    value.write_to(out, style);
                }
                out.push('}');
            }
        }
    }
}

fn write_text(out: &mut String, text: &str, style: Style) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{8}' => out.push_str("\\b"),
            '\u{c}' => out.push_str("\\f"),
            ' '..='~' => out.push(c),
            _ if style == Style::Compact && c >= ' ' => out.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str("\\u");
                    out.extend([12, 8, 4, 0].map(|shift| hex_digit(*unit >> shift)));
                }
            }
        }
    }
    out.push('"');
}

fn hex_digit(number: u16) -> char {
    char::from(b"0123456789abcdef"[usize::from(number & 15)])
}

/// The members of an object in their order, each value as it was written.
///
/// # Errors
/// The text is no JSON object.
pub fn raw_members(text: &str) -> serde_json::Result<Vec<(String, &RawValue)>> {
    serde_json::from_str(text).map(|Members(members)| members)
}

/// Reads a text that is known to be JSON.
fn read(text: &str, depth: usize) -> Result<Json, JsonError> {
    if depth > DEPTH_MAX {
        return Err(JsonError::Depth);
    }
    let no_text = |_| JsonError::NoText;
    Ok(match text.as_bytes().first() {
        Some(b'n') => Json::Null,
        Some(b't') => Json::Bool(true),
        Some(b'f') => Json::Bool(false),
        Some(b'"') => Json::Text(serde_json::from_str(text).map_err(no_text)?),
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(text).map_err(no_text)?;
            Json::List(items.into_iter().map(|item| read(item.get(), depth + 1)).collect::<Result<_, _>>()?)
        }
        Some(b'{') => {
            let Members(raw) = serde_json::from_str(text).map_err(no_text)?;
            let mut members: Vec<(String, Json)> = Vec::with_capacity(raw.len());
            let mut places: HashMap<String, usize> = HashMap::with_capacity(raw.len());
            for (key, value) in raw {
                let value = read(value.get(), depth + 1)?;
                match places.get(&key) {
                    Some(place) => members[*place].1 = value,
                    None => {
                        places.insert(key.clone(), members.len());
                        members.push((key, value));
                    }
                }
            }
            Json::Map(members)
        }
        _ => Json::Number(text.to_owned()),
    })
}

/// The members of an object as they stand.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct InOrder;
        impl<'de> Visitor<'de> for InOrder {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(InOrder)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_and_numbers_survive() {
        let text = r#"{"b":1.50,"a":[100000000000000000000000,-0,1E5,true,null],"":"日\"\\"}"#;
        let json = Json::parse(text).unwrap();
        assert_eq!(json.write(Style::Compact), text);
        let spaced = r#"{"b": 1.5, "a": [100000000000000000000000, 0, 100000.0, true, null], "": "\u65e5\"\\"}"#;
        assert_eq!(json.write(Style::Spaced), spaced);
        assert_eq!(Json::parse(spaced).unwrap().get(""), json.get(""));
    }

    #[test]
    fn a_key_given_twice_counts_once() {
        let json = Json::parse(r#"{"a":1,"b":2,"a":3}"#).unwrap();
        assert_eq!(json.write(Style::Compact), r#"{"a":3,"b":2}"#);
    }

    #[test]
    fn control_and_astral_characters_are_escaped_as_python_does() {
        let json = Json::text("\u{7f}\u{1}\n😀/");
        assert_eq!(json.write(Style::Spaced), r#""\u007f\u0001\n\ud83d\ude00/""#);
        assert_eq!(json.write(Style::Compact), "\"\u{7f}\\u0001\\n😀/\"");
    }

    #[test]
    fn bad_text_is_refused_without_being_shown() {
        assert_eq!(Json::parse("{\"swordfish\":}"), Err(JsonError::Syntax { line: 1, column: 14 }));
        assert_eq!(Json::parse(r#""\ud800""#), Err(JsonError::NoText));
        assert_eq!(Json::parse(&format!("{}1{}", "[".repeat(70), "]".repeat(70))), Err(JsonError::Depth));
        assert!(Json::parse("NaN").is_err());
        assert!(Json::parse("").is_err());
        assert!(Json::parse(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn members_are_set_in_their_place() {
        let mut json = Json::map([("a", Json::Null), ("b", Json::Null)]);
        json.set("a", Json::number(1));
        json.set("c", Json::Bool(false));
        assert_eq!(json.write(Style::Compact), r#"{"a":1,"b":null,"c":false}"#);
    }
}
