//! The real program on a simulated venue, with a real Redis beside it: what a trader finds there, and what an operator sees.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tickbus::sim::Options;

use crate::process::{Gateway, config, feed, venue};
use crate::script::{Language, Script};
use crate::server::{Redis, Server};

/// A gateway of one feed with everything, and the sink.
async fn gateway(server: &Server, venue: &tickbus::sim::server::Running, encoding: &str) -> Gateway {
    let channels = ["book:50", "trade", "ticker", "candle:1m"];
    let mut config = config(&json!({"bybit_linear": feed(venue, "linear", &["BTCUSDT", "ETHUSDT"], &channels)}));
    config["bus"]["encoding"] = json!(encoding);
    config["admin"]["listen"] = json!("127.0.0.1:0");
    config["sinks"] = json!({"redis": {"url": server.url(), "book_depth": 5, "streams": true}});
    Gateway::start(&config).await
}

#[tokio::test]
async fn a_trader_finds_everything_in_redis_and_an_operator_sees_the_sink() {
    let Some(server) = Server::start(&[]).await else { return };
    let venue = venue(500, &[]).await;
    for encoding in ["json", "msgpack"] {
        let mut redis = server.connect().await;
        redis.ask::<()>(&["FLUSHALL"]).await;
        let mut gateway = gateway(&server, &venue, encoding).await;
        let of = |channel: &str| format!("tickbus:{channel}:bybit:linear:BTCUSDT");
        for key in ["book", "bbo", "ticker", "status", "instrument", "trade", "candle_1m"] {
            redis.until(&["EXISTS", &of(key)], |there: &bool| *there).await;
        }
        let book: BTreeMap<String, String> = redis.ask(&["HGETALL", &of("book")]).await;
        let levels: Vec<(String, String)> = serde_json::from_str(&book["bids"]).unwrap();
        assert_eq!((levels.len(), &*book["state"]), (5, "live"));
        redis
            .until(&["HGET", "tickbus:feed:bybit_linear", "state"], |state: &Option<String>| {
                state.as_deref() == Some("live")
            })
            .await;
        let lives: i64 = redis.until(&["PTTL", "tickbus:heartbeat"], |lives: &i64| *lives > 0).await;
        assert!(lives <= 5000);
        let (_, answer) = gateway.ctl(&["stats"]).await;
        let sink = &answer["sinks"]["redis"];
        assert!(sink["connected"] == true && sink["frames"].as_u64() > Some(10), "{answer}");
        let peer = answer["peers"].as_array().unwrap().iter().find(|peer| peer["peer"] == "sink:redis");
        assert!(peer.is_some(), "{answer}");
        gateway.signal("TERM");
        assert_eq!(gateway.ended().await, Some(0));
        let state: String = redis.ask(&["HGET", &of("status"), "state"]).await;
        assert_eq!(state, "down");
        for key in [of("book"), of("bbo"), of("ticker"), "tickbus:heartbeat".to_owned()] {
            assert!(!redis.ask::<bool>(&["EXISTS", &key]).await, "{key} outlived its gateway");
        }
    }
}

#[tokio::test]
async fn the_python_example_follows_a_symbol() {
    let Some(server) = Server::start(&[]).await else { return };
    let venue = venue(500, &[]).await;
    let gateway = gateway(&server, &venue, "json").await;
    let settings = [("TICKBUS_REDIS", &*server.url())];
    let script =
        Script::start(Language::Python, "examples/python/latest.py", &["bybit:linear:BTCUSDT", "20"], &settings);
    let Some(mut script) = script else { return };
    let first = script.line().await;
    if first.starts_with("skipped") {
        return println!("{first}");
    }
    let mut kinds = BTreeSet::new();
    for _ in 1..20 {
        let line = script.line().await;
        kinds.insert(line.split(' ').next().unwrap().to_owned());
    }
    assert!(kinds.contains("trade") && kinds.contains("book"), "{kinds:?}");
    drop(gateway);
}

/// Gives a command as okws's client does, and waits for its answer.
async fn command(redis: &mut Redis, command: Value) -> Value {
    let text = command.to_string();
    redis.until(&["PUBLISH", "trade-ws", &text], |heard: &u32| *heard > 0).await;
    let answer: Option<String> =
        redis.until(&["GET", "trade-ws/info/7"], |answer: &Option<String>| answer.is_some()).await;
    redis.ask::<()>(&["DEL", "trade-ws/info/7"]).await;
    serde_json::from_str(&answer.unwrap()).unwrap()
}

#[tokio::test]
async fn an_okws_client_opens_okx_through_a_real_gateway() {
    let Some(server) = Server::start(&[]).await else { return };
    let options = Options { venue: "okx".to_owned(), rate: 200, seed: 7, ..Options::default() };
    let venue = tickbus::sim::Server::bind(options).await.unwrap().start();
    let mut config = config(&json!({}));
    let okws = json!({"url": venue.url("public")});
    config["sinks"] = json!({"redis": {"url": server.url(), "layout": "okws", "book_depth": 400, "okws": okws}});
    let mut gateway = Gateway::start(&config).await;
    let mut redis = server.connect().await;
    let open = json!({"op": "open", "id": 7, "name": "tests", "args": {"apiKey": "", "secret": "", "password": ""}});
    assert_eq!(command(&mut redis, open.clone()).await["errorCode"], 80000);
    assert_eq!(command(&mut redis, open).await["errorCode"], 80001);
    let channels = [
        "spot/ticker:ETH-USDT",
        "spot/candle60s:ETH-USDT",
        "spot/candle86400s:BTC-USDT",
        "spot/trade:ETH-USDT",
        "spot/depth:ETH-USDT",
        "spot/depth5:ETH-USDT",
        "swap/ticker:BTC-USDT-SWAP",
        "swap/funding_rate:BTC-USDT-SWAP",
    ];
    let subscribe = json!({"op": "subscribe", "id": 7, "name": "tests", "args": channels});
    assert_eq!(command(&mut redis, subscribe).await, json!({"event": "info", "message": "", "errorCode": 80000}));
    for (key, field) in [
        ("okex/tests/spot/ticker:ETH-USDT", "best_bid"),
        ("okex/tests/spot/ticker:ETH-USDT", "last_qty"),
        ("okex/tests/spot/depth:ETH-USDT", "asks"),
        ("okex/tests/spot/depth5:ETH-USDT", "bids"),
        ("okex/tests/swap/ticker:BTC-USDT-SWAP", "volume_24h"),
        ("okex/tests/swap/funding_rate:BTC-USDT-SWAP", "funding_rate"),
    ] {
        redis.until(&["HEXISTS", key, field], |there: &bool| *there).await;
    }
    let levels = |json: String| serde_json::from_str::<Vec<(String, String)>>(&json).unwrap().len();
    assert_eq!(levels(redis.ask(&["HGET", "okex/tests/spot/depth5:ETH-USDT", "asks"]).await), 5);
    assert!(levels(redis.ask(&["HGET", "okex/tests/spot/depth:ETH-USDT", "asks"]).await) > 25);
    for key in ["okex/tests/spot/candle60s:ETH-USDT", "okex/tests/spot/candle86400s:BTC-USDT"] {
        let times: Vec<String> =
            redis.until(&["ZRANGE", key, "0", "-1"], |times: &Vec<String>| !times.is_empty()).await;
        let candle: BTreeMap<String, String> = redis.ask(&["HGETALL", &format!("{key}/{}", times[0])]).await;
        assert_eq!(candle["timestamp"], times[0], "{key}");
        let day_of_hong_kong = times[0].ends_with("T16:00:00.000Z");
        assert_eq!(key.contains("86400"), day_of_hong_kong, "{key} begins at {}", times[0]);
    }
    let trade: Vec<String> =
        redis.until(&["ZRANGE", "okex/tests/spot/trade", "-1", "-1"], |ids: &Vec<String>| !ids.is_empty()).await;
    assert!(redis.ask::<bool>(&["HEXISTS", &format!("okex/tests/spot/trade:{}", trade[0]), "price"]).await);
    redis.until(&["GET", "okex/tests/status"], |state: &Option<String>| state.as_deref() == Some("ON_DATA")).await;
    let refused = json!({"op": "subscribe", "id": 7, "name": "tests", "args": ["spot/ticker:NO-SUCH"]});
    assert_eq!(command(&mut redis, refused).await["errorCode"], 80010);
    assert_eq!(command(&mut redis, json!({"op": "servers", "id": 7})).await["message"], json!(["tests"]));
    assert_eq!(command(&mut redis, json!({"op": "close", "id": 7, "name": "tests"})).await["errorCode"], 80000);
    redis.until(&["GET", "okex/tests/status"], |state: &Option<String>| state.as_deref() == Some("EXIT")).await;
    assert!(!redis.ask::<bool>(&["EXISTS", "okex/tests/spot/depth:ETH-USDT"]).await);
    assert_eq!(command(&mut redis, json!({"op": "servers", "id": 7})).await["message"], json!([]));
    let quit = json!({"op": "quit_server", "id": 7}).to_string();
    redis.ask::<u32>(&["PUBLISH", "trade-ws", &quit]).await;
    assert_eq!(gateway.ended().await, Some(0));
}
