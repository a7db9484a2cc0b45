//! `tickbus record`: what the venues send, byte for byte, into a capture.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, warn};

use super::{ConfigArgs, Usage};
use crate::app::Gateway;
use crate::config::Config;
use crate::io::tap::tap;
use crate::replay::recorder::{CaptureWriter, Recorder};

/// Arguments of `tickbus record`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The gateway runs while it records: its bus is open as with `tickbus run`.

Examples:
  tickbus record --out today.jsonl.zst
  tickbus record --feed bybit_linear --duration 3600 --out hour.jsonl.gz")]
pub struct Args {
    /// Where the config comes from.
    #[command(flatten)]
    pub config: ConfigArgs,
    /// The capture to write, compressed as its name ends: `.jsonl`, `.gz` or `.zst`.
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// Overwrite the capture if it exists.
    #[arg(long)]
    pub force: bool,
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
pub async fn run(args: Args, mut config: Config) -> anyhow::Result<ExitCode> {
    choose_feeds(&args.feed, &mut config)?;
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let writer = CaptureWriter::create(&args.out, args.force)?;
    let (tap, reader) = tap();
    let dropped = tap.clone();
    let mut gateway = Gateway::start(&config, Some(tap)).await?;
    let recorder = Recorder::start(reader, writer);
    info!(file = %args.out.display(), feeds = config.feeds.len(), "Recording");
    let over = async {
        match args.duration {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let disk_failed = async {
        while !recorder.has_ended() {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    tokio::select! {
        () = over => {}
        () = disk_failed => {}
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
        () = gateway.stop_requested() => {}
    }
    gateway.stop().await;
    let lost = dropped.dropped();
    drop(dropped);
    let lines = recorder.join().await?;
    if lost > 0 {
        warn!(lost, "The recording has holes: the disk was too slow");
    }
    super::print(&format!("{lines} lines in {}, {lost} lost\n", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}

/// Leaves only the named feeds, if any are named.
fn choose_feeds(names: &[String], config: &mut Config) -> Result<(), Usage> {
    for name in names {
        if !config.feeds.iter().any(|feed| feed.name == *name) {
            let known: Vec<&str> = config.feeds.iter().map(|feed| feed.name.as_str()).collect();
            return Err(Usage(format!("--feed: no feed {name:?} in the config; allowed: {}", known.join(", "))));
        }
    }
    if !names.is_empty() {
        config.feeds.retain(|feed| names.contains(&feed.name));
        // Read again, it would have all of them.
        config.source = None;
    }
    Ok(())
}
