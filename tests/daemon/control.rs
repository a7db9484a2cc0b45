//! Feeds and streams that come and go at run time, over the control socket of the real program.

use std::time::Duration;

use serde_json::{Value, json};
use tickbus::client::request;
use tickbus::io::zmq::{Kind, ZmqLimits, connect};
use tickbus::sim::Depth;
use tickbus::zmtp::ClientSecurity;
use tokio::time::Instant;

use crate::gateway::{DEADLINE, Gateway, config, feed, file_of, until, venue};
use crate::set_venue::SetVenue;
use crate::watcher::Watcher;

const DEPTH: Depth = Depth::Levels(50);

fn states(answer: &Value) -> Vec<&str> {
    answer["streams"].as_array().unwrap().iter().map(|stream| stream["state"].as_str().unwrap()).collect()
}

fn code(answer: &Value) -> &str {
    assert_eq!(answer["ok"], false, "{answer}");
    assert!(answer["error"].as_str().is_some_and(|error| !error.is_empty()), "{answer}");
    answer["code"].as_str().unwrap()
}

#[tokio::test]
async fn a_feed_is_opened_subscribed_read_and_closed() {
    let venue = venue(300, &[]).await;
    let feeds = json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:50"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher =
        Watcher::new(&gateway, &venue, "spot", DEPTH, &["book.bybit.spot.", "status.bybit.spot.", "trade."]);
    let open = json!({"op": "open", "name": "x", "venue": "bybit", "market": "spot", "url": venue.url("spot")});
    let opened = gateway.ask(open.clone()).await;
    assert_eq!((&opened["ok"], &opened["existed"], &opened["name"]), (&json!(true), &json!(false), &json!("x")));
    assert_eq!(gateway.ask(open.clone()).await["existed"], true, "the same again is no error");
    let mut other = open.clone();
    other["publish"] = json!({"book_depth": 5});
    assert_eq!(code(&gateway.ask(other).await), "exists");
    let subscribe = json!({
        "op": "subscribe", "feed": "x", "symbols": ["BTCUSDT", "ETHUSDT"], "channels": ["book:50", "trade"], "client": "me",
    });
    let answer = gateway.ask(subscribe.clone()).await;
    assert_eq!((&answer["ok"], states(&answer)), (&json!(true), vec!["subscribed"; 4]), "{answer}");
    watcher.until_true(&["BTCUSDT", "ETHUSDT"], 20).await;
    watcher.until("a trade", |watcher| watcher.last.contains_key("trade.bybit.spot.BTCUSDT.")).await;
    let again = gateway.ask(subscribe).await;
    assert_eq!(states(&again), ["subscribed"; 4], "the same again changes nothing: {again}");
    let trades = json!({"op": "get", "channel": "trade", "feed": "x", "symbol": "BTCUSDT", "n": 3});
    let got = gateway.ask(trades).await;
    assert!(got["values"].as_array().is_some_and(|values| (1..=3).contains(&values.len())), "{got}");
    let book = gateway.ask(json!({"op": "get", "topic": "book.bybit.spot.ETHUSDT."})).await;
    assert_eq!((&book["value"]["type"], &book["value"]["symbol"]), (&json!("book"), &json!("ETHUSDT")), "{book}");
    let closed = gateway.ask(json!({"op": "close", "name": "x"})).await;
    assert_eq!(closed["ok"], true, "{closed}");
    let down = |symbol: &'static str| {
        move |watcher: &Watcher| watcher.told_of(symbol, 0).last().is_some_and(|told| told == "down shutdown")
    };
    watcher.until("down", down("BTCUSDT")).await;
    watcher.until("the feed is down", down("")).await;
    assert_eq!(code(&gateway.ask(json!({"op": "close", "name": "x"})).await), "unknown_feed");
    assert_eq!(code(&gateway.ask(json!({"op": "get", "topic": "book.bybit.spot.ETHUSDT."})).await), "not_found");
    let (_, kept) = gateway.ctl(&["topics"]).await;
    let of_feed = kept["topics"].as_array().unwrap().iter().filter(|topic| topic.as_str().unwrap().contains(".spot."));
    assert_eq!(of_feed.count(), 0, "{kept}");
    // Opened again within the run, its sequences go on after those that subscribers know.
    let before = watcher.last["book.bybit.spot.BTCUSDT."]["seq"].as_u64().unwrap();
    let mut open = open;
    open["symbols"] = json!(["BTCUSDT"]);
    open["channels"] = json!(["book:50"]);
    assert_eq!(gateway.ask(open).await["streams"], 1);
    watcher
        .until("a later book", |watcher| watcher.last["book.bybit.spot.BTCUSDT."]["seq"].as_u64() > Some(before))
        .await;
}

#[tokio::test]
async fn a_stream_is_left_when_nobody_wishes_it_and_refusals_are_told() {
    let venue = SetVenue::start().await;
    let feed = json!({
        "venue": "bybit", "market": "linear", "symbols": ["AUSDT"], "channels": ["trade"], "url": venue.url,
    });
    let gateway = Gateway::start(&config(&json!({"a": feed}))).await;
    let ask = async |op: &str, client: &str, symbol: &str, channel: &str| {
        let body = json!({"op": op, "feed": "a", "symbol": symbol, "channel": channel, "client": client});
        gateway.ask(body).await
    };
    for client in ["one", "two", "two"] {
        assert_eq!(states(&ask("subscribe", client, "BUSDT", "ticker").await), ["subscribed"]);
    }
    assert_eq!(states(&ask("unsubscribe", "one", "BUSDT", "ticker").await), ["kept"]);
    assert_eq!(states(&ask("unsubscribe", "one", "BUSDT", "ticker").await), ["kept"], "that was not its wish any more");
    assert!(venue.topics().contains("tickers.BUSDT"));
    assert_eq!(states(&ask("unsubscribe", "two", "BUSDT", "ticker").await), ["unsubscribed"]);
    assert!(!venue.topics().contains("tickers.BUSDT"), "answered when the venue has left it");
    assert_eq!(states(&ask("unsubscribe", "two", "BUSDT", "ticker").await), ["unsubscribed"]);
    // What the config wishes stays, whoever asks.
    assert_eq!(states(&ask("subscribe", "one", "AUSDT", "trade").await), ["subscribed"]);
    assert_eq!(states(&ask("unsubscribe", "one", "AUSDT", "trade").await), ["kept"]);
    // The venue's own name of a channel says its symbol.
    let own = json!({"op": "subscribe", "feed": "a", "channels": ["tickers.CUSDT"], "client": "one"});
    assert_eq!(states(&gateway.ask(own).await), ["subscribed"]);
    assert!(venue.topics().contains("tickers.CUSDT"));

    let refused = ask("subscribe", "one", "NONEUSDT", "trade").await;
    assert_eq!((code(&refused), states(&refused)), ("rejected", vec!["rejected"]), "{refused}");
    assert!(refused["error"].as_str().unwrap().contains("NONEUSDT trade"), "{refused}");
    let status = gateway.ask(json!({"op": "status", "feed": "a"})).await;
    assert_eq!(status["feeds"][0]["streams"], 2, "a refused wish is dropped again: {status}");

    for (body, wanted) in [
        (json!({"op": "subscribe", "feed": "b", "symbol": "A", "channel": "trade"}), "unknown_feed"),
        (json!({"op": "subscribe", "feed": "a", "symbol": "a b", "channel": "trade"}), "bad_request"),
        (json!({"op": "subscribe", "feed": "a", "symbol": "AUSDT", "channel": "trades"}), "bad_request"),
        (json!({"op": "subscribe", "feed": "a", "symbol": "AUSDT"}), "bad_request"),
        (json!({"op": "subscribe", "feed": "a", "channel": "trade"}), "bad_request"),
        (json!({"op": "subscribe", "feed": "a", "symbol": 7, "channel": "trade"}), "bad_request"),
        (
            json!({"op": "subscribe", "feed": "a", "symbol": "A", "channel": "trade", "within_ms": 90_000}),
            "bad_request",
        ),
        (json!({"op": "subscribe", "feed": "a", "symbol": "A", "channel": "trade", "clent": "x"}), "bad_request"),
        (json!({"op": "subscribe", "feed": "a", "symbol": "A", "channel": "trade", "client": ""}), "bad_request"),
        (json!({"op": "open", "name": "X Y", "venue": "bybit", "market": "spot"}), "bad_request"),
        (json!({"op": "open", "name": "x", "venue": "bybitt", "market": "spot"}), "bad_request"),
        (json!({"op": "open", "name": "x", "venue": "bybit", "market": "spot", "nonsense": 1}), "bad_request"),
        (json!({"op": "open", "venue": "bybit", "market": "spot"}), "bad_request"),
        (json!({"op": "get", "channel": "delta", "feed": "a", "symbol": "AUSDT"}), "bad_request"),
        (json!({"op": "get", "channel": "trade", "feed": "a", "symbol": "ZUSDT"}), "not_found"),
        (json!({"op": "get", "channel": "trade", "feed": "a", "symbol": "ZUSDT", "n": 0}), "bad_request"),
        (json!({"op": "clear"}), "bad_request"),
        (json!({"op": "explode"}), "unknown_op"),
        (json!({"op": "feeds", "x": 1}), "bad_request"),
    ] {
        let answer = gateway.ask(body.clone()).await;
        assert_eq!(code(&answer), wanted, "{body} {answer}");
    }
}

#[tokio::test]
async fn a_topic_has_one_source_at_run_time_too() {
    let venue = SetVenue::start().await;
    let settings = |symbol: &str| json!({"venue": "bybit", "market": "linear", "symbols": [symbol], "channels": ["book:50"], "url": venue.url});
    let gateway = Gateway::start(&config(&json!({"a": settings("AUSDT"), "b": settings("BUSDT")}))).await;
    let subscribe = |feed: &str, symbol: &str, channel: &str| json!({"op": "subscribe", "feed": feed, "symbol": symbol, "channel": channel, "client": "me", "within_ms": 0});
    let taken = gateway.ask(subscribe("b", "AUSDT", "trade")).await;
    assert!(code(&taken) == "conflict" && taken["error"].as_str().unwrap().contains("feed a"), "{taken}");
    let second = gateway.ask(subscribe("a", "AUSDT", "book:200")).await;
    assert!(code(&second) == "conflict" && second["error"].as_str().unwrap().contains("book:50"), "{second}");
    let mut open = settings("BUSDT");
    open["op"] = json!("open");
    open["name"] = json!("c");
    assert_eq!(code(&gateway.ask(open).await), "conflict");
    assert_eq!(gateway.ask(subscribe("b", "CUSDT", "trade")).await["ok"], true);
    assert_eq!(code(&gateway.ask(subscribe("a", "CUSDT", "ticker")).await), "conflict");
    let leave = json!({"op": "unsubscribe", "feed": "b", "symbol": "CUSDT", "channel": "trade", "client": "me"});
    assert_eq!(gateway.ask(leave).await["ok"], true);
    assert_eq!(gateway.ask(subscribe("a", "CUSDT", "ticker")).await["ok"], true, "it is free now");
    // With the feed its symbols are free.
    assert_eq!(gateway.ask(json!({"op": "close", "name": "b"})).await["ok"], true);
    assert_eq!(gateway.ask(subscribe("a", "BUSDT", "trade")).await["ok"], true);
    assert_eq!(gateway.ask(json!({"op": "feeds"})).await["feeds"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_wish_without_a_name_belongs_to_its_connection_and_then_to_nobody() {
    let venue = SetVenue::start().await;
    let gateway = Gateway::start(&config(&json!({"a": {
        "venue": "bybit", "market": "linear", "symbols": ["AUSDT"], "channels": ["trade"], "url": venue.url,
    }})))
    .await;
    let body = |op: &str| json!({"op": op, "feed": "a", "symbol": "BUSDT", "channel": "trade"}).to_string();
    let limits = ZmqLimits::default();
    let mut first = connect(&gateway.control, Kind::Dealer, &ClientSecurity::Null, limits).await.unwrap();
    first.send(&[b"", body("subscribe").as_bytes()]).await.unwrap();
    first.receive().await.unwrap();
    let by = async || gateway.ask(json!({"op": "status", "feed": "a"})).await["feeds"][0]["wishes"][1]["by"].clone();
    assert!(by().await[0]["connection"].is_u64());
    let second = request(&gateway.control, &body("unsubscribe"), DEADLINE).await.unwrap();
    assert_eq!(states(&serde_json::from_slice(&second[0]).unwrap()), ["kept"], "that connection is still there");
    drop(first);
    let start = Instant::now();
    while by().await != json!([{}]) {
        assert!(start.elapsed() < DEADLINE);
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    assert!(venue.topics().contains("publicTrade.BUSDT"), "the wish stays");
    let third = request(&gateway.control, &body("unsubscribe"), DEADLINE).await.unwrap();
    assert_eq!(states(&serde_json::from_slice(&third[0]).unwrap()), ["unsubscribed"]);
    until("left", || !venue.topics().contains("publicTrade.BUSDT")).await;
}

#[tokio::test]
async fn a_command_waits_for_the_venue_no_longer_than_it_may() {
    // Nobody listens there.
    let feed = json!({
        "venue": "bybit", "market": "linear", "symbols": ["AUSDT"], "channels": ["trade"], "url": "ws://127.0.0.1:9",
    });
    let gateway = Gateway::start(&config(&json!({"a": feed}))).await;
    let asked = Instant::now();
    let answer = gateway
        .ask(json!({"op": "subscribe", "feed": "a", "symbol": "BUSDT", "channel": "trade", "within_ms": 300, "client": "me"}))
        .await;
    assert_eq!((&answer["ok"], states(&answer)), (&json!(true), vec!["pending"]), "{answer}");
    assert!((Duration::from_millis(300)..Duration::from_secs(4)).contains(&asked.elapsed()), "{:?}", asked.elapsed());
    let (code, answer) = gateway.ctl(&["--client", "me", "unsubscribe", "a", "channel=trade", "symbol=BUSDT"]).await;
    assert_eq!((code, states(&answer)), (0, vec!["unsubscribed"]), "{answer}");
}

#[tokio::test]
async fn the_config_is_read_again_and_what_can_change_does() {
    let venue = SetVenue::start().await;
    let feed = |symbols: &[&str]| json!({"venue": "bybit", "market": "linear", "symbols": symbols, "channels": ["trade"], "url": venue.url});
    let mut written = config(&json!({"a": feed(&["AUSDT", "BUSDT"]), "b": feed(&["DUSDT"])}));
    let file = file_of(&written);
    let path = file.path().to_str().unwrap().to_owned();
    let mut gateway = Gateway::launch(&["run", "--config", &path], "Gateway started").await;
    let wish =
        json!({"op": "subscribe", "feed": "a", "symbol": "BUSDT", "channel": "trade", "client": "me", "within_ms": 0});
    assert_eq!(gateway.ask(wish).await["ok"], true);
    written["feeds"] = json!({"a": feed(&["AUSDT", "CUSDT"]), "c": feed(&["DUSDT"])});
    written["bus"]["queue_frames"] = json!(20_000);
    let good = written.clone();
    std::fs::write(&path, "{\"feeds\": {\"a\": {\"venue\": \"nowhere\"}}}").unwrap();
    let refused = gateway.ask(json!({"op": "reload"})).await;
    assert_eq!(code(&refused), "bad_request");
    assert!(refused["problems"].as_array().unwrap().len() >= 3, "all of them: {refused}");
    std::fs::write(&path, good.to_string()).unwrap();
    let answer = gateway.ask(json!({"op": "reload"})).await;
    let expected = json!([{"feed": "a", "subscribed": ["CUSDT trade"], "unsubscribed": ["BUSDT trade"]}]);
    assert_eq!(
        (&answer["added"], &answer["removed"], &answer["changed"], &answer["restart"]),
        (&json!(["c"]), &json!(["b"]), &expected, &json!(["bus.queue_frames"])),
        "{answer}"
    );
    let status = gateway.ask(json!({"op": "status", "feed": "a"})).await;
    let symbols: Vec<&str> =
        status["feeds"][0]["wishes"].as_array().unwrap().iter().map(|wish| wish["symbol"].as_str().unwrap()).collect();
    assert_eq!(symbols, ["AUSDT", "BUSDT", "CUSDT"], "a client still wishes for B: {status}");
    // A symbol that a client has elsewhere cannot be the config's.
    written["feeds"]["c"]["symbols"] = json!(["DUSDT", "BUSDT"]);
    std::fs::write(&path, written.to_string()).unwrap();
    let conflict = gateway.ask(json!({"op": "reload"})).await;
    assert!(conflict["error"].as_str().unwrap().contains("feed a"), "{conflict}");
    // SIGHUP does the same.
    written["feeds"] = json!({"a": feed(&["AUSDT"])});
    std::fs::write(&path, written.to_string()).unwrap();
    gateway.signal("HUP");
    gateway.logged_where(|line| line["message"] == "Feed closed" && line["feed"] == "c").await;
    let feeds = gateway.ask(json!({"op": "feeds"})).await;
    assert_eq!(feeds["feeds"].as_array().unwrap().len(), 1, "{feeds}");
}

#[tokio::test]
async fn a_token_is_demanded_and_rates_are_limited() {
    let venue = SetVenue::start().await;
    let feed = json!({
        "venue": "bybit", "market": "linear", "symbols": ["AUSDT"], "channels": ["trade"], "url": venue.url,
    });
    let token = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(token.path(), "swordfish swordfish\n").unwrap();
    let mut config = config(&json!({"a": feed}));
    config["control"]["token"] = json!({"file": token.path()});
    config["control"]["max_per_second"] = json!(20);
    let gateway = Gateway::start(&config).await;
    for wrong in [json!({"op": "feeds"}), json!({"op": "feeds", "token": "swordfish"}), json!("nonsense")] {
        let asked = Instant::now();
        let answer = gateway.ask(wrong).await;
        assert_eq!(code(&answer), "denied");
        assert!(asked.elapsed() >= Duration::from_millis(500), "{:?}", asked.elapsed());
        assert!(!answer.to_string().contains("swordfish"), "{answer}");
    }
    assert_eq!(gateway.ask(json!({"op": "feeds", "token": "swordfish swordfish"})).await["ok"], true);
    let by_file = gateway.ctl(&["--token-file", token.path().to_str().unwrap(), "feeds"]).await;
    assert_eq!(by_file.0, 0, "{}", by_file.1);
    assert_eq!(gateway.ctl(&["feeds"]).await.0, 1);
    // The snapshot socket only reads, and needs none.
    assert_eq!(gateway.stats().await["ok"], true);
    let limits = ZmqLimits::default();
    let mut greedy = connect(&gateway.control, Kind::Dealer, &ClientSecurity::Null, limits).await.unwrap();
    let body = json!({"op": "topics", "token": "swordfish swordfish"}).to_string();
    let mut limited = 0;
    for _ in 0..100 {
        greedy.send(&[b"", body.as_bytes()]).await.unwrap();
        let answer: Value = serde_json::from_slice(greedy.receive().await.unwrap().last().unwrap()).unwrap();
        limited += usize::from(answer["ok"] == false && code(&answer) == "limited");
    }
    assert!((1..=60).contains(&limited), "{limited} of 100 were limited");
    let log = format!("{:?}", gateway.log());
    assert!(!log.contains("swordfish"), "the token is in the log");
}

#[tokio::test]
async fn credentials_may_be_given_as_text_and_are_told_nowhere() {
    let venue = SetVenue::start().await;
    let gateway = Gateway::start(&config(&json!({"a": {
        "venue": "bybit", "market": "linear", "symbols": ["AUSDT"], "channels": ["trade"], "url": venue.url,
    }})))
    .await;
    let open = |credentials: Value| {
        json!({"op": "open", "name": "mine", "venue": "bybit", "market": "spot", "url": "ws://127.0.0.1:9",
               "credentials": credentials})
    };
    for (wrong, place) in [
        (json!({"key": "opensesame"}), "credentials.secret"),
        (json!({"key": {"env": "NOT_THERE_AT_ALL"}, "secret": "opensesame"}), "credentials.key"),
        (json!({"key": 7, "secret": "opensesame"}), "credentials.key: expected a text"),
        (json!({"key": "a", "secret": ["opensesame"]}), "credentials.secret: expected a text"),
        (json!({"key": "a", "secret": {"opensesame": "opensesame"}}), "credentials.secret: expected a text"),
        (json!({"key": "a", "secret": "opensesame\nopensesame"}), "credentials.secret: the text has several lines"),
        (json!({"key": ["opensesame"], "secret": {"env": ["opensesame"]}}), "credentials.key: expected {\"env\""),
        (json!({"key": "a", "secret": "opensesame", "more": "opensesame"}), "credentials"),
        (json!("opensesame"), "credentials"),
    ] {
        let answer = gateway.ask(open(wrong.clone())).await;
        assert_eq!(code(&answer), "bad_request", "{wrong} {answer}");
        let told = answer["error"].as_str().unwrap();
        assert!(told.contains(place) && !answer.to_string().contains("opensesame"), "{wrong} {answer}");
    }
    let good = json!({"key": "opensesame", "secret": "opensesame2", "passphrase": "opensesame3"});
    assert_eq!(gateway.ask(open(good.clone())).await["existed"], false);
    assert_eq!(gateway.ask(open(good)).await["existed"], true);
    let other = json!({"key": "opensesame", "secret": "another", "passphrase": "opensesame3"});
    assert_eq!(code(&gateway.ask(open(other)).await), "exists");
    let told = format!("{:?} {}", gateway.log(), gateway.ask(json!({"op": "status"})).await);
    assert!(!told.contains("opensesame"), "{told}");
}

#[tokio::test]
async fn the_latest_values_are_told_in_both_encodings_and_forgotten_when_asked() {
    let venue = venue(300, &[]).await;
    let channels = ["book:50", "trade", "ticker", "candle:1m"];
    let mut config = config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &channels)}));
    for encoding in ["json", "msgpack"] {
        config["bus"]["encoding"] = json!(encoding);
        let gateway = Gateway::start(&config).await;
        for (channel, kind) in [
            ("book:50", "book"),
            ("bbo", "bbo"),
            ("trade", "trade"),
            ("ticker", "ticker"),
            ("candle:1m", "candle"),
            ("candle_1m", "candle"),
            ("status", "status"),
            ("instrument", "instrument"),
        ] {
            let place =
                json!({"op": "get", "channel": channel, "venue": "bybit", "market": "linear", "symbol": "BTCUSDT"});
            let start = Instant::now();
            let got = loop {
                let got = gateway.ask(place.clone()).await;
                if got["ok"] == true {
                    break got;
                }
                assert!(code(&got) == "not_found" && start.elapsed() < DEADLINE, "{channel} {got}");
            };
            assert_eq!((&got["value"]["type"], &got["value"]["symbol"]), (&json!(kind), &json!("BTCUSDT")), "{got}");
        }
        let candles = json!({"op": "get", "channel": "candle:1m", "feed": "a", "symbol": "BTCUSDT", "n": 100});
        let candles = gateway.ask(candles).await;
        let times: Vec<u64> =
            candles["values"].as_array().unwrap().iter().map(|candle| candle["open_time"].as_u64().unwrap()).collect();
        assert!(times.is_sorted_by(|a, b| a < b), "one of each time, in order: {times:?}");
        // The market stands still while what it said is forgotten.
        let clear = gateway.ask(json!({"op": "clear", "feed": "a", "symbol": "BTCUSDT"})).await;
        assert!(clear["topics"].as_u64() >= Some(4), "{clear}");
        let status = json!({"op": "get", "channel": "status", "feed": "a", "symbol": "BTCUSDT"});
        assert_eq!(gateway.ask(status).await["ok"], true, "how things stand is not forgotten");
    }
}

#[tokio::test]
async fn a_terminals_streams_are_those_of_its_config() {
    let feed = json!({
        "venue": "quik", "market": "SPBFUT", "rpc": "tcp://127.0.0.1:9", "symbols": ["A"], "channels": ["trade"],
    });
    let gateway = Gateway::start(&config(&json!({"q": feed}))).await;
    for op in ["subscribe", "unsubscribe"] {
        let answer = gateway.ask(json!({"op": op, "feed": "q", "symbol": "B", "channel": "trade"})).await;
        assert!(code(&answer) == "unsupported" && answer["error"].as_str().unwrap().contains("terminal"), "{answer}");
    }
    let (code, answer) = gateway.ctl(&["open", "p", "venue=quik", "market=TQBR", "rpc=tcp://127.0.0.1:9"]).await;
    assert_eq!((code, &answer["existed"]), (0, &json!(false)), "{answer}");
    assert_eq!(gateway.ctl(&["close", "p"]).await.0, 0);
}

#[tokio::test]
async fn the_link_of_a_feed_is_told_with_its_state() {
    let venue = venue(100, &[]).await;
    let gateway = Gateway::start(&config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:50"])}))).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", DEPTH, &["status.", "book."]);
    let link = |watcher: &Watcher, wanted: &str| {
        watcher.last.get("status.bybit.linear..").is_some_and(|status| status["link"] == wanted)
    };
    watcher.until("connected", |watcher| link(watcher, "connected")).await;
    venue.stop().await;
    watcher.until("disconnected", |watcher| link(watcher, "disconnected")).await;
    let symbol = &watcher.last["status.bybit.linear.BTCUSDT."];
    assert!(symbol.get("link").is_none(), "a symbol has none: {symbol}");
}
