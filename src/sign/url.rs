//! Addresses as they are sent, in parts: what is signed is taken from here byte for byte.

use super::encode;
use super::{Compat, SignError};

/// The longest address taken.
const LONGEST: usize = 64 * 1024;

/// An address whose path and query are encoded as they are sent.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Url {
    /// `https`, `http`, `wss` or `ws`.
    pub(super) scheme: &'static str,
    /// In lower case.
    pub(super) host: String,
    /// If it is not the scheme's own.
    pub(super) port: Option<u16>,
    /// At least a slash, without `.` and `..`.
    pub(super) path: String,
    /// Without the question mark; empty where there is none.
    pub(super) query: String,
}

impl Url {
    /// Reads an address and appends these parameters to its query.
    pub(super) fn new(text: &str, params: &[(String, String)], compat: Compat) -> Result<Self, SignError> {
        let mut url = Self::parse(text, compat).map_err(SignError::Url)?;
        if compat == Compat::Documented {
            params.iter().for_each(|(key, value)| url.append(key, value, compat));
        } else if !params.is_empty() {
            let mut pairs = encode::parse_query(&url.query);
            pairs.extend(params.iter().cloned());
            url.query = joined(&pairs);
        }
        Ok(url)
    }

    fn parse(text: &str, compat: Compat) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("is longer than 64 KiB");
        }
        let text = text.split('#').next().unwrap_or_default();
        let (scheme, rest) = text.split_once("://").ok_or("has no scheme; write https://HOST/PATH")?;
        let known = [("https", 443), ("http", 80), ("wss", 443), ("ws", 80)];
        let (scheme, usual) = known
            .into_iter()
            .find(|(known, _)| scheme.eq_ignore_ascii_case(known))
            .ok_or("is of no known scheme; allowed: https, http, wss, ws")?;
        let authority_end = rest.find(['/', '?']).unwrap_or(rest.len());
        let (authority, rest) = rest.split_at(authority_end);
        let (path, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (host, port) = host_and_port(authority)?;
        let query = match compat {
            Compat::Documented => encode::tidy_query(query),
            Compat::Reference => encode::requote_query(query),
        };
        let path = without_dots(&encode::requote_path(path));
        Ok(Self { scheme, host, port: port.filter(|port| *port != usual), path, query })
    }

    /// Appends a parameter. The reference client takes the whole query apart for it, and writes it anew.
    pub(super) fn append(&mut self, key: &str, value: &str, compat: Compat) {
        if compat == Compat::Reference {
            let mut pairs = encode::parse_query(&self.query);
            pairs.push((key.to_owned(), value.to_owned()));
            self.query = joined(&pairs);
            return;
        }
        if !self.query.is_empty() {
            self.query.push('&');
        }
        encode::strict(&mut self.query, key);
        self.query.push('=');
        encode::strict(&mut self.query, value);
    }

    /// Whether it is a socket's.
    pub(super) fn is_socket(&self) -> bool {
        matches!(self.scheme, "wss" | "ws")
    }

    /// Path and query, as the request line has them.
    pub(super) fn target(&self) -> String {
        self.with_query(&self.path, &self.query)
    }

    /// Path and query, decoded.
    pub(super) fn decoded_target(&self) -> String {
        self.with_query(&encode::decoded_path(&self.path), &encode::decoded_query(&self.query))
    }

    fn with_query(&self, path: &str, query: &str) -> String {
        match query {
            "" => path.to_owned(),
            query => format!("{path}?{query}"),
        }
    }

    /// The parts of the path between its slashes, decoded.
    pub(super) fn segments(&self) -> impl DoubleEndedIterator<Item = String> {
        self.path.strip_prefix('/').unwrap_or_default().split('/').map(encode::decoded_path)
    }

    /// Whether one part of the path is this word.
    pub(super) fn has_segment(&self, word: &str) -> bool {
        self.segments().any(|segment| segment == word)
    }

    /// All of it.
    pub(super) fn text(&self) -> String {
        let port = self.port.map_or_else(String::new, |port| format!(":{port}"));
        format!("{}://{}{port}{}", self.scheme, self.host, self.target())
    }
}

fn joined(pairs: &[(String, String)]) -> String {
    encode::pairs(pairs.iter().map(|(key, value)| (key.as_str(), value.as_str())), encode::yarl)
}

fn host_and_port(authority: &str) -> Result<(String, Option<u16>), &'static str> {
    if authority.contains('@') {
        return Err("names a user; keys go into an account");
    }
    // An address of IPv6 has colons of its own, in brackets.
    let end = authority.find(']').map_or(0, |at| at + 1);
    let (host, port) = match authority[end..].find(':') {
        Some(at) => (&authority[..end + at], Some(&authority[end + at + 1..])),
        None => (authority, None),
    };
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'[' | b']' | b':');
    if host.is_empty() || !host.bytes().all(plain) {
        return Err("has no host, or one that is not ASCII");
    }
    let port = match port {
        None | Some("") => None,
        Some(port) => Some(port.parse().map_err(|_| "has a port that is none")?),
    };
    Ok((host.to_ascii_lowercase(), port))
}

/// The path without `.` and `..`, as HTTP clients send it (RFC 3986, 5.2.4).
fn without_dots(path: &str) -> String {
    let Some(inner) = path.strip_prefix('/') else { return "/".to_owned() };
    if !inner.split('/').any(|segment| matches!(segment, "." | "..")) {
        return path.to_owned();
    }
    let mut kept: Vec<&str> = Vec::new();
    for segment in inner.split('/') {
        match segment {
            "." => {}
            ".." => drop(kept.pop()),
            other => kept.push(other),
        }
    }
    if inner.ends_with('.') && matches!(inner.rsplit('/').next(), Some("." | "..")) {
        kept.push("");
    }
    format!("/{}", kept.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(text: &str, compat: Compat) -> String {
        Url::new(text, &[], compat).map(|url| url.text()).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn addresses_are_sent_in_one_form() {
        for (text, wanted) in [
            ("https://A.com:443/a/../b/./c%2fd%7e?x=1#y", "https://a.com/b/c%2Fd~?x=1"),
            ("wss://a.com:9443", "wss://a.com:9443/"),
            ("HTTP://a.com?x", "http://a.com/?x"),
            ("https://a.com/a/..", "https://a.com/"),
            ("https://a.com/a/b/../", "https://a.com/a/"),
            ("https://a.com/a/%2e%2E/b/.", "https://a.com/b/"),
            ("https://[::1]:80/", "https://[::1]:80/"),
        ] {
            assert_eq!(url(text, Compat::Reference), wanted);
            assert_eq!(url(text, Compat::Documented), wanted);
        }
        assert_eq!(url("https://a.com/?x=%2C'", Compat::Reference), "https://a.com/?x=,'");
        assert_eq!(url("https://a.com/?x=%2c'", Compat::Documented), "https://a.com/?x=%2C%27");
    }

    #[test]
    fn bad_addresses_are_refused() {
        for bad in
            ["a.com/x", "ftp://a.com", "https://", "https:///x", "https://é.com", "https://u:p@a.com", "https://a:b"]
        {
            assert!(Url::new(bad, &[], Compat::Documented).is_err(), "{bad}");
        }
    }

    #[test]
    fn parameters_are_appended() {
        let params = [("a b".to_owned(), "/é".to_owned())];
        let with = |compat| Url::new("https://a.com/?x=%2C&y", &params, compat).map(|url| url.query);
        assert_eq!(with(Compat::Reference).ok().as_deref(), Some("x=,&y=&a+b=/%C3%A9"));
        assert_eq!(with(Compat::Documented).ok().as_deref(), Some("x=%2C&y&a%20b=%2F%C3%A9"));
    }
}
