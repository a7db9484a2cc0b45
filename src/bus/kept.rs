//! The latest frame of each topic that joiners get at once. Pure.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;

use bytes::Bytes;

use super::Frame;

/// Topics that a joiner needs first, to understand the others.
const FIRST: [&[u8]; 2] = [b"status.", b"instrument."];

/// Kept frames by topic, bounded in topics.
#[derive(Debug)]
pub(super) struct Kept {
    frames: HashMap<Bytes, Frame>,
    order: BTreeSet<Bytes>,
    limit: usize,
}

impl Kept {
    /// Keeps the frames of at most `limit` topics.
    pub(super) fn new(limit: usize) -> Self {
        Self { frames: HashMap::new(), order: BTreeSet::new(), limit }
    }

    /// Keeps a frame in place of the topic's last; false if that would be a topic too many.
    pub(super) fn keep(&mut self, frame: &Frame) -> bool {
        if let Some(kept) = self.frames.get_mut(&frame.topic) {
            *kept = frame.clone();
            return true;
        }
        if self.frames.len() >= self.limit {
            return false;
        }
        self.order.insert(frame.topic.clone());
        self.frames.insert(frame.topic.clone(), frame.clone());
        true
    }

    /// Joiners no longer get this topic's frame.
    pub(super) fn forget(&mut self, topic: &Bytes) {
        if self.frames.remove(topic).is_some() {
            self.order.remove(topic);
        }
    }

    /// The topic's kept frame.
    pub(super) fn get(&self, topic: &Bytes) -> Option<&Frame> {
        self.frames.get(topic)
    }

    /// Kept frames whose topics begin with `prefix`, in topic order, but `status.` and `instrument.` before others.
    pub(super) fn matching(&self, prefix: &[u8]) -> Vec<&Frame> {
        let from = (Bound::Included(prefix), Bound::Unbounded);
        let topics = self.order.range::<[u8], _>(from).take_while(|topic| topic.starts_with(prefix));
        let (first, rest): (Vec<_>, Vec<_>) = topics
            .filter_map(|topic| self.frames.get(topic))
            .partition(|frame| FIRST.iter().any(|first| frame.topic.starts_with(first)));
        [first, rest].concat()
    }

    /// The topics, in order.
    pub(super) fn topics(&self) -> impl Iterator<Item = &Bytes> {
        self.order.iter()
    }

    /// Topics kept.
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Retain;

    fn frame(topic: &'static str, payload: &'static str) -> Frame {
        Frame {
            topic: Bytes::from_static(topic.as_bytes()),
            payload: Bytes::from_static(payload.as_bytes()),
            retain: Retain::Latest,
            seq: 0,
        }
    }

    fn topics(kept: &Kept, prefix: &str) -> Vec<String> {
        kept.matching(prefix.as_bytes()).iter().map(|f| String::from_utf8_lossy(&f.topic).into_owned()).collect()
    }

    #[test]
    fn status_and_instrument_come_first() {
        let mut kept = Kept::new(10);
        for topic in ["ticker.b.", "book.b.", "status.b.", "status.a.", "instrument.b.", "book.a."] {
            assert!(kept.keep(&frame(topic, "")));
        }
        assert_eq!(topics(&kept, ""), ["instrument.b.", "status.a.", "status.b.", "book.a.", "book.b.", "ticker.b."]);
        assert_eq!(topics(&kept, "book."), ["book.a.", "book.b."]);
        assert_eq!(topics(&kept, "book.b.x"), [""; 0]);
    }

    #[test]
    fn the_latest_is_kept_until_forgotten() {
        let mut kept = Kept::new(10);
        kept.keep(&frame("book.a.", "1"));
        kept.keep(&frame("book.a.", "2"));
        assert_eq!(kept.matching(b"book.")[0].payload, "2");
        kept.forget(&Bytes::from_static(b"book.a."));
        assert_eq!((topics(&kept, ""), kept.len(), kept.order.len()), (vec![], 0, 0));
    }

    #[test]
    fn topics_are_bounded() {
        let mut kept = Kept::new(1);
        assert!(kept.keep(&frame("a.", "1")));
        assert!(!kept.keep(&frame("b.", "1")));
        assert!(kept.keep(&frame("a.", "2")));
        assert_eq!(kept.len(), 1);
    }
}
