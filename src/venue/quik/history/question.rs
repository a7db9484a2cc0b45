//! Questions about history, as the control socket asks them, and their answers.

use std::fmt::Write as _;

use serde::Deserialize;
use serde_json::json;

use super::bars::{BARS_MAX, Bar, Span, Tail};
use super::source::Failure;
use crate::venue::kit::fields::Object;

/// Most bars of one answer.
pub(super) const ANSWER_MAX: usize = 5_000;
/// Bars of an answer, where the question names neither a number nor a begin.
const ANSWER_DEFAULT: usize = 1_000;
/// How long a question waits, in milliseconds: the control socket waits two seconds for the answer.
const WAIT_MAX: u64 = 900;
/// Longest code of a security.
const SYMBOL_MAX: usize = 64;

/// The question's members.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(rename = "op")]
    _op: String,
    #[serde(rename = "feed", default)]
    _feed: Option<String>,
    symbol: String,
    interval: String,
    n: Option<usize>,
    from: Option<Time>,
    to: Option<Time>,
    wait_ms: Option<u64>,
}

/// A time: nanoseconds since 1970, or RFC 3339.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Time {
    Nanos(u64),
    Text(String),
}

impl Time {
    fn nanos(&self, name: &str) -> Result<u64, String> {
        match self {
            Self::Nanos(nanos) => Ok(*nanos),
            Self::Text(text) => {
                let stamp = text.parse::<jiff::Timestamp>().ok();
                stamp.and_then(|stamp| u64::try_from(stamp.as_nanosecond()).ok()).ok_or_else(|| {
                    let shown: String = text.chars().take(40).collect();
                    format!("{name}: {shown:?} is no time: nanoseconds since 1970, or as \"2026-11-21T10:00:00+03:00\"")
                })
            }
        }
    }
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Question {
    pub(super) symbol: String,
    pub(super) span: Span,
    pub(super) want: Want,
    /// How long it waits, in milliseconds.
    pub(super) wait_ms: u64,
}

/// Which bars are asked for: of those from `from` on and before `to` the last `n`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Want {
    pub(super) n: usize,
    pub(super) from: Option<u64>,
    pub(super) to: Option<u64>,
    /// All bars since `from` are asked for, as far as an answer holds them.
    all: bool,
}

impl Question {
    /// Reads the question; the error says what is wrong with it.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let asked: Object<Asked> = serde_json::from_str(text).map_err(|error| format!("not a question: {error}"))?;
        let Asked { symbol, interval, n, from, to, wait_ms, .. } = asked.0;
        if symbol.is_empty() || symbol.len() > SYMBOL_MAX || !symbol.bytes().all(|byte| byte.is_ascii_graphic()) {
            let shown: String = symbol.chars().take(SYMBOL_MAX).collect();
            return Err(format!("symbol: {shown:?} is no code of a security: 1 to {SYMBOL_MAX} ASCII characters"));
        }
        let span = Span::find(&interval).map_err(|error| format!("interval: {error}"))?;
        if n.is_some_and(|n| n == 0 || n > ANSWER_MAX) {
            return Err(format!("n: 1 to {ANSWER_MAX} bars in one answer; for more, ask again with another \"to\""));
        }
        if wait_ms.is_some_and(|wait| wait > WAIT_MAX) {
            return Err(format!("wait_ms: at most {WAIT_MAX}; ask again while the reason is \"loading\""));
        }
        let from = from.map(|from| from.nanos("from")).transpose()?;
        let to = to.map(|to| to.nanos("to")).transpose()?;
        if let (Some(from), Some(to)) = (from, to)
            && from >= to
        {
            return Err("from must be before to".to_owned());
        }
        let n_or = n.unwrap_or(if from.is_some() { ANSWER_MAX } else { ANSWER_DEFAULT });
        let want = Want { n: n_or, from, to, all: n.is_none() && from.is_some() };
        Ok(Self { symbol, span, want, wait_ms: wait_ms.unwrap_or(WAIT_MAX) })
    }
}

impl Want {
    /// The last so many bars.
    pub(super) const fn last(n: usize) -> Self {
        Self { n, from: None, to: None, all: false }
    }

    /// The last so many bars, but none before this time.
    pub(super) const fn since(from: u64, n: usize) -> Self {
        Self { n, from: Some(from), to: None, all: false }
    }

    /// Whether the tail has what is asked for, or all that can be had.
    pub(super) fn is_covered(&self, tail: &Tail) -> bool {
        let reaches_from = self.from.is_some_and(|from| tail.front().is_some_and(|bar| bar.open_time < from));
        let beginning = tail.first() == 1 || tail.len() >= BARS_MAX;
        !tail.is_empty() && (beginning || reaches_from || tail.before(self.to) >= self.n)
    }

    /// The bars of the answer, and whether they are all that was asked for.
    fn bars<'a>(&self, tail: &'a Tail) -> (impl ExactSizeIterator<Item = &'a Bar>, bool) {
        let end = tail.before(self.to);
        let begin = self.from.map_or(0, |from| tail.before(Some(from))).min(end);
        let first = begin.max(end.saturating_sub(self.n));
        let complete = !self.all || (first == begin && (begin > 0 || tail.first() == 1));
        (tail.bars().skip(first).take(end - first), complete)
    }

    /// About how many bars have to be known for it, of `size`.
    pub(super) fn bars_needed(&self, tail: &Tail, size: u64, span: Span) -> u64 {
        let last = tail.back().map(|bar| bar.open_time);
        let since = |from: u64| match (last, span.nanos()) {
            (Some(last), nanos @ 1..) => last.saturating_sub(from) / nanos + 1,
            _ => size,
        };
        let after = self.to.map_or(0, since);
        let by_number = after.saturating_add(self.n as u64);
        self.from.map_or(by_number, |from| since(from).min(by_number)).min(size)
    }
}

/// An answer with bars.
pub(super) fn answer(symbol: &str, span: Span, want: &Want, tail: &Tail) -> String {
    let (bars, complete) = want.bars(tail);
    let mut text = String::with_capacity(128 + bars.len() * 160);
    let (symbol, interval) = (json!(symbol), span.name);
    // Writing to a String cannot fail.
    let _ = write!(text, r#"{{"ok":true,"symbol":{symbol},"interval":"{interval}","complete":{complete},"candles":["#);
    for (at, bar) in bars.enumerate() {
        let [open, high, low, close, volume] = bar.texts();
        let (begin, end) = (bar.open_time, span.close_time(bar.open_time));
        let comma = if at == 0 { "" } else { "," };
        let _ = write!(text, r#"{comma}{{"open_time":{begin},"close_time":{end},"open":"{open}","high":"{high}","#);
        let _ = write!(text, r#""low":"{low}","close":"{close}","volume":"{volume}"}}"#);
    }
    text.push_str("]}");
    text
}

/// An answer without: `reason` for programs, `error` for people.
pub(super) fn refusal(reason: &str, error: &str) -> String {
    json!({"ok": false, "reason": reason, "error": error}).to_string()
}

/// There is nothing yet, and how far it is.
pub(super) fn loading(symbol: &str, span: Span, bars: u64, of: u64, why: Option<&str>) -> String {
    let span = span.name;
    let error = match why {
        Some(why) => format!("{symbol} {span}: {why}"),
        None if of == 0 => format!("the terminal has not begun to give {symbol} {span} yet"),
        None => format!("{symbol} {span} is being loaded: {bars} of {of} bars"),
    };
    json!({"ok": false, "reason": "loading", "bars": bars, "of": of, "error": error}).to_string()
}

impl Failure {
    /// As an answer.
    pub(super) fn answer(&self, symbol: &str, span: Span) -> String {
        let span = span.name;
        match self {
            Self::UnknownSecurity(words) => refusal("unknown_security", &format!("{symbol}: {words}")),
            Self::NoHistory => refusal("no_history", &format!("{symbol} has no {span} bars in this terminal")),
            Self::Failed(words) => refusal("failed", &format!("{symbol} {span}: {words}")),
            Self::Down(words) => refusal("down", words),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Decimal;

    fn read(text: &str) -> Result<Question, String> {
        Question::read(text)
    }

    fn minutes(first: u64, count: u64) -> Tail {
        let bar = |minute: u64| Bar::new(minute * 60_000_000_000, [Decimal::new(1, 0); 5]);
        let bars: Vec<Bar> = (first..first + count).map(bar).collect();
        let mut tail = Tail::default();
        assert!(tail.renew(first, &bars, Span::find("1m").expect("a span")));
        tail
    }

    const MINUTE: u64 = 60_000_000_000;

    #[test]
    fn questions_are_read() {
        let asked = read(r#"{"op":"history","feed":"quik","symbol":"RIZ6","interval":"1m"}"#).expect("a question");
        assert_eq!((asked.symbol.as_str(), asked.span.theirs, asked.wait_ms), ("RIZ6", "INTERVAL_M1", 900));
        assert_eq!(asked.want, Want::last(1000));
        let asked = read(
            r#"{"op":"history","symbol":"RIZ6","interval":"1d","n":7,"from":"2026-11-21T10:00:00+03:00","to":1795500000000000000,"wait_ms":0}"#,
        );
        let asked = asked.expect("a question");
        assert_eq!(
            (asked.want.from, asked.want.to),
            (Some(1_795_244_400_000_000_000), Some(1_795_500_000_000_000_000))
        );
        assert_eq!((asked.want.n, asked.wait_ms), (7, 0));
    }

    #[test]
    fn what_is_wrong_with_a_question_is_said() {
        let head = r#"{"op":"history","symbol":"RIZ6","interval":"1m""#;
        let long = "A".repeat(65);
        for (text, word) in [
            ("[1]".to_owned(), "object"),
            (r#"{"op":"history","interval":"1m"}"#.to_owned(), "symbol"),
            (format!(r#"{{"op":"history","symbol":"{long}","interval":"1m"}}"#), "symbol"),
            (r#"{"op":"history","symbol":"Р","interval":"1m"}"#.to_owned(), "symbol"),
            (r#"{"op":"history","symbol":"RIZ6","interval":"7m"}"#.to_owned(), "interval"),
            (format!(r#"{head},"n":0}}"#), "n:"),
            (format!(r#"{head},"n":5001}}"#), "n:"),
            (format!(r#"{head},"n":"5"}}"#), "invalid type"),
            (format!(r#"{head},"from":"yesterday"}}"#), "from"),
            (format!(r#"{head},"from":-1}}"#), "not a question"),
            (format!(r#"{head},"from":5,"to":5}}"#), "before"),
            (format!(r#"{head},"wait_ms":901}}"#), "wait_ms"),
            (format!(r#"{head},"nn":1}}"#), "nn"),
        ] {
            let error = read(&text).expect_err(&text);
            assert!(error.contains(word), "{text}: {error}");
        }
    }

    #[test]
    fn a_want_is_covered_by_its_number_its_begin_or_the_beginning() {
        let tail = minutes(100, 50);
        assert!(Want::last(50).is_covered(&tail) && !Want::last(51).is_covered(&tail));
        assert!(!Want::last(1).is_covered(&Tail::default()));
        assert!(Want::last(51).is_covered(&minutes(1, 50)), "there is nothing before the first bar");
        assert!(Want::since(101 * MINUTE, 5000).is_covered(&tail));
        assert!(!Want::since(100 * MINUTE, 5000).is_covered(&tail), "there may be another bar of that time");
        let until = Want { to: Some(110 * MINUTE), ..Want::last(10) };
        assert!(until.is_covered(&tail) && !Want { n: 11, ..until }.is_covered(&tail));
    }

    #[test]
    fn answers_hold_what_was_asked_for() {
        let tail = minutes(100, 50);
        let times = |want: &Want| {
            let answer: serde_json::Value =
                serde_json::from_str(&answer("RIZ6", Span::find("1m").expect("a span"), want, &tail)).expect("JSON");
            let candles = answer["candles"].as_array().expect("candles").clone();
            let times: Vec<u64> = candles.iter().map(|c| c["open_time"].as_u64().expect("a time") / MINUTE).collect();
            (times, answer["complete"].as_bool().expect("a flag"))
        };
        assert_eq!(times(&Want::last(2)), (vec![148, 149], true));
        assert_eq!(times(&Want { to: Some(103 * MINUTE), ..Want::last(2) }), (vec![101, 102], true));
        assert_eq!(times(&Want { from: Some(148 * MINUTE + 1), ..Want::last(9) }), (vec![149], true));
        let all = Want { n: 3, from: Some(140 * MINUTE), to: None, all: true };
        assert_eq!(times(&all), (vec![147, 148, 149], false), "cut at the limit");
        assert!(times(&Want { n: 5000, ..all }).1);
        assert!(!times(&Want { n: 5000, from: Some(0), ..all }).1, "older ones are not known");
        assert_eq!(times(&Want { to: Some(1), ..Want::last(5) }), (vec![], true));
    }

    #[test]
    fn progress_is_told_in_bars() {
        let span = Span::find("1m").expect("a span");
        let tail = minutes(1000, 10);
        assert_eq!(Want::last(500).bars_needed(&tail, 3000, span), 500);
        assert_eq!(Want::last(5000).bars_needed(&tail, 3000, span), 3000);
        assert_eq!(Want::since(910 * MINUTE, 5000).bars_needed(&tail, 3000, span), 100);
        let answer = loading("RIZ6", span, 1200, 3000, None);
        assert!(answer.contains(r#""reason":"loading""#) && answer.contains("1200 of 3000"), "{answer}");
    }
}
