//! The feeds of a running gateway: they come and go at run time. The locks here are held for memory work only.

mod sources;

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use super::FeedHandle;
use super::wished::{Owner, Refusal, Wished};
use crate::bus::Frame;
use crate::config::{Accounts, FeedPlan};
use crate::frame::parse_topic;
use crate::io::command::Command;
use crate::model::{Channel, Stream};
use crate::store::tables::Tables;
use crate::store::{Store, StoreLimits};

/// Feeds at one time, as in the config.
pub const FEEDS_MAX: usize = 100;
/// Symbols that are remembered with the feed that published them last.
const SYMBOLS_MAX: usize = 1_000_000;

/// Starts feeds: what the gateway has and the registry does not know.
pub trait StartFeed: Send + Sync {
    /// Starts a feed, and keeps it running until [`RunningFeed::is_stopping`]. Its streams are those that are wished
    /// for when it starts, each time.
    fn start(&self, feed: Arc<RunningFeed>, commands: mpsc::Receiver<Command>) -> JoinHandle<()>;
}

/// A feed that runs.
pub struct RunningFeed {
    /// Where it takes commands.
    pub handle: FeedHandle,
    /// What it was started with; its streams since are in [`Self::wished`].
    pub plan: FeedPlan,
    /// Its latest values.
    pub store: Arc<Store>,
    /// Held while a command changes what is wished for and tells the feed, so that the feed is told in the same order.
    pub(super) gate: tokio::sync::Mutex<()>,
    of_config: AtomicBool,
    stopping: watch::Sender<bool>,
    task: Mutex<Option<JoinHandle<()>>>,
    wished: Mutex<Wished>,
}

impl RunningFeed {
    /// A feed that does not run yet, and what its task is to take commands from.
    pub fn new(plan: FeedPlan, of_config: bool, tables: &Tables) -> (Arc<Self>, mpsc::Receiver<Command>) {
        let (handle, commands) = FeedHandle::new(&plan.name, plan.venue.id, Arc::clone(&plan.market));
        let feed = Self {
            store: tables.open_store(handle.venue),
            handle,
            plan,
            gate: tokio::sync::Mutex::default(),
            of_config: AtomicBool::new(of_config),
            stopping: watch::Sender::new(false),
            task: Mutex::default(),
            wished: Mutex::default(),
        };
        (Arc::new(feed), commands)
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.plan.name
    }

    /// Who wishes which of its streams.
    pub fn wished(&self) -> MutexGuard<'_, Wished> {
        lock(&self.wished)
    }

    /// The streams that are wished for now, in the order in which they were first.
    pub fn streams(&self) -> Vec<Stream> {
        self.wished().streams_in_order()
    }

    /// Whether the config names it.
    pub fn is_of_config(&self) -> bool {
        self.of_config.load(Ordering::Relaxed)
    }

    /// The config names it from now on.
    pub(super) fn adopt(&self) {
        self.of_config.store(true, Ordering::Relaxed);
    }

    /// Whether it ends, or has ended.
    pub fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Tells it to say `down`, to close its connections and to end.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
        self.handle.shut_down();
    }

    /// Waits until [`Self::stop`] was called.
    pub async fn stopped(&self) {
        let mut stopping = self.stopping.subscribe();
        // The sender lives in `self`.
        let _ = stopping.wait_for(|stopping| *stopping).await;
    }

    pub(super) fn runs_in(&self, task: JoinHandle<()>) {
        *lock(&self.task) = Some(task);
    }

    /// For a feed that is started again: what it is to take commands from, and the streams that are wished for then.
    pub async fn start_over(&self) -> (mpsc::Receiver<Command>, Vec<Stream>) {
        let _gate = self.gate.lock().await;
        (self.handle.renew(), self.streams())
    }

    /// Its task, once: for whoever waits for its end.
    pub fn take_task(&self) -> Option<JoinHandle<()>> {
        lock(&self.task).take()
    }
}

type Symbol = (&'static str, Arc<str>, String);

#[derive(Default)]
struct Inner {
    feeds: Vec<Arc<RunningFeed>>,
    /// The feed that published a symbol last, now or before.
    symbols: HashMap<Symbol, Arc<str>>,
    /// Connections without a name that have wished for something.
    nameless: HashSet<u64>,
    /// The gateway ends: nothing is added any more.
    ending: bool,
}

/// Why streams cannot be wished for, one line for each.
pub type Refusals = Vec<(Stream, String)>;

/// All feeds, in the order in which they came.
pub struct Registry {
    inner: Mutex<Inner>,
    starter: Arc<dyn StartFeed>,
    tables: Arc<Tables>,
    /// The latest values that jobs published.
    of_jobs: Arc<Store>,
    /// What feeds that are opened at run time may name.
    accounts: Accounts,
    /// Counts what changed: feeds, and wishes.
    changes: watch::Sender<u64>,
}

impl Registry {
    /// No feeds yet.
    pub fn new(starter: Arc<dyn StartFeed>, limits: StoreLimits, accounts: Accounts) -> Self {
        let (tables, of_jobs) = (Arc::new(Tables::new(limits)), Arc::new(Store::new(limits)));
        Self { inner: Mutex::default(), starter, tables, of_jobs, accounts, changes: watch::Sender::new(0) }
    }

    /// The tables that are made of what the feeds publish.
    pub const fn tables(&self) -> &Arc<Tables> {
        &self.tables
    }

    /// The accounts of the config that the gateway was started with.
    pub const fn accounts(&self) -> &Accounts {
        &self.accounts
    }

    /// Where the latest values that jobs publish are kept.
    pub const fn store_of_jobs(&self) -> &Arc<Store> {
        &self.of_jobs
    }

    /// All feeds.
    pub fn list(&self) -> Vec<Arc<RunningFeed>> {
        lock(&self.inner).feeds.clone()
    }

    /// All feeds; from now on none is added.
    pub fn end(&self) -> Vec<Arc<RunningFeed>> {
        let mut inner = lock(&self.inner);
        inner.ending = true;
        inner.feeds.clone()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        lock(&self.inner).feeds.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The feed with this name.
    pub fn find(&self, name: &str) -> Option<Arc<RunningFeed>> {
        lock(&self.inner).feeds.iter().find(|feed| feed.name() == name).cloned()
    }

    /// Tells of each change since.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    pub(super) fn changed(&self) {
        self.changes.send_modify(|count| *count = count.wrapping_add(1));
    }

    /// Adds a feed with its first wishes and starts it; `Ok(Err)` gives the one that has its name already.
    ///
    /// # Errors
    /// Why it cannot be had.
    pub fn add(
        &self,
        plan: FeedPlan,
        of_config: bool,
        wishes: &[(Stream, Owner)],
    ) -> Result<Result<Arc<RunningFeed>, Arc<RunningFeed>>, String> {
        let (feed, commands) = RunningFeed::new(plan, of_config, &self.tables);
        {
            let mut inner = lock(&self.inner);
            if let Some(known) = inner.feeds.iter().find(|known| known.name() == feed.name()) {
                return Ok(Err(Arc::clone(known)));
            }
            if inner.ending {
                return Err("the gateway is ending".to_owned());
            }
            if inner.feeds.len() >= FEEDS_MAX {
                return Err(format!("there are {FEEDS_MAX} feeds already, as many as there may be; close one first"));
            }
            let streams: Vec<Stream> = wishes.iter().map(|(stream, _)| stream.clone()).collect();
            let refusals = inner.refusals(&feed, &streams);
            if let Some((_, why)) = refusals.first() {
                return Err(why.clone());
            }
            for (stream, owner) in wishes {
                inner.note_owner(owner);
                // It has passed the checks; what would be one too many is left out.
                let _ = feed.wished().wish(stream, owner);
            }
            inner.take_symbols(&feed, &streams);
            inner.feeds.push(Arc::clone(&feed));
        }
        feed.runs_in(self.starter.start(Arc::clone(&feed), commands));
        self.changed();
        Ok(Ok(feed))
    }

    /// Takes a feed that has ended away.
    pub(super) fn remove(&self, feed: &Arc<RunningFeed>) {
        lock(&self.inner).feeds.retain(|known| !Arc::ptr_eq(known, feed));
        self.changed();
    }

    /// Whether another feed of the same market is there.
    pub(super) fn has_sibling(&self, feed: &RunningFeed) -> bool {
        let of_market = |other: &&Arc<RunningFeed>| {
            (other.handle.venue, &other.handle.market) == (feed.handle.venue, &feed.handle.market)
        };
        lock(&self.inner).feeds.iter().filter(of_market).any(|other| other.name() != feed.name())
    }

    /// Wishes for streams: for all, or for none. The numbers of the wishes that are new, each with its stream's place.
    ///
    /// # Errors
    /// What speaks against which.
    pub(super) fn wish(
        &self,
        feed: &RunningFeed,
        streams: &[Stream],
        owner: &Owner,
    ) -> Result<Vec<(usize, u64)>, Refusals> {
        let mut new = Vec::new();
        {
            let mut inner = lock(&self.inner);
            let refusals = inner.refusals(feed, streams);
            if !refusals.is_empty() {
                return Err(refusals);
            }
            inner.note_owner(owner);
            inner.take_symbols(feed, streams);
            let mut wished = feed.wished();
            for (at, stream) in streams.iter().enumerate() {
                if let Ok(super::wished::Wish::New(number)) = wished.wish(stream, owner) {
                    new.push((at, number));
                }
            }
        }
        self.changed();
        Ok(new)
    }

    /// Waits until other feeds that published these symbols have published the last of them, so that whoever goes on
    /// with a topic finds its last number.
    pub(super) async fn wait_for_others(&self, plan: &FeedPlan, streams: &[Stream]) {
        let others: Vec<Arc<RunningFeed>> = {
            let inner = lock(&self.inner);
            let before = |stream: &Stream| {
                inner.symbols.get(&(plan.venue.id, Arc::clone(&plan.market), stream.symbol.clone())).cloned()
            };
            let names: BTreeSet<Arc<str>> = streams.iter().filter_map(before).collect();
            let other = |feed: &&Arc<RunningFeed>| feed.name() != plan.name && names.contains(feed.name());
            inner.feeds.iter().filter(other).cloned().collect()
        };
        for other in others {
            // What it was told before comes before this in its queue, and is published when this is answered.
            let _gate = other.gate.lock().await;
            other.handle.report().await;
        }
    }

    /// A connection is gone.
    pub(super) fn connection_ended(&self, connection: u64) {
        let feeds = {
            let mut inner = lock(&self.inner);
            if !inner.nameless.remove(&connection) {
                return;
            }
            inner.feeds.clone()
        };
        feeds.iter().for_each(|feed| feed.wished().connection_ended(connection));
        self.changed();
    }

    /// What speaks against these symbols of a market being published by a feed of the config: one that was opened at run
    /// time, or was given them there, has them.
    pub(super) fn taken_at_run_time(&self, plan: &FeedPlan, going: &BTreeSet<&str>) -> Option<(String, String)> {
        let inner = lock(&self.inner);
        let symbols: BTreeSet<&str> = plan.streams.iter().map(|stream| stream.symbol.as_str()).collect();
        symbols.into_iter().find_map(|symbol| {
            let other = inner.publisher_of(plan, symbol)?;
            let held = other.name() != plan.name && !going.contains(other.name());
            let by_client = |(_, owners): (&Stream, Vec<&Owner>)| owners.iter().any(|owner| **owner != Owner::Config);
            let stays = held && (!other.is_of_config() || other.wished().of_symbol(symbol).any(by_client));
            stays.then(|| (symbol.to_owned(), other.name().to_owned()))
        })
    }

    /// The feeds that publish a topic's market: of rows of accounts, a topic names no market.
    fn of_topic(&self, topic: &str) -> Vec<Arc<RunningFeed>> {
        let Some([_, venue, market, _]) = parse_topic(topic) else { return Vec::new() };
        let of_venue: Vec<_> = self.list().into_iter().filter(|feed| feed.handle.venue == venue).collect();
        let (of_market, others): (Vec<_>, Vec<_>) =
            of_venue.into_iter().partition(|feed| *feed.handle.market == *market);
        of_market.into_iter().chain(others).collect()
    }

    /// The newest frame of a topic, whatever feed or job it is of.
    pub fn latest(&self, topic: &str) -> Option<Frame> {
        let of_feed = self.of_topic(topic).iter().find_map(|feed| feed.store.latest(topic.as_bytes()));
        of_feed.or_else(|| self.of_jobs.latest(topic.as_bytes()))
    }

    /// Up to `n` frames of a topic, the newest last.
    pub fn recent(&self, topic: &str, n: usize) -> Vec<Frame> {
        let all = self.of_topic(topic).into_iter().map(|feed| feed.store.recent(topic.as_bytes(), n));
        let of_jobs = std::iter::once_with(|| self.of_jobs.recent(topic.as_bytes(), n));
        all.into_iter().chain(of_jobs).find(|frames| !frames.is_empty()).unwrap_or_default()
    }

    /// All candles kept of a topic, by their times, the newest last.
    pub fn candles(&self, topic: &str) -> Vec<Frame> {
        self.recent(topic, usize::MAX)
    }
}

impl Inner {
    fn note_owner(&mut self, owner: &Owner) {
        if let Owner::Connection(connection) = owner {
            self.nameless.insert(*connection);
        }
    }

    /// The running feed that publishes this symbol now.
    fn publisher_of(&self, plan: &FeedPlan, symbol: &str) -> Option<&Arc<RunningFeed>> {
        let of_market = |feed: &&Arc<RunningFeed>| {
            (feed.handle.venue, &feed.handle.market) == (plan.venue.id, &plan.market) && !symbol.is_empty()
        };
        self.feeds.iter().filter(of_market).find(|feed| feed.wished().has_symbol(symbol))
    }

    /// Another feed that has the same channel without symbols: rows of the same account, whose topics are of no market, or
    /// what is published untouched, of one market.
    fn other_without_symbols(&self, plan: &FeedPlan, channel: Channel) -> Option<&Arc<RunningFeed>> {
        let has_its_topics = |feed: &RunningFeed| match channel {
            Channel::Account(_) => feed.plan.account() == plan.account(),
            _ => feed.handle.market == plan.market,
        };
        let others = self.feeds.iter().filter(|feed| feed.handle.venue == plan.venue.id && feed.name() != plan.name);
        let others = others.filter(|feed| has_its_topics(feed));
        others.into_iter().find(|feed| feed.wished().streams().any(|stream| stream.channel == channel))
    }

    fn refusals(&self, feed: &RunningFeed, streams: &[Stream]) -> Refusals {
        let wished = feed.wished();
        let mut refusals = Vec::new();
        for stream in streams {
            let instead = wished.check(stream).err().map(|refusal| match refusal {
                Refusal::Instead(other) => format!(
                    "{stream} would publish the same topics as {other}, which feed {} has: unsubscribe that first",
                    feed.name()
                ),
                Refusal::Full => format!("feed {} has as many wishes as it may have", feed.name()),
            });
            refusals.extend(instead.map(|why| (stream.clone(), why)));
        }
        drop(wished);
        let symbols: BTreeSet<&str> = streams.iter().map(|stream| stream.symbol.as_str()).collect();
        for symbol in symbols {
            let Some(other) = self.publisher_of(&feed.plan, symbol).filter(|other| other.name() != feed.name()) else {
                continue;
            };
            let why = format!(
                "{symbol:?} is published by feed {} too; a symbol's topics have one source, so subscribe to it there, or \
                 unsubscribe it there first",
                other.name()
            );
            let of_symbol = streams.iter().filter(|stream| stream.symbol == symbol);
            refusals.extend(of_symbol.map(|stream| (stream.clone(), why.clone())));
        }
        for stream in streams.iter().filter(|stream| !stream.channel.has_symbol()) {
            if let Some(other) = self.other_without_symbols(&feed.plan, stream.channel) {
                let other = format!("feed {}", other.name());
                let why = match stream.channel {
                    Channel::Account(_) => feed.plan.rows_taken(stream.channel, &other),
                    channel => format!(
                        "{channel} is published by {other} too; its topic has one source, so subscribe to it there, or \
                         unsubscribe it there first"
                    ),
                };
                refusals.push((stream.clone(), why));
            }
        }
        refusals
    }

    /// Notes whose these symbols are. Beyond the limit the rest is not remembered.
    fn take_symbols(&mut self, feed: &RunningFeed, streams: &[Stream]) {
        for stream in streams.iter().filter(|stream| stream.channel.has_symbol()) {
            let key = (feed.handle.venue, Arc::clone(&feed.handle.market), stream.symbol.clone());
            if self.symbols.len() < SYMBOLS_MAX || self.symbols.contains_key(&key) {
                self.symbols.insert(key, Arc::clone(&feed.handle.name));
            }
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
