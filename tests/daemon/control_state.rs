//! What was opened and subscribed to at run time outlives the process, however it ends.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use serde_json::{Value, json};

use crate::gateway::{Gateway, config, until};
use crate::set_venue::SetVenue;

fn settings(venue: &SetVenue) -> Value {
    json!({"venue": "bybit", "market": "linear", "symbols": ["AUSDT"], "channels": ["trade"], "url": venue.url})
}

fn kept(path: &Path) -> Value {
    std::fs::read(path).ok().and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default()
}

#[tokio::test]
async fn what_was_opened_and_subscribed_survives_a_kill() {
    let (first, second) = (SetVenue::start().await, SetVenue::start().await);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    let mut config = config(&json!({"a": settings(&first)}));
    config["control"]["state_file"] = json!(path);
    let mut gateway = Gateway::start(&config).await;
    let open = json!({
        "op": "open", "name": "x", "venue": "bybit", "market": "spot", "url": second.url, "publish": {"book_depth": 7},
        "credentials": {"key": "opensesame", "secret": "opensesame"},
    });
    assert_eq!(gateway.ask(open).await["ok"], true);
    for (feed, symbol, channel, client) in [
        ("x", "BUSDT", "trade", Some("me")),
        ("x", "BUSDT", "trade", Some("you")),
        ("x", "BUSDT", "book:50", None),
        ("a", "CUSDT", "ticker", Some("me")),
        ("a", "EUSDT", "ticker", Some("me")),
    ] {
        let mut body = json!({"op": "subscribe", "feed": feed, "symbol": symbol, "channel": channel});
        if let Some(client) = client {
            body["client"] = json!(client);
        }
        assert_eq!(gateway.ask(body).await["streams"][0]["state"], "subscribed");
    }
    let leave = json!({"op": "unsubscribe", "feed": "a", "symbol": "EUSDT", "channel": "ticker", "client": "me"});
    assert_eq!(gateway.ask(leave).await["ok"], true);
    until("the file says it", || kept(&path)["wishes"].as_array().is_some_and(|wishes| wishes.len() == 3)).await;
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(!std::fs::read_to_string(&path).unwrap().contains("opensesame"));
    gateway.signal("KILL");
    gateway.ended().await;

    let mut gateway = Gateway::start(&config).await;
    let of_first = ["publicTrade.AUSDT", "tickers.CUSDT"].map(str::to_owned);
    let of_second = ["orderbook.50.BUSDT", "publicTrade.BUSDT"].map(str::to_owned);
    until("both venues have what was wished for", || {
        first.topics() == of_first.clone().into() && second.topics() == of_second.clone().into()
    })
    .await;
    gateway.logged_where(|line| line["level"] == "WARN" && line.to_string().contains("without its credentials")).await;
    let unsubscribe = |client: &str| json!({"op": "unsubscribe", "feed": "x", "symbol": "BUSDT", "channel": "trade", "client": client});
    assert_eq!(gateway.ask(unsubscribe("me")).await["streams"][0]["state"], "kept");
    assert_eq!(gateway.ask(unsubscribe("you")).await["streams"][0]["state"], "unsubscribed");
    let nameless = json!({"op": "unsubscribe", "feed": "x", "symbol": "BUSDT", "channel": "book:50"});
    assert_eq!(gateway.ask(nameless).await["streams"][0]["state"], "unsubscribed");
    // The last change is kept by an orderly end, however soon it comes.
    let last =
        json!({"op": "subscribe", "feed": "x", "symbol": "FUSDT", "channel": "trade", "client": "me", "within_ms": 0});
    assert_eq!(gateway.ask(last).await["ok"], true);
    gateway.signal("TERM");
    assert_eq!(gateway.ended().await, Some(0));
    assert!(kept(&path)["wishes"].to_string().contains("FUSDT"), "{}", kept(&path));

    // A feed that the config names now is the config's; what clients wished for stays.
    config["feeds"]["x"] = json!({
        "venue": "bybit", "market": "spot", "symbols": ["GUSDT"], "channels": ["trade"], "url": second.url,
    });
    let gateway = Gateway::start(&config).await;
    let both = ["publicTrade.FUSDT", "publicTrade.GUSDT"].map(str::to_owned);
    until("the config's stream and the client's", || second.topics() == both.clone().into()).await;
    let status = gateway.ask(json!({"op": "status", "feed": "x"})).await;
    assert_eq!(status["feeds"][0]["origin"], "config", "{status}");
    until("the feed is the config's", || kept(&path)["feeds"] == json!([])).await;
}

#[tokio::test]
async fn a_damaged_file_is_put_aside() {
    let venue = SetVenue::start().await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("state.json");
    std::fs::write(&path, "{\"version\":1,\"feeds\":[{").unwrap();
    let mut config = config(&json!({"a": settings(&venue)}));
    config["control"]["state_file"] = json!(path);
    let mut gateway = Gateway::start(&config).await;
    gateway.logged_where(|line| line["level"] == "ERROR" && line.to_string().contains("damaged")).await;
    assert!(folder.path().join("state.json.damaged").exists());
    until("the config's stream", || venue.topics().contains("publicTrade.AUSDT")).await;
    until("a new file", || kept(&path)["version"] == 1).await;
}
