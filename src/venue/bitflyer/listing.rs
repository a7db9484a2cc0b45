//! Which products there are. bitFlyer acknowledges a channel of any product and stays silent on a wrong one, so a
//! confirmation waits for the list of products, of which each of its three exchanges has its own.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use crate::model::{Instrument, InstrumentKind, Mono, StreamId};
use crate::venue::HttpRequest;
use crate::venue::kit::fields::{Object, Text};

/// How long a call may take.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// When a list that could not be read is asked for again.
const RETRY: Duration = Duration::from_secs(15);
/// When a list that lacks a product is read again.
const REREAD: Duration = Duration::from_secs(600);
/// How long a list is good for new streams.
const FRESH: Duration = Duration::from_secs(3600);

/// What a product's list says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listed {
    Yes,
    No,
    /// The list is not there yet.
    Unknown,
}

#[derive(Debug, Default)]
struct List {
    instruments: BTreeMap<String, Instrument>,
    read: Option<Mono>,
    under_way: bool,
    due: Option<Mono>,
}

/// The lists that are needed, by their paths.
#[derive(Debug)]
pub(super) struct Listing {
    lists: BTreeMap<&'static str, List>,
    calls: BTreeMap<u64, &'static str>,
    next_id: u64,
    /// Streams the venue confirmed; the list will tell whether that means anything.
    pub(super) held: BTreeSet<StreamId>,
    /// Streams told to be rejected.
    pub(super) unlisted: BTreeSet<StreamId>,
}

/// The list that a product is in: exchanges differ by currency.
fn path_of(product: &str) -> &'static str {
    match product.rsplit_once('_').map(|(_, quote)| quote) {
        Some("USD") => "/v1/getmarkets/usa",
        Some("EUR") => "/v1/getmarkets/eu",
        _ => "/v1/getmarkets",
    }
}

impl Listing {
    pub(super) const fn new() -> Self {
        Self {
            lists: BTreeMap::new(),
            calls: BTreeMap::new(),
            next_id: 1,
            held: BTreeSet::new(),
            unlisted: BTreeSet::new(),
        }
    }

    pub(super) fn instrument(&self, product: &str) -> Option<&Instrument> {
        self.lists.get(path_of(product))?.instruments.get(product)
    }

    pub(super) fn says(&self, product: &str, now: Mono) -> Listed {
        let Some(list) = self.lists.get(path_of(product)) else { return Listed::Unknown };
        match list.read {
            Some(_) if list.instruments.contains_key(product) => Listed::Yes,
            Some(at) if now.since(at) < FRESH => Listed::No,
            _ => Listed::Unknown,
        }
    }

    /// Asks for a product's list, unless that is under way.
    pub(super) fn ask(&mut self, product: &str) -> Option<HttpRequest> {
        self.call(path_of(product))
    }

    fn call(&mut self, path: &'static str) -> Option<HttpRequest> {
        let list = self.lists.entry(path).or_default();
        list.due = None;
        if std::mem::replace(&mut list.under_way, true) {
            return None;
        }
        let id = self.next_id;
        self.next_id += 1;
        self.calls.insert(id, path);
        Some(HttpRequest::get(id, path.to_owned(), CALL_TIMEOUT, 1))
    }

    /// A product is not in its list: it may come.
    pub(super) fn reread(&mut self, product: &str, now: Mono) {
        let list = self.lists.entry(path_of(product)).or_default();
        list.due.get_or_insert(now.after(REREAD));
    }

    /// The lists to be read again now.
    pub(super) fn due(&mut self, now: Mono) -> Vec<HttpRequest> {
        let due = |(path, list): (&&'static str, &List)| list.due.is_some_and(|at| at <= now).then_some(*path);
        let paths: Vec<_> = self.lists.iter().filter_map(due).collect();
        paths.into_iter().filter_map(|path| self.call(path)).collect()
    }

    pub(super) fn next_timeout(&self) -> Option<Mono> {
        self.lists.values().filter_map(|list| list.due).min()
    }

    /// Takes an answer: whether the list was read; `None` if it is no answer of ours.
    pub(super) fn answered(&mut self, id: u64, status: Option<u16>, body: &[u8], now: Mono) -> Option<bool> {
        let list = self.lists.get_mut(self.calls.remove(&id)?)?;
        list.under_way = false;
        let instruments = read(status, body);
        match &instruments {
            Some(found) => {
                list.instruments = found.iter().map(|found| (found.symbol.clone(), found.clone())).collect();
                list.read = Some(now);
            }
            None => list.due = Some(now.after(RETRY)),
        }
        Some(instruments.is_some())
    }

    pub(super) fn forget(&mut self, stream: StreamId) {
        self.held.remove(&stream);
        self.unlisted.remove(&stream);
    }

    pub(super) fn disconnected(&mut self) {
        self.held.clear();
        self.unlisted.clear();
    }
}

#[derive(Deserialize)]
struct Row<'a> {
    #[serde(borrow)]
    product_code: Text<'a>,
}

/// The instruments of a list; futures and what is of no known kind are left out. `None` for what is no list.
pub(super) fn read(status: Option<u16>, body: &[u8]) -> Option<Vec<Instrument>> {
    status.filter(|status| *status == 200)?;
    let rows: Vec<Object<Row<'_>>> = serde_json::from_slice(body).ok()?;
    Some(rows.iter().filter_map(|Object(row)| instrument(row)).collect())
}

fn instrument(row: &Row<'_>) -> Option<Instrument> {
    let symbol = row.product_code.0.as_ref();
    let kind = match super::market_of_product(symbol)? {
        "fx" => InstrumentKind::Perpetual,
        "spot" => InstrumentKind::Spot,
        _ => return None,
    };
    let (base, quote) = symbol.strip_prefix("FX_").unwrap_or(symbol).split_once('_')?;
    Some(Instrument {
        symbol: symbol.to_owned(),
        base: base.to_owned(),
        quote: quote.to_owned(),
        settle: None,
        kind,
        tick_size: None,
        lot_size: None,
        min_size: None,
        expiry: None,
        strike: None,
        option_type: None,
        status: None,
    })
}
