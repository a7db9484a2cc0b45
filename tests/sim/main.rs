//! Simulated venues over real sockets.

// Clippy's leave for tests does not reach helpers outside of #[test] functions.
#![allow(clippy::unwrap_used)]

mod binance;
mod bybit;
mod client;
mod clock;
mod okx;
mod signed;
