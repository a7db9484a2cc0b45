//! Accounts at venues whose clock is not ours: logins that are refused for their time are made once more by the venue's,
//! whatever else is refused is not repeated, and the images that are signed by REST come all the same.

use serde_json::{Value, json};
use tickbus::sim::{Depth, Running, Server};

use crate::gateway::{Gateway, until};
use crate::private::{CASES, Case, HOUR, KEYS, Keys, metrics, refusal, states};

const HOUR_MS: i64 = 3_600_000;
const WRONG: Keys = ["kex", "another", "phrase"];
const JAPAN: Case = Case {
    venue: "okj",
    market: "spot",
    symbol: "BTC-JPY",
    place: "public",
    book: "book",
    depth: Depth::Levels(400),
    channels: &["order", "fill", "balance"],
};

/// A venue whose clock is so far ahead, and a gateway on its account alone, whose log and metrics can be read.
async fn start(case: &Case, ahead_ms: i64, faults: &[&str], keys: Keys) -> (Running, Gateway, String) {
    let mut options = case.options(faults, KEYS, HOUR);
    options.clock_ahead_ms = ahead_ms;
    let venue = Server::bind(options).await.unwrap().start();
    let (_files, mut config) = case.config(&venue, case.channels, keys);
    config["admin"]["listen"] = json!("127.0.0.1:0");
    let mut gateway = Gateway::start(&config).await;
    let admin = gateway.logged("Gateway started").await["admin"].as_str().unwrap().to_owned();
    (venue, gateway, admin)
}

/// How often somebody signed in at the venue, and how often that was refused.
fn logins(venue: &Running) -> (u64, u64) {
    let stats = venue.truth().stats();
    (stats["logins"]["tried"].as_u64().unwrap(), stats["logins"]["refused"].as_u64().unwrap())
}

/// What the venue's clock costs there at first: futures of Binance have listen keys, which need no time, and a login at Bybit
/// that holds for too long is none that is over.
fn refusals(case: &Case, ahead_ms: i64) -> u64 {
    match (case.venue, case.market) {
        ("binance", "usdm" | "coinm") => 0,
        ("bybit", _) => u64::from(ahead_ms > 0),
        _ => 1,
    }
}

/// The seconds of a metric with this name and these labels.
fn seconds(page: &str, start: &str) -> Option<f64> {
    page.lines().find_map(|line| line.strip_prefix(start)).map(|value| value.trim().parse().unwrap())
}

#[tokio::test]
async fn an_account_is_followed_though_the_clocks_differ_by_an_hour() {
    for (case, ahead_ms) in CASES.into_iter().chain([JAPAN]).flat_map(|case| [(case, HOUR_MS), (case, -HOUR_MS)]) {
        let (venue, gateway, admin) = start(&case, ahead_ms, &[], KEYS).await;
        let mut watcher = case.watcher(&gateway, &venue);
        case.rows(&mut watcher).await;
        // Images are merged before a stream is live.
        watcher.until(&format!("{case:?} live, {ahead_ms} ms ahead"), |watcher| watcher.is_live("")).await;
        let refused = refusals(&case, ahead_ms);
        let tried = if case.place == "usdm" || case.place == "coinm" { 0 } else { refused + 1 };
        assert_eq!(logins(&venue), (tried, refused), "{case:?}, {ahead_ms} ms ahead");

        let (feeds, page) = (gateway.ask(json!({"op": "feeds"})).await, metrics(&admin));
        let off = ahead_ms as f64 / 1e3;
        let labels = format!("{{feed=\"a\",venue=\"{}\",market=\"{}\"}} ", case.venue, case.market);
        let of_login = seconds(&page, &format!("tickbus_feed_login_clock_offset_seconds{labels}"));
        let shown = feeds["feeds"][0]["clock_ahead_ms"].as_f64().map(|ms| ms / 1e3);
        assert_eq!(of_login, shown, "{feeds}");
        assert_eq!(of_login.is_some_and(|seconds| (seconds - off).abs() < 10.0), refused > 0, "{of_login:?} {case:?}");
        let of_rest = page.lines().find(|line| line.starts_with("tickbus_rest_clock_offset_seconds{")).unwrap();
        let of_rest: f64 = of_rest.rsplit(' ').next().unwrap().parse().unwrap();
        assert!((of_rest - off).abs() < 10.0, "{of_rest}");
        let told = |line: &Value| line["detail"].as_str().is_some_and(|text| text.contains("logins are signed by"));
        assert_eq!(gateway.log().iter().any(told), refused > 0, "{case:?} {:?}", gateway.log());
    }
}

#[tokio::test]
async fn what_was_learnt_of_the_clock_holds_for_later_logins() {
    for case in [CASES[0], CASES[1], CASES[4]] {
        let (venue, gateway, _) = start(&case, HOUR_MS, &["lifetime:1500"], KEYS).await;
        let mut watcher = case.watcher(&gateway, &venue);
        let live = |watcher: &_| states(watcher).iter().filter(|told| *told == "live").count();
        watcher.until(&format!("{case:?} live for the third time"), |watcher| live(watcher) >= 3).await;
        let (tried, refused) = logins(&venue);
        assert!(tried >= 4 && refused == 1, "{case:?}: {refused} of {tried}");
    }
}

#[tokio::test]
async fn a_wrong_key_is_not_tried_again_whatever_the_clock_says() {
    for (case, ahead_ms) in [CASES[0], CASES[1], CASES[4]].into_iter().flat_map(|case| [(case, 0), (case, HOUR_MS)]) {
        let (venue, mut gateway, _) = start(&case, ahead_ms, &["lifetime:700"], WRONG).await;
        refusal(&mut gateway).await;
        until("connections are lost", || venue.truth().connections() >= 4).await;
        // Once by our clock, and once by the venue's if that is another one; but Binance sees first that it knows no such key.
        let times = if ahead_ms == 0 { 1 } else { 2 };
        assert_eq!(logins(&venue), (times, times), "{case:?}, {ahead_ms} ms ahead");
        let words = match case.venue {
            "bybit" => "API key is invalid.",
            "okx" => "60005: Invalid apiKey",
            _ => "-2015: Invalid API-key, IP, or permissions for action.",
        };
        let log = gateway.log();
        let refusals = log.iter().filter(|line| line["state"] == "rejected" && line["channel"] == "order");
        let refusals: Vec<&str> = refusals.map(|line| line["detail"].as_str().unwrap()).collect();
        for told in &refusals {
            let by_clock = told.contains("signed by the venue's clock") && told.contains("ahead of ours");
            assert!(told.starts_with(words) && by_clock == (ahead_ms != 0), "{told}");
        }
    }
}

#[tokio::test]
async fn a_venue_that_does_not_tell_its_time_is_not_tried_again() {
    for case in [CASES[0], CASES[1], CASES[4]] {
        let (venue, mut gateway, _) = start(&case, HOUR_MS, &["lifetime:700", "rest-5xx:503@1+1"], KEYS).await;
        let line = gateway.logged_where(|line| line["state"] == "rejected" && line["channel"] == "order").await;
        assert!(line["detail"].as_str().unwrap().ends_with("; the venue did not tell its time"), "{line}");
        until("connections are lost", || venue.truth().connections() >= 4).await;
        assert_eq!(logins(&venue), (1, 1), "{case:?}");
    }
}
