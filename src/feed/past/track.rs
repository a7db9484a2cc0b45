//! What one stream has shown of candles and trades, and which part of its past is missing since.

use std::time::Duration;

use super::Backfill;
use super::hole::{Gap, Hole};
use crate::feed::closed::Closed;
use crate::model::{Interval, Mono, StreamId, UnixNanos};
use crate::venue::kit::interval::{earlier, longest};

/// A candle whose end was not told is asked for so long after the next one began: mostly its end is only late.
const LATE: Duration = Duration::from_secs(2);
/// Room for an id before the first one is known, so that following trades takes no memory.
const ID_ROOM: usize = 48;

/// What a stream has shown so far.
#[derive(Debug, Default)]
pub(in crate::feed) struct Track {
    /// Begin of the newest candle.
    candle: Option<u64>,
    /// The last trade's id; empty before the first.
    trade: String,
    /// Whether the trades after it are known to go on from it.
    goes_on: bool,
    /// Whether the candles do.
    candles_go_on: bool,
}

impl Track {
    /// The connection is gone, or something was lost: what comes next may not follow on what came last.
    pub(in crate::feed) const fn interrupted(&mut self) {
        self.goes_on = false;
        self.candles_go_on = false;
    }

    /// A candle came. What is missing before it, in nanoseconds, if something is: from the first one that is not known to
    /// have ended, or from as far back as is wished.
    pub(in crate::feed) fn candle(
        &mut self,
        stream: StreamId,
        (open_time, interval): (u64, Interval),
        closed: &Closed,
        wished: Backfill,
        now: Mono,
    ) -> Option<Hole> {
        if wished.candles == 0 || self.candle.is_some_and(|known| known > open_time) {
            return None;
        }
        let known = self.candle;
        if std::mem::replace(&mut self.candles_go_on, true) && known.is_none_or(|known| known == open_time) {
            self.candle = Some(open_time);
            return None;
        }
        self.candle = Some(open_time);
        let length = u64::try_from(longest(interval).as_nanos()).unwrap_or(u64::MAX);
        let oldest = earlier(UnixNanos(open_time), interval, wished.candles).0;
        let from = known.map_or(oldest, |known| known.max(oldest));
        let beyond = known.is_some_and(|known| known < oldest);
        // Nothing lies between an ended one and the next.
        let is_whole = from.saturating_add(length) >= open_time && closed.contains(from);
        let hole = Hole::new(stream, Gap::Candles { next: from, end: open_time, interval }, now).opens(known.is_none());
        let hole = if known.is_some() { hole.not_before(now.after(LATE)) } else { hole };
        (from < open_time && !is_whole).then_some(hole.beyond(beyond))
    }

    /// A trade came. What is missing between the last one before an interruption and it, if anything is.
    pub(in crate::feed) fn trade(&mut self, stream: StreamId, id: &str, wished: Backfill, now: Mono) -> Option<Hole> {
        if wished.trades == 0 {
            return None;
        }
        let follows = std::mem::replace(&mut self.goes_on, true) || self.trade.is_empty();
        let gap = || Gap::Between { last: self.trade.as_str().into(), first: id.into(), most: wished.trades };
        let hole = (!follows && self.trade != id).then(|| Hole::new(stream, gap(), now));
        if self.trade.capacity() == 0 {
            self.trade.reserve(ID_ROOM);
        }
        self.trade.clear();
        self.trade.push_str(id);
        hole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: StreamId = StreamId(3);
    const MINUTE: Interval = Interval { count: 1, unit: 'm' };
    const NS: u64 = 60_000_000_000;
    const WISHED: Backfill = Backfill { candles: 10, trades: 100 };
    const NOW: Mono = Mono(0);

    fn candles(hole: Option<Hole>) -> Option<(u64, u64, bool)> {
        hole.map(|hole| match hole.gap {
            Gap::Candles { next, end, .. } => (next / NS, end / NS, hole.beyond),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn candles_are_missing_at_the_start_and_after_an_interruption() {
        let (mut track, mut closed) = (Track::default(), Closed::default());
        let mut see = |track: &mut Track, minute: u64, ends: bool| {
            let hole = track.candle(STREAM, (minute * NS, MINUTE), &closed, WISHED, NOW);
            closed.admits(minute * NS, ends);
            candles(hole)
        };
        assert_eq!(see(&mut track, 100, false), Some((90, 100, false)), "the last ten");
        assert_eq!(see(&mut track, 100, true), None);
        assert_eq!(see(&mut track, 101, false), None, "it follows on an ended one");
        assert_eq!(see(&mut track, 102, false), Some((101, 102, false)), "101 was not told to have ended");
        track.interrupted();
        assert_eq!(see(&mut track, 102, false), None, "the same one goes on");
        track.interrupted();
        assert_eq!(see(&mut track, 105, true), Some((102, 105, false)), "it ended meanwhile, and others did");
        track.interrupted();
        assert_eq!(see(&mut track, 106, false), None, "nothing is between");
        track.interrupted();
        assert_eq!(see(&mut track, 200, false), Some((190, 200, true)), "as many as are wished");
        assert_eq!(see(&mut track, 199, true), None, "an old one changes nothing");
        assert_eq!(see(&mut track, 200, true), None);
        let none = Backfill { candles: 0, ..WISHED };
        assert!(Track::default().candle(STREAM, (NS, MINUTE), &closed, none, NOW).is_none());
    }

    #[test]
    fn trades_are_missing_after_an_interruption_only() {
        let mut track = Track::default();
        let see = |track: &mut Track, id: &str| {
            track.trade(STREAM, id, WISHED, NOW).map(|hole| match hole.gap {
                Gap::Between { last, first, most: 100 } => (last.into_string(), first.into_string()),
                other => panic!("{other:?}"),
            })
        };
        assert_eq!((see(&mut track, "50"), see(&mut track, "51"), see(&mut track, "60")), (None, None, None));
        track.interrupted();
        assert_eq!(see(&mut track, "60"), None, "the same again");
        track.interrupted();
        track.interrupted();
        assert_eq!(see(&mut track, "a-b"), Some(("60".to_owned(), "a-b".to_owned())));
        assert_eq!(see(&mut track, "c"), None);
        track.interrupted();
        assert!(track.trade(STREAM, "d", Backfill::default(), NOW).is_none(), "none are wished");
    }
}
