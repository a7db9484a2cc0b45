//! A `redis-server` of a test's own: no persistence, loopback only, killed on drop.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, FromRedisValue, Pipeline};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Long enough for a loaded machine; nothing that works takes nearly as long.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

pub(crate) struct Server {
    child: Option<Child>,
    port: u16,
    arguments: Vec<String>,
    folder: TempDir,
}

impl Server {
    /// Starts a server and waits until it answers; `None`, and a word about it, where the program is missing.
    pub(crate) async fn start(arguments: &[&str]) -> Option<Self> {
        if Command::new("redis-server").arg("--version").stdout(Stdio::null()).status().is_err() {
            println!("skipped: no redis-server (apt-get install redis-server)");
            return None;
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let mut server = Self { child: None, port, arguments, folder: TempDir::new().unwrap() };
        server.run().await;
        Some(server)
    }

    /// Starts the program, again if it was ended; nothing of before is left in it.
    pub(crate) async fn run(&mut self) {
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &self.port.to_string(), "--save", "", "--appendonly", "no"]);
        command.arg("--dir").arg(self.folder.path()).args(["--unixsocket", &self.socket()]).args(&self.arguments);
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap());
        let start = Instant::now();
        while std::os::unix::net::UnixStream::connect(self.socket()).is_err() {
            assert!(start.elapsed() < DEADLINE, "redis-server does not answer");
            sleep(Duration::from_millis(5)).await;
        }
    }

    /// The path of its Unix socket.
    pub(crate) fn socket(&self) -> String {
        self.folder.path().join("redis.sock").display().to_string()
    }

    pub(crate) fn url(&self) -> String {
        format!("redis://127.0.0.1:{}/0", self.port)
    }

    /// Sends it a signal: `STOP` and `CONT` make it hang and go on.
    pub(crate) fn signal(&self, name: &str) {
        let id = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args(["-s", name, &id]).status().unwrap().success());
    }

    /// Kills it, with everything it knows.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// A connection for the test itself.
    pub(crate) async fn connect(&self) -> Redis {
        self.connect_to(&self.url()).await
    }

    /// The same with a user and a password.
    pub(crate) async fn connect_to(&self, url: &str) -> Redis {
        let client = redis::Client::open(url).unwrap();
        let config = AsyncConnectionConfig::new().set_response_timeout(Some(DEADLINE));
        Redis(client.get_multiplexed_async_connection_with_config(&config).await.unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

/// What a test asks Redis with.
#[derive(Clone)]
pub(crate) struct Redis(pub(crate) MultiplexedConnection);

impl Redis {
    pub(crate) async fn ask<T: FromRedisValue>(&mut self, words: &[&str]) -> T {
        let mut command = redis::cmd(words[0]);
        command.arg(&words[1..]);
        command.query_async(&mut self.0).await.unwrap_or_else(|error| panic!("{words:?}: {error}"))
    }

    /// All hashes of these keys, in one go.
    pub(crate) async fn hashes(&mut self, keys: &[String]) -> Vec<std::collections::BTreeMap<String, String>> {
        let mut pipeline = Pipeline::new();
        for key in keys {
            pipeline.cmd("HGETALL").arg(key);
        }
        pipeline.query_async(&mut self.0).await.unwrap()
    }

    /// Waits until the answer to this is such.
    pub(crate) async fn until<T: FromRedisValue + std::fmt::Debug>(
        &mut self,
        words: &[&str],
        mut holds: impl FnMut(&T) -> bool,
    ) -> T {
        let start = Instant::now();
        loop {
            let answer = self.ask(words).await;
            if holds(&answer) {
                return answer;
            }
            assert!(start.elapsed() < DEADLINE, "{words:?} is still {answer:?} after {DEADLINE:?}");
            sleep(Duration::from_millis(10)).await;
        }
    }
}

/// Waits until something observable holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < DEADLINE, "{what}: not within {DEADLINE:?}");
        sleep(Duration::from_millis(5)).await;
    }
}
