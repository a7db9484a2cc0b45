//! Messages as JSON-RPC 2.0 has them, read by field. Numbers are JSON numbers, some with an exponent.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{Decimal, Level, Side, UnixNanos};
use crate::venue::kit::fields::{Number, Object, Text, number};
use crate::venue::kit::unreadable::quoted_after;

/// Any message: data have a method and its parameters, answers a result or an error.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(super) method: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) params: Option<Object<Params<'a>>>,
    #[serde(borrow, default)]
    pub(super) id: Option<Number<'a>>,
    #[serde(borrow, default)]
    pub(super) result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) error: Option<Object<Fault<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Params<'a> {
    #[serde(borrow)]
    pub(super) channel: Text<'a>,
    #[serde(borrow)]
    pub(super) message: &'a RawValue,
}

/// Why a request failed.
#[derive(Debug, Deserialize)]
pub(super) struct Fault<'a> {
    #[serde(default)]
    pub(super) code: i64,
    #[serde(borrow, default)]
    message: Option<Text<'a>>,
    #[serde(borrow, default)]
    data: Option<Text<'a>>,
}

impl Fault<'_> {
    /// In the venue's words.
    pub(super) fn words(&self) -> String {
        let text = |text: &Option<Text<'_>>| text.as_ref().map(|text| text.0.to_string()).unwrap_or_default();
        let (message, data) = (text(&self.message), text(&self.data));
        let data = Some(data).filter(|data| !data.is_empty() && *data != message);
        format!("{}: {message}{}", self.code, data.map(|data| format!(" ({data})")).unwrap_or_default())
    }
}

/// A message of both channels of a book.
#[derive(Debug, Deserialize)]
pub(super) struct Board<'a> {
    #[serde(borrow, default)]
    pub(super) mid_price: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) bids: Vec<Object<BoardLevel<'a>>>,
    #[serde(borrow)]
    pub(super) asks: Vec<Object<BoardLevel<'a>>>,
}

#[derive(Debug, Deserialize)]
pub(super) struct BoardLevel<'a> {
    #[serde(borrow)]
    price: Number<'a>,
    #[serde(borrow)]
    size: Number<'a>,
}

/// Reads levels into `out`, and says whether there were market orders that wait for an auction: they have the price zero, and
/// are no levels.
pub(super) fn read_levels(rows: &[Object<BoardLevel<'_>>], out: &mut Vec<Level>) -> Result<bool, String> {
    out.clear();
    let mut waiting = false;
    for Object(row) in rows {
        let level = Level { price: number(row.price.0)?, size: number(row.size.0)? };
        if level.price.is_zero() {
            waiting |= !level.size.is_zero();
        } else {
            out.push(level);
        }
    }
    Ok(waiting)
}

/// A trade.
#[derive(Debug, Deserialize)]
pub(super) struct Execution<'a> {
    #[serde(borrow)]
    pub(super) id: Number<'a>,
    #[serde(borrow, default)]
    side: Option<Text<'a>>,
    #[serde(borrow)]
    price: Number<'a>,
    #[serde(borrow)]
    size: Number<'a>,
    #[serde(borrow, default)]
    pub(super) exec_date: Option<Text<'a>>,
}

impl Execution<'_> {
    /// The taker's side; trades of an auction have none.
    pub(super) fn side(&self) -> Side {
        match self.side.as_ref().map(|side| side.0.as_ref()) {
            Some("BUY") => Side::Buy,
            Some("SELL") => Side::Sell,
            _ => Side::Unknown,
        }
    }

    /// Price and size.
    pub(super) fn numbers(&self) -> Result<(Decimal, Decimal), String> {
        Ok((number(self.price.0)?, number(self.size.0)?))
    }
}

/// A time in UTC, which REST answers write without a `Z`.
pub(super) fn time(text: &str) -> Option<UnixNanos> {
    let at: jiff::Timestamp = match text.ends_with('Z') {
        true => text.parse().ok()?,
        false => format!("{text}Z").parse().ok()?,
    };
    u64::try_from(at.as_nanosecond()).ok().map(UnixNanos)
}

/// The channel that a message names, also where it cannot be read.
pub(super) fn channel_of(message: &[u8]) -> Option<&str> {
    quoted_after(message, br#""channel":""#)
}
