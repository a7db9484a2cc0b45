//! What the doors work on: the feeds of a running gateway and its bus.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{mpsc, oneshot, watch};

use crate::bus::Publisher;
use crate::io::command::{Command, DriverReport};

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
    /// The feeds, in the config's order.
    pub feeds: Arc<[FeedHandle]>,
    /// Set to true to end the gateway.
    pub shutdown: Arc<watch::Sender<bool>>,
}

impl Running {
    /// What every feed reports, asked at the same time; `None` for a feed that does not answer in time.
    pub async fn reports(&self) -> Vec<Option<DriverReport>> {
        join_all(self.feeds.iter().map(FeedHandle::report)).await
    }

    /// Asks the gateway to end.
    pub fn request_shutdown(&self) {
        self.shutdown.send_replace(true);
    }
}
