//! The book against an obvious model, and the state machine against everything a network can do to a stream.

mod repeated;

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::model::{Decimal, Level};

/// A book as anyone would write it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Model {
    bids: BTreeMap<i64, i64>,
    asks: BTreeMap<i64, i64>,
}

impl Model {
    fn apply(&mut self, changes: &[Change]) {
        for change in changes {
            let side = if change.bid { &mut self.bids } else { &mut self.asks };
            if change.size == 0 {
                side.remove(&change.price);
            } else {
                side.insert(change.price, change.size);
            }
        }
    }

    fn is_crossed(&self) -> bool {
        matches!((self.bids.last_key_value(), self.asks.first_key_value()), (Some((b, _)), Some((a, _))) if b >= a)
    }
}

#[derive(Clone, Copy, Debug)]
struct Change {
    bid: bool,
    price: i64,
    size: i64,
    /// Extra zeros behind the point of the price's spelling.
    zeros: u8,
}

impl Change {
    fn level(self) -> Level {
        let factor = 10_i64.pow(u32::from(self.zeros));
        Level { price: Decimal::new(self.price * factor, 2 + self.zeros), size: Decimal::new(self.size, 3) }
    }
}

fn split(changes: &[Change]) -> (Vec<Level>, Vec<Level>) {
    let side = |bid| changes.iter().filter(|c| c.bid == bid).map(|c| c.level()).collect();
    (side(true), side(false))
}

fn contents(book: &Book) -> Model {
    let pair = |level: Level| (level.price.rescaled(2).expect("two places"), level.size.mantissa);
    Model { bids: book.bids().map(pair).collect(), asks: book.asks().map(pair).collect() }
}

/// Changes whose bids lie below 500 and asks above, so that they cannot cross.
fn change() -> impl Strategy<Value = Change> {
    (any::<bool>(), 1_i64..500, prop_oneof![Just(0_i64), 1_i64..1_000], 0_u8..4)
        .prop_map(|(bid, price, size, zeros)| Change { bid, price: if bid { price } else { price + 500 }, size, zeros })
}

fn level(price: &str, size: &str) -> Level {
    let number = |text: &str| Decimal::parse(text.as_bytes()).expect("a number");
    Level { price: number(price), size: number(size) }
}

proptest! {
    #[test]
    fn the_book_equals_the_model(batches in prop::collection::vec(prop::collection::vec(change(), 0..30), 0..30)) {
        let (mut book, mut model) = (Book::new(1_000), Model::default());
        for batch in &batches {
            let (bids, asks) = split(batch);
            prop_assert_eq!(book.apply(&bids, &asks), Ok(()));
            model.apply(batch);
            prop_assert_eq!(&contents(&book), &model);
        }
        let prices: Vec<_> = book.bids().filter_map(|l| l.price.rescaled(9)).collect();
        prop_assert!(prices.is_sorted_by(|a, b| a > b), "bids are best first");
        let prices: Vec<_> = book.asks().filter_map(|l| l.price.rescaled(9)).collect();
        prop_assert!(prices.is_sorted_by(|a, b| a < b), "asks are best first");
    }

    /// Whatever is lost, repeated or reordered: the book equals the truth at its sequence, or is not live.
    #[test]
    fn live_means_true(
        batches in prop::collection::vec(prop::collection::vec(change(), 1..8), 1..60),
        snapshot_every in 1_usize..20,
        fate in prop::collection::vec((0_u8..10, 0_usize..6), 60..61),
    ) {
        let feed = Feed::of(&batches, snapshot_every);
        stays_true(SyncRule::Increment, &feed, &fate)?;
        let feed = Feed::numbered(&batches, snapshot_every, |at| 100 + 7 * at as u64);
        stays_true(SyncRule::Linked, &feed, &fate)?;
    }

    /// An image fetched at any moment joins the deltas exactly, or is asked for again.
    #[test]
    fn an_image_joins_exactly(
        batches in prop::collection::vec(prop::collection::vec(change(), 1..8), 10..40),
        image_of in 0_usize..40,
        arrives_after in 0_usize..40,
        lost in prop::option::of(0_usize..40),
    ) {
        let feed = Feed::of(&batches, usize::MAX);
        let by_seven = Feed::numbered(&batches, usize::MAX, |at| 100 + 7 * at as u64);
        for (rule, feed) in [
            (SyncRule::IncrementFromImage, &feed),
            (SyncRule::RangeFromImage, &by_seven),
            (SyncRule::LinkedRangeFromImage, &by_seven),
        ] {
            joins_exactly(rule, feed, image_of, arrives_after, lost)?;
        }
    }
}

fn stays_true(rule: SyncRule, feed: &Feed, fate: &[(u8, usize)]) -> Result<(), TestCaseError> {
    let mut sync = BookSync::new(rule, 1_000);
    for at in disorder(feed.updates.len(), fate) {
        sync.update(feed.updates[at].as_sync());
        if let Some(book) = sync.live() {
            let truth = &feed.truth[&sync.seq()];
            prop_assert_eq!(&contents(book), truth, "{:?}", rule);
            prop_assert!(!truth.is_crossed());
        }
    }
    Ok(())
}

fn joins_exactly(
    rule: SyncRule,
    feed: &Feed,
    image_of: usize,
    arrives_after: usize,
    lost: Option<usize>,
) -> Result<(), TestCaseError> {
    let (mut sync, count) = (BookSync::new(rule, 1_000), feed.updates.len());
    let (image_of, arrives_after) = (image_of % count, (arrives_after % count).max(1));
    let image = feed.image(image_of);
    for (at, update) in feed.updates.iter().enumerate().skip(1) {
        if lost != Some(at) {
            sync.update(update.as_sync());
        }
        if at == arrives_after {
            sync.update(image.as_sync());
        }
        if let Some(book) = sync.live() {
            prop_assert_eq!(&contents(book), &feed.truth[&sync.seq()], "{:?}", rule);
        }
    }
    // Nothing was lost, the image was of then or before, and deltas came after it: it must have joined.
    let joined = sync.live().is_some();
    prop_assert!(joined || lost.is_some() || image_of + 1 >= count, "{:?} never joined", rule);
    Ok(())
}

/// A venue's stream and what is true after each of its updates.
struct Feed {
    updates: Vec<Owned>,
    truth: BTreeMap<u64, Model>,
}

struct Owned {
    snapshot: bool,
    seq: u64,
    first: u64,
    previous: u64,
    checksum: Option<u32>,
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl Owned {
    fn as_sync(&self) -> SyncUpdate<'_> {
        SyncUpdate {
            snapshot: self.snapshot,
            seq: self.seq,
            first: self.first,
            previous: self.previous,
            cross_seq: self.seq * 7,
            checksum: self.checksum,
            middle: None,
            bids: &self.bids,
            asks: &self.asks,
        }
    }

    fn snapshot_of(seq: u64, model: &Model) -> Self {
        let levels = |side: &BTreeMap<i64, i64>| {
            side.iter().map(|(p, s)| Level { price: Decimal::new(*p, 2), size: Decimal::new(*s, 3) }).collect()
        };
        let (bids, asks) = (levels(&model.bids), levels(&model.asks));
        Self { snapshot: true, seq, first: 0, previous: 0, checksum: None, bids, asks }
    }
}

impl Feed {
    /// Numbers by one.
    fn of(batches: &[Vec<Change>], snapshot_every: usize) -> Self {
        Self::numbered(batches, snapshot_every, |at| 100 + at as u64)
    }

    fn numbered(batches: &[Vec<Change>], snapshot_every: usize, ids: impl Fn(usize) -> u64) -> Self {
        let (mut model, mut updates, mut truth) = (Model::default(), Vec::new(), BTreeMap::new());
        for (at, batch) in batches.iter().enumerate() {
            let seq = ids(at);
            model.apply(batch);
            truth.insert(seq, model.clone());
            if at % snapshot_every == 0 {
                updates.push(Owned::snapshot_of(seq, &model));
            } else {
                let (bids, asks) = split(batch);
                let previous = if at == 0 { 0 } else { ids(at - 1) };
                updates.push(Owned { snapshot: false, seq, first: previous + 1, previous, checksum: None, bids, asks });
            }
        }
        Self { updates, truth }
    }

    fn image(&self, at: usize) -> Owned {
        let seq = self.updates[at].seq;
        Owned::snapshot_of(seq, &self.truth[&seq])
    }
}

/// An order of delivery with losses, repeats and late arrivals.
fn disorder(len: usize, fate: &[(u8, usize)]) -> Vec<usize> {
    let mut order: Vec<(usize, usize)> = Vec::new();
    for at in 0..len {
        let (kind, delay) = fate[at % fate.len()];
        match kind {
            0 => {}
            1 => order.extend([(at, at), (at, at)]),
            2 => order.extend([(at, at), (at + delay, at)]),
            3 => order.push((at + delay, at)),
            _ => order.push((at, at)),
        }
    }
    order.sort_by_key(|(when, _)| *when);
    order.into_iter().map(|(_, at)| at).collect()
}

fn update<'a>(snapshot: bool, seq: u64, bids: &'a [Level], asks: &'a [Level]) -> SyncUpdate<'a> {
    SyncUpdate {
        snapshot,
        seq,
        first: seq,
        previous: seq - 1,
        cross_seq: seq * 10,
        checksum: None,
        middle: None,
        bids,
        asks,
    }
}

#[test]
fn spelling_is_kept_when_scales_mix() {
    let mut book = Book::new(10);
    book.apply(&[level("43730", "0.1101"), level("43732.01", "0.5")], &[level("43733.5", "1")]).expect("fits");
    let text: Vec<_> = book.bids().map(|l| format!("{} {}", l.price, l.size)).collect();
    assert_eq!(text, ["43732.01 0.5", "43730 0.1101"]);
    assert_eq!(crc25(&book), crc32fast::hash(b"43732.01:0.5|43730:0.1101#43733.5:1"));
}

#[test]
fn bad_levels_are_refused() {
    let apply = |bids: &[Level]| Book::new(2).apply(bids, &[]);
    assert_eq!(apply(&[level("0", "1")]), Err(BookError::Price));
    assert_eq!(apply(&[level("-1", "1")]), Err(BookError::Price));
    assert_eq!(apply(&[level("1", "-1")]), Err(BookError::Size));
    assert_eq!(apply(&[level("9000000000000000000", "1"), level("0.1", "1")]), Err(BookError::Range));
    assert_eq!(apply(&[level("0.1", "1"), level("9000000000000000000", "1")]), Err(BookError::Range));
    assert_eq!(apply(&[level("1", "1"), level("2", "1"), level("3", "1")]), Err(BookError::Levels(2)));
}

#[test]
fn zero_removes_however_it_is_written() {
    let mut book = Book::new(10);
    book.apply(&[level("96400", "1")], &[]).expect("fits");
    book.apply(&[level("9.64e4", "0.000")], &[]).expect("fits");
    assert_eq!(book.best(), (None, None));
}

#[test]
fn a_gap_clears_and_a_snapshot_heals() {
    let bids = [level("10", "1")];
    let mut sync = BookSync::new(SyncRule::Increment, 10);
    assert_eq!(sync.update(update(false, 4, &bids, &[])), Verdict::Ignored, "nothing before a snapshot");
    assert_eq!(sync.update(update(true, 5, &bids, &[])), Verdict::Replaced);
    assert_eq!(sync.update(update(false, 5, &bids, &[])), Verdict::Ignored, "a duplicate");
    assert_eq!(sync.update(update(false, 7, &bids, &[])), Verdict::Lost(Loss::Gap { expected: 6, got: 7 }));
    assert!(sync.live().is_none());
    assert_eq!(sync.update(update(false, 8, &bids, &[])), Verdict::Ignored);
    assert_eq!(sync.update(update(true, 9, &bids, &[])), Verdict::Replaced);
    let stats = sync.stats();
    assert_eq!((stats.gaps, stats.resyncs, stats.snapshots, stats.ignored), (1, 1, 2, 3));
}

#[test]
fn sequence_one_starts_anew_whatever_the_type_says() {
    let (old, new) = ([level("10", "1")], [level("11", "1")]);
    let mut sync = BookSync::new(SyncRule::Increment, 10);
    sync.update(update(true, 5, &old, &[]));
    assert_eq!(sync.update(update(false, 1, &new, &[])), Verdict::Replaced);
    assert_eq!(sync.live().map(|b| b.bids().count()), Some(1));
    assert_eq!(sync.update(update(false, 2, &old, &[])), Verdict::Changed);
}

#[test]
fn a_crossed_book_is_lost() {
    let mut sync = BookSync::new(SyncRule::Increment, 10);
    sync.update(update(true, 5, &[level("10", "1")], &[level("11", "1")]));
    assert_eq!(sync.update(update(false, 6, &[level("11", "1")], &[])), Verdict::Lost(Loss::Crossed));
    assert!(sync.live().is_none());
}

#[test]
fn an_old_snapshot_is_not_the_present() {
    let mut sync = BookSync::new(SyncRule::Increment, 10);
    sync.update(update(true, 50, &[level("10", "1")], &[]));
    assert!(matches!(sync.update(update(true, 40, &[level("9", "1")], &[])), Verdict::Lost(Loss::Gap { .. })));
}

#[test]
fn numbers_that_start_anew_without_a_word_are_noticed() {
    let bids = [level("10", "1")];
    let mut sync = BookSync::new(SyncRule::Increment, 10);
    sync.update(update(true, 1_000, &bids, &[]));
    let lost = (2..400).find(|seq| matches!(sync.update(update(false, *seq, &bids, &[])), Verdict::Lost(_)));
    assert_eq!(lost, Some(102));
}

#[test]
fn a_repeated_snapshot_confirms() {
    let bids = [level("10", "1")];
    let mut sync = BookSync::new(SyncRule::SnapshotOnly, 4);
    assert_eq!(sync.update(update(true, 5, &bids, &[])), Verdict::Replaced);
    assert_eq!(sync.update(update(true, 5, &bids, &[])), Verdict::Confirmed);
    assert_eq!(sync.update(update(true, 4, &bids, &[])), Verdict::Ignored);
    assert_eq!(sync.stats().snapshots, 2);
}

#[test]
fn a_delta_between_snapshots_changes_what_it_names() {
    let (bids, better, asks) = ([level("10", "1")], [level("10.5", "2")], [level("11", "1")]);
    let mut sync = BookSync::new(SyncRule::SnapshotOnly, 4);
    assert_eq!(sync.update(update(false, 4, &bids, &[])), Verdict::Ignored, "not a book yet");
    assert_eq!(sync.update(update(true, 5, &bids, &asks)), Verdict::Replaced);
    assert_eq!(sync.update(update(false, 6, &better, &[])), Verdict::Changed);
    let sides = sync.live().map(|book| (book.bids().len(), book.asks().len()));
    assert_eq!(sides, Some((2, 1)), "the other side stands");
    assert!(matches!(sync.update(update(false, 8, &bids, &[])), Verdict::Lost(_)));
}

#[test]
fn deltas_wait_for_their_image() {
    let bids = [level("10", "1")];
    let mut sync = BookSync::new(SyncRule::IncrementFromImage, 10);
    assert!(sync.wants_image());
    for seq in 10..15 {
        assert_eq!(sync.update(update(false, seq, &bids, &[])), Verdict::Buffered);
    }
    assert_eq!(sync.update(update(true, 8, &bids, &[])), Verdict::ImageWanted, "too old");
    assert_eq!(sync.update(update(true, 12, &bids, &[])), Verdict::Replaced);
    assert_eq!(sync.seq(), 14);
    assert_eq!(sync.update(update(false, 15, &bids, &[])), Verdict::Changed);
    assert!(matches!(sync.update(update(false, 1, &bids, &[])), Verdict::Lost(_)), "one asks for a new image");
    assert!(sync.wants_image());
}

#[test]
fn deltas_older_than_the_image_make_room_for_later_ones() {
    let (bids, many, more) = ([level("10", "1")], vec![level("9", "0"); 150_000], vec![level("9", "0"); 60_000]);
    let mut sync = BookSync::new(SyncRule::IncrementFromImage, 10);
    assert_eq!(sync.update(update(false, 10, &many, &[])), Verdict::Buffered);
    assert_eq!(sync.update(update(true, 11, &bids, &[])), Verdict::Buffered, "the stream is behind the image");
    assert_eq!(sync.update(update(false, 12, &more, &[])), Verdict::Replaced);
}

fn linked(previous: u64, seq: u64, bids: &[Level]) -> SyncUpdate<'_> {
    SyncUpdate { snapshot: false, seq, first: 0, previous, cross_seq: 0, checksum: None, middle: None, bids, asks: &[] }
}

#[test]
fn a_chain_may_stand_still_and_begin_anew_but_not_break() {
    let bids = [level("10", "1")];
    let mut sync = BookSync::new(SyncRule::Linked, 10);
    assert_eq!(sync.update(linked(9, 10, &bids)), Verdict::Ignored, "nothing before a snapshot");
    assert_eq!(sync.update(SyncUpdate { snapshot: true, ..linked(0, 10, &bids) }), Verdict::Replaced);
    assert_eq!(sync.update(linked(10, 15, &bids)), Verdict::Changed);
    assert_eq!(sync.update(linked(15, 15, &[])), Verdict::Confirmed, "a keep-alive");
    assert_eq!(sync.update(linked(15, 3, &bids)), Verdict::Changed, "maintenance set the numbers back");
    assert_eq!(sync.update(linked(3, 5, &bids)), Verdict::Changed);
    assert_eq!(sync.update(linked(3, 5, &bids)), Verdict::Ignored, "the same again");
    assert_eq!(sync.update(linked(6, 7, &bids)), Verdict::Lost(Loss::Gap { expected: 5, got: 6 }));
    assert_eq!(sync.stats().deltas, 3);
}

fn range(first: u64, seq: u64, previous: u64) -> SyncUpdate<'static> {
    SyncUpdate {
        snapshot: false,
        seq,
        first,
        previous,
        cross_seq: 0,
        checksum: None,
        middle: None,
        bids: &[],
        asks: &[],
    }
}

#[test]
fn ranges_join_an_image_as_the_venue_says() {
    let image = |seq| SyncUpdate { snapshot: true, ..range(0, seq, 0) };
    // Spot: what ends with the image is dropped, the next begins right after it.
    let mut spot = BookSync::new(SyncRule::RangeFromImage, 10);
    assert_eq!(spot.update(range(157, 160, 0)), Verdict::Buffered);
    assert_eq!(spot.update(image(150)), Verdict::ImageWanted, "older than what was buffered");
    assert_eq!(spot.update(image(160)), Verdict::Buffered, "nothing follows yet");
    assert_eq!(spot.update(range(161, 165, 0)), Verdict::Replaced);
    assert_eq!((spot.seq(), spot.stats().deltas, spot.stats().ignored), (165, 1, 1));
    assert_eq!(spot.update(range(160, 165, 0)), Verdict::Ignored);
    assert_eq!(spot.update(range(164, 168, 0)), Verdict::Changed, "it overlaps");
    assert_eq!(spot.update(range(170, 171, 0)), Verdict::Lost(Loss::Gap { expected: 169, got: 170 }));
    assert!(spot.wants_image());
    // Futures: ids jump, what ends with the image is applied, links must hold.
    let mut futures = BookSync::new(SyncRule::LinkedRangeFromImage, 10);
    for (first, seq, previous) in [(80, 90, 70), (95, 100, 90), (103, 108, 100)] {
        assert_eq!(futures.update(range(first, seq, previous)), Verdict::Buffered);
    }
    assert_eq!(futures.update(image(100)), Verdict::Replaced);
    assert_eq!((futures.seq(), futures.stats().deltas, futures.stats().ignored), (108, 2, 1));
    assert_eq!(futures.update(range(120, 130, 108)), Verdict::Changed);
    assert_eq!(futures.update(range(135, 140, 133)), Verdict::Lost(Loss::Gap { expected: 130, got: 133 }));
}

#[test]
fn a_checksum_is_of_the_venues_own_spelling() {
    let (bids, asks) = ([level("3366.1", "7"), level("3366", "6")], [level("3366.8", "9"), level("3368", "8")]);
    let snapshot = SyncUpdate { snapshot: true, bids: &bids, asks: &asks, ..range(0, 1, 0) };
    let mut sync = BookSync::new(SyncRule::Unsequenced, 10);
    let right = SyncUpdate { checksum: Some((-1_881_014_294_i32).cast_unsigned()), ..snapshot };
    assert_eq!(sync.update(right), Verdict::Replaced);
    assert_eq!(sync.update(SyncUpdate { snapshot: false, bids: &[], asks: &[], ..right }), Verdict::Changed);
    assert!(matches!(
        sync.update(SyncUpdate { snapshot: false, bids: &[level("3366.1", "8")], ..right }),
        Verdict::Lost(Loss::Checksum { expected: 2_413_953_002, .. })
    ));
    assert_eq!((sync.stats().checksum_ok, sync.stats().checksum_bad), (2, 1));
    let one = [level("3366.1", "7")];
    let three = [level("3366.8", "9"), level("3368", "8"), level("3372", "8")];
    let update = SyncUpdate { snapshot: true, bids: &one, asks: &three, checksum: Some(831_078_360), ..range(0, 1, 0) };
    assert_eq!(sync.update(update), Verdict::Replaced);
}
