//! What venues can say: the updates that sessions hand on.

use super::{AccountUpdate, RawEvent, TerminalState};
use crate::book::SyncRule;
use crate::model::{Clocks, Decimal, Instrument, Interval, Level, Side, StreamId};

/// Something a venue said, in tickbus's words. Borrowed from the session's scratch buffers.
#[derive(Clone, Debug)]
pub enum Update<'a> {
    /// The venue confirmed a subscription.
    Subscribed(StreamId),
    /// The venue confirmed that a stream was left.
    Unsubscribed(StreamId),
    /// The venue refused a subscription. Others run on; the session tries again slowly by itself.
    Rejected {
        /// Which.
        stream: StreamId,
        /// The venue's words.
        detail: &'a str,
    },
    /// A message was lost or unreadable: what is known of these streams can no longer be trusted.
    Broken {
        /// Which stream; all of the connection's when `None`.
        stream: Option<StreamId>,
        /// What was wrong.
        detail: &'a str,
    },
    /// The REST image asked for with [`Input::Image`](super::Input::Image) could not be had.
    ImageFailed {
        /// Of which stream.
        stream: StreamId,
        /// What went wrong.
        detail: &'a str,
    },
    /// The venue confirmed a stream whose book is put together from a REST image, which is to be asked for if the book
    /// is not live.
    WantsImage {
        /// Which stream.
        stream: StreamId,
        /// How its updates are ordered.
        rule: SyncRule,
    },
    /// A message that carries nothing for us was skipped.
    Ignored(Ignored),
    /// Levels of a book.
    Book(BookUpdate<'a>),
    /// A trade.
    Trade(TradeUpdate<'a>),
    /// The whole ticker as it now stands (the session merges changes).
    Ticker(TickerUpdate<'a>),
    /// A candle.
    Candle(CandleUpdate<'a>),
    /// A liquidation.
    Liquidation(LiquidationUpdate),
    /// An instrument's definition.
    Instrument(&'a Instrument),
    /// What the session knows of the terminal behind the connection.
    Terminal(TerminalState<'a>),
    /// Something to be handed on as it is.
    Raw(RawEvent<'a>),
    /// A whole message, to be published without a change.
    Untouched(&'a [u8]),
    /// A row of an account.
    Account(AccountUpdate<'a>),
    /// The venue was asked, and what was published last of this stream still holds.
    Unchanged(StreamId),
    /// Something to be told with a state that it does not change; empty when there is nothing to tell any more.
    Notice {
        /// Of which stream; of the feed as a whole when `None`.
        stream: Option<StreamId>,
        /// In words.
        detail: &'a str,
    },
    /// Polls that were to be made and could not, as the venue or its call budget did not keep up.
    Late {
        /// How many since the last time.
        polls: u64,
    },
}

/// Why a message was skipped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ignored {
    /// Pongs and acknowledgements: normal.
    Control,
    /// A topic nobody asked for.
    UnknownTopic,
    /// A kind of message we do not know.
    UnknownKind,
}

/// Levels of a book, with the venue's sequence numbers as far as it has them.
#[derive(Clone, Copy, Debug)]
pub struct BookUpdate<'a> {
    /// Which stream.
    pub stream: StreamId,
    /// The rule that orders this stream's updates.
    pub rule: SyncRule,
    /// Whether it replaces the book.
    pub snapshot: bool,
    /// The venue's id of this update (the one published as `venue_seq`); 0 where it has none.
    pub seq: u64,
    /// The first id that this update covers, where it covers a range (Binance `U`); else 0.
    pub first: u64,
    /// The id of the update before it, where the venue names it (OKX `prevSeqId`, Binance `pu`); else 0.
    pub previous: u64,
    /// A second, coarser id some venues use to place a REST image in the stream (Bybit `seq`).
    pub cross_seq: u64,
    /// What [`book_checksum`](crate::book::book_checksum) of the book must be after it, where the venue says.
    pub checksum: Option<u32>,
    /// The middle of the best prices after it, rounded to a tick, where the venue says: what lies beyond it is gone.
    pub middle: Option<Decimal>,
    /// Bid levels in any order; size zero removes.
    pub bids: &'a [Level],
    /// Ask levels in any order; size zero removes.
    pub asks: &'a [Level],
    /// The message's clocks.
    pub clocks: Clocks,
}

/// A public trade.
#[derive(Clone, Copy, Debug)]
pub struct TradeUpdate<'a> {
    /// Which stream.
    pub stream: StreamId,
    /// The venue's trade id.
    pub id: &'a str,
    /// Price.
    pub price: Decimal,
    /// Size in the market's unit.
    pub size: Decimal,
    /// The taker's side.
    pub side: Side,
    /// Whether it is a block trade, if the venue says.
    pub block: Option<bool>,
    /// The venue's sequence of it, if any.
    pub venue_seq: Option<u64>,
    /// Whether it happened before the subscription or in a hole, and was fetched or replayed afterwards.
    pub backfill: bool,
    /// The trade's clocks.
    pub clocks: Clocks,
}

/// Which number of a ticker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum TickerField {
    /// Price of the last trade.
    Last,
    /// Mark price.
    Mark,
    /// Index price.
    Index,
    /// Current funding rate, as a fraction.
    FundingRate,
    /// When funding is next settled.
    NextFundingTime,
    /// Open interest in the market's unit.
    OpenInterest,
    /// Open interest in quote currency.
    OpenInterestValue,
    /// Best bid price.
    BidPrice,
    /// Best bid size.
    BidSize,
    /// Best ask price.
    AskPrice,
    /// Best ask size.
    AskSize,
    /// Highest price of 24 hours.
    High24h,
    /// Lowest price of 24 hours.
    Low24h,
    /// Price 24 hours ago.
    Open24h,
    /// Volume of 24 hours.
    Volume24h,
    /// Turnover of 24 hours.
    Turnover24h,
    /// Implied volatility of the mark price (options).
    MarkIv,
    /// Implied volatility of the best bid (options).
    BidIv,
    /// Implied volatility of the best ask (options).
    AskIv,
    /// Underlying price (options).
    Underlying,
    /// Greek (options).
    Delta,
    /// Greek (options).
    Gamma,
    /// Greek (options).
    Vega,
    /// Greek (options).
    Theta,
}

/// A ticker: field and the venue's own decimal text (for times: nanoseconds since 1970).
#[derive(Clone, Copy, Debug)]
pub struct TickerUpdate<'a> {
    /// Which stream.
    pub stream: StreamId,
    /// The venue's sequence of it, if any.
    pub venue_seq: Option<u64>,
    /// All fields known, in the enum's order.
    pub fields: &'a [(TickerField, String)],
    /// What the venue says beyond them, by the venue's own names.
    pub params: &'a [(String, String)],
    /// The message's clocks.
    pub clocks: Clocks,
}

/// A candle; numbers are the venue's own decimal texts.
#[derive(Clone, Copy, Debug)]
pub struct CandleUpdate<'a> {
    /// Which stream.
    pub stream: StreamId,
    /// Its interval.
    pub interval: Interval,
    /// First nanosecond since 1970.
    pub open_time: u64,
    /// Its end as the venue gives it, in nanoseconds since 1970 (Bybit: the last millisecond).
    pub close_time: u64,
    /// Open price.
    pub open: &'a str,
    /// Highest price.
    pub high: &'a str,
    /// Lowest price.
    pub low: &'a str,
    /// Last price.
    pub close: &'a str,
    /// Volume in the market's unit.
    pub volume: &'a str,
    /// Turnover in quote currency, if given.
    pub turnover: Option<&'a str>,
    /// Whether it is finished.
    pub closed: bool,
    /// Whether it was over before the subscription, and was fetched or replayed afterwards.
    pub backfill: bool,
    /// The message's clocks.
    pub clocks: Clocks,
}

/// A liquidation.
#[derive(Clone, Copy, Debug)]
pub struct LiquidationUpdate {
    /// Which stream.
    pub stream: StreamId,
    /// Side of the closing order: `sell` when a long position was liquidated.
    pub side: Side,
    /// Price (Bybit: bankruptcy price).
    pub price: Decimal,
    /// Size in the market's unit.
    pub size: Decimal,
    /// The message's clocks.
    pub clocks: Clocks,
}
