//! A job that runs: its turns, how it stands, and its results.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::plan::{JobPlan, Node, OnError, Order};
use super::pull::{Pulled, Taken};
use super::result::TaskResult;
use super::run::{Boxed, Caller, JOB_STOPS, Runner, Sink};
use super::turns::{Turn, Turns};
use crate::clock;
use crate::config::jobs::Job;
use crate::model::{Mono, Stamp, UnixNanos};

/// How a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// A task runs.
    Running,
    /// The next task has its turn then.
    Waiting(Mono),
    /// There is nothing left to do; a queue or a stack may get more.
    Idle,
    /// A task has failed, and the job stops on errors.
    Failed,
    /// It was told to stop.
    Stopped,
}

impl Phase {
    /// The word for it in answers.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::Waiting(_) => "waiting",
            Self::Idle => "idle",
            Self::Failed => "failed",
            Self::Stopped => "stopped",
        }
    }

    /// Whether nothing happens any more by itself.
    pub const fn is_over(self) -> bool {
        matches!(self, Self::Idle | Self::Failed | Self::Stopped)
    }
}

/// Where a job comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// The config.
    Config,
    /// A command.
    Command,
}

/// How a job stands, with its counters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobReport {
    /// Its name.
    pub name: Arc<str>,
    /// Where it comes from.
    pub origin: Origin,
    /// The order of its tasks.
    pub order: Order,
    /// How it stands.
    pub phase: Phase,
    /// When its next task has its turn, if it waits for one.
    pub next: Option<UnixNanos>,
    /// The round that runs or comes next, from 1.
    pub round: u64,
    /// Tasks that wait; of a ring, all.
    pub tasks: usize,
    /// Calls that have a result.
    pub done: u64,
    /// Calls that have none.
    pub failed: u64,
    /// Rounds that had no turn because the one before took too long.
    pub skipped: u64,
    /// Results that wait to be taken, if they are taken one by one.
    pub results: Option<usize>,
}

/// Calls whose results were handed on.
#[derive(Debug, Default)]
struct Counts {
    done: AtomicU64,
    failed: AtomicU64,
}

/// Counts results on their way, so that whoever has one finds it counted.
struct Counted {
    counts: Arc<Counts>,
    sink: Arc<dyn Sink>,
}

impl Sink for Counted {
    fn take<'a>(&'a self, result: TaskResult) -> Boxed<'a, ()> {
        let counter = if result.outcome.is_ok() { &self.counts.done } else { &self.counts.failed };
        counter.fetch_add(1, Ordering::Relaxed);
        self.sink.take(result)
    }
}

/// A job that runs, or ran.
pub struct RunningJob {
    name: Arc<str>,
    origin: Origin,
    order: Order,
    on_error: OnError,
    settings: Arc<Job>,
    turns: Mutex<Turns>,
    phase: watch::Sender<Phase>,
    /// Tasks were added.
    more: Notify,
    counts: Arc<Counts>,
    pulled: Option<Pulled>,
    task: Mutex<Option<AbortHandle>>,
}

impl RunningJob {
    pub(super) fn new(plan: JobPlan, origin: Origin, pulled: Option<Pulled>) -> Self {
        let JobPlan { name, order, pause, on_error, tasks, settings } = plan;
        let turns = Mutex::new(Turns::new(order, tasks, pause));
        Self {
            name,
            origin,
            order,
            on_error,
            settings,
            turns,
            phase: watch::Sender::new(Phase::Running),
            more: Notify::new(),
            counts: Arc::default(),
            pulled,
            task: Mutex::default(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Where it comes from.
    pub const fn origin(&self) -> Origin {
        self.origin
    }

    /// All of it as it was written.
    pub fn settings(&self) -> &Job {
        &self.settings
    }

    /// How it stands.
    pub fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Whether it can go: nothing happens any more, and nobody is to take anything.
    pub(super) fn is_spent(&self) -> bool {
        self.phase().is_over() && self.pulled.as_ref().is_none_or(|pulled| pulled.len() == 0)
    }

    /// Calls that are still to be made, those of one round for a ring.
    pub(super) fn calls(&self) -> usize {
        self.turns().calls()
    }

    fn turns(&self) -> MutexGuard<'_, Turns> {
        // It is whole after every statement.
        self.turns.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Its state and counters at this moment.
    pub fn report(&self, now: Stamp) -> JobReport {
        let (phase, turns) = (self.phase(), self.turns());
        let next = match phase {
            Phase::Waiting(at) => Some(UnixNanos(now.wall.0.saturating_add(nanos(at.since(now.mono))))),
            _ => None,
        };
        JobReport {
            name: Arc::clone(&self.name),
            origin: self.origin,
            order: self.order,
            phase,
            next,
            round: turns.round(),
            tasks: turns.len(),
            done: self.counts.done.load(Ordering::Relaxed),
            failed: self.counts.failed.load(Ordering::Relaxed),
            skipped: turns.skipped(),
            results: self.pulled.as_ref().map(Pulled::len),
        }
    }

    pub(super) fn runs_in(&self, task: AbortHandle) {
        *self.task.lock().unwrap_or_else(PoisonError::into_inner) = Some(task);
    }

    /// Ends it; the calls under way are given up.
    pub(super) fn stop(&self) {
        if let Some(task) = self.task.lock().unwrap_or_else(PoisonError::into_inner).take() {
            task.abort();
        }
        self.phase.send_replace(Phase::Stopped);
    }

    /// Carries it out until it is stopped: a job that has nothing left waits for more.
    pub(super) async fn run(&self, caller: Arc<dyn Caller>, sink: Arc<dyn Sink>) {
        let runner = Runner { caller, sink: Arc::new(Counted { counts: Arc::clone(&self.counts), sink }) };
        loop {
            let more = self.more.notified();
            tokio::pin!(more);
            more.as_mut().enable();
            let turn = self.turns().next(clock::now().mono);
            match turn {
                Turn::Idle => {
                    self.phase.send_replace(Phase::Idle);
                    more.await;
                }
                Turn::Wait(until) => {
                    self.phase.send_replace(Phase::Waiting(until));
                    sleep_until(clock::instant_of(until)).await;
                }
                Turn::Run(node, round) => {
                    self.phase.send_replace(Phase::Running);
                    let outcome = runner.task(&node, round).await;
                    self.turns().ended(clock::now().mono);
                    if outcome.stops && self.on_error == OnError::Stop {
                        return self.fail(&runner).await;
                    }
                }
            }
        }
    }

    /// Says of each task that is left that it is not made, those that are added meanwhile included.
    async fn fail(&self, runner: &Runner) {
        loop {
            let rest = {
                let mut turns = self.turns();
                let rest = turns.rest();
                if rest.is_empty() {
                    // While nothing can be added.
                    self.phase.send_replace(Phase::Failed);
                    return;
                }
                rest
            };
            for (node, round) in &rest {
                runner.leave_out(node, *round, JOB_STOPS).await;
            }
        }
    }

    /// Adds tasks: to the end of a queue or of each round of a ring, on top of a stack. Returns their places.
    ///
    /// # Errors
    /// It is over, or there are too many tasks.
    pub(super) fn add(&self, tasks: Vec<Node>) -> Result<Vec<String>, String> {
        let mut turns = self.turns();
        let has_ended = matches!((self.order, self.phase()), (Order::Ring { .. }, Phase::Idle));
        if has_ended || matches!(self.phase(), Phase::Failed | Phase::Stopped) {
            return Err(format!("the job {} is over; start it again", self.name));
        }
        if tasks.len() > turns.room() {
            return Err(format!("the job {} has {} tasks; add them when some have run", self.name, turns.len()));
        }
        let places = tasks.into_iter().map(|task| turns.push(task)).collect::<Result<_, _>>()?;
        // Not idle any more, also for whoever asks before the job has noticed.
        self.phase.send_if_modified(|phase| {
            let was_idle = *phase == Phase::Idle;
            if was_idle {
                *phase = Phase::Running;
            }
            was_idle
        });
        drop(turns);
        self.more.notify_one();
        Ok(places)
    }

    /// The next result of a job whose results are taken one by one, waited for until the job is over or it is `until`. One of
    /// more bytes than there is `room` for stays where it is.
    pub async fn next_result(&self, until: Instant, room: usize) -> Option<Bytes> {
        let pulled = self.pulled.as_ref()?;
        let mut phase = self.phase.subscribe();
        let next = async {
            loop {
                match pulled.now(room).await {
                    Taken::Nothing => {}
                    taken => return taken.result(),
                }
                // A result is there before the job is over.
                if phase.borrow_and_update().is_over() {
                    return pulled.now(room).await.result();
                }
                tokio::select! {
                    taken = pulled.next(room) => return taken.result(),
                    _ = phase.changed() => {}
                }
            }
        };
        timeout_at(until, next).await.ok().flatten()
    }

    /// Whether its results are taken one by one.
    pub const fn is_pulled(&self) -> bool {
        self.pulled.is_some()
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
