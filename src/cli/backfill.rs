//! `tickbus backfill`: candles or trades of a time, from the venue's REST side into a file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::Usage;
use super::progress::Progress;
use crate::backfill::{Backfill, Wish};
use crate::clock;
use crate::io::budget::RestBudget;
use crate::io::http::RestClient;
use crate::model::{Stream, UnixNanos};
use crate::venue;

/// Arguments of `tickbus backfill`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Writes one line of JSON a candle or trade: the payload of its frame, with \"backfill\":true, the oldest first. Calls stay
within the venue's budget of REST weight and wait as long as the venue says. The progress is shown on stderr.

It can be broken off at any time: the same command goes on behind the last whole line of the file, and takes nothing twice.
Candles that have not ended are left out; run it again later to have them.

Times are dates, times with a zone, or milliseconds since 1970; without a zone they are UTC.

Examples:
  tickbus backfill binance usdm BTCUSDT candle:1m --from 2026-01-01 --out btc.jsonl.zst
  tickbus backfill binance spot ETHUSDT trade:agg --from 2026-11-01T08:00:00Z --to 2026-11-01T09:00:00Z --out eth.jsonl.gz
  tickbus backfill bybit linear BTCUSDT candle:1h --from 2025-01-01 --to 2026-01-01 --out hours.jsonl"
)]
pub struct Args {
    /// The venue.
    #[arg(value_name = "VENUE")]
    pub venue: String,
    /// Which of its markets.
    #[arg(value_name = "MARKET")]
    pub market: String,
    /// The symbol, in the venue's spelling.
    #[arg(value_name = "SYMBOL")]
    pub symbol: String,
    /// `candle:1m` and other intervals, `trade`, `trade:agg`.
    #[arg(value_name = "CHANNEL")]
    pub channel: String,
    /// From when on.
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// Until when; now if absent.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// The file, compressed as its name ends: `.jsonl`, `.jsonl.gz` or `.jsonl.zst`.
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// REST address instead of the venue's own.
    #[arg(long, value_name = "URL")]
    pub rest_url: Option<String>,
}

/// Fetches what the file lacks.
///
/// # Errors
/// What is wrong with the arguments, or why it does not go on.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let wish = wish(&args)?;
    let account = Arc::<RestBudget>::default().account(wish.venue, &wish.market, &wish.base);
    let mut backfill = Backfill::open(wish, &args.out, RestClient::default(), account)?;
    let mut progress = Progress::new("seconds", clock::now().mono);
    let shown = |backfill: &Backfill, progress: &mut Progress| {
        let (done, of) = backfill.progress();
        let seconds = |nanos: u64| nanos / 1_000_000_000;
        progress.advance(seconds(done), seconds(of).max(1), clock::now().mono);
    };
    shown(&backfill, &mut progress);
    while backfill.step().await? {
        shown(&backfill, &mut progress);
    }
    progress.clear();
    let written = backfill.finish()?;
    super::print(&format!("{written} records more in {}\n", args.out.display()))?;
    Ok(ExitCode::SUCCESS)
}

fn wish(args: &Args) -> Result<Wish, Usage> {
    let known = || venue::VENUES.iter().map(|venue| venue.id).collect::<Vec<_>>().join(", ");
    let found = venue::find(&args.venue)
        .ok_or_else(|| Usage(format!("unknown venue {:?}; allowed: {}", args.venue, known())))?;
    found.check_market(&args.market).map_err(Usage)?;
    (found.check_symbol)(&args.market, &args.symbol).map_err(Usage)?;
    let spec = (found.parse_channel)(&args.market, &args.channel).map_err(Usage)?;
    let now = clock::wall();
    let from = time("--from", &args.from)?;
    let to = args.to.as_deref().map_or(Ok(now), |text| time("--to", text))?.min(now);
    if from >= to {
        return Err(Usage(format!("--from: {} is not before {}", args.from, args.to.as_deref().unwrap_or("now"))));
    }
    Ok(Wish {
        venue: found,
        market: args.market.as_str().into(),
        stream: Stream { variant: spec.variant, ..Stream::new(args.symbol.as_str(), spec.channel) },
        from,
        to,
        base: (found.endpoints)(&args.market, None, args.rest_url.as_deref()).rest_url,
    })
}

/// Reads a time: a date, a time with or without a zone, or milliseconds since 1970.
fn time(name: &str, text: &str) -> Result<UnixNanos, Usage> {
    if let Ok(ms) = text.parse::<u64>() {
        return Ok(UnixNanos::from_ms(ms));
    }
    let utc = |time: jiff::civil::DateTime| time.to_zoned(jiff::tz::TimeZone::UTC).map(|zoned| zoned.timestamp());
    let read = text
        .parse::<jiff::Timestamp>()
        .or_else(|_| text.parse::<jiff::civil::DateTime>().and_then(utc))
        .or_else(|_| text.parse::<jiff::civil::Date>().and_then(|date| utc(date.at(0, 0, 0, 0))));
    let nanos = read.ok().and_then(|time| u64::try_from(time.as_nanosecond()).ok());
    nanos.map(UnixNanos).ok_or_else(|| {
        Usage(format!("{name}: {text:?} is no time since 1970; write 2026-11-01, 2026-11-01T08:00:00Z or milliseconds"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_in_every_spelling() {
        let ms = |text| time("--from", text).map(UnixNanos::as_ms).ok();
        assert_eq!(ms("2026-11-01"), Some(1_793_491_200_000));
        assert_eq!(ms("2026-11-01T08:00:00Z"), Some(1_793_520_000_000));
        assert_eq!(ms("2026-11-01T08:00:00+03:00"), Some(1_793_509_200_000));
        assert_eq!(ms("2026-11-01 08:00"), Some(1_793_520_000_000));
        assert_eq!(ms("1793520000000"), Some(1_793_520_000_000));
        assert_eq!((ms("yesterday"), ms("1969-12-31"), ms("")), (None, None, None));
    }
}
