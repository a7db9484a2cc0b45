//! The pipelines of a recording: one for each feed and market in it, made as they appear.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::clock;
use crate::feed::{BookReport, FeedSpec};
use crate::frame::{EncoderSpec, Encoding, Frame};
use crate::io::Steps;
use crate::model::Stamp;
use crate::pipeline::{FeedReport, Outbox, Pipeline};
use crate::venue::{Input, Route, Timer, VenueDef};

/// Levels a side in `book` frames of a replay.
const BOOK_DEPTH: u16 = 25;
/// Feeds in one recording; further ones share the last.
const FEEDS_MAX: usize = 100;
/// Addresses remembered.
const ADDRESSES_MAX: usize = 1_000;

/// The recording's feeds by name and market; without names there is one feed, which is at one market at a time.
pub struct Pipelines {
    venue: &'static VenueDef,
    /// Given by the user: connections that say another market are left out.
    forced: Option<Arc<str>>,
    /// Of feeds whose connect line tells none.
    fallback: Arc<str>,
    feeds: BTreeMap<Key, Entry>,
    /// The market each feed was last connected to.
    markets: BTreeMap<String, Arc<str>>,
    /// The addresses each feed was connected to: a feed may have several connections at a time.
    addresses: BTreeSet<(String, String)>,
    /// The feed whose line it is.
    feed: String,
    /// Which of its connections a connect line is of, and whether that was open before.
    line: (Route, bool),
    /// Whose line it is; `None` for one that is left out.
    current: Option<Key>,
    outbox: Outbox,
    epoch: u64,
}

/// A feed's name and its market.
type Key = (String, Arc<str>);

struct Entry {
    pipeline: Pipeline,
    connected: bool,
}

impl Pipelines {
    /// No feeds yet. `fallback` is the market of feeds whose lines do not tell.
    pub fn new(venue: &'static VenueDef, forced: Option<Arc<str>>, fallback: Arc<str>) -> Self {
        Self {
            venue,
            forced,
            fallback,
            feeds: BTreeMap::new(),
            markets: BTreeMap::new(),
            addresses: BTreeSet::new(),
            feed: String::new(),
            line: (Route::default(), false),
            current: None,
            outbox: Outbox::default(),
            epoch: clock::wall().as_ms(),
        }
    }

    /// Milliseconds since 1970 of the run's start.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }

    /// What became of every book: market and report.
    pub fn book_reports(&self) -> Vec<(Arc<str>, BookReport)> {
        let of_feed = |((_, market), entry): (&Key, &Entry)| {
            let of_market = |report| (Arc::clone(market), report);
            entry.pipeline.book_reports().into_iter().map(of_market).collect::<Vec<_>>()
        };
        self.feeds.iter().flat_map(of_feed).collect()
    }

    /// What each feed and market has come to.
    pub fn reports(&self) -> Vec<FeedReport> {
        self.feeds.values().map(|entry| entry.pipeline.report()).collect()
    }

    /// The market of a feed's lines from here on.
    fn market_of(&mut self, feed: &str, told: Option<&'static str>) -> Arc<str> {
        let known = self.markets.get(feed);
        let market = told.map(Arc::from).or_else(|| known.or(self.forced.as_ref()).cloned());
        let market = market.unwrap_or_else(|| Arc::clone(&self.fallback));
        if self.venue.is_mixed {
            return market;
        }
        if known != Some(&market) && (known.is_some() || self.markets.len() < FEEDS_MAX) {
            if self.forced.as_ref().is_some_and(|forced| *forced != market) {
                warn!(feed, %market, "the recording has a connection of another market; it is left out");
            } else if let Some(was) = known {
                warn!(feed, %was, %market, "the recording goes on with another market");
            }
            self.markets.insert(feed.to_owned(), Arc::clone(&market));
        }
        market
    }

    fn make(&self, feed: &str, market: &str) -> Pipeline {
        let spec = FeedSpec {
            market: market.to_owned(),
            streams: Vec::new(),
            discover: true,
            // Recordings have holes of their own: silence says nothing.
            silence: Duration::MAX,
            ..FeedSpec::default()
        };
        let encoder = EncoderSpec {
            feed: if feed.is_empty() { "replay".to_owned() } else { feed.to_owned() },
            venue: self.venue.id.to_owned(),
            market: market.to_owned(),
            account: None,
            epoch: self.epoch,
            encoding: Encoding::Json,
            book_depth: BOOK_DEPTH,
            depth_of: std::collections::HashMap::new(),
            book_interval: Duration::ZERO,
            last_seq: Default::default(),
            feed_seq: Arc::default(),
            clock: clock::wall,
        };
        Pipeline::new(self.venue, spec, encoder)
    }

    /// Which of the venue's addresses this is, and whether the feed was connected to it before.
    fn route_of(&mut self, url: &str, market: &str) -> (Route, bool) {
        let urls = (self.venue.endpoints)(market, Some(url), None).urls;
        let at = urls.iter().position(|known| known == url).and_then(|at| u8::try_from(at).ok());
        let is_new = self.addresses.len() < ADDRESSES_MAX && self.addresses.insert((self.feed.clone(), url.to_owned()));
        (Route(at.unwrap_or(0)), !is_new)
    }

    /// The lines that follow are of this market of the feed.
    fn choose(&mut self, market: Arc<str>) {
        if self.current.as_ref().is_some_and(|(feed, known)| *feed == self.feed && *known == market) {
            return;
        }
        if self.forced.as_ref().is_some_and(|forced| *forced != market) {
            self.current = None;
            return;
        }
        let key = (self.feed.clone(), market);
        if !self.feeds.contains_key(&key) && self.feeds.len() < FEEDS_MAX {
            let pipeline = self.make(&key.0, &key.1);
            self.feeds.insert(key.clone(), Entry { pipeline, connected: false });
        }
        if self.feeds.contains_key(&key) {
            self.current = Some(key);
        }
    }

    /// A connection is open. Where it is another one than the first route's, only its own streams begin anew, and those only
    /// if it was open before.
    fn connect(entry: &mut Entry, outbox: &mut Outbox, (route, again): (Route, bool), now: Stamp) {
        if entry.connected && route == Route::default() {
            Self::step_one(entry, outbox, Input::Disconnected, now);
            entry.connected = false;
        } else if entry.connected && again {
            entry.pipeline.reopened(route, now);
            outbox.frames.append(&mut entry.pipeline.outbox().frames);
        }
        Self::open(entry, outbox, now);
    }

    fn open(entry: &mut Entry, outbox: &mut Outbox, now: Stamp) {
        if !std::mem::replace(&mut entry.connected, true) {
            Self::step_one(entry, outbox, Input::Connected, now);
        }
    }

    /// Steps one pipeline and gathers what it publishes.
    fn step_one(entry: &mut Entry, outbox: &mut Outbox, input: Input<'_>, now: Stamp) {
        entry.pipeline.step(input, now);
        outbox.frames.append(&mut entry.pipeline.outbox().frames);
        // Nobody is there to send to, to ask or to dial.
        let own = entry.pipeline.outbox();
        own.sends.clear();
        own.logins.clear();
        own.requests.clear();
        own.changes.clear();
        own.settled.clear();
        own.reconnects.clear();
    }
}

impl Steps for Pipelines {
    fn route(&mut self, feed: Option<&str>, url: Option<&str>) {
        let feed = feed.unwrap_or_default();
        if url.is_none() && self.current.as_ref().is_some_and(|(current, _)| current == feed) {
            return;
        }
        feed.clone_into(&mut self.feed);
        let told = url.and_then(|url| (self.venue.market_of)(Some(url), b""));
        let market = self.market_of(feed, told);
        if let Some(url) = url {
            self.line = self.route_of(url, &market);
        }
        // Of several markets only messages tell; before the first one there is none.
        let untold = self.venue.is_mixed && told.is_none() && self.forced.is_none();
        let of_feed = |(of, _): &Key| *of == self.feed;
        let market = if untold {
            let current = self.current.iter().find(|key| of_feed(key));
            current.or_else(|| self.feeds.keys().find(|key| of_feed(key))).map(|(_, market)| Arc::clone(market))
        } else {
            Some(market)
        };
        match market {
            Some(market) => self.choose(market),
            None => self.current = None,
        }
    }

    fn step(&mut self, input: Input<'_>, now: Stamp) {
        if self.venue.is_mixed
            && let Input::Text(message) | Input::Binary(message) = &input
            && let Some(market) = (self.venue.market_of)(None, message)
        {
            self.choose(market.into());
        }
        let Self { venue, feeds, feed, line, current, outbox, .. } = self;
        match input {
            Input::Timeout => feeds.values_mut().for_each(|entry| Self::step_one(entry, outbox, Input::Timeout, now)),
            Input::Connected if current.is_none() => {}
            Input::Connected => {
                let is_mixed = venue.is_mixed;
                let is_hit = |key: &Key| current.as_ref() == Some(key) || (is_mixed && key.0 == *feed);
                for (_, entry) in feeds.iter_mut().filter(|(key, _)| is_hit(key)) {
                    Self::connect(entry, outbox, *line, now);
                }
            }
            input => {
                let Some(entry) = current.as_ref().and_then(|key| feeds.get_mut(key)) else { return };
                Self::open(entry, outbox, now);
                Self::step_one(entry, outbox, input, now);
            }
        }
    }

    fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    fn next_timeout(&self) -> Option<Timer> {
        self.feeds.values().filter_map(|entry| entry.pipeline.next_timeout()).min()
    }

    fn snapshot(&mut self, topic: &str) -> Option<Frame> {
        self.feeds.values_mut().find_map(|entry| entry.pipeline.snapshot(topic))
    }

    fn resync(&mut self, _symbol: &str, _now: Stamp) -> bool {
        false
    }

    fn shut_down(&mut self, now: Stamp) {
        for entry in self.feeds.values_mut() {
            entry.pipeline.shut_down(now);
            self.outbox.frames.append(&mut entry.pipeline.outbox().frames);
        }
    }

    fn report(&self) -> FeedReport {
        self.feeds.values().next().map(|entry| entry.pipeline.report()).unwrap_or_default()
    }
}
