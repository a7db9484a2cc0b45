//! `tickbus-sub` and `tickbus ctl` on a real gateway: through a restart, a loss that nothing follows, a stop that fills the
//! queue; and with keys.

use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tickbus::client::request;
use tickbus::zmtp::{KeyPair, PublicKey};
use tokio::sync::mpsc::Receiver;
use tokio::time::timeout;

use crate::gateway::{DEADLINE, Gateway, config, feed, until, venue};
use crate::relay::Relay;
use crate::script::lines_of;

/// A running `tickbus-sub`; killed on drop.
struct Sub {
    child: Child,
    stdout: Receiver<String>,
    stderr: Receiver<String>,
}

impl Sub {
    fn start(endpoint: &str, args: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickbus-sub"));
        command.arg(endpoint).args(args).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdout, stderr) = (lines_of(child.stdout.take().unwrap()), lines_of(child.stderr.take().unwrap()));
        Self { child, stdout, stderr }
    }

    /// The next line on stderr that has these words.
    async fn says(&mut self, words: &str) -> String {
        line_with(&mut self.stderr, words).await
    }

    /// The next line on stdout that has these words.
    async fn prints(&mut self, words: &str) -> String {
        line_with(&mut self.stdout, words).await
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args(["-s", name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Sub {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn line_with(lines: &mut Receiver<String>, words: &str) -> String {
    let mut seen = Vec::new();
    let search = async {
        while let Some(line) = lines.recv().await {
            if line.contains(words) {
                return Some(line);
            }
            seen.push(line);
        }
        None
    };
    let found = timeout(DEADLINE, search).await.ok().flatten();
    found.unwrap_or_else(|| panic!("{words:?} did not come: {seen:#?}"))
}

#[tokio::test]
async fn a_restarted_gateway_is_found_again_and_told() {
    let venue = venue(0, &[]).await;
    let mut config = config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200"])}));
    let gateway = Gateway::start(&config).await;
    let mut sub = Sub::start(&gateway.bus, &["-t", "book.", "--format", "json"]);
    let epoch_of = |line: String| serde_json::from_str::<Value>(&line).unwrap()["epoch"].as_u64().unwrap();
    let before = epoch_of(sub.prints("\"book\"").await);
    config["bus"]["bind"] = json!([gateway.bus]);
    drop(gateway);
    sub.says("not connected").await;
    let _gateway = Gateway::start(&config).await;
    let told = sub.says("gateway restarted").await;
    let after = epoch_of(sub.prints("\"book\"").await);
    assert!(told.ends_with(&format!("epoch {after} after {before}")), "{told}: {before} {after}");
}

#[tokio::test]
async fn the_loss_of_a_topics_last_frames_is_told_while_the_market_stands_still() {
    let venue = venue(0, &[]).await;
    let gateway = Gateway::start(&config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200"])}))).await;
    let relay = Relay::start(&gateway.bus, "delta.").await;
    let mut sub = Sub::start(&relay.endpoint, &["-t", "delta.", "-t", "status.", "--format", "raw", "--stats"]);
    sub.prints("\"live\"").await;
    venue.truth().step(1);
    sub.prints("delta.").await;
    relay.lose(u64::MAX);
    venue.truth().step(3);
    until("deltas are lost", || relay.lost() >= 3).await;
    let told = sub.says("silent gap in \"delta.bybit.linear.BTCUSDT.\"").await;
    assert!(told.contains(" missing after "), "{told}");
    sub.says(" 1 gaps (").await;
}

#[tokio::test]
async fn a_subscriber_that_was_stopped_is_told_what_it_lost() {
    let venue = venue(0, &[]).await;
    let mut config = config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200"])}));
    config["bus"]["queue_frames"] = json!(16);
    let gateway = Gateway::start(&config).await;
    let mut sub = Sub::start(&gateway.bus, &["--no-print", "--stats"]);
    sub.says("connected to").await;
    sub.signal("STOP");
    let start = tokio::time::Instant::now();
    // More than the kernel's buffers between the two hold.
    loop {
        assert!(start.elapsed() < DEADLINE, "nothing is dropped");
        venue.truth().step(200);
        let answer = request(&gateway.snapshot, r#"{"op":"stats"}"#, DEADLINE).await.unwrap();
        let stats: Value = serde_json::from_slice(&answer[0]).unwrap();
        if stats["dropped_frames"].as_u64().unwrap() > 0 {
            break;
        }
    }
    sub.signal("CONT");
    let told = sub.says("too slow: ").await;
    assert!(told.contains("\"delta.bybit.linear.BTCUSDT.\" "), "{told}");
    sub.says(" notices (").await;
}

#[tokio::test]
async fn sub_and_ctl_show_their_keys() {
    let folder = tempfile::tempdir().unwrap();
    let [gateway_key, mine] = ["gateway", "mine"].map(|name| {
        let pair = KeyPair::generate().unwrap();
        let (public, secret) = pair.write(folder.path(), name).unwrap();
        [public, secret].map(|path| path.to_str().unwrap().to_owned())
    });
    let venue = venue(0, &[]).await;
    let mut config = config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200"])}));
    let allowed = PublicKey::read(mine[0].as_ref()).unwrap().to_string();
    let auth = json!({"mechanism": "CURVE", "key": {"file": gateway_key[1]}, "clients": [allowed]});
    config["bus"]["auth"] = auth.clone();
    config["control"]["auth"] = auth;
    let gateway = Gateway::start(&config).await;
    let keys = ["--server-key", &gateway_key[0], "--key", &mine[1]];
    let (code, answer) = gateway.ctl(&[&["feeds"], &keys[..]].concat()).await;
    assert!(code == 0 && answer["ok"] == true, "{code}: {answer}");
    for wrong in [&keys[..2], &[]] {
        assert_eq!(gateway.ctl(&[&["feeds"], wrong].concat()).await, (1, Value::Null), "{wrong:?}");
    }
    let mut sub = Sub::start(&gateway.bus, &[&["-t", "status.", "--format", "raw"], &keys[..]].concat());
    sub.prints("status.bybit.linear.BTCUSDT.").await;
    Sub::start(&gateway.bus, &["-t", "status."]).says("give the server's public key").await;
}
