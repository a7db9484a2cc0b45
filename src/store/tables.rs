//! The tables of a running gateway, and how frames get into them.
//!
//! Nobody pays for tables that nobody asks for. The first question after a table's name makes it one in use: each store of
//! its venue hands over what it keeps, and from then on what comes, as references in a bounded queue. One task turns them
//! into rows, and so does whoever asks, before looking; so an answer has everything that was published before the question,
//! and the tasks of feeds never wait for it. A minute after the last question the table is given up again. The tables of
//! accounts are always in use: not every row of theirs is kept as a frame, and they are small.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::task::yield_now;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout_at};

use super::kept::{Fed, TableSet};
use super::{Store, StoreLimits};
use crate::bus::Frame;
use crate::client::as_json;
use crate::clock;
use crate::model::Mono;
use crate::table::{FeedId, LogLimits, Shape, Table, TableKind, TableLimits, TableStats};

/// Frames that may wait to become rows of a table, and their bytes. Beyond it the table is made anew from what is kept.
const PENDING_MAX: usize = 100_000;
const PENDING_BYTES: usize = 64 << 20;
/// Frames turned into rows in one turn of a table's lock: some hundred microseconds.
const CHUNK: usize = 128;
/// A table that nobody has asked for so long is given up; looked at so often.
const UNUSED_AFTER: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_secs(10);
/// The log of a table: at 50,000 changes a second, some seconds of them.
const LOG: LogLimits = LogLimits { changes: 262_144, bytes: 128 << 20 };

/// The tables of all venues.
#[derive(Debug)]
pub struct Tables {
    limits: StoreLimits,
    venues: Mutex<BTreeMap<&'static str, Arc<VenueTables>>>,
    /// There may be something to turn into rows.
    work: Arc<Notify>,
}

/// A table's name and how it stands.
#[derive(Clone, Copy, Debug)]
pub struct TableReport {
    /// Its venue's id.
    pub venue: &'static str,
    /// Which.
    pub kind: TableKind,
    /// Whether it is kept up now.
    pub in_use: bool,
    /// What it holds.
    pub stats: TableStats,
    /// How often it was made anew because frames came faster than they became rows.
    pub rebuilds: u64,
}

/// The tables of one venue.
#[derive(Debug)]
pub struct VenueTables {
    venue: &'static str,
    slots: [Slot; TableKind::ALL.len()],
    feeds: Mutex<Feeds>,
    work: Arc<Notify>,
}

/// The stores that tell a venue's tables. Whoever changes which tables are in use holds its lock.
#[derive(Debug)]
struct Feeds {
    stores: Vec<(FeedId, Weak<Store>)>,
    next: u32,
    in_use: TableSet,
}

#[derive(Debug)]
struct Slot {
    shape: Shape,
    pending: Mutex<Pending>,
    table: Mutex<Table>,
    /// The number of the last change.
    seq: watch::Sender<u64>,
    /// When it was last asked, as [`Mono`].
    asked_at: AtomicU64,
    rebuilds: AtomicU64,
}

/// What a table was told and has not looked at.
#[derive(Debug, Default)]
struct Pending {
    told: VecDeque<Told>,
    bytes: usize,
    /// There was too much of it: it is gone, and the table is to be made anew.
    lost: bool,
}

#[derive(Debug)]
enum Told {
    Fed(FeedId, Fed),
    /// The feed is no more.
    Left(FeedId),
    /// Something was lost here.
    Cut,
    /// Nobody asks for it any more.
    Clear,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Pending {
    /// Whether somebody is to be woken.
    fn push(&mut self, told: Told) -> bool {
        if self.lost {
            return false;
        }
        let was_empty = self.told.is_empty();
        self.bytes += told.bytes();
        self.told.push_back(told);
        if self.told.len() <= PENDING_MAX && self.bytes <= PENDING_BYTES {
            return was_empty;
        }
        *self = Self { lost: true, ..Self::default() };
        true
    }

    fn take(&mut self, most: usize) -> Vec<Told> {
        let taken: Vec<Told> = self.told.drain(..most.min(self.told.len())).collect();
        self.bytes -= taken.iter().map(Told::bytes).sum::<usize>();
        taken
    }
}

impl Told {
    /// What waits only for this; an image is of frames that are kept anyway.
    fn bytes(&self) -> usize {
        match self {
            Self::Fed(_, Fed::Frame(frame)) => frame.payload.len(),
            _ => 0,
        }
    }
}

impl Tables {
    /// None yet. They are bounded as stores are, each on its own.
    pub fn new(limits: StoreLimits) -> Self {
        Self { limits, venues: Mutex::default(), work: Arc::default() }
    }

    /// A store of a feed of this venue, which tells the venue's tables.
    pub fn open_store(&self, venue: &'static str) -> Arc<Store> {
        let tables = {
            let mut venues = lock(&self.venues);
            let new = || Arc::new(VenueTables::new(venue, self.limits, Arc::clone(&self.work)));
            Arc::clone(venues.entry(venue).or_insert_with(new))
        };
        tables.open_store(self.limits)
    }

    /// The tables of a venue that there was a feed of.
    pub fn venue(&self, name: &str) -> Option<Arc<VenueTables>> {
        lock(&self.venues).get(name).cloned()
    }

    /// Those of all venues that there was a feed of.
    pub fn venues(&self) -> Vec<Arc<VenueTables>> {
        lock(&self.venues).values().cloned().collect()
    }

    /// Turns frames into rows as they come, and gives tables up that nobody asks for; never ends.
    pub async fn keep_up(self: Arc<Self>) {
        let mut looks = interval(LOOK_EVERY);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = self.work.notified() => {}
                _ = looks.tick() => self.give_up_unused(clock::mono()),
            }
            for venue in self.venues() {
                for kind in TableKind::ALL {
                    venue.catch_up(kind).await;
                }
            }
        }
    }

    fn give_up_unused(&self, now: Mono) {
        for venue in self.venues() {
            TableKind::ALL.into_iter().for_each(|kind| venue.give_up_unused(kind, now));
        }
    }
}

impl VenueTables {
    fn new(venue: &'static str, limits: StoreLimits, work: Arc<Notify>) -> Self {
        let limits = TableLimits { trades: limits.trades, candles: limits.candles, bytes: limits.bytes, log: LOG };
        let def = crate::venue::find(venue);
        let slot = |kind| Slot {
            shape: Shape::new(kind, def),
            pending: Mutex::default(),
            table: Mutex::new(Table::new(Shape::new(kind, def), limits)),
            seq: watch::Sender::new(0),
            asked_at: AtomicU64::new(0),
            rebuilds: AtomicU64::new(0),
        };
        let of_accounts = TableKind::ALL.into_iter().filter(|kind| kind.is_of_account());
        let in_use = of_accounts.fold(TableSet::default(), TableSet::with);
        let feeds = Mutex::new(Feeds { stores: Vec::new(), next: 0, in_use });
        Self { venue, slots: TableKind::ALL.map(slot), feeds, work }
    }

    fn open_store(self: &Arc<Self>, limits: StoreLimits) -> Arc<Store> {
        let mut feeds = lock(&self.feeds);
        let feed = FeedId(feeds.next);
        feeds.next += 1;
        let store = Arc::new(Store::of_venue(limits, feed, Arc::clone(self), feeds.in_use));
        feeds.stores.retain(|(_, store)| store.strong_count() > 0);
        feeds.stores.push((feed, Arc::downgrade(&store)));
        store
    }

    const fn slot(&self, kind: TableKind) -> &Slot {
        &self.slots[kind.index()]
    }

    /// Its venue's id.
    pub const fn venue(&self) -> &'static str {
        self.venue
    }

    /// A table's key.
    pub const fn shape(&self, kind: TableKind) -> &Shape {
        &self.slot(kind).shape
    }

    // What stores tell; each holds its own lock meanwhile.

    pub(super) fn feed(&self, feed: FeedId, fed: &mut Vec<(TableKind, Fed)>) {
        for (kind, fed) in fed.drain(..) {
            self.tell(kind, Told::Fed(feed, fed));
        }
    }

    pub(super) fn left(&self, feed: FeedId) {
        TableKind::ALL.into_iter().for_each(|kind| self.tell(kind, Told::Left(feed)));
    }

    fn tell(&self, kind: TableKind, told: Told) {
        if lock(&self.slot(kind).pending).push(told) {
            self.work.notify_one();
        }
    }

    // Which tables are in use.

    /// Notes that the table is asked for, and begins it if it was not in use.
    fn ask(&self, kind: TableKind) {
        self.slot(kind).asked_at.store(clock::mono().0, Ordering::Relaxed);
        let mut feeds = lock(&self.feeds);
        if !feeds.in_use.has(kind) {
            feeds.in_use = feeds.in_use.with(kind);
            feeds.begin(kind);
        }
    }

    fn give_up_unused(&self, kind: TableKind, now: Mono) {
        let slot = self.slot(kind);
        let mut feeds = lock(&self.feeds);
        let asked_at = Mono(slot.asked_at.load(Ordering::Relaxed));
        let is_used = kind.is_of_account() || now.since(asked_at) < UNUSED_AFTER || slot.seq.receiver_count() > 0;
        if is_used || !feeds.in_use.has(kind) {
            return;
        }
        feeds.in_use = feeds.in_use.without(kind);
        feeds.all().for_each(|store| store.end_table(kind));
        let mut pending = lock(&slot.pending);
        *pending = Pending::default();
        pending.push(Told::Clear);
    }

    /// Makes a table anew that has lost some of what it was told.
    fn rebuild(&self, kind: TableKind) {
        let slot = self.slot(kind);
        let feeds = lock(&self.feeds);
        {
            let mut pending = lock(&slot.pending);
            if !std::mem::take(&mut pending.lost) {
                return;
            }
            pending.push(Told::Cut);
        }
        slot.rebuilds.fetch_add(1, Ordering::Relaxed);
        if feeds.in_use.has(kind) {
            feeds.begin(kind);
        }
    }

    /// Turns what the table was told until now into rows.
    async fn catch_up(&self, kind: TableKind) {
        let slot = self.slot(kind);
        let mut left = {
            let lost = lock(&slot.pending).lost;
            if lost {
                self.rebuild(kind);
            }
            lock(&slot.pending).told.len()
        };
        while left > 0 {
            let done = slot.turn();
            left = if done == 0 { 0 } else { left.saturating_sub(done) };
            yield_now().await;
        }
    }

    // What is asked.

    /// Reads a table that has everything published until now.
    pub async fn read<T>(&self, kind: TableKind, read: impl FnOnce(&Table) -> T) -> T {
        self.ask(kind);
        self.catch_up(kind).await;
        read(&lock(&self.slot(kind).table))
    }

    /// Reads a table now and after every change, until there is something to answer or the time has come. No change between
    /// two looks is missed.
    pub async fn watch<T>(
        &self,
        kind: TableKind,
        until: Instant,
        mut look: impl FnMut(&Table) -> Option<T>,
    ) -> Option<T> {
        let mut seq = self.slot(kind).seq.subscribe();
        loop {
            seq.mark_unchanged();
            if let Some(found) = self.read(kind, &mut look).await {
                return Some(found);
            }
            // The sender lives in `self`.
            if timeout_at(until, seq.changed()).await.is_err() {
                return None;
            }
        }
    }

    /// How the tables stand.
    pub fn reports(&self) -> Vec<TableReport> {
        let in_use = lock(&self.feeds).in_use;
        let report = |kind: TableKind| {
            let slot = self.slot(kind);
            let stats = lock(&slot.table).stats();
            let rebuilds = slot.rebuilds.load(Ordering::Relaxed);
            TableReport { venue: self.venue, kind, in_use: in_use.has(kind), stats, rebuilds }
        };
        TableKind::ALL.map(report).to_vec()
    }
}

impl Feeds {
    fn all(&self) -> impl Iterator<Item = Arc<Store>> {
        self.stores.iter().filter_map(|(_, store)| store.upgrade())
    }

    fn begin(&self, kind: TableKind) {
        self.all().for_each(|store| store.begin_table(kind));
    }
}

impl Slot {
    /// Turns some of what was told into rows; how much.
    fn turn(&self) -> usize {
        let mut table = lock(&self.table);
        // Taken under the table's lock, so that two who do this at one time keep the order.
        let told = lock(&self.pending).take(CHUNK);
        let done = told.len();
        for told in told {
            match told {
                Told::Fed(feed, Fed::Frame(frame)) => apply(&mut table, feed, &frame),
                Told::Fed(feed, Fed::Forget(topic)) => table.forget(feed, &topic),
                Told::Fed(feed, Fed::Image(frames)) => image(&mut table, feed, &frames),
                Told::Left(feed) => table.forget_feed(feed),
                Told::Cut => table.cut(),
                Told::Clear => table.clear(),
            }
        }
        let seq = table.seq();
        drop(table);
        self.seq.send_if_modified(|last| std::mem::replace(last, seq) != seq);
        done
    }
}

/// Of a payload that cannot be read the table is told nothing, and counts it.
fn json(frame: &Frame) -> std::borrow::Cow<'_, str> {
    as_json(&frame.payload).unwrap_or_default()
}

fn apply(table: &mut Table, feed: FeedId, frame: &Frame) {
    table.apply(feed, &frame.topic, &json(frame));
}

fn image(table: &mut Table, feed: FeedId, frames: &[Arc<Frame>]) {
    let payloads: Vec<_> = frames.iter().map(|frame| (&frame.topic, json(frame))).collect();
    table.image(feed, payloads.iter().map(|(topic, payload)| (*topic, &**payload)));
}

#[cfg(test)]
#[path = "tables_tests.rs"]
mod tests;
