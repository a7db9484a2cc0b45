//! Which tables there are: what makes two rows one, and what ends a row.

use crate::venue::{AccountKind, VenueDef, is_order_over, usual_row_keys};

/// A kind of table. Each venue has one of each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TableKind {
    /// The newest ticker of each symbol.
    Ticker,
    /// The levels of live books, as deep as `book` frames are.
    Book,
    /// The best bid and offer of each symbol.
    Bbo,
    /// The last trades of each symbol.
    Trade,
    /// The last liquidations of each symbol.
    Liquidation,
    /// The last candles of each symbol and interval.
    Candle,
    /// Open orders.
    Order,
    /// The last fills of each account and symbol.
    Fill,
    /// Positions.
    Position,
    /// Balances and limits.
    Balance,
    /// Definitions of instruments.
    Instrument,
    /// How symbols and feeds stand.
    Status,
}

/// A kind of table at one venue: with its key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    kind: TableKind,
    keys: Box<[&'static str]>,
}

impl Shape {
    /// A venue's table of this kind; of a venue that is not known, the usual.
    pub fn new(kind: TableKind, venue: Option<&VenueDef>) -> Self {
        let row_keys = venue.map_or(usual_row_keys as fn(_) -> _, |venue| venue.row_keys);
        let own = match kind {
            TableKind::Position => row_keys(AccountKind::Position),
            TableKind::Balance => row_keys(AccountKind::Balance),
            _ => &[],
        };
        Self { kind, keys: [kind.keys(), own].concat().into() }
    }

    /// What kind of table it is.
    pub const fn kind(&self) -> TableKind {
        self.kind
    }

    /// The fields that make two rows one. A row that lacks one of them differs from those that have it. Some of an account's
    /// rows are told apart by what only one venue says, under `params`.
    pub const fn keys(&self) -> &[&'static str] {
        &self.keys
    }
}

impl TableKind {
    /// All of them.
    pub const ALL: [Self; 12] = [
        Self::Ticker,
        Self::Book,
        Self::Bbo,
        Self::Trade,
        Self::Liquidation,
        Self::Candle,
        Self::Order,
        Self::Fill,
        Self::Position,
        Self::Balance,
        Self::Instrument,
        Self::Status,
    ];

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ticker => "ticker",
            Self::Book => "book",
            Self::Bbo => "bbo",
            Self::Trade => "trade",
            Self::Liquidation => "liquidation",
            Self::Candle => "candle",
            Self::Order => "order",
            Self::Fill => "fill",
            Self::Position => "position",
            Self::Balance => "balance",
            Self::Instrument => "instrument",
            Self::Status => "status",
        }
    }

    /// The table of that name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The table that frames of this topic are rows of.
    pub fn of_topic(topic: &[u8]) -> Option<Self> {
        let end = topic.iter().position(|byte| *byte == b'.')?;
        let channel = std::str::from_utf8(topic.get(..end)?).ok()?;
        if channel.starts_with("candle_") { Some(Self::Candle) } else { Self::parse(channel) }
    }

    /// Its place in [`Self::ALL`].
    pub const fn index(self) -> usize {
        self as usize
    }

    /// The fields that make two rows one, but for what [`VenueDef::row_keys`] says of a venue's positions and balances.
    const fn keys(self) -> &'static [&'static str] {
        match self {
            Self::Ticker | Self::Bbo | Self::Instrument => &["market", "symbol"],
            Self::Book => &["market", "symbol", "side", "price"],
            // Not the venue's id: some give none, and some give one to several trades.
            Self::Trade | Self::Liquidation => &["market", "symbol", "seq"],
            Self::Candle => &["market", "symbol", "interval", "open_time"],
            Self::Order => &["market", "account", "symbol", "id"],
            // A trade with oneself has one id and two orders.
            Self::Fill => &["market", "account", "symbol", "id", "order_id"],
            Self::Position | Self::Balance => &["market", "account", "symbol"],
            Self::Status => &["market", "symbol", "feed", "account", "channel"],
        }
    }

    /// Whether a field of the key counts with this value, given as JSON text: of a status, the channel does where it is an
    /// account's. A symbol has one status, whichever of its channels told it.
    pub(super) fn counts(self, name: &str, json: &str) -> bool {
        let of_account = || Self::parse(json.trim_matches('"')).is_some_and(Self::is_of_account);
        self != Self::Status || name != "channel" || of_account()
    }

    /// What rows of an account it has, if it has such.
    pub const fn account_kind(self) -> Option<AccountKind> {
        match self {
            Self::Order => Some(AccountKind::Order),
            Self::Fill => Some(AccountKind::Fill),
            Self::Position => Some(AccountKind::Position),
            Self::Balance => Some(AccountKind::Balance),
            _ => None,
        }
    }

    /// Whether its rows are of an account.
    pub const fn is_of_account(self) -> bool {
        self.account_kind().is_some()
    }

    /// Whether such a row says that it is over; `field` reads it as JSON text.
    pub(super) fn is_over<'a>(self, field: impl Fn(&str) -> Option<&'a str>) -> bool {
        match self {
            Self::Order => field("state").is_some_and(|state| is_order_over(state.trim_matches('"'))),
            Self::Balance => field("removed") == Some("true"),
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_accounts_are_told_apart_as_their_venue_does() {
        let keys = |kind, venue| Shape::new(kind, crate::venue::find(venue)).keys()[3..].to_vec();
        assert_eq!(keys(TableKind::Position, "okx"), ["kind", "position_side"]);
        assert_eq!(keys(TableKind::Position, "bybit"), ["position_idx"]);
        assert_eq!(keys(TableKind::Position, "binance"), ["position_side"]);
        assert_eq!(keys(TableKind::Balance, "quik"), ["limit_kind", "tag", "firm"]);
        assert_eq!(keys(TableKind::Balance, "nobody"), ["kind"]);
        assert_eq!(keys(TableKind::Order, "okx"), ["id"]);
    }

    #[test]
    fn names_topics_and_places_agree() {
        for (at, kind) in TableKind::ALL.into_iter().enumerate() {
            assert_eq!((kind.index(), TableKind::parse(kind.as_str())), (at, Some(kind)));
        }
        let of = |topic: &str| TableKind::of_topic(topic.as_bytes());
        assert_eq!(of("candle_1m.bybit.linear.BTCUSDT."), Some(TableKind::Candle));
        assert_eq!(of("position.okx.main.BTC-USDT-SWAP."), Some(TableKind::Position));
        for none in ["delta.v.m.A.", "raw.v.m.", "heartbeat.", "", "book"] {
            assert_eq!(of(none), None, "{none}");
        }
    }
}
