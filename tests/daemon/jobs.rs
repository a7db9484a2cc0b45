//! REST jobs of a running gateway: their results on the bus, in order and counted.

use serde_json::json;
use tickbus::sim::Depth;

use crate::gateway::{Gateway, config, venue};
use crate::watcher::Watcher;

#[tokio::test]
async fn the_results_of_a_ring_are_frames_and_a_failure_stops_nobody() {
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
    let (mut done, mut failed) = (Vec::new(), Vec::new());
    while done.len() < 4 || failed.len() < 2 {
        let (topic, frame) = watcher.next().await;
        if topic != "job.clock." {
            continue;
        }
        assert_eq!((&frame["job"], &frame["venue"]), (&json!("clock"), &json!("bybit")), "{frame}");
        match frame["ok"].as_bool() {
            Some(true) => done.push((frame["task"].clone(), frame["result"]["retCode"].clone())),
            _ => failed.push((frame["task"].clone(), frame["status"].clone())),
        }
    }
    assert!(done.contains(&(json!("1"), json!(0))) && done.contains(&(json!("2.2"), json!(0))), "{done:?}");
    assert!(failed.iter().all(|(task, status)| *task == json!("2.1") && *status == json!(404)), "{failed:?}");
}
