//! Jobs of a gateway: they run beside its feeds, and their results are frames.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::task::JoinSet;
use tracing::{info, warn};

use super::frames::Frames;
use super::plan::JobPlan;
use super::result::TaskResult;
use super::run::{Boxed, Caller, Runner, Sink};
use super::turns::Turns;
use crate::clock;
use crate::frame::{Encoding, JobResult, Outgoing, job};
use crate::io::FrameSink;

/// Publishes the results of one job.
struct Published {
    job: Arc<str>,
    epoch: u64,
    encoding: Encoding,
    seq: AtomicU64,
    bus: Arc<dyn FrameSink>,
    frames: Arc<Frames>,
}

impl Sink for Published {
    fn take<'a>(&'a self, result: TaskResult) -> Boxed<'a, ()> {
        let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        let body = result.outcome.as_ref().map(|answer| String::from_utf8_lossy(&answer.body));
        let outcome = match &body {
            Ok(body) => Ok(body.as_ref()),
            Err(failure) => Err(failure.detail.as_str()),
        };
        // Before its own frame, which tells of them.
        let beside = result.outcome.as_ref().map(|answer| self.frames.take(&result.call, &answer.body));
        let beside = beside.unwrap_or_default();
        let left_to: Vec<&str> = beside.left_to.iter().map(AsRef::as_ref).collect();
        let status = match &result.outcome {
            Ok(answer) => Some(answer.status),
            Err(failure) => failure.status,
        };
        let frame = job(
            self.encoding,
            JobResult {
                job: &self.job,
                epoch: self.epoch,
                seq,
                ts_pub: clock::wall(),
                task: &result.place,
                name: result.name.as_deref(),
                round: result.round,
                venue: result.call.venue.id,
                market: &result.call.market,
                endpoint: result.call.label(),
                params: &result.call.params,
                started: result.started,
                took: u64::try_from(result.took.as_nanos()).unwrap_or(u64::MAX),
                status,
                outcome,
                frames: beside.frames,
                left_to: &left_to.join(", "),
                unread: beside.unread.as_deref(),
            },
        );
        self.bus.publish(&mut vec![Outgoing::Frame(frame)]);
        Box::pin(std::future::ready(()))
    }
}

/// Starts every job; dropping the set ends them.
pub fn start(
    plans: &[JobPlan],
    caller: &Arc<dyn Caller>,
    bus: &Arc<dyn FrameSink>,
    frames: &Arc<Frames>,
    epoch: u64,
    encoding: Encoding,
) -> JoinSet<()> {
    let mut jobs = JoinSet::new();
    for plan in plans.iter().cloned() {
        let (seq, bus, frames) = (AtomicU64::new(0), Arc::clone(bus), Arc::clone(frames));
        let sink = Arc::new(Published { job: Arc::clone(&plan.name), epoch, encoding, seq, bus, frames });
        jobs.spawn(run(plan, Runner { caller: Arc::clone(caller), sink }));
    }
    jobs
}

async fn run(plan: JobPlan, runner: Runner) {
    let JobPlan { name, order, pause, on_error, tasks } = plan;
    let mut turns = Turns::new(order, tasks, pause);
    let ended = runner.run(&mut turns, on_error).await;
    let (done, failed, skipped) = (ended.done, ended.failed, turns.skipped());
    match ended.stops {
        false => info!(job = %name, done, failed, skipped, "Job ended"),
        true => warn!(job = %name, done, failed, skipped, "Job stopped by an error"),
    }
}
