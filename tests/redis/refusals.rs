//! What Redis refuses: users, passwords, writes. Each is counted and told, and healed when the trouble is over.

use serde_json::json;
use tickbus::bus::Retain;
use tickbus::sink::redis::Location;

use crate::bus::{Bench, options};
use crate::server::{Server, until};

fn ticker(bench: &Bench, seq: u64) {
    bench.publish("ticker.bybit.spot.A.", &format!(r#"{{"seq":{seq},"last":"{seq}"}}"#), Retain::Latest);
}

#[tokio::test]
async fn a_password_is_shown_and_a_wrong_one_is_told_without_it() {
    let Some(server) = Server::start(&["--requirepass", "swordfish"]).await else { return };
    let good = Bench::start(&server, json!({"password": {"env": "SECRET"}})).await;
    ticker(&good, 1);
    until("the frame is written", || good.report().frames == 1).await;
    let none = Bench::start(&server, json!({})).await;
    until("it is refused", || none.report().failures > 0).await;
    let failure = none.report().last_failure.unwrap();
    assert!(failure.to_lowercase().contains("auth"), "{failure}");
    let wrong = json!({"password": {"env": "SECRET"}, "username": "nobody"});
    let wrong = Bench::start(&server, wrong).await;
    until("it is refused", || wrong.report().failures > 1).await;
    let report = wrong.report();
    let failure = report.last_failure.unwrap();
    assert!(!failure.contains("swordfish") && failure.contains("authentication failed"), "{failure}");
    assert!(!report.connected);
}

#[tokio::test]
async fn a_user_with_few_rights_still_writes() {
    let acl = "user sink on >swordfish ~* &* +@all -client";
    let Some(server) = Server::start(&[]).await else { return };
    let mut redis = server.connect().await;
    let rules: Vec<&str> = ["ACL", "SETUSER"].into_iter().chain(acl.split(' ').skip(1)).collect();
    redis.ask::<()>(&rules).await;
    let bench = Bench::start(&server, json!({"username": "sink", "password": {"env": "SECRET"}})).await;
    ticker(&bench, 7);
    redis
        .until(&["HGET", "tickbus:ticker:bybit:spot:A", "last"], |last: &Option<String>| last.as_deref() == Some("7"))
        .await;
}

#[tokio::test]
async fn a_unix_socket_and_another_database_are_used() {
    let Some(server) = Server::start(&[]).await else { return };
    let mut unix = options(&server, json!({}));
    unix.location = Location::read(&format!("unix://{}", server.socket())).unwrap();
    let bench = Bench::with(unix, None).await;
    ticker(&bench, 1);
    until("the frame is written", || bench.report().frames == 1).await;
    let url = server.url().replace("/0", "/3");
    let third = Bench::start(&server, json!({"url": url})).await;
    ticker(&third, 3);
    until("the frame is written", || third.report().frames == 1).await;
    let mut redis = server.connect_to(&url).await;
    assert_eq!(redis.ask::<String>(&["HGET", "tickbus:ticker:bybit:spot:A", "last"]).await, "3");
}

#[tokio::test]
async fn refused_writes_are_counted_and_made_up_for() {
    let Some(server) = Server::start(&[]).await else { return };
    let bench = Bench::start(&server, json!({})).await;
    let mut redis = server.connect().await;
    ticker(&bench, 1);
    until("the frame is written", || bench.report().frames == 1).await;
    // Full: every write is refused.
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    ticker(&bench, 2);
    until("the write is refused", || bench.report().refused > 0).await;
    assert!(bench.report().connected, "it is one command's trouble");
    redis.ask::<()>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    // Nothing more is published: what was refused is written by itself.
    redis
        .until(&["HGET", "tickbus:ticker:bybit:spot:A", "last"], |last: &Option<String>| last.as_deref() == Some("2"))
        .await;
    // A key of another type is in the way of one topic only.
    redis.ask::<()>(&["SET", "tickbus:trade:bybit:spot:A", "x"]).await;
    let before = bench.report().refused;
    bench.publish("trade.bybit.spot.A.", r#"{"seq":1,"id":"1"}"#, Retain::Stream);
    bench.publish("trade.bybit.spot.B.", r#"{"seq":1,"id":"1"}"#, Retain::Stream);
    redis.until(&["EXISTS", "tickbus:trade:bybit:spot:B"], |there: &bool| *there).await;
    until("the refusal is counted", || bench.report().refused > before).await;
}

#[tokio::test]
async fn a_replica_is_left_and_written_to_when_it_is_a_master_again() {
    let Some(server) = Server::start(&[]).await else { return };
    let bench = Bench::start(&server, json!({})).await;
    let mut redis = server.connect().await;
    ticker(&bench, 1);
    until("the frame is written", || bench.report().frames == 1).await;
    redis.ask::<()>(&["REPLICAOF", "127.0.0.1", "1"]).await;
    ticker(&bench, 2);
    until("the connection is left", || bench.report().failures > 0).await;
    let failure = bench.report().last_failure.unwrap();
    assert!(failure.contains("READONLY") || failure.contains("MASTERDOWN"), "{failure}");
    redis.ask::<()>(&["REPLICAOF", "NO", "ONE"]).await;
    redis
        .until(&["HGET", "tickbus:ticker:bybit:spot:A", "last"], |last: &Option<String>| last.as_deref() == Some("2"))
        .await;
}

#[tokio::test]
async fn what_cannot_be_read_is_counted_and_passed_over() {
    let Some(server) = Server::start(&[]).await else { return };
    let bench = Bench::start(&server, json!({})).await;
    bench.publish("ticker.bybit.spot.A.", "no payload", Retain::Latest);
    ticker(&bench, 2);
    until("the good one is written", || bench.report().frames == 1).await;
    assert_eq!(bench.report().unreadable_frames, 1);
}
