//! The publisher against Node's package `zeromq`, over TCP and IPC, with a restart of either side.

use std::time::Duration;

use tempfile::tempdir;
use tickbus::bus::{Publisher, Refused, Retain};

use crate::raw::{publish, publisher, until};
use crate::script::{Language, Script};

/// Subscribes, joins, unsubscribes: the frames of one client's life, in their order.
async fn lives_through(bus: &Publisher, script: &mut Script) {
    for expected in ["status.a. live", "book.a. kept", "mark. kept"] {
        assert_eq!(script.line().await, expected);
    }
    publish(bus, "trade.a.", "1", Retain::Stream);
    assert_eq!(script.line().await, "trade.a. 1");
    // It unsubscribes from everything but `book.` now, and then joins `mark.` anew, which shows that this is done.
    assert_eq!(script.line().await, "mark. kept");
    publish(bus, "trade.a.", "2", Retain::Stream);
    publish(bus, "book.a.", "kept", Retain::Conflate);
    assert_eq!(script.line().await, "book.a. kept");
    assert_eq!(bus.stats().refused, Refused::default());
}

async fn publisher_at(endpoint: &str) -> Publisher {
    let bus = publisher(|options| options.endpoints = vec![endpoint.to_owned()]).await;
    publish(&bus, "status.a.", "live", Retain::Latest);
    publish(&bus, "book.a.", "kept", Retain::Conflate);
    publish(&bus, "mark.", "kept", Retain::Latest);
    bus
}

#[tokio::test]
async fn node_subscribes_without_a_difference_also_after_a_restart_of_either_side() {
    let folder = tempdir().unwrap();
    for endpoint in ["tcp://127.0.0.1:0".to_owned(), format!("ipc://{}/bus", folder.path().display())] {
        let bus = publisher_at(&endpoint).await;
        let endpoint = bus.endpoints()[0].clone();
        let start = || Script::start(Language::Node, "tests/node/subscribe.mjs", &[&endpoint], &[]);
        let Some(mut script) = start() else { return };
        lives_through(&bus, &mut script).await;

        // The gateway is started anew: the client comes back by itself, with the subscriptions it has by now.
        bus.close(Duration::from_secs(1)).await;
        drop(bus);
        let bus = publisher_at(&endpoint).await;
        let mut joined = [script.line().await, script.line().await];
        joined.sort();
        assert_eq!(joined, ["book.a. kept", "mark. kept"]);
        publish(&bus, "trade.a.", "3", Retain::Stream);
        publish(&bus, "book.a.", "4", Retain::Conflate);
        assert_eq!(script.line().await, "book.a. 4");
        publish(&bus, "book.a.", "kept", Retain::Conflate);
        assert_eq!(script.line().await, "book.a. kept");

        // The client is started anew.
        drop(script);
        until("the old client is gone", || bus.stats().subscribers == 0).await;
        lives_through(&bus, &mut start().unwrap()).await;
    }
}
