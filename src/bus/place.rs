//! A subscriber's place in the hub, given back however its task ends.

use std::sync::atomic::Ordering;
use std::sync::{Arc, MutexGuard};

use tokio::task::yield_now;

use super::Frame;
use super::hub::Hub;
use super::losses::LossTable;
use super::publisher::Shared;
use super::topics::SubscriberId;
use crate::clock;
use crate::frame::{Notice, notice};
use crate::model::{Mono, UnixNanos};

/// Subscriptions removed per turn of the lock when a subscriber leaves.
const LEAVE_STEP: usize = 256;

/// See the module.
#[derive(Debug)]
pub(super) struct Place {
    shared: Arc<Shared>,
    id: SubscriberId,
    left: bool,
}

impl Place {
    /// The place that the hub gave.
    pub(super) const fn new(shared: Arc<Shared>, id: SubscriberId) -> Self {
        Self { shared, id, left: false }
    }

    pub(super) const fn id(&self) -> SubscriberId {
        self.id
    }

    pub(super) fn shared(&self) -> &Shared {
        &self.shared
    }

    pub(super) fn hub(&self) -> MutexGuard<'_, Hub> {
        self.shared.hub()
    }

    /// What its subscriber is told of losses, as its notice with this number.
    pub(super) fn notice(&self, seq: u64, since: Mono, losses: &LossTable) -> Frame {
        let now = clock::now();
        let ago = u64::try_from(now.mono.since(since).as_nanos()).unwrap_or(u64::MAX);
        self.shared.notices.fetch_add(1, Ordering::Relaxed);
        let told = Notice {
            epoch: self.shared.options.epoch,
            seq,
            ts_pub: now.wall,
            since: UnixNanos(now.wall.0.saturating_sub(ago)),
            topics: &losses.rows(),
            other: losses.other(),
        };
        notice(self.shared.options.encoding, told)
    }

    /// Gives the place back in small steps.
    pub(super) async fn leave(&mut self) {
        while !self.leave_step() {
            yield_now().await;
        }
    }

    fn leave_step(&mut self) -> bool {
        // Once it has left, its number may be another's.
        if !self.left {
            // Its frames are dropped when the lock is free again.
            let slot = self.hub().vacate(self.id);
            drop(slot);
            let left = self.hub().remove_some(self.id, LEAVE_STEP);
            self.left = left;
        }
        self.left
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        while !self.leave_step() {}
    }
}
