//! The pipelines of a recording: one for each feed in it, made as they appear.

use std::collections::BTreeMap;
use std::time::Duration;

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

/// The recording's feeds by name; without names they are one.
pub struct Pipelines {
    venue: &'static VenueDef,
    /// Given by the user: every feed's market.
    forced: Option<&'static str>,
    /// Of feeds whose connect line tells none.
    fallback: &'static str,
    feeds: BTreeMap<String, Entry>,
    current: String,
    outbox: Outbox,
    epoch: u64,
}

struct Entry {
    market: &'static str,
    pipeline: Pipeline,
    connected: bool,
}

impl Pipelines {
    /// No feeds yet. `fallback` is the market of feeds whose lines do not tell.
    pub fn new(venue: &'static VenueDef, forced: Option<&'static str>, fallback: &'static str) -> Self {
        Self {
            venue,
            forced,
            fallback,
            feeds: BTreeMap::new(),
            current: String::new(),
            outbox: Outbox::default(),
            epoch: clock::wall().as_ms(),
        }
    }

    /// What became of every book: market and report.
    pub fn book_reports(&self) -> Vec<(&'static str, BookReport)> {
        let of_feed = |entry: &Entry| {
            let market = entry.market;
            entry.pipeline.book_reports().into_iter().map(move |report| (market, report)).collect::<Vec<_>>()
        };
        self.feeds.values().flat_map(of_feed).collect()
    }

    fn make(&self, feed: &str, market: &'static str) -> Pipeline {
        let spec = FeedSpec {
            market: market.to_owned(),
            streams: Vec::new(),
            discover: true,
            // Recordings have holes of their own: silence says nothing.
            silence: Duration::MAX,
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
            feed_seq: std::sync::Arc::default(),
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
        own.reconnect = None;
    }
}

impl Steps for Pipelines {
    fn route(&mut self, feed: Option<&str>, url: Option<&str>) {
        let feed = feed.unwrap_or_default();
        if !self.feeds.contains_key(feed) && self.feeds.len() < FEEDS_MAX {
            let told = url.and_then(|url| (self.venue.market_of)(Some(url), b""));
            let market = self.forced.or(told).unwrap_or(self.fallback);
            let pipeline = self.make(feed, market);
            self.feeds.insert(feed.to_owned(), Entry { market, pipeline, connected: false });
        }
        if self.feeds.contains_key(feed) {
            feed.clone_into(&mut self.current);
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
        let Some(entry) = feeds.get_mut(current) else { return };
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

    fn snapshot(&mut self, topic: &str, now: Stamp) -> Option<Frame> {
        self.feeds.values_mut().find_map(|entry| entry.pipeline.snapshot(topic, now))
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
