//! The whole of loading, against a made-up venue.

use serde_json::json;

use super::schema::Bind;
use super::*;
use crate::bus::Policy;
use crate::model::{BookDepth, Channel, Interval};
use crate::venue::{ChannelSpec, Endpoints, Market, Transport, VenueDef};

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
    check_symbol: |_, symbol| match symbol.bytes().all(|b| b.is_ascii_uppercase()) {
        true => Ok(()),
        false => Err(format!("{symbol:?} is not a symbol; allowed: upper case letters")),
    },
    endpoints: |_, url, rest_url| Endpoints {
        url: url.unwrap_or("wss://acme.test/ws").to_owned(),
        rest_url: rest_url.unwrap_or("https://acme.test").to_owned(),
        note: url.filter(|url| url.contains("old")).map(|url| format!("{url} is retired")),
    },
    open: |_| panic!("nothing is opened while checking"),
    market_of: |_, _| None,
};

/// `book:50`, … and `old_book_25.SYMBOL`, which subscribes to 50 levels and publishes 25.
fn parse_channel(_: &str, text: &str) -> Result<ChannelSpec, String> {
    let spec = |channel| Ok(ChannelSpec { channel, symbols: Vec::new(), book_depth: None, note: None });
    match text {
        "book:1" => spec(Channel::Book(BookDepth::Levels(1))),
        "book:50" => spec(Channel::Book(BookDepth::Levels(50))),
        "trade" => spec(Channel::Trade),
        "ticker" => spec(Channel::Ticker),
        "bbo" => spec(Channel::Bbo),
        "candle:1m" => spec(Channel::Candle(Interval { count: 1, unit: 'm' })),
        _ => match text.strip_prefix("old_book_25.") {
            Some(symbol) => Ok(ChannelSpec {
                channel: Channel::Book(BookDepth::Levels(50)),
                symbols: symbol.split('|').map(str::to_owned).collect(),
                book_depth: Some(25),
                note: Some(format!("{text} is retired; book:50 is used")),
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
    assert_eq!(feed.endpoints.url, "wss://acme.test/ws");
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
    let unknown = "unknown channel \"tiker\"; allowed: book:1, book:50, trade, ticker, bbo, candle:1m";
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
        ("{\"feeds\": {}}", "config.json: feeds: is empty; at least 1 needed"),
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
    let millis = |(name, period): &(String, std::time::Duration)| (name.clone(), period.as_millis());
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

/// A config whose bus or control socket has this `auth`.
fn with_auth(section: &str, auth: serde_json::Value, bind: serde_json::Value) -> Layers {
    let mut config =
        json!({"feeds": {"a": {"venue": "acme", "market": "linear", "symbols": ["X"], "channels": ["trade"]}}});
    config[section] = bind;
    config[section]["auth"] = auth;
    let mut layers = layers(&config.to_string());
    layers.env = vec![("PASSWORD".into(), "right".into())];
    layers
}

#[test]
fn every_problem_of_an_auth_is_found_at_its_path() {
    let dir = tempfile::tempdir().unwrap();
    let (public, secret) = crate::zmtp::KeyPair::generate().unwrap().write(dir.path(), "gateway").unwrap();
    let cases = [
        (json!({"mechanism": "CURVE"}), vec!["bus.auth.clients: is missing", "bus.auth.key: is missing; make keys"]),
        (json!({"mechanism": "PLAIN"}), vec!["bus.auth.users: is missing; PLAIN needs"]),
        (
            json!({"mechanism": "curve"}),
            vec!["bus.auth.mechanism: unknown value \"curve\"; allowed: NULL, PLAIN, CURVE"],
        ),
        (json!({"users": {"a": {"env": "PASSWORD"}}}), vec!["bus.auth.users: is for bus.auth.mechanism PLAIN only"]),
        (
            json!({"mechanism": "PLAIN", "users": {"a": {"env": "NONE"}, "b": {}, "c": "password", "": {"env": "PASSWORD"}}}),
            vec![
                "bus.auth.users.c: expected an object, got \"password\"",
                "bus.auth.users[\"\"]: a user name has 1 to 255 bytes",
                "bus.auth.users.a: the environment variable NONE is not set",
                "bus.auth.users.b: needs either",
            ],
        ),
        (
            json!({"mechanism": "CURVE", "key": {"file": public}, "clients": ["short", 5]}),
            vec![
                "bus.auth.clients[1]: expected a string, got 5",
                "bus.auth.clients[0]: a key has 40 characters (Z85), this text 5",
                "no `secret-key` in it",
            ],
        ),
        (
            json!({"mechanism": "CURVE", "key": {"file": secret}, "clients": {"file": "/nowhere"}}),
            vec!["bus.auth.clients: /nowhere cannot be read"],
        ),
        (
            json!({"mechanism": "CURVE", "key": {"file": secret}, "clients": "all"}),
            vec!["bus.auth.clients: allowed: a list of public keys, {\"file\": \"PATH\"} of a list, or \"any\""],
        ),
        (json!({"mechanism": "CURVE", "key": {"file": secret}, "clients": []}), vec!["bus.auth.clients: is empty"]),
    ];
    for (auth, wanted) in cases {
        let problems = problems_of(with_auth("bus", auth.clone(), json!({})));
        assert_eq!(problems.len(), wanted.len(), "{auth}: {problems:#?}");
        for (problem, wanted) in problems.iter().zip(&wanted) {
            assert!(problem.contains(wanted), "{auth}: {problem:?} without {wanted:?}");
        }
    }
}

#[test]
fn beyond_loopback_strangers_are_kept_out_or_the_bus_is_public() {
    let dir = tempfile::tempdir().unwrap();
    let (public, secret) = crate::zmtp::KeyPair::generate().unwrap().write(dir.path(), "gateway").unwrap();
    let plain = || json!({"mechanism": "PLAIN", "users": {"alice": {"env": "PASSWORD"}}});
    let curve = |clients: serde_json::Value| json!({"mechanism": "CURVE", "key": {"file": secret}, "clients": clients});
    let bus = || json!({"bind": ["tcp://*:1"], "snapshot_bind": "tcp://*:2"});
    let control = || json!({"bind": "tcp://*:3"});
    for auth in [
        plain(),
        curve(json!([std::fs::read_to_string(&public).unwrap().split('"').nth(1).unwrap()])),
        curve(json!({"file": dir.path()})),
    ] {
        let config = check(with_auth("bus", auth.clone(), bus())).unwrap();
        assert_eq!(config.security.bus.mechanism(), auth["mechanism"]);
        assert_eq!((config.security.control.mechanism(), config.security.notes.len()), ("NULL", 0));
        check(with_auth("control", auth, control())).unwrap();
    }
    for auth in [json!({}), curve(json!("any"))] {
        let problems = problems_of(with_auth("bus", auth.clone(), bus()));
        assert!(problems.len() == 2 && problems[0].contains("bus.public"), "{problems:#?}");
        let problems = problems_of(with_auth("control", auth.clone(), control()));
        assert!(problems.len() == 1 && problems[0].contains("control.auth"), "{problems:#?}");
        let mut open = bus();
        open["public"] = json!(true);
        check(with_auth("bus", auth, open)).unwrap();
    }
    let shown = format!("{:?}", check(with_auth("bus", plain(), bus())).unwrap());
    assert!(shown.contains("PASSWORD") && !shown.contains("right"), "{shown}");
}

#[test]
fn secrets_that_everyone_may_read_are_noted() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("password");
    std::fs::write(&path, "right").unwrap();
    std::fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
    let auth = json!({"mechanism": "PLAIN", "users": {"alice": {"file": path}}});
    let config = check(with_auth("control", auth, json!({}))).unwrap();
    assert!(config.security.notes[0].starts_with("control.auth.users.alice: every user may read"));
}
