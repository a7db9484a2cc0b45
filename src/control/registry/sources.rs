//! Which topics have a feed as their source: jobs publish others only.

use std::sync::Arc;

use super::{Inner, Registry, lock};
use crate::jobs::{SourceOf, Sources};
use crate::model::{Channel, Stream};
use crate::venue::VenueDef;

impl Sources for Registry {
    /// Feeds take streams up under the same lock, and publish them afterwards.
    fn hold(&self, venue: &'static VenueDef, market: &Arc<str>, work: &mut dyn FnMut(SourceOf<'_>)) {
        let inner = lock(&self.inner);
        work(&|stream| inner.source_of(venue, market, stream));
    }
}

impl Inner {
    /// The feed that publishes what this stream would. A book has a state, which is told for the symbol as a whole: so any
    /// feed of the symbol is in its way.
    fn source_of(&self, venue: &VenueDef, market: &Arc<str>, stream: &Stream) -> Option<Arc<str>> {
        let has_state = matches!(stream.channel, Channel::Book(_) | Channel::Bbo);
        let of_market =
            |feed: &&Arc<super::RunningFeed>| (feed.handle.venue, &feed.handle.market) == (venue.id, market);
        let found = self.feeds.iter().filter(of_market).find(|feed| {
            let wished = feed.wished();
            let mut own = wished.of_symbol(&stream.symbol);
            own.any(|(own, _)| has_state || own.channel == stream.channel)
        });
        found.map(|feed| Arc::clone(&feed.handle.name))
    }
}
