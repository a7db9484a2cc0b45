//! Subscribers that come and go by the thousand: what they cost is given back.

use std::future::Future;
use std::time::Duration;

use futures_util::future::join_all;
use serde_json::json;
use socket2::SockRef;
use tickbus::sim::Depth;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout};

use crate::gateway::{DEADLINE, Gateway, config, feed, venue};
use crate::script::{Language, Script};
use crate::watcher::Watcher;

/// Visits before the measurement, after which the program has what it needs for good.
const WARM: usize = 300;
const VISITS: usize = 1000;
/// Visitors at one time.
const AT_ONCE: usize = 20;

/// Greeting and READY of a ZMTP 3.1 subscriber.
fn hello() -> Vec<u8> {
    let mut bytes = b"\xff\0\0\0\0\0\0\0\x01\x7f\x03\x01NULL".to_vec();
    bytes.resize(64, 0);
    bytes.extend_from_slice(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB");
    bytes
}

fn command(name: &str, prefix: &str) -> Vec<u8> {
    let body = [&[u8::try_from(name.len()).unwrap()], name.as_bytes(), prefix.as_bytes()].concat();
    [&[4, u8::try_from(body.len()).unwrap()], &body[..]].concat()
}

/// Comes, and leaves in one of five ways.
async fn visit(address: &str, number: usize) -> std::io::Result<()> {
    let mut stream = TcpStream::connect(address).await?;
    stream.write_all(&hello()).await?;
    match number % 5 {
        // In the middle of the handshake.
        0 => {}
        // With a reset, and everything unread.
        1 => {
            stream.write_all(&command("SUBSCRIBE", "")).await?;
            stream.read_exact(&mut [0; 200]).await?;
            SockRef::from(&stream).set_linger(Some(Duration::ZERO))?;
        }
        // With many subscriptions.
        2 => {
            for n in 0..200 {
                stream.write_all(&command("SUBSCRIBE", &format!("book.{number}.{n}."))).await?;
            }
            stream.write_all(&command("SUBSCRIBE", "status.")).await?;
            stream.read_exact(&mut [0; 200]).await?;
        }
        // Having cancelled.
        3 => {
            stream.write_all(&command("SUBSCRIBE", "book.")).await?;
            stream.read_exact(&mut [0; 200]).await?;
            stream.write_all(&command("CANCEL", "book.")).await?;
        }
        // As one should, after some frames.
        _ => {
            stream.write_all(&command("SUBSCRIBE", "")).await?;
            stream.read_exact(&mut [0; 5000]).await?;
            stream.shutdown().await?;
            while stream.read(&mut [0; 4096]).await? > 0 {}
        }
    }
    Ok(())
}

async fn visits(gateway: &Gateway, count: usize) {
    let address = gateway.bus.strip_prefix("tcp://").unwrap();
    for from in (0..count).step_by(AT_ONCE) {
        let visitors = (from..from + AT_ONCE).map(|number| visit(address, number));
        for visited in timeout(DEADLINE, join_all(visitors)).await.expect("what visitors wait for") {
            visited.unwrap();
        }
    }
}

/// Does something while the watcher reads and checks on.
async fn beside<T>(watcher: &mut Watcher, work: impl Future<Output = T>) -> T {
    let mut work = std::pin::pin!(work);
    loop {
        tokio::select! {
            done = &mut work => return done,
            _ = watcher.next() => {}
        }
    }
}

/// Waits until the gateway knows of one subscriber only, and says how many descriptors it then has open.
async fn descriptors_when_alone(gateway: &Gateway) -> usize {
    let start = Instant::now();
    while gateway.stats().await["subscribers"] != 1 {
        assert!(start.elapsed() < DEADLINE, "visitors stay: {}", gateway.stats().await);
        sleep(Duration::from_millis(20)).await;
    }
    gateway.descriptors()
}

#[tokio::test]
async fn a_thousand_visitors_leave_nothing_behind() {
    let venue = venue(300, &[]).await;
    let feeds = json!({"a": feed(&venue, "linear", &["BTCUSDT", "ETHUSDT"], &["book:50", "trade"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    // It checks every frame, also for holes, while the others come and go.
    let mut watcher = Watcher::new(&gateway, &venue, "linear", Depth::Levels(50), &[""]);
    watcher.until_true(&["BTCUSDT", "ETHUSDT"], 20).await;
    beside(&mut watcher, visits(&gateway, WARM)).await;
    let descriptors = beside(&mut watcher, descriptors_when_alone(&gateway)).await;
    let before = gateway.resident_bytes();
    // With libzmq too, where there is a Python with it: each waits for a frame before it leaves.
    let count = VISITS.to_string();
    let libzmq = Script::start(Language::Python, "tests/python/churn.py", &[&gateway.bus, &count, "status."], &[]);
    beside(&mut watcher, visits(&gateway, VISITS)).await;
    if let Some(mut script) = libzmq {
        let line = beside(&mut watcher, script.line()).await;
        assert_eq!(line, format!("done {VISITS}"));
    }
    watcher.until_true(&["BTCUSDT", "ETHUSDT"], 20).await;
    let start = Instant::now();
    while beside(&mut watcher, descriptors_when_alone(&gateway)).await > descriptors {
        assert!(start.elapsed() < DEADLINE, "{} descriptors instead of {descriptors}", gateway.descriptors());
    }
    let after = gateway.resident_bytes();
    println!("{before} bytes before, {after} after {VISITS} visits of each kind; {descriptors} descriptors");
    assert!(after < before + before / 10, "{before} bytes before, {after} after");
    let stats = gateway.stats().await;
    assert_eq!((&stats["subscribers"], &stats["dropped_frames"]), (&json!(1), &json!(0)), "{stats}");
}
