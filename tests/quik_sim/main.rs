//! The simulated QUIK terminal over real sockets: libzmq's clients in Python, our own client, and the program itself.

// Clippy's leave for tests does not reach helpers outside of #[test] functions.
#![allow(clippy::unwrap_used)]

mod client;
mod libzmq;
mod life;
mod program;
