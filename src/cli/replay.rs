//! `tickbus replay`: captures through the same session, books and encoder as live data.

use std::path::PathBuf;
use std::process::ExitCode;
use std::str::FromStr;

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
    /// Write what was found per symbol (gaps, resyncs, final books) as JSON.
    #[arg(long, value_name = "FILE")]
    pub report: Option<PathBuf>,
}

impl Args {
    /// How fast to go: as asked, or as recorded where someone listens.
    pub fn speed(&self) -> Speed {
        self.speed.unwrap_or(if self.bind.is_some() { Speed::Times(1.0) } else { Speed::Max })
    }
}

/// How fast a capture is replayed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Speed {
    /// This many times as fast as it was recorded, above 0 and at most 1000.
    Times(f64),
    /// Without waiting.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<f64>() {
            _ if text == "max" => Ok(Self::Max),
            Ok(times) if times > 0.0 && times <= 1_000.0 => Ok(Self::Times(times)),
            _ => Err("allowed: a number above 0 and at most 1000, or max".to_owned()),
        }
    }
}

/// Replays to the end of the last file.
///
/// # Errors
/// A file that cannot be read, a venue or market that is not known, or a socket that cannot be bound.
#[expect(clippy::unused_async)]
pub async fn run(_args: Args) -> anyhow::Result<ExitCode> {
    anyhow::bail!("`tickbus replay` is not part of this build")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read() {
        assert_eq!("10".parse(), Ok(Speed::Times(10.0)));
        assert_eq!("0.5".parse(), Ok(Speed::Times(0.5)));
        assert_eq!("max".parse(), Ok(Speed::Max));
        for bad in ["0", "-1", "NaN", "inf", "1001", "fast", ""] {
            assert!(bad.parse::<Speed>().is_err(), "{bad}");
        }
    }
}
