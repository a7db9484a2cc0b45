//! Which subscribers want a topic: a radix tree of their prefixes, so that a publish costs the topic's length and not
//! the number of subscriptions. Pure.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

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
}

/// All subscriptions of all subscribers. Subscribing twice to a prefix needs cancelling twice.
#[derive(Debug)]
pub struct Topics {
    root: Node,
    held: HashMap<SubscriberId, HashMap<Box<[u8]>, u32>>,
    limit: usize,
}

/// A node stands for the labels from the root to it. Its subscribers are those whose prefix ends exactly here.
#[derive(Debug, Default)]
struct Node {
    label: Box<[u8]>,
    subscribers: Vec<SubscriberId>,
    /// Sorted by the first byte of their labels, which differ.
    children: Vec<Node>,
}

impl Topics {
    /// No subscriptions yet; each subscriber may have `limit` different prefixes.
    pub fn new(limit: usize) -> Self {
        Self { root: Node::default(), held: HashMap::new(), limit }
    }

    /// Adds a subscription; true if the subscriber did not hold this very prefix before.
    ///
    /// # Errors
    /// The prefix is too long or the subscriber holds too many.
    pub fn subscribe(&mut self, id: SubscriberId, prefix: &[u8]) -> Result<bool, SubscribeError> {
        if prefix.len() > MAX_PREFIX {
            return Err(SubscribeError::TooLong(prefix.len()));
        }
        let held = self.held.entry(id).or_default();
        if let Some(count) = held.get_mut(prefix) {
            *count = count.saturating_add(1);
            return Ok(false);
        }
        if held.len() >= self.limit {
            return Err(SubscribeError::TooMany(self.limit));
        }
        held.insert(prefix.into(), 1);
        self.root.insert(id, prefix);
        Ok(true)
    }

    /// Takes one subscription back; true if it was the last to this prefix. Unknown ones are ignored.
    pub fn cancel(&mut self, id: SubscriberId, prefix: &[u8]) -> bool {
        let Entry::Occupied(mut held) = self.held.entry(id) else { return false };
        let Some(count) = held.get_mut().get_mut(prefix) else { return false };
        *count -= 1;
        if *count > 0 {
            return false;
        }
        held.get_mut().remove(prefix);
        if held.get().is_empty() {
            held.remove();
        }
        self.root.remove(id, prefix);
        true
    }

    /// Drops up to `count` prefixes of a subscriber that left; true when none is left. In steps, because the caller
    /// holds a lock that publishing needs.
    pub fn remove_some(&mut self, id: SubscriberId, count: usize) -> bool {
        let Entry::Occupied(mut held) = self.held.entry(id) else { return true };
        let prefixes: Vec<Box<[u8]>> = held.get().keys().take(count).cloned().collect();
        for prefix in &prefixes {
            held.get_mut().remove(prefix);
            self.root.remove(id, prefix);
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
            node.subscribers.iter().for_each(|&id| found(id));
        }
    }

    /// Whether any prefix of this subscriber matches the topic.
    pub fn is_subscribed(&self, id: SubscriberId, topic: &[u8]) -> bool {
        self.held.contains_key(&id) && self.root.path(topic).any(|node| node.subscribers.binary_search(&id).is_ok())
    }

    /// Whether nobody is subscribed to anything.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }
}

impl Node {
    fn leaf(label: &[u8], id: SubscriberId) -> Self {
        Self { label: label.into(), subscribers: vec![id], children: Vec::new() }
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

    fn insert(&mut self, id: SubscriberId, prefix: &[u8]) {
        let Some(&first) = prefix.first() else {
            if let Err(at) = self.subscribers.binary_search(&id) {
                self.subscribers.insert(at, id);
            }
            return;
        };
        match self.child(first) {
            Err(at) => self.children.insert(at, Self::leaf(prefix, id)),
            Ok(at) => {
                let child = &mut self.children[at];
                let shared = child.label.iter().zip(prefix).take_while(|(a, b)| a == b).count();
                child.split(shared);
                child.insert(id, &prefix[shared..]);
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
            if let Ok(at) = self.subscribers.binary_search(&id) {
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
        topics.subscribe(A, b"trade.bybit.linear.BTCUSD.").unwrap();
        topics.subscribe(B, b"trade.").unwrap();
        assert_eq!(who(&topics, b"trade.bybit.linear.BTCUSD."), [A, B]);
        assert_eq!(who(&topics, b"trade.bybit.linear.BTCUSDT."), [B]);
        assert_eq!(who(&topics, b"trade"), []);
    }

    #[test]
    fn subscribing_twice_needs_cancelling_twice() {
        let mut topics = Topics::new(10);
        assert_eq!(topics.subscribe(A, b"t."), Ok(true));
        assert_eq!(topics.subscribe(A, b"t."), Ok(false));
        assert!(!topics.cancel(A, b"t."));
        assert_eq!(who(&topics, b"t.x."), [A]);
        assert!(topics.cancel(A, b"t."));
        assert!(!topics.cancel(A, b"t."));
        assert!(topics.is_empty() && topics.root.children.is_empty());
    }

    #[test]
    fn limits_hold() {
        let mut topics = Topics::new(2);
        topics.subscribe(A, b"a").unwrap();
        topics.subscribe(A, b"b").unwrap();
        assert_eq!(topics.subscribe(A, b"c"), Err(SubscribeError::TooMany(2)));
        assert_eq!(topics.subscribe(A, b"a"), Ok(false));
        assert_eq!(topics.subscribe(B, &[7; 256]), Err(SubscribeError::TooLong(256)));
    }

    #[test]
    fn a_subscriber_is_removed_in_steps() {
        let mut topics = Topics::new(100);
        for n in 0..50_u8 {
            topics.subscribe(A, &[n, n]).unwrap();
        }
        topics.subscribe(B, b"").unwrap();
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
            let mut model: Vec<(u32, Vec<u8>)> = Vec::new();
            for step in steps {
                match step {
                    Step::Subscribe(id, prefix) => {
                        topics.subscribe(SubscriberId(id), &prefix).unwrap();
                        model.push((id, prefix));
                    }
                    Step::Cancel(id, prefix) => {
                        topics.cancel(SubscriberId(id), &prefix);
                        if let Some(at) = model.iter().position(|held| *held == (id, prefix.clone())) {
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
                }
                prop_assert!(is_minimal(&topics.root));
                prop_assert_eq!(topics.is_empty(), model.is_empty());
            }
        }
    }
}
