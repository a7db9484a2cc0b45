//! The account: signing in, its topics, and its REST calls.

use super::*;
use crate::sim::signature;

fn private() -> Bench {
    let mut bench = Bench::new(Category::Linear);
    bench.session = bench.venue.connect(&Asked::get("/v5/private", "", HOME), 7, bench.now).unwrap();
    bench
}

fn auth(key: &str, secret: &str, expires: u64) -> String {
    json!({"op": "auth", "args": [key, expires, sign(secret, expires)]}).to_string()
}

#[test]
fn each_mistake_of_a_login_has_its_words_and_ends_the_connection() {
    let soon = START_MS + 5_000;
    for (text, words) in [
        (auth("kex", "secret", soon), "API key is invalid."),
        (auth("key", "secrex", soon), "error sign!"),
        (auth("key", "secret", START_MS), "Params Error: expires time is too old"),
        (r#"{"op":"auth","args":["key","soon","x"]}"#.to_owned(), "Params Error"),
        (r#"{"op":"auth","args":[]}"#.to_owned(), "Params Error"),
    ] {
        let mut bench = private();
        let replies = bench.session.on_text(&text, bench.now, &mut bench.venue, &mut |_| false);
        let [Reply::Control(answer), Reply::Close(..)] = &replies[..] else { panic!("{replies:?}") };
        let answer: Value = serde_json::from_str(answer).unwrap();
        assert_eq!(
            (&answer["success"], &answer["op"], &answer["ret_msg"]),
            (&json!(false), &json!("auth"), &json!(words))
        );
    }
    let mut bench = private();
    assert_eq!(bench.subscribe(&["order"])[0]["ret_msg"], "Request not authorized");
    assert_eq!(bench.ask(&auth("key", "secret", soon))[0]["success"], true);
    assert_eq!(bench.subscribe(&["order", "execution.linear"])[0]["success"], false);
    assert_eq!(bench.subscribe(&["orders"])[0]["ret_msg"], "error:handler not found,topic:orders");
    assert_eq!(bench.subscribe(&["order", "wallet"])[0]["success"], true);
    let pong = bench.ask(r#"{"req_id":"5","op":"ping"}"#).remove(0);
    assert_eq!((&pong["op"], &pong["req_id"]), (&json!("pong"), &json!("5")));
}

#[test]
fn orders_are_filled_while_somebody_watches() {
    let mut bench = private();
    bench.ask(&auth("key", "secret", START_MS + 5_000));
    bench.subscribe(&["order", "execution", "position", "wallet"]);
    let events = bench.run(13_000);
    let first: Vec<&str> = events.iter().take(4).map(|event| event["topic"].as_str().unwrap()).collect();
    assert_eq!(first, ["order", "order", "execution", "wallet"], "the first is of spot");
    assert_eq!(
        (&events[0]["data"][0]["orderStatus"], &events[1]["data"][0]["orderStatus"]),
        (&json!("New"), &json!("Filled"))
    );
    let position = of(&events, "position").remove(0);
    assert_eq!((&position["data"][0]["category"], &position["data"][0]["side"]), (&json!("linear"), &json!("Buy")));
    let mut bench = private();
    bench.ask(&auth("key", "secret", START_MS + 5_000));
    bench.subscribe(&["order.inverse"]);
    let events = bench.run(20_000);
    assert!(!events.is_empty() && events.iter().all(|event| event["data"][0]["category"] == "inverse"));
}

#[test]
fn executions_are_listed_by_time_and_page_though_nobody_watches_any_more() {
    let mut bench = private();
    bench.ask(&auth("key", "secret", START_MS + 5_000));
    bench.subscribe(&["execution"]);
    let streamed = bench.run(13_000);
    bench.ask(r#"{"req_id":"6","op":"unsubscribe","args":["execution"]}"#);
    assert!(bench.run(30_000).is_empty());
    let told = bench.venue.fills("linear");
    assert!(told.len() > 1 && bench.venue.fills("spot").len() > 1, "{told:?}");
    let now = bench.now.wall.as_ms();
    let mut list = |query: &str| {
        let time = now.to_string();
        let sign = signature::hex("secret", &[&time, "key", query]);
        let headers = [("X-BAPI-API-KEY", "key"), ("X-BAPI-TIMESTAMP", &*time), ("X-BAPI-SIGN", &*sign)];
        let asked = Asked { headers: &headers, ..Asked::get("/v5/execution/list", query, HOME) };
        serde_json::from_str::<Value>(&answer(&mut bench.venue, &asked, bench.now).1).unwrap()
    };
    let key = |row: &Value| ["symbol", "execId", "orderId"].map(|name| row[name].as_str().unwrap()).join(" ");
    let (mut cursor, mut listed) = (String::new(), Vec::new());
    loop {
        let page = list(&format!("category=linear&startTime={START_MS}&limit=2{cursor}"));
        listed.extend(page["result"]["list"].as_array().unwrap().iter().map(key));
        match page["result"]["nextPageCursor"].as_str().unwrap() {
            "" => break,
            next => cursor = format!("&cursor={next}"),
        }
    }
    listed.reverse();
    assert_eq!(listed, told, "newest first, each once");
    assert!(told.contains(&key(&of(&streamed, "execution")[1]["data"][0])), "as the stream tells them");
    assert_eq!(list(&format!("category=linear&startTime={now}&limit=2"))["result"]["list"], json!([]));
    assert_eq!(list(&format!("category=linear&startTime=1&endTime={now}"))["retCode"], 10_001, "seven days at most");
}

#[test]
fn rest_answers_who_signs() {
    let mut bench = private();
    let time = START_MS.to_string();
    let mut ask = |path: &str, query: &str, change: (&str, &str)| {
        let sign = signature::hex("secret", &[&time, "key", query]);
        let mut headers = [("X-BAPI-API-KEY", "key"), ("X-BAPI-TIMESTAMP", &time), ("X-BAPI-SIGN", &sign)];
        if let Some(header) = headers.iter_mut().find(|(name, _)| *name == change.0) {
            header.1 = change.1;
        }
        let asked = Asked { headers: &headers, ..Asked::get(path, query, HOME) };
        let (status, body) = answer(&mut bench.venue, &asked, bench.now);
        assert_eq!(status, 200);
        serde_json::from_str::<Value>(&body).unwrap()
    };
    let path = "/v5/order/realtime";
    let all = ask(path, "category=linear&settleCoin=USDT", ("", ""));
    assert_eq!((&all["retCode"], &all["result"]["list"][0]["orderStatus"]), (&json!(0), &json!("New")));
    assert_eq!(ask(path, "category=linear", ("", ""))["retCode"], 10_001);
    let positions = ask("/v5/position/list", "category=inverse", ("", ""));
    assert_eq!(positions["result"]["list"][0]["size"], "10");
    let wallet = ask("/v5/account/wallet-balance", "accountType=UNIFIED", ("", ""));
    assert!(wallet["result"]["list"][0]["coin"].as_array().unwrap().len() >= 2, "{wallet}");
    let (early, late) = ((START_MS - 5_001).to_string(), (START_MS + 1_000).to_string());
    for (change, code) in [
        (("X-BAPI-API-KEY", ""), 10_001),
        (("X-BAPI-API-KEY", "kex"), 10_003),
        (("X-BAPI-SIGN", "00ff"), 10_004),
        (("X-BAPI-TIMESTAMP", &*early), 10_002),
        (("X-BAPI-TIMESTAMP", &*late), 10_002),
        (("X-BAPI-TIMESTAMP", "soon"), 10_001),
    ] {
        assert_eq!(ask(path, "category=spot", change)["retCode"], code, "{change:?}");
    }
}
