//! Accepting: one task per endpoint that owns the tasks of its connections, so that ending it ends them all.

use std::future::Future;
use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

use super::bind::{BindError, Listener};
use super::connection::Connection;
use super::crowds::Crowds;
use super::faults::{Fault, FaultLog};

/// How long accepting pauses when the process is out of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What all connections of one server share: counters, places, and the signal to finish.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) faults: FaultLog,
    pub(super) accepted: AtomicU64,
    /// Connections per endpoint, with those in the handshake.
    pub(super) most: usize,
    crowds: Option<Crowds>,
    draining: watch::Sender<bool>,
}

impl Door {
    /// Lets in `most` connections an endpoint, and `most_per_address` from one address if that is limited.
    pub(super) fn new(most: usize, most_per_address: Option<usize>) -> Self {
        Self {
            faults: FaultLog::default(),
            accepted: AtomicU64::new(0),
            most,
            crowds: most_per_address.map(Crowds::new),
            draining: watch::Sender::new(false),
        }
    }

    pub(super) fn draining(&self) -> Draining {
        Draining(self.draining.subscribe())
    }
}

/// The signal to finish what is queued or being answered, and then to end.
pub(super) struct Draining(watch::Receiver<bool>);

impl Draining {
    pub(super) fn has_begun(&self) -> bool {
        *self.0.borrow()
    }

    /// Waits for the signal.
    pub(super) async fn begun(&mut self) {
        // An error would mean that the server is gone, which is a signal too.
        drop(self.0.wait_for(|&draining| draining).await);
    }
}

/// The accepting tasks of one server. Dropping it closes all sockets at once.
#[derive(Debug)]
pub(super) struct Listeners {
    door: Arc<Door>,
    endpoints: Vec<String>,
    tasks: Mutex<Vec<JoinHandle<()>>>,
}

impl Listeners {
    /// Binds all endpoints, or none; then accepts, and runs `serve` for each connection and the number of its endpoint.
    pub(super) async fn start<S, F>(endpoints: &[String], door: Arc<Door>, serve: S) -> Result<Self, BindError>
    where
        S: Fn(Connection, usize) -> F + Clone + Send + 'static,
        F: Future<Output = Result<(), Fault>> + Send + 'static,
    {
        let mut bound = Vec::new();
        let mut actual = Vec::new();
        for endpoint in endpoints {
            let listener = Listener::bind(endpoint).await?;
            let refused = |source| BindError::Refused { endpoint: endpoint.clone(), source };
            actual.push(listener.endpoint().map_err(refused)?);
            bound.push(listener);
        }
        let tasks = bound.into_iter().enumerate().map(|(number, listener)| {
            let serve = serve.clone();
            let serve = move |connection| serve(connection, number);
            tokio::spawn(accept(listener, Arc::clone(&door), serve))
        });
        let tasks = Mutex::new(tasks.collect());
        Ok(Self { door, endpoints: actual, tasks })
    }

    /// The endpoints with their actual ports.
    pub(super) fn endpoints(&self) -> &[String] {
        &self.endpoints
    }

    /// Stops accepting at once, lets connections finish until the deadline, then closes those that are left.
    pub(super) async fn close(&self, deadline: Duration) {
        let until = Instant::now() + deadline;
        self.door.draining.send_replace(true);
        for mut task in self.take_tasks() {
            if timeout_at(until, &mut task).await.is_err() {
                task.abort();
            }
        }
    }

    fn take_tasks(&self) -> Vec<JoinHandle<()>> {
        std::mem::take(&mut *self.tasks.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Listeners {
    fn drop(&mut self) {
        self.take_tasks().iter().for_each(JoinHandle::abort);
    }
}

async fn accept<S, F>(listener: Listener, door: Arc<Door>, serve: S)
where
    S: Fn(Connection) -> F,
    F: Future<Output = Result<(), Fault>> + Send + 'static,
{
    let mut connections = JoinSet::new();
    let mut draining = door.draining();
    loop {
        tokio::select! {
            () = draining.begun() => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok(connection) => admit(connection, &door, &serve, &mut connections),
                Err(error) => accept_failed(error, &door, &listener).await,
            },
        }
    }
    drop(listener);
    while connections.join_next().await.is_some() {}
}

fn admit<S, F>(connection: Connection, door: &Arc<Door>, serve: &S, connections: &mut JoinSet<()>)
where
    S: Fn(Connection) -> F,
    F: Future<Output = Result<(), Fault>> + Send + 'static,
{
    while connections.try_join_next().is_some() {}
    let peer = connection.peer();
    if connections.len() >= door.most {
        door.faults.record(&Fault::Full(door.most), &peer);
        return;
    }
    let place = match (&door.crowds, peer.address()) {
        (Some(crowds), Some(address)) => match crowds.enter(address) {
            Some(place) => Some(place),
            None => return door.faults.record(&Fault::Crowd(crowds.most), &peer),
        },
        _ => None,
    };
    door.accepted.fetch_add(1, Ordering::Relaxed);
    tracing::debug!(%peer, "bus peer accepted");
    let serving = serve(connection);
    let door = Arc::clone(door);
    connections.spawn(async move {
        if let Err(fault) = serving.await {
            door.faults.record(&fault, &peer);
        }
        drop(place);
    });
}

async fn accept_failed(error: io::Error, door: &Door, listener: &Listener) {
    // The peer left before it was accepted: there is no reason to wait.
    let harmless = matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset);
    door.faults.record(&Fault::Accept(error), &listener.endpoint().unwrap_or_default());
    if !harmless {
        sleep(ACCEPT_PAUSE).await;
    }
}
