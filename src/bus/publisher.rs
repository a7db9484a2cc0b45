//! The publishing side of the bus: any number of SUB sockets, in any language, on our own ZMTP server.

use std::cmp::Reverse;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::yield_now;

use super::bind::BindError;
use super::heartbeat::HeartbeatOptions;
use super::hub::{Hub, HubLimits};
use super::listener::{Door, Listeners};
use super::local::{LocalOptions, LocalSubscriber};
use super::queue::{Policy, QueueLimits, SlowLimits};
use super::stats::{BusStats, SubscriberStats};
use super::topics::SubscribeError;
use super::{Frame, Outgoing, subscriber};
use crate::clock;
use crate::frame::{Encoding, MOST_TOPICS};
use crate::zmtp::ServerSecurity;

/// Topics in the heartbeats of one round, over all subscribers: what bounds their cost to some 25 ms of CPU.
const HEARTBEAT_TOPICS: usize = 100_000;
/// Topics in one heartbeat, however many subscribers there are.
const LEAST_TOPICS: usize = 16;

/// How to publish. The default has no endpoint.
#[derive(Clone, Debug)]
pub struct PublisherOptions {
    /// Where to listen: `tcp://127.0.0.1:5555`, `tcp://[::1]:5555`, `tcp://*:5555`, `ipc:///path`. Port 0 takes a free one.
    pub endpoints: Vec<String>,
    /// How notices are encoded, and the run they are of.
    pub encoding: Encoding,
    /// Milliseconds since 1970 of the run's start.
    pub epoch: u64,
    /// What happens to a frame that finds no room in its queue (conflation).
    pub policy: Policy,
    /// The same, for endpoints (spelled as above) that differ.
    pub policy_of: HashMap<String, Policy>,
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
    /// Topics whose last frame is kept for joiners, and whose `seq` is told in heartbeats (100 000).
    pub max_topics: usize,
    /// Connections at a time from one address (any number).
    pub max_per_address: Option<usize>,
    /// Time for a peer's handshake (5 s).
    pub handshake: Duration,
    /// A subscriber whose queue is full beyond these is disconnected (30 s, any number of frames).
    pub slow: SlowLimits,
    /// Heartbeats towards peers of ZMTP 3.1.
    pub heartbeat: HeartbeatOptions,
    /// What peers must show (nothing).
    pub security: ServerSecurity,
}

impl Default for PublisherOptions {
    fn default() -> Self {
        Self {
            endpoints: Vec::new(),
            encoding: Encoding::Json,
            epoch: 0,
            policy: Policy::Conflate,
            policy_of: HashMap::new(),
            queue_frames: 10_000,
            queue_bytes: 64 << 20,
            max_subscribers: 1000,
            max_subscriptions: 20_000,
            max_frame: 64 << 10,
            max_topics: 100_000,
            max_per_address: None,
            handshake: Duration::from_secs(5),
            slow: SlowLimits { time: Some(Duration::from_secs(30)), drops: None },
            heartbeat: HeartbeatOptions::default(),
            security: ServerSecurity::Null,
        }
    }
}

/// What the connections share.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) options: PublisherOptions,
    pub(super) door: Arc<Door>,
    pub(super) frames_sent: AtomicU64,
    pub(super) bytes_sent: AtomicU64,
    pub(super) notices: AtomicU64,
    hub: Mutex<Hub>,
}

impl Shared {
    pub(super) fn hub(&self) -> MutexGuard<'_, Hub> {
        self.hub.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The policy of the endpoint with this number.
    pub(super) fn policy_of(&self, endpoint: usize) -> Policy {
        let spelled = self.options.endpoints.get(endpoint);
        let own = spelled.and_then(|endpoint| self.options.policy_of.get(endpoint));
        own.copied().unwrap_or(self.options.policy)
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
            topics: options.max_topics,
            slow: options.slow,
        };
        // Peers that are still in the handshake are not subscribers yet, but they need bounds too.
        let door = Arc::new(Door::new(options.max_subscribers.saturating_mul(2), options.max_per_address));
        let endpoints = options.endpoints.clone();
        let shared = Arc::new(Shared {
            options,
            door: Arc::clone(&door),
            frames_sent: AtomicU64::new(0),
            bytes_sent: AtomicU64::new(0),
            notices: AtomicU64::new(0),
            hub: Mutex::new(Hub::new(limits)),
        });
        let serve = {
            let shared = Arc::clone(&shared);
            move |connection, endpoint| subscriber::serve(Arc::clone(&shared), connection, endpoint)
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
        let woken = self.shared.hub().publish(batch, clock::mono);
        woken.iter().for_each(|writer| writer.notify_one());
    }

    /// Subscribes to these prefixes from within this process.
    ///
    /// # Errors
    /// A prefix that is too long, or too many of them.
    pub fn subscribe_here(
        &self,
        prefixes: &[String],
        options: LocalOptions,
    ) -> Result<LocalSubscriber, SubscribeError> {
        LocalSubscriber::join(&self.shared, prefixes, options)
    }

    /// Sends each subscriber of `heartbeat.` a heartbeat of its own, which `encode` makes of some of its topics and their
    /// last `seq`. Each frame counted there is ahead of the heartbeat in the subscriber's queue, or lost.
    pub async fn beat(&self, encode: impl Fn(&[(Bytes, u64)]) -> Frame) {
        let mut listeners = self.shared.hub().listeners(b"heartbeat.");
        let most = (HEARTBEAT_TOPICS / listeners.len().max(1)).clamp(LEAST_TOPICS, MOST_TOPICS);
        let mut topics = Vec::new();
        for listener in &mut listeners {
            topics.clear();
            while !self.shared.hub().gather(listener, most, &mut topics) {
                yield_now().await;
            }
            let frame = encode(&topics);
            let now = clock::now().mono;
            let woken = self.shared.hub().send(listener, frame, now);
            if let Some(writer) = woken {
                writer.notify_one();
            }
            yield_now().await;
        }
    }

    /// Up to `most` subscribers: those that lost the most first, then those with the longest queues.
    pub fn subscribers(&self, most: usize) -> Vec<SubscriberStats> {
        let ids = self.shared.hub().ids();
        let mut all: Vec<_> = ids.into_iter().filter_map(|id| self.shared.hub().stats_of(id)).collect();
        all.sort_by_key(|stats| Reverse((stats.dropped, stats.conflated, stats.queued_frames)));
        all.truncate(most);
        all
    }

    /// The `seq` of a topic's last frame in this run; 0 if it had none, or is beyond the number of topics that are
    /// counted.
    pub fn last_seq(&self, topic: &Bytes) -> u64 {
        self.shared.hub().catalog.last_seq(topic)
    }

    /// The subscriber of this process with this name.
    pub fn subscriber_named(&self, name: &str) -> Option<SubscriberStats> {
        let hub = self.shared.hub();
        let id = hub.local_named(name)?;
        hub.stats_of(id)
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
            slow_disconnects: refused.slow + refused.no_room,
            not_kept_frames: counters.not_kept,
            notices: shared.notices.load(Ordering::Relaxed),
        }
    }

    /// Stops accepting, lets the queues drain until the deadline, then closes all sockets and removes socket files.
    pub async fn close(&self, deadline: Duration) {
        self.listeners.close(deadline).await;
    }
}
