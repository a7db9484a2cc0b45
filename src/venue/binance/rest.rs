//! REST calls of a session: the list of symbols, and images of books. Weights are those of the documentation.

use std::collections::BTreeMap;
use std::time::Duration;

use super::instruments::ExchangeInfo;
use super::market::Segment;
use super::wire::{DepthData, Envelope};
use crate::model::{BookDepth, Channel, Mono, Stream, StreamId};
use crate::venue::HttpRequest;
use crate::venue::kit::fields::Object;

/// How long one call may take once it has left.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long after a failure the list is asked for again.
const RETRY: Duration = Duration::from_secs(15);
/// A list this young is believed when it does not have a symbol; with an older one it is asked for anew.
const FRESH: Duration = Duration::from_secs(60);
/// How often the list is read again while a symbol that is wished is not in it.
const REREAD: Duration = Duration::from_secs(600);
/// `Invalid symbol.`
const INVALID_SYMBOL: &str = "-1121";

/// What a call was for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Job {
    List,
    Image(StreamId),
}

/// What an answer turned out to be.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    /// The list of symbols.
    List(ExchangeInfo<'a>),
    /// No list; it is asked for again by and by.
    NoList,
    /// The image of a book; the stream is not known for one found in a recording.
    Image(Option<StreamId>, DepthData<'a>),
    /// No image.
    ImageFailed(StreamId, String),
    /// The venue does not know the symbol.
    NoSymbol(StreamId, String),
    /// Nothing of ours.
    Nothing,
}

/// The calls under way, and when the list is to be read.
#[derive(Debug)]
pub(super) struct Rest {
    segment: Segment,
    next_id: u64,
    jobs: BTreeMap<u64, Job>,
    listed_at: Option<Mono>,
    read_list_at: Option<Mono>,
}

impl Rest {
    pub(super) const fn new(segment: Segment) -> Self {
        Self { segment, next_id: 1, jobs: BTreeMap::new(), listed_at: None, read_list_at: None }
    }

    /// Asks for the list of symbols, unless that is under way.
    pub(super) fn list(&mut self) -> Option<HttpRequest> {
        if self.jobs.values().any(|job| *job == Job::List) {
            return None;
        }
        self.read_list_at = None;
        let (query, weight) = if self.segment.is_spot() { ("?showPermissionSets=false", 20) } else { ("", 1) };
        Some(self.call(format!("{}/exchangeInfo{query}", self.segment.api()), weight, Job::List))
    }

    /// Whether the list is to be read now.
    pub(super) fn is_list_due(&self, now: Mono) -> bool {
        self.read_list_at.is_some_and(|at| at <= now)
    }

    /// Whether the list is young enough to be believed.
    pub(super) fn is_list_fresh(&self, now: Mono) -> bool {
        self.listed_at.is_some_and(|at| now.since(at) < FRESH)
    }

    /// Whether there is a list at all.
    pub(super) const fn has_list(&self) -> bool {
        self.listed_at.is_some()
    }

    /// Reads the list again by and by: it lacks a symbol that is wished.
    pub(super) fn reread_list(&mut self, now: Mono) {
        self.read_list_at.get_or_insert(now.after(REREAD));
    }

    /// Asks for the image of a book, unless that is under way: it would be of no more use than the other.
    pub(super) fn image(&mut self, id: StreamId, stream: &Stream) -> Option<HttpRequest> {
        if self.jobs.values().any(|job| *job == Job::Image(id)) {
            return None;
        }
        let depth = match stream.channel {
            Channel::Book(BookDepth::Levels(depth)) => depth,
            _ => 1000,
        };
        let symbol = percent_encoded(&stream.symbol);
        let path = format!("{}/depth?symbol={symbol}&limit={depth}", self.segment.api());
        Some(HttpRequest { stream: Some(id), ..self.call(path, image_weight(self.segment, depth), Job::Image(id)) })
    }

    fn call(&mut self, path: String, weight: u32, job: Job) -> HttpRequest {
        let id = self.next_id;
        self.next_id += 1;
        self.jobs.insert(id, job);
        HttpRequest::get(id, path, CALL_TIMEOUT, weight)
    }

    /// The connection is gone: what was asked for its sake is not waited for.
    pub(super) fn disconnected(&mut self) {
        self.jobs.clear();
        self.read_list_at = None;
    }

    /// When [`Self::is_list_due`] becomes true.
    pub(super) const fn next_timeout(&self) -> Option<Mono> {
        self.read_list_at
    }

    /// Reads an answer. Id 0 is one found in a recording.
    pub(super) fn answered<'a>(&mut self, id: u64, status: Option<u16>, body: &'a [u8], now: Mono) -> Answer<'a> {
        match self.jobs.remove(&id) {
            Some(Job::Image(stream)) => match read(status, body) {
                Ok(data) => Answer::Image(Some(stream), data),
                Err(why) if why.contains(INVALID_SYMBOL) => Answer::NoSymbol(stream, why),
                Err(why) => Answer::ImageFailed(stream, why),
            },
            Some(Job::List) => match read(status, body) {
                Ok(list) => {
                    self.listed_at = Some(now);
                    Answer::List(list)
                }
                Err(_) => {
                    self.read_list_at = Some(now.after(RETRY));
                    Answer::NoList
                }
            },
            None if id == 0 => recorded(body),
            None => Answer::Nothing,
        }
    }
}

/// What an image of so many levels costs.
pub(super) fn image_weight(segment: Segment, depth: u16) -> u32 {
    let table: &[(u16, u32)] = if segment.is_spot() {
        &[(100, 5), (500, 25), (1000, 50), (u16::MAX, 250)]
    } else {
        &[(50, 2), (100, 5), (500, 10), (u16::MAX, 20)]
    };
    table.iter().find(|(most, _)| depth <= *most).map_or(250, |(_, weight)| *weight)
}

fn recorded(body: &[u8]) -> Answer<'_> {
    if let Ok(data) = read::<DepthData<'_>>(Some(200), body)
        && data.last.is_some()
    {
        return Answer::Image(None, data);
    }
    read(Some(200), body).map_or(Answer::Nothing, Answer::List)
}

fn read<'a, T: serde::Deserialize<'a>>(status: Option<u16>, body: &'a [u8]) -> Result<T, String> {
    match status {
        Some(200) => {}
        Some(status) => {
            let said = Envelope::parse(body).ok().and_then(|envelope| envelope.refusal());
            return Err(said.map_or_else(|| format!("HTTP {status}"), |said| format!("HTTP {status}: {said}")));
        }
        None => return Err(String::from_utf8_lossy(body).chars().take(200).collect()),
    }
    serde_json::from_slice::<Object<T>>(body).map(|Object(found)| found).map_err(|error| error.to_string())
}

/// The symbol that an address asks for.
pub(super) fn symbol_of(url: &str) -> Option<&str> {
    let query = url.split_once('?')?.1;
    query.split('&').find_map(|pair| pair.strip_prefix("symbol="))
}

pub(super) fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
