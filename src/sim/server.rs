//! The socket side of a simulated venue: websocket and REST on one TCP port, all connections on the same true markets.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::{Semaphore, broadcast};
use tokio::task::JoinSet;

use super::doorman::Doorman;
use super::fault::{FaultError, FaultKind, FaultSpec};
use super::http::serve;
use super::venue::{Depth, Published, TrueBook, Venue};
use super::{binance, bitflyer, bybit, okx};
use crate::clock;
use crate::model::{Stamp, UnixNanos};

/// Open connections at most: what the venue allows one address.
const MOST_CONNECTIONS: usize = 1_000;
/// Messages a connection may lag behind before it is dropped.
const LAG: usize = 8_192;
/// Markets move in batches of at least this length.
const BATCH: Duration = Duration::from_millis(1);

/// Every venue that can be simulated behind these sockets.
const VENUES: [Simulated; 5] = [
    simulated::<bybit::Venue>("bybit"),
    simulated::<okx::Venue>("okx"),
    simulated::<okx::Venue>(okx::JAPAN),
    simulated::<binance::Venue>("binance"),
    simulated::<bitflyer::Venue>("bitflyer"),
];

/// A line of the table of venues.
#[derive(Clone, Copy)]
struct Simulated {
    name: &'static str,
    open: fn(Options) -> Arc<dyn Host>,
    path: fn(&str) -> String,
    can: fn(&FaultKind) -> bool,
}

const fn simulated<V: Venue>(name: &'static str) -> Simulated {
    Simulated { name, open: open::<V>, path: V::path, can: V::can }
}

fn find(venue: &str) -> Option<Simulated> {
    VENUES.into_iter().find(|simulated| simulated.name == venue)
}

/// The names of all of them.
pub fn venues() -> impl Iterator<Item = &'static str> {
    VENUES.into_iter().map(|simulated| simulated.name)
}

/// Whether a venue can have these faults.
///
/// # Errors
/// Names the first fault that it cannot have.
pub fn check(venue: &str, faults: &[FaultSpec]) -> Result<(), FaultError> {
    let Some(simulated) = find(venue) else { return Ok(()) };
    for spec in faults {
        if let FaultSpec::One(fault) = spec
            && !(simulated.can)(&fault.kind)
        {
            return Err(FaultError::Venue { name: fault.kind.name(), venue: venue.to_owned() });
        }
    }
    Ok(())
}

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which venue: one of [`venues`].
    pub venue: String,
    /// Address to listen on, `host:port`; port 0 takes a free one.
    pub listen: String,
    /// Seed of markets and faults.
    pub seed: u64,
    /// Market moves a second over all subscribed symbols; each is one message per subscribed book depth, and one more
    /// for trades in every fifth. 0: markets move only by [`Truth::step`].
    pub rate: u32,
    /// Faults, for every connection alike.
    pub faults: Vec<FaultSpec>,
    /// Symbols to list; empty for the whole catalogue, unknown ones are made up.
    pub symbols: Vec<String>,
    /// Milliseconds that the venue's clock is ahead of this machine's; below zero, behind it.
    pub clock_ahead_ms: i64,
    /// What only Bybit has.
    pub bybit: bybit::Settings,
    /// What only OKX has.
    pub okx: okx::Settings,
    /// What only Binance has.
    pub binance: binance::Settings,
    /// What only bitFlyer has.
    pub bitflyer: bitflyer::Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            venue: "bybit".to_owned(),
            listen: "127.0.0.1:0".to_owned(),
            seed: 1,
            rate: 50,
            faults: Vec::new(),
            symbols: Vec::new(),
            clock_ahead_ms: 0,
            bybit: bybit::Settings::default(),
            okx: okx::Settings::default(),
            binance: binance::Settings::default(),
            bitflyer: bitflyer::Settings::default(),
        }
    }
}

/// What all connections share.
pub(super) struct Shared<V> {
    venue: Mutex<V>,
    pub(super) doorman: Mutex<Doorman>,
    pub(super) feed: broadcast::Sender<Published>,
    pub(super) faults: Vec<FaultSpec>,
    pub(super) seed: u64,
    pub(super) connections: AtomicU64,
    clock_ahead_ms: i64,
}

impl<V: Venue> Shared<V> {
    /// What the venue's clock shows, and the time for its timers.
    pub(super) fn now(&self) -> Stamp {
        ahead(clock::now(), self.clock_ahead_ms)
    }

    /// Works with the venue; what that publishes goes out before anybody else works with it, so that every
    /// connection sees one order.
    pub(super) fn with_venue<R>(&self, work: impl FnOnce(&mut V, &mut Vec<Published>) -> R) -> R {
        let mut published = Vec::new();
        let mut venue = lock(&self.venue);
        let result = work(&mut venue, &mut published);
        for message in published {
            // No receiver means no connection: nothing is lost.
            let _ = self.feed.send(message);
        }
        result
    }
}

/// The same moment by a clock that is so many milliseconds ahead.
const fn ahead(now: Stamp, ms: i64) -> Stamp {
    Stamp { wall: UnixNanos(now.wall.0.saturating_add_signed(ms.saturating_mul(1_000_000))), ..now }
}

pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What a server does whatever its venue is: the face of [`Shared`] without the type.
trait Host: Send + Sync {
    /// Accepts connections and moves the markets, without end.
    fn serve(self: Arc<Self>, listener: TcpListener) -> Pin<Box<dyn Future<Output = ()> + Send>>;
    fn book(&self, market: &str, symbol: &str, depth: Depth) -> Option<TrueBook>;
    fn digest(&self, market: &str, symbol: &str, depth: Depth, id: u64) -> Option<u32>;
    fn step(&self, moves: usize);
    fn connections(&self) -> u64;
    fn stats(&self) -> serde_json::Value;
    fn fills(&self, market: &str) -> Vec<String>;
}

impl<V: Venue> Host for Shared<V> {
    fn serve(self: Arc<Self>, listener: TcpListener) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(async move {
            tokio::select! {
                () = accept(&listener, &self) => {}
                () = move_markets(&self) => {}
            }
        })
    }

    fn book(&self, market: &str, symbol: &str, depth: Depth) -> Option<TrueBook> {
        self.with_venue(|venue, _| venue.truth(market, symbol, depth, self.now()))
    }

    fn digest(&self, market: &str, symbol: &str, depth: Depth, id: u64) -> Option<u32> {
        lock(&self.venue).digest(market, symbol, depth, id)
    }

    fn step(&self, moves: usize) {
        self.with_venue(|venue, out| venue.step(moves, self.now(), out));
    }

    fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    fn stats(&self) -> serde_json::Value {
        lock(&self.venue).stats(self.now())
    }

    fn fills(&self, market: &str) -> Vec<String> {
        lock(&self.venue).fills(market)
    }
}

fn open<V: Venue>(options: Options) -> Arc<dyn Host> {
    Arc::new(Shared {
        venue: Mutex::new(V::open(&options, ahead(clock::now(), options.clock_ahead_ms))),
        doorman: Mutex::new(Doorman::new(&options.faults)),
        feed: broadcast::Sender::new(LAG),
        faults: options.faults,
        seed: options.seed,
        connections: AtomicU64::new(0),
        clock_ahead_ms: options.clock_ahead_ms,
    })
}

/// The true state behind a server, for tests that compare a client's books with it.
#[derive(Clone)]
pub struct Truth(Arc<dyn Host>);

impl Truth {
    /// The book published at a depth; `None` for what is not listed. Markets are called as in the configuration of a
    /// feed: `spot`, `linear`, `swap` …
    pub fn book(&self, market: &str, symbol: &str, depth: Depth) -> Option<TrueBook> {
        self.0.book(market, symbol, depth)
    }

    /// The [digest](super::venue::digest) of the book that had this id (Bybit's and Binance's `u`, OKX's `seqId`); the last 2,000 of
    /// each depth are known. Books of bitFlyer have no ids and are asked for by their digests.
    pub fn digest(&self, market: &str, symbol: &str, depth: Depth, id: u64) -> Option<u32> {
        self.0.digest(market, symbol, depth, id)
    }

    /// Makes this many market moves now.
    pub fn step(&self, moves: usize) {
        self.0.step(moves);
    }

    /// Websocket connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.0.connections()
    }

    /// The account's fills of a market, whether a client was there or not: symbol, id and order of each, oldest first; the last
    /// 5,000. Of venues with one stream for all markets, those of all.
    pub fn fills(&self, market: &str) -> Vec<String> {
        self.0.fills(market)
    }

    /// What the venue counted of its clients, as `GET /sim/stats` shows it.
    pub fn stats(&self) -> serde_json::Value {
        self.0.stats()
    }
}

/// A bound server that does not run yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    simulated: Simulated,
    host: Arc<dyn Host>,
}

/// A server running in the background; it ends when this is dropped or stopped.
pub struct Running {
    address: SocketAddr,
    simulated: Simulated,
    truth: Truth,
    tasks: JoinSet<()>,
}

impl Server {
    /// Binds the address and sets the markets up.
    ///
    /// # Errors
    /// When the address cannot be bound, or the venue cannot be simulated or cannot have one of the faults.
    pub async fn bind(options: Options) -> io::Result<Self> {
        let invalid = |text: String| io::Error::new(io::ErrorKind::InvalidInput, text);
        let simulated = find(&options.venue).ok_or_else(|| {
            let allowed: Vec<&str> = venues().collect();
            invalid(format!("venue {:?} cannot be simulated; allowed: {}", options.venue, allowed.join(", ")))
        })?;
        check(&options.venue, &options.faults).map_err(|error| invalid(error.to_string()))?;
        let listener = TcpListener::bind(&options.listen).await?;
        let address = listener.local_addr()?;
        Ok(Self { listener, address, simulated, host: (simulated.open)(options) })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The truth behind it.
    pub fn truth(&self) -> Truth {
        Truth(Arc::clone(&self.host))
    }

    /// Serves until `shutdown` is done; then every connection ends.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            () = shutdown => {}
            () = self.host.serve(self.listener) => {}
        }
    }

    /// Serves in the background.
    pub fn start(self) -> Running {
        let (address, simulated, truth) = (self.address, self.simulated, self.truth());
        let mut tasks = JoinSet::new();
        tasks.spawn(self.run(std::future::pending()));
        Running { address, simulated, truth, tasks }
    }
}

impl Running {
    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The truth behind it.
    pub const fn truth(&self) -> &Truth {
        &self.truth
    }

    /// The websocket address of a product (Bybit: `linear` …) or path (OKX: `public`, `business`, `private`;
    /// Binance: whatever comes behind the first slash, or a market for the address that serves all of them).
    pub fn url(&self, place: &str) -> String {
        format!("ws://{}{}", self.address, (self.simulated.path)(place))
    }

    /// Ends every connection and frees the port.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn move_markets<V: Venue>(shared: &Shared<V>) {
    loop {
        let due = shared.with_venue(|venue, out| {
            venue.tick(shared.now(), out);
            venue.next_due()
        });
        let soonest = clock::now().mono.after(BATCH);
        tokio::time::sleep_until(clock::instant_of(due.max(soonest))).await;
    }
}

async fn accept<V: Venue>(listener: &TcpListener, shared: &Arc<Shared<V>>) {
    let permits = Arc::new(Semaphore::new(MOST_CONNECTIONS));
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, peer)) => {
                    let Ok(permit) = Arc::clone(&permits).try_acquire_owned() else {
                        tracing::warn!(%peer, limit = MOST_CONNECTIONS, "connection refused: too many");
                        continue;
                    };
                    let shared = Arc::clone(shared);
                    tasks.spawn(async move {
                        serve(stream, peer.ip(), shared).await;
                        drop(permit);
                    });
                }
                Err(error) => {
                    tracing::warn!(%error, "accept failed");
                    // Out of file descriptors, usually: let some connection end first.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            },
            Some(_) = tasks.join_next() => {}
        }
    }
}
