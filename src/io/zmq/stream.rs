//! The socket under a ZeroMQ connection, TCP or unix. Reading and writing do not exclude each other, and nothing is lost
//! when either is cancelled.

use std::io;
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpStream, UnixStream, lookup_host};
use tokio::time::{Instant, timeout_at};

use super::ZmqError;
use crate::bus::Endpoint;

/// Silence after which the kernel probes a server whose host may be gone: the heartbeat towards ZMTP 3.0.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

#[derive(Debug)]
pub(super) enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    /// Connects within the time; a name's addresses are tried one after the other, each with an equal part of what is
    /// left of it.
    pub(super) async fn connect(endpoint: &str, within: Duration) -> Result<Self, ZmqError> {
        let unreachable = |source| ZmqError::Unreachable { endpoint: endpoint.to_owned(), source };
        let until = Instant::now() + within;
        match endpoint.parse().map_err(ZmqError::Endpoint)? {
            Endpoint::Tcp { host, port } if host == "*" || port == 0 => {
                let what = "is for listening; to connect, name a host and a port, as tcp://127.0.0.1:5555";
                Err(ZmqError::Endpoint(format!("{endpoint:?} {what}")))
            }
            Endpoint::Tcp { host, port } => {
                connect_tcp(host.trim_matches(['[', ']']), port, until).await.map(Self::Tcp).map_err(unreachable)
            }
            Endpoint::Ipc(path) => {
                let connected = timeout_at(until, UnixStream::connect(path)).await.map_err(|_| timed_out());
                connected.flatten().map(Self::Unix).map_err(unreachable)
            }
        }
    }

    /// Waits for bytes and reads them; 0 when the peer has closed.
    pub(super) async fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let read = match self {
                Self::Tcp(stream) => {
                    stream.readable().await?;
                    stream.try_read(buffer)
                }
                Self::Unix(stream) => {
                    stream.readable().await?;
                    stream.try_read(buffer)
                }
            };
            match read {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }

    /// Waits until some bytes can be written, and writes them.
    pub(super) async fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        loop {
            let written = match self {
                Self::Tcp(stream) => {
                    stream.writable().await?;
                    stream.try_write(bytes)
                }
                Self::Unix(stream) => {
                    stream.writable().await?;
                    stream.try_write(bytes)
                }
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                other => return other,
            }
        }
    }
}

fn timed_out() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer in time")
}

async fn connect_tcp(host: &str, port: u16, until: Instant) -> io::Result<TcpStream> {
    let addresses = timeout_at(until, lookup_host((host, port))).await.map_err(|_| timed_out())??;
    let addresses: Vec<_> = addresses.collect();
    let mut failed = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for (at, address) in addresses.iter().enumerate() {
        let now = Instant::now();
        let left = u32::try_from(addresses.len() - at).unwrap_or(u32::MAX);
        let turn = now + until.saturating_duration_since(now) / left;
        match timeout_at(turn, TcpStream::connect(address)).await {
            Ok(Ok(stream)) => {
                // These fail only for a peer that is gone already, which shows at the first read.
                stream.set_nodelay(true).ok();
                SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER)).ok();
                return Ok(stream);
            }
            Ok(Err(error)) => failed = error,
            Err(_) => failed = timed_out(),
        }
    }
    Err(failed)
}
