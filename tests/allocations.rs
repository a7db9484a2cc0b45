//! What the hot path takes from the allocator: in steady state one buffer per frame and nothing else; and the memory of
//! a book.

use std::sync::Arc;
use std::time::Duration;

use allocation_counter::{AllocationInfo, measure};
use bytes::Bytes;
use tickbus::book::{BookSync, SyncRule, SyncUpdate};
use tickbus::feed::FeedSpec;
use tickbus::frame::{EncoderSpec, Encoding, Frame, Outgoing, Retain};
use tickbus::model::{BookDepth, Channel, Decimal, Level, Mono, Stamp, Stream, UnixNanos};
use tickbus::pipeline::Pipeline;
use tickbus::sim::stream::{DEPTH, Generator};
use tickbus::store::{Store, StoreLimits};
use tickbus::venue::Input;
use tickbus::venue::bybit::VENUE;

/// Messages until every buffer has grown to what it needs.
const WARM_UP: usize = 20_000;
/// Messages then counted.
const COUNTED: usize = 20_000;
/// The most a book of 200 levels a side may take.
const BOOK_BYTES_MAX: i64 = 64 * 1024;

fn pipeline(symbols: &[String], encoding: Encoding) -> Pipeline {
    let streams = symbols.iter().flat_map(|symbol| {
        [Channel::Book(BookDepth::Levels(200)), Channel::Trade].map(|channel| Stream::new(symbol.clone(), channel))
    });
    let feed = FeedSpec {
        market: "linear".to_owned(),
        streams: streams.collect(),
        discover: false,
        silence: Duration::from_secs(10),
        ..FeedSpec::default()
    };
    let encoder = EncoderSpec {
        feed: "test".to_owned(),
        venue: "bybit".to_owned(),
        market: "linear".to_owned(),
        account: None,
        epoch: 1,
        encoding,
        book_depth: 25,
        depth_of: Default::default(),
        book_interval: Duration::from_millis(100),
        last_seq: Default::default(),
        feed_seq: Arc::default(),
        clock: tickbus::clock::wall,
    };
    Pipeline::new(&VENUE, feed, encoder)
}

/// Steps through messages a millisecond apart and returns how many frames came of them.
fn run(pipeline: &mut Pipeline, messages: &[Vec<u8>], first_ms: u64) -> u64 {
    let mut frames = 0;
    for (at, message) in (first_ms..).zip(messages) {
        let now = Stamp { mono: Mono(at * 1_000_000), wall: UnixNanos::from_ms(at) };
        pipeline.step(Input::Text(message), now);
        frames += pipeline.outbox().frames.iter().filter(|work| matches!(work, Outgoing::Frame(_))).count() as u64;
        pipeline.outbox().frames.clear();
    }
    frames
}

fn steady_state(encoding: Encoding) -> (u64, AllocationInfo) {
    let mut generator = Generator::new(3);
    let mut messages = Vec::new();
    for _ in 0..WARM_UP + COUNTED {
        let mut message = Vec::new();
        generator.write_next(&mut message);
        messages.push(message);
    }
    let symbols: Vec<String> = generator.truth().into_iter().map(|(symbol, _)| symbol).collect();
    let mut pipeline = pipeline(&symbols, encoding);
    run(&mut pipeline, &messages[..WARM_UP], 1_000);
    let mut frames = 0;
    let info = measure(|| frames = run(&mut pipeline, &messages[WARM_UP..], 1_000 + WARM_UP as u64));
    (frames, info)
}

#[test]
fn in_steady_state_a_message_takes_nothing_but_its_frames_buffers() {
    for encoding in [Encoding::Json, Encoding::MessagePack] {
        let (frames, info) = steady_state(encoding);
        assert!(frames >= COUNTED as u64, "{frames} frames of {COUNTED} messages");
        assert_eq!(info.count_total, frames, "{encoding:?}: allocations for {frames} frames");
        assert_eq!(info.count_current, 0, "{encoding:?}: every buffer is given back with its frame");
    }
}

#[test]
fn a_book_of_200_levels_is_small() {
    let levels = |first: i64, step: i64| -> Vec<Level> {
        let price = |n: i64| Decimal::new(first + n * step, 2);
        (0..DEPTH as i64).map(|n| Level { price: price(n), size: Decimal::new(1_000 + n, 3) }).collect()
    };
    let (bids, asks) = (levels(6_000_000, -10), levels(6_000_010, 10));
    let mut book = None;
    let info = measure(|| {
        let mut sync = BookSync::new(SyncRule::Increment, 4 * DEPTH);
        sync.update(SyncUpdate {
            snapshot: true,
            seq: 1,
            first: 1,
            previous: 0,
            cross_seq: 1,
            checksum: None,
            middle: None,
            bids: &bids,
            asks: &asks,
        });
        book = Some(sync);
    });
    assert!(book.as_ref().and_then(BookSync::live).is_some());
    let bytes = info.bytes_current + size_of::<BookSync>() as i64;
    println!("a book of {DEPTH} levels a side takes {bytes} bytes");
    assert!((1..=BOOK_BYTES_MAX).contains(&bytes), "{bytes} bytes");
}

#[test]
fn keeping_the_latest_values_takes_what_the_bus_would_have_taken() {
    let frame = |topic: &'static str, retain: Retain, seq: u64| {
        let payload = format!("{{\"v\":1,\"open_time\":{},\"x\":\"{seq}\"}}", seq / 1_000).into();
        Outgoing::Frame(Frame { topic: Bytes::from_static(topic.as_bytes()), payload, retain, seq })
    };
    let topics = [
        ("book.bybit.linear.BTCUSDT.", Retain::Conflate),
        ("delta.bybit.linear.BTCUSDT.", Retain::Stream),
        ("trade.bybit.linear.BTCUSDT.", Retain::Stream),
        ("ticker.bybit.linear.BTCUSDT.", Retain::Latest),
        ("candle_1m.bybit.linear.BTCUSDT.", Retain::Stream),
    ];
    let mut batches: Vec<Vec<Outgoing>> =
        (1..=12_000).map(|seq| topics.iter().map(|(topic, retain)| frame(topic, *retain, seq)).collect()).collect();
    let store = Store::new(StoreLimits { trades: 1_000, candles: 100, bytes: 1 << 30 });
    let (warm_up, counted) = batches.split_at_mut(10_000);
    warm_up.iter_mut().for_each(|batch| store.record(batch));
    let info = measure(|| counted.iter_mut().for_each(|batch| store.record(batch)));
    // One for each kept frame, behind whose count the bus and the store share it; the delta has its own from the bus.
    assert_eq!(info.count_total, 4 * 2_000, "{info:?}");
    assert_eq!(store.stats().frames, 1 + 1_000 + 1 + 13);
}
