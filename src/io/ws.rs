//! An open websocket: reads bursts, sends without waiting, notices when it is dead, closes within a deadline.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, SinkExt, Stream, StreamExt};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::error::{CapacityError, ProtocolError};
use tokio_tungstenite::tungstenite::protocol::CloseFrame;
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::backoff::Failure;
use super::dial::Socket;
use super::watchdog::{Verdict, Watchdog};
use super::wire::Wire;
use crate::model::Mono;

/// Messages handed on as one burst at most: bounds how long commands and timers wait.
const BURST_MESSAGES: usize = 256;
/// Bytes handed on as one burst, not counting its last message: bounds memory.
const BURST_BYTES: usize = 1024 * 1024;

/// How long an open connection may do nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConnectionLimits {
    /// A ping is sent after so long without a byte.
    pub ping_after: Duration,
    /// The connection is given up after so long without a byte since the ping.
    pub dead_after: Duration,
    /// Longest time for bytes to leave.
    pub send: Duration,
    /// Longest time for the closing handshake. Under a second, so that a shutdown takes no more.
    pub close: Duration,
}

impl Default for ConnectionLimits {
    fn default() -> Self {
        Self {
            ping_after: Duration::from_secs(20),
            dead_after: Duration::from_secs(30),
            send: Duration::from_secs(5),
            close: Duration::from_millis(800),
        }
    }
}

/// A message of the venue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Received {
    Text(Utf8Bytes),
    Binary(Bytes),
}

impl Received {
    pub(crate) fn bytes(&self) -> Bytes {
        match self {
            Self::Text(text) => Bytes::from(text.clone()),
            Self::Binary(bytes) => bytes.clone(),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Binary(bytes) => bytes.len(),
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum End {
    /// The server sent a close frame.
    #[error("closed by the server with code {} {reason:?}", .code.map_or_else(|| "(none)".to_owned(), |code| code.to_string()))]
    Closed {
        /// Its close code, if it gave one.
        code: Option<u16>,
        /// Its words.
        reason: String,
    },
    /// The server hung up without a close frame.
    #[error("the server hung up without a close frame")]
    HungUp,
    /// A message larger than allowed.
    #[error("a message of {size} bytes is larger than the allowed {limit}")]
    TooBig {
        /// Its size, as far as known.
        size: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The server broke the websocket protocol.
    #[error("websocket protocol broken: {0}")]
    Protocol(String),
    /// The socket failed.
    #[error("connection lost: {0}")]
    Lost(String),
    /// Nothing came back after a ping.
    #[error("no byte read for {} s after a ping", .0.as_secs_f64())]
    Silent(Duration),
    /// The venue does not read what we send.
    #[error("the server takes nothing more from us")]
    SendStalled,
    /// The session asked for a new connection.
    #[error("{0}")]
    Asked(String),
}

impl End {
    /// What it means for the delay before the next attempt.
    pub const fn failure(&self) -> Failure {
        match self {
            Self::Closed { code: Some(1008), .. } => Failure::Policy,
            _ => Failure::Passing,
        }
    }

    /// The close code to leave with; `None` when the other end is gone or gave up on us.
    const fn goodbye(&self) -> Option<u16> {
        match self {
            Self::TooBig { .. } => Some(1009),
            Self::Protocol(_) => Some(1002),
            // Answers a close frame with its own code.
            Self::Closed { .. } | Self::Asked(_) => Some(1000),
            Self::HungUp | Self::Lost(_) | Self::Silent(_) | Self::SendStalled => None,
        }
    }
}

/// An open websocket.
pub(crate) struct Connection {
    stream: Socket,
    limits: ConnectionLimits,
    watchdog: Watchdog,
    /// Since when something waits to leave.
    sending_since: Option<Mono>,
}

impl Connection {
    pub(crate) const fn new(stream: Socket, limits: ConnectionLimits, now: Mono) -> Self {
        let watchdog = Watchdog::new(limits.ping_after, limits.dead_after, now);
        Self { stream, limits, watchdog, sending_since: None }
    }

    /// Waits for messages and takes all that are there, up to a bound; sends meanwhile what is to be sent. The burst
    /// stays empty if there were only pings and pongs. `Some` when the connection ended: what came before the end is in
    /// `burst` nevertheless.
    ///
    /// May be dropped and called again: nothing is lost.
    pub(crate) async fn read(&mut self, burst: &mut Vec<Received>) -> Option<End> {
        poll_fn(|cx| self.poll_burst(cx, burst)).await
    }

    fn poll_burst(&mut self, cx: &mut Context<'_>, burst: &mut Vec<Received>) -> Poll<Option<End>> {
        if self.sending_since.is_some() {
            match Pin::new(&mut *self.stream).poll_flush(cx) {
                Poll::Ready(Ok(())) => self.sending_since = None,
                // What the server said before, perhaps why, is still to be read.
                Poll::Ready(Err(_)) | Poll::Pending => {}
            }
        }
        let mut bytes = 0;
        for taken in 0..BURST_MESSAGES {
            let message = match Pin::new(&mut *self.stream).poll_next(cx) {
                Poll::Pending if taken == 0 => return Poll::Pending,
                Poll::Pending => break,
                Poll::Ready(None) => return Poll::Ready(Some(End::HungUp)),
                Poll::Ready(Some(Err(error))) => return Poll::Ready(Some(end_of(error))),
                Poll::Ready(Some(Ok(message))) => message,
            };
            let received = match message {
                Message::Text(text) => Received::Text(text),
                Message::Binary(data) => Received::Binary(data),
                Message::Close(frame) => return Poll::Ready(Some(closed(frame))),
                // Pings are answered by the library; pongs count as bytes heard.
                Message::Ping(_) | Message::Pong(_) | Message::Frame(_) => continue,
            };
            bytes += received.len();
            burst.push(received);
            if bytes >= BURST_BYTES {
                break;
            }
        }
        Poll::Ready(None)
    }

    /// Queues a text; [`Self::read`] sends it.
    ///
    /// # Errors
    /// When the venue has stopped reading and the bounded buffer is full, or the socket is broken.
    pub(crate) fn send(&mut self, text: String, now: Mono) -> Result<(), End> {
        self.queue(Message::text(text), now)
    }

    fn queue(&mut self, message: Message, now: Mono) -> Result<(), End> {
        self.sending_since.get_or_insert(now);
        // Waiting for readiness first would block; the library's buffer is bounded and says when it is full.
        match Pin::new(&mut *self.stream).start_send(message) {
            Ok(()) => Ok(()),
            Err(Error::WriteBufferFull(_)) => Err(End::SendStalled),
            Err(error) => Err(end_of(error)),
        }
    }

    /// When to call [`Self::check`] at the latest.
    pub(crate) fn due(&self) -> Mono {
        let silent = self.watchdog.due();
        self.sending_since.map_or(silent, |since| silent.min(since.after(self.limits.send)))
    }

    /// Sends a ping when one is due and says when the connection must be given up.
    pub(crate) fn check(&mut self, now: Mono) -> Result<(), End> {
        if self.sending_since.is_some_and(|since| now.since(since) >= self.limits.send) {
            return Err(End::SendStalled);
        }
        match self.watchdog.check(self.stream.get_ref().bytes_read(), now) {
            Verdict::Wait => Ok(()),
            Verdict::Ping => self.queue(Message::Ping(Bytes::new()), now),
            Verdict::Dead => Err(End::Silent(self.limits.dead_after)),
        }
    }

    /// Leaves in the way that fits the end: a closing handshake within its deadline, or by dropping the socket.
    pub(crate) async fn leave(self, end: &End) {
        if let Some(code) = end.goodbye() {
            self.close(code).await;
        }
    }

    /// Sends a close frame, waits for the answer, and drops the socket at the deadline whatever happened.
    pub(crate) async fn close(mut self, code: u16) {
        let frame = CloseFrame { code: code.into(), reason: Utf8Bytes::from_static("") };
        let handshake = async {
            // Fails when the server closed first; reading on then sends the answer to its close frame.
            let _ = self.stream.send(Message::Close(Some(frame))).await;
            while let Some(Ok(_)) = self.stream.next().await {}
            // Unread bytes would turn the close into a reset, which can overtake our close frame.
            drain(self.stream.get_mut()).await;
        };
        // Whether the other end was polite makes no difference any more.
        let _ = timeout(self.limits.close, handshake).await;
    }
}

async fn drain(wire: &mut Wire) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let mut scratch = vec![0; 16 * 1024];
    if wire.shutdown().await.is_ok() {
        while matches!(wire.read(&mut scratch).await, Ok(read) if read > 0) {}
    }
}

fn closed(frame: Option<CloseFrame>) -> End {
    match frame {
        Some(frame) => End::Closed { code: Some(frame.code.into()), reason: frame.reason.as_str().to_owned() },
        None => End::Closed { code: None, reason: String::new() },
    }
}

fn end_of(error: Error) -> End {
    match error {
        Error::ConnectionClosed | Error::AlreadyClosed => End::HungUp,
        Error::Protocol(ProtocolError::ResetWithoutClosingHandshake) => End::HungUp,
        Error::Capacity(CapacityError::MessageTooLong { size, max_size }) => End::TooBig { size, limit: max_size },
        Error::Io(error) => End::Lost(error.to_string()),
        other => End::Protocol(other.to_string()),
    }
}
