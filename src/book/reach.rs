//! How far an image reaches: a venue gives only so many levels, and those beyond are not known until they change.

use super::Book;
use super::sync::SyncUpdate;
use crate::model::{Decimal, pow10};

/// The edge of an image on both sides.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reach {
    bids: Edge,
    asks: Edge,
}

/// One side's edge.
#[derive(Clone, Copy, Debug)]
struct Edge {
    levels: usize,
    worst: Option<Decimal>,
}

impl Reach {
    /// No image.
    pub(super) const NOTHING: Self = Self { bids: Edge::NOTHING, asks: Edge::NOTHING };

    pub(super) fn of(image: SyncUpdate<'_>) -> Self {
        let worst_bid = image.bids.iter().map(|level| level.price).reduce(|a, b| if is_below(a, b) { a } else { b });
        let worst_ask = image.asks.iter().map(|level| level.price).reduce(|a, b| if is_below(a, b) { b } else { a });
        Self {
            bids: Edge { levels: image.bids.len(), worst: worst_bid },
            asks: Edge { levels: image.asks.len(), worst: worst_ask },
        }
    }

    /// Whether the image tells of a bid and an ask at these prices: it does so up to its worst levels.
    pub(super) fn tells(&self, bid: Option<Decimal>, ask: Option<Decimal>) -> bool {
        let within = |price: Option<Decimal>, worst: Option<Decimal>, below: fn(Decimal, Decimal) -> bool| {
            price.is_none_or(|price| worst.is_some_and(|worst| !below(price, worst)))
        };
        within(bid, self.bids.worst, is_below) && within(ask, self.asks.worst, |price, worst| is_below(worst, price))
    }

    /// Whether the best `levels` of both sides are known, where an image has `depth` levels if there are so many.
    pub(super) fn covers(&self, book: &Book, levels: usize, depth: usize) -> bool {
        let last = levels.saturating_sub(1);
        let bid = book.bids().nth(last).map(|level| level.price);
        let ask = book.asks().nth(last).map(|level| level.price);
        self.bids.covers(bid, depth, |price, worst| !is_below(price, worst))
            && self.asks.covers(ask, depth, |price, worst| !is_below(worst, price))
    }
}

impl Edge {
    const NOTHING: Self = Self { levels: 0, worst: None };

    fn covers(&self, price: Option<Decimal>, depth: usize, is_within: fn(Decimal, Decimal) -> bool) -> bool {
        match (price, self.worst) {
            _ if self.levels < depth => true,
            (Some(price), Some(worst)) => is_within(price, worst),
            _ => false,
        }
    }
}

/// Whether one number is less than another, however they are written.
pub(super) fn is_below(a: Decimal, b: Decimal) -> bool {
    let scaled = |a: Decimal, b: Decimal| i128::from(a.mantissa) * i128::from(pow10(b.scale).unwrap_or(i64::MAX));
    scaled(a, b) < scaled(b, a)
}
