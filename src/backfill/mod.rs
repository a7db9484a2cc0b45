//! Long back-fills into a file: candles or trades of a time, page by page, within the venue's budget. What the file holds
//! already is not asked for again.

mod file;
mod walk;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

pub use file::{FileError, PastFile};
pub use walk::{Ask, Walk};

use crate::clock;
use crate::feed::FeedSpec;
use crate::frame::{EncoderSpec, Encoding, LastSeq, Outgoing};
use crate::io::budget::Account;
use crate::io::http::{Answer, RestClient};
use crate::model::{Stream, UnixNanos};
use crate::pipeline::Pipeline;
use crate::venue::{Told, VenueDef};

/// How long a call may take once it has left.
const CALL_TIMEOUT: Duration = Duration::from_secs(20);
/// Tries of one call; the wait before another one doubles from a second to half a minute. Pauses that the venue asks for
/// come on top.
const TRIES: u32 = 8;
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// What is wished.
#[derive(Clone)]
pub struct Wish {
    /// Whose.
    pub venue: &'static VenueDef,
    /// Which of its markets.
    pub market: Arc<str>,
    /// Candles or trades of a symbol.
    pub stream: Stream,
    /// From this moment on.
    pub from: UnixNanos,
    /// Up to this moment.
    pub to: UnixNanos,
    /// REST base address without a trailing slash.
    pub base: String,
}

/// Why it did not go on. The file is whole, and the same command goes on from there.
#[derive(Debug, thiserror::Error)]
pub enum BackfillError {
    /// The venue does not give it by REST.
    #[error(
        "{venue} {market} does not give the past of {stream} by REST: candles of its intervals, and trades whose ids count by one, can be had"
    )]
    NotGiven {
        /// Whose.
        venue: &'static str,
        /// Of which market.
        market: String,
        /// Of what.
        stream: String,
    },
    /// The file holds something else.
    #[error("{path} holds {found}, not {wished}; choose another file")]
    OfAnother {
        /// Which file.
        path: String,
        /// What it holds.
        found: String,
        /// What is wished.
        wished: String,
    },
    /// The venue refused.
    #[error("{0}")]
    Refused(String),
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
}

/// What a record says of its place.
#[derive(Clone, Debug, Deserialize)]
pub struct Record {
    /// `candle` or `trade`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whose.
    pub venue: String,
    /// Of which market.
    pub market: String,
    /// Of which symbol.
    pub symbol: String,
    /// The run that wrote it.
    pub epoch: u64,
    /// Its number.
    pub seq: u64,
    /// A candle's interval.
    pub interval: Option<String>,
    /// When a candle began.
    pub open_time: Option<u64>,
    /// Whether a candle has ended.
    pub closed: Option<bool>,
    /// A trade's id.
    pub id: Option<String>,
    /// When a trade happened.
    pub ts_event: Option<u64>,
}

impl Record {
    /// When it begins, in nanoseconds since 1970.
    pub fn at(&self) -> u64 {
        self.open_time.or(self.ts_event).unwrap_or(0)
    }
}

/// A back-fill under way.
pub struct Backfill {
    wish: Wish,
    walk: Walk,
    file: PastFile,
    epoch: u64,
    /// Of the last record.
    seq: u64,
    rest: RestClient,
    account: Arc<Account>,
    written: u64,
}

impl Backfill {
    /// Opens the file, which may hold a part already.
    ///
    /// # Errors
    /// It is not to be had, or the file cannot be used.
    pub fn open(
        wish: Wish,
        path: &std::path::Path,
        rest: RestClient,
        account: Arc<Account>,
    ) -> Result<Self, BackfillError> {
        let not_given = || BackfillError::NotGiven {
            venue: wish.venue.id,
            market: wish.market.to_string(),
            stream: wish.stream.to_string(),
        };
        let walk = Walk::new(&wish).ok_or_else(not_given)?;
        let (file, last) = PastFile::open(path)?;
        let last = last.map(|line| read(&line).map_err(|why| unlike(path, why, &wish))).transpose()?;
        if let Some(found) = last.as_ref().and_then(|last| differs(last, &wish)) {
            return Err(unlike(path, found, &wish));
        }
        let (epoch, seq) = last.as_ref().map_or((clock::wall().as_ms(), 0), |last| (last.epoch, last.seq));
        let mut walk = walk;
        if let Some(last) = &last {
            walk.follows(last);
        }
        Ok(Self { wish, walk, file, epoch, seq, rest, account, written: 0 })
    }

    /// Records written by this run.
    pub const fn written(&self) -> u64 {
        self.written
    }

    /// Nanoseconds of the wished time that are done, and all of them.
    pub fn progress(&self) -> (u64, u64) {
        let all = self.wish.to.0.saturating_sub(self.wish.from.0);
        (self.walk.reached().saturating_sub(self.wish.from.0).min(all), all)
    }

    /// Fetches and writes the next page; false when there is none.
    ///
    /// # Errors
    /// The venue refuses, or the disk fails.
    pub async fn step(&mut self) -> Result<bool, BackfillError> {
        let Some(ask) = self.walk.next(&self.wish) else { return Ok(false) };
        let lines = self.fetch(&ask).await?;
        let keep = self.walk.take(&ask, &lines.iter().map(|(record, _)| record).collect::<Vec<_>>());
        for (record, line) in &lines {
            let is_kept = keep.as_ref().is_some_and(|keep| keep.contains(&record.at()));
            if is_kept && record.closed != Some(false) {
                self.file.write(line)?;
                self.seq = record.seq;
                self.written += 1;
            }
        }
        self.file.flush()?;
        Ok(true)
    }

    /// Ends the file properly.
    ///
    /// # Errors
    /// The disk fails.
    pub fn finish(self) -> Result<u64, BackfillError> {
        self.file.finish()?;
        Ok(self.written)
    }

    /// One page as records, the oldest first.
    async fn fetch(&self, ask: &Ask) -> Result<Vec<(Record, Vec<u8>)>, BackfillError> {
        let mut wait = Duration::from_secs(1);
        let mut why = String::new();
        for attempt in 0..TRIES {
            if attempt > 0 {
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(LONGEST_WAIT);
            }
            match self.call(ask).await {
                Ok(Answer { status: 200, body, .. }) => match self.records(ask, &body) {
                    Ok(records) => return Ok(records),
                    Err(error) => why = error,
                },
                Ok(Answer { status, body, .. }) => {
                    let said: String = String::from_utf8_lossy(&body).chars().take(300).collect();
                    why = format!("HTTP {status}: {}", said.trim());
                    // What is wrong with the question stays wrong.
                    if (400..500).contains(&status) && !matches!(status, 408 | 418 | 429) {
                        break;
                    }
                }
                Err(error) => why = error,
            }
            tracing::warn!(why, "Back-fill: asking again");
        }
        Err(BackfillError::Refused(why))
    }

    async fn call(&self, ask: &Ask) -> Result<Answer, String> {
        let url = format!("{}{}", self.wish.base, ask.endpoint.target(&ask.params));
        let place = self.account.queue_behind((ask.endpoint.weight)(&ask.params)).ok_or("too many calls wait")?;
        self.rest.get(&url, CALL_TIMEOUT, place).await.map_err(|error| error.to_string())
    }

    fn records(&self, ask: &Ask, body: &[u8]) -> Result<Vec<(Record, Vec<u8>)>, String> {
        let Some(reader) = ask.endpoint.read else { return Ok(Vec::new()) };
        let now = clock::now();
        let told = Told { market: &self.wish.market, params: &ask.params, body, at: now.wall, backfill: true };
        let wished = &self.wish.stream;
        // A page of its own each time: what was looked at and not kept counts for nothing.
        let mut pipeline = pipeline(&self.wish, self.epoch, self.seq);
        pipeline.read(reader, &told, &mut |stream| stream == wished, now)?;
        let frames = std::mem::take(&mut pipeline.outbox().frames);
        let payloads = frames.into_iter().filter_map(|work| match work {
            Outgoing::Frame(frame) => Some(frame.payload.to_vec()),
            _ => None,
        });
        payloads.map(|line| read(&line).map(|record| (record, line))).collect()
    }
}

fn read(line: &[u8]) -> Result<Record, String> {
    serde_json::from_slice(line).map_err(|error| format!("no record ({error})"))
}

fn unlike(path: &std::path::Path, found: String, wish: &Wish) -> BackfillError {
    let wished = format!("{} {} {}", wish.venue.id, wish.market, wish.stream);
    BackfillError::OfAnother { path: path.display().to_string(), found, wished }
}

/// What a record is of, if it is not of what is wished.
fn differs(record: &Record, wish: &Wish) -> Option<String> {
    use crate::model::Channel;
    let (kind, interval) = match wish.stream.channel {
        Channel::Candle(interval) => ("candle", Some(interval.to_string())),
        _ => ("trade", None),
    };
    let same = record.venue == wish.venue.id
        && record.market == *wish.market
        && record.symbol == wish.stream.symbol
        && record.kind == kind
        && record.interval == interval;
    let interval = record.interval.as_ref().map_or(String::new(), |interval| format!(":{interval}"));
    let found = || format!("{} {} {} {}{interval}", record.venue, record.market, record.symbol, record.kind);
    (!same).then(found)
}

fn pipeline(wish: &Wish, epoch: u64, seq: u64) -> Pipeline {
    let feed = FeedSpec { market: wish.market.to_string(), discover: true, ..FeedSpec::default() };
    let encoder = EncoderSpec {
        feed: "backfill".to_owned(),
        venue: wish.venue.id.to_owned(),
        market: wish.market.to_string(),
        account: None,
        epoch,
        encoding: Encoding::Json,
        book_depth: 1,
        depth_of: HashMap::new(),
        book_interval: Duration::ZERO,
        last_seq: LastSeq::new(move |_| seq, 0),
        feed_seq: Arc::default(),
        clock: clock::wall,
    };
    Pipeline::new(wish.venue, feed, encoder)
}
