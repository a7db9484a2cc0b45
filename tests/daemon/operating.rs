//! What an operator meets: start and refusal, the control socket, signals, a process that was stopped for a while.

use std::net::TcpListener;
use std::time::Duration;

use serde_json::{Value, json};
use tickbus::sim::Depth;
use tokio::time::Instant;

use crate::gateway::{Gateway, config, feed, refused, venue};
use crate::watcher::Watcher;

const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];
const DEPTH: Depth = Depth::Levels(50);

fn stderr(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A port that is taken, as an endpoint.
fn taken() -> (TcpListener, String) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    (listener, endpoint)
}

#[tokio::test]
async fn a_taken_endpoint_ends_with_3_and_is_named() {
    let venue = venue(0, &[]).await;
    for socket in ["/bus/bind/0", "/bus/snapshot_bind", "/control/bind"] {
        let (_listener, endpoint) = taken();
        let mut config = config(&json!({"a": feed(&venue, "linear", &SYMBOLS, &["book:50"])}));
        *config.pointer_mut(socket).unwrap() = json!(endpoint);
        let output = refused(&config).await;
        assert_eq!(output.status.code(), Some(3), "{socket}: {}", stderr(&output));
        assert!(stderr(&output).contains(&endpoint), "{socket}: {}", stderr(&output));
    }
    assert_eq!(venue.truth().connections(), 0);
}

#[tokio::test]
async fn a_bad_config_ends_with_2_before_any_socket() {
    let venue = venue(0, &[]).await;
    // Were a socket bound first, the exit code would be 3.
    let (_listener, endpoint) = taken();
    let mut config = config(&json!({"a": feed(&venue, "linear", &SYMBOLS, &["boook:50"])}));
    config["bus"]["bind"] = json!([endpoint]);
    let output = refused(&config).await;
    assert_eq!(output.status.code(), Some(2), "{}", stderr(&output));
    assert!(stderr(&output).contains("feeds.a.channels[0]"), "{}", stderr(&output));
    assert_eq!(venue.truth().connections(), 0);
}

#[tokio::test]
async fn sigterm_under_load_says_down_and_ends_with_0_within_two_seconds() {
    let venue = venue(3_000, &[]).await;
    let feeds = json!({"a": feed(&venue, "linear", &SYMBOLS, &["book:50", "trade"])});
    let mut gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", DEPTH, &["book.", "trade.", "status."]);
    watcher.until_true(&SYMBOLS, 100).await;
    let asked = Instant::now();
    gateway.signal("TERM");
    let down = |watcher: &Watcher| {
        let ended = |symbol: &str| watcher.told_of(symbol, 0).last().is_some_and(|told| told == "down shutdown");
        SYMBOLS.into_iter().all(ended) && ended("")
    };
    watcher.until("all down", down).await;
    assert_eq!(gateway.ended().await, Some(0));
    let took = asked.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn the_control_socket_tells_resyncs_and_ends() {
    let venue = venue(200, &[]).await;
    let feeds = json!({"a": feed(&venue, "linear", &SYMBOLS, &["book:50"])});
    let mut gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", DEPTH, &["book.", "status."]);
    watcher.until_true(&SYMBOLS, 10).await;
    let (code, status) = gateway.ctl(&["status"]).await;
    assert_eq!((code, &status["ok"]), (0, &json!(true)), "{status}");
    let feed = &status["feeds"][0];
    assert_eq!((&feed["name"], &feed["state"], &feed["connected"]), (&json!("a"), &json!("live"), &json!(true)));
    assert_eq!(feed["symbols"]["ETHUSDT"]["state"], "live");
    let from = watcher.told.len();
    let (code, answer) = gateway.ctl(&["resync", "feed=a", "symbol=BTCUSDT"]).await;
    assert_eq!((code, &answer["ok"]), (0, &json!(true)), "{answer}");
    watcher
        .until("resynced", |watcher| watcher.told_of("BTCUSDT", from).last().is_some_and(|told| told == "live"))
        .await;
    assert_eq!(watcher.told_of("BTCUSDT", from), ["stale requested", "syncing requested", "live"]);
    assert_eq!(watcher.told_of("ETHUSDT", from), [""; 0]);
    watcher.until_true(&SYMBOLS, 10).await;
    for wrong in [vec!["resync", "feed=b", "symbol=BTCUSDT"], vec!["resync", "feed=a", "symbol=X"], vec!["explode"]] {
        let (code, answer) = gateway.ctl(&wrong).await;
        assert_eq!((code, &answer["ok"]), (1, &json!(false)), "{wrong:?} {answer}");
        assert!(answer["error"].as_str().is_some_and(|error| !error.is_empty()), "{wrong:?} {answer}");
    }
    let (code, answer) = gateway.ctl(&["shutdown"]).await;
    assert_eq!((code, &answer["ok"]), (0, &json!(true)), "{answer}");
    assert_eq!(gateway.ended().await, Some(0));
}

#[tokio::test]
async fn a_gateway_that_was_stopped_for_a_while_heals() {
    let venue = venue(300, &[]).await;
    let mut feed = feed(&venue, "linear", &SYMBOLS, &["book:50"]);
    feed["silence_ms"] = json!(1_000);
    let gateway = Gateway::start(&config(&json!({"a": feed}))).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", DEPTH, &["book.", "status."]);
    watcher.until_true(&SYMBOLS, 20).await;
    let u = || venue.truth().book("linear", "BTCUSDT", DEPTH).unwrap().u;
    let before = u();
    gateway.signal("STOP");
    // Three seconds of this market.
    crate::gateway::until("the market moves on", || u() > before + 450).await;
    gateway.signal("CONT");
    let behind = u();
    let current = |watcher: &Watcher| {
        let book = watcher.last.get("book.bybit.linear.BTCUSDT.").unwrap_or(&Value::Null);
        watcher.is_live("BTCUSDT") && book["venue_seq"].as_u64() > Some(behind)
    };
    watcher.until("the book is current", current).await;
    watcher.until_true(&SYMBOLS, 20).await;
}

#[tokio::test]
async fn a_gateway_that_is_started_again_is_a_new_epoch() {
    let venue = venue(200, &[]).await;
    let mut config = config(&json!({"a": feed(&venue, "linear", &SYMBOLS, &["book:50"])}));
    let mut epochs = Vec::new();
    for _ in 0..2 {
        let mut gateway = Gateway::start(&config).await;
        let mut watcher = Watcher::new(&gateway, &venue, "linear", DEPTH, &["book.", "status."]);
        watcher.until_true(&SYMBOLS, 5).await;
        epochs.push(watcher.last["book.bybit.linear.BTCUSDT."]["epoch"].as_u64().unwrap());
        // The second run takes the ports of the first, at once.
        config["bus"]["bind"] = json!([gateway.bus]);
        config["bus"]["snapshot_bind"] = json!(gateway.snapshot);
        config["control"]["bind"] = json!(gateway.control);
        gateway.signal("INT");
        assert_eq!(gateway.ended().await, Some(0));
    }
    assert!(epochs[0] < epochs[1], "{epochs:?}");
}
