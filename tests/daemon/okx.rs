//! The gateway on the simulated OKX: every fault ends in books equal to the truth, with the right states told in between.

use serde_json::{Value, json};
use tickbus::sim::okx::{Checksum, Settings};
use tickbus::sim::{Depth, Options, Running, Server};

use crate::gateway::{Gateway, config, until};
use crate::scene::Scene;
use crate::watcher::Watcher;

const SYMBOLS: [&str; 2] = ["BTC-USDT-SWAP", "ETH-USDT-SWAP"];
const DEPTH: Depth = Depth::Levels(400);

async fn serve(venue: &str, rate: u32, faults: &[&str], okx: Settings) -> Running {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let options = Options { venue: venue.to_owned(), rate, faults, okx, seed: 7, ..Options::default() };
    Server::bind(options).await.unwrap().start()
}

fn feed(venue: &Running, market: &str, symbols: &[&str], channels: &[&str]) -> Value {
    json!({
        "venue": "okx", "market": market, "symbols": symbols, "channels": channels,
        "url": venue.url("public"), "silence_ms": 600_000,
    })
}

/// Two live books, seen by a watcher, before the fault: markets stand still until the watcher walks.
async fn scene(fault: &str, silence_ms: u64) -> Scene {
    let live = Settings { checksum: Some(Checksum::Live), ..Settings::default() };
    let venue = serve("okx", 0, &[fault], live).await;
    let feed = feed(&venue, "swap", &SYMBOLS, &["book:400"]);
    Scene::live(venue, feed, (SYMBOLS, DEPTH), silence_ms, 0).await
}

#[tokio::test]
async fn harmless_oddities_go_unnoticed() {
    for fault in [
        "dup@20",
        "fragmented@20+2",
        "newfield@20+2",
        "unknown-topic@20+2",
        "snapshot@20+7",
        "restart@20",
        "restart@20+30",
    ] {
        scene(fault, 600_000).await.goes_unnoticed(fault, 100).await;
    }
}

#[tokio::test]
async fn a_bad_message_costs_its_symbol_and_no_other() {
    for (fault, reason) in [
        ("drop@20", "gap"),
        ("swap@20", "gap"),
        ("crossed@20", "crossed"),
        ("checksum@20", "checksum"),
        ("truncated@20", "invalid"),
    ] {
        scene(fault, 600_000).await.costs_one_symbol(fault, reason).await;
    }
}

#[tokio::test]
async fn a_lost_connection_is_opened_again() {
    for fault in ["close:1012@30", "close:4004@30", "reset@30", "eof@30", "badutf8@30"] {
        scene(fault, 600_000).await.costs_the_connection(fault).await;
    }
}

#[tokio::test]
async fn a_connection_that_is_announced_to_end_is_replaced_before() {
    let Scene { venue, watcher, .. } = &mut scene("notice:4000@30", 600_000).await;
    let from = watcher.told.len();
    watcher.walk(1);
    watcher.until("another connection", |_| venue.truth().connections() >= 2).await;
    watcher.until_true(&SYMBOLS, 100).await;
    let stale: Vec<_> = watcher.told[from..].iter().filter(|told| told.state == "stale").collect();
    assert!(stale.is_empty(), "{stale:?}");
}

#[tokio::test]
async fn a_silent_book_is_subscribed_to_anew() {
    let Scene { venue, watcher, .. } = &mut scene("silence@20", 2_000).await;
    watcher.walk(1);
    let silent =
        |watcher: &Watcher| watcher.told.iter().any(|told| told.reason == "silence" && !told.symbol.is_empty());
    watcher.until("silence", silent).await;
    watcher.until_true(&SYMBOLS, 20).await;
    assert_eq!(venue.truth().connections(), 1);
}

#[tokio::test]
async fn a_rejected_symbol_is_told_and_the_others_are_live() {
    let venue = serve("okx", 100, &["reject:books:ETH-USDT-SWAP"], Settings::default()).await;
    let feeds = json!({"a": feed(&venue, "swap", &SYMBOLS, &["book:400"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "swap", DEPTH, &["book.", "status."]);
    watcher.until_true(&SYMBOLS[..1], 20).await;
    watcher.until("rejected", |watcher| watcher.told_of(SYMBOLS[1], 0).contains(&"rejected rejected".into())).await;
    assert_eq!(watcher.true_books(SYMBOLS[1]), 0);
}

#[tokio::test]
async fn every_market_is_live_and_true() {
    let open = Settings { connect_limit: false, ..Settings::default() };
    let venue = serve("okx", 400, &[], open).await;
    let feeds = [
        ("spot", "BTC-USDT"),
        ("swap", "BTC-USD_UM-SWAP"),
        ("futures", "BTC-USD-270326"),
        ("option", "BTC-USD-270326-60000-C"),
    ];
    let all: serde_json::Map<_, _> = feeds
        .iter()
        .map(|(market, symbol)| {
            ((*market).to_owned(), feed(&venue, market, &[symbol], &["book:400", "trade", "ticker", "candle:1m"]))
        })
        .collect();
    let gateway = Gateway::start(&config(&Value::Object(all))).await;
    for (market, symbol) in feeds {
        let prefixes =
            [format!("book.okx.{market}."), format!("trade.okx.{market}."), format!("candle_1m.okx.{market}.")];
        let prefixes: Vec<&str> = prefixes.iter().map(String::as_str).collect();
        let mut watcher = Watcher::new(&gateway, &venue, market, DEPTH, &prefixes);
        watcher.until("true books", |watcher| watcher.true_books(symbol) >= 50).await;
        watcher.until("trades and candles", |watcher| watcher.last.len() >= 3).await;
    }
}

#[tokio::test]
async fn japan_is_the_same_with_checksums() {
    let venue = serve("okj", 200, &["checksum@40"], Settings::default()).await;
    let mut feed = feed(&venue, "spot", &["BTC-JPY", "XRP-JPY"], &["book:400", "trade"]);
    feed["venue"] = json!("okj");
    let gateway = Gateway::start(&config(&json!({"a": feed}))).await;
    let mut watcher = Watcher::new(&gateway, &venue, "spot", DEPTH, &["book.", "status."]);
    watcher.until_true(&["BTC-JPY", "XRP-JPY"], 50).await;
    let told: Vec<_> = watcher.told.iter().filter(|told| told.reason == "checksum").collect();
    assert!(!told.is_empty(), "{:?}", watcher.told);
}

#[tokio::test]
async fn random_faults_never_publish_a_wrong_book() {
    let Scene { venue, gateway, watcher, .. } = &mut scene("random:2", 2_000).await;
    watcher.walk(1);
    watcher.until("300 true books", |watcher| watcher.proved.values().sum::<u64>() >= 300).await;
    let status = gateway.ctl(&["status"]).await.1;
    let resyncs = status["feeds"][0]["counters"]["resyncs"].as_u64().unwrap();
    assert!(resyncs > 0 || venue.truth().connections() > 1, "no fault: {status}");
}

#[tokio::test]
async fn more_connections_than_the_venue_takes_at_once_are_made_one_after_the_other() {
    let venue = serve("okx", 100, &[], Settings::default()).await;
    let one = |symbol: &str| feed(&venue, "spot", &[symbol], &["book:400", "candle:1m"]);
    let feeds = json!({"a": one("BTC-USDT"), "b": one("ETH-USDT"), "c": one("SOL-USDT")});
    let _gateway = Gateway::start(&config(&feeds)).await;
    until("all six are connected", || venue.truth().connections() == 6).await;
}

#[tokio::test]
async fn whole_books_are_true_too() {
    for (channel, depth) in [("book:5", Depth::Levels(5)), ("book", DEPTH)] {
        let venue = serve("okx", 0, &[], Settings::default()).await;
        let feeds = json!({"a": feed(&venue, "spot", &["BTC-USDT", "ETH-USDT"], &[channel])});
        let gateway = Gateway::start(&config(&feeds)).await;
        let mut watcher = Watcher::new(&gateway, &venue, "spot", depth, &["book.", "delta.", "status."]);
        watcher.walk(1);
        watcher.until_true(&["BTC-USDT", "ETH-USDT"], 100).await;
        assert_eq!(watcher.unproved, 0, "{channel}");
    }
}

/// Candles and single trades come over a connection of their own.
#[tokio::test]
async fn one_feed_has_several_connections() {
    let venue = serve("okx", 0, &[], Settings::default()).await;
    let channels = ["book", "ticker", "candle:1m", "candle:1d:utc8", "trade:all", "liquidation"];
    let feeds = json!({"a": feed(&venue, "swap", &SYMBOLS[..1], &channels)});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "swap", DEPTH, &[""]);
    watcher.walk(2);
    let topic = |channel: &str| format!("{channel}.okx.swap.BTC-USDT-SWAP.");
    let wanted = ["book", "ticker", "candle_1m", "candle_1d", "trade", "instrument"].map(topic);
    watcher.until("all channels", |watcher| wanted.iter().all(|topic| watcher.last.contains_key(topic))).await;
    let parts = ["last", "mark", "index", "funding_rate", "open_interest", "next_funding_time"];
    let whole = |watcher: &Watcher| parts.iter().all(|key| !watcher.last[&topic("ticker")][*key].is_null());
    watcher.until("a whole ticker", whole).await;
    let instrument = &watcher.last[&topic("instrument")];
    assert_eq!((&instrument["instrument"], &instrument["kind"]), (&json!("BTC-USDT-PERP"), &json!("perpetual")));
    assert_eq!(venue.truth().connections(), 2);
}

#[tokio::test]
async fn what_needs_a_key_is_refused_in_the_venues_words_and_touches_nothing_else() {
    let venue = serve("okx", 0, &[], Settings::default()).await;
    let feeds = json!({"a": feed(&venue, "spot", &["BTC-USDT"], &["book:400:tbt", "trade"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "spot", DEPTH, &["trade.", "status."]);
    watcher.walk(1);
    let trade = "trade.okx.spot.BTC-USDT.";
    watcher.until("trades", |watcher| watcher.last.contains_key(trade)).await;
    watcher.until("refused", |watcher| watcher.told_of("BTC-USDT", 0).contains(&"rejected rejected".into())).await;
    let status = &watcher.last["status.okx.spot.BTC-USDT."];
    assert!(status["detail"].as_str().is_some_and(|detail| detail.contains("60011")), "{status}");
}

/// The simulated account's key in files that live as long as the folder, and the config that names them.
fn keys(secret: &str) -> (tempfile::TempDir, Value) {
    let folder = tempfile::tempdir().unwrap();
    let mut sources = serde_json::Map::new();
    for (part, text) in [("key", "key"), ("secret", secret), ("passphrase", "phrase")] {
        let path = folder.path().join(part);
        std::fs::write(&path, text).unwrap();
        sources.insert(part.to_owned(), json!({"file": path}));
    }
    (folder, Value::Object(sources))
}

#[tokio::test]
async fn a_key_opens_the_account_and_the_books_of_every_tick() {
    let deals = Settings { deal_every: std::time::Duration::from_millis(200), ..Settings::default() };
    let venue = serve("okx", 0, &[], deals).await;
    let (_files, credentials) = keys("secret");
    let mut feed = feed(&venue, "spot", &["BTC-USDT"], &["book:400:tbt", "order", "fill", "position", "balance"]);
    feed["credentials"] = credentials;
    let gateway = Gateway::start(&config(&json!({"a": feed}))).await;
    let prefixes = ["book.", "status.", "order.", "fill.", "position.", "balance."];
    let mut watcher = Watcher::new(&gateway, &venue, "spot", DEPTH, &prefixes);
    watcher.walk(1);
    watcher.until_true(&["BTC-USDT"], 50).await;
    let told = |watcher: &Watcher, kind: &&str| {
        watcher.last.keys().any(|topic| topic.starts_with(&format!("{kind}.okx.main.")))
    };
    watcher.until("rows", |watcher| prefixes[2..].iter().all(|kind| told(watcher, &kind.trim_end_matches('.')))).await;
    let (_, fill) = watcher.last.iter().find(|(topic, _)| topic.starts_with("fill.")).unwrap();
    assert!(["id", "order_id", "side", "price", "size"].iter().all(|key| fill[*key].is_string()), "{fill}");
    assert_eq!(venue.truth().connections(), 2);
}

#[tokio::test]
async fn a_wrong_key_is_refused_in_the_venues_words_and_public_data_go_on() {
    let venue = serve("okx", 0, &[], Settings::default()).await;
    let (_files, credentials) = keys("another");
    let mut feed = feed(&venue, "spot", &["BTC-USDT"], &["book", "order"]);
    feed["credentials"] = credentials;
    let gateway = Gateway::start(&config(&json!({"a": feed}))).await;
    let mut watcher = Watcher::new(&gateway, &venue, "spot", DEPTH, &["book.", "status."]);
    watcher.walk(1);
    watcher.until("refused", |watcher| watcher.told_of("order", 0).contains(&"rejected rejected".into())).await;
    watcher.until_true(&["BTC-USDT"], 100).await;
    assert!(!watcher.told_of("BTC-USDT", 0).iter().any(|told| told.starts_with("stale")), "{:?}", watcher.told);
}
