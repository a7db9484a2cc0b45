//! One measurement: a publisher process, ours or libzmq's, and the process of its subscribers.

use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read};
use std::process::{Child, ChildStdout, Command, Stdio};

use anyhow::{Context as _, ensure};

/// Whose publisher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Ours,
    Libzmq,
}

/// What is published, and to whom.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// `zmq` or `raw`: see `sink.c`.
    pub(crate) kind: &'static str,
    pub(crate) subscribers: u32,
    /// Subscriptions of each.
    pub(crate) prefixes: u32,
    pub(crate) frames: u64,
    /// Bytes of a payload.
    pub(crate) size: usize,
    /// Frames that the slowest subscriber may be behind.
    pub(crate) window: u64,
    /// Frames a second; 0 is as fast as the window allows.
    pub(crate) rate: u64,
    /// Beside the subscribers, one that subscribed and was then stopped by a signal.
    pub(crate) stalled: bool,
}

/// What one run showed.
pub(crate) struct Outcome {
    /// CPU nanoseconds of the publisher's process a frame.
    pub(crate) cpu: f64,
    /// Frames a second, until the slowest subscriber had the last.
    pub(crate) rate: f64,
    /// Nanoseconds from sending to receipt, ascending; empty unless paced.
    pub(crate) latencies: Vec<u64>,
    /// KiB that the publisher had in use, at equal steps of the run; ours only.
    pub(crate) memory: Vec<u64>,
    /// Frames dropped for the stalled subscriber; ours only.
    pub(crate) dropped: u64,
}

/// The compiled C programs.
pub(crate) struct Programs {
    pub(crate) sink: String,
    pub(crate) publisher: String,
}

/// A process that is killed when it is no longer needed.
struct Process(Child);

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

impl Outcome {
    /// The latency that this share of the frames did not exceed, in microseconds.
    pub(crate) fn latency(&self, share: f64) -> f64 {
        let at = (self.latencies.len() as f64 * share) as usize;
        self.latencies.get(at).map_or(f64::NAN, |nanos| *nanos as f64 / 1e3)
    }
}

impl Programs {
    /// Runs one load to its end.
    pub(crate) fn run(&self, side: Side, load: &Load) -> anyhow::Result<Outcome> {
        let (heard, told) = std::io::pipe()?;
        let (_publisher, mut said, endpoint) = self.publisher(side, load, heard)?;
        let _stalled = if load.stalled { Some(self.stalled(&endpoint, load)?) } else { None };
        let file = tempfile::NamedTempFile::new()?;
        let mut sink = self.sink(&endpoint, load, load.frames);
        if load.rate > 0 {
            sink.arg(file.path());
        }
        let sink = sink.stdout(told).stderr(Stdio::piped()).spawn().context("cannot start the sink")?;
        let mut outcome = Outcome::read(&mut said, load)?;
        let output = sink.wait_with_output()?;
        let words = String::from_utf8_lossy(&output.stderr).into_owned();
        ensure!(output.status.success() && words == "lost 0\n", "{side:?}, {load:?}: the sink said {words:?}");
        let bytes = std::fs::read(file.path())?;
        let (times, _) = bytes.as_chunks::<8>();
        outcome.latencies = times.iter().map(|time| u64::from_le_bytes(*time)).collect();
        outcome.latencies.sort_unstable();
        Ok(outcome)
    }

    fn publisher(
        &self,
        side: Side,
        load: &Load,
        heard: PipeReader,
    ) -> anyhow::Result<(Process, BufReader<ChildStdout>, String)> {
        let mut command = match side {
            Side::Libzmq => Command::new(&self.publisher),
            Side::Ours => {
                let mut command = Command::new(std::env::current_exe()?);
                command.arg("publish");
                command
            }
        };
        command.args([load.frames, load.size as u64, load.window, load.rate].map(|number| number.to_string()));
        command.stdin(heard).stdout(Stdio::piped());
        let mut process = Process(command.spawn().context("cannot start a publisher")?);
        let mut said = BufReader::new(process.0.stdout.take().context("no output")?);
        let mut endpoint = String::new();
        said.read_line(&mut endpoint)?;
        ensure!(endpoint.starts_with("tcp://"), "{side:?}: no endpoint but {endpoint:?}");
        Ok((process, said, endpoint.trim().to_owned()))
    }

    fn sink(&self, endpoint: &str, load: &Load, frames: u64) -> Command {
        let mut command = Command::new(&self.sink);
        command.args([endpoint, load.kind]);
        command.args([u64::from(load.subscribers), u64::from(load.prefixes), frames].map(|number| number.to_string()));
        command
    }

    /// A subscriber of everything that stopped once it was subscribed.
    fn stalled(&self, endpoint: &str, load: &Load) -> anyhow::Result<Process> {
        let (mut said, told): (PipeReader, PipeWriter) = std::io::pipe()?;
        let process = Process(self.sink(endpoint, load, u64::MAX).stdout(told).spawn()?);
        said.read_exact(&mut [0; 8]).context("the subscriber to be stalled never subscribed")?;
        let status = Command::new("kill").args(["-STOP", &process.0.id().to_string()]).status()?;
        ensure!(status.success(), "cannot stop a subscriber");
        Ok(process)
    }
}

impl Outcome {
    fn read(said: &mut BufReader<ChildStdout>, load: &Load) -> anyhow::Result<Self> {
        let mut text = String::new();
        said.read_to_string(&mut text)?;
        let mut outcome = Self { cpu: 0.0, rate: 0.0, latencies: vec![], memory: vec![], dropped: 0 };
        for line in text.lines() {
            match line.split(' ').collect::<Vec<_>>()[..] {
                ["memory", kib] => outcome.memory.push(kib.parse()?),
                ["dropped", frames] => outcome.dropped = frames.parse()?,
                ["cpu", cpu, "wall", wall] => {
                    outcome.cpu = cpu.parse::<f64>()? / load.frames as f64;
                    outcome.rate = load.frames as f64 * 1e9 / wall.parse::<f64>()?;
                }
                _ => anyhow::bail!("a publisher said {line:?}"),
            }
        }
        ensure!(outcome.cpu > 0.0, "a publisher said nothing at its end");
        Ok(outcome)
    }
}
