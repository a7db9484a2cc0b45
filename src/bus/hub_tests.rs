//! Tests of the hub: who gets what, joiners, full queues, leaving.

use std::time::Duration;

use super::*;
use crate::bus::Retain;

const LIMITS: HubLimits = HubLimits {
    queue: QueueLimits { frames: 10, bytes: 10_000 },
    subscribers: 3,
    subscriptions: 5,
    topics: 100,
    slow: SlowLimits { time: Some(Duration::from_secs(30)), drops: None },
};

fn frame(topic: &str, seq: u64, payload: &str, retain: Retain) -> Frame {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Frame { topic: bytes(topic), payload: bytes(payload), retain, seq }
}

fn publish_at(hub: &mut Hub, now: Mono, frames: &[(&str, &str, Retain)]) -> usize {
    // Each topic counts from 1.
    let last = |hub: &Hub, topic: &str| hub.seq_of(topic.as_bytes());
    let mut woken = 0;
    for (topic, payload, retain) in frames {
        let frame = frame(topic, last(hub, topic) + 1, payload, *retain);
        woken += hub.publish(&mut vec![Outgoing::Frame(frame)], || now).len();
    }
    woken
}

fn publish(hub: &mut Hub, frames: &[(&str, &str, Retain)]) -> usize {
    publish_at(hub, Mono(0), frames)
}

fn take(hub: &mut Hub, id: SubscriberId) -> Vec<String> {
    let (mut out, mut part) = (Vec::new(), Vec::new());
    while hub.take(id, &mut part, usize::MAX, usize::MAX) != Taken::Nothing {
        out.append(&mut part);
    }
    out.iter()
        .map(|f| format!("{}{}", String::from_utf8_lossy(&f.topic), String::from_utf8_lossy(&f.payload)))
        .collect()
}

impl Hub {
    fn seq_of(&self, topic: &[u8]) -> u64 {
        let found = self.catalog.from(std::ops::Bound::Included(topic)).next();
        found.filter(|(name, _)| *name == topic).map_or(0, |(_, entry)| entry.seq)
    }
}

fn join(hub: &mut Hub, prefixes: &[&str]) -> SubscriberId {
    let (id, _) = hub.join(Guest::default()).unwrap();
    for prefix in prefixes {
        hub.subscribe(id, prefix.as_bytes()).unwrap();
    }
    id
}

#[test]
fn a_frame_comes_once_however_many_prefixes_match() {
    let mut hub = Hub::new(LIMITS);
    let a = join(&mut hub, &["", "trade.", "trade.x."]);
    let b = join(&mut hub, &["book."]);
    publish(&mut hub, &[("trade.x.", "1", Retain::Stream), ("trade.x.", "2", Retain::Stream)]);
    assert_eq!(take(&mut hub, a), ["trade.x.1", "trade.x.2"]);
    assert_eq!(take(&mut hub, b), [""; 0]);
}

#[test]
fn a_joiner_gets_kept_frames_first_and_once() {
    let mut hub = Hub::new(LIMITS);
    let old = join(&mut hub, &["book."]);
    publish(
        &mut hub,
        &[("book.b.", "1", Retain::Conflate), ("trade.b.", "1", Retain::Stream), ("status.b.", "live", Retain::Latest)],
    );
    let new = join(&mut hub, &["book.b."]);
    assert_eq!(take(&mut hub, new), ["book.b.1"]);
    publish(&mut hub, &[("book.b.", "2", Retain::Conflate)]);
    hub.subscribe(new, b"book.b.").unwrap();
    hub.subscribe(new, b"").unwrap();
    assert_eq!(take(&mut hub, new), ["book.b.2", "status.b.live"]);
    assert_eq!(take(&mut hub, old), ["book.b.1", "book.b.2"]);
    // Once cancelled, a new subscription is a new join.
    hub.cancel(new, b"");
    hub.cancel(new, b"book.b.");
    hub.cancel(new, b"book.b.");
    hub.subscribe(new, b"book.").unwrap();
    assert_eq!(take(&mut hub, new), ["book.b.2"]);
}

#[test]
fn a_forgotten_topic_is_not_given_to_joiners() {
    let mut hub = Hub::new(LIMITS);
    publish(&mut hub, &[("book.b.", "1", Retain::Conflate)]);
    hub.publish(&mut vec![Outgoing::Forget(Bytes::from_static(b"book.b."))], || Mono(0));
    let id = join(&mut hub, &[""]);
    assert_eq!(take(&mut hub, id), [""; 0]);
    assert_eq!(hub.kept_topics(), 0);
}

#[test]
fn only_sleeping_writers_are_woken() {
    let mut hub = Hub::new(LIMITS);
    let id = join(&mut hub, &["t."]);
    assert_eq!(take(&mut hub, id), [""; 0]);
    assert_eq!(publish(&mut hub, &[("t.", "1", Retain::Stream), ("t.", "2", Retain::Stream)]), 1);
    assert_eq!(publish(&mut hub, &[("t.", "3", Retain::Stream)]), 0);
    assert_eq!(take(&mut hub, id).len(), 3);
}

#[test]
fn a_slow_subscriber_loses_counted_frames_and_hears_the_truth_when_it_recovers() {
    let mut hub = Hub::new(LIMITS);
    let slow = join(&mut hub, &[""]);
    let good = join(&mut hub, &["trade."]);
    publish(&mut hub, &[("status.b.", "stale", Retain::Latest)]);
    for n in 0..30 {
        publish(&mut hub, &[("trade.b.", &n.to_string(), Retain::Stream)]);
        assert_eq!(take(&mut hub, good), [format!("trade.b.{n}")]);
    }
    assert_eq!(hub.counters().dropped, 21);
    let seen = take(&mut hub, slow);
    assert_eq!(seen.len(), 11);
    // As soon as there is room: before the later half of the queue.
    assert!(seen.contains(&"status.b.stale".to_owned()), "{seen:?}");
}

#[test]
fn a_subscriber_that_stays_full_is_ended_and_its_queue_freed() {
    let mut hub = Hub::new(LIMITS);
    let id = join(&mut hub, &["t."]);
    let at = |seconds: u64| Mono(seconds * 1_000_000_000);
    for n in 0..12 {
        publish_at(&mut hub, at(n), &[("t.", "1", Retain::Stream)]);
    }
    assert_eq!(hub.check_slow(id, at(11)), None);
    // Full since second 10.
    publish_at(&mut hub, at(39), &[("t.", "1", Retain::Stream)]);
    assert_eq!(hub.check_slow(id, at(39)), None);
    assert_eq!(publish_at(&mut hub, at(40), &[("t.", "1", Retain::Stream)]), 1);
    assert!(hub.check_slow(id, at(40)).is_some());
    let slow = Slow::Full { time: Duration::from_secs(30), dropped: 4 };
    assert_eq!((hub.take(id, &mut Vec::new(), 9, 9), hub.queued()), (Taken::Slow(slow), 0));
    assert_eq!(publish_at(&mut hub, at(42), &[("t.", "1", Retain::Stream)]), 0);
}

#[test]
fn places_are_bounded_and_used_again_without_old_subscriptions() {
    let mut hub = Hub::new(LIMITS);
    let ids: Vec<_> = (0..3).map(|_| join(&mut hub, &["a", "b", "c", "d", "e"])).collect();
    assert!(hub.join(Guest::default()).is_none());
    assert_eq!(hub.subscribe(ids[0], b"f"), Err(SubscribeError::TooMany(5)));
    drop(hub.vacate(ids[1]));
    assert!(!hub.remove_some(ids[1], 3));
    assert_eq!(hub.subscribers(), 2);
    // Still in the tree, but no longer served.
    publish(&mut hub, &[("a", "1", Retain::Stream)]);
    assert!(hub.remove_some(ids[1], 3));
    let again = join(&mut hub, &[]);
    assert_eq!(again, ids[1]);
    publish(&mut hub, &[("a", "2", Retain::Stream)]);
    assert_eq!(take(&mut hub, again), [""; 0]);
    assert_eq!(take(&mut hub, ids[0]).len(), 2);
}

#[test]
fn a_subscriber_that_reads_nothing_is_found_slow_without_a_further_frame() {
    let mut hub = Hub::new(LIMITS);
    let id = join(&mut hub, &["t."]);
    for _ in 0..11 {
        publish(&mut hub, &[("t.", "1", Retain::Stream)]);
    }
    assert_eq!(hub.check_slow(id, Mono(29_999_999_999)), None);
    assert!(hub.check_slow(id, Mono(30_000_000_000)).is_some());
    assert!(matches!(hub.take(id, &mut Vec::new(), 9, 9), Taken::Slow(_)));
}

#[test]
fn where_the_policy_is_to_disconnect_the_first_frame_without_room_does() {
    let mut hub = Hub::new(LIMITS);
    let other = join(&mut hub, &["t."]);
    let (id, _) = hub.join(Guest { policy: Policy::Disconnect, ..Guest::default() }).unwrap();
    hub.subscribe(id, b"t.").unwrap();
    for n in 1..=10 {
        publish(&mut hub, &[("t.", &n.to_string(), Retain::Stream)]);
    }
    assert_eq!(hub.check_slow(id, Mono(0)), None);
    // It is woken to be told; the other one sleeps not.
    assert_eq!(publish(&mut hub, &[("t.", "11", Retain::Stream)]), 1);
    assert_eq!(hub.check_slow(id, Mono(0)), Some(Slow::NoRoom { queued: 10 }));
    assert_eq!((hub.queued(), hub.counters().dropped), (10, 1));
    assert_eq!(take(&mut hub, other).len(), 10);
}

#[test]
fn losses_are_told_once_to_whom_wants_to_know() {
    let mut hub = Hub::new(LIMITS);
    let told = join(&mut hub, &["t.", "notice."]);
    let all = join(&mut hub, &[""]);
    let deaf = join(&mut hub, &["t."]);
    for _ in 0..13 {
        publish(&mut hub, &[("t.", "1", Retain::Stream)]);
    }
    for id in [told, all] {
        let (_, losses) = hub.take_losses(id).unwrap();
        assert_eq!((losses.total(), losses.rows()[0].1.last_seq), ((3, 0), 3));
        assert!(hub.take_losses(id).is_none());
        take(&mut hub, id);
        assert!(hub.take_losses(id).is_none());
    }
    assert!(hub.take_losses(deaf).is_none());
    assert_eq!(hub.stats_of(deaf).unwrap().dropped, 3);
}

#[test]
fn joining_many_topics_takes_many_turns_and_no_repetition() {
    const TOPICS: usize = 1000;
    let mut hub = Hub::new(HubLimits { topics: 2 * TOPICS, ..LIMITS });
    for n in 0..TOPICS {
        publish(&mut hub, &[(&format!("book.{n:04}."), "old", Retain::Conflate)]);
    }
    publish(&mut hub, &[("status.0000.", "live", Retain::Latest)]);
    let id = join(&mut hub, &["book.0", ""]);
    let (mut out, mut turn) = (Vec::new(), Vec::new());
    let mut turns = 0;
    while hub.take(id, &mut turn, usize::MAX, usize::MAX) != Taken::Nothing {
        assert!(turn.len() <= JOIN_STEP + 10);
        out.append(&mut turn);
        turns += 1;
        // Meanwhile one that came already, and one that is to come, are published.
        if turns == 2 {
            publish(&mut hub, &[("book.0000.", "new", Retain::Conflate), ("book.0999.", "new", Retain::Conflate)]);
        }
    }
    assert!(turns >= TOPICS / JOIN_STEP, "{turns}");
    let of = |name: &str| out.iter().filter(|f| f.topic == name).map(|f| f.payload.clone()).collect::<Vec<_>>();
    assert_eq!(of("book.0000."), ["old", "new"]);
    assert_eq!(of("book.0999."), ["new"], "the live frame is the first and the newest");
    assert_eq!(out.len(), TOPICS + 2);
    assert_eq!(hub.counters().dropped, 0);
}

#[test]
fn subscribing_and_cancelling_for_ever_leaves_nothing_behind() {
    let mut hub = Hub::new(LIMITS);
    publish(&mut hub, &[("book.b.", "1", Retain::Conflate)]);
    let id = join(&mut hub, &[]);
    for _ in 0..10_000 {
        hub.subscribe(id, b"book.").unwrap();
        hub.cancel(id, b"book.");
    }
    assert!(slot(&mut hub.slots, id).unwrap().joins.len() < 100);
    assert_eq!(take(&mut hub, id), [""; 0]);
    hub.subscribe(id, b"book.").unwrap();
    assert_eq!(take(&mut hub, id), ["book.b.1"]);
}

#[test]
fn changing_from_a_wide_to_a_narrow_prefix_repeats_nothing() {
    let mut hub = Hub::new(LIMITS);
    publish(&mut hub, &[("book.b.", "1", Retain::Conflate), ("mark.", "1", Retain::Latest)]);
    let id = join(&mut hub, &[""]);
    assert_eq!(take(&mut hub, id), ["book.b.1", "mark.1"]);
    // All of it before the writer's next turn.
    hub.subscribe(id, b"book.").unwrap();
    hub.cancel(id, b"");
    hub.subscribe(id, b"mark.").unwrap();
    assert_eq!(take(&mut hub, id), ["mark.1"]);
    // What had brought nothing yet is no reason to leave anything out.
    hub.cancel(id, b"book.");
    hub.subscribe(id, b"book.b").unwrap();
    hub.subscribe(id, b"book.").unwrap();
    hub.cancel(id, b"book.b");
    assert_eq!(take(&mut hub, id), ["book.b.1"]);
}

#[test]
fn old_frames_of_a_cancelled_subscription_do_not_come_after_newer_kept_ones() {
    let mut hub = Hub::new(LIMITS);
    let id = join(&mut hub, &["book."]);
    publish(&mut hub, &[("book.b.", "1", Retain::Conflate), ("book.b.", "2", Retain::Conflate)]);
    hub.cancel(id, b"book.");
    publish(&mut hub, &[("book.b.", "3", Retain::Conflate)]);
    hub.subscribe(id, b"book.").unwrap();
    publish(&mut hub, &[("book.c.", "1", Retain::Conflate)]);
    assert_eq!(take(&mut hub, id), ["book.b.1", "book.b.2", "book.b.3", "book.c.1"]);
}

/// One heartbeat's topics.
fn beat(hub: &mut Hub, at: usize, most: usize) -> Vec<String> {
    let mut listener = hub.listeners(b"heartbeat.").swap_remove(at);
    let mut out = Vec::new();
    while !hub.gather(&mut listener, most, &mut out) {}
    out.iter().map(|(topic, seq)| format!("{} {seq}", String::from_utf8_lossy(topic))).collect()
}

#[test]
fn heartbeats_say_the_last_seq_of_the_topics_subscribed_to() {
    let mut hub = Hub::new(LIMITS);
    join(&mut hub, &["heartbeat.", "trade.b", "delta.", "trade.b.x."]);
    join(&mut hub, &["trade."]);
    join(&mut hub, &[""]);
    for topic in ["book.", "delta.a.", "trade.a.", "trade.b.x.", "trade.b.x.", "trade.b.y.", "zero."] {
        publish(&mut hub, &[(topic, "", Retain::Stream)]);
    }
    assert_eq!(hub.listeners(b"heartbeat.").len(), 2);
    let mine = ["delta.a. 1", "trade.b.x. 2", "trade.b.y. 1"];
    assert_eq!(beat(&mut hub, 0, 10), mine);
    assert_eq!(beat(&mut hub, 0, 10), mine);
    assert_eq!(beat(&mut hub, 1, 10).len(), 6);
    // More topics than a heartbeat takes come round and round.
    assert_eq!(beat(&mut hub, 0, 2), mine[..2]);
    assert_eq!(beat(&mut hub, 0, 2), mine[2..]);
    assert_eq!(beat(&mut hub, 0, 2), mine[..2]);
}

#[test]
fn looking_for_topics_is_bounded_even_where_there_are_none() {
    let mut hub = Hub::new(HubLimits { subscriptions: 5000, topics: 5000, ..LIMITS });
    let id = join(&mut hub, &["heartbeat."]);
    for n in 0..4000 {
        publish(&mut hub, &[(&format!("t.{n:04}.a."), "", Retain::Stream)]);
        hub.subscribe(id, format!("t.{n:04}.b.").as_bytes()).unwrap();
    }
    let mut listener = hub.listeners(b"heartbeat.").remove(0);
    let mut turns = 1;
    while !hub.gather(&mut listener, 100, &mut Vec::new()) {
        turns += 1;
    }
    assert!(turns <= 4, "{turns}");
    // The round goes on where it stopped, so what is at its end is found in time.
    hub.subscribe(id, b"t.3999.a.").unwrap();
    assert!((0..100).any(|_| beat(&mut hub, 0, 100) == ["t.3999.a. 1"]));
}
