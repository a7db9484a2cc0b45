//! The state machine that keeps one book equal to the venue's, or says that it is not.
//!
//! A venue declares its [`SyncRule`]; this is the only place where snapshots and deltas meet.

use std::collections::VecDeque;

use super::{Book, BookError};
use crate::model::Level;

/// How a venue orders its book updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncRule {
    /// Each delta's `seq` is the one before plus one; `seq` 1 starts anew as a snapshot does.
    Increment,
    /// Like [`Self::Increment`], but the snapshot is an image fetched by REST, placed by `cross_seq` and `seq`;
    /// deltas wait for it, and `seq` 1 asks for a new one.
    IncrementFromImage,
    /// `seq` rises but not by one, so a gap cannot be seen; what does not rise is old.
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
    /// The second, coarser id; 0 where there is none.
    pub cross_seq: u64,
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
    /// Recoveries: snapshots that brought a lost book back.
    pub resyncs: u64,
}

/// Old deltas in a row after which the venue is taken to have restarted its numbers without saying so.
const OLD_IN_A_ROW_MAX: u32 = 100;
/// Deltas and levels kept while an image is on its way: at 5 a second, minutes of them.
const BUFFER_UPDATES_MAX: usize = 2_000;
const BUFFER_LEVELS_MAX: usize = 200_000;

#[derive(Clone, Debug)]
struct Buffered {
    seq: u64,
    cross_seq: u64,
    bids: Vec<Level>,
    asks: Vec<Level>,
}

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
    buffer: VecDeque<Buffered>,
    buffer_levels: usize,
    image: Option<Buffered>,
    stats: SyncStats,
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
            buffer: VecDeque::new(),
            buffer_levels: 0,
            image: None,
            stats: SyncStats { snapshots: 0, deltas: 0, ignored: 0, gaps: 0, crossed: 0, invalid: 0, resyncs: 0 },
        }
    }

    /// The book, while it is the venue's.
    pub fn live(&self) -> Option<&Book> {
        self.live.then_some(&self.book)
    }

    /// The venue's id of the last update applied.
    pub const fn seq(&self) -> u64 {
        self.seq
    }

    /// Counts since the start.
    pub const fn stats(&self) -> SyncStats {
        self.stats
    }

    /// Whether the rule needs a REST image and none is in place.
    pub fn wants_image(&self) -> bool {
        self.rule == SyncRule::IncrementFromImage && !self.live && self.image.is_none()
    }

    /// Gives the book up (disconnect, silence, a lost message): it waits for a snapshot again.
    pub fn reset(&mut self) {
        self.lost |= self.live;
        self.live = false;
        self.book.clear();
        self.seq = 0;
        self.cross_seq = 0;
        self.old_in_a_row = 0;
        self.drop_buffer();
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
            SyncRule::IncrementFromImage => self.with_image(update),
            SyncRule::Monotonic => self.monotonic(update),
            SyncRule::SnapshotOnly => self.snapshot_only(update),
        };
        if matches!(verdict, Verdict::Ignored) {
            self.stats.ignored += 1;
        }
        verdict
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

    fn monotonic(&mut self, update: SyncUpdate<'_>) -> Verdict {
        if update.snapshot {
            return self.replace(update);
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
        if self.book.is_crossed() { Err(Loss::Crossed) } else { Ok(()) }
    }

    fn lose_to_gap(&mut self, got: u64) -> Verdict {
        self.lose(Loss::Gap { expected: self.seq.wrapping_add(1), got })
    }

    #[cold]
    fn lose(&mut self, loss: Loss) -> Verdict {
        match loss {
            Loss::Gap { .. } => self.stats.gaps += 1,
            Loss::Crossed => self.stats.crossed += 1,
            Loss::Invalid(_) => self.stats.invalid += 1,
        }
        self.reset();
        self.lost = true;
        Verdict::Lost(loss)
    }

    fn with_image(&mut self, update: SyncUpdate<'_>) -> Verdict {
        if update.snapshot {
            if self.live {
                return Verdict::Ignored;
            }
            self.image = Some(Buffered::of(update));
            return self.align();
        }
        if !self.live {
            self.buffer_delta(update);
            return if self.image.is_some() { self.align() } else { Verdict::Buffered };
        }
        let verdict = if update.seq == 1 { self.lose_to_gap(1) } else { self.next(update) };
        if matches!(verdict, Verdict::Lost(Loss::Gap { .. })) {
            self.buffer_delta(update);
        }
        verdict
    }

    /// Keeps a delta for the image; a hole between buffered ones makes the older ones useless.
    fn buffer_delta(&mut self, update: SyncUpdate<'_>) {
        if let Some(last) = self.buffer.back() {
            if update.cross_seq < last.cross_seq {
                self.stats.ignored += 1;
                return;
            }
            if update.seq != last.seq.wrapping_add(1) {
                self.stats.ignored += self.buffer.len() as u64;
                self.drop_deltas();
            }
        }
        self.buffer_levels += update.bids.len() + update.asks.len();
        self.buffer.push_back(Buffered::of(update));
        if self.buffer.len() > BUFFER_UPDATES_MAX || self.buffer_levels > BUFFER_LEVELS_MAX {
            self.stats.ignored += self.buffer.len() as u64;
            self.drop_deltas();
        }
    }

    /// Joins the image and the buffered deltas, if they meet.
    fn align(&mut self) -> Verdict {
        let Some(image) = self.image.take() else { return Verdict::Buffered };
        while let Some(old) = self.buffer.front().filter(|delta| delta.cross_seq < image.cross_seq) {
            self.stats.ignored += 1;
            self.buffer_levels -= old.bids.len() + old.asks.len();
            self.buffer.pop_front();
        }
        let Some(first) = self.buffer.front() else {
            self.image = Some(image);
            return Verdict::Buffered;
        };
        let meets = first.cross_seq == image.cross_seq && first.seq == image.seq;
        let follows = first.cross_seq > image.cross_seq && first.seq == image.seq.wrapping_add(1);
        if !meets && !follows {
            return Verdict::ImageWanted;
        }
        let mut verdict = self.replace(image.as_update(true));
        for delta in std::mem::take(&mut self.buffer) {
            if delta.seq > self.seq && verdict == Verdict::Replaced {
                match self.next(delta.as_update(false)) {
                    Verdict::Changed => {}
                    other => verdict = other,
                }
            }
        }
        self.drop_buffer();
        verdict
    }

    fn drop_deltas(&mut self) {
        self.buffer.clear();
        self.buffer_levels = 0;
    }

    fn drop_buffer(&mut self) {
        self.drop_deltas();
        self.image = None;
    }
}

impl Buffered {
    fn of(update: SyncUpdate<'_>) -> Self {
        Self { seq: update.seq, cross_seq: update.cross_seq, bids: update.bids.to_vec(), asks: update.asks.to_vec() }
    }

    fn as_update(&self, snapshot: bool) -> SyncUpdate<'_> {
        SyncUpdate { snapshot, seq: self.seq, cross_seq: self.cross_seq, bids: &self.bids, asks: &self.asks }
    }
}
