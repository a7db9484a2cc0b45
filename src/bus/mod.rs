//! The ZeroMQ bus: our own ZMTP publisher and request server. See `docs/ARCHITECTURE.md` for why it is our own.

pub use crate::frame::{Frame, Outgoing, Retain};
