//! Subscribing, answers in every product's shape, heartbeats.

use serde_json::Value;

use super::{Desk, Recorder};
use crate::model::StreamId;
use crate::venue::Input;

/// The requests among what was sent: op and topics.
fn requests(said: &Recorder) -> Vec<(String, Vec<String>)> {
    let parsed = said.sent.iter().map(|text| serde_json::from_str::<Value>(text).expect("JSON"));
    parsed
        .filter(|value| value["op"] != "ping")
        .map(|value| {
            assert!(value["req_id"].as_str().is_some_and(|id| id.parse::<u64>().is_ok()), "{value}");
            let args = value["args"].as_array().expect("args").iter();
            let args = args.map(|arg| arg.as_str().expect("a text").to_owned()).collect();
            (value["op"].as_str().expect("op").to_owned(), args)
        })
        .collect()
}

fn subscribe(args: &[&str]) -> (String, Vec<String>) {
    ("subscribe".to_owned(), args.iter().map(|arg| (*arg).to_owned()).collect())
}

#[test]
fn connecting_asks_for_everything_ten_topics_at_a_time() {
    let names: Vec<String> = (0..23).map(|n| format!("trade S{n}")).collect();
    let mut desk = Desk::new("spot", &names.iter().map(String::as_str).collect::<Vec<_>>());
    let mut asked = requests(desk.take(Input::Connected, 0.0));
    assert_eq!(asked.len(), 1, "paced");
    while asked.len() < 3 {
        let at = desk.wakes_at().expect("more to send");
        assert!(at < 1.0);
        asked.extend(requests(desk.take(Input::Timeout, at)));
    }
    assert_eq!(asked.iter().map(|(_, args)| args.len()).collect::<Vec<_>>(), [10, 10, 3]);
    let topics: Vec<_> = asked.into_iter().flat_map(|(_, args)| args).collect();
    assert_eq!(topics, (0..23).map(|n| format!("publicTrade.S{n}")).collect::<Vec<_>>());
}

#[test]
fn streams_of_one_topic_share_it() {
    let mut desk = Desk::new("linear", &["book:1 BTCUSDT", "bbo BTCUSDT"]);
    assert_eq!(requests(desk.take(Input::Connected, 0.0)), [subscribe(&["orderbook.1.BTCUSDT"])]);
    let message = r#"{"topic":"orderbook.1.BTCUSDT","type":"snapshot","ts":5,"data":{"s":"BTCUSDT","b":[["1","2"]],"a":[],"u":7,"seq":8}}"#;
    assert_eq!(desk.texts(&[message]), ["snapshot 0 7/8 [1:2] []", "snapshot 1 7/8 [1:2] []"]);
    let two = "BTC-6JAN23-17500-C";
    let mut desk = Desk::new("option", &[&format!("trade {two}"), "trade BTC-6JAN23-17500-P"]);
    assert_eq!(requests(desk.take(Input::Connected, 0.0)), [subscribe(&["publicTrade.BTC"])]);
}

#[test]
fn acknowledgements_of_every_product_are_understood() {
    for (market, ack) in [
        ("spot", r#"{"success":true,"ret_msg":"subscribe","conn_id":"c","req_id":"1","op":"subscribe"}"#),
        ("linear", r#"{"success":true,"ret_msg":"","conn_id":"c","req_id":"1","op":"subscribe"}"#),
        ("inverse", r#"{"success":true,"ret_msg":"","conn_id":"c","req_id":"","op":"subscribe"}"#),
        (
            "option",
            r#"{"success":true,"conn_id":"c","data":{"failTopics":[],"successTopics":["tickers.A-B-C-D"]},"type":"COMMAND_RESP"}"#,
        ),
    ] {
        let mut desk = Desk::new(market, &["ticker A-B-C-D"]);
        desk.take(Input::Connected, 0.0);
        assert_eq!(desk.text(ack, 0.1), ["ignored Control", "subscribed 0"], "{market}");
        assert!(desk.wakes_at().is_some_and(|at| at >= 20.0), "{market}: nothing is open but the heartbeat");
    }
}

#[test]
fn a_refused_topic_does_not_take_the_others_along() {
    let mut desk = Desk::new("linear", &["book:50 A", "book:50 B", "book:50 C"]);
    desk.take(Input::Connected, 0.0);
    let refusal = r#"{"success":false,"ret_msg":"error:handler not found,topic:orderbook.50.B","conn_id":"c","req_id":"1","op":"subscribe"}"#;
    let updates = desk.text(refusal, 0.1);
    assert_eq!(updates, ["ignored Control", "rejected 1: error:handler not found,topic:orderbook.50.B"]);
    assert_eq!(requests(&desk.said), [subscribe(&["orderbook.50.A", "orderbook.50.C"])]);
    let already =
        r#"{"success":false,"ret_msg":"error:already subscribed,topic:orderbook.50.A","req_id":"2","op":"subscribe"}"#;
    assert_eq!(desk.text(already, 0.2), ["ignored Control", "subscribed 0"]);
    assert_eq!(requests(&desk.said), [subscribe(&["orderbook.50.C"])]);
}

#[test]
fn a_refusal_without_a_name_is_narrowed_down() {
    let mut desk = Desk::new("spot", &["trade A", "trade B"]);
    desk.take(Input::Connected, 0.0);
    let refusal = |id| format!(r#"{{"success":false,"ret_msg":"args size >10","req_id":"{id}","op":"subscribe"}}"#);
    desk.text(&refusal(1), 0.1);
    assert_eq!(requests(&desk.said), [subscribe(&["publicTrade.A"])]);
    assert_eq!(requests(desk.take(Input::Timeout, 0.2)), [subscribe(&["publicTrade.B"])]);
    assert_eq!(desk.text(&refusal(3), 0.3), ["ignored Control", "rejected 1: args size >10"]);
}

#[test]
fn options_refuse_topic_by_topic() {
    let mut desk = Desk::new("option", &["ticker A-1-1-C", "ticker B-1-1-C"]);
    desk.take(Input::Connected, 0.0);
    let answer = r#"{"success":false,"conn_id":"c","data":{"failTopics":["tickers.B-1-1-C"],"successTopics":["tickers.A-1-1-C"]},"type":"COMMAND_RESP"}"#;
    assert_eq!(desk.text(answer, 0.1), ["ignored Control", "subscribed 0", "rejected 1: listed in failTopics"]);
    let mut desk = Desk::new("option", &["ticker A-1-1-C"]);
    desk.take(Input::Connected, 0.0);
    let bare = r#"{"success":false,"ret_msg":"params error","conn_id":"c","type":"COMMAND_RESP"}"#;
    assert_eq!(desk.text(bare, 0.1), ["ignored Control", "rejected 0: params error"], "a refusal without lists");
}

#[test]
fn a_resync_leaves_the_topic_and_comes_back() {
    for (market, ack) in [
        ("linear", r#"{"success":true,"ret_msg":"","req_id":"2","op":"unsubscribe"}"#),
        (
            "option",
            r#"{"success":true,"data":{"failTopics":[],"successTopics":["orderbook.100.A"]},"type":"COMMAND_RESP"}"#,
        ),
    ] {
        let mut desk = Desk::new(market, &[if market == "option" { "book:100 A" } else { "book:50 A" }, "trade B"]);
        desk.take(Input::Connected, 0.0);
        let topic = if market == "option" { "orderbook.100.A" } else { "orderbook.50.A" };
        let first =
            format!(r#"{{"topic":"{topic}","type":"snapshot","ts":5,"data":{{"s":"A","b":[],"a":[],"u":7,"seq":8}}}}"#);
        desk.text(&first, 0.1);
        let done = if market == "option" {
            r#"{"success":true,"data":{"failTopics":[],"successTopics":["orderbook.100.A","publicTrade.B"]},"type":"COMMAND_RESP"}"#
        } else {
            r#"{"success":true,"req_id":"1","op":"subscribe"}"#
        };
        desk.text(done, 0.2);
        let left = requests(desk.take(Input::Resync(StreamId(0)), 1.0));
        assert_eq!(left, [("unsubscribe".to_owned(), vec![topic.to_owned()])]);
        desk.text(ack, 1.1);
        assert_eq!(requests(&desk.said), [subscribe(&[topic])], "{market}");
    }
}

#[test]
fn pings_every_twenty_seconds_and_gives_up_ten_after() {
    let pongs = [
        r#"{"success":true,"ret_msg":"pong","conn_id":"c","op":"ping"}"#,
        r#"{"success":true,"ret_msg":"pong","conn_id":"c","req_id":"","op":"ping"}"#,
        r#"{"args":["1672916271846"],"op":"pong"}"#,
        r#"{"req_id":"test","op":"pong","args":["1675418560633"],"conn_id":"c-1b"}"#,
    ];
    let mut desk = Desk::new("linear", &[]);
    desk.take(Input::Connected, 0.0);
    for (round, pong) in (1..).zip(pongs) {
        let due = f64::from(round) * 20.0;
        assert_eq!(desk.wakes_at(), Some(due));
        let ping: Value = serde_json::from_str(&desk.take(Input::Timeout, due).sent[0]).expect("JSON");
        assert_eq!(ping["op"], "ping");
        assert_eq!(desk.wakes_at(), Some(due + 10.0));
        assert_eq!(desk.text(pong, due + 1.0), ["ignored Control"]);
    }
    desk.take(Input::Timeout, 100.0);
    assert_eq!(desk.take(Input::Timeout, 109.9).reconnects.len(), 0);
    assert_eq!(desk.take(Input::Timeout, 110.0).reconnects, ["no pong and no data in 10 s"]);
    desk.take(Input::Disconnected, 110.0);
    assert_eq!(desk.wakes_at().filter(|at| *at < 1_000.0), None, "nothing is waited for without a connection");
}

#[test]
fn data_shows_that_the_connection_lives() {
    let mut desk = Desk::new("linear", &[]);
    desk.take(Input::Connected, 0.0);
    desk.take(Input::Timeout, 20.0);
    desk.text(r#"{"topic":"whatever"}"#, 29.0);
    assert_eq!(desk.take(Input::Timeout, 30.0).reconnects.len(), 0);
}

#[test]
fn a_venue_that_answers_nothing_is_left() {
    let mut desk = Desk::new("linear", &["trade A"]);
    desk.take(Input::Connected, 0.0);
    assert_eq!(requests(desk.take(Input::Timeout, 5.0)), [subscribe(&["publicTrade.A"])], "asked again");
    assert_eq!(desk.take(Input::Timeout, 10.0).reconnects, ["no answer to subscribing publicTrade.A in 5 s"]);
}

#[test]
fn a_replay_asks_for_nothing() {
    let mut desk = Desk::replay("linear");
    let said = desk.take(Input::Connected, 0.0);
    assert!(said.sent.is_empty() && said.requests.is_empty());
    assert_eq!(desk.wakes_at(), None);
    assert_eq!(desk.text(r#"{"success":true,"ret_msg":"","op":"subscribe"}"#, 0.1), ["ignored Control"]);
}

#[test]
fn topics_beyond_the_connections_characters_are_rejected_by_name() {
    let names: Vec<String> = (0..400).map(|n| format!("trade {n:050}")).collect();
    let mut desk = Desk::new("linear", &names.iter().map(String::as_str).collect::<Vec<_>>());
    let rejected = desk.take(Input::Connected, 0.0).updates.clone();
    assert_eq!(rejected.len(), 400 - 21_000 / 62);
    assert!(rejected[0].starts_with("rejected 338: beyond the 21,000 characters"), "{}", rejected[0]);
}
