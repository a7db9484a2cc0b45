//! libzmq joins books, through Python clients: one in `tests/python`, and the example for users. They need a Python that
//! has pyzmq, named by `TICKBUS_TEST_PYTHON`; without it these tests say so and pass.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, TryRecvError, channel};

use serde_json::json;
use tickbus::sim::Depth;

use crate::gateway::{DEADLINE, Gateway, config, feed, venue};
use crate::watcher::Watcher;

/// A running script; killed on drop.
pub(crate) struct Script {
    child: Child,
    lines: Receiver<String>,
}

impl Script {
    /// Starts a script of the project for this gateway, or says why not.
    pub(crate) fn start(path: &str, gateway: &Gateway, arguments: &[&str]) -> Option<Self> {
        let Some(python) = std::env::var_os("TICKBUS_TEST_PYTHON") else {
            println!("skipped: no python with pyzmq (set TICKBUS_TEST_PYTHON)");
            return None;
        };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let mut command = Command::new(python);
        command.env("TICKBUS_BUS", &gateway.bus).env("TICKBUS_SNAPSHOT", &gateway.snapshot);
        command.env("PYTHONUNBUFFERED", "1");
        command.arg(path).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("TICKBUS_TEST_PYTHON names a python");
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Some(Self { child, lines })
    }

    /// The next line it prints. Blocks the thread: tests here run with more than one.
    pub(crate) fn line(&self) -> String {
        tokio::task::block_in_place(|| self.lines.recv_timeout(DEADLINE)).expect("a line of the Python script")
    }

    /// The next line, if there is one by now.
    pub(crate) fn try_line(&self) -> Option<String> {
        self.lines.try_recv().ok()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libzmq_joins_the_deltas_of_a_book_exactly() {
    let venue = venue(500, &[]).await;
    for encoding in ["json", "msgpack"] {
        let mut config = config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200"])}));
        config["bus"]["encoding"] = json!(encoding);
        let gateway = Gateway::start(&config).await;
        let arguments = ["book.bybit.linear.BTCUSDT.", "20"];
        let Some(script) = Script::start("tests/python/join.py", &gateway, &arguments) else { return };
        assert_eq!(script.line(), "joined 20", "{encoding}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_python_example_keeps_the_book_through_gaps() {
    const CHANGES: usize = 300;
    let venue = venue(0, &["drop@100", "drop@250"]).await;
    let gateway = Gateway::start(&config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200"])}))).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", Depth::Levels(200), &["book.", "status."]);
    watcher.until_true(&["BTCUSDT"], 1).await;
    let arguments = ["book.bybit.linear.BTCUSDT.", &CHANGES.to_string()];
    let Some(script) = Script::start("examples/python/book.py", &gateway, &arguments) else { return };
    watcher.walk(1);
    let mut bests = BTreeMap::new();
    let mut compared = 0;
    for _ in 0..CHANGES {
        // `seq  bid x size  |  ask x size`
        let line = loop {
            match script.lines.try_recv() {
                Ok(line) => break line,
                Err(TryRecvError::Empty) => remember(&mut bests, &mut watcher).await,
                Err(TryRecvError::Disconnected) => panic!("the example ended after {compared} changes"),
            }
        };
        let (seq, best) = line.trim().split_once("  ").unwrap();
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
