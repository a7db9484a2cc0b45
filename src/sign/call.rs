//! A call while it is signed: its parts as they will be sent, and the means to sign them.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, Mac};
use sha2::Sha256;

use super::json::{Json, Style};
use super::url::Url;
use super::{Body, Compat, Credentials, Method, Proof, Request, SignError, Signed, encode, python};
use crate::secret::Secret;

const JSON: &str = "application/json";
const FORM: &str = "application/x-www-form-urlencoded";
const BYTES: &str = "application/octet-stream";

/// A request that is being signed.
pub(super) struct Call<'a> {
    pub(super) method: Method,
    pub(super) url: Url,
    /// The host whose rules hold.
    pub(super) host: String,
    pub(super) credentials: &'a Credentials,
    pub(super) compat: Compat,
    pub(super) now_ms: u64,
    headers: Vec<(String, Secret)>,
    data: &'a Body,
    body: String,
    content_type: Option<String>,
    proofs: Vec<Proof>,
}

impl<'a> Call<'a> {
    pub(super) fn new(
        request: &'a Request,
        credentials: &'a Credentials,
        now_ms: u64,
        compat: Compat,
    ) -> Result<Self, SignError> {
        let url = Url::new(&request.url, &request.params, compat)?;
        let host = request.as_host.as_ref().map_or_else(|| url.host.clone(), |host| host.to_ascii_lowercase());
        let mut call = Self {
            method: request.method,
            url,
            host,
            credentials,
            compat,
            now_ms,
            headers: Vec::with_capacity(request.headers.len() + 6),
            data: &request.body,
            body: String::new(),
            content_type: None,
            proofs: Vec::with_capacity(1),
        };
        request.headers.iter().for_each(|(name, value)| call.set(name, value.clone()));
        Ok(call)
    }

    /// Whether what is sent is what the reference client sends.
    pub(super) fn is_reference(&self) -> bool {
        self.compat == Compat::Reference
    }

    /// Sets a header, in its place if it is there.
    pub(super) fn set(&mut self, name: &str, value: impl Into<String>) {
        let value = Secret::new(value.into());
        match self.headers.iter_mut().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
            Some((_, place)) => *place = value,
            None => self.headers.push((name.to_owned(), value)),
        }
    }

    /// Sets a header to the name of the key.
    pub(super) fn set_key(&mut self, name: &str) {
        self.set(name, self.credentials.key.reveal());
    }

    /// Says that the body is JSON, whether there is one or not.
    pub(super) fn set_json_type(&mut self) {
        self.set("Content-Type", JSON);
    }

    /// A header that the caller gave; empty if it did not.
    pub(super) fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map_or("", |(_, value)| value.reveal())
    }

    /// Milliseconds since 1970, as the reference client's clock shows them.
    pub(super) fn ms(&self) -> String {
        match self.compat {
            Compat::Documented => self.now_ms,
            Compat::Reference => python::time_ms(self.now_ms),
        }
        .to_string()
    }

    /// The time in so many milliseconds.
    pub(super) fn ms_after(&self, ms: u32) -> u64 {
        match self.compat {
            Compat::Documented => self.now_ms.saturating_add(ms.into()),
            Compat::Reference => python::time_ms_after(self.now_ms, f64::from(ms) / 1000.0),
        }
    }

    /// Whole seconds since 1970.
    pub(super) const fn seconds(&self) -> u64 {
        self.now_ms / 1000
    }

    /// The time in UTC as `2023-11-14T22:13:20.123Z`.
    pub(super) fn iso(&self) -> Result<String, SignError> {
        Ok(format!("{}.{:03}Z", self.iso_seconds()?, self.now_ms % 1000))
    }

    /// The time in UTC as `2023-11-14T22:13:20`.
    pub(super) fn iso_seconds(&self) -> Result<String, SignError> {
        let time = i64::try_from(self.seconds()).ok().and_then(|seconds| jiff::Timestamp::from_second(seconds).ok());
        Ok(time.ok_or(SignError::Time)?.strftime("%Y-%m-%dT%H:%M:%S").to_string())
    }

    /// Appends a parameter to the query.
    pub(super) fn append(&mut self, key: &str, value: &str) {
        self.url.append(key, value, self.compat);
    }

    /// Makes the body, as JSON if the data may be either. Returns nothing but leaves it for [`Self::body`].
    pub(super) fn json_body(&mut self) -> Result<(), SignError> {
        match self.data {
            Body::Data(data) if !self.counts_as_none(data) => self.write_json(data),
            Body::Data(_) | Body::Empty => self.content_type = self.is_reference().then(|| FORM.to_owned()),
            _ => self.fixed_body()?,
        }
        Ok(())
    }

    /// Makes the body, as a form if the data may be either.
    pub(super) fn form_body(&mut self) -> Result<(), SignError> {
        match self.data {
            Body::Data(data) if !self.counts_as_none(data) => {
                self.body = form(data, self.compat)?;
                self.content_type = Some(FORM.to_owned());
            }
            Body::Data(_) | Body::Empty => self.content_type = self.is_reference().then(|| FORM.to_owned()),
            _ => self.fixed_body()?,
        }
        Ok(())
    }

    /// Makes the body of a request whose body the scheme does not look at.
    pub(super) fn plain_body(&mut self) -> Result<(), SignError> {
        match self.data {
            Body::Data(Json::Null) | Body::Empty => Ok(()),
            Body::Data(Json::Text(text)) if self.is_reference() => {
                self.body.clone_from(text);
                self.content_type = Some("text/plain; charset=utf-8".to_owned());
                Ok(())
            }
            _ => self.form_body(),
        }
    }

    /// What the reference client takes for no data at all.
    fn counts_as_none(&self, data: &Json) -> bool {
        matches!(data, Json::Null) || self.is_reference() && data.is_falsy()
    }

    /// Makes the body that is no data of either form.
    fn fixed_body(&mut self) -> Result<(), SignError> {
        match self.data {
            Body::Json(data) => self.write_json(data),
            Body::Form(pairs) => {
                let pairs = pairs.iter().map(|(key, value)| (key.as_str(), value.as_str()));
                self.body = encode::pairs(pairs, form_encoding(self.compat));
                self.content_type = Some(FORM.to_owned());
            }
            Body::Raw { content_type, text } => {
                self.body.clone_from(text);
                self.content_type = Some(content_type.clone());
            }
            Body::Empty | Body::Data(_) => {}
        }
        Ok(())
    }

    /// The data, if it is an object that is to be sent as JSON: for schemes that put the signature into it.
    pub(super) fn data(&self) -> Result<Json, SignError> {
        match self.data {
            Body::Empty => Ok(Json::Map(Vec::new())),
            Body::Data(data) | Body::Json(data) if self.counts_as_none(data) => Ok(Json::Map(Vec::new())),
            Body::Data(data @ Json::Map(_)) | Body::Json(data @ Json::Map(_)) => Ok(data.clone()),
            _ => Err(SignError::Body("must be a JSON object, which the signature is put into")),
        }
    }

    /// Makes this the body.
    pub(super) fn write_json(&mut self, data: &Json) {
        self.body = data.write(self.style());
        self.content_type = Some(JSON.to_owned());
    }

    /// How JSON is written.
    pub(super) fn style(&self) -> Style {
        match self.compat {
            Compat::Documented => Style::Compact,
            Compat::Reference => Style::Spaced,
        }
    }

    /// The body as it will be sent; empty until it is made.
    pub(super) fn body(&self) -> &str {
        &self.body
    }

    /// Has an empty body be what it would be without a scheme.
    pub(super) fn leave_empty_body(&mut self) -> Result<(), SignError> {
        if self.body.is_empty() {
            self.content_type = None;
            self.plain_body()?;
        }
        Ok(())
    }

    /// HMAC-SHA256 over these parts, in hexadecimal digits.
    pub(super) fn hex(&mut self, parts: &[&str]) -> String {
        hex(&self.hmac(parts))
    }

    /// HMAC-SHA256 over these parts, in base64.
    pub(super) fn base64(&mut self, parts: &[&str]) -> String {
        STANDARD.encode(self.hmac(parts))
    }

    fn hmac(&mut self, parts: &[&str]) -> [u8; 32] {
        let message = Secret::new(parts.concat());
        let digest = hmac(&self.credentials.secret, message.reveal());
        self.proofs.push(Proof::Hmac { message, digest });
        digest
    }

    /// Keeps what a signature was made of.
    pub(super) fn prove(&mut self, proof: Proof) {
        self.proofs.push(proof);
    }

    /// The passphrase; empty where none is known.
    pub(super) fn passphrase(&self) -> &'a str {
        self.credentials.passphrase.as_ref().map_or("", |passphrase| passphrase.reveal())
    }

    /// What was signed so far.
    pub(super) fn into_proofs(self) -> Vec<Proof> {
        self.proofs
    }

    /// The request as it is to be sent.
    pub(super) fn finish(mut self) -> Signed {
        let posts = matches!(self.method, Method::Post | Method::Put);
        let unsaid = self.is_reference() && posts && !self.url.is_socket();
        let content_type = self.content_type.take().or_else(|| unsaid.then(|| BYTES.to_owned()));
        if let Some(content_type) = content_type.filter(|_| self.header("Content-Type").is_empty()) {
            self.set("Content-Type", content_type);
        }
        Signed {
            method: self.method,
            url: Secret::new(self.url.text()),
            target: Secret::new(self.url.target()),
            headers: self.headers,
            body: self.body,
            proofs: self.proofs,
        }
    }
}

/// HMAC-SHA256 of a text.
pub(super) fn hmac(secret: &Secret, message: &str) -> [u8; 32] {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.reveal().as_bytes()) else {
        // HMAC takes keys of any length.
        return [0; 32];
    };
    mac.update(message.as_bytes());
    mac.finalize().into_bytes().into()
}

/// Bytes as lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut out = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
    }
    out
}

fn form_encoding(compat: Compat) -> fn(&mut String, &str) {
    match compat {
        Compat::Documented => encode::strict,
        Compat::Reference => encode::plus,
    }
}

/// An object, or a list of pairs, as a form. A list as a value repeats its key.
fn form(data: &Json, compat: Compat) -> Result<String, SignError> {
    const NEEDS: SignError = SignError::Body("must be an object or a list of pairs, to be sent as a form");
    let pairs: Vec<(&str, &Json)> = match data {
        Json::Map(members) => members.iter().map(|(key, value)| (key.as_str(), value)).collect(),
        Json::List(items) => {
            let pair =
                |item: &'_ Json| matches!(item, Json::List(pair) if pair.len() == 2 && pair[0].as_text().is_some());
            if !items.iter().all(pair) {
                return Err(NEEDS);
            }
            items.iter().map(|item| (item.items()[0].as_text().unwrap_or_default(), &item.items()[1])).collect()
        }
        _ => return Err(NEEDS),
    };
    let mut texts: Vec<(&str, String)> = Vec::with_capacity(pairs.len());
    for (key, value) in pairs {
        match (value, compat) {
            (Json::List(items), _) => {
                for item in items {
                    texts.push((key, form_text(item, compat)?));
                }
            }
            // Python goes through the keys of an object as it does through a list.
            (Json::Map(members), Compat::Reference) => {
                texts.extend(members.iter().map(|(inner, _)| (key, inner.clone())));
            }
            (value, _) => texts.push((key, form_text(value, compat)?)),
        }
    }
    Ok(encode::pairs(texts.iter().map(|(key, value)| (*key, value.as_str())), form_encoding(compat)))
}

fn form_text(value: &Json, compat: Compat) -> Result<String, SignError> {
    match (compat, value) {
        (Compat::Reference, value) => Ok(python::str_of(value)),
        (_, Json::Text(text)) => Ok(text.clone()),
        (_, Json::Number(_) | Json::Bool(_)) => Ok(value.write(Style::Compact)),
        _ => Err(SignError::Body("has null, a list in a list or an object as a value, which a form cannot say")),
    }
}
