//! The subscriber program: receive, check, print, measure, until it is told to stop.

use std::io::{self, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::time::{Instant, MissedTickBehavior};

use super::args::SubArgs;
use super::delivery::{Heartbeat, Notice};
use super::ladder;
use super::notes::{self, Notes};
use super::payload::{DecodeError, as_json};
use super::print::Printer;
use super::stats::Stats;
use super::subscribe::{Incoming, ReceivedFrame, Subscriber, subscribe};
use super::tracker::{Counts, Observation, SilentLoss, Tracker};
use super::view::View;
use crate::clock;
use crate::io::zmq::ZmqError;
use crate::model::{Mono, Stamp};
use crate::zmtp::WireError;

/// Lines are written together while more frames are already here, up to this many bytes.
const WRITE_BYTES: usize = 64 * 1024;
/// Topics that are subscribed to in any case, because they tell of losses.
const CHECKS: [&str; 2] = ["heartbeat.", "notice."];
/// Heartbeats come each second; after this long without one the gateway is said to be silent.
const SILENCE: Duration = Duration::from_secs(5);
/// Topics named at the end, those that lost most.
const WORST: usize = 10;
/// The exit code of wrong usage, as of the command line parser.
pub(super) const USAGE: u8 = 2;

/// Runs `tickbus-sub` until its count, its timeout, Ctrl-C, SIGTERM or a closed pipe ends it.
pub async fn run(args: SubArgs) -> ExitCode {
    let security = match args.access.security() {
        Ok(security) => security,
        Err(error) => return wrong(&error),
    };
    if let Some(symbol) = &args.ladder {
        return ladder::run(&args, symbol, &security).await;
    }
    let subscriber = match subscribe(&args.endpoint, &prefixes(&args.topics)) {
        Ok(subscriber) => subscriber.secured(security),
        Err(error) => return wrong(&error),
    };
    let mut session = Session::new(&args, clock::now());
    let end = session.until_end(subscriber).await;
    session.finish(end, clock::now())
}

fn wrong(error: &dyn std::error::Error) -> ExitCode {
    notes::print(format_args!("{error}"));
    ExitCode::from(USAGE)
}

/// What is subscribed to: the topics asked for, and those that tell of losses.
fn prefixes(topics: &[String]) -> Vec<String> {
    let extra = CHECKS.iter().filter(|check| !topics.is_empty() && !wanted(topics, check));
    topics.iter().cloned().chain(extra.map(|check| (*check).to_owned())).collect()
}

/// Whether a topic was asked for; all are when none is named.
fn wanted(topics: &[String], topic: &str) -> bool {
    topics.is_empty() || topics.iter().any(|prefix| topic.starts_with(prefix.as_str()))
}

/// Why the program ends.
enum End {
    Count,
    Timeout,
    Signal,
    /// The gateway does not take us, and never has.
    Refused(ZmqError),
    Output(io::Error),
}

struct Session<'a> {
    args: &'a SubArgs,
    printer: Printer,
    lines: Vec<u8>,
    notes: Notes,
    tracker: Tracker,
    stats: Stats,
    frames: u64,
    undecodable: u64,
    /// When the last heartbeat came, or the connection was made; `None` while there is none, or its silence is told.
    heard: Option<Mono>,
    /// Whether a connection was ever made.
    met: bool,
    refused: Option<ZmqError>,
}

impl<'a> Session<'a> {
    fn new(args: &'a SubArgs, now: Stamp) -> Self {
        Self {
            args,
            printer: Printer::for_stdout(args.format),
            lines: Vec::new(),
            notes: Notes::new(args.quiet),
            tracker: Tracker::default(),
            stats: Stats::new(now.mono),
            frames: 0,
            undecodable: 0,
            heard: None,
            met: false,
            refused: None,
        }
    }

    async fn until_end(&mut self, subscriber: Subscriber) -> End {
        let timeout = self.args.timeout;
        tokio::select! {
            end = self.receive(subscriber) => end,
            () = until(timeout) => End::Timeout,
            () = stop_signal() => End::Signal,
        }
    }

    async fn receive(&mut self, mut subscriber: Subscriber) -> End {
        let mut second = tokio::time::interval_at(Instant::now() + Duration::from_secs(1), Duration::from_secs(1));
        second.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                _ = second.tick() => self.each_second(clock::now()),
                incoming = subscriber.next() => self.take(incoming, clock::now()),
            }
            while !self.reached() && self.lines.len() < WRITE_BYTES {
                let Some(incoming) = subscriber.next().now_or_never() else { break };
                self.take(incoming, clock::now());
            }
            if let Err(error) = self.write().await {
                return End::Output(error);
            }
            if self.reached() {
                return End::Count;
            }
            if let Some(error) = self.refused.take() {
                return End::Refused(error);
            }
        }
    }

    fn each_second(&mut self, now: Stamp) {
        if self.args.stats {
            let line = self.stats.recent_line(&self.tracker, now);
            notes::print(format_args!("{line}"));
        }
        if self.heard.is_some_and(|heard| now.mono.since(heard) >= SILENCE) {
            self.heard = None;
            self.notes.say(now.mono, format_args!("no heartbeat for {SILENCE:?}: the gateway hangs, or is none"));
        }
    }

    fn reached(&self) -> bool {
        self.args.count.is_some_and(|count| self.frames >= count.get())
    }

    /// Writes whole lines on another thread: a reader that does not read must not keep Ctrl-C from working.
    async fn write(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        let mut lines = std::mem::take(&mut self.lines);
        let written = tokio::task::spawn_blocking(move || {
            let mut stdout = io::stdout().lock();
            stdout.write_all(&lines)?;
            stdout.flush()?;
            lines.clear();
            io::Result::Ok(lines)
        });
        self.lines = written.await.map_err(io::Error::other)??;
        Ok(())
    }

    fn take(&mut self, incoming: Incoming, now: Stamp) {
        match incoming {
            Incoming::Frame(frame) => {
                if let Err(error) = self.frame(&frame, now) {
                    self.undecodable(&frame.topic, &error, now);
                }
            }
            Incoming::Malformed(error) => self.undecodable("", &error, now),
            Incoming::Connected => {
                self.stats.connected(now.wall);
                self.heard = Some(now.mono);
                self.met = true;
                self.notes.say(now.mono, format_args!("connected to {}", self.args.endpoint));
            }
            // Trying again does not help, unless the gateway once took us and is being changed.
            Incoming::Disconnected(error) if is_refusal(&error) && !self.met => self.refused = Some(error),
            Incoming::Disconnected(error) => {
                self.heard = None;
                let endpoint = &self.args.endpoint;
                self.notes.say(now.mono, format_args!("not connected to {endpoint}, trying again: {error}"));
            }
        }
    }

    fn undecodable(&mut self, topic: &str, error: &DecodeError, now: Stamp) {
        self.undecodable += 1;
        self.notes.say(now.mono, format_args!("cannot decode frame {topic:?}: {error}"));
    }

    /// A venue's message as it was: whatever it says is not for us.
    fn untouched(&mut self, frame: &ReceivedFrame, now: Stamp) {
        if wanted(&self.args.topics, &frame.topic) {
            if !self.args.no_print {
                self.printer.untouched(&frame.topic, &frame.payload, &mut self.lines);
            }
            self.frames += 1;
            let bytes = frame.topic.len() + frame.payload.len();
            self.stats.frame(&View::default(), Observation::InOrder, bytes, now.wall);
        }
    }

    fn frame(&mut self, frame: &ReceivedFrame, now: Stamp) -> Result<(), DecodeError> {
        if frame.topic.starts_with("raw.") {
            self.untouched(frame, now);
            return Ok(());
        }
        let json = as_json(&frame.payload)?;
        let view = View::read(&json)?;
        let is_notice = frame.topic.starts_with("notice.");
        if wanted(&self.args.topics, &frame.topic) {
            if !self.args.no_print {
                self.printer.line(&frame.topic, &json, &view, &mut self.lines)?;
            }
            self.frames += 1;
            // Notices are counted by connection: their `seq` shows no loss.
            let (epoch, seq) = if is_notice { (None, None) } else { (view.epoch, view.seq) };
            let seen = self.tracker.observe(&frame.topic, epoch, seq);
            self.stats.frame(&view, seen, frame.topic.len() + frame.payload.len(), now.wall);
            self.tell(&frame.topic, &view, seen, now.mono);
        }
        if is_notice {
            let notice = Notice::read(&json)?;
            self.tracker.notice(&notice);
            self.notes.say(now.mono, format_args!("too slow: {notice}"));
        } else if frame.topic == "heartbeat." {
            self.heartbeat(&Heartbeat::read(&json)?, now.mono);
        }
        Ok(())
    }

    fn tell(&mut self, topic: &str, view: &View<'_>, seen: Observation, now: Mono) {
        let (seq, epoch) = (view.seq.unwrap_or_default(), view.epoch.unwrap_or_default());
        match seen {
            Observation::Gap { after, missing } => {
                self.notes.say(now, format_args!("gap in {topic:?}: {missing} missing between {after} and {seq}"));
            }
            Observation::Backwards { after } => {
                self.notes.say(now, format_args!("backwards in {topic:?}: seq {seq} after {after}"));
            }
            Observation::NewEpoch { from, first: true } => {
                self.notes.say(now, format_args!("gateway restarted: epoch {epoch} after {from}"));
            }
            Observation::NewEpoch { first: false, .. } => {}
            Observation::First | Observation::InOrder | Observation::Repeated | Observation::Unchecked => {}
        }
    }

    fn heartbeat(&mut self, beat: &Heartbeat<'_>, now: Mono) {
        self.heard = Some(now);
        let told = self.tracker.heartbeat(beat);
        if let Some(from) = told.restarted_from {
            self.notes.say(now, format_args!("gateway restarted: epoch {} after {from}", beat.epoch));
        }
        for SilentLoss { topic, after, missing } in told.losses {
            let text = format_args!("silent gap in {topic:?}: {missing} missing after {after}, and none came since");
            self.notes.say(now, text);
        }
    }

    /// The last lines on stderr, and the exit code.
    fn finish(self, end: End, now: Stamp) -> ExitCode {
        let Counts { gaps, missing, .. } = self.tracker.counts();
        if self.args.stats {
            for (topic, gaps, missing) in self.tracker.worst(WORST) {
                notes::print(format_args!("{topic:?}: {gaps} gaps ({missing} missing)"));
            }
            notes::print(format_args!("{}", self.stats.total_line(&self.tracker, now)));
        } else if gaps > 0 && !self.args.quiet {
            notes::print(format_args!("{} frames, {gaps} gaps ({missing} missing)", self.frames));
        }
        if self.undecodable > 0 && !self.args.quiet {
            notes::print(format_args!("{} frames could not be decoded", self.undecodable));
        }
        let unfinished = self.args.count.filter(|count| self.frames < count.get());
        let waited = self.args.timeout.filter(|_| matches!(end, End::Timeout));
        match (end, unfinished) {
            (End::Output(error), _) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            (End::Output(error), _) => {
                notes::print(format_args!("cannot write to stdout: {error}"));
                ExitCode::FAILURE
            }
            (End::Refused(error), _) => {
                notes::print(format_args!("no connection to {}: {error}", self.args.endpoint));
                ExitCode::FAILURE
            }
            (End::Timeout | End::Signal, Some(count)) => {
                let waited = waited.map_or_else(String::new, |waited| format!(" in {} s", waited.as_secs_f64()));
                notes::print(format_args!("got {} of {count} frames{waited}", self.frames));
                ExitCode::FAILURE
            }
            (End::Count | End::Timeout | End::Signal, _) => ExitCode::SUCCESS,
        }
    }
}

/// Whether what answers there is not a bus that takes us.
fn is_refusal(error: &ZmqError) -> bool {
    error.is_final() || matches!(error, ZmqError::NotZmtp(_) | ZmqError::Protocol(WireError::SocketType(_)))
}

/// Waits for the timeout; for ever when there is none.
pub(super) async fn until(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => tokio::time::sleep(timeout).await,
        None => std::future::pending().await,
    }
}

/// Waits for Ctrl-C or SIGTERM. Where a handler cannot be set, the signal ends the process by itself.
pub(super) async fn stop_signal() {
    let interrupt = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminate = std::future::pending::<()>();
    tokio::select! {
        () = interrupt => {}
        () = terminate => {}
    }
}
