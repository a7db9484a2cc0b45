//! The pipelines of a recording: one for each feed and market in it, made as they appear.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tracing::warn;

use crate::clock;
use crate::feed::{BookReport, FeedSpec};
use crate::frame::{EncoderSpec, Encoding, Frame};
use crate::io::Steps;
use crate::model::Stamp;
use crate::pipeline::{FeedReport, Outbox, Pipeline};
use crate::venue::{Input, Timer, VenueDef};

/// Levels a side in `book` frames of a replay.
const BOOK_DEPTH: u16 = 25;
/// Feeds in one recording; further ones share the last.
const FEEDS_MAX: usize = 100;

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

    /// The market of a feed's lines from here on.
    fn market_of(&mut self, feed: &str, told: Option<&'static str>) -> Arc<str> {
        let known = self.markets.get(feed);
        let market = told.map(Arc::from).or_else(|| known.or(self.forced.as_ref()).cloned());
        let market = market.unwrap_or_else(|| Arc::clone(&self.fallback));
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
            epoch: self.epoch,
            encoding: Encoding::Json,
            book_depth: BOOK_DEPTH,
            depth_of: std::collections::HashMap::new(),
            book_interval: Duration::ZERO,
            first_seq: 0,
            feed_seq: Arc::default(),
            clock: clock::wall,
        };
        Pipeline::new(self.venue, spec, encoder)
    }

    /// Steps one pipeline and gathers what it publishes.
    fn step_one(entry: &mut Entry, outbox: &mut Outbox, input: Input<'_>, now: Stamp) {
        entry.pipeline.step(input, now);
        outbox.frames.append(&mut entry.pipeline.outbox().frames);
        // Nobody is there to send to, to ask or to dial.
        let own = entry.pipeline.outbox();
        own.sends.clear();
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
        let told = url.and_then(|url| (self.venue.market_of)(Some(url), b""));
        let market = self.market_of(feed, told);
        if self.forced.as_ref().is_some_and(|forced| *forced != market) {
            self.current = None;
            return;
        }
        let key = (feed.to_owned(), market);
        if !self.feeds.contains_key(&key) && self.feeds.len() < FEEDS_MAX {
            let pipeline = self.make(feed, &key.1);
            self.feeds.insert(key.clone(), Entry { pipeline, connected: false });
        }
        if self.feeds.contains_key(&key) {
            self.current = Some(key);
        }
    }

    fn step(&mut self, input: Input<'_>, now: Stamp) {
        let Self { feeds, current, outbox, .. } = self;
        if matches!(input, Input::Timeout) {
            for entry in feeds.values_mut() {
                Self::step_one(entry, outbox, Input::Timeout, now);
            }
            return;
        }
        let Some(entry) = current.as_ref().and_then(|key| feeds.get_mut(key)) else { return };
        let opens = matches!(input, Input::Connected);
        if !entry.connected && !opens {
            Self::step_one(entry, outbox, Input::Connected, now);
        } else if entry.connected && opens {
            Self::step_one(entry, outbox, Input::Disconnected, now);
        }
        entry.connected = true;
        Self::step_one(entry, outbox, input, now);
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
