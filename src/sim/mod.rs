//! Simulated venues with faults: true markets, the venue's protocol, the sockets in front of them, and a generated
//! stream for benchmarks.

pub mod binance;
pub mod bitflyer;
pub mod bybit;
pub mod candles;
pub mod doorman;
pub mod fault;
pub mod injector;
pub mod market;
pub mod okx;
pub mod quik;
pub mod server;
pub mod signature;
pub mod stream;
pub mod venue;

mod connection;
mod fills;
mod http;
mod pace;

pub use fault::{FaultError, FaultKind, FaultSpec};
pub use server::{Options, Running, Server, Truth};
pub use venue::{Depth, TrueBook};
