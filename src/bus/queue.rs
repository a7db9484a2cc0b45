//! One subscriber's queue: bounded in frames and in bytes. A full queue keeps what is newest, counts what it loses, and
//! remembers which kept topics it owes. Pure.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::losses::{LossTable, Losses};
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

/// What happens to a frame that finds no room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// A `book` or `bbo` frame takes the place of the older one of its topic; for any other the oldest are dropped.
    #[default]
    Conflate,
    /// The oldest are dropped.
    Drop,
    /// The subscriber is disconnected.
    Disconnect,
}

impl Policy {
    /// Its name in the config.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Conflate => "conflate",
            Self::Drop => "drop",
            Self::Disconnect => "disconnect",
        }
    }
}

/// How long a queue may stay full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowLimits {
    /// Since a frame found no room, without once being half empty; `None` for ever.
    pub time: Option<Duration>,
    /// Frames dropped within that; `None` for any number.
    pub drops: Option<u64>,
}

/// Why a subscriber is to be disconnected.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum Slow {
    /// Its queue stayed full.
    #[error("its queue was full for {time:?}, and {dropped} frames were dropped")]
    Full {
        /// For how long.
        time: Duration,
        /// Frames dropped meanwhile.
        dropped: u64,
    },
    /// Its queue was full, and the policy of its endpoint is to disconnect.
    #[error("a frame found no room in its queue of {queued} frames")]
    NoRoom {
        /// Frames in the queue.
        queued: usize,
    },
}

/// What became of a pushed frame and of those before it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Pushed {
    /// Frames lost: the oldest, or the pushed one if it alone exceeds the bounds.
    pub dropped: u64,
    /// The frame took the place of an older one of its topic.
    pub conflated: bool,
    /// There was no room, and the policy is to disconnect: nothing was changed.
    pub refused: bool,
}

/// A frame in the queue. Its size stands beside it, so that it can be taken without touching what another core has written.
#[derive(Debug)]
struct Queued {
    frame: Arc<Frame>,
    size: usize,
}

/// Frames on their way to one subscriber, oldest first.
#[derive(Debug)]
pub struct Queue {
    frames: VecDeque<Queued>,
    bytes: usize,
    limits: QueueLimits,
    policy: Policy,
    /// How many frames have left from the front: the number of the frame that is now in front.
    gone: u64,
    full: Option<Full>,
    /// Kept topics of which frames were dropped, with the `seq` of the last of these: if the topic has no newer frame, what
    /// the subscriber last saw of it may be untrue.
    owed: BTreeMap<Bytes, u64>,
    losses: Losses,
}

/// From when a frame found no room until the queue is half empty.
#[derive(Debug)]
struct Full {
    since: Mono,
    dropped: u64,
    /// Whether its first losses were told.
    told: bool,
    /// The number of the newest queued frame of each topic that can be conflated. Entries below `gone` are void.
    newest: HashMap<Bytes, u64>,
}

impl Queue {
    /// An empty queue.
    pub fn new(limits: QueueLimits, policy: Policy) -> Self {
        Self {
            frames: VecDeque::new(),
            bytes: 0,
            limits,
            policy,
            gone: 0,
            full: None,
            owed: BTreeMap::new(),
            losses: Losses::default(),
        }
    }

    /// Adds a frame if the queue has room and is not recovering from having had none; else gives it back. What [`Self::push`]
    /// does then, but without the time.
    pub fn push_easily(&mut self, frame: Arc<Frame>) -> Option<Arc<Frame>> {
        let size = size_of(&frame);
        if self.is_full() || !self.has_room(size) {
            return Some(frame);
        }
        self.append(frame, size);
        None
    }

    /// Adds a frame; when there is no room, as the policy says.
    pub fn push(&mut self, frame: impl Into<Arc<Frame>>, now: Mono) -> Pushed {
        let frame = frame.into();
        let size = size_of(&frame);
        if self.has_room(size) {
            self.append(frame, size);
            return Pushed::default();
        }
        if self.policy == Policy::Disconnect {
            return Pushed { refused: true, ..Pushed::default() };
        }
        if self.full.is_none() {
            self.full = Some(Full { since: now, dropped: 0, told: false, newest: self.index() });
        }
        let place = match self.policy {
            Policy::Conflate if frame.retain == Retain::Conflate => self.newest_of(&frame.topic),
            _ => None,
        };
        let mut pushed = Pushed { conflated: place.is_some(), ..Pushed::default() };
        if let Some(at) = place {
            let older = std::mem::replace(&mut self.frames[at], Queued { frame, size });
            self.bytes = self.bytes - older.size + size;
            self.losses.conflated(&older.frame, now);
            pushed.dropped = self.shrink(0, now);
        } else {
            pushed.dropped = self.shrink(size, now);
            if self.has_room(size) {
                self.append(frame, size);
            } else {
                self.lose(&frame, now);
                pushed.dropped += 1;
            }
        }
        match &mut self.full {
            // What it lost was too large for it.
            _ if self.frames.is_empty() => self.full = None,
            Some(full) => full.dropped += pushed.dropped,
            None => {}
        }
        pushed
    }

    /// Takes the frame in front.
    pub fn pop(&mut self) -> Option<Arc<Frame>> {
        let frame = self.remove_front()?;
        if self.frames.len() <= self.limits.frames / 2 && self.bytes <= self.limits.bytes / 2 {
            self.full = None;
        }
        Some(frame)
    }

    /// Once there is room again: a kept topic of which frames were dropped, and the `seq` of the last of them. If that is
    /// still the topic's newest, it is to be sent, before the queue.
    pub fn pop_owed(&mut self) -> Option<(Bytes, u64)> {
        if self.is_full() { None } else { self.owed.pop_first() }
    }

    /// What was lost before the frames that are still queued, and since when. It is told only once: at the first call while
    /// the queue is full, and when it is full no more, so that telling is little beside what is delivered.
    pub fn take_losses(&mut self) -> Option<(Mono, LossTable)> {
        match &mut self.full {
            Some(full) if full.told => None,
            Some(full) => {
                full.told = true;
                self.losses.take_untold()
            }
            None => self.losses.take_untold(),
        }
    }

    /// All that was lost.
    pub fn losses(&self) -> LossTable {
        self.losses.all()
    }

    /// Whether a frame found no room and the queue has not been half empty since.
    pub fn is_full(&self) -> bool {
        self.full.is_some()
    }

    /// Whether the queue has been full beyond a limit.
    pub fn overdue(&self, now: Mono, limits: SlowLimits) -> Option<Slow> {
        let &Full { since, dropped, .. } = self.full.as_ref()?;
        let time = now.since(since);
        let over = limits.time.is_some_and(|limit| time >= limit) || limits.drops.is_some_and(|limit| dropped >= limit);
        over.then_some(Slow::Full { time, dropped })
    }

    /// The number of the frame in front: how many have left.
    pub fn front_number(&self) -> u64 {
        self.gone
    }

    /// The number that the next frame will have.
    pub fn next_number(&self) -> u64 {
        self.gone + self.frames.len() as u64
    }

    /// Frames queued.
    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    /// Bytes queued.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing is queued or owed.
    pub fn is_idle(&self) -> bool {
        self.frames.is_empty() && self.owed.is_empty()
    }

    fn has_room(&self, size: usize) -> bool {
        self.frames.len() < self.limits.frames && self.bytes + size <= self.limits.bytes
    }

    fn append(&mut self, frame: Arc<Frame>, size: usize) {
        let number = self.next_number();
        if let Some(full) = self.full.as_mut().filter(|_| frame.retain == Retain::Conflate) {
            full.newest.insert(frame.topic.clone(), number);
        }
        self.bytes += size;
        self.frames.push_back(Queued { frame, size });
    }

    fn remove_front(&mut self) -> Option<Arc<Frame>> {
        let Queued { frame, size } = self.frames.pop_front()?;
        self.gone += 1;
        self.bytes -= size;
        Some(frame)
    }

    /// Drops the oldest frames until `size` more bytes and one more frame fit (with 0: until the bounds hold).
    fn shrink(&mut self, size: usize, now: Mono) -> u64 {
        let mut dropped = 0;
        let spare = usize::from(size > 0);
        while self.frames.len() + spare > self.limits.frames || self.bytes + size > self.limits.bytes {
            let Some(frame) = self.remove_front() else { break };
            dropped += 1;
            self.lose(&frame, now);
        }
        dropped
    }

    fn lose(&mut self, frame: &Frame, now: Mono) {
        self.losses.dropped(frame, now);
        if frame.retain != Retain::Stream {
            self.owed.insert(frame.topic.clone(), frame.seq);
        }
    }

    fn newest_of(&self, topic: &Bytes) -> Option<usize> {
        let number = *self.full.as_ref()?.newest.get(topic)?;
        usize::try_from(number.checked_sub(self.gone)?).ok()
    }

    fn index(&self) -> HashMap<Bytes, u64> {
        let numbered = (self.gone..).zip(&self.frames);
        let conflatable = numbered.filter(|(_, queued)| queued.frame.retain == Retain::Conflate);
        conflatable.map(|(number, queued)| (queued.frame.topic.clone(), number)).collect()
    }
}

fn size_of(frame: &Frame) -> usize {
    frame.topic.len() + frame.payload.len()
}

#[cfg(test)]
#[path = "queue_tests.rs"]
mod tests;
