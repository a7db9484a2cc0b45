//! The command line as users and scripts meet it: the real program, its exit codes and its streams.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

fn tickbus() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickbus"));
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TICKBUS") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    command
}

fn run(arguments: &[&str]) -> Output {
    tickbus().args(arguments).output().expect("tickbus runs")
}

fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// `tickbus check` of this text, with these variables.
fn check(config: &str, env: &[(&str, &str)]) -> Output {
    let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
    file.write_all(config.as_bytes()).expect("written");
    let mut command = tickbus();
    command.arg("check").arg("--config").arg(file.path());
    command.envs(env.iter().copied()).output().expect("tickbus runs")
}

fn one_feed() -> Value {
    json!({"feeds": {"a": {"venue": "bybit", "market": "linear", "symbols": ["BTCUSDT"], "channels": ["trade"]}}})
}

/// The paths of the problems on stderr; the last line, which counts them, is checked and left out.
fn paths(output: &Output) -> Vec<String> {
    let text = stderr(output);
    let mut lines: Vec<&str> = text.lines().collect();
    let last = lines.pop().unwrap_or_default();
    let count = lines.len();
    assert_eq!(last, format!("tickbus: {count} problem{} in the config", if count == 1 { "" } else { "s" }), "{text}");
    lines.iter().map(|line| line.split(": ").nth(1).unwrap_or_default().to_owned()).collect()
}

#[test]
fn the_shipped_config_is_good_and_names_a_schema_that_exists() {
    let output = run(&["check"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let text = stdout(&output);
    assert!(text.starts_with("config.json: ok\nbus        tcp://127.0.0.1:5555 (json)\n"), "{text}");
    assert!(
        text.contains("\nfeed bybit_linear: bybit linear, 2 symbols, 8 streams, wss://stream.bybit.com/"),
        "{text}"
    );
    assert!(text.contains("\nfeed bybit_spot: bybit spot, 1 symbol, 4 streams, wss://stream.bybit.com/"), "{text}");
    let config = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/config.json")).expect("config.json");
    let config: Value = serde_json::from_str(&config).expect("JSON");
    let schema = Path::new(env!("CARGO_MANIFEST_DIR")).join(config["$schema"].as_str().expect("$schema"));
    assert!(schema.is_file(), "{}", schema.display());
}

#[test]
fn each_bad_config_is_refused_at_its_path_with_exit_code_2() {
    let cases = [
        ("/bus/hwm", json!(5), "bus.hwm"),
        ("/bus/bind", json!("tcp://127.0.0.1:1"), "bus.bind"),
        ("/bus/bind", json!([]), "bus.bind"),
        ("/bus/bind", json!(["tcp://127.0.0.1:1", "udp://x"]), "bus.bind[1]"),
        ("/bus/bind", json!(["tcp://0.0.0.0:5555"]), "bus.bind[0]"),
        ("/bus/snapshot_bind", json!("tcp://127.0.0.1:5555"), "bus.snapshot_bind"),
        ("/bus/encoding", json!("xml"), "bus.encoding"),
        ("/bus/queue_frames", json!("10000"), "bus.queue_frames"),
        ("/bus/queue_frames", json!(0), "bus.queue_frames"),
        ("/bus", Value::Null, "bus"),
        ("/control/bind", json!("tcp://*:5557"), "control.bind"),
        ("/admin/listen", json!("0.0.0.0:5580"), "admin.listen"),
        ("/log/level", json!("loud"), "log.level"),
        ("/connect/budget_per_5m", json!(501), "connect.budget_per_5m"),
        ("/feeds/a/venue", json!("bybt"), "feeds.a.venue"),
        ("/feeds/a/market", json!("futures"), "feeds.a.market"),
        ("/feeds/a/symbols", json!([]), "feeds.a.symbols"),
        ("/feeds/a/symbols", json!(["BTCUSDT", 1]), "feeds.a.symbols[1]"),
        ("/feeds/a/symbols", json!(["BTCUSDT", "ETHUSDT", "BTCUSDT"]), "feeds.a.symbols[2]"),
        ("/feeds/a/symbols", json!(["BTC/USDT"]), "feeds.a.symbols[0]"),
        ("/feeds/a/channels", json!(["trade", "boook:50"]), "feeds.a.channels[1]"),
        ("/feeds/a/channels", json!(["book:50", "book:200"]), "feeds.a.channels[1]"),
        ("/feeds/a/publish/book_depth", json!(1001), "feeds.a.publish.book_depth"),
        ("/feeds/a/publish/book_interval_ms", json!(-1), "feeds.a.publish.book_interval_ms"),
        ("/feeds/a/silence_ms", json!(10), "feeds.a.silence_ms"),
        ("/feeds/a/url", json!("https://stream.bybit.com"), "feeds.a.url"),
        ("/feeds/a/rest_url", json!("wss://stream.bybit.com"), "feeds.a.rest_url"),
        ("/feeds/Bad-Name", one_feed()["feeds"]["a"].clone(), "feeds.Bad-Name"),
        ("/feeds/b", one_feed()["feeds"]["a"].clone(), "feeds.b.channels[0]"),
    ];
    for (place, value, path) in cases {
        let mut config = one_feed();
        set(&mut config, place, value);
        let output = check(&config.to_string(), &[]);
        let found = paths(&output);
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(found.iter().any(|at| at == path), "{path}: {}", stderr(&output));
        assert!(found.len() == 1 || path == "feeds.Bad-Name", "{path}: {}", stderr(&output));
        assert_eq!(stdout(&output), "", "{path}");
    }
}

/// Puts `value` at a JSON pointer, making the objects on the way.
fn set(config: &mut Value, pointer: &str, value: Value) {
    let place = pointer.split('/').skip(1).fold(config, |place, key| &mut place[key]);
    *place = value;
}

#[test]
fn all_problems_come_at_once_with_a_hint() {
    let mut config = one_feed();
    set(&mut config, "/bus/encodign", json!("json"));
    set(&mut config, "/feeds/a/channels", json!(["trade", "boook:50"]));
    set(&mut config, "/feeds/b", json!({"venue": "bybit"}));
    let output = check(&config.to_string(), &[("TICKBUS__BUS__QUEUE_FRAMES", "lots")]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(
        paths(&output),
        ["bus.encodign", "bus.queue_frames", "feeds.b.market", "feeds.b.channels", "feeds.a.channels[1]"]
    );
    let text = stderr(&output);
    assert!(text.contains("did you mean \"encoding\"?") && text.contains("did you mean \"book:50\"?"), "{text}");
    assert!(text.contains("\nTICKBUS__BUS__QUEUE_FRAMES: bus.queue_frames: expected a whole number"), "{text}");
}

#[test]
fn broken_json_and_duplicate_keys_have_line_and_column() {
    assert_eq!(paths(&check("{\n  \"feeds\": }", &[])), ["line 2 column 12"]);
    let twice = "{\"log\": {},\n \"log\": {}, \"feeds\": ";
    let output = check(&format!("{twice}{}}}", one_feed()["feeds"]), &[]);
    assert_eq!((output.status.code(), paths(&output)), (Some(2), vec!["line 2 column 2".to_owned()]));
}

#[test]
fn the_environment_overrides_the_file_and_flags_override_both() {
    let config = one_feed().to_string();
    let env = [("TICKBUS__BUS__ENCODING", "msgpack"), ("TICKBUS__FEEDS__A__SYMBOLS", "BTCUSDT,ETHUSDT")];
    let text = stdout(&check(&config, &env));
    assert!(text.contains("bus        tcp://127.0.0.1:5555 (msgpack)\n"), "{text}");
    assert!(text.contains("feed a: bybit linear, 2 symbols, 2 streams, "), "{text}");
    let output = tickbus().args(["check", "--set", "bus.encoding=json"]).env(env[0].0, env[0].1).output().expect("run");
    assert!(stdout(&output).contains("tcp://127.0.0.1:5555 (json)\n"), "{}", stderr(&output));
}

#[test]
fn run_refuses_a_bad_config_as_check_does() {
    let output = run(&["run", "--config", "/nonexistent.json"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("/nonexistent.json: cannot be opened: "), "{}", stderr(&output));
}

#[test]
fn every_subcommand_has_help() {
    let help = stdout(&run(&["--help"]));
    for command in ["run", "check", "demo", "record", "replay", "ctl", "venues", "schema", "completions"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is missing from {help}");
        let output = run(&[command, "--help"]);
        assert_eq!(output.status.code(), Some(0), "{command}");
        assert!(stdout(&output).contains(&format!("Usage: tickbus {command}")), "{command}");
    }
    assert_eq!(run(&[]).status.code(), Some(2), "no subcommand prints the help as a usage error");
    assert_eq!(run(&["runn"]).status.code(), Some(2));
    assert_eq!(run(&["replay", "--venue", "bybit", "--speed", "0", "x"]).status.code(), Some(2));
}

#[test]
fn lists_schemas_and_completions_go_to_stdout() {
    let venues = stdout(&run(&["venues"]));
    let has = |line: &str| line.split_whitespace().take(2).eq(["bybit", "linear"]);
    assert!(venues.starts_with("VENUE") && venues.lines().any(has), "{venues}");
    let schema: Value = serde_json::from_slice(&run(&["schema", "config"]).stdout).expect("a JSON Schema");
    assert_eq!(schema["properties"]["feeds"]["maxProperties"], 100);
    for shell in ["bash", "zsh", "fish"] {
        let script = stdout(&run(&["completions", shell]));
        assert!(script.contains("replay"), "{shell}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let mut child = tickbus()
        .args(["completions", "bash"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .expect("tickbus runs");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), stderr(&output)), (Some(0), String::new()));
}

#[test]
fn a_bad_rust_log_is_a_usage_error() {
    let output = tickbus().args(["ctl", "status"]).env("RUST_LOG", "tickbus=loud").output().expect("tickbus runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr(&output).starts_with("tickbus: RUST_LOG=\"tickbus=loud\" is not a filter"), "{}", stderr(&output));
}

/// A level-1 book of `symbol` at `price`, over a connection to `market`.
fn recorded(market: &str, symbol: &str, price: &str) -> String {
    format!(
        r#"{{"recv_ns":1,"kind":"connect","url":"wss://h/v5/public/{market}","msg":{{}}}}
{{"recv_ns":2,"kind":"ws","msg":{{"topic":"orderbook.1.{symbol}","type":"snapshot","ts":1,"data":{{"s":"{symbol}","b":[["{price}","1"]],"a":[],"u":5,"seq":5}}}}}}
"#
    )
}

fn replayed(arguments: &[&str], file: &Path) -> Value {
    let output =
        tickbus().args(["replay", "--venue", "bybit"]).args(arguments).arg(file).output().expect("tickbus runs");
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    serde_json::from_str(&stdout(&output)).expect("the report is JSON")
}

#[test]
fn a_book_is_never_replayed_as_another_markets() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("two.jsonl");
    std::fs::write(&file, recorded("linear", "BTCUSDT", "10") + &recorded("spot", "BTCUSDT", "20")).unwrap();
    let best = |report: &Value, market: &str| report[format!("bybit.{market}.BTCUSDT")]["final"]["bids"][0][0].clone();
    let both = replayed(&[], &file);
    assert_eq!((best(&both, "linear"), best(&both, "spot")), (json!("10"), json!("20")));
    let one = replayed(&["--market", "linear"], &file);
    assert_eq!((best(&one, "linear"), best(&one, "spot")), (json!("10"), Value::Null));
    let other = replayed(&["--market", "spot"], &file);
    assert_eq!((best(&other, "linear"), best(&other, "spot")), (Value::Null, json!("20")));
}

#[test]
fn what_a_simulated_venue_cannot_have_is_a_usage_error() {
    for (arguments, said) in [
        (["--venue", "bybit", "--vip", "3"], "--vip is for --venue okx and okj only"),
        (["--venue", "okx", "--bars", "3"], "--bars is for --venue quik only"),
        (["--venue", "okx", "--weight-limit", "3"], "--weight-limit is for --venue binance only"),
        (["--venue", "binance", "--public-key", "/nowhere"], "cannot read /nowhere"),
        (["--venue", "bybit", "--fault", "notice"], "fault notice cannot happen on bybit"),
        (["--venue", "okx", "--fault", "rest-ban"], "fault rest-ban cannot happen on okx"),
        (["--venue", "binance", "--fault", "nopong"], "fault nopong cannot happen on binance"),
        (["--venue", "okx", "--fault", "explode"], "unknown fault \"explode\""),
        (["--venue", "moon", "--seed", "1"], "possible values: bybit, okx, okj, binance, bitflyer, quik"),
        (["--venue", "okx", "--checksum", "wrong"], "possible values: none, zero, live"),
    ] {
        let output = run(&[&["sim"][..], &arguments].concat());
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(stderr(&output).contains(said), "{arguments:?}: {}", stderr(&output));
    }
}

/// Whatever is wrong with the arguments of a back-fill, or with its file, is said at once.
#[test]
fn a_back_fill_that_cannot_be_done_as_it_is_wished_is_a_usage_error() {
    let dir = tempfile::tempdir().expect("a folder");
    let (note, name) = (dir.path().join("note.jsonl"), |name: &str| dir.path().join(name).display().to_string());
    std::fs::write(&note, "buy milk\n").expect("written");
    let good = name("a.jsonl");
    let cases = [
        ("candle:1h", "http://127.0.0.1:9", name("a.csv"), "must end with .jsonl"),
        ("candle:1h", "http://127.0.0.1:9", name("note.jsonl"), "line 1 is no record of this stream: \"buy milk\""),
        ("candle:1h", "http://127.0.0.1:9", name("none/a.jsonl"), "cannot be opened"),
        ("candle:7m", "http://127.0.0.1:9", good.clone(), "allowed: 1m 3m"),
        ("ticker", "http://127.0.0.1:9", good.clone(), "does not give the past"),
        ("candle:1h", "nope", good.clone(), "--rest-url: \"nope\" is no address"),
    ];
    for (channel, url, out, why) in cases {
        let begin = ["backfill", "binance", "spot", "BTCUSDT", channel, "--from", "2026-01-01", "--to", "2026-01-02"];
        let output = run(&[&begin[..], &["--rest-url", url, "--out", &out]].concat());
        let said = stderr(&output);
        assert!(output.status.code() == Some(2) && said.contains(why), "{channel} {url} {out}: {said}");
    }
    assert!(!Path::new(&good).exists());
    assert_eq!(std::fs::read_to_string(note).expect("read"), "buy milk\n");
}

#[test]
fn every_command_that_cannot_bind_ends_with_3() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let sim = run(&["sim", "--listen", &address]);
    assert_eq!(sim.status.code(), Some(3));
    assert!(stderr(&sim).contains(&address) && stderr(&sim).contains("in use"), "{}", stderr(&sim));
}

#[test]
fn a_replayed_message_that_is_cut_off_is_counted_and_costs_its_book() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cut.jsonl");
    let cut = "{\"recv_ns\":3,\"kind\":\"ws\",\"msg\":{\"topic\":\"orderbook.1.BTCUSDT\",\"type\":\"snap}\n";
    std::fs::write(&file, recorded("linear", "BTCUSDT", "10") + cut).unwrap();
    let report = &replayed(&[], &file)["bybit.linear.BTCUSDT"];
    assert_eq!((&report["state"], &report["invalid"]), (&json!("stale"), &json!(1)), "{report}");
    assert!(report.get("final").is_none());
}
