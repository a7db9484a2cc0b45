//! `tickbus ctl`: asks or tells a running gateway, over its control socket.

use std::process::ExitCode;

/// Arguments of `tickbus ctl`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The answer is one JSON object on stdout.

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
#[expect(clippy::unused_async)]
pub async fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`tickbus ctl` is not part of this build")
}
