//! One table: its rows by topic, and how frames change them.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use super::log::{Log, Op};
use super::read::{self, Said};
use super::row::Row;
use super::{LogLimits, Shape, TableKind};

/// Topics of one table; rows of more are not taken.
const TOPICS_MAX: usize = 200_000;
/// Rows of a symbol in the tables whose rows are not counted otherwise: open orders, positions, balances.
const ROWS_MAX: usize = 10_000;
/// What a row takes beside itself: its places here.
const ROW_BYTES: usize = 160;

/// Tells the feeds of a venue apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FeedId(pub u32);

/// How much a table holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableLimits {
    /// Trades of a symbol; as many liquidations, and fills of an account.
    pub trades: usize,
    /// Candles of a symbol and interval.
    pub candles: usize,
    /// Bytes of all rows together.
    pub bytes: usize,
    /// The log of changes.
    pub log: LogLimits,
}

impl TableLimits {
    fn rows(&self, kind: TableKind) -> usize {
        match kind {
            TableKind::Trade | TableKind::Liquidation | TableKind::Fill => self.trades,
            TableKind::Candle => self.candles,
            // As many as the frame has.
            TableKind::Book => usize::MAX,
            _ => ROWS_MAX,
        }
    }
}

/// What a table holds, and has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TableStats {
    /// Rows.
    pub rows: usize,
    /// Bytes they take.
    pub bytes: usize,
    /// The number of the last change.
    pub seq: u64,
    /// Rows that went because newer ones needed their room.
    pub evicted: u64,
    /// Frames that could not be read, or were of a topic too many.
    pub skipped: u64,
}

#[derive(Debug)]
pub(super) struct Held {
    pub(super) row: Arc<Row>,
    feed: FeedId,
    /// When it was last told, counted in [`Table::now`].
    told: u64,
}

/// The rows of one topic, by their places.
#[derive(Debug, Default)]
pub(super) struct Group {
    pub(super) rows: BTreeMap<u64, Held>,
    bytes: usize,
    /// Whose the topic is now, though it may have no rows: a live book may be empty.
    pub(super) feed: Option<FeedId>,
    /// The places of a book's rows, best first, bids first.
    pub(super) order: Vec<u64>,
    /// The last parts of the topic as JSON texts; of rows of an account, the first of them is the account.
    pub(super) symbol: Box<str>,
    pub(super) market: Box<str>,
}

/// See the module.
#[derive(Debug)]
pub struct Table {
    pub(super) shape: Shape,
    pub(super) kind: TableKind,
    limits: TableLimits,
    topics: HashMap<Bytes, usize>,
    pub(super) groups: Vec<Group>,
    /// Where the row of each key is: its group and its place there.
    pub(super) places: HashMap<Arc<str>, (usize, u64)>,
    pub(super) log: Log,
    /// Counts what is told, and makes places.
    now: u64,
    bytes: usize,
    evicted: u64,
    skipped: u64,
}

fn size_of_row(row: &Row) -> usize {
    row.size() + ROW_BYTES
}

impl Table {
    /// An empty table.
    pub fn new(shape: Shape, limits: TableLimits) -> Self {
        Self {
            kind: shape.kind(),
            shape,
            limits,
            topics: HashMap::new(),
            groups: Vec::new(),
            places: HashMap::new(),
            log: Log::new(limits.log),
            now: 0,
            bytes: 0,
            evicted: 0,
            skipped: 0,
        }
    }

    // What feeds say.

    /// Takes a frame's payload, as JSON text. What cannot be read is counted.
    pub fn apply(&mut self, feed: FeedId, topic: &Bytes, payload: &str) {
        let Ok(said) = read::read(&self.shape, payload) else {
            self.skipped += 1;
            return;
        };
        let Some(group) = self.group(topic) else {
            self.skipped += 1;
            return;
        };
        self.now += 1;
        self.groups[group].feed = Some(feed);
        match said {
            Said::Row(row, at) => {
                self.put(feed, group, row, at);
            }
            Said::Over(row) => self.end(feed, group, row),
            Said::All(rows) => {
                let since = self.now;
                let mut order = Vec::with_capacity(rows.len());
                for row in rows {
                    self.now += 1;
                    order.extend(self.put(feed, group, row, None));
                }
                self.remove_if(group, |held| held.told <= since);
                self.groups[group].order = order;
            }
        }
        self.make_room();
    }

    /// Takes a topic's rows away: what they say no longer holds. Rows that another feed has told since stay.
    pub fn forget(&mut self, feed: FeedId, topic: &[u8]) {
        let Some(group) = self.topics.get(topic).copied() else { return };
        self.remove_if(group, |held| held.feed == feed);
        let group = &mut self.groups[group];
        if group.feed == Some(feed) {
            (group.feed, group.order) = (None, Vec::new());
        }
    }

    /// Takes all rows of a feed away.
    pub fn forget_feed(&mut self, feed: FeedId) {
        let topics: Vec<Bytes> = self.topics.keys().cloned().collect();
        topics.iter().for_each(|topic| self.forget(feed, topic));
    }

    /// Takes all that is known of a feed, as frames: what else the table has of it goes. Of accounts it stays, because not
    /// every row of theirs is kept as a frame.
    pub fn image<'a>(&mut self, feed: FeedId, frames: impl IntoIterator<Item = (&'a Bytes, &'a str)>) {
        let since = self.now;
        let mut told = HashSet::new();
        for (topic, payload) in frames {
            self.apply(feed, topic, payload);
            told.insert(topic.clone());
        }
        if self.kind.is_of_account() {
            return;
        }
        let others: Vec<Bytes> = self.topics.keys().filter(|topic| !told.contains(*topic)).cloned().collect();
        others.iter().for_each(|topic| self.forget(feed, topic));
        for group in 0..self.groups.len() {
            self.remove_if(group, |held| held.feed == feed && held.told <= since);
        }
    }

    /// Changes may have been missed: whoever follows must read anew.
    pub fn cut(&mut self) {
        self.log.cut();
    }

    /// Gives all rows up, without a word in the log: nobody reads this table now. Its numbers go on.
    pub fn clear(&mut self) {
        let log = std::mem::replace(&mut self.log, Log::new(self.limits.log));
        *self = Self {
            log,
            now: self.now,
            evicted: self.evicted,
            skipped: self.skipped,
            ..Self::new(self.shape.clone(), self.limits)
        };
        self.log.cut();
    }

    fn group(&mut self, topic: &Bytes) -> Option<usize> {
        if let Some(group) = self.topics.get(topic) {
            return Some(*group);
        }
        if self.topics.len() >= TOPICS_MAX {
            return None;
        }
        let parts = std::str::from_utf8(topic).ok().and_then(crate::frame::parse_topic);
        let text = |text: &str| serde_json::Value::from(text).to_string().into_boxed_str();
        let [_, _, market, symbol] = parts.unwrap_or_default();
        self.groups.push(Group { symbol: text(&symbol), market: text(&market), ..Group::default() });
        self.topics.insert(topic.clone(), self.groups.len() - 1);
        Some(self.groups.len() - 1)
    }

    /// The row's place, unless it is too old for one.
    fn put(&mut self, feed: FeedId, group: usize, row: Row, at: Option<u64>) -> Option<u64> {
        if let Some((held_in, place)) = self.places.get(row.key()).copied() {
            let of = &mut self.groups[held_in];
            let held = of.rows.get_mut(&place)?;
            (held.feed, held.told) = (feed, self.now);
            let row = if self.kind == TableKind::Order { row.after(&held.row, &self.shape) } else { row };
            if let Some(difference) = row.difference(&held.row) {
                let (before, after) = (size_of_row(&held.row), size_of_row(&row));
                of.bytes = of.bytes - before + after;
                self.bytes = self.bytes - before + after;
                held.row = Arc::new(row);
                self.log.push(Op::Update(difference), Arc::clone(&held.row));
            }
            return Some(place);
        }
        let most = self.limits.rows(self.kind);
        let place = at.unwrap_or(self.now);
        let rows = &self.groups[group].rows;
        let is_too_old = rows.len() >= most && rows.first_key_value().is_some_and(|(first, _)| place < *first);
        // Two rows of one place would be two of one time: they have one key, unless a venue's times are of no use.
        if is_too_old || rows.contains_key(&place) {
            return None;
        }
        self.insert(feed, group, place, row);
        while self.groups[group].rows.len() > most {
            self.evict_first(group);
        }
        Some(place)
    }

    fn insert(&mut self, feed: FeedId, group: usize, place: u64, row: Row) {
        let row = Arc::new(row);
        let size = size_of_row(&row);
        self.bytes += size;
        self.groups[group].bytes += size;
        self.places.insert(Arc::clone(row.key()), (group, place));
        self.log.push(Op::Insert, Arc::clone(&row));
        self.groups[group].rows.insert(place, Held { row, feed, told: self.now });
    }

    /// A row that is over is told once more as it ended, also if it was never there.
    fn end(&mut self, feed: FeedId, group: usize, row: Row) {
        let key = Arc::clone(row.key());
        let before = self.places.get(&key).and_then(|place| self.row_at(*place));
        let row = match before {
            Some(before) if self.kind == TableKind::Order => row.after(before, &self.shape),
            _ => row,
        };
        if !self.places.contains_key(&key) {
            if self.kind == TableKind::Balance {
                return;
            }
            let place = self.now;
            self.insert(feed, group, place, row);
        } else if let Some(held) = self.held_mut(&key) {
            let before = size_of_row(&held.0.row);
            let after = size_of_row(&row);
            held.0.row = Arc::new(row);
            *held.1 = *held.1 - before + after;
            self.bytes = self.bytes - before + after;
        }
        if let Some((group, place)) = self.places.get(&key).copied() {
            self.remove(group, place, Op::Delete);
        }
    }

    fn held_mut(&mut self, key: &str) -> Option<(&mut Held, &mut usize)> {
        let (group, place) = self.places.get(key).copied()?;
        let Group { rows, bytes, .. } = &mut self.groups[group];
        Some((rows.get_mut(&place)?, bytes))
    }

    fn remove(&mut self, group: usize, place: u64, op: Op) {
        let of = &mut self.groups[group];
        let Some(held) = of.rows.remove(&place) else { return };
        let size = size_of_row(&held.row);
        of.bytes -= size;
        self.bytes -= size;
        self.places.remove(held.row.key());
        self.log.push(op, held.row);
    }

    fn remove_if(&mut self, group: usize, goes: impl Fn(&Held) -> bool) {
        let rows = self.groups[group].rows.iter();
        let going: Vec<u64> = rows.filter(|(_, held)| goes(held)).map(|(place, _)| *place).collect();
        going.into_iter().for_each(|place| self.remove(group, place, Op::Delete));
    }

    /// Half a book would be a wrong one: it goes as a whole.
    fn evict_first(&mut self, group: usize) {
        if self.kind == TableKind::Book {
            let places: Vec<u64> = self.groups[group].rows.keys().copied().collect();
            self.evicted += places.len() as u64;
            places.into_iter().for_each(|place| self.remove(group, place, Op::Evict));
            (self.groups[group].feed, self.groups[group].order) = (None, Vec::new());
            return;
        }
        if let Some(place) = self.groups[group].rows.keys().next().copied() {
            self.evicted += 1;
            self.remove(group, place, Op::Evict);
        }
    }

    /// The topic that takes the most gives up its oldest rows: one that floods the table takes nothing from the others.
    fn make_room(&mut self) {
        while self.bytes > self.limits.bytes {
            let largest = (0..self.groups.len()).max_by_key(|group| self.groups[*group].bytes);
            let Some(largest) = largest.filter(|group| self.groups[*group].bytes > 0) else { return };
            // Some at once, so that the largest is not looked for with each frame.
            let enough = self.limits.bytes - self.limits.bytes / 64;
            let half = self.groups[largest].bytes / 2;
            while self.bytes > enough && self.groups[largest].bytes > half {
                self.evict_first(largest);
            }
        }
    }

    /// Counters and gauges.
    pub fn stats(&self) -> TableStats {
        TableStats {
            rows: self.places.len(),
            bytes: self.bytes,
            seq: self.seq(),
            evicted: self.evicted,
            skipped: self.skipped,
        }
    }
}
