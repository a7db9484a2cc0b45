//! The gateway on the accounts of simulated venues: what they have when it comes, what happens to them, connections that are
//! lost, keys that are refused, and no secret anywhere.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;
use tickbus::secret::Secret;
use tickbus::sim::{Depth, Options, Running, Server, binance, bitflyer, bybit, okx};
use tokio::time::Instant;

use crate::gateway::{DEADLINE, Gateway, config, file_of, tickbus, until};
use crate::watcher::Watcher;

/// A venue's market with an account.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Case {
    pub(crate) venue: &'static str,
    pub(crate) market: &'static str,
    pub(crate) symbol: &'static str,
    /// What the simulated venue calls the address.
    pub(crate) place: &'static str,
    pub(crate) book: &'static str,
    pub(crate) depth: Depth,
    pub(crate) channels: &'static [&'static str],
}

const ALL: &[&str] = &["order", "fill", "position", "balance"];
pub(crate) const CASES: [Case; 5] = [
    Case {
        venue: "bybit",
        market: "linear",
        symbol: "BTCUSDT",
        place: "linear",
        book: "book:50",
        depth: Depth::Levels(50),
        channels: ALL,
    },
    Case {
        venue: "okx",
        market: "swap",
        symbol: "BTC-USDT-SWAP",
        place: "public",
        book: "book",
        depth: Depth::Levels(400),
        channels: ALL,
    },
    Case {
        venue: "binance",
        market: "usdm",
        symbol: "BTCUSDT",
        place: "usdm",
        book: "book",
        depth: Depth::Full,
        channels: ALL,
    },
    Case {
        venue: "binance",
        market: "coinm",
        symbol: "BTCUSD_PERP",
        place: "coinm",
        book: "book",
        depth: Depth::Full,
        channels: ALL,
    },
    Case {
        venue: "binance",
        market: "spot",
        symbol: "BTCUSDT",
        place: "spot",
        book: "book",
        depth: Depth::Full,
        channels: &["order", "fill", "balance"],
    },
];

/// Only its fills are looked at: its open orders alone take nine calls of the ninety a minute, too many for connections that
/// end again and again.
const FLYER: Case = Case {
    venue: "bitflyer",
    market: "spot",
    symbol: "BTC_JPY",
    place: "",
    book: "book",
    depth: Depth::Full,
    channels: &["fill"],
};

/// Key, secret and passphrase.
pub(crate) type Keys = [&'static str; 3];
pub(crate) const KEYS: Keys = ["key", "secret", "phrase"];

impl Case {
    async fn serve(&self, faults: &[&str], keys: Keys, key_life: Duration) -> Running {
        Server::bind(self.options(faults, keys, key_life)).await.unwrap().start()
    }

    pub(crate) fn options(&self, faults: &[&str], [key, secret, passphrase]: Keys, key_life: Duration) -> Options {
        let deal_every = Duration::from_millis(300);
        let secret = || Secret::new(secret.to_owned());
        let key = || key.to_owned();
        Options {
            venue: self.venue.to_owned(),
            rate: 0,
            seed: 7,
            faults: faults.iter().map(|fault| fault.parse().unwrap()).collect(),
            bybit: bybit::Settings { key: key(), secret: secret(), deal_every },
            okx: okx::Settings {
                key: key(),
                secret: secret(),
                passphrase: Secret::new(passphrase.to_owned()),
                deal_every,
                connect_limit: false,
                ..okx::Settings::default()
            },
            binance: binance::Settings {
                key: key(),
                secret: secret(),
                deal_every,
                every_move: true,
                key_life,
                ..binance::Settings::default()
            },
            bitflyer: bitflyer::Settings { key: key(), secret: secret(), deal_every, ..bitflyer::Settings::default() },
            ..Options::default()
        }
    }

    /// A config with the account `desk`, whose key is in files that live as long as the folder.
    pub(crate) fn config(&self, venue: &Running, channels: &[&str], keys: Keys) -> (TempDir, Value) {
        let folder = tempfile::tempdir().unwrap();
        let mut account = json!({"api": self.venue});
        for (part, text) in ["key", "secret", "passphrase"].into_iter().zip(keys) {
            let path = folder.path().join(part);
            std::fs::write(&path, text).unwrap();
            if part != "passphrase" || self.venue.starts_with("ok") {
                account[part] = json!({"file": path});
            }
        }
        let symbols = if channels.contains(&self.book) { vec![self.symbol] } else { Vec::new() };
        let feed = json!({
            "venue": self.venue, "market": self.market, "symbols": symbols, "channels": channels,
            "url": venue.url(self.place), "silence_ms": 600_000, "account": "desk",
        });
        let mut config = config(&json!({"a": feed}));
        config["accounts"] = json!({"desk": account});
        (folder, config)
    }

    pub(crate) fn watcher(&self, gateway: &Gateway, venue: &Running) -> Watcher {
        let prefixes = ["book.", "status.", "order.", "fill.", "position.", "balance."];
        Watcher::new(gateway, venue, self.market, self.depth, &prefixes)
    }

    /// The last row of a channel, if there is one.
    fn row<'w>(&self, watcher: &'w Watcher, channel: &str) -> Option<&'w Value> {
        let prefix = format!("{channel}.{}.desk.", self.venue);
        watcher.last.iter().find(|(topic, _)| topic.starts_with(&prefix)).map(|(_, row)| row)
    }

    pub(crate) async fn rows(&self, watcher: &mut Watcher) {
        let all = |watcher: &Watcher| self.channels.iter().all(|channel| self.row(watcher, channel).is_some());
        watcher.until(&format!("rows of {self:?}"), all).await;
    }
}

pub(crate) const HOUR: Duration = Duration::from_secs(3_600);

/// The states of the account's streams, told of the feed as a whole.
pub(crate) fn states(watcher: &Watcher) -> Vec<String> {
    watcher.told_of("", 0)
}

/// Waits until the log tells that the account's orders were refused.
pub(crate) async fn refusal(gateway: &mut Gateway) {
    gateway.logged_where(|line| line["state"] == "rejected" && line["channel"] == "order").await;
}

#[tokio::test]
async fn an_account_is_read_at_once_and_followed() {
    for case in CASES {
        // Nobody trades: all rows but fills are those of the images.
        let venue = case.serve(&[], KEYS, HOUR).await;
        let (_files, config) = case.config(&venue, case.channels, KEYS);
        let gateway = Gateway::start(&config).await;
        let mut watcher = case.watcher(&gateway, &venue);
        let mut open = BTreeSet::new();
        while open.is_empty() || case.row(&watcher, "fill").is_none() {
            let (topic, frame) = watcher.next().await;
            // The order that waits for ever was there before.
            if topic.starts_with("order.") && frame["state"] == "open" && frame["symbol"] == case.symbol {
                open.insert(frame["id"].as_str().unwrap().to_owned());
            }
        }
        case.rows(&mut watcher).await;
        watcher.until("live", |watcher| watcher.is_live("")).await;
        let order = case.row(&watcher, "order").unwrap();
        assert_eq!((&order["account"], &order["venue"]), (&json!("desk"), &json!(case.venue)), "{order}");
        let fill = case.row(&watcher, "fill").unwrap();
        for field in ["id", "order_id", "side", "price", "size"] {
            assert!(fill[field].is_string(), "{case:?}: {fill}");
        }
        assert_eq!(venue.truth().connections(), 1, "{case:?}");
        let again = gateway.ask(json!({"op": "initialize", "feed": "a"})).await;
        assert_eq!((&again["ok"], &again["feeds"]), (&json!(true), &json!(["a"])), "{case:?} {again}");
    }
}

#[tokio::test]
async fn after_a_lost_connection_it_signs_in_and_reads_the_account_again() {
    for case in CASES {
        let venue = case.serve(&["lifetime:1500"], KEYS, HOUR).await;
        let (_files, config) = case.config(&venue, case.channels, KEYS);
        let gateway = Gateway::start(&config).await;
        let mut watcher = case.watcher(&gateway, &venue);
        let losses = |watcher: &Watcher| states(watcher).iter().filter(|told| *told == "live").count();
        watcher.until(&format!("{case:?} live for the third time"), |watcher| losses(watcher) >= 3).await;
        assert!(venue.truth().connections() >= 3, "{case:?}");
        assert!(states(&watcher).iter().any(|told| told == "down disconnected"), "{:?}", watcher.told);
    }
}

/// Receives frames until the fills are enough, each of which comes once, those that were fetched in the order of time: whether
/// each was fetched, by symbol, id and order.
async fn fills(
    watcher: &mut Watcher,
    told: &mut BTreeMap<String, bool>,
    enough: impl Fn(&BTreeMap<String, bool>) -> bool,
) {
    let (mut last, start) = (0, Instant::now());
    while !enough(told) {
        assert!(start.elapsed() < DEADLINE, "not enough fills within {DEADLINE:?}: {told:?}");
        let (topic, frame) = watcher.next().await;
        if !topic.starts_with("fill.") {
            continue;
        }
        let text = |name: &str| frame[name].as_str().unwrap_or_else(|| panic!("no {name}: {frame}")).to_owned();
        let is_fetched = frame["backfill"] == true;
        let before = told.insert(["symbol", "id", "order_id"].map(text).join(" "), is_fetched);
        assert_eq!(before, None, "told twice: {frame}");
        if is_fetched {
            let at = frame["ts_event"].as_u64().unwrap();
            assert!(at >= last, "fetched fills are not in order of time: {frame}");
            last = at;
        }
    }
}

/// The venue goes on trading while the connection is gone: what happens then is fetched, and every fill comes once.
async fn no_fill_is_missed(case: Case) {
    let venue = case.serve(&["lifetime:1500"], KEYS, HOUR).await;
    let (_files, config) = case.config(&venue, case.channels, KEYS);
    let gateway = Gateway::start(&config).await;
    let mut watcher = case.watcher(&gateway, &venue);
    let mut told = BTreeMap::new();
    let are_both = |told: &BTreeMap<String, bool>| {
        let fetched = told.values().filter(|fetched| **fetched).count();
        fetched >= 1 && told.len() - fetched >= 2
    };
    fills(&mut watcher, &mut told, are_both).await;
    let truth = venue.truth().fills(case.market);
    fills(&mut watcher, &mut told, |told| truth.iter().all(|fill| told.contains_key(fill))).await;
    let truth = venue.truth().fills(case.market);
    assert!(told.keys().all(|fill| truth.contains(fill)), "{case:?}: a fill that never was: {told:?}");
    assert!(venue.truth().connections() >= 2, "{case:?}");
}

#[tokio::test]
async fn no_fill_of_bybit_is_missed() {
    no_fill_is_missed(CASES[0]).await;
}

#[tokio::test]
async fn no_fill_of_okx_is_missed() {
    no_fill_is_missed(CASES[1]).await;
}

#[tokio::test]
async fn no_fill_of_binance_futures_is_missed() {
    for case in &CASES[2..4] {
        no_fill_is_missed(*case).await;
    }
}

#[tokio::test]
async fn no_fill_of_binance_spot_is_missed() {
    no_fill_is_missed(CASES[4]).await;
}

#[tokio::test]
async fn no_fill_of_bitflyer_is_missed() {
    no_fill_is_missed(FLYER).await;
}

#[tokio::test]
async fn a_refused_key_is_told_and_leaves_public_data_alone() {
    for case in CASES {
        let venue = case.serve(&[], KEYS, HOUR).await;
        let (_files, config) = case.config(&venue, &[case.book, "order"], ["kex", "another", "phrase"]);
        let mut gateway = Gateway::start(&config).await;
        let mut watcher = case.watcher(&gateway, &venue);
        watcher.walk(1);
        refusal(&mut gateway).await;
        watcher.until_true(&[case.symbol], 50).await;
        let told = watcher.told_of(case.symbol, 0);
        assert!(!told.iter().any(|told| told.starts_with("stale")), "{case:?}: {told:?}");
        assert_eq!(case.row(&watcher, "order"), None);
    }
}

/// What every door says of an account that the venue refuses, also to whoever comes late.
#[tokio::test]
async fn a_refused_account_is_told_to_everyone_who_asks() {
    let case = CASES[0];
    let venue = case.serve(&[], KEYS, HOUR).await;
    let (_files, mut config) = case.config(&venue, &[case.book, "order", "fill"], ["kex", "another", "phrase"]);
    config["admin"]["listen"] = json!("127.0.0.1:0");
    let mut gateway = Gateway::start(&config).await;
    let mut first = case.watcher(&gateway, &venue);
    refusal(&mut gateway).await;
    let refused = |watcher: &Watcher, channel| watcher.told_of(channel, 0).contains(&"rejected rejected".to_owned());
    first.until("both refused", |watcher| refused(watcher, "order") && refused(watcher, "fill")).await;
    let mut late = case.watcher(&gateway, &venue);
    let topic = "status.bybit.desk.order.";
    late.until("the late one is told", |watcher| watcher.last.contains_key(topic)).await;
    let told = &late.last[topic];
    assert_eq!(
        (&told["state"], &told["channel"], &told["account"]),
        (&json!("rejected"), &json!("order"), &json!("desk"))
    );
    let words = told["detail"].as_str().unwrap();
    let status = gateway.ask(json!({"op": "status", "feed": "a"})).await;
    let feed = &status["feeds"][0];
    assert_eq!(
        (&feed["account"], &feed["account_channels"]["order"]["detail"]),
        (&json!("desk"), &json!(words)),
        "{feed}"
    );
    assert_eq!(feed["account_channels"]["fill"]["state"], "rejected", "{feed}");
    let about = |op: &str, table: &str, of: Value| json!({"op": op, "venue": "bybit", "table": table, "where": of});
    let rows = gateway.ask(about("find", "status", json!({"account": "desk"}))).await;
    assert_eq!(rows["matches"], 2, "{rows}");
    for op in ["find", "get"] {
        let refused = gateway.ask(about(op, "order", json!({}))).await;
        assert_eq!(
            (&refused["ok"], &refused["code"], &refused["detail"]),
            (&json!(false), &json!("not_live"), &json!(words))
        );
        assert!(refused["seq"].is_u64() && refused["not_live"][0]["feed"] == "a", "{refused}");
    }
    for op in ["wait", "watch"] {
        let mut question = about(op, "order", json!({}));
        question["within_ms"] = json!(0);
        let answer = gateway.ask(question).await;
        assert_eq!((&answer["ok"], &answer["not_live"][0]["state"]), (&json!(true), &json!("rejected")), "{answer}");
    }
    for (table, of) in [("position", json!({})), ("order", json!({"account": "nobody"}))] {
        let none = gateway.ask(about("find", table, of)).await;
        assert_eq!((&none["code"], none.get("seq")), (&json!("not_found"), None), "{none}");
    }
    let begun = gateway.ask(json!({"op": "initialize", "feed": "a"})).await;
    assert_eq!(begun["code"], "unsupported", "{begun}");
    assert!(begun["error"].as_str().unwrap().contains(words), "{begun}");
}

#[tokio::test]
async fn an_expired_listen_key_is_made_anew() {
    let case = CASES[2];
    let venue = case.serve(&[], KEYS, Duration::from_millis(1_500)).await;
    let (_files, config) = case.config(&venue, case.channels, KEYS);
    let gateway = Gateway::start(&config).await;
    let mut watcher = case.watcher(&gateway, &venue);
    let live = |watcher: &Watcher| states(watcher).iter().filter(|told| *told == "live").count();
    watcher.until("live for the third time", |watcher| live(watcher) >= 3).await;
    assert!(venue.truth().connections() >= 3);
}

/// What the page of metrics says.
pub(crate) fn metrics(address: &str) -> String {
    let mut stream = TcpStream::connect(address.trim_start_matches("http://").trim_end_matches('/')).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("tickbus_"), "{text}");
    text
}

/// Key, secret, passphrase, signatures and listen keys are in no log at any level, no frame, metric, status or recording.
#[tokio::test]
async fn no_secret_is_ever_shown() {
    const CANARIES: Keys = ["canaryKEY7f3a91", "canarySECRET55c0de", "canaryPHRASE0b1e"];
    // One run with the right keys and lost connections, one in which they are refused.
    for (case, refused) in CASES.into_iter().flat_map(|case| [(case, false), (case, true)]) {
        let known = if refused { KEYS } else { CANARIES };
        let venue = case.serve(&["lifetime:1500"], known, Duration::from_millis(2_500)).await;
        let (_files, mut config) = case.config(&venue, &[&[case.book], case.channels].concat(), CANARIES);
        config["admin"]["listen"] = json!("127.0.0.1:0");
        let (file, folder) = (file_of(&config), tempfile::tempdir().unwrap());
        let capture = folder.path().join("capture.jsonl");
        let arguments = ["--log-format", "json", "record", "--config"].map(std::ffi::OsStr::new);
        let arguments = arguments.into_iter().chain([file.path().as_os_str(), "--out".as_ref(), capture.as_os_str()]);
        let mut command = tickbus();
        let mut gateway = Gateway::spawn(command.env("RUST_LOG", "trace").args(arguments), "Gateway started").await;
        let admin = gateway.logged("Gateway started").await["admin"].as_str().unwrap().to_owned();
        let mut watcher = case.watcher(&gateway, &venue);
        watcher.walk(1);
        if refused {
            refusal(&mut gateway).await;
        } else {
            case.rows(&mut watcher).await;
            let connections = venue.truth().connections();
            until("connections are lost", || venue.truth().connections() >= connections.max(4)).await;
        }
        let mut shown = format!("{:?} {:?}", watcher.last, watcher.told);
        shown.push_str(&metrics(&admin));
        shown.push_str(&gateway.ctl(&["status"]).await.1.to_string());
        gateway.signal("TERM");
        assert_eq!(gateway.ended().await, Some(0));
        let log = gateway.log();
        assert!(log.iter().any(|line| line["level"] == "TRACE" || line["level"] == "DEBUG"), "a talkative log");
        shown.push_str(&format!("{log:?} {}", gateway.printed()));
        let recorded = std::fs::read_to_string(&capture).unwrap();
        assert!(recorded.contains(r#""kind":"connect""#));
        shown.push_str(&recorded);
        for canary in CANARIES {
            assert!(!shown.contains(canary), "{case:?} shows {canary}");
        }
        for word in ["\"listenKey\":\"", "listenKey=", "signature", "X-BAPI-SIGN", "OK-ACCESS-SIGN", "\\\"auth\\\""] {
            let allowed = ["listenKey={key}", r#""listenKey":"{key}""#];
            let shown = allowed.iter().fold(shown.clone(), |text, allowed| text.replace(allowed, ""));
            assert!(!shown.contains(word), "{case:?} shows {word}: {}", around(&shown, word));
        }
    }
}

/// Some characters on both sides of a word.
fn around(text: &str, word: &str) -> String {
    let at = text.find(word).unwrap_or_default();
    text.chars().skip(text[..at].chars().count().saturating_sub(100)).take(300).collect()
}
