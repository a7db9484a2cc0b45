//! Reading calls, choosing who signs, and what the control socket allows.

use super::*;
use crate::config::Layers;
use crate::sign::Json;
use serde_json::json;

fn at(text: &str) -> Url {
    url(text).unwrap()
}

#[test]
fn bad_calls_are_refused_with_a_reason() {
    for (text, wanted) in [
        ("api.bitflyer.com/v1", "is no address"),
        ("ftp://api.bitflyer.com/v1", "is neither https nor http"),
        ("https://user:word@api.bitflyer.com/v1", "keys go into an account"),
        (&format!("https://a.com/{}", "x".repeat(9_000)), "longer than"),
    ] {
        let told = url(text).unwrap_err();
        assert!(told.contains(wanted) && !told.contains("word"), "{told}");
    }
    assert_eq!(at("https://API.bitflyer.com:443/v1?a=b#c").as_str(), "https://api.bitflyer.com/v1?a=b");
    assert_eq!((method("get"), method("PUT")), (Ok(Method::Get), Ok(Method::Put)));
    assert!(method("HEAD").unwrap_err().ends_with("allowed: GET, POST, PUT, DELETE"));
    for (name, value) in
        [("Host", "a"), ("content-length", "1"), ("a b", "c"), ("", "c"), ("x", "a\r\nb: c"), ("x", "é")]
    {
        assert!(headers(vec![(name.to_owned(), value.to_owned())]).is_err(), "{name}: {value}");
    }
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    assert_eq!(headers(vec![pair("X-Y", " z "), pair("a", "b")]), Ok(vec![pair("X-Y", "z"), pair("a", "b")]));
    let told = headers(vec![pair("X-Y", "z"), pair("x-y", "a")]).unwrap_err();
    assert!(told.starts_with("the header x-y is given twice"), "{told}");
    let told = headers((0..33).map(|at| pair(&format!("x{at}"), "z")).collect()).unwrap_err();
    assert_eq!(told, "more than 32 headers");
    assert!(body("{\"secret\": ", false).unwrap_err().starts_with("the data is no JSON from line 1"));
    assert!(body("[1]", true).is_err() && body(r#"{"a": {"b": 1}}"#, true).is_err());
    let form = body(r#"{"b": 1.50, "a": [true, "x"]}"#, true).unwrap();
    assert_eq!(form, Body::Form(vec![pair("b", "1.50"), pair("a", "true"), pair("a", "x")]));
    assert!(matches!(body("[1.50]", false), Ok(Body::Data(Json::List(_)))));
}

fn fetcher() -> Fetcher {
    let account = |api: &str| json!({"api": api, "key": {"env": "K"}, "secret": {"env": "S"}});
    let broken = json!({"api": "coincheck", "key": {"env": "NOWHERE"}, "secret": {"env": "S"}});
    let accounts = json!({"one": account("bybit"), "two": account("bybit"), "flyer": account("bitflyer"),
        "broken": broken, "demo": account("bybit_demo")});
    let text = json!({"feeds": {}, "accounts": accounts}).to_string();
    let env = [("K", "a-long-key"), ("S", "a-long-secret")].map(|(name, value)| (name.into(), value.into()));
    let config = Layers { text, env: env.into(), ..Layers::default() }.check().unwrap();
    Fetcher::new(RestClient::default(), Arc::default(), config.accounts)
}

/// The account that signs, or the note, or the error.
fn chosen(signing: Signing, address: &str, allowed: Option<&Allowed>) -> Result<String, String> {
    let request = Request { url: address.to_owned(), ..Request::default() };
    let found = fetcher().signer(&signing, &at(address), &request, allowed);
    found
        .map(|(signer, note)| signer.map(|signer| signer.account.to_string()).or(note).unwrap_or_default())
        .map_err(|error| error.to_string())
}

#[test]
fn calls_are_signed_by_the_one_account_that_fits_the_host() {
    let by_host = |address| chosen(Signing::ByHost, address, None);
    assert_eq!(by_host("https://api.bitflyer.com/v1/me/getbalance"), Ok("flyer".to_owned()));
    assert_eq!(by_host("https://api-demo.bybit.com/v5"), Ok("demo".to_owned()));
    let told = by_host("https://api.bybit.com/v5").unwrap_err();
    assert_eq!(
        told,
        "several accounts of bybit could sign it; name one of one, two, or say that it is not to be signed"
    );
    assert_eq!(by_host("https://www.okx.com/x"), Ok("not signed: there is no account of okx".to_owned()));
    let told = by_host("https://coincheck.com/api").unwrap();
    assert!(told.starts_with("not signed: the account broken cannot be used: key: the environment variable"), "{told}");
    assert_eq!(by_host("https://example.com/"), Ok(String::new()), "of no API");
    assert_eq!(chosen(Signing::Nobody, "https://api.bitflyer.com/", None), Ok(String::new()));
    assert!(by_host("http://api.bitflyer.com/v1").unwrap_err().contains("https only"));
}

#[test]
fn an_account_signs_for_its_own_hosts_and_for_this_machine_only() {
    let named = |address| chosen(Signing::Account("one".to_owned()), address, None);
    for address in [
        "https://api.bybit.com/",
        "https://api.bytick.com/",
        "http://127.0.0.1:9001/",
        "http://[::1]:9001/",
        "http://localhost/",
    ] {
        assert_eq!(named(address), Ok("one".to_owned()), "{address}");
    }
    for address in [
        "https://api.bybit.co/",
        "https://api.bybit.com.example.com/",
        "https://api.binance.com/",
        "https://api-demo.bybit.com/",
        "http://192.168.0.1/",
        "http://127.0.0.1.example.com/",
        "http://api.bybit.com/",
    ] {
        assert!(named(address).unwrap_err().contains("sign"), "{address}");
    }
    let told = chosen(Signing::Account("onee".to_owned()), "https://api.bybit.com/", None).unwrap_err();
    assert!(told.ends_with("did you mean \"one\"?"), "{told}");
}

fn allowed(accounts: &[&str], hosts: &[&str], methods: &[Method]) -> Allowed {
    Allowed {
        accounts: accounts.iter().map(|name| (*name).to_owned()).collect(),
        hosts: hosts.iter().map(|host| host.parse().unwrap()).collect(),
        methods: methods.to_vec(),
    }
}

#[test]
fn the_control_socket_reaches_venues_and_what_is_listed() {
    let none = Allowed::default();
    let some = allowed(&[], &["127.0.0.1:9001", "example.com", "[::1]:9001"], &[]);
    let may = |allowed: &Allowed, address: &str| allowed.check(Method::Get, &at(address), None).is_ok();
    for address in ["https://api.bybit.com/v5", "https://api.bitflyer.com/v1", "https://fapi.binance.com/"] {
        assert!(may(&none, address), "{address}");
    }
    for address in [
        "http://127.0.0.1:9001/",
        "http://169.254.169.254/latest/meta-data",
        "http://localhost/",
        "http://2130706433/",
        "http://0x7f.1/",
        "https://example.com/",
        "http://api.bybit.com/",
        "https://api.bybit.com:8443/",
        "https://api.bybit.com.example.com/",
        "https://api.bybit.com./",
    ] {
        assert!(!may(&none, address), "{address}");
    }
    for address in ["http://127.0.0.1:9001/x", "https://example.com/", "http://[::1]:9001/", "http://0x7f.1:9001/"] {
        assert!(may(&some, address), "{address}");
    }
    for address in
        ["http://127.0.0.1:9002/", "http://127.0.0.1/", "https://example.com:444/", "https://sub.example.com/"]
    {
        assert!(!may(&some, address), "{address}");
    }
    let told = none.check(Method::Get, &at("http://10.0.0.1:8500/v1"), None).unwrap_err().to_string();
    assert_eq!(told, "10.0.0.1:8500 is no venue's REST host (over https) and not in control.fetch.hosts");
    for bad in ["", "http://a", "a/b", "*", "a b", "user@a", "a:99999"] {
        assert!(bad.parse::<Listed>().is_err(), "{bad}");
    }
}

#[test]
fn the_control_socket_signs_and_writes_only_as_listed() {
    let flyer = "https://api.bitflyer.com/v1/me/getbalance";
    let signer = |address| {
        chosen(Signing::Account("flyer".to_owned()), address, None)
            .map(|_| {
                let fetcher = fetcher();
                signer_of(fetcher.accounts.known("flyer").unwrap(), &at(address)).unwrap()
            })
            .unwrap()
    };
    let check = |allowed: &Allowed| allowed.check(Method::Get, &at(flyer), Some(&signer(flyer)));
    for not_enough in [
        allowed(&[], &[], &[]),
        allowed(&["flyer"], &[], &[]),
        allowed(&[], &["api.bitflyer.com"], &[]),
        allowed(&["one"], &["api.bitflyer.com"], &[]),
    ] {
        assert!(matches!(check(&not_enough), Err(Forbidden::Signed { .. })));
        // Public data is to be had all the same.
        let told = chosen(Signing::ByHost, flyer, Some(&not_enough)).unwrap();
        assert_eq!(told, "not signed: control.fetch does not list the account flyer and this host");
    }
    let listed = allowed(&["flyer"], &["api.bitflyer.com"], &[]);
    assert_eq!(check(&listed), Ok(()));
    assert_eq!(chosen(Signing::ByHost, flyer, Some(&listed)), Ok("flyer".to_owned()));
    // Of several accounts the one that is listed.
    let listed = allowed(&["two"], &["api.bybit.com"], &[]);
    assert_eq!(chosen(Signing::ByHost, "https://api.bybit.com/", Some(&listed)), Ok("two".to_owned()));

    let post = |allowed: &Allowed| allowed.check(Method::Post, &at(flyer), None).is_ok();
    assert!(!post(&allowed(&[], &["api.bitflyer.com"], &[])) && !post(&allowed(&[], &[], &[Method::Post])));
    assert!(!post(&allowed(&[], &["api.bitflyer.com"], &[Method::Delete])));
    assert!(post(&allowed(&[], &["api.bitflyer.com"], &[Method::Post])));
}

#[test]
fn answers_are_shown_without_keys() {
    use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
    let signer = signer_of(fetcher().accounts.known("one").unwrap(), &at("https://api.bybit.com/")).unwrap();
    let mut headers = HeaderMap::new();
    for (name, value) in [
        ("x-bapi-api-key", "a-long-key"),
        ("set-cookie", "a=b"),
        ("x-echo", "a-long-secret!"),
        ("x-limit", "5"),
        ("x-limit", "6"),
        ("date", "today"),
    ] {
        headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    let body = r#"{"price": 1.10, "you": "a-long-key"}"#.into();
    let answer = crate::io::http::Answer { status: 200, headers, body };
    let shown = Fetched::new(answer.clone(), Some(&signer), None).to_json();
    assert!(!shown.contains("a-long") && !shown.contains("a=b"), "{shown}");
    assert!(shown.ends_with(r#","json":{"price": 1.10, "you": "…"}}"#), "{shown}");
    let read: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let wanted = json!({"x-echo": "…!", "x-limit": "5, 6", "date": "today"});
    assert_eq!((&read["status"], &read["headers"], &read["account"]), (&json!(200), &wanted, &json!("one")));
    let text = Fetched::new(crate::io::http::Answer { body: "<p>".into(), ..answer }, None, Some("why".to_owned()));
    let read: serde_json::Value = serde_json::from_str(&text.to_json()).unwrap();
    assert_eq!((&read["text"], &read["note"], read.get("json")), (&json!("<p>"), &json!("why"), None));
}

#[test]
fn calls_belong_to_the_budget_of_their_host() {
    let fetcher = fetcher();
    let name = |address| fetcher.account(&at(address)).name().to_owned();
    assert_eq!(name("https://fapi.binance.com/fapi/v1/time"), "binance_futures");
    assert_eq!(name("https://api.bybit.com/v5/market/time"), "bybit");
    assert_eq!(name("https://example.com/x"), "example.com:443");
    assert_eq!(name("https://example.com/y"), "example.com:443");
    fetcher.budget.account(&crate::venue::bybit::VENUE, "linear", "http://127.0.0.1:9001");
    assert_eq!(name("http://127.0.0.1:9001/v5"), "bybit@127.0.0.1:9001", "what a feed calls too");
    assert_eq!(weight(&at("https://example.com/x"), &[]), 1);
}
