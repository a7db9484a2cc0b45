//! Signing, venue by venue, without any I/O: a request, credentials and a time become a request that can be sent as it
//! is; so do logins of sockets and messages over them. One small file a scheme, and one table of API names.

mod api;
mod binance;
pub mod bitbank;
mod bitflyer;
mod bitget;
mod bitmex;
mod bittrade;
mod bybit;
mod call;
mod coincheck;
mod encode;
pub mod gmocoin;
mod heartbeat;
mod hyperliquid;
mod json;
pub mod kucoin;
mod mexc;
mod okj;
pub mod okx;
mod opening;
mod phemex;
mod python;
mod request;
mod signer;
mod url;
pub mod vectors;

use call::Call;

pub use api::{APIS, Api, Needs, find, for_host, for_messages, for_request, for_socket, unsigned};
pub use json::{Json, JsonError, Style, raw_members};
pub use opening::{for_venue, host_of, knows_socket, opening};
pub use request::{Beat, Body, Heartbeat, Method, Opening, Proof, Request, Signed, Typed};
pub use signer::Signer;

use crate::secret::Secret;

/// An API key of a venue.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The key's name at the venue, sent in the clear but printed nowhere all the same; for Hyperliquid, the wallet's
    /// private key.
    pub key: Secret,
    /// What requests are signed with; empty for Hyperliquid.
    pub secret: Secret,
    /// The key's passphrase, for venues that have one (OKX, OKJ, Bitget, KuCoin).
    pub passphrase: Option<Secret>,
}

/// Whose behaviour holds where a venue's documentation and the widespread client that topgun and pybotters share differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compat {
    /// The venue's documentation.
    #[default]
    Documented,
    /// That client, byte for byte.
    Reference,
}

/// Why something cannot be signed. No text of it holds any of a secret.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// An address that cannot be used.
    #[error("the address {0}")]
    Url(&'static str),
    /// A host that is not the API's: no key is sent there.
    #[error("{api} does not sign for the host {host:?}; its keys are sent to its own hosts only")]
    Host {
        /// The API.
        api: &'static str,
        /// The host.
        host: String,
    },
    /// Credentials without a part that is needed.
    #[error("{api} needs a {part}")]
    Missing {
        /// The API.
        api: &'static str,
        /// `key`, `secret` or `passphrase`.
        part: &'static str,
    },
    /// A key of another form than the venue's.
    #[error("the key {0}")]
    Key(&'static str),
    /// A body or message that the scheme cannot sign.
    #[error("the body {0}")]
    Body(&'static str),
    /// A nonce that cannot be used.
    #[error("a nonce is needed: {0}")]
    Nonce(&'static str),
    /// An answer of the venue's that lacks something.
    #[error("the answer {0}")]
    Answer(&'static str),
    /// A time beyond any calendar.
    #[error("the time is not one that can be written as a date")]
    Time,
}

/// How a venue signs.
struct Scheme {
    /// Completes a REST request, or the upgrade of a socket.
    rest: fn(&mut Call<'_>) -> Result<(), SignError>,
    /// The message that logs in on a socket, if this one needs it.
    login: fn(&mut Call<'_>, &str) -> Result<Option<Json>, SignError>,
    /// Completes a message over a socket.
    message: fn(&mut Call<'_>, &mut Json) -> Result<(), SignError>,
}

fn no_login(_call: &mut Call<'_>, _nonce: &str) -> Result<Option<Json>, SignError> {
    Ok(None)
}

fn no_message(_call: &mut Call<'_>, _message: &mut Json) -> Result<(), SignError> {
    Ok(())
}

#[cfg(test)]
mod tests;
