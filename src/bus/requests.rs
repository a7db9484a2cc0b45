//! The answering side of the bus, for REQ and DEALER sockets in any language: one request at a time per connection,
//! on the same ZMTP server as the publisher.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

use super::bind::BindError;
use super::connection::{Connection, Greeted, READ_BYTES};
use super::faults::{Fault, Refused};
use super::heartbeat::{Beat, Heartbeat, HeartbeatOptions};
use super::listener::{Door, Draining, Listeners};
use crate::zmtp::{self, Command, Decoder, Encoder, Peer, Role, ServerSecurity};

/// Frames of one request at most, with its envelope.
const MAX_FRAMES: usize = 16;

/// A reply to come: one or more frames.
pub type Reply<'a> = Pin<Box<dyn Future<Output = Vec<Bytes>> + Send + 'a>>;

/// Who asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Asker {
    /// Its connection: a number that no other connection of this process has.
    pub connection: u64,
    /// The routing identity its socket has set, if any. Nothing proves it.
    pub identity: Option<Box<[u8]>>,
}

/// Connections are counted over all servers of the process.
static CONNECTIONS: AtomicU64 = AtomicU64::new(1);

/// Answers requests. Requests of one connection come one after the other, those of several at the same time.
pub trait RequestHandler: Send + Sync {
    /// Answers a request: the last frame of the message; frames before it are its envelope, which the reply gets back.
    /// The future is always run to its end, also when the client leaves; it must not wait for ever.
    fn handle<'a>(&'a self, request: Bytes, asker: &'a Asker) -> Reply<'a>;

    /// A connection that may have asked is gone.
    fn left(&self, _asker: &Asker) {}
}

/// How to answer requests.
#[derive(Clone, Debug)]
pub struct RequestOptions {
    /// Bytes of one request with its envelope (64 KiB).
    pub max_request: usize,
    /// Connections at a time (256).
    pub max_connections: usize,
    /// Connections at a time from one address (any number).
    pub max_per_address: Option<usize>,
    /// Time for a peer's handshake (5 s).
    pub handshake: Duration,
    /// A client that has not read its reply within this time is disconnected (10 s).
    pub reply_within: Duration,
    /// Heartbeats towards peers of ZMTP 3.1.
    pub heartbeat: HeartbeatOptions,
    /// What peers must show (nothing).
    pub security: ServerSecurity,
}

impl Default for RequestOptions {
    fn default() -> Self {
        Self {
            max_request: 64 << 10,
            max_connections: 256,
            max_per_address: None,
            handshake: Duration::from_secs(5),
            reply_within: Duration::from_secs(10),
            heartbeat: HeartbeatOptions::default(),
            security: ServerSecurity::Null,
        }
    }
}

/// Counters since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RequestStats {
    /// Connections accepted.
    pub accepted: u64,
    /// Requests answered.
    pub answered: u64,
    /// Connections refused or ended by us, by reason.
    pub refused: Refused,
}

struct Shared {
    options: RequestOptions,
    handler: Arc<dyn RequestHandler>,
    door: Arc<Door>,
    answered: AtomicU64,
}

/// A bound request socket. Dropping it closes all connections at once.
pub struct RequestServer {
    shared: Arc<Shared>,
    listeners: Listeners,
}

impl RequestServer {
    /// Binds the endpoint (spelled as for [`super::PublisherOptions::endpoints`]) and starts answering on the current
    /// tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] names the endpoint, what is wrong with it and what to do.
    pub async fn bind(
        endpoint: &str,
        options: RequestOptions,
        handler: Arc<dyn RequestHandler>,
    ) -> Result<Self, BindError> {
        let door = Arc::new(Door::new(options.max_connections, options.max_per_address));
        let shared = Arc::new(Shared { options, handler, door: Arc::clone(&door), answered: AtomicU64::new(0) });
        let serve = {
            let shared = Arc::clone(&shared);
            move |connection, _| serve(Arc::clone(&shared), connection)
        };
        let listeners = Listeners::start(&[endpoint.to_owned()], door, serve).await?;
        Ok(Self { shared, listeners })
    }

    /// The bound endpoint, with its actual port.
    pub fn endpoints(&self) -> &[String] {
        self.listeners.endpoints()
    }

    /// Counters.
    pub fn stats(&self) -> RequestStats {
        RequestStats {
            accepted: self.shared.door.accepted.load(Ordering::Relaxed),
            answered: self.shared.answered.load(Ordering::Relaxed),
            refused: self.shared.door.faults.refused(),
        }
    }

    /// Stops accepting, lets requests that are being answered finish until the deadline, then closes all sockets.
    pub async fn close(&self, deadline: Duration) {
        self.listeners.close(deadline).await;
    }
}

async fn serve(shared: Arc<Shared>, connection: Connection) -> Result<(), Fault> {
    let options = &shared.options;
    let mut draining = shared.door.draining();
    let Greeted { peer, identity, decoder, encoder } = tokio::select! {
        greeted = connection.handshake(Role::REPLIER, options.max_request, &options.security, options.handshake) => greeted?,
        () = draining.begun() => return Ok(()),
    };
    let asker = Asker { connection: CONNECTIONS.fetch_add(1, Ordering::Relaxed), identity };
    let _leaves = Leaves { handler: &*shared.handler, asker: &asker };
    let client = Client {
        shared: &shared,
        asker: &asker,
        connection: &connection,
        peer,
        decoder,
        encoder,
        heartbeat: Heartbeat::new(options.heartbeat, peer.minor),
        buffer: vec![0; READ_BYTES],
        parts: Vec::new(),
        next: None,
        commands: Vec::new(),
    };
    let ended = client.run(draining).await;
    if ended.is_ok() {
        connection.finish().await;
    }
    ended
}

/// Tells the handler, however the connection ends.
struct Leaves<'a> {
    handler: &'a dyn RequestHandler,
    asker: &'a Asker,
}

impl Drop for Leaves<'_> {
    fn drop(&mut self) {
        self.handler.left(self.asker);
    }
}

struct Client<'a> {
    shared: &'a Shared,
    asker: &'a Asker,
    connection: &'a Connection,
    peer: Peer,
    decoder: Decoder,
    encoder: Encoder,
    heartbeat: Heartbeat,
    buffer: Vec<u8>,
    /// The frames so far of a message that is not complete.
    parts: Vec<Bytes>,
    /// A request that came while the one before it was being answered. Nothing more is read until it is taken.
    next: Option<Vec<Bytes>>,
    /// Commands to send.
    commands: Vec<u8>,
}

impl Client<'_> {
    async fn run(mut self, mut draining: Draining) -> Result<(), Fault> {
        let mut looks = self.looks();
        loop {
            self.take_frames()?;
            self.send_commands().await?;
            if let Some(request) = self.next.take() {
                self.answer(request).await?;
                continue;
            }
            tokio::select! {
                read = self.connection.read(&mut self.buffer) => {
                    let count = read?;
                    self.heard(count);
                }
                _ = looks.tick() => self.look()?,
                () = draining.begun() => return Ok(()),
            }
        }
    }

    fn looks(&self) -> Interval {
        let mut looks = interval(self.shared.options.heartbeat.check_every());
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.reset();
        looks
    }

    fn heard(&mut self, count: usize) {
        self.decoder.feed(&self.buffer[..count]);
        self.heartbeat.heard();
    }

    fn look(&mut self) -> Result<(), Fault> {
        self.check_key()?;
        match self.heartbeat.look() {
            Beat::Wait => {}
            Beat::Ping => self.encoder.put_ping(&mut self.commands, 0),
            Beat::Dead => return Err(Fault::Silent(self.shared.options.heartbeat.drop_after)),
        }
        Ok(())
    }

    /// A key may have been taken off the list since the peer showed it.
    fn check_key(&self) -> Result<(), Fault> {
        let allowed = self.shared.options.security.still_allows(self.peer.key.as_ref());
        if allowed { Ok(()) } else { Err(Fault::Revoked) }
    }

    /// Takes complete frames until they make up a request.
    fn take_frames(&mut self) -> Result<(), Fault> {
        let limit = self.shared.options.max_request;
        while self.next.is_none() {
            let Some(frame) = self.decoder.next_frame()? else { break };
            if !frame.command {
                self.parts.push(Bytes::copy_from_slice(frame.body));
                if self.parts.len() > MAX_FRAMES || self.parts.iter().map(Bytes::len).sum::<usize>() > limit {
                    return Err(Fault::Request(limit));
                }
                if !frame.more {
                    self.next = Some(std::mem::take(&mut self.parts));
                }
                continue;
            }
            match zmtp::parse_command(frame.body)? {
                Command::Ping { context, .. } => {
                    // Only the latest is answered, so that a peer that never reads gains nothing.
                    self.commands.clear();
                    self.encoder.put_pong(&mut self.commands, context);
                }
                Command::Error(_) => return Err(Fault::Closed),
                _ => {}
            }
        }
        Ok(())
    }

    async fn send_commands(&mut self) -> Result<(), Fault> {
        let commands = std::mem::take(&mut self.commands);
        self.send(&commands).await
    }

    async fn send(&self, bytes: &[u8]) -> Result<(), Fault> {
        let within = self.shared.options.reply_within;
        timeout(within, self.connection.write_all(bytes)).await.map_err(|_| Fault::ReplyNotRead(within))?
    }

    async fn answer(&mut self, mut message: Vec<Bytes>) -> Result<(), Fault> {
        self.check_key()?;
        let request = message.pop().unwrap_or_default();
        let reply = self.wait_for_reply(request).await?;
        let mut out = Vec::new();
        for envelope in &message {
            self.encoder.put_frame(&mut out, true, envelope);
        }
        // A reply without frames would leave a REQ socket waiting for ever.
        let (last, rest) = reply.split_last().map_or((&[][..], &[][..]), |(last, rest)| (&last[..], rest));
        for frame in rest {
            self.encoder.put_frame(&mut out, true, frame);
        }
        self.encoder.put_frame(&mut out, false, last);
        self.shared.answered.fetch_add(1, Ordering::Relaxed);
        self.send(&out).await
    }

    /// Waits for the handler, and meanwhile answers PINGs; otherwise a client with short heartbeats would leave.
    async fn wait_for_reply(&mut self, request: Bytes) -> Result<Vec<Bytes>, Fault> {
        let shared = self.shared;
        let mut reply = shared.handler.handle(request, self.asker);
        let left = loop {
            // Frames may already be here: sent together with the request.
            let met = match self.take_frames() {
                Ok(()) => self.send_commands().await,
                Err(fault) => Err(fault),
            };
            if let Err(fault) = met {
                break fault;
            }
            tokio::select! {
                biased;
                reply = &mut reply => return Ok(reply),
                read = self.connection.read(&mut self.buffer), if self.next.is_none() => match read {
                    Ok(count) => self.heard(count),
                    Err(fault) => break fault,
                },
            }
        };
        reply.await;
        Err(left)
    }
}
