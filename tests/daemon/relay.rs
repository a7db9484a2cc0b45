//! A TCP relay between the bus and its subscribers that loses chosen frames without a trace, as a broken network or a full
//! queue on the way does.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// ZMTP's flags of a frame (RFC 37).
const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// Running until dropped.
pub(crate) struct Relay {
    /// Where subscribers connect.
    pub(crate) endpoint: String,
    counts: Arc<Counts>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Counts {
    /// How many more are to be lost.
    wanted: AtomicU64,
    lost: AtomicU64,
}

impl Relay {
    /// Starts one to the bus at `endpoint`; frames of topics that begin with `prefix` can be lost.
    pub(crate) async fn start(endpoint: &str, prefix: &'static str) -> Self {
        let bus = endpoint.strip_prefix("tcp://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
        let counts = Arc::new(Counts::default());
        let shared = Arc::clone(&counts);
        let task = tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.unwrap();
                // Nobody there: the client is closed, and comes again.
                let Ok(bus) = TcpStream::connect(&bus).await else { continue };
                tokio::spawn(serve(client, bus, prefix, Arc::clone(&shared)));
            }
        });
        Self { endpoint, counts, task }
    }

    /// From now on, loses so many frames.
    pub(crate) fn lose(&self, count: u64) {
        self.counts.lost.store(0, Ordering::SeqCst);
        self.counts.wanted.store(count, Ordering::SeqCst);
    }

    /// How many were lost since.
    pub(crate) fn lost(&self) -> u64 {
        self.counts.lost.load(Ordering::SeqCst)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until one side closes; then both are.
async fn serve(client: TcpStream, bus: TcpStream, prefix: &str, counts: Arc<Counts>) {
    let (mut from_client, to_client) = client.into_split();
    let (from_bus, mut to_bus) = bus.into_split();
    tokio::select! {
        _ = copy(&mut from_client, &mut to_bus) => {}
        _ = pass(from_bus, to_client, prefix.as_bytes(), &counts) => {}
    }
}

async fn pass(
    mut bus: OwnedReadHalf,
    mut client: OwnedWriteHalf,
    prefix: &[u8],
    counts: &Counts,
) -> std::io::Result<()> {
    let mut greeting = [0; 64];
    bus.read_exact(&mut greeting).await?;
    client.write_all(&greeting).await?;
    loop {
        let mut bytes = Vec::new();
        let topic = read_frame(&mut bus, &mut bytes).await?;
        let mut flags = bytes[0];
        let ours = flags & COMMAND == 0 && bytes[topic..].starts_with(prefix);
        while flags & MORE != 0 {
            let start = bytes.len();
            read_frame(&mut bus, &mut bytes).await?;
            flags = bytes[start];
        }
        let one_less = |left: u64| left.checked_sub(1);
        if ours && counts.wanted.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok() {
            counts.lost.fetch_add(1, Ordering::SeqCst);
        } else {
            client.write_all(&bytes).await?;
        }
    }
}

/// Appends the next frame, header and all, and returns where its body starts.
async fn read_frame(bus: &mut OwnedReadHalf, bytes: &mut Vec<u8>) -> std::io::Result<usize> {
    let flags = bus.read_u8().await?;
    bytes.push(flags);
    let length = if flags & LONG == 0 {
        let length = bus.read_u8().await?;
        bytes.push(length);
        u64::from(length)
    } else {
        let length = bus.read_u64().await?;
        bytes.extend(length.to_be_bytes());
        length
    };
    let body = bytes.len();
    bytes.resize(body + usize::try_from(length).unwrap(), 0);
    bus.read_exact(&mut bytes[body..]).await?;
    Ok(body)
}
