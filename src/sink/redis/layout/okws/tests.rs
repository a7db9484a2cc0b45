//! Tests of the layout `okws`: its keys, its publications, and which name sees what.

use super::*;
use crate::frame::Retain;
use crate::model::{Mono, UnixNanos};

/// Later than the last time by less than data is told of again.
const NOW: Stamp = Stamp { mono: Mono(1), wall: UnixNanos(1) };

struct Bench {
    layout: OkwsLayout,
}

impl Bench {
    /// With a feed `x_spot` of one symbol.
    fn new() -> Self {
        let options = LayoutOptions {
            prefix: String::new(),
            publish: true,
            stream_length: 0,
            book_depth: 400,
            candles: 1000,
            trades: 1000,
            orders: 1000,
            ttl: 0,
        };
        let mut bench = Self { layout: OkwsLayout::new(Arc::new(options), "okex", "okws/info") };
        bench.status("ETH-USDT", "live", "");
        bench.written("trade.okx.spot.ETH-USDT.", r#"{"market":"spot"}"#);
        bench
    }

    fn written_kept(&mut self, topic: &str, json: &str, retain: Retain) -> Vec<String> {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let frame = Frame { topic: bytes(topic), payload: bytes(json), retain, seq: 1 };
        let mut out = Batch::default();
        self.layout.frame(&frame, NOW, &mut out).unwrap();
        out.lines()
    }

    fn written(&mut self, topic: &str, json: &str) -> Vec<String> {
        self.written_kept(topic, json, Retain::Stream)
    }

    fn status(&mut self, symbol: &str, state: &str, reason: &str) -> Vec<String> {
        let json = format!(
            r#"{{"venue":"okx","market":"spot","symbol":"{symbol}","feed":"x_spot","channel":"book","state":"{state}","reason":"{reason}","detail":"why"}}"#
        );
        self.written_kept(&format!("status.okx.spot.{symbol}."), &json, Retain::Latest)
    }
}

fn asked(name: &str, topic: &str, table: &str) -> Told {
    Told::Asked(Asked {
        name: name.to_owned(),
        venue: "okx".to_owned(),
        market: "spot".to_owned(),
        symbol: "ETH-USDT".to_owned(),
        topic: topic.to_owned(),
        table: table.to_owned(),
    })
}

const TICKER: &str =
    r#"{"market":"spot","symbol":"ETH-USDT","ts_venue":1557127179348000000,"last":"162","bid_price":"161"}"#;

#[test]
fn a_ticker_is_a_hash_published_under_both_names() {
    let lines = Bench::new().written("ticker.okx.spot.ETH-USDT.", TICKER);
    let row = r#"{"instrument_id":"ETH-USDT","last":"162","best_bid":"161","timestamp":"2019-05-06T07:19:39.348Z"}"#;
    let wanted = [
        "HSET okex/x/spot/ticker:ETH-USDT instrument_id ETH-USDT last 162 best_bid 161 timestamp 2019-05-06T07:19:39.348Z"
            .to_owned(),
        format!("PUBLISH okex/x/spot/ticker:ETH-USDT {row}"),
        format!(r#"PUBLISH okex/x/spot/ticker {{"table":"spot/ticker","data":[{row}]}}"#),
    ];
    assert_eq!(lines, wanted);
}

#[test]
fn each_client_sees_the_channel_it_asked_for() {
    let mut bench = Bench::new();
    let mut out = Batch::default();
    bench.layout.tell(asked("y", "book", "spot/depth5"), &mut out);
    let level = |price: u32| format!(r#"["{price}","1"]"#);
    let asks = (1..=7).map(level).collect::<Vec<_>>().join(",");
    let book = format!(r#"{{"market":"spot","symbol":"ETH-USDT","asks":[{asks}],"bids":[]}}"#);
    let lines = bench.written_kept("book.okx.spot.ETH-USDT.", &book, Retain::Conflate);
    let levels = |key: &str| {
        let hash = lines.iter().find(|line| line.starts_with(&format!("HSET {key} "))).unwrap();
        hash.matches("\"1\"]").count()
    };
    assert_eq!(levels("okex/y/spot/depth5:ETH-USDT"), 5);
    assert_eq!(levels("okex/x/spot/depth:ETH-USDT"), 7);
    assert!(
        lines.iter().any(|line| line.contains(r#"{"table":"spot/depth","action":"partial","data":[{"#)),
        "{lines:?}"
    );
    bench.layout.tell(Told::Closed("y".to_owned()), &mut out);
    let lines = bench.written_kept("book.okx.spot.ETH-USDT.", &book, Retain::Conflate);
    assert!(!lines.iter().any(|line| line.contains("okex/y/")), "{lines:?}");
}

#[test]
fn a_book_that_is_no_longer_true_is_taken_away() {
    let mut bench = Bench::new();
    let book = r#"{"market":"spot","symbol":"ETH-USDT","asks":[],"bids":[]}"#;
    bench.written_kept("book.okx.spot.ETH-USDT.", book, Retain::Conflate);
    let del = "DEL okex/x/spot/depth:ETH-USDT".to_owned();
    assert!(bench.status("ETH-USDT", "stale", "gap").contains(&del));
    bench.written_kept("book.okx.spot.ETH-USDT.", book, Retain::Conflate);
    let mut out = Batch::default();
    bench.layout.forget_missing(&HashSet::new(), &mut out);
    bench.layout.forget_missing(&HashSet::new(), &mut out);
    assert_eq!(out.lines(), [del]);
}

#[test]
fn a_finished_candle_is_published_when_the_next_begins() {
    let mut bench = Bench::new();
    let candle = |open_time: u64, close: &str| {
        format!(
            r#"{{"market":"spot","symbol":"ETH-USDT","open_time":{open_time},"open":"1","high":"3","low":"1","close":"{close}","volume":"9","turnover":"90","closed":false}}"#
        )
    };
    let (first, second) = (1_557_127_140_000_000_000, 1_557_127_200_000_000_000);
    let topic = "candle_1m.okx.spot.ETH-USDT.";
    let set = "okex/x/spot/candle60s:ETH-USDT";
    let ts = "2019-05-06T07:19:00.000Z";
    let lines = bench.written(topic, &candle(first, "2"));
    let wanted = [
        format!("HSET {set}/{ts} timestamp {ts} open 1 high 3 low 1 close 2 volume 9 currency_volume 90"),
        format!("ZADD {set} 1557127140 {ts}"),
        format!("EVAL TRIM 1 {set} 1000 {set}/"),
        format!(
            r#"PUBLISH okex/x/spot/candle60s {{"table":"spot/candle60s","data":[{{"candle":["{ts}","1","3","1","2","9","90"],"instrument_id":"ETH-USDT"}}]}}"#
        ),
    ];
    assert_eq!(lines, wanted);
    let finished = |lines: &[String]| lines.iter().filter(|line| line.starts_with(&format!("PUBLISH {set} "))).count();
    assert_eq!(finished(&bench.written(topic, &candle(first, "2.5"))), 0);
    let lines = bench.written(topic, &candle(second, "4"));
    let row = format!(
        r#"{{"timestamp":"{ts}","open":"1","high":"3","low":"1","close":"2.5","volume":"9","currency_volume":"90"}}"#
    );
    assert!(lines.contains(&format!(r#"PUBLISH {set} {{"candle":{row},"timestamp":"{ts}"}}"#)), "{lines:?}");
    assert_eq!(finished(&bench.written(topic, &candle(second, "5"))), 0, "once");
    assert_eq!(finished(&bench.written(topic, &candle(first, "2.5"))), 0, "a hole that is filled");
    assert_eq!(finished(&bench.written(topic, &candle(second, "6"))), 0);
}

#[test]
fn trades_stand_under_both_of_okws_names() {
    let trade =
        r#"{"market":"spot","symbol":"ETH-USDT","ts_event":1000000000,"id":"77","price":"1","size":"2","side":"buy"}"#;
    let lines = Bench::new().written("trade.okx.spot.ETH-USDT.", trade);
    let row = "instrument_id ETH-USDT price 1 side buy size 2 trade_id 77 timestamp 1970-01-01T00:00:01.000Z";
    assert_eq!(lines[0], format!("HSET okex/x/spot/trade/77 {row}"));
    assert_eq!(lines[1], format!("HSET okex/x/spot/trade:77 {row}"));
    assert_eq!(lines[2], "ZADD okex/x/spot/trade 77 77");
    assert_eq!(lines[3], "EVAL TRIM 1 okex/x/spot/trade 1000 okex/x/spot/trade/ okex/x/spot/trade:");
    assert!(lines[4].starts_with(r#"PUBLISH okex/x/spot/trade {"table":"spot/trade","data":[{"#), "{}", lines[4]);
    let named = r#"{"market":"spot","symbol":"ETH-USDT","ts_event":5000000,"id":"a-b"}"#;
    let lines = Bench::new().written("trade.okx.spot.ETH-USDT.", named);
    assert_eq!(lines[2], "ZADD okex/x/spot/trade 5 a-b", "by time");
}

#[test]
fn rows_of_an_account_have_their_keys() {
    let mut bench = Bench::new();
    let order = r#"{"market":"spot","account":"a","symbol":"ETH-USDT","id":"5","state":"open","updated":1000000000}"#;
    let lines = bench.written("order.okx.a.ETH-USDT.", order);
    assert!(lines[1].starts_with("HSET okex/x/spot/order:5 instrument_id ETH-USDT order_id 5 state 0 "), "{lines:?}");
    let balance = r#"{"market":"spot","account":"a","symbol":"ETH","total":"3","available":"2"}"#;
    let lines = bench.written_kept("balance.okx.a.ETH.", balance, Retain::Latest);
    assert_eq!(lines[0], "HSET okex/x/spot/account:ETH currency ETH balance 3 available 2");
    let position = r#"{"market":"spot","account":"a","symbol":"ETH-USDT","size":"-2"}"#;
    let lines = bench.written_kept("position.okx.a.ETH-USDT.", position, Retain::Latest);
    assert_eq!(lines[0], "HSET okex/x/spot/position:ETH-USDT instrument_id ETH-USDT position -2");
}

#[test]
fn a_refusal_of_the_venue_is_an_event() {
    let lines = Bench::new().status("NO-SUCH", "rejected", "rejected");
    let event = r#"PUBLISH okex/x/event {"event":"error","message":"book NO-SUCH: why","errorCode":30040}"#;
    assert!(lines.contains(&event.to_owned()), "{lines:?}");
}

#[test]
fn what_nobody_has_is_not_written() {
    let mut bench = Bench::new();
    assert_eq!(bench.written("ticker.okx.spot.BTC-USDT.", TICKER), [""; 0]);
    for topic in ["delta.okx.spot.ETH-USDT.", "bbo.okx.spot.ETH-USDT.", "heartbeat.", "notice.loss."] {
        assert_eq!(bench.written(topic, "not even read"), [""; 0]);
    }
}
