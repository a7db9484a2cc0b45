//! The sockets in front of the simulated terminal, and the life of its script: it starts, ends, and comes back on the
//! same ports.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use super::fault::FaultKind;
use super::publisher::Publisher;
use super::terminal::{End, Event, Settings, Terminal};
use super::{TrueBar, TrueBook, TrueTrade, rep};
use crate::bus::BindError;
use crate::clock;
use crate::zmtp::ServerSecurity;

/// Connections at a time, over all endpoints.
const MOST_CONNECTIONS: usize = 1_000;
/// How often a port that another took meanwhile is tried again.
const BIND_AGAIN: Duration = Duration::from_millis(50);
/// How long the last events may take to be sent.
const FAREWELL: Duration = Duration::from_millis(500);
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Where and how the terminal's script listens.
#[derive(Clone, Debug)]
pub struct Options {
    /// `host:port` of the RPC endpoint; port 0 takes a free one.
    pub listen: String,
    /// `host:port` of a second RPC endpoint of the same script, if there is one.
    pub data: Option<String>,
    /// `host:port` of the events endpoint, if there is one.
    pub events: Option<String>,
    /// What clients of all endpoints must show.
    pub security: ServerSecurity,
    /// How long after its sockets the script says `PublisherOnline` and begins to answer.
    pub online_after: Duration,
    /// Events queued for a subscriber. libzmq's own limit is 1,000; then the newest are dropped without a word.
    pub events_queue: usize,
    /// The terminal itself.
    pub settings: Settings,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            listen: "127.0.0.1:0".to_owned(),
            data: None,
            events: Some("127.0.0.1:0".to_owned()),
            security: ServerSecurity::Null,
            online_after: Duration::from_millis(250),
            events_queue: 100_000,
            settings: Settings::default(),
        }
    }
}

/// The terminal, and whether its script is running.
struct Stage {
    terminal: Terminal,
    running: bool,
    ending: Option<End>,
}

/// What all connections share.
pub(super) struct Shared {
    pub(super) security: ServerSecurity,
    stage: Mutex<Stage>,
    /// The one thread of the Lua server: calls of all endpoints wait for it, first come first served.
    lua: tokio::sync::Mutex<()>,
    publisher: Arc<Publisher>,
    ended: Notify,
}

impl Shared {
    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Works with the terminal; what it has to say goes out before anybody else works with it.
    fn with_terminal<R>(&self, work: impl FnOnce(&mut Terminal) -> R) -> R {
        let mut stage = self.stage();
        let result = work(&mut stage.terminal);
        let events = stage.terminal.take_events();
        if stage.running {
            self.publisher.publish(events);
        }
        result
    }

    /// Executes the frames of one message, one after the other; the last one's answer.
    pub(super) async fn execute(&self, frames: &[Bytes]) -> Option<Bytes> {
        let _turn = self.lua.lock().await;
        let mut reply = None;
        for frame in frames {
            if !self.stage().running {
                return None;
            }
            let answered = self.with_terminal(|terminal| terminal.answer(frame, clock::now()));
            if !answered.busy.is_zero() {
                sleep(answered.busy).await;
            }
            if let Some(end) = answered.end {
                self.end_script(end);
                return None;
            }
            reply = answered.reply.map(Bytes::from);
        }
        reply
    }

    fn end_script(&self, end: End) {
        let mut stage = self.stage();
        if !stage.running {
            return;
        }
        if end.said {
            stage.terminal.stop_script(1);
            let events = stage.terminal.take_events();
            self.publisher.publish(events);
        }
        stage.running = false;
        stage.ending = Some(end);
        self.ended.notify_one();
    }
}

/// The truth behind a server, and the hands of whoever plays with it.
#[derive(Clone)]
pub struct Truth(Arc<Shared>);

impl Truth {
    /// The book of a security now (see [`Terminal::book`]).
    pub fn book(&self, class: &str, code: &str) -> Option<TrueBook> {
        self.0.stage().terminal.book(class, code)
    }

    /// The day's trades of a security so far.
    pub fn trades(&self, class: &str, code: &str) -> Vec<TrueTrade> {
        self.0.stage().terminal.trades(class, code)
    }

    /// All bars of a security and interval (`INTERVAL_M1`), oldest first.
    pub fn bars(&self, class: &str, code: &str, interval: &str) -> Option<Vec<TrueBar>> {
        self.0.stage().terminal.bars(class, code, interval, clock::now())
    }

    /// `param_value` and `param_image` of a parameter now; `None` where it is unknown or not applicable.
    pub fn param(&self, class: &str, code: &str, name: &str) -> Option<(String, String)> {
        self.0.stage().terminal.param_texts(class, code, name, clock::now())
    }

    /// Calls so far of a method.
    pub fn calls(&self, method: &str) -> u64 {
        self.0.stage().terminal.calls().get(method).copied().unwrap_or(0)
    }

    /// Calls so far of all methods.
    pub fn all_calls(&self) -> u64 {
        self.0.stage().terminal.calls().values().sum()
    }

    /// Datasources that are open, as `CLASS CODE INTERVAL`.
    pub fn open_datasources(&self) -> Vec<String> {
        self.0.stage().terminal.open_datasources()
    }

    /// Parameters ordered by `ParamRequest` and not given back, as `CLASS CODE NAME`.
    pub fn param_requests(&self) -> Vec<String> {
        self.0.stage().terminal.param_requests()
    }

    /// Level II subscriptions, as `CLASS CODE`.
    pub fn level_ii(&self) -> Vec<String> {
        self.0.stage().terminal.level_ii()
    }

    /// Whether the terminal is connected to its broker.
    pub fn is_connected(&self) -> bool {
        self.0.stage().terminal.is_connected()
    }

    /// How many scripts have been started; 0 before the first one is online.
    pub fn runs(&self) -> u64 {
        self.0.stage().terminal.runs()
    }

    /// Connected subscribers that subscribed to something.
    pub fn subscribers(&self) -> usize {
        self.0.publisher.subscribers()
    }

    /// Events that found a subscriber's queue full.
    pub fn dropped_events(&self) -> u64 {
        self.0.publisher.dropped()
    }

    /// Makes this many market moves now.
    pub fn step(&self, moves: usize) {
        self.0.with_terminal(|terminal| terminal.step(moves, clock::now()));
    }

    /// Publishes an event as it is given.
    pub fn publish(&self, name: &str, payload: Option<&str>) {
        let event = Event { name: name.to_owned(), payload: payload.map(|text| text.as_bytes().to_vec()) };
        self.0.with_terminal(|terminal| terminal.publish(event));
    }

    /// Lets a fault happen now.
    pub fn inject(&self, fault: FaultKind) {
        let end = self.0.with_terminal(|terminal| terminal.inject(fault, clock::now()));
        if let Some(end) = end {
            self.0.end_script(end);
        }
    }
}

struct Endpoint {
    listener: Option<TcpListener>,
    address: SocketAddr,
    events: bool,
}

/// A bound server that does not run yet.
pub struct Server {
    shared: Arc<Shared>,
    endpoints: Vec<Endpoint>,
    online_after: Duration,
}

/// A server running in the background; it ends at once when this is dropped.
pub struct Running {
    truth: Truth,
    rpc: SocketAddr,
    data: Option<SocketAddr>,
    events: Option<SocketAddr>,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

async fn bind(address: &str, events: bool) -> Result<Endpoint, BindError> {
    let refused = |source| BindError::Refused { endpoint: address.to_owned(), source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let address = listener.local_addr().map_err(refused)?;
    Ok(Endpoint { listener: Some(listener), address, events })
}

impl Server {
    /// Binds the endpoints and sets the terminal up.
    ///
    /// # Errors
    /// [`BindError::Refused`] names the address that cannot be bound.
    pub async fn bind(options: Options) -> Result<Self, BindError> {
        let mut endpoints = vec![bind(&options.listen, false).await?];
        if let Some(data) = &options.data {
            endpoints.push(bind(data, false).await?);
        }
        if let Some(events) = &options.events {
            endpoints.push(bind(events, true).await?);
        }
        let terminal = Terminal::new(options.settings, clock::now());
        let shared = Shared {
            security: options.security,
            stage: Mutex::new(Stage { terminal, running: false, ending: None }),
            lua: tokio::sync::Mutex::new(()),
            publisher: Arc::new(Publisher::new(options.events_queue)),
            ended: Notify::new(),
        };
        Ok(Self { shared: Arc::new(shared), endpoints, online_after: options.online_after })
    }

    /// Where the RPC endpoint listens.
    pub fn rpc(&self) -> SocketAddr {
        self.endpoints[0].address
    }

    /// Where the second RPC endpoint listens.
    pub fn data(&self) -> Option<SocketAddr> {
        self.endpoints.iter().skip(1).find(|endpoint| !endpoint.events).map(|endpoint| endpoint.address)
    }

    /// Where the events endpoint listens.
    pub fn events(&self) -> Option<SocketAddr> {
        self.endpoints.iter().find(|endpoint| endpoint.events).map(|endpoint| endpoint.address)
    }

    /// The truth behind it.
    pub fn truth(&self) -> Truth {
        Truth(Arc::clone(&self.shared))
    }

    /// Serves until `shutdown` is done; then the terminal is closed, and says so.
    pub async fn run(self, shutdown: impl Future<Output = ()>) {
        let shared = Arc::clone(&self.shared);
        let mut scripts = JoinSet::new();
        tokio::select! {
            () = shutdown => {}
            () = tick(&shared) => {}
            () = self.live(&mut scripts) => {}
        }
        shared.with_terminal(|terminal| terminal.stop_script(2));
        farewell(&shared).await;
        let stage = shared.stage();
        tracing::info!(
            calls = stage.terminal.calls().values().sum::<u64>(),
            datasources = stage.terminal.open_datasources().len(),
            param_requests = stage.terminal.param_requests().len(),
            level_ii = stage.terminal.level_ii().len(),
            dropped_events = shared.publisher.dropped(),
            "simulated terminal closed; what its script still held"
        );
    }

    /// Serves in the background.
    pub fn start(self) -> Running {
        let (truth, rpc, data, events) = (self.truth(), self.rpc(), self.data(), self.events());
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // Dropped without a word: the task is aborted anyway.
            drop(stopped.await);
        };
        Running { truth, rpc, data, events, stop: Some(stop), task: tokio::spawn(self.run(shutdown)) }
    }

    /// One script after the other. Connections are in `scripts`, and end with it.
    async fn live(mut self, scripts: &mut JoinSet<()>) {
        loop {
            // Requests that come before the script serves them wait.
            let turn = self.shared.lua.lock().await;
            for endpoint in &mut self.endpoints {
                let listener = match endpoint.listener.take() {
                    Some(listener) => listener,
                    None => bind_again(endpoint.address).await,
                };
                scripts.spawn(accept(listener, endpoint.events, Arc::clone(&self.shared)));
            }
            sleep(self.online_after).await;
            self.shared.stage().running = true;
            self.shared.with_terminal(Terminal::start_script);
            tracing::info!(rpc = %self.endpoints[0].address, "simulated script online");
            drop(turn);
            self.shared.ended.notified().await;
            let Some(end) = self.shared.stage().ending.take() else { continue };
            if end.said {
                farewell(&self.shared).await;
            }
            tracing::info!(down = ?end.down, "simulated script ended");
            scripts.shutdown().await;
            sleep(end.down).await;
        }
    }
}

async fn bind_again(address: SocketAddr) -> TcpListener {
    let mut told = false;
    loop {
        match TcpListener::bind(address).await {
            Ok(listener) => return listener,
            Err(error) if !told => {
                told = true;
                tracing::warn!(%address, %error, "port is taken; trying again");
            }
            Err(_) => {}
        }
        sleep(BIND_AGAIN).await;
    }
}

async fn accept(listener: TcpListener, events: bool, shared: Arc<Shared>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((_, peer)) if connections.len() >= MOST_CONNECTIONS => {
                tracing::warn!(%peer, limit = MOST_CONNECTIONS, "connection refused: too many");
            }
            Ok((stream, _)) => drop(connections.spawn(serve(stream, events, Arc::clone(&shared)))),
            Err(error) => {
                tracing::warn!(%error, "accept failed");
                // Out of file descriptors, usually: let some connection end first.
                sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, events: bool, shared: Arc<Shared>) {
    if events {
        Arc::clone(&shared.publisher).serve(stream, &shared.security).await;
    } else {
        rep::serve(stream, shared).await;
    }
}

async fn tick(shared: &Shared) {
    loop {
        let due = shared.with_terminal(|terminal| {
            let now = clock::now();
            terminal.tick(now);
            terminal.next_due(now.mono)
        });
        let soonest = clock::now().mono.after(Duration::from_millis(1));
        tokio::time::sleep_until(clock::instant_of(due.max(soonest))).await;
    }
}

/// Waits until what was published is sent, but not for ever.
async fn farewell(shared: &Shared) {
    let sent = async {
        while !shared.publisher.is_idle() {
            sleep(LOOK_EVERY).await;
        }
        // The last of it is in the socket's buffer now; a moment for the kernel.
        sleep(LOOK_EVERY).await;
    };
    // Whoever does not read it by then misses it, as with a real terminal.
    drop(tokio::time::timeout(FAREWELL, sent).await);
}

impl Running {
    /// The truth behind it.
    pub const fn truth(&self) -> &Truth {
        &self.truth
    }

    /// `tcp://…` of the RPC endpoint.
    pub fn rpc(&self) -> String {
        format!("tcp://{}", self.rpc)
    }

    /// `tcp://…` of the second RPC endpoint.
    pub fn data(&self) -> Option<String> {
        self.data.map(|address| format!("tcp://{address}"))
    }

    /// `tcp://…` of the events endpoint; empty without one.
    pub fn events(&self) -> String {
        self.events.map(|address| format!("tcp://{address}")).unwrap_or_default()
    }

    /// Closes the terminal in order, and frees the ports.
    pub async fn stop(mut self) {
        if let Some(stop) = self.stop.take() {
            // The task may have ended already.
            let _ = stop.send(());
        }
        if let Err(error) = (&mut self.task).await {
            tracing::error!(%error, "simulated terminal failed");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}
