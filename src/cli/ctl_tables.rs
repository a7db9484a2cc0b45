//! `tickbus ctl` about tables: `VENUE.TABLE` and the fields of rows as arguments, and changes followed as they come.

use std::io;

use anyhow::{Context as _, bail};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Usage;
use super::ctl_fields::Fields;

/// Arguments of the operations themselves: the others are fields that rows must have.
const NUMBERS: [&str; 5] = ["limit", "after", "epoch", "within_ms", "n"];
const TEXTS: [&str; 3] = ["venue", "feed", "table"];
/// Fields of rows that are numbers, besides those that begin with `ts_`, and truth values.
const COUNTS: [&str; 11] = [
    "seq",
    "venue_seq",
    "open_time",
    "close_time",
    "next_funding_time",
    "since",
    "expiry",
    "created",
    "updated",
    "depth",
    "delta_seq",
];
const TRUTHS: [&str; 3] = ["closed", "block", "removed"];

/// Whether an operation with these arguments is about a table.
pub(super) fn is_about_a_table(op: &str, args: &[String]) -> bool {
    let names_one = |arg: &String| arg.starts_with("table=") || (!arg.contains('=') && arg.contains('.'));
    matches!(op, "find" | "sorted" | "wait" | "watch") || (op == "get" && args.iter().any(names_one))
}

/// The request's fields, from `VENUE.TABLE` and `KEY=VALUE` texts.
pub(super) fn fields(op: &str, args: &[String]) -> anyhow::Result<Fields> {
    let mut fields = Fields::of(op);
    let mut conditions = Fields::default();
    for (at, text) in args.iter().enumerate() {
        let Some((key, value)) = text.split_once('=') else {
            let Some((venue, table)) = text.split_once('.').filter(|_| at == 0) else {
                bail!(Usage(format!("{text:?}: write VENUE.TABLE first, and then KEY=VALUE")));
            };
            fields.set_text("venue", venue);
            fields.set_text("table", table);
            continue;
        };
        if key == "where" {
            conditions
                .add_members(value)
                .with_context(|| format!("where: {value:?} is no JSON object, for example '{{\"open_time\": 0}}'"))?;
        } else if TEXTS.contains(&key) {
            fields.set_text(key, value);
        } else if NUMBERS.contains(&key) {
            let number: u64 = value.parse().map_err(|_| Usage(format!("{key}: {value:?} is no whole number")))?;
            fields.set_number(key, number);
        } else {
            conditions.set_json(key, condition(key, value));
        }
    }
    if !conditions.is_empty() {
        fields.set_object("where", conditions);
    }
    Ok(fields)
}

/// A field's value as JSON text: a text, unless the field's are numbers or truth values.
fn condition(key: &str, value: &str) -> String {
    let number = value.parse::<u64>().ok().filter(|_| COUNTS.contains(&key) || key.starts_with("ts_"));
    let truth = value.parse::<bool>().ok().filter(|_| TRUTHS.contains(&key));
    let plain = number.map(|number| number.to_string()).or(truth.map(|truth| truth.to_string()));
    plain.unwrap_or_else(|| Value::from(value).to_string())
}

/// What the next question after an answer is, and what to print of the answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Step {
    /// One line a change.
    pub(super) lines: Vec<String>,
    /// Where to go on from.
    pub(super) epoch: u64,
    pub(super) after: u64,
    /// Changes were lost before these.
    pub(super) lost: bool,
}

/// What matters of an answer to `watch`; each change stays as it was written.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Answer {
    ok: bool,
    code: String,
    error: String,
    epoch: u64,
    seq: u64,
    changes: Vec<Box<RawValue>>,
}

/// Reads an answer to `watch`.
///
/// # Errors
/// The refusal, in the gateway's words.
pub(super) fn step(answer: &str) -> anyhow::Result<Step> {
    let answer: Answer = serde_json::from_str(answer).context("the gateway's answer cannot be read")?;
    let lost = answer.code == "reread";
    if !answer.ok && !lost {
        bail!("{}", answer.error);
    }
    let lines = answer.changes.iter().map(|change| change.get().to_owned()).collect();
    Ok(Step { lines, epoch: answer.epoch, after: answer.seq, lost })
}

/// Prints lines; false when nobody reads them any more.
///
/// # Errors
/// They cannot be written.
pub(super) fn print(lines: &[String]) -> io::Result<bool> {
    let text: String = lines.iter().flat_map(|line| [line, "\n"]).collect();
    super::print_on(&text)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(op: &str, args: &[&str]) -> anyhow::Result<Value> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        assert!(is_about_a_table(op, &args));
        Ok(serde_json::from_str(&fields(op, &args)?.to_string())?)
    }

    #[test]
    fn what_is_no_argument_of_the_operation_is_a_field_of_rows() {
        let asked = ["bybit.candle", "symbol=BTCUSDT", "open_time=60", "closed=true", "close=1", "limit=5"];
        let expected = json!({
            "op": "find", "venue": "bybit", "table": "candle", "limit": 5,
            "where": {"symbol": "BTCUSDT", "open_time": 60, "closed": true, "close": "1"},
        });
        assert_eq!(read("find", &asked).expect("a request"), expected);
        let asked = ["feed=a", "table=order", r#"where={"kind":null}"#, "after=7", "epoch=1"];
        let expected =
            json!({"op": "wait", "feed": "a", "table": "order", "where": {"kind": null}, "after": 7, "epoch": 1});
        assert_eq!(read("wait", &asked).expect("a request"), expected);
        assert_eq!(read("get", &["v.bbo"]).expect("a request"), json!({"op": "get", "venue": "v", "table": "bbo"}));
        for wrong in [&["bybit"][..], &["a=1", "bybit.book"], &["v.t", "limit=x"], &["v.t", "where=7"]] {
            assert!(read("sorted", wrong).is_err(), "{wrong:?}");
        }
        assert!(!is_about_a_table("get", &["channel=ticker".to_owned()]), "that is of a frame");
    }

    #[test]
    fn changes_are_followed_over_a_loss() {
        let answer = r#"{"ok":true,"epoch":1,"seq":9,"changes":[{"seq":8},{"seq":9}]}"#;
        let lines = vec![r#"{"seq":8}"#.to_owned(), r#"{"seq":9}"#.to_owned()];
        assert_eq!(step(answer).expect("a step"), Step { lines, epoch: 1, after: 9, lost: false });
        let lost = step(r#"{"ok":false,"code":"reread","error":"…","epoch":1,"seq":20}"#).expect("a step");
        assert_eq!(lost, Step { lines: vec![], epoch: 1, after: 20, lost: true });
        assert!(
            step(r#"{"ok":false,"code":"bad_request","error":"no"}"#).is_err_and(|error| error.to_string() == "no")
        );
    }
}
