//! The ZMTP 3.0 and 3.1 wire format (RFC 23 and RFC 37, NULL mechanism, listening side). Pure: bytes in, frames out,
//! for any split of the bytes.

use thiserror::Error;

/// Frame flag: another frame of the same message follows.
pub const MORE: u8 = 0x01;
const LONG: u8 = 0x02;
const COMMAND: u8 = 0x04;

const GREETING_LEN: usize = 64;
/// A PING may carry this much for its PONG to return (RFC 37).
const MAX_PING_CONTEXT: usize = 16;
/// The longest body whose length fits the one-byte header.
const MAX_SHORT: usize = 255;

/// How a connecting socket proves who it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientSecurity {
    /// Not at all.
    #[default]
    Null,
}

/// What a peer did that ends its connection.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WireError {
    /// The first bytes are not a ZMTP greeting (HTTP, TLS, a port scan).
    #[error("the peer does not speak ZMTP")]
    NotZmtp,
    /// A ZMTP before 3.0 (libzmq before 4.0).
    #[error("the peer speaks ZMTP {0}.x; 3.0 or newer is needed (libzmq 4.0 or newer)")]
    OldVersion(u8),
    /// PLAIN, CURVE or GSSAPI.
    #[error("the peer asks for a security mechanism; only NULL is offered")]
    Mechanism,
    /// A frame longer than the limit was announced. Nothing was allocated for it.
    #[error("a frame of {length} bytes is announced; at most {limit} are allowed")]
    TooLarge {
        /// Bytes announced.
        length: u64,
        /// Bytes allowed.
        limit: usize,
    },
    /// Reserved flag bits, or a command that claims to continue.
    #[error("a frame has the flags {0:#04x}, which ZMTP does not define")]
    Flags(u8),
    /// A command whose name or properties do not fit its length.
    #[error("a command is malformed")]
    Command,
    /// Something other than READY during the handshake.
    #[error("the peer did not answer the greeting with READY")]
    NotReady,
    /// READY without `Socket-Type`, or with one that cannot talk to ours.
    #[error("a socket of type `{0}` cannot connect here")]
    SocketType(String),
}

/// One frame of a message, or one command, as the decoder sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WireFrame<'a> {
    /// Another frame of the same message follows.
    pub more: bool,
    /// A command, not part of a message.
    pub command: bool,
    /// The bytes after the header.
    pub body: &'a [u8],
}

/// Splits a byte stream into frames. Holds at most one incomplete frame (bounded by the limit) and what was fed last.
#[derive(Debug)]
pub struct Decoder {
    buffer: Vec<u8>,
    read: usize,
    limit: usize,
}

impl Decoder {
    /// A decoder that refuses frames longer than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), read: 0, limit }
    }

    /// Adds bytes from the socket. Take all complete frames before feeding again.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.read);
        self.read = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The next complete frame, or `None` when more bytes are needed.
    ///
    /// # Errors
    /// [`WireError::Flags`] and [`WireError::TooLarge`], as soon as the header shows them.
    pub fn next_frame(&mut self) -> Result<Option<WireFrame<'_>>, WireError> {
        let rest = &self.buffer[self.read..];
        let Some(&flags) = rest.first() else { return Ok(None) };
        let command = flags & COMMAND != 0;
        if flags & !(MORE | LONG | COMMAND) != 0 || (command && flags & MORE != 0) {
            return Err(WireError::Flags(flags));
        }
        let Some((length, header)) = frame_length(rest, flags) else { return Ok(None) };
        let body_len = match usize::try_from(length) {
            Ok(body_len) if body_len <= self.limit => body_len,
            _ => return Err(WireError::TooLarge { length, limit: self.limit }),
        };
        if rest.len() - header < body_len {
            return Ok(None);
        }
        let start = self.read + header;
        self.read = start + body_len;
        Ok(Some(WireFrame { more: flags & MORE != 0, command, body: &self.buffer[start..self.read] }))
    }

    /// The peer's minor version, once its whole greeting is here. Garbage is refused at its first wrong byte.
    fn greeting(&mut self) -> Result<Option<u8>, WireError> {
        let bytes = &self.buffer[self.read..];
        if bytes.first().is_some_and(|&b| b != 0xff) || bytes.get(9).is_some_and(|&b| b & 1 == 0) {
            return Err(WireError::NotZmtp);
        }
        if let Some(&major) = bytes.get(10).filter(|&&major| major < 3) {
            return Err(WireError::OldVersion(major));
        }
        if bytes.len() < GREETING_LEN {
            return Ok(None);
        }
        let mut null = [0; 20];
        null[..4].copy_from_slice(b"NULL");
        if bytes[12..32] != null {
            return Err(WireError::Mechanism);
        }
        // A newer major version falls back to ours, which is 3.1.
        let minor = if bytes[10] > 3 { 1 } else { bytes[11] };
        self.read += GREETING_LEN;
        Ok(Some(minor))
    }
}

/// Body length and header length of the frame that `bytes` begin with; `None` if the header is incomplete.
fn frame_length(bytes: &[u8], flags: u8) -> Option<(u64, usize)> {
    if flags & LONG == 0 {
        return bytes.get(1).map(|&length| (u64::from(length), 2));
    }
    let length = bytes.get(1..9)?;
    Some((length.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)), 9))
}

/// A command of an established connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Properties follow.
    Ready(&'a [u8]),
    /// The peer gives up.
    Error,
    /// A subscription to this prefix.
    Subscribe(&'a [u8]),
    /// The end of one subscription to this prefix.
    Cancel(&'a [u8]),
    /// To be answered with a PONG of this context (at most 16 bytes).
    Ping(&'a [u8]),
    /// An answer to our PING.
    Pong,
    /// Not known here; to be skipped.
    Other,
}

/// Reads a command frame's body.
///
/// # Errors
/// [`WireError::Command`] when the name or a PING does not fit.
pub fn parse_command(body: &[u8]) -> Result<Command<'_>, WireError> {
    let (name, data) = short_string(body).ok_or(WireError::Command)?;
    Ok(match name {
        b"READY" => Command::Ready(data),
        b"ERROR" => Command::Error,
        b"SUBSCRIBE" => Command::Subscribe(data),
        b"CANCEL" => Command::Cancel(data),
        // Two bytes of time-to-live come before the context.
        b"PING" => {
            let context = data.get(2..).ok_or(WireError::Command)?;
            Command::Ping(&context[..context.len().min(MAX_PING_CONTEXT)])
        }
        b"PONG" => Command::Pong,
        _ => Command::Other,
    })
}

/// Reads a message frame of a subscriber: ZMTP 3.0 sends `\x01prefix` and `\x00prefix` as messages.
/// Anything else a subscriber sends means nothing to a publisher.
pub fn parse_subscription(body: &[u8]) -> Command<'_> {
    match body {
        [1, prefix @ ..] => Command::Subscribe(prefix),
        [0, prefix @ ..] => Command::Cancel(prefix),
        _ => Command::Other,
    }
}

fn short_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(length))
}

/// The value of `Socket-Type` among READY's properties (name: 1 + n bytes, value: 4 + n bytes).
fn socket_type(mut properties: &[u8]) -> Result<&[u8], WireError> {
    let mut found: &[u8] = b"";
    while !properties.is_empty() {
        let (name, rest) = short_string(properties).ok_or(WireError::Command)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(WireError::Command)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| WireError::Command)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(WireError::Command)?;
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            found = value;
        }
        properties = rest;
    }
    Ok(found)
}

/// Our greeting: ZMTP 3.1, NULL.
pub fn greeting() -> [u8; GREETING_LEN] {
    let mut bytes = [0; GREETING_LEN];
    bytes[0] = 0xff;
    bytes[9] = 0x7f;
    bytes[10] = 3;
    bytes[11] = 1;
    bytes[12..16].copy_from_slice(b"NULL");
    bytes
}

/// Appends a message frame's header; the body of `length` bytes is to follow.
pub fn put_header(out: &mut Vec<u8>, more: bool, length: usize) {
    put_flags_and_length(out, if more { MORE } else { 0 }, length);
}

/// Appends a whole message frame.
pub fn put_frame(out: &mut Vec<u8>, more: bool, body: &[u8]) {
    put_header(out, more, body.len());
    out.extend_from_slice(body);
}

/// Appends a PING. A peer that hears nothing for `ttl_deciseconds` after it may close the connection; 0 is no limit.
pub fn put_ping(out: &mut Vec<u8>, ttl_deciseconds: u16) {
    put_command(out, b"PING", &ttl_deciseconds.to_be_bytes());
}

/// Appends a PONG that returns a PING's context.
pub fn put_pong(out: &mut Vec<u8>, context: &[u8]) {
    put_command(out, b"PONG", context);
}

fn put_ready(out: &mut Vec<u8>, socket_type: &'static str) {
    let mut properties = b"\x0bSocket-Type\x00\x00\x00".to_vec();
    properties.push(u8::try_from(socket_type.len()).unwrap_or(u8::MAX));
    properties.extend_from_slice(socket_type.as_bytes());
    put_command(out, b"READY", &properties);
}

fn put_error(out: &mut Vec<u8>, reason: &str) {
    let reason = &reason.as_bytes()[..reason.len().min(MAX_SHORT)];
    let mut data = vec![u8::try_from(reason.len()).unwrap_or(u8::MAX)];
    data.extend_from_slice(reason);
    put_command(out, b"ERROR", &data);
}

fn put_command(out: &mut Vec<u8>, name: &[u8], data: &[u8]) {
    put_flags_and_length(out, COMMAND, 1 + name.len() + data.len());
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name);
    out.extend_from_slice(data);
}

fn put_flags_and_length(out: &mut Vec<u8>, flags: u8, length: usize) {
    match u8::try_from(length) {
        Ok(short) => out.extend_from_slice(&[flags, short]),
        Err(_) => {
            out.push(flags | LONG);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}

/// Which socket we are, and which may connect to it.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    ours: &'static str,
    accepts: &'static [&'static str],
}

impl Role {
    /// The side that publishes to subscribers.
    pub const PUBLISHER: Self = Self { ours: "PUB", accepts: &["SUB", "XSUB"] };
    /// The side that answers requests.
    pub const REPLIER: Self = Self { ours: "ROUTER", accepts: &["REQ", "DEALER", "ROUTER"] };
}

/// What the handshake found out about the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// ZMTP's minor version: 0 means that the peer may not know PING and other commands.
    pub minor: u8,
}

/// Greeting and READY, step by step. Our greeting is to be sent before the first step.
#[derive(Debug)]
pub struct Handshake {
    role: Role,
    decoder: Decoder,
    minor: Option<u8>,
}

impl Handshake {
    /// A handshake whose connection refuses frames longer than `limit` bytes.
    pub fn new(role: Role, limit: usize) -> Self {
        Self { role, decoder: Decoder::new(limit), minor: None }
    }

    /// Takes bytes from the socket and appends what is to be sent (also after an error) to `out`.
    /// Returns the peer when the handshake is complete; then go on with [`Self::into_decoder`].
    ///
    /// # Errors
    /// The peer is no ZMTP 3.x NULL socket of a type that fits ours.
    pub fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Option<Peer>, WireError> {
        self.decoder.feed(input);
        let minor = match self.minor {
            Some(minor) => minor,
            None => {
                let Some(minor) = self.decoder.greeting()? else { return Ok(None) };
                self.minor = Some(minor);
                put_ready(out, self.role.ours);
                minor
            }
        };
        let Some(frame) = self.decoder.next_frame()? else { return Ok(None) };
        check_ready(frame, self.role).inspect_err(|error| put_error(out, &error.to_string()))?;
        Ok(Some(Peer { minor }))
    }

    /// The decoder, which may already hold the peer's first frames.
    pub fn into_decoder(self) -> Decoder {
        self.decoder
    }
}

fn check_ready(frame: WireFrame<'_>, role: Role) -> Result<(), WireError> {
    if !frame.command {
        return Err(WireError::NotReady);
    }
    let Command::Ready(properties) = parse_command(frame.body)? else { return Err(WireError::NotReady) };
    let name = socket_type(properties)?;
    if role.accepts.iter().any(|accepted| accepted.as_bytes() == name) {
        return Ok(());
    }
    let shown: Vec<u8> = name.iter().copied().take(16).filter(u8::is_ascii_graphic).collect();
    Err(WireError::SocketType(String::from_utf8_lossy(&shown).into_owned()))
}

/// Runs arbitrary bytes through the handshake and the decoder as a connection would; the first byte chooses how they
/// are split. For fuzzing: it must never panic nor hold more than it was fed.
pub fn fuzz_decode(data: &[u8]) {
    let Some((&split, data)) = data.split_first() else { return };
    let chunk = usize::from(split).max(1);
    let mut out = Vec::new();
    for role in [Role::PUBLISHER, Role::REPLIER] {
        let mut handshake = Handshake::new(role, 4096);
        let mut chunks = data.chunks(chunk);
        let met = chunks.by_ref().find_map(|bytes| handshake.step(bytes, &mut out).transpose());
        if matches!(met, Some(Ok(_))) {
            fuzz_frames(handshake.into_decoder(), chunks);
        }
    }
    fuzz_frames(Decoder::new(4096), data.chunks(chunk));
}

fn fuzz_frames<'a>(mut decoder: Decoder, chunks: impl Iterator<Item = &'a [u8]>) {
    // The empty chunk first: frames that came together with READY.
    for bytes in std::iter::once(&[][..]).chain(chunks) {
        decoder.feed(bytes);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) if frame.command => drop(parse_command(frame.body)),
                Ok(Some(frame)) => drop(parse_subscription(frame.body)),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests;
