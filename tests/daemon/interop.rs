//! Foreign subscribers in every way they can be connected, and a restart of either side: libzmq through
//! `tests/python/interop.py` (needs `TICKBUS_TEST_PYTHON`; without it said and left out), and the `zeromq` crate.

use std::collections::BTreeSet;
use std::net::TcpListener;

use serde_json::{Value, json};
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::task::JoinSet;
use tokio::time::timeout;
use zeromq::{Socket, SocketRecv, SubSocket};

use crate::gateway::{DEADLINE, Gateway, config, feed, venue};
use crate::script::{Language, Script};

/// Ways of libzmq to subscribe, as the script names them.
const WAYS: [&str; 7] = ["v4", "v6", "ipc", "several", "heartbeats", "hwm", "xsub"];
/// What a gateway with a market that stands still has for a joiner: nothing here comes by itself.
const KEPT: [&str; 3] = ["status.bybit.linear..", "status.bybit.linear.BTCUSDT.", "book.bybit.linear.BTCUSDT."];

/// A port that is free now.
fn free_port(host: &str) -> u16 {
    TcpListener::bind((host, 0)).unwrap().local_addr().unwrap().port()
}

async fn epoch_of(gateway: &Gateway) -> u64 {
    gateway.stats().await["epoch"].as_u64().unwrap()
}

/// What each way must show of one run.
fn expected(ways: &[&str], epoch: u64) -> BTreeSet<String> {
    ways.iter().flat_map(|way| KEPT.map(|topic| format!("{way} {epoch} {topic}"))).collect()
}

/// Reads lines of the script until all of these came.
async fn read(script: &mut Script, mut wanted: BTreeSet<String>) {
    while !wanted.is_empty() {
        wanted.remove(&script.line().await);
    }
}

/// A subscriber of the `zeromq` crate, which reports as the script does.
async fn crate_subscriber(way: &'static str, endpoint: String, lines: Sender<String>) {
    let mut sub = SubSocket::new();
    sub.connect(&endpoint).await.unwrap();
    for prefix in ["status.", "book."] {
        sub.subscribe(prefix).await.unwrap();
    }
    loop {
        // An error is the end of one connection; the crate makes the next by itself.
        let Ok(message) = sub.recv().await else { continue };
        let frame: Value = serde_json::from_slice(message.get(1).unwrap()).unwrap();
        let line = format!("{way} {} {}", frame["epoch"], String::from_utf8_lossy(message.get(0).unwrap()));
        if lines.send(line).await.is_err() {
            return;
        }
    }
}

async fn hear(lines: &mut Receiver<String>, mut wanted: BTreeSet<String>) {
    while !wanted.is_empty() {
        let line = timeout(DEADLINE, lines.recv()).await;
        wanted.remove(&line.unwrap_or_else(|_| panic!("never came: {wanted:?}")).unwrap());
    }
}

#[tokio::test]
async fn every_kind_of_subscriber_outlives_a_restart_of_either_side() {
    const CRATE: [&str; 3] = ["v4", "v6", "ipc"];
    let directory = tempfile::tempdir().unwrap();
    let endpoints = [
        format!("tcp://127.0.0.1:{}", free_port("127.0.0.1")),
        format!("tcp://[::1]:{}", free_port("::1")),
        format!("ipc://{}", directory.path().join("bus.ipc").display()),
    ];
    let venue = venue(0, &[]).await;
    let mut config = config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:50"])}));
    config["bus"]["bind"] = json!(endpoints);
    let mut gateway = Gateway::start(&config).await;
    let arguments = endpoints.each_ref().map(String::as_str);
    let start = || Script::start(Language::Python, "tests/python/interop.py", &arguments, &[]);
    let mut script = start();
    let (send, mut lines) = channel(1000);
    let mut subscribers = JoinSet::new();
    for (way, endpoint) in CRATE.into_iter().zip(&endpoints) {
        subscribers.spawn(crate_subscriber(way, endpoint.clone(), send.clone()));
    }
    let epoch = epoch_of(&gateway).await;
    hear(&mut lines, expected(&CRATE, epoch)).await;
    if let Some(script) = &mut script {
        read(script, expected(&WAYS, epoch)).await;
    }

    // The gateway is killed, which leaves its socket file behind, and started anew where it was.
    gateway.signal("KILL");
    assert_eq!(gateway.ended().await, None);
    let gateway = Gateway::start(&config).await;
    let restarted = epoch_of(&gateway).await;
    assert_ne!(restarted, epoch);
    hear(&mut lines, expected(&CRATE, restarted)).await;
    if let Some(script) = &mut script {
        read(script, expected(&WAYS, restarted)).await;
    }

    // The subscribers are ended and started anew: they get the kept frames, since nothing moves.
    subscribers.shutdown().await;
    while lines.try_recv().is_ok() {}
    for (way, endpoint) in CRATE.into_iter().zip(&endpoints) {
        subscribers.spawn(crate_subscriber(way, endpoint.clone(), send.clone()));
    }
    hear(&mut lines, expected(&CRATE, restarted)).await;
    drop(script.take());
    if let Some(script) = &mut start() {
        read(script, expected(&WAYS, restarted)).await;
    }
}
