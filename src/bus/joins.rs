//! What a new subscription still owes its subscriber: the kept frames of the topics it matched, given in small steps, so
//! that joining a hundred thousand topics holds up nobody. Pure.

use std::collections::VecDeque;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::Frame;
use super::catalog::{Catalog, Entry};
use super::topics::{SubscriberId, Topics};

/// Topics that a joiner needs first, to understand the others.
const FIRST: [&[u8]; 2] = [b"status.", b"instrument."];
/// Joins that may wait besides those of subscriptions still held.
const SPARE: usize = 64;
/// Cancelled subscriptions that are remembered; of more, a frame may come twice.
const MOST_PAST: usize = 16;

/// The joins of one subscriber, in the order of its subscriptions.
#[derive(Debug, Default)]
pub(super) struct Joins {
    /// In the order of their times.
    waiting: VecDeque<Join>,
    /// What was cancelled while others waited, and had brought its frames.
    past: VecDeque<Past>,
}

/// A subscription that is held no more.
#[derive(Debug)]
struct Past {
    prefix: Box<[u8]>,
    since: u64,
    until: u64,
}

/// One subscription's way through the kept frames: first those of [`FIRST`], then the rest, each in topic order.
#[derive(Debug)]
struct Join {
    prefix: Box<[u8]>,
    /// When it was subscribed to, in the hub's count.
    since: u64,
    /// Frames queued before it was subscribed to, which may be of topics cancelled since, go first: up to this number.
    after: u64,
    /// Which of [`FIRST`] is being gone through; beyond them, the rest.
    pass: usize,
    /// The last topic looked at in this pass.
    at: Option<Bytes>,
}

/// What one look at a join brought.
pub(super) enum Step {
    /// A kept frame to be sent.
    Frame(Arc<Frame>),
    /// A topic that needs none.
    Nothing,
    /// Nothing is waiting, or not yet.
    Wait,
}

impl Joins {
    /// Whether nothing is waiting.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many are waiting.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Adds a subscription's join.
    pub(super) fn add(&mut self, id: SubscriberId, prefix: &[u8], since: u64, after: u64, topics: &Topics) {
        // A peer that subscribes and cancels for ever, and never reads, must not make this grow.
        if self.waiting.len() >= 2 * topics.held(id) + SPARE {
            self.waiting.retain(|join| topics.held_since(id, &join.prefix) == Some(join.since));
        }
        self.waiting.push_back(Join { prefix: prefix.into(), since, after, pass: 0, at: None });
    }

    /// Takes note that a subscription is cancelled: what it brought is not brought again by those that wait.
    pub(super) fn cancelled(&mut self, prefix: &[u8], since: u64, until: u64) {
        if self.waiting.front().is_none_or(|first| first.since <= since) {
            return;
        }
        if self.past.len() == MOST_PAST {
            self.past.pop_front();
        }
        self.past.push_back(Past { prefix: prefix.into(), since, until });
    }

    /// Looks at one more topic. `front` is the number of the frame in front of the subscriber's queue.
    pub(super) fn step(&mut self, id: SubscriberId, front: u64, catalog: &Catalog, topics: &Topics) -> Step {
        let Some(join) = self.waiting.front_mut().filter(|join| join.after <= front) else { return Step::Wait };
        if topics.held_since(id, &join.prefix) == Some(join.since)
            && let Some((topic, entry)) = join.next(catalog)
        {
            return match &entry.kept {
                // Changed since: then it was queued as a live frame, and this one would be a repetition. Subscribed to
                // before: then an earlier join brings it, or did.
                Some(kept)
                    if entry.changed <= join.since
                        && topics.subscribed_since(id, topic) == Some(join.since)
                        && !self.past.iter().any(|past| past.brought(topic, join.since)) =>
                {
                    Step::Frame(Arc::clone(kept))
                }
                _ => Step::Nothing,
            };
        }
        self.waiting.pop_front();
        if self.waiting.is_empty() {
            self.past.clear();
            return Step::Wait;
        }
        Step::Nothing
    }
}

impl Past {
    /// Whether it brought the topic's frame before another subscription was made at `since`.
    fn brought(&self, topic: &[u8], since: u64) -> bool {
        self.since < since && since < self.until && topic.starts_with(&self.prefix)
    }
}

impl Join {
    fn next<'a>(&mut self, catalog: &'a Catalog) -> Option<(&'a Bytes, &'a Entry)> {
        while self.pass <= FIRST.len() {
            if let Some(base) = self.base() {
                let start = self.at.as_deref().map_or(Bound::Included(base), Bound::Excluded);
                let found = catalog.from(start).next().filter(|(topic, _)| topic.starts_with(base));
                if let Some((topic, _)) = found {
                    let had = FIRST.iter().find(|first| self.pass == FIRST.len() && topic.starts_with(first));
                    let Some(had) = had else {
                        self.at = Some(topic.clone());
                        return found;
                    };
                    // Beyond all of them: topics are UTF-8, which has no such byte.
                    self.at = Some([had, &[0xff][..]].concat().into());
                    continue;
                }
            }
            self.pass += 1;
            self.at = None;
        }
        None
    }

    /// What the topics of this pass begin with; `None` if there can be none.
    fn base(&self) -> Option<&[u8]> {
        match FIRST.get(self.pass) {
            Some(first) if first.starts_with(&self.prefix) => Some(first),
            Some(first) if !self.prefix.starts_with(first) => None,
            _ => Some(&self.prefix),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Retain;

    const ID: SubscriberId = SubscriberId(0);

    /// The topics that a subscription to `prefix` brings, of those given.
    fn joined(prefix: &str, kept: &[&'static str]) -> Vec<String> {
        let (mut catalog, mut topics) = (Catalog::new(100), Topics::new(10));
        for topic in kept {
            let topic = Bytes::from_static(topic.as_bytes());
            catalog.record(&Arc::new(Frame { topic, payload: Bytes::new(), retain: Retain::Latest, seq: 1 }), 1);
        }
        topics.subscribe(ID, prefix.as_bytes(), 2).unwrap();
        let mut joins = Joins::default();
        joins.add(ID, prefix.as_bytes(), 2, 0, &topics);
        let mut out = Vec::new();
        loop {
            match joins.step(ID, 0, &catalog, &topics) {
                Step::Frame(frame) => out.push(String::from_utf8(frame.topic.to_vec()).unwrap()),
                Step::Nothing => {}
                Step::Wait => return out,
            }
        }
    }

    #[test]
    fn status_and_instrument_come_first() {
        let kept =
            ["ticker.b.", "book.b.", "status.b.", "status.a.", "instrument.b.", "book.a.", "statusx.", "status", "zz."];
        let first = ["status.a.", "status.b.", "instrument.b."];
        let rest = ["book.a.", "book.b.", "status", "statusx.", "ticker.b.", "zz."];
        assert_eq!(joined("", &kept), [&first[..], &rest].concat());
        assert_eq!(joined("s", &kept), ["status.a.", "status.b.", "status", "statusx."]);
        assert_eq!(joined("status.", &kept), ["status.a.", "status.b."]);
        assert_eq!(joined("status.b", &kept), ["status.b."]);
        assert_eq!(joined("book.", &kept), ["book.a.", "book.b."]);
        assert_eq!(joined("book.b.x", &kept), [""; 0]);
        assert_eq!(joined("", &[]), [""; 0]);
    }
}
