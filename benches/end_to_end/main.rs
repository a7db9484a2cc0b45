//! The gateway between a replaying venue and a libzmq subscriber, all on this machine's loopback: what it sustains
//! without loss, and its latency at a fixed pace. `TICKBUS_BENCH_SINK` names the compiled `sink.c`.

mod venue;

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};
use serde_json::json;

use self::venue::{Prepared, Venue};

/// Frames that may wait in the bus for the subscriber: enough for a whole run, so that what the subscriber cannot take
/// at once is late and not lost.
const QUEUE_FRAMES: usize = 1_000_000;
/// Bytes that may wait there.
const QUEUE_BYTES: u64 = 1 << 30;
/// The sink ends after so long without a frame.
const IDLE_MS: u64 = 1_000;
/// Messages a second to be sustained.
const SUSTAINED: f64 = 250_000.0;
/// The pace at which latency is measured, messages a second, and what it may be in microseconds.
const PACE: u64 = 50_000;
const P50_MAX: f64 = 250.0;
const P99_MAX: f64 = 5_000.0;

/// A process that is killed when it is no longer needed.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// The gateway process, and how it did.
struct Gateway {
    process: Process,
    bus: String,
    _directory: tempfile::TempDir,
}

/// What the sink counted.
#[derive(Default)]
struct Counted {
    /// Frames and gaps of each topic.
    topics: HashMap<String, (u64, u64)>,
    last: u64,
}

/// What one run showed.
struct Run {
    /// Seconds from the first byte sent to the last frame received.
    seconds: f64,
    frames: u64,
    lost: u64,
    cpu_seconds: f64,
    peak_mib: f64,
    /// Microseconds from sending a message to receiving its first frame, in order.
    latencies: Vec<f64>,
}

fn main() -> anyhow::Result<()> {
    let quick = std::env::args().any(|arg| arg == "--quick");
    let sink = std::env::var("TICKBUS_BENCH_SINK").context("TICKBUS_BENCH_SINK must name the compiled sink.c")?;
    let (messages, paced_messages, rounds) = if quick { (200_000, 100_000, 2) } else { (1_000_000, 400_000, 3) };
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    println!(
        "end to end on {cores} cores: venue -> websocket -> tickbus run -> ZeroMQ -> libzmq subscriber of everything"
    );
    println!(
        "JSON frames, books conflated to 100 ms, queue of {QUEUE_FRAMES} frames so that nothing need be dropped\n"
    );
    let prepared = Prepared::new(messages);
    let mut best: f64 = 0.0;
    for round in 1..=rounds {
        let run = run(&sink, &prepared, None)?;
        let rate = messages as f64 / run.seconds;
        println!("full speed, round {round}: {rate:>8.0} messages/s, {}", told(&run, messages));
        if run.lost == 0 {
            best = best.max(rate);
        }
    }
    let prepared = Prepared::new(paced_messages);
    let run = run(&sink, &prepared, Some(PACE))?;
    let at = |share: f64| run.latencies.get((run.latencies.len() as f64 * share) as usize).copied().unwrap_or(f64::NAN);
    println!("{PACE} messages/s: {}", told(&run, paced_messages));
    println!("  latency, send to receipt: p50 {:.0} us, p90 {:.0} us, p99 {:.0} us", at(0.5), at(0.9), at(0.99));
    println!();
    let word = |met: bool| if met { "PASS" } else { "MISS" };
    println!("{} sustained without loss: {best:.0} messages/s, target {SUSTAINED:.0}", word(best >= SUSTAINED));
    println!("{} loss at {PACE}/s: {} frames, target 0", word(run.lost == 0), run.lost);
    println!("{} p50 at {PACE}/s: {:.0} us, target at most {P50_MAX:.0}", word(at(0.5) <= P50_MAX), at(0.5));
    println!("{} p99 at {PACE}/s: {:.0} us, target at most {P99_MAX:.0}", word(at(0.99) <= P99_MAX), at(0.99));
    Ok(())
}

fn told(run: &Run, messages: usize) -> String {
    format!(
        "{} frames received, {} lost, gateway {:.2} us CPU a message, {:.0} MiB at most",
        run.frames,
        run.lost,
        run.cpu_seconds * 1e6 / messages as f64,
        run.peak_mib
    )
}

/// One stream through a gateway of its own; paced, or at full speed.
fn run(sink: &str, prepared: &Prepared, pace: Option<u64>) -> anyhow::Result<Run> {
    let venue = Venue::bind()?;
    let gateway = Gateway::start(&venue, prepared)?;
    let mut connection = venue.accept(2 * prepared.symbols.len())?;
    let arrivals = tempfile::NamedTempFile::new()?;
    let mut command = Command::new(sink);
    command.arg(&gateway.bus).arg(IDLE_MS.to_string());
    if pace.is_some() {
        command.arg(arrivals.path());
    }
    let mut sink = Process(command.stdout(Stdio::piped()).spawn().context("cannot start the sink")?);
    let mut told = BufReader::new(sink.0.stdout.take().context("the sink has no output")?);
    let mut line = String::new();
    told.read_line(&mut line)?;
    ensure!(line == "ready\n", "the sink got nothing from the bus");
    let cpu_before = gateway.cpu_seconds()?;
    let (start, sent_at) = match pace {
        None => (connection.send_at_full_speed(prepared)?, Vec::new()),
        Some(rate) => {
            let sent_at = connection.send_paced(prepared, rate)?;
            (sent_at[0], sent_at)
        }
    };
    let counted = Counted::read(&mut told)?;
    let lost = counted.lost(prepared);
    Ok(Run {
        seconds: counted.last.saturating_sub(start) as f64 / 1e9,
        frames: counted.topics.values().map(|(frames, _)| frames).sum(),
        lost,
        cpu_seconds: gateway.cpu_seconds()? - cpu_before,
        peak_mib: gateway.peak_mib()?,
        latencies: if pace.is_some() { latencies(prepared, &sent_at, arrivals.path())? } else { Vec::new() },
    })
}

impl Gateway {
    fn start(venue: &Venue, prepared: &Prepared) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        let bus = format!("tcp://127.0.0.1:{}", TcpListener::bind("127.0.0.1:0")?.local_addr()?.port());
        let config = json!({
            "bus": {"bind": [bus], "snapshot_bind": "tcp://127.0.0.1:0", "queue_frames": QUEUE_FRAMES, "queue_bytes": QUEUE_BYTES},
            "control": {"bind": null},
            "admin": {"listen": null},
            "feeds": {"bench": {
                "venue": "bybit", "market": "linear", "symbols": prepared.symbols, "channels": ["book:200", "trade"],
                "publish": {"book_depth": 25, "book_interval_ms": 100},
                "url": format!("ws://{}", venue.address()?),
                // Nothing listens there: the instruments' definitions are not part of the measurement.
                "rest_url": "http://127.0.0.1:9",
            }},
        });
        let path = directory.path().join("config.json");
        std::fs::write(&path, config.to_string())?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_tickbus"));
        command.arg("run").arg("--config").arg(&path).env("TICKBUS__LOG__LEVEL", "error");
        let process = Process(command.spawn().context("cannot start the gateway")?);
        Ok(Self { process, bus, _directory: directory })
    }

    /// CPU time of all of its threads.
    fn cpu_seconds(&self) -> anyhow::Result<f64> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.process.0.id()))?;
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        let ticks: f64 = fields[11].parse::<f64>()? + fields[12].parse::<f64>()?;
        // Linux reports in hundredths of a second to programs.
        Ok(ticks / 100.0)
    }

    fn peak_mib(&self) -> anyhow::Result<f64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.process.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no VmHWM")?;
        Ok(line.trim_end_matches("kB").trim().parse::<f64>()? / 1024.0)
    }
}

impl Counted {
    fn read(told: &mut BufReader<ChildStdout>) -> anyhow::Result<Self> {
        let mut text = String::new();
        told.read_to_string(&mut text)?;
        let mut counted = Self::default();
        for line in text.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["last", at] => counted.last = at.parse()?,
                [topic, frames, gaps] => {
                    counted.topics.insert(topic.to_owned(), (frames.parse()?, gaps.parse()?));
                }
                _ => anyhow::bail!("the sink said {line:?}"),
            }
        }
        Ok(counted)
    }

    /// Delta and trade frames that did not come, and jumps in any topic's sequence.
    fn lost(&self, prepared: &Prepared) -> u64 {
        let mut wanted: HashMap<&str, u64> = HashMap::new();
        for (topic, frames) in &prepared.frames {
            *wanted.entry(topic).or_default() += frames;
        }
        let got = |topic: &str| self.topics.get(topic).map_or(0, |(frames, _)| *frames);
        let missing: u64 = wanted.iter().map(|(topic, frames)| frames.abs_diff(got(topic))).sum();
        missing.max(self.topics.values().map(|(_, gaps)| gaps).sum())
    }
}

/// Joins the times of sending and of arrival by each topic's sequence.
fn latencies(prepared: &Prepared, sent_at: &[u64], arrivals: &std::path::Path) -> anyhow::Result<Vec<f64>> {
    let mut seqs: HashMap<&str, u64> = HashMap::new();
    let mut sent: HashMap<(&str, u64), u64> = HashMap::new();
    for ((topic, frames), at) in prepared.frames.iter().zip(sent_at) {
        let seq = seqs.entry(topic).or_default();
        sent.insert((topic, *seq + 1), *at);
        *seq += frames;
    }
    let mut latencies = Vec::new();
    for line in BufReader::new(std::fs::File::open(arrivals)?).lines() {
        let line = line?;
        let [topic, seq, at] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
        if let Some(sent) = sent.get(&(topic, seq.parse()?)) {
            latencies.push(at.parse::<u64>()?.saturating_sub(*sent) as f64 / 1e3);
        }
    }
    latencies.sort_by(f64::total_cmp);
    Ok(latencies)
}
