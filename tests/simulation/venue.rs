//! A venue that owns the true books of a few symbols and speaks Bybit v5.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use fastrand::Rng;
use serde_json::Value;

/// Price in hundredths to size.
pub(crate) type Side = BTreeMap<i64, i64>;

/// Both sides of a book.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Levels {
    pub(crate) bids: Side,
    pub(crate) asks: Side,
}

/// One symbol: its book now, and what it was after each update.
#[derive(Debug)]
pub(crate) struct Market {
    pub(crate) name: String,
    levels: Levels,
    pub(crate) u: u64,
    seq: u64,
    /// The book after update `u`; several, if the numbers started anew.
    pub(crate) history: HashMap<u64, Vec<Levels>>,
    restarted: bool,
}

#[derive(Debug)]
pub(crate) struct Venue {
    pub(crate) markets: Vec<Market>,
    subscribed: BTreeSet<String>,
}

const MIDDLE: i64 = 100_000;

fn price(hundredths: i64) -> String {
    format!("{}.{:02}", hundredths / 100, hundredths % 100)
}

fn side_text(levels: impl Iterator<Item = (i64, i64)>) -> String {
    let pairs: Vec<_> = levels.map(|(at, size)| format!("[\"{}\",\"{size}\"]", price(at))).collect();
    format!("[{}]", pairs.join(","))
}

impl Market {
    fn new(name: &str, rng: &mut Rng) -> Self {
        let mut market = Self {
            name: name.to_owned(),
            levels: Levels::default(),
            u: rng.u64(5_000..9_000),
            seq: rng.u64(100_000..200_000),
            history: HashMap::new(),
            restarted: false,
        };
        for n in 1..10 {
            market.levels.bids.insert(MIDDLE - n, n);
            market.levels.asks.insert(MIDDLE + n, n);
        }
        market.remember();
        market
    }

    fn remember(&mut self) {
        self.history.entry(self.u).or_default().push(self.levels.clone());
    }

    fn message(&self, kind: &str, bids: &str, asks: &str) -> String {
        let Self { name, u, seq, .. } = self;
        format!(
            r#"{{"topic":"orderbook.50.{name}","type":"{kind}","ts":5,"data":{{"s":"{name}","b":{bids},"a":{asks},"u":{u},"seq":{seq}}},"cts":4}}"#
        )
    }

    fn snapshot(&self) -> String {
        let side = |side: &Side| side_text(side.iter().map(|(at, size)| (*at, *size)));
        self.message("snapshot", &side(&self.levels.bids), &side(&self.levels.asks))
    }

    /// Changes a few levels and returns the delta; a spoiled one has a bid above the best ask that is not true.
    pub(crate) fn tick(&mut self, spoiled: bool, rng: &mut Rng) -> String {
        let (mut bids, mut asks) = (Vec::new(), Vec::new());
        for _ in 0..rng.u32(1..6) {
            let (distance, size) = (rng.i64(1..20), if rng.u8(0..3) == 0 { 0 } else { rng.i64(1..1_000) });
            let (side, changes, at) = match rng.bool() {
                true => (&mut self.levels.bids, &mut bids, MIDDLE - distance),
                false => (&mut self.levels.asks, &mut asks, MIDDLE + distance),
            };
            match size {
                0 => drop(side.remove(&at)),
                _ => drop(side.insert(at, size)),
            }
            changes.push((at, size));
        }
        self.u += 1;
        self.seq += rng.u64(1..9);
        self.remember();
        if spoiled {
            bids.push((MIDDLE + 500, 1));
        }
        self.message("delta", &side_text(bids.into_iter()), &side_text(asks.into_iter()))
    }

    /// The venue's numbers start anew, once in a run: so that an old number never means a new book.
    pub(crate) fn restart(&mut self) -> Option<String> {
        if std::mem::replace(&mut self.restarted, true) {
            return None;
        }
        self.u = 1;
        self.seq += 1;
        self.remember();
        Some(self.snapshot())
    }

    pub(crate) fn topic(&self) -> String {
        format!("orderbook.50.{}", self.name)
    }
}

impl Venue {
    pub(crate) fn new(names: &[&str], rng: &mut Rng) -> Self {
        let markets = names.iter().map(|name| Market::new(name, rng)).collect();
        Self { markets, subscribed: BTreeSet::new() }
    }

    /// A new connection: nothing is subscribed.
    pub(crate) fn connected(&mut self) {
        self.subscribed.clear();
    }

    pub(crate) fn is_subscribed(&self, market: usize) -> bool {
        self.subscribed.contains(&self.markets[market].topic())
    }

    /// An unasked snapshot.
    pub(crate) fn snapshot(&self, market: usize) -> String {
        self.markets[market].snapshot()
    }

    /// Answers one request, as the linear market does.
    pub(crate) fn answer(&mut self, request: &str) -> Vec<String> {
        let request: Value = serde_json::from_str(request).expect("the client sends JSON");
        let (id, op) = (request["req_id"].clone(), request["op"].as_str().expect("op"));
        if op == "ping" {
            return vec![r#"{"success":true,"ret_msg":"pong","conn_id":"c","req_id":"","op":"ping"}"#.to_owned()];
        }
        let args: Vec<_> = request["args"].as_array().expect("args").iter().filter_map(Value::as_str).collect();
        assert!(args.len() <= 10, "more topics than a request may have");
        let known: BTreeSet<_> = self.markets.iter().map(Market::topic).collect();
        let refusal = |why: &str, topic: &str| {
            vec![format!(r#"{{"success":false,"ret_msg":"error:{why},topic:{topic}","req_id":{id},"op":"{op}"}}"#)]
        };
        if op == "subscribe" {
            if let Some(bad) = args.iter().find(|topic| !known.contains(**topic)) {
                return refusal("handler not found", bad);
            }
            if let Some(twice) = args.iter().find(|topic| self.subscribed.contains(**topic)) {
                return refusal("already subscribed", twice);
            }
        }
        let mut out = vec![format!(r#"{{"success":true,"ret_msg":"","conn_id":"c","req_id":{id},"op":"{op}"}}"#)];
        for topic in args {
            if op == "subscribe" {
                self.subscribed.insert(topic.to_owned());
                out.extend(self.markets.iter().find(|market| market.topic() == topic).map(Market::snapshot));
            } else {
                self.subscribed.remove(topic);
            }
        }
        out
    }
}
