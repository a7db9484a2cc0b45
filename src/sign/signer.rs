//! Who signs: an account of ours, and the API its key is of.

use std::sync::Arc;

use super::{Api, Compat, Credentials, Json, Request, SignError, Signed, api, url::Url};
use crate::secret::Secret;

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

    /// The message that signs in on a socket of this path (`/v5/private`), wherever it leads; `None` where the API has no
    /// such login. `nonce` is as in [`Api::open`].
    ///
    /// # Errors
    /// As those of [`Api::open`].
    pub fn login(&self, path: &str, nonce: &str, now_ms: u64) -> Result<Option<Secret>, SignError> {
        let Some(host) = self.api.login_host() else { return Ok(None) };
        let address = format!("wss://{host}{path}");
        let opening = self.api.open(&address, None, &self.credentials, now_ms, nonce, Compat::Documented)?;
        Ok(opening.login)
    }

    /// A message as it is sent over a socket of this path on which each message is signed.
    ///
    /// # Errors
    /// As those of [`Api::sign_message`], and that the API has no such socket.
    pub fn message(&self, path: &str, mut message: Json, now_ms: u64) -> Result<Secret, SignError> {
        let host = self.api.message_host().ok_or(SignError::Url("is none where the API signs messages"))?;
        let address = format!("wss://{host}{path}");
        self.api.sign_message(&address, None, &mut message, &self.credentials, now_ms, Compat::Documented)?;
        Ok(Secret::new(message.write(super::Style::Compact)))
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
    fn it_signs_in_and_signs_messages() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let credentials = Credentials { key: secret("testkey"), secret: secret("testsecret"), passphrase: None };
        let of = |name: &str, address: &str| {
            Signer::new("main", api::find(name).expect("known"), credentials.clone(), address).expect("usable")
        };
        let login = of("bybit", "http://127.0.0.1:1").login("/v5/private", "", 1_699_999_995_000).expect("signed");
        assert_eq!(
            login.expect("a login").reveal(),
            r#"{"op":"auth","args":["testkey",1700000000000,"64ea204643e548a1723959592ed1afb01f1043a3b0d36cc6e7bdd8053971fbc3"]}"#
        );
        let binance = of("binance", "http://127.0.0.1:1");
        assert_eq!(binance.login("/ws-api/v3", "", 1).expect("nothing to sign"), None);
        let message =
            Json::map([("id", Json::text("1")), ("method", Json::text("userDataStream.subscribe.signature"))]);
        let signed = binance.message("/ws-api/v3", message, 1_700_000_000_000).expect("signed");
        assert!(signed.reveal().contains(r#""params":{"apiKey":"testkey","timestamp":1700000000000,"signature":""#));
        assert!(of("coincheck", "http://127.0.0.1:1").message("/", Json::Null, 1).is_err());
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
