//! A faithful mock of the QUIK terminal with quik-lua-rpc inside it: the RPC methods, the events, and every oddity of
//! the Lua server's JSON, on true markets. Facts are from the sources of Enfernuz/quik-lua-rpc and ARQA's QLua manual.

mod account;
mod bars;
mod catalog;
mod datasource;
mod fault;
mod methods;
mod moscow;
mod params;
mod request;
mod security;
mod terminal;
mod truth;
mod value;

#[cfg(test)]
mod tests;

pub use bars::Bar;
pub use fault::{ALLOWED, Fault, FaultKind};
pub use terminal::{Answered, End, Event, Settings, Terminal};
pub use truth::{TrueBar, TrueBook, TrueTrade};
