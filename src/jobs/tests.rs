//! Jobs: the order of tasks, the time of rounds, and trees whose calls fail by chance.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::model::Mono;
use crate::venue::bybit;

pub(super) fn call(name: &str) -> Node {
    let call = CallPlan {
        venue: &bybit::VENUE,
        market: "spot".into(),
        base: "http://127.0.0.1:1".into(),
        path: format!("/{name}"),
        endpoint: None,
        params: vec![("a".to_owned(), "1".to_owned())],
        signer: None,
        weight: 2,
        timeout: Duration::from_secs(1),
    };
    Node { place: String::new(), name: Some(name.to_owned()), work: Work::Call(Box::new(call)) }
}

pub(super) fn group(at_once: bool, on_error: OnError, tasks: Vec<Node>) -> Node {
    let work = Work::Group(Group { at_once, pause: Duration::ZERO, on_error, tasks });
    Node { place: String::new(), name: None, work }
}

pub(super) fn tasks(nodes: Vec<Node>) -> VecDeque<Node> {
    nodes.into_iter().enumerate().map(|(at, node)| node.placed(&(at + 1).to_string())).collect()
}

/// Succeeds, but for the calls whose names it was given.
#[derive(Default)]
struct Venue {
    fails: BTreeSet<String>,
    results: Mutex<Vec<(String, String)>>,
    open: Mutex<(usize, usize)>,
}

impl Caller for Venue {
    fn call<'a>(&'a self, call: &'a CallPlan) -> Boxed<'a, Result<Answer, Failure>> {
        Box::pin(async move {
            {
                let mut open = self.open.lock().unwrap();
                open.0 += 1;
                open.1 = open.1.max(open.0);
            }
            tokio::task::yield_now().await;
            self.open.lock().unwrap().0 -= 1;
            match self.fails.contains(&call.path[1..]) {
                true => Err(Failure { status: Some(400), detail: "no".to_owned() }),
                false => Ok(Answer { status: 200, body: Bytes::from_static(b"{}"), path: call.path.clone() }),
            }
        })
    }
}

impl Sink for Venue {
    fn take<'a>(&'a self, result: TaskResult) -> Boxed<'a, ()> {
        let outcome = result.outcome.map_or_else(|failure| failure.detail, |_| "ok".to_owned());
        self.results.lock().unwrap().push((result.place, outcome));
        Box::pin(async {})
    }
}

fn runner(venue: &Arc<Venue>) -> Runner {
    Runner { caller: Arc::clone(venue) as Arc<dyn Caller>, sink: Arc::clone(venue) as Arc<dyn Sink> }
}

fn places(venue: &Venue) -> Vec<String> {
    venue.results.lock().unwrap().iter().map(|(place, _)| place.clone()).collect()
}

async fn run(order: Order, on_error: OnError, nodes: Vec<Node>, fails: &[&str]) -> (Arc<Venue>, Outcome) {
    let fails = fails.iter().map(|name| (*name).to_owned()).collect();
    let venue = Arc::new(Venue { fails, ..Venue::default() });
    let mut turns = Turns::new(order, tasks(nodes), Duration::ZERO);
    let outcome = runner(&venue).run(&mut turns, on_error).await;
    (venue, outcome)
}

#[tokio::test]
async fn a_queue_runs_first_in_first_out_and_a_stack_last_in_first_out() {
    let nodes = || vec![call("a"), call("b"), call("c")];
    let (venue, outcome) = run(Order::Queue, OnError::Continue, nodes(), &["b"]).await;
    assert_eq!(places(&venue), ["1", "2", "3"]);
    assert_eq!((outcome.done, outcome.failed, outcome.stops), (2, 1, false));
    let (venue, _) = run(Order::Stack, OnError::Continue, nodes(), &[]).await;
    assert_eq!(places(&venue), ["3", "2", "1"]);
    let (venue, outcome) = run(Order::Queue, OnError::Stop, nodes(), &["b"]).await;
    assert_eq!(places(&venue), ["1", "2", "3"], "and says what it did not do");
    assert!(venue.results.lock().unwrap()[2].1.starts_with("not made: a task of the job failed"));
    assert_eq!((outcome.done, outcome.failed, outcome.stops), (1, 2, true));
    let (venue, outcome) = run(Order::Stack, OnError::Stop, nodes(), &["b"]).await;
    assert_eq!((places(&venue), outcome.failed), (vec!["3".to_owned(), "2".to_owned(), "1".to_owned()], 2));
}

#[tokio::test]
async fn a_ring_that_stops_on_errors_says_what_its_round_did_not_do() {
    let ring = Order::Ring { rounds: Some(9), interval: Duration::ZERO };
    let group = group(true, OnError::Continue, vec![call("c"), call("d")]);
    let (venue, outcome) = run(ring, OnError::Stop, vec![call("a"), call("b"), group], &["b"]).await;
    assert_eq!(places(&venue), ["1", "2", "3.1", "3.2"]);
    assert_eq!((outcome.done, outcome.failed), (1, 3));
    let (venue, _) = run(ring, OnError::Stop, vec![call("a"), call("b")], &["b"]).await;
    assert_eq!(places(&venue), ["1", "2"], "nothing was left of the round");
}

#[tokio::test]
async fn a_ring_goes_round_as_often_as_it_should() {
    let ring = Order::Ring { rounds: Some(3), interval: Duration::ZERO };
    let (venue, outcome) = run(ring, OnError::Continue, vec![call("a"), call("b")], &[]).await;
    assert_eq!(places(&venue), ["1", "2", "1", "2", "1", "2"]);
    assert_eq!(outcome.done, 6);
}

#[tokio::test]
async fn groups_run_as_they_should() {
    let series = group(false, OnError::Continue, vec![call("a"), call("b")]);
    let side = group(true, OnError::Continue, vec![call("c"), call("d"), series]);
    let (venue, outcome) = run(Order::Queue, OnError::Continue, vec![side, call("e")], &["a"]).await;
    let mut seen = places(&venue);
    assert_eq!(seen.pop().as_deref(), Some("2"), "after the group");
    assert_eq!(
        seen.iter().position(|p| p == "1.3.1").map(|at| at < seen.iter().position(|p| p == "1.3.2").unwrap()),
        Some(true)
    );
    seen.sort();
    assert_eq!(seen, ["1.1", "1.2", "1.3.1", "1.3.2"], "a failure stops nobody");
    assert_eq!((outcome.done, outcome.failed), (4, 1));
    assert_eq!(venue.open.lock().unwrap().1, 3, "at the same time");
}

#[tokio::test]
async fn a_group_that_stops_on_errors_says_what_it_did_not_do() {
    let series =
        group(false, OnError::Stop, vec![call("a"), call("b"), group(true, OnError::Continue, vec![call("c")])]);
    let (venue, outcome) = run(Order::Queue, OnError::Continue, vec![series, call("d")], &["a"]).await;
    let results = venue.results.lock().unwrap().clone();
    let told: Vec<(&str, &str)> = results.iter().map(|(place, what)| (place.as_str(), &what[..2])).collect();
    assert_eq!(told, [("1.1", "no"), ("1.2", "no"), ("1.3.1", "no"), ("2", "ok")]);
    assert!(results[1].1.starts_with("not made"), "{results:?}");
    assert_eq!((outcome.done, outcome.failed), (1, 3));
    let many = (0..200).map(|n| call(&n.to_string())).collect();
    let (venue, outcome) = run(Order::Queue, OnError::Continue, vec![group(true, OnError::Stop, many)], &["0"]).await;
    assert_eq!(outcome.done + outcome.failed, 200, "each is told");
    assert!(outcome.failed > 10, "those that had not begun are not made");
    assert!(venue.open.lock().unwrap().1 <= 64);
}

/// The times at which rounds start, when each takes so long, all in milliseconds after the first.
fn rounds(interval: u64, takes: &[u64]) -> (Vec<u64>, u64) {
    let ring = Order::Ring { rounds: Some(takes.len() as u64), interval: Duration::from_millis(interval) };
    let mut turns = Turns::new(ring, tasks(vec![call("a")]), Duration::ZERO);
    let (mut now, mut starts) = (Mono(5_000_000_000), Vec::new());
    loop {
        match turns.next(now) {
            Turn::Idle => return (starts, turns.skipped()),
            Turn::Wait(at) => {
                assert!(at > now);
                now = at;
            }
            Turn::Run(_, round) => {
                assert_eq!(round as usize, starts.len() + 1);
                starts.push((now.0 - 5_000_000_000) / 1_000_000);
                now = now.after(Duration::from_millis(takes[starts.len() - 1]));
                turns.ended(now);
            }
        }
    }
}

#[test]
fn rounds_keep_their_beat_and_missed_ticks_are_skipped() {
    assert_eq!(rounds(100, &[10, 10, 10]), (vec![0, 100, 200], 0));
    assert_eq!(rounds(100, &[100, 100, 10]), (vec![0, 100, 200], 0), "exactly as long as the interval");
    assert_eq!(rounds(100, &[250, 10, 101, 10]), (vec![0, 300, 400, 600], 3), "no pile-up, and the beat stays");
    assert_eq!(rounds(0, &[5, 7, 9]), (vec![0, 5, 12], 0), "as fast as they come");
}

proptest! {
    #[test]
    fn rounds_start_on_the_beat_and_never_overlap(interval in 1_u64..500, takes in prop::collection::vec(0_u64..2_000, 1..30)) {
        let (starts, skipped) = rounds(interval, &takes);
        prop_assert_eq!(starts.len(), takes.len());
        for (at, start) in starts.iter().enumerate() {
            prop_assert_eq!(start % interval, 0);
            if at > 0 {
                prop_assert!(starts[at - 1] + takes[at - 1] <= *start && starts[at - 1] < *start);
                let late = start - (starts[at - 1] + takes[at - 1]).max(starts[at - 1] + 1);
                prop_assert!(late < interval, "it begins at the first tick that it can");
            }
        }
        let last = starts.last().copied().unwrap_or(0) / interval;
        let ran = starts.len() as u64 - 1;
        let after = takes.last().copied().unwrap_or(0).div_ceil(interval).max(1) - 1;
        prop_assert_eq!(last - ran + after, skipped, "each missed tick is counted");
    }

    #[test]
    fn whatever_fails_each_call_is_told_once(shape in shape(), fails in prop::collection::btree_set(0_u32..40, 0..20), stop in any::<bool>()) {
        let mut names = BTreeMap::new();
        let node = shape.build(&mut names, stop);
        let total = node.calls();
        let fails: Vec<String> = fails.iter().map(|n| format!("t{n}")).collect();
        let fails: Vec<&str> = fails.iter().map(String::as_str).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (venue, outcome) = runtime.block_on(run(Order::Queue, OnError::Continue, vec![node], &fails));
        let mut told = places(&venue);
        told.sort();
        let count = told.len();
        told.dedup();
        prop_assert_eq!(told.len(), count, "twice");
        prop_assert_eq!(count, total);
        prop_assert_eq!(outcome.done + outcome.failed, total as u64);
        if !stop {
            let failing = names.keys().filter(|name| fails.contains(&name.as_str())).count();
            prop_assert_eq!(outcome.failed, failing as u64, "and nothing else");
        }
    }
}

/// A tree of calls.
#[derive(Clone, Debug)]
enum Shape {
    Call,
    Group(bool, Vec<Shape>),
}

impl Shape {
    fn build(&self, names: &mut BTreeMap<String, ()>, stop: bool) -> Node {
        let on_error = if stop { OnError::Stop } else { OnError::Continue };
        match self {
            Self::Call => {
                let name = format!("t{}", names.len());
                names.insert(name.clone(), ());
                call(&name)
            }
            Self::Group(at_once, shapes) => {
                let tasks = shapes.iter().map(|shape| shape.build(names, stop)).collect();
                group(*at_once, on_error, tasks)
            }
        }
    }
}

fn shape() -> impl Strategy<Value = Shape> {
    Just(Shape::Call).prop_recursive(4, 40, 6, |inner| {
        (any::<bool>(), prop::collection::vec(inner, 1..6)).prop_map(|(at_once, shapes)| Shape::Group(at_once, shapes))
    })
}

#[test]
fn a_tree_is_shown_as_it_will_run() {
    let nodes = vec![call("a"), group(true, OnError::Stop, vec![call("b"), call("c")])];
    let job = JobPlan {
        name: "demo".into(),
        order: Order::Ring { rounds: Some(2), interval: Duration::from_secs(1) },
        pause: Duration::from_millis(50),
        on_error: OnError::Continue,
        tasks: tasks(nodes),
        settings: Arc::default(),
    };
    let shown = show(&job);
    let want = "demo: ring, 2 rounds, one each 1000 ms, 50 ms between tasks\n\
                ├─ 1 a /a GET http://127.0.0.1:1/a?a=1 (weight 2)\n\
                └─ 2 gather, at the same time, stops on errors\n   \
                ├─ 2.1 b /b GET http://127.0.0.1:1/b?a=1 (weight 2)\n   \
                └─ 2.2 c /c GET http://127.0.0.1:1/c?a=1 (weight 2)\n";
    assert_eq!(shown, want);
}
