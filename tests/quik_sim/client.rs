//! What the tests share: a terminal to talk to, our own client, and waiting for what can be observed.

use std::time::Duration;

use serde_json::{Value, json};
use tickbus::io::zmq::{Kind, ZmqConnection, ZmqLimits, connect};
use tickbus::sim::quik::{Options, Running, Server, Settings};
use tickbus::zmtp::ClientSecurity;

pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// A terminal with these faults, whose markets stand still.
pub(crate) async fn terminal(faults: &[&str]) -> Running {
    terminal_with(Options { settings: settings(faults), ..Options::default() }).await
}

pub(crate) fn settings(faults: &[&str]) -> Settings {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Settings { rate: 0, faults, ..Settings::default() }
}

pub(crate) async fn terminal_with(options: Options) -> Running {
    Server::bind(Options { online_after: Duration::from_millis(20), ..options }).await.unwrap().start()
}

/// Waits until something is so.
pub(crate) async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let waiting = async {
        while !is() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(DEADLINE, waiting).await.unwrap_or_else(|_| panic!("not in time: {what}"));
}

/// Connects, again and again if nobody listens.
pub(crate) async fn socket(endpoint: &str, kind: Kind) -> ZmqConnection {
    let again = async {
        loop {
            if let Ok(connection) = connect(endpoint, kind, &ClientSecurity::Null, ZmqLimits::default()).await {
                return connection;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, again).await.expect("a connection")
}

pub(crate) async fn subscriber(endpoint: &str, prefix: &str) -> ZmqConnection {
    let mut connection = socket(endpoint, Kind::Sub).await;
    connection.subscribe(prefix.as_bytes()).await.unwrap();
    connection
}

/// The next event: its name, and its payload if it has one.
pub(crate) async fn event(connection: &mut ZmqConnection) -> (String, Option<Value>) {
    let frames = tokio::time::timeout(DEADLINE, connection.receive()).await.expect("an event").unwrap();
    assert!(frames.len() <= 2);
    let payload = frames.get(1).map(|payload| serde_json::from_slice(payload).unwrap());
    (String::from_utf8(frames[0].to_vec()).unwrap(), payload)
}

/// Calls a method and waits for its answer.
pub(crate) async fn call(connection: &mut ZmqConnection, method: &str, args: Value) -> Value {
    let request = json!({"method": method, "args": args}).to_string();
    connection.send(&[request.as_bytes()]).await.unwrap();
    let reply = tokio::time::timeout(DEADLINE, connection.receive()).await.expect("an answer").unwrap();
    serde_json::from_slice(&reply[0]).unwrap()
}

pub(crate) fn riz6() -> Value {
    json!({"class_code": "SPBFUT", "sec_code": "RIZ6"})
}
