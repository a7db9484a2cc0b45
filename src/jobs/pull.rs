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
    waiting: Mutex<Waiting>,
    /// Counts those that wait, without taking part.
    count: mpsc::WeakSender<Item>,
}

struct Waiting {
    receiver: mpsc::Receiver<Item>,
    /// One that somebody had no room for.
    first: Option<Item>,
}

/// What there was to take.
pub(super) enum Taken {
    /// A result.
    Result(Bytes),
    /// One that is larger than the room for it; it stays.
    TooLarge,
    /// Nothing, so far.
    Nothing,
}

impl Taken {
    /// The result, if there was one that fits.
    pub(super) fn result(self) -> Option<Bytes> {
        match self {
            Self::Result(result) => Some(result),
            Self::TooLarge | Self::Nothing => None,
        }
    }
}

impl Waiting {
    fn take(&mut self, room: usize) -> Taken {
        match self.first.take_if(|(payload, _)| payload.len() <= room) {
            Some((payload, _)) => Taken::Result(payload),
            None if self.first.is_some() => Taken::TooLarge,
            None => Taken::Nothing,
        }
    }
}

/// Both ends.
pub(super) fn pull(numbered: Numbered) -> (Offered, Pulled) {
    let (sender, receiver) = mpsc::channel(RESULTS);
    let pulled = Pulled { waiting: Mutex::new(Waiting { receiver, first: None }), count: sender.downgrade() };
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
    /// The next result, if there is one, and room for it.
    pub(super) async fn now(&self, room: usize) -> Taken {
        let mut waiting = self.waiting.lock().await;
        if waiting.first.is_none() {
            waiting.first = waiting.receiver.try_recv().ok();
        }
        waiting.take(room)
    }

    /// The next result, once there is one; nothing when the job has ended and there is none.
    pub(super) async fn next(&self, room: usize) -> Taken {
        let mut waiting = self.waiting.lock().await;
        if waiting.first.is_none() {
            waiting.first = waiting.receiver.recv().await;
        }
        waiting.take(room)
    }

    /// How many wait; while somebody takes one, and after the job's end, it may be some others.
    pub(super) fn len(&self) -> usize {
        match self.waiting.try_lock() {
            Ok(waiting) => waiting.receiver.len() + usize::from(waiting.first.is_some()),
            Err(_) => self.count.upgrade().map_or(0, |sender| sender.max_capacity() - sender.capacity()),
        }
    }
}
