//! Books without ids, which the venue repeats, and whose middle price it tells.

use std::collections::BTreeMap;

use super::*;

fn update<'a>(snapshot: bool, middle: &str, bids: &'a [Level], asks: &'a [Level]) -> SyncUpdate<'a> {
    let middle = Decimal::parse(middle.as_bytes()).ok();
    SyncUpdate { snapshot, seq: 0, first: 0, previous: 0, cross_seq: 0, checksum: None, middle, bids, asks }
}

fn whole<'a>(middle: &str, bids: &'a [Level], asks: &'a [Level]) -> SyncUpdate<'a> {
    update(true, middle, bids, asks)
}

fn delta<'a>(middle: &str, bids: &'a [Level], asks: &'a [Level]) -> SyncUpdate<'a> {
    update(false, middle, bids, asks)
}

fn texts(sync: &BookSync) -> String {
    let Some(book) = sync.live() else { return "not live".to_owned() };
    let side = |levels: Vec<Level>| {
        levels.iter().map(|level| format!("{}x{}", level.price, level.size)).collect::<Vec<_>>().join(" ")
    };
    format!("{} | {}", side(book.bids().collect()), side(book.asks().collect()))
}

fn sync() -> BookSync {
    let mut sync = BookSync::new(SyncRule::Unsequenced, 10);
    let (bids, asks) = ([level("100.0", "1"), level("99.0", "2")], [level("103.0", "1"), level("105.0", "2")]);
    assert_eq!(sync.update(delta("101.0", &bids, &asks)), Verdict::Ignored, "nothing before the whole");
    assert_eq!(sync.update(whole("101.0", &bids, &asks)), Verdict::Replaced);
    sync
}

#[test]
fn what_the_middle_has_passed_is_dropped() {
    let mut sync = sync();
    // The asks at 103 are gone and nobody says so.
    let bids = [level("103.5", "4")];
    assert_eq!(sync.update(delta("104.25", &bids, &[])), Verdict::Changed);
    assert_eq!(texts(&sync), "103.5x4 100.0x1 99.0x2 | 105.0x2");
    assert_eq!(sync.take_findings(), Findings { pruned: 1, differed: 0 });
    assert_eq!((sync.take_findings(), sync.stats().pruned), (Findings::default(), 1));
    // Bids above the middle go, asks at it go too.
    let asks = [level("100", "7"), level("101", "3")];
    assert_eq!(sync.update(delta("100.0", &[], &asks)), Verdict::Changed, "(100 + 101) / 2 is 100 in whole ones");
    assert_eq!(texts(&sync), "100.0x1 99.0x2 | 101x3 105.0x2");
}

#[test]
fn a_middle_that_is_not_the_books_loses_it() {
    let mut one = sync();
    let bids = [level("101.0", "0"), level("100.5", "1")];
    let got = [Decimal::new(1005, 1), Decimal::new(103, 0)];
    assert_eq!(
        one.update(delta("101", &bids, &[])),
        Verdict::Lost(Loss::Middle { expected: Decimal::new(101, 0), got }),
        "101.75, which is 101.7 to a tick"
    );
    assert_eq!((one.live().is_some(), one.stats().checksum_bad), (false, 1));
    // Rounded in either direction, and to a tick of 0.1 or of 1.
    for (middle, bid) in [("101.7", "100.5"), ("101.8", "100.5"), ("101.75", "100.5"), ("102", "102"), ("102.5", "102")]
    {
        let mut sync = sync();
        assert_eq!(sync.update(delta(middle, &[level(bid, "1")], &[])), Verdict::Changed, "{middle}");
    }
    // Without a middle, or with one side only, there is nothing to compare.
    let mut sync = sync();
    assert_eq!(sync.update(delta("", &bids, &[])), Verdict::Changed);
    let gone = [level("103", "0"), level("105", "0")];
    assert_eq!(sync.update(delta("500", &[], &gone)), Verdict::Changed);
    let crossing = [level("100.5", "1")];
    assert_eq!(sync.update(delta("", &[], &crossing)), Verdict::Lost(Loss::Crossed), "nothing to prune by");
}

#[test]
fn the_whole_may_be_ahead_by_one_delta() {
    let mut sync = sync();
    let (bids, asks) = ([level("100.0", "5"), level("99.0", "2")], [level("103.0", "1"), level("105.0", "2")]);
    assert_eq!(sync.update(whole("101.0", &bids, &asks)), Verdict::Replaced);
    assert_eq!(sync.update(delta("101.0", &[level("100", "5.0")], &[])), Verdict::Changed);
    assert_eq!((sync.take_findings(), sync.stats().differed), (Findings::default(), 0));
    assert_eq!(sync.update(whole("101.0", &bids, &asks)), Verdict::Confirmed, "as it was");
    assert_eq!((sync.stats().snapshots, sync.stats().deltas), (3, 1));
}

#[test]
fn what_no_delta_explains_is_counted_and_healed() {
    let mut sync = sync();
    // A removal was lost, one level is new; beyond the worst level of either nothing is known.
    let (bids, asks) = ([level("100.0", "1"), level("98.0", "9")], [level("103.0", "1"), level("104.0", "4")]);
    assert_eq!(sync.update(whole("101.0", &bids, &asks)), Verdict::Replaced);
    assert_eq!(sync.update(delta("101.0", &[], &[level("104", "4")])), Verdict::Changed);
    assert_eq!(sync.take_findings(), Findings { pruned: 0, differed: 1 }, "99.0 is gone and was not told");
    assert_eq!(texts(&sync), "100.0x1 98.0x9 | 103.0x1 104x4");
    assert_eq!(sync.stats().differed, 1);
}

#[test]
fn wholes_that_change_without_a_delta_between_lose_the_book() {
    let mut sync = sync();
    let asks = [level("103.0", "1"), level("105.0", "2")];
    let bids = |size| [level("100.0", size), level("99.0", "2")];
    assert_eq!(sync.update(whole("101.0", &bids("2"), &asks)), Verdict::Replaced);
    assert_eq!(sync.update(whole("101.0", &bids("3"), &asks)), Verdict::Replaced, "it may be right behind the other");
    assert_eq!(sync.take_findings(), Findings { pruned: 0, differed: 1 });
    let again = sync.clone();
    assert_eq!(sync.update(whole("101.0", &bids("3"), &asks)), Verdict::Lost(Loss::Unsaid { levels: 1 }));
    assert_eq!((texts(&sync).as_str(), sync.stats().gaps), ("not live", 1));
    assert_eq!(sync.update(whole("101.0", &bids("3"), &asks)), Verdict::Replaced);
    assert_eq!(sync.stats().resyncs, 1);
    // A delta, whatever it says, shows that they come.
    let mut sync = again;
    assert_eq!(sync.update(delta("101.0", &[], &[])), Verdict::Changed);
    for size in ["4", "5"] {
        assert_eq!(sync.update(whole("101.0", &bids(size), &asks)), Verdict::Replaced);
    }
    assert!(matches!(sync.update(whole("101.0", &bids("5"), &asks)), Verdict::Lost(_)));
}

type Sides = [BTreeMap<i64, i64>; 2];

fn levels(of: &BTreeMap<i64, i64>) -> Vec<Level> {
    of.iter().map(|(price, size)| Level { price: Decimal::new(*price, 1), size: Decimal::new(*size, 0) }).collect()
}

/// Best bid and best ask, in tenths.
fn best([bids, asks]: &Sides) -> Option<(i64, i64)> {
    Some((*bids.last_key_value()?.0, *asks.first_key_value()?.0))
}

/// The middle as a text, rounded down to a tenth.
fn middle(sides: &Sides) -> String {
    best(sides).map(|(bid, ask)| Decimal::new((bid + ask).div_euclid(2), 1).to_string()).unwrap_or_default()
}

/// Moves the market to a new price now and then, and never crosses it.
fn moved(before: &Sides, centre: i64, changes: &[(bool, i64, i64)]) -> Sides {
    let mut after = before.clone();
    after[0].retain(|price, _| *price < centre);
    after[1].retain(|price, _| *price > centre);
    for (bid, distance, size) in changes {
        let (side, price) = if *bid { (0, centre - distance) } else { (1, centre + distance) };
        match size {
            0 => after[side].remove(&price),
            size => after[side].insert(price, *size),
        };
    }
    after[0].entry(centre - 30).or_insert(1);
    after[1].entry(centre + 30).or_insert(1);
    after
}

fn difference(before: &BTreeMap<i64, i64>, after: &BTreeMap<i64, i64>) -> BTreeMap<i64, i64> {
    let gone = before.keys().filter(|price| !after.contains_key(price)).map(|price| (*price, 0));
    let set = after.iter().filter(|(price, size)| before.get(price) != Some(size)).map(|(p, s)| (*p, *s));
    gone.chain(set).collect()
}

proptest! {
    /// A venue that is as bitFlyer is: removals beyond the middle may be left out, wholes may be ahead of their delta.
    #[test]
    fn a_faithful_venue_is_never_doubted(
        moves in prop::collection::vec(
            (-8_i64..8, prop::collection::vec((any::<bool>(), 1_i64..40, 0_i64..4), 1..6), any::<bool>(), any::<bool>()),
            1..60,
        ),
    ) {
        let mut centre = 10_000;
        let mut market = moved(&Sides::default(), centre, &[]);
        let mut sync = BookSync::new(SyncRule::Unsequenced, 400);
        let first = market.each_ref().map(levels);
        sync.update(whole(&middle(&market), &first[0], &first[1]));
        for (by, changes, is_whole, names_all) in moves {
            centre += by;
            let after = moved(&market, centre, &changes);
            let mut changed = [0, 1].map(|side| difference(&market[side], &after[side]));
            let text = middle(&after);
            if let Some((bid, ask)) = best(&after).filter(|_| !names_all) {
                let middle = (bid + ask).div_euclid(2);
                changed[0].retain(|price, size| *size > 0 || *price <= middle);
                changed[1].retain(|price, size| *size > 0 || *price > middle);
            }
            if is_whole {
                let all = after.each_ref().map(levels);
                let verdict = sync.update(whole(&text, &all[0], &all[1]));
                prop_assert!(matches!(verdict, Verdict::Replaced | Verdict::Confirmed), "{verdict:?}");
            }
            let changed = changed.each_ref().map(levels);
            prop_assert_eq!(sync.update(delta(&text, &changed[0], &changed[1])), Verdict::Changed);
            let book = contents(sync.live().expect("live"));
            let tenths = |side: BTreeMap<i64, i64>| side.into_iter().map(|(p, s)| (p / 10, s)).collect::<BTreeMap<_, _>>();
            prop_assert_eq!(&[tenths(book.bids), tenths(book.asks)], &after);
            market = after;
        }
    }
}
