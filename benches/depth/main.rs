//! How fast one core replays Binance depth: a stream like that of `@depth@0ms` through the session, the book and the
//! encoder, and the depth messages of real recordings where `TICKBUS_CAPTURES` names their folder.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::Read;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use fastrand::Rng;
use rustix::time::{ClockId, clock_gettime};
use tickbus::clock;
use tickbus::feed::{Event, Feed, FeedOutput, FeedSpec, Outcome, Symbol};
use tickbus::frame::{EncoderSpec, Encoding};
use tickbus::model::{Mono, Stamp, Stream, StreamId, UnixNanos};
use tickbus::pipeline::Pipeline;
use tickbus::venue::binance::VENUE;
use tickbus::venue::{HttpRequest, Input, LinkId, Output, RpcRequest, SessionSpec, Update};

/// What a replay shall reach.
const TARGET: f64 = 1_000_000.0;
/// Levels a side of the image.
const LEVELS: u64 = 1_000;
/// Level changes a message: recordings have 8 (ETHUSD_PERP) to 57 (BTCUSDT at its busiest).
const CHANGES: [u64; 3] = [2, 8, 22];
/// Which of them the target is for.
const JUDGED: usize = 1;

/// Messages of one symbol, and the image they build on.
struct Depth {
    name: String,
    market: &'static str,
    image: String,
    messages: Vec<String>,
    changes: usize,
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let (count, rounds) = if quick { (50_000, 3) } else { (300_000, 5) };
    let mut all: Vec<Depth> = CHANGES.into_iter().map(|changes| generated(changes, count)).collect();
    if let Some(folder) = std::env::var_os("TICKBUS_CAPTURES") {
        let recordings =
            [("usdm", "btcusdt_20240718"), ("coinm", "ethusd_perp_20240808"), ("spot", "btcusdt_20240808")];
        all.extend(recordings.into_iter().filter_map(|(market, name)| recorded(Path::new(&folder), market, name)));
    }
    println!(
        "{:<34} {:>6} {:>7} {:>7} | {:>8} {:>8} {:>8} | {:>10} {:>9}",
        "CPU ns a message", "bytes", "levels", "", "parse", "+ apply", "+ frames", "messages/s", "levels/s"
    );
    let mut judged = 0.0_f64;
    for (at, depth) in all.iter().enumerate() {
        let count = depth.messages.len() as f64;
        let fastest = |work: fn(&Depth) -> u64| {
            let one = || {
                let start = cpu_nanos();
                assert!(black_box(work(depth)) >= depth.messages.len() as u64, "{}: messages were lost", depth.name);
                (cpu_nanos() - start) as f64 / count
            };
            (0..rounds).map(|_| one()).fold(f64::INFINITY, f64::min)
        };
        let [parse, apply, frames] = [fastest(parsed), fastest(applied), fastest(published)];
        let bytes: usize = depth.messages.iter().map(String::len).sum();
        let (per_second, levels) = (1e9 / apply, depth.changes as f64 / count);
        judged = if at == JUDGED { per_second } else { judged };
        println!(
            "{:<34} {:>6.0} {:>7.1} {:>7} | {parse:>8.0} {apply:>8.0} {frames:>8.0} | {per_second:>10.0} {:>9.0}",
            depth.name,
            bytes as f64 / count,
            levels,
            "",
            per_second * levels,
        );
    }
    let word = if judged >= TARGET { "PASS" } else { "MISS" };
    let changes = CHANGES[JUDGED];
    println!(
        "\n{word} {judged:.0} messages/s with {changes} levels a message, target {TARGET:.0}. With more of them it is the"
    );
    println!(
        "levels a second that limit it: a third of their time is reading two decimals each, the rest is the book."
    );
}

/// CPU time of this thread. The whole work is done on it.
fn cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

// What is replayed.

fn side(out: &mut String, levels: impl Iterator<Item = (u64, u64)>) {
    for (at, (price, size)) in levels.enumerate() {
        let comma = if at == 0 { "" } else { "," };
        // Writing to a String cannot fail.
        let _ = write!(out, r#"{comma}["{}.{:02}","{}.{:03}"]"#, price / 100, price % 100, size / 1000, size % 1000);
    }
}

/// A market whose changes crowd at the touch.
fn generated(changes: u64, count: usize) -> Depth {
    let mut rng = Rng::with_seed(changes);
    let (mut bids, mut asks) = (String::new(), String::new());
    let touch = 6_394_390_u64;
    side(&mut bids, (1..=LEVELS).map(|n| (touch - n * 10, 1_000 + n)));
    side(&mut asks, (1..=LEVELS).map(|n| (touch + n * 10, 1_000 + n)));
    let image = format!(r#"{{"lastUpdateId":1000,"E":1,"T":1,"bids":[{bids}],"asks":[{asks}]}}"#);
    let mut id = 1_000_u64;
    let mut message = || {
        let (mut bids, mut asks) = (String::new(), String::new());
        let mut change = |sign: i64| {
            let near = rng.u64(1..=30) * rng.u64(1..=30);
            let price = touch.saturating_add_signed(sign * (near as i64) * 10);
            // The touch itself stays, so that the book is never empty or crossed.
            (price, if near > 1 && rng.bool() { 0 } else { rng.u64(1..100_000) })
        };
        let (of_bids, of_asks): (Vec<_>, Vec<_>) =
            ((0..changes / 2).map(|_| change(-1)).collect(), (changes / 2..changes).map(|_| change(1)).collect());
        side(&mut bids, of_bids.into_iter());
        side(&mut asks, of_asks.into_iter());
        let before = id;
        id += 3;
        format!(
            r#"{{"stream":"btcusdt@depth@0ms","data":{{"e":"depthUpdate","E":1721347022504,"T":1721347022504,"s":"BTCUSDT","U":{},"u":{id},"pu":{before},"b":[{bids}],"a":[{asks}]}}}}"#,
            before + 1
        )
    };
    let messages: Vec<String> = (0..count).map(|_| message()).collect();
    Depth {
        name: format!("generated, {changes} levels a message"),
        market: "usdm",
        image,
        messages,
        changes: count * changes as usize,
    }
}

/// The depth messages of a recording that follow on its image, several times over, each time a new replay.
fn recorded(folder: &Path, market: &'static str, name: &str) -> Option<Depth> {
    let bytes = std::fs::read(folder.join(format!("binance/{market}/{name}.jsonl.gz"))).ok()?;
    let mut text = String::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_string(&mut text).ok()?;
    let message = |line: &str| {
        let at = line.find(",\"msg\":")? + 7;
        Some(line.get(at..line.rfind('}')?)?.to_owned())
    };
    let image = text.lines().find(|line| line.contains("\"kind\":\"rest\"")).and_then(message)?;
    let depth = text.lines().filter(|line| line.contains("@depth@"));
    let messages: Vec<String> = depth.filter_map(message).collect();
    let changes = messages.iter().map(|text| text.matches("[\"").count()).sum();
    Some(Depth { name: format!("{market} {name}"), market, image, messages, changes })
}

// The work.

/// Counts updates.
#[derive(Default)]
struct Updates(u64);

impl Output for Updates {
    fn send(&mut self, _: String) {}
    fn http(&mut self, _: HttpRequest) {}
    fn rpc(&mut self, _: RpcRequest) {}
    fn answer(&mut self, _: u64, _: String) {}
    fn update(&mut self, update: Update<'_>) {
        self.0 += u64::from(matches!(black_box(update), Update::Book(_)));
    }
    fn discovered(&mut self, _: Stream) -> Option<StreamId> {
        Some(StreamId(0))
    }
    fn reconnect(&mut self, reason: String) {
        panic!("{reason}");
    }
    fn replace(&mut self, _: &str) {}
}

/// Counts events.
#[derive(Default)]
struct Events(u64);

impl FeedOutput for Events {
    fn send(&mut self, _: LinkId, _: String) {}
    fn http(&mut self, _: LinkId, _: HttpRequest) {}
    fn rpc(&mut self, _: RpcRequest) {}
    fn answer(&mut self, _: u64, _: String) {}
    fn reconnect(&mut self, _: LinkId, reason: String) {
        panic!("{reason}");
    }
    fn settled(&mut self, _: StreamId, _: Outcome<'_>) {}
    fn event(&mut self, _: &Symbol, event: Event<'_>) {
        self.0 += u64::from(matches!(black_box(event), Event::Delta { .. }));
    }
}

const fn at(number: usize) -> Stamp {
    Stamp { mono: Mono(1_000_000_000 + number as u64 * 1_000_000), wall: UnixNanos(0) }
}

fn parsed(depth: &Depth) -> u64 {
    let spec = SessionSpec { discover: true, ..SessionSpec::of(depth.market, Vec::new()) };
    let (mut session, mut updates) = ((VENUE.open)(spec), Updates::default());
    for (number, message) in depth.messages.iter().enumerate() {
        session.handle(Input::Text(message.as_bytes()), at(number), &mut updates);
    }
    updates.0
}

/// Hands in the first message, which tells the symbol, then the image, then everything.
fn replay(depth: &Depth, mut step: impl FnMut(Input<'_>, Stamp)) {
    step(Input::Text(depth.messages[0].as_bytes()), at(0));
    step(Input::Http { id: 0, status: Some(200), body: depth.image.as_bytes(), url: None }, at(0));
    for (number, message) in depth.messages.iter().enumerate() {
        step(Input::Text(message.as_bytes()), at(number));
    }
}

fn spec(depth: &Depth) -> FeedSpec {
    let (market, silence) = (depth.market.to_owned(), Duration::MAX);
    FeedSpec { market, streams: Vec::new(), discover: true, silence, ..FeedSpec::default() }
}

fn applied(depth: &Depth) -> u64 {
    let (mut feed, mut events) = (Feed::new(&VENUE, spec(depth)), Events::default());
    replay(depth, |input, now| feed.handle(input, now, &mut events));
    let counters = feed.report().counters;
    assert_eq!((counters.gaps, counters.errors, counters.crossed), (0, 0, 0), "{}", depth.name);
    // What came before the image is in none of them.
    counters.deltas + 100
}

fn published(depth: &Depth) -> u64 {
    let encoder = EncoderSpec {
        feed: "bench".to_owned(),
        venue: "binance".to_owned(),
        market: depth.market.to_owned(),
        account: None,
        epoch: 1,
        encoding: Encoding::Json,
        book_depth: 25,
        depth_of: Default::default(),
        book_interval: Duration::from_millis(100),
        last_seq: Default::default(),
        feed_seq: Arc::default(),
        clock: clock::wall,
    };
    let (mut pipeline, mut frames) = (Pipeline::new(&VENUE, spec(depth), encoder), 0);
    replay(depth, |input, now| {
        pipeline.step(input, now);
        frames += pipeline.outbox().frames.drain(..).count() as u64;
    });
    frames + 100
}
