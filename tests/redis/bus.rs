//! A bus in the test's own process with a sink on it, and the comparison of Redis with what the bus keeps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};
use tickbus::bus::{LocalOptions, LocalSubscriber, Outgoing, Publisher, PublisherOptions, Retain};
use tickbus::client::as_json;
use tickbus::config::Layers;
use tickbus::frame::Frame;
use tickbus::sink::redis::{Commands, RedisOptions, RedisSink, RedisStats, SinkReport};
use tokio::time::{Instant, sleep, timeout};

use crate::server::{DEADLINE, Redis, Server};

pub(crate) struct Bench {
    pub(crate) bus: Publisher,
    pub(crate) stats: Arc<RedisStats>,
    pub(crate) sink: RedisSink,
}

/// The sink's options, as a config would give them.
pub(crate) fn options(server: &Server, more: Value) -> RedisOptions {
    let mut redis = json!({"url": server.url(), "deadline_ms": 500});
    redis.as_object_mut().unwrap().extend(more.as_object().cloned().unwrap_or_default());
    let feed = json!({"venue": "bybit", "market": "spot", "symbols": ["A"], "channels": ["trade"]});
    let text = json!({"feeds": {"a": feed}, "sinks": {"redis": redis}}).to_string();
    // Cargo gives every test this variable.
    let env = vec![("SECRET".into(), "swordfish".into())];
    Layers { text, env, ..Layers::default() }.check().unwrap().redis.unwrap()
}

impl Bench {
    pub(crate) async fn start(server: &Server, more: Value) -> Self {
        Self::with(options(server, more), None).await
    }

    pub(crate) async fn with(options: RedisOptions, commands: Option<Arc<dyn Commands>>) -> Self {
        let bus = Publisher::bind(PublisherOptions::default()).await.unwrap();
        let stats = Arc::new(RedisStats::default());
        let sink = RedisSink::start(options, &bus, commands, Arc::clone(&stats)).unwrap();
        Self { bus, stats, sink }
    }

    pub(crate) fn report(&self) -> SinkReport {
        self.stats.report(&self.bus)
    }

    pub(crate) fn publish(&self, topic: &str, json: &str, retain: Retain) {
        let seq = serde_json::from_str::<Value>(json).ok().and_then(|value| value["seq"].as_u64()).unwrap_or(0);
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let frame = Frame { topic: bytes(topic), payload: bytes(json), retain, seq };
        self.bus.publish(&mut vec![Outgoing::Frame(frame)]);
    }

    /// Everything the bus would give a joiner now, by topic.
    pub(crate) async fn kept(&self) -> BTreeMap<String, Arc<Frame>> {
        let options = LocalOptions { name: "test".to_owned(), queue_frames: 1000, queue_bytes: 1 << 20 };
        let prefixes =
            ["book.", "bbo.", "ticker.", "status.", "instrument.", "position.", "balance."].map(str::to_owned);
        let mut subscriber: LocalSubscriber = self.bus.subscribe_here(&prefixes, options).unwrap();
        let (mut frames, mut kept) = (Vec::new(), BTreeMap::new());
        while timeout(Duration::from_millis(200), subscriber.next(&mut frames)).await.is_ok() {
            for frame in frames.drain(..) {
                kept.insert(String::from_utf8_lossy(&frame.topic).into_owned(), frame);
            }
        }
        kept
    }

    /// Waits until every key of the layout `tickbus` with a latest value equals what the bus keeps, and no other is there.
    pub(crate) async fn same_as_bus(&self, redis: &mut Redis) {
        let start = Instant::now();
        loop {
            match self.compare(redis).await {
                Ok(count) => return assert!(count > 0, "nothing to compare"),
                Err(what) => assert!(start.elapsed() < DEADLINE, "{what}; {:?}", self.report()),
            }
            sleep(Duration::from_millis(100)).await;
        }
    }

    async fn compare(&self, redis: &mut Redis) -> Result<usize, String> {
        let kept = self.kept().await;
        let mut stored = Vec::new();
        for channel in ["book", "bbo", "ticker", "status", "instrument", "position", "balance"] {
            stored.extend(redis.ask::<Vec<String>>(&["KEYS", &format!("tickbus:{channel}:*")]).await);
        }
        stored.sort();
        let key = |topic: &String| format!("tickbus:{}", topic.trim_end_matches('.').replace('.', ":"));
        let mut wanted: Vec<_> = kept.keys().map(key).collect();
        wanted.sort();
        if stored != wanted {
            let missing: Vec<_> = wanted.iter().filter(|key| !stored.contains(key)).take(3).collect();
            let more: Vec<_> = stored.iter().filter(|key| !wanted.contains(key)).take(3).collect();
            return Err(format!("missing in Redis: {missing:?}, beyond the bus: {more:?}"));
        }
        let keys: Vec<_> = kept.keys().map(key).collect();
        for ((key, frame), hash) in keys.iter().zip(kept.values()).zip(redis.hashes(&keys).await) {
            let wanted = members(frame);
            if hash != wanted {
                return Err(format!("{key} is {hash:?} and not {wanted:?}"));
            }
        }
        Ok(keys.len())
    }
}

/// A payload's members as the hash of a latest value has them.
pub(crate) fn members(frame: &Frame) -> BTreeMap<String, String> {
    let json = as_json(&frame.payload).unwrap();
    let payload: BTreeMap<String, Value> = serde_json::from_str(&json).unwrap();
    payload
        .into_iter()
        .map(|(name, value)| match value {
            Value::String(text) => (name, text),
            other => (name, other.to_string()),
        })
        .collect()
}
