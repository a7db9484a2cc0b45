//! Jobs and tasks that come in a file or a command: the checks and the words are those of the config.

use serde_json::{Value, json};

use super::{Job, JobPlan, Task, resolve};
use crate::config::problem::Findings;
use crate::config::{Accounts, Problem, Problems, shape, validate};
use crate::jobs::Node;
use crate::venue::VENUES;

/// What is wrong, by the place in the job (`queue[0].get`; empty for the whole).
type Found = Vec<(String, String)>;

/// Where the job stands while it is checked.
const PATH: &str = "jobs.x";

/// Reads one job, as a file for `tickbus job` has it.
///
/// # Errors
/// Everything that is wrong with it, each with its path in the job.
pub fn read(name: &str, origin: &str, text: &str, accounts: &Accounts) -> Result<JobPlan, Problems> {
    let mut findings = Findings::default();
    let value = crate::config::json::parse(text, &mut findings);
    let mut found = findings.into_list();
    let plan = value.map(|value| from_value(name, value, accounts));
    let plan = plan.and_then(|plan| plan.map_err(|more| found.extend(more)).ok());
    let problem = |(path, message): (String, String)| Problem { origin: origin.to_owned(), path, message };
    match plan {
        Some(plan) if found.is_empty() => Ok(plan),
        _ => Err(Problems(found.into_iter().map(problem).collect())),
    }
}

/// A job from a request.
///
/// # Errors
/// Everything that is wrong with it, each with its path in the job.
pub fn from_value(name: &str, job: Value, accounts: &Accounts) -> Result<JobPlan, Found> {
    let mut findings = Findings::default();
    if !validate::is_feed_name(name) {
        findings.add("name", "is not a job name; allowed: lower case letters, digits and single underscores");
    }
    if !job.is_object() {
        findings.add("", "is not an object; write {\"venue\": …, \"market\": …, \"queue\": […]}");
        return Err(findings.into_list());
    }
    let mut whole = json!({"feeds": {}, "jobs": {"x": job}});
    shape::check(&mut whole, &mut findings);
    let job: Job = serde_json::from_value(whole["jobs"]["x"].take()).unwrap_or_default();
    checked(name, &job, accounts, findings)
}

/// More tasks for a job with these settings, with the places that they would have in a job of their own.
///
/// # Errors
/// Everything that is wrong with them, each with its path from the list: `[0].get`.
pub fn more(job: &Job, tasks: Value, accounts: &Accounts) -> Result<Vec<Node>, Found> {
    let mut findings = Findings::default();
    let mut whole = json!({"feeds": {}, "jobs": {"x": {"venue": job.venue, "market": job.market, "queue": tasks}}});
    shape::check(&mut whole, &mut findings);
    let queue: Vec<Task> = serde_json::from_value(whole["jobs"]["x"]["queue"].take()).unwrap_or_default();
    let only_these = Job { queue, stack: Vec::new(), ring: Vec::new(), rounds: 0, interval_ms: 0, ..job.clone() };
    let plan = checked("x", &only_these, accounts, findings);
    let cut =
        |(path, message): (String, String)| (path.strip_prefix("queue").map(str::to_owned).unwrap_or(path), message);
    plan.map(|plan| plan.tasks.into()).map_err(|found| found.into_iter().map(cut).collect())
}

fn checked(name: &str, job: &Job, accounts: &Accounts, mut findings: Findings) -> Result<JobPlan, Found> {
    let mut rules = Findings::default();
    let plan = resolve(name, PATH, job, accounts, VENUES, &mut rules);
    for (place, message) in rules.into_list() {
        if !findings.has(&place) {
            findings.add(place, message);
        }
    }
    let cut = |(place, message): (String, String)| {
        let place = place.strip_prefix(PATH).map_or(place.as_str(), |rest| rest.trim_start_matches('.')).to_owned();
        (place, message)
    };
    let found: Found = findings.into_list().into_iter().map(cut).collect();
    match plan {
        Some(plan) if found.is_empty() => Ok(plan),
        _ => Err(found),
    }
}
