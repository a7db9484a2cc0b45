//! Frames of a job's results, for the bus and for those who take them one by one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::frames::{Beside, Frames};
use super::result::TaskResult;
use super::run::{Boxed, Sink};
use crate::clock;
use crate::frame::{Encoding, Frame, JobResult, Outgoing, job};
use crate::io::FrameSink;

/// Publishes the results of one job.
pub(super) struct Published {
    pub(super) numbered: Numbered,
    pub(super) encoding: Encoding,
    pub(super) bus: Arc<dyn FrameSink>,
    pub(super) frames: Arc<Frames>,
}

impl Sink for Published {
    fn take<'a>(&'a self, result: TaskResult) -> Boxed<'a, ()> {
        // Before its own frame, which tells of them.
        let beside = result.outcome.as_ref().map(|answer| self.frames.take(&result.call, &answer.body));
        let frame = self.numbered.frame(self.encoding, &result, &beside.unwrap_or_default());
        self.bus.publish(&mut vec![Outgoing::Frame(frame)]);
        Box::pin(std::future::ready(()))
    }
}

/// Numbers the results of all jobs of one name: a topic's sequence goes on when its job is started again.
pub(super) struct Numbered {
    pub(super) job: Arc<str>,
    pub(super) epoch: u64,
    pub(super) seq: Arc<AtomicU64>,
}

impl Numbered {
    /// A result as it is told, with what became of it beside.
    pub(super) fn frame(&self, encoding: Encoding, result: &TaskResult, beside: &Beside) -> Frame {
        let seq = self.seq.fetch_add(1, Ordering::Relaxed) + 1;
        let body = result.outcome.as_ref().map(|answer| String::from_utf8_lossy(&answer.body));
        let outcome = match &body {
            Ok(body) => Ok(body.as_ref()),
            Err(failure) => Err(failure.detail.as_str()),
        };
        let left_to: Vec<&str> = beside.left_to.iter().map(AsRef::as_ref).collect();
        let status = match &result.outcome {
            Ok(answer) => Some(answer.status),
            Err(failure) => failure.status,
        };
        let result = JobResult {
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
            account: result.call.account(),
            started: result.started,
            took: u64::try_from(result.took.as_nanos()).unwrap_or(u64::MAX),
            status,
            outcome,
            frames: beside.frames,
            left_to: &left_to.join(", "),
            unread: beside.unread.as_deref(),
        };
        job(encoding, result)
    }
}
