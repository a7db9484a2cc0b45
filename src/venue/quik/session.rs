//! The session of one terminal: follows its state, hands events and answers to the parts they belong to, and tells
//! those when to begin and when to end.

use std::time::Duration;

use super::account;
use super::ask::Questions;
use super::books::Books;
use super::events::{self, Event, Meaning, NoEvent};
use super::history::History;
use super::params::Params;
use super::pulse::{Health, Pulse};
use super::reply::{self, Reply};
use super::rpc::{self, Machine, Part};
use super::subscriptions::Subscriptions;
use super::trades::Trades;
use crate::model::Stamp;
use crate::venue::{Ignored, Input, Output, RawEvent, Session, SessionSpec, TerminalSpec, Timer, Update};

/// Protocol state of one terminal.
pub(super) struct QuikSession {
    /// What is sent to have events; nothing without an events socket.
    topics: Vec<&'static str>,
    /// Replay: nothing is called.
    discover: bool,
    pulse: Pulse,
    subscriptions: Subscriptions,
    books: Books,
    trades: Trades,
    params: Params,
    history: History,
    questions: Questions,
    is_live: bool,
    is_over: bool,
}

/// Settings left at zero stand for these.
fn with_defaults(spec: TerminalSpec) -> TerminalSpec {
    let time = |given: Duration, default| if given.is_zero() { default } else { given };
    let rate = |given: u32, default| if given == 0 { default } else { given };
    TerminalSpec {
        call_timeout: time(spec.call_timeout, Duration::from_secs(1)),
        heartbeat: time(spec.heartbeat, Duration::from_secs(5)),
        books_per_second: rate(spec.books_per_second, 10),
        calls_per_second: rate(spec.calls_per_second, 200),
        ..spec
    }
}

impl QuikSession {
    pub(super) fn new(spec: SessionSpec) -> Self {
        let terminal = with_defaults(spec.terminal);
        // A terminal's streams are those of the config, so that their places are their ids.
        let streams: Vec<_> = spec.streams.into_iter().map(|(_, stream)| stream).collect();
        Self {
            topics: if terminal.events { events::topics().collect() } else { Vec::new() },
            discover: spec.discover,
            pulse: Pulse::new(&terminal),
            subscriptions: Subscriptions::new(&spec.market, &streams, terminal.call_timeout),
            books: Books::new(&spec.market, &streams, &terminal),
            trades: Trades::new(&spec.market, &streams, &terminal, spec.discover),
            params: Params::new(&spec.market, &streams, &terminal),
            history: History::new(&spec.market, &streams, &terminal),
            questions: Questions::new(&terminal),
            is_live: false,
            is_over: false,
        }
    }

    /// The parts that only need to know when the terminal is live.
    fn machines(&mut self) -> [&mut dyn Machine; 4] {
        [&mut self.books, &mut self.trades, &mut self.params, &mut self.history]
    }

    fn machine(&mut self, part: Part) -> Option<&mut dyn Machine> {
        match part {
            Part::Books => Some(&mut self.books),
            Part::Trades => Some(&mut self.trades),
            Part::Params => Some(&mut self.params),
            Part::History => Some(&mut self.history),
            Part::Session | Part::Subscriptions | Part::Questions => None,
        }
    }

    fn connected(&mut self, now: Stamp, out: &mut dyn Output) {
        self.down(out);
        if self.discover {
            return;
        }
        for topic in &self.topics {
            out.send((*topic).to_owned());
        }
        self.pulse.connected(now.mono);
    }

    fn down(&mut self, out: &mut dyn Output) {
        self.is_live = false;
        self.subscriptions.down();
        for machine in self.machines() {
            machine.down();
        }
        self.history.give_up("the terminal went away", out);
    }

    /// The terminal's state changed.
    fn becomes(&mut self, health: &Health, now: Stamp, out: &mut dyn Output) {
        self.down(out);
        if let Some(state) = health.state() {
            out.update(Update::Terminal(state));
        }
        if *health != Health::Live {
            return;
        }
        self.is_live = true;
        self.subscriptions.live(now);
        for machine in self.machines() {
            machine.live(now, out);
        }
    }

    fn told(&mut self, health: Health, now: Stamp, out: &mut dyn Output) {
        if self.discover {
            return;
        }
        if let Some(health) = self.pulse.told(health, now.mono) {
            self.becomes(&health, now, out);
        }
    }

    fn text(&mut self, text: &str, now: Stamp, out: &mut dyn Output) {
        match Event::read(text) {
            Ok(event) => self.event(event, now, out),
            Err(NoEvent::Unknown) => out.update(Update::Ignored(Ignored::UnknownTopic)),
            Err(NoEvent::Unreadable) => out.update(Update::Ignored(Ignored::UnknownKind)),
        }
    }

    fn event(&mut self, event: Event<'_>, now: Stamp, out: &mut dyn Output) {
        let payload = event.payload.unwrap_or("{}");
        match event.name {
            "OnAllTrade" => self.trades.event(payload, now, out),
            "OnQuote" => {
                if let Some((market, symbol)) = event.security() {
                    self.books.changed(&market, &symbol, now);
                }
            }
            // A script that was started anew may publish other events than before.
            "PublisherOnline" | events::EVENTS_LOST => {
                self.books.deaf(now);
                self.trades.deaf(now, out);
                self.pulse.doubt(now.mono);
            }
            events::EVENTS_CONNECTED => self.trades.stands(now),
            name => account::tell(name, payload, now, out),
        }
        match event.meaning() {
            Meaning::Nothing => {}
            Meaning::Health(health) => self.told(health, now, out),
            Meaning::NewClass => self.subscriptions.retry(now),
        }
        if !events::is_note(event.name) {
            out.update(Update::Raw(RawEvent { name: event.name, payload: event.payload }));
        }
    }

    fn rpc(&mut self, id: u64, answer: Result<&[u8], &str>, now: Stamp, out: &mut dyn Output) {
        let text = answer.map(reply::text);
        let reply = match &text {
            Ok(text) => Reply::read(text),
            Err(why) => Reply::Lost(why),
        };
        match rpc::part(id) {
            Some(Part::Session) => {
                if let Some(health) = self.pulse.answered(id, &reply, now) {
                    self.becomes(&health, now, out);
                }
                return;
            }
            Some(Part::Subscriptions) => {
                if let Some(symbol) = self.subscriptions.answered(id, &reply, now, out) {
                    self.books.subscribed(symbol, now);
                }
            }
            Some(Part::Questions) => self.questions.answered(id, text.as_deref().ok(), &reply, out),
            Some(part) => {
                if let Some(machine) = self.machine(part) {
                    machine.answered(id, &reply, now, out);
                }
            }
            None => {}
        }
        if matches!(reply, Reply::Lost(_)) {
            self.pulse.doubt(now.mono);
        }
    }

    /// Makes the calls that are due.
    fn work(&mut self, now: Stamp, out: &mut dyn Output) {
        self.pulse.work(now.mono, out);
        self.questions.work(now, out);
        if !self.is_live {
            return;
        }
        self.subscriptions.work(now, out);
        for machine in self.machines() {
            machine.work(now, out);
        }
    }

    fn shut_down(&mut self, out: &mut dyn Output) {
        self.is_over = true;
        self.pulse.disconnected();
        self.subscriptions.shut_down(out);
        for machine in self.machines() {
            machine.shut_down(out);
        }
        self.questions.shut_down(out);
        self.down(out);
    }

    /// What was under way when the session ended is given back when its answer comes.
    fn after_the_end(&mut self, input: Input<'_>, now: Stamp, out: &mut dyn Output) {
        if let Input::Rpc { id, answer } = input
            && matches!(rpc::part(id), Some(Part::Params | Part::History))
        {
            self.rpc(id, answer, now, out);
        }
    }
}

impl Session for QuikSession {
    fn handle(&mut self, input: Input<'_>, now: Stamp, out: &mut dyn Output) {
        if self.is_over {
            return self.after_the_end(input, now, out);
        }
        match input {
            Input::Connected => self.connected(now, out),
            Input::Text(message) | Input::Binary(message) => self.text(&reply::text(message), now, out),
            Input::Rpc { id, answer } => self.rpc(id, answer, now, out),
            Input::Ask { id, question } => {
                self.questions.ask(id, question, (&mut self.params, &mut self.history), now, out);
            }
            Input::Resync(stream) => {
                for machine in self.machines() {
                    machine.resync(stream, now, out);
                }
            }
            Input::Subscribe { id: stream, .. } => {
                let detail = "a terminal's streams are those of the config";
                out.update(Update::Rejected { stream, detail });
            }
            Input::Unsubscribe(stream) => out.update(Update::Unsubscribed(stream)),
            // A terminal has no REST, and no book of it needs one.
            Input::Http { .. } | Input::Image(_) | Input::Initialize | Input::Timeout => {}
            Input::Disconnected => {
                self.pulse.disconnected();
                self.down(out);
            }
            Input::Shutdown => return self.shut_down(out),
        }
        self.work(now, out);
    }

    fn next_timeout(&self) -> Option<Timer> {
        let always = [self.pulse.next_timeout(), self.questions.next_timeout()];
        let live = || {
            let subscriptions = self.subscriptions.next_timeout();
            let machines: [&dyn Machine; 4] = [&self.books, &self.trades, &self.params, &self.history];
            machines.into_iter().filter_map(Machine::next_timeout).chain(subscriptions).min()
        };
        let live = if self.is_live { live() } else { None };
        always.into_iter().flatten().chain(live).min()
    }
}
