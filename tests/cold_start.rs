//! Hundreds of Binance books from nothing, in virtual time: every image through the budget of REST calls, none of them given
//! up while it waits, all live in the time the arithmetic allows, and every book the venue's.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};
use tickbus::feed::{FeedSpec, State};
use tickbus::frame::{EncoderSpec, Encoding, LastSeq, Outgoing};
use tickbus::io::weights::Weights;
use tickbus::model::{BookDepth, Channel, Mono, Stamp, Stream, UnixNanos};
use tickbus::pipeline::Pipeline;
use tickbus::venue::{HttpRequest, Input, binance};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// How long a REST answer takes.
const LATENCY: u64 = 80 * MS;
/// The venue's own limits of weight in a minute of its clock.
const SPOT_LIMIT: u32 = 6_000;
const FUTURES_LIMIT: u32 = 2_400;

/// One symbol at the venue: its last update, and when the next one is.
struct Symbol {
    name: String,
    id: u64,
    next_at: u64,
}

/// The venue, the budget in front of it, and the gateway's pipeline.
struct World {
    rng: Rng,
    now: u64,
    market: &'static str,
    symbols: Vec<Symbol>,
    by_name: HashMap<String, usize>,
    subscribed: Vec<bool>,
    /// Futures share one id space.
    shared_id: u64,
    pace: u64,
    pipeline: Pipeline,
    weights: Weights,
    line: VecDeque<HttpRequest>,
    retry_at: u64,
    answers: VecDeque<(u64, u64, String)>,
    /// When each call left, and its weight.
    left: Vec<(u64, u32)>,
    /// Images that are to be of a while ago.
    stale: usize,
    waits_told: BTreeMap<String, String>,
    told_at: u64,
}

impl World {
    fn new(market: &'static str, count: usize, pace: u64, stale: usize) -> Self {
        let names: Vec<String> = (0..count).map(|n| format!("S{n}USDT")).collect();
        let channel = Channel::Book(BookDepth::Levels(1000));
        let feed = FeedSpec {
            market: market.to_owned(),
            streams: names.iter().map(|name| Stream::new(name, channel)).collect(),
            silence: Duration::from_secs(10),
            ..FeedSpec::default()
        };
        let encoder = EncoderSpec {
            feed: "f".to_owned(),
            venue: "binance".to_owned(),
            market: market.to_owned(),
            account: None,
            epoch: 1,
            encoding: Encoding::Json,
            book_depth: 5,
            depth_of: HashMap::new(),
            book_interval: Duration::ZERO,
            last_seq: LastSeq::default(),
            feed_seq: Arc::new(AtomicU64::new(0)),
            clock: UnixNanos::default,
        };
        let mut rng = Rng::with_seed(count as u64);
        let symbol = |name: &String| Symbol { name: name.clone(), id: 100, next_at: rng.u64(0..pace) };
        let limit = (binance::VENUE.rest_limit)(market);
        Self {
            symbols: names.iter().map(symbol).collect(),
            by_name: names.iter().cloned().zip(0..).collect(),
            subscribed: vec![false; count],
            shared_id: 1_000,
            pace,
            rng,
            now: SECOND,
            market,
            pipeline: Pipeline::new(&binance::VENUE, feed, encoder),
            weights: Weights::new(limit.per_minute, limit.burst, Mono(SECOND)),
            line: VecDeque::new(),
            retry_at: 0,
            answers: VecDeque::new(),
            left: Vec::new(),
            stale,
            waits_told: BTreeMap::new(),
            told_at: 0,
        }
    }

    fn step(&mut self, input: Input<'_>) {
        let now = Stamp { mono: Mono(self.now), wall: UnixNanos(1_700_000_000 * SECOND + self.now) };
        self.pipeline.step(input, now);
        let outbox = self.pipeline.outbox();
        assert!(outbox.reconnects.is_empty(), "{:?}", outbox.reconnects);
        for change in outbox.changes.drain(..) {
            let detail = change.status.detail.unwrap_or_default();
            if detail.contains("waits for the REST budget") {
                self.waits_told.insert(change.symbol, detail);
            }
        }
        outbox.frames.clear();
        let (requests, sends) = (std::mem::take(&mut outbox.requests), std::mem::take(&mut outbox.sends));
        for (_, request) in requests {
            let wait = self.weights.wait(request.weight, Mono(self.now));
            self.line.push_back(request);
            self.tell(self.line.len() - 1, wait);
        }
        for (_, text) in sends {
            self.receive(&text);
        }
    }

    /// What the driver does: says how long the call at this place of the line has to wait.
    fn tell(&mut self, at: usize, first: Duration) {
        let weight: u64 = self.line.iter().take(at).map(|request| u64::from(request.weight)).sum();
        let wait = first + self.weights.time_for(weight);
        if let Some(stream) = self.line[at].stream.filter(|_| wait > Duration::from_secs(1)) {
            let now = Stamp { mono: Mono(self.now), wall: UnixNanos(1_700_000_000 * SECOND + self.now) };
            self.pipeline.image_waits(stream, at, wait, now);
        }
    }

    /// A text from the gateway.
    fn receive(&mut self, text: &str) {
        let request: Value = serde_json::from_str(text).expect("JSON");
        let mut result = Value::Null;
        match request["method"].as_str().expect("a method") {
            "SUBSCRIBE" => {
                for name in request["params"].as_array().expect("params") {
                    let symbol =
                        name.as_str().and_then(|name| name.split('@').next()).expect("a symbol").to_uppercase();
                    self.subscribed[self.by_name[&symbol]] = true;
                }
            }
            "LIST_SUBSCRIPTIONS" => {
                let names = self.symbols.iter().map(|symbol| format!("{}@depth@100ms", symbol.name.to_lowercase()));
                result = names.collect();
            }
            other => panic!("{other} was not expected: no book is to be given up"),
        }
        let answer = json!({"result": result, "id": request["id"]}).to_string();
        self.step(Input::Text(answer.as_bytes()));
    }

    /// Lets out what the budget allows, in the order it was asked for.
    fn serve(&mut self) {
        while self.retry_at <= self.now
            && let Some(request) = self.line.front()
        {
            match self.weights.take(request.weight, Mono(self.now)) {
                Err(again) => self.retry_at = again.0,
                Ok(()) => {
                    self.left.push((self.now, request.weight));
                    let request = self.line.pop_front().expect("there is one");
                    let body = self.answer(&request.path);
                    self.answers.push_back((self.now + LATENCY, request.id, body));
                }
            }
        }
        if self.now >= self.told_at + 20 * SECOND {
            self.told_at = self.now;
            let first = self.line.front().map_or(0, |request| request.weight);
            let first = self.weights.wait(first, Mono(self.now));
            (0..self.line.len()).for_each(|at| self.tell(at, first));
        }
    }

    fn answer(&mut self, path: &str) -> String {
        if path.contains("exchangeInfo") {
            let item = |symbol: &Symbol| json!({"symbol": symbol.name, "baseAsset": "B", "quoteAsset": "USDT"});
            return json!({"symbols": self.symbols.iter().map(item).collect::<Vec<_>>()}).to_string();
        }
        let name = path.split("symbol=").nth(1).and_then(|rest| rest.split('&').next()).expect("a symbol");
        let symbol = &self.symbols[self.by_name[name]];
        let old = if self.stale > 0 { 90 } else { 0 };
        self.stale = self.stale.saturating_sub(1);
        let id = symbol.id - old;
        json!({"lastUpdateId": id, "bids": [["100", id.to_string()]], "asks": [["101", id.to_string()]]}).to_string()
    }

    /// Everything that happens at one moment.
    fn tick(&mut self) {
        while self.answers.front().is_some_and(|(at, ..)| *at <= self.now) {
            let (_, id, body) = self.answers.pop_front().expect("there is one");
            self.step(Input::Http { id, status: Some(200), body: body.as_bytes(), url: None });
        }
        for at in 0..self.symbols.len() {
            if self.symbols[at].next_at <= self.now {
                self.update(at);
            }
        }
        while self.pipeline.next_timeout().is_some_and(|timer| timer.at.0 <= self.now) {
            self.step(Input::Timeout);
            if self.pipeline.next_timeout().is_some_and(|timer| timer.at.0 <= self.now) {
                break;
            }
        }
        self.serve();
    }

    /// A symbol changes; whoever is subscribed is told.
    fn update(&mut self, at: usize) {
        let symbol = &mut self.symbols[at];
        let before = symbol.id;
        symbol.next_at = self.now + self.rng.u64(self.pace / 2..self.pace * 3 / 2);
        let spot = self.market == "spot";
        self.shared_id += self.rng.u64(1..5);
        symbol.id = if spot { before + self.rng.u64(1..4) } else { self.shared_id };
        let first = if spot { before + 1 } else { symbol.id };
        let (name, id) = (symbol.name.clone(), symbol.id);
        if !self.subscribed[at] {
            return;
        }
        let mut data = json!({
            "e": "depthUpdate", "E": 1, "s": name, "U": first, "u": id,
            "b": [["100", id.to_string()]], "a": [["101", id.to_string()]],
        });
        if !spot {
            data["pu"] = json!(before);
        }
        let text = json!({"stream": format!("{}@depth@100ms", name.to_lowercase()), "data": data}).to_string();
        self.step(Input::Text(text.as_bytes()));
    }

    fn live(&self) -> usize {
        let symbols = self.pipeline.report().symbols;
        symbols.iter().filter(|symbol| symbol.book && symbol.status.state == State::Live).count()
    }

    /// Runs until every book is live; says how long that took.
    fn run(&mut self, at_most: u64) -> Duration {
        self.step(Input::Connected);
        while self.live() < self.symbols.len() {
            assert!(self.now < at_most, "{} of {} live after {} s", self.live(), self.symbols.len(), self.now / SECOND);
            for _ in 0..20 {
                self.tick();
                self.now += 50 * MS;
            }
        }
        Duration::from_nanos(self.now - SECOND)
    }

    /// Every book is the venue's.
    fn check_books(&mut self) {
        for at in 0..self.symbols.len() {
            let symbol = &self.symbols[at];
            let topic = format!("book.binance.{}.{}.", self.market, symbol.name);
            let frame = self.pipeline.snapshot(&topic).unwrap_or_else(|| panic!("{topic} is not live"));
            let book: Value = serde_json::from_slice(&frame.payload).expect("JSON");
            let id = symbol.id.to_string();
            assert_eq!((&book["bids"], &book["asks"]), (&json!([["100", id]]), &json!([["101", id]])), "{topic}");
        }
    }

    /// Whatever the venue's minute, its limit was kept.
    fn check_weights(&self, limit: u32) {
        for (first, (from, _)) in self.left.iter().enumerate() {
            let minute = self.left[first..].iter().take_while(|(at, _)| *at < from + 60 * SECOND);
            let sum: u32 = minute.map(|(_, weight)| weight).sum();
            assert!(sum <= limit * 4 / 5, "{sum} in a minute, {limit} allowed");
        }
    }
}

/// How long so much weight takes at best.
fn arithmetic(weight: u32, per_minute: u32) -> Duration {
    Duration::from_secs_f64(f64::from(weight.saturating_sub(per_minute / 10)) * 60.0 / f64::from(per_minute))
}

fn cold_start(market: &'static str, count: usize, image: u32, pace: u64, venue_limit: u32) {
    let mut world = World::new(market, count, pace, 0);
    let per_minute = (binance::VENUE.rest_limit)(market).per_minute;
    let best = arithmetic(count as u32 * image, per_minute);
    let took = world.run(3_600 * SECOND);
    println!("{market}: {count} books live after {took:?}, at best {best:?}");
    // The last image waits for the next update of its symbol.
    assert!(took <= best.mul_f64(1.1) + Duration::from_nanos(2 * pace) + Duration::from_secs(2), "{took:?}, {best:?}");
    assert_eq!(world.left.len(), count + 1, "one image a symbol and the list");
    world.check_books();
    world.check_weights(venue_limit);
    let counters = world.pipeline.report().counters;
    assert_eq!((counters.gaps, counters.resyncs, counters.silences, counters.errors), (0, 0, 0, 0));
    let told = &world.waits_told;
    assert!(told.len() > count / 2, "most had to wait and were told so: {}", told.len());
    assert!(told.values().any(|text| text.starts_with("its image waits for the REST budget: ")), "{told:?}");
}

#[test]
fn two_hundred_spot_books() {
    cold_start("spot", 200, 50, SECOND, SPOT_LIMIT);
}

#[test]
fn two_hundred_futures_books() {
    cold_start("usdm", 200, 20, SECOND, FUTURES_LIMIT);
}

#[test]
fn a_thousand_quiet_spot_books() {
    cold_start("spot", 1_000, 50, 10 * SECOND, SPOT_LIMIT);
}

#[test]
fn images_of_a_while_ago_are_asked_for_again() {
    let mut world = World::new("spot", 20, SECOND, 5);
    let took = world.run(120 * SECOND);
    world.check_books();
    assert_eq!(world.left.len(), 20 + 1 + 5, "five more images, after {took:?}");
}

/// A symbol that does not change is live once a second image says the same, and gives its next update its due.
#[test]
fn quiet_symbols_become_live_too() {
    let mut world = World::new("usdm", 3, 3_600 * SECOND, 0);
    world.symbols.iter_mut().for_each(|symbol| symbol.next_at = 3_000 * SECOND);
    let took = world.run(100 * SECOND);
    assert!(took > Duration::from_secs(25) && took < Duration::from_secs(40), "{took:?}");
    world.check_books();
    for _ in 0..6_000 {
        world.tick();
        world.now += 100 * MS;
    }
    assert_eq!(
        (world.live(), world.left.len()),
        (3, 1 + 6),
        "ten minutes of silence cost nothing: the venue was asked"
    );
    world.update(0);
    world.check_books();
    let counters = world.pipeline.report().counters;
    assert_eq!((counters.gaps, counters.resyncs, counters.silences), (0, 0, 0));
    assert!(world.pipeline.outbox().frames.iter().all(|frame| matches!(frame, Outgoing::Frame(_))));
}
