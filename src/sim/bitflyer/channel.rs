//! Channels by name.

/// What a channel of one product carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    /// The whole book.
    Whole,
    /// Changes of the book.
    Changes,
    /// Trades.
    Executions,
    /// The ticker.
    Ticker,
}

/// Channels of the account.
pub(super) const CHILD_ORDERS: &str = "child_order_events";
pub(super) const PARENT_ORDERS: &str = "parent_order_events";

const PREFIXES: [(Kind, &str); 4] = [
    (Kind::Whole, "lightning_board_snapshot_"),
    (Kind::Changes, "lightning_board_"),
    (Kind::Executions, "lightning_executions_"),
    (Kind::Ticker, "lightning_ticker_"),
];

/// What a name means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Channel<'a> {
    /// A channel of a product, which need not exist.
    Product(Kind, &'a str),
    /// A channel of the account.
    Private,
}

impl Kind {
    /// The channel's name for a product.
    pub(super) fn of(self, code: &str) -> String {
        let prefix = PREFIXES.iter().find(|(kind, _)| *kind == self).map_or("", |(_, prefix)| prefix);
        format!("{prefix}{code}")
    }
}

/// Reads a channel's name; `None` for one that begins as none does.
pub(super) fn read(name: &str) -> Option<Channel<'_>> {
    if name == CHILD_ORDERS || name == PARENT_ORDERS {
        return Some(Channel::Private);
    }
    PREFIXES.iter().find_map(|(kind, prefix)| Some(Channel::Product(*kind, name.strip_prefix(prefix)?)))
}
