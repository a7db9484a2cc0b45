//! Percent-encoding: of what is sent, and the several ways in which venues want it signed.

use std::borrow::Cow;

/// Bytes that no encoding touches (RFC 3986, "unreserved").
const fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// What `yarl` leaves raw wherever it is, beside that.
const fn is_mild(byte: u8) -> bool {
    is_unreserved(byte) || matches!(byte, b'!' | b'$' | b'\'' | b'(' | b')' | b'*' | b',')
}

const fn is_query_delimiter(byte: u8) -> bool {
    matches!(byte, b'+' | b'&' | b'=' | b';')
}

fn push_escape(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(char::from(DIGITS[usize::from(byte >> 4)]));
    out.push(char::from(DIGITS[usize::from(byte & 15)]));
}

fn quote(out: &mut String, text: &str, is_raw: impl Fn(u8) -> bool, plus_for_space: bool) {
    for byte in text.bytes() {
        match byte {
            b' ' if plus_for_space => out.push('+'),
            _ if is_raw(byte) => out.push(char::from(byte)),
            _ => push_escape(out, byte),
        }
    }
}

/// Everything but the unreserved is escaped, a space too: what every venue reads alike.
pub(super) fn strict(out: &mut String, text: &str) {
    quote(out, text, is_unreserved, false);
}

/// A form's key or value, as Python's `quote_plus` writes it.
pub(super) fn plus(out: &mut String, text: &str) {
    quote(out, text, is_unreserved, true);
}

/// A query's key or value, as `yarl` writes it.
pub(super) fn yarl(out: &mut String, text: &str) {
    quote(out, text, |byte| is_mild(byte) || matches!(byte, b'?' | b'/' | b':' | b'@'), true);
}

/// Pairs as `k=v&k=v`, each side encoded by `encode`.
pub(super) fn pairs<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>, encode: fn(&mut String, &str)) -> String {
    let mut out = String::new();
    for (key, value) in pairs {
        if !out.is_empty() {
            out.push('&');
        }
        encode(&mut out, key);
        out.push('=');
        encode(&mut out, value);
    }
    out
}

/// A path as it stands in an address: what need not be escaped is not, but for `/` and `+`.
pub(super) fn requote_path(path: &str) -> String {
    let raw = |byte: u8| is_mild(byte) || is_query_delimiter(byte) || matches!(byte, b'@' | b':' | b'/');
    requote(path, raw, |byte| matches!(byte, b'/' | b'+'), false)
}

/// A query as it stands in an address, made as `yarl` makes it: what need not be escaped is not, but for what
/// separates.
pub(super) fn requote_query(query: &str) -> String {
    let raw = |byte: u8| is_mild(byte) || is_query_delimiter(byte) || matches!(byte, b'?' | b'/' | b':' | b'@');
    requote(query, raw, is_query_delimiter, true)
}

/// A query as it stands in an address, left as it is but for bytes that cannot be sent: `'` among them, which HTTP
/// clients escape.
pub(super) fn tidy_query(query: &str) -> String {
    let raw = |byte: u8| {
        (is_mild(byte) && byte != b'\'') || is_query_delimiter(byte) || matches!(byte, b'?' | b'/' | b':' | b'@')
    };
    // No escape is undone.
    requote(query, raw, |_| true, false)
}

fn requote(
    text: &str,
    is_raw: impl Fn(u8) -> bool,
    stays_escaped: impl Fn(u8) -> bool,
    plus_for_space: bool,
) -> String {
    let bytes = text.as_bytes();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        at += 1;
        match (byte, escaped(&bytes[at..])) {
            (b'%', Some(value)) => {
                at += 2;
                match is_raw(value) && !stays_escaped(value) {
                    true => out.push(char::from(value)),
                    false => push_escape(&mut out, value),
                }
            }
            (b' ', _) if plus_for_space => out.push('+'),
            _ if is_raw(byte) => out.push(char::from(byte)),
            _ => push_escape(&mut out, byte),
        }
    }
    out
}

/// The byte whose two hexadecimal digits these begin with.
fn escaped(digits: &[u8]) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    match digits {
        [high, low, ..] => Some(digit(*high)? << 4 | digit(*low)?),
        _ => None,
    }
}

/// Keys and values of an encoded query, in order; what is no UTF-8 becomes U+FFFD.
pub(super) fn parse_query(query: &str) -> Vec<(String, String)> {
    let decode = |text: &str| unquote(&text.replace('+', " "), |_| false, true).into_owned();
    let parts = query.split('&').filter(|part| !part.is_empty());
    parts.map(|part| part.split_once('=').unwrap_or((part, ""))).map(|(k, v)| (decode(k), decode(v))).collect()
}

/// An encoded query as text, but for escapes of what separates.
pub(super) fn decoded_query(query: &str) -> String {
    unquote(&query.replace('+', " "), is_query_delimiter, false).into_owned()
}

/// An encoded path as text.
pub(super) fn decoded_path(path: &str) -> String {
    unquote(path, |_| false, false).into_owned()
}

/// Undoes escapes. Those of `stays` and those that make no UTF-8 stay, unless the latter are to be replaced.
fn unquote(text: &str, stays: impl Fn(u8) -> bool, replace: bool) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find('%') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        let mut run = Vec::new();
        while let Some(value) = rest
            .as_bytes()
            .get(3 * run.len())
            .filter(|byte| **byte == b'%')
            .and_then(|_| escaped(&rest.as_bytes()[3 * run.len() + 1..]))
        {
            run.push(value);
        }
        if run.is_empty() {
            out.push('%');
            rest = &rest[1..];
            continue;
        }
        let (escapes, after) = rest.split_at(3 * run.len());
        push_run(&mut out, &run, escapes, &stays, replace);
        rest = after;
    }
    out.push_str(rest);
    Cow::Owned(out)
}

/// Appends what these bytes mean, whose escapes are `escapes`.
fn push_run(out: &mut String, run: &[u8], escapes: &str, stays: &impl Fn(u8) -> bool, replace: bool) {
    let mut at = 0;
    for chunk in run.utf8_chunks() {
        for c in chunk.valid().chars() {
            let next = at + c.len_utf8();
            match u8::try_from(c).is_ok_and(|byte| byte.is_ascii() && stays(byte)) {
                true => out.push_str(&escapes[3 * at..3 * next].to_ascii_uppercase()),
                false => out.push(c),
            }
            at = next;
        }
        let invalid = chunk.invalid().len();
        match replace {
            true if invalid > 0 => out.push('\u{fffd}'),
            _ => out.push_str(&escapes[3 * at..3 * (at + invalid)]),
        }
        at += invalid;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(encode: fn(&mut String, &str), text: &str) -> String {
        let mut out = String::new();
        encode(&mut out, text);
        out
    }

    #[test]
    fn three_ways_to_encode() {
        let text = "日 +&=;#[]{}\"%|\\<>^`!$'()*,?/:@~-._\u{7f}\n";
        let yarl_text = "%E6%97%A5+%2B%26%3D%3B%23%5B%5D%7B%7D%22%25%7C%5C%3C%3E%5E%60!$'()*,?/:@~-._%7F%0A";
        assert_eq!(with(yarl, text), yarl_text);
        assert_eq!(with(strict, " /é"), "%20%2F%C3%A9");
        assert_eq!(with(plus, " /é~"), "+%2F%C3%A9~");
    }

    #[test]
    fn addresses_are_requoted() {
        assert_eq!(requote_path("/日本/a b%2fc%7e%41%zz%"), "/%E6%97%A5%E6%9C%AC/a%20b%2Fc~A%25zz%25");
        assert_eq!(requote_query("x=a%2Cb&y=%20 z&b&&=1;c&q=%2b"), "x=a,b&y=%20+z&b&&=1;c&q=%2B");
        assert_eq!(tidy_query("x=a%2cb&y=%20 z'"), "x=a%2Cb&y=%20%20z%27");
    }

    #[test]
    fn queries_are_read() {
        let read = parse_query("x=a%2Cb&y=%20+z&b&&=1;c&bad=%E3%81x%ff");
        let wanted = [("x", "a,b"), ("y", "  z"), ("b", ""), ("", "1;c"), ("bad", "\u{fffd}x\u{fffd}")];
        assert_eq!(read, wanted.map(|(k, v)| (k.to_owned(), v.to_owned())));
        assert_eq!(decoded_query("x=1+2%2B3%26&y=%E6%97%A5%E3%81%zz%"), "x=1 2%2B3%26&y=日%E3%81%zz%");
        assert_eq!(decoded_path("/a+b/%E6%97%A5%2F"), "/a+b/日/");
    }
}
