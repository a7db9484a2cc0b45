//! `tickbus backfill`: candles or trades of a time, from the venue's REST side into a file.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use super::Usage;
use super::progress::Progress;
use crate::backfill::{Backfill, BackfillError, Sum, Wish};
use crate::clock;
use crate::io::budget::RestBudget;
use crate::io::http::RestClient;
use crate::model::{Stream, UnixNanos};
use crate::venue;

/// Arguments of `tickbus backfill`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "Writes one line of JSON a candle or trade: the payload of its frame, with \"backfill\":true, the oldest first. Calls stay
within the venue's budget of REST weight and wait as long as the venue says. The progress is shown on stderr: as a bar on a
terminal, else as a line every ten seconds.

It can be broken off at any time: the same command goes on behind the last whole line of the file, and takes nothing twice.
Candles that have not ended are left out; run it again later to have them. A file grows at its end only, and has no holes of
its own: a later --from or --to adds all that follows on its last record; an earlier --from is refused, if the venue has
something there. A file of something else is refused, and left as it is.

Times are dates, times with a zone, or milliseconds since 1970; without a zone they are UTC. What begins at --to is not in it.

Exit codes: 0 done; 1 the venue, the network or the disk failed, and the same command goes on; 2 bad arguments, or a file that is
not of this stream; 4 done, but the venue left holes: each is told on stderr.

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
    /// From when on, that moment included.
    #[arg(long, value_name = "TIME")]
    pub from: String,
    /// Until when, that moment not included; now if absent.
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// The file, compressed as its name ends: `.jsonl`, `.jsonl.gz` or `.jsonl.zst`.
    #[arg(short, long, value_name = "FILE")]
    pub out: PathBuf,
    /// REST address instead of the venue's own.
    #[arg(long, value_name = "URL")]
    pub rest_url: Option<String>,
}

/// The exit code when the venue left holes.
const HOLES: u8 = 4;

/// Fetches what the file lacks.
///
/// # Errors
/// What is wrong with the arguments, or why it does not go on.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let wish = wish(&args)?;
    let account = Arc::<RestBudget>::default().account(wish.venue, &wish.market, &wish.base);
    let mut backfill = Backfill::open(wish, &args.out, RestClient::default(), account).map_err(told)?;
    let mut progress = Progress::new("seconds", clock::now().mono);
    loop {
        let (done, of) = backfill.progress();
        let seconds = |nanos: u64| nanos / 1_000_000_000;
        progress.advance(seconds(done), seconds(of).max(1), clock::now().mono);
        match backfill.step().await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                backfill.give_up();
                return Err(told(error));
            }
        }
    }
    progress.clear();
    let sum = backfill.finish().map_err(told)?;
    super::print(&summary(&sum, &args.out.display().to_string()))?;
    Ok(if sum.holes == 0 { ExitCode::SUCCESS } else { ExitCode::from(HOLES) })
}

/// What is to be changed on the command line is told as such.
fn told(error: BackfillError) -> anyhow::Error {
    if error.is_of_the_wish() { Usage(error.to_string()).into() } else { error.into() }
}

/// What a run has come to, in one line.
fn summary(sum: &Sum, file: &str) -> String {
    let counted = |count: u64, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
    let span = match sum.span {
        Some((first, last)) => format!(", which reaches from {} to {}", UnixNanos(first), UnixNanos(last)),
        None => ", which is empty".to_owned(),
    };
    let holes = match sum.holes {
        0 => String::new(),
        holes => format!(
            "; the venue left {} in them, where {} missing",
            counted(holes, "hole"),
            match sum.missing {
                1 => "1 record is".to_owned(),
                missing => format!("{missing} records are"),
            }
        ),
    };
    format!("{} more in {file}{span}{holes}\n", counted(sum.written, "record"))
}

fn wish(args: &Args) -> Result<Wish, Usage> {
    let known = || venue::VENUES.iter().map(|venue| venue.id).collect::<Vec<_>>().join(", ");
    let found = venue::find(&args.venue)
        .ok_or_else(|| Usage(format!("unknown venue {:?}; allowed: {}", args.venue, known())))?;
    found.check_market(&args.market).map_err(Usage)?;
    (found.check_symbol)(&args.market, &args.symbol).map_err(Usage)?;
    let spec = (found.parse_channel)(&args.market, &args.channel).map_err(Usage)?;
    args.rest_url.as_deref().map_or(Ok(()), check_address)?;
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

fn check_address(text: &str) -> Result<(), Usage> {
    let is_one = url::Url::parse(text).is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host());
    if is_one {
        Ok(())
    } else {
        Err(Usage(format!("--rest-url: {text:?} is no address; write https://HOST… or http://HOST…")))
    }
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
    fn a_run_is_summed_up_in_one_line() {
        let sum = |written, span, holes, missing| summary(&Sum { written, span, holes, missing }, "a.jsonl");
        assert_eq!(sum(0, None, 0, 0), "0 records more in a.jsonl, which is empty\n");
        let hour = 3_600_000_000_000;
        assert_eq!(
            sum(1, Some((hour, 2 * hour)), 0, 0),
            "1 record more in a.jsonl, which reaches from 1970-01-01T01:00:00Z to 1970-01-01T02:00:00Z\n"
        );
        assert!(sum(2, None, 1, 1).ends_with("; the venue left 1 hole in them, where 1 record is missing\n"));
        assert!(sum(2, None, 2, 9).ends_with("; the venue left 2 holes in them, where 9 records are missing\n"));
    }

    #[test]
    fn addresses_are_checked_before_anything_is_asked() {
        assert!(["http://127.0.0.1:1", "https://api.test/x"].iter().all(|text| check_address(text).is_ok()));
        for text in ["nope", "", "ws://a", "http://", "ftp://a"] {
            assert!(check_address(text).is_err(), "{text}");
        }
    }

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
