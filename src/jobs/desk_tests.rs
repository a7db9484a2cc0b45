//! Jobs that come and go: their states, what is added, and results that are taken one by one.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Instant, timeout};

use super::tests::{call, group, tasks};
use super::*;
use crate::bus::Outgoing;
use crate::clock;
use crate::frame::{Encoding, LastSeq};
use crate::io::FrameSink;
use crate::venue::VenueDef;
use std::sync::Arc;

const PATIENCE: Duration = Duration::from_secs(20);

/// Answers at once, counts, and fails calls of the path `/bad`; those of `/never` are not answered.
#[derive(Default)]
struct Fake {
    made: AtomicUsize,
    frames: Mutex<Vec<(u64, serde_json::Value)>>,
}

impl Caller for Fake {
    fn call<'a>(&'a self, call: &'a CallPlan) -> Boxed<'a, Result<Answer, Failure>> {
        Box::pin(async move {
            self.made.fetch_add(1, Ordering::SeqCst);
            match call.path.as_str() {
                "/bad" => Err(Failure { status: Some(400), detail: "no".to_owned() }),
                "/never" => std::future::pending().await,
                _ => Ok(Answer { status: 200, body: Bytes::from_static(b"[1.50]"), path: call.path.clone() }),
            }
        })
    }
}

impl FrameSink for Fake {
    fn publish(&self, batch: &mut Vec<Outgoing>) {
        for work in batch.drain(..) {
            let Outgoing::Frame(frame) = work else { panic!("a frame") };
            self.frames.lock().unwrap().push((frame.seq, serde_json::from_slice(&frame.payload).unwrap()));
        }
    }
}

/// No feed publishes anything.
struct Nobody;

impl Sources for Nobody {
    fn hold(&self, _venue: &'static VenueDef, _market: &Arc<str>, work: &mut dyn FnMut(SourceOf<'_>)) {
        work(&|_| None);
    }
}

fn desk() -> (Desk, Arc<Fake>) {
    let fake = Arc::<Fake>::default();
    let sink = Arc::clone(&fake) as Arc<dyn FrameSink>;
    let frames = Frames::new(7, Encoding::Json, LastSeq::new(|_| 0, 0), Arc::new(Nobody), Arc::clone(&sink));
    (Desk::new(Arc::clone(&fake) as Arc<dyn Caller>, sink, Arc::new(frames), 7, Encoding::Json), fake)
}

fn plan(name: &str, order: Order, nodes: Vec<Node>) -> JobPlan {
    JobPlan {
        name: name.into(),
        order,
        pause: Duration::ZERO,
        on_error: OnError::Continue,
        tasks: tasks(nodes),
        settings: Arc::default(),
    }
}

async fn until(job: &RunningJob, wanted: impl Fn(Phase) -> bool) {
    let wait = async {
        while !wanted(job.phase()) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("still {:?}", job.phase()));
}

/// The places of the next results, as they are told.
async fn places(job: &RunningJob, most: usize) -> Vec<String> {
    let mut places = Vec::new();
    while places.len() < most {
        let Some(result) = job.next_result(Instant::now() + PATIENCE, usize::MAX).await else { break };
        let told: serde_json::Value = serde_json::from_slice(&result).unwrap();
        places.push(told["task"].as_str().unwrap().to_owned());
    }
    places
}

#[tokio::test]
async fn a_queue_that_is_done_takes_more_tasks_and_its_sequence_goes_on() {
    let (desk, fake) = desk();
    let job = desk.start(plan("a", Order::Queue, vec![call("x"), call("bad")]), Origin::Command, Results::Bus).unwrap();
    until(&job, |phase| phase == Phase::Idle).await;
    let report = job.report(clock::now());
    assert_eq!((report.done, report.failed, report.tasks, report.results), (1, 1, 0, None));
    assert_eq!(
        desk.add(&job, vec![call("y"), group(true, OnError::Continue, vec![call("z")])]),
        Ok(vec!["3".to_owned(), "4".to_owned()])
    );
    assert_ne!(job.phase(), Phase::Idle, "there is something to do, whether it has noticed or not");
    until(&job, |phase| phase == Phase::Idle).await;
    assert_eq!(job.report(clock::now()).done, 3);
    // The name again: what was done makes room, and subscribers see no gap.
    let again = desk.start(plan("a", Order::Queue, vec![call("x")]), Origin::Command, Results::Bus).unwrap();
    until(&again, |phase| phase == Phase::Idle).await;
    let frames = fake.frames.lock().unwrap();
    assert_eq!(frames.iter().map(|(seq, _)| *seq).collect::<Vec<_>>(), [1, 2, 3, 4, 5]);
    assert_eq!((&frames[3].1["task"], &frames[3].1["epoch"]), (&serde_json::json!("4.1"), &serde_json::json!(7)));
}

#[tokio::test]
async fn results_are_taken_one_by_one_and_the_job_waits_for_whoever_takes_them() {
    let (desk, fake) = desk();
    let nodes = (0..200).map(|n| call(&n.to_string())).collect();
    let job = desk.start(plan("a", Order::Queue, nodes), Origin::Command, Results::Pull).unwrap();
    let full = async {
        while job.report(clock::now()).results != Some(64) {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, full).await.unwrap();
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    assert_eq!(fake.made.load(Ordering::SeqCst), 65, "one has its result in hand");
    let mut taken = places(&job, 1).await;
    assert_eq!(taken, ["1"]);
    // Two who take at the same time get different ones, and together all of them.
    let (one, other) = tokio::join!(places(&job, 1_000), places(&job, 1_000));
    taken.extend(one);
    taken.extend(other);
    taken.sort_by_key(|place| place.parse::<u32>().unwrap());
    assert_eq!(taken, (1..=200).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!((job.phase(), job.report(clock::now()).results), (Phase::Idle, Some(0)));
    assert!(fake.frames.lock().unwrap().is_empty(), "none of them goes onto the bus");
    // Whoever waits is woken by what is added.
    let (result, added) = tokio::join!(places(&job, 1), async { desk.add(&job, vec![call("more")]) });
    assert_eq!(added, Ok(vec!["201".to_owned()]));
    assert!(result == ["201"] || places(&job, 1).await == ["201"]);
}

#[tokio::test]
async fn nobody_waits_longer_than_they_want() {
    let (desk, _) = desk();
    let job = desk.start(plan("a", Order::Queue, vec![call("never")]), Origin::Command, Results::Pull).unwrap();
    let soon = Instant::now() + Duration::from_millis(30);
    let (one, other) = tokio::join!(job.next_result(soon, 99), job.next_result(soon, 99));
    assert_eq!((one, other, job.phase()), (None, None, Phase::Running));
    desk.stop(&job);
    assert_eq!((job.phase(), job.next_result(Instant::now() + PATIENCE, usize::MAX).await), (Phase::Stopped, None));
    assert!(matches!(desk.find("a"), Err(DeskError::Unknown { .. })));
}

#[tokio::test]
async fn a_ring_says_when_its_next_turn_is_and_one_that_stops_on_errors_is_over() {
    let (desk, _) = desk();
    let ring = Order::Ring { rounds: None, interval: Duration::from_secs(3600) };
    let job = desk.start(plan("a", ring, vec![call("x")]), Origin::Config, Results::Bus).unwrap();
    until(&job, |phase| matches!(phase, Phase::Waiting(_))).await;
    let (now, report) = (clock::now(), job.report(clock::now()));
    let wait = report.next.unwrap().0 - now.wall.0;
    assert!(wait > 3_590_000_000_000 && wait <= 3_600_000_000_000, "{wait}");
    assert_eq!((report.round, report.tasks), (2, 1));
    assert!(desk.add(&job, vec![call("y")]).is_ok(), "it takes part in the next round");

    let stops = JobPlan { on_error: OnError::Stop, ..plan("b", Order::Queue, vec![call("bad"), call("x")]) };
    let job = desk.start(stops, Origin::Command, Results::Pull).unwrap();
    until(&job, |phase| phase == Phase::Failed).await;
    let report = job.report(clock::now());
    assert_eq!((report.tasks, report.done, report.failed), (0, 0, 2), "what is not made has no result");
    assert_eq!(places(&job, 9).await, ["1", "2"], "and says so");
    assert!(desk.add(&job, vec![call("x")]).unwrap_err().to_string().contains("is over"));
    let done = Order::Ring { rounds: Some(1), interval: Duration::ZERO };
    let job = desk.start(plan("c", done, vec![call("x")]), Origin::Command, Results::Bus).unwrap();
    until(&job, |phase| phase == Phase::Idle).await;
    assert!(desk.add(&job, vec![call("x")]).is_err(), "its rounds are over");
}

#[tokio::test]
async fn there_are_only_so_many_and_what_is_over_goes_first() {
    let (desk, _) = desk();
    let start = |name: &str, path: &str, results| {
        desk.start(plan(name, Order::Queue, vec![call(path)]), Origin::Command, results)
    };
    let spent = start("spent", "x", Results::Bus).unwrap();
    let untaken = start("untaken", "x", Results::Pull).unwrap();
    for job in [&spent, &untaken] {
        until(job, |phase| phase == Phase::Idle).await;
    }
    (2..100).for_each(|n| drop(start(&format!("busy{n}"), "never", Results::Bus).unwrap()));
    assert!(matches!(start("busy2", "x", Results::Bus), Err(DeskError::Exists(_))));
    assert!(matches!(start("untaken", "x", Results::Pull), Err(DeskError::Exists(_))), "its results would be lost");
    start("busy1", "never", Results::Bus).unwrap();
    assert!(desk.find("spent").is_err(), "it made room");
    let told = start("one_more", "x", Results::Bus).err().unwrap();
    assert_eq!(told.to_string(), "there are 100 jobs; stop one, or take its results");
    places(&untaken, 1).await;
    let last = start("one_more", "x", Results::Bus).unwrap();
    // Those started before it have begun by then.
    until(&last, |phase| phase == Phase::Idle).await;
    let many: VecDeque<Node> = (0..10_001).map(|n| call(&n.to_string())).collect();
    let busy = desk.find("busy1").unwrap();
    assert!(desk.add(&busy, many.into()).unwrap_err().to_string().contains("add them when some have run"));
    assert_eq!(busy.report(clock::now()).tasks, 0, "all of them or none");
    let huge = || group(true, OnError::Continue, (0..60_000).map(|_| call("x")).collect());
    assert!(desk.add(&busy, vec![huge()]).is_ok());
    let told = desk.add(&busy, vec![huge()]).unwrap_err();
    assert_eq!(told.to_string(), "jobs of commands may have 100000 calls to make; 60000 wait already");
    desk.end();
    assert!(desk.reports().is_empty() && busy.phase() == Phase::Stopped);
    assert!(start("late", "x", Results::Bus).is_err());
}

#[tokio::test]
async fn what_somebody_has_no_room_for_waits_for_the_next() {
    let (desk, _) = desk();
    let nodes = vec![call("x"), call("y")];
    let job = desk.start(plan("a", Order::Queue, nodes), Origin::Command, Results::Pull).unwrap();
    until(&job, |phase| phase == Phase::Idle).await;
    let later = || Instant::now() + PATIENCE;
    assert_eq!(job.next_result(later(), 10).await, None, "it is larger");
    assert_eq!((job.report(clock::now()).results, job.is_spent()), (Some(2), false), "and is still there");
    assert_eq!(places(&job, 9).await, ["1", "2"], "in its place");
}

#[tokio::test]
async fn results_are_counted_one_by_one_though_their_group_runs_on() {
    let (desk, _) = desk();
    let nodes = vec![group(true, OnError::Continue, vec![call("x"), call("bad"), call("never")])];
    let job = desk.start(plan("a", Order::Queue, nodes), Origin::Command, Results::Pull).unwrap();
    assert_eq!(places(&job, 2).await.len(), 2);
    let report = job.report(clock::now());
    assert_eq!((report.phase, report.done, report.failed), (Phase::Running, 1, 1));
}
