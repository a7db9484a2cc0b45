//! One instrument's parameters as they stand, and what of them is published: the ticker, and the best bid and offer.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::QUOTE;
use super::value::{Reading, plain};
use crate::book::SyncRule;
use crate::model::{Channel, Clocks, Decimal, Level, Stamp, Stream, StreamId};
use crate::venue::{BookUpdate, Output, TickerField, TickerUpdate, Update};

/// Parameters with a field of their own in the ticker. What is of 24 hours elsewhere is of the trading day here.
const FIELDS: [(&str, TickerField); 11] = [
    ("LAST", TickerField::Last),
    ("NUMCONTRACTS", TickerField::OpenInterest),
    ("BID", TickerField::BidPrice),
    ("BIDDEPTH", TickerField::BidSize),
    ("OFFER", TickerField::AskPrice),
    ("OFFERDEPTH", TickerField::AskSize),
    ("HIGH", TickerField::High24h),
    ("LOW", TickerField::Low24h),
    ("OPEN", TickerField::Open24h),
    ("VOLTODAY", TickerField::Volume24h),
    ("VALTODAY", TickerField::Turnover24h),
];
/// Bid and offer are polled one after the other. A pair that looks crossed is held back until both were read twice
/// more; then it is what the terminal says.
const CROSSED_READS: u32 = 4;

/// The values of one instrument.
#[derive(Debug)]
pub(super) struct Board {
    symbol: String,
    ticker: Option<StreamId>,
    bbo: Option<StreamId>,
    slots: Vec<Slot>,
    /// The next poll publishes the ticker even if it changes nothing.
    anyway: bool,
    /// What was last said of unknown parameters.
    told: String,
    ticker_refused: bool,
    bbo_refused: bool,
    /// Counts the quotes published.
    seq: u64,
    quote: (Option<Level>, Option<Level>),
    crossed_reads: u32,
}

/// One parameter.
#[derive(Debug)]
struct Slot {
    name: Arc<str>,
    /// Whether it is of the ticker.
    shown: bool,
    /// Whether it was ever answered since the terminal came up.
    heard: bool,
    reading: Reading,
}

/// What a ticker says.
#[derive(Debug, Default)]
struct Values {
    fields: Vec<(TickerField, String)>,
    params: Vec<(String, String)>,
}

/// A board for every symbol that has a stream for it, in the order of the streams.
pub(super) fn of(streams: &[Stream]) -> Vec<Board> {
    let mut boards: Vec<Board> = Vec::new();
    let mut places: BTreeMap<&str, usize> = BTreeMap::new();
    for (id, stream) in (0..).map(StreamId).zip(streams) {
        if !matches!(stream.channel, Channel::Ticker | Channel::Bbo) {
            continue;
        }
        let at = *places.entry(&stream.symbol).or_insert_with(|| {
            boards.push(Board::new(&stream.symbol));
            boards.len() - 1
        });
        match stream.channel {
            Channel::Ticker => boards[at].ticker = Some(id),
            _ => boards[at].bbo = Some(id),
        }
    }
    boards
}

impl Board {
    fn new(symbol: &str) -> Self {
        Self {
            symbol: symbol.to_owned(),
            ticker: None,
            bbo: None,
            slots: Vec::new(),
            anyway: true,
            told: String::new(),
            ticker_refused: false,
            bbo_refused: false,
            seq: 0,
            quote: (None, None),
            crossed_reads: 0,
        }
    }

    pub(super) fn symbol(&self) -> &str {
        &self.symbol
    }

    pub(super) const fn has_ticker(&self) -> bool {
        self.ticker.is_some()
    }

    pub(super) const fn has_bbo(&self) -> bool {
        self.bbo.is_some()
    }

    pub(super) fn has(&self, stream: StreamId) -> bool {
        self.ticker == Some(stream) || self.bbo == Some(stream)
    }

    pub(super) const fn publish_anyway(&mut self) {
        self.anyway = true;
    }

    /// Sets the list of parameters (name, whether it is of the ticker); those that stay keep their values.
    pub(super) fn arrange(&mut self, names: Vec<(Arc<str>, bool)>) {
        let mut before = std::mem::take(&mut self.slots);
        for (name, shown) in names {
            let kept = before.iter().position(|slot| slot.name == name).map(|at| before.swap_remove(at));
            let fresh = Slot { name, shown, heard: false, reading: Reading::Empty };
            self.slots.push(kept.map_or(fresh, |kept| Slot { shown, ..kept }));
        }
        self.anyway = true;
    }

    /// Forgets all values: the terminal was away.
    pub(super) fn forget(&mut self) {
        for slot in &mut self.slots {
            slot.heard = false;
            slot.reading = Reading::Empty;
        }
        self.anyway = true;
        self.told.clear();
        self.ticker_refused = false;
        self.bbo_refused = false;
        self.crossed_reads = 0;
    }

    /// One parameter was read.
    pub(super) fn read(&mut self, name: &str, reading: Reading, now: Stamp, out: &mut dyn Output) {
        let Some(slot) = self.slots.iter_mut().find(|slot| slot.name.as_ref() == name) else { return };
        let changed = slot.reading != reading;
        let shown = slot.shown;
        slot.heard = true;
        slot.reading = reading;
        if shown {
            self.ticker(changed, now, out);
        }
        if self.bbo.is_some() && QUOTE.iter().any(|quote| quote.eq_ignore_ascii_case(name)) {
            self.bbo(now, out);
        }
    }

    /// Publishes the ticker if something changed, once every parameter was read: the first one is whole.
    fn ticker(&mut self, changed: bool, now: Stamp, out: &mut dyn Output) {
        let Some(stream) = self.ticker else { return };
        self.anyway |= changed;
        let mut shown = self.slots.iter().filter(|slot| slot.shown);
        if !shown.all(|slot| slot.heard) {
            return;
        }
        if self.tell_unknown(stream, out) {
            return;
        }
        if !std::mem::take(&mut self.anyway) {
            return out.update(Update::Unchanged(stream));
        }
        let Values { fields, params } = self.values();
        let clocks = Clocks { recv: Some(now.wall), ..Clocks::default() };
        out.update(Update::Ticker(TickerUpdate { stream, venue_seq: None, fields: &fields, params: &params, clocks }));
    }

    /// Says once which parameters the terminal does not know. True if it knows none: there is nothing to publish.
    fn tell_unknown(&mut self, stream: StreamId, out: &mut dyn Output) -> bool {
        let of_ticker = || self.slots.iter().filter(|slot| slot.shown);
        let unknown: Vec<&str> =
            of_ticker().filter(|slot| slot.reading == Reading::Unknown).map(|slot| slot.name.as_ref()).collect();
        let all = unknown.len() == of_ticker().count();
        let names = unknown.join(", ");
        let was_refused = std::mem::replace(&mut self.ticker_refused, all);
        if all && !was_refused {
            let detail = format!("the terminal knows no such parameter of this instrument: {names}");
            out.update(Update::Rejected { stream, detail: &detail });
            // Whatever is published next is published anew.
            self.anyway = true;
            self.told.clear();
        }
        if !all && names != self.told {
            let detail = if names.is_empty() { String::new() } else { format!("parameters not known here: {names}") };
            out.update(Update::Notice { stream: Some(stream), detail: &detail });
            self.told = names;
        }
        all
    }

    /// The known fields in their order, and the other parameters by their names.
    fn values(&self) -> Values {
        let Values { mut fields, mut params } = Values::default();
        for slot in self.slots.iter().filter(|slot| slot.shown) {
            let field = FIELDS.iter().find(|(name, _)| name.eq_ignore_ascii_case(&slot.name)).map(|(_, field)| *field);
            match (&slot.reading, field) {
                (Reading::Value(text), Some(field)) if plain(text).is_some() => fields.push((field, text.clone())),
                (Reading::Value(text), _) => params.push((slot.name.to_string(), text.clone())),
                (Reading::Listed(text, ordinal), _) => {
                    params.push((slot.name.to_string(), text.clone()));
                    params.push((format!("{}.ordinal", slot.name), ordinal.clone()));
                }
                (Reading::Unknown | Reading::Empty, _) => {}
            }
        }
        fields.sort_by_key(|(field, _)| *field);
        params.sort();
        Values { fields, params }
    }

    /// Publishes the best bid and offer if they changed, else confirms them.
    fn bbo(&mut self, now: Stamp, out: &mut dyn Output) {
        let (Some(stream), Some(slots)) = (self.bbo, self.quote_slots()) else { return };
        if !slots.iter().all(|slot| slot.heard) {
            return;
        }
        let refused = [0, 2].iter().all(|at| slots[*at].reading == Reading::Unknown);
        let sides = side(slots[0], slots[1]).and_then(|bid| Ok((bid, side(slots[2], slots[3])?)));
        if std::mem::replace(&mut self.bbo_refused, refused) != refused && refused {
            let detail = "the terminal knows neither BID nor OFFER of this instrument";
            out.update(Update::Rejected { stream, detail });
        }
        if refused {
            return;
        }
        let (bid, ask) = match sides {
            Ok(sides) => sides,
            Err(detail) => return out.update(Update::Broken { stream: Some(stream), detail: &detail }),
        };
        if is_crossed(bid, ask) && self.crossed_reads < CROSSED_READS {
            self.crossed_reads += 1;
            return;
        }
        self.crossed_reads = 0;
        if self.seq == 0 || self.quote != (bid, ask) {
            self.quote = (bid, ask);
            self.seq += 1;
        }
        out.update(Update::Book(BookUpdate {
            stream,
            rule: SyncRule::SnapshotOnly,
            snapshot: true,
            seq: self.seq,
            first: 0,
            previous: 0,
            cross_seq: 0,
            checksum: None,
            middle: None,
            bids: bid.as_slice(),
            asks: ask.as_slice(),
            clocks: Clocks { recv: Some(now.wall), ..Clocks::default() },
        }));
    }

    /// In the order of [`QUOTE`].
    fn quote_slots(&self) -> Option<[&Slot; 4]> {
        let slot = |name: &str| self.slots.iter().find(|slot| slot.name.eq_ignore_ascii_case(name));
        Some([slot(QUOTE[0])?, slot(QUOTE[1])?, slot(QUOTE[2])?, slot(QUOTE[3])?])
    }
}

/// One side of the quote; none without a price, or without a size.
fn side(price: &Slot, size: &Slot) -> Result<Option<Level>, String> {
    Ok(number(price)?.zip(number(size)?).map(|(price, size)| Level { price, size }))
}

/// A parameter's number; none if it has no value, or zero.
fn number(slot: &Slot) -> Result<Option<Decimal>, String> {
    let Reading::Value(text) = &slot.reading else { return Ok(None) };
    let number = Decimal::parse(text.as_bytes()).map_err(|error| format!("{} {text:?}: {error}", slot.name))?;
    Ok((!number.is_zero()).then_some(number))
}

fn is_crossed(bid: Option<Level>, ask: Option<Level>) -> bool {
    let (Some(bid), Some(ask)) = (bid, ask) else { return false };
    let scale = bid.price.scale.max(ask.price.scale);
    match (bid.price.rescaled(scale), ask.price.rescaled(scale)) {
        (Some(bid), Some(ask)) => bid >= ask,
        _ => false,
    }
}
