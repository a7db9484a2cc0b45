//! Subscriptions, signs of life, and the end of a connection.

use serde_json::{Value, json};

use super::*;

fn sent(said: &Recorder) -> Vec<Value> {
    said.sent.iter().map(|text| serde_json::from_str(text).expect("JSON")).collect()
}

#[test]
fn many_streams_are_asked_for_in_few_messages_at_the_venues_pace() {
    let names: Vec<String> = (0..500).map(|n| format!("trade S{n}")).collect();
    for (market, pace) in [("spot", 0.35), ("usdm", 0.15)] {
        let mut desk = Desk::new(market, &names.iter().map(String::as_str).collect::<Vec<_>>());
        let first = sent(desk.take(Input::Connected, 10.0));
        assert_eq!((first.len(), first[0]["method"].as_str()), (1, Some("SUBSCRIBE")));
        assert_eq!(first[0]["params"].as_array().map(Vec::len), Some(200));
        assert_eq!(desk.wakes_at(), Some(10.0 + pace), "{market}");
        let more: Vec<Value> =
            (1..=2).flat_map(|n| sent(desk.take(Input::Timeout, 10.0 + f64::from(n) * pace))).collect();
        let params: Vec<_> = more.iter().map(|request| request["params"].as_array().map(Vec::len)).collect();
        assert_eq!(params, [Some(200), Some(100)]);
    }
}

#[test]
fn more_streams_than_a_connection_may_have_are_told() {
    let names: Vec<String> = (0..1_030).map(|n| format!("trade S{n}")).collect();
    let mut desk = Desk::new("spot", &names.iter().map(String::as_str).collect::<Vec<_>>());
    let said = desk.take(Input::Connected, 0.0);
    let beyond: Vec<_> = said.updates.iter().filter(|text| text.contains("1,024 streams")).collect();
    assert_eq!(beyond.len(), 6);
    assert!(beyond[0].starts_with("rejected 1024:"), "{}", beyond[0]);
}

#[test]
fn a_refusal_is_of_its_own_request() {
    let mut desk = Desk::settled("spot", &["trade A"], &["A", "B", "C"]);
    for (n, symbol) in [(1, "B"), (2, "C")] {
        let stream = stream("spot", &format!("trade {symbol}"));
        desk.take(Input::Subscribe { id: id(n), stream: &stream }, 10.0);
    }
    let asked = sent(desk.take(Input::Timeout, 10.4));
    let request = asked.iter().find(|request| request["method"] == "SUBSCRIBE").expect("it is asked for");
    assert_eq!(request["params"], json!(["c@trade"]));
    let said = desk.text(&format!(r#"{{"code":2,"msg":"Invalid request","id":{}}}"#, request["id"]), 10.5);
    assert_eq!(said, ["ignored Control", "rejected 2: 2: Invalid request"]);
    let before = request["id"].as_u64().expect("an id") - 1;
    let said = desk.text(&format!(r#"{{"error":{{"code":1,"msg":"Wrong"}},"id":{before}}}"#), 10.6);
    assert_eq!(said, ["ignored Control", "rejected 1: 1: Wrong"], "as newer servers say it");
}

#[test]
fn the_venue_is_asked_what_it_sends_and_quiet_streams_are_well() {
    let mut desk = Desk::settled("spot", &["book A", "book B"], &["A", "B"]);
    let delta = |symbol: &str| {
        let data = r#"{"e":"depthUpdate","E":1,"s":"A","U":1,"u":2,"b":[],"a":[]}"#;
        format!(r#"{{"stream":"{symbol}@depth@100ms","data":{data}}}"#)
    };
    for n in 1..600 {
        desk.text(&delta("a"), 0.2 + f64::from(n) * 0.005);
    }
    let asked = sent(desk.take(Input::Timeout, 5.0));
    assert_eq!(asked, [json!({"method": "LIST_SUBSCRIPTIONS", "id": 0})]);
    let answer = r#"{"result":["a@depth@100ms","b@depth@100ms"],"id":0}"#;
    let said = desk.text(answer, 5.1);
    assert_eq!(said, ["ignored Control", "Unchanged(StreamId(1))"], "two seconds without A are odd");
    desk.text(&delta("a"), 5.2);
    assert_eq!(desk.text(answer, 5.3).len(), 3);
}

#[test]
fn a_connection_that_answers_nothing_is_left() {
    let mut desk = Desk::settled("coinm", &["book A"], &["A"]);
    desk.take(Input::Timeout, 5.0);
    assert_eq!(desk.take(Input::Timeout, 14.9).reconnects, [""; 0]);
    assert_eq!(desk.take(Input::Timeout, 15.0).reconnects, ["no answer and no data in 10 s"]);
}

#[test]
fn another_connection_is_opened_before_the_venue_ends_this_one() {
    let mut desk = Desk::settled("spot", &["book A"], &["A"]);
    let mut now = 0.0;
    let replaced = loop {
        let wake = desk.wakes_at().expect("a timer");
        assert!(wake > now && wake < 86_400.0, "{wake}");
        now = wake;
        let said = desk.take(Input::Timeout, now).updates.clone();
        if let Some(reason) = said.iter().find(|text| text.starts_with("replace")) {
            break (now, reason.clone());
        }
        desk.text(r#"{"result":[],"id":0}"#, now);
    };
    assert!((85_500.0 - 300.0..=85_800.0).contains(&replaced.0), "{replaced:?}");
    assert_eq!(replaced.1, "replace: the venue closes a connection after 24 hours");
    for shutdown in [
        r#"{"e":"serverShutdown","E":1770123456789}"#,
        r#"{"stream":"!serverShutdown","data":{"e":"serverShutdown","E":1770123456789}}"#,
    ] {
        let said = desk.text(shutdown, now);
        assert_eq!(said, ["ignored Control", "replace: the venue said that it shuts this server down"]);
    }
}

#[test]
fn a_stream_of_two_topics_is_left_when_both_are() {
    let mut desk = Desk::settled("usdm", &["ticker A", "trade A"], &["A"]);
    let request = sent(desk.take(Input::Unsubscribe(id(0)), 10.0)).remove(0);
    assert_eq!(request["method"], "UNSUBSCRIBE");
    assert_eq!(request["params"], json!(["a@ticker", "a@markPrice@1s"]));
    let said = desk.text(&format!(r#"{{"result":null,"id":{}}}"#, request["id"]), 10.3);
    assert_eq!(said, ["ignored Control", "unsubscribed 0"]);
}
