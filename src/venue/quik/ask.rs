//! Questions from the control socket: `history`, answered from the candles, `params`, which also sets what is polled,
//! and `rpc`, passed through to the terminal. Each has one answer, within a second.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ops::RangeInclusive;
use std::time::Duration;

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::allow;
use super::history::History;
use super::params::Params;
use super::reply::{Refusal, Reply};
use super::rpc::{Caller, Part};
use crate::model::{Mono, Stamp};
use crate::venue::kit::fields::{Members, Object};
use crate::venue::{Host, Output, TerminalSpec, Timer, Urgency};

/// Questions that may wait for their answers.
const WAITING_MAX: usize = 2_000;
/// Longest question, in bytes.
const QUESTION_MAX: usize = 16_384;
/// What `params` may set: so many parameters, with periods from and to so many milliseconds.
const PARAMS_MAX: usize = 200;
const PERIODS: RangeInclusive<u64> = 50..=3_600_000;
const NAME_MAX: usize = 40;
/// Within this a question is answered: the control socket waits two seconds.
const ANSWER_WITHIN: Duration = Duration::from_millis(900);

/// Any question: only its kind.
#[derive(Deserialize)]
struct Kind {
    op: String,
}

/// A call to pass through.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Call {
    #[serde(rename = "op")]
    _op: String,
    #[serde(rename = "feed", default)]
    _feed: Option<String>,
    method: String,
    #[serde(default)]
    args: Value,
}

/// What to poll from now on; without `params` only what is polled is told.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Polled {
    #[serde(rename = "op")]
    _op: String,
    #[serde(rename = "feed", default)]
    _feed: Option<String>,
    params: Option<BTreeMap<String, u64>>,
}

/// The calls passed through that wait for the terminal.
#[derive(Debug)]
pub(super) struct Questions {
    caller: Caller,
    allowed: Vec<String>,
    /// Question by call.
    waiting: HashMap<u64, u64>,
    /// Calls in the order of their deadlines.
    deadlines: VecDeque<(Mono, u64)>,
}

impl Questions {
    pub(super) fn new(terminal: &TerminalSpec) -> Self {
        Self {
            caller: Caller::new(Part::Questions, Host::Rpc, Urgency::Background, terminal.call_timeout),
            allowed: terminal.allow.clone(),
            waiting: HashMap::new(),
            deadlines: VecDeque::new(),
        }
    }

    /// Takes a question.
    pub(super) fn ask(
        &mut self,
        id: u64,
        text: &str,
        (params, history): (&mut Params, &mut History),
        now: Stamp,
        out: &mut dyn Output,
    ) {
        let bad = |error: String| refusal("bad_request", &error);
        if text.len() > QUESTION_MAX {
            let error = format!("the question has {} bytes; at most {QUESTION_MAX} are allowed", text.len());
            return out.answer(id, bad(error));
        }
        if self.waiting.len() + history.waiting() >= WAITING_MAX {
            return out.answer(id, refusal("busy", &format!("{WAITING_MAX} questions are waiting already: ask later")));
        }
        let kind: Object<Kind> = match serde_json::from_str(text) {
            Ok(kind) => kind,
            Err(error) => return out.answer(id, bad(format!("not a question: {error}"))),
        };
        match kind.0.op.as_str() {
            "history" => history.ask(id, text, now, out),
            "rpc" => {
                if let Err(answer) = self.pass_through(id, text, now, out) {
                    out.answer(id, answer);
                }
            }
            "params" => {
                let answer = polled(text, params, now, out).unwrap_or_else(bad);
                out.answer(id, answer);
            }
            op => {
                let shown: String = op.chars().take(32).collect();
                out.answer(id, bad(format!("a QUIK feed has no {shown:?}; it has: history, params, rpc")));
            }
        }
    }

    fn pass_through(&mut self, id: u64, text: &str, now: Stamp, out: &mut dyn Output) -> Result<(), String> {
        let bad = |error: String| refusal("bad_request", &error);
        let call: Object<Call> = serde_json::from_str(text).map_err(|error| bad(format!("not a question: {error}")))?;
        let Call { method, args, .. } = call.0;
        if !args.is_object() && !args.is_null() {
            return Err(bad(format!(
                "args: must be an object with named arguments, such as {}",
                json!({"class_code": "SPBFUT"})
            )));
        }
        allow::check(&method, &args, &self.allowed).map_err(|error| refusal("not_allowed", &error))?;
        let call = self.caller.call(0, &method, &args, out);
        self.waiting.insert(call, id);
        self.deadlines.push_back((now.mono.after(ANSWER_WITHIN), call));
        Ok(())
    }

    /// Takes an answer of the terminal: its text, and how it was understood.
    pub(super) fn answered(&mut self, call: u64, text: Option<&str>, reply: &Reply<'_>, out: &mut dyn Output) {
        let Some(id) = self.waiting.remove(&call) else { return };
        let answer = match reply {
            Reply::Result(_) => text.and_then(raw_result).map_or_else(
                || refusal("failed", "the terminal's answer has no result"),
                |result| format!(r#"{{"ok":true,"result":{result}}}"#),
            ),
            Reply::Refused(refused) => {
                json!({"ok": false, "reason": "failed", "code": code(refused), "error": refused.to_string()})
                    .to_string()
            }
            // A result that is no object is passed on all the same.
            Reply::Unreadable(why) => text
                .and_then(raw_result)
                .map_or_else(|| refusal("failed", why), |result| format!(r#"{{"ok":true,"result":{result}}}"#)),
            Reply::Lost(why) => refusal("down", &format!("the terminal does not answer: {why}")),
        };
        out.answer(id, answer);
    }

    /// Answers the questions that have waited too long.
    pub(super) fn work(&mut self, now: Stamp, out: &mut dyn Output) {
        while let Some((deadline, call)) = self.deadlines.front().copied() {
            if self.waiting.contains_key(&call) && now.mono < deadline {
                return;
            }
            self.deadlines.pop_front();
            if let Some(id) = self.waiting.remove(&call) {
                let within = ANSWER_WITHIN.as_millis();
                let error =
                    format!("no answer within {within} ms: the terminal is slow, or its budget of calls is short");
                out.answer(id, refusal("timeout", &error));
            }
        }
    }

    pub(super) fn next_timeout(&self) -> Option<Timer> {
        self.deadlines.front().map(|(at, _)| Timer { at: *at, why: "questions" })
    }

    /// The process ends: nothing waits any longer.
    pub(super) fn shut_down(&mut self, out: &mut dyn Output) {
        self.deadlines.clear();
        let mut waiting: Vec<u64> = std::mem::take(&mut self.waiting).into_values().collect();
        waiting.sort_unstable();
        for id in waiting {
            out.answer(id, refusal("down", "the gateway is ending"));
        }
    }
}

/// Sets what is polled, if the question says so, and tells it.
fn polled(text: &str, params: &mut Params, now: Stamp, out: &mut dyn Output) -> Result<String, String> {
    let question: Object<Polled> = serde_json::from_str(text).map_err(|error| format!("not a question: {error}"))?;
    if let Some(wanted) = question.0.params {
        if wanted.len() > PARAMS_MAX {
            return Err(format!("params: {} of them; at most {PARAMS_MAX} are allowed", wanted.len()));
        }
        for (name, period) in &wanted {
            let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            let shown: String = name.chars().take(NAME_MAX).collect();
            if name.is_empty() || name.len() > NAME_MAX || !name.bytes().all(word) {
                return Err(format!("params: {shown:?} is no parameter's name; allowed: letters, digits and _"));
            }
            if !PERIODS.contains(period) {
                let (least, most) = (PERIODS.start(), PERIODS.end());
                return Err(format!(
                    "params.{shown}: {period} is out of range; allowed: {least} to {most} milliseconds"
                ));
            }
        }
        let wanted: Vec<_> = wanted.into_iter().map(|(name, ms)| (name, Duration::from_millis(ms))).collect();
        params.set_params(&wanted, now, out);
    }
    let polled = params.wanted().iter().map(|(name, period)| (name.clone(), json!(period.as_millis() as u64)));
    Ok(json!({"ok": true, "params": Value::Object(polled.collect())}).to_string())
}

/// An answer without what was asked for: `reason` for programs, `error` for people.
fn refusal(reason: &str, error: &str) -> String {
    json!({"ok": false, "reason": reason, "error": error}).to_string()
}

/// The member `result` as the terminal wrote it.
fn raw_result(text: &str) -> Option<&str> {
    let members: Members<'_> = serde_json::from_str(text).ok()?;
    members.0.iter().rev().find(|(name, _)| name == "result").map(|(_, value): &(_, &RawValue)| value.get())
}

/// The server's code of a refusal.
const fn code(refusal: &Refusal<'_>) -> i64 {
    match refusal {
        Refusal::Unsupported => 404,
        Refusal::Malformed(_) => 500,
        Refusal::Failed => 1,
        Refusal::Other(code, _) => *code,
    }
}

#[cfg(test)]
mod tests {
    use super::super::rpc::Machine as _;
    use super::super::said::{Said, at, read_call};
    use super::*;
    use crate::model::{Channel, Stream};

    struct Desk {
        questions: Questions,
        params: Params,
        history: History,
        said: Said,
    }

    impl Desk {
        fn new(allow: &[&str]) -> Self {
            let allow = allow.iter().map(|name| (*name).to_owned()).collect();
            let terminal = TerminalSpec { allow, ..TerminalSpec::default() };
            let streams = [Stream::new("RIZ6", Channel::Ticker)];
            let params = Params::new("SPBFUT", &streams, &terminal);
            let history = History::new("SPBFUT", &streams, &terminal);
            Self { questions: Questions::new(&terminal), params, history, said: Said::default() }
        }

        fn ask(&mut self, id: u64, text: &str, ms: u64) {
            let parts = (&mut self.params, &mut self.history);
            self.questions.ask(id, text, parts, at(ms), &mut self.said);
        }

        /// Answers the oldest call.
        fn answer(&mut self, text: &str) {
            let call = self.said.calls.pop_front().expect("a call");
            self.questions.answered(call.id, Some(text), &Reply::read(text), &mut self.said);
        }

        fn last(&self) -> (u64, Value) {
            let (id, text) = self.said.answers.last().expect("an answer");
            (*id, serde_json::from_str(text).expect("JSON"))
        }
    }

    #[test]
    fn a_call_is_passed_through_and_its_result_comes_back_as_it_is() {
        let mut desk = Desk::new(&[]);
        desk.ask(1, r#"{"op":"rpc","feed":"quik","method":"getClassInfo","args":{"class_code":"TQBR"}}"#, 0);
        let call = desk.said.calls.front().expect("a call");
        assert_eq!(read_call(&call.body), ("getClassInfo".to_owned(), json!({"class_code": "TQBR"})));
        assert!(call.urgency == Urgency::Background && call.idempotent);
        desk.answer(r#"{"result":{"class_info":{"npars":  5,"x":1925043082672401077,"name":"Акции"}}}"#);
        let text = r#"{"ok":true,"result":{"class_info":{"npars":  5,"x":1925043082672401077,"name":"Акции"}}}"#;
        assert_eq!(desk.said.answers, [(1, text.to_owned())]);

        desk.ask(2, r#"{"op":"rpc","method":"isConnected"}"#, 0);
        assert_eq!(desk.said.calls[0].body, r#"{"method":"isConnected"}"#);
        desk.answer(r#"{"result":7}"#);
        assert_eq!(desk.said.answers[1].1, r#"{"ok":true,"result":7}"#);
        desk.ask(3, r#"{"op":"rpc","method":"getClassesList","args":null}"#, 0);
        desk.answer(r#"{"result":[]}"#);
        assert_eq!(desk.said.answers[2].1, r#"{"ok":true,"result":[]}"#);
    }

    #[test]
    fn refusals_have_their_code() {
        let mut desk = Desk::new(&["foo"]);
        for (answer, code, word) in [
            (r#"{"error":{"code":404,"message":"нет"}}"#, 404, "no such function"),
            (r#"{"error":{"code":500,"message":"main.lua:7"}}"#, 500, "main.lua:7"),
            (r#"{"error":{"code":1}}"#, 1, "does not say why"),
            (r#"{"error":{"code":9,"message":"odd"}}"#, 9, "odd"),
        ] {
            desk.said.answers.clear();
            desk.ask(1, r#"{"op":"rpc","method":"foo"}"#, 0);
            desk.answer(answer);
            let (_, told) = desk.last();
            assert_eq!((&told["ok"], &told["code"]), (&json!(false), &json!(code)), "{told}");
            assert!(told["error"].as_str().is_some_and(|error| error.contains(word)), "{told}");
        }
        desk.ask(2, r#"{"op":"rpc","method":"foo"}"#, 0);
        desk.answer("nonsense");
        assert_eq!(desk.last().1["reason"], "failed");
    }

    #[test]
    fn bad_questions_are_told_why() {
        let mut desk = Desk::new(&[]);
        let long = format!(r#"{{"op":"rpc","method":"{}"}}"#, "x".repeat(QUESTION_MAX));
        for (id, (text, reason, word)) in (0..).zip([
            ("[]", "bad_request", "object"),
            ("{}", "bad_request", "op"),
            (r#"{"op":"trade"}"#, "bad_request", "history, params, rpc"),
            (r#"{"op":"rpc"}"#, "bad_request", "method"),
            (r#"{"op":"rpc","method":7}"#, "bad_request", "string"),
            (r#"{"op":"rpc","method":"isConnected","args":[1]}"#, "bad_request", "args"),
            (r#"{"op":"rpc","method":"isConnected","arg":{}}"#, "bad_request", "arg"),
            (r#"{"op":"rpc","method":"sendTransaction","args":{}}"#, "not_allowed", "allow_methods"),
            (r#"{"op":"history","symbol":"RIZ6"}"#, "bad_request", "interval"),
            (r#"{"op":"history","symbol":"RIZ6","interval":"1m"}"#, "down", "does not answer"),
            (long.as_str(), "bad_request", "16384"),
        ]) {
            desk.ask(id, text, 0);
            let (answered, told) = desk.last();
            assert_eq!((answered, &told["reason"]), (id, &json!(reason)), "{text}: {told}");
            assert!(told["error"].as_str().is_some_and(|error| error.contains(word)), "{text}: {told}");
        }
        assert!(desk.said.calls.is_empty());
    }

    #[test]
    fn what_is_polled_can_be_changed() {
        let mut desk = Desk::new(&[]);
        desk.params.live(at(0), &mut desk.said);
        assert!(desk.said.calls.is_empty());
        desk.ask(1, r#"{"op":"params","feed":"quik","params":{"LAST":500,"BID":250}}"#, 0);
        let polled = json!({"ok": true, "params": {"BID": 250, "LAST": 500}});
        assert_eq!(desk.last(), (1, polled.clone()));
        let methods = |desk: &Desk| desk.said.calls.iter().map(|call| read_call(&call.body).0).collect::<Vec<_>>();
        assert_eq!(methods(&desk), ["ParamRequest", "ParamRequest"]);
        desk.said.calls.clear();
        desk.ask(2, r#"{"op":"params"}"#, 0);
        assert_eq!(desk.last(), (2, polled));
        desk.ask(3, r#"{"op":"params","params":{}}"#, 0);
        assert_eq!(desk.last(), (3, json!({"ok": true, "params": {}})));
        assert_eq!(methods(&desk), ["CancelParamRequest", "CancelParamRequest"]);
        for (id, (params, word)) in
            (4..).zip([(r#"{"LAST":49}"#, "50 to 3600000"), (r#"{"L T":500}"#, "name"), (r#"{"LAST":"x"}"#, "string")])
        {
            desk.ask(id, &format!(r#"{{"op":"params","params":{params}}}"#), 0);
            let (_, told) = desk.last();
            assert_eq!(told["reason"], "bad_request");
            assert!(told["error"].as_str().is_some_and(|error| error.contains(word)), "{told}");
        }
    }

    #[test]
    fn every_question_is_answered_once_though_the_terminal_is_silent() {
        let mut desk = Desk::new(&[]);
        for id in 0..2_001 {
            desk.ask(id, r#"{"op":"rpc","method":"isConnected"}"#, id / 10);
        }
        assert_eq!(desk.last().1["reason"], "busy");
        assert_eq!(desk.said.answers.len(), 1);
        assert_eq!(desk.questions.next_timeout().map(|timer| timer.at), Some(Mono(900_000_000)));
        desk.questions.work(at(1_000), &mut desk.said);
        assert_eq!(desk.said.answers.len(), 1 + 1_010, "those that have waited 900 ms");
        assert_eq!(desk.last().1["reason"], "timeout");
        desk.answer(r#"{"result":{}}"#);
        assert_eq!(desk.said.answers.len(), 1_011, "an answer that comes too late is no second one");
        let call = desk.said.calls.pop_back().expect("a call");
        desk.questions.answered(call.id, None, &Reply::Lost("gone"), &mut desk.said);
        assert_eq!(desk.last().1["reason"], "down");
        desk.questions.shut_down(&mut desk.said);
        assert_eq!(desk.said.answers.len(), 2_001);
        assert!(desk.questions.next_timeout().is_none());
    }
}
