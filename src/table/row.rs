//! A row: one JSON object with the place of each of its fields, so that it is compared and sent without being read again.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde_json::value::RawValue;

use super::{Shape, TableKind};
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

/// Where a field's name begins in the text, behind its quote, and where its value does. Both end where what is written
/// behind them begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Field {
    name: u32,
    value: u32,
}

/// What an update changed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Difference {
    /// The places of the fields that are new or have another value.
    changed: Box<[u16]>,
    /// The names of those that are no more, as the items of a JSON array.
    gone: Box<str>,
}

impl Difference {
    pub(super) fn size(&self) -> usize {
        size_of_val(&*self.changed) + self.gone.len()
    }
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
        let at = place(self.text.len());
        self.text.push_str(name);
        self.text.push_str("\":");
        self.fields.push(Field { name: at, value: place(self.text.len()) });
        self.text.push_str(&canonical(json));
    }

    pub(super) fn finish(mut self, shape: &Shape) -> Row {
        self.text.push_str(if self.text.is_empty() { "{}" } else { "}" });
        let mut row = Row { key: "".into(), text: self.text.into(), fields: self.fields.into() };
        row.key = row.key_of(shape).into();
        row
    }
}

impl Row {
    /// A frame's members as a row.
    pub(super) fn of(shape: &Shape, members: &Members<'_>) -> Self {
        let room = members.0.iter().map(|(name, value)| name.len() + value.get().len() + 4).sum();
        let mut writer = RowWriter { text: String::with_capacity(room), fields: Vec::with_capacity(members.0.len()) };
        for (name, value) in &members.0 {
            // Frames have plain names only.
            if !SHARED.contains(&&**name) && !name.contains(['"', '\\']) {
                writer.put(name, value.get());
            }
        }
        writer.finish(shape)
    }

    fn key_of(&self, shape: &Shape) -> String {
        let mut key = String::with_capacity(48);
        for name in shape.keys() {
            if !key.is_empty() {
                key.push(',');
            }
            let value = self.field(name).filter(|value| shape.kind().counts(name, value));
            key.push_str(value.as_deref().unwrap_or("null"));
        }
        key
    }

    /// This row with what only the one before it said.
    pub(super) fn after(self, before: &Self, shape: &Shape) -> Self {
        let adds = |at: &usize| !PASSING.contains(&before.name(*at)) && self.place_of(before.name(*at)).is_none();
        let more: Vec<usize> = (0..before.fields.len()).filter(adds).collect();
        if more.is_empty() {
            return self;
        }
        let mut writer = RowWriter::default();
        (0..self.fields.len()).for_each(|at| writer.put(self.name(at), self.value(at)));
        more.into_iter().for_each(|at| writer.put(before.name(at), before.value(at)));
        writer.finish(shape)
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

    fn part(&self, range: Range<usize>) -> &str {
        self.text.get(range).unwrap_or_default()
    }

    fn is_named(&self, at: usize, name: &str) -> bool {
        let Some(field) = self.fields.get(at) else { return false };
        let (from, to) = (field.name as usize, (field.value as usize).saturating_sub(2));
        // Bytes are cheaper to compare than text is to cut.
        to - from == name.len() && self.text.as_bytes().get(from..to) == Some(name.as_bytes())
    }

    fn name(&self, at: usize) -> &str {
        self.fields.get(at).map_or("", |field| self.part(field.name as usize..(field.value as usize).saturating_sub(2)))
    }

    fn value(&self, at: usize) -> &str {
        let Some(field) = self.fields.get(at) else { return "" };
        // Behind a value come a comma and a quote, or the last bracket.
        let end = self.fields.get(at + 1).map_or(self.text.len() - 1, |next| (next.name as usize).saturating_sub(2));
        self.part(field.value as usize..end)
    }

    fn place_of(&self, name: &str) -> Option<usize> {
        (0..self.fields.len()).find(|at| self.is_named(*at, name))
    }

    fn own(&self, name: &str) -> Option<&str> {
        self.place_of(name).map(|at| self.value(at))
    }

    /// [`Self::field`], looked for first where the row before had it: rows of a table mostly have the same fields in the same
    /// order.
    pub(super) fn field_near(&self, name: &str, at: &mut usize) -> Option<Cow<'_, str>> {
        if !self.is_named(*at, name) {
            let Some(found) = self.place_of(name) else { return self.field(name) };
            *at = found;
        }
        Some(Cow::Borrowed(self.value(*at)))
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
        let mut changed = Vec::new();
        let mut gone = String::new();
        let mut theirs = 0;
        for at in 0..self.fields.len() {
            let name = self.name(at);
            let was = before.is_named(theirs, name).then_some(theirs).or_else(|| before.place_of(name));
            theirs = was.unwrap_or(theirs) + 1;
            if was.is_none_or(|was| before.value(was) != self.value(at)) && !PASSING.contains(&name) {
                changed.extend(u16::try_from(at));
            }
        }
        let mut ours = 0;
        for at in 0..before.fields.len() {
            let name = before.name(at);
            let is = self.is_named(ours, name).then_some(ours).or_else(|| self.place_of(name));
            ours = is.unwrap_or(ours) + 1;
            if is.is_none() && !PASSING.contains(&name) {
                let comma = if gone.is_empty() { "" } else { "," };
                gone.push_str(&format!("{comma}\"{name}\""));
            }
        }
        let difference = Difference { changed: changed.into(), gone: gone.into() };
        (difference != Difference::default()).then_some(difference)
    }

    /// Writes what an update to this row changed, as members of a JSON object, each with a comma before it.
    pub(super) fn write_difference(&self, difference: &Difference, out: &mut String) {
        out.push_str(",\"changed\":{");
        for (nth, at) in difference.changed.iter().enumerate() {
            out.push_str(if nth == 0 { "\"" } else { ",\"" });
            out.push_str(self.name((*at).into()));
            out.push_str("\":");
            out.push_str(self.value((*at).into()));
        }
        out.push('}');
        if !difference.gone.is_empty() {
            for part in [",\"gone\":[", &difference.gone, "]"] {
                out.push_str(part);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(kind: TableKind, json: &str) -> Row {
        Row::of(&Shape::new(kind, crate::venue::find("okx")), &serde_json::from_str(json).expect("an object"))
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
        assert_eq!(&**position.key(), r#""swap","main","A",null,"long""#);
    }

    #[test]
    fn a_difference_names_what_changed_and_what_is_gone() {
        let before = row(TableKind::Bbo, r#"{"symbol":"A","seq":1,"bid_price":"1","ask_price":"2","ts_pub":5}"#);
        let differs = |json: &str| {
            let row = row(TableKind::Bbo, json);
            let mut text = String::new();
            row.write_difference(&row.difference(&before)?, &mut text);
            Some(text)
        };
        assert_eq!(differs(r#"{"symbol":"A","seq":2,"bid_price":"1","ask_price":"2","ts_pub":6,"ts_recv":1}"#), None);
        assert_eq!(differs(r#"{"ts_pub":6,"ask_price":"2","bid_price":"1","symbol":"A"}"#), None, "in another order");
        let told = differs(r#"{"symbol":"A","seq":2,"ask_price":"3","ask_size":"9","ts_pub":6}"#);
        assert_eq!(told.as_deref(), Some(r#","changed":{"ask_price":"3","ask_size":"9"},"gone":["bid_price"]"#));
    }
}
