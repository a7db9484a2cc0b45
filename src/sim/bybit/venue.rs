//! The simulated venue as a whole: every symbol, the pace at which markets move, and the truth for those who check.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;

use crate::model::{self, Mono, Stamp};
use crate::sim::market::{Level, Side};

use super::Published;
use super::catalog::{Category, instruments};
use super::listed::Listed;
use super::topic::{self, Depth, Stream};

/// How often tickers, candles and repeats are looked after.
const HOUSEKEEPING: Duration = Duration::from_millis(100);
/// Moves made in one call at most; what a late call missed beyond that never happens.
const MOST_MOVES: u32 = 10_000;

/// A book as the venue has published it: what a client at this depth and update id must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueBook {
    /// Update id.
    pub u: u64,
    /// Cross sequence.
    pub seq: u64,
    /// Best first, spelled as on the wire.
    pub bids: Vec<model::Level>,
    /// Best first, spelled as on the wire.
    pub asks: Vec<model::Level>,
}

/// All symbols behind one simulated address.
#[derive(Clone, Debug)]
pub struct Venue {
    symbols: Vec<Listed>,
    places: BTreeMap<(Category, String), usize>,
    watched: Vec<usize>,
    rng: Rng,
    rate: u32,
    events: u64,
    next_move: Mono,
    next_housekeeping: Mono,
}

impl Venue {
    /// A venue whose markets move `rate` times a second in all (0: only by [`Self::step`]). `only` chooses symbols;
    /// empty means all.
    pub fn new(seed: u64, rate: u32, only: &[String], now: Stamp) -> Self {
        let mut rng = Rng::with_seed(seed);
        let symbols: Vec<Listed> =
            instruments(only).into_iter().map(|spec| Listed::new(rng.u64(..), spec, now)).collect();
        let place = |(at, listed): (usize, &Listed)| ((listed.spec.category, listed.spec.symbol.clone()), at);
        let places = symbols.iter().enumerate().map(place).collect();
        let (next_move, next_housekeeping) = (now.mono, now.mono.after(HOUSEKEEPING));
        Self { symbols, places, watched: Vec::new(), rng, rate, events: 0, next_move, next_housekeeping }
    }

    /// How many messages were published so far.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The symbols of a product, in listing order.
    pub fn listed(&self, category: Category) -> impl Iterator<Item = &Listed> {
        self.symbols.iter().filter(move |listed| listed.spec.category == category)
    }

    /// One symbol.
    pub fn find(&mut self, category: Category, symbol: &str) -> Option<&mut Listed> {
        let at = *self.places.get(&(category, symbol.to_owned()))?;
        self.symbols.get_mut(at)
    }

    /// When to call [`Self::tick`] next.
    pub fn next_due(&self) -> Mono {
        if self.rate == 0 { self.next_housekeeping } else { self.next_move.min(self.next_housekeeping) }
    }

    /// Makes every move that is due and publishes what goes out by the clock.
    pub fn tick(&mut self, now: Stamp, out: &mut Vec<Published>) {
        let mut moves = 0;
        while self.rate > 0 && self.next_move <= now.mono {
            if moves == MOST_MOVES {
                self.next_move = now.mono;
                break;
            }
            self.step(1, now, out);
            moves += 1;
            self.next_move = Mono(self.next_move.0 + 1_000_000_000 / u64::from(self.rate));
        }
        if self.next_housekeeping <= now.mono {
            self.next_housekeeping = now.mono.after(HOUSEKEEPING);
            let from = out.len();
            for at in self.watched.clone() {
                self.symbols[at].housekeep(now, out);
            }
            self.number(&mut out[from..]);
        }
    }

    /// Makes `moves` moves now, among the symbols somebody listens to (any symbol when nobody does).
    pub fn step(&mut self, moves: usize, now: Stamp, out: &mut Vec<Published>) {
        for _ in 0..moves {
            let at = match self.watched.len() {
                0 if self.symbols.is_empty() => return,
                0 => self.rng.usize(0..self.symbols.len()),
                n => self.watched[self.rng.usize(0..n)],
            };
            let from = out.len();
            self.symbols[at].step(&mut self.rng, now, out);
            self.number(&mut out[from..]);
        }
    }

    /// Restarts the order book service for one topic; nothing happens when it is no book topic.
    pub fn restart(&mut self, category: Category, topic: &str, now: Stamp, out: &mut Vec<Published>) {
        let Some((Stream::Book(depth), places)) = self.resolve(category, topic) else { return };
        let from = out.len();
        for at in places {
            self.symbols[at].restart(depth, now, out);
        }
        self.number(&mut out[from..]);
    }

    fn number(&mut self, published: &mut [Published]) {
        for message in published {
            self.events += 1;
            message.event = self.events;
        }
    }

    /// The stream a topic means and the symbols it is about; `None` when there is no such topic.
    pub(super) fn resolve(&self, category: Category, topic: &str) -> Option<(Stream, Vec<usize>)> {
        let (stream, name) = topic::parse(category, topic)?;
        if category == Category::Option && stream == Stream::Trades {
            let of_base =
                |(_, listed): &(usize, &Listed)| listed.spec.category == Category::Option && listed.spec.base == name;
            let places: Vec<usize> = self.symbols.iter().enumerate().filter(of_base).map(|(at, _)| at).collect();
            return (!places.is_empty()).then_some((stream, places));
        }
        let at = *self.places.get(&(category, name.to_owned()))?;
        Some((stream, vec![at]))
    }

    pub(super) fn watch(&mut self, stream: Stream, places: &[usize], now: Stamp) {
        for &at in places {
            self.symbols[at].watch(stream, now);
        }
        self.recount();
    }

    pub(super) fn unwatch(&mut self, stream: Stream, places: &[usize]) {
        for &at in places {
            self.symbols[at].unwatch(stream);
        }
        self.recount();
    }

    fn recount(&mut self) {
        self.watched = (0..self.symbols.len()).filter(|at| self.symbols[*at].any_watched()).collect();
    }

    pub(super) fn snapshot(&mut self, stream: Stream, places: &[usize], now: Stamp) -> Vec<Published> {
        let event = self.events;
        let made = places.iter().filter_map(|at| self.symbols[*at].snapshot(stream, now));
        made.map(|message| Published { event, ..message }).collect()
    }

    /// A level that would cross this topic's book.
    pub fn crossing_bid(&self, category: Category, topic: &str) -> Option<String> {
        let (_, places) = self.resolve(category, topic)?;
        places.first().map(|at| self.symbols[*at].crossing_bid())
    }

    /// The book published at this depth.
    pub fn truth(&mut self, category: Category, symbol: &str, depth: Depth, now: Stamp) -> Option<TrueBook> {
        let listed = self.find(category, symbol)?;
        let spec = listed.spec.clone();
        let spell = |level: Level| model::Level { price: spec.price(level.ticks), size: spec.size(level.lots) };
        let book = listed.book(depth, now);
        let side = |side| book.best_first(side, usize::MAX).into_iter().map(spell).collect();
        Some(TrueBook { u: book.u, seq: book.seq, bids: side(Side::Bid), asks: side(Side::Ask) })
    }

    /// The digest (CRC32 of `price:size|…#price:size|…`, best 25 bids then asks, numbers without trailing zeros) of
    /// the book with update id `u`; the last 2,000 are remembered.
    pub fn digest(&self, category: Category, symbol: &str, depth: Depth, u: u64) -> Option<u32> {
        let at = *self.places.get(&(category, symbol.to_owned()))?;
        self.symbols[at].digest(depth, u)
    }
}
