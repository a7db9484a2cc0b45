//! REST: rows, errors, limits.

use super::*;
use crate::sim::signature;

#[test]
fn instruments_by_type_and_family() {
    let mut bench = Bench::new("public");
    let rows = bench.rows("/public/instruments", "instType=SPOT");
    assert!(rows.len() >= 8 && rows.iter().all(|row| row["instType"] == "SPOT"));
    assert_eq!(
        (&rows[0]["instId"], &rows[0]["tickSz"], &rows[0]["state"]),
        (&json!("BTC-USDT"), &json!("0.1"), &json!("live"))
    );
    let rows = bench.rows("/public/instruments", "instType=OPTION&instFamily=BTC-USD");
    assert_eq!(rows.len(), 6);
    assert_eq!(bench.rows("/public/instruments", "instType=SWAP&instId=BTC-USD-SWAP").len(), 1);
    assert_eq!(bench.rows("/public/instruments", "instType=FUTURES&instFamily=NOPE"), [] as [Value; 0]);
    for (query, status, code) in [
        ("", 400, "50014"),
        ("instType=MOON", 200, "51000"),
        ("instType=OPTION", 400, "50014"),
        ("instType=SPOT&instId=NOPE", 200, "51001"),
    ] {
        let (got, body) = bench.get("/public/instruments", query);
        assert_eq!((got, &body["code"], &body["data"]), (status, &json!(code), &json!([])), "{query}");
    }
}

#[test]
fn books_have_the_ids_of_the_socket() {
    let mut bench = Bench::new("public");
    bench.join("books", "BTC-USDT");
    let last = bench.run(500).pop().unwrap()["data"][0].clone();
    let book = bench.rows("/market/books", "instId=BTC-USDT&sz=400").remove(0);
    assert_eq!((&book["seqId"], book["bids"].as_array().unwrap().len()), (&last["seqId"], 400));
    assert_eq!(bench.rows("/market/books", "instId=BTC-USDT")[0]["asks"].as_array().unwrap().len(), 1);
    let full = bench.rows("/market/books-full", "instId=BTC-USDT&sz=5000").remove(0);
    assert!(full["bids"].as_array().unwrap().len() > 400 && full.get("seqId").is_none());
    assert_eq!((full["asks"][0].as_array().unwrap().len(), book["asks"][0].as_array().unwrap().len()), (3, 4));
    for (path, query, code) in [
        ("/market/books", "instId=BTC-USDT&sz=401", "51000"),
        ("/market/books", "instId=NOPE", "51001"),
        ("/market/books-full", "instId=BTC-USDT&sz=0", "51000"),
        ("/market/candles", "instId=BTC-USDT&bar=7m", "51000"),
        ("/market/candles", "instId=BTC-USDT&limit=301", "51000"),
        ("/market/trades", "instId=BTC-USDT&limit=501", "51000"),
    ] {
        assert_eq!(bench.get(path, query).1["code"], code, "{path}?{query}");
    }
}

#[test]
fn figures_are_the_rows_of_the_channels() {
    let mut bench = Bench::new("public");
    let by_socket = bench.join("tickers", "BTC-USDT-SWAP")[1]["data"][0].clone();
    assert_eq!(bench.rows("/market/ticker", "instId=BTC-USDT-SWAP"), [by_socket]);
    assert!(bench.rows("/market/tickers", "instType=SWAP").len() >= 8);
    assert_eq!(bench.rows("/public/funding-rate", "instId=BTC-USDT-SWAP")[0]["method"], "current_period");
    assert_eq!(bench.rows("/public/mark-price", "instType=SWAP&instId=BTC-USDT-SWAP").len(), 1);
    assert_eq!(bench.rows("/public/open-interest", "instType=SWAP&instId=BTC-USDT-SWAP").len(), 1);
    assert_eq!(bench.rows("/market/index-tickers", "instId=BTC-USD")[0]["instId"], "BTC-USD");
    assert_eq!(bench.rows("/market/index-tickers", "quoteCcy=USD").len(), 2);
    assert_eq!(bench.get("/public/funding-rate", "instId=BTC-USDT").1["code"], "51000");
    assert_eq!(bench.rows("/public/time", "")[0]["ts"], START_MS.to_string());
    assert_eq!(bench.rows("/system/status", ""), [] as [Value; 0]);
}

#[test]
fn candles_are_paged_by_time() {
    let mut bench = Bench::new("public");
    let rows = bench.rows("/market/candles", "instId=BTC-USDT&limit=300");
    assert_eq!((rows.len(), rows[0].as_array().unwrap().len()), (300, 9));
    let time = |row: &Value| row[0].as_str().unwrap().to_owned();
    let older = bench.rows("/market/candles", &format!("instId=BTC-USDT&after={}", time(&rows[299])));
    assert_eq!(time(&older[0]).parse::<u64>().unwrap() + 60_000, time(&rows[299]).parse::<u64>().unwrap());
    let newer = bench.rows("/market/history-candles", &format!("instId=BTC-USDT&before={}", time(&rows[2])));
    assert_eq!(newer, rows[..2]);
    let hours = bench.rows("/market/candles", "instId=BTC-USDT&bar=1H&limit=2");
    assert_eq!((&hours[0][8], &hours[1][8]), (&json!("0"), &json!("1")));
    assert_eq!(hours[0][4], rows[0][4], "the same last price");
}

#[test]
fn limits_are_those_of_the_route() {
    let mut bench = Bench::new("public");
    for _ in 0..10 {
        assert_eq!(bench.get("/public/time", "").0, 200);
    }
    let (status, body) = bench.get("/public/time", "");
    assert_eq!((status, &body["code"]), (429, &json!("50011")));
    for _ in 0..20 {
        assert_eq!(bench.get("/public/instruments", "instType=SPOT").0, 200, "another route");
    }
    assert_eq!(bench.get("/public/instruments", "instType=SPOT").0, 429);
    assert_eq!(bench.get("/public/instruments", "instType=SWAP").0, 200, "another type");
    bench.ms = 2_000;
    assert_eq!(bench.get("/public/time", "").0, 200);
}

#[test]
fn unknown_paths_have_a_code_that_is_a_number() {
    let mut bench = Bench::of(JAPAN, "public", Settings::default());
    for path in ["/nothing", "/public/funding-rate", "/public/mark-price"] {
        let (status, body) = bench.get(path, "instId=BTC-JPY");
        assert_eq!((status, &body["code"], &body["error_code"]), (404, &json!(404), &json!("404")), "{path}");
    }
    assert_eq!(bench.rows("/public/instruments", "instType=SPOT").len(), 6);
}

#[test]
fn fills_are_listed_by_time_and_bill_though_nobody_watches_any_more() {
    let mut bench = Bench::new("private");
    bench.log_in();
    let orders = json!({"channel": "orders", "instType": "ANY"});
    bench.request("subscribe", std::slice::from_ref(&orders));
    bench.run(20_000);
    bench.request("unsubscribe", std::slice::from_ref(&orders));
    bench.run(20_000);
    let told = bench.venue.fills("swap");
    assert!(told.len() > 3, "{told:?}");
    let (path, timestamp) = ("/api/v5/trade/fills", "2026-11-21T12:00:37.000Z");
    let mut list = |query: &str| {
        let sign = signature::base64("secret", &[timestamp, "GET", &format!("{path}?{query}")]);
        let headers = [
            ("OK-ACCESS-KEY", "key"),
            ("OK-ACCESS-SIGN", sign.as_str()),
            ("OK-ACCESS-TIMESTAMP", timestamp),
            ("OK-ACCESS-PASSPHRASE", "phrase"),
        ];
        let asked = Asked { headers: &headers, ..Asked::get(path, query, IpAddr::V4(Ipv4Addr::LOCALHOST)) };
        let answer = bench.venue.answer(&asked, at(0));
        serde_json::from_str::<Value>(&answer.body).unwrap()["data"].as_array().unwrap().clone()
    };
    let (mut after, mut listed) = (String::new(), Vec::new());
    loop {
        let page = list(&format!("begin=0&limit=2{after}"));
        let Some(last) = page.last() else { break };
        after = format!("&after={}", last["billId"].as_str().unwrap());
        let key = |row: &Value| ["instId", "tradeId", "ordId"].map(|name| row[name].as_str().unwrap()).join(" ");
        listed.extend(page.iter().map(key));
    }
    listed.reverse();
    assert_eq!(listed, told, "newest first, each once");
    assert!(list("instType=SPOT&limit=100").iter().all(|row| row["instType"] == "SPOT"));
    assert!(list("begin=9999999999999&limit=100").is_empty());
}

#[test]
fn the_account_answers_who_signs() {
    let mut bench = Bench::new("public");
    let timestamp = "2026-11-21T12:00:37.000Z";
    let path = "/api/v5/trade/orders-pending";
    let signed = |target: &str| signature::base64("secret", &[timestamp, "GET", target]);
    let mut ask = |query: &str, change: (&str, &str)| {
        let target = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
        let sign = signed(&target);
        let mut headers = [
            ("OK-ACCESS-KEY", "key"),
            ("OK-ACCESS-SIGN", sign.as_str()),
            ("OK-ACCESS-TIMESTAMP", timestamp),
            ("OK-ACCESS-PASSPHRASE", "phrase"),
        ];
        if let Some(header) = headers.iter_mut().find(|(name, _)| *name == change.0) {
            header.1 = change.1;
        }
        let asked = Asked { headers: &headers, ..Asked::get(path, query, IpAddr::V4(Ipv4Addr::LOCALHOST)) };
        let answer = bench.venue.answer(&asked, at(0));
        (answer.status, serde_json::from_str::<Value>(&answer.body).unwrap())
    };
    let (status, body) = ask("limit=100", ("", ""));
    let rows = body["data"].as_array().unwrap();
    assert_eq!((status, rows.len(), &rows[0]["state"]), (200, 2, &json!("live")));
    let last = rows[0]["ordId"].as_str().unwrap().to_owned();
    assert_eq!(ask(&format!("limit=1&after={last}"), ("", "")).1["data"].as_array().unwrap().len(), 1);
    for (change, code) in [
        (("OK-ACCESS-KEY", ""), "50103"),
        (("OK-ACCESS-KEY", "kex"), "50111"),
        (("OK-ACCESS-PASSPHRASE", ""), "50104"),
        (("OK-ACCESS-PASSPHRASE", "phrax"), "50105"),
        (("OK-ACCESS-SIGN", ""), "50106"),
        (("OK-ACCESS-SIGN", "bm9uc2Vuc2U="), "50113"),
        (("OK-ACCESS-TIMESTAMP", ""), "50107"),
        (("OK-ACCESS-TIMESTAMP", "1700000000"), "50112"),
        (("OK-ACCESS-TIMESTAMP", "2026-11-21T12:00:06.000Z"), "50102"),
    ] {
        let (status, body) = ask("", change);
        assert_eq!((status, &body["code"]), (401, &json!(code)), "{change:?}");
    }
}
