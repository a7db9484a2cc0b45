//! What the desk promises whatever happens: the budget, one answer a call, no call sent twice that must not be.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::connection::Place;
use super::desk::{Action, Desk};
use super::host::End;
use super::{LinkError, PoolLimits};
use crate::model::Mono;
use crate::venue::{Host, RpcRequest, Urgency};

/// One thing that happens to a desk.
#[derive(Clone, Debug)]
enum Step {
    /// So many milliseconds pass.
    Pass(u64),
    /// Calls enter: how many, how urgent, whether to the data host, whether they may be repeated.
    Enter(u8, u8, bool, bool),
    /// Dials that are under way end, well or not.
    Dialed(bool),
    /// The oldest request under way is answered.
    Answer,
    /// The oldest request under way is not answered in time.
    TimeOut,
    /// The connection of the oldest request under way is lost.
    Lose,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..60u64).prop_map(Step::Pass),
        1 => (1_000..20_000u64).prop_map(Step::Pass),
        4 => (1..40u8, 0..3u8, any::<bool>(), any::<bool>()).prop_map(|(n, u, d, i)| Step::Enter(n, u, d, i)),
        3 => any::<bool>().prop_map(Step::Dialed),
        6 => Just(Step::Answer),
        1 => Just(Step::TimeOut),
        1 => Just(Step::Lose),
    ]
}

/// A desk, and all it did.
struct Watched {
    desk: Desk,
    now: Mono,
    dialing: Vec<Place>,
    under_way: VecDeque<(Place, String)>,
    sent: BTreeMap<String, (u64, bool)>,
    sent_at: Vec<Mono>,
    answered: BTreeMap<u64, u64>,
    entered: u64,
}

const LIMITS: PoolLimits = PoolLimits { connections: 3, calls_per_second: 50, burst: 7 };

impl Watched {
    fn new() -> Self {
        Self {
            desk: Desk::new(vec!["a".into(), "b".into()], LIMITS, Mono(0)),
            now: Mono(0),
            dialing: Vec::new(),
            under_way: VecDeque::new(),
            sent: BTreeMap::new(),
            sent_at: Vec::new(),
            answered: BTreeMap::new(),
            entered: 0,
        }
    }

    fn obey(&mut self, step: &Step) {
        let mut out = Vec::new();
        match step {
            Step::Pass(ms) => return self.pass(Duration::from_millis(*ms)),
            Step::Enter(count, urgency, data, idempotent) => {
                for _ in 0..*count {
                    self.enter(*urgency, *data, *idempotent);
                }
            }
            Step::Dialed(well) => {
                for place in std::mem::take(&mut self.dialing) {
                    match well {
                        true => self.desk.opened(place, self.now),
                        false => self.close(place, &failed(), &mut out),
                    }
                }
            }
            Step::Answer => {
                if let Some((place, body)) = self.under_way.pop_front() {
                    self.desk.answered(place, Bytes::from(body), self.now, &mut out);
                }
            }
            Step::TimeOut => {
                if let Some((place, _)) = self.under_way.pop_front() {
                    self.close(place, &End::TimedOut, &mut out);
                }
            }
            Step::Lose => {
                if let Some((place, _)) = self.under_way.pop_front() {
                    self.close(place, &failed(), &mut out);
                }
            }
        }
        self.advance(out);
    }

    fn enter(&mut self, urgency: u8, data: bool, idempotent: bool) {
        self.entered += 1;
        let request = RpcRequest {
            id: self.entered,
            host: if data { Host::Data } else { Host::Rpc },
            urgency: [Urgency::Control, Urgency::Data, Urgency::Background][usize::from(urgency)],
            body: self.entered.to_string(),
            timeout: Duration::from_secs(1),
            idempotent,
        };
        self.sent.insert(request.body.clone(), (0, idempotent));
        self.desk.enter(1, request, self.now).unwrap();
    }

    fn close(&mut self, place: Place, end: &End, out: &mut Vec<Action>) {
        self.desk.closed(place, end, self.now, 0.5, out);
    }

    /// Wakes the desk when it asks for it, as the dispatcher does.
    fn pass(&mut self, by: Duration) {
        let until = self.now.after(by);
        let mut wakes = 0;
        while let Some(at) = self.desk.next_wake(self.now).filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.advance(Vec::new());
            wakes += 1;
            assert!(wakes < 10_000, "it wakes again and again at {:?}", self.now);
        }
        self.now = until;
        self.advance(Vec::new());
    }

    fn advance(&mut self, mut out: Vec<Action>) {
        self.desk.advance(self.now, &mut out);
        for action in out {
            match action {
                Action::Dial(place) => {
                    assert!(!self.dialing.contains(&place), "dialed twice");
                    self.dialing.push(place);
                }
                Action::Send { place, body, .. } => {
                    assert!(self.under_way.iter().all(|(other, _)| *other != place), "two calls on one connection");
                    self.sent.get_mut(&body).unwrap().0 += 1;
                    self.sent_at.push(self.now);
                    self.under_way.push_back((place, body));
                }
                Action::Answer { answer, .. } => {
                    assert_eq!(answer.request, answer.id.to_string());
                    *self.answered.entry(answer.id).or_default() += 1;
                }
            }
        }
    }

    /// Everything goes well for long enough.
    fn finish(&mut self) {
        for _ in 0..400 {
            self.obey(&Step::Dialed(true));
            while !self.under_way.is_empty() {
                self.obey(&Step::Answer);
            }
            self.pass(Duration::from_millis(100));
        }
    }

    fn check(&self) {
        for (first, from) in self.sent_at.iter().enumerate() {
            for (more, to) in self.sent_at[first..].iter().enumerate() {
                let allowed = 7.0 + 50.0 * to.since(*from).as_secs_f64() + 1e-6;
                assert!((more + 1) as f64 <= allowed, "{} calls from {from:?} to {to:?}", more + 1);
            }
        }
        for (body, (times, idempotent)) in &self.sent {
            assert!(*times <= 1 + u64::from(*idempotent), "call {body} was sent {times} times");
        }
        assert!(self.answered.values().all(|count| *count == 1), "answered twice");
        assert_eq!(self.answered.len() as u64, self.entered, "every call has its answer");
        let report = self.desk.report(&"t".into());
        assert_eq!((report.in_flight, report.waiting), (0, 0));
        assert_eq!(report.counters.sent, self.sent_at.len() as u64);
        assert_eq!(report.counters.answered + report.counters.failed, report.counters.calls);
    }
}

fn failed() -> End {
    End::Failed(LinkError { refused: false, reason: "gone".to_owned() })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn the_budget_holds_and_every_call_has_one_answer(steps in proptest::collection::vec(step(), 1..120)) {
        let mut watched = Watched::new();
        watched.advance(Vec::new());
        for step in &steps {
            watched.obey(step);
        }
        watched.finish();
        watched.check();
    }
}

#[test]
fn a_dead_host_is_dialed_one_at_a_time_and_ever_more_rarely() {
    let mut watched = Watched::new();
    watched.advance(Vec::new());
    assert_eq!(watched.dialing.len(), 6, "at first all of them");
    watched.obey(&Step::Dialed(false));
    let mut dials = 0;
    for _ in 0..600 {
        watched.pass(Duration::from_millis(100));
        assert!(watched.dialing.len() <= 2, "one a host");
        dials += watched.dialing.len();
        watched.obey(&Step::Dialed(false));
    }
    assert!((20..60).contains(&dials), "{dials} in a minute, at two hosts");
    watched.obey(&Step::Enter(5, 0, false, true));
    assert_eq!(watched.answered.len(), 5, "nobody waits for a host that is not there");
    watched.pass(Duration::from_secs(6));
    watched.obey(&Step::Dialed(true));
    assert_eq!(watched.dialing.len(), 4, "once one is open, the others follow");
}
