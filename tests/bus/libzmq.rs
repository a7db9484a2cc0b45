//! The bus against libzmq, through the Python clients in `tests/python`. They need a Python that has pyzmq, named by
//! `TICKBUS_TEST_PYTHON`; without it these tests say so and pass.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};

use bytes::Bytes;
use tickbus::bus::{Asker, Outgoing, Publisher, Refused, Reply, RequestHandler, RequestOptions, RequestServer, Retain};
use tokio::io::AsyncReadExt;

use crate::raw::{DEADLINE, Peer, frame, numbered, publish, publisher, resident_bytes, until, within};

/// A Python client; killed on drop.
struct Client {
    child: Child,
    lines: Receiver<String>,
    /// Closing it tells the client to end.
    stdin: Option<ChildStdin>,
}

impl Client {
    /// Starts a script, or says why not.
    fn start(script: &str, args: &[&str]) -> Option<Self> {
        let Some(python) = std::env::var_os("TICKBUS_TEST_PYTHON") else {
            println!("skipped: no python with pyzmq (set TICKBUS_TEST_PYTHON)");
            return None;
        };
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
        let mut child = Command::new(python)
            .arg(path)
            .args(args)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("TICKBUS_TEST_PYTHON names a python");
        let (send, lines) = channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || stdout.lines().map_while(Result::ok).try_for_each(|line| send.send(line)));
        let stdin = child.stdin.take();
        Some(Self { child, lines, stdin })
    }

    /// The next line it prints. Blocks the thread: tests here run with more than one.
    fn line(&self) -> String {
        tokio::task::block_in_place(|| self.lines.recv_timeout(DEADLINE)).expect("a line of the Python client")
    }

    fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn subscribing_joining_and_unsubscribing() {
    let bus = publisher(|_| {}).await;
    publish(&bus, "book.a.", "kept", Retain::Conflate);
    publish(&bus, "status.a.", "live", Retain::Latest);
    publish(&bus, "mark.", "kept", Retain::Latest);
    let Some(client) = Client::start("subscribe.py", &[&bus.endpoints()[0]]) else { return };
    for expected in ["status.a. live", "book.a. kept", "mark. kept"] {
        assert_eq!(client.line(), expected);
    }
    publish(&bus, "trade.a.", "1", Retain::Stream);
    assert_eq!(client.line(), "trade.a. 1");
    // It unsubscribes from everything but `book.` now, and then joins `mark.` anew, which shows that this is done.
    assert_eq!(client.line(), "mark. kept");
    publish(&bus, "trade.a.", "2", Retain::Stream);
    publish(&bus, "book.a.", "3", Retain::Conflate);
    assert_eq!(client.line(), "book.a. 3");
    assert_eq!(bus.stats().refused, Refused::default());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_of_a_client_are_answered() {
    let bus = publisher(|_| {}).await;
    let Some(client) = Client::start("heartbeat.py", &[&bus.endpoints()[0], "2"]) else { return };
    assert_eq!(client.line(), "connected");
    // Silence for two seconds of the client's 200 ms heartbeats.
    assert_eq!(client.line(), "disconnects 0");
    until("subscribed", || bus.stats().subscribers == 1).await;
    publish(&bus, "t.", "1", Retain::Stream);
    assert_eq!(client.line(), "t. 1");
    assert_eq!((bus.stats().accepted, bus.stats().refused), (1, Refused::default()));
}

/// A frame whose payload begins with a number of eight digits and has `size` bytes.
fn counted(number: u64, size: usize) -> Outgoing {
    frame("x.", &format!("{number:08}{:y<1$}", "", size - 8), Retain::Stream)
}

/// Reads `frames` frames of [`counted`] with 300 bytes from 0 on; `received` says how many have come.
async fn read_all(mut healthy: Peer, frames: u64, received: Arc<AtomicU64>) {
    // Headers of a short frame (topic) and of a long one (payload).
    const MESSAGE: usize = 2 + 2 + 9 + 300;
    let mut block = vec![0; MESSAGE * 100];
    for n in 0..frames {
        let at = (n % 100) as usize * MESSAGE;
        if at == 0 {
            within("frames for the healthy one", healthy.stream.read_exact(&mut block)).await.unwrap();
        }
        assert_eq!(&block[at..at + 4], b"\x01\x02x.");
        assert_eq!(&block[at + 13..at + 21], format!("{n:08}").as_bytes());
        received.store(n + 1, Ordering::Relaxed);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stopped_subscriber_costs_bounded_memory_and_harms_nobody() {
    const FRAMES: u64 = 1_000_000;
    const WINDOW: u64 = 4000;
    let bus = publisher(|options| options.slow.time = None).await;
    publish(&bus, "kept.", "kept", Retain::Latest);
    let Some(client) = Client::start("count.py", &[&bus.endpoints()[0], "0", "kept.", "x.", "end."]) else { return };
    assert_eq!(client.line(), "ready");
    client.signal("-STOP");
    let healthy = Peer::subscriber(&bus, 1, "x.").await;
    let received = Arc::new(AtomicU64::new(0));
    let reading = tokio::spawn(read_all(healthy, FRAMES, Arc::clone(&received)));
    let mut batch = Vec::new();
    let (mut full, mut most) = (0, 0);
    for n in 0..FRAMES {
        batch.push(counted(n, 300));
        if batch.len() == 500 {
            bus.publish(&mut batch);
            // From when its queue is full, nothing more may be taken for it.
            if full == 0 && bus.stats().dropped_frames > 0 {
                full = resident_bytes();
            }
            most = most.max(resident_bytes());
            until("the healthy one reads", || reading.is_finished() || n < received.load(Ordering::Relaxed) + WINDOW)
                .await;
        }
    }
    reading.await.unwrap();
    assert_eq!(received.load(Ordering::Relaxed), FRAMES);
    let stats = bus.stats();
    println!("{full} bytes when its queue was full, {most} at most; {stats:?}");
    assert!(full > 0 && most < full + (16 << 20), "grew from {full} to {most} bytes after the queue was full");
    assert_eq!(stats.queued_frames, 10_000);
    // Everything it did not get is counted.
    client.signal("-CONT");
    publish(&bus, "end.", "", Retain::Stream);
    let counted = client.line();
    let stats = bus.stats();
    // The kept frame at the start, and the end.
    let got = stats.frames_published - 2 - stats.dropped_frames;
    assert_eq!(counted, format!("x {got} {}", FRAMES - 1), "{stats:?}");
    assert!(stats.dropped_frames > FRAMES / 2, "{stats:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_with_a_queue_of_one_loses_nothing_that_ours_can_hold() {
    const FRAMES: u64 = 9000;
    let bus = publisher(|_| {}).await;
    publish(&bus, "kept.", "kept", Retain::Latest);
    let arguments = [&*bus.endpoints()[0], "1", "kept.", "x.", "end."];
    let Some(mut client) = Client::start("count.py", &arguments) else { return };
    assert_eq!(client.line(), "ready");
    // More than its own queue and the kernel's buffers hold.
    for from in (0..FRAMES).step_by(100) {
        bus.publish(&mut (from..from + 100).map(|n| counted(n, 3000)).collect());
    }
    publish(&bus, "end.", "", Retain::Stream);
    client.stdin.as_mut().unwrap().write_all(b"read\n").unwrap();
    assert_eq!(client.line(), format!("x {FRAMES} {}", FRAMES - 1));
    assert_eq!(bus.stats().dropped_frames, 0);
}

/// Publishes until the client's queues, ours and the kernel's are full and frames are lost, and lets it read them.
async fn lose_and_read(prefixes: &[&str]) -> Option<(Client, Publisher)> {
    let bus = publisher(|options| options.queue_frames = 500).await;
    let endpoint = bus.endpoints()[0].clone();
    let client = Client::start("notice.py", &[&[endpoint.as_str()], prefixes].concat())?;
    until("subscribed", || {
        publish(&bus, "t.", "hello", Retain::Latest);
        bus.stats().frames_sent > 0
    })
    .await;
    assert_eq!(client.line(), "t. hello");
    let payload = "x".repeat(10_000);
    let mut seq = 0;
    until("frames are lost", || {
        let mut batch = (0..100).map(|_| {
            seq += 1;
            numbered("t.a.", seq, &format!("{seq} {payload}"), Retain::Stream)
        });
        bus.publish(&mut batch.by_ref().collect());
        bus.stats().dropped_frames > 1000
    })
    .await;
    Some((client, bus))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_libzmq_subscriber_is_told_what_it_lost_if_it_wants_to_know() {
    let Some((mut client, bus)) = lose_and_read(&["notice."]).await else { return };
    drop(client.stdin.take());
    // What it is told is what it misses, although libzmq's queue lies between.
    let notice = client.line();
    let words: Vec<u64> =
        notice.strip_prefix("notice ").expect("a notice").split(' ').map(|n| n.parse().unwrap()).collect();
    let (lost, stats) = (&words[1..], bus.stats());
    let others = client.line();
    assert_eq!(others, format!("jump {} {}", lost[1], lost[2]));
    assert_eq!((words[0], lost[0], lost[2] - lost[1] + 1), (1, stats.dropped_frames, stats.dropped_frames));
    until("it has read everything", || bus.stats().queued_frames == 0).await;
    publish(&bus, "t.end.", "", Retain::Stream);
    assert_eq!(client.line(), "end");
    assert_eq!(bus.stats().notices, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_libzmq_subscriber_that_does_not_ask_gets_no_notice() {
    let Some((mut client, bus)) = lose_and_read(&[]).await else { return };
    drop(client.stdin.take());
    assert!(client.line().starts_with("jump "));
    until("it has read everything", || bus.stats().queued_frames == 0).await;
    publish(&bus, "t.end.", "", Retain::Stream);
    assert_eq!((client.line(), bus.stats().notices), ("end".to_owned(), 0));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_hundred_clients_come_and_go() {
    let bus = publisher(|_| {}).await;
    let Some(client) = Client::start("churn.py", &[&bus.endpoints()[0], "200"]) else { return };
    let mut n = 0;
    let mut batch = Vec::new();
    until("all came", || {
        n += 1;
        batch.extend((0..100).map(|topic| frame(&format!("t.{topic}."), &n.to_string(), Retain::Stream)));
        bus.publish(&mut batch);
        bus.stats().accepted >= 200
    })
    .await;
    assert_eq!(client.line(), "done 200");
    until("all left", || bus.stats().subscribers == 0).await;
    let mut fresh = Peer::subscriber(&bus, 1, "t.").await;
    publish(&bus, "t.", "1", Retain::Stream);
    assert_eq!(fresh.text().await, "t. 1");
}

struct Upper;

impl RequestHandler for Upper {
    fn handle<'a>(&'a self, request: Bytes, _asker: &'a Asker) -> Reply<'a> {
        Box::pin(async move { vec![request.to_ascii_uppercase().into()] })
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn req_and_dealer_get_their_answers() {
    let server = RequestServer::bind("tcp://127.0.0.1:0", RequestOptions::default(), Arc::new(Upper)).await.unwrap();
    let Some(mut client) = Client::start("ask.py", &[&server.endpoints()[0]]) else { return };
    for expected in ["req HELLO", "req relaxed HELLO", "dealer HELLO", "dealer delimited HELLO", "ahead 500"] {
        assert_eq!(client.line(), expected);
    }
    drop(client.stdin.take());
    assert_eq!(server.stats().refused, Refused::default());
}
