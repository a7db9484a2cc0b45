//! Channels (kinds of data) and streams (one channel of one symbol).

use std::fmt;

/// How many levels a side a book subscription asks the venue for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum BookDepth {
    /// A fixed number of levels.
    Levels(u16),
    /// Everything the venue has.
    Full,
}

/// Kind of an account's rows: its channel.
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
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Order, Self::Fill, Self::Position, Self::Balance];

    /// The channel's name in config and topics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Order => "order",
            Self::Fill => "fill",
            Self::Position => "position",
            Self::Balance => "balance",
        }
    }

    /// The kind that config calls so.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == word)
    }
}

/// A kind of data that a feed subscribes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Channel {
    /// Order book: published as `book`, `delta` and `bbo`.
    Book(BookDepth),
    /// Best bid and offer from the venue's own top-of-book stream.
    Bbo,
    /// Public trades.
    Trade,
    /// Last, mark, index, funding, open interest: what the venue gives.
    Ticker,
    /// Candles of one interval.
    Candle(Interval),
    /// Forced liquidations.
    Liquidation,
    /// Rows of the account that the feed signs in with. It names no symbol: its streams' symbol is empty.
    Account(AccountKind),
    /// Whatever the venue sends after a subscription in its own words, which are the stream's symbol.
    Raw,
}

impl Channel {
    /// Whether it tells rows of an account.
    pub const fn is_of_account(self) -> bool {
        matches!(self, Self::Account(_))
    }

    /// Whether a stream of it has a symbol.
    pub const fn has_symbol(self) -> bool {
        !matches!(self, Self::Account(_) | Self::Raw)
    }
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Book(BookDepth::Levels(n)) => write!(f, "book:{n}"),
            Self::Book(BookDepth::Full) => f.write_str("book:full"),
            Self::Bbo => f.write_str("bbo"),
            Self::Trade => f.write_str("trade"),
            Self::Ticker => f.write_str("ticker"),
            Self::Candle(interval) => write!(f, "candle:{interval}"),
            Self::Liquidation => f.write_str("liquidation"),
            Self::Account(kind) => f.write_str(kind.as_str()),
            Self::Raw => f.write_str("raw"),
        }
    }
}

/// A candle interval: a count and a unit, written `1m`, `4h`, `1d`, `1w`, `1M`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    /// How many units, 1..=999.
    pub count: u16,
    /// `s`, `m`, `h`, `d`, `w` or `M` (month).
    pub unit: char,
}

impl Interval {
    /// Reads `1m`, `15m`, `4h`, `1d`, `1w`, `1M`; `None` for anything else.
    pub fn parse(text: &str) -> Option<Self> {
        let unit = text.chars().last()?;
        let digits = text.strip_suffix(unit)?;
        let plain = (1..=3).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
        let count = if plain { digits.parse().ok()? } else { return None };
        (count > 0 && "smhdwM".contains(unit)).then_some(Self { count, unit })
    }
}

impl fmt::Display for Interval {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.count, self.unit)
    }
}

/// One channel of one symbol: what a subscription is made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stream {
    /// The venue's own spelling; empty for an account's, and a raw stream's text.
    pub symbol: String,
    /// What is subscribed to.
    pub channel: Channel,
    /// Which of several ways the venue has to give it, where it has several (`all`, `agg`, `tbt`); else empty.
    pub variant: &'static str,
}

impl Stream {
    /// The channel in the venue's usual way.
    pub fn new(symbol: impl Into<String>, channel: Channel) -> Self {
        Self { symbol: symbol.into(), channel, variant: "" }
    }
}

impl fmt::Display for Stream {
    /// As config spells the channel, with the symbol: `BTCUSDT book:50`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.channel == Channel::Raw {
            return write!(f, "raw:{}", self.symbol);
        }
        write!(f, "{} {}", self.symbol, self.channel)?;
        if self.variant.is_empty() { Ok(()) } else { write!(f, ":{}", self.variant) }
    }
}

/// A stream's place in its feed's table: what travels on the hot path instead of names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamId(pub u32);
