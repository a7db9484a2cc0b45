//! libzmq joins books, through a Python client in `tests/python`. It needs a Python that has pyzmq, named by
//! `TICKBUS_TEST_PYTHON`; without it this test says so and passes.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};

use serde_json::json;

use crate::gateway::{DEADLINE, Gateway, config, feed, venue};

/// A running script; killed on drop.
struct Script {
    child: Child,
    lines: Receiver<String>,
}

impl Script {
    /// Starts a script of the project for this gateway, or says why not.
    fn start(path: &str, gateway: &Gateway, arguments: &[&str]) -> Option<Self> {
        let Some(python) = std::env::var_os("TICKBUS_TEST_PYTHON") else {
            println!("skipped: no python with pyzmq (set TICKBUS_TEST_PYTHON)");
            return None;
        };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let mut command = Command::new(python);
        command.env("TICKBUS_BUS", &gateway.bus).env("TICKBUS_SNAPSHOT", &gateway.snapshot);
        command.arg(path).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("TICKBUS_TEST_PYTHON names a python");
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        Some(Self { child, lines })
    }

    /// The next line it prints. Blocks the thread: tests here run with more than one.
    fn line(&self) -> String {
        tokio::task::block_in_place(|| self.lines.recv_timeout(DEADLINE)).expect("a line of the Python script")
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
