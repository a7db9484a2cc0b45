//! Calls that wait for their turn: the most urgent first, feeds in turn, bounded. Pure.

use std::collections::VecDeque;

use crate::model::Mono;
use crate::venue::{RpcRequest, Urgency};

/// Calls of one urgency that may wait; more are refused. Less urgent calls never take the place of more urgent ones.
pub(super) const MOST_WAITING: usize = 4096;
const URGENCIES: usize = 3;

/// A call on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Call {
    /// Whose it is.
    pub(super) caller: u64,
    /// The place of its host in the desk's table.
    pub(super) host: usize,
    /// What was asked for.
    pub(super) request: RpcRequest,
    /// When it is given up, if it has not left by then.
    pub(super) waits_until: Mono,
    /// Whether it left once already and had no answer.
    pub(super) tried: bool,
}

/// One caller's calls to one host, oldest first.
#[derive(Debug)]
struct Line {
    caller: u64,
    host: usize,
    calls: VecDeque<Call>,
}

/// The calls of one urgency: lines take turns. No line is empty.
#[derive(Debug, Default)]
struct Lane {
    lines: VecDeque<Line>,
    calls: usize,
}

/// All calls that wait.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    lanes: [Lane; URGENCIES],
}

const fn lane_of(urgency: Urgency) -> usize {
    match urgency {
        Urgency::Control => 0,
        Urgency::Data => 1,
        Urgency::Background => 2,
    }
}

impl Waiting {
    /// Puts a call at the end of its line; gives it back when there is no room.
    pub(super) fn push(&mut self, call: Call) -> Result<(), Call> {
        let lane = &mut self.lanes[lane_of(call.request.urgency)];
        if lane.calls >= MOST_WAITING {
            return Err(call);
        }
        lane.calls += 1;
        let line = lane.lines.iter_mut().find(|line| line.caller == call.caller && line.host == call.host);
        match line {
            Some(line) => line.calls.push_back(call),
            None => {
                let (caller, host) = (call.caller, call.host);
                lane.lines.push_back(Line { caller, host, calls: VecDeque::from([call]) });
            }
        }
        Ok(())
    }

    /// How urgent the call is that comes next, of those to hosts that have room for one, and its host.
    pub(super) fn next(&self, room: impl Fn(usize) -> bool) -> Option<(Urgency, usize)> {
        let line = self.lanes.iter().flat_map(|lane| &lane.lines).find(|line| room(line.host))?;
        line.calls.front().map(|call| (call.request.urgency, line.host))
    }

    /// Takes the next call to this host.
    pub(super) fn pop(&mut self, host: usize) -> Option<Call> {
        self.lanes.iter_mut().find_map(|lane| lane.pop(host))
    }

    /// Takes out the calls that waited for too long.
    pub(super) fn take_expired(&mut self, now: Mono) -> Vec<Call> {
        let mut taken = Vec::new();
        if self.first_expiry().is_none_or(|first| first > now) {
            return taken;
        }
        for lane in &mut self.lanes {
            for line in &mut lane.lines {
                // All calls wait equally long, so the oldest go first.
                let expired = line.calls.iter().take_while(|call| call.waits_until <= now).count();
                taken.extend(line.calls.drain(..expired));
            }
            lane.tidy();
        }
        taken
    }

    /// Takes out all calls of this kind.
    pub(super) fn take_where(&mut self, wanted: impl Fn(&Call) -> bool) -> Vec<Call> {
        let mut taken = Vec::new();
        for lane in &mut self.lanes {
            for line in &mut lane.lines {
                if line.calls.iter().any(&wanted) {
                    let (out, kept): (VecDeque<_>, VecDeque<_>) = line.calls.drain(..).partition(&wanted);
                    line.calls = kept;
                    taken.extend(out);
                }
            }
            lane.tidy();
        }
        taken
    }

    /// When the first call is given up.
    pub(super) fn first_expiry(&self) -> Option<Mono> {
        let lines = self.lanes.iter().flat_map(|lane| &lane.lines);
        lines.filter_map(|line| line.calls.front()).map(|call| call.waits_until).min()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.lanes.iter().map(|lane| lane.calls).sum()
    }
}

impl Lane {
    fn pop(&mut self, host: usize) -> Option<Call> {
        let at = self.lines.iter().position(|line| line.host == host)?;
        let mut line = self.lines.remove(at)?;
        let call = line.calls.pop_front();
        self.calls -= usize::from(call.is_some());
        if !line.calls.is_empty() {
            self.lines.push_back(line);
        }
        call
    }

    fn tidy(&mut self) {
        self.lines.retain(|line| !line.calls.is_empty());
        self.calls = self.lines.iter().map(|line| line.calls.len()).sum();
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::venue::Host;

    fn call(caller: u64, host: usize, urgency: Urgency, id: u64) -> Call {
        let request = RpcRequest {
            id,
            host: Host::Rpc,
            urgency,
            body: String::new(),
            timeout: Duration::from_secs(1),
            idempotent: true,
        };
        Call { caller, host, request, waits_until: Mono(id), tried: false }
    }

    fn ids(waiting: &mut Waiting) -> Vec<u64> {
        std::iter::from_fn(|| waiting.pop(0)).map(|call| call.request.id).collect()
    }

    #[test]
    fn the_urgent_go_first_and_each_line_in_order() {
        let mut waiting = Waiting::default();
        for (id, urgency) in [(1, Urgency::Background), (2, Urgency::Data), (3, Urgency::Control), (4, Urgency::Data)] {
            waiting.push(call(0, 0, urgency, id)).unwrap();
        }
        assert_eq!(waiting.next(|_| true), Some((Urgency::Control, 0)));
        assert_eq!(ids(&mut waiting), [3, 2, 4, 1]);
        assert_eq!((waiting.len(), waiting.next(|_| true)), (0, None));
    }

    #[test]
    fn callers_take_turns() {
        let mut waiting = Waiting::default();
        for id in 1..=4 {
            waiting.push(call(7, 0, Urgency::Data, id)).unwrap();
        }
        waiting.push(call(8, 0, Urgency::Data, 100)).unwrap();
        waiting.push(call(8, 0, Urgency::Data, 101)).unwrap();
        assert_eq!(ids(&mut waiting), [1, 100, 2, 101, 3, 4]);
    }

    #[test]
    fn a_host_without_room_holds_nobody_else_up() {
        let mut waiting = Waiting::default();
        waiting.push(call(0, 1, Urgency::Control, 1)).unwrap();
        waiting.push(call(0, 0, Urgency::Background, 2)).unwrap();
        assert_eq!(waiting.next(|host| host == 0), Some((Urgency::Background, 0)));
        assert_eq!(waiting.pop(0).map(|call| call.request.id), Some(2));
        assert_eq!(waiting.pop(0), None);
        assert_eq!(waiting.len(), 1);
    }

    #[test]
    fn every_urgency_has_its_own_room() {
        let mut waiting = Waiting::default();
        for id in 0..MOST_WAITING as u64 {
            waiting.push(call(id % 3, 0, Urgency::Background, id)).unwrap();
        }
        assert_eq!(waiting.push(call(9, 0, Urgency::Background, 1)).unwrap_err().caller, 9);
        waiting.push(call(9, 0, Urgency::Control, 1)).unwrap();
        assert_eq!(waiting.len(), MOST_WAITING + 1);
    }

    #[test]
    fn the_expired_and_the_unwanted_are_taken_out() {
        let mut waiting = Waiting::default();
        for id in [10, 20, 30] {
            waiting.push(call(id / 20, 0, Urgency::Data, id)).unwrap();
        }
        assert_eq!(waiting.first_expiry(), Some(Mono(10)));
        assert!(waiting.take_expired(Mono(9)).is_empty());
        assert_eq!(waiting.take_expired(Mono(20)).len(), 2);
        assert_eq!((waiting.len(), waiting.first_expiry()), (1, Some(Mono(30))));
        assert_eq!(waiting.take_where(|call| call.caller == 1).len(), 1);
        assert_eq!((waiting.len(), waiting.first_expiry()), (0, None));
    }
}
