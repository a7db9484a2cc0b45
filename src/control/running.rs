//! What the doors work on: the feeds of a running gateway and its bus.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};

use super::calls::Calls;
use super::registry::Registry;
use super::reload::Applied;
use crate::bus::Publisher;
use crate::config::{self, KeyList, KeyListChange};
use crate::io::command::{Command, DriverReport};
use crate::sink::redis::{RedisStats, SinkReport};
use crate::zmtp::PublicKey;

/// Commands that may wait for a feed.
const COMMANDS: usize = 64;
/// How long a feed may take to answer a command.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);

/// A running feed, as others see it.
#[derive(Clone, Debug)]
pub struct FeedHandle {
    /// Its name in the config.
    pub name: Arc<str>,
    /// Its venue's id.
    pub venue: &'static str,
    /// Its market's id.
    pub market: Arc<str>,
    commands: Arc<Mutex<mpsc::Sender<Command>>>,
}

impl FeedHandle {
    /// A handle, and where the feed receives its commands.
    pub fn new(name: &str, venue: &'static str, market: Arc<str>) -> (Self, mpsc::Receiver<Command>) {
        let (sender, receiver) = mpsc::channel(COMMANDS);
        (Self { name: name.into(), venue, market, commands: Arc::new(Mutex::new(sender)) }, receiver)
    }

    /// Leads all copies of this handle to a feed that is started anew.
    pub fn renew(&self) -> mpsc::Receiver<Command> {
        let (sender, receiver) = mpsc::channel(COMMANDS);
        *self.commands.lock().unwrap_or_else(PoisonError::into_inner) = sender;
        receiver
    }

    fn sender(&self) -> mpsc::Sender<Command> {
        self.commands.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sends a command and waits for its answer; `None` when the feed does not answer in time.
    pub async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        let sender = self.sender();
        let exchange = async {
            sender.send(command(reply)).await.ok()?;
            answer.await.ok()
        };
        tokio::time::timeout(ANSWER_WITHIN, exchange).await.ok().flatten()
    }

    /// Hands a command to the feed; false if it does not take it in time.
    pub(super) async fn tell(&self, command: Command) -> bool {
        let sender = self.sender();
        matches!(tokio::time::timeout(ANSWER_WITHIN, sender.send(command)).await, Ok(Ok(())))
    }

    /// The feed's state and counters.
    pub async fn report(&self) -> Option<DriverReport> {
        self.ask(|reply| Command::Report { reply }).await
    }

    /// Tells the feed to end. A feed whose queue is full does not hear it; its task is then left to its deadline.
    pub fn shut_down(&self) {
        let _ = self.sender().try_send(Command::Shutdown);
    }
}

/// A running gateway.
#[derive(Clone)]
pub struct Running {
    /// Milliseconds since 1970 of the run's start.
    pub epoch: u64,
    /// The bus.
    pub publisher: Publisher,
    /// The feeds.
    pub feeds: Arc<Registry>,
    /// The config that holds now.
    pub applied: Arc<tokio::sync::Mutex<Applied>>,
    /// Makes REST calls for clients.
    pub calls: Arc<Calls>,
    /// The lists of client keys that can be read again.
    pub key_lists: Arc<[KeyList]>,
    /// What the Redis sink counts, if there is one.
    pub redis: Option<Arc<RedisStats>>,
    /// Set to true to end the gateway.
    pub shutdown: Arc<watch::Sender<bool>>,
}

impl Running {
    /// What every feed reports, asked at the same time, with its handle; `None` for a feed that does not answer in time.
    pub async fn reports(&self) -> Vec<(Arc<super::RunningFeed>, Option<DriverReport>)> {
        let feeds = self.feeds.list();
        let reports = join_all(feeds.iter().map(|feed| feed.handle.report())).await;
        feeds.into_iter().zip(reports).collect()
    }

    /// What the Redis sink reports, if there is one.
    pub fn redis_report(&self) -> Option<SinkReport> {
        self.redis.as_ref().map(|stats| stats.report(&self.publisher))
    }

    /// Reads the lists of client keys again: all of them change, or none. Connections of keys that are gone end within
    /// seconds.
    ///
    /// # Errors
    /// What is wrong with which file; the old lists stay.
    pub async fn reload_keys(&self) -> Result<Vec<KeyListChange>, String> {
        let lists = Arc::clone(&self.key_lists);
        // Files may be slow; the task is lost only when the runtime ends.
        let read = tokio::task::spawn_blocking(move || config::reload(&lists));
        let read = read.await.map_err(|error| error.to_string()).flatten();
        match &read {
            Ok(changes) => changes.iter().for_each(log_change),
            Err(error) => tracing::error!(error, "Lists of clients not changed"),
        }
        read
    }

    /// Asks the gateway to end.
    pub fn request_shutdown(&self) {
        self.shutdown.send_replace(true);
    }
}

fn log_change(list: &KeyListChange) {
    let shown = |keys: &[PublicKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
    let (added, removed) = (shown(&list.change.added), shown(&list.change.removed));
    tracing::info!(list = list.path, clients = list.keys, added, removed, "List of clients read again");
}
