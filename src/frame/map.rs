//! A payload being written for a topic: its constant head, its sequence, its fields.

use bytes::Bytes;

use super::encode::EncoderSpec;
use super::payload::Payload;
use super::{Frame, Retain, VERSION, topic};
use crate::feed::Symbol;
use crate::model::{Clocks, Decimal, Level, UnixNanos};

/// A topic's name, the constant head of its payloads, and its sequence.
#[derive(Debug)]
pub(super) struct Topic {
    pub(super) name: Bytes,
    pub(super) head: Vec<u8>,
    head_fields: u16,
    pub(super) seq: u64,
}

impl Topic {
    pub(super) fn new(spec: &EncoderSpec, channel: &str, symbol: &Symbol) -> Self {
        let name = topic(channel, &spec.venue, &spec.market, &symbol.name);
        Self { name, head: Vec::new(), head_fields: 0, seq: spec.first_seq }
    }

    /// Writes the fields that are the same in every payload of the topic.
    pub(super) fn write_head<P: Payload>(&mut self, spec: &EncoderSpec, kind: &str, symbol: &Symbol) {
        let head = &mut self.head;
        P::begin(head);
        P::integer(head, "v", VERSION);
        P::text(head, "type", kind);
        P::text(head, "venue", &spec.venue);
        P::text(head, "market", &spec.market);
        P::text(head, "symbol", &symbol.name);
        if let Some(instrument) = &symbol.instrument {
            P::text(head, "instrument", instrument);
        }
        P::integer(head, "epoch", spec.epoch);
        self.head_fields = 6 + u16::from(symbol.instrument.is_some());
    }
}

/// A payload being written for a topic.
pub(super) struct Map<'a, P> {
    out: &'a mut Vec<u8>,
    topic: &'a mut Topic,
    fields: u16,
    encoding: std::marker::PhantomData<P>,
}

impl<'a, P: Payload> Map<'a, P> {
    #[inline]
    pub(super) fn begin(
        out: &'a mut Vec<u8>,
        topic: &'a mut Topic,
        venue_seq: Option<u64>,
        clocks: Clocks,
        clock: fn() -> UnixNanos,
    ) -> Self {
        topic.seq = topic.seq.wrapping_add(1);
        out.clear();
        out.extend_from_slice(&topic.head);
        let fields = topic.head_fields;
        let seq = topic.seq;
        let mut map = Self { out, topic, fields, encoding: std::marker::PhantomData };
        map.integer("seq", seq);
        for (key, value) in [
            ("venue_seq", venue_seq),
            ("ts_event", clocks.event.map(|at| at.0)),
            ("ts_venue", clocks.venue.map(|at| at.0)),
            ("ts_recv", clocks.recv.map(|at| at.0)),
        ] {
            if let Some(value) = value {
                map.integer(key, value);
            }
        }
        map.integer("ts_pub", clock().0);
        map
    }

    #[inline]
    pub(super) fn integer(&mut self, key: &str, value: u64) {
        self.fields += 1;
        P::integer(self.out, key, value);
    }

    #[inline]
    pub(super) fn text(&mut self, key: &str, value: &str) {
        self.fields += 1;
        P::text(self.out, key, value);
    }

    #[inline]
    pub(super) fn boolean(&mut self, key: &str, value: bool) {
        self.fields += 1;
        P::boolean(self.out, key, value);
    }

    #[inline]
    pub(super) fn decimal(&mut self, key: &str, value: Decimal) {
        self.fields += 1;
        P::decimal(self.out, key, value);
    }

    #[inline]
    pub(super) fn levels(&mut self, key: &str, levels: impl ExactSizeIterator<Item = Level>) {
        self.fields += 1;
        P::levels(self.out, key, levels);
    }

    #[inline]
    pub(super) fn finish(self, retain: Retain) -> Frame {
        P::end(self.out, 0, self.fields);
        Frame { topic: self.topic.name.clone(), payload: Bytes::copy_from_slice(self.out), retain }
    }
}
