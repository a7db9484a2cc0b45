//! The loop of one feed: it owns the connection and the pipeline, and steps the one with what the other reads.

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
use super::command::{Command, LinkReport, carry_out};
use super::dial::{ConnectError, DialLimits, Socket, dial, host_of};
use super::http::{Answer, HttpError, RestClient};
use super::limits::{ConnectBudget, millis};
use super::repeats::Repeats;
use super::states::StateLog;
use super::tap::{Kind, Tap, Tapped};
use super::ws::{Connection, ConnectionLimits, End, Received};
use super::{FrameSink, Steps};
use crate::bus::Outgoing;
use crate::clock;
use crate::model::{Mono, Stamp};
use crate::venue::{HttpRequest, Input};

/// A timer that has fired is not looked at again for so long, so that a session that leaves it in the past costs
/// little.
const TIMER_REST: Duration = Duration::from_millis(1);

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
    parts: DriverParts<P>,
    host: String,
    url: Arc<str>,
    backoff: Backoff,
    repeats: Repeats,
    link_report: LinkReport,
    calls: FuturesUnordered<Boxed<Call>>,
    call_failures: Repeats,
    states: StateLog,
    timer_fired_at: Mono,
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
        Self {
            host: host_of(&parts.url),
            url: parts.url.as_str().into(),
            backoff: Backoff::new(parts.limits.backoff),
            repeats: Repeats::default(),
            link_report: LinkReport { since: clock::wall(), ..LinkReport::default() },
            calls: FuturesUnordered::new(),
            call_failures: Repeats::default(),
            states: StateLog::default(),
            timer_fired_at: Mono(0),
            parts,
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
                    if !self.carry_out(command, now) {
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
            self.fire_timer(now);
            let end = end.or_else(|| self.serve(&mut link, now));
            if let Some(end) = end {
                link = self.lost(link, end, now);
            }
            self.settle();
        }
        self.shut_down(link).await;
    }

    /// Waits for whatever comes first; timers only when nothing else is there, so that after a pause of the whole
    /// process what was read late is not taken for silence.
    async fn next_event(&mut self, link: &mut Link, burst: &mut Vec<Received>) -> Event {
        let wake = self.wake(link);
        let (commands, calls) = (&mut self.parts.commands, &mut self.calls);
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
        let timer = self.parts.pipeline.next_timeout().map(|timer| timer.at.max(self.timer_fired_at.after(TIMER_REST)));
        let due = match link {
            Link::Open(connection) => Some(connection.due()),
            Link::Dialing(_) => None,
        };
        match (timer, due) {
            (Some(timer), Some(due)) => Some(timer.min(due)),
            (timer, due) => timer.or(due),
        }
    }

    fn fire_timer(&mut self, now: Stamp) {
        let rested = now.mono >= self.timer_fired_at.after(TIMER_REST);
        if rested && self.parts.pipeline.next_timeout().is_some_and(|timer| timer.at <= now.mono) {
            self.timer_fired_at = now.mono;
            self.parts.pipeline.step(Input::Timeout, now);
        }
    }

    fn carry_out(&mut self, command: Command, now: Stamp) -> bool {
        self.link_report.tap_dropped = self.parts.tap.as_ref().map_or(0, Tap::dropped);
        carry_out(command, &mut self.parts.pipeline, &self.link_report, now)
    }

    /// Steps through a burst; `Some` when the session is done with this connection.
    fn take_burst(&mut self, burst: &[Received], now: Stamp) -> Option<End> {
        for message in burst {
            self.tap(Kind::Ws, now, None, || message.bytes());
            match message {
                Received::Text(text) => self.parts.pipeline.step(Input::Text(text.as_bytes()), now),
                Received::Binary(data) => self.parts.pipeline.step(Input::Binary(data), now),
            }
            if let Some(reason) = self.parts.pipeline.outbox().reconnect.take() {
                return Some(End::Asked(reason));
            }
        }
        if self.parts.pipeline.outbox().frames.iter().any(|work| matches!(work, Outgoing::Frame(_))) {
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
                self.tap(Kind::Rest, now, Some(&call.url), || body.clone());
                self.call_failures.clear();
                let input = Input::Http { id: call.id, status: Some(status), body: &body };
                self.parts.pipeline.step(input, now);
            }
            Err(error) => {
                let reason = error.to_string();
                if let Some(repeats) = self.call_failures.admit(&reason, now.mono) {
                    warn!(feed = %self.parts.feed, reason, repeats, "REST call failed");
                }
                let input = Input::Http { id: call.id, status: None, body: reason.as_bytes() };
                self.parts.pipeline.step(input, now);
            }
        }
    }

    /// Hands the connection what the pipeline wants sent, and looks after it; `Some` when it is over.
    fn serve(&mut self, link: &mut Link, now: Stamp) -> Option<End> {
        let Link::Open(connection) = link else { return None };
        for text in std::mem::take(&mut self.parts.pipeline.outbox().sends) {
            self.tap(Kind::Send, now, None, || Bytes::copy_from_slice(text.as_bytes()));
            if let Err(end) = connection.send(text, now.mono) {
                return Some(end);
            }
        }
        if let Some(reason) = self.parts.pipeline.outbox().reconnect.take() {
            return Some(End::Asked(reason));
        }
        connection.check(now.mono).err()
    }

    /// Empties the outbox of what needs no connection, and of what needed one that is gone.
    fn settle(&mut self) {
        let outbox = self.parts.pipeline.outbox();
        if !outbox.frames.is_empty() {
            self.parts.sink.publish(&mut outbox.frames);
            outbox.frames.clear();
        }
        outbox.sends.clear();
        outbox.reconnect = None;
        if !outbox.changes.is_empty() {
            self.states.log(&self.parts.feed, &mut outbox.changes, clock::now().mono);
        }
        for request in std::mem::take(&mut outbox.requests) {
            self.call(request);
        }
    }

    /// Starts a REST call. How many can be under way is bounded by the host's budget: a call that would wait there for
    /// longer than it may take is answered at once.
    fn call(&mut self, request: HttpRequest) {
        let HttpRequest { id, path, timeout } = request;
        let url: Arc<str> = format!("{}{path}", self.parts.rest_url).into();
        let rest = self.parts.rest.clone();
        self.calls.push(Box::pin(async move {
            let result = rest.get(&url, timeout).await;
            Call { id, url, result }
        }));
    }

    fn dial_after(&self, delay: Duration) -> Link {
        let at = clock::now().mono.after(delay);
        let (feed, url) = (Arc::clone(&self.parts.feed), Arc::clone(&self.url));
        let (connects, limits) = (Arc::clone(&self.parts.connects), self.parts.limits.dial);
        Link::Dialing(Box::pin(async move {
            sleep_until(clock::instant_of(at)).await;
            connects.acquire(&feed).await;
            dial(&url, &limits).await
        }))
    }

    fn opened(&mut self, socket: Socket, now: Stamp) -> Link {
        info!(feed = %self.parts.feed, host = self.host, "connected");
        self.backoff.connected(now.mono);
        self.link_report.connected = true;
        self.link_report.since = now.wall;
        self.link_report.connects += 1;
        let url = Arc::clone(&self.url);
        self.tap(Kind::Connect, now, Some(&url), Bytes::new);
        self.parts.pipeline.step(Input::Connected, now);
        Link::Open(Connection::new(socket, self.parts.limits.connection, now.mono))
    }

    fn not_opened(&mut self, error: &ConnectError, now: Stamp) -> Link {
        let (delay, reason) = self.failed(error.failure(), error.to_string());
        if let Some(repeats) = self.repeats.admit(&reason, now.mono) {
            warn!(feed = %self.parts.feed, host = self.host, reason, delay_ms = millis(delay), repeats, "cannot connect");
        }
        self.dial_after(delay)
    }

    /// Tells the pipeline at once, and leaves the connection without waiting for it.
    fn lost(&mut self, link: Link, end: End, now: Stamp) -> Link {
        self.parts.pipeline.step(Input::Disconnected, now);
        let (delay, reason) = self.failed(end.failure(), end.to_string());
        self.link_report.connected = false;
        self.link_report.since = now.wall;
        match self.repeats.admit(&reason, now.mono) {
            Some(repeats) => {
                warn!(feed = %self.parts.feed, host = self.host, reason, delay_ms = millis(delay), repeats, "disconnected");
            }
            None => debug!(feed = %self.parts.feed, host = self.host, reason, "disconnected"),
        }
        if let Link::Open(connection) = link {
            // Ends by itself: leaving has a deadline.
            tokio::spawn(async move { connection.leave(&end).await });
        }
        self.dial_after(delay)
    }

    fn failed(&mut self, failure: Failure, reason: String) -> (Duration, String) {
        self.link_report.failures += 1;
        self.link_report.last_failure = Some(reason.clone());
        (self.backoff.failed(failure, fastrand::f64()), reason)
    }

    fn tap(&self, kind: Kind, now: Stamp, url: Option<&Arc<str>>, data: impl FnOnce() -> Bytes) {
        if let Some(tap) = &self.parts.tap {
            let feed = Arc::clone(&self.parts.feed);
            tap.put(Tapped { feed, at: now.wall, kind, url: url.cloned(), data: data() });
        }
    }

    async fn shut_down(mut self, link: Link) {
        self.parts.pipeline.shut_down(clock::now());
        self.settle();
        if let Link::Open(connection) = link {
            connection.close(1000).await;
        }
        info!(feed = %self.parts.feed, "feed ended");
    }
}
