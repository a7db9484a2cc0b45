//! What `config.json` may say, with its defaults. These types are also the source of its JSON Schema.
//!
//! Everything here only describes; rules that join several fields are in `validate`.

use std::collections::BTreeMap;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::bus::Policy;

use super::accounts::Account;
use super::auth::Auth;
use super::credentials::CredentialSources;
use super::fetch::ControlFetch;
use super::jobs::Job;
use super::secret::SecretSource;
use super::sinks::Sinks;
use super::terminal::Terminal;
use super::terminal_auth::TerminalAuth;

/// Configuration of the tickbus market-data gateway.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "tickbus config", extend("required" = ["feeds"]))]
pub struct Settings {
    /// Address of this file's JSON Schema, for editors. tickbus does not read it.
    #[serde(rename = "$schema", skip_serializing_if = "Option::is_none")]
    pub schema: Option<String>,
    /// The ZeroMQ bus that frames are published on.
    pub bus: Bus,
    /// The control socket (`tickbus ctl`).
    pub control: Control,
    /// The HTTP door for health, metrics and the status page.
    pub admin: Admin,
    /// What is logged, and how. `RUST_LOG` and the command line win over it.
    pub log: Log,
    /// How often the process as a whole may dial venues.
    pub connect: Connect,
    /// The latest values that are kept of every feed, for `tickbus ctl get` and the sinks.
    pub store: Store,
    /// Where frames go besides the bus.
    pub sinks: Sinks,
    /// The feeds by name. Names are lower case letters, digits and single underscores. May be empty: feeds can be opened at
    /// run time.
    #[schemars(extend("maxProperties" = 100, "propertyNames" = {"pattern": "^[a-z0-9]+(_[a-z0-9]+)*$"}))]
    pub feeds: BTreeMap<String, Feed>,
    /// API keys by name, for private channels.
    #[schemars(extend("maxProperties" = 100, "propertyNames" = {"pattern": "^[a-z0-9]+(_[a-z0-9]+)*$"}))]
    pub accounts: BTreeMap<String, Account>,
    /// A file of API keys as topgun and pybotters read it: `{"bybit": ["KEY", "SECRET"], …}`. Each is an account that is
    /// called as its API. If absent, the file that the environment variable `PYBOTTERS_APIS` names.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub apis: Option<String>,
    /// REST jobs by name, whose results are published as `job.NAME.`. Names are as those of feeds.
    #[schemars(extend("maxProperties" = 100, "propertyNames" = {"pattern": "^[a-z0-9]+(_[a-z0-9]+)*$"}))]
    pub jobs: BTreeMap<String, Job>,
}

/// The ZeroMQ bus.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Bus {
    /// Endpoints that subscribers connect to: `tcp://127.0.0.1:5555`, `tcp://*:5555`, `ipc:///run/tickbus/bus`.
    /// Port 0 takes any free port. An entry may also be an object with a policy of its own:
    /// `{"endpoint": "tcp://127.0.0.1:5558", "policy": "disconnect"}`.
    #[schemars(length(min = 1, max = 16))]
    pub bind: Vec<Bind>,
    /// What happens to a frame that finds no room in the queue of a subscriber that reads too slowly, at every endpoint
    /// that has no policy of its own.
    pub policy: Policy,
    /// Endpoint of the snapshot socket, where a late joiner asks for a book.
    pub snapshot_bind: String,
    /// How payloads are encoded. The fields are the same.
    pub encoding: Encoding,
    /// Frames kept for a subscriber that reads too slowly; what is over is dealt with by `policy`, counted and told.
    #[schemars(range(min = 16, max = 1_000_000))]
    pub queue_frames: u32,
    /// Bytes kept for a subscriber that reads too slowly.
    #[schemars(range(min = 1_048_576, max = 4_294_967_296_u64))]
    pub queue_bytes: u64,
    /// Milliseconds that a queue may stay full, without once being half empty, before its subscriber is disconnected;
    /// 0 never disconnects for it. Memory is bounded either way: this is for subscribers that had better join anew.
    #[schemars(range(min = 0, max = 3_600_000))]
    pub slow_ms: u32,
    /// Frames that a subscriber may lose while its queue stays full before it is disconnected; 0 for any number.
    #[schemars(range(min = 0, max = 1_000_000_000))]
    pub slow_drops: u32,
    /// Subscribers at one time; more are refused.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_subscribers: u32,
    /// Connections at one time from one address, so that one host cannot take all places; 0 for any number. Connections
    /// over `ipc` have no address.
    #[schemars(range(min = 0, max = 10_000))]
    pub max_per_address: u32,
    /// Subscriptions (topic prefixes) of one subscriber: at one more it is disconnected. Each takes up to a kilobyte.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub max_subscriptions: u32,
    /// Bytes of one frame that a subscriber may send (a subscription, a heartbeat): who announces more is disconnected.
    #[schemars(range(min = 512, max = 16_777_216))]
    pub max_frame: u32,
    /// Milliseconds within which a subscriber or a client of the snapshot socket must complete its handshake.
    #[schemars(range(min = 100, max = 60_000))]
    pub handshake_ms: u32,
    /// What subscribers and clients of the snapshot socket must show.
    pub auth: Auth,
    /// Needed to bind `bind` or `snapshot_bind` to anything but loopback without an `auth` that keeps strangers out:
    /// whoever reaches the port then reads the data.
    pub public: bool,
}

impl Default for Bus {
    fn default() -> Self {
        Self {
            bind: vec![Bind::Endpoint("tcp://127.0.0.1:5555".to_owned())],
            policy: Policy::Conflate,
            snapshot_bind: "tcp://127.0.0.1:5556".to_owned(),
            encoding: Encoding::Json,
            queue_frames: 10_000,
            queue_bytes: 64 * 1024 * 1024,
            slow_ms: 30_000,
            slow_drops: 0,
            max_subscribers: 256,
            max_per_address: 0,
            max_subscriptions: 10_000,
            max_frame: 64 * 1024,
            handshake_ms: 5000,
            auth: Auth::default(),
            public: false,
        }
    }
}

/// Where subscribers connect to: an endpoint, alone or with a policy of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Bind {
    /// The endpoint; its policy is the bus's.
    Endpoint(String),
    /// With what differs.
    Own(OwnBind),
}

/// An endpoint of the bus and its policy.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["endpoint"]))]
pub struct OwnBind {
    /// The endpoint.
    pub endpoint: String,
    /// What happens to a frame that finds no room in the queue of a subscriber here; if absent, what `bus.policy` says.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Policy")]
    pub policy: Option<Policy>,
}

impl Bind {
    /// The endpoint.
    pub fn endpoint(&self) -> &str {
        match self {
            Self::Endpoint(endpoint) | Self::Own(OwnBind { endpoint, .. }) => endpoint,
        }
    }

    /// Its own policy.
    pub const fn policy(&self) -> Option<Policy> {
        match self {
            Self::Endpoint(_) => None,
            Self::Own(own) => own.policy,
        }
    }
}

impl JsonSchema for Bind {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Bind".into()
    }

    /// That of [`OwnBind`], which a text may stand for.
    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = OwnBind::json_schema(generator);
        schema.insert("type".to_owned(), json!(["string", "object"]));
        schema
    }
}

/// How payloads are encoded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Encoding {
    /// JSON text.
    #[default]
    Json,
    /// MessagePack, with the same fields.
    Msgpack,
}

/// The control socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Control {
    /// Endpoint of the control socket, which changes what the gateway does: beyond loopback and `ipc` it needs an `auth`
    /// that keeps strangers out. `null` turns it off.
    pub bind: Option<String>,
    /// What clients of the control socket must show.
    pub auth: Auth,
    /// A secret that every request must carry as `"token"`. Without CURVE whoever listens on the way can read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretSource")]
    pub token: Option<SecretSource>,
    /// A file that keeps what was opened and subscribed to at run time over a restart. `null`: nothing is kept.
    pub state_file: Option<String>,
    /// Requests a second that one connection may make in the long run, and twice as many at once; all connections
    /// together may make a hundred times as many.
    #[schemars(range(min = 1, max = 100_000))]
    pub max_per_second: u32,
    /// Connections to the control socket at one time; more are refused.
    #[schemars(range(min = 1, max = 10_000))]
    pub max_clients: u32,
    /// What clients may fetch beside public data of venues.
    pub fetch: ControlFetch,
}

impl Default for Control {
    fn default() -> Self {
        Self {
            bind: Some("tcp://127.0.0.1:5557".to_owned()),
            auth: Auth::default(),
            token: None,
            state_file: None,
            max_per_second: 200,
            max_clients: 2_048,
            fetch: ControlFetch::default(),
        }
    }
}

/// The latest values that are kept of every feed: the last book, ticker and so on of each symbol, and of what comes as a
/// stream the last few.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Store {
    /// Trades kept of each symbol; as many liquidations, orders and fills.
    #[schemars(range(min = 1, max = 100_000))]
    pub trades: u32,
    /// Candles kept of each symbol and interval.
    #[schemars(range(min = 1, max = 100_000))]
    pub candles: u32,
    /// Bytes kept of one feed; beyond them the oldest trades and candles go first.
    #[schemars(range(min = 1_048_576, max = 68_719_476_736_u64))]
    pub max_bytes: u64,
}

impl Default for Store {
    fn default() -> Self {
        Self { trades: 1_000, candles: 1_000, max_bytes: 256 * 1024 * 1024 }
    }
}

/// The HTTP door for operators.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address and port of the HTTP listener, `127.0.0.1:5580`; loopback only. `null` turns it off.
    pub listen: Option<String>,
}

impl Default for Admin {
    fn default() -> Self {
        Self { listen: Some("127.0.0.1:5580".to_owned()) }
    }
}

/// What is logged, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Log {
    /// The least important level that is still logged.
    pub level: LogLevel,
    /// Lines for people, or one JSON object a line.
    pub format: LogFormat,
}

/// A log level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LogLevel {
    /// Something is broken.
    Error,
    /// Worth waking someone for.
    Warn,
    /// Connects, resyncs, gaps, shutdown.
    #[default]
    Info,
    /// Why something was done.
    Debug,
    /// Every message.
    Trace,
}

/// How log lines are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// The process-wide connect budget.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Connect {
    /// Connections dialled in any five minutes, over all feeds. Venues block addresses that dial too often
    /// (Bybit: 500 in five minutes), so leave room for other programs behind the same address.
    #[schemars(range(min = 1, max = 500))]
    pub budget_per_5m: u32,
}

impl Default for Connect {
    fn default() -> Self {
        Self { budget_per_5m: 100 }
    }
}

/// One configured connection: venue, market, symbols and channels.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(extend("required" = ["venue", "market", "channels"]))]
pub struct Feed {
    /// Who publishes the data; `tickbus venues` lists them.
    pub venue: String,
    /// The venue's segment: `linear`, `inverse`, `spot`, `option` and so on.
    pub market: String,
    /// Symbols in the venue's own spelling. May be empty when every channel names its symbol.
    pub symbols: Vec<String>,
    /// Kinds of data, for every symbol: `book:50`, `bbo`, `trade`, `ticker`, `candle:1m`, `liquidation`.
    /// The venue's own names are understood too.
    #[schemars(length(min = 1))]
    pub channels: Vec<String>,
    /// What is published from the data.
    pub publish: Publish,
    /// What is fetched of the past, where the venue gives it.
    pub backfill: Backfill,
    /// Websocket address instead of the venue's own: a simulator, a testnet, a regional site.
    pub url: Option<String>,
    /// REST address instead of the venue's own.
    pub rest_url: Option<String>,
    /// An API key of the venue, for private channels.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "CredentialSources")]
    pub credentials: Option<CredentialSources>,
    /// An account of `accounts` or `apis`, instead of `credentials`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Milliseconds without data after which a stream counts as stale. `null` leaves it to the venue's default.
    #[schemars(range(min = 1_000, max = 86_400_000))]
    pub silence_ms: Option<u64>,
    /// A terminal's RPC socket, `tcp://127.0.0.1:5560`.
    pub rpc: Option<String>,
    /// A terminal's second RPC socket, for history and parameters. `null`: `rpc` takes these calls too.
    pub data: Option<String>,
    /// A terminal's events socket, `tcp://127.0.0.1:5561`. `null`: everything is polled.
    pub events: Option<String>,
    /// What a terminal's sockets are shown.
    pub auth: TerminalAuth,
    /// A terminal's current parameters to poll for every symbol: name and milliseconds between two polls.
    pub params: BTreeMap<String, u32>,
    /// How a terminal is treated.
    pub terminal: Terminal,
}

/// What is published from a feed's data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Publish {
    /// Levels a side in `book` frames. `delta` frames always carry every level.
    #[schemars(range(min = 1, max = 1_000))]
    pub book_depth: u16,
    /// Least milliseconds between two `book` frames of a symbol; 0 publishes at every change.
    #[schemars(range(min = 0, max = 60_000))]
    pub book_interval_ms: u32,
}

impl Default for Publish {
    fn default() -> Self {
        Self { book_depth: 25, book_interval_ms: 0 }
    }
}

/// What a feed fetches of the past, by REST, behind all other calls. It is published with `"backfill":true`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Backfill {
    /// Candles of each stream: so many before the first live one, and at most so many that a break has cost. 0 fetches none.
    #[schemars(range(min = 0, max = 10_000))]
    pub candles: u32,
    /// Trades of each stream that a break has cost, at most: the newest of them. 0 fetches none.
    #[schemars(range(min = 0, max = 100_000))]
    pub trades: u32,
}

impl Default for Backfill {
    fn default() -> Self {
        Self { candles: 200, trades: 1_000 }
    }
}

/// The JSON Schema (draft 2020-12) of `config.json`.
pub fn json_schema() -> Value {
    let mut schema = schemars::schema_for!(Settings).to_value();
    drop_defaults_of_required(&mut schema);
    if let Some(definitions) = schema["$defs"].as_object_mut() {
        definitions.values_mut().for_each(drop_defaults_of_required);
    }
    schema
}

/// Required keys have a serde default, so that a feed can be looked at even where one is missing; it is not for users.
fn drop_defaults_of_required(node: &mut Value) {
    let required = node["required"].as_array().cloned().unwrap_or_default();
    for key in required.iter().filter_map(Value::as_str) {
        if let Some(property) = node["properties"][key].as_object_mut() {
            property.remove("default");
        }
    }
}
