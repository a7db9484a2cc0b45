//! The layout `tickbus`: a hash for each latest value, sorted sets and lists for histories, every frame published.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use super::batch::Batch;
use super::fields::{Fields, first};
use super::kind::{Kind, taken_back};
use super::{Layout, LayoutOptions};
use crate::client::{DecodeError, as_json};
use crate::frame::{Frame, Retain, topic_of};
use crate::model::Stamp;

/// Topics remembered: as many as the bus keeps.
const MOST_TOPICS: usize = 100_000;
/// Milliseconds after which a gateway that says nothing is gone from Redis: five heartbeats.
const HEARTBEAT_LIVES_MS: u64 = 5_000;
const NANOS_IN_MS: u64 = 1_000_000;

/// See the module.
#[derive(Debug)]
pub struct TickbusLayout {
    options: Arc<LayoutOptions>,
    topics: HashMap<Bytes, Topic>,
}

/// What is known of a topic.
#[derive(Clone, Debug)]
struct Topic {
    kind: Kind,
    key: Arc<str>,
    /// Which members its hash has; 0 while that is not known.
    shape: u64,
    /// Whether its hash was written and not taken away since.
    written: bool,
    /// The candle that was last written.
    row: u64,
}

impl Layout for TickbusLayout {
    fn frame(&mut self, frame: &Frame, _now: Stamp, out: &mut Batch) -> Result<(), DecodeError> {
        let json = as_json(&frame.payload)?;
        let fields = Fields::read(&json)?;
        let mut topic = self.topic(&frame.topic);
        match topic.kind {
            Kind::Book => self.book(&mut topic, &fields, out),
            Kind::Bbo | Kind::Ticker | Kind::Instrument | Kind::Position | Kind::Balance => {
                self.latest(&mut topic, &fields, out);
            }
            Kind::Status => self.status(frame, &mut topic, &fields, out),
            Kind::Candle => self.candle(&mut topic, &fields, out),
            Kind::Trade | Kind::Liquidation => self.list(&topic, &json, out),
            Kind::Order | Kind::Fill => self.row(&topic, &fields, out),
            Kind::Heartbeat => {
                self.latest(&mut topic, &fields, out);
                out.command("PEXPIRE").arg(&*topic.key).number(HEARTBEAT_LIVES_MS);
            }
            Kind::Passing => {}
        }
        let kind = topic.kind;
        self.remember(&frame.topic, topic);
        self.pass_on(frame, kind, &json, &fields, out);
        Ok(())
    }

    fn forget_missing(&mut self, kept: &HashSet<Bytes>, out: &mut Batch) {
        for (name, topic) in &mut self.topics {
            let latest = matches!(topic.kind, Kind::Book | Kind::Bbo | Kind::Ticker);
            if latest && topic.written && !kept.contains(name) {
                (topic.shape, topic.written) = (0, false);
                out.simple("DEL", &[&topic.key]);
            }
        }
    }

    fn connected(&mut self, _out: &mut Batch) {
        // What is written next replaces whatever another run left there.
        self.topics.values_mut().for_each(|topic| (topic.shape, topic.row) = (0, 0));
    }

    fn ended(&mut self, out: &mut Batch) {
        out.simple("DEL", &[&format!("{}:heartbeat", self.options.prefix)]);
    }
}

impl TickbusLayout {
    /// Without any topic yet.
    pub fn new(options: Arc<LayoutOptions>) -> Self {
        Self { options, topics: HashMap::new() }
    }

    fn topic(&self, name: &Bytes) -> Topic {
        if let Some(topic) = self.topics.get(name) {
            return topic.clone();
        }
        let text = String::from_utf8_lossy(name);
        let text = text.strip_suffix('.').unwrap_or(&text);
        let channel = text.split('.').next().unwrap_or_default();
        let key = format!("{}:{}", self.options.prefix, text.replace(':', "%3A").replace('.', ":"));
        Topic { kind: Kind::of(channel), key: key.into(), shape: 0, written: false, row: 0 }
    }

    fn remember(&mut self, name: &Bytes, topic: Topic) {
        if let Some(known) = self.topics.get_mut(name) {
            *known = topic;
        } else if self.topics.len() < MOST_TOPICS {
            self.topics.insert(name.clone(), topic);
        }
    }

    /// A hash with a field for each member, and no other fields.
    fn latest(&self, topic: &mut Topic, fields: &Fields<'_>, out: &mut Batch) {
        self.replace(topic, fields, |_, value| value, out);
    }

    fn book(&self, topic: &mut Topic, fields: &Fields<'_>, out: &mut Batch) {
        let depth = self.options.book_depth;
        let cut = |name: &str, value| match (name, value) {
            ("bids" | "asks", Cow::Borrowed(levels)) => first(levels, depth),
            (_, value) => value,
        };
        self.replace(topic, fields, cut, out);
    }

    fn replace<'f>(
        &self,
        topic: &mut Topic,
        fields: &Fields<'f>,
        value: impl Fn(&str, Cow<'f, str>) -> Cow<'f, str>,
        out: &mut Batch,
    ) {
        // With the same members as before, one command replaces everything at once.
        let shape = fields.shape();
        let anew = std::mem::replace(&mut topic.shape, shape) != shape;
        topic.written = true;
        if anew {
            out.simple("MULTI", &[]);
            out.simple("DEL", &[&topic.key]);
        }
        let command = out.command("HSET").arg(&*topic.key);
        fields.iter().fold(command, |command, (name, text)| command.arg(name).arg(&*value(name, text)));
        self.expire(&topic.key, out);
        if anew {
            out.simple("EXEC", &[]);
        }
    }

    /// A status; of a feed as a whole, under the feed's name, as feeds of one market share the topic.
    fn status(&mut self, frame: &Frame, topic: &mut Topic, fields: &Fields<'_>, out: &mut Batch) {
        if frame.topic.ends_with(b"..") {
            let feed = fields.text("feed").unwrap_or_default();
            let key = format!("{}:feed:{}", self.options.prefix, feed.replace(':', "%3A"));
            let mut of_feed = Topic { key: key.into(), shape: 0, ..topic.clone() };
            self.latest(&mut of_feed, fields, out);
            return;
        }
        // The latest status is the symbol's own: of another channel's trouble only subscribers hear.
        if frame.retain == Retain::Latest {
            self.latest(topic, fields, out);
        }
        // That of a channel of an account.
        if fields.text("symbol").as_deref() == Some("") {
            return;
        }
        let part = |name| fields.text(name).unwrap_or_default();
        for channel in taken_back(frame, fields) {
            let name = topic_of(&[channel, &part("venue"), &part("market"), &part("symbol")]);
            let mut taken = self.topic(&name);
            (taken.shape, taken.written) = (0, false);
            out.simple("DEL", &[&taken.key]);
            self.remember(&name, taken);
        }
    }

    fn candle(&self, topic: &mut Topic, fields: &Fields<'_>, out: &mut Batch) {
        let Some(open_time) = fields.integer("open_time").map(|nanos| nanos / NANOS_IN_MS) else { return };
        let id = open_time.to_string();
        let new = std::mem::replace(&mut topic.row, open_time) != open_time;
        self.entry(topic, &id, &id, new.then_some(self.options.candles), fields, out);
    }

    /// An order or a fill: one of many of its topic.
    fn row(&self, topic: &Topic, fields: &Fields<'_>, out: &mut Batch) {
        let Some(id) = fields.text("id") else { return };
        let times = ["updated", "created", "ts_event", "ts_venue", "ts_pub"];
        let at = times.iter().find_map(|name| fields.integer(name)).unwrap_or(0) / NANOS_IN_MS;
        self.entry(topic, &id, &at.to_string(), Some(self.options.orders), fields, out);
    }

    /// An entry of a sorted set and its hash; with `most`, the oldest entries beyond so many go.
    fn entry(&self, topic: &Topic, id: &str, score: &str, most: Option<u32>, fields: &Fields<'_>, out: &mut Batch) {
        let (set, rows) = (&topic.key, format!("{}:", topic.key));
        let row = format!("{rows}{id}");
        let command = out.command("HSET").arg(&row);
        fields.iter().fold(command, |command, (name, text)| command.arg(name).arg(&*text));
        self.expire(&row, out);
        out.simple("ZADD", &[set, score, id]);
        self.expire(set, out);
        if let Some(most) = most {
            out.trim(set, most, &[&rows]);
        }
    }

    /// A list, newest first.
    fn list(&self, topic: &Topic, json: &str, out: &mut Batch) {
        out.simple("LPUSH", &[&topic.key, json]);
        out.command("LTRIM").arg(&*topic.key).arg("0").number(u64::from(self.options.trades).saturating_sub(1));
        self.expire(&topic.key, out);
    }

    fn expire(&self, key: &str, out: &mut Batch) {
        if self.options.ttl > 0 {
            out.command("EXPIRE").arg(key).number(self.options.ttl);
        }
    }

    /// What was stored first is published then: who is told of it finds it.
    fn pass_on(&self, frame: &Frame, kind: Kind, json: &str, fields: &Fields<'_>, out: &mut Batch) {
        if self.options.publish {
            out.command("PUBLISH").arg(&frame.topic).arg(json);
        }
        if self.options.stream_length > 0 && kind != Kind::Heartbeat {
            let key = [self.options.prefix.as_bytes(), b":stream:", &frame.topic].concat();
            let command = out.command("XADD").arg(&key).arg("MAXLEN").arg("~");
            let command = command.number(self.options.stream_length.into()).arg("*");
            let command = command.arg("epoch").arg(fields.json("epoch").unwrap_or("0"));
            command.arg("seq").number(frame.seq).arg("payload").arg(json);
            if self.options.ttl > 0 {
                out.command("EXPIRE").arg(&key).number(self.options.ttl);
            }
        }
    }
}

#[cfg(test)]
#[path = "tickbus_tests.rs"]
mod tests;
