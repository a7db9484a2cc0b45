//! A faithful mock of Bybit v5, sans-IO: true markets, the public websocket protocol of each product, and the REST
//! answers a feed needs. Facts are from <https://bybit-exchange.github.io/docs/v5/>.

mod book;
mod candles;
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
pub use session::{Reply, Session};
pub use topic::Depth;
pub use venue::{TrueBook, Venue};

use std::sync::Arc;

use bytes::Bytes;

/// What a published message carries, as far as faults care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An order book.
    Book {
        /// Whether it replaces the book.
        snapshot: bool,
    },
    /// Trades.
    Trades,
    /// Anything else.
    Other,
}

/// One message of one topic, made once for all its subscribers.
#[derive(Clone, Debug)]
pub struct Published {
    /// Its place among everything the venue published, from 1.
    pub event: u64,
    /// Which product's connections it is for.
    pub category: Category,
    /// Its topic.
    pub topic: Arc<str>,
    /// What it carries.
    pub kind: Kind,
    /// The text.
    pub text: Bytes,
}

impl Published {
    fn new(category: Category, topic: String, kind: Kind, text: Vec<u8>) -> Self {
        Self { event: 0, category, topic: topic.into(), kind, text: text.into() }
    }
}
