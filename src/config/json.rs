//! Reads JSON text strictly: syntax errors and keys given twice are reported with line and column.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::problem::{Findings, quoted};

/// The text's value; `None` if it is not JSON. What is wrong goes to `findings`, by line and column (in bytes).
///
/// A key that is given twice is reported, and its last value is the one returned.
pub(super) fn parse(text: &str, findings: &mut Findings) -> Option<Value> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    match serde_json::from_str::<Value>(text) {
        Ok(value) => {
            find_duplicates(text, text, findings);
            Some(value)
        }
        Err(error) => {
            let (line, column) = (error.line(), error.column());
            let whole = error.to_string();
            let what = whole.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&whole);
            let what = match what {
                "recursion limit exceeded" => "is nested deeper than 127 levels".to_owned(),
                what => format!("not JSON: {what}"),
            };
            findings.add(place(line, column), what);
            None
        }
    }
}

/// Looks through `part`, a piece of `text` that is known to be JSON no deeper than `serde_json` reads.
fn find_duplicates(text: &str, part: &str, findings: &mut Findings) {
    match part.trim_start().as_bytes().first() {
        Some(b'{') => {
            let Ok(Members(members)) = serde_json::from_str(part) else { return };
            let mut seen = BTreeMap::new();
            for (key, value) in members {
                let name: String = serde_json::from_str(key.get()).unwrap_or_default();
                let at = position(text, key.get());
                if let Some(first) = seen.get(&name) {
                    findings.add(&at, format!("the key {} is given twice, first at {first}", quoted(&name)));
                }
                seen.entry(name).or_insert(at);
                find_duplicates(text, value.get(), findings);
            }
        }
        Some(b'[') => {
            let items: Vec<&RawValue> = serde_json::from_str(part).unwrap_or_default();
            items.into_iter().for_each(|item| find_duplicates(text, item.get(), findings));
        }
        _ => {}
    }
}

/// Where `part`, a slice of `text`, begins.
fn position(text: &str, part: &str) -> String {
    let offset = (part.as_ptr() as usize).saturating_sub(text.as_ptr() as usize);
    let before = text.get(..offset).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    place(before.matches('\n').count() + 1, offset - line_start + 1)
}

fn place(line: usize, column: usize) -> String {
    format!("line {line} column {column}")
}

/// An object's members in the order of the text, as slices of it.
struct Members<'a>(Vec<(&'a RawValue, &'a RawValue)>);

impl<'de> serde::Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Collect;
        impl<'de> Visitor<'de> for Collect {
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
        deserializer.deserialize_map(Collect)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(text: &str) -> Vec<(String, String)> {
        let mut findings = Findings::default();
        parse(text, &mut findings);
        findings.into_list()
    }

    #[test]
    fn syntax_errors_have_line_and_column() {
        let found = findings("{\n  \"bus\": {,}\n}");
        assert_eq!(found, [("line 2 column 11".into(), "not JSON: key must be a string".into())]);
    }

    #[test]
    fn every_duplicate_key_is_found_at_its_place() {
        let found = findings("{\"a\": 1,\n \"b\": [{\"x\": 1, \"y\": 2, \"\\u0078\": 3}],\n \"a\": 2}");
        let places: Vec<_> = found.iter().map(|(place, _)| place.as_str()).collect();
        assert_eq!(places, ["line 2 column 25", "line 3 column 2"]);
        assert_eq!(found[1].1, "the key \"a\" is given twice, first at line 1 column 2");
    }

    #[test]
    fn clean_text_has_no_findings_and_depth_is_bounded() {
        assert_eq!(findings("\u{feff}{\"a\": {\"a\": [1, \"a\"]}}"), []);
        let deep = findings(&"[".repeat(100_000));
        assert_eq!(deep, [("line 1 column 128".to_owned(), "is nested deeper than 127 levels".to_owned())]);
    }
}
