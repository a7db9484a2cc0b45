//! What a peer can do that ends its connection, in words.

use thiserror::Error;

/// What a peer did that ends its connection.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
pub enum WireError {
    /// The first bytes are not a ZMTP greeting (HTTP, TLS, a port scan).
    #[error("the peer does not speak ZMTP")]
    NotZmtp,
    /// A ZMTP before 3.0 (libzmq before 4.0).
    #[error("the peer speaks ZMTP {0}.x; 3.0 or newer is needed (libzmq 4.0 or newer)")]
    OldVersion(u8),
    /// The two sides are set to different security mechanisms.
    #[error("the peer uses the security mechanism {theirs}, this side {ours}")]
    Mechanism {
        /// What we are set to.
        ours: &'static str,
        /// What its greeting names, cleaned of what cannot be shown.
        theirs: String,
    },
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
    /// Something other than the handshake's next command.
    #[error("the peer did not continue the handshake with {0}")]
    Expected(&'static str),
    /// Metadata without `Socket-Type`, or with one that cannot talk to ours.
    #[error("a socket of type `{0}` cannot be connected to this one")]
    SocketType(String),
    /// The peer ended the handshake with an ERROR command (libzmq gives its authenticator's status code), or closed
    /// the connection after it had our credentials (no reason).
    #[error("the peer refuses this side{}", because(.0))]
    Refused(String),
    /// This side does not accept the peer's key or password.
    #[error("not authorized: {0}")]
    Denied(String),
    /// The server could not prove that it has the secret key to the public key we know, or did not understand what
    /// was sealed for that key.
    #[error("the server does not have the key that is expected of it")]
    ServerKey,
    /// A box of CURVE does not open, or what is in it is not what the handshake agreed on.
    #[error("CURVE: {0}")]
    Curve(&'static str),
    /// The peer closed the connection in the middle of the handshake, before any credentials were sent.
    #[error("the peer left before the handshake was complete")]
    Left,
}

fn because(reason: &str) -> String {
    if reason.is_empty() { String::new() } else { format!(": {reason}") }
}

/// At most `most` characters of what a peer said, without any that a terminal or a log could take amiss.
pub(super) fn shown(bytes: &[u8], most: usize) -> String {
    bytes.iter().copied().filter(|byte| byte.is_ascii_graphic() || *byte == b' ').take(most).map(char::from).collect()
}
