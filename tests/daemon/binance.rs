//! The gateway on the simulated Binance: books of three markets equal to the truth, whatever the streams and the REST side
//! do, and never more asked by REST than is allowed.

use std::time::Duration;

use serde_json::{Value, json};
use tickbus::client::{Incoming, subscribe};
use tickbus::model::Level;
use tickbus::sim::binance::Settings;
use tickbus::sim::{Depth, Options, Running, Server};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use crate::gateway::{DEADLINE, Gateway, config, until};
use crate::scene::Scene;
use crate::watcher::Watcher;

const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];
const DEPTH: Depth = Depth::Full;

/// Depth goes out with each move.
fn quick() -> Settings {
    Settings { every_move: true, ..Settings::default() }
}

async fn serve(rate: u32, faults: &[&str], binance: Settings) -> Running {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let options = Options { venue: "binance".to_owned(), rate, faults, binance, seed: 7, ..Options::default() };
    Server::bind(options).await.unwrap().start()
}

fn feed(venue: &Running, market: &str, symbols: &[&str], channels: &[&str]) -> Value {
    json!({
        "venue": "binance", "market": market, "symbols": symbols, "channels": channels,
        "url": venue.url(market), "silence_ms": 600_000,
    })
}

/// Two live books, seen by a watcher, before the fault: markets move as the watcher walks.
async fn scene(market: &str, fault: &str, silence_ms: u64) -> Scene {
    let venue = serve(0, &[fault], quick()).await;
    let feed = feed(&venue, market, &SYMBOLS, &["book"]);
    Scene::live(venue, feed, (SYMBOLS, DEPTH), silence_ms, 1).await
}

#[tokio::test]
async fn every_market_is_live_and_true() {
    let venue = serve(300, &[], Settings::default()).await;
    let all = ["book", "bbo", "trade", "ticker", "candle:1m"];
    let markets = [("spot", "BTCUSDT"), ("usdm", "ETHUSDT"), ("coinm", "BTCUSD_PERP")];
    let feeds = markets.map(|(market, symbol)| (market.to_owned(), feed(&venue, market, &[symbol], &all)));
    let gateway = Gateway::start(&config(&Value::Object(feeds.into_iter().collect()))).await;
    for (market, symbol) in markets {
        let prefixes = ["book", "status", "bbo", "trade", "ticker", "candle_1m", "instrument"]
            .map(|channel| format!("{channel}.binance.{market}."));
        let prefixes = prefixes.each_ref().map(String::as_str);
        let mut watcher = Watcher::new(&gateway, &venue, market, DEPTH, &prefixes);
        watcher.until_true(&[symbol], 20).await;
        for channel in ["bbo", "trade", "ticker", "candle_1m", "instrument"] {
            let topic = format!("{channel}.binance.{market}.{symbol}.");
            watcher.until(&topic, |watcher| watcher.last.contains_key(&topic)).await;
        }
        assert!(watcher.told.iter().all(|told| told.state != "stale"), "{market}: {:?}", watcher.told);
    }
}

#[tokio::test]
async fn partial_depth_is_live_and_true() {
    let venue = serve(0, &[], Settings::default()).await;
    let feeds = json!({
        "a": feed(&venue, "spot", &["BTCUSDT"], &["book:20"]),
        "b": feed(&venue, "usdm", &["BTCUSDT"], &["book:20"]),
    });
    let gateway = Gateway::start(&config(&feeds)).await;
    for market in ["spot", "usdm"] {
        let topic = format!("book.binance.{market}.BTCUSDT.");
        let mut watcher = Watcher::new(&gateway, &venue, market, DEPTH, &["status."]);
        watcher.until("live", |watcher| watcher.is_live("BTCUSDT")).await;
        // The venue's digests are of 25 levels: the books are compared level by level once the market stands still.
        let mut books = subscribe(&gateway.bus, std::slice::from_ref(&topic)).unwrap();
        venue.truth().step(30);
        let truth = venue.truth().book(market, "BTCUSDT", Depth::Levels(20)).unwrap();
        let spell =
            |levels: &[Level]| levels.iter().map(|l| json!([l.price.to_string(), l.size.to_string()])).collect();
        let (bids, asks): (Value, Value) = (spell(&truth.bids), spell(&truth.asks));
        loop {
            let Incoming::Frame(frame) = timeout(DEADLINE, books.next()).await.expect("the last book") else {
                continue;
            };
            let book: Value = serde_json::from_slice(&frame.payload).unwrap();
            if book["venue_seq"] == truth.u {
                assert_eq!((&book["bids"], &book["asks"]), (&bids, &asks), "{market}");
                break;
            }
        }
    }
}

#[tokio::test]
async fn harmless_oddities_go_unnoticed() {
    for fault in ["dup@60", "fragmented@60+2", "newfield@60+2", "unknown-topic@60+2"] {
        scene("usdm", fault, 600_000).await.goes_unnoticed(fault, 100).await;
    }
}

#[tokio::test]
async fn a_bad_message_costs_its_symbol_and_no_other() {
    for (market, fault, reason) in [
        ("spot", "drop@200", "gap"),
        ("usdm", "drop@200", "gap"),
        ("usdm", "swap@200", "gap"),
        ("spot", "crossed@200", "crossed"),
        ("spot", "truncated@200", "invalid"),
    ] {
        scene(market, fault, 600_000).await.costs_one_symbol(&format!("{market} {fault}"), reason).await;
    }
}

#[tokio::test]
async fn a_lost_connection_is_opened_again() {
    for fault in ["close:1012@200", "reset@200", "eof@200"] {
        scene("spot", fault, 600_000).await.costs_the_connection(fault).await;
    }
}

#[tokio::test]
async fn a_server_that_says_it_shuts_down_is_left_before() {
    let Scene { venue, watcher, .. } = &mut scene("spot", "notice:4000@300", 600_000).await;
    let from = watcher.told.len();
    watcher.until("another connection", |_| venue.truth().connections() >= 2).await;
    watcher.until_true(&SYMBOLS, 100).await;
    let stale: Vec<_> = watcher.told[from..].iter().filter(|told| told.state == "stale").collect();
    assert!(stale.is_empty(), "{stale:?}");
}

/// Depth of a lively symbol that stops is doubted, though the venue says that it sends it.
#[tokio::test]
async fn a_stream_that_dies_is_noticed() {
    let Scene { venue, watcher, .. } = &mut scene("usdm", "silence@2000", 2_000).await;
    let silent =
        |watcher: &Watcher| watcher.told.iter().any(|told| told.reason == "silence" && !told.symbol.is_empty());
    watcher.until("silence", silent).await;
    watcher.until_true(&SYMBOLS, 20).await;
    assert_eq!(venue.truth().connections(), 1);
}

#[tokio::test]
async fn a_symbol_that_does_not_exist_is_rejected() {
    let venue = serve(100, &[], quick()).await;
    let feeds = json!({"a": feed(&venue, "usdm", &["BTCUSDT", "TYPOUSDT"], &["book", "trade"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "usdm", DEPTH, &["book.", "status."]);
    watcher.until_true(&["BTCUSDT"], 20).await;
    watcher.until("rejected", |watcher| watcher.told_of("TYPOUSDT", 0).contains(&"rejected rejected".into())).await;
}

#[tokio::test]
async fn books_become_true_whatever_rest_does() {
    for fault in ["rest-stale@2", "rest-5xx:503@1+2", "rest-slow:3000@2", "rest-ban:3@2"] {
        let Scene { venue, watcher, .. } = &mut scene("spot", fault, 600_000).await;
        watcher.until_true(&SYMBOLS, 20).await;
        assert_eq!(venue.truth().connections(), 1, "{fault}");
        assert!(watcher.told.iter().all(|told| told.state != "rejected"), "{fault}: {:?}", watcher.told);
    }
}

/// One call of weight 50 by somebody else behind our address.
async fn spend_fifty(venue: &Running) {
    let url = venue.url("spot");
    let host = url.trim_start_matches("ws://").split('/').next().unwrap();
    let mut stream = TcpStream::connect(host).await.unwrap();
    let request =
        format!("GET /api/v3/depth?symbol=BTCUSDT&limit=1000 HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

/// Told that it is too much, the gateway asks nothing more: the venue does not have to ban it.
#[tokio::test]
async fn too_many_requests_are_not_answered_with_more() {
    let venue = serve(200, &[], Settings { weight_limit: Some(100), ..quick() }).await;
    spend_fifty(&venue).await;
    spend_fifty(&venue).await;
    let symbols = ["BTCUSDT", "ETHUSDT", "BNBUSDT", "SOLUSDT", "XRPUSDT", "ADAUSDT"];
    let gateway = Gateway::start(&config(&json!({"a": feed(&venue, "spot", &symbols, &["book"])}))).await;
    until("the limit", || venue.truth().stats()["spot"]["too_many"].as_u64().is_some_and(|count| count > 0)).await;
    until("a line", || gateway.log().iter().any(|line| line["message"] == "REST calls wait: the venue told us to"))
        .await;
    let stats = venue.truth().stats();
    assert!(stats["spot"]["too_many"].as_u64().unwrap() <= 6, "{stats}");
    assert_eq!(stats["spot"]["banned"], 0, "{stats}");
    // The venue's own words of what is used are known, and nobody asks before its minute is over.
    // Those that had left before are the two above, six images and the list of instruments.
    let asked = || venue.truth().stats()["spot"]["requests"].as_u64().unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert!(asked() <= 9, "{} requests", asked());
    let (_, status) = gateway.ctl(&["status"]).await;
    assert!(status.to_string().contains("its image waits for the REST budget"), "{status}");
}
