//! The rim: everything that owns a socket towards a venue, and the loop that steps one feed with what it reads.

use std::time::Duration;

use crate::bus::{Frame, Outgoing};
use crate::model::{Stamp, Stream, StreamId};
use crate::pipeline::{FeedReport, Outbox, Pipeline};
use crate::venue::{Input, LinkId, Route, Timer};

pub mod backoff;
pub mod budget;
pub mod command;
pub mod dial;
pub mod driver;
mod engine;
pub mod http;
pub mod limits;
mod lines;
mod questions;
mod redirect;
mod refusal;
mod repeats;
mod server_time;
mod states;
pub mod tap;
pub mod terminal;
pub mod tls;
mod watchdog;
pub mod weights;
mod wire;
mod wishes;
pub mod ws;
pub mod zmq;

/// What a driver steps: a [`Pipeline`], or a stand-in for it in tests.
pub trait Steps: Send {
    /// What follows is of this feed and came from this address; only replays have several in one place.
    fn route(&mut self, _feed: Option<&str>, _url: Option<&str>) {}
    /// Takes one input; what follows from it is in the outbox afterwards.
    fn step(&mut self, input: Input<'_>, now: Stamp);
    /// Takes one input of a connection; what follows from it is in the outbox afterwards.
    fn step_on(&mut self, _link: LinkId, input: Input<'_>, now: Stamp) {
        self.step(input, now);
    }
    /// The connections it needs now, each with the route it leads over; at least one.
    fn links(&self) -> &[(LinkId, Route)] {
        &[(LinkId(0), Route(0))]
    }
    /// Asks for one stream more; true when the venue has confirmed it before.
    ///
    /// # Errors
    /// Why it cannot be had.
    fn subscribe(&mut self, _stream: &Stream, _now: Stamp) -> Result<(StreamId, bool), String> {
        Err("what is played cannot be subscribed to".to_owned())
    }
    /// Leaves a stream; `None` if it was not wished.
    fn unsubscribe(&mut self, _stream: &Stream, _now: Stamp) -> Option<StreamId> {
        None
    }
    /// The call for a stream's image has not left yet: so many are before it, and it takes about so long.
    fn image_waits(&mut self, _stream: StreamId, _ahead: usize, _wait: Duration, _now: Stamp) {}
    /// What is to be done.
    fn outbox(&mut self) -> &mut Outbox;
    /// When to step with [`Input::Timeout`], if nothing else happens first.
    fn next_timeout(&self) -> Option<Timer>;
    /// The current `book.` frame of this topic at full depth, if its book is live.
    fn snapshot(&mut self, topic: &str) -> Option<Frame>;
    /// Subscribes to one symbol's book anew; false if there is no such book.
    fn resync(&mut self, symbol: &str, now: Stamp) -> bool;
    /// Has the account's state be read again.
    ///
    /// # Errors
    /// Why it is not.
    fn initialize(&mut self, _now: Stamp) -> Result<(), String> {
        Err("it follows no account".to_owned())
    }
    /// Publishes `down` for every symbol: the last thing before the process ends.
    fn shut_down(&mut self, now: Stamp);
    /// State and counters.
    fn report(&self) -> FeedReport;
}

impl Steps for Pipeline {
    fn step(&mut self, input: Input<'_>, now: Stamp) {
        self.step(input, now);
    }

    fn step_on(&mut self, link: LinkId, input: Input<'_>, now: Stamp) {
        self.step_on(link, input, now);
    }

    fn links(&self) -> &[(LinkId, Route)] {
        self.links()
    }

    fn subscribe(&mut self, stream: &Stream, now: Stamp) -> Result<(StreamId, bool), String> {
        self.subscribe(stream, now)
    }

    fn unsubscribe(&mut self, stream: &Stream, now: Stamp) -> Option<StreamId> {
        self.unsubscribe(stream, now)
    }

    fn image_waits(&mut self, stream: StreamId, ahead: usize, wait: Duration, now: Stamp) {
        self.image_waits(stream, ahead, wait, now);
    }

    fn outbox(&mut self) -> &mut Outbox {
        self.outbox()
    }

    fn next_timeout(&self) -> Option<Timer> {
        self.next_timeout()
    }

    fn snapshot(&mut self, topic: &str) -> Option<Frame> {
        self.snapshot(topic)
    }

    fn resync(&mut self, symbol: &str, now: Stamp) -> bool {
        self.resync(symbol, now)
    }

    fn initialize(&mut self, now: Stamp) -> Result<(), String> {
        self.initialize(now)
    }

    fn shut_down(&mut self, now: Stamp) {
        self.shut_down(now);
    }

    fn report(&self) -> FeedReport {
        self.report()
    }
}

/// Where frames go. It takes all that is in the batch, in order, and must not block.
pub trait FrameSink: Send + Sync {
    /// Publishes the batch and leaves it empty.
    fn publish(&self, batch: &mut Vec<Outgoing>);

    /// Whether more would soon be dropped. A replay waits for its readers; a live feed never does.
    fn is_congested(&self) -> bool {
        false
    }
}
