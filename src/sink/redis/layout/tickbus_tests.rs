//! Tests of the layout `tickbus`: every kind of frame, and what a status takes back.

use super::*;

fn options() -> LayoutOptions {
    LayoutOptions {
        prefix: "p".to_owned(),
        publish: false,
        stream_length: 0,
        book_depth: 1,
        candles: 3,
        trades: 5,
        orders: 7,
        ttl: 0,
    }
}

fn frame(topic: &str, json: &str, retain: Retain, seq: u64) -> Frame {
    Frame {
        topic: Bytes::copy_from_slice(topic.as_bytes()),
        payload: Bytes::copy_from_slice(json.as_bytes()),
        retain,
        seq,
    }
}

fn written(layout: &mut TickbusLayout, topic: &str, json: &str, retain: Retain) -> Vec<String> {
    let mut out = Batch::default();
    layout.frame(&frame(topic, json, retain, 1), Stamp::default(), &mut out).unwrap();
    out.lines()
}

fn layout() -> TickbusLayout {
    TickbusLayout::new(Arc::new(options()))
}

#[test]
fn a_latest_value_is_one_hash_replaced_at_once() {
    let mut layout = layout();
    let topic = "ticker.bybit.linear.BTC.";
    let first = written(&mut layout, topic, r#"{"last":"1.50","mark":"2"}"#, Retain::Latest);
    let key = "p:ticker:bybit:linear:BTC";
    let set = |fields: &str| format!("HSET {key} {fields}");
    let del = format!("DEL {key}");
    assert_eq!(first, ["MULTI", &del, &set("last 1.50 mark 2"), "EXEC"]);
    let same = written(&mut layout, topic, r#"{"last":"1.51","mark":"3"}"#, Retain::Latest);
    assert_eq!(same, [set("last 1.51 mark 3")]);
    let other = written(&mut layout, topic, r#"{"last":"1.52"}"#, Retain::Latest);
    assert_eq!(other, ["MULTI", &del, &set("last 1.52"), "EXEC"], "no field is left of before");
    layout.connected(&mut Batch::default());
    let anew = written(&mut layout, topic, r#"{"last":"1.53"}"#, Retain::Latest);
    assert_eq!(anew.len(), 4, "another Redis may hold anything: {anew:?}");
}

#[test]
fn books_are_cut_to_the_depth() {
    let json = r#"{"state":"live","bids":[["2","1"],["1","1"]],"asks":[["3","1"]]}"#;
    let book = written(&mut layout(), "book.b.l.A.", json, Retain::Conflate);
    assert_eq!(book[2], r#"HSET p:book:b:l:A state live bids [["2","1"]] asks [["3","1"]]"#);
}

#[test]
fn candles_and_orders_are_sorted_sets_with_a_hash_an_entry() {
    let mut layout = layout();
    let candle = r#"{"open_time":60000000000,"close":"5"}"#;
    let key = "p:candle_1m:b:l:A";
    let hash = format!("HSET {key}:60000 open_time 60000000000 close 5");
    let add = format!("ZADD {key} 60000 60000");
    let trim = format!("EVAL TRIM 1 {key} 3 {key}:");
    assert_eq!(written(&mut layout, "candle_1m.b.l.A.", candle, Retain::Stream), [&*hash, &*add, &*trim]);
    assert_eq!(written(&mut layout, "candle_1m.b.l.A.", candle, Retain::Stream), [&*hash, &*add], "the same candle");
    let order = r#"{"id":"19","state":"open","updated":7000000}"#;
    let key = "p:order:b:acc%2E1:A";
    let wanted = [
        format!("HSET {key}:19 id 19 state open updated 7000000"),
        format!("ZADD {key} 7 19"),
        format!("EVAL TRIM 1 {key} 7 {key}:"),
    ];
    assert_eq!(written(&mut layout, "order.b.acc%2E1.A.", order, Retain::Stream), wanted);
}

#[test]
fn trades_are_a_capped_list() {
    let trade = r#"{"id":"1","price":"2"}"#;
    let wanted = [format!("LPUSH p:trade:b:l:A {trade}"), "LTRIM p:trade:b:l:A 0 4".to_owned()];
    assert_eq!(written(&mut layout(), "trade.b.l.A.", trade, Retain::Stream), wanted);
}

#[test]
fn a_status_takes_back_what_it_no_longer_vouches_for() {
    let mut layout = layout();
    written(&mut layout, "book.b.l.A.", r#"{"bids":[],"asks":[]}"#, Retain::Conflate);
    let status =
        r#"{"venue":"b","market":"l","symbol":"A","feed":"f","channel":"book","state":"stale","reason":"gap"}"#;
    let lines = written(&mut layout, "status.b.l.A.", status, Retain::Latest);
    assert_eq!(lines[4..], ["DEL p:book:b:l:A", "DEL p:bbo:b:l:A"]);
    let again = written(&mut layout, "book.b.l.A.", r#"{"bids":[],"asks":[]}"#, Retain::Conflate);
    assert_eq!(again.len(), 4, "the whole hash: {again:?}");
    let whole = r#"{"venue":"b","market":"l","symbol":"","feed":"f","state":"live"}"#;
    let lines = written(&mut layout, "status.b.l..", whole, Retain::Latest);
    assert_eq!(lines[1], "DEL p:feed:f");
    let of_account =
        r#"{"venue":"b","market":"l","account":"me","symbol":"","feed":"f","channel":"order","state":"live"}"#;
    let lines = written(&mut layout, "status.b.me.order.", of_account, Retain::Latest);
    assert!(lines.iter().any(|line| line.starts_with("HSET p:status:b:me:order ")), "{lines:?}");
    assert!(lines.iter().all(|line| !line.contains("p:feed:")), "{lines:?}");
    let other =
        r#"{"venue":"b","market":"l","symbol":"A","feed":"f","channel":"trade","state":"stale","reason":"invalid"}"#;
    assert_eq!(written(&mut layout, "status.b.l.A.", other, Retain::Stream), [""; 0], "another channel's trouble");
}

#[test]
fn what_the_bus_keeps_no_more_is_taken_away() {
    let mut layout = layout();
    for topic in ["book.b.l.A.", "ticker.b.l.A.", "instrument.b.l.A.", "bbo.b.l.B."] {
        written(&mut layout, topic, r#"{"x":1}"#, Retain::Latest);
    }
    let kept = HashSet::from([Bytes::from_static(b"ticker.b.l.A.")]);
    layout.connected(&mut Batch::default());
    let mut out = Batch::default();
    layout.forget_missing(&kept, &mut out);
    let mut gone = out.lines();
    gone.sort();
    assert_eq!(gone, ["DEL p:bbo:b:l:B", "DEL p:book:b:l:A"]);
    let mut out = Batch::default();
    layout.forget_missing(&kept, &mut out);
    assert_eq!(out.lines(), [""; 0], "once");
}

#[test]
fn every_frame_is_passed_on_as_json() {
    let options = LayoutOptions { publish: true, stream_length: 9, ttl: 60, ..options() };
    let mut layout = TickbusLayout::new(Arc::new(options));
    let delta = r#"{"epoch":5,"bids":[]}"#;
    let lines = written(&mut layout, "delta.b.l.A.", delta, Retain::Stream);
    let key = "p:stream:delta.b.l.A.";
    let add = format!("XADD {key} MAXLEN ~ 9 * epoch 5 seq 1 payload {delta}");
    assert_eq!(lines, [format!("PUBLISH delta.b.l.A. {delta}"), add, format!("EXPIRE {key} 60")]);
    let packed = b"\xde\x00\x01\xa4last\xa11";
    let frame = Frame {
        topic: Bytes::from_static(b"ticker.b.l.A."),
        payload: Bytes::from_static(packed),
        retain: Retain::Latest,
        seq: 1,
    };
    let mut out = Batch::default();
    layout.frame(&frame, Stamp::default(), &mut out).unwrap();
    let published = out.lines();
    assert!(published.contains(&r#"PUBLISH ticker.b.l.A. {"last":"1"}"#.to_owned()), "{published:?}");
    assert!(published.contains(&"EXPIRE p:ticker:b:l:A 60".to_owned()), "{published:?}");
}

#[test]
fn what_cannot_be_read_adds_nothing() {
    let mut out = Batch::default();
    for payload in ["", "{", "[]", "\u{1}"] {
        let odd = frame("ticker.b.l.A.", payload, Retain::Latest, 1);
        assert!(layout().frame(&odd, Stamp::default(), &mut out).is_err(), "{payload:?}");
    }
    assert!(out.is_empty());
    assert_eq!(written(&mut layout(), "candle_1m.b.l.A.", "{}", Retain::Stream), [""; 0]);
    assert_eq!(written(&mut layout(), "order.b.l.A.", "{}", Retain::Stream), [""; 0]);
}
