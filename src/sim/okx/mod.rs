//! A faithful mock of OKX v5 (and of OKX Japan, which copied it), sans-IO: true markets, the websocket protocol of the
//! three paths, an account, and the REST answers a feed needs. Facts are from <https://www.okx.com/docs-v5/en/>.
//!
//! Two things are not the venue's: changes go out with each move of a market instead of every 10 or 100 ms, so that the
//! rate decides the load; and candles reach back two days (those of a second: fifty minutes).

mod account;
mod book;
mod catalog;
mod channel;
mod figures;
mod interval;
mod limits;
mod listed;
mod login;
mod message;
mod rest;
mod session;
mod venue;

#[cfg(test)]
mod tests;

pub use catalog::{Contract, InstType, Spec, instruments};
pub use login::sign;
pub use session::Session;
pub use venue::Venue;

use std::time::Duration;

use crate::secret::Secret;

/// The name of OKX Japan, which has spot pairs in yen, live checksums and fewer channels.
pub const JAPAN: &str = "okj";

/// What a book message carries as `checksum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Nothing.
    None,
    /// 0, which means nothing: what OKX did first when it gave checksums up.
    Zero,
    /// The checksum of the book behind the message.
    Live,
}

/// What only OKX has.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Key of the simulated account.
    pub key: String,
    /// Its secret.
    pub secret: Secret,
    /// Its passphrase.
    pub passphrase: Secret,
    /// Its trading fee tier: below 6 there is no `books-l2-tbt`, below 5 no `books50-l2-tbt`.
    pub vip: u8,
    /// What book messages carry; unless it is said, 0, and on OKX Japan live checksums.
    pub checksum: Option<Checksum>,
    /// How long a connection may neither send nor get anything.
    pub idle: Duration,
    /// Whether an address is refused more than three new connections a second.
    pub connect_limit: bool,
    /// How often the account trades, once somebody has watched it; zero for never.
    pub deal_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            key: "key".to_owned(),
            secret: Secret::new("secret".to_owned()),
            passphrase: Secret::new("phrase".to_owned()),
            vip: 6,
            checksum: None,
            idle: Duration::from_secs(30),
            connect_limit: true,
            deal_every: Duration::from_secs(5),
        }
    }
}
