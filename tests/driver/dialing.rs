//! Servers that are not there, do not answer, or answer something else.

use std::time::Duration;

use tickbus::io::command::Command;
use tickbus::io::limits::Rate;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::time::timeout;

use crate::fake::{PATIENCE, Setup, accept, accept_ws, assert_quiet, listen};

/// Answers one handshake with this and hangs up.
async fn answer(listener: &TcpListener, response: &str) {
    let mut stream = accept(listener).await;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "hung up in the request");
    }
    stream.write_all(response.as_bytes()).await.unwrap();
    stream.shutdown().await.unwrap();
}

#[tokio::test]
async fn a_server_that_accepts_and_says_nothing_costs_one_deadline() {
    let (listener, url) = listen().await;
    let mut setup = Setup::default();
    setup.limits.dial.whole = Duration::from_millis(200);
    let running = setup.start(url);
    let silent = accept(&listener).await;
    running.failure("stuck at handshake").await;
    drop(accept(&listener).await);
    drop(silent);
}

#[tokio::test]
async fn a_tls_server_that_says_nothing_costs_one_deadline() {
    let (listener, url) = listen().await;
    let mut setup = Setup::default();
    setup.limits.dial.whole = Duration::from_millis(200);
    let running = setup.start(url.replace("ws://", "wss://"));
    let silent = accept(&listener).await;
    // A machine without certificate authorities cannot even begin; then the text says that instead.
    let stuck = async { running.failure("stuck at tls").await };
    let cannot = async { running.failure("CA certificates").await };
    tokio::select! { () = stuck => {}, () = cannot => {} }
    drop(silent);
}

#[tokio::test]
async fn a_status_instead_of_a_handshake_is_named_and_retried() {
    let (listener, url) = listen().await;
    let mut running = Setup::default().start(url);
    answer(&listener, "HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n").await;
    running.failure("HTTP 503").await;
    let _server = accept_ws(&listener).await;
    running.step("connected").await;
    assert!(running.report().await.link.connected);
}

#[tokio::test]
async fn retry_after_and_403_are_obeyed() {
    for response in [
        "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 3600\r\nContent-Length: 0\r\n\r\n",
        "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n",
    ] {
        let (listener, url) = listen().await;
        let running = Setup::default().start(url);
        answer(&listener, response).await;
        running.failure("HTTP 4").await;
        assert_quiet(&listener).await;
    }
}

#[tokio::test]
async fn garbage_instead_of_a_handshake_is_retried() {
    let (listener, url) = listen().await;
    let running = Setup::default().start(url);
    answer(&listener, "SSH-2.0-OpenSSH_9.6\r\n\r\n").await;
    running.failure("websocket handshake").await;
    drop(accept(&listener).await);
    running.failure("hung up").await;
    let _server = accept_ws(&listener).await;
}

#[tokio::test]
async fn a_refused_port_and_an_unknown_name_are_different_failures() {
    let (listener, url) = listen().await;
    drop(listener);
    Setup::default().start(url).failure("cannot connect to 127.0.0.1").await;
    Setup::default().start("ws://no-such-host.invalid/".to_owned()).failure("cannot resolve no-such-host").await;
}

#[tokio::test]
async fn commands_are_answered_while_there_is_no_connection() {
    let (listener, url) = listen().await;
    let mut setup = Setup::default();
    setup.limits.backoff.first = Duration::from_secs(3600);
    setup.limits.backoff.longest = Duration::from_secs(3600);
    let running = setup.start(url);
    drop(accept(&listener).await);
    running.failure("hung up").await;

    let (reply, snapshot) = oneshot::channel();
    running.commands.send(Command::Snapshot { topic: "book.".to_owned(), reply }).await.unwrap();
    assert_eq!(timeout(PATIENCE, snapshot).await.unwrap().unwrap().unwrap().payload, "book.");
    let (reply, resync) = oneshot::channel();
    running.commands.send(Command::Resync { symbol: "BTCUSDT".to_owned(), reply }).await.unwrap();
    assert!(timeout(PATIENCE, resync).await.unwrap().unwrap());
    running.commands.send(Command::Shutdown).await.unwrap();
    timeout(Duration::from_secs(1), running.task).await.expect("slow to end").unwrap();
}

#[tokio::test]
async fn a_server_that_closes_at_once_is_dialed_ever_more_slowly() {
    let (listener, url) = listen().await;
    let mut setup = Setup { connects: Rate { per_second: 1000.0, burst: 1000.0 }, ..Setup::default() };
    setup.limits.backoff.first = Duration::from_millis(20);
    setup.limits.backoff.longest = Duration::from_millis(320);
    let running = setup.start(url);
    let mut connects = 0;
    let count = async {
        loop {
            drop(accept_ws(&listener).await);
            connects += 1;
        }
    };
    assert!(timeout(Duration::from_millis(1500), count).await.is_err());
    // The shortest delays possible are 5, 10, 20, 40, 80, 80, ... ms; without growth there would be 75 and more.
    assert!((4..=24).contains(&connects), "{connects} connects");
    assert!(running.report().await.link.failures >= 4);
}

#[tokio::test]
async fn the_budget_of_connects_holds_whatever_the_back_off_says() {
    let (listener, url) = listen().await;
    let connects = Rate { per_second: 0.001, burst: 2.0 };
    let running = Setup { connects, ..Setup::default() }.start(url);
    drop(accept(&listener).await);
    drop(accept(&listener).await);
    running.failure("hung up").await;
    assert_quiet(&listener).await;
}
