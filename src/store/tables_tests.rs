//! How frames get into tables: exactly, whenever somebody begins to ask, and at no cost while nobody does.

use bytes::Bytes;

use super::*;
use crate::bus::{Outgoing, Retain};
use crate::table::{Change, MustReread, Where};

const LIMITS: StoreLimits = StoreLimits { trades: 100_000, candles: 10, bytes: 1 << 30 };

fn frame(channel: &str, symbol: &str, seq: u64) -> Outgoing {
    let retain = if channel == "trade" { Retain::Stream } else { Retain::Latest };
    let payload = format!(
        r#"{{"v":1,"type":"{channel}","venue":"v","market":"m","symbol":"{symbol}","epoch":1,"seq":{seq},"last":"{seq}","bids":[["1","{seq}"]],"asks":[]}}"#
    );
    let topic = Bytes::from(format!("{channel}.v.m.{symbol}."));
    Outgoing::Frame(Frame { topic, payload: payload.into(), retain, seq })
}

fn publish(store: &Store, channel: &str, symbol: &str, seq: u64) {
    store.record(&mut [frame(channel, symbol, seq)]);
}

async fn rows(tables: &VenueTables, kind: TableKind) -> Vec<String> {
    let found = tables.read(kind, |table| table.find(&Where::default(), usize::MAX)).await;
    found.rows.iter().map(|row| row.text().to_owned()).collect()
}

async fn seq(tables: &VenueTables, kind: TableKind) -> u64 {
    tables.read(kind, Table::seq).await
}

fn far() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

#[tokio::test]
async fn nobody_pays_for_tables_that_nobody_asks_for() {
    let all = Tables::new(LIMITS);
    let store = all.open_store("v");
    let tables = all.venue("v").unwrap();
    publish(&store, "ticker", "A", 1);
    publish(&store, "book", "A", 1);
    assert!(tables.slots.iter().all(|slot| lock(&slot.pending).told.is_empty()));
    assert_eq!(rows(&tables, TableKind::Ticker).await.len(), 1, "what was there before");
    publish(&store, "ticker", "B", 1);
    publish(&store, "book", "B", 1);
    assert_eq!(lock(&tables.slot(TableKind::Ticker).pending).told.len(), 1);
    assert_eq!(lock(&tables.slot(TableKind::Book).pending).told.len(), 0);
    assert_eq!(rows(&tables, TableKind::Ticker).await.len(), 2, "an answer has what was published before the question");
    assert!(all.venue("w").is_none());
}

#[tokio::test]
async fn what_no_longer_holds_and_what_is_closed_goes() {
    let all = Tables::new(LIMITS);
    let (one, two) = (all.open_store("v"), all.open_store("v"));
    let tables = all.venue("v").unwrap();
    for kind in [TableKind::Book, TableKind::Ticker] {
        assert!(rows(&tables, kind).await.is_empty());
    }
    for channel in ["book", "ticker"] {
        publish(&one, channel, "A", 1);
        publish(&two, channel, "B", 1);
    }
    one.record(&mut [Outgoing::Forget(Bytes::from_static(b"book.v.m.A."))]);
    assert_eq!(rows(&tables, TableKind::Book).await.len(), 1);
    two.forget(|topic| topic.starts_with("ticker"));
    assert_eq!(rows(&tables, TableKind::Ticker).await.len(), 1);
    drop((one, two));
    assert!(rows(&tables, TableKind::Book).await.is_empty() && rows(&tables, TableKind::Ticker).await.is_empty());
}

#[tokio::test]
async fn rows_of_accounts_are_kept_though_nobody_asks() {
    let all = Tables::new(LIMITS);
    let store = all.open_store("v");
    let position = |side: &str| {
        let payload = format!(
            r#"{{"v":1,"type":"position","venue":"v","market":"m","account":"main","symbol":"A","seq":1,"size":"1","params":{{"position_side":"{side}"}}}}"#
        );
        let topic = Bytes::from_static(b"position.v.main.A.");
        Outgoing::Frame(Frame { topic, payload: payload.into(), retain: Retain::Latest, seq: 1 })
    };
    store.record(&mut [position("long"), position("short")]);
    let tables = all.venue("v").unwrap();
    assert_eq!(rows(&tables, TableKind::Position).await.len(), 2, "though the store keeps one frame of the topic");
    all.give_up_unused(clock::mono().after(UNUSED_AFTER * 2));
    assert_eq!(rows(&tables, TableKind::Position).await.len(), 2);
}

#[tokio::test]
async fn a_table_is_given_up_and_begun_again_and_its_numbers_go_on() {
    let all = Tables::new(LIMITS);
    let store = all.open_store("v");
    let tables = all.venue("v").unwrap();
    publish(&store, "ticker", "A", 1);
    let before = seq(&tables, TableKind::Ticker).await;
    all.give_up_unused(clock::mono());
    assert!(tables.reports()[0].in_use);
    let waits = tables.slot(TableKind::Ticker).seq.subscribe();
    all.give_up_unused(clock::mono().after(UNUSED_AFTER));
    assert!(tables.reports()[0].in_use, "somebody waits for it");
    drop(waits);
    all.give_up_unused(clock::mono().after(UNUSED_AFTER));
    tables.catch_up(TableKind::Ticker).await;
    let given_up = tables.reports()[0];
    assert!(!given_up.in_use && given_up.stats.rows == 0);
    publish(&store, "ticker", "A", 2);
    assert!(lock(&tables.slot(TableKind::Ticker).pending).told.is_empty());
    assert!(rows(&tables, TableKind::Ticker).await[0].contains(r#""last":"2""#));
    let resumed = tables.read(TableKind::Ticker, |table| table.changes(before).err()).await;
    assert_eq!(resumed, Some(MustReread), "nobody knows what happened meanwhile");
}

#[tokio::test]
async fn a_table_that_cannot_keep_up_is_made_anew_and_says_so() {
    let all = Tables::new(LIMITS);
    let (store, other) = (all.open_store("v"), all.open_store("v"));
    let tables = all.venue("v").unwrap();
    publish(&other, "ticker", "B", 1);
    let before = seq(&tables, TableKind::Ticker).await;
    for seq in 0..=PENDING_MAX as u64 {
        publish(&store, "ticker", "A", seq);
    }
    let pending = || lock(&tables.slot(TableKind::Ticker).pending).told.len();
    assert_eq!(pending(), 0, "what was told is not kept beyond its bound");
    publish(&store, "ticker", "A", 7);
    assert_eq!(pending(), 0);
    let rows = rows(&tables, TableKind::Ticker).await;
    assert!(rows.len() == 2 && rows.iter().any(|row| row.contains(r#""last":"7""#)), "{rows:?}");
    assert!(tables.read(TableKind::Ticker, |table| table.changes(before).is_err()).await);
    assert_eq!(tables.reports()[0].rebuilds, 1);
    // It goes on from there.
    let now = seq(&tables, TableKind::Ticker).await;
    publish(&store, "ticker", "A", 8);
    assert_eq!(tables.read(TableKind::Ticker, |table| table.changes(now).map(Iterator::count)).await, Ok(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn no_change_is_lost_between_looking_and_waiting() {
    const CHANGES: u64 = 20_000;
    let all = Arc::new(Tables::new(LIMITS));
    let store = all.open_store("v");
    let tables = all.venue("v").unwrap();
    let keeps_up = tokio::spawn(Arc::clone(&all).keep_up());
    // One of each is begun before anything is published, the other in the midst of it.
    let follower = |late: bool| {
        let tables = Arc::clone(&tables);
        tokio::spawn(async move {
            for _ in 0..if late { 100 } else { 0 } {
                yield_now().await;
            }
            let (mut after, mut last) = (None, 0);
            while last < CHANGES {
                let look = |table: &Table| {
                    let Some(from) = after else {
                        // What is there, and the number to go on from, in one look.
                        last = table.find(&Where::default(), usize::MAX).matches as u64;
                        after = Some(table.seq());
                        return Some(());
                    };
                    let changes: Vec<(u64, &Arc<Change>)> = table.changes(from).expect("not too far behind").collect();
                    for (expected, (seq, change)) in (from + 1..).zip(&changes) {
                        last += 1;
                        assert!(*seq == expected && change.row().text().contains(&format!(r#""last":"{last}""#)));
                    }
                    after = Some(from + changes.len() as u64);
                    (!changes.is_empty()).then_some(())
                };
                tables.watch(TableKind::Trade, far(), look).await.expect("a change that was missed never comes");
            }
        })
    };
    let followers: Vec<_> = [false, false, true, true].into_iter().map(follower).collect();
    for seq in 1..=CHANGES {
        publish(&store, "trade", "A", seq);
        if seq % 100 == 0 {
            yield_now().await;
        }
    }
    for follower in followers {
        follower.await.unwrap();
    }
    keeps_up.abort();
}

#[tokio::test]
async fn a_wait_ends_in_time_though_nothing_changes() {
    let all = Tables::new(LIMITS);
    let _store = all.open_store("v");
    let tables = all.venue("v").unwrap();
    let until = Instant::now() + Duration::from_millis(20);
    assert_eq!(tables.watch(TableKind::Bbo, until, |_| None::<()>).await, None);
}
