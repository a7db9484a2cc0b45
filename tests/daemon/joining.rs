//! Late joiners: the current book and state at once, and the delta stream joined exactly.

use std::pin::pin;
use std::time::Duration;

use serde_json::{Value, json};
use tickbus::client::{JoinedBook, View, request};
use tickbus::model::Level;
use tickbus::sim::Depth;

use crate::gateway::{DEADLINE, Gateway, config, feed, venue};
use crate::watcher::Watcher;

const TOPIC: &str = "book.bybit.linear.BTCUSDT.";
const DEPTH: Depth = Depth::Levels(200);

#[tokio::test]
async fn a_late_joiner_has_state_and_book_while_the_market_stands_still() {
    let venue = venue(0, &[]).await;
    let feeds = json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut first = Watcher::new(&gateway, &venue, "linear", DEPTH, &["status.", "book."]);
    first.until_true(&["BTCUSDT"], 1).await;
    venue.truth().step(50);
    first.until_true(&["BTCUSDT"], 1).await;
    // Nothing moves from here on: what comes was kept.
    let at = venue.truth().book("linear", "BTCUSDT", DEPTH).unwrap().u;
    first.until("the last book", |first| first.last[TOPIC]["venue_seq"] == at).await;
    let cases: [&[&str]; 3] = [&["status.", "book."], &[TOPIC, "status.bybit.linear.BTCUSDT."], &[""]];
    for prefixes in cases {
        let mut joiner = Watcher::new(&gateway, &venue, "linear", DEPTH, prefixes);
        joiner.until_true(&["BTCUSDT"], 1).await;
        assert_eq!(joiner.last[TOPIC], first.last[TOPIC]);
        assert_eq!(joiner.told_of("BTCUSDT", 0), ["live"]);
    }
}

#[tokio::test]
async fn a_late_joiner_is_told_of_a_stale_book_and_does_not_get_it() {
    let venue = venue(0, &[]).await;
    let feeds = json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200", "trade"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut first = Watcher::new(&gateway, &venue, "linear", DEPTH, &["status.", "book."]);
    first.until_true(&["BTCUSDT"], 1).await;
    let mut joiner = Watcher::new(&gateway, &venue, "linear", DEPTH, &[""]);
    venue.stop().await;
    first.until("stale", |first| first.told_of("BTCUSDT", 0).contains(&"stale disconnected".into())).await;
    joiner.until("stale", |joiner| joiner.told_of("BTCUSDT", 0).contains(&"stale disconnected".into())).await;
    let (code, refusal) = gateway.ctl(&["snapshot", &format!("topic={TOPIC}")]).await;
    assert_eq!((code, &refusal["ok"]), (1, &json!(false)), "{refusal}");
    let mut late = LateJoiner::new(&gateway);
    late.until_heartbeats(2).await;
    assert!(late.topics.iter().any(|topic| topic.starts_with("status.")), "{:?}", late.topics);
    assert!(
        !late.topics.iter().any(|topic| topic.starts_with("book.") || topic.starts_with("bbo.")),
        "{:?}",
        late.topics
    );
}

/// Subscribes to everything and keeps only the topics.
struct LateJoiner {
    subscriber: tickbus::client::Subscriber,
    topics: Vec<String>,
}

impl LateJoiner {
    fn new(gateway: &Gateway) -> Self {
        Self { subscriber: tickbus::client::subscribe(&gateway.bus, &[]).unwrap(), topics: Vec::new() }
    }

    async fn until_heartbeats(&mut self, beats: usize) {
        while self.topics.iter().filter(|topic| *topic == "heartbeat.").count() < beats {
            let incoming = tokio::time::timeout(DEADLINE, self.subscriber.next()).await.unwrap();
            if let tickbus::client::Incoming::Frame(frame) = incoming {
                self.topics.push(frame.topic);
            }
        }
    }
}

async fn snapshot(endpoint: &str) -> Value {
    let body = json!({"op": "snapshot", "topic": TOPIC}).to_string();
    let parts = request(endpoint, &body, Duration::from_secs(30)).await.unwrap();
    assert_eq!((parts.len(), &parts[0][..]), (2, TOPIC.as_bytes()));
    serde_json::from_slice(&parts[1]).unwrap()
}

fn levels(frame: &Value, side: &str, most: usize) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    frame[side].as_array().unwrap().iter().take(most).map(|level| (text(&level[0]), text(&level[1]))).collect()
}

fn spelled(levels: impl Iterator<Item = Level>, most: usize) -> Vec<(String, String)> {
    levels.take(most).map(|level| (level.price.to_string(), level.size.to_string())).collect()
}

fn take(joined: &mut JoinedBook, topic: &str, frame: &Value) {
    let text = frame.to_string();
    let view = View::read(&text).unwrap();
    if topic.starts_with("delta.") {
        joined.delta(&view);
    } else if topic.starts_with("status.") {
        joined.status(&view);
    }
}

#[tokio::test]
async fn the_delta_stream_is_joined_exactly_at_any_moment() {
    let venue = venue(0, &[]).await;
    let feeds = json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", DEPTH, &["status.", "delta.", "book."]);
    watcher.until_true(&["BTCUSDT"], 1).await;
    watcher.walk(3);
    let mut rng = fastrand::Rng::with_seed(11);
    let mut buffered = 0;
    for round in 0..60 {
        let mut joined = JoinedBook::default();
        for _ in 0..rng.usize(0..30) {
            let (topic, frame) = watcher.next().await;
            take(&mut joined, &topic, &frame);
        }
        let mut answer = pin!(snapshot(&gateway.snapshot));
        let mut answered = false;
        let mut compared = 0;
        while compared < 5 {
            tokio::select! {
                image = &mut answer, if !answered => {
                    answered = true;
                    let text = image.to_string();
                    joined.snapshot(&View::read(&text).unwrap());
                    assert_eq!(joined.need(), None, "round {round}: the snapshot does not join the deltas");
                }
                (topic, frame) = watcher.next() => {
                    buffered += u32::from(!answered);
                    take(&mut joined, &topic, &frame);
                    // The snapshot may be ahead of what this subscriber has read.
                    let delta_seq = frame["delta_seq"].as_u64().unwrap_or(0);
                    if topic == TOPIC && joined.need().is_none() && delta_seq >= joined.seq().1 {
                        assert_eq!(joined.seq(), (frame["epoch"].as_u64().unwrap(), delta_seq), "round {round}");
                        assert_eq!(spelled(joined.bids(), 25), levels(&frame, "bids", 25), "round {round}");
                        assert_eq!(spelled(joined.asks(), 25), levels(&frame, "asks", 25), "round {round}");
                        compared += 1;
                    }
                }
            }
        }
    }
    assert!(buffered > 0, "no round had to wait for its snapshot");
}

#[tokio::test]
async fn the_snapshot_has_the_whole_depth() {
    let venue = venue(0, &[]).await;
    let feeds = json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", DEPTH, &["status.", "delta.", "book."]);
    watcher.until_true(&["BTCUSDT"], 1).await;
    venue.truth().step(200);
    let truth = venue.truth().book("linear", "BTCUSDT", DEPTH).unwrap();
    watcher.until("the last book", |watcher| watcher.last[TOPIC]["venue_seq"] == truth.u).await;
    let image = snapshot(&gateway.snapshot).await;
    assert_eq!(image["delta_seq"], watcher.last[TOPIC]["delta_seq"]);
    assert_eq!(levels(&image, "bids", usize::MAX), spelled(truth.bids.into_iter(), usize::MAX));
    assert_eq!(levels(&image, "asks", usize::MAX), spelled(truth.asks.into_iter(), usize::MAX));
    let nonsense = ["", "{", "[]", r#"["stats",null,null,null]"#, r#"{"op":"shutdown"}"#, r#"{"op":"snapshot"}"#];
    for nonsense in nonsense.into_iter().chain([r#"{"op":"snapshot","topic":"x"}"#]) {
        let parts = request(&gateway.snapshot, nonsense, DEADLINE).await.unwrap();
        let answer: Value = serde_json::from_slice(&parts[0]).unwrap();
        assert_eq!(answer["ok"], false, "{nonsense}: {answer}");
    }
}
