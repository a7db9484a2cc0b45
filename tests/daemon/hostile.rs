//! Strangers on the gateway's ports.

use serde_json::json;
use tickbus::io::zmq::{Kind, ZmqLimits, connect};
use tickbus::sim::Depth;
use tickbus::zmtp::ClientSecurity;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::time::Instant;

use crate::gateway::{Gateway, config, feed, venue};
use crate::watcher::Watcher;

const DEPTH: Depth = Depth::Levels(50);
/// Connections at one time; each is gone before the next ones come.
const AT_ONCE: usize = 50;

/// Opens a connection, writes nonsense, and leaves.
async fn nonsense(address: String, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let mut bytes = vec![0; rng.usize(0..300)];
    rng.fill(&mut bytes);
    if rng.bool() {
        // Far enough into a greeting to be answered.
        let greeting = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL";
        bytes.splice(0..0, greeting.iter().copied());
    }
    if let Ok(mut stream) = TcpStream::connect(address).await {
        drop(stream.write_all(&bytes).await);
    }
}

#[tokio::test]
async fn five_thousand_strangers_on_each_port_hurt_nobody() {
    let venue = venue(200, &[]).await;
    let feeds = json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:50"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", DEPTH, &["book.", "delta.", "status.", "heartbeat."]);
    watcher.until_true(&["BTCUSDT"], 20).await;
    let (before, from) = (gateway.resident_bytes(), watcher.told.len());
    let (mut seed, start) = (0, Instant::now());
    for endpoint in [&gateway.bus, &gateway.snapshot, &gateway.control] {
        let address = endpoint.strip_prefix("tcp://").unwrap();
        for _ in 0..5_000 / AT_ONCE {
            let strangers = (0..AT_ONCE).map(|_| {
                seed += 1;
                nonsense(address.to_owned(), seed)
            });
            futures_util::future::join_all(strangers).await;
            watcher.until_true(&["BTCUSDT"], 1).await;
        }
    }
    // All are counted, but each socket writes no more than a line a second and reason.
    let (_, stats) = gateway.ctl(&["stats"]).await;
    let refused: u64 = stats["refused"].as_object().unwrap().values().filter_map(serde_json::Value::as_u64).sum();
    assert!(refused > 4_000, "{refused} of 5,000 on the bus: {stats}");
    let log = gateway.log();
    let lines = log.iter().filter(|line| line["message"] == "bus peer refused").count();
    assert!(lines as u64 <= 3 * 3 * (start.elapsed().as_secs() + 2), "{lines} lines");
    assert_eq!((watcher.unproved, watcher.told_of("BTCUSDT", from)), (0, Vec::new()));
    let grown = gateway.resident_bytes().saturating_sub(before);
    assert!(grown < 64 << 20, "grew by {grown} bytes");
    // Newcomers are served as before, on every port.
    let mut newcomer = Watcher::new(&gateway, &venue, "linear", DEPTH, &["book.", "status."]);
    newcomer.until_true(&["BTCUSDT"], 5).await;
    let (code, status) = gateway.ctl(&["status"]).await;
    assert_eq!((code, &status["feeds"][0]["state"]), (0, &json!("live")), "{status}");
}

#[tokio::test]
async fn oversized_slow_and_silent_clients_of_the_control_socket_hurt_nobody() {
    let venue = venue(200, &[]).await;
    let feeds = json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:50"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", DEPTH, &["book.", "status."]);
    watcher.until_true(&["BTCUSDT"], 5).await;
    let from = watcher.told.len();
    let client =
        async || connect(&gateway.control, Kind::Dealer, &ClientSecurity::Null, ZmqLimits::default()).await.unwrap();
    // One that sends far too much, one that asks again and again and reads nothing, one that stops within a request.
    let mut large = client().await;
    let padding = "x".repeat(1 << 20);
    drop(large.send(&[b"", format!("{{\"op\":\"feeds\",\"x\":\"{padding}\"}}").as_bytes()]).await);
    assert!(large.receive().await.is_err(), "the connection ends");
    let deaf = client().await;
    let flood = tokio::spawn(async move {
        let mut deaf = deaf;
        while deaf.send(&[b"", br#"{"op":"status"}"#]).await.is_ok() {}
    });
    let address = gateway.control.strip_prefix("tcp://").unwrap();
    let mut slow = TcpStream::connect(address).await.unwrap();
    slow.write_all(b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL").await.unwrap();
    watcher.until_true(&["BTCUSDT"], 20).await;
    let (code, answer) = gateway.ctl(&["subscribe", "a", "channel=trade", "symbol=BTCUSDT"]).await;
    assert_eq!((code, &answer["streams"][0]["state"]), (0, &json!("subscribed")), "{answer}");
    assert_eq!(watcher.told_of("BTCUSDT", from), Vec::<String>::new());
    flood.abort();
}
