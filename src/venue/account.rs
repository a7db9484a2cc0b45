//! What happens to an account: orders, fills, positions and balances, in tickbus's words.

use std::fmt;

use crate::model::Clocks;

pub use crate::model::AccountKind;

impl AccountKind {
    /// The fields that every venue's rows share, by their names on the wire. What else a venue says is told under
    /// `params`, by names of its own.
    pub const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Order => &[
                "id",
                "client_id",
                "side",
                "order_type",
                "price",
                "size",
                "filled",
                "remaining",
                "average_price",
                "state",
                "reason",
                "created",
                "updated",
            ],
            Self::Fill => {
                &["id", "order_id", "side", "price", "size", "value", "fee", "fee_currency", "liquidity", "backfill"]
            }
            Self::Position => &[
                "size",
                "entry_price",
                "margin",
                "unrealised_pnl",
                "open_buys",
                "open_sells",
                "leverage",
                "liquidation_price",
                "kind",
            ],
            Self::Balance => &["total", "available", "locked", "unrealised_pnl", "kind", "removed"],
        }
    }
}

/// The states, over all venues, in which an order is over: nothing of it is open any more.
const ORDER_OVER: [&str; 7] = ["filled", "cancelled", "rejected", "expired", "executed", "completed", "closed"];

/// Whether an order of this state, in our words, is over. Any word that is not known leaves it open.
pub fn is_order_over(state: &str) -> bool {
    ORDER_OVER.contains(&state)
}

/// [`VenueDef::row_keys`](super::VenueDef::row_keys) of venues with a position a side, and with balances by kind of account.
pub const fn usual_row_keys(kind: AccountKind) -> &'static [&'static str] {
    match kind {
        AccountKind::Position => &["position_side"],
        AccountKind::Balance => &["kind"],
        AccountKind::Order | AccountKind::Fill => &[],
    }
}

/// A field's value. Decimals are texts, as everywhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldValue<'a> {
    /// Text, or a decimal.
    Text(&'a str),
    /// A count; for times, nanoseconds since 1970.
    Integer(u64),
    /// A truth value.
    Boolean(bool),
}

impl fmt::Display for FieldValue<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Integer(value) => value.fmt(f),
            Self::Boolean(value) => value.fmt(f),
        }
    }
}

/// One row of an account. Published as `kind.venue.account.symbol.`; only what the venue said is in `fields`.
#[derive(Clone, Copy, Debug)]
pub struct AccountUpdate<'a> {
    /// Which channel.
    pub kind: AccountKind,
    /// The account, as the venue spells it.
    pub account: &'a str,
    /// The market the symbol is of, where the venue says it.
    pub market: Option<&'a str>,
    /// The symbol, or for a balance the currency; may be empty.
    pub symbol: &'a str,
    /// The rest: those of [`AccountKind::fields`], and any others by names of the venue's own.
    pub fields: &'a [(&'static str, FieldValue<'a>)],
    /// The row's clocks.
    pub clocks: Clocks,
}
