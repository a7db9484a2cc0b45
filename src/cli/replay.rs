//! `tickbus replay`: captures through the same session, books and encoder as live data.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::sync::mpsc;

use super::Usage;
use crate::bus::{Outgoing, Publisher, PublisherOptions};
use crate::io::FrameSink;
use crate::replay::find_market;
use crate::replay::pipelines::Pipelines;
use crate::replay::player::{Player, Speed};
use crate::replay::reader::Captures;
use crate::replay::report::report;
use crate::venue::{self, VENUES, VenueDef};

/// Arguments of `tickbus replay`.
#[derive(Debug, clap::Args)]
#[command(after_help = "Several files are one continuous stream.

Examples:
  tickbus replay --venue bybit --market linear day1.jsonl.zst day2.jsonl.zst --report report.json
  tickbus replay --venue bybit capture.jsonl.gz --speed 10 --bind tcp://127.0.0.1:5555")]
pub struct Args {
    /// The venue that was recorded; `tickbus venues` lists them.
    #[arg(long)]
    pub venue: String,
    /// Its market; may be left out where the messages themselves tell it.
    #[arg(long)]
    pub market: Option<String>,
    /// Captures (`.jsonl`, `.gz`, `.zst`), in order.
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// How fast: 1 as recorded, 10 ten times as fast, `max` without waiting [default: 1 with --bind, else max].
    #[arg(long)]
    pub speed: Option<Speed>,
    /// Publish the frames here.
    #[arg(long, value_name = "ENDPOINT")]
    pub bind: Option<String>,
    /// With --bind: wait so long for the first subscriber before playing.
    #[arg(long, value_name = "SECS", default_value_t = 5)]
    pub wait: u64,
    /// Write what was found per symbol (gaps, resyncs, final books) here as JSON, instead of to stdout.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

/// Frames that subscribers may be behind before the replay waits for them.
const BEHIND: usize = 5_000;
/// How long subscribers may take to read the last frames.
const DRAIN_WITHIN: Duration = Duration::from_secs(5);

/// A bus that says when its readers are behind, or no bus.
struct ReplaySink(Option<Publisher>);

impl FrameSink for ReplaySink {
    fn publish(&self, batch: &mut Vec<Outgoing>) {
        match &self.0 {
            Some(publisher) => publisher.publish(batch),
            None => batch.clear(),
        }
    }

    fn is_congested(&self) -> bool {
        self.0.as_ref().is_some_and(|publisher| publisher.stats().queued_frames > BEHIND)
    }
}

/// Replays to the end of the last file.
///
/// # Errors
/// A file that cannot be read, a venue or market that is not known, or a socket that cannot be bound.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let venue = known_venue(&args.venue)?;
    let forced = args.market.as_deref().map(|market| known_market(venue, market)).transpose()?;
    let found = match &forced {
        Some(market) => Some(Arc::clone(market)),
        None => find_market(&args.files, venue)?.map(Arc::from),
    };
    let markets = || venue.markets.iter().map(|market| market.id).collect::<Vec<_>>().join(", ");
    let fallback =
        found.ok_or_else(|| Usage(format!("the messages do not tell the market: add --market ({})", markets())))?;
    let mut captures = Captures::open(&args.files)?;
    let mut pipelines = Pipelines::new(venue, forced, fallback);
    let sink = ReplaySink(bind(&args, pipelines.epoch()).await?);
    let (_commands, mut receiver) = mpsc::channel(1);
    let speed = args.speed.unwrap_or(if args.bind.is_some() { Speed::Times(1) } else { Speed::Max });
    let totals = Player::new(&mut pipelines, &sink, &mut receiver, speed).play(&mut captures).await;
    if let Some(publisher) = &sink.0 {
        publisher.close(DRAIN_WITHIN).await;
    }
    tracing::info!(messages = totals.ws, connects = totals.connect, rest = totals.rest, "Replay ended");
    let report = format!("{:#}\n", report(venue.id, &pipelines.book_reports()));
    match &args.report {
        Some(path) => std::fs::write(path, report).with_context(|| format!("cannot write {}", path.display()))?,
        None => super::print(&report)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn known_venue(id: &str) -> Result<&'static VenueDef, Usage> {
    let ids = || VENUES.iter().map(|venue| venue.id).collect::<Vec<_>>().join(", ");
    venue::find(id).ok_or_else(|| Usage(format!("--venue: unknown venue {id:?}; allowed: {}", ids())))
}

fn known_market(venue: &VenueDef, id: &str) -> Result<Arc<str>, Usage> {
    venue.check_market(id).map_err(|message| Usage(format!("--market: {message}")))?;
    Ok(id.into())
}

/// Binds the bus, if asked for, and waits for someone to listen.
async fn bind(args: &Args, epoch: u64) -> anyhow::Result<Option<Publisher>> {
    let Some(endpoint) = &args.bind else { return Ok(None) };
    let options = PublisherOptions { endpoints: vec![endpoint.clone()], epoch, ..PublisherOptions::default() };
    let publisher = Publisher::bind(options).await?;
    tracing::info!(bus = publisher.endpoints().join(" "), "Waiting for a subscriber");
    let joined = async {
        while !publisher.stats().anyone_subscribed {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(Duration::from_secs(args.wait), joined).await.is_err() && args.wait > 0 {
        tracing::warn!(seconds = args.wait, "Nobody subscribed: playing all the same");
    }
    Ok(Some(publisher))
}
