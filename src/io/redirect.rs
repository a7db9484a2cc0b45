//! What a redirect makes of a call: the same call at another address, to be signed anew, or nothing.

use std::collections::BTreeSet;

use url::Url;

use crate::sign::{Body, Method, Request, Signed};

/// The call that a redirect leads to. Only a call that reads is made again, and only at the scheme, host and port that it
/// went to; a signature, which is of one address, is no part of it.
pub(super) fn moved(request: &Request, signed: &Signed, status: u16, location: Option<&str>) -> Option<Request> {
    if !matches!(status, 301 | 302 | 303 | 307 | 308) || request.method != Method::Get || request.body != Body::Empty {
        return None;
    }
    let sent = Url::parse(signed.url.reveal()).ok()?;
    let mut to = sent.join(location?).ok()?;
    if to.origin() != sent.origin() || !to.username().is_empty() || to.password().is_some() {
        return None;
    }
    to.set_fragment(None);
    // A host that repeats the query repeats what signing added to it.
    let asked = Url::parse(&request.url).ok()?;
    let of_params = request.params.iter().map(|(name, _)| name.clone());
    let given: BTreeSet<String> = of_params.chain(names(asked.query())).collect();
    let added: BTreeSet<String> = names(sent.query()).filter(|name| !given.contains(name)).collect();
    let query = to.query().map(|query| {
        let kept = query.split('&').filter(|pair| !names(Some(pair)).any(|name| added.contains(&name)));
        kept.collect::<Vec<_>>().join("&")
    });
    to.set_query(query.as_deref().filter(|query| !query.is_empty()));
    Some(Request { url: to.into(), params: Vec::new(), ..request.clone() })
}

/// The names in a query.
fn names(query: Option<&str>) -> impl Iterator<Item = String> {
    let pairs = url::form_urlencoded::parse(query.unwrap_or_default().as_bytes());
    pairs.map(|(name, _)| name.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;
    use crate::sign::{Compat, Credentials, find, unsigned};

    fn get(url: &str) -> Request {
        Request { url: url.to_owned(), params: vec![("b".to_owned(), "2".to_owned())], ..Request::default() }
    }

    /// Where an unsigned call to `https://a.com/x?a=1&b=2` goes on.
    fn to(method: Method, status: u16, location: &str) -> Option<String> {
        let request = Request { method, ..get("https://a.com/x?a=1") };
        let sent = unsigned(&request, 0, Compat::Documented).unwrap();
        let moved = moved(&request, &sent, status, Some(location)).map(|moved| (moved.url, moved.params));
        moved.map(|(url, params)| {
            assert_eq!(params, [], "the address has all");
            url
        })
    }

    #[test]
    fn what_reads_goes_on_within_its_origin() {
        let read = |location| to(Method::Get, 302, location);
        assert_eq!(read("/y?c=3#d").as_deref(), Some("https://a.com/y?c=3"));
        assert_eq!(read("y?a=1&b=2").as_deref(), Some("https://a.com/y?a=1&b=2"));
        assert_eq!(read("https://a.com:443/").as_deref(), Some("https://a.com/"));
        for elsewhere in ["https://b.com/", "http://a.com/", "https://a.com:8443/", "//b.com/", "https://u:p@a.com/"] {
            assert_eq!(read(elsewhere), None, "{elsewhere}");
        }
        assert_eq!(to(Method::Get, 308, "/y").as_deref(), Some("https://a.com/y"));
        assert_eq!((to(Method::Get, 304, "/y"), to(Method::Get, 200, "/y")), (None, None));
        for method in [Method::Post, Method::Put, Method::Delete] {
            assert_eq!((to(method, 302, "/y"), to(method, 307, "/y")), (None, None));
        }
    }

    #[test]
    fn an_old_signature_is_left_behind() {
        let secret = |text: &str| Secret::new(text.to_owned());
        let keys = Credentials { key: secret("k"), secret: secret("s"), passphrase: None };
        let request = get("https://api.binance.com/x?a=1");
        let signed = find("binance").unwrap().sign(&request, &keys, 7, Compat::Documented).unwrap();
        let query = signed.target.reveal().split_once('?').unwrap().1.to_owned();
        assert!(query.starts_with("a=1&b=2&timestamp=7&signature="), "{query}");
        let next = moved(&request, &signed, 302, Some(&format!("/y?{query}"))).unwrap();
        assert_eq!(next.url, "https://api.binance.com/y?a=1&b=2");
    }
}
