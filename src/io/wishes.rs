//! Who waits for the venue's answer to a subscription, or to leaving one, at run time.

use std::collections::HashMap;

use tokio::sync::mpsc;

use super::Steps;
use super::command::Answered;
use crate::model::{Stamp, Stream, StreamId};
use crate::pipeline::Settled;

/// The askers of one feed. Bounded by the streams a feed may have and the commands that may wait for it; askers who are
/// gone are dropped when the next one comes.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    waiting: HashMap<StreamId, Vec<Waiting>>,
}

#[derive(Debug)]
struct Waiting {
    /// The stream's place in the command.
    at: usize,
    /// Whether it is to be left.
    leaves: bool,
    reply: mpsc::Sender<Answered>,
}

impl Wishes {
    /// Subscribes to streams; each is answered by its place.
    pub(super) fn subscribe(
        &mut self,
        streams: &[Stream],
        reply: &mpsc::Sender<Answered>,
        steps: &mut impl Steps,
        now: Stamp,
    ) {
        self.sweep();
        for (at, stream) in streams.iter().enumerate() {
            match steps.subscribe(stream, now) {
                Ok((_, true)) => answer(reply, at, Settled::Subscribed),
                Ok((id, false)) => self.wait(id, Waiting { at, leaves: false, reply: reply.clone() }),
                Err(why) => answer(reply, at, Settled::Rejected(why)),
            }
        }
    }

    /// Leaves streams; each is answered by its place.
    pub(super) fn unsubscribe(
        &mut self,
        streams: &[Stream],
        reply: &mpsc::Sender<Answered>,
        steps: &mut impl Steps,
        now: Stamp,
    ) {
        self.sweep();
        for (at, stream) in streams.iter().enumerate() {
            match steps.unsubscribe(stream, now) {
                Some(id) => self.wait(id, Waiting { at, leaves: true, reply: reply.clone() }),
                None => answer(reply, at, Settled::Unsubscribed),
            }
        }
    }

    fn wait(&mut self, id: StreamId, waiting: Waiting) {
        self.waiting.entry(id).or_default().push(waiting);
    }

    /// Hands on what the venue answered.
    pub(super) fn settle(&mut self, settled: impl Iterator<Item = (StreamId, Settled)>) {
        for (id, settled) in settled {
            let Some(waiting) = self.waiting.get_mut(&id) else { continue };
            let left = settled == Settled::Unsubscribed;
            waiting.retain(|asker| {
                if asker.leaves == left {
                    answer(&asker.reply, asker.at, settled.clone());
                }
                asker.leaves != left
            });
            if waiting.is_empty() {
                self.waiting.remove(&id);
            }
        }
    }

    fn sweep(&mut self) {
        self.waiting.retain(|_, askers| {
            askers.retain(|asker| !asker.reply.is_closed());
            !askers.is_empty()
        });
    }
}

/// There is room for one answer a stream.
fn answer(reply: &mpsc::Sender<Answered>, at: usize, settled: Settled) {
    let _ = reply.try_send(Answered { at, settled });
}
