//! Commands: their names, what is in them, and the metadata of READY and INITIATE.

use super::WireError;
use super::codec::{COMMAND, put_flags_and_length};

/// A PING may carry this much for its PONG to return (RFC 37).
const MAX_PING_CONTEXT: usize = 16;
/// The longest text of an ERROR: its length has one byte.
const MAX_REASON: usize = 255;

/// A command of an established connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Command<'a> {
    /// Properties follow.
    Ready(&'a [u8]),
    /// The peer gives up, for this reason.
    Error(&'a [u8]),
    /// A subscription to this prefix.
    Subscribe(&'a [u8]),
    /// The end of one subscription to this prefix.
    Cancel(&'a [u8]),
    /// To be answered with a PONG.
    Ping {
        /// A peer that hears nothing for this many tenths of a second takes us for dead, and we it; 0 is no limit.
        ttl_deciseconds: u16,
        /// What the PONG returns: at most 16 bytes.
        context: &'a [u8],
    },
    /// An answer to our PING.
    Pong,
    /// Not known here; to be skipped.
    Other,
}

/// Reads a command frame's body.
///
/// # Errors
/// [`WireError::Command`] when the name, a PING or an ERROR does not fit.
pub fn parse_command(body: &[u8]) -> Result<Command<'_>, WireError> {
    let (name, data) = short_string(body).ok_or(WireError::Command)?;
    Ok(match name {
        b"READY" => Command::Ready(data),
        b"ERROR" => Command::Error(short_string(data).ok_or(WireError::Command)?.0),
        b"SUBSCRIBE" => Command::Subscribe(data),
        b"CANCEL" => Command::Cancel(data),
        b"PING" => {
            let (ttl, context) = data.split_first_chunk::<2>().ok_or(WireError::Command)?;
            let context = &context[..context.len().min(MAX_PING_CONTEXT)];
            Command::Ping { ttl_deciseconds: u16::from_be_bytes(*ttl), context }
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

/// What follows the name of a handshake's command, if it is the one that is `expected`.
///
/// # Errors
/// [`WireError::Refused`] for an ERROR, [`WireError::Expected`] for anything else.
pub(super) fn expect_command<'a>(body: &'a [u8], expected: &'static str) -> Result<&'a [u8], WireError> {
    let (name, data) = short_string(body).ok_or(WireError::Command)?;
    if name == expected.as_bytes() {
        return Ok(data);
    }
    if name == b"ERROR" {
        let (reason, _) = short_string(data).ok_or(WireError::Command)?;
        return Err(WireError::Refused(super::error::shown(reason, MAX_REASON)));
    }
    Err(WireError::Expected(expected))
}

/// A text of at most 255 bytes after its length, and what follows it.
pub(super) fn short_string(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (&length, rest) = bytes.split_first()?;
    rest.split_at_checked(usize::from(length))
}

/// The values of `Socket-Type` and `Identity` among properties (name: 1 + n bytes, value: 4 + n bytes); empty where
/// they are missing.
pub(super) fn type_and_identity(mut properties: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (mut found, mut identity): (&[u8], &[u8]) = (b"", b"");
    while !properties.is_empty() {
        let (name, rest) = short_string(properties).ok_or(WireError::Command)?;
        let (length, rest) = rest.split_first_chunk::<4>().ok_or(WireError::Command)?;
        let length = usize::try_from(u32::from_be_bytes(*length)).map_err(|_| WireError::Command)?;
        let (value, rest) = rest.split_at_checked(length).ok_or(WireError::Command)?;
        if name.eq_ignore_ascii_case(b"Socket-Type") {
            found = value;
        } else if name.eq_ignore_ascii_case(b"Identity") {
            identity = value;
        }
        properties = rest;
    }
    Ok((found, identity))
}

/// The properties of a socket: its type.
pub(super) fn properties(socket_type: &'static str) -> Vec<u8> {
    let mut properties = b"\x0bSocket-Type\x00\x00\x00".to_vec();
    properties.push(u8::try_from(socket_type.len()).unwrap_or(u8::MAX));
    properties.extend_from_slice(socket_type.as_bytes());
    properties
}

/// Appends a PING. A peer that hears nothing for `ttl_deciseconds` after it may close the connection; 0 is no limit.
pub fn put_ping(out: &mut Vec<u8>, ttl_deciseconds: u16) {
    put_command(out, b"PING", &[&ttl_deciseconds.to_be_bytes()]);
}

/// Appends a PONG that returns a PING's context.
pub fn put_pong(out: &mut Vec<u8>, context: &[u8]) {
    put_command(out, b"PONG", &[context]);
}

pub(super) fn put_error(out: &mut Vec<u8>, reason: &str) {
    let reason = &reason.as_bytes()[..reason.len().min(MAX_REASON)];
    put_command(out, b"ERROR", &[&[u8::try_from(reason.len()).unwrap_or(u8::MAX)], reason]);
}

/// Appends a command whose data are `parts`, one after the other.
pub(super) fn put_command(out: &mut Vec<u8>, name: &[u8], parts: &[&[u8]]) {
    put_flags_and_length(out, COMMAND, 1 + name.len() + parts.iter().map(|part| part.len()).sum::<usize>());
    out.push(u8::try_from(name.len()).unwrap_or(u8::MAX));
    out.extend_from_slice(name);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}
