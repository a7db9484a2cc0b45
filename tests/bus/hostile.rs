//! Peers that are broken or mean ill: each is ended, counted, and felt by nobody else.

use std::time::Duration;

use tickbus::bus::{Publisher, Refused, Retain};

use crate::raw::{Peer, publish, publisher, until};

/// Sends bytes instead of a handshake, and waits to be thrown out.
async fn refused(bus: &Publisher, bytes: &[u8]) {
    let mut peer = Peer::open(&bus.endpoints()[0]).await;
    peer.write(bytes).await;
    peer.closed().await;
}

/// Shakes hands, sends bytes (as much of them as the publisher takes), and waits to be thrown out.
async fn refused_later(bus: &Publisher, bytes: &[u8]) {
    let peer = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
    let (mut reading, mut writing) = peer.stream.into_split();
    let bytes = bytes.to_vec();
    let writer = tokio::spawn(async move { tokio::io::AsyncWriteExt::write_all(&mut writing, &bytes).await });
    let mut rest = Vec::new();
    let read = tokio::io::AsyncReadExt::read_to_end(&mut reading, &mut rest);
    drop(crate::raw::within("the publisher's close", read).await);
    writer.abort();
}

async fn count(bus: &Publisher, expected: Refused) {
    until(&format!("refused as {expected:?}, have {:?}", bus.stats().refused), || bus.stats().refused == expected)
        .await;
    until("they are gone", || bus.stats().subscribers == 1).await;
}

#[tokio::test]
async fn strangers_are_refused_and_the_healthy_subscriber_stays() {
    let bus = publisher(|_| {}).await;
    let mut healthy = Peer::subscriber(&bus, 1, "t.").await;
    let strangers: [&[u8]; 6] = [
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x01\x02",
        &[0; 100],
        &Peer::hello(1, "PULL"),
        &[&Peer::hello(1, "SUB")[..64], b"\x04\x05\x09READ"].concat(),
    ];
    for bytes in strangers {
        refused(&bus, bytes).await;
    }
    // Half a greeting, then gone.
    drop(Peer::open(&bus.endpoints()[0]).await);
    count(&bus, Refused { handshake: 7, ..Refused::default() }).await;
    publish(&bus, "t.", "1", Retain::Stream);
    assert_eq!(healthy.text().await, "t. 1");
}

#[tokio::test]
async fn giant_frames_end_the_connection_before_anything_is_allocated() {
    let bus = publisher(|_| {}).await;
    let mut healthy = Peer::subscriber(&bus, 1, "t.").await;
    let mut expected = Refused::default();
    for length in [65_537, 1 << 40, 1 << 46, 1 << 62, u64::MAX] {
        for flags in [2_u8, 6] {
            let header = [&[flags][..], &length.to_be_bytes()].concat();
            // 73 bytes: a greeting and the header.
            refused(&bus, &[&Peer::hello(1, "SUB")[..64], &header].concat()).await;
            refused_later(&bus, &header).await;
            expected.too_large += 2;
        }
    }
    count(&bus, expected).await;
    publish(&bus, "t.", "1", Retain::Stream);
    assert_eq!(healthy.text().await, "t. 1");
}

#[tokio::test]
async fn breaches_after_the_handshake_end_the_connection() {
    let bus = publisher(|_| {}).await;
    let mut healthy = Peer::subscriber(&bus, 1, "t.").await;
    refused_later(&bus, b"\xf0\x00").await;
    refused_later(&bus, b"\x05\x01x").await;
    refused_later(&bus, b"\x04\x00").await;
    refused_later(&bus, b"\x04\x05\x04PING").await;
    count(&bus, Refused { protocol: 4, ..Refused::default() }).await;
    publish(&bus, "t.", "1", Retain::Stream);
    assert_eq!(healthy.text().await, "t. 1");
}

#[tokio::test]
async fn a_flood_of_subscriptions_ends_at_the_limit() {
    let bus = publisher(|_| {}).await;
    let mut healthy = Peer::subscriber(&bus, 1, "t.").await;
    let flood: Vec<u8> =
        (0..30_000).flat_map(|n| [b"\x00\x07\x01".to_vec(), format!("{n:06}").into_bytes()].concat()).collect();
    refused_later(&bus, &flood).await;
    refused_later(&bus, &[b"\x02\x00\x00\x00\x00\x00\x00\xff\xff\x01".to_vec(), vec![b'x'; 65_534]].concat()).await;
    count(&bus, Refused { subscriptions: 2, ..Refused::default() }).await;
    publish(&bus, "t.", "1", Retain::Stream);
    assert_eq!(healthy.text().await, "t. 1");
}

#[tokio::test]
async fn pings_without_reading_gain_nothing() {
    let bus = publisher(|_| {}).await;
    let mut peer = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
    let pings = b"\x04\x17\x04PING\x00\x000123456789abcdef".repeat(50_000);
    peer.write(&pings).await;
    peer.subscribe("t.").await;
    let mut pongs = 0;
    publish(&bus, "t.", "1", Retain::Latest);
    while let Some((flags, body)) = peer.frame().await {
        if flags & 4 == 0 {
            assert_eq!(body, b"t.");
            break;
        }
        assert_eq!(body, b"\x04PONG0123456789abcdef");
        pongs += 1;
    }
    assert!((1..=50_000).contains(&pongs), "{pongs}");
}

#[tokio::test]
async fn messages_of_subscribers_are_ignored() {
    let bus = publisher(|_| {}).await;
    let mut peer = Peer::subscriber(&bus, 1, "t.").await;
    for _ in 0..1000 {
        peer.send(1, b"hello").await;
    }
    peer.send(0, b"").await;
    peer.send(4, b"\x07UNKNOWN?").await;
    peer.settle().await;
    publish(&bus, "t.", "1", Retain::Stream);
    assert_eq!(peer.text().await, "t. 1");
}

#[tokio::test]
async fn silent_connections_are_ended_at_the_deadline() {
    let bus = publisher(|options| options.handshake = Duration::from_millis(100)).await;
    let mut silent = Vec::new();
    for _ in 0..50 {
        silent.push(Peer::open(&bus.endpoints()[0]).await);
    }
    // One that dribbles: the deadline is for the whole handshake.
    let mut slow = Peer::open(&bus.endpoints()[0]).await;
    slow.write(b"\xff\x00").await;
    for peer in &mut silent {
        peer.closed().await;
    }
    slow.closed().await;
    assert_eq!(bus.stats().refused, Refused { handshake_timeout: 51, ..Refused::default() });
}

#[tokio::test]
async fn a_port_scan_of_a_thousand_connects_does_no_harm() {
    let bus = publisher(|_| {}).await;
    let mut healthy = Peer::subscriber(&bus, 1, "t.").await;
    for _ in 0..1000 {
        drop(Peer::open(&bus.endpoints()[0]).await);
    }
    until("all are seen", || bus.stats().accepted == 1001).await;
    until("all are gone", || bus.stats().refused.handshake == 1000).await;
    publish(&bus, "t.", "1", Retain::Stream);
    assert_eq!(healthy.text().await, "t. 1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribers_may_come_and_go_while_frames_flow() {
    let bus = publisher(|_| {}).await;
    let mut tasks = Vec::new();
    for client in 0..8_usize {
        let bus = bus.clone();
        tasks.push(tokio::spawn(async move {
            for round in 0..20 {
                let mut peer = Peer::connect(&bus.endpoints()[0], u8::from(client % 2 == 1), "SUB").await;
                for n in 0..50 {
                    peer.subscribe(&format!("t.{}.", (n * 7 + client) % 60)).await;
                }
                if round % 3 > 0 {
                    peer.text().await;
                }
            }
        }));
    }
    let mut n = 0_u64;
    while tasks.iter().any(|task| !task.is_finished()) {
        n += 1;
        publish(
            &bus,
            &format!("t.{}.", n % 60),
            "x",
            if n.is_multiple_of(2) { Retain::Stream } else { Retain::Conflate },
        );
        tokio::task::yield_now().await;
    }
    for task in tasks {
        task.await.unwrap();
    }
    until("all have left", || bus.stats().subscribers == 0).await;
    let mut fresh = Peer::subscriber(&bus, 1, "u.").await;
    publish(&bus, "u.", "1", Retain::Stream);
    assert_eq!(fresh.text().await, "u. 1");
    assert_eq!(bus.stats().refused, Refused::default());
}
