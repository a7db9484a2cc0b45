//! Who is served with what: under which names of connections, and which v3 channels, a topic's data is stored.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::names::{default_channel, name_of};

/// Symbols and wishes remembered at most; of more, wishes are forgotten and symbols are not served.
const MOST: usize = 100_000;

/// A client's wish: under which v3 channel it wants a symbol's data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The connection's name.
    pub name: String,
    /// Who publishes the data: `okx`.
    pub venue: String,
    /// The market in topics and in v3 names: `spot`.
    pub market: String,
    /// The symbol, or the currency; empty for all.
    pub symbol: String,
    /// The channel in topics: `candle_1m`.
    pub topic: String,
    /// The v3 channel with its market: `spot/candle60s`.
    pub table: String,
}

/// Where a topic's data is stored: once a name and v3 channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) name: Arc<str>,
    pub(super) table: String,
}

impl Target {
    /// The v3 channel without its market.
    pub(super) fn channel(&self) -> &str {
        self.table.split_once('/').map_or(&*self.table, |(_, channel)| channel)
    }
}

/// What a topic is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Of<'a> {
    /// Its channel: `candle_1m`.
    pub(super) channel: &'a str,
    pub(super) venue: &'a str,
    pub(super) market: &'a str,
    pub(super) symbol: &'a str,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Served {
    /// The name of each symbol's feed, by venue, market and symbol.
    owners: HashMap<[String; 3], Arc<str>>,
    /// The names that have feeds in a market, by venue and market.
    markets: HashMap<[String; 2], BTreeSet<Arc<str>>>,
    asked: Vec<Asked>,
    /// Changes with everything that changes targets.
    version: u64,
}

impl Served {
    pub(super) const fn version(&self) -> u64 {
        self.version
    }

    /// A feed has a symbol; an empty one stands for the feed as a whole. Returns the name that it is served under.
    pub(super) fn learn(&mut self, feed: &str, of: Of<'_>) -> Arc<str> {
        let name: Arc<str> = name_of(feed, of.market).into();
        let names = self.markets.entry([of.venue, of.market].map(str::to_owned)).or_default();
        if names.len() < MOST && names.insert(Arc::clone(&name)) {
            self.version += 1;
        }
        if of.symbol.is_empty() {
            return name;
        }
        let key = [of.venue, of.market, of.symbol].map(str::to_owned);
        if self.owners.get(&key) != Some(&name) && (self.owners.len() < MOST || self.owners.contains_key(&key)) {
            self.owners.insert(key, Arc::clone(&name));
            self.version += 1;
        }
        name
    }

    /// A client asked for something.
    pub(super) fn ask(&mut self, asked: Asked) {
        if !self.asked.contains(&asked) {
            if self.asked.len() >= MOST {
                self.asked.remove(0);
            }
            self.asked.push(asked);
            self.version += 1;
        }
    }

    /// A client no longer wants it.
    pub(super) fn unask(&mut self, asked: &Asked) {
        self.asked.retain(|one| one != asked);
        self.version += 1;
    }

    /// A connection was closed.
    pub(super) fn close(&mut self, name: &str) {
        self.asked.retain(|one| one.name != name);
        self.owners.retain(|_, owner| **owner != *name);
        self.markets.values_mut().for_each(|names| names.retain(|known| **known != *name));
        self.version += 1;
    }

    /// Where data goes: to each who asked; and to the symbol's own feed, if that did not ask for another channel.
    pub(super) fn targets(&self, of: Of<'_>) -> Vec<Target> {
        let matches = |one: &&Asked| {
            one.topic == of.channel
                && one.venue == of.venue
                && one.market == of.market
                && (one.symbol == of.symbol || one.symbol.is_empty())
        };
        let asked = self.asked.iter().filter(matches);
        let mut targets: Vec<_> =
            asked.map(|one| Target { name: one.name.as_str().into(), table: one.table.clone() }).collect();
        let owner = self.owners.get(&[of.venue, of.market, of.symbol].map(str::to_owned));
        let of_market = || self.markets.get(&[of.venue, of.market].map(str::to_owned))?.first();
        // An account's rows may be of symbols, or currencies, that no feed has.
        let is_account = matches!(of.channel, "order" | "position" | "balance");
        let owner = owner.or_else(|| of_market().filter(|_| is_account && targets.is_empty()));
        if let Some(owner) = owner.filter(|owner| !targets.iter().any(|target| target.name == **owner))
            && let Some(channel) = default_channel(of.channel)
        {
            targets.push(Target { name: Arc::clone(owner), table: format!("{}/{channel}", of.market) });
        }
        targets
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ETH: Of<'static> = Of { channel: "book", venue: "okx", market: "spot", symbol: "ETH-USDT" };

    fn asked(name: &str, table: &str) -> Asked {
        Asked {
            name: name.to_owned(),
            venue: "okx".to_owned(),
            market: "spot".to_owned(),
            symbol: "ETH-USDT".to_owned(),
            topic: "book".to_owned(),
            table: table.to_owned(),
        }
    }

    fn tables(served: &Served, of: Of<'_>) -> Vec<String> {
        served.targets(of).iter().map(|target| format!("{} {}", target.name, target.table)).collect()
    }

    #[test]
    fn a_symbol_is_served_to_its_feed_and_to_those_who_asked() {
        let mut served = Served::default();
        assert_eq!(tables(&served, ETH), [""; 0]);
        assert_eq!(&*served.learn("a_spot", ETH), "a");
        assert_eq!(tables(&served, ETH), ["a spot/depth"]);
        served.ask(asked("b", "spot/depth5"));
        assert_eq!(tables(&served, ETH), ["b spot/depth5", "a spot/depth"]);
        served.ask(asked("a", "spot/depth5"));
        served.ask(asked("a", "spot/depth5"));
        assert_eq!(
            tables(&served, ETH),
            ["b spot/depth5", "a spot/depth5"],
            "what was asked for, instead of the default"
        );
        assert_eq!(tables(&served, Of { symbol: "BTC-USDT", ..ETH }), [""; 0]);
        served.unask(&asked("b", "spot/depth5"));
        served.close("a");
        assert_eq!(tables(&served, ETH), [""; 0]);
    }

    #[test]
    fn rows_of_accounts_find_a_name_of_their_market() {
        let mut served = Served::default();
        served.learn("a_spot", Of { symbol: "", ..ETH });
        let balance = Of { channel: "balance", symbol: "ETH", ..ETH };
        assert_eq!(tables(&served, balance), ["a spot/account"]);
        assert_eq!(tables(&served, Of { channel: "ticker", symbol: "ETH", ..ETH }), [""; 0]);
    }

    #[test]
    fn versions_change_with_targets_only() {
        let mut served = Served::default();
        served.learn("a_spot", ETH);
        let version = served.version();
        served.learn("a_spot", ETH);
        assert_eq!(served.version(), version);
        served.ask(asked("a", "spot/depth5"));
        assert_ne!(served.version(), version);
    }
}
