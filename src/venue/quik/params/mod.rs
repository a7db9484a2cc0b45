//! Current parameters, which QUIK does not push: each is requested once and then polled at its own period, and what
//! changed is published as the instrument's ticker and best bid and offer.

mod board;
#[cfg(test)]
mod tests;
mod turns;
mod value;

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use serde_json::json;

use self::board::Board;
use self::turns::Turns;
use self::value::Reading;
use super::reply::Reply;
use super::rpc::{Caller, Machine, Part};
use crate::model::{Mono, Stamp, Stream, StreamId};
use crate::venue::{Host, Ignored, Output, TerminalSpec, Timer, Update, Urgency};

/// Calls on their way at one time. At a millisecond a call this is more than any terminal answers; with a short budget
/// it bounds what other background calls wait behind.
const IN_FLIGHT: usize = 64;
/// An unknown parameter is asked for again this late: it may be one that the instrument gets later.
const RETRY_UNKNOWN: Duration = Duration::from_secs(60);
/// How often losses are told to the feed's counters and the pace is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Periods stretched by so many percent are told; below the second figure all is well again.
const LAGGING: u64 = 120;
const KEEPING_UP: u64 = 105;
/// Places of calls: ids of the two callers are told apart by them.
const POLL: usize = 0;
const CANCEL: usize = 1;
/// What the best bid and offer are made of; polled at this period where the config names none of them.
const QUOTE: [&str; 4] = ["BID", "BIDDEPTH", "OFFER", "OFFERDEPTH"];
const QUOTE_PERIOD: Duration = Duration::from_millis(500);

/// One parameter of one instrument.
#[derive(Debug)]
struct Entry {
    board: usize,
    name: Arc<str>,
    period: Duration,
    /// `ParamRequest` was answered since the terminal came up.
    requested: bool,
    /// `ParamRequest` was sent and not taken back: the terminal may hold it.
    held: bool,
    /// A call of it is on its way.
    busy: bool,
    /// It was unknown; not to be asked for before this.
    not_before: Option<Mono>,
}

/// A call on its way.
#[derive(Clone, Debug)]
struct Call {
    kind: Kind,
    board: usize,
    name: Arc<str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Request,
    Poll,
    Cancel,
}

/// The parameters of one feed.
#[derive(Debug)]
pub(super) struct Params {
    class: String,
    caller: Caller,
    /// Cancellations go before everything else: they are what is left to do at the end.
    canceller: Caller,
    calls_per_second: u32,
    boards: Vec<Board>,
    /// What is polled for every symbol.
    wanted: Vec<(String, Duration)>,
    entries: Vec<Entry>,
    places: HashMap<(usize, Arc<str>), usize>,
    turns: Turns,
    /// Entries to be polled at once, ahead of their turns.
    starting: VecDeque<usize>,
    calls: HashMap<u64, Call>,
    live: bool,
    closing: bool,
    look_at: Mono,
    lagging: bool,
}

impl Params {
    /// The parameters of every symbol that has a `ticker` or `bbo` stream.
    pub(super) fn new(class: &str, streams: &[Stream], terminal: &TerminalSpec) -> Self {
        let caller = |urgency| Caller::new(Part::Params, Host::Data, urgency, terminal.call_timeout);
        let mut params = Self {
            class: class.to_owned(),
            caller: caller(Urgency::Background),
            canceller: caller(Urgency::Control),
            calls_per_second: terminal.calls_per_second,
            boards: board::of(streams),
            wanted: Vec::new(),
            entries: Vec::new(),
            places: HashMap::new(),
            turns: Turns::default(),
            starting: VecDeque::new(),
            calls: HashMap::new(),
            live: false,
            closing: false,
            look_at: Mono::default(),
            lagging: false,
        };
        params.arrange(&terminal.params);
        params
    }

    /// Makes the list of entries; those that stay keep what is known of them. The dropped ones are returned.
    fn arrange(&mut self, wanted: &[(String, Duration)]) -> Vec<Entry> {
        self.wanted = wanted.to_vec();
        let mut before: HashMap<(usize, Arc<str>), Entry> =
            self.entries.drain(..).map(|entry| ((entry.board, Arc::clone(&entry.name)), entry)).collect();
        for (at, board) in self.boards.iter_mut().enumerate() {
            let names = names_of(board, wanted);
            board.arrange(names.iter().map(|(name, _, shown)| (Arc::clone(name), *shown)).collect());
            for (name, period, _) in names {
                let kept = before.remove(&(at, Arc::clone(&name)));
                let fresh =
                    Entry { board: at, name, period, requested: false, held: false, busy: false, not_before: None };
                self.entries.push(kept.map_or(fresh, |kept| Entry { period, ..kept }));
            }
        }
        let place = |(at, entry): (usize, &Entry)| ((entry.board, Arc::clone(&entry.name)), at);
        self.places = self.entries.iter().enumerate().map(place).collect();
        let mut dropped: Vec<Entry> = before.into_values().collect();
        dropped.sort_by(|a, b| (a.board, &a.name).cmp(&(b.board, &b.name)));
        dropped
    }

    /// Polls these parameters from now on, fewer or more than before: the dropped ones are cancelled, the others go on.
    pub(super) fn set_params(&mut self, wanted: &[(String, Duration)], now: Stamp, out: &mut dyn Output) {
        for entry in self.arrange(wanted).into_iter().filter(|entry| entry.held) {
            self.cancel(entry.board, &entry.name, out);
        }
        if self.live {
            self.starting = (0..self.entries.len()).filter(|at| !self.entries[*at].requested).collect();
            self.turns = Turns::new(&self.periods(), now.mono);
            self.pump(now, out);
        }
    }

    /// What is polled for every symbol, each at its period.
    pub(super) fn wanted(&self) -> &[(String, Duration)] {
        &self.wanted
    }

    fn periods(&self) -> Vec<Duration> {
        self.entries.iter().map(|entry| entry.period).collect()
    }

    fn look(&mut self, out: &mut dyn Output) {
        let (lost, pace) = (self.turns.take_lost(), self.turns.pace());
        if lost > 0 {
            out.update(Update::Late { polls: lost });
        }
        if pace >= LAGGING && !self.lagging {
            self.lagging = true;
            let detail = format!(
                "parameters are polled {}.{:02} times as slowly as configured: they need {} calls a second of the {} \
                 that the whole terminal is given; lengthen their periods, or raise calls_per_second",
                pace / 100,
                pace % 100,
                self.turns.calls_a_second(),
                self.calls_per_second,
            );
            out.update(Update::Notice { stream: None, detail: &detail });
        } else if pace <= KEEPING_UP && self.lagging {
            self.lagging = false;
            out.update(Update::Notice { stream: None, detail: "" });
        }
    }

    fn pump(&mut self, now: Stamp, out: &mut dyn Output) {
        while self.live && self.has_room() {
            let Some(entry) = self.starting.pop_front() else { break };
            self.turn(entry, now, out);
        }
        if !self.starting.is_empty() {
            return self.turns.hold(now.mono);
        }
        while let Some(entry) = self.turns.take(now.mono, self.has_room()) {
            self.turn(entry, now, out);
        }
    }

    fn has_room(&self) -> bool {
        self.calls.len() < IN_FLIGHT
    }

    /// One entry's turn.
    fn turn(&mut self, at: usize, now: Stamp, out: &mut dyn Output) {
        let Some(entry) = self.entries.get(at) else { return };
        if entry.not_before.is_some_and(|at| now.mono < at) {
            return;
        }
        if entry.busy {
            return self.turns.left_out();
        }
        let kind = if entry.requested { Kind::Poll } else { Kind::Request };
        self.call_entry(at, kind, out);
    }

    fn call_entry(&mut self, at: usize, kind: Kind, out: &mut dyn Output) {
        let Some(entry) = self.entries.get_mut(at) else { return };
        entry.busy = true;
        entry.held |= kind == Kind::Request;
        let (board, name) = (entry.board, Arc::clone(&entry.name));
        self.call(kind, board, &name, out);
    }

    fn cancel(&mut self, board: usize, name: &Arc<str>, out: &mut dyn Output) {
        self.call(Kind::Cancel, board, name, out);
    }

    fn call(&mut self, kind: Kind, board: usize, name: &Arc<str>, out: &mut dyn Output) {
        let Some(symbol) = self.boards.get(board).map(Board::symbol) else { return };
        // The terminal spells the argument in two ways.
        let (method, argument) = match kind {
            Kind::Request => ("ParamRequest", "db_name"),
            Kind::Poll => ("getParamEx2", "param_name"),
            Kind::Cancel => ("CancelParamRequest", "db_name"),
        };
        let args = json!({"class_code": self.class, "sec_code": symbol, argument: name.as_ref()});
        if kind == Kind::Cancel {
            // Nobody waits for it, and it takes no place among the calls on their way.
            self.canceller.call(CANCEL, method, &args, out);
        } else {
            let id = self.caller.call(POLL, method, &args, out);
            self.calls.insert(id, Call { kind, board, name: Arc::clone(name) });
        }
    }

    fn polled(&mut self, at: usize, reply: &Reply<'_>, now: Stamp, out: &mut dyn Output) {
        let reading = match reply {
            Reply::Result(fields) => value::reading(&fields.object("param_ex")),
            Reply::Refused(_) => Reading::Unknown,
            Reply::Unreadable(_) => return out.update(Update::Ignored(Ignored::UnknownKind)),
            Reply::Lost(_) => return,
        };
        let entry = &mut self.entries[at];
        entry.not_before = (reading == Reading::Unknown).then(|| now.mono.after(RETRY_UNKNOWN));
        self.boards[entry.board].read(&entry.name, reading, now, out);
    }
}

impl Machine for Params {
    /// The terminal is up and connected: everything is requested and polled anew.
    fn live(&mut self, now: Stamp, out: &mut dyn Output) {
        self.down();
        self.live = !self.closing;
        for entry in &mut self.entries {
            entry.requested = false;
            entry.not_before = None;
        }
        self.boards.iter_mut().for_each(Board::forget);
        self.starting = (0..self.entries.len()).collect();
        self.turns = Turns::new(&self.periods(), now.mono);
        self.look_at = now.mono.after(LOOK_EVERY);
        self.lagging = false;
        self.pump(now, out);
    }

    /// The terminal is gone, or not connected: nothing is asked, and answers still to come are of no use.
    fn down(&mut self) {
        self.live = false;
        self.calls.clear();
        self.starting.clear();
        self.entries.iter_mut().for_each(|entry| entry.busy = false);
    }

    /// The stream is doubted: its next poll is published even if nothing changed.
    fn resync(&mut self, stream: StreamId, _now: Stamp, _out: &mut dyn Output) {
        self.boards.iter_mut().filter(|board| board.has(stream)).for_each(Board::publish_anyway);
    }

    /// Takes back every request at the terminal.
    fn shut_down(&mut self, out: &mut dyn Output) {
        self.live = false;
        self.closing = true;
        let held: Vec<(usize, Arc<str>)> = self
            .entries
            .iter_mut()
            .filter_map(|entry| std::mem::take(&mut entry.held).then(|| (entry.board, Arc::clone(&entry.name))))
            .collect();
        for (board, name) in held {
            self.cancel(board, &name, out);
        }
    }

    fn next_timeout(&self) -> Option<Timer> {
        let timer = |at| Timer { at, why: "parameters" };
        let turn = self.turns.next().filter(|_| self.starting.is_empty());
        self.live.then(|| turn.into_iter().chain([self.look_at]).min().map(timer)).flatten()
    }

    /// Sends what is due and tells of what could not be kept up with.
    fn work(&mut self, now: Stamp, out: &mut dyn Output) {
        if !self.live {
            return;
        }
        self.pump(now, out);
        if self.look_at <= now.mono {
            self.look_at = now.mono.after(LOOK_EVERY);
            self.look(out);
        }
    }

    fn answered(&mut self, id: u64, reply: &Reply<'_>, now: Stamp, out: &mut dyn Output) {
        let Some(call) = self.calls.remove(&id) else { return };
        let place = self.places.get(&(call.board, Arc::clone(&call.name))).copied();
        let Some(at) = place.filter(|_| !self.closing) else {
            // It was dropped, or everything was, while its request was on its way and may have been overtaken.
            if call.kind == Kind::Request {
                self.cancel(call.board, &call.name, out);
            }
            return;
        };
        match call.kind {
            // A refusal is not the last word: the poll tells what is the matter.
            Kind::Request if !matches!(reply, Reply::Lost(_)) => {
                self.entries[at].requested = true;
                self.call_entry(at, Kind::Poll, out);
            }
            Kind::Poll => {
                self.entries[at].busy = false;
                self.polled(at, reply, now, out);
            }
            Kind::Request | Kind::Cancel => self.entries[at].busy = false,
        }
    }
}

/// What is polled for an instrument: name, period, whether it is of the ticker. A name given twice, in whatever case,
/// counts once.
fn names_of(board: &Board, wanted: &[(String, Duration)]) -> Vec<(Arc<str>, Duration, bool)> {
    let mut names: Vec<(Arc<str>, Duration, bool)> = Vec::new();
    let has =
        |names: &[(Arc<str>, Duration, bool)], name: &str| names.iter().any(|(n, ..)| n.eq_ignore_ascii_case(name));
    let is_quote = |name: &str| board.has_bbo() && QUOTE.iter().any(|quote| quote.eq_ignore_ascii_case(name));
    for (name, period) in wanted {
        if !has(&names, name) && (board.has_ticker() || is_quote(name)) {
            names.push((name.as_str().into(), *period, board.has_ticker()));
        }
    }
    if board.has_bbo() {
        let period = names.iter().filter(|(name, ..)| is_quote(name)).map(|(_, period, _)| *period).min();
        for name in QUOTE {
            if !has(&names, name) {
                names.push((name.into(), period.unwrap_or(QUOTE_PERIOD), false));
            }
        }
    }
    names
}
