//! The connecting side of ZeroMQ: SUB, DEALER and REQ sockets with one connection each, on our own ZMTP. Every step has
//! a deadline; connecting again is the caller's affair.

mod error;
mod pulse;
mod stream;

use std::time::Duration;

use bytes::Bytes;
use tokio::time::{Interval, MissedTickBehavior, interval, timeout};

pub use self::error::ZmqError;
use self::pulse::{Beat, LOOK_EVERY, Pulse};
use self::stream::Stream;
use crate::zmtp::{
    ClientSecurity, Command, Decoder, Encoder, Entropy, Handshake, Peer, Role, WireError, parse_command,
};

/// Bytes read at once.
const READ_BYTES: usize = 64 * 1024;
/// The part of a greeting that names the version; the mechanism follows.
const VERSION_END: usize = 12;
/// How long the server's greeting may take before the rest of ours is sent.
const GREETING_WAIT: Duration = Duration::from_millis(250);
/// A server that takes none of our bytes for this long is given up.
const WRITE_WITHIN: Duration = Duration::from_secs(10);

/// Which socket we are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Receives what it subscribed to.
    Sub,
    /// Sends and receives in any order; an envelope is the caller's affair.
    Dealer,
    /// Asks and waits: the empty frame before a question is added, and that before an answer is taken off.
    Req,
}

impl Kind {
    const fn role(self) -> Role {
        match self {
            Self::Sub => Role::SUBSCRIBER,
            Self::Dealer => Role::DEALER,
            Self::Req => Role::REQUESTER,
        }
    }
}

/// Bounds of one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ZmqLimits {
    /// Time to find the host and to connect (5 s).
    pub connect: Duration,
    /// Time for the handshake after that (5 s).
    pub handshake: Duration,
    /// Bytes of a received frame (16 MiB).
    pub max_frame: usize,
    /// Frames of a received message, with its envelope (16).
    pub max_frames: usize,
}

impl Default for ZmqLimits {
    fn default() -> Self {
        Self { connect: Duration::from_secs(5), handshake: Duration::from_secs(5), max_frame: 16 << 20, max_frames: 16 }
    }
}

/// Connects and completes the handshake.
///
/// # Errors
/// [`ZmqError`] says what is wrong: the endpoint, the way there, what listens there, or what it demands.
pub async fn connect(
    endpoint: &str,
    kind: Kind,
    security: &ClientSecurity,
    limits: ZmqLimits,
) -> Result<ZmqConnection, ZmqError> {
    let stream = Stream::connect(endpoint, limits.connect).await?;
    let handshake = Handshake::client(kind.role(), limits.max_frame, security, Entropy::from_system()?);
    let greeted = timeout(limits.handshake, greet(&stream, handshake));
    let greeted = greeted.await.map_err(|_| ZmqError::HandshakeTimeout(limits.handshake))?;
    let (peer, handshake) = greeted.map_err(|error| ZmqError::from_wire(error, security.mechanism()))?;
    let (decoder, encoder) = handshake.into_codec();
    let mut looks = interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks.reset();
    Ok(ZmqConnection {
        stream,
        kind,
        limits,
        peer,
        decoder,
        encoder,
        buffer: vec![0; READ_BYTES],
        parts: Vec::new(),
        pong: None,
        out: Vec::new(),
        written: 0,
        pulse: Pulse::new(peer.minor),
        looks,
    })
}

/// The greeting goes out in two parts: libzmq closes without naming its own mechanism if it hears of another one first.
async fn greet(stream: &Stream, mut handshake: Handshake) -> Result<(Peer, Handshake), WireError> {
    let greeting = handshake.greeting();
    let (version, mechanism) = greeting.split_at(VERSION_END);
    let mut out = mechanism.to_vec();
    write_all(stream, version).await.ok();
    let mut buffer = [0; 1024];
    let mut waits = true;
    loop {
        let read = match timeout(GREETING_WAIT, stream.read(&mut buffer)).await {
            Ok(read) => read,
            Err(_) if waits => {
                // It may be waiting for the rest of ours.
                waits = false;
                write_all(stream, &std::mem::take(&mut out)).await.ok();
                continue;
            }
            Err(_) => continue,
        };
        let met = match read {
            Ok(0) | Err(_) => Err(handshake.if_closed()),
            Ok(count) => handshake.step(&buffer[..count], &mut out),
        };
        if handshake.is_greeted() || !waits {
            waits = false;
            // What cannot be written shows as an end when read, after all that the server still had to say.
            write_all(stream, &std::mem::take(&mut out)).await.ok();
        }
        if let Some(peer) = met? {
            return Ok((peer, handshake));
        }
    }
}

async fn write_all(stream: &Stream, mut bytes: &[u8]) -> std::io::Result<()> {
    while !bytes.is_empty() {
        let count = stream.write(bytes).await?;
        bytes = &bytes[count..];
    }
    Ok(())
}

/// An established connection. After an error it is of no more use.
#[derive(Debug)]
pub struct ZmqConnection {
    stream: Stream,
    kind: Kind,
    limits: ZmqLimits,
    peer: Peer,
    decoder: Decoder,
    encoder: Encoder,
    buffer: Vec<u8>,
    /// The frames so far of a message that is not complete.
    parts: Vec<Bytes>,
    /// The PONG to send: only the latest, so that a peer that sends PINGs and never reads gains nothing.
    pong: Option<Vec<u8>>,
    /// Bytes to send, and how many of them are sent.
    out: Vec<u8>,
    written: usize,
    pulse: Pulse,
    looks: Interval,
}

impl ZmqConnection {
    /// Asks for messages whose first frame begins with `prefix`. Returns when the request is on its way.
    ///
    /// # Errors
    /// [`ZmqError::Closed`] and [`ZmqError::NotRead`].
    pub async fn subscribe(&mut self, prefix: &[u8]) -> Result<(), ZmqError> {
        self.encoder.put_subscribe(&mut self.out, self.peer.minor, prefix);
        self.flush().await
    }

    /// Sends a message. When this is cancelled, what is left of it goes out with the next call of any kind.
    ///
    /// # Errors
    /// [`ZmqError::Closed`] and [`ZmqError::NotRead`].
    pub async fn send(&mut self, frames: &[&[u8]]) -> Result<(), ZmqError> {
        if self.kind == Kind::Req {
            self.encoder.put_frame(&mut self.out, !frames.is_empty(), b"");
        }
        for (at, frame) in frames.iter().enumerate() {
            self.encoder.put_frame(&mut self.out, at + 1 < frames.len(), frame);
        }
        self.flush().await
    }

    /// The next message. Meanwhile PINGs are answered, and a server that is quiet for 10 s is asked whether it is there.
    /// Nothing is lost when this is cancelled.
    ///
    /// # Errors
    /// The connection's end, [`ZmqError::Silent`], or a breach of the protocol or of the limits.
    pub async fn receive(&mut self) -> Result<Vec<Bytes>, ZmqError> {
        loop {
            if let Some(message) = self.take_message()? {
                return self.without_envelope(message);
            }
            self.put_pong();
            tokio::select! {
                biased;
                read = self.stream.read(&mut self.buffer) => match read {
                    Ok(0) | Err(_) => return Err(ZmqError::Closed),
                    Ok(count) => {
                        self.decoder.feed(&self.buffer[..count]);
                        self.pulse.heard();
                    }
                },
                written = self.stream.write(&self.out[self.written..]), if self.written < self.out.len() => {
                    self.advance(written.map_err(|_| ZmqError::Closed)?);
                }
                _ = self.looks.tick() => match self.pulse.look() {
                    Beat::Wait => {}
                    Beat::Ping => self.encoder.put_ping(&mut self.out, 0),
                    Beat::Dead(quiet) => return Err(ZmqError::Silent(quiet)),
                },
            }
        }
    }

    /// Takes complete frames until they make up a message, and does what commands say.
    fn take_message(&mut self) -> Result<Option<Vec<Bytes>>, ZmqError> {
        while let Some(frame) = self.decoder.next_frame().map_err(wire)? {
            if frame.command {
                match parse_command(frame.body).map_err(wire)? {
                    Command::Ping { ttl_deciseconds, context } => {
                        self.pulse.announced(ttl_deciseconds);
                        self.pong = Some(context.to_vec());
                    }
                    Command::Error(_) => return Err(ZmqError::Closed),
                    _ => {}
                }
                continue;
            }
            if self.parts.len() == self.limits.max_frames {
                return Err(ZmqError::TooManyFrames(self.limits.max_frames));
            }
            self.parts.push(Bytes::copy_from_slice(frame.body));
            if !frame.more {
                return Ok(Some(std::mem::take(&mut self.parts)));
            }
        }
        Ok(None)
    }

    fn without_envelope(&self, mut message: Vec<Bytes>) -> Result<Vec<Bytes>, ZmqError> {
        if self.kind != Kind::Req {
            return Ok(message);
        }
        match message.first() {
            Some(first) if first.is_empty() && message.len() > 1 => {
                message.remove(0);
                Ok(message)
            }
            _ => Err(ZmqError::Envelope),
        }
    }

    fn put_pong(&mut self) {
        if self.out.is_empty()
            && let Some(context) = self.pong.take()
        {
            self.encoder.put_pong(&mut self.out, &context);
        }
    }

    fn advance(&mut self, count: usize) {
        self.written += count;
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        }
    }

    async fn flush(&mut self) -> Result<(), ZmqError> {
        while self.written < self.out.len() {
            let written = timeout(WRITE_WITHIN, self.stream.write(&self.out[self.written..])).await;
            let written = written.map_err(|_| ZmqError::NotRead(WRITE_WITHIN))?;
            self.advance(written.map_err(|_| ZmqError::Closed)?);
        }
        Ok(())
    }
}

/// What the wire said after the handshake, when there is nothing left to refuse.
fn wire(error: WireError) -> ZmqError {
    ZmqError::from_wire(error, "")
}

#[cfg(test)]
mod tests;
