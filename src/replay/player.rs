//! Plays captures through a pipeline, with the stamps in the files as the clock.

use std::str::FromStr;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::sleep_until;
use tracing::info;

use super::capture::Line;
use super::reader::{Captures, ReadReport};
use crate::clock;
use crate::io::command::{Command, LinkReport, carry_out};
use crate::io::tap::Kind;
use crate::io::{FrameSink, Steps};
use crate::model::{Mono, Stamp, UnixNanos};
use crate::venue::Input;

/// Where a recording's monotonic clock starts; later than zero, so that "a moment before" can be expressed.
const START: Mono = Mono(1_000_000_000);
/// How far the monotonic clock moves on a line that has no later stamp than the one before.
const STEP: Duration = Duration::from_micros(1);
/// Lines played before their frames are published and others may run.
const BATCH: usize = 256;
/// Timers fired between two lines: bounds the work in a hole of the recording.
const MAX_TIMERS: usize = 64;
/// After the last line, timers that are due within this time still fire: what a conflated book held back.
const AFTERWARDS: Duration = Duration::from_secs(1);
/// How long subscribers that are behind may hold a replay up before they lose frames.
const READERS_CATCH_UP_WITHIN: Duration = Duration::from_secs(5);
const LOOK_AGAIN: Duration = Duration::from_millis(1);
/// Waiting longer than this for the next line is worth a log line.
const LONG_WAIT: Duration = Duration::from_secs(60);

/// How fast to play.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Speed {
    /// So many times as fast as it was recorded.
    Times(u32),
    /// As fast as possible.
    Max,
}

impl FromStr for Speed {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match (text, text.parse()) {
            ("max", _) => Ok(Self::Max),
            (_, Ok(times)) if times > 0 => Ok(Self::Times(times)),
            _ => Err(format!("{text:?} is not a speed; it must be max or a whole number from 1 on, such as 1 or 10")),
        }
    }
}

/// What was played.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Connections.
    pub connect: u64,
    /// Texts the recorder sent; not played.
    pub send: u64,
    /// Messages.
    pub ws: u64,
    /// REST answers.
    pub rest: u64,
    /// How often the session asked for a new connection; not followed.
    pub reconnects: u64,
    /// Whether it was told to stop before the end.
    pub stopped: bool,
    /// What was met while reading.
    pub read: ReadReport,
}

/// Plays captures through `steps` into `sink`.
pub struct Player<'a, P> {
    steps: &'a mut P,
    sink: &'a dyn FrameSink,
    commands: &'a mut mpsc::Receiver<Command>,
    /// All senders of commands are gone; that ends nothing here.
    unattended: bool,
    clock: FileClock,
    /// The latest time stepped with.
    reached: Mono,
    speed: Speed,
    totals: Totals,
}

impl<'a, P: Steps> Player<'a, P> {
    /// A player at the beginning.
    pub fn new(
        steps: &'a mut P,
        sink: &'a dyn FrameSink,
        commands: &'a mut mpsc::Receiver<Command>,
        speed: Speed,
    ) -> Self {
        let (clock, totals) = (FileClock::default(), Totals::default());
        Self { steps, sink, commands, unattended: false, clock, reached: START, speed, totals }
    }

    /// Plays to the end, or until told to shut down. Commands are carried out in between.
    pub async fn play(mut self, captures: &mut Captures) -> Totals {
        let mut pace = None;
        let mut unpublished = 0;
        while let Some(line) = captures.next() {
            let now = self.clock.at(line.recv);
            if let Some(at) = self.pace(&mut pace, now.mono)
                && at > clock::now().mono
            {
                self.settle();
                if !self.wait_until(at).await {
                    break;
                }
            }
            self.fire_timers(now);
            self.take(&line, now);
            unpublished += 1;
            if unpublished >= BATCH {
                unpublished = 0;
                self.settle();
                if !self.breathe().await {
                    break;
                }
            }
        }
        self.fire_timers(self.clock.later(AFTERWARDS));
        self.settle();
        self.totals.read = captures.report().clone();
        self.totals
    }

    /// When this line is to be played, on our own clock.
    fn pace(&self, pace: &mut Option<(Mono, Mono)>, line_at: Mono) -> Option<Mono> {
        let Speed::Times(times) = self.speed else { return None };
        let (first, began) = *pace.get_or_insert_with(|| (line_at, clock::now().mono));
        Some(began.after(line_at.since(first) / times.max(1)))
    }

    fn take(&mut self, line: &Line, now: Stamp) {
        self.steps.route(line.feed.as_deref(), line.url.as_deref());
        match line.kind {
            Kind::Connect => {
                self.totals.connect += 1;
                self.steps.step(Input::Connected, now);
            }
            Kind::Send => self.totals.send += 1,
            Kind::Ws => {
                self.totals.ws += 1;
                self.steps.step(Input::Text(&line.msg), now);
            }
            Kind::Binary => {
                self.totals.ws += 1;
                self.steps.step(Input::Binary(&line.msg), now);
            }
            Kind::Rest => {
                self.totals.rest += 1;
                self.steps
                    .step(Input::Http { id: 0, status: Some(200), body: &line.msg, url: line.url.as_deref() }, now);
            }
        }
        let outbox = self.steps.outbox();
        // Nobody is there to send to or to ask.
        outbox.sends.clear();
        outbox.logins.clear();
        outbox.addresses.clear();
        outbox.requests.clear();
        outbox.settled.clear();
        self.totals.reconnects += outbox.reconnects.drain(..).count() as u64;
    }

    /// Fires what became due up to `now`, each timer at its own time.
    fn fire_timers(&mut self, now: Stamp) {
        for _ in 0..MAX_TIMERS {
            match self.steps.next_timeout() {
                Some(timer) if timer.at <= now.mono => {
                    self.reached = self.reached.max(timer.at);
                    let wall = UnixNanos(now.wall.0.saturating_sub(now.mono.0.saturating_sub(self.reached.0)));
                    self.steps.step(Input::Timeout, Stamp { mono: self.reached, wall });
                }
                _ => {
                    self.reached = now.mono;
                    return;
                }
            }
        }
        self.reached = now.mono;
        self.steps.step(Input::Timeout, now);
    }

    fn settle(&mut self) {
        let outbox = self.steps.outbox();
        if !outbox.frames.is_empty() {
            self.sink.publish(&mut outbox.frames);
            outbox.frames.clear();
        }
    }

    /// Carries commands out until then; false when told to stop.
    async fn wait_until(&mut self, at: Mono) -> bool {
        let wait = at.since(clock::now().mono);
        if wait > LONG_WAIT {
            info!(seconds = wait.as_secs(), "waiting for the recording's next line; --speed max does not wait");
        }
        loop {
            let command = tokio::select! {
                () = sleep_until(clock::instant_of(at)) => return true,
                command = self.commands.recv(), if !self.unattended => command,
            };
            match command {
                None => self.unattended = true,
                Some(command) => {
                    if !self.carry_out(command) {
                        return false;
                    }
                    self.settle();
                }
            }
        }
    }

    /// Carries out the commands that are there and lets others run; false when told to stop.
    async fn breathe(&mut self) -> bool {
        while let Ok(command) = self.commands.try_recv() {
            if !self.carry_out(command) {
                return false;
            }
        }
        tokio::task::yield_now().await;
        let patience = clock::now().mono.after(READERS_CATCH_UP_WITHIN);
        while self.sink.is_congested() && clock::now().mono < patience {
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        true
    }

    fn carry_out(&mut self, command: Command) -> bool {
        let link = LinkReport { connected: true, connects: self.totals.connect, ..LinkReport::default() };
        let goes_on = carry_out(command, self.steps, &link, self.clock.later(Duration::ZERO));
        self.totals.stopped |= !goes_on;
        goes_on
    }
}

/// Turns a recording's stamps into a clock that never goes back.
#[derive(Clone, Copy, Debug, Default)]
struct FileClock {
    now: Option<Stamp>,
    /// The first stamp, and where the monotonic clock stood then.
    origin: Option<(UnixNanos, Mono)>,
}

impl FileClock {
    /// The time of a line. Without a stamp, the wall clock stays where it is.
    fn at(&mut self, recv: Option<UnixNanos>) -> Stamp {
        let (wall, least) = match self.now {
            None => (UnixNanos::default(), START),
            Some(now) => (now.wall, now.mono.after(STEP)),
        };
        let stamp = match recv {
            None => Stamp { mono: least, wall },
            Some(recv) => {
                let (first, began) = *self.origin.get_or_insert((recv, least));
                let mono = began.after(Duration::from_nanos(recv.0.saturating_sub(first.0))).max(least);
                Stamp { mono, wall: recv }
            }
        };
        self.now = Some(stamp);
        stamp
    }

    /// So much later than the last line.
    fn later(&self, by: Duration) -> Stamp {
        let now = self.now.unwrap_or(Stamp { mono: START, wall: UnixNanos::default() });
        let nanos = u64::try_from(by.as_nanos()).unwrap_or(u64::MAX);
        Stamp { mono: now.mono.after(by), wall: UnixNanos(now.wall.0.saturating_add(nanos)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn speeds_are_read_and_refused() {
        assert_eq!("1".parse(), Ok(Speed::Times(1)));
        assert_eq!("10".parse(), Ok(Speed::Times(10)));
        assert_eq!("max".parse(), Ok(Speed::Max));
        for bad in ["0", "-1", "", "1.5", "Max", "99999999999"] {
            assert!(bad.parse::<Speed>().unwrap_err().contains("max"), "{bad}");
        }
    }

    #[test]
    fn the_clock_follows_the_file_and_never_goes_back() {
        const S: u64 = 1_000_000_000;
        let mut clock = FileClock::default();
        let mut at = |recv: Option<u64>| {
            let stamp = clock.at(recv.map(UnixNanos));
            (stamp.mono.0 - START.0, stamp.wall.0)
        };
        assert_eq!(at(None), (0, 0));
        assert_eq!(at(None), (1000, 0));
        assert_eq!(at(Some(500 * S)), (2000, 500 * S));
        assert_eq!(at(Some(503 * S)), (2000 + 3 * S, 503 * S));
        assert_eq!(at(None), (3000 + 3 * S, 503 * S));
        assert_eq!(at(Some(400 * S)), (4000 + 3 * S, 400 * S), "backwards: only a step");
        assert_eq!(at(Some(505 * S)), (2000 + 5 * S, 505 * S));
        assert!(at(Some(u64::MAX)).0 > 5 * S);
        assert!(at(Some(506 * S)).0 > 5 * S);
    }
}
