//! REST calls that are made from outside: signed jobs and calls, `tickbus fetch`, and the control commands for both. The
//! real program, against servers that say what they were asked and simulated venues that verify signatures.

// Clippy allows it in test functions only, and not in what they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod clock;
mod commands;
mod fetch;
#[allow(dead_code, reason = "shared with the tests of the daemon, which use all of it")]
#[path = "../daemon/gateway.rs"]
mod gateway;
mod jobs;
mod server;
