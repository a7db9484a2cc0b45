//! The streams of a feed, which may come and go at run time, and which of them speaks for its symbol.

use std::collections::BTreeSet;

use super::super::books::sync_update;
use super::{Command, Core, Event, FeedOutput, Reason, STREAMS_MAX, State, Status, StreamState, SymbolState};
use crate::model::{BookDepth, Channel, Stamp, Stream, StreamId};
use crate::venue::{BookUpdate, Route};

impl Core {
    /// Adds a stream, or one that was left again; `None` beyond the limits.
    pub(in crate::feed) fn add(&mut self, stream: Stream, route: Route) -> Option<StreamId> {
        let at = match self.by_stream.get(&stream) {
            Some(at) => *at,
            None => {
                let at = u32::try_from(self.streams.len()).ok().filter(|_| self.streams.len() < STREAMS_MAX)?;
                let symbol = if stream.channel.has_symbol() { self.intern(&stream.symbol)? } else { 0 };
                self.by_stream.insert(stream.clone(), at);
                self.streams.push(StreamState::new(stream, symbol, route));
                at
            }
        };
        let state = self.streams.get_mut(at as usize)?;
        state.wanted = true;
        let symbol = state.symbol;
        self.elect(symbol, at);
        Some(StreamId(at))
    }

    /// Makes this stream the one that speaks for its symbol if it is better than the one that does. None speaks for the
    /// feed as a whole.
    fn elect(&mut self, symbol: u32, at: u32) {
        if symbol == 0 {
            return;
        }
        let channel = |at: u32| self.streams.get(at as usize).map(|stream| stream.stream.channel);
        let rank = |at: u32| match channel(at) {
            Some(Channel::Book(BookDepth::Full)) => u32::MAX,
            Some(Channel::Book(BookDepth::Levels(depth))) => 2 + u32::from(depth),
            Some(Channel::Bbo) => 1,
            _ => 0,
        };
        let better = |main: Option<u32>| main.is_none_or(|main| rank(at) > rank(main));
        let (is_bbo, Some(state)) = (channel(at) == Some(Channel::Bbo), self.symbols.get(symbol as usize)) else {
            return;
        };
        let main = if better(state.main) { Some(at) } else { state.main };
        if let Some(state) = self.symbols.get_mut(symbol as usize) {
            state.main = main;
            state.bbo = if is_bbo { Some(at) } else { state.bbo };
        }
    }

    /// The id of a stream that is wanted.
    pub(in crate::feed) fn stream_id(&self, stream: &Stream) -> Option<StreamId> {
        let at = *self.by_stream.get(stream)?;
        self.streams.get(at as usize).filter(|stream| stream.wanted).map(|_| StreamId(at))
    }

    /// The streams of a route that are wanted.
    pub(in crate::feed) fn streams_of(&self, route: Route) -> impl Iterator<Item = (StreamId, &StreamState)> {
        (0..).map(StreamId).zip(&self.streams).filter(move |(_, stream)| stream.wanted && stream.route == route)
    }

    /// The streams of a route that were left.
    pub(in crate::feed) fn left_of(&self, route: Route) -> impl Iterator<Item = StreamId> {
        let left = (0..).map(StreamId).zip(&self.streams);
        left.filter(move |(_, stream)| !stream.wanted && stream.route == route).map(|(id, _)| id)
    }

    /// A stream is asked for at run time: it begins as it would have with the connection.
    pub(in crate::feed) fn begin(&mut self, id: StreamId, now: Stamp, out: &mut dyn FeedOutput) {
        let at = id.0 as usize;
        let Some(route) = self.streams.get(at).map(|stream| stream.route) else { return };
        self.states_changed = true;
        if self.is_connected(route) {
            self.streams[at].idle(now.mono);
            self.streams[at].connected(now.mono);
            self.set_status(at, State::Syncing, Some(Reason::Starting), None, now, out);
        }
    }

    /// A stream is left at run time: what was published of it no longer holds. Another one may speak for its symbol.
    pub(in crate::feed) fn leave(&mut self, id: StreamId, now: Stamp, out: &mut dyn FeedOutput) {
        let at = id.0 as usize;
        let Some(symbol) = self.streams.get(at).map(|stream| stream.symbol) else { return };
        self.streams[at].idle(now.mono);
        self.commands.retain(|command| !matches!(command, Command::Resync(of) | Command::Image(of) if *of == id));
        self.set_status(at, State::Down, Some(Reason::Unsubscribed), None, now, out);
        self.streams[at].wanted = false;
        self.streams[at].book = None;
        self.states_changed = true;
        let Some(state) = self.symbols.get_mut(symbol as usize) else { return };
        let was_main = state.main == Some(id.0);
        state.main = state.main.filter(|main| *main != id.0);
        state.bbo = state.bbo.filter(|bbo| *bbo != id.0);
        if !was_main {
            return;
        }
        let of_symbol = |(_, stream): &(u32, &StreamState)| stream.wanted && stream.symbol == symbol;
        let others: Vec<u32> = (0..).zip(&self.streams).filter(of_symbol).map(|(at, _)| at).collect();
        others.into_iter().for_each(|other| self.elect(symbol, other));
        let Some(state) = self.symbols.get(symbol as usize) else { return };
        if let Some(stream) = state.main.and_then(|main| self.streams.get(main as usize)) {
            let channel = Some(stream.stream.channel);
            out.event(&state.symbol, Event::Status { main: true, channel, status: &stream.status });
        }
    }

    /// The symbols of all streams.
    pub(in crate::feed) fn named(&self) -> BTreeSet<String> {
        let of_symbol = self.streams.iter().filter(|stream| stream.stream.channel.has_symbol());
        of_symbol.map(|stream| stream.stream.symbol.clone()).collect()
    }

    /// The worst state of the feed's parts, and how many of them are live.
    pub(in crate::feed) fn parts(&self) -> (State, Option<Reason>, String) {
        let main = |symbol: &SymbolState| symbol.main.map(|at| &self.streams[at as usize].status);
        let symbols: Vec<&Status> = self.symbols.iter().filter_map(main).collect();
        let others = self.streams.iter().filter(|stream| stream.wanted && stream.symbol == 0);
        let others: Vec<&Status> = others.map(|stream| &stream.status).collect();
        let all = || symbols.iter().chain(&others);
        // Of several that are as bad, the first says why.
        let worst = all().rev().filter(|status| status.state != State::Rejected).max_by_key(|status| status.state);
        let (state, reason) = match worst {
            Some(worst) => (worst.state, worst.reason),
            None if all().next().is_some() => (State::Rejected, Some(Reason::Rejected)),
            None => (State::Live, None),
        };
        let live = |of: &[&Status]| of.iter().filter(|status| status.state == State::Live).count();
        let mut detail = format!("{} of {} symbols live", live(&symbols), symbols.len());
        if !others.is_empty() {
            let of_others = format!("{} of {} channels without symbols live", live(&others), others.len());
            detail = if symbols.is_empty() { of_others } else { format!("{detail}, {of_others}") };
        }
        (state, reason, detail)
    }

    /// Whether streams of an account are wanted.
    pub(in crate::feed) fn has_account(&self) -> bool {
        self.streams.iter().any(|stream| stream.wanted && stream.is_of_account())
    }

    /// Why nothing was asked for when the account was to be read.
    pub(in crate::feed) fn why_not_read(&self) -> String {
        let of_account = self.streams.iter().filter(|stream| stream.wanted && stream.is_of_account());
        let not_live = of_account.filter(|stream| stream.status.state != State::Live);
        let Some(worst) = not_live.max_by_key(|stream| stream.status.state) else {
            return "nothing of its channels is read by REST".to_owned();
        };
        let (channel, status) = (worst.stream.channel, &worst.status);
        let why = status.detail.as_deref().or(status.reason.map(Reason::as_str)).unwrap_or_default();
        format!("it is not signed in: its {channel} channel is {} ({why})", status.state.as_str())
    }

    pub(in crate::feed) fn route_of(&self, id: StreamId) -> Route {
        self.streams.get(id.0 as usize).map_or(Route(0), |stream| stream.route)
    }

    /// Whether the venue has confirmed a stream, over the connection that is open.
    pub(in crate::feed) fn is_confirmed(&self, id: StreamId) -> bool {
        self.streams.get(id.0 as usize).is_some_and(|stream| stream.confirmed)
    }

    /// The venue's words when it refused a stream, which is then asked for again slowly.
    pub(in crate::feed) fn refusal(&self, id: StreamId) -> Option<&str> {
        let status = &self.streams.get(id.0 as usize)?.status;
        (status.state == State::Rejected).then(|| status.detail.as_deref().unwrap_or("refused"))
    }

    /// Whether a live book lacks something that came before this delta.
    pub(in crate::feed) fn has_gap_before(&self, update: &BookUpdate<'_>) -> bool {
        let book = self.streams.get(update.stream.0 as usize).and_then(|stream| stream.book.as_ref());
        book.is_some_and(|book| book.has_gap_before(&sync_update(update)))
    }

    /// The venue's id of a live book.
    pub(in crate::feed) fn live_seq(&self, id: StreamId) -> Option<u64> {
        let book = self.streams.get(id.0 as usize)?.book.as_ref()?;
        book.live().map(|_| book.seq())
    }
}
