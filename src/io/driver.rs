//! The loop of one feed on a websocket: it owns the connection and the pipeline, and steps the one with what the other
//! reads. The loop of a feed from a trading terminal is in [`super::terminal`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tracing::{debug, info, warn};

use super::backoff::{Backoff, BackoffLimits, Failure};
use super::command::Command;
use super::dial::{ConnectError, DialLimits, Socket, dial, host_of};
use super::engine::Engine;
use super::http::{Answer, HttpError, RestClient};
use super::limits::{ConnectBudget, millis};
use super::repeats::Repeats;
use super::tap::{Kind, Tap};
use super::ws::{Connection, ConnectionLimits, End, Received};
use super::{FrameSink, Steps};
use crate::bus::Outgoing;
use crate::clock;
use crate::model::{Mono, Stamp};
use crate::venue::{HttpRequest, Input};

/// All limits of one feed's connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DriverLimits {
    /// Opening it.
    pub dial: DialLimits,
    /// Keeping it.
    pub connection: ConnectionLimits,
    /// Opening it again.
    pub backoff: BackoffLimits,
}

/// What a driver is made of.
pub struct DriverParts<P> {
    /// The feed's name in the config.
    pub feed: Arc<str>,
    /// Websocket address.
    pub url: String,
    /// REST base address without a trailing slash.
    pub rest_url: String,
    /// What is stepped.
    pub pipeline: P,
    /// Where frames go.
    pub sink: Arc<dyn FrameSink>,
    /// The process's budget of new connections.
    pub connects: Arc<ConnectBudget>,
    /// The process's REST client.
    pub rest: RestClient,
    /// Commands; the feed ends when all senders are gone.
    pub commands: mpsc::Receiver<Command>,
    /// Where the recorder listens.
    pub tap: Option<Tap>,
    /// Limits.
    pub limits: DriverLimits,
}

/// The driver of one feed.
pub struct Driver<P> {
    engine: Engine<P>,
    host: String,
    url: Arc<str>,
    rest_url: String,
    connects: Arc<ConnectBudget>,
    rest: RestClient,
    limits: DriverLimits,
    backoff: Backoff,
    repeats: Repeats,
    calls: FuturesUnordered<Boxed<Call>>,
    call_failures: Repeats,
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
type Dialed = Result<Socket, ConnectError>;

enum Link {
    /// Waiting for the back-off and the budget, then dialing.
    Dialing(Boxed<Dialed>),
    Open(Connection),
}

/// A REST call that has ended.
struct Call {
    id: u64,
    url: Arc<str>,
    result: Result<Answer, HttpError>,
}

enum Event {
    Dialed(Dialed),
    /// Messages are in the burst; the end of the connection may have come after them.
    Read(Option<End>),
    Called(Call),
    Command(Option<Command>),
    Timer,
}

impl Link {
    /// May be dropped and called again.
    async fn event(&mut self, burst: &mut Vec<Received>) -> Event {
        match self {
            Self::Dialing(dialing) => Event::Dialed(dialing.await),
            Self::Open(connection) => Event::Read(connection.read(burst).await),
        }
    }
}

impl<P: Steps> Driver<P> {
    /// A driver that has not connected yet.
    pub fn new(parts: DriverParts<P>) -> Self {
        let DriverParts { feed, url, rest_url, pipeline, sink, connects, rest, commands, tap, limits } = parts;
        Self {
            engine: Engine::new(feed, pipeline, sink, commands, tap),
            host: host_of(&url),
            url: url.into(),
            rest_url,
            connects,
            rest,
            limits,
            backoff: Backoff::new(limits.backoff),
            repeats: Repeats::default(),
            calls: FuturesUnordered::new(),
            call_failures: Repeats::default(),
        }
    }

    /// Runs until it is told to shut down or all senders of commands are gone. Never gives up for any other reason.
    pub async fn run(mut self) {
        let mut link = self.dial_after(Duration::ZERO);
        let mut burst = Vec::new();
        loop {
            burst.clear();
            let event = self.next_event(&mut link, &mut burst).await;
            let now = clock::now();
            let end = match event {
                Event::Command(None) => break,
                Event::Command(Some(command)) => {
                    if !self.engine.carry_out(command, now) {
                        break;
                    }
                    None
                }
                Event::Dialed(Ok(socket)) => {
                    link = self.opened(socket, now);
                    None
                }
                Event::Dialed(Err(error)) => {
                    link = self.not_opened(&error, now);
                    None
                }
                Event::Read(end) => self.take_burst(&burst, now).or(end),
                Event::Called(call) => {
                    self.take_answer(call, now);
                    None
                }
                Event::Timer => None,
            };
            self.engine.fire_timer(now);
            let end = end.or_else(|| self.serve(&mut link, now));
            if let Some(end) = end {
                link = self.lost(link, end, now);
            }
            self.settle(now);
        }
        self.shut_down(link).await;
    }

    /// Waits for whatever comes first; timers only when nothing else is there, so that after a pause of the whole
    /// process what was read late is not taken for silence.
    async fn next_event(&mut self, link: &mut Link, burst: &mut Vec<Received>) -> Event {
        let wake = self.wake(link);
        let (commands, calls) = (&mut self.engine.commands, &mut self.calls);
        let inputs = async {
            tokio::select! {
                event = link.event(burst) => event,
                command = commands.recv() => Event::Command(command),
                Some(call) = calls.next() => Event::Called(call),
            }
        };
        tokio::select! {
            biased;
            event = inputs => event,
            () = sleep_until(clock::instant_of(wake.unwrap_or_default())), if wake.is_some() => Event::Timer,
        }
    }

    fn wake(&self, link: &Link) -> Option<Mono> {
        let timer = self.engine.timer();
        let due = match link {
            Link::Open(connection) => Some(connection.due()),
            Link::Dialing(_) => None,
        };
        match (timer, due) {
            (Some(timer), Some(due)) => Some(timer.min(due)),
            (timer, due) => timer.or(due),
        }
    }

    /// Steps through a burst; `Some` when the session is done with this connection.
    fn take_burst(&mut self, burst: &[Received], now: Stamp) -> Option<End> {
        for message in burst {
            self.engine.tap(Kind::Ws, now, None, || message.bytes());
            match message {
                Received::Text(text) => self.engine.step(Input::Text(text.as_bytes()), now),
                Received::Binary(data) => self.engine.step(Input::Binary(data), now),
            }
            if let Some(reason) = self.engine.outbox().reconnect.take() {
                return Some(End::Asked(reason));
            }
        }
        if self.engine.outbox().frames.iter().any(|work| matches!(work, Outgoing::Frame(_))) {
            self.backoff.good_data(now.mono);
            if self.backoff.failures() == 0 {
                self.repeats.clear();
            }
        }
        None
    }

    fn take_answer(&mut self, call: Call, now: Stamp) {
        match call.result {
            Ok(Answer { status, body }) => {
                self.engine.tap(Kind::Rest, now, Some(&call.url), || body.clone());
                self.call_failures.clear();
                let input = Input::Http { id: call.id, status: Some(status), body: &body };
                self.engine.step(input, now);
            }
            Err(error) => {
                let reason = error.to_string();
                if let Some(repeats) = self.call_failures.admit(&reason, now.mono) {
                    warn!(feed = %self.engine.feed, reason, repeats, "REST call failed");
                }
                let input = Input::Http { id: call.id, status: None, body: reason.as_bytes() };
                self.engine.step(input, now);
            }
        }
    }

    /// Hands the connection what the pipeline wants sent, and looks after it; `Some` when it is over.
    fn serve(&mut self, link: &mut Link, now: Stamp) -> Option<End> {
        let Link::Open(connection) = link else { return None };
        for text in std::mem::take(&mut self.engine.outbox().sends) {
            self.engine.tap(Kind::Send, now, None, || Bytes::copy_from_slice(text.as_bytes()));
            if let Err(end) = connection.send(text, now.mono) {
                return Some(end);
            }
        }
        if let Some(reason) = self.engine.outbox().reconnect.take() {
            return Some(End::Asked(reason));
        }
        connection.check(now.mono).err()
    }

    /// Starts the REST calls, and hands out everything else.
    fn settle(&mut self, now: Stamp) {
        for request in std::mem::take(&mut self.engine.outbox().requests) {
            self.call(request);
        }
        for request in std::mem::take(&mut self.engine.outbox().calls) {
            let answer = Err("a feed on a websocket makes no RPC calls");
            self.engine.step(Input::Rpc { id: request.id, answer }, now);
        }
        self.engine.settle();
    }

    /// Starts a REST call. How many can be under way is bounded by the host's budget: a call that would wait there for
    /// longer than it may take is answered at once.
    fn call(&mut self, request: HttpRequest) {
        let HttpRequest { id, path, timeout } = request;
        let url: Arc<str> = format!("{}{path}", self.rest_url).into();
        let rest = self.rest.clone();
        self.calls.push(Box::pin(async move {
            let result = rest.get(&url, timeout).await;
            Call { id, url, result }
        }));
    }

    fn dial_after(&self, delay: Duration) -> Link {
        let at = clock::now().mono.after(delay);
        let (feed, url) = (Arc::clone(&self.engine.feed), Arc::clone(&self.url));
        let (connects, limits) = (Arc::clone(&self.connects), self.limits.dial);
        Link::Dialing(Box::pin(async move {
            sleep_until(clock::instant_of(at)).await;
            connects.acquire(&feed).await;
            dial(&url, &limits).await
        }))
    }

    fn opened(&mut self, socket: Socket, now: Stamp) -> Link {
        info!(feed = %self.engine.feed, host = self.host, "connected");
        self.backoff.connected(now.mono);
        self.engine.link_report.connected = true;
        self.engine.link_report.since = now.wall;
        self.engine.link_report.connects += 1;
        let url = Arc::clone(&self.url);
        self.engine.tap(Kind::Connect, now, Some(&url), Bytes::new);
        self.engine.step(Input::Connected, now);
        Link::Open(Connection::new(socket, self.limits.connection, now.mono))
    }

    fn not_opened(&mut self, error: &ConnectError, now: Stamp) -> Link {
        let (delay, reason) = self.failed(error.failure(), error.to_string());
        if let Some(repeats) = self.repeats.admit(&reason, now.mono) {
            warn!(feed = %self.engine.feed, host = self.host, reason, delay_ms = millis(delay), repeats, "cannot connect");
        }
        self.dial_after(delay)
    }

    /// Tells the pipeline at once, and leaves the connection without waiting for it.
    fn lost(&mut self, link: Link, end: End, now: Stamp) -> Link {
        self.engine.step(Input::Disconnected, now);
        let (delay, reason) = self.failed(end.failure(), end.to_string());
        self.engine.link_report.connected = false;
        self.engine.link_report.since = now.wall;
        match self.repeats.admit(&reason, now.mono) {
            Some(repeats) => {
                warn!(feed = %self.engine.feed, host = self.host, reason, delay_ms = millis(delay), repeats, "disconnected");
            }
            None => debug!(feed = %self.engine.feed, host = self.host, reason, "disconnected"),
        }
        if let Link::Open(connection) = link {
            // Ends by itself: leaving has a deadline.
            tokio::spawn(async move { connection.leave(&end).await });
        }
        self.dial_after(delay)
    }

    fn failed(&mut self, failure: Failure, reason: String) -> (Duration, String) {
        self.engine.link_report.failures += 1;
        self.engine.link_report.last_failure = Some(reason.clone());
        (self.backoff.failed(failure, fastrand::f64()), reason)
    }

    async fn shut_down(mut self, link: Link) {
        self.engine.pipeline.shut_down(clock::now());
        self.engine.settle();
        if let Link::Open(connection) = link {
            connection.close(1000).await;
        }
        info!(feed = %self.engine.feed, "feed ended");
    }
}
