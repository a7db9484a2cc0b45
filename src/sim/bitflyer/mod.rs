//! A faithful mock of bitFlyer Lightning, sans-IO: true markets, JSON-RPC over a websocket, an account, and the REST answers
//! a feed needs. Facts are from <https://lightning.bitflyer.com/docs>, and from recordings.
//!
//! As on the venue, changes of a book have no numbers; the whole book comes on a channel of its own, a little ahead of the
//! change that leads to it; levels that the middle price has passed may not be removed by name; a product that does not
//! exist is acknowledged and stays silent. Changes go out with each move of a market, so that the rate decides the load.

mod account;
mod board;
mod catalog;
mod channel;
mod listed;
mod message;
mod rest;
mod session;
mod sign;
mod venue;

#[cfg(test)]
mod tests;

pub use session::Session;
pub use sign::sign;
pub use venue::Venue;

use std::time::Duration;

use crate::secret::Secret;

/// What only bitFlyer has.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Key of the simulated account.
    pub key: String,
    /// Its secret.
    pub secret: Secret,
    /// How long after a subscription the first whole book comes: between these.
    pub first_whole: (Duration, Duration),
    /// How often whole books come.
    pub whole_every: Duration,
    /// How often the account trades, once somebody has watched it; zero for never.
    pub deal_every: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            key: "key".to_owned(),
            secret: Secret::new("secret".to_owned()),
            first_whole: (Duration::from_millis(600), Duration::from_millis(3_700)),
            whole_every: Duration::from_secs(5),
            deal_every: Duration::from_secs(5),
        }
    }
}
