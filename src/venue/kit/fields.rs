//! The forgiving side of reading JSON: numbers that come as numbers or strings, objects as lists of members.

use std::borrow::Cow;
use std::fmt;

use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

use crate::model::{Decimal, Level, UnixNanos};

/// A number written bare or in quotes, as its text without the quotes. Escapes are not undone: no number has any.
#[derive(Clone, Copy, Debug)]
pub struct Number<'a>(pub &'a str);

impl<'de: 'a, 'a> Deserialize<'de> for Number<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        Ok(Self(bare(raw)))
    }
}

impl Number<'_> {
    /// As an unsigned integer.
    pub fn integer(&self) -> Option<u64> {
        let plain = !self.0.is_empty() && self.0.bytes().all(|b| b.is_ascii_digit());
        if plain { self.0.parse().ok() } else { None }
    }
}

/// An exact decimal, or an error that quotes the text.
///
/// # Errors
/// The text is no number, or has more digits than fit.
pub fn number(text: &str) -> Result<Decimal, String> {
    Decimal::parse(text.as_bytes()).map_err(|error| {
        let shown: String = text.chars().take(40).collect();
        format!("{shown:?}: {error}")
    })
}

/// Milliseconds since 1970.
pub fn time_of_ms(number: Option<Number<'_>>) -> Option<UnixNanos> {
    number.and_then(|number| number.integer()).map(UnixNanos::from_ms)
}

/// Levels whose rows begin with price and size.
///
/// # Errors
/// A row that does not, or what is wrong with a number.
pub fn read_levels<'a>(rows: &[impl AsRef<[Number<'a>]>], out: &mut Vec<Level>) -> Result<(), String> {
    out.clear();
    for row in rows {
        let [price, size, ..] = row.as_ref() else { return Err("a level has no price and size".to_owned()) };
        out.push(Level { price: number(price.0)?, size: number(size.0)? });
    }
    Ok(())
}

/// A struct read from a JSON object. By itself a struct would also be read from a list, by position.
#[derive(Clone, Copy, Debug)]
pub struct Object<T>(pub T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
            type Value = T;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<T, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map))
            }
        }
        deserializer.deserialize_map(ObjectVisitor(PhantomData)).map(Self)
    }
}

/// A JSON value's text, without quotes if it is a string.
pub fn bare(raw: &RawValue) -> &str {
    let text = raw.get();
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// An object's members in the order they were written.
#[derive(Clone, Debug, Default)]
pub struct Members<'a>(pub Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor)
    }
}

struct MembersVisitor;

impl<'de> Visitor<'de> for MembersVisitor {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Text(key), value)) = map.next_entry::<Text<'de>, &'de RawValue>()? {
            members.push((key, value));
        }
        Ok(Members(members))
    }
}

/// A string that is borrowed when it has no escapes.
#[derive(Clone, Debug)]
pub struct Text<'a>(pub Cow<'a, str>);

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_in_both_spellings() {
        let read = |text: &'static str| serde_json::from_str::<Number<'static>>(text).expect("a value");
        assert_eq!(read("12").integer(), Some(12));
        assert_eq!(read("\"12\"").integer(), Some(12));
        assert_eq!(number(read("8.3550005").0), Ok(Decimal::new(83_550_005, 7)));
        assert_eq!(read("null").integer(), None);
        assert_eq!(number(read("[1]").0).ok(), None);
    }

    #[test]
    fn members_keep_their_order() {
        let members: Members<'_> = serde_json::from_str(r#"{"b":"1","a":[2]}"#).expect("an object");
        let keys: Vec<_> = members.0.iter().map(|(key, value)| format!("{key}={}", bare(value))).collect();
        assert_eq!(keys, ["b=1", "a=[2]"]);
    }
}
