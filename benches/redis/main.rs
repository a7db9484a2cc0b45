//! What the Redis sink costs the bus: the latency of a ZeroMQ subscriber with the sink on and off, in alternating rounds, at
//! the pace that the sink has to keep up with. The Redis server is one of the bench's own.

use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use serde_json::json;
use tickbus::bus::{Frame, Outgoing, Publisher, PublisherOptions, Retain};
use tickbus::client::{Incoming, subscribe};
use tickbus::clock;
use tickbus::config::Layers;
use tickbus::sink::redis::{RedisOptions, RedisSink, RedisStats};
use tokio::time::timeout;

/// Updates a second that the contract asks for.
const PACE: u64 = 10_000;
/// Updates published together, as one read from a venue's socket gives them.
const TOGETHER: u64 = 10;
const SYMBOLS: u64 = 50;
const LEVELS: u64 = 25;
/// What the sink may do to the 99th percentile of the bus's latency.
const P99_MAX: f64 = 1.2;
/// Nothing that works takes nearly as long.
const PATIENCE: Duration = Duration::from_secs(30);

/// A server that is killed when it is no longer needed.
struct Redis {
    child: Child,
    url: String,
    _folder: tempfile::TempDir,
}

impl Redis {
    fn start() -> anyhow::Result<Self> {
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let folder = tempfile::tempdir()?;
        let mut command = Command::new("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string(), "--save", "", "--appendonly", "no", "--dir"]);
        let child = command.arg(folder.path()).stdin(Stdio::null()).stdout(Stdio::null()).spawn();
        let child = child.context("redis-server is missing: apt-get install redis-server")?;
        Ok(Self { child, url: format!("redis://127.0.0.1:{port}"), _folder: folder })
    }

    fn options(&self) -> anyhow::Result<RedisOptions> {
        let feed = json!({"venue": "bybit", "market": "spot", "symbols": ["A"], "channels": ["trade"]});
        let text = json!({"feeds": {"a": feed}, "sinks": {"redis": {"url": self.url}}}).to_string();
        Layers { text, ..Layers::default() }.check()?.redis.context("the config has a sink")
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// What one round showed: microseconds, in order.
struct Round {
    latencies: Vec<f64>,
    /// Frames that Redis confirmed, and frames that did not get that far.
    written: u64,
    lost: u64,
}

impl Round {
    fn at(&self, share: f64) -> f64 {
        self.latencies.get((self.latencies.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN)
    }
}

fn main() -> anyhow::Result<()> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let (updates, rounds) = if quick { (30_000, 5) } else { (100_000, 11) };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "{PACE} updates/s into a local Redis on {cores} cores, {rounds} rounds in turn; us from publishing to receipt"
    );
    let redis = Redis::start()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (mut ratios, mut lost, mut on, mut off) = (Vec::new(), 0, Vec::new(), Vec::new());
    for _ in 0..rounds {
        let without = runtime.block_on(round(None, updates))?;
        let with = runtime.block_on(round(Some(redis.options()?), updates))?;
        ensure!(with.written + with.lost >= updates, "the sink wrote {} of {updates} frames", with.written);
        ratios.push(with.at(0.99) / without.at(0.99));
        lost += with.lost;
        on.push((with.at(0.5), with.at(0.99)));
        off.push((without.at(0.5), without.at(0.99)));
    }
    for (name, rounds) in [("sink off", off), ("sink on", on)] {
        let (p50, p99): (Vec<_>, Vec<_>) = rounds.into_iter().unzip();
        println!("{name:<9} p50 {:>6.0} us, p99 {:>6.0} us (medians of rounds)", median(p50), median(p99));
    }
    let ratio = median(ratios);
    let word = |met: bool| if met { "PASS" } else { "MISS" };
    println!("{} p99 with the sink on, of that without: {ratio:.2}, target at most {P99_MAX}", word(ratio <= P99_MAX));
    println!("{} frames lost on the way to Redis: {lost}, target 0", word(lost == 0));
    Ok(())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

async fn round(sink: Option<RedisOptions>, updates: u64) -> anyhow::Result<Round> {
    let endpoints = vec!["tcp://127.0.0.1:0".to_owned()];
    let bus = Publisher::bind(PublisherOptions { endpoints, ..PublisherOptions::default() }).await?;
    let stats = Arc::new(RedisStats::default());
    let sink = sink.map(|options| RedisSink::start(options, &bus, None, Arc::clone(&stats))).transpose()?;
    let ready = Arc::new(AtomicBool::new(false));
    let reader = read(bus.endpoints()[0].clone(), updates, Arc::clone(&ready));
    while !ready.load(Ordering::Relaxed) || (sink.is_some() && !stats.report(&bus).connected) {
        publish(&bus, "warm.", "{}".to_owned(), Retain::Stream);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let publishing = bus.clone();
    tokio::task::spawn_blocking(move || publish_all(&publishing, updates)).await?;
    let mut latencies =
        tokio::task::spawn_blocking(move || reader.join()).await?.map_err(|_| anyhow::anyhow!("reader"))??;
    latencies.sort_by(f64::total_cmp);
    let start = clock::mono();
    let mut report = stats.report(&bus);
    while sink.is_some() && report.queued_frames > 0 && clock::mono().since(start) < PATIENCE {
        tokio::time::sleep(Duration::from_millis(20)).await;
        report = stats.report(&bus);
    }
    if let Some(sink) = sink {
        sink.close(PATIENCE).await;
        report = stats.report(&bus);
    }
    let lost = report.dropped_frames + report.conflated_frames + report.lost_frames;
    Ok(Round { latencies, written: report.frames, lost })
}

/// Publishes at the pace, with the time of publishing in front of each payload.
fn publish_all(bus: &Publisher, updates: u64) {
    let start = clock::mono();
    let every = Duration::from_nanos(1_000_000_000 * TOGETHER / PACE);
    for at in 0..updates / TOGETHER {
        let due = start.after(every * u32::try_from(at).unwrap_or(u32::MAX));
        #[allow(clippy::disallowed_methods, reason = "the pace is what is measured")]
        std::thread::sleep(due.since(clock::mono()));
        let mut batch: Vec<_> = (0..TOGETHER).map(|part| update(at * TOGETHER + part)).collect();
        bus.publish(&mut batch);
    }
}

/// Of three updates one is a book, one a ticker and one a trade.
fn update(number: u64) -> Outgoing {
    let symbol = number / 3 % SYMBOLS;
    let (channel, retain, more) = match number % 3 {
        0 => {
            let side =
                |from: u64| (0..LEVELS).map(|level| json!([(from + level).to_string(), "0.125"])).collect::<Vec<_>>();
            ("book", Retain::Conflate, json!({"bids": side(60_000 + number), "asks": side(70_000 + number)}))
        }
        1 => ("ticker", Retain::Latest, json!({"last": "60000.5", "mark": "60001.25", "volume_24h": "235.365"})),
        _ => (
            "trade",
            Retain::Stream,
            json!({"id": number.to_string(), "price": "60000.5", "size": "0.1", "side": "buy"}),
        ),
    };
    let rest = more.to_string();
    let payload = format!("{{\"t\":{},\"seq\":{number},{}", clock::mono().0, &rest[1..]);
    let topic = format!("{channel}.bench.spot.S{symbol}.");
    Outgoing::Frame(Frame { topic: topic.into(), payload: payload.into(), retain, seq: number })
}

fn publish(bus: &Publisher, topic: &'static str, payload: String, retain: Retain) {
    let frame = Frame { topic: Bytes::from_static(topic.as_bytes()), payload: payload.into(), retain, seq: 0 };
    bus.publish(&mut vec![Outgoing::Frame(frame)]);
}

/// A subscriber of everything, in a thread of its own.
fn read(endpoint: String, updates: u64, ready: Arc<AtomicBool>) -> JoinHandle<anyhow::Result<Vec<f64>>> {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(async {
            let mut subscriber = subscribe(&endpoint, &[String::new()])?;
            let mut latencies = Vec::new();
            while (latencies.len() as u64) < updates / TOGETHER * TOGETHER {
                let incoming = timeout(PATIENCE, subscriber.next()).await.context("frames stay away")?;
                let Incoming::Frame(frame) = incoming else { continue };
                let now = clock::mono();
                let Some(text) = frame.payload.strip_prefix(b"{\"t\":") else {
                    ready.store(true, Ordering::Relaxed);
                    continue;
                };
                let digits = text.iter().take_while(|byte| byte.is_ascii_digit());
                let sent = digits.fold(0, |number: u64, digit| number * 10 + u64::from(digit - b'0'));
                latencies.push(now.0.saturating_sub(sent) as f64 / 1e3);
            }
            Ok(latencies)
        })
    })
}
