//! The receiving socket: dials, subscribes, and dials again for ever when the connection is lost.
//!
//! The `zeromq` crate's own reconnect waits up to 30 s between tries and has no deadline for the handshake, so a
//! new socket is dialled here each time instead. Nothing is queued on this side: a reader that falls behind lets
//! the gateway's bounded queue fill, which drops, counts, and shows as a gap in `seq`.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::BoxStream;
use thiserror::Error;
use tokio::time::sleep;
use zeromq::{Endpoint, Socket, SocketEvent, SocketOptions, SocketRecv, SubSocket, ZmqError, ZmqMessage};

use super::payload::DecodeError;

/// How long one try to connect may take, handshake included.
const DIAL_TIMEOUT: Duration = Duration::from_secs(2);
/// Wait before the second try; doubled for each further one.
const FIRST_WAIT: Duration = Duration::from_millis(100);
/// Longest wait between tries: a local gateway's restart should be noticed soon.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// A frame as it came from the bus.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedFrame {
    /// Topic, ending with a dot.
    pub topic: String,
    /// Payload, JSON or MessagePack; see [`super::as_json`].
    pub payload: Bytes,
}

/// What a subscriber receives.
#[derive(Debug)]
pub enum Incoming {
    /// A frame.
    Frame(ReceivedFrame),
    /// Something that is not a frame.
    Malformed(DecodeError),
    /// The connection is open; frames sent before are lost but for the kept ones.
    Connected,
    /// The connection is lost or could not be opened; another try follows by itself.
    Disconnected(String),
}

/// Why an endpoint cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("endpoint {endpoint:?} is not usable ({detail}): write tcp://HOST:PORT or ipc://PATH")]
pub struct EndpointError {
    endpoint: String,
    detail: String,
}

/// Checks that `text` names something to connect to.
///
/// # Errors
/// [`EndpointError`], for another transport, a wildcard host or port 0.
pub(super) fn check_endpoint(text: &str) -> Result<(), EndpointError> {
    let refuse = |detail: String| Err(EndpointError { endpoint: text.to_owned(), detail });
    match text.parse::<Endpoint>() {
        Err(error) => refuse(error.to_string()),
        Ok(Endpoint::Tcp(_, 0)) => refuse("port 0 cannot be connected to".to_owned()),
        Ok(Endpoint::Tcp(host, _)) if host.to_string() == "*" => refuse("a subscriber needs a host".to_owned()),
        Ok(_) => Ok(()),
    }
}

/// Starts to subscribe to every topic that begins with one of `prefixes`; to all when there are none.
/// Must be called inside a tokio runtime; the connection is opened by [`Subscriber::next`].
///
/// # Errors
/// [`EndpointError`], when `endpoint` is nothing to connect to. That nobody answers there is no error.
pub fn subscribe(endpoint: &str, prefixes: &[String]) -> Result<Subscriber, EndpointError> {
    check_endpoint(endpoint)?;
    let prefixes = if prefixes.is_empty() { vec![String::new()] } else { prefixes.to_vec() };
    let dial = Box::pin(dial(endpoint.to_owned(), prefixes.clone(), Duration::ZERO));
    Ok(Subscriber { endpoint: endpoint.to_owned(), prefixes, failures: 0, link: Link::Dialing(dial) })
}

/// Receives frames from one endpoint.
pub struct Subscriber {
    endpoint: String,
    prefixes: Vec<String>,
    /// Tries that failed since the last open connection.
    failures: u32,
    link: Link,
}

/// A socket and the crate's reports about its connection (bounded by the crate at 1024).
type Open = (SubSocket, BoxStream<'static, SocketEvent>);
type Dial = Pin<Box<dyn Future<Output = Result<Open, ZmqError>> + Send>>;

enum Link {
    Dialing(Dial),
    Open(Open),
}

impl Subscriber {
    /// Waits for the next thing to happen. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Incoming {
        loop {
            match &mut self.link {
                Link::Dialing(dial) => match dial.await {
                    Ok(open) => {
                        self.link = Link::Open(open);
                        return Incoming::Connected;
                    }
                    Err(error) => return self.redial(error.to_string()),
                },
                Link::Open((socket, events)) => tokio::select! {
                    // Frames first: what was received before the loss is still to be read.
                    biased;
                    received = socket.recv() => match received {
                        Ok(message) => {
                            self.failures = 0;
                            return incoming(message);
                        }
                        Err(error) => return self.redial(error.to_string()),
                    },
                    event = events.next() => match event {
                        Some(SocketEvent::Disconnected(_)) | None => {
                            return self.redial("the gateway closed the connection".to_owned());
                        }
                        Some(_) => {}
                    },
                },
            }
        }
    }

    /// Drops the socket and prepares the next try.
    fn redial(&mut self, reason: String) -> Incoming {
        let wait = FIRST_WAIT.saturating_mul(1 << self.failures.min(16)).min(LONGEST_WAIT);
        self.failures = self.failures.saturating_add(1);
        self.link = Link::Dialing(Box::pin(dial(self.endpoint.clone(), self.prefixes.clone(), wait)));
        Incoming::Disconnected(reason)
    }
}

async fn dial(endpoint: String, prefixes: Vec<String>, wait: Duration) -> Result<Open, ZmqError> {
    sleep(wait).await;
    let mut options = SocketOptions::default();
    options.connect_timeout(DIAL_TIMEOUT);
    let mut socket = SubSocket::with_options(options);
    let events = socket.monitor().boxed();
    for prefix in &prefixes {
        socket.subscribe(prefix).await?;
    }
    socket.connect(&endpoint).await?;
    Ok((socket, events))
}

fn incoming(message: ZmqMessage) -> Incoming {
    let parts = message.into_vec();
    let [topic, payload] = parts.as_slice() else {
        return Incoming::Malformed(DecodeError::Parts(parts.len()));
    };
    match std::str::from_utf8(topic) {
        Ok(topic) => Incoming::Frame(ReceivedFrame { topic: topic.to_owned(), payload: payload.clone() }),
        Err(_) => Incoming::Malformed(DecodeError::Topic),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_can_be_connected_to_is_an_endpoint() {
        for good in ["tcp://127.0.0.1:5555", "tcp://[::1]:5555", "tcp://gateway.local:5555", "ipc:///run/tickbus.sock"]
        {
            assert_eq!(check_endpoint(good), Ok(()), "{good}");
        }
        for bad in ["", "127.0.0.1:5555", "tcp://127.0.0.1", "tcp://*:5555", "tcp://127.0.0.1:0", "udp://1.2.3.4:5"] {
            let error = check_endpoint(bad).unwrap_err().to_string();
            assert!(error.contains("tcp://HOST:PORT"), "{error}");
        }
    }

    #[test]
    fn only_two_parts_make_a_frame() {
        let message = |parts: &[&'static [u8]]| {
            let parts: Vec<Bytes> = parts.iter().map(|part| Bytes::from_static(part)).collect();
            ZmqMessage::try_from(parts).unwrap()
        };
        assert!(matches!(incoming(message(&[b"a.", b"{}"])), Incoming::Frame(frame) if frame.topic == "a."));
        assert!(matches!(incoming(message(&[b"a."])), Incoming::Malformed(DecodeError::Parts(1))));
        assert!(matches!(incoming(message(&[b"a.", b"", b""])), Incoming::Malformed(DecodeError::Parts(3))));
        assert!(matches!(incoming(message(&[b"\xff", b"{}"])), Incoming::Malformed(DecodeError::Topic)));
    }
}
