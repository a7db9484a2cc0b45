//! Bybit v5 messages as the documentation describes them (`https://bybit-exchange.github.io/docs/v5/ws/connect`),
//! read by field with every freedom JSON has. Times are milliseconds of the exchange's clock.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{Clocks, Side, UnixNanos, decimal_text};
use crate::venue::TickerField;
use crate::venue::kit::fields::{Members, Number, Object, Text, bare, number, time_of_ms};

/// Any message: data carry `topic`, answers carry `op` or `type` `COMMAND_RESP`.
#[derive(Debug, Deserialize)]
pub(in crate::venue) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(in crate::venue) topic: Option<Text<'a>>,
    #[serde(borrow, default, rename = "type")]
    pub(in crate::venue) kind: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(in crate::venue) ts: Option<Number<'a>>,
    #[serde(borrow, default)]
    pub(in crate::venue) cts: Option<Number<'a>>,
    #[serde(borrow, default)]
    pub(in crate::venue) cs: Option<Number<'a>>,
    #[serde(borrow, default)]
    pub(in crate::venue) data: Option<&'a RawValue>,
    /// Private topics only.
    #[serde(borrow, default, rename = "creationTime")]
    pub(super) creation_time: Option<Number<'a>>,
    #[serde(borrow, default)]
    pub(in crate::venue) op: Option<Text<'a>>,
    #[serde(default)]
    pub(in crate::venue) success: Option<bool>,
    #[serde(borrow, default)]
    pub(in crate::venue) ret_msg: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(in crate::venue) req_id: Option<Text<'a>>,
    /// Retired API only: the request an answer belongs to.
    #[serde(borrow, default)]
    pub(in crate::venue) request: Option<&'a RawValue>,
    /// Retired API only.
    #[serde(borrow, default)]
    pub(in crate::venue) cross_seq: Option<Number<'a>>,
    /// Retired API only; microseconds.
    #[serde(borrow, default)]
    pub(in crate::venue) timestamp_e6: Option<Number<'a>>,
}

impl<'a> Envelope<'a> {
    /// Reads a message.
    pub(in crate::venue) fn parse(message: &'a [u8]) -> Result<Self, serde_json::Error> {
        serde_json::from_slice(message).map(|Object(envelope)| envelope)
    }

    /// The message's own clocks.
    pub(super) fn clocks(&self, recv: Option<UnixNanos>) -> Clocks {
        Clocks { event: time_of_ms(self.cts), venue: time_of_ms(self.ts), recv }
    }

    /// Whether the data replace what was before.
    pub(in crate::venue) fn is_snapshot(&self) -> Result<bool, String> {
        match self.kind.as_ref().map(|kind| kind.0.as_ref()) {
            Some("snapshot") => Ok(true),
            Some("delta") => Ok(false),
            _ => Err("type is neither snapshot nor delta".to_owned()),
        }
    }

    /// Reads the data. Structs among them are to be wrapped in [`Object`].
    pub(in crate::venue) fn data<T: Deserialize<'a>>(&self) -> Result<T, String> {
        let data = self.data.ok_or("no data")?;
        serde_json::from_str(data.get()).map_err(|error| error.to_string())
    }
}

/// The taker's side.
pub(in crate::venue) fn side(text: &str) -> Side {
    match text {
        "Buy" => Side::Buy,
        "Sell" => Side::Sell,
        _ => Side::Unknown,
    }
}

/// The `data` of an `orderbook` message and of a REST book.
#[derive(Debug, Deserialize)]
pub(super) struct BookData<'a> {
    #[serde(borrow)]
    pub(super) s: Text<'a>,
    #[serde(borrow)]
    pub(super) b: Vec<[Number<'a>; 2]>,
    #[serde(borrow)]
    pub(super) a: Vec<[Number<'a>; 2]>,
    #[serde(borrow)]
    pub(super) u: Number<'a>,
    #[serde(borrow)]
    pub(super) seq: Number<'a>,
    /// REST only.
    #[serde(borrow, default)]
    pub(super) ts: Option<Number<'a>>,
    /// REST only.
    #[serde(borrow, default)]
    pub(super) cts: Option<Number<'a>>,
}

/// One element of a `publicTrade` message.
#[derive(Debug, Deserialize)]
pub(super) struct TradeData<'a> {
    #[serde(borrow, rename = "T")]
    pub(super) time: Number<'a>,
    #[serde(borrow)]
    pub(super) s: Text<'a>,
    #[serde(borrow, rename = "S")]
    pub(super) side: Text<'a>,
    #[serde(borrow)]
    pub(super) v: Number<'a>,
    #[serde(borrow)]
    pub(super) p: Number<'a>,
    #[serde(borrow)]
    pub(super) i: Text<'a>,
    #[serde(default, rename = "BT")]
    pub(super) block: Option<bool>,
    #[serde(borrow, default)]
    pub(super) seq: Option<Number<'a>>,
}

/// One element of a `kline` message.
#[derive(Debug, Deserialize)]
pub(super) struct CandleData<'a> {
    #[serde(borrow)]
    pub(super) start: Number<'a>,
    #[serde(borrow)]
    pub(super) end: Number<'a>,
    #[serde(borrow)]
    pub(super) open: Number<'a>,
    #[serde(borrow)]
    pub(super) high: Number<'a>,
    #[serde(borrow)]
    pub(super) low: Number<'a>,
    #[serde(borrow)]
    pub(super) close: Number<'a>,
    #[serde(borrow)]
    pub(super) volume: Number<'a>,
    #[serde(borrow)]
    pub(super) turnover: Number<'a>,
    pub(super) confirm: bool,
    #[serde(borrow, default)]
    pub(super) timestamp: Option<Number<'a>>,
}

/// One element of an `allLiquidation` message. `S` is the position's side: `Buy` means that a long was liquidated.
#[derive(Debug, Deserialize)]
pub(super) struct LiquidationData<'a> {
    #[serde(borrow, rename = "T")]
    pub(super) time: Number<'a>,
    #[serde(borrow, rename = "S")]
    pub(super) side: Text<'a>,
    #[serde(borrow)]
    pub(super) v: Number<'a>,
    #[serde(borrow)]
    pub(super) p: Number<'a>,
}

/// The `data` of a `COMMAND_RESP` message, the options' answer to a request.
#[derive(Debug, Deserialize)]
pub(super) struct CommandData<'a> {
    #[serde(borrow, default, rename = "failTopics")]
    pub(super) failed: Vec<Text<'a>>,
    #[serde(borrow, default, rename = "successTopics")]
    pub(super) done: Vec<Text<'a>>,
}

/// The ticker members we publish, under Bybit's names.
pub(in crate::venue) const TICKER_FIELDS: &[(&str, TickerField)] = &[
    ("lastPrice", TickerField::Last),
    ("markPrice", TickerField::Mark),
    ("indexPrice", TickerField::Index),
    ("usdIndexPrice", TickerField::Index),
    ("fundingRate", TickerField::FundingRate),
    ("nextFundingTime", TickerField::NextFundingTime),
    ("openInterest", TickerField::OpenInterest),
    ("openInterestValue", TickerField::OpenInterestValue),
    ("bid1Price", TickerField::BidPrice),
    ("bid1Size", TickerField::BidSize),
    ("ask1Price", TickerField::AskPrice),
    ("ask1Size", TickerField::AskSize),
    ("bidPrice", TickerField::BidPrice),
    ("bidSize", TickerField::BidSize),
    ("askPrice", TickerField::AskPrice),
    ("askSize", TickerField::AskSize),
    ("highPrice24h", TickerField::High24h),
    ("lowPrice24h", TickerField::Low24h),
    ("prevPrice24h", TickerField::Open24h),
    ("volume24h", TickerField::Volume24h),
    ("turnover24h", TickerField::Turnover24h),
    ("markPriceIv", TickerField::MarkIv),
    ("bidIv", TickerField::BidIv),
    ("askIv", TickerField::AskIv),
    ("underlyingPrice", TickerField::Underlying),
    ("delta", TickerField::Delta),
    ("gamma", TickerField::Gamma),
    ("vega", TickerField::Vega),
    ("theta", TickerField::Theta),
];

/// Calls `set` with every ticker member we know; times become nanoseconds. What is no number is passed on as
/// unknown, so that a value from before does not stand in for it.
pub(super) fn read_ticker(data: &Members<'_>, mut set: impl FnMut(TickerField, &str)) {
    for (key, value) in &data.0 {
        let Some((_, field)) = TICKER_FIELDS.iter().find(|(name, _)| name == key) else { continue };
        let text = bare(value);
        if *field == TickerField::NextFundingTime {
            let stamp = time_of_ms(Some(Number(text)));
            set(*field, &stamp.map(|at| at.0.to_string()).unwrap_or_default());
        } else if text.is_empty() || decimal_text(text).is_some() {
            set(*field, text);
        } else {
            set(*field, &number(text).map(|value| value.to_string()).unwrap_or_default());
        }
    }
}
