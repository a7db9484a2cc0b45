//! The real program over real sockets: a simulated venue with faults, the gateway as a process of its own, and
//! subscribers that compare every book with the truth.

// Clippy allows it in test functions only, and not in what they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod backfill;
mod binance;
mod bitflyer;
mod churn;
mod clock;
mod control;
mod control_load;
mod control_state;
mod documents;
mod examples;
mod faults;
mod gateway;
mod hostile;
mod interop;
mod jobs;
mod joining;
mod joins;
mod live;
mod okx;
mod operating;
mod private;
mod python;
mod raw;
mod recording;
mod relay;
mod scene;
#[path = "../script/mod.rs"]
mod script;
mod security;
mod set_venue;
mod sub;
mod tables;
mod watcher;
