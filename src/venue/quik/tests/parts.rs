//! What the session hands on: parameters, candles and questions begin, answer and end with it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::model::{Channel, Interval, Stream};
use crate::venue::quik::said::{Said, Told, at, read_call};
use crate::venue::quik::session::QuikSession;
use crate::venue::{Input, Session, SessionSpec, TerminalSpec};

/// A session with a ticker and a candle stream, and a terminal that knows one parameter and two bars.
struct Desk {
    session: QuikSession,
    said: Said,
    ms: u64,
    /// Datasources and parameters that the terminal holds.
    held: i32,
}

impl Desk {
    fn live() -> Self {
        let stream = |channel| Stream::new("RIZ6", channel);
        let minute = Interval { count: 1, unit: 'm' };
        let terminal = TerminalSpec {
            params: vec![("LAST".to_owned(), Duration::from_millis(500))],
            history_sources: 5,
            ..TerminalSpec::default()
        };
        let streams = vec![stream(Channel::Ticker), stream(Channel::Candle(minute))];
        let spec = SessionSpec { terminal, ..SessionSpec::of("SPBFUT", streams) };
        let mut desk = Self { session: QuikSession::new(spec), said: Said::default(), ms: 1000, held: 0 };
        desk.take(Input::Connected);
        desk.run(1000);
        desk
    }

    fn take(&mut self, input: Input<'_>) {
        self.session.handle(input, at(self.ms), &mut self.said);
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms {
            self.ms += 1;
            if self.session.next_timeout().is_some_and(|timer| timer.at <= at(self.ms).mono) {
                self.take(Input::Timeout);
            }
            while let Some(call) = self.said.calls.pop_front() {
                let answer = self.answer(&call.body).to_string();
                self.take(Input::Rpc { id: call.id, answer: Ok(answer.as_bytes()) });
            }
        }
    }

    fn answer(&mut self, body: &str) -> Value {
        let (method, args) = read_call(body);
        let index = args["candle_index"].as_i64().unwrap_or(0);
        let result = match method.as_str() {
            "getInfoParam" => json!({"info_param": format!("10:00:{:02}", self.ms / 1000 % 60)}),
            "isConnected" => json!({"is_connected": 1}),
            "getSecurityInfo" => json!({"security_info": {"code": "RIZ6", "scale": "0"}}),
            "getParamEx2" => json!({"param_ex": {
                "param_type": "1", "param_value": "5.000000", "param_image": "5", "result": "1"
            }}),
            "ParamRequest" | "CancelParamRequest" | "datasource.Close" => {
                self.held += if method == "ParamRequest" { 1 } else { -1 };
                json!({"result": true})
            }
            "datasource.CreateDataSource" => {
                self.held += 1;
                json!({"datasource_uuid": "u", "is_error": false})
            }
            "datasource.Size" => json!({"value": 2}),
            "datasource.T" => {
                json!({"time": {"year": 2026, "month": 11, "day": 21, "hour": 9, "min": index, "sec": 0}})
            }
            method if method.starts_with("datasource.") => json!({"value": "5.0"}),
            other => panic!("{other}"),
        };
        json!({"result": result})
    }

    fn ask(&mut self, id: u64, question: &str) {
        self.take(Input::Ask { id, question });
    }

    fn answered(&self, id: u64) -> Option<Value> {
        let text = self.said.answers.iter().find(|(other, _)| *other == id).map(|(_, text)| text)?;
        serde_json::from_str(text).ok()
    }
}

const HISTORY: &str = r#"{"op":"history","symbol":"SiZ6","interval":"1m","n":2}"#;

#[test]
fn parameters_and_candles_are_published_and_questions_answered() {
    let mut desk = Desk::live();
    let told = desk.said.take();
    assert!(told.iter().any(|told| matches!(told, Told::Ticker(0, ..))), "{told:?}");
    let candles = told.iter().filter(|told| matches!(told, Told::Candle { stream: 1, .. }));
    assert_eq!(candles.count(), 2, "{told:?}");
    desk.ask(1, HISTORY);
    desk.ask(2, r#"{"op":"rpc","method":"isConnected"}"#);
    desk.ask(3, "nonsense");
    desk.run(800);
    assert_eq!(desk.answered(1).expect("candles")["candles"].as_array().map(Vec::len), Some(2));
    assert_eq!(desk.answered(2), Some(json!({"ok": true, "result": {"is_connected": 1}})));
    assert_eq!(desk.answered(3).expect("a refusal")["reason"], "bad_request");
}

#[test]
fn a_silent_terminal_leaves_no_question_open() {
    let mut desk = Desk::live();
    desk.ask(1, HISTORY);
    desk.ask(2, r#"{"op":"rpc","method":"isConnected"}"#);
    desk.said.calls.clear();
    desk.ms += 2_000;
    desk.take(Input::Timeout);
    assert_eq!(desk.answered(1).expect("an answer")["reason"], "loading");
    assert_eq!(desk.answered(2).expect("an answer")["reason"], "timeout");
    desk.ask(3, HISTORY);
    desk.take(Input::Disconnected);
    assert_eq!(desk.answered(3).expect("an answer")["reason"], "down");
    // The terminal may be asked although it is not live; nobody answers here.
    desk.ask(4, r#"{"op":"rpc","method":"isConnected"}"#);
    desk.ms += 2_000;
    assert!(desk.session.next_timeout().is_some_and(|timer| timer.at <= at(desk.ms).mono));
    desk.take(Input::Timeout);
    assert_eq!(desk.answered(4).expect("an answer")["reason"], "timeout");
}

#[test]
fn the_end_gives_everything_back_that_was_taken_or_on_its_way() {
    let mut desk = Desk::live();
    assert_eq!(desk.held, 2, "a parameter and a datasource");
    desk.ask(1, HISTORY);
    desk.ask(2, r#"{"op":"rpc","method":"isConnected"}"#);
    desk.take(Input::Shutdown);
    assert_eq!(desk.answered(1).expect("an answer")["reason"], "down");
    assert_eq!(desk.answered(2).expect("an answer")["reason"], "down");
    desk.run(10);
    assert_eq!(desk.held, 0, "the datasource that came after the end is closed too");
    desk.said.calls.clear();
    desk.run(5_000);
    assert!(desk.said.calls.is_empty(), "nothing begins again");
}
