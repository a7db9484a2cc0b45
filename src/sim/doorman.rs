//! The faults that happen before anything is published: refused connection attempts, and REST requests that go wrong.

use super::fault::{Fault, FaultKind, FaultSpec};

#[derive(Debug)]
struct Planned {
    kind: FaultKind,
    next: Option<u64>,
    every: Option<u64>,
}

/// Counts attempts and requests over all clients of a server.
#[derive(Debug)]
pub struct Doorman {
    refusals: Vec<Planned>,
    attempts: u64,
    rest: Vec<Planned>,
    requests: u64,
}

impl Doorman {
    /// Takes its faults out of the list.
    pub fn new(specs: &[FaultSpec]) -> Self {
        let of = |is: fn(&FaultKind) -> bool| specs.iter().filter_map(|spec| plan(spec, is)).collect();
        let refusals = of(|kind| matches!(kind, FaultKind::Refuse(_)));
        Self { refusals, attempts: 0, rest: of(FaultKind::is_rest), requests: 0 }
    }

    /// The HTTP status this connection attempt is answered with, if it is refused.
    pub fn refuses(&mut self) -> Option<u16> {
        self.attempts += 1;
        let FaultKind::Refuse(status) = due(&mut self.refusals, self.attempts, |_| true)? else { return None };
        tracing::info!(fault = "refuse", status, attempt = self.attempts, "fault injected");
        Some(status)
    }

    /// What goes wrong with this REST request; `image` says whether it is for the image of a book.
    pub fn spoils(&mut self, image: bool) -> Option<FaultKind> {
        self.requests += 1;
        let suits = |kind: &FaultKind| image || *kind != FaultKind::RestStale;
        let kind = due(&mut self.rest, self.requests, suits)?;
        tracing::info!(fault = kind.name(), nth = self.requests, "fault injected");
        Some(kind)
    }
}

/// A fault that holds from the start, unless a place says when.
fn plan(spec: &FaultSpec, is: fn(&FaultKind) -> bool) -> Option<Planned> {
    let FaultSpec::One(Fault { kind, at, every }) = spec else { return None };
    is(kind).then(|| Planned { kind: kind.clone(), next: Some(at.unwrap_or(1)), every: *every })
}

/// The fault whose turn it is; those whose turn has come wait for something they suit.
fn due(planned: &mut [Planned], count: u64, suits: impl Fn(&FaultKind) -> bool) -> Option<FaultKind> {
    let plan = planned.iter_mut().find(|plan| plan.next.is_some_and(|next| next <= count) && suits(&plan.kind))?;
    plan.next = plan.every.map(|every| count + every);
    Some(plan.kind.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doorman(faults: &[&str]) -> Doorman {
        Doorman::new(&faults.iter().map(|fault| fault.parse().unwrap()).collect::<Vec<_>>())
    }

    #[test]
    fn attempts_are_counted() {
        let mut doorman = doorman(&["refuse:429@2+3", "rest-slow"]);
        let statuses: Vec<_> = (0..6).map(|_| doorman.refuses()).collect();
        assert_eq!(statuses, [None, Some(429), None, None, Some(429), None]);
    }

    #[test]
    fn a_stale_image_waits_for_one_that_is_asked_for() {
        let mut doorman = doorman(&["rest-stale@2", "rest-5xx:502@5"]);
        let spoilt: Vec<_> = [true, false, false, true, false, true].map(|image| doorman.spoils(image)).into();
        let expected = [None, None, None, Some(FaultKind::RestStale), Some(FaultKind::RestError(502)), None];
        assert_eq!(spoilt, expected);
    }
}
