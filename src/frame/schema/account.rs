//! The payloads of an account's channels and of raw events, as types.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

macro_rules! row {
    ($(#[$doc:meta])* $name:ident { $($(#[$fdoc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            /// Version of the wire format: 1.
            pub v: u64,
            /// Who publishes.
            pub venue: String,
            /// The market the symbol is of; the feed's where the venue does not say.
            pub market: String,
            /// The account: its name in the config; of QUIK the trading account.
            pub account: String,
            /// The venue's own spelling; a balance's currency. May be empty.
            pub symbol: String,
            /// Milliseconds since 1970 of the gateway run's start.
            pub epoch: u64,
            /// Counts the frames of this topic from 1 without holes.
            pub seq: u64,
            /// When it happened, nanoseconds since 1970.
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
            /// What the venue says beyond these fields, by names of its own.
            #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
            pub params: BTreeMap<String, String>,
            $(
                $(#[$fdoc])*
                #[serde(default, skip_serializing_if = "Option::is_none")]
                pub $field: Option<$type>,
            )*
        }
    };
}

row! {
    /// An order as it now stands.
    Order {
        /// The venue's order id.
        id: String,
        /// The client's own id of it.
        client_id: String,
        /// `buy` or `sell`.
        side: String,
        /// `limit`, `market` or the venue's word.
        order_type: String,
        /// Its price.
        price: String,
        /// Its size.
        size: String,
        /// How much of it was filled.
        filled: String,
        /// How much of it is left.
        remaining: String,
        /// Average price of what was filled.
        average_price: String,
        /// `open`, `partially_filled`, `filled`, `cancelled`, `rejected` or the venue's word; `closed` where it is open no
        /// more and how it ended was missed.
        state: String,
        /// Why, in the venue's words.
        reason: String,
        /// When it was made, nanoseconds since 1970.
        created: u64,
        /// When it last changed, nanoseconds since 1970.
        updated: u64,
    }
}
row! {
    /// A trade of one's own.
    Fill {
        /// The venue's trade id.
        id: String,
        /// Of which order.
        order_id: String,
        /// `buy` or `sell`.
        side: String,
        /// Price.
        price: String,
        /// Size.
        size: String,
        /// Value in the quote currency.
        value: String,
        /// What it cost; negative for a rebate.
        fee: String,
        /// In which currency.
        fee_currency: String,
        /// `maker` or `taker`.
        liquidity: String,
        /// True when the stream did not tell it, as it was gone, and it was read by REST afterwards.
        backfill: bool,
    }
}
row! {
    /// A position as it now stands.
    Position {
        /// Signed: negative is short.
        size: String,
        /// Average entry price.
        entry_price: String,
        /// What is reserved for it.
        margin: String,
        /// Profit or loss not yet taken.
        unrealised_pnl: String,
        /// Size of buy orders that wait.
        open_buys: String,
        /// Size of sell orders that wait.
        open_sells: String,
        /// Leverage.
        leverage: String,
        /// Where it would be liquidated.
        liquidation_price: String,
        /// The venue's word for its kind (`cross`, a limit kind).
        kind: String,
    }
}
row! {
    /// A balance or limit as it now stands.
    Balance {
        /// Everything.
        total: String,
        /// What can be used.
        available: String,
        /// What orders hold.
        locked: String,
        /// Profit or loss not yet taken.
        unrealised_pnl: String,
        /// The venue's word for its kind (wallet, limit kind).
        kind: String,
        /// True when the venue removed it.
        removed: bool,
    }
}

/// An event of a venue, handed on as it is.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RawEvent {
    /// Version of the wire format: 1.
    pub v: u64,
    /// Who publishes.
    pub venue: String,
    /// The event's name, as the venue spells it.
    pub name: String,
    /// Milliseconds since 1970 of the gateway run's start.
    pub epoch: u64,
    /// Counts the frames of this topic from 1 without holes.
    pub seq: u64,
    /// When the gateway read it, nanoseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ts_recv: Option<u64>,
    /// When the gateway published it, nanoseconds since 1970.
    pub ts_pub: u64,
    /// What the venue sent, untouched; absent for an event without data.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payload: Option<Value>,
}
