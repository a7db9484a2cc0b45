//! Back-fills into files from a venue that answers in disorder or leaves something out, and with ranges that change.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};
use tickbus::backfill::{Backfill, BackfillError, Sum, Wish};
use tickbus::io::budget::RestBudget;
use tickbus::io::http::RestClient;
use tickbus::model::{Stream, UnixNanos};
use tickbus::venue::binance::VENUE;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

/// 2026-01-01.
const BEGIN: u64 = 1_767_225_600_000;
const HOUR: u64 = 3_600_000;
/// Trades there are: one a second from the begin on, of both kinds, whose ids differ.
const TRADES: u64 = 5_000;

/// What becomes of an answer's rows, by the number of the call.
type Spoil = fn(call: usize, rows: &mut Vec<Value>);

async fn serve(spoil: Spoil) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let calls = Arc::new(std::sync::atomic::AtomicUsize::new(0));
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(answer(stream, Arc::clone(&calls), spoil));
        }
    });
    address
}

async fn answer(mut stream: TcpStream, calls: Arc<std::sync::atomic::AtomicUsize>, spoil: Spoil) {
    let mut text = Vec::new();
    while stream.read_buf(&mut text).await.is_ok_and(|read| read > 0) {
        if !text.ends_with(b"\r\n\r\n") {
            continue;
        }
        let head = String::from_utf8(std::mem::take(&mut text)).unwrap();
        let (path, query) = head.split(' ').nth(1).unwrap().split_once('?').unwrap();
        let mut rows = rows(path, query);
        spoil(calls.fetch_add(1, std::sync::atomic::Ordering::SeqCst), &mut rows);
        let body = Value::from(rows).to_string();
        let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

fn rows(path: &str, query: &str) -> Vec<Value> {
    let params: HashMap<_, _> = query.split('&').filter_map(|pair| pair.split_once('=')).collect();
    let of = |name: &str| params.get(name).map(|value| value.parse::<u64>().unwrap());
    let most = usize::try_from(of("limit").unwrap()).unwrap();
    if path.ends_with("klines") {
        let (from, to) = (of("startTime").unwrap().max(BEGIN), of("endTime").unwrap());
        let opens = (from.div_ceil(HOUR)..=to / HOUR).map(|hour| hour * HOUR).take(most);
        return opens
            .map(|open| json!([open, "1", "2", "1", "2", "3.5", open + HOUR - 1, "7", 1, "1", "1", "0"]))
            .collect();
    }
    let is_merged = path.ends_with("aggTrades");
    let first_id = if is_merged { 100 } else { 20 };
    let first = match (of("fromId"), of("startTime")) {
        (Some(id), _) => id.saturating_sub(first_id),
        (_, Some(ms)) => ms.saturating_sub(BEGIN).div_ceil(1_000),
        _ => TRADES - 1,
    };
    let row = |at: u64| {
        let (id, time) = (first_id + at, BEGIN + at * 1_000);
        match is_merged {
            true => json!({"a": id, "p": "2", "q": "3", "f": id, "l": id, "T": time, "m": true, "M": true}),
            false => {
                json!({"id": id, "price": "2", "qty": "3", "quoteQty": "6", "time": time, "isBuyerMaker": true, "isBestMatch": true})
            }
        }
    };
    (first..TRADES).take(most).map(row).collect()
}

fn wish(base: &str, channel: &str, from: u64, to: u64) -> Wish {
    let spec = (VENUE.parse_channel)("spot", channel).unwrap();
    let stream = Stream { variant: spec.variant, ..Stream::new("BTCUSDT", spec.channel) };
    let moment = |ms: u64| UnixNanos::from_ms(BEGIN + ms);
    Wish { venue: &VENUE, market: "spot".into(), stream, from: moment(from), to: moment(to), base: base.to_owned() }
}

async fn run(wish: Wish, path: &Path) -> Result<Sum, BackfillError> {
    let account = Arc::<RestBudget>::default().account(wish.venue, &wish.market, &wish.base);
    let mut backfill = Backfill::open(wish, path, RestClient::default(), account)?;
    while backfill.step().await? {}
    backfill.finish()
}

/// Hours of candles or numbers of trades, and the file's numbering.
fn held(path: &Path) -> Vec<u64> {
    let text = std::fs::read_to_string(path).unwrap();
    let records: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(records.iter().zip(1..).all(|(record, seq)| record["seq"] == seq), "{text}");
    let number = |record: &Value| match record["open_time"].as_u64() {
        Some(open) => (open / 1_000_000 - BEGIN) / HOUR,
        None => record["id"].as_str().unwrap().parse().unwrap(),
    };
    records.iter().map(number).collect()
}

fn holes(sum: Sum) -> (u64, u64) {
    (sum.holes, sum.missing)
}

#[tokio::test]
async fn pages_are_put_in_order_and_holes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let all: Vec<u64> = (0..2_500).collect();
    let without =
        |left_out: std::ops::Range<u64>| all.iter().copied().filter(|hour| !left_out.contains(hour)).collect();
    type Case = (&'static str, Spoil, Vec<u64>, (u64, u64));
    let cases: [Case; 7] = [
        ("reversed", |_, rows| rows.reverse(), all.clone(), (0, 0)),
        ("doubled", |_, rows| rows.extend(rows.clone()), all.clone(), (0, 0)),
        (
            "outside",
            |call, rows| {
                rows.extend(call.checked_sub(1).and(rows.last().cloned()).map(|mut row| {
                    row[0] = json!(row[0].as_u64().unwrap() + 5 * HOUR);
                    row
                }))
            },
            all.clone(),
            (0, 0),
        ),
        ("few", |call, rows| drop((call == 1).then(|| rows.drain(5..9))), without(1_005..1_009), (1, 4)),
        (
            "a page",
            |call, rows| {
                if call == 1 {
                    rows.clear()
                }
            },
            without(1_000..2_000),
            (1, 1_000),
        ),
        (
            "the last page",
            |call, rows| {
                if call == 2 {
                    rows.clear()
                }
            },
            without(2_000..2_500),
            (1, 500),
        ),
        (
            "the first page",
            |call, rows| {
                if call == 0 {
                    rows.clear()
                }
            },
            without(0..1_000),
            (0, 0),
        ),
    ];
    for (name, spoil, expected, missing) in cases {
        let path = folder.path().join(format!("{name}.jsonl"));
        let sum = run(wish(&serve(spoil).await, "candle:1h", 0, 2_500 * HOUR), &path).await.unwrap();
        assert_eq!((held(&path), holes(sum)), (expected, missing), "{name}");
    }
}

#[tokio::test]
async fn trades_are_put_in_order_and_holes_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let cases: [(&str, Spoil, u64, (u64, u64)); 4] = [
        ("whole", |_, _| {}, 4_000, (0, 0)),
        (
            "disorder",
            |_, rows| {
                rows.reverse();
                rows.extend(rows.clone());
            },
            4_000,
            (0, 0),
        ),
        ("few", |call, rows| drop((call == 1).then(|| rows.drain(5..9))), 3_996, (1, 4)),
        (
            "an empty answer",
            |call, rows| {
                if call == 2 {
                    rows.clear()
                }
            },
            4_000,
            (0, 0),
        ),
    ];
    for (name, spoil, count, missing) in cases {
        let path = folder.path().join(format!("{name}.jsonl"));
        let sum = run(wish(&serve(spoil).await, "trade:agg", 0, 4_000_000), &path).await.unwrap();
        let ids = held(&path);
        assert_eq!((ids.len() as u64, holes(sum)), (count, missing), "{name}");
        assert!(ids.is_sorted() && ids[0] == 100 && ids.last() == Some(&4_099), "{name}");
    }
    // The newest trade is told all the time, and those before it never.
    let never: Spoil = |_, rows| {
        if rows.len() > 1 {
            rows.clear()
        }
    };
    let refused = run(wish(&serve(never).await, "trade:agg", 0, 4_000_000), &folder.path().join("n.jsonl")).await;
    let refused = refused.unwrap_err().to_string();
    assert!(refused.contains("gives no trades of the wished time, although its newest one is 5099"), "{refused}");
}

/// A file grows at its end, without holes of ours, and tells what it cannot have.
#[tokio::test]
async fn another_range_is_filled_up_to_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let base = serve(|_, _| {}).await;
    let path = folder.path().join("hours.jsonl");
    let candles = |from: u64, to: u64| run(wish(&base, "candle:1h", from * HOUR, to * HOUR), &path);
    assert_eq!(candles(10, 13).await.unwrap().written, 3);
    assert_eq!(held(&path), [10, 11, 12], "the end is not in it");
    let earlier = candles(5, 13).await.unwrap_err();
    assert!(matches!(earlier, BackfillError::BeginsLater { .. }) && earlier.is_of_the_wish(), "{earlier}");
    let said = "begins with 2026-01-01T10:00:00Z, and the venue has older ones since 2026-01-01T05:00:00Z";
    assert!(earlier.to_string().contains(said), "{earlier}");
    assert_eq!(candles(20, 23).await.unwrap().written, 10, "what is between comes too");
    assert_eq!(held(&path), (10..23).collect::<Vec<_>>());
    assert_eq!(candles(11, 12).await.unwrap().written, 0);
    assert_eq!(candles(10, 24).await.unwrap().written, 1, "the next day");

    // Of a symbol that is younger than the wish, the file's begin is all there is.
    let young = folder.path().join("young.jsonl");
    let wished =
        |to: u64| Wish { from: UnixNanos::from_ms(BEGIN - 50 * HOUR), ..wish(&base, "candle:1h", 0, to * HOUR) };
    assert_eq!((run(wished(2), &young).await.unwrap().written, run(wished(4), &young).await.unwrap().written), (2, 2));
    assert_eq!(held(&young), [0, 1, 2, 3]);

    for channel in ["trade:agg", "trade"] {
        let path = folder.path().join(format!("{}.jsonl", channel.len()));
        let first = if channel == "trade" { 20 } else { 100 };
        let trades = |from: u64, to: u64| run(wish(&base, channel, from * 1_000, to * 1_000), &path);
        assert_eq!(trades(10, 13).await.unwrap().written, 3, "{channel}");
        assert!(matches!(trades(9, 13).await, Err(BackfillError::BeginsLater { .. })), "{channel}");
        assert_eq!(trades(20, 23).await.unwrap().written, 10, "{channel}");
        assert_eq!(held(&path), (first + 10..first + 23).collect::<Vec<_>>(), "{channel}");
    }
    // Merged trades and single ones have ids of their own.
    let path = folder.path().join("9.jsonl");
    let other = run(wish(&base, "trade", 10_000, 3_000_000), &path).await.unwrap_err();
    assert!(other.is_of_the_wish() && other.to_string().contains("holds trade 122 of 2026-01-01T00:00:22Z"), "{other}");
}
