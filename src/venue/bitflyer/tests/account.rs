//! Signing in, and the account's rows, from the stream and from REST.

use super::{Desk, VENUE, done, spec};
use crate::model::StreamId;
use crate::secret::Secret;
use crate::sign;
use crate::venue::{Credentials, Input, SessionSpec, Signer};

const FAILED: &str =
    r#"{"jsonrpc":"2.0","id":"auth","error":{"code":-32000,"message":"Authentication failed","data":"invalid"}}"#;
const ACCEPTED: &str = r#"{"jsonrpc":"2.0","id":"auth","result":true}"#;

fn signed(streams: &[&str]) -> Desk {
    let secret = |text: &str| Secret::new(text.to_owned());
    let credentials = Credentials { key: secret("k"), secret: secret("testsecret"), passphrase: None };
    let api = sign::find("bitflyer").expect("known");
    let signer = Signer::new("desk", api, credentials, "https://api.bitflyer.com").expect("usable");
    Desk::of(SessionSpec { signer: Some(signer), ..spec("spot", streams) })
}

/// Signed in, and every channel confirmed; the calls that were made then, in order of their ids.
fn open(streams: &[&str]) -> (Desk, Vec<(u64, String)>) {
    let mut desk = signed(streams);
    desk.take(Input::Connected, 0.0);
    let mut sent = desk.take(Input::Text(ACCEPTED.as_bytes()), 0.1).sent.clone();
    sent.extend(desk.take(Input::Timeout, 0.2).sent.clone());
    let mut calls = Vec::new();
    for request in sent {
        let said = desk.take(Input::Text(done(&request).as_bytes()), 0.3);
        calls.extend(said.requests.iter().map(|call| (call.id, call.path.clone())));
    }
    (desk, calls)
}

/// Answers the calls of one image one after the other, and returns all updates.
fn answer(desk: &mut Desk, mut id: u64, mut body: impl FnMut(&str) -> String, path: &str) -> Vec<String> {
    let (mut path, mut said) = (path.to_owned(), Vec::new());
    loop {
        let text = body(&path);
        let heard = desk.http(id, Some(200), text.as_bytes(), 1.0);
        said.extend(heard.updates.clone());
        let Some(next) = heard.requests.first() else { return said };
        assert!(next.signed, "{}", next.path);
        (id, path) = (next.id, next.path.clone());
    }
}

#[test]
fn a_login_comes_first_and_what_needs_it_after_it() {
    let mut desk = signed(&["order", "fill"]);
    let said = desk.take(Input::Connected, 0.0);
    let login: serde_json::Value = serde_json::from_str(&said.sent[0]).expect("JSON");
    assert_eq!((said.sent.len(), &login["method"], &login["id"]), (1, &"auth".into(), &"auth".into()));
    let params = &login["params"];
    let (time, nonce) = (params["timestamp"].as_u64().expect("a time"), params["nonce"].as_str().expect("a nonce"));
    assert_eq!((time, nonce.len(), &params["api_key"]), (1_700_000_000_000, 32, &"k".into()));
    assert_eq!(params["signature"], crate::sim::bitflyer::sign("testsecret", &format!("{time}{nonce}")));
    assert_eq!(desk.take(Input::Timeout, 5.0).sent, [""; 0]);
    let sent = desk.take(Input::Text(ACCEPTED.as_bytes()), 5.1).sent.clone();
    assert!(sent[0].contains("child_order_events"), "{sent:?}");
    desk.take(Input::Disconnected, 6.0);
    let again = desk.take(Input::Connected, 6.0).sent.clone();
    assert!(again.len() == 1 && !again[0].contains(nonce), "the login again, with another nonce: {again:?}");
    assert_eq!(desk.take(Input::Timeout, 16.0).reconnects, ["no answer to signing in in 10 s"]);
}

#[test]
fn a_refused_login_is_told_and_tried_again_slowly() {
    let mut desk = signed(&["order", "balance"]);
    desk.take(Input::Connected, 0.0);
    let words = "-32000: Authentication failed (invalid)";
    let refused = [format!("rejected 0: {words}"), format!("rejected 1: {words}")];
    assert_eq!(desk.text(FAILED, 1.0)[1..], refused);
    desk.take(Input::Disconnected, 2.0);
    let said = desk.take(Input::Connected, 3.0);
    assert_eq!((said.sent.len(), said.updates.as_slice()), (0, &refused[..]), "it holds over connections");
    assert_eq!(desk.wakes_at(), Some(301.0));
    assert_eq!(desk.take(Input::Timeout, 301.0).sent.len(), 1);
    let child = super::stream("spot", "fill");
    desk.text(FAILED, 302.0);
    let said = desk.take(Input::Subscribe { id: StreamId(5), stream: &child }, 303.0);
    assert_eq!(said.updates, [format!("rejected 5: {words}")]);
}

#[test]
fn without_a_key_the_venues_words_are_told() {
    let mut desk = Desk::new("spot", &["order"]);
    let sent = desk.take(Input::Connected, 0.0).sent.clone();
    assert!(sent[0].contains("child_order_events"));
    let refusal = r#"{"jsonrpc":"2.0","id":1,"error":{"code":-32007,"message":"authentication required"}}"#;
    assert_eq!(desk.text(refusal, 1.0), ["ignored Control", "rejected 0: -32007: authentication required"]);
    assert_eq!((VENUE.route_of)("spot", &super::stream("spot", "fill")), super::super::PRIVATE);
}

/// An event of one order.
fn event(kind: &str, more: &str) -> String {
    format!(
        r#"[{{"product_code":"BTC_JPY","child_order_id":"JOR1","child_order_acceptance_id":"JRF1","event_date":"2026-11-21T12:00:00.1234567Z","event_type":"{kind}"{more}}}]"#
    )
}

#[test]
fn events_become_rows_of_orders_and_fills() {
    let (mut desk, _) = open(&["order", "fill"]);
    let mut told = |kind: &str, more: &str| desk.data("child_order_events", &event(kind, more));
    let limit = r#","child_order_type":"LIMIT","side":"BUY","price":14250000.0,"size":0.05,"expire_date":"2026-12-21T12:00:00""#;
    assert_eq!(
        told("ORDER", limit),
        [
            "order desk spot/BTC_JPY id=JRF1 side=buy order_type=limit price=14250000.0 size=0.05 state=open child_order_id=JOR1 expire_date=2026-12-21T12:00:00"
        ]
    );
    let fill = |left: &str| {
        format!(
            r#","exec_id":77,"side":"BUY","price":14250000.0,"size":0.02,"commission":1e-05,"sfd":0.0,"outstanding_size":{left}"#
        )
    };
    assert_eq!(
        told("EXECUTION", &fill("0.03")),
        [
            "order desk spot/BTC_JPY id=JRF1 child_order_id=JOR1 state=partially_filled remaining=0.03",
            "fill desk spot/BTC_JPY id=77 order_id=JRF1 side=buy price=14250000.0 size=0.02 fee=1e-05 sfd=0.0 child_order_id=JOR1"
        ]
    );
    assert!(told("EXECUTION", &fill("0.0"))[0].contains("state=filled remaining=0.0"));
    let market = limit.replace("LIMIT", "MARKET").replace("14250000.0", "0.0");
    assert!(!told("ORDER", &market)[0].contains("price="), "a market order has none");
    for (kind, more, words) in [
        ("ORDER_FAILED", r#","reason":"Insufficient funds""#, "state=rejected reason=Insufficient funds"),
        ("CANCEL", "", "state=cancelled"),
        ("EXPIRE", "", "state=expired"),
        ("CANCEL_FAILED", "", "event_type=CANCEL_FAILED"),
    ] {
        let said = told(kind, more);
        assert!(said.len() == 1 && said[0].contains(words), "{kind}: {said:?}");
    }
    assert!(!told("CANCEL_FAILED", "")[0].contains("state="), "the order is what it was");
    let at = desk.said.clocks[0].event.map(|at| at.0 % 1_000_000_000);
    assert_eq!(at, Some(123_456_700));
    let parent = r#"[{"product_code":"FX_BTC_JPY","parent_order_id":"JCO1","parent_order_acceptance_id":"JRF9","event_date":"2026-11-21T12:00:00Z","event_type":"TRIGGER","child_order_type":"MARKET","parameter_index":2,"child_order_acceptance_id":"JRF2","side":"SELL","price":0,"size":0.1}]"#;
    assert_eq!(
        desk.data("parent_order_events", parent),
        [
            "order desk fx/FX_BTC_JPY id=JRF9 side=sell size=0.1 state=triggered parent_order_id=JCO1 child_order_type=market child_order_acceptance_id=JRF2 parameter_index=2 kind=parent"
        ]
    );
    assert_eq!(desk.data("child_order_events", "{}"), ["broken Some(0)", "broken Some(1)"]);
}

#[test]
fn open_orders_are_read_and_what_was_missed_is_told() {
    let (mut desk, calls) = open(&["order"]);
    let [(id, path)] = &calls[..] else { panic!("{calls:?}") };
    assert_eq!(path, "/v1/me/getchildorders?product_code=BTC_JPY&child_order_state=ACTIVE&count=500");
    let open_order = r#"[{"id":0,"child_order_id":"JOR1","product_code":"BTC_JPY","side":"BUY","child_order_type":"LIMIT","price":30000,"average_price":0,"size":0.1,"child_order_state":"ACTIVE","expire_date":"2026-12-14T07:25:52","child_order_date":"2026-11-07T08:45:53","child_order_acceptance_id":"JRF1","outstanding_size":0.1,"cancel_size":0,"executed_size":0,"total_commission":0,"time_in_force":"GTC"}]"#;
    let mut products = Vec::new();
    let said = answer(
        &mut desk,
        *id,
        |path| {
            products.push(path.split(['=', '&']).nth(1).unwrap_or_default().to_owned());
            if path.contains("=BTC_JPY&") { open_order.to_owned() } else { "[]".to_owned() }
        },
        path,
    );
    assert_eq!((products.len(), products.last().map(String::as_str)), (9, Some("FX_BTC_JPY")));
    assert_eq!(
        said,
        [
            "order desk spot/BTC_JPY id=JRF1 side=buy order_type=limit price=30000 size=0.1 filled=0 remaining=0.1 average_price=0 state=open child_order_id=JOR1 expire_date=2026-12-14T07:25:52 fee=0 created=1794041153000000000",
            "subscribed 0"
        ]
    );
    // It was filled while nobody was connected.
    desk.take(Input::Disconnected, 2.0);
    desk.take(Input::Connected, 3.0);
    let sent = desk.take(Input::Text(ACCEPTED.as_bytes()), 3.1).sent.clone();
    let call = desk.take(Input::Text(done(&sent[0]).as_bytes()), 3.2).requests[0].clone();
    let said = answer(&mut desk, call.id, |_| "[]".to_owned(), &call.path);
    assert!(said[0].starts_with("order desk spot/BTC_JPY id=JRF1 state=closed"), "{said:?}");
    // What the stream tells while the image is under way is newer than it.
    let call = desk.initialize(4.0)[0].clone();
    desk.data("child_order_events", &event("CANCEL", ""));
    let said = answer(&mut desk, call.id, |_| open_order.to_owned(), &call.path);
    assert!(!said.iter().any(|said| said.contains("state=open")), "{said:?}");
}

#[test]
fn positions_and_balances_are_read_and_read_again_after_a_trade() {
    let (mut desk, calls) = open(&["position", "balance"]);
    let paths: Vec<_> = calls.iter().map(|(_, path)| path.as_str()).collect();
    assert_eq!(paths, ["/v1/me/getpositions?product_code=FX_BTC_JPY", "/v1/me/getbalance"]);
    let lot = |side: &str, price: &str, size: &str| {
        format!(
            r#"{{"product_code":"FX_BTC_JPY","side":"{side}","price":{price},"size":{size},"commission":0,"swap_point_accumulate":-35,"require_collateral":120000.5,"open_date":"2015-11-03T10:04:45.011","leverage":2,"pnl":965,"sfd":-0.5}}"#
        )
    };
    let two = format!("[{},{}]", lot("SELL", "36000", "0.1"), lot("SELL", "36000", "1e-02"));
    assert_eq!(
        answer(&mut desk, calls[0].0, |_| two.clone(), paths[0]),
        [
            "position desk fx/FX_BTC_JPY size=-0.11 entry_price=36000 margin=240001 unrealised_pnl=1930 leverage=2 side=sell lots=2 opened=1446545085011000000",
            "subscribed 0"
        ]
    );
    let balances = |path: &str| match path {
        "/v1/me/getbalance" => {
            r#"[{"currency_code":"JPY","amount":1024078.0,"available":508000.0},{"currency_code":"BTC","amount":10.24,"available":4.12}]"#
        }
        _ => r#"{"collateral":100000,"open_position_pnl":-715,"require_collateral":19857,"keep_rate":5.000}"#,
    };
    assert_eq!(
        answer(&mut desk, calls[1].0, |path| balances(path).to_owned(), paths[1]),
        [
            "balance desk -/JPY total=1024078.0 available=508000.0",
            "balance desk -/BTC total=10.24 available=4.12",
            "balance desk -/JPY total=100000 unrealised_pnl=-715 required=19857 keep_rate=5.000 kind=collateral",
            "subscribed 1"
        ]
    );
    let fill = r#","exec_id":1,"side":"SELL","price":1.0,"size":1.0,"commission":0.0,"sfd":0.0,"outstanding_size":0.0"#;
    desk.data("child_order_events", &event("CANCEL", ""));
    assert_eq!(desk.wakes_at(), None, "no trade");
    // A second after the trade, or five after the last time: others wait with it.
    desk.data("child_order_events", &event("EXECUTION", fill));
    desk.text(&super::frame("child_order_events", &event("EXECUTION", fill)), 4.0);
    assert_eq!(desk.wakes_at(), Some(5.0), "five seconds after the beginning");
    let calls: Vec<_> = desk.take(Input::Timeout, 5.0).requests.iter().map(|c| (c.id, c.path.clone())).collect();
    assert_eq!(calls.len(), 2);
    let two = format!("[{},{}]", lot("BUY", "36000", "0.1"), lot("BUY", "36001", "0.1"));
    let said = answer(&mut desk, calls[0].0, |_| two.clone(), &calls[0].1);
    assert!(said.iter().any(|said| said.contains("size=0.2 margin=240001")), "no price for both: {said:?}");
    assert!(said.iter().any(|said| said.contains("side=sell size=0")), "the other side is gone: {said:?}");
    desk.text(&super::frame("child_order_events", &event("EXECUTION", fill)), 6.0);
    assert_eq!(desk.wakes_at(), Some(10.0));
}

#[test]
fn refusals_of_rest_are_told_in_the_venues_words() {
    let (mut desk, calls) = open(&["balance"]);
    let said = desk.http(calls[0].0, Some(401), br#"{"status":-500,"error_message":"Key not found","data":null}"#, 1.0);
    assert_eq!(said.updates, ["rejected 0: HTTP 401: Key not found"], "it is the key");
    assert_eq!(desk.initialize(200.0), [], "which is shown again after five minutes");
    let call = desk.take(Input::Timeout, 301.0).requests[0].clone();
    let next = desk.http(call.id, Some(200), b"[]", 301.1).requests[0].clone();
    assert_eq!(next.path, "/v1/me/getcollateral");
    assert_eq!(desk.http(next.id, Some(400), b"{}", 301.2).updates, ["subscribed 0"], "an account without the CFD");
    let call = desk.initialize(302.0)[0].clone();
    let said = desk.http(call.id, Some(200), b"<html>", 302.1).updates.clone();
    assert!(said[0].contains("could not be read"), "{said:?}");
}

#[test]
fn executions_that_were_missed_are_read_of_every_product_and_back_to_the_loss() {
    let (mut desk, calls) = open(&["fill"]);
    assert!(calls.is_empty(), "nothing was missed");
    desk.take(Input::Disconnected, 2.0);
    desk.take(Input::Connected, 60.0);
    let sent = desk.take(Input::Text(ACCEPTED.as_bytes()), 60.1).sent.clone();
    let call = desk.take(Input::Text(done(&sent[0]).as_bytes()), 60.2).requests[0].clone();
    assert_eq!(call.path, "/v1/me/getexecutions?product_code=BCH_BTC&count=500");
    let row = |id: u64, date: &str| {
        format!(
            r#"{{"id":{id},"child_order_id":"JOR1","side":"BUY","price":33470.0,"size":0.01,"commission":0.0,"exec_date":"{date}","child_order_acceptance_id":"JRF1"}}"#
        )
    };
    let mut paths = Vec::new();
    let page = |path: &str| {
        paths.push(path.to_owned());
        let rows: Vec<String> = match path {
            "/v1/me/getexecutions?product_code=BTC_JPY&count=500" => {
                (1_501..=2_000).rev().map(|id| row(id, "2023-11-14T22:13:30.5")).collect()
            }
            path if path.ends_with("BTC_JPY&count=500&before=1501") => {
                (1_001..=1_500).rev().map(|id| row(id, "2023-11-13T22:13:30")).collect()
            }
            _ => Vec::new(),
        };
        format!("[{}]", rows.join(","))
    };
    let said = answer(&mut desk, call.id, page, &call.path);
    assert_eq!(paths.len(), 10, "nine products, of one of which there is a second page, all older: {paths:?}");
    assert_eq!(said.len(), 501);
    assert_eq!(
        said[0],
        "fill desk spot/BTC_JPY id=1501 order_id=JRF1 side=buy price=33470.0 size=0.01 fee=0.0 child_order_id=JOR1 \
         backfill=true"
    );
    desk.take(Input::Timeout, 70.0);
    let call = desk.take(Input::Timeout, 100.0).requests.first().cloned();
    let call = call.or_else(|| desk.initialize(101.0).first().cloned()).expect("a call");
    let unlisted = br#"{"status":-100,"error_message":"Invalid product","data":null}"#;
    let said = desk.http(call.id, Some(400), unlisted, 101.0);
    assert_eq!((said.updates.len(), said.requests.len()), (0, 1), "the other products go on");
    let id = said.requests[0].id;
    let said = desk.http(id, Some(503), br#"{"status":-1,"error_message":"Busy","data":null}"#, 101.0);
    assert!(said.updates[0].contains("the fill image could not be read: HTTP 503: Busy"), "{said:?}");
}
