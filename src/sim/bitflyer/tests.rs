//! The protocol in virtual time: answers, what channels carry, the account, REST.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use super::*;
use crate::model::{Mono, Stamp, UnixNanos};
use crate::sim::server::Options;
use crate::sim::venue::{Asked, Beat, Depth, Kind, Published, Reply, Session as _, Venue as _};

/// 2026-11-21T12:00:37Z
const START_MS: u64 = 1_795_262_437_000;

fn at(ms: u64) -> Stamp {
    Stamp { mono: Mono(1_000_000_000 + ms * 1_000_000), wall: UnixNanos::from_ms(START_MS + ms) }
}

/// A venue and one connection to it.
struct Bench {
    venue: Venue,
    session: Session,
    ms: u64,
    refused: &'static str,
}

impl Bench {
    fn new() -> Self {
        let options = Options { venue: "bitflyer".to_owned(), seed: 9, rate: 50, ..Options::default() };
        let mut venue = Venue::open(&options, at(0));
        let asked = Asked::get("/json-rpc", "", IpAddr::V4(Ipv4Addr::LOCALHOST));
        let session = venue.connect(&asked, 1, at(0)).unwrap();
        Self { venue, session, ms: 0, refused: "" }
    }

    /// The answer to a text, if it has one.
    fn ask(&mut self, text: &str) -> Option<Value> {
        let (now, refused) = (at(self.ms), self.refused);
        let replies = self.session.on_text(text, now, &mut self.venue, &mut |topic| topic == refused);
        match &replies[..] {
            [] => None,
            [Reply::Control(text)] => Some(serde_json::from_str(text).unwrap()),
            other => panic!("{other:?}"),
        }
    }

    fn call(&mut self, method: &str, params: &Value) -> Value {
        self.ask(&json!({"jsonrpc": "2.0", "method": method, "params": params, "id": 7}).to_string()).unwrap()
    }

    fn join(&mut self, channel: &str) -> Value {
        self.call("subscribe", &json!({"channel": channel}))
    }

    /// Everything the connection gets in so many milliseconds.
    fn pass(&mut self, ms: u64) -> Vec<Published> {
        let mut got = Vec::new();
        for _ in 0..ms / 10 {
            self.ms += 10;
            let mut out = Vec::new();
            self.venue.tick(at(self.ms), &mut out);
            got.extend(out.into_iter().filter(|message| self.session.wants(message)));
        }
        got
    }

    fn get(&mut self, path: &str, query: &str) -> (u16, Value) {
        self.get_with(path, query, &[])
    }

    fn get_with(&mut self, path: &str, query: &str, headers: &[(&str, &str)]) -> (u16, Value) {
        let asked = Asked { headers, ..Asked::get(path, query, IpAddr::V4(Ipv4Addr::LOCALHOST)) };
        let answer = self.venue.answer(&asked, at(self.ms));
        (answer.status, serde_json::from_str(&answer.body).unwrap_or(Value::Null))
    }
}

fn message(published: &Published) -> Value {
    let value: Value = serde_json::from_slice(&published.text).unwrap();
    assert_eq!(value["method"], "channelMessage");
    assert_eq!(value["params"]["channel"], *published.topic);
    value["params"]["message"].clone()
}

#[test]
fn answers_echo_the_id_and_name_what_is_wrong() {
    let mut bench = Bench::new();
    assert_eq!(bench.join("lightning_board_BTC_JPY"), json!({"jsonrpc": "2.0", "id": 7, "result": true}));
    let code = |answer: &Value| answer["error"]["code"].as_i64();
    assert_eq!(code(&bench.join("lightning_board_BTC_JPY")), Some(-32009));
    assert_eq!(code(&bench.join("lightning_weather_BTC_JPY")), Some(-32602));
    assert_eq!(code(&bench.join("child_order_events")), Some(-32007));
    assert_eq!(code(&bench.call("subscribe", &json!({}))), Some(-32602));
    assert_eq!(code(&bench.call("dance", &json!({}))), Some(-32601));
    assert_eq!(bench.join("lightning_board_MOON_JPY")["result"], true, "and silence for ever");
    let broken = bench.ask("}{").unwrap();
    assert_eq!((&broken["id"], code(&broken)), (&Value::Null, Some(-32700)));
    assert_eq!(bench.ask(r#"{"method":"subscribe","params":{"channel":"lightning_ticker_BTC_JPY"}}"#), None);
    let batch =
        r#"[{"method":"unsubscribe","params":{"channel":"lightning_ticker_BTC_JPY"},"id":"a"},{"method":"x","id":2}]"#;
    let answers = bench.ask(batch).unwrap();
    assert_eq!(
        (&answers[0]["id"], &answers[0]["result"], code(&answers[1])),
        (&json!("a"), &json!(true), Some(-32601))
    );
    bench.refused = "lightning_ticker_BTC_JPY";
    assert_eq!(code(&bench.join("lightning_ticker_BTC_JPY")), Some(-32602));
    bench.session.close(&mut bench.venue);
    assert!(bench.venue.nobody_listens());
}

/// A book kept the way the venue's documentation says, prices in whole yen.
#[derive(Default)]
struct Book([BTreeMap<i64, String>; 2]);

impl Book {
    /// Applies a message, and says how many levels only the middle price told to be gone.
    fn apply(&mut self, snapshot: bool, message: &Value) -> usize {
        if snapshot {
            *self = Self::default();
        }
        let middle = message["mid_price"].as_f64().unwrap() as i64;
        for (side, name) in self.0.iter_mut().zip(["bids", "asks"]) {
            for level in message[name].as_array().unwrap() {
                let (price, size) = (level["price"].as_f64().unwrap() as i64, level["size"].as_f64().unwrap());
                match size == 0.0 {
                    _ if price == 0 => None,
                    true => side.remove(&price),
                    false => side.insert(price, format!("{size:.8}")),
                };
            }
        }
        let before = self.0[0].len() + self.0[1].len();
        self.0[0].retain(|price, _| *price <= middle);
        self.0[1].retain(|price, _| *price > middle);
        before - self.0[0].len() - self.0[1].len()
    }

    fn top(&self) -> [Vec<(i64, String)>; 2] {
        let owned = |(price, size): (&i64, &String)| (*price, size.clone());
        [self.0[0].iter().rev().take(50).map(owned).collect(), self.0[1].iter().take(50).map(owned).collect()]
    }
}

#[test]
fn whole_books_and_changes_make_the_true_book() {
    let mut bench = Bench::new();
    for channel in ["lightning_board_snapshot_FX_BTC_JPY", "lightning_board_FX_BTC_JPY"] {
        bench.join(channel);
    }
    let (mut book, mut first, mut wholes, mut named_by_no_one) = (None::<Book>, 0, 0, 0);
    for _ in 0..600 {
        for published in bench.pass(50) {
            let (message, snapshot) = (message(&published), published.kind == Kind::Book { snapshot: true });
            if snapshot {
                wholes += 1;
                assert_eq!((message["bids"].as_array().unwrap().len(), book.is_none()), (300, wholes == 1));
                first = if wholes == 1 { bench.ms } else { first };
                book.get_or_insert_default();
            }
            let Some(book) = book.as_mut() else { continue };
            named_by_no_one += book.apply(snapshot, &message);
        }
        if let Some(book) = &book {
            let truth = bench.venue.truth("fx", "FX_BTC_JPY", Depth::Levels(50), at(bench.ms)).unwrap();
            let side = |levels: &[crate::model::Level]| {
                let level = |level: &crate::model::Level| {
                    (level.price.rescaled(0).unwrap(), format!("{:.8}", level.size.to_string().parse::<f64>().unwrap()))
                };
                levels.iter().map(level).collect::<Vec<_>>()
            };
            assert_eq!(book.top(), [side(&truth.bids), side(&truth.asks)]);
        }
    }
    assert!((600..=3_800).contains(&first), "the first after {first} ms");
    assert!((5..=7).contains(&wholes), "{wholes} in half a minute");
    assert!(named_by_no_one > 0);
}

#[test]
fn trades_and_tickers_are_as_the_venue_writes_them() {
    let mut bench = Bench::new();
    for channel in ["lightning_executions_XRP_JPY", "lightning_ticker_XRP_JPY"] {
        bench.join(channel);
    }
    let (mut last_id, mut tickers) = (0, 0);
    for published in bench.pass(10_000) {
        let message = message(&published);
        if published.kind == Kind::Trades {
            for trade in message.as_array().unwrap() {
                let id = trade["id"].as_u64().unwrap();
                assert!(id > last_id && ["BUY", "SELL"].contains(&trade["side"].as_str().unwrap()), "{trade}");
                assert!(trade["exec_date"].as_str().unwrap().ends_with('Z'));
                last_id = id;
            }
        } else {
            tickers += 1;
            assert_eq!((&message["state"], &message["preopen_end"]), (&json!("RUNNING"), &Value::Null));
            assert_eq!(message["timestamp"].as_str().unwrap().len(), "2019-04-11T05:14:12.3739915Z".len());
        }
    }
    assert!(last_id > 0 && (10..=20).contains(&tickers), "{tickers} tickers in ten seconds");
    let mut out = Vec::new();
    bench.venue.restart("", "lightning_board_XRP_JPY", at(bench.ms), &mut out);
    let words: Vec<_> = out.iter().map(message).collect();
    assert_eq!((&words[0]["state"], &words[1][0]["side"]), (&json!("PREOPEN"), &json!("")), "an auction has no taker");
}

#[test]
fn a_client_that_answers_no_ping_is_left() {
    let mut bench = Bench::new();
    for seconds in [15, 30] {
        assert_eq!(bench.session.alarm(), at(seconds * 1_000).mono);
        assert!(matches!(bench.session.on_alarm(at(seconds * 1_000))[..], [Reply::Ping(_)]));
    }
    bench.session.on_beat(Beat::Pong(&[]), at(31_000));
    for seconds in [45, 60] {
        assert!(matches!(bench.session.on_alarm(at(seconds * 1_000))[..], [Reply::Ping(_)]));
    }
    assert!(matches!(bench.session.on_alarm(at(75_000))[..], [Reply::Close(..)]));
}

#[test]
fn rest_answers_without_an_envelope() {
    let mut bench = Bench::new();
    bench.join("lightning_executions_BTC_JPY");
    bench.pass(3_000);
    let (status, markets) = bench.get("/v1/getmarkets", "");
    assert_eq!((status, markets.as_array().unwrap().len()), (200, 9));
    assert_eq!(markets[1], json!({"product_code": "FX_BTC_JPY", "market_type": "FX"}));
    let (_, board) = bench.get("/v1/board", "product_code=btc_jpy");
    assert_eq!(board["bids"].as_array().unwrap().len(), 600);
    let (_, all) = bench.get("/v1/getexecutions", "product_code=BTC_JPY");
    let id = all[3]["id"].as_u64().unwrap();
    let (_, newer) = bench.get("/v1/getexecutions", &format!("product_code=BTC_JPY&after={id}"));
    assert_eq!(newer.as_array().unwrap().len(), 3);
    let (_, two) = bench.get("/v1/getexecutions", &format!("product_code=BTC_JPY&count=2&before={id}"));
    assert_eq!(two[0], all[4]);
    assert!(!two[0]["exec_date"].as_str().unwrap().ends_with('Z'));
    assert_eq!(bench.get("/v1/getticker", "").1["product_code"], "BTC_JPY");
    assert_eq!(bench.get("/v1/getboardstate", "").1, json!({"health": "NORMAL", "state": "RUNNING"}));
    assert_eq!(bench.get("/v1/getboard", "product_code=MOON").1["error_message"], "Invalid product");
    assert_eq!(bench.get("/v1/getweather", ""), (404, Value::Null), "a page");
}

#[test]
fn who_signs_in_sees_the_accounts_orders() {
    let mut bench = Bench::new();
    let time = START_MS;
    let nonce = "0123456789abcdef";
    let auth = |secret: &str| json!({"api_key": "key", "timestamp": time, "nonce": nonce, "signature": sign(secret, &format!("{time}{nonce}"))});
    assert!(bench.call("auth", &auth("another"))["error"].is_object());
    assert_eq!(bench.join("child_order_events")["error"]["code"], -32007);
    assert_eq!(bench.call("auth", &auth("secret"))["result"], true);
    for channel in ["child_order_events", "parent_order_events"] {
        assert_eq!(bench.join(channel)["result"], true);
    }
    let mut kinds: BTreeMap<String, usize> = BTreeMap::new();
    for published in bench.pass(120_000) {
        for row in message(&published).as_array().unwrap() {
            let kind = row["event_type"].as_str().unwrap();
            *kinds.entry(format!("{} {kind}", published.topic.split('_').next().unwrap())).or_default() += 1;
            if kind == "EXECUTION" {
                assert!(row["exec_id"].is_u64() && row["outstanding_size"].is_number(), "{row}");
            }
        }
    }
    let wanted = ["CANCEL", "EXECUTION", "EXPIRE", "ORDER", "ORDER_FAILED"].map(|kind| format!("child {kind}"));
    assert!(wanted.iter().all(|kind| kinds.contains_key(kind)), "{kinds:?}");
    assert!(
        ["COMPLETE", "ORDER", "TRIGGER"].iter().all(|kind| kinds.contains_key(&format!("parent {kind}"))),
        "{kinds:?}"
    );
}

#[test]
fn executions_are_listed_by_product_and_id_though_nobody_watches_any_more() {
    let mut bench = Bench::new();
    let (time, nonce) = (START_MS, "0123456789abcdef");
    let signature = sign("secret", &format!("{time}{nonce}"));
    let auth = json!({"api_key": "key", "timestamp": time, "nonce": nonce, "signature": signature});
    bench.call("auth", &auth);
    bench.join("child_order_events");
    bench.pass(10_000);
    bench.call("unsubscribe", &json!({"channel": "child_order_events"}));
    assert!(bench.pass(60_000).is_empty());
    let told = bench.venue.fills("spot");
    assert!(told.len() > 5, "{told:?}");
    let mut list = |query: &str| {
        let path = "/v1/me/getexecutions";
        let sign = sign("secret", &format!("1700000000000GET{path}?{query}"));
        let headers = [("ACCESS-KEY", "key"), ("ACCESS-TIMESTAMP", "1700000000000"), ("ACCESS-SIGN", &*sign)];
        bench.get_with(path, query, &headers)
    };
    let mut listed = 0;
    let products: std::collections::BTreeSet<&str> = told.iter().filter_map(|fill| fill.split(' ').next()).collect();
    for product in products {
        let (_, rows) = list(&format!("product_code={product}&count=500"));
        let key =
            |row: &Value| format!("{product} {} {}", row["id"], row["child_order_acceptance_id"].as_str().unwrap());
        let mut keys: Vec<String> = rows.as_array().unwrap().iter().map(key).collect();
        keys.reverse();
        assert!(keys.iter().all(|key| told.contains(key)) && keys.is_sorted(), "{keys:?}");
        listed += keys.len();
        let (_, before) = list(&format!("product_code={product}&count=1&before={}", rows[0]["id"]));
        assert_eq!(before.as_array().unwrap().first(), rows.get(1));
    }
    assert_eq!(listed, told.len());
}

#[test]
fn the_accounts_answers_are_for_who_signs() {
    let mut bench = Bench::new();
    let (time, path, query) = ("1700000000000", "/v1/me/getpositions", "product_code=FX_BTC_JPY");
    let good = sign("secret", &format!("{time}GET{path}?{query}"));
    let shown = |sign: &str| {
        [("access-key", "key".to_owned()), ("ACCESS-TIMESTAMP", time.to_owned()), ("ACCESS-SIGN", sign.to_owned())]
    };
    let mut ask = |path: &str, query: &str, shown: &[(&str, String)]| {
        let headers: Vec<_> = shown.iter().map(|(name, value)| (*name, value.as_str())).collect();
        bench.get_with(path, query, &headers)
    };
    assert_eq!(ask(path, query, &shown(&good)), (200, json!([])));
    let refusal = json!({"status": -500, "error_message": "Key not found", "data": null});
    assert_eq!(ask(path, query, &[]), (401, refusal.clone()));
    assert_eq!(ask(path, "product_code=BTC_JPY", &shown(&good)), (401, refusal.clone()), "another query");
    assert_eq!(ask(path, query, &shown(&good.to_uppercase())), (401, refusal.clone()));
    assert_eq!(ask(path, query, &shown("")), (401, refusal));
    let balance = sign("secret", &format!("{time}GET/v1/me/getbalance"));
    let (status, balances) = ask("/v1/me/getbalance", "", &shown(&balance));
    assert_eq!((status, &balances[0]["currency_code"]), (200, &json!("BCH")));
}
