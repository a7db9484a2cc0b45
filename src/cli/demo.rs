//! `tickbus demo`: a simulated venue, a gateway and a printer in one process.

use std::process::ExitCode;

/// Arguments of `tickbus demo`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tickbus demo
  tickbus demo --seed 7 --rate 100 --duration 10")]
pub struct Args {
    /// The same seed gives the same market.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub seed: u64,
    /// Book updates a second and symbol.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub rate: u32,
    /// Stop after this many seconds.
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..))]
    pub duration: Option<u64>,
}

/// Runs until told to stop.
///
/// # Errors
/// A failure while running.
#[expect(clippy::unused_async)]
pub async fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`tickbus demo` is not part of this build")
}
