//! Heartbeats of the gateway: made for each subscriber, so that the loss of a topic's last frames is seen.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tickbus::bus::{Publisher, Retain};
use tickbus::frame::{Encoding, Frame, Heartbeat, heartbeat};

use crate::raw::{Peer, numbered, publisher, until};

async fn beat(bus: &Publisher, seq: u64) {
    let encode = |topics: &[(Bytes, u64)]| -> Frame {
        heartbeat(Encoding::Json, Heartbeat { epoch: 5, seq, ..Heartbeat::default() }, topics)
    };
    bus.beat(encode).await;
}

/// The next message's topic and what it counts, if it is a heartbeat.
async fn next(peer: &mut Peer) -> (String, BTreeMap<String, u64>) {
    let parts = peer.message().await.expect("a message");
    let topic = String::from_utf8(parts[0].clone()).unwrap();
    let payload: Value = serde_json::from_slice(&parts[1]).unwrap_or_default();
    let topics = serde_json::from_value(payload["topics"].clone()).unwrap_or_default();
    (topic, topics)
}

#[tokio::test]
async fn each_subscriber_hears_of_its_own_topics_after_their_frames() {
    let bus = publisher(|_| {}).await;
    let mut one = Peer::subscriber(&bus, 1, "trade.b.").await;
    one.subscribe("heartbeat.").await;
    one.settle().await;
    let mut all = Peer::subscriber(&bus, 0, "").await;
    let mut none = Peer::subscriber(&bus, 1, "trade.b.").await;
    let mut batch = vec![
        numbered("trade.a.", 4, "x", Retain::Stream),
        numbered("trade.b.", 7, "x", Retain::Stream),
        numbered("trade.b.", 8, "x", Retain::Stream),
    ];
    bus.publish(&mut batch);
    beat(&bus, 1).await;
    for peer in [&mut one, &mut none] {
        assert_eq!(next(peer).await.0, "trade.b.");
        assert_eq!(next(peer).await.0, "trade.b.");
    }
    let counts = |pairs: &[(&str, u64)]| pairs.iter().map(|(topic, seq)| ((*topic).to_owned(), *seq)).collect();
    assert_eq!(next(&mut one).await, ("heartbeat.".to_owned(), counts(&[("trade.b.", 8)])));
    for _ in 0..3 {
        assert!(next(&mut all).await.0.starts_with("trade."));
    }
    assert_eq!(next(&mut all).await, ("heartbeat.".to_owned(), counts(&[("trade.a.", 4), ("trade.b.", 8)])));
    // Who does not want heartbeats gets none.
    bus.publish(&mut vec![numbered("trade.b.", 9, "x", Retain::Stream)]);
    assert_eq!(next(&mut none).await.0, "trade.b.");
}

#[tokio::test]
async fn the_loss_of_a_silent_topic_s_last_frames_is_seen() {
    let bus = publisher(|options| options.queue_frames = 500).await;
    let mut stalled = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
    for prefix in ["heartbeat.", "quiet.", "loud."] {
        stalled.subscribe(prefix).await;
    }
    stalled.settle().await;
    bus.publish(&mut vec![numbered("quiet.", 1, "x", Retain::Stream)]);
    assert_eq!(next(&mut stalled).await.0, "quiet.");
    let payload = "x".repeat(10_000);
    let mut seq = 0;
    let mut loud = || {
        let mut batch = (0..50).map(|_| (seq += 1, numbered("loud.", seq, &payload, Retain::Stream)).1).collect();
        bus.publish(&mut batch);
    };
    until("its queue is full", || {
        loud();
        bus.stats().dropped_frames > 0
    })
    .await;
    // The quiet topic's last frames, and then so many others that they are dropped.
    bus.publish(&mut vec![numbered("quiet.", 2, "x", Retain::Stream), numbered("quiet.", 3, "x", Retain::Stream)]);
    (0..20).for_each(|_| loud());
    beat(&bus, 2).await;
    let mut last = 1;
    let told = loop {
        match next(&mut stalled).await {
            (topic, counts) if topic == "heartbeat." => break counts,
            (topic, _) if topic == "quiet." => last += 1,
            _ => {}
        }
    };
    assert_eq!((last, told["quiet."], told["loud."]), (1, 3, seq));
}

#[tokio::test]
async fn ten_thousand_topics_come_round_in_bounded_heartbeats() {
    const TOPICS: usize = 10_000;
    let bus = publisher(|_| {}).await;
    let mut peer = Peer::subscriber(&bus, 1, "").await;
    for n in 0..TOPICS {
        bus.publish(&mut vec![numbered(&format!("t.{n}."), n as u64 + 1, "", Retain::Stream)]);
    }
    for _ in 0..TOPICS {
        next(&mut peer).await;
    }
    let mut seen = BTreeMap::new();
    for seq in 1..=10 {
        beat(&bus, seq).await;
        let (topic, counts) = next(&mut peer).await;
        assert_eq!((topic.as_str(), counts.len()), ("heartbeat.", 1000));
        seen.extend(counts);
    }
    assert_eq!(seen.len(), TOPICS);
    assert!((0..TOPICS).all(|n| seen[&format!("t.{n}.")] == n as u64 + 1));
    // The round is over, and begins anew.
    beat(&bus, 11).await;
    beat(&bus, 12).await;
    let counts = [next(&mut peer).await.1, next(&mut peer).await.1];
    assert!(counts[0].is_empty() || counts[0].contains_key("t.0."));
    assert!(counts.iter().any(|counts| counts.contains_key("t.0.")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_without_number_share_what_a_round_of_heartbeats_may_cost() {
    const PEERS: usize = 300;
    const TOPICS: usize = 2000;
    let bus = publisher(|_| {}).await;
    let mut peers = Vec::new();
    for _ in 0..PEERS {
        // Of a version that is not asked whether it is still there, however long this takes.
        let mut peer = Peer::subscriber(&bus, 0, "heartbeat.").await;
        peer.subscribe("t.").await;
        peer.settle().await;
        peers.push(peer);
    }
    let mut batch = (0..TOPICS).map(|n| numbered(&format!("t.{n}."), 1, "", Retain::Stream)).collect();
    bus.publish(&mut batch);
    let start = tokio::time::Instant::now();
    beat(&bus, 1).await;
    println!("one round for {PEERS} subscribers took {:?}", start.elapsed());
    assert!(start.elapsed() < Duration::from_secs(5));
    for peer in &mut peers {
        let counts = loop {
            let (topic, counts) = next(peer).await;
            if topic == "heartbeat." {
                break counts;
            }
        };
        assert_eq!(counts.len(), 100_000 / PEERS);
    }
}
