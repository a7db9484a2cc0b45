//! The account: signed requests, listen keys, and its events on each market.

use super::*;
use crate::sim::binance::sign;

fn signed(query: &str) -> String {
    let text = format!("{query}timestamp={BEGINNING}");
    format!("{text}&signature={}", sign("secret", &text))
}

fn with_key<'a>(method: &'a str, path: &'a str, query: &'a str) -> Asked<'a> {
    Asked { method, headers: &[("X-MBX-APIKEY", "key")], ..Asked::get(path, query, HOME) }
}

#[test]
fn signed_requests_are_checked_over_the_exact_text() {
    let mut scene = Scene::new("/ws");
    let mut code = |path: &str, query: &str| {
        let answer = scene.answer(&with_key("GET", path, query));
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        (answer.status, body["code"].as_i64())
    };
    for path in ["/api/v3/account", "/fapi/v2/account", "/fapi/v3/account", "/dapi/v1/account"] {
        assert_eq!(code(path, &signed("")), (200, None), "{path}");
    }
    assert_eq!(code("/api/v3/account", &signed("recvWindow=5000&")), (200, None));
    let reordered = signed("recvWindow=5000&").replacen("recvWindow=5000&", "", 1) + "&recvWindow=5000";
    assert_eq!(code("/api/v3/account", &reordered), (400, Some(-1_022)));
    assert_eq!(code("/api/v3/account", "timestamp=1&signature=00"), (400, Some(-1_021)));
    assert_eq!(code("/api/v3/account", ""), (400, Some(-1_102)));
    let stranger = Asked { headers: &[("x-mbx-apikey", "kex")], ..with_key("GET", "/api/v3/account", "") };
    assert!(scene.answer(&stranger).body.contains("-2015"));
}

#[test]
fn listen_keys_are_opened_renewed_closed_and_expire() {
    let mut scene = Scene::new("/ws");
    let path = "/fapi/v1/listenKey";
    let ask = |scene: &mut Scene, method| {
        let answer = scene.answer(&with_key(method, path, ""));
        (answer.status, serde_json::from_str::<Value>(&answer.body).unwrap())
    };
    assert_eq!(ask(&mut scene, "PUT").1["code"], -1_125);
    let (_, opened) = ask(&mut scene, "POST");
    assert_eq!(ask(&mut scene, "POST").1, opened, "the same until it is closed");
    assert_eq!(ask(&mut scene, "PUT"), (200, opened.clone()));
    assert_eq!(ask(&mut scene, "GET").0, 405);
    let key = opened["listenKey"].as_str().unwrap().to_owned();
    assert_eq!(key.len(), 64);
    scene.reconnect(&format!("/private/ws?listenKey={key}"));
    scene.ms += 3_599_000;
    assert!(scene.run(500).iter().all(|event| event["e"] != "listenKeyExpired"));
    let last = scene.run(1_000);
    assert!(last.iter().any(|event| event["e"] == "listenKeyExpired" && event["listenKey"] == *key), "{last:?}");
    assert_eq!(ask(&mut scene, "PUT").1["code"], -1_125);
    ask(&mut scene, "POST");
    assert_eq!(ask(&mut scene, "DELETE"), (200, json!({})));
    assert_eq!(ask(&mut scene, "PUT").1["code"], -1_125);
    assert_eq!(scene.answer(&with_key("POST", "/api/v3/userDataStream", "")).status, 410);
}

#[test]
fn futures_events_come_over_the_private_path() {
    for (rest, path) in [("/fapi/v1/listenKey", "/private/ws?listenKey="), ("/dapi/v1/listenKey", "/ws/")] {
        let mut scene = Scene::new("/ws");
        let opened: Value = serde_json::from_str(&scene.answer(&with_key("POST", rest, "")).body).unwrap();
        let key = opened["listenKey"].as_str().unwrap();
        scene.reconnect(&format!("{path}{key}"));
        let events = scene.run(6_000);
        let kinds: Vec<&str> = events.iter().map(|event| event["e"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["ORDER_TRADE_UPDATE", "ORDER_TRADE_UPDATE", "ACCOUNT_UPDATE"], "{path}");
        assert_eq!((&events[0]["o"]["X"], &events[1]["o"]["X"]), (&json!("NEW"), &json!("FILLED")));
        assert_eq!(events[1]["o"]["z"], events[1]["o"]["q"]);
        assert_eq!(events[2]["a"]["P"][0]["s"], events[1]["o"]["s"]);
    }
    let mut scene = Scene::new("/ws");
    let opened: Value = serde_json::from_str(&scene.answer(&with_key("POST", "/fapi/v1/listenKey", "")).body).unwrap();
    let key = opened["listenKey"].as_str().unwrap();
    scene.reconnect(&format!("/private/ws?listenKey={key}&events=ACCOUNT_UPDATE"));
    assert!(scene.run(12_000).iter().all(|event| event["e"] == "ACCOUNT_UPDATE"));
}

#[test]
fn trades_are_listed_by_time_and_id_though_nobody_watches_any_more() {
    let mut scene = Scene::new("/ws");
    let opened: Value = serde_json::from_str(&scene.answer(&with_key("POST", "/fapi/v1/listenKey", "")).body).unwrap();
    scene.reconnect(&format!("/private/ws?listenKey={}", opened["listenKey"].as_str().unwrap()));
    scene.run(6_000);
    scene.reconnect("/ws");
    scene.run(40_000);
    let told = scene.venue.fills("usdm");
    assert!(told.len() > 3 && scene.venue.fills("spot").is_empty(), "{told:?}");
    let symbol = told[0].split(' ').next().unwrap().to_owned();
    let mut list = |path: &str, query: &str| {
        let text = format!("{query}&timestamp={}", scene.now().wall.as_ms());
        let query = format!("{text}&signature={}", sign("secret", &text));
        serde_json::from_str::<Value>(&scene.answer(&with_key("GET", path, &query)).body).unwrap()
    };
    let path = "/fapi/v1/userTrades";
    let key = |row: &Value| format!("{} {} {}", row["symbol"].as_str().unwrap(), row["id"], row["orderId"]);
    let keys = |rows: &Value| rows.as_array().unwrap().iter().map(key).collect::<Vec<_>>();
    let all = list(path, &format!("symbol={symbol}&startTime={BEGINNING}"));
    assert_eq!(keys(&all), told, "oldest first");
    let third = all[2]["id"].as_u64().unwrap();
    assert_eq!(keys(&list(path, &format!("symbol={symbol}&fromId={third}&limit=2"))), told[2..4]);
    assert_eq!(keys(&list(path, &format!("symbol={symbol}&limit=2"))), told[told.len() - 2..], "the last ones");
    for (path, query, code) in [
        (path, format!("symbol={symbol}&fromId=1&startTime=5"), -1_128),
        (path, format!("symbol={symbol}&startTime=1&endTime={BEGINNING}"), -1_127),
        (path, "symbol=MOON".to_owned(), -1_121),
        (path, "limit=5".to_owned(), -1_102),
        ("/api/v3/myTrades", format!("symbol={symbol}&startTime=1&endTime=86400002"), -1_127),
    ] {
        assert_eq!(list(path, &query)["code"], code, "{path} {query}");
    }
    assert_eq!(scene.answer(&with_key("GET", path, "symbol=BTCUSDT")).status, 400, "not signed");
}

#[test]
fn spot_events_come_over_the_websocket_api() {
    let mut scene = Scene::new("/ws-api/v3");
    let timestamp = BEGINNING + 1_000;
    let signature = sign("secret", &format!("apiKey=key&timestamp={timestamp}"));
    let params = json!({"apiKey": "key", "timestamp": timestamp, "signature": signature});
    let request = json!({"id": "1", "method": "userDataStream.subscribe.signature", "params": params});
    let answer = scene.ask(&request.to_string());
    assert_eq!(answer, [json!({"id": "1", "status": 200, "result": {"subscriptionId": 0}})]);
    let events = scene.run(6_000);
    let kinds: Vec<&str> = events.iter().map(|event| event["event"]["e"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["executionReport", "executionReport", "outboundAccountPosition"]);
    assert_eq!((&events[0]["event"]["x"], &events[1]["event"]["x"]), (&json!("NEW"), &json!("TRADE")));
    scene.ask(r#"{"id":"2","method":"userDataStream.unsubscribe"}"#);
    assert!(scene.run(12_000).is_empty());
}
