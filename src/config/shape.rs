//! Checks a value against our JSON Schema: unknown and missing keys, types, words and bounds, all of them at once.
//!
//! Only the keywords that our schema uses are understood; a test in this module fails when it begins to use another.

use std::collections::HashSet;

use serde_json::{Map, Number, Value};

use super::problem::{Findings, member, quoted};
use super::{hint, schema, secret};

/// Reports everything in `value` that the schema does not allow, and takes it out.
///
/// What is left can be deserialized, so that the other rules can be checked on it too. A bad element of a list
/// leaves an empty string in its place, which keeps the places of the others.
///
/// Where a secret belongs, nothing of what stands there is shown: someone may have written it there. The schema marks
/// these places with `writeOnly`.
pub(super) fn check(value: &mut Value, findings: &mut Findings) {
    let root = schema::json_schema();
    let usable = Walk { root: &root, findings }.node(&root, value, "");
    if !usable {
        *value = Value::Object(Map::new());
    }
}

/// The schema of the place that `segments` lead to, resolved.
///
/// # Errors
/// The key that does not exist, and the keys that do, as one sentence.
pub(super) fn at<'s>(root: &'s Value, segments: &[&str]) -> Result<&'s Value, String> {
    let mut node = root;
    for (depth, segment) in segments.iter().enumerate() {
        let parent = segments[..depth].join(".");
        let properties = node["properties"].as_object();
        let next = properties.and_then(|p| p.get(*segment)).or_else(|| Some(&node["additionalProperties"]));
        node = match (next, properties) {
            (Some(next), _) if next.is_object() => resolve(root, next),
            (_, Some(properties)) => return Err(unknown_key(segment, properties)),
            _ if node["type"] == "array" => return Err(format!("{parent} is a list: give all of it, with commas")),
            _ => return Err(format!("{parent} has no keys")),
        };
    }
    Ok(node)
}

/// Whether the schema node allows this JSON type.
pub(super) fn allows(node: &Value, kind: &str) -> bool {
    match &node["type"] {
        Value::String(only) => only == kind,
        Value::Array(kinds) => kinds.iter().any(|k| k == kind),
        _ => kind == "string" && node["oneOf"].is_array(),
    }
}

fn resolve<'s>(root: &'s Value, node: &'s Value) -> &'s Value {
    match node["$ref"].as_str().and_then(|target| target.strip_prefix("#/$defs/")) {
        Some(name) => &root["$defs"][name],
        None => node,
    }
}

/// Whether this is where a secret comes from.
pub(super) fn is_secret(node: &Value) -> bool {
    node["writeOnly"] == true
}

/// Whether a secret belongs here, or somewhere below.
fn has_secrets<'s>(root: &'s Value, node: &'s Value, seen: &mut HashSet<&'s str>) -> bool {
    if node["$ref"].as_str().is_some_and(|name| !seen.insert(name)) {
        return false;
    }
    let node = resolve(root, node);
    let members = node["properties"].as_object().into_iter().flat_map(Map::values);
    let mut below = members.chain([&node["items"], &node["additionalProperties"]]).filter(|inner| inner.is_object());
    is_secret(node) || below.any(|inner| has_secrets(root, inner, seen))
}

fn unknown_key(key: &str, properties: &Map<String, Value>) -> String {
    let names = || properties.keys().map(String::as_str);
    let allowed = names().collect::<Vec<_>>().join(", ");
    format!("unknown key {}; allowed: {allowed}{}", quoted(key), hint::suffix(key, names()))
}

struct Walk<'a> {
    root: &'a Value,
    findings: &'a mut Findings,
}

impl<'a> Walk<'a> {
    /// Whether what is left of `value` can be used.
    fn node(&mut self, node: &'a Value, value: &mut Value, path: &str) -> bool {
        let node = resolve(self.root, node);
        if is_secret(node) {
            return self.secret(node, value, path);
        }
        match value {
            Value::Null if allows(node, "null") => true,
            Value::Bool(_) if allows(node, "boolean") => true,
            Value::String(word) if allows(node, "string") => self.word(node, word, path),
            Value::Number(number) if allows(node, "integer") && !number.is_f64() => self.number(node, number, path),
            Value::Array(items) if allows(node, "array") => self.array(node, items, path),
            Value::Object(map) if allows(node, "object") => self.object(node, map, path),
            other => {
                let is_secret = has_secrets(self.root, node, &mut HashSet::new());
                let got = if is_secret { kind(other).to_owned() } else { shown(other) };
                self.findings.add(path, format!("expected {}, got {got}", expected(node)));
                false
            }
        }
    }

    /// Whether this says where a secret comes from. Neither keys nor values of it are shown if it does not.
    fn secret(&mut self, node: &Value, value: &Value, path: &str) -> bool {
        let is_known = |(key, value): (&String, &Value)| {
            node["properties"].get(key).is_some_and(|_| value.is_string() || value.is_null())
        };
        let says_where = value.as_object().is_some_and(|members| members.iter().all(is_known));
        if !says_where {
            let got = if value.is_object() { "something else" } else { kind(value) };
            self.findings.add(path, format!("expected {}, got {got}, which is not shown here", secret::EXPECTED));
        }
        says_where
    }

    fn word(&mut self, node: &Value, word: &str, path: &str) -> bool {
        let Some(choices) = node["oneOf"].as_array() else { return true };
        let words: Vec<&str> = choices.iter().filter_map(|choice| choice["const"].as_str()).collect();
        let known = words.contains(&word);
        if !known {
            let hint = hint::suffix(word, words.iter().copied());
            let message = format!("unknown value {}; allowed: {}{hint}", quoted(word), words.join(", "));
            self.findings.add(path, message);
        }
        known
    }

    fn number(&mut self, node: &Value, number: &Number, path: &str) -> bool {
        let outside = outside(node, "minimum", "maximum", number.as_f64().unwrap_or(f64::MAX));
        if let Some((least, most)) = outside {
            self.findings.add(path, format!("{number} is out of range; allowed: {least} to {most}"));
        }
        outside.is_none()
    }

    fn count(&mut self, node: &Value, keys: (&str, &str), count: usize, path: &str) -> bool {
        match (outside(node, keys.0, keys.1, count as f64), count) {
            (None, _) => return true,
            (Some((least, _)), 0) => self.findings.add(path, format!("is empty; at least {least} needed")),
            (Some((least, most)), _) => {
                self.findings.add(path, format!("has {count} entries; allowed: {least} to {most}"));
            }
        }
        false
    }

    fn array(&mut self, node: &'a Value, items: &mut [Value], path: &str) -> bool {
        for (index, item) in items.iter_mut().enumerate() {
            if !self.node(&node["items"], item, &format!("{path}[{index}]")) {
                *item = Value::String(String::new());
            }
        }
        self.count(node, ("minItems", "maxItems"), items.len(), path)
    }

    fn object(&mut self, node: &'a Value, map: &mut Map<String, Value>, path: &str) -> bool {
        let keys: Vec<String> = map.keys().cloned().collect();
        let within = self.count(node, ("minProperties", "maxProperties"), keys.len(), path);
        for key in keys {
            let inner = member(path, &key);
            let known = node["properties"].get(&key).or_else(|| node.get("additionalProperties"));
            let usable = match (known, map.get_mut(&key)) {
                (Some(known), Some(value)) if known.is_object() => self.node(known, value, &inner),
                _ => {
                    let none = Map::new();
                    let properties = node["properties"].as_object().unwrap_or(&none);
                    self.findings.add(inner, unknown_key(&key, properties));
                    false
                }
            };
            if !usable {
                map.remove(&key);
            }
        }
        let required = node["required"].as_array().map(Vec::as_slice).unwrap_or_default();
        for key in required.iter().filter_map(Value::as_str) {
            let inner = member(path, key);
            if !map.contains_key(key) && !self.findings.has(&inner) {
                self.findings.add(inner, "missing, and there is no default");
            }
        }
        within
    }
}

/// The bounds, if the number is not within them.
fn outside(node: &Value, least: &str, most: &str, number: f64) -> Option<(f64, f64)> {
    let least = node[least].as_f64().unwrap_or(f64::MIN);
    let most = node[most].as_f64().unwrap_or(f64::MAX);
    (!(least..=most).contains(&number)).then_some((least, most))
}

fn expected(node: &Value) -> String {
    let names = [
        ("object", "an object"),
        ("array", "a list"),
        ("string", "a string"),
        ("integer", "a whole number"),
        ("boolean", "true or false"),
        ("null", "null"),
    ];
    let allowed: Vec<&str> = names.iter().filter(|(kind, _)| allows(node, kind)).map(|&(_, name)| name).collect();
    allowed.join(" or ")
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => quoted(text),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        other => kind(other).to_owned(),
    }
}

const fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn found(mut value: Value) -> Vec<(String, String)> {
        let mut findings = Findings::default();
        check(&mut value, &mut findings);
        let left: Result<schema::Settings, _> = serde_json::from_value(value);
        left.expect("what is left can be deserialized");
        findings.into_list()
    }

    #[test]
    fn everything_is_found_at_once_at_its_path() {
        let found = found(json!({
            "bus": {"bind": "tcp://127.0.0.1:1", "queue_frames": 1.5, "encodng": "json", "encoding": "jsn"},
            "log": null,
            "feeds": {"a": {"venue": 7, "market": "linear", "channels": ["trade", 5, null], "publish": {"book_depth": 0}},
                      "b c": []},
        }));
        let paths: Vec<_> = found.iter().map(|(path, _)| path.as_str()).collect();
        assert_eq!(
            paths,
            [
                "bus.bind",
                "bus.encoding",
                "bus.encodng",
                "bus.queue_frames",
                "feeds.a.channels[1]",
                "feeds.a.channels[2]",
                "feeds.a.publish.book_depth",
                "feeds.a.venue",
                "feeds[\"b c\"]",
                "log",
            ]
        );
        assert_eq!(found[0].1, "expected a list, got \"tcp://127.0.0.1:1\"");
        assert_eq!(found[1].1, "unknown value \"jsn\"; allowed: json, msgpack; did you mean \"json\"?");
        assert!(found[2].1.ends_with("snapshot_bind; did you mean \"encoding\"?"), "{}", found[2].1);
        assert_eq!(found[3].1, "expected a whole number, got 1.5");
        assert_eq!(found[6].1, "0 is out of range; allowed: 1 to 1000");
    }

    /// The paths of all places where the schema wants a secret, or something with a secret in it. `x` is any name.
    fn secret_places() -> Vec<Vec<String>> {
        fn look(root: &Value, node: &Value, path: &[String], out: &mut Vec<Vec<String>>) {
            let refs = path.len();
            if refs > 8 || !has_secrets(root, node, &mut HashSet::new()) {
                return;
            }
            out.push(path.to_vec());
            let node = resolve(root, node);
            let none = Map::new();
            let members =
                node["properties"].as_object().unwrap_or(&none).iter().map(|(key, node)| (key.as_str(), node));
            for (key, inner) in members.chain([("x", &node["additionalProperties"])]) {
                look(root, inner, &[path, &[key.to_owned()]].concat(), out);
            }
        }
        let (root, mut out) = (schema::json_schema(), Vec::new());
        look(&root, &root, &[], &mut out);
        out
    }

    #[test]
    fn what_stands_where_a_secret_belongs_is_not_shown() {
        const CANARY: &str = "CANARY";
        let places = secret_places();
        let names: Vec<String> = places.iter().map(|place| place.join(".")).collect();
        for known in [
            "accounts.x.key",
            "accounts.x.secret",
            "accounts.x.passphrase",
            "feeds.x.credentials",
            "feeds.x.credentials.secret",
            "control.token",
            "bus.auth.users.x",
            "control.auth.users",
            "accounts.x",
        ] {
            assert!(names.iter().any(|name| name == known), "{known} is none of {names:?}");
        }
        let is_secret = |place: &[String]| {
            let (root, segments) = (schema::json_schema(), place.iter().map(String::as_str).collect::<Vec<_>>());
            at(&root, &segments).is_ok_and(is_secret)
        };
        let scalars = [json!(CANARY), json!(7_777_777), json!(777.5), json!([CANARY]), json!([[CANARY, 7_777_777]])];
        let nested = [
            json!({"env": [CANARY]}),
            json!({"env": {"x": CANARY}}),
            json!({"env": 7_777_777}),
            json!({CANARY: CANARY}),
            json!({"env": "A", "x": CANARY}),
            json!({"file": {CANARY: 1}}),
        ];
        for place in places.iter().filter(|place| !place.is_empty()) {
            let more: &[Value] = if is_secret(place) { &nested } else { &[] };
            for wrong in scalars.iter().chain(more) {
                let nest = |inner, key: &String| Value::Object(Map::from_iter([(key.clone(), inner)]));
                let told = found(place.iter().rev().fold(wrong.clone(), nest));
                let path = place.join(".");
                assert!(told.iter().any(|(at, _)| *at == path), "{path} may be {wrong}: {told:?}");
                assert!(!format!("{told:?}").contains(CANARY) && !format!("{told:?}").contains("777"), "{told:?}");
                let wanted = |(at, what): &(String, String)| *at == path && what.contains("{\"env\": \"NAME\"}");
                assert!(!is_secret(place) || told.iter().any(wanted), "{told:?}");
            }
        }
    }

    #[test]
    fn missing_keys_and_empty_lists_are_found() {
        let found = found(json!({"bus": {"bind": []}, "feeds": {"a": {"url": null}}}));
        let expected = [
            ("bus.bind", "is empty; at least 1 needed"),
            ("feeds.a.venue", "missing, and there is no default"),
            ("feeds.a.market", "missing, and there is no default"),
            ("feeds.a.channels", "missing, and there is no default"),
        ];
        assert_eq!(found, expected.map(|(path, message)| (path.to_owned(), message.to_owned())));
    }

    #[test]
    fn the_schema_uses_no_keyword_this_module_does_not_check() {
        const KNOWN: &[&str] = &[
            "$ref",
            "$defs",
            "$schema",
            "title",
            "description",
            "default",
            "format",
            "type",
            "oneOf",
            "const",
            "properties",
            "additionalProperties",
            "required",
            "items",
            "minItems",
            "maxItems",
            "minProperties",
            "maxProperties",
            "minimum",
            "maximum",
            "propertyNames",
            "writeOnly",
        ];
        fn look(node: &Value) {
            let Some(node) = node.as_object() else { return };
            for (keyword, inner) in node {
                assert!(KNOWN.contains(&keyword.as_str()), "{keyword} is not checked");
                match (keyword.as_str(), inner) {
                    ("properties" | "$defs", Value::Object(members)) => members.values().for_each(look),
                    ("oneOf", Value::Array(choices)) => choices.iter().for_each(look),
                    ("items" | "additionalProperties", inner) => look(inner),
                    _ => {}
                }
            }
        }
        look(&schema::json_schema());
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let key = prop::sample::select(vec![
            "bus",
            "bind",
            "feeds",
            "venue",
            "channels",
            "symbols",
            "publish",
            "log",
            "level",
            "url",
            "silence_ms",
            "x",
        ]);
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            "[a-z:/]{0,6}".prop_map(Value::from),
        ];
        leaf.prop_recursive(5, 64, 6, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..6)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_left_of_anything_can_be_deserialized(value in any_value()) {
            found(value);
        }
    }
}
