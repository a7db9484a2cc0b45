//! REST calls: the instrument list page by page, and images of full books.

use super::{Desk, Recorder};
use crate::model::StreamId;
use crate::venue::Input;

const PAGE: &str = r#"{"retCode":0,"retMsg":"OK","result":{"category":"linear","list":[LIST],"nextPageCursor":"CURSOR"},"retExtInfo":{},"time":1}"#;
const BTC: &str = r#"{"symbol":"BTCUSDT","contractType":"LinearPerpetual","status":"Trading","baseCoin":"BTC","quoteCoin":"USDT","settleCoin":"USDT","launchTime":"1","deliveryTime":"0","priceScale":"2","priceFilter":{"minPrice":"0.10","tickSize":"0.10"},"lotSizeFilter":{"qtyStep":"0.001","minOrderQty":"0.001"}}"#;

fn page(list: &str, cursor: &str) -> String {
    PAGE.replace("LIST", list).replace("CURSOR", cursor)
}

fn paths(said: &Recorder) -> Vec<&str> {
    said.requests.iter().map(|request| request.path.as_str()).collect()
}

fn answer<'d>(desk: &'d mut Desk, id: u64, status: Option<u16>, body: &str, seconds: f64) -> &'d Recorder {
    desk.take(Input::Http { id, status, body: body.as_bytes(), url: None }, seconds)
}

#[test]
fn instruments_are_read_page_by_page() {
    let mut desk = Desk::new("linear", &["trade BTCUSDT"]);
    let said = desk.take(Input::Connected, 0.0);
    assert_eq!(paths(said), ["/v5/market/instruments-info?category=linear&limit=1000"]);
    let id = said.requests[0].id;
    let other = BTC.replace("BTCUSDT", "XRPUSDT");
    let said = answer(&mut desk, id, Some(200), &page(&other, "a=b%2C c"), 1.0);
    assert_eq!(said.updates, [""; 0], "nobody asked for this one");
    assert_eq!(paths(said), ["/v5/market/instruments-info?category=linear&limit=1000&cursor=a%3Db%2C%20c"]);
    let id = said.requests[0].id;
    let said = answer(&mut desk, id, Some(200), &page(BTC, ""), 2.0);
    assert_eq!(said.updates, ["instrument BTCUSDT BTC-USDT-PERP"]);
    assert!(said.requests.is_empty());
    desk.take(Input::Disconnected, 3.0);
    assert!(desk.take(Input::Connected, 4.0).requests.is_empty(), "the list is fresh");
    desk.take(Input::Disconnected, 3_700.0);
    assert_eq!(desk.take(Input::Connected, 3_700.0).requests.len(), 1, "and then no more");
}

#[test]
fn a_failed_page_is_asked_for_again() {
    for (status, body) in [
        (None, "timed out"),
        (Some(403), "access too frequent"),
        (Some(200), "<html>"),
        (Some(200), r#"{"retCode":10006,"retMsg":"Too many visits!","result":{}}"#),
        (Some(200), r#"{"retCode":0,"retMsg":"OK"}"#),
    ] {
        let mut desk = Desk::new("spot", &["trade BTCUSDT"]);
        let said = desk.take(Input::Connected, 0.0);
        assert_eq!(paths(said), ["/v5/market/instruments-info?category=spot"]);
        let id = said.requests[0].id;
        assert!(answer(&mut desk, id, status, body, 1.0).requests.is_empty());
        let again = desk.take(Input::Timeout, 16.0);
        assert_eq!(paths(again), ["/v5/market/instruments-info?category=spot"], "{body}");
    }
}

#[test]
fn one_base_coin_of_several_may_fail_without_waking_for_ever() {
    let mut desk = Desk::new("option", &["trade BTC-6JAN23-17500-C", "trade ETH-6JAN23-1000-C"]);
    let said = desk.take(Input::Connected, 0.0);
    assert_eq!(said.requests.len(), 2);
    assert!(paths(said)[0].ends_with("&baseCoin=BTC") && paths(said)[1].ends_with("&baseCoin=ETH"));
    let ids: Vec<_> = said.requests.iter().map(|request| request.id).collect();
    answer(&mut desk, ids[0], None, "timed out", 1.0);
    answer(&mut desk, ids[1], Some(200), &page("", ""), 2.0);
    let again = desk.take(Input::Timeout, 16.0);
    assert_eq!(again.requests.len(), 1, "the failed one is asked for again");
    assert!(paths(again)[0].ends_with("&baseCoin=BTC"));
    let id = again.requests[0].id;
    assert!(desk.wakes_at().is_some_and(|at| at > 16.0), "no timer stays in the past");
    answer(&mut desk, id, Some(200), &page("", ""), 17.0);
    assert!(desk.take(Input::Timeout, 18.0).requests.is_empty());
}

#[test]
fn a_page_under_way_when_the_next_try_is_due_does_not_wake_for_ever() {
    let mut desk = Desk::new("option", &["trade BTC-6JAN23-17500-C", "trade ETH-6JAN23-1000-C"]);
    let ids: Vec<_> = desk.take(Input::Connected, 0.0).requests.iter().map(|request| request.id).collect();
    answer(&mut desk, ids[0], None, "timed out", 1.0);
    desk.take(Input::Timeout, 16.0);
    assert!(desk.wakes_at().is_some_and(|at| at > 16.0));
}

#[test]
fn cursors_are_not_followed_for_ever() {
    let mut desk = Desk::new("linear", &[]);
    let mut id = desk.take(Input::Connected, 0.0).requests[0].id;
    let mut pages = 1;
    while let Some(request) = answer(&mut desk, id, Some(200), &page("", "again"), 1.0).requests.first() {
        id = request.id;
        pages += 1;
        assert!(pages < 100);
    }
    assert_eq!(pages, 51);
}

#[test]
fn spot_options_and_futures_have_canonical_names() {
    let spot = r#"{"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT","status":"Trading","lotSizeFilter":{"basePrecision":"0.000001"},"priceFilter":{"tickSize":"0.01"}}"#;
    let future = r#"{"symbol":"BTCUSDZ26","contractType":"InverseFutures","baseCoin":"BTC","quoteCoin":"USD","deliveryTime":"1798185600000"}"#;
    let option = r#"{"symbol":"BTC-25DEC26-90000-C-USDT","optionsType":"Call","baseCoin":"BTC","quoteCoin":"USDT","deliveryTime":"1798185600000"}"#;
    let mut desk = Desk::replay("spot");
    let body = page(&[spot, future, option].join(","), "").replace(r#""category":"linear""#, r#""category":"spot""#);
    let want = [
        "instrument BTCUSDT BTC-USDT",
        "instrument BTCUSDZ26 BTC-USD-20261225",
        "instrument BTC-25DEC26-90000-C-USDT BTC-USDT-20261225-90000-C",
    ];
    assert_eq!(answer(&mut desk, 0, Some(200), &body, 1.0).updates, want);
}

#[test]
fn a_malformed_instrument_costs_only_itself() {
    let good = r#"{"symbol":"BTCUSDT","baseCoin":"BTC","quoteCoin":"USDT","status":"Trading"}"#;
    let mut desk = Desk::replay("spot");
    for bad in [r#"{"symbol":"X"}"#, "7", "null", r#"["BTCUSDT"]"#] {
        let body = page(&[bad, good].join(","), "").replace(r#""category":"linear""#, r#""category":"spot""#);
        let said = answer(&mut desk, 0, Some(200), &body, 1.0).updates.clone();
        assert_eq!(said.len(), 2, "{bad}: {said:?}");
        assert_eq!(said[1], "instrument BTCUSDT BTC-USDT", "{bad}");
    }
}

#[test]
fn images_are_fetched_and_placed() {
    let mut desk = Desk::new("spot", &["trade B", "book:full A"]);
    let id = desk.take(Input::Connected, 0.0).requests[0].id;
    answer(&mut desk, id, Some(200), &page("", ""), 0.1);
    let said = desk.take(Input::Image(StreamId(1)), 1.0);
    assert_eq!(paths(said), ["/v5/market/full_orderbook?category=spot&symbol=A"]);
    let id = said.requests[0].id;
    let body = r#"{"retCode":0,"retMsg":"OK","result":{"s":"A","b":[["1","2"]],"a":[["3","4"]],"ts":5,"u":6,"seq":7,"cts":4},"time":1}"#;
    assert_eq!(answer(&mut desk, id, Some(200), body, 2.0).updates, ["snapshot 1 6/7 [1:2] [3:4]"]);
    assert_eq!(answer(&mut desk, id, Some(200), body, 2.0).updates, [""; 0], "an answer is used once");
    for (status, body, why) in [
        (None, "timed out", "timed out"),
        (Some(502), "", "HTTP 502"),
        (Some(200), r#"{"retCode":10001,"retMsg":"symbol invalid","result":{}}"#, "retCode 10001: symbol invalid"),
    ] {
        let id = desk.take(Input::Image(StreamId(1)), 3.0).requests[0].id;
        assert_eq!(answer(&mut desk, id, status, body, 4.0).updates, [format!("image failed 1: {why}")]);
    }
}

#[test]
fn a_recorded_list_of_another_market_is_left_alone() {
    let mut desk = Desk::new("linear", &["trade BTCUSDT"]);
    let spot = page(BTC, "").replace(r#""category":"linear""#, r#""category":"spot""#);
    assert_eq!(answer(&mut desk, 0, Some(200), &spot, 0.0).updates, [""; 0]);
    let own = answer(&mut desk, 0, Some(200), &page(BTC, ""), 0.0);
    assert_eq!(own.updates, ["instrument BTCUSDT BTC-USDT-PERP"]);
}
