//! Where Redis is, and what is written there.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use url::{Host, Url};

use super::layout::LayoutOptions;
use crate::secret::Secret;

const DEFAULT_PORT: u16 = 6379;
const ALLOWED: &str = "allowed: redis://HOST:PORT/DB, rediss://HOST:PORT/DB (TLS) or unix:///PATH";

/// Where Redis listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// TCP, or TLS on top of it.
    Tcp {
        /// A name or an address.
        host: Host<String>,
        /// Its port.
        port: u16,
        /// Whether to speak TLS.
        secure: bool,
    },
    /// A Unix socket.
    Unix(PathBuf),
}

/// An address, and which of the server's databases to use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// Where Redis listens.
    pub address: Address,
    /// The database's number; 0 is the default one.
    pub db: u32,
}

impl Location {
    /// Reads `redis://HOST:PORT/DB`, `rediss://…` or `unix:///PATH`.
    ///
    /// # Errors
    /// What is wrong and what is allowed, as one sentence; never any password that stands there.
    pub fn read(text: &str) -> Result<Self, String> {
        let url = Url::parse(text).map_err(|error| format!("is not an address: {error}; {ALLOWED}"))?;
        if !url.username().is_empty() || url.password().is_some() {
            return Err("has a user or password in it; write them as username and password beside it".to_owned());
        }
        if url.query().is_some() || url.fragment().is_some() {
            return Err(format!("has options after ? or #, which are not understood; {ALLOWED}"));
        }
        let secure = match url.scheme() {
            "unix" if url.host().is_none() && url.path().len() > 1 => {
                return Ok(Self { address: Address::Unix(url.path().into()), db: 0 });
            }
            "redis" => false,
            "rediss" => true,
            other => return Err(format!("has the scheme {other:?}; {ALLOWED}")),
        };
        // Of a scheme that it does not know, the library reads an IP address as a name.
        let host = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| format!("has no host; {ALLOWED}"))?;
        let host = Host::parse(host).map_err(|error| format!("has a host that is none: {error}"))?;
        let db = match url.path().trim_matches('/') {
            "" => 0,
            number => number.parse().map_err(|_| format!("has {number:?} where a database's number stands"))?,
        };
        Ok(Self { address: Address::Tcp { host, port: url.port().unwrap_or(DEFAULT_PORT), secure }, db })
    }
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.address {
            Address::Tcp { host, port, secure } => {
                write!(f, "redis{}://{host}:{port}/{}", if *secure { "s" } else { "" }, self.db)
            }
            Address::Unix(path) => write!(f, "unix://{}", path.display()),
        }
    }
}

/// What okws's clients expect beside the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OkwsOptions {
    /// What keys and channels begin with: `okex`.
    pub root: String,
    /// The channel that commands come on: `trade-ws`.
    pub commands: String,
    /// What the key of an answer begins with: `trade-ws/info`.
    pub answers: String,
    /// The channel on which the service tells of its own coming and going: `okws/info`.
    pub info: String,
    /// The venue that is opened: `okx`.
    pub venue: String,
    /// The websocket address of feeds that clients open, instead of the venue's own.
    pub url: Option<String>,
    /// The same of REST.
    pub rest_url: Option<String>,
}

/// A checked configuration of the sink.
#[derive(Clone, Debug)]
pub struct RedisOptions {
    /// Where Redis is.
    pub location: Location,
    /// The user, where Redis has several.
    pub username: Option<String>,
    /// The password.
    pub password: Option<Secret>,
    /// Topic prefixes of what is written.
    pub channels: Vec<String>,
    /// How it is written.
    pub layout: Arc<LayoutOptions>,
    /// The layout `okws`, if it is that.
    pub okws: Option<OkwsOptions>,
    /// Frames that may wait for Redis.
    pub queue_frames: usize,
    /// Bytes that may wait for Redis.
    pub queue_bytes: usize,
    /// How long a burst, or connecting, may take.
    pub deadline: Duration,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locations_are_read_and_shown() {
        for (text, shown) in [
            ("redis://127.0.0.1:6380/3", "redis://127.0.0.1:6380/3"),
            ("redis://cache", "redis://cache:6379/0"),
            ("rediss://cache.example.com/", "rediss://cache.example.com:6379/0"),
            ("redis://[::1]:7/1", "redis://[::1]:7/1"),
            ("unix:///run/redis/redis.sock", "unix:///run/redis/redis.sock"),
        ] {
            assert_eq!(Location::read(text).map(|location| location.to_string()).as_deref(), Ok(shown));
        }
        let tcp = Location::read("redis://127.0.0.1").unwrap().address;
        assert!(matches!(tcp, Address::Tcp { host: Host::Ipv4(_), .. }), "{tcp:?}");
        for (text, wanted) in [
            ("127.0.0.1:6379", "is not an address"),
            ("http://x", "has the scheme \"http\""),
            ("redis://:swordfish@x", "has a user or password in it"),
            ("redis://x/one", "has \"one\" where"),
            ("redis://x?protocol=3", "has options after ?"),
            ("redis:///1", "has no host"),
            ("unix://host/path", "has the scheme"),
        ] {
            let error = Location::read(text).unwrap_err();
            assert!(error.starts_with(wanted) && !error.contains("swordfish"), "{text}: {error}");
        }
    }
}
