//! What is read: bursts, sizes, fragments, and bytes that are no websocket.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tickbus::io::tap::{Kind, tap};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::fake::{PATIENCE, Setup, accept_ws, listen};

#[tokio::test]
async fn a_burst_is_published_in_order_and_in_batches() {
    const COUNT: usize = 5000;
    let (listener, url) = listen().await;
    let mut running = Setup::default().start(url);
    let mut server = accept_ws(&listener).await;
    for n in 0..COUNT {
        server.feed(Message::text(n.to_string())).await.unwrap();
    }
    server.flush().await.unwrap();
    let (mut next, mut batches) = (0, 0);
    while next < COUNT {
        let batch = timeout(PATIENCE, running.batches.recv()).await.unwrap().unwrap();
        assert!(batch.len() <= 256, "a batch of {}", batch.len());
        for text in batch {
            assert_eq!(text, next.to_string());
            next += 1;
        }
        batches += 1;
    }
    assert!(batches < COUNT / 8, "{batches} batches for {COUNT} messages");
}

#[tokio::test]
async fn sends_timers_and_binary_messages_reach_their_end() {
    let (listener, url) = listen().await;
    let mut running = Setup::default().start(url);
    let mut server = accept_ws(&listener).await;
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("subscribe"));
    server.send(Message::text("send hello")).await.unwrap();
    assert_eq!(server.next().await.unwrap().unwrap(), Message::text("hello"));
    server.send(Message::text("timer 20")).await.unwrap();
    running.step("timeout").await;
    server.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    running.step("binary 3").await;
}

#[tokio::test]
async fn a_message_over_the_limit_closes_with_1009_and_its_size() {
    let (listener, url) = listen().await;
    let mut running = Setup::default().start(url);
    let mut server = accept_ws(&listener).await;
    running.step("connected").await;
    // The client takes nothing into memory after the frame's header, but lets the server finish and read why.
    timeout(PATIENCE, server.send(Message::text("x".repeat(17 << 20)))).await.unwrap().expect("reset");
    running.failure("a message of 17825792 bytes").await;
    let code = async {
        loop {
            match server.next().await {
                Some(Ok(Message::Close(frame))) => return frame.map(|frame| u16::from(frame.code)),
                Some(Ok(_)) => {}
                end => panic!("no close frame: {end:?}"),
            }
        }
    };
    assert_eq!(timeout(PATIENCE, code).await.unwrap(), Some(1009));
    let _again = accept_ws(&listener).await;
}

#[tokio::test]
async fn fragments_and_dribbled_bytes_make_whole_messages() {
    let (listener, url) = listen().await;
    let mut running = Setup::default().start(url);
    let mut server = accept_ws(&listener).await.into_inner();
    server.set_nodelay(true).unwrap();
    // "Hello" in two fragments with a ping between them.
    let bytes = [0x01, 3, b'H', b'e', b'l', 0x89, 0, 0x80, 2, b'l', b'o'];
    for byte in bytes {
        server.write_all(&[byte]).await.unwrap();
        tokio::task::yield_now().await;
    }
    running.step("text Hello").await;
}

#[tokio::test]
async fn bytes_that_break_the_protocol_end_the_connection_and_nothing_else() {
    let long_ping = [&[0x89, 126, 0, 126][..], &[b'x'; 126]].concat();
    let cases: [(&str, &[u8]); 10] = [
        ("reserved bits", &[0xf1, 1, b'x']),
        ("continuation of nothing", &[0x80, 1, b'x']),
        ("close with one byte", &[0x88, 1, 3]),
        ("masked frame", &[0x81, 0x81, 1, 2, 3, 4, b'x']),
        ("reserved opcode", &[0x83, 0]),
        ("reserved control opcode", &[0x8b, 0]),
        ("fragmented ping", &[0x09, 0]),
        ("ping of 126 bytes", &long_ping),
        ("frame of 2^63 bytes", &[0x82, 127, 0x80, 0, 0, 0, 0, 0, 0, 0]),
        ("text that is not UTF-8", &[0x81, 2, 0xc3, 0x28]),
    ];
    let (listener, url) = listen().await;
    let mut setup = Setup::default();
    setup.limits.backoff.longest = Duration::from_millis(10);
    let mut running = setup.start(url);
    for (case, bytes) in cases {
        let mut server = accept_ws(&listener).await.into_inner();
        running.step("connected").await;
        server.write_all(bytes).await.unwrap();
        let ended = timeout(PATIENCE / 2, running.step("disconnected")).await;
        assert!(ended.is_ok(), "{case}");
    }
    let mut server = accept_ws(&listener).await;
    server.send(Message::text("fine")).await.unwrap();
    running.step("text fine").await;
}

#[tokio::test]
async fn the_tap_sees_all_that_goes_over_the_connection() {
    let (listener, url) = listen().await;
    let (tap, mut reader) = tap();
    let running = Setup { tap: Some(tap), ..Setup::default() }.start(url.clone());
    let mut server = accept_ws(&listener).await;
    server.send(Message::text("{\"a\":1}")).await.unwrap();
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let line = timeout(PATIENCE, reader.next()).await.unwrap().unwrap();
        assert_eq!(&*line.feed, "test");
        seen.push((line.kind, line.url.map(|url| url.to_string()), String::from_utf8(line.data.to_vec()).unwrap()));
    }
    assert_eq!(
        seen,
        [
            (Kind::Connect, Some(url), String::new()),
            (Kind::Send, None, "subscribe".to_owned()),
            (Kind::Ws, None, "{\"a\":1}".to_owned()),
        ]
    );
    assert_eq!(running.report().await.link.tap_dropped, 0);
}
