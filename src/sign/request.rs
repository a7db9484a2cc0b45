//! What is to be signed, and what comes of it.

use std::fmt;
use std::time::Duration;

use super::json::Json;
use crate::secret::Secret;

/// An HTTP method.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Method {
    /// Reads.
    #[default]
    Get,
    /// Makes something.
    Post,
    /// Changes something.
    Put,
    /// Takes something away.
    Delete,
}

impl Method {
    /// Reads `GET`, `POST`, `PUT` or `DELETE`.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Get, Self::Post, Self::Put, Self::Delete].into_iter().find(|method| method.as_str() == text)
    }

    /// As HTTP spells it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }

    /// Whether calling it again does no harm.
    pub const fn is_safe(self) -> bool {
        matches!(self, Self::Get)
    }
}

/// A request before it is signed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    /// Its method.
    pub method: Method,
    /// Its address: `https://HOST/PATH`, with or without a query.
    pub url: String,
    /// Parameters that are appended to the query, in order; not encoded.
    pub params: Vec<(String, String)>,
    /// Its body.
    pub body: Body,
    /// Headers of the caller's.
    pub headers: Vec<(String, String)>,
    /// The venue's host whose rules hold where `url` leads elsewhere: to a simulator.
    pub as_host: Option<String>,
}

/// The body of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Body {
    /// None.
    #[default]
    Empty,
    /// Data, as JSON or as a form: whichever the venue reads.
    Data(Json),
    /// Data as JSON.
    Json(Json),
    /// Pairs as a form.
    Form(Vec<(String, String)>),
    /// A text that is sent as it is.
    Raw {
        /// What it says it is.
        content_type: String,
        /// The text.
        text: String,
    },
}

/// A request that can be sent as it is. Nothing of it may be printed: headers and address hold keys.
#[derive(Clone)]
pub struct Signed {
    /// Its method.
    pub method: Method,
    /// Its whole address.
    pub url: Secret,
    /// Path and query, as the request line has them.
    pub target: Secret,
    /// All headers but those that say where the request goes and how long it is. No name twice.
    pub headers: Vec<(String, Secret)>,
    /// Its body, if any.
    pub body: String,
    /// What was signed, in the order it was.
    pub proofs: Vec<Proof>,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed").field("method", &self.method).field("body", &self.body.len()).finish_non_exhaustive()
    }
}

impl Signed {
    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.reveal())
    }
}

/// How a socket is opened, and what is sent first.
#[derive(Clone, Debug)]
pub struct Opening {
    /// Its whole address.
    pub url: Secret,
    /// Headers of the upgrade.
    pub headers: Vec<(String, Secret)>,
    /// The message that logs in, where there is one.
    pub login: Option<Secret>,
    /// What keeps the connection, if the venue wants to be asked.
    pub heartbeat: Option<Heartbeat>,
    /// What was signed, in the order it was.
    pub proofs: Vec<Proof>,
}

/// What is sent from time to time to keep a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// How long after the last one.
    pub every: Duration,
    /// What it is.
    pub beat: Beat,
}

/// A heartbeat's message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Beat {
    /// A text.
    Text(String),
    /// An empty PONG of the websocket protocol.
    Pong,
}

/// What a signature was made of, to find out why a venue refuses it.
#[derive(Clone, Debug)]
pub enum Proof {
    /// HMAC-SHA256.
    Hmac {
        /// The text that was signed.
        message: Secret,
        /// What came of it.
        digest: [u8; 32],
    },
    /// A signature over typed data (EIP-712).
    Typed(Box<Typed>),
}

/// The steps from an action of Hyperliquid's to its signature.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Typed {
    /// The bytes that an action of the exchange's own chain is hashed from.
    pub msgpack: Option<Vec<u8>>,
    /// The action's nonce, with `msgpack`.
    pub nonce: u64,
    /// The hash of the action, with `msgpack`.
    pub action_hash: [u8; 32],
    /// `a` for the main net, `b` for the test net, with `msgpack`.
    pub source: &'static str,
    /// Name of the domain.
    pub domain: &'static str,
    /// Chain of the domain.
    pub chain_id: u64,
    /// Name of the type that is signed.
    pub primary_type: String,
    /// Its fields: name and type.
    pub fields: Vec<(String, &'static str)>,
    /// Hash of the domain.
    pub domain_separator: [u8; 32],
    /// Hash of the value.
    pub struct_hash: [u8; 32],
    /// What the key signed.
    pub digest: [u8; 32],
    /// The signature, as it is sent.
    pub signature: (String, String, u8),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods() {
        assert_eq!(Method::parse("DELETE"), Some(Method::Delete));
        assert_eq!(Method::parse("get"), None);
        assert!(Method::Get.is_safe() && !Method::Put.is_safe());
    }
}
