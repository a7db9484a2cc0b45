//! Normal frames of jobs: what the answers of known endpoints say, of symbols and channels that no feed publishes.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::plan::CallPlan;
use crate::clock;
use crate::feed::FeedSpec;
use crate::frame::{EncoderSpec, Encoding, LastSeq};
use crate::io::FrameSink;
use crate::model::Stream;
use crate::pipeline::Pipeline;
use crate::venue::{Told, VenueDef};

/// What the statuses of these frames call the feed they come from.
const FEED: &str = "jobs";
/// Levels a side in `book` frames: as many as a call may ask for on most venues.
const BOOK_DEPTH: u16 = 1_000;

/// The feed that publishes a stream's topics, if one does.
pub type SourceOf<'a> = &'a dyn Fn(&Stream) -> Option<Arc<str>>;

/// Knows which topics have a source already.
pub trait Sources: Send + Sync {
    /// Does a piece of work while no feed takes streams of this market up.
    fn hold(&self, venue: &'static VenueDef, market: &Arc<str>, work: &mut dyn FnMut(SourceOf<'_>));
}

/// What became of an answer beside its `job.` frame.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Beside {
    /// Normal frames that were published.
    pub frames: u64,
    /// Feeds that publish some of what it says themselves.
    pub left_to: BTreeSet<Arc<str>>,
    /// Why it cannot be read, if it cannot.
    pub unread: Option<String>,
}

/// The frames of all jobs of a gateway: one source for each topic, whatever job it comes from.
pub struct Frames {
    epoch: u64,
    encoding: Encoding,
    last_seq: LastSeq,
    sources: Arc<dyn Sources>,
    sink: Arc<dyn FrameSink>,
    markets: Mutex<BTreeMap<(&'static str, Arc<str>), Pipeline>>,
}

impl Frames {
    /// Nothing yet. Sequences go on after those that `last_seq` knows.
    pub fn new(
        epoch: u64,
        encoding: Encoding,
        last_seq: LastSeq,
        sources: Arc<dyn Sources>,
        sink: Arc<dyn FrameSink>,
    ) -> Self {
        Self { epoch, encoding, last_seq, sources, sink, markets: Mutex::default() }
    }

    /// Publishes what an answer says.
    pub fn take(&self, call: &CallPlan, body: &[u8]) -> Beside {
        let mut beside = Beside::default();
        let Some(read) = call.endpoint.and_then(|endpoint| endpoint.read) else { return beside };
        let now = clock::now();
        let told = Told { market: &call.market, params: &call.params, body, at: now.wall, backfill: false };
        let mut markets = self.markets.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (call.venue.id, Arc::clone(&call.market));
        let pipeline = markets.entry(key).or_insert_with(|| self.pipeline(call));
        self.sources.hold(call.venue, &call.market, &mut |source_of| {
            let mut admits = |stream: &Stream| {
                let source = source_of(stream);
                let is_free = source.is_none();
                beside.left_to.extend(source);
                is_free
            };
            beside.unread = pipeline.read(read, &told, &mut admits, now).err();
            let outbox = pipeline.outbox();
            beside.frames = outbox.frames.len() as u64;
            self.sink.publish(&mut outbox.frames);
            outbox.frames.clear();
            outbox.changes.clear();
        });
        beside
    }

    fn pipeline(&self, call: &CallPlan) -> Pipeline {
        let feed = FeedSpec { market: call.market.to_string(), discover: true, ..FeedSpec::default() };
        let encoder = EncoderSpec {
            feed: FEED.to_owned(),
            venue: call.venue.id.to_owned(),
            market: call.market.to_string(),
            account: None,
            epoch: self.epoch,
            encoding: self.encoding,
            book_depth: BOOK_DEPTH,
            depth_of: HashMap::new(),
            book_interval: Duration::ZERO,
            last_seq: self.last_seq.clone(),
            // It says nothing of feeds as a whole.
            feed_seq: Arc::new(AtomicU64::new(0)),
            clock: clock::wall,
        };
        Pipeline::new(call.venue, feed, encoder)
    }
}
