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
