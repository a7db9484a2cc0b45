//! Venue, network, pipeline and subscriber, stepped in virtual time.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use fastrand::Rng;
use tickbus::feed::FeedSpec;
use tickbus::frame::{EncoderSpec, Encoding};
use tickbus::model::{BookDepth, Channel, Mono, Stamp, Stream, UnixNanos};
use tickbus::pipeline::Pipeline;
use tickbus::venue::{Input, bybit};

use super::network::Link;
use super::subscriber::Subscriber;
use super::venue::Venue;

const MS: u64 = 1_000_000;
const SECOND: u64 = 1_000 * MS;
/// Faults happen until here.
const FAULTS_END: u64 = 12 * SECOND;
/// Everything is live from here on: the longest wait between two resyncs (60 s), three deadlines, a half-open
/// connection and a reconnect.
const ALL_LIVE: u64 = FAULTS_END + 130 * SECOND;
const END: u64 = ALL_LIVE + 5 * SECOND;
const NAMES: [&str; 3] = ["AAA", "BBB", "CCC"];

/// What was reached, so that a simulation that no longer reaches it is noticed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    reasons: BTreeSet<String>,
    gaps: u64,
    resyncs: u64,
    errors: u64,
    silences: u64,
    crossed: u64,
    reconnects: u64,
    restarts: u64,
    compared: u64,
}

impl Seen {
    pub(crate) fn add(&mut self, other: &Self) {
        self.reasons.extend(other.reasons.iter().cloned());
        self.gaps += other.gaps;
        self.resyncs += other.resyncs;
        self.errors += other.errors;
        self.silences += other.silences;
        self.crossed += other.crossed;
        self.reconnects += other.reconnects;
        self.restarts += other.restarts;
        self.compared += other.compared;
    }

    pub(crate) fn assert_all_reached(&self) {
        for reason in ["gap", "crossed", "invalid", "silence", "disconnected", "no_snapshot", "starting"] {
            assert!(self.reasons.contains(reason), "{reason} was never reached");
        }
        let counts =
            [self.gaps, self.resyncs, self.errors, self.silences, self.crossed, self.reconnects, self.restarts];
        assert!(counts.iter().all(|count| *count > 0) && self.compared > 10_000, "{self:?}");
    }
}

pub(crate) struct World {
    rng: Rng,
    now: u64,
    venue: Venue,
    pipeline: Pipeline,
    subscriber: Subscriber,
    to_client: Link,
    to_venue: Link,
    answers: Vec<(u64, u64)>,
    connected: bool,
    connect_at: u64,
    /// The connection looks open, and nothing comes through it any more.
    half_open: bool,
    next_tick: [u64; NAMES.len()],
    muted_until: [u64; NAMES.len()],
    seen: Seen,
}

fn encoder_spec(book_interval: Duration) -> EncoderSpec {
    EncoderSpec {
        feed: "f".to_owned(),
        venue: "bybit".to_owned(),
        market: "linear".to_owned(),
        account: None,
        epoch: 1,
        encoding: Encoding::Json,
        book_depth: 5,
        depth_of: HashMap::new(),
        book_interval,
        last_seq: Default::default(),
        feed_seq: Arc::new(AtomicU64::new(0)),
        clock: UnixNanos::default,
    }
}

impl World {
    pub(crate) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let channel = Channel::Book(BookDepth::Levels(50));
        let streams = NAMES.map(|name| Stream::new(name, channel)).to_vec();
        let feed = FeedSpec {
            market: "linear".to_owned(),
            streams,
            discover: false,
            silence: Duration::from_secs(5),
            ..FeedSpec::default()
        };
        let interval = Duration::from_millis(if rng.bool() { 0 } else { 200 });
        Self {
            venue: Venue::new(&NAMES, &mut rng),
            pipeline: Pipeline::new(&bybit::VENUE, feed, encoder_spec(interval)),
            subscriber: Subscriber::default(),
            to_client: Link::default(),
            to_venue: Link::default(),
            answers: Vec::new(),
            connected: false,
            connect_at: SECOND,
            half_open: false,
            next_tick: [SECOND; NAMES.len()],
            muted_until: [0; NAMES.len()],
            seen: Seen::default(),
            now: 0,
            rng,
        }
    }

    pub(crate) fn run(mut self) -> Seen {
        while self.now < END {
            self.now = self.next_moment().max(self.now);
            self.happen();
        }
        let counters = self.pipeline.report().counters;
        self.seen.reasons = std::mem::take(&mut self.subscriber.reasons);
        self.seen.gaps = counters.gaps;
        self.seen.resyncs = counters.resyncs;
        self.seen.errors = counters.errors;
        self.seen.silences = counters.silences;
        self.seen.crossed = counters.crossed;
        self.seen
    }

    fn next_moment(&self) -> u64 {
        let ticks = self.next_tick.iter().copied();
        let connect = (!self.connected).then_some(self.connect_at);
        let timer = self.pipeline.next_timeout().filter(|_| self.connected).map(|timer| timer.at.0);
        let answers = self.answers.iter().map(|(at, _)| *at);
        let links = [self.to_client.next(), self.to_venue.next()];
        ticks.chain(connect).chain(timer).chain(answers).chain(links.into_iter().flatten()).min().unwrap_or(END)
    }

    /// How many of a thousand messages suffer each fault now.
    const fn faults(&self) -> u32 {
        if self.now < FAULTS_END { 8 } else { 0 }
    }

    fn hit(&mut self, of_ten_thousand: u32) -> bool {
        self.now < FAULTS_END && self.rng.u32(0..10_000) < of_ten_thousand
    }

    /// Everything that is due now.
    fn happen(&mut self) {
        if !self.connected && self.connect_at <= self.now {
            self.connected = true;
            self.venue.connected();
            self.step(Input::Connected);
        }
        for market in 0..NAMES.len() {
            if self.next_tick[market] <= self.now {
                self.tick(market);
            }
        }
        while let Some(request) = self.to_venue.take(self.now) {
            let request = String::from_utf8(request).expect("the client sends UTF-8");
            for message in self.venue.answer(&request) {
                self.deliver(&message, self.faults());
            }
        }
        while let Some(at) = self.answers.iter().position(|(at, _)| *at <= self.now) {
            let (_, id) = self.answers.swap_remove(at);
            let body = r#"{"retCode":0,"retMsg":"OK","result":{"list":[{"symbol":"AAA","contractType":"LinearPerpetual","baseCoin":"A","quoteCoin":"AA"}],"nextPageCursor":""}}"#;
            let status = if self.rng.bool() { Some(200) } else { None };
            self.step(Input::Http { id, status, body: body.as_bytes(), url: None });
        }
        while let Some(message) = self.to_client.take(self.now) {
            self.step(Input::Text(&message));
        }
        if self.connected && self.pipeline.next_timeout().is_some_and(|timer| timer.at.0 <= self.now) {
            self.step(Input::Timeout);
            let again = self.pipeline.next_timeout().filter(|_| self.connected);
            assert!(again.is_none_or(|timer| timer.at.0 > self.now), "a timer stays in the past: {again:?}");
        }
        if self.connected && self.hit(5) {
            self.disconnect();
        }
        self.half_open |= self.hit(1);
    }

    /// The venue's book of one symbol changes, and usually says so.
    fn tick(&mut self, market: usize) {
        let slow = self.now >= FAULTS_END;
        self.next_tick[market] = self.now + if slow { SECOND } else { self.rng.u64(20..250) * MS };
        if self.hit(20) {
            self.muted_until[market] = self.now + self.rng.u64(1..9) * SECOND;
        }
        if self.hit(10) {
            self.next_tick[market] += self.rng.u64(1..12) * SECOND;
        }
        let spoiled = self.hit(20);
        let mut message = self.venue.markets[market].tick(spoiled, &mut self.rng);
        let mut faults = self.faults();
        if self.hit(15)
            && let Some(restart) = self.venue.markets[market].restart()
        {
            self.seen.restarts += 1;
            (message, faults) = (restart, 0);
        } else if self.hit(15) {
            message = self.venue.snapshot(market);
        }
        if self.connected && self.venue.is_subscribed(market) && self.muted_until[market] <= self.now {
            self.deliver(&message, faults);
        }
    }

    fn deliver(&mut self, message: &str, faults: u32) {
        if !self.half_open {
            self.to_client.send(message.as_bytes(), self.now, faults, &mut self.rng);
        }
    }

    fn disconnect(&mut self) {
        self.connected = false;
        self.half_open = false;
        self.connect_at = self.now + self.rng.u64(250..3_000) * MS;
        self.to_client.clear();
        self.to_venue.clear();
        self.step(Input::Disconnected);
    }

    fn stamp(&self) -> Stamp {
        Stamp { mono: Mono(self.now), wall: UnixNanos(self.now) }
    }

    /// Steps the pipeline, does what it asks for, and checks every promise.
    fn step(&mut self, input: Input<'_>) {
        self.pipeline.step(input, self.stamp());
        let outbox = std::mem::take(self.pipeline.outbox());
        assert!(outbox.frames.len() < 60 && outbox.sends.len() < 10 && outbox.requests.len() < 10, "too much at once");
        for (_, text) in &outbox.sends {
            self.to_venue.send(text.as_bytes(), self.now, 0, &mut self.rng);
        }
        for (_, request) in &outbox.requests {
            self.answers.push((self.now + self.rng.u64(1..3_000) * MS, request.id));
        }
        for outgoing in &outbox.frames {
            self.subscriber.take(outgoing);
        }
        if !outbox.frames.is_empty() {
            self.check();
        }
        if !outbox.reconnects.is_empty() && self.connected {
            self.seen.reconnects += 1;
            self.disconnect();
        }
    }

    fn check(&mut self) {
        for (at, market) in self.venue.markets.iter().enumerate() {
            let live = self.subscriber.live(&market.name);
            if let Some((u, levels)) = live {
                let truths = market.history.get(&u).map_or(&[][..], Vec::as_slice);
                assert!(truths.contains(levels), "{} at {u} is not the venue's", market.name);
                self.seen.compared += 1;
            }
            let topic = format!("book.bybit.linear.{}.", market.name);
            assert!(live.is_some() || !self.subscriber.retains_book(topic.as_bytes()), "{topic} is given to joiners");
            assert!(live.is_none() || self.connected, "{} is live without a connection", market.name);
            if self.now >= ALL_LIVE {
                let (u, _) = live.unwrap_or_else(|| panic!("{} is not live again", market.name));
                assert!(market.u.abs_diff(u) <= 2, "{} is at {u}, the venue at {}", market.name, market.u);
            }
            if at == self.now as usize % NAMES.len() {
                let frame = self.pipeline.snapshot(&topic);
                self.subscriber.check_snapshot(&market.name, frame.as_ref());
            }
        }
    }
}
