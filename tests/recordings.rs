//! Real recordings of the venues, replayed through the pipeline and compared with books that an independent assembler
//! made of them. The recordings are not part of the project: `TICKBUS_CAPTURES` names their folder.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use tickbus::frame::{Frame, Outgoing};
use tickbus::io::Steps;
use tickbus::io::tap::Kind;
use tickbus::model::{Mono, Stamp, UnixNanos};
use tickbus::replay::capture::{Line, parse_line};
use tickbus::replay::pipelines::Pipelines;
use tickbus::venue::{Input, VenueDef, binance, bitflyer, bybit, okx};

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

fn lines(files: &[PathBuf]) -> Vec<Line> {
    let text: Vec<u8> = files.iter().flat_map(|path| read(path)).collect();
    text.split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
        .map(|line| parse_line(line).expect("a line"))
        .collect()
}

/// A venue, its folder of recordings, and how it names a book's symbol in the expected files.
struct Recorded {
    venue: &'static VenueDef,
    folder: &'static str,
}

const RECORDED: [Recorded; 4] = [
    Recorded { venue: &binance::VENUE, folder: "binance" },
    Recorded { venue: &bitflyer::VENUE, folder: "bitflyer" },
    Recorded { venue: &bybit::VENUE, folder: "bybit" },
    Recorded { venue: &okx::VENUE, folder: "okx" },
];

/// The recording's pipelines. Where neither messages nor addresses tell the market, the folder does.
fn pipelines(venue: &'static VenueDef, path: &Path, lines: &[Line]) -> Pipelines {
    let told = lines.iter().find_map(|line| (venue.market_of)(line.url.as_deref(), &line.msg));
    let path = path.to_string_lossy();
    let of_folder = ["spot", "inverse"].into_iter().find(|market| path.contains(market)).unwrap_or("linear");
    Pipelines::new(venue, None, told.unwrap_or(of_folder).into())
}

/// Steps with one line.
fn step(pipelines: &mut Pipelines, line: &Line, now: Stamp) {
    pipelines.route(None, line.url.as_deref());
    match line.kind {
        Kind::Connect => pipelines.step(Input::Connected, now),
        Kind::Ws => pipelines.step(Input::Text(&line.msg), now),
        Kind::Binary => pipelines.step(Input::Binary(&line.msg), now),
        Kind::Rest => {
            pipelines.step(Input::Http { id: 0, status: Some(200), body: &line.msg, url: line.url.as_deref() }, now)
        }
        Kind::Send => {}
    }
}

/// The current book of a symbol, whatever its market.
fn snapshot(pipelines: &mut Pipelines, venue: &VenueDef, symbol: &str) -> Option<Frame> {
    let topics = venue.markets.iter().map(|market| format!("book.{}.{}.{symbol}.", venue.id, market.id));
    topics.into_iter().find_map(|topic| pipelines.snapshot(&topic))
}

/// The symbol of a book in an expected file: `orderbook.50.BTCUSDT`, `books:BTC-USDT`.
fn symbol_of(book: &str) -> &str {
    book.rsplit(['.', ':']).next().expect("a symbol")
}

/// The expected sequence: a number, a number as text, or where a venue has none its time, in milliseconds; null where it has
/// neither.
fn sequence(expected: &Value) -> Value {
    if expected.is_null() {
        return Value::Null;
    }
    let text = expected.as_str().map_or_else(|| expected.to_string(), str::to_owned);
    let iso = || u64::try_from(text.parse::<jiff::Timestamp>().expect("a time").as_millisecond()).expect("after 1970");
    Value::from(text.parse().unwrap_or_else(|_| iso()))
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
    assert_eq!(frame["venue_seq"], sequence(&expected["seq"]), "{what}: seq");
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

fn replay(venue: &'static VenueDef, path: &Path) -> usize {
    let expected: Value = serde_json::from_slice(&read(path)).expect("JSON");
    let books = expected["books"].as_object().expect("books");
    let files: Vec<_> = expected["files"].as_array().expect("files").iter().filter_map(Value::as_str).collect();
    let lines = lines(&files.iter().map(|name| folder().join(name)).collect::<Vec<_>>());
    let mut pipelines = pipelines(venue, path, &lines);
    let mut checkpoints: BTreeMap<u64, Vec<(&str, &Value)>> = BTreeMap::new();
    for (book, entry) in books {
        for checkpoint in entry["checkpoints"].as_array().into_iter().flatten() {
            let line = checkpoint["line"].as_u64().expect("line");
            checkpoints.entry(line).or_default().push((symbol_of(book), checkpoint));
        }
    }
    let mut compared = 0;
    let is_synced = |entry: &Value| entry["snapshots"] != 0;
    let mut check = |pipelines: &mut Pipelines, symbol: &str, at: &str, wanted: &Value| {
        let what = format!("{} {symbol} {at}", path.display());
        let frame = snapshot(pipelines, venue, symbol).unwrap_or_else(|| panic!("{what}: not live"));
        compare(&what, &frame, wanted);
        compared += 1;
    };
    for (number, line) in (1..).zip(&lines) {
        step(&mut pipelines, line, Stamp { mono: Mono(number), wall: UnixNanos::default() });
        pipelines.outbox().frames.clear();
        for (symbol, wanted) in checkpoints.remove(&number).into_iter().flatten() {
            check(&mut pipelines, symbol, &format!("line {number}"), wanted);
        }
    }
    assert!(checkpoints.is_empty(), "lines that are not there");
    let reports: HashMap<_, _> =
        pipelines.book_reports().into_iter().map(|(_, report)| (report.symbol, report.stats)).collect();
    for (book, entry) in books {
        let symbol = symbol_of(book);
        if is_synced(entry) {
            check(&mut pipelines, symbol, "at the end", &entry["final"]);
        }
        let stats = reports[symbol];
        let found = [stats.snapshots, stats.deltas, stats.gaps, stats.crossed, stats.checksum_ok, stats.checksum_bad];
        let keys = ["snapshots", "deltas", "gaps", "crossed", "checksum_ok", "checksum_bad"];
        let wanted = keys.map(|key| entry[key].as_u64().unwrap_or(0));
        assert_eq!(found, wanted, "{} {symbol}: {keys:?}", path.display());
    }
    for report in pipelines.reports() {
        assert_eq!(report.counters.errors, 0, "{}", path.display());
    }
    compared
}

#[test]
fn recordings_give_the_expected_books() {
    for Recorded { venue, folder: name } in RECORDED {
        let mut expected = Vec::new();
        files(&folder().join(name), ".expected.json", &mut expected);
        if expected.is_empty() {
            println!("skipped: no captures of {name}");
            continue;
        }
        let compared: usize = expected.iter().map(|path| replay(venue, path)).sum();
        println!("{name}: {} recordings, {compared} books compared", expected.len());
        assert!(compared > expected.len());
    }
}

#[test]
fn every_recorded_message_is_understood() {
    for Recorded { venue, folder: name } in RECORDED {
        let mut recordings = Vec::new();
        files(&folder().join(name), ".jsonl.gz", &mut recordings);
        for path in &recordings {
            let lines = lines(std::slice::from_ref(path));
            let mut pipelines = pipelines(venue, path, &lines);
            let mut published = 0;
            for line in lines.iter().filter(|line| line.kind != Kind::Connect) {
                step(&mut pipelines, line, Stamp::default());
                published += std::mem::take(&mut pipelines.outbox().frames).len();
            }
            for report in pipelines.reports() {
                let counters = report.counters;
                assert_eq!((counters.errors, counters.ignored), (0, 0), "{}", path.display());
            }
            assert!(published > 0, "{}", path.display());
        }
    }
}

/// What bitFlyer repeats is what was put together, but for levels that the next update tells, and few others.
#[test]
fn bitflyer_repeats_the_books_that_its_changes_make() {
    let (mut repeated, mut differed) = (0, 0);
    for day in ["20210417", "20210722"] {
        let path = folder().join(format!("bitflyer/lightning/multi_{day}.jsonl.gz"));
        if !path.exists() {
            println!("skipped: no captures of bitflyer");
            return;
        }
        let lines = lines(std::slice::from_ref(&path));
        let mut pipelines = pipelines(&bitflyer::VENUE, &path, &lines);
        lines.iter().for_each(|line| step(&mut pipelines, line, Stamp::default()));
        for (_, report) in pipelines.book_reports() {
            assert_eq!((report.stats.pruned, report.stats.resyncs), (0, 0), "{}", report.symbol);
            repeated += report.stats.snapshots - 1;
            differed += report.stats.differed;
        }
    }
    assert_eq!((repeated, differed), (100, 5));
}

/// The same subscription recorded on three sockets at once, as one stream: what comes again is old, and no book is lost.
#[test]
fn three_sockets_side_by_side_are_one_true_stream() {
    for (folder_name, stem, parts) in
        [("okx/v5", "books_tbt_multi_20210722_conn", "123"), ("okx/v3-okcoin", "spot_multi_20210405_120s_rec", "123")]
    {
        let path = |part: char| folder().join(folder_name).join(format!("{stem}{part}.jsonl.gz"));
        if !path('1').exists() {
            println!("skipped: no captures of okx");
            continue;
        }
        let mut all: Vec<Line> = parts.chars().flat_map(|part| lines(&[path(part)])).collect();
        all.sort_by_key(|line| line.recv.map(|at| at.0));
        let mut pipelines = pipelines(&okx::VENUE, &path('1'), &all);
        for (number, line) in (1..).zip(&all) {
            step(&mut pipelines, line, Stamp { mono: Mono(number), wall: UnixNanos::default() });
            pipelines.outbox().frames.clear();
        }
        let mut deltas = 0;
        for (_, report) in pipelines.book_reports() {
            let stats = report.stats;
            let losses = (stats.gaps, stats.crossed, stats.invalid, stats.checksum_bad, stats.resyncs);
            assert_eq!(losses, (0, 0, 0, 0, 0), "{}", report.symbol);
            assert!(report.last.is_some(), "{} is not live", report.symbol);
            assert!(stats.ignored > stats.deltas || stats.deltas < 3, "{}: {stats:?}", report.symbol);
            deltas += stats.deltas;
        }
        assert!(deltas > 1_400);
    }
}

/// The undecoded frames of a recording give what their texts give.
#[test]
fn compressed_frames_are_read_as_their_texts_are() {
    let of = |name: &str| folder().join("okx/v3-okcoin").join(name);
    let raw = of("raw_deflate_frames_20210405_rec1.jsonl.gz");
    if !raw.exists() {
        println!("skipped: no captures of okx");
        return;
    }
    let frames = lines(std::slice::from_ref(&raw));
    let texts = lines(&[of("spot_multi_20210405_120s_rec1.jsonl.gz")]);
    let reports = |lines: &mut dyn Iterator<Item = &Line>| {
        let mut pipelines = pipelines(&okx::VENUE, &raw, &frames);
        lines.for_each(|line| step(&mut pipelines, line, Stamp::default()));
        format!("{:?}", pipelines.book_reports())
    };
    let of_frames = reports(&mut frames.iter());
    let of_texts = reports(&mut texts.iter().filter(|line| line.kind == Kind::Ws).take(frames.len()));
    assert_eq!(of_frames, of_texts);
    assert!(frames.len() == 400 && frames.iter().all(|line| line.kind == Kind::Binary));
}

/// Deltas without the image they build on never make a book.
#[test]
fn a_recording_without_an_image_stays_unsynced() {
    let path = folder().join("binance/spot/btcusdt_20230405_nosnapshot.jsonl.gz");
    if !path.exists() {
        println!("skipped: no captures of binance");
        return;
    }
    let lines = lines(std::slice::from_ref(&path));
    let mut pipelines = pipelines(&binance::VENUE, &path, &lines);
    for (number, line) in (1..).zip(&lines) {
        step(&mut pipelines, line, Stamp { mono: Mono(number), wall: UnixNanos::default() });
        let book = |frame: &Outgoing| matches!(frame, Outgoing::Frame(f) if f.topic.starts_with(b"book.") || f.topic.starts_with(b"delta."));
        assert!(!pipelines.outbox().frames.iter().any(book), "line {number}");
        pipelines.outbox().frames.clear();
    }
    let (_, report) = pipelines.book_reports().remove(0);
    assert!(report.last.is_none() && report.trades == 3_144, "{report:?}");
    assert_eq!((report.stats.snapshots, report.stats.deltas, report.stats.gaps), (0, 0, 0));
    assert_eq!((report.stats.ignored, report.buffered), (3_429, 500), "every delta is counted");
}

/// What Binance calls the best bid and offer: price and size of both.
type Best = [String; 4];

/// The best offers of a recording's `bookTicker` messages, by symbol and id.
fn best_offers(lines: &[Line]) -> BTreeMap<String, BTreeMap<u64, Best>> {
    let mut found: BTreeMap<String, BTreeMap<u64, Best>> = BTreeMap::new();
    for line in lines.iter().filter(|line| line.kind == Kind::Ws) {
        if line.msg.windows(12).take(60).any(|text| text == b"@bookTicker\"") {
            let message: Value = serde_json::from_slice(&line.msg).expect("JSON");
            let data = &message["data"];
            let text = |key: &str| trimmed(data[key].as_str().expect("a number")).to_owned();
            let (symbol, id) = (data["s"].as_str().expect("a symbol"), data["u"].as_u64().expect("an id"));
            found.entry(symbol.to_owned()).or_default().insert(id, ["b", "B", "a", "A"].map(text));
        }
    }
    found
}

/// After the update that ends at an id, our best bid and offer are those that the venue told last up to that id.
#[test]
fn binance_best_offers_agree_with_its_books() {
    let mut expected = Vec::new();
    files(&folder().join("binance"), ".expected.json", &mut expected);
    // Two days as one have what each has.
    let days: Vec<PathBuf> = expected.clone();
    expected.retain(|path| {
        let stem = path.to_string_lossy().replace(".expected.json", "+");
        !days.iter().any(|other| other.to_string_lossy().starts_with(&stem))
    });
    for path in &expected {
        let wanted: Value = serde_json::from_slice(&read(path)).expect("JSON");
        let names = wanted["files"].as_array().expect("files").iter().filter_map(Value::as_str);
        let lines = lines(&names.map(|name| folder().join(name)).collect::<Vec<_>>());
        let best = best_offers(&lines);
        let mut found: BTreeMap<String, (u64, u64)> = BTreeMap::new();
        let mut pipelines = pipelines(&binance::VENUE, path, &lines);
        for (number, line) in (1..).zip(&lines) {
            step(&mut pipelines, line, Stamp { mono: Mono(number), wall: UnixNanos::default() });
            for frame in std::mem::take(&mut pipelines.outbox().frames) {
                let Outgoing::Frame(frame) = frame else { continue };
                if !frame.topic.starts_with(b"book.") {
                    continue;
                }
                let book: Value = serde_json::from_slice(&frame.payload).expect("JSON");
                let (symbol, id) =
                    (book["symbol"].as_str().expect("a symbol"), book["venue_seq"].as_u64().expect("an id"));
                let told = best.get(symbol).and_then(|best| best.range(..=id).next_back());
                let (Some((_, told)), Some(bid), Some(ask)) = (told, book["bids"].get(0), book["asks"].get(0)) else {
                    continue;
                };
                let ours = [&bid[0], &bid[1], &ask[0], &ask[1]].map(|text| trimmed(text.as_str().expect("a number")));
                let counts = found.entry(symbol.to_owned()).or_default();
                counts.0 += 1;
                counts.1 += u64::from(ours == told.each_ref().map(String::as_str));
            }
        }
        for (symbol, book) in wanted["books"].as_object().expect("books") {
            let (checked, matched) =
                (book["bbo_checked"].as_u64().unwrap_or(0), book["bbo_matched"].as_u64().unwrap_or(0));
            let ours = found.get(symbol).copied().unwrap_or_default();
            // A few of the venue's own messages disagree; the independent assembler found as many. Deltas that waited for
            // the image make one book.
            let odd = ours.0 - ours.1;
            assert!(ours.0 + 5 >= checked && odd <= checked - matched, "{} {symbol}: {ours:?}", path.display());
        }
    }
    println!("{} recordings", expected.len());
}
