//! What a store keeps, by topic, and what of it tables are told. Pure.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use bytes::Bytes;
use memchr::memmem;

use super::{StoreLimits, StoreStats};
use crate::bus::{Frame, Outgoing, Retain};
use crate::table::TableKind;

/// Topics of one store; what comes of more is not kept.
const TOPICS_MAX: usize = 200_000;
/// What a kept frame takes beside its payload: its place, and its share of the topic's.
const FRAME_BYTES: usize = 128;

/// Which frames of a topic are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The newest one.
    Latest,
    /// The last few.
    Last,
    /// The newest of each time.
    Candles,
}

#[derive(Debug)]
struct Topic {
    kind: Kind,
    /// The table that its frames are rows of.
    table: Option<TableKind>,
    /// In order; each with its candle's time.
    frames: VecDeque<(u64, Arc<Frame>)>,
}

/// What a table is told.
#[derive(Debug)]
pub(super) enum Fed {
    /// A frame.
    Frame(Arc<Frame>),
    /// What the topic said no longer holds.
    Forget(Bytes),
    /// All that is kept for it: the feed has told nothing else.
    Image(Vec<Arc<Frame>>),
}

/// Tables, a bit each by their index.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TableSet(pub(super) u16);

impl TableSet {
    pub(super) const fn has(self, table: TableKind) -> bool {
        self.0 & (1 << table.index()) != 0
    }

    pub(super) const fn with(self, table: TableKind) -> Self {
        Self(self.0 | (1 << table.index()))
    }

    pub(super) const fn without(self, table: TableKind) -> Self {
        Self(self.0 & !(1 << table.index()))
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Kept {
    /// The tables that are in use: they are told of what is kept for them.
    in_use: TableSet,
    /// What they are to be told.
    pub(super) fed: Vec<(TableKind, Fed)>,
    limits: StoreLimits,
    places: HashMap<Bytes, usize>,
    topics: Vec<Topic>,
    /// Where room is made next.
    cursor: usize,
    frames: usize,
    bytes: usize,
}

/// What of a topic is kept; `None` for what is not: deltas, and events that nobody asks for afterwards.
fn kind_of(frame: &Frame) -> Option<Kind> {
    if frame.retain != Retain::Stream {
        return Some(Kind::Latest);
    }
    let topic = &frame.topic[..];
    let begins = |name: &[u8]| topic.starts_with(name);
    if begins(b"delta.") {
        None
    } else if begins(b"trade.") || begins(b"liquidation.") || begins(b"order.") || begins(b"fill.") {
        Some(Kind::Last)
    } else if begins(b"candle_") {
        Some(Kind::Candles)
    } else {
        None
    }
}

/// The `open_time` of a candle, in either encoding, where it is found by its name.
fn open_time(payload: &[u8]) -> Option<u64> {
    if payload.first() == Some(&b'{') {
        let at = memmem::find(payload, b"\"open_time\":")? + b"\"open_time\":".len();
        let digits = payload.get(at..)?.iter().take_while(|byte| byte.is_ascii_digit());
        return digits.take(20).try_fold(0_u64, |n, digit| n.checked_mul(10)?.checked_add(u64::from(digit - b'0')));
    }
    let at = memmem::find(payload, b"\xa9open_time")? + 10;
    rmp::decode::read_int(&mut payload.get(at..)?).ok()
}

/// The frame to be published, shared from now on.
fn share(outgoing: &mut Outgoing) -> Option<Arc<Frame>> {
    let frame = match std::mem::replace(outgoing, Outgoing::Forget(Bytes::new())) {
        Outgoing::Frame(frame) => Arc::new(frame),
        Outgoing::Shared(frame) => frame,
        forget @ Outgoing::Forget(_) => {
            *outgoing = forget;
            return None;
        }
    };
    *outgoing = Outgoing::Shared(Arc::clone(&frame));
    Some(frame)
}

const fn size_of_frame(frame: &Frame) -> usize {
    frame.payload.len() + FRAME_BYTES
}

impl Kept {
    pub(super) fn new(limits: StoreLimits, in_use: TableSet) -> Self {
        let fed = Vec::new();
        Self { in_use, fed, limits, places: HashMap::new(), topics: Vec::new(), cursor: 0, frames: 0, bytes: 0 }
    }

    /// Takes note of what is published; how many frames had to go for want of room. The bus would put each frame behind a
    /// count of its own: that is done here, so that keeping takes no memory besides.
    pub(super) fn record(&mut self, batch: &mut [Outgoing]) -> u64 {
        let mut evicted = 0;
        for outgoing in batch {
            let kind = match outgoing {
                Outgoing::Forget(topic) => {
                    self.empty(topic);
                    None
                }
                Outgoing::Frame(frame) => kind_of(frame),
                Outgoing::Shared(frame) => kind_of(frame),
            };
            if let Some(kind) = kind
                && let Some(frame) = share(outgoing)
            {
                evicted += u64::from(!self.keep(frame, kind));
            }
            while self.bytes > self.limits.bytes && self.make_room() {
                evicted += 1;
            }
        }
        evicted
    }

    /// False for a topic that would be one too many.
    fn keep(&mut self, frame: Arc<Frame>, kind: Kind) -> bool {
        let place = match self.places.get(&frame.topic) {
            Some(place) => *place,
            None if self.topics.len() >= TOPICS_MAX => return false,
            None => {
                let table = TableKind::of_topic(&frame.topic);
                self.topics.push(Topic { kind, table, frames: VecDeque::new() });
                self.places.insert(frame.topic.clone(), self.topics.len() - 1);
                self.topics.len() - 1
            }
        };
        let Some(topic) = self.topics.get_mut(place) else { return false };
        if let Some(table) = topic.table.filter(|table| self.in_use.has(*table)) {
            self.fed.push((table, Fed::Frame(Arc::clone(&frame))));
        }
        let added = size_of_frame(&frame);
        let removed = match topic.kind {
            Kind::Latest => topic.put_latest(frame),
            Kind::Last => topic.put_last(frame, self.limits.trades),
            Kind::Candles => match open_time(&frame.payload) {
                Some(at) => topic.put_candle(at, frame, self.limits.candles),
                None => return true,
            },
        };
        self.bytes = self.bytes + added - removed.map_or(0, |size| size);
        self.frames += usize::from(removed.is_none());
        true
    }

    /// Takes the oldest frame of the next topic that has several, or of any when none has; false if there is nothing.
    fn make_room(&mut self) -> bool {
        let count = self.topics.len();
        for least in [2, 1] {
            for step in 0..count {
                let place = (self.cursor + step) % count;
                let frames = &mut self.topics[place].frames;
                if frames.len() >= least
                    && let Some((_, frame)) = frames.pop_front()
                {
                    self.cursor = place + 1;
                    self.bytes -= size_of_frame(&frame);
                    self.frames -= 1;
                    return true;
                }
            }
        }
        false
    }

    fn topic(&self, topic: &[u8]) -> Option<&Topic> {
        self.topics.get(*self.places.get(topic)?)
    }

    pub(super) fn latest(&self, topic: &[u8]) -> Option<Arc<Frame>> {
        self.topic(topic)?.frames.back().map(|(_, frame)| Arc::clone(frame))
    }

    pub(super) fn recent(&self, topic: &[u8], n: usize) -> Vec<Arc<Frame>> {
        let Some(topic) = self.topic(topic) else { return Vec::new() };
        let skipped = topic.frames.len().saturating_sub(n);
        topic.frames.iter().skip(skipped).map(|(_, frame)| Arc::clone(frame)).collect()
    }

    pub(super) fn topics(&self) -> Vec<Bytes> {
        let filled = |place: &usize| self.topics.get(*place).is_some_and(|topic| !topic.frames.is_empty());
        self.places.iter().filter(|(_, place)| filled(place)).map(|(topic, _)| topic.clone()).collect()
    }

    pub(super) fn forget(&mut self, which: impl Fn(&str) -> bool) -> Vec<Bytes> {
        let mut topics = self.topics();
        topics.retain(|topic| std::str::from_utf8(topic).is_ok_and(&which));
        topics.iter().for_each(|topic| self.empty(topic));
        topics
    }

    /// The topic keeps its place, as it mostly comes again.
    fn empty(&mut self, name: &Bytes) {
        let Some(topic) = self.places.get(name).and_then(|place| self.topics.get_mut(*place)) else { return };
        if let Some(table) = topic.table.filter(|table| self.in_use.has(*table)) {
            self.fed.push((table, Fed::Forget(name.clone())));
        }
        self.frames -= topic.frames.len();
        self.bytes -= topic.frames.iter().map(|(_, frame)| size_of_frame(frame)).sum::<usize>();
        // What a long list took is given back.
        topic.frames = VecDeque::new();
    }

    /// Tells a table of everything from now on, and first of all that is kept for it.
    pub(super) fn begin_table(&mut self, table: TableKind) {
        let of_table = self.topics.iter().filter(|topic| topic.table == Some(table));
        let frames = of_table.flat_map(|topic| topic.frames.iter().map(|(_, frame)| Arc::clone(frame)));
        self.fed.push((table, Fed::Image(frames.collect())));
        self.in_use = self.in_use.with(table);
    }

    /// Tells a table nothing more.
    pub(super) fn end_table(&mut self, table: TableKind) {
        self.in_use = self.in_use.without(table);
    }

    pub(super) fn stats(&self) -> StoreStats {
        let topics = self.topics.iter().filter(|topic| !topic.frames.is_empty()).count();
        StoreStats { topics, frames: self.frames, bytes: self.bytes, evicted: 0 }
    }
}

impl Topic {
    /// The size of the frame that went for this one.
    fn put_latest(&mut self, frame: Arc<Frame>) -> Option<usize> {
        match self.frames.back_mut() {
            Some((_, kept)) => {
                let size = size_of_frame(kept);
                *kept = frame;
                Some(size)
            }
            None => {
                self.frames.push_back((0, frame));
                None
            }
        }
    }

    fn put_last(&mut self, frame: Arc<Frame>, most: usize) -> Option<usize> {
        let oldest = if self.frames.len() >= most { self.frames.pop_front() } else { None };
        self.frames.push_back((0, frame));
        oldest.map(|(_, frame)| size_of_frame(&frame))
    }

    /// Candles come in the order of their times, but for those that are fetched afterwards.
    fn put_candle(&mut self, at: u64, frame: Arc<Frame>, most: usize) -> Option<usize> {
        let place = match self.frames.back() {
            Some((last, _)) if *last < at => Err(self.frames.len()),
            _ => self.frames.binary_search_by_key(&at, |(at, _)| *at),
        };
        match place {
            Ok(place) => {
                let (_, kept) = self.frames.get_mut(place)?;
                let size = size_of_frame(kept);
                *kept = frame;
                Some(size)
            }
            // Older than all of as many as there may be.
            Err(0) if self.frames.len() >= most => Some(size_of_frame(&frame)),
            Err(place) => {
                self.frames.insert(place, (at, frame));
                let oldest = if self.frames.len() > most { self.frames.pop_front() } else { None };
                oldest.map(|(_, frame)| size_of_frame(&frame))
            }
        }
    }
}
