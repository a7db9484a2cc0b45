//! Long back-fills into a file: candles or trades of a time, page by page, within the venue's budget. What the file holds
//! already is not asked for again.

mod file;
mod page;
mod walk;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

pub use file::{Ends, FileError, PastFile};
pub use page::Missing;
use page::{Follow, in_order};
pub use walk::{Ask, Walk};

use crate::clock;
use crate::feed::FeedSpec;
use crate::frame::{EncoderSpec, Encoding, LastSeq, Outgoing};
use crate::io::budget::Account;
use crate::io::http::{Answer, RestClient};
use crate::model::{Channel, Stream, UnixNanos};
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
    /// Until this moment, which is not in it.
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
    #[error("{}: holds {found}, not {wished}; choose another file", .path.display())]
    OfAnother {
        /// Which file.
        path: PathBuf,
        /// What it holds.
        found: String,
        /// What is wished.
        wished: String,
    },
    /// The wish begins before the file, which can only grow at its end.
    #[error(
        "{}: begins with {begins}, and the venue has older ones since {wished}; wish them from {begins} on, or choose another file",
        .path.display()
    )]
    BeginsLater {
        /// Which file.
        path: PathBuf,
        /// Its first record.
        begins: String,
        /// The begin that is wished.
        wished: String,
    },
    /// The venue refused.
    #[error("{0}")]
    Refused(String),
    /// The file.
    #[error(transparent)]
    File(#[from] FileError),
}

impl BackfillError {
    /// Whether what was wished is to be changed, since it will not go on as it is.
    pub const fn is_of_the_wish(&self) -> bool {
        match self {
            Self::NotGiven { .. } | Self::OfAnother { .. } | Self::BeginsLater { .. } => true,
            Self::File(error) => error.is_of_the_name(),
            Self::Refused(_) => false,
        }
    }
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
    /// When it ends.
    pub close_time: Option<u64>,
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

    /// What tells it from others of its stream, and counts on: a candle's begin in nanoseconds, a trade's id.
    pub fn number(&self) -> Option<u64> {
        self.open_time.or_else(|| self.id.as_ref()?.parse().ok())
    }
}

/// What a run has come to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Records written.
    pub written: u64,
    /// Begins of the file's first and last record, in nanoseconds since 1970.
    pub span: Option<(u64, u64)>,
    /// Holes that the venue left in what was written.
    pub holes: u64,
    /// Records missing there.
    pub missing: u64,
}

/// A back-fill under way.
pub struct Backfill {
    wish: Wish,
    walk: Walk,
    path: PathBuf,
    file: PastFile,
    /// What tells whether the venue has something before the file's first record, until it has been asked.
    before: Option<(Ask, Record)>,
    /// The file's last trade, until the venue's has been compared with it.
    known: Option<Record>,
    follow: Follow,
    epoch: u64,
    /// Of the last record.
    seq: u64,
    rest: RestClient,
    account: Arc<Account>,
    sum: Sum,
}

impl Backfill {
    /// Opens the file, which may hold a part already.
    ///
    /// # Errors
    /// It is not to be had, or the file cannot be used.
    pub fn open(wish: Wish, path: &Path, rest: RestClient, account: Arc<Account>) -> Result<Self, BackfillError> {
        let not_given = || BackfillError::NotGiven {
            venue: wish.venue.id,
            market: wish.market.to_string(),
            stream: wish.stream.to_string(),
        };
        let mut walk = Walk::new(&wish).ok_or_else(not_given)?;
        let (file, ends) = PastFile::open(path, &begin(&wish))?;
        let own = |line: &[u8]| {
            let record = read(line).map_err(|why| unlike(path, why, &wish))?;
            differs(&record, &wish).map_or(Ok(record), |found| Err(unlike(path, found, &wish)))
        };
        let ends = ends.map(|ends| Ok::<_, BackfillError>((own(&ends.first)?, own(&ends.last)?))).transpose()?;
        let (mut epoch, mut seq, mut sum) = (clock::wall().as_ms(), 0, Sum::default());
        let (mut before, mut known) = (None, None);
        if let Some((first, last)) = ends {
            walk.follows(&last);
            (epoch, seq) = (last.epoch, last.seq);
            sum.span = Some((first.at(), last.at()));
            before = Walk::before(&wish, &first).map(|ask| (ask, first));
            known = Some(last);
        }
        let follow = Follow::new(wish.stream.channel, known.as_ref().and_then(Record::number));
        let path = path.to_owned();
        Ok(Self { wish, walk, path, file, before, known, follow, epoch, seq, rest, account, sum })
    }

    /// What this run has come to so far.
    pub const fn sum(&self) -> Sum {
        self.sum
    }

    /// Nanoseconds of the wished time that are done, and all of them.
    pub fn progress(&self) -> (u64, u64) {
        let all = self.wish.to.0.saturating_sub(self.wish.from.0);
        (self.walk.reached().saturating_sub(self.wish.from.0).min(all), all)
    }

    /// Fetches and writes the next page; false when there is none.
    ///
    /// # Errors
    /// The venue refuses, the file is not of this wish, or the disk fails.
    pub async fn step(&mut self) -> Result<bool, BackfillError> {
        if let Some((ask, first)) = self.before.take() {
            self.check_begin(&ask, &first).await?;
        }
        let Some(ask) = self.walk.next(&self.wish) else {
            if let Some(missing) = self.follow.at_the_end(self.wish.to, clock::wall()) {
                self.tell(missing);
            }
            return Ok(false);
        };
        let mut records = self.fetch(&ask).await?;
        in_order(&mut records, &ask, clock::wall());
        self.compare(&records)?;
        let found: Vec<&Record> = records.iter().map(|(record, _)| record).collect();
        let keep = self.walk.take(&ask, &found).map_err(BackfillError::Refused)?;
        let is_there = |record: &Record| record.number() <= self.follow.last();
        records.retain(|(record, _)| keep.contains(&record.at()) && !is_there(record));
        for (record, line) in records {
            self.write(&record, line)?;
        }
        self.file.flush()?;
        Ok(true)
    }

    /// Ends the file properly.
    ///
    /// # Errors
    /// The disk fails.
    pub fn finish(self) -> Result<Sum, BackfillError> {
        self.file.finish()?;
        Ok(self.sum)
    }

    /// Gives up: a file that this run made and wrote nothing into goes.
    pub fn give_up(self) {
        if self.sum.written == 0 {
            self.file.discard();
        }
    }

    /// A file grows at its end only: what the venue has before its first record would be missing for good.
    async fn check_begin(&self, ask: &Ask, first: &Record) -> Result<(), BackfillError> {
        let mut records = self.fetch(ask).await?;
        in_order(&mut records, ask, clock::wall());
        match records.iter().any(|(record, _)| record.at() >= self.wish.from.0) {
            true => Err(BackfillError::BeginsLater {
                path: self.path.clone(),
                begins: UnixNanos(first.at()).to_string(),
                wished: self.wish.from.to_string(),
            }),
            false => Ok(()),
        }
    }

    /// Single and merged trades have ids of their own, and their records look alike: the file's last trade must be the venue's.
    fn compare(&mut self, records: &[(Record, Vec<u8>)]) -> Result<(), BackfillError> {
        let Some(known) = self.known.take_if(|known| known.id.is_some() && !records.is_empty()) else { return Ok(()) };
        let given = records.iter().find(|(record, _)| record.number() == known.number());
        match given.filter(|(record, _)| record.at() != known.at()) {
            None => Ok(()),
            Some((record, _)) => Err(BackfillError::OfAnother {
                path: self.path.clone(),
                found: format!("trade {} of {}", known.id.as_deref().unwrap_or_default(), UnixNanos(known.at())),
                wished: format!("that of {} as {}", UnixNanos(record.at()), self.wish.stream),
            }),
        }
    }

    fn write(&mut self, record: &Record, line: Vec<u8>) -> Result<(), BackfillError> {
        let number = record.number().unwrap_or(0);
        if let Some(missing) = self.follow.see(number) {
            self.tell(missing);
        }
        let at = record.at();
        if self.sum.span.is_none() && self.begins_late(at) {
            let (first, wished) = (UnixNanos(at), self.wish.from);
            tracing::warn!(stream = %self.wish.stream, %first, %wished, "Back-fill: the venue has nothing before this");
        }
        self.file.write(&numbered(line, self.seq + 1))?;
        self.seq += 1;
        self.sum.written += 1;
        self.sum.span = Some((self.sum.span.map_or(at, |(first, _)| first), at));
        Ok(())
    }

    /// Whether a first candle is not the one that is wished.
    fn begins_late(&self, at: u64) -> bool {
        Follow::new(self.wish.stream.channel, Some(self.wish.from.0)).see(at).is_some()
            && matches!(self.wish.stream.channel, Channel::Candle(_))
    }

    fn tell(&mut self, Missing { first, count }: Missing) {
        self.sum.holes += 1;
        self.sum.missing += count;
        let from = match self.wish.stream.channel {
            Channel::Candle(_) => UnixNanos(first).to_string(),
            _ => first.to_string(),
        };
        tracing::warn!(stream = %self.wish.stream, from, missing = count, "Back-fill: the venue leaves a hole");
    }

    /// One page as records, as the venue gives them.
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

/// What all records of a wish begin with.
fn begin(wish: &Wish) -> String {
    let kind = if matches!(wish.stream.channel, Channel::Candle(_)) { "candle" } else { "trade" };
    let text = |text: &str| serde_json::Value::from(text).to_string();
    let (venue, market, symbol) = (text(wish.venue.id), text(&wish.market), text(&wish.stream.symbol));
    format!("{{\"v\":1,\"type\":\"{kind}\",\"venue\":{venue},\"market\":{market},\"symbol\":{symbol},")
}

/// The line with this number. Within a text there are backslashes before quotes, so that the first member of this name is it.
fn numbered(line: Vec<u8>, seq: u64) -> Vec<u8> {
    const NAME: &[u8] = b"\"seq\":";
    let Some(at) = line.windows(NAME.len()).position(|bytes| bytes == NAME).map(|at| at + NAME.len()) else {
        return line;
    };
    let digits = line[at..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    [&line[..at], seq.to_string().as_bytes(), &line[at + digits..]].concat()
}

fn read(line: &[u8]) -> Result<Record, String> {
    serde_json::from_slice(line).map_err(|error| format!("no record ({error})"))
}

fn unlike(path: &Path, found: String, wish: &Wish) -> BackfillError {
    let wished = format!("{} {} {}", wish.venue.id, wish.market, wish.stream);
    BackfillError::OfAnother { path: path.to_owned(), found, wished }
}

/// What a record is of, if it is not of what is wished.
fn differs(record: &Record, wish: &Wish) -> Option<String> {
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
