//! Frames whose topics are known only when they come: rows of an account, and raw events.

use bytes::Bytes;
use serde_json::value::RawValue;

use super::encode::Encoder;
use super::map::{Map, Topic};
use super::payload::Payload;
use super::{Frame, Retain, VERSION, account_status_topic, topic_of};
use crate::feed::{Reason, Status};
use crate::model::{Clocks, Stamp};
use crate::venue::{AccountKind, AccountUpdate, FieldValue, RawEvent};

/// Most such topics of one feed: accounts times symbols times four, and event names.
const TOPICS_MAX: usize = 20_000;

impl Encoder {
    /// A row of an account; `None` beyond the limit of topics.
    pub(super) fn account<P: Payload>(&mut self, row: &AccountUpdate<'_>) -> Option<Frame> {
        let kind = row.kind.as_str();
        let name = topic_of(&[kind, &self.spec.venue, row.account, row.symbol]);
        let market = row.market.unwrap_or(&self.spec.market).to_owned();
        let head =
            [("venue", &*self.spec.venue), ("market", &market), ("account", row.account), ("symbol", row.symbol)];
        let head = write_head::<P>(kind, &head, self.spec.epoch);
        let mut map = self.begin_row::<P>(name, head, row.clocks)?;
        let (common, own): (Vec<_>, Vec<_>) = row.fields.iter().partition(|(key, _)| row.kind.fields().contains(key));
        for (key, value) in common {
            match value {
                FieldValue::Text(text) => map.text(key, text),
                FieldValue::Integer(value) => map.integer(key, value),
                FieldValue::Boolean(value) => map.boolean(key, value),
            }
        }
        if !own.is_empty() {
            let params: Vec<_> = own.into_iter().map(|(key, value)| (key.to_owned(), value.to_string())).collect();
            map.texts("params", &params);
        }
        // An order or a fill is one of many of its topic; a position or a balance is the latest of its own.
        Some(map.finish(match row.kind {
            AccountKind::Order | AccountKind::Fill => Retain::Stream,
            AccountKind::Position | AccountKind::Balance => Retain::Latest,
        }))
    }

    /// How a channel of the account stands.
    pub(super) fn account_status<P: Payload>(&mut self, kind: AccountKind, status: &Status) -> Option<Frame> {
        if status.reason == Some(Reason::Starting) {
            // Another feed may have published the account's rows before.
            let known = &self.spec.last_seq;
            self.rows.values_mut().for_each(|topic| topic.seq = topic.seq.max(known.of(&topic.name)));
        }
        let (spec, account) = (&self.spec, self.spec.account.as_deref());
        let name = account_status_topic(&spec.venue, account, &spec.market, kind);
        let account = account.map(|account| ("account", account));
        let head = [("venue", &*spec.venue), ("market", &*spec.market)].into_iter().chain(account);
        let head: Vec<_> = head.chain([("symbol", "")]).collect();
        let head = write_head::<P>("status", &head, spec.epoch);
        let feed = spec.feed.clone();
        let mut map = self.begin_row::<P>(name, head, Clocks::default())?;
        map.text("feed", &feed);
        map.text("channel", kind.as_str());
        put_status(&mut map, status);
        Some(map.finish(Retain::Latest))
    }

    /// An event as the venue said it; `None` beyond the limit of topics.
    pub(super) fn raw<P: Payload>(&mut self, event: &RawEvent<'_>, now: Stamp) -> Option<Frame> {
        let kind = format!("{}_event", self.spec.venue);
        let name = topic_of(&[&kind, &self.spec.venue, event.name]);
        let head = [("venue", &*self.spec.venue), ("name", event.name)];
        let head = write_head::<P>(&kind, &head, self.spec.epoch);
        let clocks = Clocks { recv: Some(now.wall), ..Clocks::default() };
        let mut map = self.begin_row::<P>(name, head, clocks)?;
        match event.payload.map(|text| (text, serde_json::from_str::<&RawValue>(text))) {
            None => {}
            Some((_, Ok(json))) => map.json("payload", json),
            Some((text, Err(_))) => map.text("payload", text),
        }
        Some(map.finish(Retain::Stream))
    }

    /// A message as the venue sent it, byte for byte: what is ours to say of it, the bus counts.
    pub(super) fn untouched(&mut self, message: &[u8]) -> Frame {
        let Self { rows, spec, .. } = self;
        let name = topic_of(&["raw", &spec.venue, &spec.market]);
        let topic =
            rows.entry(name).or_insert_with_key(|name| Topic::named(name.clone(), spec.last_seq.before_first(name)));
        topic.seq += 1;
        let payload = Bytes::copy_from_slice(message);
        Frame { topic: topic.name.clone(), payload, retain: Retain::Stream, seq: topic.seq }
    }

    fn begin_row<P: Payload>(&mut self, name: Bytes, head: (Vec<u8>, u16), clocks: Clocks) -> Option<Map<'_, P>> {
        let Self { spec, rows, scratch, stamps, unencoded, .. } = self;
        if rows.len() >= TOPICS_MAX && !rows.contains_key(&name) {
            *unencoded += 1;
            return None;
        }
        stamps.update::<P>(None, clocks, spec.clock);
        let topic =
            rows.entry(name).or_insert_with_key(|name| Topic::named(name.clone(), spec.last_seq.before_first(name)));
        topic.set_head(head);
        Some(Map::begin(scratch, topic, stamps))
    }
}

/// The fields that every status has.
pub(super) fn put_status<P: Payload>(map: &mut Map<'_, P>, status: &Status) {
    map.text("state", status.state.as_str());
    if let Some(reason) = status.reason {
        map.text("reason", reason.as_str());
    }
    map.integer("since", status.since.0);
    if let Some(detail) = &status.detail {
        map.text("detail", detail);
    }
}

/// The fields before `seq`, and how many they are.
fn write_head<P: Payload>(kind: &str, fields: &[(&str, &str)], epoch: u64) -> (Vec<u8>, u16) {
    let mut head = Vec::with_capacity(128);
    P::begin(&mut head);
    P::integer(&mut head, "v", VERSION);
    P::text(&mut head, "type", kind);
    for (key, text) in fields {
        P::text(&mut head, key, text);
    }
    P::integer(&mut head, "epoch", epoch);
    // A handful of fields, always.
    (head, 3 + u16::try_from(fields.len()).unwrap_or(u16::MAX))
}
