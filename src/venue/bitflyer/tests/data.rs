//! Books, trades and tickers, from messages as the venue sends them.

use super::Desk;
use crate::model::UnixNanos;
use crate::venue::Input;

const TICKER: &str = r#"{"product_code":"BTC_JPY","state":"RUNNING","timestamp":"2019-04-11T05:14:12.3739915Z","tick_id":25965446,"best_bid":580006.0,"best_ask":580771.0,"best_bid_size":2.00000013,"best_ask_size":0.4,"total_bid_depth":1581.64414981,"total_ask_depth":1415.32079982,"market_bid_size":0.0,"market_ask_size":0.0,"ltp":580790.0,"volume":6703.96837634,"volume_by_product":6703.96837634,"preopen_end":null}"#;

fn board(desk: &mut Desk, message: &str) -> Vec<String> {
    desk.data("lightning_board_BTC_JPY", message)
}

#[test]
fn books_have_the_venues_numbers_and_no_ids() {
    let mut desk = Desk::new("spot", &["book BTC_JPY", "bbo BTC_JPY"]);
    let whole = r#"{"mid_price":33320.0,"bids":[{"price":30000.0,"size":0.1},{"price":25570.0,"size":3.0}],"asks":[{"price":36640.0,"size":5.0},{"size":1e-08,"price":36700}]}"#;
    let said = desk.data("lightning_board_snapshot_BTC_JPY", whole);
    let [first, second] = [0, 1]
        .map(|id| format!("snapshot {id} 0/0 [30000.0:0.1 25570.0:3.0] [36640.0:5.0 36700:0.00000001] middle 33320.0"));
    assert_eq!(said, [first, second], "for the book and for its best");
    let said = board(&mut desk, r#"{"mid_price":35625.0,"bids":[{"price":33350.0,"size":0.0}],"asks":[]}"#);
    assert_eq!(said[0], "delta 0 0/0 [33350.0:0.0] [] middle 35625.0");
    let clocks = desk.said.clocks[0];
    assert_eq!((clocks.event, clocks.venue, clocks.recv.is_some()), (None, None, true));
}

#[test]
fn what_cannot_be_read_costs_its_book_only() {
    let mut desk = Desk::new("spot", &["book BTC_JPY", "ticker BTC_JPY", "trade BTC_JPY"]);
    for message in [
        r#"{"mid_price":1.0,"bids":[{"price":1.0}],"asks":[]}"#,
        r#"{"mid_price":1.0,"bids":{},"asks":[]}"#,
        r#"{"mid_price":1.0,"bids":[]}"#,
        r#"{"mid_price":"x","bids":[],"asks":[]}"#,
        r#"{"mid_price":1.0,"bids":[{"price":99999999999999999999.0,"size":1}],"asks":[]}"#,
        r#"{"mid_price":1.0,"bids":[[1,2]],"asks":[]}"#,
    ] {
        assert_eq!(board(&mut desk, message), ["broken Some(0)"], "{message}");
    }
    assert_eq!(board(&mut desk, r#"{"mid_price":null,"bids":[],"asks":[],"more":{"x":[1]}}"#).len(), 1);
    assert_eq!(desk.data("lightning_executions_BTC_JPY", "{}"), ["broken Some(2)"]);
    assert_eq!(desk.data("lightning_ticker_BTC_JPY", "[]"), ["broken Some(1)"], "and not the book");
    let torn = &super::frame("lightning_board_snapshot_BTC_JPY", "{\"mid_price\":1")[..110];
    assert_eq!(desk.text(torn, 1.0), ["broken Some(0)"]);
}

#[test]
fn in_an_auction_the_middle_price_does_not_count() {
    let mut desk = Desk::new("spot", &["book BTC_JPY", "ticker BTC_JPY"]);
    let waiting = r#"{"mid_price":99.0,"bids":[{"price":0.0,"size":3.5},{"price":98.0,"size":1.0}],"asks":[{"price":0.0,"size":0.0}]}"#;
    let said = board(&mut desk, waiting);
    assert_eq!(said, ["delta 0 0/0 [98.0:1.0] []"]);
    let said = desk.data("lightning_ticker_BTC_JPY", &TICKER.replace("RUNNING", "PREOPEN"));
    assert!(said[1].contains("stream: Some(StreamId(0))") && said[1].contains("at PREOPEN"), "{said:?}");
    let plain = r#"{"mid_price":99.0,"bids":[{"price":98.0,"size":1.0}],"asks":[]}"#;
    assert!(!board(&mut desk, plain)[0].contains("99.0"));
    // It is told once, and when it is over.
    assert_eq!(desk.data("lightning_ticker_BTC_JPY", &TICKER.replace("RUNNING", "PREOPEN")).len(), 1);
    let said = desk.data("lightning_ticker_BTC_JPY", TICKER);
    assert!(said[1].ends_with("detail: \"\" }"), "{said:?}");
    assert!(board(&mut desk, plain)[0].contains("99.0"));
    desk.data("lightning_ticker_BTC_JPY", &TICKER.replace("RUNNING", "CIRCUIT BREAK"));
    desk.take(Input::Connected, 2.0);
    assert!(board(&mut desk, plain)[0].contains("99.0"), "another connection knows nothing of it");
}

#[test]
fn trades_have_the_takers_side_and_the_engines_time() {
    let mut desk = Desk::new("spot", &["trade BTC_JPY"]);
    let rows = r#"[{"id":39361,"side":"SELL","price":35100.0,"size":0.01,"exec_date":"2015-07-07T10:44:33.547Z","buy_child_order_acceptance_id":"JRF1","sell_child_order_acceptance_id":"JRF2"},
      {"id":39362,"side":"BUY","price":35101.0,"size":1e-05,"exec_date":"2015-07-07T10:44:33.5471234"},
      {"id":39363,"side":"","price":35102.0,"size":2,"exec_date":"soon"}]"#;
    let said = desk.data("lightning_executions_BTC_JPY", rows);
    assert_eq!(said.len(), 3);
    for (said, parts) in
        said.iter().zip([["39361", "35100.0", "0.01"], ["39362", "35101.0", "0.00001"], ["39363", "35102.0", "2"]])
    {
        assert!(parts.iter().all(|part| said.contains(part)), "{parts:?}: {said}");
    }
    let sides = ["Sell", "Buy", "Unknown"];
    assert!(said.iter().zip(sides).all(|(said, side)| said.to_lowercase().contains(&side.to_lowercase())), "{said:?}");
    let events: Vec<_> = desk.said.clocks.iter().map(|clocks| clocks.event).collect();
    let first = UnixNanos(1_436_265_873_547_000_000);
    assert_eq!(events, [Some(first), Some(UnixNanos(first.0 + 123_400)), None]);
}

#[test]
fn a_ticker_is_whole() {
    let mut desk = Desk::new("spot", &["ticker BTC_JPY"]);
    let said = desk.data("lightning_ticker_BTC_JPY", TICKER);
    for part in ["580790.0", "580006.0", "2.00000013", "580771.0", "0.4", "6703.96837634", "RUNNING", "1581.64414981"] {
        assert!(said[0].contains(part), "{part}: {said:?}");
    }
    assert!(!said[0].contains("preopen_end") && !said[0].contains("product_code"), "{said:?}");
    assert_eq!(desk.said.clocks[0].venue, Some(UnixNanos(1_554_959_652_373_991_500)));
    let less = TICKER.replace(r#""best_bid":580006.0,"#, "");
    assert!(!desk.data("lightning_ticker_BTC_JPY", &less)[0].contains("580006.0"), "nothing of the last one is kept");
}

#[test]
fn a_recording_brings_its_own_streams_of_its_market() {
    let mut desk = Desk::replay("fx");
    assert_eq!(desk.take(Input::Connected, 0.0).sent, [""; 0]);
    let empty = r#"{"mid_price":1.0,"bids":[],"asks":[]}"#;
    assert_eq!(desk.data("lightning_board_FX_BTC_JPY", empty).len(), 1);
    assert_eq!(desk.data("lightning_board_BTC_JPY", empty), ["ignored UnknownTopic"]);
    desk.data("lightning_board_snapshot_FX_BTC_JPY", empty);
    desk.data("lightning_ticker_FX_BTC_JPY", TICKER);
    let found: Vec<_> = desk.said.discovered.iter().map(ToString::to_string).collect();
    assert_eq!(found[0], "FX_BTC_JPY book:300");
    assert!(found.contains(&"FX_BTC_JPY ticker".to_owned()), "{found:?}");
    let list = desk.http(0, Some(200), super::MARKETS, 1.0).updates.clone();
    assert!(list.len() == 1 && list[0].contains("FX_BTC_JPY"), "{list:?}");
}
