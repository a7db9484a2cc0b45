//! Data messages as OKX and OKJ sent them or document them, and those of v3.

use std::io::Write;

use super::Desk;
use crate::book::{BookSync, SyncRule, SyncUpdate, Verdict};
use crate::model::{Decimal, Interval, Level, UnixNanos};
use crate::venue::Input;

use super::super::channels::UTC8;
use super::super::data::last_moment;

#[test]
fn books_chain_on_the_id_before() {
    let mut desk = Desk::new("spot", &["book SOL-USDT", "book XRP-JPY"]);
    let said = desk.texts(&[
        r#"{"arg":{"channel":"books","instId":"SOL-USDT"},"action":"snapshot","data":[{"asks":[["120.67","90.475897","0","6"]],"bids":[["120.66","28.448458","0","3"]],"ts":"1790394877200","checksum":0,"seqId":32032594283,"prevSeqId":-1}]}"#,
        r#"{"arg":{"channel":"books","instId":"SOL-USDT"},"action":"update","data":[{"asks":[["120.67","60.475897","0","5"]],"bids":[["120.66","0","0","0"]],"ts":"1790394877300","checksum":0,"seqId":32032594315,"prevSeqId":32032594283}]}"#,
        r#"{"arg":{"channel":"books","instId":"XRP-JPY"},"action":"update","data":[{"asks":[["252.54","32.4","0","1"]],"bids":[],"ts":"1790133750704","checksum":-1242588839,"seqId":4588911,"prevSeqId":4588907}]}"#,
        r#"{"arg":{"channel":"books","instId":"SOL-USDT"},"action":"update","data":[{"asks":[],"bids":[],"ts":"1790394937300","seqId":32032594315,"prevSeqId":32032594315}]}"#,
        r#"{"arg":{"channel":"books","instId":"SOL-USDT"},"action":"update","data":[{"asks":[],"bids":[["120","1","0","1"]],"ts":"1790394937400","seqId":3,"prevSeqId":32032594315}]}"#,
    ]);
    assert_eq!(
        said,
        [
            "snapshot 0 32032594283/0 [120.66:28.448458] [120.67:90.475897]",
            "delta 0 32032594315/0 [120.66:0] [120.67:60.475897] after 32032594283",
            "delta 1 4588911/0 [] [252.54:32.4] after 4588907 sum -1242588839",
            "delta 0 32032594315/0 [] [] after 32032594315",
            "delta 0 3/0 [120:1] [] after 32032594315",
        ]
    );
    assert_eq!(desk.said.clocks[0].event, Some(UnixNanos::from_ms(1_790_394_937_400)));
}

/// The chain of the documentation through the rule: a keep-alive, a reset to smaller ids, a gap.
#[test]
fn the_documented_chain_is_no_gap() {
    let level = |price| [Level { price: Decimal::new(price, 0), size: Decimal::new(1, 0) }];
    let (one, two) = (level(1), level(2));
    let mut sync = BookSync::new(SyncRule::Linked, 100);
    let mut feed = |snapshot, previous, seq, bids: &[Level]| {
        let update = SyncUpdate {
            snapshot,
            seq,
            first: 0,
            previous,
            cross_seq: 0,
            checksum: None,
            middle: None,
            bids,
            asks: &[],
        };
        sync.update(update)
    };
    assert_eq!(feed(true, 0, 10, &one), Verdict::Replaced);
    assert_eq!(feed(false, 10, 15, &two), Verdict::Changed);
    assert_eq!(feed(false, 15, 15, &[]), Verdict::Confirmed);
    assert_eq!(feed(false, 15, 3, &one), Verdict::Changed);
    assert_eq!(feed(false, 3, 5, &two), Verdict::Changed);
    assert_eq!(feed(true, 0, 9, &one), Verdict::Replaced, "a second snapshot replaces the first");
    // 9 to 12 is lost, and with it the reset to 4 that follows is known to be one too late.
    assert!(matches!(feed(false, 12, 4, &two), Verdict::Lost(_)));
}

#[test]
fn whole_books_say_so_by_their_channel() {
    let mut desk = Desk::new("swap", &["bbo BCH-USDT-SWAP", "book:5 BCH-USDT-SWAP"]);
    let said = desk.texts(&[
        r#"{"arg":{"channel":"bbo-tbt","instId":"BCH-USDT-SWAP"},"data":[{"asks":[["111.06","55154","0","2"]],"bids":[["111.05","57745","0","2"]],"ts":"1670324386802","seqId":363996337}]}"#,
        r#"{"arg":{"channel":"books5","instId":"BCH-USDT-SWAP"},"data":[{"asks":[["111.06","55154","0","2"]],"bids":[],"instId":"BCH-USDT-SWAP","ts":"1670324386802","seqId":363996337}]}"#,
        r#"{"arg":{"channel":"bbo-tbt","instId":"BCH-USDT-SWAP"},"data":[{"asks":[["111.06","1","0","2"]],"bids":[],"ts":"1654032991947"}]}"#,
    ]);
    assert_eq!(
        said,
        [
            "snapshot 0 363996337/0 [111.05:57745] [111.06:55154]",
            "snapshot 1 363996337/0 [] [111.06:55154]",
            "snapshot 0 1654032991947/1654032991947 [] [111.06:1]",
        ]
    );
    assert_eq!(desk.said.clocks[0].venue, Some(UnixNanos::from_ms(1_654_032_991_947)), "when it was sent");
}

#[test]
fn trades_of_both_kinds() {
    let mut desk = Desk::new("swap", &["trade SOL-USDT-SWAP"]);
    let trade = r#"{"arg":{"channel":"trades","instId":"SOL-USDT-SWAP"},"data":[{"instId":"SOL-USDT-SWAP","tradeId":"1632918528","px":"120.6","sz":"391.07","side":"sell","ts":"1790394876983","count":"26","source":"0","seqId":92286018766}]}"#;
    assert_eq!(desk.text(trade, 1.0), ["trade 0 1632918528 120.6 391.07 sell ? Some(92286018766)"]);
    let mut desk = Desk::new("swap", &["trade:all SOL-USDT-SWAP"]);
    let single =
        trade.replace("\"trades\"", "\"trades-all\"").replace(r#","count":"26","source":"0","seqId":92286018766"#, "");
    assert_eq!(desk.text(&single, 1.0), ["trade 0 1632918528 120.6 391.07 sell ? None"]);
    assert_eq!(desk.said.clocks[0].event, Some(UnixNanos::from_ms(1_790_394_876_983)));
}

#[test]
fn a_ticker_is_everything_that_is_known() {
    let mut desk = Desk::new("swap", &["ticker BTC-USDT-SWAP"]);
    let said = desk.texts(&[
        r#"{"arg":{"channel":"tickers","instId":"BTC-USDT-SWAP"},"data":[{"instType":"SWAP","instId":"BTC-USDT-SWAP","last":"29963","lastSz":"2","askPx":"29960","askSz":"12","bidPx":"","bidSz":"","open24h":"31589.3","high24h":"31907.2","low24h":"29302","sodUtc0":"29805","sodUtc8":"30753.7","volCcy24h":"108540.53","vol24h":"10854053","ts":"1654166233877"}]}"#,
        r#"{"arg":{"channel":"mark-price","instId":"BTC-USDT-SWAP"},"data":[{"instType":"SWAP","instId":"BTC-USDT-SWAP","markPx":"29960.5","ts":"1654166233878"}]}"#,
        r#"{"arg":{"channel":"index-tickers","instId":"BTC-USDT"},"data":[{"instId":"BTC-USDT","idxPx":"29961","high24h":"1","low24h":"1","open24h":"1","ts":"1654166233879"}]}"#,
        r#"{"arg":{"channel":"funding-rate","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP","instType":"SWAP","fundingRate":"0.0001","nextFundingRate":"","fundingTime":"1744590349506","nextFundingTime":"1744619149506","ts":"1744590349506"}]}"#,
        r#"{"arg":{"channel":"open-interest","instId":"BTC-USDT-SWAP"},"data":[{"instType":"SWAP","instId":"BTC-USDT-SWAP","oi":"5000","oiCcy":"50","oiUsd":"1498000","ts":"1"}]}"#,
        r#"{"arg":{"channel":"price-limit","instId":"BTC-USDT-SWAP"},"data":[{"instId":"BTC-USDT-SWAP","buyLmt":"31000","sellLmt":"29000","enabled":true,"ts":"1"}]}"#,
    ]);
    let last = said.last().expect("a ticker");
    assert_eq!(
        last,
        "ticker 0 Last=29963 Mark=29960.5 Index=29961 FundingRate=0.0001 NextFundingTime=1744590349506000000 OpenInterest=5000 \
         AskPrice=29960 AskSize=12 High24h=31907.2 Low24h=29302 Open24h=31589.3 Volume24h=10854053 buyLmt:31000 enabled:true \
         lastSz:2 nextFundingTime:1744619149506 oiCcy:50 oiUsd:1498000 sellLmt:29000 sodUtc0:29805 sodUtc8:30753.7 \
         volCcy24h:108540.53"
    );
    let mut spot = Desk::new("spot", &["ticker A-B"]);
    let said = spot.text(
        r#"{"arg":{"channel":"tickers","instId":"A-B"},"data":[{"last":"1","vol24h":"2","volCcy24h":"3"}]}"#,
        1.0,
    );
    assert_eq!(said, ["ticker 0 Last=1 Volume24h=2 Turnover24h=3"]);
}

#[test]
fn candles_old_and_new() {
    let mut desk = Desk::new("spot", &["candle:1m BTC-USDT", "candle:1M BTC-USDT"]);
    let said = desk.texts(&[
        r#"{"arg":{"channel":"candle1m","instId":"BTC-USDT"},"data":[["1597026360000","8533.02","8553.74","8527.17","8548.26","45247","529.5858061","5529.5858061","1"],["1597026420000","1","2","1","2","0","0","0","0"]]}"#,
        r#"{"arg":{"channel":"candle1m","instId":"BTC-USDT"},"data":[["1654154580000","29930.7","29936.3","29930.7","29936.3","0.0111536","333.86246417"]]}"#,
        r#"{"arg":{"channel":"candle1Mutc","instId":"BTC-USDT"},"data":[["1769904000000","1","2","1","2","3","4","5","0"]]}"#,
    ]);
    assert_eq!(
        said,
        [
            "candle 0 1m 1597026360000000000..1597026419999000000 8533.02 8553.74 8527.17 8548.26 45247 5529.5858061 closed",
            "candle 0 1m 1597026420000000000..1597026479999000000 1 2 1 2 0 0 open",
            "candle 0 1m 1654154580000000000..1654154639999000000 29930.7 29936.3 29930.7 29936.3 0.0111536 333.86246417 open",
            "candle 1 1M 1769904000000000000..1772323199999000000 1 2 1 2 3 5 open",
        ]
    );
    let mut swap = Desk::new("swap", &["candle:1m A-B-SWAP"]);
    let old = r#"{"arg":{"channel":"candle1m","instId":"A-B-SWAP"},"data":[["1662716640000","1","1","1","1","4070","40.7"]]}"#;
    assert!(swap.text(old, 1.0)[0].ends_with("4070 - open"), "contracts had no turnover then");
    // The month of March in Hong Kong, which begins in February in Greenwich.
    let month = Interval::parse("1M").expect("a month");
    let (march, april) = (1_772_294_400_000, 1_774_972_800_000);
    assert_eq!(last_moment(UnixNanos::from_ms(march), month, UTC8), UnixNanos::from_ms(april - 1));
    assert_eq!(last_moment(UnixNanos(u64::MAX), month, ""), UnixNanos(u64::MAX));
}

#[test]
fn liquidations_are_told_apart_by_symbol() {
    let mut desk = Desk::new("swap", &["liquidation BTC-USDT-SWAP", "liquidation ETH-USDT-SWAP"]);
    assert_eq!(desk.connect()[0].matches("liquidation-orders").count(), 1);
    let message = r#"{"arg":{"channel":"liquidation-orders","instType":"SWAP"},"data":[
        {"details":[{"bkLoss":"0","bkPx":"0.007831","ccy":"","posSide":"short","side":"buy","sz":"13","ts":"1692266434010"}],"instFamily":"IOST-USDT","instId":"IOST-USDT-SWAP","instType":"SWAP","uly":"IOST-USDT"},
        {"details":[{"bkPx":"1","side":"sell","sz":"2","ts":"3"},{"bkPx":"1.5","side":"sell","sz":"1"}],"instId":"ETH-USDT-SWAP"}]}"#;
    assert_eq!(desk.text(message, 1.0), ["liquidation 1 sell 1 2", "liquidation 1 sell 1.5 1"]);
    let mut replay = Desk::replay("swap");
    assert_eq!(replay.text(message, 1.0).len(), 3);
    assert_eq!(replay.said.discovered.len(), 2);
}

#[test]
fn a_bad_message_costs_its_own_stream_only() {
    let mut desk = Desk::new("spot", &["book A-B", "trade A-B", "ticker A-B", "candle:1m A-B"]);
    let arg =
        |channel: &str, data: &str| format!(r#"{{"arg":{{"channel":"{channel}","instId":"A-B"}},"data":{data}}}"#);
    for (channel, data, stream) in [
        ("books", r#"[{"asks":[["1"]],"bids":[],"ts":"1","seqId":1}]"#, 0),
        ("books", r#"[{"asks":[["x","1"]],"bids":[],"ts":"1","seqId":1}]"#, 0),
        ("books", r#"[{"asks":[],"bids":[],"ts":"1","seqId":-4}]"#, 0),
        ("books", r#"[{"asks":[],"bids":[]}]"#, 0),
        ("books", r#"[{"asks":[["12345678901234567890","1"]],"bids":[],"ts":"1","seqId":1}]"#, 0),
        ("trades", r#"[{"tradeId":"1","px":"x","sz":"1","side":"buy"}]"#, 1),
        ("tickers", "[7]", 2),
        ("candle1m", r#"[["1","2"]]"#, 3),
        ("candle1m", r#"[["1","2","x","1","1","1"]]"#, 3),
        ("trades", "{", 1),
    ] {
        let said = desk.text(&arg(channel, data), 1.0);
        assert_eq!(said, [format!("broken Some({stream})")], "{channel} {data}");
    }
    assert_eq!(desk.text(r#"{"arg":"#, 1.0), ["broken None"]);
    assert_eq!(desk.text("{}", 1.0), ["ignored UnknownKind"]);
    assert_eq!(desk.text(&arg("opt-summary", "[]"), 1.0), ["ignored UnknownTopic"]);
    assert_eq!(desk.text(&arg("books", "[]").replace("A-B", "N-B"), 1.0), ["ignored UnknownTopic"]);
}

const V3_BOOK: &str = r#"{"table":"spot/depth_l2_tbt","action":"partial","data":[{"instrument_id":"BTC-USDT","asks":[["38930","3.84264467","0","12"]],"bids":[["38929.9","0.05005381","0","4"]],"timestamp":"2021-06-03T12:39:11.253Z","checksum":1860980846}]}"#;

#[test]
fn messages_of_v3_are_read_from_recordings() {
    let mut desk = Desk::replay("spot");
    let said = desk.texts(&[
        r#"{"event":"subscribe","channel":"spot/trade:BTC-USDT"}"#,
        V3_BOOK,
        r#"{"table":"spot/depth_l2_tbt","action":"update","data":[{"instrument_id":"BTC-USDT","asks":[],"bids":[["38886.3","0","0","0"]],"timestamp":"2021-06-03T12:40:09.962Z","checksum":0}]}"#,
        r#"{"table":"spot/depth5","data":[{"asks":[["0.9788","0.001","1"]],"bids":[["0.9768","0.605755","1"]],"instrument_id":"BETH-ETH","timestamp":"2022-02-25T00:00:01.032Z"}]}"#,
        r#"{"table":"spot/trade","data":[{"side":"sell","trade_id":"161659503","price":"56593.6","size":"0.00020621","instrument_id":"BTC-USDT","timestamp":"2021-03-22T01:16:28.687Z"}]}"#,
        r#"{"table":"spot/candle60s","data":[{"candle":["2022-02-01T00:30:00.000Z","0.050209","0.050209","0.050209","0.050209","722.597549"],"instrument_id":"CELR-USDT"}]}"#,
        r#"{"table":"spot/ticker","data":[{"last":"1","best_bid":"0.9","best_ask":"1.1","instrument_id":"BTC-USDT","timestamp":"2021-03-22T01:16:28.687Z","quote_volume_24h":"5"}]}"#,
        r#"{"table":"swap/trade","data":[{"instrument_id":"BTC-USDT-SWAP"}]}"#,
    ]);
    assert_eq!(
        said,
        [
            "ignored Control",
            "snapshot 0 1622723951253/1622723951253 [38929.9:0.05005381] [38930:3.84264467] sum 1860980846",
            "delta 0 1622724009962/1622724009962 [38886.3:0] []",
            "snapshot 1 1645747201032/1645747201032 [0.9768:0.605755] [0.9788:0.001]",
            "trade 2 161659503 56593.6 0.00020621 sell ? None",
            "candle 3 1m 1643675400000000000..1643675459999000000 0.050209 0.050209 0.050209 0.050209 722.597549 - open",
            "ticker 4 Last=1 BidPrice=0.9 AskPrice=1.1 Turnover24h=5",
            "ignored UnknownTopic",
        ]
    );
    let mut swap = Desk::replay("swap");
    let funding = r#"{"table":"swap/funding_rate","data":[{"estimated_rate":"0.00065","funding_rate":"0.00072933","funding_time":"2021-04-02T00:00:00.000Z","instrument_id":"BTC-USD-SWAP"}]}"#;
    assert_eq!(swap.text(funding, 1.0), ["ticker 0 FundingRate=0.00072933"]);
    let mut futures = Desk::replay("futures");
    let trade = r#"{"table":"futures/trade","data":[{"side":"buy","trade_id":"5430565","price":"60059.7","qty":"20","instrument_id":"BTC-USDT-210625","timestamp":"2021-03-22T01:32:18.087Z"}]}"#;
    assert_eq!(futures.text(trade, 1.0), ["trade 0 5430565 60059.7 20 buy ? None"]);
}

fn deflated(text: &[u8]) -> Vec<u8> {
    let mut writer = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
    writer.write_all(text).expect("memory");
    writer.finish().expect("memory")
}

#[test]
fn compressed_frames_are_inflated_and_bounded() {
    let mut desk = Desk::replay("spot");
    let frame = deflated(V3_BOOK.as_bytes());
    assert!(desk.take(Input::Binary(&frame), 1.0).updates[0].starts_with("snapshot 0 "));
    assert_eq!(super::super::market_of(None, &frame), Some("spot"));
    assert_eq!(desk.take(Input::Binary(&deflated(b"pong")), 1.0).updates, ["ignored Control"]);
    for bad in [&b""[..], b"\xff\xff\xff", &frame[..frame.len() / 2], &deflated(&vec![b' '; 17 << 20])] {
        assert_eq!(desk.take(Input::Binary(bad), 1.0).updates, ["ignored UnknownKind"]);
    }
}

#[test]
fn a_recordings_streams_are_found() {
    let mut desk = Desk::replay("swap");
    let said = desk.texts(&[
        r#"{"arg":{"channel":"index-tickers","instId":"BTC-USDT"},"data":[{"idxPx":"1"}]}"#,
        r#"{"arg":{"channel":"mark-price","instId":"BTC-USDT-SWAP"},"data":[{"markPx":"2"}]}"#,
        r#"{"arg":{"channel":"tickers","instId":"BTC-USDT-SWAP"},"data":[{"last":"3"}]}"#,
        r#"{"arg":{"channel":"index-tickers","instId":"BTC-USDT"},"data":[{"idxPx":"4"}]}"#,
        r#"{"arg":{"channel":"instruments","instType":"SWAP"},"data":[{"instType":"SWAP","instId":"BTC-USDT-SWAP"}]}"#,
    ]);
    assert_eq!(
        said,
        [
            "ignored UnknownTopic",
            "ticker 0 Mark=2",
            "ticker 0 Last=3 Mark=2",
            "ticker 0 Last=3 Mark=2 Index=4",
            "instrument BTC-USDT-SWAP BTC-USDT-PERP",
        ]
    );
    assert_eq!(desk.said.sent, [""; 0]);
}
