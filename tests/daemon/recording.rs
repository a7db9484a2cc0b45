//! A recording of a live gateway, replayed: the same books, the same gaps, and the truth in the end.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tempfile::TempDir;
use tickbus::sim::{Depth, Running};
use tokio::time::timeout;

use crate::gateway::{DEADLINE, Gateway, config, feed, file_of, tickbus, venue};
use crate::watcher::Watcher;

const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];
const DEPTH: Depth = Depth::Levels(50);

/// Levels of each book seen, by topic and the venue's id.
type Books = BTreeMap<(String, u64), (Value, Value)>;

fn keep(books: &mut Books, topic: &str, frame: &Value) {
    if topic.starts_with("book.") {
        let key = (topic.to_owned(), frame["venue_seq"].as_u64().unwrap());
        books.insert(key, (frame["bids"].clone(), frame["asks"].clone()));
    }
}

/// Records until so many books were found true; gives them, and how many gaps the gateway counted.
async fn record(venue: &Running, capture: &str, books: u64) -> (Books, u64) {
    let mut feed = feed(venue, "linear", &SYMBOLS, &["book:50", "trade"]);
    feed["silence_ms"] = json!(2_000);
    let file = file_of(&config(&json!({"a": feed})));
    let config = file.path().to_str().unwrap();
    let mut gateway = Gateway::launch(&["record", "--config", config, "--out", capture], "Gateway started").await;
    let mut watcher = Watcher::new(&gateway, venue, "linear", DEPTH, &["book.", "status."]);
    watcher.walk(1);
    let mut seen = Books::new();
    let watching = async {
        while SYMBOLS.iter().any(|symbol| watcher.true_books(symbol) < books || !watcher.is_live(symbol)) {
            let (topic, frame) = watcher.next().await;
            keep(&mut seen, &topic, &frame);
        }
    };
    timeout(DEADLINE, watching).await.expect("enough true books");
    let status = gateway.ctl(&["status"]).await.1;
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await, Some(0));
    let printed = gateway.printed();
    assert!(printed.contains(" lines in ") && printed.contains(", 0 lost"), "{printed}");
    (seen, status["feeds"][0]["counters"]["gaps"].as_u64().unwrap())
}

/// `tickbus replay` of a capture without a bus: its report.
fn report(capture: &str, extra: &[&str]) -> Value {
    let output = tickbus().args(["replay", "--venue", "bybit", capture]).args(extra).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_replay_has_the_books_of_the_recorded_run() {
    for name in ["capture.jsonl", "capture.jsonl.gz", "capture.jsonl.zst"] {
        let venue = venue(0, &[]).await;
        let folder = TempDir::new().unwrap();
        let capture = folder.path().join(name);
        let capture = capture.to_str().unwrap();
        let (seen, gaps) = record(&venue, capture, 50).await;
        assert_eq!(gaps, 0);
        let whole = report(capture, &["--market", "linear"]);
        for symbol in SYMBOLS {
            let entry = &whole[format!("bybit.linear.{symbol}")];
            assert_eq!((&entry["gaps"], &entry["crossed"]), (&json!(0), &json!(0)), "{name} {entry}");
            assert!(entry["deltas"].as_u64() >= Some(49) && entry["trades"].as_u64() > Some(0), "{name} {entry}");
            let last = &entry["final"];
            let u = last["venue_seq"].as_u64().unwrap();
            let truth = venue.truth().digest("linear", symbol, DEPTH, u).unwrap();
            assert_eq!(last["crc25"], truth, "{name} {entry}");
        }
        let arguments = [
            "replay",
            "--venue",
            "bybit",
            "--market",
            "linear",
            capture,
            "--speed",
            "max",
            "--bind",
            "tcp://127.0.0.1:0",
        ];
        let mut replay = Gateway::launch(&arguments, "Waiting for a subscriber").await;
        let mut watcher = Watcher::new(&replay, &venue, "linear", DEPTH, &["book.", "status."]);
        let mut again = Books::new();
        let watching = async {
            while !seen.keys().all(|key| again.contains_key(key)) {
                let (topic, frame) = watcher.next().await;
                keep(&mut again, &topic, &frame);
            }
        };
        timeout(DEADLINE, watching).await.expect("every book again");
        assert!(seen.iter().all(|(key, book)| again[key] == *book), "{name}");
        assert_eq!(replay.ended().await, Some(0));
        assert!(serde_json::from_str::<Value>(&replay.printed()).unwrap().is_object());
    }
}

#[tokio::test]
async fn a_replay_finds_the_gaps_of_the_recorded_run() {
    let venue = venue(0, &["drop@30", "drop@150"]).await;
    let folder = TempDir::new().unwrap();
    let capture = folder.path().join("capture.jsonl.zst");
    let capture = capture.to_str().unwrap();
    let (_, gaps) = record(&venue, capture, 150).await;
    let report = report(capture, &["--market", "linear"]);
    let counted = SYMBOLS.iter().map(|symbol| report[format!("bybit.linear.{symbol}")]["gaps"].as_u64().unwrap());
    let counted: u64 = counted.sum();
    assert!(gaps > 0 && counted == gaps, "{gaps} live, {report}");
}
