//! The layout `okws` end to end: a client that does what okws's own does, against a sink whose control plane is a stand-in
//! that publishes hand-made frames of `okx` for whatever is subscribed to.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tickbus::bus::{Outgoing, Publisher, PublisherOptions, Retain};
use tickbus::frame::Frame;
use tickbus::sink::redis::{Answer, Commands, RedisSink, RedisStats};
use tokio::task::JoinHandle;
use tokio::time::interval;

use crate::bus::options;
use crate::script::{Language, Script};
use crate::server::{DEADLINE, Redis, Server, until};

/// Real seconds after which the stand-in begins a new candle, which its frames call a minute.
const CANDLE: u64 = 1;

/// A control plane with a market of its own.
struct Plane {
    bus: Publisher,
    /// Feeds by name and market.
    feeds: Mutex<BTreeSet<(String, String)>>,
    /// What is subscribed to: feed, market, channel, symbol.
    wanted: Mutex<BTreeSet<[String; 4]>>,
    asked: Mutex<Vec<Value>>,
}

impl Plane {
    fn answer(&self, request: &Value) -> Value {
        let text = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
        let mut feeds = self.feeds.lock().unwrap();
        match &*text("op") {
            "open" => {
                feeds.insert((text("name"), text("market")));
                self.status(&text("name"), &text("market"), "", "syncing", None);
            }
            "close" => {
                feeds.retain(|(name, _)| *name != text("name"));
                self.wanted.lock().unwrap().retain(|[feed, ..]| *feed != text("name"));
                self.status(&text("name"), "spot", "", "down", Some("shutdown"));
            }
            "subscribe" => {
                let Some((feed, market)) = feeds.iter().find(|(name, _)| *name == text("feed")) else {
                    return json!({"ok": false, "error": "no such feed", "code": "unknown_feed"});
                };
                for symbol in request["symbols"].as_array().into_iter().flatten() {
                    let symbol = symbol.as_str().unwrap().to_owned();
                    self.status(feed, market, &symbol, "live", None);
                    self.wanted.lock().unwrap().insert([feed.clone(), market.clone(), text_of(request), symbol]);
                }
            }
            _ => {}
        }
        let list: Vec<_> = feeds.iter().map(|(name, market)| json!({"name": name, "market": market})).collect();
        json!({"ok": true, "feeds": list})
    }

    fn status(&self, feed: &str, market: &str, symbol: &str, state: &str, reason: Option<&str>) {
        let mut status = json!({
            "seq": 1, "venue": "okx", "market": market, "symbol": symbol, "feed": feed, "state": state,
        });
        if let Some(reason) = reason {
            status["reason"] = json!(reason);
        }
        self.publish(&format!("status.okx.{market}.{symbol}."), &status, Retain::Latest);
    }

    fn publish(&self, topic: &str, payload: &Value, retain: Retain) {
        let frame = Frame { topic: Bytes::from(topic.to_owned()), payload: payload.to_string().into(), retain, seq: 1 };
        self.bus.publish(&mut vec![Outgoing::Frame(frame)]);
    }

    /// One round of the market, at this many milliseconds since it began.
    fn step(&self, at: u64) {
        let wanted = self.wanted.lock().unwrap().clone();
        for [_, market, channel, symbol] in &wanted {
            let time = 1_606_400_000_000_000_000 + at * 1_000_000;
            let mut payload = json!({"seq": at, "venue": "okx", "market": market, "symbol": symbol, "ts_venue": time});
            let more = match channel.split(':').next().unwrap() {
                "ticker" => json!({"last": "521.5", "bid_price": "521.4", "bid_size": "2", "ask_price": "521.6"}),
                "trade" => json!({"id": (1000 + at).to_string(), "price": "521.5", "size": "0.1", "side": "buy"}),
                "book" => json!({"bids": [["521.4", "2"]], "asks": [["521.6", "3"]]}),
                _ => {
                    let open_time = 1_606_400_000_000_000_000_u64 / 60_000_000_000 + at / 1000 / CANDLE;
                    json!({"open_time": open_time * 60_000_000_000, "open": "1", "high": "3", "low": "1",
                           "close": at.to_string(), "volume": "9", "closed": false})
                }
            };
            payload.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap());
            let topic = format!("{}.okx.{market}.{symbol}.", channel.replace(':', "_").replace("book_400", "book"));
            self.publish(&topic, &payload, if channel.starts_with("book") { Retain::Conflate } else { Retain::Stream });
        }
    }
}

fn text_of(request: &Value) -> String {
    request["channels"][0].as_str().unwrap().to_owned()
}

impl Commands for Plane {
    fn execute(&self, request: Value) -> Answer<'_> {
        let answer = self.answer(&request);
        self.asked.lock().unwrap().push(request);
        Box::pin(async move { answer })
    }
}

struct Service {
    plane: Arc<Plane>,
    stats: Arc<RedisStats>,
    _sink: RedisSink,
    market: JoinHandle<()>,
}

impl Drop for Service {
    fn drop(&mut self) {
        self.market.abort();
    }
}

async fn service(server: &Server) -> Service {
    let bus = Publisher::bind(PublisherOptions::default()).await.unwrap();
    let plane = Arc::new(Plane {
        bus: bus.clone(),
        feeds: Mutex::default(),
        wanted: Mutex::default(),
        asked: Mutex::default(),
    });
    let stats = Arc::new(RedisStats::default());
    let options = options(server, json!({"layout": "okws"}));
    let commands = Some(Arc::clone(&plane) as Arc<dyn Commands>);
    let sink = RedisSink::start(options, &bus, commands, Arc::clone(&stats)).unwrap();
    let stepping = Arc::clone(&plane);
    let market = tokio::spawn(async move {
        let mut ticks = interval(Duration::from_millis(50));
        for round in 0.. {
            ticks.tick().await;
            stepping.step(round * 50);
        }
    });
    Service { plane, stats, _sink: sink, market }
}

/// Sends a command until its answer is there: a command may come before the service listens.
async fn command(redis: &mut Redis, id: u32, command: Value) -> Value {
    let mut command = command;
    command["id"] = json!(id);
    let text = command.to_string();
    redis.until(&["PUBLISH", "trade-ws", &text], |heard: &u32| *heard > 0).await;
    let key = format!("trade-ws/info/{id}");
    let answer: Option<String> = redis.until(&["GET", &key], |answer: &Option<String>| answer.is_some()).await;
    redis.ask::<()>(&["DEL", &key]).await;
    serde_json::from_str(&answer.unwrap()).unwrap()
}

#[tokio::test]
async fn a_client_written_for_okws_works_unchanged() {
    let Some(server) = Server::start(&[]).await else { return };
    let service = service(&server).await;
    let settings = [("TICKBUS_REDIS", &*server.url())];
    let Some(mut script) = Script::start(Language::Python, "tests/python/okws_client.py", &[], &settings) else {
        return;
    };
    loop {
        let line = script.line().await;
        println!("{line}");
        if line == "all is as it was" || line.starts_with("skipped") {
            break;
        }
    }
    drop(service);
}

#[tokio::test]
async fn commands_are_answered_and_data_comes_under_both_names() {
    let Some(server) = Server::start(&[]).await else { return };
    let service = service(&server).await;
    let mut redis = server.connect().await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut listener = client.get_async_pubsub().await.unwrap();
    listener.psubscribe(&["okex/t/*", "okws/info"]).await.unwrap();
    let secret = json!({"op": "open", "name": "t", "args": {"apiKey": "K", "secret": "swordfish", "passphrase": "P"}});
    assert_eq!(command(&mut redis, 1, secret.clone()).await["errorCode"], 80000);
    assert_eq!(command(&mut redis, 2, secret).await["errorCode"], 80001);
    let subscribe =
        json!({"op": "subscribe", "name": "t", "args": ["spot/trade:ETH-USDT", "swap/ticker:BTC-USD-SWAP"]});
    assert_eq!(command(&mut redis, 3, subscribe).await["errorCode"], 80000);
    assert_eq!(command(&mut redis, 4, json!({"op": "servers"})).await["message"], json!(["t"]));
    assert_eq!(command(&mut redis, 5, json!({"op": "close", "name": "u"})).await["errorCode"], 80011);
    assert_eq!(command(&mut redis, 6, json!({"op": "nonsense", "name": "t"})).await["errorCode"], 80010);
    let ids: Vec<String> =
        redis.until(&["ZRANGE", "okex/t/spot/trade", "0", "-1"], |ids: &Vec<String>| !ids.is_empty()).await;
    for key in [format!("okex/t/spot/trade/{}", ids[0]), format!("okex/t/spot/trade:{}", ids[0])] {
        let id: String = redis.ask(&["HGET", &key, "trade_id"]).await;
        assert_eq!(id, ids[0]);
    }
    redis
        .until(&["HGET", "okex/t/swap/ticker:BTC-USD-SWAP", "best_ask"], |ask: &Option<String>| {
            ask.as_deref() == Some("521.6")
        })
        .await;
    let state: Option<String> = redis.ask(&["GET", "okex/t/status"]).await;
    assert_eq!(state.as_deref(), Some("ON_DATA"));
    let lives: i64 = redis.ask(&["PTTL", "okex/t/status"]).await;
    assert!((1..=1000).contains(&lives), "{lives}");
    assert_eq!(command(&mut redis, 7, json!({"op": "close", "name": "t"})).await["errorCode"], 80000);
    redis.until(&["GET", "okex/t/status"], |state: &Option<String>| state.as_deref() == Some("EXIT")).await;
    assert_eq!(command(&mut redis, 8, json!({"op": "quit_server"})).await["errorCode"], 80000);
    assert_eq!(service.plane.asked.lock().unwrap().last(), Some(&json!({"op": "shutdown"})));
    let mut wanted = BTreeSet::from(["CONNECTED", "EXIT", "\"channel\":\"spot/trade:ETH-USDT\"", "ON_DATA"]);
    let mut messages = listener.on_message();
    while !wanted.is_empty() {
        let message = tokio::time::timeout(DEADLINE, messages.next()).await;
        let message = message.unwrap_or_else(|_| panic!("not heard: {wanted:?}")).unwrap();
        if message.get_channel_name() == "okex/t/event" {
            let text = String::from_utf8_lossy(message.get_payload_bytes()).into_owned();
            wanted.retain(|part| !text.contains(part));
        }
    }
}

#[tokio::test]
async fn hostile_commands_do_no_harm() {
    let Some(server) = Server::start(&[]).await else { return };
    let service = service(&server).await;
    let mut redis = server.connect().await;
    assert_eq!(command(&mut redis, 1, json!({"op": "servers"})).await["errorCode"], 80000);
    for text in
        ["", "[]", "{", "\u{0}", "{\"op\":[]}", "null", &"x".repeat(1 << 20), "{\"op\":\"open\",\"name\":{},\"id\":{}}"]
    {
        redis.ask::<u32>(&["PUBLISH", "trade-ws", text]).await;
    }
    // More than may wait, for one name, as fast as Redis takes them.
    let mut flood = redis::Pipeline::new();
    for id in 0..5000 {
        let text = json!({"op": "subscribe", "name": "none", "id": id, "args": ["spot/ticker:A"]}).to_string();
        flood.cmd("PUBLISH").arg("trade-ws").arg(text).ignore();
    }
    flood.query_async::<()>(&mut redis.0).await.unwrap();
    assert_eq!(command(&mut redis, 9999, json!({"op": "servers"})).await["errorCode"], 80000);
    let report = || service.stats.report(&service.plane.bus);
    until("each is answered or counted", || report().requests + report().dropped_requests >= 5009).await;
    assert!(report().dropped_requests > 8, "{:?}", report());
    assert!(report().connected, "{:?}", report());
}

#[tokio::test]
async fn the_door_is_found_again_when_redis_was_away() {
    let Some(mut server) = Server::start(&[]).await else { return };
    let service = service(&server).await;
    assert_eq!(command(&mut server.connect().await, 1, json!({"op": "servers"})).await["errorCode"], 80000);
    server.kill();
    server.run().await;
    let client = redis::Client::open(server.url()).unwrap();
    let mut listener = client.get_async_pubsub().await.unwrap();
    listener.subscribe("okws/info").await.unwrap();
    let mut messages = listener.on_message();
    let hello = tokio::time::timeout(DEADLINE, messages.next()).await.unwrap().unwrap();
    assert_eq!(hello.get_payload_bytes(), b"CONNECTED");
    assert_eq!(command(&mut server.connect().await, 2, json!({"op": "servers"})).await["errorCode"], 80000);
    drop(service);
}
