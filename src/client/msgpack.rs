//! MessagePack to JSON text, so that every reader of payloads knows one format only.

use rmp::Marker;
use thiserror::Error;

/// Nesting allowed; frames use three levels, and a bound keeps hostile input off the stack's end.
const MAX_NESTING: u8 = 16;

/// Why bytes are not a MessagePack value that JSON can express.
#[derive(Clone, Copy, Debug, PartialEq, Error)]
pub enum MsgpackError {
    /// The bytes end inside a value.
    #[error("MessagePack ends too early")]
    Truncated,
    /// Bytes follow the value.
    #[error("{0} bytes follow the MessagePack value")]
    Trailing(usize),
    /// A type that frames never have.
    #[error("MessagePack type {0:?} is not used in frames")]
    Type(Marker),
    /// A map key that is not a string.
    #[error("MessagePack map key is not a string")]
    Key,
    /// A string that is not UTF-8.
    #[error("MessagePack string is not UTF-8")]
    Utf8,
    /// Values nested too deeply.
    #[error("MessagePack is nested deeper than {MAX_NESTING} levels")]
    Nesting,
}

/// Writes the one value in `bytes` as JSON text.
///
/// # Errors
/// [`MsgpackError`], when the bytes are not one whole value of types that frames have.
pub(super) fn to_json(bytes: &[u8]) -> Result<String, MsgpackError> {
    let mut reader = Reader { rest: bytes, out: String::with_capacity(bytes.len() + bytes.len() / 2) };
    reader.value(0)?;
    if reader.rest.is_empty() { Ok(reader.out) } else { Err(MsgpackError::Trailing(reader.rest.len())) }
}

struct Reader<'a> {
    rest: &'a [u8],
    out: String,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], MsgpackError> {
        let (head, rest) = self.rest.split_at_checked(count).ok_or(MsgpackError::Truncated)?;
        self.rest = rest;
        Ok(head)
    }

    /// A big-endian unsigned integer of `width` bytes, at most 8.
    fn uint(&mut self, width: usize) -> Result<u64, MsgpackError> {
        Ok(self.take(width)?.iter().fold(0, |n, b| (n << 8) | u64::from(*b)))
    }

    /// A length; one that memory cannot hold is caught as truncation when it is used.
    fn length(&mut self, width: usize) -> Result<usize, MsgpackError> {
        Ok(usize::try_from(self.uint(width)?).unwrap_or(usize::MAX))
    }

    fn marker(&mut self) -> Result<Marker, MsgpackError> {
        Ok(Marker::from_u8(self.take(1)?.first().copied().unwrap_or_default()))
    }

    fn value(&mut self, nesting: u8) -> Result<(), MsgpackError> {
        if nesting > MAX_NESTING {
            return Err(MsgpackError::Nesting);
        }
        let marker = self.marker()?;
        if let Some(length) = self.string_length(marker)? {
            return self.string(length);
        }
        match marker {
            Marker::Null => self.out.push_str("null"),
            Marker::False => self.out.push_str("false"),
            Marker::True => self.out.push_str("true"),
            Marker::FixPos(n) => self.put(u64::from(n)),
            Marker::FixNeg(n) => self.put(n),
            Marker::U8 => self.put_uint(1)?,
            Marker::U16 => self.put_uint(2)?,
            Marker::U32 => self.put_uint(4)?,
            Marker::U64 => self.put_uint(8)?,
            Marker::I8 => self.put_int(1)?,
            Marker::I16 => self.put_int(2)?,
            Marker::I32 => self.put_int(4)?,
            Marker::I64 => self.put_int(8)?,
            Marker::FixArray(n) => self.array(usize::from(n), nesting)?,
            Marker::Array16 => self.length(2).and_then(|n| self.array(n, nesting))?,
            Marker::Array32 => self.length(4).and_then(|n| self.array(n, nesting))?,
            Marker::FixMap(n) => self.map(usize::from(n), nesting)?,
            Marker::Map16 => self.length(2).and_then(|n| self.map(n, nesting))?,
            Marker::Map32 => self.length(4).and_then(|n| self.map(n, nesting))?,
            other => return Err(MsgpackError::Type(other)),
        }
        Ok(())
    }

    fn put(&mut self, number: impl std::fmt::Display) {
        self.out.push_str(&number.to_string());
    }

    fn put_uint(&mut self, width: usize) -> Result<(), MsgpackError> {
        let number = self.uint(width)?;
        self.put(number);
        Ok(())
    }

    fn put_int(&mut self, width: usize) -> Result<(), MsgpackError> {
        let unused_bits = 64 - 8 * width;
        // Shifting up and back extends the sign of the narrower number.
        let number = (self.uint(width)? << unused_bits).cast_signed() >> unused_bits;
        self.put(number);
        Ok(())
    }

    fn string_length(&mut self, marker: Marker) -> Result<Option<usize>, MsgpackError> {
        Ok(match marker {
            Marker::FixStr(n) => Some(usize::from(n)),
            Marker::Str8 => Some(self.length(1)?),
            Marker::Str16 => Some(self.length(2)?),
            Marker::Str32 => Some(self.length(4)?),
            _ => None,
        })
    }

    fn string(&mut self, length: usize) -> Result<(), MsgpackError> {
        let text = std::str::from_utf8(self.take(length)?).map_err(|_| MsgpackError::Utf8)?;
        push_json_string(&mut self.out, text);
        Ok(())
    }

    fn array(&mut self, count: usize, nesting: u8) -> Result<(), MsgpackError> {
        self.out.push('[');
        for at in 0..count {
            if at > 0 {
                self.out.push(',');
            }
            self.value(nesting + 1)?;
        }
        self.out.push(']');
        Ok(())
    }

    fn map(&mut self, count: usize, nesting: u8) -> Result<(), MsgpackError> {
        self.out.push('{');
        for at in 0..count {
            if at > 0 {
                self.out.push(',');
            }
            let marker = self.marker()?;
            let length = self.string_length(marker)?.ok_or(MsgpackError::Key)?;
            self.string(length)?;
            self.out.push(':');
            self.value(nesting + 1)?;
        }
        self.out.push('}');
        Ok(())
    }
}

/// Appends `text` as a JSON string with its quotes.
pub(super) fn push_json_string(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if c.is_control() => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    out.push_str(&format!("\\u{unit:04x}"));
                }
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn encode(value: &Value, out: &mut Vec<u8>) {
        match value {
            Value::Null => rmp::encode::write_nil(out).unwrap(),
            Value::Bool(b) => rmp::encode::write_bool(out, *b).unwrap(),
            Value::Number(n) if n.is_u64() => {
                rmp::encode::write_uint(out, n.as_u64().unwrap()).unwrap();
            }
            Value::Number(n) => {
                rmp::encode::write_sint(out, n.as_i64().unwrap()).unwrap();
            }
            Value::String(s) => rmp::encode::write_str(out, s).unwrap(),
            Value::Array(items) => {
                rmp::encode::write_array_len(out, u32::try_from(items.len()).unwrap()).unwrap();
                items.iter().for_each(|item| encode(item, out));
            }
            Value::Object(fields) => {
                rmp::encode::write_map_len(out, u32::try_from(fields.len()).unwrap()).unwrap();
                for (name, field) in fields {
                    rmp::encode::write_str(out, name).unwrap();
                    encode(field, out);
                }
            }
        }
    }

    fn values() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-200_i64..200).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 60, 20, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..20).prop_map(Value::from),
                proptest::collection::btree_map(any::<String>(), inner, 0..20)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_of_a_frame_survives(value in values()) {
            let mut bytes = Vec::new();
            encode(&value, &mut bytes);
            let text = to_json(&bytes).unwrap();
            prop_assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), value);
        }

        #[test]
        fn no_bytes_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = to_json(&bytes);
        }
    }

    #[test]
    fn what_json_cannot_say_is_refused() {
        assert_eq!(to_json(&[]), Err(MsgpackError::Truncated));
        assert_eq!(to_json(&[0xa3, b'a']), Err(MsgpackError::Truncated));
        assert_eq!(to_json(&[0xdd, 0xff, 0xff, 0xff, 0xff]), Err(MsgpackError::Truncated));
        assert_eq!(to_json(&[0x01, 0x02]), Err(MsgpackError::Trailing(1)));
        assert_eq!(to_json(&[0x81, 0x01, 0x02]), Err(MsgpackError::Key));
        assert_eq!(to_json(&[0xa1, 0xff]), Err(MsgpackError::Utf8));
        assert_eq!(to_json(&[0xc4, 0x00]), Err(MsgpackError::Type(Marker::Bin8)));
        assert_eq!(to_json(&[0x91; 64]), Err(MsgpackError::Nesting));
    }

    #[test]
    fn control_characters_are_escaped() {
        let mut bytes = Vec::new();
        encode(&json!({"a\n": "\u{1b}[31m\u{85}"}), &mut bytes);
        assert_eq!(to_json(&bytes).unwrap(), r#"{"a\u000a":"\u001b[31m\u0085"}"#);
    }
}
