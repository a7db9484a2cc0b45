//! One feed: a venue's session, the books of its streams, and the state of every symbol. Pure.
//!
//! The session says what the venue said; the feed decides what may be published: a book only while it equals
//! the venue's, and a status before anything else when it no longer does.

mod books;
mod core;
mod event;
mod report;
mod stream;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use event::{BookView, Event, FeedOutput, Levels, Reason, State, Status, Symbol};
pub use report::{BookReport, Counters, FeedReport, LastBook, SymbolReport};

use self::core::{Command, Core, Intake};
use crate::model::{Mono, Stamp, Stream};
use crate::venue::{Input, Session, SessionSpec, TerminalSpec, Timer, VenueDef};

/// How often deadlines of streams are looked at.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// What a feed is made of.
#[derive(Clone, Debug)]
pub struct FeedSpec {
    /// One of the venue's markets.
    pub market: String,
    /// What to subscribe to.
    pub streams: Vec<Stream>,
    /// Replay: streams are found in the recording and nothing is asked for.
    pub discover: bool,
    /// How long a book may be silent before it is doubted.
    pub silence: Duration,
    /// Settings of a terminal's feed; the default for all others.
    pub terminal: TerminalSpec,
}

/// A feed.
pub struct Feed {
    session: Box<dyn Session>,
    core: Core,
    discover: bool,
    next_check: Option<Mono>,
}

impl Feed {
    /// Opens a session of this venue.
    pub fn new(venue: &VenueDef, spec: FeedSpec) -> Self {
        let session = (venue.open)(SessionSpec {
            market: spec.market,
            streams: spec.streams.clone(),
            discover: spec.discover,
            terminal: spec.terminal,
        });
        let core = Core::new(spec.streams, spec.discover, spec.silence);
        Self { session, core, discover: spec.discover, next_check: None }
    }

    /// Takes one input; everything that follows goes to `out`, in order.
    pub fn handle(&mut self, input: Input<'_>, now: Stamp, out: &mut dyn FeedOutput) {
        match &input {
            Input::Text(message) | Input::Binary(message) => self.core.counters.received(message.len()),
            Input::Connected => {
                self.next_check = (!self.discover).then(|| now.mono.after(CHECK_EVERY));
                self.core.connected(now, out);
            }
            Input::Disconnected => {
                self.next_check = None;
                self.core.disconnected(now, out);
            }
            Input::Timeout => self.check(now, out),
            Input::Http { .. } | Input::Rpc { .. } | Input::Ask { .. } => {}
            Input::Resync(_) | Input::Image(_) | Input::Shutdown => {}
        }
        self.session.handle(input, now, &mut Intake { core: &mut self.core, now, out });
        self.obey(now, out);
        self.core.feed_status(now, out);
    }

    fn check(&mut self, now: Stamp, out: &mut dyn FeedOutput) {
        if self.next_check.is_some_and(|at| at <= now.mono) {
            self.next_check = Some(now.mono.after(CHECK_EVERY));
            self.core.check(now, out);
        }
    }

    /// Passes on to the session what the books need. Each command empties one place in the queue.
    fn obey(&mut self, now: Stamp, out: &mut dyn FeedOutput) {
        while let Some(command) = self.core.commands.pop_front() {
            let input = match command {
                Command::Resync(stream) => Input::Resync(stream),
                Command::Image(stream) => Input::Image(stream),
            };
            self.session.handle(input, now, &mut Intake { core: &mut self.core, now, out });
        }
    }

    /// When to hand in [`Input::Timeout`], if nothing else happens first.
    pub fn next_timeout(&self) -> Option<Timer> {
        let check = self.next_check.map(|at| Timer { at, why: "check" });
        self.session.next_timeout().into_iter().chain(check).min()
    }

    /// Gives one symbol's book up and asks for it anew; false if there is no such book.
    pub fn resync(&mut self, symbol: &str, now: Stamp, out: &mut dyn FeedOutput) -> bool {
        let found = self.core.resync(symbol, now, out);
        self.obey(now, out);
        self.core.feed_status(now, out);
        found
    }

    /// Says `down` for every symbol: the last thing before the process ends.
    pub fn shut_down(&mut self, now: Stamp, out: &mut dyn FeedOutput) {
        self.core.shut_down(now, out);
    }

    /// A symbol's live book, by its place in the table.
    pub fn book(&self, symbol: u32) -> Option<(&Symbol, BookView<'_>)> {
        self.core.book(symbol)
    }

    /// A symbol's place in the table.
    pub fn symbol_id(&self, name: &str) -> Option<u32> {
        self.core.symbol_id(name)
    }

    /// State and counters, for operators.
    pub fn report(&self) -> FeedReport {
        self.core.report()
    }

    /// What became of every book, for replays.
    pub fn book_reports(&self) -> Vec<BookReport> {
        self.core.book_reports()
    }
}
