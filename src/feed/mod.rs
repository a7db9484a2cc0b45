//! One feed: the sessions of its connections, the books of its streams, and the state of every symbol. Pure.
//!
//! The sessions say what the venue said; the feed decides what may be published: a book only while it equals
//! the venue's, and a status before anything else when it no longer does.

mod books;
mod closed;
mod core;
mod event;
mod links;
mod past;
mod polled;
mod report;
mod stream;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use event::{BookView, Event, FeedOutput, Levels, Outcome, Reason, State, Status, Symbol};
pub use past::Backfill;
pub use report::{AccountReport, BookReport, Counters, FeedReport, LastBook, SymbolReport};

use self::core::{Command, Core};
use self::links::{Intake, Link, Overlap};
use crate::model::{Mono, Stamp, Stream, StreamId, UnixNanos};
use crate::venue::kit::fills::Seen;
use crate::venue::{Input, LinkId, RawSession, Route, SessionSpec, Signer, TerminalSpec, Timer, Transport, VenueDef};

/// How often deadlines of streams are looked at.
const CHECK_EVERY: Duration = Duration::from_millis(250);

/// What a feed is made of.
#[derive(Clone, Debug, Default)]
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
    /// Who signs in.
    pub signer: Option<Signer>,
    /// The address for what the user subscribes to in the venue's words.
    pub raw_url: String,
    /// How much of the past is fetched; in a replay nothing is.
    pub backfill: Backfill,
}

/// A feed.
pub struct Feed {
    venue: &'static VenueDef,
    spec: FeedSpec,
    links: Vec<Link>,
    /// The same as the driver needs them.
    table: Vec<(LinkId, Route)>,
    next_link: u32,
    overlaps: Vec<Overlap>,
    /// Connections that a session wants replaced.
    replace: Vec<(LinkId, String)>,
    core: Core,
    /// The account's fills that were published.
    fills: Seen,
    polled: polled::Polled,
    past: past::Past,
    next_check: Option<Mono>,
}

impl Feed {
    /// Opens the sessions that the streams need; at least one.
    pub fn new(venue: &'static VenueDef, mut spec: FeedSpec) -> Self {
        let backfill = if spec.discover { Backfill::default() } else { spec.backfill };
        let mut core = Core::new(spec.discover, spec.silence, backfill);
        let mut routes = Vec::new();
        for stream in std::mem::take(&mut spec.streams) {
            let route = venue.route(&spec.market, &stream);
            routes.push(route);
            core.add(stream, route);
        }
        routes.sort_unstable();
        routes.dedup();
        if routes.is_empty() {
            routes.push(Route::default());
        }
        let (links, table, overlaps, replace) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let (fills, polled, past) = (Seen::default(), polled::Polled::default(), past::Past::default());
        let (next_link, next_check) = (0, None);
        let mut feed =
            Self { venue, spec, links, table, next_link, overlaps, replace, core, fills, polled, past, next_check };
        for (at, route) in routes.into_iter().enumerate() {
            feed.open(route, at == 0, None, None);
        }
        feed
    }

    /// Opens a session for this route; its driver sees it in [`Self::links`]. One that replaces another is told until when
    /// that one was there.
    fn open(&mut self, route: Route, leads: bool, replaces: Option<LinkId>, whole: Option<UnixNanos>) {
        let streams = self.core.streams_of(route).map(|(id, state)| (id, state.stream.clone())).collect();
        let spec = SessionSpec {
            market: self.spec.market.clone(),
            route,
            leads,
            streams,
            discover: self.spec.discover,
            terminal: self.spec.terminal.clone(),
            signer: self.spec.signer.clone(),
            symbols: self.spec.signer.iter().flat_map(|_| self.core.named()).collect(),
            whole,
            raw_url: self.spec.raw_url.clone(),
        };
        let session = match route {
            Route::RAW => Box::new(RawSession::new(self.venue, spec)),
            _ => (self.venue.open)(spec),
        };
        let id = LinkId(self.next_link);
        self.next_link = self.next_link.wrapping_add(1);
        self.links.push(Link { id, route, leads, session, connected: false, replaces });
        self.table.push((id, route));
    }

    fn remove(&mut self, id: LinkId) {
        self.links.retain(|link| link.id != id);
        self.table.retain(|(known, _)| *known != id);
        self.overlaps.retain(|overlap| overlap.old != id && overlap.new != id);
    }

    /// The connections it needs now, each with the route it leads over. A driver opens those that are new and closes
    /// those that are gone.
    pub fn links(&self) -> &[(LinkId, Route)] {
        &self.table
    }

    fn place(&self, id: LinkId) -> Option<usize> {
        self.links.iter().position(|link| link.id == id)
    }

    /// Takes one input of the first connection; see [`Self::handle_on`].
    pub fn handle(&mut self, input: Input<'_>, now: Stamp, out: &mut dyn FeedOutput) {
        let first = self.links.first().map_or(LinkId(0), |link| link.id);
        self.handle_on(first, input, now, out);
    }

    /// Takes one input of a connection; everything that follows goes to `out`, in order. Timeouts and the end of the
    /// process are for all connections.
    pub fn handle_on(&mut self, link: LinkId, input: Input<'_>, now: Stamp, out: &mut dyn FeedOutput) {
        match input {
            Input::Timeout => {
                self.check(now, out);
                for at in 0..self.links.len() {
                    self.pass(at, Input::Timeout, now, out);
                }
            }
            Input::Shutdown => (0..self.links.len()).for_each(|at| self.pass(at, Input::Shutdown, now, out)),
            Input::Http { id, status, body, .. } if self.past_answered((id, status), body, now, out) => {}
            input => {
                let Some(at) = self.place(link) else { return };
                let goes_on = match &input {
                    Input::Text(message) | Input::Binary(message) => {
                        self.core.counters.received(message.len());
                        true
                    }
                    Input::Connected => self.connected(at, now, out),
                    Input::Disconnected => self.disconnected(at, now, out),
                    _ => true,
                };
                if goes_on {
                    self.pass(at, input, now, out);
                }
            }
        }
        self.obey(now, out);
        self.replace(now, out);
        self.tell(now, out);
    }

    /// Says how the feed as a whole stands, if that has changed. A successor's connection does not count.
    fn tell(&mut self, now: Stamp, out: &mut dyn FeedOutput) {
        let mut own = self.links.iter().filter(|link| link.replaces.is_none());
        let open = own.clone().filter(|link| link.connected).count();
        self.core.note_links(own.all(|link| link.connected), open);
        self.core.feed_status(now, out);
    }

    /// Hands an input to one connection's session.
    #[inline]
    fn pass(&mut self, at: usize, input: Input<'_>, now: Stamp, out: &mut dyn FeedOutput) {
        let Self { venue, spec, links, overlaps, replace, core, fills, .. } = self;
        let Some(Link { id, route, session, .. }) = links.get_mut(at) else { return };
        let overlap = overlaps.iter_mut().find(|overlap| overlap.old == *id || overlap.new == *id);
        let (link, route) = (*id, *route);
        let mut intake = Intake { venue, market: &spec.market, link, route, core, fills, overlap, replace, now, out };
        session.handle(input, now, &mut intake);
    }

    /// A connection is open. A successor changes no state: what is live stays so.
    fn connected(&mut self, at: usize, now: Stamp, out: &mut dyn FeedOutput) -> bool {
        self.next_check = (!self.spec.discover).then(|| now.mono.after(CHECK_EVERY));
        let Some(link) = self.links.get_mut(at) else { return false };
        link.connected = true;
        match link.replaces {
            Some(old) => self.overlaps.push(Overlap::new(old, link.id, now.mono)),
            None => self.core.connected(link.route, now, out),
        }
        true
    }

    /// A connection is gone. One that has a successor is over; false for it.
    fn disconnected(&mut self, at: usize, now: Stamp, out: &mut dyn FeedOutput) -> bool {
        let Some(link) = self.links.get_mut(at) else { return false };
        link.connected = false;
        let (id, route, replaces) = (link.id, link.route, link.replaces);
        if replaces.is_some() {
            self.overlaps.retain(|overlap| overlap.new != id);
        } else if let Some(overlap) = self.overlaps.iter().position(|overlap| overlap.old == id) {
            self.succeed(overlap, now, out);
            return false;
        } else {
            self.core.disconnected(route, now, out);
            if self.links.iter().any(|link| link.replaces == Some(id)) {
                self.promote(id);
                return false;
            }
        }
        if self.links.iter().all(|link| !link.connected) {
            self.next_check = None;
        }
        true
    }

    /// Replay, where one session has the messages of all connections: that of this route was opened again, and its streams
    /// begin anew.
    pub fn reopened(&mut self, route: Route, now: Stamp, out: &mut dyn FeedOutput) {
        self.core.disconnected(route, now, out);
        self.core.connected(route, now, out);
        self.core.feed_status(now, out);
    }

    /// The successor of this connection takes its place.
    fn promote(&mut self, old: LinkId) {
        let leads = self.links.iter().any(|link| link.id == old && link.leads);
        self.remove(old);
        if let Some(link) = self.links.iter_mut().find(|link| link.replaces == Some(old)) {
            link.replaces = None;
            link.leads |= leads;
        }
    }

    /// Ends an overlap: the old connection goes; streams that the new one does not have yet begin anew.
    fn succeed(&mut self, at: usize, now: Stamp, out: &mut dyn FeedOutput) {
        let overlap = self.overlaps.remove(at);
        let Some(route) = self.place(overlap.new).map(|at| self.links[at].route) else { return };
        let missing: Vec<_> =
            self.core.streams_of(route).map(|(id, _)| id).filter(|stream| !overlap.has(*stream)).collect();
        self.core.restart(&missing, now, out);
        self.core.ask_images_again(route, now);
        self.promote(overlap.old);
    }

    fn check(&mut self, now: Stamp, out: &mut dyn FeedOutput) {
        if self.next_check.is_some_and(|at| at <= now.mono) {
            self.next_check = Some(now.mono.after(CHECK_EVERY));
            self.core.check(now, out);
            self.fetch_past(now, out);
        }
    }

    /// Passes on to the sessions what the books need. Each command empties one place in the queue.
    fn obey(&mut self, now: Stamp, out: &mut dyn FeedOutput) {
        while let Some(command) = self.core.commands.pop_front() {
            let (route, input) = match command {
                Command::Resync(stream) => (self.core.route_of(stream), Input::Resync(stream)),
                Command::Image(stream) => (self.core.route_of(stream), Input::Image(stream)),
                Command::Reconnect(route, reason) => {
                    let links = self.links.iter().filter(|link| link.route == route);
                    links.for_each(|link| out.reconnect(link.id, reason.clone()));
                    continue;
                }
            };
            // While one connection is replaced, the one that stays.
            if let Some(at) = self.links.iter().rposition(|link| link.route == route && link.connected) {
                self.pass(at, input, now, out);
            }
        }
    }

    /// Begins the replacements that were asked for, and ends those that are done.
    fn replace(&mut self, now: Stamp, out: &mut dyn FeedOutput) {
        for (id, _) in std::mem::take(&mut self.replace) {
            let has_successor = self.links.iter().any(|link| link.replaces == Some(id));
            if let Some(at) = self.place(id).filter(|at| !has_successor && self.links[*at].replaces.is_none()) {
                self.open(self.links[at].route, self.links[at].leads, Some(id), Some(now.wall));
            }
        }
        while let Some(at) = self.overlaps.iter().position(|overlap| self.is_over(overlap, now.mono)) {
            self.succeed(at, now, out);
        }
    }

    fn is_over(&self, overlap: &Overlap, now: Mono) -> bool {
        let Some(at) = self.place(overlap.new) else { return true };
        let mut streams = self.core.streams_of(self.links[at].route);
        overlap.until <= now || streams.all(|(id, _)| overlap.is_done_with(id, &self.core))
    }

    /// When to hand in [`Input::Timeout`], if nothing else happens first.
    pub fn next_timeout(&self) -> Option<Timer> {
        let check = self.next_check.map(|at| Timer { at, why: "check" });
        let overlaps = self.overlaps.iter().map(|overlap| Timer { at: overlap.until, why: "overlap" });
        self.links.iter().filter_map(|link| link.session.next_timeout()).chain(check).chain(overlaps).min()
    }

    /// Asks for one stream more. True when the venue has confirmed it before; else [`FeedOutput::settled`] will tell.
    ///
    /// # Errors
    /// When the feed has no room for it, or the venue's refusal of a stream that it refused before.
    pub fn subscribe(
        &mut self,
        stream: &Stream,
        now: Stamp,
        out: &mut dyn FeedOutput,
    ) -> Result<(StreamId, bool), String> {
        if let Some(id) = self.core.stream_id(stream) {
            if let Some(refusal) = self.core.refusal(id) {
                return Err(refusal.to_owned());
            }
            return Ok((id, self.core.is_confirmed(id)));
        }
        let route = self.venue.route(&self.spec.market, stream);
        let id = self.core.add(stream.clone(), route).ok_or("the feed has as many streams as it may have")?;
        self.core.begin(id, now, out);
        if self.links.iter().any(|link| link.route == route) {
            for at in 0..self.links.len() {
                if self.links[at].route == route {
                    self.pass(at, Input::Subscribe { id, stream }, now, out);
                }
            }
        } else {
            self.open(route, false, None, None);
        }
        self.obey(now, out);
        self.tell(now, out);
        Ok((id, false))
    }

    /// Leaves a stream; `None` if it was not wished. [`FeedOutput::settled`] will tell when the venue has confirmed it.
    pub fn unsubscribe(&mut self, stream: &Stream, now: Stamp, out: &mut dyn FeedOutput) -> Option<StreamId> {
        let id = self.core.stream_id(stream)?;
        let route = self.core.route_of(id);
        self.core.leave(id, now, out);
        for at in 0..self.links.len() {
            if self.links[at].route == route {
                self.pass(at, Input::Unsubscribe(id), now, out);
            }
        }
        if self.core.streams_of(route).next().is_none() {
            let over: Vec<_> = self.links.iter().filter(|l| l.route == route && !l.leads).map(|l| l.id).collect();
            if !over.is_empty() {
                over.into_iter().for_each(|link| self.remove(link));
                self.core.disconnected(route, now, out);
                // The venue cannot confirm any of them any more.
                self.core.left_of(route).for_each(|id| out.settled(id, Outcome::Unsubscribed));
            }
        }
        self.tell(now, out);
        Some(id)
    }

    /// The call for a stream's image has not left yet: so many are before it, and it takes about so long.
    pub fn image_waits(
        &mut self,
        stream: StreamId,
        ahead: usize,
        wait: Duration,
        now: Stamp,
        out: &mut dyn FeedOutput,
    ) {
        self.core.image_waits(stream, ahead, wait, now, out);
    }

    /// Gives one symbol's book up and asks for it anew; false if there is no such book.
    pub fn resync(&mut self, symbol: &str, now: Stamp, out: &mut dyn FeedOutput) -> bool {
        let found = self.core.resync(symbol, now, out);
        self.obey(now, out);
        self.tell(now, out);
        found
    }

    /// Has the account's state be read again: orders, positions, balances.
    ///
    /// # Errors
    /// Why it is not: no account is followed, or it is not signed in.
    pub fn initialize(&mut self, now: Stamp, out: &mut dyn FeedOutput) -> Result<(), String> {
        if !self.core.has_account() {
            return Err("it follows no account".to_owned());
        }
        if self.venue.transport == Transport::Terminal {
            return Err("its venue tells the state of accounts by itself".to_owned());
        }
        let before = self.core.calls;
        (0..self.links.len()).for_each(|at| self.pass(at, Input::Initialize, now, out));
        if self.core.calls > before { Ok(()) } else { Err(self.core.why_not_read()) }
    }

    /// Says `down` for every symbol: the last thing before the process ends.
    pub fn shut_down(&mut self, now: Stamp, out: &mut dyn FeedOutput) {
        self.core.shut_down(now, out);
    }

    /// A symbol's live book, by its place in the table.
    pub fn book(&self, symbol: u32) -> Option<(&Symbol, BookView<'_>)> {
        self.core.book(symbol)
    }

    /// A symbol it has, or has had.
    pub fn symbol(&self, name: &str) -> Option<&Symbol> {
        self.core.symbols.get(self.core.symbol_id(name)? as usize).map(|state| &state.symbol)
    }

    /// A symbol's place in the table.
    pub fn symbol_id(&self, name: &str) -> Option<u32> {
        self.core.symbol_id(name)
    }

    /// State and counters, for operators.
    pub fn report(&self) -> FeedReport {
        let clock_ahead_ms = self.links.iter().find_map(|link| link.session.clock_ahead_ms());
        FeedReport { backfilling: self.past.waiting(), clock_ahead_ms, ..self.core.report() }
    }

    /// What became of every book, for replays.
    pub fn book_reports(&self) -> Vec<BookReport> {
        self.core.book_reports()
    }
}
