//! A faithful mock of Bybit v5, sans-IO: true markets, the public websocket protocol of each product, an account with its
//! private connections, and the REST answers a feed needs. Facts are from <https://bybit-exchange.github.io/docs/v5/>; the
//! words with which a login is refused are not in them.

mod account;
mod book;
mod catalog;
mod listed;
mod login;
mod message;
mod private;
mod rest;
mod session;
mod ticker;
mod topic;
mod venue;

#[cfg(test)]
mod tests;

pub use catalog::{Category, Spec, instruments};
pub use login::sign;
pub use message::{Book, Trade, write_book, write_trades};
pub use rest::answer;
pub use session::Session;
pub use venue::Venue;

use std::time::Duration;

use crate::secret::Secret;

/// What only Bybit has.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Key of the simulated account.
    pub key: String,
    /// Its secret.
    pub secret: Secret,
    /// How often the account trades, once somebody has watched it; zero for never.
    pub deal_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self { key: "key".to_owned(), secret: Secret::new("secret".to_owned()), deal_every: Duration::from_secs(5) }
    }
}
