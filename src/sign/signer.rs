//! Who signs: an account of ours, and the API its key is of.

use std::sync::Arc;

use super::json::{Json, Style};
use super::{Api, Compat, Credentials, Request, SignError, Signed, api, url::Url};
use crate::secret::Secret;

/// Shorter parts of a key are words that answers have anyway, and no secrets.
const HIDDEN_FROM: usize = 8;

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
    /// The address is none, another API's, or one of the API's without TLS, where others could read the key on its way;
    /// a part of the credentials is missing or cannot be used.
    pub fn new(account: &str, api: &'static Api, credentials: Credentials, address: &str) -> Result<Self, SignError> {
        api.check(&credentials)?;
        let url = Url::new(address, &[], Compat::Documented)?;
        let host = url.host;
        let as_host = match api.signs_for(&host) {
            true if url.scheme == "http" => return Err(SignError::Url("is without TLS; keys leave over https only")),
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
        Ok(Secret::new(message.write(Style::Compact)))
    }

    /// A message over a socket, signed where the venue wants each to be; `None` where it does not. `as_host` is as in
    /// [`Request`].
    ///
    /// # Errors
    /// It is no JSON object; those of [`Api::sign`].
    pub fn raw_message(
        &self,
        url: &str,
        as_host: Option<&str>,
        text: &str,
        now_ms: u64,
    ) -> Result<Option<Secret>, SignError> {
        let host = match as_host {
            Some(host) => host.to_owned(),
            None => Url::new(url, &[], Compat::Documented)?.host,
        };
        if api::for_messages(&host, Compat::Documented).is_none() {
            return Ok(None);
        }
        let mut message = Json::parse(text).map_err(|_| SignError::Body("must be JSON, as each message is signed"))?;
        self.api.sign_message(url, as_host, &mut message, &self.credentials, now_ms, Compat::Documented)?;
        Ok(Some(Secret::new(message.write(Style::Compact))))
    }

    /// What came back from outside, with `…` in place of whatever it repeats of the key, its secret and its passphrase;
    /// `None` if it repeats nothing.
    pub fn hide(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        let Credentials { key, secret, passphrase } = &self.credentials;
        let parts = [Some(key), Some(secret), passphrase.as_ref()].into_iter().flatten().map(|part| part.reveal());
        let mut hidden: Option<Vec<u8>> = None;
        for part in parts.filter(|part| part.len() >= HIDDEN_FROM) {
            let text = hidden.as_deref().unwrap_or(bytes);
            let finder = memchr::memmem::Finder::new(part);
            if finder.find(text).is_none() {
                continue;
            }
            let (mut out, mut from) = (Vec::with_capacity(text.len()), 0);
            for at in finder.find_iter(text) {
                out.extend_from_slice(&text[from..at]);
                out.extend_from_slice("…".as_bytes());
                from = at + part.len();
            }
            out.extend_from_slice(&text[from..]);
            hidden = Some(out);
        }
        hidden
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn signer(api: &str, address: &str) -> Result<Signer, SignError> {
        signer_with(["k", "s"], api, address)
    }

    fn signer_with(parts: [&str; 2], api: &str, address: &str) -> Result<Signer, SignError> {
        let [key, secret] = parts.map(|text| Secret::new(text.to_owned()));
        let credentials = Credentials { key, secret, passphrase: None };
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
        assert!(matches!(signer("bybit", "http://api.bybit.com"), Err(SignError::Url(_))), "in the clear");
    }

    #[test]
    fn what_repeats_a_key_is_shown_without_it() {
        let signer = signer_with(["a-long-key", "longsecret"], "bybit", "https://api.bybit.com").expect("usable");
        let shown = |text: &str| signer.hide(text.as_bytes()).map(|bytes| String::from_utf8(bytes).expect("UTF-8"));
        assert_eq!(shown("nothing of it"), None);
        let told = shown(r#"{"key":"a-long-key","all":"longsecret,a-long-key","other":"a-long"}"#);
        assert_eq!(told.as_deref(), Some(r#"{"key":"…","all":"…,…","other":"a-long"}"#));
        assert_eq!(shown("longsecret").as_deref(), Some("…"));
        let short = signer_with(["k", "s"], "bybit", "https://api.bybit.com").expect("usable");
        assert_eq!(short.hide(b"k is for key"), None, "a word that answers have anyway");
    }
}
