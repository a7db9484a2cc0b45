//! The account's connection: signing in, rows, and their images.

use super::Desk;
use crate::venue::Input;

const AUTH: &str = r#"{"success":true,"ret_msg":"","op":"auth","conn_id":"c-p"}"#;
const ACK: &str = r#"{"success":true,"ret_msg":"","op":"subscribe","conn_id":"c-p"}"#;

const REFUSAL: &str = r#"{"success":false,"ret_msg":"Params Error","op":"auth","conn_id":"c"}"#;

/// The venue's time.
fn told(ms: u64) -> Vec<u8> {
    format!(r#"{{"retCode":0,"result":{{"timeSecond":"1","timeNano":"{ms}000000"}}}}"#).into_bytes()
}

/// Tells the time to the call under way that asks for it.
fn time(desk: &mut Desk, ms: u64, seconds: f64) -> Vec<String> {
    let [request] = &desk.said.requests[..] else { panic!("{:?}", desk.said.requests) };
    let input = Input::Http { id: request.id, status: Some(200), body: &told(ms), url: None };
    desk.take(input, seconds).updates.clone()
}

/// Signed in and subscribed to.
fn asked(desk: &mut Desk, seconds: f64) {
    desk.take(Input::Connected, seconds);
    desk.text(AUTH, seconds);
    desk.text(ACK, seconds);
}

/// Answers the only call under way.
fn answer(desk: &mut Desk, status: u16, body: &str, seconds: f64) -> Vec<String> {
    let [request] = &desk.said.requests[..] else { panic!("{:?}", desk.said.requests) };
    assert!(request.signed);
    let id = request.id;
    desk.take(Input::Http { id, status: Some(status), body: body.as_bytes(), url: None }, seconds).updates.clone()
}

fn page(rows: &str, cursor: &str) -> String {
    format!(r#"{{"retCode":0,"retMsg":"OK","result":{{"list":[{rows}],"nextPageCursor":"{cursor}"}},"time":9}}"#)
}

fn order(id: &str, state: &str, filled: &str, at: u64) -> String {
    format!(
        r#"{{"category":"linear","symbol":"BTCUSDT","orderId":"{id}","orderLinkId":"","side":"Buy","orderType":"Limit","price":"30000.5","qty":"2","orderStatus":"{state}","leavesQty":"1","cumExecQty":"{filled}","avgPrice":"","rejectReason":"EC_NoError","reduceOnly":false,"positionIdx":0,"createdTime":"1","updatedTime":"{at}"}}"#
    )
}

fn event(topic: &str, rows: &str) -> String {
    format!(r#"{{"id":"x","topic":"{topic}","creationTime":1700000000000,"data":[{rows}]}}"#)
}

#[test]
fn it_signs_in_then_subscribes_then_reads_the_images() {
    let mut desk = Desk::signed("linear", &["order", "fill", "position", "balance"]);
    let sent = desk.take(Input::Connected, 0.0).sent.clone();
    // The signature of `GET/realtime1700000005000`.
    assert!(sent[0].starts_with(r#"{"op":"auth","args":["k",1700000005000,""#) && sent.len() == 1, "{sent:?}");
    let said = desk.take(Input::Text(AUTH.as_bytes()), 0.1);
    assert_eq!(said.sent, [r#"{"args":["order","execution","position","wallet"],"op":"subscribe","req_id":"1"}"#]);
    assert_eq!(desk.text(ACK, 0.2), ["ignored Control", "subscribed 1"], "nothing was missed of fills");
    let paths: Vec<&str> = desk.said.requests.iter().map(|request| &*request.path).collect();
    assert_eq!(
        paths,
        [
            "/v5/order/realtime?category=linear&settleCoin=USDT&limit=50",
            "/v5/position/list?category=linear&settleCoin=USDT&limit=200",
            "/v5/account/wallet-balance?accountType=UNIFIED",
        ]
    );
}

#[test]
fn images_are_read_page_by_page_and_coin_by_coin() {
    let mut desk = Desk::signed("linear", &["order"]);
    asked(&mut desk, 0.0);
    let said = answer(&mut desk, 200, &page(&order("a", "New", "0", 5), "x%3D1"), 1.0);
    assert_eq!(
        said,
        ["order main -/BTCUSDT id=a side=buy order_type=limit price=30000.5 size=2 filled=0 remaining=1 state=open \
          created=1000000 updated=5000000 reduce_only=false position_side=both"]
    );
    let next = "/v5/order/realtime?category=linear&settleCoin=USDT&limit=50&cursor=x%3D1";
    assert_eq!(desk.said.requests[0].path, next);
    assert_eq!(answer(&mut desk, 200, &page("", ""), 1.0), [""; 0]);
    assert_eq!(desk.said.requests[0].path, "/v5/order/realtime?category=linear&settleCoin=USDC&limit=50");
    // The stream is ahead of what is still on its way, and an older row of it comes late.
    let request = desk.said.requests[0].id;
    assert_eq!(desk.text(&event("order", &order("b", "Filled", "2", 9)), 1.1).len(), 1);
    let late = page(&[order("b", "PartiallyFilled", "1", 8), order("c", "Untriggered", "0", 1)].join(","), "");
    let said = desk.take(Input::Http { id: request, status: Some(200), body: late.as_bytes(), url: None }, 1.2);
    assert_eq!(said.updates.len(), 2);
    assert!(said.updates[0].contains("id=c ") && said.updates[0].contains(" state=untriggered "), "{said:?}");
    assert_eq!(said.updates[1], "subscribed 0");
    assert_eq!(desk.text(&event("order", &order("a", "New", "0", 4)), 1.3), [""; 0], "older than the image");
}

#[test]
fn after_a_reconnect_it_signs_in_anew_and_tells_what_was_missed() {
    let mut desk = Desk::signed("inverse", &["order", "balance"]);
    asked(&mut desk, 0.0);
    let ids: Vec<u64> = desk.said.requests.iter().map(|request| request.id).collect();
    let order = order("a", "New", "0", 5).replace("linear", "inverse");
    desk.take(Input::Http { id: ids[0], status: Some(200), body: page(&order, "").as_bytes(), url: None }, 1.0);
    let wallet = r#"{"accountType":"UNIFIED","totalEquity":"9","coin":[{"coin":"BTC","equity":"1.5","walletBalance":"1.5","locked":"0","usdValue":"","unrealisedPnl":""}]}"#;
    let said =
        desk.take(Input::Http { id: ids[1], status: Some(200), body: page(wallet, "").as_bytes(), url: None }, 1.0);
    assert_eq!(said.updates, ["balance main -/BTC total=1.5 locked=0 wallet=1.5 kind=UNIFIED", "subscribed 1"]);
    desk.take(Input::Disconnected, 2.0);
    asked(&mut desk, 3.0);
    let ids: Vec<u64> = desk.said.requests.iter().map(|request| request.id).collect();
    let none = page("", "");
    let said = desk.take(Input::Http { id: ids[0], status: Some(200), body: none.as_bytes(), url: None }, 4.0);
    assert_eq!(
        said.updates,
        [
            "order main -/BTCUSDT id=a state=closed reason=no longer among the open orders: what happened was missed",
            "subscribed 0"
        ]
    );
    let said = desk.take(Input::Http { id: ids[1], status: Some(200), body: none.as_bytes(), url: None }, 4.0);
    assert_eq!(said.updates, ["balance main -/BTC kind=UNIFIED removed=true", "subscribed 1"]);
}

fn execution(id: &str, at: u64) -> String {
    format!(
        r#"{{"symbol":"BTCUSDT","execId":"{id}","orderId":"o","side":"Buy","execPrice":"1.5","execQty":"2","execType":"Trade","isMaker":false,"execTime":"{at}"}}"#
    )
}

#[test]
fn executions_that_were_missed_are_read_twice_and_told_in_order_of_time() {
    let mut desk = Desk::signed("linear", &["fill"]);
    asked(&mut desk, 0.0);
    assert!(desk.said.requests.is_empty(), "nothing was missed");
    desk.take(Input::Disconnected, 2.0);
    asked(&mut desk, 9.0);
    // Sixty seconds before what was heard last.
    let path = "/v5/execution/list?category=linear&startTime=1699999940000&limit=100";
    assert_eq!(desk.said.requests[0].path, path);
    assert!(answer(&mut desk, 200, &page(&execution("c", 1_700_000_008_000), "x%3D1"), 9.1).is_empty());
    assert_eq!(desk.said.requests[0].path, format!("{path}&cursor=x%3D1"));
    let rest = [execution("b", 1_700_000_007_000), execution("old", 1_699_999_939_999)].join(",");
    let said = answer(&mut desk, 200, &page(&rest, ""), 9.2);
    let told = |id: &str| {
        format!(
            "fill main -/BTCUSDT id={id} order_id=o side=buy price=1.5 size=2 liquidity=taker exec_type=Trade backfill=true"
        )
    };
    assert_eq!(said, [told("b"), told("c"), "subscribed 0".to_owned()]);
    desk.take(Input::Timeout, 19.3);
    assert_eq!(desk.said.requests[0].path, path, "once more, as executions may be listed late");
    answer(&mut desk, 200, &page("", ""), 19.4);
    desk.take(Input::Timeout, 40.0);
    assert!(desk.said.requests.is_empty());
    desk.text(&event("execution", "[]"), 100.0);
    desk.take(Input::Initialize, 200.0);
    assert_eq!(desk.said.requests[0].path, path.replace("1699999940", "1700000040"), "by what was heard since");
}

#[test]
fn what_cannot_be_read_of_executions_is_told() {
    let mut desk = Desk::signed("spot", &["fill"]);
    asked(&mut desk, 0.0);
    desk.take(Input::Disconnected, 2.0);
    asked(&mut desk, 20.0 * 86_400.0);
    let parts: Vec<String> = (0..3)
        .map(|_| {
            let path = desk.said.requests[0].path.clone();
            answer(&mut desk, 200, &page("", ""), 20.0 * 86_400.0);
            path
        })
        .collect();
    let path = "/v5/execution/list?category=spot&startTime=";
    assert_eq!(parts[0], format!("{path}1699999940000&endTime=1700604739999&limit=100"), "seven days each");
    assert_eq!(parts[2], format!("{path}1701209540000&limit=100"));
    desk.take(Input::Disconnected, 20.0 * 86_400.0);
    asked(&mut desk, 800.0 * 86_400.0);
    let mut said = Vec::new();
    while !desk.said.requests.is_empty() {
        said = answer(&mut desk, 200, &page("", ""), 800.0 * 86_400.0);
    }
    assert_eq!(said[0], "subscribed 0");
    assert!(said[1].contains("fills of more than 730 days ago are missing"), "{said:?}");
    desk.take(Input::Disconnected, 800.0 * 86_400.0);
    asked(&mut desk, 800.1 * 86_400.0);
    let refusal = r#"{"retCode":10016,"retMsg":"Server error","result":{},"time":9}"#;
    let said = answer(&mut desk, 200, refusal, 800.1 * 86_400.0);
    assert!(said[0].contains("the fill image could not be read: retCode 10016") && said.len() == 1, "{said:?}");
}

#[test]
fn executions_positions_and_the_wallet() {
    let mut desk = Desk::signed("linear", &["fill", "position", "balance"]);
    asked(&mut desk, 0.0);
    let fill = r#"{"category":"linear","symbol":"BTCUSDT","execId":"e","orderId":"o","orderLinkId":"mine","side":"Sell","execPrice":"1.5","execQty":"2","execValue":"3","execFee":"0.01","feeCurrency":"USDT","isMaker":true,"execType":"Trade","execTime":"1700000000001"}"#;
    assert_eq!(
        desk.text(&event("execution", fill), 1.0),
        ["fill main -/BTCUSDT id=e order_id=o side=sell price=1.5 size=2 value=3 fee=0.01 fee_currency=USDT \
          liquidity=maker client_id=mine exec_type=Trade"]
    );
    let clocks = desk.said.clocks[0];
    assert_eq!(clocks.event.map(|at| at.as_ms()), Some(1_700_000_000_001));
    assert_eq!(clocks.venue.map(|at| at.as_ms()), Some(1_700_000_000_000));
    assert_eq!(desk.text(&event("execution", &fill.replace("Trade", "Funding")), 1.0), [""; 0], "no trade");
    assert_eq!(desk.text(&event("execution", &fill.replace("linear", "spot")), 1.0), [""; 0], "another market");
    let position = r#"{"category":"linear","symbol":"BTCUSDT","positionIdx":2,"side":"Sell","size":"0.5","entryPrice":"100","leverage":"10","liqPrice":"","unrealisedPnl":"-1","seq":7,"updatedTime":"1700000000000"}"#;
    assert_eq!(
        desk.text(&event("position", position), 1.0),
        ["position main -/BTCUSDT size=-0.5 entry_price=100 unrealised_pnl=-1 leverage=10 position_side=short \
          updated=1700000000000000000"]
    );
    let older = position.replace(r#""seq":7"#, r#""seq":6"#);
    assert_eq!(desk.text(&event("position", &older), 1.0), [""; 0], "of the same moment, and before");
    let flat = position.replace(r#""Sell","size":"0.5""#, r#""","size":"0""#);
    assert!(desk.text(&event("position", &flat), 1.0)[0].contains(" size=0 "));
    assert_eq!(desk.text(&event("wallet", "7"), 1.0), ["broken Some(2)"]);
    assert_eq!(desk.text(&event("greeks", "7"), 1.0), ["ignored UnknownTopic"]);
}

#[test]
fn a_refused_key_is_told_and_tried_again_slowly() {
    let mut desk = Desk::signed("spot", &["order"]);
    desk.take(Input::Connected, 0.0);
    assert_eq!(desk.text(REFUSAL, 1.0), ["ignored Control"]);
    // The clock is not to blame: the refusal stands.
    assert_eq!(time(&mut desk, 1_700_000_001_000, 1.0), ["rejected 0: Params Error"]);
    assert_eq!(desk.said.sent, [""; 0]);
    desk.take(Input::Disconnected, 1.0);
    let said = desk.take(Input::Connected, 2.0);
    assert_eq!((said.sent.len(), said.updates.len()), (0, 1), "it holds over the next connection");
    assert!(desk.take(Input::Timeout, 22.0).sent[0].contains("ping"), "which is kept open");
    desk.text(r#"{"req_id":"ping","op":"pong","args":["1"],"conn_id":"c"}"#, 22.1);
    let said = desk.take(Input::Timeout, 301.0);
    assert!(said.sent.iter().any(|sent| sent.contains("auth")), "{:?}", said.sent);
    assert!(desk.take(Input::Text(AUTH.as_bytes()), 302.0).sent[0].contains("\"order\""));
}

#[test]
fn a_clock_that_is_wrong_is_corrected_over_the_next_connection() {
    let mut desk = Desk::signed("spot", &["order"]);
    desk.take(Input::Connected, 0.0);
    desk.text(REFUSAL, 1.0);
    let [request] = &desk.said.requests[..] else { panic!("{:?}", desk.said.requests) };
    assert_eq!((&*request.path, request.signed, request.weight), ("/v5/market/time", false, 1));
    let input = Input::Http { id: request.id, status: Some(200), body: &told(1_700_003_601_000), url: None };
    // Bybit closes the connection.
    desk.take(Input::Disconnected, 1.0);
    let said = desk.take(input, 1.0);
    assert_eq!((said.sent.len(), said.updates.len()), (0, 0));
    let said = desk.take(Input::Connected, 2.0);
    // At 1,700,003,602 by the venue's clock, and five seconds more.
    assert!(said.sent[0].starts_with(r#"{"op":"auth","args":["k",1700003607000,""#), "{:?}", said.sent);
    let told = desk.text(AUTH, 3.0);
    let notice = "logins are signed by the venue's clock, 3600.0 s ahead of ours";
    assert!(told.iter().any(|told| told.contains(notice)), "{told:?}");
    assert_eq!(desk.session.clock_ahead_ms(), Some(3_600_000));
}

#[test]
fn nothing_is_sent_without_an_account_and_no_answer_ends_the_connection() {
    let mut desk = Desk::of(Desk::private("spot", &["order"]));
    let said = desk.take(Input::Connected, 0.0);
    assert_eq!(said.sent, [""; 0]);
    assert_eq!(said.updates, ["rejected 0: it needs an account: give the feed one (account, or credentials)"]);
    let mut desk = Desk::signed("spot", &["order"]);
    desk.take(Input::Connected, 0.0);
    assert_eq!(desk.take(Input::Timeout, 10.0).reconnects, ["no answer to signing in in 10 s"]);
}

#[test]
fn streams_come_and_go_at_run_time() {
    let mut desk = Desk::signed("linear", &["fill"]);
    asked(&mut desk, 0.0);
    let order = super::Stream::new("", crate::model::Channel::Account(crate::model::AccountKind::Order));
    let id = super::StreamId(5);
    let said = desk.take(Input::Subscribe { id, stream: &order }, 1.0);
    assert_eq!(said.sent, [r#"{"args":["order"],"op":"subscribe","req_id":"2"}"#]);
    desk.text(ACK, 1.1);
    assert_eq!(desk.said.requests.len(), 1);
    let said = desk.take(Input::Unsubscribe(id), 2.0);
    assert_eq!(said.sent, [r#"{"args":["order"],"op":"unsubscribe","req_id":"3"}"#]);
    let left = desk.text(r#"{"success":true,"ret_msg":"","op":"unsubscribe","req_id":"3"}"#, 2.1);
    assert_eq!(left, ["ignored Control", "unsubscribed 5"]);
}

#[test]
fn rows_of_recordings_are_read() {
    let mut desk = Desk::replay("linear");
    assert_eq!(desk.text(&event("order", &order("a", "New", "0", 5)), 1.0).len(), 1);
    assert_eq!(desk.text(&event("order", &order("a", "New", "0", 5).replace("linear", "spot")), 1.0).len(), 0);
}
