//! The door for okws's clients: listens for commands on a Redis channel and has each carried out. Commands of one connection's
//! name are carried out one after the other, those of different names at the same time.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, info, warn};

use super::Commands;
use super::connection::{Failure, listen};
use super::desk::Desk;
use super::layout::Told;
use super::layout::batch::Batch;
use super::layout::okws::requests::Request;
use super::options::{OkwsOptions, RedisOptions};
use super::stats::RedisStats;
use crate::clock;
use crate::log_limit::LogLimit;

/// Commands that wait or are being carried out; of more, the newest are not taken.
const MOST_REQUESTS: usize = 1000;
/// The same of one name, so that one client does not take all places.
const MOST_OF_NAME: usize = 200;
/// How often the connection is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(10);
/// Before the channel is listened to again.
const AGAIN_AFTER: Duration = Duration::from_secs(1);

/// See the module.
pub(super) struct Door {
    options: Arc<RedisOptions>,
    okws: OkwsOptions,
    desk: Arc<Desk>,
    tell: mpsc::Sender<Told>,
    stats: Arc<RedisStats>,
    /// What waits behind the command that is being carried out, by name.
    waiting: HashMap<String, VecDeque<Request>>,
    running: FuturesUnordered<BoxFuture<'static, String>>,
    count: usize,
    log: LogLimit,
}

impl Door {
    pub(super) fn new(
        options: Arc<RedisOptions>,
        okws: OkwsOptions,
        commands: Arc<dyn Commands>,
        tell: mpsc::Sender<Told>,
        stats: Arc<RedisStats>,
    ) -> Self {
        Self {
            desk: Arc::new(Desk::new(okws.clone(), options.layout.book_depth, commands, tell.clone())),
            options,
            okws,
            tell,
            stats,
            waiting: HashMap::new(),
            running: FuturesUnordered::new(),
            count: 0,
            log: LogLimit::new(1, Duration::from_secs(60)),
        }
    }

    /// Listens for ever.
    pub(super) async fn run(mut self) {
        loop {
            if let Err(failure) = self.listen().await
                && let Some(more) = self.log.pass(clock::mono())
            {
                warn!(redis = %self.options.location, error = %failure, more, "Commands of okws clients not heard");
            }
            sleep(AGAIN_AFTER).await;
        }
    }

    async fn listen(&mut self) -> Result<(), Failure> {
        let (mut sink, mut messages) = listen(&self.options, &self.okws.commands).await?.split();
        info!(channel = self.okws.commands, "Listening for commands of okws clients");
        // Clients open their connections again when they hear this.
        let mut hello = Batch::default();
        hello.simple("PUBLISH", &[&self.okws.info, "CONNECTED"]);
        let _ = self.tell.send(Told::Commands(hello)).await;
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        loop {
            tokio::select! {
                message = messages.next() => match message {
                    Some(message) => self.take(message.get_payload_bytes()),
                    None => return Ok(()),
                },
                Some(name) = self.running.next() => self.next_of(name),
                _ = pings.tick() => {
                    let ping = timeout(self.options.deadline, sink.ping::<redis::Value>()).await;
                    ping.map_err(|_| Failure::Deadline(self.options.deadline))??;
                }
            }
        }
    }

    /// Takes a command. What is read is never left in the library's queue, which has no bound.
    fn take(&mut self, text: &[u8]) {
        let request = Request::read(text).filter(|request| {
            let before = self.waiting.get(&request.name).map_or(0, VecDeque::len);
            self.count < MOST_REQUESTS && before < MOST_OF_NAME
        });
        let Some(request) = request else {
            RedisStats::add(&self.stats.dropped_requests, 1);
            if let Some(more) = self.log.pass(clock::mono()) {
                warn!(more, "Command of an okws client not taken: unreadable, or one of too many");
            }
            return;
        };
        debug!(name = request.name, id = request.id.as_deref().unwrap_or_default(), "Command of an okws client");
        self.count += 1;
        match self.waiting.get_mut(&request.name) {
            Some(queue) => queue.push_back(request),
            None => {
                self.waiting.insert(request.name.clone(), VecDeque::new());
                self.start(request);
            }
        }
    }

    fn start(&self, request: Request) {
        let desk = Arc::clone(&self.desk);
        self.running.push(Box::pin(async move {
            let name = request.name.clone();
            desk.serve(request).await;
            name
        }));
    }

    /// A command of this name was carried out: the next one.
    fn next_of(&mut self, name: String) {
        RedisStats::add(&self.stats.requests, 1);
        self.count -= 1;
        match self.waiting.get_mut(&name).and_then(VecDeque::pop_front) {
            Some(next) => self.start(next),
            None => drop(self.waiting.remove(&name)),
        }
    }
}
