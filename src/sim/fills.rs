//! The fills of a simulated account, as REST lists them, for clients that were gone meanwhile and for those who check them.

use std::collections::VecDeque;

/// Fills remembered.
const KEPT: usize = 5_000;

/// One fill.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fill {
    /// Counts the account's fills, or is the venue's number of it.
    pub(super) number: u64,
    /// The market whose stream tells it; empty where one stream tells all.
    pub(super) market: &'static str,
    pub(super) symbol: String,
    /// The venue's id of it, and that of its order.
    pub(super) id: String,
    pub(super) order: String,
    pub(super) time_ms: u64,
    /// JSON, as REST tells it.
    pub(super) row: String,
}

/// The last fills of an account, oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Fills(VecDeque<Fill>);

impl Fills {
    /// The newest one.
    pub(super) fn add(&mut self, fill: Fill) {
        if self.0.len() >= KEPT {
            self.0.pop_front();
        }
        self.0.push_back(fill);
    }

    /// Those of a time, both ends included, oldest first.
    pub(super) fn within(&self, from_ms: u64, to_ms: u64) -> impl DoubleEndedIterator<Item = &Fill> {
        self.0.iter().filter(move |fill| (from_ms..=to_ms).contains(&fill.time_ms))
    }

    /// What the stream of a market told, or would have told: symbol, id and order of each, oldest first.
    pub(super) fn told(&self, market: &str) -> Vec<String> {
        let of_market = self.0.iter().filter(|fill| fill.market.is_empty() || fill.market == market);
        of_market.map(|fill| format!("{} {} {}", fill.symbol, fill.id, fill.order)).collect()
    }
}
