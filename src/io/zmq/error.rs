//! Why a ZeroMQ connection was not made, or ended: one case for each thing that a person would do something else about.

use std::io;
use std::time::Duration;

use thiserror::Error;

use crate::zmtp::{KeyError, WireError};

/// Why a ZeroMQ connection was not made, or ended.
#[derive(Debug, Error)]
pub enum ZmqError {
    /// Not an endpoint that can be connected to.
    #[error("{0}")]
    Endpoint(String),
    /// The host's name is unknown, nobody listens there, or the network does not lead there.
    #[error("cannot reach {endpoint}: {source}")]
    Unreachable {
        /// As it was asked for.
        endpoint: String,
        /// What the operating system said of the last address tried.
        source: io::Error,
    },
    /// Another protocol, or a ZMTP that is too old.
    #[error("no ZeroMQ socket answers there: {0}")]
    NotZmtp(WireError),
    /// The two sides are set to different security mechanisms.
    #[error("the server uses the security mechanism {theirs}, but this side is set to {ours}{}", advice(theirs))]
    Mechanism {
        /// What this side is set to.
        ours: &'static str,
        /// What the server's greeting names.
        theirs: String,
    },
    /// The server does not have the secret key to the public key that it is expected to have.
    #[error("the server does not have the expected key: compare the server's public key with the one given here")]
    ServerKey,
    /// The server does not accept our key, password or socket type.
    #[error("the server does not accept {what}{reason}")]
    Refused {
        /// What was shown to it: a client key, a user name and password, or nothing.
        what: &'static str,
        /// Its own words, if it gave any, in parentheses.
        reason: String,
    },
    /// The connection was made, but not the handshake.
    #[error("the handshake with the server was not complete within {0:?}")]
    HandshakeTimeout(Duration),
    /// A frame over the limit was announced.
    #[error("a frame of {length} bytes is announced; at most {limit} are allowed")]
    TooLarge {
        /// Bytes announced.
        length: u64,
        /// Bytes allowed.
        limit: usize,
    },
    /// A message of more frames than allowed.
    #[error("a message of more than {0} frames")]
    TooManyFrames(usize),
    /// Any other breach of the protocol.
    #[error("the server breaks the protocol: {0}")]
    Protocol(WireError),
    /// A reply to a REQ socket without the empty frame before it.
    #[error("a reply comes without the empty frame before it")]
    Envelope,
    /// The server closed the connection, or its network failed.
    #[error("the server closed the connection")]
    Closed,
    /// The server closed the connection before any credentials were shown to it.
    #[error("the server closed the connection during the handshake: too many connections, or not the expected service")]
    Left,
    /// The server said nothing for this long, and answered no PING, or not within what it announced itself.
    #[error("the server said nothing for {0:?}")]
    Silent(Duration),
    /// The server takes nothing any more.
    #[error("the server did not read what was sent to it within {0:?}")]
    NotRead(Duration),
    /// The system gives no random bytes for the handshake.
    #[error("cannot begin the handshake: {0}")]
    Entropy(#[from] KeyError),
}

/// What to do about a server's mechanism.
fn advice(theirs: &str) -> &'static str {
    match theirs {
        "CURVE" => ": give the server's public key and a key pair of this client",
        "PLAIN" => ": give a user name and a password",
        "NULL" => ": it takes no keys and no password",
        _ => "",
    }
}

impl ZmqError {
    /// What the wire said, for a side that showed credentials of this mechanism.
    pub(super) fn from_wire(error: WireError, mechanism: &'static str) -> Self {
        match error {
            WireError::NotZmtp | WireError::OldVersion(_) => Self::NotZmtp(error),
            WireError::Mechanism { ours, theirs } => Self::Mechanism { ours, theirs },
            WireError::ServerKey => Self::ServerKey,
            WireError::TooLarge { length, limit } => Self::TooLarge { length, limit },
            WireError::Left => Self::Left,
            WireError::Refused(reason) => Self::refused(reason, mechanism),
            other => Self::Protocol(other),
        }
    }

    fn refused(reason: String, mechanism: &'static str) -> Self {
        let what = match mechanism {
            "CURVE" => "this client key",
            "PLAIN" => "this user name and password",
            _ => "this client",
        };
        let reason = if reason.is_empty() { reason } else { format!(" ({reason})") };
        Self::Refused { what, reason }
    }

    /// Whether trying again as it is can never help: something has to be set right first.
    pub const fn is_final(&self) -> bool {
        matches!(self, Self::Endpoint(_) | Self::Mechanism { .. } | Self::ServerKey | Self::Refused { .. })
    }
}
