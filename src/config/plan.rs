//! A checked config: what to bind, and for each feed which streams of which venue to open.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::schema::{Admin, Bus, Connect, Control, Log, Publish};
use crate::model::Stream;
use crate::venue::{Endpoints, VenueDef};

/// A config that has passed every check.
#[derive(Clone, Debug)]
pub struct Config {
    /// The bus; its endpoints parse as [`Endpoint`](crate::bus::Endpoint).
    pub bus: Bus,
    /// The control socket; its endpoint parses as [`Endpoint`](crate::bus::Endpoint).
    pub control: Control,
    /// The HTTP door; its address parses with [`Endpoint::from_host_port`](crate::bus::Endpoint::from_host_port).
    pub admin: Admin,
    /// Logging.
    pub log: Log,
    /// The connect budget.
    pub connect: Connect,
    /// The feeds, by name; at least one.
    pub feeds: Vec<FeedPlan>,
}

/// One feed, resolved.
#[derive(Clone)]
pub struct FeedPlan {
    /// Its name in the config.
    pub name: String,
    /// Who publishes.
    pub venue: &'static VenueDef,
    /// Which of the venue's markets.
    pub market: Arc<str>,
    /// What to subscribe to: at least one, none twice, one book per symbol.
    pub streams: Vec<Stream>,
    /// Where to connect.
    pub endpoints: Endpoints,
    /// What to publish.
    pub publish: Publish,
    /// Levels to publish where a channel's name implies fewer than it subscribes to, by symbol.
    pub book_depths: BTreeMap<String, u16>,
    /// How long a stream may be without data, if the config says.
    pub silence: Option<Duration>,
    /// What was read otherwise than written (retired channels and hosts), for one log line each.
    pub notes: Vec<String>,
}

impl FeedPlan {
    /// Levels a side in `book` frames of this symbol.
    pub fn book_depth(&self, symbol: &str) -> u16 {
        let implied = self.book_depths.get(symbol).copied().unwrap_or(u16::MAX);
        implied.min(self.publish.book_depth)
    }

    /// How many symbols it has streams of.
    pub fn symbol_count(&self) -> usize {
        let mut symbols: Vec<&str> = self.streams.iter().map(|stream| stream.symbol.as_str()).collect();
        symbols.sort_unstable();
        symbols.dedup();
        symbols.len()
    }
}

impl fmt::Debug for FeedPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FeedPlan")
            .field("name", &self.name)
            .field("venue", &self.venue.id)
            .field("market", &self.market)
            .field("streams", &self.streams)
            .field("endpoints", &self.endpoints)
            .finish_non_exhaustive()
    }
}
