//! Protocol parts that venues share: subscriptions, heartbeat, JSON reading, merged tickers, logins and accounts, REST
//! answers, intervals of candles.

pub mod account;
pub mod answers;
pub mod budget;
pub mod fields;
pub mod fills;
pub mod heartbeat;
pub mod images;
pub mod initial;
pub mod interval;
pub mod login;
pub mod rows;
pub mod scan;
pub mod streams;
pub mod subscriptions;
pub mod ticker;
pub mod unreadable;
