//! The loop of one feed on websockets: it owns the connections and the pipeline, and steps the one with what the others
//! read. The loop of a feed from a trading terminal is in [`super::terminal`].

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::future::{AbortHandle, Abortable, Aborted, join_all};
use futures_util::stream::FuturesUnordered;
use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tracing::{info, warn};

use super::backoff::BackoffLimits;
use super::budget::{Account, Ticket};
use super::command::Command;
use super::dial::DialLimits;
use super::engine::Engine;
use super::http::{Answer, HttpError, RestClient};
use super::limits::ConnectBudget;
use super::lines::{Dialed, Dialer, Event as LineEvent, Line, next_event};
use super::repeats::Repeats;
use super::tap::{Kind, Tap};
use super::ws::{ConnectionLimits, End, Received};
use super::{FrameSink, Steps};
use crate::bus::Outgoing;
use crate::clock;
use crate::model::{Mono, Stamp, StreamId};
use crate::sign::{Request, Signer};
use crate::venue::{Endpoints, HttpRequest, Input, LinkId, Route};

/// All limits of one feed's connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DriverLimits {
    /// Opening it.
    pub dial: DialLimits,
    /// Keeping it.
    pub connection: ConnectionLimits,
    /// Opening it again.
    pub backoff: BackoffLimits,
    /// Least time between two new connections to the same host, over all feeds.
    pub connect_pause: Duration,
}

/// What a driver is made of.
pub struct DriverParts<P> {
    /// The feed's name in the config.
    pub feed: Arc<str>,
    /// Where it connects to.
    pub endpoints: Endpoints,
    /// What is stepped.
    pub pipeline: P,
    /// Where frames go.
    pub sink: Arc<dyn FrameSink>,
    /// The process's budget of new connections.
    pub connects: Arc<ConnectBudget>,
    /// The process's REST client.
    pub rest: RestClient,
    /// What may be asked by REST.
    pub account: Arc<Account>,
    /// Who signs its calls.
    pub signer: Option<Signer>,
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
    lines: Vec<Line>,
    dialer: Dialer,
    rest_url: String,
    rest: RestClient,
    account: Arc<Account>,
    signer: Option<Arc<Signer>>,
    calls: FuturesUnordered<Boxed<Call>>,
    /// Calls for images that have not left yet.
    waiting: Vec<WaitingCall>,
    /// When their streams are told again how long it takes.
    tell_at: Option<Mono>,
    call_failures: Repeats,
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A REST call that has ended.
struct Call {
    link: LinkId,
    id: u64,
    url: Arc<str>,
    /// Not what is an account's, and not the past: a replay fetches nothing, and would not know what to do with it.
    is_recorded: bool,
    result: Result<Answer, HttpError>,
}

/// A call for a stream's image, before its turn.
struct WaitingCall {
    link: LinkId,
    stream: StreamId,
    ticket: Arc<Ticket>,
    abort: AbortHandle,
}

/// How often the streams are told how long their images wait; they give up waiting a little later.
const TELL_EVERY: Duration = Duration::from_secs(20);
/// What takes less is not worth telling.
const SHORT_WAIT: Duration = Duration::from_secs(1);

enum Event {
    Line(usize, LineEvent),
    Called(Call),
    Command(Option<Command>),
    Timer,
}

impl WaitingCall {
    fn abort(&self) {
        if !self.ticket.has_left() {
            self.abort.abort();
        }
    }
}

impl<P: Steps> Driver<P> {
    /// A driver that has not connected yet.
    pub fn new(parts: DriverParts<P>) -> Self {
        let DriverParts { feed, endpoints, pipeline, sink, connects, rest, account, signer, commands, tap, limits } =
            parts;
        let signer = signer.map(Arc::new);
        Self {
            rest_url: endpoints.rest_url.clone(),
            dialer: Dialer { feed: Arc::clone(&feed), endpoints, connects, limits, signer: signer.clone() },
            engine: Engine::new(feed, pipeline, sink, commands, tap),
            lines: Vec::new(),
            rest,
            account,
            signer,
            calls: FuturesUnordered::new(),
            waiting: Vec::new(),
            tell_at: None,
            call_failures: Repeats::default(),
        }
    }

    /// Runs until it is told to shut down or all senders of commands are gone. Never gives up for any other reason.
    pub async fn run(mut self) {
        self.follow_links();
        loop {
            let event = self.next_event().await;
            let now = clock::now();
            match event {
                Event::Command(None) => break,
                Event::Command(Some(command)) => {
                    if let Command::Report { .. } = command {
                        self.engine.link_report.rest = Some(self.account.report());
                    }
                    if !self.engine.carry_out(command, now) {
                        break;
                    }
                }
                Event::Line(at, LineEvent::Dialed(dialed)) => self.dialed(at, dialed, now),
                Event::Line(at, LineEvent::Read(end)) => {
                    if let Some(end) = self.take_burst(at, now).or(end) {
                        self.lost(at, end, now);
                    }
                }
                Event::Called(call) => self.take_answer(call, now),
                Event::Timer => {}
            }
            self.tell_of_waits(now);
            self.engine.fire_timer(now);
            self.follow_links();
            for at in 0..self.lines.len() {
                if let Some(end) = self.serve(at, now) {
                    self.lost(at, end, now);
                }
            }
            self.settle(now);
        }
        self.shut_down().await;
    }

    /// Dials the connections that the pipeline needs now, and leaves those it needs no more.
    fn follow_links(&mut self) {
        let wanted = self.engine.pipeline.links();
        if self.lines.iter().map(|line| line.id).eq(wanted.iter().map(|(id, _)| *id)) {
            return;
        }
        let new = wanted.iter().filter(|(id, _)| self.lines.iter().all(|line| line.id != *id));
        let new: Vec<_> = new.map(|(id, route)| self.dialer.line(*id, *route)).collect();
        let (kept, over) =
            self.lines.drain(..).partition::<Vec<_>, _>(|line| wanted.iter().any(|(id, _)| *id == line.id));
        self.lines = kept;
        self.lines.extend(new);
        over.iter()
            .for_each(|line| self.waiting.iter().filter(|call| call.link == line.id).for_each(WaitingCall::abort));
        over.into_iter().for_each(Line::leave);
        self.note_links(clock::now());
    }

    /// Notes whether all connections are open.
    fn note_links(&mut self, now: Stamp) {
        let connected = self.lines.iter().all(Line::is_open);
        let report = &mut self.engine.link_report;
        if report.connected != connected {
            report.connected = connected;
            report.since = now.wall;
        }
    }

    /// Waits for whatever comes first; timers only when nothing else is there, so that after a pause of the whole
    /// process what was read late is not taken for silence.
    async fn next_event(&mut self) -> Event {
        let wake = self.wake();
        let (commands, calls, lines) = (&mut self.engine.commands, &mut self.calls, &mut self.lines);
        let inputs = async {
            tokio::select! {
                (at, event) = next_event(lines) => Event::Line(at, event),
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

    fn wake(&self) -> Option<Mono> {
        self.lines.iter().filter_map(Line::due).chain(self.engine.timer()).chain(self.tell_at).min()
    }

    /// Steps through a connection's burst; `Some` when the session is done with this connection.
    fn take_burst(&mut self, at: usize, now: Stamp) -> Option<End> {
        let line = self.lines.get_mut(at)?;
        let (link, burst, key) = (line.id, std::mem::take(&mut line.burst), line.key());
        let is_recorded = self.is_recorded(at);
        for message in &burst {
            let (kind, input) = match message {
                Received::Text(text) => (Kind::Ws, Input::Text(text.as_bytes())),
                Received::Binary(data) => (Kind::Binary, Input::Binary(data)),
            };
            if is_recorded {
                self.engine.tap(kind, now, None, || Line::without_key(message.bytes(), key.as_ref()));
            }
            self.engine.step_on(link, input, now);
            if let Some(reason) = self.asked_to_leave(link) {
                return Some(End::Asked(reason));
            }
        }
        let published = self.engine.outbox().frames.iter().any(|work| matches!(work, Outgoing::Frame(_)));
        let line = self.lines.get_mut(at)?;
        line.burst = burst;
        line.burst.clear();
        if published {
            line.good_data(now.mono);
        }
        None
    }

    /// Whether what goes over a connection is recorded: what is published untouched beside a venue's own protocol would be
    /// read as part of that when it is played.
    fn is_recorded(&self, at: usize) -> bool {
        let is_raw = self.lines.get(at).is_some_and(|line| line.route() == Route::RAW);
        !is_raw || self.engine.pipeline.links().iter().all(|(_, route)| *route == Route::RAW)
    }

    /// Why the pipeline wants this connection closed, if it does.
    fn asked_to_leave(&mut self, link: LinkId) -> Option<String> {
        let reconnects = &mut self.engine.outbox().reconnects;
        if reconnects.is_empty() {
            return None;
        }
        let at = reconnects.iter().position(|(id, _)| *id == link)?;
        Some(reconnects.swap_remove(at).1)
    }

    fn take_answer(&mut self, call: Call, now: Stamp) {
        match call.result {
            Ok(Answer { status, body, .. }) => {
                if call.is_recorded {
                    self.engine.tap(Kind::Rest, now, Some(&call.url), || body.clone());
                }
                self.call_failures.clear();
                let input = Input::Http { id: call.id, status: Some(status), body: &body, url: None };
                self.engine.step_on(call.link, input, now);
            }
            Err(error) => {
                let reason = error.to_string();
                if let Some(repeats) = self.call_failures.admit(&reason, now.mono) {
                    warn!(feed = %self.engine.feed, reason, repeats, "REST call failed");
                }
                let input = Input::Http { id: call.id, status: None, body: reason.as_bytes(), url: None };
                self.engine.step_on(call.link, input, now);
            }
        }
    }

    /// Hands a connection what the pipeline wants sent over it, and looks after it; `Some` when it is over.
    fn serve(&mut self, at: usize, now: Stamp) -> Option<End> {
        let is_recorded = self.is_recorded(at);
        let line = self.lines.get_mut(at)?;
        let link = line.id;
        let connection = line.connection()?;
        let outbox = self.engine.pipeline.outbox();
        for (_, login) in outbox.logins.extract_if(.., |(id, _)| *id == link) {
            if let Err(end) = connection.send(login.reveal().to_owned(), now.mono) {
                return Some(end);
            }
        }
        let own: Vec<_> = outbox.sends.extract_if(.., |(id, _)| *id == link).map(|(_, text)| text).collect();
        for text in own {
            if is_recorded {
                self.engine.tap(Kind::Send, now, None, || Bytes::copy_from_slice(text.as_bytes()));
            }
            if let Err(end) = connection.send(text, now.mono) {
                return Some(end);
            }
        }
        if let Err(end) = connection.check(now.mono) {
            return Some(end);
        }
        self.asked_to_leave(link).map(End::Asked)
    }

    /// Completes addresses, starts the REST calls, and hands out everything else.
    fn settle(&mut self, now: Stamp) {
        for (link, key) in std::mem::take(&mut self.engine.outbox().addresses) {
            if let Some(line) = self.lines.iter_mut().find(|line| line.id == link) {
                line.complete(key, &self.dialer, now.mono);
            }
        }
        for (link, request) in std::mem::take(&mut self.engine.outbox().requests) {
            self.call(link, request, now);
        }
        for request in std::mem::take(&mut self.engine.outbox().calls) {
            let answer = Err("a feed on a websocket makes no RPC calls");
            self.engine.step(Input::Rpc { id: request.id, answer }, now);
        }
        self.engine.settle();
    }

    /// Starts a REST call: it stands in the line of the venue's budget from now on, which is bounded.
    fn call(&mut self, link: LinkId, request: HttpRequest, now: Stamp) {
        let HttpRequest { id, method, path, signed, timeout, weight, stream, patient, is_secret } = request;
        let url: Arc<str> = format!("{}{path}", self.rest_url).into();
        let is_recorded = !is_secret && !patient;
        let place = if patient { self.account.queue_behind(weight) } else { self.account.queue(weight) };
        let Some(place) = place else {
            let result = Err(HttpError::Crowded { account: self.account.name().to_owned() });
            return self.calls.push(Box::pin(std::future::ready(Call { link, id, url, is_recorded, result })));
        };
        let (rest, signer) = (self.rest.clone(), self.signer.clone());
        let (abort, aborted) = AbortHandle::new_pair();
        if let Some(stream) = stream {
            let ticket = place.ticket();
            self.tell(stream, &ticket, now);
            self.waiting.push(WaitingCall { link, stream, ticket, abort });
            self.tell_at.get_or_insert(now.mono.after(TELL_EVERY));
        }
        self.calls.push(Box::pin(async move {
            let request = Request { method, url: url.to_string(), ..Request::default() };
            let sent = async {
                match (signed, &signer) {
                    (true, None) => Err(HttpError::NoAccount),
                    (true, Some(signer)) => rest.send(request, Some(signer), timeout, place).await,
                    (false, _) => rest.send(request, None, timeout, place).await,
                }
            };
            let result = Abortable::new(sent, aborted).await;
            let result = result.unwrap_or_else(|Aborted| Err(HttpError::Left));
            Call { link, id, url, is_recorded, result }
        }));
    }

    /// Tells a stream how long its image waits.
    fn tell(&mut self, stream: StreamId, ticket: &Ticket, now: Stamp) {
        if let Some((ahead, wait)) = self.account.forecast(ticket).filter(|(_, wait)| *wait >= SHORT_WAIT) {
            self.engine.pipeline.image_waits(stream, ahead, wait, now);
        }
    }

    fn tell_of_waits(&mut self, now: Stamp) {
        if self.tell_at.is_none_or(|at| at > now.mono) {
            return;
        }
        self.waiting.retain(|call| !call.ticket.has_left());
        for call in std::mem::take(&mut self.waiting) {
            self.tell(call.stream, &call.ticket, now);
            self.waiting.push(call);
        }
        self.tell_at = (!self.waiting.is_empty()).then(|| now.mono.after(TELL_EVERY));
    }

    fn dialed(&mut self, at: usize, dialed: Dialed, now: Stamp) {
        let is_recorded = self.is_recorded(at);
        let Some(line) = self.lines.get_mut(at) else { return };
        match dialed {
            Ok(socket) => {
                info!(feed = %self.engine.feed, host = line.host(), "connected");
                line.opened(socket, self.dialer.limits.connection, now.mono);
                let (link, url) = (line.id, line.url());
                self.engine.link_report.connects += 1;
                if is_recorded {
                    self.engine.tap(Kind::Connect, now, Some(&url), Bytes::new);
                }
                self.note_links(now);
                self.engine.step_on(link, Input::Connected, now);
            }
            Err(error) => {
                line.not_opened(&error, &self.dialer, now);
                self.note_failure(error.to_string());
            }
        }
    }

    /// Tells the pipeline at once, and leaves the connection without waiting for it.
    fn lost(&mut self, at: usize, end: End, now: Stamp) {
        let Some(link) = self.lines.get(at).map(|line| line.id) else { return };
        // Images for books that have ended with the connection would cost the budget and be of no use.
        self.waiting.iter().filter(|call| call.link == link).for_each(WaitingCall::abort);
        self.engine.step_on(link, Input::Disconnected, now);
        self.note_failure(end.to_string());
        // A connection that has been replaced is not dialled again.
        let goes_on = self.engine.pipeline.links().iter().any(|(id, _)| *id == link);
        if let Some(line) = self.lines.get_mut(at) {
            line.lost(end, &self.dialer, now);
        }
        if !goes_on {
            self.lines.remove(at);
        }
        self.note_links(now);
    }

    fn note_failure(&mut self, reason: String) {
        self.engine.link_report.failures += 1;
        self.engine.link_report.last_failure = Some(reason);
    }

    async fn shut_down(mut self) {
        self.engine.pipeline.shut_down(clock::now());
        self.engine.settle();
        let closing = self.lines.into_iter().map(Line::close);
        join_all(closing).await;
        info!(feed = %self.engine.feed, "feed ended");
    }
}
