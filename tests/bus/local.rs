//! Subscribers of the same process: joined like any other, bounded, never disconnected, and joined again on demand.

use std::sync::Arc;
use std::time::Duration;

use tickbus::bus::{Frame, LocalOptions, LocalSubscriber, Publisher, Retain, SlowLimits};

use crate::raw::{Peer, publish, publisher, within};

fn join(bus: &Publisher, prefixes: &[&str], frames: usize) -> LocalSubscriber {
    let prefixes: Vec<_> = prefixes.iter().map(|&prefix| prefix.to_owned()).collect();
    let options = LocalOptions { name: "sink:test".to_owned(), queue_frames: frames, queue_bytes: 1 << 20 };
    bus.subscribe_here(&prefixes, options).unwrap()
}

fn texts(frames: &[Arc<Frame>]) -> Vec<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    frames.iter().map(|frame| format!("{} {}", text(&frame.topic), text(&frame.payload))).collect()
}

/// What comes at once, in one or several bursts.
async fn burst(subscriber: &mut LocalSubscriber) -> Vec<String> {
    let mut frames = Vec::new();
    while tokio::time::timeout(Duration::from_millis(50), subscriber.next(&mut frames)).await.is_ok() {}
    texts(&frames)
}

#[tokio::test]
async fn kept_frames_come_first_and_again_after_joining_again() {
    let bus = publisher(|_| {}).await;
    publish(&bus, "book.a.", "1", Retain::Conflate);
    publish(&bus, "status.a.", "live", Retain::Latest);
    // Prefixes that overlap bring nothing twice, and lose nothing to each other.
    let mut subscriber = join(&bus, &["", "book.", "trade."], 100);
    publish(&bus, "trade.a.", "1", Retain::Stream);
    assert_eq!(burst(&mut subscriber).await, ["status.a. live", "book.a. 1", "trade.a. 1"]);
    publish(&bus, "trade.a.", "2", Retain::Stream);
    subscriber.rejoin();
    publish(&bus, "trade.a.", "3", Retain::Stream);
    let again = ["trade.a. 2", "status.a. live", "book.a. 1", "trade.a. 3"];
    assert_eq!(burst(&mut subscriber).await, again, "queued, kept, and what came since");
    subscriber.rejoin();
    subscriber.rejoin();
    assert_eq!(burst(&mut subscriber).await, ["status.a. live", "book.a. 1"]);
    assert_eq!(subscriber.kept_topics(), ["book.a.", "status.a."]);
}

#[tokio::test]
async fn a_waiting_subscriber_is_woken_and_a_dropped_wait_loses_nothing() {
    let bus = publisher(|_| {}).await;
    let mut subscriber = join(&bus, &["trade."], 100);
    assert_eq!(burst(&mut subscriber).await, [""; 0], "the waits of this were dropped");
    let waiting = tokio::spawn(async move {
        let mut frames = Vec::new();
        subscriber.next(&mut frames).await;
        texts(&frames)
    });
    tokio::task::yield_now().await;
    publish(&bus, "trade.a.", "1", Retain::Stream);
    assert_eq!(within("a frame", waiting).await.unwrap(), ["trade.a. 1"]);
}

#[tokio::test]
async fn a_slow_one_is_bounded_told_and_never_disconnected() {
    let at_once = SlowLimits { time: Some(Duration::ZERO), drops: Some(1) };
    let bus = publisher(|options| options.slow = at_once).await;
    let mut subscriber = join(&bus, &["trade.", "notice."], 10);
    for n in 1..=100 {
        publish(&bus, "trade.a.", &n.to_string(), Retain::Stream);
    }
    let stats = bus.subscriber_named("sink:test").unwrap();
    assert_eq!((stats.queued_frames, stats.dropped, stats.full), (10, 90, true));
    assert_eq!(bus.subscribers(10)[0].peer, "sink:test");
    let got = burst(&mut subscriber).await;
    assert!(got[0].starts_with("notice.loss. ") && got[0].contains("\"dropped\":90"), "{got:?}");
    assert_eq!((got.len(), &*got[1], &*got[10]), (11, "trade.a. 91", "trade.a. 100"));
    publish(&bus, "trade.a.", "101", Retain::Stream);
    assert_eq!(burst(&mut subscriber).await, ["trade.a. 101"]);
}

#[tokio::test]
async fn it_takes_no_subscribers_place_and_leaves_when_dropped() {
    let bus = publisher(|options| options.max_subscribers = 1).await;
    let (one, two) = (join(&bus, &["trade."], 10), join(&bus, &["trade."], 10));
    let mut peer = Peer::subscriber(&bus, 1, "trade.").await;
    publish(&bus, "trade.a.", "1", Retain::Stream);
    assert_eq!(peer.text().await, "trade.a. 1");
    assert_eq!(bus.stats().subscribers, 3);
    drop((one, two));
    assert_eq!(bus.stats().subscribers, 1);
    assert!(bus.subscriber_named("sink:test").is_none());
}
