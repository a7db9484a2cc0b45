//! What a store keeps, replaces, orders and lets go.

use proptest::prelude::*;

use super::*;
use crate::bus::Retain;

fn frame(topic: &str, payload: &str, retain: Retain, seq: u64) -> Frame {
    Frame { topic: Bytes::from(topic.to_owned()), payload: Bytes::from(payload.to_owned()), retain, seq }
}

fn published(store: &Store, frame: Frame) {
    store.record(&mut [Outgoing::Frame(frame)]);
}

fn seqs(frames: &[Frame]) -> Vec<u64> {
    frames.iter().map(|frame| frame.seq).collect()
}

fn candle(at: u64, seq: u64) -> Frame {
    let payload = format!(r#"{{"v":1,"type":"candle","open_time":{at},"close_time":{}}}"#, at + 1);
    frame("candle_1m.v.m.A.", &payload, Retain::Stream, seq)
}

#[test]
fn the_latest_is_kept_until_it_no_longer_holds() {
    let store = Store::new(StoreLimits::default());
    let topic = Bytes::from_static(b"book.v.m.A.");
    published(&store, frame("book.v.m.A.", "1", Retain::Conflate, 1));
    published(&store, frame("book.v.m.A.", "22", Retain::Conflate, 2));
    published(&store, frame("delta.v.m.A.", "3", Retain::Stream, 1));
    assert_eq!(store.latest(&topic).map(|frame| frame.seq), Some(2));
    assert_eq!((store.stats().frames, store.stats().topics), (1, 1), "deltas are not kept");
    store.record(&mut [Outgoing::Forget(topic.clone())]);
    assert_eq!((store.latest(&topic), store.stats()), (None, StoreStats::default()));
}

#[test]
fn trades_are_the_last_few_and_candles_one_of_each_time() {
    let store = Store::new(StoreLimits { trades: 3, candles: 3, bytes: 1 << 20 });
    for seq in 1..=5 {
        published(&store, frame("trade.v.m.A.", "{}", Retain::Stream, seq));
    }
    assert_eq!(seqs(&store.recent(b"trade.v.m.A.", 2)), [4, 5]);
    assert_eq!(seqs(&store.recent(b"trade.v.m.A.", 9)), [3, 4, 5]);
    for (at, seq) in [(60, 1), (120, 2), (60, 3), (180, 4), (180, 5), (90, 6), (30, 7), (240, 8)] {
        published(&store, candle(at, seq));
    }
    assert_eq!(seqs(&store.candles(b"candle_1m.v.m.A.")), [2, 5, 8], "one a time, the oldest went");
    assert_eq!(store.latest(b"candle_1m.v.m.A.").map(|frame| frame.seq), Some(8));
    assert_eq!(store.stats().evicted, 0, "what has its turn is not evicted");
}

#[test]
fn a_candles_time_is_found_in_messagepack_too() {
    let mut payload = vec![0xde, 0, 1, 0xa9];
    payload.extend_from_slice(b"open_time");
    rmp::encode::write_uint(&mut payload, 1_795_265_640_000_000_000).unwrap();
    let store = Store::new(StoreLimits::default());
    for seq in [1, 2] {
        let payload = Bytes::from(payload.clone());
        let topic = Bytes::from_static(b"candle_1m.v.m.A.");
        published(&store, Frame { topic, payload, retain: Retain::Stream, seq });
    }
    assert_eq!(seqs(&store.candles(b"candle_1m.v.m.A.")), [2]);
}

#[test]
fn beyond_the_bytes_the_oldest_of_streams_go_first_and_are_counted() {
    let store = Store::new(StoreLimits { trades: 100, candles: 100, bytes: 10 * 228 });
    published(&store, frame("ticker.v.m.A.", &"t".repeat(100), Retain::Latest, 1));
    for seq in 1..=30 {
        for symbol in ["A", "B"] {
            published(&store, frame(&format!("trade.v.m.{symbol}."), &"x".repeat(100), Retain::Stream, seq));
        }
    }
    let stats = store.stats();
    assert_eq!((stats.frames, stats.bytes, stats.evicted), (10, 2_280, 51));
    assert!(store.latest(b"ticker.v.m.A.").is_some());
    let [a, b] = ["A", "B"].map(|symbol| seqs(&store.recent(format!("trade.v.m.{symbol}.").as_bytes(), 99)));
    assert_eq!((a.last(), b.last(), a.len() + b.len()), (Some(&30), Some(&30), 9));
    published(&store, frame("ticker.v.m.B.", &"t".repeat(3_000), Retain::Latest, 1));
    assert!(store.stats().bytes <= 2_280, "one frame beyond the limit does not stay");
}

#[test]
fn what_is_forgotten_is_told() {
    let store = Store::new(StoreLimits::default());
    for topic in ["book.v.m.A.", "book.v.m.B.", "status.v.m.A."] {
        published(&store, frame(topic, "{}", Retain::Latest, 1));
    }
    assert_eq!(store.forget(|topic| topic.ends_with(".A.") && topic.starts_with("book")), ["book.v.m.A."]);
    assert_eq!(store.topics().len(), 2);
}

proptest! {
    #[test]
    fn counts_hold_whatever_comes(
        steps in prop::collection::vec((0..6_usize, 0..8_u64, 0..300_usize), 1..200),
        limit in 200..5_000_usize,
    ) {
        let store = Store::new(StoreLimits { trades: 4, candles: 4, bytes: limit });
        let topics = ["book.v.m.A.", "trade.v.m.A.", "trade.v.m.B.", "candle_1m.v.m.A.", "delta.v.m.A.", ""];
        for (which, at, length) in steps {
            let payload = format!("{{\"open_time\":{at},\"x\":\"{}\"}}", "x".repeat(length));
            let retain = if which == 0 { Retain::Latest } else { Retain::Stream };
            match topics[which] {
                "" => store.record(&mut [Outgoing::Forget(Bytes::from_static(b"trade.v.m.A."))]),
                topic => published(&store, frame(topic, &payload, retain, at)),
            }
            let all: Vec<Frame> = store.topics().iter().flat_map(|topic| store.recent(topic, 99)).collect();
            let bytes: usize = all.iter().map(|frame| frame.payload.len() + 128).sum();
            prop_assert_eq!((store.stats().frames, store.stats().bytes), (all.len(), bytes));
            prop_assert!(bytes <= limit);
        }
        let candles: Vec<String> = store
            .candles(b"candle_1m.v.m.A.")
            .iter()
            .map(|frame| String::from_utf8_lossy(&frame.payload).into_owned())
            .collect();
        prop_assert!(candles.is_sorted_by(|a, b| a[..14] < b[..14]), "{:?}", candles);
    }
}
