//! What a user subscribes to in a venue's own words: sent at every connection, published untouched.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tickbus::client::{Incoming, Subscriber, subscribe};
use tickbus::sim::{Depth, Server};
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc};
use tokio::time::timeout;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

use crate::gateway::{DEADLINE, Gateway, config, feed, refused, venue};
use crate::private;
use crate::watcher::Watcher;

/// Messages that no venue of ours sends: what tickbus makes of them shows whether it touched them.
const ODD: &[&[u8]] = &[b"{ \"price\" : 1.0000000000000000001 }", b"not JSON", "\u{fffd}\u{e9}".as_bytes()];
const BINARY: &[u8] = &[0, 255, 7];

/// A venue that tells what it was sent, says [`ODD`] after each text, and hangs up when told to.
struct OddVenue {
    url: String,
    sent: mpsc::Receiver<String>,
    hang_up: Arc<Notify>,
}

impl OddVenue {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/any", listener.local_addr().unwrap());
        let (heard, sent) = mpsc::channel(100);
        let hang_up = Arc::new(Notify::new());
        let hangs_up = Arc::clone(&hang_up);
        tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                let mut socket = accept_async(stream).await.unwrap();
                loop {
                    let text = tokio::select! {
                        message = socket.next() => match message {
                            Some(Ok(Message::Text(text))) => text,
                            Some(Ok(_)) => continue,
                            _ => break,
                        },
                        () = hangs_up.notified() => break,
                    };
                    heard.send(text.to_string()).await.unwrap();
                    for message in ODD {
                        let text = std::str::from_utf8(message).unwrap();
                        socket.send(Message::text(text)).await.unwrap();
                    }
                    socket.send(Message::binary(BINARY)).await.unwrap();
                }
            }
        });
        Self { url, sent, hang_up }
    }

    async fn next_text(&mut self) -> String {
        timeout(DEADLINE, self.sent.recv()).await.expect("a text in time").expect("the venue runs")
    }
}

async fn next_frame(subscriber: &mut Subscriber) -> (String, Vec<u8>) {
    loop {
        let incoming = timeout(DEADLINE, subscriber.next()).await.expect("a frame in time");
        if let Incoming::Frame(frame) = incoming {
            return (frame.topic, frame.payload.to_vec());
        }
    }
}

#[tokio::test]
async fn messages_of_a_venue_without_a_protocol_here_are_published_byte_for_byte() {
    let mut venue = OddVenue::start().await;
    let texts = [r#"{"op": "subscribe",  "args": ["x"]}"#, "second"];
    let channels = texts.map(|text| format!("raw:{text}"));
    let feed = json!({"venue": "other", "market": "odd_place", "url": venue.url, "channels": channels});
    let gateway = Gateway::start(&config(&json!({"a": feed}))).await;
    let mut subscriber = subscribe(&gateway.bus, &["raw.".to_owned()]).unwrap();
    let (frames, mut received) = mpsc::channel(1_000);
    tokio::spawn(async move {
        // It connects when it is asked for frames; the test ends when it has enough.
        while frames.send(next_frame(&mut subscriber).await).await.is_ok() {}
    });
    let cycle: Vec<&[u8]> = ODD.iter().copied().chain([BINARY]).collect();
    for round in 0..3 {
        for text in texts {
            assert_eq!(venue.next_text().await, text);
        }
        if round == 1 {
            let joined = async { while gateway.stats().await["subscribers"] != 1 {} };
            timeout(DEADLINE, joined).await.expect("a subscriber in time");
        }
        if round < 2 {
            venue.hang_up.notify_one();
        }
    }
    // The first frames may have been published before there was a subscriber.
    let mut place = None;
    for _ in 0..cycle.len() * texts.len() {
        let (topic, payload) = timeout(DEADLINE, received.recv()).await.expect("a frame in time").unwrap();
        let at = place.or_else(|| cycle.iter().position(|message| *message == payload)).unwrap_or_default();
        assert_eq!((topic.as_str(), &payload[..]), ("raw.other.odd_place.", cycle[at]));
        place = Some((at + 1) % cycle.len());
    }
    let subscribed =
        gateway.ask(json!({"op": "subscribe", "feed": "a", "channels": ["raw:third"], "within_ms": 20_000})).await;
    let stream = |channel: &str| json!([{"symbol": "", "channel": channel, "state": "subscribed"}]);
    assert_eq!((&subscribed["ok"], &subscribed["streams"]), (&json!(true), &stream("raw:third")));
    assert_eq!(venue.next_text().await, "third");
    let text = r#"raw:{"op":"subscribe","args":[{"a":1, "b":2}]}"#;
    let (code, told) = gateway.ctl(&["--timeout", "20", "subscribe", "a", &format!("channel={text}")]).await;
    assert_eq!((code, &told["streams"]), (0, &stream(text)), "{told}");
    assert_eq!(venue.next_text().await, text.trim_start_matches("raw:"));
}

#[tokio::test]
async fn raw_messages_do_not_touch_the_books_beside_them() {
    let venue = venue(200, &[]).await;
    let mut feed = feed(&venue, "linear", &["BTCUSDT"], &["book:50"]);
    let text = r#"{"op":"subscribe","args":["orderbook.50.BTCUSDT","publicTrade.BTCUSDT"]}"#;
    feed["channels"] = json!(["book:50", format!("raw:{text}")]);
    let gateway = Gateway::start(&config(&json!({"a": feed}))).await;
    let mut raw = subscribe(&gateway.bus, &["raw.bybit.linear.".to_owned()]).unwrap();
    let mut watcher = Watcher::new(&gateway, &venue, "linear", Depth::Levels(50), &["book.", "delta.", "status."]);
    watcher.until_true(&["BTCUSDT"], 100).await;
    let mut topics = BTreeSet::new();
    let both = async {
        while topics.len() < 2 {
            let (_, payload) = next_frame(&mut raw).await;
            let message: Value = serde_json::from_slice(&payload).unwrap();
            topics.extend(message["topic"].as_str().map(str::to_owned));
        }
    };
    timeout(DEADLINE, both).await.expect("both topics in time");
    assert!(watcher.told.iter().all(|told| told.state != "stale"), "{:?}", watcher.told);
}

#[tokio::test]
async fn the_address_of_accounts_takes_raw_texts_once_it_is_signed_in() {
    let case = private::CASES.iter().find(|case| case.venue == "okx").unwrap();
    let venue = Server::bind(case.options(&[], private::KEYS, private::HOUR)).await.unwrap().start();
    let text = r#"raw:{"op":"subscribe","args":[{"channel":"orders","instType":"ANY"}]}"#;
    let (_folder, mut config) = case.config(&venue, &[text], private::KEYS);
    let public = venue.url(case.place);
    config["feeds"]["a"]["url"] = json!(public.replace("/public", "/private"));
    let gateway = Gateway::start(&config).await;
    let mut raw = subscribe(&gateway.bus, &["raw.okx.".to_owned()]).unwrap();
    let of_orders = async {
        loop {
            let (_, payload) = next_frame(&mut raw).await;
            let message: Value = serde_json::from_slice(&payload).unwrap();
            assert_ne!(message["event"], "error", "{message}");
            if message["arg"]["channel"] == "orders" && message["data"].is_array() {
                break;
            }
        }
    };
    timeout(DEADLINE, of_orders).await.expect("orders in time");
}

#[tokio::test]
async fn wrong_raw_channels_are_refused_with_advice() {
    let cases = [
        (json!({"venue": "other", "market": "x", "channels": ["raw:a"]}), "feeds.a.url: is missing"),
        (json!({"venue": "other", "market": "X!", "url": "ws://h", "channels": ["raw:a"]}), "feeds.a.market: "),
        (json!({"venue": "other", "market": "x", "url": "ws://h", "channels": ["trade"]}), "allowed: raw:TEXT"),
        (json!({"venue": "bybit", "market": "linear", "channels": ["raw: "]}), "needs the text that is sent"),
        (json!({"venue": "bybit", "market": "linear", "channels": ["raw:a", "raw:a"]}), "already given by channels[0]"),
        (json!({"venue": "quik", "market": "SPBFUT", "channels": ["raw:a"]}), "feeds.a.channels[0]"),
    ];
    for (feed, expected) in cases {
        let output = refused(&config(&json!({"a": feed}))).await;
        let said = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(expected), "{feed}: {said}");
    }
}
