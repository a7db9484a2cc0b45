//! Subscribers that do not read: bounded, counted, and nobody else's trouble.

use std::time::Duration;

use tickbus::bus::{Publisher, Retain};
use tokio::time::Instant;

use crate::raw::{Peer, frame, publish, publisher, until};

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
    assert_eq!(stats.queued_frames, 0);
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
async fn a_status_lost_in_a_full_queue_is_told_after_it() {
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
        assert!(text.starts_with("a. "), "{text}");
    }
}

#[tokio::test]
async fn a_subscriber_that_stays_stalled_is_disconnected() {
    let bus = publisher(|options| {
        options.queue_frames = 500;
        options.slow_limit = Duration::from_millis(200);
    })
    .await;
    let mut stalled = Peer::subscriber(&bus, 1, "a.").await;
    let start = Instant::now();
    overflow(&bus, "a.").await;
    until("it is disconnected", || {
        publish(&bus, "a.", "", Retain::Stream);
        bus.stats().subscribers == 0
    })
    .await;
    assert!(start.elapsed() >= Duration::from_millis(200));
    stalled.closed().await;
    assert_eq!((bus.stats().slow_disconnects, bus.stats().queued_frames), (1, 0));
}
