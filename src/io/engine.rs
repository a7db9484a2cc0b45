//! What the drivers of all kinds of feeds do alike: step the pipeline, wake it in time, hand out what it made, carry
//! out commands.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::command::{Command, LinkReport, carry_out};
use super::questions::Questions;
use super::states::StateLog;
use super::tap::{Kind, Tap, Tapped};
use super::wishes::Wishes;
use super::{FrameSink, Steps};
use crate::clock;
use crate::model::{Mono, Stamp};
use crate::pipeline::Outbox;
use crate::venue::{Input, LinkId};

/// A timer that has fired is not looked at again for so long, so that a session that leaves it in the past costs
/// little.
const TIMER_REST: Duration = Duration::from_millis(1);

/// The part of a driver that knows no connection.
pub(super) struct Engine<P> {
    pub(super) feed: Arc<str>,
    pub(super) pipeline: P,
    pub(super) commands: mpsc::Receiver<Command>,
    pub(super) link_report: LinkReport,
    sink: Arc<dyn FrameSink>,
    tap: Option<Tap>,
    questions: Questions,
    wishes: Wishes,
    states: StateLog,
    timer_fired_at: Mono,
}

impl<P: Steps> Engine<P> {
    pub(super) fn new(
        feed: Arc<str>,
        pipeline: P,
        sink: Arc<dyn FrameSink>,
        commands: mpsc::Receiver<Command>,
        tap: Option<Tap>,
    ) -> Self {
        Self {
            feed,
            pipeline,
            commands,
            link_report: LinkReport { since: clock::wall(), ..LinkReport::default() },
            sink,
            tap,
            questions: Questions::default(),
            wishes: Wishes::default(),
            states: StateLog::default(),
            timer_fired_at: Mono(0),
        }
    }

    #[inline]
    pub(super) fn step_on(&mut self, link: LinkId, input: Input<'_>, now: Stamp) {
        self.pipeline.step_on(link, input, now);
    }

    #[inline]
    pub(super) fn step(&mut self, input: Input<'_>, now: Stamp) {
        self.pipeline.step(input, now);
    }

    pub(super) fn outbox(&mut self) -> &mut Outbox {
        self.pipeline.outbox()
    }

    /// When to call [`Self::fire_timer`].
    pub(super) fn timer(&self) -> Option<Mono> {
        self.pipeline.next_timeout().map(|timer| timer.at.max(self.timer_fired_at.after(TIMER_REST)))
    }

    /// Wakes the session if it wanted to be woken by now.
    pub(super) fn fire_timer(&mut self, now: Stamp) {
        let rested = now.mono >= self.timer_fired_at.after(TIMER_REST);
        if rested && self.pipeline.next_timeout().is_some_and(|timer| timer.at <= now.mono) {
            self.timer_fired_at = now.mono;
            self.pipeline.step(Input::Timeout, now);
        }
    }

    /// Carries a command out; false if it was to shut down.
    pub(super) fn carry_out(&mut self, command: Command, now: Stamp) -> bool {
        match command {
            Command::Ask { question, reply } => {
                if let Some(id) = self.questions.note(reply) {
                    self.pipeline.step(Input::Ask { id, question: &question }, now);
                }
                return true;
            }
            Command::Subscribe { streams, reply } => {
                self.wishes.subscribe(&streams, &reply, &mut self.pipeline, now);
                return true;
            }
            Command::Unsubscribe { streams, reply } => {
                self.wishes.unsubscribe(&streams, &reply, &mut self.pipeline, now);
                return true;
            }
            _ => {}
        }
        self.link_report.tap_dropped = self.tap.as_ref().map_or(0, Tap::dropped);
        carry_out(command, &mut self.pipeline, &self.link_report, now)
    }

    /// Shows the recorder what went over the connection.
    #[inline]
    pub(super) fn tap(&self, kind: Kind, now: Stamp, url: Option<&Arc<str>>, data: impl FnOnce() -> Bytes) {
        if let Some(tap) = &self.tap {
            let feed = Arc::clone(&self.feed);
            tap.put(Tapped { feed, at: now.wall, kind, url: url.cloned(), data: data() });
        }
    }

    /// Whether anyone records.
    pub(super) const fn is_tapped(&self) -> bool {
        self.tap.is_some()
    }

    /// Hands out what needs no connection, and drops what needed one that is gone.
    pub(super) fn settle(&mut self) {
        let outbox = self.pipeline.outbox();
        if !outbox.frames.is_empty() {
            self.sink.publish(&mut outbox.frames);
            outbox.frames.clear();
        }
        outbox.sends.clear();
        outbox.logins.clear();
        outbox.addresses.clear();
        outbox.reconnects.clear();
        self.wishes.settle(outbox.settled.drain(..));
        if !outbox.changes.is_empty() {
            self.states.log(&self.feed, &mut outbox.changes, clock::now().mono);
        }
        for (id, text) in outbox.answers.drain(..) {
            self.questions.answer(id, text);
        }
    }
}
