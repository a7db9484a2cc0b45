//! REST: what each route answers, what it costs, and what happens to those who ask too much.

use super::*;
use crate::sim::fault::FaultKind;

#[test]
fn every_route_answers_on_every_market_that_has_it() {
    let mut scene = Scene::new("/ws");
    let routes = [
        "ping",
        "time",
        "exchangeInfo",
        "depth?symbol=S",
        "trades?symbol=S",
        "aggTrades?symbol=S",
        "klines?symbol=S&interval=1m",
        "ticker/24hr?symbol=S",
        "ticker/price?symbol=S",
        "ticker/bookTicker?symbol=S",
        "ticker/24hr",
        "ticker/price",
        "ticker/bookTicker",
    ];
    let futures = ["premiumIndex?symbol=S", "premiumIndex", "fundingRate?symbol=S", "openInterest?symbol=S"];
    for (base, symbol, is_futures) in
        [("/api/v3", "BTCUSDT", false), ("/fapi/v1", "BTCUSDT", true), ("/dapi/v1", "BTCUSD_PERP", true)]
    {
        for route in routes.iter().chain(futures.iter().filter(|_| is_futures)) {
            let body = scene.body(&format!("{base}/{}", route.replace("=S", &format!("={symbol}"))));
            let list = !route.contains("symbol=") && route.contains('/') || route.starts_with("trades");
            assert!(!list || body.as_array().is_some_and(|rows| !rows.is_empty()), "{base}/{route}: {body}");
            scene.ms += 60_000;
        }
    }
    assert_eq!(scene.get("/api/v3/premiumIndex").0, 404);
    assert_eq!(scene.get("/api/v1/ping").0, 404);
    assert_eq!(scene.body("/usdm/fapi/v1/ping"), json!({}), "a market may stand in front");
    assert_eq!(scene.get("/coinm/fapi/v1/ping").0, 404);
}

fn keys(scene: &mut Scene, path: &str) -> String {
    let (path, query) = path.split_once('?').unwrap();
    let body = scene.answer(&Asked::get(path, query, HOME)).body;
    names(body.trim_matches(['[', ']'])).join(" ")
}

#[test]
fn shapes_are_the_documented_ones() {
    let mut scene = Scene::new("/ws");
    let cases = [
        ("/api/v3/depth?symbol=BTCUSDT", "lastUpdateId bids asks"),
        ("/fapi/v1/depth?symbol=BTCUSDT", "lastUpdateId E T bids asks"),
        ("/dapi/v1/depth?symbol=BTCUSD_PERP", "lastUpdateId symbol pair E T bids asks"),
        ("/api/v3/ticker/price?symbol=BTCUSDT", "symbol price"),
        ("/fapi/v1/ticker/price?symbol=BTCUSDT", "symbol price time"),
        ("/dapi/v1/ticker/price?symbol=BTCUSD_PERP", "symbol ps price time"),
        (
            "/dapi/v1/ticker/bookTicker?symbol=BTCUSD_PERP",
            "lastUpdateId symbol pair bidPrice bidQty askPrice askQty time",
        ),
        ("/fapi/v1/openInterest?symbol=BTCUSDT", "symbol openInterest time"),
        (
            "/dapi/v1/premiumIndex?symbol=BTCUSD_PERP",
            "symbol pair markPrice indexPrice estimatedSettlePrice lastFundingRate interestRate nextFundingTime time",
        ),
    ];
    for (path, expected) in cases {
        assert_eq!(keys(&mut scene, path), expected, "{path}");
    }
    let one = |body: Value| (body.is_array(), body.as_array().map_or(0, Vec::len));
    assert_eq!(one(scene.body("/dapi/v1/ticker/price?symbol=BTCUSD_PERP")), (true, 1));
    assert_eq!(one(scene.body("/dapi/v1/ticker/price?pair=BTCUSD")), (true, 3));
    assert_eq!(one(scene.body("/fapi/v2/ticker/price?symbol=BTCUSDT")), (false, 0));
    assert_eq!(one(scene.body("/api/v3/ticker/price?symbols=%5B%22BTCUSDT%22,%22ETHUSDT%22%5D")), (true, 2));
    assert_eq!(scene.get("/dapi/v1/ticker/price?symbol=BTCUSD_PERP&pair=BTCUSD").1["code"], -1_128);
    assert_eq!(scene.body("/dapi/v1/depth?symbol=BTCUSDT&limit=5")["bids"].as_array().unwrap().len(), 5);
    let info = scene.body("/dapi/v1/exchangeInfo");
    let perpetual = info["symbols"].as_array().unwrap().iter().find(|s| s["symbol"] == "BTCUSD_PERP").unwrap();
    assert_eq!((&perpetual["contractSize"], &perpetual["contractStatus"]), (&json!(100), &json!("TRADING")));
    assert_eq!(perpetual["filters"][0]["tickSize"], "0.1");
}

#[test]
fn mistakes_have_their_codes() {
    let mut scene = Scene::new("/ws");
    let cases = [
        ("/api/v3/depth", 400, -1_102),
        ("/api/v3/depth?symbol=MOON", 400, -1_121),
        ("/fapi/v1/depth?symbol=BTCUSDT&limit=7", 400, -4_021),
        ("/api/v3/depth?symbol=BTCUSDT&limit=x", 400, -1_100),
        ("/api/v3/klines?symbol=BTCUSDT&interval=7m", 400, -1_120),
        ("/fapi/v1/klines?symbol=BTCUSDT&interval=1s", 400, -1_120),
        ("/api/v3/trades?symbol=BTCUSDT&limit=0", 400, -1_130),
        ("/api/v3/account", 401, -2_014),
        ("/api/v3/aggTrades?symbol=BTCUSDT&fromId=1&startTime=1", 400, -1_128),
    ];
    for (path, status, code) in cases {
        let (seen, body) = scene.get(path);
        assert_eq!((seen, &body["code"]), (status, &json!(code)), "{path}: {body}");
    }
}

fn used(answer: &Answer) -> u32 {
    answer.headers.iter().find(|(name, _)| *name == "X-MBX-USED-WEIGHT-1M").unwrap().1.parse().unwrap()
}

#[test]
fn weights_are_the_documented_ones_and_futures_share_them() {
    let mut scene = Scene::new("/ws");
    let cases: [(&str, [u32; 2]); 12] = [
        ("depth?symbol=BTCUSDT&limit=100", [5, 5]),
        ("depth?symbol=BTCUSDT&limit=500", [25, 10]),
        ("depth?symbol=BTCUSDT&limit=1000", [50, 20]),
        ("depth?symbol=BTCUSDT", [5, 10]),
        ("exchangeInfo", [20, 1]),
        ("trades?symbol=BTCUSDT", [25, 5]),
        ("aggTrades?symbol=BTCUSDT", [4, 20]),
        ("klines?symbol=BTCUSDT&interval=1m&limit=99", [2, 1]),
        ("klines?symbol=BTCUSDT&interval=1m", [2, 5]),
        ("ticker/24hr", [80, 40]),
        ("ticker/price", [4, 2]),
        ("ticker/bookTicker?symbol=BTCUSDT", [2, 2]),
    ];
    for (route, weights) in cases {
        for (base, weight) in ["/api/v3", "/fapi/v1"].into_iter().zip(weights) {
            scene.ms += 60_000;
            let path = format!("{base}/{route}");
            let (path, query) = path.split_once('?').unwrap_or((&path, ""));
            let answer = scene.answer(&Asked::get(path, query, HOME));
            assert_eq!(used(&answer), weight, "{path}?{query}");
        }
    }
    scene.ms += 60_000;
    let mut spend = |path| used(&scene.answer(&Asked::get(path, "", HOME)));
    assert_eq!([spend("/fapi/v1/ping"), spend("/dapi/v1/ping"), spend("/api/v3/ping")], [1, 2, 1]);
}

#[test]
fn too_much_weight_is_refused_and_who_goes_on_is_banned() {
    let binance = super::super::Settings { weight_limit: Some(10), ..super::super::Settings::default() };
    let mut scene = Scene::with("/ws", Options { binance, ..Options::default() });
    let mut statuses = Vec::new();
    let mut last = None;
    for _ in 0..16 {
        let answer = scene.answer(&Asked::get("/api/v3/depth", "symbol=BTCUSDT", HOME));
        statuses.push(answer.status);
        last = Some(answer);
    }
    assert_eq!(statuses, [vec![200; 2], vec![429; 10], vec![418; 4]].concat());
    let last = last.unwrap();
    assert!(last.headers.contains(&("Retry-After", "120".to_owned())), "{last:?}");
    assert!(last.body.starts_with(r#"{"code":-1003,"msg":"Way too many requests; IP(127.0.0.1) banned until "#));
    assert_eq!(scene.get("/fapi/v1/ping").0, 200, "spot and futures are counted apart");
    let stats = scene.venue.stats(scene.now());
    assert_eq!((&stats["spot"]["most"], &stats["spot"]["too_many"]), (&json!(10), &json!(11)));
    assert_eq!((&stats["spot"]["banned"], &stats["futures"]["used"]), (&json!(4), &json!(1)));
    scene.ms += 120_000;
    assert_eq!(scene.get("/api/v3/ping").0, 200);
}

fn times(body: &Value) -> Vec<u64> {
    body.as_array().unwrap().iter().map(|row| number(&row[0])).collect()
}

#[test]
fn spot_candles_begin_where_asked_and_coinm_gives_the_most_recent() {
    const MINUTE: u64 = 60_000;
    let mut scene = Scene::new("/ws");
    let now = BEGINNING - BEGINNING % MINUTE;
    let (start, end) = (now - 10 * MINUTE, now - MINUTE);
    let query = format!("interval=1m&limit=3&startTime={start}&endTime={end}");
    let from_start = [start, start + MINUTE, start + 2 * MINUTE];
    assert_eq!(times(&scene.body(&format!("/api/v3/klines?symbol=BTCUSDT&{query}"))), from_start);
    assert_eq!(times(&scene.body(&format!("/fapi/v1/klines?symbol=BTCUSDT&{query}"))), from_start);
    let coinm = times(&scene.body(&format!("/dapi/v1/klines?symbol=BTCUSD_PERP&{query}")));
    assert_eq!(coinm, [end - 2 * MINUTE, end - MINUTE, end]);
    let last = times(&scene.body("/api/v3/klines?symbol=BTCUSDT&interval=5m&limit=2"));
    assert_eq!(last, [now - now % (5 * MINUTE) - 5 * MINUTE, now - now % (5 * MINUTE)]);
    let far = format!("interval=1m&startTime=0&endTime={end}");
    assert_eq!(scene.get(&format!("/dapi/v1/klines?symbol=BTCUSD_PERP&{far}")).1["code"], -1_128);
    let row = &scene.body("/api/v3/klines?symbol=BTCUSDT&interval=1m&limit=1")[0];
    assert_eq!(row.as_array().unwrap().len(), 12);
}

#[test]
fn trades_can_be_read_on_from_where_they_were_left() {
    let mut scene = Scene::with("/ws", Options { symbols: vec!["BTCUSDT".into()], ..Options::default() });
    let ids = |body: &Value, name: &str| -> Vec<u64> {
        body.as_array().unwrap().iter().map(|row| number(&row[name])).collect()
    };
    let before = ids(&scene.body("/api/v3/aggTrades?symbol=BTCUSDT&limit=5"), "a");
    assert_eq!(before.len(), 5);
    scene.live(3_000);
    let after = ids(&scene.body(&format!("/api/v3/aggTrades?symbol=BTCUSDT&limit=1000&fromId={}", before[4])), "a");
    assert_eq!(after[0], before[4]);
    assert!(after.len() > 3 && after.windows(2).all(|pair| pair[1] == pair[0] + 1), "{after:?}");
    let since = format!("/api/v3/aggTrades?symbol=BTCUSDT&startTime={BEGINNING}&limit=2");
    assert_eq!(ids(&scene.body(&since), "a"), after[1..3]);
    let trades = ids(&scene.body("/api/v3/trades?symbol=BTCUSDT&limit=1000"), "id");
    assert!(trades.windows(2).all(|pair| pair[1] == pair[0] + 1));
    let old = ids(&scene.body(&format!("/api/v3/historicalTrades?symbol=BTCUSDT&limit=2&fromId={}", trades[3])), "id");
    assert_eq!(old, trades[3..5]);
}

#[test]
fn a_stale_image_is_too_old_and_a_ban_comes_out_of_the_blue() {
    let stale = vec!["rest-stale".parse().unwrap()];
    let mut scene = Scene::with("/ws", Options { faults: stale, ..Options::default() });
    scene.subscribe(&["btcusdt@depth@100ms"]);
    let first = scene.live(1_000).first().map(|event| number(&event["U"])).unwrap();
    let image = |scene: &mut Scene, fault: Option<&FaultKind>| {
        let asked = Asked { fault, ..Asked::get("/api/v3/depth", "symbol=BTCUSDT", HOME) };
        let body: Value = serde_json::from_str(&scene.answer(&asked).body).unwrap();
        number(&body["lastUpdateId"])
    };
    let old = image(&mut scene, Some(&FaultKind::RestStale));
    assert!(old + 1 < first, "{old} {first}");
    assert!(image(&mut scene, None) >= first);
    let ban = Asked { fault: Some(&FaultKind::RestBan(5)), ..Asked::get("/dapi/v1/ping", "", HOME) };
    assert_eq!(scene.answer(&ban).status, 418);
    scene.ms += 4_999;
    assert_eq!(scene.get("/fapi/v1/ping").0, 418);
    scene.ms += 1;
    assert_eq!(scene.get("/fapi/v1/ping").0, 200);
}

#[test]
fn a_thousand_symbols_are_listed_on_every_market() {
    let scene = &mut Scene::with("/ws", Options { symbols: vec!["1000".into()], ..Options::default() });
    for base in ["/api/v3", "/fapi/v1", "/dapi/v1"] {
        assert_eq!(scene.body(&format!("{base}/exchangeInfo"))["symbols"].as_array().unwrap().len(), 1_000);
    }
    let image = scene.body("/api/v3/depth?symbol=SIM0777USDT&limit=1000");
    assert_eq!(image["bids"].as_array().unwrap().len(), 120);
}

#[test]
fn whatever_is_asked_is_answered() {
    let scene = &mut Scene::new("/ws");
    let names = [
        "depth",
        "trades",
        "historicalTrades",
        "aggTrades",
        "klines",
        "avgPrice",
        "ticker/24hr",
        "ticker/price",
        "ticker/bookTicker",
        "premiumIndex",
        "fundingRate",
        "openInterest",
        "exchangeInfo",
        "account",
        "listenKey",
        "",
    ];
    let huge = u64::MAX.to_string();
    let values = ["", "0", "1", "-1", huge.as_str(), "99999999999999999999999", "%00%ff", "[", "[\"\"]", "1M", "1w"];
    for base in ["/api/v3", "/fapi/v1", "/dapi/v1"] {
        for name in names {
            for field in ["limit", "startTime", "endTime", "fromId", "interval", "symbols", "pair", "timeZone"] {
                for value in values {
                    let symbol = if base == "/dapi/v1" { "BTCUSD_PERP" } else { "BTCUSDT" };
                    let query = format!("symbol={symbol}&interval=1w&{field}={value}");
                    let path = format!("{base}/{name}");
                    let status = scene
                        .answer(&Asked { headers: &[("X-MBX-APIKEY", "key")], ..Asked::get(&path, &query, HOME) })
                        .status;
                    assert!([200, 400, 404, 405].contains(&status), "{path}?{query}: {status}");
                    scene.ms += 60_000;
                }
            }
        }
    }
}
