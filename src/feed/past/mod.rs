//! Back-fill: candles and trades that were missed are fetched by REST, behind all other calls, and published flagged, in the
//! order of their time, each once. Live data never wait for them.

mod hole;
#[cfg(test)]
mod tests;
mod track;

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::time::Duration;

pub(super) use self::hole::Hole;
use self::hole::{Gap, Next};
pub(super) use self::track::Track;
use super::core::Core;
use super::event::{Event, FeedOutput};
use super::{Feed, LinkId};
use crate::model::{Stamp, Stream, StreamId};
use crate::venue::{CandleUpdate, Endpoint, HttpRequest, Output, Page, Params, RpcRequest, Told, TradeUpdate, Update};

/// Ids of the feed's own calls begin here; those of sessions count from 1.
const OWN: u64 = 1 << 63;
/// Calls of a feed that stand in line or are under way at one time.
const CALLS: usize = 4;
/// Missing parts that wait; what is missing beyond them is given up, and told.
const HOLES: usize = 20_000;
/// How long a call may take once it has left.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// How much of the past is fetched; the default is nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backfill {
    /// Candles of a stream: the last ones at the start, and as many of a hole at most.
    pub candles: u32,
    /// Trades of a hole at most: the newest of it.
    pub trades: u32,
}

/// What is missing, and the calls for it.
#[derive(Debug, Default)]
pub(super) struct Past {
    holes: VecDeque<Hole>,
    calls: BTreeMap<u64, Call>,
    last_id: u64,
}

/// A call under way.
#[derive(Debug)]
struct Call {
    stream: StreamId,
    endpoint: &'static Endpoint,
    params: Params,
    /// The end of what it asks for, in milliseconds, where that is a time.
    asked_to: u64,
}

impl Past {
    /// Streams that something is missing of.
    pub(super) fn waiting(&self) -> usize {
        self.holes.len()
    }

    /// The first hole whose time has come: of each stream one after the other, so that what is published is in order.
    fn due(&self, now: Stamp) -> Option<usize> {
        let mut busy: HashSet<StreamId> = self.calls.values().map(|call| call.stream).collect();
        self.holes.iter().position(|hole| busy.insert(hole.stream) && hole.at <= now.mono)
    }
}

impl Feed {
    /// Makes the calls whose time has come.
    pub(super) fn fetch_past(&mut self, now: Stamp, out: &mut dyn FeedOutput) {
        for hole in std::mem::take(&mut self.core.holes) {
            let Some(hole) = self.numbered(hole) else { continue };
            if self.past.holes.len() < HOLES {
                self.past.holes.push_back(hole);
            } else {
                self.give_up(&hole, "too much is missing at once", out);
            }
        }
        let Some(link) = self.links.iter().find(|link| link.connected).map(|link| link.id) else { return };
        while self.past.calls.len() < CALLS
            && let Some(at) = self.past.due(now)
        {
            self.ask_past(at, link, now, out);
        }
    }

    /// A hole in trades by number, where the venue gives trades from an id on: there ids count by one. Elsewhere numbers may
    /// have holes of their own.
    fn numbered(&self, hole: Hole) -> Option<Hole> {
        let state = self.core.streams.get(hole.stream.0 as usize)?;
        let by_id = self.venue.past(&self.spec.market, &state.stream, Page::From(0), 1, 0).is_some();
        if by_id { hole.by_number() } else { Some(hole) }
    }

    /// Asks for the next part of a hole; one of a stream that was left, or whose past is not to be had, is forgotten.
    fn ask_past(&mut self, at: usize, link: LinkId, now: Stamp, out: &mut dyn FeedOutput) {
        let Some(hole) = self.past.holes.get(at) else { return };
        let stream = self.core.streams.get(hole.stream.0 as usize).filter(|stream| stream.wanted);
        let call = stream.and_then(|stream| hole.ask(self.venue, &self.spec.market, &stream.stream, now));
        let Some((endpoint, params, asked_to)) = call else {
            self.past.holes.remove(at);
            return;
        };
        self.past.last_id += 1;
        let id = OWN | self.past.last_id;
        let (path, weight) = (endpoint.target(&params), (endpoint.weight)(&params));
        self.past.calls.insert(id, Call { stream: hole.stream, endpoint, params, asked_to });
        out.http(link, HttpRequest { patient: true, ..HttpRequest::get(id, path, CALL_TIMEOUT, weight) });
    }

    /// Takes an answer; false if it is not one to a call of the feed's own.
    pub(super) fn past_answered(
        &mut self,
        (id, status): (u64, Option<u16>),
        body: &[u8],
        now: Stamp,
        out: &mut dyn FeedOutput,
    ) -> bool {
        let Some(call) = self.past.calls.remove(&id) else { return id & OWN != 0 };
        let Some(at) = self.past.holes.iter().position(|hole| hole.stream == call.stream) else { return true };
        let is_wanted = self.core.streams.get(call.stream.0 as usize).is_some_and(|stream| stream.wanted);
        let Some(mut hole) = self.past.holes.remove(at).filter(|_| is_wanted) else { return true };
        let taken = match status {
            Some(200) => self.take_past(&mut hole, &call, body, now, out),
            Some(status) => Err(format!("HTTP {status}: {}", shown(body))),
            None => Err(shown(body)),
        };
        match taken {
            Ok(Next::Done) if hole.beyond => self.tell_past(&hole, "older ones are missing and not fetched", out),
            Ok(Next::Done) => {}
            Ok(Next::More) => self.past.holes.insert(at.min(self.past.holes.len()), hole),
            Ok(Next::Lost) => self.give_up(&hole, "the venue does not give them", out),
            Err(why) => {
                self.core.counters.backfill_failures += 1;
                match hole.failed(now.mono) {
                    true => self.past.holes.insert(at.min(self.past.holes.len()), hole),
                    false => self.give_up(&hole, &why, out),
                }
            }
        }
        self.fetch_past(now, out);
        true
    }

    /// Publishes what an answer has of a hole.
    fn take_past(
        &mut self,
        hole: &mut Hole,
        call: &Call,
        body: &[u8],
        now: Stamp,
        out: &mut dyn FeedOutput,
    ) -> Result<Next, String> {
        let Some(read) = call.endpoint.read else { return Ok(Next::Lost) };
        let told = Told { market: &self.spec.market, params: &call.params, body, at: now.wall, backfill: true };
        let (core, id) = (&mut self.core, hole.stream);
        let Some(stream) = core.streams.get(id.0 as usize).map(|state| state.stream.clone()) else {
            return Ok(Next::Lost);
        };
        let each = |take: &mut dyn FnMut(Update<'_>)| read(&told, &mut Taker { id, stream: &stream, take });
        if let Gap::Candles { next, end, .. } = hole.gap {
            each(&mut |update| match update {
                Update::Candle(candle) if (next..end).contains(&candle.open_time) => core.past_candle(&candle, out),
                _ => {}
            })?;
            let newest = core.streams.get(id.0 as usize).and_then(|state| state.closed.newest_before(end));
            return Ok(hole.candles_taken(call.asked_to, newest, now.mono));
        }
        let mut ids: Vec<Box<str>> = Vec::new();
        each(&mut |update| ids.extend(trade_in(&update).map(|trade| trade.id.into())))?;
        let (rows, next) = hole.trades_of(&ids, now.mono);
        let mut at = 0..;
        each(&mut |update| match trade_in(&update) {
            Some(trade) if at.next().is_some_and(|at| rows.contains(&at)) => core.past_trade(trade, out),
            _ => {}
        })?;
        Ok(next)
    }

    fn give_up(&mut self, hole: &Hole, why: &str, out: &mut dyn FeedOutput) {
        self.core.counters.backfill_lost += 1;
        self.tell_past(hole, &format!("cannot be fetched: {why}"), out);
    }

    fn tell_past(&mut self, hole: &Hole, what: &str, out: &mut dyn FeedOutput) {
        let words = if hole.beyond && what.starts_with("older") { "back-fill".to_owned() } else { hole.words() };
        self.core.notice(Some(hole.stream), &format!("{words}: {what}"), out);
    }
}

const fn trade_in<'a, 'u>(update: &'a Update<'u>) -> Option<&'a TradeUpdate<'u>> {
    match update {
        Update::Trade(trade) => Some(trade),
        _ => None,
    }
}

/// The beginning of a text from outside.
fn shown(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(200).collect()
}

impl Core {
    /// A trade came: something may be missing before it.
    #[inline]
    pub(super) fn note_trade(&mut self, trade: &TradeUpdate<'_>, now: Stamp) {
        if let Some(stream) = self.streams.get_mut(trade.stream.0 as usize) {
            self.holes.extend(stream.past.trade(trade.stream, trade.id, self.backfill, now.mono));
        }
    }

    /// Publishes a candle that is over, unless it was published as such.
    fn past_candle(&mut self, candle: &CandleUpdate<'_>, out: &mut dyn FeedOutput) {
        let Some(stream) = self.streams.get_mut(candle.stream.0 as usize) else { return };
        if !stream.closed.admits(candle.open_time, true) {
            return;
        }
        self.counters.backfilled += 1;
        if let Some(symbol) = self.symbol_of_mut(candle.stream) {
            out.event(&symbol.symbol, Event::Candle(&CandleUpdate { closed: true, backfill: true, ..*candle }));
        }
    }

    fn past_trade(&mut self, trade: &TradeUpdate<'_>, out: &mut dyn FeedOutput) {
        self.counters.backfilled += 1;
        if let Some(symbol) = self.symbol_of_mut(trade.stream) {
            out.event(&symbol.symbol, Event::Trade(&TradeUpdate { backfill: true, ..*trade }));
        }
    }
}

/// Takes what a reader says of one stream.
struct Taker<'a> {
    id: StreamId,
    stream: &'a Stream,
    take: &'a mut dyn FnMut(Update<'_>),
}

impl Output for Taker<'_> {
    fn update(&mut self, update: Update<'_>) {
        (self.take)(update);
    }

    fn discovered(&mut self, stream: Stream) -> Option<StreamId> {
        (stream == *self.stream).then_some(self.id)
    }

    // A reader of an answer has nobody to talk to.
    fn send(&mut self, _: String) {}
    fn http(&mut self, _: HttpRequest) {}
    fn rpc(&mut self, _: RpcRequest) {}
    fn answer(&mut self, _: u64, _: String) {}
    fn reconnect(&mut self, _: String) {}
    fn replace(&mut self, _: &str) {}
}
