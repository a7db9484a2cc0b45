//! Carries a job out. It waits, calls through a [`Caller`] and hands each result on as it comes; it owns no socket.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::time::{sleep, sleep_until};

use super::plan::{CallPlan, Group, Node, OnError, Work};
use super::result::{Answer, Failure, TaskResult};
use super::turns::{Turn, Turns};
use crate::clock;

/// Calls of one group that are under way at one time; more wait for their turn.
const AT_ONCE: usize = 64;
const GROUP_STOPS: &str = "not made: a task of its group failed, and the group stops on errors";
pub(super) const JOB_STOPS: &str = "not made: a task of the job failed, and the job stops on errors";

/// A future on the heap.
pub type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Makes calls: through the venue's budget, signed where the call says so.
pub trait Caller: Send + Sync {
    /// Makes a call. A status that is no success is a failure.
    fn call<'a>(&'a self, call: &'a CallPlan) -> Boxed<'a, Result<Answer, Failure>>;
}

/// Takes the results of calls as they come.
pub trait Sink: Send + Sync {
    /// Takes one; the job waits for it.
    fn take<'a>(&'a self, result: TaskResult) -> Boxed<'a, ()>;
}

/// How a task ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Calls that have a result.
    pub done: u64,
    /// Calls that have none, those that were not made included.
    pub failed: u64,
    /// Whether the tasks after it are stopped by it, if their group stops on errors.
    pub stops: bool,
}

impl Outcome {
    fn add(&mut self, other: Self) {
        self.done += other.done;
        self.failed += other.failed;
    }
}

/// What a job runs with.
#[derive(Clone)]
pub struct Runner {
    /// Makes its calls.
    pub caller: Arc<dyn Caller>,
    /// Takes its results.
    pub sink: Arc<dyn Sink>,
}

impl Runner {
    /// Runs a job's tasks until there are none left, or one stops it. A job that gets more tasks is run again.
    pub async fn run(&self, turns: &mut Turns, on_error: OnError) -> Outcome {
        let mut all = Outcome::default();
        while let Some(one) = self.step(turns).await {
            all.add(one);
            if one.stops && on_error == OnError::Stop {
                all.stops = true;
                for (node, round) in turns.rest() {
                    all.add(self.leave_out(&node, round, JOB_STOPS).await);
                }
                break;
            }
        }
        all
    }

    /// Runs the next task when its time has come; `None` when there is none.
    pub async fn step(&self, turns: &mut Turns) -> Option<Outcome> {
        loop {
            match turns.next(clock::now().mono) {
                Turn::Idle => return None,
                Turn::Wait(until) => sleep_until(clock::instant_of(until)).await,
                Turn::Run(node, round) => {
                    let outcome = self.task(&node, round).await;
                    turns.ended(clock::now().mono);
                    return Some(outcome);
                }
            }
        }
    }

    /// Runs one task of this round, and hands on the results of its calls.
    pub fn task<'a>(&'a self, node: &'a Node, round: u64) -> Boxed<'a, Outcome> {
        Box::pin(async move {
            match &node.work {
                Work::Call(call) => self.call(node, call, round).await,
                Work::Group(group) if group.at_once => self.gather(group, round).await,
                Work::Group(group) => self.serial(group, round).await,
            }
        })
    }

    async fn call(&self, node: &Node, call: &CallPlan, round: u64) -> Outcome {
        let started = clock::now();
        let outcome = self.caller.call(call).await;
        let stops = outcome.is_err();
        let result = TaskResult {
            place: node.place.clone(),
            name: node.name.clone(),
            round,
            call: call.clone(),
            started: started.wall,
            took: clock::now().mono.since(started.mono),
            outcome,
        };
        self.sink.take(result).await;
        Outcome { done: u64::from(!stops), failed: u64::from(stops), stops }
    }

    async fn serial(&self, group: &Group, round: u64) -> Outcome {
        let mut all = Outcome::default();
        for (at, node) in group.tasks.iter().enumerate() {
            if at > 0 && !group.pause.is_zero() {
                sleep(group.pause).await;
            }
            let one = self.task(node, round).await;
            all.add(one);
            if one.stops && group.on_error == OnError::Stop {
                all.stops = true;
                for later in group.tasks.iter().skip(at + 1) {
                    all.add(self.leave_out(later, round, GROUP_STOPS).await);
                }
                break;
            }
        }
        all
    }

    /// What stops on errors begins no more calls; those under way are finished.
    async fn gather(&self, group: &Group, round: u64) -> Outcome {
        let mut all = Outcome::default();
        let mut waiting = group.tasks.iter();
        let mut running: FuturesUnordered<_> =
            waiting.by_ref().take(AT_ONCE).map(|node| self.task(node, round)).collect();
        while let Some(one) = running.next().await {
            all.add(one);
            all.stops |= one.stops && group.on_error == OnError::Stop;
            if let Some(node) = waiting.next() {
                match all.stops {
                    false => running.push(self.task(node, round)),
                    true => all.add(self.leave_out(node, round, GROUP_STOPS).await),
                }
            }
        }
        for node in waiting {
            all.add(self.leave_out(node, round, GROUP_STOPS).await);
        }
        all
    }

    /// Says of every call in a task that it was not made.
    pub(super) fn leave_out<'a>(&'a self, node: &'a Node, round: u64, why: &'static str) -> Boxed<'a, Outcome> {
        Box::pin(async move {
            let mut all = Outcome::default();
            match &node.work {
                Work::Call(call) => {
                    self.sink.take(TaskResult::not_made(node, call, round, clock::wall(), why)).await;
                    all.failed = 1;
                }
                Work::Group(group) => {
                    for task in &group.tasks {
                        all.add(self.leave_out(task, round, why).await);
                    }
                }
            }
            all
        })
    }
}
