//! What happens to an account: orders, fills, positions and balances, in tickbus's words.

use crate::model::Clocks;

/// Kind of an account's frame: its channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AccountKind {
    /// An order as it now stands.
    Order,
    /// A trade of one's own.
    Fill,
    /// A position as it now stands.
    Position,
    /// A balance or limit as it now stands.
    Balance,
}

impl AccountKind {
    /// The channel's name in topics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Fill => "fill",
            Self::Position => "position",
            Self::Balance => "balance",
        }
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
    /// The rest, by the names of `docs/WIRE.md`.
    pub fields: &'a [(&'static str, FieldValue<'a>)],
    /// The row's clocks.
    pub clocks: Clocks,
}
