//! Joiners: the current frames of what they matched, before any live frame of the same topic, however busy the bus is.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tickbus::bus::{Publisher, Retain};

use crate::raw::{Peer, numbered, publisher, until};

const KINDS: [(&str, Retain); 5] = [
    ("status", Retain::Latest),
    ("instrument", Retain::Latest),
    ("book", Retain::Conflate),
    ("bbo", Retain::Conflate),
    ("ticker", Retain::Latest),
];

/// Publishes a thread's own topics, each counting from 1, until told to end. Only the busy ones go on after the first.
fn publish_on(bus: &Publisher, thread: usize, stop: &AtomicBool) {
    let topic = |kind: &str, n: usize| format!("{kind}.v.m.{thread}-{n}.");
    let mut seq = 0;
    while !stop.load(Ordering::Relaxed) {
        seq += 1;
        let symbols = if seq == 1 { 20 } else { 4 };
        let frames = (0..symbols).flat_map(|n| KINDS.map(|(kind, retain)| (topic(kind, n), retain)));
        let mut batch = frames.map(|(topic, retain)| numbered(&topic, seq, &seq.to_string(), retain)).collect();
        bus.publish(&mut batch);
        thread::yield_now();
    }
}

/// Reads until each of `topics` topics came three times or, if it is not busy, once; checks that none goes back or jumps.
async fn check_joiner(bus: &Publisher, prefixes: &[&str], topics: usize) {
    let mut peer = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
    for prefix in prefixes {
        peer.subscribe(prefix).await;
    }
    let mut last: HashMap<String, (u64, u64)> = HashMap::new();
    let is_busy =
        |topic: &str| topic.trim_end_matches('.').rsplit('-').next().is_some_and(|n| n.parse::<u32>().unwrap() < 4);
    while last.len() < topics || last.iter().any(|(topic, (_, count))| is_busy(topic) && *count < 3) {
        let text = peer.text().await;
        let (topic, seq) = text.split_once(' ').expect("a frame");
        let seq: u64 = seq.parse().unwrap();
        let (before, count) = last.entry(topic.to_owned()).or_insert((seq - 1, 0));
        assert_eq!(seq, *before + 1, "{topic} after {count} frames");
        (*before, *count) = (seq, *count + 1);
    }
    // A quiet topic's one frame is its kept one.
    assert!(last.iter().all(|(topic, (seq, count))| is_busy(topic) || (*seq, *count) == (1, 1)), "{last:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joiners_get_kept_frames_before_live_ones_while_threads_publish() {
    const THREADS: usize = 3;
    let bus = publisher(|options| options.queue_frames = 1_000_000).await;
    let stop = Arc::new(AtomicBool::new(false));
    let threads: Vec<_> = (0..THREADS)
        .map(|thread| {
            let (bus, stop) = (bus.clone(), Arc::clone(&stop));
            thread::spawn(move || publish_on(&bus, thread, &stop))
        })
        .collect();
    until("all have begun", || bus.kept_topics().len() == THREADS * 20 * KINDS.len()).await;
    for round in 0..40 {
        match round % 4 {
            0 => check_joiner(&bus, &[""], THREADS * 20 * KINDS.len()).await,
            1 => check_joiner(&bus, &["book.", "status."], THREADS * 20 * 2).await,
            2 => check_joiner(&bus, &["book.v.m.1-3.", "book.", "bbo.v.m.2", "book.v."], THREADS * 20 + 20).await,
            _ => check_joiner(&bus, &["ticker.v.m.0-19."], 1).await,
        }
    }
    stop.store(true, Ordering::Relaxed);
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    assert_eq!((bus.stats().dropped_frames, bus.stats().conflated_frames), (0, 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_joiner_of_very_many_topics_gets_each_once_although_its_queue_is_short() {
    const TOPICS: usize = 50_000;
    let bus = publisher(|options| options.queue_frames = 16).await;
    let mut batch = (0..TOPICS).map(|n| numbered(&format!("book.{n:05}."), 1, "x", Retain::Conflate)).collect();
    bus.publish(&mut batch);
    let mut peer = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
    peer.subscribe("").await;
    for n in 0..TOPICS {
        assert_eq!(peer.text().await, format!("book.{n:05}. x"));
    }
    peer.settle().await;
    assert_eq!(bus.stats().dropped_frames, 0);
}
