//! A subscriber in this process: what sinks read the bus with. It has a queue like any other, bounded and counted, so
//! publishing never waits for it; but no connection, and it is never disconnected for being slow.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::task::yield_now;

use super::Frame;
use super::hub::{Guest, Taken};
use super::place::Place;
use super::publisher::Shared;
use super::queue::{Policy, QueueLimits};
use super::subscriber::{BURST_BYTES, BURST_FRAMES};
use super::topics::SubscribeError;
use crate::clock;

/// Who subscribes here, and how much may wait for it.
#[derive(Clone, Debug)]
pub struct LocalOptions {
    /// What it is called among the subscribers: `sink:redis`.
    pub name: String,
    /// Frames queued at most.
    pub queue_frames: usize,
    /// Bytes of topics and payloads queued at most.
    pub queue_bytes: usize,
}

/// A subscription of this process; dropping it ends it.
#[derive(Debug)]
pub struct LocalSubscriber {
    place: Place,
    wake: Arc<Notify>,
    prefixes: Vec<String>,
    /// What was just taken.
    taken: Vec<Arc<Frame>>,
    notices: u64,
}

impl LocalSubscriber {
    pub(super) fn join(
        shared: &Arc<Shared>,
        prefixes: &[String],
        options: LocalOptions,
    ) -> Result<Self, SubscribeError> {
        let limits = QueueLimits { frames: options.queue_frames, bytes: options.queue_bytes };
        let (peer, since) = (options.name, clock::wall());
        let guest = Guest { peer, since, policy: Policy::Conflate, local: Some(limits) };
        let joined = shared.hub().join(guest);
        let (id, wake) = joined.ok_or(SubscribeError::NoPlace)?;
        let place = Place::new(Arc::clone(shared), id);
        {
            let mut hub = place.hub();
            prefixes.iter().try_for_each(|prefix| hub.subscribe(id, prefix.as_bytes()))?;
        }
        Ok(Self { place, wake, prefixes: prefixes.to_vec(), taken: Vec::new(), notices: 0 })
    }

    /// Waits for frames and adds up to some thousand of them (or 128 KiB) to `burst`, in the order they were published. The
    /// kept frames of a new subscription come first, and a notice of what was lost before what came after the loss.
    /// Nothing is lost when the future is dropped before it is ready.
    pub async fn next(&mut self, burst: &mut Vec<Arc<Frame>>) {
        loop {
            let (taken, lost) = {
                let (mut hub, id) = (self.place.hub(), self.place.id());
                (hub.take(id, &mut self.taken, BURST_FRAMES, BURST_BYTES), hub.take_losses(id))
            };
            if let Some((since, losses)) = &lost {
                self.notices += 1;
                burst.push(Arc::new(self.place.notice(self.notices, *since, losses)));
            }
            burst.append(&mut self.taken);
            if lost.is_some() {
                return;
            }
            match taken {
                Taken::Frames => return,
                Taken::Again => yield_now().await,
                // Slow: it has no limits, so this does not happen.
                Taken::Nothing | Taken::Slow(_) => self.wake.notified().await,
            }
        }
    }

    /// Subscribes anew: after what is queued now come the kept frames again, as for a subscriber that just joined. Nothing
    /// that is published meanwhile is missed.
    pub fn rejoin(&mut self) {
        let (mut hub, id) = (self.place.hub(), self.place.id());
        // All are given up before the first is taken again: else what one brings is not brought by another.
        for prefix in &self.prefixes {
            hub.cancel(id, prefix.as_bytes());
        }
        for prefix in &self.prefixes {
            // They were taken before, and nothing but this adds to them: they are taken again.
            let _ = hub.subscribe(id, prefix.as_bytes());
        }
    }

    /// The topics that have a current frame for joiners; what this subscriber knows of others may no longer be true.
    pub fn kept_topics(&self) -> Vec<Bytes> {
        self.place.hub().topics_kept()
    }
}
