//! A gateway with live books on a simulated venue, seen by a watcher: what a fault is thrown into, and what it may cost.

use serde_json::{Value, json};
use tickbus::sim::{Depth, Running};

use crate::gateway::{Gateway, config};
use crate::watcher::Watcher;

pub(crate) struct Scene {
    pub(crate) venue: Running,
    pub(crate) gateway: Gateway,
    pub(crate) watcher: Watcher,
    symbols: [&'static str; 2],
}

impl Scene {
    /// A feed of two books that are live and true before the fault. Markets stand still until the watcher walks, so many
    /// steps at a time.
    pub(crate) async fn live(
        venue: Running,
        mut feed: Value,
        (symbols, depth): ([&'static str; 2], Depth),
        silence_ms: u64,
        walk: usize,
    ) -> Self {
        feed["silence_ms"] = json!(silence_ms);
        let gateway = Gateway::start(&config(&json!({"a": feed}))).await;
        let market = feed["market"].as_str().unwrap();
        let mut watcher = Watcher::new(&gateway, &venue, market, depth, &["book.", "delta.", "status."]);
        watcher.walk(walk);
        let live =
            |watcher: &Watcher| symbols.iter().all(|symbol| watcher.is_live(symbol) && watcher.true_books(symbol) > 0);
        watcher.until("all live", |watcher| live(watcher) && watcher.is_live("")).await;
        Self { venue, gateway, watcher, symbols }
    }

    /// A fault that a client must not even notice, over so many true books.
    pub(crate) async fn goes_unnoticed(&mut self, fault: &str, books: u64) {
        let Self { venue, watcher, symbols, .. } = self;
        let from = watcher.told.len();
        watcher.walk(1);
        watcher.until_true(symbols, books).await;
        assert_eq!(watcher.told[from..], [], "{fault}");
        assert_eq!(venue.truth().connections(), 1, "{fault}");
    }

    /// A fault of one message: its symbol goes stale for this reason and comes back; the other one never stops.
    pub(crate) async fn costs_one_symbol(&mut self, fault: &str, reason: &str) {
        let Self { venue, watcher, symbols, .. } = self;
        let from = watcher.told.len();
        watcher.walk(1);
        watcher.until("trouble", |watcher| watcher.told.iter().skip(from).any(|told| !told.symbol.is_empty())).await;
        let hit = watcher.told[from..].iter().find(|told| !told.symbol.is_empty()).unwrap().symbol.clone();
        watcher
            .until("live again", |watcher| watcher.told_of(&hit, from).last().is_some_and(|told| told == "live"))
            .await;
        watcher.until_true(symbols, 50).await;
        let expected = [format!("stale {reason}"), format!("syncing {reason}"), "live".to_owned()];
        assert_eq!(watcher.told_of(&hit, from), expected, "{fault}");
        let other = symbols.iter().find(|symbol| **symbol != hit).unwrap();
        assert_eq!(watcher.told_of(other, from), [""; 0], "{fault}");
        assert_eq!(venue.truth().connections(), 1, "{fault}");
    }

    /// A fault of the connection: both symbols go stale, are told why, and come back on another connection. Where in what
    /// was told it begins.
    pub(crate) async fn costs_the_connection(&mut self, fault: &str) -> usize {
        let Self { venue, watcher, symbols, .. } = self;
        let from = watcher.told.len();
        watcher.walk(1);
        watcher.until("trouble", |watcher| watcher.told.len() > from).await;
        watcher.until_true(symbols, 5).await;
        for symbol in symbols {
            let told = watcher.told_of(symbol, from);
            assert_eq!(told[..3], ["stale disconnected", "syncing disconnected", "live"], "{fault} {symbol}");
        }
        assert!(venue.truth().connections() >= 2, "{fault}");
        from
    }
}
