//! Tables of the real program: rows that are what the bus says, nothing lost between two questions, books refused while they
//! are not live, and the Python client.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};
use tickbus::io::zmq::{Kind, ZmqConnection, ZmqLimits, connect};
use tickbus::model::Level;
use tickbus::sim::okx::Settings;
use tickbus::sim::{Depth, Options, Running, Server};
use tickbus::zmtp::ClientSecurity;
use tokio::time::{Instant, timeout};

use crate::gateway::{DEADLINE, Gateway, config, feed, venue};
use crate::script::{Language, Script};
use crate::watcher::Watcher;

const SYMBOLS: [&str; 2] = ["BTCUSDT", "ETHUSDT"];
const DEPTH: Depth = Depth::Levels(50);

/// Two live books with trades, tickers and candles.
async fn scene(rate: u32) -> (Running, Gateway) {
    let venue = venue(rate, &[]).await;
    let feeds = json!({"a": feed(&venue, "linear", &SYMBOLS, &["book:50", "trade", "ticker", "candle:1m"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", DEPTH, &["book.", "status."]);
    watcher.until_true(&SYMBOLS, 1).await;
    (venue, gateway)
}

#[tokio::test]
async fn a_book_is_told_by_its_market_and_symbol() {
    let venue = venue(0, &[]).await;
    let feeds = json!({
        "a": feed(&venue, "linear", &["BTCUSDT"], &["book:50"]), "b": feed(&venue, "spot", &["BTCUSDT"], &["book:50"]),
    });
    let gateway = Gateway::start(&config(&feeds)).await;
    let ask = async |conditions: Value| gateway.ask(about("sorted", "book", conditions)).await;
    for market in ["linear", "spot"] {
        let live = async { while ask(json!({"market": market, "symbol": "BTCUSDT"})).await["ok"] == false {} };
        timeout(DEADLINE, live).await.expect("a live book in time");
    }
    let refused = ask(json!({"symbol": "BTCUSDT"})).await;
    assert_eq!(refusal(&refused), ("bad_request", "2 books match; write also some of: market"));
}

/// A connection that asks one question after the other.
struct Asker(ZmqConnection);

impl Asker {
    async fn new(gateway: &Gateway) -> Self {
        let limits = ZmqLimits::default();
        Self(connect(&gateway.control, Kind::Req, &ClientSecurity::Null, limits).await.unwrap())
    }

    async fn ask(&mut self, body: &Value) -> Value {
        self.0.send(&[body.to_string().as_bytes()]).await.unwrap();
        let answer = timeout(DEADLINE, self.0.receive()).await.unwrap().unwrap();
        serde_json::from_slice(answer.last().unwrap()).unwrap()
    }
}

fn about(op: &str, table: &str, conditions: Value) -> Value {
    json!({"op": op, "venue": "bybit", "table": table, "where": conditions})
}

fn rows(answer: &Value) -> &[Value] {
    assert_eq!(answer["ok"], true, "{answer}");
    answer["rows"].as_array().unwrap()
}

fn refusal(answer: &Value) -> (&str, &str) {
    assert_eq!(answer["ok"], false, "{answer}");
    (answer["code"].as_str().unwrap(), answer["error"].as_str().unwrap())
}

#[tokio::test]
async fn rows_are_found_by_key_and_fields_and_books_come_sorted() {
    let (venue, gateway) = scene(0).await;
    let of_btc = json!({"market": "linear", "symbol": "BTCUSDT"});
    let ticker = gateway.ask(about("get", "ticker", of_btc.clone())).await;
    assert_eq!((&ticker["row"]["symbol"], &ticker["table"]), (&json!("BTCUSDT"), &json!("ticker")), "{ticker}");
    assert_eq!(rows(&gateway.ask(about("find", "ticker", json!({}))).await).len(), 2);
    let last = &ticker["row"]["last"];
    let same = gateway.ask(about("find", "ticker", json!({"last": last, "symbol": "BTCUSDT"}))).await;
    assert_eq!((rows(&same)[0]["symbol"].as_str(), same["matches"].as_u64()), (Some("BTCUSDT"), Some(1)));
    assert_eq!(rows(&gateway.ask(json!({"op": "find", "feed": "a", "table": "status"})).await).len(), 3);
    // The older form still answers with frames.
    let frame = gateway.ask(json!({"op": "get", "channel": "ticker", "feed": "a", "symbol": "BTCUSDT"})).await;
    assert_eq!((&frame["value"]["type"], &frame["value"]["last"]), (&json!("ticker"), last));

    venue.truth().step(200);
    let truth = venue.truth().book("linear", "BTCUSDT", DEPTH).unwrap();
    let (bids, asks) = (spelled(&truth.bids), spelled(&truth.asks));
    let (bid, ask) = (&bids[0].0, &asks[0].0);
    let sorted = json!({"op": "sorted", "venue": "bybit", "where": {"symbol": "BTCUSDT"}, "limit": 5});
    let book = loop {
        let book = gateway.ask(sorted.clone()).await;
        if (book["bids"][0]["price"].as_str(), book["asks"][0]["price"].as_str()) == (Some(bid), Some(ask)) {
            break book;
        }
    };
    for (side, levels) in [("bids", &bids), ("asks", &asks)] {
        let shown: Vec<_> = book[side].as_array().unwrap().iter().map(level).collect();
        assert_eq!(shown, levels[..5], "{side}");
    }
    let (code, ctl) = gateway.ctl(&["sorted", "bybit.book", "symbol=BTCUSDT", "limit=1"]).await;
    assert_eq!((code, &ctl["bids"][0]["price"]), (0, &json!(bid)), "{ctl}");
    let (code, ctl) = gateway.ctl(&["find", "bybit.trade", "symbol=ETHUSDT", "limit=3"]).await;
    assert_eq!((code, ctl["rows"].as_array().map(Vec::len)), (0, Some(3)), "{ctl}");
}

fn level(row: &Value) -> (String, String) {
    let text = |name: &str| row[name].as_str().unwrap().to_owned();
    (text("price"), text("size"))
}

fn spelled(levels: &[Level]) -> Vec<(String, String)> {
    levels.iter().map(|level| (level.price.to_string(), level.size.to_string())).collect()
}

#[tokio::test]
async fn what_is_asked_wrongly_is_refused_and_says_what_is_allowed() {
    let (_venue, gateway) = scene(0).await;
    for (body, code, says) in [
        (about("find", "tickers", json!({})), "bad_request", "ticker, book"),
        (json!({"op": "find", "venue": "bybit"}), "bad_request", "table is missing"),
        (json!({"op": "find", "table": "book"}), "bad_request", "venue is missing"),
        (json!({"op": "find", "venue": "okx", "table": "book"}), "not_found", "allowed: bybit"),
        (json!({"op": "find", "feed": "b", "table": "book"}), "unknown_feed", "allowed: a"),
        (json!({"op": "find", "feed": "a", "venue": "okx", "table": "book"}), "bad_request", "one of the two"),
        (about("find", "ticker", json!({"last": 1.5})), "bad_request", "texts"),
        (about("find", "ticker", json!({"last": ["1"]})), "bad_request", "where.last"),
        (json!({"op": "find", "venue": "bybit", "table": "book", "limit": 0}), "bad_request", "1 to 100000"),
        (json!({"op": "find", "venue": "bybit", "table": "book", "after": 0}), "bad_request", "after"),
        (json!({"op": "find", "venue": "bybit", "table": "book", "when": 0}), "bad_request", "when"),
        (about("get", "trade", json!({"price": "1"})), "bad_request", "market, symbol, seq"),
        (about("get", "ticker", json!({"market": "linear"})), "bad_request", "write also some of: symbol"),
        (about("get", "ticker", json!({"symbol": "NONE"})), "not_found", "no such row"),
        (about("sorted", "trade", json!({"symbol": "BTCUSDT"})), "bad_request", "allowed: book"),
        (about("sorted", "book", json!({})), "bad_request", "where.symbol"),
        (about("sorted", "book", json!({"symbol": "NONE"})), "not_found", "no feed has that symbol"),
        (about("watch", "ticker", json!({"last": "1"})), "bad_request", "market, symbol"),
        (about("wait", "ticker", json!({"last": "1"})), "bad_request", "market, symbol"),
        (json!({"op": "wait", "venue": "bybit", "table": "bbo", "within_ms": 30_001}), "bad_request", "0 to 30000"),
        (json!({"op": "tables", "venue": "bybit"}), "bad_request", "venue"),
        (json!({"op": "initialize"}), "bad_request", "a feed or a venue"),
        (json!({"op": "initialize", "feed": "a"}), "unsupported", "follows no account"),
        (json!({"op": "initialize", "venue": "okx"}), "unsupported", "follows no account"),
    ] {
        let answer = gateway.ask(body.clone()).await;
        let (got, error) = refusal(&answer);
        assert!(got == code && error.contains(says), "{body}: {answer}");
    }
    let (code, _) = gateway.ctl(&["find", "bybit.nothing"]).await;
    assert_eq!(code, 1);
    let (code, _) = gateway.ctl(&["find", "bybit"]).await;
    assert_eq!(code, 2);
}

#[tokio::test]
async fn nothing_is_missed_between_a_look_and_a_wait() {
    let (venue, gateway) = scene(0).await;
    let found = gateway.ask(about("find", "book", json!({"symbol": "BTCUSDT"}))).await;
    let wait = |within: u64, found: &Value| {
        json!({"op": "wait", "venue": "bybit", "table": "book", "where": {"symbol": "BTCUSDT"}, "within_ms": within,
            "after": found["seq"], "epoch": found["epoch"]})
    };
    let quiet = gateway.ask(wait(50, &found)).await;
    assert_eq!((&quiet["changed"], &quiet["seq"]), (&json!(false), &found["seq"]));
    // It changes before anybody waits.
    venue.truth().step(20);
    let mut watcher = Watcher::new(&gateway, &venue, "linear", DEPTH, &["book.", "status."]);
    watcher.until_true(&SYMBOLS, 1).await;
    let begun = Instant::now();
    let changed = gateway.ask(wait(30_000, &found)).await;
    assert!(changed["changed"] == true && begun.elapsed() < Duration::from_secs(20), "{changed}");
    let now = gateway.ask(wait(0, &gateway.ask(about("find", "book", json!({}))).await)).await;
    assert_eq!(now["changed"], false, "{now}");
    // Of another run nothing is known.
    let mut other = wait(30_000, &found);
    other["epoch"] = json!(1);
    assert_eq!(gateway.ask(other.clone()).await["changed"], true);
    other["op"] = json!("watch");
    assert_eq!(refusal(&gateway.ask(other).await).0, "reread");
    // Some of the many who wait at one time.
    let found = gateway.ask(about("find", "book", json!({"symbol": "BTCUSDT"}))).await;
    let waits: Vec<_> = (0..20).map(|_| gateway.ask(wait(30_000, &found))).collect();
    let all = futures_util::future::join_all(waits);
    let (answers, ()) = tokio::join!(all, async { venue.truth().step(50) });
    assert!(answers.iter().all(|answer| answer["changed"] == true), "{answers:?}");
}

/// Applies changes to rows by their keys, and checks that each follows on the one before.
fn follow(rows: &mut BTreeMap<String, Value>, answer: &Value, seq: &mut u64) {
    assert_eq!(answer["ok"], true, "{answer}");
    for change in answer["changes"].as_array().unwrap() {
        *seq += 1;
        assert_eq!(change["seq"], *seq, "{change}");
        let (key, row) = (change["key"].to_string(), change["row"].clone());
        let before = match change["op"].as_str().unwrap() {
            "delete" => rows.remove(&key),
            _ => rows.insert(key, row),
        };
        assert_eq!(before.is_none(), change["op"] == "insert", "{change}");
    }
    assert_eq!(answer["seq"], *seq);
}

#[tokio::test]
async fn an_image_and_the_changes_after_it_are_the_table() {
    let (venue, gateway) = scene(0).await;
    let mut asker = Asker::new(&gateway).await;
    for table in ["book", "trade", "ticker"] {
        let image = asker.ask(&about("find", table, json!({}))).await;
        let keys = asker.ask(&about("watch", table, json!({})).also("within_ms", 0)).await["keys"].clone();
        let key_of = |row: &Value| {
            Value::Array(keys.as_array().unwrap().iter().map(|key| row[key.as_str().unwrap()].clone()).collect())
        };
        let mut mirror: BTreeMap<String, Value> =
            rows(&image).iter().map(|row| (key_of(row).to_string(), row.clone())).collect();
        let mut seq = image["seq"].as_u64().unwrap();
        for step in [1, 7, 300] {
            venue.truth().step(step);
            // However many questions it takes, and whoever asked the one before.
            let watch = |seq: u64| {
                about("watch", table, json!({})).also("after", seq).also("epoch", &image["epoch"]).also("limit", 50)
            };
            follow(&mut mirror, &asker.ask(&watch(seq).also("within_ms", 5_000)).await, &mut seq);
            loop {
                let found = gateway.ask(about("find", table, json!({}))).await;
                while seq < found["seq"].as_u64().unwrap() {
                    follow(&mut mirror, &asker.ask(&watch(seq)).await, &mut seq);
                }
                if seq == found["seq"].as_u64().unwrap() {
                    let expected: BTreeMap<String, Value> =
                        rows(&found).iter().map(|row| (key_of(row).to_string(), row.clone())).collect();
                    assert_eq!(mirror, expected, "{table}");
                    break;
                }
            }
        }
    }
}

/// A request with one argument more.
trait Also {
    fn also(self, key: &str, value: impl serde::Serialize) -> Value;
}

impl Also for Value {
    fn also(mut self, key: &str, value: impl serde::Serialize) -> Value {
        self[key] = json!(value);
        self
    }
}

#[tokio::test]
async fn a_book_that_is_not_live_is_refused_with_its_state_and_its_rows_go() {
    let (venue, gateway) = scene(0).await;
    let sorted = about("sorted", "book", json!({"symbol": "BTCUSDT"}));
    let book = gateway.ask(sorted.clone()).await;
    let watch = about("watch", "book", json!({"symbol": "BTCUSDT"})).also("after", &book["seq"]).also("limit", 10_000);
    venue.stop().await;
    let gone = gateway.ask(watch.also("within_ms", 30_000)).await;
    assert!(gone["changes"].as_array().unwrap().iter().all(|change| change["op"] == "delete"), "{gone}");
    let refused = gateway.ask(sorted).await;
    assert_eq!(refusal(&refused).0, "not_live", "{refused}");
    assert_eq!((&refused["state"], &refused["reason"]), (&json!("stale"), &json!("disconnected")), "{refused}");
    assert!(refused["since"].is_u64() && refused["seq"].is_u64(), "{refused}");
    assert_eq!(rows(&gateway.ask(about("find", "book", json!({}))).await).len(), 0);
    // What is closed is no more, and says so.
    assert_eq!(gateway.ask(json!({"op": "close", "name": "a"})).await["ok"], true);
    let refused = gateway.ask(about("sorted", "book", json!({"symbol": "BTCUSDT"}))).await;
    assert_eq!(refusal(&refused).0, "not_found", "{refused}");
    assert_eq!(rows(&gateway.ask(about("find", "status", json!({}))).await).len(), 0);
}

#[tokio::test]
async fn a_watcher_that_asks_at_once_again_waits_its_turn_and_a_gateway_that_ends_keeps_nobody_waiting() {
    let (venue, mut gateway) = scene(0).await;
    let mut asker = Asker::new(&gateway).await;
    for _ in 0..600 {
        let answer = asker.ask(&about("watch", "bbo", json!({})).also("within_ms", 0)).await;
        assert_eq!(answer["ok"], true, "{answer}");
    }
    drop(venue);
    let pending = about("wait", "candle", json!({})).also("within_ms", 30_000);
    let begun = Instant::now();
    let (answer, ()) = tokio::join!(asker.ask(&pending), async { gateway.signal("TERM") });
    assert_eq!(answer["ok"], true);
    assert_eq!(gateway.ended().await, Some(0));
    assert!(begun.elapsed() < Duration::from_secs(20));
}

/// The simulated OKX, with an account that trades five times a second, and a config that follows it.
async fn account() -> (Running, tempfile::TempDir, Value) {
    let okx = Settings { deal_every: Duration::from_millis(200), ..Settings::default() };
    let options = Options { venue: "okx".to_owned(), rate: 50, okx, seed: 7, ..Options::default() };
    let venue = Server::bind(options).await.unwrap().start();
    let folder = tempfile::tempdir().unwrap();
    let mut credentials = json!({});
    for (part, text) in [("key", "key"), ("secret", "secret"), ("passphrase", "phrase")] {
        let path = folder.path().join(part);
        std::fs::write(&path, text).unwrap();
        credentials[part] = json!({"file": path});
    }
    let feed = json!({
        "venue": "okx", "market": "swap", "symbols": ["BTC-USDT-SWAP"], "url": venue.url("public"), "silence_ms": 600_000,
        "channels": ["book", "trade", "ticker", "order", "fill", "position", "balance"], "credentials": credentials,
    });
    (venue, folder, config(&json!({"a": feed})))
}

/// The rows of a table of the account, once it is live.
async fn found(gateway: &Gateway, table: &str) -> Value {
    let begun = Instant::now();
    loop {
        let answer = gateway.ask(json!({"op": "find", "venue": "okx", "table": table})).await;
        if answer["ok"] == true {
            return answer;
        }
        assert_eq!(answer["code"], "not_live", "{answer}");
        assert!(begun.elapsed() < DEADLINE, "{answer}");
    }
}

#[tokio::test]
async fn orders_come_and_go_and_fills_stay() {
    let (_venue, _files, config) = account().await;
    let gateway = Gateway::start(&config).await;
    let mut asker = Asker::new(&gateway).await;
    let about = |op: &str, table: &str| json!({"op": op, "venue": "okx", "table": table});
    let image = found(&gateway, "order").await;
    let mut open: BTreeMap<String, Value> =
        rows(&image).iter().map(|row| (json!(row["id"]).to_string(), row.clone())).collect();
    let (mut seq, mut ended) = (image["seq"].as_u64().unwrap(), Vec::new());
    let begun = Instant::now();
    while ended.len() < 3 {
        assert!(begun.elapsed() < DEADLINE, "{ended:?}");
        let watch = about("watch", "order").also("after", seq).also("epoch", &image["epoch"]);
        let answer = asker.ask(&watch).await;
        for change in answer["changes"].as_array().unwrap() {
            let id = change["row"]["id"].to_string();
            match change["op"].as_str().unwrap() {
                "delete" => {
                    assert!(open.remove(&id).is_some(), "{change}");
                    ended.push(change["row"]["state"].as_str().unwrap().to_owned());
                }
                _ => drop(open.insert(id, change["row"].clone())),
            }
        }
        seq = answer["seq"].as_u64().unwrap();
    }
    assert!(ended.iter().all(|state| ["filled", "cancelled"].contains(&&**state)), "{ended:?}");
    let fills = found(&gateway, "fill").await;
    assert!(rows(&fills).iter().all(|fill| fill["account"] == "main" && fill["order_id"].is_string()), "{fills}");
    for table in ["position", "balance"] {
        let mut answer = found(&gateway, table).await;
        while rows(&answer).is_empty() {
            let wait = about("wait", table).also("after", &answer["seq"]).also("within_ms", 30_000);
            assert_eq!(gateway.ask(wait).await["changed"], true);
            answer = gateway.ask(about("find", table)).await;
        }
    }
}

#[tokio::test]
async fn the_python_client_gets_finds_sorts_waits_and_watches() {
    let (venue, gateway) = scene(200).await;
    let settings = [("TICKBUS_CONTROL", gateway.control.as_str())];
    let Some(mut script) = Script::start(Language::Python, "tests/python/tables.py", &["market"], &settings) else {
        return;
    };
    for expected in ["get", "find", "sorted", "wait", "watch", "mirror", "refused", "not live"] {
        if expected == "not live" {
            venue.stop().await;
            assert_eq!(script.line().await, "not live disconnected");
            break;
        }
        assert_eq!(script.line().await, expected);
    }
}

#[tokio::test]
async fn the_python_client_follows_an_account_and_reads_anew_after_a_restart() {
    let (_venue, _files, mut config) = account().await;
    let gateway = Gateway::start(&config).await;
    let settings = [("TICKBUS_CONTROL", gateway.control.as_str())];
    let Some(mut script) = Script::start(Language::Python, "tests/python/tables.py", &["account"], &settings) else {
        return;
    };
    assert_eq!(script.line().await, "insert update delete");
    config["control"]["bind"] = json!(gateway.control);
    drop(gateway);
    let _gateway = Gateway::start(&config).await;
    assert_eq!(script.line().await, "reread");
}
