//! What a subscriber's heartbeat says of its topics: the last `seq` of each, some at a time, round and round. Pure, but for
//! the hub whose lock is held for few of them at a time.

use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

use super::Frame;
use super::catalog::Catalog;
use super::hub::{Hub, slot};
use super::topics::{SubscriberId, Topics};
use crate::model::Mono;

/// Topics looked at in one turn of the lock: some tens of microseconds.
const STEP: usize = 128;
/// Topics and prefixes looked at for each topic wanted, before the rest is left to the next heartbeat.
const LOOKS_A_TOPIC: usize = 4;

/// How far one subscriber's round has come: the last topic looked at; empty at the start.
#[derive(Debug, Default)]
pub(super) struct LastSeqs {
    at: Bytes,
}

/// A subscriber to be sent a heartbeat.
#[derive(Debug)]
pub(super) struct Listener {
    id: SubscriberId,
    born: u64,
    /// Looks at topics and prefixes so far.
    looks: usize,
}

impl LastSeqs {
    /// Adds topics that the subscriber is subscribed to and their last `seq`, until there are `most` of them or `looks` at
    /// topics and prefixes are done; true when the round is complete, and the next call begins anew.
    fn go_on(
        &mut self,
        (id, topics, catalog): (SubscriberId, &Topics, &Catalog),
        looks: &mut usize,
        most: usize,
        out: &mut Vec<(Bytes, u64)>,
    ) -> bool {
        let mut found = catalog.from(Bound::Excluded(&self.at));
        while *looks > 0 && out.len() < most {
            *looks -= 1;
            let Some((topic, entry)) = found.next() else { return self.begin_anew() };
            self.at = topic.clone();
            if topics.is_subscribed(id, topic) {
                // Without a `seq`, it is none of the encoder's topics.
                if entry.seq > 0 {
                    out.push((topic.clone(), entry.seq));
                }
                continue;
            }
            // Whatever comes before the next prefix begins with none.
            let Some(prefix) = topics.next_prefix(id, topic) else { return self.begin_anew() };
            found = catalog.from(Bound::Included(prefix));
        }
        false
    }

    fn begin_anew(&mut self) -> bool {
        self.at = Bytes::new();
        true
    }
}

impl Hub {
    /// The subscribers of a topic.
    pub(super) fn listeners(&mut self, topic: &[u8]) -> Vec<Listener> {
        let readers = self.catalog.readers_unlisted(topic, &self.topics);
        let slots = readers.iter().filter_map(|id| Some((*id, self.slots.get(id.0 as usize)?.as_ref()?)));
        slots.map(|(id, slot)| Listener { id, born: slot.born, looks: 0 }).collect()
    }

    /// Adds some topics of this subscriber and their last `seq` to `out`; call again until true.
    pub(super) fn gather(&mut self, listener: &mut Listener, most: usize, out: &mut Vec<(Bytes, u64)>) -> bool {
        let id = listener.id;
        let Some(slot) = slot(&mut self.slots, id).filter(|slot| slot.born == listener.born) else { return true };
        let mut looks = STEP;
        let complete = slot.last_seqs.go_on((id, &self.topics, &self.catalog), &mut looks, most, out);
        listener.looks += STEP - looks;
        complete || listener.looks >= LOOKS_A_TOPIC * most || out.len() >= most
    }

    /// Queues a frame for one subscriber, if it is still there, and returns whom to wake for it.
    pub(super) fn send(&mut self, listener: &Listener, frame: Frame, now: Mono) -> Option<Arc<Notify>> {
        let there = slot(&mut self.slots, listener.id).is_some_and(|slot| slot.born == listener.born);
        if there { self.send_to(listener.id, Arc::new(frame), now) } else { None }
    }
}
