//! What is true inside the simulated terminal, for tests that compare a client's picture with it.

use std::collections::BTreeMap;

use super::catalog::Class;
use super::moscow::{self, Interval};
use super::params;
use super::security::{AllTrade, Security};
use super::terminal::Terminal;
use crate::model::{self, Decimal, Stamp, UnixNanos};
use crate::sim::market::Side;

/// An order book as `getQuoteLevel2` tells it, best first. Sizes are in lots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TrueBook {
    /// Highest price first.
    pub bids: Vec<model::Level>,
    /// Lowest price first.
    pub asks: Vec<model::Level>,
}

/// A trade of the day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrueTrade {
    /// Trade number.
    pub num: i64,
    /// Price.
    pub price: Decimal,
    /// Lots.
    pub lots: i64,
    /// The taker's side.
    pub side: model::Side,
    /// When; to the microsecond, on the currency market to the millisecond.
    pub at: UnixNanos,
}

/// A bar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TrueBar {
    /// When it begins.
    pub start: UnixNanos,
    /// First price.
    pub open: Decimal,
    /// Highest price.
    pub high: Decimal,
    /// Lowest price.
    pub low: Decimal,
    /// Last price.
    pub close: Decimal,
    /// Lots traded.
    pub lots: i64,
}

impl Terminal {
    fn find(&self, class: &str, code: &str) -> Option<(usize, &Security)> {
        let place = *self.places.get(&(class.to_owned(), code.to_owned()))?;
        Some((place, self.securities.get(place)?))
    }

    /// The book now, whether or not anybody subscribed to it; without levels whose quantity a fault hides.
    pub fn book(&self, class: &str, code: &str) -> Option<TrueBook> {
        let (_, security) = self.find(class, code)?;
        let hidden = usize::from(self.modes.no_quantity);
        let side = |side| {
            let mut levels = security.ascending(side);
            if side == Side::Bid {
                levels.reverse();
            }
            levels.truncate(levels.len() - hidden);
            let spelled = |level: &crate::sim::market::Level| model::Level {
                price: security.spec.price(level.ticks),
                size: Decimal::new(level.lots, 0),
            };
            levels.iter().map(spelled).collect()
        };
        Some(TrueBook { bids: side(Side::Bid), asks: side(Side::Ask) })
    }

    /// The day's trades of a security so far.
    pub fn trades(&self, class: &str, code: &str) -> Vec<TrueTrade> {
        let Some((place, security)) = self.find(class, code) else { return Vec::new() };
        self.all_trades.iter().filter(|trade| trade.security == place).map(|trade| told(security, trade)).collect()
    }

    /// All bars of a security and interval (`INTERVAL_M1`) as they are when they have come.
    pub fn bars(&mut self, class: &str, code: &str, interval: &str, now: Stamp) -> Option<Vec<TrueBar>> {
        let (interval, at) = (Interval::parse(interval)?, self.clock(now.wall));
        let (place, security) = self.find(class, code)?;
        let spec = security.spec.clone();
        let count = self.settings.history_bars;
        let told = |bar: &super::Bar| TrueBar {
            start: moscow::unix(bar.start),
            open: spec.price(bar.open),
            high: spec.price(bar.high),
            low: spec.price(bar.low),
            close: spec.price(bar.close),
            lots: bar.lots,
        };
        Some(self.securities[place].bars(interval, count, at).iter().map(told).collect())
    }

    /// `param_value` and `param_image` of a parameter; `None` where it is unknown or not applicable.
    pub fn param_texts(&self, class: &str, code: &str, name: &str, now: Stamp) -> Option<(String, String)> {
        let (_, security) = self.find(class, code)?;
        params::find(security, name, self.clock(now.wall))?.texts()
    }

    /// Whether the terminal is connected to its broker.
    pub const fn is_connected(&self) -> bool {
        self.connected
    }

    /// How many scripts have been started.
    pub const fn runs(&self) -> u64 {
        self.run
    }

    /// Calls so far by method; those that cannot be decoded or are unknown as `(undecodable)` and `(unknown)`.
    pub const fn calls(&self) -> &BTreeMap<String, u64> {
        &self.calls
    }

    /// The classes and codes that are listed.
    pub fn listed(&self) -> Vec<(&'static str, String)> {
        let named = |security: &Security| {
            let Class { code, .. } = security.spec.class;
            (code, security.spec.code.clone())
        };
        self.securities.iter().map(named).collect()
    }
}

fn told(security: &Security, trade: &AllTrade) -> TrueTrade {
    let UnixNanos(nanos) = moscow::unix(trade.at);
    let unit = if security.spec.class.code == "CETS" { 1_000_000 } else { 1_000 };
    let side = match trade.flags & 3 {
        1 => model::Side::Sell,
        2 => model::Side::Buy,
        _ => model::Side::Unknown,
    };
    TrueTrade {
        num: trade.num,
        price: security.spec.price(trade.ticks),
        lots: trade.lots,
        side,
        at: UnixNanos(nanos - nanos % unit),
    }
}
