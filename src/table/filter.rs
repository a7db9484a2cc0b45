//! What rows are asked for: fields with the values they must have.

use std::borrow::Cow;

use super::row::{Row, canonical};
use super::{Shape, TableKind};

/// A price in quotes without the zeros that say nothing: two spellings of one price are one level.
fn without_zeros(price: &str) -> Cow<'_, str> {
    let Some(bare) = price.strip_prefix('"').and_then(|text| text.strip_suffix('"')) else { return price.into() };
    let trimmed = if bare.contains('.') { bare.trim_end_matches('0').trim_end_matches('.') } else { bare };
    if trimmed.len() == bare.len() { price.into() } else { format!("\"{trimmed}\"").into() }
}

/// Fields and the values they must have, all of them. Text and number are not equal (`"1"` is not `1`); `null` asks for rows
/// that lack the field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Where {
    /// Names, and values as JSON text.
    conditions: Vec<(String, String)>,
}

impl Where {
    /// From names and JSON texts.
    pub fn new(kind: TableKind, conditions: impl IntoIterator<Item = (String, String)>) -> Self {
        let in_one_spelling = |(name, json): (String, String)| {
            let json = canonical(&json).into_owned();
            let is_level = kind == TableKind::Book && name == "price";
            let json = if is_level { without_zeros(&json).into_owned() } else { json };
            (name, json)
        };
        Self { conditions: conditions.into_iter().map(in_one_spelling).collect() }
    }

    /// Whether it asks for nothing: all rows match.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// The value asked for of a field, as JSON text.
    pub fn value(&self, name: &str) -> Option<&str> {
        self.conditions.iter().find(|(known, _)| known == name).map(|(_, json)| json.as_str())
    }

    /// Adds a condition, unless there is one of this field.
    pub fn or_with(mut self, name: &str, json: String) -> Self {
        if self.value(name).is_none() {
            self.conditions.push((name.to_owned(), json));
        }
        self
    }

    /// The first field that is not of the table's key.
    pub fn beyond_key(&self, shape: &Shape) -> Option<&str> {
        self.conditions.iter().map(|(name, _)| name.as_str()).find(|name| !shape.keys().contains(name))
    }

    /// The key of the one row asked for, if every field of the key is given, and says how it is spelled. A status without
    /// account and channel is a symbol's, or the feed's.
    pub(super) fn key(&self, shape: &Shape) -> Option<String> {
        if shape.kind() == TableKind::Book {
            return None;
        }
        let usual = |name: &str| {
            let may_lack = shape.kind() == TableKind::Status && matches!(name, "account" | "channel");
            may_lack.then_some("null")
        };
        let values: Option<Vec<&str>> = shape.keys().iter().map(|name| self.value(name).or(usual(name))).collect();
        values.map(|values| values.join(","))
    }

    /// Whether a row is meant.
    pub fn matches(&self, kind: TableKind, row: &Row) -> bool {
        self.matcher(kind).matches(row)
    }

    /// What tells many rows of a table that are meant from those that are not.
    pub fn matcher(&self, kind: TableKind) -> Matcher<'_> {
        Matcher { asked: self, kind, places: vec![0; self.conditions.len()] }
    }
}

/// See [`Where::matcher`].
#[derive(Clone, Debug)]
pub struct Matcher<'a> {
    asked: &'a Where,
    kind: TableKind,
    /// Where the last row had the fields.
    places: Vec<usize>,
}

impl Matcher<'_> {
    /// Whether a row is meant.
    pub fn matches(&mut self, row: &Row) -> bool {
        self.asked.conditions.iter().zip(&mut self.places).all(|((name, json), place)| {
            let value = row.field_near(name, place).unwrap_or(Cow::Borrowed("null"));
            let is_level = self.kind == TableKind::Book && name == "price";
            if is_level { without_zeros(&value) == *json } else { value == *json }
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_price_is_compared_as_a_number() {
        for (spelled, plain) in
            [("0.10", "0.1"), ("0.1", "0.1"), ("100", "100"), ("100.00", "100"), ("0", "0"), ("0.0", "0")]
        {
            assert_eq!(without_zeros(&format!("\"{spelled}\"")), format!("\"{plain}\""));
        }
        assert_eq!(without_zeros("null"), "null");
    }
}
