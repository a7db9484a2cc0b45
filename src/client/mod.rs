//! The subscriber's side of the bus: receive frames, find losses, print, measure, join a book, ask for a snapshot.
//! `tickbus-sub` is [`SubArgs`] and [`run()`]; the other parts stand alone for programs that embed a subscriber.
//!
//! One book, kept equal to the gateway's through every loss ([`Follower`]):
//!
//! ```no_run
//! use tickbus::client::{Change, follow};
//!
//! # async fn trade() -> Result<(), tickbus::client::FollowError> {
//! let topic = "book.bybit.linear.BTCUSDT.";
//! let mut follower = follow("tcp://127.0.0.1:5555", "tcp://127.0.0.1:5556", topic)?;
//! loop {
//!     match follower.next().await {
//!         Change::Live(book) => println!("{:?} {:?}", book.bids().next(), book.asks().next()),
//!         // Do not trade until the next `Live`.
//!         Change::Unknown { detail, .. } => eprintln!("book unknown: {detail}"),
//!     }
//! }
//! # }
//! ```
//!
//! Any topics, with every loss told ([`Subscriber`] and [`Tracker`]). `heartbeat.` is among the prefixes, because a topic
//! that falls silent after a loss has no later frame to show it:
//!
//! ```no_run
//! use tickbus::client::{Heartbeat, Incoming, Observation, Tracker, View, as_json, subscribe};
//!
//! # async fn trades() -> Result<(), Box<dyn std::error::Error>> {
//! let prefixes = ["trade.bybit.".to_owned(), "heartbeat.".to_owned()];
//! let mut subscriber = subscribe("tcp://127.0.0.1:5555", &prefixes)?;
//! let mut tracker = Tracker::default();
//! loop {
//!     let Incoming::Frame(frame) = subscriber.next().await else { continue };
//!     let json = as_json(&frame.payload)?;
//!     let view = View::read(&json)?;
//!     match tracker.observe(&frame.topic, view.epoch, view.seq) {
//!         Observation::Gap { missing, .. } => eprintln!("{}: {missing} frames lost", frame.topic),
//!         Observation::NewEpoch { .. } => eprintln!("{}: the gateway was restarted", frame.topic),
//!         _ => {}
//!     }
//!     if frame.topic == "heartbeat." {
//!         for loss in tracker.heartbeat(&Heartbeat::read(&json)?).losses {
//!             eprintln!("{}: the last {} frames lost", loss.topic, loss.missing);
//!         }
//!     } else {
//!         println!("{:?} {:?}", view.price, view.size);
//!     }
//! }
//! # }
//! ```

mod access;
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

pub use access::{AccessArgs, AccessError};
pub use args::{Format, SubArgs};
pub use book::{JoinedBook, Need, Step};
pub use delivery::{Heartbeat, Loss, Notice};
pub use follow::{Change, FollowError, Follower, follow};
pub use payload::{DecodeError, as_json};
pub use print::Printer;
pub use request::{RequestError, request, request_secured};
pub use run::run;
pub use stats::Stats;
pub use subscribe::{EndpointError, Incoming, ReceivedFrame, Subscriber, subscribe};
pub use tracker::{Counts, Observation, SilentLoss, Told, Tracker};
pub use view::{LevelText, Members, Text, Topic, View};
