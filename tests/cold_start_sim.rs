//! A thousand books from nothing against the simulated Binance itself, in virtual time: its sessions, its weights, its bans.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{HashMap, VecDeque};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use tickbus::feed::{FeedSpec, State};
use tickbus::frame::{EncoderSpec, Encoding, LastSeq};
use tickbus::io::weights::Weights;
use tickbus::model::{BookDepth, Channel, Mono, Stamp, Stream, UnixNanos};
use tickbus::pipeline::Pipeline;
use tickbus::sim::Options;
use tickbus::sim::binance::{Session, Venue};
use tickbus::sim::venue::{Asked, Beat, Published, Reply, Session as _, Venue as _};
use tickbus::venue::{HttpRequest, Input, binance};

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
const LATENCY: u64 = 80 * MS;
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct World {
    now: u64,
    venue: Venue,
    session: Session,
    pipeline: Pipeline,
    weights: Weights,
    line: VecDeque<HttpRequest>,
    retry_at: u64,
    told_at: u64,
    answers: VecDeque<(u64, u64, u16, String)>,
}

fn at(now: u64) -> Stamp {
    Stamp { mono: Mono(now), wall: UnixNanos(1_700_000_000 * SECOND + now) }
}

fn pipeline(market: &str, symbols: &[String]) -> Pipeline {
    let channel = Channel::Book(BookDepth::Levels(1000));
    let feed = FeedSpec {
        market: market.to_owned(),
        streams: symbols.iter().map(|name| Stream::new(name, channel)).collect(),
        // Markets of the simulator move at random, and some rest for long.
        silence: Duration::from_secs(300),
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
        book_interval: Duration::from_secs(1),
        last_seq: LastSeq::default(),
        feed_seq: Arc::new(AtomicU64::new(0)),
        clock: UnixNanos::default,
    };
    Pipeline::new(&binance::VENUE, feed, encoder)
}

impl World {
    fn new(market: &str, path: &str, count: usize, rate: u32) -> Self {
        let now = SECOND;
        let (venue, symbols) = ("binance".to_owned(), vec![count.to_string()]);
        let mut venue = Venue::open(&Options { venue, symbols, rate, seed: 5, ..Options::default() }, at(now));
        let session = venue.connect(&Asked::get(path, "", HOME), 1, at(now)).expect("a connection");
        let symbols: Vec<String> = (1..=count).map(|n| format!("SIM{n:04}USDT")).collect();
        let limit = (binance::VENUE.rest_limit)(market);
        Self {
            now,
            venue,
            session,
            pipeline: pipeline(market, &symbols),
            weights: Weights::new(limit.per_minute, limit.burst, Mono(now)),
            line: VecDeque::new(),
            retry_at: 0,
            told_at: 0,
            answers: VecDeque::new(),
        }
    }

    fn step(&mut self, input: Input<'_>) {
        self.pipeline.step(input, at(self.now));
        let outbox = self.pipeline.outbox();
        assert!(outbox.reconnects.is_empty(), "{:?}", outbox.reconnects);
        outbox.frames.clear();
        outbox.changes.clear();
        let (requests, sends) = (std::mem::take(&mut outbox.requests), std::mem::take(&mut outbox.sends));
        for (_, request) in requests {
            self.line.push_back(request);
            self.tell(self.line.len() - 1);
        }
        for (_, text) in sends {
            let replies = self.session.on_text(&text, at(self.now), &mut self.venue, &mut |_| false);
            self.take(replies);
        }
    }

    /// What the driver does: says how long the call at this place of the line has to wait.
    fn tell(&mut self, place: usize) {
        let weight: u64 = self.line.iter().take(place).map(|request| u64::from(request.weight)).sum();
        let wait = self.weights.time_for(weight);
        if let Some(stream) = self.line[place].stream.filter(|_| wait > Duration::from_secs(1)) {
            self.pipeline.image_waits(stream, place, wait, at(self.now));
        }
    }

    fn take(&mut self, replies: Vec<Reply>) {
        for reply in replies {
            match reply {
                Reply::Control(text) | Reply::Pong(text) => self.step(Input::Text(text.as_bytes())),
                Reply::Data(message) => self.step(Input::Text(&message.text)),
                Reply::Ping(payload) => {
                    let replies = self.session.on_beat(Beat::Pong(&payload), at(self.now));
                    self.take(replies);
                }
                Reply::Close(code, reason) => panic!("closed with {code}: {reason}"),
            }
        }
    }

    /// Lets out what the budget allows, in the order it was asked for.
    fn serve(&mut self) {
        while self.retry_at <= self.now
            && let Some(request) = self.line.front()
        {
            if let Err(again) = self.weights.take(request.weight, Mono(self.now)) {
                self.retry_at = again.0;
                break;
            }
            let request = self.line.pop_front().expect("there is one");
            let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
            let answer = self.venue.answer(&Asked::get(path, query, HOME), at(self.now));
            let used = answer.headers.iter().find(|(name, _)| *name == "X-MBX-USED-WEIGHT-1M");
            let used = used.and_then(|(_, used)| used.parse().ok()).expect("the weight that is used");
            self.weights.used(used, Mono(self.now));
            self.answers.push_back((self.now + LATENCY, request.id, answer.status, answer.body));
        }
        if self.now >= self.told_at + 20 * SECOND {
            self.told_at = self.now;
            (0..self.line.len()).for_each(|place| self.tell(place));
        }
    }

    fn tick(&mut self) {
        while self.answers.front().is_some_and(|(due, ..)| *due <= self.now) {
            let (_, id, status, body) = self.answers.pop_front().expect("there is one");
            self.step(Input::Http { id, status: Some(status), body: body.as_bytes(), url: None });
        }
        if self.session.alarm().0 <= self.now {
            let replies = self.session.on_alarm(at(self.now));
            self.take(replies);
        }
        let mut published: Vec<Published> = Vec::new();
        self.venue.tick(at(self.now), &mut published);
        for message in published {
            if self.session.wants(&message) {
                let message = self.session.framed(message);
                self.step(Input::Text(&message.text));
            }
        }
        if self.pipeline.next_timeout().is_some_and(|timer| timer.at.0 <= self.now) {
            self.step(Input::Timeout);
        }
        self.serve();
    }

    fn live(&self) -> usize {
        let symbols = self.pipeline.report().symbols;
        symbols.iter().filter(|symbol| symbol.book && symbol.status.state == State::Live).count()
    }
}

fn cold_start(market: &str, path: &str, count: usize, image: u32, rate: u32) {
    let mut world = World::new(market, path, count, rate);
    let limit = (binance::VENUE.rest_limit)(market);
    let weight = (count as u32 * image).saturating_sub(limit.burst);
    let best = Duration::from_secs_f64(f64::from(weight) * 60.0 / f64::from(limit.per_minute));
    world.step(Input::Connected);
    let end = world.now + (best.as_nanos() as u64).saturating_mul(2);
    while world.live() < count {
        assert!(world.now < end, "{} of {count} live after twice the time", world.live());
        for _ in 0..10 {
            world.tick();
            world.now += 100 * MS;
        }
    }
    let took = Duration::from_nanos(world.now - SECOND);
    println!("{market}: {count} books of the simulator live after {took:?}; the arithmetic says {best:?}");
    assert!(took <= best.mul_f64(1.1), "{took:?}, at best {best:?}");
    let stats = world.venue.stats(at(world.now));
    let pool = if market == "spot" { &stats["spot"] } else { &stats["futures"] };
    assert_eq!((pool["too_many"].as_u64(), pool["banned"].as_u64()), (Some(0), Some(0)), "{stats}");
    assert!(pool["most"].as_u64() <= pool["limit"].as_u64(), "{stats}");
    // One image a symbol and the list, and another one for the few that do not change for half a minute.
    let requests = pool["requests"].as_u64().expect("a count");
    assert!((count as u64 + 1..=count as u64 * 51 / 50).contains(&requests), "{stats}");
    let counters = world.pipeline.report().counters;
    assert_eq!((counters.gaps, counters.resyncs, counters.silences, counters.errors), (0, 0, 0, 0));
}

#[test]
fn a_thousand_spot_books() {
    cold_start("spot", "/stream", 1_000, 50, 150);
}

#[test]
fn a_thousand_futures_books() {
    cold_start("usdm", "/public/stream", 1_000, 20, 150);
}
