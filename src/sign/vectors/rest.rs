//! Vectors of REST requests.

use sha2::{Digest, Sha256};

use super::findings::Findings;
use super::{File, NotVectors, has_all, has_proofs, join, member, text, time};
use crate::sign::call::hex;
use crate::sign::{Body, Compat, Json, Method, Request, SignError, Signed, Style, api, python};

const VECTOR: [&str; 5] = ["id", "note", "frozen_time_ms", "request", "expected"];
const REQUEST: [&str; 5] = ["method", "url", "params", "data", "headers"];
const EXPECTED: [&str; 8] =
    ["method", "url", "request_target", "headers", "body", "body_sha256", "hmac", "hyperliquid"];
/// What every vector says; only those of typed data have more.
const ALWAYS: [&str; 7] = ["method", "url", "request_target", "headers", "body", "body_sha256", "hmac"];

pub(super) fn check(file: &File, vector: &Json, place: &str, findings: &mut Findings) -> Result<(), NotVectors> {
    let expected = member(vector, "expected", place)?;
    let request = member(vector, "request", place)?;
    let now = time(vector, place)?;
    findings.only(vector, "", &VECTOR);
    findings.only(request, "request", &REQUEST);
    findings.only(expected, "expected", &EXPECTED);
    let of_expected = join(place, "expected");
    has_all(expected, &of_expected, &ALWAYS)?;
    has_proofs(expected, &of_expected)?;
    let method = text(request, "method", &join(place, "request"))?;
    let Some(method) = Method::parse(method) else {
        findings.differ("request.method", "GET, POST, PUT or DELETE", method);
        return Ok(());
    };
    let mut request = Request { method, ..self::request(request, &join(place, "request"))? };
    if file.compat == Compat::Documented {
        adopt_body(&mut request, expected);
    }
    match sign(file, &request, now) {
        Ok(signed) => compare(expected, &signed, findings),
        Err(error) => findings.failed(&error),
    }
    Ok(())
}

/// Signs it if it is this account's; else it is sent as it is.
pub(super) fn sign(file: &File, request: &Request, now: u64) -> Result<Signed, SignError> {
    match api::for_request(request, file.compat) {
        Some(api) if api.name == file.api.name => api.sign(request, &file.credentials, now, file.compat),
        _ => api::unsigned(request, now, file.compat),
    }
}

/// Address, parameters, data and headers; not the method.
fn request(json: &Json, place: &str) -> Result<Request, NotVectors> {
    let mut params = Vec::new();
    for (at, param) in json.get("params").map(Json::items).unwrap_or_default().iter().enumerate() {
        let [Json::Text(key), value] = param.items() else {
            return Err(NotVectors::lacks(format!("pair of name and value at {place}.params[{at}]")));
        };
        match value {
            Json::List(values) => params.extend(values.iter().map(|value| (key.clone(), python::str_of(value)))),
            value => params.push((key.clone(), python::str_of(value))),
        }
    }
    if let Some(Json::Map(members)) = json.get("params") {
        params.extend(members.iter().map(|(key, value)| (key.clone(), python::str_of(value))));
    }
    let headers = json.get("headers").map(Json::members).unwrap_or_default();
    let headers = headers.iter().map(|(name, value)| (name.clone(), python::str_of(value))).collect();
    let body = json.get("data").map_or(Body::Empty, |data| Body::Data(data.clone()));
    Ok(Request { url: text(json, "url", place)?.to_owned(), params, body, headers, ..Request::default() })
}

/// How JSON is written is nobody's rule: the file's own text is signed, if it says the same.
pub(super) fn adopt_body(request: &mut Request, expected: &Json) {
    let Body::Data(data) = &request.body else { return };
    let Some(text) = expected.get("body").and_then(Json::as_text) else { return };
    if Json::parse(text).is_ok_and(|json| json.write(Style::Spaced) == data.write(Style::Spaced)) {
        request.body = Body::Raw { content_type: "application/json".to_owned(), text: text.to_owned() };
    }
}

fn compare(expected: &Json, signed: &Signed, findings: &mut Findings) {
    findings.compare("method", expected.get("method"), signed.method.as_str());
    let url = expected.get("url").map(without_usual_port);
    findings.compare("url", url.as_ref(), signed.url.reveal());
    findings.compare("request_target", expected.get("request_target"), signed.target.reveal());
    findings.headers("headers", expected.get("headers"), signed);
    findings.compare("body", expected.get("body"), &signed.body);
    findings.compare("body_sha256", expected.get("body_sha256"), &hex(&Sha256::digest(&signed.body)));
    findings.proofs(expected, &signed.proofs);
}

/// An address without the port that its scheme means anyway, and with the slash that is always sent.
pub(super) fn without_usual_port(url: &Json) -> Json {
    let Some((scheme, rest)) = url.as_text().and_then(|text| text.split_once("://")) else { return url.clone() };
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let usual = if matches!(scheme, "https" | "wss") { ":443" } else { ":80" };
    let host = authority.strip_suffix(usual).unwrap_or(authority);
    let slash = if path.starts_with('/') { "" } else { "/" };
    Json::Text(format!("{scheme}://{host}{slash}{path}"))
}
