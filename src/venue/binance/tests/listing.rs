//! The list of symbols, what it says to a confirmation, and images of books.

use super::*;

const INFO: &str = r#"{"symbols":[
 {"symbol":"BTCUSD_PERP","pair":"BTCUSD","contractType":"PERPETUAL","contractStatus":"TRADING","contractSize":100,"baseAsset":"BTC","quoteAsset":"USD","marginAsset":"BTC","deliveryDate":4133404800000,"filters":[{"filterType":"PRICE_FILTER","tickSize":"0.1"},{"filterType":"LOT_SIZE","stepSize":"1","minQty":"1"}]},
 {"symbol":"BTCUSD_260925","pair":"BTCUSD","contractType":"CURRENT_QUARTER","contractStatus":"TRADING","contractSize":100,"baseAsset":"BTC","quoteAsset":"USD","marginAsset":"BTC","deliveryDate":1790294400000,"filters":[]},
 {"symbol":"odd"}]}"#;

#[test]
fn instruments_of_the_feed_are_published() {
    let mut desk = Desk::new("coinm", &["trade BTCUSD_PERP", "trade BTCUSD_260925"]);
    let request = desk.take(Input::Connected, 0.0).requests.remove_first();
    assert_eq!((request.path.as_str(), request.weight), ("/dapi/v1/exchangeInfo", 1));
    let said = desk.http(request.id, Some(200), INFO, 0.1);
    let expected =
        ["ignored UnknownKind", "instrument BTCUSD_260925 BTC-USD-20260925", "instrument BTCUSD_PERP BTC-USD-PERP"];
    assert_eq!(said, expected);
    let mut other =
        Desk::of(SessionSpec { leads: false, ..SessionSpec::of("coinm", vec![stream("coinm", "trade X")]) });
    let id = other.take(Input::Connected, 0.0).requests[0].id;
    assert!(!other.http(id, Some(200), INFO, 0.1).iter().any(|text| text.starts_with("instrument")), "once a feed");
}

trait RemoveFirst<T> {
    fn remove_first(&self) -> T;
}

impl<T: Clone> RemoveFirst<T> for Vec<T> {
    fn remove_first(&self) -> T {
        self[0].clone()
    }
}

#[test]
fn a_symbol_that_is_not_listed_is_rejected_though_the_venue_confirms_it() {
    let mut desk = Desk::new("spot", &["book GOOD", "book TYPO"]);
    let said = desk.take(Input::Connected, 0.0);
    let list = said.requests[0].clone();
    assert_eq!((list.path.as_str(), list.weight), ("/api/v3/exchangeInfo?showPermissionSets=false", 20));
    assert_eq!(desk.text(r#"{"result":null,"id":1}"#, 0.1), ["ignored Control"], "held until the list is there");
    let said = desk.list(list.id, &["GOOD"], 0.2);
    let expected = [
        "instrument GOOD B-Q",
        "subscribed 0",
        "wants image 0 by RangeFromImage",
        "rejected 1: Binance spot lists no symbol TYPO",
    ];
    assert_eq!(said, expected);
    let fresh = stream("spot", "trade NEVER");
    let request = desk.take(Input::Subscribe { id: id(2), stream: &fresh }, 1.0).sent.remove_first();
    assert!(request.contains("never@trade"), "{request}");
    assert_eq!(desk.text(r#"{"result":null,"id":2}"#, 1.1)[1], "rejected 2: Binance spot lists no symbol NEVER");
}

#[test]
fn a_symbol_wished_later_is_looked_up_in_a_new_list() {
    let mut desk = Desk::settled("usdm", &["trade A"], &["A"]);
    let new = stream("usdm", "trade NEW");
    desk.take(Input::Subscribe { id: id(1), stream: &new }, 100.0);
    let said = desk.take(Input::Text(br#"{"result":null,"id":2}"#), 100.2);
    assert_eq!(said.updates, ["ignored Control"]);
    let request = said.requests.remove_first();
    assert_eq!(desk.list(request.id, &["A", "NEW"], 100.3)[2..], ["subscribed 1"]);
    let known = stream("usdm", "candle:1m A");
    desk.take(Input::Subscribe { id: id(2), stream: &known }, 200.0);
    assert_eq!(desk.text(r#"{"result":null,"id":3}"#, 200.2), ["ignored Control", "subscribed 2"]);
}

#[test]
fn a_symbol_that_is_listed_later_is_taken_then() {
    let mut desk = Desk::settled("usdm", &["trade A", "trade SOON"], &["A"]);
    assert_eq!(desk.take(Input::Timeout, 590.0).requests, []);
    desk.text(r#"{"result":[],"id":0}"#, 595.0);
    let request = desk.take(Input::Timeout, 601.0).requests.remove_first();
    assert!(desk.list(request.id, &["A", "SOON"], 601.1).contains(&"subscribed 1".to_owned()));
    desk.text(r#"{"result":[],"id":0}"#, 602.0);
    assert_eq!(desk.take(Input::Timeout, 9_000.0).requests, [], "nothing is missing any more");
}

#[test]
fn without_a_list_the_venues_word_has_to_do() {
    let mut desk = Desk::new("usdm", &["trade A"]);
    let request = desk.take(Input::Connected, 0.0).requests.remove_first();
    desk.text(r#"{"result":null,"id":1}"#, 0.1);
    assert_eq!(desk.http(request.id, Some(503), "busy", 0.2), ["subscribed 0"]);
    let again = desk.take(Input::Timeout, 15.3).requests.remove_first();
    assert_eq!(desk.list(again.id, &["B"], 15.4), ["rejected 0: Binance usdm lists no symbol A"]);
}

#[test]
fn images_are_asked_for_once_and_weigh_what_the_venue_says() {
    let weights = [
        ("spot", "book:100", 5),
        ("spot", "book:500", 25),
        ("spot", "book", 50),
        ("spot", "book:5000", 250),
        ("usdm", "book:100", 5),
        ("usdm", "book:500", 10),
        ("coinm", "book", 20),
    ];
    for (market, channel, weight) in weights {
        let mut desk = Desk::settled(market, &[&format!("{channel} A")], &["A"]);
        let request = desk.take(Input::Image(id(0)), 1.0).requests.remove_first();
        assert_eq!((request.weight, request.stream), (weight, Some(id(0))), "{market} {channel}");
        assert_eq!(desk.take(Input::Image(id(0)), 1.1).requests, [], "one is under way");
        let image =
            r#"{"lastUpdateId":1027024,"E":5,"T":4,"bids":[["4.00000000","431.00000000"]],"asks":[["4.2","12"]]}"#;
        let said = desk.http(request.id, Some(200), image, 1.2);
        assert_eq!(said, ["snapshot 0 1027024/0 [4.00000000:431.00000000] [4.2:12]"]);
        let request = desk.take(Input::Image(id(0)), 2.0).requests.remove_first();
        assert!(request.path.contains("/depth?symbol=A&limit="), "{}", request.path);
    }
}

#[test]
fn images_that_fail_are_told() {
    let mut desk = Desk::settled("spot", &["book A"], &["A"]);
    let mut fail = |status, body: &str| {
        let request = desk.take(Input::Image(id(0)), 1.0).requests.remove_first();
        desk.http(request.id, status, body, 1.1)
    };
    assert_eq!(fail(Some(500), "<html>"), ["image failed 0: HTTP 500"]);
    assert_eq!(
        fail(Some(429), r#"{"code":-1003,"msg":"Too many requests"}"#),
        ["image failed 0: HTTP 429: -1003: Too many requests"]
    );
    assert_eq!(fail(None, "timed out"), ["image failed 0: timed out"]);
    assert_eq!(fail(Some(200), "{}").len(), 1);
    let said = fail(Some(400), r#"{"code":-1121,"msg":"Invalid symbol."}"#);
    assert_eq!(said, ["rejected 0: HTTP 400: -1121: Invalid symbol."]);
}

#[test]
fn a_symbol_beyond_ascii_is_encoded() {
    let mut desk = Desk::settled("spot", &["book 币USDT"], &["币USDT"]);
    let request = desk.take(Input::Image(id(0)), 1.0).requests.remove_first();
    assert_eq!(request.path, "/api/v3/depth?symbol=%E5%B8%81USDT&limit=1000");
}

#[test]
fn a_ban_tells_its_end() {
    let until = super::super::banned_until(br#"{"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until 1573770680000. Please use the websocket."}"#);
    assert_eq!(until.map(|at| at.as_ms()), Some(1_573_770_680_000));
    assert_eq!(super::super::banned_until(b"banned until tomorrow"), None);
}
