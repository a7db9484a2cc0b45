//! JSON-RPC: requests, answers, the list of products, and whole books that do not come.

use super::{Desk, MARKETS, done, frame};
use crate::model::StreamId;
use crate::venue::Input;

const WHOLE: &str = r#"{"mid_price":101.0,"bids":[{"price":100.0,"size":1.0}],"asks":[{"price":102.0,"size":1.0}]}"#;

fn request(method: &str, channel: &str, id: u64) -> String {
    format!(r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"channel":"{channel}"}},"id":{id}}}"#)
}

fn failure(id: u64, code: i64, words: &str) -> String {
    format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"Invalid params","data":"{words}"}}}}"#)
}

#[test]
fn a_book_has_two_channels_and_the_ticker_besides() {
    let mut desk = Desk::new("spot", &["book BTC_JPY", "bbo BTC_JPY", "trade BTC_JPY", "ticker BTC_JPY"]);
    let sent = desk.connect();
    let channels = ["board_snapshot", "board", "ticker", "executions"];
    let expected: Vec<_> = (1..)
        .zip(channels)
        .map(|(id, channel)| request("subscribe", &format!("lightning_{channel}_BTC_JPY"), id))
        .collect();
    assert_eq!(sent, expected);
}

#[test]
fn a_confirmation_waits_for_the_list_of_products() {
    let mut desk = Desk::new("spot", &["book BTC_JPY", "trade NOPE_JPY"]);
    let said = desk.take(Input::Connected, 0.0);
    let [list] = &said.requests[..] else { panic!("{:?}", said.requests) };
    assert_eq!((list.path.as_str(), list.signed), ("/v1/getmarkets", false));
    let id = list.id;
    desk.connect();
    assert!(!desk.said.updates.iter().any(|said| said.starts_with("subscribed")), "nothing is confirmed yet");
    let said = desk.http(id, Some(200), MARKETS, 1.0).updates.clone();
    assert!(said[0].contains("BTC_JPY") && said[0].starts_with("instrument"), "{said:?}");
    assert_eq!(said[1..], ["subscribed 0", "rejected 1: bitFlyer lists no product NOPE_JPY"]);
    // It may come: the list is read again, and what is not in it is not told twice.
    assert_eq!(desk.wakes_at().map(|at| at < 17.0), Some(true), "the whole book first");
    desk.text(&frame("lightning_board_snapshot_BTC_JPY", WHOLE), 590.0);
    let again = desk.take(Input::Timeout, 601.0).requests.clone();
    assert_eq!(again.len(), 1);
    assert!(!desk.http(again[0].id, Some(200), MARKETS, 602.0).updates.iter().any(|said| said.starts_with("rejected")));
    let listed = br#"[{"product_code":"NOPE_JPY","market_type":"Spot"}]"#;
    desk.text(&frame("lightning_board_snapshot_BTC_JPY", WHOLE), 1200.0);
    let again = desk.take(Input::Timeout, 1203.0).requests.clone();
    let said = desk.http(again[0].id, Some(200), listed, 1204.0).updates.clone();
    assert!(said.contains(&"subscribed 1".to_owned()), "{said:?}");
}

#[test]
fn without_a_list_the_venues_word_has_to_do() {
    for (status, body) in [(None, &b"no route"[..]), (Some(500), b"{}"), (Some(200), br#"{"status":-1}"#)] {
        let mut desk = Desk::new("spot", &["trade BTC_JPY"]);
        desk.connect();
        assert_eq!(desk.http(1, status, body, 1.0).updates, ["subscribed 0"]);
        assert_eq!(desk.take(Input::Timeout, 15.0).requests, [], "too early");
        assert_eq!(desk.take(Input::Timeout, 16.1).requests.len(), 1);
    }
    // Other exchanges of bitFlyer have lists of their own.
    let mut desk = Desk::new("spot", &["trade BTC_USD", "trade BTC_EUR", "trade BTC_JPY"]);
    let paths: Vec<_> = desk.take(Input::Connected, 0.0).requests.iter().map(|call| call.path.clone()).collect();
    assert_eq!(paths, ["/v1/getmarkets/usa", "/v1/getmarkets/eu", "/v1/getmarkets"]);
}

#[test]
fn a_refusal_is_of_its_stream() {
    let mut desk = Desk::new("spot", &["book BTC_JPY", "trade BTC_JPY"]);
    desk.take(Input::Connected, 0.0);
    let refusal = failure(2, -32602, "invalid channel");
    desk.take(Input::Timeout, 0.02);
    assert_eq!(
        desk.text(&refusal, 0.1),
        ["ignored Control", "rejected 0: -32602: Invalid params (invalid channel)"],
        "changes of the book"
    );
    // What only tells whether the market is open may be missing.
    let mut desk = Desk::new("spot", &["book BTC_JPY"]);
    let sent = desk.take(Input::Connected, 0.0).sent.clone();
    desk.take(Input::Timeout, 0.02);
    assert_eq!(desk.take(Input::Timeout, 0.04).sent, [request("subscribe", "lightning_ticker_BTC_JPY", 3)]);
    let said = desk.text(&failure(3, -32602, "invalid channel"), 0.1);
    assert!(said[1].starts_with("Notice") && said[1].contains("without lightning_ticker_BTC_JPY"), "{said:?}");
    // Twice the same is as good as once.
    desk.http(1, Some(200), MARKETS, 0.2);
    assert_eq!(desk.text(&failure(1, -32009, "already subscribed"), 0.3), ["ignored Control", "subscribed 0"]);
    assert_eq!(sent.len(), 1);
}

#[test]
fn what_is_no_answer_to_us_is_skipped() {
    let mut desk = Desk::new("spot", &["trade BTC_JPY"]);
    desk.connect();
    let parse = r#"{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"Parse error","data":"Invalid JSON"}}"#;
    assert_eq!(desk.text(parse, 1.0), ["ignored Control"]);
    assert_eq!(desk.text(r#"{"jsonrpc":"2.0","id":99,"result":true}"#, 1.0), ["ignored Control"]);
    assert_eq!(desk.text(r#"{"jsonrpc":"2.0","method":"notice","params":null}"#, 1.0), ["ignored UnknownKind"]);
    assert_eq!(desk.text("{}", 1.0), ["ignored UnknownKind"]);
    assert_eq!(desk.text("[]", 1.0), ["broken None"]);
    assert_eq!(desk.data("lightning_weather_BTC_JPY", "{}"), ["ignored UnknownTopic"]);
    assert_eq!(desk.data("lightning_executions_ETH_JPY", "[]"), ["ignored UnknownTopic"]);
}

#[test]
fn whole_books_that_do_not_come_are_asked_for_anew() {
    let mut desk = Desk::new("spot", &["book BTC_JPY"]);
    desk.connect();
    desk.http(1, Some(200), MARKETS, 0.5);
    desk.text(&frame("lightning_board_snapshot_BTC_JPY", WHOLE), 3.0);
    desk.text(&frame("lightning_board_snapshot_BTC_JPY", WHOLE), 8.0);
    assert_eq!(desk.wakes_at(), Some(24.0));
    // Changes are no sign of whole books.
    desk.text(&frame("lightning_board_BTC_JPY", r#"{"mid_price":101.0,"bids":[],"asks":[]}"#), 20.0);
    assert_eq!(desk.take(Input::Timeout, 23.9).sent, [""; 0]);
    let said = desk.take(Input::Timeout, 24.0);
    assert_eq!(said.sent, [request("unsubscribe", "lightning_board_snapshot_BTC_JPY", 4)]);
    assert!(said.updates[0].contains("no whole book in 16 s"), "{:?}", said.updates);
    let answer = done(&request("unsubscribe", "lightning_board_snapshot_BTC_JPY", 4));
    desk.text(&answer, 24.1);
    let sent = desk.said.sent.clone();
    assert_eq!(sent, [request("subscribe", "lightning_board_snapshot_BTC_JPY", 5)]);
}

#[test]
fn a_resync_leaves_both_channels_of_the_book_and_nothing_else() {
    let mut desk = Desk::new("spot", &["book BTC_JPY", "trade BTC_JPY"]);
    desk.connect();
    let mut sent = desk.take(Input::Resync(StreamId(0)), 5.0).sent.clone();
    sent.extend(desk.take(Input::Timeout, 5.1).sent.clone());
    let left = ["lightning_board_snapshot_BTC_JPY", "lightning_board_BTC_JPY"];
    assert_eq!(sent, [request("unsubscribe", left[0], 5), request("unsubscribe", left[1], 6)]);
}

#[test]
fn streams_come_and_go_at_run_time() {
    let mut desk = Desk::new("spot", &["trade BTC_JPY"]);
    desk.connect();
    desk.http(1, Some(200), MARKETS, 0.5);
    let book = super::stream("spot", "book ETH_BTC");
    let said = desk.take(Input::Subscribe { id: StreamId(7), stream: &book }, 1.0);
    assert!(said.updates[0].starts_with("instrument ETH_BTC"), "{:?}", said.updates);
    assert_eq!(said.sent, [request("subscribe", "lightning_board_snapshot_ETH_BTC", 2)]);
    desk.take(Input::Timeout, 1.1);
    desk.take(Input::Timeout, 1.2);
    assert_eq!(desk.text(&done(r#"{"id":2}"#), 1.3), ["ignored Control", "subscribed 7"]);
    desk.text(&done(r#"{"id":3}"#), 1.3);
    desk.text(&done(r#"{"id":4}"#), 1.3);
    let mut sent = desk.take(Input::Unsubscribe(StreamId(7)), 2.0).sent.clone();
    for at in [2.1, 2.2] {
        sent.extend(desk.take(Input::Timeout, at).sent.clone());
    }
    assert_eq!(sent.len(), 3, "{sent:?}");
    assert_eq!(desk.data("lightning_board_snapshot_ETH_BTC", WHOLE), ["ignored UnknownTopic"], "too late");
    let said: Vec<_> = sent.iter().flat_map(|sent| desk.text(&done(sent), 3.0)).collect();
    assert_eq!(said.iter().filter(|said| *said == "unsubscribed 7").count(), 1, "{said:?}");
    assert_eq!(desk.wakes_at(), None, "nothing is waited for");
}
