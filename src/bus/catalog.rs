//! Every topic of this run: its last `seq`, who gets it, and the frame that joiners get at once. Pure.

use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::topics::{SubscriberId, Topics};
use super::{Frame, Retain};

/// Subscribers remembered for all topics together (4 MiB); beyond that they are looked up for each frame.
const MOST_REMEMBERED: usize = 1 << 20;

/// Topics by name and in order, bounded in number. Topics are never taken out: their sequences go on.
#[derive(Debug)]
pub(super) struct Catalog {
    numbers: HashMap<Bytes, u32>,
    order: BTreeMap<Bytes, u32>,
    entries: Vec<Entry>,
    limit: usize,
    kept: usize,
    remembered: usize,
    found: Vec<SubscriberId>,
}

/// A topic.
#[derive(Debug)]
pub(super) struct Entry {
    /// The `seq` of its last frame.
    pub(super) seq: u64,
    /// When that was, in the hub's count.
    pub(super) changed: u64,
    /// What joiners get.
    pub(super) kept: Option<Arc<Frame>>,
    /// Who is subscribed, each once, as of a version of the subscriptions.
    readers: Vec<SubscriberId>,
    version: u64,
}

/// A topic's place in the catalog.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct TopicNumber(u32);

impl Catalog {
    /// Takes at most `limit` topics.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            numbers: HashMap::new(),
            order: BTreeMap::new(),
            entries: Vec::new(),
            limit: limit.min(u32::MAX as usize),
            kept: 0,
            remembered: 0,
            found: Vec::new(),
        }
    }

    /// Takes note of a frame, which replaces the topic's kept one if it is of the kept kind; `None` if its topic would be
    /// one too many.
    pub(super) fn record(&mut self, frame: &Arc<Frame>, now: u64) -> Option<TopicNumber> {
        let number = match self.numbers.get(&frame.topic) {
            Some(number) => *number,
            None => self.add(&frame.topic)?,
        };
        let entry = &mut self.entries[number as usize];
        // Feeds of one market share a status topic, and their tasks may publish out of order.
        entry.seq = entry.seq.max(frame.seq);
        entry.changed = now;
        if frame.retain != Retain::Stream {
            self.kept += usize::from(entry.kept.is_none());
            entry.kept = Some(Arc::clone(frame));
        }
        Some(TopicNumber(number))
    }

    fn add(&mut self, topic: &Bytes) -> Option<u32> {
        if self.entries.len() >= self.limit {
            return None;
        }
        let number = u32::try_from(self.entries.len()).ok()?;
        self.numbers.insert(topic.clone(), number);
        self.order.insert(topic.clone(), number);
        self.entries.push(Entry { seq: 0, changed: 0, kept: None, readers: Vec::new(), version: 0 });
        Some(number)
    }

    /// Who is subscribed to the topic, each once. Found once and remembered until a subscription changes, so that a frame
    /// costs the same however many subscriptions there are.
    pub(super) fn readers(&mut self, number: TopicNumber, topic: &[u8], topics: &Topics) -> &[SubscriberId] {
        let entry = &mut self.entries[number.0 as usize];
        if entry.version == topics.version() {
            return &entry.readers;
        }
        find_readers(topic, topics, &mut self.found);
        self.remembered = self.remembered - entry.readers.len() + self.found.len();
        if self.remembered > MOST_REMEMBERED {
            self.remembered -= self.found.len();
            (entry.readers, entry.version) = (Vec::new(), 0);
            return &self.found;
        }
        entry.version = topics.version();
        entry.readers.clear();
        entry.readers.extend_from_slice(&self.found);
        // What only a past crowd needed is given back.
        entry.readers.shrink_to(2 * self.found.len());
        &entry.readers
    }

    /// Who is subscribed to a topic that is not in the catalog.
    pub(super) fn readers_unlisted(&mut self, topic: &[u8], topics: &Topics) -> &[SubscriberId] {
        find_readers(topic, topics, &mut self.found);
        &self.found
    }

    /// Joiners no longer get this topic's frame.
    pub(super) fn forget(&mut self, topic: &Bytes) {
        let Some(number) = self.numbers.get(topic) else { return };
        self.kept -= usize::from(self.entries[*number as usize].kept.take().is_some());
    }

    /// The `seq` of the topic's last frame; 0 if there was none.
    pub(super) fn last_seq(&self, topic: &Bytes) -> u64 {
        self.numbers.get(topic).map_or(0, |number| self.entries[*number as usize].seq)
    }

    /// The topic's kept frame.
    pub(super) fn kept(&self, topic: &Bytes) -> Option<&Arc<Frame>> {
        self.entries[*self.numbers.get(topic)? as usize].kept.as_ref()
    }

    /// The topics from `start` on, in the order of bytes.
    pub(super) fn from<'a>(&'a self, start: Bound<&[u8]>) -> impl Iterator<Item = (&'a Bytes, &'a Entry)> + use<'a> {
        let range = self.order.range::<[u8], _>((start, Bound::Unbounded));
        range.map(|(topic, number)| (topic, &self.entries[*number as usize]))
    }

    /// The topics that have a kept frame, in order.
    pub(super) fn topics_kept(&self) -> impl Iterator<Item = &Bytes> {
        self.from(Bound::Unbounded).filter(|(_, entry)| entry.kept.is_some()).map(|(topic, _)| topic)
    }

    /// How many topics have a kept frame.
    pub(super) fn kept_count(&self) -> usize {
        self.kept
    }
}

/// Who is subscribed to a topic, each once.
fn find_readers(topic: &[u8], topics: &Topics, readers: &mut Vec<SubscriberId>) {
    readers.clear();
    topics.matching(topic, |id| readers.push(id));
    readers.sort_unstable();
    readers.dedup();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(topic: &'static str, seq: u64, retain: Retain) -> Arc<Frame> {
        Arc::new(Frame { topic: Bytes::from_static(topic.as_bytes()), payload: Bytes::new(), retain, seq })
    }

    #[test]
    fn the_latest_is_kept_until_forgotten_and_the_sequence_goes_on() {
        let mut catalog = Catalog::new(10);
        let topic = Bytes::from_static(b"book.a.");
        catalog.record(&frame("book.a.", 1, Retain::Conflate), 1);
        catalog.record(&frame("book.a.", 2, Retain::Conflate), 2);
        catalog.record(&frame("trade.a.", 1, Retain::Stream), 3);
        assert_eq!((catalog.kept(&topic).map(|kept| kept.seq), catalog.kept_count()), (Some(2), 1));
        catalog.forget(&topic);
        catalog.forget(&topic);
        assert_eq!((catalog.kept(&topic), catalog.kept_count(), catalog.topics_kept().count()), (None, 0, 0));
        let seqs: Vec<_> = catalog.from(Bound::Unbounded).map(|(_, entry)| entry.seq).collect();
        assert_eq!(seqs, [2, 1]);
        // Tasks may publish out of order.
        catalog.record(&frame("trade.a.", 5, Retain::Stream), 4);
        catalog.record(&frame("trade.a.", 4, Retain::Stream), 5);
        assert_eq!(catalog.from(Bound::Excluded(b"book.a.")).next().map(|(_, entry)| entry.seq), Some(5));
    }

    #[test]
    fn topics_are_bounded() {
        let mut catalog = Catalog::new(1);
        assert!(catalog.record(&frame("a.", 1, Retain::Latest), 1).is_some());
        assert!(catalog.record(&frame("b.", 1, Retain::Latest), 2).is_none());
        assert!(catalog.record(&frame("a.", 2, Retain::Latest), 3).is_some());
        assert_eq!(catalog.kept_count(), 1);
    }

    #[test]
    fn readers_are_remembered_until_a_subscription_changes() {
        let (mut catalog, mut topics) = (Catalog::new(10), Topics::new(10));
        let number = catalog.record(&frame("trade.a.", 1, Retain::Stream), 1).unwrap();
        let ids = |catalog: &mut Catalog, topics: &Topics| catalog.readers(number, b"trade.a.", topics).to_vec();
        assert_eq!(ids(&mut catalog, &topics), []);
        for prefix in [&b""[..], b"trade.", b"book."] {
            topics.subscribe(SubscriberId(7), prefix, 1).unwrap();
        }
        topics.subscribe(SubscriberId(3), b"trade.a.", 2).unwrap();
        assert_eq!(ids(&mut catalog, &topics), [SubscriberId(3), SubscriberId(7)]);
        assert_eq!(catalog.remembered, 2);
        topics.cancel(SubscriberId(3), b"trade.a.");
        assert_eq!(ids(&mut catalog, &topics), [SubscriberId(7)]);
        assert_eq!(catalog.readers_unlisted(b"trade.b.", &topics), [SubscriberId(7)]);
        // Beyond the bound they are found each time.
        catalog.remembered = MOST_REMEMBERED;
        topics.subscribe(SubscriberId(1), b"trade.", 3).unwrap();
        assert_eq!(ids(&mut catalog, &topics), [SubscriberId(1), SubscriberId(7)]);
        assert_eq!((catalog.remembered, catalog.entries[0].readers.capacity()), (MOST_REMEMBERED - 1, 0));
        assert_eq!(ids(&mut catalog, &topics), [SubscriberId(1), SubscriberId(7)]);
    }
}
