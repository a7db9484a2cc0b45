//! Values from the environment (`TICKBUS__BUS__ENCODING=msgpack`) and from flags (`--set bus.encoding=msgpack`).
//!
//! The JSON Schema says what a text means: a string stays a string, a list is comma-separated or a JSON array, an
//! object is JSON. A text that does not fit stays a string, and is reported with the other wrong types.

use std::ffi::OsString;

use serde_json::{Map, Value};

use super::problem::quoted;
use super::{Problem, shape};

const PREFIX: &str = "TICKBUS__";

/// One value that replaces the file's.
#[derive(Debug)]
pub(super) struct Override {
    /// The environment variable, or `--set`.
    pub(super) origin: String,
    /// Which value: `feeds.bybit_linear.symbols`.
    pub(super) path: String,
    /// The value inside objects, from the top: what is merged over the file.
    pub(super) nested: Value,
}

/// The overrides among environment variables, in the order of their names.
pub(super) fn from_env(
    schema: &Value,
    variables: impl IntoIterator<Item = (OsString, OsString)>,
    problems: &mut Vec<Problem>,
) -> Vec<Override> {
    let name_of = |name: OsString| name.into_string().ok().filter(|name| name.starts_with(PREFIX));
    let mut ours: Vec<(String, OsString)> =
        variables.into_iter().filter_map(|(name, text)| Some((name_of(name)?, text))).collect();
    ours.sort();
    let mut found = Vec::new();
    for (name, text) in ours {
        let path = name[PREFIX.len()..].to_lowercase();
        let segments: Vec<&str> = path.split("__").collect();
        let result = match text.to_str() {
            Some(text) => read(schema, &name, &segments, text),
            None => Err("is not valid UTF-8".to_owned()),
        };
        keep(result, name, &mut found, problems);
    }
    found
}

/// The overrides of `--set KEY=VALUE` flags, in their order.
pub(super) fn from_flags(schema: &Value, flags: &[String], problems: &mut Vec<Problem>) -> Vec<Override> {
    let mut found = Vec::new();
    for flag in flags {
        let origin = match flag.split_once('=') {
            Some((path, _)) => format!("--set {path}"),
            None => format!("--set {}", quoted(flag)),
        };
        let result = match flag.split_once('=') {
            Some((path, text)) => read(schema, &origin, &path.split('.').collect::<Vec<_>>(), text),
            None => Err("has no value; write --set KEY=VALUE, such as --set bus.encoding=msgpack".to_owned()),
        };
        keep(result, origin, &mut found, problems);
    }
    found
}

fn keep(result: Result<Override, String>, origin: String, found: &mut Vec<Override>, problems: &mut Vec<Problem>) {
    match result {
        Ok(one) => found.push(one),
        Err(message) => problems.push(Problem { origin, path: String::new(), message }),
    }
}

fn read(schema: &Value, origin: &str, segments: &[&str], text: &str) -> Result<Override, String> {
    let node = shape::at(schema, segments)?;
    let value = value_of(node, text).map_err(|error| format!("not JSON: {error}"))?;
    let nest = |inner, key: &&str| Value::Object(Map::from_iter([((*key).to_owned(), inner)]));
    let nested = segments.iter().rev().fold(value, nest);
    Ok(Override { origin: origin.to_owned(), path: segments.join("."), nested })
}

fn value_of(node: &Value, text: &str) -> Result<Value, serde_json::Error> {
    let trimmed = text.trim();
    if shape::allows(node, "null") && matches!(trimmed, "" | "null") {
        return Ok(Value::Null);
    }
    if shape::is_secret(node) {
        // Nothing of it is shown, not even where it stops being JSON.
        return Ok(serde_json::from_str(trimmed).unwrap_or_else(|_| Value::String(text.to_owned())));
    }
    if shape::allows(node, "object") || (shape::allows(node, "array") && trimmed.starts_with('[')) {
        return serde_json::from_str(trimmed);
    }
    if shape::allows(node, "array") {
        let items = trimmed.split(',').map(str::trim).filter(|item| !item.is_empty());
        return Ok(items.collect());
    }
    let number = trimmed.parse::<u64>().map(Value::from).or_else(|_| trimmed.parse::<i64>().map(Value::from));
    let truth = trimmed.parse::<bool>();
    Ok(match (number, truth) {
        (Ok(number), _) if shape::allows(node, "integer") => number,
        (_, Ok(truth)) if shape::allows(node, "boolean") => Value::Bool(truth),
        _ => Value::String(text.to_owned()),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::config::schema::json_schema;

    fn flag(text: &str) -> Result<Value, String> {
        let mut problems = Vec::new();
        let mut found = from_flags(&json_schema(), &[text.to_owned()], &mut problems);
        found.pop().map(|one| one.nested).ok_or_else(|| problems[0].to_string())
    }

    #[test]
    fn the_schema_says_what_a_text_means() {
        let symbols = |value: Value| Ok(json!({"feeds": {"x": {"symbols": value}}}));
        assert_eq!(flag("feeds.x.symbols=1INCHUSDT, 5"), symbols(json!(["1INCHUSDT", "5"])));
        assert_eq!(flag("feeds.x.symbols=[\"A\"]"), symbols(json!(["A"])));
        assert_eq!(flag("feeds.x.symbols="), symbols(json!([])));
        assert_eq!(flag("feeds.x.venue=5555"), Ok(json!({"feeds": {"x": {"venue": "5555"}}})));
        assert_eq!(flag("feeds.x.url=null"), Ok(json!({"feeds": {"x": {"url": null}}})));
        assert_eq!(flag("feeds.x.silence_ms=5000"), Ok(json!({"feeds": {"x": {"silence_ms": 5000}}})));
        assert_eq!(flag("bus.queue_frames=many"), Ok(json!({"bus": {"queue_frames": "many"}})));
        assert_eq!(flag("bus.public=true"), Ok(json!({"bus": {"public": true}})));
        assert_eq!(flag("feeds={\"x\": {}}"), Ok(json!({"feeds": {"x": {}}})));
    }

    #[test]
    fn keys_that_do_not_exist_are_refused_with_what_does() {
        let refused = [
            ("bus.encodng=json", "--set bus.encodng: unknown key \"encodng\"; allowed: auth, bind, encoding, "),
            ("buz.bind=x", "--set buz.bind: unknown key \"buz\"; allowed: $schema, accounts, admin, apis, bus, "),
            ("bus.bind.0=x", "--set bus.bind.0: bus.bind is a list: give all of it, with commas"),
            ("bus.public.x=1", "--set bus.public.x: bus.public has no keys"),
            ("bus", "--set \"bus\": has no value; "),
            ("feeds=x", "--set feeds: not JSON: "),
        ];
        for (text, message) in refused {
            let error = flag(text).unwrap_err();
            assert!(error.starts_with(message), "{error}");
        }
    }

    #[test]
    fn only_our_variables_are_read_in_lower_case() {
        let variables = [("TICKBUS__BUS__ENCODING", "msgpack"), ("TICKBUS_LOG_FORMAT", "json"), ("HOME", "/")];
        let variables = variables.map(|(name, text)| (name.into(), text.into()));
        let mut problems = Vec::new();
        let found = from_env(&json_schema(), variables, &mut problems);
        assert_eq!(problems, []);
        assert_eq!(found.len(), 1);
        assert_eq!(
            (found[0].path.as_str(), &found[0].nested),
            ("bus.encoding", &json!({"bus": {"encoding": "msgpack"}}))
        );
    }
}
