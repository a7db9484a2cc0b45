//! Collects where vectors differ, without any of their keys.

use super::{L1, Mismatch, NotVectors, Report};
use crate::sign::call::hex;
use crate::sign::{Credentials, Json, Proof, SignError, Signed, Style, Typed, encode};

/// The longest text of a finding that is shown, in characters.
const LONGEST: usize = 600;

/// Differences so far.
pub(super) struct Findings {
    report: Report,
    vector: String,
    /// How many fields of this vector were compared.
    compared: usize,
    /// Keys as they may stand in texts, the longest first.
    hidden: Vec<String>,
}

impl Findings {
    pub(super) fn new(credentials: &Credentials) -> Self {
        let passphrase = credentials.passphrase.iter().map(|text| text.reveal());
        let texts = [credentials.key.reveal(), credentials.secret.reveal()].into_iter().chain(passphrase);
        let mut hidden: Vec<String> = texts.filter(|text| !text.is_empty()).flat_map(spellings).collect();
        hidden.sort_by_key(|text| std::cmp::Reverse(text.len()));
        hidden.dedup();
        Self { report: Report::default(), vector: String::new(), compared: 0, hidden }
    }

    /// The next findings are of this vector.
    pub(super) fn begin(&mut self, vector: &str) {
        self.vector = self.shown(vector);
        self.report.checked += usize::from(vector != "file");
        self.compared = 0;
    }

    /// The vector that is at this place is done.
    ///
    /// # Errors
    /// Nothing of it was compared.
    pub(super) fn end(&self, place: &str) -> Result<(), NotVectors> {
        match self.compared {
            0 => Err(NotVectors::Shape(format!("nothing of {place} can be compared"))),
            _ => Ok(()),
        }
    }

    /// Says that a field is not what the file says.
    pub(super) fn differ(&mut self, field: &str, expected: &str, got: &str) {
        self.compared += 1;
        let mismatch = Mismatch {
            vector: self.vector.clone(),
            field: self.shown(field),
            expected: self.shown(expected),
            got: self.shown(got),
        };
        self.report.mismatches.push(mismatch);
    }

    /// Says that it could not be signed.
    pub(super) fn failed(&mut self, error: &SignError) {
        self.differ("signing", "a signature", &format!("an error: {error}"));
    }

    /// Compares a field, if the file has it.
    pub(super) fn compare(&mut self, field: &str, expected: Option<&Json>, got: &str) {
        let Some(expected) = expected else { return };
        self.compared += 1;
        let text = match expected {
            Json::Text(text) => text.clone(),
            other => other.write(Style::Compact),
        };
        if text != got {
            self.differ(field, &text, got);
        }
    }

    /// Says of members that are not known that they are not checked.
    pub(super) fn only(&mut self, json: &Json, field: &str, known: &[&str]) {
        for (key, _) in json.members().iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            self.differ(&super::join(field, key), "a kind of field that can be checked", "not checked");
        }
    }

    /// Compares headers as a map whose keys have no case.
    pub(super) fn headers(&mut self, field: &str, expected: Option<&Json>, signed: &Signed) {
        let Some(expected) = expected else { return };
        for (name, value) in expected.members() {
            match signed.header(name) {
                Some(got) => self.compare(&format!("{field}.{name}"), Some(value), got),
                None => self.differ(&format!("{field}.{name}"), "a header", "none"),
            }
        }
        for (name, _) in &signed.headers {
            if !expected.members().iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                self.differ(&format!("{field}.{name}"), "none", "a header");
            }
        }
    }

    /// Compares what was signed.
    pub(super) fn proofs(&mut self, expected: &Json, proofs: &[Proof]) {
        let hmacs: Vec<_> = proofs.iter().filter_map(hmac_json).collect();
        self.list("hmac", expected.get("hmac"), &hmacs);
        let typed: Vec<_> = proofs.iter().filter_map(typed_json).collect();
        if expected.get("hyperliquid").is_some() || !typed.is_empty() {
            self.list("hyperliquid", expected.get("hyperliquid"), &typed);
        }
    }

    fn list(&mut self, field: &str, expected: Option<&Json>, got: &[Json]) {
        let Some(expected) = expected else { return };
        if expected.items().len() != got.len() {
            self.differ(field, &format!("{} signatures", expected.items().len()), &got.len().to_string());
        }
        for (at, (expected, got)) in expected.items().iter().zip(got).enumerate() {
            for (key, value) in expected.members() {
                let place = format!("{field}[{at}].{key}");
                match got.get(key) {
                    Some(got) if got == value => {}
                    Some(Json::Text(got)) => self.compare(&place, Some(value), got),
                    Some(got) => self.differ(&place, &value.write(Style::Compact), &got.write(Style::Compact)),
                    None => self.differ(&place, &value.write(Style::Compact), "nothing"),
                }
            }
        }
    }

    /// A text in quotes that fits in a line, without keys.
    fn shown(&self, text: &str) -> String {
        let shown = self.hidden.iter().fold(text.to_owned(), |text, key| text.replace(key, "…"));
        match shown.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}… ({} bytes)", &shown[..end], shown.len()),
            None => shown,
        }
    }

    pub(super) fn into_report(self) -> Report {
        self.report
    }

    /// The report of a file that must have vectors.
    ///
    /// # Errors
    /// It has none.
    pub(super) fn into_whole_report(self) -> Result<Report, NotVectors> {
        match self.report.checked {
            0 if self.report.mismatches.is_empty() => Err(NotVectors::lacks("vectors")),
            _ => Ok(self.report),
        }
    }
}

/// A key as it may stand in a text: itself, in JSON, in addresses and forms, or as Python shows it.
fn spellings(text: &str) -> Vec<String> {
    let json = |style| {
        let quoted = Json::text(text).write(style);
        quoted[1..quoted.len() - 1].to_owned()
    };
    let encoded = |encode: fn(&mut String, &str)| {
        let mut out = String::new();
        encode(&mut out, text);
        out
    };
    vec![
        text.to_owned(),
        json(Style::Compact),
        json(Style::Spaced),
        encoded(encode::strict),
        encoded(encode::plus),
        encoded(encode::yarl),
        text.escape_debug().to_string(),
        text.trim_start_matches("0x").to_owned(),
    ]
    .into_iter()
    .filter(|text| !text.is_empty())
    .collect()
}

fn hmac_json(proof: &Proof) -> Option<Json> {
    use base64::Engine as _;
    let Proof::Hmac { message, digest } = proof else { return None };
    Some(Json::map([
        ("algorithm", Json::text("HMAC-SHA256")),
        ("message", Json::text(message.reveal())),
        ("hex", Json::Text(hex(digest))),
        ("base64", Json::Text(base64::engine::general_purpose::STANDARD.encode(digest))),
    ]))
}

fn typed_json(proof: &Proof) -> Option<Json> {
    let Proof::Typed(typed) = proof else { return None };
    let Typed { domain, chain_id, primary_type, fields, signature: (r, s, v), .. } = typed.as_ref();
    let hash = |bytes: &[u8; 32]| Json::Text(format!("0x{}", hex(bytes)));
    let contract = "0x0000000000000000000000000000000000000000";
    let domain = Json::map([
        ("name", Json::text(*domain)),
        ("version", Json::text("1")),
        ("chainId", Json::number(*chain_id)),
        ("verifyingContract", Json::text(contract)),
    ]);
    let field = |(name, kind): &(String, &str)| Json::map([("name", Json::text(name)), ("type", Json::text(*kind))]);
    let fields = Json::List(fields.iter().map(field).collect());
    let scheme = if typed.msgpack.is_some() { L1 } else { "user_signed_action" };
    let mut json = Json::map([
        ("scheme", Json::text(scheme)),
        ("domain", domain),
        ("types", Json::Map(vec![(primary_type.clone(), fields)])),
        ("domain_separator", hash(&typed.domain_separator)),
        ("struct_hash", hash(&typed.struct_hash)),
        ("eip712_digest", hash(&typed.digest)),
        ("signature", Json::map([("r", Json::text(r)), ("s", Json::text(s)), ("v", Json::number(*v))])),
    ]);
    if let Some(msgpack) = &typed.msgpack {
        json.set("msgpack_action_hex", Json::Text(hex(msgpack)));
        json.set("nonce", Json::number(typed.nonce));
        json.set("action_hash", hash(&typed.action_hash));
        json.set("phantom_agent_source", Json::text(typed.source));
    }
    Some(json)
}
