//! A gateway process and the venue it is connected to.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::NamedTempFile;
use tickbus::client::request;
use tickbus::sim::server::{Options, Running, Server};
use tokio::time::{Instant, sleep};

/// Long enough for a loaded machine; nothing that works takes nearly as long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A simulated Bybit. With rate 0 its markets move only when a test steps them.
pub(crate) async fn venue(rate: u32, faults: &[&str]) -> Running {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    Server::bind(Options { rate, faults, seed: 7, ..Options::default() }).await.unwrap().start()
}

/// A config with every port chosen by the system.
pub(crate) fn config(feeds: &Value) -> Value {
    json!({
        "bus": {"bind": ["tcp://127.0.0.1:0"], "snapshot_bind": "tcp://127.0.0.1:0"},
        "control": {"bind": "tcp://127.0.0.1:0"},
        "admin": {"listen": null},
        "feeds": feeds,
    })
}

/// One feed of the simulated venue. Its books never fall silent, unless a test changes `silence_ms`.
pub(crate) fn feed(venue: &Running, market: &str, symbols: &[&str], channels: &[&str]) -> Value {
    json!({
        "venue": "bybit", "market": market, "symbols": symbols, "channels": channels,
        "url": venue.url(market), "silence_ms": 600_000,
    })
}

/// Waits until something observable holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// `tickbus` with nothing of the caller's settings.
pub(crate) fn tickbus() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickbus"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TICKBUS") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// The config as a file, gone when this is dropped.
pub(crate) fn file_of(config: &Value) -> NamedTempFile {
    let mut file = NamedTempFile::with_suffix(".json").unwrap();
    file.write_all(config.to_string().as_bytes()).unwrap();
    file
}

/// Runs `tickbus run` to its end: for configs with which it cannot start.
pub(crate) async fn refused(config: &Value) -> Output {
    let file = file_of(config);
    let mut child = tickbus().arg("run").arg("--config").arg(file.path()).spawn().unwrap();
    wait(&mut child).await;
    child.wait_with_output().unwrap()
}

/// Waits for the process to end by itself.
async fn wait(child: &mut Child) -> ExitStatus {
    let mut status = None;
    until("the process ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    })
    .await;
    status.unwrap()
}

/// A running gateway; killed on drop.
pub(crate) struct Gateway {
    child: Child,
    log: Arc<Mutex<Vec<Value>>>,
    /// Where subscribers connect.
    pub(crate) bus: String,
    /// Where joiners ask.
    pub(crate) snapshot: String,
    /// Where operators ask.
    pub(crate) control: String,
}

impl Gateway {
    /// Starts `tickbus run` and waits until its sockets are bound.
    pub(crate) async fn start(config: &Value) -> Self {
        let file = file_of(config);
        Self::launch(&["run", "--config", file.path().to_str().unwrap()], "Gateway started").await
    }

    /// The same, with these variables and further arguments.
    #[allow(dead_code, reason = "for tests of calls")]
    pub(crate) async fn start_with(config: &Value, env: &[(&str, &str)], arguments: &[&str]) -> Self {
        let file = file_of(config);
        let run = [&["run", "--config", file.path().to_str().unwrap()], arguments].concat();
        let mut command = tickbus();
        command.args(["--log-format", "json"]).args(run).envs(env.iter().copied());
        Self::spawn(&mut command, "Gateway started").await
    }

    /// Starts a command that opens a bus, and waits for the log line that names its endpoints.
    pub(crate) async fn launch(arguments: &[&str], started: &str) -> Self {
        Self::spawn(tickbus().args(["--log-format", "json"]).args(arguments), started).await
    }

    /// The same with a command that is made up by the caller, which logs JSON.
    pub(crate) async fn spawn(command: &mut Command, started: &str) -> Self {
        let mut child = command.spawn().unwrap();
        let log = Arc::new(Mutex::new(Vec::new()));
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let lines = Arc::clone(&log);
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).unwrap_or(Value::String(line));
                lines.lock().unwrap().push(line);
            }
        });
        let mut gateway = Self { child, log, bus: String::new(), snapshot: String::new(), control: String::new() };
        let started = gateway.logged(started).await;
        let endpoint = |key: &str| started[key].as_str().unwrap_or_default().to_owned();
        (gateway.bus, gateway.snapshot, gateway.control) = (endpoint("bus"), endpoint("snapshot"), endpoint("control"));
        gateway
    }

    /// The log so far; lines that are no JSON are strings.
    pub(crate) fn log(&self) -> Vec<Value> {
        self.log.lock().unwrap().clone()
    }

    /// Waits for a log line with this message.
    pub(crate) async fn logged(&mut self, message: &str) -> Value {
        self.logged_where(|line| line["message"] == message).await
    }

    /// Waits for a log line of which this is true.
    pub(crate) async fn logged_where(&mut self, mut wanted: impl FnMut(&Value) -> bool) -> Value {
        let mut found = None;
        let start = Instant::now();
        while found.is_none() {
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "the gateway ended with {ended:?}: {:#?}", self.log());
            assert!(start.elapsed() < DEADLINE, "no such log line: {:#?}", self.log());
            sleep(Duration::from_millis(5)).await;
            found = self.log().into_iter().find(&mut wanted);
        }
        found.unwrap()
    }

    /// The exit code and answer of `tickbus ctl`.
    pub(crate) async fn ctl(&self, arguments: &[&str]) -> (i32, Value) {
        let mut child = tickbus().args(["ctl", "--endpoint", &self.control]).args(arguments).spawn().unwrap();
        let status = wait(&mut child).await;
        let output = child.wait_with_output().unwrap();
        (status.code().unwrap(), serde_json::from_slice(&output.stdout).unwrap_or_default())
    }

    /// What the control socket answers, over a connection of its own.
    pub(crate) async fn ask(&self, body: Value) -> Value {
        let answer = request(&self.control, &body.to_string(), DEADLINE).await.unwrap();
        serde_json::from_slice(answer.last().unwrap()).unwrap()
    }

    /// What the snapshot socket tells of the bus.
    pub(crate) async fn stats(&self) -> Value {
        let answer = request(&self.snapshot, r#"{"op":"stats"}"#, DEADLINE).await.unwrap();
        serde_json::from_slice(&answer[0]).unwrap()
    }

    /// Sends it a signal, such as `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// Waits for its end and gives its exit code; `None` when a signal ended it.
    pub(crate) async fn ended(&mut self) -> Option<i32> {
        wait(&mut self.child).await.code()
    }

    /// What it has printed on stdout, after its end.
    pub(crate) fn printed(&mut self) -> String {
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        text
    }

    /// Bytes of memory it has in use.
    pub(crate) fn resident_bytes(&self) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{}/statm", self.child.id())).unwrap();
        statm.split(' ').nth(1).unwrap().parse::<u64>().unwrap() * 4096
    }

    /// Descriptors it has open.
    pub(crate) fn descriptors(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }
}

impl Drop for Gateway {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            println!("log of the gateway: {:#?}", self.log());
        }
    }
}
