//! Tests of the hub: who gets what, joiners, full queues, leaving.

use bytes::Bytes;

use super::*;

const LIMITS: HubLimits = HubLimits {
    queue: QueueLimits { frames: 10, bytes: 10_000 },
    subscribers: 3,
    subscriptions: 5,
    kept_topics: 100,
    slow: Duration::from_secs(30),
};

fn frame(topic: &str, payload: &str, retain: Retain) -> Frame {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Frame { topic: bytes(topic), payload: bytes(payload), retain, seq: 0 }
}

fn publish_at(hub: &mut Hub, now: Mono, frames: &[(&str, &str, Retain)]) -> usize {
    let mut batch = frames.iter().map(|(t, p, r)| Outgoing::Frame(frame(t, p, *r))).collect();
    hub.publish(&mut batch, now).len()
}

fn publish(hub: &mut Hub, frames: &[(&str, &str, Retain)]) -> usize {
    publish_at(hub, Mono(0), frames)
}

fn take(hub: &mut Hub, id: SubscriberId) -> Vec<String> {
    let mut out = Vec::new();
    while hub.take(id, &mut out, usize::MAX, usize::MAX, Mono(0)) == Taken::Frames && !hub.slots_empty(id) {}
    out.iter()
        .map(|f| format!("{}{}", String::from_utf8_lossy(&f.topic), String::from_utf8_lossy(&f.payload)))
        .collect()
}

impl Hub {
    fn slots_empty(&self, id: SubscriberId) -> bool {
        self.slots[id.0 as usize].as_ref().is_none_or(|slot| slot.queue.is_empty())
    }
}

fn join(hub: &mut Hub, prefixes: &[&str]) -> SubscriberId {
    let (id, _) = hub.join().unwrap();
    for prefix in prefixes {
        hub.subscribe(id, prefix.as_bytes(), Mono(0)).unwrap();
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
    publish(&mut hub, &[("book.b.", "2", Retain::Conflate)]);
    hub.subscribe(new, b"book.b.", Mono(0)).unwrap();
    hub.subscribe(new, b"", Mono(0)).unwrap();
    assert_eq!(take(&mut hub, new), ["book.b.1", "book.b.2", "status.b.live"]);
    assert_eq!(take(&mut hub, old), ["book.b.1", "book.b.2"]);
    // Once cancelled, a new subscription is a new join.
    hub.cancel(new, b"");
    hub.cancel(new, b"book.b.");
    hub.cancel(new, b"book.b.");
    hub.subscribe(new, b"book.", Mono(0)).unwrap();
    assert_eq!(take(&mut hub, new), ["book.b.2"]);
}

#[test]
fn a_forgotten_topic_is_not_given_to_joiners() {
    let mut hub = Hub::new(LIMITS);
    publish(&mut hub, &[("book.b.", "1", Retain::Conflate)]);
    hub.publish(&mut vec![Outgoing::Forget(Bytes::from_static(b"book.b."))], Mono(0));
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
    assert_eq!(seen.last().unwrap(), "status.b.stale");
}

#[test]
fn a_subscriber_that_stays_full_is_ended_and_its_queue_freed() {
    let mut hub = Hub::new(LIMITS);
    let id = join(&mut hub, &["t."]);
    let at = |seconds: u64| Mono(seconds * 1_000_000_000);
    for n in 0..12 {
        publish_at(&mut hub, at(n), &[("t.", "1", Retain::Stream)]);
    }
    assert!(!hub.is_slow(id));
    // Full since second 10.
    publish_at(&mut hub, at(39), &[("t.", "1", Retain::Stream)]);
    assert!(!hub.is_slow(id));
    assert_eq!(publish_at(&mut hub, at(40), &[("t.", "1", Retain::Stream)]), 1);
    assert!(hub.is_slow(id));
    assert_eq!((hub.take(id, &mut Vec::new(), 9, 9, at(41)), hub.queued()), (Taken::Slow, 0));
    assert_eq!(publish_at(&mut hub, at(42), &[("t.", "1", Retain::Stream)]), 0);
}

#[test]
fn places_are_bounded_and_used_again_without_old_subscriptions() {
    let mut hub = Hub::new(LIMITS);
    let ids: Vec<_> = (0..3).map(|_| join(&mut hub, &["a", "b", "c", "d", "e"])).collect();
    assert!(hub.join().is_none());
    assert_eq!(hub.subscribe(ids[0], b"f", Mono(0)), Err(SubscribeError::TooMany(5)));
    assert!(!hub.leave(ids[1], 3));
    assert_eq!(hub.subscribers(), 2);
    // Still in the tree, but no longer served.
    publish(&mut hub, &[("a", "1", Retain::Stream)]);
    assert!(hub.leave(ids[1], 3));
    let again = join(&mut hub, &[]);
    assert_eq!(again, ids[1]);
    publish(&mut hub, &[("a", "2", Retain::Stream)]);
    assert_eq!(take(&mut hub, again), [""; 0]);
    assert_eq!(take(&mut hub, ids[0]).len(), 2);
}
