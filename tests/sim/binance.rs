//! The simulated Binance over real sockets: books from images and streams, pings, limits, REST faults, and the account.

use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tickbus::sim::binance::{Settings, sign};
use tickbus::sim::{Depth, Options, Running, Server};
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, DEADLINE, Seen, ask, connect, get};

async fn serve(rate: u32, faults: &[&str], binance: Settings) -> Running {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let options = Options { venue: "binance".to_owned(), rate, faults, seed: 42, binance, ..Options::default() };
    Server::bind(options).await.unwrap().start()
}

/// Every move goes out at once.
fn at_once() -> Settings {
    Settings { every_move: true, ..Settings::default() }
}

/// A book kept the way the venue's documentation says.
struct Book {
    id: u64,
    joined: bool,
    sides: [BTreeMap<u64, String>; 2],
}

fn plain(number: &str) -> &str {
    if number.contains('.') { number.trim_end_matches('0').trim_end_matches('.') } else { number }
}

fn set(side: &mut BTreeMap<u64, String>, levels: &Value) {
    for level in levels.as_array().unwrap() {
        let (price, size) = (level[0].as_str().unwrap(), level[1].as_str().unwrap());
        let key = (price.parse::<f64>().unwrap() * 1e8).round() as u64;
        match plain(size) {
            "0" => side.remove(&key),
            size => side.insert(key, format!("{}:{size}", plain(price))),
        };
    }
}

impl Book {
    async fn image(server: &Running, path: &str) -> Self {
        let (status, body) = get(server, path).await;
        assert!(status.contains("200"), "{status}: {body}");
        let mut sides = <[BTreeMap<u64, String>; 2]>::default();
        set(&mut sides[0], &body["bids"]);
        set(&mut sides[1], &body["asks"]);
        Self { id: body["lastUpdateId"].as_u64().unwrap(), joined: false, sides }
    }

    /// Applies an event; false on a gap.
    fn apply(&mut self, event: &Value) -> bool {
        let [first, last] = ["U", "u"].map(|name| event[name].as_u64().unwrap());
        let previous = event["pu"].as_u64();
        let fits = match previous {
            None if last <= self.id => return true,
            None => first <= self.id + 1,
            Some(_) if !self.joined && last < self.id => return true,
            Some(previous) => previous == self.id || (!self.joined && first <= self.id),
        };
        (self.id, self.joined) = (last, true);
        set(&mut self.sides[0], &event["b"]);
        set(&mut self.sides[1], &event["a"]);
        fits
    }

    fn digest(&self) -> u32 {
        let bids: Vec<&str> = self.sides[0].values().rev().take(25).map(String::as_str).collect();
        let asks: Vec<&str> = self.sides[1].values().take(25).map(String::as_str).collect();
        crc32fast::hash(format!("{}#{}", bids.join("|"), asks.join("|")).as_bytes())
    }
}

/// The next depth event of a combined connection.
async fn event(client: &mut Client) -> Value {
    loop {
        let message = client.json().await;
        if message["data"]["e"] == "depthUpdate" {
            return message["data"].clone();
        }
    }
}

const MARKETS: [(&str, &str, &str, &str); 3] = [
    ("spot", "stream", "BTCUSDT", "/api/v3/depth"),
    ("usdm", "public/stream", "BTCUSDT", "/fapi/v1/depth"),
    ("coinm", "stream", "BTCUSD_PERP", "/dapi/v1/depth"),
];

#[tokio::test]
async fn one_address_serves_true_books_of_every_market() {
    let server = serve(1_000, &[], at_once()).await;
    for (market, path, symbol, depth) in MARKETS {
        let place = format!("{path}?streams={}@depth@100ms", symbol.to_lowercase());
        let mut client = connect(&server, &place).await.unwrap();
        let first = event(&mut client).await;
        let mut book = Book::image(&server, &format!("{depth}?symbol={symbol}&limit=1000")).await;
        assert!(book.apply(&first), "{market}: the image is older than the stream");
        for _ in 0..100 {
            let event = event(&mut client).await;
            assert!(book.apply(&event), "{market}: gap at {event}");
            if book.joined {
                let truth = server.truth().digest(market, symbol, Depth::Full, book.id);
                assert_eq!(truth, Some(book.digest()), "{market} at {}", book.id);
            }
        }
        assert!(book.joined, "{market}");
    }
    server.stop().await;
}

#[tokio::test]
async fn faults_of_the_stream_break_the_chain_of_ids() {
    for (fault, fits) in [("drop@20", false), ("swap@20", false), ("dup@20", true), ("fragmented@20", true)] {
        let server = serve(1_000, &[fault], at_once()).await;
        let mut client = connect(&server, "stream?streams=btcusdt@depth@100ms").await.unwrap();
        let first = event(&mut client).await;
        let mut book = Book { id: first["U"].as_u64().unwrap() - 1, joined: false, sides: Default::default() };
        let mut whole = book.apply(&first);
        for _ in 0..40 {
            whole &= book.apply(&event(&mut client).await);
        }
        assert_eq!(whole, fits, "{fault}");
    }
}

#[tokio::test]
async fn a_crossed_book_has_right_ids() {
    let server = serve(500, &["crossed@200"], at_once()).await;
    let mut client = connect(&server, "public/stream?streams=btcusdt@depth@0ms").await.unwrap();
    let first = event(&mut client).await;
    let mut book = Book::image(&server, "/fapi/v1/depth?symbol=BTCUSDT&limit=1000").await;
    book.apply(&first);
    let crossed = |book: &Book| book.sides[0].last_key_value().unwrap().0 >= book.sides[1].first_key_value().unwrap().0;
    for at in 2..=200 {
        assert!(!crossed(&book), "before message {at}");
        assert!(book.apply(&event(&mut client).await), "message {at}");
    }
    assert!(crossed(&book));
}

/// How a connection to which nothing is sent ends.
async fn end(client: &mut Client) -> Seen {
    loop {
        match client.seen().await {
            Seen::Json(_) => {}
            other => return other,
        }
    }
}

#[tokio::test]
async fn connections_end_in_time_with_or_without_a_word() {
    let server = serve(200, &["lifetime:300"], at_once()).await;
    let mut client = connect(&server, "coinm/ws/btcusd_perp@depth").await.unwrap();
    assert!(matches!(end(&mut client).await, Seen::Closed(Some(1_001))));
    let server = serve(200, &["notice:200@5"], at_once()).await;
    let mut client = connect(&server, "ws/btcusdt@depth").await.unwrap();
    let mut told = false;
    let closed = loop {
        match client.seen().await {
            Seen::Json(message) => told |= message["e"] == "serverShutdown",
            other => break other,
        }
    };
    assert!(told && matches!(closed, Seen::Closed(Some(1_001))), "{closed:?}");
}

#[tokio::test]
async fn a_client_that_talks_too_much_is_cut_off() {
    let server = serve(0, &[], Settings::default()).await;
    let mut client = connect(&server, "ws").await.unwrap();
    for _ in 0..6 {
        client.ws.send(Message::Ping(Vec::new().into())).await.unwrap();
    }
    let mut pongs = 0;
    let code = loop {
        match tokio::time::timeout(DEADLINE, client.ws.next()).await.unwrap() {
            Some(Ok(Message::Pong(_))) => pongs += 1,
            Some(Ok(Message::Close(Some(frame)))) => break u16::from(frame.code),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(code, 1_008);
    assert!(pongs <= 6);
}

#[tokio::test]
async fn rest_faults_happen_to_the_requests_they_name() {
    let faults = ["rest-5xx:504@2", "rest-slow:300@3", "rest-ban:60@4"];
    let server = serve(0, &faults, Settings::default()).await;
    let path = "/api/v3/depth?symbol=BTCUSDT&limit=5";
    let (head, _) = ask(&server, "GET", path, "").await;
    assert!(head.starts_with("HTTP/1.1 200") && head.to_lowercase().contains("x-mbx-used-weight-1m: 5"), "{head}");
    let (head, body) = ask(&server, "GET", path, "").await;
    assert!(head.starts_with("HTTP/1.1 504") && body.contains("-1007"), "{head} {body}");
    let before = Instant::now();
    let (head, _) = ask(&server, "GET", path, "").await;
    assert!(head.starts_with("HTTP/1.1 200") && before.elapsed() >= Duration::from_millis(300), "{head}");
    let (head, body) = ask(&server, "GET", path, "").await;
    assert!(head.starts_with("HTTP/1.1 418") && head.to_lowercase().contains("retry-after: 60"), "{head} {body}");
    let (_, stats) = get(&server, "/sim/stats").await;
    assert_eq!((&stats["spot"]["banned"], &stats["spot"]["most"]), (&json!(1), &json!(10)));
    assert_eq!(server.truth().stats()["spot"]["banned"], 1);
}

#[tokio::test]
async fn a_stale_image_comes_first_and_a_good_one_after() {
    let server = serve(500, &["rest-stale@1"], at_once()).await;
    let mut client = connect(&server, "stream?streams=btcusdt@depth@100ms").await.unwrap();
    let first = event(&mut client).await;
    let path = "/api/v3/depth?symbol=BTCUSDT&limit=1000";
    let stale = Book::image(&server, path).await;
    assert!(stale.id + 1 < first["U"].as_u64().unwrap());
    assert_eq!(server.truth().digest("spot", "BTCUSDT", Depth::Full, stale.id), Some(stale.digest()));
    assert!(Book::image(&server, path).await.apply(&first));
}

#[tokio::test]
async fn the_account_is_for_those_who_sign() {
    let binance = Settings { deal_every: Duration::from_millis(50), ..Settings::default() };
    let server = serve(0, &[], binance).await;
    let header = "X-MBX-APIKEY: key";
    let time = get(&server, "/fapi/v1/time").await.1["serverTime"].as_u64().unwrap();
    let query = format!("recvWindow=60000&timestamp={time}");
    let path = |signature: String| format!("/fapi/v2/account?{query}&signature={signature}");
    let (head, body) = ask(&server, "GET", &path(sign("secret", &query)), header).await;
    assert!(head.starts_with("HTTP/1.1 200") && body.contains("walletBalance"), "{head} {body}");
    let (head, body) = ask(&server, "GET", &path(sign("wrong", &query)), header).await;
    assert!(head.starts_with("HTTP/1.1 400") && body.contains("-1022"), "{head} {body}");
    let (_, body) = ask(&server, "POST", "/fapi/v1/listenKey", header).await;
    let key: Value = serde_json::from_str(&body).unwrap();
    let place = format!("private/ws?listenKey={}", key["listenKey"].as_str().unwrap());
    let mut client = connect(&server, &place).await.unwrap();
    assert_eq!(client.json().await["e"], "ORDER_TRADE_UPDATE");
}
