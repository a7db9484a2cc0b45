//! The connections to one of a terminal's RPC hosts: which are open, which to dial and when, and whether the host is
//! worth waiting for. Pure.

use std::sync::Arc;
use std::time::Duration;

use super::LinkError;
use super::waiting::Call;
use crate::io::backoff::{Backoff, BackoffLimits, Failure};
use crate::model::Mono;
use crate::venue::Urgency;

/// A terminal is near: it is looked for often. One that refuses our key will not change its mind by itself.
const BACKOFF: BackoffLimits = BackoffLimits {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(5),
    stable_after: Duration::from_secs(5),
    policy: Duration::from_secs(5),
    refused: Duration::from_secs(15),
};

/// Connections in a row that ended without an answer before the host counts as not to be had; one may be chance.
const LOSSES_TO_DOUBT: u32 = 2;

/// How a connection, or the attempt at one, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The call it carried was not answered in time: closed by us.
    TimedOut,
    /// Anything else.
    Failed(LinkError),
}

/// A place for one connection.
#[derive(Debug, Default)]
struct Slot {
    state: SlotState,
    /// A call that had no answer on the connection before, and leaves first on the next one.
    retry: Option<Call>,
}

#[derive(Debug, Default)]
enum SlotState {
    #[default]
    Closed,
    Dialing,
    Idle,
    Busy(Call),
}

/// What the end of a connection leaves behind.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Ended {
    /// A call to be answered with an error: it is not tried again.
    pub(super) unanswered: Option<Call>,
    /// Whether a call waits to be sent again.
    pub(super) retries: bool,
}

/// One host.
#[derive(Debug)]
pub(super) struct HostDesk {
    pub(super) endpoint: Arc<str>,
    slots: Vec<Slot>,
    backoff: Backoff,
    redial_at: Mono,
    /// Why there is no connection, once that is known.
    trouble: Option<String>,
    /// Tries without an answer since the last answer.
    timeouts: u32,
    pub(super) connects: u64,
    pub(super) failures: u64,
    pub(super) last_failure: Option<String>,
}

impl HostDesk {
    /// Nothing is open, everything is to be dialed.
    pub(super) fn new(endpoint: Arc<str>, connections: usize) -> Self {
        Self {
            endpoint,
            slots: std::iter::repeat_with(Slot::default).take(connections.max(1)).collect(),
            backoff: Backoff::new(BACKOFF),
            redial_at: Mono(0),
            trouble: None,
            timeouts: 0,
            connects: 0,
            failures: 0,
            last_failure: None,
        }
    }

    /// How many connections are open.
    pub(super) fn open(&self) -> usize {
        self.count(|state| matches!(state, SlotState::Idle | SlotState::Busy(_)))
    }

    /// How many calls are on their way.
    pub(super) fn in_flight(&self) -> usize {
        self.count(|state| matches!(state, SlotState::Busy(_)))
    }

    fn count(&self, wanted: impl Fn(&SlotState) -> bool) -> usize {
        self.slots.iter().filter(|slot| wanted(&slot.state)).count()
    }

    /// A host on which every connection failed to get an answer twice over is asked one thing at a time: whatever
    /// piles up in front of a terminal that hangs is carried out in one burst when it wakes up.
    const fn is_silent(&self) -> bool {
        self.timeouts as usize >= 2 * self.slots.len()
    }

    /// While nothing is known to work, one attempt at a time is made.
    fn may_dial(&self) -> bool {
        let unproven = self.backoff.failures() > 0 && self.open() == 0;
        !(unproven && self.count(|state| matches!(state, SlotState::Dialing)) > 0)
    }

    fn next_closed(&self) -> Option<usize> {
        let closed = |slot: &Slot| matches!(slot.state, SlotState::Closed);
        let retrying = self.slots.iter().position(|slot| closed(slot) && slot.retry.is_some());
        retrying.or_else(|| self.slots.iter().position(closed))
    }

    /// The place whose connection is to be dialed now; from here on it is being dialed.
    pub(super) fn take_dial(&mut self, now: Mono) -> Option<usize> {
        let slot = self.next_closed().filter(|_| now >= self.redial_at && self.may_dial())?;
        self.slots[slot].state = SlotState::Dialing;
        Some(slot)
    }

    /// When [`Self::take_dial`] gives something, if nothing else happens before.
    pub(super) fn next_dial(&self) -> Option<Mono> {
        (self.next_closed().is_some() && self.may_dial()).then_some(self.redial_at)
    }

    fn may_send(&self) -> bool {
        !self.is_silent() || self.in_flight() == 0
    }

    /// An open connection without a call.
    pub(super) fn idle(&self) -> Option<usize> {
        let idle = |slot: &Slot| matches!(slot.state, SlotState::Idle) && slot.retry.is_none();
        self.slots.iter().position(idle).filter(|_| self.may_send())
    }

    /// An open connection that is there for a call to be sent again, and how urgent that is.
    pub(super) fn retry(&self) -> Option<(Urgency, usize)> {
        let open = self.slots.iter().enumerate().filter(|(_, slot)| matches!(slot.state, SlotState::Idle));
        let retries = open.filter_map(|(at, slot)| slot.retry.as_ref().map(|call| (call.request.urgency, at)));
        retries.min().filter(|_| self.may_send())
    }

    /// Takes the call that waits to be sent again on this connection.
    pub(super) fn take_retry(&mut self, slot: usize) -> Option<Call> {
        self.slots.get_mut(slot)?.retry.take()
    }

    /// A call left on this connection.
    pub(super) fn sent(&mut self, slot: usize, call: Call) {
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.state = SlotState::Busy(call);
        }
    }

    /// A connection is open.
    pub(super) fn opened(&mut self, slot: usize, now: Mono) {
        self.connects += 1;
        self.backoff.connected(now);
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.state = SlotState::Idle;
        }
        if self.backoff.failures() < LOSSES_TO_DOUBT {
            self.trouble = None;
        }
    }

    /// A call was answered: the host works.
    pub(super) fn answered(&mut self, slot: usize, now: Mono) -> Option<Call> {
        self.trouble = None;
        self.timeouts = 0;
        self.backoff.good_data(now);
        let state = &mut self.slots.get_mut(slot)?.state;
        match std::mem::replace(state, SlotState::Idle) {
            SlotState::Busy(call) => Some(call),
            _ => None,
        }
    }

    /// A connection, or the attempt at one, ended. `random` is in 0..1.
    pub(super) fn closed(&mut self, slot: usize, end: &End, now: Mono, random: f64) -> Ended {
        let Some(slot) = self.slots.get_mut(slot) else { return Ended { unanswered: None, retries: false } };
        let (was_dialing, busy) = match std::mem::take(&mut slot.state) {
            SlotState::Busy(call) => (false, Some(call)),
            SlotState::Dialing => (true, None),
            SlotState::Idle | SlotState::Closed => (false, None),
        };
        let retry = busy.as_ref().is_some_and(|call| call.request.idempotent && !call.tried);
        let (unanswered, again) = match busy {
            Some(call) if retry => (None, Some(Call { tried: true, ..call })),
            busy => (busy, None),
        };
        if again.is_some() {
            slot.retry = again;
        }
        match end {
            End::TimedOut => self.timeouts = self.timeouts.saturating_add(1),
            End::Failed(error) => self.failed(error, was_dialing, now, random),
        }
        Ended { unanswered, retries: retry }
    }

    fn failed(&mut self, error: &LinkError, was_dialing: bool, now: Mono, random: f64) {
        self.failures += 1;
        self.last_failure = Some(error.reason.clone());
        // Connections that end together are one failure.
        if now >= self.redial_at {
            let failure = if error.refused { Failure::Refused } else { Failure::Passing };
            self.redial_at = now.after(self.backoff.failed(failure, random));
        }
        if was_dialing || self.backoff.failures() >= LOSSES_TO_DOUBT {
            self.trouble = Some(error.reason.clone());
        }
    }

    /// Why calls should not wait for this host, if they should not.
    pub(super) fn hopeless(&self) -> Option<String> {
        match &self.trouble {
            Some(trouble) if self.open() == 0 => Some(format!("{}: {trouble}", self.endpoint)),
            _ if self.is_silent() && self.in_flight() > 0 => Some(format!("{} does not answer", self.endpoint)),
            _ => None,
        }
    }

    /// Takes the calls that wait to be sent again and meet this.
    pub(super) fn take_retries(&mut self, wanted: impl Fn(&Call) -> bool) -> Vec<Call> {
        let retries = self.slots.iter_mut().map(|slot| &mut slot.retry);
        retries.filter_map(|retry| retry.take_if(|call| wanted(call))).collect()
    }

    /// When the first call that waits to be sent again is given up.
    pub(super) fn first_expiry(&self) -> Option<Mono> {
        self.slots.iter().filter_map(|slot| slot.retry.as_ref()).map(|call| call.waits_until).min()
    }

    /// How many calls wait to be sent again.
    pub(super) fn retries(&self) -> usize {
        self.slots.iter().filter(|slot| slot.retry.is_some()).count()
    }

    /// Why there is no connection, while there is none.
    pub(super) fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref().filter(|_| self.open() == 0)
    }
}
