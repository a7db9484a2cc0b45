//! Subscribing: prefixes, joining, cancelling, heartbeats, endpoints, restart and close.

use std::time::Duration;

use bytes::Bytes;
use tickbus::bus::{HeartbeatOptions, Outgoing, Publisher, PublisherOptions, Retain};
use tokio::io::AsyncReadExt;
use tokio::net::UnixStream;
use tokio::time::Instant;
use zeromq::{Socket, SocketRecv};

use crate::raw::{Peer, frame, publish, publisher, until, within};

#[tokio::test]
async fn prefixes_select_for_both_protocol_versions() {
    let bus = publisher(|_| {}).await;
    for minor in [0, 1] {
        let mut peer = Peer::subscriber(&bus, minor, "trade.bybit.linear.BTCUSD.").await;
        publish(&bus, "trade.bybit.linear.BTCUSDT.", "no", Retain::Stream);
        publish(&bus, "trade.bybit.linear.BTCUSD.", "yes", Retain::Stream);
        assert_eq!(peer.text().await, "trade.bybit.linear.BTCUSD. yes");
        peer.subscribe("trade.").await;
        peer.settle().await;
        publish(&bus, "trade.bybit.linear.BTCUSDT.", "1", Retain::Stream);
        publish(&bus, "trade.bybit.linear.BTCUSD.", "2", Retain::Stream);
        assert_eq!(peer.text().await, "trade.bybit.linear.BTCUSDT. 1");
        assert_eq!(peer.text().await, "trade.bybit.linear.BTCUSD. 2");
        peer.unsubscribe("trade.").await;
        peer.settle().await;
        publish(&bus, "trade.bybit.linear.BTCUSDT.", "no", Retain::Stream);
        publish(&bus, "trade.bybit.linear.BTCUSD.", "3", Retain::Stream);
        assert_eq!(peer.text().await, "trade.bybit.linear.BTCUSD. 3");
    }
    assert_eq!(bus.stats().accepted, 2);
}

#[tokio::test]
async fn a_joiner_gets_the_kept_frames_at_once_and_nobody_else_does() {
    let bus = publisher(|_| {}).await;
    let mut old = Peer::subscriber(&bus, 1, "book.").await;
    let mut batch = vec![
        frame("book.b.", "1", Retain::Conflate),
        frame("book.a.", "1", Retain::Conflate),
        frame("book.gone.", "1", Retain::Conflate),
        frame("trade.a.", "1", Retain::Stream),
        frame("status.a.", "live", Retain::Latest),
        frame("book.b.", "2", Retain::Conflate),
        Outgoing::Forget(Bytes::from_static(b"book.gone.")),
    ];
    bus.publish(&mut batch);
    assert!(batch.is_empty());
    for expected in ["book.b. 1", "book.a. 1", "book.gone. 1", "book.b. 2"] {
        assert_eq!(old.text().await, expected);
    }
    let mut new = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
    new.subscribe("").await;
    for expected in ["status.a. live", "book.a. 1", "book.b. 2"] {
        assert_eq!(new.text().await, expected);
    }
    // What it has it does not get again.
    new.subscribe("book.").await;
    new.settle().await;
    publish(&bus, "book.a.", "2", Retain::Conflate);
    assert_eq!((new.text().await, old.text().await), ("book.a. 2".to_owned(), "book.a. 2".to_owned()));
}

#[tokio::test]
async fn large_and_empty_payloads_arrive_whole() {
    let bus = publisher(|_| {}).await;
    let mut peer = Peer::subscriber(&bus, 1, "").await;
    let payloads: Vec<String> = [0, 1, 254, 255, 256, 1024, 1025, 70_000, 3_000_000].map(|n| "x".repeat(n)).into();
    let mut batch = payloads.iter().map(|payload| frame("t.", payload, Retain::Stream)).collect();
    bus.publish(&mut batch);
    for payload in &payloads {
        let message = peer.message().await.unwrap();
        assert_eq!((message.len(), message[1].len()), (2, payload.len()));
    }
    let wire: usize = payloads.iter().map(|p| 4 + p.len() + if p.len() > 255 { 9 } else { 2 }).sum();
    assert!(bus.stats().bytes_sent >= wire as u64);
}

#[tokio::test]
async fn a_ping_is_answered_with_its_context() {
    let bus = publisher(|_| {}).await;
    let mut peer = Peer::subscriber(&bus, 1, "t.").await;
    peer.send(4, b"\x04PING\x00\x0ahello").await;
    assert_eq!(peer.frame().await.unwrap(), (4, b"\x04PONGhello".to_vec()));
    publish(&bus, "t.", "1", Retain::Stream);
    assert_eq!(peer.text().await, "t. 1");
}

#[tokio::test]
async fn only_peers_that_know_ping_are_asked_and_the_silent_are_dropped() {
    let heartbeat = HeartbeatOptions { ping_after: Duration::from_millis(40), drop_after: Duration::from_millis(200) };
    let bus = publisher(|options| options.heartbeat = heartbeat).await;
    let mut old = Peer::subscriber(&bus, 0, "t.").await;
    let mut answering = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
    let mut silent = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(600) {
        assert_eq!(answering.frame().await.unwrap(), (4, b"\x04PING\x00\x00".to_vec()));
        answering.send(4, b"\x04PONG").await;
    }
    silent.closed().await;
    publish(&bus, "t.", "1", Retain::Stream);
    // The first thing the 3.0 peer hears is the frame: no PING.
    assert_eq!(old.text().await, "t. 1");
    let refused = bus.stats().refused;
    assert_eq!((bus.stats().subscribers, refused.silent), (2, 1));
}

#[tokio::test]
async fn every_kind_of_endpoint_serves() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.ipc");
    let endpoints = ["tcp://127.0.0.1:0", "tcp://*:0", "tcp://localhost:0", "tcp://[::1]:0"].map(str::to_owned);
    let mut endpoints = endpoints.to_vec();
    endpoints.push(format!("ipc://{}", path.display()));
    let bus = publisher(|options| options.endpoints = endpoints).await;
    for endpoint in &bus.endpoints()[..4] {
        let mut peer = Peer::connect(&endpoint.replace("0.0.0.0", "127.0.0.1"), 1, "SUB").await;
        peer.subscribe("t.").await;
        peer.settle().await;
        publish(&bus, "t.", endpoint, Retain::Stream);
        assert_eq!(peer.text().await, format!("t. {endpoint}"));
    }
    let mut unix = UnixStream::connect(&path).await.unwrap();
    let mut greeting = [0; 10];
    within("greeting", unix.read_exact(&mut greeting)).await.unwrap();
    assert_eq!(greeting[0], 0xff);
    within("close", bus.close(Duration::from_secs(5))).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn binding_is_all_or_nothing() {
    let bus = publisher(|_| {}).await;
    let taken = bus.endpoints()[0].clone();
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("bus.ipc");
    let endpoints = vec![format!("ipc://{}", path.display()), taken.clone()];
    let error = Publisher::bind(PublisherOptions { endpoints, ..Default::default() }).await.unwrap_err().to_string();
    assert!(error.contains(&taken) && error.contains("another process"), "{error}");
    assert!(!path.exists());
}

#[tokio::test]
async fn the_zeromq_crate_subscribes_and_comes_back_after_a_restart() {
    let bus = publisher(|_| {}).await;
    let endpoint = bus.endpoints()[0].clone();
    publish(&bus, "book.a.", "kept", Retain::Conflate);
    let mut sub = zeromq::SubSocket::new();
    sub.connect(&endpoint).await.unwrap();
    sub.subscribe("book.").await.unwrap();
    let texts = |message: zeromq::ZmqMessage| -> Vec<String> {
        message.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect()
    };
    assert_eq!(texts(within("first", sub.recv()).await.unwrap()), ["book.a.", "kept"]);
    bus.close(Duration::from_secs(5)).await;
    drop(bus);
    let bus = publisher(|options| options.endpoints = vec![endpoint]).await;
    publish(&bus, "book.a.", "new", Retain::Conflate);
    let again = async {
        loop {
            if let Ok(message) = sub.recv().await {
                return texts(message);
            }
        }
    };
    assert_eq!(within("after the restart", again).await, ["book.a.", "new"]);
}

#[tokio::test]
async fn close_delivers_what_is_queued() {
    let bus = publisher(|_| {}).await;
    let mut peer = Peer::subscriber(&bus, 1, "t.").await;
    let mut batch = (0..5000).map(|n| frame("t.", &format!("{n:0300}"), Retain::Stream)).collect();
    bus.publish(&mut batch);
    // Unread bytes at the server must not make it reset the connection.
    peer.send(4, b"\x04PONG").await;
    let closing = tokio::spawn({
        let bus = bus.clone();
        async move { bus.close(Duration::from_secs(10)).await }
    });
    let mut count = 0;
    while peer.message().await.is_some() {
        count += 1;
    }
    drop(peer);
    within("close", closing).await.unwrap();
    assert_eq!((count, bus.stats().subscribers), (5000, 0));
}

#[tokio::test]
async fn close_ends_by_its_deadline_and_so_does_dropping() {
    let bus = publisher(|_| {}).await;
    let mut stalled = Peer::subscriber(&bus, 1, "t.").await;
    let big = "x".repeat(100_000);
    bus.publish(&mut (0..200).map(|_| frame("t.", &big, Retain::Stream)).collect());
    let start = Instant::now();
    bus.close(Duration::from_millis(300)).await;
    let took = start.elapsed();
    assert!(took >= Duration::from_millis(290) && took < Duration::from_secs(2), "{took:?}");
    stalled.closed().await;
    until("its place is given back", || bus.stats().subscribers == 0).await;
    // Closing again, and publishing after it, do nothing.
    bus.close(Duration::from_secs(5)).await;
    publish(&bus, "t.", "1", Retain::Stream);

    let bus = publisher(|_| {}).await;
    let mut peer = Peer::subscriber(&bus, 1, "t.").await;
    let other = bus.clone();
    drop(bus);
    publish(&other, "t.", "1", Retain::Stream);
    assert_eq!(peer.text().await, "t. 1");
    drop(other);
    peer.closed().await;
}

#[tokio::test]
async fn leaving_frees_the_place() {
    let bus = publisher(|options| options.max_subscribers = 1).await;
    let mut first = Peer::subscriber(&bus, 1, "").await;
    let mut second = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
    second.closed().await;
    assert_eq!(bus.stats().refused.full, 1);
    publish(&bus, "t.", "1", Retain::Stream);
    assert_eq!(first.text().await, "t. 1");
    drop(first);
    until("the first has left", || bus.stats().subscribers == 0).await;
    let mut third = Peer::subscriber(&bus, 1, "t.").await;
    publish(&bus, "t.", "2", Retain::Stream);
    assert_eq!(third.text().await, "t. 2");
}
