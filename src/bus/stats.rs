//! What the bus counts, and what it knows of each subscriber.

use super::faults::Refused;
use super::hub::{Hub, Slot};
use super::queue::Policy;
use super::topics::SubscriberId;
use crate::frame::Loss;
use crate::model::UnixNanos;

/// Topics told of each subscriber: those that lost the most.
const MOST_TOPICS: usize = 5;

/// Counters since the start, and what is connected now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusStats {
    /// Subscribers connected now.
    pub subscribers: usize,
    /// Whether any of them subscribed to anything.
    pub anyone_subscribed: bool,
    /// Frames queued now, for all subscribers together.
    pub queued_frames: usize,
    /// Topics kept for joiners now.
    pub kept_topics: usize,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused or ended by us, by reason.
    pub refused: Refused,
    /// Frames published, whether or not anyone was subscribed.
    pub frames_published: u64,
    /// Frames given to sockets, once per subscriber.
    pub frames_sent: u64,
    /// Bytes written to sockets.
    pub bytes_sent: u64,
    /// Frames dropped because a subscriber's queue was full.
    pub dropped_frames: u64,
    /// Frames in whose place a newer one came in a full queue.
    pub conflated_frames: u64,
    /// Subscribers disconnected because their queue stayed full, or was full where the policy is to disconnect.
    pub slow_disconnects: u64,
    /// Frames of topics beyond the number that is kept: joiners do not get them, and heartbeats do not count them.
    pub not_kept_frames: u64,
    /// Notices sent to subscribers that lost frames.
    pub notices: u64,
}

/// One subscriber, now and since it came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriberStats {
    /// Its address, or `ipc`.
    pub peer: String,
    /// When it came.
    pub since: UnixNanos,
    /// What happens when its queue is full.
    pub policy: Policy,
    /// Different prefixes it is subscribed to.
    pub subscriptions: usize,
    /// Frames queued for it now.
    pub queued_frames: usize,
    /// Bytes queued for it now.
    pub queued_bytes: usize,
    /// Whether a frame found no room and the queue has not been half empty since.
    pub full: bool,
    /// Frames it lost.
    pub dropped: u64,
    /// Frames in whose place a newer one came.
    pub conflated: u64,
    /// The topics of which it lost the most, up to five.
    pub lost_topics: Vec<(String, Loss)>,
}

impl Hub {
    /// Everyone connected.
    pub(super) fn ids(&self) -> Vec<SubscriberId> {
        (0..).map(SubscriberId).zip(&self.slots).filter(|(_, slot)| slot.is_some()).map(|(id, _)| id).collect()
    }

    /// The subscriber of this process with this name.
    pub(super) fn local_named(&self, name: &str) -> Option<SubscriberId> {
        let named = |slot: &Slot| slot.guest.local.is_some() && slot.guest.peer == name;
        let at = self.slots.iter().position(|slot| slot.as_ref().is_some_and(named))?;
        u32::try_from(at).ok().map(SubscriberId)
    }

    /// One subscriber, as asking for all at once would hold the lock for too long; `None` once it has left.
    pub(super) fn stats_of(&self, id: SubscriberId) -> Option<SubscriberStats> {
        let slot = self.slots.get(id.0 as usize)?.as_ref()?;
        let (guest, queue) = (slot.guest.clone(), &slot.queue);
        let losses = queue.losses();
        let (dropped, conflated) = losses.total();
        let topics = losses.rows().into_iter().take(MOST_TOPICS);
        Some(SubscriberStats {
            peer: guest.peer,
            since: guest.since,
            policy: guest.policy,
            subscriptions: self.topics.held(id),
            queued_frames: queue.len(),
            queued_bytes: queue.bytes(),
            full: queue.is_full(),
            dropped,
            conflated,
            lost_topics: topics.map(|(topic, loss)| (String::from_utf8_lossy(&topic).into_owned(), loss)).collect(),
        })
    }
}
