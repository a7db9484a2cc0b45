//! Subscribing, its answers, pings, notices, REST.

use super::{Desk, spec, stream};
use crate::model::StreamId;
use crate::venue::{Input, SessionSpec};

fn ack(id: &str, event: &str, channel: &str, symbol: &str) -> String {
    format!(r#"{{"id":"{id}","event":"{event}","arg":{{"channel":"{channel}","instId":"{symbol}"}},"connId":"a"}}"#)
}

#[test]
fn all_is_asked_for_in_one_request_and_answered_one_by_one() {
    let mut desk = Desk::new("spot", &["book A-B", "trade A-B"]);
    let args = r#"{"channel":"books","instId":"A-B"},{"channel":"trades","instId":"A-B"}"#;
    assert_eq!(desk.connect(), [format!(r#"{{"id":"1","op":"subscribe","args":[{args}]}}"#)]);
    assert_eq!(desk.text(&ack("1", "subscribe", "trades", "A-B"), 0.1), ["ignored Control", "subscribed 1"]);
    assert_eq!(desk.text(&ack("1", "subscribe", "books", "A-B"), 0.1), ["ignored Control", "subscribed 0"]);
    assert_eq!(desk.text(&ack("1", "subscribe", "books", "A-B"), 0.2), ["ignored Control"]);
    assert_eq!(desk.take(Input::Timeout, 6.0).sent, [""; 0], "nothing is asked for again");
}

#[test]
fn a_request_has_at_most_200_arguments_and_64_kilobytes() {
    let names: Vec<String> =
        (0..450).map(|n| format!("book:50:tbt {}{n}-{}", "A".repeat(30), "B".repeat(30))).collect();
    let streams: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut desk = Desk::new("spot", &streams);
    let mut sent = desk.connect();
    sent.extend(desk.take(Input::Timeout, 0.3).sent.clone());
    assert_eq!(sent.len(), 2, "no more without an answer");
    for request in sent {
        assert!(request.len() < 64 * 1024 && request.matches("instId").count() == 200, "{}", request.len());
    }
}

#[test]
fn errors_name_their_argument_in_words() {
    let mut desk = Desk::new("spot", &["book A-B", "book NOPE-USDT", "ticker A-B"]);
    desk.connect();
    let words = "Wrong URL or channel:books,instId:NOPE-USDT doesn't exist. Please use the correct URL.";
    let error = format!(r#"{{"id":"1","event":"error","code":"60018","msg":"{words}","connId":"a"}}"#);
    assert_eq!(desk.text(&error, 0.1), ["ignored Control".to_owned(), format!("rejected 1: 60018: {words}")]);
    assert_eq!(desk.text(&ack("1", "subscribe", "books", "A-B"), 0.1), ["ignored Control", "subscribed 0"]);
    assert_eq!(desk.text(&ack("1", "subscribe", "tickers", "A-B"), 0.1), ["ignored Control", "subscribed 2"]);
    // It is asked for again later, alone.
    let said = desk.take(Input::Timeout, 601.0).sent.clone();
    let again: Vec<_> = said.iter().filter(|sent| sent.contains("subscribe")).collect();
    assert!(again.len() == 1 && again[0].contains("NOPE-USDT") && !again[0].contains("A-B"), "{said:?}");
}

#[test]
fn an_error_without_a_name_is_narrowed_down() {
    let mut desk = Desk::new("spot", &["book A-B", "book C-D"]);
    desk.connect();
    let error =
        |id: &str| format!(r#"{{"id":"{id}","event":"error","code":"60012","msg":"Invalid request","connId":"a"}}"#);
    assert_eq!(desk.text(&error("1"), 0.1), ["ignored Control"]);
    let mut sent = desk.take(Input::Timeout, 1.0).sent.clone();
    sent.extend(desk.take(Input::Timeout, 2.0).sent.clone());
    assert!(sent.len() == 2 && sent[0].contains("A-B") && sent[1].contains("C-D"), "{sent:?}");
    assert_eq!(desk.text(&error("3"), 2.1), ["ignored Control", "rejected 1: 60012: Invalid request"]);
}

#[test]
fn too_frequent_requests_are_made_again_later() {
    let mut desk = Desk::new("spot", &["book A-B"]);
    desk.connect();
    let error = r#"{"id":"1","event":"error","code":"60014","msg":"Requests too frequent"}"#;
    assert_eq!(desk.text(error, 0.1), ["ignored Control"]);
    assert!(desk.take(Input::Timeout, 5.0).sent[0].contains(r#""op":"subscribe""#));
}

#[test]
fn what_is_merged_into_a_ticker_does_not_decide_about_it() {
    let mut desk = Desk::new("swap", &["ticker A-B-SWAP"]);
    let sent = desk.connect();
    for channel in ["tickers", "mark-price", "funding-rate", "open-interest", "price-limit"] {
        assert!(sent[0].contains(&format!(r#"{{"channel":"{channel}","instId":"A-B-SWAP"}}"#)), "{channel}: {sent:?}");
    }
    assert!(sent[0].contains(r#"{"channel":"index-tickers","instId":"A-B"}"#));
    assert_eq!(desk.text(&ack("1", "subscribe", "mark-price", "A-B-SWAP"), 0.1), ["ignored Control"]);
    assert_eq!(desk.text(&ack("1", "subscribe", "tickers", "A-B-SWAP"), 0.1), ["ignored Control", "subscribed 0"]);
    let error = r#"{"id":"1","event":"error","code":"60018","msg":"channel:index-tickers,instId:A-B doesn't exist."}"#;
    let said = desk.text(error, 0.2);
    assert!(said.len() == 2 && said[1].contains("Notice") && said[1].contains("index-tickers"), "{said:?}");
}

#[test]
fn streams_come_and_go_at_run_time() {
    let mut desk = Desk::new("swap", &["ticker A-B-SWAP"]);
    desk.connect();
    for channel in ["tickers", "mark-price", "funding-rate", "open-interest", "price-limit"] {
        desk.text(&ack("1", "subscribe", channel, "A-B-SWAP"), 0.1);
    }
    desk.text(&ack("1", "subscribe", "index-tickers", "A-B"), 0.1);
    let other = stream("swap", "ticker A-B_C-SWAP");
    let sent = desk.take(Input::Subscribe { id: StreamId(7), stream: &other }, 1.0).sent.concat();
    assert!(sent.contains("A-B_C-SWAP") && !sent.contains("index-tickers"), "the index is there: {sent}");
    let said = desk.text(&ack("2", "subscribe", "tickers", "A-B_C-SWAP"), 1.1);
    assert_eq!(said, ["ignored Control", "subscribed 7"]);
    for channel in ["mark-price", "funding-rate", "open-interest", "price-limit"] {
        desk.text(&ack("2", "subscribe", channel, "A-B_C-SWAP"), 1.1);
    }
    let sent = desk.take(Input::Unsubscribe(StreamId(0)), 2.0).sent.concat();
    assert!(sent.contains("unsubscribe") && sent.matches("A-B-SWAP").count() == 5 && !sent.contains("index"), "{sent}");
    let mut said = Vec::new();
    for channel in ["tickers", "mark-price", "funding-rate", "open-interest", "price-limit"] {
        said.extend(desk.text(&ack("3", "unsubscribe", channel, "A-B-SWAP"), 2.1));
    }
    said.retain(|update| update != "ignored Control");
    assert_eq!(said, ["unsubscribed 0"], "once, when all of it is left");
}

#[test]
fn a_resync_leaves_and_asks_again() {
    let mut desk = Desk::new("spot", &["book A-B", "trade A-B"]);
    desk.connect();
    desk.text(&ack("1", "subscribe", "books", "A-B"), 0.1);
    desk.text(&ack("1", "subscribe", "trades", "A-B"), 0.1);
    let leave = r#"{"id":"2","op":"unsubscribe","args":[{"channel":"books","instId":"A-B"}]}"#;
    assert_eq!(desk.take(Input::Resync(StreamId(0)), 1.0).sent, [leave]);
    desk.text(&ack("2", "unsubscribe", "books", "A-B"), 1.1);
    let again = r#"{"id":"3","op":"subscribe","args":[{"channel":"books","instId":"A-B"}]}"#;
    assert_eq!(desk.take(Input::Timeout, 1.3).sent, [again]);
}

#[test]
fn it_pings_and_gives_up_in_silence() {
    let mut desk = Desk::new("spot", &["trade A-B"]);
    desk.connect();
    desk.text(&ack("1", "subscribe", "trades", "A-B"), 0.1);
    assert_eq!(desk.wakes_at(), Some(20.0));
    assert_eq!(desk.take(Input::Timeout, 20.0).sent, ["ping"]);
    assert_eq!(desk.text("pong", 20.5), ["ignored Control"]);
    assert_eq!(desk.take(Input::Timeout, 40.0).sent, ["ping"]);
    assert_eq!(desk.take(Input::Timeout, 50.0).reconnects, ["no pong and no data in 10 s"]);
    assert_eq!(desk.take(Input::Text(b"ping"), 51.0).sent, ["pong"]);
}

#[test]
fn a_service_upgrade_asks_for_another_connection() {
    let mut desk = Desk::new("spot", &["trade A-B"]);
    desk.connect();
    let notice = r#"{"event":"notice","code":"64008","msg":"The connection will soon be closed for a service upgrade. Please reconnect.","connId":"a"}"#;
    let said = desk.text(notice, 1.0);
    assert!(said[0].starts_with("replace: The connection will soon be closed") && said.len() == 2, "{said:?}");
    assert_eq!(desk.text(&notice.replace("64008", "64999"), 1.0), ["ignored Control"]);
    assert_eq!(desk.text(r#"{"event":"surprise"}"#, 1.0), ["ignored UnknownKind"]);
}

#[test]
fn instruments_are_listed_and_followed() {
    let of = |market: &str, streams: &[&str]| Desk::of(SessionSpec { leads: true, ..spec(market, streams) });
    let mut desk = of("option", &["trade BTC-USD-270326-60000-C", "trade ETH-USD-270326-3000-P"]);
    let sent = desk.connect();
    assert!(sent[0].contains(r#"{"channel":"instruments","instType":"OPTION"}"#), "{sent:?}");
    let paths: Vec<_> = desk.said.requests.iter().map(|request| request.path.clone()).collect();
    let path = |family: &str| format!("/api/v5/public/instruments?instType=OPTION&instFamily={family}");
    assert_eq!(paths, [path("BTC-USD"), path("ETH-USD")]);
    let row = r#"{"instType":"OPTION","instId":"BTC-USD-270326-60000-C","instFamily":"BTC-USD","baseCcy":"","quoteCcy":"","settleCcy":"BTC","ctVal":"0.01","tickSz":"0.0001","lotSz":"1","minSz":"1","expTime":"1806019200000","optType":"C","stk":"60000","state":"preopen"}"#;
    let body = format!(r#"{{"code":"0","msg":"","data":[{row},{{"instType":"OPTION","instId":"X-Y-1"}},7]}}"#);
    let said = desk.take(Input::Http { id: 1, status: Some(200), body: body.as_bytes(), url: None }, 1.0);
    let listed = "instrument BTC-USD-270326-60000-C BTC-USD-20270326-60000-C";
    assert_eq!(said.updates, [listed, "ignored UnknownKind"]);
    let limited = br#"{"code":"50011","msg":"Too Many Requests","data":[]}"#;
    desk.take(Input::Http { id: 2, status: Some(429), body: limited, url: None }, 1.0);
    let said = desk.take(Input::Timeout, 16.0);
    assert_eq!(said.requests.len(), 1, "only what failed");
    let change = format!(r#"{{"arg":{{"channel":"instruments","instType":"OPTION"}},"data":[{row}]}}"#);
    assert_eq!(desk.text(&change, 17.0), [listed]);
    let mut spot = of("spot", &["trade A-B"]);
    spot.connect();
    assert_eq!(spot.said.requests[0].path, "/api/v5/public/instruments?instType=SPOT");
    let new = stream("spot", "trade C-D");
    let said = spot.take(Input::Subscribe { id: StreamId(1), stream: &new }, 1.0);
    assert_eq!(said.requests[0].path, "/api/v5/public/instruments?instType=SPOT&instId=C-D");
}
