//! The protocol in virtual time: answers and limits of each product, what topics carry, REST.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::{Mono, Stamp, UnixNanos};
use crate::sim::venue::{Asked, Reply, Session as _, Venue as _};

mod account;

const START_MS: u64 = 1_795_262_437_000;
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

struct Bench {
    venue: Venue,
    session: Session,
    now: Stamp,
    refused: &'static str,
}

fn at(ms: u64) -> Stamp {
    Stamp { mono: Mono(1_000_000_000 + ms * 1_000_000), wall: UnixNanos::from_ms(START_MS + ms) }
}

impl Bench {
    fn new(category: Category) -> Self {
        let now = at(0);
        let venue = Venue::new(9, 100, &[], Settings::default(), now);
        Self { venue, session: Session::new(category, "conn-1".to_owned(), now.mono), now, refused: "" }
    }

    fn ask(&mut self, text: &str) -> Vec<Value> {
        let refused = self.refused;
        let replies = self.session.on_text(text, self.now, &mut self.venue, &mut |topic| topic == refused);
        let json = |reply| match reply {
            Reply::Control(text) | Reply::Pong(text) => serde_json::from_str(&text).unwrap(),
            Reply::Data(message) => serde_json::from_slice(&message.text).unwrap(),
            Reply::Close(code, _) => panic!("closed with {code}"),
            Reply::Ping(_) => panic!("a ping frame"),
        };
        replies.into_iter().map(json).collect()
    }

    fn subscribe(&mut self, topics: &[&str]) -> Vec<Value> {
        self.ask(&json!({"op": "subscribe", "args": topics}).to_string())
    }

    /// Lets time pass and collects what the connection gets.
    fn run(&mut self, ms: u64) -> Vec<Value> {
        let mut out = Vec::new();
        for _ in 0..ms / 10 {
            self.now = at((self.now.mono.0 - 1_000_000_000) / 1_000_000 + 10);
            let mut published = Vec::new();
            self.venue.tick(self.now, &mut published);
            let wanted = published.iter().filter(|message| self.session.wants(message));
            out.extend(wanted.map(|message| serde_json::from_slice::<Value>(&message.text).unwrap()));
        }
        out
    }

    fn rest(&mut self, path: &str, query: &str) -> Value {
        let (status, body) = answer(&mut self.venue, &Asked::get(path, query, HOME), self.now);
        assert_eq!(status, 200);
        serde_json::from_str(&body).unwrap()
    }
}

fn of<'a>(messages: &'a [Value], topic: &str) -> Vec<&'a Value> {
    messages.iter().filter(|message| message["topic"] == topic).collect()
}

#[test]
fn pongs_of_each_product() {
    let pong = |category, request: &str| Bench::new(category).ask(request).remove(0);
    let (plain, named) = (r#"{"op":"ping"}"#, r#"{"req_id":"5","op":"ping"}"#);
    let spot = json!({"success": true, "ret_msg": "pong", "conn_id": "conn-1", "op": "ping"});
    assert_eq!(pong(Category::Spot, plain), spot);
    assert_eq!(pong(Category::Spot, named)["req_id"], "5");
    assert_eq!(pong(Category::Linear, plain)["req_id"], "");
    assert_eq!(pong(Category::Inverse, named)["req_id"], "5");
    assert_eq!(pong(Category::Option, plain), json!({"args": [START_MS.to_string()], "op": "pong"}));
}

#[test]
fn acknowledgements_of_each_product() {
    let ack = |category, topic: &str| Bench::new(category).subscribe(&[topic]).remove(0);
    let spot = json!({"success": true, "ret_msg": "subscribe", "conn_id": "conn-1", "op": "subscribe"});
    assert_eq!(ack(Category::Spot, "orderbook.50.BTCUSDT"), spot);
    let linear = json!({"success": true, "ret_msg": "", "conn_id": "conn-1", "req_id": "", "op": "subscribe"});
    assert_eq!(ack(Category::Linear, "orderbook.50.BTCUSDT"), linear);
    let option = ack(Category::Option, "orderbook.25.BTC-26MAR27-60000-C-USDT");
    assert_eq!(option["type"], "COMMAND_RESP");
    assert_eq!(option["data"], json!({"failTopics": [], "successTopics": ["orderbook.25.BTC-26MAR27-60000-C-USDT"]}));
}

#[test]
fn one_bad_topic_fails_the_whole_request_except_on_options() {
    for category in [Category::Spot, Category::Linear] {
        let mut bench = Bench::new(category);
        let answer = bench.subscribe(&["orderbook.50.BTCUSDT", "orderbook.500.ETHUSDT"]);
        assert_eq!(answer.len(), 1);
        assert_eq!(answer[0]["success"], false);
        assert_eq!(answer[0]["ret_msg"], "error:handler not found,topic:orderbook.500.ETHUSDT");
        assert!(bench.run(500).is_empty());
    }
    let mut bench = Bench::new(Category::Option);
    let answer = bench.subscribe(&["orderbook.25.NOTHING", "publicTrade.BTC"]);
    assert_eq!(
        answer[0]["data"],
        json!({"failTopics": ["orderbook.25.NOTHING"], "successTopics": ["publicTrade.BTC"]})
    );
    assert!(!of(&bench.run(2_000), "publicTrade.BTC").is_empty());
}

#[test]
fn limits_and_errors() {
    let mut bench = Bench::new(Category::Spot);
    let eleven: Vec<String> = (0..11).map(|n| format!("orderbook.50.S{n}")).collect();
    let eleven: Vec<&str> = eleven.iter().map(String::as_str).collect();
    assert_eq!(bench.subscribe(&eleven)[0]["ret_msg"], "args size >10");
    assert_eq!(bench.subscribe(&["tickers.BTCUSDT"])[0]["success"], true);
    let again = bench.subscribe(&["tickers.BTCUSDT"]).remove(0);
    assert_eq!(again["ret_msg"], "error:already subscribed,topic:tickers.BTCUSDT");
    assert_eq!(again["success"], false);

    let mut bench = Bench::new(Category::Linear);
    let long = "x".repeat(21_001);
    assert_eq!(bench.subscribe(&[&long])[0]["success"], false);
    for bad in ["nonsense", "[]", r#"{"op":"dance"}"#, r#"{"op":"subscribe","args":[1]}"#] {
        assert_eq!(bench.ask(bad)[0]["success"], false, "{bad}");
    }
    bench.refused = "orderbook.50.BTCUSDT";
    let refused = bench.subscribe(&["orderbook.50.BTCUSDT"]).remove(0);
    assert_eq!(refused["ret_msg"], "error:handler not found,topic:orderbook.50.BTCUSDT");
}

#[test]
fn unsubscribing_ends_a_topic_and_frees_its_characters() {
    let mut bench = Bench::new(Category::Linear);
    let topic = "orderbook.50.BTCUSDT";
    for _ in 0..2_000 {
        assert_eq!(bench.subscribe(&[topic]).len(), 2);
        assert_eq!(bench.ask(&json!({"op": "unsubscribe", "args": [topic]}).to_string())[0]["success"], true);
    }
    assert!(bench.run(1_000).is_empty());
}

#[test]
fn key_order_and_spelling_differ_between_products() {
    let text = |category, topic: &str| {
        let mut bench = Bench::new(category);
        let request = json!({"op": "subscribe", "args": [topic]}).to_string();
        let mut replies = bench.session.on_text(&request, bench.now, &mut bench.venue, &mut |_| false);
        match replies.pop() {
            Some(Reply::Data(message)) => String::from_utf8(message.text.to_vec()).unwrap(),
            other => panic!("no snapshot: {other:?}"),
        }
    };
    let spot = text(Category::Spot, "orderbook.50.BTCUSDT");
    assert!(spot.starts_with(r#"{"topic":"orderbook.50.BTCUSDT","ts":1795262437000,"type":"snapshot","data":{"s":"#));
    let linear = text(Category::Linear, "orderbook.50.BTCUSDT");
    assert!(linear.starts_with(r#"{"topic":"orderbook.50.BTCUSDT","type":"snapshot","ts":1795262437000,"data":"#));
    assert!(linear.ends_with(r#"},"cts":1795262436998}"#), "cts is not at the top");
    assert!(linear.contains(r#"["60620.00","#) && spot.contains(r#"["60620","#));
    assert!(text(Category::Linear, "orderbook.1.BTCUSDT").starts_with(r#"{"topic":"orderbook.1.BTCUSDT","ts":"#));
}

#[test]
fn a_quiet_level_1_book_is_repeated_with_the_same_id() {
    let mut bench = Bench::new(Category::Linear);
    bench.venue = Venue::new(9, 0, &[], Settings::default(), bench.now);
    let first = bench.subscribe(&["orderbook.1.BTCUSDT"]).remove(1);
    let repeats = bench.run(7_000);
    assert_eq!(repeats.len(), 2);
    for repeat in &repeats {
        assert_eq!(repeat["type"], "snapshot");
        assert_eq!(repeat["data"]["u"], first["data"]["u"]);
    }
}

#[test]
fn a_restart_begins_again_at_one() {
    let mut bench = Bench::new(Category::Linear);
    bench.subscribe(&["orderbook.50.BTCUSDT"]);
    bench.run(500);
    let mut out = Vec::new();
    bench.venue.restart("linear", "orderbook.50.BTCUSDT", bench.now, &mut out);
    let snapshot: Value = serde_json::from_slice(&out[0].text).unwrap();
    assert_eq!((&snapshot["type"], &snapshot["data"]["u"]), (&json!("snapshot"), &json!(1)));
    assert_eq!(bench.run(500)[0]["data"]["u"], 2);
}

#[test]
fn the_full_book_is_joined_through_rest() {
    let mut bench = Bench::new(Category::Spot);
    assert_eq!(bench.subscribe(&["orderbook.full.BTCUSDT"]).len(), 1, "no snapshot on subscribing");
    let deltas = bench.run(2_000);
    assert!(deltas.iter().all(|delta| delta["type"] == "delta"));
    let last = &deltas.last().unwrap()["data"];
    let image = bench.rest("/v5/market/full_orderbook", "category=spot&symbol=BTCUSDT");
    assert_eq!(image["result"]["u"], last["u"]);
    assert_eq!(image["result"]["seq"], last["seq"]);
    assert!(image["result"]["b"].as_array().unwrap().len() >= 500);
    assert_eq!(bench.run(1_000)[0]["data"]["u"], last["u"].as_u64().unwrap() + 1);
}

#[test]
fn tickers_merge_on_contracts_and_are_whole_elsewhere() {
    let mut bench = Bench::new(Category::Linear);
    let mut ticker = bench.subscribe(&["tickers.BTCUSDT"]).remove(1)["data"].clone();
    let all = ticker.as_object().unwrap().len();
    let changes = bench.run(3_000);
    assert!(changes.len() > 5);
    for change in &changes {
        assert_eq!(change["type"], "delta");
        let fields = change["data"].as_object().unwrap();
        assert!(fields.len() < all, "a delta has every key");
        ticker.as_object_mut().unwrap().extend(fields.clone());
    }
    let rest = bench.rest("/v5/market/tickers", "category=linear&symbol=BTCUSDT");
    for (name, value) in rest["result"]["list"][0].as_object().unwrap() {
        assert_eq!(&ticker[name], value, "{name}");
    }
    let mut spot = Bench::new(Category::Spot);
    assert!(spot.subscribe(&["tickers.BTCUSDT"])[1]["data"].get("bid1Price").is_none());
    assert!(spot.run(3_000).iter().all(|message| message["type"] == "snapshot"));
}

#[test]
fn trades_candles_and_liquidations() {
    let mut bench = Bench::new(Category::Linear);
    bench.subscribe(&["publicTrade.BTCUSDT", "kline.1.BTCUSDT", "allLiquidation.BTCUSDT"]);
    let messages = bench.run(90_000);
    let trades = of(&messages, "publicTrade.BTCUSDT");
    assert!(trades.iter().any(|message| message["data"].as_array().unwrap().len() > 1));
    let trade = &trades[0]["data"][0];
    assert!(["T", "s", "S", "v", "p", "L", "i", "BT", "RPI", "seq"].iter().all(|key| !trade[key].is_null()));
    let candles = of(&messages, "kline.1.BTCUSDT");
    let confirmed: Vec<_> = candles.iter().filter(|c| c["data"][0]["confirm"] == true).collect();
    assert_eq!(confirmed.len(), 2, "90 s from :37 on close two minutes, once each");
    assert_eq!(confirmed[0]["data"][0]["end"], 1_795_262_459_999_u64);
    assert!(!of(&messages, "allLiquidation.BTCUSDT").is_empty());

    let recent = bench.rest("/v5/market/recent-trade", "category=linear&symbol=BTCUSDT&limit=1");
    let last = trades.last().unwrap()["data"].as_array().unwrap().last().unwrap();
    assert_eq!(recent["result"]["list"][0]["execId"], last["i"]);
    let kline = bench.rest("/v5/market/kline", "category=linear&symbol=BTCUSDT&interval=1&limit=3");
    let list = kline["result"]["list"].as_array().unwrap();
    assert_eq!(list.len(), 3);
    assert_eq!(list[1][4], confirmed[1]["data"][0]["close"], "newest first, the last one unfinished");
}

#[test]
fn instruments_are_paged_except_on_spot() {
    let mut bench = Bench::new(Category::Linear);
    let (mut cursor, mut symbols, mut pages) = (String::new(), Vec::new(), 0);
    loop {
        let query = format!("category=linear&limit=5&cursor={cursor}");
        let page = bench.rest("/v5/market/instruments-info", &query)["result"].clone();
        symbols.extend(page["list"].as_array().unwrap().iter().map(|i| i["symbol"].as_str().unwrap().to_owned()));
        pages += 1;
        cursor = page["nextPageCursor"].as_str().unwrap().to_owned();
        if cursor.is_empty() {
            break;
        }
        assert!(cursor.contains("%3D"));
    }
    assert_eq!((pages, symbols.len()), (4, 18));
    assert!(symbols.contains(&"BTCUSDT".to_owned()) && symbols.contains(&"BTCPERP".to_owned()));
    let spot = bench.rest("/v5/market/instruments-info", "category=spot&limit=5");
    assert_eq!(spot["result"]["list"].as_array().unwrap().len(), 12);
    assert_eq!(spot["result"]["list"][0]["lotSizeFilter"]["basePrecision"], "0.000001");
}

#[test]
fn rest_errors_and_books() {
    let mut bench = Bench::new(Category::Linear);
    assert_eq!(bench.rest("/v5/market/time", "")["result"]["timeSecond"], (START_MS / 1_000).to_string());
    for (path, query) in [
        ("/v5/market/orderbook", "category=linear&symbol=NOPE"),
        ("/v5/market/orderbook", "category=moon&symbol=BTCUSDT"),
        ("/v5/market/orderbook", "category=linear&symbol=BTCUSDT&limit=5000"),
        ("/v5/market/instruments-info", "category=spot&symbol=NOPE"),
        ("/v5/market/kline", "category=linear&symbol=BTCUSDT&interval=7"),
    ] {
        assert_eq!(bench.rest(path, query)["retCode"], 10_001, "{path}?{query}");
    }
    assert_eq!(bench.rest("/v5/market/nothing", "")["retCode"], 10_017);
    let default = |bench: &mut Bench, category| {
        let book = bench.rest("/v5/market/orderbook", &format!("category={category}&symbol=BTCUSDT"));
        book["result"]["b"].as_array().unwrap().len()
    };
    assert_eq!((default(&mut bench, "spot"), default(&mut bench, "linear")), (1, 25));
    bench.subscribe(&["orderbook.1000.BTCUSDT"]);
    let last = bench.run(500).pop().unwrap();
    let rest = bench.rest("/v5/market/orderbook", "category=linear&symbol=BTCUSDT");
    assert_eq!(rest["result"]["u"], last["data"]["u"]);
}

#[test]
fn an_idle_connection_has_ten_minutes() {
    let mut session = Session::new(Category::Linear, String::new(), at(0).mono);
    assert_eq!(session.idle().0.since(at(0).mono), Duration::from_secs(600));
    session.touch(at(5_000).mono);
    assert_eq!(session.idle().0.since(at(0).mono), Duration::from_secs(605));
}

#[test]
fn the_rate_is_kept_and_a_late_tick_catches_up() {
    let mut bench = Bench::new(Category::Linear);
    bench.subscribe(&["orderbook.200.BTCUSDT"]);
    let messages = bench.run(10_000).len();
    assert!((950..=1_001).contains(&messages), "{messages} messages in 10 s at 100 a second");
    let mut out = Vec::new();
    bench.now = at(12_000);
    bench.venue.tick(bench.now, &mut out);
    assert!((180..=201).contains(&out.len()));
}
