//! Every fault of the simulated venue ends in books equal to the truth, with the right states told in between, and
//! leaves alone whom it does not concern.

use std::collections::BTreeSet;

use serde_json::json;
use tickbus::sim::Depth;

use crate::gateway::{Gateway, config, feed, venue};
use crate::scene::Scene;
use crate::watcher::Watcher;

const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];
const DEPTH: Depth = Depth::Levels(50);

/// Two live books, seen by a watcher, before the fault: markets stand still until the watcher walks.
async fn scene(fault: &str, silence_ms: u64) -> Scene {
    let venue = venue(0, &[fault]).await;
    let feed = feed(&venue, "linear", &SYMBOLS, &["book:50"]);
    Scene::live(venue, feed, (SYMBOLS, DEPTH), silence_ms, 0).await
}

/// A fault that a client must not even notice.
async fn unnoticed(fault: &str) {
    scene(fault, 600_000).await.goes_unnoticed(fault, 100).await;
}

/// A fault of one message: its symbol goes stale for this reason and comes back; the other one never stops.
async fn costs_one_symbol(fault: &str, reason: &str) {
    scene(fault, 600_000).await.costs_one_symbol(fault, reason).await;
}

/// A fault of the connection: both symbols go stale, are told why, and come back on another connection.
async fn costs_the_connection(fault: &str) {
    let mut scene = scene(fault, 600_000).await;
    let from = scene.costs_the_connection(fault).await;
    let feed = scene.watcher.told_of("", from);
    assert_eq!(feed[..2], ["down disconnected", "syncing disconnected"], "{fault}");
}

/// A fault that silence tells of. The reasons told are exactly these.
async fn costs_time(fault: &str, reasons: &[&str]) {
    let Scene { watcher, .. } = &mut scene(fault, 2_000).await;
    watcher.walk(1);
    let hit = |watcher: &Watcher| watcher.told.iter().any(|told| told.state == "stale" && told.reason == reasons[0]);
    watcher.until("trouble", hit).await;
    watcher.until_true(&SYMBOLS, 20).await;
    let told = watcher.told.iter().filter(|told| told.state == "stale" && !told.symbol.is_empty());
    let seen: BTreeSet<&str> = told.map(|told| told.reason.as_str()).collect();
    assert_eq!(seen, reasons.iter().copied().collect(), "{fault}");
}

#[tokio::test]
async fn a_lost_delta_is_a_gap() {
    costs_one_symbol("drop@20", "gap").await;
}

#[tokio::test]
async fn swapped_deltas_are_a_gap() {
    costs_one_symbol("swap@20", "gap").await;
}

#[tokio::test]
async fn a_crossed_book_is_not_believed() {
    costs_one_symbol("crossed@20", "crossed").await;
}

#[tokio::test]
async fn a_truncated_message_costs_its_symbol() {
    costs_one_symbol("truncated@20", "invalid").await;
}

#[tokio::test]
async fn a_message_without_meaning_costs_every_book_it_may_have_been_for() {
    let Scene { venue, watcher, .. } = &mut scene("garbage@20", 600_000).await;
    let from = watcher.told.len();
    watcher.walk(1);
    watcher.until("trouble", |watcher| watcher.told.len() > from).await;
    watcher.until_true(&SYMBOLS, 50).await;
    for symbol in SYMBOLS {
        assert_eq!(watcher.told_of(symbol, from), ["stale invalid", "syncing invalid", "live"], "{symbol}");
    }
    assert_eq!(venue.truth().connections(), 1);
}

#[tokio::test]
async fn harmless_oddities_go_unnoticed() {
    for fault in ["dup@20", "dup@20+3", "fragmented@20+2", "newfield@20+2", "unknown-topic@20+2", "snapshot@20+7"] {
        unnoticed(fault).await;
    }
}

#[tokio::test]
async fn a_restart_of_the_book_service_replaces_the_book() {
    let Scene { venue, watcher, .. } = &mut scene("restart@20", 600_000).await;
    let from = watcher.told.len();
    watcher.walk(1);
    let mut restarted = None;
    while restarted.is_none() {
        let (topic, frame) = watcher.next().await;
        if topic.starts_with("delta.") && frame["venue_seq"] == 1 {
            assert_eq!(frame["snapshot"], true);
            restarted = Some(topic);
        }
    }
    watcher.until_true(&SYMBOLS, 50).await;
    let told: Vec<_> = watcher.told[from..].iter().filter(|told| told.state != "live").collect();
    assert!(told.is_empty(), "{told:?}");
    assert_eq!(venue.truth().connections(), 1);
}

#[tokio::test]
async fn a_closed_connection_is_opened_again() {
    for fault in ["close:1000@30", "close:1001@30", "close:1012@30"] {
        costs_the_connection(fault).await;
    }
}

#[tokio::test]
async fn a_connection_closed_for_policy_is_opened_again_later() {
    costs_the_connection("close:1008@30").await;
}

#[tokio::test]
async fn a_broken_connection_is_opened_again() {
    // Text that is no UTF-8 breaks the websocket protocol, which ends the connection.
    for fault in ["reset@30", "eof@30", "huge:20000000@30", "badutf8@30"] {
        costs_the_connection(fault).await;
    }
}

#[tokio::test]
async fn a_topic_that_falls_silent_is_subscribed_to_anew() {
    let Scene { watcher, venue, .. } = &mut scene("silence@20", 2_000).await;
    watcher.walk(1);
    let silent =
        |watcher: &Watcher| watcher.told.iter().any(|told| told.reason == "silence" && !told.symbol.is_empty());
    watcher.until("silence", silent).await;
    let hit = watcher.told.iter().find(|told| told.reason == "silence" && !told.symbol.is_empty());
    let hit = hit.unwrap().symbol.clone();
    watcher.until_true(&SYMBOLS, 20).await;
    let told = watcher.told_of(&hit, 0);
    assert!(told.ends_with(&["stale silence".into(), "syncing silence".into(), "live".into()]), "{told:?}");
    assert_eq!(venue.truth().connections(), 1);
}

#[tokio::test]
async fn a_connection_that_stalls_is_silence() {
    // What is asked for during the stall is lost too: the snapshot has to be asked for again.
    costs_time("stall:5000@20", &["silence", "no_snapshot"]).await;
}

#[tokio::test]
async fn a_half_open_connection_is_left() {
    costs_time("half-open@20", &["silence", "no_snapshot", "disconnected"]).await;
}

#[tokio::test]
async fn pings_that_nobody_answers_on_a_silent_connection_end_it() {
    let Scene { venue, watcher, .. } = &mut scene("nopong", 600_000).await;
    // Markets stand still: only pings could tell that the other end lives.
    watcher
        .until("stale", |watcher| SYMBOLS.iter().all(|s| watcher.told_of(s, 0).contains(&"stale disconnected".into())))
        .await;
    watcher.walk(1);
    watcher.until_true(&SYMBOLS, 20).await;
    assert!(venue.truth().connections() >= 2);
}

#[tokio::test]
async fn a_refused_connection_is_tried_again() {
    let venue = venue(100, &["refuse:503@1"]).await;
    let feeds = json!({"a": feed(&venue, "linear", &SYMBOLS, &["book:50"])});
    let mut gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", DEPTH, &["book.", "status."]);
    watcher.until_true(&SYMBOLS, 20).await;
    let line = gateway.logged("cannot connect").await;
    assert!(line["reason"].as_str().unwrap().contains("HTTP 503"), "{line}");
    assert_eq!(venue.truth().connections(), 1);
}

#[tokio::test]
async fn a_rejected_symbol_is_told_and_the_others_are_live() {
    for (market, symbols) in
        [("linear", ["BTCUSDT", "ETHUSDT", "SOLUSDT"]), ("spot", ["BTCUSDT", "ETHUSDT", "SOLUSDT"])]
    {
        let venue = venue(100, &["reject:orderbook.50.ETHUSDT"]).await;
        let feeds = json!({"a": feed(&venue, market, &symbols, &["book:50"])});
        let gateway = Gateway::start(&config(&feeds)).await;
        let mut watcher = Watcher::new(&gateway, &venue, market, DEPTH, &["book.", "status."]);
        watcher.until_true(&["BTCUSDT", "SOLUSDT"], 20).await;
        watcher.until("rejected", |watcher| watcher.told_of("ETHUSDT", 0).contains(&"rejected rejected".into())).await;
        assert!(!watcher.told_of("ETHUSDT", 0).contains(&"live".into()));
        assert_eq!(watcher.true_books("ETHUSDT"), 0);
        watcher.until("the feed is live", |watcher| watcher.is_live("")).await;
        let (code, status) = gateway.ctl(&["status"]).await;
        assert_eq!((code, &status["feeds"][0]["symbols"]["ETHUSDT"]["state"]), (0, &json!("rejected")), "{status}");
    }
}

#[tokio::test]
async fn random_faults_never_publish_a_wrong_book() {
    let Scene { venue, gateway, watcher, .. } = &mut scene("random:2", 2_000).await;
    watcher.walk(1);
    // In sum, because resyncs of a symbol that is hit again and again are further and further apart.
    watcher.until("300 true books", |watcher| watcher.proved.values().sum::<u64>() >= 300).await;
    let status = gateway.ctl(&["status"]).await.1;
    let resyncs = status["feeds"][0]["counters"]["resyncs"].as_u64().unwrap();
    assert!(resyncs > 0 || venue.truth().connections() > 1, "no fault: {status}");
}
