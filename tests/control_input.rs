//! Whatever is sent to the control socket, it answers, with a reason where it refuses.

// Clippy allows it in test functions only, and not in what they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

#[path = "../fuzz/src/control.rs"]
mod control;

use proptest::prelude::*;
use serde_json::{Map, Value, json};

use control::Plane;

const OPS: [&str; 31] = [
    "open",
    "close",
    "subscribe",
    "unsubscribe",
    "feeds",
    "status",
    "get",
    "find",
    "sorted",
    "wait",
    "watch",
    "tables",
    "initialize",
    "snapshot",
    "topics",
    "stats",
    "clear",
    "resync",
    "history",
    "params",
    "rpc",
    "fetch",
    "jobs",
    "job_start",
    "job_add",
    "job_next",
    "job_run",
    "job_stop",
    "reload",
    "nothing",
    "",
];

/// A value that may be what a key wants.
fn value() -> impl Strategy<Value = Value> {
    let words = [
        "a",
        "b",
        "x",
        "bybit",
        "linear",
        "spot",
        "BTCUSDT",
        "ETHUSDT",
        "book:50",
        "trade",
        "ticker",
        "candle:1m",
        "tickers.BTCUSDT",
        "trade.bybit.linear.BTCUSDT.",
        "book.bybit.linear.BTCUSDT.",
        "status",
        "https://api.bybit.com/v5/market/time",
        "http://127.0.0.1:1/x",
        "",
        " ",
        "\u{0}",
    ];
    let word = prop::sample::select(words.to_vec());
    prop_oneof![
        6 => word.clone().prop_map(Value::from),
        2 => prop::collection::vec(word, 0..4).prop_map(Value::from),
        1 => any::<i64>().prop_map(Value::from),
        1 => Just(json!({"env": "NOT_THERE"})),
        1 => Just(json!({"key": "k", "secret": "s"})),
        1 => Just(json!({"symbol": "BTCUSDT", "market": null})),
        1 => Just(json!({"price": "1.0", "seq": 1, "x": [true]})),
        1 => (0..3_u64).prop_map(Value::from),
        1 => Just(json!({"get": {"path": "/a"}})),
        2 => Just(json!({"venue": "bybit", "market": "spot", "queue": [{"get": {"path": "/a"}}]})),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
    ]
}

fn request() -> impl Strategy<Value = Value> {
    let keys = [
        "name",
        "feed",
        "venue",
        "market",
        "symbol",
        "symbols",
        "channel",
        "channels",
        "topic",
        "client",
        "n",
        "token",
        "credentials",
        "publish",
        "url",
        "account",
        "table",
        "where",
        "limit",
        "after",
        "epoch",
        "method",
        "job",
        "task",
        "results",
        "within_ms",
        "params",
        "more",
    ];
    let fields = prop::collection::btree_map(prop::sample::select(keys.to_vec()), value(), 0..7);
    // Mostly the feed that is there, so that commands get far.
    (prop::sample::select(OPS.to_vec()), fields, any::<bool>()).prop_map(|(op, fields, of_feed)| {
        let mut request: Map<String, Value> = fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect();
        request.insert("op".to_owned(), op.into());
        if op == "wait" || op == "watch" {
            // Nothing happens here that would end it.
            request.insert("within_ms".to_owned(), 0.into());
        }
        if of_feed {
            request.insert("feed".to_owned(), "a".into());
        }
        Value::Object(request)
    })
}

fn try_all(requests: &[Vec<u8>]) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let plane = Plane::new().await;
        for request in requests {
            plane.try_all(request).await;
        }
        // It is as well as before.
        let answer: Value = serde_json::from_slice(&plane.ask(br#"{"op":"topics"}"#).await[0]).unwrap();
        assert_eq!(answer["ok"], true, "{answer}");
    });
    runtime.shutdown_background();
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn requests_of_the_right_words_in_the_wrong_places_are_answered(requests in prop::collection::vec(request(), 1..20)) {
        try_all(&requests.iter().map(|request| request.to_string().into_bytes()).collect::<Vec<_>>());
    }

    #[test]
    fn any_bytes_are_answered(requests in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 1..10)) {
        try_all(&requests);
    }
}

#[tokio::test]
async fn strangers_learn_what_is_counted_and_not_who_subscribes() {
    let plane = Plane::new().await;
    let told = |answer: &[bytes::Bytes]| serde_json::from_slice::<Value>(&answer[0]).unwrap();
    let (ours, theirs) =
        (told(&plane.ask(br#"{"op":"stats"}"#).await), told(&plane.ask_snapshots(br#"{"op":"stats"}"#).await));
    assert!(ours["peers"].is_array() && theirs.get("peers").is_none(), "{theirs}");
    assert_eq!(theirs["subscribers"], 0);
    for op in ["feeds", "get", "open", "subscribe", "shutdown"] {
        let answer = told(&plane.ask_snapshots(json!({"op": op}).to_string().as_bytes()).await);
        assert_eq!((&answer["ok"], &answer["code"]), (&json!(false), &json!("unknown_op")), "{answer}");
    }
}
