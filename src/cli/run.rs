//! `tickbus run`: the gateway.

use std::process::ExitCode;

use super::ConfigArgs;
use crate::config::Config;

/// Arguments of `tickbus run`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tickbus run
  tickbus run --config /etc/tickbus/config.json
  TICKBUS__BUS__ENCODING=msgpack tickbus run
  tickbus run --set feeds.bybit_linear.url=ws://127.0.0.1:9001/v5/public/linear")]
pub struct Args {
    /// Where the config comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
}

/// Runs until told to stop.
///
/// # Errors
/// A socket that cannot be bound, or a failure while running.
#[expect(clippy::unused_async)]
pub async fn run(_args: Args, _config: Config) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`tickbus run` is not part of this build")
}
