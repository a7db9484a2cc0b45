//! The payloads as types: what the JSON Schema is generated from, and what tests read every frame with.

mod account;
mod job;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use account::{Balance, Fill, Order, Position, RawEvent};
use job::Job;

/// A price level: price and size as decimal strings, the venue's value exactly.
pub type LevelText = (String, String);

/// The payload of a frame. Fields that are absent are things the venue did not say; there are no nulls.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
#[allow(clippy::large_enum_variant)] // Made one at a time, by tests and readers.
pub enum Payload {
    /// The best levels of a verified book; each frame is complete.
    Book(Book),
    /// Every level change of a book, full depth, absolute sizes.
    Delta(Delta),
    /// Best bid and offer; a side that is empty is absent.
    Bbo(Bbo),
    /// A public trade.
    Trade(Trade),
    /// What the venue gives of a ticker.
    Ticker(Ticker),
    /// A candle of one interval.
    Candle(Candle),
    /// A forced liquidation.
    Liquidation(Liquidation),
    /// How a symbol, or a feed (symbol empty), stands.
    Status(Status),
    /// An instrument's definition.
    Instrument(Instrument),
    /// Once a second, made for each subscriber.
    Heartbeat(Heartbeat),
    /// An order of one's own as it now stands.
    Order(Order),
    /// A trade of one's own.
    Fill(Fill),
    /// A position as it now stands.
    Position(Position),
    /// A balance or limit as it now stands.
    Balance(Balance),
    /// An event of the QUIK terminal, handed on as it is.
    QuikEvent(RawEvent),
    /// To one subscriber: what it lost.
    Notice(Notice),
    /// The result of one call of a job, topic `job.NAME.`.
    Job(Box<Job>),
}

macro_rules! payload {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Version of the wire format: 1.
            pub v: u64,
            /// Who publishes.
            pub venue: String,
            /// The venue's segment.
            pub market: String,
            /// The venue's own spelling; empty for a feed's status.
            pub symbol: String,
            /// Canonical name, once the instrument is known.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub instrument: Option<String>,
            /// Milliseconds since 1970 of the gateway run's start.
            pub epoch: u64,
            /// Counts the frames of this topic from 1 without holes.
            pub seq: u64,
            /// The venue's own sequence.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub venue_seq: Option<u64>,
            /// Matching engine time, nanoseconds since 1970.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub ts_event: Option<u64>,
            /// When the venue made the message, nanoseconds since 1970.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub ts_venue: Option<u64>,
            /// When the gateway read it from the socket, nanoseconds since 1970.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub ts_recv: Option<u64>,
            /// When the gateway published it, nanoseconds since 1970.
            pub ts_pub: u64,
            $(
                $(#[$fdoc])*
                pub $field: $type,
            )*
        }
    };
}

/// Whether a truth value is left out of the encoding.
#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde wants a reference")]
const fn is_false(value: &bool) -> bool {
    !*value
}

payload! {
    /// See [`Payload::Book`].
    Book {
        /// Always `live`.
        state: String,
        /// Levels a side asked for.
        depth: u64,
        /// Best first.
        bids: Vec<LevelText>,
        /// Best first.
        asks: Vec<LevelText>,
        /// The last `seq` of the delta topic that this book includes.
        delta_seq: u64,
    }
}
payload! {
    /// See [`Payload::Delta`].
    Delta {
        /// True when it replaces everything.
        #[serde(default, skip_serializing_if = "is_false")]
        snapshot: bool,
        /// Absolute sizes; `0` removes.
        bids: Vec<LevelText>,
        /// Absolute sizes; `0` removes.
        asks: Vec<LevelText>,
    }
}
payload! {
    /// See [`Payload::Bbo`].
    Bbo {
        /// Best bid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bid_price: Option<String>,
        /// Its size.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bid_size: Option<String>,
        /// Best ask.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ask_price: Option<String>,
        /// Its size.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ask_size: Option<String>,
    }
}
payload! {
    /// See [`Payload::Trade`].
    Trade {
        /// The venue's trade id.
        id: String,
        /// Price.
        price: String,
        /// Size in the market's unit.
        size: String,
        /// The taker's: `buy`, `sell` or `unknown`.
        side: String,
        /// Whether it is a block trade.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        block: Option<bool>,
        /// True when it happened before the subscription or in a hole, and was fetched or replayed afterwards.
        #[serde(default, skip_serializing_if = "is_false")]
        backfill: bool,
    }
}
payload! {
    /// See [`Payload::Ticker`].
    Ticker {
        /// Last price.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        last: Option<String>,
        /// Mark price.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mark: Option<String>,
        /// Index price.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        index: Option<String>,
        /// Funding rate as a fraction.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        funding_rate: Option<String>,
        /// Next funding, nanoseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        next_funding_time: Option<u64>,
        /// Open interest in the market's unit.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        open_interest: Option<String>,
        /// Open interest in quote currency.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        open_interest_value: Option<String>,
        /// Best bid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bid_price: Option<String>,
        /// Its size.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bid_size: Option<String>,
        /// Best ask.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ask_price: Option<String>,
        /// Its size.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ask_size: Option<String>,
        /// Highest of 24 hours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        high_24h: Option<String>,
        /// Lowest of 24 hours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        low_24h: Option<String>,
        /// Price 24 hours ago.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        open_24h: Option<String>,
        /// Volume of 24 hours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        volume_24h: Option<String>,
        /// Turnover of 24 hours.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        turnover_24h: Option<String>,
        /// Implied volatility of the mark.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        mark_iv: Option<String>,
        /// Implied volatility of the bid.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        bid_iv: Option<String>,
        /// Implied volatility of the ask.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        ask_iv: Option<String>,
        /// Underlying price.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        underlying: Option<String>,
        /// Greek.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        delta: Option<String>,
        /// Greek.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gamma: Option<String>,
        /// Greek.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        vega: Option<String>,
        /// Greek.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        theta: Option<String>,
        /// What the venue says beyond them, by the venue's own names.
        #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
        params: BTreeMap<String, String>,
    }
}
payload! {
    /// See [`Payload::Candle`].
    Candle {
        /// `1m`, `4h`, `1d`, …
        interval: String,
        /// Start, nanoseconds since 1970.
        open_time: u64,
        /// End as the venue gives it, nanoseconds since 1970.
        close_time: u64,
        /// Open.
        open: String,
        /// High.
        high: String,
        /// Low.
        low: String,
        /// Close.
        close: String,
        /// Volume in the market's unit.
        volume: String,
        /// Turnover in quote currency.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        turnover: Option<String>,
        /// Whether it is finished.
        closed: bool,
        /// True when it was over before the subscription, and was fetched or replayed afterwards.
        #[serde(default, skip_serializing_if = "is_false")]
        backfill: bool,
    }
}
payload! {
    /// See [`Payload::Liquidation`].
    Liquidation {
        /// Price.
        price: String,
        /// Size.
        size: String,
        /// Side of the closing order: `sell` when a long was liquidated.
        side: String,
    }
}
payload! {
    /// See [`Payload::Status`].
    Status {
        /// The feed's name in the config.
        feed: String,
        /// Of a feed as a whole: `connected` while all its connections are open, else `disconnected`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        link: Option<String>,
        /// The account that the channel is of; absent where the venue names accounts by itself.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        account: Option<String>,
        /// Which of the symbol's channels, or of the account's; absent for the feed as a whole.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        channel: Option<String>,
        /// `live`, `syncing`, `stale`, `offline`, `down` or `rejected`.
        state: String,
        /// Why it is not live.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
        /// Since when, nanoseconds since 1970.
        since: u64,
        /// In words.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        detail: Option<String>,
    }
}
payload! {
    /// See [`Payload::Instrument`].
    Instrument {
        /// Base currency.
        base: String,
        /// Quote currency.
        quote: String,
        /// `spot`, `perpetual`, `future` or `option`.
        kind: String,
        /// Settlement currency.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        settle: Option<String>,
        /// Smallest price step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        tick_size: Option<String>,
        /// Smallest size step.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        lot_size: Option<String>,
        /// Smallest order.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        min_size: Option<String>,
        /// Strike of an option.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        strike: Option<String>,
        /// The venue's word for the trading status.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        status: Option<String>,
        /// Expiry, nanoseconds since 1970.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        expiry: Option<u64>,
        /// `C` or `P`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        option_type: Option<String>,
    }
}

/// See [`Payload::Heartbeat`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// Version of the wire format: 1.
    pub v: u64,
    /// Milliseconds since 1970 of the gateway run's start.
    pub epoch: u64,
    /// Counts heartbeats from 1.
    pub seq: u64,
    /// When it was published, nanoseconds since 1970.
    pub ts_pub: u64,
    /// Feeds configured.
    pub feeds: u64,
    /// Feeds that are live.
    pub feeds_live: u64,
    /// Subscribers connected.
    pub subscribers: u64,
    /// Frames published since the start.
    pub frames: u64,
    /// Frames dropped behind slow subscribers since the start.
    pub dropped: u64,
    /// The last `seq` of topics that this subscriber is subscribed to: at most 1000 a heartbeat, the next ones in the
    /// next heartbeat.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub topics: BTreeMap<String, u64>,
}

/// See [`Payload::Notice`].
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Notice {
    /// Version of the wire format: 1.
    pub v: u64,
    /// What it is about: `loss`.
    pub kind: String,
    /// Milliseconds since 1970 of the gateway run's start.
    pub epoch: u64,
    /// Counts the notices of one connection from 1.
    pub seq: u64,
    /// When it was published, nanoseconds since 1970.
    pub ts_pub: u64,
    /// When the first of these frames found no room, nanoseconds since 1970.
    pub since: u64,
    /// Frames of yours that are gone.
    pub dropped: u64,
    /// Frames of yours in whose place a newer one of their topic came.
    pub conflated: u64,
    /// The losses by topic.
    pub topics: BTreeMap<String, Loss>,
    /// What was lost of topics that are not listed, because they are too many.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<Loss>,
}

/// What one subscriber lost of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Loss {
    /// Frames that are gone.
    pub dropped: u64,
    /// Frames in whose place a newer one came.
    pub conflated: u64,
    /// The lowest `seq` lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub first_seq: Option<u64>,
    /// The highest `seq` lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_seq: Option<u64>,
}

/// The JSON Schema (draft 2020-12) of every payload.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(Payload).to_value()
}
