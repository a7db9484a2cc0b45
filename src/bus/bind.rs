//! Binds what the bus listens on: TCP, or a Unix socket and its file.

use std::io;
use std::net::SocketAddr;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use thiserror::Error;
use tokio::net::{TcpListener, TcpSocket, UnixListener, UnixStream, lookup_host};

use super::Endpoint;
use super::connection::Connection;

/// Connections that may wait to be accepted: when a gateway comes back, all its clients do at once. Beyond it the kernel
/// answers with cookies, and may refuse later whom it let in.
const BACKLOG: u32 = 4096;
/// Silence after which the kernel probes a peer whose host may be gone.
const KEEPALIVE_AFTER: Duration = Duration::from_secs(60);

/// Why an endpoint cannot be bound.
#[derive(Debug, Error)]
pub enum BindError {
    /// Not an endpoint.
    #[error("cannot bind: {0}")]
    Endpoint(String),
    /// The operating system refused.
    #[error("cannot bind `{endpoint}`: {source}; {}", advice(source))]
    Refused {
        /// As configured.
        endpoint: String,
        /// What the operating system said.
        source: io::Error,
    },
}

fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::AddrInUse => "another process listens there: stop it or choose another endpoint",
        io::ErrorKind::AddrNotAvailable => "this host has no such address: use 127.0.0.1, or * for all",
        io::ErrorKind::PermissionDenied => "choose a port above 1023, or a directory this user may write to",
        io::ErrorKind::NotFound => "create the directory first, or correct the name",
        io::ErrorKind::AlreadyExists => "a file that is no socket has this name: choose another path",
        _ => "correct the endpoint",
    }
}

/// A bound endpoint. Dropping it removes the socket file, if it has one.
#[derive(Debug)]
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener, SocketFile),
}

impl Listener {
    /// Binds an endpoint. Names of hosts are resolved; the first address that can be bound is taken.
    pub(super) async fn bind(endpoint: &str) -> Result<Self, BindError> {
        let refused = |source| BindError::Refused { endpoint: endpoint.to_owned(), source };
        let bound = match endpoint.parse().map_err(BindError::Endpoint)? {
            Endpoint::Ipc(path) => Self::bind_unix(&path).await,
            Endpoint::Tcp { host, port } if host == "*" => Self::bind_tcp("0.0.0.0", port).await,
            Endpoint::Tcp { host, port } => Self::bind_tcp(host.trim_matches(['[', ']']), port).await,
        };
        bound.map_err(refused)
    }

    async fn bind_tcp(host: &str, port: u16) -> io::Result<Self> {
        let mut refused = None;
        for address in lookup_host((host, port)).await? {
            match listen(address) {
                Ok(listener) => return Ok(Self::Tcp(listener)),
                Err(error) => refused = Some(error),
            }
        }
        Err(refused.unwrap_or_else(|| io::ErrorKind::AddrNotAvailable.into()))
    }

    async fn bind_unix(path: &Path) -> io::Result<Self> {
        if let Ok(existing) = path.symlink_metadata() {
            if !existing.file_type().is_socket() {
                return Err(io::ErrorKind::AlreadyExists.into());
            }
            // A file that nobody answers was left behind by a process that was killed.
            match UnixStream::connect(path).await {
                Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => std::fs::remove_file(path)?,
                _ => return Err(io::ErrorKind::AddrInUse.into()),
            }
        }
        let listener = UnixListener::bind(path)?;
        Ok(Self::Unix(listener, SocketFile::new(path)?))
    }

    /// The endpoint with the actual address and port, to which one can connect (`0.0.0.0` stands for all addresses).
    pub(super) fn endpoint(&self) -> io::Result<String> {
        Ok(match self {
            Self::Tcp(listener) => format!("tcp://{}", listener.local_addr()?),
            Self::Unix(_, file) => format!("ipc://{}", file.path.display()),
        })
    }

    pub(super) async fn accept(&self) -> io::Result<Connection> {
        match self {
            Self::Tcp(listener) => {
                let (stream, peer): (_, SocketAddr) = listener.accept().await?;
                // These fail only for a peer that is gone already, which shows at the first read.
                stream.set_nodelay(true).ok();
                // The heartbeat of peers that know no PING.
                SockRef::from(&stream).set_tcp_keepalive(&TcpKeepalive::new().with_time(KEEPALIVE_AFTER)).ok();
                Ok(Connection::tcp(stream, peer))
            }
            Self::Unix(listener, _) => Ok(Connection::unix(listener.accept().await?.0)),
        }
    }
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // As a restart finds its port taken by connections of the run before it.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// A socket's file, removed on drop if it is still ours.
#[derive(Debug)]
pub(super) struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        let meta = path.symlink_metadata()?;
        Ok(Self { path: path.to_owned(), identity: (meta.dev(), meta.ino()) })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        let ours = |meta: std::fs::Metadata| (meta.dev(), meta.ino()) == self.identity;
        if self.path.symlink_metadata().is_ok_and(ours)
            && let Err(error) = std::fs::remove_file(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "cannot remove the socket file");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_no_endpoint_is_refused_with_advice() {
        for wrong in ["5555", "udp://127.0.0.1:1", "ipc://relative", "tcp://127.0.0.1"] {
            let text = Listener::bind(wrong).await.unwrap_err().to_string();
            assert!(text.contains(wrong) && text.contains("tcp://HOST:PORT"), "{text}");
        }
    }

    #[tokio::test]
    async fn a_taken_port_is_named() {
        let first = Listener::bind("tcp://127.0.0.1:0").await.unwrap();
        let endpoint = first.endpoint().unwrap();
        let text = Listener::bind(&endpoint).await.unwrap_err().to_string();
        assert!(text.contains(&endpoint) && text.contains("stop it"), "{text}");
    }

    #[tokio::test]
    async fn socket_files_are_removed_only_when_nobody_answers() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bus");
        let endpoint = format!("ipc://{}", path.display());
        let first = Listener::bind(&endpoint).await.unwrap();
        assert_eq!(first.endpoint().unwrap(), endpoint);
        assert!(Listener::bind(&endpoint).await.unwrap_err().to_string().contains("another process"));
        drop(first);
        assert!(!path.exists());
        // What a killed process leaves behind: a socket file without a listener.
        drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
        assert!(path.exists());
        drop(Listener::bind(&endpoint).await.unwrap());
        std::fs::write(&path, "precious").unwrap();
        assert!(Listener::bind(&endpoint).await.unwrap_err().to_string().contains("no socket"));
        assert!(path.exists());
    }
}
