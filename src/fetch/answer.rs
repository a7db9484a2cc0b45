//! What came back, as it may be shown: without whatever it repeats of keys.

use bytes::Bytes;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::request::is_text_header;
use crate::io::http::Answer;
use crate::sign::Signer;

/// Words in names of headers that may carry keys: they are not shown.
const OF_KEYS: [&str; 7] = ["key", "sign", "secret", "token", "cookie", "passphrase", "authorization"];

/// The answer to a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// HTTP status.
    pub status: u16,
    /// Names in lower case with their values, in the order they came; those that may carry keys are left out.
    pub headers: Vec<(String, String)>,
    /// The whole body.
    pub body: Bytes,
    /// The account that signed the call.
    pub account: Option<String>,
    /// Why it was not signed, where that might surprise.
    pub note: Option<String>,
}

impl Fetched {
    pub(super) fn new(answer: Answer, signer: Option<&Signer>, note: Option<String>) -> Self {
        let hide = |bytes: &[u8]| signer.and_then(|signer| signer.hide(bytes));
        let shown = |name: &str| !OF_KEYS.iter().any(|word| name.contains(word));
        let text = |value: &[u8]| {
            let value = hide(value).unwrap_or_else(|| value.to_owned());
            String::from_utf8(value).ok().filter(|text| is_text_header(&text.replace('…', "")))
        };
        let headers = answer.headers.iter().filter(|(name, _)| shown(name.as_str()));
        let headers = headers.filter_map(|(name, value)| Some((name.as_str().to_owned(), text(value.as_bytes())?)));
        let headers = headers.collect();
        let body = hide(&answer.body).map_or(answer.body, Bytes::from);
        let account = signer.map(|signer| signer.account.to_string());
        Self { status: answer.status, headers, body, account, note }
    }

    /// Whether the venue did what it was asked.
    pub fn is_success(&self) -> bool {
        (200..300).contains(&self.status)
    }

    /// One JSON object: `ok`, `status`, `headers`, the body as `json` (each number as it was written) or `text`, and
    /// `account` and `note` if there are any.
    pub fn to_json(&self) -> String {
        let mut headers = Map::new();
        for (name, value) in &self.headers {
            let all = match headers.get(name) {
                Some(Value::String(before)) => format!("{before}, {value}"),
                _ => value.clone(),
            };
            headers.insert(name.clone(), all.into());
        }
        let mut fields = json!({"ok": true, "status": self.status, "headers": headers});
        for (key, value) in [("account", &self.account), ("note", &self.note)] {
            if let Some(value) = value {
                fields[key] = json!(value);
            }
        }
        let (key, body) = match serde_json::from_slice::<&RawValue>(&self.body) {
            Ok(json) => ("json", json.get().to_owned()),
            Err(_) => ("text", Value::from(String::from_utf8_lossy(&self.body)).to_string()),
        };
        let fields = fields.to_string();
        // An object with members: the body takes the place of its last brace.
        format!("{},\"{key}\":{body}}}", fields.strip_suffix('}').unwrap_or(&fields))
    }
}
