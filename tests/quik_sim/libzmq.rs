//! libzmq as the other end, through `tests/python/quik_terminal.py`. It needs a Python that has pyzmq, named by
//! `TICKBUS_TEST_PYTHON`; without it these tests say so and pass.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use tickbus::secret::Secret;
use tickbus::sim::quik::{FaultKind, Options, Running, Settings};
use tickbus::zmtp::{AllowList, Clients, KeyPair, ServerSecurity, Users};

use crate::client::{DEADLINE, settings, terminal, terminal_with, until};

/// A Python client; killed on drop.
struct Client {
    child: Child,
    lines: Receiver<String>,
}

impl Client {
    /// Starts a scenario, or says why not.
    fn start(scenario: &str, server: &Running, args: &[&str]) -> Option<Self> {
        let Some(python) = std::env::var_os("TICKBUS_TEST_PYTHON") else {
            println!("skipped: no python with pyzmq (set TICKBUS_TEST_PYTHON)");
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/quik_terminal.py");
        let mut child = Command::new(python)
            .arg(script)
            .args([scenario, &server.rpc(), &server.events()])
            .args(args)
            .stdout(Stdio::piped())
            .spawn()
            .expect("TICKBUS_TEST_PYTHON names a python");
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Some(Self { child, lines })
    }

    /// The next line it prints. Blocks the thread: tests here run with more than one.
    fn line(&self) -> String {
        tokio::task::block_in_place(|| self.lines.recv_timeout(DEADLINE)).expect("a line of the Python client")
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn requests_are_treated_as_by_rep() {
    let server = terminal(&[]).await;
    let Some(client) = Client::start("quirks", &server, &[]) else { return };
    assert_eq!(client.line(), "ok");
    assert_eq!(server.truth().calls("Subscribe_Level_II_Quotes"), 1);
    assert_eq!(server.truth().level_ii(), ["SPBFUT RIZ6"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_have_one_frame_or_two_and_reach_who_waited() {
    // libzmq connects again after 100 ms, so a script that is online a second later finds its subscribers.
    let options = Options { online_after: Duration::from_secs(1), settings: settings(&[]), ..Options::default() };
    let server = tickbus::sim::quik::Server::bind(options).await.unwrap().start();
    let Some(client) = Client::start("events", &server, &[]) else { return };
    assert_eq!(client.line(), "waiting");
    let truth = server.truth();
    loop {
        match client.line().as_str() {
            "marker" => truth.publish("OnMoneyLimitDelete", Some("{}")),
            line => break assert_eq!(line, "subscribed"),
        }
    }
    truth.step(50);
    truth.inject(FaultKind::NewDay);
    truth.inject(FaultKind::Offline(Duration::from_millis(1)));
    until("connected again", || truth.is_connected()).await;
    server.stop().await;
    assert_eq!(client.line(), "ok");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_script_comes_back_on_its_ports() {
    for (fault, messages) in [
        (FaultKind::Restart(Duration::from_millis(100)), "2"),
        (FaultKind::Dead(Duration::from_millis(100)), "1"),
        (FaultKind::EncodeCrash(Duration::from_millis(100)), "1"),
    ] {
        // Long enough for libzmq, which waits 100 ms before it connects again.
        let options = Options { online_after: Duration::from_secs(1), settings: settings(&[]), ..Options::default() };
        let server = tickbus::sim::quik::Server::bind(options).await.unwrap().start();
        until("online", || server.truth().runs() == 1).await;
        let Some(client) = Client::start("restart", &server, &[messages]) else { return };
        assert_eq!(client.line(), "ready");
        until("subscribed", || server.truth().subscribers() == 1).await;
        server.truth().inject(fault);
        assert_eq!(client.line(), "ok");
        assert_eq!(server.truth().runs(), 2);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_thousand_trades_at_once_arrive_in_order() {
    let server = terminal(&[]).await;
    let Some(client) = Client::start("burst", &server, &["20000"]) else { return };
    assert_eq!(client.line(), "ready");
    until("subscribed", || server.truth().subscribers() == 1).await;
    server.truth().inject(FaultKind::Burst(20_000));
    println!("{}", client.line());
    assert_eq!(client.line(), "ok");
    assert_eq!(server.truth().dropped_events(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_client_asked_before_it_left_is_executed() {
    let server = terminal(&["slow:5"]).await;
    let Some(client) = Client::start("abandon", &server, &["40"]) else { return };
    assert_eq!(client.line(), "ok");
    let truth = server.truth();
    assert!(truth.calls("getTradeDate") < 40, "the client left too late");
    until("all are executed", || truth.calls("getTradeDate") == 40).await;
}

/// A terminal that trades and wants this of its clients.
async fn secured(security: ServerSecurity) -> Running {
    let settings = Settings { rate: 2_000, ..Settings::default() };
    terminal_with(Options { security, settings, ..Options::default() }).await
}

/// Runs one client and returns what it printed before `ok`.
fn meets(server: &Running, args: &[&str]) -> Option<Vec<String>> {
    let client = Client::start("secured", server, args)?;
    let mut lines = Vec::new();
    loop {
        match client.line() {
            line if line == "ok" => return Some(lines),
            line => lines.push(line),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn plain_lets_in_who_knows_the_password() {
    let users = Users::new(BTreeMap::from([("trader".to_owned(), Secret::new("swordfish".to_owned()))]));
    let server = secured(ServerSecurity::Plain(users)).await;
    let Some(lines) = meets(&server, &["welcome", "plain", "trader", "swordfish"]) else { return };
    assert!(lines.is_empty());
    for wrong in [["trader", "haddock"], ["nobody", "swordfish"]] {
        let lines = meets(&server, &["refused", "plain", wrong[0], wrong[1]]).unwrap();
        assert_eq!(lines, ["HANDSHAKE_FAILED_AUTH 400"]);
    }
    let lines = meets(&server, &["refused", "null"]).unwrap();
    assert!(lines[0].starts_with("HANDSHAKE_FAILED"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curve_lets_in_the_keys_on_the_list() {
    let [own, client, stranger] = [(); 3].map(|()| KeyPair::generate().unwrap());
    let allowed = AllowList::new(Clients::Listed([client.public()].into()));
    let server = secured(ServerSecurity::Curve { own: own.clone(), allowed }).await;
    let run = |expected: &str, server_key: &KeyPair, keys: &KeyPair| {
        let (theirs, public, secret) = (server_key.public(), keys.public(), keys.secret().to_z85());
        meets(&server, &[expected, "curve", &theirs.to_string(), &public.to_string(), &secret])
    };
    let Some(lines) = run("welcome", &own, &client) else { return };
    assert!(lines.is_empty());
    assert_eq!(run("refused", &own, &stranger).unwrap(), ["HANDSHAKE_FAILED_AUTH 400"]);
    let lines = run("refused", &stranger, &client).unwrap();
    assert!(lines[0].starts_with("HANDSHAKE_FAILED_NO_DETAIL"), "{lines:?}");
    let lines = meets(&server, &["refused", "null"]).unwrap();
    assert!(lines[0].starts_with("HANDSHAKE_FAILED"), "{lines:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn null_needs_nothing() {
    let server = secured(ServerSecurity::Null).await;
    let Some(lines) = meets(&server, &["welcome", "null"]) else { return };
    assert!(lines.is_empty());
}

/// Figures of this machine, printed. What the adapter is promised must be possible even in a build for debugging, on a
/// machine that does other things as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_fast_enough_to_measure_others() {
    let server = terminal(&[]).await;
    let Some(client) = Client::start("speed", &server, &["3000"]) else { return };
    let figure = |line: &str| line.split(' ').next().unwrap().parse::<u64>().unwrap();
    let (single, five) = (client.line(), client.line());
    println!("{single}; {five}");
    assert_eq!(client.line(), "ok");
    assert!(figure(&five) > 500, "{five}");
}
