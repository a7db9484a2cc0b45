//! A simulated venue's own clock: what it tells, and which logins it refuses by it. Windows are those of the venues'
//! documentation: Bybit's `expires` must be to come, OKX takes 30 seconds, Binance a second ahead and five behind.

use serde_json::{Value, json};
use tickbus::sim::{Options, Running, Server, binance, bybit, okx};

use crate::client::{connect, get};

const HOUR_MS: i64 = 3_600_000;

async fn serve(venue: &str, clock_ahead_ms: i64) -> Running {
    let okx = okx::Settings { connect_limit: false, ..okx::Settings::default() };
    let options = Options { venue: venue.to_owned(), rate: 0, clock_ahead_ms, okx, ..Options::default() };
    Server::bind(options).await.unwrap().start()
}

/// Milliseconds since 1970 by our clock.
fn now_ms() -> i64 {
    i64::try_from(std::time::UNIX_EPOCH.elapsed().unwrap().as_millis()).unwrap()
}

/// What the venue says to a login that was signed at this time.
async fn told(server: &Running, venue: &str, at_ms: i64) -> Value {
    let (place, login) = match venue {
        "bybit" => {
            let expires = u64::try_from(at_ms + 5_000).unwrap();
            ("private", json!({"op": "auth", "args": ["key", expires, bybit::sign("secret", expires)]}))
        }
        "binance" => {
            let signature = binance::sign("secret", &format!("apiKey=key&timestamp={at_ms}"));
            let params = json!({"apiKey": "key", "timestamp": at_ms, "signature": signature});
            let method = "userDataStream.subscribe.signature";
            ("ws-api/v3", json!({"id": "1", "method": method, "params": params}))
        }
        _ => {
            let since = (at_ms / 1_000).to_string();
            let sign = okx::sign("secret", &since);
            let shown = json!({"apiKey": "key", "passphrase": "phrase", "timestamp": since, "sign": sign});
            ("private", json!({"op": "login", "args": [shown]}))
        }
    };
    let mut client = connect(server, place).await.unwrap();
    client.send(&login.to_string()).await;
    client.json().await
}

#[tokio::test]
async fn it_refuses_logins_by_its_own_clock_and_tells_it() {
    for (venue, path, pointer, unit_ms) in [
        ("bybit", "/v5/market/time", "/result/timeSecond", 1_000),
        ("okx", "/api/v5/public/time", "/data/0/ts", 1),
        ("okj", "/api/v5/public/time", "/data/0/ts", 1),
        ("binance", "/api/v3/time", "/serverTime", 1),
    ] {
        for ahead_ms in [0, HOUR_MS, -HOUR_MS] {
            let server = serve(venue, ahead_ms).await;
            let time = get(&server, path).await.1.pointer(pointer).unwrap().to_string();
            let time = time.trim_matches('"').parse::<i64>().unwrap() * unit_ms;
            assert!((time - now_ms() - ahead_ms).abs() < 10_000, "{venue}: {time}");
            let refusal = match (venue, ahead_ms) {
                (_, 0) => None,
                ("bybit", HOUR_MS) => Some(("/ret_msg", json!("Params Error: expires time is too old"))),
                // It holds for longer than was meant.
                ("bybit", _) => None,
                ("binance", _) => Some(("/error/code", json!(-1_021))),
                _ => Some(("/code", json!("60006"))),
            };
            let said = told(&server, venue, now_ms()).await;
            match &refusal {
                Some((pointer, wanted)) => assert_eq!(said.pointer(pointer), Some(wanted), "{venue}: {said}"),
                None => assert!(is_accepted(&said), "{venue}: {said}"),
            }
            let said = told(&server, venue, now_ms() + ahead_ms).await;
            assert!(is_accepted(&said), "{venue}, by its own clock: {said}");
            let (_, stats) = get(&server, "/sim/stats").await;
            assert_eq!(stats["logins"], json!({"tried": 2, "refused": u64::from(refusal.is_some())}), "{venue}");
        }
    }
}

fn is_accepted(said: &Value) -> bool {
    said["success"] == true || said["status"] == 200 || said["event"] == "login"
}
