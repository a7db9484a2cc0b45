//! The running gateway: binds the bus, starts one driver per feed, keeps them running, and ends in order.

mod start;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::{info, warn};

use self::start::Starter;
use crate::bus::{
    BindError, Endpoint, Outgoing, Publisher, PublisherOptions, RequestHandler, RequestOptions, RequestServer,
    SlowLimits,
};
use crate::clock;
use crate::config::Config;
use crate::config::schema::Encoding as ConfigEncoding;
use crate::control::wished::Owner;
use crate::control::{
    self, Applied, Calls, ControlDoor, ControlPlane, Counted, Guard, HttpDoor, Registry, RequestSocket, Running,
    SnapshotDoor, StateFile,
};
use crate::feed::State;
use crate::fetch::Fetcher;
use crate::frame::{Encoding, Heartbeat, LastSeq, heartbeat};
use crate::io::FrameSink;
use crate::io::budget::RestBudget;
use crate::io::http::RestClient;
use crate::io::limits::{ConnectBudget, Rate};
use crate::io::tap::Tap;
use crate::io::terminal::LAST_ANSWERS_WITHIN;
use crate::jobs::{Caller, Desk, Frames, Origin, RestCaller, Results, Sources};
use crate::sink::redis::{Commands, RedisSink};
use crate::store::{Keeping, StoreLimits};
use crate::telemetry::process::raise_open_files;

/// How long feeds, then sockets, may take to end: together less than the two seconds a shutdown may last.
const FEEDS_END_WITHIN: Duration = Duration::from_millis(1200);
const SOCKETS_END_WITHIN: Duration = Duration::from_millis(500);

impl FrameSink for Publisher {
    fn publish(&self, batch: &mut Vec<Outgoing>) {
        Self::publish(self, batch);
    }
}

/// A gateway with its sockets bound and its feeds started.
pub struct Gateway {
    running: Running,
    heartbeat: JoinHandle<()>,
    /// Turns frames into rows of tables.
    tables: JoinHandle<()>,
    /// The snapshot socket, then the control socket if there is one.
    doors: Arc<[RequestSocket]>,
    admin: Option<HttpDoor>,
    state_file: Option<StateFile>,
    redis: Option<RedisSink>,
    stop_requested: watch::Receiver<bool>,
}

impl Gateway {
    /// Binds every socket of the config, then starts its feeds.
    ///
    /// # Errors
    /// [`BindError`] when a socket cannot be bound; an error when the TLS roots cannot be read.
    pub async fn start(config: &Config, tap: Option<Tap>) -> anyhow::Result<Self> {
        raise_open_files();
        let epoch = clock::wall().as_ms();
        let publisher = Publisher::bind(publisher_options(config, epoch)).await?;
        let (shutdown, stop_requested) = watch::channel(false);
        let running = running(config, publisher, shutdown, tap, epoch);
        let token = config.security.token.clone();
        let guard = Arc::new(Guard::new(token, config.control.max_per_second, clock::mono()));
        let doors: Arc<[RequestSocket]> = open_doors(config, &running, &guard).await?.into();
        // Before any feed publishes.
        let redis = start_redis(config, &running)?;
        let state_path = config.control.state_file.as_ref().map(PathBuf::from);
        add_feeds(config, &running.feeds)?;
        let state_file = match state_path {
            Some(path) => {
                control::restore(&running.feeds, &path).await;
                Some(StateFile::keep(path, Arc::clone(&running.feeds)))
            }
            None => None,
        };
        let admin = match &config.admin.listen {
            Some(listen) => {
                let counted = Counted {
                    sockets: Arc::clone(&doors),
                    guard,
                    state_failures: state_file.as_ref().map(StateFile::failures).unwrap_or_default(),
                };
                Some(HttpDoor::bind(listen, running.clone(), counted).await?)
            }
            None => None,
        };
        for plan in &config.jobs {
            running.calls.jobs.start(plan.clone(), Origin::Config, Results::Bus)?;
        }
        let heartbeat = tokio::spawn(beat(running.clone(), encoding(config.bus.encoding)));
        let tables = tokio::spawn(Arc::clone(running.feeds.tables()).keep_up());
        for note in config.security.notes.iter().chain(&config.accounts.notes) {
            warn!("{note}");
        }
        let gateway = Self { running, heartbeat, tables, doors, admin, state_file, redis, stop_requested };
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
        let feeds = self.running.feeds.end();
        self.running.calls.jobs.end();
        if let Some(state_file) = self.state_file {
            // Before feeds end: what is kept is what was wished for until now.
            state_file.finish().await;
        }
        feeds.iter().for_each(|feed| feed.stop());
        let terminals = feeds.iter().any(|feed| feed.plan.terminal.is_some());
        let within = FEEDS_END_WITHIN + if terminals { LAST_ANSWERS_WITHIN } else { Duration::ZERO };
        let mut tasks: Vec<_> = feeds.iter().filter_map(|feed| feed.take_task()).collect();
        if tokio::time::timeout(within, join_all(tasks.iter_mut())).await.is_err() {
            warn!("Feeds did not end in time");
            tasks.iter().for_each(JoinHandle::abort);
        }
        self.heartbeat.abort();
        self.tables.abort();
        let doors = async {
            for door in self.doors.iter() {
                door.server.close(SOCKETS_END_WITHIN / 4).await;
            }
        };
        let redis = async {
            if let Some(sink) = self.redis {
                sink.close(SOCKETS_END_WITHIN).await;
            }
        };
        tokio::join!(self.running.publisher.close(SOCKETS_END_WITHIN), doors, redis);
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

fn store_limits(config: &Config) -> StoreLimits {
    StoreLimits {
        trades: config.store.trades as usize,
        candles: config.store.candles as usize,
        bytes: usize::try_from(config.store.max_bytes).unwrap_or(usize::MAX),
    }
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

async fn open_doors(config: &Config, running: &Running, guard: &Arc<Guard>) -> Result<Vec<RequestSocket>, BindError> {
    let is_loopback = config.bus.snapshot_bind.parse::<Endpoint>().is_ok_and(|endpoint| endpoint.is_loopback());
    let shows_peers = is_loopback || config.bus.auth.keeps_strangers_out();
    let snapshots: Arc<dyn RequestHandler> = Arc::new(SnapshotDoor::new(running.clone(), shows_peers));
    let options = RequestOptions {
        max_per_address: limit(config.bus.max_per_address).map(|most| most as usize),
        handshake: Duration::from_millis(config.bus.handshake_ms.into()),
        security: config.security.bus.clone(),
        ..RequestOptions::default()
    };
    let server = RequestServer::bind(&config.bus.snapshot_bind, options, snapshots).await?;
    let mut doors = vec![RequestSocket { name: "snapshot", server }];
    if let Some(endpoint) = &config.control.bind {
        let control: Arc<dyn RequestHandler> = Arc::new(ControlDoor::new(running.clone(), Arc::clone(guard)));
        let options = RequestOptions {
            security: config.security.control.clone(),
            max_connections: config.control.max_clients as usize,
            ..RequestOptions::default()
        };
        let server = RequestServer::bind(endpoint, options, control).await?;
        doors.push(RequestSocket { name: "control", server });
    }
    Ok(doors)
}

/// Starts the feeds of the config.
fn add_feeds(config: &Config, feeds: &Registry) -> anyhow::Result<()> {
    for plan in &config.feeds {
        let wishes: Vec<_> = plan.streams.iter().map(|stream| (stream.clone(), Owner::Config)).collect();
        // The config has been checked, and nobody else has opened anything yet.
        let added = feeds.add(plan.clone(), true, &wishes);
        added.map_err(anyhow::Error::msg)?.map_err(|known| anyhow::anyhow!("two feeds {}", known.name()))?;
    }
    Ok(())
}

/// What everything works on, none of which runs yet.
fn running(
    config: &Config,
    publisher: Publisher,
    shutdown: watch::Sender<bool>,
    tap: Option<Tap>,
    epoch: u64,
) -> Running {
    let (rest, rest_budget) = (RestClient::default(), Arc::<RestBudget>::default());
    let starter = Arc::new(Starter::new(
        epoch,
        encoding(config.bus.encoding),
        publisher.clone(),
        Arc::new(ConnectBudget::new(Rate::per_five_minutes(config.connect.budget_per_5m))),
        rest.clone(),
        Arc::clone(&rest_budget),
        tap,
    ));
    let feeds = Arc::new(Registry::new(Arc::new(starter), store_limits(config), config.accounts.clone()));
    let frames = job_frames(config, &publisher, &feeds, epoch);
    let calls = calls(config, &rest, &rest_budget, publisher.clone(), frames, epoch);
    Running {
        epoch,
        publisher,
        feeds,
        applied: Arc::new(tokio::sync::Mutex::new(Applied {
            settings: config.settings.clone(),
            source: config.source.clone(),
        })),
        calls: Arc::new(calls),
        key_lists: config.security.lists.clone().into(),
        redis: config.redis.as_ref().map(|_| Arc::default()),
        shutdown: Arc::new(shutdown),
    }
}

/// What makes REST calls for clients, and the jobs, none of which runs yet.
fn calls(
    config: &Config,
    rest: &RestClient,
    budget: &Arc<RestBudget>,
    publisher: Publisher,
    frames: Arc<Frames>,
    epoch: u64,
) -> Calls {
    let caller: Arc<dyn Caller> = Arc::new(RestCaller::new(rest.clone(), Arc::clone(budget)));
    let jobs = Desk::new(caller, Arc::new(publisher), frames, epoch, encoding(config.bus.encoding));
    let fetcher = Fetcher::new(rest.clone(), Arc::clone(budget), config.accounts.clone());
    Calls::new(Arc::new(fetcher), config.fetch.clone(), Arc::new(jobs))
}

/// The normal frames of jobs, which go on after whatever was published of their topics.
fn job_frames(config: &Config, publisher: &Publisher, feeds: &Arc<Registry>, epoch: u64) -> Arc<Frames> {
    let known = publisher.clone();
    let last_seq = LastSeq::new(move |topic| known.last_seq(topic), 0);
    let sink = Arc::new(Keeping { store: Arc::clone(feeds.store_of_jobs()), sink: publisher.clone() });
    let sources: Arc<dyn Sources> = Arc::clone(feeds) as _;
    Arc::new(Frames::new(epoch, encoding(config.bus.encoding), last_seq, sources, sink))
}

/// The Redis sink, if the config has one.
fn start_redis(config: &Config, running: &Running) -> anyhow::Result<Option<RedisSink>> {
    let Some((options, stats)) = config.redis.clone().zip(running.redis.clone()) else { return Ok(None) };
    let commands: Arc<dyn Commands> = Arc::new(ControlPlane::new(running.clone()));
    Ok(Some(RedisSink::start(options, &running.publisher, Some(commands), stats)?))
}

/// Sends each subscriber its heartbeat, once a second.
async fn beat(running: Running, encoding: Encoding) {
    let mut every = tokio::time::interval(Duration::from_secs(1));
    every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Skip);
    for seq in 1_u64.. {
        every.tick().await;
        let mut live = 0;
        let reports = running.reports().await;
        for (_, report) in &reports {
            let state = report.as_ref().and_then(|report| report.feed.symbols.first()).map(|whole| whole.status.state);
            live += u64::from(state == Some(State::Live));
        }
        let stats = running.publisher.stats();
        let beat = Heartbeat {
            epoch: running.epoch,
            seq,
            ts_pub: clock::wall(),
            feeds: reports.len() as u64,
            feeds_live: live,
            subscribers: stats.subscribers as u64,
            frames: stats.frames_published,
            dropped: stats.dropped_frames,
        };
        running.publisher.beat(|topics| heartbeat(encoding, beat, topics)).await;
    }
}
