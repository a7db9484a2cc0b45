//! Starts feeds and keeps them running: those of the config and those opened at run time alike.

use std::collections::HashMap;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};
use tracing::{error, info};

use crate::bus::Publisher;
use crate::clock;
use crate::config::{FeedPlan, TerminalPlan};
use crate::control::{RunningFeed, StartFeed};
use crate::feed::{Backfill, FeedSpec};
use crate::frame::{EncoderSpec, Encoding, LastSeq};
use crate::io::budget::RestBudget;
use crate::io::command::Command;
use crate::io::driver::{Driver, DriverLimits, DriverParts};
use crate::io::http::RestClient;
use crate::io::limits::ConnectBudget;
use crate::io::tap::Tap;
use crate::io::terminal::{EventsSocket, Pool, PoolLimits, TerminalDriver, TerminalParts};
use crate::model::Stream;
use crate::pipeline::Pipeline;
use crate::store::Keeping;
use crate::venue::{Input, Route};

/// Silence after which a book is doubted, where the config does not say.
const SILENCE: Duration = Duration::from_secs(10);
/// Wait before a feed that failed inside is started again.
const RESTART_AFTER: Duration = Duration::from_secs(1);
/// How far sequences jump when a feed that failed inside is started again: what it had made and not published is lost,
/// and that shall show.
const SEQ_JUMP: u64 = 1 << 40;

/// By venue and market.
type FeedSeqs = HashMap<(&'static str, Arc<str>), Arc<AtomicU64>>;

/// What all feeds of a run share.
pub(super) struct Starter {
    epoch: u64,
    encoding: Encoding,
    publisher: Publisher,
    connects: Arc<ConnectBudget>,
    rest: RestClient,
    /// What may be asked by REST, over all feeds.
    rest_budget: Arc<RestBudget>,
    tap: Option<Tap>,
    /// A pool for each terminal: feeds that name the same RPC endpoints and keys share it.
    pools: Mutex<Vec<(TerminalPlan, Weak<Pool>)>>,
    /// The sequence of each market's feed-level status topic.
    feed_seqs: Mutex<FeedSeqs>,
}

impl Starter {
    pub(super) fn new(
        epoch: u64,
        encoding: Encoding,
        publisher: Publisher,
        connects: Arc<ConnectBudget>,
        rest: RestClient,
        rest_budget: Arc<RestBudget>,
        tap: Option<Tap>,
    ) -> Self {
        let (pools, feed_seqs) = (Mutex::default(), Mutex::default());
        Self { epoch, encoding, publisher, connects, rest, rest_budget, tap, pools, feed_seqs }
    }

    fn feed_seq(&self, plan: &FeedPlan) -> Arc<AtomicU64> {
        let mut seqs = self.feed_seqs.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(seqs.entry((plan.venue.id, Arc::clone(&plan.market))).or_default())
    }

    /// The pipeline of one feed.
    fn pipeline(&self, plan: &FeedPlan, streams: Vec<Stream>, is_first: bool) -> Pipeline {
        let feed = FeedSpec {
            market: plan.market.to_string(),
            streams,
            discover: false,
            silence: plan.silence.unwrap_or(SILENCE),
            terminal: plan.terminal.as_ref().map(|terminal| terminal.spec.clone()).unwrap_or_default(),
            signer: plan.signer.clone(),
            raw_url: plan.endpoints.url(Route::RAW).to_owned(),
            backfill: Backfill { candles: plan.settings.backfill.candles, trades: plan.settings.backfill.trades },
        };
        let publisher = self.publisher.clone();
        let jump = if is_first { 0 } else { SEQ_JUMP };
        let encoder = EncoderSpec {
            feed: plan.name.clone(),
            venue: plan.venue.id.to_owned(),
            market: plan.market.to_string(),
            account: plan.account().map(str::to_owned),
            epoch: self.epoch,
            encoding: self.encoding,
            book_depth: plan.publish.book_depth,
            depth_of: plan.book_depths.keys().map(|symbol| (symbol.clone(), plan.book_depth(symbol))).collect(),
            book_interval: Duration::from_millis(plan.publish.book_interval_ms.into()),
            last_seq: LastSeq::new(move |topic| publisher.last_seq(topic), jump),
            feed_seq: self.feed_seq(plan),
            clock: clock::wall,
        };
        Pipeline::new(plan.venue, feed, encoder)
    }

    /// The pool of a terminal, which lives as long as one of its feeds.
    fn pool(&self, name: &str, terminal: &TerminalPlan) -> Arc<Pool> {
        let same = |other: &TerminalPlan| {
            other.rpc == terminal.rpc && other.data == terminal.data && other.security == terminal.security
        };
        let mut pools = self.pools.lock().unwrap_or_else(PoisonError::into_inner);
        pools.retain(|(_, pool)| pool.strong_count() > 0);
        if let Some(pool) = pools.iter().find(|(other, _)| same(other)).and_then(|(_, pool)| pool.upgrade()) {
            return pool;
        }
        let limits = PoolLimits {
            connections: terminal.connections,
            calls_per_second: terminal.calls_per_second,
            burst: terminal.burst,
        };
        let TerminalPlan { rpc, data, security, .. } = terminal;
        let pool = Pool::connect(name, rpc, data.as_deref(), security, limits);
        pools.push((terminal.clone(), Arc::downgrade(&pool)));
        pool
    }

    fn sink(&self, feed: &RunningFeed) -> Arc<Keeping<Publisher>> {
        Arc::new(Keeping { store: Arc::clone(&feed.store), sink: self.publisher.clone() })
    }

    fn terminal_driver(
        &self,
        feed: &RunningFeed,
        terminal: &TerminalPlan,
        pool: &Arc<Pool>,
        pipeline: Pipeline,
        commands: mpsc::Receiver<Command>,
    ) -> TerminalDriver<Pipeline> {
        let security = &terminal.security;
        let events = terminal.events.clone();
        TerminalDriver::new(TerminalParts {
            feed: Arc::clone(&feed.handle.name),
            pipeline,
            sink: self.sink(feed),
            commands,
            tap: self.tap.clone(),
            pool: Arc::clone(pool),
            events: events.map(|endpoint| EventsSocket { endpoint, security: security.clone() }),
        })
    }

    fn websocket_driver(
        &self,
        feed: &RunningFeed,
        pipeline: Pipeline,
        commands: mpsc::Receiver<Command>,
    ) -> Driver<Pipeline> {
        Driver::new(DriverParts {
            feed: Arc::clone(&feed.handle.name),
            endpoints: feed.plan.endpoints.clone(),
            pipeline,
            sink: self.sink(feed),
            connects: Arc::clone(&self.connects),
            rest: self.rest.clone(),
            signer: feed.plan.signer.clone(),
            account: self.rest_budget.account(feed.plan.venue, &feed.plan.market, &feed.plan.endpoints.rest_url),
            commands,
            tap: self.tap.clone(),
            limits: DriverLimits { connect_pause: feed.plan.venue.connect_pause, ..DriverLimits::default() },
        })
    }

    /// Runs a feed's driver. Should it ever panic, that is a bug and said so, and the feed alone is started again with
    /// everything it published marked as stale.
    async fn supervise(
        self: Arc<Self>,
        feed: Arc<RunningFeed>,
        pool: Option<Arc<Pool>>,
        mut commands: mpsc::Receiver<Command>,
        mut streams: Vec<Stream>,
    ) {
        for note in &feed.plan.notes {
            info!(feed = feed.name(), "{note}");
        }
        for starts in 0_u64.. {
            let mut pipeline = self.pipeline(&feed.plan, streams, starts == 0);
            pipeline.step(Input::Disconnected, clock::now());
            // It ends with this task.
            let mut driver = JoinSet::new();
            match (&feed.plan.terminal, &pool) {
                (Some(terminal), Some(pool)) => {
                    driver.spawn(self.terminal_driver(&feed, terminal, pool, pipeline, commands).run())
                }
                _ => driver.spawn(self.websocket_driver(&feed, pipeline, commands).run()),
            };
            let ended = driver.join_next().await;
            if feed.is_stopping() || matches!(ended, Some(Ok(()))) {
                return;
            }
            error!(feed = feed.name(), "Feed failed inside: this is a bug; starting it again");
            tokio::time::sleep(RESTART_AFTER).await;
            (commands, streams) = feed.start_over().await;
        }
    }
}

impl StartFeed for Arc<Starter> {
    fn start(&self, feed: Arc<RunningFeed>, commands: mpsc::Receiver<Command>) -> JoinHandle<()> {
        let pool = feed.plan.terminal.as_ref().map(|terminal| self.pool(feed.name(), terminal));
        let streams = feed.streams();
        tokio::spawn(Arc::clone(self).supervise(feed, pool, commands, streams))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::PublisherOptions;
    use crate::config::Layers;
    use crate::io::limits::Rate;

    async fn starter() -> Arc<Starter> {
        let publisher = Publisher::bind(PublisherOptions::default()).await.unwrap();
        let connects = Arc::new(ConnectBudget::new(Rate::per_five_minutes(100)));
        let rest = RestClient::default();
        Arc::new(Starter::new(1, Encoding::Json, publisher, connects, rest, Arc::default(), None))
    }

    #[tokio::test]
    async fn feeds_of_one_terminal_share_its_pool_and_others_do_not() {
        let feed = |rpc: &str, market: &str| {
            serde_json::json!({
                "venue": "quik", "rpc": rpc, "market": market, "symbols": ["A"], "channels": ["trade"],
            })
        };
        let here = "tcp://127.0.0.1:5560";
        let feeds = serde_json::json!({
            "futures": feed(here, "SPBFUT"), "shares": feed(here, "TQBR"),
            "elsewhere": feed("tcp://127.0.0.1:5570", "CETS"),
        });
        let text = serde_json::json!({ "feeds": feeds }).to_string();
        let config = Layers { text, ..Layers::default() }.check().unwrap();
        let starter = starter().await;
        let pool = |name: &str| {
            let plan = config.feeds.iter().find(|plan| plan.name == name).unwrap();
            starter.pool(name, plan.terminal.as_ref().unwrap())
        };
        let (futures, shares, elsewhere) = (pool("futures"), pool("shares"), pool("elsewhere"));
        assert!(Arc::ptr_eq(&futures, &shares) && !Arc::ptr_eq(&futures, &elsewhere));
        assert_eq!(&*elsewhere.report().terminal, "elsewhere");
        drop((futures, shares));
        assert_eq!(&*pool("shares").report().terminal, "shares", "the pool went with its last feed");
    }
}
