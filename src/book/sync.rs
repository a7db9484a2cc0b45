//! The state machine that keeps one book equal to the venue's, or says that it is not.
//!
//! A venue declares its [`SyncRule`]; this is the only place where snapshots and deltas meet.

mod imaged;
mod repeated;

use self::repeated::Repeat;
use super::image::Waiting;
use super::reach::Reach;
use super::{Book, BookError, checksum};
use crate::model::{Decimal, Level};

/// How a venue orders its book updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncRule {
    /// Each delta's `seq` is the one before plus one; `seq` 1 starts anew as a snapshot does.
    Increment,
    /// Like [`Self::Increment`], but the snapshot is an image fetched by REST, placed by `cross_seq` and `seq`;
    /// deltas wait for it, and `seq` 1 asks for a new one.
    IncrementFromImage,
    /// Each delta names the one before (`previous`), whose `seq` it must be; numbers need not rise. One that names itself
    /// says that nothing changed (OKX).
    Linked,
    /// A delta covers the ids from `first` to `seq`, and the next begins after it; the snapshot is an image fetched by
    /// REST, whose `seq` must lie in the first delta or just before it (Binance spot).
    RangeFromImage,
    /// As [`Self::RangeFromImage`], but ids are shared with other books: each delta names the one before (`previous`),
    /// and the image's `seq` must lie in the first delta or between it and the one before (Binance futures).
    LinkedRangeFromImage,
    /// No ids at all: every delta is taken. What is lost shows when the venue repeats the whole book, which may be ahead of
    /// the deltas by one; or by a checksum, or the middle of the best prices (bitFlyer).
    Unsequenced,
    /// `seq` rises but not by one, so a gap cannot be seen; what does not rise is old, a snapshot only if its `cross_seq`
    /// does not rise either.
    Monotonic,
    /// Only snapshots; one that repeats the last `seq` says that nothing changed. A delta that comes all the same is
    /// taken as under [`Self::Increment`].
    SnapshotOnly,
}

/// One update, as the state machine sees it. Fields as in `venue::BookUpdate`.
#[derive(Clone, Copy, Debug)]
pub struct SyncUpdate<'a> {
    /// Whether it replaces the book.
    pub snapshot: bool,
    /// The venue's id of this update.
    pub seq: u64,
    /// The first id it covers; 0 where there is none.
    pub first: u64,
    /// The `seq` of the update before it; 0 where the venue does not say.
    pub previous: u64,
    /// The second, coarser id; 0 where there is none.
    pub cross_seq: u64,
    /// What [`book_checksum`](super::book_checksum) of the book must be afterwards.
    pub checksum: Option<u32>,
    /// The middle of the best prices afterwards, to less than a tick; what lies beyond it is dropped.
    pub middle: Option<Decimal>,
    /// Bid levels.
    pub bids: &'a [Level],
    /// Ask levels.
    pub asks: &'a [Level],
}

/// What became of an update.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The book was replaced and is live.
    Replaced,
    /// The book was changed and is live.
    Changed,
    /// The book is live and was confirmed unchanged.
    Confirmed,
    /// Old, or not usable before a snapshot. The book is as it was.
    Ignored,
    /// Kept until the image comes.
    Buffered,
    /// An image is needed (again).
    ImageWanted,
    /// The book is no longer the venue's and was cleared.
    Lost(Loss),
}

/// Why a book was lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// Updates are missing.
    Gap {
        /// The sequence that should have come.
        expected: u64,
        /// The one that came.
        got: u64,
    },
    /// The best bid is not below the best ask.
    Crossed,
    /// The venue's checksum is another.
    Checksum {
        /// The venue's.
        expected: u32,
        /// The book's.
        got: u32,
    },
    /// The middle of the best prices is not the venue's.
    Middle {
        /// The venue's.
        expected: Decimal,
        /// The best bid and the best ask.
        got: [Decimal; 2],
    },
    /// The venue repeated the book with changes of which it had sent no delta.
    Unsaid {
        /// How many levels.
        levels: usize,
    },
    /// An update that cannot be applied.
    Invalid(BookError),
}

/// Counts of what happened to a book since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SyncStats {
    /// Snapshots used, repeats included.
    pub snapshots: u64,
    /// Deltas applied.
    pub deltas: u64,
    /// Deltas and snapshots that were not used.
    pub ignored: u64,
    /// Gaps.
    pub gaps: u64,
    /// Crossed states.
    pub crossed: u64,
    /// Updates that could not be read or applied.
    pub invalid: u64,
    /// Checksums that were right.
    pub checksum_ok: u64,
    /// Checksums that were not.
    pub checksum_bad: u64,
    /// Levels dropped because they were beyond the middle of the best prices.
    pub pruned: u64,
    /// Repetitions of the book with levels that no delta explains.
    pub differed: u64,
    /// Recoveries: snapshots that brought a lost book back.
    pub resyncs: u64,
}

/// Old deltas in a row after which the venue is taken to have restarted its numbers without saying so.
const OLD_IN_A_ROW_MAX: u32 = 100;
/// A book and what is needed to keep it true.
#[derive(Clone, Debug)]
pub struct BookSync {
    rule: SyncRule,
    book: Book,
    live: bool,
    lost: bool,
    seq: u64,
    cross_seq: u64,
    old_in_a_row: u32,
    /// The book is an image on which no delta has followed yet.
    is_image: bool,
    /// How far the image reached.
    reach: Reach,
    /// A new image is on its way for a book that is live.
    refreshing: bool,
    waiting: Waiting,
    repeat: Repeat,
    findings: Findings,
    stats: SyncStats,
}

/// What was found out about a live book by an update that it outlived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Levels dropped because they were beyond the middle of the best prices.
    pub pruned: usize,
    /// Levels that the venue has otherwise, and had not told of; they were replaced.
    pub differed: usize,
}

impl BookSync {
    /// An empty book that waits for its first snapshot; `cap` is the most levels a side may have.
    pub const fn new(rule: SyncRule, cap: usize) -> Self {
        Self {
            rule,
            book: Book::new(cap),
            live: false,
            lost: false,
            seq: 0,
            cross_seq: 0,
            old_in_a_row: 0,
            is_image: false,
            reach: Reach::NOTHING,
            refreshing: false,
            waiting: Waiting::new(),
            repeat: Repeat::new(),
            findings: Findings { pruned: 0, differed: 0 },
            stats: SyncStats {
                snapshots: 0,
                deltas: 0,
                ignored: 0,
                gaps: 0,
                crossed: 0,
                invalid: 0,
                checksum_ok: 0,
                checksum_bad: 0,
                pruned: 0,
                differed: 0,
                resyncs: 0,
            },
        }
    }

    /// The book, while it is the venue's.
    pub fn live(&self) -> Option<&Book> {
        self.live.then_some(&self.book)
    }

    /// The rule it goes by.
    pub const fn rule(&self) -> SyncRule {
        self.rule
    }

    /// The venue's id of the last update applied.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Deltas that wait for an image now: of the book that is not there yet.
    pub fn buffered(&self) -> u64 {
        if self.live { 0 } else { self.waiting.len() as u64 }
    }

    /// Counts since the start.
    pub const fn stats(&self) -> SyncStats {
        self.stats
    }

    /// What was found out since this was asked last.
    pub const fn take_findings(&mut self) -> Findings {
        std::mem::replace(&mut self.findings, Findings { pruned: 0, differed: 0 })
    }

    /// Gives the book up (disconnect, silence, a lost message): it waits for a snapshot again.
    pub fn reset(&mut self) {
        self.stats.ignored += self.buffered();
        self.lost |= self.live;
        self.live = false;
        self.book.clear();
        self.seq = 0;
        self.cross_seq = 0;
        self.old_in_a_row = 0;
        self.is_image = false;
        self.refreshing = false;
        self.waiting.clear();
        self.repeat.forget();
    }

    /// Counts an update that could not be read; the caller decides what becomes of the book.
    pub const fn unreadable(&mut self) {
        self.stats.invalid += 1;
    }

    /// Takes one update.
    #[inline]
    pub fn update(&mut self, update: SyncUpdate<'_>) -> Verdict {
        let verdict = match self.rule {
            SyncRule::Increment => self.increment(update),
            SyncRule::Linked => self.linked(update),
            SyncRule::IncrementFromImage | SyncRule::RangeFromImage | SyncRule::LinkedRangeFromImage => {
                self.with_image(update)
            }
            SyncRule::Unsequenced => self.unsequenced(update),
            SyncRule::Monotonic => self.monotonic(update),
            SyncRule::SnapshotOnly => self.snapshot_only(update),
        };
        if matches!(verdict, Verdict::Ignored) {
            self.stats.ignored += 1;
        }
        verdict
    }

    /// Whether a live book lacks something that came before this delta.
    pub fn has_gap_before(&self, update: &SyncUpdate<'_>) -> bool {
        let next = self.seq.wrapping_add(1);
        self.live
            && match self.rule {
                SyncRule::Increment | SyncRule::IncrementFromImage => update.seq > next,
                SyncRule::RangeFromImage => update.first > next,
                SyncRule::Linked | SyncRule::LinkedRangeFromImage => update.previous > self.seq,
                SyncRule::Monotonic | SyncRule::SnapshotOnly | SyncRule::Unsequenced => false,
            }
    }

    fn increment(&mut self, update: SyncUpdate<'_>) -> Verdict {
        if update.snapshot || update.seq == 1 {
            if self.is_from_the_past(update) {
                return self.lose_to_gap(update.seq);
            }
            return self.replace(update);
        }
        if !self.live {
            return Verdict::Ignored;
        }
        self.next(update)
    }

    /// A delta for a live book whose `seq` counts by one.
    #[inline]
    fn next(&mut self, update: SyncUpdate<'_>) -> Verdict {
        if update.seq == self.seq.wrapping_add(1) {
            return self.change(update);
        }
        if update.seq <= self.seq {
            return self.old(update.seq);
        }
        self.lose_to_gap(update.seq)
    }

    fn linked(&mut self, update: SyncUpdate<'_>) -> Verdict {
        if update.snapshot {
            return self.replace(update);
        }
        if !self.live {
            return Verdict::Ignored;
        }
        self.next_linked(update)
    }

    /// A delta for a live book that names the one before it.
    fn next_linked(&mut self, update: SyncUpdate<'_>) -> Verdict {
        if update.previous != self.seq {
            // One that follows on what has not come yet is no old one, wherever its own number leads.
            let is_old = update.seq <= self.seq && update.previous <= self.seq;
            return if is_old { self.old(update.seq) } else { self.lose_to_gap(update.previous) };
        }
        if update.seq == self.seq && update.bids.is_empty() && update.asks.is_empty() {
            return Verdict::Confirmed;
        }
        self.change(update)
    }

    /// A delta for a live book that covers a range of ids.
    fn next_range(&mut self, update: SyncUpdate<'_>) -> Verdict {
        if update.seq <= self.seq {
            return self.old(update.seq);
        }
        if update.first > self.seq.wrapping_add(1) {
            return self.lose_to_gap(update.first);
        }
        self.change(update)
    }

    fn monotonic(&mut self, update: SyncUpdate<'_>) -> Verdict {
        if update.snapshot {
            return if self.is_from_the_past(update) { self.old(update.seq) } else { self.replace(update) };
        }
        if !self.live {
            return Verdict::Ignored;
        }
        if update.seq <= self.seq {
            return self.old(update.seq);
        }
        self.change(update)
    }

    /// A venue that sends only snapshots sends no deltas; one that comes all the same says what changed, not all there is.
    fn snapshot_only(&mut self, update: SyncUpdate<'_>) -> Verdict {
        if !update.snapshot {
            return self.increment(update);
        }
        if self.live && update.seq == self.seq {
            self.stats.snapshots += 1;
            return Verdict::Confirmed;
        }
        if self.is_from_the_past(update) {
            return self.old(update.seq);
        }
        self.replace(update)
    }

    /// Whether a snapshot is older than the live book by both of the venue's ids. A restart (`seq` 1) is not.
    const fn is_from_the_past(&self, update: SyncUpdate<'_>) -> bool {
        self.live && update.seq != 1 && update.seq < self.seq && update.cross_seq < self.cross_seq
    }

    /// An update the book already contains. Too many in a row mean that the venue's numbers started anew.
    fn old(&mut self, seq: u64) -> Verdict {
        self.old_in_a_row += 1;
        if self.old_in_a_row > OLD_IN_A_ROW_MAX {
            return self.lose_to_gap(seq);
        }
        Verdict::Ignored
    }

    fn replace(&mut self, update: SyncUpdate<'_>) -> Verdict {
        self.book.clear();
        match self.apply(update) {
            Ok(()) => {
                self.stats.snapshots += 1;
                self.stats.resyncs += u64::from(self.lost);
                self.lost = false;
                self.live = true;
                Verdict::Replaced
            }
            Err(loss) => self.lose(loss),
        }
    }

    #[inline]
    fn change(&mut self, update: SyncUpdate<'_>) -> Verdict {
        match self.apply(update) {
            Ok(()) => {
                self.stats.deltas += 1;
                Verdict::Changed
            }
            Err(loss) => self.lose(loss),
        }
    }

    #[inline]
    fn apply(&mut self, update: SyncUpdate<'_>) -> Result<(), Loss> {
        self.book.apply(update.bids, update.asks).map_err(Loss::Invalid)?;
        self.seq = update.seq;
        self.cross_seq = update.cross_seq;
        self.old_in_a_row = 0;
        if let Some(middle) = update.middle {
            self.prune(middle)?;
        }
        if self.book.is_crossed() {
            return Err(Loss::Crossed);
        }
        match update.checksum {
            None => Ok(()),
            Some(expected) => self.check(expected),
        }
    }

    fn check(&mut self, expected: u32) -> Result<(), Loss> {
        let got = checksum::book_checksum(&self.book);
        if got != expected {
            return Err(Loss::Checksum { expected, got });
        }
        self.stats.checksum_ok += 1;
        Ok(())
    }

    fn lose_to_gap(&mut self, got: u64) -> Verdict {
        let expected = match self.rule {
            // The number that the update should have named as the one before it.
            SyncRule::Linked | SyncRule::LinkedRangeFromImage => self.seq,
            _ => self.seq.wrapping_add(1),
        };
        self.lose(Loss::Gap { expected, got })
    }

    #[cold]
    fn lose(&mut self, loss: Loss) -> Verdict {
        match loss {
            Loss::Gap { .. } | Loss::Unsaid { .. } => self.stats.gaps += 1,
            Loss::Crossed => self.stats.crossed += 1,
            Loss::Checksum { .. } | Loss::Middle { .. } => self.stats.checksum_bad += 1,
            Loss::Invalid(_) => self.stats.invalid += 1,
        }
        self.reset();
        self.lost = true;
        Verdict::Lost(loss)
    }
}

impl SyncRule {
    /// Whether the snapshot is an image fetched by REST.
    pub const fn is_from_image(self) -> bool {
        matches!(self, Self::IncrementFromImage | Self::RangeFromImage | Self::LinkedRangeFromImage)
    }
}
