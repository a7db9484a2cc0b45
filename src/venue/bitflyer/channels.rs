//! Channels: tickbus's names and bitFlyer's, by stream and back.

use crate::model::{AccountKind, BookDepth, Channel, Stream};
use crate::venue::ChannelSpec;

/// Levels a side of the whole book that bitFlyer sends.
const LEVELS: u16 = 300;

/// What a channel carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// The whole book, every five seconds.
    Whole,
    /// Changes of the book.
    Changes,
    /// Trades.
    Trades,
    /// The ticker.
    Ticker,
    /// What happens to orders of the account.
    ChildOrders,
    /// The same of orders that make others.
    ParentOrders,
}

/// Channels of one product, by what their names begin with; the first fits the second's names too.
const KINDS: [(Kind, &str); 4] = [
    (Kind::Whole, "lightning_board_snapshot_"),
    (Kind::Changes, "lightning_board_"),
    (Kind::Trades, "lightning_executions_"),
    (Kind::Ticker, "lightning_ticker_"),
];

/// Channels of the account.
const OF_ACCOUNT: [(Kind, &str); 2] =
    [(Kind::ChildOrders, "child_order_events"), (Kind::ParentOrders, "parent_order_events")];

impl Kind {
    /// The channel's name for a product.
    pub(super) fn of(self, product: &str) -> String {
        let name = KINDS.iter().chain(&OF_ACCOUNT).find(|(kind, _)| *kind == self).map_or("", |(_, name)| name);
        format!("{name}{product}")
    }

    /// The channel of a stream that it speaks for.
    const fn channel(self) -> Channel {
        match self {
            Self::Whole | Self::Changes => BOOK,
            Self::Trades => Channel::Trade,
            Self::Ticker => Channel::Ticker,
            Self::ChildOrders | Self::ParentOrders => Channel::Account(AccountKind::Order),
        }
    }

    /// The streams that a recording's message stands for.
    pub(super) fn streams(self, product: &str) -> Vec<Stream> {
        let mut streams = vec![Stream::new(product, self.channel())];
        if self == Self::ChildOrders {
            streams.push(Stream::new(product, Channel::Account(AccountKind::Fill)));
        }
        streams
    }
}

const BOOK: Channel = Channel::Book(BookDepth::Levels(LEVELS));

/// What a channel's name says: its kind and its product.
pub(super) fn read(name: &str) -> Option<(Kind, &str)> {
    if let Some((kind, _)) = OF_ACCOUNT.iter().find(|(_, known)| *known == name) {
        return Some((*kind, ""));
    }
    KINDS.iter().find_map(|(kind, prefix)| Some((*kind, name.strip_prefix(prefix)?)))
}

/// The channels that a stream takes; the first speaks for it. The ticker of a book says whether the market is open.
pub(super) fn topics(stream: &Stream) -> Vec<String> {
    let kinds: &[Kind] = match stream.channel {
        Channel::Book(_) | Channel::Bbo => &[Kind::Whole, Kind::Changes, Kind::Ticker],
        Channel::Trade => &[Kind::Trades],
        Channel::Ticker => &[Kind::Ticker],
        Channel::Account(AccountKind::Order) => &[Kind::ChildOrders, Kind::ParentOrders],
        // Positions and balances have no channel: what happens to orders says when they may have changed.
        Channel::Account(_) => &[Kind::ChildOrders],
        Channel::Candle(_) | Channel::Liquidation | Channel::Raw => &[],
    };
    kinds.iter().map(|kind| kind.of(&stream.symbol)).collect()
}

/// Every channel, as config spells it.
pub(super) fn list(_market: &str) -> Vec<String> {
    let public = [BOOK.to_string(), "bbo".to_owned(), "trade".to_owned(), "ticker".to_owned()];
    public.into_iter().chain(AccountKind::ALL.map(|kind| kind.as_str().to_owned())).collect()
}

/// Reads one entry of a feed's `channels`.
pub(super) fn parse(_market: &str, text: &str) -> Result<ChannelSpec, String> {
    let channel = match text {
        "book" => BOOK,
        "bbo" => Channel::Bbo,
        "trade" => Channel::Trade,
        "ticker" => Channel::Ticker,
        _ => match text.strip_prefix("book:") {
            Some(depth) if depth == LEVELS.to_string() => BOOK,
            Some(_) => return Err(format!("{text} is not available: bitFlyer has one book, of {LEVELS} levels: book")),
            None => match AccountKind::parse(text) {
                Some(kind) => Channel::Account(kind),
                None => {
                    let allowed = || list("").join(", ");
                    return theirs(text).ok_or_else(|| format!("unknown channel {text:?}; allowed: {}", allowed()));
                }
            },
        },
    };
    Ok(ChannelSpec::of(channel))
}

/// bitFlyer's own spelling, for all the feed's symbols or with a product.
fn theirs(text: &str) -> Option<ChannelSpec> {
    if let Some((kind, _)) = KINDS.iter().find(|(_, prefix)| prefix.strip_suffix('_') == Some(text)) {
        return Some(ChannelSpec::of(kind.channel()));
    }
    let (kind, product) = read(text)?;
    if kind.channel() == Channel::Account(AccountKind::Order) {
        return Some(ChannelSpec::of(kind.channel()));
    }
    if product.is_empty() {
        return None;
    }
    Some(ChannelSpec { symbols: vec![product.to_owned()], ..ChannelSpec::of(kind.channel()) })
}
