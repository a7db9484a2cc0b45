//! The running gateway: binds the bus, starts one driver per feed, keeps them running, and ends in order.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{error, info, warn};

use crate::bus::{
    BindError, Outgoing, Publisher, PublisherOptions, RequestHandler, RequestOptions, RequestServer, SlowLimits,
};
use crate::clock;
use crate::config::schema::Encoding as ConfigEncoding;
use crate::config::{Config, FeedPlan, TerminalPlan};
use crate::control::{ControlDoor, FeedHandle, HttpDoor, RequestSocket, Running, SnapshotDoor};
use crate::feed::{FeedSpec, State};
use crate::frame::{EncoderSpec, Encoding, Heartbeat, heartbeat};
use crate::io::FrameSink;
use crate::io::budget::RestBudget;
use crate::io::command::Command;
use crate::io::driver::{Driver, DriverLimits, DriverParts};
use crate::io::http::RestClient;
use crate::io::limits::{ConnectBudget, Rate};
use crate::io::tap::Tap;
use crate::io::terminal::{EventsSocket, LAST_ANSWERS_WITHIN, Pool, PoolLimits, TerminalDriver, TerminalParts};
use crate::pipeline::Pipeline;

/// Silence after which a book is doubted, where the config does not say.
const SILENCE: Duration = Duration::from_secs(10);
/// How long feeds, then sockets, may take to end: together less than the two seconds a shutdown may last.
const FEEDS_END_WITHIN: Duration = Duration::from_millis(1200);
const SOCKETS_END_WITHIN: Duration = Duration::from_millis(500);
/// Wait before a feed that failed inside is started again.
const RESTART_AFTER: Duration = Duration::from_secs(1);
/// How far sequences jump when a feed is started again within a run.
const SEQ_JUMP: u64 = 1 << 40;

impl FrameSink for Publisher {
    fn publish(&self, batch: &mut Vec<Outgoing>) {
        Self::publish(self, batch);
    }
}

/// A gateway with its sockets bound and its feeds started.
pub struct Gateway {
    running: Running,
    feed_tasks: Vec<JoinHandle<()>>,
    heartbeat: JoinHandle<()>,
    /// The snapshot socket, then the control socket if there is one.
    doors: Arc<[RequestSocket]>,
    admin: Option<HttpDoor>,
    stop_requested: watch::Receiver<bool>,
    feeds_end_within: Duration,
}

/// What all feeds of a run share.
struct Shared {
    epoch: u64,
    encoding: Encoding,
    publisher: Publisher,
    connects: Arc<ConnectBudget>,
    rest: RestClient,
    rest_budget: RestBudget,
    tap: Option<Tap>,
    /// The pool of each feed from a terminal, by the feed's name.
    pools: HashMap<String, Arc<Pool>>,
    /// The sequence of each market's feed-level status topic.
    feed_seqs: HashMap<(&'static str, Arc<str>), Arc<AtomicU64>>,
}

impl Gateway {
    /// Binds every socket of the config, then starts its feeds.
    ///
    /// # Errors
    /// [`BindError`] when a socket cannot be bound; an error when the TLS roots cannot be read.
    pub async fn start(config: &Config, tap: Option<Tap>) -> anyhow::Result<Self> {
        let epoch = clock::wall().as_ms();
        let publisher = Publisher::bind(publisher_options(config, epoch)).await?;
        let (shutdown, stop_requested) = watch::channel(false);
        let shared = Arc::new(Shared {
            epoch,
            encoding: encoding(config.bus.encoding),
            publisher: publisher.clone(),
            connects: Arc::new(ConnectBudget::new(Rate::per_five_minutes(config.connect.budget_per_5m))),
            rest: RestClient::default(),
            rest_budget: RestBudget::default(),
            tap,
            pools: open_pools(&config.feeds),
            feed_seqs: config
                .feeds
                .iter()
                .map(|plan| ((plan.venue.id, Arc::clone(&plan.market)), Arc::default()))
                .collect(),
        });
        let (mut feeds, mut receivers) = (Vec::new(), Vec::new());
        for plan in &config.feeds {
            let (handle, receiver) = FeedHandle::new(&plan.name, plan.venue.id, Arc::clone(&plan.market));
            feeds.push(handle);
            receivers.push(receiver);
        }
        let running = Running {
            epoch: shared.epoch,
            publisher,
            feeds: feeds.into(),
            key_lists: config.security.lists.clone().into(),
            shutdown: Arc::new(shutdown),
        };
        let doors: Arc<[RequestSocket]> = open_doors(config, &running).await?.into();
        let admin = match &config.admin.listen {
            Some(listen) => Some(HttpDoor::bind(listen, running.clone(), Arc::clone(&doors)).await?),
            None => None,
        };
        let plans = config.feeds.iter().zip(running.feeds.iter().cloned()).zip(receivers);
        let feed_tasks = plans
            .map(|((plan, handle), receiver)| {
                tokio::spawn(supervise(plan.clone(), handle, receiver, Arc::clone(&shared), stop_requested.clone()))
            })
            .collect();
        let heartbeat = tokio::spawn(beat(running.clone(), shared.encoding));
        for note in &config.security.notes {
            warn!("{note}");
        }
        let terminals = config.feeds.iter().any(|plan| plan.terminal.is_some());
        let feeds_end_within = FEEDS_END_WITHIN + if terminals { LAST_ANSWERS_WITHIN } else { Duration::ZERO };
        let gateway = Self { running, feed_tasks, heartbeat, doors, admin, stop_requested, feeds_end_within };
        gateway.log_endpoints();
        Ok(gateway)
    }

    /// What the doors work on.
    pub const fn running(&self) -> &Running {
        &self.running
    }

    /// The bus's endpoints, with the ports that were really taken.
    pub fn bus_endpoints(&self) -> &[String] {
        self.running.publisher.endpoints()
    }

    /// Where the HTTP door listens, with the port that was really taken; `None` when it is turned off.
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.admin.as_ref().map(HttpDoor::address)
    }

    /// Says where everything listens, with the ports that were really taken; empty is what is turned off.
    fn log_endpoints(&self) {
        let door = |at: usize| self.doors.get(at).map(|door| door.server.endpoints().join(" ")).unwrap_or_default();
        let (bus, snapshot, control) = (self.bus_endpoints().join(" "), door(0), door(1));
        let admin = self.admin_address().map(|address| format!("http://{address}/")).unwrap_or_default();
        info!(feeds = self.running.feeds.len(), bus, snapshot, control, admin, "Gateway started");
    }

    /// Waits until someone asks through a door for the gateway to end.
    pub async fn stop_requested(&mut self) {
        // The sender lives in `running`, so waiting ends only when the value is set.
        let _ = self.stop_requested.wait_for(|stop| *stop).await;
    }

    /// Ends: feeds say `down` and close, queues drain, sockets close. Takes less than two seconds; with a terminal, as long
    /// as it answers the calls that give back what was taken there, up to some twenty.
    pub async fn stop(self) {
        self.running.request_shutdown();
        for feed in self.running.feeds.iter() {
            feed.shut_down();
        }
        let ended = async {
            for task in self.feed_tasks {
                let _ = task.await;
            }
        };
        if tokio::time::timeout(self.feeds_end_within, ended).await.is_err() {
            warn!("Feeds did not end in time");
        }
        self.heartbeat.abort();
        let doors = async {
            for door in self.doors.iter() {
                door.server.close(SOCKETS_END_WITHIN / 4).await;
            }
        };
        tokio::join!(self.running.publisher.close(SOCKETS_END_WITHIN), doors);
        if let Some(admin) = self.admin {
            admin.close().await;
        }
        info!("Gateway ended");
    }
}

const fn encoding(config: ConfigEncoding) -> Encoding {
    match config {
        ConfigEncoding::Json => Encoding::Json,
        ConfigEncoding::Msgpack => Encoding::MessagePack,
    }
}

/// A limit of the config, where 0 stands for none.
fn limit(value: u32) -> Option<u32> {
    (value > 0).then_some(value)
}

fn publisher_options(config: &Config, epoch: u64) -> PublisherOptions {
    let bus = &config.bus;
    let own = bus.bind.iter().filter_map(|bind| Some((bind.endpoint().to_owned(), bind.policy()?)));
    PublisherOptions {
        endpoints: bus.bind.iter().map(|bind| bind.endpoint().to_owned()).collect(),
        encoding: encoding(bus.encoding),
        epoch,
        policy: bus.policy,
        policy_of: own.collect(),
        slow: SlowLimits {
            time: limit(bus.slow_ms).map(|ms| Duration::from_millis(ms.into())),
            drops: limit(bus.slow_drops).map(u64::from),
        },
        max_per_address: limit(bus.max_per_address).map(|most| most as usize),
        max_frame: bus.max_frame as usize,
        handshake: Duration::from_millis(bus.handshake_ms.into()),
        security: config.security.bus.clone(),
        queue_frames: bus.queue_frames as usize,
        queue_bytes: usize::try_from(bus.queue_bytes).unwrap_or(usize::MAX),
        max_subscribers: bus.max_subscribers as usize,
        max_subscriptions: bus.max_subscriptions as usize,
        ..PublisherOptions::default()
    }
}

async fn open_doors(config: &Config, running: &Running) -> Result<Vec<RequestSocket>, BindError> {
    let snapshots: Arc<dyn RequestHandler> = Arc::new(SnapshotDoor::new(running.clone()));
    let options = RequestOptions {
        max_per_address: limit(config.bus.max_per_address).map(|most| most as usize),
        handshake: Duration::from_millis(config.bus.handshake_ms.into()),
        security: config.security.bus.clone(),
        ..RequestOptions::default()
    };
    let server = RequestServer::bind(&config.bus.snapshot_bind, options, snapshots).await?;
    let mut doors = vec![RequestSocket { name: "snapshot", server }];
    if let Some(endpoint) = &config.control.bind {
        let control: Arc<dyn RequestHandler> = Arc::new(ControlDoor::new(running.clone()));
        let options = RequestOptions { security: config.security.control.clone(), ..RequestOptions::default() };
        let server = RequestServer::bind(endpoint, options, control).await?;
        doors.push(RequestSocket { name: "control", server });
    }
    Ok(doors)
}

/// The pipeline of one feed.
fn pipeline(plan: &FeedPlan, shared: &Shared, first_seq: u64) -> Pipeline {
    let feed = FeedSpec {
        market: plan.market.to_string(),
        streams: plan.streams.clone(),
        discover: false,
        silence: plan.silence.unwrap_or(SILENCE),
        terminal: plan.terminal.as_ref().map(|terminal| terminal.spec.clone()).unwrap_or_default(),
        credentials: None,
    };
    let encoder = EncoderSpec {
        feed: plan.name.clone(),
        venue: plan.venue.id.to_owned(),
        market: plan.market.to_string(),
        epoch: shared.epoch,
        encoding: shared.encoding,
        book_depth: plan.publish.book_depth,
        depth_of: plan.book_depths.keys().map(|symbol| (symbol.clone(), plan.book_depth(symbol))).collect(),
        book_interval: Duration::from_millis(plan.publish.book_interval_ms.into()),
        first_seq,
        feed_seq: shared.feed_seqs.get(&(plan.venue.id, Arc::clone(&plan.market))).cloned().unwrap_or_default(),
        clock: clock::wall,
    };
    Pipeline::new(plan.venue, feed, encoder)
}

/// One pool for each terminal: feeds that name the same RPC endpoints and keys share it.
fn open_pools(feeds: &[FeedPlan]) -> HashMap<String, Arc<Pool>> {
    let mut terminals: Vec<(&TerminalPlan, Arc<Pool>)> = Vec::new();
    let mut pools = HashMap::new();
    for plan in feeds {
        let Some(terminal) = &plan.terminal else { continue };
        let same = |other: &TerminalPlan| {
            other.rpc == terminal.rpc && other.data == terminal.data && other.security == terminal.security
        };
        let known = terminals.iter().find(|(other, _)| same(other)).map(|(_, pool)| Arc::clone(pool));
        let pool = known.unwrap_or_else(|| {
            let limits = PoolLimits {
                connections: terminal.connections,
                calls_per_second: terminal.calls_per_second,
                burst: terminal.burst,
            };
            let TerminalPlan { rpc, data, security, .. } = terminal;
            let pool = Pool::connect(&plan.name, rpc, data.as_deref(), security, limits);
            terminals.push((terminal, Arc::clone(&pool)));
            pool
        });
        pools.insert(plan.name.clone(), pool);
    }
    pools
}

fn terminal_driver(
    terminal: &TerminalPlan,
    pool: &Arc<Pool>,
    handle: &FeedHandle,
    pipeline: Pipeline,
    commands: mpsc::Receiver<Command>,
    shared: &Shared,
) -> TerminalDriver<Pipeline> {
    let security = &terminal.security;
    let events = terminal.events.clone();
    TerminalDriver::new(TerminalParts {
        feed: Arc::clone(&handle.name),
        pipeline,
        sink: Arc::new(shared.publisher.clone()),
        commands,
        tap: shared.tap.clone(),
        pool: Arc::clone(pool),
        events: events.map(|endpoint| EventsSocket { endpoint, security: security.clone() }),
    })
}

fn websocket_driver(
    plan: &FeedPlan,
    handle: &FeedHandle,
    pipeline: Pipeline,
    commands: mpsc::Receiver<Command>,
    shared: &Shared,
) -> Driver<Pipeline> {
    Driver::new(DriverParts {
        feed: Arc::clone(&handle.name),
        urls: plan.endpoints.urls.clone(),
        rest_url: plan.endpoints.rest_url.clone(),
        pipeline,
        sink: Arc::new(shared.publisher.clone()),
        connects: Arc::clone(&shared.connects),
        rest: shared.rest.clone(),
        account: shared.rest_budget.account(plan.venue, &plan.market, &plan.endpoints.rest_url),
        commands,
        tap: shared.tap.clone(),
        limits: DriverLimits::default(),
    })
}

/// Runs a feed's driver. Should it ever panic, that is a bug and said so, and the feed alone is started again with
/// everything it published marked as stale.
async fn supervise(
    plan: FeedPlan,
    handle: FeedHandle,
    commands: mpsc::Receiver<Command>,
    shared: Arc<Shared>,
    stop: watch::Receiver<bool>,
) {
    for note in &plan.notes {
        info!(feed = plan.name, "{note}");
    }
    let mut commands = Some(commands);
    for starts in 0_u64.. {
        let mut pipeline = pipeline(&plan, &shared, starts.saturating_mul(SEQ_JUMP));
        pipeline.step(crate::venue::Input::Disconnected, clock::now());
        let receiver = commands.take().unwrap_or_else(|| handle.renew());
        let ended = match (&plan.terminal, shared.pools.get(&plan.name)) {
            (Some(terminal), Some(pool)) => {
                tokio::spawn(terminal_driver(terminal, pool, &handle, pipeline, receiver, &shared).run()).await
            }
            _ => tokio::spawn(websocket_driver(&plan, &handle, pipeline, receiver, &shared).run()).await,
        };
        if ended.is_ok() || *stop.borrow() {
            return;
        }
        error!(feed = plan.name, "Feed failed inside: this is a bug; starting it again");
        tokio::time::sleep(RESTART_AFTER).await;
    }
}

/// Sends each subscriber its heartbeat, once a second.
async fn beat(running: Running, encoding: Encoding) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    for seq in 1_u64.. {
        every.tick().await;
        let mut live = 0;
        for report in running.reports().await {
            let state = report.as_ref().and_then(|report| report.feed.symbols.first()).map(|whole| whole.status.state);
            live += u64::from(state == Some(State::Live));
        }
        let stats = running.publisher.stats();
        let beat = Heartbeat {
            epoch: running.epoch,
            seq,
            ts_pub: clock::wall(),
            feeds: running.feeds.len() as u64,
            feeds_live: live,
            subscribers: stats.subscribers as u64,
            frames: stats.frames_published,
            dropped: stats.dropped_frames,
        };
        running.publisher.beat(|topics| heartbeat(encoding, beat, topics)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

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
        let pools = open_pools(&config.feeds);
        assert_eq!(pools.len(), 3);
        assert!(Arc::ptr_eq(&pools["futures"], &pools["shares"]));
        assert!(!Arc::ptr_eq(&pools["futures"], &pools["elsewhere"]));
        assert_eq!(&*pools["elsewhere"].report().terminal, "elsewhere");
    }
}
