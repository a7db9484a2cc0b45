//! The subscriber's command line.

use std::num::NonZeroU64;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::access::AccessArgs;
use super::subscribe::check_endpoint;

const EXAMPLES: &str = "\
Examples, with BUS standing for tcp://127.0.0.1:5555:
  tickbus-sub BUS                                   everything, for reading
  tickbus-sub BUS -t trade. -t status.              trades and states of all symbols
  tickbus-sub BUS -t book.bybit.linear.BTCUSDT.     one book (mind the last dot)
  tickbus-sub BUS -t trade. --format json | jq .price
  tickbus-sub BUS -t book. --count 1 --timeout 5    exit 0 if a book comes, else 1
  tickbus-sub BUS --stats --no-print                rates, gaps and latency only
  tickbus-sub BUS --ladder BTCUSDT                  live depth ladder (q quits)
  tickbus-sub BUS --server-key gateway.key --key me.key_secret

Losses are found in any topic that is received: gaps in its numbers, and from heartbeats and notices, which are subscribed
to but not printed unless asked for.

Data goes to stdout, all else to stderr.
Exit: 0 done, 1 --count not reached or refused by the gateway, 2 wrong usage.";

/// How frames are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One aligned line for a reader, with colours on a terminal.
    #[default]
    Pretty,
    /// The payload as one JSON line, with the topic as its first field `topic`.
    Json,
    /// Topic, a space, and the payload (as JSON if it is MessagePack).
    Raw,
}

/// What `tickbus-sub` is to do.
#[derive(Args, Clone, Debug)]
#[command(after_help = EXAMPLES)]
pub struct SubArgs {
    /// The gateway's bus: tcp://HOST:PORT or ipc://PATH
    #[arg(value_name = "ENDPOINT", value_parser = endpoint)]
    pub endpoint: String,
    /// Only topics that begin so, as `trade.` or `book.bybit.linear.BTCUSDT.` (may be given several times)
    #[arg(short, long = "topic", value_name = "TOPIC_PREFIX")]
    pub topics: Vec<String>,
    /// How frames are printed
    #[arg(long, value_enum, default_value_t = Format::Pretty)]
    pub format: Format,
    /// End with exit 0 after this many frames
    #[arg(long, value_name = "N")]
    pub count: Option<NonZeroU64>,
    /// End after this many seconds: with exit 1 if --count is not reached, else 0
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// Report rates, gaps and latency on stderr each second and at the end
    #[arg(long)]
    pub stats: bool,
    /// Print no frames
    #[arg(long)]
    pub no_print: bool,
    /// No lines about gaps and connections on stderr
    #[arg(short, long)]
    pub quiet: bool,
    /// Show a live depth ladder of this symbol (or instrument, as BTC-USDT-PERP) instead of printing
    #[arg(long, value_name = "SYMBOL", conflicts_with_all = ["format", "count", "stats", "no_print", "quiet"])]
    pub ladder: Option<String>,
    #[allow(missing_docs, reason = "described there")]
    #[command(flatten)]
    pub access: AccessArgs,
}

fn endpoint(text: &str) -> Result<String, String> {
    check_endpoint(text).map(|()| text.to_owned()).map_err(|error| error.to_string())
}

/// Seconds above 0, at most a year.
fn seconds(text: &str) -> Result<Duration, String> {
    let value: f64 = text.parse().map_err(|_| "a number of seconds is needed, as 5 or 0.5".to_owned())?;
    if value > 0.0 && value <= 31_536_000.0 {
        Ok(Duration::from_secs_f64(value))
    } else {
        Err("must be above 0 and at most 31536000 (a year)".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: SubArgs,
    }

    fn parse(line: &str) -> Result<SubArgs, clap::Error> {
        Line::try_parse_from(line.split(' ')).map(|line| line.args)
    }

    #[test]
    fn a_whole_line_is_read() {
        let line = "sub tcp://127.0.0.1:5555 -t a. -t b. --format json --count 3 --timeout 0.5 --stats -q";
        let args = parse(line).unwrap();
        assert_eq!(args.topics, ["a.", "b."]);
        assert_eq!((args.format, args.count.map(NonZeroU64::get)), (Format::Json, Some(3)));
        assert_eq!(args.timeout, Some(Duration::from_millis(500)));
        assert!(args.stats && args.quiet && !args.no_print);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for tail in ["", " --count 0", " --timeout 0", " --timeout -1", " --timeout NaN", " --format x"] {
            let endpoint = if tail.is_empty() { "nowhere" } else { "tcp://127.0.0.1:1" };
            assert!(parse(&format!("sub {endpoint}{tail}")).is_err(), "{tail:?}");
        }
        assert!(parse("sub tcp://127.0.0.1:1 --ladder X --stats").is_err());
        assert!(parse("sub").is_err());
    }
}
