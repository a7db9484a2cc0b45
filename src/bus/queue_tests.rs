//! Tests of the queue: bounds, each policy, what is owed, what is counted.

use proptest::prelude::*;

use super::*;
use crate::frame::Loss;

const LIMITS: QueueLimits = QueueLimits { frames: 4, bytes: 100 };
const NONE: Pushed = Pushed { dropped: 0, conflated: false, refused: false };

fn numbered(topic: &str, seq: u64, payload: &str, retain: Retain) -> Frame {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Frame { topic: bytes(topic), payload: bytes(payload), retain, seq }
}

fn frame(topic: &str, seq: u64, retain: Retain) -> Frame {
    numbered(topic, seq, &seq.to_string(), retain)
}

fn trade(seq: u64) -> Frame {
    frame("trade.", seq, Retain::Stream)
}

fn drain(queue: &mut Queue) -> Vec<String> {
    let texts = std::iter::from_fn(|| queue.pop()).map(|frame| [&frame.topic[..], &frame.payload].concat());
    texts.map(|text| String::from_utf8(text).unwrap()).collect()
}

#[test]
fn the_oldest_are_dropped_and_counted() {
    let mut queue = Queue::new(LIMITS, Policy::Conflate);
    let dropped: u64 = (1..=7).map(|n| queue.push(trade(n), Mono(n)).dropped).sum();
    assert_eq!(dropped, 3);
    let (since, losses) = queue.take_losses().unwrap();
    let loss = Loss { dropped: 3, conflated: 0, first_seq: 1, last_seq: 3 };
    assert_eq!((since, losses.rows()), (Mono(5), vec![(Bytes::from_static(b"trade."), loss)]));
    // What is lost while it is still full is told when it is no more.
    queue.push(trade(8), Mono(8));
    queue.pop();
    assert!(queue.take_losses().is_none());
    queue.push(trade(9), Mono(9));
    queue.pop();
    queue.pop();
    let (since, losses) = queue.take_losses().unwrap();
    assert_eq!((since, losses.total()), (Mono(8), (1, 0)));
    assert!(queue.take_losses().is_none(), "it is told once");
    assert_eq!(drain(&mut queue), ["trade.8", "trade.9"]);
    assert_eq!(queue.pop_owed(), None);
    assert_eq!(queue.losses().total(), (4, 0));
}

#[test]
fn bytes_are_bounded_too() {
    let mut queue = Queue::new(LIMITS, Policy::Conflate);
    queue.push(trade(1), Mono(0));
    let big = |topic: &str, size| numbered(topic, 1, &"x".repeat(size), Retain::Stream);
    assert_eq!(queue.push(big("a.", 90), Mono(0)), NONE);
    assert_eq!(queue.push(big("b.", 90), Mono(0)).dropped, 2);
    assert_eq!(queue.push(big("c.", 101), Mono(0)).dropped, 2);
    assert_eq!((queue.len(), queue.bytes()), (0, 0));
    // An empty queue is not full, whatever it lost.
    assert!(!queue.is_full());
    assert_eq!(queue.take_losses().unwrap().1.total(), (4, 0));
}

#[test]
fn a_full_queue_conflates_books_in_place() {
    let mut queue = Queue::new(LIMITS, Policy::Conflate);
    let book = |seq| frame("book.", seq, Retain::Conflate);
    for frame in [trade(1), book(1), book(2), trade(2)] {
        assert_eq!(queue.push(frame, Mono(0)), NONE);
    }
    for seq in [3, 4] {
        assert_eq!(queue.push(book(seq), Mono(0)), Pushed { conflated: true, ..NONE });
    }
    assert_eq!(drain(&mut queue), ["trade.1", "book.1", "book.4", "trade.2"]);
    let loss = Loss { dropped: 0, conflated: 2, first_seq: 2, last_seq: 3 };
    assert_eq!(queue.take_losses().unwrap().1.rows()[0].1, loss);
}

#[test]
fn drop_conflates_nothing() {
    let mut queue = Queue::new(LIMITS, Policy::Drop);
    for seq in 1..=6 {
        queue.push(frame("book.", seq, Retain::Conflate), Mono(0));
    }
    assert_eq!(drain(&mut queue), ["book.3", "book.4", "book.5", "book.6"]);
    assert_eq!(queue.losses().total(), (2, 0));
}

#[test]
fn disconnect_refuses_the_first_frame_without_room() {
    let mut queue = Queue::new(LIMITS, Policy::Disconnect);
    for seq in 1..=4 {
        assert_eq!(queue.push(frame("book.", seq, Retain::Conflate), Mono(0)), NONE);
    }
    assert_eq!(queue.push(trade(5), Mono(0)), Pushed { refused: true, ..NONE });
    assert_eq!(drain(&mut queue), ["book.1", "book.2", "book.3", "book.4"]);
    assert_eq!(queue.losses().total(), (0, 0));
}

#[test]
fn a_dropped_kept_topic_is_owed_once_there_is_room() {
    let mut queue = Queue::new(LIMITS, Policy::Conflate);
    queue.push(frame("status.", 7, Retain::Latest), Mono(0));
    for n in 1..=5 {
        queue.push(trade(n), Mono(0));
    }
    assert_eq!(queue.pop_owed(), None);
    drain(&mut queue);
    assert!(!queue.is_idle());
    assert_eq!(queue.pop_owed(), Some((Bytes::from_static(b"status."), 7)));
    assert_eq!(queue.pop_owed(), None);
}

#[test]
fn slowness_lasts_until_the_queue_is_half_empty() {
    let mut queue = Queue::new(LIMITS, Policy::Conflate);
    let time = |nanos| SlowLimits { time: Some(Duration::from_nanos(nanos)), drops: None };
    for n in 1..=5 {
        queue.push(trade(n), Mono(50));
    }
    assert_eq!(queue.overdue(Mono(149), time(100)), None);
    let slow = Slow::Full { time: Duration::from_nanos(100), dropped: 1 };
    assert_eq!(queue.overdue(Mono(150), time(100)), Some(slow));
    assert_eq!(queue.overdue(Mono(u64::MAX), SlowLimits { time: None, drops: None }), None);
    queue.pop();
    assert_eq!(queue.overdue(Mono(150), time(100)), Some(slow));
    queue.pop();
    assert_eq!(queue.overdue(Mono(150), time(100)), None);
}

#[test]
fn drops_are_limited_within_one_time_of_being_full() {
    let mut queue = Queue::new(LIMITS, Policy::Drop);
    let limits = SlowLimits { time: None, drops: Some(3) };
    for round in 0..3 {
        for n in 1..=6 {
            queue.push(trade(n), Mono(round));
        }
        assert_eq!(queue.overdue(Mono(round), limits), None);
        drain(&mut queue);
    }
    for n in 1..=7 {
        queue.push(trade(n), Mono(9));
    }
    assert_eq!(queue.overdue(Mono(9), limits), Some(Slow::Full { time: Duration::ZERO, dropped: 3 }));
}

fn any_frame() -> impl Strategy<Value = (u8, usize, Retain)> {
    let retain = prop_oneof![Just(Retain::Stream), Just(Retain::Conflate), Just(Retain::Latest)];
    (0..3_u8, 0..60_usize, retain)
}

fn any_policy() -> impl Strategy<Value = Policy> {
    prop_oneof![Just(Policy::Conflate), Just(Policy::Drop), Just(Policy::Disconnect)]
}

/// What a queue of one policy should do, and what came out of it.
#[derive(Default)]
struct Model {
    out: Vec<Arc<Frame>>,
    newest: HashMap<Bytes, Frame>,
    dropped: u64,
    conflated: u64,
    again: u64,
    told: (u64, u64),
}

impl Model {
    fn take(&mut self, queue: &mut Queue, count: usize) {
        while let Some((topic, seq)) = queue.pop_owed() {
            if self.newest[&topic].seq == seq {
                self.out.push(Arc::new(self.newest[&topic].clone()));
                self.again += 1;
            }
        }
        self.out.extend((0..count).map_while(|_| queue.pop()));
        if let Some((_, losses)) = queue.take_losses() {
            let (dropped, conflated) = losses.total();
            assert!(dropped + conflated > 0);
            self.told = (self.told.0 + dropped, self.told.1 + conflated);
        }
    }
}

proptest! {
    /// Under every policy: the bounds always hold, every frame is accounted for and every loss is told, no topic goes
    /// backwards, and after recovery the last frame of every kept topic was delivered.
    #[test]
    fn nothing_is_lost_unseen(
        policy in any_policy(),
        steps in proptest::collection::vec((any_frame(), 0..3_usize), 0..80),
    ) {
        let mut queue = Queue::new(LIMITS, policy);
        let mut model = Model::default();
        let mut pushes = 0;
        for (seq, ((topic, length, retain), taken)) in (1..).zip(steps) {
            // A topic is always kept, or never.
            let frame = numbered(&format!("{topic}{retain:?}."), seq, &"x".repeat(length), retain);
            let before = (queue.len(), queue.bytes());
            let fits = before.0 < LIMITS.frames && before.1 + size_of(&frame) <= LIMITS.bytes;
            let pushed = queue.push(frame.clone(), Mono(seq));
            if pushed.refused {
                // The subscriber is disconnected here.
                prop_assert!(policy == Policy::Disconnect && !fits);
                prop_assert_eq!((queue.len(), queue.bytes()), before);
                break;
            }
            pushes += 1;
            if retain != Retain::Stream {
                model.newest.insert(frame.topic.clone(), frame);
            }
            prop_assert!(!fits || pushed == NONE);
            prop_assert!(!pushed.conflated || (policy == Policy::Conflate && retain == Retain::Conflate));
            prop_assert!(policy != Policy::Disconnect || pushed == NONE);
            model.dropped += pushed.dropped;
            model.conflated += u64::from(pushed.conflated);
            prop_assert!(queue.len() <= LIMITS.frames && queue.bytes() <= LIMITS.bytes);
            prop_assert_eq!(queue.bytes(), queue.frames.iter().map(|queued| size_of(&queued.frame)).sum::<usize>());
            prop_assert_eq!(queue.next_number() - queue.front_number(), queue.len() as u64);
            model.take(&mut queue, taken);
        }
        model.take(&mut queue, usize::MAX);
        model.take(&mut queue, usize::MAX);
        prop_assert!(queue.is_idle() && !queue.is_full());
        prop_assert_eq!(model.out.len() as u64 + model.dropped + model.conflated, pushes + model.again);
        prop_assert_eq!(model.told, (model.dropped, model.conflated));
        prop_assert_eq!(queue.losses().total(), model.told);
        let mut last: HashMap<Bytes, u64> = HashMap::new();
        for frame in &model.out {
            let before = last.insert(frame.topic.clone(), frame.seq);
            prop_assert!(before.is_none_or(|before| before < frame.seq), "{:?} after {:?}", frame, before);
        }
        for (topic, frame) in &model.newest {
            prop_assert_eq!(last.get(topic), Some(&frame.seq));
        }
    }
}
