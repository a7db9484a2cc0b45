//! A faithful mock of Bybit v5, sans-IO: true markets, the public websocket protocol of each product, and the REST
//! answers a feed needs. Facts are from <https://bybit-exchange.github.io/docs/v5/>.

mod book;
mod catalog;
mod listed;
mod message;
mod rest;
mod session;
mod ticker;
mod topic;
mod venue;

#[cfg(test)]
mod tests;

pub use catalog::{Category, Spec, instruments};
pub use message::{Book, Trade, write_book, write_trades};
pub use rest::answer;
pub use session::Session;
pub use venue::Venue;
