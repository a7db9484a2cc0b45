//! The table of API names: which hosts each signs for, with which scheme, and what it needs of an account.

use super::{
    Call, Compat, Credentials, Json, Opening, Proof, Request, Scheme, SignError, Signed, binance, bitbank, bitflyer,
    bitget, bitmex, bittrade, bybit, coincheck, gmocoin, heartbeat, hyperliquid, kucoin, mexc, okj, okx, phemex,
};
use crate::secret::Secret;

/// What an account needs beside a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: the key is a wallet's private key.
    KeyOnly,
    /// A secret.
    Secret,
    /// A secret and a passphrase.
    Passphrase,
}

/// Hosts by what is signed there.
struct Hosts {
    /// REST requests.
    rest: &'static [&'static str],
    /// Logins, once a socket is open.
    login: &'static [&'static str],
    /// Each message over a socket.
    messages: &'static [&'static str],
}

const NONE: Hosts = Hosts { rest: &[], login: &[], messages: &[] };

/// A venue's API of one environment: keys of one do not fit another.
pub struct Api {
    /// Its name in accounts.
    pub name: &'static str,
    /// The venue whose feeds its accounts fit.
    pub venue: &'static str,
    /// What an account needs.
    pub needs: Needs,
    /// Hosts that the reference client signs for.
    hosts: Hosts,
    /// Hosts that only the documentation names.
    more: Hosts,
    scheme: &'static Scheme,
}

impl std::fmt::Debug for Api {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Api({})", self.name)
    }
}

const fn api(
    name: &'static str,
    venue: &'static str,
    needs: Needs,
    hosts: Hosts,
    more: Hosts,
    scheme: &'static Scheme,
) -> Api {
    Api { name, venue, needs, hosts, more, scheme }
}

/// All API names.
pub static APIS: [Api; 23] = [
    api(
        "binance",
        "binance",
        Needs::Secret,
        Hosts {
            rest: &[
                "api.binance.com",
                "api-gcp.binance.com",
                "api1.binance.com",
                "api2.binance.com",
                "api3.binance.com",
                "api4.binance.com",
                "fapi.binance.com",
                "dapi.binance.com",
            ],
            messages: &["ws-api.binance.com"],
            ..NONE
        },
        Hosts {
            rest: &["papi.binance.com", "eapi.binance.com"],
            messages: &["ws-fapi.binance.com", "ws-dapi.binance.com"],
            ..NONE
        },
        &binance::SCHEME,
    ),
    api(
        "binancefuture_testnet",
        "binance",
        Needs::Secret,
        Hosts { rest: &["testnet.binancefuture.com"], ..NONE },
        Hosts { messages: &["testnet.binancefuture.com"], ..NONE },
        &binance::SCHEME,
    ),
    api(
        "binancespot_testnet",
        "binance",
        Needs::Secret,
        Hosts { rest: &["testnet.binance.vision"], messages: &["testnet.binance.vision"], ..NONE },
        Hosts { messages: &["ws-api.testnet.binance.vision"], ..NONE },
        &binance::SCHEME,
    ),
    api("bitbank", "bitbank", Needs::Secret, Hosts { rest: &["api.bitbank.cc"], ..NONE }, NONE, &bitbank::SCHEME),
    api(
        "bitflyer",
        "bitflyer",
        Needs::Secret,
        Hosts { rest: &["api.bitflyer.com"], login: &["ws.lightstream.bitflyer.com"], ..NONE },
        NONE,
        &bitflyer::SCHEME,
    ),
    api(
        "bitget",
        "bitget",
        Needs::Passphrase,
        Hosts { rest: &["api.bitget.com"], login: &["ws.bitget.com"], ..NONE },
        NONE,
        &bitget::SCHEME,
    ),
    api(
        "bitmex",
        "bitmex",
        Needs::Secret,
        Hosts { rest: &["www.bitmex.com"], ..NONE },
        Hosts { rest: &["ws.bitmex.com"], ..NONE },
        &bitmex::SCHEME,
    ),
    api(
        "bitmex_testnet",
        "bitmex",
        Needs::Secret,
        Hosts { rest: &["testnet.bitmex.com"], ..NONE },
        Hosts { rest: &["ws.testnet.bitmex.com"], ..NONE },
        &bitmex::SCHEME,
    ),
    api(
        "bybit",
        "bybit",
        Needs::Secret,
        Hosts {
            rest: &["api.bybit.com", "api.bytick.com"],
            login: &["stream.bybit.com", "stream.bytick.com"],
            messages: &["stream.bybit.com"],
        },
        Hosts {
            rest: &[
                "api.bybit.nl",
                "api.bybit.eu",
                "api.bybit.kz",
                "api.bybit.ae",
                "api.bybit.id",
                "api.bybit-tr.com",
                "api.bybitgeorgia.ge",
            ],
            messages: &["stream.bytick.com"],
            ..NONE
        },
        &bybit::SCHEME,
    ),
    api(
        "bybit_demo",
        "bybit",
        Needs::Secret,
        Hosts {
            rest: &["api-demo.bybit.com"],
            login: &["stream-demo.bybit.com"],
            messages: &["stream-demo.bybit.com"],
        },
        NONE,
        &bybit::SCHEME,
    ),
    api(
        "bybit_testnet",
        "bybit",
        Needs::Secret,
        Hosts {
            rest: &["api-testnet.bybit.com"],
            login: &["stream-testnet.bybit.com"],
            messages: &["stream-testnet.bybit.com"],
        },
        NONE,
        &bybit::SCHEME,
    ),
    api(
        "coincheck",
        "coincheck",
        Needs::Secret,
        Hosts { rest: &["coincheck.com"], login: &["stream.coincheck.com"], ..NONE },
        NONE,
        &coincheck::SCHEME,
    ),
    api("gmocoin", "gmocoin", Needs::Secret, Hosts { rest: &["api.coin.z.com"], ..NONE }, NONE, &gmocoin::SCHEME),
    api(
        "hyperliquid",
        "hyperliquid",
        Needs::KeyOnly,
        Hosts { rest: &["api.hyperliquid.xyz"], messages: &["api.hyperliquid.xyz"], ..NONE },
        NONE,
        &hyperliquid::SCHEME,
    ),
    api(
        "hyperliquid_testnet",
        "hyperliquid",
        Needs::KeyOnly,
        Hosts { rest: &["api.hyperliquid-testnet.xyz"], messages: &["api.hyperliquid-testnet.xyz"], ..NONE },
        NONE,
        &hyperliquid::SCHEME,
    ),
    api(
        "kucoin",
        "kucoin",
        Needs::Passphrase,
        Hosts { rest: &["api.kucoin.com", "api-futures.kucoin.com"], ..NONE },
        NONE,
        &kucoin::SCHEME,
    ),
    api(
        "mexc",
        "mexc",
        Needs::Secret,
        Hosts { rest: &["api.mexc.com", "contract.mexc.com", "www.mexc.com"], login: &["contract.mexc.com"], ..NONE },
        NONE,
        &mexc::SCHEME,
    ),
    api(
        "okx",
        "okx",
        Needs::Passphrase,
        Hosts { rest: &["www.okx.com", "aws.okx.com"], login: &["ws.okx.com", "wsaws.okx.com"], ..NONE },
        Hosts { rest: &["eea.okx.com", "us.okx.com"], login: &["wseea.okx.com", "wsus.okx.com"], ..NONE },
        &okx::SCHEME,
    ),
    api(
        "okx_demo",
        "okx",
        Needs::Passphrase,
        Hosts { rest: &["www.okx.com", "aws.okx.com"], login: &["wspap.okx.com"], ..NONE },
        Hosts { rest: &["eea.okx.com", "us.okx.com"], login: &["wseeapap.okx.com"], ..NONE },
        &okx::SCHEME,
    ),
    api(
        "phemex",
        "phemex",
        Needs::Secret,
        Hosts {
            rest: &["api.phemex.com", "vapi.phemex.com"],
            login: &["phemex.com", "ws.phemex.com", "vapi.phemex.com"],
            ..NONE
        },
        NONE,
        &phemex::SCHEME,
    ),
    api(
        "phemex_testnet",
        "phemex",
        Needs::Secret,
        Hosts { rest: &["testnet-api.phemex.com"], login: &["testnet.phemex.com", "testnet-api.phemex.com"], ..NONE },
        NONE,
        &phemex::SCHEME,
    ),
    api(
        "okj",
        "okj",
        Needs::Passphrase,
        Hosts { rest: &["www.okcoin.jp"], login: &["connect.okcoin.jp"], ..NONE },
        Hosts { rest: &["api.okj.com"], login: &["ws.okj.com"], ..NONE },
        &okj::SCHEME,
    ),
    api(
        "bittrade",
        "bittrade",
        Needs::Secret,
        Hosts { rest: &["api-cloud.bittrade.co.jp"], login: &["api-cloud.bittrade.co.jp"], ..NONE },
        NONE,
        &bittrade::SCHEME,
    ),
];

/// The API of this name.
pub fn find(name: &str) -> Option<&'static Api> {
    APIS.iter().find(|api| api.name == name)
}

/// The API whose REST requests to this host are signed; a port does not count. Hosts that two share (OKX's real and demo
/// accounts) belong to the first; [`for_request`] tells them apart.
pub fn for_host(host: &str) -> Option<&'static Api> {
    let host = host.split(':').next().unwrap_or_default().to_ascii_lowercase();
    APIS.iter().find(|api| api.signs_rest(&host, Compat::Documented))
}

/// The API that signs this request: by its host and, where two share it, by the header `x-simulated-trading`.
pub fn for_request(request: &Request, compat: Compat) -> Option<&'static Api> {
    let host = match &request.as_host {
        Some(host) => host.to_ascii_lowercase(),
        None => super::url::Url::new(&request.url, &[], compat).ok()?.host,
    };
    let is_demo = is_simulated(request);
    APIS.iter().find(|api| api.signs_rest(&host, compat) && api.takes_simulated(is_demo))
}

/// The API that opens sockets of this host with a login.
pub fn for_socket(host: &str, compat: Compat) -> Option<&'static Api> {
    APIS.iter().find(|api| api.has(host, compat, |hosts| hosts.login))
}

/// The API that signs each message over sockets of this host.
pub fn for_messages(host: &str, compat: Compat) -> Option<&'static Api> {
    APIS.iter().find(|api| api.has(host, compat, |hosts| hosts.messages))
}

/// A request as it is sent without a signature: to a host that no account is for, or to a public endpoint.
///
/// # Errors
/// The address is none, or the body cannot be written.
pub fn unsigned(request: &Request, now_ms: u64, compat: Compat) -> Result<Signed, SignError> {
    let nothing = || Secret::new(String::new());
    let credentials = Credentials { key: nothing(), secret: nothing(), passphrase: None };
    let mut call = Call::new(request, &credentials, now_ms, compat)?;
    match compat {
        Compat::Documented => call.json_body()?,
        Compat::Reference => hyperliquid::unsigned_body(&mut call)?,
    }
    Ok(call.finish())
}

/// Whether the caller says that it is for the demo account.
fn is_simulated(request: &Request) -> bool {
    let said = request.headers.iter().rev().find(|(name, _)| name.eq_ignore_ascii_case("x-simulated-trading"));
    said.is_some_and(|(_, value)| value == "1")
}

impl Api {
    fn has(&self, host: &str, compat: Compat, kind: fn(&Hosts) -> &'static [&'static str]) -> bool {
        kind(&self.hosts).contains(&host) || compat == Compat::Documented && kind(&self.more).contains(&host)
    }

    fn signs_rest(&self, host: &str, compat: Compat) -> bool {
        self.has(host, compat, |hosts| hosts.rest)
    }

    fn takes_simulated(&self, is_demo: bool) -> bool {
        match self.name {
            "okx" => !is_demo,
            "okx_demo" => is_demo,
            _ => true,
        }
    }

    /// Whether REST requests to this host are of this API.
    pub(super) fn signs_for(&self, host: &str) -> bool {
        self.signs_rest(host, Compat::Documented)
    }

    /// The first of its REST hosts.
    pub(super) fn first_host(&self) -> Option<&'static str> {
        self.hosts.rest.first().or(self.more.rest.first()).copied()
    }

    /// The first of the hosts where a login opens a socket.
    pub(super) fn login_host(&self) -> Option<&'static str> {
        self.hosts.login.first().or(self.more.login.first()).copied()
    }

    /// The first of the hosts where each message is signed.
    pub(super) fn message_host(&self) -> Option<&'static str> {
        self.hosts.messages.first().or(self.more.messages.first()).copied()
    }

    /// The hosts it signs for, each once.
    pub fn hosts(&self) -> Vec<&'static str> {
        let of = |hosts: &Hosts| [hosts.rest, hosts.login, hosts.messages].concat();
        let mut all = [of(&self.hosts), of(&self.more)].concat();
        let mut seen = std::collections::HashSet::new();
        all.retain(|host| seen.insert(*host));
        all
    }

    /// Whether these credentials are complete and can be used as keys.
    ///
    /// # Errors
    /// What is missing, or what a key must look like.
    pub fn check(&self, credentials: &Credentials) -> Result<(), SignError> {
        let missing = |part| Err(SignError::Missing { api: self.name, part });
        if credentials.key.reveal().is_empty() {
            return missing("key");
        }
        if self.needs != Needs::KeyOnly && credentials.secret.reveal().is_empty() {
            return missing("secret");
        }
        if self.needs == Needs::Passphrase
            && credentials.passphrase.as_ref().is_none_or(|text| text.reveal().is_empty())
        {
            return missing("passphrase");
        }
        match (self.needs, self.venue) {
            (Needs::KeyOnly, _) => hyperliquid::private_key(&credentials.key).map(drop),
            (_, "binance") => binance::check(&credentials.secret),
            _ => Ok(()),
        }
    }

    /// Signs a REST request. `now_ms` is the time in milliseconds since 1970.
    ///
    /// # Errors
    /// The address is none, or not of this API's hosts (so that no key goes elsewhere); the body cannot be written as the
    /// venue wants it; a part of the credentials is missing or cannot be used.
    pub fn sign(
        &self,
        request: &Request,
        credentials: &Credentials,
        now_ms: u64,
        compat: Compat,
    ) -> Result<Signed, SignError> {
        let mut call = Call::new(request, credentials, now_ms, compat)?;
        if !self.signs_rest(&call.host, compat) {
            return Err(self.foreign(call.host));
        }
        if compat == Compat::Documented {
            self.check(credentials)?;
            if self.name == "okx_demo" {
                call.set("x-simulated-trading", "1");
            }
        }
        (self.scheme.rest)(&mut call)?;
        Ok(call.finish())
    }

    /// How a socket is opened: its upgrade, login and heartbeat. `nonce` is 32 random hexadecimal digits for bitFlyer, and a
    /// random id for KuCoin's heartbeats; others use none. `as_host` is as in [`Request`].
    ///
    /// # Errors
    /// As those of [`Self::sign`], and a nonce that is none.
    pub fn open(
        &self,
        url: &str,
        as_host: Option<&str>,
        credentials: &Credentials,
        now_ms: u64,
        nonce: &str,
        compat: Compat,
    ) -> Result<Opening, SignError> {
        let request = Request { url: url.to_owned(), as_host: as_host.map(str::to_owned), ..Request::default() };
        let mut call = Call::new(&request, credentials, now_ms, compat)?;
        let logs_in = self.has(&call.host, compat, |hosts| hosts.login);
        let signs = self.signs_rest(&call.host, compat) && self.takes_simulated(false);
        // Only BitMEX logs in by the upgrade. The reference client signs every upgrade to a host that has a REST API.
        let signs_upgrade = signs && (compat == Compat::Reference || self.venue == "bitmex");
        if compat == Compat::Documented && (logs_in || signs_upgrade) {
            self.check(credentials)?;
        }
        if signs_upgrade {
            (self.scheme.rest)(&mut call)?;
        }
        let opened = call.url.clone();
        let login = match logs_in {
            true => (self.scheme.login)(&mut call, nonce)?,
            false => None,
        };
        let login = login.map(|frame| Secret::new(frame.write(call.style())));
        let heartbeat = heartbeat::of(&call, nonce)?;
        let signed = call.finish();
        debug_assert_eq!(signed.url.reveal(), opened.text(), "a login changes no address");
        Ok(Opening { url: signed.url, headers: signed.headers, login, heartbeat, proofs: signed.proofs })
    }

    /// Signs a message that is to be sent over a socket, where the venue wants each signed; else leaves it.
    ///
    /// # Errors
    /// As those of [`Self::sign`].
    pub fn sign_message(
        &self,
        url: &str,
        as_host: Option<&str>,
        message: &mut Json,
        credentials: &Credentials,
        now_ms: u64,
        compat: Compat,
    ) -> Result<Vec<Proof>, SignError> {
        let request = Request { url: url.to_owned(), as_host: as_host.map(str::to_owned), ..Request::default() };
        let mut call = Call::new(&request, credentials, now_ms, compat)?;
        // The reference client leaves an empty message alone.
        let is_left = compat == Compat::Reference && message.is_falsy();
        if !is_left && self.has(&call.host, compat, |hosts| hosts.messages) {
            if compat == Compat::Documented {
                self.check(credentials)?;
            }
            (self.scheme.message)(&mut call, message)?;
        }
        Ok(call.into_proofs())
    }

    fn foreign(&self, host: String) -> SignError {
        SignError::Host { api: self.name, host }
    }
}
