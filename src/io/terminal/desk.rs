//! The desk of one terminal: which call leaves when and on which connection, and what becomes of it. Pure: what is to
//! be done comes out as [`Action`]s.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::connection::Place;
use super::host::{End, HostDesk};
use super::report::{HostReport, PoolCounters, PoolReport};
use super::waiting::{Call, MOST_WAITING, Waiting};
use super::{PoolLimits, RpcAnswer};
use crate::io::limits::{Bucket, Rate};
use crate::model::Mono;
use crate::venue::{Host, RpcRequest};

/// How long a call may wait for its turn, or for a connection to be sent again on.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Something to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Open the connection at this place.
    Dial(Place),
    /// Send a call on an open connection.
    Send {
        /// Where.
        place: Place,
        /// Tells its answer from others.
        ticket: u64,
        /// What to send.
        body: String,
        /// How long to wait for the answer.
        timeout: Duration,
    },
    /// Give a caller its answer.
    Answer {
        /// Whose.
        caller: u64,
        /// What.
        answer: RpcAnswer,
    },
}

/// The desk.
#[derive(Debug)]
pub(super) struct Desk {
    /// The main host, then the one for data where it is another.
    hosts: Vec<HostDesk>,
    waiting: Waiting,
    bucket: Bucket,
    limits: PoolLimits,
    /// Set while the next call has nothing but the budget to wait for.
    starved: bool,
    tickets: u64,
    counters: PoolCounters,
}

impl Desk {
    /// Everything is to be dialed.
    pub(super) fn new(endpoints: Vec<Arc<str>>, limits: PoolLimits, now: Mono) -> Self {
        let rate = Rate { per_second: limits.calls_per_second.max(1).into(), burst: limits.burst.max(1).into() };
        Self {
            hosts: endpoints.into_iter().map(|endpoint| HostDesk::new(endpoint, limits.connections)).collect(),
            waiting: Waiting::default(),
            bucket: Bucket::new(rate, now),
            limits,
            starved: false,
            tickets: 0,
            counters: PoolCounters::default(),
        }
    }

    /// Takes a call; it is answered with [`Action::Answer`], whatever happens.
    ///
    /// # Errors
    /// Too many wait already: then there is no other answer.
    pub(super) fn enter(&mut self, caller: u64, request: RpcRequest, now: Mono) -> Result<(), String> {
        // A terminal with a single host takes both kinds of calls there.
        let host = match request.host {
            Host::Rpc => 0,
            Host::Data => self.hosts.len().saturating_sub(1),
        };
        let call = Call { caller, host, request, waits_until: now.after(LONGEST_WAIT), tried: false };
        let pushed = self.waiting.push(call);
        self.counters.calls += u64::from(pushed.is_ok());
        pushed.map_err(|_| {
            self.refused();
            format!("{MOST_WAITING} calls wait for the terminal already")
        })
    }

    /// A call was refused before it came to the desk.
    pub(super) const fn refused(&mut self) {
        self.counters.refused += 1;
    }

    /// Takes back the calls of this caller that have not left; gives their ids.
    pub(super) fn take_waiting(&mut self, caller: u64) -> Vec<u64> {
        let mine = |call: &Call| call.caller == caller;
        let mut taken = self.waiting.take_where(mine);
        for host in &mut self.hosts {
            taken.extend(host.take_retries(mine));
        }
        taken.into_iter().map(|call| call.request.id).collect()
    }

    /// Everything that is to be done now.
    pub(super) fn advance(&mut self, now: Mono, out: &mut Vec<Action>) {
        for (at, host) in self.hosts.iter_mut().enumerate() {
            while let Some(slot) = host.take_dial(now) {
                out.push(Action::Dial((at, slot)));
            }
        }
        while self.send_one(now, out) {}
        self.give_up_hopeless(out);
        self.give_up_expired(now, out);
    }

    /// Sends the most urgent call that a connection is free for, if the budget allows it.
    fn send_one(&mut self, now: Mono, out: &mut Vec<Action>) -> bool {
        let Some((host, slot, retry)) = self.next_send() else {
            self.starved = false;
            return false;
        };
        if self.bucket.take(now, Duration::ZERO).is_none() {
            self.starved = true;
            return false;
        }
        self.counters.throttled += u64::from(std::mem::take(&mut self.starved));
        let call = match retry {
            true => self.hosts[host].take_retry(slot),
            false => self.waiting.pop(host),
        };
        let Some(call) = call else { return false };
        self.tickets += 1;
        self.counters.sent += 1;
        let (ticket, body, timeout) = (self.tickets, call.request.body.clone(), call.request.timeout);
        self.hosts[host].sent(slot, call);
        out.push(Action::Send { place: (host, slot), ticket, body, timeout });
        true
    }

    /// The host and connection of the next call, and whether it is sent again.
    fn next_send(&self) -> Option<(usize, usize, bool)> {
        let retries = self.hosts.iter().enumerate();
        let retry = retries.filter_map(|(at, host)| host.retry().map(|(urgency, slot)| (urgency, at, slot))).min();
        let idle = |host: usize| self.hosts.get(host).and_then(HostDesk::idle);
        let fresh = self.waiting.next(|host| idle(host).is_some());
        match (retry, fresh) {
            (Some((urgency, host, slot)), fresh) if fresh.is_none_or(|(other, _)| urgency <= other) => {
                Some((host, slot, true))
            }
            (_, Some((_, host))) => idle(host).map(|slot| (host, slot, false)),
            _ => None,
        }
    }

    fn give_up_hopeless(&mut self, out: &mut Vec<Action>) {
        for at in 0..self.hosts.len() {
            let Some(reason) = self.hosts[at].hopeless() else { continue };
            let mut given_up = self.waiting.take_where(|call| call.host == at);
            given_up.extend(self.hosts[at].take_retries(|_| true));
            for call in given_up {
                self.fail(call, reason.clone(), out);
            }
        }
    }

    fn give_up_expired(&mut self, now: Mono, out: &mut Vec<Action>) {
        let mut expired = self.waiting.take_expired(now);
        for host in &mut self.hosts {
            expired.extend(host.take_retries(|call| call.waits_until <= now));
        }
        for call in expired {
            self.counters.expired += 1;
            let (waited, allowed) = (LONGEST_WAIT.as_secs(), self.limits.calls_per_second);
            let reason = format!("the call waited {waited} s for its turn; {allowed} calls a second are allowed");
            self.fail(call, reason, out);
        }
    }

    /// When to advance, if nothing happens before.
    pub(super) fn next_wake(&mut self, now: Mono) -> Option<Mono> {
        let token = self.starved.then(|| now.after(self.bucket.wait(now)));
        let dials = self.hosts.iter().filter_map(HostDesk::next_dial);
        let expiries = self.hosts.iter().filter_map(HostDesk::first_expiry).chain(self.waiting.first_expiry());
        token.into_iter().chain(dials).chain(expiries).min()
    }

    /// A connection is open.
    pub(super) fn opened(&mut self, (host, slot): Place, now: Mono) {
        if let Some(host) = self.hosts.get_mut(host) {
            host.opened(slot, now);
        }
    }

    /// The call on this connection was answered.
    pub(super) fn answered(&mut self, (host, slot): Place, body: Bytes, now: Mono, out: &mut Vec<Action>) {
        let call = self.hosts.get_mut(host).and_then(|host| host.answered(slot, now));
        match call {
            Some(call) => {
                self.counters.answered += 1;
                self.answer(call, Ok(body), out);
            }
            None => self.counters.stray += 1,
        }
    }

    /// An answer came that nobody waits for.
    pub(super) const fn stray(&mut self) {
        self.counters.stray += 1;
    }

    /// A connection, or the attempt at one, ended. `random` is in 0..1.
    pub(super) fn closed(&mut self, (host, slot): Place, end: &End, now: Mono, random: f64, out: &mut Vec<Action>) {
        let Some(of) = self.hosts.get_mut(host) else { return };
        let ended = of.closed(slot, end, now, random);
        self.counters.timed_out += u64::from(*end == End::TimedOut);
        self.counters.retried += u64::from(ended.retries);
        if let Some(call) = ended.unanswered {
            let reason = self.why_unanswered(&call, end);
            self.fail(call, reason, out);
        }
    }

    fn why_unanswered(&self, call: &Call, end: &End) -> String {
        let endpoint = self.hosts.get(call.host).map_or("", |host| &*host.endpoint);
        let twice = if call.tried { ", asked twice" } else { "" };
        match end {
            End::TimedOut => {
                format!("{endpoint} did not answer within {} ms{twice}", call.request.timeout.as_millis())
            }
            End::Failed(error) => format!("{endpoint}: {} before the answer{twice}", error.reason),
        }
    }

    fn fail(&mut self, call: Call, reason: String, out: &mut Vec<Action>) {
        self.counters.failed += 1;
        self.answer(call, Err(reason), out);
    }

    fn answer(&self, call: Call, result: Result<Bytes, String>, out: &mut Vec<Action>) {
        let endpoint = self.hosts.get(call.host).map(|host| Arc::clone(&host.endpoint)).unwrap_or_default();
        let RpcRequest { id, body, .. } = call.request;
        out.push(Action::Answer { caller: call.caller, answer: RpcAnswer { id, endpoint, request: body, result } });
    }

    /// State and counters.
    pub(super) fn report(&self, terminal: &Arc<str>) -> PoolReport {
        let hosts = self.hosts.iter().map(|host| HostReport {
            endpoint: Arc::clone(&host.endpoint),
            open: host.open(),
            connects: host.connects,
            failures: host.failures,
            trouble: host.trouble().map(str::to_owned),
            last_failure: host.last_failure.clone(),
        });
        PoolReport {
            terminal: Arc::clone(terminal),
            counters: self.counters,
            in_flight: self.hosts.iter().map(HostDesk::in_flight).sum(),
            waiting: self.waiting.len() + self.hosts.iter().map(HostDesk::retries).sum::<usize>(),
            hosts: hosts.collect(),
        }
    }
}
