//! A book kept by a subscriber: deltas joined to a snapshot by the sequence they share. Pure.
//!
//! Feed it every `delta` and `status` frame of one symbol and every heartbeat, and the answer of the snapshot socket
//! whenever it says [`Step::NeedSnapshot`]. While it is live it equals the gateway's book at [`JoinedBook::seq`].
//! [`super::Follower`] does this over sockets.

use std::collections::{BTreeMap, VecDeque};

use crate::client::delivery::Heartbeat;
use crate::client::view::{LevelText, View};
use crate::model::{Decimal, Level};

/// Deltas kept while waiting for a snapshot; minutes of a busy symbol. When full, all are dropped and a later
/// snapshot is needed.
const MAX_WAITING: usize = 10_000;

/// What came of one frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// The book was changed and is live.
    Applied,
    /// The frame is kept until a snapshot comes.
    Buffered,
    /// The frame tells nothing new.
    Ignored,
    /// The book is not (or no longer) known: ask for a snapshot. After [`Need::Stale`], ask when the symbol is live
    /// again.
    NeedSnapshot(Need),
}

/// Why a snapshot is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// None came yet.
    Start,
    /// Deltas were lost.
    Gap,
    /// The gateway was restarted.
    Epoch,
    /// The gateway says that its book is not live.
    Stale,
    /// Too many deltas came while waiting.
    Overflow,
    /// The snapshot is older than the deltas known, or than the last `stale`.
    TooOld,
    /// A frame without the fields it must have, or with numbers that do not fit.
    Unreadable,
    /// The connection was lost, and frames with it.
    Disconnected,
    /// Nothing came for too long, no heartbeat either.
    Silence,
}

/// Price in units of 1e-18, which orders prices of any number of decimal places.
type Price = i128;

/// One symbol's book.
#[derive(Clone, Debug)]
pub struct JoinedBook {
    /// `None` while live.
    need: Option<Need>,
    epoch: u64,
    seq: u64,
    /// `ts_pub` of the last status that was not live; snapshots made before it are not believed.
    not_live_at: u64,
    /// Epoch and seq of the last delta that a heartbeat told of; what does not reach it is too old.
    told: (u64, u64),
    bids: BTreeMap<Price, Level>,
    asks: BTreeMap<Price, Level>,
    /// Consecutive deltas of one epoch.
    waiting: VecDeque<Delta>,
}

#[derive(Clone, Debug)]
struct Delta {
    epoch: u64,
    seq: u64,
    bids: Vec<Level>,
    asks: Vec<Level>,
}

impl Default for JoinedBook {
    fn default() -> Self {
        Self {
            need: Some(Need::Start),
            epoch: 0,
            seq: 0,
            not_live_at: 0,
            told: (0, 0),
            bids: BTreeMap::new(),
            asks: BTreeMap::new(),
            waiting: VecDeque::new(),
        }
    }
}

impl JoinedBook {
    /// Why the book is not known, or `None` while it is live.
    pub const fn need(&self) -> Option<Need> {
        self.need
    }

    /// Epoch and delta seq that the levels belong to.
    pub const fn seq(&self) -> (u64, u64) {
        (self.epoch, self.seq)
    }

    /// Bids, best first; none unless live.
    pub fn bids(&self) -> impl Iterator<Item = Level> {
        self.bids.values().rev().copied()
    }

    /// Asks, best first; none unless live.
    pub fn asks(&self) -> impl Iterator<Item = Level> {
        self.asks.values().copied()
    }

    /// Takes a `status` frame; those of other channels do not touch the book.
    pub fn status(&mut self, view: &View<'_>) -> Step {
        if view.state.as_deref() == Some("live") || !view.is_about_book() {
            return Step::Ignored;
        }
        self.not_live_at = view.ts_pub.unwrap_or(self.not_live_at);
        self.lose(Need::Stale)
    }

    /// Takes a `delta` frame.
    pub fn delta(&mut self, view: &View<'_>) -> Step {
        let Some(delta) = delta_of(view) else { return self.lose(Need::Unreadable) };
        if self.need.is_none() && delta.epoch == self.epoch && delta.seq <= self.seq {
            return Step::Ignored;
        }
        if view.snapshot == Some(true) {
            self.waiting.clear();
            self.replace(&delta);
            return Step::Applied;
        }
        if self.need.is_some() {
            return self.keep(delta);
        }
        let need = match delta {
            _ if delta.epoch != self.epoch => Need::Epoch,
            _ if delta.seq != self.seq + 1 => Need::Gap,
            _ => {
                self.apply(&delta);
                return Step::Applied;
            }
        };
        self.keep(delta);
        self.lose(need)
    }

    /// Takes a heartbeat: it tells of another run, and of deltas that were lost with nothing after them.
    /// `topic` is that of the deltas.
    pub fn heartbeat(&mut self, beat: &Heartbeat<'_>, topic: &str) -> Step {
        if beat.epoch < self.epoch {
            return Step::Ignored;
        }
        if let Some(seq) = beat.last_seq(topic) {
            self.told = self.told.max((beat.epoch, seq));
        }
        match self.need {
            None if beat.epoch > self.epoch => self.lose(Need::Epoch),
            None if self.told > (self.epoch, self.seq) => self.lose(Need::Gap),
            _ => Step::Ignored,
        }
    }

    /// Says that frames may be lost, or that the book is not known for another reason.
    pub fn lose(&mut self, need: Need) -> Step {
        self.need = Some(need);
        self.bids.clear();
        self.asks.clear();
        Step::NeedSnapshot(need)
    }

    /// Takes a snapshot: a `book` frame of full depth.
    pub fn snapshot(&mut self, view: &View<'_>) -> Step {
        let (Some(seq), Some(mut image)) = (view.delta_seq, image_of(view)) else { return self.lose(Need::Unreadable) };
        image.seq = seq;
        if view.state.as_deref().is_some_and(|state| state != "live") {
            return self.lose(Need::Stale);
        }
        if self.need.is_none() && (image.epoch, seq) <= (self.epoch, self.seq) {
            return Step::Ignored;
        }
        if view.ts_pub.is_some_and(|at| at <= self.not_live_at) {
            return self.lose(Need::TooOld);
        }
        match self.waiting.front().map(|delta| delta.epoch) {
            Some(epoch) if epoch > image.epoch => return self.lose(Need::TooOld),
            Some(epoch) if epoch < image.epoch => self.waiting.clear(),
            _ => {}
        }
        while self.waiting.front().is_some_and(|delta| delta.seq <= seq) {
            self.waiting.pop_front();
        }
        if self.waiting.front().is_some_and(|delta| delta.seq != seq + 1) {
            return self.lose(Need::TooOld);
        }
        let reaches = self.waiting.back().map_or(seq, |delta| delta.seq);
        if (image.epoch, reaches) < self.told {
            return self.lose(Need::TooOld);
        }
        self.replace(&image);
        while let Some(delta) = self.waiting.pop_front() {
            self.apply(&delta);
        }
        Step::Applied
    }

    /// Keeps a delta; those before a jump are of no use, since only a snapshot behind the jump can be.
    fn keep(&mut self, delta: Delta) -> Step {
        if let Some(last) = self.waiting.back() {
            if last.epoch == delta.epoch && delta.seq <= last.seq {
                return Step::Ignored;
            }
            if last.epoch != delta.epoch || delta.seq != last.seq + 1 {
                self.waiting.clear();
            }
        }
        if self.waiting.len() >= MAX_WAITING {
            self.waiting.clear();
            self.waiting.push_back(delta);
            return self.lose(Need::Overflow);
        }
        self.waiting.push_back(delta);
        Step::Buffered
    }

    fn replace(&mut self, image: &Delta) {
        self.need = None;
        self.bids.clear();
        self.asks.clear();
        self.epoch = image.epoch;
        self.apply(image);
    }

    fn apply(&mut self, delta: &Delta) {
        self.seq = delta.seq;
        put(&mut self.bids, &delta.bids);
        put(&mut self.asks, &delta.asks);
    }
}

fn put(side: &mut BTreeMap<Price, Level>, changes: &[Level]) {
    for level in changes {
        // At most 2^63 * 10^18 < 2^127: Decimal::parse allows at most 18 places.
        let units = i128::from(level.price.mantissa) * 10_i128.pow(18_u32.saturating_sub(level.price.scale.into()));
        if level.size.is_zero() {
            side.remove(&units);
        } else {
            side.insert(units, *level);
        }
    }
}

fn delta_of(view: &View<'_>) -> Option<Delta> {
    let image = image_of(view)?;
    Some(Delta { seq: view.seq?, ..image })
}

/// Epoch and levels of a frame; its seq is still to be set.
fn image_of(view: &View<'_>) -> Option<Delta> {
    Some(Delta { epoch: view.epoch?, seq: 0, bids: levels(&view.bids)?, asks: levels(&view.asks)? })
}

fn levels(texts: &[LevelText<'_>]) -> Option<Vec<Level>> {
    let number = |text: &str| Decimal::parse(text.as_bytes()).ok();
    texts.iter().map(|LevelText(price, size)| Some(Level { price: number(price)?, size: number(size)? })).collect()
}

#[cfg(test)]
mod tests;
