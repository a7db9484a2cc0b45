//! Messages as the v5 documentation describes them, read by field with every freedom JSON has, and those of v3, which the same
//! structs hold. Times are milliseconds of the exchange's clock, as texts.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::channels;
use crate::model::Side;
use crate::venue::kit::fields::{Number, Object, Text};

/// Any message: data carry `arg` and `data`, answers carry `event`; of v3 data carry `table`.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(super) arg: Option<Object<Arg<'a>>>,
    #[serde(borrow, default)]
    pub(super) table: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) action: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) event: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) code: Option<Number<'a>>,
    #[serde(borrow, default)]
    pub(super) msg: Option<Text<'a>>,
    /// Of `channel-conn-count` and of v3's answers.
    #[serde(borrow, default)]
    pub(super) channel: Option<Text<'a>>,
}

/// What was subscribed to, echoed.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arg<'a> {
    #[serde(borrow)]
    pub(super) channel: Text<'a>,
    #[serde(borrow, default)]
    pub(super) inst_id: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) inst_type: Option<Text<'a>>,
}

impl<'a> Envelope<'a> {
    /// Reads a message.
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(message).map(|Object(envelope)| envelope)
    }

    /// Whether the data replace what was before: those without an action always do.
    pub(super) fn is_snapshot(&self) -> Result<bool, String> {
        match self.action.as_ref().map(|action| action.0.as_ref()) {
            None | Some("snapshot" | "partial") => Ok(true),
            Some("update") => Ok(false),
            Some(_) => Err("action is neither snapshot nor update".to_owned()),
        }
    }

    /// Reads the rows.
    pub(super) fn rows<T: Deserialize<'a>>(&self) -> Result<Vec<T>, String> {
        let data = self.data.ok_or("no data")?;
        serde_json::from_str(data.get()).map_err(|error| error.to_string())
    }
}

impl Arg<'_> {
    /// The topic's name: the argument as it was sent.
    pub(super) fn topic(&self) -> String {
        let channel = &self.channel.0;
        match (&self.inst_id, &self.inst_type) {
            (Some(id), _) => channels::arg(channel, "instId", &id.0),
            (None, Some(kind)) => channels::arg(channel, "instType", &kind.0),
            (None, None) => format!(r#"{{"channel":"{channel}"}}"#),
        }
    }
}

/// The taker's side.
pub(super) fn side(text: &str) -> Side {
    match text {
        "buy" => Side::Buy,
        "sell" => Side::Sell,
        _ => Side::Unknown,
    }
}

/// A row of a book channel; the first two of a level's numbers are its price and size.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct BookRow<'a> {
    #[serde(borrow)]
    pub(super) bids: Vec<Vec<Number<'a>>>,
    #[serde(borrow)]
    pub(super) asks: Vec<Vec<Number<'a>>>,
    #[serde(borrow, default)]
    pub(super) ts: Option<Number<'a>>,
    #[serde(borrow, default)]
    pub(super) checksum: Option<Number<'a>>,
    #[serde(borrow, default)]
    pub(super) seq_id: Option<Number<'a>>,
    #[serde(borrow, default)]
    pub(super) prev_seq_id: Option<Number<'a>>,
    /// v3.
    #[serde(borrow, default, rename = "instrument_id")]
    pub(super) instrument: Option<Text<'a>>,
    /// v3; ISO text.
    #[serde(borrow, default)]
    pub(super) timestamp: Option<Text<'a>>,
}

/// A book's checksum, which the venue writes as a signed number. Zero stands for none since 2026-06.
pub(super) fn checksum(number: Option<Number<'_>>) -> Option<u32> {
    let value: i64 = number?.0.parse().ok()?;
    narrow_checksum(value)
}

/// The same of a number that is read; what is no 32 bits is none.
pub(super) fn narrow_checksum(value: i64) -> Option<u32> {
    let signed = i32::try_from(value).ok().filter(|value| *value != 0)?;
    Some(signed.cast_unsigned())
}

/// A row of `trades` and `trades-all`, and of v3's trades.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct TradeRow<'a> {
    #[serde(borrow, alias = "trade_id")]
    pub(super) trade_id: Number<'a>,
    #[serde(borrow, alias = "price")]
    pub(super) px: Number<'a>,
    /// `qty` on v3's futures and options.
    #[serde(borrow, alias = "size", alias = "qty")]
    pub(super) sz: Number<'a>,
    #[serde(borrow)]
    pub(super) side: Text<'a>,
    #[serde(borrow, default)]
    pub(super) ts: Option<Number<'a>>,
    #[serde(borrow, default)]
    pub(super) seq_id: Option<Number<'a>>,
    /// v3.
    #[serde(borrow, default, rename = "instrument_id")]
    pub(super) instrument: Option<Text<'a>>,
    /// v3; ISO text.
    #[serde(borrow, default)]
    pub(super) timestamp: Option<Text<'a>>,
}

/// A row of `liquidation-orders`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LiquidationRow<'a> {
    #[serde(borrow)]
    pub(super) inst_id: Text<'a>,
    #[serde(borrow)]
    pub(super) details: Vec<Object<LiquidationDetail<'a>>>,
}

/// One order of a liquidation: `side` is the closing order's.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct LiquidationDetail<'a> {
    #[serde(borrow)]
    pub(super) side: Text<'a>,
    #[serde(borrow)]
    pub(super) bk_px: Number<'a>,
    #[serde(borrow)]
    pub(super) sz: Number<'a>,
    #[serde(borrow, default)]
    pub(super) ts: Option<Number<'a>>,
}

/// The argument of a message that cannot be read whole, from its start, so that only its own book is doubted.
pub(super) fn topic_of_ruin(message: &[u8]) -> Option<&str> {
    let start = memchr::memmem::find(message, br#""arg":"#)? + 6;
    let rest = message.get(start..)?;
    let arg = rest.get(..=memchr::memchr(b'}', rest)?)?;
    std::str::from_utf8(arg).ok()
}
