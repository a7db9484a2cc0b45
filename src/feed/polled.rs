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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{FeedSpec, Outcome, Symbol};
    use crate::model::UnixNanos;
    use crate::venue::{LinkId, binance};

    /// What was said, in short.
    #[derive(Default)]
    struct Said(Vec<String>);

    impl FeedOutput for Said {
        fn send(&mut self, _: LinkId, _: String) {}
        fn http(&mut self, _: LinkId, _: HttpRequest) {}
        fn rpc(&mut self, _: RpcRequest) {}
        fn answer(&mut self, _: u64, _: String) {}
        fn reconnect(&mut self, _: LinkId, _: String) {}
        fn settled(&mut self, _: StreamId, _: Outcome<'_>) {}
        fn event(&mut self, symbol: &Symbol, event: Event<'_>) {
            let text = match event {
                Event::Status { status, .. } => {
                    format!("{} {}", status.state.as_str(), status.reason.map_or("", Reason::as_str))
                }
                Event::Book(view) => format!("book {}", view.venue_seq),
                Event::Trade(trade) => format!("trade {}", trade.id),
                Event::Candle(candle) => format!("candle {} {}", candle.open_time / 60_000_000_000, candle.closed),
                Event::Ticker(ticker) => {
                    let fields = ticker.fields.iter().map(|(field, text)| format!(" {}={text}", field.as_str()));
                    format!("ticker{}", fields.collect::<String>())
                }
                _ => return,
            };
            self.0.push(format!("{} {}", symbol.name, text.trim_end()));
        }
    }

    fn read(feed: &mut Feed, name: &str, params: &[(&str, &str)], body: &str) -> Vec<String> {
        let endpoint = binance::VENUE.endpoint("usdm", name).unwrap();
        let params: Vec<_> = params.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let at = UnixNanos::from_ms(180_000);
        let told = Told { market: "usdm", params: &params, body: body.as_bytes(), at, backfill: false };
        let mut said = Said::default();
        feed.read(endpoint.read.unwrap(), &told, &mut |stream| stream.symbol != "B", Stamp::default(), &mut said)
            .unwrap();
        said.0
    }

    #[test]
    fn what_is_asked_for_is_published_and_not_kept_up() {
        let spec = FeedSpec { market: "usdm".to_owned(), discover: true, ..FeedSpec::default() };
        let mut feed = Feed::new(&binance::VENUE, spec);
        let a = ("symbol", "A");
        let book = r#"{"lastUpdateId":7,"bids":[["1","2"]],"asks":[["3","4"]]}"#;
        for _ in 0..2 {
            assert_eq!(read(&mut feed, "depth", &[a], book), ["A live", "A book 7", "A stale polled"], "each time");
        }
        let prices = r#"[{"symbol":"A","price":"5"},{"symbol":"B","price":"6"}]"#;
        assert_eq!(read(&mut feed, "ticker/price", &[], prices), ["A ticker last=5"], "only what is admitted");
        let interest = r#"{"symbol":"A","openInterest":"9"}"#;
        assert_eq!(read(&mut feed, "openInterest", &[a], interest), ["A ticker last=5 open_interest=9"], "merged");
        let trade = |id: u64| format!(r#"{{"a":{id},"p":"1","q":"1","T":5,"m":true}}"#);
        let (first, second) = (format!("[{},{}]", trade(1), trade(2)), format!("[{},{}]", trade(2), trade(3)));
        assert_eq!(read(&mut feed, "aggTrades", &[a], &first), ["A trade 1", "A trade 2"]);
        assert_eq!(read(&mut feed, "aggTrades", &[a], &second), ["A trade 3"], "each once");
        let row =
            |minute: u64| format!(r#"[{},"1","1","1","1","1",{},"1"]"#, minute * 60_000, minute * 60_000 + 59_999);
        let minute = [a, ("interval", "1m")];
        let (first, second) = (format!("[{},{}]", row(1), row(2)), format!("[{},{},{}]", row(1), row(2), row(3)));
        assert_eq!(read(&mut feed, "klines", &minute, &first), ["A candle 1 true", "A candle 2 false"]);
        assert_eq!(read(&mut feed, "klines", &minute, &second), ["A candle 2 true", "A candle 3 false"]);
    }
}
