//! One series with those who need it: questions that wait, and candle streams.

use std::collections::HashMap;
use std::time::Duration;

use super::bars::Span;
use super::candles::Candles;
use super::earliest;
use super::question::{Want, answer, loading};
use super::source::{CHUNK, Failure, Source};
use crate::model::{Mono, Stamp, StreamId};
use crate::venue::{Output, Update};

/// Who asks again within this time finds the load going on.
const ASKED_WITHIN: Duration = Duration::from_secs(10);
/// A failure is the answer to whoever asks within this time.
const FAILED_FOR: Duration = Duration::from_secs(5);
/// Most wants remembered of questions that were told to ask again.
const WANTS_MAX: usize = 16;

/// A question that waits.
#[derive(Clone, Debug)]
pub(super) struct Waiter {
    pub(super) id: u64,
    pub(super) want: Want,
    pub(super) asked_at: Mono,
    pub(super) deadline: Mono,
}

/// What a series needs next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing.
    Rest,
    /// The newest bars.
    Renew,
    /// About so many older bars.
    Extend(u64),
}

/// One series.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) source: Source,
    pub(super) waiters: Vec<Waiter>,
    pub(super) streams: Vec<Candles>,
    pub(super) used_at: Mono,
    /// When the newest bars were last known to be the terminal's.
    pub(super) renewed_at: Option<Mono>,
    /// When the streams want the newest bars.
    pub(super) poll_at: Mono,
    /// What was asked for and is still being loaded, and until when.
    wants: Vec<(Want, Mono)>,
    failure: Option<(Failure, Mono)>,
    /// There is no datasource left for its streams.
    refused: bool,
}

impl Slot {
    pub(super) fn new(place: usize, symbol: &str, span: Span) -> Self {
        Self {
            source: Source::new(place, symbol, span),
            waiters: Vec::new(),
            streams: Vec::new(),
            used_at: Mono::default(),
            renewed_at: None,
            poll_at: Mono::default(),
            wants: Vec::new(),
            failure: None,
            refused: false,
        }
    }

    /// The terminal came up.
    pub(super) fn live(&mut self, now: Mono) {
        self.renewed_at = None;
        self.failure = None;
        self.poll_at = now;
        self.refused = false;
        self.streams.iter_mut().for_each(Candles::live);
    }

    pub(super) fn refuse(&mut self, detail: &str, out: &mut dyn Output) {
        self.refused = true;
        for candles in &self.streams {
            out.update(Update::Rejected { stream: candles.stream, detail });
        }
    }

    /// True if the stream is one of this series: it is looked at now, and told again.
    pub(super) fn resync(&mut self, stream: StreamId, now: Mono) -> bool {
        let Some(candles) = self.streams.iter_mut().find(|candles| candles.stream == stream) else { return false };
        candles.publish_anyway();
        self.renewed_at = None;
        self.poll_at = now;
        true
    }

    /// Whether candle streams need it.
    pub(super) fn has_streams(&self) -> bool {
        !self.streams.is_empty() && !self.refused
    }

    /// Whether its datasource may be closed for another's sake.
    pub(super) fn is_unneeded(&self) -> bool {
        self.source.is_idle() && self.waiters.is_empty() && !self.has_streams()
    }

    /// Whether there is nothing left to remember of it.
    pub(super) fn is_useless(&self, now: Mono) -> bool {
        let remembers = self.failure.as_ref().is_some_and(|(_, until)| now < *until);
        let wanted = self.wants.iter().any(|(_, until)| now < *until);
        self.streams.is_empty() && self.is_unneeded() && !self.source.is_open() && !remembers && !wanted
    }

    /// Bars to begin with.
    pub(super) fn depth(&self) -> u64 {
        self.all_wants().map(|want| self.missing(&want)).max().unwrap_or(CHUNK)
    }

    fn all_wants(&self) -> impl Iterator<Item = Want> {
        let asked = self.waiters.iter().map(|waiter| waiter.want).chain(self.wants.iter().map(|(want, _)| *want));
        asked.chain(self.streams.iter().filter(|_| !self.refused).map(Candles::want))
    }

    /// Whether only streams need the newest bars, which an unchanged volume tells enough.
    pub(super) fn only_polls(&self) -> bool {
        self.waiters.is_empty() && self.wants.is_empty() && self.renewed_at.is_some()
    }

    /// What to do next. `full`: no more bars may be kept.
    pub(super) fn next(&mut self, now: Mono, fresh: Duration, full: bool) -> Next {
        if self.failure.as_ref().is_some_and(|(_, until)| now < *until) {
            return Next::Rest;
        }
        let is_behind = |asked: Mono| self.renewed_at.is_none_or(|at| at.after(fresh) < asked);
        // Whoever came since the last time, or has all but the newest bars, is served first.
        let waits_for_newest = |waiter: &Waiter| is_behind(waiter.asked_at) || self.is_covered(&waiter.want, full);
        let polls = self.has_streams() && self.poll_at <= now;
        let missing =
            self.all_wants().filter(|want| !self.is_covered(want, full)).map(|want| self.missing(&want)).max();
        let nothing = self.source.tail.is_empty();
        let begins = missing.is_some() && nothing && !self.is_waiting_stream(now);
        if self.waiters.iter().any(waits_for_newest) || polls || begins {
            return Next::Renew;
        }
        missing.filter(|_| !nothing).map_or(Next::Rest, Next::Extend)
    }

    /// Bars that are to be read next for a want.
    fn missing(&self, want: &Want) -> u64 {
        let by_time = want.from.is_some() || want.to.is_some();
        if by_time { CHUNK } else { want.n.saturating_sub(self.source.tail.len()) as u64 }
    }

    fn is_covered(&self, want: &Want, full: bool) -> bool {
        let tail = &self.source.tail;
        want.is_covered(tail) || (full && !tail.is_empty())
    }

    /// Whether nothing but its streams need it and they are not to be polled yet.
    fn is_waiting_stream(&self, now: Mono) -> bool {
        self.waiters.is_empty() && self.wants.is_empty() && now < self.poll_at
    }

    /// Answers the questions whose bars are known and fresh; or all, with a failure that was just now.
    pub(super) fn answer_ready(&mut self, now: Mono, fresh: Duration, full: bool, out: &mut dyn Output) {
        self.wants.retain(|(_, until)| now < *until);
        if let Some((failure, _)) = self.failure.clone().filter(|(_, until)| now < *until) {
            return self.fail(&failure, out);
        }
        if self.renewed_at.is_none_or(|at| now.since(at) > fresh) {
            return;
        }
        let (ready, rest): (Vec<_>, Vec<_>) =
            self.waiters.drain(..).partition(|waiter| waiter.want.is_covered(&self.source.tail) || full);
        self.waiters = rest;
        // Many ask for the same: it is written once.
        let mut texts: HashMap<Want, String> = HashMap::new();
        for Waiter { id, want, .. } in ready {
            let Source { symbol, span, tail, .. } = &self.source;
            let text = texts.entry(want).or_insert_with(|| answer(symbol, *span, &want, tail));
            out.answer(id, text.clone());
        }
        let tail = &self.source.tail;
        self.wants.retain(|(want, _)| !want.is_covered(tail));
    }

    /// Answers the questions that have waited long enough.
    pub(super) fn expire(&mut self, now: Mono, queued: bool, sources: usize, out: &mut dyn Output) {
        let (over, rest): (Vec<_>, Vec<_>) = self.waiters.drain(..).partition(|waiter| waiter.deadline <= now);
        self.waiters = rest;
        for Waiter { id, want, .. } in over {
            let Source { symbol, span, tail, size, .. } = &self.source;
            let of = want.bars_needed(tail, *size, *span);
            let why = queued.then(|| format!("all {sources} datasources that terminal.datasources allows are in use"));
            let bars = (self.source.bars_read() as u64).min(of);
            out.answer(id, loading(symbol, *span, bars, of, why.as_deref()));
            self.wants.retain(|(other, _)| *other != want);
            self.wants.truncate(WANTS_MAX - 1);
            self.wants.push((want, now.after(ASKED_WITHIN)));
        }
    }

    /// Answers every question with the failure.
    pub(super) fn fail(&mut self, failure: &Failure, out: &mut dyn Output) {
        self.wants.clear();
        self.renewed_at = None;
        for waiter in self.waiters.drain(..) {
            out.answer(waiter.id, failure.answer(&self.source.symbol, self.source.span));
        }
    }

    /// Remembers a failure for those who ask soon.
    pub(super) fn remember(&mut self, failure: &Failure, now: Mono) {
        self.failure = Some((failure.clone(), now.after(FAILED_FOR)));
    }

    /// The newest bars are the terminal's now.
    pub(super) fn renewed(&mut self, now: Stamp, poll_every: Duration, out: &mut dyn Output) {
        self.renewed_at = Some(now.mono);
        self.poll_at = now.mono.after(poll_every);
        self.publish(now, out);
    }

    /// Older bars are known.
    pub(super) fn extended(&mut self, now: Stamp, out: &mut dyn Output) {
        self.publish(now, out);
    }

    /// Streams that have all the bars they need publish.
    fn publish(&mut self, now: Stamp, out: &mut dyn Output) {
        if self.refused {
            return;
        }
        let Source { tail, span, .. } = &self.source;
        for candles in self.streams.iter_mut().filter(|candles| candles.want().is_covered(tail)) {
            candles.publish(tail, *span, now, out);
        }
    }

    /// When it is to be looked at.
    pub(super) fn next_timeout(&self, now: Mono) -> Option<Mono> {
        let deadline = self.waiters.iter().map(|waiter| waiter.deadline).min();
        let wants = self.wants.iter().map(|(_, until)| *until).min();
        let failure = self.failure.as_ref().map(|(_, until)| *until).filter(|until| now < *until);
        let poll = Some(self.poll_at).filter(|_| self.has_streams() && self.source.is_idle());
        earliest([deadline, wants, failure, poll, self.source.next_timeout()])
    }
}
