//! The connecting side against our own publisher and request server, with every mechanism; and against what is neither.

use std::collections::BTreeMap;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::*;
use crate::bus::{
    Asker, Frame, Outgoing, Publisher, PublisherOptions, Reply, RequestHandler, RequestOptions, RequestServer, Retain,
};
use crate::secret::Secret;
use crate::zmtp::{AllowList, Clients, KeyPair, ServerSecurity, Users};

const SOON: Duration = Duration::from_secs(10);

struct Echo;

impl RequestHandler for Echo {
    fn handle<'a>(&'a self, request: Bytes, _asker: &'a Asker) -> Reply<'a> {
        Box::pin(async move { vec![request] })
    }
}

/// Both sides of each mechanism, fitting each other.
fn pairs() -> Vec<(ServerSecurity, ClientSecurity)> {
    let (server, client) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let allowed = AllowList::new(Clients::Listed([client.public()].into()));
    let curve = ClientSecurity::Curve { server: server.public(), own: client };
    vec![
        (ServerSecurity::Null, ClientSecurity::Null),
        (ServerSecurity::Plain(users()), plain("right")),
        (ServerSecurity::Curve { own: server, allowed }, curve),
    ]
}

fn users() -> Users {
    Users::new(BTreeMap::from([("alice".to_owned(), Secret::new("right".to_owned()))]))
}

fn plain(password: &str) -> ClientSecurity {
    ClientSecurity::Plain { username: "alice".to_owned(), password: Secret::new(password.to_owned()) }
}

async fn publisher(security: ServerSecurity, endpoint: &str) -> Publisher {
    let endpoints = vec![endpoint.to_owned()];
    Publisher::bind(PublisherOptions { endpoints, security, ..PublisherOptions::default() }).await.unwrap()
}

async fn server(security: ServerSecurity) -> RequestServer {
    let options = RequestOptions { security, ..RequestOptions::default() };
    RequestServer::bind("tcp://127.0.0.1:0", options, Arc::new(Echo)).await.unwrap()
}

fn frame(topic: &'static str, payload: Vec<u8>) -> Outgoing {
    Outgoing::Frame(Frame {
        seq: 0,
        topic: Bytes::from_static(topic.as_bytes()),
        payload: payload.into(),
        retain: Retain::Stream,
    })
}

async fn within<T>(future: impl Future<Output = T>) -> T {
    timeout(SOON, future).await.expect("in time")
}

async fn dial(endpoint: &str, kind: Kind, security: &ClientSecurity) -> Result<ZmqConnection, ZmqError> {
    within(connect(endpoint, kind, security, ZmqLimits::default())).await
}

async fn refusal(endpoint: &str, security: &ClientSecurity) -> ZmqError {
    dial(endpoint, Kind::Dealer, security).await.expect_err("refused")
}

#[tokio::test]
async fn subscribers_get_what_they_subscribed_to() {
    let dir = tempfile::tempdir().unwrap();
    for endpoint in
        ["tcp://127.0.0.1:0".to_owned(), "tcp://[::1]:0".to_owned(), format!("ipc://{}/s", dir.path().display())]
    {
        for (serving, asking) in pairs() {
            let publisher = publisher(serving, &endpoint).await;
            let at = publisher.endpoints()[0].replace("127.0.0.1", "localhost");
            let mut connection = dial(&at, Kind::Sub, &asking).await.unwrap();
            connection.subscribe(b"trade.").await.unwrap();
            within(async {
                while !publisher.stats().anyone_subscribed {
                    tokio::task::yield_now().await;
                }
            })
            .await;
            let large = vec![b'x'; 200_000];
            publisher.publish(&mut vec![
                frame("book.", vec![1]),
                frame("trade.a.", vec![2]),
                frame("trade.b.", large.clone()),
            ]);
            assert_eq!(within(connection.receive()).await.unwrap(), [&b"trade.a."[..], &[2]]);
            assert_eq!(within(connection.receive()).await.unwrap(), [&b"trade.b."[..], &large]);
            publisher.close(Duration::ZERO).await;
        }
    }
}

#[tokio::test]
async fn questions_are_answered() {
    for (serving, asking) in pairs() {
        let server = server(serving).await;
        let at = &server.endpoints()[0];
        let mut req = dial(at, Kind::Req, &asking).await.unwrap();
        let mut dealer = dial(at, Kind::Dealer, &asking).await.unwrap();
        for question in [&b"one"[..], &[b'x'; 60_000]] {
            req.send(&[question]).await.unwrap();
            assert_eq!(within(req.receive()).await.unwrap(), [question]);
            dealer.send(&[b"id", b"", question]).await.unwrap();
            assert_eq!(within(dealer.receive()).await.unwrap(), [&b"id"[..], b"", question]);
        }
    }
}

#[tokio::test]
async fn wrong_credentials_are_told_from_wrong_mechanisms_and_keys() {
    let own = KeyPair::generate().unwrap();
    let allowed = AllowList::new(Clients::Listed([own.public()].into()));
    let keys = KeyPair::generate().unwrap();
    let (right, stranger) = (keys.public(), KeyPair::generate().unwrap());
    let curve = server(ServerSecurity::Curve { own: keys, allowed }).await;
    let plain_server = server(ServerSecurity::Plain(users())).await;
    let null = server(ServerSecurity::Null).await;
    let [curve_at, plain_at, null_at] = [&curve, &plain_server, &null].map(|server| server.endpoints()[0].clone());

    let wrong_client = ClientSecurity::Curve { server: right, own: stranger.clone() };
    let text = refusal(&curve_at, &wrong_client).await.to_string();
    assert_eq!(text, "the server does not accept this client key (400)");
    let wrong_server = ClientSecurity::Curve { server: stranger.public(), own };
    assert!(matches!(refusal(&curve_at, &wrong_server).await, ZmqError::ServerKey));
    let text = refusal(&plain_at, &plain("wrong")).await.to_string();
    assert_eq!(text, "the server does not accept this user name and password (400)");
    for (at, security, ours, named) in [
        (&curve_at, &ClientSecurity::Null, "NULL", "CURVE"),
        (&curve_at, &plain("right"), "PLAIN", "CURVE"),
        (&plain_at, &wrong_client, "CURVE", "PLAIN"),
        (&null_at, &wrong_client, "CURVE", "NULL"),
    ] {
        let error = refusal(at, security).await;
        assert!(error.is_final());
        let ZmqError::Mechanism { ours: is, theirs } = error else { panic!("{error}") };
        assert_eq!((is, theirs.as_str()), (ours, named));
    }
    within(async {
        while (curve.stats().refused.denied, plain_server.stats().refused.denied) != (1, 1) {
            tokio::task::yield_now().await;
        }
    })
    .await;
}

#[tokio::test]
async fn a_key_taken_off_the_list_ends_its_connections() {
    let (keys, own) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let allowed = AllowList::new(Clients::Listed([own.public()].into()));
    let asking = ClientSecurity::Curve { server: keys.public(), own };
    let server = server(ServerSecurity::Curve { own: keys.clone(), allowed: allowed.clone() }).await;
    let publisher = publisher(ServerSecurity::Curve { own: keys, allowed: allowed.clone() }, "tcp://127.0.0.1:0").await;
    let mut asking_now = dial(&server.endpoints()[0], Kind::Req, &asking).await.unwrap();
    let mut quiet = dial(&server.endpoints()[0], Kind::Req, &asking).await.unwrap();
    let mut subscriber = dial(&publisher.endpoints()[0], Kind::Sub, &asking).await.unwrap();
    asking_now.send(&[b"one"]).await.unwrap();
    within(asking_now.receive()).await.unwrap();
    allowed.replace(Clients::Listed([].into()));
    asking_now.send(&[b"two"]).await.unwrap();
    for connection in [&mut asking_now, &mut quiet, &mut subscriber] {
        assert!(matches!(within(connection.receive()).await, Err(ZmqError::Closed)));
    }
    assert_eq!((server.stats().refused.denied, publisher.stats().refused.denied), (2, 1));
}

/// Serves one connection with these bytes, and then waits for its end, or closes at once.
async fn stub(bytes: Vec<u8>, wait: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("tcp://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&bytes).await.unwrap();
        let mut read = Vec::new();
        if wait {
            stream.read_to_end(&mut read).await.ok();
        }
    });
    at
}

fn hello(kind: &str) -> Vec<u8> {
    let publisher = Handshake::server(Role::PUBLISHER, 1, &ServerSecurity::Null, Entropy::from_system().unwrap());
    let mut bytes = publisher.greeting().to_vec();
    let length = u8::try_from(kind.len()).unwrap();
    bytes.extend_from_slice(&[4, 22 + length, 5]);
    bytes.extend_from_slice(b"READY\x0bSocket-Type\x00\x00\x00");
    bytes.push(length);
    bytes.extend_from_slice(kind.as_bytes());
    bytes
}

#[tokio::test]
async fn what_is_no_server_of_ours_is_told_in_words() {
    let null = ClientSecurity::Null;
    for endpoint in ["nowhere", "tcp://*:5555", "tcp://127.0.0.1:0", "udp://127.0.0.1:1"] {
        let error = refusal(endpoint, &null).await;
        assert!(matches!(&error, ZmqError::Endpoint(text) if text.contains(endpoint)), "{error}");
    }
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    for endpoint in [format!("tcp://{free}"), "ipc:///nowhere/at/all".to_owned()] {
        let error = refusal(&endpoint, &null).await;
        assert!(matches!(error, ZmqError::Unreachable { .. }) && error.to_string().contains(&endpoint), "{error}");
    }
    let http = stub(b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec(), true).await;
    assert!(matches!(refusal(&http, &null).await, ZmqError::NotZmtp(WireError::NotZmtp)));
    let closing = stub(Vec::new(), false).await;
    assert!(matches!(refusal(&closing, &null).await, ZmqError::Left));
    let puller = stub(hello("PULL"), true).await;
    assert!(refusal(&puller, &null).await.to_string().contains("PULL"));
    let mute = stub(Vec::new(), true).await;
    let limits = ZmqLimits { handshake: Duration::from_millis(50), ..ZmqLimits::default() };
    let error = within(connect(&mute, Kind::Dealer, &null, limits)).await.expect_err("mute");
    assert!(matches!(error, ZmqError::HandshakeTimeout(_)));
}

#[tokio::test]
async fn limits_hold_and_pings_are_answered() {
    let limits = ZmqLimits { max_frame: 100, max_frames: 2, ..ZmqLimits::default() };
    for (sent, wanted) in [
        (b"\x00\x65".to_vec(), "101 bytes"),
        (b"\x02\x00\x00\x01\x00\x00\x00\x00\x00".to_vec(), "1099511627776 bytes"),
        (b"\x01\x00\x01\x00\x00\x00".to_vec(), "more than 2 frames"),
        (b"\x80\x00".to_vec(), "flags"),
    ] {
        let at = stub([hello("ROUTER"), sent].concat(), true).await;
        let mut connection = within(connect(&at, Kind::Dealer, &ClientSecurity::Null, limits)).await.unwrap();
        let text = within(connection.receive()).await.unwrap_err().to_string();
        assert!(text.contains(wanted), "{text}");
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = format!("tcp://{}", listener.local_addr().unwrap());
    let peer = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(&hello("PUB")).await.unwrap();
        stream.write_all(b"\x04\x09\x04PING\x00\x01ab").await.unwrap();
        let mut bytes = Vec::new();
        let mut buffer = [0; 256];
        while !bytes.ends_with(b"\x04\x07\x04PONGab") {
            let count = stream.read(&mut buffer).await.unwrap();
            assert!(count > 0, "closed before the PONG: {bytes:?}");
            bytes.extend_from_slice(&buffer[..count]);
        }
        stream
    });
    let mut connection = dial(&at, Kind::Sub, &ClientSecurity::Null).await.unwrap();
    // The peer's own time to live is a tenth of a second, and it is silent after its PING.
    let error = within(connection.receive()).await.unwrap_err();
    assert!(matches!(error, ZmqError::Silent(_)), "{error}");
    within(peer).await.unwrap();
}

#[tokio::test]
async fn receiving_may_be_cancelled_at_any_time() {
    for (serving, asking) in pairs() {
        let server = server(serving).await;
        let mut dealer = dial(&server.endpoints()[0], Kind::Dealer, &asking).await.unwrap();
        for number in 0..200_u32 {
            dealer.send(&[&number.to_be_bytes()]).await.unwrap();
        }
        let mut seen = Vec::new();
        within(async {
            while seen.len() < 200 {
                // Polled a few times, then dropped.
                tokio::select! {
                    biased;
                    message = dealer.receive() => seen.push(message.unwrap()[0].to_vec()),
                    () = tokio::task::yield_now() => {}
                }
            }
        })
        .await;
        assert!(seen.iter().enumerate().all(|(at, body)| body[..] == (at as u32).to_be_bytes()));
    }
}
