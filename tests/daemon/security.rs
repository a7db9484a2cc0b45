//! Who may connect to the real program's sockets: keys and passwords, right and wrong, of our own client and of libzmq;
//! lists of keys that change while it runs.

use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Value, json};
use tempfile::TempDir;
use tickbus::io::zmq::{Kind, ZmqConnection, ZmqError, ZmqLimits, connect};
use tickbus::secret::Secret;
use tickbus::zmtp::{ClientSecurity, KeyPair, PublicKey};
use tokio::time::timeout;

use crate::gateway::{DEADLINE, Gateway, config, feed, tickbus, until, venue};

/// The keys of a gateway and of a client in a folder, and the list of those who may connect.
struct Keys {
    dir: TempDir,
    gateway: PublicKey,
    alice: KeyPair,
}

impl Keys {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let gateway = keygen(dir.path(), "gateway");
        keygen(dir.path(), "alice");
        let alice = KeyPair::read(&secret_file(dir.path(), "alice")).unwrap();
        let keys = Self { gateway, alice, dir };
        keys.list(&[keys.alice.public()]);
        keys
    }

    fn list_file(&self) -> PathBuf {
        self.dir.path().join("clients")
    }

    fn list(&self, keys: &[PublicKey]) {
        let text: String = keys.iter().map(|key| format!("{key}  # a client\n")).collect();
        std::fs::write(self.list_file(), text).unwrap();
    }

    fn auth(&self) -> Value {
        let key = secret_file(self.dir.path(), "gateway");
        json!({"mechanism": "CURVE", "key": {"file": key}, "clients": {"file": self.list_file()}})
    }

    fn security(&self) -> ClientSecurity {
        ClientSecurity::Curve { server: self.gateway, own: self.alice.clone() }
    }
}

fn secret_file(dir: &Path, name: &str) -> PathBuf {
    dir.join(format!("{name}.key_secret"))
}

/// Makes keys as an operator would.
fn keygen(dir: &Path, name: &str) -> PublicKey {
    let made = tickbus().arg("keygen").arg(dir).args(["--name", name]).output().unwrap();
    let text = String::from_utf8(made.stdout).unwrap();
    assert!(made.status.success(), "{text}");
    let public = PublicKey::read(&dir.join(format!("{name}.key"))).unwrap();
    assert!(text.contains(&public.to_string()), "{text}");
    let secret = KeyPair::read(&secret_file(dir, name)).unwrap().secret().to_z85();
    assert!(!text.contains(&**secret), "the secret is printed");
    let again = tickbus().arg("keygen").arg(dir).args(["--name", name]).output().unwrap();
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("exists already"));
    public
}

fn plain_auth(dir: &Path) -> Value {
    let path = dir.join("password");
    std::fs::write(&path, "right\n").unwrap();
    json!({"mechanism": "PLAIN", "users": {"alice": {"file": path}}})
}

fn plain(password: &str) -> ClientSecurity {
    ClientSecurity::Plain { username: "alice".to_owned(), password: Secret::new(password.to_owned()) }
}

/// A gateway of one feed whose bus and control socket have these `auth`s.
async fn gateway(bus: &Value, control: &Value) -> Gateway {
    let venue = venue(0, &[]).await;
    let mut config = config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["trade"])}));
    config["bus"]["auth"] = bus.clone();
    config["control"]["auth"] = control.clone();
    Gateway::start(&config).await
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("in time")
}

/// The three sockets, and how to connect to each.
fn sockets(gateway: &Gateway) -> [(&str, Kind); 3] {
    [(&gateway.bus, Kind::Sub), (&gateway.snapshot, Kind::Req), (&gateway.control, Kind::Req)]
}

async fn dial(endpoint: &str, kind: Kind, security: &ClientSecurity) -> Result<ZmqConnection, ZmqError> {
    soon(connect(endpoint, kind, security, ZmqLimits::default())).await
}

/// Receives something of what this socket is for.
async fn served(endpoint: &str, kind: Kind, security: &ClientSecurity) -> ZmqConnection {
    let mut connection = dial(endpoint, kind, security).await.unwrap();
    match kind {
        Kind::Sub => connection.subscribe(b"heartbeat.").await.unwrap(),
        _ => connection.send(&[br#"{"op":"stats"}"#]).await.unwrap(),
    }
    let message = soon(connection.receive()).await.unwrap();
    let body: Value = serde_json::from_slice(message.last().unwrap()).unwrap();
    assert!(body["epoch"].is_u64(), "{body}");
    connection
}

#[tokio::test]
async fn every_socket_tells_right_keys_from_wrong_ones() {
    let keys = Keys::new();
    let gateway = gateway(&keys.auth(), &keys.auth()).await;
    let stranger = KeyPair::generate().unwrap();
    for (endpoint, kind) in sockets(&gateway) {
        served(endpoint, kind, &keys.security()).await;
        let wrong_client = ClientSecurity::Curve { server: keys.gateway, own: stranger.clone() };
        let error = dial(endpoint, kind, &wrong_client).await.unwrap_err().to_string();
        assert_eq!(error, "the server does not accept this client key (400)");
        let wrong_server = ClientSecurity::Curve { server: stranger.public(), own: keys.alice.clone() };
        assert!(matches!(dial(endpoint, kind, &wrong_server).await, Err(ZmqError::ServerKey)));
        let error = dial(endpoint, kind, &ClientSecurity::Null).await.unwrap_err();
        assert!(matches!(&error, ZmqError::Mechanism { theirs, .. } if theirs == "CURVE"), "{error}");
    }
    let shown = |line: &Value| {
        let reason = line["reason"].as_str().unwrap_or_default();
        line["message"] == "bus peer refused" && reason.contains(&stranger.public().to_string())
    };
    until("a line that names the key", || gateway.log().iter().any(shown)).await;
}

#[tokio::test]
async fn every_socket_tells_right_passwords_from_wrong_ones() {
    let dir = tempfile::tempdir().unwrap();
    let auth = plain_auth(dir.path());
    let gateway = gateway(&auth, &auth).await;
    for (endpoint, kind) in sockets(&gateway) {
        served(endpoint, kind, &plain("right")).await;
        let error = dial(endpoint, kind, &plain("wrong")).await.unwrap_err().to_string();
        assert_eq!(error, "the server does not accept this user name and password (400)");
    }
    let log = gateway.log();
    assert!(!log.iter().any(|line| line.to_string().contains("wrong")), "{log:#?}");
    // The file was written for everyone to read.
    assert!(log.iter().any(|line| line.to_string().contains("chmod 600")), "{log:#?}");
}

/// What `tests/python/secure.py` makes of these cases; `None` without a Python that has pyzmq.
fn libzmq(cases: &[Value]) -> Option<Vec<String>> {
    let Some(python) = std::env::var_os("TICKBUS_TEST_PYTHON") else {
        println!("skipped: no python with pyzmq (set TICKBUS_TEST_PYTHON)");
        return None;
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/secure.py");
    let output = Command::new(python).arg(script).args(cases.iter().map(Value::to_string)).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect())
}

/// What libzmq's monitor calls a refusal by the authenticator, which ends its attempts.
const REFUSED: &str = "HANDSHAKE_FAILED_AUTH 400";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libzmq_is_served_with_the_right_key_and_told_why_not_otherwise() {
    let keys = Keys::new();
    let gateway = gateway(&keys.auth(), &keys.auth()).await;
    let server = keys.gateway.to_string();
    let alice = json!([keys.alice.public().to_string(), *keys.alice.secret().to_z85()]);
    let other = KeyPair::generate().unwrap().public().to_string();
    let (mut cases, mut wanted) = (Vec::new(), Vec::new());
    for (endpoint, kind) in sockets(&gateway) {
        let kind = if kind == Kind::Sub { "SUB" } else { "REQ" };
        let case = |more: Value| {
            let mut case = json!({"endpoint": endpoint, "kind": kind});
            case.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            case
        };
        for (more, outcome) in [
            (json!({"server": server, "keys": alice}), "served"),
            (json!({"server": server}), REFUSED),
            // EPIPE: the gateway says nothing to one who does not know its key.
            (json!({"server": other, "keys": alice}), "HANDSHAKE_FAILED_NO_DETAIL"),
            (json!({}), "HANDSHAKE_FAILED_PROTOCOL"),
            (json!({"user": "alice", "password": "right"}), "HANDSHAKE_FAILED_PROTOCOL"),
        ] {
            cases.push(case(more));
            wanted.push(outcome);
        }
    }
    let Some(outcomes) = tokio::task::block_in_place(|| libzmq(&cases)) else { return };
    assert_eq!(outcomes.len(), wanted.len());
    for ((case, outcome), wanted) in cases.iter().zip(&outcomes).zip(wanted) {
        assert!(outcome.starts_with(wanted), "{case}: {outcome}, not {wanted}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn libzmq_is_served_with_the_right_password_only() {
    let dir = tempfile::tempdir().unwrap();
    let auth = plain_auth(dir.path());
    let gateway = gateway(&auth, &auth).await;
    let (mut cases, mut wanted) = (Vec::new(), Vec::new());
    for (endpoint, kind) in sockets(&gateway) {
        let kind = if kind == Kind::Sub { "SUB" } else { "REQ" };
        for (user, password, outcome) in
            [("alice", "right", "served"), ("alice", "wrong", REFUSED), ("bob", "right", REFUSED)]
        {
            cases.push(json!({"endpoint": endpoint, "kind": kind, "user": user, "password": password}));
            wanted.push(outcome);
        }
    }
    let Some(outcomes) = tokio::task::block_in_place(|| libzmq(&cases)) else { return };
    assert_eq!(outcomes, wanted);
}

#[tokio::test]
async fn a_list_of_keys_is_read_again_and_a_broken_one_changes_nothing() {
    let keys = Keys::new();
    let mut gateway = gateway(&keys.auth(), &json!({})).await;
    let mut subscriber = served(&gateway.bus, Kind::Sub, &keys.security()).await;
    let (bob, alice) = (KeyPair::generate().unwrap(), keys.alice.public());
    let bobs = ClientSecurity::Curve { server: keys.gateway, own: bob.clone() };

    std::fs::write(keys.list_file(), "oops\n").unwrap();
    let (code, answer) = gateway.ctl(&["reload"]).await;
    let error = answer["error"].as_str().unwrap();
    assert!(code == 1 && error.contains("line 1") && error.ends_with("the old lists stay"), "{answer}");
    assert!(dial(&gateway.bus, Kind::Sub, &keys.security()).await.is_ok());

    keys.list(&[alice, bob.public()]);
    let (code, answer) = gateway.ctl(&["reload"]).await;
    let added = json!({"list": "bus.auth.clients", "clients": 2, "added": [bob.public().to_string()], "removed": []});
    assert_eq!((code, &answer["lists"][0]), (0, &added));
    served(&gateway.snapshot, Kind::Req, &bobs).await;

    keys.list(&[bob.public()]);
    gateway.signal("HUP");
    let line = gateway.logged_where(|line| line["removed"] == alice.to_string()).await;
    assert_eq!((&line["clients"], &line["list"]), (&json!(1), &json!("bus.auth.clients")));
    let left = soon(async {
        loop {
            if let Err(error) = subscriber.receive().await {
                break error;
            }
        }
    });
    assert!(matches!(left.await, ZmqError::Closed));
    assert!(matches!(dial(&gateway.bus, Kind::Sub, &keys.security()).await, Err(ZmqError::Refused { .. })));
    served(&gateway.bus, Kind::Sub, &bobs).await;
    let (_, stats) = gateway.ctl(&["stats"]).await;
    assert_eq!(stats["refused"]["denied"], 2);
}

#[tokio::test]
async fn our_own_programs_show_their_keys_and_say_what_is_wrong() {
    let keys = Keys::new();
    let gateway = gateway(&keys.auth(), &keys.auth()).await;
    let (server, secret) = (keys.dir.path().join("gateway.key"), secret_file(keys.dir.path(), "alice"));
    let shown = ["--server-key", server.to_str().unwrap(), "--key", secret.to_str().unwrap()];
    let (code, answer) = gateway.ctl(&[&shown[..], &["stats"]].concat()).await;
    assert_eq!((code, &answer["ok"]), (0, &json!(true)));
    let strangers = ["--server-key", server.to_str().unwrap(), "stats"];
    let refused = tickbus().args(["ctl", "--endpoint", &gateway.control]).args(strangers).output().unwrap();
    let text = String::from_utf8_lossy(&refused.stderr);
    assert!(refused.status.code() == Some(1) && text.contains("does not accept this client key"), "{text}");

    let subscribe = |more: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickbus-sub"));
        command.args([&gateway.bus, "-t", "heartbeat.", "--count", "1", "--timeout", "20"]).args(more);
        command.output().unwrap()
    };
    let heard = subscribe(&shown);
    assert!(heard.status.success() && !heard.stdout.is_empty(), "{heard:?}");
}

#[tokio::test]
async fn without_a_list_in_a_file_there_is_nothing_to_read_again() {
    let gateway = gateway(&json!({}), &json!({})).await;
    let (code, answer) = gateway.ctl(&["reload"]).await;
    assert!(code == 1 && answer["error"].as_str().unwrap().contains("nothing to read again"), "{answer}");
}
