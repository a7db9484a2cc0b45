//! Books without ids, which the venue repeats as a whole from time to time: each repetition is compared with the book.
//!
//! Deltas and repetitions are made apart from one another: a repetition may have what the next delta will tell. So levels
//! that differ are explained by the first delta that follows, or they are not.

use std::iter::Peekable;

use super::super::reach::{Reach, is_below};
use super::{Book, BookSync, Loss, SyncUpdate, Verdict};
use crate::model::{Decimal, Level};

/// Repetitions in a row that differed from the book, without any delta since the first, after which no deltas are taken to
/// come at all. One proves nothing: the venue may have sent it right after another.
const UNSAID_MAX: u32 = 2;

/// What the last repetition had and the book had not, until a delta explains it.
#[derive(Clone, Debug, Default)]
pub(super) struct Repeat {
    bids: Vec<Level>,
    asks: Vec<Level>,
    /// Repetitions that differed, of which no delta has come when the next one did.
    unsaid: u32,
}

impl Repeat {
    pub(super) const fn new() -> Self {
        Self { bids: Vec::new(), asks: Vec::new(), unsaid: 0 }
    }

    pub(super) fn forget(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.unsaid = 0;
    }

    fn len(&self) -> usize {
        self.bids.len() + self.asks.len()
    }

    /// The first delta after the repetition: how many levels it does not tell of.
    fn explain(&mut self, delta: SyncUpdate<'_>) -> usize {
        let told = |levels: &[Level], level: &Level| levels.iter().any(|told| is_same(told.price, level.price));
        let unexplained = |of: &[Level], levels: &[Level]| of.iter().filter(|level| !told(levels, level)).count();
        let count = unexplained(&self.bids, delta.bids) + unexplained(&self.asks, delta.asks);
        self.forget();
        count
    }
}

fn is_same(a: Decimal, b: Decimal) -> bool {
    !is_below(a, b) && !is_below(b, a)
}

/// Appends the levels of two sides, both best first, that are not in both alike.
fn unlike(
    ours: impl Iterator<Item = Level>,
    theirs: impl Iterator<Item = Level>,
    is_better: fn(Decimal, Decimal) -> bool,
    out: &mut Vec<Level>,
) {
    let (mut ours, mut theirs): (Peekable<_>, Peekable<_>) = (ours.peekable(), theirs.peekable());
    loop {
        let next = match (ours.peek(), theirs.peek()) {
            (None, None) => return,
            (Some(a), Some(b)) if is_same(a.price, b.price) => {
                let (a, b) = (*a, *b);
                ours.next();
                theirs.next();
                (!is_same(a.size, b.size)).then_some(b)
            }
            (Some(a), Some(b)) if is_better(a.price, b.price) => ours.next(),
            (Some(_), None) => ours.next(),
            _ => theirs.next(),
        };
        out.extend(next);
    }
}

impl BookSync {
    pub(super) fn unsequenced(&mut self, update: SyncUpdate<'_>) -> Verdict {
        match (update.snapshot, self.live) {
            (true, true) => self.repeated(update),
            (true, false) => {
                self.reach = Reach::of(update);
                self.replace(update)
            }
            (false, true) => {
                if self.repeat.len() > 0 {
                    let levels = self.repeat.explain(update);
                    self.differed(levels);
                }
                self.repeat.unsaid = 0;
                self.change(update)
            }
            (false, false) => Verdict::Ignored,
        }
    }

    /// The book was another than the venue's in so many levels.
    const fn differed(&mut self, levels: usize) {
        self.findings.differed += levels;
        self.stats.differed += (levels > 0) as u64;
    }

    /// The venue sent the whole of a live book.
    fn repeated(&mut self, update: SyncUpdate<'_>) -> Verdict {
        let unexplained = self.repeat.len();
        if unexplained > 0 {
            self.differed(unexplained);
            self.repeat.unsaid += 1;
            if self.repeat.unsaid >= UNSAID_MAX {
                return self.lose(Loss::Unsaid { levels: unexplained });
            }
            self.repeat.bids.clear();
            self.repeat.asks.clear();
        }
        let mut fresh = Book::new(self.book.cap());
        if let Err(error) = fresh.apply(update.bids, update.asks) {
            return self.lose(Loss::Invalid(error));
        }
        unlike(self.book.bids(), fresh.bids(), |a, b| is_below(b, a), &mut self.repeat.bids);
        unlike(self.book.asks(), fresh.asks(), is_below, &mut self.repeat.asks);
        let is_equal = self.repeat.len() == 0;
        // What lies beyond the worst level of either was never told.
        let (before, reach) = (self.reach, Reach::of(update));
        let told = |bid, ask| before.tells(bid, ask) && reach.tells(bid, ask);
        self.repeat.bids.retain(|level| told(Some(level.price), None));
        self.repeat.asks.retain(|level| told(None, Some(level.price)));
        self.reach = reach;
        if !is_equal {
            return self.replace(update);
        }
        match self.change(update) {
            Verdict::Changed => {
                self.stats.deltas -= 1;
                self.stats.snapshots += 1;
                Verdict::Confirmed
            }
            lost => lost,
        }
    }

    /// Drops what the venue forgot to remove, and checks the rest by the middle of the best prices.
    pub(super) fn prune(&mut self, middle: Decimal) -> Result<(), Loss> {
        let dropped = self.book.drop_beyond(middle);
        self.findings.pruned += dropped;
        self.stats.pruned += dropped as u64;
        let (Some(bid), Some(ask)) = self.book.best() else { return Ok(()) };
        let [bid, ask, expected] = [bid.price, ask.price, middle].map(Decimal::trimmed);
        let scale = bid.scale.max(ask.scale).max(expected.scale);
        let at_scale = |number: Decimal| number.rescaled(scale).map(i128::from);
        let (Some(b), Some(a), Some(m)) = (at_scale(bid), at_scale(ask), at_scale(expected)) else { return Ok(()) };
        // The middle is rounded to a tick, which is at least one unit of the last place.
        if (b + a - 2 * m).abs() < 2 { Ok(()) } else { Err(Loss::Middle { expected: middle, got: [bid, ask] }) }
    }
}
