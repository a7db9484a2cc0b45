//! Messages in the retired API's two variants: inverse with bare numbers, linear with numbers in strings.

use crate::model::UnixNanos;
use crate::venue::bybit::tests::Desk;

fn updates(market: &str, messages: &[&str]) -> Vec<String> {
    Desk::replay(market).texts(messages)
}

#[test]
fn inverse_books() {
    let snapshot = r#"{"topic":"orderBookL2_25.BTCUSD","type":"snapshot","data":[{"price":"2999.00","symbol":"BTCUSD","id":29990000,"side":"Buy","size":9},{"price":"3001.00","symbol":"BTCUSD","id":30010000,"side":"Sell","size":10}],"cross_seq":11518,"timestamp_e6":1555647164875373}"#;
    let delta = r#"{"topic":"orderBookL2_25.BTCUSD","type":"delta","data":{"delete":[{"price":"3001.00","symbol":"BTCUSD","id":30010000,"side":"Sell"}],"update":[{"price":"2999.00","symbol":"BTCUSD","id":29990000,"side":"Buy","size":8}],"insert":[{"price":"3002.50","symbol":"BTCUSD","id":30025000,"side":"Sell","size":7}],"transactTimeE6":0},"cross_seq":11519,"timestamp_e6":1555647221331673}"#;
    let mut desk = Desk::replay("inverse");
    assert_eq!(desk.text(snapshot, 1.0), ["snapshot 0 11518/11518 [2999.00:9] [3001.00:10]"]);
    assert_eq!(desk.said.clocks[0].venue, Some(UnixNanos::from_us(1_555_647_164_875_373)));
    assert_eq!(desk.text(delta, 1.0), ["delta 0 11519/11519 [2999.00:8] [3001.00:0 3002.50:7]"]);
}

#[test]
fn linear_books_have_their_numbers_in_strings() {
    let snapshot = r#"{"topic":"orderBook_200.100ms.ETHUSDT","type":"snapshot","data":{"order_book":[{"price":"2300.05","symbol":"ETHUSDT","id":"23000500","side":"Buy","size":1.5},{"price":"2301","symbol":"ETHUSDT","id":"23010000","side":"Sell","size":"2.25"}]},"cross_seq":"5001","timestamp_e6":"1618677785876543"}"#;
    let delta = r#"{"topic":"orderBook_200.100ms.ETHUSDT","type":"delta","data":{"delete":[],"update":[],"insert":[{"price":"2299.95","symbol":"ETHUSDT","id":"22999500","side":"Buy","size":3}]},"cross_seq":"5009","timestamp_e6":"1618677785896543"}"#;
    let want = ["snapshot 0 5001/5001 [2300.05:1.5] [2301:2.25]", "delta 0 5009/5009 [2299.95:3] []"];
    assert_eq!(updates("linear", &[snapshot, delta]), want);
}

#[test]
fn what_cannot_be_read_doubts_its_book() {
    let message = |kind: &str, data: &str, seq: &str| {
        format!(r#"{{"topic":"orderBookL2_25.X","type":"{kind}","data":{data},"cross_seq":{seq}}}"#)
    };
    for bad in [
        message("snapshot", r#"[{"price":"1","side":"Buy"}]"#, "1"),
        message("snapshot", r#"[{"price":"x","side":"Buy","size":1}]"#, "1"),
        message("snapshot", r#"[{"price":"1","side":"Both","size":1}]"#, "1"),
        message("snapshot", "{}", "1"),
        message("delta", "[1]", "1"),
        message("delta", "{}", "-1"),
        message("other", "{}", "1"),
    ] {
        assert_eq!(updates("inverse", &[&bad]), ["broken Some(0)"], "{bad}");
    }
}

#[test]
fn trades_of_both_variants() {
    let inverse = r#"{"topic":"trade.BTCUSD","data":[{"timestamp":"2020-01-12T16:59:59.000Z","trade_time_ms":1582793344685,"symbol":"BTCUSD","side":"Sell","size":328,"price":8098,"tick_direction":"MinusTick","trade_id":"00c706e1","cross_seq":1052816407}]}"#;
    let linear = r#"{"topic":"trade.ETHUSDT","data":[{"symbol":"ETHUSDT","tick_direction":"PlusTick","price":"2300.5","size":0.25,"timestamp":"2021-04-17T16:43:05.000Z","trade_time_ms":"1618677785876","side":"Buy","trade_id":"a-b"}]}"#;
    let want = ["trade 0 00c706e1 8098 328 sell ? Some(1052816407)", "trade 1 a-b 2300.5 0.25 buy ? None"];
    let mut desk = Desk::replay("inverse");
    let mut found = desk.text(inverse, 1.0);
    assert_eq!(desk.said.clocks[0].event, Some(UnixNanos::from_ms(1_582_793_344_685)));
    found.extend(desk.text(linear, 1.0).into_iter().map(|text| text.replace("trade 0", "trade 1")));
    assert_eq!(found, want);
}

#[test]
fn a_scaled_integer_with_too_many_places_is_left_out() {
    let snapshot = r#"{"topic":"instrument_info.100ms.BTCUSD","type":"snapshot","data":{"last_price_e4":0.000000000000000001,"open_interest":7},"cross_seq":1,"timestamp_e6":1}"#;
    assert_eq!(updates("inverse", &[snapshot]), ["ticker 0 OpenInterest=7"]);
}

#[test]
fn tickers_scale_their_integers_and_merge() {
    let snapshot = r#"{"topic":"instrument_info.100ms.BTCUSD","type":"snapshot","data":{"id":1,"symbol":"BTCUSD","last_price_e4":81165000,"mark_price_e4":81178500,"index_price_e4":81172800,"bid1_price_e4":400025000,"ask1_price_e4":475450000,"open_interest":154418471,"open_value_e8":1997561103030,"funding_rate_e6":-127,"volume_24h":141545098,"turnover_24h_e8":1742321238,"next_funding_time":"2020-01-13T08:00:00Z","cross_seq":1053192634,"updated_at":"2020-01-12T17:01:12.000Z"},"cross_seq":1053192634,"timestamp_e6":1578853275000000}"#;
    let delta = r#"{"topic":"instrument_info.100ms.BTCUSD","type":"delta","data":{"delete":[],"update":[{"id":1,"symbol":"BTCUSD","last_price_e4":81164900,"last_price":"8116.49","cross_seq":1053192657}],"insert":[]},"cross_seq":1053192657,"timestamp_e6":1578853276000000}"#;
    let rest = "Mark=8117.8500 Index=8117.2800 FundingRate=-0.000127 NextFundingTime=1578902400000000000 \
                OpenInterest=154418471 OpenInterestValue=19975.61103030 BidPrice=40002.5000 AskPrice=47545.0000 \
                Volume24h=141545098 Turnover24h=17.42321238";
    let want = [format!("ticker 0 Last=8116.5000 {rest}"), format!("ticker 0 Last=8116.49 {rest}")];
    assert_eq!(updates("inverse", &[snapshot, delta]), want);
    assert_eq!(updates("inverse", &[delta]), [""; 0], "a change of nothing known");
    let linear = snapshot.replace(r#":81165000"#, r#":"81165000""#).replace("BTCUSD", "BTCUSDT");
    assert!(updates("linear", &[&linear])[0].starts_with("ticker 0 Last=8116.5000 Mark=8117.8500"));
}

#[test]
fn candles_may_have_exponents() {
    let inverse = r#"{"topic":"klineV2.1.BTCUSD","data":[{"start":1572425640,"end":1572425700,"open":9200,"close":9202.5,"high":9202.5,"low":9196,"volume":81790,"turnover":8.889247899999999,"confirm":false,"cross_seq":297503466,"timestamp":1572425676958323}],"timestamp_e6":1572425677047994}"#;
    let want =
        "candle 0 1m 1572425640000000000..1572425700000000000 9200 9202.5 9196 9202.5 81790 8.889247899999999 open";
    let mut desk = Desk::replay("inverse");
    assert_eq!(desk.text(inverse, 1.0), [want]);
    assert_eq!(desk.said.clocks[0].event, Some(UnixNanos::from_us(1_572_425_676_958_323)));
    let linear = r#"{"topic":"candle.5.ADAUSDT","data":[{"start":1618677600,"end":1618677900,"period":"5","open":1.4035,"close":1.4,"high":1.41e0,"low":"1.3990","volume":"1.2e5","turnover":"5E-7","confirm":true,"cross_seq":1,"timestamp":1618677785876543}],"timestamp_e6":1618677785896543}"#;
    let want = "candle 0 5m 1618677600000000000..1618677900000000000 1.4035 1.41 1.3990 1.4 120000 0.0000005 closed";
    assert_eq!(updates("linear", &[linear]), [want]);
}

#[test]
fn retired_topics() {
    use super::parse_topic;
    let read = |topic| parse_topic(topic).map(|found| format!("{} {}", found.channel, found.symbols));
    for (topic, want) in [
        ("orderBookL2_25.BTCUSD", "book:25 BTCUSD"),
        ("orderBook_200.100ms.BTCUSD", "book:200 BTCUSD"),
        ("trade.BTCUSD|XRPUSD", "trade BTCUSD|XRPUSD"),
        ("instrument_info.100ms.BTCUSD", "ticker BTCUSD"),
        ("klineV2.360.BTCUSD", "candle:6h BTCUSD"),
        ("klineV2.D.*", "candle:1d *"),
        ("candle.M.BTCUSDT", "candle:1M BTCUSDT"),
        ("liquidation.BTCUSD", "liquidation BTCUSD"),
    ] {
        assert_eq!(read(topic).as_deref(), Some(want));
    }
    for topic in
        ["trade", "trade.", "trade.A.B", "orderBook_200.BTCUSD", "klineV2.7.X", "insurance.BTC", "orderbook.50.X"]
    {
        assert_eq!(read(topic), None, "{topic}");
    }
}
