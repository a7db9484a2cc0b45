//! One accepted connection, TCP or unix: non-blocking reads and writes, and the ZMTP handshake.

use std::fmt;
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};

use super::faults::Fault;
use crate::zmtp::{Decoder, Encoder, Entropy, Handshake, Peer, Role, ServerSecurity, WireError};

/// Bytes read at once. Peers of the bus send little.
pub(super) const READ_BYTES: usize = 4096;
/// How long a peer may take to close its side after we closed ours.
const FINISH_WITHIN: Duration = Duration::from_secs(1);

/// How long a peer waits to hear that its key or password is not accepted.
const DENIAL_DELAY: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(super) struct Connection {
    stream: Stream,
    peer: PeerName,
}

#[derive(Debug)]
enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

/// A peer whose handshake is complete, and how its frames are read and written.
pub(super) struct Greeted {
    pub(super) peer: Peer,
    /// The routing identity it has set, if any.
    pub(super) identity: Option<Box<[u8]>>,
    pub(super) decoder: Decoder,
    pub(super) encoder: Encoder,
}

/// The peer for the log: its address, or `ipc`.
#[derive(Clone, Copy, Debug)]
pub(super) struct PeerName(Option<SocketAddr>);

impl PeerName {
    /// Its address, without the port; none for `ipc`.
    pub(super) fn address(self) -> Option<IpAddr> {
        self.0.map(|address| address.ip().to_canonical())
    }
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Some(address) => address.fmt(f),
            None => f.write_str("ipc"),
        }
    }
}

impl Connection {
    pub(super) fn tcp(stream: TcpStream, peer: SocketAddr) -> Self {
        Self { stream: Stream::Tcp(stream), peer: PeerName(Some(peer)) }
    }

    pub(super) fn unix(stream: UnixStream) -> Self {
        Self { stream: Stream::Unix(stream), peer: PeerName(None) }
    }

    pub(super) fn peer(&self) -> PeerName {
        self.peer
    }

    pub(super) async fn readable(&self) -> io::Result<()> {
        match &self.stream {
            Stream::Tcp(stream) => stream.readable().await,
            Stream::Unix(stream) => stream.readable().await,
        }
    }

    pub(super) async fn writable(&self) -> io::Result<()> {
        match &self.stream {
            Stream::Tcp(stream) => stream.writable().await,
            Stream::Unix(stream) => stream.writable().await,
        }
    }

    /// Reads what is there: `None` if nothing is.
    pub(super) fn try_read(&self, buffer: &mut [u8]) -> Result<Option<usize>, Fault> {
        let read = match &self.stream {
            Stream::Tcp(stream) => stream.try_read(buffer),
            Stream::Unix(stream) => stream.try_read(buffer),
        };
        match read {
            Ok(0) => Err(Fault::Closed),
            Ok(count) => Ok(Some(count)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(_) => Err(Fault::Closed),
        }
    }

    /// Writes what the socket takes: 0 if nothing now.
    pub(super) fn try_write(&self, slices: &[IoSlice<'_>]) -> Result<usize, Fault> {
        let written = match &self.stream {
            Stream::Tcp(stream) => stream.try_write_vectored(slices),
            Stream::Unix(stream) => stream.try_write_vectored(slices),
        };
        match written {
            Ok(count) => Ok(count),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(0),
            Err(_) => Err(Fault::Closed),
        }
    }

    /// Waits for bytes and reads them. Nothing is lost when this is cancelled.
    pub(super) async fn read(&self, buffer: &mut [u8]) -> Result<usize, Fault> {
        loop {
            self.readable().await.map_err(|_| Fault::Closed)?;
            if let Some(count) = self.try_read(buffer)? {
                return Ok(count);
            }
        }
    }

    /// Writes everything, however long it takes.
    pub(super) async fn write_all(&self, mut bytes: &[u8]) -> Result<(), Fault> {
        while !bytes.is_empty() {
            self.writable().await.map_err(|_| Fault::Closed)?;
            let count = self.try_write(&[IoSlice::new(bytes)])?;
            bytes = &bytes[count..];
        }
        Ok(())
    }

    /// Greets the peer and learns who it is. Frames over `limit` bytes are refused from here on.
    pub(super) async fn handshake(
        &self,
        role: Role,
        limit: usize,
        security: &ServerSecurity,
        within: Duration,
    ) -> Result<Greeted, Fault> {
        let entropy = Entropy::from_system()?;
        let handshake = Handshake::server(role, limit, security, entropy);
        let early = |fault| if matches!(fault, Fault::Closed) { Fault::LeftEarly } else { fault };
        match timeout(within, self.greet(handshake)).await {
            Ok(met) => met.map_err(early),
            Err(_) => Err(Fault::HandshakeTimeout(within)),
        }
    }

    async fn greet(&self, mut handshake: Handshake) -> Result<Greeted, Fault> {
        self.write_all(&handshake.greeting()).await?;
        let mut buffer = [0; 512];
        let mut out = Vec::new();
        loop {
            let count = self.read(&mut buffer).await?;
            let met = handshake.step(&buffer[..count], &mut out);
            if matches!(met, Err(WireError::Denied(_))) {
                // Whoever tries one password after the other shall need time for it.
                sleep(DENIAL_DELAY).await;
            }
            self.write_all(&out).await?;
            out.clear();
            if let Some(peer) = met.map_err(Fault::Handshake)? {
                let identity = handshake.identity().map(Box::from);
                let (decoder, encoder) = handshake.into_codec();
                return Ok(Greeted { peer, identity, decoder, encoder });
            }
        }
    }

    /// Closes in order: closing with unread bytes would reset the connection, and the peer would lose what it has not
    /// read yet.
    pub(super) async fn finish(mut self) {
        let shut = match &mut self.stream {
            Stream::Tcp(stream) => stream.shutdown().await,
            Stream::Unix(stream) => stream.shutdown().await,
        };
        let rest = async {
            let mut buffer = [0; 512];
            while self.read(&mut buffer).await.is_ok() {}
        };
        if shut.is_ok() {
            // The peer's own time to close is its own affair when it is over.
            drop(timeout(FINISH_WITHIN, rest).await);
        }
    }
}
