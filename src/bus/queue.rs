//! One subscriber's queue: bounded in frames and in bytes. A full queue keeps what is newest, counts what it loses, and
//! remembers which kept topics it owes. Pure.

use std::collections::{HashMap, HashSet, VecDeque};
use std::time::Duration;

use bytes::Bytes;

use super::{Frame, Retain};
use crate::model::Mono;

/// A queue's bounds.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Frames queued at most.
    pub frames: usize,
    /// Bytes of topics and payloads queued at most.
    pub bytes: usize,
}

/// What became of a pushed frame and of those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Frames lost: the oldest, or the pushed one if it alone exceeds the bounds.
    pub dropped: u64,
    /// The frame took the place of an older one of its topic.
    pub conflated: bool,
}

/// Frames on their way to one subscriber, oldest first.
#[derive(Debug)]
pub struct Queue {
    frames: VecDeque<Frame>,
    bytes: usize,
    limits: QueueLimits,
    /// Frames allowed beyond the limit until the queue is next empty: what joining put there at once.
    joined: usize,
    /// How many frames have left from the front: the number of the frame that is now in front.
    gone: u64,
    full: Option<Full>,
    /// Kept topics whose newest frame was dropped, so that what the subscriber last saw of them may be untrue.
    owed: HashSet<Bytes>,
}

/// From when a frame found no room until the queue is half empty.
#[derive(Debug)]
struct Full {
    since: Mono,
    /// The number of the newest queued frame of each kept topic. Entries below `gone` are void.
    newest: HashMap<Bytes, u64>,
}

impl Queue {
    /// An empty queue.
    pub fn new(limits: QueueLimits) -> Self {
        Self { frames: VecDeque::new(), bytes: 0, limits, joined: 0, gone: 0, full: None, owed: HashSet::new() }
    }

    /// Adds a frame. When there is no room, a [`Retain::Conflate`] frame replaces the queued one of its topic, in its
    /// place in the order; otherwise the oldest frames are dropped.
    pub fn push(&mut self, frame: Frame, now: Mono) -> Pushed {
        let size = size_of(&frame);
        if self.has_room(size) {
            self.append(frame);
            return Pushed::default();
        }
        if self.full.is_none() {
            self.full = Some(Full { since: now, newest: self.index() });
        }
        if frame.retain == Retain::Conflate
            && let Some(at) = self.newest_of(&frame.topic)
        {
            self.bytes = self.bytes - size_of(&self.frames[at]) + size;
            self.frames[at] = frame;
            return Pushed { dropped: self.shrink(0), conflated: true };
        }
        let mut dropped = self.shrink(size);
        if self.has_room(size) {
            self.append(frame);
        } else {
            self.owe(&frame);
            dropped += 1;
        }
        Pushed { dropped, conflated: false }
    }

    /// Adds a kept frame for a joiner. It does not count against the limit of frames (but of bytes), so that a queue
    /// shorter than the number of topics cannot make a joiner miss any; `most` is the number of kept topics.
    pub fn push_joined(&mut self, frame: Frame, most: usize, now: Mono) -> Pushed {
        self.joined = (self.joined + 1).min(most);
        self.push(frame, now)
    }

    /// Moves frames from the front to `out`: up to `frames`, and until `bytes` are reached.
    pub fn take(&mut self, out: &mut Vec<Frame>, frames: usize, bytes: usize) {
        let mut taken = 0;
        for _ in 0..frames {
            if taken >= bytes {
                break;
            }
            let Some(frame) = self.pop() else { break };
            taken += size_of(&frame);
            out.push(frame);
        }
        if self.frames.is_empty() {
            self.joined = 0;
        }
        if self.frames.len() <= self.limits.frames / 2 && self.bytes <= self.limits.bytes / 2 {
            self.full = None;
        }
    }

    /// Once there is room again: the kept topics whose last frame was dropped, which are to be sent anew.
    pub fn take_owed(&mut self) -> Option<HashSet<Bytes>> {
        (self.full.is_none() && !self.owed.is_empty()).then(|| std::mem::take(&mut self.owed))
    }

    /// Whether the queue has been full, without once being half empty, for `limit`.
    pub fn is_overdue(&self, now: Mono, limit: Duration) -> bool {
        self.full.as_ref().is_some_and(|full| now.since(full.since) >= limit)
    }

    /// Frames queued.
    pub fn len(&self) -> usize {
        self.frames.len()
    }

    /// Whether nothing is queued.
    pub fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    fn has_room(&self, size: usize) -> bool {
        self.frames.len() < self.limits.frames + self.joined && self.bytes + size <= self.limits.bytes
    }

    fn append(&mut self, frame: Frame) {
        if frame.retain != Retain::Stream
            && let Some(full) = &mut self.full
        {
            full.newest.insert(frame.topic.clone(), self.gone + self.frames.len() as u64);
            self.owed.remove(&frame.topic);
        }
        self.bytes += size_of(&frame);
        self.frames.push_back(frame);
    }

    fn pop(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.gone += 1;
        self.bytes -= size_of(&frame);
        Some(frame)
    }

    /// Drops the oldest frames until `size` more bytes and one more frame fit (with 0: until the bounds hold).
    fn shrink(&mut self, size: usize) -> u64 {
        let mut dropped = 0;
        let spare = usize::from(size > 0);
        while self.frames.len() + spare > self.limits.frames + self.joined || self.bytes + size > self.limits.bytes {
            let number = self.gone;
            let Some(frame) = self.pop() else { break };
            dropped += 1;
            let newest = self.full.as_ref().and_then(|full| full.newest.get(&frame.topic));
            if newest == Some(&number) {
                self.owe(&frame);
            }
        }
        dropped
    }

    fn owe(&mut self, frame: &Frame) {
        if frame.retain != Retain::Stream {
            self.owed.insert(frame.topic.clone());
        }
    }

    fn newest_of(&self, topic: &Bytes) -> Option<usize> {
        let number = *self.full.as_ref()?.newest.get(topic)?;
        usize::try_from(number.checked_sub(self.gone)?).ok()
    }

    fn index(&self) -> HashMap<Bytes, u64> {
        let numbered = (self.gone..).zip(&self.frames);
        numbered.filter(|(_, f)| f.retain != Retain::Stream).map(|(n, f)| (f.topic.clone(), n)).collect()
    }
}

fn size_of(frame: &Frame) -> usize {
    frame.topic.len() + frame.payload.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LIMITS: QueueLimits = QueueLimits { frames: 4, bytes: 100 };

    fn frame(topic: &str, payload: &str, retain: Retain) -> Frame {
        Frame {
            topic: Bytes::copy_from_slice(topic.as_bytes()),
            payload: Bytes::copy_from_slice(payload.as_bytes()),
            retain,
            seq: 0,
        }
    }

    fn trade(n: u32) -> Frame {
        frame("trade.", &n.to_string(), Retain::Stream)
    }

    fn drain(queue: &mut Queue) -> Vec<String> {
        let mut out = Vec::new();
        queue.take(&mut out, usize::MAX, usize::MAX);
        out.iter()
            .map(|f| format!("{}{}", String::from_utf8_lossy(&f.topic), String::from_utf8_lossy(&f.payload)))
            .collect()
    }

    #[test]
    fn the_oldest_are_dropped_and_counted() {
        let mut queue = Queue::new(LIMITS);
        let dropped: u64 = (0..7).map(|n| queue.push(trade(n), Mono(0)).dropped).sum();
        assert_eq!(dropped, 3);
        assert_eq!(drain(&mut queue), ["trade.3", "trade.4", "trade.5", "trade.6"]);
        assert_eq!(queue.take_owed(), None);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let mut queue = Queue::new(LIMITS);
        queue.push(trade(1), Mono(0));
        let big = "x".repeat(90);
        assert_eq!(queue.push(frame("a.", &big, Retain::Stream), Mono(0)), Pushed::default());
        assert_eq!(queue.push(frame("b.", &big, Retain::Stream), Mono(0)).dropped, 2);
        assert_eq!(queue.push(frame("c.", &"x".repeat(101), Retain::Stream), Mono(0)).dropped, 2);
        assert!(queue.is_empty() && queue.bytes == 0);
    }

    #[test]
    fn a_full_queue_conflates_books_in_place() {
        let mut queue = Queue::new(LIMITS);
        let book = |n: u32| frame("book.", &n.to_string(), Retain::Conflate);
        queue.push(trade(1), Mono(0));
        queue.push(book(1), Mono(0));
        queue.push(book(2), Mono(0));
        queue.push(trade(2), Mono(0));
        assert_eq!(queue.push(book(3), Mono(0)), Pushed { dropped: 0, conflated: true });
        assert_eq!(queue.push(book(4), Mono(0)), Pushed { dropped: 0, conflated: true });
        assert_eq!(drain(&mut queue), ["trade.1", "book.1", "book.4", "trade.2"]);
    }

    #[test]
    fn a_dropped_kept_topic_is_owed_once_there_is_room() {
        let mut queue = Queue::new(LIMITS);
        queue.push(frame("status.", "stale", Retain::Latest), Mono(0));
        queue.push(frame("ticker.", "1", Retain::Latest), Mono(0));
        for n in 0..5 {
            queue.push(trade(n), Mono(0));
        }
        // The ticker's later frame takes its debt away.
        queue.push(frame("ticker.", "2", Retain::Latest), Mono(0));
        assert_eq!(queue.take_owed(), None);
        drain(&mut queue);
        assert_eq!(queue.take_owed(), Some(HashSet::from([Bytes::from_static(b"status.")])));
        assert_eq!(queue.take_owed(), None);
    }

    #[test]
    fn joining_may_exceed_the_limit_of_frames() {
        let mut queue = Queue::new(LIMITS);
        for n in 0..10 {
            let pushed = queue.push_joined(frame(&format!("s.{n}."), "", Retain::Latest), 10, Mono(0));
            assert_eq!(pushed, Pushed::default());
        }
        assert_eq!((0..4).map(|n| queue.push(trade(n), Mono(0)).dropped).sum::<u64>(), 0);
        assert_eq!(queue.push(trade(4), Mono(0)).dropped, 1);
        drain(&mut queue);
        assert_eq!((0..5).map(|n| queue.push(trade(n), Mono(0)).dropped).sum::<u64>(), 1);
    }

    #[test]
    fn slowness_lasts_until_the_queue_is_half_empty() {
        let mut queue = Queue::new(LIMITS);
        let limit = Duration::from_nanos(100);
        for n in 0..5 {
            queue.push(trade(n), Mono(50));
        }
        assert!(!queue.is_overdue(Mono(149), limit));
        assert!(queue.is_overdue(Mono(150), limit));
        queue.take(&mut Vec::new(), 1, usize::MAX);
        assert!(queue.is_overdue(Mono(150), limit));
        queue.take(&mut Vec::new(), 1, usize::MAX);
        assert!(!queue.is_overdue(Mono(150), limit));
    }

    fn any_frame() -> impl Strategy<Value = Frame> {
        let retain = prop_oneof![Just(Retain::Stream), Just(Retain::Conflate), Just(Retain::Latest)];
        (0..3_u8, 0..40_usize, retain).prop_map(|(topic, length, retain)| {
            // A topic is always kept, or never.
            frame(&format!("{topic}{retain:?}."), &"x".repeat(length), retain)
        })
    }

    proptest! {
        /// The bounds always hold, every frame is accounted for, and after recovery the last frame of every kept topic
        /// was either delivered or is owed.
        #[test]
        fn nothing_is_lost_unseen(steps in proptest::collection::vec((any_frame(), 0..3_usize), 0..80)) {
            let mut queue = Queue::new(LIMITS);
            let (mut lost, mut out) = (0, Vec::new());
            let mut last: HashMap<Bytes, Bytes> = HashMap::new();
            let pushes = steps.len();
            for (number, (mut frame, taken)) in steps.into_iter().enumerate() {
                let mut payload = format!("{number:04}").into_bytes();
                payload.extend_from_slice(&frame.payload);
                frame.payload = payload.into();
                if frame.retain != Retain::Stream {
                    last.insert(frame.topic.clone(), frame.payload.clone());
                }
                let pushed = queue.push(frame, Mono(0));
                lost += pushed.dropped + u64::from(pushed.conflated);
                prop_assert!(queue.frames.len() <= LIMITS.frames && queue.bytes <= LIMITS.bytes);
                prop_assert_eq!(queue.bytes, queue.frames.iter().map(size_of).sum::<usize>());
                queue.take(&mut out, taken, usize::MAX);
                if let Some(owed) = queue.take_owed() {
                    for topic in owed {
                        let payload = last[&topic].clone();
                        prop_assert!(!out.iter().any(|f| f.topic == topic && f.payload == payload));
                        out.push(Frame { topic, payload, retain: Retain::Latest, seq: 0 });
                        lost -= 1;
                    }
                }
            }
            queue.take(&mut out, usize::MAX, usize::MAX);
            for topic in queue.take_owed().unwrap_or_default() {
                let payload = last[&topic].clone();
                out.push(Frame { topic, payload, retain: Retain::Latest, seq: 0 });
                lost -= 1;
            }
            prop_assert_eq!(out.len() as u64 + lost, pushes as u64);
            for (topic, payload) in last {
                prop_assert_eq!(out.iter().rev().find(|f| f.topic == topic).map(|f| f.payload.clone()), Some(payload));
            }
        }
    }
}
