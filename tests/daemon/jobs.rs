//! REST jobs of a running gateway: their results on the bus.

use serde_json::{Value, json};
use tickbus::sim::binance::Settings;
use tickbus::sim::{Depth, Options, Server};

use crate::gateway::{Gateway, config, venue};
use crate::watcher::Watcher;

#[tokio::test]
async fn the_results_of_a_ring_are_frames() {
    let venue = venue(0, &[]).await;
    let rest_url = venue.url("spot").replace("ws://", "http://");
    let rest_url = rest_url.split("/v5").next().unwrap();
    let tasks = json!([
        {"name": "time", "get": {"path": "/v5/market/time"}},
        {"gather": [{"get": {"path": "/nowhere"}}, {"get": {"path": "/v5/market/time"}}]},
    ]);
    let mut config = config(&json!({}));
    let job = json!({"venue": "bybit", "market": "spot", "rest_url": rest_url, "ring": tasks, "interval_ms": 100});
    config["jobs"] = json!({"clock": job});
    let gateway = Gateway::start(&config).await;
    let mut watcher = Watcher::new(&gateway, &venue, "spot", Depth::Levels(50), &["job."]);
    let mut told = Vec::new();
    while told.len() < 7 {
        let (topic, frame) = watcher.next().await;
        if topic != "job.clock." {
            continue;
        }
        assert_eq!((&frame["job"], &frame["venue"], &frame["ok"]), (&json!("clock"), &json!("bybit"), &json!(true)));
        told.push((frame["task"].as_str().unwrap().to_owned(), frame["result"]["retCode"].as_u64().unwrap()));
    }
    for wanted in [("1", 0), ("2.1", 10017), ("2.2", 0)] {
        assert!(told.contains(&(wanted.0.to_owned(), wanted.1)), "{wanted:?} of {told:?}");
    }
}

/// What a ring of calls says becomes normal frames: each trade and each finished candle once, a book that is true and then
/// no longer live, and tickers put together from several calls.
#[tokio::test]
async fn results_of_known_endpoints_are_normal_frames_too() {
    let settings = Settings { every_move: true, ..Settings::default() };
    let options = Options { venue: "binance".to_owned(), rate: 0, binance: settings, seed: 7, ..Options::default() };
    let venue = Server::bind(options).await.unwrap().start();
    let symbol = json!({"symbol": "BTCUSDT"});
    let tasks = json!([
        {"get": "depth", "params": {"symbol": "BTCUSDT", "limit": 100}},
        {"get": "aggTrades", "params": {"symbol": "BTCUSDT", "limit": 500}},
        {"get": "klines", "params": {"symbol": "BTCUSDT", "interval": "1s", "limit": 5}},
        {"gather": [{"get": "ticker/price", "params": symbol}, {"get": "ticker/bookTicker", "params": symbol}]},
        {"get": "ticker/price", "params": {"symbol": "ETHUSDT"}},
        {"get": "aggTrades", "params": {"symbol": "ETHUSDT"}},
        {"get": "depth", "params": {"symbol": "ETHUSDT"}},
        {"get": "depth", "params": {"symbol": "NOSUCH"}},
    ]);
    let rest_url = venue.url("spot").replace("ws://", "http://");
    let rest_url = rest_url.split("/stream").next().unwrap();
    let feed = json!({
        "venue": "binance", "market": "spot", "symbols": ["ETHUSDT"], "channels": ["trade"], "url": venue.url("spot"),
    });
    // The simulated markets move that somebody watches.
    let mut other = feed.clone();
    (other["symbols"], other["channels"]) = (json!(["BTCUSDT"]), json!(["bbo", "trade"]));
    let _other = Gateway::start(&config(&json!({"other": other}))).await;
    let mut config = config(&json!({"binance_trades": feed}));
    config["jobs"] = json!({"poll": {
        "venue": "binance", "market": "spot", "rest_url": rest_url, "ring": tasks, "interval_ms": 300, "rounds": 12,
    }});
    let gateway = Gateway::start(&config).await;
    let prefixes = ["job.", "book.", "delta.", "bbo.", "status.binance.spot.BTC", "trade.", "candle_1s.", "ticker."];
    let mut watcher = Watcher::new(&gateway, &venue, "spot", Depth::Full, &prefixes);
    watcher.walk(1);
    let (mut trades, mut closed, mut jobs) = (Vec::new(), Vec::new(), Vec::new());
    while !jobs.iter().any(|job: &Value| job["round"] == 12 && job["task"] == "8") {
        let (topic, frame) = watcher.next().await;
        match frame["type"].as_str().unwrap() {
            "trade" if topic.contains("BTCUSDT") => {
                trades.push(frame["id"].as_str().unwrap().parse::<u64>().unwrap());
                assert_eq!(frame["backfill"], Value::Null);
            }
            "candle" if frame["closed"] == true => closed.push(frame["open_time"].as_u64().unwrap()),
            "job" => jobs.push(frame),
            "delta" | "bbo" | "book" => assert!(topic.ends_with("BTCUSDT."), "{topic}"),
            _ => {}
        }
    }
    assert!(trades.len() > 40 && trades.windows(2).all(|pair| pair[1] == pair[0] + 1), "each once: {trades:?}");
    assert!(closed.len() > 4 && closed.windows(2).all(|pair| pair[1] == pair[0] + 1_000_000_000), "{closed:?}");
    let told = watcher.told_of("BTCUSDT", 0);
    assert!(told.len() > 10 && told.chunks(2).all(|two| two.len() < 2 || two.contains(&"stale polled".to_owned())));
    assert!(watcher.true_books("BTCUSDT") > 5, "{:?}", watcher.proved);
    let ticker = &watcher.last["ticker.binance.spot.BTCUSDT."];
    assert!(ticker["last"].is_string() && ticker["bid_price"].is_string(), "put together: {ticker}");
    // Beside the feed that has the symbol's trades: the ticker, and neither trades nor what has a state.
    assert!(watcher.last.contains_key("ticker.binance.spot.ETHUSDT."));
    let of = |task: &str| jobs.iter().rev().find(|job| job["task"] == task).unwrap();
    for task in ["6", "7"] {
        assert_eq!((&of(task)["left_to"], &of(task)["frames"]), (&json!("binance_trades"), &Value::Null), "{task}");
    }
    assert!(of("1")["frames"].as_u64().unwrap() >= 4 && of("1")["left_to"].is_null(), "{}", of("1"));
    assert_eq!((&of("8")["ok"], &of("8")["frames"]), (&json!(false), &Value::Null));
    let (_, got) = gateway.ctl(&["get", "topic=ticker.binance.spot.BTCUSDT."]).await;
    assert_eq!(got["value"]["bid_price"], ticker["bid_price"], "{got}");
    let (_, got) = gateway.ctl(&["get", "topic=candle_1s.binance.spot.BTCUSDT.", "n=100"]).await;
    assert!(got["values"].as_array().unwrap().len() >= closed.len(), "{got}");
    let (_, got) = gateway.ctl(&["get", "topic=book.binance.spot.BTCUSDT."]).await;
    assert_eq!(got["ok"], false, "nothing vouches for it any more: {got}");
}
