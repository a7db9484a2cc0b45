//! Resolves one feed: its venue, market and addresses, and the streams that its symbols and channels make.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use url::Url;

use super::problem::{Findings, quoted};
use super::schema::{Backfill, Feed};
use super::secret::Environment;
use super::{Accounts, FeedPlan, accounts, hint, terminal};
use crate::model::{Channel, Stream};
use crate::sign::{self, Signer};
use crate::venue::{ChannelSpec, Endpoints, Transport, VenueDef, other};

/// The channel that every venue on a websocket has.
const RAW: &str = "raw:TEXT";
/// The most streams of one feed; no venue takes as many on one connection.
const MAX_STREAMS: usize = 10_000;

/// The feed's plan and, for each of its streams, the place in `channels` it comes from; `None` without a known market.
pub(super) fn resolve(
    name: &str,
    path: &str,
    feed: &Feed,
    environment: &Environment,
    accounts: &Accounts,
    venues: &[&'static VenueDef],
    findings: &mut Findings,
) -> Option<(FeedPlan, Vec<usize>)> {
    check_url(&format!("{path}.url"), feed.url.as_deref(), ["ws", "wss"], findings);
    check_url(&format!("{path}.rest_url"), feed.rest_url.as_deref(), ["http", "https"], findings);
    let venue = find_venue(path, feed, venues, findings)?;
    let market: &str = &feed.market;
    let symbols = check_symbols(path, feed, venue, market, findings);
    let mut table = Table::new(path, venue, market);
    table.fill(feed, &symbols, findings);
    let (terminal, endpoints) = match terminal::resolve(path, feed, venue, environment, findings) {
        Some((terminal, endpoints)) => (Some(terminal), endpoints),
        None => (None, (venue.endpoints)(market, feed.url.as_deref(), feed.rest_url.as_deref())),
    };
    table.notes.extend(endpoints.note.clone());
    if venue.transport == Transport::WebSocket && endpoints.urls.iter().any(String::is_empty) {
        findings.add(format!("{path}.url"), format!("is missing; venue {} has no address of its own", venue.id));
    }
    let given_path = format!("{path}.credentials");
    let given = feed.credentials.as_ref().and_then(|sources| sources.resolve(&given_path, environment, findings));
    let given = given.and_then(|credentials| {
        let signer = accounts::nameless(venue, &endpoints, credentials);
        signer.map_err(|why| findings.add(&given_path, why)).ok()
    });
    if feed.account.is_some() && feed.credentials.is_some() {
        findings.add(format!("{path}.account"), "is given beside credentials; one of them says whose data it is");
    }
    let account_path = format!("{path}.account");
    let account = accounts.of_feed(feed.account.as_deref(), venue, &endpoints, &account_path, findings);
    table.notes.extend(account.as_ref().or(given.as_ref()).and_then(|signer| signs_nothing(venue, &endpoints, signer)));
    check_backfill(&format!("{path}.backfill"), feed, venue, findings);
    let plan = FeedPlan {
        name: name.to_owned(),
        venue,
        market: market.into(),
        streams: table.streams,
        endpoints,
        publish: feed.publish.clone(),
        book_depths: table.book_depths,
        silence: feed.silence_ms.map(Duration::from_millis).or(venue.silence),
        terminal,
        signer: given.or(account),
        notes: table.notes,
        settings: feed.clone(),
    };
    Some((plan, table.entries))
}

/// Settings of a back-fill that the venue does not give are a mistake; a terminal's charts have a past of their own.
fn check_backfill(path: &str, feed: &Feed, venue: &VenueDef, findings: &mut Findings) {
    let gives = (venue.rest)(&feed.market).iter().any(|endpoint| endpoint.past.is_some());
    let nothing = Backfill { candles: 0, trades: 0 };
    let is_set = ![Backfill::default(), nothing].contains(&feed.backfill);
    if is_set && !gives && venue.transport == Transport::WebSocket {
        findings.add(path, format!("venue {} does not give candles or trades of the past", venue.id));
    }
}

/// Refuses channels of an account in a feed that names none.
pub(super) fn check_account(plan: &FeedPlan, path: &str, accounts: &Accounts, findings: &mut Findings) {
    let names_one = plan.settings.account.is_some() || plan.settings.credentials.is_some();
    let place = format!("{path}.account");
    let of_account = plan.streams.iter().find(|stream| stream.channel.is_of_account());
    let Some(stream) = of_account.filter(|_| !names_one && plan.lacks_account() && !findings.has(&place)) else {
        return;
    };
    let known = accounts.names_of(plan.venue.id);
    let what = format!(
        "is missing, and the channel {} is of an account: name one (accounts of {}: {known}), or give credentials",
        stream.channel, plan.venue.id
    );
    findings.add(place, what);
}

/// That an account is of no use at an address that is none of its API's.
fn signs_nothing(venue: &VenueDef, endpoints: &Endpoints, signer: &Signer) -> Option<String> {
    let host = sign::host_of(endpoints.urls.first()?)?;
    let is_of_api = venue.id != other::VENUE.id || signer.api.hosts().contains(&host.as_str());
    (!is_of_api).then(|| format!("{host} is no host of {}: nothing is signed there", signer.api.name))
}

/// The streams of a feed whose venue and market are known, and notes on what was translated.
pub(super) fn expand(
    path: &str,
    feed: &Feed,
    venue: &'static VenueDef,
    findings: &mut Findings,
) -> (Vec<Stream>, Vec<String>) {
    let symbols = check_symbols(path, feed, venue, &feed.market, findings);
    let mut table = Table::new(path, venue, &feed.market);
    table.fill(feed, &symbols, findings);
    (table.streams, table.notes)
}

/// The feed's venue; `None` also when it has no such market.
fn find_venue(
    path: &str,
    feed: &Feed,
    venues: &[&'static VenueDef],
    findings: &mut Findings,
) -> Option<&'static VenueDef> {
    let Some(venue) = venues.iter().copied().find(|venue| venue.id == feed.venue) else {
        let known = venues.iter().map(|venue| venue.id);
        findings.add(format!("{path}.venue"), unknown("venue", &feed.venue, known));
        return None;
    };
    if let Err(message) = venue.check_market(&feed.market) {
        let hint = hint::suffix(&feed.market, venue.markets.iter().map(|market| market.id));
        findings.add(format!("{path}.market"), format!("{message}{hint}"));
        return None;
    }
    Some(venue)
}

fn unknown<'a>(what: &str, word: &str, known: impl Iterator<Item = &'a str> + Clone) -> String {
    let allowed = known.clone().collect::<Vec<_>>().join(", ");
    format!("unknown {what} {}; allowed: {allowed}{}", quoted(word), hint::suffix(word, known))
}

fn check_url(path: &str, text: Option<&str>, schemes: [&str; 2], findings: &mut Findings) {
    let Some(text) = text else { return };
    let allowed = || format!("allowed: {}://HOST… or {}://HOST…", schemes[0], schemes[1]);
    match Url::parse(text) {
        Err(error) => findings.add(path, format!("{} is not an address: {error}; {}", quoted(text), allowed())),
        Ok(url) if !schemes.contains(&url.scheme()) || !url.has_host() => {
            findings.add(path, format!("{} cannot be used here; {}", quoted(text), allowed()));
        }
        Ok(url) if !url.username().is_empty() || url.password().is_some() => {
            findings.add(path, "names a user or password; addresses are logged, so they must not hold secrets");
        }
        Ok(_) => {}
    }
}

/// The symbols that can be used, without repetitions.
fn check_symbols<'f>(
    path: &str,
    feed: &'f Feed,
    venue: &VenueDef,
    market: &str,
    findings: &mut Findings,
) -> Vec<&'f str> {
    let mut first_at = BTreeMap::new();
    let mut symbols = Vec::new();
    for (at, symbol) in feed.symbols.iter().enumerate() {
        let first = *first_at.entry(symbol).or_insert(at);
        let message = match (venue.check_symbol)(market, symbol) {
            _ if symbol.is_empty() => format!("is empty; write a symbol such as {:?}", venue.example_symbol(market)),
            _ if first != at => format!("{} is given twice, first at symbols[{first}]", quoted(symbol)),
            Err(message) => message,
            Ok(()) => {
                symbols.push(symbol.as_str());
                continue;
            }
        };
        findings.add(format!("{path}.symbols[{at}]"), message);
    }
    symbols
}

/// The streams of a feed as they are gathered.
struct Table<'a> {
    path: &'a str,
    venue: &'a VenueDef,
    market: &'a str,
    streams: Vec<Stream>,
    /// For each stream, the place in `channels` it comes from.
    entries: Vec<usize>,
    /// Where each stream is already given; books of all depths as one.
    given: BTreeMap<Stream, usize>,
    book_depths: BTreeMap<String, u16>,
    notes: Vec<String>,
}

impl<'a> Table<'a> {
    fn new(path: &'a str, venue: &'a VenueDef, market: &'a str) -> Self {
        Self {
            path,
            venue,
            market,
            streams: Vec::new(),
            entries: Vec::new(),
            given: BTreeMap::new(),
            book_depths: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    fn fill(&mut self, feed: &Feed, symbols: &[&str], findings: &mut Findings) {
        let mut for_all = None;
        for (entry, text) in feed.channels.iter().enumerate() {
            let place = format!("{}.channels[{entry}]", self.path);
            match self.venue.channel(self.market, text) {
                Err(message) => findings.add(place, self.with_allowed(&message, text)),
                Ok(spec) => {
                    let needs_symbols = spec.symbols.is_empty() && spec.channel.has_symbol();
                    for_all = for_all.or(needs_symbols.then_some(entry));
                    self.add(entry, &place, spec, symbols, findings);
                }
            }
        }
        let place = format!("{}.symbols", self.path);
        match for_all {
            Some(entry) if feed.symbols.is_empty() => findings.add(
                place,
                format!(
                    "is empty, and channels[{entry}] names no symbol; give symbols such as [{:?}]",
                    self.venue.example_symbol(self.market)
                ),
            ),
            _ => self.check_unused(feed, findings),
        }
    }

    fn with_allowed(&self, message: &str, text: &str) -> String {
        let mut known = (self.venue.channels)(self.market);
        if self.venue.transport == Transport::WebSocket && !known.iter().any(|name| name == RAW) {
            known.push(RAW.to_owned());
        }
        let hint = hint::suffix(text, known.iter().map(String::as_str));
        format!("{message}; allowed: {}{hint}", known.join(", "))
    }

    /// Every entry understood names its own symbol, so a symbol listed besides gets no data.
    fn check_unused(&self, feed: &Feed, findings: &mut Findings) {
        if self.streams.is_empty() {
            return;
        }
        let used: BTreeSet<&str> = self.streams.iter().map(|stream| stream.symbol.as_str()).collect();
        let why = match self.streams.iter().any(|stream| stream.channel.has_symbol()) {
            true => "each names another symbol".to_owned(),
            false => {
                let channels: BTreeSet<_> = self.streams.iter().map(|stream| stream.channel.to_string()).collect();
                let channels = channels.into_iter().collect::<Vec<_>>().join(", ");
                format!("{channels} take no symbols; leave symbols out, or add channels that take them")
            }
        };
        for (at, symbol) in feed.symbols.iter().enumerate() {
            let place = format!("{}.symbols[{at}]", self.path);
            if !findings.has(&place) && !used.contains(symbol.as_str()) {
                findings.add(place, format!("no channel applies to {}: {why}", quoted(symbol)));
            }
        }
    }

    fn add(&mut self, entry: usize, place: &str, spec: ChannelSpec, symbols: &[&str], findings: &mut Findings) {
        self.notes.extend(spec.note.clone());
        let own: Vec<&str> = spec.symbols.iter().map(String::as_str).collect();
        let checked = own.iter().filter(|_| spec.channel.has_symbol());
        let own_bad = checked.into_iter().find_map(|symbol| (self.venue.check_symbol)(self.market, symbol).err());
        if let Some(message) = own_bad {
            return findings.add(place, message);
        }
        let targets = match (own.is_empty(), spec.channel.has_symbol()) {
            (false, _) => &own,
            (true, true) => symbols,
            (true, false) => &[""][..],
        };
        if self.streams.len() + targets.len() > MAX_STREAMS {
            return findings.add(place, format!("makes more than {MAX_STREAMS} streams; split the feed"));
        }
        for symbol in targets {
            if let Err(message) = self.add_stream(entry, symbol, &spec) {
                return findings.add(place, message);
            }
        }
    }

    fn add_stream(&mut self, entry: usize, symbol: &str, spec: &ChannelSpec) -> Result<(), String> {
        let channel = spec.channel;
        let stream = Stream { variant: spec.variant, ..Stream::new(symbol, channel) };
        let place = Stream::new(symbol, one_book(channel));
        if let Some(&other) = self.given.get(&place) {
            let given = self.streams.contains(&stream);
            return Err(match given {
                _ if !channel.has_symbol() => format!("{channel} is already given by channels[{other}]"),
                true => format!("{channel} of {} is already given by channels[{other}]", quoted(symbol)),
                false if !matches!(channel, Channel::Book(_)) => format!(
                    "a second {channel} of {}, besides channels[{other}]: the bus has one {channel} per symbol; keep one",
                    quoted(symbol)
                ),
                false => format!(
                    "a second book of {}, besides channels[{other}]: the bus has one book per symbol; keep the deeper \
                     one, and limit what is published with publish.book_depth",
                    quoted(symbol)
                ),
            });
        }
        self.given.insert(place, entry);
        self.streams.push(stream);
        self.entries.push(entry);
        if let Some(depth) = spec.book_depth {
            self.book_depths.insert(symbol.to_owned(), depth);
        }
        Ok(())
    }
}

/// The same for books of every depth, since a symbol has one.
fn one_book(channel: Channel) -> Channel {
    match channel {
        Channel::Book(_) => Channel::Book(crate::model::BookDepth::Full),
        other => other,
    }
}
