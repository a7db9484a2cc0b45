//! Commands for jobs: start, look, add tasks, take results, stop. What their calls may reach is what `fetch` may.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::Url;

use super::Running;
use super::reply::{Code, Failure};
use crate::clock;
use crate::config::jobs;
use crate::jobs::{DeskError, JobReport, Node, Order, Origin, Phase, Results, RunningJob};
use crate::sign::Method;

/// How long a command may wait for results, where it does not say, and at most.
const USUAL_MS: u64 = 5_000;
const LONGEST_MS: u64 = 60_000;
/// Results of one answer, and bytes of it, of which some are for what is told beside the results.
const RESULTS_MAX: usize = 10_000;
const ANSWER_BYTES: usize = 16 * 1024 * 1024;
const BESIDE_BYTES: usize = 4096;

/// Arguments of `job_start`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Start {
    name: String,
    job: Value,
    #[serde(default)]
    results: Where,
}

/// Where results go.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Where {
    #[default]
    Bus,
    Pull,
}

/// Starts a job.
pub(super) fn start(running: &Running, asked: Start) -> Result<Value, Failure> {
    let results = match asked.results {
        Where::Bus => Results::Bus,
        Where::Pull => Results::Pull,
    };
    let job = begin(running, &asked.name, asked.job, results)?;
    Ok(shown(&job.report(clock::now())))
}

fn begin(running: &Running, name: &str, job: Value, results: Results) -> Result<Arc<RunningJob>, Failure> {
    let plan = jobs::from_value(name, job, running.feeds.accounts());
    let plan = plan.map_err(|problems| Failure::problems(&problems))?;
    plan.tasks.iter().try_for_each(|task| allowed(running, task))?;
    running.calls.jobs.start(plan, Origin::Command, results).map_err(refusal)
}

/// Whether clients may have every call of a task made.
fn allowed(running: &Running, task: &Node) -> Result<(), Failure> {
    let mut refused = None;
    task.each_call(&mut |call| {
        let Ok(base) = Url::parse(&call.base) else {
            refused = Some(Failure::bad(format!("{} is no address", call.base)));
            return;
        };
        if let Err(why) = running.calls.allowed.check(Method::Get, &base, call.signer.as_ref()) {
            refused = Some(Failure::new(Code::Forbidden, format!("{}: {why}", call.label())));
        }
    });
    refused.map_or(Ok(()), Err)
}

fn refusal(error: DeskError) -> Failure {
    let code = match &error {
        DeskError::Unknown { .. } => Code::NotFound,
        DeskError::Exists(_) => Code::Exists,
        DeskError::Full(_) => Code::Conflict,
    };
    Failure::new(code, error.to_string())
}

/// How all jobs stand.
pub(super) fn list(running: &Running) -> Value {
    json!({"jobs": running.calls.jobs.reports().iter().map(shown).collect::<Vec<_>>()})
}

fn shown(report: &JobReport) -> Value {
    let mut fields = json!({
        "name": &*report.name, "order": report.order.as_str(), "state": report.phase.as_str(),
        "tasks": report.tasks, "done": report.done, "failed": report.failed,
        "origin": match report.origin { Origin::Config => "config", Origin::Command => "command" },
        "results": if report.results.is_some() { "pull" } else { "bus" },
    });
    if let Some(next) = report.next {
        fields["next"] = json!(next.0);
    }
    if let Some(waiting) = report.results {
        fields["waiting_results"] = json!(waiting);
    }
    if let Order::Ring { rounds, .. } = report.order {
        fields["round"] = json!(report.round);
        fields["skipped"] = json!(report.skipped);
        if let Some(rounds) = rounds {
            fields["rounds"] = json!(rounds);
        }
    }
    fields
}

/// Arguments of `job_stop`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct OfJob {
    name: String,
}

/// Stops a job and forgets it.
pub(super) fn stop(running: &Running, asked: &OfJob) -> Result<Value, Failure> {
    let job = running.calls.jobs.find(&asked.name).map_err(refusal)?;
    running.calls.jobs.stop(&job);
    Ok(shown(&job.report(clock::now())))
}

/// Arguments of `job_add`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Add {
    name: String,
    task: Option<Value>,
    #[serde(default)]
    tasks: Vec<Value>,
}

/// Gives a job more tasks.
pub(super) fn add(running: &Running, asked: Add) -> Result<Value, Failure> {
    let job = running.calls.jobs.find(&asked.name).map_err(refusal)?;
    let tasks: Vec<Value> = asked.task.into_iter().chain(asked.tasks).collect();
    if tasks.is_empty() {
        return Err(Failure::bad("task is missing; for example \"task\":{\"get\":{\"path\":\"/v5/market/time\"}}"));
    }
    let tasks = jobs::more(job.settings(), tasks.into(), running.feeds.accounts());
    let at_tasks = |(place, what): (String, String)| match place.starts_with('[') {
        true => (format!("tasks{place}"), what),
        false => (place, what),
    };
    let tasks = tasks.map_err(|found| Failure::problems(&found.into_iter().map(at_tasks).collect::<Vec<_>>()))?;
    tasks.iter().try_for_each(|task| allowed(running, task))?;
    let places = running.calls.jobs.add(&job, tasks).map_err(refusal)?;
    let mut fields = shown(&job.report(clock::now()));
    fields["places"] = json!(places);
    Ok(fields)
}

/// Arguments of `job_next`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Next {
    name: String,
    n: Option<u64>,
    within_ms: Option<u64>,
}

/// The next result of a job, or the next `n`: fewer when there are no more, or not in time.
pub(super) async fn next(running: &Running, asked: &Next) -> Result<String, Failure> {
    let job = running.calls.jobs.find(&asked.name).map_err(refusal)?;
    if !job.is_pulled() {
        let what = format!("the results of {} go onto the bus; start it with \"results\":\"pull\"", asked.name);
        return Err(Failure::new(Code::Unsupported, what));
    }
    let most = asked.n.unwrap_or(1);
    if !(1..=RESULTS_MAX as u64).contains(&most) {
        return Err(Failure::bad(format!("n: {most} is out of range; allowed: 1 to {RESULTS_MAX}")));
    }
    let results = take(&job, most, until(asked.within_ms)?).await;
    let report = job.report(clock::now());
    Ok(match asked.n {
        Some(_) => answer(shown(&report), "results", &format!("[{}]", joined(&results.all))),
        None => match results.all.first() {
            Some(result) => answer(shown(&report), "result", &String::from_utf8_lossy(result)),
            None => super::reply::ok(&shown(&report)).to_string(),
        },
    })
}

fn until(within_ms: Option<u64>) -> Result<Instant, Failure> {
    let within = within_ms.unwrap_or(USUAL_MS);
    if within > LONGEST_MS {
        return Err(Failure::bad(format!("within_ms: {within} is out of range; allowed: 0 to {LONGEST_MS}")));
    }
    Ok(clock::instant_of(clock::mono().after(Duration::from_millis(within))))
}

/// Results of one answer.
#[derive(Default)]
struct Taken {
    all: Vec<Bytes>,
    bytes: usize,
}

impl Taken {
    /// Bytes of the next result that still fits. A single one always does: it has one body.
    const fn room(&self) -> usize {
        if self.all.is_empty() {
            return usize::MAX;
        }
        (ANSWER_BYTES - BESIDE_BYTES).saturating_sub(self.bytes)
    }

    fn push(&mut self, result: Bytes) {
        // And the comma between two.
        self.bytes += result.len() + 1;
        self.all.push(result);
    }
}

/// The next results: so many, as many as an answer holds, or those that come until then. Others wait for the next who asks.
async fn take(job: &RunningJob, most: u64, until: Instant) -> Taken {
    let mut taken = Taken::default();
    while (taken.all.len() as u64) < most {
        let Some(result) = job.next_result(until, taken.room()).await else { break };
        taken.push(result);
    }
    taken
}

/// The results of a job that come until then: those that an answer holds, and how many others there were.
async fn take_all(job: &RunningJob, until: Instant) -> (Taken, u64) {
    let (mut taken, mut left_out) = (Taken::default(), 0);
    while let Some(result) = job.next_result(until, usize::MAX).await {
        if taken.all.len() < RESULTS_MAX && result.len() <= taken.room() {
            taken.push(result);
        } else {
            left_out += 1;
        }
    }
    (taken, left_out)
}

fn joined(results: &[Bytes]) -> String {
    results.iter().map(|result| String::from_utf8_lossy(result)).collect::<Vec<_>>().join(",")
}

/// An answer's fields with what is JSON already, each number as it was written.
fn answer(fields: Value, key: &str, json: &str) -> String {
    let fields = super::reply::ok(&fields).to_string();
    // An object with members: the results take the place of its last brace.
    format!("{},\"{key}\":{json}}}", fields.strip_suffix('}').unwrap_or(&fields))
}

/// Arguments of `job_run`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    name: String,
    job: Value,
    within_ms: Option<u64>,
}

/// Runs a job and answers with all its results: those that came in time, if it was not done by then, and that an answer has
/// room for. It is gone afterwards.
pub(super) async fn run(running: &Running, asked: Run) -> Result<String, Failure> {
    let until = until(asked.within_ms)?;
    let job = begin(running, &asked.name, asked.job, Results::Pull)?;
    let (results, left_out) = take_all(&job, until).await;
    let report = job.report(clock::now());
    let is_whole = matches!(report.phase, Phase::Idle | Phase::Failed) && report.results == Some(0);
    running.calls.jobs.stop(&job);
    let report = if is_whole { report } else { JobReport { phase: Phase::Stopped, next: None, ..report } };
    let mut fields = shown(&report);
    if left_out > 0 {
        fields["left_out"] = json!(left_out);
    }
    Ok(answer(fields, "results", &format!("[{}]", joined(&results.all))))
}
