//! A faithful mock of Binance spot, USD-M and COIN-M, sans-IO: true markets, the streams with their limits, the REST
//! routes with their weights and bans, and an account. Facts are from <https://developers.binance.com/docs/>.
//!
//! One address serves all three markets. REST paths tell them apart (`/api`, `/fapi`, `/dapi`), and so do the websocket
//! paths of USD-M (`/public`, `/market`, `/private`). On plain `/ws` and `/stream` the first stream of a connection does:
//! a symbol with an underscore, such as `btcusd_perp`, makes it COIN-M's, anything else spot's. `/spot`, `/usdm` or
//! `/coinm` in front of any path says it outright, and `/usdm/ws` and `/usdm/stream` are the unrouted addresses of USD-M,
//! which accept everything and deliver books only.
//!
//! Not there: `timeUnit`, options, rolling windows (`ticker_1h`), `continuousKline`, composite and asset indices, orders by
//! clients. Candles reach back two days (those of a second: fifty minutes).

mod account;
mod catalog;
mod depth;
mod figures;
mod interval;
mod life;
mod listed;
mod message;
mod path;
mod request;
mod rest;
mod session;
mod sign;
mod stream;
mod trades;
mod venue;
mod weights;
mod ws_api;

#[cfg(test)]
mod tests;

pub use catalog::{MOST_SYMBOLS, Market, Spec, instruments};
pub use session::Session;
pub use sign::{PublicKey, sign};
pub use venue::Venue;

use std::time::Duration;

use crate::secret::Secret;

/// What only Binance has.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Key of the simulated account.
    pub key: String,
    /// Its secret, for signatures with HMAC-SHA256.
    pub secret: Secret,
    /// The public half of its Ed25519 key, if it has one.
    pub public_key: Option<PublicKey>,
    /// Request weight an address may use in a minute, instead of the venue's 6,000 for spot and 2,400 for futures.
    pub weight_limit: Option<u32>,
    /// Whether an address is refused more than 300 new connections in five minutes.
    pub connect_limit: bool,
    /// Whether depth goes out with each move of a market, so that the rate decides the load, and not every 100, 250, 500
    /// or 1,000 ms.
    pub every_move: bool,
    /// How often the account trades, once somebody has watched it; zero for never.
    pub deal_every: Duration,
    /// How long a listen key lives unless it is renewed.
    pub key_life: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            key: "key".to_owned(),
            secret: Secret::new("secret".to_owned()),
            public_key: None,
            weight_limit: None,
            connect_limit: true,
            every_move: false,
            deal_every: Duration::from_secs(5),
            key_life: Duration::from_secs(3_600),
        }
    }
}
