//! Frames: splitting a byte stream into them, and writing them; sealed ones too, once CURVE's handshake is over.

use super::WireError;
use super::commands::{put_ping, put_pong};
use super::curve::{Opener, SEALED_EXTRA, Sealer};

/// Frame flag: another frame of the same message follows.
pub const MORE: u8 = 0x01;
pub(super) const LONG: u8 = 0x02;
/// Frame flag: a command.
pub(super) const COMMAND: u8 = 0x04;

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
    opener: Option<Box<Opener>>,
}

impl Decoder {
    /// A decoder that refuses frames longer than `limit` bytes.
    pub fn new(limit: usize) -> Self {
        Self { buffer: Vec::new(), read: 0, limit, opener: None }
    }

    /// Sets what holds after the handshake: the limit of a frame's own bytes, and how frames are opened.
    pub(super) fn establish(&mut self, limit: usize, opener: Option<Box<Opener>>) {
        self.limit = limit.saturating_add(if opener.is_some() { SEALED_EXTRA } else { 0 });
        self.opener = opener;
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
    /// [`WireError::Flags`] and [`WireError::TooLarge`], as soon as the header shows them; [`WireError::Curve`] for a
    /// frame that does not open. After an error the stream is lost.
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
        let body = &mut self.buffer[start..self.read];
        match &mut self.opener {
            None => Ok(Some(WireFrame { more: flags & MORE != 0, command, body })),
            Some(opener) => opener.open(body).map(Some),
        }
    }

    /// What was fed and not taken.
    pub(super) fn unread(&self) -> &[u8] {
        &self.buffer[self.read..]
    }

    /// Takes `count` bytes of [`Self::unread`] away.
    pub(super) fn skip(&mut self, count: usize) {
        self.read = (self.read + count).min(self.buffer.len());
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

/// Writes the frames of one connection: as they are, or sealed.
#[derive(Debug, Default)]
pub struct Encoder {
    sealer: Option<Box<Sealer>>,
}

impl Encoder {
    pub(super) fn new(sealer: Option<Box<Sealer>>) -> Self {
        Self { sealer }
    }

    /// Whether frames are sealed, so that each must be written through this encoder, in the order of sending.
    pub fn is_sealing(&self) -> bool {
        self.sealer.is_some()
    }

    /// Appends a whole message frame.
    pub fn put_frame(&mut self, out: &mut Vec<u8>, more: bool, body: &[u8]) {
        match &mut self.sealer {
            None => put_frame(out, more, body),
            Some(sealer) => sealer.seal_message(out, more, body),
        }
    }

    /// Appends a PING. A peer that hears nothing for `ttl_deciseconds` after it may close the connection; 0 is no limit.
    pub fn put_ping(&mut self, out: &mut Vec<u8>, ttl_deciseconds: u16) {
        self.put(out, |plain| put_ping(plain, ttl_deciseconds));
    }

    /// Appends a PONG that returns a PING's context.
    pub fn put_pong(&mut self, out: &mut Vec<u8>, context: &[u8]) {
        self.put(out, |plain| put_pong(plain, context));
    }

    /// Appends a subscription to `prefix`: a command for a peer of ZMTP 3.1, a message for one of 3.0.
    pub fn put_subscribe(&mut self, out: &mut Vec<u8>, minor: u8, prefix: &[u8]) {
        if minor >= 1 {
            self.put(out, |plain| super::commands::put_command(plain, b"SUBSCRIBE", &[prefix]));
            return;
        }
        let mut body = Vec::with_capacity(1 + prefix.len());
        body.push(1);
        body.extend_from_slice(prefix);
        self.put_frame(out, false, &body);
    }

    fn put(&mut self, out: &mut Vec<u8>, command: impl FnOnce(&mut Vec<u8>)) {
        match &mut self.sealer {
            None => command(out),
            Some(sealer) => {
                let mut plain = Vec::new();
                command(&mut plain);
                sealer.seal_command(out, body_of(&plain));
            }
        }
    }
}

/// The body of the one frame that `frame` is.
fn body_of(frame: &[u8]) -> &[u8] {
    let header = if frame.first().is_some_and(|flags| flags & LONG != 0) { 9 } else { 2 };
    frame.get(header..).unwrap_or_default()
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

pub(super) fn put_flags_and_length(out: &mut Vec<u8>, flags: u8, length: usize) {
    match u8::try_from(length) {
        Ok(short) => out.extend_from_slice(&[flags, short]),
        Err(_) => {
            out.push(flags | LONG);
            out.extend_from_slice(&(length as u64).to_be_bytes());
        }
    }
}
