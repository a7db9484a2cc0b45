//! A checked config: what to bind, and for each feed which streams of which venue to open.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::accounts::Accounts;
use super::auth::Security;
use super::load::Source;
use super::schema::{Admin, Bus, Connect, Control, Feed, Log, Publish, Settings, Store};
use crate::fetch::Allowed;
use crate::jobs::JobPlan;
use crate::model::{Channel, Stream};
use crate::sink::redis::RedisOptions;
use crate::venue::{Endpoints, Signer, TerminalSpec, VenueDef};
use crate::zmtp::ClientSecurity;

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
    /// What is kept of every feed.
    pub store: Store,
    /// What the sockets demand of their clients.
    pub security: Security,
    /// The Redis sink, if there is one.
    pub redis: Option<RedisOptions>,
    /// The accounts.
    pub accounts: Accounts,
    /// What clients of the control socket may fetch.
    pub fetch: Allowed,
    /// The feeds, by name.
    pub feeds: Vec<FeedPlan>,
    /// The jobs, by name.
    pub jobs: Vec<JobPlan>,
    /// All of it as it was written, with the defaults: what a later reading is compared with.
    pub settings: Settings,
    /// Where it can be read again; `None` for one that is not a file.
    pub source: Option<Source>,
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
    /// How its terminal is reached; `None` for venues on a websocket.
    pub terminal: Option<TerminalPlan>,
    /// Who signs in.
    pub signer: Option<Signer>,
    /// What was read otherwise than written (retired channels and hosts), for one log line each.
    pub notes: Vec<String>,
    /// All of it as it was written, with the defaults.
    pub settings: Feed,
}

/// How a trading terminal is reached, and what is asked of it. Feeds whose endpoints and security are the same share
/// one pool of connections and one budget of calls; the first feed's numbers hold for all of them.
#[derive(Clone, Debug)]
pub struct TerminalPlan {
    /// Endpoint of RPC calls, such as `tcp://127.0.0.1:5560`.
    pub rpc: String,
    /// Endpoint of calls for history and parameters, where it is another one.
    pub data: Option<String>,
    /// Endpoint of events; `None` when everything is to be polled.
    pub events: Option<String>,
    /// How we prove to all of them who we are.
    pub security: ClientSecurity,
    /// Connections to each RPC endpoint; at least 1.
    pub connections: usize,
    /// Calls in a second in the long run, over all connections; at least 1.
    pub calls_per_second: u32,
    /// Calls that may leave at once after a pause; at least 1.
    pub burst: u32,
    /// What the session is told.
    pub spec: TerminalSpec,
}

impl FeedPlan {
    /// Levels a side in `book` frames of this symbol.
    pub fn book_depth(&self, symbol: &str) -> u16 {
        let implied = self.book_depths.get(symbol).copied().unwrap_or(u16::MAX);
        implied.min(self.publish.book_depth)
    }

    /// The addresses its streams are reached at: one connection each.
    pub fn urls(&self) -> Vec<&str> {
        let mut routes: Vec<_> = self.streams.iter().map(|stream| self.venue.route(&self.market, stream)).collect();
        routes.sort_unstable();
        routes.dedup();
        routes.into_iter().map(|route| self.endpoints.url(route)).collect()
    }

    /// The account that its rows are published under; `None` where the venue names accounts by itself, or it has none.
    pub fn account(&self) -> Option<&str> {
        self.signer.as_ref().filter(|_| self.terminal.is_none()).map(|signer| &*signer.account)
    }

    /// Whether rows of an account are not for it: its venue does not name accounts by itself, and it has none.
    pub fn lacks_account(&self) -> bool {
        self.account().is_none() && self.terminal.is_none()
    }

    /// Why a channel of its account has one feed, when another one (`feeds.NAME`) has it.
    pub(crate) fn rows_taken(&self, channel: Channel, other: &str) -> String {
        let Some(account) = self.account() else {
            return format!(
                "{channel} rows of {} are published by {other} too; their topics name no market and have one source, so \
                 leave the channel out of one of the two",
                self.venue.id
            );
        };
        format!(
            "{channel} rows of account {account} are published by {other} too; their topics name no market and have one \
             source: leave the channel out of one of the two, or, if {other} lacks the rows of {} {}, give the key a \
             second name in accounts and use that one here",
            self.venue.id, self.market
        )
    }

    /// How many symbols it has streams of.
    pub fn symbol_count(&self) -> usize {
        let with_symbol = self.streams.iter().filter(|stream| stream.channel.has_symbol());
        let mut symbols: Vec<&str> = with_symbol.map(|stream| stream.symbol.as_str()).collect();
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
