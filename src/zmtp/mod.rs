//! The wire of ZeroMQ: ZMTP 3.0 and 3.1 (RFC 23 and RFC 37), both sides, with NULL, PLAIN (RFC 24) and CURVE (RFC 26).
//! Pure but for `key_files`: bytes, randomness and credentials in, frames out, for any split of the bytes.

mod codec;
mod commands;
mod curve;
mod error;
mod greeting;
mod handshake;
mod key_files;
mod keys;
mod plain;
mod security;

pub use codec::{Decoder, Encoder, MORE, WireFrame, put_frame, put_header};
pub use commands::{Command, parse_command, parse_subscription, put_ping, put_pong};
pub use curve::Entropy;
pub use error::WireError;
pub use handshake::{Handshake, Peer, Role};
pub use key_files::{KeyFileError, PUBLIC_END, is_readable_by_all};
pub use keys::{KeyError, KeyPair, PublicKey, SecretKey};
pub use plain::LONGEST_CREDENTIAL;
pub use security::{AllowList, ClientSecurity, Clients, ListChange, ServerSecurity, Users};

#[cfg(test)]
mod handshake_tests;
#[cfg(test)]
mod tests;
