//! The whole of loading, against a made-up venue.

mod accounts;
mod auth;
mod jobs;
mod terminal;

use std::time::Duration;

use serde_json::json;

use super::schema::Bind;
use super::*;
use crate::bus::Policy;
use crate::model::{AccountKind, BookDepth, Channel, Interval};
use crate::venue::{ChannelSpec, Endpoints, Market, RestLimit, Transport, VenueDef, one_route, usual_row_keys};

const fn market(id: &'static str) -> Market {
    Market { id, url: "wss://acme.test/ws", rest_url: "https://acme.test", example: "AAABBB" }
}

static ACME: VenueDef = VenueDef {
    id: "acme",
    markets: &[market("spot"), market("linear")],
    other_markets: None,
    transport: Transport::WebSocket,
    channels: |_| ["book:1", "book:50", "trade", "ticker", "bbo", "candle:1m"].map(str::to_owned).to_vec(),
    parse_channel,
    route_of: one_route,
    check_symbol: |_, symbol| match symbol.bytes().all(|b| b.is_ascii_uppercase()) {
        true => Ok(()),
        false => Err(format!("{symbol:?} is not a symbol; allowed: upper case letters")),
    },
    endpoints: |_, url, rest_url| Endpoints {
        urls: vec![url.unwrap_or("wss://acme.test/ws").to_owned()],
        raw: None,
        rest_url: rest_url.unwrap_or("https://acme.test").to_owned(),
        note: url.filter(|url| url.contains("old")).map(|url| format!("{url} is retired")),
    },
    connect_pause: Duration::ZERO,
    rest: |_| &[],
    open: |_| panic!("nothing is opened while checking"),
    market_of: |_, _| None,
    rest_limit: |_| RestLimit::calls("acme", 20),
    server_time: None,
    row_keys: usual_row_keys,
    is_mixed: false,
    silence: None,
};

/// `book:50`, … and `old_book_25.SYMBOL`, which subscribes to 50 levels and publishes 25.
fn parse_channel(_: &str, text: &str) -> Result<ChannelSpec, String> {
    let spec = |channel| Ok(ChannelSpec::of(channel));
    match text {
        "book:1" => spec(Channel::Book(BookDepth::Levels(1))),
        "book:50" => spec(Channel::Book(BookDepth::Levels(50))),
        "trade" => spec(Channel::Trade),
        "ticker" => spec(Channel::Ticker),
        "bbo" => spec(Channel::Bbo),
        "order" => spec(Channel::Account(AccountKind::Order)),
        "candle:1m" => spec(Channel::Candle(Interval { count: 1, unit: 'm' })),
        _ => match text.strip_prefix("old_book_25.") {
            Some(symbol) => Ok(ChannelSpec {
                symbols: symbol.split('|').map(str::to_owned).collect(),
                book_depth: Some(25),
                note: Some(format!("{text} is retired; book:50 is used")),
                ..ChannelSpec::of(Channel::Book(BookDepth::Levels(50)))
            }),
            None => Err(format!("unknown channel {text:?}")),
        },
    }
}

fn layers(file: &str) -> Layers {
    Layers { origin: "config.json".to_owned(), text: file.to_owned(), ..Layers::default() }
}

fn check(layers: Layers) -> Result<Config, String> {
    layers.check_with(&[&ACME]).map_err(|problems| problems.to_string())
}

/// A config of these feeds, with `venue` and `market` filled in.
fn feeds(feeds: serde_json::Value) -> Layers {
    let mut feeds = feeds;
    for feed in feeds.as_object_mut().expect("feeds").values_mut() {
        let feed = feed.as_object_mut().expect("a feed");
        feed.entry("venue").or_insert("acme".into());
        feed.entry("market").or_insert("linear".into());
    }
    layers(&json!({ "feeds": feeds }).to_string())
}

fn problems_of(layers: Layers) -> Vec<String> {
    let text = check(layers).expect_err("this config is wrong");
    text.lines().map(str::to_owned).collect()
}

#[test]
fn feeds_alone_are_a_config() {
    let config =
        check(feeds(json!({"a": {"symbols": ["X", "Y"], "channels": ["book:50", "trade"], "url": null}}))).unwrap();
    assert_eq!(config.bus.bind, [Bind::Endpoint("tcp://127.0.0.1:5555".to_owned())]);
    assert_eq!(config.bus.snapshot_bind, "tcp://127.0.0.1:5556");
    assert_eq!(config.control.bind.as_deref(), Some("tcp://127.0.0.1:5557"));
    assert_eq!(config.admin.listen.as_deref(), Some("127.0.0.1:5580"));
    let feed = &config.feeds[0];
    let streams: Vec<_> = feed.streams.iter().map(|s| format!("{} {}", s.channel, s.symbol)).collect();
    assert_eq!(streams, ["book:50 X", "book:50 Y", "trade X", "trade Y"]);
    assert_eq!((feed.name.as_str(), &*feed.market, feed.symbol_count(), feed.book_depth("X")), ("a", "linear", 2, 25));
    assert_eq!(feed.endpoints.urls, ["wss://acme.test/ws"]);
    assert_eq!(feed.silence, None);
}

#[test]
fn an_endpoint_may_have_its_own_policy() {
    let bind = json!(["tcp://127.0.0.1:1", {"endpoint": "ipc:///a"}, {"endpoint": "ipc:///b", "policy": "disconnect"}]);
    let mut layers = feeds(json!({"a": {"symbols": ["X"], "channels": ["trade"]}}));
    layers.set = vec![format!("bus.bind={bind}"), "bus.policy=drop".into()];
    let bus = check(layers).unwrap().bus;
    let own: Vec<_> = bus.bind.iter().map(|bind| (bind.endpoint(), bind.policy())).collect();
    let expected = [("tcp://127.0.0.1:1", None), ("ipc:///a", None), ("ipc:///b", Some(Policy::Disconnect))];
    assert_eq!((own.as_slice(), bus.policy), (&expected[..], Policy::Drop));
}

#[test]
fn what_is_wrong_with_an_endpoint_is_said_where_it_is() {
    let bind = json!([{"policy": "drop"}, {"endpoint": "ipc:///a", "policy": "wait"}, {"endpoint": "udp://x", "poilcy": 1}, 7]);
    let mut layers = feeds(json!({"a": {"symbols": ["X"], "channels": ["trade"]}}));
    layers.set = vec![format!("bus.bind={bind}"), "bus.slow_ms=3600001".into(), "bus.max_frame=511".into()];
    let found = problems_of(layers);
    let expected = [
        "bus.bind[0].endpoint: missing",
        "bus.bind[1].policy: unknown value \"wait\"; allowed: conflate, drop, disconnect",
        "bus.bind[2].poilcy: unknown key \"poilcy\"; allowed: endpoint, policy; did you mean \"policy\"?",
        "bus.bind[3]: expected an object or a string, got 7",
        "bus.max_frame: 511 is out of range; allowed: 512 to 16777216",
        "bus.slow_ms: 3600001 is out of range; allowed: 0 to 3600000",
        "bus.bind[2].endpoint: \"udp://x\" is not an endpoint",
    ];
    for expected in expected {
        assert!(found.iter().any(|problem| problem.contains(expected)), "{expected} is not in {found:#?}");
    }
}

#[test]
fn a_channel_that_names_its_symbol_needs_no_symbols() {
    let feed = json!({"a": {"channels": ["old_book_25.X|Z"], "publish": {"book_depth": 40}, "url": "ws://old.test"}});
    let config = check(feeds(feed)).unwrap();
    let feed = &config.feeds[0];
    assert_eq!(feed.streams.len(), 2);
    assert_eq!((feed.book_depth("X"), feed.book_depth("Y")), (25, 40));
    assert_eq!(feed.notes, ["old_book_25.X|Z is retired; book:50 is used", "ws://old.test is retired"]);
}

#[test]
fn null_turns_the_control_socket_and_admin_off() {
    let mut layers = feeds(json!({"a": {"symbols": ["X"], "channels": ["trade"]}}));
    layers.env = vec![("TICKBUS__CONTROL__BIND".into(), "null".into()), ("TICKBUS__ADMIN__LISTEN".into(), "".into())];
    let config = check(layers).unwrap();
    assert_eq!((config.control.bind, config.admin.listen), (None, None));
}

#[test]
fn later_layers_win() {
    let mut layers = feeds(json!({"a": {"symbols": ["X"], "channels": ["trade"], "publish": {"book_depth": 7}}}));
    let variable = |name: &str, text: &str| (name.into(), text.into());
    layers.env = vec![
        variable("TICKBUS__FEEDS__A__SYMBOLS", "Y,Z"),
        variable("TICKBUS__FEEDS__A__PUBLISH__BOOK_DEPTH", "9"),
        variable("TICKBUS__FEEDS", r#"{"b": {"venue": "acme", "market": "spot", "channels": ["old_book_25.Q"]}}"#),
        variable("TICKBUS_LOG_FORMAT", "json"),
    ];
    layers.set = vec!["feeds.a.publish.book_depth=11".into(), "feeds.b.market=linear".into()];
    let config = check(layers).unwrap();
    assert_eq!(config.feeds[0].streams.iter().map(|s| s.symbol.as_str()).collect::<Vec<_>>(), ["Y", "Z"]);
    assert_eq!(config.feeds[0].publish.book_depth, 11);
    assert_eq!((config.feeds[1].name.as_str(), &*config.feeds[1].market), ("b", "linear"));
}

#[test]
fn a_problem_names_the_layer_it_comes_from() {
    let mut layers = feeds(json!({"a": {"symbols": ["X", "y"], "channels": ["trade"]}}));
    layers.env = vec![
        ("TICKBUS__BUS__QUEUE_FRAMES".into(), "many".into()),
        ("TICKBUS__BUS__HWM".into(), "1".into()),
        ("TICKBUS__FEEDS__A__CHANNELS".into(), "trade,tiker".into()),
    ];
    layers.set = vec!["bus.encoding=jsn".into()];
    let unknown = "unknown channel \"tiker\"; allowed: book:1, book:50, trade, ticker, bbo, candle:1m, raw:TEXT";
    let found = problems_of(layers);
    assert_eq!(
        found[0],
        "--set bus.encoding: bus.encoding: unknown value \"jsn\"; allowed: json, msgpack; did you mean \"json\"?"
    );
    assert_eq!(found[1], "TICKBUS__BUS__QUEUE_FRAMES: bus.queue_frames: expected a whole number, got \"many\"");
    assert_eq!(found[2], "config.json: feeds.a.symbols[1]: \"y\" is not a symbol; allowed: upper case letters");
    assert_eq!(
        found[3],
        format!("TICKBUS__FEEDS__A__CHANNELS: feeds.a.channels[1]: {unknown}; did you mean \"ticker\"?")
    );
    assert!(
        found[4].starts_with("TICKBUS__BUS__HWM: unknown key \"hwm\"; allowed: auth, bind, encoding,"),
        "{}",
        found[4]
    );
    assert_eq!(found.len(), 5);
}

#[test]
fn a_feed_that_only_a_variable_names_is_the_variables_problem() {
    let mut layers = feeds(json!({"acme": {"symbols": ["X"], "channels": ["trade"]}}));
    layers.env = vec![("TICKBUS__FEEDS__ACNE__URL".into(), "ws://127.0.0.1:1".into())];
    let found = problems_of(layers);
    assert_eq!(found.len(), 3, "{found:?}");
    for line in found {
        assert!(line.starts_with("TICKBUS__FEEDS__ACNE__URL: feeds.acne."), "{line}");
    }
}

#[test]
fn shape_and_rules_are_reported_together_and_nothing_twice() {
    let found = problems_of(layers(
        r#"{"bus.bind": ["x"], "bus": {"a.b": 1}, "bus": {"bind": [5, "tcp://*:5555"], "public": "yes"},
            "feeds": {"A": {"venue": "acme", "market": "linaer", "symbols": [], "channels": ["trade"]},
                      "b": {"market": "linear", "symbols": "X", "channels": ["trade"]},
                      "c": {"venue": "acme", "market": "spot", "symbols": "X", "channels": ["boook:50", 3]}}}"#,
    ));
    let expected = [
        "line 1 column 40: the key \"bus\" is given twice, first at line 1 column 21",
        "[\"bus.bind\"]: unknown key",
        "bus.bind[0]: expected an object or a string, got 5",
        "bus.public: expected true or false, got \"yes\"",
        "feeds.b.symbols: expected a list, got \"X\"",
        "feeds.b.venue: missing, and there is no default",
        "feeds.c.channels[1]: expected a string, got 3",
        "feeds.c.symbols: expected a list, got \"X\"",
        "bus.bind[1]: tcp://*:5555 can be reached from other machines; set bus.public to true",
        "feeds.A: is not a feed name",
        "feeds.A.market: unknown acme market \"linaer\"; allowed: spot, linear; did you mean \"linear\"?",
        "feeds.c.channels[0]: unknown channel \"boook:50\"; allowed: book:1, book:50, trade",
    ];
    for expected in expected {
        let one = found.iter().filter(|line| line.contains(expected)).count();
        assert!(one >= 1, "{expected} is missing from {found:#?}");
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
    assert!(found.iter().any(|line| line.ends_with("did you mean \"book:50\"?")));
}

#[test]
fn the_rules_of_a_feed_hold() {
    let cases = [
        (
            json!({"symbols": [], "channels": ["trade"]}),
            "symbols: is empty, and channels[0] names no symbol; give symbols",
        ),
        (
            json!({"symbols": ["X", ""], "channels": ["trade"]}),
            "symbols[1]: is empty; write a symbol such as \"AAABBB\"",
        ),
        (
            json!({"symbols": ["X", "X"], "channels": ["trade"]}),
            "symbols[1]: \"X\" is given twice, first at symbols[0]",
        ),
        (
            json!({"symbols": ["X"], "channels": ["trade", "trade"]}),
            "channels[1]: trade of \"X\" is already given by channels[0]",
        ),
        (
            json!({"symbols": ["X"], "channels": ["book:1", "book:50"]}),
            "channels[1]: a second book of \"X\", besides channels[0]",
        ),
        (
            json!({"symbols": ["X"], "channels": ["book:1", "old_book_25.X"]}),
            "channels[1]: a second book of \"X\", besides",
        ),
        (
            json!({"symbols": ["Y"], "channels": ["old_book_25.X"]}),
            "symbols[0]: no channel applies to \"Y\": each names",
        ),
        (json!({"symbols": [], "channels": ["old_book_25.x"]}), "channels[0]: \"x\" is not a symbol"),
        (json!({"symbols": ["X"], "channels": []}), "channels: is empty; at least 1 needed"),
        (
            json!({"symbols": ["X"], "channels": ["trade"], "url": "https://a"}),
            "url: \"https://a\" cannot be used here; allowed: ws://",
        ),
        (json!({"symbols": ["X"], "channels": ["trade"], "url": "stream"}), "url: \"stream\" is not an address: "),
        (json!({"symbols": ["X"], "channels": ["trade"], "url": "wss://me:pass@a"}), "url: names a user or password"),
        (
            json!({"symbols": ["X"], "channels": ["trade"], "rest_url": "ws://a"}),
            "rest_url: \"ws://a\" cannot be used here",
        ),
        (
            json!({"symbols": ["X"], "channels": ["trade"], "silence_ms": 1}),
            "silence_ms: 1 is out of range; allowed: 1000 to",
        ),
        (
            json!({"symbols": ["X"], "channels": ["trade"], "venue": "acne"}),
            "venue: unknown venue \"acne\"; allowed: acme; did you mean \"acme\"?",
        ),
    ];
    for (feed, expected) in cases {
        let found = problems_of(feeds(json!({ "a": feed })));
        assert!(found[0].starts_with(&format!("config.json: feeds.a.{expected}")), "{expected}: {found:?}");
        assert_eq!(found.len(), 1, "{found:?}");
    }
}

#[test]
fn a_symbol_has_one_source() {
    let found = problems_of(feeds(json!({
        "a": {"symbols": ["X", "Y", "Z"], "channels": ["book:50", "trade"]},
        "b": {"symbols": ["Y", "Z"], "channels": ["ticker", "bbo", "trade"]},
        "c": {"symbols": ["X", "Y"], "channels": ["book:50"], "market": "spot"},
    })));
    let why = "is published by feeds.a too; a symbol's topics have one source, so put all its channels into one feed";
    let expected = (0..3).map(|at| format!("config.json: feeds.b.channels[{at}]: \"Y\" and 1 more {why}"));
    assert_eq!(found, expected.collect::<Vec<_>>());
}

#[test]
fn sockets_do_not_collide_and_stay_on_loopback() {
    let mut layers = feeds(json!({"a": {"symbols": ["X"], "channels": ["trade"]}}));
    layers.set =
        ["bus.bind=tcp://*:5555,tcp://127.0.0.1:5556,nonsense", "control.bind=tcp://10.0.0.1:1", "admin.listen=*:5557"]
            .map(str::to_owned)
            .to_vec();
    let found = problems_of(layers.clone());
    let paths: Vec<_> = found.iter().map(|line| line.split(": ").nth(1).unwrap()).collect();
    assert_eq!(paths, ["bus.bind[0]", "bus.bind[2]", "bus.snapshot_bind", "control.bind", "admin.listen"]);
    assert!(found[2].ends_with("tcp://127.0.0.1:5556 is already bound by bus.bind[1]"), "{}", found[2]);
    layers.set = vec!["bus.bind=tcp://*:5555".into(), "bus.public=true".into()];
    assert!(check(layers).is_ok());
}

#[test]
fn too_many_streams_are_refused_before_they_are_made() {
    let letters = || ('A'..='Z').map(|letter| letter.to_string());
    let pairs = || letters().flat_map(|a| letters().map(move |b| format!("{a}{b}")));
    let symbols: Vec<_> = pairs().flat_map(|ab| letters().take(5).map(move |c| format!("{ab}{c}"))).collect();
    let feed = json!({"a": {"symbols": symbols, "channels": ["book:50", "trade", "ticker", "bbo"]}});
    let found = problems_of(feeds(feed));
    assert!(found[0].starts_with("config.json: feeds.a.channels[2]: makes more than 10000 streams"), "{found:?}");
}

#[test]
fn text_that_is_no_config_is_refused() {
    for (text, expected) in [
        ("", "config.json: line 1 column 0: not JSON: EOF while parsing a value"),
        ("[]", "config.json: is not an object"),
        ("{}", "config.json: feeds: missing, and there is no default"),
        (
            "{\"feeds\": {}, \"control\": {\"bind\": null}}",
            "config.json: feeds: is empty, as jobs is, and without a control socket nothing can be opened: there is nothing to do",
        ),
    ] {
        let found = problems_of(layers(text));
        assert!(found[0].starts_with(expected), "{found:?}");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_a_problem() {
    let problems = load(std::path::Path::new("/nonexistent/config.json"), &[]).unwrap_err();
    assert!(problems.to_string().starts_with("/nonexistent/config.json: cannot be opened: "), "{problems}");
}
