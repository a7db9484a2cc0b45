//! What one subscriber lost, by topic: bounded, and told to it once. Pure.

use std::collections::HashMap;

use bytes::Bytes;

use super::Frame;
use crate::frame::Loss;
use crate::model::Mono;

/// Topics counted apart; the rest is counted together.
pub const MOST_ROWS: usize = 128;

/// Losses by topic, and of the topics beyond [`MOST_ROWS`] together.
#[derive(Clone, Debug, Default)]
pub struct LossTable {
    rows: HashMap<Bytes, Loss>,
    other: Loss,
}

impl LossTable {
    /// The counts of a topic; what is added there is bounded by itself.
    fn row(&mut self, topic: &Bytes) -> &mut Loss {
        if self.rows.len() >= MOST_ROWS && !self.rows.contains_key(topic) {
            return &mut self.other;
        }
        self.rows.entry(topic.clone()).or_default()
    }

    fn add(&mut self, topic: &Bytes, loss: Loss) {
        merge(self.row(topic), loss);
    }

    fn absorb(&mut self, table: &Self) {
        table.rows.iter().for_each(|(topic, loss)| self.add(topic, *loss));
        merge(&mut self.other, table.other);
    }

    /// The rows, those that lost the most first.
    pub fn rows(&self) -> Vec<(Bytes, Loss)> {
        let mut rows: Vec<_> = self.rows.iter().map(|(topic, loss)| (topic.clone(), *loss)).collect();
        rows.sort_unstable_by(|(a, left), (b, right)| {
            let lost = |loss: &Loss| loss.dropped + loss.conflated;
            lost(right).cmp(&lost(left)).then_with(|| a.cmp(b))
        });
        rows
    }

    /// What was lost of topics that have no row; without `seq`, as they are of several topics.
    pub fn other(&self) -> Loss {
        Loss { first_seq: 0, last_seq: 0, ..self.other }
    }

    /// Frames lost in all: dropped, and conflated.
    pub fn total(&self) -> (u64, u64) {
        let all = || self.rows.values().chain([&self.other]);
        (all().map(|loss| loss.dropped).sum(), all().map(|loss| loss.conflated).sum())
    }
}

fn merge(into: &mut Loss, loss: Loss) {
    into.dropped += loss.dropped;
    into.conflated += loss.conflated;
    if loss.first_seq > 0 && (into.first_seq == 0 || loss.first_seq < into.first_seq) {
        into.first_seq = loss.first_seq;
    }
    into.last_seq = into.last_seq.max(loss.last_seq);
}

/// One subscriber's losses: those it was told of, and those since.
#[derive(Debug, Default)]
pub struct Losses {
    told: LossTable,
    untold: Option<(Mono, LossTable)>,
}

impl Losses {
    /// The frame is gone.
    pub fn dropped(&mut self, frame: &Frame, now: Mono) {
        self.count(frame, now, Loss { dropped: 1, ..Loss::default() });
    }

    /// A newer frame took its place.
    pub fn conflated(&mut self, frame: &Frame, now: Mono) {
        self.count(frame, now, Loss { conflated: 1, ..Loss::default() });
    }

    fn count(&mut self, frame: &Frame, now: Mono, loss: Loss) {
        let (_, table) = self.untold.get_or_insert_with(|| (now, LossTable::default()));
        table.add(&frame.topic, Loss { first_seq: frame.seq, last_seq: frame.seq, ..loss });
    }

    /// What is to be told now, and since when: it counts as told from here on.
    pub fn take_untold(&mut self) -> Option<(Mono, LossTable)> {
        let untold = self.untold.take()?;
        self.told.absorb(&untold.1);
        Some(untold)
    }

    /// All losses.
    pub fn all(&self) -> LossTable {
        let mut all = self.told.clone();
        if let Some((_, untold)) = &self.untold {
            all.absorb(untold);
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Retain;

    fn frame(topic: usize, seq: u64) -> Frame {
        Frame { topic: format!("t.{topic:03}.").into(), payload: Bytes::new(), retain: Retain::Stream, seq }
    }

    #[test]
    fn rows_are_bounded_and_nothing_is_left_uncounted() {
        let mut losses = Losses::default();
        for topic in 0..2 * MOST_ROWS {
            for seq in 1..=3 {
                losses.dropped(&frame(topic, seq), Mono(5));
            }
            losses.conflated(&frame(topic, 4), Mono(6));
        }
        let (since, untold) = losses.take_untold().unwrap();
        assert_eq!((since, untold.rows().len()), (Mono(5), MOST_ROWS));
        let row = Loss { dropped: 3, conflated: 1, first_seq: 1, last_seq: 4 };
        assert_eq!(untold.rows()[0], (Bytes::from_static(b"t.000."), row));
        let rows = MOST_ROWS as u64;
        assert_eq!(untold.other(), Loss { dropped: 3 * rows, conflated: rows, ..Loss::default() });
        assert_eq!(untold.total(), (6 * rows, 2 * rows));
        assert!(losses.take_untold().is_none());
        losses.dropped(&frame(0, 9), Mono(7));
        assert_eq!(losses.all().rows()[0].1, Loss { dropped: 4, conflated: 1, first_seq: 1, last_seq: 9 });
        assert_eq!(losses.all().total(), (6 * rows + 1, 2 * rows));
    }
}
