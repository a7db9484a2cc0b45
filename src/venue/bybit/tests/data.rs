//! Data messages of every topic, in every spelling the venue and JSON allow.

use super::{Desk, at};
use crate::model::{Clocks, UnixNanos};
use crate::venue::Input;

const DELTA: &str = r#"{"topic":"orderbook.50.A","type":"delta","ts":1687940967466,"data":{"s":"A","b":[["30240.00","0"]],"a":[["30248.70","0.5"],["30249.30","0.892"]],"u":177400507,"seq":66544703342},"cts":1687940967464}"#;
const DELTA_WORDS: &str = "delta 0 177400507/66544703342 [30240.00:0] [30248.70:0.5 30249.30:0.892]";

fn desk(channel: &str) -> Desk {
    let mut desk = Desk::new("linear", &[&format!("{channel} A"), "trade B"]);
    desk.take(Input::Connected, 0.0);
    desk
}

#[test]
fn a_book_is_read_whatever_its_spelling() {
    let spellings = [
        DELTA.to_owned(),
        format!(" {DELTA}\n"),
        DELTA.replace(r#""type":"delta","ts":1687940967466,"#, r#""ts":1687940967466,"type":"delta","#),
        DELTA.replace(r#""ts":1687940967466"#, r#""ts":"1687940967466""#),
        DELTA.replace(r#""u":177400507,"seq":66544703342"#, r#""seq":"66544703342","u":"177400507""#),
        DELTA.replace(r#""s":"A""#, r#""new":[1,{"x":null}],"s":"A""#),
        DELTA.replace(r#""30240.00","0""#, r#"30240.00,0"#),
        DELTA.replace(r#""orderbook.50.A""#, r#""orderbook.50.\u0041""#),
        format!(r#"{{"cts":1687940967464,{}}}"#, &DELTA[1..DELTA.len() - 1].replace(r#","cts":1687940967464"#, "")),
    ];
    for spelling in &spellings {
        let mut desk = desk("book:50");
        assert_eq!(desk.text(spelling, 1.0), [DELTA_WORDS], "{spelling}");
        let want = Clocks {
            event: Some(UnixNanos::from_ms(1_687_940_967_464)),
            venue: Some(UnixNanos::from_ms(1_687_940_967_466)),
            recv: Some(at(1.0).wall),
        };
        assert_eq!(desk.said.clocks, [want], "{spelling}");
    }
    let exponents = DELTA.replace("30240.00", "3.024e4").replace(r#""0.892""#, "8.92e-1");
    assert_eq!(desk("book:50").text(&exponents, 1.0), [DELTA_WORDS.replace("30240.00", "30240")]);
}

#[test]
fn nothing_is_read_by_position() {
    let levels = r#"[["30240.00","0"]],[["30248.70","0.5"]]"#;
    let data = format!(r#"["A",{levels},177400507,66544703342]"#);
    let book = format!(r#"{{"topic":"orderbook.50.A","type":"delta","ts":1,"data":{data}}}"#);
    assert_eq!(desk("book:50").text(&book, 1.0), ["broken Some(0)"]);
    let fields = r#"{"s":"A","b":[],"a":[],"u":1,"seq":1}"#;
    let envelope = format!(r#"["orderbook.50.A","snapshot",1,1,1,{fields}]"#);
    assert_eq!(desk("book:50").text(&envelope, 1.0), ["broken None"]);
    let trade = r#"{"topic":"publicTrade.B","type":"snapshot","ts":1,"data":[[1,"B","Buy","1","2","id",false,1]]}"#;
    assert_eq!(desk("book:50").text(trade, 1.0), ["broken Some(1)"]);
}

#[test]
fn what_cannot_be_read_names_its_stream() {
    for ruin in [
        &DELTA[..DELTA.len() - 40],
        &DELTA[..60],
        &DELTA.replace(r#""u":177400507"#, r#""u":-1"#),
        &DELTA.replace(r#""u":177400507"#, r#""u":null"#),
        &DELTA.replace(r#""u":177400507,"#, ""),
        &DELTA.replace(r#""0.892""#, "null"),
        &DELTA.replace(r#""0.892""#, r#""1e400""#),
        &DELTA.replace(r#""0.892""#, r#""NaN""#),
        &DELTA.replace(r#"["30249.30","0.892"]"#, r#"["30249.30"]"#),
        &DELTA.replace(r#"["30249.30","0.892"]"#, "[]"),
        &DELTA.replace("delta", "sigma"),
        &DELTA.replace(r#""u":1774"#, r#""u":1,"u":1774"#),
        r#"{"topic":"orderbook.50.A","type":"delta","data":[]}"#,
        r#"{"topic":"orderbook.50.A","type":"delta"}"#,
    ] {
        assert_eq!(desk("book:50").text(ruin, 1.0), ["broken Some(0)"], "{ruin}");
    }
}

#[test]
fn bad_utf8_in_a_message_names_its_stream() {
    let mut bytes = DELTA.as_bytes().to_vec();
    let at = bytes.len() - 30;
    bytes[at] = 0xff;
    let mut desk = desk("book:50");
    assert_eq!(desk.take(Input::Text(&bytes), 1.0).updates, ["broken Some(0)"]);
}

#[test]
fn garbage_doubts_every_book() {
    for garbage in
        ["", "}", "\u{0}\u{1}", "{\"topic\":", "{\"topic\":5}", "<html>", r#"{"topic":"orderbook.50.ZZZ","type"#]
    {
        assert_eq!(desk("book:50").text(garbage, 1.0), ["broken None"], "{garbage}");
    }
}

#[test]
fn what_nobody_asked_for_is_counted_and_skipped() {
    let mut desk = desk("book:50");
    for (message, why) in [
        (DELTA.replace("orderbook.50.A", "orderbook.50.Z"), "UnknownTopic"),
        (DELTA.replace("orderbook.50.A", "orderbook.rpi.A"), "UnknownTopic"),
        (r#"{"topic":"adlAlert.USDT","data":[]}"#.to_owned(), "UnknownTopic"),
        (r#"{"hello":"world"}"#.to_owned(), "UnknownKind"),
        (r#"{"op":"news","success":true}"#.to_owned(), "UnknownKind"),
        ("{}".to_owned(), "UnknownKind"),
    ] {
        assert_eq!(desk.text(&message, 1.0), [format!("ignored {why}")], "{message}");
    }
    assert_eq!(desk.take(Input::Binary(b"\x00\x01"), 1.0).updates, ["ignored UnknownKind"]);
}

#[test]
fn trades_keep_their_order() {
    let message = r#"{"topic":"publicTrade.B","type":"snapshot","ts":1672304486868,"data":[{"T":1672304486865,"s":"B","S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick","i":"x-2","BT":false,"RPI":false,"seq":9},{"T":1672304486866,"s":"B","S":"Sell","v":"2","p":"16578","i":"x-1","BT":true},{"T":1672304486866,"s":"B","S":"?","v":"2","p":"16578","i":"x-3"}]}"#;
    let want = [
        "trade 1 x-2 16578.50 0.001 buy book Some(9)",
        "trade 1 x-1 16578 2 sell block None",
        "trade 1 x-3 16578 2 unknown ? None",
    ];
    let mut desk = desk("book:50");
    assert_eq!(desk.text(message, 1.0), want);
    assert_eq!(desk.said.clocks[1].event, Some(UnixNanos::from_ms(1_672_304_486_866)));
    assert_eq!(desk.said.clocks[1].venue, Some(UnixNanos::from_ms(1_672_304_486_868)));
    assert_eq!(desk.text(&format!("{message} "), 1.0), want, "the slow way");
    let empty = r#"{"topic":"publicTrade.B","type":"snapshot","ts":1,"data":[]}"#;
    assert_eq!(desk.text(empty, 1.0), [""; 0]);
}

#[test]
fn a_long_trade_message_is_published_whole() {
    let one = |n: u32| format!(r#"{{"T":1,"s":"B","S":"Buy","v":"1","p":"{}","i":"{n}"}}"#, n + 1);
    let list: Vec<_> = (0..1_024).map(one).collect();
    let message = format!(r#"{{"topic":"publicTrade.B","type":"snapshot","ts":1,"data":[{}]}}"#, list.join(","));
    let updates = desk("book:50").text(&message, 1.0);
    assert_eq!(updates.len(), 1_024);
    assert_eq!(updates[1_023], "trade 1 1023 1024 1 buy ? None");
}

#[test]
fn option_trades_come_by_base_coin() {
    let (call, put) = ("BTC-6JAN23-17500-C", "BTC-6JAN23-17500-P");
    let message = format!(
        r#"{{"id":"m","topic":"publicTrade.BTC","type":"snapshot","ts":5,"data":[{{"T":4,"s":"{put}","S":"Sell","v":"1","p":"20","i":"a","mP":"21","iP":"9","mIv":"0.5","iv":"0.6","BT":false}},{{"T":4,"s":"BTC-OTHER","S":"Sell","v":"1","p":"20","i":"b"}},{{"T":4,"s":"{call}","S":"Buy","v":"2","p":"30","i":"c"}}]}}"#
    );
    let mut desk = Desk::new("option", &[&format!("trade {call}"), &format!("trade {put}")]);
    desk.take(Input::Connected, 0.0);
    let want = ["trade 1 a 20 1 sell book None", "ignored UnknownTopic", "trade 0 c 30 2 buy ? None"];
    assert_eq!(desk.text(&message, 1.0), want);
}

#[test]
fn tickers_merge_their_deltas() {
    let mut desk = desk("ticker");
    let message = |kind: &str, data: &str| {
        format!(r#"{{"topic":"tickers.A","type":"{kind}","data":{{"symbol":"A",{data}}},"cs":9,"ts":5}}"#)
    };
    let delta = message("delta", r#""lastPrice":"1""#);
    assert_eq!(desk.text(&delta, 1.0), ["ignored UnknownKind"], "a change of nothing known");
    let first = message(
        "snapshot",
        r#""lastPrice":"66666.60","markPrice":"66666.10","fundingRate":"-0.005","nextFundingTime":"1760342400000","openInterest":"492373.72","preOpenPrice":"","tickDirection":"MinusTick""#,
    );
    let rest = "FundingRate=-0.005 NextFundingTime=1760342400000000000 OpenInterest=492373.72";
    assert_eq!(desk.text(&first, 1.0), [format!("ticker 0 Last=66666.60 Mark=66666.10 {rest}")]);
    assert_eq!(desk.text(&delta, 1.0), [format!("ticker 0 Last=1 Mark=66666.10 {rest}")]);
    let gone = message("delta", r#""fundingRate":"","nextFundingTime":"","markPrice":"2.50""#);
    assert_eq!(desk.text(&gone, 1.0), ["ticker 0 Last=1 Mark=2.50 OpenInterest=492373.72"]);
    let odd = message("delta", r#""markPrice":"1.5e-7","lastPrice":null,"openInterest":"many""#);
    assert_eq!(desk.text(&odd, 1.0), ["ticker 0 Mark=0.00000015"], "what is no number is unknown, not what it was");
    desk.take(Input::Disconnected, 2.0);
    desk.take(Input::Connected, 3.0);
    assert_eq!(desk.text(&delta, 4.0), ["ignored UnknownKind"], "a new connection begins with a snapshot");
}

#[test]
fn a_resync_of_a_ticker_forgets_what_was_merged() {
    let mut desk = desk("ticker");
    desk.text(r#"{"topic":"tickers.A","type":"snapshot","data":{"lastPrice":"1","markPrice":"2"},"ts":5}"#, 1.0);
    desk.take(Input::Resync(crate::model::StreamId(0)), 2.0);
    let delta = r#"{"topic":"tickers.A","type":"delta","data":{"lastPrice":"3"},"ts":5}"#;
    assert_eq!(desk.text(delta, 3.0), ["ignored UnknownKind"]);
}

#[test]
fn tickers_of_spot_and_options() {
    let spot = r#"{"topic":"tickers.A","ts":5,"type":"snapshot","cs":2,"data":{"symbol":"A","lastPrice":"21109.77","highPrice24h":"21426.99","lowPrice24h":"20575","prevPrice24h":"20704.93","volume24h":"6780.86","turnover24h":"141946527.22","price24hPcnt":"0.0196","usdIndexPrice":"21120.2"}}"#;
    let mut desk = Desk::new("spot", &["ticker A"]);
    let want = "ticker 0 Last=21109.77 Index=21120.2 High24h=21426.99 Low24h=20575 Open24h=20704.93 Volume24h=6780.86 Turnover24h=141946527.22";
    assert_eq!(desk.text(spot, 1.0), [want]);
    let option = r#"{"id":"t","topic":"tickers.O","ts":5,"type":"snapshot","data":{"symbol":"O","bidPrice":"0","bidIv":"0","markPriceIv":"0.7567","underlyingPrice":"17039.92","delta":"-0.5","theta":"-26.2"}}"#;
    let mut desk = Desk::new("option", &["ticker O"]);
    let want = "ticker 0 BidPrice=0 MarkIv=0.7567 BidIv=0 Underlying=17039.92 Delta=-0.5 Theta=-26.2";
    assert_eq!(desk.text(option, 1.0), [want]);
}

#[test]
fn candles_say_when_they_are_finished() {
    let mut desk = desk("candle:5m");
    let candle = |confirm: bool, close: &str| {
        format!(
            r#"{{"topic":"kline.5.A","data":[{{"start":1672324800000,"end":1672325099999,"interval":"5","open":"16649.5","close":{close},"high":"16677","low":"16608","volume":"2.081","turnover":"34666.4005","confirm":{confirm},"timestamp":1672324988882}}],"ts":1672324988882,"type":"snapshot"}}"#
        )
    };
    let want = "candle 0 5m 1672324800000000000..1672325099999000000 16649.5 16677 16608 16677 2.081 34666.4005";
    assert_eq!(desk.text(&candle(false, r#""16677""#), 1.0), [format!("{want} open")]);
    assert_eq!(desk.text(&candle(true, "16677"), 1.0), [format!("{want} closed")]);
    assert_eq!(desk.said.clocks[0].event, Some(UnixNanos::from_ms(1_672_324_988_882)));
    assert_eq!(desk.text(&candle(true, "null"), 1.0), ["broken Some(0)"]);
}

#[test]
fn a_liquidated_long_sells() {
    let message = r#"{"topic":"allLiquidation.A","type":"snapshot","ts":1739502303204,"data":[{"T":1739502302929,"s":"A","S":"Buy","v":"20000","p":"0.04499"},{"T":1739502302930,"s":"A","S":"Sell","v":"1","p":"2"}]}"#;
    let mut desk = desk("liquidation");
    assert_eq!(desk.text(message, 1.0), ["liquidation 0 sell 0.04499 20000", "liquidation 0 buy 2 1"]);
}

#[test]
fn a_replay_finds_its_streams() {
    let mut desk = Desk::replay("linear");
    assert_eq!(desk.text(DELTA, 1.0), [DELTA_WORDS]);
    assert_eq!(desk.said.discovered.len(), 1);
    assert_eq!(desk.text(DELTA, 1.0), [DELTA_WORDS]);
    assert_eq!(desk.said.discovered.len(), 0);
    assert_eq!(desk.text(r#"{"topic":"x.y","data":{}}"#, 1.0), ["ignored UnknownTopic"]);
}
