//! A copy of everything that goes over a feed's connection, for the recorder. Never slows the feed: what does not fit
//! is dropped and counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use bytes::Bytes;
use tokio::sync::mpsc;

use crate::model::UnixNanos;

/// Messages that may wait for the recorder.
const QUEUE_MESSAGES: usize = 65_536;
/// Bytes that may wait for the recorder.
const QUEUE_BYTES: usize = 64 * 1024 * 1024;

/// What a line of a capture is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A connection was opened.
    Connect,
    /// A text sent to the venue.
    Send,
    /// A text message from the venue.
    Ws,
    /// A binary message from the venue.
    Binary,
    /// The body of a REST answer.
    Rest,
}

impl Kind {
    /// The word used in captures.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Connect => "connect",
            Self::Send => "send",
            Self::Ws => "ws",
            Self::Binary => "ws-binary",
            Self::Rest => "rest",
        }
    }

    /// The kind that captures call so.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Connect, Self::Send, Self::Ws, Self::Binary, Self::Rest].into_iter().find(|kind| kind.as_str() == word)
    }
}

/// One thing that went over a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tapped {
    /// The feed's name in the config.
    pub feed: Arc<str>,
    /// When it was read or sent.
    pub at: UnixNanos,
    /// What it is.
    pub kind: Kind,
    /// Where to or from, for connects and REST answers.
    pub url: Option<Arc<str>>,
    /// The bytes; empty for connects.
    pub data: Bytes,
}

/// The feeds' end of the tap. Clones share one queue.
#[derive(Clone, Debug)]
pub struct Tap {
    sender: mpsc::Sender<Tapped>,
    shared: Arc<Shared>,
}

/// The recorder's end of the tap.
#[derive(Debug)]
pub struct TapReader {
    receiver: mpsc::Receiver<Tapped>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    dropped: AtomicU64,
    queued_bytes: AtomicUsize,
}

/// A tap and its reader.
pub fn tap() -> (Tap, TapReader) {
    let (sender, receiver) = mpsc::channel(QUEUE_MESSAGES);
    let shared = Arc::new(Shared::default());
    (Tap { sender, shared: Arc::clone(&shared) }, TapReader { receiver, shared })
}

impl Tap {
    /// Copies one thing into the queue, or drops and counts it.
    pub fn put(&self, mut tapped: Tapped) {
        let size = tapped.data.len();
        let queued = self.shared.queued_bytes.fetch_add(size, Ordering::Relaxed) + size;
        // A copy of its own: the message shares the socket's read buffer, which would live as long as the queue.
        let fits = queued <= QUEUE_BYTES && {
            tapped.data = Bytes::copy_from_slice(&tapped.data);
            self.sender.try_send(tapped).is_ok()
        };
        if !fits {
            self.shared.queued_bytes.fetch_sub(size, Ordering::Relaxed);
            self.shared.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many things were dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

impl TapReader {
    /// The next thing; `None` when all feeds have ended.
    pub async fn next(&mut self) -> Option<Tapped> {
        let tapped = self.receiver.recv().await?;
        self.shared.queued_bytes.fetch_sub(tapped.data.len(), Ordering::Relaxed);
        Some(tapped)
    }

    /// How many things were dropped since the start.
    pub fn dropped(&self) -> u64 {
        self.shared.dropped.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tapped(data: &[u8]) -> Tapped {
        Tapped { feed: "f".into(), at: UnixNanos(1), kind: Kind::Ws, url: None, data: Bytes::copy_from_slice(data) }
    }

    #[tokio::test]
    async fn keeps_order_and_counts_what_does_not_fit() {
        let (tap, mut reader) = tap();
        for _ in 0..QUEUE_MESSAGES + 5 {
            tap.put(tapped(b"x"));
        }
        assert_eq!(tap.dropped(), 5);
        assert_eq!(reader.next().await, Some(tapped(b"x")));
        tap.put(tapped(b"y"));
        assert_eq!(tap.dropped(), 5, "there is room again");
        drop(tap);
        let mut last = None;
        while let Some(next) = reader.next().await {
            last = Some(next);
        }
        assert_eq!(last, Some(tapped(b"y")));
        assert_eq!(reader.shared.queued_bytes.load(Ordering::Relaxed), 0);
    }

    #[tokio::test]
    async fn is_bounded_in_bytes() {
        let (tap, mut reader) = tap();
        let big = vec![0; QUEUE_BYTES / 2 + 1];
        tap.put(tapped(&big));
        tap.put(tapped(&big));
        assert_eq!(reader.dropped(), 1);
        assert!(reader.next().await.is_some());
        tap.put(tapped(&big));
        assert_eq!(reader.dropped(), 1);
    }

    #[test]
    fn kinds_have_words() {
        for kind in [Kind::Connect, Kind::Send, Kind::Ws, Kind::Rest] {
            assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        }
        assert_eq!(Kind::parse("WS"), None);
    }
}
