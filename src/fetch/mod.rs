//! One REST call of anybody's choice: signed by an account that fits its host, through the budget of that host.

mod allowed;
mod answer;
mod request;

use std::sync::Arc;
use std::time::Duration;

use tracing::debug;
use url::Url;

pub use self::allowed::{Allowed, Forbidden, Listed};
pub use self::answer::Fetched;
pub use self::request::{body, headers, is_text_header, method, pairs, url};
use crate::config::{Accounts, KnownAccount};
use crate::io::budget::{Account, RestBudget};
use crate::io::http::{HttpError, RestClient};
use crate::sign::{self, Body, Compat, Method, Request, Signer};
use crate::venue::{Market, RestLimit, VENUES, VenueDef};

/// What may be asked of a host that is no venue's of ours.
const UNKNOWN_HOST: RestLimit = RestLimit::calls("host", 5);

/// A call.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Its method.
    pub method: Method,
    /// Its whole address, as [`url()`] reads it.
    pub url: Url,
    /// Parameters that are appended to the query.
    pub params: Vec<(String, String)>,
    /// What is sent.
    pub body: Body,
    /// Headers, as [`headers`] reads them.
    pub headers: Vec<(String, String)>,
    /// Who signs it.
    pub signing: Signing,
    /// How long it may take once it has left.
    pub timeout: Duration,
}

/// Who signs a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Signing {
    /// The account of the API that the host is of, if there is exactly one.
    #[default]
    ByHost,
    /// This account.
    Account(String),
    /// Nobody.
    Nobody,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// The call makes no sense.
    #[error("{0}")]
    Bad(String),
    /// Several accounts could sign.
    #[error("several accounts of {api} could sign it; name one of {names}, or say that it is not to be signed")]
    Ambiguous {
        /// The API.
        api: &'static str,
        /// The accounts.
        names: String,
    },
    /// The account that is to sign cannot.
    #[error("{0}")]
    Account(String),
    /// Whoever asks may not.
    #[error(transparent)]
    Forbidden(#[from] Forbidden),
    /// It failed.
    #[error(transparent)]
    Http(#[from] HttpError),
}

/// Makes calls with the accounts of a config.
#[derive(Debug)]
pub struct Fetcher {
    rest: RestClient,
    budget: Arc<RestBudget>,
    accounts: Accounts,
}

impl Fetcher {
    /// A fetcher that shares the client's connections and the process's budget.
    pub const fn new(rest: RestClient, budget: Arc<RestBudget>, accounts: Accounts) -> Self {
        Self { rest, budget, accounts }
    }

    /// The client that makes its calls.
    pub const fn rest(&self) -> &RestClient {
        &self.rest
    }

    /// The budget that its calls are counted in.
    pub fn budget(&self) -> &RestBudget {
        &self.budget
    }

    /// Makes a call, if whoever asks may; without `allowed` everything is.
    ///
    /// # Errors
    /// It makes no sense or is not allowed, nobody can sign it, or there is no answer.
    pub async fn fetch(&self, fetch: Fetch, allowed: Option<&Allowed>) -> Result<Fetched, FetchError> {
        let Fetch { method, url, params, body, headers, signing, timeout } = fetch;
        if method == Method::Get && body != Body::Empty {
            return Err(FetchError::Bad("a GET has no data; write it as parameters".to_owned()));
        }
        let request = Request { method, url: url.to_string(), params, body, headers, as_host: None };
        let (signer, note) = self.signer(&signing, &url, &request, allowed)?;
        if let Some(allowed) = allowed {
            allowed.check(method, &url, signer.as_ref())?;
        }
        let account = self.account(&url);
        let place = account.queue(weight(&url, &request.params));
        let place = place.ok_or_else(|| HttpError::Crowded { account: account.name().to_owned() })?;
        debug!(method = method.as_str(), host = url.host_str(), budget = account.name(), "Fetch");
        let answer = self.rest.send(request, signer.as_ref(), timeout, place).await?;
        Ok(Fetched::new(answer, signer.as_ref(), note))
    }

    /// Who signs, and a note if that is nobody although the host is an API's.
    fn signer(
        &self,
        signing: &Signing,
        url: &Url,
        request: &Request,
        allowed: Option<&Allowed>,
    ) -> Result<(Option<Signer>, Option<String>), FetchError> {
        match signing {
            Signing::Nobody => return Ok((None, None)),
            Signing::Account(name) => {
                let account = self.accounts.known(name).map_err(FetchError::Account)?;
                return signer_of(account, url).map(|signer| (Some(signer), None));
            }
            Signing::ByHost => {}
        }
        let Some(api) = sign::for_request(request, Compat::Documented) else { return Ok((None, None)) };
        let of_api: Vec<&KnownAccount> = self.accounts.iter().filter(|account| account.api.name == api.name).collect();
        let usable: Vec<&KnownAccount> = of_api.iter().copied().filter(|account| account.credentials.is_ok()).collect();
        let may = |account: &&KnownAccount| allowed.is_none_or(|allowed| allowed.signs(&account.name, url));
        let able: Vec<&KnownAccount> = usable.iter().copied().filter(may).collect();
        let note = match (able.as_slice(), usable.as_slice(), of_api.as_slice()) {
            ([account], ..) => return signer_of(account, url).map(|signer| (Some(signer), None)),
            ([], [], []) => format!("not signed: there is no account of {}{}", api.name, self.accounts.unread()),
            ([], [], [account, ..]) => {
                let why = account.credentials.as_ref().err().map_or("", String::as_str);
                format!("not signed: the account {} cannot be used: {why}", account.name)
            }
            ([], [account, ..], _) => {
                format!("not signed: control.fetch does not list the account {} and this host", account.name)
            }
            (several, ..) => {
                let names = several.iter().map(|account| account.name.as_str()).collect::<Vec<_>>().join(", ");
                return Err(FetchError::Ambiguous { api: api.name, names });
            }
        };
        Ok((None, Some(note)))
    }

    /// The account of the budget that a call to this address belongs to.
    fn account(&self, url: &Url) -> Arc<Account> {
        match venues_at(url).next() {
            Some((venue, market)) => self.budget.account(venue, market.id, market.rest_url),
            None => self.budget.of_host(url.as_str(), UNKNOWN_HOST),
        }
    }
}

/// The account as it signs at this address: one of its API's hosts, or this machine, where simulators are.
fn signer_of(account: &KnownAccount, url: &Url) -> Result<Signer, FetchError> {
    let host = url.host_str().unwrap_or_default();
    if sign::for_host(host).is_none() && !is_this_machine(url) {
        let (name, hosts) = (&account.name, account.api.hosts().join(", "));
        let api = account.api.name;
        return Err(FetchError::Account(format!(
            "the account {name} does not sign for {host}: keys of {api} leave for its own hosts only ({hosts}), and for \
             simulators on this machine"
        )));
    }
    account.signer(url.as_str()).map_err(FetchError::Account)
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

/// The venues' markets whose REST calls go to this address.
fn venues_at(url: &Url) -> impl Iterator<Item = (&'static VenueDef, &'static Market)> {
    let origin = url.origin();
    let all = VENUES.iter().flat_map(|venue| venue.markets.iter().map(move |market| (*venue, market)));
    all.filter(move |(_, market)| Url::parse(market.rest_url).is_ok_and(|known| known.origin() == origin))
}

/// What the call costs of the venue's budget: what the endpoint at this path does, if it is one we know.
fn weight(url: &Url, params: &[(String, String)]) -> u32 {
    let mut all: Vec<(String, String)> = url.query_pairs().into_owned().collect();
    all.extend(params.iter().cloned());
    let endpoints = venues_at(url).flat_map(|(venue, market)| (venue.rest)(market.id));
    let known = endpoints.into_iter().find(|endpoint| endpoint.path == url.path());
    known.map_or(1, |endpoint| (endpoint.weight)(&all).max(1))
}

#[cfg(test)]
mod tests;
