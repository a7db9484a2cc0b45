//! The bus on real sockets: against our own raw peers, the `zeromq` crate, and libzmq through Python and Node.

// Clippy allows it in test functions only, and not in what they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod attacks;
mod heartbeats;
mod hostile;
mod joining;
mod libzmq;
mod local;
mod node;
mod publishing;
mod raw;
mod requests;
#[path = "../script/mod.rs"]
mod script;
mod slow;
mod subscriptions;
