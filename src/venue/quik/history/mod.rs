//! History: candles of any instrument and span, kept in memory and read on from where they end, for questions and for
//! subscribed candle streams.

mod bars;
mod calls;
mod candles;
mod question;
mod slot;
mod source;
#[cfg(test)]
mod tests;

use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use self::bars::Span;
use self::calls::Calls;
use self::candles::Candles;
use self::question::{Question, loading, refusal};
use self::slot::{Next, Slot, Waiter};
use self::source::{CALLS_A_BAR, Failure, Progress};
use super::reply::Reply;
use super::rpc::Machine;
use super::schedule::Schedule;
use crate::model::{Channel, Mono, Stamp, Stream, StreamId};
use crate::venue::{Output, TerminalSpec, Timer, Update};

/// Bars kept of all series together, in 56 bytes each.
const ALL_BARS_MAX: usize = 1_000_000;
/// Most series known at one time, most of them waiting for a datasource.
const SERIES_MAX: usize = 2_000;
/// What could not be done at its time is tried again after this.
const TRY_AGAIN: Duration = Duration::from_millis(50);
/// How often the last candle of a stream is looked at.
const POLL_EVERY: Duration = Duration::from_secs(1);
/// When a stream whose load failed is tried again: without bars, without sense, without the security.
const RETRY_EMPTY: Duration = Duration::from_secs(5);
const RETRY_FAILED: Duration = Duration::from_secs(10);
const RETRY_UNKNOWN: Duration = Duration::from_secs(600);

/// All series of one feed.
#[derive(Debug)]
pub(super) struct History {
    calls: Calls,
    fresh: Duration,
    sources: usize,
    slots: Vec<Option<Slot>>,
    places: HashMap<(String, Span), usize>,
    /// When each place is to be looked at.
    due: Schedule,
    /// Places with bars to read, one after the other.
    reading: VecDeque<usize>,
    /// Places that wait for a datasource to become free.
    queued: VecDeque<usize>,
    live: bool,
    closing: bool,
}

impl History {
    pub(super) fn new(class: &str, streams: &[Stream], terminal: &TerminalSpec) -> Self {
        let mut history = Self {
            calls: Calls::new(class, terminal.call_timeout),
            fresh: terminal.history_fresh,
            sources: terminal.history_sources.max(1),
            slots: Vec::new(),
            places: HashMap::new(),
            due: Schedule::default(),
            reading: VecDeque::new(),
            queued: VecDeque::new(),
            live: false,
            closing: false,
        };
        for (id, stream) in (0..).map(StreamId).zip(streams) {
            let Channel::Candle(interval) = stream.channel else { continue };
            let Some(span) = Span::of(interval) else { continue };
            let place = history.place(&stream.symbol, span);
            if let Some(slot) = &mut history.slots[place] {
                slot.source.pinned = true;
                slot.streams.push(Candles::new(id, interval));
            }
        }
        history
    }

    /// The place of a series; made if there is none.
    fn place(&mut self, symbol: &str, span: Span) -> usize {
        let key = (symbol.to_owned(), span);
        if let Some(place) = self.places.get(&key) {
            return *place;
        }
        let place = self.slots.iter().position(Option::is_none).unwrap_or_else(|| {
            self.slots.push(None);
            self.slots.len() - 1
        });
        self.slots[place] = Some(Slot::new(place, symbol, span));
        self.places.insert(key, place);
        place
    }

    /// Questions that wait for an answer.
    pub(super) fn waiting(&self) -> usize {
        self.slots.iter().flatten().map(|slot| slot.waiters.len()).sum()
    }

    /// Takes a question; it is answered now or within the time it waits.
    pub(super) fn ask(&mut self, id: u64, text: &str, now: Stamp, out: &mut dyn Output) {
        let question = match Question::read(text) {
            Ok(question) => question,
            Err(error) => return out.answer(id, refusal("bad_request", &error)),
        };
        let Question { symbol, span, want, wait_ms } = question;
        if !self.live {
            let failure = Failure::Down("the terminal does not answer, or has no connection to its broker".to_owned());
            return out.answer(id, failure.answer(&symbol, span));
        }
        if self.places.len() >= SERIES_MAX && !self.places.contains_key(&(symbol.clone(), span)) {
            return out.answer(id, loading(&symbol, span, 0, 0, Some("too many series are being loaded")));
        }
        let place = self.place(&symbol, span);
        let deadline = now.mono.after(Duration::from_millis(wait_ms));
        if let Some(slot) = &mut self.slots[place] {
            slot.used_at = now.mono;
            slot.waiters.push(Waiter { id, want, asked_at: now.mono, deadline });
        }
        self.advance(place, now, out);
        self.begin_bars(out);
    }

    /// The terminal is gone: what waits is told why. Datasources may still be there when it comes back.
    pub(super) fn give_up(&mut self, why: &str, out: &mut dyn Output) {
        let failure = Failure::Down(why.to_owned());
        self.live = false;
        self.due.clear();
        self.reading.clear();
        self.queued.clear();
        self.calls.forget();
        for slot in self.slots.iter_mut().flatten() {
            slot.source.abandon(&mut self.calls);
            slot.fail(&failure, out);
        }
    }

    /// Whatever can be done at this place now.
    fn advance(&mut self, place: usize, now: Stamp, out: &mut dyn Output) {
        let full = self.is_full();
        let Some(slot) = self.slots.get_mut(place).and_then(Option::as_mut) else { return };
        slot.source.work(now.mono, &mut self.calls, out);
        slot.answer_ready(now.mono, self.fresh, full, out);
        if slot.source.is_idle() {
            match slot.next(now.mono, self.fresh, full) {
                Next::Rest => {}
                Next::Extend(bars) => {
                    slot.source.extend(bars, &mut self.calls);
                    self.reading.push_back(place);
                }
                Next::Renew => self.renew(place, now, out),
            }
        }
        let queued = self.queued.contains(&place);
        let Some(slot) = self.slots.get_mut(place).and_then(Option::as_mut) else { return };
        slot.expire(now.mono, queued, self.sources, out);
        if slot.is_useless(now.mono) {
            self.free(place);
        } else if let Some(at) = slot.next_timeout(now.mono) {
            self.due.set(place, if at <= now.mono { now.mono.after(TRY_AGAIN) } else { at });
        }
    }

    fn renew(&mut self, place: usize, now: Stamp, out: &mut dyn Output) {
        let is_open = |slot: &Slot| slot.source.is_open();
        let must_open = self.slots[place].as_ref().is_some_and(|slot| !is_open(slot));
        if must_open && self.slots.iter().flatten().filter(|slot| is_open(slot)).count() >= self.sources {
            match self.least_used() {
                Some(victim) => self.close(victim, out),
                None => return self.queue(place, out),
            }
        }
        self.queued.retain(|queued| *queued != place);
        if must_open {
            self.calls.close_again(out);
        }
        let Some(slot) = self.slots[place].as_mut() else { return };
        let (depth, peek) = (slot.depth(), slot.only_polls());
        slot.source.renew(depth, peek, now.mono, &mut self.calls, out);
    }

    /// The series waits for a datasource, if one can ever become free.
    fn queue(&mut self, place: usize, out: &mut dyn Output) {
        let pinned = self.slots.iter().flatten().filter(|slot| slot.source.is_open() && slot.has_streams()).count();
        if pinned >= self.sources
            && let Some(slot) = self.slots[place].as_mut()
        {
            let words =
                format!("the candle channels need all {} datasources that terminal.datasources allows", self.sources);
            slot.fail(&Failure::Failed(words), out);
        } else if !self.queued.contains(&place) {
            self.queued.push_back(place);
        }
    }

    /// The datasource nobody has needed for longest.
    fn least_used(&self) -> Option<usize> {
        let places = self.slots.iter().enumerate().filter_map(|(place, slot)| Some((place, slot.as_ref()?)));
        let free = places.filter(|(_, slot)| slot.source.is_open() && slot.is_unneeded());
        free.min_by_key(|(_, slot)| slot.used_at).map(|(place, _)| place)
    }

    fn close(&mut self, place: usize, out: &mut dyn Output) {
        if let Some(slot) = self.slots[place].as_mut() {
            slot.source.close(&mut self.calls, out);
            slot.renewed_at = None;
        }
        self.free(place);
    }

    fn free(&mut self, place: usize) {
        if let Some(slot) = self.slots[place].take() {
            self.places.remove(&(slot.source.symbol, slot.source.span));
        }
    }

    /// Whether no more bars may be kept; series that nobody needs are let go first.
    fn is_full(&self) -> bool {
        self.slots.iter().flatten().map(|slot| slot.source.tail.len()).sum::<usize>() >= ALL_BARS_MAX
    }

    /// Begins as many bars as may be read now, a bar of each series in turn.
    fn begin_bars(&mut self, out: &mut dyn Output) {
        while self.calls.room() >= CALLS_A_BAR
            && let Some(place) = self.reading.pop_front()
        {
            let slot = self.slots.get_mut(place).and_then(Option::as_mut);
            if slot.is_some_and(|slot| slot.source.begin_bar(&mut self.calls, out)) {
                self.reading.push_back(place);
            }
        }
    }

    fn progressed(&mut self, place: usize, progress: Progress, now: Stamp, out: &mut dyn Output) {
        let Some(slot) = self.slots.get_mut(place).and_then(Option::as_mut) else { return };
        match progress {
            Progress::Going => {
                if slot.source.has_bars_to_begin() && !self.reading.contains(&place) {
                    self.reading.push_back(place);
                }
            }
            Progress::Renewed => slot.renewed(now, POLL_EVERY, out),
            Progress::Extended => {
                slot.extended(now, out);
                self.let_go(place, out);
            }
            Progress::Failed(failure) => self.failed(place, &failure, now, out),
        }
    }

    /// Series that nobody needs make room.
    fn let_go(&mut self, place: usize, out: &mut dyn Output) {
        while self.is_full()
            && let Some(victim) = self.least_used().filter(|victim| *victim != place)
        {
            self.close(victim, out);
        }
    }

    fn failed(&mut self, place: usize, failure: &Failure, now: Stamp, out: &mut dyn Output) {
        let Some(slot) = self.slots[place].as_mut() else { return };
        let wait = match failure {
            Failure::UnknownSecurity(_) => RETRY_UNKNOWN,
            Failure::NoHistory => RETRY_EMPTY,
            Failure::Failed(_) => RETRY_FAILED,
            Failure::Down(_) => POLL_EVERY,
        };
        slot.fail(failure, out);
        if !matches!(failure, Failure::Down(_)) {
            slot.remember(failure, now.mono);
        }
        slot.poll_at = now.mono.after(wait);
        for candles in &mut slot.streams {
            let stream = candles.stream;
            candles.live();
            match failure {
                Failure::UnknownSecurity(detail) => out.update(Update::Rejected { stream, detail }),
                // It is subscribed to: there are no candles yet.
                Failure::NoHistory => out.update(Update::Subscribed(stream)),
                Failure::Failed(detail) => out.update(Update::Broken { stream: Some(stream), detail }),
                Failure::Down(_) => {}
            }
        }
    }

    /// Places that waited for a datasource.
    fn try_queued(&mut self, now: Stamp, out: &mut dyn Output) {
        for _ in 0..self.queued.len() {
            let Some(place) = self.queued.pop_front() else { return };
            self.advance(place, now, out);
            if self.queued.contains(&place) {
                // Still no room: it keeps its turn.
                self.queued.retain(|queued| *queued != place);
                self.queued.push_front(place);
                return;
            }
        }
    }
}

impl Machine for History {
    fn live(&mut self, now: Stamp, out: &mut dyn Output) {
        self.live = !self.closing;
        if !self.live {
            return;
        }
        self.calls.close_again(out);
        let mut pinned = 0;
        for place in 0..self.slots.len() {
            let Some(slot) = self.slots[place].as_mut() else { continue };
            slot.live(now.mono);
            self.due.set(place, now.mono);
            pinned += usize::from(!slot.streams.is_empty());
            if !slot.streams.is_empty() && pinned > self.sources {
                let detail = format!(
                    "no datasource is left: terminal.datasources allows {} of them, and each instrument and interval \
                     of the candle channels needs its own",
                    self.sources
                );
                slot.refuse(&detail, out);
            }
        }
        self.work(now, out);
    }

    fn down(&mut self) {
        self.live = false;
    }

    fn answered(&mut self, id: u64, reply: &Reply<'_>, now: Stamp, out: &mut dyn Output) {
        let Some(call) = self.calls.answered(id, reply) else { return };
        let Some(slot) = self.slots.get_mut(call.place).and_then(Option::as_mut) else {
            return source::close_late(call, reply, &mut self.calls, out);
        };
        let progress = slot.source.answered(call, reply, now.mono, &mut self.calls, out);
        if !self.live {
            return;
        }
        self.progressed(call.place, progress, now, out);
        self.advance(call.place, now, out);
        self.try_queued(now, out);
        self.begin_bars(out);
    }

    fn work(&mut self, now: Stamp, out: &mut dyn Output) {
        if !self.live {
            return;
        }
        let mut due = Vec::new();
        while let Some(place) = self.due.pop(now.mono) {
            due.push(place);
        }
        for place in due {
            self.advance(place, now, out);
        }
        self.begin_bars(out);
    }

    fn next_timeout(&self) -> Option<Timer> {
        self.due.next().map(|at| Timer { at, why: "history" })
    }

    fn resync(&mut self, stream: StreamId, now: Stamp, out: &mut dyn Output) {
        for place in 0..self.slots.len() {
            let Some(slot) = self.slots[place].as_mut() else { continue };
            if slot.resync(stream, now.mono) && self.live {
                self.advance(place, now, out);
            }
        }
        self.begin_bars(out);
    }

    fn shut_down(&mut self, out: &mut dyn Output) {
        self.give_up("the gateway is ending", out);
        self.closing = true;
        for slot in self.slots.iter_mut().flatten() {
            slot.source.close(&mut self.calls, out);
        }
        self.calls.close_again(out);
    }
}

/// Time passes only while something is due.
fn earliest(times: impl IntoIterator<Item = Option<Mono>>) -> Option<Mono> {
    times.into_iter().flatten().min()
}
