//! A subscribed candle stream: what of a series is published, each candle closed once.

use super::bars::{Bar, Span, Tail};
use super::question::Want;
use crate::model::{Clocks, Interval, Stamp, StreamId};
use crate::venue::{CandleUpdate, Output, Update};

/// Candles published when a stream begins, the forming one included.
const BEGIN_WITH: usize = 10;
/// Most candles that are made up for after the terminal was away.
const RESUME_MAX: usize = 500;

/// One stream.
#[derive(Clone, Debug)]
pub(super) struct Candles {
    pub(super) stream: StreamId,
    interval: Interval,
    /// The last bar published, and whether as closed.
    last: Option<(Bar, bool)>,
    /// Nothing was published since the terminal came up.
    resuming: bool,
}

impl Candles {
    pub(super) const fn new(stream: StreamId, interval: Interval) -> Self {
        Self { stream, interval, last: None, resuming: true }
    }

    /// The terminal came up: what was missed is a backfill.
    pub(super) const fn live(&mut self) {
        self.resuming = true;
    }

    /// The forming candle is published again even if it is as before.
    pub(super) const fn publish_anyway(&mut self) {
        // As closed it would not be told again.
        if let Some((bar, false)) = self.last {
            self.last = Some((Bar::unlike_any(bar.open_time), false));
        }
    }

    /// The bars it needs: from the last one published on.
    pub(super) fn want(&self) -> Want {
        match &self.last {
            Some((bar, _)) => Want::since(bar.open_time, RESUME_MAX),
            None => Want::last(BEGIN_WITH),
        }
    }

    /// Publishes what is new: every candle that has a next one as closed, once, and the last one when it changed.
    pub(super) fn publish(&mut self, tail: &Tail, span: Span, now: Stamp, out: &mut dyn Output) {
        if std::mem::take(&mut self.resuming) {
            // There may be nothing new to publish: the stream is live all the same.
            out.update(Update::Subscribed(self.stream));
            self.publish_from(tail, span, true, now, out);
        } else {
            self.publish_from(tail, span, false, now, out);
        }
    }

    fn publish_from(&mut self, tail: &Tail, span: Span, backfill: bool, now: Stamp, out: &mut dyn Output) {
        let most = if self.last.is_some() { RESUME_MAX } else { BEGIN_WITH };
        let known = self.last.as_ref().map_or(0, |(bar, _)| tail.before(Some(bar.open_time)));
        let skip = tail.len().saturating_sub(most).max(known);
        let newest = tail.len().saturating_sub(1);
        for (at, bar) in tail.bars().enumerate().skip(skip) {
            let closed = at < newest;
            let is_new = match &self.last {
                None => true,
                Some((last, _)) if bar.open_time != last.open_time => bar.open_time > last.open_time,
                Some((_, true)) => false,
                Some((last, false)) => closed || bar != last,
            };
            if is_new {
                self.last = Some((*bar, closed));
                self.tell(bar, span, closed, backfill && closed, now, out);
            }
        }
    }

    fn tell(&self, bar: &Bar, span: Span, closed: bool, backfill: bool, now: Stamp, out: &mut dyn Output) {
        let [open, high, low, close, volume] = bar.texts();
        out.update(Update::Candle(CandleUpdate {
            stream: self.stream,
            interval: self.interval,
            open_time: bar.open_time,
            close_time: span.close_time(bar.open_time),
            open: &open,
            high: &high,
            low: &low,
            close: &close,
            volume: &volume,
            turnover: None,
            closed,
            backfill,
            clocks: Clocks { recv: Some(now.wall), ..Clocks::default() },
        }));
    }
}
