//! What publishing and all subscribers share, behind one lock: subscriptions, queues and the catalog of topics. Under one
//! lock a joiner gets exactly the kept frames and then every later one. Holds no socket and reads no clock.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;

use super::catalog::Catalog;
use super::joins::{Joins, Step};
use super::last_seqs::LastSeqs;
use super::losses::LossTable;
use super::queue::{Policy, Pushed, Queue, QueueLimits, Slow, SlowLimits};
use super::topics::{SubscribeError, SubscriberId, Topics};
use super::{Frame, Outgoing};
use crate::model::{Mono, UnixNanos};

/// The topic that tells a subscriber what it lost.
const NOTICE: &[u8] = b"notice.loss.";
/// Topics looked at for a joiner in one turn of the lock: some tens of microseconds.
const JOIN_STEP: usize = 128;

/// Bounds of the hub; [`super::PublisherOptions`] says what they mean.
#[derive(Clone, Copy, Debug)]
pub(super) struct HubLimits {
    pub(super) queue: QueueLimits,
    pub(super) subscribers: usize,
    pub(super) subscriptions: usize,
    pub(super) topics: usize,
    pub(super) slow: SlowLimits,
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct HubCounters {
    pub(super) published: u64,
    pub(super) dropped: u64,
    pub(super) conflated: u64,
    pub(super) not_kept: u64,
}

/// Who a subscriber is.
#[derive(Clone, Debug, Default)]
pub(super) struct Guest {
    /// Its address.
    pub(super) peer: String,
    /// When it came.
    pub(super) since: UnixNanos,
    pub(super) policy: Policy,
    /// A queue of its own bounds: it is of this process, takes no subscriber's place and is never disconnected.
    pub(super) local: Option<QueueLimits>,
}

/// What a subscriber's writer is to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Send the frames taken.
    Frames,
    /// Nothing was found yet: take again.
    Again,
    /// Wait to be woken.
    Nothing,
    /// Disconnect.
    Slow(Slow),
}

/// A subscriber's place. What it holds is worth dropping outside the lock.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) guest: Guest,
    pub(super) queue: Queue,
    pub(super) last_seqs: LastSeqs,
    /// Tells it from others that had the same number.
    pub(super) born: u64,
    joins: Joins,
    wake: Arc<Notify>,
    limits: SlowLimits,
    /// The writer found nothing and waits.
    asleep: bool,
    slow: Option<Slow>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Hub {
    limits: HubLimits,
    pub(super) slots: Vec<Option<Slot>>,
    /// Slots that may be used again.
    free: Vec<SubscriberId>,
    count: usize,
    /// How many of them are of this process.
    locals: usize,
    pub(super) topics: Topics,
    pub(super) catalog: Catalog,
    counters: HubCounters,
    /// Counts frames, subscriptions and subscribers together: which of two came first.
    time: u64,
}

impl Hub {
    pub(super) fn new(limits: HubLimits) -> Self {
        Self {
            limits,
            slots: Vec::new(),
            free: Vec::new(),
            count: 0,
            locals: 0,
            topics: Topics::new(limits.subscriptions),
            catalog: Catalog::new(limits.topics),
            counters: HubCounters::default(),
            time: 0,
        }
    }

    /// Adds a subscriber without subscriptions, and what wakes its writer; `None` if there are too many.
    pub(super) fn join(&mut self, guest: Guest) -> Option<(SubscriberId, Arc<Notify>)> {
        let remote = self.count - self.locals;
        if remote >= self.limits.subscribers && guest.local.is_none() {
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
        self.locals += usize::from(guest.local.is_some());
        let wake = Arc::new(Notify::new());
        let slow = if guest.local.is_some() { SlowLimits { time: None, drops: None } } else { self.limits.slow };
        self.slots[id.0 as usize] = Some(Slot {
            queue: Queue::new(guest.local.unwrap_or(self.limits.queue), guest.policy),
            limits: slow,
            last_seqs: LastSeqs::default(),
            born: self.tick(),
            joins: Joins::default(),
            wake: Arc::clone(&wake),
            asleep: false,
            slow: None,
            guest,
        });
        self.count += 1;
        Some((id, wake))
    }

    /// Subscribes. The kept frames that this subscriber does not get through another of its subscriptions come with what
    /// it takes next.
    pub(super) fn subscribe(&mut self, id: SubscriberId, prefix: &[u8]) -> Result<(), SubscribeError> {
        let now = self.tick();
        if self.topics.subscribe(id, prefix, now)?
            && let Some(slot) = slot(&mut self.slots, id)
        {
            slot.joins.add(id, prefix, now, slot.queue.next_number(), &self.topics);
        }
        Ok(())
    }

    /// Takes one subscription back.
    pub(super) fn cancel(&mut self, id: SubscriberId, prefix: &[u8]) {
        let since = self.topics.held_since(id, prefix);
        let until = self.tick();
        if self.topics.cancel(id, prefix)
            && let (Some(slot), Some(since)) = (slot(&mut self.slots, id), since)
        {
            slot.joins.cancelled(prefix, since, until);
        }
    }

    /// Takes a subscriber's place away; its subscriptions are to be removed next.
    pub(super) fn vacate(&mut self, id: SubscriberId) -> Option<Slot> {
        let slot = self.slots[id.0 as usize].take();
        self.count -= usize::from(slot.is_some());
        self.locals -= usize::from(slot.as_ref().is_some_and(|slot| slot.guest.local.is_some()));
        slot
    }

    /// Removes up to `step` subscriptions of a subscriber that left; call again until true. The number may then be another's.
    pub(super) fn remove_some(&mut self, id: SubscriberId, step: usize) -> bool {
        let done = self.topics.remove_some(id, step);
        if done {
            self.free.push(id);
        }
        done
    }

    /// Queues the batch and returns whom to wake. The time is asked for only where it matters: when a queue is full.
    pub(super) fn publish(&mut self, batch: &mut Vec<Outgoing>, now: impl Fn() -> Mono) -> Vec<Arc<Notify>> {
        let mut woken = Vec::new();
        for outgoing in batch.drain(..) {
            match outgoing {
                Outgoing::Shared(frame) => self.publish_frame(&frame, &now, &mut woken),
                Outgoing::Forget(topic) => self.catalog.forget(&topic),
                Outgoing::Frame(frame) => self.publish_frame(&Arc::new(frame), &now, &mut woken),
            }
        }
        woken
    }

    fn publish_frame(&mut self, frame: &Arc<Frame>, now: &impl Fn() -> Mono, woken: &mut Vec<Arc<Notify>>) {
        self.counters.published += 1;
        let time = self.tick();
        let number = self.catalog.record(frame, time);
        self.counters.not_kept += u64::from(number.is_none());
        if self.topics.is_empty() {
            return;
        }
        let readers = match number {
            Some(number) => self.catalog.readers(number, &frame.topic, &self.topics),
            None => self.catalog.readers_unlisted(&frame.topic, &self.topics),
        };
        for id in readers {
            if let Some(slot) = slot(&mut self.slots, *id)
                && slot.offer(Arc::clone(frame), now, &mut self.counters)
            {
                woken.push(Arc::clone(&slot.wake));
            }
        }
    }

    /// Queues a frame for one subscriber, and returns whom to wake for it.
    pub(super) fn send_to(&mut self, id: SubscriberId, frame: Arc<Frame>, now: Mono) -> Option<Arc<Notify>> {
        let slot = slot(&mut self.slots, id)?;
        slot.offer(frame, || now, &mut self.counters).then(|| Arc::clone(&slot.wake))
    }

    /// Moves frames to `out`: up to `frames`, and until `bytes` are reached. First what it is owed, then the queue, with
    /// the kept frames of each new subscription before everything that was queued since.
    pub(super) fn take(&mut self, id: SubscriberId, out: &mut Vec<Arc<Frame>>, frames: usize, bytes: usize) -> Taken {
        let Some(slot) = slot(&mut self.slots, id) else { return Taken::Nothing };
        if let Some(slow) = slot.slow {
            return Taken::Slow(slow);
        }
        let (mut looks, mut taken) = (JOIN_STEP, 0);
        while looks > 0 && out.len() < frames && taken < bytes {
            let frame = if let Some((topic, seq)) = slot.queue.pop_owed() {
                looks -= 1;
                let newest = self.catalog.kept(&topic).filter(|kept| kept.seq == seq);
                newest.filter(|_| self.topics.is_subscribed(id, &topic)).cloned()
            } else {
                match slot.joins.step(id, slot.queue.front_number(), &self.catalog, &self.topics) {
                    Step::Frame(frame) => {
                        looks -= 1;
                        Some(frame)
                    }
                    Step::Nothing => {
                        looks -= 1;
                        None
                    }
                    Step::Wait => {
                        let queued = slot.queue.bytes();
                        let Some(frame) = slot.queue.pop() else { break };
                        taken += queued - slot.queue.bytes();
                        out.push(frame);
                        continue;
                    }
                }
            };
            taken += frame.as_ref().map_or(0, |frame| frame.topic.len() + frame.payload.len());
            out.extend(frame);
        }
        slot.asleep = out.is_empty() && slot.queue.is_idle() && slot.joins.is_empty();
        match out.is_empty() {
            false => Taken::Frames,
            true if slot.asleep => Taken::Nothing,
            true => Taken::Again,
        }
    }

    /// What this subscriber lost before the frames just taken, and since when, if it is time to tell. `None` if it does not
    /// want to know: then it counts as told.
    pub(super) fn take_losses(&mut self, id: SubscriberId) -> Option<(Mono, LossTable)> {
        let losses = slot(&mut self.slots, id)?.queue.take_losses()?;
        self.topics.is_subscribed(id, NOTICE).then_some(losses)
    }

    /// Whether this subscriber is to be disconnected for being slow.
    pub(super) fn check_slow(&mut self, id: SubscriberId, now: Mono) -> Option<Slow> {
        let slot = slot(&mut self.slots, id)?;
        slot.slow = slot.slow.or_else(|| slot.queue.overdue(now, slot.limits));
        slot.slow
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

    /// Frames queued for all subscribers together, but those about to be disconnected.
    pub(super) fn queued(&self) -> usize {
        let staying = self.slots.iter().flatten().filter(|slot| slot.slow.is_none());
        staying.map(|slot| slot.queue.len()).sum()
    }

    /// The topics kept for joiners, in order.
    pub(super) fn topics_kept(&self) -> Vec<Bytes> {
        self.catalog.topics_kept().cloned().collect()
    }

    /// Topics kept for joiners.
    pub(super) fn kept_topics(&self) -> usize {
        self.catalog.kept_count()
    }

    fn tick(&mut self) -> u64 {
        self.time += 1;
        self.time
    }
}

impl Slot {
    /// Queues a frame; whether the writer is to be woken. A slow one's queue stays as it is until it leaves, because
    /// dropping so many frames takes long.
    fn offer(&mut self, frame: Arc<Frame>, now: impl FnOnce() -> Mono, counters: &mut HubCounters) -> bool {
        if self.slow.is_some() {
            return false;
        }
        let Some(frame) = self.queue.push_easily(frame) else { return std::mem::take(&mut self.asleep) };
        let now = now();
        let pushed = self.queue.push(frame, now);
        counters.count(pushed);
        self.slow = match pushed.refused {
            true => Some(Slow::NoRoom { queued: self.queue.len() }),
            false => self.queue.overdue(now, self.limits),
        };
        std::mem::take(&mut self.asleep) || self.slow.is_some()
    }
}

impl HubCounters {
    fn count(&mut self, pushed: Pushed) {
        self.dropped += pushed.dropped;
        self.conflated += u64::from(pushed.conflated);
    }
}

pub(super) fn slot(slots: &mut [Option<Slot>], id: SubscriberId) -> Option<&mut Slot> {
    slots.get_mut(id.0 as usize)?.as_mut()
}

#[cfg(test)]
#[path = "hub_tests.rs"]
mod tests;
