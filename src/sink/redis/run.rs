//! The sink's task: takes bursts of frames from the bus and writes them, connects again when that fails, and sees to it
//! that what Redis holds is right afterwards.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{MissedTickBehavior, interval, sleep, timeout};
use tracing::{debug, info, warn};

use super::connection::{Connection, Failure, Identity, Outcome};
use super::layout::batch::Batch;
use super::layout::{Layout, Told};
use super::options::RedisOptions;
use super::stats::RedisStats;
use crate::bus::LocalSubscriber;
use crate::clock;
use crate::frame::Frame;
use crate::io::backoff::{self, Backoff, BackoffLimits};
use crate::log_limit::LogLimit;
use crate::model::Mono;

/// What a subscriber is told of its losses.
const NOTICE: &[u8] = b"notice.loss.";
/// A connection without data is asked whether it lives.
const PING_EVERY: Duration = Duration::from_secs(5);
/// Between two bursts: what comes meanwhile is written together, so that a frame at a time does not cost a round trip each,
/// and subscribers of the bus are served first.
const GATHER: Duration = Duration::from_millis(2);
/// Between two times that everything current is written anew, because something was lost or refused.
const RENEW_AFTER: Duration = Duration::from_secs(2);
const RENEW_AFTER_AT_MOST: Duration = Duration::from_secs(60);
/// How often a burst is tried before it is given up.
const TRIES: u32 = 2;
/// How long the last frames may take to come when the gateway ends.
const LAST_FRAMES: Duration = Duration::from_millis(20);

/// Redis is one hop away and has no rules about dialing, so it is tried again soon.
const BACKOFF: BackoffLimits = BackoffLimits {
    first: Duration::from_millis(100),
    longest: Duration::from_secs(5),
    stable_after: Duration::from_secs(10),
    policy: Duration::ZERO,
    refused: Duration::ZERO,
};

/// Everything the task owns.
pub(super) struct Run {
    options: Arc<RedisOptions>,
    subscriber: LocalSubscriber,
    layout: Box<dyn Layout>,
    told: mpsc::Receiver<Told>,
    stop: watch::Receiver<bool>,
    stats: Arc<RedisStats>,
    frames: Vec<Arc<Frame>>,
    /// What is to be written, of how many frames, and how often it was tried.
    batch: Batch,
    of_frames: usize,
    tries: u32,
    former: Option<Identity>,
    renewal: Renewal,
    unreadable: LogLimit,
    refusals: LogLimit,
}

/// When everything current is to be written anew.
struct Renewal {
    due: bool,
    last: Mono,
    wait: Duration,
}

/// Why a connection is no longer served.
enum End {
    Stopped,
    Lost(Failure),
}

impl Run {
    pub(super) fn new(
        options: Arc<RedisOptions>,
        subscriber: LocalSubscriber,
        layout: Box<dyn Layout>,
        told: mpsc::Receiver<Told>,
        stop: watch::Receiver<bool>,
        stats: Arc<RedisStats>,
    ) -> Self {
        let limit = LogLimit::new(1, Duration::from_secs(10));
        Self {
            options,
            subscriber,
            layout,
            told,
            stop,
            stats,
            frames: Vec::new(),
            batch: Batch::default(),
            of_frames: 0,
            tries: 0,
            former: None,
            renewal: Renewal { due: false, last: Mono(0), wait: RENEW_AFTER },
            unreadable: limit,
            refusals: limit,
        }
    }

    /// Runs until it is told to stop.
    pub(super) async fn run(mut self) {
        let mut backoff = Backoff::new(BACKOFF);
        let mut log = LogLimit::new(1, Duration::from_secs(60));
        loop {
            let mut stop = self.stop.clone();
            let opened = tokio::select! {
                opened = Connection::open(&self.options, self.former.as_ref()) => opened,
                () = stopped(&mut stop) => return,
            };
            let failure = match opened {
                Ok((connection, clean)) => {
                    backoff.connected(clock::mono());
                    match self.serve(connection, clean, &mut backoff).await {
                        End::Stopped => return,
                        End::Lost(failure) => failure,
                    }
                }
                Err(failure) => failure,
            };
            let text = failure.to_string();
            self.stats.failed(&text);
            let wait = backoff.failed(backoff::Failure::Passing, fastrand::f64());
            if let Some(more) = log.pass(clock::mono()) {
                warn!(redis = %self.options.location, error = text, more, "Redis sink not connected");
            }
            tokio::select! {
                () = sleep(wait) => {}
                () = stopped(&mut stop) => return,
            }
        }
    }

    async fn serve(&mut self, mut connection: Connection, clean: bool, backoff: &mut Backoff) -> End {
        self.former = connection.identity().cloned();
        let first = self.stats.connects.fetch_add(1, Ordering::Relaxed) == 0;
        self.stats.connected.store(true, Ordering::Relaxed);
        info!(redis = %self.options.location, "Redis sink connected");
        self.layout.connected(&mut self.batch);
        if !first {
            self.renew();
        }
        self.renewal.due |= !clean;
        let served = self.exchange(&mut connection, backoff).await;
        let Err(failure) = served else { return End::Stopped };
        End::Lost(failure)
    }

    /// Writes burst after burst, until it is told to stop.
    async fn exchange(&mut self, connection: &mut Connection, backoff: &mut Backoff) -> Result<(), Failure> {
        let mut pings = interval(PING_EVERY);
        pings.set_missed_tick_behavior(MissedTickBehavior::Delay);
        pings.reset();
        let mut stop = self.stop.clone();
        loop {
            self.write(connection).await?;
            backoff.good_data(clock::mono());
            self.renew_if_due();
            if self.batch.is_empty() {
                sleep(GATHER).await;
            }
            tokio::select! {
                Some(told) = self.told.recv() => self.layout.tell(told, &mut self.batch),
                () = self.subscriber.next(&mut self.frames) => self.take_frames(),
                _ = pings.tick() => self.batch.simple("PING", &[]),
                () = stopped(&mut stop) => return self.finish(connection).await,
            }
        }
    }

    /// Writes what is still queued, and that the gateway ends.
    async fn finish(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        while timeout(LAST_FRAMES, self.subscriber.next(&mut self.frames)).await.is_ok() {
            self.take_frames();
            self.write(connection).await?;
        }
        while let Ok(told) = self.told.try_recv() {
            self.layout.tell(told, &mut self.batch);
        }
        self.layout.ended(&mut self.batch);
        self.write(connection).await
    }

    /// Turns the frames that were taken into commands.
    fn take_frames(&mut self) {
        let now = clock::now();
        for frame in self.frames.drain(..) {
            if frame.topic == NOTICE {
                self.renewal.due = true;
            }
            match self.layout.frame(&frame, now, &mut self.batch) {
                Ok(()) => self.of_frames += 1,
                Err(error) => {
                    RedisStats::add(&self.stats.unreadable_frames, 1);
                    if let Some(more) = self.unreadable.pass(now.mono) {
                        let topic = String::from_utf8_lossy(&frame.topic).into_owned();
                        warn!(topic, %error, more, "Frame cannot be written to Redis");
                    }
                }
            }
        }
    }

    /// Writes the batch. If that fails it is kept for the next connection, but not for ever: it may be what fails.
    async fn write(&mut self, connection: &mut Connection) -> Result<(), Failure> {
        if self.batch.is_empty() {
            // Frames that ask for nothing are written by doing nothing.
            self.written();
            return Ok(());
        }
        self.tries += 1;
        match connection.execute(&self.batch, self.options.deadline).await {
            Ok(outcome) => {
                self.look(&outcome);
                self.written();
                Ok(())
            }
            Err(failure) => {
                if self.tries >= TRIES {
                    RedisStats::add(&self.stats.lost_frames, self.of_frames);
                    self.forget_batch();
                }
                Err(failure)
            }
        }
    }

    fn written(&mut self) {
        RedisStats::add(&self.stats.frames, self.of_frames);
        self.forget_batch();
    }

    fn forget_batch(&mut self) {
        self.batch.clear();
        (self.of_frames, self.tries) = (0, 0);
    }

    fn look(&mut self, outcome: &Outcome) {
        RedisStats::add(&self.stats.commands, self.batch.len() - outcome.refused.min(self.batch.len()));
        RedisStats::add(&self.stats.refused, outcome.refused);
        let Some(error) = &outcome.first else { return };
        self.renewal.due = true;
        self.renewal.wait = self.renewal.wait.saturating_mul(2).min(RENEW_AFTER_AT_MOST);
        if let Some(more) = self.refusals.pass(clock::mono()) {
            warn!(redis = %self.options.location, commands = outcome.refused, error, more, "Redis refused commands");
        }
    }

    fn renew_if_due(&mut self) {
        let now = clock::mono();
        let since = now.since(self.renewal.last);
        if self.renewal.due && since >= self.renewal.wait {
            self.renew();
        } else if since >= RENEW_AFTER_AT_MOST {
            self.renewal.wait = RENEW_AFTER;
        }
    }

    /// Has everything current written anew, and takes away what is current no more. What is queued comes before.
    fn renew(&mut self) {
        debug!("Everything current is written to Redis anew");
        self.renewal.due = false;
        self.renewal.last = clock::mono();
        self.subscriber.rejoin();
        let kept: HashSet<_> = self.subscriber.kept_topics().into_iter().collect();
        self.layout.forget_missing(&kept, &mut self.batch);
    }
}

async fn stopped(stop: &mut watch::Receiver<bool>) {
    // An error would mean that whoever could say so is gone, which says it too.
    drop(stop.wait_for(|stop| *stop).await);
}
