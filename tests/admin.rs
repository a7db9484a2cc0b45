//! The HTTP door of a real gateway on the simulated venue, over real sockets, with as little of a client as possible.

#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tickbus::app::Gateway;
use tickbus::config::Layers;
use tickbus::sim::{Options, Running, Server};
use tickbus::telemetry::metrics::METRICS;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, sleep, timeout};

const DEADLINE: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);

async fn venue() -> Running {
    Server::bind(Options { rate: 50, seed: 42, ..Options::default() }).await.unwrap().start()
}

async fn gateway(url: &str) -> Gateway {
    let text = json!({
        "bus": {"bind": ["tcp://127.0.0.1:0"], "snapshot_bind": "tcp://127.0.0.1:0"},
        "control": {"bind": "tcp://127.0.0.1:0"},
        "admin": {"listen": "127.0.0.1:0"},
        "feeds": {"main": {
            "venue": "bybit", "market": "linear", "symbols": ["BTCUSDT", "ETHUSDT"],
            "channels": ["book:50", "trade"], "url": url,
        }},
    });
    let layers = Layers { origin: "test".to_owned(), text: text.to_string(), ..Layers::default() };
    Gateway::start(&layers.check().unwrap(), None).await.unwrap()
}

/// A gateway of which no request here needs a venue.
async fn lonely_gateway() -> (Gateway, SocketAddr) {
    let gateway = gateway("ws://127.0.0.1:9/v5/public/linear").await;
    let address = gateway.admin_address().unwrap();
    (gateway, address)
}

/// An answer, taken apart.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
}

impl Answer {
    fn json(&self) -> Value {
        assert_eq!(self.headers["content-type"], "application/json; charset=utf-8");
        serde_json::from_str(&self.body).expect(&self.body)
    }
}

/// Everything that comes back for these bytes, until the door closes the connection.
async fn raw(address: SocketAddr, bytes: &[u8]) -> Vec<u8> {
    let exchange = async {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let mut answer = Vec::new();
        // A door that refuses may close before it has read everything: what it said still counts.
        let _ = stream.write_all(bytes).await;
        let _ = stream.read_to_end(&mut answer).await;
        answer
    };
    timeout(DEADLINE, exchange).await.expect("an answer in time")
}

async fn request(address: SocketAddr, method: &str, path: &str) -> Answer {
    let bytes = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let text = String::from_utf8(raw(address, bytes.as_bytes()).await).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").expect("a head and a body");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("a status").parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": ")).map(|(k, v)| (k.to_lowercase(), v.to_owned()));
    Answer { status, headers: headers.collect(), body: body.to_owned() }
}

async fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path).await
}

/// Asks until the status is this one.
async fn get_until(address: SocketAddr, path: &str, status: u16) -> Answer {
    let end = Instant::now() + DEADLINE;
    loop {
        let answer = get(address, path).await;
        if answer.status == status {
            return answer;
        }
        assert!(Instant::now() < end, "{path} never became {status}: {answer:?}");
        sleep(POLL).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn ready_exactly_while_the_books_are_live() {
    // A listener that never answers holds the first connection, so that not being ready can be seen.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let waiting = gateway(&format!("ws://{}/v5/public/linear", silent.local_addr().unwrap())).await;
    let answer = get(waiting.admin_address().unwrap(), "/readyz").await;
    assert_eq!((answer.status, answer.json()["missing"][0]["feed"].as_str()), (503, Some("main")));
    waiting.stop().await;

    let venue = venue().await;
    let gateway = gateway(&venue.url("linear")).await;
    let address = gateway.admin_address().unwrap();
    assert_eq!(get_until(address, "/readyz", 200).await.json(), json!({"ok": true}));
    assert_eq!(get(address, "/healthz").await.json(), json!({"ok": true}));
    let status = get(address, "/status").await.json();
    let feed = &status["feeds"][0];
    assert_eq!((&feed["name"], &feed["state"], &feed["connected"]), (&json!("main"), &json!("live"), &json!(true)));
    assert_eq!(feed["symbols"]["ETHUSDT"]["state"], "live", "{status}");
    assert_eq!(status["bus"]["refused"]["slow"], 0);

    venue.stop().await;
    let missing = get_until(address, "/readyz", 503).await.json();
    assert_eq!((&missing["ok"], &missing["missing"][0]["feed"]), (&json!(false), &json!("main")));
    assert_eq!(missing["missing"][0]["state"], "down", "{missing}");
    assert!(missing["missing"][0]["detail"].is_string(), "{missing}");
    assert_eq!(get(address, "/healthz").await.status, 200, "a venue's outage does not make the gateway sick");
    gateway.stop().await;
    assert!(TcpStream::connect(address).await.is_err(), "the port is free again");
}

/// One sample of the text format: its name, its labels, its value.
fn sample(line: &str) -> Option<(&str, BTreeMap<String, String>, f64)> {
    let end = line.find(['{', ' '])?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(mut inner) = rest.strip_prefix('{') {
        while !inner.starts_with('}') {
            let (label, value) = inner.split_once("=\"")?;
            let close = value.find('"').filter(|at| !value[..*at].ends_with('\\'))?;
            let fresh = labels.insert(label.to_owned(), value[..close].to_owned()).is_none();
            let good = !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
            inner = value[close + 1..].strip_prefix(',').unwrap_or(&value[close + 1..]);
            if !fresh || !good {
                return None;
            }
        }
        rest = &inner[1..];
    }
    let value = rest.strip_prefix(' ')?.parse().ok()?;
    Some((name, labels, value))
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_are_valid_text_of_the_table_and_nothing_else() {
    let venue = venue().await;
    let gateway = gateway(&venue.url("linear")).await;
    let address = gateway.admin_address().unwrap();
    get_until(address, "/readyz", 200).await;
    let answer = get(address, "/metrics").await;
    assert_eq!(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let (mut helped, mut typed, mut seen) = (BTreeSet::new(), BTreeMap::new(), BTreeMap::new());
    for line in answer.body.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, _) = help.split_once(' ').unwrap();
            assert!(helped.insert(name), "{line} twice");
        } else if let Some(text) = line.strip_prefix("# TYPE ") {
            let (name, kind) = text.split_once(' ').unwrap();
            assert!(typed.insert(name, kind).is_none() && ["counter", "gauge"].contains(&kind), "{line}");
        } else {
            let (name, labels, value) = sample(line).unwrap_or_else(|| panic!("not a sample: {line}"));
            assert!(typed.contains_key(name) && value >= 0.0, "{line}");
            assert!(seen.insert((name, labels), value).is_none(), "{line} twice");
        }
    }
    let table: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
    assert_eq!(helped, table);
    assert_eq!(typed.keys().copied().collect::<BTreeSet<_>>(), table);
    // Without a terminal there is nothing to say of its events and calls; without a sink, of its frames; without jobs and
    // accounts, of theirs; and of no venue's clock while none was asked for.
    let of_absent = |name: &str| {
        let absent = [
            "tickbus_terminal_",
            "tickbus_sink_",
            "tickbus_job_",
            "tickbus_rest_clock_",
            "tickbus_account_",
            "tickbus_feed_login_clock_",
        ];
        name.ends_with("_events_total") || absent.iter().any(|prefix| name.starts_with(prefix))
    };
    let expected: BTreeSet<&str> = table.iter().copied().filter(|name| !of_absent(name)).collect();
    let valued: BTreeSet<&str> = seen.keys().map(|(name, _)| *name).collect();
    assert_eq!(valued, expected, "every other metric has a value");
    let value = |name, labels: &[(&str, &str)]| {
        let labels = labels.iter().map(|(label, value)| ((*label).to_owned(), (*value).to_owned())).collect();
        seen[&(name, labels)]
    };
    let feed = [("feed", "main"), ("venue", "bybit"), ("market", "linear")];
    assert!(value("tickbus_feed_received_messages_total", &feed) > 2.0);
    assert_eq!(value("tickbus_feed_connects_total", &feed), 1.0);
    let book = |state| [&feed[..], &[("symbol", "BTCUSDT"), ("state", state)]].concat();
    assert_eq!(value("tickbus_book_state", &book("live")), 1.0);
    assert_eq!(value("tickbus_book_state", &book("stale")), 0.0);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_offered_is_refused_in_json() {
    let (gateway, address) = lonely_gateway().await;
    for (method, path, status) in [("POST", "/status", 405), ("DELETE", "/", 405), ("GET", "/nope", 404)] {
        let answer = request(address, method, path).await;
        assert_eq!((answer.status, &answer.json()["ok"]), (status, &json!(false)), "{method} {path}");
        assert_eq!(answer.headers.contains_key("allow"), status == 405);
    }
    let head = request(address, "HEAD", "/metrics").await;
    assert_eq!((head.status, head.body.as_str()), (200, ""));
    assert!(head.headers["content-length"].parse::<usize>().unwrap() > 1_000, "{head:?}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn garbage_and_oversize_are_refused_and_harm_nobody() {
    let (gateway, address) = lonely_gateway().await;
    let mut long_head = b"GET / HTTP/1.1\r\nhost: x\r\nx: ".to_vec();
    long_head.resize(1 << 20, b'a');
    let mut many = b"GET / HTTP/1.1\r\n".to_vec();
    many.extend(b"a: b\r\n".repeat(1_000));
    many.extend(b"\r\n");
    let mut noise: Vec<u8> = (0..4_096_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    noise.extend(b"\r\n\r\n");
    let with_body = b"GET / HTTP/1.1\r\nhost: x\r\ncontent-length: 9999999\r\n\r\nabc".to_vec();
    let smuggled = b"GET / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n".to_vec();
    let tls = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03".repeat(8);
    let zmtp = b"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL".to_vec();
    for bytes in [long_head, many, noise, with_body, smuggled, tls, zmtp, b"\0\0\0\0\r\n\r\n".to_vec()] {
        let answer = raw(address, &bytes).await;
        assert!(!answer.starts_with(b"HTTP/1.1 2"), "{}", String::from_utf8_lossy(&answer));
    }
    assert_eq!(get(address, "/healthz").await.status, 200);
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_clients_block_nobody_and_are_let_go() {
    let (gateway, address) = lonely_gateway().await;
    let mut slow = Vec::new();
    for _ in 0..31 {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET /status HTTP/1.1\r\nx: ").await.unwrap();
        slow.push(stream);
    }
    let asked = Instant::now();
    assert_eq!(get(address, "/healthz").await.status, 200);
    assert!(asked.elapsed() < Duration::from_secs(3), "it waited for the slow ones");
    // With all places taken, one more is let go. The place of the answer above may be free a moment later.
    while !raw(address, b"GET / HTTP/1.1\r\n\r\n").await.is_empty() {
        slow.push(TcpStream::connect(address).await.unwrap());
        assert!(asked.elapsed() < DEADLINE, "there is no limit: {} connections", slow.len());
    }
    // A byte now and then does not make a head's time longer.
    let mut dripping = slow.swap_remove(0);
    let dripped = async {
        while dripping.write_all(b"a").await.is_ok() {
            sleep(Duration::from_millis(200)).await
        }
    };
    timeout(DEADLINE, dripped).await.expect("the dripping connection ends");
    drop(slow);
    let metrics = get(address, "/metrics").await.body;
    assert!(!metrics.contains("\ntickbus_admin_refused_total 0\n"), "{metrics}");
    gateway.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_page_needs_nothing_from_elsewhere() {
    let (gateway, address) = lonely_gateway().await;
    let page = get(address, "/").await;
    assert_eq!((page.status, page.headers["content-type"].as_str()), (200, "text/html; charset=utf-8"));
    assert!(page.headers["content-security-policy"].starts_with("default-src 'none';"));
    for foreign in
        ["http:", "https:", "//cdn", "src=\"", "@import", "innerHTML", "insertAdjacentHTML", "document.write"]
    {
        assert!(!page.body.contains(foreign), "{foreign}");
    }
    assert!(page.body.lines().count() < 150);
    gateway.stop().await;
}

#[test]
fn a_taken_address_is_named_with_exit_code_3() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let free = ["bus.bind=tcp://127.0.0.1:0", "bus.snapshot_bind=tcp://127.0.0.1:0", "control.bind=tcp://127.0.0.1:0"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickbus"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).arg("run").arg("--set").arg(format!("admin.listen={listen}"));
    for set in free {
        command.args(["--set", set]);
    }
    let output = command.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{text}");
    assert!(text.contains(&format!("cannot bind `{listen}`")) && text.contains("another process"), "{text}");
}
