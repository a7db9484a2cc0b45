//! Reads requests as leniently as the server's JSON library: trailing commas and text behind the first value pass, the
//! last of equal keys wins, and a `null` cuts its list short.

use crate::model::Decimal;

/// Values inside one another at most: the library's recursion ends the same way, with an error.
const MOST_DEPTH: u32 = 64;

/// A value of a request. `null` is [`Arg::Nil`], as everything that is absent.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) enum Arg {
    /// Nothing.
    #[default]
    Nil,
    /// A truth value.
    Bool(bool),
    /// A number without fraction or exponent.
    Int(i64),
    /// Any other number; `None` when it has more digits than fit.
    Number(Option<Decimal>),
    /// Text.
    Text(String),
    /// A list, up to its first `null`.
    List(Vec<Self>),
    /// An object, in its order.
    Object(Vec<(String, Self)>),
}

impl Arg {
    /// The member with this name; nothing for values that are no object.
    pub(super) fn get(&self, name: &str) -> &Self {
        static NIL: Arg = Arg::Nil;
        match self {
            Self::Object(members) => members.iter().rfind(|(key, _)| key == name).map_or(&NIL, |(_, value)| value),
            _ => &NIL,
        }
    }

    /// The text, where Lua would take the value for one: numbers pass too.
    pub(super) fn text(&self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text.clone()),
            Self::Int(number) => Some(number.to_string()),
            Self::Number(number) => number.map(super::value::number_text),
            _ => None,
        }
    }

    /// The whole number. A text with digits is none: terminals refuse it.
    pub(super) const fn int(&self) -> Option<i64> {
        match self {
            Self::Int(number) => Some(*number),
            _ => None,
        }
    }

    /// A number that travels as text by convention, or as itself.
    pub(super) fn number(&self) -> Option<Decimal> {
        match self {
            Self::Text(text) => Decimal::parse(text.as_bytes()).ok(),
            Self::Int(number) => Some(Decimal::new(*number, 0)),
            Self::Number(number) => *number,
            _ => None,
        }
    }
}

/// A request as the server sees it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Request {
    /// The method; anything but text is one that does not exist.
    pub(super) method: Arg,
    /// Its arguments.
    pub(super) args: Arg,
}

/// The request cannot be decoded; the line of the library where it gave up, for the error's text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Undecodable {
    /// Line of the Lua file.
    pub(super) line: u32,
    /// What the library says.
    pub(super) reason: &'static str,
}

const fn undecodable<T>(line: u32, reason: &'static str) -> Result<T, Undecodable> {
    Err(Undecodable { line, reason })
}

/// Decodes one frame.
///
/// # Errors
/// It is no JSON object, or has no `method`.
pub(super) fn decode(frame: &[u8]) -> Result<Request, Undecodable> {
    let value = Parser { bytes: frame, at: 0 }.value(0)?;
    if !matches!(value, Arg::Object(_)) {
        return undecodable(31, "attempt to index a non-table value");
    }
    let method = value.get("method").clone();
    if method == Arg::Nil {
        return undecodable(34, "the request has no method");
    }
    Ok(Request { args: value.get("args").clone(), method })
}

struct Parser<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl Parser<'_> {
    fn peek(&mut self) -> Option<u8> {
        while matches!(self.bytes.get(self.at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
            self.at += 1;
        }
        self.bytes.get(self.at).copied()
    }

    fn eat(&mut self, byte: u8) -> bool {
        let here = self.peek() == Some(byte);
        self.at += usize::from(here);
        here
    }

    fn value(&mut self, depth: u32) -> Result<Arg, Undecodable> {
        if depth > MOST_DEPTH {
            return undecodable(201, "stack overflow");
        }
        match self.peek() {
            Some(b'{') => self.object(depth),
            Some(b'[') => self.list(depth),
            Some(b'"') => self.string().map(Arg::Text),
            Some(b'-' | b'0'..=b'9') => self.number(),
            _ => self.word(),
        }
    }

    fn word(&mut self) -> Result<Arg, Undecodable> {
        let rest = &self.bytes[self.at..];
        for (word, value) in [("null", Arg::Nil), ("true", Arg::Bool(true)), ("false", Arg::Bool(false))] {
            if rest.starts_with(word.as_bytes()) {
                self.at += word.len();
                return Ok(value);
            }
        }
        undecodable(203, "unexpected character")
    }

    fn object(&mut self, depth: u32) -> Result<Arg, Undecodable> {
        self.at += 1;
        let mut members = Vec::new();
        while !self.eat(b'}') {
            if self.peek() != Some(b'"') {
                return undecodable(178, "expected string for key");
            }
            let key = self.string()?;
            if !self.eat(b':') {
                return undecodable(183, "expected ':' after key");
            }
            let value = self.value(depth + 1)?;
            members.push((key, value));
            if !self.eat(b',') && self.peek() != Some(b'}') {
                return undecodable(193, "expected '}' or ','");
            }
        }
        Ok(Arg::Object(members))
    }

    fn list(&mut self, depth: u32) -> Result<Arg, Undecodable> {
        self.at += 1;
        let mut items = Vec::new();
        let mut cut = false;
        while !self.eat(b']') {
            let item = self.value(depth + 1)?;
            cut |= item == Arg::Nil;
            if !cut {
                items.push(item);
            }
            if !self.eat(b',') && self.peek() != Some(b']') {
                return undecodable(165, "expected ']' or ','");
            }
        }
        Ok(Arg::List(items))
    }

    fn number(&mut self) -> Result<Arg, Undecodable> {
        let rest = &self.bytes[self.at..];
        let of_number = |byte: &u8| matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9');
        let text = &rest[..rest.iter().take_while(|byte| of_number(byte)).count()];
        self.at += text.len();
        if let Some(whole) = std::str::from_utf8(text).ok().and_then(|text| text.parse().ok()) {
            return Ok(Arg::Int(whole));
        }
        match Decimal::parse(text) {
            Ok(number) => Ok(Arg::Number(Some(number))),
            Err(crate::model::DecimalError::Range) => Ok(Arg::Number(None)),
            Err(_) => undecodable(139, "invalid number"),
        }
    }

    /// The string that begins here.
    fn string(&mut self) -> Result<String, Undecodable> {
        self.at += 1;
        let mut out = Vec::new();
        loop {
            let Some(&byte) = self.bytes.get(self.at) else { return undecodable(112, "expected closing quote") };
            self.at += 1;
            match byte {
                b'"' => break,
                b'\\' => self.escaped(&mut out)?,
                0..0x20 => return undecodable(94, "control character in string"),
                _ => out.push(byte),
            }
        }
        Ok(String::from_utf8_lossy(&out).into_owned())
    }

    fn escaped(&mut self, out: &mut Vec<u8>) -> Result<(), Undecodable> {
        let Some(&byte) = self.bytes.get(self.at) else { return undecodable(112, "expected closing quote") };
        self.at += 1;
        match byte {
            b'"' | b'\\' | b'/' => out.push(byte),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'n' => out.push(b'\n'),
            b'r' => out.push(b'\r'),
            b't' => out.push(b'\t'),
            b'u' => {
                let mut code = self.hex()?;
                if (0xd800..0xdc00).contains(&code) && self.bytes[self.at..].starts_with(b"\\u") {
                    self.at += 2;
                    code = 0x1_0000 + ((code - 0xd800) << 10) + (self.hex()? & 0x3ff);
                }
                let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
                out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
            }
            _ => return undecodable(106, "invalid escape char"),
        }
        Ok(())
    }

    fn hex(&mut self) -> Result<u32, Undecodable> {
        let digits = self.bytes.get(self.at..self.at + 4).and_then(|digits| std::str::from_utf8(digits).ok());
        let Some(code) = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok()) else {
            return undecodable(102, "invalid unicode escape");
        };
        self.at += 4;
        Ok(code)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Request, Undecodable> {
        decode(text.as_bytes())
    }

    #[test]
    fn what_passes_though_it_is_no_json() {
        let request = read(r#" {"method":"getItem","args":{"index":1,"index":2,},"id":7,} trailing "#).unwrap();
        assert_eq!(request.method, Arg::Text("getItem".into()));
        assert_eq!(request.args.get("index").int(), Some(2));
        assert_eq!(read(r#"{"method":"x","args":[1,null,3]}"#).unwrap().args, Arg::List(vec![Arg::Int(1)]));
        assert_eq!(*read(r#"{"method":"x","args":"text"}"#).unwrap().args.get("a"), Arg::Nil);
        assert_eq!(read(r#"{"method":7}"#).unwrap().method, Arg::Int(7));
    }

    #[test]
    fn what_does_not_pass() {
        let wrong = ["", "nonsense", "[1]", "7", "{\"args\":{}}", "{\"method\":null}", "{\"method\":\"a", "// no\n{}"];
        for text in wrong.into_iter().chain(["{\"method\":\"a\nb\"}", "\u{feff}{\"method\":\"x\"}", "{\"a\":1 2}"]) {
            assert!(read(text).is_err(), "{text:?}");
        }
        assert!(read(&"[".repeat(100_000)).is_err());
    }

    #[test]
    fn numbers_and_texts() {
        let args =
            read(r#"{"method":"x","args":{"i":1925043082672401077,"f":1.50,"s":"0.5","e":"\u0416\ud83d\ude00\n"}}"#);
        let args = args.unwrap().args;
        assert_eq!(args.get("i").int(), Some(1_925_043_082_672_401_077));
        assert_eq!(args.get("f").number(), Some(Decimal::new(150, 2)));
        assert_eq!(args.get("s").number(), Some(Decimal::new(5, 1)));
        assert_eq!((args.get("s").int(), args.get("f").text()), (None, Some("1.5".into())));
        assert_eq!(args.get("e").text().as_deref(), Some("Ж😀\n"));
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode(&bytes);
        }

        #[test]
        fn real_json_is_read(text in "\\PC*", number in any::<i64>()) {
            let json = serde_json::json!({"method": text, "args": {"n": number, "deep": [{"t": text}]}}).to_string();
            let request = read(&json).unwrap();
            prop_assert_eq!(request.method, Arg::Text(text));
            prop_assert_eq!(request.args.get("n").int(), Some(number));
        }
    }
}
