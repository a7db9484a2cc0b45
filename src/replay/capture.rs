//! One line of a capture, read and written. Pure.
//!
//! `{"recv_ns":1,"kind":"ws","msg":{"topic":"..."}}`: the text between `,"msg":` and the last `}` is the venue's bytes,
//! verbatim where they are JSON on one line; anything else is written as a JSON string. Binary messages are lines of their
//! own kind: `{"recv_ns":1,"kind":"ws-binary","frame_b64":"q1ZK"}`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde::de::IgnoredAny;

use crate::io::tap::{Kind, Tapped};
use crate::model::UnixNanos;

/// What stands before the message. Strings before it have their quotes escaped, so they cannot contain this.
const MSG: &[u8] = b",\"msg\":";

/// One line of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// When it was read, if the recorder knew.
    pub recv: Option<UnixNanos>,
    /// What it is.
    pub kind: Kind,
    /// Where to or from, for connects and REST answers.
    pub url: Option<String>,
    /// Which feed recorded it.
    pub feed: Option<String>,
    /// The bytes.
    pub msg: Vec<u8>,
}

/// Why a line is skipped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LineError {
    /// It is of a kind we do not know.
    #[error("unknown kind {0:?}; known are connect, send, ws, ws-binary and rest")]
    UnknownKind(String),
    /// It is not in the format.
    #[error("not a capture line: {0}")]
    Malformed(String),
}

#[derive(Deserialize)]
struct Head {
    #[serde(default)]
    recv_ns: Option<u64>,
    kind: String,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    feed: Option<String>,
    #[serde(default)]
    frame_b64: Option<String>,
}

/// Reads a line, with or without its line end.
///
/// # Errors
/// It is not in the format, or of an unknown kind.
pub fn parse_line(line: &[u8]) -> Result<Line, LineError> {
    let malformed = |what: &str| LineError::Malformed(what.to_owned());
    let Some((head, tail)) = split_at_msg(line) else {
        let (head, kind) = parse_head(line)?;
        let frame = head.frame_b64.filter(|_| kind == Kind::Binary).ok_or_else(|| malformed("it has no \"msg\""))?;
        let msg = STANDARD.decode(frame).map_err(|error| LineError::Malformed(error.to_string()))?;
        return Ok(Line { recv: head.recv_ns.map(UnixNanos), kind, url: head.url, feed: head.feed, msg });
    };
    let mut head = head.to_vec();
    head.push(b'}');
    let (head, kind) = parse_head(&head)?;
    let end = memchr::memrchr(b'}', tail).ok_or_else(|| malformed("it does not end with }"))?;
    let msg = match &tail[..end] {
        text @ [b'"', ..] => {
            let decoded: String =
                serde_json::from_slice(text).map_err(|error| LineError::Malformed(error.to_string()))?;
            decoded.into_bytes()
        }
        verbatim => verbatim.to_vec(),
    };
    Ok(Line { recv: head.recv_ns.map(UnixNanos), kind, url: head.url, feed: head.feed, msg })
}

/// What stands before the comma of `,"msg":`, and after its colon. Lines of other writers may have blanks between.
fn split_at_msg(line: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(at) = memchr::memmem::find(line, MSG) {
        return Some((&line[..at], &line[at + MSG.len()..]));
    }
    memchr::memmem::find_iter(line, br#""msg""#).find_map(|at| {
        let head = line[..at].trim_ascii_end().strip_suffix(b",")?;
        let tail = line[at + br#""msg""#.len()..].trim_ascii_start().strip_prefix(b":")?;
        Some((head, tail.trim_ascii_start()))
    })
}

fn parse_head(text: &[u8]) -> Result<(Head, Kind), LineError> {
    let head: Head = serde_json::from_slice(text).map_err(|error| LineError::Malformed(error.to_string()))?;
    match Kind::parse(&head.kind) {
        Some(kind) => Ok((head, kind)),
        None => Err(LineError::UnknownKind(head.kind)),
    }
}

/// Whether a line that may have been cut off is whole.
pub(crate) fn is_whole(line: &[u8]) -> bool {
    serde_json::from_slice::<IgnoredAny>(line).is_ok()
}

/// Appends a line with its line end. [`parse_line`] gives the same bytes back, unless they are not UTF-8: those are
/// replaced, and the line says `"lossy":true`.
pub fn write_line(out: &mut Vec<u8>, tapped: &Tapped) {
    out.extend_from_slice(b"{\"recv_ns\":");
    out.extend_from_slice(itoa::Buffer::new().format(tapped.at.0).as_bytes());
    out.extend_from_slice(b",\"kind\":\"");
    out.extend_from_slice(tapped.kind.as_str().as_bytes());
    out.extend_from_slice(b"\",\"feed\":");
    write_string(out, &tapped.feed);
    if let Some(url) = &tapped.url {
        out.extend_from_slice(b",\"url\":");
        write_string(out, url);
    }
    if tapped.kind == Kind::Binary {
        out.extend_from_slice(b",\"frame_b64\":");
        write_string(out, &STANDARD.encode(&tapped.data));
        out.extend_from_slice(b"}\n");
        return;
    }
    let text = std::str::from_utf8(&tapped.data);
    if text.is_err() {
        out.extend_from_slice(b",\"lossy\":true");
    }
    out.extend_from_slice(MSG);
    match text {
        _ if tapped.kind == Kind::Connect => out.extend_from_slice(b"{}"),
        Ok(text) if can_stand_verbatim(text) => out.extend_from_slice(text.as_bytes()),
        Ok(text) => write_string(out, text),
        Err(_) => write_string(out, &String::from_utf8_lossy(&tapped.data)),
    }
    out.extend_from_slice(b"}\n");
}

/// JSON on one line. A JSON string cannot, because it would be read as a text in disguise.
fn can_stand_verbatim(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.first() != Some(&b'"') && memchr::memchr2(b'\n', b'\r', bytes).is_none() && is_whole(bytes)
}

fn write_string(out: &mut Vec<u8>, text: &str) {
    // A string can be written to memory without an error.
    let _ = serde_json::to_writer(out, text);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;

    fn tapped(kind: Kind, url: Option<&str>, data: &[u8]) -> Tapped {
        Tapped {
            feed: "bybit \"linear\"".into(),
            at: UnixNanos(1_786_310_818_228_147_000),
            kind,
            url: url.map(Into::into),
            data: Bytes::copy_from_slice(data),
        }
    }

    fn written(tapped: &Tapped) -> Vec<u8> {
        let mut out = Vec::new();
        write_line(&mut out, tapped);
        out
    }

    #[test]
    fn reads_the_format() {
        let line = parse_line(br#"{"recv_ns":null,"kind":"ws","msg":{"a":[1, 2 ],"b":"}"} }"#).unwrap();
        assert_eq!((line.recv, line.kind, &line.msg[..]), (None, Kind::Ws, &br#"{"a":[1, 2 ],"b":"}"} "#[..]));
        let line =
            parse_line(b"{\"recv_ns\":5,\"kind\":\"rest\",\"feed\":\"f\",\"url\":\"u\",\"msg\":[]}\r\n").unwrap();
        assert_eq!((line.recv, line.kind, &line.msg[..]), (Some(UnixNanos(5)), Kind::Rest, &b"[]"[..]));
        assert_eq!((line.feed.as_deref(), line.url.as_deref()), (Some("f"), Some("u")));
        let line = parse_line(br#"{"kind":"ws","extra":{"x":1},"msg":"po\nng"}"#).unwrap();
        assert_eq!(line.msg, b"po\nng");
    }

    #[test]
    fn lines_with_blanks_are_read() {
        let line = parse_line(br#"{"recv_ns": 5, "kind": "ws", "url": "\"msg\"", "msg": {"msg": 1}}"#).unwrap();
        assert_eq!((line.recv, line.kind, &line.msg[..]), (Some(UnixNanos(5)), Kind::Ws, &br#"{"msg": 1}"#[..]));
        let line = parse_line(br#"{ "kind" : "ws" , "msg" : "pong" }"#).unwrap();
        assert_eq!(line.msg, b"pong");
    }

    #[test]
    fn refuses_what_is_not_in_the_format() {
        let unknown = parse_line(br#"{"kind":"example","msg":{}}"#);
        assert_eq!(unknown, Err(LineError::UnknownKind("example".to_owned())));
        for bad in [
            "",
            r#"{"kind":"ws"}"#,
            "{}",
            "null",
            r#"{"msg":{}}"#,
            r#"{"recv_ns":-1,"kind":"ws","msg":{}}"#,
            r#"{"recv_ns":1,"kind":"ws","msg":"no end}"#,
            r#"{"recv_ns":1,"kind":"ws","msg":"#,
            r#"{"recv_ns":1,"kind":"ws","msg":1"#,
            r#"{"recv_ns":1,"kind":"ws","frame_b64":"q1ZK"}"#,
            r#"{"recv_ns":1,"kind":"ws-binary","frame_b64":"%"}"#,
        ] {
            assert!(matches!(parse_line(bad.as_bytes()), Err(LineError::Malformed(_))), "{bad}");
        }
    }

    #[test]
    fn json_stands_verbatim_and_the_rest_is_a_string() {
        let line = |data: &[u8]| String::from_utf8(written(&tapped(Kind::Ws, None, data))).unwrap();
        assert!(line(b"{\"p\":1.50, \"q\":[ ]}").ends_with(",\"msg\":{\"p\":1.50, \"q\":[ ]}}\n"));
        assert!(line(b"pong").ends_with(",\"msg\":\"pong\"}\n"));
        assert!(line(b"\"pong\"").ends_with(",\"msg\":\"\\\"pong\\\"\"}\n"));
        assert!(line(b"{\n}").ends_with(",\"msg\":\"{\\n}\"}\n"));
        assert!(line(b"\xff{}").ends_with(",\"lossy\":true,\"msg\":\"\u{fffd}{}\"}\n"));
    }

    #[test]
    fn a_connect_is_an_empty_object_with_its_address() {
        let url = "wss://h/?a=\",\"msg\":1}";
        let line = parse_line(&written(&tapped(Kind::Connect, Some(url), b""))).unwrap();
        assert_eq!(
            (line.url.as_deref(), &line.msg[..], line.feed.as_deref()),
            (Some(url), &b"{}"[..], Some("bybit \"linear\""))
        );
    }

    proptest! {
        #[test]
        fn any_text_comes_back(text: String) {
            let line = written(&tapped(Kind::Ws, None, text.as_bytes()));
            prop_assert!(is_whole(&line));
            prop_assert_eq!(memchr::memchr_iter(b'\n', &line).count(), 1);
            prop_assert_eq!(parse_line(&line).unwrap().msg, text.as_bytes());
        }

        #[test]
        fn text_that_looks_like_json_comes_back(text in "[ \\n\"\\\\{}\\[\\]:,a0\\-.]{0,24}") {
            let line = written(&tapped(Kind::Ws, None, text.as_bytes()));
            prop_assert_eq!(parse_line(&line).unwrap().msg, text.as_bytes());
        }

        #[test]
        fn any_bytes_make_a_whole_line(data: Vec<u8>) {
            let line = written(&tapped(Kind::Ws, None, &data));
            prop_assert!(is_whole(&line));
            let msg = parse_line(&line).unwrap().msg;
            prop_assert_eq!(String::from_utf8_lossy(&msg), String::from_utf8_lossy(&data));
        }

        #[test]
        fn any_binary_message_comes_back(data: Vec<u8>) {
            let line = parse_line(&written(&tapped(Kind::Binary, None, &data))).unwrap();
            prop_assert_eq!((line.kind, line.msg, line.feed.as_deref()), (Kind::Binary, data, Some("bybit \"linear\"")));
        }

        #[test]
        fn any_line_is_read_without_panic(line: Vec<u8>) {
            let _ = parse_line(&line);
            let _ = parse_line(&[b"{\"kind\":\"ws\",\"msg\":", &line[..]].concat());
        }
    }
}
