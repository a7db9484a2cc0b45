//! How sockets are opened, by whoever's account or by nobody's: with which login, and what keeps them.

use super::call::Call;
use super::{Api, Compat, Credentials, Opening, Request, SignError, Signed, Signer, api, heartbeat, url::Url};
use crate::secret::Secret;

/// How a socket is opened, by an account or by nobody. `as_host` is as in [`Request`].
///
/// # Errors
/// Those of [`Api::open`].
pub fn opening(url: &str, as_host: Option<&str>, signer: Option<&Signer>, now_ms: u64) -> Result<Opening, SignError> {
    // A number that is used once, with the digits that bitFlyer wants.
    let nonce = format!("{now_ms:032x}");
    match signer {
        Some(Signer { api, credentials, .. }) => {
            api.open(url, as_host, credentials, now_ms, &nonce, Compat::Documented)
        }
        None => unsigned(url, as_host, now_ms, &nonce),
    }
}

/// The API whose keys fit a venue at these addresses: by their hosts, or else the venue's own. Without a venue, any API's
/// hosts will do.
pub fn for_venue(venue: Option<&str>, url: &str, rest_url: &str) -> Option<&'static Api> {
    let by_socket = host_of(url).and_then(|host| api::for_socket(&host, Compat::Documented));
    let by_rest = || host_of(rest_url).and_then(|host| api::for_host(&host));
    let of_venue = |api: &&Api| venue.is_none_or(|venue| api.venue == venue);
    by_socket.filter(of_venue).or_else(|| by_rest().filter(of_venue)).or_else(|| api::find(venue?))
}

/// The host of an address.
pub fn host_of(url: &str) -> Option<String> {
    Url::new(url, &[], Compat::Documented).ok().map(|url| url.host)
}

/// Whether the address leads to a host of some API, for logins, signed messages or heartbeats.
pub fn knows_socket(url: &str) -> bool {
    host_of(url).is_some_and(|host| {
        let signed = api::for_socket(&host, Compat::Documented).or(api::for_messages(&host, Compat::Documented));
        signed.or(api::for_host(&host)).is_some() || heartbeat::is_known(&host)
    })
}

/// How a socket is opened without an account.
///
/// # Errors
/// The address is none, or the nonce.
fn unsigned(url: &str, as_host: Option<&str>, now_ms: u64, nonce: &str) -> Result<Opening, SignError> {
    let nothing = || Secret::new(String::new());
    let credentials = Credentials { key: nothing(), secret: nothing(), passphrase: None };
    let request = Request { url: url.to_owned(), as_host: as_host.map(str::to_owned), ..Request::default() };
    let call = Call::new(&request, &credentials, now_ms, Compat::Documented)?;
    let heartbeat = heartbeat::of(&call, nonce)?;
    let Signed { url, headers, .. } = call.finish();
    Ok(Opening { url, headers, login: None, heartbeat, proofs: Vec::new() })
}
