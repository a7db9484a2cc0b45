//! The ZeroMQ bus: our own ZMTP publisher and request server. See `docs/ARCHITECTURE.md` for why it is our own.

mod bind;
mod burst;
mod catalog;
mod connection;
mod crowds;
mod endpoint;
mod faults;
mod heartbeat;
mod hub;
mod joins;
mod last_seqs;
mod listener;
mod local;
pub mod losses;
mod place;
mod publisher;
pub mod queue;
mod requests;
mod stats;
mod subscriber;
pub mod topics;

pub use bind::BindError;
pub use endpoint::Endpoint;
pub use faults::Refused;
pub use heartbeat::HeartbeatOptions;
pub use local::{LocalOptions, LocalSubscriber};
pub use publisher::{Publisher, PublisherOptions};
pub use queue::{Policy, SlowLimits};
pub use requests::{Asker, Reply, RequestHandler, RequestOptions, RequestServer, RequestStats};
pub use stats::{BusStats, SubscriberStats};
pub use topics::SubscribeError;

pub use crate::frame::{Frame, Outgoing, Retain};
