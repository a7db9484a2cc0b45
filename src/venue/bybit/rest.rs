//! REST calls of a session: the instrument list, page by page, and images of full books.

use std::collections::BTreeMap;
use std::time::Duration;

use super::instruments::{Page, Reply};
use super::wire::BookData;
use crate::model::{Instrument, Mono, StreamId};
use crate::venue::HttpRequest;
use crate::venue::kit::fields::Object;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long after a failed page the list is asked for again.
const RETRY: Duration = Duration::from_secs(15);
/// How often the list is read anew, at a reconnect.
const REFRESH: Duration = Duration::from_secs(3600);
/// Most instruments the venue gives per page.
const PAGE: usize = 1000;
/// Most pages of one list: a venue that hands out cursors for ever is not followed.
const PAGES_MAX: u32 = 50;

/// What a call was for.
#[derive(Clone, Debug)]
enum Job {
    Instruments {
        base: Option<String>,
        page: u32,
    },
    /// Of one symbol, for a stream that came at run time.
    Instrument,
    Image(StreamId),
}

/// What an answer means.
#[derive(Debug)]
pub(super) enum Answer<'a> {
    /// Instruments, `None` for each that cannot be read; more pages may have been asked for.
    Instruments(Vec<Option<Instrument>>),
    /// A book's image.
    Image(Option<StreamId>, BookData<'a>),
    /// A book's image could not be had.
    ImageFailed(StreamId, String),
    /// Nothing to be done about it.
    Nothing,
}

/// The calls under way.
#[derive(Debug)]
pub(super) struct Rest {
    category: String,
    /// Options are listed by base coin; the other markets whole.
    bases: Vec<Option<String>>,
    jobs: BTreeMap<u64, Job>,
    next_id: u64,
    loaded: Option<Mono>,
    /// Lists whose page failed, and when they are asked for again.
    failed: Vec<Option<String>>,
    retry: Option<Mono>,
}

impl Rest {
    pub(super) fn new(category: &str, bases: Vec<Option<String>>) -> Self {
        Self {
            category: category.to_owned(),
            bases,
            jobs: BTreeMap::new(),
            next_id: 1,
            loaded: None,
            failed: Vec::new(),
            retry: None,
        }
    }

    /// Asks for the instruments, unless they are fresh or under way; of those that failed, for these only.
    pub(super) fn instruments(&mut self, now: Mono) -> Vec<HttpRequest> {
        self.retry = None;
        let mut bases = std::mem::take(&mut self.failed);
        let fresh = self.loaded.is_some_and(|at| now.since(at) < REFRESH);
        if bases.is_empty() && !fresh && !self.is_listing() {
            bases.clone_from(&self.bases);
        }
        bases.into_iter().map(|base| self.page(base, 0, None)).collect()
    }

    fn is_listing(&self) -> bool {
        self.jobs.values().any(|job| matches!(job, Job::Instruments { .. }))
    }

    /// When to ask for the instruments again.
    pub(super) const fn next_timeout(&self) -> Option<Mono> {
        self.retry
    }

    /// Asks for the definition of one symbol.
    pub(super) fn instrument(&mut self, symbol: &str) -> HttpRequest {
        let path = format!("/v5/market/instruments-info?category={}&symbol={symbol}", self.category);
        self.call(path, Job::Instrument)
    }

    /// Asks for a full book's image.
    pub(super) fn image(&mut self, stream: StreamId, symbol: &str) -> HttpRequest {
        let path = format!("/v5/market/full_orderbook?category={}&symbol={symbol}", self.category);
        self.call(path, Job::Image(stream))
    }

    fn page(&mut self, base: Option<String>, page: u32, cursor: Option<&str>) -> HttpRequest {
        let mut path = format!("/v5/market/instruments-info?category={}", self.category);
        // Spot is not paged and refuses no limit; sending none is what the documentation shows.
        if self.category != "spot" {
            path.push_str(&format!("&limit={PAGE}"));
        }
        if let Some(base) = &base {
            path.push_str(&format!("&baseCoin={base}"));
        }
        if let Some(cursor) = cursor {
            path.push_str(&format!("&cursor={}", percent_encoded(cursor)));
        }
        self.call(path, Job::Instruments { base, page })
    }

    fn call(&mut self, path: String, job: Job) -> HttpRequest {
        let id = self.next_id;
        self.next_id += 1;
        self.jobs.insert(id, job);
        HttpRequest::get(id, path, CALL_TIMEOUT, 1)
    }

    /// Reads an answer; `more` receives calls that follow from it. Id 0 is an answer found in a recording.
    pub(super) fn answered<'a>(
        &mut self,
        id: u64,
        status: Option<u16>,
        body: &'a [u8],
        now: Mono,
        more: &mut Vec<HttpRequest>,
    ) -> Answer<'a> {
        match self.jobs.remove(&id) {
            Some(Job::Image(stream)) => match read::<BookData<'a>>(status, body) {
                Ok(data) => Answer::Image(Some(stream), data),
                Err(why) => Answer::ImageFailed(stream, why),
            },
            Some(Job::Instruments { base, page }) => match read::<Page<'_>>(status, body) {
                Ok(found) => {
                    let (instruments, cursor) = found.into_parts();
                    match cursor {
                        Some(cursor) if page < PAGES_MAX => more.push(self.page(base, page + 1, Some(&cursor))),
                        _ if self.failed.is_empty() && !self.is_listing() => self.loaded = Some(now),
                        _ => {}
                    }
                    Answer::Instruments(instruments)
                }
                Err(_) => {
                    self.failed.push(base);
                    self.retry = Some(now.after(RETRY));
                    Answer::Nothing
                }
            },
            Some(Job::Instrument) => match read::<Page<'_>>(status, body) {
                Ok(found) => Answer::Instruments(found.into_parts().0),
                Err(_) => Answer::Nothing,
            },
            None if id == 0 => self.recorded(body),
            None => Answer::Nothing,
        }
    }

    /// An answer found in a recording, which may have lists of several markets side by side.
    fn recorded<'a>(&self, body: &'a [u8]) -> Answer<'a> {
        if let Ok(data) = read::<BookData<'_>>(Some(200), body) {
            return Answer::Image(None, data);
        }
        match read::<Page<'_>>(Some(200), body) {
            Ok(page) if !page.is_of_another(&self.category) => Answer::Instruments(page.into_parts().0),
            _ => Answer::Nothing,
        }
    }
}

pub(super) fn read<'a, T: serde::Deserialize<'a>>(status: Option<u16>, body: &'a [u8]) -> Result<T, String> {
    match status {
        Some(200) => {}
        Some(status) => return Err(format!("HTTP {status}")),
        None => return Err(String::from_utf8_lossy(body).chars().take(200).collect()),
    }
    let Object(reply) = serde_json::from_slice::<Object<Reply<'a>>>(body).map_err(|error| error.to_string())?;
    reply.into_result()
}

/// A cursor is sent back as it came; everything but plain characters is encoded.
pub(super) fn percent_encoded(text: &str) -> String {
    let mut out = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~%".contains(&byte) {
            out.push(char::from(byte));
        } else {
            out.push_str(&format!("%{byte:02X}"));
        }
    }
    out
}
