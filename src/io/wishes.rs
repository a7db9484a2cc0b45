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

    /// Those who wait for the opposite are overtaken: what they see is a stream that was left.
    fn wait(&mut self, id: StreamId, waiting: Waiting) {
        let askers = self.waiting.entry(id).or_default();
        askers.retain(|asker| {
            let overtaken = asker.leaves != waiting.leaves;
            if overtaken {
                answer(&asker.reply, asker.at, Settled::Unsubscribed);
            }
            !overtaken
        });
        askers.push(waiting);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Frame;
    use crate::model::Channel;
    use crate::pipeline::{FeedReport, Outbox};
    use crate::venue::{Input, Timer};

    /// A feed whose venue never answers by itself.
    struct Silent(Outbox);

    impl Steps for Silent {
        fn step(&mut self, _: Input<'_>, _: Stamp) {}
        fn subscribe(&mut self, _: &Stream, _: Stamp) -> Result<(StreamId, bool), String> {
            Ok((StreamId(1), false))
        }
        fn unsubscribe(&mut self, _: &Stream, _: Stamp) -> Option<StreamId> {
            Some(StreamId(1))
        }
        fn outbox(&mut self) -> &mut Outbox {
            &mut self.0
        }
        fn next_timeout(&self) -> Option<Timer> {
            None
        }
        fn snapshot(&mut self, _: &str) -> Option<Frame> {
            None
        }
        fn resync(&mut self, _: &str, _: Stamp) -> bool {
            false
        }
        fn shut_down(&mut self, _: Stamp) {}
        fn report(&self) -> FeedReport {
            FeedReport::default()
        }
    }

    #[test]
    fn the_venues_answer_goes_to_whom_it_is_for_and_the_overtaken_do_not_wait() {
        let (mut wishes, mut feed, now) = (Wishes::default(), Silent(Outbox::default()), Stamp::default());
        let streams = [Stream::new("A", Channel::Trade)];
        let [(in_1, mut first), (in_2, mut second), (in_3, mut third)] = std::array::from_fn(|_| mpsc::channel(1));
        wishes.subscribe(&streams, &in_1, &mut feed, now);
        assert!(first.try_recv().is_err());
        wishes.unsubscribe(&streams, &in_2, &mut feed, now);
        assert_eq!(first.try_recv().map(|answered| answered.settled), Ok(Settled::Unsubscribed));
        wishes.subscribe(&streams, &in_3, &mut feed, now);
        assert_eq!(second.try_recv().map(|answered| answered.settled), Ok(Settled::Unsubscribed));
        wishes.settle([(StreamId(1), Settled::Unsubscribed)].into_iter());
        assert!(third.try_recv().is_err(), "that was for the one before");
        wishes.settle([(StreamId(1), Settled::Subscribed)].into_iter());
        assert_eq!(third.try_recv(), Ok(Answered { at: 0, settled: Settled::Subscribed }));
        assert!(wishes.waiting.is_empty());
    }
}
