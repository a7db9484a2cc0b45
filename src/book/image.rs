//! Deltas that wait for the image they build on, and the image that waits for them.

use std::collections::VecDeque;

use super::sync::{SyncRule, SyncUpdate};
use crate::model::Level;

/// Deltas and levels kept while an image is on its way, the newest: at 50 a second, ten seconds of them. An image may be
/// asked for long after the first delta, when many books begin at once; older ones than the image are of no use then.
const UPDATES_MAX: usize = 500;
const LEVELS_MAX: usize = 20_000;

/// An update that owns its levels.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    pub(super) seq: u64,
    first: u64,
    previous: u64,
    cross_seq: u64,
    checksum: Option<u32>,
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl Kept {
    fn of(update: SyncUpdate<'_>) -> Self {
        Self {
            seq: update.seq,
            first: update.first,
            previous: update.previous,
            cross_seq: update.cross_seq,
            checksum: update.checksum,
            bids: update.bids.to_vec(),
            asks: update.asks.to_vec(),
        }
    }

    pub(super) fn as_update(&self, snapshot: bool) -> SyncUpdate<'_> {
        SyncUpdate {
            snapshot,
            seq: self.seq,
            first: self.first,
            previous: self.previous,
            cross_seq: self.cross_seq,
            checksum: self.checksum,
            middle: None,
            bids: &self.bids,
            asks: &self.asks,
        }
    }

    fn levels(&self) -> usize {
        self.bids.len() + self.asks.len()
    }
}

/// What came of trying to join image and deltas.
#[derive(Debug)]
pub(super) enum Joined {
    /// One of them is still to come.
    Waiting,
    /// The image is older than the first delta kept: another is needed.
    TooOld,
    /// The image, and the deltas to apply to it.
    Ready(Kept, VecDeque<Kept>),
}

/// What waits.
#[derive(Clone, Debug, Default)]
pub(super) struct Waiting {
    deltas: VecDeque<Kept>,
    levels: usize,
    image: Option<Kept>,
}

impl Waiting {
    pub(super) const fn new() -> Self {
        Self { deltas: VecDeque::new(), levels: 0, image: None }
    }

    pub(super) const fn has_image(&self) -> bool {
        self.image.is_some()
    }

    /// Deltas that are kept.
    pub(super) fn len(&self) -> usize {
        self.deltas.len()
    }

    pub(super) fn clear(&mut self) {
        self.clear_deltas();
        self.image = None;
    }

    fn clear_deltas(&mut self) -> u64 {
        let count = self.deltas.len() as u64;
        self.deltas.clear();
        self.levels = 0;
        count
    }

    /// Whether the image that waits says the same as this one, and nothing came since.
    pub(super) fn is_repeated_by(&self, image: SyncUpdate<'_>) -> bool {
        self.image.as_ref().is_some_and(|kept| kept.bids == image.bids && kept.asks == image.asks)
    }

    pub(super) const fn take_image(&mut self) -> Option<Kept> {
        self.image.take()
    }

    pub(super) fn set_image(&mut self, image: SyncUpdate<'_>) {
        self.image = Some(Kept::of(image));
    }

    /// Keeps a delta; a hole between those kept makes the older ones useless. Returns how many were given up.
    pub(super) fn keep(&mut self, rule: SyncRule, delta: SyncUpdate<'_>) -> u64 {
        let mut useless = 0;
        if let Some(last) = self.deltas.back() {
            match order(rule, last, delta) {
                Order::Old => return 1,
                Order::Next => {}
                Order::Hole => useless += self.clear_deltas(),
            }
        }
        let kept = Kept::of(delta);
        self.levels += kept.levels();
        self.deltas.push_back(kept);
        while self.deltas.len() > UPDATES_MAX || (self.levels > LEVELS_MAX && self.deltas.len() > 1) {
            let Some(oldest) = self.deltas.pop_front() else { break };
            self.levels -= oldest.levels();
            useless += 1;
        }
        useless
    }

    /// Joins the image and the deltas, if they meet. Returns also how many deltas were older than the image.
    pub(super) fn join(&mut self, rule: SyncRule) -> (Joined, u64) {
        let Some(image) = self.image.take() else { return (Joined::Waiting, 0) };
        let mut useless = 0;
        while let Some(old) =
            self.deltas.front().filter(|delta| is_older(rule, delta.as_update(false), image.as_update(true)))
        {
            useless += 1;
            self.levels -= old.levels();
            self.deltas.pop_front();
        }
        let joined = match self.deltas.front() {
            None => {
                self.image = Some(image);
                Joined::Waiting
            }
            Some(first) if meets(rule, first.as_update(false), image.as_update(true)) => {
                self.levels = 0;
                Joined::Ready(image, std::mem::take(&mut self.deltas))
            }
            Some(_) => Joined::TooOld,
        };
        (joined, useless)
    }
}

enum Order {
    Old,
    Next,
    Hole,
}

/// How a delta stands to the last one kept.
fn order(rule: SyncRule, last: &Kept, delta: SyncUpdate<'_>) -> Order {
    let (old, next) = match rule {
        SyncRule::RangeFromImage => (delta.seq <= last.seq, delta.first <= last.seq.wrapping_add(1)),
        SyncRule::LinkedRangeFromImage => (delta.seq <= last.seq, delta.previous == last.seq),
        _ => (delta.cross_seq < last.cross_seq, delta.seq == last.seq.wrapping_add(1)),
    };
    match (old, next) {
        (true, _) => Order::Old,
        (false, true) => Order::Next,
        (false, false) => Order::Hole,
    }
}

/// Whether the image contains all of the delta.
pub(super) fn is_older(rule: SyncRule, delta: SyncUpdate<'_>, image: SyncUpdate<'_>) -> bool {
    match rule {
        SyncRule::RangeFromImage => delta.seq <= image.seq,
        // One that ends with the image is applied again, which changes nothing: sizes are absolute.
        SyncRule::LinkedRangeFromImage => delta.seq < image.seq,
        _ => delta.cross_seq < image.cross_seq,
    }
}

/// Whether the first delta not older than the image follows on it without a hole.
pub(super) fn meets(rule: SyncRule, first: SyncUpdate<'_>, image: SyncUpdate<'_>) -> bool {
    match rule {
        SyncRule::RangeFromImage => first.first <= image.seq.wrapping_add(1),
        // Nothing of this book happened between `previous` and `first`.
        SyncRule::LinkedRangeFromImage => first.first <= image.seq || first.previous <= image.seq,
        _ => {
            let same = first.cross_seq == image.cross_seq && first.seq == image.seq;
            same || (first.cross_seq > image.cross_seq && first.seq == image.seq.wrapping_add(1))
        }
    }
}
