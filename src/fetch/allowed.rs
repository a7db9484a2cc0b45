//! What clients of the control socket may fetch: they need not be trusted with every host that this machine reaches, nor
//! with its keys.

use std::str::FromStr;

use url::Url;

use super::venues_at;
use crate::sign::{self, Method, Signer};

/// What the config lists (`control.fetch`); nothing by default.
#[derive(Clone, Debug, Default)]
pub struct Allowed {
    /// Accounts that may sign.
    pub accounts: Vec<String>,
    /// Hosts that may be called beside the venues' own, and signed calls may go to.
    pub hosts: Vec<Listed>,
    /// Methods beside `GET`.
    pub methods: Vec<Method>,
}

/// A host of the list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listed {
    host: String,
    /// The scheme's own where absent.
    port: Option<u16>,
}

/// Why a client of the control socket does not get what it asks for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Forbidden {
    /// The host.
    #[error("{host} is no venue's REST host (over https) and not in control.fetch.hosts")]
    Host {
        /// Which.
        host: String,
    },
    /// The account, or the host it would sign for.
    #[error(
        "signed calls need the account in control.fetch.accounts and the host in control.fetch.hosts; asked for: {account}, {host}"
    )]
    Signed {
        /// The account.
        account: String,
        /// The host.
        host: String,
    },
    /// The method.
    #[error("{method} needs to be in control.fetch.methods, and {host} in control.fetch.hosts")]
    Method {
        /// Which.
        method: &'static str,
        /// The host.
        host: String,
    },
}

impl FromStr for Listed {
    type Err = String;

    /// Reads `HOST` or `HOST:PORT`.
    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "is no host: write HOST or HOST:PORT, such as api.bitflyer.com or 127.0.0.1:9001".to_owned();
        let plain = |text: &str| !text.is_empty() && !text.contains(['/', '?', '#', '@', '\\', ' ', '*']);
        let url = Url::parse(&format!("http://{text}/")).ok().filter(|_| plain(text)).ok_or_else(wrong)?;
        let host = url.host_str().ok_or_else(wrong)?.to_owned();
        // 80 is the port that this scheme leaves out.
        let port = if text.ends_with(":80") { Some(80) } else { url.port() };
        Ok(Self { host, port })
    }
}

impl Listed {
    fn is(&self, url: &Url) -> bool {
        let port = match self.port {
            None => url.port().is_none(),
            port => url.port_or_known_default() == port,
        };
        port && url.host_str() == Some(&self.host)
    }
}

impl Allowed {
    /// Whether this account may sign for this address.
    pub(super) fn signs(&self, account: &str, url: &Url) -> bool {
        self.accounts.iter().any(|listed| listed == account) && self.lists(url)
    }

    fn lists(&self, url: &Url) -> bool {
        self.hosts.iter().any(|listed| listed.is(url))
    }

    /// Whether a client may make this call.
    ///
    /// # Errors
    /// What would have to be listed.
    pub fn check(&self, method: Method, url: &Url, signer: Option<&Signer>) -> Result<(), Forbidden> {
        let host = || match (url.host_str().unwrap_or_default(), url.port()) {
            (host, Some(port)) => format!("{host}:{port}"),
            (host, None) => host.to_owned(),
        };
        if !self.lists(url) && !is_of_a_venue(url) {
            return Err(Forbidden::Host { host: host() });
        }
        if let Some(signer) = signer.filter(|signer| !self.signs(&signer.account, url)) {
            return Err(Forbidden::Signed { account: signer.account.to_string(), host: host() });
        }
        let may = method.is_safe() || self.methods.contains(&method) && self.lists(url);
        if may { Ok(()) } else { Err(Forbidden::Method { method: method.as_str(), host: host() }) }
    }
}

/// Whether it is a REST host of a venue, the usual way.
fn is_of_a_venue(url: &Url) -> bool {
    let is_api = || url.host_str().is_some_and(|host| sign::for_host(host).is_some());
    url.scheme() == "https" && (venues_at(url).next().is_some() || url.port().is_none() && is_api())
}
