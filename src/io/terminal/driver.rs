//! The loop of one feed from a trading terminal. To its session the connection is always open: whether the terminal
//! answers, it finds out by asking.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::{sleep_until, timeout_at};
use tracing::{debug, info};

use super::events::{Event, Events};
use super::report::TerminalReport;
use super::{Caller, Dial, Pool, RpcAnswer, ZmqDial};
use crate::clock;
use crate::io::command::Command;
use crate::io::engine::Engine;
use crate::io::tap::{Kind, Tap};
use crate::io::{FrameSink, Steps};
use crate::model::Stamp;
use crate::venue::{Input, RpcRequest};
use crate::zmtp::ClientSecurity;

/// Events stepped through before commands and timers are looked at.
const BURST_EVENTS: usize = 256;
/// Answers stepped through before commands and timers are looked at.
const BURST_ANSWERS: usize = 64;
/// How long a feed that ends waits for the next answer to its last calls: a terminal that is gone holds up nobody.
const NEXT_ANSWER_WITHIN: Duration = Duration::from_millis(800);
/// How long for all of them, while they come: what 300 instruments took takes seconds to give back within the budget.
pub const LAST_ANSWERS_WITHIN: Duration = Duration::from_secs(20);

/// What a driver is made of.
pub struct TerminalParts<P> {
    /// The feed's name in the config.
    pub feed: Arc<str>,
    /// What is stepped.
    pub pipeline: P,
    /// Where frames go.
    pub sink: Arc<dyn FrameSink>,
    /// Commands; the feed ends when all senders are gone.
    pub commands: mpsc::Receiver<Command>,
    /// Where the recorder listens.
    pub tap: Option<Tap>,
    /// The terminal's RPC connections.
    pub pool: Arc<Pool>,
    /// Where the terminal publishes its events; `None` when everything is polled.
    pub events: Option<EventsSocket>,
}

/// Where a terminal publishes its events.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsSocket {
    /// Such as `tcp://127.0.0.1:5561`.
    pub endpoint: String,
    /// How we prove to it who we are.
    pub security: ClientSecurity,
}

/// The driver of one feed.
pub struct TerminalDriver<P> {
    engine: Engine<P>,
    caller: Caller,
    events: Option<Events>,
    /// Calls that were refused at once, still to be told to the session.
    refused: VecDeque<RpcAnswer>,
    burst: Vec<Event>,
}

enum Happened {
    /// Events are in the burst.
    Events,
    Answer(RpcAnswer),
    Command(Option<Command>),
    Timer,
}

impl<P: Steps> TerminalDriver<P> {
    /// A driver that has not started. Its events are dialed from now on, on the current tokio runtime.
    pub fn new(mut parts: TerminalParts<P>) -> Self {
        let events = parts.events.take().map(|at| ZmqDial::events(&at.endpoint, at.security));
        Self::open(parts, events)
    }

    pub(super) fn open<D: Dial>(parts: TerminalParts<P>, events: Option<D>) -> Self {
        let TerminalParts { feed, pipeline, sink, commands, tap, pool, events: _ } = parts;
        Self {
            events: events.map(|dial| Events::open(Arc::clone(&feed), dial)),
            engine: Engine::new(feed, pipeline, sink, commands, tap),
            caller: pool.caller(),
            refused: VecDeque::new(),
            burst: Vec::new(),
        }
    }

    /// Runs until it is told to shut down or all senders of commands are gone. Never gives up for any other reason.
    pub async fn run(mut self) {
        let now = clock::now();
        let url = self.caller.report().hosts.first().map(|host| Arc::clone(&host.endpoint));
        self.engine.tap(Kind::Connect, now, url.as_ref(), Bytes::new);
        self.engine.step(Input::Connected, now);
        self.serve(now);
        loop {
            let happened = self.next().await;
            let now = clock::now();
            match happened {
                Happened::Command(None) => break,
                Happened::Command(Some(command)) => {
                    self.look_at_link(&command, now);
                    if !self.engine.carry_out(command, now) {
                        break;
                    }
                }
                Happened::Answer(answer) => self.take_answers(answer, now),
                Happened::Events => self.take_events(now),
                Happened::Timer => {}
            }
            self.engine.fire_timer(now);
            self.serve(now);
        }
        self.shut_down().await;
    }

    /// Waits for whatever comes first; timers only when nothing else is there, so that after a pause of the whole
    /// process what was read late is not taken for silence.
    async fn next(&mut self) -> Happened {
        if let Some(refused) = self.refused.pop_front() {
            return Happened::Answer(refused);
        }
        let wake = self.engine.timer();
        let Self { engine, caller, events, burst, .. } = self;
        let inputs = async {
            tokio::select! {
                command = engine.commands.recv() => Happened::Command(command),
                answer = caller.answer() => Happened::Answer(answer),
                () = receive(events, burst) => Happened::Events,
            }
        };
        tokio::select! {
            biased;
            happened = inputs => happened,
            () = sleep_until(clock::instant_of(wake.unwrap_or_default())), if wake.is_some() => Happened::Timer,
        }
    }

    /// Steps through this answer and those that are there behind it.
    fn take_answers(&mut self, first: RpcAnswer, now: Stamp) {
        self.take_answer(&first, now);
        for _ in 1..BURST_ANSWERS {
            let Some(next) = self.caller.answer_now() else { break };
            self.take_answer(&next, now);
        }
    }

    fn take_answer(&mut self, answer: &RpcAnswer, now: Stamp) {
        if let Ok(body) = &answer.result
            && self.engine.is_tapped()
        {
            // The answer alone does not tell what it is the answer to.
            let url: Arc<str> = format!("{}?{}", answer.endpoint, answer.request).into();
            self.engine.tap(Kind::Rest, now, Some(&url), || body.clone());
        }
        let result = answer.result.as_deref().map_err(String::as_str);
        self.engine.step(Input::Rpc { id: answer.id, answer: result }, now);
    }

    fn take_events(&mut self, now: Stamp) {
        for event in self.burst.drain(..) {
            self.engine.tap(Kind::Ws, now, None, || event.message.clone());
            match event.text {
                true => self.engine.step(Input::Text(&event.message), now),
                false => self.engine.step(Input::Binary(&event.message), now),
            }
        }
    }

    /// Makes the calls and subscriptions the pipeline wants, and hands out everything else.
    fn serve(&mut self, now: Stamp) {
        let outbox = self.engine.outbox();
        let (calls, sends) = (std::mem::take(&mut outbox.calls), std::mem::take(&mut outbox.sends));
        let (requests, reconnect) =
            (std::mem::take(&mut outbox.requests), outbox.reconnects.pop().map(|(_, reason)| reason));
        for request in calls {
            self.call(request);
        }
        for (_, topic) in sends {
            if let Some(events) = &self.events {
                events.want(&topic);
            }
        }
        for (_, request) in requests {
            let body = b"a terminal has no REST interface";
            self.engine.step(Input::Http { id: request.id, status: None, body, url: None }, now);
        }
        if let Some(reason) = reconnect {
            debug!(feed = %self.engine.feed, reason, "A terminal's connections come back by themselves");
        }
        self.engine.settle();
    }

    fn call(&mut self, request: RpcRequest) {
        let (id, body) = (request.id, request.body.clone());
        if let Err(why) = self.caller.call(request) {
            self.refused.push_back(RpcAnswer { id, endpoint: Arc::default(), request: body, result: Err(why) });
        }
    }

    /// Brings the report on the connection up to date, if it is asked for.
    fn look_at_link(&mut self, command: &Command, now: Stamp) {
        if !matches!(command, Command::Report { .. }) {
            return;
        }
        let terminal = TerminalReport { pool: self.caller.report(), events: self.events.as_ref().map(Events::report) };
        let (hosts, events) = (&terminal.pool.hosts, terminal.events.as_ref());
        let connected = hosts.first().is_some_and(|host| host.open > 0);
        let link = &mut self.engine.link_report;
        if link.connected != connected {
            link.connected = connected;
            link.since = now.wall;
        }
        link.connects = hosts.iter().map(|host| host.connects).chain(events.map(|events| events.connects)).sum();
        link.failures = hosts.iter().map(|host| host.failures).chain(events.map(|events| events.failures)).sum();
        let of_hosts = hosts.iter().find_map(|host| host.last_failure.clone());
        link.last_failure = of_hosts.or_else(|| events.and_then(|events| events.last_failure.clone()));
        link.terminal = Some(terminal);
    }

    /// Lets the session give back what it took at the terminal, then says `down`.
    async fn shut_down(mut self) {
        let now = clock::now();
        let deadline = clock::instant_of(now.mono.after(LAST_ANSWERS_WITHIN));
        // What still waits would take the budget from the session's last calls.
        let taken_back = self.caller.take_back();
        self.engine.step(Input::Shutdown, now);
        self.engine.outbox().sends.clear();
        for id in taken_back {
            self.engine.step(Input::Rpc { id, answer: Err("the feed ends") }, now);
        }
        self.serve(now);
        while self.caller.outstanding() > 0 {
            let next = clock::instant_of(clock::now().mono.after(NEXT_ANSWER_WITHIN));
            let Ok(answer) = timeout_at(next.min(deadline), self.caller.answer()).await else {
                let unanswered = self.caller.outstanding();
                info!(feed = %self.engine.feed, unanswered, "Feed ends without the answers to its last calls");
                break;
            };
            let now = clock::now();
            self.take_answers(answer, now);
            self.serve(now);
        }
        self.engine.pipeline.shut_down(clock::now());
        self.engine.settle();
        info!(feed = %self.engine.feed, "feed ended");
    }
}

/// Never ends for a terminal without events.
async fn receive(events: &mut Option<Events>, burst: &mut Vec<Event>) {
    match events {
        Some(events) => events.receive(burst, BURST_EVENTS).await,
        None => std::future::pending().await,
    }
}
