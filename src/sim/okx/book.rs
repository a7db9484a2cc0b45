//! One published order book channel of one instrument: what its clients have been told, and digests of its past states.

use std::collections::VecDeque;

use crate::model::{Mono, Stamp};
use crate::sim::market::{Level, Market, Side, difference};
use crate::sim::venue::{self, Depth};

use super::Checksum;
use super::catalog::Spec;
use super::message::{self, BookHead};

/// States whose digest is remembered.
const HISTORY: usize = 2_000;

/// The order book channels, in the order in which a connection gets them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Channel {
    /// `bbo-tbt`
    Best,
    /// `books-l2-tbt`
    TickByTick,
    /// `books50-l2-tbt`
    TickByTick50,
    /// `books`
    Books,
    /// `books5`
    Books5,
}

impl Channel {
    pub(super) const ALL: [Self; 5] = [Self::Best, Self::TickByTick, Self::TickByTick50, Self::Books, Self::Books5];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Best => "bbo-tbt",
            Self::TickByTick => "books-l2-tbt",
            Self::TickByTick50 => "books50-l2-tbt",
            Self::Books => "books",
            Self::Books5 => "books5",
        }
    }

    pub(super) const fn levels(self) -> usize {
        match self {
            Self::Best => 1,
            Self::Books5 => 5,
            Self::TickByTick50 => 50,
            Self::Books | Self::TickByTick => 400,
        }
    }

    /// The channel whose books the truth is told of at a depth.
    pub(super) fn of_depth(depth: Depth) -> Option<Self> {
        [Self::Books, Self::TickByTick50, Self::Books5, Self::Best]
            .into_iter()
            .find(|channel| channel.levels() == depth.levels())
    }

    /// Whether it is a snapshot and changes to it; the others are always whole.
    pub(super) const fn is_chained(self) -> bool {
        !matches!(self, Self::Best | Self::Books5)
    }

    /// Whether only those with a high trading fee tier get it.
    pub(super) const fn is_exclusive(self) -> bool {
        matches!(self, Self::TickByTick | Self::TickByTick50)
    }
}

/// What was last published on one channel of one instrument.
#[derive(Clone, Debug)]
pub(super) struct BookStream {
    channel: Channel,
    /// Id of the published state.
    pub(super) seq_id: u64,
    /// Id of the state before it.
    previous: u64,
    /// When the state came to be, ms.
    pub(super) ts_ms: u64,
    /// When a message last went out, for keep-alives.
    pub(super) sent: Mono,
    /// Worst first.
    bids: Vec<Level>,
    /// Worst first.
    asks: Vec<Level>,
    history: VecDeque<(u64, u32)>,
    changed_bids: Vec<Level>,
    changed_asks: Vec<Level>,
}

impl BookStream {
    /// A stream that starts with the market as it is; `seq_id` is the market's.
    pub(super) fn new(channel: Channel, spec: &Spec, market: &Market, seq_id: u64, now: Stamp) -> Self {
        let mut stream = Self {
            channel,
            seq_id,
            previous: seq_id,
            ts_ms: now.wall.as_ms(),
            sent: now.mono,
            bids: Vec::new(),
            asks: Vec::new(),
            history: VecDeque::new(),
            changed_bids: Vec::new(),
            changed_asks: Vec::new(),
        };
        stream.refresh(spec, market, seq_id, now);
        stream
    }

    /// Moves the published state to the market's present one; false when nothing changed at this depth.
    pub(super) fn refresh(&mut self, spec: &Spec, market: &Market, seq_id: u64, now: Stamp) -> bool {
        let n = self.channel.levels();
        let (bids, asks) = (market.top(Side::Bid, n), market.top(Side::Ask, n));
        self.changed_bids.clear();
        self.changed_asks.clear();
        difference(Side::Bid, &self.bids, bids, &mut self.changed_bids);
        difference(Side::Ask, &self.asks, asks, &mut self.changed_asks);
        self.previous = self.seq_id;
        if self.changed_bids.is_empty() && self.changed_asks.is_empty() {
            return false;
        }
        bids.clone_into(&mut self.bids);
        asks.clone_into(&mut self.asks);
        self.number(spec, seq_id);
        self.ts_ms = now.wall.as_ms();
        true
    }

    /// Maintenance: ids begin again at a smaller one. What changed since the last message counts as the same change.
    pub(super) fn reset(&mut self, spec: &Spec, market: &Market, seq_id: u64, now: Stamp) {
        self.refresh(spec, market, self.seq_id, now);
        self.number(spec, seq_id);
    }

    fn number(&mut self, spec: &Spec, seq_id: u64) {
        self.seq_id = seq_id;
        if self.history.len() == HISTORY {
            self.history.pop_front();
        }
        let spell = |level: &Level| (spec.price(level.ticks), spec.size(level.lots));
        let sides = [
            &mut self.bids.iter().rev().map(spell) as &mut dyn Iterator<Item = _>,
            &mut self.asks.iter().rev().map(spell),
        ];
        self.history.push_back((seq_id, venue::digest(sides)));
    }

    /// The message for what the last [`Self::refresh`] changed; of channels that are always whole, the whole state.
    pub(super) fn change(&self, spec: &Spec, arg: &str, checksum: Checksum) -> Vec<u8> {
        if !self.channel.is_chained() {
            return self.snapshot(spec, arg, checksum);
        }
        let head =
            BookHead { action: Some("update"), previous: Some(self.previous.into()), ..self.head(spec, arg, checksum) };
        message::book(&head, spec, &self.changed_bids, &self.changed_asks)
    }

    /// The message that says nothing changed: no levels, and both ids are the last one.
    pub(super) fn keep_alive(&mut self, spec: &Spec, arg: &str, checksum: Checksum, now: Stamp) -> Vec<u8> {
        self.previous = self.seq_id;
        self.ts_ms = now.wall.as_ms();
        self.changed_bids.clear();
        self.changed_asks.clear();
        self.change(spec, arg, checksum)
    }

    /// The whole published state as a message.
    pub(super) fn snapshot(&self, spec: &Spec, arg: &str, checksum: Checksum) -> Vec<u8> {
        let head = self.head(spec, arg, checksum);
        let head = match self.channel.is_chained() {
            true => BookHead { action: Some("snapshot"), previous: Some(-1), ..head },
            false => BookHead { symbol: (self.channel == Channel::Books5).then_some(&spec.symbol), ..head },
        };
        message::book(&head, spec, &self.best_first(Side::Bid, usize::MAX), &self.best_first(Side::Ask, usize::MAX))
    }

    /// The best `limit` levels of the published state.
    pub(super) fn best_first(&self, side: Side, limit: usize) -> Vec<Level> {
        let levels = if side == Side::Bid { &self.bids } else { &self.asks };
        levels.iter().rev().take(limit).copied().collect()
    }

    /// The digest of the state with this id, if it is remembered.
    pub(super) fn digest(&self, seq_id: u64) -> Option<u32> {
        self.history.iter().rev().find(|(id, _)| *id == seq_id).map(|(_, digest)| *digest)
    }

    fn head<'a>(&self, spec: &Spec, arg: &'a str, checksum: Checksum) -> BookHead<'a> {
        let checksum = match checksum {
            _ if !self.channel.is_chained() => None,
            Checksum::None => None,
            Checksum::Zero => Some(0),
            Checksum::Live => Some(message::checksum(spec, self.bids.iter().rev(), self.asks.iter().rev())),
        };
        BookHead { arg, action: None, symbol: None, ts_ms: self.ts_ms, checksum, previous: None, seq_id: self.seq_id }
    }
}
