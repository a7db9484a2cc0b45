//! The states of a feed's streams and symbols, and what every update of the session does to them.

mod streams;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use super::event::{Event, FeedOutput, Outcome, Reason, State, Status, Symbol};
use super::past::{Backfill, Hole};
use super::report::Counters;
use super::stream::StreamState;
use crate::model::{Channel, Instrument, Stamp, Stream, StreamId, UnixNanos};
use crate::venue::{CandleUpdate, Ignored, Route, TerminalState, Update};

/// Most symbols a feed may have: a recording brings in those it has, with their instruments.
const SYMBOLS_MAX: usize = 20_000;
/// Most streams.
const STREAMS_MAX: usize = 100_000;

/// What the books need of the session, or of its connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Command {
    Resync(StreamId),
    Image(StreamId),
    Reconnect(Route, String),
}

#[derive(Debug)]
pub(super) struct SymbolState {
    pub(super) symbol: Symbol,
    /// The stream that speaks for the symbol: its deepest book, else its first stream.
    pub(super) main: Option<u32>,
    /// A stream of its own for the best bid and offer.
    pub(super) bbo: Option<u32>,
    pub(super) trades: u64,
}

/// Books and states. The first symbol is the feed as a whole.
#[derive(Debug)]
pub(super) struct Core {
    pub(super) symbols: Vec<SymbolState>,
    by_name: HashMap<String, u32>,
    pub(super) streams: Vec<StreamState>,
    by_stream: HashMap<Stream, u32>,
    pub(super) commands: VecDeque<Command>,
    pub(super) counters: Counters,
    pub(super) feed: Status,
    /// What the session has to tell of the feed as a whole, whatever its state.
    notice: Option<String>,
    /// What the terminal behind the connection goes through, while it is not well.
    terminal: Option<(State, Reason, String)>,
    announced: bool,
    /// A bit for each route that has an open connection.
    connected: u32,
    /// Whether all connections are open, and how many are; and whether that is to be told.
    links: (bool, usize),
    links_changed: bool,
    states_changed: bool,
    pub(super) discover: bool,
    pub(super) silence: Duration,
    pub(super) backfill: Backfill,
    /// REST calls that sessions have asked for.
    pub(super) calls: u64,
    /// Missing parts of the past that nobody has taken over yet.
    pub(super) holes: Vec<Hole>,
}

impl Core {
    pub(super) fn new(discover: bool, silence: Duration, backfill: Backfill) -> Self {
        let whole = SymbolState {
            symbol: Symbol { id: 0, name: String::new(), instrument: None },
            main: None,
            bbo: None,
            trades: 0,
        };
        Self {
            symbols: vec![whole],
            by_name: HashMap::from([(String::new(), 0)]),
            streams: Vec::new(),
            by_stream: HashMap::new(),
            commands: VecDeque::new(),
            counters: Counters::default(),
            feed: Status {
                state: State::Down,
                reason: Some(Reason::Starting),
                since: UnixNanos::default(),
                detail: None,
            },
            notice: None,
            terminal: None,
            announced: false,
            connected: 0,
            links: (false, 0),
            links_changed: true,
            states_changed: true,
            discover,
            silence,
            backfill,
            calls: 0,
            holes: Vec::new(),
        }
    }

    /// Takes note of how many connections are open, and whether these are all.
    pub(super) fn note_links(&mut self, all: bool, open: usize) {
        if self.links != (all, open) {
            self.links = (all, open);
            self.links_changed = true;
            self.states_changed = true;
        }
    }

    /// Whether a route has an open connection.
    pub(super) const fn is_connected(&self, route: Route) -> bool {
        self.connected & (1 << (route.0 % 32)) != 0
    }

    /// A symbol's place, made if there is none; `None` beyond the limit, and for the empty name, which is the feed's.
    fn intern(&mut self, name: &str) -> Option<u32> {
        if let Some(id) = self.by_name.get(name) {
            return Some(*id).filter(|id| *id > 0);
        }
        let id = u32::try_from(self.symbols.len()).ok().filter(|_| self.symbols.len() <= SYMBOLS_MAX)?;
        let symbol = Symbol { id, name: name.to_owned(), instrument: None };
        self.symbols.push(SymbolState { symbol, main: None, bbo: None, trades: 0 });
        self.by_name.insert(name.to_owned(), id);
        Some(id)
    }

    pub(super) fn symbol_id(&self, name: &str) -> Option<u32> {
        self.by_name.get(name).copied()
    }

    // States.

    pub(super) fn set_status(
        &mut self,
        at: usize,
        state: State,
        reason: Option<Reason>,
        detail: Option<&str>,
        now: Stamp,
        out: &mut dyn FeedOutput,
    ) {
        let Some(stream) = self.streams.get_mut(at) else { return };
        if stream.status.state == state && stream.status.reason == reason {
            return;
        }
        let new = Status { state, reason, since: now.wall, detail: detail.map(str::to_owned) };
        let old = std::mem::replace(&mut stream.status, new);
        self.states_changed = true;
        let Some(symbol) = self.symbols.get(stream.symbol as usize) else { return };
        let main = stream.is_of_account() || symbol.main.is_some_and(|main| main as usize == at);
        // What the whole connection goes through is told once a symbol, by its main stream.
        if !main && !stream.status.is_own_trouble() && !old.is_own_trouble() {
            return;
        }
        let channel = Some(stream.stream.channel);
        out.event(&symbol.symbol, Event::Status { main, channel, status: &stream.status });
    }

    pub(super) fn connected(&mut self, route: Route, now: Stamp, out: &mut dyn FeedOutput) {
        self.connected |= 1 << (route.0 % 32);
        self.notice = None;
        self.states_changed = true;
        for at in self.places(route) {
            let reason = self.streams[at].status.before_connecting();
            self.streams[at].idle(now.mono);
            self.streams[at].connected(now.mono);
            self.set_status(at, State::Syncing, Some(reason), None, now, out);
        }
    }

    /// The streams of a route that are wanted, by their places.
    fn places(&self, route: Route) -> Vec<usize> {
        self.streams_of(route).map(|(id, _)| id.0 as usize).collect()
    }

    /// These streams go on over another connection, which did not confirm them: they begin anew.
    pub(super) fn restart(&mut self, streams: &[StreamId], now: Stamp, out: &mut dyn FeedOutput) {
        for StreamId(at) in streams {
            let at = *at as usize;
            if let Some(stream) = self.streams.get_mut(at) {
                stream.idle(now.mono);
                stream.past.interrupted();
                stream.connected(now.mono);
                self.set_status(at, State::Stale, Some(Reason::Disconnected), None, now, out);
                self.set_status(at, State::Syncing, Some(Reason::Disconnected), None, now, out);
            }
        }
    }

    pub(super) fn disconnected(&mut self, route: Route, now: Stamp, out: &mut dyn FeedOutput) {
        self.connected &= !(1 << (route.0 % 32));
        self.notice = None;
        self.states_changed = true;
        let Self { commands, streams, .. } = self;
        commands.retain(|command| match command {
            Command::Resync(id) | Command::Image(id) => streams.get(id.0 as usize).is_some_and(|s| s.route != route),
            Command::Reconnect(of, _) => *of != route,
        });
        for at in self.places(route) {
            self.streams[at].idle(now.mono);
            self.streams[at].past.interrupted();
            self.streams[at].confirmed = false;
            let reason = self.streams[at].status.before_connecting();
            let state = if reason == Reason::Starting { State::Down } else { State::Stale };
            self.set_status(at, state, Some(reason), None, now, out);
        }
    }

    pub(super) fn shut_down(&mut self, now: Stamp, out: &mut dyn FeedOutput) {
        self.connected = 0;
        self.note_links(false, 0);
        for at in 0..self.streams.len() {
            if self.streams[at].wanted {
                self.streams[at].idle(now.mono);
                self.set_status(at, State::Down, Some(Reason::Shutdown), None, now, out);
            }
        }
        self.set_feed(State::Down, Some(Reason::Shutdown), None, now, out);
    }

    /// What the terminal behind the connection goes through, all its streams go through.
    fn terminal(&mut self, state: TerminalState<'_>, now: Stamp, out: &mut dyn FeedOutput) {
        let (state, reason, detail) = match state {
            TerminalState::Live => {
                self.terminal = None;
                return self.connected(Route(0), now, out);
            }
            TerminalState::Down(detail) => (State::Down, Reason::NoAnswer, detail),
            TerminalState::Offline(detail) => (State::Offline, Reason::Offline, detail),
            TerminalState::Frozen(detail) => (State::Stale, Reason::ClockStopped, detail),
        };
        self.notice = None;
        self.states_changed = true;
        self.terminal = Some((state, reason, detail.to_owned()));
        self.commands.clear();
        for at in 0..self.streams.len() {
            self.streams[at].idle(now.mono);
            self.set_status(at, state, Some(reason), Some(detail), now, out);
        }
    }

    /// The state of the feed as a whole, if something changed: down, or that of its worst symbol. A refused
    /// stream does not count, unless there is no other: it will stay refused, and the rest is well.
    pub(super) fn feed_status(&mut self, now: Stamp, out: &mut dyn FeedOutput) {
        if !std::mem::take(&mut self.states_changed) {
            return;
        }
        if self.connected == 0 {
            let reason =
                if self.feed.reason == Some(Reason::Starting) { Reason::Starting } else { Reason::Disconnected };
            return self.set_feed(State::Down, Some(reason), None, now, out);
        }
        if let Some((state, reason, detail)) = self.terminal.clone() {
            return self.set_feed(state, Some(reason), Some(detail), now, out);
        }
        let (state, reason, detail) = self.parts();
        self.set_feed(state, reason, Some(detail), now, out);
    }

    fn set_feed(
        &mut self,
        state: State,
        reason: Option<Reason>,
        detail: Option<String>,
        now: Stamp,
        out: &mut dyn FeedOutput,
    ) {
        let same =
            std::mem::replace(&mut self.announced, true) && (self.feed.state, self.feed.reason) == (state, reason);
        if same && !self.links_changed {
            return;
        }
        if std::mem::take(&mut self.links_changed) {
            out.event(&self.symbols[0].symbol, Event::Link { connected: self.links.0 });
        }
        let detail = with_notice(detail, self.notice.as_deref());
        let since = if same { self.feed.since } else { now.wall };
        self.feed = Status { state, reason, since, detail };
        out.event(&self.symbols[0].symbol, Event::Status { main: true, channel: None, status: &self.feed });
    }

    /// Tells a state again, with what there is to tell beside it.
    pub(super) fn notice(&mut self, stream: Option<StreamId>, detail: &str, out: &mut dyn FeedOutput) {
        let new = Some(detail.to_owned()).filter(|detail| !detail.is_empty());
        let Some(stream) = stream else {
            let state = self.feed.detail.take();
            let old = self.notice.as_ref().map(|old| format!("; {old}"));
            let state =
                state.map(|text| old.and_then(|old| text.strip_suffix(&old).map(str::to_owned)).unwrap_or(text));
            self.notice = new;
            self.feed.detail = with_notice(state, self.notice.as_deref());
            let status = &self.feed;
            return out.event(&self.symbols[0].symbol, Event::Notice { main: true, channel: None, status });
        };
        let at = stream.0 as usize;
        let Some(stream) = self.streams.get_mut(at) else { return };
        stream.status.detail = new;
        let Some(symbol) = self.symbols.get(stream.symbol as usize) else { return };
        let main = stream.is_of_account() || symbol.main.is_some_and(|main| main as usize == at);
        let channel = Some(stream.stream.channel);
        out.event(&symbol.symbol, Event::Notice { main, channel, status: &stream.status });
    }

    // Everything else the session says.

    pub(super) fn on_update(&mut self, update: Update<'_>, route: Route, now: Stamp, out: &mut dyn FeedOutput) {
        if stream_of(&update).is_some_and(|id| self.streams.get(id.0 as usize).is_none_or(|stream| !stream.wanted)) {
            if let Update::Unsubscribed(stream) = update {
                out.settled(stream, Outcome::Unsubscribed);
            }
            return;
        }
        match update {
            Update::Book(update) => self.on_book(update, now, out),
            Update::Trade(update) => {
                self.counters.trades += 1;
                self.note_trade(&update, now);
                self.data(update.stream, now, out);
                if let Some(symbol) = self.symbol_of_mut(update.stream) {
                    symbol.trades += 1;
                    out.event(&symbol.symbol, Event::Trade(&update));
                }
            }
            Update::Ticker(update) => self.pass(update.stream, Event::Ticker(&update), now, out),
            Update::Candle(update) => self.candle(&update, now, out),
            Update::Liquidation(update) => self.pass(update.stream, Event::Liquidation(&update), now, out),
            Update::Instrument(instrument) => self.instrument(instrument, out),
            Update::Untouched(message) => out.event(&self.symbols[0].symbol, Event::Untouched(message)),
            Update::Raw(event) => out.event(&self.symbols[0].symbol, Event::Raw(&event)),
            Update::Account(row) => out.event(&self.symbols[0].symbol, Event::Account(&row)),
            Update::Terminal(state) => self.terminal(state, now, out),
            Update::Notice { stream, detail } => self.notice(stream, detail, out),
            Update::Late { polls } => self.counters.late = self.counters.late.saturating_add(polls),
            Update::Unchanged(stream) => {
                if let Some(stream) = self.streams.get_mut(stream.0 as usize) {
                    stream.heard = now.mono;
                }
            }
            Update::Unsubscribed(_) => {}
            Update::Subscribed(stream) => {
                out.settled(stream, Outcome::Subscribed);
                let at = stream.0 as usize;
                let Some(stream) = self.streams.get_mut(at) else { return };
                stream.confirmed = true;
                if !stream.has_book() {
                    self.set_status(at, State::Live, None, None, now, out);
                } else if stream.status.state == State::Rejected {
                    stream.resync_sent(now.mono);
                    self.set_status(at, State::Syncing, Some(Reason::Rejected), None, now, out);
                }
            }
            Update::Rejected { stream, detail } => {
                out.settled(stream, Outcome::Rejected(detail));
                let at = stream.0 as usize;
                self.set_status(at, State::Rejected, Some(Reason::Rejected), Some(detail), now, out);
                if let Some(stream) = self.streams.get_mut(at) {
                    stream.idle(now.mono);
                }
            }
            Update::Broken { stream, detail } => self.broken(stream, route, detail, now, out),
            Update::ImageFailed { stream, detail } => {
                let at = stream.0 as usize;
                if self.streams.get(at).is_some_and(|stream| !stream.is_book_live()) {
                    self.lose(at, Reason::NoSnapshot, detail, now, out);
                }
            }
            Update::WantsImage { stream, rule } => self.wants_image(stream, rule, now),
            Update::Ignored(Ignored::Control) => {}
            Update::Ignored(Ignored::UnknownTopic | Ignored::UnknownKind) => self.counters.ignored += 1,
        }
    }

    pub(super) fn symbol_of_mut(&mut self, stream: StreamId) -> Option<&mut SymbolState> {
        let symbol = self.streams.get(stream.0 as usize)?.symbol;
        self.symbols.get_mut(symbol as usize)
    }

    /// Data came: the stream is live.
    #[inline]
    fn data(&mut self, stream: StreamId, now: Stamp, out: &mut dyn FeedOutput) {
        let at = stream.0 as usize;
        let Some(stream) = self.streams.get_mut(at) else { return };
        stream.heard = now.mono;
        if stream.status.state != State::Live {
            stream.restored(0, now.mono);
            self.set_status(at, State::Live, None, None, now, out);
        }
    }

    fn candle(&mut self, candle: &CandleUpdate<'_>, now: Stamp, out: &mut dyn FeedOutput) {
        let at = candle.stream.0 as usize;
        let Some(stream) = self.streams.get_mut(at) else { return };
        let seen = (candle.open_time, candle.interval);
        self.holes.extend(stream.past.candle(candle.stream, seen, &stream.closed, self.backfill, now.mono));
        match stream.closed.admits(candle.open_time, candle.closed) {
            true => self.pass(candle.stream, Event::Candle(candle), now, out),
            false => self.data(candle.stream, now, out),
        }
    }

    fn pass(&mut self, stream: StreamId, event: Event<'_>, now: Stamp, out: &mut dyn FeedOutput) {
        self.data(stream, now, out);
        if let Some(symbol) = self.symbol_of_mut(stream) {
            out.event(&symbol.symbol, event);
        }
    }

    fn instrument(&mut self, instrument: &Instrument, out: &mut dyn FeedOutput) {
        let Some(id) = self.intern(&instrument.symbol) else {
            self.counters.ignored += 1;
            return;
        };
        let symbol = &mut self.symbols[id as usize].symbol;
        symbol.instrument = Some(instrument.canonical());
        out.event(symbol, Event::Instrument(instrument));
    }

    /// A message was lost: books and merged tickers it may have belonged to are no longer known to be true, and
    /// other streams have a hole.
    fn broken(&mut self, stream: Option<StreamId>, route: Route, detail: &str, now: Stamp, out: &mut dyn FeedOutput) {
        self.counters.errors += 1;
        let doubted = stream.map_or_else(|| self.places(route), |stream| vec![stream.0 as usize]);
        for at in doubted {
            let state = &mut self.streams[at];
            state.past.interrupted();
            if let (Some(_), Some(book)) = (stream, &mut state.book) {
                book.unreadable();
            }
            let is_live = state.status.state == State::Live;
            let is_hit = state.is_book_live() || (stream.is_some() && state.awaits_snapshot());
            match state.stream.channel {
                Channel::Book(_) | Channel::Bbo if is_hit => self.lose(at, Reason::Invalid, detail, now, out),
                Channel::Ticker if is_live => self.lose(at, Reason::Invalid, detail, now, out),
                Channel::Trade | Channel::Candle(_) | Channel::Liquidation | Channel::Account(_) | Channel::Raw
                    if is_live =>
                {
                    self.set_status(at, State::Stale, Some(Reason::Invalid), Some(detail), now, out);
                    self.set_status(at, State::Live, None, None, now, out);
                }
                _ => {}
            }
        }
    }
}

/// The feed's own words and those of the session.
fn with_notice(state: Option<String>, notice: Option<&str>) -> Option<String> {
    match (state, notice) {
        (Some(state), Some(notice)) => Some(format!("{state}; {notice}")),
        (state, notice) => state.or_else(|| notice.map(str::to_owned)),
    }
}

/// The stream that an update is of.
fn stream_of(update: &Update<'_>) -> Option<StreamId> {
    match update {
        Update::Subscribed(stream) | Update::Unsubscribed(stream) | Update::Unchanged(stream) => Some(*stream),
        Update::Rejected { stream, .. } | Update::ImageFailed { stream, .. } | Update::WantsImage { stream, .. } => {
            Some(*stream)
        }
        Update::Broken { stream, .. } | Update::Notice { stream, .. } => *stream,
        Update::Book(update) => Some(update.stream),
        Update::Trade(update) => Some(update.stream),
        Update::Ticker(update) => Some(update.stream),
        Update::Candle(update) => Some(update.stream),
        Update::Liquidation(update) => Some(update.stream),
        Update::Ignored(_)
        | Update::Instrument(_)
        | Update::Terminal(_)
        | Update::Raw(_)
        | Update::Untouched(_)
        | Update::Account(_)
        | Update::Late { .. } => None,
    }
}
