//! CPU time per message of each stage of the pipeline, beside a plain serde_json -> BTreeMap -> serde_json pipeline that
//! makes the same frames from the same stream. Rounds of both alternate, so that the machine's moods hit both.

mod stream;
mod yardstick;

use std::collections::BTreeMap;
use std::hint::black_box;
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use tickbus::clock;
use tickbus::feed::{Event, Feed, FeedOutput, Outcome, Symbol};
use tickbus::frame::{Encoding, Frame, Outgoing};
use tickbus::model::{Level, Stream, StreamId, UnixNanos};
use tickbus::pipeline::Pipeline;
use tickbus::store::{Store, StoreLimits};
use tickbus::venue::bybit::VENUE;
use tickbus::venue::{HttpRequest, Input, LinkId, Output, RpcRequest, SessionSpec, Update};

use self::stream::{Recorded, encoder, feed};
use self::yardstick::{Yardstick, parse};

/// The run's start in every frame.
const EPOCH: u64 = 1_795_262_400_000;
/// Levels a side in `book` frames.
const BOOK_DEPTH: u16 = 25;
/// Least stream time between two `book` frames of a symbol.
const BOOK_INTERVAL: Duration = Duration::from_millis(100);
/// The most the whole pipeline may cost, in yardsticks.
const TARGET: f64 = 0.5;

/// One measured piece of work: its name, and the CPU nanoseconds per message of each round.
struct Stage {
    name: &'static str,
    work: fn(&Recorded) -> u64,
    rounds: Vec<f64>,
}

fn main() {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let (messages, rounds) = if quick { (100_000, 3) } else { (500_000, 7) };
    let recorded = Recorded::generate(1, messages);
    println!(
        "stream: {messages} messages, {:.1} bytes each, {} symbols, {:.1} level changes a delta, {} trade messages",
        recorded.bytes as f64 / messages as f64,
        recorded.symbols.len(),
        recorded.changes as f64 / recorded.deltas as f64,
        recorded.trade_messages,
    );
    verify(&recorded);
    let mut stages = [
        ("parse", parse_only as fn(&Recorded) -> u64),
        ("yardstick parse", yardstick_parse),
        ("parse + check + apply", apply),
        ("yardstick parse + check + apply", yardstick_apply),
        ("whole pipeline, JSON frames", whole_json),
        ("yardstick whole pipeline, JSON frames", yardstick_whole),
        ("whole pipeline, MessagePack frames", whole_msgpack),
        ("whole pipeline, JSON frames, kept", whole_kept),
    ]
    .map(|(name, work)| Stage { name, work, rounds: Vec::new() });
    for _ in 0..rounds {
        for stage in &mut stages {
            let start = cpu_nanos();
            black_box((stage.work)(&recorded));
            stage.rounds.push((cpu_nanos() - start) as f64 / messages as f64);
        }
    }
    print_table(&stages, rounds);
}

/// CPU time of this thread. The whole work is done on it.
fn cpu_nanos() -> u64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
}

fn print_table(stages: &[Stage], rounds: usize) {
    let best = |at: usize| stages[at].rounds.iter().copied().fold(f64::INFINITY, f64::min);
    let median = |at: usize| {
        let mut sorted = stages[at].rounds.clone();
        sorted.sort_by(f64::total_cmp);
        sorted[sorted.len() / 2]
    };
    println!("\nCPU ns per message over {rounds} rounds (ratios of medians):");
    println!("{:<40} {:>8} {:>8} {:>14}", "stage", "min", "median", "of yardstick");
    let row = |name: &str, at: [f64; 2], yardstick: Option<f64>| {
        let ratio = yardstick.map_or_else(String::new, |yardstick| format!("{:.2}", at[1] / yardstick));
        println!("{name:<40} {:>8.0} {:>8.0} {ratio:>14}", at[0], at[1]);
    };
    for (ours, theirs) in [(0, 1), (2, 3), (4, 5), (6, 5), (7, 5)] {
        row(stages[ours].name, [best(ours), median(ours)], Some(median(theirs)));
    }
    let encode = |whole: usize, applied: usize| [best(whole) - best(applied), median(whole) - median(applied)];
    let (ours, theirs) = (encode(4, 2), encode(5, 3));
    row("encode (whole less parse + check + apply)", ours, Some(theirs[1]));
    for at in [1, 3, 5] {
        row(stages[at].name, [best(at), median(at)], None);
    }
    row("yardstick encode", theirs, None);
    let ratio = median(4) / median(5);
    let word = if ratio <= TARGET { "PASS" } else { "MISS" };
    println!("\n{word} whole pipeline with JSON frames: {ratio:.2} of the yardstick, target at most {TARGET}");
}

// The work.

/// Takes a session's updates and counts them.
#[derive(Default)]
struct Updates(u64);

impl Output for Updates {
    fn send(&mut self, _: String) {}
    fn http(&mut self, _: HttpRequest) {}
    fn update(&mut self, update: Update<'_>) {
        self.0 += u64::from(!matches!(black_box(update), Update::Ignored(_)));
    }

    fn rpc(&mut self, _: RpcRequest) {}

    fn answer(&mut self, _: u64, _: String) {}
    fn discovered(&mut self, _: Stream) -> Option<StreamId> {
        Some(StreamId(0))
    }
    fn reconnect(&mut self, reason: String) {
        panic!("{reason}");
    }
    fn replace(&mut self, reason: &str) {
        panic!("{reason}");
    }
}

fn parse_only(recorded: &Recorded) -> u64 {
    let spec = SessionSpec::of("linear", recorded.streams());
    let (mut session, mut updates) = ((VENUE.open)(spec), Updates::default());
    for message in &recorded.messages {
        session.handle(Input::Text(message.text.as_bytes()), message.now, &mut updates);
    }
    updates.0
}

fn yardstick_parse(recorded: &Recorded) -> u64 {
    for message in &recorded.messages {
        black_box(parse(&message.text));
    }
    0
}

/// Takes a feed's events and counts them.
#[derive(Default)]
struct Events(u64);

impl FeedOutput for Events {
    fn send(&mut self, _: LinkId, _: String) {}
    fn http(&mut self, _: LinkId, _: HttpRequest) {}
    fn reconnect(&mut self, _: LinkId, reason: String) {
        panic!("{reason}");
    }
    fn settled(&mut self, _: StreamId, _: Outcome<'_>) {}

    fn rpc(&mut self, _: RpcRequest) {}

    fn answer(&mut self, _: u64, _: String) {}
    fn event(&mut self, _: &Symbol, event: Event<'_>) {
        self.0 += u64::from(matches!(black_box(event), Event::Delta { .. } | Event::Trade(_)));
    }
}

fn applied(recorded: &Recorded) -> (Feed, u64) {
    let (mut feed, mut events) = (Feed::new(&VENUE, feed(recorded)), Events::default());
    for message in &recorded.messages {
        feed.handle(Input::Text(message.text.as_bytes()), message.now, &mut events);
    }
    (feed, events.0)
}

fn apply(recorded: &Recorded) -> u64 {
    applied(recorded).1
}

fn yardstick_apply(recorded: &Recorded) -> u64 {
    let mut yardstick = Yardstick::new(&recorded.symbols, BOOK_INTERVAL, BOOK_DEPTH, clock::wall);
    recorded.messages.iter().for_each(|message| yardstick.apply(&message.text));
    yardstick.book(&recorded.symbols[0]).u
}

fn whole(recorded: &Recorded, encoding: Encoding, clock: fn() -> UnixNanos, mut take: impl FnMut(&Frame)) -> u64 {
    let mut pipeline = Pipeline::new(&VENUE, feed(recorded), encoder(encoding, clock));
    let mut frames = 0;
    for message in &recorded.messages {
        pipeline.step(Input::Text(message.text.as_bytes()), message.now);
        for work in pipeline.outbox().frames.drain(..) {
            if let Outgoing::Frame(frame) = &work {
                take(frame);
                frames += 1;
            }
        }
    }
    frames
}

fn whole_json(recorded: &Recorded) -> u64 {
    whole(recorded, Encoding::Json, clock::wall, |frame| {
        black_box(frame);
    })
}

/// With the store of the latest values, as the gateway has it; each frame is a batch.
fn whole_kept(recorded: &Recorded) -> u64 {
    let store = Store::new(StoreLimits::default());
    let mut batch = Vec::new();
    let count = whole(recorded, Encoding::Json, clock::wall, |frame| {
        batch.push(Outgoing::Frame(frame.clone()));
        store.record(&mut batch);
        batch.clear();
    });
    black_box(store.stats());
    count
}

fn whole_msgpack(recorded: &Recorded) -> u64 {
    whole(recorded, Encoding::MessagePack, clock::wall, |frame| {
        black_box(frame);
    })
}

fn yardstick_frames(recorded: &Recorded, clock: fn() -> UnixNanos, mut take: impl FnMut(&Frame)) -> Yardstick {
    let mut yardstick = Yardstick::new(&recorded.symbols, BOOK_INTERVAL, BOOK_DEPTH, clock);
    let mut frames = Vec::new();
    for message in &recorded.messages {
        yardstick.step(&message.text, message.now, &mut frames);
        frames.drain(..).for_each(|frame| take(&frame));
    }
    yardstick
}

fn yardstick_whole(recorded: &Recorded) -> u64 {
    let yardstick = yardstick_frames(recorded, clock::wall, |frame| {
        black_box(frame);
    });
    yardstick.book(&recorded.symbols[0]).u
}

// The proof that both do the same.

/// Frames and bytes of a topic, and a checksum over all of its payloads.
type Tally = BTreeMap<String, (u64, usize, u32)>;

fn tally(tally: &mut Tally, frame: &Frame) {
    let entry = tally.entry(String::from_utf8_lossy(&frame.topic).into_owned()).or_default();
    let mut checksum = crc32fast::Hasher::new_with_initial(entry.2);
    checksum.update(&frame.payload);
    *entry = (entry.0 + 1, entry.1 + frame.payload.len(), checksum.finalize());
}

/// Both pipelines must make the same frames, byte for byte, and end with the generator's books.
fn verify(recorded: &Recorded) {
    let still = || UnixNanos(1_795_262_400_123_456_789);
    let (mut ours, mut theirs) = (Tally::new(), Tally::new());
    whole(recorded, Encoding::Json, still, |frame| tally(&mut ours, frame));
    ours.retain(|topic, _| !topic.starts_with("status."));
    let yardstick = yardstick_frames(recorded, still, |frame| tally(&mut theirs, frame));
    assert_eq!(ours, theirs, "the pipelines make different frames");
    let feed = applied(recorded).0;
    for (symbol, truth) in &recorded.truth {
        let (_, view) = feed.symbol_id(symbol).and_then(|id| feed.book(id)).expect("a live book");
        let spell = |levels: &[Level]| levels.iter().map(|l| format!("{} {}", l.price, l.size)).collect::<Vec<_>>();
        let want = (truth.u, spell(&truth.bids), spell(&truth.asks));
        let got = (view.venue_seq, view.book.bids().collect::<Vec<_>>(), view.book.asks().collect::<Vec<_>>());
        assert_eq!((got.0, spell(&got.1), spell(&got.2)), want, "the book of {symbol}");
        let book = yardstick.book(symbol);
        let text = |(price, size)| format!("{price} {size}");
        let got = (book.u, book.bids.iter().rev().map(text).collect(), book.asks.iter().map(text).collect());
        assert_eq!(got, want, "the yardstick's book of {symbol}");
    }
    let count = |channel: &str| -> u64 {
        ours.iter().filter(|(topic, _)| topic.starts_with(channel)).map(|(_, (frames, ..))| frames).sum()
    };
    println!(
        "frames: {} delta, {} trade, {} bbo, {} book; both pipelines' books and frames are equal, byte for byte",
        count("delta."),
        count("trade."),
        count("bbo."),
        count("book."),
    );
}
