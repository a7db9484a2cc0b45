//! Tables: `find` over 10,000 rows beside the same over parsed JSON, and 50,000 changes a second to ten watchers beside the
//! same frames to ten subscribers of the bus. Gateway and clients share this process and its processors.

use std::hint::black_box;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use memchr::memmem;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Map, Value, json};
use tickbus::app::Gateway;
use tickbus::bus::{Frame, Outgoing, Retain};
use tickbus::client::{Incoming, subscribe};
use tickbus::clock;
use tickbus::config::Layers;
use tickbus::io::zmq::{Kind, ZmqConnection, ZmqLimits, connect};
use tickbus::store::Store;
use tickbus::table::{FeedId, LogLimits, Shape, Table, TableKind, TableLimits, Where};
use tickbus::telemetry::process::Process;
use tickbus::zmtp::ClientSecurity;
use tokio::task::JoinSet;
use tokio::time::{MissedTickBehavior, interval, sleep};

/// What the contract asks for.
const FIND_MAX_MS: f64 = 1.0;
const CHANGES_PER_SECOND: u64 = 50_000;
const ROWS: usize = 10_000;
const WATCHERS: usize = 10;
/// Symbols that change, and how many change at once, a millisecond apart.
const SYMBOLS: u64 = 1_000;
const TOGETHER: u64 = 50;
/// Memory may be so much more at the end than after the first third.
const GROWTH_MAX: f64 = 1.1;

fn main() -> anyhow::Result<()> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let (rounds, seconds) = if quick { (50, 6) } else { (200, 30) };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!("find over {ROWS} rows, ms (medians of {rounds} on {cores} cores)");
    find(rounds)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(fan_out(seconds))
}

fn payload(symbol: &str, seq: u64) -> String {
    let (whole, cents, now) = (60_000 + seq % 700, seq % 100, clock::wall().0);
    format!(
        r#"{{"v":1,"type":"ticker","venue":"bybit","market":"linear","symbol":"{symbol}","instrument":"{symbol}-PERP","epoch":1795265658392,"seq":{seq},"venue_seq":{seq},"ts_venue":{now},"ts_recv":{now},"ts_pub":{now},"last":"{whole}.{cents:02}","mark":"{whole}.{cents:02}","index":"60593.80","funding_rate":"0.0001","next_funding_time":1795276800000000000,"open_interest":"165.233","bid_price":"{whole}.00","bid_size":"0.160","ask_price":"{whole}.80","ask_size":"0.{seq}"}}"#
    )
}

fn frame(symbol: u64, seq: u64) -> Outgoing {
    let name = format!("S{symbol}USDT");
    let topic = Bytes::from(format!("ticker.bybit.linear.{name}."));
    Outgoing::Frame(Frame { topic, payload: payload(&name, seq).into(), retain: Retain::Latest, seq })
}

// find

fn find(rounds: usize) -> anyhow::Result<()> {
    let log = LogLimits { changes: 1_000, bytes: 1 << 20 };
    let mut table =
        Table::new(Shape::new(TableKind::Ticker, None), TableLimits { trades: 1, candles: 1, bytes: 1 << 30, log });
    let mut parsed: Vec<Map<String, Value>> = Vec::new();
    for at in 0..ROWS as u64 {
        let symbol = format!("S{at}USDT");
        let (topic, payload) = (Bytes::from(format!("ticker.bybit.linear.{symbol}.")), payload(&symbol, at));
        table.apply(FeedId(0), &topic, &payload);
        parsed.push(serde_json::from_str(&payload)?);
    }
    let questions = [
        ("one of them, by symbol", json!({"symbol": "S7777USDT"}), 1),
        ("a hundred of them, by two other fields", json!({"mark": "60050.50", "index": "60593.80"}), 15),
        ("all of them, as text", json!({}), ROWS),
    ];
    for (name, question, expected) in questions {
        let conditions: Vec<(String, Value)> = question.as_object().context("an object")?.clone().into_iter().collect();
        let asked =
            Where::new(TableKind::Ticker, conditions.iter().map(|(name, value)| (name.clone(), value.to_string())));
        let ours = median(rounds, || {
            let found = table.find(&asked, usize::MAX);
            let text: String = found.rows.iter().map(|row| row.text()).collect();
            (found.matches, text.len())
        });
        let theirs = median(rounds, || {
            let matches =
                |row: &&Map<String, Value>| conditions.iter().all(|(name, value)| row.get(name) == Some(value));
            let found: Vec<_> = parsed.iter().filter(matches).collect();
            let text = serde_json::to_string(&found).unwrap_or_default();
            (found.len(), text.len())
        });
        ensure!(
            ours.1 == theirs.1 && (ours.1 == expected || expected == 15),
            "{name}: {} and {} found",
            ours.1,
            theirs.1
        );
        let verdict = if ours.0 <= FIND_MAX_MS { "met" } else { "MISSED" };
        println!(
            "{name:<40} {:>7.3} ms of {} rows; parsed JSON {:>7.3} ms, ratio {:.2}; target {FIND_MAX_MS} ms {verdict}",
            ours.0,
            ours.1,
            theirs.0,
            ours.0 / theirs.0
        );
    }
    Ok(())
}

/// Milliseconds, and what was found.
fn median(rounds: usize, mut work: impl FnMut() -> (usize, usize)) -> (f64, usize) {
    let mut found = 0;
    let mut times: Vec<f64> = (0..rounds)
        .map(|_| {
            let start = cpu_seconds(ClockId::ThreadCPUTime);
            found = black_box(work()).0;
            (cpu_seconds(ClockId::ThreadCPUTime) - start) * 1e3
        })
        .collect();
    times.sort_by(f64::total_cmp);
    (times[times.len() / 2], found)
}

fn cpu_seconds(clock: ClockId) -> f64 {
    let time = clock_gettime(clock);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

// watch

/// A gateway whose feed reaches nobody: its frames are those of the bench.
async fn gateway() -> anyhow::Result<(Gateway, String)> {
    let free = || Ok::<_, std::io::Error>(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
    let (control, nobody) = (free()?, free()?);
    let feed = json!({"venue": "bybit", "market": "linear", "symbols": ["A"], "channels": ["ticker"],
        "url": format!("ws://127.0.0.1:{nobody}")});
    let text = json!({
        "bus": {"bind": ["tcp://127.0.0.1:0"], "snapshot_bind": "tcp://127.0.0.1:0"}, "admin": {"listen": null},
        "control": {"bind": format!("tcp://127.0.0.1:{control}")}, "feeds": {"a": feed},
    });
    let config = Layers { text: text.to_string(), ..Layers::default() }.check()?;
    Ok((Gateway::start(&config, None).await?, format!("tcp://127.0.0.1:{control}")))
}

/// What clients have received.
#[derive(Default)]
struct Received {
    changes: AtomicU64,
    rereads: AtomicU64,
    /// The largest of all delays, in microseconds, and their sum with their count.
    slowest: AtomicU64,
    delays: AtomicU64,
    delayed: AtomicU64,
    ended: AtomicBool,
}

impl Received {
    fn delay(&self, since: u64) {
        let us = clock::wall().0.saturating_sub(since) / 1_000;
        self.slowest.fetch_max(us, Ordering::Relaxed);
        self.delays.fetch_add(us, Ordering::Relaxed);
        self.delayed.fetch_add(1, Ordering::Relaxed);
    }

    fn mean_ms(&self) -> f64 {
        self.delays.load(Ordering::Relaxed) as f64 / self.delayed.load(Ordering::Relaxed).max(1) as f64 / 1e3
    }
}

fn number(text: &[u8], name: &str, last: bool) -> u64 {
    let at = if last { memmem::rfind(text, name.as_bytes()) } else { memmem::find(text, name.as_bytes()) };
    let digits = at.and_then(|at| text.get(at + name.len()..)).unwrap_or_default();
    digits.iter().take_while(|byte| byte.is_ascii_digit()).fold(0, |n, digit| n * 10 + u64::from(digit - b'0'))
}

async fn asker(control: &str) -> anyhow::Result<ZmqConnection> {
    Ok(connect(control, Kind::Req, &ClientSecurity::Null, ZmqLimits::default()).await?)
}

/// Follows all changes, resting so long between two questions.
async fn watch(control: String, received: Arc<Received>, rest: Duration) -> anyhow::Result<()> {
    let mut connection = asker(&control).await?;
    let mut place = String::new();
    while !received.ended.load(Ordering::Relaxed) {
        let body =
            format!(r#"{{"op":"watch","venue":"bybit","table":"ticker","limit":10000,"within_ms":1000{place}}}"#);
        connection.send(&[body.as_bytes()]).await?;
        let answer = connection.receive().await?;
        let text = answer.last().context("an answer")?;
        let (epoch, seq) = (number(text, "\"epoch\":", false), number(text, "\"seq\":", false));
        if memmem::find(text, b"\"reread\"").is_some() {
            received.rereads.fetch_add(1, Ordering::Relaxed);
        } else {
            let changes = memmem::find_iter(text, b"\"op\":\"").count() as u64;
            let before = number(place.as_bytes(), "\"after\":", false);
            ensure!(place.is_empty() || seq == before + changes, "changes {before} to {seq} came as {changes}");
            received.changes.fetch_add(changes, Ordering::Relaxed);
            if changes > 0 {
                received.delay(number(text, "\"ts_pub\":", true));
            }
        }
        place = format!(r#","epoch":{epoch},"after":{seq}"#);
        sleep(rest).await;
    }
    Ok(())
}

async fn follow_bus(bus: String, received: Arc<Received>) -> anyhow::Result<()> {
    let mut subscriber = subscribe(&bus, &["ticker.".to_owned()])?;
    while !received.ended.load(Ordering::Relaxed) {
        let Ok(incoming) = tokio::time::timeout(Duration::from_secs(1), subscriber.next()).await else { continue };
        if let Incoming::Frame(frame) = incoming
            && received.changes.fetch_add(1, Ordering::Relaxed).is_multiple_of(1_000)
        {
            received.delay(number(&frame.payload, "\"ts_pub\":", true));
        }
    }
    Ok(())
}

/// Publishes at the pace, and notes the memory in use each second; CPU seconds of the process, and what was published.
async fn publish(seconds: u64, memory: &mut Vec<u64>, mut put: impl FnMut(&mut Vec<Outgoing>)) -> (f64, u64) {
    let start = cpu_seconds(ClockId::ProcessCPUTime);
    let mut every = interval(Duration::from_millis(1));
    every.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut published = 0;
    let mut batch = Vec::new();
    while published < seconds * CHANGES_PER_SECOND {
        every.tick().await;
        for _ in 0..TOGETHER {
            published += 1;
            batch.push(frame(published % SYMBOLS, published));
        }
        put(&mut batch);
        batch.clear();
        if published % CHANGES_PER_SECOND == 0 {
            memory.push(Process::read().resident_bytes.unwrap_or_default() >> 20);
        }
    }
    (cpu_seconds(ClockId::ProcessCPUTime) - start, published)
}

async fn fan_out(seconds: u64) -> anyhow::Result<()> {
    let (gateway, control) = gateway().await?;
    let feed = gateway.running().feeds.find("a").context("a feed")?;
    let store: Arc<Store> = Arc::clone(&feed.store);
    println!("\n{CHANGES_PER_SECOND} changes/s to {WATCHERS} watchers, {seconds} s; and to one that asks every 10 s");
    let (fast, slow) = (Arc::new(Received::default()), Arc::new(Received::default()));
    let mut tasks = JoinSet::new();
    for _ in 0..WATCHERS {
        tasks.spawn(watch(control.clone(), Arc::clone(&fast), Duration::ZERO));
    }
    tasks.spawn(watch(control.clone(), Arc::clone(&slow), Duration::from_secs(10)));
    let mut memory = Vec::new();
    // The table is in use, and every watcher has begun.
    sleep(Duration::from_millis(500)).await;
    let (cpu, published) = publish(seconds, &mut memory, |batch| store.record(batch)).await;
    sleep(Duration::from_millis(500)).await;
    for received in [&fast, &slow] {
        received.ended.store(true, Ordering::Relaxed);
    }
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let changes = fast.changes.load(Ordering::Relaxed);
    let rate = changes as f64 / WATCHERS as f64 / seconds as f64;
    let all = changes == published * WATCHERS as u64;
    let settled = memory.get(memory.len() / 3).copied().unwrap_or_default();
    let most = memory.iter().skip(memory.len() / 3).max().copied().unwrap_or_default();
    let flat = most as f64 <= settled as f64 * GROWTH_MAX;
    println!(
        "each watcher {rate:.0} changes/s, {}; delay mean {:.1} ms, most {:.1} ms; target {CHANGES_PER_SECOND} {}",
        if all { "none lost".to_owned() } else { format!("read anew {} times", fast.rereads.load(Ordering::Relaxed)) },
        fast.mean_ms(),
        fast.slowest.load(Ordering::Relaxed) as f64 / 1e3,
        if all { "met" } else { "MISSED" },
    );
    println!("the slow one was told {} times that it must read anew", slow.rereads.load(Ordering::Relaxed));
    println!("memory MiB each second: {memory:?}: {}", if flat { "flat" } else { "GROWS" });
    let per_change = cpu * 1e6 / changes as f64;

    let received = Arc::new(Received::default());
    for _ in 0..WATCHERS {
        tasks.spawn(follow_bus(gateway.bus_endpoints()[0].clone(), Arc::clone(&received)));
    }
    sleep(Duration::from_secs(1)).await;
    let publisher = gateway.running().publisher.clone();
    let (cpu, _) = publish(seconds, &mut Vec::new(), |batch| publisher.publish(batch)).await;
    sleep(Duration::from_millis(500)).await;
    received.ended.store(true, Ordering::Relaxed);
    while let Some(done) = tasks.join_next().await {
        done??;
    }
    let frames = received.changes.load(Ordering::Relaxed);
    let per_frame = cpu * 1e6 / frames as f64;
    println!(
        "CPU {per_change:.2} us a change delivered, clients included; the bus {per_frame:.2} us a frame ({:.0} frames/s each), \
         delay mean {:.1} ms; ratio {:.2}",
        frames as f64 / WATCHERS as f64 / seconds as f64,
        received.mean_ms(),
        per_change / per_frame
    );
    gateway.stop().await;
    Ok(())
}
