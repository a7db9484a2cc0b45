//! Answers of the terminal's RPC socket: their encoding, `result` or `error`, and the values inside, with every oddity
//! of the Lua server that makes them.

use std::borrow::Cow;
use std::fmt;

use serde_json::value::RawValue;

use crate::model::Decimal;
use crate::venue::kit::fields::{Members, Text, bare};

/// The text of a message: UTF-8, or else windows-1251 as a whole, since the server hands some texts on as the
/// terminal has them.
pub(super) fn text(bytes: &[u8]) -> Cow<'_, str> {
    std::str::from_utf8(bytes)
        .map_or_else(|_| encoding_rs::WINDOWS_1251.decode_without_bom_handling(bytes).0, Cow::Borrowed)
}

/// What became of a call.
#[derive(Clone, Debug)]
pub(super) enum Reply<'a> {
    /// The members of `result`. Absent ones mean false or none: the server leaves both out.
    Result(Fields<'a>),
    /// The server or the function refused.
    Refused(Refusal<'a>),
    /// No answer came, and why.
    Lost(&'a str),
    /// An answer came that no server sends.
    Unreadable(String),
}

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refusal<'a> {
    /// Code 404: the server has no such function.
    Unsupported,
    /// Code 500: the server could not read the request.
    Malformed(Cow<'a, str>),
    /// Code 1: the function failed or found nothing. The server never says which.
    Failed,
    /// A code nobody documents.
    Other(i64, Cow<'a, str>),
}

impl fmt::Display for Refusal<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unsupported => f.write_str("the server has no such function (404)"),
            Self::Malformed(message) => write!(f, "the server could not read the request (500): {}", shown(message)),
            Self::Failed => f.write_str("the function failed or found nothing (1); the server does not say why"),
            Self::Other(code, message) => write!(f, "error {code}: {}", shown(message)),
        }
    }
}

/// The beginning of a text from outside: no more of it belongs into a line of words.
pub(super) fn shown(text: &str) -> &str {
    text.char_indices().nth(120).map_or(text, |(end, _)| &text[..end])
}

impl<'a> Reply<'a> {
    /// Reads an answer's text.
    pub(super) fn read(text: &'a str) -> Self {
        let members: Members<'a> = match serde_json::from_str(text) {
            Ok(members) => members,
            Err(error) => return Self::Unreadable(format!("the answer is no JSON object: {error}")),
        };
        let answer = Fields(members.0);
        if let Some(result) = answer.get("result") {
            return Fields::read(result)
                .map_or_else(|| Self::Unreadable("the answer's result is no object".to_owned()), Self::Result);
        }
        let Some(error) = answer.get("error").and_then(Fields::read) else {
            return Self::Unreadable("the answer has neither a result nor an error".to_owned());
        };
        let message = error.text("message").unwrap_or_default();
        Self::Refused(match error.integer("code") {
            Some(Integer::Exact(404)) => Refusal::Unsupported,
            Some(Integer::Exact(500)) => Refusal::Malformed(message),
            Some(Integer::Exact(1)) => Refusal::Failed,
            Some(Integer::Exact(code)) => Refusal::Other(code, message),
            _ => return Self::Unreadable("the answer's error has no code".to_owned()),
        })
    }

    /// The result's members, where there is a result.
    pub(super) const fn result(&self) -> Option<&Fields<'a>> {
        match self {
            Self::Result(fields) => Some(fields),
            _ => None,
        }
    }

    /// What went wrong, in words, where there is no result.
    pub(super) fn trouble(&self) -> Option<String> {
        match self {
            Self::Result(_) => None,
            Self::Refused(refusal) => Some(refusal.to_string()),
            Self::Lost(why) => Some((*why).to_owned()),
            Self::Unreadable(why) => Some(why.clone()),
        }
    }
}

/// An integer. The server prints those of 15 and 16 digits with 14 of them and an exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Integer<'a> {
    /// All digits are there.
    Exact(i64),
    /// Its last digits are lost: the text it came as.
    Inexact(&'a str),
}

impl<'a> Integer<'a> {
    /// Reads `12`, `"12"`, `12.0`, `1.2e+14`; nothing for what is no whole number.
    pub(super) fn read(text: &'a str) -> Option<Self> {
        let whole = match text.split_once('.') {
            Some((whole, places)) if !places.is_empty() && places.bytes().all(|b| b == b'0') => whole,
            _ => text,
        };
        let digits = whole.strip_prefix('-').unwrap_or(whole);
        if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
            return Some(whole.parse().map_or(Self::Inexact(text), Self::Exact));
        }
        let has_exponent = text.bytes().any(|b| matches!(b, b'e' | b'E'));
        let is_whole = has_exponent && Decimal::parse(text.as_bytes()).is_ok_and(|value| value.rescaled(0).is_some());
        is_whole.then_some(Self::Inexact(text))
    }

    /// The value, if all of it is there.
    pub(super) const fn exact(self) -> Option<i64> {
        match self {
            Self::Exact(value) => Some(value),
            Self::Inexact(_) => None,
        }
    }
}

/// An exact decimal from Lua's spelling (`112480.0`, `1e-07`), without needless zeros.
///
/// # Errors
/// The text is no number (`nan`), or has more digits than fit; the text is quoted.
pub(super) fn decimal(text: &str) -> Result<Decimal, String> {
    crate::venue::kit::fields::number(text).map(Decimal::trimmed)
}

/// The members of a JSON object; the server writes an empty one as `[]`.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields<'a>(Vec<(Cow<'a, str>, &'a RawValue)>);

impl<'a> Fields<'a> {
    /// Reads an object, `[]` or null; nothing for any other value.
    pub(super) fn read(raw: &'a RawValue) -> Option<Self> {
        let text = raw.get();
        if text == "null" || is_empty_list(text) {
            return Some(Self::default());
        }
        serde_json::from_str::<Members<'a>>(text).ok().map(|members| Self(members.0))
    }

    /// Whether there are none.
    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// A member as it was written; null is absent. Of a name given twice the last counts.
    pub(super) fn get(&self, name: &str) -> Option<&'a RawValue> {
        let value = self.0.iter().rev().find(|(key, _)| key == name).map(|(_, value)| *value)?;
        (value.get() != "null").then_some(value)
    }

    /// A text, or a number or truth value as its text.
    pub(super) fn text(&self, name: &str) -> Option<Cow<'a, str>> {
        let raw = self.get(name)?.get();
        match raw.as_bytes().first()? {
            b'"' => serde_json::from_str::<Text<'a>>(raw).ok().map(|text| text.0),
            b'{' | b'[' => None,
            _ => Some(Cow::Borrowed(raw)),
        }
    }

    /// An integer, bare or in quotes.
    pub(super) fn integer(&self, name: &str) -> Option<Integer<'a>> {
        Integer::read(bare(self.get(name)?))
    }

    /// A decimal, bare or in quotes; nothing for what is no number or does not fit.
    pub(super) fn decimal(&self, name: &str) -> Option<Decimal> {
        decimal(bare(self.get(name)?)).ok()
    }

    /// Whether the member is true: false never arrives, it is left out.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.get(name).is_some_and(|value| value.get() == "true")
    }

    /// An object; empty when there is none.
    pub(super) fn object(&self, name: &str) -> Self {
        self.get(name).and_then(Self::read).unwrap_or_default()
    }

    /// A list of objects; empty when there is none. What is no object among them counts as an empty one.
    pub(super) fn list(&self, name: &str) -> Vec<Self> {
        let items = self.get(name).and_then(|raw| serde_json::from_str::<Vec<&'a RawValue>>(raw.get()).ok());
        items.unwrap_or_default().into_iter().map(|item| Self::read(item).unwrap_or_default()).collect()
    }
}

/// Whether a value is `[]`, with or without spaces.
fn is_empty_list(text: &str) -> bool {
    text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).is_some_and(|inside| inside.trim().is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn result(text: &str) -> Fields<'_> {
        match Reply::read(text) {
            Reply::Result(fields) => fields,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn false_is_left_out_and_an_empty_table_is_a_list() {
        assert!(result(r#"{"result":{"result":true}}"#).is_true("result"));
        assert!(!result(r#"{"result":{}}"#).is_true("result"));
        assert!(!result(r#"{"result":{"result":1}}"#).is_true("result"));
        assert!(result(r#"{"result":[]}"#).is_empty());
        assert!(result(r#"{"result":[ ]}"#).is_empty());
        assert!(result(r#"{"result":{"portfolio_info":[]}}"#).object("portfolio_info").is_empty());
        assert!(result(r#"{"result":{"bids":{}}}"#).list("bids").is_empty());
        assert!(result(r#"{"result":{}}"#).list("bids").is_empty());
        let bids = result(r#"{"result":{"bids":[{"price":"1"},7]}}"#).list("bids");
        assert_eq!((bids.len(), bids[0].decimal("price")), (2, Some(Decimal::new(1, 0))));
    }

    #[test]
    fn errors_are_told_by_their_code() {
        let refusal = |text| match Reply::read(text) {
            Reply::Refused(refusal) => refusal,
            other => panic!("{other:?}"),
        };
        let unknown = r#"{"error":{"message":"QLua-функция с именем 'foo' не найдена.","code":404}}"#;
        assert_eq!(refusal(unknown), Refusal::Unsupported);
        assert_eq!(refusal(r#"{"error":{"code":1}}"#), Refusal::Failed);
        assert_eq!(refusal(r#"{"error":{"code":500,"message":"x"}}"#), Refusal::Malformed("x".into()));
        assert_eq!(refusal(r#"{"error":{"code":7}}"#), Refusal::Other(7, "".into()));
        for bad in ["", "[]", "7", "{}", r#"{"error":[]}"#, r#"{"result":7}"#, r#"{"result":[1]}"#, r#"{"result":"#] {
            assert!(matches!(Reply::read(bad), Reply::Unreadable(_)), "{bad}");
            assert!(Reply::read(bad).trouble().is_some() && Reply::read(bad).result().is_none());
        }
        let long = Refusal::Other(7, "ю".repeat(9_999).into()).to_string();
        assert_eq!(long.chars().count(), 120 + "error 7: ".len());
        assert!(matches!(Reply::read(r#"{"result":null,"error":{"code":1}}"#), Reply::Refused(Refusal::Failed)));
    }

    #[test]
    fn integers_are_exact_or_known_not_to_be() {
        let read = |text| result(text).integer("n").map(|n| (n, n.exact()));
        let exact = |n| Some((Integer::Exact(n), Some(n)));
        assert_eq!(read(r#"{"result":{"n":1925043082672401077}}"#), exact(1_925_043_082_672_401_077));
        assert_eq!(read(r#"{"result":{"n":9007199254740993}}"#), exact(9_007_199_254_740_993));
        assert_eq!(read(r#"{"result":{"n":"12.0"}}"#), exact(12));
        assert_eq!(read(r#"{"result":{"n":-3}}"#), exact(-3));
        let damaged = Integer::Inexact("1.2345678901234e+14");
        assert_eq!(read(r#"{"result":{"n":1.2345678901234e+14}}"#), Some((damaged, None)));
        assert_eq!(read(r#"{"result":{"n":"1e+15"}}"#), Some((Integer::Inexact("1e+15"), None)));
        assert_eq!(read(r#"{"result":{"n":99999999999999999999}}"#).and_then(|n| n.1), None);
        for none in ["1.5", "1e-07", "\"\"", "\"x\"", "true", "null", "{}", "[]"] {
            assert_eq!(result(&format!(r#"{{"result":{{"n":{none}}}}}"#)).integer("n"), None, "{none}");
        }
    }

    #[test]
    fn decimals_lose_needless_zeros_and_nothing_else() {
        let plain = |text| decimal(text).map(|value| value.to_string());
        assert_eq!(plain("112480.0"), Ok("112480".to_owned()));
        assert_eq!(plain("305.460000"), Ok("305.46".to_owned()));
        assert_eq!(plain("1e-07"), Ok("0.0000001".to_owned()));
        assert_eq!(plain("1.5e+15"), Ok("1500000000000000".to_owned()));
        assert_eq!(plain("0.0"), Ok("0".to_owned()));
        assert_eq!(plain("-0.0"), Ok("0".to_owned()));
        for bad in ["", "nan", "-nan", "inf", "305,70", "1e+30", "0x1p4"] {
            assert!(decimal(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_not_utf8_is_windows_1251() {
        let mut bytes = br#"{"result":{"is_error":true,"error_desc":""#.to_vec();
        bytes.extend([0xcd, 0xe5, 0xf2]);
        bytes.extend(br#""}}"#);
        let text = text(&bytes);
        assert_eq!(result(&text).text("error_desc").as_deref(), Some("Нет"));
        assert!(result(&text).is_true("is_error"));
        assert_eq!(super::text("Нет".as_bytes()), "Нет");
    }

    #[test]
    fn members_are_optional_and_the_last_of_a_name_counts() {
        let fields = result(r#"{"result":{"a":"1","a":"\u0032","n":null,"o":{"x":1},"b":false}}"#);
        assert_eq!(fields.text("a").as_deref(), Some("2"));
        assert_eq!((fields.text("n"), fields.text("o"), fields.text("z")), (None, None, None));
        assert_eq!(fields.text("b").as_deref(), Some("false"));
        assert_eq!(fields.object("o").integer("x"), Some(Integer::Exact(1)));
    }

    proptest! {
        /// Lua prints with 14 digits: what arrives is the same number however it is spelled.
        #[test]
        fn a_number_is_the_same_in_every_spelling(mantissa in 1_i64..10_000_000_000_000, scale in 0_u8..8) {
            let value = Decimal::new(mantissa, scale);
            let plain = value.to_string();
            let zeros = if scale == 0 { format!("{plain}.0") } else { format!("{plain}00") };
            let exponent = format!("{mantissa}e-{scale:02}");
            for spelling in [plain, zeros, exponent] {
                prop_assert_eq!(decimal(&spelling), Ok(value.trimmed()), "{}", spelling);
            }
        }

        #[test]
        fn no_answer_panics(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let text = text(&bytes);
            let reply = Reply::read(&text);
            let _ = (reply.result().map(|fields| fields.list("bids")), reply.trouble());
        }

        #[test]
        fn no_number_panics(text in "[-0-9.eE+]{0,24}") {
            let _ = (Integer::read(&text), decimal(&text));
        }
    }
}
