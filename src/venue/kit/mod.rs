//! Protocol parts that venues share: subscriptions, heartbeat, JSON reading, merged tickers, REST answers,
//! intervals of candles.

pub mod answers;
pub mod budget;
pub mod fields;
pub mod heartbeat;
pub mod interval;
pub mod scan;
pub mod streams;
pub mod subscriptions;
pub mod ticker;
pub mod unreadable;
