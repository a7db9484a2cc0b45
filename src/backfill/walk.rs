//! Which page of a back-fill is next. Pure.

use std::ops::{Range, RangeInclusive};

use super::{Record, Wish};
use crate::model::{Channel, Interval};
use crate::venue::kit::interval::shortest;
use crate::venue::{Endpoint, Page, Params};

const MS: u64 = 1_000_000;
/// Times that the venue may give nothing although it has newer trades.
const EMPTY: u32 = 3;

/// A call, and what it is for.
#[derive(Clone, Debug)]
pub struct Ask {
    /// What is called.
    pub endpoint: &'static Endpoint,
    /// Its parameters.
    pub params: Params,
    /// Which numbers are asked for: ids of trades, begins of candles in nanoseconds.
    pub asked: RangeInclusive<u64>,
    /// For candles, the last millisecond of the page.
    to: u64,
    /// Looks where trades begin or end only: what it gives is not kept.
    seeks: bool,
}

/// Where it is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum At {
    /// Candles that begin from this millisecond on.
    Candle(Interval, u64),
    /// Trades from this time on: their ids are not known yet.
    Time,
    /// The first trade's id is between these, the time of the wish being looked for; the upper end is not known at first.
    Seek(u64, Option<u64>),
    /// Trades from this id on.
    Id(u64),
    /// There was nothing from this id on, or from the begin: whether the venue has newer ones.
    Empty(Option<u64>),
    /// Nothing more.
    Over,
}

/// The way through the wished time.
#[derive(Clone, Debug)]
pub struct Walk {
    at: At,
    /// Nanoseconds since 1970 up to which it has come.
    reached: u64,
    keep: Range<u64>,
    /// How often there was nothing in succession.
    empty: u32,
}

impl Walk {
    /// The way from its begin; `None` where REST does not give it.
    pub fn new(wish: &Wish) -> Option<Self> {
        let given = |page| wish.venue.past(&wish.market, &wish.stream, page, 1, u64::MAX).is_some();
        let at = match wish.stream.channel {
            Channel::Candle(interval) if given(Page::Span { from: 0, to: 0 }) => {
                At::Candle(interval, wish.from.0.div_ceil(MS))
            }
            Channel::Trade if given(Page::From(0)) && given(Page::Since(0)) => At::Time,
            Channel::Trade if given(Page::From(0)) && given(Page::Last) => At::Seek(0, None),
            _ => return None,
        };
        Some(Self { at, reached: wish.from.0, keep: wish.from.0..wish.to.0, empty: 0 })
    }

    /// The call that tells whether the venue has something of the wished time before a file's first record; `None` if that
    /// begins with it.
    pub fn before(wish: &Wish, first: &Record) -> Option<Ask> {
        if first.at() <= wish.from.0 {
            return None;
        }
        let page = match wish.stream.channel {
            Channel::Candle(_) => Page::Span { from: wish.from.0.div_ceil(MS), to: (first.at() / MS).checked_sub(1)? },
            _ => Page::From(first.number()?.checked_sub(1)?),
        };
        let asked = match page {
            Page::From(id) => id..=id,
            _ => wish.from.0..=first.at().saturating_sub(1),
        };
        let (endpoint, params) = wish.venue.past(&wish.market, &wish.stream, page, 1, u64::MAX)?;
        Some(Ask { endpoint, params, asked, to: 0, seeks: true })
    }

    /// Goes on behind a file's last record, even if a later begin is wished: files have no holes of ours. The trade itself is
    /// asked for once more, so that it can be compared.
    pub fn follows(&mut self, last: &Record) {
        match (&mut self.at, last.open_time, last.number()) {
            (At::Candle(_, next), Some(open), _) => *next = open / MS + 1,
            (at @ (At::Time | At::Seek(..)), _, Some(id)) => *at = At::Id(id),
            _ => {}
        }
        self.keep.start = self.keep.start.min(last.at());
        self.reached = last.at();
        if last.at() >= self.keep.end {
            self.at = At::Over;
        }
    }

    /// Nanoseconds since 1970 up to which it has come.
    pub const fn reached(&self) -> u64 {
        self.reached
    }

    /// The next call; `None` when there is none.
    pub fn next(&mut self, wish: &Wish) -> Option<Ask> {
        let past = |page, rows| wish.venue.past(&wish.market, &wish.stream, page, rows, u64::MAX);
        let trades = |page, rows, seeks| {
            let (endpoint, params) = past(page, rows)?;
            let least = if let Page::From(id) = page { id } else { 0 };
            Some(Ask { endpoint, params, asked: least..=u64::MAX, to: 0, seeks })
        };
        match self.at {
            At::Over => None,
            At::Candle(interval, next) => {
                let last = wish.to.0.saturating_sub(1) / MS;
                if next > last {
                    return None;
                }
                let length = u64::try_from(shortest(interval).as_millis()).unwrap_or(u64::MAX).max(1);
                let (endpoint, _) = past(Page::Span { from: next, to: last }, u32::MAX)?;
                let rows = (last - next + 1).div_ceil(length).min(u64::from(endpoint.past?.rows));
                let to = next.saturating_add(rows.saturating_mul(length)).saturating_sub(1).min(last);
                let (endpoint, params) = past(Page::Span { from: next, to }, u32::try_from(rows).unwrap_or(u32::MAX))?;
                let asked = next.saturating_mul(MS)..=to.saturating_add(1).saturating_mul(MS).saturating_sub(1);
                Some(Ask { endpoint, params, asked, to, seeks: false })
            }
            At::Time => trades(Page::Since(wish.from.0.div_ceil(MS)), u32::MAX, false),
            At::Seek(_, None) | At::Empty(_) => trades(Page::Last, 1, true),
            At::Seek(low, Some(high)) => trades(Page::From(low + (high - low) / 2), 1, true),
            At::Id(id) => trades(Page::From(id), u32::MAX, false),
        }
    }

    /// Takes the records of a page, the oldest first; says of which times they are kept.
    ///
    /// # Errors
    /// The venue does not give what it must have.
    pub fn take(&mut self, ask: &Ask, records: &[&Record]) -> Result<Range<u64>, String> {
        if ask.seeks {
            match self.at {
                At::Empty(id) => self.was_empty(id, records)?,
                _ => self.sought(records),
            }
            return Ok(0..0);
        }
        if let At::Candle(interval, _) = self.at {
            self.at = At::Candle(interval, ask.to.saturating_add(1));
            self.reached = ask.to.saturating_add(1).saturating_mul(MS);
            return Ok(self.keep.clone());
        }
        let last = records.last().and_then(|last| Some((last.number()?, last.at())));
        match last {
            Some((id, at)) if at < self.keep.end => {
                self.at = At::Id(id + 1);
                self.reached = self.reached.max(at);
                self.empty = 0;
            }
            None => self.at = At::Empty(if let At::Id(id) = self.at { Some(id) } else { None }),
            Some(_) => {
                self.at = At::Over;
                self.reached = self.keep.end;
            }
        }
        Ok(self.keep.clone())
    }

    /// There was nothing: that is the end, unless the venue has newer ones.
    fn was_empty(&mut self, id: Option<u64>, newest: &[&Record]) -> Result<(), String> {
        let newest = newest.first().and_then(|newest| Some((newest.number()?, newest.at())));
        let has_newer = newest.is_some_and(|(number, at)| id.map_or(at >= self.keep.start, |id| number >= id));
        self.empty += 1;
        match (has_newer, id) {
            (false, _) => {
                self.at = At::Over;
                self.reached = self.keep.end;
            }
            (true, _) if self.empty >= EMPTY => {
                let (newest, _) = newest.unwrap_or_default();
                let from = id.map_or_else(|| "of the wished time".to_owned(), |id| format!("from {id} on"));
                return Err(format!("it gives no trades {from}, although its newest one is {newest}"));
            }
            (true, Some(id)) => self.at = At::Id(id),
            (true, None) => self.at = At::Time,
        }
        Ok(())
    }

    /// Halves what is left of the ids.
    fn sought(&mut self, records: &[&Record]) {
        let At::Seek(low, high) = self.at else { return };
        let found = records.first().and_then(|first| Some((first.number()?, first.at())));
        let from = self.keep.start;
        self.at = match (found, high) {
            // There are no trades at all.
            (None, None) => At::Over,
            (None, Some(high)) => At::Seek(low, Some(low + (high - low) / 2)),
            (Some((id, at)), None) => {
                if at < from {
                    At::Id(id + 1)
                } else {
                    At::Seek(low, Some(id))
                }
            }
            (Some((id, at)), Some(high)) if at < from => At::Seek((id + 1).min(high), Some(high)),
            (Some(_), Some(high)) => At::Seek(low, Some(low + (high - low) / 2)),
        };
        if let At::Seek(low, Some(high)) = self.at
            && low >= high
        {
            self.at = At::Id(low);
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::model::{Stream, UnixNanos};
    use crate::venue::binance::VENUE;

    pub(in crate::backfill) fn wish(market: &str, channel: &str, from_ms: u64, to_ms: u64) -> Wish {
        let spec = (VENUE.parse_channel)(market, channel).unwrap();
        Wish {
            venue: &VENUE,
            market: market.into(),
            stream: Stream { variant: spec.variant, ..Stream::new("X", spec.channel) },
            from: UnixNanos::from_ms(from_ms),
            to: UnixNanos::from_ms(to_ms),
            base: String::new(),
        }
    }

    pub(in crate::backfill) fn record(id: u64, ms: u64, interval: Option<&str>) -> Record {
        let is_candle = interval.is_some();
        Record {
            kind: if is_candle { "candle" } else { "trade" }.to_owned(),
            venue: "binance".to_owned(),
            market: "spot".to_owned(),
            symbol: "X".to_owned(),
            epoch: 1,
            seq: 1,
            interval: interval.map(str::to_owned),
            close_time: None,
            open_time: is_candle.then_some(ms * MS),
            closed: is_candle.then_some(true),
            id: (!is_candle).then(|| id.to_string()),
            ts_event: (!is_candle).then_some(ms * MS),
        }
    }

    #[test]
    fn candles_are_asked_for_in_pages_without_holes() {
        const MINUTE: u64 = 60_000;
        let wish = wish("spot", "candle:1m", 0, 2_500 * MINUTE);
        let mut walk = Walk::new(&wish).unwrap();
        let mut spans = Vec::new();
        while let Some(ask) = walk.next(&wish) {
            let of = |name: &str| {
                let (_, value) = ask.params.iter().find(|(known, _)| known == name).unwrap();
                value.parse::<u64>().unwrap()
            };
            spans.push((of("startTime") / MINUTE, (of("endTime") + 1) / MINUTE, of("limit")));
            walk.take(&ask, &[]).unwrap();
        }
        assert_eq!(spans, [(0, 1_000, 1_000), (1_000, 2_000, 1_000), (2_000, 2_500, 500)]);
        let mut walk = Walk::new(&wish).unwrap();
        walk.follows(&record(0, 2_400 * MINUTE, Some("1m")));
        let ask = walk.next(&wish).unwrap();
        assert!(ask.params.contains(&("startTime".to_owned(), (2_400 * MINUTE + 1).to_string())), "{ask:?}");
        assert!(Walk::new(&self::wish("spot", "ticker", 0, 1)).is_none());
    }

    /// Walks against a venue whose trade `n` happened at `10 × n` ms, from 1,000 on.
    fn ids(market: &str, channel: &str, from_ms: u64, to_ms: u64, behind: Option<u64>) -> (Vec<u64>, usize) {
        let wish = wish(market, channel, from_ms, to_ms);
        let mut walk = Walk::new(&wish).unwrap();
        if let Some(id) = behind {
            walk.follows(&record(id, id * 10, None));
        }
        let (mut kept, mut calls) = (Vec::new(), 0);
        while let Some(ask) = walk.next(&wish) {
            calls += 1;
            let of = |name: &str| -> Option<u64> {
                ask.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.parse().unwrap())
            };
            let first = match (of("fromId"), of("startTime")) {
                (Some(id), _) => id.max(1_000),
                (_, Some(ms)) => ms.div_ceil(10).max(1_000),
                _ => 9_999,
            };
            let rows: Vec<Record> =
                (first..10_000).take(of("limit").unwrap() as usize).map(|id| record(id, id * 10, None)).collect();
            let keep = walk.take(&ask, &rows.iter().collect::<Vec<_>>()).unwrap();
            kept.extend(rows.iter().filter(|row| keep.contains(&row.at())).filter_map(Record::number));
        }
        (kept, calls)
    }

    #[test]
    fn trades_are_walked_by_id_from_the_first_one_of_the_time() {
        let expected: Vec<u64> = (3_000..6_500).collect();
        for (market, channel) in [("spot", "trade:agg"), ("usdm", "trade"), ("spot", "trade")] {
            let (found, calls) = ids(market, channel, 30_000, 65_000, None);
            assert_eq!(found, expected, "{channel}");
            assert!(calls < 25, "{calls} calls");
            let (found, _) = ids(market, channel, 30_000, 65_000, Some(4_999));
            assert_eq!(found, expected[1_999..], "from the last one that is there, to compare it");
            let (found, _) = ids(market, channel, 60_000, 65_000, Some(4_999));
            assert_eq!(found, expected[1_999..], "without a hole before a later begin");
            assert_eq!(ids(market, channel, 30_000, 49_990, Some(4_999)), (Vec::new(), 0), "it is all there");
            let (found, _) = ids(market, channel, 90_000, 1_000_000, None);
            assert_eq!(found, (9_000..10_000).collect::<Vec<_>>(), "to the newest");
            let (found, _) = ids(market, channel, 5, 10_021, None);
            assert_eq!(found, [1_000, 1_001, 1_002], "from the oldest");
            assert_eq!(ids(market, channel, 200_000, 300_000, None).0, [0; 0], "after all");
        }
    }
}
