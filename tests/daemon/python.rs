//! libzmq joins books, through a Python client in `tests/python`. It needs a Python that has pyzmq, named by
//! `TICKBUS_TEST_PYTHON`; without it this test says so and passes.

use serde_json::json;

use crate::gateway::{Gateway, config, feed, venue};
use crate::script::{Language, Script};

#[tokio::test]
async fn libzmq_joins_the_deltas_of_a_book_exactly() {
    let venue = venue(500, &[]).await;
    for encoding in ["json", "msgpack"] {
        let mut config = config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:200"])}));
        config["bus"]["encoding"] = json!(encoding);
        let gateway = Gateway::start(&config).await;
        let arguments = ["book.bybit.linear.BTCUSDT.", "20"];
        let settings = [("TICKBUS_BUS", &*gateway.bus), ("TICKBUS_SNAPSHOT", &gateway.snapshot)];
        let script = Script::start(Language::Python, "tests/python/join.py", &arguments, &settings);
        let Some(mut script) = script else { return };
        assert_eq!(script.line().await, "joined 20", "{encoding}");
    }
}

#[tokio::test]
async fn the_example_opens_a_feed_subscribes_reads_and_closes() {
    let venue = venue(500, &[]).await;
    let gateway = Gateway::start(&config(&json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:50"])}))).await;
    let url = venue.url("spot");
    let arguments = ["bybit", "spot", "BTCUSDT", &url];
    let settings = [("TICKBUS_BUS", &*gateway.bus), ("TICKBUS_CONTROL", &gateway.control)];
    let script = Script::start(Language::Python, "examples/python/control.py", &arguments, &settings);
    let Some(mut script) = script else { return };
    let mut lines = Vec::new();
    while lines.last().is_none_or(|line| line != "closed") {
        lines.push(script.line().await);
    }
    let words: Vec<&str> = lines.iter().map(|line| line.split(' ').next().unwrap()).collect();
    let expected = ["opened", "BTCUSDT", "BTCUSDT", "trade", "trade", "trade", "the", "left", "closed"];
    assert_eq!(words, expected, "{lines:#?}");
    assert_eq!(
        [&lines[1], &lines[2], &lines[7]],
        ["BTCUSDT trade subscribed", "BTCUSDT ticker subscribed", "left ['unsubscribed']"]
    );
}
