//! The simulated venue over real sockets: subscribe, snapshot, deltas, truth; every fault; REST; a stock client.

// Clippy's leave for tests does not reach helpers outside of #[test] functions.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tickbus::sim::{Depth, FaultSpec, Options, Running, Server};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

const DEADLINE: Duration = Duration::from_secs(10);
const BOOK: &str = "orderbook.50.BTCUSDT";

/// A websocket client that knows as little as possible.
struct Client {
    ws: WebSocketStream<TcpStream>,
}

/// What a client saw.
#[derive(Debug)]
enum Seen {
    Json(Value),
    NotJson,
    Closed(Option<u16>),
    Broken(Error),
    Ended,
    Nothing,
}

async fn serve(rate: u32, faults: &[&str]) -> Running {
    let faults: Vec<FaultSpec> = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Server::bind(Options { rate, faults, seed: 42, ..Options::default() }).await.unwrap().start()
}

async fn connect(server: &Running, category: &str) -> Result<Client, Error> {
    let stream = TcpStream::connect(server.local_addr()).await?;
    let (ws, _) = tokio_tungstenite::client_async(server.url(category), stream).await?;
    Ok(Client { ws })
}

impl Client {
    async fn send(&mut self, text: &str) {
        self.ws.send(Message::text(text)).await.unwrap();
    }

    async fn subscribe(&mut self, topics: &[&str]) {
        let request = serde_json::json!({"req_id": "7", "op": "subscribe", "args": topics});
        self.send(&request.to_string()).await;
    }

    async fn seen_within(&mut self, limit: Duration) -> Seen {
        loop {
            return match tokio::time::timeout(limit, self.ws.next()).await {
                Err(_) => Seen::Nothing,
                Ok(None) => Seen::Ended,
                Ok(Some(Ok(Message::Text(text)))) => serde_json::from_str(&text).map_or(Seen::NotJson, Seen::Json),
                Ok(Some(Ok(Message::Close(frame)))) => Seen::Closed(frame.map(|frame| frame.code.into())),
                Ok(Some(Err(error))) => Seen::Broken(error),
                Ok(Some(Ok(_))) => continue,
            };
        }
    }

    async fn seen(&mut self) -> Seen {
        self.seen_within(DEADLINE).await
    }

    async fn json(&mut self) -> Value {
        match self.seen().await {
            Seen::Json(value) => value,
            other => panic!("expected a JSON message, saw {other:?}"),
        }
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
