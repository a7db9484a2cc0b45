//! The fills that a stream could not tell because it was gone: since when they are to be read by REST, and which were
//! published already, so that each is published once, those that were read in the order of time.
//!
//! A stream is whole from its confirmation until something was heard over its connection for the last time. What is read
//! begins some time before that, and is read a second time a little later: for clocks that differ, and for venues that list
//! a fill some seconds after they told it.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::rows::Row;
use crate::model::{AccountKind, Clocks, UnixNanos};
use crate::venue::{AccountUpdate, FieldValue, Output, Update};

/// How far our clock and the venue's may be apart.
pub const MARGIN: Duration = Duration::from_secs(60);
/// How much later it is read for the second time.
pub const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Most fills of one reading.
const READ_MAX: usize = 20_000;
/// Fills remembered by a feed: those of a reading, and as many that were told meanwhile. One that is read again after so many
/// others is published again.
const SEEN_MAX: usize = 2 * READ_MAX;
/// Symbols remembered, for venues that tell fills symbol by symbol.
const SYMBOLS_MAX: usize = 100;

/// The fills that were published, the last so many.
#[derive(Debug, Default)]
pub struct Seen {
    ids: HashSet<Arc<str>>,
    order: VecDeque<Arc<str>>,
}

impl Seen {
    /// Whether this fill is one that was not published before. One order may trade with another of the same account, and
    /// both fills have the trade's id. What has no id is always new.
    pub fn admits(&mut self, fill: &AccountUpdate<'_>) -> bool {
        let field = |name: &str| fill.fields.iter().find(|(known, _)| *known == name).map(|(_, value)| value);
        let Some(id) = field("id") else { return true };
        let order = field("order_id").map(FieldValue::to_string).unwrap_or_default();
        let key: Arc<str> = format!("{}\n{id}\n{order}", fill.symbol).into();
        if !self.ids.insert(Arc::clone(&key)) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > SEEN_MAX {
            self.order.pop_front().map(|oldest| self.ids.remove(&oldest));
        }
        true
    }
}

/// The symbols an account is known to trade, those without a row for longest first.
#[derive(Clone, Debug, Default)]
pub struct Symbols {
    known: Vec<Box<str>>,
    /// Whether there were more.
    forgot: bool,
}

impl Symbols {
    /// There was a row of this symbol, or the feed names it.
    pub fn know(&mut self, symbol: &str) {
        if let Some(at) = self.known.iter().position(|known| **known == *symbol) {
            let known = self.known.remove(at);
            return self.known.push(known);
        }
        if self.known.len() >= SYMBOLS_MAX {
            self.known.remove(0);
            self.forgot = true;
        }
        self.known.push(symbol.into());
    }

    /// All that are known.
    pub fn known(&self) -> &[Box<str>] {
        &self.known
    }

    /// What is to be told where fills are read of these symbols only.
    pub fn lack(&self) -> Option<String> {
        self.forgot.then(|| format!("fills were read of the last {SYMBOLS_MAX} symbols only"))
    }
}

/// A fill that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fill {
    market: Option<&'static str>,
    symbol: Box<str>,
    event: Option<UnixNanos>,
    fields: Vec<(&'static str, Value)>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Value {
    Text(Box<str>),
    Integer(u64),
    Boolean(bool),
}

impl Value {
    fn of(value: &FieldValue<'_>) -> Self {
        match value {
            FieldValue::Text(text) => Self::Text((*text).into()),
            FieldValue::Integer(value) => Self::Integer(*value),
            FieldValue::Boolean(value) => Self::Boolean(*value),
        }
    }

    fn field(&self) -> FieldValue<'_> {
        match self {
            Self::Text(text) => FieldValue::Text(text),
            Self::Integer(value) => FieldValue::Integer(*value),
            Self::Boolean(value) => FieldValue::Boolean(*value),
        }
    }
}

impl Fill {
    fn of(row: &Row<'_>) -> Self {
        let fields = row.fields.iter().map(|(name, value)| (*name, Value::of(value))).collect();
        Self { market: row.market, symbol: row.symbol.into(), event: row.event, fields }
    }

    /// By time, and within a moment by id, of which the longer number is the higher one.
    fn place(&self) -> (Option<UnixNanos>, usize, &str) {
        let id = self.fields.iter().find_map(|(name, value)| match value {
            Value::Text(text) if *name == "id" => Some(&**text),
            _ => None,
        });
        let id = id.unwrap_or_default();
        (self.event, id.len(), id)
    }

    /// Hands it on as one that was fetched.
    pub fn tell(&self, account: &str, recv: Option<UnixNanos>, out: &mut dyn Output) {
        let mut fields: Vec<_> = self.fields.iter().map(|(name, value)| (*name, value.field())).collect();
        fields.push(("backfill", FieldValue::Boolean(true)));
        out.update(Update::Account(AccountUpdate {
            kind: AccountKind::Fill,
            account,
            market: self.market,
            symbol: &self.symbol,
            fields: &fields,
            clocks: Clocks { event: self.event, recv, ..Clocks::default() },
        }));
    }
}

/// Since when fills are to be read, and what was read so far.
#[derive(Clone, Debug, Default)]
pub struct Fills {
    /// Until when everything is known to be told; nothing before the stream was confirmed for the first time.
    whole: Option<UnixNanos>,
    /// When something was last heard over the connection that confirmed the stream.
    heard: Option<UnixNanos>,
    /// How many readings are still to be made.
    readings: u8,
    /// What is read begins here.
    from: UnixNanos,
    read: Vec<Fill>,
    is_full: bool,
}

impl Fills {
    /// Those of a connection that follows one which told everything until then.
    pub fn since(whole: Option<UnixNanos>) -> Self {
        Self { whole, ..Self::default() }
    }

    /// The venue confirmed the stream. Whether fills are to be read: not the first time, as nothing was missed.
    pub fn confirmed(&mut self, now: UnixNanos) -> bool {
        self.heard = Some(now);
        let is_first = self.whole.is_none();
        if is_first {
            self.whole = Some(now);
        } else {
            self.wanted();
        }
        !is_first
    }

    /// They are to be read, whatever was heard.
    pub fn wanted(&mut self) {
        self.readings = 2;
    }

    /// Something was heard over the connection.
    pub fn heard(&mut self, now: UnixNanos) {
        if self.heard.is_some() {
            self.heard = Some(now);
            self.settle();
        }
    }

    fn settle(&mut self) {
        if self.readings == 0 && self.heard.is_some() {
            self.whole = self.heard;
        }
    }

    /// A reading begins: since when, and whether that is later than it should be, as REST tells only fills that are not
    /// older than `reach`.
    pub fn asked(&mut self, now: UnixNanos, reach: Duration) -> (UnixNanos, bool) {
        self.read.clear();
        self.is_full = false;
        let whole = self.whole.unwrap_or(now);
        let oldest = before(now, reach);
        self.from = before(whole, MARGIN).max(oldest);
        (self.from, whole < oldest)
    }

    /// What is read begins here.
    pub const fn from(&self) -> UnixNanos {
        self.from
    }

    /// Takes a row of what is read. Older ones come where the venue cannot be asked by time.
    pub fn read(&mut self, row: &Row<'_>) {
        if row.event.is_some_and(|at| at < self.from) {
            return;
        }
        if self.read.len() < READ_MAX {
            self.read.push(Fill::of(row));
        } else {
            self.is_full = true;
        }
    }

    /// Why no more is read, if there are too many.
    pub fn lack(&self) -> Option<String> {
        self.is_full.then(|| format!("there are more than {READ_MAX} fills: not all were read"))
    }

    /// Everything was read: the fills in order of time, and whether it is to be read again later.
    pub fn completed(&mut self) -> (Vec<Fill>, bool) {
        let mut fills = std::mem::take(&mut self.read);
        fills.sort_by(|one, other| one.place().cmp(&other.place()));
        self.readings = self.readings.saturating_sub(1);
        self.settle();
        (fills, self.readings > 0)
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.heard = None;
        self.readings = 0;
        self.read.clear();
    }

    /// Nobody wishes the stream any more: what happens from now on is not missed.
    pub fn left(&mut self) {
        *self = Self::default();
    }
}

fn before(at: UnixNanos, by: Duration) -> UnixNanos {
    UnixNanos(at.0.saturating_sub(u64::try_from(by.as_nanos()).unwrap_or(u64::MAX)))
}

#[cfg(test)]
#[path = "fills_tests.rs"]
mod tests;
