//! The hot path against the full parser: whatever the first accepts, the second reads the same. A space behind a message
//! makes the hot path give up.

use proptest::prelude::*;

use super::Desk;
use crate::venue::Input;
use crate::venue::bybit::tests::differential::{mutate, mutation};

const MESSAGES: &[(&str, &str)] = &[
    (
        "spot",
        r#"{"stream":"a@depth@100ms","data":{"e":"depthUpdate","E":1723161255208,"s":"A","U":50093239189,"u":50093239202,"b":[["61737.63000000","0.00000000"],["1","2"]],"a":[["61837.64000000","1.54698000"]]}}"#,
    ),
    (
        "usdm",
        r#"{"stream":"a@depth@100ms","data":{"e":"depthUpdate","E":1721347022504,"T":1721347022504,"s":"A","U":4984028367545,"u":4984028370730,"pu":4984028367494,"b":[["1000.00","569.567"]],"a":[],"ps":"A","st":1}}"#,
    ),
    (
        "spot",
        r#"{"stream":"a@bookTicker","data":{"u":50093239212,"s":"A","b":"61837.63000000","B":"3.78826000","a":"61837.64000000","A":"1.54698000"}}"#,
    ),
    (
        "usdm",
        r#"{"stream":"a@bookTicker","data":{"e":"bookTicker","u":4984028370881,"s":"A","b":"63943.90","B":"46.371","a":"63944.00","A":"0.095","T":1721347022507,"E":1721347022507}}"#,
    ),
    (
        "spot",
        r#"{"stream":"a@trade","data":{"e":"trade","E":1680652800000,"s":"A","t":3071245454,"p":"28165.47000000","q":"0.00056000","b":20720542158,"a":20720542592,"T":1680652799999,"m":true,"M":true}}"#,
    ),
    (
        "usdm",
        r#"{"stream":"a@aggTrade","data":{"e":"aggTrade","E":123456789,"s":"A","a":5933014,"p":"0.001","q":"100","f":100,"l":105,"T":123456785,"m":true,"nq":"90"}}"#,
    ),
];

fn desk(market: &str) -> Desk {
    Desk::new(market, &["book A", "bbo A", "trade A"])
}

fn said(market: &str, message: &[u8]) -> (Vec<String>, String) {
    let mut desk = desk(market);
    let said = desk.take(Input::Text(message), 1.0);
    (said.updates.clone(), format!("{:?}", said.clocks))
}

#[test]
fn the_hot_path_takes_what_the_venue_sends() {
    for (market, message) in MESSAGES {
        let mut session = super::super::session::BinanceSession::new(crate::venue::SessionSpec::of(
            market,
            ["book A", "bbo A", "trade A"].iter().map(|text| super::stream(market, text)).collect(),
        ));
        let mut out = super::Recorder::default();
        assert!(session.read_fast(message.as_bytes(), None, super::at(1.0), &mut out), "{message}");
        assert!(!out.updates.is_empty(), "{message}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 3_000, ..ProptestConfig::default() })]
    #[test]
    fn both_readers_agree(which in 0..MESSAGES.len(), mutations in prop::collection::vec(mutation(), 0..4)) {
        let (market, message) = MESSAGES[which];
        let mutated = mutations.iter().fold(message.as_bytes().to_vec(), |message, mutation| mutate(&message, mutation));
        let mut slow = mutated.clone();
        slow.push(b' ');
        prop_assert_eq!(said(market, &mutated), said(market, &slow), "{}", String::from_utf8_lossy(&mutated));
    }
}
