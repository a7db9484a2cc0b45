//! The connecting side of ZeroMQ against libzmq and its authenticator, through a Python server in `tests/python`. It
//! needs a Python that has pyzmq, named by `TICKBUS_TEST_PYTHON`; without it these tests say so and pass.

// Clippy allows it in test functions only, and not in what they call.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::future::Future;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tickbus::io::zmq::{Kind, ZmqConnection, ZmqError, ZmqLimits, connect};
use tickbus::secret::Secret;
use tickbus::zmtp::{ClientSecurity, KeyPair};
use tokio::time::timeout;

const DEADLINE: Duration = Duration::from_secs(30);
/// A refusal is to be known long before anyone loses patience.
const REFUSED_WITHIN: Duration = Duration::from_secs(5);

/// A server in Python; killed on drop.
struct Server {
    child: Child,
    router: String,
    publisher: String,
}

impl Server {
    fn start(arguments: &[&str]) -> Option<Self> {
        let Some(python) = std::env::var_os("TICKBUS_TEST_PYTHON") else {
            println!("skipped: no python with pyzmq (set TICKBUS_TEST_PYTHON)");
            return None;
        };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/zap.py");
        let mut command = Command::new(python);
        command.arg(path).args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("TICKBUS_TEST_PYTHON names a python");
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let (router, publisher) = line.trim().split_once(' ').expect("two endpoints");
        Some(Self { child, router: router.to_owned(), publisher: publisher.to_owned() })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

async fn soon<T>(future: impl Future<Output = T>) -> T {
    timeout(DEADLINE, future).await.expect("in time")
}

async fn dial(endpoint: &str, kind: Kind, security: &ClientSecurity) -> ZmqConnection {
    soon(connect(endpoint, kind, security, ZmqLimits::default())).await.expect("connected")
}

async fn refusal(endpoint: &str, kind: Kind, security: &ClientSecurity) -> ZmqError {
    let refused = timeout(REFUSED_WITHIN, connect(endpoint, kind, security, ZmqLimits::default()));
    refused.await.expect("known in time").expect_err("refused")
}

/// Questions, answers and a subscription; the server asks every 100 ms whether we are still there.
async fn talk(server: &Server, security: &ClientSecurity) {
    let mut dealer = dial(&server.router, Kind::Dealer, security).await;
    let mut req = dial(&server.router, Kind::Req, security).await;
    for size in [0, 1, 300, 1_000_000] {
        let body = vec![b'x'; size];
        dealer.send(&[b"", &body]).await.unwrap();
        assert_eq!(soon(dealer.receive()).await.unwrap(), [&b""[..], &body]);
        req.send(&[&body]).await.unwrap();
        assert_eq!(soon(req.receive()).await.unwrap(), [&body[..]]);
    }
    // Longer than its time to live: unanswered PINGs would end the connection.
    let quiet = timeout(Duration::from_millis(500), req.receive()).await;
    assert!(quiet.is_err(), "{quiet:?}");
    req.send(&[b"still there"]).await.unwrap();
    assert_eq!(soon(req.receive()).await.unwrap(), [&b"still there"[..]]);

    let mut subscriber = dial(&server.publisher, Kind::Sub, security).await;
    subscriber.subscribe(b"trade.").await.unwrap();
    let message = soon(subscriber.receive()).await.unwrap();
    assert_eq!((&message[0][..], message[1].len()), (&b"trade."[..], 100_000));
}

#[tokio::test]
async fn keys_that_libzmq_accepts_and_refuses() {
    let dir = tempfile::tempdir().unwrap();
    let (server_keys, alice) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    alice.write(dir.path(), "alice").unwrap();
    let (public, secret) = (server_keys.public().to_string(), server_keys.secret().to_z85());
    let arguments = ["CURVE", &public, &secret, dir.path().to_str().unwrap()];
    let Some(server) = Server::start(&arguments) else { return };
    let curve = |server, own| ClientSecurity::Curve { server, own };
    talk(&server, &curve(server_keys.public(), alice.clone())).await;
    for (endpoint, kind) in [(&server.router, Kind::Dealer), (&server.publisher, Kind::Sub)] {
        let stranger = KeyPair::generate().unwrap();
        let error = refusal(endpoint, kind, &curve(server_keys.public(), stranger.clone())).await;
        assert_eq!(error.to_string(), "the server does not accept this client key (400)");
        let error = refusal(endpoint, kind, &curve(stranger.public(), alice.clone())).await;
        assert!(matches!(error, ZmqError::ServerKey), "{error}");
        let error = refusal(endpoint, kind, &ClientSecurity::Null).await;
        assert!(matches!(&error, ZmqError::Mechanism { ours: "NULL", theirs } if theirs == "CURVE"), "{error}");
    }
}

#[tokio::test]
async fn passwords_that_libzmq_accepts_and_refuses() {
    let Some(server) = Server::start(&["PLAIN", "alice", "right"]) else { return };
    let plain = |password: &str| ClientSecurity::Plain {
        username: "alice".to_owned(),
        password: Secret::new(password.to_owned()),
    };
    talk(&server, &plain("right")).await;
    for (endpoint, kind) in [(&server.router, Kind::Dealer), (&server.publisher, Kind::Sub)] {
        let error = refusal(endpoint, kind, &plain("wrong")).await;
        assert_eq!(error.to_string(), "the server does not accept this user name and password (400)");
    }
}
