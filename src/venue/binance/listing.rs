//! Which symbols there are. Binance acknowledges any stream name and stays silent on a wrong one, so a confirmation
//! waits for the list of symbols.

use std::collections::{BTreeSet, HashMap};

use super::channels;
use super::data::depth_update;
use super::instruments::ExchangeInfo;
use super::rest::{self, Answer};
use super::session::BinanceSession;
use super::wire::{self, DepthData};
use crate::model::{BookDepth, Channel, Instrument, Stamp, Stream, StreamId, UnixNanos};
use crate::venue::{BookUpdate, Ignored, Output, Update};

/// The list as last read, and the streams whose symbols it lacks.
#[derive(Debug, Default)]
pub(super) struct Listing {
    instruments: HashMap<String, Instrument>,
    /// Confirmed by the venue; the list will tell whether that means anything.
    held: BTreeSet<StreamId>,
    /// Told to be rejected.
    unlisted: BTreeSet<StreamId>,
}

impl Listing {
    pub(super) fn forget(&mut self, stream: StreamId) {
        self.held.remove(&stream);
        self.unlisted.remove(&stream);
    }

    pub(super) fn disconnected(&mut self) {
        self.held.clear();
        self.unlisted.clear();
    }
}

impl BinanceSession {
    /// The venue confirmed a stream, which it does whatever its name.
    pub(super) fn confirm(&mut self, id: StreamId, now: Stamp, out: &mut dyn Output) {
        let Some(stream) = self.streams.get(id) else { return };
        if self.listing.instruments.contains_key(&stream.symbol) {
            self.accept(id, out);
        } else if self.rest.is_list_fresh(now.mono) {
            self.reject_unlisted(id, now, out);
        } else {
            self.listing.held.insert(id);
            self.ask_for_list(out);
        }
    }

    fn accept(&mut self, id: StreamId, out: &mut dyn Output) {
        self.listing.forget(id);
        out.update(Update::Subscribed(id));
        if self.streams.get(id).is_some_and(|stream| channels::is_diff(stream.channel)) {
            out.update(Update::WantsImage { stream: id, rule: self.segment.rule() });
        }
    }

    fn reject_unlisted(&mut self, id: StreamId, now: Stamp, out: &mut dyn Output) {
        let Some(stream) = self.streams.get(id) else { return };
        let detail = format!("Binance {} lists no symbol {}", self.segment.id(), stream.symbol);
        self.listing.held.remove(&id);
        self.listing.unlisted.insert(id);
        self.rest.reread_list(now.mono);
        out.update(Update::Rejected { stream: id, detail: &detail });
    }

    /// An answer to a call, or one found in a recording.
    pub(super) fn http(
        &mut self,
        id: u64,
        status: Option<u16>,
        body: &[u8],
        url: Option<&str>,
        now: Stamp,
        out: &mut dyn Output,
    ) {
        match self.rest.answered(id, status, body, now.mono) {
            Answer::List(list) => self.list(&list, now, out),
            Answer::NoList => {
                // Nothing to check by: the venue's word has to do until there is.
                for id in std::mem::take(&mut self.listing.held) {
                    self.accept(id, out);
                }
            }
            Answer::Image(stream, data) => self.image(stream, &data, url, now, out),
            Answer::ImageFailed(stream, detail) => out.update(Update::ImageFailed { stream, detail: &detail }),
            Answer::NoSymbol(stream, detail) => out.update(Update::Rejected { stream, detail: &detail }),
            Answer::Nothing => {}
        }
    }

    /// The list was read: what waits for it is told, and so is who has come or gone since the last one.
    fn list(&mut self, list: &ExchangeInfo<'_>, now: Stamp, out: &mut dyn Output) {
        let mut instruments = HashMap::new();
        for instrument in list.instruments(self.segment) {
            match instrument {
                Some(instrument) => drop(instruments.insert(instrument.symbol.clone(), instrument)),
                None => out.update(Update::Ignored(Ignored::UnknownKind)),
            }
        }
        self.listing.instruments = instruments;
        if self.discover {
            let found = self.listing.instruments.values();
            return found.for_each(|instrument| out.update(Update::Instrument(instrument)));
        }
        let streams: Vec<(StreamId, String)> = self.streams.iter().map(|(id, s)| (id, s.symbol.clone())).collect();
        let symbols: BTreeSet<&String> = streams.iter().map(|(_, symbol)| symbol).collect();
        symbols.into_iter().for_each(|symbol| self.publish_instrument(symbol, out));
        for (id, symbol) in &streams {
            let waits = self.listing.held.contains(id) || self.listing.unlisted.contains(id);
            match self.listing.instruments.contains_key(symbol) {
                true if waits => self.accept(*id, out),
                true => {}
                false if self.listing.unlisted.contains(id) => self.rest.reread_list(now.mono),
                false => self.reject_unlisted(*id, now, out),
            }
        }
    }

    /// Only one session of a feed publishes instruments.
    pub(super) fn publish_instrument(&self, symbol: &str, out: &mut dyn Output) {
        if let Some(instrument) = self.listing.instruments.get(symbol).filter(|_| self.leads) {
            out.update(Update::Instrument(instrument));
        }
    }

    fn image(
        &mut self,
        stream: Option<StreamId>,
        data: &DepthData<'_>,
        url: Option<&str>,
        now: Stamp,
        out: &mut dyn Output,
    ) {
        let symbol = url.and_then(rest::symbol_of).or(data.symbol.as_ref().map(|symbol| symbol.0.as_ref()));
        let Some(stream) = stream.or_else(|| self.recorded_book(symbol, out)) else {
            return out.update(Update::Ignored(Ignored::UnknownTopic));
        };
        let recv = (now.wall != UnixNanos::default()).then_some(now.wall);
        let clocks = wire::clocks(data.made, data.happened, recv);
        match depth_update(data, &mut self.bids, &mut self.asks) {
            Ok(ids) => out.update(Update::Book(BookUpdate {
                stream,
                rule: self.segment.rule(),
                snapshot: true,
                seq: ids.last,
                first: 0,
                previous: 0,
                cross_seq: 0,
                checksum: None,
                middle: None,
                bids: &self.bids,
                asks: &self.asks,
                clocks,
            })),
            Err(detail) => out.update(Update::ImageFailed { stream, detail: &detail }),
        }
    }

    /// The book that a recorded image is of: its symbol's, or without one that of the only symbol there is.
    fn recorded_book(&self, symbol: Option<&str>, out: &mut dyn Output) -> Option<StreamId> {
        let known: BTreeSet<&str> = self.streams.iter().map(|(_, stream)| stream.symbol.as_str()).collect();
        let only = || known.first().copied().filter(|_| known.len() == 1);
        let symbol = symbol.or_else(only)?;
        let of_symbol = |(_, s): &(StreamId, &Stream)| s.symbol == symbol && channels::is_diff(s.channel);
        if let Some((id, _)) = self.streams.iter().find(of_symbol) {
            return Some(id);
        }
        let book = Stream::new(symbol, Channel::Book(BookDepth::Levels(1000)));
        if self.discover { out.discovered(book) } else { None }
    }
}
