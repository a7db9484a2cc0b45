//! REST jobs in the config: their shape, and what they resolve to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::json;
use url::Url;

mod read;

use super::accounts::Accounts;
use super::hint;
use super::problem::{Findings, quoted};
use crate::jobs::{CallPlan, Group, JobPlan, Node, OnError, Order, Work};
use crate::venue::{Endpoint, Signer, VenueDef};

pub use read::{from_value, more, read};

/// Calls of one job at most, and how deep groups may lie in one another.
const CALLS_MAX: usize = 10_000;
const DEPTH_MAX: usize = 16;
const TIMEOUT: u32 = 10_000;

/// A job: REST calls in a certain order, whose results are published as `job.NAME.`. It has one of `queue`, `stack`
/// and `ring`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["venue", "market"]))]
pub struct Job {
    /// Whom the tasks ask, unless a task says otherwise.
    pub venue: String,
    /// Which of the venue's markets.
    pub market: String,
    /// REST address instead of the venue's own.
    pub rest_url: Option<String>,
    /// The account of `accounts` or `apis` that signs the calls that are to be signed, unless a task names another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Tasks that run one after the other, the first first.
    pub queue: Vec<Task>,
    /// Tasks that run one after the other, the last first.
    pub stack: Vec<Task>,
    /// Tasks that run one after the other, all of them again and again.
    pub ring: Vec<Task>,
    /// Rounds of a ring; 0 for ever.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub rounds: u32,
    /// Milliseconds from the start of one round of a ring to that of the next. A round that takes longer costs the next
    /// ones their turn.
    #[schemars(range(min = 0, max = 604_800_000))]
    pub interval_ms: u32,
    /// Milliseconds between two tasks.
    #[schemars(range(min = 0, max = 86_400_000))]
    pub pause_ms: u32,
    /// What a failed task means for those after it.
    pub on_error: ErrorPolicy,
}

/// A task of a job: one of `get`, `serial` and `gather`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Task {
    /// Its name in results.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// One call: the name of an endpoint (`tickbus call VENUE MARKET` lists them), or method and path.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Get")]
    pub get: Option<Get>,
    /// Tasks that run one after the other.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub serial: Option<Vec<Self>>,
    /// Tasks that run at the same time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gather: Option<Vec<Self>>,
    /// Parameters of the call.
    pub params: BTreeMap<String, Param>,
    /// Another venue than the job's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub venue: Option<String>,
    /// Another market than the job's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub market: Option<String>,
    /// Another account than the job's. Named endpoints are signed if the venue wants them to be, and paths unless they say
    /// that they are not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Milliseconds from when the call leaves until its whole answer is there; 10,000 if absent. Its wait for the budget is
    /// not counted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 100, max = 120_000))]
    pub timeout_ms: Option<u32>,
    /// Milliseconds between two tasks of a series.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0, max = 86_400_000))]
    pub pause_ms: Option<u32>,
    /// What a failed task means for those after it in this group, instead of what the job says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ErrorPolicy")]
    pub on_error: Option<ErrorPolicy>,
}

/// What is called: a named endpoint, or a path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Get {
    /// An endpoint's name.
    Named(String),
    /// Any path.
    Path(PathCall),
}

/// A call that has no name.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["path"]))]
pub struct PathCall {
    /// `GET`, which is also what it is if absent: jobs only read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Path, beginning with a slash and without a query.
    pub path: String,
    /// What it costs of the venue's budget; 1 if absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 6_000))]
    pub weight: Option<u32>,
    /// Whether it is signed; if absent, when there is an account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub signed: Option<bool>,
}

impl JsonSchema for Get {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Get".into()
    }

    /// That of [`PathCall`], which a text may stand for.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = PathCall::json_schema(generator);
        schema.insert("type".to_owned(), json!(["string", "object"]));
        schema
    }
}

/// A parameter's value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(untagged)]
#[schemars(extend("type" = ["string", "integer", "boolean"]), transform = only_types)]
pub enum Param {
    /// A text; decimal numbers are texts, so that they are sent as they stand.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Yes or no.
    Switch(bool),
}

/// The types alone say it; what the variants would add is not understood by our own checks.
fn only_types(schema: &mut Schema) {
    schema.remove("anyOf");
}

impl Param {
    fn text(&self) -> String {
        match self {
            Self::Text(text) => text.clone(),
            Self::Number(number) => number.to_string(),
            Self::Switch(switch) => switch.to_string(),
        }
    }
}

/// What a failed task means for those after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ErrorPolicy {
    /// They run.
    #[default]
    Continue,
    /// They do not run.
    Stop,
}

impl From<ErrorPolicy> for OnError {
    fn from(policy: ErrorPolicy) -> Self {
        match policy {
            ErrorPolicy::Continue => Self::Continue,
            ErrorPolicy::Stop => Self::Stop,
        }
    }
}

/// What a task takes over from what it is in.
#[derive(Clone)]
struct Around<'a> {
    venues: &'a [&'static VenueDef],
    venue: &'static VenueDef,
    market: Arc<str>,
    rest_url: Option<&'a str>,
    accounts: &'a Accounts,
    account: Option<&'a str>,
    /// There is no such account, which was said where it stands.
    is_unknown: bool,
    on_error: OnError,
    depth: usize,
}

impl<'a> Around<'a> {
    /// Takes over the account that is named here, if one is: it must be there, whether a call needs it or not.
    fn sign_by(&mut self, path: &str, account: Option<&'a str>, findings: &mut Findings) {
        let Some(name) = account else { return };
        self.account = Some(name);
        self.is_unknown = false;
        if let Err(why) = self.accounts.known(name) {
            self.is_unknown = true;
            findings.add(format!("{path}.account"), why);
        }
    }
}

/// The job's plan; worth something only if nothing was found.
pub(super) fn resolve(
    name: &str,
    path: &str,
    job: &Job,
    accounts: &Accounts,
    venues: &[&'static VenueDef],
    findings: &mut Findings,
) -> Option<JobPlan> {
    let mut around = Around {
        venues,
        venue: find_venue(venues, &format!("{path}.venue"), &job.venue, findings)?,
        market: job.market.as_str().into(),
        rest_url: job.rest_url.as_deref(),
        accounts,
        account: None,
        is_unknown: false,
        on_error: job.on_error.into(),
        depth: 0,
    };
    if let Err(message) = around.venue.check_market(&job.market) {
        findings.add(format!("{path}.market"), message);
        return None;
    }
    around.sign_by(path, job.account.as_deref(), findings);
    let (order, key, tasks) = order(path, job, findings)?;
    let tasks: Vec<Node> = resolve_all(&format!("{path}.{key}"), tasks, &around, findings);
    let place = |(at, node): (usize, Node)| node.placed(&(at + 1).to_string());
    let tasks: VecDeque<Node> = tasks.into_iter().enumerate().map(place).collect();
    if tasks.iter().map(Node::calls).sum::<usize>() > CALLS_MAX {
        findings.add(path, format!("makes more than {CALLS_MAX} calls; split it into several jobs"));
    }
    Some(JobPlan {
        name: name.into(),
        order,
        pause: Duration::from_millis(job.pause_ms.into()),
        on_error: around.on_error,
        tasks,
        settings: Arc::new(job.clone()),
    })
}

fn order<'j>(path: &str, job: &'j Job, findings: &mut Findings) -> Option<(Order, &'static str, &'j [Task])> {
    let ring = Order::Ring {
        rounds: (job.rounds > 0).then_some(job.rounds.into()),
        interval: Duration::from_millis(job.interval_ms.into()),
    };
    let all = [(Order::Queue, "queue", &job.queue), (Order::Stack, "stack", &job.stack), (ring, "ring", &job.ring)];
    let given: Vec<_> = all.into_iter().filter(|(_, _, tasks)| !tasks.is_empty()).collect();
    let [(order, key, tasks)] = given[..] else {
        findings.add(path, "needs tasks in exactly one of queue, stack and ring");
        return None;
    };
    if key != "ring" && (job.rounds != 0 || job.interval_ms != 0) {
        findings.add(path, format!("rounds and interval_ms are for a ring, and this job is a {key}"));
    }
    if key == "ring" && job.rounds == 0 && job.interval_ms == 0 && job.pause_ms == 0 {
        findings.add(path, "would call without end or pause; give interval_ms, pause_ms or rounds");
    }
    Some((order, key, tasks))
}

fn find_venue(
    venues: &[&'static VenueDef],
    path: &str,
    id: &str,
    findings: &mut Findings,
) -> Option<&'static VenueDef> {
    let found = venues.iter().copied().find(|venue| venue.id == id);
    if found.is_none() {
        let known: Vec<&str> = venues.iter().map(|venue| venue.id).collect();
        let hint = hint::suffix(id, known.iter().copied());
        findings.add(path, format!("unknown venue {}; allowed: {}{hint}", quoted(id), known.join(", ")));
    }
    found
}

fn resolve_all<'a>(path: &str, tasks: &'a [Task], around: &Around<'a>, findings: &mut Findings) -> Vec<Node> {
    let one = |(at, task): (usize, &'a Task)| resolve_task(&format!("{path}[{at}]"), task, around, findings);
    tasks.iter().enumerate().filter_map(one).collect()
}

fn resolve_task<'a>(path: &str, task: &'a Task, around: &Around<'a>, findings: &mut Findings) -> Option<Node> {
    let mut inner: Around<'a> = around.clone();
    inner.depth += 1;
    if inner.depth > DEPTH_MAX {
        findings.add(path, format!("lies deeper than {DEPTH_MAX} groups"));
        return None;
    }
    if let Some(venue) = &task.venue {
        inner.venue = find_venue(inner.venues, &format!("{path}.venue"), venue, findings)?;
    }
    if let Some(market) = &task.market {
        inner.market = market.as_str().into();
    }
    if let Err(message) = inner.venue.check_market(&inner.market) {
        findings.add(format!("{path}.market"), message);
        return None;
    }
    inner.sign_by(path, task.account.as_deref(), findings);
    inner.on_error = task.on_error.map_or(inner.on_error, OnError::from);
    let work = match (&task.get, &task.serial, &task.gather) {
        (Some(get), None, None) => Work::Call(Box::new(resolve_call(path, get, task, &inner, findings)?)),
        (None, Some(tasks), None) => resolve_group(&format!("{path}.serial"), false, tasks, task, &inner, findings)?,
        (None, None, Some(tasks)) => resolve_group(&format!("{path}.gather"), true, tasks, task, &inner, findings)?,
        _ => {
            findings.add(path, "needs exactly one of get, serial and gather");
            return None;
        }
    };
    Some(Node { place: String::new(), name: task.name.clone(), work })
}

fn resolve_group<'a>(
    path: &str,
    at_once: bool,
    tasks: &'a [Task],
    task: &Task,
    around: &Around<'a>,
    findings: &mut Findings,
) -> Option<Work> {
    if tasks.is_empty() {
        findings.add(path, "is empty; at least 1 task needed");
        return None;
    }
    if !task.params.is_empty() || task.timeout_ms.is_some() {
        findings.add(path, "is a group: params and timeout_ms belong to its calls");
    }
    if at_once && task.pause_ms.is_some() {
        findings.add(path, "runs its tasks at the same time: pause_ms is for a series");
    }
    let pause = Duration::from_millis(task.pause_ms.unwrap_or(0).into());
    let tasks = resolve_all(path, tasks, around, findings);
    Some(Work::Group(Group { at_once, pause, on_error: around.on_error, tasks }))
}

fn resolve_call(path: &str, get: &Get, task: &Task, around: &Around<'_>, findings: &mut Findings) -> Option<CallPlan> {
    let params: Vec<_> = task.params.iter().map(|(key, value)| (key.clone(), value.text())).collect();
    let found = match get {
        Get::Named(name) => named(around, name, &params).map(Some),
        Get::Path(call) => check_path(call).map(|()| None),
    };
    let endpoint = match found {
        Ok(found) => found,
        Err(message) => {
            findings.add(format!("{path}.get"), message);
            return None;
        }
    };
    let (call_path, weight) = match (get, endpoint) {
        (Get::Path(call), _) => (call.path.clone(), call.weight.unwrap_or(1)),
        (Get::Named(_), endpoint) => {
            let endpoint = endpoint?;
            (endpoint.path.to_owned(), (endpoint.weight)(&params))
        }
    };
    let params = endpoint.map_or(params.clone(), |endpoint| endpoint.all_params(params));
    let base = (around.venue.endpoints)(&around.market, None, around.rest_url).rest_url;
    let is_address =
        |base: &str| Url::parse(base).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host());
    if !is_address(&base) {
        let what = match around.rest_url {
            Some(given) => format!("{} is no REST address; write https://HOST", quoted(given)),
            None => {
                format!("{} has no REST address of its own; write rest_url at the job: https://HOST", around.venue.id)
            }
        };
        findings.add(path, what);
        return None;
    }
    let signer = match signer(get, endpoint, &base, around) {
        Ok(signer) => signer,
        Err(message) => {
            findings.add(format!("{path}.account"), message);
            return None;
        }
    };
    Some(CallPlan {
        venue: around.venue,
        market: Arc::clone(&around.market),
        base: base.into(),
        path: call_path,
        endpoint,
        params,
        signer,
        weight,
        timeout: Duration::from_millis(task.timeout_ms.unwrap_or(TIMEOUT).into()),
    })
}

/// Who signs a call, if it is to be signed.
fn signer(get: &Get, endpoint: Option<&Endpoint>, base: &str, around: &Around<'_>) -> Result<Option<Signer>, String> {
    let (label, signed) = match (get, endpoint) {
        (_, Some(endpoint)) => (endpoint.name, Some(endpoint.signed)),
        (Get::Path(call), None) => (call.path.as_str(), call.signed),
        (Get::Named(name), None) => (name.as_str(), None),
    };
    match (signed, around.account) {
        (Some(false), _) | (None, None) => Ok(None),
        (Some(true), None) => {
            let names = around.accounts.names_of(around.venue.id);
            Err(format!("{label} is signed: say which account signs it; accounts of {}: {names}", around.venue.id))
        }
        (_, Some(_)) if around.is_unknown => Ok(None),
        (_, Some(name)) => around.accounts.of_venue(name, around.venue, base).map(Some),
    }
}

fn named(around: &Around<'_>, name: &str, params: &[(String, String)]) -> Result<&'static Endpoint, String> {
    let endpoint = around.venue.endpoint(&around.market, name)?;
    endpoint.check(params)?;
    Ok(endpoint)
}

fn check_path(call: &PathCall) -> Result<(), String> {
    let plain = call.path.starts_with('/') && !call.path.contains(['?', '#', ' ']) && call.path.len() <= 1024;
    if !plain || call.path.starts_with("//") {
        return Err(format!("{} is no path: it begins with one slash and has no query", quoted(&call.path)));
    }
    match call.method.as_deref() {
        None | Some("GET") => Ok(()),
        Some(other) => Err(format!("unknown method {}; allowed: GET", quoted(other))),
    }
}
