//! What a frame becomes in Redis: every golden frame of the wire, in both encodings, and every bound.

use std::collections::BTreeMap;
use std::path::Path;

use bytes::Bytes;
use futures_util::StreamExt as _;
use serde_json::{Value, json};
use tickbus::bus::{Outgoing, Retain};
use tickbus::frame::Frame;

use crate::bus::{Bench, members};
use crate::server::{Server, until};

/// The golden frames of one encoding by file name.
fn golden(suffix: &str) -> BTreeMap<String, Frame> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/v1");
    let mut frames = BTreeMap::new();
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != suffix) {
            continue;
        }
        let bytes = Bytes::from(std::fs::read(&path).unwrap());
        let end = bytes.iter().position(|byte| *byte == b'\n').unwrap();
        let (topic, payload) = (bytes.slice(..end), bytes.slice(end + 1..));
        let channel = String::from_utf8_lossy(topic.split(|byte| *byte == b'.').next().unwrap()).into_owned();
        let retain = match &*channel {
            "book" | "bbo" => Retain::Conflate,
            "ticker" | "status" | "instrument" | "position" | "balance" => Retain::Latest,
            _ => Retain::Stream,
        };
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        frames.insert(name, Frame { topic, payload, retain, seq: 1 });
    }
    assert!(frames.len() > 15, "{:?}", frames.keys());
    frames
}

/// The payload's members as the hash has them, by Rust's order of names.
fn wanted(frame: &Frame) -> BTreeMap<String, String> {
    members(frame)
}

#[tokio::test]
async fn every_golden_frame_is_stored_as_the_page_says() {
    let Some(server) = Server::start(&[]).await else { return };
    for suffix in ["json", "msgpack"] {
        let frames = golden(suffix);
        let bench = Bench::start(&server, json!({"channels": [""], "prefix": suffix})).await;
        let mut redis = server.connect().await;
        // A notice has everything written anew, so that frames could not be counted any more.
        let frames = frames.iter().filter(|(name, _)| !name.starts_with("notice"));
        for (stored, (name, frame)) in (1..).zip(frames) {
            let topic = String::from_utf8_lossy(&frame.topic).into_owned();
            let key = format!("{suffix}:{}", topic.trim_end_matches('.').replace('.', ":"));
            bench.bus.publish(&mut vec![Outgoing::Frame(frame.clone())]);
            until("the frame is written", || bench.report().frames >= stored).await;
            let fields = wanted(frame);
            let hash = match name.split('_').next().unwrap() {
                "book" | "bbo" | "ticker" | "instrument" | "position" | "balance" => key,
                "heartbeat" => {
                    let lives: i64 = redis.ask(&["PTTL", &key]).await;
                    assert!((1..=5000).contains(&lives), "{name} lives {lives} ms");
                    key
                }
                "status" if name == "status_feed" => format!("{suffix}:feed:bybit_linear"),
                "status" => key,
                "candle" => format!("{key}:{}", fields["open_time"].parse::<u64>().unwrap() / 1_000_000),
                "order" | "fill" => format!("{key}:{}", fields["id"]),
                "trade" | "liquidation" => {
                    let newest: String = redis.ask(&["LINDEX", &key, "0"]).await;
                    let newest: Value = serde_json::from_str(&newest).unwrap();
                    assert_eq!(newest["price"], *fields["price"], "{name}");
                    continue;
                }
                _ => {
                    assert!(!redis.ask::<bool>(&["EXISTS", &key]).await, "{name} is only passed on");
                    continue;
                }
            };
            let hash: BTreeMap<String, String> = redis.ask(&["HGETALL", &hash]).await;
            assert_eq!(hash, fields, "{name}");
        }
        let report = bench.report();
        assert_eq!((report.refused, report.lost_frames, report.unreadable_frames), (0, 0, 0), "{report:?}");
    }
}

#[tokio::test]
async fn every_frame_is_published_and_streamed_in_order() {
    let Some(server) = Server::start(&[]).await else { return };
    let client = redis::Client::open(server.url()).unwrap();
    let mut listener = client.get_async_pubsub().await.unwrap();
    listener.psubscribe("trade.*").await.unwrap();
    let more = json!({"streams": true, "stream_length": 1000, "trades": 20, "channels": ["trade."]});
    let bench = Bench::start(&server, more).await;
    let topic = "trade.bybit.spot.A.";
    for seq in 1..=500 {
        bench.publish(topic, &format!(r#"{{"epoch":5,"seq":{seq},"id":"{seq}"}}"#), Retain::Stream);
    }
    let mut messages = listener.on_message();
    for seq in 1..=500 {
        let message = tokio::time::timeout(crate::server::DEADLINE, messages.next()).await.unwrap().unwrap();
        let payload: Value = serde_json::from_slice(message.get_payload_bytes()).unwrap();
        assert_eq!((message.get_channel_name(), &payload["seq"]), (topic, &json!(seq)));
    }
    let mut redis = server.connect().await;
    let stream: Vec<(String, Vec<String>)> =
        redis.ask(&["XRANGE", "tickbus:stream:trade.bybit.spot.A.", "-", "+"]).await;
    let seqs: Vec<_> = stream.iter().map(|(_, fields)| fields[3].parse::<u64>().unwrap()).collect();
    assert_eq!(seqs, (1..=500).collect::<Vec<_>>());
    assert_eq!(stream[0].1[..2], ["epoch", "5"]);
    let list: Vec<String> = redis.ask(&["LRANGE", "tickbus:trade:bybit:spot:A", "0", "-1"]).await;
    assert_eq!(list.len(), 20);
    assert!(list[0].contains(r#""id":"500""#) && list[19].contains(r#""id":"481""#), "newest first: {list:?}");
    let length: usize = {
        for seq in 501..=5000 {
            bench.publish(topic, &format!(r#"{{"epoch":5,"seq":{seq},"id":"{seq}"}}"#), Retain::Stream);
        }
        until("all are written", || bench.report().frames == 5000).await;
        redis.ask(&["XLEN", "tickbus:stream:trade.bybit.spot.A."]).await
    };
    assert!((1000..1500).contains(&length), "about the length: {length}");
}

#[tokio::test]
async fn histories_are_capped_with_their_hashes_and_keys_expire() {
    let Some(server) = Server::start(&[]).await else { return };
    let bench = Bench::start(&server, json!({"candles": 3, "orders": 2, "ttl_s": 100})).await;
    for at in 1..=10_u64 {
        let candle = format!(r#"{{"seq":{at},"open_time":{},"close":"{at}"}}"#, at * 60_000_000_000);
        bench.publish("candle_1m.bybit.spot.A.", &candle, Retain::Stream);
        let order = format!(r#"{{"seq":{at},"id":"o{at}","created":{}}}"#, at * 1_000_000);
        bench.publish("order.bybit.acc.A.", &order, Retain::Stream);
    }
    until("all are written", || bench.report().frames == 20).await;
    let mut redis = server.connect().await;
    let mut keys: Vec<String> = redis.ask(&["KEYS", "*"]).await;
    keys.sort();
    let wanted = [
        "tickbus:candle_1m:bybit:spot:A",
        "tickbus:candle_1m:bybit:spot:A:480000",
        "tickbus:candle_1m:bybit:spot:A:540000",
        "tickbus:candle_1m:bybit:spot:A:600000",
        "tickbus:order:bybit:acc:A",
        "tickbus:order:bybit:acc:A:o10",
        "tickbus:order:bybit:acc:A:o9",
    ];
    assert_eq!(keys, wanted);
    for key in wanted {
        let lives: i64 = redis.ask(&["TTL", key]).await;
        assert!((90..=100).contains(&lives), "{key} lives {lives} s");
    }
    let order: Vec<String> = redis.ask(&["ZRANGE", "tickbus:candle_1m:bybit:spot:A", "0", "-1"]).await;
    assert_eq!(order, ["480000", "540000", "600000"]);
}

#[tokio::test]
async fn a_status_takes_the_book_away_and_the_end_of_the_gateway_is_seen() {
    let Some(server) = Server::start(&[]).await else { return };
    let bench = Bench::start(&server, json!({})).await;
    let mut redis = server.connect().await;
    let key = "tickbus:book:bybit:spot:A";
    bench.publish("book.bybit.spot.A.", r#"{"seq":1,"bids":[["1","2"]],"asks":[]}"#, Retain::Conflate);
    redis.until(&["EXISTS", key], |there: &bool| *there).await;
    let status = r#"{"seq":1,"venue":"bybit","market":"spot","symbol":"A","feed":"f","channel":"book","state":"stale","reason":"gap"}"#;
    bench.publish("status.bybit.spot.A.", status, Retain::Latest);
    redis.until(&["EXISTS", key], |there: &bool| !there).await;
    let state: String = redis.ask(&["HGET", "tickbus:status:bybit:spot:A", "state"]).await;
    assert_eq!(state, "stale");
    bench.publish("heartbeat.", r#"{"seq":1,"epoch":5}"#, Retain::Stream);
    bench.publish("book.bybit.spot.A.", r#"{"seq":2,"bids":[],"asks":[]}"#, Retain::Conflate);
    bench.sink.close(crate::server::DEADLINE).await;
    assert!(redis.ask::<bool>(&["EXISTS", key]).await, "what was queued is written before the end");
    assert!(!redis.ask::<bool>(&["EXISTS", "tickbus:heartbeat"]).await);
}
