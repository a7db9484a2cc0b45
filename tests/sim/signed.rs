//! Random requests, signed by tickbus and checked by the simulated venues, which know nothing of what signed them: whatever is
//! asked is accepted, and anything else than what was signed is refused as the venue refuses it.

use std::net::{IpAddr, Ipv4Addr};

use proptest::prelude::*;
use serde_json::Value;
use tickbus::model::{Mono, Stamp, UnixNanos};
use tickbus::secret::Secret;
use tickbus::sign::{self, Credentials, Request, Signed, Signer};
use tickbus::sim::venue::{Asked, Venue};
use tickbus::sim::{Options, binance, bybit, okx};

const NOW_MS: u64 = 1_795_262_437_000;

fn now() -> Stamp {
    Stamp { mono: Mono(1), wall: UnixNanos::from_ms(NOW_MS) }
}

/// What is the same for every venue: a request's parameters, and the key.
#[derive(Clone, Debug)]
struct Case {
    params: Vec<(String, String)>,
    key: String,
    secret: String,
    passphrase: String,
}

fn case() -> impl Strategy<Value = Case> {
    let params = prop::collection::vec(("[a-z]{1,8}", "[ -~äß€😀]{0,12}"), 0..5);
    let text = "[A-Za-z0-9+/=_-]{1,64}";
    (params, text, text, text).prop_map(|(params, key, secret, passphrase)| Case { params, key, secret, passphrase })
}

fn signer(api: &str, case: &Case, secret: &str) -> Signer {
    let text = |text: &str| Secret::new(text.to_owned());
    let credentials =
        Credentials { key: text(&case.key), secret: text(secret), passphrase: Some(text(&case.passphrase)) };
    Signer::new("main", sign::find(api).unwrap(), credentials, "http://127.0.0.1:9").unwrap()
}

fn signed(api: &str, case: &Case, path: &str, secret: &str, at_ms: u64) -> Signed {
    let url = format!("http://127.0.0.1:9{path}");
    let request = Request { url, params: case.params.clone(), ..Request::default() };
    signer(api, case, secret).sign(request, at_ms).unwrap()
}

/// The venue's answer to a request as it was sent, but for what `change` does to path and query.
fn ask<V: Venue>(options: &Options, signed: &Signed, change: impl Fn(&str) -> String) -> (u16, Value) {
    let mut venue = V::open(options, now());
    let target = change(signed.target.reveal());
    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let headers: Vec<(&str, &str)> =
        signed.headers.iter().map(|(name, value)| (name.as_str(), value.reveal())).collect();
    let asked = Asked { headers: &headers, ..Asked::get(path, query, IpAddr::V4(Ipv4Addr::LOCALHOST)) };
    let answer = venue.answer(&asked, now());
    (answer.status, serde_json::from_str(&answer.body).unwrap())
}

/// Asks for the same in every way there is: rightly, with another secret, too late, and changed on the way. Gives the codes.
fn codes<V: Venue>(
    options: &Options,
    api: &str,
    case: &Case,
    path: &str,
    code: fn(&(u16, Value)) -> String,
) -> [String; 4] {
    let asked = |secret: &str, at_ms: u64, change: fn(&str) -> String| {
        code(&ask::<V>(options, &signed(api, case, path, secret, at_ms), change))
    };
    let same: fn(&str) -> String = str::to_owned;
    let changed: fn(&str) -> String = |target| match target.split_once('?') {
        Some((path, query)) => format!("{path}?zz=1&{query}"),
        None => format!("{target}?zz=1"),
    };
    let other = format!("{}x", case.secret);
    [
        asked(&case.secret, NOW_MS, same),
        asked(&other, NOW_MS, same),
        asked(&case.secret, NOW_MS - 60_000, same),
        asked(&case.secret, NOW_MS, changed),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn bybit_accepts_what_is_signed_and_nothing_else(case in case()) {
        let settings = bybit::Settings {
            key: case.key.clone(), secret: Secret::new(case.secret.clone()), ..bybit::Settings::default()
        };
        let symbols = vec!["BTCUSDT".to_owned()];
        let options = Options { bybit: settings, symbols, ..Options::default() };
        let code = |answer: &(u16, Value)| answer.1["retCode"].to_string();
        let path = "/v5/account/wallet-balance?accountType=UNIFIED";
        let found = codes::<bybit::Venue>(&options, "bybit", &case, path, code);
        prop_assert_eq!(found, ["0", "10004", "10002", "10004"].map(str::to_owned));
    }

    #[test]
    fn okx_accepts_what_is_signed_and_nothing_else(case in case()) {
        let settings = okx::Settings {
            key: case.key.clone(),
            secret: Secret::new(case.secret.clone()),
            passphrase: Secret::new(case.passphrase.clone()),
            ..okx::Settings::default()
        };
        let symbols = vec!["BTC-USDT".to_owned()];
        let options = Options { venue: "okx".to_owned(), okx: settings, symbols, ..Options::default() };
        let code = |answer: &(u16, Value)| answer.1["code"].as_str().unwrap_or_default().to_owned();
        let found = codes::<okx::Venue>(&options, "okx", &case, "/api/v5/account/positions", code);
        prop_assert_eq!(found, ["0", "50113", "50102", "50113"].map(str::to_owned));
    }

    #[test]
    fn binance_accepts_what_is_signed_and_nothing_else(case in case()) {
        let settings = binance::Settings {
            key: case.key.clone(), secret: Secret::new(case.secret.clone()), ..binance::Settings::default()
        };
        let symbols = vec!["BTCUSDT".to_owned()];
        let options = Options { venue: "binance".to_owned(), binance: settings, symbols, ..Options::default() };
        let code = |answer: &(u16, Value)| format!("{} {}", answer.0, answer.1["code"]);
        let found = codes::<binance::Venue>(&options, "binance", &case, "/api/v3/account", code);
        prop_assert_eq!(found, ["200 null", "400 -1022", "400 -1021", "400 -1022"].map(str::to_owned));
    }
}

#[test]
fn a_key_that_is_not_the_accounts_is_refused_as_such() {
    let case = Case {
        params: Vec::new(),
        key: "stranger".to_owned(),
        secret: "secret".to_owned(),
        passphrase: "phrase".to_owned(),
    };
    let same: fn(&str) -> String = str::to_owned;
    let of = |venue: &str| Options { venue: venue.to_owned(), ..Options::default() };
    let request = |api, path| signed(api, &case, path, "secret", NOW_MS);
    let path = "/v5/account/wallet-balance?accountType=UNIFIED";
    let (_, body) = ask::<bybit::Venue>(&of("bybit"), &request("bybit", path), same);
    assert_eq!(body["retCode"], 10_003);
    let (status, body) = ask::<okx::Venue>(&of("okx"), &request("okx", "/api/v5/account/positions"), same);
    assert_eq!((status, &body["code"]), (401, &"50111".into()));
    let (status, body) = ask::<binance::Venue>(&of("binance"), &request("binance", "/fapi/v3/balance"), same);
    assert_eq!((status, &body["code"]), (401, &(-2_015).into()));
}
