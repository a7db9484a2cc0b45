//! The publishing side of the bus: any number of SUB sockets, in any language, on our own ZMTP server.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::bind::BindError;
use super::faults::Refused;
use super::heartbeat::HeartbeatOptions;
use super::hub::{Hub, HubLimits};
use super::listener::{Door, Listeners};
use super::queue::QueueLimits;
use super::{Outgoing, subscriber};
use crate::clock;
use crate::zmtp::ServerSecurity;

/// How to publish. The default has no endpoint.
#[derive(Clone, Debug)]
pub struct PublisherOptions {
    /// Where to listen: `tcp://127.0.0.1:5555`, `tcp://[::1]:5555`, `tcp://*:5555`, `ipc:///path`. Port 0 takes a free one.
    pub endpoints: Vec<String>,
    /// Frames queued per subscriber (10 000).
    pub queue_frames: usize,
    /// Bytes queued per subscriber (64 MiB). Queued bytes are shared between subscribers.
    pub queue_bytes: usize,
    /// Subscribers at a time (1000).
    pub max_subscribers: usize,
    /// Different prefixes per subscriber (20 000).
    pub max_subscriptions: usize,
    /// Bytes of a frame from a peer (64 KiB).
    pub max_frame: usize,
    /// Topics kept for joiners (100 000).
    pub max_kept_topics: usize,
    /// Time for a peer's handshake (5 s).
    pub handshake: Duration,
    /// A subscriber whose queue was full for this long, without once being half empty, is disconnected (30 s).
    pub slow_limit: Duration,
    /// Heartbeats towards peers of ZMTP 3.1.
    pub heartbeat: HeartbeatOptions,
    /// What peers must show (nothing).
    pub security: ServerSecurity,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            queue_frames: 10_000,
            queue_bytes: 64 << 20,
            max_subscribers: 1000,
            max_subscriptions: 20_000,
            max_frame: 64 << 10,
            max_kept_topics: 100_000,
            handshake: Duration::from_secs(5),
            slow_limit: Duration::from_secs(30),
            heartbeat: HeartbeatOptions::default(),
            security: ServerSecurity::Null,
        }
    }
}

/// Counters since the start, and what is connected now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BusStats {
    /// Subscribers connected now.
    pub subscribers: usize,
    /// Whether any of them subscribed to anything.
    pub anyone_subscribed: bool,
    /// Frames queued now, for all subscribers together.
    pub queued_frames: usize,
    /// Topics kept for joiners now.
    pub kept_topics: usize,
    /// Connections accepted.
    pub accepted: u64,
    /// Connections refused or ended by us, by reason.
    pub refused: Refused,
    /// Frames published, whether or not anyone was subscribed.
    pub frames_published: u64,
    /// Frames given to sockets, once per subscriber.
    pub frames_sent: u64,
    /// Bytes written to sockets.
    pub bytes_sent: u64,
    /// Frames dropped because a subscriber's queue was full.
    pub dropped_frames: u64,
    /// Frames that took the place of an older one in a full queue.
    pub conflated_frames: u64,
    /// Subscribers disconnected because their queue stayed full.
    pub slow_disconnects: u64,
    /// Frames not kept for joiners because too many topics are kept already.
    pub not_kept_frames: u64,
}

/// What the connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: PublisherOptions,
    pub(super) door: Arc<Door>,
    pub(super) frames_sent: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    hub: Mutex<Hub>,
}

impl Shared {
    pub(super) fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A handle for publishing; clones share the sockets. When the last one is dropped, they close at once.
#[derive(Clone, Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    listeners: Arc<Listeners>,
}

impl Publisher {
    /// Binds all endpoints, or none, and starts accepting on the current tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] names the endpoint, what is wrong with it and what to do.
    pub async fn bind(options: PublisherOptions) -> Result<Self, BindError> {
        let limits = HubLimits {
            queue: QueueLimits { frames: options.queue_frames, bytes: options.queue_bytes },
            subscribers: options.max_subscribers,
            subscriptions: options.max_subscriptions,
            kept_topics: options.max_kept_topics,
            slow: options.slow_limit,
        };
        // Peers that are still in the handshake are not subscribers yet, but they need bounds too.
        let door = Arc::new(Door::new(options.max_subscribers.saturating_mul(2)));
        let endpoints = options.endpoints.clone();
        let shared = Arc::new(Shared {
            options,
            door: Arc::clone(&door),
            frames_sent: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            hub: Mutex::new(Hub::new(limits)),
        });
        let serve = {
            let shared = Arc::clone(&shared);
            move |connection| subscriber::serve(Arc::clone(&shared), connection)
        };
        let listeners = Arc::new(Listeners::start(&endpoints, door, serve).await?);
        Ok(Self { shared, listeners })
    }

    /// The bound endpoints, with their actual ports.
    pub fn endpoints(&self) -> &[String] {
        self.listeners.endpoints()
    }

    /// Publishes the batch in order and empties it. Never waits for a peer: each subscriber has a bounded queue.
    pub fn publish(&self, batch: &mut Vec<Outgoing>) {
        if batch.is_empty() {
            return;
        }
        let now = clock::now().mono;
        let woken = self.shared.hub().publish(batch, now);
        woken.iter().for_each(|writer| writer.notify_one());
    }

    /// The topics whose current frame a joiner would get, in order.
    pub fn kept_topics(&self) -> Vec<String> {
        self.shared.hub().topics_kept().iter().map(|topic| String::from_utf8_lossy(topic).into_owned()).collect()
    }

    /// Counters and gauges.
    pub fn stats(&self) -> BusStats {
        let shared = &*self.shared;
        let refused = shared.door.faults.refused();
        let hub = shared.hub();
        let counters = hub.counters();
        BusStats {
            subscribers: hub.subscribers(),
            anyone_subscribed: hub.anyone_subscribed(),
            queued_frames: hub.queued(),
            kept_topics: hub.kept_topics(),
            accepted: shared.door.accepted.load(Ordering::Relaxed),
            refused,
            frames_published: counters.published,
            frames_sent: shared.frames_sent.load(Ordering::Relaxed),
            bytes_sent: shared.bytes_sent.load(Ordering::Relaxed),
            dropped_frames: counters.dropped,
            conflated_frames: counters.conflated,
            slow_disconnects: refused.slow,
            not_kept_frames: counters.not_kept,
        }
    }

    /// Stops accepting, lets the queues drain until the deadline, then closes all sockets and removes socket files.
    pub async fn close(&self, deadline: Duration) {
        self.listeners.close(deadline).await;
    }
}
