//! The subscriber's side of the bus: receive frames, find gaps, print, measure, join a book, ask for a snapshot.
//! `tickbus-sub` is [`SubArgs`] and [`run()`]; the other parts stand alone for programs that embed a subscriber.

mod args;
mod book;
mod delivery;
mod follow;
mod ladder;
mod msgpack;
mod notes;
mod payload;
mod print;
mod request;
mod run;
mod stats;
mod subscribe;
mod tracker;
mod view;

pub use args::{Format, SubArgs};
pub use book::{JoinedBook, Need, Step};
pub use delivery::{Heartbeat, Loss, Notice};
pub use follow::{Change, FollowError, Follower, follow};
pub use payload::{DecodeError, as_json};
pub use print::Printer;
pub use request::{RequestError, request};
pub use run::run;
pub use stats::Stats;
pub use subscribe::{EndpointError, Incoming, ReceivedFrame, Subscriber, subscribe};
pub use tracker::{Counts, Observation, SilentLoss, Told, Tracker};
pub use view::{LevelText, Members, Text, Topic, View};
