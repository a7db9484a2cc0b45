//! Results that somebody takes one by one: few wait, and the job waits with them.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{Mutex, OwnedSemaphorePermit, Semaphore, mpsc};

use super::bus::Numbered;
use super::frames::Beside;
use super::result::TaskResult;
use super::run::{Boxed, Sink};
use crate::frame::Encoding;

/// Results that may wait to be taken, and kibibytes of them; one alone may be larger.
const RESULTS: usize = 64;
const KIBIBYTES: u32 = 64 * 1024;

/// A result, and the room that it takes.
type Item = (Bytes, OwnedSemaphorePermit);

/// Where the job puts its results.
pub(super) struct Offered {
    numbered: Numbered,
    room: Arc<Semaphore>,
    sender: mpsc::Sender<Item>,
}

/// Where they are taken.
pub(super) struct Pulled {
    waiting: Mutex<mpsc::Receiver<Item>>,
    /// Counts those that wait, without taking part.
    count: mpsc::WeakSender<Item>,
}

/// Both ends.
pub(super) fn pull(numbered: Numbered) -> (Offered, Pulled) {
    let (sender, receiver) = mpsc::channel(RESULTS);
    let pulled = Pulled { waiting: Mutex::new(receiver), count: sender.downgrade() };
    (Offered { numbered, room: Arc::new(Semaphore::new(KIBIBYTES as usize)), sender }, pulled)
}

impl Sink for Offered {
    fn take<'a>(&'a self, result: TaskResult) -> Boxed<'a, ()> {
        Box::pin(async move {
            let payload = self.numbered.frame(Encoding::Json, &result, &Beside::default()).payload;
            let size = u32::try_from(payload.len() / 1024 + 1).unwrap_or(KIBIBYTES).min(KIBIBYTES);
            // Neither is ever closed while the job runs.
            let Ok(room) = Arc::clone(&self.room).acquire_many_owned(size).await else { return };
            drop(self.sender.send((payload, room)).await);
        })
    }
}

impl Pulled {
    /// The next result, if there is one.
    pub(super) async fn now(&self) -> Option<Bytes> {
        self.waiting.lock().await.try_recv().ok().map(|(payload, _)| payload)
    }

    /// The next result, once there is one; `None` when the job has ended and there is none.
    pub(super) async fn next(&self) -> Option<Bytes> {
        self.waiting.lock().await.recv().await.map(|(payload, _)| payload)
    }

    /// How many wait; while somebody takes one, and after the job's end, it may be some others.
    pub(super) fn len(&self) -> usize {
        match self.waiting.try_lock() {
            Ok(waiting) => waiting.len(),
            Err(_) => self.count.upgrade().map_or(0, |sender| sender.max_capacity() - sender.capacity()),
        }
    }
}
