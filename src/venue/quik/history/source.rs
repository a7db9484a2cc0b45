//! One datasource of the terminal: made, waited for until its size stands still, read bar by bar, and read on later.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::super::reply::{Integer, Refusal, Reply};
use super::super::time;
use super::bars::{Bar, NUMBERS, Span, Tail};
use super::calls::{Call, Calls, What};
use crate::model::{Decimal, Mono};
use crate::venue::Output;

/// How long between two looks at a size that is to stand still.
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// A datasource that is still empty after this has no history.
const EMPTY_MAX: Duration = Duration::from_secs(10);
/// A datasource that still grows after this is taken as it is; what comes later is read later.
const GROWTH_MAX: Duration = Duration::from_secs(30);
/// Bars read in one go: what waits for the newest one waits for these at most.
pub(super) const CHUNK: u64 = 32;
/// How often a series that changed under the reading is begun anew.
const RESTARTS_MAX: u8 = 3;

/// Why there is no history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The terminal does not know the security, or gives no datasource for it.
    UnknownSecurity(String),
    /// There is a datasource, and it stays empty.
    NoHistory,
    /// The terminal's answers make no sense, or it keeps losing the datasource.
    Failed(String),
    /// The terminal does not answer, or is not connected.
    Down(String),
}

/// What an answer led to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Progress {
    /// There is more to do.
    Going,
    /// The newest bars are as in the terminal now.
    Renewed,
    /// Older bars were added.
    Extended,
    /// The load is over, without success.
    Failed(Failure),
}

#[derive(Clone, Debug, Default)]
enum Phase {
    #[default]
    Idle,
    Creating,
    Sizing(Sizing),
    Peeking,
    Reading(Reading),
}

/// Waiting for the size.
#[derive(Clone, Debug)]
struct Sizing {
    since: Mono,
    /// The size last seen, and when.
    seen: Option<(u64, Mono)>,
    /// When to look; `None` while a look is under way.
    look_at: Option<Mono>,
    /// Whether it was asked if the security is known at all.
    checked: bool,
}

/// Reading the bars `lo..=hi`.
#[derive(Clone, Debug)]
struct Reading {
    older: bool,
    lo: u64,
    hi: u64,
    next: u64,
    parts: HashMap<u64, Parts>,
    done: BTreeMap<u64, Bar>,
}

/// A bar of which some answers have come.
#[derive(Clone, Copy, Debug, Default)]
struct Parts {
    time: Option<u64>,
    numbers: [Option<Decimal>; NUMBERS],
}

/// The first calls of a bar ask for its open, close and volume; the others for its high and low, after the close is
/// known: so a bar that is forming never closes outside of its range.
const FIRST: [usize; 3] = [0, 3, 4];
const SECOND: [usize; 2] = [1, 2];
/// Calls of a bar that are under way at one time, at most.
pub(super) const CALLS_A_BAR: usize = 1 + FIRST.len();

/// One instrument and span.
#[derive(Debug)]
pub(super) struct Source {
    place: usize,
    pub(super) symbol: String,
    pub(super) span: Span,
    pub(super) tail: Tail,
    /// Bars the datasource has, as far as known.
    pub(super) size: u64,
    uuid: Option<String>,
    /// The size stood still once: from now on it only grows by new bars.
    settled: bool,
    phase: Phase,
    load: u64,
    /// Bars to begin with.
    depth: u64,
    /// If only the last bar's volume need be looked at.
    peek: bool,
    /// A candle stream needs it: it stays open when it is empty.
    pub(super) pinned: bool,
    /// It was empty for long; while it is, one look at it is enough.
    was_empty: bool,
    /// The datasource was made anew in this load.
    recreated: bool,
    restarts: u8,
}

impl Source {
    pub(super) fn new(place: usize, symbol: &str, span: Span) -> Self {
        Self {
            place,
            symbol: symbol.to_owned(),
            span,
            tail: Tail::default(),
            size: 0,
            uuid: None,
            settled: false,
            phase: Phase::Idle,
            load: 0,
            depth: CHUNK,
            peek: false,
            pinned: false,
            was_empty: false,
            recreated: false,
            restarts: 0,
        }
    }

    pub(super) const fn is_idle(&self) -> bool {
        matches!(self.phase, Phase::Idle)
    }

    /// Whether the terminal holds a datasource for it, or is making one.
    pub(super) const fn is_open(&self) -> bool {
        self.uuid.is_some() || matches!(self.phase, Phase::Creating)
    }

    /// Bars known and being read, for a progress bar.
    pub(super) fn bars_read(&self) -> usize {
        self.tail.len() + if let Phase::Reading(reading) = &self.phase { reading.done.len() } else { 0 }
    }

    fn call(&self, what: What) -> Call {
        Call { place: self.place, load: self.load, what }
    }

    /// Begins to bring the newest bars up to date: makes the datasource if there is none, and begins with `depth` bars
    /// if there are none. With `peek` an unchanged volume of the last bar will do.
    pub(super) fn renew(&mut self, depth: u64, peek: bool, now: Mono, calls: &mut Calls, out: &mut dyn Output) {
        self.load = calls.next_load();
        self.depth = depth.clamp(1, CHUNK);
        self.peek = peek;
        self.recreated = false;
        self.restarts = 0;
        if self.uuid.is_none() {
            return self.create(calls, out);
        }
        self.size_up(now, calls, out);
    }

    fn create(&mut self, calls: &mut Calls, out: &mut dyn Output) {
        self.phase = Phase::Creating;
        self.settled = false;
        self.tail.clear();
        calls.create(self.call(What::Create), &self.symbol, self.span.theirs, out);
    }

    fn size_up(&mut self, now: Mono, calls: &mut Calls, out: &mut dyn Output) {
        self.phase = Phase::Sizing(Sizing { since: now, seen: None, look_at: Some(now), checked: false });
        self.work(now, calls, out);
    }

    /// Begins to read about so many older bars, if there are any.
    pub(super) fn extend(&mut self, bars: u64, calls: &mut Calls) {
        let first = self.tail.first();
        if first > 1 {
            self.load = calls.next_load();
            self.recreated = false;
            self.read(first.saturating_sub(bars.clamp(1, CHUNK)).max(1), first - 1, true);
        }
    }

    fn read(&mut self, lo: u64, hi: u64, older: bool) {
        let (parts, done) = (HashMap::new(), BTreeMap::new());
        self.phase = Phase::Reading(Reading { older, lo, hi, next: lo, parts, done });
    }

    /// When [`Self::work`] is wanted.
    pub(super) fn next_timeout(&self) -> Option<Mono> {
        if let Phase::Sizing(sizing) = &self.phase { sizing.look_at } else { None }
    }

    /// Looks at the size if it is time to.
    pub(super) fn work(&mut self, now: Mono, calls: &mut Calls, out: &mut dyn Output) {
        let Phase::Sizing(sizing) = &mut self.phase else { return };
        if sizing.look_at.is_some_and(|at| at <= now) {
            sizing.look_at = None;
            self.ask(What::Size, calls, out);
        }
    }

    fn ask(&self, what: What, calls: &mut Calls, out: &mut dyn Output) {
        if let Some(uuid) = &self.uuid {
            calls.ask(self.call(what), uuid, self.tail.last(), out);
        }
    }

    /// Whether there are bars to read whose calls are not made yet.
    pub(super) const fn has_bars_to_begin(&self) -> bool {
        matches!(&self.phase, Phase::Reading(reading) if reading.next <= reading.hi)
    }

    /// Makes the first calls of the next bar to read; false if there is none left.
    pub(super) fn begin_bar(&mut self, calls: &mut Calls, out: &mut dyn Output) -> bool {
        let Phase::Reading(reading) = &mut self.phase else { return false };
        if reading.next > reading.hi {
            return false;
        }
        let index = reading.next;
        reading.next += 1;
        reading.parts.insert(index, Parts::default());
        self.ask(What::Time(index), calls, out);
        for number in FIRST {
            self.ask(What::Number(index, number), calls, out);
        }
        true
    }

    /// Gives the load up. What is known stays, and so does the datasource.
    pub(super) fn abandon(&mut self, calls: &mut Calls) {
        self.phase = Phase::Idle;
        self.load = calls.next_load();
    }

    /// Gives the datasource back.
    pub(super) fn close(&mut self, calls: &mut Calls, out: &mut dyn Output) {
        self.abandon(calls);
        self.settled = false;
        self.was_empty = false;
        self.size = 0;
        self.tail.clear();
        if let Some(uuid) = self.uuid.take() {
            calls.close(&uuid, out);
        }
    }

    /// Takes the answer to one of its calls.
    pub(super) fn answered(
        &mut self,
        call: Call,
        reply: &Reply<'_>,
        now: Mono,
        calls: &mut Calls,
        out: &mut dyn Output,
    ) -> Progress {
        if call.load != self.load {
            close_late(call, reply, calls, out);
            return Progress::Going;
        }
        let progress = match reply {
            Reply::Lost(why) => Progress::Failed(Failure::Down((*why).to_owned())),
            Reply::Unreadable(why) => Progress::Failed(Failure::Failed(why.clone())),
            Reply::Refused(Refusal::Failed) if !matches!(call.what, What::Create | What::Check) => {
                self.lost("the terminal keeps losing the datasource", calls, out)
            }
            _ => match call.what {
                What::Create => self.created(reply, now, calls, out),
                What::Check => self.checked(reply),
                _ => match reply.trouble() {
                    Some(trouble) => Progress::Failed(Failure::Failed(trouble)),
                    None => self.asked(call.what, reply, now, calls, out),
                },
            },
        };
        match &progress {
            Progress::Going => {}
            Progress::Renewed | Progress::Extended => self.abandon(calls),
            Progress::Failed(Failure::NoHistory) if self.pinned => {
                self.was_empty = true;
                self.abandon(calls);
            }
            Progress::Failed(Failure::Down(_)) => self.abandon(calls),
            Progress::Failed(_) => self.close(calls, out),
        }
        progress
    }

    /// The datasource is gone, as after a start of the script: another is made, once.
    fn lost(&mut self, why: &str, calls: &mut Calls, out: &mut dyn Output) -> Progress {
        if std::mem::replace(&mut self.recreated, true) {
            return Progress::Failed(Failure::Failed(why.to_owned()));
        }
        // It may be there after all.
        self.close(calls, out);
        self.create(calls, out);
        Progress::Going
    }

    fn created(&mut self, reply: &Reply<'_>, now: Mono, calls: &mut Calls, out: &mut dyn Output) -> Progress {
        let Some(fields) = reply.result() else {
            let trouble = reply.trouble().unwrap_or_default();
            return Progress::Failed(Failure::Failed(format!("no datasource of {}: {trouble}", self.span.theirs)));
        };
        if let Some(uuid) = uuid_of(reply).filter(|_| !fields.is_true("is_error")) {
            self.uuid = Some(uuid);
            self.size_up(now, calls, out);
            return Progress::Going;
        }
        let words = fields.text("error_desc").filter(|text| !text.trim().is_empty());
        let words = words.map_or_else(|| "the terminal gives no datasource".to_owned(), |text| text.trim().to_owned());
        Progress::Failed(Failure::UnknownSecurity(words.chars().take(300).collect()))
    }

    fn checked(&self, reply: &Reply<'_>) -> Progress {
        let unknown = reply.result().is_some_and(|fields| fields.object("security_info").is_empty());
        let empty = matches!(&self.phase, Phase::Sizing(sizing) if sizing.seen.is_none_or(|(size, _)| size == 0));
        if unknown && empty {
            let words = "the terminal does not know the security".to_owned();
            return Progress::Failed(Failure::UnknownSecurity(words));
        }
        Progress::Going
    }

    fn asked(&mut self, what: What, reply: &Reply<'_>, now: Mono, calls: &mut Calls, out: &mut dyn Output) -> Progress {
        let Some(fields) = reply.result() else { return Progress::Going };
        match what {
            What::Size => {
                match fields.integer("value").and_then(Integer::exact).and_then(|size| size.try_into().ok()) {
                    Some(size) => self.sized(size, now, calls, out),
                    None => Progress::Failed(Failure::Failed("the datasource has no size".to_owned())),
                }
            }
            What::Time(index) => match fields.get("time").and_then(time::datetime) {
                Some(time) => self.part(index, now, calls, out, |parts| parts.time = Some(time.0)),
                None => Progress::Failed(Failure::Failed(format!("bar {index} has no time"))),
            },
            What::Number(index, number) => match fields.decimal("value") {
                Some(value) => self.part(index, now, calls, out, |parts| parts.numbers[number] = Some(value)),
                None => Progress::Failed(Failure::Failed(format!("bar {index} has a value that is no number"))),
            },
            What::Peek => {
                let same = self.tail.back().map(Bar::volume) == fields.decimal("value");
                if same {
                    return Progress::Renewed;
                }
                self.read(self.tail.last(), self.size, false);
                Progress::Going
            }
            What::Create | What::Check => Progress::Going,
        }
    }

    fn sized(&mut self, size: u64, now: Mono, calls: &mut Calls, out: &mut dyn Output) -> Progress {
        self.size = size;
        if !self.settled {
            return self.settle(size, now, calls, out);
        }
        if size == 0 {
            return self.lost("the datasource was emptied", calls, out);
        }
        if size < self.tail.last() {
            return self.restart(now, calls, out);
        }
        if size - self.tail.last() > CHUNK.max(self.depth) {
            // Reading the newest anew is less than reading all that came.
            self.tail.clear();
        }
        if self.tail.is_empty() {
            self.read(size.saturating_sub(self.depth - 1).max(1), size, false);
        } else if self.peek && size == self.tail.last() && self.tail.back().is_some_and(|bar| !bar.volume().is_zero()) {
            self.phase = Phase::Peeking;
            self.ask(What::Peek, calls, out);
        } else {
            self.read(self.tail.last(), size, false);
        }
        Progress::Going
    }

    /// Waits until the datasource has bars and as many as a moment ago.
    fn settle(&mut self, size: u64, now: Mono, calls: &mut Calls, out: &mut dyn Output) -> Progress {
        let Phase::Sizing(sizing) = &mut self.phase else { return Progress::Going };
        let waited = now.since(sizing.since);
        let stands = sizing.seen.is_some_and(|(seen, at)| seen == size && now.since(at) >= LOOK_EVERY);
        if size > 0 && (stands || waited >= GROWTH_MAX) {
            self.settled = true;
            return self.sized(size, now, calls, out);
        }
        if size == 0 && (self.was_empty || waited >= EMPTY_MAX) {
            return Progress::Failed(Failure::NoHistory);
        }
        self.was_empty = false;
        let check = size == 0 && !std::mem::replace(&mut sizing.checked, true);
        if sizing.seen.is_none_or(|(seen, _)| seen != size) {
            sizing.seen = Some((size, now));
        }
        sizing.look_at = Some(now.after(LOOK_EVERY));
        if check {
            calls.check(self.call(What::Check), &self.symbol, out);
        }
        Progress::Going
    }

    /// The series is not the one it was: it is read anew, from its size on.
    fn restart(&mut self, now: Mono, calls: &mut Calls, out: &mut dyn Output) -> Progress {
        self.restarts += 1;
        if self.restarts > RESTARTS_MAX {
            let why = "the series changes while it is read, again and again";
            return Progress::Failed(Failure::Failed(why.to_owned()));
        }
        self.tail.clear();
        self.settled = false;
        self.load = calls.next_load();
        self.size_up(now, calls, out);
        Progress::Going
    }

    /// A part of a bar came.
    fn part(
        &mut self,
        index: u64,
        now: Mono,
        calls: &mut Calls,
        out: &mut dyn Output,
        set: impl FnOnce(&mut Parts),
    ) -> Progress {
        let Phase::Reading(reading) = &mut self.phase else { return Progress::Going };
        let Some(parts) = reading.parts.get_mut(&index) else { return Progress::Going };
        set(parts);
        let [open, high, low, close, volume] = parts.numbers;
        let (Some(time), Some(open), Some(close), Some(volume)) = (parts.time, open, close, volume) else {
            return Progress::Going;
        };
        let (Some(high), Some(low)) = (high, low) else {
            // The answer that completed the first calls is followed by the second ones.
            if high.is_none() && low.is_none() {
                for number in SECOND {
                    self.ask(What::Number(index, number), calls, out);
                }
            }
            return Progress::Going;
        };
        reading.parts.remove(&index);
        reading.done.insert(index, Bar::new(time, [open, high, low, close, volume]));
        self.finish(now, calls, out)
    }

    fn finish(&mut self, now: Mono, calls: &mut Calls, out: &mut dyn Output) -> Progress {
        let Phase::Reading(reading) = &self.phase else { return Progress::Going };
        if reading.done.len() as u64 != reading.hi - reading.lo + 1 {
            return Progress::Going;
        }
        let bars: Vec<Bar> = reading.done.values().copied().collect();
        let (lo, older) = (reading.lo, reading.older);
        let fits = if older { self.tail.extend(lo, &bars, self.span) } else { self.tail.renew(lo, &bars, self.span) };
        match (fits, older) {
            (true, true) => Progress::Extended,
            (true, false) => Progress::Renewed,
            (false, _) => self.restart(now, calls, out),
        }
    }
}

/// Closes a datasource that came when its load was over: nobody else will.
pub(super) fn close_late(call: Call, reply: &Reply<'_>, calls: &mut Calls, out: &mut dyn Output) {
    if call.what == What::Create
        && let Some(uuid) = uuid_of(reply)
    {
        calls.close(&uuid, out);
    }
}

/// The datasource of an answer to `CreateDataSource`.
fn uuid_of(reply: &Reply<'_>) -> Option<String> {
    let uuid = reply.result()?.text("datasource_uuid")?;
    (!uuid.is_empty() && uuid.len() <= 128).then(|| uuid.into_owned())
}
