//! The Redis sink against a real `redis-server`, which each test starts on a port of its own and ends. Without the program
//! the tests say so and pass.

// Clippy allows it in test functions only, and not in what they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod bus;
mod gateway;
mod okws;
mod outage;
mod refusals;
#[path = "../script/mod.rs"]
mod script;
mod server;
mod writing;

#[path = "../daemon/gateway.rs"]
#[allow(dead_code, reason = "another test program uses the rest")]
mod process;
