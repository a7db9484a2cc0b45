//! One published order book stream: what clients at this depth have been told, and digests of its past states.

use std::collections::VecDeque;

use crate::model::{Mono, Stamp};
use crate::sim::market::{Level, Market, Side, difference};
use crate::sim::venue::{self, Depth};

use super::catalog::Spec;
use super::message::{Book, write_book};

/// States whose digest is remembered.
const HISTORY: usize = 2_000;

/// What was last published at one depth of one symbol.
#[derive(Clone, Debug)]
pub struct BookStream {
    /// Its depth.
    pub depth: Depth,
    /// Update id of the published state.
    pub u: u64,
    /// Cross sequence of the published state.
    pub seq: u64,
    /// When the matching engine made it, ms.
    pub cts: u64,
    /// When a message last went out (for the level-1 repeat).
    pub sent: Mono,
    /// Worst first.
    bids: Vec<Level>,
    /// Worst first.
    asks: Vec<Level>,
    history: VecDeque<(u64, u32)>,
    changed_bids: Vec<Level>,
    changed_asks: Vec<Level>,
}

impl BookStream {
    /// A stream that starts with the market as it is.
    pub fn new(depth: Depth, spec: &Spec, market: &Market, now: Stamp) -> Self {
        let mut stream = Self {
            depth,
            u: 1_000_000 + market.seq() % 50_000_000 + depth.levels() as u64 % 9_973,
            seq: 0,
            cts: 0,
            sent: now.mono,
            bids: Vec::new(),
            asks: Vec::new(),
            history: VecDeque::new(),
            changed_bids: Vec::new(),
            changed_asks: Vec::new(),
        };
        stream.refresh(spec, market, now);
        stream
    }

    /// Moves the published state to the market's present one; false when nothing changed at this depth.
    pub fn refresh(&mut self, spec: &Spec, market: &Market, now: Stamp) -> bool {
        let (bids, asks) = (market.top(Side::Bid, self.depth.levels()), market.top(Side::Ask, self.depth.levels()));
        self.changed_bids.clear();
        self.changed_asks.clear();
        difference(Side::Bid, &self.bids, bids, &mut self.changed_bids);
        difference(Side::Ask, &self.asks, asks, &mut self.changed_asks);
        if self.changed_bids.is_empty() && self.changed_asks.is_empty() {
            return false;
        }
        bids.clone_into(&mut self.bids);
        asks.clone_into(&mut self.asks);
        self.u += 1;
        self.seq = market.seq();
        self.cts = now.wall.as_ms().saturating_sub(2);
        self.remember(spec);
        true
    }

    /// The service restarts: update ids begin again at 1.
    pub fn restart(&mut self, spec: &Spec) {
        self.u = 1;
        self.history.clear();
        self.remember(spec);
    }

    /// The message for what the last [`Self::refresh`] changed; at level 1 that is the whole state. `shuffle`
    /// disturbs the order of the levels, which the venue does not promise.
    pub fn change_text(&mut self, spec: &Spec, topic: &str, shuffle: bool, now: Stamp) -> Vec<u8> {
        if self.depth == Depth::Levels(1) {
            return self.snapshot_text(spec, topic, now);
        }
        if shuffle {
            for side in [&mut self.changed_bids, &mut self.changed_asks] {
                let by = usize::from(side.len() > 1);
                side.rotate_left(by);
            }
        }
        let mut out = Vec::with_capacity(1_024);
        let (bids, asks) = (&self.changed_bids, &self.changed_asks);
        write_book(&mut out, spec, &Book { bids, asks, ..self.head(spec, topic, false, now) });
        out
    }

    /// The whole published state as a message.
    pub fn snapshot_text(&self, spec: &Spec, topic: &str, now: Stamp) -> Vec<u8> {
        let mut out = Vec::with_capacity(64 * self.bids.len());
        let (bids, asks) = (self.best_first(Side::Bid, usize::MAX), self.best_first(Side::Ask, usize::MAX));
        let book = Book { bids: &bids, asks: &asks, ..self.head(spec, topic, true, now) };
        write_book(&mut out, spec, &book);
        out
    }

    /// The best `limit` levels of the published state.
    pub fn best_first(&self, side: Side, limit: usize) -> Vec<Level> {
        let levels = if side == Side::Bid { &self.bids } else { &self.asks };
        levels.iter().rev().take(limit).copied().collect()
    }

    /// The digest of the state with this update id, if it is remembered.
    pub fn digest(&self, u: u64) -> Option<u32> {
        self.history.iter().rev().find(|(id, _)| *id == u).map(|(_, digest)| *digest)
    }

    fn head<'a>(&self, spec: &Spec, topic: &'a str, snapshot: bool, now: Stamp) -> Book<'a> {
        Book {
            topic,
            ts_first: spec.category == super::Category::Spot || self.depth == Depth::Levels(1),
            snapshot,
            bids: &[],
            asks: &[],
            u: self.u,
            seq: self.seq,
            ts: now.wall.as_ms(),
            cts: self.cts,
        }
    }

    fn remember(&mut self, spec: &Spec) {
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        self.history.push_back((self.u, digest(spec, &self.bids, &self.asks)));
    }
}

fn digest(spec: &Spec, bids: &[Level], asks: &[Level]) -> u32 {
    let spell = |level: &Level| (spec.price(level.ticks), spec.size(level.lots));
    venue::digest([&mut bids.iter().rev().map(spell), &mut asks.iter().rev().map(spell)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::bybit::catalog::instruments;

    #[test]
    fn the_digest_is_of_plain_numbers() {
        let spec = instruments(&[]).into_iter().find(|s| s.symbol == "BTCUSDT" && s.category.is_contract()).unwrap();
        let bids = [Level { ticks: 5, lots: 1 }, Level { ticks: 606_200, lots: 1_500 }];
        let asks = [Level { ticks: 606_205, lots: 2 }];
        assert_eq!(digest(&spec, &bids, &asks), crc32fast::hash(b"60620:1.5|0.5:0.001#60620.5:0.002"));
    }

    #[test]
    fn ids_rise_by_one_and_old_states_are_forgotten() {
        let spec = instruments(&[]).remove(0);
        let mut market = Market::new(1, spec.shape);
        let mut stream = BookStream::new(Depth::Levels(50), &spec, &market, Stamp::default());
        let first = stream.u;
        assert!(!stream.refresh(&spec, &market, Stamp::default()));
        let mut changes = 0;
        while changes < HISTORY as u64 {
            market.change(20);
            changes += u64::from(stream.refresh(&spec, &market, Stamp::default()));
        }
        assert_eq!(stream.u, first + changes);
        assert!(stream.digest(first).is_none());
        assert!(stream.digest(first + 1).is_some());
        stream.restart(&spec);
        assert_eq!(stream.u, 1);
        assert!(stream.digest(first + changes).is_none());
    }
}
