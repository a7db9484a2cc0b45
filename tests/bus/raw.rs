//! A ZMTP client of a few lines, written from the RFCs and not from our codec, and what all tests here need.

use std::future::Future;
use std::time::Duration;

use bytes::Bytes;
use tickbus::bus::{Frame, Outgoing, Publisher, PublisherOptions, Retain};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

/// Nothing here takes this long unless it is broken.
pub(crate) const DEADLINE: Duration = Duration::from_secs(20);

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.unwrap_or_else(|_| panic!("{what}: nothing within {DEADLINE:?}"))
}

/// Waits until something observable holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        sleep(Duration::from_millis(2)).await;
    }
}

/// Memory that this process occupies.
pub(crate) fn resident_bytes() -> u64 {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
}

/// File descriptors that this process has open.
pub(crate) fn open_files() -> usize {
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}

pub(crate) async fn publisher(change: impl FnOnce(&mut PublisherOptions)) -> Publisher {
    let mut options =
        PublisherOptions { endpoints: vec!["tcp://127.0.0.1:0".to_owned()], ..PublisherOptions::default() };
    change(&mut options);
    Publisher::bind(options).await.unwrap()
}

/// A frame of a topic that is not counted.
pub(crate) fn frame(topic: &str, payload: &str, retain: Retain) -> Outgoing {
    numbered(topic, 0, payload, retain)
}

pub(crate) fn numbered(topic: &str, seq: u64, payload: &str, retain: Retain) -> Outgoing {
    let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
    Outgoing::Frame(Frame { topic: bytes(topic), payload: bytes(payload), retain, seq })
}

pub(crate) fn publish(publisher: &Publisher, topic: &str, payload: &str, retain: Retain) {
    publisher.publish(&mut vec![frame(topic, payload, retain)]);
}

/// A frame as it came: flags and body.
pub(crate) type RawFrame = (u8, Vec<u8>);

pub(crate) struct Peer {
    pub(crate) stream: TcpStream,
    minor: u8,
}

impl Peer {
    /// Connects without a handshake.
    pub(crate) async fn open(endpoint: &str) -> Self {
        let address = endpoint.strip_prefix("tcp://").unwrap();
        Self { stream: within("connect", TcpStream::connect(address)).await.unwrap(), minor: 1 }
    }

    /// Connects and shakes hands.
    pub(crate) async fn connect(endpoint: &str, minor: u8, kind: &str) -> Self {
        let mut peer = Self::open(endpoint).await;
        peer.minor = minor;
        peer.write(&Self::hello(minor, kind)).await;
        let mut greeting = [0; 64];
        within("greeting", peer.stream.read_exact(&mut greeting)).await.unwrap();
        assert_eq!((greeting[0], greeting[9], &greeting[10..16]), (0xff, 0x7f, &b"\x03\x01NULL"[..]));
        let (flags, body) = peer.frame().await.unwrap();
        assert_eq!(flags, 4);
        assert!(body.starts_with(b"\x05READY\x0bSocket-Type\0\0\0"), "{body:?}");
        peer
    }

    /// Connects as a subscriber to one prefix, and waits until the publisher knows it.
    pub(crate) async fn subscriber(publisher: &Publisher, minor: u8, prefix: &str) -> Self {
        let mut peer = Self::connect(&publisher.endpoints()[0], minor, "SUB").await;
        peer.subscribe(prefix).await;
        peer.settle().await;
        peer
    }

    /// Greeting and READY of a client.
    pub(crate) fn hello(minor: u8, kind: &str) -> Vec<u8> {
        let mut bytes = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, minor];
        bytes.extend_from_slice(b"NULL");
        bytes.resize(64, 0);
        let kind_len = u8::try_from(kind.len()).unwrap();
        bytes.extend_from_slice(&[4, 22 + kind_len]);
        bytes.extend_from_slice(b"\x05READY\x0bSocket-Type\0\0\0");
        bytes.push(kind_len);
        bytes.extend_from_slice(kind.as_bytes());
        bytes
    }

    pub(crate) async fn write(&mut self, bytes: &[u8]) {
        within("write", self.stream.write_all(bytes)).await.unwrap();
    }

    pub(crate) async fn send(&mut self, flags: u8, body: &[u8]) {
        let mut bytes = vec![flags, u8::try_from(body.len()).unwrap()];
        bytes.extend_from_slice(body);
        self.write(&bytes).await;
    }

    /// As libzmq does it: a command for 3.1, a message for 3.0.
    pub(crate) async fn subscribe(&mut self, prefix: &str) {
        let (flags, name) = if self.minor >= 1 { (4, &b"\x09SUBSCRIBE"[..]) } else { (0, &b"\x01"[..]) };
        self.send(flags, &[name, prefix.as_bytes()].concat()).await;
    }

    pub(crate) async fn unsubscribe(&mut self, prefix: &str) {
        let (flags, name) = if self.minor >= 1 { (4, &b"\x06CANCEL"[..]) } else { (0, &b"\x00"[..]) };
        self.send(flags, &[name, prefix.as_bytes()].concat()).await;
    }

    /// Waits until the server has done what this peer sent so far: then it has also answered a PING. Nothing but the
    /// PONG may come meanwhile.
    pub(crate) async fn settle(&mut self) {
        self.send(4, b"\x04PING\x00\x0asettled").await;
        assert_eq!(self.frame().await.unwrap(), (4, b"\x04PONGsettled".to_vec()));
    }

    /// The next frame, or `None` once the server has closed.
    pub(crate) async fn frame(&mut self) -> Option<RawFrame> {
        within("frame", async {
            let flags = self.stream.read_u8().await.ok()?;
            let length = match flags & 2 {
                0 => u64::from(self.stream.read_u8().await.ok()?),
                _ => self.stream.read_u64().await.ok()?,
            };
            let mut body = vec![0; usize::try_from(length).unwrap()];
            self.stream.read_exact(&mut body).await.ok()?;
            Some((flags, body))
        })
        .await
    }

    /// The next message's frames, or `None` once the server has closed. A command is a failure.
    pub(crate) async fn message(&mut self) -> Option<Vec<Vec<u8>>> {
        let mut parts = Vec::new();
        loop {
            let (flags, body) = self.frame().await?;
            assert_eq!(flags & 4, 0, "a command instead of a message: {body:?}");
            parts.push(body);
            if flags & 1 == 0 {
                return Some(parts);
            }
        }
    }

    /// The next published frame as `topic payload`; empty once the server has closed.
    pub(crate) async fn text(&mut self) -> String {
        let parts = self.message().await.unwrap_or_default();
        parts.iter().map(|part| String::from_utf8_lossy(part)).collect::<Vec<_>>().join(" ")
    }

    /// Waits until the server closes, however much it still sends.
    pub(crate) async fn closed(&mut self) {
        let mut buffer = [0; 4096];
        within("the server's close", async {
            while self.stream.read(&mut buffer).await.is_ok_and(|count| count > 0) {}
        })
        .await;
    }
}
