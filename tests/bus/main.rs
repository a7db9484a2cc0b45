//! The bus on real sockets: against our own raw peers, the `zeromq` crate, and libzmq through Python.

// Clippy allows it in test functions only, and not in what they call.
#![allow(clippy::unwrap_used)]

mod attacks;
mod heartbeats;
mod hostile;
mod joining;
mod libzmq;
mod publishing;
mod raw;
mod requests;
mod slow;
mod subscriptions;
