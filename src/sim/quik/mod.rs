//! A faithful mock of the QUIK terminal with quik-lua-rpc inside it: the RPC methods, the events, and every oddity of
//! the Lua server's JSON, on true markets. Facts are from the sources of Enfernuz/quik-lua-rpc and ARQA's QLua manual.

mod account;
mod bars;
mod catalog;
mod datasource;
mod effects;
mod fault;
mod methods;
mod moscow;
mod params;
mod publisher;
mod rep;
mod request;
mod security;
mod server;
mod terminal;
mod truth;
mod value;
mod wire;

#[cfg(test)]
mod tests;

pub use bars::Bar;
pub use fault::{ALLOWED, Fault, FaultKind};
pub use server::{Options, Running, Server, Truth};
pub use terminal::{Answered, End, Event, Settings, Terminal};
pub use truth::{TrueBar, TrueBook, TrueTrade};
