//! Protocol parts that venues share: subscriptions, heartbeat, JSON reading, merged tickers.

pub mod budget;
pub mod fields;
pub mod heartbeat;
pub mod scan;
pub mod streams;
pub mod subscriptions;
pub mod ticker;
pub mod unreadable;
