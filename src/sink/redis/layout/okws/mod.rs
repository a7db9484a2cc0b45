//! The layout `okws`: the keys and publications that clients of okws know, with the field names of OKEx's v3.

mod links;
pub mod names;
pub mod requests;
mod rows;
mod served;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use bytes::Bytes;

use self::links::Links;
use self::rows::Row;
pub use self::served::Asked;
use self::served::{Of, Served, Target};
use super::batch::Batch;
use super::fields::Fields;
use super::kind::{Kind, taken_back};
use super::{Layout, LayoutOptions};
use crate::client::{DecodeError, Topic, as_json};
use crate::frame::{Frame, topic};
use crate::model::Stamp;

/// Topics remembered: as many as the bus keeps.
const MOST_TOPICS: usize = 100_000;
const NANOS_IN_SECOND: u64 = 1_000_000_000;
const NANOS_IN_MS: u64 = 1_000_000;

/// What the door for commands tells the layout.
#[derive(Debug)]
pub enum Told {
    /// A client asked for a symbol's data under a v3 channel.
    Asked(Asked),
    /// A client no longer wants it.
    Unasked(Asked),
    /// The connection of this name was closed.
    Closed(String),
    /// These commands are to be carried out.
    Commands(Batch),
}

/// See the module.
#[derive(Debug)]
pub struct OkwsLayout {
    options: Arc<LayoutOptions>,
    /// What keys begin with: `okex`.
    root: String,
    /// The channel on which the service itself tells of its coming and going.
    info: String,
    served: Served,
    links: Links,
    topics: HashMap<Bytes, Known>,
}

/// What is known of a topic.
#[derive(Clone, Debug, Default)]
struct Known {
    targets: Arc<[Target]>,
    /// Of which version of [`Served`] they are.
    version: u64,
    /// The newest candle.
    candle: Option<Candle>,
    /// Whether its hash was written.
    written: bool,
}

#[derive(Clone, Debug)]
struct Candle {
    open_time: u64,
    timestamp: String,
    json: String,
}

/// Of which symbol a frame is, and its fields.
struct Reading<'a> {
    of: Of<'a>,
    fields: &'a Fields<'a>,
}

impl Layout for OkwsLayout {
    fn frame(&mut self, frame: &Frame, now: Stamp, out: &mut Batch) -> Result<(), DecodeError> {
        let name = String::from_utf8_lossy(&frame.topic);
        let parts = Topic::split(&name);
        let kind = Kind::of(parts.channel);
        if matches!(kind, Kind::Heartbeat | Kind::Passing | Kind::Bbo | Kind::Liquidation | Kind::Fill) {
            return Ok(());
        }
        let json = as_json(&frame.payload)?;
        let fields = Fields::read(&json)?;
        if kind == Kind::Status {
            self.status(frame, &fields, out);
            return Ok(());
        }
        // The topic of an account's row has the account where others have their market.
        let market = fields.text("market").unwrap_or_default();
        let of = Of { channel: parts.channel, venue: parts.venue, market: &market, symbol: &parts.symbol };
        let reading = Reading { of, fields: &fields };
        let mut known = self.known(&frame.topic, of);
        known.written = true;
        for target in &*known.targets {
            self.write(kind, target, &reading, known.candle.as_ref(), out);
            self.links.data(&target.name, now.mono, out);
        }
        if kind == Kind::Candle {
            known.remember_candle(&fields);
        }
        self.remember(&frame.topic, known);
        Ok(())
    }

    fn forget_missing(&mut self, kept: &HashSet<Bytes>, out: &mut Batch) {
        let gone =
            |(name, known): &(&Bytes, &Known)| known.written && name.starts_with(b"book.") && !kept.contains(*name);
        let gone: Vec<Bytes> = self.topics.iter().filter(gone).map(|(name, _)| name.clone()).collect();
        gone.iter().for_each(|name| self.forget_book(name, out));
    }

    fn connected(&mut self, out: &mut Batch) {
        self.links.again(out);
    }

    fn ended(&mut self, out: &mut Batch) {
        out.simple("PUBLISH", &[&self.info, "EXIT"]);
    }

    fn tell(&mut self, told: Told, out: &mut Batch) {
        match told {
            Told::Asked(asked) => self.served.ask(asked),
            Told::Unasked(asked) => self.served.unask(&asked),
            Told::Closed(name) => self.served.close(&name),
            Told::Commands(commands) => out.append(&commands),
        }
    }
}

impl OkwsLayout {
    /// Keys begin with `root`; the service itself is told of on the channel `info`.
    pub fn new(options: Arc<LayoutOptions>, root: &str, info: &str) -> Self {
        Self {
            options,
            root: root.to_owned(),
            info: info.to_owned(),
            served: Served::default(),
            links: Links::new(root),
            topics: HashMap::new(),
        }
    }

    fn known(&self, topic: &Bytes, of: Of<'_>) -> Known {
        let mut known = self.topics.get(topic).cloned().unwrap_or_default();
        // Versions begin at 0, when nothing is served.
        if known.version != self.served.version() {
            known.targets = self.served.targets(of).into();
            known.version = self.served.version();
        }
        known
    }

    fn remember(&mut self, topic: &Bytes, known: Known) {
        if let Some(place) = self.topics.get_mut(topic) {
            *place = known;
        } else if self.topics.len() < MOST_TOPICS {
            self.topics.insert(topic.clone(), known);
        }
    }

    fn status(&mut self, frame: &Frame, fields: &Fields<'_>, out: &mut Batch) {
        let text = |name| fields.text(name).unwrap_or_default();
        let (feed, venue, market, symbol) = (text("feed"), text("venue"), text("market"), text("symbol"));
        let name = self.served.learn(&feed, Of { channel: "status", venue: &venue, market: &market, symbol: &symbol });
        let channel = text("channel");
        let of_account = symbol.is_empty() && !channel.is_empty();
        if !of_account {
            self.links.status(&name, fields, out);
        }
        if &*text("state") == "rejected" && (of_account || !symbol.is_empty()) {
            let detail = fields.text("detail").unwrap_or_default();
            let what = format!("{channel} {symbol}");
            self.links.refused(&name, &format!("{}: {detail}", what.trim_end()), out);
        }
        if taken_back(frame, fields).contains(&"book") {
            self.forget_book(&topic("book", &venue, &market, &symbol), out);
        }
    }

    /// A book that is no longer true is taken away: a reader finds nothing rather than something wrong.
    fn forget_book(&mut self, topic: &Bytes, out: &mut Batch) {
        let Some(known) = self.topics.get_mut(topic).filter(|known| known.written) else { return };
        known.written = false;
        let name = String::from_utf8_lossy(topic);
        for target in &*known.targets {
            let key = format!("{}/{}/{}:{}", self.root, target.name, target.table, Topic::split(&name).symbol);
            out.simple("DEL", &[&key]);
        }
    }

    fn write(&self, kind: Kind, target: &Target, reading: &Reading<'_>, last: Option<&Candle>, out: &mut Batch) {
        let Reading { of, fields } = *reading;
        let base = format!("{}/{}/{}", self.root, target.name, target.table);
        match kind {
            Kind::Ticker => {
                self.latest(&base, target, of.symbol, &Row::ticker(fields, of.market, target.channel()), out);
            }
            Kind::Book => {
                let levels = if target.channel() == "depth5" { 5 } else { self.options.book_depth };
                self.latest(&base, target, of.symbol, &Row::book(fields, levels), out);
            }
            Kind::Position => self.latest(&base, target, of.symbol, &Row::position(fields), out),
            Kind::Balance => {
                // One account holds the currencies of all markets.
                let target = Target { table: "spot/account".to_owned(), ..target.clone() };
                let base = format!("{}/{}/{}", self.root, target.name, target.table);
                self.latest(&base, &target, of.symbol, &Row::balance(fields), out);
            }
            Kind::Instrument => {
                out.simple("SADD", &[&base, of.symbol]);
                self.expire(&base, out);
                self.latest(&base, target, of.symbol, &Row::instrument(fields), out);
            }
            Kind::Trade => {
                self.entry(&base, target, &Row::trade(fields), ("trade_id", self.options.trades), reading, out)
            }
            Kind::Order => {
                self.entry(&base, target, &Row::order(fields), ("order_id", self.options.orders), reading, out)
            }
            Kind::Candle => self.candle(&base, target, reading, last, out),
            _ => {}
        }
    }

    /// A hash for the latest value; it and its channel are told of it.
    fn latest(&self, base: &str, target: &Target, id: &str, row: &Row, out: &mut Batch) {
        let key = format!("{base}:{id}");
        row.arguments(out.command("HSET").arg(&key));
        self.expire(&key, out);
        let json = row.json();
        out.simple("PUBLISH", &[&key, &json]);
        Self::publish(base, target, &json, out);
    }

    /// One of many, by its id: in a sorted set, and in a hash under both of the names that okws's two halves use.
    fn entry(
        &self,
        base: &str,
        target: &Target,
        row: &Row,
        (id, most): (&str, u32),
        reading: &Reading<'_>,
        out: &mut Batch,
    ) {
        let Some(id) = row.get(id) else { return };
        let names = [format!("{base}/"), format!("{base}:")];
        for prefix in &names {
            let key = format!("{prefix}{id}");
            row.arguments(out.command("HSET").arg(&key));
            self.expire(&key, out);
        }
        // okws sorts by the id itself; what is no number is sorted by its time.
        let times = ["ts_event", "ts_venue", "ts_recv", "ts_pub"];
        let time = || times.iter().find_map(|name| reading.fields.integer(name)).unwrap_or(0) / NANOS_IN_MS;
        let score = if id.bytes().all(|b| b.is_ascii_digit()) { id.to_owned() } else { time().to_string() };
        out.simple("ZADD", &[base, &score, id]);
        self.expire(base, out);
        out.trim(base, most, &[&names[0], &names[1]]);
        Self::publish(base, target, &row.json(), out);
    }

    fn candle(&self, base: &str, target: &Target, reading: &Reading<'_>, last: Option<&Candle>, out: &mut Batch) {
        let row = Row::candle(reading.fields);
        let (Some(open_time), Some(timestamp)) = (reading.fields.integer("open_time"), row.get("timestamp")) else {
            return;
        };
        let set = format!("{base}:{}", reading.of.symbol);
        let key = format!("{set}/{timestamp}");
        row.arguments(out.command("HSET").arg(&key));
        self.expire(&key, out);
        out.simple("ZADD", &[&set, &(open_time / NANOS_IN_SECOND).to_string(), timestamp]);
        self.expire(&set, out);
        let new = last.is_none_or(|last| last.open_time != open_time);
        if new {
            out.trim(&set, self.options.candles, &[&format!("{set}/")]);
        }
        if let Some(last) = last.filter(|last| last.open_time < open_time) {
            let finished = format!("{{\"candle\":{},\"timestamp\":\"{}\"}}", last.json, last.timestamp);
            out.simple("PUBLISH", &[&set, &finished]);
        }
        let mut data = format!("{{\"candle\":{},\"instrument_id\":", row.array());
        super::batch::json_text(&mut data, reading.of.symbol);
        data.push('}');
        Self::publish(base, target, &data, out);
    }

    /// What the venue once sent, on the channel of its name.
    fn publish(base: &str, target: &Target, row: &str, out: &mut Batch) {
        let action = if target.channel().starts_with("depth") { "\"action\":\"partial\"," } else { "" };
        out.simple("PUBLISH", &[base, &format!("{{\"table\":\"{}\",{action}\"data\":[{row}]}}", target.table)]);
    }

    fn expire(&self, key: &str, out: &mut Batch) {
        if self.options.ttl > 0 {
            out.command("EXPIRE").arg(key).number(self.options.ttl);
        }
    }
}

impl Known {
    /// Keeps the newest candle; older ones come when a hole is filled.
    fn remember_candle(&mut self, fields: &Fields<'_>) {
        let Some(open_time) = fields.integer("open_time") else { return };
        if self.candle.as_ref().is_none_or(|known| known.open_time <= open_time) {
            let row = Row::candle(fields);
            let timestamp = row.get("timestamp").unwrap_or_default().to_owned();
            self.candle = Some(Candle { open_time, timestamp, json: row.json() });
        }
    }
}

#[cfg(test)]
mod tests;
