//! The example subscribers of `examples/` and the library's own keep their book equal to the gateway's: through gaps of
//! the venue, losses on the bus with and without a later frame to show them, a restart, a gateway that hangs, and a
//! venue that goes.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tickbus::client::{Change, Follower, follow, request};
use tickbus::model::{Decimal, Level};
use tickbus::sim::{Depth, Running};
use tickbus::zmtp::{KeyPair, PublicKey};
use tokio::time::timeout;

use crate::gateway::{DEADLINE, Gateway, config, feed, until, venue};
use crate::relay::Relay;
use crate::script::{Language, Script};
use crate::watcher::Watcher;

const TOPIC: &str = "book.bybit.linear.BTCUSDT.";
const DEPTH: Depth = Depth::Levels(200);

fn example(language: Language) -> &'static str {
    match language {
        Language::Python => "examples/python/book.py",
        Language::Node => "examples/node/book.mjs",
    }
}

/// Starts the example of a language; what `bus` is may be a relay.
fn start(language: Language, bus: &str, snapshot: &str, args: &[&str]) -> Option<Script> {
    Script::start(language, example(language), args, &[("TICKBUS_BUS", bus), ("TICKBUS_SNAPSHOT", snapshot)])
}

/// What the gateway says of the book, once that is what the venue has.
async fn snapshot(gateway: &Gateway, venue: &Running) -> Value {
    let body = json!({"op": "snapshot", "topic": TOPIC}).to_string();
    loop {
        let u = venue.truth().book("linear", "BTCUSDT", DEPTH).unwrap().u;
        let parts = request(&gateway.snapshot, &body, DEADLINE).await.unwrap();
        let frame: Value = serde_json::from_slice(parts.last().unwrap()).unwrap();
        if frame["venue_seq"] == u {
            return frame;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}

/// Levels as numbers, so that spellings do not matter.
fn levels(frame: &Value, side: &str) -> Vec<(Decimal, Decimal)> {
    let number = |text: &Value| Decimal::parse(text.as_str().unwrap().as_bytes()).unwrap();
    frame[side].as_array().unwrap().iter().map(|level| (number(&level[0]), number(&level[1]))).collect()
}

/// A subscriber that keeps the book.
trait Keeper {
    /// The book after the next change, with every level; `None` when it is not known.
    async fn change(&mut self) -> Option<Value>;

    /// Waits until it has said this of the symbol's state.
    async fn says(&mut self, state: &str);
}

impl Keeper for Script {
    async fn change(&mut self) -> Option<Value> {
        let line = self.line().await;
        let book = serde_json::from_str(&line).ok();
        assert!(book.is_some() || line == "book unknown", "{line}");
        book
    }

    async fn says(&mut self, state: &str) {
        while !self.complaint().await.starts_with(state) {}
    }
}

struct InRust {
    follower: Follower,
    said: String,
}

impl Keeper for InRust {
    async fn change(&mut self) -> Option<Value> {
        let change = timeout(DEADLINE, self.follower.next()).await.unwrap_or_else(|_| panic!("{}", self.said));
        match change {
            Change::Live(book) => {
                let spelled = |level: Level| json!([level.price.to_string(), level.size.to_string()]);
                let (epoch, seq) = book.seq();
                let [bids, asks]: [Vec<Value>; 2] =
                    [book.bids().map(spelled).collect(), book.asks().map(spelled).collect()];
                Some(json!({"epoch": epoch, "seq": seq, "bids": bids, "asks": asks}))
            }
            Change::Unknown { detail, .. } => {
                self.said = detail;
                None
            }
        }
    }

    async fn says(&mut self, state: &str) {
        while !self.said.starts_with(state) {
            self.change().await;
        }
    }
}

/// Follows the changes up to the gateway's book as it is now, and compares every level. Says how often the book was not
/// known on the way.
async fn becomes_equal(keeper: &mut impl Keeper, gateway: &Gateway, venue: &Running) -> u32 {
    let expected = snapshot(gateway, venue).await;
    let place = (&expected["epoch"], &expected["delta_seq"]);
    let mut unknown = 0;
    loop {
        let Some(book) = keeper.change().await else {
            unknown += 1;
            continue;
        };
        if (&book["epoch"], &book["seq"]) == place {
            for side in ["bids", "asks"] {
                let (ours, theirs) = (levels(&book, side), levels(&expected, side));
                let first = ours.iter().zip(&theirs).find(|(ours, theirs)| ours != theirs);
                let counts = (ours.len(), theirs.len());
                assert!(ours == theirs, "{side} at {place:?} differ: {counts:?} levels, first in {first:?}");
            }
            return unknown;
        }
    }
}

/// The whole story of one subscriber, which is started with the endpoints of bus and snapshot socket.
async fn equals_the_gateway_whatever_happens<K: Keeper>(start: impl FnOnce(&str, &str) -> Option<K>) {
    let venue = venue(0, &[]).await;
    let mut config = config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200"])}));
    let gateway = Gateway::start(&config).await;
    let relay = Relay::start(&gateway.bus, "delta.").await;
    let Some(mut keeper) = start(&relay.endpoint, &gateway.snapshot) else { return };
    becomes_equal(&mut keeper, &gateway, &venue).await;
    venue.truth().step(100);
    assert_eq!(becomes_equal(&mut keeper, &gateway, &venue).await, 0);

    // Lost on the way: the next delta shows it.
    relay.lose(1);
    venue.truth().step(20);
    becomes_equal(&mut keeper, &gateway, &venue).await;
    assert_eq!(relay.lost(), 1);

    // The last ones are lost, and the market stands still: the heartbeat shows it.
    relay.lose(u64::MAX);
    venue.truth().step(3);
    until("deltas are lost", || relay.lost() >= 3).await;
    becomes_equal(&mut keeper, &gateway, &venue).await;
    relay.lose(0);

    // Another run, with other sequences.
    let epoch = snapshot(&gateway, &venue).await["epoch"].clone();
    config["bus"]["bind"] = json!([gateway.bus]);
    config["bus"]["snapshot_bind"] = json!(gateway.snapshot);
    drop(gateway);
    let gateway = Gateway::start(&config).await;
    venue.truth().step(10);
    becomes_equal(&mut keeper, &gateway, &venue).await;
    assert_ne!(snapshot(&gateway, &venue).await["epoch"], epoch);

    // A gateway that hangs for longer than its heartbeats may, and goes on over the same connections.
    gateway.signal("STOP");
    while keeper.change().await.is_some() {}
    gateway.signal("CONT");
    venue.truth().step(10);
    becomes_equal(&mut keeper, &gateway, &venue).await;

    venue.stop().await;
    while keeper.change().await.is_some() {}
    keeper.says("stale disconnected").await;
}

#[tokio::test]
async fn the_python_example_equals_the_gateway_whatever_happens() {
    equals_the_gateway_whatever_happens(|bus, snapshot| start(Language::Python, bus, snapshot, &[TOPIC, "0", "whole"]))
        .await;
}

#[tokio::test]
async fn the_node_example_equals_the_gateway_whatever_happens() {
    equals_the_gateway_whatever_happens(|bus, snapshot| start(Language::Node, bus, snapshot, &[TOPIC, "0", "whole"]))
        .await;
}

#[tokio::test]
async fn a_follower_equals_the_gateway_whatever_happens() {
    let start = |bus: &str, snapshot: &str| {
        Some(InRust { follower: follow(bus, snapshot, TOPIC).unwrap(), said: String::new() })
    };
    equals_the_gateway_whatever_happens(start).await;
}

/// The example joins a gateway that demands keys, and only with the right ones.
async fn shows_its_keys(language: Language) {
    let folder = tempfile::tempdir().unwrap();
    let keys = ["gateway", "mine", "other"].map(|name| {
        let (public, secret) = KeyPair::generate().unwrap().write(folder.path(), name).unwrap();
        (public.to_str().unwrap().to_owned(), secret.to_str().unwrap().to_owned())
    });
    let [gateway_key, mine, other] = &keys;
    let venue = venue(0, &[]).await;
    let mut config = config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200"])}));
    let allowed = PublicKey::read(mine.0.as_ref()).unwrap().to_string();
    config["bus"]["auth"] = json!({"mechanism": "CURVE", "key": {"file": gateway_key.1}, "clients": [allowed]});
    let gateway = Gateway::start(&config).await;
    let start = |key: &str| {
        let settings = [
            ("TICKBUS_BUS", gateway.bus.as_str()),
            ("TICKBUS_SNAPSHOT", gateway.snapshot.as_str()),
            ("TICKBUS_SERVER_KEY", gateway_key.0.as_str()),
            ("TICKBUS_KEY", key),
        ];
        Script::start(language, example(language), &[TOPIC, "1"], &settings)
    };
    let Some(mut script) = start(&mine.1) else { return };
    assert!(script.line().await.contains(" x "), "a book");
    let _stranger = start(&other.1);
    let refused = || gateway.log().iter().any(|line| line["message"] == "bus peer refused");
    until("the other key is refused", refused).await;
}

#[tokio::test]
async fn the_python_example_shows_its_keys() {
    shows_its_keys(Language::Python).await;
}

#[tokio::test]
async fn the_node_example_shows_its_keys() {
    shows_its_keys(Language::Node).await;
}

/// Compares the best levels the example prints with the `book` frames, while the venue loses deltas.
async fn keeps_the_book_through_gaps(language: Language) {
    const CHANGES: usize = 300;
    let venue = venue(0, &["drop@100", "drop@250"]).await;
    let gateway = Gateway::start(&config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200"])}))).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", DEPTH, &["book.", "status."]);
    watcher.until_true(&["BTCUSDT"], 1).await;
    let args = [TOPIC, &CHANGES.to_string()];
    let Some(mut script) = start(language, &gateway.bus, &gateway.snapshot, &args) else { return };
    // It has the book before the market moves, so it sees both gaps.
    assert!(script.line().await.contains(" x "));
    watcher.walk(1);
    let mut bests = BTreeMap::new();
    let (mut changes, mut compared, mut unknown) = (1, 0, 0);
    while changes < CHANGES {
        // `seq  bid x size  |  ask x size`
        let line = loop {
            tokio::select! {
                line = script.line() => break line,
                () = remember(&mut bests, &mut watcher) => {}
            }
        };
        let Some((seq, best)) = line.trim().split_once("  ") else {
            assert_eq!(line, "book unknown");
            unknown += 1;
            continue;
        };
        changes += 1;
        let seq: u64 = seq.parse().unwrap();
        while bests.last_key_value().is_none_or(|(last, _)| *last < seq) {
            remember(&mut bests, &mut watcher).await;
        }
        if let Some(expected) = bests.get(&seq) {
            assert_eq!(best, expected, "at {seq}");
            compared += 1;
        }
    }
    assert!(compared > CHANGES / 2, "{compared} of {CHANGES}");
    // On a busy machine the second delta can be lost before the first gap is healed.
    assert!(unknown >= 1, "it was never told of a gap");
    assert!(watcher.told_of("BTCUSDT", 0).contains(&"stale gap".into()), "{:?}", watcher.told);
}

/// Notes the best levels of the next book frame under its `delta_seq`, as the example prints them.
async fn remember(bests: &mut BTreeMap<u64, String>, watcher: &mut Watcher) {
    let (topic, frame) = watcher.next().await;
    if topic.starts_with("book.") {
        let level = |side: &str| {
            let level = &frame[side][0];
            format!("{} x {}", level[0].as_str().unwrap(), level[1].as_str().unwrap())
        };
        bests.insert(frame["delta_seq"].as_u64().unwrap(), format!("{}  |  {}", level("bids"), level("asks")));
    }
}

#[tokio::test]
async fn the_python_example_keeps_the_book_through_gaps() {
    keeps_the_book_through_gaps(Language::Python).await;
}

#[tokio::test]
async fn the_node_example_keeps_the_book_through_gaps() {
    keeps_the_book_through_gaps(Language::Node).await;
}

#[test]
fn the_examples_are_short() {
    for path in ["python/book.py", "node/book.mjs"] {
        let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("examples").join(path);
        let lines = std::fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= 100, "{}: {lines} lines", path.display());
    }
}
