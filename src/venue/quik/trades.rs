//! Trades: from `OnAllTrade`, or from the table of all trades while that event does not come. Each is told once.

use std::collections::HashMap;
use std::time::Duration;

use serde::Deserialize;

use super::reply::{self, Integer, Reply, shown};
use super::rpc::Machine;
use super::seen::Seen;
use super::table::Table;
use super::time::DateTime;
use crate::model::{Channel, Clocks, Mono, Side, Stamp, Stream, StreamId, UnixNanos};
use crate::venue::kit::fields::{Number, Object, Text};
use crate::venue::{Ignored, Output, TerminalSpec, Timer, TradeUpdate, Update};

/// A stream says at most this often that a trade of it could not be read; the others are counted.
const COMPLAIN_EVERY: Duration = Duration::from_secs(1);
/// Bits of `flags`: who took. Higher bits mean other things.
const SALE: i64 = 1;
const PURCHASE: i64 = 2;

/// An anonymous trade, as an event and as a row of the table (where every value is a text).
#[derive(Debug, Deserialize)]
struct Trade<'a> {
    #[serde(borrow)]
    class_code: Text<'a>,
    #[serde(borrow)]
    sec_code: Text<'a>,
    #[serde(borrow, default)]
    trade_num: Option<Number<'a>>,
    #[serde(borrow, default)]
    flags: Option<Number<'a>>,
    #[serde(borrow, default)]
    price: Option<Number<'a>>,
    #[serde(borrow, default)]
    qty: Option<Number<'a>>,
    #[serde(borrow, default)]
    datetime: Option<Object<DateTime<'a>>>,
}

/// The trades of a feed.
#[derive(Clone, Debug)]
pub(super) struct Trades {
    market: String,
    discover: bool,
    streams: HashMap<String, StreamId>,
    seen: Seen,
    /// Trades from before the connection stood are a replay.
    since: UnixNanos,
    complained: HashMap<StreamId, Mono>,
    table: Table,
}

impl Trades {
    pub(super) fn new(market: &str, streams: &[Stream], terminal: &TerminalSpec, discover: bool) -> Self {
        let ids = (0..).zip(streams).filter(|(_, stream)| stream.channel == Channel::Trade);
        let streams: HashMap<_, _> = ids.map(|(at, stream)| (stream.symbol.clone(), StreamId(at))).collect();
        Self {
            market: market.to_owned(),
            discover,
            table: Table::new(terminal, !streams.is_empty()),
            streams,
            seen: Seen::default(),
            since: UnixNanos(0),
            complained: HashMap::new(),
        }
    }

    /// A connection stands: what the terminal now sends of the time before is a replay.
    pub(super) fn stands(&mut self, now: Stamp) {
        self.since = now.wall;
    }

    /// The events socket was lost: until events come again the table is read.
    pub(super) fn deaf(&mut self, now: Stamp, out: &mut dyn Output) {
        if self.table.deaf(now) {
            self.broken("the events socket was lost: trades may be missing", out);
        }
    }

    /// An `OnAllTrade` event.
    pub(super) fn event(&mut self, payload: &str, now: Stamp, out: &mut dyn Output) {
        self.table.heard(now);
        self.tell(payload, now, out);
    }

    fn broken(&self, detail: &str, out: &mut dyn Output) {
        for stream in self.streams.values() {
            out.update(Update::Broken { stream: Some(*stream), detail });
        }
    }

    /// Tells a trade, if it is of this feed and new.
    fn tell(&mut self, text: &str, now: Stamp, out: &mut dyn Output) {
        let Ok(Object(trade)) = serde_json::from_str::<Object<Trade<'_>>>(text) else {
            return out.update(Update::Ignored(Ignored::UnknownKind));
        };
        if trade.class_code.0 != self.market {
            return;
        }
        let Some(stream) = self.stream(&trade.sec_code.0, out) else { return };
        if let Err(detail) = self.publish(stream, &trade, now, out) {
            self.complain(stream, &detail, now, out);
        }
    }

    fn stream(&mut self, symbol: &str, out: &mut dyn Output) -> Option<StreamId> {
        let known = self.streams.get(symbol).copied();
        if known.is_some() || !self.discover {
            return known;
        }
        let stream = out.discovered(Stream::new(symbol, Channel::Trade))?;
        self.streams.insert(symbol.to_owned(), stream);
        Some(stream)
    }

    fn publish(&mut self, stream: StreamId, trade: &Trade<'_>, now: Stamp, out: &mut dyn Output) -> Result<(), String> {
        let text = trade.trade_num.ok_or("a trade without a number")?.0;
        let number = match Integer::read(text) {
            Some(Integer::Exact(number)) => number,
            Some(Integer::Inexact(_)) => return Err(format!("trade number {} has lost its last digits", shown(text))),
            None => return Err(format!("trade number {} is no integer", shown(text))),
        };
        let price = reply::decimal(trade.price.ok_or("a trade without a price")?.0)?;
        let size = reply::decimal(trade.qty.ok_or("a trade without a quantity")?.0)?;
        let at = trade.datetime.as_ref().and_then(|at| at.0.utc()).ok_or("a trade without a date and time")?;
        let backfill = at < self.since;
        if !self.seen.admit(stream, at, number, backfill) {
            return Ok(());
        }
        let flags = trade.flags.and_then(|flags| Integer::read(flags.0)?.exact()).unwrap_or(0);
        let side = match (flags & SALE != 0, flags & PURCHASE != 0) {
            (true, false) => Side::Sell,
            (false, true) => Side::Buy,
            _ => Side::Unknown,
        };
        let recv = (now.wall != UnixNanos(0)).then_some(now.wall);
        out.update(Update::Trade(TradeUpdate {
            stream,
            id: &number.to_string(),
            price,
            size,
            side,
            block: None,
            venue_seq: None,
            backfill,
            clocks: Clocks { event: Some(at), venue: None, recv },
        }));
        Ok(())
    }

    /// A trade of this stream is lost.
    fn complain(&mut self, stream: StreamId, detail: &str, now: Stamp, out: &mut dyn Output) {
        let before = self.complained.get(&stream);
        if before.is_some_and(|before| now.mono.since(*before) < COMPLAIN_EVERY) {
            return out.update(Update::Ignored(Ignored::UnknownKind));
        }
        self.complained.insert(stream, now.mono);
        out.update(Update::Broken { stream: Some(stream), detail });
    }
}

impl Machine for Trades {
    fn live(&mut self, now: Stamp, _out: &mut dyn Output) {
        self.stands(now);
        self.table.live(now);
    }

    fn down(&mut self) {
        self.table.down();
    }

    fn answered(&mut self, id: u64, reply: &Reply<'_>, now: Stamp, out: &mut dyn Output) {
        if let Some(detail) = self.table.answered(id, reply, now, out) {
            self.broken(&detail, out);
        }
        while let Some(row) = self.table.next_row() {
            match row {
                Ok(row) => self.tell(&row, now, out),
                Err(detail) => self.broken(&detail, out),
            }
        }
    }

    fn work(&mut self, now: Stamp, out: &mut dyn Output) {
        self.table.work(now, out);
    }

    fn next_timeout(&self) -> Option<Timer> {
        self.table.next_timeout()
    }

    /// Trades have no image to be told again.
    fn resync(&mut self, _stream: StreamId, _now: Stamp, _out: &mut dyn Output) {}

    fn shut_down(&mut self, _out: &mut dyn Output) {
        self.table.down();
    }
}
