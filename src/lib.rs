//! tickbus: a market-data gateway. Venue bytes become verified books and normalized frames on a ZeroMQ bus.
//!
//! The layers, each of which may use only the ones before it:
//! `sign` < `model` < `book` < `venue` < `feed` < `frame` (pure: no sockets, files, clocks or tokio),
//! `secret` (a leaf that any may hold), `pipeline` (all of them for one feed), `table` (keyed rows made of frames, pure),
//! `zmtp` (the wire of ZeroMQ, pure), then the rim: `bus`, `sim`, `io`, `store`, `fetch`, `jobs`, `replay`, `client`, `sink`, `control`, `app`, `cli`.

pub mod app;
pub mod book;
pub mod bus;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod control;
pub mod feed;
pub mod fetch;
pub mod frame;
pub mod io;
pub mod jobs;
pub mod log_limit;
pub mod model;
pub mod pipeline;
pub mod replay;
pub mod secret;
pub mod sign;
pub mod sim;
pub mod sink;
pub mod store;
pub mod table;
pub mod telemetry;
pub mod venue;
pub mod zmtp;
