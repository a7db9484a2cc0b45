//! What okws's clients send, and what they are answered.

use std::fmt;

use serde::Deserialize;
use serde_json::{Value, json};

use super::super::batch::Batch;
use crate::secret::Secret;

/// The longest command read, in bytes.
const LONGEST: usize = 64 * 1024;
/// Channels of one command.
const MOST_CHANNELS: usize = 1000;
/// Seconds that an answer can be fetched.
const ANSWER_LIVES: u64 = 3600;

/// A command: `{"op":"subscribe","name":"test","id":140,"args":["spot/ticker:ETH-USDT"]}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is wanted.
    pub op: Op,
    /// The connection's name; empty where there is none.
    pub name: String,
    /// Under which key the client looks for the answer.
    pub id: Option<String>,
}

/// The commands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Open a connection, perhaps with an account.
    Open(Option<Credentials>),
    /// Close it.
    Close,
    /// Subscribe to v3 channels.
    Subscribe(Vec<String>),
    /// Unsubscribe from them.
    Unsubscribe(Vec<String>),
    /// List the connections.
    Servers,
    /// End the service.
    QuitServer,
    /// What is wrong with it, in words.
    Bad(String),
}

/// An account's key, as the venue wants it. Nothing prints it.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The API key.
    pub key: Secret,
    /// What requests are signed with.
    pub secret: Secret,
    /// The third part that OKX wants.
    pub passphrase: Secret,
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credentials(…)")
    }
}

/// An answer's code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Code {
    /// Done.
    Done = 80_000,
    /// There is a connection of this name already.
    Exists = 80_001,
    /// The command is wrong, or was refused.
    Bad = 80_010,
    /// There is no connection of this name.
    NoConnection = 80_011,
}

/// What a client is answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply {
    /// How it went.
    pub code: Code,
    /// A text; for `servers` the list of names.
    pub message: Value,
}

#[derive(Deserialize)]
struct Raw {
    op: Option<String>,
    name: Option<Value>,
    id: Option<Value>,
    args: Option<Value>,
}

impl Request {
    /// Reads a command; `None` for what nobody can be answered for.
    pub fn read(text: &[u8]) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        // Serde would also read an array, by position.
        let raw: Raw = serde_json::from_slice(text).ok().filter(|_| text.trim_ascii_start().first() == Some(&b'{'))?;
        let id = raw.id.as_ref().and_then(plain);
        let name = raw.name.as_ref().and_then(plain).unwrap_or_default();
        let named = |op| if name.is_empty() { Op::Bad("name is missing".to_owned()) } else { op };
        let op = match raw.op.as_deref() {
            Some("open") => named(Op::Open(Credentials::read(raw.args.as_ref()))),
            Some("close") => named(Op::Close),
            Some(op @ ("subscribe" | "unsubscribe")) => match channels(raw.args.as_ref()) {
                Ok(channels) if op == "subscribe" => named(Op::Subscribe(channels)),
                Ok(channels) => named(Op::Unsubscribe(channels)),
                Err(what) => Op::Bad(what),
            },
            Some("servers") => Op::Servers,
            Some("quit_server") => Op::QuitServer,
            Some(op) => {
                let op: String = op.chars().take(60).collect();
                Op::Bad(format!(
                    "unknown op {op:?}; allowed: open, close, subscribe, unsubscribe, servers, quit_server"
                ))
            }
            None => Op::Bad("op is missing".to_owned()),
        };
        Some(Self { op, name, id })
    }
}

/// A text, or a number as its text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn channels(args: Option<&Value>) -> Result<Vec<String>, String> {
    let wrong = || "args must be a list of channels, such as [\"spot/ticker:ETH-USDT\"]".to_owned();
    let list = match args {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(list)) => {
            let texts = list.iter().map(|one| one.as_str().map(str::to_owned));
            texts.collect::<Option<Vec<_>>>().ok_or_else(wrong)?
        }
        _ => return Err(wrong()),
    };
    match list.len() {
        0 => Err(wrong()),
        1..=MOST_CHANNELS => Ok(list),
        many => Err(format!("args has {many} channels; at most {MOST_CHANNELS} are allowed")),
    }
}

impl Credentials {
    /// From `{"apiKey":…,"secret":…,"password":…}`; empty texts stand for none.
    fn read(args: Option<&Value>) -> Option<Self> {
        let field = |names: &[&str]| {
            let text = names.iter().find_map(|name| args?.get(name)?.as_str()).unwrap_or_default();
            Secret::new(text.to_owned())
        };
        let (key, secret) = (field(&["apiKey"]), field(&["secret"]));
        let passphrase = field(&["passphrase", "password"]);
        let given = [&key, &secret, &passphrase].iter().any(|secret| !secret.reveal().is_empty());
        given.then_some(Self { key, secret, passphrase })
    }

    /// As the control plane takes them.
    pub fn json(&self) -> Value {
        json!({"key": self.key.reveal(), "secret": self.secret.reveal(), "passphrase": self.passphrase.reveal()})
    }
}

impl Reply {
    /// Done.
    pub fn done() -> Self {
        Self { code: Code::Done, message: Value::String(String::new()) }
    }

    /// Refused, and why.
    pub fn refused(code: Code, why: impl Into<String>) -> Self {
        Self { code, message: Value::String(why.into()) }
    }

    /// Writes it where the client looks for it: `trade-ws/info/140`.
    pub fn write(&self, answers: &str, id: Option<&str>, out: &mut Batch) {
        let event = if self.code == Code::Done { "info" } else { "error" };
        let answer = json!({"event": event, "message": self.message, "errorCode": self.code as u32});
        let key = id.map_or_else(|| answers.to_owned(), |id| format!("{answers}/{id}"));
        out.command("SET").arg(key).arg(answer.to_string()).arg("EX").number(ANSWER_LIVES);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn op(text: &str) -> Op {
        Request::read(text.as_bytes()).unwrap().op
    }

    #[test]
    fn commands_are_read_as_the_client_writes_them() {
        let text = r#"{"op":"subscribe","name":"tests","args":["spot/ticker:ETH-USDT"],"id":139872}"#;
        let channels = vec!["spot/ticker:ETH-USDT".to_owned()];
        let wanted =
            Request { op: Op::Subscribe(channels.clone()), name: "tests".to_owned(), id: Some("139872".to_owned()) };
        assert_eq!(Request::read(text.as_bytes()), Some(wanted));
        assert_eq!(op(r#"{"op":"subscribe","name":"t","args":"spot/ticker:ETH-USDT"}"#), Op::Subscribe(channels));
        assert_eq!(op(r#"{"op":"open","name":"t","args":{"apiKey":"","secret":"","password":""}}"#), Op::Open(None));
        assert_eq!(op(r#"{"op":"servers","id":"x"}"#), Op::Servers);
        assert_eq!(op(r#"{"op":"quit_server"}"#), Op::QuitServer);
    }

    #[test]
    fn wrong_commands_say_what_is_wrong() {
        for (text, wanted) in [
            (r#"{"op":"open"}"#, "name is missing"),
            (r#"{"name":"t"}"#, "op is missing"),
            (r#"{"op":"subscribe","name":"t"}"#, "args must be a list"),
            (r#"{"op":"subscribe","name":"t","args":[7]}"#, "args must be a list"),
            (r#"{"op":"subscribe","name":"t","args":[]}"#, "args must be a list"),
            (r#"{"op":"jump","name":"t"}"#, "unknown op \"jump\""),
        ] {
            let Op::Bad(what) = op(text) else { panic!("{text} was taken") };
            assert!(what.starts_with(wanted), "{what}");
        }
        let many = json!({"op": "subscribe", "name": "t", "args": vec!["spot/ticker:A"; 1001]}).to_string();
        assert!(matches!(op(&many), Op::Bad(what) if what.contains("1001")));
        for nothing in ["", "[]", "[\"open\",\"t\",1,2]", "7", "{\"op\":7}"] {
            assert_eq!(Request::read(nothing.as_bytes()), None, "{nothing}");
        }
        assert_eq!(Request::read(&[b' '; LONGEST + 1]), None);
    }

    #[test]
    fn an_account_is_read_and_never_printed() {
        let request = op(r#"{"op":"open","name":"t","args":{"apiKey":"K","secret":"swordfish","password":"P"}}"#);
        assert!(!format!("{request:?}").contains("swordfish"));
        let Op::Open(Some(credentials)) = request else { panic!("no credentials") };
        assert_eq!(credentials.json(), json!({"key": "K", "secret": "swordfish", "passphrase": "P"}));
    }

    #[test]
    fn answers_stand_where_the_client_looks() {
        let mut out = Batch::default();
        Reply::done().write("trade-ws/info", Some("7"), &mut out);
        Reply::refused(Code::NoConnection, "no").write("trade-ws/info", None, &mut out);
        let done = r#"SET trade-ws/info/7 {"errorCode":80000,"event":"info","message":""} EX 3600"#;
        let refused = r#"SET trade-ws/info {"errorCode":80011,"event":"error","message":"no"} EX 3600"#;
        assert_eq!(out.lines(), [done, refused]);
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "\\PC{0,200}", op in "open|close|subscribe|servers|x", args in "\\PC{0,20}") {
            Request::read(text.as_bytes());
            Request::read(format!("{{\"op\":\"{op}\",\"name\":\"n\",\"args\":{args}}}").as_bytes());
        }
    }
}
