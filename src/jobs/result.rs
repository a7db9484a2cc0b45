//! What became of a task, and its frame.

use std::time::Duration;

use bytes::Bytes;

use super::plan::{CallPlan, Node};
use crate::model::UnixNanos;

/// Why a task has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// HTTP status, if there was an answer.
    pub status: Option<u16>,
    /// What went wrong, in words: the venue's, where it said.
    pub detail: String,
}

/// What became of one call of a job.
#[derive(Clone, Debug)]
pub struct TaskResult {
    /// Where the call is in the job's tree.
    pub place: String,
    /// The task's name, if it has one.
    pub name: Option<String>,
    /// Of which round, from 1.
    pub round: u64,
    /// The call.
    pub call: CallPlan,
    /// When it left, or was to leave.
    pub started: UnixNanos,
    /// From then to the end of the answer.
    pub took: Duration,
    /// The answer's body, or why there is none.
    pub outcome: Result<Answer, Failure>,
}

/// A venue's answer with a status of success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The body.
    pub body: Bytes,
    /// Path and query that were called, without what signs them.
    pub path: String,
}

impl TaskResult {
    /// The result of a call that was not made.
    pub(super) fn not_made(node: &Node, call: &CallPlan, round: u64, at: UnixNanos, why: &str) -> Self {
        Self {
            place: node.place.clone(),
            name: node.name.clone(),
            round,
            call: call.clone(),
            started: at,
            took: Duration::ZERO,
            outcome: Err(Failure { status: None, detail: why.to_owned() }),
        }
    }
}
