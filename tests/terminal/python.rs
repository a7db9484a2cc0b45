//! A terminal made of libzmq, `tests/python/terminal.py`. It needs a Python that has pyzmq, named by
//! `TICKBUS_TEST_PYTHON`; without it these tests say so and pass.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use bytes::Bytes;
use tickbus::io::terminal::{Caller, Pool, PoolLimits};
use tickbus::venue::{Host, RpcRequest, Urgency};
use tickbus::zmtp::ClientSecurity;
use tokio::time::timeout;

/// No test waits longer for anything that should happen.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
/// A budget that no test notices.
pub(crate) const WIDE: PoolLimits = PoolLimits { connections: 5, calls_per_second: 100_000, burst: 100_000 };

/// A Python terminal; killed on drop.
pub(crate) struct Terminal {
    child: Child,
    stdin: ChildStdin,
    lines: Receiver<String>,
    pub(crate) rpc: String,
    pub(crate) events: String,
}

impl Terminal {
    /// Starts one on ports of its own, or says why not.
    pub(crate) fn start(security: &[&str]) -> Option<Self> {
        Self::start_at("tcp://127.0.0.1:*", "tcp://127.0.0.1:*", security)
    }

    pub(crate) fn start_at(rpc: &str, events: &str, security: &[&str]) -> Option<Self> {
        let Some(python) = std::env::var_os("TICKBUS_TEST_PYTHON") else {
            println!("skipped: no python with pyzmq (set TICKBUS_TEST_PYTHON)");
            return None;
        };
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/terminal.py");
        let mut command = Command::new(python);
        command.arg(script).args([rpc, events]).args(security);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("a python");
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let stdin = child.stdin.take().unwrap();
        let mut terminal = Self { child, stdin, lines, rpc: String::new(), events: String::new() };
        let endpoints = terminal.line();
        let (rpc, events) = endpoints.split_once(' ').unwrap();
        (terminal.rpc, terminal.events) = (rpc.to_owned(), events.to_owned());
        Some(terminal)
    }

    /// Ends it and starts another one in its place.
    pub(crate) fn restart(self, security: &[&str]) -> Self {
        let (rpc, events) = (self.rpc.clone(), self.events.clone());
        drop(self);
        Self::start_at(&rpc, &events, security).unwrap()
    }

    /// Orders are carried out in turn, between calls.
    pub(crate) fn order(&mut self, line: &str) {
        writeln!(self.stdin, "{line}").unwrap();
    }

    /// The next line it prints. Blocks the thread: tests here run with more than one.
    pub(crate) fn line(&self) -> String {
        tokio::task::block_in_place(|| self.lines.recv_timeout(PATIENCE)).expect("a line of the terminal")
    }

    /// How many requests it got; every order before this one is carried out then.
    pub(crate) fn asked(&mut self) -> u64 {
        self.order("asked");
        self.line().parse().unwrap()
    }

    pub(crate) fn pool(&self, security: &ClientSecurity, limits: PoolLimits) -> Arc<Pool> {
        Pool::connect("quik", &self.rpc, None, security, limits)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

pub(crate) fn request(id: u64) -> RpcRequest {
    RpcRequest {
        id,
        host: Host::Data,
        urgency: Urgency::Data,
        body: format!("{{\"method\":\"m\",\"args\":{{\"n\":{id}}}}}"),
        timeout: Duration::from_secs(1),
        idempotent: true,
    }
}

/// Makes a call and gives what became of it.
pub(crate) async fn ask(caller: &mut Caller, request: RpcRequest) -> Result<Bytes, String> {
    caller.call(request).unwrap();
    timeout(PATIENCE, caller.answer()).await.expect("no answer").result
}

/// Calls until one is answered: the terminal comes back.
pub(crate) async fn ask_until_answered(caller: &mut Caller) {
    let again = async {
        while ask(caller, request(0)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    timeout(PATIENCE, again).await.expect("the terminal did not come back");
}
