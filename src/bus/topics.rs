//! Which subscribers want a topic: a radix tree of their prefixes, so that a publish costs the topic's length and not
//! the number of subscriptions. Pure.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::ops::Bound;

/// A subscriber's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriberId(pub u32);

/// The longest prefix accepted, in bytes: longer than any topic. It bounds the depth of the tree and so its recursion.
pub const MAX_PREFIX: usize = 255;

/// Why a subscription was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubscribeError {
    /// Longer than [`MAX_PREFIX`].
    #[error("a subscription of {0} bytes; at most {MAX_PREFIX} are allowed")]
    TooLong(usize),
    /// This subscriber has as many as it may have.
    #[error("more than {0} subscriptions")]
    TooMany(usize),
    /// Subscribers have run out of numbers.
    #[error("no place for another subscriber")]
    NoPlace,
}

/// All subscriptions of all subscribers. Subscribing twice to a prefix needs cancelling twice.
#[derive(Debug)]
pub struct Topics {
    root: Node,
    held: HashMap<SubscriberId, BTreeMap<Box<[u8]>, Held>>,
    limit: usize,
    version: u64,
}

/// A subscriber's hold on one prefix.
#[derive(Debug)]
struct Held {
    /// How often it subscribed to it.
    count: u32,
    since: u64,
}

/// A node stands for the labels from the root to it. Its subscribers are those whose prefix ends exactly here.
#[derive(Debug, Default)]
struct Node {
    label: Box<[u8]>,
    /// Sorted, each with the time since when.
    subscribers: Vec<(SubscriberId, u64)>,
    /// Sorted by the first byte of their labels, which differ.
    children: Vec<Node>,
}

impl Topics {
    /// No subscriptions yet; each subscriber may have `limit` different prefixes.
    pub fn new(limit: usize) -> Self {
        Self { root: Node::default(), held: HashMap::new(), limit, version: 1 }
    }

    /// Adds a subscription; true if the subscriber did not hold this very prefix before. `since` is the caller's count of
    /// what happened; it tells a subscriber's subscriptions apart.
    ///
    /// # Errors
    /// The prefix is too long or the subscriber holds too many.
    pub fn subscribe(&mut self, id: SubscriberId, prefix: &[u8], since: u64) -> Result<bool, SubscribeError> {
        if prefix.len() > MAX_PREFIX {
            return Err(SubscribeError::TooLong(prefix.len()));
        }
        let held = self.held.entry(id).or_default();
        if let Some(held) = held.get_mut(prefix) {
            held.count = held.count.saturating_add(1);
            return Ok(false);
        }
        if held.len() >= self.limit {
            return Err(SubscribeError::TooMany(self.limit));
        }
        held.insert(prefix.into(), Held { count: 1, since });
        self.version += 1;
        self.root.insert((id, since), prefix);
        Ok(true)
    }

    /// Takes one subscription back; true if it was the last to this prefix. Unknown ones are ignored.
    pub fn cancel(&mut self, id: SubscriberId, prefix: &[u8]) -> bool {
        let Entry::Occupied(mut held) = self.held.entry(id) else { return false };
        let Some(place) = held.get_mut().get_mut(prefix) else { return false };
        place.count -= 1;
        if place.count > 0 {
            return false;
        }
        held.get_mut().remove(prefix);
        if held.get().is_empty() {
            held.remove();
        }
        self.version += 1;
        self.root.remove(id, prefix);
        true
    }

    /// Drops up to `count` prefixes of a subscriber that left; true when none is left. In steps, because the caller
    /// holds a lock that publishing needs.
    pub fn remove_some(&mut self, id: SubscriberId, count: usize) -> bool {
        let Entry::Occupied(mut held) = self.held.entry(id) else { return true };
        self.version += 1;
        for _ in 0..count {
            let Some((prefix, _)) = held.get_mut().pop_first() else { break };
            self.root.remove(id, &prefix);
        }
        if !held.get().is_empty() {
            return false;
        }
        held.remove();
        true
    }

    /// Calls `found` for each prefix that the topic begins with: once or more for a subscriber that holds several.
    pub fn matching(&self, topic: &[u8], mut found: impl FnMut(SubscriberId)) {
        for node in self.root.path(topic) {
            node.subscribers.iter().for_each(|&(id, _)| found(id));
        }
    }

    /// Whether any prefix of this subscriber matches the topic.
    pub fn is_subscribed(&self, id: SubscriberId, topic: &[u8]) -> bool {
        self.root.path(topic).any(|node| node.place(id).is_ok())
    }

    /// Since when this subscriber has been getting the topic: the earliest of its subscriptions that match.
    pub fn subscribed_since(&self, id: SubscriberId, topic: &[u8]) -> Option<u64> {
        let since = |node: &Node| node.place(id).ok().map(|at| node.subscribers[at].1);
        self.root.path(topic).filter_map(since).min()
    }

    /// Since when this subscriber has held this very prefix.
    pub fn held_since(&self, id: SubscriberId, prefix: &[u8]) -> Option<u64> {
        self.held.get(&id)?.get(prefix).map(|held| held.since)
    }

    /// The subscriber's first prefix after `after`, in the order of bytes.
    pub fn next_prefix(&self, id: SubscriberId, after: &[u8]) -> Option<&[u8]> {
        let after = (Bound::Excluded(after), Bound::Unbounded);
        self.held.get(&id)?.range::<[u8], _>(after).next().map(|(prefix, _)| &**prefix)
    }

    /// How many different prefixes the subscriber holds.
    pub fn held(&self, id: SubscriberId) -> usize {
        self.held.get(&id).map_or(0, BTreeMap::len)
    }

    /// Changes whenever what [`Self::matching`] finds may have changed; never 0.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// Whether nobody is subscribed to anything.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

impl Node {
    fn leaf(label: &[u8], who: (SubscriberId, u64)) -> Self {
        Self { label: label.into(), subscribers: vec![who], children: Vec::new() }
    }

    fn place(&self, id: SubscriberId) -> Result<usize, usize> {
        self.subscribers.binary_search_by_key(&id, |(id, _)| *id)
    }

    fn child(&self, first: u8) -> Result<usize, usize> {
        self.children.binary_search_by_key(&first, |child| child.label.first().copied().unwrap_or_default())
    }

    /// The nodes whose labels the topic begins with, from this one (the root) on.
    fn path<'a>(&'a self, mut topic: &'a [u8]) -> impl Iterator<Item = &'a Self> {
        std::iter::successors(Some(self), move |node| {
            let child = &node.children[node.child(*topic.first()?).ok()?];
            topic = topic.strip_prefix(&*child.label)?;
            Some(child)
        })
    }

    fn insert(&mut self, who: (SubscriberId, u64), prefix: &[u8]) {
        let Some(&first) = prefix.first() else {
            if let Err(at) = self.place(who.0) {
                self.subscribers.insert(at, who);
            }
            return;
        };
        match self.child(first) {
            Err(at) => self.children.insert(at, Self::leaf(prefix, who)),
            Ok(at) => {
                let child = &mut self.children[at];
                let shared = child.label.iter().zip(prefix).take_while(|(a, b)| a == b).count();
                child.split(shared);
                child.insert(who, &prefix[shared..]);
            }
        }
    }

    /// Makes this node's label `length` long; what it was before becomes its only child.
    fn split(&mut self, length: usize) {
        if length >= self.label.len() {
            return;
        }
        let lower = Self {
            label: self.label[length..].into(),
            subscribers: std::mem::take(&mut self.subscribers),
            children: std::mem::take(&mut self.children),
        };
        self.label = self.label[..length].into();
        self.children.push(lower);
    }

    fn remove(&mut self, id: SubscriberId, prefix: &[u8]) {
        let Some(&first) = prefix.first() else {
            if let Ok(at) = self.place(id) {
                self.subscribers.remove(at);
            }
            return;
        };
        let Ok(at) = self.child(first) else { return };
        let child = &mut self.children[at];
        let Some(rest) = prefix.strip_prefix(&*child.label) else { return };
        child.remove(id, rest);
        if child.subscribers.is_empty() && child.children.is_empty() {
            self.children.remove(at);
        } else {
            child.join();
        }
    }

    /// Undoes [`Self::split`] when nobody's prefix ends here any more.
    fn join(&mut self) {
        if !self.subscribers.is_empty() || self.children.len() != 1 {
            return;
        }
        if let Some(lower) = self.children.pop() {
            self.label = [&*self.label, &*lower.label].concat().into();
            self.subscribers = lower.subscribers;
            self.children = lower.children;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const A: SubscriberId = SubscriberId(1);
    const B: SubscriberId = SubscriberId(2);

    fn who(topics: &Topics, topic: &[u8]) -> Vec<SubscriberId> {
        let mut found = Vec::new();
        topics.matching(topic, |id| found.push(id));
        found.sort();
        found.dedup();
        found
    }

    #[test]
    fn a_prefix_with_its_dot_does_not_match_a_longer_symbol() {
        let mut topics = Topics::new(10);
        topics.subscribe(A, b"trade.bybit.linear.BTCUSD.", 1).unwrap();
        topics.subscribe(B, b"trade.", 2).unwrap();
        assert_eq!(who(&topics, b"trade.bybit.linear.BTCUSD."), [A, B]);
        assert_eq!(who(&topics, b"trade.bybit.linear.BTCUSDT."), [B]);
        assert_eq!(who(&topics, b"trade"), []);
    }

    #[test]
    fn subscribing_twice_needs_cancelling_twice() {
        let mut topics = Topics::new(10);
        assert_eq!(topics.subscribe(A, b"t.", 1), Ok(true));
        assert_eq!(topics.subscribe(A, b"t.", 2), Ok(false));
        assert!(!topics.cancel(A, b"t."));
        assert_eq!(who(&topics, b"t.x."), [A]);
        assert!(topics.cancel(A, b"t."));
        assert!(!topics.cancel(A, b"t."));
        assert!(topics.is_empty() && topics.root.children.is_empty());
    }

    #[test]
    fn limits_hold() {
        let mut topics = Topics::new(2);
        topics.subscribe(A, b"a", 1).unwrap();
        topics.subscribe(A, b"b", 2).unwrap();
        assert_eq!(topics.subscribe(A, b"c", 3), Err(SubscribeError::TooMany(2)));
        assert_eq!(topics.subscribe(A, b"a", 4), Ok(false));
        assert_eq!(topics.subscribe(B, &[7; 256], 5), Err(SubscribeError::TooLong(256)));
    }

    #[test]
    fn a_subscriber_is_removed_in_steps() {
        let mut topics = Topics::new(100);
        for n in 0..50_u8 {
            topics.subscribe(A, &[n, n], n.into()).unwrap();
        }
        topics.subscribe(B, b"", 50).unwrap();
        assert!(!topics.remove_some(A, 30));
        assert!(topics.remove_some(A, 30));
        assert!(topics.root.children.is_empty());
        assert_eq!(who(&topics, &[1, 1]), [B]);
    }

    /// Every node but the root must be there for a reason: a subscriber, or a fork.
    fn is_minimal(node: &Node) -> bool {
        node.children.iter().all(|child| {
            !child.label.is_empty() && (!child.subscribers.is_empty() || child.children.len() > 1) && is_minimal(child)
        })
    }

    #[derive(Clone, Debug)]
    enum Step {
        Subscribe(u32, Vec<u8>),
        Cancel(u32, Vec<u8>),
        Leave(u32),
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let text = || proptest::collection::vec(0..3_u8, 0..6);
        let step = prop_oneof![
            5 => (0..4_u32, text()).prop_map(|(id, prefix)| Step::Subscribe(id, prefix)),
            4 => (0..4_u32, text()).prop_map(|(id, prefix)| Step::Cancel(id, prefix)),
            1 => (0..4_u32).prop_map(Step::Leave),
        ];
        proptest::collection::vec(step, 0..60)
    }

    proptest! {
        #[test]
        fn equals_a_plain_list(steps in steps(), topic in proptest::collection::vec(0..3_u8, 0..8)) {
            let mut topics = Topics::new(1000);
            let mut model: Vec<(u32, Vec<u8>, u64)> = Vec::new();
            for (now, step) in (1..).zip(steps) {
                let version = topics.version();
                let before = who(&topics, &topic);
                match step {
                    Step::Subscribe(id, prefix) => {
                        topics.subscribe(SubscriberId(id), &prefix, now).unwrap();
                        let held = model.iter().find(|held| (held.0, &held.1) == (id, &prefix));
                        let since = held.map_or(now, |held| held.2);
                        model.push((id, prefix, since));
                    }
                    Step::Cancel(id, prefix) => {
                        topics.cancel(SubscriberId(id), &prefix);
                        if let Some(at) = model.iter().position(|held| (held.0, &held.1) == (id, &prefix)) {
                            model.remove(at);
                        }
                    }
                    Step::Leave(id) => {
                        while !topics.remove_some(SubscriberId(id), 2) {}
                        model.retain(|held| held.0 != id);
                    }
                }
                let mut expected: Vec<_> =
                    model.iter().filter(|held| topic.starts_with(&held.1)).map(|held| SubscriberId(held.0)).collect();
                expected.sort();
                expected.dedup();
                prop_assert_eq!(who(&topics, &topic), &*expected);
                for id in (0..4).map(SubscriberId) {
                    prop_assert_eq!(topics.is_subscribed(id, &topic), expected.contains(&id));
                    let of = || model.iter().filter(|held| SubscriberId(held.0) == id);
                    let matching = of().filter(|held| topic.starts_with(&held.1));
                    prop_assert_eq!(topics.subscribed_since(id, &topic), matching.map(|held| held.2).min());
                    let exactly = of().find(|held| held.1 == topic);
                    prop_assert_eq!(topics.held_since(id, &topic), exactly.map(|held| held.2));
                    let after = of().map(|held| &held.1[..]).filter(|prefix| *prefix > &topic[..]).min();
                    prop_assert_eq!(topics.next_prefix(id, &topic), after);
                    let prefixes: std::collections::BTreeSet<_> = of().map(|held| &held.1).collect();
                    prop_assert_eq!(topics.held(id), prefixes.len());
                }
                prop_assert!(version != topics.version() || before == expected);
                prop_assert!(is_minimal(&topics.root));
                prop_assert_eq!(topics.is_empty(), model.is_empty());
            }
        }
    }
}
