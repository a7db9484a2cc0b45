//! `tickbus record`: what the venues send, byte for byte, into a capture.

use std::path::PathBuf;
use std::process::ExitCode;

use super::ConfigArgs;
use crate::config::Config;

/// Arguments of `tickbus record`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  tickbus record --out today.jsonl.zst
  tickbus record --feed bybit_linear --duration 3600 --out hour.jsonl.gz")]
pub struct Args {
    /// Where the config comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The capture to write, compressed as its name ends: `.jsonl`, `.gz` or `.zst`. It must not exist.
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// Record only this feed of the config. May be repeated.
    #[arg(long, value_name = "NAME")]
    pub feed: Vec<String>,
    /// Stop after this many seconds.
    #[arg(long, value_name = "SECS", value_parser = clap::value_parser!(u64).range(1..))]
    pub duration: Option<u64>,
}

/// Records until told to stop.
///
/// # Errors
/// A file that cannot be written.
#[expect(clippy::unused_async)]
pub async fn run(_args: Args, _config: Config) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`tickbus record` is not part of this build")
}
