//! OKX: every kind of chained book against the truth, under every fault; closing, announcing, logging in; REST.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tickbus::sim::okx::{Checksum, Settings, sign};
use tickbus::sim::{Depth, FaultSpec, Options, Running, Server};
use tokio_tungstenite::tungstenite::Error;

use crate::client::{Client, Seen, connect, get};

const SYMBOL: &str = "BTC-USDT-SWAP";

async fn serve_with(venue: &str, rate: u32, faults: &[&str], okx: Settings) -> Running {
    let faults: Vec<FaultSpec> = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let options = Options { venue: venue.to_owned(), rate, faults, okx, seed: 42, ..Options::default() };
    Server::bind(options).await.unwrap().start()
}

async fn serve(rate: u32, faults: &[&str]) -> Running {
    serve_with("okx", rate, faults, Settings::default()).await
}

impl Client {
    async fn join(&mut self, channel: &str, symbol: &str) {
        let args = [json!({"channel": channel, "instId": symbol})];
        self.send(&json!({"id": "7", "op": "subscribe", "args": args}).to_string()).await;
    }

    async fn leave(&mut self, channel: &str, symbol: &str) {
        let args = [json!({"channel": channel, "instId": symbol})];
        self.send(&json!({"op": "unsubscribe", "args": args}).to_string()).await;
    }

    /// The next message with data of this channel.
    async fn data(&mut self, channel: &str) -> Value {
        loop {
            let message = self.json().await;
            if message["arg"]["channel"] == channel && message.get("data").is_some() {
                return message;
            }
        }
    }

    async fn log_in(&mut self, secret: &str) {
        let since = std::time::UNIX_EPOCH.elapsed().unwrap().as_secs().to_string();
        let shown = json!({"apiKey": "key", "passphrase": "phrase", "timestamp": since, "sign": sign(secret, &since)});
        self.send(&json!({"op": "login", "args": [shown]}).to_string()).await;
    }
}

/// A book kept the way the venue's documentation says.
#[derive(Default)]
struct Book {
    seq_id: u64,
    sides: [BTreeMap<i64, String>; 2],
}

impl Book {
    /// Applies a message; false on a gap.
    fn apply(&mut self, message: &Value) -> bool {
        let data = &message["data"][0];
        if message["action"] == "snapshot" {
            self.sides = Default::default();
        } else if data["prevSeqId"].as_u64() != Some(self.seq_id) {
            return false;
        }
        self.seq_id = data["seqId"].as_u64().unwrap();
        for (side, name) in self.sides.iter_mut().zip(["bids", "asks"]) {
            for level in data[name].as_array().unwrap() {
                let (price, size) = (level[0].as_str().unwrap(), level[1].as_str().unwrap());
                let ticks = (price.parse::<f64>().unwrap() * 10_000.0).round() as i64;
                match size {
                    "0" => side.remove(&ticks),
                    _ => side.insert(ticks, format!("{price}:{size}")),
                };
            }
        }
        true
    }

    fn best(&self) -> [Vec<&str>; 2] {
        let [bids, asks] = &self.sides;
        [
            bids.values().rev().take(25).map(String::as_str).collect(),
            asks.values().take(25).map(String::as_str).collect(),
        ]
    }

    fn digest(&self) -> u32 {
        crc32fast::hash(self.best().map(|side| side.join("|")).join("#").as_bytes())
    }

    fn checksum(&self) -> i64 {
        let [bids, asks] = self.best();
        let texts: Vec<&str> = (0..25).flat_map(|at| [bids.get(at), asks.get(at)]).flatten().copied().collect();
        i64::from(crc32fast::hash(texts.join(":").as_bytes()).cast_signed())
    }

    fn crossed(&self) -> bool {
        let [bids, asks] = &self.sides;
        bids.last_key_value().zip(asks.first_key_value()).is_some_and(|(bid, ask)| bid.0 >= ask.0)
    }

    fn is_true(&self, server: &Running) -> bool {
        server.truth().digest("swap", SYMBOL, Depth::Levels(400), self.seq_id) == Some(self.digest())
    }
}

/// A client with the book's snapshot applied.
async fn joined(server: &Running) -> (Client, Book) {
    let mut client = connect(server, "public").await.unwrap();
    client.join("books", SYMBOL).await;
    let mut book = Book::default();
    assert!(book.apply(&client.data("books").await));
    (client, book)
}

/// Runs until something other than a book message that fits is seen.
async fn odd_after(fault: &str) -> (Running, Client, Book, Seen) {
    let server = serve(400, &[fault]).await;
    let (mut client, mut book) = joined(&server).await;
    loop {
        match client.seen().await {
            Seen::Json(message) if message["action"] == "update" && message.get("newField").is_none() => {
                let before = book.seq_id;
                if !book.apply(&message) || book.crossed() || book.seq_id <= before || message.get("padding").is_some()
                {
                    return (server, client, book, Seen::Json(message));
                }
                assert!(book.is_true(&server), "{fault}");
            }
            odd => return (server, client, book, odd),
        }
    }
}

fn message(seen: Seen) -> Value {
    match seen {
        Seen::Json(message) => message,
        other => panic!("expected a message, saw {other:?}"),
    }
}

#[tokio::test]
async fn every_market_and_channel_rebuilds_the_truth() {
    let server = serve_with("okx", 2_000, &[], Settings { connect_limit: false, ..Settings::default() }).await;
    for (market, symbol) in
        [("spot", "ETH-USDT"), ("swap", SYMBOL), ("futures", "BTC-USD-270326"), ("option", "BTC-USD-270326-60000-P")]
    {
        for (channel, depth) in [("books", 400), ("books-l2-tbt", 400), ("books50-l2-tbt", 50)] {
            let mut client = connect(&server, "public").await.unwrap();
            client.log_in("secret").await;
            client.join(channel, symbol).await;
            let mut book = Book::default();
            for _ in 0..100 {
                assert!(book.apply(&client.data(channel).await), "{channel} {symbol}: gap");
                assert!(!book.crossed(), "{channel} {symbol}: crossed");
                let truth = server.truth().digest(market, symbol, Depth::Levels(depth), book.seq_id);
                assert_eq!(truth, Some(book.digest()), "{channel} {symbol} at {}", book.seq_id);
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn two_connections_see_the_same_ids() {
    let server = serve(1_000, &[]).await;
    let mut seen = Vec::new();
    for client in [joined(&server).await, joined(&server).await] {
        let (mut client, mut book) = client;
        let mut states = BTreeMap::new();
        for _ in 0..200 {
            assert!(book.apply(&client.data("books").await));
            states.insert(book.seq_id, book.digest());
        }
        seen.push(states);
    }
    let shared = seen[0].iter().filter(|(id, digest)| seen[1].get(id) == Some(digest)).count();
    assert!(shared > 50, "{shared} of 200");
}

#[tokio::test]
async fn lost_doubled_and_swapped_changes() {
    for fault in ["drop@6", "dup@6", "swap@6", "truncated@6", "garbage@6"] {
        let (_server, mut client, book, odd) = odd_after(fault).await;
        let gap = match odd {
            Seen::NotJson => client.data("books").await,
            odd => message(odd),
        };
        let data = &gap["data"][0];
        assert_ne!(data["prevSeqId"].as_u64(), Some(book.seq_id), "{fault}");
        assert_eq!(data["seqId"].as_u64() == Some(book.seq_id), fault == "dup@6", "{fault}");
    }
}

#[tokio::test]
async fn a_crossed_book_has_right_ids() {
    let (server, _client, book, _) = odd_after("crossed@6").await;
    assert!(book.crossed() && !book.is_true(&server));
}

#[tokio::test]
async fn odd_but_valid_messages_leave_the_book_right() {
    for (fault, sign) in [("huge:2000000@6", "padding"), ("newfield@6", "newField")] {
        let (server, _client, mut book, odd) = odd_after(fault).await;
        let odd = message(odd);
        assert!(odd.get(sign).is_some(), "{fault}");
        assert!(sign == "padding" || book.apply(&odd), "{fault}");
        assert!(book.is_true(&server), "{fault}");
    }
    let (server, mut client, mut book, odd) = odd_after("unknown-topic@6").await;
    assert_eq!(message(odd)["arg"]["channel"], "weather");
    assert!(book.apply(&client.data("books").await) && book.is_true(&server));
}

#[tokio::test]
async fn snapshots_unasked_and_maintenance_go_on_without_a_gap() {
    for fault in ["snapshot@6", "restart@6"] {
        let (server, mut client, mut book, odd) = odd_after(fault).await;
        let (odd, before) = (message(odd), book.seq_id);
        if fault == "snapshot@6" {
            assert_eq!((&odd["action"], &odd["data"][0]["prevSeqId"]), (&json!("snapshot"), &json!(-1)));
            assert!(book.apply(&odd) && book.seq_id >= before);
        } else {
            assert!(odd["data"][0]["seqId"].as_u64() < odd["data"][0]["prevSeqId"].as_u64());
        }
        for _ in 0..20 {
            assert!(book.apply(&client.data("books").await), "{fault}: gap behind it");
        }
        assert!(book.is_true(&server), "{fault}");
    }
}

#[tokio::test]
async fn checksums_live_and_wrong() {
    let live = Settings { checksum: Some(Checksum::Live), ..Settings::default() };
    let server = serve_with("okx", 400, &["checksum@6+1000000"], live).await;
    let (mut client, mut book) = joined(&server).await;
    let mut wrong = 0;
    for _ in 0..30 {
        let message = client.data("books").await;
        assert!(book.apply(&message) && book.is_true(&server), "only the checksum is wrong");
        wrong += u32::from(message["data"][0]["checksum"].as_i64() != Some(book.checksum()));
    }
    assert_eq!(wrong, 1);
    let japan = serve_with("okj", 400, &[], Settings::default()).await;
    let mut client = connect(&japan, "public").await.unwrap();
    client.join("books", "BTC-JPY").await;
    let mut book = Book::default();
    for _ in 0..20 {
        let message = client.data("books").await;
        assert!(book.apply(&message));
        assert_eq!(message["data"][0]["checksum"].as_i64(), Some(book.checksum()));
    }
}

#[tokio::test]
async fn connections_end_as_told() {
    let (_server, _client, _book, odd) = odd_after("close:1012@6").await;
    assert!(matches!(odd, Seen::Closed(Some(1012))), "{odd:?}");
    let (_server, _client, _book, odd) = odd_after("reset@6").await;
    assert!(matches!(&odd, Seen::Broken(Error::Io(_))), "{odd:?}");
    let (_server, _client, _book, odd) = odd_after("badutf8@6").await;
    assert!(matches!(&odd, Seen::Broken(Error::Utf8(_))), "{odd:?}");
    let server = serve(400, &["half-open@6"]).await;
    let (mut client, mut book) = joined(&server).await;
    for _ in 0..4 {
        assert!(book.apply(&client.data("books").await));
    }
    assert!(matches!(client.seen_within(Duration::from_millis(300)).await, Seen::Nothing));
    client.send("ping").await;
    assert!(matches!(client.seen_within(Duration::from_millis(500)).await, Seen::Nothing), "not even a pong");
}

#[tokio::test]
async fn an_upgrade_is_announced_and_then_the_connection_closed() {
    let (_server, mut client, mut book, odd) = odd_after("notice:700@6").await;
    let notice = message(odd);
    assert_eq!((&notice["event"], &notice["code"]), (&json!("notice"), &json!("64008")));
    assert!(notice["connId"].is_string());
    let mut updates = 0;
    let end = loop {
        match client.seen().await {
            Seen::Json(message) if message["action"] == "update" => {
                assert!(book.apply(&message));
                updates += 1;
            }
            end => break end,
        }
    };
    assert!(matches!(end, Seen::Closed(Some(1001))) && updates > 20, "{end:?} after {updates} updates");
}

#[tokio::test]
async fn an_idle_connection_is_closed_and_pings_keep_it() {
    let server = serve_with("okx", 0, &[], Settings { idle: Duration::from_millis(600), ..Settings::default() }).await;
    let mut client = connect(&server, "public").await.unwrap();
    for _ in 0..4 {
        assert!(matches!(client.seen_within(Duration::from_millis(200)).await, Seen::Nothing));
        client.send("ping").await;
        // The bare text pong is no JSON.
        assert!(matches!(client.seen().await, Seen::NotJson));
    }
    assert!(matches!(client.seen().await, Seen::Closed(Some(4004))));
}

#[tokio::test]
async fn too_long_a_request_is_answered_with_1009() {
    let server = serve(0, &[]).await;
    for length in [70_000, 1_500_000] {
        let mut client = connect(&server, "public").await.unwrap();
        let padding = "x".repeat(length);
        client.send(&json!({"op": "subscribe", "args": [{"channel": padding}]}).to_string()).await;
        let end = client.seen().await;
        assert!(matches!(end, Seen::Closed(Some(1009))), "{length}: {end:?}");
    }
}

#[tokio::test]
async fn logging_in() {
    let server = serve(100, &[]).await;
    let mut client = connect(&server, "private").await.unwrap();
    client.log_in("secret").await;
    assert_eq!(client.json().await["code"], "0");
    client.send(r#"{"op":"subscribe","args":[{"channel":"positions","instType":"ANY"}]}"#).await;
    assert_eq!(client.data("positions").await["eventType"], "snapshot");
    let mut wrong = connect(&server, "private").await.unwrap();
    wrong.log_in("guess").await;
    assert_eq!(wrong.json().await["code"], "60007");
    assert!(matches!(wrong.seen().await, Seen::Closed(Some(4001))));
}

#[tokio::test]
async fn refusals() {
    let server = serve(400, &["refuse:503@1", "reject:books:ETH-USDT"]).await;
    let status = |refused: Option<Error>| match refused {
        Some(Error::Http(response)) => response.status().as_u16(),
        other => panic!("expected an HTTP refusal, got {other:?}"),
    };
    assert_eq!(status(connect(&server, "public").await.err()), 503);
    assert_eq!(status(connect(&server, "moon").await.err()), 404);
    let (mut client, _book) = joined(&server).await;
    client.join("books", "ETH-USDT").await;
    let refused = loop {
        let message = client.json().await;
        if message["event"] == "error" {
            break message;
        }
    };
    assert_eq!(refused["code"], "60018");
    let mut statuses = Vec::new();
    for _ in 0..6 {
        statuses.extend(connect(&server, "public").await.err().map(|error| status(Some(error))));
    }
    assert!(statuses.contains(&429), "{statuses:?}");
    let unknown = Server::bind(Options { venue: "moon".to_owned(), ..Options::default() }).await.err().unwrap();
    assert!(unknown.to_string().contains("bybit, okx, okj"), "{unknown}");
    let faults = vec!["notice".parse().unwrap()];
    let odd = Server::bind(Options { faults, ..Options::default() }).await.err().unwrap();
    assert!(odd.to_string().contains("notice cannot happen on bybit"), "{odd}");
}

#[tokio::test]
async fn a_silent_book_comes_back_when_subscribed_to_anew() {
    let server = serve(400, &["silence:books:BTC-USDT-SWAP@6"]).await;
    let (mut client, _book) = joined(&server).await;
    client.join("books", "BTC-USDT").await;
    let mut since = 0;
    while since < 100 {
        let message = client.data("books").await;
        since = if message["arg"]["instId"] == SYMBOL { 0 } else { since + 1 };
    }
    client.leave("books", SYMBOL).await;
    client.join("books", SYMBOL).await;
    let actions = loop {
        let message = client.data("books").await;
        if message["arg"]["instId"] == SYMBOL {
            break message["action"].clone();
        }
    };
    assert_eq!(actions, "snapshot");
}

#[tokio::test]
async fn rest_shares_the_port_the_truth_and_the_limits() {
    let server = serve(0, &[]).await;
    let (head, book) = get(&server, "/api/v5/market/books?instId=BTC-USDT-SWAP&sz=5").await;
    assert_eq!(head, "HTTP/1.1 200 OK");
    let truth = server.truth().book("swap", SYMBOL, Depth::Levels(400)).unwrap();
    assert_eq!((&book["code"], book["data"][0]["seqId"].as_u64()), (&json!("0"), Some(truth.u)));
    assert_eq!(book["data"][0]["asks"][4][0], truth.asks[4].price.to_string());
    let mut heads = Vec::new();
    for _ in 0..11 {
        heads.push(get(&server, "/api/v5/public/time").await);
    }
    let (head, body) = heads.pop().unwrap();
    assert_eq!((head.as_str(), &body["code"]), ("HTTP/1.1 429 Too Many Requests", &json!("50011")));
    assert!(heads.iter().all(|(head, _)| head == "HTTP/1.1 200 OK"));
}
