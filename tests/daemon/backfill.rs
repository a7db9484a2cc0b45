//! Back-fill of the running gateway: what was missed while a connection was gone comes afterwards, flagged, each trade and
//! each ended candle once.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tickbus::sim::{Depth, Options, Running, Server};
use tokio::time::timeout;

use crate::gateway::{DEADLINE, Gateway, config, venue};
use crate::watcher::Watcher;

const SECOND: u64 = 1_000_000_000;

async fn serve(name: &str, faults: &[&str]) -> Running {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let options = Options { venue: name.to_owned(), faults, rate: 0, seed: 7, ..Options::default() };
    Server::bind(options).await.unwrap().start()
}

/// What a feed published of one symbol.
#[derive(Default)]
struct Flow {
    /// Trades by id, and how often.
    trades: BTreeMap<u64, u64>,
    /// Those that were fetched, as they came.
    filled: Vec<u64>,
    /// Ended candles by their second.
    closed: BTreeMap<u64, u64>,
    filled_candles: Vec<u64>,
}

impl Flow {
    fn take(&mut self, frame: &Value) {
        let fetched = frame["backfill"] == true;
        match frame["type"].as_str().unwrap() {
            "trade" => {
                let id = frame["id"].as_str().unwrap().parse().unwrap();
                *self.trades.entry(id).or_default() += 1;
                self.filled.extend(fetched.then_some(id));
            }
            "candle" if frame["closed"] == true => {
                let second = frame["open_time"].as_u64().unwrap() / SECOND;
                *self.closed.entry(second).or_default() += 1;
                self.filled_candles.extend(fetched.then_some(second));
            }
            "candle" => assert!(!fetched, "what has not ended is not fetched: {frame}"),
            _ => {}
        }
    }

    /// The last one before anything is missing.
    fn whole_to(times: &BTreeMap<u64, u64>) -> Option<u64> {
        let follow = times.keys().zip(times.keys().skip(1)).find(|(one, next)| **one + 1 != **next);
        follow.map(|(one, _)| *one).or_else(|| times.last_key_value().map(|(last, _)| *last))
    }

    /// Whether the fetched ones, from the n-th on, stand in an unbroken row that goes on with one that came by itself.
    fn has_filled(times: &BTreeMap<u64, u64>, fetched: &[u64], n: usize) -> bool {
        let (Some(from), Some(to)) = (fetched.get(n), Self::whole_to(times)) else { return false };
        (*from..=to).any(|one| !fetched.contains(&one))
    }
}

/// Each connection ends after so many messages, so that there is always a new hole behind the one that is looked at.
#[tokio::test]
async fn what_was_missed_while_the_connection_was_gone_comes_once() {
    for fault in ["reset@300", "close:1012@250"] {
        let venue = serve("binance", &[fault]).await;
        let feed = |channels: Value| json!({"venue": "binance", "market": "spot", "symbols": ["BTCUSDT"], "channels": channels, "url": venue.url("spot")});
        // The market moves while somebody watches it.
        let other = Gateway::start(&config(&json!({"other": feed(json!(["trade:agg"]))}))).await;
        let mut filling = feed(json!(["trade:agg", "candle:1s"]));
        filling["backfill"] = json!({"candles": 30, "trades": 10_000});
        let gateway = Gateway::start(&config(&json!({"a": filling}))).await;
        let mut watcher = Watcher::new(&gateway, &venue, "spot", Depth::Full, &["trade.", "candle_1s.", "status."]);
        watcher.walk(1);
        let mut flow = Flow::default();
        // Until trades and candles were missing and have come, and what follows on them.
        let complete = async {
            let is_filled = |flow: &Flow| {
                Flow::has_filled(&flow.trades, &flow.filled, 0)
                    && Flow::has_filled(&flow.closed, &flow.filled_candles, 30)
            };
            while !is_filled(&flow) {
                let (_, frame) = watcher.next().await;
                flow.take(&frame);
            }
        };
        let ended = timeout(DEADLINE, complete).await;
        assert!(
            ended.is_ok(),
            "{fault}: trades whole to {:?}, candles {:?}",
            Flow::whole_to(&flow.trades),
            flow.closed
        );
        assert!(flow.trades.values().chain(flow.closed.values()).all(|count| *count == 1), "{fault}: each once");
        assert!(flow.filled.is_sorted() && flow.filled_candles.is_sorted(), "in order");
        assert!(watcher.told.iter().any(|told| told.reason == "disconnected"), "{:?}", watcher.told);
        let stats = venue.truth().stats();
        assert_eq!((&stats["spot"]["too_many"], &stats["spot"]["banned"]), (&json!(0), &json!(0)), "{stats}");
        drop(other);
    }
}

/// The last bars are there a moment after the start, on every venue that gives them.
#[tokio::test]
async fn the_last_candles_come_at_the_start() {
    for (name, market, symbol, address) in [
        ("binance", "coinm", "BTCUSD_PERP", "coinm"),
        ("bybit", "linear", "BTCUSDT", "linear"),
        ("okx", "swap", "BTC-USDT-SWAP", "public"),
    ] {
        let venue = serve(name, &[]).await;
        let feed = json!({
            "venue": name, "market": market, "symbols": [symbol], "channels": ["candle:1m"], "url": venue.url(address),
            "backfill": {"candles": 50},
        });
        let gateway = Gateway::start(&config(&json!({"a": feed}))).await;
        let mut watcher = Watcher::new(&gateway, &venue, market, Depth::Full, &["candle_1m."]);
        watcher.walk(1);
        let mut minutes = Vec::new();
        while minutes.len() < 50 {
            let (_, frame) = watcher.next().await;
            if frame["backfill"] == true {
                assert_eq!(frame["closed"], true, "{frame}");
                minutes.push(frame["open_time"].as_u64().unwrap() / (60 * SECOND));
            }
        }
        assert!(minutes.windows(2).all(|pair| pair[1] == pair[0] + 1), "{name}: {minutes:?}");
        let (_, got) = gateway.ctl(&["get", &format!("topic=candle_1m.{name}.{market}.{symbol}."), "n=100"]).await;
        assert!(got["values"].as_array().unwrap().len() >= 50, "{name}: {got}");
    }
}

/// Nothing is fetched where that is turned off.
#[tokio::test]
async fn no_more_is_fetched_than_is_wished() {
    let venue = venue(100, &[]).await;
    let feed = json!({
        "venue": "bybit", "market": "linear", "symbols": ["BTCUSDT"], "channels": ["candle:1m", "trade"],
        "url": venue.url("linear"), "backfill": {"candles": 0, "trades": 0},
    });
    let gateway = Gateway::start(&config(&json!({"a": feed}))).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", Depth::Levels(50), &["candle_1m.", "trade."]);
    for _ in 0..60 {
        let (_, frame) = watcher.next().await;
        assert_eq!(frame["backfill"], Value::Null, "{frame}");
    }
}
