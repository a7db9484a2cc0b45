//! A small HTTP server that remembers what it was asked, and an account whose key must never be seen.

use std::collections::BTreeMap;
use std::process::Output;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac as _};
use serde_json::{Value, json};
use sha2::Sha256;
use tempfile::NamedTempFile;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::gateway::{file_of, tickbus};

/// What no output may hold: the secrets of the accounts, which are in the environment under these names.
pub(crate) const CANARIES: [(&str, &str); 3] =
    [("ONE_SECRET", "canary-one-f00d"), ("TWO_SECRET", "canary-two-cafe"), ("PHRASE", "canary-phrase-beef")];
/// The names of keys are sent, and printed nowhere all the same.
pub(crate) const KEYS: [(&str, &str); 2] = [("ONE_KEY", "canary-key-one"), ("TWO_KEY", "canary-key-two")];

/// A request as it came.
#[derive(Clone, Debug)]
pub(crate) struct Asked {
    pub(crate) method: String,
    /// Path and query.
    pub(crate) target: String,
    /// By names in lower case.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Asked {
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(crate) fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }

    /// A parameter of the query.
    pub(crate) fn param(&self, name: &str) -> Option<String> {
        let pairs = url::form_urlencoded::parse(self.query().as_bytes());
        pairs.into_owned().find(|(key, _)| key == name).map(|(_, value)| value)
    }
}

/// What an answer waits for.
#[derive(Default)]
pub(crate) struct Gate(Mutex<bool>, Condvar);

impl Gate {
    pub(crate) fn open(&self) {
        *self.0.lock().unwrap() = true;
        self.1.notify_all();
    }

    /// Waits until it is open, or so long.
    pub(crate) fn wait(&self, most: Duration) {
        drop(self.1.wait_timeout_while(self.0.lock().unwrap(), most, |open| !*open).unwrap());
    }
}

/// Status, further header lines, and body.
pub(crate) type Said = (u16, String, String);

pub(crate) fn ok(body: impl Into<String>) -> Said {
    (200, String::new(), body.into())
}

/// The server; ends with this.
pub(crate) struct Server {
    pub(crate) url: String,
    asked: Arc<Mutex<Vec<Asked>>>,
    task: JoinHandle<()>,
}

impl Server {
    /// Answers every request with what `answer` makes of it.
    pub(crate) async fn start(answer: impl Fn(&Asked) -> Said + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let (asked, answer) = (Arc::<Mutex<Vec<Asked>>>::default(), Arc::new(answer));
        let seen = Arc::clone(&asked);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&seen), Arc::clone(&answer)));
            }
        });
        Self { url, asked, task }
    }

    /// What it was asked, in order.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// `host:port`.
    pub(crate) fn host(&self) -> &str {
        self.url.trim_start_matches("http://")
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(
    mut stream: TcpStream,
    seen: Arc<Mutex<Vec<Asked>>>,
    answer: Arc<impl Fn(&Asked) -> Said + Send + Sync + 'static>,
) {
    let mut bytes = Vec::new();
    let asked = loop {
        if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
            return;
        }
        if let Some(asked) = read(&bytes) {
            break asked;
        }
    };
    seen.lock().unwrap().push(asked.clone());
    // Some take their time.
    let (status, headers, body) = tokio::task::spawn_blocking(move || answer(&asked)).await.unwrap();
    let length = body.len();
    let text = format!("HTTP/1.1 {status} x\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n{body}");
    drop(stream.write_all(text.as_bytes()).await);
}

fn read(bytes: &[u8]) -> Option<Asked> {
    let text = String::from_utf8_lossy(bytes);
    let (head, body) = text.split_once("\r\n\r\n")?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?.to_owned());
    let header = |line: &str| line.split_once(": ").map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()));
    let headers: BTreeMap<_, _> = lines.filter_map(header).collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
    (body.len() >= length).then(|| Asked { method, target, headers, body: body.to_owned() })
}

/// HMAC-SHA256, made here and not by what is tested.
pub(crate) fn mac(secret: &str, text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}

pub(crate) fn hex(secret: &str, text: &str) -> String {
    mac(secret, text).iter().map(|byte| format!("{byte:02x}")).collect()
}

pub(crate) fn base64(secret: &str, text: &str) -> String {
    STANDARD.encode(mac(secret, text))
}

/// `accounts` of these names and APIs; keys and secrets are the canaries of `ONE` and `TWO`.
pub(crate) fn accounts(all: &[(&str, &str, &str)]) -> Value {
    let account = |(name, api, whose): &(&str, &str, &str)| {
        let mut account = json!({
            "api": api, "key": {"env": format!("{whose}_KEY")}, "secret": {"env": format!("{whose}_SECRET")},
        });
        if api.starts_with("okx") {
            account["passphrase"] = json!({"env": "PHRASE"});
        }
        ((*name).to_owned(), account)
    };
    Value::Object(all.iter().map(account).collect())
}

/// A config with accounts and nothing else.
pub(crate) fn config_of(all: &[(&str, &str, &str)]) -> NamedTempFile {
    file_of(&json!({"feeds": {}, "accounts": accounts(all)}))
}

pub(crate) fn canaries() -> impl Iterator<Item = (&'static str, &'static str)> {
    CANARIES.into_iter().chain(KEYS)
}

/// No canary is in this text.
pub(crate) fn assert_no_canary(text: &str) {
    for (name, canary) in canaries() {
        assert!(!text.contains(canary), "{name} is in {text}");
    }
}

/// Runs the program with the canaries in its environment and every log line there is: exit code, stdout and stderr.
pub(crate) async fn said(arguments: &[&str]) -> (i32, String, String) {
    let arguments: Vec<String> = arguments.iter().map(|text| (*text).to_owned()).collect();
    let run = move || {
        let mut command = tickbus();
        command.envs(canaries()).env_remove("PYBOTTERS_APIS").current_dir(env!("CARGO_TARGET_TMPDIR"));
        command.arg("-vv").args(arguments).output().unwrap()
    };
    let Output { status, stdout, stderr } = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let (out, err) = (text(stdout), text(stderr));
    assert_no_canary(&out);
    assert_no_canary(&err);
    (status.code().unwrap(), out, err)
}
