//! One side of a book: price levels in a sorted ring, because changes crowd at the touch and at the window's far end,
//! and a ring moves only what lies beyond them.

use std::collections::VecDeque;

use crate::model::pow10;
use crate::model::{Decimal, Level};

/// A stored level. `rank` is the price at the book's scale, negated for asks, so that a higher rank is always
/// a better price. The scales are those of the venue's spelling.
#[derive(Clone, Copy, Debug)]
struct Entry {
    rank: i64,
    size: i64,
    price_scale: u8,
    size_scale: u8,
}

/// Which side a [`Side`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SideOf {
    /// Buyers: the highest price is best.
    Bids,
    /// Sellers: the lowest price is best.
    Asks,
}

/// Sorted price levels of one side.
#[derive(Clone, Debug)]
pub struct Side {
    entries: VecDeque<Entry>,
    sign: i64,
}

impl Side {
    /// An empty side.
    pub const fn new(of: SideOf) -> Self {
        let sign = match of {
            SideOf::Bids => 1,
            SideOf::Asks => -1,
        };
        Self { entries: VecDeque::new(), sign }
    }

    /// How many levels there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Removes all levels.
    pub fn clear(&mut self) {
        self.entries.clear();
    }

    /// Sets the level at `key` (its price at the book's scale), or removes it when the size is zero.
    #[inline]
    pub(super) fn set(&mut self, key: i64, level: Level) {
        let rank = key * self.sign;
        let at = self.entries.partition_point(|entry| entry.rank < rank);
        let found = self.entries.get(at).is_some_and(|entry| entry.rank == rank);
        if level.size.is_zero() {
            if found {
                self.entries.remove(at);
            }
            return;
        }
        let entry =
            Entry { rank, size: level.size.mantissa, price_scale: level.price.scale, size_scale: level.size.scale };
        if found {
            self.entries[at] = entry;
        } else {
            self.entries.insert(at, entry);
        }
    }

    /// The best price at the book's scale.
    #[inline]
    pub(super) fn best_key(&self) -> Option<i64> {
        self.entries.back().map(|entry| entry.rank * self.sign)
    }

    /// Removes the best level.
    pub(super) fn pop_best(&mut self) {
        self.entries.pop_back();
    }

    /// Multiplies every key by `factor`; false, and nothing changed, if one would not fit.
    pub(super) fn widen(&mut self, factor: i64) -> bool {
        let fits = |entry: Option<&Entry>| entry.is_none_or(|entry| entry.rank.checked_mul(factor).is_some());
        if !fits(self.entries.front()) || !fits(self.entries.back()) {
            return false;
        }
        for entry in &mut self.entries {
            entry.rank *= factor;
        }
        true
    }

    /// The levels, best first, as the venue spelled them. `scale` is the book's.
    #[inline]
    pub(super) fn iter(&self, scale: u8) -> impl ExactSizeIterator<Item = Level> + '_ {
        let sign = self.sign;
        self.entries.iter().rev().map(move |entry| {
            let key = entry.rank * sign;
            let surplus = scale - entry.price_scale;
            let mantissa = if surplus == 0 { key } else { key / pow10(surplus).unwrap_or(i64::MAX) };
            Level { price: Decimal::new(mantissa, entry.price_scale), size: Decimal::new(entry.size, entry.size_scale) }
        })
    }
}
