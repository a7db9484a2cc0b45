//! The program that README shows, run as it stands against a gateway. Needs `TICKBUS_TEST_PYTHON`; without it said, and
//! passed.

use std::io::Write;

use serde_json::json;
use tickbus::sim::Depth;

use crate::gateway::{Gateway, config, feed, venue};
use crate::script::{Language, Script};
use crate::watcher::Watcher;

#[tokio::test]
async fn the_readmes_subscriber_prints_states_and_books() {
    let readme = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let program = readme.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap();
    let venue = venue(0, &[]).await;
    let feeds = json!({"a": feed(&venue, "linear", &["BTCUSDT"], &["book:50"])});
    let gateway = Gateway::start(&config(&feeds)).await;
    let mut watcher = Watcher::new(&gateway, &venue, "linear", Depth::Levels(50), &["status.", "book."]);
    watcher.until_true(&["BTCUSDT"], 1).await;
    assert!(program.contains("tcp://127.0.0.1:5555"), "{program}");
    let mut file = tempfile::NamedTempFile::with_suffix(".py").unwrap();
    file.write_all(program.replace("tcp://127.0.0.1:5555", &gateway.bus).as_bytes()).unwrap();
    let settings = [("PYTHONUNBUFFERED", "1")];
    let script = Script::start(Language::Python, file.path().to_str().unwrap(), &[], &settings);
    let Some(mut script) = script else { return };
    // The market stands still: this is what a joiner gets at once.
    for beginning in ["status.bybit.linear.BTCUSDT. ", "book.bybit.linear.BTCUSDT. "] {
        let line = script.line().await;
        assert!(line.starts_with(beginning) && line.contains(" live "), "{line}");
    }
}
