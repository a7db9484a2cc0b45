//! A payload being written for a topic: its constant head, its sequence, its fields.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::payload::Payload;
use super::spec::EncoderSpec;
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
        let seq = spec.last_seq.before_first(&name);
        Self { name, head: Vec::new(), head_fields: 0, seq }
    }

    /// A topic of a name of its own, without a head yet.
    pub(super) const fn named(name: Bytes, seq: u64) -> Self {
        Self { name, head: Vec::new(), head_fields: 0, seq }
    }

    /// The fields before `seq`, and how many they are.
    pub(super) fn set_head(&mut self, (head, fields): (Vec<u8>, u16)) {
        self.head = head;
        self.head_fields = fields;
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

/// The `venue_seq` and `ts_…` fields as last written: the frames of one update share them.
#[derive(Debug, Default)]
pub(super) struct Stamps {
    of: Option<(Option<u64>, Clocks)>,
    text: Vec<u8>,
    fields: u16,
}

impl Stamps {
    /// The next frame belongs to another update.
    #[inline]
    pub(super) const fn forget(&mut self) {
        self.of = None;
    }

    /// Writes the fields anew unless they would be the same. `ts_pub` is read for the first frame of an update.
    #[inline]
    pub(super) fn update<P: Payload>(&mut self, venue_seq: Option<u64>, clocks: Clocks, clock: fn() -> UnixNanos) {
        if self.of == Some((venue_seq, clocks)) {
            return;
        }
        self.of = Some((venue_seq, clocks));
        self.text.clear();
        self.fields = 0;
        for (key, value) in [
            ("venue_seq", venue_seq),
            ("ts_event", clocks.event.map(|at| at.0)),
            ("ts_venue", clocks.venue.map(|at| at.0)),
            ("ts_recv", clocks.recv.map(|at| at.0)),
            ("ts_pub", Some(clock().0)),
        ] {
            if let Some(value) = value {
                P::integer(&mut self.text, key, value);
                self.fields += 1;
            }
        }
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
    pub(super) fn begin(out: &'a mut Vec<u8>, topic: &'a mut Topic, stamps: &Stamps) -> Self {
        topic.seq = topic.seq.wrapping_add(1);
        out.clear();
        out.extend_from_slice(&topic.head);
        let fields = topic.head_fields;
        let seq = topic.seq;
        let mut map = Self { out, topic, fields, encoding: std::marker::PhantomData };
        map.integer("seq", seq);
        map.out.extend_from_slice(&stamps.text);
        map.fields += stamps.fields;
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

    /// A nested map of texts.
    pub(super) fn texts(&mut self, key: &str, texts: &[(String, String)]) {
        self.fields += 1;
        P::texts(self.out, key, texts);
    }

    /// JSON as it was written.
    pub(super) fn json(&mut self, key: &str, json: &RawValue) {
        self.fields += 1;
        P::json(self.out, key, json);
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
        let (topic, payload) = (self.topic.name.clone(), Bytes::copy_from_slice(self.out));
        Frame { topic, payload, retain, seq: self.topic.seq }
    }
}
