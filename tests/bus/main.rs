//! The bus on real sockets: against our own raw peers, the `zeromq` crate, and libzmq through Python.

// Clippy allows it in test functions only, and not in what they call.
#![allow(clippy::unwrap_used)]

mod hostile;
mod libzmq;
mod publishing;
mod raw;
mod requests;
mod slow;
