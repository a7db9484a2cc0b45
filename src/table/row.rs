//! A row: one JSON object with the place of each of its fields, so that it is compared and sent without being read again.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::TableKind;
use crate::venue::kit::fields::Members;

/// Fields of a frame that a row does not have: all rows of a table share them.
const SHARED: [&str; 4] = ["v", "type", "venue", "epoch"];
/// Fields that differ from frame to frame though nothing happened to what is told.
const PASSING: [&str; 6] = ["seq", "venue_seq", "ts_event", "ts_venue", "ts_recv", "ts_pub"];

/// One row of a table.
#[derive(Debug, PartialEq, Eq)]
pub struct Row {
    /// The JSON texts of the key's fields in turn, with commas between; `null` for a field that it lacks.
    key: Arc<str>,
    text: Box<str>,
    fields: Box<[Field]>,
}

/// Where a field stands in the text: its name without quotes, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Field {
    name: Range<u32>,
    value: Range<u32>,
}

/// What an update changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// The fields that are new or have another value, as the members of a JSON object.
    pub(super) changed: String,
    /// The names of those that are no more, as the items of a JSON array.
    pub(super) gone: String,
}

/// JSON text in the one spelling that values are compared in. Our own frames differ from it in escapes only.
pub(super) fn canonical(json: &str) -> Cow<'_, str> {
    if !json.contains('\\') {
        return Cow::Borrowed(json);
    }
    match serde_json::from_str::<serde_json::Value>(json) {
        Ok(value) => Cow::Owned(value.to_string()),
        Err(_) => Cow::Borrowed(json),
    }
}

/// A row while it is written.
#[derive(Debug, Default)]
pub(super) struct RowWriter {
    text: String,
    fields: Vec<Field>,
}

/// Texts of rows are far below four gigabytes: a frame is.
fn place(at: usize) -> u32 {
    u32::try_from(at).unwrap_or(u32::MAX)
}

impl RowWriter {
    /// Adds a field whose value is JSON text.
    pub(super) fn put(&mut self, name: &str, json: &str) {
        self.text.push_str(if self.text.is_empty() { "{\"" } else { ",\"" });
        let from = place(self.text.len());
        self.text.push_str(name);
        let to = place(self.text.len());
        self.text.push_str("\":");
        let value = place(self.text.len());
        self.text.push_str(&canonical(json));
        self.fields.push(Field { name: from..to, value: value..place(self.text.len()) });
    }

    pub(super) fn finish(mut self, kind: TableKind) -> Row {
        self.text.push_str(if self.text.is_empty() { "{}" } else { "}" });
        let mut row = Row { key: "".into(), text: self.text.into(), fields: self.fields.into() };
        row.key = row.key_of(kind).into();
        row
    }
}

impl Row {
    /// A frame's members as a row.
    pub(super) fn of(kind: TableKind, members: &Members<'_>) -> Self {
        let mut writer = RowWriter::default();
        for (name, value) in &members.0 {
            if !SHARED.contains(&&**name) {
                writer.put(name, value.get());
            }
        }
        writer.finish(kind)
    }

    fn key_of(&self, kind: TableKind) -> String {
        let mut key = String::with_capacity(48);
        for name in kind.keys() {
            if !key.is_empty() {
                key.push(',');
            }
            let value = self.field(name);
            key.push_str(value.as_deref().unwrap_or("null"));
        }
        key
    }

    /// The JSON texts of the key's fields, with commas between.
    pub fn key(&self) -> &Arc<str> {
        &self.key
    }

    /// The row as JSON text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// What it takes, in bytes.
    pub fn size(&self) -> usize {
        self.key.len() + self.text.len() + self.fields.len() * size_of::<Field>() + size_of::<Self>()
    }

    fn part(&self, range: &Range<u32>) -> &str {
        self.text.get(range.start as usize..range.end as usize).unwrap_or_default()
    }

    fn own(&self, name: &str) -> Option<&str> {
        let field = self.fields.iter().find(|field| self.part(&field.name) == name)?;
        Some(self.part(&field.value))
    }

    /// A field's value as JSON text; of one that is not there, that of its `params`.
    pub(super) fn field(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(value) = self.own(name) {
            return Some(Cow::Borrowed(value));
        }
        let params: Members<'_> = serde_json::from_str(self.own("params")?).ok()?;
        let found = params.0.iter().find(|(known, _)| known == name);
        found.map(|(_, value): &(_, &RawValue)| Cow::Owned(canonical(value.get()).into_owned()))
    }

    /// Whether such a row says that it is over.
    pub(super) fn is_over(&self, kind: TableKind) -> bool {
        kind.is_over(|name| self.own(name))
    }

    /// What is otherwise in `self` than it was in `before`; `None` if nothing but clocks and counts.
    pub(super) fn difference(&self, before: &Self) -> Option<Difference> {
        let mut difference = Difference::default();
        for (at, field) in self.fields.iter().enumerate() {
            let (name, value) = (self.part(&field.name), self.part(&field.value));
            // Frames of a kind mostly have the same fields in the same order.
            let same_place = before.fields.get(at).filter(|other| before.part(&other.name) == name);
            let was = same_place.map(|other| before.part(&other.value)).or_else(|| before.own(name));
            if was != Some(value) && !PASSING.contains(&name) {
                let comma = if difference.changed.is_empty() { "" } else { "," };
                difference.changed.push_str(&format!("{comma}\"{name}\":{value}"));
            }
        }
        for (at, field) in before.fields.iter().enumerate() {
            let name = before.part(&field.name);
            let same_place = self.fields.get(at).is_some_and(|other| self.part(&other.name) == name);
            if !same_place && self.own(name).is_none() && !PASSING.contains(&name) {
                let comma = if difference.gone.is_empty() { "" } else { "," };
                difference.gone.push_str(&format!("{comma}\"{name}\""));
            }
        }
        (difference != Difference::default()).then_some(difference)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: TableKind, json: &str) -> Row {
        Row::of(kind, &serde_json::from_str(json).expect("an object"))
    }

    #[test]
    fn a_row_is_its_frame_without_what_all_share() {
        let ticker = row(
            TableKind::Ticker,
            r#"{"v":1,"type":"ticker","venue":"v","market":"m","symbol":"A","epoch":1,"seq":7,"last":"1.50"}"#,
        );
        assert_eq!(ticker.text(), r#"{"market":"m","symbol":"A","seq":7,"last":"1.50"}"#);
        assert_eq!(&**ticker.key(), r#""m","A""#);
        assert_eq!(ticker.field("last").as_deref(), Some(r#""1.50""#));
        assert_eq!(ticker.field("mark"), None);
    }

    #[test]
    fn texts_are_compared_in_one_spelling() {
        let ticker = row(TableKind::Ticker, r#"{"market":"m","symbol":"a\u000ab\"","last":"\u0031"}"#);
        assert_eq!(ticker.field("symbol").as_deref(), Some(r#""a\nb\"""#));
        assert_eq!(ticker.field("last").as_deref(), Some(r#""1""#));
        assert_eq!(canonical(r#""\x""#), r#""\x""#, "what is no JSON stays as it is");
    }

    #[test]
    fn what_only_one_venue_says_may_be_of_the_key() {
        let position =
            r#"{"market":"swap","account":"main","symbol":"A","size":"1","params":{"position_side":"long"}}"#;
        let position = row(TableKind::Position, position);
        assert_eq!(&**position.key(), r#""swap","main","A",null,"long",null,null"#);
    }

    #[test]
    fn a_difference_names_what_changed_and_what_is_gone() {
        let before = row(TableKind::Bbo, r#"{"symbol":"A","seq":1,"bid_price":"1","ask_price":"2","ts_pub":5}"#);
        let differs = |json: &str| row(TableKind::Bbo, json).difference(&before);
        assert_eq!(differs(r#"{"symbol":"A","seq":2,"bid_price":"1","ask_price":"2","ts_pub":6,"ts_recv":1}"#), None);
        let difference =
            differs(r#"{"symbol":"A","seq":2,"ask_price":"3","ask_size":"9","ts_pub":6}"#).expect("a change");
        assert_eq!(difference.changed, r#""ask_price":"3","ask_size":"9""#);
        assert_eq!(difference.gone, r#""bid_price""#);
    }
}
