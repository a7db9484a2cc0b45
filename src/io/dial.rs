//! Opens a websocket: name, TCP, TLS, handshake, all within one deadline.

use std::net::SocketAddr;
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::handshake::client::{Request, Response};
use tokio_tungstenite::tungstenite::http::{HeaderName, HeaderValue};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{self, error::ProtocolError};
use url::Url;

use super::backoff::Failure;
use super::tls;
use super::wire::Wire;
use crate::clock;
use crate::model::UnixNanos;
use crate::secret::Secret;

/// Large enough for a burst of book updates, small enough that clearing it before each read costs nothing.
const READ_BUFFER: usize = 64 * 1024;
/// What may wait to be sent. Only subscriptions and pings are; more means that the venue stopped reading.
const WRITE_BUFFER: usize = 4 * 1024 * 1024;

/// How long each part of opening a connection may take, and what it may receive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DialLimits {
    /// Resolving the name.
    pub dns: Duration,
    /// TCP to one of several addresses before the next is tried.
    pub address: Duration,
    /// Everything together.
    pub whole: Duration,
    /// Largest message, and largest frame, in bytes.
    pub message: usize,
}

impl Default for DialLimits {
    fn default() -> Self {
        Self {
            dns: Duration::from_secs(5),
            address: Duration::from_secs(3),
            whole: Duration::from_secs(10),
            message: 16 * 1024 * 1024,
        }
    }
}

/// Why a connection could not be opened. The text names the host, never the path or query.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The address in the config is not one.
    #[error("not a websocket address: {0}; it must look like wss://host/path")]
    Url(String),
    /// The name could not be resolved.
    #[error("cannot resolve {host}: {detail}")]
    Dns {
        /// Whose name.
        host: String,
        /// The resolver's words.
        detail: String,
    },
    /// No TCP connection.
    #[error("cannot connect to {host}: {source}")]
    Tcp {
        /// Where to.
        host: String,
        /// The last address's error.
        source: std::io::Error,
    },
    /// The certificate or the TLS handshake is bad.
    #[error("TLS with {host} failed: {detail}")]
    Tls {
        /// Whose.
        host: String,
        /// What was wrong with it.
        detail: String,
    },
    /// The server answered the handshake with something other than 101.
    #[error("{host} answered the websocket handshake with HTTP {status}")]
    Http {
        /// Who.
        host: String,
        /// Its status.
        status: u16,
        /// How long it told us to wait.
        retry_after: Option<Duration>,
    },
    /// What the server answered is not a websocket handshake, or it hung up in the middle.
    #[error("websocket handshake with {host} failed: {detail}")]
    Handshake {
        /// Who.
        host: String,
        /// What was wrong.
        detail: String,
    },
    /// It took too long.
    #[error("no connection to {host} within {} s (stuck at {stage})", .limit.as_secs_f64())]
    Deadline {
        /// Where to.
        host: String,
        /// `dns`, `tcp`, `tls` or `handshake`.
        stage: &'static str,
        /// The deadline.
        limit: Duration,
    },
}

impl ConnectError {
    /// What it means for the delay before the next attempt.
    pub const fn failure(&self) -> Failure {
        match self {
            Self::Http { status: 403, .. } => Failure::Refused,
            Self::Http { status: 418 | 429, retry_after, .. } => Failure::Limited(*retry_after),
            Self::Http { retry_after: Some(wait), .. } => Failure::Limited(Some(*wait)),
            _ => Failure::Passing,
        }
    }
}

/// `host:port` of an address, for texts and log fields.
pub fn host_of(url: &str) -> String {
    match Url::parse(url) {
        Ok(url) => match (url.host_str(), url.port_or_known_default()) {
            (Some(host), Some(port)) => format!("{host}:{port}"),
            (Some(host), None) => host.to_owned(),
            (None, _) => "(no host)".to_owned(),
        },
        Err(_) => "(no host)".to_owned(),
    }
}

/// A websocket over TCP or TLS.
pub(crate) type Socket = Box<WebSocketStream<Wire>>;

/// Opens a websocket to `url`, with these headers besides. The name is resolved each time, so that a moved host is found.
///
/// # Errors
/// Any part failed or the whole took longer than its deadline.
pub(crate) async fn dial(url: &str, headers: &[(String, Secret)], limits: &DialLimits) -> Result<Socket, ConnectError> {
    let host = host_of(url);
    let mut stage = "dns";
    match timeout(limits.whole, dial_stages(url, headers, &host, limits, &mut stage)).await {
        Ok(done) => done,
        Err(_) => Err(ConnectError::Deadline { host, stage, limit: limits.whole }),
    }
}

async fn dial_stages(
    url: &str,
    headers: &[(String, Secret)],
    host: &str,
    limits: &DialLimits,
    stage: &mut &'static str,
) -> Result<Socket, ConnectError> {
    let parsed = Url::parse(url).map_err(|error| ConnectError::Url(error.to_string()))?;
    let secure = match parsed.scheme() {
        "wss" => true,
        "ws" => false,
        other => return Err(ConnectError::Url(format!("scheme {other}"))),
    };
    let name = parsed.host().ok_or_else(|| ConnectError::Url("no host".to_owned()))?.to_owned();
    let port = parsed.port_or_known_default().unwrap_or(if secure { 443 } else { 80 });
    let wire = connect(&name, port, secure, host, limits, stage).await?;
    *stage = "handshake";
    let config = WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .max_write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(limits.message))
        .max_frame_size(Some(limits.message));
    let request = upgrade(&parsed, headers)?;
    match tokio_tungstenite::client_async_with_config(request, wire, Some(config)).await {
        Ok((stream, _)) => Ok(Box::new(stream)),
        Err(error) => Err(handshake_error(host, error, clock::wall())),
    }
}

/// The request that asks for a websocket, with more headers than it has by itself.
fn upgrade(url: &Url, headers: &[(String, Secret)]) -> Result<Request, ConnectError> {
    let wrong = |what: String| ConnectError::Url(what);
    let mut request = url.as_str().into_client_request().map_err(|error| wrong(error.to_string()))?;
    for (name, value) in headers {
        let name = HeaderName::try_from(name).map_err(|error| wrong(error.to_string()))?;
        let value = HeaderValue::try_from(value.reveal()).map_err(|error| wrong(error.to_string()))?;
        request.headers_mut().insert(name, value);
    }
    Ok(request)
}

/// Opens a stream to a port: name, TCP and, if asked for, TLS. `host` is what errors call it, `stage` what is being done.
///
/// # Errors
/// What failed. The caller keeps the whole within its deadline.
pub(crate) async fn connect(
    name: &url::Host<String>,
    port: u16,
    secure: bool,
    host: &str,
    limits: &DialLimits,
    stage: &mut &'static str,
) -> Result<Wire, ConnectError> {
    let addresses = resolve(name, port, host, limits.dns).await?;
    *stage = "tcp";
    let tcp = connect_tcp(&addresses, host, limits.address).await?;
    // Without it small writes that follow each other wait for acknowledgements. A socket that cannot do it works.
    let _ = tcp.set_nodelay(true);
    if !secure {
        return Ok(Wire::plain(tcp));
    }
    *stage = "tls";
    connect_tls(tcp, name, host).await
}

async fn resolve(
    name: &url::Host<String>,
    port: u16,
    host: &str,
    limit: Duration,
) -> Result<Vec<SocketAddr>, ConnectError> {
    let domain = match name {
        url::Host::Ipv4(ip) => return Ok(vec![SocketAddr::new((*ip).into(), port)]),
        url::Host::Ipv6(ip) => return Ok(vec![SocketAddr::new((*ip).into(), port)]),
        url::Host::Domain(domain) => domain,
    };
    let failed = |detail: String| ConnectError::Dns { host: host.to_owned(), detail };
    let looked_up = timeout(limit, tokio::net::lookup_host((domain.as_str(), port))).await;
    let found = looked_up.map_err(|_| failed(format!("no answer within {} s", limit.as_secs_f64())))?;
    let addresses: Vec<_> = found.map_err(|error| failed(error.to_string()))?.collect();
    if addresses.is_empty() { Err(failed("it has no address".to_owned())) } else { Ok(addresses) }
}

/// Tries each address in the resolver's order; one that does not answer leaves time for the next.
async fn connect_tcp(addresses: &[SocketAddr], host: &str, limit: Duration) -> Result<TcpStream, ConnectError> {
    let mut last = std::io::Error::from(std::io::ErrorKind::AddrNotAvailable);
    for (tried, address) in addresses.iter().enumerate() {
        let connect = TcpStream::connect(address);
        let connected = if tried + 1 == addresses.len() {
            connect.await
        } else {
            timeout(limit, connect).await.unwrap_or_else(|_| Err(std::io::ErrorKind::TimedOut.into()))
        };
        match connected {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(ConnectError::Tcp { host: host.to_owned(), source: last })
}

async fn connect_tls(tcp: TcpStream, name: &url::Host<String>, host: &str) -> Result<Wire, ConnectError> {
    let failed = |detail: String| ConnectError::Tls { host: host.to_owned(), detail };
    let config = tls::client_config().map_err(|error| failed(error.to_string()))?;
    let server = match name {
        url::Host::Domain(domain) => ServerName::try_from(domain.clone()).map_err(|error| failed(error.to_string()))?,
        url::Host::Ipv4(ip) => ServerName::from(std::net::IpAddr::from(*ip)),
        url::Host::Ipv6(ip) => ServerName::from(std::net::IpAddr::from(*ip)),
    };
    let stream = TlsConnector::from(config).connect(server, tcp).await.map_err(|error| failed(error.to_string()))?;
    Ok(Wire::tls(stream))
}

fn handshake_error(host: &str, error: tungstenite::Error, now: UnixNanos) -> ConnectError {
    let host = host.to_owned();
    match error {
        tungstenite::Error::Http(response) => {
            let status = response.status().as_u16();
            ConnectError::Http { host, status, retry_after: header_retry_after(&response, now) }
        }
        tungstenite::Error::Protocol(ProtocolError::HandshakeIncomplete) => {
            ConnectError::Handshake { host, detail: "the server hung up".to_owned() }
        }
        other => ConnectError::Handshake { host, detail: other.to_string() },
    }
}

fn header_retry_after(response: &Response, now: UnixNanos) -> Option<Duration> {
    retry_after(response.headers().get("Retry-After")?.to_str().ok()?, now)
}

/// Reads a `Retry-After` header: seconds, or a date.
pub(crate) fn retry_after(value: &str, now: UnixNanos) -> Option<Duration> {
    let value = value.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(value).ok()?.timestamp();
    let date = u64::try_from(date.as_nanosecond()).ok()?;
    Some(Duration::from_nanos(date.saturating_sub(now.0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = UnixNanos(1_445_412_480_000_000_000);
        assert_eq!(retry_after("120", now), Some(Duration::from_secs(120)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:28:30 GMT", now), Some(Duration::from_secs(30)));
        assert_eq!(retry_after("Wed, 21 Oct 2015 07:00:00 GMT", now), Some(Duration::ZERO), "past");
        for odd in ["", "soon", "-5", "1e3", "99999999999999999999999"] {
            assert_eq!(retry_after(odd, now), None, "{odd}");
        }
    }

    #[test]
    fn texts_name_the_host_and_nothing_secret() {
        assert_eq!(host_of("wss://user:pw@stream.example.com/v5/public?token=SECRET"), "stream.example.com:443");
        assert_eq!(host_of("ws://127.0.0.1:9001/x"), "127.0.0.1:9001");
        assert_eq!(host_of("ws://[::1]/"), "[::1]:80");
        assert_eq!(host_of("nonsense"), "(no host)");
    }

    #[test]
    fn statuses_decide_the_delay() {
        let http = |status, retry_after| ConnectError::Http { host: String::new(), status, retry_after };
        let minute = Some(Duration::from_secs(60));
        assert_eq!(http(403, None).failure(), Failure::Refused);
        assert_eq!(http(429, minute).failure(), Failure::Limited(minute));
        assert_eq!(http(418, None).failure(), Failure::Limited(None));
        assert_eq!(http(503, minute).failure(), Failure::Limited(minute));
        assert_eq!(http(503, None).failure(), Failure::Passing);
    }

    #[tokio::test]
    async fn bad_addresses_are_errors() {
        for bad in ["", "http://127.0.0.1/", "wss://", "127.0.0.1:9001"] {
            let refused = dial(bad, &[], &DialLimits::default()).await;
            assert!(matches!(refused, Err(ConnectError::Url(_))), "{bad}");
        }
    }
}
