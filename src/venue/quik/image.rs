//! A book as `getQuoteLevel2` gives it, and what changed from one to the next.

use std::cmp::Ordering;

use super::reply::Fields;
use crate::model::{Decimal, Level};

/// Both sides, best first, each price once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Image {
    pub(super) bids: Vec<Level>,
    pub(super) asks: Vec<Level>,
}

impl Image {
    /// Reads an answer: at most `depth` levels a side. The server's order and counts are not relied upon; a level
    /// without a quantity is none.
    ///
    /// # Errors
    /// A price or quantity is no number; the text is quoted.
    pub(super) fn read(fields: &Fields<'_>, depth: usize) -> Result<Self, String> {
        let mut image = Self { bids: levels(fields, "bids")?, asks: levels(fields, "offers")? };
        image.bids.sort_by(|a, b| compare(b.price, a.price));
        image.asks.sort_by(|a, b| compare(a.price, b.price));
        for side in [&mut image.bids, &mut image.asks] {
            side.dedup_by(|a, b| a.price == b.price);
            side.truncate(depth);
        }
        Ok(image)
    }

    /// What to set and remove in `self` to get `next`.
    pub(super) fn changes(&self, next: &Self) -> Self {
        Self {
            bids: changes(&self.bids, &next.bids, |a, b| compare(b, a)),
            asks: changes(&self.asks, &next.asks, compare),
        }
    }
}

fn levels(fields: &Fields<'_>, name: &str) -> Result<Vec<Level>, String> {
    let mut levels = Vec::new();
    for row in fields.list(name) {
        let (Some(price), Some(size)) = (number(&row, "price")?, number(&row, "quantity")?) else { continue };
        if !size.is_zero() {
            levels.push(Level { price, size });
        }
    }
    Ok(levels)
}

fn number(row: &Fields<'_>, name: &str) -> Result<Option<Decimal>, String> {
    let Some(text) = row.text(name).filter(|text| !text.is_empty()) else { return Ok(None) };
    super::reply::decimal(&text).map(Some).map_err(|error| format!("{name} {error}"))
}

/// Compares exactly, whatever the scales: they are at most 18, so that 128 bits hold both.
fn compare(a: Decimal, b: Decimal) -> Ordering {
    let widened = |value: Decimal| i128::from(value.mantissa) * 10_i128.pow(18 - u32::from(value.scale.min(18)));
    widened(a).cmp(&widened(b))
}

/// One side's changes, best first; a removed level has size zero.
fn changes(old: &[Level], new: &[Level], order: impl Fn(Decimal, Decimal) -> Ordering) -> Vec<Level> {
    let mut out = Vec::new();
    let (mut old, mut new) = (old.iter().peekable(), new.iter().peekable());
    loop {
        let next = match (old.peek(), new.peek()) {
            (None, None) => return out,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(was), Some(is)) => order(was.price, is.price),
        };
        let was = if next.is_le() { old.next() } else { None };
        let is = if next.is_ge() { new.next() } else { None };
        match (was, is) {
            (Some(was), None) => out.push(Level { price: was.price, size: Decimal::ZERO }),
            (Some(was), Some(is)) if was.size == is.size => {}
            (_, Some(is)) => out.push(*is),
            (None, None) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::book::Book;
    use crate::venue::quik::reply::Reply;
    use proptest::prelude::*;

    fn read(text: &str, depth: usize) -> Result<Image, String> {
        let answer = format!(r#"{{"result":{text}}}"#);
        match Reply::read(&answer) {
            Reply::Result(fields) => Image::read(&fields, depth),
            other => panic!("{other:?}"),
        }
    }

    fn level(price: i64, size: i64) -> Level {
        Level { price: Decimal::new(price, 2).trimmed(), size: Decimal::new(size, 0) }
    }

    #[test]
    fn sides_are_sorted_and_levels_without_a_quantity_are_none() {
        let text = r#"{"bid_count":"9","offer_count":"0","bids":[{"price":"305.460000","quantity":"23"},
            {"price":"305.470000","quantity":"30.0"},{"price":"305.45"},{"price":"305.44","quantity":""},
            {"price":"305.43","quantity":"0"}],"offers":[{"price":"305.49","quantity":"34"},
            {"price":"305.48","quantity":"23"},{"price":"1e+3","quantity":1}]}"#;
        let image = read(text, 50).expect("a book");
        assert_eq!(image.bids, [level(30_547, 30), level(30_546, 23)]);
        assert_eq!(image.asks, [level(30_548, 23), level(30_549, 34), level(100_000, 1)]);
        assert_eq!(read(text, 1).expect("a book").asks, [level(30_548, 23)]);
    }

    #[test]
    fn empty_sides_come_in_every_spelling() {
        for text in [
            r#"{"bid_count":"0","offer_count":"0","bids":[],"offers":[]}"#,
            r#"{"bid_count":"0","offer_count":"0","bids":{},"offers":""}"#,
            "{}",
            "[]",
        ] {
            assert_eq!(read(text, 50), Ok(Image::default()), "{text}");
        }
    }

    #[test]
    fn what_is_no_number_is_an_error_that_says_so() {
        let error = read(r#"{"bids":[{"price":"nan","quantity":"1"}]}"#, 50).expect_err("no number");
        assert!(error.contains("price") && error.contains("nan"), "{error}");
        assert!(read(r#"{"offers":[{"price":"1","quantity":"1,0"}]}"#, 50).is_err());
    }

    fn side() -> impl Strategy<Value = std::collections::BTreeMap<i64, i64>> {
        proptest::collection::btree_map(1_i64..40, 1_i64..4, 0..12)
    }

    fn image(bids: &std::collections::BTreeMap<i64, i64>, asks: &std::collections::BTreeMap<i64, i64>) -> Image {
        Image {
            bids: bids.iter().rev().map(|(price, size)| level(*price, *size)).collect(),
            asks: asks.iter().map(|(price, size)| level(*price + 100, *size)).collect(),
        }
    }

    proptest! {
        #[test]
        fn changes_turn_one_image_into_the_next(a in side(), b in side(), c in side(), d in side()) {
            let (old, new) = (image(&a, &b), image(&c, &d));
            let changes = old.changes(&new);
            let mut book = Book::new(100);
            book.apply(&old.bids, &old.asks).expect("levels");
            book.apply(&changes.bids, &changes.asks).expect("levels");
            prop_assert_eq!(book.bids().collect::<Vec<_>>(), new.bids.clone());
            prop_assert_eq!(book.asks().collect::<Vec<_>>(), new.asks.clone());
            let touched = a.len() + b.len() + c.len() + d.len();
            prop_assert!(changes.bids.len() + changes.asks.len() <= touched);
            prop_assert_eq!(new.changes(&new), Image::default());
        }

        #[test]
        fn prices_compare_as_numbers(a in 1_i64..100_000_000, b in 1_i64..100_000_000, s in 0_u8..=18, t in 0_u8..=18) {
            let exact = |m: i64, scale: u8| i128::from(m) * 10_i128.pow(u32::from(18 - scale));
            prop_assert_eq!(compare(Decimal::new(a, s), Decimal::new(b, t)), exact(a, s).cmp(&exact(b, t)));
        }
    }
}
