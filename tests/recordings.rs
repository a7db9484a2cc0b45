//! Real recordings of the venue, replayed through the pipeline and compared with books that an independent assembler
//! made of them. The recordings are not part of the project: `TICKBUS_CAPTURES` names their folder.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

use serde_json::Value;
use tickbus::feed::FeedSpec;
use tickbus::frame::{Encoder, EncoderSpec, Encoding, Frame};
use tickbus::model::{Mono, Stamp, UnixNanos};
use tickbus::pipeline::Pipeline;
use tickbus::venue::{Input, bybit};

fn folder() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared/captures");
    std::env::var_os("TICKBUS_CAPTURES").map_or_else(default, PathBuf::from)
}

/// All files below `folder` whose name ends so.
fn files(folder: &Path, suffix: &str, out: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, suffix, out);
        } else if path.to_string_lossy().ends_with(suffix) {
            out.push(path);
        }
    }
    out.sort();
}

fn read(path: &Path) -> Vec<u8> {
    let bytes = std::fs::read(path).expect("readable");
    if path.extension().is_none_or(|extension| extension != "gz") {
        return bytes;
    }
    let mut text = Vec::new();
    flate2::read::GzDecoder::new(&bytes[..]).read_to_end(&mut text).expect("gzip");
    text
}

/// The message's bytes: what is between `,"msg":` and the last brace.
fn message(line: &str) -> &str {
    let at = line.find(",\"msg\":").expect("a message") + 7;
    &line[at..line.rfind('}').expect("a brace")]
}

fn encoder_spec(market: &str) -> EncoderSpec {
    EncoderSpec {
        feed: "replay".to_owned(),
        venue: "bybit".to_owned(),
        market: market.to_owned(),
        epoch: 1,
        encoding: Encoding::Json,
        book_depth: 25,
        depth_of: HashMap::new(),
        book_interval: Duration::from_secs(3_600),
        first_seq: 0,
        feed_seq: Arc::new(AtomicU64::new(0)),
        clock: UnixNanos::default,
    }
}

fn market_of(path: &Path, lines: &str) -> &'static str {
    let url = lines
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?["url"].as_str().map(str::to_owned))
        .next();
    let told = (bybit::VENUE.market_of)(url.as_deref(), b"");
    let told = told.or_else(|| lines.lines().find_map(|line| (bybit::VENUE.market_of)(None, message(line).as_bytes())));
    // Some recordings do not tell: their folder does.
    let path = path.to_string_lossy();
    told.unwrap_or(if path.contains("spot") {
        "spot"
    } else if path.contains("inverse") {
        "inverse"
    } else {
        "linear"
    })
}

fn levels(frame: &Value, side: &str) -> Vec<(String, String)> {
    serde_json::from_value(frame[side].clone()).expect("levels")
}

/// Plain digits without trailing zeros, as the expected files write them in their digest.
fn trimmed(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

fn crc25(frame: &Value) -> u32 {
    let side = |side| {
        let list = levels(frame, side);
        let pairs = list.iter().take(25).map(|(price, size)| format!("{}:{}", trimmed(price), trimmed(size)));
        pairs.collect::<Vec<_>>().join("|")
    };
    crc32fast::hash(format!("{}#{}", side("bids"), side("asks")).as_bytes())
}

/// Compares a book with a checkpoint or the final state.
fn compare(what: &str, frame: &Frame, expected: &Value) {
    let frame: Value = serde_json::from_slice(&frame.payload).expect("JSON");
    assert_eq!(frame["venue_seq"], expected["seq"], "{what}: seq");
    for side in ["bids", "asks"] {
        let found = levels(&frame, side);
        let top: Vec<_> = found.iter().take(5).map(|(p, s)| (trimmed(p), trimmed(s))).collect();
        let wanted = levels(expected, side);
        let wanted: Vec<_> = wanted.iter().map(|(p, s)| (trimmed(p), trimmed(s))).collect();
        assert_eq!(top, wanted, "{what}: {side}");
        assert_eq!(Value::from(found.len()), expected[format!("n_{side}")], "{what}: number of {side}");
    }
    assert_eq!(Value::from(crc25(&frame)), expected["crc25"], "{what}: crc25");
}

fn replay(path: &Path) -> usize {
    let expected: Value = serde_json::from_slice(&read(path)).expect("JSON");
    let books = expected["books"].as_object().expect("books");
    let files: Vec<_> = expected["files"].as_array().expect("files").iter().filter_map(Value::as_str).collect();
    let lines: String =
        files.iter().map(|name| String::from_utf8(read(&folder().join(name))).expect("UTF-8")).collect();
    let market = market_of(path, &lines);
    let spec = FeedSpec {
        market: market.to_owned(),
        streams: Vec::new(),
        discover: true,
        silence: Duration::from_secs(10),
        ..FeedSpec::default()
    };
    let mut pipeline = Pipeline::new(&bybit::VENUE, spec, encoder_spec(market));
    let mut checkpoints: BTreeMap<u64, Vec<(&str, &Value)>> = BTreeMap::new();
    for (topic, book) in books {
        let symbol = topic.rsplit('.').next().expect("a symbol");
        for checkpoint in book["checkpoints"].as_array().into_iter().flatten() {
            checkpoints.entry(checkpoint["line"].as_u64().expect("line")).or_default().push((symbol, checkpoint));
        }
    }
    let mut compared = 0;
    let mut check = |pipeline: &mut Pipeline, symbol: &str, at: &str, wanted: &Value| {
        let topic = format!("book.bybit.{market}.{symbol}.");
        let what = format!("{} {symbol} {at}", path.display());
        let frame = pipeline.snapshot(&topic).unwrap_or_else(|| panic!("{what}: not live"));
        compare(&what, &frame, wanted);
        compared += 1;
    };
    for (number, line) in (1..).zip(lines.lines()) {
        let now = Stamp { mono: Mono(number), wall: UnixNanos::default() };
        if line.contains("\"kind\":\"ws\"") {
            pipeline.step(Input::Text(message(line).as_bytes()), now);
        } else if line.contains("\"kind\":\"connect\"") {
            pipeline.step(Input::Connected, now);
        }
        pipeline.outbox().frames.clear();
        for (symbol, wanted) in checkpoints.remove(&number).into_iter().flatten() {
            check(&mut pipeline, symbol, &format!("line {number}"), wanted);
        }
    }
    assert!(checkpoints.is_empty(), "lines that are not there");
    let reports: HashMap<_, _> =
        pipeline.book_reports().into_iter().map(|report| (report.symbol, report.stats)).collect();
    for (topic, book) in books {
        let symbol = topic.rsplit('.').next().expect("a symbol");
        check(&mut pipeline, symbol, "at the end", &book["final"]);
        let stats = reports[symbol];
        let found = [stats.snapshots, stats.deltas, stats.gaps, stats.crossed];
        let wanted = ["snapshots", "deltas", "gaps", "crossed"].map(|key| book[key].as_u64().expect(key));
        assert_eq!(found, wanted, "{} {symbol}: snapshots, deltas, gaps, crossed", path.display());
    }
    assert_eq!(pipeline.report().counters.errors, 0, "{}", path.display());
    compared
}

#[test]
fn recordings_give_the_expected_books() {
    let mut expected = Vec::new();
    files(&folder().join("bybit"), ".expected.json", &mut expected);
    if expected.is_empty() {
        println!("skipped: no captures");
        return;
    }
    let compared: usize = expected.iter().map(|path| replay(path)).sum();
    println!("{} recordings, {compared} books compared", expected.len());
    assert!(compared > expected.len());
}

#[test]
fn every_recorded_message_is_understood() {
    let _ = Encoder::new(encoder_spec("linear"));
    let mut recordings = Vec::new();
    files(&folder().join("bybit"), ".jsonl.gz", &mut recordings);
    for path in &recordings {
        let lines = String::from_utf8(read(path)).expect("UTF-8");
        let market = market_of(path, &lines);
        let spec = FeedSpec {
            market: market.to_owned(),
            streams: Vec::new(),
            discover: true,
            silence: Duration::from_secs(10),
            ..FeedSpec::default()
        };
        let mut pipeline = Pipeline::new(&bybit::VENUE, spec, encoder_spec(market));
        let mut published = 0;
        for line in lines.lines() {
            match () {
                () if line.contains("\"kind\":\"ws\"") => {
                    pipeline.step(Input::Text(message(line).as_bytes()), Stamp::default())
                }
                () if line.contains("\"kind\":\"rest\"") => {
                    let body = message(line).as_bytes();
                    pipeline.step(Input::Http { id: 0, status: Some(200), body, url: None }, Stamp::default());
                }
                () => {}
            }
            published += std::mem::take(&mut pipeline.outbox().frames).len();
        }
        let counters = pipeline.report().counters;
        assert_eq!((counters.errors, counters.ignored), (0, 0), "{}", path.display());
        assert!(published > 0, "{}", path.display());
    }
}
