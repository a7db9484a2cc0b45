//! The two encodings of a payload: JSON and MessagePack, written field by field into a buffer.

use serde_json::Value;
use serde_json::value::RawValue;

use crate::model::{Decimal, Level, TEXT_ROOM};

/// How payloads are encoded. The fields are the same.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Encoding {
    /// Compact JSON, UTF-8.
    #[default]
    Json,
    /// MessagePack: a map with string keys.
    MessagePack,
}

/// A map being written. Keys are plain words of the program; texts may be anything.
pub(super) trait Payload {
    /// Starts a map in `out`.
    fn begin(out: &mut Vec<u8>);
    /// Writes an unsigned integer.
    fn integer(out: &mut Vec<u8>, key: &str, value: u64);
    /// Writes a text.
    fn text(out: &mut Vec<u8>, key: &str, value: &str);
    /// Writes a truth value.
    fn boolean(out: &mut Vec<u8>, key: &str, value: bool);
    /// Writes a decimal as a string.
    fn decimal(out: &mut Vec<u8>, key: &str, value: Decimal);
    /// Writes `[["price","size"],…]`.
    fn levels(out: &mut Vec<u8>, key: &str, levels: impl ExactSizeIterator<Item = Level>);
    /// Writes a nested map of texts.
    fn texts(out: &mut Vec<u8>, key: &str, texts: &[(String, String)]);
    /// Writes JSON as it was written, or what it says.
    fn json(out: &mut Vec<u8>, key: &str, json: &RawValue);
    /// Writes an unsigned integer under a name that may be any text.
    fn count(out: &mut Vec<u8>, name: &str, value: u64);
    /// Starts a map under a name that may be any text, and says where: [`Self::end`] wants to know.
    fn begin_member(out: &mut Vec<u8>, name: &str) -> usize;
    /// Ends the map that began at `start` and has `fields` members.
    fn end(out: &mut Vec<u8>, start: usize, fields: u16);
}

/// Compact JSON.
pub(super) struct Json;

impl Json {
    #[inline]
    fn key(out: &mut Vec<u8>, key: &str) {
        let first = out.last() == Some(&b'{');
        if !first {
            out.push(b',');
        }
        out.push(b'"');
        out.extend_from_slice(key.as_bytes());
        out.extend_from_slice(b"\":");
    }

    /// Writes `["price","size"],` by way of one buffer, which costs one copy instead of seven.
    #[inline]
    fn level(out: &mut Vec<u8>, level: Level) {
        let mut text = [0; 2 * TEXT_ROOM + 8];
        text[..2].copy_from_slice(b"[\"");
        let at = level.price.write_at(&mut text, 2);
        text[at..at + 3].copy_from_slice(b"\",\"");
        let at = level.size.write_at(&mut text, at + 3);
        text[at..at + 3].copy_from_slice(b"\"],");
        out.extend_from_slice(&text[..at + 3]);
    }

    fn name(out: &mut Vec<u8>, name: &str) {
        if out.last() != Some(&b'{') {
            out.push(b',');
        }
        Self::string(out, name);
        out.push(b':');
    }

    fn string(out: &mut Vec<u8>, text: &str) {
        out.push(b'"');
        let plain = |byte: &u8| *byte >= 0x20 && *byte != b'"' && *byte != b'\\';
        if text.as_bytes().iter().all(plain) {
            out.extend_from_slice(text.as_bytes());
        } else {
            for c in text.chars() {
                match c {
                    '"' => out.extend_from_slice(b"\\\""),
                    '\\' => out.extend_from_slice(b"\\\\"),
                    c if u32::from(c) < 0x20 => out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes()),
                    c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
                }
            }
        }
        out.push(b'"');
    }
}

impl Payload for Json {
    fn begin(out: &mut Vec<u8>) {
        out.push(b'{');
    }

    #[inline]
    fn integer(out: &mut Vec<u8>, key: &str, value: u64) {
        Self::key(out, key);
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    #[inline]
    fn text(out: &mut Vec<u8>, key: &str, value: &str) {
        Self::key(out, key);
        Self::string(out, value);
    }

    #[inline]
    fn boolean(out: &mut Vec<u8>, key: &str, value: bool) {
        Self::key(out, key);
        out.extend_from_slice(if value { b"true" } else { b"false" });
    }

    #[inline]
    fn decimal(out: &mut Vec<u8>, key: &str, value: Decimal) {
        Self::key(out, key);
        out.push(b'"');
        value.write(out);
        out.push(b'"');
    }

    #[inline]
    fn levels(out: &mut Vec<u8>, key: &str, levels: impl ExactSizeIterator<Item = Level>) {
        Self::key(out, key);
        out.push(b'[');
        let start = out.len();
        for level in levels {
            Self::level(out, level);
        }
        // Each level brought a comma, and the last one's place is the bracket's.
        if out.len() > start {
            out.pop();
        }
        out.push(b']');
    }

    fn texts(out: &mut Vec<u8>, key: &str, texts: &[(String, String)]) {
        Self::key(out, key);
        out.push(b'{');
        for (at, (name, text)) in texts.iter().enumerate() {
            if at > 0 {
                out.push(b',');
            }
            Self::string(out, name);
            out.push(b':');
            Self::string(out, text);
        }
        out.push(b'}');
    }

    fn json(out: &mut Vec<u8>, key: &str, json: &RawValue) {
        Self::key(out, key);
        out.extend_from_slice(json.get().as_bytes());
    }

    fn count(out: &mut Vec<u8>, name: &str, value: u64) {
        Self::name(out, name);
        out.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
    }

    fn begin_member(out: &mut Vec<u8>, name: &str) -> usize {
        Self::name(out, name);
        let start = out.len();
        Self::begin(out);
        start
    }

    #[inline]
    fn end(out: &mut Vec<u8>, _start: usize, _fields: u16) {
        out.push(b'}');
    }
}

/// MessagePack. The map's length is filled in at the end.
pub(super) struct MessagePack;

impl MessagePack {
    fn string(out: &mut Vec<u8>, text: &str) {
        let len = text.len();
        match (u8::try_from(len), u16::try_from(len)) {
            (Ok(len), _) if len < 32 => out.push(0xa0 | len),
            (Ok(len), _) => out.extend_from_slice(&[0xd9, len]),
            (_, Ok(len)) => {
                out.push(0xda);
                out.extend_from_slice(&len.to_be_bytes());
            }
            _ => {
                out.push(0xdb);
                out.extend_from_slice(&u32::try_from(len).unwrap_or(u32::MAX).to_be_bytes());
            }
        }
        out.extend_from_slice(text.as_bytes());
    }

    fn map_of(out: &mut Vec<u8>, members: usize) {
        out.push(0xdf);
        out.extend_from_slice(&u32::try_from(members).unwrap_or(u32::MAX).to_be_bytes());
    }

    /// A JSON value. A number that is no 64-bit integer is written as its text, since no float is exact.
    fn value(out: &mut Vec<u8>, value: &Value) {
        // Writing to a vector cannot fail.
        match value {
            Value::Null => out.push(0xc0),
            Value::Bool(true) => out.push(0xc3),
            Value::Bool(false) => out.push(0xc2),
            Value::Number(number) => match (number.as_u64(), number.as_i64()) {
                (Some(number), _) => drop(rmp::encode::write_uint(out, number)),
                (_, Some(number)) => drop(rmp::encode::write_sint(out, number)),
                _ => Self::string(out, &number.to_string()),
            },
            Value::String(text) => Self::string(out, text),
            Value::Array(items) => {
                out.push(0xdd);
                out.extend_from_slice(&u32::try_from(items.len()).unwrap_or(u32::MAX).to_be_bytes());
                items.iter().for_each(|item| Self::value(out, item));
            }
            Value::Object(members) => {
                Self::map_of(out, members.len());
                for (name, member) in members {
                    Self::string(out, name);
                    Self::value(out, member);
                }
            }
        }
    }

    /// A decimal is a string of at most 21 bytes: its length is put in front afterwards.
    fn decimal_string(out: &mut Vec<u8>, value: Decimal) {
        let at = out.len();
        out.push(0);
        value.write(out);
        out[at] = 0xa0 | u8::try_from(out.len() - at - 1).unwrap_or(31);
    }
}

impl Payload for MessagePack {
    fn begin(out: &mut Vec<u8>) {
        out.extend_from_slice(&[0xde, 0, 0]);
    }

    fn integer(out: &mut Vec<u8>, key: &str, value: u64) {
        Self::string(out, key);
        // Writing to a vector cannot fail.
        let _ = rmp::encode::write_uint(out, value);
    }

    fn text(out: &mut Vec<u8>, key: &str, value: &str) {
        Self::string(out, key);
        Self::string(out, value);
    }

    fn boolean(out: &mut Vec<u8>, key: &str, value: bool) {
        Self::string(out, key);
        out.push(if value { 0xc3 } else { 0xc2 });
    }

    fn decimal(out: &mut Vec<u8>, key: &str, value: Decimal) {
        Self::string(out, key);
        Self::decimal_string(out, value);
    }

    fn levels(out: &mut Vec<u8>, key: &str, levels: impl ExactSizeIterator<Item = Level>) {
        Self::string(out, key);
        out.push(0xdd);
        out.extend_from_slice(&u32::try_from(levels.len()).unwrap_or(u32::MAX).to_be_bytes());
        for level in levels {
            out.push(0x92);
            Self::decimal_string(out, level.price);
            Self::decimal_string(out, level.size);
        }
    }

    fn texts(out: &mut Vec<u8>, key: &str, texts: &[(String, String)]) {
        Self::string(out, key);
        Self::map_of(out, texts.len());
        for (name, text) in texts {
            Self::string(out, name);
            Self::string(out, text);
        }
    }

    fn json(out: &mut Vec<u8>, key: &str, json: &RawValue) {
        Self::string(out, key);
        match serde_json::from_str(json.get()) {
            Ok(value) => Self::value(out, &value),
            // Nested deeper than the reader goes.
            Err(_) => Self::string(out, json.get()),
        }
    }

    fn count(out: &mut Vec<u8>, name: &str, value: u64) {
        Self::integer(out, name, value);
    }

    fn begin_member(out: &mut Vec<u8>, name: &str) -> usize {
        Self::string(out, name);
        let start = out.len();
        Self::begin(out);
        start
    }

    fn end(out: &mut Vec<u8>, start: usize, fields: u16) {
        if let Some(place) = out.get_mut(start + 1..start + 3) {
            place.copy_from_slice(&fields.to_be_bytes());
        }
    }
}
