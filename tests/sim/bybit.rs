//! Bybit: subscribe, snapshot, deltas, truth; every fault; REST; a stock client.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;
use tickbus::sim::{Depth, FaultSpec, Options, Running, Server};
use tokio::io::AsyncReadExt;
use tokio_tungstenite::tungstenite::Error;

use crate::client::{Client, Seen, connect, get};

const BOOK: &str = "orderbook.50.BTCUSDT";

async fn serve(rate: u32, faults: &[&str]) -> Running {
    let faults: Vec<FaultSpec> = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Server::bind(Options { rate, faults, seed: 42, ..Options::default() }).await.unwrap().start()
}

impl Client {
    async fn subscribe(&mut self, topics: &[&str]) {
        let request = serde_json::json!({"req_id": "7", "op": "subscribe", "args": topics});
        self.send(&request.to_string()).await;
    }

    /// The next message of this topic.
    async fn topic(&mut self, topic: &str) -> Value {
        loop {
            let message = self.json().await;
            if message["topic"] == topic {
                return message;
            }
        }
    }
}

/// A book kept the way the venue's documentation says.
#[derive(Default)]
struct Book {
    u: u64,
    bids: BTreeMap<i64, String>,
    asks: BTreeMap<i64, String>,
}

impl Book {
    /// Applies a message; false on a gap.
    fn apply(&mut self, message: &Value) -> bool {
        let u = message["data"]["u"].as_u64().unwrap();
        if message["type"] == "snapshot" || u == 1 {
            (self.bids, self.asks) = Default::default();
        } else if u != self.u + 1 {
            return false;
        }
        self.u = u;
        for (side, name) in [(&mut self.bids, "b"), (&mut self.asks, "a")] {
            for level in message["data"][name].as_array().unwrap() {
                let (price, size) = (level[0].as_str().unwrap(), level[1].as_str().unwrap());
                let ticks = (price.parse::<f64>().unwrap() * 10_000.0).round() as i64;
                if size == "0" {
                    side.remove(&ticks);
                } else {
                    side.insert(ticks, format!("{}:{}", plain(price), plain(size)));
                }
            }
        }
        true
    }

    fn digest(&self) -> u32 {
        let bids: Vec<&str> = self.bids.values().rev().take(25).map(String::as_str).collect();
        let asks: Vec<&str> = self.asks.values().take(25).map(String::as_str).collect();
        crc32fast::hash(format!("{}#{}", bids.join("|"), asks.join("|")).as_bytes())
    }

    fn crossed(&self) -> bool {
        self.bids.last_key_value().zip(self.asks.first_key_value()).is_some_and(|(bid, ask)| bid.0 >= ask.0)
    }
}

fn plain(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

#[tokio::test]
async fn every_product_and_depth_rebuilds_the_truth() {
    let server = serve(2_000, &[]).await;
    let cases = [
        ("linear", "BTCUSDT", vec![50, 200, 1000]),
        ("spot", "ETHUSDT", vec![50, 200, 1000]),
        ("inverse", "BTCUSD", vec![50, 200]),
        ("option", "BTC-26MAR27-60000-C-USDT", vec![25, 100]),
    ];
    for (category, symbol, depths) in cases {
        let mut client = connect(&server, category).await.unwrap();
        let topics: Vec<String> = depths.iter().map(|depth| format!("orderbook.{depth}.{symbol}")).collect();
        client.subscribe(&topics.iter().map(String::as_str).collect::<Vec<_>>()).await;
        let mut books: BTreeMap<String, (Book, u64)> = BTreeMap::new();
        let mut last_seq = 0;
        while books.len() < topics.len() || books.values().any(|(_, deltas)| *deltas < 100) {
            let message = client.json().await;
            let Some(topic) = message["topic"].as_str() else { continue };
            let (book, deltas) = books.entry(topic.to_owned()).or_default();
            assert!(book.apply(&message), "{category} {topic}: gap");
            assert!(!book.crossed(), "{category} {topic}: crossed");
            *deltas += u64::from(message["type"] == "delta");
            let seq = message["data"]["seq"].as_u64().unwrap();
            assert!(seq >= last_seq, "{category} {topic}: cross sequence falls");
            last_seq = seq;
            let depth: u16 = topic.split('.').nth(1).unwrap().parse().unwrap();
            let truth = server.truth().digest(category, symbol, Depth::Levels(depth), book.u);
            assert_eq!(truth, Some(book.digest()), "{category} {topic} at u {}", book.u);
            assert!(book.bids.len() <= usize::from(depth) && book.asks.len() <= usize::from(depth));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn two_clients_see_the_same_books() {
    let server = serve(1_000, &[]).await;
    let mut digests = Vec::new();
    for _ in 0..2 {
        let mut client = connect(&server, "linear").await.unwrap();
        client.subscribe(&[BOOK]).await;
        let mut book = Book::default();
        for _ in 0..50 {
            assert!(book.apply(&client.topic(BOOK).await));
        }
        digests.push((book.digest(), server.truth().digest("linear", "BTCUSDT", Depth::Levels(50), book.u)));
    }
    assert!(digests.iter().all(|(mine, truth)| Some(*mine) == *truth), "{digests:?}");
    server.stop().await;
}

/// A client subscribed to [`BOOK`] with the snapshot applied.
async fn joined(server: &Running) -> (Client, Book) {
    let mut client = connect(server, "linear").await.unwrap();
    client.subscribe(&[BOOK]).await;
    let mut book = Book::default();
    assert!(book.apply(&client.topic(BOOK).await));
    (client, book)
}

fn true_digest(server: &Running, u: u64) -> Option<u32> {
    server.truth().digest("linear", "BTCUSDT", Depth::Levels(50), u)
}

/// Runs until something other than a book message that fits is seen.
async fn run_until_odd(client: &mut Client, book: &mut Book) -> Seen {
    loop {
        match client.seen().await {
            Seen::Json(message) if message["topic"] == BOOK && message["type"] == "delta" => {
                let kept = (book.u, book.digest());
                if !book.apply(&message) || book.crossed() || message.as_object().unwrap().len() > 5 {
                    return Seen::Json(message);
                }
                assert_ne!(kept, (book.u, book.digest()));
            }
            Seen::Json(message) if message.get("success").is_some() => {}
            odd => return odd,
        }
    }
}

async fn odd_after(faults: &[&str]) -> (Running, Client, Book, Seen) {
    let server = serve(400, faults).await;
    let (mut client, mut book) = joined(&server).await;
    let odd = run_until_odd(&mut client, &mut book).await;
    (server, client, book, odd)
}

fn u_of(seen: &Seen) -> u64 {
    match seen {
        Seen::Json(message) => message["data"]["u"].as_u64().unwrap(),
        other => panic!("expected a book message, saw {other:?}"),
    }
}

#[tokio::test]
async fn lost_doubled_and_swapped_deltas() {
    let (_server, _client, book, odd) = odd_after(&["drop@6"]).await;
    assert_eq!(u_of(&odd), book.u + 2);
    let (_server, _client, book, odd) = odd_after(&["dup@6"]).await;
    assert_eq!(u_of(&odd), book.u);
    let (_server, mut client, book, odd) = odd_after(&["swap@6"]).await;
    assert_eq!(u_of(&odd), book.u + 2);
    assert_eq!(u_of(&Seen::Json(client.topic(BOOK).await)), book.u + 1);
}

#[tokio::test]
async fn a_crossed_book_has_right_ids() {
    let (server, _client, book, odd) = odd_after(&["crossed@6"]).await;
    assert_eq!(u_of(&odd), book.u);
    assert!(book.crossed());
    assert_ne!(Some(book.digest()), true_digest(&server, book.u));
}

#[tokio::test]
async fn unreadable_messages() {
    for fault in ["garbage@6", "truncated@6"] {
        let (_server, mut client, mut book, odd) = odd_after(&[fault]).await;
        assert!(matches!(odd, Seen::NotJson), "{fault}: {odd:?}");
        let gap = run_until_odd(&mut client, &mut book).await;
        assert_eq!(u_of(&gap), book.u + 2, "{fault} took a message away");
    }
    let (_server, _client, _book, odd) = odd_after(&["badutf8@6"]).await;
    assert!(matches!(odd, Seen::Broken(Error::Utf8(_))), "{odd:?}");
}

#[tokio::test]
async fn odd_but_valid_messages_leave_the_book_right() {
    for (fault, sign) in [("huge:2000000@6", "padding"), ("newfield@6", "newField")] {
        let (server, _client, book, odd) = odd_after(&[fault]).await;
        let Seen::Json(message) = odd else { panic!("{fault}: {odd:?}") };
        assert!(message.get(sign).is_some(), "{fault}");
        assert_eq!(Some(book.digest()), true_digest(&server, book.u), "{fault}");
    }
    let (server, mut client, mut book, odd) = odd_after(&["unknown-topic@6"]).await;
    assert!(matches!(&odd, Seen::Json(message) if message["topic"] == "weather.1.MOON"), "{odd:?}");
    assert!(book.apply(&client.topic(BOOK).await));
    assert_eq!(Some(book.digest()), true_digest(&server, book.u));
}

#[tokio::test]
async fn unasked_snapshots_and_restarts_replace_the_book() {
    for fault in ["snapshot@6", "restart@6"] {
        let (server, mut client, mut book, odd) = odd_after(&[fault]).await;
        let before = book.u;
        let Seen::Json(message) = odd else { panic!("{fault}: {odd:?}") };
        assert_eq!(message["type"], "snapshot", "{fault}");
        assert!(book.apply(&message));
        assert!(if fault == "restart@6" { book.u == 1 } else { book.u > before }, "{fault}: u {}", book.u);
        for _ in 0..20 {
            assert!(book.apply(&client.topic(BOOK).await), "{fault}: gap behind it");
        }
        assert_eq!(Some(book.digest()), true_digest(&server, book.u), "{fault}");
    }
}

#[tokio::test]
async fn a_client_that_closes_is_answered() {
    let server = serve(400, &[]).await;
    let (mut client, _book) = joined(&server).await;
    client.ws.close(None).await.unwrap();
    let end = loop {
        match client.seen().await {
            Seen::Json(_) => {}
            other => break other,
        }
    };
    assert!(matches!(end, Seen::Closed(_)), "{end:?}");
}

#[tokio::test]
async fn connections_end_as_told() {
    let (_server, _client, _book, odd) = odd_after(&["close:1008@6"]).await;
    assert!(matches!(odd, Seen::Closed(Some(1008))), "{odd:?}");
    let (_server, _client, _book, odd) = odd_after(&["reset@6"]).await;
    let Seen::Broken(Error::Io(error)) = odd else { panic!("{odd:?}") };
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    let (_server, _client, _book, odd) = odd_after(&["eof@6"]).await;
    assert!(matches!(odd, Seen::Broken(Error::Protocol(_)) | Seen::Ended), "{odd:?}");
}

/// Pings and says what comes back within a second, data aside.
async fn ping(client: &mut Client) -> Seen {
    client.send(r#"{"op":"ping","req_id":"p"}"#).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(1);
    loop {
        let left = deadline.saturating_duration_since(tokio::time::Instant::now());
        match client.seen_within(left).await {
            Seen::Json(message) if message.get("topic").is_some() => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn silent_connections() {
    let server = serve(400, &["stall:1500@6"]).await;
    let (mut client, mut book) = joined(&server).await;
    for _ in 0..4 {
        assert!(book.apply(&client.topic(BOOK).await));
    }
    assert!(matches!(client.seen_within(Duration::from_millis(300)).await, Seen::Nothing));
    assert!(matches!(ping(&mut client).await, Seen::Json(pong) if pong["ret_msg"] == "pong"));
    assert!(!book.apply(&client.topic(BOOK).await), "what fell into the stall is lost");

    let server = serve(400, &["half-open@6"]).await;
    let (mut client, mut book) = joined(&server).await;
    for _ in 0..4 {
        assert!(book.apply(&client.topic(BOOK).await));
    }
    assert!(matches!(client.seen_within(Duration::from_millis(300)).await, Seen::Nothing));
    let answer = ping(&mut client).await;
    assert!(matches!(answer, Seen::Nothing), "{answer:?}");

    let server = serve(400, &["nopong"]).await;
    let (mut client, _book) = joined(&server).await;
    let answer = ping(&mut client).await;
    assert!(matches!(answer, Seen::Nothing), "{answer:?}");
    assert!(matches!(client.seen().await, Seen::Json(_)), "data runs on");
}

#[tokio::test]
async fn a_silent_topic_comes_back_when_subscribed_to_anew() {
    let server = serve(400, &["silence:orderbook.50.BTCUSDT@6"]).await;
    let mut client = connect(&server, "linear").await.unwrap();
    client.subscribe(&[BOOK, "orderbook.50.ETHUSDT"]).await;
    let mut since = 0;
    while since < 100 {
        let message = client.json().await;
        since = if message["topic"] == BOOK { 0 } else { since + 1 };
    }
    client.send(&serde_json::json!({"op": "unsubscribe", "args": [BOOK]}).to_string()).await;
    client.subscribe(&[BOOK]).await;
    assert_eq!(client.topic(BOOK).await["type"], "snapshot");
    assert_eq!(client.topic(BOOK).await["type"], "delta");
}

#[tokio::test]
async fn fragments_are_real() {
    let server = serve(0, &["fragmented@2"]).await;
    let (client, _book) = joined(&server).await;
    // Nothing moves but by step(): nothing is buffered in the client.
    let mut raw = client.ws.into_inner();
    server.truth().step(1);
    let mut frames = Vec::new();
    while frames.last().is_none_or(|first: &u8| first & 0x80 == 0) {
        let mut head = [0; 2];
        raw.read_exact(&mut head).await.unwrap();
        let length = match head[1] {
            126 => raw.read_u16().await.unwrap() as usize,
            short => usize::from(short),
        };
        raw.read_exact(&mut vec![0; length]).await.unwrap();
        frames.push(head[0]);
    }
    assert!(frames.len() >= 2 && frames[0] == 0x01 && frames[1] & 0x0f == 0, "{frames:02x?}");

    let server = serve(400, &["fragmented@2+1"]).await;
    let (mut client, mut book) = joined(&server).await;
    for _ in 0..30 {
        assert!(book.apply(&client.topic(BOOK).await));
    }
    assert_eq!(Some(book.digest()), true_digest(&server, book.u));
}

#[tokio::test]
async fn refusals() {
    let server = serve(400, &["refuse:429@1", "reject:orderbook.50.ETHUSDT"]).await;
    let refused = connect(&server, "linear").await.err();
    assert!(matches!(&refused, Some(Error::Http(response)) if response.status() == 429), "{refused:?}");
    let (mut client, _book) = joined(&server).await;
    client.subscribe(&["orderbook.50.ETHUSDT"]).await;
    let answer = loop {
        let message = client.json().await;
        if message["success"] == false {
            break message;
        }
    };
    assert_eq!(answer["ret_msg"], "error:handler not found,topic:orderbook.50.ETHUSDT");
    assert!(matches!(connect(&server, "moon").await.err(), Some(Error::Http(response)) if response.status() == 404));
    assert_eq!(server.truth().connections(), 1);
}

#[tokio::test]
async fn rest_shares_the_port_and_the_truth() {
    let server = serve(0, &[]).await;
    let (head, book) = get(&server, "/v5/market/orderbook?category=linear&symbol=BTCUSDT&limit=5").await;
    assert_eq!(head, "HTTP/1.1 200 OK");
    let truth = server.truth().book("linear", "BTCUSDT", Depth::Levels(1_000)).unwrap();
    assert_eq!(book["result"]["u"], truth.u);
    assert_eq!(book["result"]["a"][4][0], truth.asks[4].price.to_string());
    assert_eq!(book["result"]["b"].as_array().unwrap().len(), 5);
}

/// A stock client of the venue, as its users run it. Needs a Python with `pybit`.
#[test]
fn pybit_reads_it() {
    let Ok(python) = std::env::var("TICKBUS_TEST_PYTHON") else {
        println!("skipped: TICKBUS_TEST_PYTHON names no Python with pybit");
        return;
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(serve(200, &[]));
    let run = std::process::Command::new(python)
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python/pybit_client.py"))
        .arg(server.local_addr().to_string())
        .output()
        .unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    println!("{}", String::from_utf8_lossy(&run.stdout));
}
