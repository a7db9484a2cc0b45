//! The socket side of a simulated venue: websocket and REST on one TCP port, all connections on the same true markets.

use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::header::{CONNECTION, CONTENT_TYPE, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, broadcast, mpsc};
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::bybit::{self, Category, Depth, Published, TrueBook, Venue};
use super::connection;
use super::fault::FaultSpec;
use super::injector::{Doorman, Injector};
use crate::clock;

/// Open connections at most: what the venue allows one address.
const MOST_CONNECTIONS: usize = 1_000;
/// Messages a connection may lag behind before it is dropped.
const LAG: usize = 8_192;
/// How long a client may take to send a request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Markets move in batches of at least this length.
const BATCH: Duration = Duration::from_millis(1);

/// What to simulate.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which venue: `bybit`.
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
        }
    }
}

/// What all connections share.
pub(super) struct Shared {
    venue: Mutex<Venue>,
    doorman: Mutex<Doorman>,
    feed: broadcast::Sender<Published>,
    faults: Vec<FaultSpec>,
    seed: u64,
    connections: AtomicU64,
}

impl Shared {
    /// Works with the venue; what that publishes goes out before anybody else works with it, so that every
    /// connection sees one order.
    pub(super) fn with_venue<R>(&self, work: impl FnOnce(&mut Venue, &mut Vec<Published>) -> R) -> R {
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

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The true state behind a server, for tests that compare a client's books with it.
#[derive(Clone)]
pub struct Truth(Arc<Shared>);

impl Truth {
    /// The book published at a depth (`spot`, `linear`, `inverse`, `option`); `None` for what is not listed.
    pub fn book(&self, category: &str, symbol: &str, depth: Depth) -> Option<TrueBook> {
        let category = Category::parse(category)?;
        self.0.with_venue(|venue, _| venue.truth(category, symbol, depth, clock::now()))
    }

    /// The digest of the book that had update id `u` (see [`Venue::digest`]); the last 2,000 of each depth are known.
    pub fn digest(&self, category: &str, symbol: &str, depth: Depth, u: u64) -> Option<u32> {
        let category = Category::parse(category)?;
        lock(&self.0.venue).digest(category, symbol, depth, u)
    }

    /// Makes this many market moves now.
    pub fn step(&self, moves: usize) {
        self.0.with_venue(|venue, out| venue.step(moves, clock::now(), out));
    }

    /// Websocket connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.0.connections.load(Ordering::Relaxed)
    }
}

/// A bound server that does not run yet.
pub struct Server {
    listener: TcpListener,
    address: SocketAddr,
    shared: Arc<Shared>,
}

/// A server running in the background; it ends when this is dropped or stopped.
pub struct Running {
    address: SocketAddr,
    truth: Truth,
    tasks: JoinSet<()>,
}

impl Server {
    /// Binds the address and sets the markets up.
    ///
    /// # Errors
    /// When the address cannot be bound or the venue is not one that can be simulated.
    pub async fn bind(options: Options) -> io::Result<Self> {
        if options.venue != "bybit" {
            let text = format!("venue {:?} cannot be simulated; allowed: bybit", options.venue);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let listener = TcpListener::bind(&options.listen).await?;
        let address = listener.local_addr()?;
        let venue = Venue::new(options.seed, options.rate, &options.symbols, clock::now());
        let shared = Shared {
            venue: Mutex::new(venue),
            doorman: Mutex::new(Doorman::new(&options.faults)),
            feed: broadcast::Sender::new(LAG),
            faults: options.faults,
            seed: options.seed,
            connections: AtomicU64::new(0),
        };
        Ok(Self { listener, address, shared: Arc::new(shared) })
    }

    /// Where it listens.
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// The truth behind it.
    pub fn truth(&self) -> Truth {
        Truth(Arc::clone(&self.shared))
    }

    /// Serves until `shutdown` is done; then every connection ends.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        tokio::select! {
            () = shutdown => {}
            () = accept(&self.listener, &self.shared) => {}
            () = move_markets(&self.shared) => {}
        }
    }

    /// Serves in the background.
    pub fn start(self) -> Running {
        let (address, truth) = (self.address, self.truth());
        let mut tasks = JoinSet::new();
        tasks.spawn(self.run(std::future::pending()));
        Running { address, truth, tasks }
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

    /// The websocket address of a category.
    pub fn url(&self, category: &str) -> String {
        format!("ws://{}/v5/public/{category}", self.address)
    }

    /// Ends every connection and frees the port.
    pub async fn stop(mut self) {
        self.tasks.shutdown().await;
    }
}

async fn move_markets(shared: &Shared) {
    loop {
        let due = shared.with_venue(|venue, out| {
            venue.tick(clock::now(), out);
            venue.next_due()
        });
        let soonest = clock::now().mono.after(BATCH);
        tokio::time::sleep_until(clock::instant_of(due.max(soonest))).await;
    }
}

async fn accept(listener: &TcpListener, shared: &Arc<Shared>) {
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
                        serve(stream, shared).await;
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

type Upgraded = mpsc::Sender<(OnUpgrade, Category)>;

/// One TCP connection: HTTP requests, until one of them turns it into a websocket.
async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let (upgraded, mut upgrades) = mpsc::channel(1);
    let service = service_fn(|request: Request<Incoming>| {
        let response = respond(request, &shared, &upgraded);
        async { Ok::<_, Infallible>(response) }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = http.await {
        tracing::debug!(%error, "http connection ended");
    }
    let Ok((upgrade, category)) = upgrades.try_recv() else { return };
    let Ok(parts) = upgrade.await.map(hyper::upgrade::Upgraded::downcast::<TokioIo<TcpStream>>) else { return };
    if let Ok(parts) = parts {
        let number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let injector = Injector::new(&shared.faults, shared.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let feed = shared.feed.subscribe();
        connection::run(parts.io.into_inner(), parts.read_buf, category, number, injector, feed, shared).await;
    }
}

fn respond(mut request: Request<Incoming>, shared: &Shared, upgraded: &Upgraded) -> Response<Full<Bytes>> {
    if request.headers().contains_key(UPGRADE) {
        return match handshake(&request, shared) {
            Ok((category, accept)) => {
                // One websocket per TCP connection: there is always room.
                let _ = upgraded.try_send((hyper::upgrade::on(&mut request), category));
                switching(accept)
            }
            Err(status) => plain(status, ""),
        };
    }
    if request.method() != Method::GET {
        return plain(StatusCode::METHOD_NOT_ALLOWED, "");
    }
    let uri = request.uri();
    let (path, query) = (uri.path(), uri.query().unwrap_or(""));
    let (status, body) = shared.with_venue(|venue, _| bybit::answer(venue, path, query, clock::now()));
    plain(StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &body)
}

/// Which product a websocket handshake is for, and the key that accepts it; or the status that refuses it.
fn handshake(request: &Request<Incoming>, shared: &Shared) -> Result<(Category, HeaderValue), StatusCode> {
    if let Some(status) = lock(&shared.doorman).refuses() {
        return Err(StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE));
    }
    let name = request.uri().path().strip_prefix("/v5/public/");
    let category = name.and_then(Category::parse).ok_or(StatusCode::NOT_FOUND)?;
    let key = request.headers().get(SEC_WEBSOCKET_KEY).ok_or(StatusCode::BAD_REQUEST)?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| StatusCode::BAD_REQUEST)?;
    Ok((category, accept))
}

fn switching(accept: HeaderValue) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn plain(status: StatusCode, body: &str) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(Bytes::copy_from_slice(body.as_bytes())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    response
}
