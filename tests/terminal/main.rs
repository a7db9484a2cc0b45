//! A terminal's pool and driver against libzmq and against what else may listen on a port.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod calls;
mod events;
mod odd;
mod python;
mod security;
