//! What a table is asked for.

use std::sync::Arc;

use super::rows::Table;
use super::{Change, MustReread, Row, TableKind, Where};

/// Rows found.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// As many as were asked for: the newest, in the order in which they came, topic by topic.
    pub rows: Vec<Arc<Row>>,
    /// How many there are.
    pub matches: usize,
}

/// The levels of one book, best first.
#[derive(Clone, Debug, Default)]
pub struct Sorted {
    /// From the highest price down.
    pub bids: Vec<Arc<Row>>,
    /// From the lowest price up.
    pub asks: Vec<Arc<Row>>,
}

/// Several rows, or books, are meant where one was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ambiguous(pub usize);

impl Table {
    /// The number of the last change.
    pub fn seq(&self) -> u64 {
        self.log.last()
    }

    /// The changes after that number, each with its own.
    ///
    /// # Errors
    /// [`MustReread`]: the log does not reach back that far.
    pub fn changes(&self, after: u64) -> Result<impl Iterator<Item = (u64, &Arc<Change>)>, MustReread> {
        self.log.after(after)
    }

    pub(super) fn row_at(&self, (group, place): (usize, u64)) -> Option<&Arc<Row>> {
        self.groups.get(group)?.rows.get(&place).map(|held| &held.row)
    }

    /// The rows that match, oldest first within a topic.
    fn matching<'a>(&'a self, asked: &'a Where) -> impl Iterator<Item = &'a Arc<Row>> {
        let (symbol, market) = (asked.value("symbol"), asked.value("market"));
        let (of_market, of_symbol) = (!self.kind.is_of_account(), self.kind != TableKind::Status);
        // The topic of a status may name an account and its channel.
        let groups = self.groups.iter().filter(move |group| {
            symbol.is_none_or(|symbol| !of_symbol || symbol == &*group.symbol)
                && market.is_none_or(|market| !(of_market && of_symbol) || market == &*group.market)
        });
        let rows = groups.flat_map(|group| group.rows.values().map(|held| &held.row));
        let mut matcher = asked.matcher(self.kind);
        rows.filter(move |row| matcher.matches(row))
    }

    /// The one row that is asked for.
    ///
    /// # Errors
    /// Several match.
    pub fn get(&self, asked: &Where) -> Result<Option<Arc<Row>>, Ambiguous> {
        if let Some(key) = asked.key(&self.shape) {
            let row = self.places.get(key.as_str()).and_then(|place| self.row_at(*place));
            let row = row.filter(|row| asked.matches(self.kind, row));
            if row.is_some() || self.kind != TableKind::Status {
                return Ok(row.cloned());
            }
        }
        let mut matching = self.matching(asked);
        let first = matching.next().cloned();
        match matching.count() {
            0 => Ok(first),
            more => Err(Ambiguous(more + 1)),
        }
    }

    /// The newest `most` of the rows that match.
    pub fn find(&self, asked: &Where, most: usize) -> Found {
        let all: Vec<&Arc<Row>> = self.matching(asked).collect();
        let matches = all.len();
        let rows = all.into_iter().skip(matches.saturating_sub(most)).cloned().collect();
        Found { rows, matches }
    }

    /// The best `most` levels a side of the live book that is asked for by symbol, and by market where symbols do not say it;
    /// `None` if it is not live. Rows may be asked for by more than that.
    ///
    /// # Errors
    /// Several books match.
    pub fn sorted(&self, asked: &Where, most: usize) -> Result<Option<Sorted>, Ambiguous> {
        let is = |condition: &str, text: &str| asked.value(condition).is_none_or(|value| value == text);
        let mut live = self
            .groups
            .iter()
            .filter(|group| group.feed.is_some() && is("symbol", &group.symbol) && is("market", &group.market));
        let Some(book) = live.next() else { return Ok(None) };
        match live.count() {
            0 => {}
            more => return Err(Ambiguous(more + 1)),
        }
        let rows = || book.order.iter().filter_map(|place| book.rows.get(place)).map(|held| &held.row);
        let side = |name: &str| {
            let of_side =
                rows().filter(|row| row.field("side").as_deref() == Some(name) && asked.matches(self.kind, row));
            of_side.take(most).cloned().collect()
        };
        Ok(Some(Sorted { bids: side("\"bid\""), asks: side("\"ask\"") }))
    }
}
