//! What the venue's messages become, combined and raw, on all markets.

use super::*;

fn combined(stream: &str, data: &str) -> String {
    format!(r#"{{"stream":"{stream}","data":{data}}}"#)
}

const SPOT_DEPTH: &str = r#"{"e":"depthUpdate","E":1672515782136,"s":"BNBBTC","U":157,"u":160,"b":[["0.0024","10"]],"a":[["0.0026","0.00000000"]]}"#;
const FUTURES_DEPTH: &str = r#"{"e":"depthUpdate","E":1571889248277,"T":1571889248276,"s":"BTCUSDT","U":390497796,"u":390497878,"pu":390497794,"b":[["7403.89","0.002"]],"a":[["7405.96","3.340"]],"ps":"BTCUSDT","st":1}"#;
const BOOK_TICKER: &str = r#"{"e":"bookTicker","u":400900217,"E":1568014460893,"T":1568014460891,"s":"BNBUSDT","b":"25.35","B":"31.21","a":"25.36","A":"40.66","st":1}"#;
const AGG_TRADE: &str = r#"{"e":"aggTrade","E":123456789,"s":"BTCUSDT","a":5933014,"p":"0.001","q":"100","f":100,"l":105,"T":123456785,"m":true,"nq":"90","st":1}"#;
const KLINE: &str = r#"{"e":"kline","E":1672515782136,"s":"BNBBTC","k":{"t":1672515780000,"T":1672515839999,"s":"BNBBTC","i":"1m","f":100,"L":200,"o":"0.0010","c":"0.0020","h":"0.0025","l":"0.0015","v":"1000","n":100,"x":false,"q":"1.0000","V":"500","Q":"0.500","B":"123456"}}"#;
const MARK: &str = r#"{"e":"markPriceUpdate","E":1562305380000,"s":"BTCUSDT","p":"11794.15","i":"11784.62","P":"11784.25","r":"0.00038167","T":1562306400000,"st":1}"#;
const TICKER: &str = r#"{"e":"24hrTicker","E":123456789,"s":"BTCUSDT","p":"0.0015","P":"250.00","w":"0.0018","c":"0.0025","Q":"10","o":"0.0010","h":"0.0026","l":"0.0009","v":"10000","q":"18","O":0,"C":86400000,"F":0,"L":18150,"n":18151}"#;
const FORCE_ORDER: &str = r#"{"e":"forceOrder","E":1568014460893,"o":{"s":"BTCUSDT","S":"SELL","o":"LIMIT","f":"IOC","q":"0.014","p":"9910","ap":"9910","X":"FILLED","l":"0.014","z":"0.014","T":1568014460893}}"#;

#[test]
fn spot_messages() {
    let mut desk =
        Desk::new("spot", &["book BNBBTC", "book:5 BNBBTC", "bbo BNBUSDT", "trade BNBBTC", "candle:1m BNBBTC"]);
    let book_ticker =
        r#"{"u":400900217,"s":"BNBUSDT","b":"25.35190000","B":"31.21000000","a":"25.36520000","A":"40.66000000"}"#;
    let trade = r#"{"e":"trade","E":1672515782136,"s":"BNBBTC","t":12345,"p":"0.001","q":"100","T":1672515782135,"m":false,"M":true}"#;
    let partial = r#"{"lastUpdateId":160,"bids":[["0.0024","10"]],"asks":[["0.0026","100"]]}"#;
    let said = desk.texts(&[
        &combined("bnbbtc@depth@100ms", SPOT_DEPTH),
        &combined("bnbbtc@depth5@100ms", partial),
        &combined("bnbusdt@bookTicker", book_ticker),
        &combined("bnbbtc@trade", trade),
        &combined("bnbbtc@kline_1m", KLINE),
    ]);
    let expected = [
        "delta 0 160/0 [0.0024:10] [0.0026:0.00000000] from 157",
        "snapshot 1 160/160 [0.0024:10] [0.0026:100]",
        "snapshot 2 400900217/400900217 [25.35190000:31.21000000] [25.36520000:40.66000000]",
        "trade 3 12345 0.001 100 buy ? Some(12345)",
        "candle 4 1m 1672515780000000000..1672515839999000000 0.0010 0.0025 0.0015 0.0020 1000 1.0000 open",
    ];
    assert_eq!(said, expected);
    let clocks = desk.take(Input::Text(combined("bnbbtc@trade", trade).as_bytes()), 1.0).clocks[0];
    assert_eq!(clocks.event.expect("a time").0, 1_672_515_782_135_000_000);
    assert_eq!(clocks.venue.expect("a time").0, 1_672_515_782_136_000_000);
}

#[test]
fn futures_messages() {
    let mut desk =
        Desk::new("usdm", &["book BTCUSDT", "book:20 BTCUSDT", "bbo BNBUSDT", "trade BTCUSDT", "liquidation BTCUSDT"]);
    let said = desk.texts(&[
        &combined("btcusdt@depth@100ms", FUTURES_DEPTH),
        &combined("btcusdt@depth20@100ms", FUTURES_DEPTH),
        &combined("bnbusdt@bookTicker", BOOK_TICKER),
        &combined("btcusdt@aggTrade", AGG_TRADE),
        &combined("btcusdt@forceOrder", FORCE_ORDER),
    ]);
    let expected = [
        "delta 0 390497878/0 [7403.89:0.002] [7405.96:3.340] from 390497796 after 390497794",
        "snapshot 1 390497878/390497878 [7403.89:0.002] [7405.96:3.340]",
        "snapshot 2 400900217/400900217 [25.35:31.21] [25.36:40.66]",
        "trade 3 5933014 0.001 100 sell ? Some(5933014)",
        "liquidation 4 sell 9910 0.014",
    ];
    assert_eq!(said, expected);
}

#[test]
fn a_futures_ticker_is_put_together_from_two_streams() {
    let mut desk = Desk::new("usdm", &["ticker BTCUSDT"]);
    let whole = "ticker 0 Last=0.0025 Mark=11794.15 Index=11784.62 FundingRate=0.00038167 \
                 NextFundingTime=1562306400000000000 High24h=0.0026 Low24h=0.0009 Open24h=0.0010 Volume24h=10000 \
                 Turnover24h=18";
    let said = desk.texts(&[&combined("btcusdt@ticker", TICKER), &combined("btcusdt@markPrice@1s", MARK)]);
    assert_eq!(said[1], whole);
    let dated = MARK.replace("0.00038167", "").replace("1562306400000,", "0,");
    let said = desk.texts(&[&combined("btcusdt@markPrice@1s", &dated)]);
    assert!(!said[0].contains("Funding"), "a dated contract has none: {}", said[0]);
}

#[test]
fn coin_margined_turnover_is_not_taken_for_quote_currency() {
    let mut desk = Desk::new("coinm", &["ticker BTCUSD_PERP", "candle:1m BTCUSD_PERP"]);
    let said = desk.texts(&[&combined("btcusd_perp@ticker", TICKER), &combined("btcusd_perp@kline_1m", KLINE)]);
    assert!(!said[0].contains("Turnover24h") && said[0].contains("Volume24h=10000"), "{}", said[0]);
    assert!(said[1].ends_with("1000 - open"), "{}", said[1]);
}

#[test]
fn raw_messages_say_themselves_whose_they_are() {
    let mut desk = Desk::new(
        "usdm",
        &["book BTCUSDT", "bbo BNBUSDT", "trade BTCUSDT", "ticker BTCUSDT", "candle:1m BNBBTC", "liquidation BTCUSDT"],
    );
    let said = desk.texts(&[FUTURES_DEPTH, BOOK_TICKER, AGG_TRADE, TICKER, MARK, KLINE, FORCE_ORDER]);
    let kinds: Vec<_> = said.iter().map(|text| text.split(' ').take(2).collect::<Vec<_>>().join(" ")).collect();
    let expected = ["delta 0", "snapshot 1", "trade 2", "ticker 3", "ticker 3", "candle 4", "liquidation 5"];
    assert_eq!(kinds, expected);
    let mut spot = Desk::new("spot", &["book BNBBTC", "book:5 BNBBTC"]);
    let partial = r#"{"lastUpdateId":160,"bids":[],"asks":[]}"#;
    let said = spot.texts(&[SPOT_DEPTH, partial]);
    assert!(said[0].starts_with("delta 0") && said[1].starts_with("snapshot 1"), "{said:?}");
}

#[test]
fn lists_of_all_symbols_are_sorted_by_market() {
    let mut desk = Desk::new("usdm", &["ticker:mark BTCUSDT"]);
    let list = format!("[{MARK},{}]", MARK.replace(r#""st":1"#, r#""st":2"#));
    let said = desk.texts(&[&combined("!markPrice@arr@1s", &list)]);
    assert_eq!((said.len(), said[1].as_str()), (2, "ignored UnknownTopic"), "{said:?}");
}

#[test]
fn a_hole_in_trade_ids_is_told_before_the_next_trade() {
    let mut desk = Desk::new("usdm", &["trade BTCUSDT"]);
    let trade = |id: u64| combined("btcusdt@aggTrade", &AGG_TRADE.replace("5933014", &id.to_string()));
    let said = desk.texts(&[&trade(7), &trade(8), &trade(11)]);
    assert_eq!(said.len(), 4);
    assert_eq!(said[2], "broken Some(0)");
    desk.take(Input::Connected, 2.0);
    assert_eq!(desk.texts(&[&trade(99)]).len(), 1, "what was missed while disconnected is no hole");
}

#[test]
fn an_empty_side_has_no_best_offer() {
    let mut desk = Desk::new("usdm", &["bbo BNBUSDT"]);
    let empty = BOOK_TICKER.replace("25.36", "0").replace("40.66", "0.00");
    let expected = ["snapshot 0 400900217/400900217 [25.35:31.21] []"];
    assert_eq!(desk.texts(&[&combined("bnbusdt@bookTicker", &empty)]), expected);
    assert_eq!(desk.texts(&[&empty]), expected);
}

#[test]
fn what_is_wrong_breaks_its_own_stream_only() {
    let mut desk = Desk::new("spot", &["book A", "book B"]);
    let bad = combined("b@depth@100ms", &SPOT_DEPTH.replace("\"10\"", "\"ten\""));
    assert_eq!(desk.texts(&[&bad]), ["broken Some(1)"]);
    assert_eq!(desk.texts(&[&bad[..60]]), ["broken Some(1)"], "torn");
    assert_eq!(desk.texts(&["{"]), ["broken None"]);
    let futures = combined("a@depth@100ms", FUTURES_DEPTH);
    assert_eq!(desk.texts(&[&futures]), ["broken Some(0)"], "of another market");
    assert_eq!(desk.texts(&[&combined("c@depth@100ms", SPOT_DEPTH)]), ["ignored UnknownTopic"]);
    assert_eq!(desk.texts(&[&combined("a@avgPrice", "{}")]), ["ignored UnknownTopic"]);
}

#[test]
fn recordings_bring_their_own_streams() {
    let mut desk = Desk::replay("usdm");
    let image = r#"{"lastUpdateId":5,"E":1,"T":1,"bids":[["1","2"]],"asks":[]}"#;
    assert_eq!(desk.http(0, Some(200), image, 1.0), ["ignored UnknownTopic"], "nobody knows whose");
    desk.texts(&[&combined("btcusdt@aggTrade", AGG_TRADE)]);
    assert_eq!(desk.http(0, Some(200), image, 1.0), ["snapshot 1 5/0 [1:2] []"], "the only symbol's");
    let mut desk = Desk::replay("usdm");
    desk.texts(&[&combined("btcusdt@depth@0ms", FUTURES_DEPTH), &combined("ethusdt@depth", FUTURES_DEPTH)]);
    assert_eq!(desk.http(0, Some(200), image, 1.0), ["ignored UnknownTopic"], "one of two");
    let url = Some("https://fapi.binance.com/fapi/v1/depth?symbol=BTCUSDT&limit=1000");
    let said = desk.take(Input::Http { id: 0, status: Some(200), body: image.as_bytes(), url }, 1.0);
    assert_eq!(said.updates.len(), 1);
    assert!(said.updates[0].starts_with("snapshot "), "{:?}", said.updates);
}
