//! The jobs of a gateway, by name: those of its config and those that commands start.

use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use tracing::{info, warn};

use super::bus::{Numbered, Published};
use super::frames::Frames;
use super::plan::{JobPlan, Node};
use super::pull::pull;
use super::run::{Caller, Sink};
use super::running::{JobReport, Origin, Phase, RunningJob};
use crate::clock;
use crate::frame::Encoding;
use crate::io::FrameSink;

/// Jobs of commands at one time, and calls that all of them together may still have to make.
const COMMANDED_MAX: usize = 100;
const CALLS_MAX: usize = 100_000;
/// Names of jobs whose sequence is remembered.
const NAMES_MAX: usize = 10_000;

/// Where results go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Results {
    /// Onto the bus.
    #[default]
    Bus,
    /// To whoever takes them, one by one. The job waits when too many wait.
    Pull,
}

/// Why a job cannot be started, or given tasks.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeskError {
    /// There is no such job.
    #[error("no job {name:?}; {known}")]
    Unknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: String,
    },
    /// A job of that name is there.
    #[error("a job {0} is there already; stop it first, or take another name")]
    Exists(Arc<str>),
    /// There is no room.
    #[error("{0}")]
    Full(String),
}

/// The jobs.
pub struct Desk {
    caller: Arc<dyn Caller>,
    bus: Arc<dyn FrameSink>,
    /// What answers say beside the results.
    frames: Arc<Frames>,
    epoch: u64,
    encoding: Encoding,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    jobs: BTreeMap<Arc<str>, Arc<RunningJob>>,
    seqs: HashMap<Arc<str>, Arc<AtomicU64>>,
    /// The gateway ends: nothing is started any more.
    ending: bool,
}

impl Desk {
    /// No jobs yet.
    pub fn new(
        caller: Arc<dyn Caller>,
        bus: Arc<dyn FrameSink>,
        frames: Arc<Frames>,
        epoch: u64,
        encoding: Encoding,
    ) -> Self {
        Self { caller, bus, frames, epoch, encoding, inner: Mutex::default() }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        // It is whole after every statement.
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Starts a job. One of the same name that is over makes room for it.
    ///
    /// # Errors
    /// There is a job of that name, or no room for one more.
    pub fn start(&self, plan: JobPlan, origin: Origin, results: Results) -> Result<Arc<RunningJob>, DeskError> {
        let calls = plan.tasks.iter().map(Node::calls).sum();
        self.with(|inner| {
            let seq = inner.room_for(&plan.name, origin, calls)?;
            let numbered = Numbered { job: Arc::clone(&plan.name), epoch: self.epoch, seq };
            let (sink, pulled): (Arc<dyn Sink>, _) = match results {
                Results::Bus => {
                    let bus = Arc::clone(&self.bus);
                    let (encoding, frames) = (self.encoding, Arc::clone(&self.frames));
                    (Arc::new(Published { numbered, encoding, bus, frames }), None)
                }
                Results::Pull => {
                    let (offered, pulled) = pull(numbered);
                    (Arc::new(offered), Some(pulled))
                }
            };
            let job = Arc::new(RunningJob::new(plan, origin, pulled));
            let task = tokio::spawn({
                let (job, caller) = (Arc::clone(&job), Arc::clone(&self.caller));
                async move {
                    job.run(caller, sink).await;
                    if job.phase() == Phase::Failed {
                        warn!(job = %job.name(), "Job stopped by an error");
                    }
                }
            });
            job.runs_in(task.abort_handle());
            inner.jobs.insert(Arc::clone(job.name()), Arc::clone(&job));
            info!(job = %job.name(), calls, "Job started");
            Ok(job)
        })
    }

    /// The job of this name.
    ///
    /// # Errors
    /// There is none; which there are.
    pub fn find(&self, name: &str) -> Result<Arc<RunningJob>, DeskError> {
        self.with(|inner| {
            let known = || match inner.jobs.keys().map(|name| &**name).collect::<Vec<_>>().join(", ") {
                none if none.is_empty() => "there are none".to_owned(),
                known => format!("there are: {known}"),
            };
            let unknown = || DeskError::Unknown { name: name.to_owned(), known: known() };
            inner.jobs.get(name).cloned().ok_or_else(unknown)
        })
    }

    /// Gives a job more tasks, and says at which places of its tree they are.
    ///
    /// # Errors
    /// There is no room for them, or the job is over.
    pub fn add(&self, job: &RunningJob, tasks: Vec<Node>) -> Result<Vec<String>, DeskError> {
        let calls: usize = tasks.iter().map(Node::calls).sum();
        self.with(|inner| {
            inner.check_calls(calls)?;
            job.add(tasks).map_err(DeskError::Full)
        })
    }

    /// Stops a job and forgets it: calls under way are given up, and results that nobody took are gone.
    pub fn stop(&self, job: &Arc<RunningJob>) {
        job.stop();
        self.with(|inner| {
            // Another one may have its name by now.
            if inner.jobs.get(job.name()).is_some_and(|known| Arc::ptr_eq(known, job)) {
                inner.jobs.remove(job.name());
            }
        });
        info!(job = %job.name(), "Job stopped");
    }

    /// How all jobs stand, by name.
    pub fn reports(&self) -> Vec<JobReport> {
        let (jobs, now) = (self.with(|inner| inner.jobs.values().cloned().collect::<Vec<_>>()), clock::now());
        jobs.iter().map(|job| job.report(now)).collect()
    }

    /// Stops all jobs; from now on none is started.
    pub fn end(&self) {
        let jobs = self.with(|inner| {
            inner.ending = true;
            std::mem::take(&mut inner.jobs)
        });
        jobs.values().for_each(|job| job.stop());
    }
}

impl Inner {
    /// Makes room for a job, if there is any; where its sequence goes on.
    fn room_for(&mut self, name: &Arc<str>, origin: Origin, calls: usize) -> Result<Arc<AtomicU64>, DeskError> {
        if self.ending {
            return Err(DeskError::Full("the gateway ends".to_owned()));
        }
        match self.jobs.get(name) {
            Some(known) if !known.is_spent() => return Err(DeskError::Exists(Arc::clone(name))),
            Some(_) => drop(self.jobs.remove(name)),
            None => {}
        }
        if origin == Origin::Command {
            self.check_calls(calls)?;
            let commanded = |job: &&Arc<RunningJob>| job.origin() == Origin::Command;
            if self.jobs.values().filter(commanded).count() >= COMMANDED_MAX {
                let spent = self.jobs.values().filter(commanded).find(|job| job.is_spent());
                let full = || DeskError::Full(format!("there are {COMMANDED_MAX} jobs; stop one, or take its results"));
                let spent = Arc::clone(spent.ok_or_else(full)?.name());
                self.jobs.remove(&spent);
            }
        }
        if self.seqs.len() >= NAMES_MAX && !self.seqs.contains_key(name) {
            return Err(DeskError::Full(format!("there were {NAMES_MAX} names of jobs; take one of them")));
        }
        Ok(Arc::clone(self.seqs.entry(Arc::clone(name)).or_default()))
    }

    fn check_calls(&self, more: usize) -> Result<(), DeskError> {
        let commanded = self.jobs.values().filter(|job| job.origin() == Origin::Command);
        let waiting: usize = commanded.map(|job| job.calls()).sum();
        if waiting.saturating_add(more) <= CALLS_MAX {
            return Ok(());
        }
        Err(DeskError::Full(format!("jobs of commands may have {CALLS_MAX} calls to make; {waiting} wait already")))
    }
}
