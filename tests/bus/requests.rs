//! The request server: envelopes, order, limits, and clients that misbehave or leave.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tickbus::bus::{Asker, HeartbeatOptions, Reply, RequestHandler, RequestOptions, RequestServer};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use zeromq::{Socket, SocketRecv, SocketSend};

use crate::raw::{Peer, until, within};

/// Echoes, except: `wait` takes a permit first, `big` is answered with 64 MB, `two` with two frames, `none` with none.
struct Echo {
    permits: Semaphore,
    done: AtomicUsize,
}

impl RequestHandler for Echo {
    fn handle<'a>(&'a self, request: Bytes, _asker: &'a Asker) -> Reply<'a> {
        Box::pin(async move {
            let reply = match &request[..] {
                b"wait" => {
                    self.permits.acquire().await.unwrap().forget();
                    vec![Bytes::from_static(b"waited")]
                }
                b"big" => vec![Bytes::from(vec![b'x'; 64_000_000])],
                b"two" => vec![Bytes::from_static(b"one"), Bytes::from_static(b"two")],
                b"none" => vec![],
                _ => vec![request],
            };
            self.done.fetch_add(1, Ordering::Relaxed);
            reply
        })
    }
}

async fn server(change: impl FnOnce(&mut RequestOptions)) -> (RequestServer, Arc<Echo>) {
    let echo = Arc::new(Echo { permits: Semaphore::new(0), done: AtomicUsize::new(0) });
    let mut options = RequestOptions::default();
    change(&mut options);
    let handler: Arc<dyn RequestHandler> = echo.clone();
    (RequestServer::bind("tcp://127.0.0.1:0", options, handler).await.unwrap(), echo)
}

async fn ask(peer: &mut Peer, parts: &[&str]) -> Vec<String> {
    send(peer, parts).await;
    hear(peer).await
}

async fn send(peer: &mut Peer, parts: &[&str]) {
    for (at, part) in parts.iter().enumerate() {
        peer.send(u8::from(at + 1 < parts.len()), part.as_bytes()).await;
    }
}

async fn hear(peer: &mut Peer) -> Vec<String> {
    let parts = peer.message().await.unwrap_or_default();
    parts.iter().map(|part| String::from_utf8_lossy(part).into_owned()).collect()
}

#[tokio::test]
async fn a_reply_mirrors_its_request_s_envelope() {
    let (server, _) = server(|_| {}).await;
    for (minor, kind) in [(0, "REQ"), (1, "REQ"), (0, "DEALER"), (1, "DEALER"), (1, "ROUTER")] {
        let mut peer = Peer::connect(&server.endpoints()[0], minor, kind).await;
        assert_eq!(ask(&mut peer, &["", "hello"]).await, ["", "hello"]);
        assert_eq!(ask(&mut peer, &["hello"]).await, ["hello"]);
        assert_eq!(ask(&mut peer, &["id", "", "hello"]).await, ["id", "", "hello"]);
        assert_eq!(ask(&mut peer, &["", "two"]).await, ["", "one", "two"]);
        assert_eq!(ask(&mut peer, &["", "none"]).await, ["", ""]);
        assert_eq!(ask(&mut peer, &["", ""]).await, ["", ""]);
    }
    assert_eq!(server.stats().answered, 30);
}

#[tokio::test]
async fn requests_sent_ahead_are_answered_in_order() {
    let (server, _) = server(|_| {}).await;
    let mut peer = Peer::connect(&server.endpoints()[0], 1, "DEALER").await;
    for n in 0..1000 {
        send(&mut peer, &[&n.to_string(), "", &format!("r{n}")]).await;
    }
    for n in 0..1000 {
        assert_eq!(hear(&mut peer).await, [n.to_string(), String::new(), format!("r{n}")]);
    }
}

#[tokio::test]
async fn while_one_client_waits_others_are_answered_and_its_pings_too() {
    let (server, echo) = server(|_| {}).await;
    let mut waiting = Peer::connect(&server.endpoints()[0], 1, "DEALER").await;
    send(&mut waiting, &["wait"]).await;
    send(&mut waiting, &["next"]).await;
    let mut pinging = Peer::connect(&server.endpoints()[0], 1, "REQ").await;
    send(&mut pinging, &["", "wait"]).await;
    pinging.settle().await;
    let mut other = Peer::connect(&server.endpoints()[0], 1, "REQ").await;
    assert_eq!(ask(&mut other, &["", "hello"]).await, ["", "hello"]);
    echo.permits.add_permits(2);
    assert_eq!(hear(&mut pinging).await, ["", "waited"]);
    assert_eq!(hear(&mut waiting).await, ["waited"]);
    assert_eq!(hear(&mut waiting).await, ["next"]);
}

#[tokio::test]
async fn a_request_is_carried_out_although_its_client_left() {
    let (server, echo) = server(|_| {}).await;
    let mut peer = Peer::connect(&server.endpoints()[0], 1, "DEALER").await;
    send(&mut peer, &["wait"]).await;
    send(&mut peer, &["wait"]).await;
    echo.permits.add_permits(1);
    assert_eq!(hear(&mut peer).await, ["waited"]);
    drop(peer);
    echo.permits.add_permits(1);
    until("it is carried out", || echo.done.load(Ordering::Relaxed) == 2).await;
}

#[tokio::test]
async fn oversized_and_endless_requests_end_the_connection() {
    let (server, _) = server(|_| {}).await;
    let mut giant = Peer::connect(&server.endpoints()[0], 1, "DEALER").await;
    giant.write(b"\x02\x00\x00\x01\x00\x00\x00\x00\x00").await;
    giant.closed().await;
    let mut many = Peer::connect(&server.endpoints()[0], 1, "DEALER").await;
    many.write(&b"\x01\x01x".repeat(17)).await;
    many.closed().await;
    let mut long = Peer::connect(&server.endpoints()[0], 1, "DEALER").await;
    let frame = [b"\x03\x00\x00\x00\x00\x00\x00\xff\xff".to_vec(), vec![b'x'; 65_535]].concat();
    long.write(&frame).await;
    long.write(b"\x00\x02xx").await;
    long.closed().await;
    until("they are counted", || server.stats().refused.too_large == 3).await;
    let mut subscriber = Peer::open(&server.endpoints()[0]).await;
    subscriber.write(&Peer::hello(1, "SUB")).await;
    subscriber.closed().await;
    until("it is counted", || server.stats().refused.handshake == 1).await;
    let mut good = Peer::connect(&server.endpoints()[0], 1, "REQ").await;
    assert_eq!(ask(&mut good, &["", "hello"]).await, ["", "hello"]);
}

#[tokio::test]
async fn a_client_that_does_not_read_its_reply_is_dropped() {
    let (server, _) = server(|options| options.reply_within = Duration::from_millis(200)).await;
    let mut peer = Peer::connect(&server.endpoints()[0], 1, "REQ").await;
    send(&mut peer, &["", "big"]).await;
    until("it is dropped", || server.stats().refused.slow == 1).await;
    peer.closed().await;
}

#[tokio::test]
async fn connections_are_bounded_and_the_silent_make_room() {
    let heartbeat = HeartbeatOptions { ping_after: Duration::from_millis(50), drop_after: Duration::from_millis(100) };
    let (server, _) = server(|options| {
        options.max_connections = 2;
        options.heartbeat = heartbeat;
    })
    .await;
    let mut silent = Peer::connect(&server.endpoints()[0], 1, "REQ").await;
    let mut old = Peer::connect(&server.endpoints()[0], 0, "REQ").await;
    let mut third = Peer::open(&server.endpoints()[0]).await;
    third.closed().await;
    assert_eq!(server.stats().refused.full, 1);
    silent.closed().await;
    until("the silent one is counted", || server.stats().refused.silent == 1).await;
    let mut fourth = Peer::connect(&server.endpoints()[0], 1, "REQ").await;
    assert_eq!(ask(&mut fourth, &["", "hello"]).await, ["", "hello"]);
    assert_eq!(ask(&mut old, &["", "hello"]).await, ["", "hello"]);
}

#[tokio::test]
async fn the_zeromq_crate_asks() {
    let (server, _) = server(|_| {}).await;
    let mut req = zeromq::ReqSocket::new();
    req.connect(&server.endpoints()[0]).await.unwrap();
    for text in ["a", "b"] {
        req.send(text.into()).await.unwrap();
        let reply = within("reply", req.recv()).await.unwrap();
        assert_eq!(reply.get(0).map(|part| &part[..]), Some(text.as_bytes()));
    }
    let mut dealer = zeromq::DealerSocket::new();
    dealer.connect(&server.endpoints()[0]).await.unwrap();
    dealer.send("c".into()).await.unwrap();
    let reply = within("reply", dealer.recv()).await.unwrap();
    assert_eq!(reply.get(0).map(|part| &part[..]), Some(&b"c"[..]));
}

#[tokio::test]
async fn close_lets_the_current_request_finish() {
    let (server, echo) = server(|_| {}).await;
    let server = Arc::new(server);
    let mut idle = Peer::connect(&server.endpoints()[0], 1, "REQ").await;
    let mut peer = Peer::connect(&server.endpoints()[0], 1, "REQ").await;
    send(&mut peer, &["", "wait"]).await;
    // The PONG says that the request is being handled.
    peer.settle().await;
    let closing = tokio::spawn({
        let server = Arc::clone(&server);
        async move { server.close(Duration::from_secs(10)).await }
    });
    idle.closed().await;
    drop(idle);
    echo.permits.add_permits(1);
    assert_eq!(hear(&mut peer).await, ["", "waited"]);
    peer.closed().await;
    drop(peer);
    within("close", closing).await.unwrap();

    let (server, _) = self::server(|_| {}).await;
    let mut peer = Peer::connect(&server.endpoints()[0], 1, "REQ").await;
    send(&mut peer, &["", "wait"]).await;
    peer.settle().await;
    let start = Instant::now();
    server.close(Duration::from_millis(200)).await;
    assert!(start.elapsed() < Duration::from_secs(2));
    peer.closed().await;
}
