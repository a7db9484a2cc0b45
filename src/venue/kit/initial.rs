//! How rows of an account's stream and of the images read beside it are merged, so that the last one published of each order,
//! position and balance is the newest, whichever comes first, and what an image no longer has is told to be gone.
//!
//! A stream tells everything from its confirmation on, in order. So an image has something to say only of rows that it has
//! newer, by the venue's own time, or that the stream has not told since the image was asked for; and a row that is missing
//! in it is gone only if the stream of this connection has not told it either.

use std::collections::{BTreeMap, VecDeque};

use super::rows::{Row, Version};
use crate::model::AccountKind;

/// Rows remembered. Beyond it rows are published all the same, and an image that lacks them says nothing.
const ROWS_MAX: usize = 20_000;
/// Of these, rows that are closed: they are remembered so that an image that is late does not open them again.
const CLOSED_MAX: usize = 4_000;

type Key = (AccountKind, Box<str>);

/// What was published of an account.
#[derive(Clone, Debug, Default)]
pub struct Initial {
    rows: BTreeMap<Key, Known>,
    /// The order in which they were closed; those that were opened again are skipped.
    closed: VecDeque<Key>,
    /// Counts images asked for.
    asked: u64,
    /// The number of each kind's image under way, or of the last one.
    images: BTreeMap<AccountKind, u64>,
    connection: u64,
}

#[derive(Clone, Debug)]
struct Known {
    version: Option<Version>,
    is_open: bool,
    /// How many images had been asked for when the stream last told it, and over which connection.
    streamed: Option<(u64, u64)>,
    /// The last image that had it.
    imaged: u64,
    market: Option<&'static str>,
    symbol: Box<str>,
    keys: Vec<(&'static str, Box<str>)>,
}

/// A row that was published as open, and is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gone {
    /// The market it was published under.
    pub market: Option<&'static str>,
    /// Its symbol or currency.
    pub symbol: Box<str>,
    /// The fields that tell it from others.
    pub keys: Vec<(&'static str, Box<str>)>,
}

impl Initial {
    /// A connection is open: what was missed while there was none, images will tell.
    pub const fn connected(&mut self) {
        self.connection += 1;
    }

    /// Takes a row of the stream that is no fill. False: it is older than what is published.
    pub fn streamed(&mut self, row: &Row<'_>) -> bool {
        let key = (row.kind, row.key());
        let known = self.rows.get(&key);
        // Without versions the stream is right: it comes in order.
        if known.is_some_and(|known| row.version.is_some() && row.version < known.version) {
            return false;
        }
        let streamed = Some((self.asked, self.connection));
        let imaged = known.map_or(0, |known| known.imaged);
        self.remember(key, row, streamed, imaged);
        true
    }

    /// An image of this kind is asked for.
    pub fn asked(&mut self, kind: AccountKind) {
        self.asked += 1;
        self.images.insert(kind, self.asked);
    }

    /// Takes a row of the image. False: the stream has told something newer, or there is nothing to tell.
    pub fn imaged(&mut self, row: &Row<'_>) -> bool {
        let image = self.images.get(&row.kind).copied().unwrap_or_default();
        let key = (row.kind, row.key());
        let Some(known) = self.rows.get_mut(&key) else {
            if row.is_open {
                self.remember(key, row, None, image);
            }
            return row.is_open;
        };
        known.imaged = image;
        let told_since = known.streamed.is_some_and(|(asked, _)| asked >= image);
        let is_newer = match (row.version, known.version) {
            (Some(new), Some(old)) => new > old || (new == old && !told_since),
            _ => !told_since,
        };
        // Something that was gone and still is says nothing.
        if !is_newer || !(row.is_open || known.is_open) {
            return false;
        }
        let streamed = known.streamed;
        self.remember(key, row, streamed, image);
        true
    }

    /// The image of this kind is whole: what it lacks is gone.
    pub fn completed(&mut self, kind: AccountKind) -> Vec<Gone> {
        let image = self.images.get(&kind).copied().unwrap_or_default();
        let connection = self.connection;
        let mut gone = Vec::new();
        for (key, known) in self.rows.iter_mut().filter(|((of, _), _)| *of == kind) {
            let told = known.streamed.is_some_and(|(_, over)| over == connection);
            if !known.is_open || known.imaged == image || told {
                continue;
            }
            known.is_open = false;
            if let Some(version) = &mut known.version {
                version.closed = true;
            }
            self.closed.push_back(key.clone());
            let Known { market, symbol, keys, .. } = known;
            gone.push(Gone { market: *market, symbol: symbol.clone(), keys: keys.clone() });
        }
        self.forget_closed();
        gone
    }

    fn remember(&mut self, key: Key, row: &Row<'_>, streamed: Option<(u64, u64)>, imaged: u64) {
        if self.rows.len() >= ROWS_MAX && !self.rows.contains_key(&key) {
            return;
        }
        if !row.is_open && self.rows.get(&key).is_none_or(|known| known.is_open) {
            self.closed.push_back(key.clone());
        }
        let value = |name: &&'static str| {
            let (name, value) = row.fields.iter().find(|(known, _)| known == name)?;
            Some((*name, value.to_string().into_boxed_str()))
        };
        let known = Known {
            version: row.version,
            is_open: row.is_open,
            streamed,
            imaged,
            market: row.market,
            symbol: row.symbol.into(),
            keys: row.keys.iter().filter_map(value).collect(),
        };
        self.rows.insert(key, known);
        self.forget_closed();
    }

    fn forget_closed(&mut self) {
        while self.closed.len() > CLOSED_MAX {
            let Some(key) = self.closed.pop_front() else { break };
            if self.rows.get(&key).is_some_and(|known| !known.is_open) {
                self.rows.remove(&key);
            }
        }
    }
}

#[cfg(test)]
#[path = "initial_tests.rs"]
mod tests;
