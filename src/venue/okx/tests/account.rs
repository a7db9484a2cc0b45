//! Signing in, and the account's rows.

use super::{Desk, at};
use crate::venue::{Input, Output};

const LOGIN: &str = r#"{"args":[{"apiKey":"k","passphrase":"p","sign":"nbqmCslY7ltfyiVOn8iY7qsU13F+ycpPNKvAVTNSMVc=","timestamp":"1700000000"}],"op":"login"}"#;
const SUBSCRIBE: &str =
    r#"{"id":"1","op":"subscribe","args":[{"channel":"orders","instType":"ANY"},{"channel":"account"}]}"#;

#[test]
fn a_login_comes_first_and_what_needs_it_after_it() {
    let mut desk = Desk::signed("spot", &["order", "fill", "balance"]);
    assert_eq!(desk.connect(), [LOGIN]);
    assert_eq!(desk.take(Input::Timeout, 5.0).sent, [""; 0]);
    let said = desk.take(Input::Text(br#"{"event":"login","code":"0","msg":"","connId":"a"}"#), 5.1);
    assert_eq!(said.sent, [SUBSCRIBE]);
    let ack = r#"{"id":"1","event":"subscribe","arg":{"channel":"orders","instType":"ANY"},"connId":"a"}"#;
    // Nothing was missed of fills.
    assert_eq!(desk.text(ack, 5.2), ["ignored Control", "subscribed 1"]);
    desk.take(Input::Disconnected, 6.0);
    assert_eq!(desk.take(Input::Connected, 6.0).sent.len(), 1, "the login again, and only it");
}

/// A sink that tells messages that sign in from others.
#[derive(Default)]
struct Split(super::Recorder, usize);

impl Output for Split {
    fn send(&mut self, text: String) {
        self.0.send(text);
    }
    fn sign_in(&mut self, _: crate::secret::Secret) {
        self.1 += 1;
    }
    fn http(&mut self, _: crate::venue::HttpRequest) {}
    fn rpc(&mut self, _: crate::venue::RpcRequest) {}
    fn answer(&mut self, _: u64, _: String) {}
    fn update(&mut self, _: crate::venue::Update<'_>) {}
    fn discovered(&mut self, _: crate::model::Stream) -> Option<crate::model::StreamId> {
        None
    }
    fn reconnect(&mut self, _: String) {}
    fn replace(&mut self, _: &str) {}
}

#[test]
fn a_login_is_no_ordinary_message() {
    let mut desk = Desk::signed("spot", &["order"]);
    let mut said = Split::default();
    desk.session.handle(Input::Connected, at(0.0), &mut said);
    assert_eq!((said.0.sent.len(), said.1), (0, 1));
}

/// Answers the only call under way.
fn answer(desk: &mut Desk, status: u16, body: &str, seconds: f64) -> Vec<String> {
    let [request] = &desk.said.requests[..] else { panic!("{:?}", desk.said.requests) };
    assert!(request.signed);
    let id = request.id;
    desk.take(Input::Http { id, status: Some(status), body: body.as_bytes(), url: None }, seconds).updates.clone()
}

fn order(id: u64, state: &str, filled: &str, at: u64) -> String {
    format!(
        r#"{{"instType":"SPOT","instId":"A-B","ordId":"{id}","px":"1","sz":"2","side":"buy","state":"{state}","accFillSz":"{filled}","uTime":"{at}"}}"#
    )
}

fn image(rows: &[String]) -> String {
    format!(r#"{{"code":"0","msg":"","data":[{}]}}"#, rows.join(","))
}

/// Signed in and subscribed to, with the image under way.
fn asked(desk: &mut Desk, channel: &str, seconds: f64) {
    desk.take(Input::Connected, seconds);
    desk.text(r#"{"event":"login","code":"0","msg":""}"#, seconds);
    desk.text(&format!(r#"{{"event":"subscribe","arg":{channel}}}"#), seconds);
}

const ORDERS: &str = r#"{"channel":"orders","instType":"ANY"}"#;

#[test]
fn open_orders_are_read_page_by_page_and_merged_with_the_stream() {
    let mut desk = Desk::signed("spot", &["order"]);
    asked(&mut desk, ORDERS, 0.0);
    assert_eq!(desk.said.requests[0].path, "/api/v5/trade/orders-pending?limit=100");
    let request = desk.said.requests[0].id;
    // One of them is filled while the answer is on its way.
    let data = format!(r#"{{"arg":{ORDERS},"data":[{}]}}"#, order(7, "filled", "2", 9));
    assert_eq!(desk.text(&data, 1.0).len(), 1);
    let rows: Vec<String> = (0..100).map(|id| order(id, "live", "0", 5)).collect();
    let page = image(&rows);
    let said = desk.take(Input::Http { id: request, status: Some(200), body: page.as_bytes(), url: None }, 1.0);
    assert_eq!(said.updates.len(), 99, "all but the one that the stream has newer");
    assert!(said.updates[0].contains("order main spot/A-B id=0 ") && said.updates[0].contains(" state=open "));
    assert_eq!(said.requests[0].path, "/api/v5/trade/orders-pending?limit=100&after=99");
    assert_eq!(answer(&mut desk, 200, &image(&[]), 1.0), ["subscribed 0"]);
}

#[test]
fn what_was_missed_is_told_after_a_new_login() {
    let mut desk = Desk::signed("spot", &["order"]);
    asked(&mut desk, ORDERS, 0.0);
    let both = image(&[order(1, "live", "0", 5), order(2, "live", "0", 5)]);
    assert_eq!(answer(&mut desk, 200, &both, 1.0).len(), 3);
    desk.take(Input::Disconnected, 2.0);
    asked(&mut desk, ORDERS, 3.0);
    assert_eq!(
        answer(&mut desk, 200, &image(&[order(2, "partially_filled", "1", 6)]), 4.0),
        [
            "order main spot/A-B id=2 side=buy price=1 size=2 filled=1 state=partially_filled \
             updated=6000000 remaining=1",
            "order main spot/A-B id=1 state=closed reason=no longer among the open orders: what happened was missed",
            "subscribed 0",
        ]
    );
    // The operator asks for it again; nothing has changed.
    desk.take(Input::Initialize, 5.0);
    let again = answer(&mut desk, 200, &image(&[order(2, "partially_filled", "1", 6)]), 5.0);
    assert_eq!(again.len(), 2, "{again:?}");
}

#[test]
fn an_image_that_is_refused_is_told_and_asked_for_again() {
    let mut desk = Desk::signed("swap", &["position"]);
    asked(&mut desk, r#"{"channel":"positions","instType":"ANY"}"#, 0.0);
    assert_eq!(desk.said.requests[0].path, "/api/v5/account/positions");
    let said = answer(&mut desk, 429, r#"{"code":"50011","msg":"Too Many Requests","data":[]}"#, 1.0);
    assert_eq!(
        said,
        [
            r#"Notice { stream: Some(StreamId(0)), detail: "the position image could not be read: code 50011: Too Many Requests; asked again in 15 s" }"#
        ]
    );
    assert_eq!(desk.wakes_at(), Some(16.0));
    assert_eq!(desk.take(Input::Timeout, 16.0).requests.len(), 1);
    let said = answer(&mut desk, 502, "<html>", 17.0);
    assert!(said[0].contains("HTTP 502") && said[0].contains("in 30 s"), "{said:?}");
    desk.text("pong", 40.0);
    desk.take(Input::Timeout, 47.0);
    let row = r#"{"instType":"SWAP","instId":"A-B-SWAP","mgnMode":"cross","posSide":"net","pos":"3","uTime":"5"}"#;
    let said = answer(&mut desk, 200, &image(&[row.to_owned()]), 47.0);
    assert_eq!(said, ["position main swap/A-B-SWAP size=3 kind=cross position_side=net", "subscribed 0"]);
    // Gone over the next connection.
    desk.take(Input::Disconnected, 50.0);
    asked(&mut desk, r#"{"channel":"positions","instType":"ANY"}"#, 51.0);
    let said = answer(&mut desk, 200, &image(&[]), 52.0);
    assert_eq!(said, ["position main swap/A-B-SWAP kind=cross position_side=net size=0", "subscribed 0"]);
}

#[test]
fn balances_are_read_too() {
    let mut desk = Desk::signed("spot", &["balance"]);
    asked(&mut desk, r#"{"channel":"account"}"#, 0.0);
    assert_eq!(desk.said.requests[0].path, "/api/v5/account/balance");
    let rows = r#"{"uTime":"1","details":[{"ccy":"BTC","eq":"1.5","uTime":"5"},{"ccy":"USDT","eq":"2","uTime":"5"}]}"#;
    let said = answer(&mut desk, 200, &image(&[rows.to_owned()]), 1.0);
    assert_eq!(said, ["balance main -/BTC total=1.5", "balance main -/USDT total=2", "subscribed 0"]);
}

#[test]
fn a_refused_login_is_told_and_tried_again_slowly() {
    let mut desk = Desk::signed("spot", &["order"]);
    desk.connect();
    let refusal = r#"{"event":"error","code":"60009","msg":"Login failed.","connId":"a"}"#;
    assert_eq!(desk.text(refusal, 1.0), ["ignored Control"]);
    assert_eq!(time(&mut desk, 1_700_000_001_000, 1.0), ["rejected 0: 60009: Login failed."]);
    // OKX closes the connection; over the next one the refusal still holds.
    desk.take(Input::Disconnected, 1.0);
    let said = desk.take(Input::Connected, 2.0);
    assert_eq!((said.sent.len(), &said.updates[..]), (0, &["rejected 0: 60009: Login failed.".to_owned()][..]));
    assert_eq!(desk.take(Input::Timeout, 22.0).sent, ["ping"], "it is kept open");
    desk.text("pong", 22.1);
    let said = desk.take(Input::Timeout, 302.0);
    assert!(said.sent.iter().any(|sent| sent.contains("login")), "{:?}", said.sent);
    let said = desk.take(Input::Text(br#"{"event":"login","code":"0","msg":""}"#), 303.0);
    assert!(said.sent[0].contains("\"orders\""), "{:?}", said.sent);
}

/// Tells the time to the call under way that asks for it.
fn time(desk: &mut Desk, ms: u64, seconds: f64) -> Vec<String> {
    let [request] = &desk.said.requests[..] else { panic!("{:?}", desk.said.requests) };
    assert_eq!((&*request.path, request.signed), ("/api/v5/public/time", false));
    let (id, body) = (request.id, format!(r#"{{"code":"0","msg":"","data":[{{"ts":"{ms}"}}]}}"#));
    desk.take(Input::Http { id, status: Some(200), body: body.as_bytes(), url: None }, seconds).updates.clone()
}

#[test]
fn a_clock_that_is_wrong_is_corrected() {
    let mut desk = Desk::signed("spot", &["order"]);
    desk.connect();
    desk.text(r#"{"event":"error","code":"60006","msg":"Timestamp request expired","connId":"a"}"#, 1.0);
    assert_eq!(time(&mut desk, 1_699_996_401_900, 1.0), [""; 0]);
    assert!(desk.said.sent[0].contains(r#""timestamp":"1699996401""#), "{:?}", desk.said.sent);
    let told = desk.text(r#"{"event":"login","code":"0","msg":""}"#, 1.1);
    assert!(told.iter().any(|told| told.contains("by the venue's clock, 3599.1 s behind ours")), "{told:?}");
    assert_eq!(desk.session.clock_ahead_ms(), Some(-3_599_100));
}

#[test]
fn a_login_without_an_answer_ends_the_connection() {
    let mut desk = Desk::signed("spot", &["order"]);
    desk.connect();
    assert_eq!(desk.wakes_at(), Some(10.0));
    assert_eq!(desk.take(Input::Timeout, 10.0).reconnects, ["no answer to signing in in 10 s"]);
}

#[test]
fn public_connections_never_sign_in_and_without_a_key_the_venue_refuses() {
    assert!(Desk::signed("spot", &["book A-B"]).connect()[0].contains("subscribe"));
    assert_eq!(Desk::signed("spot", &["book:400:tbt A-B"]).connect(), [LOGIN]);
    let mut desk = Desk::new("spot", &["order"]);
    assert!(desk.connect()[0].contains("subscribe"));
    let refusal = r#"{"id":"1","event":"error","code":"60011","msg":"Please log in","connId":"a"}"#;
    assert_eq!(desk.text(refusal, 1.0), ["ignored Control", "rejected 0: 60011: Please log in"]);
}

#[test]
fn too_many_connections_of_a_channel_refuse_its_streams() {
    let mut desk = Desk::new("spot", &["order", "balance"]);
    desk.connect();
    let count = r#"{"event":"channel-conn-count","channel":"orders","connCount":"2","connId":"a"}"#;
    assert_eq!(desk.text(count, 1.0), ["ignored Control"]);
    let error = r#"{"event":"channel-conn-count-error","channel":"orders","connCount":"30","connId":"a"}"#;
    assert_eq!(
        desk.text(error, 1.0),
        ["rejected 0: too many connections of this account have orders", "ignored Control"]
    );
}

#[test]
fn orders_and_the_fills_in_them() {
    let row = r#"{"instType":"SPOT","instId":"BTC-USDT","ordId":"312","clOrdId":"mine","px":"30000.10","sz":"2","side":"buy","posSide":"","ordType":"limit","tdMode":"cash","state":"partially_filled","accFillSz":"0.5","avgPx":"29999","fillPx":"29999","fillSz":"0.5","tradeId":"77","fillTime":"1700000000001","fillFee":"-0.01","fillFeeCcy":"USDT","execType":"M","fee":"-0.01","feeCcy":"USDT","reduceOnly":"false","cTime":"1700000000000","uTime":"1700000000002","code":"0","msg":""}"#;
    let message = format!(r#"{{"arg":{{"channel":"orders","instType":"ANY","uid":"7"}},"data":[{row}]}}"#);
    let mut desk = Desk::new("spot", &["order", "fill"]);
    assert_eq!(
        desk.text(&message, 1.0),
        [
            "order main spot/BTC-USDT id=312 client_id=mine side=buy order_type=limit price=30000.10 size=2 filled=0.5 \
             average_price=29999 state=partially_filled created=1700000000000000000 updated=1700000000002000000 \
             margin_mode=cash fee_currency=USDT reduce_only=false code=0 liquidity=maker remaining=1.5 fee=0.01",
            "fill main spot/BTC-USDT id=77 order_id=312 side=buy price=29999 size=0.5 client_id=mine liquidity=maker \
             fee=0.01 fee_currency=USDT",
        ]
    );
    assert_eq!(desk.said.clocks[0].event.map(|at| at.0), Some(1_700_000_000_002_000_000));
    assert_eq!(desk.said.clocks[1].event.map(|at| at.0), Some(1_700_000_000_001_000_000));
    // An order that was not filled just now tells no fill, and who asked for fills only is told no orders.
    let open = message.replace(r#""fillSz":"0.5""#, r#""fillSz":"0""#).replace(r#""tradeId":"77""#, r#""tradeId":"""#);
    assert_eq!(desk.text(&open, 1.0).len(), 1);
    let mut desk = Desk::new("spot", &["fill"]);
    assert_eq!((desk.text(&open, 1.0).len(), desk.text(&message, 1.0).len()), (0, 1));
    let live = open.replace("partially_filled", "live").replace(r#""px":"30000.10""#, r#""px":"""#);
    let mut desk = Desk::new("spot", &["order"]);
    let said = desk.text(&live, 1.0);
    assert!(
        said[0].contains(" state=open ") && !said[0].contains("remaining") && !said[0].contains(" price="),
        "{said:?}"
    );
    assert!(desk.text(&live.replace("live", "mmp_canceled"), 1.0)[0].contains(" state=cancelled "));
}

#[test]
fn positions_and_balances() {
    let mut desk = Desk::new("swap", &["position", "balance"]);
    let position = r#"{"arg":{"channel":"positions","instType":"ANY"},"data":[{"instType":"SWAP","instId":"BTC-USDT-SWAP","posId":"1","mgnMode":"cross","posSide":"net","pos":"-3","avgPx":"30000","upl":"-1.5","lever":"10","liqPx":"","markPx":"30001","margin":"","uTime":"1700000000000","extra":{"x":1}}]}"#;
    assert_eq!(
        desk.text(position, 1.0),
        ["position main swap/BTC-USDT-SWAP size=-3 entry_price=30000 unrealised_pnl=-1.5 leverage=10 kind=cross id=1 \
             position_side=net mark=30001"]
    );
    let account = r#"{"arg":{"channel":"account"},"eventType":"snapshot","curPage":1,"lastPage":true,"data":[{"uTime":"1","details":[{"ccy":"BTC","eq":"1.5","cashBal":"1.5","availBal":"1","frozenBal":"0.5","uTime":"1700000000000"},{"ccy":"USDT","eq":"0"}]}]}"#;
    assert_eq!(
        desk.text(account, 1.0),
        ["balance main -/BTC total=1.5 available=1 locked=0.5 cash=1.5", "balance main -/USDT total=0"]
    );
    assert_eq!(desk.text(r#"{"arg":{"channel":"account"},"data":[7]}"#, 1.0), ["broken Some(1)"]);
    let mut replay = Desk::replay("swap");
    assert_eq!((replay.text(position, 1.0).len(), replay.text(account, 1.0).len()), (1, 2));
}

#[test]
fn fills_that_were_missed_are_read_page_by_page_and_told_in_order_of_time() {
    let mut desk = Desk::signed("spot", &["fill"]);
    asked(&mut desk, ORDERS, 0.0);
    assert!(desk.said.requests.is_empty(), "nothing was missed");
    desk.text("pong", 30.0);
    desk.take(Input::Disconnected, 50.0);
    asked(&mut desk, ORDERS, 60.0);
    let path = "/api/v5/trade/fills?begin=1699999970000&limit=100";
    assert_eq!(desk.said.requests[0].path, path);
    let row = |id: u64| {
        format!(
            r#"{{"instType":"SWAP","instId":"A-B-SWAP","tradeId":"{id}","ordId":"7","billId":"9{id}","side":"sell","fillPx":"2","fillSz":"3","fee":"-0.1","feeCcy":"B","execType":"M","fillTime":"{}","ts":"1"}}"#,
            1_700_000_050_000 + id
        )
    };
    let rows: Vec<String> = (100..200).rev().map(row).collect();
    assert!(answer(&mut desk, 200, &image(&rows), 61.0).is_empty());
    assert_eq!(desk.said.requests[0].path, format!("{path}&after=9100"));
    let said = answer(&mut desk, 200, &image(&[row(99)]), 61.0);
    assert_eq!(said.len(), 102);
    assert_eq!(
        said[0],
        "fill main swap/A-B-SWAP id=99 order_id=7 side=sell price=2 size=3 liquidity=maker fee=0.1 fee_currency=B \
         backfill=true"
    );
    assert!(said[100].contains("id=199 "), "{said:?}");
    assert_eq!(desk.said.clocks[0].event.map(|at| at.as_ms()), Some(1_700_000_050_099));
    desk.take(Input::Disconnected, 100.0);
    let days = 5.0 * 86_400.0;
    asked(&mut desk, ORDERS, days);
    assert_eq!(desk.said.requests[0].path, "/api/v5/trade/fills?begin=1700172800000&limit=100", "three days ago");
    let said = answer(&mut desk, 200, &image(&[]), days);
    assert!(said[1].contains("fills of more than 3 days ago are missing"), "{said:?}");
}
