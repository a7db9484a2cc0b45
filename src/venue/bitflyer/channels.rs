//! Channels: tickbus's names and bitFlyer's, by stream and back.

use crate::model::{BookDepth, Channel, Stream};
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
}

/// Channels of one product, by what their names begin with; the first fits the second's names too.
const KINDS: [(Kind, &str); 4] = [
    (Kind::Whole, "lightning_board_snapshot_"),
    (Kind::Changes, "lightning_board_"),
    (Kind::Trades, "lightning_executions_"),
    (Kind::Ticker, "lightning_ticker_"),
];

impl Kind {
    /// The channel's name for a product.
    pub(super) fn of(self, product: &str) -> String {
        let name = KINDS.iter().find(|(kind, _)| *kind == self).map_or("", |(_, name)| name);
        format!("{name}{product}")
    }

    /// The channel of a stream that it speaks for.
    const fn channel(self) -> Channel {
        match self {
            Self::Whole | Self::Changes => BOOK,
            Self::Trades => Channel::Trade,
            Self::Ticker => Channel::Ticker,
        }
    }

    /// The stream that a recording's message stands for.
    pub(super) fn stream(self, product: &str) -> Stream {
        Stream::new(product, self.channel())
    }
}

const BOOK: Channel = Channel::Book(BookDepth::Levels(LEVELS));

/// What a channel's name says: its kind and its product.
pub(super) fn read(name: &str) -> Option<(Kind, &str)> {
    KINDS.iter().find_map(|(kind, prefix)| Some((*kind, name.strip_prefix(prefix)?)))
}

/// The channels that a stream takes; the first speaks for it. The ticker of a book says whether the market is open.
pub(super) fn topics(stream: &Stream) -> Vec<String> {
    let kinds: &[Kind] = match stream.channel {
        Channel::Book(_) | Channel::Bbo => &[Kind::Whole, Kind::Changes, Kind::Ticker],
        Channel::Trade => &[Kind::Trades],
        Channel::Ticker => &[Kind::Ticker],
        Channel::Candle(_) | Channel::Liquidation | Channel::Account(_) | Channel::Raw => &[],
    };
    kinds.iter().map(|kind| kind.of(&stream.symbol)).collect()
}

/// Every channel, as config spells it.
pub(super) fn list(_market: &str) -> Vec<String> {
    vec![BOOK.to_string(), "bbo".to_owned(), "trade".to_owned(), "ticker".to_owned()]
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
            None => return theirs(text).ok_or_else(|| format!("unknown channel {text:?}")),
        },
    };
    Ok(ChannelSpec::of(channel))
}

/// bitFlyer's own spelling, for all the feed's symbols or with a product.
fn theirs(text: &str) -> Option<ChannelSpec> {
    if let Some((kind, _)) = KINDS.iter().find(|(_, prefix)| prefix.strip_suffix('_') == Some(text)) {
        return Some(ChannelSpec::of(kind.channel()));
    }
    let (kind, product) = read(text).filter(|(_, product)| !product.is_empty())?;
    Some(ChannelSpec { symbols: vec![product.to_owned()], ..ChannelSpec::of(kind.channel()) })
}
