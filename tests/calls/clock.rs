//! Venues whose clock is not ours: signed calls are refused for their time, and then made by the venue's.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use serde_json::{Value, json};

use crate::gateway::{Gateway, config, file_of};
use crate::server::{Asked, CANARIES, KEYS, Said, Server, accounts, canaries, config_of, hex, ok, said};

/// How far ahead the servers' clocks are, ms.
const AHEAD: i64 = 3_600_000;

fn now_ms(ahead: i64) -> i64 {
    i64::try_from(tickbus::clock::wall().as_ms()).unwrap() + ahead
}

/// A Binance that verifies key, time and signature.
fn binance(asked: &Asked, ahead: i64) -> Said {
    if asked.target == "/fapi/v1/time" {
        return ok(json!({"serverTime": now_ms(ahead)}).to_string());
    }
    let (text, signature) = asked.query().rsplit_once("&signature=").unwrap();
    assert_eq!((signature, asked.header("x-mbx-apikey")), (hex(CANARIES[0].1, text).as_str(), KEYS[0].1));
    let timestamp: i64 = asked.param("timestamp").unwrap().parse().unwrap();
    if (now_ms(ahead) - timestamp).abs() > 1_000 {
        let words = "Timestamp for this request is outside of the recvWindow.";
        return (400, String::new(), json!({"code": -1021, "msg": words}).to_string());
    }
    ok("[]")
}

fn paths(server: &Server) -> Vec<String> {
    let path = |asked: Asked| asked.target.split('?').next().unwrap().to_owned();
    server.asked().into_iter().map(path).collect()
}

#[tokio::test]
async fn a_refused_call_is_made_again_by_the_venues_clock_and_so_are_the_next() {
    let server = Server::start(|asked| binance(asked, AHEAD)).await;
    let get = |path: &str| json!({"get": {"path": path}, "params": {"recvWindow": 1000}});
    let tasks =
        json!([get("/fapi/v3/account"), get("/fapi/v3/balance"), {"gather": [get("/fapi/v1/a"), get("/fapi/v1/b")]}]);
    let job = json!({"venue": "binance", "market": "usdm", "rest_url": server.url, "account": "mine", "queue": tasks});
    let (job, config) = (file_of(&job), config_of(&[("mine", "binance", "ONE")]));
    let arguments = ["job", "run", job.path().to_str().unwrap(), "--config", config.path().to_str().unwrap()];
    let (code, out, err) = said(&arguments).await;
    assert_eq!((code, out.lines().count()), (0, 4), "{out}{err}");
    let asked = paths(&server);
    let first = ["/fapi/v3/account", "/fapi/v1/time", "/fapi/v3/account", "/fapi/v3/balance"];
    assert_eq!((&asked[..4], asked.len()), (&first.map(str::to_owned)[..], 6));
    assert!(err.contains("Signatures are made by the host's clock"), "{err}");
}

#[tokio::test]
async fn many_that_are_refused_at_the_same_time_read_the_clock_once() {
    let server = Server::start(|asked| binance(asked, -AHEAD)).await;
    let tasks: Vec<Value> = (0..12).map(|n| json!({"get": {"path": format!("/fapi/v1/{n}")}})).collect();
    let job = json!({"venue": "binance", "market": "usdm", "rest_url": server.url, "account": "mine", "queue": [{"gather": tasks}]});
    let (job, config) = (file_of(&job), config_of(&[("mine", "binance", "ONE")]));
    let (code, out, _) =
        said(&["job", "run", job.path().to_str().unwrap(), "-c", config.path().to_str().unwrap()]).await;
    assert_eq!((code, out.lines().count()), (0, 12), "{out}");
    let asked = paths(&server);
    assert_eq!(asked.iter().filter(|path| *path == "/fapi/v1/time").count(), 1, "{asked:?}");
    assert!(asked.len() <= 25, "each at most twice: {asked:?}");
}

#[tokio::test]
async fn a_venue_that_refuses_every_time_is_asked_twice_and_no_more() {
    let refusal = json!({"code": "50102", "msg": "Timestamp request expired"}).to_string();
    let mute = Server::start({
        let refusal = refusal.clone();
        move |_| (401, String::new(), refusal.clone())
    })
    .await;
    let stubborn = Server::start(move |asked| match asked.target.as_str() {
        "/api/v5/public/time" => ok(json!({"code": "0", "data": [{"ts": now_ms(5_000).to_string()}]}).to_string()),
        _ => (401, String::new(), refusal.clone()),
    })
    .await;
    let config = config_of(&[("mine", "okx", "ONE")]);
    let account = ["--account", "mine", "--config", config.path().to_str().unwrap()];
    for (server, wanted) in [
        (&mute, vec!["/api/v5/account/balance", "/api/v5/public/time"]),
        (&stubborn, vec!["/api/v5/account/balance", "/api/v5/public/time", "/api/v5/account/balance"]),
    ] {
        let url = format!("{}/api/v5/account/balance", server.url);
        let (code, out, _) = said(&[&["fetch", "GET", &url], &account[..]].concat()).await;
        assert_eq!((code, paths(server)), (1, wanted.into_iter().map(str::to_owned).collect()));
        assert!(out.contains("50102"), "the venue's refusal is the answer: {out}");
    }
    // The time is asked for at the host that was called, whatever the path looks like.
    let url = format!("{}//127.0.0.2/api/v5/x", stubborn.url);
    let (_, out, err) = said(&[&["fetch", "GET", &url], &account[..]].concat()).await;
    assert!(out.contains("50102") && !err.contains("call to 127.0.0.2"), "{out}{err}");
    let last = paths(&stubborn).pop().unwrap();
    assert_eq!(last, "//127.0.0.2/api/v5/public/time");
}

/// A gateway's fetches and jobs share what is known of a clock; when the clock moves, they follow it.
#[tokio::test]
async fn a_gateway_follows_the_venues_clock_and_shows_it() {
    let ahead = Arc::new(AtomicI64::new(AHEAD));
    let server = Server::start({
        let ahead = Arc::clone(&ahead);
        move |asked: &Asked| {
            let now = now_ms(ahead.load(Ordering::SeqCst));
            if asked.target == "/v5/market/time" {
                let nanos = format!("{now}000000");
                return ok(json!({"retCode": 0, "result": {"timeNano": nanos}}).to_string());
            }
            let timestamp = asked.header("x-bapi-timestamp");
            let text = [timestamp, KEYS[0].1, asked.query()].concat();
            assert_eq!(asked.header("x-bapi-sign"), hex(CANARIES[0].1, &text));
            let in_time = (now - timestamp.parse::<i64>().unwrap()).abs() < 1_000;
            ok(json!({"retCode": if in_time { 0 } else { 10002 }}).to_string())
        }
    })
    .await;
    let mut config = config(&json!({}));
    config["accounts"] = accounts(&[("mine", "bybit", "ONE")]);
    config["control"]["fetch"] = json!({"accounts": ["mine"], "hosts": [server.host()]});
    config["admin"]["listen"] = json!("127.0.0.1:0");
    let mut gateway = Gateway::start_with(&config, &canaries().collect::<Vec<_>>(), &[]).await;
    let url = format!("{}/v5/account/info", server.url);
    let fetch = json!({"op": "fetch", "url": url, "account": "mine"});
    let task = json!({"get": {"path": "/v5/account/info"}});
    let job = json!({"venue": "bybit", "market": "spot", "account": "mine", "rest_url": server.url, "queue": [task]});
    let run = json!({"op": "job_run", "name": "x", "job": job});
    assert_eq!(gateway.ask(fetch.clone()).await["json"]["retCode"], 0);
    assert_eq!(paths(&server).len(), 3);
    assert_eq!(gateway.ask(run.clone()).await["results"][0]["result"]["retCode"], 0);
    assert_eq!(gateway.ask(fetch.clone()).await["json"]["retCode"], 0);
    assert_eq!(paths(&server).len(), 5, "what one has learnt holds for all");
    ahead.store(-10_000, Ordering::SeqCst);
    assert_eq!(gateway.ask(run).await["results"][0]["result"]["retCode"], 0);
    assert_eq!(paths(&server).len(), 8);
    let admin = gateway.logged("Gateway started").await["admin"].as_str().unwrap().to_owned();
    let (_, metrics, _) = said(&["fetch", "GET", &format!("{admin}metrics")]).await;
    let start = format!("tickbus_rest_clock_offset_seconds{{host=\"{}\"}} ", server.host());
    let offset: f64 = metrics.lines().find_map(|line| line.strip_prefix(&start)).unwrap().parse().unwrap();
    assert!((-10.5..-9.5).contains(&offset), "{offset}");
}
