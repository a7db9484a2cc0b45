//! `tickbus ctl`: asks or tells a running gateway, over its control socket.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};

use super::Usage;
use crate::client::{AccessArgs, request_secured};

/// Arguments of `tickbus ctl`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The answer is one JSON object on stdout.

Operations:
  feeds                              the feeds and their states
  status [feed=NAME]                 every symbol's state, counters, the bus
  snapshot topic=TOPIC               the current book frame, full depth
  topics                             topics whose current frame a joiner gets
  stats                              the bus's counters
  resync feed=NAME symbol=SYMBOL     ask the venue for one book anew
  reload                             read the lists of client keys again
  shutdown                           end the gateway

Examples:
  tickbus ctl status
  tickbus ctl resync feed=bybit_linear symbol=BTCUSDT")]
pub struct Args {
    /// The gateway's control socket.
    #[arg(long, value_name = "ENDPOINT", default_value = "tcp://127.0.0.1:5557", env = "TICKBUS_CONTROL")]
    pub endpoint: String,
    /// Seconds to wait for the answer.
    #[arg(long, value_name = "SECS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub timeout: u64,
    #[allow(missing_docs, reason = "described there")]
    #[command(flatten)]
    pub access: AccessArgs,
    /// What to do.
    #[arg(value_name = "OP")]
    pub op: String,
    /// The operation's arguments.
    #[arg(value_name = "KEY=VALUE")]
    pub args: Vec<String>,
}

/// Sends the operation and prints the answer.
///
/// # Errors
/// No gateway there, no answer in time, or a refusal.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let mut fields = Map::from_iter([("op".to_owned(), Value::String(args.op))]);
    for text in &args.args {
        let (key, value) = text.split_once('=').with_context(|| format!("{text:?}: write KEY=VALUE"))?;
        fields.insert(key.to_owned(), Value::String(value.to_owned()));
    }
    let body = Value::Object(fields).to_string();
    let security = args.access.security().map_err(|error| Usage(error.to_string()))?;
    let frames = request_secured(&args.endpoint, &security, &body, Duration::from_secs(args.timeout)).await?;
    let answer = frames.last().context("the gateway's answer is empty")?;
    let json = crate::client::as_json(answer)?;
    super::print(&format!("{json}\n"))?;
    let parsed: Value = serde_json::from_str(&json).unwrap_or_default();
    if parsed["ok"] == Value::Bool(false) {
        bail!("{}", parsed["error"].as_str().unwrap_or("refused"));
    }
    Ok(ExitCode::SUCCESS)
}
