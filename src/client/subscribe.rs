//! The receiving socket: dials, subscribes, and dials again for ever when the connection is lost.
//!
//! Nothing is queued on this side: a reader that falls behind lets the gateway's bounded queue fill, which drops, counts,
//! and shows as a gap in `seq`.

use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::time::sleep;

use super::payload::DecodeError;
use crate::bus::Endpoint;
use crate::io::zmq::{Kind, ZmqConnection, ZmqError, ZmqLimits, connect};
use crate::zmtp::ClientSecurity;

/// How long one try to connect may take, and then the handshake.
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
    Disconnected(ZmqError),
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
    let refuse = |detail: &str| Err(EndpointError { endpoint: text.to_owned(), detail: detail.to_owned() });
    match text.parse::<Endpoint>() {
        Err(_) => refuse("no endpoint"),
        Ok(Endpoint::Tcp { port: 0, .. }) => refuse("port 0 cannot be connected to"),
        Ok(Endpoint::Tcp { host, .. }) if host == "*" => refuse("a subscriber needs a host"),
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
    let target = Target {
        endpoint: endpoint.to_owned(),
        prefixes: if prefixes.is_empty() { vec![String::new()] } else { prefixes.to_vec() },
        security: ClientSecurity::Null,
    };
    let dial = Box::pin(dial(target.clone(), Duration::ZERO));
    Ok(Subscriber { target, failures: 0, link: Link::Dialing(dial) })
}

/// Receives frames from one endpoint.
pub struct Subscriber {
    target: Target,
    /// Tries that failed since the last frame.
    failures: u32,
    link: Link,
}

/// What every try needs.
#[derive(Clone)]
struct Target {
    endpoint: String,
    prefixes: Vec<String>,
    security: ClientSecurity,
}

type Dial = Pin<Box<dyn Future<Output = Result<ZmqConnection, ZmqError>> + Send>>;

enum Link {
    Dialing(Dial),
    Open(Box<ZmqConnection>),
}

impl Subscriber {
    /// Shows these credentials, and expects this server; to be said before the first [`Self::next`].
    #[must_use]
    pub fn secured(mut self, security: ClientSecurity) -> Self {
        self.target.security = security;
        self.link = Link::Dialing(Box::pin(dial(self.target.clone(), Duration::ZERO)));
        self
    }

    /// Waits for the next thing to happen. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Incoming {
        let received = match &mut self.link {
            Link::Dialing(dial) => match dial.await {
                Ok(open) => {
                    self.link = Link::Open(Box::new(open));
                    return Incoming::Connected;
                }
                Err(error) => Err(error),
            },
            Link::Open(connection) => connection.receive().await,
        };
        match received {
            Ok(parts) => {
                self.failures = 0;
                incoming(&parts)
            }
            Err(error) => self.redial(error),
        }
    }

    /// Drops the connection and prepares the next try.
    fn redial(&mut self, error: ZmqError) -> Incoming {
        // A gateway that refuses us may be told better, but not within moments.
        let failures = if error.is_final() { u32::MAX } else { self.failures };
        let wait = wait_after(failures, fastrand::f64());
        self.failures = self.failures.saturating_add(1);
        self.link = Link::Dialing(Box::pin(dial(self.target.clone(), wait)));
        Incoming::Disconnected(error)
    }
}

/// The wait before the next try. A quarter of it is `random`, which is in 0..1, so that all subscribers of a restarted
/// gateway do not come at once.
fn wait_after(failures: u32, random: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << failures.min(16)).min(LONGEST_WAIT);
    doubled.mul_f64(0.75 + random / 4.0)
}

async fn dial(target: Target, wait: Duration) -> Result<ZmqConnection, ZmqError> {
    sleep(wait).await;
    let limits = ZmqLimits { connect: DIAL_TIMEOUT, handshake: DIAL_TIMEOUT, ..ZmqLimits::default() };
    let mut connection = connect(&target.endpoint, Kind::Sub, &target.security, limits).await?;
    for prefix in &target.prefixes {
        connection.subscribe(prefix.as_bytes()).await?;
    }
    Ok(connection)
}

fn incoming(parts: &[Bytes]) -> Incoming {
    let [topic, payload] = parts else {
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
    fn waits_are_doubled_up_to_a_limit() {
        let millis = |failures, random| wait_after(failures, random).as_millis();
        assert_eq!([0, 1, 2, 3, 4].map(|failures| millis(failures, 0.0)), [75, 150, 300, 600, 1200]);
        assert_eq!([5, 9, u32::MAX].map(|failures| millis(failures, 0.0)), [1500; 3]);
        assert_eq!(millis(u32::MAX, 1.0), 2000);
    }

    #[test]
    fn only_two_parts_make_a_frame() {
        let read = |parts: &[&'static [u8]]| {
            let parts: Vec<Bytes> = parts.iter().map(|part| Bytes::from_static(part)).collect();
            incoming(&parts)
        };
        assert!(matches!(read(&[b"a.", b"{}"]), Incoming::Frame(frame) if frame.topic == "a."));
        assert!(matches!(read(&[b"a."]), Incoming::Malformed(DecodeError::Parts(1))));
        assert!(matches!(read(&[b"a.", b"", b""]), Incoming::Malformed(DecodeError::Parts(3))));
        assert!(matches!(read(&[b"\xff", b"{}"]), Incoming::Malformed(DecodeError::Topic)));
    }
}
