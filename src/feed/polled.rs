//! Answers that somebody asked for by REST, beside all connections: published as they are, and kept up by nothing.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use super::core::Core;
use super::event::{Event, FeedOutput, Reason, State};
use super::{Feed, Stamp};
use crate::model::{Stream, StreamId};
use crate::venue::kit::ticker::MergedTicker;
use crate::venue::{HttpRequest, Output, Reader, Route, RpcRequest, TickerUpdate, Told, Update};

/// Trades of a stream that are remembered, so that those of two answers that overlap are published once.
const TRADES: usize = 2_000;

/// What is remembered between two answers.
#[derive(Default)]
pub(super) struct Polled {
    tickers: HashMap<StreamId, MergedTicker>,
    trades: HashMap<StreamId, Seen>,
}

/// The last trades of one stream, by id.
#[derive(Debug, Default)]
struct Seen {
    order: VecDeque<Box<str>>,
    known: HashSet<Box<str>>,
}

impl Seen {
    fn is_new(&mut self, id: &str) -> bool {
        if !self.known.insert(id.into()) {
            return false;
        }
        self.order.push_back(id.into());
        if self.order.len() > TRADES
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

impl Feed {
    /// Publishes what an answer says of the streams that are admitted. A book is live for this one moment: then its state is
    /// [`Reason::Polled`]. Tickers are merged with what earlier answers said; trades and finished candles come once.
    ///
    /// # Errors
    /// Why the answer cannot be read.
    pub fn read(
        &mut self,
        reader: Reader,
        told: &Told<'_>,
        admits: &mut dyn FnMut(&Stream) -> bool,
        now: Stamp,
        out: &mut dyn FeedOutput,
    ) -> Result<(), String> {
        let (core, polled) = (&mut self.core, &mut self.polled);
        let mut reading = Reading { core, polled, admits, books: BTreeSet::new(), now, out };
        let read = reader(told, &mut reading);
        let books = std::mem::take(&mut reading.books);
        for stream in books {
            self.core.let_go(stream, now, out);
        }
        read
    }
}

impl Core {
    /// A book was true when it was asked for.
    fn let_go(&mut self, id: StreamId, now: Stamp, out: &mut dyn FeedOutput) {
        let at = id.0 as usize;
        let Some(stream) = self.streams.get_mut(at) else { return };
        stream.idle(now.mono);
        stream.book = None;
        self.set_status(at, State::Stale, Some(Reason::Polled), None, now, out);
    }
}

/// Takes a reader's updates.
struct Reading<'a> {
    core: &'a mut Core,
    polled: &'a mut Polled,
    admits: &'a mut dyn FnMut(&Stream) -> bool,
    /// Books that were published.
    books: BTreeSet<StreamId>,
    now: Stamp,
    out: &'a mut dyn FeedOutput,
}

impl Reading<'_> {
    fn ticker(&mut self, update: &TickerUpdate<'_>) {
        let merged = self.polled.tickers.entry(update.stream).or_default();
        update.fields.iter().for_each(|(field, text)| merged.set(*field, text));
        update.params.iter().for_each(|(name, text)| merged.set_param(name, text));
        let Some(symbol) = self.core.symbol_of_mut(update.stream) else { return };
        let update = TickerUpdate { fields: merged.fields(), params: merged.params(), ..*update };
        self.out.event(&symbol.symbol, Event::Ticker(&update));
    }
}

impl Output for Reading<'_> {
    fn update(&mut self, update: Update<'_>) {
        match &update {
            Update::Ticker(ticker) => self.ticker(ticker),
            Update::Book(book) => {
                self.books.insert(book.stream);
                self.core.on_book(*book, self.now, self.out);
            }
            Update::Candle(candle) => {
                let Some(stream) = self.core.streams.get_mut(candle.stream.0 as usize) else { return };
                if stream.closed.admits(candle.open_time, candle.closed)
                    && let Some(symbol) = self.core.symbol_of_mut(candle.stream)
                {
                    self.out.event(&symbol.symbol, Event::Candle(candle));
                }
            }
            Update::Trade(trade) => {
                if self.polled.trades.entry(trade.stream).or_default().is_new(trade.id)
                    && let Some(symbol) = self.core.symbol_of_mut(trade.stream)
                {
                    self.out.event(&symbol.symbol, Event::Trade(trade));
                }
            }
            // Readers say nothing else.
            _ => {}
        }
    }

    fn discovered(&mut self, stream: Stream) -> Option<StreamId> {
        if !(self.admits)(&stream) {
            return None;
        }
        self.core.add(stream, Route::default())
    }

    // A reader of an answer has nobody to talk to.
    fn send(&mut self, _: String) {}
    fn http(&mut self, _: HttpRequest) {}
    fn rpc(&mut self, _: RpcRequest) {}
    fn answer(&mut self, _: u64, _: String) {}
    fn reconnect(&mut self, _: String) {}
    fn replace(&mut self, _: &str) {}
}
