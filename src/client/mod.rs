//! The subscriber's side of the bus: receive frames, find gaps, print, measure, join a book, ask for a snapshot.
//! `tickbus-sub` is [`SubArgs`] and [`run()`]; the other parts stand alone for programs that embed a subscriber.

mod args;
mod book;
mod ladder;
mod msgpack;
mod notes;
mod payload;
mod print;
mod request;
mod run;
mod security_args;
mod stats;
mod subscribe;
mod tracker;
mod view;

pub use args::{Format, SubArgs};
pub use book::{JoinedBook, Need, Step};
pub use payload::{DecodeError, as_json};
pub use print::Printer;
pub use request::{RequestError, request};
pub use run::run;
pub use security_args::{SecurityArgs, SecurityArgsError};
pub use stats::Stats;
pub use subscribe::{EndpointError, Incoming, ReceivedFrame, Subscriber, subscribe};
pub use tracker::{Counts, Observation, Tracker};
pub use view::{LevelText, Text, Topic, View};
