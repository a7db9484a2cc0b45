//! Accounts: from the config, from a file as topgun and pybotters read it, and what may use them.

use std::os::unix::fs::PermissionsExt as _;

use serde_json::{Value, json};

use super::*;

const CANARY: &str = "canary-5d1c";

fn layers(config: Value, env: &[(&str, &str)]) -> Layers {
    let env = env.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
    Layers { origin: "config.json".to_owned(), text: config.to_string(), env, set: Vec::new() }
}

fn load(config: Value, env: &[(&str, &str)]) -> Config {
    layers(config, env).check().unwrap()
}

fn problems(config: Value, env: &[(&str, &str)]) -> Vec<String> {
    let Err(Problems(problems)) = layers(config, env).check() else { return Vec::new() };
    problems.into_iter().map(|problem| format!("{}: {}", problem.path, problem.message)).collect()
}

fn with_accounts(accounts: Value) -> Value {
    json!({"feeds": {}, "accounts": accounts})
}

/// Each account with what is wrong with it.
fn states(config: &Config) -> Vec<String> {
    let why = |account: &KnownAccount| account.credentials.as_ref().err().cloned().unwrap_or_else(|| "ok".to_owned());
    config.accounts.iter().map(|account| format!("{} {}: {}", account.name, account.api.name, why(account))).collect()
}

fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), text).unwrap();
    std::fs::set_permissions(file.path(), std::fs::Permissions::from_mode(mode)).unwrap();
    file
}

#[test]
fn several_accounts_of_a_venue_have_names_and_nothing_of_them_is_printed() {
    let secret = file(CANARY, 0o600);
    let config = load(
        with_accounts(json!({
            "main": {"api": "bybit", "key": {"env": "K"}, "secret": {"file": secret.path()}},
            "second": {"api": "bybit_testnet", "key": {"env": "K"}, "secret": {"env": "S"}},
            "third": {"api": "okx", "key": {"env": "K"}, "secret": {"env": "S"}},
            "fourth": {"api": "bybit", "key": {"env": "K"}, "secret": {"env": "NOT_SET"}},
            "fifth": {"api": "hyperliquid", "key": {"env": "S"}},
        })),
        &[("K", "key-of-ours"), ("S", CANARY)],
    );
    assert_eq!(
        states(&config),
        [
            "fifth hyperliquid: the key must be a wallet's private key: 0x and 64 hexadecimal digits",
            "fourth bybit: secret: the environment variable NOT_SET is not set",
            "main bybit: ok",
            "second bybit_testnet: ok",
            "third okx: okx needs a passphrase",
        ]
    );
    let main = config.accounts.get("main").unwrap().credentials.as_ref().unwrap();
    assert_eq!((main.key.reveal(), main.secret.reveal()), ("key-of-ours", CANARY));
    assert!(config.accounts.notes.is_empty(), "{:?}", config.accounts.notes);
    let shown = format!("{config:?}");
    assert!(!shown.contains(CANARY) && !shown.contains("key-of-ours"), "{shown}");
}

#[test]
fn what_can_be_no_account_is_a_problem() {
    let found = problems(
        with_accounts(json!({
            "Main": {"api": "bybit", "key": {"env": "K"}},
            "a": {"api": "bybitt", "key": {"env": "K"}},
            "b": {"api": "okx"},
            "c": {"api": "okx", "key": {"text": "x"}},
        })),
        &[("K", "x")],
    );
    let begins = [
        "accounts.b.key: missing",
        "accounts.c.key: expected {\"env\": \"NAME\"} or {\"file\": \"PATH\"}, got something else",
        "accounts.Main: is not an account name",
        "accounts.a.api: unknown API \"bybitt\"; allowed: binance, ",
    ];
    for (found, begin) in found.iter().zip(begins) {
        assert!(found.starts_with(begin), "{found}");
    }
    assert!(found.len() == begins.len() && found[3].ends_with("did you mean \"bybit\"?"), "{found:#?}");
}

#[test]
fn a_secret_that_stands_in_the_config_is_not_shown() {
    for wrong in
        [json!(CANARY), json!([CANARY]), json!({"x": CANARY}), json!({"env": {"x": CANARY}}), json!(57_575_757)]
    {
        let credentials = json!({"key": wrong, "secret": wrong, "passphrase": wrong});
        let feed = json!({"venue": "okx", "market": "spot", "symbols": ["BTC-USDT"], "channels": ["trade"], "credentials": credentials});
        let mut account = credentials.clone();
        account["api"] = json!("okx");
        let auth = json!({"mechanism": "PLAIN", "users": {"u": wrong}});
        let config = json!({
            "feeds": {"f": feed}, "accounts": {"a": account, "b": wrong}, "control": {"token": wrong, "auth": auth},
            "bus": {"auth": {"mechanism": "CURVE", "key": wrong, "clients": "any"}},
            "sinks": {"redis": {"url": "redis://127.0.0.1", "password": wrong}},
        });
        let mut layers = layers(config, &[("TICKBUS__ACCOUNTS__C__KEY", &wrong.to_string())]);
        layers.set.push(format!("accounts.d.key={CANARY}"));
        let Problems(found) = layers.check().unwrap_err();
        let told = found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(!told.contains(CANARY) && !told.contains("57575757"), "{told}");
        for place in [
            "feeds.f.credentials.key",
            "feeds.f.credentials.secret",
            "feeds.f.credentials.passphrase",
            "accounts.a.key",
            "accounts.a.secret",
            "accounts.a.passphrase",
            "accounts.c.key",
            "accounts.d.key",
            "control.token",
            "control.auth.users.u",
            "bus.auth.key",
            "sinks.redis.password",
        ] {
            assert!(
                told.contains(&format!("{place}: expected {{\"env\": \"NAME\"}} or {{\"file\": \"PATH\"}}, got")),
                "{place}\n{told}"
            );
        }
    }
}

#[test]
fn a_file_of_keys_makes_an_account_of_each_api() {
    let keys = json!({
        "bybit": ["K", CANARY], "okx": ["K", CANARY, "P"], "kucoin": ["K", CANARY], "binance": [CANARY, 7], "phemex": [],
        "gmocoin": ["a", "b", "c", "d"], "okx_demo": CANARY, "nowhere": ["K", CANARY],
    });
    let keys = file(&keys.to_string(), 0o640);
    let path = keys.path().to_str().unwrap();
    let wrong = "must be a list of one to three texts";
    let wanted = [
        format!("binance binance: {wrong}"),
        "bybit bybit: ok".to_owned(),
        format!("gmocoin gmocoin: {wrong}"),
        "kucoin kucoin: kucoin needs a passphrase".to_owned(),
        "okx okx: ok".to_owned(),
        format!("okx_demo okx_demo: {wrong}"),
        format!("phemex phemex: {wrong}"),
    ];
    let of_config = load(json!({"feeds": {}, "apis": path}), &[("PYBOTTERS_APIS", "/nowhere")]);
    let of_variable = load(json!({"feeds": {}}), &[("PYBOTTERS_APIS", path)]);
    for config in [of_config, of_variable] {
        assert_eq!(states(&config), wanted);
        let notes = &config.accounts.notes;
        assert!(notes[0].contains("mode 640") && notes[0].ends_with("chmod 600"), "{notes:?}");
        assert!(notes[1].ends_with("\"nowhere\" is no known API") && notes.len() == 2, "{notes:?}");
        assert!(!format!("{config:?}").contains(CANARY));
    }
}

#[test]
fn a_file_of_keys_that_cannot_be_read_says_why_and_shows_nothing() {
    let broken = file(&format!("{{\"bybit\": [\"{CANARY}\""), 0o600);
    for (path, wanted) in [
        (broken.path().to_str().unwrap(), "is no object of lists of texts: see line 1, column"),
        ("/nowhere/apis.json", "cannot be opened"),
    ] {
        let found = problems(json!({"feeds": {}, "apis": path}), &[]);
        assert!(found.len() == 1 && found[0].contains(wanted) && !found[0].contains(CANARY), "{found:?}");
        // Whoever set the variable may not have meant tickbus.
        let config = load(json!({"feeds": {}}), &[("PYBOTTERS_APIS", path)]);
        assert!(config.accounts.notes[0].contains(wanted), "{:?}", config.accounts.notes);
        let told = config.accounts.known("bybit").unwrap_err();
        assert!(told.starts_with("there is no account \"bybit\"; there are none; PYBOTTERS_APIS: "), "{told}");
        assert!(told.contains(wanted) && !told.contains(CANARY), "{told}");
    }
}

#[test]
fn a_file_of_keys_has_each_name_once_and_texts_that_can_be_keys() {
    let twice = file(&format!(r#"{{"bybit": ["{CANARY}", "s"], "okx": [], "bybit": ["k", "s"]}}"#), 0o600);
    let found = problems(json!({"feeds": {}, "apis": twice.path()}), &[]);
    assert!(
        found.len() == 1 && found[0].ends_with("has \"bybit\" twice, and only one of them could be used"),
        "{found:?}"
    );
    let keys = json!({"bybit": [format!("{CANARY}\nx"), format!("{CANARY}\u{0}")], "binance": ["k", ""]});
    let keys = file(&keys.to_string(), 0o600);
    let config = load(json!({"feeds": {}, "apis": keys.path()}), &[]);
    let wanted = [
        "binance binance: binance needs a secret",
        "bybit bybit: key has several lines; a secret is one; secret has a control character, such as NUL or a tab, in it",
    ];
    assert_eq!(states(&config), wanted);
}

#[test]
fn everything_that_is_wrong_with_an_account_is_said() {
    let accounts = json!({"a": {"api": "bybit", "key": {"env": "NO_KEY"}, "secret": {"file": "/nowhere"}}});
    let config = load(json!({"feeds": {}, "accounts": accounts}), &[]);
    let state = &states(&config)[0];
    let wanted =
        "a bybit: key: the environment variable NO_KEY is not set; secret: the file \"/nowhere\" cannot be opened";
    assert!(state.starts_with(wanted), "{state}");
}

#[test]
fn an_account_of_the_config_goes_before_one_of_the_file() {
    let keys = file(r#"{"bybit": ["file", "s"]}"#, 0o600);
    let accounts = json!({"bybit": {"api": "bybit", "key": {"env": "K"}, "secret": {"env": "K"}}});
    let config = load(json!({"feeds": {}, "apis": keys.path(), "accounts": accounts}), &[("K", "config")]);
    assert_eq!(config.accounts.get("bybit").unwrap().credentials.as_ref().unwrap().key.reveal(), "config");
    assert!(config.accounts.notes[0].starts_with("account bybit: that of config holds"), "{:?}", config.accounts.notes);
}

#[test]
fn feeds_name_accounts_that_exist_and_fit() {
    let accounts = json!({
        "good": {"api": "okx", "key": {"env": "K"}, "secret": {"env": "K"}, "passphrase": {"env": "K"}},
        "broken": {"api": "okx", "key": {"env": "K"}, "secret": {"env": "K"}},
        "other": {"api": "bybit", "key": {"env": "K"}, "secret": {"env": "K"}},
    });
    let feed = |account: &str| {
        let (symbols, channels) = (["BTC-USDT"], ["trade"]);
        json!({"venue": "okx", "market": "spot", "symbols": symbols, "channels": channels, "account": account})
    };
    let good = json!({"accounts": accounts.clone(), "feeds": {"a": feed("good")}});
    let config = load(good, &[("K", "x")]);
    assert_eq!(config.feeds[0].signer.as_ref().unwrap().credentials.key.reveal(), "x");
    let mut both = feed("good");
    both["credentials"] = json!({"key": {"env": "K"}, "secret": {"env": "K"}});
    let bad = json!({
        "accounts": accounts,
        "feeds": {"a": feed("goood"), "b": feed("broken"), "c": feed("other"), "d": both},
    });
    let found = problems(bad, &[("K", "x")]);
    for wanted in [
        "feeds.a.account: there is no account \"goood\"; known: broken, good, other; did you mean \"good\"?",
        "feeds.b.account: the account broken cannot be used: okx needs a passphrase",
        "feeds.c.account: the account other is of bybit, whose keys okx does not know",
        "feeds.d.account: is given beside credentials; one of them says whose data it is",
    ] {
        assert!(found.iter().any(|found| found == wanted), "{wanted}\n{found:#?}");
    }
}

#[test]
fn whoever_opens_a_feed_at_run_time_cannot_have_a_key_sent_elsewhere() {
    let accounts = json!({"mine": {"api": "bybit", "key": {"env": "K"}, "secret": {"env": "K"}}});
    let accounts = load(with_accounts(accounts), &[("K", "x")]).accounts;
    let problems = |addresses: Value| {
        let mut settings = json!({"venue": "bybit", "market": "linear", "account": "mine"});
        settings.as_object_mut().unwrap().extend(addresses.as_object().unwrap().clone());
        let settings = settings.as_object().unwrap().clone();
        at_run_time::feed("a", settings, credentials::GivenTexts::default(), &accounts).err().unwrap_or_default()
    };
    assert_eq!(problems(json!({})), []);
    let here = json!({"url": "ws://127.0.0.1:9001/v5/public/linear", "rest_url": "http://localhost:9001"});
    assert_eq!(problems(here), []);
    for elsewhere in [
        json!({"url": "wss://elsewhere.example/v5/public/linear"}),
        json!({"rest_url": "https://elsewhere.example"}),
        json!({"url": "ws://127.0.0.1:9001", "rest_url": "https://elsewhere.example"}),
    ] {
        let found = problems(elsewhere);
        assert!(found.iter().any(|(path, what)| path == "account" && what.contains("elsewhere.example")), "{found:?}");
    }
}

/// Two accounts of Bybit and one of OKX, and these feeds.
fn with_feeds(feeds: Value) -> Value {
    let bybit = json!({"api": "bybit", "key": {"env": "K"}, "secret": {"env": "K"}});
    let okx = json!({"api": "okx", "key": {"env": "K"}, "secret": {"env": "K"}, "passphrase": {"env": "K"}});
    json!({"accounts": {"one": bybit, "two": bybit, "three": okx}, "feeds": feeds})
}

fn feed(venue: &str, market: &str, account: &str, channels: &[&str]) -> Value {
    json!({"venue": venue, "market": market, "account": account, "channels": channels})
}

#[test]
fn an_accounts_channel_names_no_symbol() {
    let (env, all) = ([("K", "x")], ["order", "fill", "position", "balance"]);
    let config = load(with_feeds(json!({"a": feed("bybit", "linear", "one", &all)})), &env);
    let alone = &config.feeds[0];
    assert_eq!((alone.streams[0].symbol.as_str(), alone.streams.len(), alone.symbol_count()), ("", 4, 0));
    assert_eq!((alone.urls().len(), alone.account()), (1, Some("one")));
    let found = problems(with_feeds(json!({"a": feed("bybit", "linear", "one", &["order", "order"])})), &env);
    assert_eq!(found, ["feeds.a.channels[1]: order is already given by channels[0]"]);
    let mut beside = feed("bybit", "linear", "one", &["order", "fill"]);
    beside["symbols"] = json!(["BTCUSDT"]);
    assert_eq!(
        problems(with_feeds(json!({"a": beside.clone()})), &env),
        [
            "feeds.a.symbols[0]: no channel applies to \"BTCUSDT\": fill, order take no symbols; leave symbols out, or add \
          channels that take them"
        ]
    );
    beside["channels"] = json!(["order", "trade"]);
    assert_eq!(load(with_feeds(json!({"a": beside})), &env).feeds[0].symbol_count(), 1);
}

#[test]
fn each_channel_of_an_account_has_one_feed() {
    let (env, all) = ([("K", "x")], ["order", "fill", "position", "balance"]);
    let apart = json!({
        "a": feed("bybit", "linear", "one", &all), "b": feed("bybit", "linear", "two", &all),
        "c": feed("okx", "swap", "three", &all),
    });
    assert_eq!(load(with_feeds(apart), &env).feeds.len(), 3, "other accounts have other topics");
    let divided = json!({
        "a": feed("bybit", "linear", "one", &["order", "fill"]), "b": feed("bybit", "inverse", "one", &["position"]),
    });
    assert_eq!(load(with_feeds(divided), &env).feeds.len(), 2);
    let two_markets = json!({
        "a": feed("bybit", "linear", "one", &all), "b": feed("bybit", "spot", "one", &["order", "balance"]),
    });
    let why = |channel: &str| {
        format!(
            "{channel} rows of account one are published by feeds.a too; their topics name no market and have one source: \
             leave the channel out of one of the two, or, if feeds.a lacks the rows of bybit spot, give the key a second \
             name in accounts and use that one here"
        )
    };
    assert_eq!(
        problems(with_feeds(two_markets), &env),
        [format!("feeds.b.channels[0]: {}", why("order")), format!("feeds.b.channels[1]: {}", why("balance"))]
    );
    let advice = json!({"a": feed("bybit", "linear", "one", &all), "b": feed("bybit", "spot", "two", &["order"])});
    assert_eq!(load(with_feeds(advice), &env).feeds.len(), 2, "the advice can be followed");
}

#[test]
fn an_accounts_channel_needs_an_account() {
    let feed = json!({"venue": "okx", "market": "swap", "channels": ["order"]});
    let why =
        "is missing, and the channel order is of an account: name one (accounts of okx: three), or give credentials";
    assert_eq!(problems(with_feeds(json!({"x": feed})), &[("K", "x")]), [format!("feeds.x.account: {why}")]);
    let accounts = load(with_feeds(json!({})), &[("K", "x")]).accounts;
    let open =
        |settings: &Value, texts| at_run_time::feed("x", settings.as_object().unwrap().clone(), texts, &accounts);
    let none = credentials::GivenTexts::default();
    assert_eq!(open(&feed, none).err().unwrap(), [("account".to_owned(), why.to_owned())]);
    let mut given = json!({"credentials": {"key": "k", "secret": "s", "passphrase": "p"}}).as_object().unwrap().clone();
    let texts = credentials::GivenTexts::take(&mut given);
    assert_eq!(open(&feed, texts).unwrap().account(), Some("main"));
    let public = json!({"venue": "okx", "market": "swap"});
    let plan = open(&public, credentials::GivenTexts::default()).unwrap();
    let refused = at_run_time::streams(&plan, &[], &["order".to_owned()]).err().unwrap();
    assert!(refused[0].1.starts_with("order is of an account, and the feed has none"), "{refused:?}");
}
