//! REST jobs of a running gateway: their results on the bus.

use serde_json::json;
use tickbus::sim::Depth;

use crate::gateway::{Gateway, config, venue};
use crate::watcher::Watcher;

#[tokio::test]
async fn the_results_of_a_ring_are_frames() {
    let venue = venue(0, &[]).await;
    let rest_url = venue.url("spot").replace("ws://", "http://");
    let rest_url = rest_url.split("/v5").next().unwrap();
    let tasks = json!([
        {"name": "time", "get": {"path": "/v5/market/time"}},
        {"gather": [{"get": {"path": "/nowhere"}}, {"get": {"path": "/v5/market/time"}}]},
    ]);
    let mut config = config(&json!({}));
    let job = json!({"venue": "bybit", "market": "spot", "rest_url": rest_url, "ring": tasks, "interval_ms": 100});
    config["jobs"] = json!({"clock": job});
    let gateway = Gateway::start(&config).await;
    let mut watcher = Watcher::new(&gateway, &venue, "spot", Depth::Levels(50), &["job."]);
    let mut told = Vec::new();
    while told.len() < 7 {
        let (topic, frame) = watcher.next().await;
        if topic != "job.clock." {
            continue;
        }
        assert_eq!((&frame["job"], &frame["venue"], &frame["ok"]), (&json!("clock"), &json!("bybit"), &json!(true)));
        told.push((frame["task"].as_str().unwrap().to_owned(), frame["result"]["retCode"].as_u64().unwrap()));
    }
    for wanted in [("1", 0), ("2.1", 10017), ("2.2", 0)] {
        assert!(told.contains(&(wanted.0.to_owned(), wanted.1)), "{wanted:?} of {told:?}");
    }
}
