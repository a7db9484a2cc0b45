//! What a feed can tell about itself.

use super::core::{Core, SymbolState};
use super::event::{BookView, Status, Symbol};
use super::stream::StreamState;
use crate::book::{BookSync, SyncStats, crc25};
use crate::model::{AccountKind, Channel, Level};

/// A feed's counters since the start; the field names are the metric names.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Messages read.
    pub messages: u64,
    /// Bytes read.
    pub bytes: u64,
    /// Messages that could not be understood.
    pub errors: u64,
    /// Messages that carry nothing for us (unknown topics and kinds, not pongs).
    pub ignored: u64,
    /// Gaps found.
    pub gaps: u64,
    /// Crossed books found.
    pub crossed: u64,
    /// Checksums of the venue's that were not the book's, middle prices included.
    pub checksums_bad: u64,
    /// Levels dropped from live books because the venue's middle price was beyond them.
    pub pruned: u64,
    /// Whole books of the venue's that differed from live ones as no update explains.
    pub differed: u64,
    /// Resyncs asked for.
    pub resyncs: u64,
    /// Trades seen.
    pub trades: u64,
    /// Snapshots applied.
    pub snapshots: u64,
    /// Deltas applied.
    pub deltas: u64,
    /// Streams that fell silent.
    pub silences: u64,
    /// Polls that were to be made and could not, as the venue or its call budget did not keep up.
    pub late: u64,
    /// Candles and trades of the past that were fetched and published.
    pub backfilled: u64,
    /// Calls for the past that failed, and were made again.
    pub backfill_failures: u64,
    /// Parts of the past that were given up.
    pub backfill_lost: u64,
}

impl Counters {
    #[inline]
    pub(super) const fn received(&mut self, bytes: usize) {
        self.messages += 1;
        self.bytes += bytes as u64;
    }
}

/// How one symbol stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SymbolReport {
    /// The venue's own spelling; empty for the feed as a whole.
    pub symbol: String,
    /// Its state.
    pub status: Status,
    /// Whether that is the state of a book, and not of trades or other data alone.
    pub book: bool,
}

/// How one channel of the feed's account stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccountReport {
    /// Which.
    pub kind: AccountKind,
    /// Its state.
    pub status: Status,
}

/// A feed's state for operators.
#[derive(Clone, Debug, Default)]
pub struct FeedReport {
    /// Counters since the start.
    pub counters: Counters,
    /// Every symbol's state, the feed as a whole first.
    pub symbols: Vec<SymbolReport>,
    /// The state of each channel of its account.
    pub account: Vec<AccountReport>,
    /// Parts of the past that are missing and being fetched.
    pub backfilling: usize,
    /// Milliseconds that the venue's clock is ahead of ours, if logins are signed by it.
    pub clock_ahead_ms: Option<i64>,
}

/// What became of one symbol's book in a replay.
#[derive(Clone, Debug)]
pub struct BookReport {
    /// The venue's own spelling.
    pub symbol: String,
    /// How it stands.
    pub status: Status,
    /// Counts.
    pub stats: SyncStats,
    /// Deltas that wait for an image at the end.
    pub buffered: u64,
    /// Trades seen.
    pub trades: u64,
    /// The book at the end, if it was live then.
    pub last: Option<LastBook>,
}

/// A live book at the end of a replay.
#[derive(Clone, Debug)]
pub struct LastBook {
    /// The venue's id of the last update; 0 where it has none.
    pub venue_seq: u64,
    /// Best five bids.
    pub bids: Vec<Level>,
    /// Best five asks.
    pub asks: Vec<Level>,
    /// How many bid levels.
    pub n_bids: usize,
    /// How many ask levels.
    pub n_asks: usize,
    /// Digest of the best 25 levels a side.
    pub crc25: u32,
}

impl Core {
    pub(super) fn book(&self, symbol: u32) -> Option<(&Symbol, BookView<'_>)> {
        let state = self.symbols.get(symbol as usize)?;
        let stream = self.streams.get(state.main? as usize)?;
        let sync = stream.book.as_ref().filter(|_| matches!(stream.stream.channel, Channel::Book(_)))?;
        let view = BookView { book: sync.live()?, venue_seq: sync.seq(), clocks: stream.clocks };
        Some((&state.symbol, view))
    }

    pub(super) fn report(&self) -> FeedReport {
        let whole = SymbolReport { symbol: String::new(), status: self.feed.clone(), book: false };
        let of_symbol = |state: &SymbolState| {
            let main = self.streams.get(state.main? as usize)?;
            let (symbol, status) = (state.symbol.name.clone(), main.status.clone());
            Some(SymbolReport { symbol, status, book: main.has_book() })
        };
        let symbols = std::iter::once(whole).chain(self.symbols.iter().filter_map(of_symbol)).collect();
        FeedReport { counters: self.counters, symbols, account: self.account_reports(), ..FeedReport::default() }
    }

    fn account_reports(&self) -> Vec<AccountReport> {
        let of_account = |stream: &StreamState| match stream.stream.channel {
            Channel::Account(kind) if stream.wanted => Some(AccountReport { kind, status: stream.status.clone() }),
            _ => None,
        };
        self.streams.iter().filter_map(of_account).collect()
    }

    pub(super) fn book_reports(&self) -> Vec<BookReport> {
        let of_symbol = |state: &SymbolState| {
            let stream = self.streams.get(state.main? as usize)?;
            let sync = stream.book.as_ref();
            let last = sync.and_then(|sync| {
                let book = sync.live()?;
                Some(LastBook {
                    venue_seq: sync.seq(),
                    bids: book.bids().take(5).collect(),
                    asks: book.asks().take(5).collect(),
                    n_bids: book.bids().len(),
                    n_asks: book.asks().len(),
                    crc25: crc25(book),
                })
            });
            let stats = sync.map(BookSync::stats).unwrap_or_default();
            Some(BookReport {
                symbol: state.symbol.name.clone(),
                status: stream.status.clone(),
                stats,
                buffered: sync.map_or(0, BookSync::buffered),
                trades: state.trades,
                last,
            })
        };
        self.symbols.iter().filter_map(of_symbol).collect()
    }
}
