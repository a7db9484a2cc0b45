//! A venue that behaves: books equal to the truth on every market, heartbeats, encodings, retired channel names.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tickbus::sim::Depth;

use crate::gateway::{Gateway, config, feed, venue};
use crate::watcher::Watcher;

const OPTION: &str = "BTC-26MAR27-60000-C-USDT";

#[tokio::test]
async fn live_books_equal_the_truth_on_every_market() {
    let cases = [
        ("linear", vec!["BTCUSDT", "ETHUSDT"], "book:50", 50),
        ("linear", vec!["SOLUSDT"], "book:1000", 1000),
        ("spot", vec!["BTCUSDT"], "book:200", 200),
        ("inverse", vec!["BTCUSD"], "orderbook.50.BTCUSD", 50),
        ("option", vec![OPTION], "book:100", 100),
    ];
    for (market, symbols, channel, depth) in cases {
        let venue = venue(500, &[]).await;
        let feeds = json!({"a": feed(&venue, market, &symbols, &[channel, "trade", "ticker"])});
        let gateway = Gateway::start(&config(&feeds)).await;
        let mut watcher = Watcher::new(&gateway, &venue, market, Depth::Levels(depth), &[]);
        watcher.until_true(&symbols, 200).await;
        assert_eq!(watcher.unproved, 0, "{market}");
        for symbol in symbols {
            let told = watcher.told_of(symbol, 0);
            assert_eq!(told.last().unwrap(), "live", "{market} {told:?}");
            for channel in ["delta", "bbo", "trade", "ticker", "instrument"] {
                let topic = format!("{channel}.bybit.{market}.{symbol}.");
                watcher.until(&topic, |watcher| watcher.last.contains_key(&topic)).await;
            }
        }
        assert_eq!(venue.truth().connections(), 1);
    }
}

#[tokio::test]
async fn a_full_book_is_joined_through_its_rest_image() {
    let venue = venue(200, &[]).await;
    let feeds = json!({"a": feed(&venue, "spot", &["BTCUSDT"], &["book:full"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "spot", Depth::Full, &["book.", "status.", "delta."]);
    watcher.until_true(&["BTCUSDT"], 20).await;
    let whole = gateway.ctl(&["snapshot", "topic=book.bybit.spot.BTCUSDT."]).await.1;
    let levels = |side: &str| whole[side].as_array().unwrap().len();
    assert!(levels("bids") > 200 && levels("asks") > 200, "{} bids, {} asks", levels("bids"), levels("asks"));
}

#[tokio::test]
async fn a_heartbeat_comes_each_second() {
    let venue = venue(100, &[]).await;
    let feeds = json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:50"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", Depth::Levels(50), &["heartbeat."]);
    let mut beats = Vec::new();
    while beats.len() < 4 {
        let (topic, frame) = watcher.next().await;
        assert_eq!(topic, "heartbeat.");
        beats.push(frame);
    }
    for pair in beats.windows(2) {
        let at = |beat: &Value| beat["ts_pub"].as_u64().unwrap();
        let apart = (at(&pair[1]) - at(&pair[0])) / 1_000_000;
        assert!((500..1500).contains(&apart), "{apart} ms apart");
    }
    let last = beats.last().unwrap();
    assert_eq!((&last["feeds"], &last["feeds_live"], &last["dropped"]), (&json!(1), &json!(1), &json!(0)));
}

#[tokio::test]
async fn heartbeats_count_the_topics_subscribed_to_and_stats_list_who_subscribes() {
    const BOOK: &str = "book.bybit.linear.BTCUSDT.";
    let venue = venue(0, &[]).await;
    let mut config = config(&json!({"a": feed(&venue, "linear", &["BTCUSDT", "ETHUSDT"], &["book:50", "trade"])}));
    config["bus"]["bind"] = json!([{"endpoint": "tcp://127.0.0.1:0", "policy": "drop"}]);
    let gateway = Gateway::start(&config).await;
    let prefixes = ["heartbeat.", "book.", "status."];
    let mut watcher = Watcher::new(&gateway, &venue, "linear", Depth::Levels(50), &prefixes);
    watcher.until_true(&["BTCUSDT", "ETHUSDT"], 1).await;
    venue.truth().step(50);
    // The markets stand still now, and only the heartbeat tells what their last frames were.
    watcher
        .until("a heartbeat that counts the last frames", |watcher| {
            let beat = &watcher.last.get("heartbeat.").map_or(&Value::Null, |beat| &beat["topics"]);
            beat[BOOK].as_u64() > Some(1) && beat[BOOK] == watcher.last[BOOK]["seq"]
        })
        .await;
    let topics = watcher.last["heartbeat."]["topics"].as_object().unwrap();
    let names: Vec<_> = topics.keys().map(String::as_str).collect();
    let of_symbols = ["BTCUSDT", "ETHUSDT"].map(|symbol| format!("status.bybit.linear.{symbol}."));
    let [btc, eth] = &of_symbols;
    assert_eq!(names, [BOOK, "book.bybit.linear.ETHUSDT.", "status.bybit.linear..", btc, eth]);
    for (topic, seq) in topics {
        assert_eq!(&watcher.last[topic]["seq"], seq, "{topic}");
    }
    let (code, stats) = gateway.ctl(&["stats"]).await;
    let peer = &stats["peers"][0];
    assert_eq!(
        (code, &peer["policy"], &peer["subscriptions"], &peer["full"]),
        (0, &json!("drop"), &json!(3), &json!(false))
    );
    assert_eq!((&peer["dropped_frames"], &peer["lost_topics"]), (&json!(0), &json!({})), "{stats}");
    assert!(peer["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{stats}");
}

/// The latest frame of each channel, once all of them came.
async fn one_of_each(watcher: &mut Watcher) -> BTreeMap<String, Value> {
    let wanted = ["book", "delta", "bbo", "trade", "ticker", "status", "instrument", "heartbeat", "candle_1m"];
    let channel = |topic: &String| topic.split('.').next().unwrap().to_owned();
    watcher
        .until("a frame of each channel", |watcher| {
            let seen: BTreeSet<String> = watcher.last.keys().map(channel).collect();
            wanted.iter().all(|channel| seen.contains(*channel))
        })
        .await;
    watcher.last.iter().map(|(topic, frame)| (topic.clone(), frame.clone())).collect()
}

#[tokio::test]
async fn messagepack_has_the_same_fields_as_json() {
    let venue = venue(100, &[]).await;
    let channels = ["book:50", "trade", "ticker", "candle:1m"];
    let mut config = config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &channels)}));
    let mut seen = Vec::new();
    for encoding in ["json", "msgpack"] {
        config["bus"]["encoding"] = json!(encoding);
        let gateway = Gateway::start(&config).await;
        let mut watcher = Watcher::new(&gateway, &venue, "linear", Depth::Levels(50), &[]);
        watcher.until_true(&["BTCUSDT"], 20).await;
        let frames = one_of_each(&mut watcher).await;
        // A field with its kind of value; without `instrument`, which joins whenever its REST answer came.
        let kind = |value: &Value| std::mem::discriminant(value);
        let fields = |frame: &Value| -> Vec<_> {
            let fields = frame.as_object().unwrap().iter().filter(|(key, _)| *key != "instrument");
            fields.map(|(key, value)| (key.clone(), kind(value))).collect()
        };
        seen.push(frames.iter().map(|(topic, frame)| (topic.clone(), fields(frame))).collect::<BTreeMap<_, _>>());
    }
    assert_eq!(seen[0], seen[1]);
}

#[tokio::test]
async fn retired_channel_names_work_and_are_told_once() {
    let venue = venue(200, &[]).await;
    let channels = ["orderBookL2_25.BTCUSD", "trade.BTCUSD"];
    let feeds = json!({"old": feed(&venue, "inverse", &[], &channels)});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "inverse", Depth::Levels(50), &[]);
    watcher.until_true(&["BTCUSD"], 20).await;
    watcher.until("a trade", |watcher| watcher.last.contains_key("trade.bybit.inverse.BTCUSD.")).await;
    let book = &watcher.last["book.bybit.inverse.BTCUSD."];
    assert_eq!((&book["depth"], book["bids"].as_array().unwrap().len()), (&json!(25), 25));
    for channel in channels {
        let lines = gateway.log().into_iter().filter(|line| line.to_string().contains(channel)).count();
        assert_eq!(lines, 1, "{channel}");
    }
}
