//! REST calls of a session: the list of instruments, of options family by family.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::instruments::{self, Reply};
use super::{channels, inst_type};
use crate::model::{Instrument, Mono};
use crate::venue::HttpRequest;
use crate::venue::kit::fields::Object;

/// How long one call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long after a failed call the list is asked for again.
const RETRY: Duration = Duration::from_secs(15);
/// How often the list is read anew, at a reconnect.
const REFRESH: Duration = Duration::from_secs(3600);

/// A list: of the whole market, or of one family of options.
type Family = Option<String>;

/// The calls under way.
#[derive(Debug)]
pub(super) struct Rest {
    market: String,
    /// What there is to list. Options are listed by family only.
    families: BTreeSet<Family>,
    /// The lists asked for; `None` for a single instrument.
    jobs: BTreeMap<u64, Option<Family>>,
    next_id: u64,
    loaded: Option<Mono>,
    /// Lists that failed, and when they are asked for again.
    failed: Vec<Family>,
    retry: Option<Mono>,
}

impl Rest {
    pub(super) fn new(market: &str) -> Self {
        let families = if market == "option" { BTreeSet::new() } else { BTreeSet::from([None]) };
        Self {
            market: market.to_owned(),
            families,
            jobs: BTreeMap::new(),
            next_id: 1,
            loaded: None,
            failed: Vec::new(),
            retry: None,
        }
    }

    /// There is a stream of this symbol.
    pub(super) fn know(&mut self, symbol: &str) {
        if self.market == "option" && !symbol.is_empty() {
            self.families.insert(Some(channels::family(symbol)));
        }
    }

    /// Asks for the instruments, unless they are fresh or under way; of those that failed, for these only.
    pub(super) fn instruments(&mut self, now: Mono) -> Vec<HttpRequest> {
        self.retry = None;
        let mut lists = std::mem::take(&mut self.failed);
        let fresh = self.loaded.is_some_and(|at| now.since(at) < REFRESH);
        if lists.is_empty() && !fresh && !self.is_listing() {
            lists.extend(self.families.iter().cloned());
        }
        lists.into_iter().map(|family| self.list(family)).collect()
    }

    fn is_listing(&self) -> bool {
        self.jobs.values().any(Option::is_some)
    }

    /// When to ask for the instruments again.
    pub(super) const fn next_timeout(&self) -> Option<Mono> {
        self.retry
    }

    /// Asks for the definition of one symbol.
    pub(super) fn instrument(&mut self, symbol: &str) -> HttpRequest {
        let family = if self.market == "option" { of_family(&channels::family(symbol)) } else { String::new() };
        self.call(&format!("{family}&instId={symbol}"), None)
    }

    fn list(&mut self, family: Family) -> HttpRequest {
        let query = family.as_deref().map(of_family).unwrap_or_default();
        self.call(&query, Some(family))
    }

    fn call(&mut self, query: &str, job: Option<Family>) -> HttpRequest {
        let id = self.next_id;
        self.next_id += 1;
        self.jobs.insert(id, job);
        let path = format!("/api/v5/public/instruments?instType={}{query}", inst_type(&self.market));
        HttpRequest::get(id, path, CALL_TIMEOUT, 1)
    }

    /// Reads an answer: the instruments in it, `None` for each that cannot be read. Id 0 is an answer found in a recording.
    pub(super) fn answered(&mut self, id: u64, status: Option<u16>, body: &[u8], now: Mono) -> Vec<Option<Instrument>> {
        let job = self.jobs.remove(&id);
        if job.is_none() && id != 0 {
            return Vec::new();
        }
        let list = read(status, body);
        if let Some(Some(family)) = job {
            if list.is_none() {
                self.failed.push(family);
                self.retry = Some(now.after(RETRY));
            } else if self.failed.is_empty() && !self.is_listing() {
                self.loaded = Some(now);
            }
        }
        list.unwrap_or_default()
    }
}

fn of_family(family: &str) -> String {
    format!("&instFamily={family}")
}

/// `None` for what is no list of instruments; other REST answers of a recording are none either.
fn read(status: Option<u16>, body: &[u8]) -> Option<Vec<Option<Instrument>>> {
    status.filter(|status| *status == 200)?;
    let Object(reply) = serde_json::from_slice::<Object<Reply<'_>>>(body).ok()?;
    let rows = reply.into_rows().ok()?;
    let list = instruments::read(&rows);
    (rows.is_empty() || list.iter().any(Option::is_some)).then_some(list)
}
