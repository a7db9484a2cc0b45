//! The real program on a simulated venue, with a real Redis beside it: what a trader finds there, and what an operator sees.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use crate::process::{Gateway, config, feed, venue};
use crate::script::{Language, Script};
use crate::server::Server;

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
