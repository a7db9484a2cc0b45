//! Binance messages as the documentation describes them, read by field with every freedom JSON has. Times are
//! milliseconds of the exchange's clock: `E` when the message was made, `T` when it happened.

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{Clocks, Side, UnixNanos};
use crate::venue::TickerField;
use crate::venue::kit::fields::{Number, Object, Text, time_of_ms};

/// Any message: combined ones carry `stream` and `data`, answers `id`, and raw ones are the data themselves.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Envelope<'a> {
    #[serde(borrow, default)]
    pub(super) stream: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) data: Option<&'a RawValue>,
    #[serde(borrow, default)]
    pub(super) id: Option<Number<'a>>,
    #[serde(borrow, default)]
    pub(super) result: Option<&'a RawValue>,
    /// Of a refusal.
    #[serde(borrow, default)]
    code: Option<Number<'a>>,
    #[serde(borrow, default)]
    msg: Option<Text<'a>>,
    /// Where newer servers put the two.
    #[serde(borrow, default)]
    error: Option<Object<Refusal<'a>>>,
    #[serde(borrow, default)]
    e: Option<&'a RawValue>,
}

/// Why a request was refused.
#[derive(Debug, Deserialize)]
struct Refusal<'a> {
    #[serde(borrow, default)]
    code: Option<Number<'a>>,
    #[serde(borrow, default)]
    msg: Option<Text<'a>>,
}

impl<'a> Envelope<'a> {
    pub(super) fn parse(message: &'a [u8]) -> Result<Self, String> {
        serde_json::from_slice(message).map(|Object(envelope)| envelope).map_err(|error| error.to_string())
    }

    /// The event's text; `None` for an answer.
    pub(super) fn payload(&self, message: &'a [u8]) -> Option<&'a str> {
        match self.data {
            Some(data) => Some(data.get()),
            None if self.is_answer() => None,
            None => std::str::from_utf8(message).ok(),
        }
    }

    /// Whether it answers a request, and is no event.
    pub(super) fn is_answer(&self) -> bool {
        self.e.is_none() && (self.id.is_some() || self.refusal().is_some())
    }

    /// The venue's words, if it refused something.
    pub(super) fn refusal(&self) -> Option<String> {
        let (code, msg) = match &self.error {
            Some(Object(refusal)) => (&refusal.code, &refusal.msg),
            None => (&self.code, &self.msg),
        };
        let code = code.as_ref()?.0;
        Some(format!("{code}: {}", msg.as_ref().map_or("", |text| &text.0)))
    }

    /// The stream names of an answer to `LIST_SUBSCRIPTIONS`.
    pub(super) fn listed(&self) -> Option<Vec<Text<'a>>> {
        serde_json::from_str(self.result?.get()).ok()
    }
}

/// What tells one event from another.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Event<'a> {
    #[serde(borrow, default)]
    e: Option<Text<'a>>,
    #[serde(borrow, default)]
    s: Option<Text<'a>>,
    #[serde(borrow, default)]
    pub(super) st: Option<Number<'a>>,
    #[serde(borrow, default, rename = "pu")]
    pub(super) previous: Option<&'a RawValue>,
    /// Spot trades only; nobody knows what it says.
    #[serde(borrow, default, rename = "M")]
    pub(super) best_match: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "B")]
    bid_size: Option<&'a RawValue>,
    #[serde(borrow, default, rename = "lastUpdateId")]
    pub(super) last_update_id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    o: Option<&'a RawValue>,
    #[serde(borrow, default)]
    k: Option<Object<CandleInterval<'a>>>,
}

#[derive(Debug, Deserialize)]
struct CandleInterval<'a> {
    #[serde(borrow)]
    i: Text<'a>,
}

impl<'a> Event<'a> {
    pub(super) fn parse(data: &'a str) -> Result<Self, String> {
        serde_json::from_str(data).map(|Object(event)| event).map_err(|error| error.to_string())
    }

    pub(super) fn kind(&self) -> Option<&str> {
        self.e.as_ref().map(|kind| kind.0.as_ref())
    }

    /// A liquidation's is inside its order.
    pub(super) fn symbol(&self) -> Option<&str> {
        if let Some(symbol) = &self.s {
            return Some(&symbol.0);
        }
        let order = self.o?.get();
        let at = memchr::memmem::find(order.as_bytes(), br#""s":""#)? + 5;
        order.get(at..)?.split('"').next()
    }

    /// Spot's best bid and offer come without a name.
    pub(super) fn is_book_ticker(&self) -> bool {
        self.e.is_none() && self.s.is_some() && self.bid_size.is_some()
    }

    /// The interval of a candle.
    pub(super) fn interval(&self) -> Option<&str> {
        self.k.as_ref().map(|Object(k)| k.i.0.as_ref())
    }
}

/// The clocks of a message.
pub(super) fn clocks(made: Option<Number<'_>>, happened: Option<Number<'_>>, recv: Option<UnixNanos>) -> Clocks {
    Clocks { event: time_of_ms(happened), venue: time_of_ms(made), recv }
}

/// The taker's side, from whether the buyer was the maker.
pub(super) const fn side(buyer_is_maker: bool) -> Side {
    if buyer_is_maker { Side::Sell } else { Side::Buy }
}

/// An integer that has to be there.
pub(super) fn integer(number: Option<Number<'_>>, name: &str) -> Result<u64, String> {
    number.and_then(|number| number.integer()).ok_or_else(|| format!("{name} is no integer"))
}

/// `depthUpdate`, partial depth (spot's `lastUpdateId`, `bids`, `asks`) and REST images.
#[derive(Debug, Deserialize)]
pub(super) struct DepthData<'a> {
    #[serde(borrow, default, rename = "E")]
    pub(super) made: Option<Number<'a>>,
    #[serde(borrow, default, rename = "T")]
    pub(super) happened: Option<Number<'a>>,
    #[serde(borrow, default, rename = "U")]
    pub(super) first: Option<Number<'a>>,
    #[serde(borrow, default, rename = "u", alias = "lastUpdateId")]
    pub(super) last: Option<Number<'a>>,
    #[serde(borrow, default, rename = "pu")]
    pub(super) previous: Option<Number<'a>>,
    #[serde(borrow, rename = "b", alias = "bids")]
    pub(super) bids: Vec<[Number<'a>; 2]>,
    #[serde(borrow, rename = "a", alias = "asks")]
    pub(super) asks: Vec<[Number<'a>; 2]>,
    /// REST of COIN-M only.
    #[serde(borrow, default)]
    pub(super) symbol: Option<Text<'a>>,
}

/// `bookTicker`.
#[derive(Debug, Deserialize)]
pub(super) struct BookTickerData<'a> {
    #[serde(borrow, default, rename = "E")]
    pub(super) made: Option<Number<'a>>,
    #[serde(borrow, default, rename = "T")]
    pub(super) happened: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) u: Number<'a>,
    #[serde(borrow, rename = "b")]
    pub(super) bid: Number<'a>,
    #[serde(borrow, rename = "B")]
    pub(super) bid_size: Number<'a>,
    #[serde(borrow, rename = "a")]
    pub(super) ask: Number<'a>,
    #[serde(borrow, rename = "A")]
    pub(super) ask_size: Number<'a>,
}

/// `trade`, whose id is `t`, and `aggTrade`, whose id is `a`.
#[derive(Debug, Deserialize)]
pub(super) struct TradeData<'a> {
    #[serde(borrow, default, rename = "E")]
    pub(super) made: Option<Number<'a>>,
    #[serde(borrow, default, rename = "T")]
    pub(super) happened: Option<Number<'a>>,
    #[serde(borrow, default)]
    pub(super) t: Option<Number<'a>>,
    #[serde(borrow, default)]
    pub(super) a: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) p: Number<'a>,
    #[serde(borrow)]
    pub(super) q: Number<'a>,
    pub(super) m: bool,
}

/// `kline`.
#[derive(Debug, Deserialize)]
pub(super) struct CandleEvent<'a> {
    #[serde(borrow, default, rename = "E")]
    pub(super) made: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) k: Object<CandleData<'a>>,
}

/// The candle in it. `q` is quote volume, but base volume on COIN-M, where `v` counts contracts.
#[derive(Debug, Deserialize)]
pub(super) struct CandleData<'a> {
    #[serde(borrow, rename = "t")]
    pub(super) start: Number<'a>,
    #[serde(borrow, rename = "T")]
    pub(super) end: Number<'a>,
    #[serde(borrow)]
    pub(super) o: Number<'a>,
    #[serde(borrow)]
    pub(super) h: Number<'a>,
    #[serde(borrow)]
    pub(super) l: Number<'a>,
    #[serde(borrow)]
    pub(super) c: Number<'a>,
    #[serde(borrow)]
    pub(super) v: Number<'a>,
    #[serde(borrow)]
    pub(super) q: Number<'a>,
    pub(super) x: bool,
}

/// `forceOrder`.
#[derive(Debug, Deserialize)]
pub(super) struct LiquidationEvent<'a> {
    #[serde(borrow, default, rename = "E")]
    pub(super) made: Option<Number<'a>>,
    #[serde(borrow)]
    pub(super) o: Object<LiquidationOrder<'a>>,
}

/// The closing order: `SELL` closes a long position.
#[derive(Debug, Deserialize)]
pub(super) struct LiquidationOrder<'a> {
    #[serde(borrow, rename = "S")]
    pub(super) side: Text<'a>,
    #[serde(borrow)]
    pub(super) p: Number<'a>,
    #[serde(borrow)]
    pub(super) q: Number<'a>,
    #[serde(borrow, default, rename = "T")]
    pub(super) happened: Option<Number<'a>>,
}

/// The members of `24hrTicker` and `24hrMiniTicker` that we publish. Futures have no bid and ask here.
pub(super) const TICKER_FIELDS: &[(&str, TickerField)] = &[
    ("c", TickerField::Last),
    ("b", TickerField::BidPrice),
    ("B", TickerField::BidSize),
    ("a", TickerField::AskPrice),
    ("A", TickerField::AskSize),
    ("h", TickerField::High24h),
    ("l", TickerField::Low24h),
    ("o", TickerField::Open24h),
    ("v", TickerField::Volume24h),
    ("q", TickerField::Turnover24h),
];

/// Those of `markPriceUpdate`; `T` is when funding is next settled, 0 for a dated contract.
pub(super) const MARK_FIELDS: &[(&str, TickerField)] = &[
    ("p", TickerField::Mark),
    ("i", TickerField::Index),
    ("r", TickerField::FundingRate),
    ("T", TickerField::NextFundingTime),
];
