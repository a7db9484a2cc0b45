//! Subscribers that do not read: bounded, counted, told, and nobody else's trouble.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Value, json};
use tickbus::bus::{Policy, Publisher, Retain, SlowLimits, SubscriberStats};
use tokio::time::Instant;

use crate::raw::{Peer, frame, numbered, publish, publisher, until};

/// Publishes until the stalled subscriber's queue is full; the kernel's buffers fill first.
async fn overflow(bus: &Publisher, topic: &str) {
    let payload = "x".repeat(10_000);
    let mut batch = Vec::new();
    until("frames are dropped", || {
        batch.extend((0..50).map(|_| frame(topic, &payload, Retain::Stream)));
        bus.publish(&mut batch);
        bus.stats().dropped_frames > 0
    })
    .await;
}

/// What the bus knows of its only subscriber.
fn only(bus: &Publisher) -> SubscriberStats {
    let mut all = bus.subscribers(10);
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[tokio::test]
async fn a_stalled_subscriber_loses_counted_frames_and_the_healthy_one_none() {
    let bus = publisher(|options| options.queue_frames = 500).await;
    let mut stalled = Peer::subscriber(&bus, 1, "a.").await;
    overflow(&bus, "a.").await;
    let mut healthy = Peer::subscriber(&bus, 1, "a.").await;
    for n in 0..2000 {
        publish(&bus, "a.", &n.to_string(), Retain::Stream);
        assert_eq!(healthy.text().await, format!("a. {n}"));
    }
    let stats = bus.stats();
    assert_eq!((stats.subscribers, stats.slow_disconnects, stats.queued_frames), (2, 0, 500));
    let subscribers = bus.subscribers(10);
    let address = |peer: &Peer| peer.stream.local_addr().unwrap().to_string();
    assert_eq!([&subscribers[0].peer, &subscribers[1].peer], [&address(&stalled), &address(&healthy)]);
    assert_eq!((subscribers[0].dropped, subscribers[1].dropped), (stats.dropped_frames, 0));
    assert_eq!(bus.subscribers(1), subscribers[..1]);
    // When it reads again, it gets the newest.
    let mut count = 0;
    loop {
        count += 1;
        if stalled.text().await == "a. 1999" {
            break;
        }
    }
    let stats = bus.stats();
    assert_eq!(count + stats.dropped_frames, stats.frames_published);
    assert_eq!((stats.queued_frames, stats.notices), (0, 0));
}

#[tokio::test]
async fn a_full_queue_conflates_books() {
    let bus = publisher(|options| options.queue_frames = 500).await;
    let mut stalled = Peer::subscriber(&bus, 1, "").await;
    overflow(&bus, "a.").await;
    let dropped = bus.stats().dropped_frames;
    for n in 0..1000 {
        publish(&bus, "book.x.", &n.to_string(), Retain::Conflate);
    }
    let stats = bus.stats();
    assert_eq!((stats.conflated_frames, stats.dropped_frames), (999, dropped + 1));
    publish(&bus, "end.", "", Retain::Stream);
    let mut books = Vec::new();
    loop {
        let text = stalled.text().await;
        if text.starts_with("end.") {
            break;
        }
        if text.starts_with("book.") {
            books.push(text);
        }
    }
    assert_eq!(books, ["book.x. 999"]);
}

#[tokio::test]
async fn a_status_lost_in_a_full_queue_is_told_when_there_is_room() {
    let bus = publisher(|options| options.queue_frames = 500).await;
    let mut stalled = Peer::subscriber(&bus, 1, "").await;
    overflow(&bus, "a.").await;
    publish(&bus, "status.x.", "stale", Retain::Latest);
    for _ in 0..600 {
        publish(&bus, "a.", "", Retain::Stream);
    }
    loop {
        let text = stalled.text().await;
        if text == "status.x. stale" {
            break;
        }
        assert!(text.starts_with("a. ") || text.starts_with("notice.loss. "), "{text}");
    }
}

/// Waits until the only subscriber has been thrown out for being slow, and says how long that took.
async fn thrown_out(bus: &Publisher, stalled: &mut Peer, publishing: bool) -> Duration {
    let start = Instant::now();
    until("it is disconnected", || {
        if publishing {
            publish(bus, "a.", "", Retain::Stream);
        }
        bus.stats().subscribers == 0
    })
    .await;
    stalled.closed().await;
    assert_eq!((bus.stats().slow_disconnects, bus.stats().queued_frames), (1, 0));
    start.elapsed()
}

#[tokio::test]
async fn a_subscriber_that_stays_stalled_is_disconnected() {
    for publishing in [true, false] {
        let bus = publisher(|options| {
            options.queue_frames = 500;
            options.slow = SlowLimits { time: Some(Duration::from_millis(200)), drops: None };
            // How often connections are looked at.
            options.heartbeat.ping_after = Duration::from_millis(400);
        })
        .await;
        let mut stalled = Peer::subscriber(&bus, 0, "a.").await;
        overflow(&bus, "a.").await;
        assert!(thrown_out(&bus, &mut stalled, publishing).await >= Duration::from_millis(150));
    }
}

#[tokio::test]
async fn a_subscriber_that_loses_too_much_is_disconnected() {
    let bus = publisher(|options| {
        options.queue_frames = 500;
        options.slow = SlowLimits { time: None, drops: Some(1000) };
    })
    .await;
    let mut stalled = Peer::subscriber(&bus, 1, "a.").await;
    overflow(&bus, "a.").await;
    assert!(only(&bus).full && only(&bus).dropped < 1000);
    thrown_out(&bus, &mut stalled, true).await;
    let stats = bus.stats();
    assert_eq!((stats.dropped_frames, stats.refused.slow), (1000, 1));
}

#[tokio::test]
async fn without_limits_a_stalled_subscriber_stays() {
    let bus = publisher(|options| {
        options.queue_frames = 16;
        options.slow = SlowLimits { time: None, drops: None };
        options.heartbeat.ping_after = Duration::from_millis(4);
    })
    .await;
    let _stalled = Peer::subscriber(&bus, 0, "a.").await;
    overflow(&bus, "a.").await;
    let start = Instant::now();
    until("some time has passed", || {
        publish(&bus, "a.", "", Retain::Stream);
        start.elapsed() > Duration::from_millis(300)
    })
    .await;
    let stats = bus.stats();
    assert_eq!((stats.subscribers, stats.slow_disconnects), (1, 0));
    assert!((1..=16).contains(&stats.queued_frames), "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_endpoint_has_its_policy_and_none_troubles_another() {
    const FRAMES: u64 = 3000;
    let policies = [Policy::Conflate, Policy::Drop, Policy::Disconnect];
    let bus = publisher(|options| {
        // Spelled differently, as the policy goes by the spelling.
        options.endpoints = ["tcp://127.0.0.1:0", "tcp://localhost:0", "tcp://127.0.0.2:0"].map(str::to_owned).to_vec();
        options.policy = Policy::Drop;
        let own = [("tcp://127.0.0.1:0", Policy::Conflate), ("tcp://127.0.0.2:0", Policy::Disconnect)];
        options.policy_of = HashMap::from(own.map(|(endpoint, policy)| (endpoint.to_owned(), policy)));
        options.queue_frames = 500;
    })
    .await;
    let (mut stalled, mut healthy) = (Vec::new(), Vec::new());
    for endpoint in bus.endpoints() {
        for peers in [&mut stalled, &mut healthy] {
            let mut peer = Peer::connect(endpoint, 1, "SUB").await;
            peer.subscribe("book.").await;
            peer.settle().await;
            peers.push(peer);
        }
    }
    let payload = "y".repeat(10_000);
    for seq in 1..=FRAMES {
        bus.publish(&mut vec![numbered(&format!("book.{}.", seq % 2), seq, &payload, Retain::Conflate)]);
        for peer in &mut healthy {
            let topic = peer.message().await.unwrap().swap_remove(0);
            assert_eq!(topic, format!("book.{}.", seq % 2).into_bytes());
        }
    }
    until("one is disconnected", || bus.stats().subscribers == 5).await;
    stalled.pop().unwrap().closed().await;
    let stats = bus.stats();
    assert_eq!((stats.refused.no_room, stats.refused.slow, stats.slow_disconnects), (1, 0, 1));
    let of = |policy| bus.subscribers(10).into_iter().find(|it| it.policy == policy && it.full);
    let lost = policies.map(|policy| of(policy).map(|it| (it.dropped > 0, it.conflated > 0, it.queued_frames)));
    assert_eq!(lost, [Some((false, true, 500)), Some((true, false, 500)), None]);
    let healthy: Vec<_> = bus.subscribers(10).into_iter().filter(|it| !it.full).collect();
    assert_eq!(healthy.len(), 3);
    assert!(healthy.iter().all(|it| it.dropped + it.conflated == 0 && it.subscriptions == 1));
}

/// The next notice among what a subscriber receives, and how many frames came before it.
async fn next_notice(peer: &mut Peer) -> (Value, u64) {
    for before in 0.. {
        let parts = peer.message().await.expect("a notice before the end");
        if parts[0] == b"notice.loss." {
            return (serde_json::from_slice(&parts[1]).unwrap(), before);
        }
    }
    unreachable!()
}

#[tokio::test]
async fn a_subscriber_is_told_what_it_lost_by_topic() {
    const FRAMES: u64 = 5000;
    let bus = publisher(|options| {
        options.queue_frames = 500;
        options.epoch = 77;
    })
    .await;
    let mut stalled = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
    for prefix in ["trade.", "book.", "notice."] {
        stalled.subscribe(prefix).await;
    }
    stalled.settle().await;
    let mut everything = Peer::subscriber(&bus, 1, "").await;
    let payload = "x".repeat(5_000);
    for seq in 1..=FRAMES {
        let mut batch = vec![
            numbered("trade.a.", seq, &payload, Retain::Stream),
            numbered("book.a.", seq, &payload, Retain::Conflate),
            numbered("unwanted.", seq, "", Retain::Stream),
        ];
        bus.publish(&mut batch);
        for _ in 0..3 {
            assert!(everything.text().await.split(' ').next().unwrap() != "notice.loss.", "that one lost nothing");
        }
    }
    let seen = bus.subscribers(10).remove(0);
    assert!(seen.full && seen.dropped > 0 && seen.conflated > 0, "{seen:?}");
    let (notice, before) = next_notice(&mut stalled).await;
    assert_eq!(notice["type"], "notice");
    assert_eq!(
        (&notice["v"], &notice["kind"], &notice["epoch"], &notice["seq"]),
        (&json!(1), &json!("loss"), &json!(77), &json!(1))
    );
    assert_eq!((&notice["dropped"], &notice["conflated"]), (&json!(seen.dropped), &json!(seen.conflated)));
    let (since, at) = (notice["since"].as_u64().unwrap(), notice["ts_pub"].as_u64().unwrap());
    assert!(since < at && at - since < 20_000_000_000);
    let topics = notice["topics"].as_object().unwrap();
    assert_eq!(topics.keys().collect::<Vec<_>>(), ["book.a.", "trade.a."]);
    // The one told what it lost, the rest came: every number of trades is in one of them.
    let trade = &topics["trade.a."];
    let (first, last, dropped) = (&trade["first_seq"], &trade["last_seq"], &trade["dropped"]);
    assert_eq!(dropped.as_u64().unwrap(), last.as_u64().unwrap() - first.as_u64().unwrap() + 1);
    assert!(notice.get("other").is_none());
    // It comes before the first frame after the loss.
    let next = stalled.message().await.unwrap();
    assert!(before > 0 && next[0] != b"notice.loss.");
    // Only once, and nothing more was lost by telling.
    publish(&bus, "trade.end.", "", Retain::Stream);
    loop {
        let text = stalled.text().await;
        assert!(!text.starts_with("notice."), "{text}");
        if text.starts_with("trade.end.") {
            break;
        }
    }
    assert_eq!((bus.stats().notices, only_slow(&bus)), (1, (seen.dropped, seen.conflated)));
}

/// What the subscriber that lost the most lost.
fn only_slow(bus: &Publisher) -> (u64, u64) {
    let first = bus.subscribers(1).remove(0);
    (first.dropped, first.conflated)
}

#[tokio::test]
async fn notices_come_once_for_each_time_of_being_full_and_are_bounded() {
    let bus = publisher(|options| options.queue_frames = 500).await;
    let mut stalled = Peer::subscriber(&bus, 1, "").await;
    let payload = "x".repeat(10_000);
    let mut told = 0;
    for round in 1..=3 {
        // More topics than are counted apart.
        let mut seq = 0;
        until("frames of many topics are dropped", || {
            seq += 1;
            bus.publish(
                &mut (0..200).map(|n| numbered(&format!("t.{n:03}."), seq, &payload, Retain::Stream)).collect(),
            );
            bus.stats().dropped_frames >= told + 1000
        })
        .await;
        let (notice, _) = next_notice(&mut stalled).await;
        assert_eq!(notice["seq"], round);
        assert_eq!(notice["topics"].as_object().unwrap().len(), 128);
        let other = &notice["other"];
        assert!(other["dropped"].as_u64().unwrap() > 0 && other.get("first_seq").is_none(), "{other}");
        told += notice["dropped"].as_u64().unwrap();
        assert_eq!(told, bus.stats().dropped_frames);
        publish(&bus, "end.", &round.to_string(), Retain::Stream);
        while stalled.text().await != format!("end. {round}") {}
    }
    assert_eq!(bus.stats().notices, 3);
    assert_eq!(only(&bus).lost_topics.len(), 5);
}

#[tokio::test]
async fn a_frame_too_large_for_the_queue_is_told_at_once() {
    let bus = publisher(|options| options.queue_bytes = 1000).await;
    let mut peer = Peer::subscriber(&bus, 1, "").await;
    publish(&bus, "t.", &"x".repeat(2000), Retain::Stream);
    let (notice, before) = next_notice(&mut peer).await;
    assert_eq!((&notice["dropped"], before), (&json!(1), 0));
    publish(&bus, "t.", "small", Retain::Stream);
    assert_eq!(peer.text().await, "t. small");
}
