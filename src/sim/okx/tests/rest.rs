//! REST: rows, errors, limits.

use super::*;

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
