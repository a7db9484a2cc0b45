//! The assembled book of one symbol.

use thiserror::Error;

use super::side::{Side, SideOf};
use crate::model::{Decimal, Level, pow10};

/// Bids and asks of one symbol.
#[derive(Clone, Debug)]
pub struct Book {
    bids: Side,
    asks: Side,
    /// Decimal places of the keys: the most any price of this book had so far.
    scale: u8,
    /// Most levels a side may have.
    cap: usize,
}

/// Why an update cannot be applied. The book is then no longer the venue's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum BookError {
    /// A price of zero or below.
    #[error("a price is not above zero")]
    Price,
    /// A size below zero.
    #[error("a size is below zero")]
    Size,
    /// Prices of such different scales that they do not fit 64 bits together.
    #[error("a price has more digits than fit")]
    Range,
    /// More levels on one side than the subscription can give.
    #[error("more than {0} levels on one side")]
    Levels(usize),
}

impl Book {
    /// An empty book of at most `cap` levels a side.
    pub const fn new(cap: usize) -> Self {
        Self { bids: Side::new(SideOf::Bids), asks: Side::new(SideOf::Asks), scale: 0, cap }
    }

    /// Most levels a side may have.
    pub(super) const fn cap(&self) -> usize {
        self.cap
    }

    /// Removes all levels.
    pub fn clear(&mut self) {
        self.bids.clear();
        self.asks.clear();
        self.scale = 0;
    }

    /// Applies changes in order: a size of zero removes its level, whether it is there or not.
    ///
    /// # Errors
    /// [`BookError`]; the book is then partly changed and must not be used.
    #[inline]
    pub fn apply(&mut self, bids: &[Level], asks: &[Level]) -> Result<(), BookError> {
        for level in bids {
            let key = self.key(level)?;
            self.bids.set(key, *level);
        }
        for level in asks {
            let key = self.key(level)?;
            self.asks.set(key, *level);
        }
        if self.bids.len().max(self.asks.len()) > self.cap {
            return Err(BookError::Levels(self.cap));
        }
        Ok(())
    }

    /// The level's price at the book's scale, which grows if the price has more decimal places.
    #[inline]
    fn key(&mut self, level: &Level) -> Result<i64, BookError> {
        if level.price.mantissa <= 0 {
            return Err(BookError::Price);
        }
        if level.size.mantissa < 0 {
            return Err(BookError::Size);
        }
        if level.price.scale > self.scale {
            self.widen(level.price.scale)?;
        }
        level.price.rescaled(self.scale).ok_or(BookError::Range)
    }

    #[cold]
    fn widen(&mut self, scale: u8) -> Result<(), BookError> {
        let factor = pow10(scale - self.scale).ok_or(BookError::Range)?;
        if !self.bids.widen(factor) || !self.asks.widen(factor) {
            return Err(BookError::Range);
        }
        self.scale = scale;
        Ok(())
    }

    /// Whether the best bid is at or above the best ask: no venue's true book is.
    #[inline]
    pub fn is_crossed(&self) -> bool {
        matches!((self.bids.best_key(), self.asks.best_key()), (Some(bid), Some(ask)) if bid >= ask)
    }

    /// Drops bids above and asks at or below `middle`, and says how many.
    pub(super) fn drop_beyond(&mut self, middle: Decimal) -> usize {
        let Some(limit) = middle.floored(self.scale) else { return 0 };
        let mut dropped = 0;
        while self.bids.best_key().is_some_and(|key| key > limit) {
            self.bids.pop_best();
            dropped += 1;
        }
        while self.asks.best_key().is_some_and(|key| key <= limit) {
            self.asks.pop_best();
            dropped += 1;
        }
        dropped
    }

    /// Bids, best first.
    #[inline]
    pub fn bids(&self) -> impl ExactSizeIterator<Item = Level> + '_ {
        self.bids.iter(self.scale)
    }

    /// Asks, best first.
    #[inline]
    pub fn asks(&self) -> impl ExactSizeIterator<Item = Level> + '_ {
        self.asks.iter(self.scale)
    }

    /// Best bid and best ask, as far as there are any.
    #[inline]
    pub fn best(&self) -> (Option<Level>, Option<Level>) {
        (self.bids().next(), self.asks().next())
    }
}
