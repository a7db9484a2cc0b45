//! Peers that attack with volume: endless input, floods of subscriptions, crowds of connections, and those that never read.
//! Memory, descriptors and the healthy subscriber stay as they are.

use std::net::SocketAddr;
use std::time::Duration;

use tickbus::bus::{Publisher, Refused, Retain};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::raw::{Peer, frame, open_files, publish, publisher, resident_bytes, until};

/// Memory that an attack may seem to take: other tests of this process have their own ups and downs.
const SLACK: u64 = 96 << 20;
/// How long one frame may take to the healthy subscriber on a machine that is busy with the attack and the other tests.
const HEALTHY_WITHIN: Duration = Duration::from_secs(2);

/// Publishes to the healthy subscriber while `attack` runs, and returns the longest that one frame took.
async fn healthy_through(bus: &Publisher, healthy: &mut Peer, attack: &JoinHandle<()>) -> Duration {
    let (mut n, mut longest) = (0, Duration::ZERO);
    while !attack.is_finished() || n < 100 {
        let start = Instant::now();
        publish(bus, "healthy.", &n.to_string(), Retain::Stream);
        assert_eq!(healthy.text().await, format!("healthy. {n}"));
        longest = longest.max(start.elapsed());
        n += 1;
        if n % 10 == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    println!("{n} frames to the healthy subscriber, the slowest took {longest:?}");
    assert!(longest < HEALTHY_WITHIN, "{longest:?}");
    longest
}

/// Sends until all is sent or the publisher closes.
async fn pour(stream: &mut TcpStream, bytes: &[u8], times: usize) {
    for _ in 0..times {
        if stream.write_all(bytes).await.is_err() {
            return;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endless_messages_cost_no_memory() {
    let bus = publisher(|_| {}).await;
    let mut healthy = Peer::subscriber(&bus, 1, "healthy.").await;
    let mut peer = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
    let before = resident_bytes();
    // One message without end: frames of just under the limit, each promising another.
    let frame = [&[3_u8][..], &60_000_u64.to_be_bytes(), &[b'x'; 60_000]].concat();
    let attack = tokio::spawn(async move { pour(&mut peer.stream, &frame, 5000).await });
    healthy_through(&bus, &mut healthy, &attack).await;
    let grown = resident_bytes().saturating_sub(before);
    println!("300 MB of it: grew by {} KiB", grown >> 10);
    assert!(grown < SLACK, "{grown}");
}

#[tokio::test]
async fn sixteen_mebibytes_of_prefix_are_refused_unread() {
    let bus = publisher(|_| {}).await;
    let mut healthy = Peer::subscriber(&bus, 1, "healthy.").await;
    let before = resident_bytes();
    for (flags, name) in [(6_u8, &b"\x09SUBSCRIBE"[..]), (2, b"\x01")] {
        let mut peer = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
        let length = (name.len() as u64) + (16 << 20);
        peer.write(&[&[flags][..], &length.to_be_bytes(), name].concat()).await;
        let attack = tokio::spawn(async move { pour(&mut peer.stream, &[b'x'; 1 << 16], 256).await });
        healthy_through(&bus, &mut healthy, &attack).await;
    }
    until("both are counted", || bus.stats().refused == Refused { too_large: 2, ..Refused::default() }).await;
    assert!(resident_bytes().saturating_sub(before) < SLACK);
}

#[tokio::test]
async fn the_limit_of_a_frame_is_as_configured() {
    let bus = publisher(|options| options.max_frame = 1024).await;
    let mut fits = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
    fits.write(&[&[2_u8][..], &1024_u64.to_be_bytes(), &[b'x'; 1024]].concat()).await;
    fits.settle().await;
    fits.write(&[&[2_u8][..], &1025_u64.to_be_bytes()].concat()).await;
    fits.closed().await;
    until("it is counted", || bus.stats().refused.too_large == 1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_byte_at_a_time_gains_nothing() {
    let bus = publisher(|options| options.handshake = Duration::from_millis(300)).await;
    let mut healthy = Peer::subscriber(&bus, 1, "healthy.").await;
    let endpoint = bus.endpoints()[0].clone();
    let attack = tokio::spawn(async move {
        let mut shaking = Vec::new();
        for _ in 0..50 {
            shaking.push(Peer::open(&endpoint).await);
        }
        let mut subscribing = Peer::connect(&endpoint, 1, "SUB").await;
        let hello = Peer::hello(1, "SUB");
        let prefix = [&b"\x04\x6d\x09SUBSCRIBE"[..], &[b'x'; 99]].concat();
        for at in 0..80 {
            for peer in &mut shaking {
                // It is closed at some time.
                let _ = peer.stream.write_all(&hello[at..=at]).await;
            }
            subscribing.write(&prefix[at..=at]).await;
            sleep(Duration::from_millis(10)).await;
        }
        for peer in &mut shaking {
            peer.closed().await;
        }
        // After the handshake a peer may take its time: its half frame is all it costs.
        subscribing.write(&prefix[80..]).await;
        subscribing.settle().await;
    });
    healthy_through(&bus, &mut healthy, &attack).await;
    attack.await.unwrap();
    assert_eq!(bus.stats().refused, Refused { handshake_timeout: 50, ..Refused::default() });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_of_connections_fill_their_places_and_no_more() {
    const CROWD: usize = 1500;
    let bus = publisher(|options| {
        options.max_subscribers = 100;
        options.handshake = Duration::from_secs(3);
    })
    .await;
    let mut healthy = Peer::subscriber(&bus, 1, "healthy.").await;
    let (before, files) = (resident_bytes(), open_files());
    let endpoint = bus.endpoints()[0].clone();
    let attack = tokio::spawn(async move {
        let mut crowd = Vec::new();
        for n in 0..CROWD {
            let mut peer = Peer::open(&endpoint).await;
            // A third completes the handshake, a third stops in the middle, a third says nothing.
            let hello = Peer::hello(1, "SUB");
            let part = [hello.len(), 64, 0][n % 3];
            let _ = peer.stream.write_all(&hello[..part]).await;
            crowd.push(peer);
        }
    });
    healthy_through(&bus, &mut healthy, &attack).await;
    attack.await.unwrap();
    // Some may be counted twice: accepted, and refused once their handshake was complete.
    until("all have been met", || bus.stats().accepted + bus.stats().refused.full > CROWD as u64).await;
    assert!(bus.stats().refused.full > 0, "{:?}", bus.stats());
    until("all are gone", || bus.stats().subscribers == 1).await;
    // Those of other tests come and go; a leak of this one would be hundreds.
    until("their descriptors are closed", || open_files() < files + 200).await;
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < SLACK, "{grown}");
    publish(&bus, "healthy.", "1", Retain::Stream);
    assert_eq!(healthy.text().await, "healthy. 1");
}

/// Connects from an address of its own.
async fn connect_from(address: &str, endpoint: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::new(address.parse().unwrap(), 0)).unwrap();
    socket.connect(endpoint.strip_prefix("tcp://").unwrap().parse().unwrap()).await.unwrap()
}

#[tokio::test]
async fn one_address_cannot_take_all_places() {
    let bus = publisher(|options| {
        options.max_per_address = Some(5);
        options.max_subscribers = 10;
    })
    .await;
    let mut greedy = Vec::new();
    for _ in 0..5 {
        greedy.push(Peer::connect(&bus.endpoints()[0], 1, "SUB").await);
    }
    for _ in 0..20 {
        Peer::open(&bus.endpoints()[0]).await.closed().await;
    }
    assert_eq!(bus.stats().refused, Refused { crowd: 20, ..Refused::default() });
    let mut other = connect_from("127.0.0.9", &bus.endpoints()[0]).await;
    let mut first = [0];
    crate::raw::within("greeting", tokio::io::AsyncReadExt::read_exact(&mut other, &mut first)).await.unwrap();
    // A place that is left is free again.
    drop(greedy.pop());
    until("it has left", || bus.stats().subscribers == 4).await;
    Peer::subscriber(&bus, 1, "t.").await;
}

/// A bus with many kept topics.
async fn busy_bus(topics: usize) -> Publisher {
    let bus = publisher(|_| {}).await;
    let payload = "x".repeat(300);
    let mut batch = (0..topics).map(|n| frame(&format!("book.{n:06}."), &payload, Retain::Conflate)).collect();
    bus.publish(&mut batch);
    bus
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribing_to_every_kept_topic_again_and_again_holds_up_nobody() {
    const TOPICS: usize = 20_000;
    let bus = busy_bus(TOPICS).await;
    let mut healthy = Peer::subscriber(&bus, 1, "healthy.").await;
    let before = resident_bytes();
    let mut peer = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
    let pair = b"\x04\x0a\x09SUBSCRIBE\x04\x07\x06CANCEL".repeat(1000);
    // It never reads. If each of these queued what it matched, that would be four thousand million frames.
    let attack = tokio::spawn(async move { pour(&mut peer.stream, &pair, 200).await });
    healthy_through(&bus, &mut healthy, &attack).await;
    let grown = resident_bytes().saturating_sub(before);
    println!("200,000 joins of {TOPICS} topics: grew by {} KiB", grown >> 10);
    assert!(grown < SLACK, "{grown}");
    assert!(bus.stats().frames_sent < 10 * TOPICS as u64, "{:?}", bus.stats());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn joins_of_who_does_read_take_turns_with_the_healthy() {
    const TOPICS: usize = 20_000;
    let bus = busy_bus(TOPICS).await;
    let mut healthy = Peer::subscriber(&bus, 1, "healthy.").await;
    let endpoint = bus.endpoints()[0].clone();
    let attack = tokio::spawn(async move {
        for _ in 0..5 {
            let mut peer = Peer::connect(&endpoint, 1, "SUB").await;
            peer.subscribe("").await;
            for _ in 0..TOPICS {
                peer.message().await.unwrap();
            }
        }
    });
    healthy_through(&bus, &mut healthy, &attack).await;
    attack.await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn storms_of_cancels_and_deep_trees_harm_nobody() {
    let bus = busy_bus(1000).await;
    let mut healthy = Peer::subscriber(&bus, 1, "healthy.").await;
    let before = resident_bytes();
    let endpoint = bus.endpoints()[0].clone();
    let attack = tokio::spawn(async move {
        for round in 0..5 {
            let mut peer = Peer::connect(&endpoint, 1, "SUB").await;
            let mut bytes = Vec::new();
            // Prefixes of each other as deep as may be, then thousands of long ones, then cancels of all and of none.
            for length in 1..=240_u8 {
                bytes.extend_from_slice(&[4, length + 10]);
                bytes.extend_from_slice(b"\x09SUBSCRIBE");
                bytes.extend(std::iter::repeat_n(b'y', length.into()));
            }
            for n in 0..9000 {
                let prefix = format!("{n:04}{}", "z".repeat(196));
                bytes.extend_from_slice(&[4, 210]);
                bytes.extend_from_slice(b"\x09SUBSCRIBE");
                bytes.extend_from_slice(prefix.as_bytes());
            }
            for n in (0..18_000).rev() {
                let prefix = format!("{n:04}{}", "z".repeat(196));
                bytes.extend_from_slice(&[4, u8::try_from(7 + prefix.len()).unwrap()]);
                bytes.extend_from_slice(b"\x06CANCEL");
                bytes.extend_from_slice(prefix.as_bytes());
            }
            pour(&mut peer.stream, &bytes, 1).await;
            if round % 2 == 0 {
                peer.settle().await;
            }
        }
    });
    healthy_through(&bus, &mut healthy, &attack).await;
    attack.await.unwrap();
    until("all have left", || bus.stats().subscribers == 1).await;
    assert_eq!(bus.stats().refused, Refused::default());
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < SLACK, "{grown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ten_thousand_long_subscriptions_of_each_of_many_cost_what_the_docs_say() {
    const PEERS: u64 = 10;
    const EACH: u64 = 10_000;
    let bus = publisher(|options| options.max_subscriptions = EACH as usize).await;
    let mut healthy = Peer::subscriber(&bus, 1, "healthy.").await;
    let before = resident_bytes();
    let mut peers = Vec::new();
    for peer_number in 0..PEERS {
        let mut peer = Peer::connect(&bus.endpoints()[0], 1, "SUB").await;
        let mut bytes = Vec::new();
        for n in 0..EACH {
            bytes.extend_from_slice(&[4, 210]);
            bytes.extend_from_slice(b"\x09SUBSCRIBE");
            bytes.extend_from_slice(format!("{peer_number}{n:05}{}", "z".repeat(194)).as_bytes());
        }
        peer.write(&bytes).await;
        peer.settle().await;
        peers.push(peer);
    }
    let grown = resident_bytes().saturating_sub(before);
    println!("{} bytes a subscription", grown / (PEERS * EACH));
    assert!(grown < PEERS * EACH * 1024, "{grown}");
    publish(&bus, "healthy.", "1", Retain::Stream);
    assert_eq!(healthy.text().await, "healthy. 1");
    drop(peers);
    until("all have left", || bus.stats().subscribers == 1).await;
}
