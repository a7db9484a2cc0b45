//! The driver against servers on loopback that behave as badly as real ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod closing;
mod dialing;
mod fake;
mod links;
mod reading;
mod rest;
mod tls;
