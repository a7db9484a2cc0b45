//! Reading what a call is made of, from texts of a person's or a program's.

use url::Url;

use crate::sign::{Body, Json, Method, Style};

/// The longest address, in bytes; the most headers, and the longest of them.
const URL_MAX: usize = 8 * 1024;
/// The most headers of a call.
const HEADERS_MAX: usize = 32;
const HEADER_MAX: usize = 4 * 1024;
/// Headers that belong to the connection, and are not the caller's to set.
const OF_THE_CONNECTION: [&str; 10] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "proxy-authorization",
];

/// Reads `GET`, `POST`, `PUT` or `DELETE`, in capitals or not.
///
/// # Errors
/// What is allowed.
pub fn method(text: &str) -> Result<Method, String> {
    let known = Method::parse(&text.to_ascii_uppercase());
    known.ok_or_else(|| format!("unknown method {:?}; allowed: GET, POST, PUT, DELETE", cut(text)))
}

/// Reads a whole address: `https://HOST/PATH`, with or without a query.
///
/// # Errors
/// What is wrong with it.
pub fn url(text: &str) -> Result<Url, String> {
    let wrong = |what: &str| format!("{:?} {what}; write https://HOST/PATH", cut(text));
    if text.len() > URL_MAX {
        return Err(format!("the address is longer than {URL_MAX} bytes"));
    }
    let mut url = Url::parse(text).map_err(|error| wrong(&format!("is no address: {error}")))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong("is neither https nor http"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("the address names a user; keys go into an account".to_owned());
    }
    url.set_fragment(None);
    Ok(url)
}

/// The headers of a call, checked.
///
/// # Errors
/// What is wrong with one of them, or that there are two of a name or too many.
pub fn headers(given: Vec<(String, String)>) -> Result<Vec<(String, String)>, String> {
    if given.len() > HEADERS_MAX {
        return Err(format!("more than {HEADERS_MAX} headers"));
    }
    let mut checked: Vec<(String, String)> = Vec::with_capacity(given.len());
    for (name, value) in given {
        let (name, value) = header(&name, &value)?;
        if checked.iter().any(|(known, _)| known.eq_ignore_ascii_case(&name)) {
            return Err(format!("the header {name} is given twice; a list goes into one, with commas"));
        }
        checked.push((name, value));
    }
    Ok(checked)
}

/// A header, checked. Those of the connection and of cookies are not to be had.
///
/// # Errors
/// What is wrong with it.
fn header(name: &str, value: &str) -> Result<(String, String), String> {
    let is_token =
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b));
    if !is_token || name.len() + value.len() > HEADER_MAX {
        return Err(format!("{:?} is no header of at most {HEADER_MAX} bytes", cut(name)));
    }
    if OF_THE_CONNECTION.contains(&name.to_ascii_lowercase().as_str()) {
        return Err(format!("the header {name} is set by the connection itself"));
    }
    if !is_text_header(value) {
        return Err(format!("the header {name} has a value that is no ASCII text"));
    }
    Ok((name.to_owned(), value.trim().to_owned()))
}

/// Whether a header's value may be sent and shown.
pub fn is_text_header(value: &str) -> bool {
    value.bytes().all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
}

/// Data as a body: as JSON or as a form, whichever the venue reads (JSON where nobody signs), or as a form.
///
/// # Errors
/// It is no JSON, or cannot be a form. None of the data is repeated.
pub fn body(data: &str, as_form: bool) -> Result<Body, String> {
    let json = Json::parse(data).map_err(|error| format!("the data is {error}"))?;
    match (as_form, json) {
        (false, json) => Ok(Body::Data(json)),
        (true, json @ Json::Map(_)) => pairs(&json).map(Body::Form),
        (true, _) => Err("a form is made of an object: {\"key\": \"value\"}".to_owned()),
    }
}

/// An object's members as texts; a list repeats its key.
///
/// # Errors
/// Which member is no text, number or truth value.
pub fn pairs(object: &Json) -> Result<Vec<(String, String)>, String> {
    let Json::Map(members) = object else {
        return Err("is no object: {\"key\": \"value\"}".to_owned());
    };
    let mut pairs = Vec::with_capacity(members.len());
    for (key, value) in members {
        let texts = match value {
            Json::List(items) => items.iter().map(text).collect::<Option<Vec<_>>>(),
            value => text(value).map(|text| vec![text]),
        };
        let texts = texts.ok_or_else(|| format!("{:?} is no text, number, truth value or list of them", cut(key)))?;
        pairs.extend(texts.into_iter().map(|text| (key.clone(), text)));
    }
    Ok(pairs)
}

fn text(value: &Json) -> Option<String> {
    match value {
        Json::Text(text) => Some(text.clone()),
        Json::Number(_) | Json::Bool(_) => Some(value.write(Style::Compact)),
        _ => None,
    }
}

/// A text from outside that fits in a line.
fn cut(text: &str) -> String {
    match text.char_indices().nth(60) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
