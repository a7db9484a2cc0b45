//! A light reading of frames: the topic's parts, and a payload's fields borrowed from its text.

use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};

use super::payload::DecodeError;

/// A topic's parts; a part that is missing is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Topic<'a> {
    /// Channel, as `book` or `candle_1m`.
    pub channel: &'a str,
    /// Venue.
    pub venue: &'a str,
    /// Market.
    pub market: &'a str,
    /// Symbol in the venue's own spelling.
    pub symbol: Cow<'a, str>,
}

impl<'a> Topic<'a> {
    /// Splits `channel.venue.market.symbol.`; any text gives something to show.
    pub fn split(text: &'a str) -> Self {
        let mut parts = text.strip_suffix('.').unwrap_or(text).splitn(4, '.');
        let mut part = || parts.next().unwrap_or_default();
        Self { channel: part(), venue: part(), market: part(), symbol: percent_decoded(part()) }
    }
}

fn percent_decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| first == b'%').and_then(|hex| {
            hex.iter().try_fold(0_u8, |n, h| Some(n << 4 | u8::try_from(char::from(*h).to_digit(16)?).ok()?))
        });
        bytes.push(code.unwrap_or(first));
        rest = if code.is_some() { &tail[2..] } else { tail };
    }
    Cow::Owned(String::from_utf8_lossy(&bytes).into_owned())
}

/// A text field. A number or a truth value is taken as its text, so that a field whose type grew is still shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Text<'a>(pub Cow<'a, str>);

impl Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextVisitor).map(Text)
    }
}

struct TextVisitor;

impl<'de> Visitor<'de> for TextVisitor {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a text, a number or a truth value")
    }

    fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Self::Value, E> {
        Ok(Cow::Borrowed(v))
    }

    fn visit_str<E: Error>(self, v: &str) -> Result<Self::Value, E> {
        Ok(Cow::Owned(v.to_owned()))
    }

    fn visit_u64<E: Error>(self, v: u64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(v.to_string()))
    }

    fn visit_i64<E: Error>(self, v: i64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(v.to_string()))
    }

    fn visit_f64<E: Error>(self, v: f64) -> Result<Self::Value, E> {
        Ok(Cow::Owned(v.to_string()))
    }

    fn visit_bool<E: Error>(self, v: bool) -> Result<Self::Value, E> {
        Ok(Cow::Owned(v.to_string()))
    }
}

/// Price and size of a level, as decimal texts.
#[derive(Clone, Debug, PartialEq, Eq, serde::Deserialize)]
pub struct LevelText<'a>(#[serde(borrow)] pub Text<'a>, #[serde(borrow)] pub Text<'a>);

/// The fields of any frame that a subscriber commonly needs; `None` is a field that the frame does not have.
/// Prices and sizes are decimal texts, times are nanoseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default)]
#[allow(missing_docs, reason = "the names and meanings are those of docs/WIRE.md")]
pub struct View<'a> {
    #[serde(borrow, rename = "type")]
    pub kind: Option<Text<'a>>,
    #[serde(borrow)]
    pub instrument: Option<Text<'a>>,
    pub epoch: Option<u64>,
    pub seq: Option<u64>,
    pub ts_recv: Option<u64>,
    pub ts_pub: Option<u64>,
    #[serde(borrow)]
    pub channel: Option<Text<'a>>,
    #[serde(borrow)]
    pub state: Option<Text<'a>>,
    #[serde(borrow)]
    pub reason: Option<Text<'a>>,
    pub since: Option<u64>,
    #[serde(borrow)]
    pub detail: Option<Text<'a>>,
    #[serde(borrow)]
    pub bids: Vec<LevelText<'a>>,
    #[serde(borrow)]
    pub asks: Vec<LevelText<'a>>,
    pub delta_seq: Option<u64>,
    pub snapshot: Option<bool>,
    #[serde(borrow)]
    pub bid_price: Option<Text<'a>>,
    #[serde(borrow)]
    pub bid_size: Option<Text<'a>>,
    #[serde(borrow)]
    pub ask_price: Option<Text<'a>>,
    #[serde(borrow)]
    pub ask_size: Option<Text<'a>>,
    #[serde(borrow)]
    pub id: Option<Text<'a>>,
    #[serde(borrow)]
    pub price: Option<Text<'a>>,
    #[serde(borrow)]
    pub size: Option<Text<'a>>,
    #[serde(borrow)]
    pub side: Option<Text<'a>>,
    #[serde(borrow)]
    pub open: Option<Text<'a>>,
    #[serde(borrow)]
    pub high: Option<Text<'a>>,
    #[serde(borrow)]
    pub low: Option<Text<'a>>,
    #[serde(borrow)]
    pub close: Option<Text<'a>>,
    #[serde(borrow)]
    pub volume: Option<Text<'a>>,
    pub closed: Option<bool>,
}

impl<'a> View<'a> {
    /// Reads a payload's JSON text (see [`super::as_json`]); unknown fields are skipped.
    ///
    /// # Errors
    /// [`DecodeError::Json`], when it is no JSON object or a field has another type.
    pub fn read(json: &'a str) -> Result<Self, DecodeError> {
        Ok(serde_json::from_str(json)?)
    }

    /// Whether a `status` frame is about its symbol's book, and not about another channel's trouble.
    pub fn is_about_book(&self) -> bool {
        self.channel.as_deref().is_none_or(|channel| channel == "book")
    }
}

/// A JSON object as its members, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members<'a, T>(pub Vec<(Text<'a>, T)>);

impl<T> Default for Members<'_, T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de: 'a, 'a, T: Deserialize<'de>> Deserialize<'de> for Members<'a, T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(MembersVisitor(PhantomData)).map(Members)
    }
}

struct MembersVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for MembersVisitor<T> {
    type Value = Vec<(Text<'de>, T)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_topic_is_split_and_its_symbol_decoded() {
        let topic = Topic::split("book.bybit.linear.BTCUSDT.");
        assert_eq!((topic.channel, topic.venue, topic.market, &*topic.symbol), ("book", "bybit", "linear", "BTCUSDT"));
        assert_eq!(Topic::split("trade.x.spot.A%2EB%20%C3%A9%2.").symbol, "A.B é%2");
        assert_eq!(Topic::split("heartbeat.").channel, "heartbeat");
        assert_eq!(Topic::split("").symbol, "");
    }

    #[test]
    fn fields_are_read_by_name_and_unknown_ones_skipped() {
        let text = r#"{"v":1,"type":"trade","seq":7,"epoch":5,"price":"60000.10","id":42,"new":[{}],"side":"b\"y"}"#;
        let view = View::read(text).unwrap();
        assert_eq!(view.price.as_deref(), Some("60000.10"));
        assert_eq!(view.id.as_deref(), Some("42"));
        assert_eq!(view.side.as_deref(), Some("b\"y"));
        assert_eq!((view.seq, view.epoch, view.ts_pub), (Some(7), Some(5), None));
        assert!(matches!(view.price, Some(Text(Cow::Borrowed(_)))));
    }

    #[test]
    fn a_field_of_another_type_is_an_error_not_a_guess() {
        assert!(View::read(r#"{"seq":"7"}"#).is_err());
        assert!(View::read(r#"{"bids":[["1"]]}"#).is_err());
        assert!(View::read(r#"{"seq":7"#).is_err());
    }
}
