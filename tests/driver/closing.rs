//! Connections that end: by the server, by accident, by silence, by us.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use tickbus::io::command::Command;
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

use crate::fake::{PATIENCE, Setup, accept_ws, assert_quiet, listen};

fn close_frame(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame { code: code.into(), reason: reason.into() }))
}

#[tokio::test]
async fn close_codes_are_reported_and_followed_by_a_new_connection() {
    for code in [1000, 1001, 1012, 1013, 4001] {
        let (listener, url) = listen().await;
        let mut running = Setup::default().start(url);
        let mut server = accept_ws(&listener).await;
        running.step("connected").await;
        server.send(Message::text("last words")).await.unwrap();
        server.send(close_frame(code, "scheduled maintenance")).await.unwrap();
        running.step("text last words").await;
        running.step("disconnected").await;
        assert_eq!(running.frames_until("stale").await, ["last words", "stale"]);
        let _again = accept_ws(&listener).await;
        running.step("connected").await;
        let link = running.report().await.link;
        assert!(link.last_failure.unwrap().contains(&format!("code {code} \"scheduled maintenance\"")));
        assert_eq!((link.connects, link.failures, link.connected), (2, 1, true));
    }
}

#[tokio::test]
async fn a_server_that_closes_gets_its_close_frame_answered() {
    let (listener, url) = listen().await;
    let _running = Setup::default().start(url);
    let mut server = accept_ws(&listener).await;
    server.send(close_frame(1001, "")).await.unwrap();
    let answer = async {
        while let Some(message) = server.next().await {
            if let Message::Close(frame) = message.expect("reset instead of an answer") {
                return frame.unwrap().code;
            }
        }
        panic!("no close frame");
    };
    assert_eq!(u16::from(timeout(PATIENCE, answer).await.unwrap()), 1001);
}

#[tokio::test]
async fn a_broken_rule_keeps_us_away_for_longer() {
    let (listener, url) = listen().await;
    let running = Setup::default().start(url);
    let mut server = accept_ws(&listener).await;
    server.send(close_frame(1008, "too many topics")).await.unwrap();
    running.failure("too many topics").await;
    assert_quiet(&listener).await;
}

#[tokio::test]
async fn a_reset_and_a_hang_up_are_disconnects() {
    let (listener, url) = listen().await;
    let mut running = Setup::default().start(url);
    let server = accept_ws(&listener).await;
    running.step("connected").await;
    server.get_ref().set_zero_linger().unwrap();
    drop(server);
    running.step("disconnected").await;
    running.failure("connection lost").await;
    let server = accept_ws(&listener).await;
    running.step("connected").await;
    server.into_inner().shutdown().await.unwrap();
    running.step("disconnected").await;
    running.failure("hung up").await;
}

#[tokio::test]
async fn a_half_open_connection_is_found_and_left() {
    let (listener, url) = listen().await;
    let mut setup = Setup::default();
    setup.limits.connection.ping_after = Duration::from_millis(100);
    setup.limits.connection.dead_after = Duration::from_millis(100);
    let mut running = setup.start(url);
    // Never read again, so that no ping is answered.
    let _dead = accept_ws(&listener).await;
    running.step("connected").await;
    running.step("disconnected").await;
    running.failure("after a ping").await;
    let _alive = accept_ws(&listener).await;
}

#[tokio::test]
async fn a_quiet_server_that_answers_pings_is_alive() {
    let (listener, url) = listen().await;
    let mut setup = Setup::default();
    setup.limits.connection.ping_after = Duration::from_millis(30);
    let mut running = setup.start(url);
    let mut server = accept_ws(&listener).await;
    running.step("connected").await;
    let pings = async {
        let mut pings = 0;
        while pings < 5 {
            if server.next().await.unwrap().unwrap().is_ping() {
                pings += 1;
            }
        }
    };
    timeout(PATIENCE, pings).await.expect("no pings");
    assert!(running.report().await.link.connected);
}

#[tokio::test]
async fn a_session_can_ask_for_a_new_connection() {
    let (listener, url) = listen().await;
    let mut running = Setup::default().start(url);
    let mut server = accept_ws(&listener).await;
    server.send(Message::text("reconnect silence on all topics")).await.unwrap();
    running.failure("silence on all topics").await;
    let closed = async { while let Some(Ok(_)) = server.next().await {} };
    timeout(PATIENCE, closed).await.expect("the old connection stays open");
    running.step("disconnected").await;
    let _again = accept_ws(&listener).await;
    running.step("connected").await;
}

#[tokio::test]
async fn what_the_server_does_not_take_ends_the_connection() {
    let (listener, url) = listen().await;
    let mut running = Setup::default().start(url);
    let mut server = accept_ws(&listener).await;
    server.send(Message::text("big")).await.unwrap();
    running.step("disconnected").await;
    running.failure("takes nothing more").await;
}

#[tokio::test]
async fn shutting_down_says_goodbye() {
    let (listener, url) = listen().await;
    let mut running = Setup::default().start(url);
    let mut server = accept_ws(&listener).await;
    running.step("connected").await;
    running.commands.send(Command::Shutdown).await.unwrap();
    let goodbye = async {
        loop {
            if let Message::Close(frame) = server.next().await.unwrap().unwrap() {
                return frame.unwrap().code;
            }
        }
    };
    assert_eq!(u16::from(timeout(PATIENCE, goodbye).await.unwrap()), 1000);
    drop(server);
    assert_eq!(running.frames_until("down").await, ["down"]);
    timeout(Duration::from_secs(1), running.task).await.expect("slow to end").unwrap();
}

#[tokio::test]
async fn shutting_down_takes_less_than_a_second_even_if_the_server_is_dead() {
    let (listener, url) = listen().await;
    let mut running = Setup::default().start(url);
    let _dead = accept_ws(&listener).await;
    running.step("connected").await;
    running.commands.send(Command::Shutdown).await.unwrap();
    timeout(Duration::from_secs(1), running.task).await.expect("slow to end").unwrap();
}

#[tokio::test]
async fn a_driver_without_commanders_ends() {
    let (listener, url) = listen().await;
    let mut setup = Setup::default();
    setup.limits.dial.whole = Duration::from_secs(3600);
    let running = setup.start(url);
    let _silent = listener.accept().await.unwrap();
    drop(running.commands);
    timeout(Duration::from_secs(1), running.task).await.expect("slow to end").unwrap();
}
