//! One subscriber's connection: its subscriptions go to the hub, its queue goes to its socket.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::sync::Notify;
use tokio::task::yield_now;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::Frame;
use super::burst::{Burst, MAX_SLICES};
use super::connection::{Connection, Greeted, READ_BYTES};
use super::faults::Fault;
use super::heartbeat::{Beat, Heartbeat};
use super::hub::{Guest, Taken};
use super::listener::Draining;
use super::losses::LossTable;
use super::place::Place;
use super::publisher::Shared;
use crate::clock;
use crate::model::Mono;
use crate::zmtp::{self, Command, Decoder, Encoder, Peer, Role};

/// Frames taken from the queue for one burst. What was taken can no longer be conflated, and is held until written.
pub(super) const BURST_FRAMES: usize = 1024;
/// Bytes at which a burst is large enough: more per call gains nothing.
pub(super) const BURST_BYTES: usize = 128 * 1024;

/// Serves one connection, which came in at the endpoint with this number, until it ends.
pub(super) async fn serve(shared: Arc<Shared>, connection: Connection, endpoint: usize) -> Result<(), Fault> {
    let options = &shared.options;
    let mut draining = shared.door.draining();
    let greeted = tokio::select! {
        greeted = connection.handshake(Role::PUBLISHER, options.max_frame, &options.security, options.handshake) => greeted?,
        () = draining.begun() => return Ok(()),
    };
    let Greeted { peer, decoder, encoder, .. } = greeted;
    let guest = Guest {
        peer: connection.peer().to_string(),
        since: clock::wall(),
        policy: shared.policy_of(endpoint),
        local: None,
    };
    let Some((id, wake)) = shared.hub().join(guest) else { return Err(Fault::Full(options.max_subscribers)) };
    let mut place = Place::new(Arc::clone(&shared), id);
    let subscriber = Subscriber {
        place: &place,
        connection: &connection,
        peer,
        decoder,
        encoder,
        heartbeat: Heartbeat::new(options.heartbeat, peer.minor),
        burst: Burst::default(),
        frames: Vec::new(),
        commands: Vec::new(),
        pong: None,
        notices: 0,
    };
    let ended = subscriber.run(&wake, draining).await;
    place.leave().await;
    if ended.is_ok() {
        connection.finish().await;
    }
    ended
}

struct Subscriber<'a> {
    place: &'a Place,
    connection: &'a Connection,
    peer: Peer,
    decoder: Decoder,
    encoder: Encoder,
    heartbeat: Heartbeat,
    burst: Burst,
    frames: Vec<Arc<Frame>>,
    /// Commands to send before the next frames.
    commands: Vec<u8>,
    /// The PONG to send: only the latest, so that a peer that sends PINGs and never reads gains nothing.
    pong: Option<Vec<u8>>,
    /// Notices sent.
    notices: u64,
}

impl Subscriber<'_> {
    /// Runs until the peer leaves (`Closed`), breaks a rule, or all is sent while draining (`Ok`).
    async fn run(mut self, wake: &Notify, mut draining: Draining) -> Result<(), Fault> {
        let mut looks = self.looks();
        let mut buffer = vec![0; READ_BYTES];
        self.take_commands()?;
        loop {
            self.fill().await?;
            if self.burst.is_done() && draining.has_begun() {
                return Ok(());
            }
            tokio::select! {
                read = self.connection.read(&mut buffer) => {
                    let count = read?;
                    self.decoder.feed(&buffer[..count]);
                    self.take_commands()?;
                }
                writable = self.connection.writable(), if !self.burst.is_done() => {
                    writable.map_err(|_| Fault::Closed)?;
                    self.write()?;
                }
                () = wake.notified() => self.check_slow()?,
                _ = looks.tick() => self.look()?,
                () = draining.begun(), if self.burst.is_done() => {}
            }
        }
    }

    fn looks(&self) -> Interval {
        let mut looks = interval(self.place.shared().options.heartbeat.check_every());
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        looks.reset();
        looks
    }

    /// Takes the next frames from the queue, if the last burst is through.
    async fn fill(&mut self) -> Result<(), Fault> {
        if !self.burst.is_done() {
            return Ok(());
        }
        let lost = loop {
            let (taken, lost) = {
                let (mut hub, id) = (self.place.hub(), self.place.id());
                (hub.take(id, &mut self.frames, BURST_FRAMES, BURST_BYTES), hub.take_losses(id))
            };
            match taken {
                Taken::Slow(slow) => return Err(Fault::Slow(slow)),
                Taken::Again if lost.is_none() => yield_now().await,
                _ => break lost,
            }
        };
        if let Some((since, losses)) = lost {
            self.add_notice(since, &losses);
        }
        if let Some(context) = self.pong.take() {
            self.encoder.put_pong(&mut self.commands, &context);
        }
        self.place.shared().frames_sent.fetch_add(self.frames.len() as u64, Ordering::Relaxed);
        self.burst.fill(&self.commands, &mut self.frames, &mut self.encoder);
        self.commands.clear();
        Ok(())
    }

    /// Says what was lost, before the frames that were taken and came after it. It takes no place in the queue.
    fn add_notice(&mut self, since: Mono, losses: &LossTable) {
        self.notices += 1;
        self.frames.insert(0, Arc::new(self.place.notice(self.notices, since, losses)));
    }

    fn write(&mut self) -> Result<(), Fault> {
        let mut slices = [IoSlice::new(&[]); MAX_SLICES];
        let count = self.burst.slices(&mut slices);
        let written = self.connection.try_write(&slices[..count])?;
        self.burst.advance(written);
        self.heartbeat.busy();
        self.place.shared().bytes_sent.fetch_add(written as u64, Ordering::Relaxed);
        Ok(())
    }

    fn check_slow(&self) -> Result<(), Fault> {
        let now = clock::now().mono;
        self.place.hub().check_slow(self.place.id(), now).map_or(Ok(()), |slow| Err(Fault::Slow(slow)))
    }

    fn look(&mut self) -> Result<(), Fault> {
        // A key may have been taken off the list since the peer showed it.
        if !self.place.shared().options.security.still_allows(self.peer.key.as_ref()) {
            return Err(Fault::Revoked);
        }
        self.check_slow()?;
        if !self.burst.is_done() {
            self.heartbeat.busy();
        }
        match self.heartbeat.look() {
            Beat::Wait => {}
            Beat::Ping => self.encoder.put_ping(&mut self.commands, 0),
            Beat::Dead => return Err(Fault::Silent(self.place.shared().options.heartbeat.drop_after)),
        }
        Ok(())
    }

    /// Does what the peer's complete frames say.
    fn take_commands(&mut self) -> Result<(), Fault> {
        self.heartbeat.heard();
        while let Some(frame) = self.decoder.next_frame()? {
            let command =
                if frame.command { zmtp::parse_command(frame.body)? } else { zmtp::parse_subscription(frame.body) };
            match command {
                Command::Subscribe(prefix) => self.place.hub().subscribe(self.place.id(), prefix)?,
                Command::Cancel(prefix) => self.place.hub().cancel(self.place.id(), prefix),
                Command::Ping { context, .. } => self.pong = Some(context.to_vec()),
                Command::Error(_) => return Err(Fault::Closed),
                Command::Ready(_) | Command::Pong | Command::Other => {}
            }
        }
        Ok(())
    }
}
