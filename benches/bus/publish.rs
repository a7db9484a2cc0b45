//! Our side of the comparison, as a process of its own: publishes as `publisher.c` does with libzmq.

use std::io::{Read, Write};
use std::sync::mpsc::{Receiver, TryRecvError, sync_channel};
use std::time::Duration;

use anyhow::Context as _;
use bytes::Bytes;
use rustix::time::{ClockId, clock_gettime};
use tickbus::bus::{Frame, Outgoing, Publisher, PublisherOptions, Retain};

const TOPIC: &str = "trade.bybit.linear.BTCUSDT.";
/// Between two frames that only show whether the subscribers are there.
const PROBE: Duration = Duration::from_millis(1);
/// Between two looks at the clock when paced; the system makes it some fifty microseconds longer.
const PAUSE: Duration = Duration::from_micros(20);
/// How often the memory in use is told, in parts of a run.
const MEMORY_LOOKS: u64 = 50;

/// How to publish: as the arguments of `publisher.c`.
struct Job {
    frames: u64,
    size: usize,
    window: u64,
    rate: u64,
}

/// Nanoseconds of a clock that other processes read too.
fn nanos(clock: ClockId) -> u64 {
    let now = clock_gettime(clock);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// The program `publish FRAMES SIZE WINDOW RATE`.
pub(crate) fn main(arguments: &[String]) -> anyhow::Result<()> {
    let number = |at: usize| arguments.get(at).and_then(|text| text.parse::<u64>().ok()).context("four numbers");
    let job = Job { frames: number(0)?, size: number(1)? as usize, window: number(2)?, rate: number(3)? };
    // The same runtime as the gateway's.
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let mut options = PublisherOptions { endpoints: vec!["tcp://127.0.0.1:0".to_owned()], ..Default::default() };
    // This measures what a stalled subscriber costs, not its end.
    options.slow.time = None;
    let bus = runtime.block_on(Publisher::bind(options))?;
    println!("{}", bus.endpoints()[0]);
    let topic = Bytes::copy_from_slice(TOPIC.as_bytes());
    Run { bus, topic, payload: vec![b'x'; job.size], job, batch: Vec::new(), heard: hear() }.run()
}

/// What the subscribers say on stdin, heard by a thread so that one can also look without waiting.
fn hear() -> Receiver<u64> {
    let (send, receive) = sync_channel(64);
    std::thread::spawn(move || {
        let mut word = [0; 8];
        while std::io::stdin().lock().read_exact(&mut word).is_ok() && send.send(u64::from_le_bytes(word)).is_ok() {}
    });
    receive
}

struct Run {
    bus: Publisher,
    job: Job,
    topic: Bytes,
    payload: Vec<u8>,
    batch: Vec<Outgoing>,
    heard: Receiver<u64>,
}

impl Run {
    #[allow(clippy::disallowed_methods)] // A pause between looks at the clock is what pacing is.
    fn run(mut self) -> anyhow::Result<()> {
        while self.heard.try_recv() == Err(TryRecvError::Empty) {
            self.publish(0);
            std::thread::sleep(PROBE);
        }
        let (cpu, start) = (nanos(ClockId::ProcessCPUTime), nanos(ClockId::Monotonic));
        let (mut sent, mut heard) = (0, 0);
        let frames = self.job.frames;
        while sent < frames {
            let due = match self.job.rate {
                0 => frames,
                rate => {
                    let since = u128::from(nanos(ClockId::Monotonic) - start);
                    frames.min((since * u128::from(rate) / 1_000_000_000) as u64)
                }
            };
            while sent < due {
                while sent - heard >= self.job.window {
                    heard = self.heard.recv()?;
                }
                sent += 1;
                self.publish(sent);
                if sent.is_multiple_of((frames / MEMORY_LOOKS).max(1)) {
                    println!("memory {}", resident_kib()?);
                }
            }
            if self.job.rate > 0 {
                std::thread::sleep(PAUSE);
            }
        }
        while heard < frames {
            heard = self.heard.recv()?;
        }
        println!("dropped {}", self.bus.stats().dropped_frames);
        let (cpu, wall) = (nanos(ClockId::ProcessCPUTime) - cpu, nanos(ClockId::Monotonic) - start);
        println!("cpu {cpu} wall {wall}");
        std::io::stdout().flush()?;
        // Not waiting for subscribers that do not read.
        std::process::exit(0);
    }

    /// One frame a call, as a gateway that has one thing to say. The payload is copied, as libzmq copies it.
    fn publish(&mut self, number: u64) {
        self.payload[..8].copy_from_slice(&number.to_le_bytes());
        self.payload[8..16].copy_from_slice(&nanos(ClockId::Monotonic).to_le_bytes());
        let payload = Bytes::copy_from_slice(&self.payload);
        self.batch.push(Outgoing::Frame(Frame {
            topic: self.topic.clone(),
            payload,
            retain: Retain::Stream,
            seq: number,
        }));
        self.bus.publish(&mut self.batch);
    }
}

fn resident_kib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim_end_matches("kB").trim().parse()?)
}
