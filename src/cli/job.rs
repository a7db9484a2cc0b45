//! `tickbus job`: runs or shows a job from a file, without a gateway.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context as _;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::{AccountsArgs, Usage};
use crate::config::jobs;
use crate::io::http::RestClient;
use crate::jobs::{Boxed, JobPlan, RestCaller, Runner, Sink, TaskResult, Turns, show};

/// Results that may wait to be printed.
const RESULTS: usize = 64;

/// Arguments of `tickbus job`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "FILE holds one job, as the config has it in `jobs`. Results are printed one line of JSON each, as they come.
Exit code 0 when every call has a result, 1 when one has none, 2 when the job is no job or cannot be read. It ends when nobody
reads its results any more.

Examples:
  tickbus job show klines.json
  tickbus job run klines.json
  tickbus job run balances.json --config accounts.json"
)]
pub struct Args {
    /// What to do with it.
    #[arg(value_enum, value_name = "DO")]
    pub action: Action,
    /// The job.
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    #[allow(missing_docs, reason = "described there")]
    #[command(flatten)]
    pub accounts: AccountsArgs,
}

/// What to do with a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Action {
    /// Run it to its end and print each result.
    Run,
    /// Print its tree as it would run.
    Show,
}

/// Runs the job, or shows it.
///
/// # Errors
/// The file cannot be read, or the job is none.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let unread = |error| Usage(format!("cannot read {}: {error}", args.file.display()));
    let text = std::fs::read_to_string(&args.file).map_err(unread)?;
    let accounts = args.accounts.load()?;
    let plan = jobs::read(&name_of(&args.file), &args.file.display().to_string(), &text, &accounts)?;
    if args.action == Action::Show {
        super::print(&show(&plan))?;
        return Ok(ExitCode::SUCCESS);
    }
    let failed = run_plan(plan, &mut |result| super::print_on(&format!("{}\n", line(&result)))).await?;
    Ok(if failed == 0 { ExitCode::SUCCESS } else { ExitCode::from(super::FAILED) })
}

/// A file's name as the name of a job.
fn name_of(file: &Path) -> String {
    let stem = file.file_stem().map_or("job".into(), |stem| stem.to_string_lossy().to_lowercase());
    let plain: String = stem.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect();
    let words: Vec<&str> = plain.split('_').filter(|word| !word.is_empty()).collect();
    if words.is_empty() { "job".to_owned() } else { words.join("_") }
}

fn line(result: &TaskResult) -> Value {
    let call = &result.call;
    let params: serde_json::Map<_, _> =
        call.params.iter().map(|(key, value)| (key.clone(), Value::from(value.as_str()))).collect();
    let mut line = json!({
        "task": result.place, "round": result.round, "venue": call.venue.id, "market": call.market.as_ref(),
        "endpoint": call.label(), "params": params, "started": result.started.0,
        "took_ns": u64::try_from(result.took.as_nanos()).unwrap_or(u64::MAX),
    });
    if let Some(name) = &result.name {
        line["name"] = json!(name);
    }
    if let Some(account) = call.account() {
        line["account"] = json!(account);
    }
    match &result.outcome {
        Ok(answer) => {
            line["ok"] = json!(true);
            line["status"] = json!(answer.status);
            line["result"] = value_of(&answer.body);
        }
        Err(failure) => {
            line["ok"] = json!(false);
            line["error"] = json!(failure.detail);
            if let Some(status) = failure.status {
                line["status"] = json!(status);
            }
        }
    }
    line
}

struct Printed(mpsc::Sender<TaskResult>);

impl Sink for Printed {
    fn take<'a>(&'a self, result: TaskResult) -> Boxed<'a, ()> {
        // A taker that has gone ends the job soon.
        Box::pin(async move { drop(self.0.send(result).await) })
    }
}

/// Runs a job and hands out its results as they come, until the taker wants no more. Returns how many calls have none.
///
/// # Errors
/// What the taker of results says; the job then goes no further.
pub(super) async fn run_plan(
    plan: JobPlan,
    take: &mut (dyn FnMut(TaskResult) -> std::io::Result<bool> + Send),
) -> anyhow::Result<u64> {
    let caller = RestCaller::new(RestClient::default(), Arc::default());
    let (sender, mut results) = mpsc::channel(RESULTS);
    let runner = Runner { caller: Arc::new(caller), sink: Arc::new(Printed(sender)) };
    let job = tokio::spawn(async move {
        let mut turns = Turns::new(plan.order, plan.tasks, plan.pause);
        runner.run(&mut turns, plan.on_error).await
    });
    let mut failed = 0;
    while let Some(result) = results.recv().await {
        failed += u64::from(result.outcome.is_err());
        let wants_more = take(result);
        if !matches!(wants_more, Ok(true)) {
            job.abort();
            wants_more?;
            return Ok(failed);
        }
    }
    Ok(job.await.context("the job failed inside: this is a bug")?.failed)
}

/// A body as JSON, where it is JSON.
fn value_of(body: &[u8]) -> Value {
    serde_json::from_slice(body).unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}
