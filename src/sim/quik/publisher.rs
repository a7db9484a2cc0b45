//! The terminal's events endpoint: a PUB socket. What does not fit a subscriber's queue is dropped without a word, the
//! newest first, as libzmq does at its high-water mark.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::Notify;

use super::terminal::Event;
use super::wire::{Received, greet};
use crate::zmtp::{Role, ServerSecurity};

/// Prefixes of one subscriber at most.
const MOST_PREFIXES: usize = 10_000;
/// Events written to the socket at once.
const BATCH: usize = 512;

/// An event as it is sent: its name, and its payload if it has one.
type Message = Vec<Bytes>;

struct Subscriber {
    prefixes: Vec<Bytes>,
    queue: VecDeque<Message>,
    wake: Arc<Notify>,
}

/// See the module.
pub(super) struct Publisher {
    subscribers: Mutex<Vec<Arc<Mutex<Subscriber>>>>,
    queue: usize,
    dropped: AtomicU64,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Publisher {
    /// A publisher that queues up to `queue` events for each subscriber.
    pub(super) fn new(queue: usize) -> Self {
        Self { subscribers: Mutex::new(Vec::new()), queue, dropped: AtomicU64::new(0) }
    }

    /// Events that found a queue full.
    pub(super) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    /// Subscribers that are connected and subscribed to something.
    pub(super) fn subscribers(&self) -> usize {
        lock(&self.subscribers).iter().filter(|subscriber| !lock(subscriber).prefixes.is_empty()).count()
    }

    /// Whether anything waits to be sent.
    pub(super) fn is_idle(&self) -> bool {
        lock(&self.subscribers).iter().all(|subscriber| lock(subscriber).queue.is_empty())
    }

    /// Sends events to whoever subscribed to them.
    pub(super) fn publish(&self, events: Vec<Event>) {
        if events.is_empty() {
            return;
        }
        let message = |event: Event| {
            let mut parts = vec![Bytes::from(event.name)];
            parts.extend(event.payload.map(Bytes::from));
            parts
        };
        let messages: Vec<Message> = events.into_iter().map(message).collect();
        for subscriber in lock(&self.subscribers).iter() {
            let mut subscriber = lock(subscriber);
            let Subscriber { prefixes, queue, wake } = &mut *subscriber;
            for message in &messages {
                if !prefixes.iter().any(|prefix| message[0].starts_with(prefix)) {
                    continue;
                }
                if queue.len() < self.queue {
                    queue.push_back(message.clone());
                } else {
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
            wake.notify_one();
        }
    }

    /// Serves one subscriber until it leaves.
    pub(super) async fn serve(self: Arc<Self>, stream: TcpStream, security: &ServerSecurity) {
        let Some((mut reader, writer)) = greet(stream, Role::PUBLISHER, security).await else { return };
        let wake = Arc::new(Notify::new());
        let (prefixes, queue) = (Vec::new(), VecDeque::new());
        let place = Arc::new(Mutex::new(Subscriber { prefixes, queue, wake: Arc::clone(&wake) }));
        lock(&self.subscribers).push(Arc::clone(&place));
        let reading = async {
            while let Some(received) = reader.next().await {
                let prefixes = &mut lock(&place).prefixes;
                match received.of_subscriber() {
                    Some(Received::Subscribe(prefix)) if prefixes.len() < MOST_PREFIXES => prefixes.push(prefix),
                    Some(Received::Cancel(prefix)) => {
                        if let Some(at) = prefixes.iter().position(|known| *known == prefix) {
                            prefixes.swap_remove(at);
                        }
                    }
                    _ => {}
                }
            }
        };
        let writing = async {
            loop {
                wake.notified().await;
                loop {
                    let batch: Vec<Message> = {
                        let queue = &mut lock(&place).queue;
                        let count = queue.len().min(BATCH);
                        queue.drain(..count).collect()
                    };
                    if batch.is_empty() {
                        break;
                    }
                    let mut writer = writer.lock().await;
                    batch.iter().for_each(|message| writer.put(message));
                    writer.flush().await;
                }
            }
        };
        tokio::select! {
            () = reading => {}
            () = writing => {}
        }
        lock(&self.subscribers).retain(|other| !Arc::ptr_eq(other, &place));
    }
}
