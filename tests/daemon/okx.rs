//! OKX: books of every market and kind equal the simulated venue's, under faults too; several connections of one feed; and
//! the venue's announcement that it will close one.

use serde_json::{Value, json};
use tickbus::sim::okx::{Checksum, Settings};
use tickbus::sim::{Depth, Options, Running, Server};

use crate::gateway::{Gateway, config};
use crate::watcher::Watcher;

const SYMBOLS: [&str; 2] = ["BTC-USDT", "ETH-USDT"];
const DEPTH: Depth = Depth::Levels(400);

/// A simulated OKX or OKJ whose markets move only when a test steps them.
async fn venue(name: &str, faults: &[&str], okx: Settings) -> Running {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let options = Options { venue: name.to_owned(), rate: 0, faults, okx, seed: 7, ..Options::default() };
    Server::bind(options).await.unwrap().start()
}

fn feed(venue: &Running, name: &str, market: &str, symbols: &[&str], channels: &[&str]) -> Value {
    let url = venue.url("public");
    json!({"venue": name, "market": market, "symbols": symbols, "channels": channels, "url": url, "silence_ms": 600_000})
}

struct Scene {
    venue: Running,
    _gateway: Gateway,
    watcher: Watcher,
}

/// Two live spot books, seen by a watcher, before the fault.
async fn scene(fault: &str, okx: Settings) -> Scene {
    let venue = venue("okx", &[fault], okx).await;
    let gateway = Gateway::start(&config(&json!({"a": feed(&venue, "okx", "spot", &SYMBOLS, &["book"])}))).await;
    let mut watcher = Watcher::new(&gateway, &venue, "spot", DEPTH, &["book.", "delta.", "status."]);
    let live =
        |watcher: &Watcher| SYMBOLS.iter().all(|symbol| watcher.is_live(symbol) && watcher.true_books(symbol) > 0);
    watcher.until("all live", |watcher| live(watcher) && watcher.is_live("")).await;
    Scene { venue, _gateway: gateway, watcher }
}

/// A fault of one message: its symbol goes stale for this reason and comes back; the other one never stops.
async fn costs_one_symbol(fault: &str, reason: &str, okx: Settings) {
    let Scene { venue, watcher, .. } = &mut scene(fault, okx).await;
    let from = watcher.told.len();
    watcher.walk(1);
    watcher.until("trouble", |watcher| watcher.told.len() > from).await;
    let hit = watcher.told[from..].iter().find(|told| !told.symbol.is_empty()).map(|told| told.symbol.clone());
    let hit = hit.unwrap_or_else(|| SYMBOLS[0].to_owned());
    watcher
        .until("the symbol is live again", |watcher| watcher.told_of(&hit, from).last().is_some_and(|s| s == "live"))
        .await;
    watcher.until_true(&SYMBOLS, 50).await;
    let expected = [format!("stale {reason}"), format!("syncing {reason}"), "live".to_owned()];
    assert_eq!(watcher.told_of(&hit, from), expected, "{fault}");
    let other = SYMBOLS.iter().find(|symbol| **symbol != hit).unwrap();
    assert_eq!(watcher.told_of(other, from), [""; 0], "{fault}");
    assert_eq!(venue.truth().connections(), 1, "{fault}");
}

/// A fault that a client must not even notice, though it may take more connections than one. Each has the fault again.
async fn unnoticed(fault: &str, connections: u64) {
    let Scene { venue, watcher, .. } = &mut scene(fault, Settings::default()).await;
    let from = watcher.told.len();
    watcher.walk(1);
    watcher.until_true(&SYMBOLS, 100).await;
    watcher.until("the connections", |_| venue.truth().connections() >= connections).await;
    watcher.until_true(&SYMBOLS, 100).await;
    assert_eq!(watcher.told[from..], [], "{fault}");
    assert!(connections > 1 || venue.truth().connections() == 1, "{fault}");
}

#[tokio::test]
async fn books_of_every_market_equal_the_truth() {
    for (name, market, symbols) in [
        ("okx", "spot", SYMBOLS),
        ("okx", "swap", ["BTC-USDT-SWAP", "BTC-USD-SWAP"]),
        ("okj", "spot", ["BTC-JPY", "ETH-JPY"]),
    ] {
        for (channel, depth) in [("book", DEPTH), ("book:5", Depth::Levels(5))] {
            let venue = venue(name, &[], Settings::default()).await;
            let feeds = json!({"a": feed(&venue, name, market, &symbols, &[channel, "trade", "ticker"])});
            let gateway = Gateway::start(&config(&feeds)).await;
            let mut watcher = Watcher::new(&gateway, &venue, market, depth, &["book.", "delta.", "status.", "trade."]);
            watcher.walk(1);
            watcher.until_true(&symbols, 100).await;
            assert_eq!(watcher.unproved, 0, "{name} {market} {channel}");
        }
    }
}

#[tokio::test]
async fn a_lost_or_late_message_is_a_gap_of_one_symbol() {
    costs_one_symbol("drop@20", "gap", Settings::default()).await;
    costs_one_symbol("swap@20", "gap", Settings::default()).await;
}

#[tokio::test]
async fn a_crossed_book_and_a_wrong_checksum_cost_one_symbol() {
    costs_one_symbol("crossed@20", "crossed", Settings::default()).await;
    let live = || Settings { checksum: Some(Checksum::Live), ..Settings::default() };
    costs_one_symbol("checksum@20", "checksum", live()).await;
}

#[tokio::test]
async fn what_comes_twice_or_is_new_is_not_noticed() {
    for fault in ["dup@20", "newfield@20", "unknown-topic@20", "fragmented@20", "snapshot@20"] {
        unnoticed(fault, 1).await;
    }
}

/// The announced connection is closed when another one has all its streams, and no book is doubted.
#[tokio::test]
async fn a_service_upgrade_is_not_noticed() {
    unnoticed("notice:3000@20", 2).await;
}

#[tokio::test]
async fn a_closed_connection_is_opened_again() {
    for fault in ["close:4004@20", "reset@20", "eof@20"] {
        let Scene { venue, watcher, .. } = &mut scene(fault, Settings::default()).await;
        let from = watcher.told.len();
        watcher.walk(1);
        watcher.until("trouble", |watcher| watcher.told.len() > from).await;
        watcher.until_true(&SYMBOLS, 5).await;
        for symbol in SYMBOLS {
            let told = watcher.told_of(symbol, from);
            assert_eq!(told[..3], ["stale disconnected", "syncing disconnected", "live"], "{fault} {symbol}");
        }
        assert!(venue.truth().connections() >= 2, "{fault}");
    }
}

/// Candles and single trades come over a connection of their own, and neither one's end is the other's.
#[tokio::test]
async fn one_feed_has_several_connections() {
    let venue = venue("okx", &[], Settings::default()).await;
    let channels = ["book", "ticker", "candle:1m", "candle:1d:utc8", "trade:all", "liquidation"];
    let feeds = json!({"a": feed(&venue, "okx", "swap", &["BTC-USDT-SWAP"], &channels)});
    let mut gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "swap", DEPTH, &[""]);
    watcher.walk(2);
    let has = |watcher: &Watcher, topic: &str| watcher.last.contains_key(&format!("{topic}.okx.swap.BTC-USDT-SWAP."));
    let wanted = ["book", "ticker", "candle_1m", "candle_1d", "trade", "instrument"];
    watcher.until("all channels", |watcher| wanted.iter().all(|topic| has(watcher, topic))).await;
    let complete = |watcher: &Watcher| {
        let ticker = &watcher.last["ticker.okx.swap.BTC-USDT-SWAP."];
        ["last", "mark", "index", "funding_rate", "open_interest", "next_funding_time"]
            .iter()
            .all(|key| !ticker[*key].is_null())
    };
    watcher.until("a whole ticker", complete).await;
    let instrument = &watcher.last["instrument.okx.swap.BTC-USDT-SWAP."];
    assert_eq!((&instrument["instrument"], &instrument["kind"]), (&json!("BTC-USDT-PERP"), &json!("perpetual")));
    assert_eq!(venue.truth().connections(), 2);
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await, Some(0));
}

#[tokio::test]
async fn a_refused_topic_leaves_the_others_alone() {
    let venue = venue("okx", &[], Settings::default()).await;
    let feeds = json!({"a": feed(&venue, "okx", "spot", &["BTC-USDT", "NOPE-USDT"], &["book", "trade"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "spot", DEPTH, &["book.", "status."]);
    watcher.walk(1);
    watcher.until_true(&["BTC-USDT"], 20).await;
    let refused = |watcher: &Watcher| watcher.told_of("NOPE-USDT", 0).iter().any(|told| told == "rejected rejected");
    watcher.until("the refusal", refused).await;
    assert!(watcher.is_live("BTC-USDT"));
    // Books of every tick need a key: OKX's own words say so.
    let tick = json!({"a": feed(&venue, "okx", "spot", &["BTC-USDT"], &["book:400:tbt", "trade"])});
    let gateway = Gateway::start(&config(&tick)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "spot", DEPTH, &["trade.", "status."]);
    watcher.walk(1);
    let refused = |watcher: &Watcher| watcher.told_of("BTC-USDT", 0).iter().any(|told| told == "rejected rejected");
    watcher.until("the refusal", refused).await;
    let topic = "trade.okx.spot.BTC-USDT.";
    watcher.until("trades all the same", |watcher| watcher.last.contains_key(topic)).await;
    let status = &watcher.last["status.okx.spot.BTC-USDT."];
    assert!(status["detail"].as_str().unwrap().contains("60011"), "{status}");
}
