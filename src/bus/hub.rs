//! What publishing and all subscribers share, behind one lock: subscriptions, queues and kept frames. Under one lock a
//! joiner gets exactly the kept frames and then every later one. Holds no socket and reads no clock.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use bytes::Bytes;

use super::kept::Kept;
use super::queue::{Pushed, Queue, QueueLimits};
use super::topics::{SubscribeError, SubscriberId, Topics};
use super::{Frame, Outgoing, Retain};
use crate::model::Mono;

/// Bounds of the hub; [`super::PublisherOptions`] says what they mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct HubLimits {
    pub(super) queue: QueueLimits,
    pub(super) subscribers: usize,
    pub(super) subscriptions: usize,
    pub(super) kept_topics: usize,
    pub(super) slow: Duration,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HubCounters {
    pub(super) published: u64,
    pub(super) dropped: u64,
    pub(super) conflated: u64,
    pub(super) not_kept: u64,
}

/// What a subscriber's writer is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Send the frames taken.
    Frames,
    /// Wait to be woken.
    Nothing,
    /// Disconnect: its queue was full for too long.
    Slow,
}

#[derive(Debug)]
struct Slot {
    queue: Queue,
    wake: Arc<Notify>,
    /// The writer found nothing and waits.
    asleep: bool,
    slow: bool,
    /// The last published frame that was considered for this subscriber, as several of its prefixes may match one.
    seen: u64,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Hub {
    limits: HubLimits,
    slots: Vec<Option<Slot>>,
    /// Slots that may be used again.
    free: Vec<SubscriberId>,
    count: usize,
    topics: Topics,
    kept: Kept,
    counters: HubCounters,
    matched: Vec<SubscriberId>,
}

impl Hub {
    pub(super) fn new(limits: HubLimits) -> Self {
        Self {
            limits,
            slots: Vec::new(),
            free: Vec::new(),
            count: 0,
            topics: Topics::new(limits.subscriptions),
            kept: Kept::new(limits.kept_topics),
            counters: HubCounters::default(),
            matched: Vec::new(),
        }
    }

    /// Adds a subscriber without subscriptions, and what wakes its writer; `None` if there are too many.
    pub(super) fn join(&mut self) -> Option<(SubscriberId, Arc<Notify>)> {
        if self.count >= self.limits.subscribers {
            return None;
        }
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                let id = SubscriberId(u32::try_from(self.slots.len()).ok()?);
                self.slots.push(None);
                id
            }
        };
        let wake = Arc::new(Notify::new());
        let queue = Queue::new(self.limits.queue);
        self.slots[id.0 as usize] = Some(Slot { queue, wake: Arc::clone(&wake), asleep: false, slow: false, seen: 0 });
        self.count += 1;
        Some((id, wake))
    }

    /// Subscribes, and queues the kept frames that this subscriber did not get through another of its subscriptions;
    /// returns how many.
    pub(super) fn subscribe(&mut self, id: SubscriberId, prefix: &[u8], now: Mono) -> Result<usize, SubscribeError> {
        // With a shorter prefix, or the same, it has all that this one could bring.
        let mut fresh = if self.topics.is_subscribed(id, prefix) { vec![] } else { self.kept.matching(prefix) };
        fresh.retain(|frame| !self.topics.is_subscribed(id, &frame.topic));
        self.topics.subscribe(id, prefix)?;
        let Some(slot) = slot(&mut self.slots, id) else { return Ok(0) };
        for frame in &fresh {
            self.counters.count(slot.queue.push_joined((*frame).clone(), self.kept.len(), now));
        }
        Ok(fresh.len())
    }

    /// Takes one subscription back.
    pub(super) fn cancel(&mut self, id: SubscriberId, prefix: &[u8]) {
        self.topics.cancel(id, prefix);
    }

    /// Removes a subscriber, up to `step` subscriptions at a time; call again until true.
    pub(super) fn leave(&mut self, id: SubscriberId, step: usize) -> bool {
        if self.slots[id.0 as usize].take().is_some() {
            self.count -= 1;
        }
        let done = self.topics.remove_some(id, step);
        if done {
            self.free.push(id);
        }
        done
    }

    /// Queues the batch and returns whom to wake.
    pub(super) fn publish(&mut self, batch: &mut Vec<Outgoing>, now: Mono) -> Vec<Arc<Notify>> {
        let mut woken = Vec::new();
        for outgoing in batch.drain(..) {
            match outgoing {
                Outgoing::Forget(topic) => self.kept.forget(&topic),
                Outgoing::Frame(frame) => self.publish_frame(&frame, now, &mut woken),
            }
        }
        woken
    }

    fn publish_frame(&mut self, frame: &Frame, now: Mono, woken: &mut Vec<Arc<Notify>>) {
        self.counters.published += 1;
        if frame.retain != Retain::Stream && !self.kept.keep(frame) {
            self.counters.not_kept += 1;
        }
        if self.topics.is_empty() {
            return;
        }
        self.topics.matching(&frame.topic, |id| self.matched.push(id));
        for id in self.matched.drain(..) {
            let Some(slot) = slot(&mut self.slots, id) else { continue };
            if slot.slow || slot.seen == self.counters.published {
                continue;
            }
            slot.seen = self.counters.published;
            self.counters.count(slot.queue.push(frame.clone(), now));
            if slot.queue.is_overdue(now, self.limits.slow) {
                slot.slow = true;
                slot.queue = Queue::new(self.limits.queue);
                woken.push(Arc::clone(&slot.wake));
            } else if std::mem::take(&mut slot.asleep) {
                woken.push(Arc::clone(&slot.wake));
            }
        }
    }

    /// Moves up to `frames` queued frames, and until `bytes` are reached, to `out`.
    pub(super) fn take(
        &mut self,
        id: SubscriberId,
        out: &mut Vec<Frame>,
        frames: usize,
        bytes: usize,
        now: Mono,
    ) -> Taken {
        let Some(slot) = slot(&mut self.slots, id) else { return Taken::Nothing };
        if slot.slow {
            return Taken::Slow;
        }
        slot.queue.take(out, frames, bytes);
        for topic in slot.queue.take_owed().into_iter().flatten() {
            if let Some(frame) = self.kept.get(&topic).filter(|_| self.topics.is_subscribed(id, &topic)) {
                self.counters.count(slot.queue.push(frame.clone(), now));
            }
        }
        slot.asleep = out.is_empty() && slot.queue.is_empty();
        if slot.asleep { Taken::Nothing } else { Taken::Frames }
    }

    /// Whether this subscriber is to be disconnected for being slow.
    pub(super) fn is_slow(&self, id: SubscriberId) -> bool {
        self.slots[id.0 as usize].as_ref().is_some_and(|slot| slot.slow)
    }

    pub(super) fn counters(&self) -> HubCounters {
        self.counters
    }

    /// Subscribers connected.
    pub(super) fn subscribers(&self) -> usize {
        self.count
    }

    /// Whether anyone subscribed to anything.
    pub(super) fn anyone_subscribed(&self) -> bool {
        !self.topics.is_empty()
    }

    /// Frames queued for all subscribers together.
    pub(super) fn queued(&self) -> usize {
        self.slots.iter().flatten().map(|slot| slot.queue.len()).sum()
    }

    /// The topics kept for joiners, in order.
    pub(super) fn topics_kept(&self) -> Vec<Bytes> {
        self.kept.topics().cloned().collect()
    }

    /// Topics kept for joiners.
    pub(super) fn kept_topics(&self) -> usize {
        self.kept.len()
    }
}

impl HubCounters {
    fn count(&mut self, pushed: Pushed) {
        self.dropped += pushed.dropped;
        self.conflated += u64::from(pushed.conflated);
    }
}

fn slot(slots: &mut [Option<Slot>], id: SubscriberId) -> Option<&mut Slot> {
    slots.get_mut(id.0 as usize)?.as_mut()
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
