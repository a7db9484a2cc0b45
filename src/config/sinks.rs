//! The sinks of the config: their keys, defaults and rules.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::problem::Findings;
use super::secret::{Environment, SecretSource};
use crate::sink::redis::layout::LayoutOptions;
use crate::sink::redis::{Location, OkwsOptions, RedisOptions};

/// The longest topic prefix of a subscription, in bytes.
const LONGEST_PREFIX: usize = 255;

/// Where frames go besides the bus.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Sinks {
    /// A Redis server that holds the latest values and is told of every update.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Redis")]
    pub redis: Option<Redis>,
}

/// The Redis sink.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Redis {
    /// Where Redis is: `redis://127.0.0.1:6379/0` (the last number is the database), `rediss://…` over TLS, or
    /// `unix:///run/redis/redis.sock`.
    pub url: String,
    /// The user, where Redis has several.
    pub username: Option<String>,
    /// The password.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "SecretSource")]
    pub password: Option<SecretSource>,
    /// How keys are named and filled.
    pub layout: Layout,
    /// What every key begins with, before a colon; for the layout `tickbus`.
    pub prefix: String,
    /// Topic prefixes of the frames that are written; `""` for all. Statuses always are. `delta.` is only published and
    /// streamed.
    #[schemars(length(min = 1, max = 100))]
    pub channels: Vec<String>,
    /// Whether every frame is also published (`PUBLISH`), on a channel named like its topic; for the layout `tickbus`.
    pub publish: bool,
    /// Whether every frame is also added to a Redis Stream of its topic (`XADD`), for consumers that must not miss
    /// anything; for the layout `tickbus`.
    pub streams: bool,
    /// Entries that a stream keeps, about.
    #[schemars(range(min = 1, max = 100_000_000))]
    pub stream_length: u32,
    /// Levels a side of a stored book, of those that are published.
    #[schemars(range(min = 1, max = 1_000))]
    pub book_depth: u16,
    /// Candles kept of one interval of a symbol.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub candles: u32,
    /// Trades kept of a symbol, and liquidations.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub trades: u32,
    /// Orders kept of an account's symbol, and fills.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub orders: u32,
    /// Seconds that a key lives after it was last written; 0 for ever.
    #[schemars(range(min = 0, max = 31_536_000))]
    pub ttl_s: u32,
    /// Frames that may wait while Redis is slow or away; of more, books are conflated and the oldest dropped, counted.
    #[schemars(range(min = 16, max = 1_000_000))]
    pub queue_frames: u32,
    /// Bytes that may wait.
    #[schemars(range(min = 1_048_576, max = 4_294_967_296_u64))]
    pub queue_bytes: u64,
    /// Milliseconds within which Redis must answer a burst of commands, or a new connection must be ready.
    #[schemars(range(min = 100, max = 60_000))]
    pub deadline_ms: u32,
    /// Names that clients of okws expect; for the layout `okws`.
    pub okws: Okws,
}

/// How keys are named and filled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Layout {
    /// A hash for each latest value, sorted sets and lists for histories, in our own words.
    #[default]
    Tickbus,
    /// What okws wrote: clients of it work unchanged, their commands included.
    Okws,
}

/// Names of the layout `okws`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Okws {
    /// What keys and channels of data begin with, before a slash.
    pub root: String,
    /// The Redis channel on which clients send commands.
    pub commands: String,
    /// What the key of a command's answer begins with, before a slash and the command's id.
    pub answers: String,
    /// The Redis channel on which the service says that it came (`CONNECTED`) or ends (`EXIT`).
    pub info: String,
    /// The venue whose feeds clients open.
    pub venue: String,
    /// Websocket address of these feeds instead of the venue's own: a simulator, a demo host, a regional site.
    pub url: Option<String>,
    /// REST address of these feeds instead of the venue's own.
    pub rest_url: Option<String>,
}

impl Default for Redis {
    fn default() -> Self {
        let all = [
            "book.",
            "bbo.",
            "ticker.",
            "trade.",
            "candle_",
            "liquidation.",
            "instrument.",
            "order.",
            "fill.",
            "position.",
            "balance.",
            "heartbeat.",
        ];
        Self {
            url: "redis://127.0.0.1:6379/0".to_owned(),
            username: None,
            password: None,
            layout: Layout::Tickbus,
            prefix: "tickbus".to_owned(),
            channels: all.map(str::to_owned).to_vec(),
            publish: true,
            streams: false,
            stream_length: 10_000,
            book_depth: 25,
            candles: 1_000,
            trades: 1_000,
            orders: 1_000,
            ttl_s: 0,
            queue_frames: 10_000,
            queue_bytes: 64 * 1024 * 1024,
            deadline_ms: 5_000,
            okws: Okws::default(),
        }
    }
}

impl Default for Okws {
    fn default() -> Self {
        Self {
            root: "okex".to_owned(),
            commands: "trade-ws".to_owned(),
            answers: "trade-ws/info".to_owned(),
            info: "okws/info".to_owned(),
            venue: "okx".to_owned(),
            url: None,
            rest_url: None,
        }
    }
}

impl Sinks {
    /// Reads secrets and checks what the schema cannot.
    pub(super) fn resolve(&self, environment: &Environment, findings: &mut Findings) -> Option<RedisOptions> {
        self.redis.as_ref()?.resolve(environment, findings)
    }
}

impl Redis {
    fn resolve(&self, environment: &Environment, findings: &mut Findings) -> Option<RedisOptions> {
        let location = Location::read(&self.url).map_err(|what| findings.add("sinks.redis.url", what));
        let password = self.password.as_ref().and_then(|source| {
            let read = source.read(environment);
            read.map_err(|what| findings.add("sinks.redis.password", what)).ok()
        });
        if self.username.is_some() && self.password.is_none() {
            findings.add("sinks.redis.username", "needs a password; say where it comes from in sinks.redis.password");
        }
        let texts = [
            ("prefix", &self.prefix),
            ("okws.root", &self.okws.root),
            ("okws.commands", &self.okws.commands),
            ("okws.answers", &self.okws.answers),
            ("okws.info", &self.okws.info),
        ];
        for (key, text) in texts {
            if text.is_empty() || text.len() > LONGEST_PREFIX || text.chars().any(|c| c.is_control() || c == ' ') {
                findings.add(format!("sinks.redis.{key}"), "must be 1 to 255 bytes without spaces");
            }
        }
        for (at, prefix) in self.channels.iter().enumerate() {
            if prefix.len() > LONGEST_PREFIX {
                let message = format!("is longer than {LONGEST_PREFIX} bytes, the longest prefix of a topic");
                findings.add(format!("sinks.redis.channels[{at}]"), message);
            }
        }
        Some(RedisOptions {
            location: location.ok()?,
            username: self.username.clone(),
            password,
            channels: self.channels.clone(),
            layout: Arc::new(LayoutOptions {
                prefix: self.prefix.clone(),
                publish: self.publish,
                stream_length: if self.streams { self.stream_length } else { 0 },
                book_depth: self.book_depth.into(),
                candles: self.candles,
                trades: self.trades,
                orders: self.orders,
                ttl: self.ttl_s.into(),
            }),
            okws: (self.layout == Layout::Okws).then(|| OkwsOptions {
                root: self.okws.root.clone(),
                commands: self.okws.commands.clone(),
                answers: self.okws.answers.clone(),
                info: self.okws.info.clone(),
                venue: self.okws.venue.clone(),
                url: self.okws.url.clone(),
                rest_url: self.okws.rest_url.clone(),
            }),
            queue_frames: self.queue_frames as usize,
            queue_bytes: usize::try_from(self.queue_bytes).unwrap_or(usize::MAX),
            deadline: Duration::from_millis(self.deadline_ms.into()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;

    fn checked(redis: serde_json::Value, env: &[(&str, &str)]) -> Result<Option<RedisOptions>, String> {
        let feed = serde_json::json!({"venue": "bybit", "market": "spot", "symbols": ["A"], "channels": ["trade"]});
        let text = serde_json::json!({"feeds": {"a": feed}, "sinks": {"redis": redis}}).to_string();
        let env = env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let checked = Layers { text, env, ..Layers::default() }.check();
        checked.map(|config| config.redis).map_err(|problems| problems.to_string())
    }

    #[test]
    fn a_sink_is_read_with_its_secrets() {
        let redis = serde_json::json!({"url": "redis://cache:7/2", "username": "u", "password": {"env": "P"}, "layout": "okws"});
        let options = checked(redis, &[("P", "swordfish")]).unwrap().unwrap();
        assert_eq!(options.location.to_string(), "redis://cache:7/2");
        assert!(options.okws.is_some_and(|okws| okws.commands == "trade-ws"));
        assert!(options.password.is_some_and(|password| password.reveal() == "swordfish"));
        assert_eq!(options.layout.stream_length, 0);
        assert_eq!(
            checked(serde_json::json!({}), &[]).unwrap().unwrap().location.to_string(),
            "redis://127.0.0.1:6379/0"
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_path() {
        for (redis, wanted) in [
            (serde_json::json!({"url": "http://x"}), "sinks.redis.url: has the scheme \"http\""),
            (serde_json::json!({"password": {"env": "NONE"}}), "sinks.redis.password: the environment variable NONE"),
            (serde_json::json!({"username": "u"}), "sinks.redis.username: needs a password"),
            (serde_json::json!({"prefix": "a b"}), "sinks.redis.prefix: must be 1 to 255"),
            (serde_json::json!({"channels": ["x".repeat(256)]}), "sinks.redis.channels[0]: is longer"),
            (serde_json::json!({"layout": "other"}), "sinks.redis.layout: unknown value"),
            (serde_json::json!({"book_depth": 0}), "sinks.redis.book_depth: 0 is out of range"),
            (serde_json::json!({"stream": true}), "sinks.redis.stream: unknown key"),
        ] {
            let error = checked(redis, &[]).unwrap_err();
            assert!(error.contains(wanted), "{error}");
        }
    }
}
