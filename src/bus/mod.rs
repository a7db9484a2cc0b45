//! The ZeroMQ bus: our own ZMTP publisher and request server. See `docs/ARCHITECTURE.md` for why it is our own.

mod bind;
mod burst;
mod connection;
mod endpoint;
mod faults;
mod heartbeat;
mod hub;
mod kept;
mod listener;
mod publisher;
pub mod queue;
mod requests;
mod subscriber;
pub mod topics;

pub use bind::BindError;
pub use endpoint::Endpoint;
pub use faults::Refused;
pub use heartbeat::HeartbeatOptions;
pub use publisher::{BusStats, Publisher, PublisherOptions};
pub use requests::{Reply, RequestHandler, RequestOptions, RequestServer, RequestStats};

pub use crate::frame::{Frame, Outgoing, Retain};
