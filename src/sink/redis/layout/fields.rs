//! A payload's members, borrowed from its text.

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde_json::value::RawValue;

use crate::client::{DecodeError, Members};

/// The members of one payload, in their order.
#[derive(Debug)]
pub(super) struct Fields<'a>(Members<'a, &'a RawValue>);

impl<'a> Fields<'a> {
    /// Reads a payload's JSON text.
    ///
    /// # Errors
    /// [`DecodeError::Json`] when it is not an object.
    pub(super) fn read(json: &'a str) -> Result<Self, DecodeError> {
        Ok(Self(serde_json::from_str(json)?))
    }

    /// Each member's name, and its value as Redis gets it: a text without its quotes, anything else as JSON.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&str, Cow<'a, str>)> {
        self.0.0.iter().map(|(name, value)| (&**name, plain(value)))
    }

    /// A member's JSON.
    pub(super) fn json(&self, name: &str) -> Option<&'a str> {
        self.0.0.iter().find(|(member, _)| **member == *name).map(|(_, value)| value.get())
    }

    /// A member as Redis gets it.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        self.json(name).map(plain_json)
    }

    /// An integer member.
    pub(super) fn integer(&self, name: &str) -> Option<u64> {
        self.json(name)?.parse().ok()
    }

    /// Tells payloads with other members apart.
    pub(super) fn shape(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.0.0.iter().for_each(|(name, _)| name.hash(&mut hasher));
        // 0 stands for no shape.
        hasher.finish().max(1)
    }
}

fn plain(value: &RawValue) -> Cow<'_, str> {
    plain_json(value.get())
}

fn plain_json(json: &str) -> Cow<'_, str> {
    match json.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')) {
        None => Cow::Borrowed(json),
        Some(text) if !text.contains('\\') => Cow::Borrowed(text),
        // It was read as JSON before, so it is a text.
        Some(_) => serde_json::from_str(json).map_or(Cow::Borrowed(json), Cow::Owned),
    }
}

/// The first `most` elements of a JSON array, as JSON; what is no array is handed back.
pub(super) fn first(array: &str, most: usize) -> Cow<'_, str> {
    match serde_json::from_str::<Vec<&RawValue>>(array) {
        Ok(elements) if elements.len() > most => {
            let kept: Vec<&str> = elements.iter().take(most).map(|element| element.get()).collect();
            Cow::Owned(format!("[{}]", kept.join(",")))
        }
        _ => Cow::Borrowed(array),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_come_as_plain_texts() {
        let json = r#"{"a":"x","b":[["1","2"],["3","4"]],"c":7,"d":true,"e":"q\"\u00e9"}"#;
        let fields = Fields::read(json).unwrap();
        let all: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
        assert_eq!(all, ["a=x", r#"b=[["1","2"],["3","4"]]"#, "c=7", "d=true", "e=q\"é"]);
        assert_eq!((fields.integer("c"), fields.integer("a")), (Some(7), None));
        assert_eq!(fields.json("none"), None);
        assert_ne!(fields.shape(), Fields::read(r#"{"a":1}"#).unwrap().shape());
        assert_eq!(Fields::read(r#"{"a":1}"#).unwrap().shape(), Fields::read(r#"{"a":"b"}"#).unwrap().shape());
        assert!(Fields::read("[]").is_err() && Fields::read("{").is_err());
    }

    #[test]
    fn arrays_are_cut() {
        assert_eq!(first(r#"[["1","2"],["3","4"]]"#, 1), r#"[["1","2"]]"#);
        assert_eq!(first(r#"[["1","2"]]"#, 1), r#"[["1","2"]]"#);
        assert_eq!(first("[]", 5), "[]");
        assert_eq!(first("7", 5), "7");
    }
}
