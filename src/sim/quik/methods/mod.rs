//! The server's methods: from a frame to the text of its answer.

mod account;
mod history;
mod market;
mod tables;

use super::request::{Arg, Request, Undecodable, decode};
use super::terminal::Terminal;
use super::value::Value;
use crate::model::Stamp;

/// Where the server says its files are.
const SCRIPTS: &str = "C:\\QUIK\\lua\\quik-lua-rpc";

/// Methods of windows, charts and labels. This terminal has no windows: QLua gives nil, and the wrapper raises.
const OF_WINDOWS: [&str; 25] = [
    "AddColumn",
    "AddLabel",
    "AllocTable",
    "Clear",
    "CreateWindow",
    "DelAllLabels",
    "DelLabel",
    "DeleteRow",
    "DestroyTable",
    "GetCell",
    "GetLabelParams",
    "GetTableSize",
    "GetWindowCaption",
    "GetWindowRect",
    "Highlight",
    "InsertRow",
    "IsWindowClosed",
    "SetCell",
    "SetColor",
    "SetLabelParams",
    "SetSelectedRow",
    "SetTableNotificationCallback",
    "SetWindowCaption",
    "SetWindowPos",
    "getCandlesByIndex",
];

/// Why a call has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// There is no such method.
    Unknown,
    /// The wrapper raised; its text gets lost on the way.
    Raised,
}

type Outcome = Result<Value, Failure>;

/// An argument that must be there, as text.
fn text(args: &Arg, name: &str) -> Result<String, Failure> {
    args.get(name).text().ok_or(Failure::Raised)
}

/// An argument that must be a whole number.
fn int(args: &Arg, name: &str) -> Result<i64, Failure> {
    args.get(name).int().ok_or(Failure::Raised)
}

fn table() -> Value {
    Value::Table(Vec::new())
}

/// A result of one member.
fn one(name: &'static str, value: impl Into<Value>) -> Outcome {
    Ok(table().with(name, value))
}

impl Terminal {
    /// The answer to one frame.
    pub(super) fn execute(&mut self, frame: &[u8], now: Stamp) -> Vec<u8> {
        let request = match decode(frame) {
            Ok(request) => request,
            Err(wrong) => {
                self.count("(undecodable)");
                return self.error(500, Some(undecodable_text(wrong)));
            }
        };
        let name = request.method.text().unwrap_or_else(|| "table".to_owned());
        match self.dispatch(&request, now) {
            Ok(result) => {
                self.count(&name);
                self.result(&result)
            }
            Err(Failure::Raised) => {
                self.count(&name);
                self.error(1, None)
            }
            Err(Failure::Unknown) => {
                self.count("(unknown)");
                self.error(404, Some(format!("QLua-функция с именем '{name}' не найдена.")))
            }
        }
    }

    fn count(&mut self, name: &str) {
        match self.calls.get_mut(name) {
            Some(count) => *count += 1,
            None => drop(self.calls.insert(name.to_owned(), 1)),
        }
    }

    fn dispatch(&mut self, request: &Request, now: Stamp) -> Outcome {
        let Arg::Text(method) = &request.method else { return Err(Failure::Unknown) };
        let (method, args, at) = (method.as_str(), &request.args, self.clock(now.wall));
        if OF_WINDOWS.contains(&method) {
            return Err(Failure::Raised);
        }
        self.market_method(method, args, at)
            .or_else(|| self.history_method(method, args, at, now.mono))
            .or_else(|| self.table_method(method, args))
            .or_else(|| self.account_method(method, args, at))
            .unwrap_or(Err(Failure::Unknown))
    }

    fn result(&self, result: &Value) -> Vec<u8> {
        let nothing = matches!(result, Value::Table(fields) if fields.iter().all(|(_, value)| *value == Value::Nil));
        if nothing {
            // The builder marks the outer table as an object; inner ones it does not.
            return br#"{"result":{}}"#.to_vec();
        }
        self.encoded(&table().with("result", result.clone()))
    }

    fn error(&self, code: i64, message: Option<String>) -> Vec<u8> {
        let message = message.map_or(Value::Nil, Value::Text);
        self.encoded(&table().with("error", table().with("code", code).with("message", message)))
    }

    fn encoded(&self, answer: &Value) -> Vec<u8> {
        self.encoder().encode(answer)
    }

    /// The answer of `sim.state`, the simulator's own: what the script holds. It counts as no call.
    pub(super) fn state_answer(&self, frame: &[u8]) -> Option<Vec<u8>> {
        // Cheap to tell for every other frame.
        let asked = frame.len() < 100 && decode(frame).ok()?.method == Arg::Text("sim.state".to_owned());
        let texts = |list: Vec<String>| Value::List(list.into_iter().map(Value::Text).collect());
        asked.then(|| {
            self.result(
                &table()
                    .with("calls", i64::try_from(self.call).unwrap_or(i64::MAX))
                    .with("run", i64::try_from(self.run).unwrap_or(i64::MAX))
                    .with("datasources", texts(self.open_datasources()))
                    .with("param_requests", texts(self.param_requests()))
                    .with("level_ii", texts(self.level_ii())),
            )
        })
    }
}

fn undecodable_text(Undecodable { line, reason }: Undecodable) -> String {
    format!("Не удалось десериализовать запрос: {SCRIPTS}\\json.lua:{line}: {reason}")
}
