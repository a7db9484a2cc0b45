//! What a terminal's feed may say.

use super::*;

static TERMINAL: VenueDef = VenueDef {
    id: "term",
    markets: &[Market { id: "FUT", url: "tcp://127.0.0.1:5561", rest_url: "tcp://127.0.0.1:5560", example: "AAABBB" }],
    other_markets: Some(|market| match market.len() {
        1..=12 => Ok(()),
        _ => Err(format!("{market:?} is no class; allowed: 1 to 12 characters")),
    }),
    transport: Transport::Terminal,
    ..ACME
};

fn terminal(feed: &serde_json::Value) -> Result<Config, String> {
    let file = json!({"feeds": {"t": feed}}).to_string();
    layers(&file).check_with(&[&ACME, &TERMINAL]).map_err(|problems| problems.to_string())
}

#[test]
fn a_terminals_feed_has_sockets_params_and_a_budget() {
    let config = terminal(&json!({
        "venue": "term", "market": "ANYCLASS", "symbols": ["AB"], "channels": ["book:50", "ticker"],
        "rpc": "tcp://127.0.0.1:1", "events": "tcp://[::1]:2", "params": {"LAST": 500, "BID": 250},
        "terminal": {"connections": 2, "allow_methods": ["sleep"], "trading_hours": ["08:50-24:00"]},
    }))
    .expect("a good config");
    let plan = config.feeds[0].terminal.clone().expect("a terminal");
    assert_eq!((&*plan.rpc, plan.events.as_deref(), plan.data), ("tcp://127.0.0.1:1", Some("tcp://[::1]:2"), None));
    assert_eq!((plan.connections, plan.calls_per_second, plan.burst), (2, 200, 20));
    let millis = |(name, period): &(String, Duration)| (name.clone(), period.as_millis());
    let params: Vec<_> = plan.spec.params.iter().map(millis).collect();
    assert_eq!(params, [("BID".to_owned(), 250), ("LAST".to_owned(), 500)]);
    assert!(plan.spec.events && plan.spec.allow == ["sleep"]);
    assert_eq!(plan.spec.trading_hours, [(31_800, 86_400)]);
    let config = terminal(&json!({"venue": "term", "market": "FUT", "symbols": ["A"], "channels": ["trade"]}));
    let plan = config.expect("a good config").feeds[0].terminal.clone().expect("a terminal");
    assert_eq!((&*plan.rpc, plan.events), ("tcp://127.0.0.1:5560", None));
}

#[test]
fn what_a_terminals_feed_may_not_say_is_found_at_its_path() {
    let problems = terminal(&json!({
        "venue": "term", "market": "FARTOOLONGCLASS", "symbols": ["AB"], "channels": ["trade"],
    }))
    .expect_err("a bad market");
    assert!(problems.contains("feeds.t.market: \"FARTOOLONGCLASS\" is no class; allowed: 1 to 12"), "{problems}");
    let problems = terminal(&json!({
        "venue": "term", "market": "FUT", "symbols": ["AB"], "channels": ["ticker"], "url": "wss://x.test/",
        "rpc": "tcp://10.0.0.1:1", "data": "tcp://127.0.0.1:0", "events": "udp://a:1", "params": {"L AST": 500, "BID": 1},
        "terminal": {"trading_hours": ["9:00-10:00"]},
    }))
    .expect_err("a bad feed");
    for part in [
        "feeds.t.url: means nothing for venue \"term\": a terminal is reached at rpc, data and events",
        "feeds.t.rpc: tcp://10.0.0.1:1 is another machine",
        "feeds.t.data: port 0 cannot be connected to",
        "feeds.t.events: \"udp://a:1\" is not an endpoint",
        "is no parameter's name; allowed: letters, digits and _, such as LAST",
        "feeds.t.terminal.trading_hours[0]: \"9:00-10:00\" is no part of a day; allowed: HH:MM-HH:MM",
        "1 is out of range; allowed: 50 to 3600000 milliseconds",
    ] {
        assert!(problems.contains(part), "{part}\n{problems}");
    }
    let problems = terminal(&json!({
        "venue": "acme", "market": "spot", "symbols": ["AB"], "channels": ["trade"], "events": "tcp://127.0.0.1:2",
    }))
    .expect_err("no terminal");
    assert!(problems.contains("feeds.t.events: means nothing for venue \"acme\": it is for terminals"), "{problems}");
}
