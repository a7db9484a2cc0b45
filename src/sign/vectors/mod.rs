//! Signing vectors: files that say what a request or a socket looks like once it is signed. They are checked against what
//! this module's parent makes of the same request, key and time.

mod findings;
mod flow;
mod official;
mod rest;
mod socket;

use super::json::{Json, JsonError};
use super::{Api, Compat, Credentials, find};
use crate::secret::Secret;
use findings::Findings;

/// The schemas of files that can be checked.
const SCHEMA: &str = "signing-vectors/1";
const OFFICIAL: &str = "official-vectors/1";
/// Sections of a file that need no check.
const HEADER: [&str; 7] = ["schema", "set", "api", "generated_with", "source", "credentials", "note"];

/// What a file says of each signature: of one of a text, of typed data, and of the exchange's own actions besides.
const HMAC: [&str; 4] = ["algorithm", "message", "hex", "base64"];
const TYPED: [&str; 7] = ["scheme", "domain", "types", "domain_separator", "struct_hash", "eip712_digest", "signature"];
const HASHED: [&str; 4] = ["msgpack_action_hex", "nonce", "action_hash", "phantom_agent_source"];
/// How the exchange's own actions are called there.
const L1: &str = "l1_action";

/// What came of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// How many vectors were checked.
    pub checked: usize,
    /// Where they differ.
    pub mismatches: Vec<Mismatch>,
}

/// One field that is not what the file says. No text of it holds any of the file's keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// The vector: section and id.
    pub vector: String,
    /// The field: `headers.X-BAPI-SIGN`.
    pub field: String,
    /// What the file says.
    pub expected: String,
    /// What was made.
    pub got: String,
}

/// A text that is no file of signing vectors.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotVectors {
    /// It is no JSON.
    #[error(transparent)]
    Json(#[from] JsonError),
    /// Its schema is another, or none.
    #[error("its schema is not {SCHEMA} or {OFFICIAL}")]
    Schema,
    /// Something that belongs into such a file is missing or of another type.
    #[error("{0}")]
    Shape(String),
}

impl NotVectors {
    fn lacks(what: impl Into<String>) -> Self {
        Self::Shape(format!("it has no {}", what.into()))
    }
}

/// Checks the text of a file.
///
/// # Errors
/// It is no such file.
pub fn check(text: &str) -> Result<Report, NotVectors> {
    let json = Json::parse(text)?;
    match json.get("schema").and_then(Json::as_text) {
        Some(SCHEMA) => check_generated(&json),
        Some(OFFICIAL) => official::check(&json),
        _ => Err(NotVectors::Schema),
    }
}

/// What all vectors of a file share.
struct File {
    api: &'static Api,
    credentials: Credentials,
    compat: Compat,
}

/// Sections that every generated file has, some of them empty.
const SECTIONS: [&str; 2] = ["rest", "ws"];

fn check_generated(json: &Json) -> Result<Report, NotVectors> {
    let credentials = credentials(json.get("credentials").ok_or_else(|| NotVectors::lacks("credentials"))?)?;
    let name = text(json, "api", "")?;
    let mut findings = Findings::new(&credentials);
    let Some(api) = find(name) else {
        findings.begin("file");
        findings.differ("api", "one of the known API names", name);
        return Ok(findings.into_report());
    };
    has_all(json, "", &SECTIONS)?;
    let file = File { api, credentials, compat: compat(json) };
    for (section, value) in json.members() {
        let check = match section.as_str() {
            "rest" => rest::check,
            "ws" => socket::check,
            "flows" => flow::check,
            known if HEADER.contains(&known) => continue,
            unknown => {
                findings.begin("file");
                findings.differ(unknown, "a section that can be checked", "not checked");
                continue;
            }
        };
        let Json::List(vectors) = value else { return Err(NotVectors::Shape(format!("its {section} is no list"))) };
        for (at, vector) in vectors.iter().enumerate() {
            let place = format!("{section}[{at}]");
            let id = text(vector, "id", &place)?;
            findings.begin(&format!("{section} {id}"));
            check(&file, vector, &place, &mut findings)?;
            findings.end(&place)?;
        }
    }
    findings.into_whole_report()
}

/// The reference client's behaviour where the file was generated with it.
fn compat(json: &Json) -> Compat {
    let named =
        |word: &str| word.to_ascii_lowercase().contains("pybotters") || word.to_ascii_lowercase().contains("topgun");
    let by_reference = match json.get("generated_with") {
        Some(Json::Text(text)) => named(text),
        Some(Json::Map(members)) => members.iter().any(|(key, value)| named(key) || value.as_text().is_some_and(named)),
        _ => false,
    };
    if by_reference { Compat::Reference } else { Compat::Documented }
}

fn credentials(json: &Json) -> Result<Credentials, NotVectors> {
    let part = |name: &str| match json.get(name) {
        None | Some(Json::Null) => Ok(None),
        Some(Json::Text(text)) => Ok(Some(Secret::new(text.clone()))),
        Some(_) => Err(NotVectors::Shape(format!("its credentials.{name} is no text"))),
    };
    let key = part("key")?.ok_or_else(|| NotVectors::lacks("credentials.key"))?;
    let secret = part("secret")?.unwrap_or_else(|| Secret::new(String::new()));
    Ok(Credentials { key, secret, passphrase: part("passphrase")? })
}

/// A member that must be there.
fn member<'j>(json: &'j Json, key: &str, place: &str) -> Result<&'j Json, NotVectors> {
    json.get(key).ok_or_else(|| NotVectors::lacks(join(place, key)))
}

/// Looks whether all of these are there: what a file leaves out would pass unchecked.
fn has_all(json: &Json, place: &str, keys: &[&str]) -> Result<(), NotVectors> {
    keys.iter().try_for_each(|key| member(json, key, place).map(|_| ()))
}

/// Looks whether what a file says of signatures is whole. Only files of a client that tells of its typed data have
/// `hyperliquid`.
fn has_proofs(expected: &Json, place: &str) -> Result<(), NotVectors> {
    for (section, keys) in [("hmac", HMAC.as_slice()), ("hyperliquid", TYPED.as_slice())] {
        for (at, proof) in expected.get(section).map(Json::items).unwrap_or_default().iter().enumerate() {
            let place = format!("{place}.{section}[{at}]");
            has_all(proof, &place, keys)?;
            if proof.get("scheme").and_then(Json::as_text) == Some(L1) {
                has_all(proof, &place, &HASHED)?;
            }
        }
    }
    Ok(())
}

/// A text that must be there.
fn text<'j>(json: &'j Json, key: &str, place: &str) -> Result<&'j str, NotVectors> {
    member(json, key, place)?.as_text().ok_or_else(|| NotVectors::lacks(format!("text at {}", join(place, key))))
}

/// The time of a vector, in milliseconds.
fn time(json: &Json, place: &str) -> Result<u64, NotVectors> {
    let wrong = || NotVectors::lacks(format!("whole number at {}", join(place, "frozen_time_ms")));
    // 2^53 ms are as far as times of other programs reach.
    member(json, "frozen_time_ms", place)?.as_u64().filter(|ms| *ms < 1 << 53).ok_or_else(wrong)
}

fn join(place: &str, key: &str) -> String {
    if place.is_empty() { key.to_owned() } else { format!("{place}.{key}") }
}

#[cfg(test)]
mod tests;
