//! Who signs: an account of ours, and the API its key is of.

use std::sync::Arc;

use super::{Api, Compat, Credentials, Request, SignError, Signed, api, url::Url};

/// An account that signs for one REST address.
#[derive(Clone, Debug)]
pub struct Signer {
    /// The account's name, under which its rows are published.
    pub account: Arc<str>,
    /// The API its key is of.
    pub api: &'static Api,
    /// Its key.
    pub credentials: Credentials,
    /// The API's host whose rules hold at the address, where that is not one of its own: a simulator, or a proxy.
    as_host: Option<&'static str>,
}

impl Signer {
    /// The account `account` as it signs at `address`, which the config gives: a host that is no venue's is taken for the
    /// API's.
    ///
    /// # Errors
    /// The address is none, or another API's; a part of the credentials is missing or cannot be used.
    pub fn new(account: &str, api: &'static Api, credentials: Credentials, address: &str) -> Result<Self, SignError> {
        api.check(&credentials)?;
        let host = Url::new(address, &[], Compat::Documented)?.host;
        let as_host = match api.signs_for(&host) {
            true => None,
            false if api::for_host(&host).is_some() => return Err(SignError::Host { api: api.name, host }),
            false => api.first_host(),
        };
        Ok(Self { account: account.into(), api, credentials, as_host })
    }

    /// Signs a REST request. `now_ms` is the time in milliseconds since 1970.
    ///
    /// # Errors
    /// As those of [`Api::sign`].
    pub fn sign(&self, request: Request, now_ms: u64) -> Result<Signed, SignError> {
        let request = Request { as_host: self.as_host.map(str::to_owned), ..request };
        self.api.sign(&request, &self.credentials, now_ms, Compat::Documented)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    fn signer(api: &str, address: &str) -> Result<Signer, SignError> {
        let secret = |text: &str| Secret::new(text.to_owned());
        let credentials = Credentials { key: secret("k"), secret: secret("s"), passphrase: None };
        Signer::new("main", api::find(api).expect("known"), credentials, address)
    }

    #[test]
    fn it_signs_at_its_own_hosts_and_at_hosts_of_nobody() {
        for address in ["https://api.bybit.com", "http://127.0.0.1:9001/some/path"] {
            let request = Request { url: format!("{address}/v5/account/info"), ..Request::default() };
            let signed = signer("bybit", address).expect("usable").sign(request, 1).expect("signed");
            assert_eq!(signed.header("X-BAPI-API-KEY"), Some("k"), "{address}");
        }
    }

    #[test]
    fn it_does_not_sign_at_hosts_of_others() {
        for address in ["https://api-testnet.bybit.com", "https://api.binance.com"] {
            assert!(matches!(signer("bybit", address), Err(SignError::Host { .. })), "{address}");
        }
        assert!(matches!(signer("okx", "https://www.okx.com"), Err(SignError::Missing { part: "passphrase", .. })));
        assert!(matches!(signer("bybit", "api.bybit.com"), Err(SignError::Url(_))));
    }
}
