//! The account's connection: listen keys, the signed request of spot, rows and their images.

use super::*;
use crate::secret::Secret;
use crate::sign;
use crate::venue::{Credentials, HttpRequest, Method, Output, RpcRequest, Signer, Update};

/// What a session said, keys of addresses too.
#[derive(Default)]
struct Said {
    recorder: Recorder,
    keys: Vec<String>,
    logins: Vec<String>,
}

impl Output for Said {
    fn send(&mut self, text: String) {
        self.recorder.send(text);
    }
    fn sign_in(&mut self, text: Secret) {
        self.logins.push(text.reveal().to_owned());
    }
    fn address(&mut self, key: Secret) {
        self.keys.push(key.reveal().to_owned());
    }
    fn http(&mut self, request: HttpRequest) {
        self.recorder.http(request);
    }
    fn rpc(&mut self, _: RpcRequest) {}
    fn answer(&mut self, _: u64, _: String) {}
    fn update(&mut self, update: Update<'_>) {
        self.recorder.update(update);
    }
    fn discovered(&mut self, _: Stream) -> Option<StreamId> {
        None
    }
    fn reconnect(&mut self, reason: String) {
        self.recorder.reconnect(reason);
    }
    fn replace(&mut self, _: &str) {}
}

fn signer() -> Signer {
    let secret = |text: &str| Secret::new(text.to_owned());
    let credentials = Credentials { key: secret("k"), secret: secret("testsecret"), passphrase: None };
    let api = sign::find("binance").expect("known");
    Signer::new("main", api, credentials, "https://api.binance.com").expect("usable")
}

struct Account {
    session: Box<dyn Session>,
    said: Said,
}

impl Account {
    fn new(market: &str, channels: &[&str]) -> Self {
        Self::of(market, channels, Some(signer()))
    }

    /// The fills of a feed with these symbols.
    fn naming(market: &str, symbols: &[&str]) -> Self {
        let streams = vec![stream(market, "fill ")];
        let route = (VENUE.route_of)(market, &streams[0]);
        let symbols = symbols.iter().map(|symbol| (*symbol).to_owned()).collect();
        let spec = SessionSpec { route, signer: Some(signer()), symbols, ..SessionSpec::of(market, streams) };
        Self { session: (VENUE.open)(spec), said: Said::default() }
    }

    fn of(market: &str, channels: &[&str], signer: Option<Signer>) -> Self {
        let streams: Vec<Stream> = channels.iter().map(|channel| stream(market, &format!("{channel} "))).collect();
        let route = (VENUE.route_of)(market, &streams[0]);
        let spec = SessionSpec { route, signer, ..SessionSpec::of(market, streams) };
        Self { session: (VENUE.open)(spec), said: Said::default() }
    }

    fn take(&mut self, input: Input<'_>, seconds: f64) -> &Said {
        self.said = Said::default();
        self.session.handle(input, at(seconds), &mut self.said);
        &self.said
    }

    fn text(&mut self, text: &str, seconds: f64) -> Vec<String> {
        self.take(Input::Text(text.as_bytes()), seconds).recorder.updates.clone()
    }

    fn http(&mut self, id: u64, status: u16, body: &str, seconds: f64) -> Vec<String> {
        let input = Input::Http { id, status: Some(status), body: body.as_bytes(), url: None };
        self.take(input, seconds).recorder.updates.clone()
    }

    /// Answers the only call under way.
    fn answer(&mut self, status: u16, body: &str, seconds: f64) -> Vec<String> {
        let [request] = &self.said.recorder.requests[..] else { panic!("{:?}", self.said.recorder.requests) };
        let id = request.id;
        self.http(id, status, body, seconds)
    }

    fn requests(&self) -> Vec<(Method, &str)> {
        self.said.recorder.requests.iter().map(|request| (request.method, &*request.path)).collect()
    }

    fn wakes_at(&self) -> Option<f64> {
        self.session.next_timeout().map(|timer| timer.at.0 as f64 / 1e9)
    }
}

const KEY: &str = r#"{"listenKey":"pqia91ma19a5s61cv6a81va65sdf19v8a65a1a5s61cv6a81va65sdf19v8a65a1"}"#;

/// A futures account whose connection is open, with the images under way.
fn opened(market: &str, channels: &[&str]) -> Account {
    let mut account = Account::new(market, channels);
    assert_eq!(account.wakes_at(), Some(0.0));
    account.take(Input::Timeout, 0.0);
    account.answer(200, KEY, 0.1);
    account.take(Input::Connected, 0.2);
    account
}

fn order(market: &str, id: u64, state: &str, filled: &str, at: u64) -> String {
    let symbol = if market == "coinm" { "BTCUSD_PERP" } else { "BTCUSDT" };
    format!(
        r#"{{"symbol":"{symbol}","orderId":{id},"clientOrderId":"mine","price":"10","origQty":"2","executedQty":"{filled}","status":"{state}","type":"LIMIT","side":"BUY","updateTime":{at}}}"#
    )
}

#[test]
fn a_futures_connection_waits_for_its_key_and_reads_the_images_then() {
    let mut account = Account::new("usdm", &["order", "fill", "position", "balance"]);
    account.take(Input::Timeout, 0.0);
    assert_eq!(account.requests(), [(Method::Post, "/fapi/v1/listenKey")]);
    assert!(account.said.recorder.requests[0].signed && account.said.recorder.requests[0].is_secret);
    account.answer(200, KEY, 0.1);
    assert_eq!(account.said.keys.len(), 1);
    assert!(KEY.contains(&account.said.keys[0]));
    assert_eq!(account.take(Input::Connected, 0.2).recorder.updates, ["subscribed 1"], "nothing was missed of fills");
    let get = |path| (Method::Get, path);
    assert_eq!(account.requests(), [get("/fapi/v1/openOrders"), get("/fapi/v3/positionRisk"), get("/fapi/v3/balance")]);
    let ids: Vec<u64> = account.said.recorder.requests.iter().map(|request| request.id).collect();
    assert_eq!(
        account.http(ids[0], 200, &format!("[{}]", order("usdm", 7, "NEW", "0", 5)), 1.0),
        [
            "order main -/BTCUSDT id=7 side=buy order_type=limit price=10 size=2 filled=0 state=open updated=5000000 \
             status=NEW remaining=2 client_id=mine",
            "subscribed 0"
        ]
    );
    let positions = r#"[{"symbol":"BTCUSDT","positionSide":"BOTH","positionAmt":"-0.5","entryPrice":"100","markPrice":"99","unRealizedProfit":"0.5","updateTime":5},{"symbol":"ETHUSDT","positionSide":"BOTH","positionAmt":"0","updateTime":0}]"#;
    assert_eq!(
        account.http(ids[1], 200, positions, 1.0),
        [
            "position main -/BTCUSDT size=-0.5 entry_price=100 unrealised_pnl=0.5 position_side=BOTH mark=99",
            "subscribed 2"
        ],
        "a flat one says nothing"
    );
    let balances = r#"[{"asset":"USDT","balance":"10.5","availableBalance":"9","crossWalletBalance":"10.5","crossUnPnl":"0","updateTime":5},{"asset":"BNB","balance":"0.00","updateTime":0}]"#;
    assert_eq!(
        account.http(ids[2], 200, balances, 1.0),
        ["balance main -/USDT total=10.5 available=9 unrealised_pnl=0 cross_wallet=10.5", "subscribed 3"]
    );
}

#[test]
fn futures_events_become_rows() {
    let mut account = opened("coinm", &["order", "fill", "position", "balance"]);
    let trade = r#"{"e":"ORDER_TRADE_UPDATE","E":1700000000002,"T":1700000000001,"o":{"s":"BTCUSD_PERP","c":"mine","S":"SELL","o":"MARKET","f":"GTC","q":"3","p":"0","ap":"100.5","sp":"0","x":"TRADE","X":"PARTIALLY_FILLED","i":8,"l":"1","z":"1","L":"100.5","n":"0.01","N":"BTC","T":1700000000001,"t":77,"m":false,"R":false,"ps":"BOTH","rp":"0"}}"#;
    assert_eq!(
        account.text(trade, 1.0),
        [
            "order main -/BTCUSD_PERP id=8 side=sell order_type=market price=0 size=3 filled=1 average_price=100.5 \
             state=partially_filled updated=1700000000001000000 status=PARTIALLY_FILLED execution=TRADE \
             time_in_force=GTC stop_price=0 position_side=BOTH remaining=2 client_id=mine",
            "fill main -/BTCUSD_PERP id=77 order_id=8 side=sell price=100.5 size=1 fee=0.01 fee_currency=BTC \
             liquidity=taker pnl=0 position_side=BOTH client_id=mine",
        ]
    );
    assert_eq!(account.said.recorder.clocks[0].venue.map(|at| at.as_ms()), Some(1_700_000_000_002));
    let late = trade.replace(r#""x":"TRADE","X":"PARTIALLY_FILLED""#, r#""x":"NEW","X":"NEW""#);
    let late = late.replace(r#""z":"1""#, r#""z":"0""#).replace(r#""l":"1""#, r#""l":"0""#);
    assert_eq!(account.text(&late, 1.0), [""; 0], "of the same moment, and before");
    let update = r#"{"e":"ACCOUNT_UPDATE","E":2,"T":1,"a":{"m":"ORDER","B":[{"a":"BTC","wb":"1.5","cw":"1.5","bc":"0"}],"P":[{"s":"BTCUSD_PERP","pa":"-3","ep":"100.5","cr":"0","up":"0.1","mt":"crossed","iw":"0","ps":"BOTH"}]}}"#;
    assert_eq!(
        account.text(update, 1.0),
        [
            "balance main -/BTC total=1.5 cross_wallet=1.5 change=0",
            "position main -/BTCUSD_PERP size=-3 entry_price=100.5 unrealised_pnl=0.1 margin_type=cross position_side=BOTH \
             realised_pnl=0 isolated_wallet=0",
        ]
    );
    assert_eq!(account.text(r#"{"e":"TRADE_LITE","E":1}"#, 1.0), ["ignored Control"]);
    assert_eq!(account.text(r#"{"e":"ACCOUNT_UPDATE","E":1}"#, 1.0), ["broken None"]);
    assert_eq!(account.text("{", 1.0), ["broken None"]);
}

#[test]
fn a_key_is_renewed_and_an_expired_one_made_anew() {
    let mut account = opened("usdm", &["fill"]);
    account.take(Input::Timeout, 1_800.1);
    assert_eq!(account.requests(), [(Method::Put, "/fapi/v1/listenKey")]);
    account.answer(200, KEY, 1_801.0);
    assert_eq!(account.said.keys, [""; 0]);
    account.text(r#"{"e":"listenKeyExpired","E":1,"listenKey":"x"}"#, 2_000.0);
    assert_eq!(account.said.recorder.reconnects.len(), 1);
    account.take(Input::Disconnected, 2_000.0);
    account.take(Input::Timeout, 2_000.0);
    assert_eq!(account.requests(), [(Method::Post, "/fapi/v1/listenKey")]);
    account.answer(200, &KEY.replace("pqia", "abcd"), 2_001.0);
    assert!(account.said.keys[0].starts_with("abcd"));
    account.take(Input::Connected, 2_002.0);
    account.take(Input::Timeout, 3_802.0);
    account.answer(400, r#"{"code":-1125,"msg":"This listenKey does not exist."}"#, 3_803.0);
    assert_eq!(account.said.recorder.reconnects, ["the account's listen key is over"]);
}

#[test]
fn a_refused_key_is_told_and_tried_again_slowly() {
    let mut account = Account::new("usdm", &["order"]);
    account.take(Input::Timeout, 0.0);
    let refusal = r#"{"code":-2014,"msg":"API-key format invalid."}"#;
    assert_eq!(account.answer(401, refusal, 1.0), ["rejected 0: HTTP 401: -2014: API-key format invalid."]);
    assert_eq!((account.wakes_at(), account.said.keys.len()), (Some(301.0), 0));
    account.take(Input::Timeout, 301.0);
    let said = account.answer(503, "", 302.0);
    assert!(said[0].contains("no listen key: HTTP 503; asked again in 5 s"), "{said:?}");
    let mut none = Account::of("usdm", &["order"], None);
    none.take(Input::Timeout, 0.0);
    // The driver answers that there is nobody to sign.
    let input =
        Input::Http { id: none.said.recorder.requests[0].id, status: None, body: b"needs an account", url: None };
    assert!(none.take(input, 1.0).recorder.updates[0].contains("needs an account"));
}

#[test]
fn spot_asks_over_the_websocket_api() {
    let mut account = Account::new("spot", &["order", "fill", "balance"]);
    account.take(Input::Connected, 0.0);
    let [login] = &account.said.logins[..] else { panic!("{:?}", account.said.logins) };
    let login: serde_json::Value = serde_json::from_str(login).expect("JSON");
    assert_eq!(
        (&login["method"], &login["params"]["apiKey"]),
        (&"userDataStream.subscribe.signature".into(), &"k".into())
    );
    let accepted = r#"{"id":"1","status":200,"result":{"subscriptionId":0},"rateLimits":[]}"#;
    assert_eq!(account.text(accepted, 0.1), ["ignored Control", "subscribed 1"]);
    let get = |path| (Method::Get, path);
    assert_eq!(account.requests(), [get("/api/v3/openOrders"), get("/api/v3/account?omitZeroBalances=true")]);
    let ids: Vec<u64> = account.said.recorder.requests.iter().map(|request| request.id).collect();
    let balances = r#"{"updateTime":5,"balances":[{"asset":"BTC","free":"1.50","locked":"0.25"}]}"#;
    assert_eq!(
        account.http(ids[1], 200, balances, 1.0),
        ["balance main -/BTC total=1.75 available=1.50 locked=0.25", "subscribed 2"]
    );
    let moved = r#"{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":7,"u":6,"B":[{"a":"BTC","f":"1","l":"0"},{"a":"USDT","f":"0.0","l":"0.0"}]}}"#;
    assert_eq!(
        account.text(moved, 1.0),
        ["balance main -/BTC total=1 available=1 locked=0", "balance main -/USDT total=0 available=0.0 locked=0.0"]
    );
    let cancelled = r#"{"subscriptionId":0,"event":{"e":"executionReport","E":7,"s":"BTCUSDT","c":"cancel","S":"BUY","o":"LIMIT","f":"GTC","q":"2","p":"10","C":"mine","x":"CANCELED","X":"CANCELED","r":"NONE","i":9,"l":"0","z":"0.5","L":"0","T":6,"t":-1,"O":1}}"#;
    assert_eq!(
        account.text(cancelled, 1.0),
        ["order main -/BTCUSDT id=9 side=buy order_type=limit price=10 size=2 filled=0.5 state=cancelled \
          created=1000000 updated=6000000 status=CANCELED execution=CANCELED time_in_force=GTC remaining=1.5 \
          client_id=mine"]
    );
    let late = format!("[{}]", order("spot", 9, "NEW", "0", 5));
    assert_eq!(account.http(ids[0], 200, &late, 1.1), ["subscribed 0"], "the stream is ahead");
    account.text(r#"{"subscriptionId":0,"event":{"e":"eventStreamTerminated","E":8}}"#, 2.0);
    assert_eq!(account.said.recorder.reconnects.len(), 1);
}

#[test]
fn what_spot_refuses_is_told_and_tried_again_slowly() {
    let mut account = Account::new("spot", &["order"]);
    account.take(Input::Connected, 0.0);
    let refusal = r#"{"id":"1","status":401,"error":{"code":-2015,"msg":"Invalid API-key."}}"#;
    assert_eq!(account.text(refusal, 1.0), ["ignored Control"]);
    assert_eq!(account.requests(), [(Method::Get, "/api/v3/time")]);
    // The clock is not to blame: the refusal stands.
    let time = format!(r#"{{"serverTime":{}}}"#, at(1.0).wall.as_ms());
    assert_eq!(account.answer(200, &time, 1.0), ["rejected 0: -2015: Invalid API-key."]);
    assert_eq!((account.wakes_at(), account.said.logins.len()), (Some(301.0), 0));
    assert_eq!(account.take(Input::Timeout, 301.0).logins.len(), 1);
    let mut silent = Account::new("spot", &["order"]);
    silent.take(Input::Connected, 0.0);
    assert_eq!(silent.take(Input::Timeout, 10.0).recorder.reconnects.len(), 1);
    let mut none = Account::of("spot", &["order"], None);
    let said = none.take(Input::Connected, 0.0);
    assert!(said.recorder.updates[0].contains("it needs an account") && said.logins.is_empty());
}

#[test]
fn a_clock_that_is_wrong_is_corrected_on_spot() {
    let mut account = Account::new("spot", &["order"]);
    account.take(Input::Connected, 0.0);
    let refusal = r#"{"id":"1","status":400,"error":{"code":-1021,"msg":"Timestamp for this request is outside of the recvWindow."}}"#;
    account.text(refusal, 1.0);
    let ahead = at(1.0).wall.as_ms() + 3_600_000;
    account.answer(200, &format!(r#"{{"serverTime":{ahead}}}"#), 1.0);
    assert!(account.said.logins[0].contains(&format!(r#""timestamp":{ahead},"#)), "{:?}", account.said.logins);
    let told = account.text(r#"{"id":"1","status":200,"result":{"subscriptionId":0}}"#, 1.1);
    assert!(told.iter().any(|told| told.contains("by the venue's clock, 3600.0 s ahead of ours")), "{told:?}");
    assert_eq!(account.session.clock_ahead_ms(), Some(3_600_000));
}

#[test]
fn what_was_missed_is_told_after_a_reconnect() {
    let mut account = opened("usdm", &["order"]);
    let both = format!("[{},{}]", order("usdm", 1, "NEW", "0", 5), order("usdm", 2, "NEW", "0", 5));
    assert_eq!(account.answer(200, &both, 1.0).len(), 3);
    account.take(Input::Disconnected, 2.0);
    account.take(Input::Timeout, 2.0);
    account.answer(200, KEY, 2.1);
    account.take(Input::Connected, 2.2);
    let said = account.answer(200, &format!("[{}]", order("usdm", 2, "PARTIALLY_FILLED", "1", 6)), 3.0);
    assert_eq!(said.len(), 3);
    assert!(said[0].contains("id=2 ") && said[1].contains("id=1 state=closed"), "{said:?}");
    let said = account.take(Input::Initialize, 4.0);
    assert_eq!(said.recorder.requests.len(), 1);
}

#[test]
fn streams_come_and_go_at_run_time() {
    let mut account = opened("usdm", &["fill"]);
    let order = stream("usdm", "order ");
    account.take(Input::Subscribe { id: id(4), stream: &order }, 1.0);
    assert_eq!(account.answer(200, "[]", 1.1), ["subscribed 4"]);
    assert_eq!(account.take(Input::Unsubscribe(id(4)), 2.0).recorder.updates, ["unsubscribed 4"]);
}

#[test]
fn rows_of_recordings_are_read() {
    let mut desk = Desk::replay("spot");
    let moved =
        r#"{"subscriptionId":0,"event":{"e":"outboundAccountPosition","E":7,"u":6,"B":[{"a":"BTC","f":"1","l":"0"}]}}"#;
    assert_eq!(desk.text(moved, 1.0).len(), 1);
    let mut desk = Desk::replay("usdm");
    let update = r#"{"e":"ACCOUNT_UPDATE","E":2,"T":1,"a":{"B":[{"a":"BTC","wb":"1.5"}],"P":[]}}"#;
    assert_eq!(desk.text(update, 1.0).len(), 1);
}

/// A futures connection that was lost for ten seconds, of a feed that names one symbol.
fn lost(market: &str, symbols: &[&str]) -> Account {
    let mut account = Account::naming(market, symbols);
    account.take(Input::Timeout, 0.0);
    account.answer(200, KEY, 0.1);
    account.take(Input::Connected, 0.2);
    account.text(r#"{"e":"TRADE_LITE","E":1}"#, 90.0);
    account.take(Input::Disconnected, 100.0);
    account.take(Input::Timeout, 110.0);
    account.answer(200, KEY, 110.0);
    account.take(Input::Connected, 110.0);
    account
}

#[test]
fn trades_that_were_missed_are_read_of_the_symbols_that_are_known() {
    let mut account = lost("usdm", &["BTCUSDT"]);
    let path = "/fapi/v1/userTrades?symbol=BTCUSDT&startTime=1700000030000&limit=1000";
    assert_eq!(account.requests(), [(Method::Get, path)]);
    assert_eq!(account.said.recorder.requests[0].weight, 5);
    // A trade on another symbol comes meanwhile.
    let id = account.said.recorder.requests[0].id;
    let trade = r#"{"e":"ORDER_TRADE_UPDATE","E":1,"T":1,"o":{"s":"ETHUSDT","S":"BUY","x":"TRADE","X":"FILLED","i":8,"l":"1","L":"2","T":1,"t":5}}"#;
    assert_eq!(account.text(trade, 111.0).len(), 1);
    let row = |id: u64| {
        format!(
            r#"{{"symbol":"BTCUSDT","id":{id},"orderId":3,"side":"SELL","price":"9.5","qty":"2","quoteQty":"19","commission":"0.1","commissionAsset":"USDT","realizedPnl":"1","positionSide":"BOTH","buyer":false,"maker":true,"time":{}}}"#,
            1_700_000_100_000 + id
        )
    };
    let rows: Vec<String> = (1..=1_000).map(row).collect();
    assert!(account.http(id, 200, &format!("[{}]", rows.join(",")), 112.0).is_empty());
    assert_eq!(account.requests(), [(Method::Get, "/fapi/v1/userTrades?symbol=BTCUSDT&fromId=1001&limit=1000")]);
    let said = account.answer(200, &format!("[{}]", row(1_001)), 112.0);
    assert_eq!(said.len(), 1_002);
    assert_eq!(
        said[0],
        "fill main -/BTCUSDT id=1 order_id=3 side=sell price=9.5 size=2 value=19 fee=0.1 fee_currency=USDT \
         liquidity=maker pnl=1 position_side=BOTH backfill=true"
    );
    // The second time the other symbol is read too, and from as early.
    account.take(Input::Timeout, 122.0);
    assert_eq!(account.requests(), [(Method::Get, path)]);
    assert!(account.answer(400, r#"{"code":-1121,"msg":"Invalid symbol."}"#, 122.0).is_empty(), "its own trouble");
    assert_eq!(account.requests(), [(Method::Get, &*path.replace("BTC", "ETH"))]);
    let refused = account.answer(429, r#"{"code":-1003,"msg":"Too many requests"}"#, 122.0);
    assert!(refused[0].contains("the fill image could not be read: HTTP 429: -1003"), "{refused:?}");
}

#[test]
fn trades_of_each_market_have_their_path_and_weight() {
    let mut account = lost("coinm", &["BTCUSD_PERP"]);
    let path = "/dapi/v1/userTrades?symbol=BTCUSD_PERP&startTime=1700000030000&limit=1000";
    assert_eq!(account.requests(), [(Method::Get, path)]);
    assert_eq!(account.said.recorder.requests[0].weight, 20);
    account.take(Input::Disconnected, 110.0);
    let mut nothing = lost("usdm", &[]);
    assert_eq!(nothing.said.recorder.updates, ["subscribed 0"], "no symbol is known");
    nothing.take(Input::Timeout, 121.0);
    assert!(nothing.requests().is_empty());
    let mut spot = Account::naming("spot", &["BTCUSDT"]);
    let admitted = r#"{"id":"1","status":200,"result":{"subscriptionId":0}}"#;
    spot.take(Input::Connected, 0.0);
    assert_eq!(spot.text(admitted, 1.0), ["ignored Control", "subscribed 0"]);
    spot.take(Input::Disconnected, 2.0);
    let days = 2.0 * 86_400.0;
    spot.take(Input::Connected, days);
    spot.text(admitted, days);
    let first = "/api/v3/myTrades?symbol=BTCUSDT&startTime=1699999941000&endTime=1700086340999&limit=1000";
    assert_eq!((spot.requests(), spot.said.recorder.requests[0].weight), (vec![(Method::Get, first)], 20));
    let row = r#"[{"symbol":"BTCUSDT","id":28457,"orderId":100234,"orderListId":-1,"price":"4.5","qty":"12","quoteQty":"54","commission":"10.1","commissionAsset":"BNB","time":1700000000000,"isBuyer":true,"isMaker":false,"isBestMatch":true}]"#;
    spot.answer(200, row, days);
    assert!(spot.requests()[0].1.contains("startTime=1700086341000&endTime="));
    spot.answer(200, "[]", days);
    let said = spot.answer(200, "[]", days);
    let told = "fill main -/BTCUSDT id=28457 order_id=100234 side=buy price=4.5 size=12 value=54 fee=10.1 fee_currency=BNB \
                liquidity=taker backfill=true";
    assert_eq!(said, [told, "subscribed 0"]);
}

#[test]
fn an_image_that_refuses_the_key_is_a_refusal_for_five_minutes_over_connections_too() {
    for (code, words) in [("-1022", "Signature for this request is not valid."), ("-2014", "x"), ("-2015", "x")] {
        let mut account = opened("usdm", &["order"]);
        let body = format!(r#"{{"code":{code},"msg":"{words}"}}"#);
        let told = account.answer(401, &body, 1.0);
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(
            told[0].to_lowercase().starts_with("reject") && told[0].contains(&format!("{code}: {words}")),
            "{told:?}"
        );
        // Asking for it makes no difference.
        account.take(Input::Initialize, 2.0);
        assert_eq!(account.requests(), []);
        account.take(Input::Disconnected, 10.0);
        account.take(Input::Timeout, 10.0);
        account.answer(200, KEY, 10.0);
        let again = account.take(Input::Connected, 11.0).recorder.updates.clone();
        assert_eq!((again, account.requests()), (told, vec![]), "it holds");
        account.take(Input::Timeout, 300.9);
        assert_eq!(account.requests(), []);
        account.take(Input::Timeout, 301.0);
        assert_eq!(account.requests(), [(Method::Get, "/fapi/v1/openOrders")]);
        assert_eq!(account.answer(200, "[]", 302.0), ["subscribed 0"]);
    }
}
