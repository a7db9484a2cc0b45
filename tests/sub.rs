//! `tickbus-sub` as a process, against a publisher made with the `zeromq` crate, and where keys matter our own.
//!
//! The publisher sends the same round of frames until the process has ended; each process is given a `--timeout`,
//! so that no test can hang.

#![allow(clippy::unwrap_used)]

use std::io::{BufRead as _, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, Output, Stdio};
use std::time::Duration;

use bytes::Bytes;
use serde_json::Value;
use tickbus::bus::{Frame, Outgoing, Publisher, PublisherOptions, Retain};
use tickbus::secret::Secret;
use tickbus::zmtp::{AllowList, Clients, KeyPair, ServerSecurity, Users};
use tokio::task::spawn_blocking;
use zeromq::{PubSocket, Socket, SocketSend, ZmqMessage};

const BIN: &str = env!("CARGO_BIN_EXE_tickbus-sub");
const TRADES: &str = "trade.bybit.linear.BTCUSDT.";
const NEVER: &str = "100000000";

async fn publisher() -> (PubSocket, String) {
    let mut socket = PubSocket::new();
    let endpoint = socket.bind("tcp://127.0.0.1:0").await.unwrap().to_string();
    (socket, endpoint)
}

fn message(topic: &str, payload: &[u8]) -> ZmqMessage {
    ZmqMessage::try_from(vec![Bytes::copy_from_slice(topic.as_bytes()), Bytes::copy_from_slice(payload)]).unwrap()
}

/// A trade of run 7. Every fifth seq is missing, as if it had been lost.
fn trade(at: u64) -> String {
    let seq = at + at / 4;
    format!(
        r#"{{"v":1,"type":"trade","venue":"bybit","market":"linear","symbol":"BTCUSDT","epoch":7,"seq":{seq},"ts_recv":{seq},"ts_pub":1700000000123000000,"id":"t{seq}","price":"60000.10","size":"0.5","side":"sell"}}"#
    )
}

/// Publishes rounds of frames until `done` is.
async fn publish_until<T>(socket: &mut PubSocket, done: impl Future<Output = T>) -> T {
    let publishing = async {
        let mut every = tokio::time::interval(Duration::from_millis(2));
        for at in 1.. {
            every.tick().await;
            socket.send(message(TRADES, trade(at).as_bytes())).await.unwrap();
            // {"type":"heartbeat","epoch":7,"seq":1} as MessagePack.
            let heartbeat = b"\x83\xa4type\xa9heartbeat\xa5epoch\x07\xa3seq\x01";
            socket.send(message("heartbeat.", heartbeat)).await.unwrap();
            socket.send(message("broken.", b"{\"seq\":")).await.unwrap();
        }
    };
    tokio::select! {
        result = done => result,
        () = publishing => unreachable!("publishing never ends"),
    }
}

/// Publishes the same frame again and again until `done` is.
async fn repeat_until<T>(socket: &mut PubSocket, topic: &str, payload: &str, done: impl Future<Output = T>) -> T {
    let publishing = async {
        let mut every = tokio::time::interval(Duration::from_millis(2));
        loop {
            every.tick().await;
            socket.send(message(topic, payload.as_bytes())).await.unwrap();
        }
    };
    tokio::select! {
        result = done => result,
        () = publishing => unreachable!("publishing never ends"),
    }
}

fn command(endpoint: &str, args: &[&str]) -> Command {
    let mut command = Command::new(BIN);
    command.env_remove("TICKBUS_PASSWORD");
    command.arg(endpoint).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

async fn finished(mut command: Command) -> Output {
    spawn_blocking(move || command.output()).await.unwrap().unwrap()
}

/// Runs the subscriber beside the publisher.
async fn run(args: &[&str]) -> (i32, Vec<String>, String) {
    let (mut socket, endpoint) = publisher().await;
    let output = publish_until(&mut socket, finished(command(&endpoint, args))).await;
    let lines = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    (output.status.code().unwrap(), lines, String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn json_lines_carry_the_topic_and_only_the_topics_asked_for() {
    let (code, lines, _) = run(&["-t", "trade.", "--format", "json", "--count", "5", "--timeout", "30"]).await;
    assert_eq!((code, lines.len()), (0, 5));
    for line in &lines {
        assert!(line.starts_with(r#"{"topic":"trade.bybit.linear.BTCUSDT.","v":1,"#), "{line}");
        let frame: Value = serde_json::from_str(line).unwrap();
        assert_eq!(frame["price"], "60000.10");
    }
}

#[tokio::test]
async fn several_prefixes_and_messagepack_are_understood() {
    let (code, lines, _) =
        run(&["-t", "trade.", "-t", "heartbeat.", "--format", "raw", "--count", "6", "--timeout", "30"]).await;
    assert_eq!((code, lines.len()), (0, 6));
    assert!(lines.iter().any(|line| line.starts_with(r#"trade.bybit.linear.BTCUSDT. {"v":1,"#)), "{lines:?}");
    assert!(lines.contains(&r#"heartbeat. {"type":"heartbeat","epoch":7,"seq":1}"#.to_owned()), "{lines:?}");
}

#[tokio::test]
async fn pretty_lines_are_plain_when_piped() {
    let (code, lines, _) = run(&["-t", "trade.", "--count", "1", "--timeout", "30"]).await;
    assert_eq!(code, 0);
    let words: Vec<&str> = lines[0].split_whitespace().collect();
    let expected = ["22:13:20.123", "trade", "bybit.linear.BTCUSDT", "sell", "60000.10", "x", "0.5"];
    assert_eq!(words[..7], expected, "{lines:?}");
}

#[tokio::test]
async fn gaps_and_broken_frames_are_reported_on_stderr_only() {
    let (code, lines, stderr) =
        run(&["-t", "trade.", "-t", "broken.", "--format", "json", "--count", "20", "--timeout", "30"]).await;
    assert_eq!((code, lines.len()), (0, 20));
    assert!(stderr.contains(r#"gap in "trade.bybit.linear.BTCUSDT.": 1 missing between "#), "{stderr}");
    assert!(stderr.contains(r#"cannot decode frame "broken.": payload is not valid"#), "{stderr}");
    assert!(stderr.contains("20 frames, "), "{stderr}");
    assert!(lines.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{lines:?}");
}

#[tokio::test]
async fn quiet_leaves_stderr_empty() {
    let (code, lines, stderr) = run(&["--quiet", "--count", "20", "--timeout", "30"]).await;
    assert_eq!((code, lines.len(), stderr.as_str()), (0, 20, ""));
}

#[tokio::test]
async fn stats_measure_without_printing() {
    let (code, lines, stderr) = run(&["-t", "trade.", "--stats", "--no-print", "--timeout", "2.5"]).await;
    assert_eq!((code, lines.len()), (0, 0));
    assert!(stderr.lines().filter(|line| line.contains("frames/s")).count() >= 2, "{stderr}");
    let total = stderr.lines().last().unwrap();
    assert!(total.contains("total ") && total.contains("since ts_pub p50 36"), "{stderr}");
}

#[tokio::test]
async fn a_count_that_is_not_reached_is_a_failure() {
    let (_socket, endpoint) = publisher().await;
    let output = finished(command(&endpoint, &["--count", "10", "--timeout", "0.5"])).await;
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8(output.stderr).unwrap();
    assert!(stderr.contains("got 0 of 10 frames in 0.5 s"), "{stderr}");
    let output = finished(command(&endpoint, &["--timeout", "0.2"])).await;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(0), 0));
}

#[tokio::test]
async fn a_gateway_that_starts_later_is_found() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", free.local_addr().unwrap());
    drop(free);
    let child = finished(command(&endpoint, &["-t", "trade.", "--count", "1", "--timeout", "30"]));
    let child = tokio::spawn(child);
    let mut socket = PubSocket::new();
    socket.bind(&endpoint).await.unwrap();
    let output = publish_until(&mut socket, child).await.unwrap();
    assert_eq!(output.status.code(), Some(0));
}

#[tokio::test]
async fn a_gateway_that_restarts_is_found_again_and_told() {
    let (mut socket, endpoint) = publisher().await;
    let args = ["-t", "trade.", "--no-print", "--count", NEVER, "--timeout", "60"];
    let mut child = command(&endpoint, &args).spawn().unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (_, stderr) = publish_until(&mut socket, line_with("gap in ", stderr)).await;
    drop(socket);
    let (_, stderr) = line_with("trying again", stderr).await;
    let mut socket = PubSocket::new();
    socket.bind(&endpoint).await.unwrap();
    let found = line_with("gateway restarted: ", stderr);
    let (line, _) = repeat_until(&mut socket, TRADES, r#"{"type":"trade","epoch":8,"seq":1}"#, found).await;
    assert!(line.contains("epoch 8 after 7"), "{line}");
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Reads up to the line that contains `text`; the subscriber's own timeout ends a vain wait.
async fn line_with<R: Read + Send + 'static>(text: &'static str, mut lines: BufReader<R>) -> (String, BufReader<R>) {
    let search = move || {
        let found = lines.by_ref().lines().map(Result::unwrap).find(|line| line.contains(text));
        (found.unwrap_or_else(|| panic!("the subscriber ended without {text:?}")), lines)
    };
    spawn_blocking(search).await.unwrap()
}

/// A subscriber to trades that has printed trade 5 of run 7. Its stdout stays open, or it would end.
async fn subscribed(socket: &mut PubSocket, endpoint: &str) -> (Printing, BufReader<ChildStderr>) {
    let args = ["-t", "trade.", "--format", "raw", "--stats", "--count", NEVER, "--timeout", "60"];
    let mut child = command(endpoint, &args).spawn().unwrap();
    let stdout = BufReader::new(child.stdout.take().unwrap());
    let stderr = BufReader::new(child.stderr.take().unwrap());
    let (_, stdout) = repeat_until(socket, TRADES, r#"{"epoch":7,"seq":5}"#, line_with(TRADES, stdout)).await;
    (Printing { child, _stdout: stdout }, stderr)
}

/// Killed on drop.
struct Printing {
    child: Child,
    _stdout: BufReader<ChildStdout>,
}

impl Drop for Printing {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn a_loss_that_nothing_follows_is_told_by_the_heartbeat() {
    let (mut socket, endpoint) = publisher().await;
    let (_child, stderr) = subscribed(&mut socket, &endpoint).await;
    let beat = r#"{"type":"heartbeat","epoch":7,"seq":1,"topics":{"trade.bybit.linear.BTCUSDT.":8}}"#;
    let (line, stderr) = repeat_until(&mut socket, "heartbeat.", beat, line_with("silent gap in ", stderr)).await;
    assert!(line.contains(r#""trade.bybit.linear.BTCUSDT.": 3 missing after 5"#), "{line}");
    let (line, stderr) = repeat_until(&mut socket, "heartbeat.", beat, line_with("frames/s", stderr)).await;
    assert!(line.contains("1 gaps (3 missing), 1 silent"), "{line}");
    // A restart too, although no topic that was asked for says it.
    let beat = r#"{"type":"heartbeat","epoch":8,"seq":1}"#;
    let (line, _) = repeat_until(&mut socket, "heartbeat.", beat, line_with("gateway restarted: ", stderr)).await;
    assert!(line.contains("epoch 8 after 7"), "{line}");
}

#[tokio::test]
async fn a_notice_is_told_and_no_frame() {
    let (mut socket, endpoint) = publisher().await;
    let (_child, stderr) = subscribed(&mut socket, &endpoint).await;
    let notice = r#"{"type":"notice","kind":"loss","epoch":7,"seq":1,"dropped":5,"conflated":2,
        "topics":{"trade.bybit.linear.BTCUSDT.":{"dropped":5,"conflated":2,"first_seq":6,"last_seq":12}}}"#;
    let (line, stderr) = repeat_until(&mut socket, "notice.loss.", notice, line_with("too slow: ", stderr)).await;
    let expected = r#"5 frames dropped, 2 conflated; "trade.bybit.linear.BTCUSDT." 7 of 6..=12"#;
    assert!(line.ends_with(expected), "{line}");
    let (line, _) = repeat_until(&mut socket, "notice.loss.", notice, line_with(" notices (", stderr)).await;
    assert!(line.contains("1 topics, 0 gaps (0 missing)"), "{line}");
}

#[tokio::test]
async fn a_gateway_without_heartbeats_is_told() {
    let (mut socket, endpoint) = publisher().await;
    let (_child, stderr) = subscribed(&mut socket, &endpoint).await;
    line_with("no heartbeat for 5s", stderr).await;
}

#[tokio::test]
async fn a_closed_pipe_ends_quietly() {
    let (mut socket, endpoint) = publisher().await;
    // With this count the timeout would be exit 1.
    let mut child = command(&endpoint, &["-q", "--count", NEVER, "--timeout", "30"]).spawn().unwrap();
    let (code, stderr) = publish_until(&mut socket, async {
        spawn_blocking(move || {
            let mut stdout = BufReader::new(child.stdout.take().unwrap());
            stdout.read_line(&mut String::new()).unwrap();
            drop(stdout);
            end_of(child)
        })
        .await
        .unwrap()
    })
    .await;
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
}

fn end_of(mut child: Child) -> (Option<i32>, String) {
    let mut stderr = String::new();
    child.stderr.take().unwrap().read_to_string(&mut stderr).unwrap();
    (child.wait().unwrap().code(), stderr)
}

async fn secured(security: ServerSecurity) -> (Publisher, String) {
    let endpoints = vec!["tcp://127.0.0.1:0".to_owned()];
    let bus = Publisher::bind(PublisherOptions { endpoints, security, ..PublisherOptions::default() }).await.unwrap();
    let endpoint = bus.endpoints()[0].clone();
    let bytes = |text: &'static str| Bytes::from_static(text.as_bytes());
    let payload = bytes(r#"{"type":"status","epoch":7,"seq":1,"state":"live"}"#);
    let frame = Frame { topic: bytes("status.a."), payload, retain: Retain::Latest, seq: 1 };
    bus.publish(&mut vec![Outgoing::Frame(frame)]);
    (bus, endpoint)
}

/// Exit code and stderr of a subscriber that wants one frame.
async fn one_frame(endpoint: &str, args: &[&str]) -> (Option<i32>, String) {
    let output = finished(command(endpoint, &[&["--count", "1", "--timeout", "30"], args].concat())).await;
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[tokio::test]
async fn keys_open_the_bus_and_wrong_ones_are_told_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str| {
        let pair = KeyPair::generate().unwrap();
        let (public, secret) = pair.write(folder.path(), name).unwrap();
        (pair, public.to_str().unwrap().to_owned(), secret.to_str().unwrap().to_owned())
    };
    let [(own, server, _), (client, _, key), (_, other, other_key)] = ["server", "client", "other"].map(write);
    let allowed = AllowList::new(Clients::Listed([client.public()].into()));
    let (_bus, endpoint) = secured(ServerSecurity::Curve { own, allowed }).await;
    assert_eq!(one_frame(&endpoint, &["--server-key", &server, "--key", &key, "-q"]).await, (Some(0), String::new()));
    let cases: [(&[&str], &str); 4] = [
        (&["--server-key", &other, "--key", &key], "the server does not have the expected key"),
        (&["--server-key", &server, "--key", &other_key], "the server does not accept this client key"),
        (&["--server-key", &server], "the server does not accept this client key"),
        (&[], "give the server's public key"),
    ];
    for (args, expected) in cases {
        let (code, stderr) = one_frame(&endpoint, args).await;
        assert!(code == Some(1) && stderr.contains(expected), "{args:?}: {code:?} {stderr}");
    }
    let (code, stderr) = one_frame(&endpoint, &["--server-key", &server, "--key", "/nowhere"]).await;
    assert!(code == Some(2) && stderr.contains("--key: /nowhere"), "{code:?} {stderr}");
}

#[tokio::test]
async fn a_password_opens_the_bus_and_a_wrong_one_is_told_at_once() {
    let users = Users::new([("ann".to_owned(), Secret::new("sword".to_owned()))].into());
    let (_bus, endpoint) = secured(ServerSecurity::Plain(users)).await;
    let folder = tempfile::tempdir().unwrap();
    let [right, wrong] = [("right", "sword\n"), ("wrong", "fish\n")].map(|(name, password)| {
        let path = folder.path().join(name);
        std::fs::write(&path, password).unwrap();
        path.to_str().unwrap().to_owned()
    });
    let of = |path| ["--user", "ann", "--password-file", path];
    assert_eq!(one_frame(&endpoint, &[&of(&right)[..], &["-q"]].concat()).await, (Some(0), String::new()));
    let (code, stderr) = one_frame(&endpoint, &of(&wrong)).await;
    assert!(code == Some(1) && stderr.contains("does not accept this user name and password"), "{code:?} {stderr}");
    assert!(!stderr.contains("fish"), "{stderr}");
    let (code, stderr) = one_frame(&endpoint, &["--user", "ann"]).await;
    assert!(code == Some(2) && stderr.contains("TICKBUS_PASSWORD"), "{code:?} {stderr}");
}

#[tokio::test]
async fn a_socket_of_another_type_is_told_at_once() {
    let mut other = zeromq::PullSocket::new();
    let endpoint = other.bind("tcp://127.0.0.1:0").await.unwrap().to_string();
    let (code, stderr) = one_frame(&endpoint, &[]).await;
    assert!(code == Some(1) && stderr.contains("a socket of type `PULL` cannot"), "{code:?} {stderr}");
}

#[tokio::test]
async fn wrong_usage_is_exit_2() {
    for args in [&["--count", "0"][..], &["--format", "xml"], &["--ladder", "BTCUSDT"], &["--timeout", "0"]] {
        let output = finished(command("tcp://127.0.0.1:1", args)).await;
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{args:?}");
    }
    let output = finished(command("udp://127.0.0.1:1", &[])).await;
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8(output.stderr).unwrap().contains("tcp://HOST:PORT"));
}
