//! The gateway on the simulated bitFlyer, whose books have no ids: every book published is one the venue had, unless a
//! message was lost, which its repetitions of the whole book show.

use std::time::Duration;

use serde_json::{Value, json};
use tickbus::sim::bitflyer::Settings;
use tickbus::sim::{Depth, Options, Running, Server};

use crate::gateway::{Gateway, config};
use crate::scene::Scene;
use crate::watcher::Watcher;

const SYMBOLS: [&str; 2] = ["BTC_JPY", "ETH_JPY"];
const DEPTH: Depth = Depth::Full;

/// Whole books come every second instead of every five.
fn quick() -> Settings {
    let first_whole = (Duration::from_millis(50), Duration::from_millis(150));
    Settings { first_whole, whole_every: Duration::from_secs(1), ..Settings::default() }
}

async fn serve(rate: u32, faults: &[&str], bitflyer: Settings) -> Running {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let options = Options { venue: "bitflyer".to_owned(), rate, faults, bitflyer, seed: 7, ..Options::default() };
    Server::bind(options).await.unwrap().start()
}

fn feed(venue: &Running, market: &str, symbols: &[&str], channels: &[&str]) -> Value {
    json!({
        "venue": "bitflyer", "market": market, "symbols": symbols, "channels": channels,
        "url": venue.url(""), "silence_ms": 600_000,
    })
}

/// Two live books, seen by a watcher, before the fault: markets stand still until the watcher walks.
async fn scene(fault: &str, silence_ms: u64) -> Scene {
    let venue = serve(0, &[fault], quick()).await;
    let feed = feed(&venue, "spot", &SYMBOLS, &["book"]);
    Scene::live(venue, feed, (SYMBOLS, DEPTH), silence_ms, 0).await
}

async fn counters(gateway: &Gateway) -> Value {
    gateway.ctl(&["status"]).await.1["feeds"][0]["counters"].clone()
}

#[tokio::test]
async fn harmless_oddities_go_unnoticed() {
    for fault in ["dup@20", "fragmented@20+2", "newfield@20+2", "unknown-topic@20+2", "crossed@20+9"] {
        let mut scene = scene(fault, 600_000).await;
        scene.goes_unnoticed(fault, 200).await;
        assert_eq!(scene.watcher.unproved, 0, "{fault}");
        let pruned = counters(&scene.gateway).await["pruned"].as_u64().unwrap();
        assert!(pruned > 0, "{fault}: the venue leaves out removals, and the middle price tells");
    }
}

/// An auction, whose orders are no levels; and a whole book that comes instead of the changes that lead to it.
#[tokio::test]
async fn what_is_odd_and_not_wrong_is_told_while_books_stay_live() {
    for fault in ["restart@20+40", "snapshot@20+7"] {
        let Scene { watcher, .. } = &mut scene(fault, 600_000).await;
        let from = watcher.told.len();
        watcher.walk(1);
        watcher.until_true(&SYMBOLS, 200).await;
        assert_eq!(watcher.unproved, 0, "{fault}");
        let told = &watcher.told[from..];
        assert!(!told.is_empty() && told.iter().all(|told| told.state == "live"), "{fault}: {told:?}");
    }
}

/// Nothing shows a lost message but what follows from it: the middle price at once, or the next whole book.
#[tokio::test]
async fn a_lost_update_heals_with_the_next_whole_book() {
    for fault in ["drop@20+10", "swap@20+10"] {
        let Scene { venue, gateway, watcher, .. } = &mut scene(fault, 600_000).await;
        watcher.walk(1);
        watcher.until_true(&SYMBOLS, 300).await;
        let counters = counters(gateway).await;
        let found = ["differed", "checksums_bad"].map(|key| counters[key].as_u64().unwrap());
        assert!(watcher.unproved > 0 && found.iter().sum::<u64>() > 0, "{fault}: {counters}");
        assert_eq!((venue.truth().connections(), counters["errors"].as_u64()), (1, Some(0)), "{fault}");
    }
}

#[tokio::test]
async fn a_bad_message_costs_its_symbol_and_no_other() {
    let mut scene = scene("truncated@20", 600_000).await;
    scene.costs_one_symbol("truncated@20", "invalid").await;
    assert_eq!(scene.watcher.unproved, 0);
}

#[tokio::test]
async fn a_lost_connection_is_opened_again() {
    for fault in ["close:1012@600", "reset@600", "eof@600", "badutf8@600"] {
        let mut scene = scene(fault, 600_000).await;
        scene.costs_the_connection(fault).await;
        assert_eq!(scene.watcher.unproved, 0, "{fault}");
    }
}

/// A channel that falls silent alone: whole books show that no changes come, and both are asked for anew.
#[tokio::test]
async fn changes_that_do_not_come_are_missed() {
    let Scene { venue, watcher, .. } = &mut scene("silence:lightning_board_BTC_JPY@20", 600_000).await;
    watcher.walk(1);
    let missed = |watcher: &Watcher| watcher.told_of("BTC_JPY", 0).contains(&"stale gap".to_owned());
    watcher.until("the gap", missed).await;
    watcher.until_true(&SYMBOLS, 100).await;
    assert_eq!(venue.truth().connections(), 1);
    let of_other = watcher.told_of("ETH_JPY", 0);
    assert!(!of_other.iter().any(|told| told.starts_with("stale")), "{of_other:?}");
}

#[tokio::test]
async fn random_faults_never_end_in_a_wrong_book() {
    let Scene { venue, gateway, watcher, .. } = &mut scene("random:2", 3_000).await;
    watcher.walk(1);
    watcher.until("500 true books", |watcher| watcher.proved.values().sum::<u64>() >= 500).await;
    let counters = counters(gateway).await;
    let resyncs = counters["resyncs"].as_u64().unwrap();
    assert!(resyncs > 0 || venue.truth().connections() > 1, "no fault: {counters}");
}

#[tokio::test]
async fn a_rejected_symbol_and_one_that_does_not_exist_are_told() {
    let venue = serve(100, &["reject:lightning_board_ETH_JPY"], quick()).await;
    let symbols = ["BTC_JPY", "ETH_JPY", "MOON_JPY"];
    let gateway = Gateway::start(&config(&json!({"a": feed(&venue, "spot", &symbols, &["book", "trade"])}))).await;
    let mut watcher = Watcher::new(&gateway, &venue, "spot", DEPTH, &["book.", "status."]);
    watcher.until_true(&symbols[..1], 20).await;
    for symbol in &symbols[1..] {
        watcher.until("rejected", |watcher| watcher.told_of(symbol, 0).contains(&"rejected rejected".into())).await;
    }
    let detail = &watcher.last["status.bitflyer.spot.MOON_JPY."]["detail"];
    assert_eq!(detail, "bitFlyer lists no product MOON_JPY");
}

#[tokio::test]
async fn every_channel_of_both_markets_is_there() {
    let venue = serve(0, &[], quick()).await;
    let channels = ["book", "bbo", "trade", "ticker"];
    let feeds = json!({
        "spot": feed(&venue, "spot", &["BTC_JPY"], &channels),
        "fx": feed(&venue, "fx", &["FX_BTC_JPY"], &["lightning_board", "lightning_executions", "lightning_ticker_FX_BTC_JPY"]),
    });
    let gateway = Gateway::start(&config(&feeds)).await;
    for (market, symbol, instrument) in [("spot", "BTC_JPY", "BTC-JPY"), ("fx", "FX_BTC_JPY", "BTC-JPY-PERP")] {
        let mut watcher = Watcher::new(&gateway, &venue, market, DEPTH, &[""]);
        watcher.walk(2);
        let topic = |channel: &str| format!("{channel}.bitflyer.{market}.{symbol}.");
        let wanted = ["book", "bbo", "trade", "ticker", "instrument"].map(topic);
        watcher.until("all channels", |watcher| wanted.iter().all(|topic| watcher.last.contains_key(topic))).await;
        assert_eq!(watcher.last[&topic("instrument")]["instrument"], instrument);
        let ticker = &watcher.last[&topic("ticker")];
        for key in ["last", "bid_price", "ask_size", "volume_24h", "venue_seq", "ts_venue"] {
            assert!(!ticker[key].is_null(), "{key}: {ticker}");
        }
        assert_eq!(ticker["params"]["state"], "RUNNING");
        let trade = &watcher.last[&topic("trade")];
        assert!(trade["ts_event"].is_u64() && trade["venue_seq"].is_null(), "{trade}");
        assert!(watcher.last[&topic("book")]["venue_seq"].is_null(), "bitFlyer numbers no book");
    }
}

/// The simulated account's key in files that live as long as the folder, and the config that names them.
fn keys(secret: &str) -> (tempfile::TempDir, Value) {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = serde_json::Map::new();
    for (part, text) in [("key", "key"), ("secret", secret)] {
        let path = folder.path().join(part);
        std::fs::write(&path, text).unwrap();
        sources.insert(part.to_owned(), json!({"file": path}));
    }
    (folder, Value::Object(sources))
}

#[tokio::test]
async fn a_key_opens_the_account() {
    let deals = Settings { deal_every: Duration::from_millis(200), ..quick() };
    let venue = serve(0, &[], deals).await;
    let (_files, credentials) = keys("secret");
    let mut feed = feed(&venue, "spot", &["BTC_JPY"], &["book", "order", "fill", "position", "balance"]);
    feed["credentials"] = credentials;
    let gateway = Gateway::start(&config(&json!({"a": feed}))).await;
    let prefixes = ["book.", "status.", "order.", "fill.", "position.", "balance."];
    let mut watcher = Watcher::new(&gateway, &venue, "spot", DEPTH, &prefixes);
    watcher.walk(1);
    watcher.until_true(&["BTC_JPY"], 50).await;
    let topic = |kind: &str, symbol: &str| format!("{kind}.bitflyer.main.{symbol}.");
    let wanted = [
        topic("order", "BTC_JPY"),
        topic("fill", "BTC_JPY"),
        topic("order", "FX_BTC_JPY"),
        topic("position", "FX_BTC_JPY"),
        topic("balance", "BTC"),
        topic("balance", "JPY"),
    ];
    watcher.until("rows", |watcher| wanted.iter().all(|topic| watcher.last.contains_key(topic))).await;
    let fill = &watcher.last[&wanted[1]];
    assert!(["id", "order_id", "side", "price", "size", "fee"].iter().all(|key| fill[*key].is_string()), "{fill}");
    assert_eq!((venue.truth().connections(), watcher.unproved), (2, 0));
    let live = |watcher: &Watcher| watcher.told_of("", 0).last().is_some_and(|told| told == "live");
    watcher.until("all live", live).await;
}

#[tokio::test]
async fn a_wrong_key_is_refused_in_the_venues_words_and_public_data_go_on() {
    let venue = serve(0, &[], quick()).await;
    let (_files, credentials) = keys("another");
    let mut feed = feed(&venue, "spot", &["BTC_JPY"], &["book", "order"]);
    feed["credentials"] = credentials;
    let gateway = Gateway::start(&config(&json!({"a": feed}))).await;
    let mut watcher = Watcher::new(&gateway, &venue, "spot", DEPTH, &["book.", "status."]);
    watcher.walk(1);
    watcher.until("refused", |watcher| watcher.told_of("order", 0).contains(&"rejected rejected".into())).await;
    watcher.until_true(&["BTC_JPY"], 100).await;
    assert!(!watcher.told_of("BTC_JPY", 0).iter().any(|told| told.starts_with("stale")), "{:?}", watcher.told);
}
