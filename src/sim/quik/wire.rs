//! One ZeroMQ connection of the simulated terminal: the handshake, then messages in and out, as libzmq would do it.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::zmtp::{
    Command, Decoder, Encoder, Entropy, Handshake, Role, ServerSecurity, WireError, parse_command, parse_subscription,
};

/// Longest frame of a client: Lua source can be long.
const MOST_FRAME: usize = 1 << 20;
/// Frames of a message at most.
const MOST_FRAMES: usize = 64;
/// Time for a client's handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);
const READ_BYTES: usize = 16 << 10;

/// What a client sent.
pub(super) enum Received {
    /// A whole message.
    Message(Vec<Bytes>),
    /// A subscription to this prefix.
    Subscribe(Bytes),
    /// The end of one.
    Cancel(Bytes),
}

/// The sending side; shared between whoever has something to say.
pub(super) struct Writer {
    half: OwnedWriteHalf,
    encoder: Encoder,
    out: Vec<u8>,
}

impl Writer {
    /// Adds a message to what is sent next.
    pub(super) fn put(&mut self, frames: &[Bytes]) {
        for (at, frame) in frames.iter().enumerate() {
            self.encoder.put_frame(&mut self.out, at + 1 < frames.len(), frame);
        }
    }

    /// Sends what was put. A client that is gone misses it.
    pub(super) async fn flush(&mut self) {
        let written = self.half.write_all(&self.out).await;
        self.out.clear();
        if let Err(error) = written {
            tracing::debug!(%error, "client is gone");
        }
    }
}

/// The receiving side.
pub(super) struct Reader {
    half: OwnedReadHalf,
    decoder: Decoder,
    writer: Arc<Mutex<Writer>>,
    parts: Vec<Bytes>,
    buffer: Vec<u8>,
}

/// Completes the handshake; `None` if the client is none of ours.
pub(super) async fn greet(
    stream: TcpStream,
    role: Role,
    security: &ServerSecurity,
) -> Option<(Reader, Arc<Mutex<Writer>>)> {
    stream.set_nodelay(true).ok();
    let (mut reading, mut writing) = stream.into_split();
    let handshake = timeout(HANDSHAKE, shake(&mut reading, &mut writing, role, security)).await.ok()?;
    let handshake = handshake.inspect_err(|error| tracing::info!(%error, "client refused")).ok()?;
    let (decoder, encoder) = handshake.into_codec();
    let writer = Arc::new(Mutex::new(Writer { half: writing, encoder, out: Vec::new() }));
    let (parts, buffer) = (Vec::new(), vec![0; READ_BYTES]);
    Some((Reader { half: reading, decoder, writer: Arc::clone(&writer), parts, buffer }, writer))
}

async fn shake(
    reading: &mut OwnedReadHalf,
    writing: &mut OwnedWriteHalf,
    role: Role,
    security: &ServerSecurity,
) -> Result<Handshake, WireError> {
    let entropy = Entropy::from_system().map_err(|_| WireError::Left)?;
    let mut handshake = Handshake::server(role, MOST_FRAME, security, entropy);
    let mut out = handshake.greeting().to_vec();
    let mut buffer = [0; 512];
    let mut met = Ok(None);
    loop {
        // A client that takes nothing shows at the next read.
        writing.write_all(&out).await.ok();
        out.clear();
        if met?.is_some() {
            return Ok(handshake);
        }
        met = match reading.read(&mut buffer).await {
            Ok(0) | Err(_) => Err(WireError::Left),
            Ok(count) => handshake.step(&buffer[..count], &mut out),
        };
    }
}

impl Reader {
    /// Waits for what the client sends next; `None` when it is gone or breaks the protocol. PINGs are answered.
    pub(super) async fn next(&mut self) -> Option<Received> {
        loop {
            match self.take() {
                Ok(Some(received)) => return Some(received),
                Ok(None) => {}
                Err(error) => {
                    tracing::info!(%error, "client disconnected");
                    return None;
                }
            }
            self.writer.lock().await.flush().await;
            match self.half.read(&mut self.buffer).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.decoder.feed(&self.buffer[..count]),
            }
        }
    }

    fn take(&mut self) -> Result<Option<Received>, WireError> {
        while let Some(frame) = self.decoder.next_frame()? {
            if frame.command {
                match parse_command(frame.body)? {
                    Command::Subscribe(prefix) => {
                        return Ok(Some(Received::Subscribe(Bytes::copy_from_slice(prefix))));
                    }
                    Command::Cancel(prefix) => return Ok(Some(Received::Cancel(Bytes::copy_from_slice(prefix)))),
                    Command::Ping { context, .. } => {
                        // Somebody is sending: that one's flush takes the PONG along, or the next PING's does.
                        if let Ok(mut writer) = self.writer.try_lock() {
                            let Writer { encoder, out, .. } = &mut *writer;
                            encoder.put_pong(out, context);
                        }
                    }
                    Command::Error(_) => return Err(WireError::Left),
                    Command::Ready(_) | Command::Pong | Command::Other => {}
                }
                continue;
            }
            let more = frame.more;
            self.parts.push(Bytes::copy_from_slice(frame.body));
            if self.parts.len() > MOST_FRAMES {
                return Err(WireError::Expected("fewer frames"));
            }
            if !more {
                return Ok(Some(Received::Message(std::mem::take(&mut self.parts))));
            }
        }
        Ok(None)
    }
}

impl Received {
    /// What a subscriber means by it: clients of ZMTP 3.0 subscribe with messages.
    pub(super) fn of_subscriber(self) -> Option<Self> {
        let Self::Message(parts) = self else { return Some(self) };
        match parts.first().map(|first| parse_subscription(first)) {
            Some(Command::Subscribe(prefix)) => Some(Self::Subscribe(Bytes::copy_from_slice(prefix))),
            Some(Command::Cancel(prefix)) => Some(Self::Cancel(Bytes::copy_from_slice(prefix))),
            _ => None,
        }
    }
}
